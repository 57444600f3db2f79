"""Closed forms of smooth motion along a line: minimum-jerk stops and connections, and jerk-limited changes of speed.

SI units. A stop runs from (0, v, a) to rest at d. With a fixed duration T it is a quintic (Flash and Hogan 1985). Its cost falls
with T, as dJ/dT = -9 (a T² + 8 v T - 20 d)² / T⁶: the double root is where jerk vanishes at rest, T = 10 d/(2v + √(4v² + 5ad)),
the longest stop that never rolls backwards and so the optimum for a free duration. With a = 0 it is 2.5 d/v, and the cost is
`sim.kinematics.minimum_jerk_stop`'s bound 768/625 v⁵/d³. Any point of such a stop, taken as a new start, gives the same stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.interface import Floats
from sim.jit import kernel
from sim.kinematics import minimum_jerk_stop, quintic_stop, quintic_stop_cost

__all__ = [
    "SmoothStop", "gentle_way", "minimum_jerk_stop", "quintic_connection", "quintic_stop", "quintic_stop_cost",
    "rest_to_rest_duration", "smooth_stop", "speed_change", "stop_duration", "stop_peaks", "travel_time",
]  # fmt: skip


@kernel
def stop_duration(speed: float, accel: float, distance: float) -> float:
    """Duration [s] of the smoothest stop of free duration; -1 where there is none that never rolls backwards.

    There is none without way to go, at rest, or braking so hard already that the car stands before `distance`.
    """
    root = 4.0 * speed * speed + 5.0 * accel * distance
    if distance <= 0.0 or speed < 0.0 or root < 0.0:
        return -1.0
    bottom = 2.0 * speed + math.sqrt(root)
    return 10.0 * distance / bottom if bottom > 1e-9 else -1.0


@kernel
def stop_peaks(speed: float, accel: float, distance: float, duration: float) -> tuple[float, float]:
    """(largest braking [m/s²], largest magnitude of jerk [m/s³]) of the quintic stop of this duration that ends without jerk."""
    start = (60.0 * distance - 36.0 * speed * duration - 9.0 * accel * duration * duration) / duration**3
    bend = (180.0 * distance - 96.0 * speed * duration - 18.0 * accel * duration * duration) / duration**4
    # jerk is a parabola that is 0 at rest; where its other root lies within the stop, braking peaks there
    snap = -2.0 * bend
    curve = (360.0 * distance - 180.0 * speed * duration - 30.0 * accel * duration * duration) / duration**5
    peak_jerk = abs(start)
    hardest = -accel
    if abs(curve) > 1e-12:
        turn = -snap / (2.0 * curve)
        if 0.0 < turn < duration:
            peak_jerk = max(peak_jerk, abs(start + snap * turn + curve * turn * turn))
        root = start / (curve * duration)  # the product of the roots of a parabola
        if 0.0 < root < duration:
            hardest = max(hardest, -(accel + root * (start + root * (snap / 2.0 + root * curve / 3.0))))
    return hardest, peak_jerk


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothStop:
    """The smoothest stop of free duration: position's polynomial `coefficients` (6,), constant first, up to `duration` [s].

    cost: integral of jerk squared [m²/s⁵]; peak_brake [m/s²]; peak_jerk [m/s³].
    """

    coefficients: Floats
    duration: float
    cost: float
    peak_brake: float
    peak_jerk: float


def smooth_stop(speed: float, accel: float, distance: float) -> SmoothStop | None:
    """The smoothest stop from (0, speed, accel) to rest at `distance`; None where none avoids rolling backwards."""
    duration = stop_duration(speed, accel, distance)
    if duration <= 0.0:
        return None
    peak_brake, peak_jerk = stop_peaks(speed, accel, distance, duration)
    return SmoothStop(
        coefficients=quintic_stop(distance, speed, accel, duration),
        duration=duration,
        cost=float(quintic_stop_cost(distance, speed, accel, duration)),
        peak_brake=peak_brake,
        peak_jerk=peak_jerk,
    )


def gentle_way(speed: float, accel: float, brake: float, jerk: float) -> float:
    """Distance [m], to a millimetre, in which the smoothest stop reaches peaks of `brake` [m/s²] or `jerk` [m/s³] and no more.

    Braking harder already, that in which it does not have to brake harder still.
    """
    if speed <= 0.0:
        return 0.0
    brake = max(brake, -accel)
    # ample for both peaks, also where an acceleration has to be let go of first
    low, high = 0.0, 10.0 + 2.0 * speed * speed / brake + 4.0 * speed * math.sqrt(speed / jerk) + 4.0 * speed * abs(accel) / jerk
    while high - low > 0.001:
        way = 0.5 * (low + high)
        duration = stop_duration(speed, accel, way)
        # no stop of free duration: so far away that the car would stand before it
        peaks = stop_peaks(speed, accel, way, duration) if duration > 0.0 else (0.0, 0.0)
        if peaks[0] > brake + 1e-6 or peaks[1] > jerk:
            low = way
        else:
            high = way
    return low


def quintic_connection(start: tuple[float, float, float], end: tuple[float, float, float], length: float) -> Floats:
    """(6,) coefficients, constant first, of the polynomial from (value, slope, second derivative) to another over `length` > 0.

    The least integral of the third derivative squared (Flash and Hogan 1985). ValueError for a length that is not positive.
    """
    if not length > 0.0:
        raise ValueError(f"a connection needs a positive length, got {length!r}")
    y0, v0, a0 = start
    rest = np.array(
        [
            end[0] - y0 - v0 * length - 0.5 * a0 * length**2,
            (end[1] - v0 - a0 * length) * length,
            (end[2] - a0) * length**2,
        ]
    )
    cubic = (10.0 * rest[0] - 4.0 * rest[1] + 0.5 * rest[2]) / length**3
    quartic = (-15.0 * rest[0] + 7.0 * rest[1] - rest[2]) / length**4
    quintic = (6.0 * rest[0] - 3.0 * rest[1] + 0.5 * rest[2]) / length**5
    return np.array([y0, v0, 0.5 * a0, cubic, quartic, quintic])


def rest_to_rest_duration(distance: float, accel: float, jerk: float) -> float:
    """Shortest duration [s] of a minimum-jerk move between two rests whose peaks keep `accel` [m/s²] and `jerk` [m/s³] > 0.

    Peaks of the quintic over T: 10/√3 d/T² and 60 d/T³ (Flash and Hogan 1985).
    """
    d = abs(distance)
    return max(math.sqrt(10.0 / math.sqrt(3.0) * d / accel), math.cbrt(60.0 * d / jerk))


def speed_change(speed: float, end_speed: float, limits: tuple[float, float], accel: float = 0.0) -> tuple[float, float]:
    """(shortest time [s], distance [m]) from (speed, accel) to `end_speed` without acceleration, under (accel, jerk) limits > 0.

    Jerk is +j, 0, -j (or its mirror); an acceleration beyond its limit is brought back first. Braking: give the brake's limit.
    """
    most, jerk = limits
    # the speed at which the acceleration, let go at once, would be gone tells which way to push
    sign = 1.0 if end_speed - (speed + 0.5 * accel * abs(accel) / jerk) >= 0.0 else -1.0
    gap, push = sign * (end_speed - speed), sign * accel
    peak = math.sqrt(max(jerk * gap + 0.5 * push * push, 0.0))
    held = 0.0
    if peak > most:
        held = (gap - (2.0 * most * most - push * push) / (2.0 * jerk)) / most if push <= most else 0.0
        peak = most if push <= most else peak
    held = max(held, 0.0)
    moved, v, a = 0.0, speed, accel
    for duration, rate in (((peak - push) / jerk, sign * jerk), (held, 0.0), (peak / jerk, -sign * jerk)):
        moved += v * duration + 0.5 * a * duration**2 + rate * duration**3 / 6.0
        v += a * duration + 0.5 * rate * duration**2
        a += rate * duration
    return (peak - push) / jerk + held + peak / jerk, moved


def travel_time(distance: float, speed: float, top_speed: float, limits: tuple[float, float]) -> float:
    """Shortest time [s] to cover `distance` >= 0 from `speed` (not above `top_speed`), never braking, under (accel, jerk) limits.

    What a crossing takes at least: speeding up as long as the distance allows, then at `top_speed`.
    """
    duration, needed = speed_change(speed, top_speed, limits)
    if needed <= distance:
        return duration + (distance - needed) / top_speed if top_speed > 0.0 else math.inf
    accel, jerk = limits
    # the end comes while still speeding up: jerk, then constant acceleration; easing off is left for beyond it
    ramp = accel / jerk
    by_ramp = speed * ramp + jerk * ramp**3 / 6.0
    if by_ramp >= distance:
        return _first_root(lambda t: speed * t + jerk * t**3 / 6.0, distance, ramp)
    v = speed + 0.5 * jerk * ramp**2
    rest = distance - by_ramp
    return ramp + 2.0 * rest / (v + math.sqrt(v * v + 2.0 * accel * rest))


def _first_root(position: Callable[[float], float], distance: float, latest: float) -> float:
    """Time in [0, latest] at which an increasing position reaches `distance`, by bisection."""
    low, high = 0.0, latest
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if position(middle) < distance else (low, middle)
    return high
