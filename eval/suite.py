"""Many episodes of one scenario: run them, report them as a table or as JSON, and draw one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from eval.arguments import Workers
from eval.configuration import configuration
from eval.errors import ExitCode
from eval.executors import Done, Executor, choose_executor, hard_limit
from eval.progress import progress
from eval.resume import finished_results, recordings_of
from eval.run import EpisodeResult, Job, load_drivers, prepare, recording_path, run_episode
from eval.statistics import Rate, clopper_pearson
from scenarios.resolve import resolve
from sim.recorder import finalise_part
from sim.recording import Ending, Footer, RecordingError, part_path, read_recording
from sim.scenario import Scenario
from sim.warm import is_warm, warm_up

SHOWN_ROWS = 20
_RATES = ("passed", "completed", "collisions", "at_fault", "traffic_collisions", "deadlocks", "offroad", "timeouts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `avstack run` was asked for; workers: None picks by the number of episodes.

    overwrite: run everything again in place of what `out` holds of the scenario.
    """

    target: str
    seeds: tuple[int, ...]
    workers: Workers = None
    time_limit_s: float | None = None
    settings: tuple[str, ...] = ()
    driver: str | None = None
    sensing: str | None = None
    out: Path | None = None
    record: str = "scalar"
    overwrite: bool = False
    picture: Path | None = None


def run_suite(request: Request, *, as_json: bool) -> ExitCode:
    """Run all episodes, print the report on stdout, and return the exit code. Raises InputError before anything is written."""
    resolve(request.target)
    if not is_warm():
        click.echo("compiling the simulator for this machine, once (about half a minute) ...", err=True)
        warm_up()
    first = _job(request, request.seeds[0], None)
    scenario = prepare(first)
    load_drivers(scenario)
    before = _finished_before(request, scenario)
    with ExitStack() as stack:
        folder = request.out
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        elif request.picture is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avstack-")))
        jobs = [_job(request, seed, folder) for seed in request.seeds if seed not in before]
        kept = _Album(folder, discard=request.out is None)
        for result in before.values():
            kept.add(result)
        new, interrupted = _collect(request, jobs, scenario.name, kept.add)
        order = {seed: place for place, seed in enumerate(request.seeds)}
        results = sorted([*before.values(), *new], key=lambda result: order[result.seed])
        pictured = request.picture is not None and kept.draw(request.picture)
    if request.out is None:
        results = [_without_recording(result) for result in results]
    report = summary(results, scenario.name, request) | {"resumed": len(before)}
    click.echo(json.dumps(report) if as_json else _text(report, results, request, pictured))
    return ExitCode.INTERRUPTED if interrupted else exit_code(results)


def _finished_before(request: Request, scenario: Scenario) -> dict[int, EpisodeResult]:
    """Results that the output folder already has, by seed; with `overwrite` none, for they are deleted."""
    if request.out is None:
        return {}
    if request.overwrite:
        for path in recordings_of(request.out, scenario.name):
            path.unlink()
        return {}
    config = configuration(request.target, request.settings, request.driver, scenario.sensing, request.record)
    found = finished_results(request.out, scenario.name, request.seeds, config)
    if found:
        click.echo(f"{len(found)} of {len(request.seeds)} episodes are in {request.out} already", err=True)
    return found


def exit_code(results: Sequence[EpisodeResult]) -> ExitCode:
    """The gravest of the episodes' ends."""
    endings = {result.ending for result in results}
    if Ending.CRASHED in endings:
        return ExitCode.DRIVER_CRASHED
    if Ending.TIME_LIMIT in endings:
        return ExitCode.TIME_LIMIT
    return ExitCode.CRITERIA_FAILED if Ending.FAILED in endings else ExitCode.OK


def summary(results: Sequence[EpisodeResult], scenario: str, request: Request) -> dict[str, object]:
    """The JSON report. Counts are sums over the rows; `rates` are shares of episodes with at least one, with 95 % intervals."""
    rows = [_row(result) for result in results]
    times = [result.time_s for result in results if result.completed]

    def total(name: str) -> int:
        return sum(int(str(row[name])) for row in rows)

    return {
        "scenario": scenario,
        "target": request.target,
        "driver": request.driver,
        "episodes": len(rows),
        "passed": sum(result.passed for result in results),
        "completed": sum(result.completed for result in results),
        **{name: total(name) for name in ("collisions", "at_fault", "traffic_collisions", "deadlocks", "offroad")},
        "timeouts": sum(result.timeout for result in results),
        "crashed": sum(result.ending is Ending.CRASHED for result in results),
        "time_limits": sum(result.ending is Ending.TIME_LIMIT for result in results),
        "mean_time_s": round(sum(times) / len(times), 3) if times else None,
        "rates": {name: asdict(_rate(rows, name)) for name in _RATES},
        "rows": rows,
    }


class _Album:
    """Remembers the recording that is worth a picture: the first episode that did not pass, or else the first."""

    def __init__(self, folder: Path | None, *, discard: bool) -> None:
        self._folder = folder
        self._discard = discard
        self._chosen: EpisodeResult | None = None

    def add(self, result: EpisodeResult) -> None:
        """Take a result into account; where recordings are temporary, delete the one that lost."""
        if result.recording is None:
            return
        loser, old = result, self._chosen
        if old is None or (result.passed, result.seed) < (old.passed, old.seed):
            self._chosen = result
            loser = old or result
        if self._discard and loser is not self._chosen and loser.recording is not None:
            Path(loser.recording).unlink(missing_ok=True)

    def draw(self, picture: Path) -> bool:
        """Draw the chosen episode; False where no recording is left to draw."""
        if self._chosen is None or self._chosen.recording is None:
            click.echo("avstack: no picture: no episode left a recording", err=True)
            return False
        from sim.viewer.draw import draw_episode, save

        try:
            recording = read_recording(Path(self._chosen.recording))
        except RecordingError as error:
            click.echo(f"avstack: no picture: {error}", err=True)
            return False
        save(draw_episode(recording), picture)
        return True


def _job(request: Request, seed: int, out: Path | None) -> Job:
    return Job(
        target=request.target,
        seed=seed,
        settings=request.settings,
        driver=request.driver,
        sensing=request.sensing,
        out=out,
        record=request.record,
        time_limit_s=request.time_limit_s,
    )


def _executor(request: Request, episodes: int) -> Executor:
    return choose_executor(request.workers, episodes, hard_limit(request.time_limit_s))


def _collect(
    request: Request, jobs: Sequence[Job], scenario: str, on_result: Callable[[EpisodeResult], None]
) -> tuple[list[EpisodeResult], bool]:
    """Results as they came, and whether Ctrl-C cut the run short; what had finished by then is kept."""
    results: list[EpisodeResult] = []
    done = _executor(request, len(jobs)).run(run_episode, jobs)
    interrupted = False
    with progress(len(jobs)) as advance:
        try:
            for one in done:
                result = one.result if one.result is not None else _lost(one, scenario)
                results.append(result)
                on_result(result)
                advance()
        except KeyboardInterrupt:
            interrupted = True
            click.echo(f"avstack: interrupted after {len(results)} of {len(jobs)} episodes", err=True)
    if interrupted:
        _remove_parts(jobs, scenario)
    return results, interrupted


def _lost(done: Done[Job, EpisodeResult], scenario: str) -> EpisodeResult:
    """The result of an episode whose process died; what it had recorded is kept."""
    ending = Ending.TIME_LIMIT if done.out_of_time else Ending.CRASHED
    error = f"seed {done.job.seed}: {done.failure}"
    recording = None
    if done.job.out is not None:
        path = recording_path(done.job.out, scenario, done.job.seed)
        if part_path(path).exists() and finalise_part(path, Footer(ending=ending, reasons=(error,), error=error)):
            recording = str(path)
    return EpisodeResult(seed=done.job.seed, ending=ending, reasons=(error,), error=error, recording=recording)


def _remove_parts(jobs: Sequence[Job], scenario: str) -> None:
    for job in jobs:
        if job.out is not None:
            part_path(recording_path(job.out, scenario, job.seed)).unlink(missing_ok=True)


def _without_recording(result: EpisodeResult) -> EpisodeResult:
    return replace(result, recording=None)


def _row(result: EpisodeResult) -> dict[str, object]:
    return {
        "seed": result.seed,
        "ending": str(result.ending),
        "completed": result.completed,
        "passed": result.passed,
        "reasons": list(result.reasons),
        **asdict(result.counts),
        "timeout": result.timeout,
        "time_s": result.time_s,
        "mean_speed": result.mean_speed,
        "trace_hash": result.trace_hash,
        "reacted": None if result.reacted is None else [list(one) for one in result.reacted],
        "divergence_m": result.divergence_m,
        "recording": result.recording,
    }


def _recorded_text(result: EpisodeResult) -> str:
    """What became of the record, in one line."""
    names = ", ".join(f"{name} at {time_s:.1f} s" for time_s, name in result.reacted or ()) or "nobody"
    gap = "none" if result.divergence_m is None else f"{result.divergence_m:.2f} m"
    return f"  seed {result.seed}: mean distance from the record {gap}; had to react: {names}\n"


def _rate(rows: Sequence[dict[str, object]], name: str) -> Rate:
    column = "timeout" if name == "timeouts" else name
    return clopper_pearson(sum(bool(row[column]) for row in rows), len(rows))


def _text(report: dict[str, object], results: Sequence[EpisodeResult], request: Request, pictured: bool) -> str:
    """The report for people: episodes (of many, the first that failed), shares with intervals, where things are."""
    from eval.tables import episode_table, rate_table, render

    shown = list(results) if len(results) <= SHOWN_ROWS else [result for result in results if not result.passed][:SHOWN_ROWS]
    hidden = len(results) - len(shown)
    title = f"{report['scenario']}: {report['passed']} of {report['episodes']} passed"
    parts = [render(episode_table(shown, title))] if shown else [title + "\n"]
    parts += [_recorded_text(result) for result in shown if result.reacted is not None]
    if hidden and shown:
        parts.append(f"  and {hidden} more\n")
    if len(results) > 1:
        parts.append(render(rate_table({name: _rate([_row(result) for result in results], name) for name in _RATES})))
    if request.out is not None:
        parts.append(f"recordings: {request.out}\n")
    if pictured:
        parts.append(f"picture: {request.picture}\n")
    return "".join(parts).rstrip("\n")
