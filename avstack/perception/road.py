"""Where the road is, as the map knows it: what stands beside it is in nobody's way.

World frame. Bushes, posts and sheds beyond the edge give as many returns as everything on the road; the rich model tells people
and vehicles there, and what has no name is an obstacle only where one drives.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from sim.interface import Floats
from sim.jit import kernel
from sim.roads.drivable import DRIVABLE, Bitmap, as_wide_as_room, draw_drivable
from sim.roads.lane_map import LaneMap

EDGE_M = -0.2
"""m beyond the drivable edge that count as road. Kerbs stand, and the pose may be off by so much; nobody drives that near."""
_KEPT = 4
_roads: OrderedDict[int, tuple[LaneMap, Bitmap]] = OrderedDict()


def road_of(road_map: LaneMap) -> Bitmap:
    """Everything drivable of a map, of the last few maps kept; the map is kept too, so that its id stays its own."""
    key = id(road_map)
    if key not in _roads:
        kinds = enumerate(road_map.lanes["kind"])
        lanes = [as_wide_as_room(road_map.lane_points(k), EDGE_M) for k, kind in kinds if kind in DRIVABLE]
        _roads[key] = road_map, draw_drivable(lanes, [])
        while len(_roads) > _KEPT:
            _roads.popitem(last=False)
    _roads.move_to_end(key)
    return _roads[key][1]


def on_road(road: Bitmap, places: NDArray[np.float32], pose: Floats) -> NDArray[np.bool_]:
    """(M,) whether places (M, 2) in the frame of an ego at `pose` (3,) are drivable."""
    out = np.zeros(len(places), np.bool_)
    _look_up(road.cells, road.x0, road.y0, road.cell, places, pose[0], pose[1], math.cos(pose[2]), math.sin(pose[2]), out)
    return out


@kernel
def _look_up(
    cells: NDArray[np.uint8], x0: float, y0: float, cell: float, places: NDArray[np.float32], x: float, y: float, cos: float,
    sin: float, out: NDArray[np.bool_],
) -> None:  # fmt: skip
    for k in range(len(places)):
        ahead, left = float(places[k, 0]), float(places[k, 1])
        row = int(math.floor((y + sin * ahead + cos * left - y0) / cell))
        column = int(math.floor((x + cos * ahead - sin * left - x0) / cell))
        if 0 <= row < cells.shape[0] and 0 <= column < cells.shape[1]:
            out[k] = cells[row, column] != 0
