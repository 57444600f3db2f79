"""Whether a verified way out was there, as the safety envelope recorded it: docs/safety.md says what the columns mean.

Given the assumptions: a tick counts unless an assumption is broken at it, or was broken since a way out was last verified.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import Better, MetricResult, References
from eval.metrics.traced import ego_numbers
from sim.recording import Recording


def fallback_available(recording: Recording, references: References) -> MetricResult:
    """Share of the ticks that count at which a way out was verified."""
    verified, counted = _ticks(recording)
    there = int(np.sum(counted))
    value = float(np.sum(verified & counted)) / there if there else 0.0
    return MetricResult(value=value, unit="share", better=Better.HIGHER, valid=there > 0)


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
    _, secured = ego_numbers(recording, "fallback_verified")
    _, broken = ego_numbers(recording, "assumption_violated")
    verified = secured > 0
    counted, excused = np.ones(len(verified), bool), False
    for k, good in enumerate(verified):
        excused = bool(broken[k] > 0) or (excused and not good)
        counted[k] = not excused
    return verified, counted
