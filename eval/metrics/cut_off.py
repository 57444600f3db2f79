"""Collisions that were ego's doing although no rule says so: it got in the way of somebody who could not stop any more.

METRICS, at fault: ... or entered a conflict zone without the other being able to brake at 3 m/s² after 1 s. Ego enters when its
box first meets a box that the other has at any later moment up to their contact; the other can brake if it then is further away
along its way than it needs to stop.
"""

from __future__ import annotations

import numpy as np

from eval.metrics.boxes import boxes
from eval.metrics.contacts import contacts
from eval.metrics.result import MetricResult, References
from sim.kinematics import stopping_distance, time_to_collision
from sim.recording import Recording

BRAKE, RESPONSE_S = 3.0, 1.0  # m/s², s
MOVES = 0.5  # m/s
AHEAD = 0.35  # share of both lengths by which one that is followed is ahead
ALIGNED = 0.7  # cosine of the angle between two who follow each other


def cut_off_collisions(recording: Recording, references: References) -> MetricResult:
    """How many of ego's collisions were with somebody whose way it had entered too late for that one to brake."""
    ego = recording.header.ego
    if ego is None:
        return MetricResult(value=0.0, unit="collisions", valid=False)
    late = sum(_cut_off(recording, ego, other, tick) for other, tick in contacts(recording))
    return MetricResult(value=float(late), unit="collisions")


def _cut_off(recording: Recording, ego: int, other: int, contact: int) -> bool:
    mine, theirs = recording.track(ego), recording.track(other)
    mine, theirs = mine[mine["tick"] <= contact + 1], theirs[theirs["tick"] <= contact + 1]
    if not len(mine) or not len(theirs) or abs(float(mine["speed"][-1])) < MOVES:
        return False  # who stands has cut nobody off
    if _follows(theirs[-1], mine[-1], recording):
        return False  # who is behind keeps its distance
    a, b = boxes(mine, recording.header.actors[ego]), boxes(theirs, recording.header.actors[other])
    met = time_to_collision(a[:, None, :], b[None, :, :]) == 0.0
    met &= theirs["tick"][None, :] >= mine["tick"][:, None]
    entries = np.flatnonzero(met.any(axis=1))
    if not len(entries):
        return False
    entry = int(entries[0])
    place = int(np.argmax(met[entry]))
    now = int(np.searchsorted(theirs["tick"], mine["tick"][entry]))
    if now >= len(theirs):
        return False
    way = np.hypot(np.diff(theirs["x"][now : place + 1]), np.diff(theirs["y"][now : place + 1])).sum()
    return bool(way < stopping_distance(max(float(theirs["speed"][now]), 0.0), BRAKE, RESPONSE_S))


def _follows(behind: np.void, ahead: np.void, recording: Recording) -> bool:
    """Whether one runs into another from behind, in the same direction."""
    turn = float(np.cos(behind["heading"] - ahead["heading"]))
    dx, dy = float(ahead["x"] - behind["x"]), float(ahead["y"] - behind["y"])
    along = dx * float(np.cos(behind["heading"])) + dy * float(np.sin(behind["heading"]))
    lengths = sum(recording.header.actors[int(row["actor"])].length for row in (behind, ahead))
    return turn > ALIGNED and along > AHEAD * lengths
