"""What a rollout holds against the ego: closeness that others did not choose, and the delay that is still to come at its end."""

from __future__ import annotations

import numpy as np
import pytest

from avstack.behaviours.response import (
    CLOSE,
    DELAY,
    HARD,
    MARGIN,
    _follow,
    _merge_behind,
    _to_go,
)
from tests.avstack.behaviours.crossings import HORIZON_S, going


def crossing(other_s: float, other_speed: float, rule: int, attends: int = 1, order: float = 0.0, moves: int = 1) -> np.ndarray:
    """(FEATURES,) of an ego that goes over a crossing 10 m ahead at 5 m/s, before one other."""
    return going((37.0, 5.0), (other_s, other_speed), rule, order=order, attends=attends, threshold=0.5, moves=moves)


def test_who_stands_or_may_wait_chooses_how_closely_it_follows():
    # it sets off while the ego is inside, timed to arrive behind it
    assert crossing(44.0, 0.0, 0, order=1.0)[CLOSE] == 0.0
    assert crossing(30.0, 4.0, 0, order=1.0)[CLOSE] == 0.0


def test_who_has_right_of_way_or_does_not_look_does_not_choose():
    assert crossing(24.0, 9.0, -1)[CLOSE] > 0.2
    assert crossing(24.0, 9.0, 0, attends=0, order=1.0)[CLOSE] > 0.2


@pytest.mark.parametrize(("v", "top", "accel"), [(0.0, 10.0, 1.25), (4.0, 12.0, 1.4), (12.0, 12.0, 1.4), (13.0, 12.0, 1.4)])
def test_delay_to_come_is_what_speeding_up_takes_longer_than_driving(v, top, accel):
    steps = 20_000
    t = (np.arange(steps) + 0.5) * (20.0 / steps)
    lost = np.maximum(1.0 - (v + accel * t) / top, 0.0).sum() * (20.0 / steps)
    assert _to_go(v, top, accel) == pytest.approx(lost, abs=1e-3)


def test_a_rollout_that_ends_at_a_standstill_has_lost_more_than_its_length():
    through, blocked = crossing(44.0, 0.0, 0, order=1.0), crossing(50.0, 0.0, 0, moves=0)
    assert through[DELAY] < 5.0
    # 12 m/s at 1.4 m/s² are still to come
    assert blocked[DELAY] > HORIZON_S - 1.5 + 12.0 / 2.8 - 1.0


def test_whoever_merges_behind_another_follows_it_instead_of_stopping_at_the_edge():
    # 40 m before the lane, the other at the same speed and 15 m nearer to it
    behind = _merge_behind(40.0, 18.0, 25.0, 18.0, 1.4, 2.0, 1.1)
    stopping = _follow(18.0, 0.0, 40.0 - MARGIN + 0.5, 1.4, 2.0, 0.3, 0.4)
    assert -3.0 < behind < 0.0
    assert stopping < -5.0
    # with more room it hardly brakes, behind one that stands it stops
    assert _merge_behind(60.0, 18.0, 10.0, 18.0, 1.4, 2.0, 1.1) > behind
    assert _merge_behind(40.0, 18.0, 1.0, 0.0, 1.4, 2.0, 1.1) < stopping


def test_who_is_further_on_than_whom_it_lets_in_drops_back_and_stops_where_the_lanes_meet():
    assert _merge_behind(30.0, 10.0, 35.0, 12.0, 1.4, 2.0, 1.1) == pytest.approx(-2.0)
    near = _merge_behind(15.0, 10.0, 20.0, 12.0, 1.4, 2.0, 1.1)
    assert near == pytest.approx(-100.0 / (2.0 * (15.0 - MARGIN)))
    assert _merge_behind(2.0, 10.0, 20.0, 12.0, 1.4, 2.0, 1.1) == pytest.approx(-HARD)
