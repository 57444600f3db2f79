"""An episode that is simulated as somebody watches it, and in which he may drive."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from eval.clock import WallClock
from eval.describe import header_of
from eval.episode import Episode, Seat, advance, last_tick, over
from eval.errors import DriverError, describe_exception
from eval.partners import partner_of
from eval.run import seated
from sim.interface import Driver, DriverStep, SensorFrame, VehicleSpec
from sim.recorder import Tape
from sim.roads.lane_map import LaneMap
from sim.roads.outline import outline
from sim.roads.route import Route
from sim.scenario import Scenario
from sim.state import EventKind
from sim.viewer.hands import Hands
from sim.viewer.mind import Trace
from sim.world import World


class ByHand:
    """A driver that does what `hands` hold down; its memory is the vehicle's limits."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> VehicleSpec:
        """As `Driver.start`."""
        return spec

    def step(self, frame: SensorFrame, memory: VehicleSpec) -> DriverStep[VehicleSpec]:
        """As `Driver.step`."""
        return DriverStep(control=self._hands.control(frame.odometry, memory), memory=memory)


class LiveFeed:
    """As `sim.viewer.feed.Feed` and `Seating`; every tick so far is kept, so that one can look back.

    A driver that fails ends the episode (`crashed`). `close` ends another simulator that takes part.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._stack = ExitStack()
        world = World((scenario,))
        beside = partner_of(scenario, self._stack)
        self.header = header_of(scenario, {}, "arrays")
        self.road_map = outline(scenario.road_map)
        self._tape = Tape(self.header, traced=True)
        self._episode = Episode(
            world, scenario, seated(scenario, world), self._tape, WallClock(None), partner=beside, to_the_end=True
        )  # fmt: skip
        self._driven: int | None = None
        self._before: Seat | None = None
        self._verdict = ""
        self.ended = self.crashed = False
        self._tape.append(0, *self._state(), {})
        self.first_tick = 1  # nobody is on the road before
        self.advance()

    @property
    def last_tick(self) -> int:
        """As `Feed.last_tick`."""
        return len(self._tape.ticks) - 1

    @property
    def verdict(self) -> str:
        """As `Feed.verdict`."""
        return self._verdict

    @property
    def driven(self) -> int | None:
        """As `Seating.driven`."""
        return self._driven

    @property
    def trace_hash(self) -> str:
        """Hash of every tick so far."""
        return self._episode.world.trace_hash(0)

    def rows(self, tick: int) -> NDArray[np.void]:
        """As `Feed.rows`."""
        return self._tape.ticks[tick] if 0 <= tick <= self.last_tick else self._tape.ticks[0][:0]

    def trace(self, tick: int, actor: int) -> Trace:
        """As `Feed.trace`."""
        return self._tape.traces[tick].get(actor, {}) if 0 <= tick <= self.last_tick else {}

    def events(self) -> NDArray[np.void]:
        """As `Feed.events`."""
        return self._tape.events()

    def advance(self) -> None:
        """As `Feed.advance`."""
        if self.ended:
            return
        try:
            advance(self._episode)
        except DriverError as error:
            self.ended = self.crashed = True
            cause = error.__cause__
            self._verdict = f"{error}" + (f": {describe_exception(cause)}" if cause is not None else "")
            return
        world, scenario = self._episode.world, self._episode.scenario
        self._tape.append(world.tick, *self._state(), {})
        if over(self._episode) or world.tick >= last_tick(scenario):
            self.ended = True
            self._verdict = self._outcome()

    def take(self, actor: int, hands: Hands) -> None:
        """As `Seating.take`."""
        name = self._episode.scenario.actors[actor].name
        if self._driven is not None:
            self.hand_back()
        try:
            self._episode.world.take(0, actor)
        except ValueError:
            raise ValueError(f"{name} cannot be driven: it is no vehicle on a route") from None
        seats = self._episode.seats
        self._driven, self._before = actor, seats.get(actor)
        driver: Driver[object] = ByHand(hands)  # type: ignore[assignment]
        seats[actor] = Seat(name, driver)

    def hand_back(self) -> None:
        """As `Seating.hand_back`; a driver of the scenario's starts anew, for its memory is of a car that it did not drive."""
        actor, before = self._driven, self._before
        if actor is None:
            return
        seats = self._episode.seats
        del seats[actor]
        if before is not None:
            seats[actor] = Seat(before.name, before.driver)
        self._episode.world.hand_back(0, actor)
        self._driven = self._before = None

    def close(self) -> None:
        """Leave other simulators."""
        self._stack.close()

    def _state(self) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.void]]:
        world = self._episode.world
        return world.state.bodies[0], world.state.minds[0], world.events(0)

    def _outcome(self) -> str:
        """In words, who got where and what happened to whom."""
        world, scenario = self._episode.world, self._episode.scenario
        names = [actor.name for actor in scenario.actors]
        events = world.events(0)
        hits = events[events["kind"] == EventKind.COLLISION]
        words = [f"{names[int(hit['a'])]} and {names[int(hit['b'])]} collided" for hit in hits[:2] if int(hit["b"]) >= 0]
        if not words:
            words = ["everybody has arrived" if world.all_finished(0) else "time is up"]
            if scenario.ego is not None and world.finished(0) and not world.all_finished(0):
                words = ["ego has arrived; time is up"]
        return "; ".join(words)
