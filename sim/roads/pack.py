"""Several maps and route sets as one set of arrays, so that the worlds of a batch may each drive on a map of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.roads.lane_map import (
    CLUSTER_DTYPE,
    CONFLICT_DTYPE,
    ENTRY_DTYPE,
    LANE_DTYPE,
    PHASE_DTYPE,
    POINT_DTYPE,
    SIGNAL_DTYPE,
    LaneMap,
)
from sim.roads.route import OFF_ROUTE, STEP_DTYPE, Route, route_steps
from sim.tables import share

__all__ = ["OFF_ROUTE", "ROUTE_DTYPE", "STEP_DTYPE", "Packed", "Roads", "pack"]

ROUTE_DTYPE = np.dtype(
    [("table_start", "i8"), ("lane_base", "i4"), ("lane_count", "i4"), ("goal_lane", "i4"), ("goal_s", "f4"), ("length", "f4")],
    align=True,
)
"""One route. Its step on a lane is entry `table_start + lane - lane_base` of `Roads.route_steps`; length: from its first lane's
start."""


class Roads(NamedTuple):
    """Static arrays for kernels; lane indices are global over the packed maps. See `sim.roads.lane_map` for the dtypes."""

    lanes: NDArray[np.void]
    points: NDArray[np.void]
    successors: NDArray[np.int32]
    entries: NDArray[np.void]
    clusters: NDArray[np.void]
    cluster_matrix: NDArray[np.int32]
    conflicts: NDArray[np.void]
    conflict_rows: NDArray[np.float32]
    signals: NDArray[np.void]
    phases: NDArray[np.void]
    routes: NDArray[np.void]
    route_steps: NDArray[np.void]
    """Read entry `routes[r].table_start + lane - routes[r].lane_base`."""
    walls: NDArray[np.float32]
    """(S, 4) sight-blocking segments x0, y0, x1, y1; `wall_start` delimits each world's map."""
    wall_start: NDArray[np.int32]
    """(M + 1,) per packed map."""
    predecessors: NDArray[np.int32]


_INT, _FLOAT = np.dtype(np.int32), np.dtype(np.float32)
share(
    Roads,
    {
        "lanes": (LANE_DTYPE, 1), "points": (POINT_DTYPE, 1), "successors": (_INT, 1), "entries": (ENTRY_DTYPE, 1),
        "clusters": (CLUSTER_DTYPE, 1), "cluster_matrix": (_INT, 1), "conflicts": (CONFLICT_DTYPE, 1),
        "conflict_rows": (_FLOAT, 2), "signals": (SIGNAL_DTYPE, 1), "phases": (PHASE_DTYPE, 1), "routes": (ROUTE_DTYPE, 1),
        "route_steps": (STEP_DTYPE, 1), "walls": (_FLOAT, 2), "wall_start": (_INT, 1), "predecessors": (_INT, 1),
    },
)  # fmt: skip


class Packed(NamedTuple):
    """Roads and where each world's part is: indices of a world's own map and routes plus these bases are indices into `roads`."""

    roads: Roads
    map_index: NDArray[np.int32]
    """(W,) packed map of each world; maps that are the same object are packed once."""
    lane_base: NDArray[np.int32]
    """(W,)"""
    route_base: NDArray[np.int32]
    """(W,) first route of each world."""
    signal_base: NDArray[np.int32]
    """(W,)"""


class _Bases(NamedTuple):
    lanes: NDArray[np.int64]
    signals: NDArray[np.int64]


def _starts(counts: Sequence[int]) -> NDArray[np.int64]:
    """Running start of each part, one more than parts."""
    return np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))]).astype(np.int64)


def _shifted(array: NDArray[np.void], columns: Sequence[tuple[str, int]]) -> NDArray[np.void]:
    """A copy with index columns moved by their base; -1 (none) stays."""
    moved = array.copy()
    for column, base in columns:
        moved[column] = np.where(moved[column] >= 0, moved[column] + base, moved[column])
    return moved


def _offset(indices: NDArray[np.int32], base: int) -> NDArray[np.int32]:
    """Indices moved by their base; -1 (none) stays."""
    return np.where(indices >= 0, indices + base, -1).astype(np.int32)


def _joined(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    return np.concatenate(parts) if len(parts) > 1 else parts[0].copy()


def _segments(road_map: LaneMap) -> NDArray[np.float32]:
    """(S, 4) sides of the outlines that block sight."""
    sides = [np.hstack([outline, np.roll(outline, -1, axis=0)]) for outline in road_map.scenery]
    return np.vstack(sides).astype(np.float32) if sides else np.empty((0, 4), np.float32)


def _pack_maps(maps: Sequence[LaneMap]) -> tuple[Roads, _Bases]:
    """Maps one after the other, without routes."""
    lanes, points = _starts([len(m.lanes) for m in maps]), _starts([len(m.points) for m in maps])
    successors, predecessors = _starts([len(m.successors) for m in maps]), _starts([len(m.predecessors) for m in maps])
    entries, clusters = _starts([len(m.entries) for m in maps]), _starts([len(m.clusters) for m in maps])
    matrix, conflicts = _starts([len(m.cluster_matrix) for m in maps]), _starts([len(m.conflicts) for m in maps])
    rows, walls = _starts([len(m.conflict_rows) for m in maps]), [_segments(m) for m in maps]
    signals, phases = _starts([len(m.signals) for m in maps]), _starts([len(m.phases) for m in maps])
    junctions = _starts([len(m.junction_names) for m in maps])
    lane_parts = [
        _shifted(
            m.lanes,
            [
                ("point_start", points[i]), ("successor_start", successors[i]), ("predecessor_start", predecessors[i]),
                ("entry_start", entries[i]), ("left", lanes[i]), ("right", lanes[i]), ("opposite", lanes[i]),
                ("junction", junctions[i]), ("signal", signals[i]), ("cluster", clusters[i]),
            ],
        )
        for i, m in enumerate(maps)
    ]  # fmt: skip
    roads = Roads(
        lanes=_joined(lane_parts),
        points=_joined([m.points for m in maps]),
        successors=np.concatenate([m.successors + np.int32(lanes[i]) for i, m in enumerate(maps)]),
        entries=_joined([_shifted(m.entries, [("lane", lanes[i])]) for i, m in enumerate(maps)]),
        clusters=_joined([_shifted(m.clusters, [("matrix_start", matrix[i])]) for i, m in enumerate(maps)]),
        cluster_matrix=np.concatenate([_offset(m.cluster_matrix, int(conflicts[i])) for i, m in enumerate(maps)]),
        conflicts=_joined([_shifted(m.conflicts, [("row_start", rows[i])]) for i, m in enumerate(maps)]),
        conflict_rows=np.concatenate([m.conflict_rows for m in maps]),
        signals=_joined([_shifted(m.signals, [("phase_start", phases[i])]) for i, m in enumerate(maps)]),
        phases=_joined([m.phases for m in maps]),
        routes=np.zeros(0, ROUTE_DTYPE),
        route_steps=np.zeros(0, STEP_DTYPE),
        walls=np.concatenate(walls),
        wall_start=_starts([len(w) for w in walls]).astype(np.int32),
        predecessors=np.concatenate([m.predecessors + np.int32(lanes[i]) for i, m in enumerate(maps)]),
    )
    return roads, _Bases(lanes, signals)


def _pack_routes(
    maps: Sequence[LaneMap], map_of: Sequence[int], routes: Sequence[Sequence[Route]], lane_base: NDArray[np.int64]
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Route records of all worlds in order and the step tables; equal routes on one map share a table."""
    records: list[tuple[int, int, int, int, float, float]] = []
    tables: list[NDArray[np.void]] = []
    known: dict[tuple[int, Route], tuple[int, float]] = {}
    used = 0
    for number, world_routes in zip(map_of, routes, strict=True):
        base, count = int(lane_base[number]), len(maps[number].lanes)
        for route in world_routes:
            if (number, route) not in known:
                steps = _shifted(route_steps(maps[number], route), [("next", base)])
                known[number, route] = (used, float(steps["to_goal"][route.lanes[0]]))
                tables.append(steps)
                used += len(steps)
            start, length = known[number, route]
            records.append((start, base, count, base + route.lanes[-1], route.goal_s, length))
    return np.array(records, ROUTE_DTYPE), _joined(tables) if tables else np.zeros(0, STEP_DTYPE)


def pack(maps: Sequence[LaneMap], routes: Sequence[Sequence[Route]]) -> Packed:
    """Arrays for W worlds: `maps[w]` and the routes of its road users.

    Raises ValueError when the two differ in length and RouteError for a route that its map cannot carry.
    """
    if len(maps) != len(routes) or not maps:
        raise ValueError(
            f"pack needs one route list for each map and at least one world, got {len(maps)} maps and {len(routes)} route lists"
        )
    number_of: dict[int, int] = {}
    distinct: list[LaneMap] = []
    for road_map in maps:
        if id(road_map) not in number_of:
            number_of[id(road_map)] = len(distinct)
            distinct.append(road_map)
    map_of = [number_of[id(road_map)] for road_map in maps]
    roads, bases = _pack_maps(distinct)
    records, steps = _pack_routes(distinct, map_of, routes, bases.lanes)
    roads = roads._replace(routes=records, route_steps=steps)
    for array in roads:
        array.setflags(write=False)
    world_map = np.array(map_of, np.int32)
    return Packed(
        roads=roads,
        map_index=world_map,
        lane_base=bases.lanes[world_map].astype(np.int32),
        route_base=_starts([len(one) for one in routes])[:-1].astype(np.int32),
        signal_base=bases.signals[world_map].astype(np.int32),
    )
