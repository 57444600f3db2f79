"""What ego's passengers feel: accelerations and jerk as executed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import MetricResult, References
from sim.recording import Recording

JERK_ALARM = 2.5
"""m/s³; our own comfort bound is 1.5 (METRICS, closed-loop driving score)."""


def jerk_95(recording: Recording, references: References) -> MetricResult:
    """95 % quantile of ego's |longitudinal jerk| while it moves [m/s³]."""
    jerk = np.abs(_moving(recording)["jerk"])
    return MetricResult(value=float(np.quantile(jerk, 0.95)) if len(jerk) else 0.0, unit="m/s³", valid=len(jerk) > 0)


def jerk_squared(recording: Recording, references: References) -> MetricResult:
    """Integral of ego's squared jerk over the episode [m²/s⁵]."""
    jerk = _moving(recording)["jerk"].astype(np.float64)
    return MetricResult(value=float(np.sum(jerk**2) * recording.header.tick_s), unit="m²/s⁵", valid=len(jerk) > 0)


def jerk_violations(recording: Recording, references: References) -> MetricResult:
    """Share of ego's moving time with |jerk| above JERK_ALARM."""
    jerk = np.abs(_moving(recording)["jerk"])
    return MetricResult(value=float(np.mean(jerk > JERK_ALARM)) if len(jerk) else 0.0, unit="share", valid=len(jerk) > 0)


def max_decel(recording: Recording, references: References) -> MetricResult:
    """Ego's hardest braking [m/s²]."""
    accel = _moving(recording)["accel"]
    return MetricResult(value=float(max(-accel.min(), 0.0)) if len(accel) else 0.0, unit="m/s²", valid=len(accel) > 0)


def _moving(recording: Recording) -> NDArray[np.void]:
    """(T,) ego's rows while it is in motion or about to be."""
    ego = recording.header.ego
    if ego is None:
        return recording.rows[:0]
    track = recording.track(ego)
    moving: NDArray[np.void] = track[(np.abs(track["speed"]) > 0.05) | (np.abs(track["jerk"]) > 0.05)]
    return moving
