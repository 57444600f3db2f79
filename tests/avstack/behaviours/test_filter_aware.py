"""Planner and filter go by the same predicate: rollouts that the safety envelope would cut short are marked, others are not."""

from __future__ import annotations

from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.response import OVERRULED
from avstack.safety.assumptions import Assumptions
from avstack.stack import Stack, StackConfig
from tests.avstack.behaviours.crossings import going


def overruled(other_speed: float, other_s: float, rule: int, assumptions: Assumptions) -> float:
    """Times that the envelope would step in while an ego that goes crosses the way of one other, who does not attend to it."""
    return float(going((20.0, 6.0), (other_s, other_speed), rule, assumptions, attends=0)[OVERRULED])


def test_going_before_somebody_fast_and_near_with_right_of_way_is_overruled():
    assert overruled(11.0, 6.0, -1, Assumptions()) == 1.0


def test_going_long_before_it_comes_and_before_somebody_who_stands_is_not():
    assert overruled(11.0, -14.0, -1, Assumptions()) == 0.0
    assert overruled(0.0, 30.0, 0, Assumptions()) == 0.0


def test_the_assumptions_decide():
    assert overruled(8.0, 6.0, 0, Assumptions()) == 1.0
    assert overruled(8.0, 6.0, 0, Assumptions(response_s=0.0, response_brake=6.0)) == 0.0


def test_a_stack_plans_by_its_own_assumptions():
    wary = Assumptions(response_brake=1.0)
    assert Stack(StackConfig(assumptions=wary)).config.behaviours.assumptions == wary
    assert BehaviourConfig().assumptions == Assumptions()
