"""From a trajectory to the actuators: feed-forward that inverts their lags, feedback from where the vehicle will be when it acts.

Longitudinal: the acceleration wanted at the end of the tick in which the control acts, reached through the lag. Lateral: the
wheels that turn the body along the trajectory's own slip, which puts the centre on the line exactly, plus feedback of the rear
axle's offset and heading whose errors decay over a length (both critically damped). Everything is clamped to the level's limits.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from avstack.config import ControlConfig, Limits, MotionConfig
from avstack.motion.path import heading_error
from avstack.motion.plan import FALLBACK, MotionMemory
from avstack.motion.vehicle import Command, VehicleState, advance, estimate, response, unevenness
from avstack.types import Level, Trajectory
from sim.interface import TICK_S, Control, Gear, SensorFrame

STANDS = 0.03  # m/s
FINISH_SHARE = 0.5  # of a level's jerk, with which a hard fallback is finished: the rest is for ticks
FEEDBACK_M = 0.5  # m of position error that feedback answers to at most
FEEDBACK_SPEED = 0.6  # m/s
FEEDBACK_D = 0.8  # m of lateral error
ROLL_OUT = 0.003  # m/s, at rest as far as feedback is concerned
ROLL_OUT_JERK = 0.02  # m/s³
HOLD_STEP = 0.02  # m/s² a tick
CREEPING = 0.3  # m/s, below which position is left alone: the last centimetres are not worth a jolt


def observe(frame: SensorFrame, memory: MotionMemory, config: MotionConfig) -> tuple[VehicleState, MotionMemory]:
    """The vehicle's state by frame and model together. ValueError where a reading is not finite."""
    latency, odometry = config.control.latency_ticks, frame.odometry
    pending = memory.pending
    if memory.estimate is None:
        # nothing was asked yet: the actuators stay as they are
        pending = (Command(accel=odometry.accel, steer=odometry.steer),) * (latency + 1)
    acted, pending = pending[0], pending[1:]
    now = estimate(frame, memory.estimate, acted, memory.spec, config.control)
    return now.state, replace(memory, estimate=now, pending=pending)


def track(
    state: VehicleState, trajectory: Trajectory, memory: MotionMemory, config: MotionConfig
) -> tuple[Control, MotionMemory]:
    """Control that keeps to the trajectory, whose t = 0 is this tick."""
    spec, control = memory.spec, config.control
    for command in memory.pending:
        state = advance(state, command, spec)
    gear = Gear.REVERSE if trajectory.reverse else Gear.DRIVE
    k = min(control.latency_ticks, len(trajectory.t) - 2)
    along, across, turned = _errors(state, trajectory, k, spec.rear_to_centre)
    accel = _accelerate(state, trajectory, k, along, config.levels[trajectory.level], memory, control)
    steer = _steer(state, trajectory, k, (along, across, turned), memory, control)
    command = Command(accel=accel, steer=steer, gear=gear)
    sent = (*memory.pending, command)
    return Control(accel=accel, steer=steer, gear=gear), replace(memory, pending=sent)


def _errors(state: VehicleState, trajectory: Trajectory, k: int, reach: float) -> tuple[float, float, float]:
    """(metres ahead of sample k, rear axle's metres left of its line, body's turn to the left of what it should be)."""
    heading, curvature = float(trajectory.heading[k]), float(trajectory.curvature[k])
    dx, dy = state.x - float(trajectory.x[k]), state.y - float(trajectory.y[k])
    cos, sin = math.cos(heading), math.sin(heading)
    along = min(max(cos * dx + sin * dy, -3.0), 3.0)
    across = cos * dy - sin * dx - 0.5 * curvature * along * along
    turned = heading_error(state.heading, heading + curvature * along - float(trajectory.slip[k]))
    return along, across - reach * math.sin(turned), turned


def _accelerate(
    state: VehicleState, trajectory: Trajectory, k: int, ahead: float, limits: Limits, memory: MotionMemory, config: ControlConfig
) -> float:
    """Acceleration command: what the lag makes of it is the wanted acceleration at the end of its tick."""
    spec = memory.spec
    sign = -1.0 if trajectory.reverse else 1.0
    speed, accel = sign * state.speed, sign * state.accel
    wanted_speed, wanted = sign * float(trajectory.speed[k]), sign * float(trajectory.accel[k + 1])
    later = sign * float(trajectory.speed[k + 1])
    rests = max(wanted_speed, later) < 1e-3
    if rests and speed < STANDS:
        # the reference is at rest: roll out, then put the brake on, little by little in case of a late roll
        if speed > ROLL_OUT:
            return sign * _toward(accel, _roll_out(speed, accel), limits, spec.accel_lag)
        last = min(sign * memory.pending[-1].accel, 0.0) if memory.pending else 0.0
        return sign * max(last - HOLD_STEP, -config.hold_brake)
    behind = min(max(-sign * ahead, -FEEDBACK_M), FEEDBACK_M) * min(1.0, speed / CREEPING)
    slow = min(max(wanted_speed - speed, -FEEDBACK_SPEED), FEEDBACK_SPEED)
    wanted += config.position_gain * behind + config.speed_gain * slow
    jerk = limits.jerk / unevenness(spec.accel_lag)
    if rests and trajectory.level > Level.COMFORT and trajectory.reason == FALLBACK:
        # a hard fallback, which is gone on with until the car rests, ends where its reference has: feedback would roll on
        wanted = min(wanted, -_can_brake(speed - STANDS, accel, FINISH_SHARE * jerk))
    if accel < 0.0:
        # let go of the brake in time to come to rest without a jolt, wherever the reference is
        wanted = max(wanted, -_can_brake(speed, accel, jerk))
    low, high = min(-limits.brake, accel), max(limits.accel, accel)
    return sign * _toward(accel, min(max(wanted, low), high), limits, spec.accel_lag)


def _can_brake(speed: float, accel: float, jerk: float) -> float:
    """Hardest braking a tick on that can still be let go of, at this jerk, with the speed that is left then: a² / (2 jerk)."""
    left, half = max(speed + 0.5 * accel * TICK_S, 0.0), 0.5 * TICK_S
    return jerk * (math.sqrt(half * half + 2.0 * left / jerk) - half)


def _roll_out(speed: float, accel: float) -> float:
    """Acceleration a tick on that lets speed and acceleration vanish together: jerk a² / (2 v), once braking is enough for it."""
    enough = -math.sqrt(2.0 * ROLL_OUT_JERK * speed)
    if accel < enough:
        return min(accel + 0.5 * accel * accel / speed * TICK_S, 0.0)
    return max(accel - 5.0 * ROLL_OUT_JERK * TICK_S, enough)


def _toward(accel: float, wanted: float, limits: Limits, lag: float) -> float:
    """Command that brings `accel` to `wanted` within a tick, as far as the limit of jerk lets it."""
    step = limits.jerk * TICK_S / unevenness(lag)
    reached = accel + min(max(wanted - accel, -step), step)
    return accel + (reached - accel) / response(lag)


def _steer(
    state: VehicleState,
    trajectory: Trajectory,
    k: int,
    errors: tuple[float, float, float],
    memory: MotionMemory,
    config: ControlConfig,
) -> float:
    """Road-wheel command: the curvature of the rear axle's way at the end of the tick, corrected, through the steering's lag."""
    spec = memory.spec
    along, across, turned = errors
    speed = abs(state.speed)
    travelled = math.copysign(speed * TICK_S, -1.0 if trajectory.reverse else 1.0)
    slip = _slip_at(trajectory, k, along + travelled)
    bend = math.tan(slip) / max(spec.rear_to_centre, 0.1)
    if trajectory.reverse:
        bend = float(trajectory.curvature[k])
    reach = max(config.reach_m, config.reach_s * speed)
    back = min(max(across, -FEEDBACK_D), FEEDBACK_D) / (reach * reach)
    turn_back = 2.0 * turned / reach
    bend += -back + turn_back if trajectory.reverse else -back - turn_back
    wanted = min(max(math.atan(spec.wheelbase * bend), -spec.steer_max), spec.steer_max)
    if speed < STANDS and max(abs(float(trajectory.speed[k])), abs(float(trajectory.speed[k + 1]))) < STANDS:
        wanted = state.steer
    rate = min(config.steer_rate, spec.steer_rate_max) * TICK_S / unevenness(spec.steer_lag)
    reached = state.steer + min(max(wanted - state.steer, -rate), rate)
    return state.steer + (reached - state.steer) / response(spec.steer_lag)


def _slip_at(trajectory: Trajectory, k: int, ahead: float) -> float:
    """Slip `ahead` metres past sample k, by way travelled: samples crowd where the trajectory is slow."""
    place = float(trajectory.s[k]) + ahead
    if trajectory.reverse:
        return float(np.interp(-place, -trajectory.s, trajectory.slip))
    return float(np.interp(place, trajectory.s, trajectory.slip))
