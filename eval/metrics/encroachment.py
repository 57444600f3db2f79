"""Post-encroachment time: how closely ego and others used the same spot one after the other.

PET = the time between one road user's leaving a spot and the other's reaching it (Allen, Shin and Cooper 1978), here over whole
footprints: the least time between two moments at which their boxes would overlap. Followers in one direction are left out.
"""

from __future__ import annotations

import math

import numpy as np

from eval.metrics.boxes import boxes
from eval.metrics.contacts import contacts
from eval.metrics.result import Better, MetricResult, References
from sim.interface import Floats
from sim.kinematics import time_to_collision
from sim.recording import Recording

CLOSE_S = 1.0
"""A closer call than this is flagged (METRICS, surrogate safety)."""
HORIZON_S = 5.0
"""Longer ones are nobody's concern; an episode without any closer pair has this value."""
CROSSING = math.radians(20.0)
"""Least difference in heading of two who cross."""


def min_pet(recording: Recording, references: References) -> MetricResult:
    """Least post-encroachment time of ego with anybody whose way it crosses [s]; 0 where they touched."""
    ego = recording.header.ego
    if ego is None:
        return MetricResult(value=0.0, unit="s", better=Better.HIGHER, valid=False)
    if contacts(recording):
        return MetricResult(value=0.0, unit="s", better=Better.HIGHER)
    others = [k for k in range(len(recording.header.actors)) if k != ego]
    least = min((_pet(recording, ego, other) for other in others), default=HORIZON_S)
    return MetricResult(value=min(least, HORIZON_S), unit="s", better=Better.HIGHER)


def passing(recording: Recording, ego: int, other: int) -> float | None:
    """How much later than ego another was at the spots that both used, in the middle [s]; None where there were none."""
    apart = _shared(recording, ego, other)
    return None if not len(apart) else float(np.median(apart))


def _pet(recording: Recording, ego: int, other: int) -> float:
    return float(np.min(np.abs(_shared(recording, ego, other)), initial=HORIZON_S))


def _shared(recording: Recording, ego: int, other: int) -> Floats:
    """(K,) seconds by which another was later than ego wherever their boxes, each at its own moment, overlap."""
    mine, theirs = recording.track(ego), recording.track(other)
    moved = theirs[np.abs(theirs["speed"]) > 0.05]
    if not len(mine) or not len(moved):
        return np.zeros(0)
    a, b = recording.header.actors[ego], recording.header.actors[other]
    reach = 0.5 * (math.hypot(a.length, a.width) + math.hypot(b.length, b.width))
    distance = np.hypot(mine["x"][:, None] - theirs["x"][None, :], mine["y"][:, None] - theirs["y"][None, :])
    first, second = np.nonzero(distance < reach)
    turn = np.abs(np.angle(np.exp(1j * (mine["heading"][first] - theirs["heading"][second]))))
    first, second = first[turn > CROSSING], second[turn > CROSSING]
    # boxes that stand where each was at its own moment: they meet now or never
    touch = time_to_collision(boxes(mine[first], a), boxes(theirs[second], b)) == 0.0
    return np.asarray((theirs["tick"][second] - mine["tick"][first])[touch] * recording.header.tick_s, np.float64)
