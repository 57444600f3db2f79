"""A set of OpenSCENARIO files driven by somebody and by UN R157's competent driver: who avoids what.

A case is preventable where the competent driver has no collision. Score: share of the preventable cases in which the driver has
none either.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from eval.arguments import Workers
from eval.executors import choose_executor
from eval.run import EpisodeResult, Job, run_episode
from eval.statistics import clopper_pearson
from scenarios.errors import InputError

COMPETENT = "competent"


class AlksRow(TypedDict):
    """Episodes of one file: how many, in how many the driver and the competent driver collided, and how many were preventable
    and avoided."""

    file: str
    episodes: int
    collisions: int
    at_fault: int
    competent_collisions: int
    preventable: int
    avoided: int
    failed: int


def run_bench(folder: Path, driver: str, seeds: Sequence[int], sensing: str, workers: Workers) -> list[AlksRow]:
    """One row for each .xosc file in a folder. InputError for an empty folder, and for a file that cannot be run."""
    files = sorted(folder.glob("*.xosc"))
    if not files:
        raise InputError(f"no .xosc file in {str(folder)!r}", fix="Give the folder of the scenarios")
    jobs = [
        Job(target=str(file), seed=seed, driver=who, sensing=sensing)
        for file in files for seed in seeds for who in (driver, COMPETENT)
    ]  # fmt: skip
    found: dict[Job, EpisodeResult] = {}
    for done in choose_executor(workers, len(jobs)).run(run_episode, jobs):
        if done.result is None:
            raise InputError(f"{done.job.target}, seed {done.job.seed}: its process died: {done.failure}")
        found[done.job] = done.result
    rows = []
    for file in files:
        own, competent = (
            [found[job] for job in jobs if (job.target, job.driver) == (str(file), who)] for who in (driver, COMPETENT)
        )
        rows.append(_row(file, own, competent))
    return rows


def _row(file: Path, own: Sequence[EpisodeResult], competent: Sequence[EpisodeResult]) -> AlksRow:
    pairs = list(zip(own, competent, strict=True))
    preventable = [pair for pair in pairs if pair[1].counts.collisions == 0]
    return AlksRow(
        file=file.stem, episodes=len(pairs), collisions=sum(one.counts.collisions > 0 for one in own),
        at_fault=sum(one.counts.at_fault > 0 for one in own),
        competent_collisions=len(pairs) - len(preventable), preventable=len(preventable),
        avoided=sum(one.counts.collisions == 0 for one, _ in preventable), failed=sum(not one.passed for one in own),
    )  # fmt: skip


def format_bench(rows: Sequence[AlksRow], driver: str) -> str:
    """A table and the score."""
    head = f"{'scenario':<58} {'runs':>5} {driver[:12]:>12} {'competent':>10} {'preventable':>12} {'avoided':>8}"
    lines = [head]
    lines += [
        f"{row['file'][:58]:<58} {row['episodes']:>5} {row['collisions']:>12} {row['competent_collisions']:>10} "
        f"{row['preventable']:>12} {row['avoided']:>8}"
        for row in rows
    ]
    preventable, avoided = sum(row["preventable"] for row in rows), sum(row["avoided"] for row in rows)
    rate = clopper_pearson(avoided, preventable)
    lines.append(
        f"avoided {avoided} of {preventable} preventable cases: {rate.rate:.2%} (95 %: {rate.low:.2%} to {rate.high:.2%})"
    )
    return "\n".join(lines)
