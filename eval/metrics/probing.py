"""What inching forward is worth: the uncertainty about who goes first that ego's creeping removed, per metre crept.

Uncertainty: the sum over claimants of the binary entropy of P(goes first | ego commits), as ego's driver traces it. Over a
stretch of creeping it falls from what it was at the first tick to what it is at the last; only claimants of both count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import Better, MetricResult, References
from eval.metrics.stretches import stretches
from eval.metrics.traced import ego_arrays, ego_numbers
from sim.interface import Floats
from sim.recording import Recording

CREEP = 3
"""Value of the trace column `manoeuvre` for inching forward."""


def crept_m(recording: Recording, references: References) -> MetricResult:
    """Distance that ego inched forward [m]."""
    ticks, _ = ego_numbers(recording, "manoeuvre")
    value = sum(length for _, _, length in _stretches(recording))
    return MetricResult(value=value, unit="m", better=Better.NEITHER, valid=len(ticks) > 0)


def learned_nats(recording: Recording, references: References) -> MetricResult:
    """Uncertainty about who goes first that was removed while ego crept [nats]."""
    chances, ids = ego_arrays(recording, "go_first"), ego_arrays(recording, "others")
    gained = 0.0
    for first, last, _ in _stretches(recording):
        if first in chances and last in chances:
            gained += _gain(ids[first], chances[first], ids[last], chances[last])
    return MetricResult(value=gained, unit="nats", better=Better.HIGHER, valid=bool(chances))


def _gain(ids0: NDArray[np.generic], p0: NDArray[np.generic], ids1: NDArray[np.generic], p1: NDArray[np.generic]) -> float:
    _, i, j = np.intersect1d(ids0, ids1, return_indices=True)
    return float(np.sum(_entropy(np.asarray(p0, np.float64)[i]) - _entropy(np.asarray(p1, np.float64)[j])))


def _entropy(p: Floats) -> Floats:
    q = np.clip(p, 1e-9, 1.0 - 1e-9)
    return np.asarray(-q * np.log(q) - (1.0 - q) * np.log(1.0 - q))


def _stretches(recording: Recording) -> list[tuple[int, int, float]]:
    """(first tick, last tick, metres) of each stretch of creeping."""
    ticks, manoeuvre = ego_numbers(recording, "manoeuvre")
    if recording.header.ego is None or not len(ticks):
        return []
    track = recording.track(recording.header.ego)
    speed = np.interp(ticks, track["tick"], np.abs(track["speed"]).astype(np.float64))
    tick_s = recording.header.tick_s
    return [(int(ticks[b]), int(ticks[e - 1]), float(speed[b:e].sum() * tick_s)) for b, e in stretches(manoeuvre == CREEP)]
