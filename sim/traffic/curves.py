"""How fast the curves ahead may be driven, prepared once per map so that a driver reads one number.

With lateral acceleration a and braking b = BRAKE_SHARE * a, the admissible speed at a point is the minimum over the points
ahead at distance D of sqrt(a / |curvature| + 2 b D) = sqrt(a * curve_room): `curve_room` depends on the road alone. Where a bend
follows on the opposite one, the wheels need time to turn over: that limits the speed as well.
"""

from __future__ import annotations

from sim.jit import kernel
from sim.roads.pack import Roads

BRAKE_SHARE = 0.7
STRAIGHT = 2.0e3  # m, curve_room of a straight road
TURNED_OVER = 3.0  # m, way in which the wheels go over from one bend to the next
TURNING = 0.34  # 1/m: (steering rate * TURNED_OVER / wheelbase)² / usual lateral acceleration, of a car


@kernel
def _curvature_before(roads: Roads, lane: int, m: int) -> float:
    """Curvature [1/m] of the line TURNED_OVER before sample `m` of a lane, on the lane before it where there is one."""
    record = roads.lanes[lane]
    back = m - int(TURNED_OVER / record.spacing + 0.5)
    if back >= 0:
        return float(roads.points[record.point_start + back].curvature)
    if record.predecessor_count == 0:
        return float(roads.points[record.point_start].curvature)
    before = roads.lanes[roads.predecessors[record.predecessor_start]]
    return float(roads.points[before.point_start + max(before.point_count + back, 0)].curvature)


@kernel
def fill_curve_room(roads: Roads) -> None:
    """Fill `points.curve_room` of every lane, backwards from its end."""
    for k in range(roads.lanes.shape[0]):
        lane = roads.lanes[k]
        room = STRAIGHT
        for m in range(lane.point_count - 1, -1, -1):
            point = roads.points[lane.point_start + m]
            here = 1.0 / max(abs(point.curvature), 1.0 / STRAIGHT)
            over = point.curvature - _curvature_before(roads, k, m)
            here = min(here, TURNING / max(over * over, TURNING / STRAIGHT))
            room = min(room + 2.0 * BRAKE_SHARE * lane.spacing, here)
            point.curve_room = room
