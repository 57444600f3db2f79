"""Livelock: ego creeps and stops again and again before a junction without ever entering it."""

from __future__ import annotations

import numpy as np

from eval.metrics.crossings import crossings
from eval.metrics.result import MetricResult, References
from sim.recording import Recording

CYCLES = 3
MOVING, STANDING = 0.3, 0.1  # m/s


def creep_cycles(recording: Recording, references: References) -> MetricResult:
    """How often ego set off and stopped again between its arrival at the line and its entry; CYCLES or more are a livelock."""
    junction, ego = references.junction, recording.header.ego
    if junction is None or ego not in junction.actors:
        return MetricResult(value=0.0, unit="cycles", valid=False)
    found, me = crossings(recording, junction), junction.actors.index(ego)
    track = recording.track(ego)
    at = track["tick"] * recording.header.tick_s
    speed = np.abs(track["speed"][(at >= found.arrived[me]) & (at <= min(found.entered[me], found.end))])
    return MetricResult(value=float(_restarts(speed.tolist())), unit="cycles")


def _restarts(speeds: list[float]) -> int:
    """Number of times that moving was followed by standing, after having stood."""
    cycles, stood, moving = 0, False, False
    for speed in speeds:
        if speed < STANDING:
            cycles += moving and stood
            stood, moving = True, False
        elif speed > MOVING:
            moving = True
    return cycles
