"""Closed forms against numeric integration, brute force and their published values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import kinematics as k
from sim.interface import Floats

speeds = st.floats(0.5, 40.0)
distances = st.floats(1.0, 200.0)


def integral(values: Floats, t: Floats) -> float:
    return float(np.trapezoid(values, t))


# ---- stopping


@given(speed=st.floats(0.0, 50.0), decel=st.floats(0.5, 9.0), response=st.floats(0.0, 2.0))
def test_stopping_distance_is_what_integration_gives(speed, decel, response):
    t = np.linspace(0.0, response + speed / decel, 20001)
    travelled = integral(np.clip(speed - decel * (t - response), 0.0, speed), t)
    assert k.stopping_distance(speed, decel, response) == pytest.approx(travelled, abs=1e-3, rel=1e-5)


@pytest.mark.parametrize("decel", [0.0, -1.0, np.nan])
def test_stopping_needs_a_deceleration(decel):
    with pytest.raises(ValueError, match="decel must be positive"):
        k.stopping_distance(10.0, decel)


def test_negative_speed_is_refused():
    with pytest.raises(ValueError, match="speed must not be negative"):
        k.stopping_distance(np.array([1.0, -0.1]), 3.0)


@given(curvature=st.floats(1e-4, 0.2), lateral=st.floats(0.2, 5.0))
def test_curve_speed_costs_the_given_lateral_acceleration(curvature, lateral):
    for signed in (curvature, -curvature):
        assert k.curve_speed(signed, lateral) ** 2 * curvature == pytest.approx(lateral)


def test_a_straight_has_no_curve_speed():
    assert k.curve_speed(np.array([0.0, 0.1]), 1.6).tolist() == [np.inf, pytest.approx(4.0)]


# ---- minimum jerk


@given(speed=speeds, distance=distances)
def test_minimum_jerk_stop_meets_its_end_conditions(speed, distance):
    stop = k.minimum_jerk_stop(speed, distance)
    position, v, a, _ = stop.at(0.0)
    assert (position, v, a) == (pytest.approx(0.0, abs=1e-9 * distance), pytest.approx(speed), pytest.approx(0.0, abs=1e-12))
    for t in (stop.duration, 2.0 * stop.duration):
        position, v, a, _ = stop.at(t)
        assert (position, v, a) == (pytest.approx(distance), pytest.approx(0.0, abs=1e-12), pytest.approx(0.0, abs=1e-12))
    assert stop.at(2.0 * stop.duration)[3] == 0.0


@given(speed=speeds, distance=distances)
def test_minimum_jerk_stop_is_consistent_in_every_derivative(speed, distance):
    stop = k.minimum_jerk_stop(speed, distance)
    t = np.linspace(0.0, float(stop.duration), 4001)
    position, v, a, j = stop.at(t)
    assert np.abs(np.gradient(position, t) - v)[1:-1].max() < 1e-4 * speed
    assert np.abs(np.gradient(v, t) - a)[1:-1].max() < 1e-4 * stop.peak_decel
    assert np.abs(np.gradient(a, t) - j)[1:-1].max() < 1e-3 * stop.peak_jerk
    assert integral(j**2, t) == pytest.approx(float(stop.cost), rel=1e-5)
    assert -a.min() == pytest.approx(float(stop.peak_decel), rel=1e-5)
    assert np.abs(j).max() == pytest.approx(float(stop.peak_jerk), rel=1e-6)
    assert v.min() >= -1e-12


def test_minimum_jerk_stop_published_values():
    stop = k.minimum_jerk_stop(10.0, 50.0)
    assert float(stop.duration) == 12.5
    assert float(stop.cost) == pytest.approx(768 / 625 * 1e5 / 125e3)
    assert float(stop.peak_decel) == pytest.approx(0.711 * 100 / 50, rel=1e-3)
    assert float(stop.peak_jerk) == pytest.approx(1.92 * 1000 / 2500)


@given(
    speed=speeds,
    distance=distances,
    stretch=st.floats(0.5, 1.5),
    accel=st.floats(-2.0, 2.0),
    weights=st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3),
)
def test_quintic_stop_is_optimal_among_admissible_perturbations(speed, distance, stretch, accel, weights):
    duration = stretch * 2.5 * distance / speed
    coefficients = k.quintic_stop(distance, speed, accel, duration)
    x = np.polynomial.Polynomial(coefficients)
    ends = [x(0.0), x.deriv()(0.0), x.deriv(2)(0.0), x(duration), x.deriv()(duration), x.deriv(2)(duration)]
    scale = max(distance, speed * duration, duration**2)
    assert ends == pytest.approx([0.0, speed, accel, distance, 0.0, 0.0], abs=1e-7 * scale)

    # t³(T−t)³ vanishes with two derivatives at both ends, so adding any multiple keeps the end conditions.
    bump = np.polynomial.Polynomial([0, 0, 0, 1]) * np.polynomial.Polynomial([duration, -1]) ** 3 / duration**6
    other = x + distance * bump * np.polynomial.Polynomial(weights)

    def cost(path):
        squared = path.deriv(3) ** 2
        return (squared.integ()(duration) - squared.integ()(0.0)).item()

    assert k.quintic_stop_cost(distance, speed, accel, duration) == pytest.approx(cost(x), rel=1e-6, abs=1e-9)
    assert cost(other) >= cost(x) * (1.0 - 1e-9) - 1e-9


@given(speed=speeds, distance=distances)
def test_no_duration_that_stays_forward_beats_the_free_stop(speed, distance):
    stop = k.minimum_jerk_stop(speed, distance)
    # Up to 2.5 d/v the quintic never reverses; a longer one does, which is what `v >= 0` forbids.
    fixed = k.quintic_stop_cost(distance, speed, 0.0, stop.duration * np.linspace(0.3, 1.0, 50))
    assert np.all(fixed >= stop.cost * (1.0 - 1e-9))
    assert fixed[-1] == pytest.approx(float(stop.cost))


# ---- following


@given(speed=st.floats(0.0, 29.0), desired=st.floats(30.0, 50.0), time_gap=st.floats(0.5, 3.0), standstill=st.floats(0.5, 4.0))
def test_idm_acceleration_is_zero_at_the_equilibrium_gap(speed, desired, time_gap, standstill):
    gap = k.idm_equilibrium_gap(speed, desired, time_gap, standstill)
    assert 1.0 - (speed / desired) ** 4 - ((standstill + speed * time_gap) / gap) ** 2 == pytest.approx(0.0, abs=1e-9)


def test_idm_has_no_equilibrium_at_the_desired_speed():
    assert k.idm_equilibrium_gap(np.array([0.0, 30.0, 31.0]), 30.0, 1.5, 2.0).tolist() == [2.0, np.inf, np.inf]


def test_rss_published_gaps():
    assert float(k.rss_longitudinal_gap(13.9, 13.9)) == pytest.approx(41.0, abs=0.5)
    assert float(k.rss_longitudinal_gap(13.9, 13.9, k.RSS_DENSE)) == pytest.approx(9.0, abs=0.1)


@given(rear=st.floats(0.0, 40.0), front=st.floats(0.0, 40.0), more=st.floats(0.01, 10.0))
def test_rss_gap_grows_with_rear_speed_and_shrinks_with_front_speed(rear, front, more):
    gap = k.rss_longitudinal_gap(rear, front)
    assert gap >= 0.0
    assert k.rss_longitudinal_gap(rear + more, front) >= gap
    assert k.rss_longitudinal_gap(rear, front + more) <= gap
    if gap > 0.0:
        assert k.rss_longitudinal_gap(rear + more, front) > gap


@given(rear=st.floats(0.0, 40.0), front=st.floats(0.0, 40.0))
def test_rss_gap_keeps_two_worst_case_cars_apart(rear, front):
    limits = k.RSS_REFERENCE
    gap = float(k.rss_longitudinal_gap(rear, front))
    t = np.linspace(0.0, 20.0, 8001)
    top = rear + limits.accel_max * limits.response_s
    v_rear = np.where(
        t < limits.response_s, rear + limits.accel_max * t, np.maximum(top - limits.brake_min * (t - limits.response_s), 0)
    )
    v_front = np.maximum(front - limits.brake_max * t, 0.0)
    apart = gap - np.concatenate(
        [[0.0], np.cumsum(np.diff(t) * 0.5 * (v_rear - v_front)[1:] + np.diff(t) * 0.5 * (v_rear - v_front)[:-1])]
    )
    if gap > 0.0:
        assert apart[-1] == pytest.approx(0.0, abs=0.02), "the gap is the least that does"
    assert apart[-1] >= -0.02


@given(a=st.floats(-2.0, 2.0), b=st.floats(-2.0, 2.0), more=st.floats(0.01, 1.0))
def test_rss_lateral_gap_is_symmetric_and_grows_with_approach(a, b, more):
    gap = k.rss_lateral_gap(a, b)
    assert gap == k.rss_lateral_gap(b, a)
    assert gap >= k.RSS_REFERENCE.lateral_margin
    assert k.rss_lateral_gap(a + more, b) >= gap


def test_rss_limits_refuse_nonsense():
    with pytest.raises(ValueError, match="brake_min must be positive"):
        k.RssLimits(brake_min=0.0)
    with pytest.raises(ValueError, match="response_s must not be negative"):
        k.RssLimits(response_s=-1.0)


# ---- time to collision


def corners(box: Floats) -> Floats:
    """(4, 2) corners, counter-clockwise."""
    c, s = np.cos(box[2]), np.sin(box[2])
    half = 0.5 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * box[5:7]
    return half @ np.array([[c, s], [-s, c]]) + box[:2]


def overlap(a: Floats, b: Floats) -> bool:
    """Whether two convex outlines share a point, by clipping one with the other's sides."""
    polygon = list(corners(a))
    clip = corners(b)
    for start, end in zip(clip, np.roll(clip, -1, axis=0), strict=True):
        normal = np.array([-(end - start)[1], (end - start)[0]])
        kept = []
        for p, q in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            inside_p, inside_q = (p - start) @ normal, (q - start) @ normal
            if inside_p >= 0.0:
                kept.append(p)
            if inside_p * inside_q < 0.0:
                kept.append(p + (q - p) * inside_p / (inside_p - inside_q))
        polygon = kept
        if not polygon:
            return False
    return True


def moved(box: Floats, t: float) -> Floats:
    later = box.copy()
    later[:2] += box[3:5] * t
    return later


boxes = st.builds(
    lambda *values: np.array(values),
    st.floats(-20, 20), st.floats(-20, 20), st.floats(-3.1, 3.1), st.floats(-10, 10), st.floats(-10, 10),
    st.floats(0.5, 8), st.floats(0.5, 3),
)  # fmt: skip


@given(a=boxes, b=boxes)
def test_time_to_collision_agrees_with_brute_force(a, b):
    ttc = float(k.time_to_collision(a, b))
    assert ttc == float(k.time_to_collision(b, a)) or ttc == pytest.approx(float(k.time_to_collision(b, a)))
    if np.isinf(ttc):
        assert not any(overlap(moved(a, t), moved(b, t)) for t in np.linspace(0.01, 8.0, 60))
    elif ttc == 0.0:
        assert overlap(moved(a, 0.0), moved(b, 0.0))
    elif ttc < 100.0:
        assert not any(overlap(moved(a, t), moved(b, t)) for t in np.linspace(0.0, ttc * (1 - 1e-6) - 1e-6, 30) if t >= 0.0)
        grown_a, grown_b = moved(a, ttc), moved(b, ttc)
        grown_a[5:7] += 1e-6
        grown_b[5:7] += 1e-6
        assert overlap(grown_a, grown_b), "they touch at that time"


@given(a=boxes, b=boxes, turn=st.floats(-3.0, 3.0), shift=st.floats(-50.0, 50.0))
def test_time_to_collision_does_not_depend_on_the_frame(a, b, turn, shift):
    # A sliding contact along parallel sides is decided by rounding; grown boxes on both sides bracket the answer instead.
    def turned(box):
        c, s = np.cos(turn), np.sin(turn)
        x, y, heading, vx, vy, length, width = box
        return np.array(
            [c * x - s * y + shift, s * x + c * y - shift, heading + turn, c * vx - s * vy, s * vx + c * vy, length, width]
        )

    def grown(box, by):
        return box + np.array([0, 0, 0, 0, 0, by, by])

    early = float(k.time_to_collision(grown(a, 1e-6), grown(b, 1e-6)))
    late = float(k.time_to_collision(grown(a, -1e-6), grown(b, -1e-6)))
    assert early - 1e-9 <= float(k.time_to_collision(turned(a), turned(b))) <= late + 1e-9


def test_time_to_collision_broadcasts_and_meets_the_lane_formula():
    rear = np.array([[0.0, 0.0, 0.0, v, 0.0, 4.0, 2.0] for v in (5.0, 10.0, 20.0)])
    front = np.array([34.0, 0.5, 0.0, 5.0, 0.0, 4.0, 2.0])
    lane = k.time_to_collision_on_lane(30.0, rear[:, 3], 5.0)
    assert k.time_to_collision(rear, front) == pytest.approx(lane)
    assert lane.tolist() == [np.inf, 6.0, 2.0]


def test_a_closed_gap_has_no_time_left():
    assert k.time_to_collision_on_lane(np.array([0.0, -1.0]), 3.0, 9.0).tolist() == [0.0, 0.0]


@given(a=st.tuples(st.floats(0, 10), st.floats(0.1, 5)), b=st.tuples(st.floats(0, 10), st.floats(0.1, 5)))
def test_post_encroachment_time_is_negative_exactly_when_both_are_inside(a, b):
    (enter_a, stay_a), (enter_b, stay_b) = a, b
    leave_a, leave_b = enter_a + stay_a, enter_b + stay_b
    pet = float(k.post_encroachment_time(enter_a, leave_a, enter_b, leave_b))
    assert pet == float(k.post_encroachment_time(enter_b, leave_b, enter_a, leave_a))
    assert (pet < 0.0) == (min(leave_a, leave_b) > max(enter_a, enter_b))


# ---- UN R157


@given(rear=st.floats(0.0, 40.0), front=st.floats(0.0, 40.0))
def test_competent_driver_distance_is_what_integration_gives(rear, front):
    t = np.linspace(0.0, 12.0, 24001)
    decel = np.clip((t - k.R157_RESPONSE_S) * k.R157_JERK, 0.0, k.R157_DECEL)
    closing = rear - front - np.concatenate([[0.0], np.cumsum(0.5 * (decel[1:] + decel[:-1]) * np.diff(t))])
    used = integral(np.maximum(closing, 0.0), t)
    assert k.competent_driver_closing_distance(rear - front) == pytest.approx(used, abs=2e-3)
    assert k.competent_driver_avoids(used + 0.01, rear, front)
    if used > 0.02:
        assert not k.competent_driver_avoids(used - 0.01, rear, front)


def test_fuzzy_model_at_its_corners():
    # 20 m/s behind a standing leader: safe 15 + 50 + 2, unsafe 15 + 33.3
    assert k.fuzzy_proactive(np.array([67.0, 48.0]), 20.0, 0.0).tolist() == [0.0, 1.0]
    assert float(k.fuzzy_proactive(0.5 * (67.0 + 15.0 + 400.0 / 12.0), 20.0, 0.0)) == pytest.approx(0.5)
    # no acceleration: the critical distances are 15 + 50 and 15 + 33.3
    assert k.fuzzy_critical(np.array([65.0, 48.0]), 20.0, 0.0, 0.0).tolist() == [0.0, 1.0]
    assert k.fuzzy_deceleration(np.array([80.0, 66.0, 48.0]), 20.0, 0.0, 0.0) == pytest.approx(
        [0.0, 4.0 / (67.0 - 145.0 / 3.0), 6.0]
    )


@given(
    gap=st.floats(0.1, 150.0),
    rear=st.floats(0.0, 40.0),
    front=st.floats(0.0, 40.0),
    accel=st.floats(-6.0, 3.0),
    more=st.floats(0.1, 20.0),
)
def test_fuzzy_deceleration_is_bounded_and_falls_with_the_gap(gap, rear, front, accel, more):
    near, far = k.fuzzy_deceleration(np.array([gap, gap + more]), rear, front, accel)
    assert 0.0 <= far <= near <= k.FUZZY_BRAKE_MAX


def test_shapes_broadcast():
    speed = np.ones((3, 1))
    assert k.stopping_distance(speed, np.ones(4)).shape == (3, 4)
    assert k.minimum_jerk_stop(speed, np.ones(4)).cost.shape == (3, 4)
    assert k.quintic_stop(5.0, speed, np.zeros(4), 3.0).shape == (3, 4, 6)
