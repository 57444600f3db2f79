"""From a compiled scenario to the header of its recording."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from sim.interface import Kind
from sim.recording import Header, RecordedActor, Scalar
from sim.scenario import Actor, Model, Scenario
from sim.state import EventKind, Reason, Status


def header_of(scenario: Scenario, config: Mapping[str, Scalar], record: str = "scalar") -> Header:
    """Everything about an episode that is known before its first tick; `config`: how the run was asked for."""
    return Header(
        scenario=scenario.name,
        seed=scenario.seed,
        duration_s=scenario.duration_s,
        ego=scenario.ego,
        actors=tuple(_actor(actor) for actor in scenario.actors),
        event_names=tuple(kind.name for kind in EventKind),
        reason_names=tuple(reason.name for reason in Reason),
        status_active=int(Status.ACTIVE),
        record=record,
        sensing=scenario.sensing,
        weather=scenario.weather,
        friction=scenario.friction,
        parameters=dict(scenario.parameters),
        config=dict(config),
        versions=versions(),
    )


def product_version() -> str:
    """Version of the installed distribution, or "source" where the code runs uninstalled."""
    try:
        return version("avstack-sim")
    except PackageNotFoundError:
        return "source"


def versions() -> dict[str, str]:
    """What a recording says it was made with."""
    return {
        "avstack-sim": product_version(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
    }


def _actor(actor: Actor) -> RecordedActor:
    route = actor.route
    return RecordedActor(
        name=actor.name,
        kind=Kind(actor.kind).name,
        length=float(actor.body.length),
        width=float(actor.body.width),
        style=actor.style if actor.model in (Model.NEGOTIATOR, Model.PEDESTRIAN) else "",
        driver=actor.driver if actor.model in (Model.EXTERNAL, Model.REPLAY) else "",
        thing=actor.thing,
        route=() if route is None else tuple(int(lane) for lane in route.lanes),
        goal_s=0.0 if route is None else float(route.goal_s),
    )
