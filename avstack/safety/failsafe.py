"""Frames that nothing can be made of, and the stop that answers them."""

from __future__ import annotations

import math

import numpy as np

from avstack.config import Limits
from sim.interface import TICK_S, SensorFrame

STANDS = 0.2  # m/s
HOLD_BRAKE = 0.3  # m/s²
BRAKE = 3.0  # m/s²
FASTEST = 120.0  # m/s, a speed beyond this is no speed of a car


def problem_of(frame: SensorFrame, last_tick: int) -> str:
    """What is wrong with a frame, in words; empty where nothing is. last_tick: of the frame before, -1 for none."""
    if len(frame.pose) != 3:
        return f"the pose has {len(frame.pose)} numbers, not 3"
    odometry = frame.odometry
    own = (*frame.pose, odometry.speed, odometry.accel, odometry.yaw_rate, odometry.steer)
    if not all(math.isfinite(value) for value in own):
        return "own readings are not finite"
    if abs(odometry.speed) > FASTEST:
        return f"own speed is {odometry.speed} m/s"
    if not np.all(np.isfinite(frame.pose_covariance)):
        return "the pose's covariance is not finite"
    if frame.tick <= last_tick:
        return f"time stands still: tick {frame.tick} after tick {last_tick}"
    if frame.level in ("state", "objects") and frame.objects is None:
        return "the list of objects is missing"
    return ""


def failsafe_brake(accel: float, speed: float, limits: Limits) -> float:
    """Acceleration command [m/s²] of the next tick of a stop, from the last one; speed: own, NaN where unknown.

    The command falls no faster than `limits` of jerk allow, and is let go of as the car comes to rest.
    """
    wanted = -HOLD_BRAKE if math.isfinite(speed) and abs(speed) < STANDS else -min(BRAKE, limits.brake)
    step = limits.jerk * TICK_S
    last = accel if math.isfinite(accel) else 0.0
    command = last + min(max(wanted - last, -step), step)
    return math.copysign(command, -speed) if math.isfinite(speed) and speed < -STANDS else command
