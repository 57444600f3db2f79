"""The commands that look for what hardly ever happens: how likely it is, and scenarios in which it does."""

from __future__ import annotations

from pathlib import Path

import click

from eval.arguments import parse_workers
from eval.errors import ExitCode

_SENSING = click.option(
    "--sensing", default="objects", show_default=True, help="What drivers are given: state, objects or lidar."
)
_WORKERS = click.option(
    "--workers",
    default="auto",
    show_default=True,
    help="Processes to run in; 1 stays in this one; ray or ray:ADDRESS: a cluster.",
)
_STORE = click.option(
    "--store", type=click.Path(path_type=Path), default=Path("out/results.sqlite"), show_default=True,
    help="File that keeps what is done; the same command goes on from there.",
)  # fmt: skip
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
_COUNT = click.IntRange(0, 10_000_000)


@click.command(name="rare")
@click.argument("suite")
@click.option("--driver", default="joint", show_default=True, help="Who drives ego.")
@click.option("--runs", default=100, show_default=True, type=_COUNT, help="Episodes that one estimate starts with.")
@click.option(
    "--estimates", default=10, show_default=True, type=_COUNT, help="Independent estimates; their spread is the interval."
)
@click.option("--brute", default=0, show_default=True, type=_COUNT, help="Also drive so many plain episodes and count.")
@click.option(
    "--margin",
    "margin_m",
    default=0.0,
    show_default=True,
    metavar="M",
    help="The event: ego's margin falls to this; 0: it touches.",
)
@click.option("--first-seed", default=0, show_default=True, type=click.IntRange(0, 2**62), help="Seeds are taken from here on.")
@_STORE
@_SENSING
@_WORKERS
@_JSON
def rare(
    suite: str, driver: str, runs: int, estimates: int, brute: int, margin_m: float, first_seed: int, store: Path, sensing: str,
    workers: str, as_json: bool,
) -> ExitCode:  # fmt: skip
    """Estimate how likely ego is to touch somebody, or come very close, by splitting episodes on how close they come."""
    from eval.rare import Request, estimate_rare

    request = Request(
        suite=suite, driver=driver, sensing=sensing, runs=runs, estimates=estimates, brute=brute, margin_m=margin_m,
        first_seed=first_seed, store=store, workers=parse_workers(workers),
    )  # fmt: skip
    return estimate_rare(request, as_json=as_json)


@click.command(name="search")
@click.argument("target", metavar="SCENARIO|FILE.yaml|MAP.xodr")
@click.option("--driver", default="joint", show_default=True, help="Who drives ego.")
@click.option("--episodes", default=200, show_default=True, type=_COUNT, help="Variations to drive.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of the search.")
@click.option(
    "--failure", default="at_fault", show_default=True, type=click.Choice(("at_fault", "collision", "criteria")),
    help="What counts: ego's fault, any collision of ego, or what the scenario's criteria say.",
)  # fmt: skip
@click.option(
    "--random", is_flag=True, help="Draw every variation as the scenario's seeds would: what the search is compared with."
)
@click.option(
    "--keep",
    default=5,
    show_default=True,
    type=click.IntRange(0, 1000),
    help="Make so many different failures plain and save them.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the failing scenarios.  [default: none are saved]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value of the scenario.")
@_STORE
@_SENSING
@_WORKERS
@_JSON
def search(*, random: bool, workers: str, as_json: bool, **options: object) -> ExitCode:
    """Look for variations of a scenario in which a driver fails, make them plain and save them as scenario files.

    Exit code 1 where any was found. What it finds says that the driver can fail, not how often: see avstack rare.
    """
    from eval.search import Request
    from eval.search import search as look

    request = Request(guided=not random, workers=parse_workers(workers), **options)  # type: ignore[arg-type]  # named as there
    return look(request, as_json=as_json)


COMMANDS = (rare, search)
