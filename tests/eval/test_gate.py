"""The gate: it names what got worse and where, lets pass what did not, and is as sure as it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import multinomial

from eval.bench.gate import run_bench
from eval.cli import program
from eval.errors import ExitCode
from eval.gate import FAMILY_ALPHA, PRIMARY, Finding, fails, gate_text, judge
from eval.paired import (
    episodes_for_mean,
    episodes_for_share,
    holm,
    mean_p,
    share_p,
    tango_interval,
)
from eval.runs import arm, paired
from eval.store import Row, Run, Store
from scenarios.errors import InputError

COLUMNS = {metric.column: metric for metric in PRIMARY}


def made_rows(seed: int, count: int, *, apart: float = 1.0) -> list[Row]:
    """Episodes of a driver: delays with a long tail that all drivers share, and a bit of its own."""
    common, own = np.random.default_rng(0), np.random.default_rng(seed)
    rows: list[Row] = []
    for k in range(count):
        rows.append(
            {
                "seed": k, "completed": True, "crashed": False, "at_fault": 0, "offroad": 0,
                "collisions": int(own.random() < 0.02),
                "rescues": int(own.random() < 0.1), "ego_delay": float(common.exponential(8.0) + apart * own.normal()),
                "progress": float(np.clip(common.normal(0.7, 0.1) + 0.02 * own.normal(), 0.0, 1.0)), "belief_log_loss": None,
            }
        )  # fmt: skip
    return rows


def pairs_of(one: list[Row], other: list[Row]) -> list[tuple[Row, Row]]:
    return list(zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("column", "worse"),
    [("collisions", 1), ("at_fault", 2), ("crashed", True), ("completed", False), ("rescues", 1.0)],
)
def test_what_got_worse_fails_and_is_named_with_its_seeds(column, worse):
    base = made_rows(1, 100)
    hit = {*range(0, 100, 4)}
    run = [dict(row) | {column: worse} if row["seed"] in hit else row for row in base]
    tests = judge(pairs_of(run, base))
    bad = [test for test in tests if test.finding is Finding.WORSE]
    assert [test.metric.column for test in bad] == [column]
    assert fails(tests)
    assert bad[0].seeds
    assert {*bad[0].seeds} <= hit
    assert bad[0].worsening.low > COLUMNS[column].margin
    text = gate_text(tests, ("new", "old"))
    assert text.startswith("FAILED: new is worse than old\n  " + COLUMNS[column].what)
    assert f"seeds {bad[0].seeds[0]}" in text
    assert not fails(judge(pairs_of(base, run))), "the other way round it is better"


def test_a_mean_that_got_worse_fails_beyond_its_margin_only():
    base = made_rows(1, 150)
    margin = COLUMNS["ego_delay"].margin

    def delayed(amount: float) -> list[Row]:
        return [dict(row) | {"ego_delay": float(str(row["ego_delay"])) + amount} for row in made_rows(1, 150)]

    noise = np.random.default_rng(5).normal(0.0, 3.0, size=150)
    for amount, finding in ((8.0 * margin, Finding.WORSE), (0.5 * margin, Finding.OPEN), (-1.0, Finding.HELD)):
        run: list[Row] = [
            dict(row) | {"ego_delay": float(str(row["ego_delay"])) + x} for row, x in zip(delayed(amount), noise, strict=True)
        ]
        found = next(test for test in judge(pairs_of(run, base)) if test.metric.column == "ego_delay")
        assert found.finding is finding, amount
        assert found.worsening.value == pytest.approx(amount + noise.mean())


def test_the_same_run_has_held_wherever_it_can_be_told():
    rows = made_rows(1, 80)
    tests = judge(pairs_of(rows, rows))
    assert not fails(tests)
    assert {test.metric.column for test in tests} == {
        "at_fault", "collisions", "crashed", "offroad", "completed", "rescues", "ego_delay", "progress",
    }, "what neither has is not judged"  # fmt: skip
    assert next(test for test in tests if test.metric.column == "ego_delay").finding is Finding.HELD


def test_score_intervals_of_paired_shares_cover():
    for one, other, pairs in ((0.02, 0.01, 200), (0.1, 0.05, 60), (0.3, 0.1, 40), (0.01, 0.01, 100)):
        first, second = np.meshgrid(np.arange(40), np.arange(40))
        possible = [(int(a), int(b)) for a, b in zip(first.ravel(), second.ravel(), strict=True) if a + b <= pairs]
        neither = [pairs - a - b for a, b in possible]
        chance = multinomial.pmf(np.column_stack([possible, neither]), pairs, (one, other, 1.0 - one - other))
        inside = [low <= one - other <= high for low, high in (tango_interval(a, b, pairs) for a, b in possible)]
        assert 0.93 <= float(chance @ np.array(inside)) <= 0.99
    low, high = tango_interval(0, 0, 100)
    assert high == pytest.approx(1.96**2 / (100 + 1.96**2), abs=1e-3), "nothing happened is not certainty"
    assert low == pytest.approx(-high)
    assert tango_interval(0, 0, 0) == (-1.0, 1.0)


def test_one_sided_tests_keep_their_level_and_have_power():
    draws = np.random.default_rng(4)
    counts = draws.multinomial(100, (0.06, 0.05, 0.89), size=1500)
    alarms = sum(share_p(int(a), int(b), 100, 0.01) <= 0.05 for a, b, _ in counts)
    assert alarms / 1500 <= 0.06
    assert share_p(30, 5, 100, 0.01) < 1e-3
    skewed = [mean_p(draws.exponential(1.0, 60) - 1.0 + 0.1, 0.1) for _ in range(400)]
    assert np.mean(np.array(skewed) <= 0.05) <= 0.08
    assert mean_p(draws.exponential(1.0, 60), 0.1) < 1e-3
    assert mean_p(np.zeros(50), 0.0) == 1.0
    assert mean_p(np.array([0.0] * 95 + [9.0] * 5), 0.0) > 0.02, "five episodes are no evidence of a mean"


def test_holm_is_what_its_author_wrote():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9]) == [0.9]


def test_the_number_of_episodes_that_would_tell_tells():
    draws = np.random.default_rng(6)
    pilot = draws.normal(0.5, 2.0, 400)
    needed = int(episodes_for_mean(pilot, 0.05, 0.5))
    found = [mean_p(draws.normal(0.5, pilot.std(), needed), 0.0) <= 0.05 for _ in range(200)]
    assert 0.8 <= np.mean(found) <= 0.97
    needed = int(episodes_for_share(20, 10, 200, 0.05))
    counts = draws.multinomial(needed, (0.1, 0.05, 0.85), size=300)
    assert 0.8 <= np.mean([share_p(int(a), int(b), needed, 0.0) <= 0.05 for a, b, _ in counts]) <= 0.97
    assert episodes_for_mean(np.zeros(9), 0.05) == float("inf")


def test_false_alarms_are_as_rare_as_declared_and_power_is_there():
    found = run_bench(pairs_of(made_rows(1, 120), made_rows(2, 120)), 60, 200)
    alarms, power = found["false_alarms"], found["power"]
    assert alarms["swapped"]["count"] + alarms["shuffled"]["count"] <= 2 * 0.02 * 200  # type: ignore[index]
    assert power["ego_delay"]["rate"] > 0.8  # type: ignore[index]
    assert power["ego_delay"]["effect"] == pytest.approx(1.2)  # type: ignore[index]
    assert FAMILY_ALPHA <= 0.02
    with pytest.raises(InputError, match="at least 200 pairs"):
        run_bench(pairs_of(made_rows(1, 120), made_rows(2, 120)), 100, 200)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three runs of one suite: `old`, `new`, which is slower, and `half`, which is not finished."""
    path = tmp_path / "results.sqlite"
    kept = Store(path)
    old = made_rows(1, 100)
    new = [dict(row) | {"ego_delay": float(str(row["ego_delay"])) + 3.0 + 0.1 * (k % 7)} for k, row in enumerate(old)]
    for name, rows, seeds in (("old", old, 100), ("new", new, 100), ("half", old[:40], 100)):
        kept.open_run(
            Run(
                name=name,
                suite="chicken",
                sensing="state",
                sets={"joint": name},
                seeds=tuple(range(seeds)),
                provenance={"suite": "1"},
            )
        )
        for row in rows:
            kept.add(name, int(str(row["seed"])), row)
    return path


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(program, [str(word) for word in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.stdout


def test_the_gate_exits_1_and_says_why(store: Path):
    code, text = call("gate", "new", "--baseline", "old", "--store", store)
    assert code == ExitCode.CRITERIA_FAILED
    assert "ego's delay" in text.splitlines()[1]
    code, text = call("gate", "old", "--baseline", "new", "--store", store, "--json")
    assert code == ExitCode.OK
    assert json.loads(text)["passed"] is True
    with pytest.raises(InputError, match="not finished: 40 of 100"):
        call("gate", "half", "--baseline", "old", "--store", store)


def test_runs_are_listed_and_compared(store: Path):
    _, text = call("runs", "--store", store, "--json")
    assert [(run["run"], run["finished"], run["seeds"]) for run in json.loads(text)] == [
        ("old", 100, "0..99"), ("new", 100, "0..99"), ("half", 40, "0..99"),
    ]  # fmt: skip
    assert "40 of 100" in call("runs", "--store", store)[1]
    _, text = call("compare", "new", "old", "--store", store, "--json")
    change = json.loads(text)["differences"]["ego_delay_s"]
    assert 3.0 < change["low"] < change["value"] < change["high"] < 4.0
    assert change["needed"] <= 5
    assert "40 episodes that both drove" in call("compare", "half", "old", "--store", store)[1]


def test_what_cannot_be_compared_is_bad_input(store: Path, tmp_path: Path):
    kept = Store(store)
    with pytest.raises(InputError, match="no run 'nwe'; did you mean 'new'"):
        arm(kept, "nwe")
    with pytest.raises(InputError, match="no driver 'idm'"):
        arm(kept, "new:idm")
    many = Run(name="", suite="chicken", sensing="state", sets={"a": "x", "b": "old"}, seeds=(0, 1), provenance={"suite": "2"})
    assert kept.open_run(many).name == "chicken-1"
    with pytest.raises(InputError, match="several drivers"):
        arm(kept, "chicken-1")
    with pytest.raises(InputError, match="has changed between"):
        paired(arm(kept, "chicken-1:b"), arm(kept, "old"))
    other = kept.open_run(Run(name="", suite="merge", sensing="state", sets={"joint": "old"}, seeds=(0,), provenance={}))
    with pytest.raises(InputError, match="different suites"):
        paired(arm(kept, other.name), arm(kept, "old"))
    with pytest.raises(InputError, match="no result store"):
        call("runs", "--store", tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
