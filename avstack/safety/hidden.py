"""Whom nobody sees: the nearest vehicle that may come out of hiding on a lane across the ego's way.

Where a frame says how far one can see in each direction, the lanes that meet the ego's are followed upstream from the place where
they meet, and the first place out of sight is taken by a vehicle that comes as fast as `Assumption.HIDDEN` allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from avstack.perception.percepts import Percepts
from avstack.safety.predicate import HIDDEN
from avstack.safety.ways import CONFLICT_DTYPE, ZONE
from sim.geometry import Floats
from sim.roads.lane_map import CLASSES, ConflictKind, FootprintClass, LaneKind, LaneMap

UPSTREAM_M = 70.0
EVERY_M = 2.0
LOOK_M = 45.0  # m before a zone from which hiding places matter
SIGHT_SLACK = 1.0  # m
HALF_CAR = 2.5  # m
NOBODY = -2
"""Id of one that nobody sees."""


def conflict_record(road_map: LaneMap, lane: int, other: int) -> np.void | None:
    """What the map says of a car's lane against another's; None where they do not meet."""
    lanes = road_map.lanes
    cluster = int(lanes["cluster"][lane])
    if cluster < 0 or other < 0 or cluster != int(lanes["cluster"][other]):
        return None
    record = road_map.clusters[cluster]
    at = int(record["matrix_start"]) + int(lanes["local"][lane]) * int(record["size"]) + int(lanes["local"][other])
    first = int(road_map.cluster_matrix[at])
    if first < 0:
        return None
    size = int(FootprintClass.CAR if lanes["kind"][lane] == LaneKind.DRIVING else FootprintClass.SMALL)
    found: np.void = road_map.conflicts[first + size * CLASSES + int(FootprintClass.CAR)]
    return found if found["row_count"] > 0 else None


def rivals(road_map: LaneMap, lane: int) -> list[tuple[int, np.void]]:
    """Lanes that cross or run into a lane, with the map's records."""
    cluster = int(road_map.lanes["cluster"][lane])
    if cluster < 0:
        return []
    found = []
    for other in np.flatnonzero(road_map.lanes["cluster"] == cluster):
        record = conflict_record(road_map, lane, int(other))
        drives = road_map.lanes["kind"][other] == LaneKind.DRIVING
        if record is not None and drives and record["kind"] in (ConflictKind.CROSS, ConflictKind.MERGE):
            found.append((int(other), record))
    return found


def upstream(road_map: LaneMap, lane: int, s: float) -> Floats:
    """(P, 3) x, y, speed limit every EVERY_M metres against the traffic from `s` on a lane."""
    rows, left = [], UPSTREAM_M
    seen = {lane}
    while left > 0.0:
        points, record = road_map.lane_points(lane), road_map.lanes[lane]
        at = np.arange(min(s, float(record["length"])), -1e-6, -EVERY_M)[: int(left / EVERY_M) + 1]
        k = np.clip(np.rint(at / float(record["spacing"])).astype(np.int64), 0, len(points) - 1)
        rows.append(np.stack([points["x"][k], points["y"][k], points["speed_limit"][k]], axis=1))
        left -= max(s, EVERY_M)
        first = int(record["predecessor_start"])
        back = [int(p) for p in road_map.predecessors[first : first + int(record["predecessor_count"])] if int(p) not in seen]
        if not back:
            break
        lane = back[0]
        seen.add(lane)
        s = float(road_map.lanes["length"][lane])
    return np.concatenate(rows).astype(np.float64)


def first_hidden(percepts: Percepts, way: Floats) -> int:
    """First row of a way (P, 3) that cannot be seen; len(way) where all of it can."""
    ego, sight = percepts.ego, percepts.sight
    dx, dy = way[:, 0] - ego.x, way[:, 1] - ego.y
    away = np.hypot(dx, dy)
    reach = np.full(len(way), percepts.observed_range)
    if sight is not None and len(sight):
        turn = np.mod(np.arctan2(dy, dx) - ego.heading, 2.0 * math.pi)
        sector = np.minimum((turn / (2.0 * math.pi) * len(sight)).astype(np.int64), len(sight) - 1)
        reach = np.minimum(reach, sight[sector])
    unseen = np.flatnonzero(away > reach + SIGHT_SLACK)
    return int(unseen[0]) if len(unseen) else len(way)


def hidden_conflicts(
    percepts: Percepts, road_map: LaneMap, lanes: Iterable[tuple[int, float]], s: float, known: dict[tuple[int, int], Floats]
) -> NDArray[np.void]:
    """(C,) CONFLICT_DTYPE of who may come out of hiding. lanes: (lane, where it begins on the ego's path [m]); known: ways
    upstream found before, by (lane, other)."""
    found = np.zeros(32, CONFLICT_DTYPE)
    used = 0
    for lane, start in lanes:
        length = float(road_map.lanes["length"][lane])
        if start - s > LOOK_M or start + length < s:
            continue
        for other, record in rivals(road_map, lane):
            enter = start + float(record["enter"])
            if record["priority"] == 1 or not s < enter < s + LOOK_M or used == len(found):
                continue
            if (lane, other) not in known:
                known[lane, other] = upstream(road_map, other, float(record["other_enter"]))
            way = known[lane, other]
            k = first_hidden(percepts, way)
            if k == len(way):
                continue
            conflict = found[used]
            conflict["thing"], conflict["id"], conflict["sort"], conflict["kind"] = -1, NOBODY, HIDDEN, ZONE
            conflict["lane"], conflict["enter"], conflict["leave"] = other, enter, start + float(record["leave"])
            conflict["clear"] = conflict["leave"]
            conflict["other_enter"] = max(k * EVERY_M + HALF_CAR, 0.1)
            conflict["other_leave"] = conflict["other_enter"] + float(record["other_leave"] - record["other_enter"])
            conflict["limit"], conflict["v"] = way[k, 2], way[k, 2]
            used += 1
    return found[:used]
