"""The question that planner and filter share: may the ego pass the point of no return before a zone, and on which assumption?

Scalar kernels without memory; lengths [m] along the two paths that meet, times [s] from now. A zone is where the boxes of two
road users can touch: ego's centre in [enter, leave], the other's `other_enter` metres ahead of it. `numbers` is
`Assumptions.numbers()`.
"""

from __future__ import annotations

import math

from avstack.safety.assumptions import Assumption
from sim.interface import Floats
from sim.jit import kernel

ACCEL, SPEEDING, RESPONSE_S, RESPONSE_BRAKE, RULE_BRAKE, PRIORITY_BRAKE = 0, 1, 2, 3, 4, 5
PERSON_SPEED, PERSON_ACCEL, PERSON_BRAKE, CREEP_SPEED, STANDING, LATE_BRAKE = 6, 7, 8, 9, 10, 11
"""Columns of `numbers`."""

NEVER = 1e9
VEHICLE, PERSON, HIDDEN = 0, 1, 2
"""Sorts of others."""
SAME_WAY = 0.7  # cosine between two directions from which one follows the other

_NONE, _ARRIVAL, _RESPONDS = int(Assumption.NONE), int(Assumption.ARRIVAL), int(Assumption.RESPONDS)
_RULES, _PRIORITY, _WAITS = int(Assumption.RULES), int(Assumption.PRIORITY), int(Assumption.WAITS)
_FOLLOWS, _PERSON, _PERSON_WAITS = int(Assumption.FOLLOWS), int(Assumption.PERSON), int(Assumption.PERSON_WAITS)
_CREEP, _HIDDEN = int(Assumption.CREEP), int(Assumption.HIDDEN)


@kernel
def braking_distance(v: float, a: float, brake: float, jerk: float, delay: float) -> float:
    """Way [m] to rest from speed v >= 0 and acceleration a, kept for `delay`; then jerk to -brake, hold, and let go at rest.

    The run of `avstack.motion.profile.brake_run` in closed form.
    """
    way = 0.0
    if delay > 0.0:
        if v + a * delay <= 0.0:
            return float(-0.5 * v * v / min(a, -1e-9))
        way = v * delay + 0.5 * a * delay * delay
        v += a * delay
    if v <= 0.0 and a <= 0.0:
        return way
    if a < 0.0 and a * a >= 2.0 * jerk * v:
        # braking harder already than can be let go of within the limit: as motion does it, v = a² / (2 j')
        return way + 2.0 * v * v / (-3.0 * a)
    peak = min(max(math.sqrt(max(jerk * v + 0.5 * a * a, 0.0)), -a), brake)
    if a > 0.0:
        peak = min(math.sqrt(jerk * v + 0.5 * a * a), brake)
    ramp = abs(a + peak) / jerk
    rate = -jerk if a > -peak else jerk
    way += v * ramp + 0.5 * a * ramp * ramp + rate * ramp * ramp * ramp / 6.0
    v += a * ramp + 0.5 * rate * ramp * ramp
    last = 0.5 * peak * peak / jerk
    if v > last:
        way += (v * v - last * last) / (2.0 * peak)
        v = last
    return float(way + peak * peak * peak / (6.0 * jerk * jerk))


@kernel
def arrival_time(distance: float, v: float, accel: float, top: float) -> float:
    """Earliest time [s] at which one with speed v gets `distance` ahead: speeding up by `accel` to `top`, or its own speed."""
    if distance <= 0.0:
        return 0.0
    top = max(top, v)
    reached = math.sqrt(v * v + 2.0 * accel * distance)
    if reached <= top:
        return float((reached - v) / accel)
    if top < 1e-3:
        return NEVER
    needed = (top * top - v * v) / (2.0 * accel)
    return float((top - v) / accel + (distance - needed) / top)


@kernel
def stops_within(distance: float, v: float, response: float, brake: float) -> bool:
    """Whether one with speed v rests within `distance` by `brake` after keeping its speed for `response` seconds."""
    return v * response + v * v / (2.0 * brake) <= distance


@kernel
def may_pass(
    ahead: float, leaves: float, ego_speed: float, other_enter: float, v: float, limit: float, along: float, rule: int,
    sort: int, numbers: Floats,
) -> int:  # fmt: skip
    """Assumption on which the ego may go through a zone from which it could not be held back any more; 0: it may not.

    leaves: when the ego is out as planned; ahead: when it is past where the other comes in, at `ego_speed` (NEVER: not within the
    plan).
    The other is other_enter [m] before the zone at speed v on a road with speed `limit`; along: cosine between the directions
    where they meet; rule: 1 the ego goes first, -1 the other, 0 by arrival. A zone that the other is in is never passed.
    """
    if other_enter <= 0.0:
        return _NONE
    accel = numbers[PERSON_ACCEL] if sort == PERSON else numbers[ACCEL]
    top = numbers[PERSON_SPEED] if sort == PERSON else numbers[SPEEDING] * limit
    if leaves <= arrival_time(other_enter, v, accel, top):
        return _PERSON if sort == PERSON else _HIDDEN if sort == HIDDEN else _ARRIVAL
    response = numbers[RESPONSE_S]
    if sort == PERSON:
        calm = rule > -1 and stops_within(other_enter, v, response, numbers[PERSON_BRAKE])
        return _PERSON_WAITS if calm else _NONE
    if v < numbers[STANDING] and sort == VEHICLE:
        return _WAITS
    if rule == 1 and stops_within(other_enter, v, 0.0, numbers[RULE_BRAKE]):
        return _RULES
    if along > SAME_WAY and ahead < NEVER:
        # merging in front: the other has to get down to the ego's speed before it comes to where the ego got in
        spare = other_enter - v * ahead
        closing = max(v - ego_speed, 0.0)
        brake = numbers[PRIORITY_BRAKE] if rule == -1 else numbers[RESPONSE_BRAKE]
        if spare >= 0.0 and closing * response + closing * closing / (2.0 * brake) <= spare:
            return _FOLLOWS
    if rule == 0 and stops_within(other_enter, v, response, numbers[RESPONSE_BRAKE]):
        return _RESPONDS
    if rule == -1 and stops_within(other_enter, v, response, numbers[PRIORITY_BRAKE]):
        return _PRIORITY
    if sort == HIDDEN and ego_speed <= numbers[CREEP_SPEED]:
        return _CREEP
    return _NONE


@kernel
def is_broken(assumption: int, leaves: float, other_enter: float, v: float, numbers: Floats) -> bool:
    """Whether another does not do any more what passing the point of no return rested on; `leaves` as in `may_pass`."""
    if leaves <= arrival_time(other_enter, v, 1e-3, v) or (other_enter <= 0.0 and v < numbers[STANDING]):
        return False
    if assumption in (_ARRIVAL, _PERSON):
        return assumption == _PERSON or not stops_within(other_enter, v, 0.0, numbers[LATE_BRAKE])
    if assumption == _WAITS:
        return v > 2.0 * numbers[STANDING] and not stops_within(other_enter, v, 0.0, numbers[LATE_BRAKE])
    if assumption == _PERSON_WAITS:
        return not stops_within(other_enter, v, 0.0, 2.0 * numbers[PERSON_BRAKE])
    return not stops_within(other_enter, v, 0.0, numbers[LATE_BRAKE])
