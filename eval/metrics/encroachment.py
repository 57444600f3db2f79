"""Post-encroachment time: how closely ego and others used the same spot one after the other.

PET = the time between one road user's leaving a spot and the other's reaching it (Allen, Shin and Cooper 1978), here over whole
footprints: the least time between two moments at which their boxes would overlap. Followers in one direction are left out.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import Better, MetricResult, References
from sim.interface import Floats
from sim.kinematics import time_to_collision
from sim.recording import Recording

HORIZON_S = 5.0
"""Longer ones are nobody's concern; an episode without any closer pair has this value."""
CROSSING = math.radians(20.0)
"""Least difference in heading of two who cross."""


def min_pet(recording: Recording, references: References) -> MetricResult:
    """Least post-encroachment time of ego with anybody whose way it crosses [s]; 0 where they touched."""
    ego = recording.header.ego
    if ego is None:
        return MetricResult(value=0.0, unit="s", better=Better.HIGHER, valid=False)
    mine = recording.track(ego)
    others = [k for k in range(len(recording.header.actors)) if k != ego]
    least = min((_pet(recording, mine, ego, other) for other in others), default=HORIZON_S)
    return MetricResult(value=min(least, HORIZON_S), unit="s", better=Better.HIGHER)


def _pet(recording: Recording, mine: NDArray[np.void], ego: int, other: int) -> float:
    theirs = recording.track(other)
    moved = theirs[np.abs(theirs["speed"]) > 0.05]
    if not len(mine) or not len(moved):
        return HORIZON_S
    a, b = recording.header.actors[ego], recording.header.actors[other]
    reach = 0.5 * (math.hypot(a.length, a.width) + math.hypot(b.length, b.width))
    apart = np.abs(mine["tick"][:, None] - theirs["tick"][None, :]) * recording.header.tick_s
    turn = np.abs(np.angle(np.exp(1j * (mine["heading"][:, None] - theirs["heading"][None, :]))))
    distance = np.hypot(mine["x"][:, None] - theirs["x"][None, :], mine["y"][:, None] - theirs["y"][None, :])
    first, second = np.nonzero((apart < HORIZON_S) & (turn > CROSSING) & (distance < reach))
    if not len(first):
        return HORIZON_S
    # boxes that stand where each was at its own moment: they meet now or never
    touch = time_to_collision(_boxes(mine[first], a.length, a.width), _boxes(theirs[second], b.length, b.width)) == 0.0
    return float(np.min(apart[first, second][touch], initial=HORIZON_S))


def _boxes(rows: NDArray[np.void], length: float, width: float) -> Floats:
    """(N, 7) x, y, heading, no velocity, length, width."""
    still, size = np.zeros(len(rows)), np.ones(len(rows))
    return np.stack([rows["x"], rows["y"], rows["heading"], still, still, length * size, width * size], axis=-1)
