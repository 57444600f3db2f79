"""Planner and filter go by the same predicate: rollouts that the safety envelope would cut short are marked, others are not."""

from __future__ import annotations

import numpy as np

from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.response import (
    ACTOR_DTYPE,
    COLUMNS,
    FEATURES,
    GO,
    NO_LINE,
    OVERRULED,
    POLICY_DTYPE,
    Board,
    record_rollout,
)
from avstack.behaviours.zones import PAIR_DTYPE, ROW, fill_table, find_zone
from avstack.safety.assumptions import Assumptions
from avstack.stack import Stack, StackConfig

SIZE = (4.6, 1.9)


def street(angle: float) -> np.ndarray:
    """A straight path of 100 m through the origin, 50 m on."""
    along = ROW * np.arange(201) - 50.0
    rows = np.zeros((201, 6))
    rows[:, 0], rows[:, 1] = along * np.cos(angle), along * np.sin(angle)
    rows[:, 2], rows[:, 3], rows[:, 4] = np.cos(angle), np.sin(angle), 12.0
    return rows


def overruled(other_speed: float, other_s: float, rule: int, assumptions: Assumptions) -> float:
    """Times that the envelope would step in while an ego that goes crosses the way of one other, who does not attend to it."""
    ways = [street(0.0), street(np.pi / 2)]
    tables = np.empty((2, 201, 2))
    pairs = np.zeros((2, 2), PAIR_DTYPE)
    pairs["start"] = -1
    for i, j in ((0, 1), (1, 0)):
        fill_table(ways[i], *SIZE, ways[j], *SIZE, tables[i])
    for i, j in ((0, 1), (1, 0)):
        find_zone(tables[i], tables[j], ways[i], ways[j], pairs[i : i + 1, j])
        pairs[i, j]["start"], pairs[i, j]["rows"], pairs[i, j]["rule"] = 201 * i, 201, rule if i == 0 else -rule
    actors = np.zeros(2, ACTOR_DTYPE)
    actors["path"], actors["moves"], actors["eager"], actors["accel"], actors["brake"] = [0, 1], 1, 1.0, 1.4, 2.0
    actors["line"] = actors["wait"] = NO_LINE
    actors["attends"] = [1, 0]
    actors["s"], actors["v"] = [20.0, other_s], [6.0, other_speed]
    board = Board(pairs, tables.reshape(-1, 2), np.full((2, 201), 12.0), np.zeros((2, 2)), assumptions.numbers())
    policies = np.zeros(2, POLICY_DTYPE)
    policies["kind"], policies["accel"], policies["cap"], policies["gap_s"] = GO, 1.4, 100.0, 1.3
    out, written = np.empty(FEATURES), np.zeros((37, 2, 3))
    record_rollout(
        actors, board, policies, np.array([1.0, 9.0]), np.empty((2, 2, COLUMNS)), written.copy(), False, out, written
    )  # fmt: skip
    return float(out[OVERRULED])


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
