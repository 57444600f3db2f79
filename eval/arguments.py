"""What is typed for seeds and processes, read."""

from __future__ import annotations

import click

from scenarios.errors import InputError

Workers = int | str | None
"""Where jobs run: in so many processes; on the Ray cluster at an address ("ray:ADDRESS"); None: as many as there are cores."""
RAY = "ray:"

COMMIT_SEEDS = "commit:"
REPORTING_SEED = 1_000_000
"""Smaller seeds are for tuning."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds of "3", "0..99", "1,5,7" or a mixture, each once and in the order given. Raises InputError."""
    fix = "Write 3, 0..99 or 1,5,7"
    seeds: dict[int, None] = {}
    for part in text.split(","):
        low, dots, high = part.strip().partition("..")
        if not _is_count(low) or (dots and not _is_count(high)):
            raise InputError(f"cannot read seeds {text!r}", fix=fix)
        first, last = int(low), int(high or low)
        if last < first:
            raise InputError(f"seeds {part.strip()!r} run backwards", fix=fix)
        if last >= 2**63 or last - first >= 10_000_000:
            raise InputError(f"seeds {part.strip()!r} are too many or too large", fix="Use at most 10 million seeds below 2^63")
        seeds.update(dict.fromkeys(range(first, last + 1)))
    return tuple(seeds)


def suite_seeds(text: str) -> tuple[int, ...]:
    """Seeds as numbers, or as many as follow from the last commit. Raises InputError."""
    return commit_seeds(text) if text.startswith(COMMIT_SEEDS) else parse_seeds(text)


def commit_seeds(text: str) -> tuple[int, ...]:
    """So many seeds for a report, that nobody could have tuned on: they follow from the hash of the last commit.

    Raises InputError where the working folder is no git checkout, or has changes that are not committed.
    """
    count = text.removeprefix(COMMIT_SEEDS)
    if not _is_count(count) or not 1 <= int(count) <= 1_000_000:
        raise InputError(f"cannot read seeds {text!r}", fix="Write commit:300, for example")
    import subprocess

    def git(*arguments: str) -> str:
        return subprocess.run(("git", *arguments), capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed, commit = git("status", "--porcelain", "--untracked-files=no"), git("rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"seeds {text!r} need a git checkout: {error}", fix="Give the seeds as numbers") from None
    if changed:
        raise InputError(f"seeds {text!r} need a clean checkout", fix="Commit your changes, or give the seeds as numbers")
    first = REPORTING_SEED + int(commit[:8], 16)
    click.echo(f"seeds {first}..{first + int(count) - 1}, from commit {commit[:12]}", err=True)
    return tuple(range(first, first + int(count)))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit()


def parse_workers(text: str) -> Workers:
    """Number of processes, None for "auto", or a Ray cluster: "ray" or "ray:ADDRESS". Raises InputError."""
    if text == "auto":
        return None
    if text.startswith("ray"):
        address = RAY if text == "ray" else text
        if not address.startswith(RAY):
            raise InputError(f"cannot read workers {text!r}", fix="Use ray, or ray:HOST:PORT")
        return address
    if not _is_count(text) or not 1 <= int(text) <= 1024:
        raise InputError(
            f"workers must be 'auto', 'ray', 'ray:ADDRESS' or a whole number from 1 to 1024, got {text!r}",
            fix="Use --workers 2, for example",
        )
    return int(text)


def check_time_limit(seconds: float | None) -> None:
    """InputError unless it is a time, or there is none."""
    if seconds is not None and not 0.0 < seconds < 1e9:
        raise InputError(
            f"the time limit must be a positive number of seconds, got {seconds!r}", fix="Use --time-limit 60, for example"
        )
