"""Closed forms of smooth motion: end conditions, optimality against admissible changes, peaks, and shortest times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from avstack.motion.minimum_jerk import (
    gentle_way,
    minimum_jerk_stop,
    quintic_connection,
    quintic_stop_cost,
    rest_to_rest_duration,
    smooth_stop,
    speed_change,
    travel_time,
)

SPEEDS = st.floats(0.5, 30.0)
ACCELS = st.floats(-2.0, 1.5)
WAYS = st.floats(0.5, 200.0)


def stop(speed: float, accel: float, way: float):
    found = smooth_stop(speed, accel, way)
    assume(found is not None and found.duration < 200.0)
    return found


@given(SPEEDS, ACCELS, WAYS)
def test_a_stop_begins_and_ends_as_asked_and_never_rolls_back(speed, accel, way):
    found = stop(speed, accel, way)
    s = Polynomial(found.coefficients)
    v, a, j = (s.deriv(k) for k in (1, 2, 3))
    end = found.duration
    assert (s(0.0), v(0.0), a(0.0)) == pytest.approx((0.0, speed, accel))
    assert s(end) == pytest.approx(way, rel=1e-6)
    assert (v(end), a(end), j(end)) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6 * max(speed**3 / way**2, 1.0))
    t = np.linspace(0.0, end, 400)
    assert v(t).min() > -1e-6 * speed


@given(SPEEDS, st.floats(-1.5, 1.5))
def test_a_gentle_stop_keeps_its_peaks_and_a_shorter_one_does_not(speed, accel):
    way = gentle_way(speed, accel, 1.6, 1.1)
    later, sooner = smooth_stop(speed, accel, 1.01 * way + 0.01), smooth_stop(speed, accel, way)
    # where the car would stand before, nothing is gentler than letting go at once
    if later is not None:
        assert later.peak_brake <= 1.6
        assert later.peak_jerk <= 1.1
    assert sooner is not None
    assert sooner.peak_brake > 1.6 or sooner.peak_jerk > 1.1


def test_at_rest_no_way_is_needed():
    assert gentle_way(0.0, 0.0, 1.6, 1.1) == 0.0


@given(SPEEDS, ACCELS, WAYS)
def test_peaks_and_cost_are_those_of_the_polynomial(speed, accel, way):
    found = stop(speed, accel, way)
    s, t = Polynomial(found.coefficients), np.linspace(0.0, found.duration, 4001)
    jerk = s.deriv(3)(t)
    assert found.peak_brake == pytest.approx(max(-s.deriv(2)(t).min(), -accel), rel=1e-4, abs=1e-6)
    assert found.peak_jerk == pytest.approx(np.abs(jerk).max(), rel=1e-4, abs=1e-9)
    assert found.cost == pytest.approx(np.trapezoid(jerk**2, t), rel=1e-3, abs=1e-9)


@given(SPEEDS, WAYS)
def test_without_initial_acceleration_it_is_the_known_bound(speed, way):
    found, known = stop(speed, 0.0, way), minimum_jerk_stop(speed, way)
    assert (found.duration, found.cost) == pytest.approx((float(known.duration), float(known.cost)))


@given(SPEEDS, ACCELS, WAYS, st.floats(0.3, 0.99))
def test_no_shorter_stop_costs_less(speed, accel, way, share):
    found = stop(speed, accel, way)
    assert float(quintic_stop_cost(way, speed, accel, share * found.duration)) >= found.cost * (1.0 - 1e-9)


@given(SPEEDS, WAYS, st.floats(0.05, 0.9))
def test_a_stop_begun_anew_on_the_way_is_the_same_stop(speed, way, share):
    found = stop(speed, 0.0, way)
    s = Polynomial(found.coefficients)
    t = share * found.duration
    again = smooth_stop(s.deriv(1)(t), s.deriv(2)(t), way - s(t))
    assert again is not None
    assert again.duration == pytest.approx(found.duration - t, rel=1e-5)


@pytest.mark.parametrize(("speed", "accel", "way"), [(5.0, 0.0, 0.0), (0.0, 0.0, 3.0), (5.0, -2.0, 30.0), (5.0, 0.0, -1.0)])
def test_there_is_no_stop_without_way_speed_or_when_braking_too_hard(speed, accel, way):
    assert smooth_stop(speed, accel, way) is None


@given(*(st.tuples(*(st.floats(-3.0, 3.0),) * 3) for _ in range(2)), st.floats(0.5, 20.0))
def test_a_connection_meets_both_ends(start, end, length):
    y = Polynomial(quintic_connection(start, end, length))
    assert (y(0.0), y.deriv(1)(0.0), y.deriv(2)(0.0)) == pytest.approx(start)
    assert (y(length), y.deriv(1)(length), y.deriv(2)(length)) == pytest.approx(end, abs=1e-6)


def test_a_connection_without_length_is_refused():
    with pytest.raises(ValueError, match=r"positive length, got 0\.0"):
        quintic_connection((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.0)


@given(st.floats(0.1, 50.0))
def test_rest_to_rest_keeps_its_limits_with_one_of_them_binding(way):
    duration = rest_to_rest_duration(way, 1.5, 1.2)
    y, t = Polynomial(quintic_connection((0.0, 0.0, 0.0), (way, 0.0, 0.0), duration)), np.linspace(0.0, duration, 4001)
    use = max(np.abs(y.deriv(2)(t)).max() / 1.5, np.abs(y.deriv(3)(t)).max() / 1.2)
    assert use == pytest.approx(1.0, rel=1e-3)


def shortest_by_stepping(speed: float, end: float, accel: float, jerk: float) -> tuple[float, float]:
    """Bang-bang in small steps: push until the speed that letting go would lead to is the one wanted."""
    h, t, v, a, s = 1e-3, 0.0, speed, 0.0, 0.0
    sign = 1.0 if end > speed else -1.0
    while sign * (end - v) > 1e-6 or abs(a) > 2 * jerk * h:
        let_go = sign * (end - v) <= 0.5 * a * a / jerk
        a = sign * (max(sign * a - jerk * h, 0.0) if let_go else min(sign * a + jerk * h, accel))
        v += a * h
        s += v * h
        t += h
        if let_go and a == 0.0:
            break
    return t, s


@pytest.mark.parametrize(("speed", "end"), [(0.0, 12.0), (10.0, 0.5), (5.0, 5.4), (8.0, 8.0)])
def test_changing_speed_takes_as_long_as_stepping_says(speed, end):
    duration, way = speed_change(speed, end, (1.5, 1.2))
    stepped = shortest_by_stepping(speed, end, 1.5, 1.2)
    assert (duration, way) == pytest.approx(stepped, rel=5e-3, abs=5e-3)


def test_an_acceleration_under_way_is_let_go_first():
    duration, way = speed_change(5.0, 5.0, (1.5, 1.0), accel=1.0)
    assert duration > 1.0
    assert way > 5.0 * duration


@given(st.floats(0.1, 100.0), st.floats(0.0, 10.0))
def test_travel_time_is_monotone_and_never_beats_top_speed(way, speed):
    limits = (1.5, 1.2)
    t = travel_time(way, speed, 12.0, limits)
    assert t >= way / 12.0 - 1e-9
    assert travel_time(way + 1.0, speed, 12.0, limits) > t
    assert travel_time(way, min(speed + 1.0, 12.0), 12.0, limits) <= t + 1e-6
