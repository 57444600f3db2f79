"""One carriageway of a motorway towards +x, with an exit and an entry.

Lanes are `main_<section>_<k>`, k from 0 on the fast side; the sections are, in order, `before`, (exit:) `opening`, `leaving`,
`between`, (entry:) `along`, `closing`, `after`. `exit_opening` leads to the deceleration lane `exit_leaving` and on to
`off_ramp`; `on_ramp` leads to the acceleration lane `entry_along`, which ends by `entry_closing`, where it yields to the main
lane beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.geometry import Floats
from sim.roads.lane_map import LaneDraft, MapDraft
from sim.roads.layouts import check
from sim.roads.layouts.curves import connect, direction, line
from sim.roads.layouts.street import mirrored

RAMP_ANGLE = math.radians(12.0)
RAMP_SPEED_SHARE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A stretch of the carriageway. side: what runs beside it on the slow side (none, opening, leaving, along, closing)."""

    name: str
    length: float
    side: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Carriageway:
    sections: tuple[Section, ...]
    lanes: int
    lane_width: float
    speed_limit: float
    ramp_length: float

    def y(self, k: int) -> float:
        """Offset of lane `k`; the side lane is k = lanes."""
        return -(k + 0.5) * self.lane_width

    def main_name(self, section: Section, k: int) -> str:
        return f"main_{section.name}_{k}"


def _main_lanes(road: _Carriageway, number: int, x: float) -> list[LaneDraft]:
    """The through lanes of one section."""
    section = road.sections[number]
    following = road.sections[number + 1] if number + 1 < len(road.sections) else None
    outermost = road.lanes - 1
    beside = {"leaving": "exit_leaving", "along": "entry_along"}.get(section.side)
    drafts = []
    for k in range(road.lanes):
        onward = [road.main_name(following, k)] if following else []
        if following and following.side == "opening" and k == outermost:
            onward.append("exit_opening")
        drafts.append(
            LaneDraft(
                name=road.main_name(section, k),
                centreline=line(np.array([x, road.y(k)]), np.array([x + section.length, road.y(k)])),
                half_width=0.5 * road.lane_width,
                speed_limit=road.speed_limit,
                successors=tuple(onward),
                road="main",
                left=road.main_name(section, k - 1) if k > 0 else None,
                right=road.main_name(section, k + 1) if k < outermost else beside,
                junction=section.name if section.side in ("opening", "closing") else None,
                priority_road=True,
            )
        )
    return drafts


def _ramp_line(road: _Carriageway, x: float, on: bool) -> Floats:
    """On-ramp that arrives at x, or off-ramp that leaves from it, bending away from the road."""
    sign = -1.0 if on else 1.0
    near = np.array([x, road.y(road.lanes)])
    away = np.array([math.cos(RAMP_ANGLE), -math.sin(RAMP_ANGLE)]) if not on else -direction(RAMP_ANGLE)
    middle = near + np.array([sign * 0.4 * road.ramp_length, 0.0])
    far = middle + 0.6 * road.ramp_length * away
    return connect(far, RAMP_ANGLE, near, 0.0) if on else connect(near, 0.0, far, -RAMP_ANGLE)


def _side_lanes(road: _Carriageway, section: Section, x: float) -> list[LaneDraft]:
    """What runs beside one section, and the ramp at its end."""
    outermost, width = road.lanes - 1, 0.5 * road.lane_width
    ramp_speed = RAMP_SPEED_SHARE * road.speed_limit
    inner, outer = np.array([x, road.y(outermost)]), np.array([x, road.y(road.lanes)])
    ahead = np.array([section.length, 0.0])
    beside = road.main_name(section, outermost)
    if section.side == "opening":
        shift = connect(inner, 0.0, outer + ahead, 0.0)
        return [
            LaneDraft(
                name="exit_opening",
                centreline=shift,
                half_width=width,
                speed_limit=road.speed_limit,
                successors=("exit_leaving",),
                junction=section.name,
                road="exit",
            )
        ]
    if section.side == "leaving":
        return [
            LaneDraft(
                name="exit_leaving",
                centreline=line(outer, outer + ahead),
                half_width=width,
                speed_limit=road.speed_limit,
                successors=("off_ramp",),
                left=beside,
                road="exit",
            ),
            LaneDraft(
                name="off_ramp",
                centreline=_ramp_line(road, x + section.length, on=False),
                half_width=width,
                speed_limit=ramp_speed,
                road="exit",
            ),
        ]
    if section.side == "along":
        return [
            LaneDraft(
                name="on_ramp",
                centreline=_ramp_line(road, x, on=True),
                half_width=width,
                speed_limit=ramp_speed,
                successors=("entry_along",),
                road="entry",
            ),
            LaneDraft(
                name="entry_along",
                centreline=line(outer, outer + ahead),
                half_width=width,
                speed_limit=road.speed_limit,
                successors=("entry_closing",),
                left=beside,
                road="entry",
            ),
        ]
    if section.side == "closing":
        shift = connect(outer, 0.0, inner + ahead, 0.0)
        after = road.sections[road.sections.index(section) + 1]
        return [
            LaneDraft(
                name="entry_closing",
                centreline=shift,
                half_width=width,
                speed_limit=road.speed_limit,
                successors=(road.main_name(after, outermost),),
                junction=section.name,
                road="entry",
                yields_to=(beside,),
            )
        ]
    return []


def _draw(name: str, road: _Carriageway, left_hand_traffic: bool) -> MapDraft:
    drafts: list[LaneDraft] = []
    x = -0.5 * sum(section.length for section in road.sections)
    for number, section in enumerate(road.sections):
        drafts.extend(_main_lanes(road, number, x))
        drafts.extend(_side_lanes(road, section, x))
        x += section.length
    whole = MapDraft(name=name, lanes=drafts)
    return mirrored(whole) if check.flag("left_hand_traffic", left_hand_traffic) else whole


def merge(
    *,
    lanes: int = 2,
    lane_width: float = 3.5,
    speed_limit: float = 27.8,
    approach_length: float = 200.0,
    acceleration_length: float = 150.0,
    closing_length: float = 60.0,
    after_length: float = 200.0,
    ramp_length: float = 120.0,
    left_hand_traffic: bool = False,
) -> MapDraft:
    """A ramp with an acceleration lane onto a carriageway of 1 to 5 lanes; lengths in m. BuilderError for values out of range."""
    check.count("lanes", lanes, 1, 5)
    check.number("lane_width", lane_width, 2.8, 5.0)
    check.number("speed_limit", speed_limit, 5.0, 60.0)
    for label, value, low in (
        ("approach_length", approach_length, 30.0),
        ("acceleration_length", acceleration_length, 30.0),
        ("closing_length", closing_length, 20.0),
        ("after_length", after_length, 30.0),
        ("ramp_length", ramp_length, 40.0),
    ):
        check.number(label, value, low, 5000.0)
    sections = (
        Section(name="before", length=approach_length),
        Section(name="along", length=acceleration_length, side="along"),
        Section(name="closing", length=closing_length, side="closing"),
        Section(name="after", length=after_length),
    )
    road = _Carriageway(sections=sections, lanes=lanes, lane_width=lane_width, speed_limit=speed_limit, ramp_length=ramp_length)
    return _draw("merge", road, left_hand_traffic)


def motorway(
    *,
    lanes: int = 3,
    lane_width: float = 3.6,
    speed_limit: float = 33.3,
    length: float = 1200.0,
    exit_ramp: bool = True,
    entry_ramp: bool = True,
    ramp_length: float = 150.0,
    left_hand_traffic: bool = False,
) -> MapDraft:
    """A carriageway of 1 to 5 lanes, `length` [m] in all, with an exit and then an entry. BuilderError for bad values."""
    check.count("lanes", lanes, 1, 5)
    check.number("lane_width", lane_width, 2.8, 5.0)
    check.number("speed_limit", speed_limit, 5.0, 60.0)
    check.number("length", length, 600.0, 50_000.0)
    check.number("ramp_length", ramp_length, 40.0, 2000.0)
    sections = [Section(name="before", length=0.2 * length)]
    if check.flag("exit_ramp", exit_ramp):
        sections += [
            Section(name="opening", length=0.05 * length, side="opening"),
            Section(name="leaving", length=0.15 * length, side="leaving"),
        ]
    sections.append(Section(name="between", length=0.15 * length))
    if check.flag("entry_ramp", entry_ramp):
        sections += [
            Section(name="along", length=0.2 * length, side="along"),
            Section(name="closing", length=0.05 * length, side="closing"),
        ]
    sections.append(Section(name="after", length=length - sum(section.length for section in sections)))
    road = _Carriageway(
        sections=tuple(sections), lanes=lanes, lane_width=lane_width, speed_limit=speed_limit, ramp_length=ramp_length
    )
    return _draw("motorway", road, left_hand_traffic)
