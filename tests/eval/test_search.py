"""Search for failures: it comes closer than chance does, what it saves is plain and fails again, and nonsense is told."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from eval.cli import program
from eval.configuration import configuration
from eval.errors import ExitCode
from eval.trials import Trial, drive_trial
from eval.variation import Space, Variation, ordinary_values, plainer
from scenarios.errors import InputError
from scenarios.resolve import resolve
from scenarios.schema import check, load
from tests.eval.test_gate import call

BLIND = """
from sim.interface import Control, DriverStep

class Blind:
    '''Keeps its lane at the speed that it came with, whoever is in the way.'''

    def start(self, road_map, route, spec, seed):
        return road_map, route

    def step(self, frame, memory):
        return DriverStep(control=Control(accel=0.0, steer=0.0), memory=memory, trace={})
"""
CROSSING = """
version: 1
name: crossing
map: {builder: four_way, parameters: {control: none, speed_limit: 12.0, crosswalks: true, arm_length: 200.0}}
ego: {at: {approach: south, before_stop: {uniform: [20.0, 60.0]}}, to: {turn: straight}, speed: {uniform: [4.0, 10.0]}}
traffic:
  users:
    - {name: crosser, at: {approach: east, before_stop: {uniform: [20.0, 180.0]}}, to: {turn: straight}, speed: 8, style: asleep}
    - {name: bystander, at: {approach: west, before_stop: 70.0}, to: {turn: right}, speed: 3.0}
  pedestrians: {count: 1, window_s: [0.0, 5.0]}
duration_s: 25.0
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "blind.py").write_text(BLIND)
    (tmp_path / "crossing.yaml").write_text(CROSSING)
    return tmp_path


def words(place: Path, *more: object, store: str = "results.sqlite") -> list[str]:
    return [*map(str, (
        "search", place / "crossing.yaml", "--driver", f"{place / 'blind.py'}:Blind", "--sensing", "state", "--failure",
        "collision", "--workers", "1", "--json", "--store", place / store, *more,
    ))]  # fmt: skip


def searched(place: Path, *more: object, store: str = "results.sqlite") -> tuple[int, dict[str, Any]]:
    code, text = call(*words(place, *more, store=store))
    return code, json.loads(text)


def test_a_search_finds_more_than_chance(place: Path):
    code, guided = searched(place, "--episodes", "80")
    _, drawn = searched(place, "--episodes", "80", "--random")
    assert code == ExitCode.CRITERIA_FAILED
    assert guided["failures"] > drawn["failures"]
    assert guided["median_margin_m"] < drawn["median_margin_m"]
    assert searched(place, "--episodes", "20") == searched(place, "--episodes", "20", store="other.sqlite"), (
        "all follows from the seed"
    )


def test_a_search_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(place: Path):
    asked = ("--episodes", "60", "--keep", "1", "--out", place / "failures")
    process = subprocess.Popen([sys.executable, "-m", "eval.cli", *words(place, *asked)], stdout=subprocess.PIPE)
    try:
        _wait_for(lambda: driven(place / "results.sqlite") >= 20)
    finally:
        process.kill()
        process.communicate()
    before = driven(place / "results.sqlite")
    assert 20 <= before < 60, "it was killed in the midst"
    again = CliRunner().invoke(program, words(place, *asked), standalone_mode=False)
    assert f"{before} of 60 variations were in" in again.stderr
    resumed = (again.return_value, json.loads(again.stdout))
    assert resumed == searched(place, *asked, store="other.sqlite")
    after = driven(place / "results.sqlite")
    assert searched(place, *asked) == resumed
    assert driven(place / "results.sqlite") == after == driven(place / "other.sqlite"), "nothing is driven twice"
    (place / "blind.py").write_text(BLIND.replace("accel=0.0", "accel=-0.1"))
    configuration.cache_clear()  # of this process; a command has one of its own
    searched(place, "--episodes", "4")
    assert driven(place / "results.sqlite") == after + 4, "another driver starts anew"


def driven(store: Path) -> int:
    """Episodes in a store, whatever they are of."""
    if not store.is_file():
        return 0
    with closing(sqlite3.connect(store)) as connection:
        there = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'episodes'").fetchone()[0]
        return int(connection.execute("SELECT count(*) FROM episodes").fetchone()[0]) if there else 0


def _wait_for(what: Callable[[], bool], patience_s: float = 120.0) -> None:
    until = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def test_what_is_saved_is_plain_and_fails_again(place: Path):
    code, report = searched(place, "--episodes", "40", "--keep", "1", "--out", place / "failures")
    assert code == ExitCode.CRITERIA_FAILED
    (kept,) = report["saved"]
    spec = load(Path(kept["file"]))
    traffic: Any = spec.tree["traffic"]
    assert [user["name"] for user in traffic["users"]] == ["crosser"], "the bystander had nothing to do with it"
    assert "pedestrians" not in traffic
    assert not Space(spec).ranges
    code, text = call(*kept["again"].split()[1:], "--json", "--workers", "1")
    assert code == ExitCode.CRITERIA_FAILED
    assert json.loads(text)["collisions"] == 1
    assert Path(kept["file"]).read_text().splitlines()[1] == f"# {kept['again']}"


def test_variations_stay_within_their_ranges():
    space = Space(resolve("four_way_stop"))
    draws = np.random.default_rng(1)
    variation = space.draw(draws)
    for _ in range(60):
        variation = space.near(variation, draws)
        tree: Any = space.concrete(variation)
        assert 30.0 <= tree["ego"]["at"]["before_stop"] <= 60.0
        assert tree["ego"]["to"]["turn"] in ("straight", "left", "right")
        count = tree["traffic"]["demand"][0]["count"]
        assert isinstance(count, int)
        assert 1 <= count <= 8
    assert not Space(check(space.concrete(variation))).ranges
    same = Variation(values=dict(variation.values) | {("ego", "at", "before_stop"): 31.0}, seed=variation.seed)
    assert same.kind == variation.kind
    assert Variation(values=variation.values, seed=1).kind != Variation(values=variation.values, seed=2).kind


def test_plainer_scenarios_are_valid_and_have_less_in_them():
    space = Space(resolve("four_way_stop"))
    tree = space.concrete(space.draw(np.random.default_rng(3)))
    simpler = list(plainer(tree, ordinary_values(space)))
    assert simpler
    for one in simpler:
        assert one != tree
        check(one)
    assert not list(plainer({"version": 1, "name": "bare"}, {}))


def test_nonsense_is_told(place: Path):
    for more, message in (
        (("four_way_stopp",), "unknown scenario"), (("four_way_stop", "--driver", "jiont"), "unknown driver"),
        (("four_way_stop", "--episodes", "0"), "at least one episode"), (("four_way_stop", "--sensing", "radar"), "level"),
        (("four_way_stop", "--out", place / "blind.py"), "not a folder"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            call("search", "--store", place / "results.sqlite", *more)


def test_what_cannot_be_set_up_is_an_outcome(place: Path):
    """Values that are fine one by one need not go together: the search goes on."""
    tree: Any = Space(load(place / "crossing.yaml")).concrete(
        Variation(values={("ego", "at", "before_stop"): 20.0, ("traffic", "users", 0, "at", "before_stop"): -1.0}, seed=1)
    )
    outcome = drive_trial(Trial(number=0, tree=tree, file=None, seed=1, driver="rules", sensing="state"))
    assert outcome.result is None
    assert "before_stop" in outcome.impossible
