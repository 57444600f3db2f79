"""From roads and lane sections to directed lanes: cross-sections, links, neighbours, and chains of sections made one lane.

Source of the rules: ASAM OpenDRIVE 1.8, chapter 11 (lanes), 10.3 (road linkage), 12 (junctions).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from scenarios.formats.opendrive_geometry import require_finite
from scenarios.formats.opendrive_limits import fill_limits, lane_limit
from scenarios.formats.opendrive_model import Lane, Network, Road, Section
from scenarios.formats.opendrive_strands import Strand, absorb, join, junction_names, lane_name, part
from sim.interface import Floats
from sim.roads.lane_map import POINT_SPACING, LaneKind

DRIVING_WIDTH_MIN = 1.5  # m; a driving lane narrower than this is no lane for a car
OTHER_WIDTH_MIN = 0.3  # m; strips narrower than this are kerbs and paint
CUT_MIN = 2.0  # m; no lane is cut nearer than this to where it begins or ends
GAP_FINE = 0.1  # m; joints closer than this are exact as far as driving goes
GAP_MOST = 3.0  # m; beyond this two lanes are not joined, whatever the file says
SLIVER = 0.1  # m; a lane shorter than this is a rounding error between two others
BESIDE = 0.5  # m; lanes whose borders are this near are neighbours
WIDTH_MOST = 100.0  # m; a lane wider than this is a damaged number

KINDS = {
    **dict.fromkeys(
        ("driving", "entry", "exit", "onRamp", "offRamp", "connectingRamp", "slipLane", "bidirectional", "bus", "taxi", "HOV"),
        LaneKind.DRIVING,
    ),
    "biking": LaneKind.CYCLE,
    "sidewalk": LaneKind.SIDEWALK,
    "walking": LaneKind.SIDEWALK,
    "shoulder": LaneKind.SHOULDER,
    "stop": LaneKind.SHOULDER,
    "parking": LaneKind.PARKING,
}
"""Lane types that become lanes; border, median, curb, restricted, none and the rest only take up width."""


@dataclass(slots=True, eq=False)
class Segment:
    """A stretch of one road with the same lanes from end to end: lane id to its strands (two where it is driven both ways)."""

    road: Road
    section: Section
    strands: dict[int, list[Strand]]
    edges: dict[Strand, tuple[float, float]]
    """Mean t [m] of each strand's lower and upper border."""


@dataclass(slots=True, eq=False)
class Layout:
    """All strands, and the segments of each road in order of s."""

    strands: list[Strand] = field(default_factory=list)
    segments: dict[str, list[Segment]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    lights: dict[str, set[str]] = field(default_factory=dict)
    """Signal groups by the id of a light of the file."""

    def free_name(self, base: str) -> str:
        """`base`, or `base#2` and so on where it is taken; taken from now on."""
        name, serial = base, 2
        while name in self.names:
            name, serial = f"{base}#{serial}", serial + 1
        self.names.add(name)
        return name


def lay_out(network: Network) -> Layout:
    """Every lane of the network, joined, chained and named."""
    layout = Layout()
    names = junction_names(network)
    for road in network.roads.values():
        junction = None if road.junction is None else names.get(road.junction, road.junction)
        layout.segments[road.id] = _cut_segments(road, junction, layout)
    _link(network, layout)
    _check_joints(layout)
    for segments in layout.segments.values():
        for segment in segments:
            _find_neighbours(segment)
    _chain(layout)
    _drop_slivers(layout)
    unknown = fill_limits(layout.strands)
    if unknown:
        layout.warnings.append(f"{unknown} driving lanes have no speed limit and no road type: 50 km/h assumed")
    for strand in layout.strands:
        # A road may have several lanes of one id after each other; the later ones carry their place.
        base = lane_name(strand)
        strand.name = layout.free_name(base if base not in layout.names else f"{base}@{strand.s[0]:.0f}")
    return layout


# Cross-sections


def _cut_segments(road: Road, junction: str | None, layout: Layout) -> list[Segment]:
    """Sample every section and cut it where a driving lane opens or closes."""
    starts = [section.s for section in road.sections] + [road.length]
    starts[0] = 0.0
    segments: list[Segment] = []
    for section, s0, s1 in zip(road.sections, starts, starts[1:], strict=False):
        if min(s1, road.length) - s0 > 1e-6:
            segments += _cut_section(road, section, (s0, min(s1, road.length)), junction, layout)
    return segments


def _cut_section(
    road: Road, section: Section, span: tuple[float, float], junction: str | None, layout: Layout
) -> Iterator[Segment]:
    s = np.linspace(*span, 1 + max(1, int(np.ceil((span[1] - span[0]) / POINT_SPACING))))
    require_finite(np.concatenate((*road.line(s), road.elevation(s), road.bank(s))), road.element, "geometry or elevation")
    borders = _borders(road, section, s, layout)
    for low, high in _cuts(section, borders, s):
        strands: dict[int, list[Strand]] = {}
        edges: dict[Strand, tuple[float, float]] = {}
        here = slice(low, high + 1)
        for lane_id, (inner, outer) in borders.items():
            lane = section.lanes[lane_id]
            made = _make_strands(road, lane, s[here], (inner[here], outer[here]))
            for strand in made:
                strand.junction = junction
                strand.limit = lane_limit(road, section, lane, strand)
                sides = float(inner[here].mean()), float(outer[here].mean())
                edges[strand] = min(sides), max(sides)
            if made:
                strands[lane_id] = made
                layout.strands += made
        yield Segment(road, section, strands, edges)


def _borders(road: Road, section: Section, s: Floats, layout: Layout) -> dict[int, tuple[Floats, Floats]]:
    """Inner and outer t [m] of every lane at s."""
    # A lane offset may jump where the next section starts; the last sample still belongs to this one.
    at = s.copy()
    at[-1] -= min(1e-6, 0.5 * (s[-1] - s[-2]))
    ds = at - section.s
    found: dict[int, tuple[Floats, Floats]] = {}
    for sign in (1, -1):
        offset = road.offset(at)
        inner = offset
        for lane_id in sorted((lane for lane in section.lanes if lane * sign > 0), key=abs):
            lane = section.lanes[lane_id]
            width = _width(lane, ds, (inner - offset) * sign)
            _check_width(road, lane, width, layout)
            outer = inner + sign * np.maximum(width, 0.0)
            found[lane_id] = inner, outer
            inner = outer
    return found


def _width(lane: Lane, ds: Floats, inner: Floats) -> Floats:
    """Width at ds; a border record counts from the lane reference line, its sign does not matter."""
    if lane.width is not None:
        return lane.width(ds)
    if lane.border is not None:
        result: Floats = np.abs(lane.border(ds)) - inner
        return result
    return np.zeros_like(ds)


def _check_width(road: Road, lane: Lane, width: Floats, layout: Layout) -> None:
    require_finite(width, lane.element, "width")
    if width.max() > WIDTH_MOST:
        raise lane.element.error(f"{width.max():g} m wide", "Check the width polynomial.")
    if width.min() < -0.05:
        layout.warnings.append(f"{road.label} lane {lane.id}: width falls to {width.min():.2f} m; taken as zero")
    if lane.width is None and lane.border is None and KINDS.get(lane.type) == LaneKind.DRIVING:
        layout.warnings.append(f"{road.label} lane {lane.id}: has neither <width> nor <border>; left out")


def _cuts(section: Section, borders: dict[int, tuple[Floats, Floats]], s: Floats) -> list[tuple[int, int]]:
    """Index ranges of s between the places where a driving lane becomes wide enough or too narrow."""
    marks = {0, s.size - 1}
    least = max(1, int(CUT_MIN / max(s[1] - s[0], 1e-9)))
    for lane_id, (inner, outer) in borders.items():
        if KINDS.get(section.lanes[lane_id].type) == LaneKind.DRIVING:
            wide = np.abs(outer - inner) >= DRIVING_WIDTH_MIN
            for index in np.flatnonzero(wide[1:] != wide[:-1]) + 1:
                if all(abs(int(index) - mark) >= least for mark in marks):
                    marks.add(int(index))
    ordered = sorted(marks)
    return list(itertools.pairwise(ordered))


def _make_strands(road: Road, lane: Lane, s: Floats, borders: tuple[Floats, Floats]) -> list[Strand]:
    """The lane's strands along s: none where it is too narrow or no lane for anybody, two where it is used both ways."""
    kind = KINDS.get(lane.type)
    width = np.abs(borders[1] - borders[0])
    if kind is None or width.mean() < (DRIVING_WIDTH_MIN if kind == LaneKind.DRIVING else OTHER_WIDTH_MIN):
        return []
    points = road.surface(s, 0.5 * (borders[0] + borders[1]))
    forward = (lane.id < 0) != road.left_hand
    both = lane.type == "bidirectional" or lane.direction == "both" or kind == LaneKind.SIDEWALK
    ways = (True, False) if both else (forward != (lane.direction == "reversed"),)
    made = []
    for way in ways:
        order = slice(None) if way else slice(None, None, -1)
        spans = [(float(s[0]), float(s[-1]), lane.id)]
        made.append(Strand(road, kind, way, spans, s[order], points[order], 0.5 * width[order], None, None, both_ways=both))
    return made


# Links


def _link(network: Network, layout: Layout) -> None:
    for road in network.roads.values():
        segments = layout.segments[road.id]
        for before, after in itertools.pairwise(segments):
            _link_segments(before, after, layout)
        for end in ("start", "end"):
            _link_road_end(road, end, layout)
    for junction in network.junctions.values():
        for connection in junction.connections:
            incoming, other = network.roads[connection.incoming], network.roads[connection.other]
            end = _junction_end(incoming, junction.id, other, connection.contact, layout)
            for here, there in connection.lanes:
                _connect((incoming, end, here), (other, connection.contact, there), layout)
    for road in network.roads.values():
        for end in ("start", "end"):
            _link_by_position(road, end, layout)


def _link_segments(before: Segment, after: Segment, layout: Layout) -> None:
    """Join two segments of one road: the same lanes inside a section, the lanes' own links between two sections."""
    if before.section is after.section:
        pairs = {(lane, lane) for lane in before.section.lanes}
    else:
        pairs = {(lane.id, target) for lane in before.section.lanes.values() for target in lane.successors}
        pairs |= {(source, lane.id) for lane in after.section.lanes.values() for source in lane.predecessors}
        told = {pair[0] for pair in pairs} | {pair[1] for pair in pairs}
        # Some files leave the links out where nothing changes.
        pairs |= {(lane, lane) for lane in before.section.lanes if lane in after.section.lanes and lane not in told}
    for here, there in sorted(pairs):
        _pair_lanes((before, "end", here), (after, "start", there), layout)


def _link_road_end(road: Road, end: str, layout: Layout) -> None:
    """Join one end of a road with the road that its link names, by the lanes' own links."""
    link = road.links.get(end)
    segments = layout.segments[road.id]
    if link is None or link.kind != "road" or not segments:
        return
    other = next((found[0].road for found in (layout.segments[link.target],) if found), None)
    if other is None:
        return
    section = segments[-1 if end == "end" else 0].section
    for lane in section.lanes.values():
        for target in lane.successors if end == "end" else lane.predecessors:
            _connect((road, end, lane.id), (other, link.contact, target), layout)


def _junction_end(road: Road, junction: str, other: Road, contact: str, layout: Layout) -> str:
    """Which end of `road` lies at the junction; where both do, the one nearer to the other road's contact point."""
    ends = [end for end, link in road.links.items() if link.kind == "junction" and link.target == junction]
    if len(ends) == 1:
        return ends[0]
    x, y, _ = other.line(np.array([0.0 if contact == "start" else other.length]))
    at = np.array([0.0, road.length])
    ends_x, ends_y, _ = road.line(at)
    return "start" if np.argmin(np.hypot(ends_x - x, ends_y - y)) == 0 else "end"


def _connect(here: tuple[Road, str, int], there: tuple[Road, str, int], layout: Layout) -> None:
    """Join lanes given as (road, end, lane id)."""
    if layout.segments[here[0].id] and layout.segments[there[0].id]:
        _pair_lanes((_segment_at(*here[:2], layout), *here[1:]), (_segment_at(*there[:2], layout), *there[1:]), layout)


def _segment_at(road: Road, end: str, layout: Layout) -> Segment:
    return layout.segments[road.id][-1 if end == "end" else 0]


def _pair_lanes(here: tuple[Segment, str, int], there: tuple[Segment, str, int], layout: Layout) -> None:
    """Join lanes given as (segment, end, lane id). One that narrows to nothing ends there; that is no loose end."""
    a, b = here[0].strands.get(here[2], []), there[0].strands.get(there[2], [])
    narrowed = any(_is_narrow(*side) for side in (here, there))
    if not narrowed:
        _pair(a, here[1], b, there[1], layout)


def _is_narrow(segment: Segment, _end: str, lane_id: int) -> bool:
    """Whether the segment has this lane for driving, but too narrow to be a strand."""
    lane = segment.section.lanes.get(lane_id)
    return lane is not None and KINDS.get(lane.type) == LaneKind.DRIVING and lane_id not in segment.strands


def _pair(a: Sequence[Strand], a_end: str, b: Sequence[Strand], b_end: str, layout: Layout) -> None:
    """Join every strand that leaves through this joint with every one that enters, and note that the file continues here."""
    joined = False
    for strand, end in [(strand, a_end) for strand in a] + [(strand, b_end) for strand in b]:
        strand.continues |= strand.forward == (end == "end")
    for one in a:
        for two in b:
            leaves, enters = one.forward == (a_end == "end"), two.forward == (b_end == "start")
            if leaves != enters:
                continue
            before, after = (one, two) if leaves else (two, one)
            if before.kind == after.kind or (before.kind, after.kind) == (LaneKind.CYCLE, LaneKind.DRIVING):
                join(before, after)
            joined = True
    if a and b and not joined and a[0].kind == b[0].kind == LaneKind.DRIVING:
        layout.warnings.append(f"{a[0].label} and {b[0].label} are linked head to head; not joined")


def _link_by_position(road: Road, end: str, layout: Layout) -> None:
    """Where a road follows a road and no lane says how, join the lanes that meet."""
    link = road.links.get(end)
    segments = layout.segments[road.id]
    if link is None or link.kind != "road" or not segments or not layout.segments[link.target]:
        return
    mine = [strand for found in segments[-1 if end == "end" else 0].strands.values() for strand in found]
    others = layout.segments[link.target][-1 if link.contact == "end" else 0]
    theirs = [strand for found in others.strands.values() for strand in found]
    leaving = [strand for strand in mine if strand.kind == LaneKind.DRIVING and strand.forward == (end == "end")]
    if any(strand.continues for strand in leaving):
        return
    for strand in leaving:
        for other in theirs:
            enters = other.forward == (link.contact == "start") and other.kind == strand.kind
            if enters and not other.predecessors and np.hypot(*(other.points[0] - strand.points[-1])[:2]) < GAP_FINE:
                join(strand, other)
                strand.continues = True
                layout.warnings.append(f"{strand.label}: no lane link to {other.label}; joined by position")


def _check_joints(layout: Layout) -> None:
    """Undo joints that are no joints at all. Smaller gaps stay; assembly measures and names them."""
    for strand in layout.strands:
        for follower in list(strand.successors):
            gap = float(np.hypot(*(follower.points[0] - strand.points[-1])[:2]))
            if gap <= GAP_MOST:
                continue
            part(strand, follower)
            if strand.kind != LaneKind.DRIVING:
                continue
            place = f"{strand.label} at s={strand.s[-1]:.2f}: {follower.label}, said to follow, is {gap:.2f} m away"
            # A lane drop without taper: the lane ends, and the one beside it leads on.
            merges = not strand.successors and _ends_beside(strand, follower)
            strand.continues &= not merges
            layout.warnings.append(place + ("; the lane ends there, the one beside it leads on" if merges else "; not joined"))


def _ends_beside(strand: Strand, follower: Strand) -> bool:
    """Whether another lane of the same road ends beside `strand` and leads into `follower`."""
    return any(
        other.road is strand.road
        and other.s[-1] == strand.s[-1]
        and np.hypot(*(follower.points[0] - other.points[-1])[:2]) < GAP_FINE
        for other in follower.predecessors
    )


# Neighbours


def _find_neighbours(segment: Segment) -> None:
    """left, right and opposite of the driving lanes of one segment."""
    lanes = [strand for strand in segment.edges if strand.kind == LaneKind.DRIVING]
    length = abs(lanes[0].s[-1] - lanes[0].s[0]) if lanes else 0.0
    for one in lanes:
        for two in lanes:
            if one is two:
                continue
            one_way = not one.both_ways and not two.both_ways
            # `two` starts in t where `one` ends: it is on one's left when one runs forward.
            beside = abs(segment.edges[two][0] - segment.edges[one][1]) < BESIDE
            if beside and one_way and one.forward == two.forward:
                first, second = (one, two) if one.forward else (two, one)
                first.left, second.right = second, first
            elif (beside and one_way) or segment.edges[one] == segment.edges[two]:
                one.opposites.append((two, length))
                two.opposites.append((one, length))


# Chains


def _chain(layout: Layout) -> None:
    """Make one strand of the pieces that follow each other one to one along a road, keeping neighbours in step."""
    alias: dict[Strand, Strand] = {}
    for segments in layout.segments.values():
        for before, after in itertools.pairwise(segments):
            for group in _groups(before, after):
                if all(_follows_alone(up, down) for up, down in group):
                    for up, down in group:
                        _absorb_as(up, down, alias)
    dead = set(alias)
    layout.strands = [strand for strand in layout.strands if strand not in dead]
    for strand in layout.strands:
        strand.left = _resolve(strand.left, alias)
        strand.right = _resolve(strand.right, alias)
        shared: dict[Strand, float] = defaultdict(float)
        for other, length in strand.opposites:
            shared[alias.get(other, other)] += length
        strand.opposites = list(shared.items())
    for segments in layout.segments.values():
        for segment in segments:
            segment.strands = {lane: [alias.get(strand, strand) for strand in found] for lane, found in segment.strands.items()}


def _resolve(strand: Strand | None, alias: dict[Strand, Strand]) -> Strand | None:
    return None if strand is None else alias.get(strand, strand)


def _groups(before: Segment, after: Segment) -> Iterator[list[tuple[Strand, Strand]]]:
    """Pairs (upstream, downstream) that may only be chained together: all driving lanes of one direction, others one by one."""
    for way in (True, False):
        upstream, downstream = (before, after) if way else (after, before)
        ups = _across(upstream, way)
        downs = _across(downstream, way)
        if len(ups) == len(downs) and all(down in up.successors for up, down in zip(ups, downs, strict=True)):
            yield list(zip(ups, downs, strict=True))
        for strand in [other for other in upstream.edges if other.forward == way and other.kind != LaneKind.DRIVING]:
            if len(strand.successors) == 1 and strand.successors[0] in downstream.edges:
                yield [(strand, strand.successors[0])]


def _across(segment: Segment, way: bool) -> list[Strand]:
    lanes = [strand for strand in segment.edges if strand.kind == LaneKind.DRIVING and strand.forward == way]
    return sorted(lanes, key=lambda strand: segment.edges[strand])


def _follows_alone(up: Strand, down: Strand) -> bool:
    same_gap = float(np.hypot(*(down.points[0] - up.points[-1])[:2])) < GAP_FINE
    alone = len(up.successors) == 1 and up.successors[0] is down and len(down.predecessors) == 1
    return alone and same_gap and up.kind == down.kind and (up.limit is None) == (down.limit is None)


def _absorb_as(up: Strand, down: Strand, alias: dict[Strand, Strand]) -> None:
    """Absorb the pair, whichever of the two was absorbed before."""
    whole = alias.get(up, up)
    absorb(whole, down)
    alias[down] = whole
    for old, target in alias.items():
        if target is down:
            alias[old] = whole


def _drop_slivers(layout: Layout) -> None:
    """Leave out lanes of next to no length, joining what comes before with what comes after."""
    slivers = {strand for strand in layout.strands if strand.length < SLIVER}
    for strand in layout.strands:
        if strand not in slivers:
            strand.left = None if strand.left in slivers else strand.left
            strand.right = None if strand.right in slivers else strand.right
            strand.opposites = [(other, length) for other, length in strand.opposites if other not in slivers]
            continue
        before, after = list(strand.predecessors), list(strand.successors)
        for other in before:
            part(other, strand)
            other.continues |= strand.continues
        for other in after:
            part(strand, other)
        for one in before:
            for two in after:
                join(one, two)
    layout.strands = [strand for strand in layout.strands if strand not in slivers]
