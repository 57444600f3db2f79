"""How ego comes to rest where nothing forces it: jerk and braking of unforced stops.

A stop: ego slows down from STOP_FROM or more to below STOPPED; from where it was last within CRUISING of as fast as before to
where it gets no slower any more, without the cruise before that. It is unforced unless the fallback drove at any moment of it.
What others do late does not excuse a stop: the figure errs on the hard side. Source of the bounds: our own comfort target
(METRICS, closed-loop driving score).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.crossings import STOPPED
from eval.metrics.result import Better, MetricResult, References
from eval.metrics.traced import ego_numbers
from sim.recording import Recording

STOP_FROM = 3.0  # m/s
UNEVEN = 0.01  # m/s by which speed may rise from tick to tick within a stop
CRUISING = 0.05  # m/s
JERK, DECEL = 1.5, 2.0  # m/s³, m/s²


def stop_jerk_95(recording: Recording, references: References) -> MetricResult:
    """95 % quantile of |jerk| in unforced stops [m/s³]."""
    jerk = np.abs(_jerks(recording))
    return MetricResult(value=float(np.quantile(jerk, 0.95)) if len(jerk) else 0.0, unit="m/s³", valid=len(jerk) > 0)


def stop_jerk_over(recording: Recording, references: References) -> MetricResult:
    """Share of the time of unforced stops with |jerk| above JERK."""
    jerk = np.abs(_jerks(recording))
    return MetricResult(value=float(np.mean(jerk > JERK)) if len(jerk) else 0.0, unit="share", valid=len(jerk) > 0)


def stop_ticks(recording: Recording, references: References) -> MetricResult:
    """Ticks in unforced stops, by which episodes are weighted."""
    return MetricResult(value=float(len(_jerks(recording))), unit="ticks", better=Better.NEITHER)


def stop_decel(recording: Recording, references: References) -> MetricResult:
    """Hardest braking of an unforced stop [m/s²]."""
    found = unforced_stops(recording)
    hardest = max((float(-stop["accel"].min()) for stop in found), default=0.0)
    return MetricResult(value=max(hardest, 0.0), unit="m/s²", valid=bool(found))


def unforced_stops(recording: Recording) -> list[NDArray[np.void]]:
    """Ego's rows of each unforced stop."""
    if recording.header.ego is None:
        return []
    track = recording.track(recording.header.ego)
    ticks, active = ego_numbers(recording, "intervention")
    driven_by_fallback = set(ticks[active > 0].tolist())
    speed = np.abs(track["speed"])
    found = []
    for below in np.flatnonzero((speed[1:] < STOPPED) & (speed[:-1] >= STOPPED)) + 1:
        first = end = int(below)
        while first > 0 and speed[first - 1] > speed[first] - UNEVEN:
            first -= 1
        cruising = np.flatnonzero(speed[first : below + 1] >= speed[first : below + 1].max() - CRUISING)
        first += int(cruising[-1])
        while end + 1 < len(speed) and speed[end + 1] < speed[end]:
            end += 1
        stop = track[first : end + 1]
        if speed[first] >= STOP_FROM and not driven_by_fallback & set(stop["tick"].tolist()):
            found.append(stop)
    return found


def _jerks(recording: Recording) -> NDArray[np.float64]:
    found = unforced_stops(recording)
    return np.concatenate([stop["jerk"].astype(np.float64) for stop in found]) if found else np.zeros(0)
