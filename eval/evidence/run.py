"""The whole evidence, part by part, in pieces: what is finished stays, what was cut short goes on where it stopped.

A folder holds the evidence on one commit: `evidence.json` says of which commit and seeds it is, each finished part leaves
NAME.json, and the store beside them keeps the episodes of the one that is under way. Every part runs in a process of its own;
when a piece's time is up it is told so as by Ctrl-C, and keeps what it has.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from eval.arguments import Workers
from eval.configuration import product_hash
from eval.errors import ExitCode
from eval.evidence.plan import Part, parts_of
from eval.evidence.table import evidence_table
from eval.outputs import check_folder, write_json, write_text
from eval.runs import commit_of_sources
from eval.tables import render
from scenarios.errors import InputError

HELD = "evidence.json"
"""File in which a folder says what it is the evidence of."""
GRACE_S = 120.0
"""What a part may take to put its episodes away once its time is up."""
GOOD = (ExitCode.OK, ExitCode.DRIVER_CRASHED)
"""Ends of a command that has a result: episodes in which a driver crashed are in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for. first_seed: of every part; share: of the episodes; hours: how long this piece may take, None: to the
    end; tuning: without anything that is held out."""

    folder: Path
    first_seed: int
    share: float = 1.0
    hours: float | None = None
    workers: Workers = None
    parts: tuple[str, ...] = ()
    tuning: bool = False


def gather(order: Order) -> ExitCode:
    """Run what is missing, as long as there is time, and print the table of what there is.

    Raises InputError: a share or time out of range, an unknown part, a folder that holds other evidence or cannot be written to.
    """
    if not 0.0 < order.share <= 1.0:
        raise InputError(f"the share of the episodes must be above 0 and at most 1, got {order.share!r}", fix="Use --share 0.1")
    if order.hours is not None and not order.hours >= 0.0:
        raise InputError(f"the time for this piece must be 0 h or more, got {order.hours!r}", fix="Use --hours 2")
    chosen = parts_of(order.parts, tuning=order.tuning)
    _claim(order)
    until = None if order.hours is None else time.monotonic() + 3600.0 * order.hours
    results: dict[str, object] = {}
    left: list[str] = []
    failed: list[str] = []
    for part in chosen:
        place = order.folder / f"{part.name}.json"
        if place.is_file():
            code = ExitCode.OK
        else:
            code = ExitCode.INTERRUPTED if left else _run(part, order, place, until)
        if code is ExitCode.INTERRUPTED:
            left.append(part.name)
        elif place.is_file():
            results[part.name] = json.loads(place.read_text())
        else:
            failed.append(part.name)
    click.echo(render(evidence_table(results)).rstrip("\n"))
    for names, word in ((failed, "failed"), (left, "not finished; the same command goes on")):
        if names:
            click.echo(f"{word}: {', '.join(names)}", err=True)
    return ExitCode.INTERRUPTED if left else ExitCode.CRITERIA_FAILED if failed else ExitCode.OK


def write_page(folder: Path, page: Path) -> ExitCode:
    """Write what a folder holds as a page in Markdown; nothing is run.

    Raises InputError: a folder without evidence, a page that cannot be written.
    """
    from eval.evidence.page import evidence_page, read_results

    if page.is_dir():
        raise InputError(f"the page {str(page)!r} is a folder", fix="Name a file")
    check_folder(page.parent, "the page")
    file = folder / HELD
    if not file.is_file():
        raise InputError("there is no evidence in this folder", file=str(folder), fix="Run avstack evidence --out with it first")
    write_text(page, evidence_page(_held(file), *read_results(folder)))
    click.echo(f"wrote {page}", err=True)
    return ExitCode.OK


def frozen_seed(folder: Path) -> int | None:
    """First seed of the evidence that a folder holds, None for a new one. InputError where what is there cannot be read."""
    file = folder / HELD
    return int(_held(file)["first_seed"]) if file.is_file() else None


def _held(file: Path) -> dict[str, Any]:
    """What a folder says of the evidence in it."""
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        int(held["first_seed"])
    except (ValueError, KeyError, TypeError):
        raise InputError("this does not say what it is the evidence of", file=str(file), fix="Remove it, or use --out") from None
    return dict(held)


def _claim(order: Order) -> None:
    """Note in the folder what it is the evidence of, or check that it is the same."""
    check_folder(order.folder, "the evidence")
    order.folder.mkdir(parents=True, exist_ok=True)
    mine: Mapping[str, object] = {
        "first_seed": order.first_seed, "share": order.share, "tuning": order.tuning, "product": product_hash(),
    }  # fmt: skip
    file = order.folder / HELD
    if not file.is_file():
        write_json(file, {**mine, "commit": commit_of_sources()})
        return
    held = _held(file)
    other = [name for name in mine if held.get(name) != mine[name]]
    if other:
        raise InputError(f"the folder holds other evidence: its {other[0]} is not this one's", file=str(file), fix="Use --out")


def _run(part: Part, order: Order, place: Path, until: float | None) -> ExitCode:
    """Run one part into `place`; INTERRUPTED where there was no time left, or it was cut short."""
    if until is not None and time.monotonic() >= until:
        return ExitCode.INTERRUPTED
    arguments = part.arguments(order.first_seed, order.share, tuning=order.tuning)
    click.echo(f"{part.name}: avstack {' '.join(arguments)}", err=True)
    if part.seeded:
        arguments += ["--store", str(order.folder / "episodes.sqlite")]
        arguments += ["--workers", "auto" if order.workers is None else str(order.workers)]
    unfinished = place.with_suffix(".part")
    with unfinished.open("wb") as out:
        command = [sys.executable, "-m", "eval.cli", *arguments, "--json"]
        # a shell's background jobs are born deaf to Ctrl-C
        process = subprocess.Popen(command, stdout=out, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        code = _wait(process, until)
    if code in GOOD:
        unfinished.replace(place)
        return ExitCode.OK
    unfinished.unlink()
    return ExitCode.INTERRUPTED if code == ExitCode.INTERRUPTED else ExitCode.CRITERIA_FAILED


def _wait(process: subprocess.Popen[bytes], until: float | None) -> int:
    """The process's exit code; at `until` it is asked to put its episodes away, as by Ctrl-C."""
    try:
        return process.wait(None if until is None else max(until - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pass  # it has had the same Ctrl-C
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return ExitCode.INTERRUPTED
