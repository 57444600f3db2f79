"""Progress: the time in which the traffic's own driver, with nobody else there, gets as far as ego got, over the time ego took.

METRICS, closed-loop driving score: where there is no expert, progress is against the free-flow time of the route.
"""

from __future__ import annotations

import numpy as np

from eval.metrics.result import Better, MetricResult, References
from sim.interface import Floats
from sim.recording import Recording

LEAST_M = 1.0
"""Who got no further has made no progress, however long it took."""


def progress(recording: Recording, references: References) -> MetricResult:
    """Free-flow time of the way that ego came, over the time that it was on the road; 1 at most."""
    alone, ego = references.alone, recording.header.ego
    if alone is None or ego is None:
        return MetricResult(value=0.0, unit="share", better=Better.HIGHER, valid=False)
    own, free = _way(recording, ego), _way(alone, ego)
    if not len(own) or own[-1] < LEAST_M:
        return MetricResult(value=0.0, unit="share", better=Better.HIGHER)
    needed = int(np.searchsorted(free, min(float(own[-1]), float(free[-1])))) + 1 if len(free) else len(own)
    return MetricResult(value=min(needed / len(own), 1.0), unit="share", better=Better.HIGHER)


def _way(recording: Recording, actor: int) -> Floats:
    """(T,) metres driven forwards, tick by tick."""
    speed = recording.track(actor)["speed"].astype(np.float64)
    return np.asarray(np.cumsum(np.maximum(speed, 0.0)) * recording.header.tick_s)
