"""When each vehicle came to, entered and left an all-way stop, read from a recording."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import Junction
from sim.interface import Floats
from sim.recording import Recording

TIE_S = 0.5
"""Arrivals no further apart are a tie (METRICS, negotiation)."""
STOPPED = 0.5
"""m/s: people call this a stop (METRICS, right of way at an all-way stop)."""
ARRIVAL_REACH = 4.0
"""m before the line within which a stop counts as having arrived at it."""
ENTRY_DEPTH = 2.5
"""m beyond its line at which a vehicle has entered; fronts rest up to this far beyond (METRICS, recorded drivers)."""
LINE_REACH = 15.0
"""m around a line's middle within which crossing it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossings:
    """(N,) times [s] in the order of `Junction.actors`; inf where it did not happen before the recording's end."""

    arrived: Floats
    entered: Floats
    left: Floats
    end: float


def crossings(recording: Recording, junction: Junction) -> Crossings:
    """Arrival: first stop within ARRIVAL_REACH of the line, or entry; entry: ENTRY_DEPTH past its line; exit: past the end."""
    times = np.full((3, len(junction.actors)), math.inf)
    tick_s = recording.header.tick_s
    for k, actor in enumerate(junction.actors):
        track = recording.track(actor)
        beyond, near = to_line(track, junction.stop_lines[k])
        past, near_exit = to_line(track, junction.exit_lines[k])
        entered = entry_index(beyond, near)
        waits = near & (beyond > -ARRIVAL_REACH) & (beyond <= ENTRY_DEPTH) & (np.abs(track["speed"]) < STOPPED)
        for row, at in enumerate((min(_first(waits), entered), entered, _first(near_exit & (past > 0.0)))):
            if at < len(track):
                times[row, k] = float(track["tick"][at]) * tick_s
    return Crossings(arrived=times[0], entered=times[1], left=times[2], end=recording.last_tick * tick_s)


def entry_index(beyond: Floats, near: NDArray[np.bool_]) -> int:
    """Index of the row at which a vehicle has entered past its line, of `to_line`; the length where it never does."""
    return _first(near & (beyond > ENTRY_DEPTH))


def to_line(track: NDArray[np.void], line: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Signed distance [m] of each position beyond a line across a way, and whether it is near that line's middle."""
    dx, dy = track["x"] - line[0], track["y"] - line[1]
    return dx * math.cos(line[2]) + dy * math.sin(line[2]), np.hypot(dx, dy) < LINE_REACH


def _first(flags: NDArray[np.bool_]) -> int:
    """Index of the first True; the length where there is none."""
    return int(np.argmax(flags)) if flags.any() else len(flags)
