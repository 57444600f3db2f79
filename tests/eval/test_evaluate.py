"""`avstack eval`: paired episodes, kept and taken up again, summed up; bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import eval.evaluate as evaluation
from eval.cli import commit_seeds, execute, program
from eval.evaluate import Job, Request, run_job, summarise
from eval.figures import differences
from eval.store import Row
from eval.suites import LAWFUL, SUITES
from scenarios.errors import InputError
from sim.scenario import Model


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
    rows = [report["drivers"]["rules"]["rows"] for report in (first, second)]  # type: ignore[index]
    assert rows[0] == rows[1][:2]
    assert [row["seed"] for row in rows[1]] == [0, 1, 2]
    assert rows[1][0]["delay"] is not None
    assert rows[1][0]["imposed_delay"] is not None


def test_equal_rows_have_no_difference_and_worse_ones_have():
    row = dict(run_job(Job(suite="merge", seed=1, drivers=("rules",), sensing="state"))["rules"])
    base = [row | {"seed": seed} for seed in range(30)]
    worse = [one | {"collisions": 1, "time_s": float(str(one["time_s"])) + 2.0} for one in base]
    request = Request(suite="merge", drivers=("a",), versus="b", seeds=tuple(range(30)))
    same = differences(base, base)
    assert same["collisions"] == {"more": 0, "less": 0, "p": 1.0}
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
