"""The points of a recorded lidar: recordings do not hold them, for a full one gives them again, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.episode import advance
from eval.errors import DriverError
from eval.replay import replay
from scenarios.errors import InputError
from sim.interface import Driver, DriverStep, SensorFrame, VehicleSpec
from sim.recording import Recording
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route


class Noting:
    """Drives as `driver` does, and keeps the points that it was given last."""

    def __init__(self, driver: Driver[object]) -> None:
        self._driver = driver
        self._points: NDArray[np.float32] | None = None

    def taken(self) -> NDArray[np.float32] | None:
        """The points since this was last asked."""
        points, self._points = self._points, None
        return points

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> object:
        """As `Driver.start`."""
        return self._driver.start(road_map, route, spec, seed)

    def step(self, frame: SensorFrame, memory: object) -> DriverStep[object]:
        """As `Driver.step`."""
        self._points = frame.lidar
        return self._driver.step(frame, memory)


def sweeps(recording: Recording, path: Path) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(tick, points (N, 5) in ego's frame) of ego's sweep at every tick, by driving the episode again.

    Replaying unpickles drivers' memories: only of recordings that one trusts. Raises InputError for one that is not full, has no
    lidar, or comes out otherwise, as `eval.replay.replay` does.
    """
    ego = recording.header.ego
    if recording.header.sensing != "lidar" or ego is None:
        raise InputError("ego had no lidar in this episode", file=str(path), fix="Record one with --sensing lidar --record full")
    if not recording.snapshots:
        raise InputError("points need a full recording", file=str(path), fix="Record it with --record full")
    first = min(recording.snapshots)
    episode = replay(path, first)
    seat = episode.seats[ego]
    noting = Noting(seat.driver)
    seat.driver = noting
    for tick in range(first, recording.last_tick + 1):
        mine = recording.at(tick)
        mine = mine[mine["actor"] == ego]
        if len(mine) and float(episode.world.state.bodies["x"][0, ego]) != float(mine["x"][0]):
            raise InputError("the episode comes out otherwise here", file=str(path), fix="Export it where it was recorded")
        try:
            advance(episode)
        except DriverError:  # as it did when it was recorded
            return
        points = noting.taken()
        if points is not None:
            yield tick, points
