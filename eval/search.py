"""`avstack search`: variations of a scenario in which a driver fails, found by how close it comes, made plain, and saved.

A part of the episodes is drawn as the scenario's own seeds would draw them. The others are variations of those in which ego came
closest to touching somebody, or of earlier variations of them: numbers moved a little, now and then another choice or seed. A
stem (all that descends from one draw) that has failed FAILURES_OF_A_STEM times is left alone, so that one hole is not dug for
ever. What is found says that the driver can fail, and how; it says nothing about how often (`avstack rare` does).

A failure is made plain by taking away whatever it does not need: road users, arrivals, odd values. The file has no ranges left;
it is read back and driven again before it is kept.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path as File

import click
import numpy as np

from eval.arguments import Workers
from eval.drivers import load_driver
from eval.errors import ExitCode
from eval.evaluate import driven_by
from eval.outputs import check_folder, write_text
from eval.progress import progress
from eval.run import EpisodeResult, check_sensing
from eval.statistics import clopper_pearson
from eval.trials import Outcome, Trial, Trials, drive_trial
from eval.variation import Space, Variation, ordinary_values, plainer
from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.resolve import apply_settings, resolve
from scenarios.schema import ScenarioSpec, Tree, check, load
from scenarios.yaml_tree import Data, Path
from sim.recording import Ending

ROUND = 16
"""Episodes between two choices of what to vary, whatever the number of processes."""
DRAWN = 0.3
"""Share of the episodes that are drawn anew."""
NEXT_BEST = 0.25
"""Probability that the closest is varied; else the next closest has it, and so on."""
FAILURES_OF_A_STEM = 3
STEPS = 60
"""Episodes that making one failure plain may take."""
SUFFIX = ".scenario.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for. failure: a name in FAILURES; guided: vary the closest, else draw all; keep: files written at most;
    store: what was driven lies there."""

    target: str
    settings: tuple[str, ...]
    driver: str
    sensing: str
    episodes: int
    seed: int
    failure: str
    guided: bool
    keep: int
    out: File | None
    store: File
    workers: Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A variation, how it went, and the number of the draw that it descends from."""

    variation: Variation
    outcome: Outcome
    stem: int


def _collided(result: EpisodeResult) -> bool:
    return result.counts.collisions > 0


def _at_fault(result: EpisodeResult) -> bool:
    return result.counts.at_fault > 0


def _judged(result: EpisodeResult) -> bool:
    return not result.passed


FAILURES = {"at_fault": _at_fault, "collision": _collided, "criteria": _judged}
"""What counts: ego's own fault, any collision of ego, or whatever the scenario's criteria say."""


def search(request: Request, *, as_json: bool) -> ExitCode:
    """Search, save what failed, and report. Raises InputError for what cannot be searched."""
    space = Space(_checked(request))
    trials = Trials(request.store, request.workers, request.target, request.settings, request.driver, request.sensing)
    draws = np.random.Generator(np.random.Philox(request.seed))
    found: list[Found] = []
    interrupted = False
    with progress(request.episodes) as advance:
        try:
            while len(found) < request.episodes:
                chosen = _chosen(space, request, found, draws)
                concrete = [
                    _trial(space.concrete(variation), space, request, variation.seed, number)
                    for number, (variation, _) in enumerate(chosen)
                ]
                found += [
                    Found(variation=variation, outcome=outcome, stem=stem)
                    for (variation, stem), outcome in zip(chosen, trials.outcomes(concrete, advance), strict=True)
                ]
        except KeyboardInterrupt:
            interrupted = True
            click.echo("avstack: interrupted; what failed until now is saved, and the same command goes on from here", err=True)
    if trials.recalled:
        click.echo(f"{trials.recalled} of {len(found)} variations were in {request.store} already", err=True)
    failures = [one for one in found if _failed(one.outcome, request.failure)]
    saved = [] if request.out is None else _saved(space, request, trials, _different(failures)[: request.keep])
    report = report_of(request, found, failures, saved)
    click.echo(json.dumps(report) if as_json else search_text(report))
    return ExitCode.INTERRUPTED if interrupted else ExitCode.CRITERIA_FAILED if failures else ExitCode.OK


def report_of(
    request: Request, found: Sequence[Found], failures: Sequence[Found], saved: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Episodes, failures, how many of them differ in more than numbers, and where they are."""
    driven = [one for one in found if one.outcome.result is not None]
    crashed = [one for one in driven if one.outcome.result is not None and one.outcome.result.ending is Ending.CRASHED]
    rate = clopper_pearson(len(failures), len(driven))
    margins = [one.outcome.margin_m for one in driven]
    return {
        "target": request.target, "driver": request.driver, "sensing": request.sensing, "failure": request.failure,
        "guided": request.guided, "seed": request.seed, "episodes": len(found), "impossible": len(found) - len(driven),
        "crashed": len(crashed), "failures": len(failures), "different": len(_different(failures)),
        "failures_per_1000": 1000.0 * rate.rate, "closest_m": min(margins, default=None),
        "median_margin_m": float(np.median(margins)) if margins else None, "saved": list(saved),
    }  # fmt: skip


def search_text(report: Mapping[str, object]) -> str:
    """The report for people."""
    how = "guided by how close it came" if report["guided"] else "drawn at random"
    lines = [
        f"{report['driver']} in {report['episodes']} variations of {report['target']} ({report['sensing']}), {how}:"
        f" {report['failures']} failures ({report['failure']}), {report['different']} that differ in more than numbers"
    ]
    if report["closest_m"] is not None:
        lines.append(f"  closest margin {report['closest_m']:.2f} m, median {report['median_margin_m']:.2f} m")
    if report["impossible"]:
        lines.append(f"  {report['impossible']} variations could not be set up")
    saved = report["saved"]
    for one in saved if isinstance(saved, list) else []:
        lines.append(f"  {one['file']}: {one['what']}; {one['again']}")
    return "\n".join(lines)


def _checked(request: Request) -> ScenarioSpec:
    check_sensing(request.sensing)
    load_driver(request.driver)
    spec = apply_settings(resolve(request.target), list(request.settings))
    if request.episodes < 1:
        raise InputError(f"a search needs at least one episode, got {request.episodes}", fix="Use --episodes 200")
    driven_by(compile_scenario(spec, request.seed), request.driver)
    if request.out is not None:
        check_folder(request.out, "the failures")
    return spec


def _chosen(space: Space, request: Request, found: Sequence[Found], draws: np.random.Generator) -> list[tuple[Variation, int]]:
    """The variations of the next round, each with the number of the draw that it descends from."""
    ranked = _ranked(found, request.failure) if request.guided else []
    return [_next(space, ranked, len(found) + k, draws) for k in range(min(ROUND, request.episodes - len(found)))]


def _ranked(found: Sequence[Found], failure: str) -> list[Found]:
    """What may be varied, the closest first: of stems that have not failed often enough."""
    failed = Counter(one.stem for one in found if _failed(one.outcome, failure))
    open_ = (one for one in found if failed[one.stem] < FAILURES_OF_A_STEM and one.outcome.result is not None)
    return sorted(open_, key=lambda one: one.outcome.margin_m)


def _next(space: Space, ranked: Sequence[Found], number: int, draws: np.random.Generator) -> tuple[Variation, int]:
    """A fresh draw, or a variation of one of the closest; with the number of the draw that it descends from."""
    if not ranked or draws.random() < DRAWN:
        return space.draw(draws), number
    parent = ranked[(int(draws.geometric(NEXT_BEST)) - 1) % len(ranked)]
    return space.near(parent.variation, draws), parent.stem


def _trial(tree: Tree, space: Space, request: Request, seed: int, number: int = 0) -> Trial:
    return Trial(number=number, tree=tree, file=space.spec.file, seed=seed, driver=request.driver, sensing=request.sensing)


def _failed(outcome: Outcome, failure: str) -> bool:
    return outcome.result is not None and FAILURES[failure](outcome.result)


def _different(failures: Sequence[Found]) -> list[Found]:
    """The first of each kind."""
    return list({one.variation.kind: one for one in reversed(failures)}.values())[::-1]


def _saved(space: Space, request: Request, trials: Trials, failures: Sequence[Found]) -> list[dict[str, object]]:
    """Make each plain and write it; read back and driven again, it fails in the same way."""
    folder = request.out or File()
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for number, one in enumerate(failures):
        tree, outcome, steps = _made_plain(space, request, trials, one)
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", f"{space.spec.name}-{request.driver}-{number}")
        file = folder / f"{name}{SUFFIX}"
        again = f"avstack run {file} --seeds {one.variation.seed} --driver {request.driver} --sensing {request.sensing}"
        what = _told(outcome)
        write_text(file, f"# {what}\n# {again}\n" + check(tree, file=space.spec.file).to_yaml())
        repeated = drive_trial(replace(_trial(load(file).tree, space, request, one.variation.seed), file=str(file)))
        if repeated.result is None or outcome.result is None or repeated.result.trace_hash != outcome.result.trace_hash:
            file.unlink()
            click.echo(f"avstack: {file.name}: read back it goes another way, so it is not kept", err=True)
            continue
        kept.append({"file": str(file), "what": what, "again": again, "steps": steps, "values": len(one.variation.values)})
    return kept


def _made_plain(space: Space, request: Request, trials: Trials, one: Found) -> tuple[Tree, Outcome, int]:
    """Take away what the failure does not need, thing after thing, until nothing more can go or STEPS episodes were driven."""
    tree, outcome, steps = space.concrete(one.variation), one.outcome, 0
    ordinary: dict[Path, Data] = ordinary_values(space)
    again = True
    while again and steps < STEPS:
        again = False
        for simpler in plainer(tree, ordinary):
            if steps >= STEPS:
                break
            steps += 1
            (tried,) = trials.outcomes([_trial(simpler, space, request, one.variation.seed)], lambda: None)
            if _failed(tried, request.failure):
                tree, outcome, again = simpler, tried, True
                break
    return tree, outcome, steps


def _told(outcome: Outcome) -> str:
    result = outcome.result
    if result is None:
        return ""
    counts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asdict(result.counts).items() if value)
    return f"after {result.time_s:.1f} s: {'; '.join(result.reasons) or result.ending}" + (f" ({counts})" if counts else "")
