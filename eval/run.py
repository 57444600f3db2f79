"""One episode from a job: compile the scenario, drive it to its end, judge the outcome, record it.

`run_episode` is a pure function of its job (wall-clock limits aside), so jobs may run anywhere and in any order.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from eval.clock import WallClock
from eval.configuration import configuration
from eval.describe import header_of
from eval.drivers import Onlooker, load_driver
from eval.episode import Episode, Seat, Watcher, drive_guarded, writing
from eval.metrics.outcome import EventCounts, count_events
from eval.partners import partner_of
from eval.reactions import Reactions
from eval.rescues import RescueWatch
from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.resolve import apply_settings, resolve
from scenarios.schema import ScenarioSpec
from sim.interface import TICK_S, Driver
from sim.recorder import Recorder
from sim.recording import Ending, Footer, Recording, Scalar
from sim.roads.outline import outline
from sim.scenario import Criteria, Model, Scenario
from sim.state import EventKind
from sim.world import World

SENSING_LEVELS = ("state", "objects", "lidar")
_EVENT_NAMES = tuple(kind.name for kind in EventKind)
_COUNTS = tuple(entry.name for entry in fields(EventCounts))
_OUTCOME = ("completed", "timeout", "time_s", "mean_speed")
"""What the footer of a recording keeps of a result, besides the counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One episode to run. `target` and `settings` as on the command line; None for driver and sensing: the scenario's own.

    out: folder that gets the recording, None for no recording; record: a key of `sim.recording.SCHEMAS`, how much is recorded.
    time_limit_s: wall-clock limit, None for none.
    """

    target: str
    seed: int
    settings: tuple[str, ...] = ()
    driver: str | None = None
    sensing: str | None = None
    out: Path | None = None
    record: str = "scalar"
    time_limit_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeResult:
    """One row of a run. completed: the goal was reached in the scenario's duration; timeout: it was not, and time ran out.

    counts: see EventCounts; mean_speed: ego's, or everybody's without one [m/s]; time_s: simulated time at the end.
    decision_ms: thread CPU time of each step of ego's driver; rescues: see `eval.rescues`, None where others cannot be driven
    again or nobody watched. An episode read from a recording has neither.
    reacted: (time [s], name) of recorded road users that had to react; divergence_m: mean distance from the record; see
    `eval.reactions`. None where nobody has a record.
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
    decision_ms: tuple[float, ...] = ()
    rescues: tuple[tuple[int, int], ...] | None = None
    reacted: tuple[tuple[float, str], ...] | None = None
    divergence_m: float | None = None
    recording: str | None = None
    error: str = ""

    @property
    def passed(self) -> bool:
        """All criteria were met."""
        return self.ending is Ending.PASSED


def prepare(job: Job) -> Scenario:
    """The concrete scenario of a job, with its driver and sensing level put in.

    Raises InputError: whatever the scenario's reader finds, an unknown sensing level, a driver for a scenario without ego.
    """
    scenario = compile_scenario(_spec(job.target, job.settings), job.seed)
    if job.sensing is not None:
        scenario = replace(scenario, sensing=job.sensing)
    check_sensing(scenario.sensing)
    return scenario if job.driver is None else _with_driver(scenario, job.driver)


def check_sensing(level: str) -> None:
    """InputError unless drivers can be given this level."""
    if level not in SENSING_LEVELS:
        raise InputError(f"sensing level {level!r} is unknown", fix=f"Use --sensing {', '.join(SENSING_LEVELS)}")


def load_drivers(scenario: Scenario) -> dict[int, Driver[object]]:
    """A new driver for each externally driven actor; InputError where one cannot be loaded."""
    return {
        index: load_driver(actor.driver or "rules")
        for index, actor in enumerate(scenario.actors)
        if actor.model == Model.EXTERNAL
    }


def seated(scenario: Scenario, world: World) -> dict[int, Seat]:
    """A new driver in the seat of each externally driven actor. Who is to be told the truth for a reference is told here."""
    drivers = load_drivers(scenario)
    for index, driver in drivers.items():
        if isinstance(driver, Onlooker):
            driver.tell(scenario, world, index)
    return {index: Seat(scenario.actors[index].name, driver) for index, driver in drivers.items()}


def recording_path(out: Path, scenario_name: str, seed: int) -> Path:
    """Where the recording of an episode lies in `out`."""
    return out / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', scenario_name)}-{seed}.arrow"


def run_episode(job: Job) -> EpisodeResult:
    """Run one job to its end. Raises InputError alone; a failing driver or an exhausted time limit is a result."""
    scenario = prepare(job)
    if job.time_limit_s is not None:
        _warm_up(scenario)
    path = None if job.out is None else recording_path(job.out, scenario.name, scenario.seed)
    config = {} if path is None else configuration(job.target, job.settings, job.driver, scenario.sensing, job.record)
    return run_scenario(scenario, path, config=config, record=job.record, time_limit_s=job.time_limit_s)


def run_scenario(
    scenario: Scenario,
    path: Path | None = None,
    *,
    config: Mapping[str, Scalar] | None = None,
    record: str = "scalar",
    time_limit_s: float | None = None,
    to_the_end: bool = False,
    watched: bool = False,
    watcher: Watcher | None = None,
) -> EpisodeResult:
    """Drive one concrete scenario, recorded at `path`. to_the_end: until everybody has arrived, not ego alone; watched: rescues
    are counted, see `eval.rescues`; watcher: who looks on instead."""
    world = World((scenario,))
    seats = seated(scenario, world)
    with ExitStack() as stack:
        recorder = None
        if path is not None:
            with writing(path):
                recorder = stack.enter_context(
                    Recorder(path, header_of(scenario, config or {}, record), outline(scenario.road_map))
                )
        clock = stack.enter_context(WallClock(time_limit_s))
        beside = partner_of(scenario, stack)
        reactions = beside if isinstance(beside, Reactions) else None
        watch = RescueWatch() if watched and beside is None and scenario.ego is not None else None
        looks = watch or watcher
        episode = Episode(world, scenario, seats, recorder, clock, to_the_end=to_the_end, partner=beside, watcher=looks)
        ending, error, details = drive_guarded(episode)
        result = replace(_judge(episode, ending, error), rescues=None if watch is None else tuple(watch.found))
        if reactions is not None:
            result = replace(result, reacted=reactions.reacted(), divergence_m=reactions.divergence_m)
        if recorder is not None:
            with writing(path):
                recorder.finish(_footer(result, episode, details))
            result = replace(result, recording=str(path))
    return result


def recorded_result(recording: Recording, path: Path) -> EpisodeResult | None:
    """The result of an episode that ran before; None where its process died or its wall-clock time was up."""
    footer = recording.footer
    if not footer.outcome or footer.ending in (Ending.TIME_LIMIT, Ending.PARTIAL):
        return None
    values = dict(footer.outcome)
    return EpisodeResult(
        seed=recording.header.seed,
        ending=footer.ending,
        completed=bool(values["completed"]),
        timeout=bool(values["timeout"]),
        reasons=footer.reasons,
        counts=EventCounts(**{name: int(values[name]) for name in _COUNTS}),
        time_s=float(values["time_s"]),
        mean_speed=float(values["mean_speed"]),
        trace_hash=footer.trace_hash,
        reacted=_reacted(values["reacted"]) if "reacted" in values else None,
        divergence_m=float(values["divergence_m"]) if "divergence_m" in values else None,
        recording=str(path),
        error=footer.reasons[0] if footer.ending is Ending.CRASHED else "",
    )


def _reacted(text: Scalar) -> tuple[tuple[float, str], ...]:
    return tuple((float(time_s), str(name)) for time_s, name in json.loads(str(text)))


def _footer(result: EpisodeResult, episode: Episode, details: str) -> Footer:
    outcome = {name: getattr(result, name) for name in _OUTCOME} | asdict(result.counts)
    if result.reacted is not None:
        outcome |= {"reacted": json.dumps(result.reacted), "divergence_m": result.divergence_m or 0.0}
    return Footer(
        ending=result.ending, reasons=result.reasons, error=details, trace_hash=result.trace_hash, outcome=outcome,
        columns=episode.columns.declared,
    )  # fmt: skip


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


def _judge(episode: Episode, cut_short: Ending | None, error: str) -> EpisodeResult:
    world, scenario = episode.world, episode.scenario
    completed = episode.arrived if scenario.criteria.regions else bool(world.finished(0))
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
        decision_ms=() if scenario.ego not in episode.seats else tuple(episode.seats[scenario.ego].decision_ms),
        error=error,
    )
