"""The commands that look for what hardly ever happens: how likely it is, and scenarios in which it does."""

from __future__ import annotations

from pathlib import Path

import click

from eval.arguments import parse_workers
from eval.errors import ExitCode

_SENSING = click.option(
    "--sensing", default="objects", show_default=True, help="What drivers are given: state, objects or lidar."
)
_WORKERS = click.option("--workers", default="auto", show_default=True, help="Processes to run in; 1 stays in this one.")
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
@click.option(
    "--store", type=click.Path(path_type=Path), default=Path("out/results.sqlite"), show_default=True,
    help="File that keeps what is done; the same command goes on from there.",
)  # fmt: skip
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


COMMANDS = (rare,)
