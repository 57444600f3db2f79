"""What every metric returns and what every metric is given beside the recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sim.interface import Floats
from sim.recording import Recording
from sim.roads.lane_map import LaneMap


class Better(StrEnum):
    """Which direction of a metric is an improvement."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """One number of one episode. valid: False where the episode has nothing to measure it on; the value is then 0."""

    value: float
    unit: str
    better: Better = Better.LOWER
    valid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Junction:
    """The all-way stop of an episode: N vehicles that cross it, by arrival in free flow.

    actors: (N,) their numbers; stop_lines, exit_lines: (N, 3) x, y, heading of the centre of a vehicle that rests at its line,
    and of one that leaves the junction; conflicts: (N, N) whether two ways meet; headway: (N, N) least time from the start from
    rest of the row to that of the column, -inf without a conflict, inf the wrong way round in a queue; through: (N,) from the
    start to the exit [s].
    arrivals: (N,) when each could stop at its line with nobody before it [s].
    free, first_come, optimal: (N,) times [s] of leaving it for everybody alone, in the order of arrival, and in the best order;
    exact: the best order was searched over all orders.
    """

    actors: tuple[int, ...]
    stop_lines: Floats
    exit_lines: Floats
    conflicts: NDArray[np.bool_]
    headway: Floats
    through: Floats
    arrivals: Floats
    free: Floats
    first_come: Floats
    optimal: Floats
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What an episode is held against: the same seed in which ego never appears; in which ego is alone on the road, driven by
    the traffic's own driver; and in which that one drives it among everybody else. road_map: what it is driven on."""

    junction: Junction | None = None
    without_ego: Recording | None = None
    alone: Recording | None = None
    ordinary: Recording | None = None
    road_map: LaneMap | None = None


Metric = Callable[[Recording, References], MetricResult]
