"""Comparing drivers at the same risk, and among one kind of opponent each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import eval.matrix as matrix_of
from eval.cli import execute, program
from eval.evaluate import Request
from eval.matched_risk import Curve, Sweep, compared, front, saved, saved_least, sweep_text
from eval.matrix import opponents, worst
from sim.interface import Floats

SEEDS = 4000


def driver(skill: float, seed: int) -> Curve:
    """Seven values of daring: risk 1 to 13 %, delay falling with it, `skill` seconds less at every risk."""
    draw = np.random.default_rng(seed)
    risk = np.linspace(0.01, 0.13, 7)
    delay = 10.0 - 30.0 * risk - skill
    shared = np.random.default_rng(0).normal(0.0, 3.0, SEEDS)
    return Curve(risky=(draw.uniform(size=(7, SEEDS)) < risk[:, None]).astype(float), delay=delay[:, None] + shared[None, :])


def everybody() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(SEEDS, dtype=np.int64)


def test_who_decides_better_saves_time_at_the_same_risk():
    share, seconds = saved(driver(1.5, 1), driver(0.0, 2), everybody())
    assert seconds == pytest.approx(1.5, abs=0.25)
    assert share == pytest.approx(1.5 / 7.9, abs=0.04)


def test_who_merely_dares_more_saves_nothing():
    bold, careful = driver(0.0, 3), driver(0.0, 4)
    shifted = Curve(risky=bold.risky[2:], delay=bold.delay[2:])
    timid = Curve(risky=careful.risky[:5], delay=careful.delay[:5])
    assert float(shifted.delay.mean()) < float(timid.delay.mean()) - 0.5
    assert saved(shifted, timid, everybody())[1] == pytest.approx(0.0, abs=0.25)


def report_of(one: Curve, other: Curve) -> dict[str, Any]:
    sweep = Sweep(request=Request(suite="s", drivers=(), seeds=()), driver="one", against="other")
    return compared(sweep, {"one": one, "other": other}, {2.0: {"one": one, "other": other}})


def test_who_decides_better_does_so_at_the_same_assertiveness_too():
    small = slice(0, 400)
    one, other = (Curve(risky=c.risky[:, small], delay=c.delay[:, small]) for c in (driver(1.5, 1), driver(0.0, 2)))
    report = report_of(one, other)
    assert report["same_assertiveness"]["delay_s"]["value"] == pytest.approx(-1.5)
    assert report["looser"]["2"]["saved"] == report["saved"]
    assert report["common_risk"] is not None
    assert "risk in common" not in sweep_text(report)
    equal = report_of(other, other)
    assert equal["same_assertiveness"]["delay_s"]["value"] == 0.0
    assert equal["saved"]["value"] == 0.0


def test_risks_that_never_meet_are_told_apart_from_those_that_do():
    """Assertiveness moves the delay and not the risk: each curve is one point, and the two are elsewhere."""
    delay = np.linspace(12.0, 8.0, 7)[:, None] + np.zeros((7, 40))
    rare, often = np.zeros((7, 40)), np.zeros((7, 40))
    rare[:, :2], often[:, :4] = 1.0, 1.0
    report = report_of(Curve(risky=rare, delay=delay), Curve(risky=often, delay=delay))
    assert report["common_risk"] is None
    assert report["nearest_risks"] == pytest.approx((0.05, 0.1))
    assert report_of(Curve(risky=often, delay=delay), Curve(risky=rare, delay=delay))["nearest_risks"] == pytest.approx(
        (0.1, 0.05)
    )
    assert "no risk in common: 5.00 % against 10.00 %" in sweep_text(report)


def test_settings_that_buy_nothing_do_not_change_the_least_delays():
    """A driver that can also be slow for nothing is no worse at its best; pooling takes it to be."""
    risky = np.zeros((3, 40))
    quick = Curve(risky=risky, delay=np.stack([np.full(40, value) for value in (5.0, 5.0, 5.0)]))
    also_slow = Curve(risky=risky, delay=np.stack([np.full(40, value) for value in (15.0, 10.0, 5.0)]))
    chosen = np.arange(40)
    assert saved_least(quick, also_slow, chosen) == pytest.approx(0.0)
    assert saved(quick, also_slow, chosen)[0] > 0.4
    assert saved_least(Curve(risky=risky, delay=0.8 * quick.delay), also_slow, chosen) == pytest.approx(0.2)
    daring = Curve(risky=np.concatenate([np.zeros((2, 40)), np.ones((1, 40))]), delay=also_slow.delay)
    assert saved_least(quick, daring, chosen) > 0.4, "who is quick only where it is dangerous is slower at no risk"


def test_the_front_never_rises():
    draw = np.random.default_rng(5)
    for _ in range(50):
        risk, delay = front(draw.uniform(size=7), draw.uniform(size=7))
        assert np.all(np.diff(risk) >= 0.0)
        assert np.all(np.diff(delay) < 0.0)
    same: Floats = np.array([0.1, 0.1])
    assert len(front(same, np.array([2.0, 3.0]))[0]) == 1


def test_a_sweep_is_one_command_and_goes_on(tmp_path: Path):
    command = (
        "matched-risk", "merge", "--driver", "joint", "--against", "marginal", "--values", "2", "--seeds", "0",
        "--sensing", "state", "--set", "safety=false", "--workers", "1", "--store", str(tmp_path / "s.sqlite"), "--json",
    )  # fmt: skip
    first = CliRunner().invoke(program, command, catch_exceptions=False)
    report = json.loads(first.stdout)
    assert report["settings"] == ["safety=false"]
    assert [point["assertiveness"] for point in report["curves"]["joint"]] == [0.0, 1.0]
    assert report["episodes"] == 0, "a merge has no delay to compare"
    again = CliRunner().invoke(program, command, catch_exceptions=False)
    assert "are in" in again.stderr
    assert json.loads(again.stdout) == report


def test_opponents_are_the_traffic_and_those_not_kept_for_reports_unless_asked_for():
    assert set(opponents(held_out=False)) == {"traffic", "first_come", "timid_waver", "tailgater"}
    assert {"level_k", "bluffer", "distracted"} < set(opponents(held_out=True))


def test_the_worst_case_is_the_one_with_most_collisions():
    def cell(at_fault: float, delay: float) -> dict[str, object]:
        return {"at_fault": {"rate": at_fault}, "ego_delay_s": {"value": delay}}

    cells = {"calm": {"joint": cell(0.0, 9.0)}, "wild": {"joint": cell(0.1, 1.0)}}
    assert worst(cells) == {"joint": "wild"}


def test_a_sweep_needs_values_and_drivers_of_the_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    store = ("--store", str(tmp_path / "r.sqlite"))
    assert execute(["matched-risk", "chicken_tuning", "--values", "1", *store]) == 2
    assert execute(["matched-risk", "chicken_tuning", "--driver", "rules", "--seeds", "0", *store]) == 2
    assert "takes no settings" in capsys.readouterr().err


def test_a_matrix_is_one_command_for_text_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(matrix_of, "opponents", lambda held_out: {"tailgater": "against_tailgater"})
    command = ("matrix", "--driver", "rules", "--seeds", "0", "--sensing", "state", "--workers", "1", "--store")
    found = CliRunner().invoke(program, (*command, str(tmp_path / "m.sqlite"), "--json"), catch_exceptions=False)
    report = json.loads(found.stdout)
    assert report["opponents"]["tailgater"]["rules"]["episodes"] == 1
    assert report["worst"] == {"rules": "tailgater"}
    text = CliRunner().invoke(program, (*command, str(tmp_path / "m.sqlite")), catch_exceptions=False).stdout
    assert "worst: rules against tailgater" in text
