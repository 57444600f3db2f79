"""Assembly: a `MapDraft` from a reader or a builder becomes a finished `LaneMap`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.geometry import Floats
from sim.roads.conflicts import VEHICLE_KINDS, Survey, Sweep, candidate_pairs, conflict_tables, make_sweep, survey_pairs
from sim.roads.drivable import DRIVABLE, border_lines, draw_drivable, measure_room
from sim.roads.ease import ease_bends
from sim.roads.graph import (
    Links,
    classify_turn,
    find_entries,
    flat_links,
    group_lanes,
    joint_warnings,
    lane_bend,
    link_lanes,
    neighbour_index,
    share_control,
    share_priority_road,
)
from sim.roads.lane_map import (
    CLASS_SIZES,
    CLASSES,
    CLUSTER_DTYPE,
    LANE_DTYPE,
    PHASE_DTYPE,
    POINT_DTYPE,
    SIGNAL_DTYPE,
    ConflictKind,
    FootprintClass,
    LaneKind,
    LaneMap,
    MapDraft,
    Regulation,
    SignalPlan,
    Turn,
)
from sim.roads.priority import Side, right_of_way
from sim.roads.resample import RoadError, sample_lane
from sim.roads.stops import StopContext, place_stops

NEAR_JUNCTION = 8.0  # m, box centres this close to a lane's junction end belong to the junction's own lanes
ONE_AFTER_ANOTHER = 15.0  # m, lanes that follow each other with less than this in between are one path, not a conflict
HEAD_ON = np.radians(150.0)
HEAD_ON_STRIP = 12.0  # m, shorter overlaps of opposing lanes are crossings
PARALLEL = np.radians(40.0)
LANE_END = 1.0  # m, how close to an end of a lane an overlap must come to begin or end there


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """Lanes and links before conflicts are known."""

    draft: MapDraft
    index: dict[str, int]
    lanes: NDArray[np.void]
    points: NDArray[np.void]
    successors: Links
    predecessors: Links


def _origin(draft: MapDraft) -> tuple[float, float]:
    """Rounded centre of everything, so that float32 offsets stay fine."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for lane in draft.lanes:
        line = np.asarray(lane.centreline, dtype=np.float64)
        if line.ndim == 2 and line.shape[1] >= 2:
            finite = line[np.isfinite(line).all(axis=1)][:, :2]
            if len(finite):
                low, high = np.minimum(low, finite.min(axis=0)), np.maximum(high, finite.max(axis=0))
    centre = np.round(0.5 * (low + high)) if np.isfinite(low).all() else np.zeros(2)
    return float(centre[0]), float(centre[1])


def _index_names(draft: MapDraft) -> dict[str, int]:
    index: dict[str, int] = {}
    for position, lane in enumerate(draft.lanes):
        if lane.name in index:
            raise RoadError(f"map {draft.name!r}: two lanes are called {lane.name!r}; names must be unique")
        index[lane.name] = position
    if not index:
        raise RoadError(f"map {draft.name!r} has no lanes")
    return index


def _first_seen(names: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _control(draft: MapDraft, lanes: NDArray[np.void]) -> None:
    """Regulation and signal columns as drafted."""
    groups = {plan.name: number for number, plan in enumerate(draft.signals)}
    for number, lane in enumerate(draft.lanes):
        lanes["regulation"][number] = lane.regulation
        lanes["signal"][number] = -1
        if lane.signal is not None:
            if lane.signal not in groups:
                raise RoadError(
                    f"lane {lane.name!r} of road {lane.road!r}: signal {lane.signal!r} is not one of {sorted(groups)}"
                )
            lanes["signal"][number] = groups[lane.signal]
        elif lane.regulation == Regulation.SIGNAL:
            raise RoadError(f"lane {lane.name!r} of road {lane.road!r} is controlled by a signal but names none; set `signal`")


def _network(draft: MapDraft, origin: tuple[float, float]) -> tuple[_Network, list[int]]:
    """Sample every lane, link the graph, classify turns and share control; also the dangling lanes."""
    index = _index_names(draft)
    sampled = [sample_lane(lane, origin) for lane in draft.lanes]
    lanes = np.zeros(len(sampled), LANE_DTYPE)
    counts = np.array([len(points) for points, _ in sampled])
    lanes["point_start"], lanes["point_count"] = np.cumsum(counts) - counts, counts
    lanes["spacing"] = [spacing for _, spacing in sampled]
    lanes["length"] = lanes["spacing"] * (counts - 1)
    lanes["kind"] = [lane.kind for lane in draft.lanes]
    for side in ("left", "right", "opposite"):
        lanes[side] = neighbour_index(draft.lanes, index, side)
    junctions = {name: number for number, name in enumerate(_first_seen([lane.junction for lane in draft.lanes]))}
    lanes["junction"] = [junctions[lane.junction] if lane.junction else -1 for lane in draft.lanes]
    lanes["cluster"], lanes["local"], lanes["stop_s"] = -1, -1, -1.0
    points = np.concatenate([points for points, _ in sampled]) if sampled else np.zeros(0, POINT_DTYPE)
    successors, predecessors, dangling = link_lanes(draft.lanes, index)
    _, lanes["successor_start"], lanes["successor_count"] = flat_links(successors)
    _, lanes["predecessor_start"], lanes["predecessor_count"] = flat_links(predecessors)
    lanes["turn"] = [classify_turn(lanes, points, lane) for lane in range(len(lanes))]
    _control(draft, lanes)
    share_control(lanes, successors, predecessors)
    return _Network(
        draft=draft, index=index, lanes=lanes, points=points, successors=successors, predecessors=predecessors
    ), dangling


def _lane_by_lane(network: _Network, points: NDArray[np.void]) -> list[NDArray[np.void]]:
    return [points[lane["point_start"] : lane["point_start"] + lane["point_count"]] for lane in network.lanes]


def _ease(network: _Network) -> tuple[NDArray[np.void], list[str]]:
    """Draw out bends that no car can follow; the points as they were before, and what was done."""
    drawn = network.points.copy()
    eased = ease_bends(network.lanes, network.points, network.successors, network.predecessors)
    drafts = network.draft.lanes
    return drawn if eased else network.points, [
        f"road {drafts[lane].road!r}, lane {drafts[lane].name!r}, s={s:.1f} m: bends with a radius of {before:.1f} m, "
        f"tighter than a car can turn; drawn out to {after:.1f} m"
        for lane, s, before, after in eased
    ]


def _rooms(network: _Network, drawn: NDArray[np.void]) -> tuple[Floats, ...]:
    """Fill the room columns; returns the border lines. drawn: the points as the source has them, which tell where road is."""
    each = _lane_by_lane(network, network.points)
    drivable = [
        points for points, kind in zip(_lane_by_lane(network, drawn), network.lanes["kind"], strict=True) if kind in DRIVABLE
    ]
    bitmap = draw_drivable(drivable, network.draft.extra_drivable)
    taken = [points for points, kind in zip(each, network.lanes["kind"], strict=True) if kind in DRIVABLE]
    for points in drivable if drawn is network.points else [*drivable, *taken]:
        measure_room(bitmap, points)
    for points, kind in zip(each, network.lanes["kind"], strict=True):
        if kind not in DRIVABLE:
            points["room_left"] = points["room_right"] = points["half_width"]
    return border_lines(bitmap, drivable, network.draft.extra_drivable)


def _soon_after(network: _Network, lane: int) -> set[int]:
    """Lanes that come after `lane` with less than ONE_AFTER_ANOTHER between them."""
    found: set[int] = set()
    front = [(following, 0.0) for following in network.successors[lane]]
    while front:
        following, between = front.pop()
        found.add(following)
        between += float(network.lanes["length"][following])
        if between < ONE_AFTER_ANOTHER:
            front.extend((onward, between) for onward in network.successors[following])
    return found


def _parallel_neighbours(lanes: NDArray[np.void], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) pairs that are left/right or opposite of each other."""
    a, b = pairs.T
    marked = np.zeros(len(pairs), bool)
    for side in ("left", "right", "opposite"):
        marked |= (lanes[side][a] == b) | (lanes[side][b] == a)
    return marked


def _at_junction_end(network: _Network, lane: int, enter: float, leave: float, margin: float) -> bool:
    """Whether a swept range on a lane outside junctions lies within `margin` of an end where a junction begins."""
    lanes = network.lanes
    length = float(lanes["length"][lane])
    after = any(lanes["junction"][n] >= 0 for n in network.successors[lane])
    before = any(lanes["junction"][n] >= 0 for n in network.predecessors[lane])
    return (after and enter > length - margin) or (before and leave < margin)


def _spills_over(network: _Network, survey: Survey, n: int) -> bool:
    """Whether a contact is only the rim of a junction: its own lanes, swept past their ends, already say so.

    With a crosswalk that holds for half a car beyond the lane's end alone.
    """
    a, b = int(survey.a[n]), int(survey.b[n])
    lanes = network.lanes
    walking = [lanes["kind"][lane] not in VEHICLE_KINDS for lane in (a, b)]
    margin = 0.5 * float(CLASS_SIZES[FootprintClass.CAR, 0]) if any(walking) else NEAR_JUNCTION
    inside = [lanes["junction"][lane] >= 0 or walks for lane, walks in zip((a, b), walking, strict=True)]
    rims = (
        inside[0] or _at_junction_end(network, a, float(survey.enter_a[n]), float(survey.leave_a[n]), margin),
        inside[1] or _at_junction_end(network, b, float(survey.enter_b[n]), float(survey.leave_b[n]), margin),
    )
    return all(rims) and not all(inside)


def _conflict_kind(network: _Network, survey: Survey, n: int) -> ConflictKind:
    """How two lanes that touch relate."""
    a, b = int(survey.a[n]), int(survey.b[n])
    if set(network.successors[a]) & set(network.successors[b]):
        return ConflictKind.MERGE
    if set(network.predecessors[a]) & set(network.predecessors[b]):
        return ConflictKind.DIVERGE
    angle = abs(float(survey.angle[n]))
    spans = (survey.leave_a[n] - survey.enter_a[n], survey.leave_b[n] - survey.enter_b[n])
    if angle > HEAD_ON and min(spans) > HEAD_ON_STRIP:
        return ConflictKind.OPPOSE
    if angle < PARALLEL:
        lengths = network.lanes["length"][a], network.lanes["length"][b]
        if survey.leave_a[n] > lengths[0] - LANE_END or survey.leave_b[n] > lengths[1] - LANE_END:
            return ConflictKind.MERGE
        if survey.enter_a[n] < LANE_END or survey.enter_b[n] < LANE_END:
            return ConflictKind.DIVERGE
    return ConflictKind.CROSS


def _find_conflicts(
    network: _Network, sweep: Sweep
) -> tuple[dict[tuple[int, int], ConflictKind], dict[int, list[tuple[float, float]]]]:
    """Unordered conflicting pairs with their kind, and the ranges on approach lanes that junction traffic merely brushes."""
    pairs = candidate_pairs(network.lanes, sweep)
    after = [_soon_after(network, lane) for lane in range(len(network.lanes))]
    chained = np.array([b in after[a] or a in after[b] for a, b in pairs.tolist()], bool)
    pairs = pairs[~chained] if len(pairs) else pairs
    survey = survey_pairs(network.lanes, sweep, pairs, _parallel_neighbours(network.lanes, pairs))
    kinds: dict[tuple[int, int], ConflictKind] = {}
    touches: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for n in range(len(survey.a)):
        a, b = int(survey.a[n]), int(survey.b[n])
        if _spills_over(network, survey, n):
            touches[a].append((float(survey.enter_a[n]), float(survey.leave_a[n])))
            touches[b].append((float(survey.enter_b[n]), float(survey.leave_b[n])))
        else:
            kinds[a, b] = _conflict_kind(network, survey, n)
    return kinds, dict(touches)


def _sides(network: _Network, yields: set[tuple[int, int]]) -> list[Side]:
    """What the right-of-way rules look at of every lane; `overrides` is filled in per pair."""
    priority_road = share_priority_road(network.draft.lanes, network.predecessors)
    sides = []
    for lane, record in enumerate(network.lanes):
        points = network.points[record["point_start"] : record["point_start"] + record["point_count"]]
        sides.append(
            Side(
                kind=LaneKind(record["kind"]), regulation=Regulation(record["regulation"]),
                priority_road=bool(priority_road[lane]),
                turn=Turn(record["turn"]), heading=float(points["heading"][0]), bend=abs(lane_bend(points)),
                ends=not network.successors[lane], overrides=False,
            )
        )  # fmt: skip
    return sides


def _explicit_yields(network: _Network) -> set[tuple[int, int]]:
    """(lane, other) for every name in `yields_to`."""
    found = set()
    for lane, draft in enumerate(network.draft.lanes):
        for name in draft.yields_to:
            if name not in network.index:
                raise RoadError(f"lane {draft.name!r} of road {draft.road!r} yields to {name!r}, which is not a lane of this map")
            found.add((lane, network.index[name]))
    return found


def _fill_priorities(
    network: _Network, ordered: NDArray[np.int64], kinds: dict[tuple[int, int], ConflictKind], conflicts: NDArray[np.void]
) -> None:
    """Kind and priority columns of all records."""
    yields = _explicit_yields(network)
    sides = _sides(network, yields)
    grid = conflicts.reshape(-1, CLASSES * CLASSES)
    left_hand, to_right = network.draft.left_hand_traffic, network.draft.priority_to_right
    for n, (a, b) in enumerate(ordered.tolist()):
        kind = kinds[min(a, b), max(a, b)]
        side, other = sides[a], sides[b]
        if (a, b) in yields or (b, a) in yields:
            side, other = replace(side, overrides=(a, b) in yields), replace(other, overrides=(b, a) in yields)
        grid["kind"][n] = kind
        grid["priority"][n] = right_of_way(side, other, kind, left_hand, to_right)


def _make_clusters(network: _Network, ordered: NDArray[np.int64]) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Clusters (C,) and their dense matrix; fills cluster and local of the lanes."""
    lanes = network.lanes
    lanes["cluster"] = group_lanes(len(lanes), ordered)
    clusters = np.zeros(int(lanes["cluster"].max(initial=-1)) + 1, CLUSTER_DTYPE)
    start = 0
    for number in range(len(clusters)):
        members = np.flatnonzero(lanes["cluster"] == number)
        lanes["local"][members] = np.arange(len(members))
        record = clusters[number]
        record["matrix_start"], record["size"] = start, len(members)
        xy = np.concatenate([_xy(network, int(lane)) for lane in members])
        centre = 0.5 * (xy.min(axis=0) + xy.max(axis=0))
        record["x"], record["y"] = centre
        record["radius"] = float(np.hypot(*(xy - centre).T).max())
        start += len(members) ** 2
    matrix = np.full(start, -1, np.int32)
    for n, (a, b) in enumerate(ordered.tolist()):
        cluster = clusters[lanes["cluster"][a]]
        matrix[cluster["matrix_start"] + lanes["local"][a] * cluster["size"] + lanes["local"][b]] = n * CLASSES * CLASSES
    return clusters, matrix


def _xy(network: _Network, lane: int) -> Floats:
    record = network.lanes[lane]
    points = network.points[record["point_start"] : record["point_start"] + record["point_count"]]
    return np.stack([points["x"], points["y"]], axis=1)


def signal_arrays(plans: Sequence[SignalPlan]) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Signal groups (G,) and their phases. RoadError for a phase without a duration."""
    signals = np.zeros(len(plans), SIGNAL_DTYPE)
    phases: list[tuple[float, int]] = []
    for number, plan in enumerate(plans):
        if not plan.phases or any(not (np.isfinite(duration) and duration > 0.0) for duration, _ in plan.phases):
            raise RoadError(f"signal {plan.name!r}: every phase needs a positive duration, got {plan.phases!r}")
        signals[number] = (len(phases), len(plan.phases), sum(duration for duration, _ in plan.phases), plan.offset_s)
        phases.extend((duration, int(colour)) for duration, colour in plan.phases)
    return signals, np.array(phases, PHASE_DTYPE)


def _moved(outlines: Sequence[Floats], origin: tuple[float, float]) -> tuple[Floats, ...]:
    return tuple(_frozen(np.asarray(outline, dtype=np.float64)[:, :2] - origin) for outline in outlines)


_A = TypeVar("_A", bound=NDArray[np.generic])


def _frozen(array: _A) -> _A:
    """The same array, read-only from here on."""
    array.setflags(write=False)
    return array


def assemble(draft: MapDraft) -> LaneMap:
    """The finished map of a draft: re-centred, sampled, linked, with room, conflict tables, right of way and stop lines.

    Raises RoadError (a ValueError) naming the lane, its position and road for geometry no map can be made of.
    """
    origin = _origin(draft)
    draft = replace(draft, extra_drivable=_moved(draft.extra_drivable, origin), scenery=_moved(draft.scenery, origin))
    network, dangling = _network(draft, origin)
    lanes = network.lanes
    drawn, bends = _ease(network)
    edges = _rooms(network, drawn)
    sweep = make_sweep(lanes, network.points)
    kinds, touches = _find_conflicts(network, sweep)
    ordered = np.array([pair for a, b in sorted(kinds) for pair in ((a, b), (b, a))], np.int64).reshape(-1, 2)
    clusters, matrix = _make_clusters(network, ordered)
    conflicts, rows = conflict_tables(lanes, sweep, ordered)
    _fill_priorities(network, ordered, kinds, conflicts)
    by_lane: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for n, (a, b) in enumerate(ordered.tolist()):
        by_lane[a].append((b, n * CLASSES * CLASSES))
    context = StopContext(
        drafts=draft.lanes, lanes=lanes, successors=network.successors, by_lane=by_lane, conflicts=conflicts, touches=touches
    )
    lanes["stop_s"], stop_warnings = place_stops(context)
    entries = find_entries(lanes, network.successors)
    signals, phases = signal_arrays(draft.signals)
    joints = joint_warnings(draft.lanes, lanes, network.points, network.successors)
    return LaneMap(
        name=draft.name, lanes=_frozen(lanes), points=_frozen(network.points),
        successors=_frozen(flat_links(network.successors)[0]),
        predecessors=_frozen(flat_links(network.predecessors)[0]), entries=_frozen(entries), clusters=_frozen(clusters),
        cluster_matrix=_frozen(matrix), conflicts=_frozen(conflicts), conflict_rows=_frozen(rows), signals=_frozen(signals),
        phases=_frozen(phases),
        lane_names=tuple(lane.name for lane in draft.lanes), road_names=tuple(lane.road for lane in draft.lanes),
        junction_names=_first_seen([lane.junction for lane in draft.lanes]),
        signal_names=tuple(plan.name for plan in draft.signals),
        crosswalks=tuple(replace(one, outline=_moved([one.outline], origin)[0]) for one in draft.crosswalks), edges=edges,
        scenery=tuple(draft.scenery), origin=origin, left_hand_traffic=draft.left_hand_traffic,
        warnings=(*draft.warnings, *bends, *joints, *stop_warnings), dangling=tuple(dangling),
    )  # fmt: skip
