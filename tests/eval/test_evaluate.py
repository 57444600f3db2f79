"""`avstack eval`: paired episodes, kept and taken up again, summed up; bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import eval.evaluate as evaluation
from eval import executors
from eval.arguments import commit_seeds
from eval.cli import execute, program
from eval.errors import ExitCode
from eval.evaluate import Job, Request, run_job, summarise
from eval.figures import differences
from eval.store import Row, Store
from eval.suites import LAWFUL, SUITES
from scenarios.errors import InputError
from sim.scenario import Model
from sim.traffic.styles import STYLES, draw_style


def command(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(program, ["eval", *arguments, "--json", "--workers", "1"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_an_evaluation_is_kept_and_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = str(tmp_path / "results.sqlite")
    first = command("chicken_negotiator", "--sensing", "state", "--seeds", "0..1", "--store", store)
    ran: list[int] = []

    def noted(job: Job) -> dict[str, Row]:
        ran.append(job.seed)
        return run_job(job)

    monkeypatch.setattr(evaluation, "run_job", noted)
    second = command("chicken_negotiator", "--sensing", "state", "--seeds", "0..2", "--store", store)
    assert ran == [2]
    assert first["run"] == "chicken_negotiator-1"
    assert second["run"] == "chicken_negotiator-2", "other seeds are another run"
    rows = [report["drivers"]["rules"]["rows"] for report in (first, second)]  # type: ignore[index]
    assert rows[0] == rows[1][:2]
    assert [row["seed"] for row in rows[1]] == [0, 1, 2]
    assert rows[1][0]["delay"] is not None
    assert rows[1][0]["imposed_delay"] is not None


_KILLED = ("merge", "--sensing", "state", "--seeds", "0..5", "--workers", "2", "--run", "night", "--json")


def test_a_killed_evaluation_goes_on_and_comes_to_the_same(tmp_path: Path):
    """kill -9 of the whole process group after the second episode; the same command again ends as one that was never killed."""
    path = tmp_path / "killed.sqlite"
    words = [sys.executable, "-m", "eval.cli", "eval", *_KILLED, "--store", str(path)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    finished = 0
    while finished < 2:
        assert process.poll() is None
        time.sleep(0.05)
        finished = Store(path).finished(Store(path).run("night")) if path.is_file() and Store(path).runs() else 0
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = Store(path).finished(Store(path).run("night"))
    assert before >= 2
    whole = command(*_KILLED[:-3], "--run", "night", "--store", str(path))
    assert whole["run"] == "night"
    fresh = command(*_KILLED[:-3], "--run", "other", "--store", str(tmp_path / "fresh.sqlite"))
    hashes = [[row["trace_hash"] for row in report["drivers"]["rules"]["rows"]] for report in (whole, fresh)]  # type: ignore[index]
    assert len(hashes[0]) == 6
    assert hashes[0] == hashes[1]


CONTRACT = (
    "episodes", "completed", "at_fault", "collisions", "rescues", "deadlocks", "livelocks", "order_violation_rate", "excess_time",
    "regret", "fallback_available", "jerk_violations", "decision_ms_p99",
)  # fmt: skip
"""What whoever reads the JSON report may count on, each but the first with an interval."""


def test_the_json_report_keeps_its_contract(tmp_path: Path):
    report = command(
        "chicken_negotiator", "--driver", "joint", "--seeds", "2,3", "--sensing", "state", "--store", str(tmp_path / "r.sqlite")
    )
    figures = report["drivers"]["joint"]  # type: ignore[index]
    assert figures["episodes"] == 2
    for name in CONTRACT[1:]:
        assert {"low", "high"} <= set(figures[name]), name
    assert [row["seed"] for row in figures["rows"]] == [2, 3]
    assert set(report["drivers"]) == {"joint", "privileged"}  # type: ignore[call-overload]
    told = report["drivers"]["privileged"]  # type: ignore[index]
    assert told["regret"]["value"] == 0.0
    expected = sum(one["ego_delay"] - other["ego_delay"] for one, other in zip(figures["rows"], told["rows"], strict=True)) / 2
    assert figures["regret"]["value"] == pytest.approx(expected)
    assert set(figures["by_scenario"]) == {"chicken_stop", "chicken_tie"}
    assert 0.0 < figures["belief_ece"]["value"] < 1.0


def test_regret_is_against_the_same_planner_told(tmp_path: Path):
    asked = ("chicken_negotiator", "--driver", "joint", "--driver", "marginal", "--seeds", "2", "--sensing", "state")
    drivers: Any = command(*asked, "--store", str(tmp_path / "r.sqlite"))["drivers"]
    assert set(drivers) == {"joint", "marginal", "privileged", "privileged_marginal"}
    delay = {name: found["rows"][0]["ego_delay"] for name, found in drivers.items()}
    assert drivers["joint"]["regret"]["value"] == delay["joint"] - delay["privileged"]
    assert drivers["marginal"]["regret"]["value"] == delay["marginal"] - delay["privileged_marginal"]


def test_episodes_of_an_edited_scenario_are_another_set(tmp_path: Path):
    file, rows = tmp_path / "crossing.yaml", []
    asked = [sys.executable, "-m", "eval.cli", "eval", str(file), "--driver", "idm", "--seeds", "0", "--json", "--workers", "1"]
    for limit in (2, 3, 2):
        file.write_text(
            "version: 1\nname: crossing\nmap: {builder: four_way}\nego: {at: {approach: south}, to: {turn: straight}}\n"
            f"duration_s: {limit}\n",
            encoding="utf-8",
        )
        done = subprocess.run([*asked, "--store", str(tmp_path / "r.sqlite")], capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout)["drivers"]["idm"]["rows"][0]["time_s"])
    assert rows == [2.0, 3.0, 2.0]
    assert "1 of 1 episodes are in" in done.stderr, "the first text again is the first set again"


def test_every_suite_gives_an_episode_and_copies_are_of_the_driver(tmp_path: Path):
    for name, suite in SUITES.items():
        if name not in ("chicken_sumo", "real_maps", "real_maps_held_out"):
            assert suite.scenario(1).ego is not None
    near, far = (SUITES["late_car"].scenario(seed).actors[1].s for seed in (0, 1))
    assert near - far == pytest.approx(1.1)
    row = run_job(Job(suite="copies", seed=0, drivers=("single",), sensing="state"))["single"]
    assert row["met"] == "single"
    assert row["imposed_delay"] is None, "without ego the others are not the same either"


def test_scaled_styles_scale_what_drivers_are_like():
    usual, more = (draw_style(name, seed=5, slot=2) for name in ("normal", "normal*1.3"))
    assert more["patience_s"] == pytest.approx(1.3 * usual["patience_s"])
    assert more["speed_factor"] == usual["speed_factor"]
    assert {actor.style for actor in SUITES["chicken_faster"].scenario(0).actors[1:] if actor.model == Model.NEGOTIATOR} <= {
        f"{name}*1.3" for name in STYLES
    }
    with pytest.raises(ValueError, match="unknown style"):
        draw_style("nobody*1.3", seed=5, slot=2)


def test_equal_rows_have_no_difference_and_worse_ones_have():
    row = dict(run_job(Job(suite="merge", seed=1, drivers=("rules",), sensing="state"))["rules"])
    base = [row | {"seed": seed} for seed in range(30)]
    worse = [one | {"collisions": 1, "time_s": float(str(one["time_s"])) + 2.0} for one in base]
    request = Request(suite="merge", drivers=("a",), versus="b", seeds=tuple(range(30)))
    same = differences(base, base)
    assert same["collisions"]["p"] == 1.0  # type: ignore[index]
    assert same["collisions"]["needed"] is None  # type: ignore[index]
    report = summarise(request, {"a": worse, "b": base})
    found = report["differences"]["a"]  # type: ignore[index]
    assert found["collisions"]["more"] == 30
    assert found["collisions"]["p"] < 1e-6
    assert found["time_s"]["value"] == pytest.approx(2.0)


def test_a_suite_is_the_same_for_everybody_and_draws_everybody():
    suite = SUITES["chicken"]
    drawn = {actor.driver or actor.style for seed in range(60) for actor in suite.scenario(seed).actors[1:]}
    assert drawn >= {*suite.others}
    one, again = suite.scenario(5), suite.scenario(5)
    assert [(actor.style, actor.driver) for actor in one.actors] == [(actor.style, actor.driver) for actor in again.actors]
    assert all(actor.model != Model.EXTERNAL for actor in SUITES["chicken_negotiator"].scenario(3).actors[1:])
    assert {actor.style for seed in range(40) for actor in SUITES["chicken_negotiator"].scenario(seed).actors} >= set(LAWFUL)


def test_the_tuning_suite_never_meets_what_is_kept_for_reports():
    held_out = {"level_k", "bluffer", "distracted"}
    assert held_out <= set(SUITES["chicken"].others)
    assert not held_out & set(SUITES["chicken_tuning"].others)


@pytest.mark.parametrize(
    "arguments",
    [("chickn",), ("chicken", "--driver", "nobody"), ("chicken", "--seeds", "commit:none"), ("chicken", "--sensing", "smell")],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert execute(["eval", *arguments, "--store", str(tmp_path / "r.sqlite")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_reporting_seeds_need_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="git checkout"):
        commit_seeds("commit:10")


def test_real_maps_say_what_they_need(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AVSTACK_DATA", raising=False)
    assert execute(["eval", "real-maps", "--store", str(tmp_path / "r.sqlite")]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert "Set AVSTACK_DATA to its folder" in said


def test_a_suite_has_a_level_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def note(request: Request, *, as_json: bool) -> ExitCode:
        asked.append(request)
        return ExitCode.OK

    monkeypatch.setattr("eval.evaluate.evaluate", note)
    for words in (["perception"], ["perception", "--sensing", "state"], ["chicken-tuning"]):
        assert execute(["eval", *words]) == 0
    assert [(one.suite, one.sensing) for one in asked] == [
        ("perception", "lidar"), ("perception", "state"), ("chicken_tuning", "objects")
    ]  # fmt: skip
    assert {SUITES["perception"].scenario(seed).weather for seed in range(40)} == {"clear", "wet", "rain", "snow", "fog"}


@pytest.mark.data
def test_real_maps_are_found_wherever_they_lie_in_the_data(data_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert SUITES["real_maps"].scenario(1).ego is not None
    monkeypatch.setenv("AVSTACK_DATA", str(tmp_path))
    with pytest.raises(InputError, match="there is no opendrive/Town03"):
        SUITES["real_maps"].scenario(2)


HANGING = """
from sim.interface import Control, DriverStep

class Hanging:
    def start(self, road_map, route, spec, seed):
        return seed

    def step(self, frame, memory):
        while memory == 1 and frame.tick > 5:
            pass
        return DriverStep(control=Control(accel=0.0, steer=0.0), memory=memory, trace={})
"""


def test_a_driver_that_hangs_is_ended_and_costs_its_own_episode(tmp_path: Path):
    file = tmp_path / "hanging.py"
    file.write_text(HANGING)
    words = ["eval", "merge", "--driver", f"{file}:Hanging", "--sensing", "state", "--seeds", "0..2", "--workers", "1", "--json"]
    words += ["--store", str(tmp_path / "results.sqlite")]
    result = CliRunner().invoke(program, [*words, "--time-limit", "3"], standalone_mode=False)
    assert result.return_value == 4, result.output
    (found,) = json.loads(result.stdout)["drivers"].values()
    assert [row["ending"] == "time_limit" for row in found["rows"]] == [False, True, False]
    assert execute([*words, "--time-limit", "0"]) == 2


DYING = """
import os
import signal
import time

from sim.interface import Control, DriverStep

class Dying:
    def start(self, road_map, route, spec, seed):
        return seed

    def step(self, frame, memory):
        if memory == 1 and frame.tick > 5:
            os._exit(3)
        if memory == 2 and frame.tick > 5:  # no alarm gets through to this one, as to compiled code that does not return
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            time.sleep(600.0)
        return DriverStep(control=Control(accel=0.0, steer=0.0), memory=memory, trace={})
"""


def test_a_driver_that_takes_its_process_along_costs_nobody_elses_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(executors, "HARD_LIMIT_SLACK_S", 10.0)
    file = tmp_path / "dying.py"
    file.write_text(DYING)
    words = ["eval", "merge", "--driver", "rules", "--driver", f"{file}:Dying", "--sensing", "state", "--seeds", "0..3"]
    words += ["--store", str(tmp_path / "results.sqlite"), "--workers", "2", "--time-limit", "2", "--no-regret", "--json"]
    result = CliRunner().invoke(program, words, standalone_mode=False)
    rules, dying = json.loads(result.stdout)["drivers"].values()
    endings = [row["ending"] for row in dying["rows"]]
    assert endings[1:3] == ["crashed", "time_limit"]
    assert not {endings[0], endings[3]} & {"crashed", "time_limit"}
    assert all(row["completed"] for row in rules["rows"]), "whoever shared its process drove again"
