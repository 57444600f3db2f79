"""One episode while it runs: the world, who is seated in it, and what is recorded of it.

An episode can be kept once a second and go on from there bit for bit: memories are passed to drivers, never held by them.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from eval.clock import WallClock
from eval.errors import DriverError, TimeLimitReached, describe_exception
from scenarios.errors import InputError
from sim.interface import TICK_S, Control, Driver, DriverStep
from sim.recorder import Recorder, Tape, Trace, TraceColumns, TraceError
from sim.recording import Ending
from sim.rng import mix
from sim.scenario import Model, Scenario
from sim.snapshot import SnapshotError
from sim.state import CONTROL_DTYPE, EventKind, Status
from sim.world import Snapshot, World

AFTERMATH_S = 2.0
"""How long an episode goes on after ego's first collision, to show what it led to; the verdict can no longer change."""
SNAPSHOT_TICKS = 10
"""Ticks between the snapshots of a full recording."""
_ACTIVE, _STILL = int(Status.ACTIVE), int(Model.STILL)


@dataclass(slots=True)
class Seat:
    """A driver, the memory that is passed from one of its steps to the next, and of ego's the thread CPU time of each step."""

    name: str
    driver: Driver[object]
    memory: object = None
    started: bool = False
    decision_ms: list[float] = field(default_factory=list)


class Partner(Protocol):
    """Another simulator that drives some of the road users. over: it has nothing more to show."""

    over: bool

    def step(self, world: World) -> None:
        """Put them where they are at the world's next tick."""
        ...


class Watcher(Protocol):
    """Somebody who looks at an episode at every tick, and leaves it as it was."""

    def watch(self, episode: Episode) -> None:
        """Look at it, before anybody decides."""
        ...


@dataclass(slots=True)
class Episode:
    """An episode while it runs. driven_m, driven_s: way and time on the road so far, of ego or of everybody without one.

    arrived: ego has been in one of the regions of the criteria. to_the_end: it goes on after ego has arrived until everybody has.
    partner: who moves some besides the world. watcher: who looks on.
    """

    world: World
    scenario: Scenario
    seats: dict[int, Seat]
    recorder: Recorder | Tape | None
    clock: WallClock
    columns: TraceColumns = field(default_factory=TraceColumns)
    driven_m: float = 0.0
    driven_s: float = 0.0
    to_the_end: bool = False
    arrived: bool = False
    partner: Partner | None = None
    watcher: Watcher | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an episode goes on from. memories: actor -> whether its driver has started, and its memory; driven: way, time."""

    world: Snapshot
    memories: Mapping[int, tuple[bool, object]]
    driven: tuple[float, float]


def drive_guarded(episode: Episode) -> tuple[Ending | None, str, str]:
    """Drive to the end: (None or what cut the episode short, that in one line, and in full)."""
    try:
        drive(episode)
    except InputError:
        raise  # nothing of the driver's: the recording could not be written
    except TimeLimitReached as limit:
        _record(episode, {})
        return Ending.TIME_LIMIT, str(limit), str(limit)
    except Exception as error:  # a driver may raise anything: the episode so far is kept, and the run goes on with the next seed
        _record(episode, {})
        cause = error.__cause__ if isinstance(error, DriverError) and error.__cause__ is not None else error
        line = f"{error}: {describe_exception(cause)}" if cause is not error else describe_exception(error)
        return Ending.CRASHED, line, "".join(traceback.format_exception(error))
    return None, "", ""


def drive(episode: Episode, until: int | None = None) -> None:
    """Step the world to tick `until`, or until everybody is done, ego has crashed, or the scenario's duration is over."""
    last = last_tick(episode.scenario) if until is None else until
    while episode.world.tick < last and not (until is None and over(episode)):
        episode.clock.check()
        _keep(episode)
        advance(episode)
    _record(episode, {})


def advance(episode: Episode) -> None:
    """One tick: who is seated decides, what was decided is recorded, and the world steps."""
    world = episode.world
    if episode.watcher is not None:
        episode.watcher.watch(episode)
    controls = np.zeros((1, len(episode.scenario.actors)), dtype=CONTROL_DTYPE)
    traces = {}
    for actor in _seated_now(episode):
        decision = _decide(episode, actor)
        controls[0, actor] = _as_record(decision.control, episode.seats[actor].name)
        traces[actor] = _checked_trace(episode, actor, decision)
    _record(episode, traces)
    if episode.partner is not None:
        episode.partner.step(world)
    world.step(controls)
    _measure(episode)


def last_tick(scenario: Scenario) -> int:
    """Tick at which a scenario's duration is over."""
    return round(scenario.duration_s / TICK_S)


def kept(episode: Episode) -> Kept:
    """What the episode goes on from at this tick."""
    memories = {actor: (seat.started, seat.memory) for actor, seat in episode.seats.items()}
    return Kept(world=episode.world.snapshot(), memories=memories, driven=(episode.driven_m, episode.driven_s))


def restore(episode: Episode, snapshot: object) -> None:
    """Go on from what `kept` gave. Raises ValueError where it is not of this episode."""
    if not isinstance(snapshot, Kept) or snapshot.memories.keys() != episode.seats.keys():
        raise ValueError("the snapshot is not of this episode")
    episode.world.restore(snapshot.world)
    episode.driven_m, episode.driven_s = snapshot.driven
    for actor, (started, memory) in snapshot.memories.items():
        seat = episode.seats[actor]
        seat.started, seat.memory = started, memory


def seed_of(scenario: Scenario, actor: int) -> int:
    """The seed that an actor's driver starts with: ego's is the scenario's, everybody else's follows from it and its own slot, so
    that copies of one driver do not draw the same numbers."""
    return scenario.seed if actor == scenario.ego else int(mix(scenario.seed, actor)) >> 1


def known_objects(scenario: Scenario) -> dict[str, object]:
    """What snapshots of a scenario's episodes name instead of storing it."""
    return {"road_map": scenario.road_map}


@contextmanager
def writing(path: Path | None) -> Iterator[None]:
    """Turns a failure to write a recording into bad input: the disk is full, or the folder has gone."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"cannot write the recording: {reason}", file=str(path), fix="Choose another folder with --out"
        ) from None


def _keep(episode: Episode) -> None:
    """Once a second, put into a full recording all that the episode goes on from. DriverError for a memory that cannot be."""
    recorder, world = episode.recorder, episode.world
    if not isinstance(recorder, Recorder) or recorder.header.record != "full" or world.tick % SNAPSHOT_TICKS:
        return
    try:
        with writing(recorder.path):
            recorder.snapshot(world.tick, kept(episode), known_objects(episode.scenario))
    except SnapshotError as error:
        raise DriverError(f"a memory at {world.tick * TICK_S:.1f} s cannot be recorded") from error


def _checked_trace(episode: Episode, actor: int, decision: DriverStep[object]) -> Trace:
    try:
        return episode.columns.take(decision.trace)
    except TraceError as error:
        raise DriverError(f"driver of {episode.seats[actor].name!r} at {episode.world.tick * TICK_S:.1f} s") from error


def _seated_now(episode: Episode) -> list[int]:
    status = episode.world.state.bodies["status"][0]
    return [actor for actor in episode.seats if status[actor] == _ACTIVE]


def _decide(episode: Episode, actor: int) -> DriverStep[object]:
    """One step of one driver; DriverError where it raises, exits, or returns something else than a decision."""
    seat, body, clock = episode.seats[actor], episode.scenario.actors[actor], episode.clock
    if body.route is None:
        raise DriverError(f"driver of {seat.name!r} has no route")
    frame = episode.world.frame(0, actor)
    try:
        if not seat.started:
            seed = seed_of(episode.scenario, actor)
            seat.memory = clock.guard(seat.driver.start, episode.scenario.road_map, body.route, body.body, seed)
            seat.started = True
        if actor == episode.scenario.ego:  # the clock costs as much as some drivers
            before = time.thread_time()
            decision = clock.guard(seat.driver.step, frame, seat.memory)
            seat.decision_ms.append(1000.0 * (time.thread_time() - before))
        else:
            decision = clock.guard(seat.driver.step, frame, seat.memory)
    except (Exception, SystemExit) as error:
        raise DriverError(f"driver of {seat.name!r} at {episode.world.tick * TICK_S:.1f} s") from error
    if not isinstance(decision, DriverStep):
        raise DriverError(f"driver of {seat.name!r} returned {type(decision).__name__} instead of a DriverStep")
    seat.memory = decision.memory
    return decision


def _measure(episode: Episode) -> None:
    """Count the way and the time of this tick."""
    bodies, ego = episode.world.state.bodies[0], episode.scenario.ego
    if ego is not None and episode.scenario.criteria.regions and bodies["status"][ego] == _ACTIVE:
        x, y, heading, speed = (float(bodies[name][ego]) for name in ("x", "y", "heading", "speed"))
        now = episode.world.tick * TICK_S
        episode.arrived |= any(region.holds(x, y, heading, speed, now) for region in episode.scenario.criteria.regions)
    if ego is None:
        speeds = bodies["speed"][(bodies["status"] == _ACTIVE) & (bodies["model"] != _STILL)]
        episode.driven_m += float(np.sum(np.abs(speeds), dtype=np.float64)) * TICK_S
        episode.driven_s += len(speeds) * TICK_S
    elif bodies["status"][ego] == _ACTIVE:
        episode.driven_m += abs(float(bodies["speed"][ego])) * TICK_S
        episode.driven_s += TICK_S


def _as_record(control: Control, name: str) -> tuple[float, float, int, int, int, int]:
    """A Control as one CONTROL_DTYPE record; DriverError unless its numbers are finite."""
    if not isinstance(control, Control):
        raise DriverError(f"driver of {name!r} returned {type(control).__name__} instead of a Control")
    if not (np.isfinite(control.accel) and np.isfinite(control.steer)):
        raise DriverError(f"driver of {name!r} returned accel {control.accel!r}, steer {control.steer!r}: both must be finite")
    return control.accel, control.steer, int(control.indicator), int(control.gear), int(control.gesture), 1


def over(episode: Episode) -> bool:
    """Whether everybody is done, or ego has crashed a while ago."""
    if episode.arrived or (episode.partner is not None and episode.partner.over):
        return True
    if episode.world.finished(0) and (not episode.to_the_end or episode.world.all_finished(0)):
        return True
    ego = episode.scenario.ego
    if ego is None or episode.world.state.worlds["event_count"][0] == 0:
        return False
    events = episode.world.events(0)
    mine = (events["kind"] == EventKind.COLLISION) & ((events["a"] == ego) | (events["b"] == ego))
    return bool(mine.any()) and episode.world.tick * TICK_S >= float(events["time_s"][mine].min()) + AFTERMATH_S


def _record(episode: Episode, traces: Mapping[int, Trace]) -> None:
    world, recorder = episode.world, episode.recorder
    if recorder is not None:
        with writing(recorder.path):
            recorder.append(world.tick, world.state.bodies[0], world.state.minds[0], world.events(0), traces)
