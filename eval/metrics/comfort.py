"""What ego's passengers feel: accelerations and jerk as executed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import MetricResult, References
from sim.interface import Floats
from sim.recording import Recording

JERK_ALARM = 2.5
"""m/s³; our own comfort bound is 1.5 (METRICS, closed-loop driving score)."""


def jerk_95(recording: Recording, references: References) -> MetricResult:
    """95 % quantile of ego's |longitudinal jerk| while it moves [m/s³]."""
    jerk = np.abs(_moving(recording)["jerk"])
    return MetricResult(value=float(np.quantile(jerk, 0.95)) if len(jerk) else 0.0, unit="m/s³", valid=len(jerk) > 0)


def jerk_squared(recording: Recording, references: References) -> MetricResult:
    """Integral of ego's squared jerk over the episode [m²/s⁵]."""
    track = recording.rows[:0] if recording.header.ego is None else recording.track(recording.header.ego)
    value = float(np.sum(squared_jerk(track, recording.header.tick_s))) if len(track) else 0.0
    return MetricResult(value=value, unit="m²/s⁵", valid=len(track) > 0)


def jerk_violations(recording: Recording, references: References) -> MetricResult:
    """Share of ego's moving time with |jerk| above JERK_ALARM."""
    jerk = np.abs(_moving(recording)["jerk"])
    return MetricResult(value=float(np.mean(jerk > JERK_ALARM)) if len(jerk) else 0.0, unit="share", valid=len(jerk) > 0)


def squared_jerk(track: NDArray[np.void], tick_s: float) -> Floats:
    """(T,) ∫j² over the tick that ends at each row of a track [m²/s⁵].

    A tick has two steps; the recorded jerk is that of the one where it is larger, and the accelerations give their mean.
    """
    peak = track["jerk"].astype(np.float64)
    mean = np.append(peak[:1], np.diff(track["accel"].astype(np.float64)) / tick_s)
    return np.asarray(0.5 * tick_s * (peak**2 + (2.0 * mean - peak) ** 2))


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
