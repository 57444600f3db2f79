"""Roads that cross at grade without a junction element: their lanes are cut so that the crossing becomes a junction."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from shapely import LineString, STRtree

from scenarios.formats.opendrive_lanes import Layout
from scenarios.formats.opendrive_strands import Strand, lane_name, split
from sim.interface import Floats
from sim.roads.lane_map import LaneKind

ANGLE_MIN = np.radians(30.0)  # lanes that meet more narrowly merge or run side by side; they do not cross
END_CLEAR = 8.0  # m from either end of a lane to a crossing on it
LEVEL = 2.5  # m; roads further apart in height are bridge and underpass
MARGIN = 1.5  # m of the crossing before and behind the lane that is crossed
SAME_CROSSING = 30.0  # m; crossings nearer to each other are one junction


def cut_crossings(layout: Layout) -> None:
    """Make a junction of every place where driving lanes outside junctions cross at grade."""
    lanes = [strand for strand in layout.strands if strand.kind == LaneKind.DRIVING and strand.junction is None]
    hits = _find(lanes)
    for number, group in enumerate(_cluster(hits)):
        name = layout.free_name(f"crossing {number + 1}")
        first = group[0][0]
        place = f"{first.road.label} between s={first.s.min():.0f} and {first.s.max():.0f}"
        layout.warnings.append(f"{place} is crossed without a junction; made {name!r}")
        spans: dict[Strand, tuple[float, float]] = {}
        for strand, at, room, _ in group:
            low, high = spans.get(strand, (at - room, at + room))
            spans[strand] = min(low, at - room), max(high, at + room)
        for strand, (low, high) in spans.items():
            _cut(strand, max(low, 1.0), min(high, strand.length - 1.0), name, layout)


_Hit = tuple[Strand, float, float, Floats]
"""A lane, where on it [m] it is crossed, how far around that place the crossing reaches [m], and the place (2,)."""


def _find(lanes: list[Strand]) -> list[_Hit]:
    """Both sides of every crossing of two lanes."""
    lines = [LineString(strand.points[:, :2]) for strand in lanes]
    hits: list[_Hit] = []
    if len(lines) < 2:
        return hits
    for a, b in STRtree(lines).query(lines, predicate="crosses").T.tolist():
        if a >= b or lanes[a].road is lanes[b].road:
            continue
        meeting = lines[a].intersection(lines[b])
        for point in getattr(meeting, "geoms", [meeting]):
            if point.geom_type != "Point":
                continue
            place = np.array([point.x, point.y])
            sides = [(lanes[n], lines[n].project(point)) for n in (a, b)]
            if _crosses(sides):
                for (strand, at), (other, there) in (sides, sides[::-1]):
                    width = float(np.interp(there, other.arc, other.half_width))
                    hits.append((strand, at, width / np.sin(_angle(sides)) + MARGIN, place))
    return hits


def _heading(strand: Strand, at: float) -> float:
    index = min(max(int(np.searchsorted(strand.arc, at)), 1), len(strand.points) - 1)
    dx, dy = (strand.points[index] - strand.points[index - 1])[:2]
    return float(np.arctan2(dy, dx))


def _angle(sides: list[tuple[Strand, float]]) -> float:
    """Angle between the two lanes, at most a right angle."""
    turn = abs(float(np.angle(np.exp(1j * (_heading(*sides[0]) - _heading(*sides[1]))))))
    return min(turn, float(np.pi) - turn)


def _crosses(sides: list[tuple[Strand, float]]) -> bool:
    inside = all(END_CLEAR < at < strand.length - END_CLEAR for strand, at in sides)
    heights = [float(np.interp(at, strand.arc, strand.points[:, 2])) for strand, at in sides]
    return inside and abs(heights[0] - heights[1]) < LEVEL and _angle(sides) > ANGLE_MIN


def _cluster(hits: list[_Hit]) -> list[list[_Hit]]:
    """Hits in groups of one junction each, in order of appearance."""
    groups: list[list[_Hit]] = []
    for hit in hits:
        near = [group for group in groups if any(np.hypot(*(hit[3] - other[3])) < SAME_CROSSING for other in group)]
        merged = [other for group in near for other in group] + [hit]
        groups = [group for group in groups if group not in near] + [merged]
    by_first: dict[int, list[_Hit]] = defaultdict(list)
    for group in groups:
        by_first[min(id_of(hits, hit) for hit in group)] = group
    return [by_first[key] for key in sorted(by_first)]


def id_of(hits: list[_Hit], hit: _Hit) -> int:
    """Position of a hit in the list it came from."""
    return next(number for number, other in enumerate(hits) if other is hit)


def _cut(strand: Strand, low: float, high: float, junction: str, layout: Layout) -> None:
    """Make the stretch low..high of a lane a lane of `junction`."""
    behind = split(strand, high)
    inside = split(strand, low)
    inside.junction = junction
    for part in (inside, behind):
        part.name = layout.free_name(f"{lane_name(part)}@{part.s[0]:.0f}")
        part.left = part.right = None
        layout.strands.append(part)
    strand.left = strand.right = None
