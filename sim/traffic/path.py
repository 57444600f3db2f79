"""The road ahead of one driver, as a short list of lanes, and how long it takes to travel along it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.jit import kernel
from sim.roads.pack import Roads
from sim.state import PATH_LANES
from sim.traffic.curves import BRAKE_SHARE

RIGHT_TURN = 2
TOWN_LIMIT = 13.9  # m/s
SLOW_ZONE_SHARE = 0.2  # of the limit; people keep to slow limits less (7.1 m/s recorded where 6.7 is allowed)
RIGHT_SHARE = 0.76  # people take right turns more gently than left ones (1.4 against 1.8 m/s² recorded)


@kernel
def walk_path(
    roads: Roads, route: int, lane: int, s: float, horizon: float, path_lane: NDArray[np.int32], path_base: NDArray[np.float64]
) -> int:
    """Fill the lanes ahead and the distance [m] to each one's start (negative for the present lane); returns how many."""
    record = roads.routes[route]
    base = -s
    count = 0
    while count < PATH_LANES:
        path_lane[count] = lane
        path_base[count] = base
        count += 1
        base += roads.lanes[lane].length
        if base > horizon:
            break
        lane = roads.route_steps[record.table_start + lane - record.lane_base].next
        if lane < 0:
            break
    return count


@kernel
def first_inside(roads: Roads, path_lane: NDArray[np.int32], count: int) -> int:
    """Place in the path of the first lane through a junction; -1 where there is none."""
    for k in range(count):
        record = roads.lanes[path_lane[k]]
        if record.cluster >= 0 and record.stop_s < 0.0:
            return k
    return -1


@kernel
def travel_time(distance: float, speed: float, accel: float, top: float) -> float:
    """Time [s] to cover `distance` from `speed`, speeding up at `accel` > 0 to at most `top`; 0 where it is behind already."""
    if distance <= 0.0:
        return 0.0
    if speed >= top:
        return distance / max(speed, 0.1)
    ramp = (top * top - speed * speed) / (2.0 * accel)
    if distance <= ramp:
        return (math.sqrt(speed * speed + 2.0 * accel * distance) - speed) / accel
    return (top - speed) / accel + (distance - ramp) / top


@kernel
def speed_ahead(roads: Roads, mind: np.record, path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int) -> float:
    """Speed [m/s] that the limits and curves ahead allow this driver now."""
    allowed = 1e9
    for k in range(count):
        lane = roads.lanes[path_lane[k]]
        index = 0
        if k == 0:
            index = min(max(int(mind.s / lane.spacing + 0.5), 0), lane.point_count - 1)
        point = roads.points[lane.point_start + index]
        ahead = max(path_base[k], 0.0)
        limit = point.speed_limit * (mind.speed_factor + SLOW_ZONE_SHARE * max(1.0 - point.speed_limit / TOWN_LIMIT, 0.0))
        square = limit * limit + 2.0 * 0.7 * mind.decel * ahead
        comfort = mind.lateral_accel * (RIGHT_SHARE if lane.turn == RIGHT_TURN else 1.0)
        bend = comfort * (point.curve_room + 2.0 * BRAKE_SHARE * ahead)
        allowed = min(allowed, square, bend)
    return math.sqrt(allowed)
