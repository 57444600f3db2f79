"""The result store: rows stay, sets are apart, a broken file is bad input."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from eval.store import EpisodeSet, Run, Store
from scenarios.errors import InputError


def fill(path: Path, first: int) -> None:
    store = Store(path)
    for seed in range(first, first + 20):
        store.add("a", seed, {"seed": seed})


def test_rows_are_kept_by_set_and_seed(tmp_path: Path):
    store = Store(tmp_path / "deep" / "results.sqlite")
    store.open_set(EpisodeSet(key="a", suite="smoke", driver="rules", provenance={"product": "1"}))
    store.add("a", 3, {"seed": 3, "value": None, "ok": True})
    store.add("b", 3, {"seed": 3, "value": 2.5})
    store.add("a", 3, {"seed": 3, "value": 9.0})  # the first one stays
    assert Store(tmp_path / "deep" / "results.sqlite").rows("a", range(10)) == {3: {"seed": 3, "value": None, "ok": True}}
    assert store.rows("a", [4]) == {}


def test_several_processes_write_at_once(tmp_path: Path):
    path = tmp_path / "results.sqlite"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=fill, args=(path, first)) for first in (0, 10, 20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(Store(path).rows("a", range(100))) == list(range(40))


def test_a_file_that_is_no_store_is_bad_input(tmp_path: Path):
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be looked at " * 50)
    with pytest.raises(InputError, match=r"text\.sqlite"):
        Store(tmp_path / "text.sqlite")


def a_run(name: str = "", seeds: tuple[int, ...] = (0, 1, 2, 7), key: str = "a") -> Run:
    return Run(name=name, suite="smoke", sensing="state", sets={"rules": key}, seeds=seeds, provenance={"product": "1"})


def test_runs_get_names_and_are_found_again(tmp_path: Path):
    store = Store(tmp_path / "results.sqlite")
    first = store.open_run(a_run())
    assert (first.name, first.seeds, dict(first.sets)) == ("smoke-1", (0, 1, 2, 7), {"rules": "a"})
    assert first.made
    assert store.open_run(a_run()).name == "smoke-1", "the same again is the same run"
    assert store.open_run(a_run(key="b")).name == "smoke-2"
    assert store.open_run(a_run("nightly")).name == "nightly", "unless another name is asked for"
    assert store.open_run(a_run("nightly")).name == "nightly"
    with pytest.raises(InputError, match="its seeds are others"):
        store.open_run(a_run("nightly", seeds=(3,)))
    with pytest.raises(InputError, match="code is of another version"):
        store.open_run(a_run("nightly", key="c"))
    with pytest.raises(InputError, match="cannot be called"):
        store.open_run(a_run("a:b"))
    assert [run.name for run in store.runs()] == ["smoke-1", "smoke-2", "nightly"]
    store.add("a", 2, {"seed": 2})
    store.add("a", 9, {"seed": 9})
    assert store.finished(first) == 1


def test_a_store_of_a_newer_version_is_told(tmp_path: Path):
    path = tmp_path / "results.sqlite"
    Store(path).add("a", 3, {"seed": 3})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(InputError, match=r"newer version of avstack: format 7.*Upgrade"):
        Store(path)


def test_a_store_without_runs_of_an_older_version_is_taken_over(tmp_path: Path):
    path = tmp_path / "results.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE episodes (key TEXT, seed INTEGER, result TEXT, PRIMARY KEY (key, seed)) WITHOUT ROWID")
        connection.execute("INSERT INTO episodes VALUES ('a', 3, '{\"seed\": 3}')")
    store = Store(path)
    assert store.rows("a", [3]) == {3: {"seed": 3}}
    assert store.finished(store.open_run(a_run(seeds=(3,)))) == 1


def test_a_full_disk_loses_nothing_that_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "results.sqlite"
    store = Store(path)
    connect = sqlite3.connect

    def cramped(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 30")
        return connection

    monkeypatch.setattr(sqlite3, "connect", cramped)
    kept: list[int] = []

    def fill_up() -> None:
        for seed in range(1000):
            store.add("a", seed, {"seed": seed, "text": "x" * 500})
            kept.append(seed)

    with pytest.raises(InputError, match=r"full.*Make room"):
        fill_up()
    monkeypatch.undo()
    assert sorted(store.rows("a", range(1000))) == kept
    assert kept


_WRITER = """
import sys
from pathlib import Path
from eval.store import Store
store = Store(Path(sys.argv[1]))
for seed in range(10**6):
    store.add(sys.argv[2], seed, {"seed": seed, "text": "x" * 2000})
    print(seed, flush=True)
"""


def test_killed_writers_lose_nothing_that_was_finished(tmp_path: Path):
    path = tmp_path / "results.sqlite"
    for wait in (0.11, 0.23, 0.05):
        writers = [
            subprocess.Popen([sys.executable, "-c", _WRITER, str(path), key], stdout=subprocess.PIPE, text=True) for key in "ab"
        ]
        said = {}
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()  # both are at it
        time.sleep(wait)
        for writer in writers:
            writer.kill()
        for key, writer in zip("ab", writers, strict=True):
            said[key] = writer.communicate()[0].split()
        store = Store(path)
        for key, seeds in said.items():
            there = store.rows(key, range(10**6))
            assert {int(seed) for seed in seeds} <= there.keys()
            assert all(row["seed"] == seed for seed, row in there.items())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
