"""One episode from a job: compile the scenario, seat the drivers, step the world, judge the outcome, record it.

`run_episode` is a pure function of its job (wall-clock limits aside), so jobs may run anywhere and in any order.
"""

from __future__ import annotations

import functools
import re
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.clock import WallClock
from eval.describe import header_of
from eval.drivers import load_driver
from eval.errors import DriverError, TimeLimitReached, describe_exception
from eval.metrics.outcome import EventCounts, count_events
from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.resolve import apply_settings, resolve
from scenarios.schema import ScenarioSpec
from sim.interface import TICK_S, Control, Driver, DriverStep
from sim.recording import Ending, Footer, Recorder
from sim.roads.outline import outline
from sim.scenario import Criteria, Model, Scenario
from sim.state import CONTROL_DTYPE, EventKind, Status
from sim.world import World

AFTERMATH_S = 2.0
"""How long an episode goes on after ego's first collision, to show what it led to; the verdict can no longer change."""
SENSING_LEVELS = ("state", "objects", "lidar")
AVAILABLE_SENSING = ("state",)
_EVENT_NAMES = tuple(kind.name for kind in EventKind)
_ACTIVE, _STILL = int(Status.ACTIVE), int(Model.STILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One episode to run. `target` and `settings` as on the command line; None for driver and sensing: the scenario's own.

    out: folder that gets the recording, None for no recording. time_limit_s: wall-clock limit, None for none.
    """

    target: str
    seed: int
    settings: tuple[str, ...] = ()
    driver: str | None = None
    sensing: str | None = None
    out: Path | None = None
    time_limit_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeResult:
    """One row of a run. completed: the goal was reached in the scenario's duration; timeout: it was not, and time ran out.

    counts: see EventCounts; mean_speed: ego's, or everybody's without one [m/s]; time_s: simulated time at the end.
    """

    seed: int
    ending: Ending
    completed: bool = False
    timeout: bool = False
    reasons: tuple[str, ...] = ()
    counts: EventCounts = field(default_factory=EventCounts)
    time_s: float = 0.0
    mean_speed: float = 0.0
    trace_hash: str = ""
    recording: str | None = None
    error: str = ""

    @property
    def passed(self) -> bool:
        """All criteria were met."""
        return self.ending is Ending.PASSED


@dataclass(slots=True)
class _Seat:
    """A driver and the memory that is passed from one of its steps to the next."""

    name: str
    driver: Driver[object]
    memory: object = None
    started: bool = False


@dataclass(slots=True)
class _Episode:
    """An episode while it runs. driven_m, driven_s: way and time on the road so far, of ego or of everybody without one."""

    world: World
    scenario: Scenario
    seats: dict[int, _Seat]
    recorder: Recorder | None
    clock: WallClock
    driven_m: float = 0.0
    driven_s: float = 0.0


def prepare(job: Job) -> Scenario:
    """The concrete scenario of a job, with its driver and sensing level put in.

    Raises InputError: whatever the scenario's reader finds, an unknown sensing level, a driver for a scenario without ego.
    """
    scenario = compile_scenario(_spec(job.target, job.settings), job.seed)
    if job.sensing is not None:
        scenario = replace(scenario, sensing=job.sensing)
    if scenario.sensing not in AVAILABLE_SENSING:
        known = scenario.sensing in SENSING_LEVELS
        message = f"sensing level {scenario.sensing!r} is {'not available yet' if known else 'unknown'}"
        raise InputError(message, fix="Only 'state' is available: use --sensing state")
    return scenario if job.driver is None else _with_driver(scenario, job.driver)


def load_drivers(scenario: Scenario) -> dict[int, Driver[object]]:
    """A new driver for each externally driven actor; InputError where one cannot be loaded."""
    return {
        index: load_driver(actor.driver or "rules")
        for index, actor in enumerate(scenario.actors)
        if actor.model == Model.EXTERNAL
    }


def recording_path(out: Path, scenario_name: str, seed: int) -> Path:
    """Where the recording of an episode lies in `out`."""
    return out / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', scenario_name)}-{seed}.arrow"


def run_episode(job: Job) -> EpisodeResult:
    """Run one job to its end. Raises InputError alone; a failing driver or an exhausted time limit is a result."""
    scenario = prepare(job)
    seats = {index: _Seat(scenario.actors[index].name, driver) for index, driver in load_drivers(scenario).items()}
    if job.time_limit_s is not None:
        _warm_up(scenario)
    with ExitStack() as stack:
        recorder = _open_recorder(job, scenario, stack)
        clock = stack.enter_context(WallClock(job.time_limit_s))
        episode = _Episode(World((scenario,)), scenario, seats, recorder, clock)
        ending, error, details = _drive_guarded(episode)
        result = _judge(episode, ending, error)
        if recorder is not None and job.out is not None:
            footer = Footer(ending=result.ending, reasons=result.reasons, error=details, trace_hash=result.trace_hash)
            recorder.finish(footer)
            result = replace(result, recording=str(recording_path(job.out, scenario.name, scenario.seed)))
    return result


def judge(
    criteria: Criteria, counts: EventCounts, *, ego: bool, completed: bool, time_s: float, mean_speed: float
) -> tuple[str, ...]:
    """What the episode did wrong, in words; empty for a pass.

    With `at_fault_only`, being hit through somebody else's fault is no failure, nor is the goal that it kept ego from.
    """
    collisions = counts.collisions if ego else counts.traffic_collisions
    excused = criteria.at_fault_only and ego and counts.collisions > 0 and counts.at_fault == 0
    checks = (
        (criteria.goal and not completed and not excused, "goal not reached"),
        (criteria.no_collision and collisions > 0 and not excused, "collision" + (" at fault" if counts.at_fault else "")),
        (criteria.no_offroad and counts.offroad > 0, "off road"),
        (criteria.no_deadlock and counts.deadlocks > 0, "deadlock"),
        (criteria.max_time_s is not None and time_s > criteria.max_time_s + 1e-9, f"took {time_s:.1f} s"),
        (criteria.min_mean_speed is not None and mean_speed < criteria.min_mean_speed, f"mean speed {mean_speed:.2f} m/s"),
    )
    return tuple(reason for failed, reason in checks if failed)


@functools.lru_cache(maxsize=4)
def _spec(target: str, settings: tuple[str, ...]) -> ScenarioSpec:
    return apply_settings(resolve(target), list(settings))


def _with_driver(scenario: Scenario, driver: str) -> Scenario:
    if scenario.ego is None:
        raise InputError(f"scenario {scenario.name!r} has no ego for driver {driver!r} to drive", fix="Leave --driver out")
    actors = list(scenario.actors)
    actors[scenario.ego] = replace(actors[scenario.ego], driver=driver, model=Model.EXTERNAL)
    return replace(scenario, actors=tuple(actors))


def _warm_up(scenario: Scenario) -> None:
    """Compile the kernels before the clock starts: the first run on a machine would otherwise be out of time at once."""
    world = World((scenario,))
    world.step()
    world.frame(0, scenario.ego or 0)


def _open_recorder(job: Job, scenario: Scenario, stack: ExitStack) -> Recorder | None:
    if job.out is None:
        return None
    config = {"target": job.target, "settings": " ".join(job.settings), "driver": job.driver or "", "sensing": scenario.sensing}
    path = recording_path(job.out, scenario.name, scenario.seed)
    return stack.enter_context(Recorder(path, header_of(scenario, config), outline(scenario.road_map)))


def _drive_guarded(episode: _Episode) -> tuple[Ending | None, str, str]:
    """Drive to the end: (None or what cut the episode short, that in one line, and in full)."""
    try:
        _drive(episode)
    except TimeLimitReached as limit:
        _record(episode, {})
        return Ending.TIME_LIMIT, str(limit), str(limit)
    except Exception as error:  # a driver may raise anything: the episode so far is kept, and the run goes on with the next seed
        _record(episode, {})
        cause = error.__cause__ if isinstance(error, DriverError) and error.__cause__ is not None else error
        line = f"{error}: {describe_exception(cause)}" if cause is not error else describe_exception(error)
        return Ending.CRASHED, line, "".join(traceback.format_exception(error))
    return None, "", ""


def _drive(episode: _Episode) -> None:
    """Step the world until everybody is done, ego has crashed, or the scenario's duration is over."""
    world = episode.world
    controls = np.zeros((1, len(episode.scenario.actors)), dtype=CONTROL_DTYPE)
    last = round(episode.scenario.duration_s / TICK_S)
    while world.tick < last and not _over(episode):
        episode.clock.check()
        traces = {}
        for actor in _seated_now(episode):
            decision = _decide(episode, actor)
            controls[0, actor] = _as_record(decision.control, episode.seats[actor].name)
            traces[actor] = _scalars(decision.trace)
        _record(episode, traces)
        world.step(controls)
        _measure(episode)
    _record(episode, {})


def _seated_now(episode: _Episode) -> list[int]:
    status = episode.world.state.bodies["status"][0]
    return [actor for actor in episode.seats if status[actor] == _ACTIVE]


def _decide(episode: _Episode, actor: int) -> DriverStep[object]:
    """One step of one driver; DriverError where it raises, exits, or returns something else than a decision."""
    seat, body, clock = episode.seats[actor], episode.scenario.actors[actor], episode.clock
    if body.route is None:
        raise DriverError(f"driver of {seat.name!r} has no route")
    frame = episode.world.frame(0, actor)
    try:
        if not seat.started:
            seat.memory = clock.guard(seat.driver.start, episode.scenario.road_map, body.route, body.body, episode.scenario.seed)
            seat.started = True
        decision = clock.guard(seat.driver.step, frame, seat.memory)
    except (Exception, SystemExit) as error:
        raise DriverError(f"driver of {seat.name!r} at {episode.world.tick * TICK_S:.1f} s") from error
    if not isinstance(decision, DriverStep):
        raise DriverError(f"driver of {seat.name!r} returned {type(decision).__name__} instead of a DriverStep")
    seat.memory = decision.memory
    return decision


def _measure(episode: _Episode) -> None:
    """Count the way and the time of this tick."""
    bodies, ego = episode.world.state.bodies[0], episode.scenario.ego
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


def _scalars(trace: Mapping[str, NDArray[np.generic]]) -> dict[str, float]:
    """The single numbers of a driver's trace; arrays are not recorded."""
    arrays = {name: np.asarray(value) for name, value in trace.items()}
    return {name: float(array.reshape(-1)[0]) for name, array in arrays.items() if array.size == 1 and array.dtype.kind in "biuf"}


def _over(episode: _Episode) -> bool:
    if episode.world.finished(0):
        return True
    ego, events = episode.scenario.ego, episode.world.events(0)
    if ego is None or len(events) == 0:
        return False
    mine = (events["kind"] == EventKind.COLLISION) & ((events["a"] == ego) | (events["b"] == ego))
    return bool(mine.any()) and episode.world.tick * TICK_S >= float(events["time_s"][mine].min()) + AFTERMATH_S


def _record(episode: _Episode, traces: Mapping[int, Mapping[str, float]]) -> None:
    world = episode.world
    if episode.recorder is not None:
        episode.recorder.append(world.tick, world.state.bodies[0], world.state.minds[0], world.events(0), traces)


def _judge(episode: _Episode, cut_short: Ending | None, error: str) -> EpisodeResult:
    world, scenario = episode.world, episode.scenario
    completed = bool(world.finished(0))
    counts = count_events(world.events(0), _EVENT_NAMES, scenario.ego)
    time_s = round(world.tick * TICK_S, 3)
    mean_speed = round(episode.driven_m / episode.driven_s, 4) if episode.driven_s > 0.0 else 0.0
    ego = scenario.ego is not None
    reasons = judge(scenario.criteria, counts, ego=ego, completed=completed, time_s=time_s, mean_speed=mean_speed)
    if cut_short is not None:
        reasons = (error,)
    return EpisodeResult(
        seed=scenario.seed,
        ending=cut_short or (Ending.FAILED if reasons else Ending.PASSED),
        completed=completed and cut_short is None,
        timeout=not completed and cut_short is None and time_s >= scenario.duration_s - 0.5 * TICK_S,
        reasons=reasons,
        counts=counts,
        time_s=time_s,
        mean_speed=mean_speed,
        trace_hash=world.trace_hash(0),
        error=error,
    )
