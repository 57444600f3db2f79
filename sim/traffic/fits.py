"""Where a long vehicle can be driven at all: whether its box, swept along a way, stays on the road and clear of those who wait.

The sweep is the one that drivers foresee themselves with (`sim.traffic.clearance`), with the shift to the side that they are
allowed. Real bus and lorry routes are planned like this; demand asks here before it sends one somewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.contact import OFFROAD_M
from sim.geometry import box_gap
from sim.interface import Floats, Kind, VehicleSpec
from sim.jit import kernel
from sim.roads.lane_map import LaneKind, LaneMap
from sim.roads.pack import Roads, pack
from sim.setup import empty_state, fill_body
from sim.traffic.clearance import BESIDE_LONG, box_on_path, slide
from sim.traffic.swept import LONG, room_to_swing, sample_at

STEP = 0.5  # m
BESIDE = BESIDE_LONG  # m kept from those who wait
QUEUE = 8.0  # m of each other approach that a queue takes
QUEUE_WIDTH = 2.55  # m, that of the widest
OVER_LINE = 0.4  # m past its line that somebody may rest


@kernel
def _on_road(
    roads: Roads, body: np.record, path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int,
    way: float, x: float, y: float, cos: float, sin: float,
) -> bool:  # fmt: skip
    """Whether both ends of a box, its centre `way` [m] along a path, count as on the drivable area."""
    for end in range(2):
        reach = (0.5 - end) * body.length
        point = roads.points[sample_at(roads, path_lane, path_base, count, way + reach)]
        across = (y + reach * sin - point.y) * point.cos - (x + reach * cos - point.x) * point.sin
        half = 0.5 * body.width * abs(point.cos * cos + point.sin * sin)
        if across + half > point.room_left + OFFROAD_M or across - half < -point.room_right - OFFROAD_M:
            return False
    return True


@kernel
def _near_anybody(body: np.record, x: float, y: float, cos: float, sin: float, waiting: Floats) -> bool:
    """Whether a box comes near one of `waiting` (N, 4): x, y, cos, sin of queues."""
    near = body.radius + QUEUE
    for k in range(waiting.shape[0]):
        if abs(waiting[k, 0] - x) > near or abs(waiting[k, 1] - y) > near:
            continue
        if box_gap(
            x, y, cos, sin, 0.5 * body.length, 0.5 * body.width,
            waiting[k, 0], waiting[k, 1], waiting[k, 2], waiting[k, 3], 0.5 * QUEUE, 0.5 * QUEUE_WIDTH,
        ) < BESIDE:  # fmt: skip
            return True
    return False


@kernel
def way_is_free(
    roads: Roads, body: np.record, path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int, waiting: Floats
) -> bool:
    """Whether the body, driven from the start of a path's first lane to the end of its last one, stays clear.

    path_base [m]: from the start of the path to each lane's start. waiting (N, 4): x, y, cos, sin of queues that stand there.
    """
    behind = float(body.rear_to_centre)
    slip = 0.0
    offset = 0.0
    shift = 0.0
    drift = 0.0
    way = 0.5 * body.length
    end = path_base[count - 1] + roads.lanes[path_lane[count - 1]].length - 0.5 * body.length
    k = 0
    while way < end:
        while k + 1 < count and path_base[k + 1] <= way:
            k += 1
        goal = room_to_swing(roads, body, path_lane, path_base, count, way)
        before = offset
        offset, shift = slide(offset, shift, goal, STEP)
        drift = (offset - before) / STEP
        x, y, cos, sin, slip = box_on_path(roads, path_lane[k], way - path_base[k], offset, behind, slip, STEP, drift)
        if not _on_road(roads, body, path_lane, path_base, count, way, x, y, cos, sin):
            return False
        if _near_anybody(body, x, y, cos, sin, waiting):
            return False
        way += STEP
    return True


class LongVehicles:
    """What long vehicles can do on one map; answers are remembered."""

    def __init__(self, road_map: LaneMap) -> None:
        self._map = road_map
        self._roads = pack([road_map], [[]]).roads
        self._known: dict[tuple[Kind, tuple[int, ...]], bool] = {}
        self._approaches = _approaches(road_map)

    def fit(self, spec: VehicleSpec, lanes: Sequence[int]) -> bool:
        """Whether a vehicle can be driven along the lanes of a route; True for all that are not long."""
        if spec.length < LONG:
            return True
        key = spec.kind, tuple(lanes)
        if key not in self._known:
            self._known[key] = self._drive(spec, lanes)
        return self._known[key]

    def _drive(self, spec: VehicleSpec, lanes: Sequence[int]) -> bool:
        body = empty_state(1, 1, 1).bodies[0]
        fill_body(body[0], spec)
        after = {int(lane): set(self._map.lane_successors(lane).tolist()) for lane in lanes}
        # a lane left sideways is as long as the one it is left for
        path = [a for a, b in pairwise(lanes) if b in after[a]] + [lanes[-1]]
        length = self._map.lanes["length"][path]
        base = np.concatenate([[0.0], np.cumsum(length)[:-1]])
        return way_is_free(self._roads, body[0], np.array(path, np.int32), base, len(path), self._waiting(lanes))

    def _waiting(self, lanes: Sequence[int]) -> Floats:
        """(N, 4) x, y, cos, sin of queues on all other approaches to the junctions on a route."""
        passed = {int(self._map.lanes["junction"][lane]) for lane in lanes} - {-1}
        poses = [
            pose for junction in sorted(passed) for lane, pose in self._approaches.get(junction, {}).items() if lane not in lanes
        ]
        return np.array(poses).reshape(-1, 4)


def _approaches(road_map: LaneMap) -> dict[int, dict[int, tuple[float, float, float, float]]]:
    """Junction -> lane that leads into it -> x, y, cos, sin of the middle of its queue."""
    found: dict[int, dict[int, tuple[float, float, float, float]]] = {}
    lanes = road_map.lanes
    for lane in np.flatnonzero((lanes["junction"] < 0) & (lanes["kind"] == LaneKind.DRIVING)).tolist():
        record, points = lanes[lane], road_map.lane_points(lane)
        line = float(record["stop_s"]) if record["stop_s"] >= 0.0 else float(record["length"])
        at = line + OVER_LINE - 0.5 * QUEUE
        index = min(max(round(at / float(record["spacing"])), 0), len(points) - 1)
        point, beyond = points[index], at - index * float(record["spacing"])
        cos, sin = float(point["cos"]), float(point["sin"])
        pose = float(point["x"]) + beyond * cos, float(point["y"]) + beyond * sin, cos, sin
        for inside in road_map.lane_successors(lane).tolist():
            if lanes["junction"][inside] >= 0:
                found.setdefault(int(lanes["junction"][inside]), {})[lane] = pose
    return found
