"""How fast the curves ahead may be driven, prepared once per map so that a driver reads one number.

With lateral acceleration a and braking b = BRAKE_SHARE * a, the admissible speed at a point is the minimum over the points
ahead at distance D of sqrt(a / |curvature| + 2 b D) = sqrt(a * curve_room): `curve_room` depends on the road alone.
"""

from __future__ import annotations

from sim.jit import kernel
from sim.roads.pack import Roads

BRAKE_SHARE = 0.7
STRAIGHT = 2.0e3  # m, curve_room of a straight road


@kernel
def fill_curve_room(roads: Roads) -> None:
    """Fill `points.curve_room` of every lane, backwards from its end."""
    for k in range(roads.lanes.shape[0]):
        lane = roads.lanes[k]
        room = STRAIGHT
        for m in range(lane.point_count - 1, -1, -1):
            point = roads.points[lane.point_start + m]
            here = 1.0 / max(abs(point.curvature), 1.0 / STRAIGHT)
            room = min(room + 2.0 * BRAKE_SHARE * lane.spacing, here)
            point.curve_room = room
