"""Collisions that an attentive driver would have avoided, and those that nobody could."""

from __future__ import annotations

import numpy as np

from eval.metrics.registry import METRICS
from eval.metrics.result import References
from sim.interface import Floats

from .written import EGO, MIDDLE, OTHER, recording, standing, steady

TICKS = 100


def avoidable(ego: Floats, other: Floats, contact: int) -> float:
    events = [("COLLISION", contact, EGO, OTHER)]
    return METRICS["avoidable_collisions"](recording(ego, other, events=events), References()).value


def test_driving_into_what_stands_in_full_view_is_avoidable():
    ego = np.minimum(steady(TICKS, -30.0, 8.0), MIDDLE - 3.0)
    assert avoidable(ego, standing(TICKS, MIDDLE), int(np.argmax(ego >= MIDDLE - 3.3))) == 1.0


def test_who_runs_into_ego_out_of_nothing_is_not():
    other = standing(TICKS, MIDDLE - 4.0)
    other[50:] = np.minimum(MIDDLE - 4.0 + 1.2 * np.arange(50), MIDDLE)
    ego = steady(TICKS, MIDDLE - 8.0 * 5.0 - 3.0, 8.0)
    assert avoidable(ego, other, 52) == 0.0


def test_no_collision_is_none():
    found = METRICS["avoidable_collisions"](recording(steady(TICKS, 0.0, 5.0), standing(TICKS)), References())
    assert found.value == 0.0
    assert found.valid
