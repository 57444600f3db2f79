"""Who of a recording would have to react to what the recording does not have, and how far everybody ends up from it.

Somebody who replays a track has to react from the moment at which, going on as recorded, it would within HORIZON_S run into ego,
or into one who was let go before: its circles then overlap theirs, moved on at their present rate of turn and speed, or slower
still where they brake, and the other one is not behind it. In reactive scenarios those vehicles are let go then, and drive
themselves; people on foot wait, where they would not be run into either, until the way is free, and go on later as recorded. Two
recorded ones are never compared: what they did they did.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sim.interface import TICK_S, Floats, Kind
from sim.scenario import Model, Scenario
from sim.state import Status
from sim.world import World

HORIZON_S = 2.5
STEP_S = 0.25
CIRCLES = 3
"""So many circles along a body stand for it: two cars side by side in lanes of 3 m stay apart."""


@dataclass(slots=True)
class Reactions:
    """Looks at an episode before each of its ticks. needed: first tick at which each had to react; gaps: distances [m] from
    the record of each whose record goes on, per tick. Who is let go is told by the world alone."""

    scenario: Scenario
    needed: dict[int, int] = field(default_factory=dict)
    gaps: dict[int, list[float]] = field(default_factory=dict)
    over: bool = False

    def step(self, world: World) -> None:
        """Take the world's present tick in, and let go who has to react and can."""
        bodies, now = world.state.bodies[0], world.tick * TICK_S
        active = bodies["status"] == Status.ACTIVE
        known, ego = [actor for actor in recorded(self.scenario) if active[actor]], self.scenario.ego
        for actor in known:
            self._measure(actor, bodies, now)
        if ego is None:
            return
        loose = [ego] if active[ego] else []
        loose += [actor for actor in known if bodies["model"][actor] == Model.NEGOTIATOR]
        late = world.state.minds["track_late"][0]
        for actor in known:
            waits = self.scenario.actors[actor].waits
            if bodies["model"][actor] != Model.REPLAY or (actor in self.needed and not waits):
                continue
            then = now - TICK_S * int(late[actor])
            meeting = [other for other in loose if self._meets(actor, other, bodies, then)]
            if not meeting:
                continue
            self.needed.setdefault(actor, world.tick)
            if self.scenario.actors[actor].route is not None:
                world.release(0, actor, self.scenario.actors[actor].pace)
            elif waits and not any(_stands_in_the_way(bodies[actor], bodies[other]) for other in loose):
                world.hold(0, actor)

    @property
    def divergence_m(self) -> float | None:
        """Mean distance from the record over everybody and all ticks of the record, those who only replay included."""
        every = [gap for gaps in self.gaps.values() for gap in gaps]
        return round(float(np.mean(every)), 4) if every else None

    def reacted(self) -> tuple[tuple[float, str], ...]:
        """(time [s], name) of each who had to react, in order."""
        return tuple(
            (round(tick * TICK_S, 1), self.scenario.actors[actor].name)
            for actor, tick in sorted(self.needed.items(), key=lambda item: item[1])
        )

    def _measure(self, actor: int, bodies: np.ndarray, now: float) -> None:
        track, late = self.scenario.actors[actor].track, self.scenario.actors[actor].depart_s
        if track is not None and track[0, 0] + late <= now <= track[-1, 0] + late:
            at = [float(np.interp(now - late, track[:, 0], track[:, column])) for column in (1, 2)]
            gap = float(np.hypot(bodies["x"][actor] - at[0], bodies["y"][actor] - at[1]))
            self.gaps.setdefault(actor, []).append(gap)

    def _meets(self, actor: int, other: int, bodies: np.ndarray, now: float) -> bool:
        """Whether `actor`, as recorded from time `now` of its record on, runs into `other` soon."""
        me, them = bodies[actor], bodies[other]
        if np.hypot(me["x"] - them["x"], me["y"] - them["y"]) > 2.0 * HORIZON_S * (abs(me["speed"]) + abs(them["speed"])) + 20.0:
            return False
        ahead = np.arange(STEP_S, HORIZON_S + 1e-9, STEP_S)
        mine, theirs = self._recorded_ahead(actor, now + ahead), _moved_on(them, ahead)
        apart = theirs[: len(mine), :2] - mine[:, :2]
        meets = _touch(mine, me, theirs[: len(mine)], them)
        if not meets.any():
            return False
        first = int(np.argmax(meets))
        heading = mine[first, 2]
        return bool(apart[first, 0] * np.cos(heading) + apart[first, 1] * np.sin(heading) > 0.0)

    def _recorded_ahead(self, actor: int, times: Floats) -> Floats:
        """(H, 3) x, y, heading at these times, as far as the record goes."""
        one = self.scenario.actors[actor]
        if one.track is None:
            return np.zeros((0, 3))
        times = times[times <= one.track[-1, 0] + one.depart_s] - one.depart_s
        headings = np.unwrap(one.track[:, 3])
        columns = (one.track[:, 1], one.track[:, 2], headings)
        return np.stack([np.interp(times, one.track[:, 0], column) for column in columns], axis=1)


def recorded(scenario: Scenario) -> list[int]:
    """Road users that have a record."""
    return [
        index
        for index, actor in enumerate(scenario.actors)
        if actor.track is not None and actor.kind != Kind.OBJECT and not (actor.model == Model.REPLAY and actor.driver)
    ]


def _moved_on(body: np.void, ahead: Floats) -> Floats:
    """(H, 3) x, y, heading after these times [s] at its present speed and rate of turn; who brakes goes on to, down to rest."""
    speed, rate, brake = float(body["speed"]), float(body["yaw_rate"]), max(-float(body["accel"]), 0.0)
    heading = float(body["heading"]) + rate * ahead
    middle = float(body["heading"]) + 0.5 * rate * ahead
    until = np.minimum(ahead, speed / brake) if brake > 0.0 and speed > 0.0 else ahead
    way = until * (speed - 0.5 * brake * until) if speed > 0.0 else speed * ahead
    x, y = body["x"] + way * np.cos(middle), body["y"] + way * np.sin(middle)
    return np.stack([x, y, heading], axis=1)


def _stands_in_the_way(body: np.void, other: np.void) -> bool:
    """Whether somebody who stands still is run into by another soon."""
    ahead = np.arange(STEP_S, HORIZON_S + 1e-9, STEP_S)
    still = np.tile([float(body["x"]), float(body["y"]), float(body["heading"])], (len(ahead), 1))
    return bool(_touch(still, body, _moved_on(other, ahead), other).any())


def _touch(poses: Floats, body: np.void, others: Floats, other: np.void) -> np.ndarray:
    """(H,) whether circles of the two overlap."""
    reach = sum(np.hypot(float(one["length"]) / (2 * CIRCLES), 0.5 * float(one["width"])) for one in (body, other))
    a, b = _circles(poses, float(body["length"])), _circles(others, float(other["length"]))
    nearest = np.hypot(*np.moveaxis(a[:, :, None] - b[:, None], -1, 0)).min(axis=(1, 2))
    touching: np.ndarray = nearest < reach
    return touching


def _circles(poses: Floats, length: float) -> Floats:
    """(H, CIRCLES, 2) centres along a body."""
    along = length * ((np.arange(CIRCLES) + 0.5) / CIRCLES - 0.5)
    direction = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], axis=1)
    centres: Floats = poses[:, None, :2] + along[None, :, None] * direction[:, None]
    return centres
