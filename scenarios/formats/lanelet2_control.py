"""Regulatory elements of a Lanelet2 file onto its lanes: right of way, all-way stops, lights, limits and stop lines.

An element holds for the lanelets that refer to it. Lights come without times: those of one junction get a cycle, opposing
approaches together.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from scenarios.formats.commonroad_states import Tally
from scenarios.formats.lanelet2_model import BACK, Lane, Lanelet2, Rule, Way
from scenarios.formats.light_cycle import by_axis, cycle
from sim.geometry import arc_length
from sim.interface import Floats
from sim.roads.lane_map import Regulation, SignalPlan

STOP = frozenset({"de206", "usr1-1", "r1-1", "stop"})
YIELD = frozenset({"de205", "usr1-2", "r1-2", "yield"})
DEFAULT_LIMITS = {
    ("highway", "nonurban"): 130.0, ("highway", "urban"): 130.0, ("road", "nonurban"): 100.0, ("play_street", "urban"): 7.0,
    ("exit", "urban"): 20.0,
}  # fmt: skip
"""[km/h] by subtype and location, as Lanelet2's German traffic rules; URBAN_LIMIT for others."""
URBAN_LIMIT = 50.0
UNITS = {"": 1.0 / 3.6, "km/h": 1.0 / 3.6, "kmh": 1.0 / 3.6, "mph": 0.44704, "m/s": 1.0, "mps": 1.0}
SLOWEST, FASTEST = 1.0, 100.0  # m/s, limits outside are refused
LINE_NEAR = 4.0  # m, a stop line further from a lane's centre is not its own


@dataclass(slots=True, kw_only=True)
class Control:
    """By lane: regulation and light, stop line s [m], limit [m/s], and which lanes in junctions it lets go first."""

    rules: dict[str, tuple[Regulation, str | None]] = field(default_factory=dict)
    stops: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    yields_to: dict[str, tuple[str, ...]] = field(default_factory=dict)
    signals: tuple[SignalPlan, ...] = ()
    warnings: tuple[str, ...] = ()


def control_of(source: Lanelet2, junctions: Mapping[str, str]) -> Control:
    """Everything that regulates the lanes."""
    control, tally = Control(), Tally()
    held: defaultdict[str, list[Lane]] = defaultdict(list)
    for lane in source.lanes.values():
        for name in lane.rules:
            if name in source.rules:
                held[name].append(lane)
        control.limits[lane.id] = _limit(source, lane, tally)
    lights: dict[str, list[Lane]] = {}
    for rule in source.rules.values():
        match rule.kind:
            case "right_of_way":
                _right_of_way(source, rule, held[rule.id], junctions, control)
            case "all_way_stop":
                for lane in _named(source, rule.lanelets.get("yield", ())) or held[rule.id]:
                    control.rules[lane.id] = (Regulation.ALL_WAY_STOP, None)
                    _stop_line(source, rule.ways.get("ref_line", ()), lane, control)
            case "traffic_light":
                lights[rule.id] = held[rule.id]
                for lane in held[rule.id]:
                    _stop_line(source, rule.ways.get("ref_line", ()), lane, control)
            case "speed_limit" | "traffic_sign" | "crosswalk":
                pass  # limits are looked up from the lanes; other signs and crosswalks say nothing more here
        if not held[rule.id] and rule.kind in ("traffic_light", "speed_limit"):
            tally.add(f"a {rule.kind} that no lanelet refers to", rule.element)
    control.signals = _programmes(source, lights, junctions, control, tally)
    control.warnings = tally.lines()
    return control


def _named(source: Lanelet2, lanelets: Iterable[str]) -> list[Lane]:
    """Lanes of lanelets, both directions."""
    return [source.lanes[name] for one in lanelets for name in (one, one + BACK) if name in source.lanes]


def _limit(source: Lanelet2, lane: Lane, tally: Tally) -> float:
    """Speed limit [m/s] of a lane: by sign, by tag, else by where it lies."""
    for name in lane.rules:
        rule = source.rules.get(name)
        if rule is None or rule.kind != "speed_limit":
            continue
        words = [rule.tags.get("sign_type", ""), *(way.tags.get("subtype", "") for way in rule.ways.get("refers", ()))]
        for word in words:
            speed = _speed(word.rpartition("-")[2] if "-" in word else word)
            if speed is not None:
                return speed
        tally.add("a speed_limit whose sign names no speed is left out", rule.element)
    raw = lane.tags.get("speed_limit")
    if raw is not None:
        speed = _speed(raw)
        if speed is None:
            raise lane.element.error(
                f"tag speed_limit={raw[:40]!r} is no speed", f"Write {3.6 * SLOWEST:.0f} to {3.6 * FASTEST:.0f}, in km/h."
            )
        return speed
    place = lane.tags.get("subtype", "road"), lane.tags.get("location", "urban")
    limit = DEFAULT_LIMITS.get(place, URBAN_LIMIT)
    if lane.id == lane.lanelet and place[0] in ("road", "highway"):
        tally.add(f"no speed limit is given: {limit:.0f} km/h is taken", lane.element)
    return limit / 3.6


def _speed(text: str) -> float | None:
    """ "60", "60 km/h", "30 mph" as m/s; None for anything else, and for what is no speed of a road."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([a-z/]*)\s*", text, re.ASCII)
    if found is None or found[2] not in UNITS:
        return None
    speed = float(found[1]) * UNITS[found[2]]
    return speed if SLOWEST <= speed <= FASTEST else None


def _code(way: Way) -> str:
    return way.tags.get("subtype", "").lower().replace("_", "-").replace("us-", "us").replace("de-", "de")


def _right_of_way(source: Lanelet2, rule: Rule, held: list[Lane], junctions: Mapping[str, str], control: Control) -> None:
    """Who has to let whom go first; with a stop or yield sign also how."""
    yielding = _named(source, rule.lanelets.get("yield", ()))
    behind = {lane.id for lane in yielding}
    first = _named(source, rule.lanelets.get("right_of_way", ())) or [lane for lane in held if lane.id not in behind]
    goes = tuple(dict.fromkeys(name for lane in first for name in _inside(source, lane, junctions)))
    codes = {_code(way) for way in rule.ways.get("refers", ())}
    for lane in yielding:
        for name in _inside(source, lane, junctions):
            known = control.yields_to.get(name, ())
            more = tuple(other for other in goes if other not in known and other != name and other not in behind)
            control.yields_to[name] = known + more
        if lane.id in control.rules:
            continue
        if codes & STOP:
            control.rules[lane.id] = (Regulation.STOP, None)
        elif codes & YIELD:
            control.rules[lane.id] = (Regulation.YIELD, None)
        if lane.id in control.rules:
            _stop_line(source, rule.ways.get("ref_line", ()), lane, control)


def _inside(source: Lanelet2, lane: Lane, junctions: Mapping[str, str]) -> tuple[str, ...]:
    """The lane where it lies in a junction, else those that it leads into there."""
    if lane.id in junctions:
        return (lane.id,)
    return tuple(name for name in lane.successors if name in junctions)


def _stop_line(source: Lanelet2, lines: tuple[Way, ...], lane: Lane, control: Control) -> None:
    """Put the nearest of the lines on the lane, or on one that leads into it: a light may be given to the lane behind it."""
    found: list[tuple[float, str, float]] = []
    for line in lines:
        middle = line.points[:, :2].mean(axis=0)
        for name in (lane.id, *lane.predecessors):
            away, s = _nearest(source.lanes[name].centre[:, :2], middle)
            found.append((round(away, 3), name, s))
    near = [one for one in found if one[0] <= LINE_NEAR]
    if near:
        _, name, s = min(near)
        control.stops[name] = s


def _nearest(line: Floats, place: Floats) -> tuple[float, float]:
    """Distance [m] of a place from a line (P, 2), and where along it."""
    start, step = line[:-1], np.diff(line, axis=0)
    square = np.maximum((step**2).sum(axis=1), 1e-12)
    share = np.clip(((place - start) * step).sum(axis=1) / square, 0.0, 1.0)
    away = np.hypot(*(start + share[:, None] * step - place).T)
    k = int(np.argmin(away))
    return float(away[k]), float(arc_length(line)[k] + share[k] * math.sqrt(square[k]))


def _programmes(
    source: Lanelet2, lights: Mapping[str, list[Lane]], junctions: Mapping[str, str], control: Control, tally: Tally
) -> tuple[SignalPlan, ...]:
    """A cycle for the lights of each junction."""
    groups: defaultdict[str, list[Lane]] = defaultdict(list)
    for name, lanes in lights.items():
        tally.add("a light without a programme gets one of its junction's making", source.rules[name].element)
        for lane in lanes:
            if lane.tags.get("subtype", "road") == "crosswalk":
                tally.add("a light of a crosswalk is left out: people there cross when it is safe", source.rules[name].element)
                continue
            inner = [after for after in lane.successors if after in junctions]
            groups[junctions.get(lane.id) or (junctions[inner[0]] if inner else f"light {name}")].append(lane)
    plans: list[SignalPlan] = []
    for junction, lanes in groups.items():
        phases = [[lanes[number] for number in group] for group in by_axis([_heading(lane, junctions) for lane in lanes])]
        names = [f"phase {number + 1}" for number in range(len(phases))]
        plans += cycle(junction, names)
        for phase, group in zip(names, phases, strict=True):
            for lane in group:
                control.rules[lane.id] = (Regulation.SIGNAL, f"{junction}/{phase}")
    return tuple(plans)


def _heading(lane: Lane, junctions: Mapping[str, str]) -> float:
    """Direction [rad] in which a lane leads up to its light."""
    a, b = lane.centre[:2, :2] if lane.id in junctions else lane.centre[-2:, :2]
    return math.atan2(b[1] - a[1], b[0] - a[0])
