"""Signs, lights and stop lines of a CommonRoad file onto its lanelets.

A sign or light belongs to the lanelet that refers to it, or to that on whose stop line it stands. It holds at the end of the last
lanelet before the junction, or of its own where none follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from scenarios.formats.commonroad_model import CommonRoad, Lanelet, Light
from scenarios.formats.commonroad_states import Tally
from sim.geometry import arc_length
from sim.interface import Colour
from sim.roads.lane_map import Regulation, SignalPlan

STOP = frozenset({"206", "R1-1", "r2"})
ALL_WAY = frozenset({"R1-3", "R1-3P"})
YIELD = frozenset({"205", "R1-2", "r1"})
PRIORITY = frozenset({"306", "301"})
MAX_SPEED = frozenset({"274", "274.1", "R2-1", "r301", "3.24", "R15", "C43", "B14", "\u03a1-32", "B31"})
"""Codes by meaning: Germany (and CommonRoad's ZAM), USA, Spain; limits also of the other countries that the format names."""
DEFAULT_LIMITS = {
    "interstate": 130.0 / 3.6, "highway": 130.0 / 3.6, "mainCarriageWay": 130.0 / 3.6, "accessRamp": 80.0 / 3.6,
    "exitRamp": 80.0 / 3.6, "country": 100.0 / 3.6,
}  # fmt: skip
"""[m/s] where the file has no limit, by type of lanelet; URBAN_LIMIT for others."""
UNSURE = frozenset({"urban", "unknown"})
"""Types that a scenario's tags overrule: recordings of motorways call their lanelets urban."""
URBAN_LIMIT = 50.0 / 3.6
SLOWEST, FASTEST = 1.0, 100.0  # m/s, limits outside are refused
APPROACH_MOST = 60.0  # m; a sign further from the junction than this holds where it stands


@dataclass(slots=True, kw_only=True)
class Control:
    """By lanelet: rules (regulation, light), stop line s [m], limit [m/s], and who has priority."""

    rules: dict[str, tuple[Regulation, str | None]] = field(default_factory=dict)
    stops: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    priority: set[str] = field(default_factory=set)
    signals: tuple[SignalPlan, ...] = ()
    warnings: tuple[str, ...] = ()


def control_of(recording: CommonRoad, junctions: Mapping[str, str]) -> Control:
    """Everything that regulates the lanelets."""
    control, tally = Control(), Tally()
    turns = _turns(recording)
    for lanelet in recording.lanelets.values():
        control.limits[lanelet.id] = _limit(recording, lanelet, tally)
        approach = _approach(recording, lanelet, junctions)
        _signs(recording, lanelet, approach, control, tally)
        _lights(recording, lanelet, approach, turns, control, tally)
        if lanelet.stop_line is not None and lanelet.stop_line.points is not None:
            control.stops[lanelet.id] = _line_at(lanelet, tally)
    _find_all_way(recording, control)
    used = {signal for _, signal in control.rules.values()}
    for light in recording.lights.values():
        if light.id not in used:
            tally.add("a light that no lanelet obeys", light.element)
    control.signals = tuple(_plan(light, recording.step_s) for light in recording.lights.values() if light.id in used)
    control.warnings = tally.lines()
    return control


def _turns(recording: CommonRoad) -> dict[str, dict[str, tuple[str, ...]]]:
    """Lanelets in the intersection by turn, for each that leads into one."""
    return {
        name: dict(incoming.turns)
        for intersection in recording.intersections
        for incoming in intersection.incomings
        for name in incoming.lanelets
    }


def _approach(recording: CommonRoad, lanelet: Lanelet, junctions: Mapping[str, str]) -> str:
    """The last lanelet before the junction ahead, if it is near; else the lanelet itself."""
    here, way = lanelet, 0.0
    while here.id not in junctions and way <= APPROACH_MOST:
        if any(onward in junctions for onward in here.successors):
            return here.id
        onward = [recording.lanelets[name] for name in here.successors if name in recording.lanelets]
        if len(onward) != 1:
            break
        here = onward[0]
        way += float(arc_length(here.centre)[-1])
    return lanelet.id


def _limit(recording: CommonRoad, lanelet: Lanelet, tally: Tally) -> float:
    """Speed limit [m/s] of a lanelet."""
    if lanelet.speed_limit is not None:
        return min(max(lanelet.speed_limit, SLOWEST), FASTEST)
    for name in lanelet.signs:
        sign = recording.signs.get(name)
        for code, values in sign.plates if sign is not None else ():
            if code in MAX_SPEED and sign is not None:
                try:
                    limit = float(values[0]) if values else 0.0
                except ValueError:
                    limit = 0.0
                if not SLOWEST <= limit <= FASTEST:
                    raise sign.element.error(
                        f"limit {values[:1]} of sign {code} is no speed",
                        f"Write {SLOWEST:g} to {FASTEST:g} m/s in additionalValue.",
                    )
                return limit
    words = lanelet.types if lanelet.types - UNSURE else frozenset(recording.tags)
    kinds = [name for name in DEFAULT_LIMITS if name in words]
    limit = DEFAULT_LIMITS[kinds[0]] if kinds else URBAN_LIMIT
    tally.add(f"no speed limit is given: {3.6 * limit:.0f} km/h is taken", lanelet.element)
    return limit


def _signs(recording: CommonRoad, lanelet: Lanelet, approach: str, control: Control, tally: Tally) -> None:
    """Stop, yield and priority signs of a lanelet."""
    names = (*lanelet.signs, *(lanelet.stop_line.signs if lanelet.stop_line is not None else ()))
    for name in dict.fromkeys(names):
        sign = recording.signs.get(name)
        if sign is None:
            raise lanelet.element.error(f"its traffic sign {name!r} is not in the file", "Correct the reference.")
        codes = {code for code, _ in sign.plates}
        if codes & ALL_WAY:
            control.rules[approach] = (Regulation.ALL_WAY_STOP, None)
        elif codes & STOP:
            control.rules[approach] = (Regulation.STOP, None)
        elif codes & YIELD:
            control.rules[approach] = (Regulation.YIELD, None)
        if codes & PRIORITY:
            control.priority.add(approach)
        for code in sorted(codes - STOP - ALL_WAY - YIELD - PRIORITY - MAX_SPEED):
            tally.add(f"traffic sign {code!r} is not supported and left out", sign.element)


def _lights(
    recording: CommonRoad, lanelet: Lanelet, approach: str, turns: Mapping[str, Mapping[str, tuple[str, ...]]], control: Control,
    tally: Tally,
) -> None:  # fmt: skip
    """Lights of a lanelet: one for all turns holds at its end, an arrow for the lanes of its turns."""
    names = (*lanelet.lights, *(lanelet.stop_line.lights if lanelet.stop_line is not None else ()))
    for name in dict.fromkeys(names):
        light = recording.lights.get(name)
        if light is None:
            raise lanelet.element.error(f"its traffic light {name!r} is not in the file", "Correct the reference.")
        if not light.active or not light.phases:
            tally.add("a light that is off holds nobody up; signs and priority do", light.element)
            continue
        here = turns.get(approach, {})
        arrows = [inner for turn in light.turns for inner in here.get(turn, ())]
        arrows = [inner for inner in arrows if inner in recording.lanelets[approach].successors]
        for held in arrows if arrows and len(light.turns) < len(("left", "straight", "right")) else [approach]:
            taken = control.rules.get(held)
            if taken is not None and taken[1] is not None and taken[1] != name:
                tally.add("several lights for one lanelet: the first is obeyed", light.element)
                continue
            control.rules[held] = (Regulation.SIGNAL, name)


def _line_at(lanelet: Lanelet, tally: Tally) -> float:
    """Where along the lanelet [m] its stop line crosses the centreline."""
    line = lanelet.stop_line
    if line is None or line.points is None:
        return 0.0
    middle, centre = line.points.mean(axis=0), lanelet.centre[:, :2]
    start, step = centre[:-1], np.diff(centre, axis=0)
    square = np.maximum((step**2).sum(axis=1), 1e-12)
    share = np.clip(((middle - start) * step).sum(axis=1) / square, 0.0, 1.0)
    away = np.hypot(*(start + share[:, None] * step - middle).T)
    piece = int(np.argmin(away))
    if away[piece] > 5.0:
        tally.add("a stop line more than 5 m off its lanelet is taken at the lanelet's nearest point", lanelet.element)
    s = arc_length(centre)
    return float(s[piece] + share[piece] * np.sqrt(square[piece]))


def _find_all_way(recording: CommonRoad, control: Control) -> None:
    """An intersection with a stop sign on every way in is an all-way stop."""
    for intersection in recording.intersections:
        leading = [name for incoming in intersection.incomings for name in incoming.lanelets]
        if len(intersection.incomings) < 3:
            continue
        if all(control.rules.get(name, (Regulation.NONE, None))[0] == Regulation.STOP for name in leading):
            for name in leading:
                control.rules[name] = (Regulation.ALL_WAY_STOP, None)


def _plan(light: Light, step_s: float) -> SignalPlan:
    phases: list[tuple[float, Colour]] = [(steps * step_s, colour) for steps, colour in light.phases]
    return SignalPlan(name=light.id, phases=tuple(phases), offset_s=light.offset * step_s)
