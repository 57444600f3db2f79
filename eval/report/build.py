"""From a run in the store to one HTML file: its figures, and its worst episodes driven again from their seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import click

from eval.gate import judge
from eval.outputs import check_folder
from eval.progress import progress
from eval.report.page import drivers_of, page, weight
from eval.report.replays import Replay, drive_again, thinned, worst
from eval.runs import arm, driven, paired
from eval.store import Store
from scenarios.errors import InputError

MOST_BYTES = 2_000_000
"""Of a page, whatever it is asked to show: it is to be mailed and kept."""
THINNED = (1, 2, 4)
"""Every so many-th plan, list of percepts and set of joint futures of a replay is kept, as few as need be left out."""


def report(store: Store, name: str, out: Path, *, baseline: str | None, replays: int) -> None:
    """Write the page. Raises InputError: unknown runs, a run without episodes, a file that cannot be written."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"cannot write a report called {str(out)!r}", fix="End its name in .html")
    check_folder(out.parent, "the report")
    if ":" not in name:
        name = f"{name}:{first_driver(store, name)}"
    shown = driven(arm(store, name))
    tests = None
    if baseline is not None:
        other = arm(store, baseline)
        tests = (judge(paired(shown, other)), other.label)
    arms = [
        replace(shown, driver=driver, rows=store.rows(shown.run.sets[driver], shown.run.seeds)) for driver in drivers_of(shown)
    ]
    room = MOST_BYTES - len(page(arms, shown, [], tests).encode())
    chosen = worst(shown.rows.values(), replays)
    found: list[Replay] = []
    with progress(len(chosen)) as advance:
        for row, why in chosen:
            found.append(drive_again(shown.run.suite, shown.driver, shown.run.sensing, row, why))
            advance()
            if len(fitted(found, room)) < len(found):
                break
    found = fitted(found, room)
    part = out.with_name(out.name + ".part")
    part.write_text(page(arms, shown, found, tests), encoding="utf-8")
    part.replace(out)
    fewer = f"; {len(found)} of {len(chosen)} replays fit in {MOST_BYTES / 1e6:g} MB" if len(found) < len(chosen) else ""
    click.echo(f"report: {out} ({out.stat().st_size / 1e6:.2f} MB{fewer})", err=True)


def fitted(replays: Sequence[Replay], room: int) -> list[Replay]:
    """Replays in so many bytes: as much of ego's mind as there is room for, then as many, the first first; one at least."""
    for times in THINNED:
        thin = [thinned(one, times) for one in replays]
        if sum(map(weight, thin)) <= room:
            return thin
    return [one for one, total in zip(thin, accumulate(map(weight, thin)), strict=True) if total <= room] or thin[:1]


def first_driver(store: Store, name: str) -> str:
    """Whom a run is about where nobody is named: the first it was asked for."""
    return next(iter(store.run(name).sets))
