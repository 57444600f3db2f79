"""Room for long vehicles: where the front swings out or the rear wheels cut in, they keep to the side that has room.

The box centre follows its line and the rear axle trails it by `rear_to_centre`, so that the heading at one place is about the
line's course that far before it.
"""

from __future__ import annotations

import numpy as np

from sim.jit import kernel
from sim.roads.pack import Roads
from sim.traffic.curves import BRAKE_SHARE

LONG = 7.0  # m, shorter vehicles fit anywhere a lane leads, but for
TIGHT = 5.5  # m, bends of less than this radius
SHORT = 3.0  # m; motorcycles and bicycles
KERB_GAP = 0.1  # m
MOST_SHIFT = 2.4  # m
PLACES = 5
APART = 2.0  # m


@kernel
def sample_at(roads: Roads, path_lane: np.ndarray, path_base: np.ndarray, count: int, ahead: float) -> int:
    """Index of the centreline sample `ahead` [m] along the path."""
    k = 0
    while k + 1 < count and path_base[k + 1] <= ahead:
        k += 1
    lane = roads.lanes[path_lane[k]]
    return int(lane.point_start + min(max(int((ahead - path_base[k]) / lane.spacing + 0.5), 0), lane.point_count - 1))


@kernel
def _tight_ahead(roads: Roads, mind: np.record, path_lane: np.ndarray, path_base: np.ndarray, count: int) -> bool:
    """Whether a bend about as tight as a car can turn is near."""
    lane = roads.lanes[mind.lane]
    index = min(max(int(mind.s / lane.spacing + 0.5), 0), lane.point_count - 1)
    if roads.points[lane.point_start + index].curve_room > TIGHT + 2.0 * BRAKE_SHARE * PLACES * APART:
        return False
    for step in range(PLACES + 1):
        ahead = (step - 1) * APART
        if abs(roads.points[sample_at(roads, path_lane, path_base, count, ahead)].curvature) > 1.0 / TIGHT:
            return True
    return False


@kernel
def needs_room(
    roads: Roads, body: np.record, mind: np.record, path_lane: np.ndarray, path_base: np.ndarray, count: int
) -> bool:  # fmt: skip
    """Whether a driver must look where its vehicle swings: it is long, or the bend is as tight as a car can turn."""
    return bool(
        body.length >= LONG or (body.length >= SHORT and _tight_ahead(roads, mind, path_lane, path_base, count))
    )  # fmt: skip


@kernel
def room_to_swing(
    roads: Roads, body: np.record, path_lane: np.ndarray, path_base: np.ndarray, count: int, ahead: float
) -> float:  # fmt: skip
    """Offset [m] from the line at which a vehicle, `ahead` [m] on along a path, stays on the road over the next metres.

    The path is given by its lanes and the distance to the start of each; what lies before the first lane is taken as straight.
    """
    behind = float(body.rear_to_centre)
    low, high = -MOST_SHIFT, MOST_SHIFT
    for step in range(PLACES):
        here = ahead + behind + step * APART
        if here - behind < path_base[0]:
            continue
        centre = roads.points[sample_at(roads, path_lane, path_base, count, here)]
        course = roads.points[sample_at(roads, path_lane, path_base, count, here - behind)]
        for end in range(2):
            reach = 0.5 * body.length if end == 0 else -1.0 * behind
            point = roads.points[sample_at(roads, path_lane, path_base, count, here + reach)]
            x = centre.x + reach * course.cos - point.x
            y = centre.y + reach * course.sin - point.y
            across = float(y * point.cos - x * point.sin)
            wide = 0.5 * float(body.width) + KERB_GAP
            low = max(low, wide - float(point.room_right) - across)
            high = min(high, float(point.room_left) - wide - across)
    if low > high:
        return min(max(0.5 * (low + high), -MOST_SHIFT), MOST_SHIFT)
    return min(max(0.0, low), high)
