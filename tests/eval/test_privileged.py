"""The privileged planner: told the truth by the evaluation, and by nobody else; settings of drivers by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avstack.behaviours.belief import PRIOR, YES, Belief
from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.scene import Scene
from avstack.stack import Stack, StackConfig
from eval.drivers import DRIVERS, load_driver, place_of
from eval.run import run_scenario
from eval.suites import SUITES
from eval.told import BOLDNESS, Told, Truth
from scenarios.errors import InputError
from sim.interface import SPECS, Kind
from sim.scenario import Model


def driven(driver: str, seed: int, folder: Path) -> None:
    scenario = replace(SUITES["chicken_tuning"].scenario(seed), sensing="state")
    assert scenario.ego is not None
    actors = list(scenario.actors)
    actors[scenario.ego] = replace(actors[scenario.ego], driver=driver, model=Model.EXTERNAL)
    scenario = replace(scenario, actors=tuple(actors))
    run_scenario(scenario, folder / f"{driver}.arrow")


def test_who_is_told_knows_everybodys_way_and_attention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[Truth, Belief, Scene]] = []
    inform = Truth.inform

    def noted(truth: Truth, belief: Belief, scene: Scene) -> Belief:
        asked.append((truth, belief, scene))
        return inform(truth, belief, scene)

    monkeypatch.setattr(Truth, "inform", noted)
    driven("privileged", 3, tmp_path)
    unsure, sure = [], []
    for truth, belief, scene in asked:
        told = inform(truth, belief, scene)
        for agent in scene.agents:
            weights = told.tracks[agent.id].weights
            assert weights.sum() == pytest.approx(1.0)
            if not agent.walks and len(agent.routes) > 1 and weights is not belief.tracks[agent.id].weights:
                unsure.append(belief.tracks[agent.id].weights.sum(axis=(1, 2)).max())
                sure.append(weights.sum(axis=(1, 2)).max())
                assert weights[:, :, YES].sum() > 0.9
    assert len(sure) > 50
    assert np.mean(sure) > 0.95 > np.mean(unsure)


def test_out_of_an_evaluation_it_cannot_drive():
    scenario = SUITES["chicken_tuning"].scenario(0)
    told = Told()
    assert scenario.actors[0].route is not None
    memory = told.start(scenario.road_map, scenario.actors[0].route, SPECS[Kind.CAR], 0)
    with pytest.raises(RuntimeError, match="reference"):
        told.step(None, memory)  # type: ignore[arg-type]


def test_boldness_is_a_distribution_over_the_levels_of_the_belief():
    for weights in BOLDNESS.values():
        assert len(weights) == len(PRIOR)
        assert sum(weights) == pytest.approx(1.0)


@pytest.mark.parametrize("name", list(DRIVERS))
def test_every_driver_can_be_made_by_name(name: str):
    assert load_driver(name) is not None


def settings_of(name: str) -> StackConfig:
    driver: object = load_driver(name)
    assert isinstance(driver, Stack)
    return driver.config


def test_settings_of_the_stack_by_name():
    bold = settings_of("marginal[behaviours.assertiveness=0.9,safety=false]")
    assert (bold.behaviours.assertiveness, bold.behaviours.prediction, bold.safety) == (0.9, "frozen", False)
    again = settings_of("no_safety[behaviours.creep=false]")
    assert (again.safety, again.behaviours.creep) == (False, False)
    assert settings_of("marginal").behaviours.assertiveness == BehaviourConfig().assertiveness
    slippery = settings_of("joint[assumptions.friction=0.5]")
    assert slippery.behaviours.assumptions.friction == 0.5, "planner and envelope go by the same assumptions"
    assert place_of("no_safety")[1] == "safety=false"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("joint[behaviours.assertivness=0.9]", "did you mean 'assertiveness'"),
        ("joint[behaviours.assertiveness=9]", "between 0.0 and 1.0"),
        ("joint[behaviours.prediction=frosen]", "one of constant, frozen, reactive"),
        ("joint[behaviours.assertiveness=bold]", "is a number"),
        ("joint[safety=perhaps]", "true or false"),
        ("joint[safety]", "no setting"),
        ("joint[behaviours=1]", "settings of its own"),
        ("joint[safety.more=1]", "no parts"),
        ("rules[safety=false]", "takes no settings"),
        ("joint[safety=false", "unknown driver"),
    ],
)
def test_wrong_settings_say_what_is_right(name: str, message: str):
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        load_driver(name)
