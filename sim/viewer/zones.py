"""Where ways through a junction overlap, as outlines: what road users have to agree about."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import shapely

from sim.interface import Floats
from sim.roads.lane_map import LaneKind
from sim.roads.outline import LaneOutline, MapOutline

LEAST_AREA = 0.5  # m²
SAME_START = 1.0
"""m between the beginnings of two lanes that leave from the same place: they part, they do not meet."""
_WAYS = (LaneKind.DRIVING, LaneKind.CYCLE)


def conflict_zones(drawing: MapOutline) -> tuple[Floats, ...]:
    """Outlines (K, 2) of the places that ways through one junction share."""
    junctions: dict[int, list[LaneOutline]] = {}
    for lane in drawing.lanes:
        if lane.junction >= 0 and lane.kind in _WAYS:
            junctions.setdefault(lane.junction, []).append(lane)
    found: list[Floats] = []
    for lanes in junctions.values():
        surfaces = [_surface(lane) for lane in lanes]
        shared = [
            surfaces[i].intersection(surfaces[j])
            for i, j in combinations(range(len(lanes)), 2)
            if np.hypot(*(lanes[i].centre[0] - lanes[j].centre[0])) > SAME_START and surfaces[i].intersects(surfaces[j])
        ]
        whole = shapely.union_all([part for part in shared if part.area > LEAST_AREA])
        parts = shapely.get_parts(whole)
        found += [shapely.get_coordinates(part.exterior) for part in parts if isinstance(part, shapely.Polygon)]
    return tuple(found)


def _surface(lane: LaneOutline) -> shapely.Geometry:
    outline = shapely.Polygon(np.concatenate((lane.left_border, lane.right_border[::-1])))
    return outline if outline.is_valid else outline.buffer(0.0)
