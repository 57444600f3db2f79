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
    desired = mind.min_gap + max(speed * mind.time_gap + speed * (speed - lead_speed) / (2.0 * math.sqrt(mind.accel * mind.decel)), 0.0)
    share = desired / max(gap, 0.1)
    return -mind.accel * share * share


@kernel
def lead_at(mind: np.record, body: np.record, gap: float, lead_speed: float, lead_accel: float, other: int, reason: int) -> None:
    """Follow somebody `gap` [m] ahead, if that asks for more braking than the leader planned for already."""
    speed = max(float(body.speed), 0.0)
    if mind.lead >= 0 and following_acceleration(mind, speed, gap, lead_speed) >= following_acceleration(
        mind, speed, float(mind.lead_gap), float(mind.lead_speed)
    ):
        return
    mind.lead = other
    mind.lead_gap = gap
    mind.lead_speed = lead_speed
    mind.lead_accel = min(max(lead_accel, -6.0), 0.0)
    if mind.stop_distance >= FAR and mind.reason != SIGNALLED:
        mind.reason = reason
        mind.other = other
