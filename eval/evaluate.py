"""Drivers on a suite: the same episodes for each, kept in a store, summed up with intervals and compared in pairs."""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import numpy as np

from eval.arguments import Workers
from eval.branches import BRANCHES
from eval.clock import WallClock
from eval.company import met, touched
from eval.configuration import content_hash, driver_hash, product_hash
from eval.describe import header_of, product_version
from eval.drivers import load_driver
from eval.episode import Episode, drive_guarded
from eval.errors import ExitCode
from eval.executors import choose_executor, hard_limit
from eval.figures import MEANS, RATES, by_scenario, differences, figures, privileged_of
from eval.gate import Test, fails, gate_json, gate_text, is_clear, judge
from eval.metrics.assurance import broken_by_number, interventions_for
from eval.metrics.encroachment import CLOSE_S
from eval.metrics.foresight import bins_of, forecasts
from eval.metrics.honesty import truth_of
from eval.metrics.livelock import CYCLES
from eval.metrics.registry import METRICS, measure
from eval.metrics.result import References
from eval.progress import progress
from eval.references import alone, junction_of, meets_all_way_stop, ordinary, without_ego
from eval.run import EpisodeResult, check_sensing, run_scenario, seated
from eval.runs import Arm, arm, paired, provenance
from eval.store import EpisodeSet, Row, Run, Store, Value
from eval.suites import SAME, Suite, suite_of
from eval.sumo import needs_sumo
from eval.sumo import partner as sumo_partner
from scenarios.errors import InputError
from sim.recorder import Tape
from sim.recording import Ending, Recording, read_recording
from sim.scenario import Model, Scenario
from sim.world import World

SENSING = "objects"
"""Level that a driver is evaluated at unless told otherwise."""
ROUND = 16
"""Seeds between two looks at whether the verdict is clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `avstack eval` was asked for. versus: the driver that the others are compared with. regret: privileged planners
    drive the same seeds, where the suite has a use for it. run: its name in the store; empty: a free one. until_clear: a run
    of the store; no more seeds are driven once it is clear whether the one driver is worse than that. time_limit_s: wall clock
    that an episode may take; such episodes are a set of their own, for how far they came hangs on the machine."""

    suite: str
    drivers: tuple[str, ...]
    seeds: tuple[int, ...]
    versus: str | None = None
    sensing: str = SENSING
    workers: Workers = None
    store: Path = Path("results.sqlite")
    regret: bool = False
    run: str = ""
    until_clear: str | None = None
    time_limit_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One seed of a suite with the drivers that still have to drive it."""

    suite: str
    seed: int
    drivers: tuple[str, ...]
    sensing: str
    time_limit_s: float | None = None


def evaluate(request: Request, *, as_json: bool) -> ExitCode:
    """Run what the store does not have yet, and report. Raises InputError for unknown suites, drivers and unusable stores."""
    plan = _plan(request)
    baseline = None if request.until_clear is None else _baseline(plan.store, request, request.until_clear)
    run = plan.store.open_run(_run_of(request, plan))
    _say_what_is_there(request, plan)
    tests: list[Test] = []
    if baseline is None:
        rows, interrupted = _drive(request, plan)
    else:
        rows, interrupted, tests = _drive_until_clear(request, plan, run, baseline)
    report = {"run": run.name} | summarise(request, rows)
    if baseline is not None:
        verdict = {"passed": not fails(tests), "clear": is_clear(tests), "baseline": baseline.label, "metrics": gate_json(tests)}
        report["verdict"] = verdict
    click.echo(f"run {run.name}", err=True)
    from eval.tables import evaluation_text

    click.echo(json.dumps(report) if as_json else evaluation_text(report))
    if baseline is not None and not as_json:
        click.echo(gate_text(tests, (run.name, baseline.label)))
    return _exit_code({str(row["ending"]) for found in rows.values() for row in found}, interrupted, tests)


def _exit_code(endings: set[str], interrupted: bool, tests: Sequence[Test]) -> ExitCode:
    """The gravest that happened."""
    if interrupted:
        return ExitCode.INTERRUPTED
    if Ending.CRASHED in endings:
        return ExitCode.DRIVER_CRASHED
    if Ending.TIME_LIMIT in endings:
        return ExitCode.TIME_LIMIT
    return ExitCode.CRITERIA_FAILED if fails(tests) else ExitCode.OK


def collect(request: Request) -> tuple[dict[str, list[Row]], bool]:
    """Each driver's rows by seed, those that the store does not have yet driven now; and whether Ctrl-C cut that short."""
    plan = _plan(request)
    _say_what_is_there(request, plan)
    return _drive(request, plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Where the episodes go. keys: driver -> its set."""

    store: Store
    suite: Suite
    keys: Mapping[str, str]


def _plan(request: Request) -> _Plan:
    """The store and its sets, once everything that was asked for is known to be there."""
    check_sensing(request.sensing)
    suite, drivers = suite_of(request.suite), _drivers(request)
    for name in drivers:
        load_driver(name)
    suite.scenario(request.seeds[0])
    store = Store(request.store)
    return _Plan(store=store, suite=suite, keys={name: _open_set(store, request, suite, name) for name in drivers})


def _run_of(request: Request, plan: _Plan) -> Run:
    return Run(
        name=request.run, suite=request.suite, sensing=request.sensing, sets=plan.keys, seeds=request.seeds,
        provenance=provenance(json.dumps(asdict(plan.suite)), tuple(plan.keys)),
    )  # fmt: skip


def _say_what_is_there(request: Request, plan: _Plan) -> None:
    for name, key in plan.keys.items():
        done = len(plan.store.rows(key, request.seeds))
        if done:
            click.echo(f"{name}: {done} of {len(request.seeds)} episodes are in {request.store} already", err=True)


def _drive(request: Request, plan: _Plan) -> tuple[dict[str, list[Row]], bool]:
    store, keys = plan.store, plan.keys
    interrupted = _run(store, keys, _missing(store, request, keys), request.workers)
    return {name: list(store.rows(key, request.seeds).values()) for name, key in keys.items()}, interrupted


def _baseline(store: Store, request: Request, name: str) -> Arm:
    """The finished episodes that the one driver is held against. Raises InputError."""
    if len(request.drivers) != 1:
        raise InputError("several drivers cannot be held against one run", fix="Give one --driver with --until-clear")
    found = arm(store, name)
    if not {*found.rows} & {*request.seeds}:
        raise InputError(f"run {found.label!r} has driven none of these seeds", fix="Give the --seeds of that run")
    return found


def _drive_until_clear(request: Request, plan: _Plan, run: Run, baseline: Arm) -> tuple[dict[str, list[Row]], bool, list[Test]]:
    """Rounds of seeds that the baseline has, until the verdict is clear: rows, whether Ctrl-C cut that short, and the verdict."""
    seeds, driver = tuple(seed for seed in request.seeds if seed in baseline.rows), request.drivers[0]
    tests: list[Test] = []
    for last in range(min(ROUND, len(seeds)), len(seeds) + ROUND, ROUND):
        rows, interrupted = _drive(replace(request, seeds=seeds[:last]), plan)
        if not interrupted:
            own = Arm(run=run, driver=driver, rows={int(str(row["seed"])): row for row in rows[driver]})
            tests = judge(paired(own, baseline, unbroken=True), anytime=True)
        if interrupted or is_clear(tests):
            break
    return rows, interrupted, tests


def run_job(job: Job) -> dict[str, Row]:
    """A row for each driver; what does not depend on the driver is worked out once."""
    suite = suite_of(job.suite)
    scenario = replace(suite.scenario(job.seed), sensing=job.sensing)
    with tempfile.TemporaryDirectory(prefix="avstack-eval-") as folder:
        references = replace(references_of(scenario, suite), road_map=scenario.road_map)
        return {name: _episode(scenario, name, suite, references, Path(folder), job.time_limit_s) for name in job.drivers}


def summarise(request: Request, rows: Mapping[str, Sequence[Row]]) -> dict[str, object]:
    """The JSON report: per driver every figure with its 95 % interval and the rows; with `versus` the paired differences."""
    report: dict[str, object] = {
        "suite": request.suite,
        "sensing": request.sensing,
        "drivers": {
            name: figures(found, told) | {"by_scenario": by_scenario(found, told), "rows": list(found)}
            for name, found in rows.items()
            for told in [rows.get(privileged_of(name), ())]
        },
    }
    if request.versus is not None:
        base = rows[request.versus]
        report["versus"] = request.versus
        report["differences"] = {name: differences(found, base) for name, found in rows.items() if name != request.versus}
    return report


def _drivers(request: Request) -> tuple[str, ...]:
    """Everybody who drives: those asked for, whom they are compared with, and the privileged planners for their regret."""
    asked = (*request.drivers, *([request.versus] if request.versus else []))
    told = map(privileged_of, asked) if request.regret and suite_of(request.suite).regret else ()
    return tuple(dict.fromkeys((*asked, *told)))


def _open_set(store: Store, request: Request, suite: Suite, driver: str) -> str:
    provenance: dict[str, Value] = {
        "sensing": request.sensing,
        "suite": json.dumps(asdict(suite)),
        "scenarios": " ".join(map(content_hash, suite.specs())),
        "driver": driver_hash(driver),
        "product": f"{product_version()} {product_hash()}",
    }
    if request.time_limit_s is not None:
        provenance["time_limit_s"] = request.time_limit_s
    key = hashlib.sha256(json.dumps([request.suite, driver, provenance], sort_keys=True).encode()).hexdigest()[:16]
    machine = f"{platform.machine()} {platform.python_version()}"
    store.open_set(EpisodeSet(key=key, suite=request.suite, driver=driver, provenance=provenance | {"machine": machine}))
    return key


def _missing(store: Store, request: Request, keys: Mapping[str, str]) -> list[Job]:
    done = {name: store.rows(key, request.seeds).keys() for name, key in keys.items()}
    wanted = ((seed, tuple(name for name in keys if seed not in done[name])) for seed in request.seeds)
    return [
        Job(suite=request.suite, seed=seed, drivers=drivers, sensing=request.sensing, time_limit_s=request.time_limit_s)
        for seed, drivers in wanted
        if drivers
    ]


def _run(store: Store, keys: Mapping[str, str], jobs: Sequence[Job], workers: Workers) -> bool:
    """Run the jobs and keep each result as it comes; whether Ctrl-C cut it short."""
    with progress(len(jobs)) as advance:
        try:
            while jobs:
                jobs = _run_once(store, keys, jobs, workers, advance)
        except KeyboardInterrupt:
            click.echo("avstack: interrupted; the same command goes on from here", err=True)
            return True
    return False


def _run_once(
    store: Store, keys: Mapping[str, str], jobs: Sequence[Job], workers: Workers, advance: Callable[[], None]
) -> list[Job]:  # fmt: skip
    """Run the jobs; the drivers of those whose process died, each in a job of its own: only one of them is to blame."""
    again: list[Job] = []
    limit = hard_limit(jobs[0].time_limit_s, max(len(job.drivers) for job in jobs))
    for done in choose_executor(workers, len(jobs), limit).run(run_job, jobs):
        if done.result is None and len(done.job.drivers) > 1:
            again += [replace(done.job, drivers=(name,)) for name in done.job.drivers]
            continue
        ending = Ending.TIME_LIMIT if done.out_of_time else Ending.CRASHED
        rows = done.result or {name: _lost(done.job.seed, ending, done.failure) for name in done.job.drivers}
        for name, row in rows.items():
            store.add(keys[name], done.job.seed, row)
        advance()
    return again


def references_of(scenario: Scenario, suite: Suite) -> References:
    """What an episode is held against; runs of everybody else only where ego's arrival does not end the episode, for otherwise
    nobody knows what the others did."""
    if scenario.ego is None:
        return References()
    free = _recorded(alone(scenario))
    if not suite.to_the_end or not meets_all_way_stop(scenario):
        return References(alone=free)
    if any(actor.driver == SAME for actor in scenario.actors):
        return References(junction=junction_of(scenario), alone=free)  # who the others are hangs on the driver
    usual = _recorded(ordinary(scenario), to_the_end=True)
    absent = _recorded(without_ego(scenario), to_the_end=True)
    return References(junction=junction_of(scenario, usual), without_ego=absent, alone=free, ordinary=usual)


def _recorded(scenario: Scenario, *, to_the_end: bool = False) -> Recording:
    """A reference run, as far as it came; it leaves no file. SUMO moves those that are its own."""
    world, tape = World((scenario,), traced=False), Tape(header_of(scenario, {}))
    with sumo_partner(scenario) if needs_sumo(scenario) else nullcontext() as beside:
        episode = Episode(world, scenario, seated(scenario, world), tape, WallClock(None), to_the_end=to_the_end, partner=beside)
        cut_short, _, _ = drive_guarded(episode)
    return tape.recording(cut_short or Ending.PASSED)


def driven_by(scenario: Scenario, driver: str) -> Scenario:
    """The scenario with a driver in ego's seat, and in those of its copies. Raises InputError where there is no ego."""
    if scenario.ego is None:
        raise InputError(f"scenario {scenario.name!r} has no ego for driver {driver!r} to drive", fix="Choose another suite")
    actors = [replace(actor, driver=driver) if actor.driver == SAME else actor for actor in scenario.actors]
    actors[scenario.ego] = replace(actors[scenario.ego], driver=driver, model=Model.EXTERNAL)
    return replace(scenario, actors=tuple(actors))


def _episode(
    scenario: Scenario, driver: str, suite: Suite, references: References, folder: Path, time_limit_s: float | None
) -> Row:
    manned = driven_by(scenario, driver)
    path = folder / "episode.arrow"
    result = run_scenario(manned, path, to_the_end=suite.to_the_end, record="arrays", watched=True, time_limit_s=time_limit_s)
    recording = read_recording(path)
    more: dict[str, Value] = {}
    for name in suite.branches:
        more |= BRANCHES[name](manned, recording, references)
    return row_of(result, recording, references) | more


def row_of(result: EpisodeResult, recording: Recording, references: References) -> dict[str, Value]:
    """One episode as the store keeps it; None for what it has nothing to measure on."""
    found = measure(recording, references)
    values = {name: found[name].value if found[name].valid else None for name in METRICS}
    times = np.array(result.decision_ms or (0.0,))
    seen, perceived = forecasts(recording, references), truth_of(recording)
    return {
        "seed": result.seed,
        "ending": str(result.ending),
        "completed": result.completed,
        "crashed": result.ending is Ending.CRASHED,
        "time_s": result.time_s,
        "mean_speed": result.mean_speed,
        **asdict(result.counts),
        "rescues": None if result.rescues is None else len(result.rescues),
        "rescued_by": json.dumps(result.rescues),
        **values,
        "deadlocks": result.counts.deadlocks if values["deadlocks"] is None else values["deadlocks"],
        "livelocks": None if values["creep_cycles"] is None else values["creep_cycles"] >= CYCLES,
        "close_call": None if values["min_pet"] is None else values["min_pet"] < CLOSE_S,
        "interventions_for": json.dumps(interventions_for(recording)),
        "broken_by_number": json.dumps(broken_by_number(recording)),
        "least_jerk": _less(values["jerk_of_crossing"], values["comfort_regret"]),
        "belief_bins": bins_of(seen.probability, seen.happened),
        "commitment_bins": bins_of(seen.probability[seen.at_commitment], seen.happened[seen.at_commitment]),
        "existence_bins": bins_of(perceived.existence, perceived.real),
        "order_violation_rate": None if values["order_violations"] is None else bool(values["order_violations"]),
        "decision_ms_p50": float(np.median(times)),
        "decision_ms_p99": float(np.quantile(times, 0.99)),
        "decision_ms_max": float(times.max()),
        "scenario": recording.header.scenario,
        "met": met(recording),
        "touched": touched(recording),
        "trace_hash": result.trace_hash,
        "error": result.error,
    }


def _less(value: float | None, by: float | None) -> float | None:
    return None if value is None or by is None else value - by


def _lost(seed: int, ending: Ending, failure: str) -> dict[str, Value]:
    """The row of an episode whose process died, or was ended: it did not get there, and nothing else is known."""
    nothing: dict[str, Value] = dict.fromkeys((*RATES, *MEANS.values(), *METRICS))
    crashed = ending == Ending.CRASHED
    return nothing | {"seed": seed, "ending": str(ending), "completed": False, "crashed": crashed, "error": failure}
