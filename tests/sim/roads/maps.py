"""Small maps and independent oracles for the tests of `sim.roads`."""

from __future__ import annotations

import functools
import math

import numpy as np
import shapely

from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import CLASS_REAR_TO_CENTRE, CLASS_SIZES, CLASSES, LaneDraft, LaneMap, MapDraft


@functools.cache
def built(name: str, **parameters) -> LaneMap:
    """One assembled builder map; parameters are hashable."""
    return assemble(BUILDERS[name](**parameters))


def lane(name: str, points, **fields) -> LaneDraft:
    """A draft with a default width."""
    return LaneDraft(
        name=name, centreline=np.asarray(points, dtype=float), **{"half_width": 1.75, "road": f"road of {name}", **fields}
    )


def assembled(*lanes: LaneDraft, **fields) -> LaneMap:
    """A map of these lanes."""
    return assemble(MapDraft(name="test", lanes=lanes, **fields))


def first_record(road_map: LaneMap, a: int, b: int) -> int:
    """Index of the first conflict record of an ordered pair, -1 if it has none."""
    one, other = road_map.lanes[a], road_map.lanes[b]
    if one["cluster"] < 0 or one["cluster"] != other["cluster"]:
        return -1
    cluster = road_map.clusters[one["cluster"]]
    return int(road_map.cluster_matrix[cluster["matrix_start"] + one["local"] * cluster["size"] + other["local"]])


def record(road_map: LaneMap, a: str, b: str, size_a: int = 1, size_b: int = 1):
    """Conflict record of two lanes by name."""
    first = first_record(road_map, road_map.lane(a), road_map.lane(b))
    assert first >= 0, f"{a} and {b} do not conflict"
    return road_map.conflicts[first + size_a * CLASSES + size_b]


def priority(road_map: LaneMap, a: str, b: str) -> int:
    """Right of way of lane `a` against lane `b`."""
    return int(record(road_map, a, b)["priority"])


def pairs(road_map: LaneMap) -> list[tuple[int, int]]:
    """All ordered conflicting pairs."""
    lanes = np.flatnonzero(road_map.lanes["cluster"] >= 0)
    return [(int(a), int(b)) for a in lanes for b in lanes if first_record(road_map, int(a), int(b)) >= 0]


def footprint(road_map: LaneMap, lane_index: int, s: float, size: int) -> shapely.Polygon:
    """The box of a class at s, from the points alone: turned inward on curves, carried on straight past the ends."""
    points = road_map.lane_points(lane_index)
    at = np.arange(len(points)) * road_map.lanes["spacing"][lane_index]
    heading = np.unwrap(np.arctan2(points["sin"], points["cos"]).astype(float))
    inside = min(max(s, 0.0), float(road_map.lanes["length"][lane_index]))
    x, y = np.interp(inside, at, points["x"]), np.interp(inside, at, points["y"])
    tangent = np.interp(inside, at, heading)
    x, y = x + (s - inside) * math.cos(tangent), y + (s - inside) * math.sin(tangent)
    facing = np.interp(inside, at, heading - np.arcsin(CLASS_REAR_TO_CENTRE[size] * points["curvature"].astype(float)))
    length, width = CLASS_SIZES[size]
    box = shapely.box(-0.5 * length, -0.5 * width, 0.5 * length, 0.5 * width)
    return shapely.affinity.translate(shapely.affinity.rotate(box, facing, origin=(0, 0), use_radians=True), x, y)
