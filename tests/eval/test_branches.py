"""What would have happened: a driver that bullies is found out, one that waits is not; branches start from the same state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from eval.branches import bullying, influence
from eval.metrics.result import References
from eval.references import junction_of
from eval.run import run_scenario
from eval.store import Value
from eval.suites import SUITES, Suite
from sim.interface import DriverStep, SensorFrame
from sim.recording import Recording, read_recording
from sim.scenario import Model, Scenario
from sim.traffic.own_world import OwnWorld
from sim.traffic.rules import RulesDriver


class Bully(RulesDriver):
    """Steers like `rules` and never brakes for anybody."""

    def step(self, frame: SensorFrame, memory: OwnWorld) -> DriverStep[OwnWorld]:
        step = super().step(frame, memory)
        return replace(step, control=replace(step.control, accel=7.0 - frame.odometry.speed))


BULLY, STACK, RULES = f"{__file__}:Bully", "joint", "rules"


RUNNERS = Suite(summary="Others do not stop at their lines.", sources=("chicken_tie",), others=("stop_runner",))


def driven(suite: Suite, driver: str, seed: int, folder: Path) -> tuple[Scenario, Recording, References]:
    scenario = replace(suite.scenario(seed), sensing="state")
    assert scenario.ego is not None
    actors = list(scenario.actors)
    actors[scenario.ego] = replace(actors[scenario.ego], driver=driver, model=Model.EXTERNAL)
    scenario = replace(scenario, actors=tuple(actors))
    run_scenario(scenario, folder / "main.arrow", record="arrays", to_the_end=True)
    return scenario, read_recording(folder / "main.arrow"), References(junction=junction_of(scenario))


def bullied(driver: str, seeds: range, folder: Path) -> int:
    found: list[Mapping[str, Value]] = [bullying(*driven(RUNNERS, driver, seed, folder)) for seed in seeds]
    return sum(bool(one["bullied"]) for one in found)


def test_who_never_brakes_lives_on_others_giving_in_and_who_waits_does_not(tmp_path: Path):
    assert bullied(BULLY, range(6), tmp_path) >= 1
    assert bullied(RULES, range(3), tmp_path) == 0


def test_an_ego_that_holds_lets_more_others_go_than_one_that_commits(tmp_path: Path):
    first, second = (driven(SUITES["influence"], STACK, seed, tmp_path) for seed in (0, 3))
    found = [influence(*first), influence(*second)]
    assert sum(float(str(one["influence_pairs"])) for one in found) > 0
    assert sum(float(str(one["influence_observed"])) for one in found) >= 0.0
    assert influence(*first) == found[0], "a branch is a pure function of the episode"


def test_others_are_watched_until_they_have_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """How often one looks whether they have makes no difference."""
    drive = driven(SUITES["influence"], STACK, 3, tmp_path)
    found = influence(*drive)
    assert float(str(found["influence_pairs"])) > 0
    monkeypatch.setattr("eval.branches.LOOK_TICKS", 100_000)
    assert influence(*drive) == found


def test_a_driver_without_beliefs_predicts_nothing(tmp_path: Path):
    assert influence(*driven(SUITES["influence"], RULES, 0, tmp_path))["influence_pairs"] == 0
