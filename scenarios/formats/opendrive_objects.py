"""Objects of a road: crosswalks with the lanes that pedestrians walk on them, stop lines, painted STOPs, and what blocks sight.

Objects are looked up by where they are, not by the road they are listed under: exporters often list them under a neighbour.
Source: ASAM OpenDRIVE 1.8, chapter 13.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from scenarios.formats.opendrive_geometry import COORDINATE_MAX
from scenarios.formats.opendrive_lanes import Layout
from scenarios.formats.opendrive_limits import WALKING_LIMIT
from scenarios.formats.opendrive_model import Network, Road
from scenarios.formats.opendrive_signs import Meaning, meaning_of
from scenarios.formats.opendrive_strands import Strand, join, split
from scenarios.formats.xml import Element
from sim.interface import Floats
from sim.roads.lane_map import Crosswalk, LaneKind

SIDEWALK_REACH = 6.0  # m from the end of a crosswalk to the middle of the sidewalk it leads to
NO_SIDEWALK_LEAD = 1.5  # m that a crosswalk's lane goes on where there is no sidewalk
SAME_PLACE = 1.0  # m; a crosswalk this near to a sidewalk's end meets it there
AT_END = 0.05  # m; nearer than this is the end itself
LEVEL = 2.0  # m; things further apart in height are on different bridges
SPACING = 0.5  # m between points of a crosswalk lane
ELONGATED = 1.3  # a crosswalk is walked along its longer side, unless it is nearly square
CROSSWALK_MOST = 150.0  # m; anything longer or wider is a damaged number
DEPTH = 4.0  # m of a crosswalk marking that does not say how deep it is
OUTLINE_MOST = 1000  # corners
COPIES_MOST = 1000  # of one object

_STOP_LINE = re.compile(r"stop[_ -]?line", re.IGNORECASE)
_PAINTED_STOP = re.compile(r"stencil[_ -]?stop", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Whereabouts:
    """Points of strands, to find which of them pass a place."""

    strands: Sequence[Strand]
    tree: shapely.STRtree
    owner: Floats
    points: Floats

    def near(self, place: Floats, reach: float) -> dict[Strand, tuple[float, int]]:
        """Strands within `reach` [m] of `place` (3,) on its level: distance and index of the nearest point."""
        found: dict[Strand, tuple[float, int]] = {}
        for index in sorted(self.tree.query(shapely.Point(place[:2]), "dwithin", distance=reach)):
            if abs(self.points[index, 2] - place[2]) > LEVEL:
                continue
            strand = self.strands[int(self.owner[index, 0])]
            distance = float(np.hypot(*(self.points[index] - place)[:2]))
            if strand not in found or distance < found[strand][0]:
                found[strand] = distance, int(self.owner[index, 1])
        return found


def locate(strands: Sequence[Strand]) -> Whereabouts | None:
    """Index of all points of `strands`; None where there are none."""
    if not strands:
        return None
    points = np.concatenate([strand.points for strand in strands])
    rows = [np.column_stack((np.full(len(one.points), n), np.arange(len(one.points)))) for n, one in enumerate(strands)]
    return Whereabouts(strands, shapely.STRtree(shapely.points(points[:, :2])), np.concatenate(rows), points)


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where an object is: its origin (3,) and the heading of its u axis, and the road's heading there."""

    origin: Floats
    heading: float
    road_heading: float

    def place(self, u: Floats, v: Floats) -> Floats:
        """(N, 3) points from local coordinates."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        x, y, z = self.origin
        return np.column_stack((x + cos * u - sin * v, y + sin * u + cos * v, np.full(u.size, z)))


def _on_plane(road: Road, s: Floats, t: Floats) -> Floats:
    """(N, 3) points at road coordinates."""
    s = np.clip(s, 0.0, road.length)
    t = np.clip(t, -COORDINATE_MAX, COORDINATE_MAX)
    return road.surface(s, t)


def _pose(road: Road, element: Element, at: tuple[float, float] | None = None) -> Pose:
    """Where an object is, or its copy at road coordinates `at`."""
    s, t = (element.number("s"), element.number("t")) if at is None else at
    origin = _on_plane(road, np.array([s]), np.array([t]))[0]
    heading = float(road.line(np.array([min(max(s, 0.0), road.length)]))[2][0])
    return Pose(origin, heading + float(np.remainder(element.number("hdg", 0.0), 2.0 * np.pi)), heading)


def _copies(element: Element) -> Iterator[tuple[float, float] | None]:
    """Road coordinates of every copy that <repeat> makes of an object; None, its own place, without one."""
    repeats = element.all("repeat")
    if not repeats:
        yield None
    for repeat in repeats:
        start, length = repeat.number("s"), repeat.number("length", 0.0, minimum=0.0)
        distance = repeat.number("distance", 0.0, minimum=0.0)
        t0, t1 = (repeat.number(name, element.number("t")) for name in ("tStart", "tEnd"))
        count = 1 + (min(int(length / distance + 1e-9), COPIES_MOST) if distance > 0.0 else 0)
        for k in range(count):
            yield start + k * distance, t0 + (t1 - t0) * (k * distance / length if length > 0.0 else 0.0)


def _outline(road: Road, element: Element, at: tuple[float, float] | None = None) -> Floats | None:
    """(K, 3) corners of an object: its outline, or the box of its length and width; None where it has no extent."""
    pose = _pose(road, element, at)
    groups = [element, *element.all("outlines")]
    outlines = [outline for group in groups for outline in group.all("outline")]
    if outlines:
        corners = _corners(road, pose, outlines[0])
        if len(corners) >= 2:
            return corners
    length, width = element.number("length", 0.0, minimum=0.0), element.number("width", 0.0, minimum=0.0)
    if max(length, width) <= 0.0 or max(length, width) > 1e4:
        return None
    return pose.place(np.array([0.5, 0.5, -0.5, -0.5]) * length, np.array([0.5, -0.5, -0.5, 0.5]) * width)


def _corners(road: Road, pose: Pose, outline: Element) -> Floats:
    rows = []
    for corner in outline.children[:OUTLINE_MOST]:
        if corner.tag == "cornerRoad":
            rows.append(_on_plane(road, np.array([corner.number("s")]), np.array([corner.number("t")]))[0])
        elif corner.tag == "cornerLocal":
            rows.append(pose.place(np.array([corner.number("u")]), np.array([corner.number("v")]))[0])
    corners = np.array(rows).reshape(-1, 3)
    # Closed outlines name their first corner twice.
    if len(corners) > 3 and np.hypot(*(corners[0] - corners[-1])[:2]) < 0.01:
        corners = corners[:-1]
    return corners


# Stop lines and painted STOPs


def painted_stops(network: Network, layout: Layout) -> Iterator[tuple[Strand, float]]:
    """(lane, distance [m] along it) of every STOP painted on a lane."""
    lanes = locate([strand for strand in layout.strands if strand.kind == LaneKind.DRIVING])
    for road, element in _objects(network):
        if lanes is not None and _PAINTED_STOP.search(element.text("name", "")):
            found = lanes.near(_pose(road, element).origin, 1.5)
            for strand in [min(found, key=lambda one: found[one][0])] if found else []:
                yield strand, float(strand.arc[found[strand][1]])


def stop_line_objects(network: Network, layout: Layout) -> Iterator[tuple[Strand, float]]:
    """(lane, distance [m] along it) wherever a stop line object crosses a lane."""
    lanes = locate([strand for strand in layout.strands if strand.kind == LaneKind.DRIVING])
    for road, element in _objects(network):
        if lanes is None or not (element.text("type", "") == "stopLine" or _STOP_LINE.search(element.text("name", ""))):
            continue
        outline = _outline(road, element)
        if outline is None:
            continue
        first, last = _long_axis(outline)
        found: dict[Strand, tuple[float, int]] = {}
        for fraction in np.linspace(0.0, 1.0, 1 + max(1, min(200, int(np.hypot(*(last - first)[:2]) / SPACING)))):
            for strand, hit in lanes.near(first + fraction * (last - first), 0.5).items():
                found[strand] = min(hit, found.get(strand, hit))
        for strand, (_, index) in found.items():
            yield strand, float(strand.arc[index])


def _objects(network: Network) -> Iterator[tuple[Road, Element]]:
    for road in network.roads.values():
        for element in road.objects:
            yield road, element


def _long_axis(outline: Floats) -> tuple[Floats, Floats]:
    """Middles (3,) of the two short sides of the smallest box around an outline."""
    (a, b), _ = _axes(outline)
    return a, b


def _axes(outline: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """The outline's box: the end points of its longer middle line and those of its shorter one."""
    xy = outline[:, :2]
    best = None
    for start, end in zip(xy, np.roll(xy, -1, axis=0), strict=True):
        side = end - start
        norm = float(np.hypot(*side))
        if norm < 1e-6:
            continue
        along = side / norm
        across = np.array([-along[1], along[0]])
        u, v = xy @ along, xy @ across
        area = (u.max() - u.min()) * (v.max() - v.min())
        if best is None or area < best[0] - 1e-9:
            best = area, along, across, (u.min(), u.max()), (v.min(), v.max())
    if best is None:
        return (outline[0], outline[0]), (outline[0], outline[0])
    _, along, across, u, v = best
    z = float(outline[:, 2].mean())
    u_mid, v_mid = sum(u) / 2.0, sum(v) / 2.0
    first = tuple(np.append(along * end + across * v_mid, z) for end in u)
    second = tuple(np.append(along * u_mid + across * end, z) for end in v)
    lines = sorted(((first[0], first[1]), (second[0], second[1])), key=lambda line: -float(np.hypot(*(line[1] - line[0])[:2])))
    return lines[0], lines[1]


# Crosswalks


@dataclass(frozen=True, slots=True, eq=False)
class _Marking:
    """A crosswalk as found in the file, and the heading of the road it lies on."""

    road: Road
    name: str
    outline: Floats
    road_heading: float
    s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Foot:
    """Where a crosswalk meets a sidewalk: the lanes towards it and away from it, and the place (3,)."""

    towards: Strand
    away: Strand
    place: Floats


def lay_crosswalks(network: Network, layout: Layout) -> tuple[Crosswalk, ...]:
    """Every crosswalk with a lane for each direction, joined to the sidewalks it leads to (which are cut there)."""
    sidewalks = locate([strand for strand in layout.strands if strand.kind == LaneKind.SIDEWALK and strand.forward])
    collected: dict[Strand, list[_Foot]] = defaultdict(list)
    made = []
    for marking in _markings(network):
        lanes = _lay(marking, sidewalks, collected, layout)
        if lanes:
            made.append(Crosswalk(outline=marking.outline[:, :2], lanes=tuple(lane.name for lane in lanes)))
    feet = {strand: _settle(strand, found) for strand, found in collected.items()}
    twins = {(one.road.id, one.spans[0]): one for one in layout.strands if one.kind == LaneKind.SIDEWALK and not one.forward}
    joints = [
        (twins[strand.road.id, strand.spans[0]], found)
        for strand, found in feet.items()
        if (strand.road.id, strand.spans[0]) in twins
    ]
    for strand, found in [*feet.items(), *joints]:
        _join_sidewalk(strand, found, layout)
    return tuple(made)


def _markings(network: Network) -> Iterator[_Marking]:
    for road, element in _objects(network):
        if element.text("type", "").lower() == "crosswalk":
            for at in _copies(element):
                outline, pose = _outline(road, element, at), _pose(road, element, at)
                if outline is not None and len(outline) >= 3:
                    place = element.number("s") if at is None else at[0]
                    yield _Marking(road, element.text("id", "0"), outline, pose.road_heading, place)
    for road in network.roads.values():
        for signal in road.signals:
            if not signal.is_reference and meaning_of(signal) is Meaning.CROSSWALK and signal.width > 0.0:
                # The marking begins at the signal's s and is as deep as its value says.
                depth = signal.value if 0.5 < signal.value < 20.0 else DEPTH
                s = signal.s + np.array([0.0, depth, depth, 0.0])
                t = signal.t + np.array([0.5, 0.5, -0.5, -0.5]) * signal.width
                heading = float(road.line(np.array([min(max(signal.s, 0.0), road.length)]))[2][0])
                yield _Marking(road, signal.id, _on_plane(road, s, t), heading, signal.s)


def _walking_line(marking: _Marking) -> tuple[Floats, Floats, float]:
    """End points (3,) of the line people walk, and half the width of the crosswalk."""
    longer, shorter = _axes(marking.outline)
    long, short = (float(np.hypot(*(line[1] - line[0])[:2])) for line in (longer, shorter))
    line, width = longer, short
    if long < ELONGATED * short:
        # Nearly square: the side more across the road is the way over it.
        dx, dy = (longer[1] - longer[0])[:2]
        along = abs(np.cos(np.arctan2(dy, dx) - marking.road_heading))
        if along > np.cos(np.pi / 4.0):
            line, width = shorter, long
    return line[0], line[1], 0.5 * width


def _lay(marking: _Marking, sidewalks: Whereabouts | None, feet: dict[Strand, list[_Foot]], layout: Layout) -> tuple[Strand, ...]:
    """The two lanes of one crosswalk; notes in `feet` where they meet sidewalks."""
    first, last, half_width = _walking_line(marking)
    length = float(np.hypot(*(last - first)[:2]))
    if not (1.0 <= length <= CROSSWALK_MOST and 0.2 <= half_width <= CROSSWALK_MOST):
        size = f"{length:.1f} m long and {2.0 * half_width:.1f} m wide"
        layout.warnings.append(f"{marking.road.label}: crosswalk {marking.name!r} is {size}; left out")
        return ()
    step = (last - first) / length
    ends = []
    for end, outwards in ((first, -step), (last, step)):
        near = sidewalks.near(end, SIDEWALK_REACH) if sidewalks is not None else {}
        strand = min(near, key=lambda one: near[one][0]) if near else None
        ends.append((strand, end + outwards * NO_SIDEWALK_LEAD if strand is None else strand.points[near[strand][1]].copy()))
    points = _densify([ends[0][1], first, last, ends[1][1]])
    lanes = []
    for way, line in ((True, points), (False, points[::-1])):
        arrays = np.full(len(line), marking.s), line.copy(), np.full(len(line), half_width), np.full(len(line), WALKING_LIMIT)
        strand = Strand(marking.road, LaneKind.CROSSWALK, way, [(marking.s, marking.s, 0)], *arrays, None, both_ways=True)
        strand.name = layout.free_name(f"{marking.road.id}.crosswalk{marking.name}{'' if way else 'r'}")
        layout.strands.append(strand)
        lanes.append(strand)
    there, back = lanes
    for (strand, place), towards, away in ((ends[0], back, there), (ends[1], there, back)):
        if strand is not None:
            feet[strand].append(_Foot(towards, away, place))
    return there, back


def _densify(corners: Sequence[Floats]) -> Floats:
    """(P, 3) points every `SPACING` along a polyline, without doubled corners."""
    rows = [corners[0]]
    for start, end in itertools.pairwise(corners):
        distance = float(np.hypot(*(end - start)[:2]))
        if distance < 0.05:
            continue
        pieces = max(1, int(distance / SPACING))
        rows += [start + (end - start) * (k / pieces) for k in range(1, pieces + 1)]
    return np.array(rows)


def _settle(strand: Strand, feet: Sequence[_Foot]) -> list[_Foot]:
    """Feet moved to the sidewalk's end or to an earlier foot where that is next to them, so that all lanes meet in one point."""
    settled: list[_Foot] = []
    for foot in feet:
        taken = [strand.points[0], strand.points[-1], *(other.place for other in settled)]
        near = [place for place in taken if np.hypot(*(place - foot.place)[:2]) < SAME_PLACE]
        place = min(near, key=lambda one: float(np.hypot(*(one - foot.place)[:2]))) if near else foot.place
        foot.towards.points[-1], foot.away.points[0] = place, place
        settled.append(_Foot(foot.towards, foot.away, place.copy()))
    return settled


def _join_sidewalk(strand: Strand, feet: Sequence[_Foot], layout: Layout) -> None:
    """Cut a sidewalk at the crosswalks it meets, last one first, and join both."""
    arc = strand.arc
    placed = [(float(arc[np.argmin(np.hypot(*(strand.points - foot.place)[:, :2].T))]), foot) for foot in feet]
    for at, foot in sorted(placed, key=lambda one: -one[0]):
        if at < AT_END:
            join(foot.towards, strand)
        elif at > strand.length - AT_END:
            join(strand, foot.away)
            for follower in strand.successors:
                if follower.kind == LaneKind.SIDEWALK:
                    join(foot.towards, follower)
        else:
            behind = split(strand, at)
            behind.name = layout.free_name(f"{strand.name}@{behind.s[0]:.0f}")
            layout.strands.append(behind)
            join(foot.towards, behind)
            join(strand, foot.away)


def sight_blockers(network: Network) -> tuple[Floats, ...]:
    """Outlines (K, 2) of buildings."""
    found = []
    for road, element in _objects(network):
        outline = _outline(road, element) if element.text("type", "") == "building" else None
        if outline is not None and len(outline) >= 3:
            found.append(outline[:, :2])
    return tuple(found)
