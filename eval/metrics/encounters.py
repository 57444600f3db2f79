"""With how many others ego had to do: what rescues and the like are counted against."""

from __future__ import annotations

import numpy as np

from eval.metrics.result import Better, MetricResult, References
from sim.recording import Recording

NEAR_M = 15.0
MOVES = 0.3  # m/s


def encounters(recording: Recording, references: References) -> MetricResult:
    """Others whose middle came within NEAR_M of ego's while either of the two moved."""
    header, ego = recording.header, recording.header.ego
    if ego is None:
        return MetricResult(value=0.0, unit="others", better=Better.NEITHER, valid=False)
    mine, met = recording.track(ego), 0
    for other in range(len(header.actors)):
        if other == ego or header.actors[other].kind == "OBJECT":
            continue
        theirs = recording.track(other)
        _, i, j = np.intersect1d(mine["tick"], theirs["tick"], return_indices=True)
        near = np.hypot(mine["x"][i] - theirs["x"][j], mine["y"][i] - theirs["y"][j]) < NEAR_M
        moving = (np.abs(mine["speed"][i]) > MOVES) | (np.abs(theirs["speed"][j]) > MOVES)
        met += bool(np.any(near & moving))
    return MetricResult(value=float(met), unit="others", better=Better.NEITHER)
