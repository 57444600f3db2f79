"""From a run in the store to one HTML file: its figures, and its worst episodes driven again from their seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from eval.gate import judge
from eval.outputs import check_folder
from eval.progress import progress
from eval.report.page import drivers_of, page
from eval.report.replays import Replay, drive_again, worst
from eval.runs import arm, paired
from eval.store import Store
from scenarios.errors import InputError


def report(store: Store, name: str, out: Path, *, baseline: str | None, replays: int) -> None:
    """Write the page. Raises InputError: unknown runs, a run without episodes, a file that cannot be written."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"cannot write a report called {str(out)!r}", fix="End its name in .html")
    check_folder(out.parent, "the report")
    if ":" not in name:
        name = f"{name}:{first_driver(store, name)}"
    shown = arm(store, name)
    if not shown.rows:
        raise InputError(f"run {shown.run.name!r} has no finished episode", fix="Give its avstack eval again: it goes on")
    tests = None
    if baseline is not None:
        other = arm(store, baseline)
        tests = (judge(paired(shown, other)), other.label)
    arms = [
        replace(shown, driver=driver, rows=store.rows(shown.run.sets[driver], shown.run.seeds)) for driver in drivers_of(shown)
    ]
    found: list[Replay] = []
    chosen = worst(shown.rows.values(), replays)
    with progress(len(chosen)) as advance:
        for row, why in chosen:
            found.append(drive_again(shown.run.suite, shown.driver, shown.run.sensing, row, why))
            advance()
    part = out.with_name(out.name + ".part")
    part.write_text(page(arms, shown, found, tests), encoding="utf-8")
    part.replace(out)
    click.echo(f"report: {out} ({out.stat().st_size / 1e6:.2f} MB)", err=True)


def first_driver(store: Store, name: str) -> str:
    """Whom a run is about where nobody is named: the first it was asked for."""
    return next(iter(store.run(name).sets))
