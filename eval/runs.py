"""Runs that a store holds: listed, and one driver's episodes of one taken out to be compared."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from eval.configuration import driver_hash, product_hash
from eval.describe import versions
from eval.figures import PRIVILEGED
from eval.store import Row, Run, Store, Value
from scenarios.errors import InputError

MODELS = "models"
"""The suite of runs that are of perception alone, where nothing is driven."""
_COMMIT_CHARACTERS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One driver of a run: its finished episodes by seed."""

    run: Run
    driver: str
    rows: Mapping[int, Row]

    @property
    def label(self) -> str:
        """As it is named on the command line."""
        return f"{self.run.name}:{self.driver}"


def provenance(suite: str, drivers: tuple[str, ...]) -> dict[str, Value]:
    """What a run was made with and where. suite: its content as JSON."""
    return {
        **{name: version for name, version in versions().items() if name != "avstack-sim"},
        "product": f"{versions()['avstack-sim']} {product_hash()}",
        "commit": commit_of_sources(),
        "suite": suite,
        "drivers": json.dumps({name: driver_hash(name) for name in drivers}),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
    }


def arm(store: Store, name: str) -> Arm:
    """The arm `RUN` or `RUN:DRIVER`; a run of several drivers needs one to be named. Raises InputError."""
    run_name, _, driver = name.partition(":")
    run = store.run(run_name)
    others = [known for known in run.sets if known not in PRIVILEGED.values()] or list(run.sets)
    if driver and driver not in run.sets:
        raise InputError(f"run {run.name!r} has no driver {driver!r}", fix=f"Use one of {', '.join(run.sets)}")
    if not driver and len(others) > 1:
        raise InputError(f"run {run.name!r} has several drivers", fix=f"Name one: {run.name}:{others[0]}, for example")
    driver = driver or others[0]
    return Arm(run=run, driver=driver, rows=store.rows(run.sets[driver], run.seeds))


def driven(arm: Arm) -> Arm:
    """The same. Raises InputError where nobody drove, for want of episodes or of a driver."""
    if arm.run.suite == MODELS:
        raise InputError(f"run {arm.run.name!r} is of perception models: nobody drives in it", fix="Use avstack compare or gate")
    if not arm.rows:
        raise InputError(f"run {arm.run.name!r} has no finished episode", fix="Give its avstack eval again: it goes on")
    return arm


def paired(one: Arm, other: Arm, *, unbroken: bool = False) -> list[tuple[Row, Row]]:
    """The episodes that both drove, by seed. Raises InputError where there are none, or they are not the same episodes.

    unbroken: up to the first that either has still to drive, for which episodes are there already hangs on how long they take.
    """
    if one.run.suite != other.run.suite:
        raise InputError(
            f"the runs are of different suites, {one.run.suite} and {other.run.suite}", fix="Compare runs of the same suite"
        )
    if one.run.provenance.get("suite") != other.run.provenance.get("suite"):
        raise InputError(
            f"suite {one.run.suite} has changed between {one.run.name} and {other.run.name}: a seed is not the same episode",
            fix="Evaluate both versions on the suite as it is",
        )
    seeds = [seed for seed in one.run.seeds if seed in {*other.run.seeds}]
    there = [seed in one.rows and seed in other.rows for seed in seeds]
    if unbroken:
        seeds = seeds[: there.index(False)] if False in there else seeds
    pairs = [(one.rows[seed], other.rows[seed]) for seed in seeds if seed in one.rows and seed in other.rows]
    if not pairs:
        raise InputError(f"{one.label} and {other.label} have no seed in common", fix="Evaluate both with the same --seeds")
    return pairs


def runs_text(store: Store) -> str:
    """A line a run, oldest first."""
    from rich.markup import escape
    from rich.table import Table

    from eval.tables import render

    table = Table(title="runs", title_justify="left")
    for name in ("run", "made (UTC)", "suite", "sensing", "drivers", "seeds", "episodes", "commit", "product"):
        table.add_column(name, overflow="fold")
    for run in store.runs():
        said = (str(run.provenance.get(name) or "") for name in ("commit", "product"))
        episodes = f"{store.finished(run)} of {len(run.seeds) * len(run.sets)}"
        cells = (run.name, run.made, run.suite, run.sensing, ", ".join(run.sets), seeds_text(run.seeds), episodes, *said)
        table.add_row(*map(escape, cells))
    return render(table).rstrip("\n")


def runs_json(store: Store) -> str:
    """The same as JSON, with the whole provenance."""
    return json.dumps(
        [
            {
                "run": run.name, "made": run.made, "suite": run.suite, "sensing": run.sensing, "drivers": list(run.sets),
                "seeds": seeds_text(run.seeds), "finished": store.finished(run), "episodes": len(run.seeds) * len(run.sets),
                "provenance": dict(run.provenance),
            }
            for run in store.runs()
        ]
    )  # fmt: skip


def seeds_text(seeds: tuple[int, ...]) -> str:
    """Seeds as they are given on the command line: 0..99,105."""
    cuts = [0, *(k + 1 for k, (one, other) in enumerate(pairwise(seeds)) if other != one + 1), len(seeds)]
    spans = ((seeds[first], seeds[last - 1]) for first, last in pairwise(cuts))
    return ",".join(str(first) if first == last else f"{first}..{last}" for first, last in spans)


def commit_of_sources() -> str:
    """The commit of the sources, "+" behind it where they have changed since; empty outside a checkout."""
    root = Path(__file__).parent.parent
    try:
        found = subprocess.run(
            ("git", "describe", "--always", "--dirty=+", f"--abbrev={_COMMIT_CHARACTERS}", "--exclude=*"),
            cwd=root, capture_output=True, text=True, check=True, timeout=10.0,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
