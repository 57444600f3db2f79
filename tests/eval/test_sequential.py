"""Tests and intervals that hold however often one looks, and evaluations that stop when the verdict is clear."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import eval.evaluate as evaluation
from eval import sequential
from eval.errors import ExitCode
from eval.evaluate import ROUND, Job
from eval.gate import Finding, fails, is_clear, judge
from eval.paired import mean_p
from eval.runs import arm, paired
from eval.store import Row, Run, Store
from eval.suites import suite_of
from scenarios.errors import InputError
from tests.eval.test_gate import call, made_rows, pairs_of

MARGIN = 0.1


def looks(worsening, count=1000):
    """Whether a test at every episode would have alarmed at 5 % at any of them."""
    return sequential.mean_p(worsening[:count], MARGIN) <= 0.05


def test_looking_all_the_time_alarms_no_more_often_than_declared():
    draws = np.random.default_rng(1)
    kinds = {
        "normal": lambda: draws.normal(MARGIN, 1.0, 600),
        "late": lambda: MARGIN + draws.exponential(1.0, 600) - 1.0,
        "early": lambda: MARGIN - draws.exponential(1.0, 600) + 1.0,
        "rare": lambda: MARGIN + np.where(draws.random(600) < 0.1, draws.exponential(1.0, 600), 0.0) - 0.1,
    }
    for name, draw in kinds.items():
        assert np.mean([looks(draw()) for _ in range(200)]) <= 0.05, name
    shares = [
        sequential.share_p((draws.random(600) < 0.05).astype(float) - (draws.random(600) < 0.05), 0.0) <= 0.05 for _ in range(200)
    ]
    assert np.mean(shares) <= 0.05


def test_a_test_for_one_look_alarms_too_often_where_one_looks_all_the_time():
    """The negative control: what the gate uses on finished runs may not be used on the way."""
    draws = np.random.default_rng(2)
    alarms = 0
    for _ in range(60):
        worsening = draws.normal(MARGIN, 1.0, 400)
        alarms += any(mean_p(worsening[:last], MARGIN) <= 0.05 for last in range(20, 401, 20))
    assert alarms / 60 > 0.1


def test_what_is_worse_is_found_and_mostly_early():
    draws = np.random.default_rng(3)
    effects = draws.normal(0.5, 1.0, (100, 600))
    assert np.mean([sequential.mean_p(one, 0.0) <= 0.001 for one in effects]) > 0.97
    assert np.mean([sequential.mean_p(one[:120], 0.0) <= 0.001 for one in effects]) > 0.6
    crashes = (draws.random((50, 300)) < 0.15).astype(float)
    assert np.mean([sequential.share_p(one, 0.002) <= 0.001 for one in crashes]) > 0.95


def test_intervals_hold_at_every_length():
    draws = np.random.default_rng(4)
    missed = 0
    for _ in range(60):
        worsening = draws.normal(0.3, 1.0, 400)
        bounds = [sequential.mean_interval(worsening[:last]) for last in range(50, 401, 50)]
        missed += not all(low <= 0.3 <= high for low, high in bounds)
        assert bounds[-1][1] - bounds[-1][0] < bounds[0][1] - bounds[0][0]
    assert missed / 60 <= 0.07
    for _ in range(20):
        low, high = sequential.share_interval((draws.random(300) < 0.2).astype(float) - (draws.random(300) < 0.1))
        assert low <= 0.1 <= high


def test_little_evidence_says_nothing():
    assert sequential.mean_interval(np.ones(sequential.BURN_IN - 1)) == (-np.inf, np.inf)
    assert sequential.mean_interval(np.zeros(0)) == (-np.inf, np.inf)
    assert sequential.mean_p(np.zeros(0), 0.1) == 1.0
    assert sequential.share_p(np.zeros(0), 0.1) == 1.0
    assert sequential.mean_p(np.zeros(500), 0.1) == 1.0
    assert sequential.mean_p(np.array([0.0] * 200 + [50.0] * 10), 0.1) == 1.0, "ten episodes are no evidence of a mean"
    low, high = sequential.share_interval(np.zeros(200))
    assert low == pytest.approx(-high)
    assert 0.01 < high < 0.1


def worse_rows(count: int, delay: float) -> list[Row]:
    draws = np.random.default_rng(7)
    return [dict(row) | {"ego_delay": float(str(row["ego_delay"])) + delay * draws.random()} for row in made_rows(1, count)]


def test_the_gate_at_any_time_finds_what_is_worse_and_nothing_else():
    base = made_rows(1, 150)
    tests = judge(pairs_of(worse_rows(150, 3.0), base), anytime=True)
    assert [test.metric.column for test in tests if test.finding is Finding.WORSE] == ["ego_delay"]
    assert is_clear(tests)
    same = judge(pairs_of(base, base), anytime=True)
    assert not fails(same)
    assert not is_clear(same), "150 episodes do not show that collisions are no more frequent by 0.2 %"
    assert not is_clear([])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "results.sqlite"
    kept = Store(path)
    rows = made_rows(1, 400)
    kept.open_run(
        Run(
            name="main", suite="merge", sensing="objects", sets={"rules": "main"}, seeds=tuple(range(400)),
            provenance={"suite": json.dumps(asdict(suite_of("merge")))},
        )
    )  # fmt: skip
    for row in rows:
        kept.add("main", int(str(row["seed"])), row)
    return path


def test_an_evaluation_stops_once_the_verdict_is_clear(store: Path, monkeypatch: pytest.MonkeyPatch):
    driven: list[int] = []
    worse = worse_rows(400, 4.0)

    def run_job(job: Job) -> dict[str, Row]:
        driven.append(job.seed)
        return {name: dict(worse[job.seed]) | {"ending": "passed", "scenario": "merge"} for name in job.drivers}

    monkeypatch.setattr(evaluation, "run_job", run_job)
    words = ("eval", "merge", "--store", store, "--workers", "1", "--seeds", "0..399", "--until-clear", "main", "--json")
    code, text = call(*words, "--run", "pull")
    report = json.loads(text)
    assert code == ExitCode.CRITERIA_FAILED
    assert report["verdict"]["clear"] is True
    assert report["verdict"]["passed"] is False
    assert [one["metric"] for one in report["verdict"]["metrics"] if one["finding"] == "worse"] == ["ego_delay"]
    assert len(driven) % ROUND == 0
    assert sequential.BURN_IN <= len(driven) <= 200
    code, text = call("gate", "pull", "--baseline", "main", "--anytime", "--store", store, "--json")
    assert code == ExitCode.CRITERIA_FAILED, "the same verdict from what is there"
    with pytest.raises(InputError, match="not finished"):
        call("gate", "pull", "--baseline", "main", "--store", store)
    assert Store(store).run("pull").seeds == tuple(range(400)), "the same command goes on where the verdict was clear"


def test_only_an_unbroken_row_of_episodes_is_judged_on_the_way(store: Path):
    """Short episodes come in first: judging whatever is there would prefer them."""
    kept = Store(store)
    kept.open_run(
        Run(
            name="half", suite="merge", sensing="objects", sets={"rules": "half"}, seeds=tuple(range(400)),
            provenance=kept.run("main").provenance,
        )
    )  # fmt: skip
    for row in made_rows(2, 100):
        if row["seed"] != 60:
            kept.add("half", int(str(row["seed"])), row)
    one, other = arm(kept, "half"), arm(kept, "main")
    assert len(paired(one, other)) == 99
    assert [pair[0]["seed"] for pair in paired(one, other, unbroken=True)] == list(range(60))


def test_what_cannot_be_held_against_a_run_is_told(store: Path):
    words = ("eval", "merge", "--store", store, "--workers", "1", "--until-clear")
    with pytest.raises(InputError, match="several drivers"):
        call(*words, "main", "--driver", "rules", "--driver", "idm")
    with pytest.raises(InputError, match="none of these seeds"):
        call(*words, "main", "--seeds", "400..409")
    with pytest.raises(InputError, match="no run 'mian'"):
        call(*words, "mian", "--seeds", "0..9")
