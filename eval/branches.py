"""What would have happened: an episode is driven again up to one moment and goes on from there in other ways.

Everything that the moment depends on is the same, bit for bit; from there on the same random numbers are drawn. Each kind of
branch is a function of the scenario with its drivers, the recording of what did happen, and the references, and gives columns of
the episode's row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from eval.clock import WallClock
from eval.describe import header_of
from eval.episode import Episode, Kept, advance, drive, kept, last_tick, restore
from eval.metrics.boxes import boxes
from eval.metrics.crossings import Crossings, crossings
from eval.metrics.foresight import bins_of, goes_first, match_places
from eval.metrics.result import Junction, References
from eval.metrics.traced import ego_arrays
from eval.run import seated
from eval.store import Value
from sim.interface import TICK_S, Control, Driver, DriverStep, SensorFrame, VehicleSpec
from sim.kinematics import time_to_collision
from sim.recorder import Tape
from sim.recording import Ending, Recording
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route
from sim.scenario import Scenario
from sim.world import World

AFTER_ARRIVAL_S = 0.5
"""When ego is made to hold or to commit: it has been at its line for so long."""
LOOK_TICKS = 40
"""Ticks between two looks at whether everybody who is watched has entered."""
COMMIT_ACCEL, COMMIT_SPEED, HOLD_BRAKE = 1.4, 5.0, 2.0  # m/s², m/s, m/s²
MOVES = 0.5  # m/s

Branch = Callable[[Scenario, Recording, References], dict[str, Value]]


@dataclass(frozen=True, slots=True)
class Determined:
    """A driver whose pedals are taken over: it commits, or holds; it goes on steering, and knows nothing of it."""

    driver: Driver[object]
    commits: bool

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> object:
        """The driver's own memory."""
        return self.driver.start(road_map, route, spec, seed)

    def step(self, frame: SensorFrame, memory: object) -> DriverStep[object]:
        """The driver's step with another acceleration."""
        step = self.driver.step(frame, memory)
        speed = frame.odometry.speed
        if self.commits:
            accel = min(COMMIT_ACCEL, COMMIT_SPEED - speed)
        else:
            accel = -HOLD_BRAKE if speed > 0.2 else -0.3
        return replace(step, control=replace(step.control, accel=float(accel), gear=Control().gear))


def influence(scenario: Scenario, recording: Recording, references: References) -> dict[str, Value]:
    """How the others' going first changes between an ego that holds and one that commits, as ego's driver predicts it and as it
    turns out: `influence_pairs` others, the sums of both changes, and bins of both predicted probabilities and outcomes."""
    nothing: dict[str, Value] = {
        "influence_pairs": 0,
        "influence_predicted": 0.0,
        "influence_observed": 0.0,
        "influence_bins": "",
    }
    junction, ego = references.junction, scenario.ego
    chances, places, change = (ego_arrays(recording, name) for name in ("go_first", "others_at", "influence"))
    if junction is None or ego is None or ego not in junction.actors:
        return nothing
    found, me = crossings(recording, junction), junction.actors.index(ego)
    when = round((float(found.arrived[me]) + AFTER_ARRIVAL_S) / TICK_S) if math.isfinite(found.arrived[me]) else -1
    if when not in chances or when * TICK_S >= found.entered[me]:
        return nothing
    whom = match_places(recording, when, np.asarray(places[when], np.float64), junction)
    watched = [(k, place) for k, place in enumerate(whom) if place >= 0 and found.entered[place] > when * TICK_S]
    if not watched:
        return nothing
    start = _at(scenario, when)
    ends = [_watched(scenario, start, junction, [place for _, place in watched], commits=commits) for commits in (True, False)]
    outcomes = [[goes_first(end, junction, place, me) for _, place in watched] for end in ends]
    commit = np.array([float(chances[when][k]) for k, _ in watched])
    hold = np.minimum(commit + np.array([float(change[when][k]) for k, _ in watched]), 1.0)
    happened = np.array(outcomes)
    return {
        "influence_pairs": len(watched),
        "influence_predicted": float(np.sum(hold - commit)),
        "influence_observed": float(happened[1].sum() - happened[0].sum()),
        "influence_bins": bins_of(np.concatenate([commit, hold]), happened.ravel()),
    }


def bullying(scenario: Scenario, recording: Recording, references: References) -> dict[str, Value]:
    """Whether ego's crossing lives on others' giving in: they do what they would do if ego were not there, from the moment it
    enters. Who stands keeps standing; who moves goes on until it next stands. `bullied`: their boxes would have met."""
    junction, ego = references.junction, scenario.ego
    if junction is None or ego is None or ego not in junction.actors:
        return {"bullied": None}
    found, me = crossings(recording, junction), junction.actors.index(ego)
    if not math.isfinite(found.entered[me]):
        return {"bullied": None}
    when, until = round(float(found.entered[me]) / TICK_S), round(min(float(found.left[me]), found.end) / TICK_S)
    ghosts = _from(scenario, _at(scenario, when), max(until, when + 1))
    return {"bullied": any(_meets(recording, ghosts, ego, other) for other in range(len(scenario.actors)) if other != ego)}


BRANCHES: Mapping[str, Branch] = {"influence": influence, "bullying": bullying}
"""Kinds of branches by name, for `eval.suites.Suite.branches`."""


def _at(scenario: Scenario, tick: int) -> Kept:
    """The episode at a tick."""
    world = World((scenario,))
    episode = Episode(world, scenario, seated(scenario, world), None, WallClock(None), to_the_end=True)
    drive(episode, until=tick)
    return kept(episode)


def _watched(scenario: Scenario, start: Kept, junction: Junction, places: list[int], *, commits: bool) -> Crossings:
    """Who crosses when where ego commits, or holds, until all in `places` of the junction have entered or time is up."""
    episode, tape = _branch(scenario, start, commits=commits)
    end = last_tick(scenario)
    while True:
        for _ in range(min(LOOK_TICKS, end - episode.world.tick)):
            advance(episode)
        found = crossings(tape.recording(Ending.PASSED), junction)
        if episode.world.tick == end or np.all(np.isfinite(found.entered[places])):
            return found


def _from(scenario: Scenario, start: Kept, until: int) -> Recording:
    """What is recorded from there to a tick where ego vanishes."""
    episode, tape = _branch(scenario, start, commits=None)
    drive(episode, until=until)
    return tape.recording(Ending.PASSED)


def _branch(scenario: Scenario, start: Kept, *, commits: bool | None) -> tuple[Episode, Tape]:
    """The episode from there on, and what records it. commits: whether ego is made to commit, or to hold; None: ego vanishes."""
    world = World((scenario,))
    episode = Episode(world, scenario, seated(scenario, world), None, WallClock(None), to_the_end=True)
    restore(episode, start)
    ego = scenario.ego
    if ego is not None and commits is None:
        world.remove(0, ego)
    elif ego is not None and commits is not None:
        episode.seats[ego].driver = Determined(episode.seats[ego].driver, commits)
    episode.recorder = tape = Tape(header_of(scenario, {}))
    return episode, tape


def _meets(recording: Recording, ghosts: Recording, ego: int, other: int) -> bool:
    """Whether ego as recorded would touch the ghost of one that moves, before that one next stands."""
    theirs, mine = ghosts.track(other), recording.track(ego)
    if not len(theirs) or abs(float(theirs["speed"][0])) < MOVES:
        return False
    standing = np.flatnonzero(np.abs(theirs["speed"]) < MOVES)
    theirs = theirs[: int(standing[0])] if len(standing) else theirs
    _, i, j = np.intersect1d(mine["tick"], theirs["tick"], return_indices=True)
    header = recording.header
    touch = time_to_collision(boxes(mine[i], header.actors[ego]), boxes(theirs[j], header.actors[other])) == 0.0
    return bool(np.any(touch))
