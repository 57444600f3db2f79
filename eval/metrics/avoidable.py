"""Collisions that an attentive and competent driver in ego's place would have avoided.

The driver of UN Regulation 157: it sees the risk at the moment from which the time to collision of the two boxes at constant
velocity stays below 2 s up to the contact, responds after 0.75 s and brakes with 0.774 g, built up at 12.65 m/s³, along the path
that ego drove. The other moves as recorded. Avoided: their boxes do not meet before the driver has come to rest.
"""

from __future__ import annotations

import numpy as np

from eval.metrics.boxes import boxes, boxes_at
from eval.metrics.contacts import contacts
from eval.metrics.result import MetricResult, References
from sim.interface import Floats
from sim.kinematics import R157_CRITICAL_TTC_S, R157_DECEL, R157_JERK, R157_RESPONSE_S, time_to_collision
from sim.recording import Recording

LOOK_BACK_S = 10.0
STEP_S = 0.02


def avoidable_collisions(recording: Recording, references: References) -> MetricResult:
    """How many of ego's collisions the R157 driver would have avoided."""
    ego = recording.header.ego
    if ego is None:
        return MetricResult(value=0.0, unit="collisions", valid=False)
    avoided = sum(_avoids(recording, ego, other, tick) for other, tick in contacts(recording))
    return MetricResult(value=float(avoided), unit="collisions")


def _avoids(recording: Recording, ego: int, other: int, contact: int) -> bool:
    """Whether the driver, from the moment it sees the risk, keeps clear of this one."""
    mine, theirs = recording.track(ego), recording.track(other)
    ticks, i, j = np.intersect1d(mine["tick"], theirs["tick"], return_indices=True)
    before = (ticks <= contact) & (ticks > contact - LOOK_BACK_S / recording.header.tick_s)
    mine, theirs = mine[i][before], theirs[j][before]
    if not len(mine):
        return False
    header = recording.header
    ttc = time_to_collision(boxes(mine, header.actors[ego], moving=True), boxes(theirs, header.actors[other], moving=True))
    calm = np.flatnonzero(ttc > R157_CRITICAL_TTC_S)
    seen = int(calm[-1]) + 1 if len(calm) else 0
    if seen >= len(mine):
        return False
    return _clear(recording, (ego, other), int(mine["tick"][seen]))


def _clear(recording: Recording, pair: tuple[int, int], seen: int) -> bool:
    """Whether ego, braking along its own path from what it was at tick `seen`, misses the other until it stands."""
    ego, other = pair
    track, theirs, tick_s = recording.track(ego), recording.track(other), recording.header.tick_s
    track = track[track["tick"] >= seen]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(track["x"]), np.diff(track["y"])))])
    t, s = _braked(float(abs(track["speed"][0])))
    s = np.minimum(s, along[-1])
    own = np.stack([np.interp(s, along, track[name]) for name in ("x", "y")], axis=1)
    heading = np.interp(s, along, np.unwrap(track["heading"].astype(np.float64)))
    theirs = theirs[theirs["tick"] >= seen]
    if not len(theirs):
        return True
    at = (theirs["tick"] - seen) * tick_s
    there = t <= at[-1]
    moved = [np.interp(t, at, theirs[name]) for name in ("x", "y")]
    turned = np.interp(t, at, np.unwrap(theirs["heading"].astype(np.float64)))
    a, b = recording.header.actors[ego], recording.header.actors[other]
    ours = boxes_at(own[:, 0], own[:, 1], heading, a)
    return not bool(np.any((time_to_collision(ours, boxes_at(moved[0], moved[1], turned, b)) == 0.0) & there))


def _braked(speed: float) -> tuple[Floats, Floats]:
    """Times and positions of the driver from the moment it sees the risk until it stands; the last moment is left out: whoever
    runs into one that stands has done so itself."""
    t = np.arange(0.0, R157_RESPONSE_S + speed / R157_DECEL + 1.0, STEP_S)
    brake = np.clip((t - R157_RESPONSE_S) * R157_JERK, 0.0, R157_DECEL)
    v = np.maximum(speed - np.cumsum(brake) * STEP_S, 0.0)
    moving = v > 0.0
    return t[moving], np.cumsum(v * STEP_S)[moving]
