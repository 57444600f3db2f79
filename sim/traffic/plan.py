"""The plan in a driver's mind: how constraints are entered so that the tightest one wins."""

from __future__ import annotations

import math

import numpy as np

from sim.jit import kernel

FAR = 1.0e4  # m, "nothing there"

# values of sim.state.Reason, spelled for kernels
FREE, CURVE, LEADER, STOPPING, SIGNALLED, YIELDING, ARRIVAL_ORDER, EXIT_BLOCKED = 0, 1, 2, 3, 4, 5, 6, 7
CROSSWALK, WALKER, CREEP, CONTACT, MERGING, OBSTACLE, REVERSING, WAVED = 8, 9, 10, 11, 12, 13, 14, 15


@kernel
def stop_at(mind: np.record, distance: float, reason: int, other: int) -> None:
    """Plan to have stopped after `distance` [m] of travel, if that is nearer than what is planned already."""
    if distance < mind.stop_distance:
        mind.stop_distance = distance
        mind.reason = reason
        mind.other = other


@kernel
def following_acceleration(mind: np.record, speed: float, gap: float, lead_speed: float) -> float:
    """IDM interaction term [m/s²] for a leader `gap` [m] ahead (bumper to bumper)."""
    desired = mind.min_gap + max(
        speed * mind.time_gap + speed * (speed - lead_speed) / (2.0 * math.sqrt(mind.accel * mind.decel)), 0.0
    )
    share = desired / max(gap, 0.1)
    return float(-mind.accel * share * share)


@kernel
def lead_at(mind: np.record, body: np.record, gap: float, lead_speed: float, lead_accel: float, other: int, reason: int) -> None:
    """Follow somebody who was `gap` [m] ahead a response time ago, if that asks for more than the leader planned for already.

    Its acceleration is taken to have gone on since, so that a queue starts and stops together in spite of response times.
    """
    lag = 0.1 * mind.response_ticks
    change = min(max(lead_accel, -4.0), 2.0) * lag
    moved_speed = max(lead_speed + change, 0.0)
    gap += 0.5 * (moved_speed - lead_speed) * lag
    if mind.lead >= 0:
        speed = max(float(body.speed), 0.0)
        asked = following_acceleration(mind, speed, gap, moved_speed)
        if asked >= following_acceleration(mind, speed, float(mind.lead_gap), float(mind.lead_speed)):
            return
    mind.lead = other
    mind.lead_gap = gap
    mind.lead_speed = moved_speed
    mind.lead_accel = min(max(lead_accel, -6.0), 1.0)
    if mind.stop_distance >= FAR and mind.reason != SIGNALLED:
        mind.reason = reason
        mind.other = other
