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
from sim.sensors.faults import FAULTS
from sim.traffic.styles import RULE_BREAKERS, STYLES

LAWFUL = tuple(name for name in STYLES if name not in RULE_BREAKERS)
OPPONENTS = ("first_come", "timid_waver", "tailgater", *heldout.DRIVERS)
"""Drivers that the planner was not built around."""
SAME = "same"
"""Who drives another vehicle like the driver under test: a copy of it, with its own seed."""
DATA_VARIABLE = "AVSTACK_DATA"
_SPEED, _FAST = 8.0, 11.0
_TOGETHER: Data = {"uniform": [28.0, 36.0]}
"""m before the line: within ±0.5 s of each other at _SPEED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Sources take turns by seed. others: who drives the other vehicles, drawn evenly for each (a style, or a driver's name);
    empty: as the scenario says. to_the_end: go on after ego has arrived until everybody has, for what ego cost them.

    steps: a setting that takes `count` values in turn, first + step × k, one a round of the sources: (setting, first, step,
    count). regret: the privileged planner may drive the same seeds. branches: names in `eval.branches.BRANCHES`. style_scale:
    the numbers of everybody's style are so many times what they are. sensing: the level unless another one is asked for.
    """

    summary: str
    sources: tuple[str, ...]
    settings: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    to_the_end: bool = False
    steps: tuple[str, float, float, int] | None = None
    regret: bool = False
    branches: tuple[str, ...] = ()
    style_scale: float = 1.0
    sensing: str = "objects"

    def scenario(self, seed: int) -> Scenario:
        """The episode of a seed. Raises InputError where a map file is missing."""
        if SUMO in self.others:
            check_installed()
        settings = self.settings
        if self.steps is not None:
            name, first, step, count = self.steps
            settings = (*settings, f"{name}={first + step * (seed // len(self.sources) % count):.4g}")
        scenario = compile_scenario(_spec(self.sources[seed % len(self.sources)], settings), seed)
        scenario = scenario if not self.others else _with_others(scenario, self.others, seed)
        return scenario if self.style_scale == 1.0 else _scaled(scenario, self.style_scale)

    def specs(self) -> list[ScenarioSpec]:
        """What its episodes are drawn from. Raises InputError where a map file is missing."""
        return [_spec(source, self.settings) for source in self.sources]


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


def _junction(name: str, traffic: Data, ego: Data = None, arms: float = 80.0) -> Data:
    turn: Data = {"turn": {"choice": ["straight", "left", "right"], "weights": [2.0, 1.0, 1.0]}}
    parameters: Data = {"control": "all_way", "speed_limit": 11.2, "crosswalks": True, "arm_length": arms}
    return {
        "version": 1,
        "name": name,
        "map": {"builder": "four_way", "parameters": parameters},
        "ego": ego or {"at": {"approach": "south", "before_stop": _TOGETHER}, "to": turn, "speed": _SPEED},
        "traffic": traffic,
        "duration_s": 75.0,
    }


def _peers(count: int) -> Data:
    """So many cars within half a second, nobody on foot."""
    return {"demand": [{"name": "other", "count": count, "window_s": [0.0, 0.5], "before_stop": 32.0, "kinds": {"car": 1.0}}]}


def _crowd() -> Data:
    """Three cars, and people who cross all the time."""
    cars: Data = {"name": "other", "count": 3, "window_s": [0.0, 4.0], "before_stop": 32.0, "kinds": {"car": 1.0}}
    return {"demand": [cars], "pedestrians": {"count": 6, "window_s": [0.0, 20.0]}}


def _straight(approach: str) -> dict[str, Data]:
    return {"at": {"approach": approach, "before_stop": 32.0}, "to": {"turn": "straight"}, "speed": _SPEED}


def _mirrored(count: int) -> Data:
    """Ego and count - 1 others at the same distance and speed, all going straight on."""
    users: list[Data] = [{"name": arm, **_straight(arm)} for arm in ("east", "west", "north")[: count - 1]]
    return _junction(f"copies_{count}", {"users": users}, _straight("south"))


def _late_car() -> Data:
    """Somebody who neither stops nor looks reaches the junction while ego crosses; when, is set in steps."""
    late: Data = {
        "name": "late", "at": {"approach": "east", "before_stop": 60.0}, "to": {"turn": "straight"}, "speed": _FAST,
        "style": "asleep",
    }  # fmt: skip
    return _junction("late_car", {"users": [late]}, _straight("south"), arms=150.0)


def _car(approach: str) -> Data:
    turn: Data = {"turn": {"choice": ["straight", "left", "right"], "weights": [2.0, 1.0, 1.0]}}
    return {"name": approach, "at": {"approach": approach, "before_stop": _TOGETHER}, "to": turn, "speed": _SPEED}


TREES: Mapping[str, Data] = {
    "chicken_stop": _junction("chicken_stop", _traffic({"uniform": [1, 7]}, {"choice": [[0.0, 0.5], [0.0, 15.0]]})),
    "chicken_tie": _junction(
        "chicken_tie", _traffic({"uniform": [0, 4]}, [3.0, 15.0], [_car("east"), _car("north"), _car("west")])
    ),
    "chicken_sumo": _junction("chicken_sumo", _SUMO_TRAFFIC),
    **{f"peers_{count}": _junction(f"peers_{count}", _peers(count)) for count in range(1, 8)},
    **{f"copies_{count}": _mirrored(count) for count in (2, 3, 4)},
    "late_car": _late_car(),
    "creep_person": _junction("creep_person", _crowd()),
}
"""Scenarios of the suites that the catalogue does not hold: two to eight vehicles with ego, over time and in a four-way tie; so
many peers that come at once; copies of ego that start as far from their lines as it does; somebody who drives through without
looking; and people on foot where ego inches forward."""

_CHICKEN = ("chicken_stop", "chicken_tie")
_KNOWN = (*LAWFUL, *(name for name in OPPONENTS if name not in heldout.DRIVERS))
_CHECK = ("four_way_stop", "merge", "crosswalk", "narrow_meet")
_REAL = ("opendrive/fabriksgatan.xodr", "opendrive/simple_4way_intersection.xodr", "opendrive/Town03.xodr")
_REAL_HELD_OUT = ("opendrive/Town07.xodr", "opendrive/multi_intersections.xodr")

_PERCEIVED = ("debris", "blocked_lane", "crosswalk", "four_way_stop", "occluded_pedestrian", "t_junction")
_CONDITIONS = "weather={choice: [clear, wet, rain, snow, fog], weights: [2, 1, 1, 1, 1]}"
"""Weather that perception was trained in."""
_FOUR_ALONE = ("traffic.demand.0.count=0", "traffic.cyclists=0", "traffic.pedestrians.count=0")
_SEEN = ("debris", "blocked_lane", "crosswalk", "four_way_stop")
_FAULTY = ("four_way_stop", "crosswalk", "blocked_lane")


def _fault(kind: str, duration_s: float) -> str:
    """The setting by which a fault of the sensors begins in the midst of the drive."""
    return f"faults=[{{kind: {kind}, start_s: {{uniform: [3.0, 10.0]}}, duration_s: {duration_s}}}]"


SUITES: Mapping[str, Suite] = {
    "smoke": Suite(summary="A few families, to see that a driver drives at all.", sources=_CHECK),
    "chicken": Suite(
        summary="An all-way stop with 2-8 vehicles, every style and every opponent, half of them arriving at once. For reports.",
        sources=_CHICKEN, others=(*LAWFUL, *OPPONENTS), to_the_end=True, regret=True,
    ),
    "chicken_tuning": Suite(
        summary="The same without the opponents that are kept for reports.",
        sources=_CHICKEN, others=_KNOWN, to_the_end=True, regret=True,
    ),
    "chicken_negotiator": Suite(
        summary="The same among the simulator's own traffic alone.", sources=_CHICKEN, others=LAWFUL, to_the_end=True, regret=True
    ),
    "chicken_held_out": Suite(
        summary="The same among the held-out opponents alone. For reports.",
        sources=_CHICKEN, others=heldout.DRIVERS, to_the_end=True, regret=True,
    ),
    "chicken_sumo": Suite(
        summary="The same junction among SUMO's traffic; needs the extra `sumo`.", sources=("chicken_sumo",), others=(SUMO,),
        to_the_end=True,
    ),
    "chicken_slower": Suite(
        summary="The simulator's own traffic with every number of its styles 30 % lower.",
        sources=_CHICKEN, others=LAWFUL, to_the_end=True, style_scale=0.7,
    ),
    "chicken_faster": Suite(
        summary="The simulator's own traffic with every number of its styles 30 % higher.",
        sources=_CHICKEN, others=LAWFUL, to_the_end=True, style_scale=1.3,
    ),
    "influence": Suite(
        summary="Ego is made to hold and to commit from the same state: does what its driver predicts of the others come true?",
        sources=_CHICKEN, others=_KNOWN, to_the_end=True, branches=("influence",),
    ),
    "freezing": Suite(
        summary="One to seven attentive peers arrive with ego: does delay grow without bound?",
        sources=tuple(f"peers_{count}" for count in range(1, 8)), others=("normal",), to_the_end=True,
    ),
    "bullying": Suite(
        summary="Others do not give in once ego has entered: run it with drivers without the envelope.",
        sources=_CHICKEN, others=LAWFUL, to_the_end=True, branches=("bullying",),
    ),
    "copies": Suite(
        summary="Two to four copies of the driver meet from mirrored starts.", sources=("copies_2", "copies_3", "copies_4"),
        others=(SAME,), to_the_end=True,
    ),
    "hesitant": Suite(
        summary="Four-way ties with three timid drivers: somebody has to show what it means to do.", sources=("chicken_tie",),
        settings=_FOUR_ALONE, others=("timid",), to_the_end=True,
    ),
    "late_car": Suite(
        summary="A car that neither stops nor looks, at each 0.1 s of ego's crossing.", sources=("late_car",),
        steps=("traffic.users.0.at.before_stop", 40.0, 0.1 * _FAST, 80), to_the_end=True,
    ),
    "bluffers": Suite(
        summary="Everybody else sets off, stops, and only then goes. For reports.", sources=_CHICKEN, others=("bluffer",),
        to_the_end=True,
    ),
    "creep_person": Suite(
        summary="People cross where ego inches forward.", sources=("creep_person",), others=LAWFUL, to_the_end=True
    ),
    **{
        f"against_{name}": Suite(
            summary=f"Everybody else at the all-way stop is a {name}." + (" For reports." if name in heldout.DRIVERS else ""),
            sources=_CHICKEN, others=(name,), to_the_end=True,
        )
        for name in OPPONENTS
    },
    "against_policy": Suite(
        summary="Everybody else at the all-way stop is the policy that learned by self-play.", sources=_CHICKEN,
        others=("policy",), to_the_end=True,
    ),
    "catalogue": Suite(
        summary="Every family of the catalogue in turn, without debris.",
        sources=tuple(name for name in FAMILIES if not name.startswith("debris")),
    ),
    "perception": Suite(
        summary="Things, people, hidden people and junctions through the lidar, in clear weather, wet, rain, snow and fog.",
        sources=_PERCEIVED, settings=(_CONDITIONS,), sensing="lidar",
    ),
    "seeing": Suite(summary="Where much depends on what is seen: things on the road, people, an all-way stop.", sources=_SEEN),
    "seeing_fog": Suite(summary="The same in fog.", sources=_SEEN, settings=("weather=fog",)),
    "seeing_rings": Suite(
        summary="The same; half of the lidar's rings fail on the way.", sources=_SEEN, settings=(_fault("rings", 600.0),)
    ),
    "seeing_held_out": Suite(
        summary="Things that nobody was trained on lie on the road. For reports.", sources=("debris_held_out",)
    ),
    **{
        f"fault_{kind}": Suite(
            summary=f"The ego's sensors fail for five seconds on the way: {kind}.", sources=_FAULTY, settings=(_fault(kind, 5.0),)
        )
        for kind in FAULTS
    },
    "real_maps": Suite(summary="Random routes on three real maps in traffic; needs $AVSTACK_DATA.", sources=_REAL),
    "real_maps_held_out": Suite(
        summary="Random routes on two real maps kept for reports; needs $AVSTACK_DATA.", sources=_REAL_HELD_OUT
    ),
}  # fmt: skip


def suite_name(name: str) -> str:
    """The suite's name as it is kept, for one that may be written with hyphens: real-maps is real_maps."""
    kept = name.replace("-", "_")
    return kept if kept in SUITES else name


def suite_of(name: str) -> Suite:
    """The suite called `name`, or one of every episode of a catalogue family or a file. Raises InputError."""
    if name in SUITES:
        return SUITES[name]
    if name in FAMILIES or Path(name).suffix:
        return Suite(summary=f"Episodes of {name}.", sources=(name,))
    known = (*SUITES, *FAMILIES)
    raise InputError(f"unknown suite {name!r}{nearest(name, known)}", fix=f"Use one of {', '.join(SUITES)}, a family, or a file")


@functools.lru_cache(maxsize=256)
def _spec(source: str, settings: tuple[str, ...]) -> ScenarioSpec:
    if source in TREES:
        return apply_settings(check(deepcopy(TREES[source])), list(settings))
    return apply_settings(resolve(_data_file(source) if source.startswith("opendrive/") else source), list(settings))


def _data_file(source: str) -> str:
    """A map of the data folder, wherever below the named subfolder it lies. InputError where it is not there."""
    folder = os.environ.get(DATA_VARIABLE, "")
    if not folder:
        raise InputError(f"{source} is a map file that does not come with the package", fix=f"Set {DATA_VARIABLE} to its folder")
    place = Path(folder, source)
    found = [place] if place.is_file() else sorted(place.parent.rglob(place.name))
    if not found:
        raise InputError(f"there is no {source} in {folder} or below", fix=f"Set {DATA_VARIABLE} to the folder that has it")
    return str(found[0])


def _with_others(scenario: Scenario, others: tuple[str, ...], seed: int) -> Scenario:
    """Each other vehicle is driven by one of `others`, drawn evenly and keyed by its slot."""
    actors = [
        _driven_by(actor, others[int(generator(seed, Purpose.DRIVER, slot).integers(len(others)))], scenario.duration_s)
        if slot != scenario.ego and actor.model == Model.NEGOTIATOR and actor.kind != Kind.BICYCLE
        else actor
        for slot, actor in enumerate(scenario.actors)
    ]
    return replace(scenario, actors=tuple(actors))


def _scaled(scenario: Scenario, factor: float) -> Scenario:
    actors = [
        replace(actor, style=f"{actor.style}*{factor:g}") if actor.model == Model.NEGOTIATOR and slot != scenario.ego else actor
        for slot, actor in enumerate(scenario.actors)
    ]
    return replace(scenario, actors=tuple(actors))


def _driven_by(actor: Actor, name: str, duration_s: float) -> Actor:
    if name == SUMO:
        return given_to_sumo(actor, duration_s)
    return replace(actor, style=name) if name in STYLES else replace(actor, model=Model.EXTERNAL, driver=name)
