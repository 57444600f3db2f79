"""`avstack lidar`: what a lidar would see of a scenario at one moment, as a picture or as points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.nearest import nearest
from scenarios.resolve import apply_settings, resolve
from sim.interface import TICK_S
from sim.scenario import Model, Scenario
from sim.sensors.lidar import WEATHER, Sweep, scan
from sim.sensors.weather import WEATHER as KNOWN
from sim.sensors.weather import weather_of
from sim.state import Status
from sim.viewer.draw import save
from sim.viewer.points import Panel, draw_points
from sim.world import World

Box = tuple[float, float, float, float, float]


def sweeps_of(
    target: str, seed: int, at_s: float, weathers: Sequence[str], settings: Sequence[str]
) -> list[tuple[str, Sweep, list[Box]]]:
    """(weather, sweep, outlines of bodies in the car's frame) of ego at `at_s`, driven by the traffic's rules till then.

    weathers: names, the scenario's own where there are none. Raises InputError for an unknown scenario or weather, and for one
    without an ego on the road.
    """
    scenario = compile_scenario(apply_settings(resolve(target), settings), seed)
    for name in weathers:
        if name not in KNOWN:
            raise InputError(f"unknown weather {name!r}{nearest(name, KNOWN)}", fix=f"Use one of {', '.join(KNOWN)}")
    if scenario.ego is None:
        raise InputError(f"scenario {scenario.name!r} has no ego to carry a lidar", fix="Add an ego")
    world = World([driving_itself(scenario)], traced=False)
    for _ in range(round(at_s / TICK_S)):
        world.step()
    ego = world.state.bodies[0, scenario.ego]
    if ego["status"] != Status.ACTIVE:
        raise InputError(f"ego is not on the road {at_s:g} s from the start", fix="Choose another moment with --at")
    boxes = boxes_of(world, scenario, scenario.ego)
    found = []
    for name in weathers or (scenario.weather,):
        weather = scenario.air if name == scenario.weather else weather_of(name)
        found.append((name, scan(world.state, 0, scenario.ego, world.scenery(0), scenario.lidar, weather), boxes))
    return found


def driving_itself(scenario: Scenario) -> Scenario:
    """The scenario without drivers that somebody brings along: the traffic's own drive everybody."""
    actors = [replace(actor, model=Model.NEGOTIATOR) if actor.model == Model.EXTERNAL else actor for actor in scenario.actors]
    return replace(scenario, actors=tuple(actors))


def boxes_of(world: World, scenario: Scenario, ego: int) -> list[Box]:
    """Bodies but the ego, by their centres in its frame."""
    bodies = world.state.bodies[0, : len(scenario.actors)]
    own, boxes = bodies[ego], []
    for slot, body in enumerate(bodies):
        if slot == ego or body["status"] != Status.ACTIVE:
            continue
        dx, dy = float(body["x"] - own["x"]), float(body["y"] - own["y"])
        cos, sin = float(own["cos"]), float(own["sin"])
        heading = float(body["heading"] - own["heading"])
        boxes.append((cos * dx + sin * dy, cos * dy - sin * dx, heading, float(body["length"]), float(body["width"])))
    return boxes


def describe(name: str, sweep: Sweep, others: int) -> str:
    """One line about a sweep with so many others on the road."""
    seen, weather = int((sweep.counts > 0).sum()), int((sweep.hits == WEATHER).sum())
    return f"{name}: {len(sweep.points):,} points, {weather:,} of them of weather; {seen} of {others} others seen"


def look(
    target: str, seed: int, at_s: float, weathers: Sequence[str], settings: Sequence[str], picture: Path | None,
    points: Path | None,
) -> list[str]:  # fmt: skip
    """Take the sweeps, draw them side by side, keep the first one's points as a numpy file; a line about each."""
    sweeps = sweeps_of(target, seed, at_s, weathers, settings)
    if picture is not None:
        panels = [
            Panel(points=sweep.points, title=describe(name, sweep, len(boxes)), boxes=boxes) for name, sweep, boxes in sweeps
        ]
        save(draw_points(panels), picture)
    if points is not None:
        points.parent.mkdir(parents=True, exist_ok=True)
        part = points.with_name(f".{points.stem}.part.npy")
        np.save(part, sweeps[0][1].points)
        part.replace(points)
    return [describe(name, sweep, len(boxes)) for name, sweep, boxes in sweeps]
