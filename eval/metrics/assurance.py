"""Whether a verified way out was there, as the safety envelope recorded it: docs/safety.md says what the columns mean.

Given the assumptions: a tick counts unless an assumption is broken at it, or was broken since a way out was last verified. The
envelope says itself what was broken and by whom, so where there is no way out its word is held against where everybody was: who
is blamed for what others do has to be there, within REACH_M of where ego saw it, and to have been on the move within LATELY_S;
where ego's own measurement is blamed, that one has to have been somewhere else than measured. An excuse that is not borne out
does not count. (Recordings without arrays do not say where ego saw anybody: there the envelope's word is all there is.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import Better, MetricResult, References
from eval.metrics.traced import ego_arrays, ego_numbers
from sim.interface import PERCEPT_COLUMNS
from sim.recording import Recording

OWN = 14
"""Value of the trace column `assumption_violated` for what is assumed of ego's own measurements and brakes."""
REACH_M = 3.0
OFF_M = 0.2
"""m by which a place may be off, as the envelope reckons (`Assumptions.sigma_most`)."""
LATELY_S = 1.0
MOVES = 0.1  # m/s
_ID, _PLACE = PERCEPT_COLUMNS.index("id"), [PERCEPT_COLUMNS.index(name) for name in ("x", "y")]


def fallback_available(recording: Recording, references: References) -> MetricResult:
    """Share of the ticks that count at which a way out was verified."""
    verified, counted = _ticks(recording)
    there = int(np.sum(counted))
    value = float(np.sum(verified & counted)) / there if there else 0.0
    return MetricResult(value=value, unit="share", better=Better.HIGHER, valid=there > 0)


def fallback_lost(recording: Recording, references: References) -> MetricResult:
    """Ticks that count without a way out: with none in any of n episodes, about 3 / n of all can have one."""
    verified, counted = _ticks(recording)
    return MetricResult(value=float(np.sum(counted & ~verified)), unit="ticks", valid=len(counted) > 0)


def fallback_ticks(recording: Recording, references: References) -> MetricResult:
    """Ticks that count, by which episodes are weighted."""
    _, counted = _ticks(recording)
    return MetricResult(value=float(np.sum(counted)), unit="ticks", better=Better.NEITHER, valid=len(counted) > 0)


def fallback_missing_s(recording: Recording, references: References) -> MetricResult:
    """Time without a verified way out, whatever others did [s]."""
    verified, _ = _ticks(recording)
    return MetricResult(value=float(np.sum(~verified)) * recording.header.tick_s, unit="s", valid=len(verified) > 0)


def interventions(recording: Recording, references: References) -> MetricResult:
    """How often the fallback took over."""
    return _rises(recording, "intervention", "interventions")


def intervention_s(recording: Recording, references: References) -> MetricResult:
    """Time for which the fallback drove [s]."""
    _, active = ego_numbers(recording, "intervention")
    return MetricResult(value=float(np.sum(active > 0)) * recording.header.tick_s, unit="s", valid=len(active) > 0)


def assumptions_broken(recording: Recording, references: References) -> MetricResult:
    """How often others began to break an assumption that the envelope relied on."""
    return _rises(recording, "assumption_violated", "violations", Better.NEITHER)


def interventions_for(recording: Recording) -> dict[int, int]:
    """How often the fallback took over for each assumption, by the assumption's number."""
    return _by_number(recording, "intervention", "assumption")


def broken_by_number(recording: Recording) -> dict[int, int]:
    """How often others began to break each assumption, by its number."""
    return _by_number(recording, "assumption_violated", "assumption_violated")


def _by_number(recording: Recording, event: str, named: str) -> dict[int, int]:
    """The number traced under `named` at each tick at which `event` begins -> how often."""
    (ticks, on), numbers = ego_numbers(recording, event), dict(zip(*ego_numbers(recording, named), strict=True))
    begins = ticks[(on > 0) & ~np.concatenate([[False], on[:-1] > 0])] if len(on) else ticks
    found, counts = np.unique([int(numbers[tick]) for tick in begins], return_counts=True)
    return {int(number): int(count) for number, count in zip(found, counts, strict=True)}


def _rises(recording: Recording, name: str, unit: str, better: Better = Better.LOWER) -> MetricResult:
    _, values = ego_numbers(recording, name)
    on = values > 0
    count = int(np.sum(on & ~np.concatenate([[False], on[:-1]]))) if len(on) else 0
    return MetricResult(value=float(count), unit=unit, better=better, valid=len(on) > 0)


def _ticks(recording: Recording) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(T,) whether a way out was verified, and whether the tick counts."""
    ticks, secured = ego_numbers(recording, "fallback_verified")
    _, broken = ego_numbers(recording, "assumption_violated")
    blamed = dict(zip(*ego_numbers(recording, "safety_other"), strict=True))
    verified = secured > 0
    counted, number, excused = np.ones(len(verified), bool), 0, False
    for k, good in enumerate(verified):
        number = int(broken[k]) or (0 if good else number)
        if not good and (broken[k] > 0 or k == 0 or verified[k - 1]):
            excused = number > 0 and _borne_out(recording, int(ticks[k]), number, int(blamed.get(ticks[k], -1)))
        counted[k] = not (broken[k] > 0 if good else excused)
    return verified, counted


def _borne_out(recording: Recording, tick: int, number: int, blamed: int) -> bool:
    """Whether assumption `number` can have been broken at a tick by whom ego's driver calls `blamed`."""
    percepts = ego_arrays(recording, "percepts")
    if not percepts:
        return True
    seen = np.asarray(percepts.get(tick, np.zeros((0, len(PERCEPT_COLUMNS)))), np.float64)
    seen = seen[seen[:, _ID] == blamed]
    if not len(seen):
        return False
    x, y = seen[0, _PLACE]
    rows = recording.at(tick)
    rows = rows[rows["actor"] != recording.header.ego]
    away = np.hypot(rows["x"] - x, rows["y"] - y)
    if not len(away) or float(away.min()) > REACH_M:
        return number == OWN
    if number == OWN:
        return float(away.min()) > OFF_M
    track = recording.track(int(rows["actor"][int(np.argmin(away))]))
    lately = (track["tick"] > tick - LATELY_S / recording.header.tick_s) & (track["tick"] <= tick)
    return bool(np.any(np.abs(track["speed"][lately]) > MOVES))
