"""The result store: rows stay, sets are apart, a broken file is bad input."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from eval.store import EpisodeSet, Store
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
