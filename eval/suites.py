"""Named sets of episodes to evaluate drivers on: what is drawn for each seed, and who the others are.

A suite is a pure function of a seed. Suites that are used for reports are frozen: a change of what they draw is a new name.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

from eval import heldout
from eval.sumo import SUMO, check_installed, given_to_sumo
from scenarios.catalogue import FAMILIES
from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.nearest import nearest
from scenarios.resolve import apply_settings, resolve
from scenarios.schema import ScenarioSpec, check
from scenarios.yaml_tree import Data
from sim.interface import Kind
from sim.rng import Purpose, generator
from sim.scenario import Actor, Model, Scenario
from sim.traffic.styles import RULE_BREAKERS, STYLES

LAWFUL = tuple(name for name in STYLES if name not in RULE_BREAKERS)
OPPONENTS = ("first_come", "timid_waver", "tailgater", *heldout.DRIVERS)
"""Drivers that the planner was not built around."""
DATA_VARIABLE = "AVSTACK_DATA"
_SPEED = 8.0
_TOGETHER: Data = {"uniform": [28.0, 36.0]}
"""m before the line: within ±0.5 s of each other at _SPEED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Sources take turns by seed. others: who drives the other vehicles, drawn evenly for each (a style, or a driver's name);
    empty: as the scenario says. to_the_end: go on after ego has arrived until everybody has, for what ego cost them."""

    summary: str
    sources: tuple[str, ...]
    settings: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    to_the_end: bool = False

    def scenario(self, seed: int) -> Scenario:
        """The episode of a seed. Raises InputError where a map file is missing."""
        if SUMO in self.others:
            check_installed()
        scenario = compile_scenario(_spec(self.sources[seed % len(self.sources)], self.settings), seed)
        return scenario if not self.others else _with_others(scenario, self.others, seed)


def _traffic(count: Data, window: Data, users: Sequence[Data] = ()) -> Data:
    flow: Data = {"name": "other", "count": count, "window_s": window, "before_stop": 32.0}
    return {
        "users": list(users),
        "demand": [flow],
        "pedestrians": {"count": {"choice": [0, 2], "weights": [2.0, 1.0]}, "window_s": [0.0, 12.0]},
        "cyclists": {"choice": [0.0, 0.3], "weights": [2.0, 1.0]},
        "kinds": {"car": 0.85, "van": 0.1, "truck": 0.05},
    }


_SUMO_TRAFFIC: Data = {
    "demand": [
        {
            "name": "other",
            "count": {"uniform": [1, 7]},
            "window_s": {"choice": [[0.0, 0.5], [0.0, 15.0]]},
            "before_stop": 32.0,
            "kinds": {"car": 1.0},
        }
    ]
}
"""Cars alone: SUMO would not see our people and bicycles."""


def _junction(name: str, traffic: Data) -> Data:
    turn: Data = {"turn": {"choice": ["straight", "left", "right"], "weights": [2.0, 1.0, 1.0]}}
    parameters: Data = {"control": "all_way", "speed_limit": 11.2, "crosswalks": True}
    return {
        "version": 1,
        "name": name,
        "map": {"builder": "four_way", "parameters": parameters},
        "ego": {"at": {"approach": "south", "before_stop": _TOGETHER}, "to": turn, "speed": _SPEED},
        "traffic": traffic,
        "duration_s": 75.0,
    }


def _car(approach: str) -> Data:
    turn: Data = {"turn": {"choice": ["straight", "left", "right"], "weights": [2.0, 1.0, 1.0]}}
    return {"name": approach, "at": {"approach": approach, "before_stop": _TOGETHER}, "to": turn, "speed": _SPEED}


TREES: Mapping[str, Data] = {
    "chicken_stop": _junction("chicken_stop", _traffic({"uniform": [1, 7]}, {"choice": [[0.0, 0.5], [0.0, 15.0]]})),
    "chicken_tie": _junction(
        "chicken_tie", _traffic({"uniform": [0, 4]}, [3.0, 15.0], [_car("east"), _car("north"), _car("west")])
    ),
    "chicken_sumo": _junction("chicken_sumo", _SUMO_TRAFFIC),
}
"""Scenarios of the suites that the catalogue does not hold: two to eight vehicles with ego, over time and in a four-way tie."""

_CHICKEN = ("chicken_stop", "chicken_tie")
_CHECK = ("four_way_stop", "merge", "crosswalk", "narrow_meet")
_REAL = ("opendrive/fabriksgatan.xodr", "opendrive/simple_4way_intersection.xodr", "opendrive/Town03.xodr")
_REAL_HELD_OUT = ("opendrive/Town07.xodr", "opendrive/multi_intersections.xodr")

SUITES: Mapping[str, Suite] = {
    "smoke": Suite(summary="A few families, to see that a driver drives at all.", sources=_CHECK),
    "chicken": Suite(
        summary="An all-way stop with 2-8 vehicles, every style and every opponent, half of them arriving at once. For reports.",
        sources=_CHICKEN, others=(*LAWFUL, *OPPONENTS), to_the_end=True,
    ),
    "chicken_tuning": Suite(
        summary="The same without the opponents that are kept for reports.",
        sources=_CHICKEN, others=(*LAWFUL, *(name for name in OPPONENTS if name not in heldout.DRIVERS)), to_the_end=True,
    ),
    "chicken_negotiator": Suite(
        summary="The same among the simulator's own traffic alone.", sources=_CHICKEN, others=LAWFUL, to_the_end=True
    ),
    "chicken_held_out": Suite(
        summary="The same among the held-out opponents alone. For reports.",
        sources=_CHICKEN, others=heldout.DRIVERS, to_the_end=True,
    ),
    "chicken_sumo": Suite(
        summary="The same junction among SUMO's traffic; needs the extra `sumo`.", sources=("chicken_sumo",), others=(SUMO,),
        to_the_end=True,
    ),
    "catalogue": Suite(summary="Every family of the catalogue in turn.", sources=tuple(FAMILIES)),
    "real_maps": Suite(summary="Random routes on three real maps in traffic; needs $AVSTACK_DATA.", sources=_REAL),
    "real_maps_held_out": Suite(
        summary="Random routes on two real maps kept for reports; needs $AVSTACK_DATA.", sources=_REAL_HELD_OUT
    ),
}  # fmt: skip


def suite_of(name: str) -> Suite:
    """The suite called `name`, or one of every episode of a catalogue family or a file. Raises InputError."""
    if name in SUITES:
        return SUITES[name]
    if name in FAMILIES or Path(name).suffix:
        return Suite(summary=f"Episodes of {name}.", sources=(name,))
    known = (*SUITES, *FAMILIES)
    raise InputError(f"unknown suite {name!r}{nearest(name, known)}", fix=f"Use one of {', '.join(SUITES)}, a family, or a file")


@functools.lru_cache(maxsize=64)
def _spec(source: str, settings: tuple[str, ...]) -> ScenarioSpec:
    if source in TREES:
        return apply_settings(check(deepcopy(TREES[source])), list(settings))
    return apply_settings(resolve(_data_file(source) if source.startswith("opendrive/") else source), list(settings))


def _data_file(source: str) -> str:
    folder = os.environ.get(DATA_VARIABLE, "")
    if not folder:
        raise InputError(f"{source} is a map file that does not come with the package", fix=f"Set {DATA_VARIABLE} to its folder")
    return str(Path(folder, source))


def _with_others(scenario: Scenario, others: tuple[str, ...], seed: int) -> Scenario:
    """Each other vehicle is driven by one of `others`, drawn evenly and keyed by its slot."""
    actors = [
        _driven_by(actor, others[int(generator(seed, Purpose.DRIVER, slot).integers(len(others)))], scenario.duration_s)
        if slot != scenario.ego and actor.model == Model.NEGOTIATOR and actor.kind != Kind.BICYCLE
        else actor
        for slot, actor in enumerate(scenario.actors)
    ]
    return replace(scenario, actors=tuple(actors))


def _driven_by(actor: Actor, name: str, duration_s: float) -> Actor:
    if name == SUMO:
        return given_to_sumo(actor, duration_s)
    return replace(actor, style=name) if name in STYLES else replace(actor, model=Model.EXTERNAL, driver=name)
