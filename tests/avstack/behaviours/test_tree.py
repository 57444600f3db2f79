"""The tree on values made by hand: what information is worth, and that each rung of the ladder differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avstack.behaviours.config import BehaviourConfig, CostConfig
from avstack.behaviours.cost import TERMS, prices, tail_mean
from avstack.behaviours.response import ACTOR_DTYPE, DELAY, FEATURES
from avstack.behaviours.tree import PLACE_SPREAD, Scenarios, confusion, judge

WORLDS = np.zeros((2, 2), ACTOR_DTYPE)
EVEN = Scenarios(WORLDS, np.array([0.5, 0.5]), 0.0)
ALL = np.ones((1, 2), dtype=bool)

AS_PRICED = BehaviourConfig(assertiveness=0.5)
"""With the prices of the table as they stand."""


def seen_apart(metres: float) -> np.ndarray:
    seen = np.zeros((1, 2, 2, 2))
    seen[0, 1, 1, 0] = metres
    return seen


def choices() -> np.ndarray:
    """One policy, two continuations: each costs 10 s in one of two scenarios and nothing in the other."""
    features = np.zeros((1, 2, 2, FEATURES))
    features[0, 0, 1, DELAY] = features[0, 1, 0, DELAY] = 10.0
    return features


def cost_of(config: BehaviourConfig, seen: np.ndarray) -> float:
    return float(judge(choices(), seen, ALL, EVEN, prices(config), config).cost[0])


def test_perfect_information_costs_nothing_and_none_costs_half():
    config = AS_PRICED
    assert cost_of(replace(config, branching="perfect"), seen_apart(0.0)) == pytest.approx(0.0)
    assert cost_of(replace(config, branching="none"), seen_apart(9.0)) == pytest.approx(5.0)


def test_what_can_be_told_apart_lies_between_and_grows_with_the_distance():
    costs = [cost_of(AS_PRICED, seen_apart(metres)) for metres in (0.0, 0.6, 1.2, 6.0)]
    assert costs[0] == pytest.approx(5.0)
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.1


def test_confusion_of_two_is_the_error_of_telling_them_apart():
    table = confusion(seen_apart(PLACE_SPREAD), WORLDS, BehaviourConfig())[0]
    assert table.sum(axis=1) == pytest.approx([1.0, 1.0])
    # Phi(-1/2) at one standard deviation
    assert table[0, 1] == pytest.approx(0.3085, abs=1e-3)


def test_omitted_probability_is_priced_at_the_worst():
    config = AS_PRICED
    omitted = replace_omitted(EVEN, 0.2)
    cost = judge(choices(), seen_apart(0.0), ALL, omitted, prices(config), config).cost[0]
    assert cost == pytest.approx(5.0 + 0.2 * 10.0)


def replace_omitted(scenarios: Scenarios, omitted: float) -> Scenarios:
    return Scenarios(scenarios.worlds, scenarios.share, omitted)


def test_the_tail_is_the_mean_of_the_worst_tenth():
    severity, share = np.array([0.0, 2.0, 1.0]), np.array([0.9, 0.05, 0.05])
    assert tail_mean(severity, share, 0.1) == pytest.approx(1.5)
    assert tail_mean(severity, share, 0.2) == pytest.approx(0.75)


def test_every_term_has_a_price():
    assert {price for _, price in TERMS.values()} <= set(CostConfig.__dataclass_fields__)


@pytest.mark.parametrize(("name", "value"), [("collision", -1.0), ("delay", float("nan"))])
def test_a_price_that_is_none_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        CostConfig(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("assertiveness", 1.5), ("branch_s", 0.0), ("rollouts", 3)])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        BehaviourConfig(**{name: value})
