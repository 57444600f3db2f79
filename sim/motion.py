"""How vehicles move: kinematic bicycle with actuator lags, jerk, steering-rate and friction limits, and reverse.

State is the box centre; with c the distance from centre to rear axle, v at the rear axle and k = tan(steer) / wheelbase:
dx/dt = v (cos h - c k sin h), dy/dt = v (sin h + c k cos h), dh/dt = v k. Integrated by the midpoint rule.
"""

from __future__ import annotations

import math

import numpy as np

from sim.jit import kernel
from sim.state import WorldState
from sim.trigonometry import sincos

GRAVITY = 9.81
STANDING = 0.05  # m/s below which a body counts as standing
GEAR_BRAKING = 3.0  # m/s² to standstill where the other gear is asked for
WRECK_BRAKING = 6.0  # m/s² after a collision
BRAKE_LIGHT = -0.4  # m/s²


@kernel
def _turned(cos: float, sin: float, angle: float) -> tuple[float, float]:
    """(sin, cos) of a direction turned by a small angle [rad], |angle| < 0.3; Taylor, error below 1e-9."""
    square = angle * angle
    by_sin = angle * (1.0 - square * (1.0 / 6.0) * (1.0 - square * 0.05))
    by_cos = 1.0 - 0.5 * square * (1.0 - square * (1.0 / 12.0) * (1.0 - square * (1.0 / 30.0)))
    return sin * by_cos + cos * by_sin, cos * by_cos - sin * by_sin


@kernel
def _longitudinal(
    body: np.record, speed: np.float32, before: np.float32, forward: bool, grip: float, curvature: float, blend: float, dt: float
) -> tuple[np.float32, np.float32, np.float32]:
    """(speed, acceleration, jerk) after `dt` from (speed, acceleration `before`); `grip` [m/s²]: radius of the friction circle.

    blend: share of the way to the commanded acceleration that the actuator covers in `dt`.
    """
    lateral = float(speed * speed * curvature)
    asked = body.command_accel
    braking, driving = float(body.brake_max), float(body.accel_max)
    strongest = max(braking, driving)
    left = grip * grip - lateral * lateral
    if left < strongest * strongest:
        available = math.sqrt(max(left, 0.0))
        # asked for more than the tyres have, they share it out: wheels that are turned too far do not keep a car from braking
        available = max(available, grip * abs(asked) / math.sqrt(asked * asked + lateral * lateral + 1e-6))
        braking = min(braking, available)
        driving = min(driving, available)
    # `asked` is along the body: in reverse gear, negative speeds up
    if forward:
        command = min(max(float(asked), -braking), driving)
    else:
        command = min(max(float(asked), -driving), braking)
    change = (command - before) * blend
    limit = body.jerk_max * dt
    accel = before + min(max(change, -limit), limit)
    after = speed + accel * dt
    # the brake stops the car, it does not push it the other way
    if forward:
        if after <= 0.0 and accel <= 0.0:
            after = 0.0
            accel = 0.0
        after = min(max(after, 0.0), body.speed_max)
    else:
        if after >= 0.0 and accel >= 0.0:
            after = 0.0
            accel = 0.0
        after = max(min(after, 0.0), -body.reverse_speed_max)
    return np.float32(after), np.float32(accel), np.float32((accel - before) / dt)


@kernel
def _steering(body: np.record, dt: float) -> tuple[float, float, float]:
    """(road-wheel angle [rad] asked for, share per second of the way there that the actuator covers, most [rad] in `dt`)."""
    most = float(body.steer_max)
    return min(max(float(body.command_steer), -most), most), 1.0 / (body.steer_lag + dt), body.steer_rate_max * dt


@kernel
def _turn_wheels(body: np.record, dt: float, substeps: int) -> None:
    """One tick of somebody who stands and goes on standing."""
    wanted, blend, turning = _steering(body, dt)
    steer = float(body.steer)
    for _ in range(substeps):
        steer += min(max((wanted - steer) * blend * dt, -turning), turning)
    body.steer = steer
    body.jerk = 0.0
    body.yaw_rate = 0.0
    body.vx = 0.0
    body.vy = 0.0
    body.brake_light = 1
    if body.crashed:
        body.command_accel = -WRECK_BRAKING


@kernel
def _rests(body: np.record) -> bool:
    """Whether it stands and nothing asks it to move."""
    asked = body.command_accel if body.gear == 0 else -body.command_accel
    return bool(body.speed == 0.0 and body.accel == 0.0 and (asked <= 0.0 or body.crashed))


@kernel
def move_vehicle(state: WorldState, w: int, a: int, dt: float, substeps: int) -> None:
    """Advance one wheeled body by one tick of `substeps` steps of `dt` [s]."""
    body = state.bodies[w, a]
    body.rests = _rests(body)
    if body.rests:
        _turn_wheels(body, dt, substeps)
        return
    friction = state.worlds[w].friction
    heading = float(body.heading)
    cos, sin = float(body.cos), float(body.sin)
    x, y = float(body.x), float(body.y)
    peak_jerk = 0.0
    curvature = 0.0
    travelled = 0.0
    grip = friction * GRAVITY
    forward = body.gear == 0
    if body.gear == 1 and body.speed > STANDING:
        # gears change at standstill only: the brake first
        body.command_accel = -GEAR_BRAKING
        forward = True
    elif body.gear == 0 and body.speed < -STANDING:
        body.command_accel = GEAR_BRAKING
        forward = False
    if body.crashed:
        # wrecks slide to a stop, whatever their drivers ask for
        forward = body.speed >= 0.0
        body.command_accel = -WRECK_BRAKING if forward else WRECK_BRAKING
    start_speed = float(body.speed)
    speed, accel = np.float32(body.speed), np.float32(body.accel)
    blend = dt / (body.accel_lag + dt)
    wanted, steer_blend, turning = _steering(body, dt)
    steer = float(body.steer)
    for _ in range(substeps):
        steer += min(max((wanted - steer) * steer_blend * dt, -turning), turning)
        sine, cosine = sincos(steer)
        curvature = sine / (cosine * body.wheelbase)
        speed, accel, jerk = _longitudinal(body, speed, accel, forward, grip, curvature, blend, dt)
        if abs(jerk) > abs(peak_jerk):
            peak_jerk = float(jerk)
        pace = float(speed)
        if pace != 0.0:
            pull = pace * pace * abs(curvature)
            if pull > 0.0 and pull * pull + accel * accel > grip * grip:
                curvature *= min(1.0, math.sqrt(max(grip * grip - accel * accel, 0.0)) / pull)
            turn = pace * curvature * dt
            middle_sin, middle_cos = _turned(cos, sin, 0.5 * turn)
            swing = body.rear_to_centre * curvature
            x += pace * dt * (middle_cos - swing * middle_sin)
            y += pace * dt * (middle_sin + swing * middle_cos)
            sin, cos = _turned(cos, sin, turn)
            heading += turn
            travelled += abs(pace) * dt
    body.speed = speed
    body.accel = accel
    body.steer = steer
    body.x = x
    body.y = y
    body.distance += travelled
    if heading > math.pi:
        heading -= 2.0 * math.pi
    elif heading <= -math.pi:
        heading += 2.0 * math.pi
    body.heading = heading
    sine, cosine = sincos(float(body.heading))
    swing = body.rear_to_centre * curvature
    body.cos = cosine
    body.sin = sine
    body.jerk = peak_jerk
    body.yaw_rate = body.speed * curvature
    body.vx = body.speed * (cosine - swing * sine)
    body.vy = body.speed * (sine + swing * cosine)
    body.brake_light = 1 if (body.accel < BRAKE_LIGHT and start_speed > 0.0) or abs(body.speed) < STANDING else 0
