"""Comfort regret: the jerk that ego used beyond what the same crossing needed.

With hindsight the moments at which ego entered and left the junction are known. The least ∫j² along the same path that begins as
ego did, is at the entry and at the exit when ego was, never rolls back and is never faster than ego was at its fastest, is a
quadratic programme in the jerk of equal steps. What ego used above it is the price of not having known.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eval.metrics.comfort import squared_jerk
from eval.metrics.crossings import crossings
from eval.metrics.result import MetricResult, References
from sim.interface import Floats
from sim.recording import Recording

STEP_TICKS = 2
SPEED_SLACK = 0.05  # m/s
PLACE_SLACK = 0.05  # m


def comfort_regret(recording: Recording, references: References) -> MetricResult:
    """Executed ∫j² less the least for the same entry and exit times [m²/s⁵]."""
    rows, entered = _crossing(recording, references)
    least = least_jerk(rows, entered, recording.header.tick_s) if len(rows) else math.nan
    used = _used(rows, recording.header.tick_s)
    return MetricResult(value=used - least if not math.isnan(least) else 0.0, unit="m²/s⁵", valid=not math.isnan(least))


def jerk_of_crossing(recording: Recording, references: References) -> MetricResult:
    """Executed ∫j² from the start to the exit of the junction [m²/s⁵]."""
    rows, _ = _crossing(recording, references)
    return MetricResult(value=_used(rows, recording.header.tick_s), unit="m²/s⁵", valid=len(rows) > 0)


def _used(rows: NDArray[np.void], tick_s: float) -> float:
    return float(np.sum(squared_jerk(rows, tick_s)))


def _crossing(recording: Recording, references: References) -> tuple[NDArray[np.void], int]:
    """Ego's rows up to its exit, and the index of its entry; no rows where it did not cross."""
    junction, ego = references.junction, recording.header.ego
    if junction is None or ego not in junction.actors:
        return recording.rows[:0], 0
    found, me = crossings(recording, junction), junction.actors.index(ego)
    if not math.isfinite(found.left[me]) or not math.isfinite(found.entered[me]):
        return recording.rows[:0], 0
    track = recording.track(ego)
    first, tick_s = int(track["tick"][0]), recording.header.tick_s
    entered, left = (round(time / tick_s) - first for time in (float(found.entered[me]), float(found.left[me])))
    return track[: left + 1], entered


def least_jerk(rows: NDArray[np.void], entered: int, tick_s: float) -> float:
    """Least ∫j² [m²/s⁵] of a motion like `rows` (T,) that is where they are at index `entered` and at the end; nan: none."""
    s = np.concatenate([[0.0], np.cumsum(0.5 * (rows["speed"][1:] + rows["speed"][:-1]).astype(np.float64) * tick_s)])
    step = STEP_TICKS * tick_s
    count = max((len(rows) - 1) // STEP_TICKS, 2)
    position, speed = _responses(count, step)
    v0, a0 = max(float(rows["speed"][0]), 0.0), float(rows["accel"][0])
    t: Floats = step * np.arange(1, count + 1, dtype=np.float64)
    free_s: Floats = v0 * t + 0.5 * a0 * t**2
    free_v: Floats = v0 + a0 * t
    marks = [min(max(entered // STEP_TICKS, 1), count - 1) - 1, count - 1]
    there = np.interp(t[marks], tick_s * np.arange(len(rows)), s) - free_s[marks]
    low: Floats = -SPEED_SLACK - free_v
    high: Floats = max(float(np.abs(rows["speed"]).max()), v0) + SPEED_SLACK - free_v
    return _solve(position[marks], there, speed, low, high, step)


def _responses(count: int, step: float) -> tuple[Floats, Floats]:
    """(N, N) of what the jerk of each step adds to position and speed at the end of each."""
    after = step * np.maximum(np.arange(count)[:, None] - np.arange(count)[None, :], 0.0)
    acts = np.tri(count)
    position = acts * (step**3 / 6.0 + step**2 / 2.0 * after + step * after**2 / 2.0)
    return position, acts * (step**2 / 2.0 + step * after)


def _solve(marks: Floats, there: Floats, speed: Floats, low: Floats, high: Floats, step: float) -> float:
    """Least ∫j² with positions `marks` of jerk within PLACE_SLACK of `there`, and speeds between `low` and `high`; nan: none."""
    import piqp

    count = speed.shape[1]
    rows = np.vstack([marks, speed])
    lows, highs = np.concatenate([there - PLACE_SLACK, low]), np.concatenate([there + PLACE_SLACK, high])
    solver = piqp.DenseSolver()
    solver.settings.verbose = False
    solver.setup(np.eye(count), np.zeros(count), None, None, rows, lows, highs, None, None)
    if solver.solve() != piqp.PIQP_SOLVED:
        return math.nan
    jerk = np.asarray(solver.result.x)
    return float(jerk @ jerk) * step
