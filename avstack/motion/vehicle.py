"""Where the own vehicle is, and where it will be when a control acts: a model of its actuators, and an estimate of its state.

World frame, box centre, SI. The model is the kinematic bicycle with first-order lags whose response to a held command is known,
so that commands can be found by inverting it. The estimate weighs each measurement by its variance against the model's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from avstack.config import ControlConfig
from sim.geometry import wrap_angle
from sim.interface import SUBSTEPS, TICK_S, Gear, SensorFrame, VehicleSpec

_DT = TICK_S / SUBSTEPS
LOST_M = 5.0  # m between estimate and measurement beyond which the estimate starts anew
LOST_SPEED = 3.0  # m/s


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleState:
    """Pose of the box centre, speed and acceleration of the rear axle (negative backwards), road-wheel angle, at `tick`."""

    tick: int
    x: float
    y: float
    heading: float
    speed: float
    accel: float
    steer: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What was asked of the actuators for one tick."""

    accel: float = 0.0
    steer: float = 0.0
    gear: Gear = Gear.DRIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A state and the variances of its position (each axis) [m²], heading [rad²] and speed [m²/s²]."""

    state: VehicleState
    position: float
    heading: float
    speed: float


def response(lag: float) -> float:
    """Share of the way from an actuator's value to its command that is covered in one tick of holding the command."""
    return 1.0 - (lag / (lag + _DT)) ** SUBSTEPS


def unevenness(lag: float) -> float:
    """Largest rate within a tick over its mean: an actuator with lag starts fast."""
    return SUBSTEPS * _DT / (lag + _DT) / response(lag)


def advance(state: VehicleState, command: Command, spec: VehicleSpec) -> VehicleState:
    """The state one tick on under a command."""
    x, y, heading, speed = state.x, state.y, state.heading, state.speed
    accel, steer = state.accel, state.steer
    forward = command.gear == Gear.DRIVE
    low, high = (-spec.brake_max, spec.accel_max) if forward else (-spec.accel_max, spec.brake_max)
    wanted = min(max(command.accel, low), high)
    aim = min(max(command.steer, -spec.steer_max), spec.steer_max)
    for _ in range(SUBSTEPS):
        turn = spec.steer_rate_max * _DT
        steer += min(max((aim - steer) * _DT / (spec.steer_lag + _DT), -turn), turn)
        step = spec.jerk_max * _DT
        accel += min(max((wanted - accel) * _DT / (spec.accel_lag + _DT), -step), step)
        speed += accel * _DT
        # brakes stop a car, they do not push it the other way
        if (forward and speed <= 0.0 and accel <= 0.0) or (not forward and speed >= 0.0 and accel >= 0.0):
            speed = accel = 0.0
        bend = math.tan(steer) / spec.wheelbase
        middle = heading + 0.5 * speed * bend * _DT
        swing = spec.rear_to_centre * bend
        x += speed * _DT * (math.cos(middle) - swing * math.sin(middle))
        y += speed * _DT * (math.sin(middle) + swing * math.cos(middle))
        heading += speed * bend * _DT
    return VehicleState(tick=state.tick + 1, x=x, y=y, heading=float(wrap_angle(heading)), speed=speed, accel=accel, steer=steer)


def measured(frame: SensorFrame) -> VehicleState:
    """The state as a frame tells it. ValueError where a reading is not finite."""
    motion = frame.odometry
    values = (*(float(value) for value in frame.pose), motion.speed, motion.accel, motion.steer)
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"frame {frame.tick}: pose and odometry must be finite, got {values}")
    x, y, heading, speed, accel, steer = (float(value) for value in values)
    return VehicleState(tick=frame.tick, x=x, y=y, heading=float(wrap_angle(heading)), speed=speed, accel=accel, steer=steer)


def estimate(
    frame: SensorFrame, previous: Estimate | None, command: Command, spec: VehicleSpec, config: ControlConfig
) -> Estimate:
    """The state now, from the last estimate, the command that has acted since, and this frame."""
    seen = measured(frame)
    covariance = np.asarray(frame.pose_covariance, dtype=np.float64)
    pose_noise = max(0.5 * float(covariance[0, 0] + covariance[1, 1]), 1e-12)
    turn_noise, speed_noise = max(float(covariance[2, 2]), 1e-12), config.speed_noise**2
    new = Estimate(state=seen, position=pose_noise, heading=turn_noise, speed=speed_noise)
    if previous is None or frame.tick != previous.state.tick + 1:
        return new
    model = advance(previous.state, command, spec)
    apart = math.hypot(seen.x - model.x, seen.y - model.y)
    if not apart <= LOST_M or abs(seen.speed - model.speed) > LOST_SPEED:
        return new
    # variances grow with time, and position's with what speed is unsure of
    p_position = previous.position + config.position_drift**2 * TICK_S + previous.speed * TICK_S**2
    p_heading = previous.heading + config.heading_drift**2 * TICK_S
    p_speed = previous.speed + config.speed_drift**2 * TICK_S
    k_position, k_heading, k_speed = (
        p / (p + r) for p, r in ((p_position, pose_noise), (p_heading, turn_noise), (p_speed, speed_noise))
    )
    off = seen.accel - model.accel
    unexplained = math.copysign(max(abs(off) - 3.0 * config.accel_noise, 0.0), off)
    state = replace(
        model,
        x=model.x + k_position * (seen.x - model.x),
        y=model.y + k_position * (seen.y - model.y),
        heading=float(wrap_angle(model.heading + k_heading * wrap_angle(seen.heading - model.heading))),
        speed=model.speed + k_speed * (seen.speed - model.speed),
        accel=model.accel + unexplained,
        steer=model.steer + 0.3 * (seen.steer - model.steer),
    )
    return Estimate(
        state=state,
        position=(1.0 - k_position) * p_position,
        heading=(1.0 - k_heading) * p_heading,
        speed=(1.0 - k_speed) * p_speed,
    )
