"""Order violations at an all-way stop: who went although it was another's turn.

i violates j's turn when their ways meet, j arrived more than TIE_S before i, i entered first, and j had not left its slot unused
for UNUSED_S by then: who lets the slot go by cannot complain. Its slot is open from its arrival on while nobody whose way meets
its own is in the junction, and it goes unused when it has been open for UNUSED_S on end.
"""

from __future__ import annotations

import numpy as np

from eval.metrics.crossings import TIE_S, Crossings, crossings
from eval.metrics.result import Junction, MetricResult, References
from sim.recording import Recording

UNUSED_S = 3.0


def order_violations(recording: Recording, references: References) -> MetricResult:
    """How many others' turns ego took."""
    return _count(recording, references, by_ego=True)


def order_violations_suffered(recording: Recording, references: References) -> MetricResult:
    """How many others took ego's turn."""
    return _count(recording, references, by_ego=False)


def _count(recording: Recording, references: References, by_ego: bool) -> MetricResult:
    junction, ego = references.junction, recording.header.ego
    if junction is None or ego not in junction.actors:
        return MetricResult(value=0.0, unit="turns", valid=False)
    found, me = crossings(recording, junction), junction.actors.index(ego)
    others = [k for k in range(len(junction.actors)) if k != me]
    pairs = [(me, k) if by_ego else (k, me) for k in others]
    return MetricResult(value=float(sum(violates(found, junction, i, j) for i, j in pairs)), unit="turns")


def violates(found: Crossings, junction: Junction, i: int, j: int) -> bool:
    """Whether vehicle i (index into `Junction.actors`) took the turn of j."""
    arrived, entered = found.arrived, found.entered
    if not junction.conflicts[i, j] or not np.isfinite(entered[i]) or not arrived[j] < arrived[i] - TIE_S:
        return False
    within = [k for k in range(len(arrived)) if k not in (i, j) and junction.conflicts[k, j] and entered[k] < entered[i]]
    opened = float(arrived[j])
    for begins, ends in sorted((float(entered[k]), float(found.left[k])) for k in within):
        if begins - opened >= UNUSED_S:
            return False
        opened = max(opened, ends)
    return bool(entered[i] < entered[j] and entered[i] < opened + UNUSED_S)
