"""Closed forms of driving: stopping, following, safe distances, time to collision. Pure functions over arrays; nothing is kept.

SI units and radians; arguments broadcast against each other and results have the broadcast shape. "Never" is infinity.
Sources: minimum jerk by Pontryagin's principle (Flash and Hogan 1985 for the quintic); IDM, Treiber, Hennecke and Helbing 2000,
eq. 3; RSS, Shalev-Shwartz, Shammah and Shashua 2017, definitions 1 and 6; the competent driver of UN Regulation 157, annex 3;
the fuzzy safety model, Mattas et al. 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.interface import Floats

Reals = float | Floats
"""A number or an array of them."""

GRAVITY = 9.81


def _positive(**values: Reals) -> None:
    """ValueError unless every number given is positive; the message names it."""
    for name, value in values.items():
        if not np.all(np.asarray(value) > 0.0):
            raise ValueError(f"{name} must be positive, got {value!r}")


def _not_negative(**values: Reals) -> None:
    """ValueError unless every number given is zero or more; the message names it."""
    for name, value in values.items():
        if not np.all(np.asarray(value) >= 0.0):
            raise ValueError(f"{name} must not be negative, got {value!r}")


def _ratio_or_never(numerator: Reals, denominator: Reals) -> Floats:
    """numerator / denominator where the denominator is positive, infinity elsewhere."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64))
    ratio: Floats = np.divide(top, bottom, out=np.full(top.shape, np.inf), where=bottom > 0.0)
    return ratio


# ---- stopping


def stopping_distance(speed: Reals, decel: Reals, response_s: Reals = 0.0) -> Floats:
    """Distance [m] to rest from `speed` >= 0 under constant `decel` > 0, begun after `response_s`."""
    _positive(decel=decel)
    _not_negative(speed=speed, response_s=response_s)
    v = np.asarray(speed, dtype=np.float64)
    return np.asarray(v * response_s + v * v / (2.0 * np.asarray(decel)))


def curve_speed(curvature: Reals, lateral_accel: Reals) -> Floats:
    """Speed [m/s] at which a curve of `curvature` [1/m, any sign] costs `lateral_accel` > 0; infinite on a straight."""
    _positive(lateral_accel=lateral_accel)
    return np.sqrt(_ratio_or_never(lateral_accel, np.abs(curvature)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumJerkStop:
    """The smoothest stop over a given distance when its duration is free: least integral of jerk squared, never backwards.

    Starts at `speed` v0 with no acceleration and rests after `distance` d. duration T = 2.5 d/v0; cost = 768/625 v0^5/d^3 is the
    integral of jerk squared [m²/s⁵]; peak_decel = 0.711 v0²/d [m/s²]; peak_jerk = 1.92 v0³/d² [m/s³]. Arrays of one shape.
    """

    speed: Floats
    distance: Floats
    duration: Floats
    cost: Floats
    peak_decel: Floats
    peak_jerk: Floats

    def at(self, t: Reals) -> tuple[Floats, Floats, Floats, Floats]:
        """Position, speed, acceleration and jerk at time `t` >= 0 from the start (at rest after the duration)."""
        _not_negative(t=t)
        total, v0 = self.duration, self.speed
        x = np.clip(1.0 - np.asarray(t) / total, 0.0, 1.0)
        position = self.distance - v0 * total * (x**4 - 0.6 * x**5)
        moving = np.asarray(t) <= total
        jerk = np.where(moving, v0 / total**2 * (24.0 * x - 36.0 * x**2), 0.0)
        return position, v0 * (4.0 * x**3 - 3.0 * x**4), -v0 / total * 12.0 * (x**2 - x**3), jerk


def minimum_jerk_stop(speed: Reals, distance: Reals) -> MinimumJerkStop:
    """The free-duration minimum-jerk stop from `speed` > 0 (no initial acceleration) within `distance` > 0."""
    _positive(speed=speed, distance=distance)
    v, d = (np.array(item, dtype=np.float64) for item in np.broadcast_arrays(speed, distance))
    return MinimumJerkStop(
        speed=v,
        distance=d,
        duration=np.asarray(2.5 * d / v),
        cost=np.asarray(768.0 / 625.0 * v**5 / d**3),
        peak_decel=np.asarray(32.0 / 45.0 * v**2 / d),
        peak_jerk=np.asarray(1.92 * v**3 / d**2),
    )


def quintic_stop(distance: Reals, speed: Reals, accel: Reals, duration: Reals) -> Floats:
    """(..., 6) coefficients, constant first, of the minimum-jerk position: from (0, speed, accel) to rest at `distance`.

    `duration` > 0 is fixed; where it is long for the distance the motion overshoots or reverses.
    """
    _positive(duration=duration)
    d, v, a, t = np.broadcast_arrays(*(np.asarray(item, dtype=np.float64) for item in (distance, speed, accel, duration)))
    cubic = (20.0 * d - 12.0 * v * t - 3.0 * a * t**2) / (2.0 * t**3)
    quartic = (-30.0 * d + 16.0 * v * t + 3.0 * a * t**2) / (2.0 * t**4)
    quintic = (12.0 * d - 6.0 * v * t - a * t**2) / (2.0 * t**5)
    return np.stack([np.zeros_like(d), v, 0.5 * a, cubic, quartic, quintic], axis=-1)


def quintic_stop_cost(distance: Reals, speed: Reals, accel: Reals, duration: Reals) -> Floats:
    """Integral of jerk squared [m²/s⁵] along `quintic_stop`: no stop of that duration has less."""
    _positive(duration=duration)
    d, v, a, t = (np.asarray(item, dtype=np.float64) for item in (distance, speed, accel, duration))
    terms = (
        720.0 * d**2 - 720.0 * d * v * t + 192.0 * v**2 * t**2 - 120.0 * d * a * t**2 + 72.0 * v * a * t**3 + 9.0 * a**2 * t**4
    )
    return np.asarray(terms / t**5)


# ---- following


def idm_equilibrium_gap(
    speed: Reals, desired_speed: Reals, time_gap: Reals, standstill_gap: Reals, exponent: Reals = 4.0
) -> Floats:
    """Bumper-to-bumper gap [m] at which an IDM driver neither gains nor loses; infinite at or above its desired speed."""
    _positive(desired_speed=desired_speed, exponent=exponent)
    _not_negative(speed=speed, time_gap=time_gap, standstill_gap=standstill_gap)
    free = 1.0 - (np.asarray(speed, dtype=np.float64) / desired_speed) ** np.asarray(exponent)
    wanted = np.asarray(standstill_gap) + np.asarray(speed) * np.asarray(time_gap)
    return _ratio_or_never(wanted, np.sqrt(np.maximum(free, 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RssLimits:
    """What RSS assumes: response [s], accelerations and brakings [m/s²], margin [m]. Defaults are the reference library's."""

    response_s: float = 1.0
    accel_max: float = 3.5
    brake_min: float = 4.0
    brake_max: float = 8.0
    lateral_accel_max: float = 0.2
    lateral_brake_min: float = 0.8
    lateral_margin: float = 0.1

    def __post_init__(self) -> None:
        _not_negative(response_s=self.response_s, accel_max=self.accel_max, lateral_accel_max=self.lateral_accel_max)
        _positive(brake_min=self.brake_min, brake_max=self.brake_max, lateral_brake_min=self.lateral_brake_min)
        _not_negative(lateral_margin=self.lateral_margin)


RSS_REFERENCE = RssLimits()
RSS_DENSE = RssLimits(response_s=0.2, accel_max=2.0, brake_min=4.0, brake_max=5.0)
"""For dense town traffic, where the reference setting asks for more room than anybody keeps."""


def rss_longitudinal_gap(rear_speed: Reals, front_speed: Reals, limits: RssLimits = RSS_REFERENCE) -> Floats:
    """Least safe gap [m] behind a car in front, both forwards: the rear may speed up for its response, then brakes mildly."""
    _not_negative(rear_speed=rear_speed, front_speed=front_speed)
    rear, front = np.asarray(rear_speed, dtype=np.float64), np.asarray(front_speed, dtype=np.float64)
    rho, gain = limits.response_s, limits.accel_max
    approach = rear * rho + 0.5 * gain * rho**2 + (rear + rho * gain) ** 2 / (2.0 * limits.brake_min)
    return np.maximum(approach - front**2 / (2.0 * limits.brake_max), 0.0)


def rss_lateral_gap(towards_a: Reals, towards_b: Reals, limits: RssLimits = RSS_REFERENCE) -> Floats:
    """Least safe lateral gap [m] between two road users with lateral speeds [m/s] towards each other (negative: away)."""

    def travel(towards: Reals) -> Floats:
        start = np.asarray(towards, dtype=np.float64)
        end = start + limits.response_s * limits.lateral_accel_max
        return 0.5 * (start + end) * limits.response_s + end * np.abs(end) / (2.0 * limits.lateral_brake_min)

    return limits.lateral_margin + np.maximum(travel(towards_a) + travel(towards_b), 0.0)


# ---- time to collision


def time_to_collision_on_lane(gap: Reals, rear_speed: Reals, front_speed: Reals) -> Floats:
    """Time [s] until a bumper-to-bumper `gap` closes at constant speeds; 0 where it has closed, infinite where it never does."""
    closing = np.asarray(rear_speed, dtype=np.float64) - np.asarray(front_speed, dtype=np.float64)
    space = np.asarray(gap, dtype=np.float64)
    return np.where(space <= 0.0, 0.0, _ratio_or_never(np.maximum(space, 0.0), closing))


def time_to_collision(box_a: Floats, box_b: Floats) -> Floats:
    """Exact first-contact time [s] of two boxes that keep their velocity and heading; 0 where they overlap, infinite if never.

    box_a, box_b: (..., 7) of centre x, y, heading, velocity x, y, length, width, broadcast against each other; result (...).
    Separating axes (Gottschalk, Lin, Manocha 1996) with the time interval of overlap along each of the four box axes.
    """
    a, b = np.broadcast_arrays(np.asarray(box_a, dtype=np.float64), np.asarray(box_b, dtype=np.float64))
    first = np.zeros(a.shape[:-1])
    last = np.full(a.shape[:-1], np.inf)
    for heading, quarter in ((a[..., 2], 0.0), (a[..., 2], np.pi / 2), (b[..., 2], 0.0), (b[..., 2], np.pi / 2)):
        enter, leave = _overlap_interval(a, b, heading + quarter)
        first = np.maximum(first, enter)
        last = np.minimum(last, leave)
    return np.where(first <= last, first, np.inf)


def _overlap_interval(a: Floats, b: Floats, direction: Floats) -> tuple[Floats, Floats]:
    """When the projections of two moving boxes on a direction overlap: from, to [s]; an empty interval is (inf, -inf)."""
    ux, uy = np.cos(direction), np.sin(direction)
    offset = (b[..., 0] - a[..., 0]) * ux + (b[..., 1] - a[..., 1]) * uy
    rate = (b[..., 3] - a[..., 3]) * ux + (b[..., 4] - a[..., 4]) * uy
    reach = _half_extent(a, direction) + _half_extent(b, direction)
    still = rate == 0.0
    per_rate = np.divide(1.0, rate, out=np.zeros_like(rate), where=~still)
    one, two = (-reach - offset) * per_rate, (reach - offset) * per_rate
    inside = np.abs(offset) <= reach
    enter = np.where(still, np.where(inside, -np.inf, np.inf), np.minimum(one, two))
    leave = np.where(still, np.where(inside, np.inf, -np.inf), np.maximum(one, two))
    return enter, leave


def _half_extent(box: Floats, direction: Floats) -> Floats:
    """Half the width [m] of a box's shadow on a direction."""
    turn = box[..., 2] - direction
    return np.asarray(0.5 * (box[..., 5] * np.abs(np.cos(turn)) + box[..., 6] * np.abs(np.sin(turn))))


def post_encroachment_time(enter_a: Reals, leave_a: Reals, enter_b: Reals, leave_b: Reals) -> Floats:
    """Time [s] between one road user's leaving a conflict zone and the other's entering it; negative where both were inside."""
    first_a = np.asarray(enter_b, dtype=np.float64) - np.asarray(leave_a, dtype=np.float64)
    first_b = np.asarray(enter_a, dtype=np.float64) - np.asarray(leave_b, dtype=np.float64)
    return np.maximum(first_a, first_b)


# ---- the competent and careful driver of UN Regulation 157

R157_LATERAL_WANDER = 0.375
"""m, sideways movement within a lane that nobody takes for a cut-in."""
R157_PERCEPTION_S = 0.4
R157_CUT_IN_OFFSET = R157_LATERAL_WANDER + 0.72
"""m, lateral movement at which the cut-in has been perceived (0.4 s at the 1.8 m/s of a lane change)."""
R157_CRITICAL_TTC_S = 2.0
R157_RESPONSE_S = 0.75
R157_DECEL = 0.774 * GRAVITY
R157_JERK = 12.65


def competent_driver_closing_distance(closing_speed: Reals) -> Floats:
    """How much gap [m] the R157 driver uses up before it no longer closes on something of constant speed; 0 if not closing.

    From the moment the risk is perceived: response time, braking built up at R157_JERK, then R157_DECEL. A gap above this is a
    preventable case; against a standing obstacle it is the driver's stopping distance.
    """
    closing = np.maximum(np.asarray(closing_speed, dtype=np.float64), 0.0)
    ramp = R157_DECEL / R157_JERK
    shed = 0.5 * R157_JERK * ramp**2
    ramp_used = np.minimum(np.sqrt(2.0 * closing / R157_JERK), ramp)
    after_ramp = np.maximum(closing - shed, 0.0)
    build_up = closing * ramp_used - R157_JERK * ramp_used**3 / 6.0
    return np.asarray(closing * R157_RESPONSE_S + build_up + after_ramp**2 / (2.0 * R157_DECEL))


def competent_driver_avoids(gap: Reals, rear_speed: Reals, front_speed: Reals) -> NDArray[np.bool_]:
    """Whether the R157 driver, perceiving the risk now, keeps clear of something of constant speed `gap` metres ahead."""
    closing = np.asarray(rear_speed, dtype=np.float64) - np.asarray(front_speed, dtype=np.float64)
    return np.asarray(gap > competent_driver_closing_distance(closing))


FUZZY_RESPONSE_S = 0.75
FUZZY_BRAKE_COMFORT = 4.0
FUZZY_BRAKE_MAX = 6.0
FUZZY_LEADER_BRAKE = 7.0
FUZZY_MARGIN = 2.0


def fuzzy_proactive(gap: Reals, rear_speed: Reals, front_speed: Reals) -> Floats:
    """In [0, 1]: 0 where comfortable braking copes with the leader's hardest braking, 1 where full braking does not."""
    rear, front = np.asarray(rear_speed, dtype=np.float64), np.asarray(front_speed, dtype=np.float64)
    leader = front**2 / (2.0 * FUZZY_LEADER_BRAKE)
    reaction = rear * FUZZY_RESPONSE_S
    safe = reaction + rear**2 / (2.0 * FUZZY_BRAKE_COMFORT) - leader + FUZZY_MARGIN
    unsafe = reaction + rear**2 / (2.0 * FUZZY_BRAKE_MAX) - leader
    return _membership(gap, unsafe, safe)


def fuzzy_critical(gap: Reals, rear_speed: Reals, front_speed: Reals, rear_accel: Reals) -> Floats:
    """In [0, 1]: 0 where, one response time from now, comfortable braking still suffices, 1 where full braking does not."""
    rear, front = np.asarray(rear_speed, dtype=np.float64), np.asarray(front_speed, dtype=np.float64)
    expected = np.maximum(
        rear + np.maximum(np.asarray(rear_accel, dtype=np.float64), -FUZZY_BRAKE_COMFORT) * FUZZY_RESPONSE_S, 0.0
    )
    closed = (0.5 * (rear + expected) - front) * FUZZY_RESPONSE_S
    closing = np.maximum(expected - front, 0.0)
    safe = closed + closing**2 / (2.0 * FUZZY_BRAKE_COMFORT)
    unsafe = closed + closing**2 / (2.0 * FUZZY_BRAKE_MAX)
    return np.where(closing > 0.0, _membership(gap, unsafe, safe), 0.0)


def fuzzy_deceleration(gap: Reals, rear_speed: Reals, front_speed: Reals, rear_accel: Reals) -> Floats:
    """Braking [m/s²] of the fuzzy safety model: up to comfortable when proactive, up to full when critical."""
    critical = fuzzy_critical(gap, rear_speed, front_speed, rear_accel)
    proactive = fuzzy_proactive(gap, rear_speed, front_speed) * FUZZY_BRAKE_COMFORT
    return np.where(critical > 0.0, critical * (FUZZY_BRAKE_MAX - FUZZY_BRAKE_COMFORT) + FUZZY_BRAKE_COMFORT, proactive)


def _membership(gap: Reals, unsafe: Floats, safe: Floats) -> Floats:
    """1 at or below `unsafe`, 0 at or above `safe`, linear in between."""
    space = np.asarray(gap, dtype=np.float64)
    span = safe - unsafe
    slope = np.divide(safe - space, span, out=np.zeros(np.broadcast_shapes(space.shape, span.shape)), where=span > 0.0)
    return np.where(space < unsafe, 1.0, np.clip(slope, 0.0, 1.0))
