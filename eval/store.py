"""Results of evaluations in one SQLite file: every finished episode is there for good, and nobody waits for anybody.

A set of episodes is known by its key: suite, driver, sensing level, other options and a hash of the product's code. An evaluation
that is asked for again takes what is there; one that was killed goes on where it stopped. Several processes may write at a time.
A run is what one evaluation asked for: drivers, each with its set, and seeds, under a name; how far it came is counted from the
episodes, so that no process has to live until its end for the run to be told whole.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

from scenarios.errors import InputError
from scenarios.nearest import nearest

Value = float | int | str | bool | None
Row = Mapping[str, Value]

FORMAT = 1
"""Of the file: raised when a version of ours would misread what a later one wrote."""
_TABLES = """
CREATE TABLE IF NOT EXISTS sets
    (key TEXT PRIMARY KEY, suite TEXT, driver TEXT, made TEXT DEFAULT CURRENT_TIMESTAMP, provenance TEXT);
CREATE TABLE IF NOT EXISTS episodes (key TEXT, seed INTEGER, result TEXT, PRIMARY KEY (key, seed)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs
    (name TEXT PRIMARY KEY, made TEXT DEFAULT CURRENT_TIMESTAMP, suite TEXT, sensing TEXT, sets TEXT, seeds TEXT,
     provenance TEXT);
"""
_PATIENCE_S = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_COLUMNS = "name, suite, sensing, sets, seeds, provenance, made"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSet:
    """What a set of episodes has in common. provenance: versions, machine, options."""

    key: str
    suite: str
    driver: str
    provenance: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One evaluation. sets: driver -> key of its episodes; provenance: versions, machine, commit, suite, drivers' code; made:
    when it was first asked for, UTC; name: "" for one that the store is to name."""

    name: str
    suite: str
    sensing: str
    sets: Mapping[str, str]
    seeds: tuple[int, ...]
    provenance: Mapping[str, Value]
    made: str = ""


class Store:
    """Rows of finished episodes by set and seed, and runs by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot use the result store: {error}", file=str(path), fix=_OTHER) from None
        with self._open() as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > FORMAT:
                raise InputError(
                    f"the result store is of a newer version of avstack: format {version}, and this one knows up to {FORMAT}",
                    file=str(path),
                    fix="Upgrade avstack-sim, or name another file with --store",
                )
            if version < FORMAT:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")

    @classmethod
    def existing(cls, path: Path) -> Store:
        """The store in a file that there is. Raises InputError where there is none."""
        if not path.is_file():
            raise InputError("there is no result store", file=str(path), fix="Run avstack eval first, or name one with --store")
        return cls(path)

    def open_set(self, episodes: EpisodeSet) -> None:
        """Note a set, if it is new."""
        with self._open() as connection, connection:
            connection.execute(
                "INSERT OR IGNORE INTO sets (key, suite, driver, provenance) VALUES (?, ?, ?, ?)",
                (episodes.key, episodes.suite, episodes.driver, json.dumps(dict(episodes.provenance))),
            )

    def add(self, key: str, seed: int, row: Row) -> None:
        """Keep one finished episode; it is on disk when this returns. The first of several equal ones stays."""
        with self._open() as connection, connection:
            connection.execute("INSERT OR IGNORE INTO episodes VALUES (?, ?, ?)", (key, seed, json.dumps(dict(row))))

    def rows(self, key: str, seeds: Iterable[int]) -> dict[int, Row]:
        """The finished ones of these seeds."""
        wanted = set(seeds)
        with self._open() as connection:
            found = connection.execute("SELECT seed, result FROM episodes WHERE key = ?", (key,)).fetchall()
        return {seed: json.loads(result) for seed, result in sorted(found) if seed in wanted}

    def finished(self, run: Run) -> int:
        """How many episodes of a run, all its drivers together, there are."""
        wanted = set(run.seeds)
        with self._open() as connection:
            found = [
                connection.execute("SELECT seed FROM episodes WHERE key = ?", (key,)).fetchall() for key in run.sets.values()
            ]
        return sum(seed in wanted for seeds in found for (seed,) in seeds)

    def open_run(self, run: Run) -> Run:
        """Note a run, under its own name or a free one, `SUITE-NUMBER`; the same sets and seeds again are the same run.

        Raises InputError for a name that cannot be one, or that another run has.
        """
        if run.name and not _NAME.fullmatch(run.name):
            raise InputError(f"a run cannot be called {run.name!r}", fix="Use letters, digits, '.', '_' and '-'")
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            there = [_run(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM runs ORDER BY made, name")]
            for known in there:
                same = dict(known.sets) == dict(run.sets) and known.seeds == run.seeds
                if same and run.name in ("", known.name):
                    return known
                if known.name == run.name:
                    raise InputError(
                        f"run {run.name!r} is another one: its {_difference(known, run)}", file=str(self._path),
                        fix="Choose another name",
                    )  # fmt: skip
            stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(run.suite).stem).lstrip("._-") or "run"
            taken = {known.name for known in there}
            name = run.name or next(free for k in count(1) if (free := f"{stem}-{k}") not in taken)
            values = (
                name,
                run.suite,
                run.sensing,
                json.dumps(dict(run.sets)),
                _spans(run.seeds),
                json.dumps(dict(run.provenance)),
            )
            connection.execute(
                "INSERT INTO runs (name, suite, sensing, sets, seeds, provenance) VALUES (?, ?, ?, ?, ?, ?)", values
            )
            return _run(connection.execute(f"SELECT {_COLUMNS} FROM runs WHERE name = ?", (name,)).fetchone())

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        with self._open() as connection:
            return [_run(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM runs ORDER BY made, rowid")]

    def run(self, name: str) -> Run:
        """The run of a name. Raises InputError."""
        found = {run.name: run for run in self.runs()}
        if name not in found:
            raise InputError(
                f"there is no run {name!r}{nearest(name, tuple(found))}", file=str(self._path), fix="See avstack runs"
            )
        return found[name]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one piece of work. Raises InputError for whatever the file, or a full disk, does not let us do."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_PATIENCE_S)) as connection:
                yield connection
        except sqlite3.Error as error:
            full = "full" in str(error)
            fix = "Make room and give the same command again: what was finished is kept" if full else _OTHER
            raise InputError(f"cannot use the result store: {error}", file=str(self._path), fix=fix) from None


_OTHER = "Name another file with --store"


def _difference(known: Run, run: Run) -> str:
    if known.suite != run.suite:
        return f"suite is {known.suite}, not {run.suite}"
    if known.sensing != run.sensing:
        return f"sensing level is {known.sensing}, not {run.sensing}"
    if known.sets.keys() != run.sets.keys():
        return f"drivers are {', '.join(known.sets)}, not {', '.join(run.sets)}"
    return "seeds are others" if known.seeds != run.seeds else "code is of another version"


def _run(row: tuple[str, ...]) -> Run:
    name, suite, sensing, sets, seeds, provenance, made = row
    numbers = tuple(seed for first, last in json.loads(seeds) for seed in range(first, last + 1))
    return Run(
        name=name,
        suite=suite,
        sensing=sensing,
        sets=json.loads(sets),
        seeds=numbers,
        provenance=json.loads(provenance),
        made=made,
    )


def _spans(seeds: tuple[int, ...]) -> str:
    """Seeds in their order, as JSON of spans: [[0, 99], [7, 7]]."""
    cuts = [0, *(k + 1 for k, (one, other) in enumerate(pairwise(seeds)) if other != one + 1), len(seeds)]
    return json.dumps([[seeds[first], seeds[last - 1]] for first, last in pairwise(cuts)])
