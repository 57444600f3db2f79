"""The pytest plugin, in pytest itself: what it collects, what JUnit and people are told, with xdist, and nothing where there is
nothing to collect."""

from __future__ import annotations

import importlib.metadata
import os
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from eval.run import EpisodeResult, Job, run_episode

pytest_plugins = ("pytester",)

CROSSING = """
version: 1
name: crossing
tags: [quick]
map: {builder: four_way, parameters: {control: all_way}}
ego:
  at: {approach: south, before_stop: {uniform: [8.0, 9.0]}}
  to: {turn: straight}
  speed: 4.0
duration_s: 40
criteria: {no_collision: true, max_time_s: MAX}
"""
DRIVERS = """
import time
from sim.interface import Control, DriverStep


class Raises:
    def start(self, road_map, route, spec, seed):
        return 0

    def step(self, frame, memory):
        if memory == 5:
            raise KeyError("lost my way")
        return DriverStep(control=Control(), memory=memory + 1)


class Hangs(Raises):
    def step(self, frame, memory):
        while memory == 2:
            time.sleep(0.01)
        return DriverStep(control=Control(), memory=memory + 1)
"""


CACHE = os.environ.get("AVSTACK_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
"""Where kernels are: pytester gives tests a home of their own, in which they would be compiled anew."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[int, EpisodeResult]:
    """What `run_episode` makes of two seeds; before pytester, which takes away again what is imported after it."""
    path = tmp_path_factory.mktemp("ran") / "crossing.scenario.yaml"
    path.write_text(CROSSING.replace("MAX", "39.0"))
    return {seed: run_episode(Job(target=str(path), seed=seed)) for seed in (0, 3)}


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What loads it where the checkout is not installed."""
    monkeypatch.setenv("AVSTACK_CACHE_DIR", CACHE)
    installed = any(entry.name == "avstack" for entry in importlib.metadata.entry_points(group="pytest11"))
    return [] if installed else ["-p", "eval.pytest_plugin"]


@pytest.fixture
def scenario(pytester: pytest.Pytester) -> Path:
    pytester.makeini("[pytest]\n")
    return write(pytester, "crossing")


def write(pytester: pytest.Pytester, name: str, most: float = 39.0) -> Path:
    path = pytester.path / f"{name}.scenario.yaml"
    path.write_text(CROSSING.replace("MAX", str(most)))
    return path


def properties(pytester: pytest.Pytester) -> dict[str, dict[str, str]]:
    """Properties by test of the JUnit file."""
    cases = ElementTree.parse(pytester.path / "junit.xml").getroot().iter("testcase")
    return {
        str(case.get("name")): {str(one.get("name")): str(one.get("value")) for one in case.iter("property")} for case in cases
    }


def test_one_test_a_seed_with_figures_in_junit(
    ran: dict[int, EpisodeResult], pytester: pytest.Pytester, plugin: list[str], scenario: Path
):
    result = pytester.runpytest_subprocess(*plugin, "-v", "--avstack-seeds", "3,5", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*crossing.scenario.yaml::seed-3 PASSED*", "*crossing.scenario.yaml::seed-5 PASSED*"])
    found = properties(pytester)
    assert found.keys() == {"seed-3", "seed-5"}
    assert found["seed-3"]["trace_hash"] == ran[3].trace_hash
    assert found["seed-3"]["trace_hash"] != found["seed-5"]["trace_hash"]
    assert found["seed-3"]["ending"] == "passed"
    assert float(found["seed-3"]["time_s"]) == ran[3].time_s
    assert float(found["seed-3"]["max_decel"]) > 0.5, "figures that need no reference are there"


def test_a_failure_says_what_and_how_to_see_it_again(pytester: pytest.Pytester, plugin: list[str]):
    pytester.makeini("[pytest]\navstack_seeds = 4\navstack_driver = rules\navstack_out = kept\n")
    write(pytester, "slow", most=2.0)
    result = pytester.runpytest_subprocess(*plugin, "--junitxml", "junit.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*slow.scenario.yaml, seed 4: took * s", "*goal reached after * s*trace*", "*recording: kept/crossing-4.arrow",
            "*again: avstack run slow.scenario.yaml --seeds 4 --driver rules",
            "*watch: avstack view slow.scenario.yaml --seed 4 --driver rules",
        ]
    )  # fmt: skip
    result.stdout.no_fnmatch_line("*Traceback*")
    assert properties(pytester)["seed-4"]["ending"] == "failed"
    assert (pytester.path / "kept" / "crossing-4.arrow").is_file()


@pytest.mark.parametrize(
    ("driver", "said", "ending"),
    [("Raises", "*KeyError*lost my way*", "crashed"), ("Hangs", "*wall-clock*", "time_limit")],
)
def test_a_driver_that_raises_or_hangs_fails_its_test(
    pytester: pytest.Pytester, plugin: list[str], scenario: Path, driver: str, said: str, ending: str
):
    (pytester.path / "mine.py").write_text(DRIVERS)
    arguments = ("--avstack-driver", f"mine.py:{driver}", "--avstack-seeds", "0", "--avstack-time-limit", "3")
    result = pytester.runpytest_subprocess(*plugin, *arguments, "--junitxml", "junit.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])
    assert properties(pytester)["seed-0"]["ending"] == ending


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--avstack-driver", "jiont"), "*did you mean 'joint'*"),
        (("--avstack-sensing", "eyes"), "*sensing level 'eyes' is unknown*"),
        (("--avstack-seeds", "9..1"), "*run backwards*"),
        (("--avstack-time-limit", "soon"), "*time limit must be a positive number*"),
    ],
)
def test_options_that_make_no_sense_are_errors(
    pytester: pytest.Pytester, plugin: list[str], scenario: Path, arguments: tuple[str, ...], said: str
):
    result = pytester.runpytest_subprocess(*plugin, *arguments)
    result.assert_outcomes(errors=1)
    output = result.stdout.str().lower()
    assert said.strip("*").lower() in output


def test_a_broken_file_is_told_with_its_place(pytester: pytest.Pytester, plugin: list[str], scenario: Path):
    text = scenario.read_text()
    scenario.write_text(text.replace("speed: 4.0", "spede: 4.0"))
    result = pytester.runpytest_subprocess(*plugin)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*crossing.scenario.yaml:9:*spede*"])


def test_tests_are_chosen_by_name_and_by_tag(pytester: pytest.Pytester, plugin: list[str], scenario: Path):
    pytester.runpytest_subprocess(*plugin, "--collect-only", "-q", "-k", "quick").stdout.fnmatch_lines(
        ["*::seed-0", "*::seed-4", "*5 tests*"]
    )
    pytester.runpytest_subprocess(*plugin, "--collect-only", "-q", "-k", "other").stdout.fnmatch_lines(["*5 deselected*"])


def test_it_works_with_xdist(ran: dict[int, EpisodeResult], pytester: pytest.Pytester, plugin: list[str], scenario: Path):
    pytest.importorskip("xdist")
    result = pytester.runpytest_subprocess(*plugin, "-n", "2", "--avstack-seeds", "0..1", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=2)
    found = properties(pytester)
    assert found["seed-0"]["trace_hash"] == ran[0].trace_hash


def test_it_does_nothing_where_there_is_no_scenario(pytester: pytest.Pytester, plugin: list[str]):
    pytester.makepyfile(
        """
        import sys

        def test_nothing_of_ours_is_imported():
            ours = [name for name in sys.modules if name.partition(".")[0] in ("sim", "scenarios", "avstack", "numba")]
            assert ours == []
            assert [name for name in sys.modules if name.startswith("eval.")] == ["eval.pytest_plugin"]
        """
    )
    (pytester.path / "plain.yaml").write_text(CROSSING)
    result = pytester.runpytest_subprocess(*plugin)
    result.assert_outcomes(passed=1)


def test_the_entry_point_names_it():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["entry-points"]["pytest11"] == {"avstack": "eval.pytest_plugin"}
