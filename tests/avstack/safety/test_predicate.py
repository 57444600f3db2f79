"""The predicate that planner and filter share, and the closed form of braking that both reckon with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avstack.motion.profile import RUN_STEPS, STEP_S, brake_run, brake_way
from avstack.safety.assumptions import Assumption, Assumptions
from avstack.safety.predicate import HIDDEN, NEVER, PERSON, VEHICLE, arrival_time, braking_distance, may_pass

NUMBERS = Assumptions().numbers()


@given(st.floats(0.0, 35.0), st.floats(-2.0, 2.0), st.sampled_from([(1.9, 1.3), (3.8, 3.4), (7.6, 10.2)]))
def test_the_closed_form_is_the_run_that_motion_drives(v, a, limits):
    if a < 0.0 and a * a > 2.0 * limits[1] * v:
        a = 0.0  # no state of a car that rolls forward
    run = np.zeros((400, 3))
    run[0] = 0.0, v, a
    driven = float(brake_run(run, *limits))
    assert braking_distance(v, a, limits[0], limits[1], 0.0) == pytest.approx(
        driven, abs=0.25
    )  # steps of 0.1 s; less than the margin before a bar


@given(
    st.floats(0.0, 35.0),
    st.floats(-8.0, 2.0),
    st.sampled_from([(1.9, 1.3), (3.8, 3.4), (7.6, 10.2)]),
    st.sampled_from([0.0, 0.1, 0.2]),
)
def test_a_way_out_is_reckoned_as_long_as_it_is_driven(v, a, limits, delay):
    then = v + a * delay
    run = np.zeros((600, 3))
    run[0] = v * delay + 0.5 * a * delay**2, max(then, 0.0), a
    if then > 0.0:
        assert brake_way(v, a, limits[0], limits[1], delay) == pytest.approx(float(brake_run(run, *limits)), abs=1e-9)
    else:
        assert brake_way(v, a, limits[0], limits[1], delay) <= v * delay + 1e-9


@pytest.mark.parametrize("limits", [(1.7, 3.6), (6.3, 27.0), (2.0, 1.5), (0.8, 2.0)])
def test_a_brake_that_is_hardly_on_still_ends_at_rest(limits):
    """Whoever rolls slowly and hardly brakes must brake harder: easing off from there would go on for ever."""
    brake, jerk = limits
    for v in (1e-5, 1e-3, 0.008, 0.03, 0.1, 0.3, 1.0, 5.0):
        for a in (-1.0, -0.1, -1e-3, -1e-6, -1e-9, -1e-15):
            assert brake_way(v, a, brake, jerk, 0.0) <= v * (v / (2.0 * brake) + brake / jerk + STEP_S), (v, a)
            run = np.zeros((RUN_STEPS, 3))
            run[0] = 0.0, v, a
            brake_run(run, brake, jerk)
            assert run[-1, 1] == 0.0
            assert np.abs(np.diff(run[:, 2])).max() <= jerk * STEP_S + max(-a, 0.0) + 1e-9


def test_latency_costs_its_way():
    assert braking_distance(10.0, 0.0, 7.6, 10.2, 0.2) == pytest.approx(2.0 + braking_distance(10.0, 0.0, 7.6, 10.2, 0.0))


@given(st.floats(0.1, 80.0), st.floats(0.0, 20.0), st.floats(0.1, 20.0))
def test_nobody_arrives_before_the_earliest_arrival(distance, v, top):
    earliest = arrival_time(distance, v, 2.0, top)
    t, s, speed = 0.0, 0.0, v
    while s < distance and t < 60.0:
        speed = max(min(speed + 2.0 * 0.01, max(top, v)), v)
        s, t = s + speed * 0.01, t + 0.01
    assert t >= min(earliest, 60.0) - 0.03


def passing(other_enter=30.0, v=10.0, leaves=NEVER, ahead=NEVER, ego=5.0, along=0.0, rule=0, sort=VEHICLE):
    return Assumption(may_pass(ahead, leaves, ego, other_enter, v, 13.9, along, rule, sort, NUMBERS))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"leaves": 1.5}, Assumption.ARRIVAL),
        ({"leaves": 2.8, "other_enter": 10.0}, Assumption.NONE),
        ({"other_enter": 0.0, "leaves": 0.1}, Assumption.NONE),
        ({"other_enter": 0.5, "v": 0.0}, Assumption.WAITS),
        ({"other_enter": 30.0}, Assumption.RESPONDS),
        ({"other_enter": 24.0}, Assumption.NONE),
        ({"other_enter": 12.0, "rule": 1}, Assumption.RULES),
        ({"other_enter": 9.0, "rule": 1}, Assumption.NONE),
        ({"other_enter": 30.0, "rule": -1}, Assumption.NONE),
        ({"other_enter": 40.0, "rule": -1}, Assumption.PRIORITY),
        ({"other_enter": 30.0, "along": 1.0, "ahead": 1.5, "ego": 8.0, "rule": -1}, Assumption.FOLLOWS),
        ({"other_enter": 16.0, "along": 1.0, "ahead": 1.5, "ego": 3.0, "rule": -1}, Assumption.NONE),
        ({"other_enter": 8.0, "v": 1.4, "leaves": 3.0, "sort": PERSON}, Assumption.PERSON),
        ({"other_enter": 4.0, "v": 1.4, "sort": PERSON}, Assumption.PERSON_WAITS),
        ({"other_enter": 4.0, "v": 1.4, "sort": PERSON, "rule": -1}, Assumption.NONE),
        ({"other_enter": 1.0, "v": 1.4, "sort": PERSON}, Assumption.NONE),
        ({"other_enter": 3.0, "ego": 1.0, "sort": HIDDEN}, Assumption.CREEP),
        ({"other_enter": 3.0, "ego": 4.0, "sort": HIDDEN}, Assumption.NONE),
    ],
)
def test_what_passing_rests_on(case, expected):
    assert passing(**case) == expected


@given(st.floats(0.1, 60.0), st.floats(0.5, 20.0), st.sampled_from([-1, 0, 1]), st.floats(0.0, 10.0))
def test_more_way_of_the_other_never_forbids(distance, v, rule, leaves):
    if passing(other_enter=distance, v=v, rule=rule, leaves=leaves) != Assumption.NONE:
        assert passing(other_enter=distance + 5.0, v=v, rule=rule, leaves=leaves) != Assumption.NONE


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0])
def test_assumptions_are_checked(value):
    with pytest.raises(ValueError, match="friction"):
        Assumptions(friction=value)
    with pytest.raises(ValueError, match="response_brake"):
        Assumptions(response_brake=value)
