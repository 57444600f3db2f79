"""What we read from CommonRoad files is what commonroad-io reads, where that is to be had: see tests/oracles/commonroad_io.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eval.solution import COSTS
from tests.oracles import commonroad_costs, commonroad_io

needs_commonroad_io = pytest.mark.skipif(
    commonroad_io.PYTHON not in os.environ, reason=f"{commonroad_io.PYTHON} names no Python with commonroad-io"
)


@needs_commonroad_io
def test_recordings_are_read_alike(data_dir: Path) -> None:
    for file in sorted(data_dir.glob("commonroad/*/*.xml")):
        faults, figures = commonroad_io.compare(file)
        assert not faults, (figures, faults)


@needs_commonroad_io
def test_a_difference_is_found(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = min(data_dir.glob("commonroad/*/*.xml"), key=lambda path: path.stat().st_size)
    other = commonroad_io.theirs(file)
    next(iter(other["obstacles"].values()))["states"][1][1] += 0.02
    next(iter(other["lanelets"].values()))["centre"][1][1] += 0.02
    monkeypatch.setattr(commonroad_io, "theirs", lambda _: other)
    centrelines, states = commonroad_io.compare(file)[0]
    assert "centrelines" in centrelines
    assert "states" in states


def test_each_refusal_of_the_checker_is_told() -> None:
    accepted: dict[str, bool | str] = {"feasible": True, "starts": True, "goal": True, "collides": False, "leaves": False}
    assert commonroad_costs.refusals(accepted) == []
    for check, verdict in accepted.items():
        assert len(commonroad_costs.refusals(accepted | {check: not verdict})) == 1
        assert len(commonroad_costs.refusals(accepted | {check: "CollisionException: why"})) == 1


def test_who_drove_no_step_has_a_row_that_says_why() -> None:
    checks = {"feasible": True, "starts": True, "goal": False, "collides": False, "leaves": False}
    costs = {name: {"total": 2.0} for name in COSTS} | {"MW1": {"error": "ValueError: no sign"}}
    ours = {"checks": checks, "steps": 33, "distance_m": 14.8, "common_costs": costs}
    planner = {"why": "no route", "configuration": "defaults"}
    told = commonroad_costs.table({"ARG": {"planner": planner, "ours": ours, "theirs": None}}, "joint")
    assert "| ARG | joint | 15 m in 33 steps | goal missed | 2 | 2 | 2 | 2 | 2 | 2 | – | 2 |" in told
    assert "| ARG | reactive, defaults | no step: no route |" in told
