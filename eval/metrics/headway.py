"""Following too closely: time for which ego was nearer to whom it followed than responsibility-sensitive safety allows.

Source: Shalev-Shwartz, Shammah, Shashua, On a formal model of safe and scalable self-driving cars (2017), definition 1, with the
setting for dense town traffic (METRICS, surrogate safety).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import MetricResult, References
from sim.kinematics import RSS_DENSE, rss_longitudinal_gap
from sim.recording import Recording

ALIGNED = 0.9  # cosine of the angle between two who follow each other
MOVES = 0.5  # m/s


def rss_violation_s(recording: Recording, references: References) -> MetricResult:
    """Time for which ego moved with less than the safe gap to somebody ahead in its lane [s]."""
    ego = recording.header.ego
    if ego is None:
        return MetricResult(value=0.0, unit="s", valid=False)
    return MetricResult(value=float(dangerous(recording, ego).sum()) * recording.header.tick_s, unit="s")


def dangerous(recording: Recording, ego: int) -> NDArray[np.bool_]:
    """(T,) whether ego, at each row of its track, was nearer to somebody ahead in its lane than is safe."""
    header, mine = recording.header, recording.track(ego)
    short = np.zeros(len(mine), bool)
    for other in range(len(header.actors)):
        if other == ego or header.actors[other].kind in ("PEDESTRIAN", "OBJECT"):
            continue
        theirs = recording.track(other)
        _, i, j = np.intersect1d(mine["tick"], theirs["tick"], return_indices=True)
        a, b = mine[i], theirs[j]
        cos, sin = np.cos(a["heading"].astype(np.float64)), np.sin(a["heading"].astype(np.float64))
        ahead = (b["x"] - a["x"]) * cos + (b["y"] - a["y"]) * sin
        aside = np.abs((b["y"] - a["y"]) * cos - (b["x"] - a["x"]) * sin)
        gap = ahead - 0.5 * (header.actors[ego].length + header.actors[other].length)
        beside = 0.5 * (header.actors[ego].width + header.actors[other].width)
        follows = (
            (np.cos(a["heading"] - b["heading"]) > ALIGNED) & (ahead > 0.0) & (aside < beside) & (np.abs(a["speed"]) > MOVES)
        )
        safe = rss_longitudinal_gap(np.maximum(a["speed"], 0.0), np.maximum(b["speed"], 0.0), RSS_DENSE)
        short[i] |= follows & (gap < safe)
    return short
