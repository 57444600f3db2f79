"""The model of how others drive, one on its own: it sets off, keeps its speed and stops where it should."""

from __future__ import annotations

import numpy as np
import pytest

from avstack.behaviours.response import (
    ACTOR_DTYPE,
    COLUMNS,
    FEATURES,
    GO,
    NO_LINE,
    POLICY_DTYPE,
    RED,
    STEP_S,
    Board,
    record_rollout,
)
from avstack.behaviours.zones import PAIR_DTYPE
from avstack.safety.assumptions import Assumptions

SECONDS = 20.0


def drive(speed: float, line: float) -> np.ndarray:
    """(T, 3) s, v, a of somebody alone on a straight road with a limit of 12 m/s and a red light at `line`."""
    actors = np.zeros(1, ACTOR_DTYPE)
    actors["moves"], actors["eager"], actors["accel"], actors["brake"], actors["v"] = 1, 1.0, 1.4, 2.0, speed
    actors["line"], actors["wait"], actors["line_kind"] = line, NO_LINE, RED
    pairs = np.zeros((1, 1), PAIR_DTYPE)
    pairs["start"] = -1
    board = Board(pairs, np.zeros((1, 2)), np.full((1, 2000), 12.0), np.zeros((1, 1)), Assumptions().numbers())
    policies = np.zeros(2, POLICY_DTYPE)
    policies["kind"], policies["accel"], policies["cap"], policies["gap_s"] = GO, 1.4, 100.0, 1.3
    written = np.zeros((round(SECONDS / STEP_S) + 1, 1, 3))
    record_rollout(
        actors, board, policies, np.array([1.0, SECONDS]), np.empty((2, 1, COLUMNS)), written.copy(), False, np.empty(FEATURES),
        written,
    )  # fmt: skip
    return written[:-1, 0]


def test_a_line_far_ahead_keeps_nobody_from_setting_off():
    run = drive(0.0, 120.0)
    assert run[round(4.0 / STEP_S), 1] > 3.0
    # and it comes up to the line and stops there
    assert run[-1, 0] == pytest.approx(120.0, abs=1.5)
    assert run[-1, 1] < 0.7


def test_without_a_line_it_reaches_the_limit_and_keeps_it():
    run = drive(6.0, NO_LINE)
    assert run[-1, 1] == pytest.approx(12.0, abs=0.6)
    assert np.all(np.diff(run[:, 1]) > -1e-9)
