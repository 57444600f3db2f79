"""Light things that the wind blows about: where they are at each moment, as a track to replay."""

from __future__ import annotations

import math

import numpy as np

from sim.interface import Floats

STEP_S = 0.2
PERIODS_S = (3.0, 6.5, 11.0)
"""Periods of gusts; none divides another, so the way does not repeat."""


def drift_track(pose: tuple[float, float, float], speed: float, duration_s: float, random: np.random.Generator) -> Floats:
    """(T, 5) of t [s], x, y [m], heading [rad], speed [m/s] of something blown to and fro about `pose` for `duration_s`.

    speed: root mean square [m/s]; it stays within about twice that much, in metres, of its place. Gusts are sums of sines.
    """
    time = np.arange(0.0, duration_s + 2.0 * STEP_S, STEP_S)
    place, velocity = np.zeros((len(time), 2)), np.zeros((len(time), 2))
    # each axis gets half the square of the speed, each gust an equal part of that
    strength = speed / math.sqrt(len(PERIODS_S))
    for period in PERIODS_S:
        omega = 2.0 * math.pi / (period * random.uniform(0.9, 1.1))
        phases = omega * time[:, None] + random.uniform(0.0, 2.0 * math.pi, 2)
        place += strength / omega * np.sin(phases)
        velocity += strength * np.cos(phases)
    turns = pose[2] + np.cumsum(np.hypot(*velocity.T)) * STEP_S * random.uniform(-0.8, 0.8)
    return np.column_stack([time, np.array(pose[:2]) + place, turns, np.hypot(*velocity.T)])
