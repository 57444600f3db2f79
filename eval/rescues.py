"""Rescues: others who brake hard because of ego, and would not without it. They hide ego's faults, so they are counted.

Whom a driver has in mind does not say for whom it brakes: most hard braking before a stop line is that driver's own, whoever
else claims the junction. So the episode is gone through again: when somebody begins to brake harder than HARD_BRAKING, the world
goes back by BEFORE_TICKS or a little more, ego is taken off the road, everybody else drives on with the same random numbers, and
it is a rescue unless that one brakes as hard all the same, up to AFTER_TICKS after the moment at which it did. Who was put on the
road within that time brakes for the place and speed that it was given: nothing that ego did since then could have spared it that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from eval.episode import Episode, Kept, Seat, drive, kept, restore
from sim.interface import Kind
from sim.recorder import TraceColumns
from sim.scenario import Model
from sim.state import HISTORY, Status

HARD_BRAKING = 4.0  # m/s² (METRICS)
BEFORE_TICKS = HISTORY - 1
"""The longest response time: what anybody does is an answer to something not older than that. The world is kept every KEEP_TICKS,
so that it goes back that far at least."""
KEEP_TICKS = 5
AFTER_TICKS = 10
PAUSE_TICKS = 30
"""Braking hard again within this is the same rescue."""


@dataclass(slots=True)
class RescueWatch:
    """Looks at every tick of an episode. found: (tick, actor) of each rescue so far, when that one began to brake hard."""

    found: list[tuple[int, int]] = field(default_factory=list)
    _past: deque[tuple[int, Kept]] = field(default_factory=lambda: deque(maxlen=1 + BEFORE_TICKS // KEEP_TICKS))
    _hard: dict[int, int] = field(default_factory=dict)

    def watch(self, episode: Episode) -> None:
        """Take the episode's present tick in; the episode goes on from here as if nobody had looked."""
        tick = episode.world.tick
        for actor in _braking_hard(episode):
            begins = tick - self._hard.get(actor, -PAUSE_TICKS - 1) > PAUSE_TICKS
            self._hard[actor] = tick
            if not begins or not self._past:
                continue
            now = kept(episode)
            try:
                spared = not _brakes_without_ego(episode, actor, self._past[0], tick + AFTER_TICKS)
            finally:
                restore(episode, now)
            if spared:
                self.found.append((tick, actor))
        if tick % KEEP_TICKS == 0:
            self._past.append((tick, kept(episode)))


def _braking_hard(episode: Episode) -> list[int]:
    """Everybody but ego who drives and brakes hard; who has crashed rescues nobody any more."""
    bodies, ego = episode.world.state.bodies[0], episode.scenario.ego
    if bodies["accel"].min() > -HARD_BRAKING:
        return []
    drives = (bodies["model"] == Model.NEGOTIATOR) | (bodies["model"] == Model.EXTERNAL)
    hard = drives & (bodies["status"] == Status.ACTIVE) & (bodies["kind"] != Kind.PEDESTRIAN)
    hard &= (bodies["accel"] <= -HARD_BRAKING) & (bodies["crashed"] == 0)
    return [int(actor) for actor in np.flatnonzero(hard) if actor != ego]


def _brakes_without_ego(episode: Episode, actor: int, start: tuple[int, Kept], until: int) -> bool:
    """Whether `actor` brakes hard up to tick `until` where ego vanishes at `start`, or either is not on the road then."""
    tick, before = start
    ego, world = episode.scenario.ego, episode.world
    seats = {one: Seat(seat.name, seat.driver) for one, seat in episode.seats.items()}
    shadow = replace(episode, seats=seats, recorder=None, columns=TraceColumns(), watcher=None)
    restore(shadow, before)
    if ego is None or np.any(world.state.bodies["status"][0, [ego, actor]] != Status.ACTIVE):
        return True
    world.remove(0, ego)
    for after in range(tick + 1, until + 1):
        drive(shadow, until=after)
        if world.state.bodies["accel"][0, actor] <= -HARD_BRAKING:
            return True
    return False
