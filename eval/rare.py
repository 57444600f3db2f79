"""`avstack rare`: how likely ego is to touch somebody, or to come very close, by splitting episodes on how close they come.

One estimate starts `runs` episodes from seeds of its own. A branch goes on from a snapshot with another branch of the random
numbers: the traffic's decisions and the sensors' errors are drawn anew, who is on the road and by what style stays. (Errors that
are correlated over ticks change at once there; that is noise too.) At the level `state`, where nothing is sensed wrongly,
branches often go as their parents did, and little is gained. Estimates are independent of each other; their mean is unbiased, and
its interval comes from how much they differ. `--brute` drives plain episodes beside it, to check the one by the other where that
can be paid.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path as File

import click
import numpy as np

from eval.arguments import Workers
from eval.clock import WallClock
from eval.configuration import driver_hash, product_hash
from eval.criticality import FAR_M, margin
from eval.drivers import load_driver
from eval.episode import Episode, Kept, drive_guarded, kept, restore
from eval.errors import ExitCode
from eval.evaluate import driven_by
from eval.executors import choose_executor
from eval.progress import progress
from eval.run import check_sensing, seated
from eval.splitting import Path, split
from eval.statistics import Estimate, Rate, clopper_pearson, ratio_of_sums
from eval.store import EpisodeSet, Row, Store, Value
from eval.suites import suite_of
from scenarios.errors import InputError
from scenarios.ranges import key_of
from sim.rng import Purpose, generator
from sim.scenario import Scenario
from sim.world import World

STEP_M = 0.1
"""Levels are told apart in steps of this."""
BATCH = 50
"""Plain episodes in one job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for. runs: episodes of one estimate; estimates: how many; brute: plain episodes; margin_m: the event is that
    the margin of `eval.criticality` falls to this."""

    suite: str
    driver: str
    sensing: str
    runs: int
    estimates: int
    brute: int
    margin_m: float
    first_seed: int
    store: File
    workers: Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One estimate, or with `plain` as many episodes, from `first_seed` on."""

    suite: str
    driver: str
    sensing: str
    first_seed: int
    runs: int
    margin_m: float
    plain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a branch goes on from."""

    scenario: Scenario
    kept: Kept


@dataclass(slots=True)
class Climb:
    """Notes every new highest level of an episode, with what it goes on from there."""

    scenario: Scenario
    ego: int
    climbs: list[tuple[float, Stage]] = field(default_factory=list)

    def watch(self, episode: Episode) -> None:
        """Take the present tick in."""
        level = -STEP_M * math.ceil(margin(episode.world, self.ego) / STEP_M - 1e-9)
        if not self.climbs or level > self.climbs[-1][0]:
            self.climbs.append((level, Stage(scenario=self.scenario, kept=kept(episode))))


class Episodes:
    """Episodes of a suite as what is split. ticks: driven so far."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._suite = suite_of(job.suite)
        self.ticks = 0

    def begin(self, number: int) -> Path[Stage]:
        """The episode of a seed."""
        scenario = replace(self._suite.scenario(self._job.first_seed + number), sensing=self._job.sensing)
        return self._drive(driven_by(scenario, self._job.driver), (), None, 0)

    def branch(self, path: Path[Stage], climb: int, number: int) -> Path[Stage]:
        """The same episode up to there, and on with other random numbers."""
        stage = path.climbs[climb][1]
        return self._drive(stage.scenario, path.climbs[: climb + 1], stage.kept, number)

    def _drive(self, scenario: Scenario, before: Sequence[tuple[float, Stage]], start: Kept | None, branch: int) -> Path[Stage]:
        world, ego = World((scenario,), traced=False), scenario.ego
        if ego is None:  # `driven_by` has seen to that
            raise ValueError("an episode without an ego has nothing to come close to")
        climb = Climb(scenario=scenario, ego=ego, climbs=list(before))
        episode = Episode(world, scenario, seated(scenario, world), None, WallClock(None), watcher=climb)
        if start is not None:
            restore(episode, start)
            world.state.worlds["branch"] = branch
        begun = world.tick
        cut_short, line, _ = drive_guarded(episode)
        if cut_short is not None:
            raise InputError(f"{self._job.driver} did not drive seed {scenario.seed} to its end: {line}", fix="Mend the driver")
        climb.watch(episode)
        self.ticks += world.tick - begun
        return Path(climbs=tuple(climb.climbs))


def run_job(job: Job) -> dict[str, Value]:
    """One estimate, or how many of the plain episodes had the event."""
    episodes, target = Episodes(job), -job.margin_m
    if job.plain:
        hits = [k for k in range(job.runs) if episodes.begin(k).top >= target]
        seeds = [job.first_seed + k for k in hits]
        return {"events": len(hits), "episodes": job.runs, "ticks": episodes.ticks, "seeds": json.dumps(seeds)}
    draws = generator(job.first_seed, Purpose.SCENARIO, key_of("splitting"))
    found = split(episodes, job.runs, target, draws)
    seeds = sorted({path.climbs[-1][1].scenario.seed for path in found.arrived})
    return {
        "probability": found.probability, "branches": found.branches, "ticks": episodes.ticks, "seeds": json.dumps(seeds),
        "levels": json.dumps(found.levels), "arrived": len(found.arrived),
    }  # fmt: skip


def estimate_rare(request: Request, *, as_json: bool) -> ExitCode:
    """Drive what the store does not have yet, and report. Raises InputError for what cannot be driven."""
    jobs = _jobs(_checked(request))
    store = Store(request.store)
    kinds = {kind: _open(store, kind) for kind in dict.fromkeys(_kind(job) for job in jobs)}
    keys = {job: kinds[_kind(job)] for job in jobs}
    there = {key: store.rows(key, [job.first_seed for job in jobs]) for key in kinds.values()}
    rows = {job: found for job in jobs if (found := there[keys[job]].get(job.first_seed)) is not None}
    missing = [job for job in jobs if job not in rows]
    if rows:
        click.echo(f"{len(rows)} of {len(jobs)} parts are in {request.store} already", err=True)
    interrupted = _run(store, keys, missing, request.workers, rows)
    report = report_of(request, [rows[job] for job in jobs if job in rows])
    click.echo(json.dumps(report) if as_json else rare_text(report))
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


def report_of(request: Request, rows: Sequence[Row]) -> dict[str, object]:
    """The mean of the estimates with its interval, what it cost, and the plain episodes beside it."""
    split_rows = [row for row in rows if "probability" in row]
    plain = [row for row in rows if "events" in row]
    report: dict[str, object] = {name: value for name, value in asdict(request).items() if name not in ("store", "workers")}
    if split_rows:
        found = ratio_of_sums(np.array([float(row["probability"] or 0.0) for row in split_rows]))
        ticks, branches = _sum(split_rows, "ticks"), _sum(split_rows, "branches")
        report["splitting"] = _bounded(found) | {
            "estimates": len(split_rows), "branches": branches, "ticks": ticks, "seeds": _seeds(split_rows),
        }  # fmt: skip
    if plain:
        rate: Rate = clopper_pearson(_sum(plain, "events"), _sum(plain, "episodes"))
        report["brute_force"] = asdict(rate) | {"ticks": _sum(plain, "ticks"), "seeds": _seeds(plain)}
    return report


def rare_text(report: dict[str, object]) -> str:
    """The report for people."""
    what = "touches somebody" if report["margin_m"] == 0.0 else f"comes within a margin of {report['margin_m']:g} m"
    lines = [f"{report['driver']} on {report['suite']} ({report['sensing']}): it {what} in an episode with probability"]
    found, plain = report.get("splitting"), report.get("brute_force")
    if isinstance(found, dict):
        bounds = "" if found["low"] is None else f" [{found['low']:.2g}, {found['high']:.2g}]"
        lines.append(
            f"  {found['value']:.3g}{bounds} by splitting: {found['estimates']} estimates of {report['runs']} episodes,"
            f" {found['branches']} branches, {found['ticks']:,} ticks"
        )
    if isinstance(plain, dict):
        lines.append(
            f"  {plain['rate']:.3g} [{plain['low']:.2g}, {plain['high']:.2g}] by plain episodes:"
            f" {plain['count']} of {plain['episodes']}, {plain['ticks']:,} ticks"
        )
    seeds = [seed for one in (found, plain) if isinstance(one, dict) for seed in one["seeds"]]
    if seeds:
        lines.append(f"  seeds that lead there, of splitting perhaps in a branch alone: {', '.join(map(str, seeds[:10]))}")
    return "\n".join(lines)


def _checked(request: Request) -> Request:
    check_sensing(request.sensing)
    load_driver(request.driver)
    driven_by(suite_of(request.suite).scenario(request.first_seed), request.driver)
    if not 0.0 <= request.margin_m < FAR_M:
        raise InputError(f"the margin must be 0 m to less than {FAR_M:g} m, got {request.margin_m!r}", fix="Use --margin 0")
    if request.estimates and request.runs < 2:
        raise InputError(f"an estimate needs at least 2 episodes, got {request.runs}", fix="Use --runs 100")
    if not request.estimates and not request.brute:
        raise InputError("nothing is asked for", fix="Use --estimates 10, or --brute 1000")
    return request


def _jobs(request: Request) -> list[Job]:
    """Estimates first; no seed is used twice by them. Plain episodes start from the first seed too: they estimate the same."""
    common = {
        "suite": request.suite, "driver": request.driver, "sensing": request.sensing, "margin_m": request.margin_m,
    }  # fmt: skip
    jobs = [
        Job(**common, first_seed=request.first_seed + k * request.runs, runs=request.runs, plain=False)  # type: ignore[arg-type]
        for k in range(request.estimates)
    ]
    for first in range(0, request.brute, BATCH):
        runs = min(BATCH, request.brute - first)
        jobs.append(Job(**common, first_seed=request.first_seed + first, runs=runs, plain=True))  # type: ignore[arg-type]
    return jobs


def _kind(job: Job) -> Job:
    """What jobs of one set have in common."""
    return replace(job, first_seed=0)


def _open(store: Store, kind: Job) -> str:
    """The key of a kind's set."""
    provenance: dict[str, Value] = {
        **asdict(kind), "suite_content": json.dumps(asdict(suite_of(kind.suite))), "driver_code": driver_hash(kind.driver),
        "product": product_hash(),
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(provenance, sort_keys=True).encode()).hexdigest()[:16]
    store.open_set(EpisodeSet(key=key, suite=kind.suite, driver=kind.driver, provenance=provenance))
    return key


def _run(store: Store, keys: dict[Job, str], jobs: Sequence[Job], workers: Workers, rows: dict[Job, Row]) -> bool:
    """Run jobs and keep each as it comes; whether Ctrl-C cut it short."""
    with progress(len(jobs)) as advance:
        try:
            for done in choose_executor(workers, len(jobs)).run(run_job, jobs):
                if done.result is None:
                    raise InputError(f"the part from seed {done.job.first_seed} died: {done.failure}", fix="Give it again")
                store.add(keys[done.job], done.job.first_seed, done.result)
                rows[done.job] = done.result
                advance()
        except KeyboardInterrupt:
            click.echo("avstack: interrupted; the same command goes on from here", err=True)
            return True
    return False


def _bounded(found: Estimate) -> dict[str, object]:
    finite = math.isfinite(found.low)
    low, high = (max(found.low, 0.0), min(found.high, 1.0)) if finite else (None, None)
    return {"value": found.value, "low": low, "high": high}


def _sum(rows: Sequence[Row], name: str) -> int:
    return sum(int(row[name] or 0) for row in rows)


def _seeds(rows: Sequence[Row]) -> list[int]:
    return [seed for row in rows for seed in json.loads(str(row["seeds"]))]
