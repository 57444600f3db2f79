"""Speed limits of lanes: from lane and road-type records, from the type of road, and from the lanes before and after.

Source: ASAM OpenDRIVE 1.8, 10.4 (road type) and 11.7 (lane speed).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenarios.formats.opendrive_model import Lane, Road, Section
from scenarios.formats.opendrive_strands import Strand
from sim.interface import Floats
from sim.roads.lane_map import LaneKind

TYPE_LIMITS = {
    "town": 50.0, "townExpressway": 70.0, "townCollector": 50.0, "townArterial": 60.0, "townPrivate": 30.0, "townLocal": 50.0,
    "townPlayStreet": 10.0, "rural": 100.0, "motorway": 130.0, "lowSpeed": 30.0, "pedestrian": 10.0, "bicycle": 20.0,
}  # fmt: skip
"""km/h where a road has a type but no limit."""
DEFAULT_LIMIT = 50.0 / 3.6
WALKING_LIMIT = 2.0  # m/s, nominal speed of sidewalks and crosswalks


def lane_limit(road: Road, section: Section, lane: Lane, strand: Strand) -> Floats | None:
    """Limit [m/s] at every point of the strand: the lane's own, else the road type's, else None."""
    if strand.kind == LaneKind.SIDEWALK:
        return np.full(strand.s.size, WALKING_LIMIT)
    values = np.zeros(strand.s.size)
    for record in road.types:
        speed = record.speed if record.speed is not None else TYPE_LIMITS.get(record.type, 0.0) / 3.6
        values[strand.s >= record.s - 1e-6] = speed
    for offset, speed in lane.speeds:
        values[strand.s >= section.s + offset - 1e-6] = speed
    if not values.any():
        return None
    values[values <= 0.0] = values[values > 0.0].min()
    return values


def fill_limits(strands: Sequence[Strand]) -> int:
    """A lane without limit takes that of the lane it comes from, else of one it leads to or one beside it; how many driving
    lanes then still have none."""
    pending = [strand for strand in strands if strand.limit is None]
    while pending:
        left = []
        for strand in pending:
            before = [float(other.limit[-1]) for other in strand.predecessors if other.limit is not None]
            after = [float(other.limit[0]) for other in strand.successors if other.limit is not None]
            beside = [
                float(other.limit[0]) for other in (strand.left, strand.right) if other is not None and other.limit is not None
            ]
            known = before or after or beside
            if known:
                strand.limit = np.full(strand.s.size, min(known))
            else:
                left.append(strand)
        if len(left) == len(pending):
            break
        pending = left
    return sum(strand.limit is None and strand.kind == LaneKind.DRIVING for strand in strands)
