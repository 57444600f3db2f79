"""Opponents by drivers: every driver among nothing but one kind of opponent, and which pair comes off worst."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import click
from rich.table import Table

from eval import heldout
from eval.errors import ExitCode
from eval.evaluate import Request, collect
from eval.figures import figures
from eval.store import Row
from eval.suites import OPPONENTS
from eval.tables import figure_cell, render_all

TRAFFIC = "traffic"
SHOWN = ("at_fault", "collisions", "deadlocks", "rescues_per_1000", "order_violation_rate", "close_call", "ego_delay_s")
WORST_BY = ("at_fault", "collisions", "deadlocks", "close_call")
"""What makes a pair the worst, in this order; then ego's delay."""


def opponents(*, held_out: bool) -> dict[str, str]:
    """Opponent -> the suite in which everybody else is one."""
    chosen = [name for name in OPPONENTS if held_out or name not in heldout.DRIVERS]
    return {TRAFFIC: "chicken_negotiator", **{name: f"against_{name}" for name in chosen}}


def matrix(request: Request, *, held_out: bool, as_json: bool) -> ExitCode:
    """Drive what the store does not have yet, and report. Raises InputError as `evaluate` does."""
    cells: dict[str, dict[str, Mapping[str, object]]] = {}
    interrupted = False
    for opponent, suite in opponents(held_out=held_out).items():
        if interrupted:
            break
        rows, interrupted = collect(replace(request, suite=suite, regret=False))
        cells[opponent] = {name: _cell(found) for name, found in rows.items()}
    report = {"sensing": request.sensing, "opponents": cells, "worst": worst(cells)}
    click.echo(json.dumps(report) if as_json else matrix_text(report))
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


def worst(cells: Mapping[str, Mapping[str, Mapping[str, object]]]) -> dict[str, str]:
    """For each driver the opponent that it does worst against: most at-fault collisions, then collisions, deadlocks, ..."""
    drivers = dict.fromkeys(name for row in cells.values() for name in row)
    ranked = {name: sorted(cells, key=functools.partial(_badness, cells, name)) for name in drivers}
    return {name: order[-1] for name, order in ranked.items()}


def _badness(cells: Mapping[str, Mapping[str, Mapping[str, object]]], driver: str, opponent: str) -> tuple[float, ...]:
    cell = cells[opponent].get(driver, {})
    shares = [figure["rate"] if isinstance(figure := cell.get(name), Mapping) else 0.0 for name in WORST_BY]
    delay = cell.get("ego_delay_s")
    return (*(float(share) for share in shares), float(delay["value"]) if isinstance(delay, Mapping) else 0.0)


def _cell(rows: Sequence[Row]) -> Mapping[str, object]:
    found = figures(rows)
    return {"episodes": found["episodes"], **{name: found[name] for name in SHOWN}}


def matrix_text(report: Mapping[str, object]) -> str:
    """The report for a terminal."""
    return f"{render_all(matrix_tables(report))}\n{worst_line(report)}"


def worst_line(report: Mapping[str, object]) -> str:
    """Whom each driver does worst against."""
    bad = report["worst"]
    assert isinstance(bad, dict)
    return "worst: " + ", ".join(f"{name} against {opponent}" for name, opponent in bad.items())


def matrix_tables(report: Mapping[str, object]) -> list[Table]:
    """One table a figure, opponents down, drivers across."""
    cells, bad = report["opponents"], report["worst"]
    assert isinstance(cells, dict)
    assert isinstance(bad, dict)
    tables = []
    for figure in SHOWN:
        table = Table(title=figure.replace("_", " "), title_justify="left")
        table.add_column("everybody else")
        for name in bad:
            table.add_column(name, justify="right")
        for opponent, row in cells.items():
            table.add_row(opponent, *(figure_cell(row[name][figure]) if name in row else "-" for name in bad))
        tables.append(table)
    return tables
