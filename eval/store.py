"""Results of evaluations in one SQLite file: every finished episode is there for good, and nobody waits for anybody.

A set of episodes is known by its key: suite, driver, sensing level, other options and a hash of the product's code. An evaluation
that is asked for again takes what is there; one that was killed goes on where it stopped. Several processes may write at a time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from scenarios.errors import InputError

Value = float | int | str | bool | None
Row = Mapping[str, Value]

_TABLES = """
CREATE TABLE IF NOT EXISTS sets
    (key TEXT PRIMARY KEY, suite TEXT, driver TEXT, made TEXT DEFAULT CURRENT_TIMESTAMP, provenance TEXT);
CREATE TABLE IF NOT EXISTS episodes (key TEXT, seed INTEGER, result TEXT, PRIMARY KEY (key, seed)) WITHOUT ROWID;
"""
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSet:
    """What a set of episodes has in common. provenance: versions, machine, options."""

    key: str
    suite: str
    driver: str
    provenance: Mapping[str, Value]


class Store:
    """Rows of finished episodes by set and seed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as connection, connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                f"cannot use the result store: {error}", file=str(path), fix="Name another file with --store"
            ) from None

    def open_set(self, episodes: EpisodeSet) -> None:
        """Note a set, if it is new."""
        with closing(self._connect()) as connection, connection:
            connection.execute(
                "INSERT OR IGNORE INTO sets (key, suite, driver, provenance) VALUES (?, ?, ?, ?)",
                (episodes.key, episodes.suite, episodes.driver, json.dumps(dict(episodes.provenance))),
            )

    def add(self, key: str, seed: int, row: Row) -> None:
        """Keep one finished episode; it is on disk when this returns. The first of several equal ones stays."""
        with closing(self._connect()) as connection, connection:
            connection.execute("INSERT OR IGNORE INTO episodes VALUES (?, ?, ?)", (key, seed, json.dumps(dict(row))))

    def rows(self, key: str, seeds: Iterable[int]) -> dict[int, Row]:
        """The finished ones of these seeds."""
        wanted = set(seeds)
        with closing(self._connect()) as connection:
            found = connection.execute("SELECT seed, result FROM episodes WHERE key = ?", (key,)).fetchall()
        return {seed: json.loads(result) for seed, result in sorted(found) if seed in wanted}

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_PATIENCE_S)
