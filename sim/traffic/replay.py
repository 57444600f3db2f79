"""Replay of recorded tracks: actors that do what somebody once did, whatever happens around them.

All tracks of a batch lie in one (N, 5) array of t [s from the start of the episode], x, y [m], heading [rad], speed [m/s]; an
actor's samples start at `minds.track` and number `minds.track_length`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.interface import TICK_S, Floats
from sim.jit import kernel
from sim.scenario import Actor, Model, Scenario
from sim.state import Status, WorldState
from sim.trigonometry import sincos

_WAITING, _ACTIVE, _FINISHED = int(Status.WAITING), int(Status.ACTIVE), int(Status.FINISHED)
_ROUNDING_S = 1e-6
_COLUMNS = ("t", "x", "y", "heading", "speed")


class TrackError(ValueError):
    """A track that cannot be replayed; the message names scenario, actor and row."""


def _checked(scenario: Scenario, actor: Actor) -> Floats:
    """(T, 5) samples of one actor in episode time, or TrackError."""
    place = f"scenario {scenario.name!r}, actor {actor.name!r}"
    track = np.asarray(actor.track, dtype=np.float64)
    if track.ndim != 2 or track.shape[1] != len(_COLUMNS) or len(track) == 0:
        raise TrackError(f"{place}: a track has columns {', '.join(_COLUMNS)} and at least one row, got shape {track.shape}")
    bad = np.argwhere(~np.isfinite(track))
    if len(bad):
        row, column = (int(value) for value in bad[0])
        raise TrackError(f"{place}, row {row}: {_COLUMNS[column]} is {track[row, column]!r}; every value must be finite")
    late = np.flatnonzero(np.diff(track[:, 0]) <= 0.0)
    if len(late):
        row = int(late[0]) + 1
        raise TrackError(
            f"{place}, row {row}: t = {track[row, 0]!r} does not come after {track[row - 1, 0]!r}; sort the track by time"
        )
    shifted = track.copy()
    shifted[:, 0] += actor.depart_s
    return shifted


def pack_tracks(scenarios: Sequence[Scenario]) -> tuple[Floats, NDArray[np.int32], NDArray[np.int32]]:
    """All tracks of a batch as one array: samples (N, 5), first sample (W, A) and number of samples (W, A) of each actor.

    A is the largest number of actors; slots without a track have start -1 and length 0. `Actor.depart_s` is added to t.
    Raises TrackError (a ValueError) naming scenario, actor and row where a value is not finite or t does not increase.
    """
    slots = max((len(scenario.actors) for scenario in scenarios), default=0)
    starts = np.full((len(scenarios), slots), -1, np.int32)
    lengths = np.zeros((len(scenarios), slots), np.int32)
    parts: list[Floats] = []
    total = 0
    for w, scenario in enumerate(scenarios):
        for a, actor in enumerate(scenario.actors):
            if actor.model == Model.REPLAY:
                track = _checked(scenario, actor)
                starts[w, a], lengths[w, a] = total, len(track)
                total += len(track)
                parts.append(track)
    return np.concatenate(parts) if parts else np.empty((0, len(_COLUMNS))), starts, lengths


@kernel
def _segment(tracks: Floats, first: int, count: int, time: float) -> int:
    """Row of the last sample at or before `time`, among the `count` from `first` on (binary search); the last but one at most."""
    low, high = first, first + count - 1
    while high - low > 1:
        middle = (low + high) // 2
        if tracks[middle, 0] <= time:
            low = middle
        else:
            high = middle
    return low


@kernel
def _turn(start: float, end: float) -> float:
    """Signed angle from `start` to `end`, the short way."""
    return math.pi - (math.pi - (end - start)) % (2.0 * math.pi)


@kernel
def replay(state: WorldState, tracks: Floats, w: int, a: int, tick: int) -> None:
    """Put replayed actor `a` where its track has it at `tick`, less the ticks that it was held up for, interpolating linearly
    (angles the short way).

    Sets status (WAITING before the first sample, FINISHED after the last), pose, speed, accel, jerk 0, yaw rate and velocity.
    """
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    time = (tick - mind.track_late) * TICK_S
    first, count = mind.track, mind.track_length
    if count == 0 or time < tracks[first, 0] - _ROUNDING_S:
        body.status = _WAITING
        return
    if time > tracks[first + count - 1, 0] + _ROUNDING_S:
        body.status = _FINISHED
        if body.finished_tick < 0:
            body.finished_tick = tick
        return
    body.status = _ACTIVE
    if body.entered_tick < 0:
        body.entered_tick = tick
    row = _segment(tracks, first, count, time)
    following = min(row + 1, first + count - 1)
    span = tracks[following, 0] - tracks[row, 0]
    inverse = 1.0 / span if span > 0.0 else 0.0
    share = min(max((time - tracks[row, 0]) * inverse, 0.0), 1.0)
    turned = _turn(tracks[row, 3], tracks[following, 3])
    heading = _turn(0.0, tracks[row, 3] + share * turned)
    body.x = tracks[row, 1] + share * (tracks[following, 1] - tracks[row, 1])
    body.y = tracks[row, 2] + share * (tracks[following, 2] - tracks[row, 2])
    body.heading = heading
    body.sin, body.cos = sincos(heading)
    body.speed = tracks[row, 4] + share * (tracks[following, 4] - tracks[row, 4])
    body.accel = (tracks[following, 4] - tracks[row, 4]) * inverse
    body.jerk = 0.0
    body.yaw_rate = turned * inverse
    body.vx = (tracks[following, 1] - tracks[row, 1]) * inverse
    body.vy = (tracks[following, 2] - tracks[row, 2]) * inverse
    if mind.held != 0:
        body.speed = body.accel = body.yaw_rate = body.vx = body.vy = 0.0
        mind.held = 0
