"""The commands on runs that a store holds: list, compare, gate, report; and what metrics there are."""

from __future__ import annotations

import json
from pathlib import Path

import click

from eval.errors import ExitCode
from scenarios.errors import InputError

_STORE = click.option(
    "--store", type=click.Path(path_type=Path), default=Path("out/results.sqlite"), show_default=True, help="File with the runs."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


@click.command(name="runs")
@_STORE
@_JSON
def list_runs(store: Path, as_json: bool) -> None:
    """List the runs in a store: what, when, with what, and how far they came."""
    from eval.runs import runs_json, runs_text
    from eval.store import Store

    found = Store.existing(store)
    click.echo(runs_json(found) if as_json else runs_text(found))


@click.command(name="compare")
@click.argument("run")
@click.argument("baseline")
@_STORE
@_JSON
def compare(run: str, baseline: str, store: Path, as_json: bool) -> None:
    """Compare two runs episode by episode: every figure, its difference with a 95 % interval, and how many episodes would tell.

    RUN is a name from `avstack runs`, or NAME:DRIVER for a run of several drivers.
    """
    from eval.compare import compare_json, compare_text
    from eval.runs import arm, paired
    from eval.store import Store

    found = Store.existing(store)
    one, other = arm(found, run), arm(found, baseline)
    pairs = paired(one, other)
    names = (one.label, other.label)
    click.echo(json.dumps(compare_json(pairs, names)) if as_json else compare_text(pairs, names))


@click.command(name="gate")
@click.argument("run")
@click.option("--baseline", required=True, metavar="RUN", help="What it must not be worse than.")
@click.option(
    "--anytime", is_flag=True, help="Judge the episodes that there are, by tests that hold however often one looks meanwhile."
)
@_STORE
@_JSON
def gate(run: str, baseline: str, anytime: bool, store: Path, as_json: bool) -> ExitCode:
    """Fail (exit code 1) if a run is significantly worse than a baseline on the same seeds: which metric, by how much, where.

    RUN is a name from `avstack runs`, or NAME:DRIVER for a run of several drivers. Both must be finished, or --anytime be given.
    """
    from eval.gate import fails, gate_json, gate_text, judge
    from eval.runs import arm, paired
    from eval.store import Store

    found = Store.existing(store)
    arms = arm(found, run), arm(found, baseline)
    for one in arms:
        if not anytime and len(one.rows) < len(one.run.seeds):
            raise InputError(
                f"run {one.run.name!r} is not finished: {len(one.rows)} of {len(one.run.seeds)} episodes",
                fix="Give its avstack eval again: it goes on; or judge what there is with --anytime",
            )
    tests = judge(paired(*arms, unbroken=anytime), anytime=anytime)
    bad = fails(tests)
    names = (arms[0].label, arms[1].label)
    if as_json:
        click.echo(json.dumps({"passed": not bad, "run": names[0], "baseline": names[1], "metrics": gate_json(tests)}))
    else:
        click.echo(gate_text(tests, names))
    return ExitCode.CRITERIA_FAILED if bad else ExitCode.OK


@click.command(name="report")
@click.argument("run")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="The file.")
@click.option("--baseline", metavar="RUN", help="Judge it against this run, as the gate does.")
@click.option(
    "--replays",
    default=6,
    show_default=True,
    type=click.IntRange(0, 40),
    help="So many of the worst episodes to watch, as far as they fit in 2 MB.",
)
@_STORE
def report(run: str, out: Path, baseline: str | None, replays: int, store: Path) -> None:
    """Write one HTML file about a run: verdict, figures with intervals, plots, and the worst episodes to watch.

    RUN is a name from `avstack runs`, or NAME:DRIVER. The worst episodes are driven again from their seeds.
    """
    from eval.report.build import report
    from eval.store import Store

    report(Store.existing(store), run, out, baseline=baseline, replays=replays)


@click.command(name="safety-case")
@click.argument("run")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("safety-case.html"), show_default=True,
    help="The file, .html or .md.",
)  # fmt: skip
@click.option(
    "--verify", default=0, show_default=True, type=click.IntRange(0, 1000),
    help="Drive so many of its episodes again, and compare.",
)  # fmt: skip
@_STORE
def safety_case(run: str, out: Path, verify: int, store: Path) -> ExitCode:
    """Write what speaks for a driver's safety, and what is missing: claims, the argument, evidence in the store, its status.

    RUN is a name from `avstack runs`, or NAME:DRIVER. Other runs of the same driver in the store are drawn on. Exit code 1 where
    the evidence contradicts a claim.
    """
    from eval.safety_case.write import write_case
    from eval.store import Store

    return write_case(Store.existing(store), run, out, verify)


@click.command(name="metrics")
def metrics() -> None:
    """Print what every metric measures, with its unit and which direction is better, as Markdown."""
    from eval.metrics_page import metrics_page

    click.echo(metrics_page(), nl=False)


@click.command(name="gate")
@click.argument("run")
@click.argument("baseline")
@_STORE
@click.option("--episodes", default=100, show_default=True, help="In each comparison.")
@click.option("--comparisons", default=400, show_default=True, help="Of each kind.")
@_JSON
def bench_gate(run: str, baseline: str, store: Path, episodes: int, comparisons: int, as_json: bool) -> None:
    """Measure the gate: how often it fails runs that are no worse, and finds those that are, on episodes that two runs kept."""
    from eval.bench.gate import format_bench, run_bench
    from eval.runs import arm, paired
    from eval.store import Store

    found = Store.existing(store)
    figures = run_bench(paired(arm(found, run), arm(found, baseline)), episodes, comparisons)
    click.echo(json.dumps(figures) if as_json else format_bench(figures))


@click.command(name="intervals")
@click.option("--simulations", default=1000, show_default=True, type=click.IntRange(min=1), help="Of each case.")
@_JSON
def bench_intervals(simulations: int, as_json: bool) -> None:
    """Measure how often the intervals of reports hold the truth, by simulation where it is known."""
    from eval.bench.intervals import format_bench, run_bench

    figures = run_bench(simulations)
    click.echo(json.dumps(figures) if as_json else format_bench(figures))


@click.command(name="realism")
@click.argument("target", metavar="RECORDING")
@click.option("--rollouts", default=16, show_default=True, type=click.IntRange(2, 200), help="Simulated futures.")
@click.option("--start", "start_s", default=1.0, show_default=True, metavar="S", help="From when on vehicles drive themselves.")
@click.option("--horizon", "horizon_s", default=8.0, show_default=True, metavar="S", help="For how long.")
@_JSON
def realism(target: str, rollouts: int, start_s: float, horizon_s: float, as_json: bool) -> None:
    """Measure how likely recorded futures are among simulated ones (WOSAC): our traffic beside the record itself, constant
    velocity and moving at random."""
    from eval.realism import report

    if not (0.0 <= start_s <= 3600.0 and 1.0 <= horizon_s <= 60.0):
        raise InputError("--start must be from 0 to 3600 s, --horizon from 1 to 60 s", fix="Use --start 1 --horizon 8")
    click.echo(report(target, rollouts=rollouts, start_s=start_s, horizon_s=horizon_s, as_json=as_json))


@click.command(name="alks")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--driver", default="joint", show_default=True, help="Who is compared with UN R157's competent driver.")
@click.option("--seeds", default="0", show_default=True, help="Of each file: draws of what it varies.")
@click.option("--sensing", default="state", show_default=True, help="What both are given: state or objects.")
@click.option("--workers", default="auto", show_default=True, help="Processes to run in; 1 stays in this one.")
@_JSON
def bench_alks(folder: Path, driver: str, seeds: str, sensing: str, workers: str, as_json: bool) -> None:
    """Drive all OpenSCENARIO files of a folder beside UN R157's competent driver: the share of preventable cases avoided."""
    from eval.arguments import parse_seeds, parse_workers
    from eval.bench.alks import format_bench, run_bench

    rows = run_bench(folder, driver, parse_seeds(seeds), sensing, parse_workers(workers))
    click.echo(json.dumps(rows) if as_json else format_bench(rows, driver))


COMMANDS = (list_runs, compare, gate, report, safety_case, metrics, realism)


@click.command(name="throughput")
@click.option("--suite", default="four_way_stop", show_default=True, help="What is driven: a suite, a family or a file.")
@click.option("--driver", default="joint", show_default=True, help="Who drives ego.")
@click.option(
    "--level", "levels", multiple=True, default=("state", "objects", "lidar"), show_default=True, help="May be repeated."
)
@click.option(
    "--workers", multiple=True, default=(1, 2), show_default=True, type=click.IntRange(1, 1000),
    help="Worker processes; may be repeated.",
)  # fmt: skip
@click.option("--episodes", default=8, show_default=True, type=click.IntRange(1, 100_000), help="That a worker drives.")
@_JSON
def bench_throughput(
    suite: str, driver: str, levels: tuple[str, ...], workers: tuple[int, ...], episodes: int, as_json: bool
) -> None:
    """Measure how many episodes of an evaluation are driven in a second, and what recording and metrics take of that."""
    from eval.bench.throughput import format_bench, run_bench

    found = run_bench(suite, driver, levels, workers, episodes)
    click.echo(json.dumps(found) if as_json else format_bench(found))


BENCHES = (bench_gate, bench_intervals, bench_alks, bench_throughput)
