"""Who got in the way of somebody that could not stop any more, and who did not."""

from __future__ import annotations

import numpy as np

from eval.metrics.registry import METRICS
from eval.metrics.result import References
from sim.interface import Floats

from .written import EGO, MIDDLE, OTHER, recording, standing, steady

TICKS = 120


def cut_off(ego: Floats, other: Floats, contact: int) -> float:
    events = [("COLLISION", contact, EGO, OTHER)]
    return METRICS["cut_off_collisions"](recording(ego, other, events=events), References()).value


def test_pulling_out_in_front_of_somebody_is_ones_own_doing():
    ego = standing(TICKS, MIDDLE - 5.0)
    ego[40:] = MIDDLE - 5.0 + 0.25 * np.arange(80)
    # the other comes at 10 m/s and is 15 m away when ego's bonnet enters its lane: it needs 26.7 m
    other = steady(TICKS, MIDDLE - 60.0, 10.0)
    assert cut_off(ego, other, 58) == 1.0


def test_being_in_the_way_in_good_time_is_not():
    ego = np.minimum(steady(TICKS, MIDDLE - 15.0, 5.0), MIDDLE + 1.0)
    ego += 0.06 * np.arange(TICKS)  # still rolling when it is hit
    other = steady(TICKS, MIDDLE - 90.0, 10.0)
    assert cut_off(ego, other, 88) == 0.0


def test_one_who_stands_has_cut_nobody_off():
    assert cut_off(standing(TICKS, MIDDLE), steady(TICKS, MIDDLE - 60.0, 10.0), 57) == 0.0
