"""Comfort: unforced stops, and the jerk beyond what the same crossing needed."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics.comfort import squared_jerk
from eval.metrics.registry import METRICS
from eval.metrics.result import References
from sim.interface import Floats
from sim.kinematics import minimum_jerk_stop
from sim.recording import TICK_DTYPE

from .written import JUNCTION, recording, standing, steady

TICKS = 200


def smooth_stop(speed: float = 8.0, distance: float = 40.0) -> Floats:
    """A minimum-jerk stop, then at rest."""
    stop = minimum_jerk_stop(speed, distance)
    t = np.minimum(0.1 * np.arange(TICKS), float(stop.duration))
    return np.asarray(stop.at(t)[0] - 20.0)


def hard_stop(speed: float = 8.0) -> Floats:
    """Full speed until 2 m before the same place, then a brake like a wall."""
    return np.asarray(np.minimum(steady(TICKS, -20.0, speed), 20.0))


def value(name: str, ego: Floats, **traced: list[float]) -> float:
    return METRICS[name](recording(ego, standing(TICKS), traced), References(junction=JUNCTION)).value


def test_a_smooth_stop_keeps_within_the_bounds_and_a_hard_one_does_not():
    assert value("stop_jerk_95", smooth_stop()) < 1.5
    assert value("stop_jerk_over", smooth_stop()) == 0.0
    assert value("stop_decel", smooth_stop()) < 2.0
    assert value("stop_jerk_95", hard_stop()) > 1.5
    assert value("stop_decel", hard_stop()) > 2.0


def test_the_cruise_before_a_stop_is_none_of_it():
    cruise = np.concatenate([steady(60, -20.0 - 48.0, 8.0), smooth_stop()])[:TICKS]
    assert value("stop_ticks", cruise) == pytest.approx(value("stop_ticks", smooth_stop()), abs=2)


def test_squared_jerk_is_that_of_both_steps_of_a_tick():
    """Steps of 0.05 s with a jerk of 2 and 1 m/s³, and of -1 and 3: the recorded jerk is the larger one."""
    rows = np.zeros(3, TICK_DTYPE)
    rows["jerk"], rows["accel"] = [0.0, 2.0, 3.0], [0.0, 0.15, 0.25]
    assert squared_jerk(rows, 0.1).tolist() == pytest.approx([0.0, 0.05 * (4.0 + 1.0), 0.05 * (1.0 + 9.0)])


def test_a_stop_that_the_fallback_drove_is_forced():
    assert value("stop_ticks", hard_stop(), intervention=[1.0] * TICKS) == 0.0
    assert value("stop_ticks", hard_stop(), intervention=[0.0] * TICKS) > 0.0


def test_steady_driving_needs_no_jerk_and_regrets_none():
    calm = steady(TICKS, 0.0, 5.0)
    assert value("comfort_regret", calm) == pytest.approx(0.0, abs=0.05)


def test_a_jerky_crossing_at_the_same_times_is_regretted():
    wavy = steady(TICKS, 0.0, 5.0) + 0.2 * np.sin(2.0 * np.arange(TICKS) * 0.1)
    used = value("jerk_of_crossing", wavy)
    assert used > 10.0
    assert value("comfort_regret", wavy) > 0.9 * used


def test_the_least_jerk_is_less_than_any_motion_with_the_same_times():
    t = 0.1 * np.arange(TICKS)
    draw = np.random.default_rng(3)
    for _ in range(5):
        wave = 0.15 * np.sin(draw.uniform(0.3, 1.5) * t + draw.uniform(0.0, 6.0))
        assert value("comfort_regret", np.asarray(5.0 * t + wave)) >= -0.05
