"""What ego costs the others: the same episode is run without it, with the same random numbers, and compared."""

from __future__ import annotations

import numpy as np

from eval.metrics.delay import others_exits
from eval.metrics.result import MetricResult, References
from sim.recording import Recording

NEAR = 30.0
"""m from ego within which another's braking may be for it."""


def imposed_delay(recording: Recording, references: References) -> MetricResult:
    """Sum over the others of (exit with ego - exit without it) [s]."""
    junction, alone = references.junction, references.without_ego
    if junction is None or alone is None:
        return MetricResult(value=0.0, unit="s", valid=False)
    ego = recording.header.ego
    return MetricResult(
        value=float(np.sum(others_exits(recording, junction, ego) - others_exits(alone, junction, ego))), unit="s"
    )


def imposed_braking(recording: Recording, references: References) -> MetricResult:
    """Largest deceleration of another near ego beyond what that one needed without ego [m/s²]."""
    alone, ego = references.without_ego, recording.header.ego
    if alone is None or ego is None:
        return MetricResult(value=0.0, unit="m/s²", valid=False)
    others = [actor for actor in range(len(recording.header.actors)) if actor != ego]
    more = (_braking(recording, actor, ego) - _braking(alone, actor, None) for actor in others)
    return MetricResult(value=max([0.0, *more]), unit="m/s²")


def _braking(recording: Recording, actor: int, ego: int | None) -> float:
    """An actor's hardest braking [m/s²], where `ego` is given only of the moments when it is near."""
    track = recording.track(actor)
    if ego is not None:
        other = recording.track(ego)
        _, mine, theirs = np.intersect1d(track["tick"], other["tick"], return_indices=True)
        track, other = track[mine], other[theirs]
        track = track[np.hypot(track["x"] - other["x"], track["y"] - other["y"]) < NEAR]
    return max(0.0, -float(track["accel"].min(initial=0.0)))
