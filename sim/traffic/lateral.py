"""Sideways: tracking the lane's line, and changing lanes by MOBIL (Kesting, Treiber, Helbing 2007).

Tracking: the box centre moves along heading + slip, tan(slip) = (rear axle to centre) * tan(steer) / wheelbase, as if it were itself a
steered wheel. Aiming that wheel along the line, less atan(gain * offset), is Stanley's law (Hoffmann et al., American Control Conference
2007) with the centre for the front axle; it needs no preview of curvature but the actuator's delay, and the tail swings as it must.
"""

from __future__ import annotations

import numpy as np

from sim.jit import kernel
from sim.localise import project
from sim.roads.pack import OFF_ROUTE, Roads
from sim.state import HISTORY, WorldState
from sim.traffic.plan import FAR, following_acceleration
from sim.trigonometry import arctan, sincos

PREVIEW_S = 0.15  # s from a look at the line to the wheels' answer
HEADING_RATE = 4.0  # 1/s, fastest that heading errors are fed back: the actuators' delays allow no more at speed
NEAR_GAIN = 0.35  # 1/m, course change per offset at low speed
STEER_LEAD = 0.4
REVERSE_REACH = 3.5  # m
SLIDE = 1.1  # m/s sideways in a lane change, less at low speed
SAFE_BRAKING = 2.0  # m/s² asked of the new follower at most
URGENT_BRAKING = 3.5  # m/s², when the lane is about to end
THRESHOLD = 0.35  # m/s² worth changing for
CHANGE_TICKS = 5
SETTLE_TICKS = 40
ACTIVE = 1
PEDESTRIAN, OBJECT = 6, 7


@kernel
def _line_at(roads: Roads, mind: np.record, ahead: float) -> tuple[int, int, float]:
    """(lane, sample index, distance [m] past that sample) of the point `ahead` [m] of the own position along the route."""
    lane = int(mind.lane)
    s = float(mind.s) + ahead
    length = float(roads.lanes[lane].length)
    if s > length:
        route = roads.routes[mind.route]
        following = int(roads.route_steps[route.table_start + lane - route.lane_base].next)
        if following >= 0:
            s -= length
            lane = following
    record = roads.lanes[lane]
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    return lane, index, s - index * record.spacing


@kernel
def _course_error(roads: Roads, mind: np.record, body: np.record, ahead: float) -> float:
    """Angle [rad] from the body's heading to the line's course `ahead` of its position, left positive."""
    lane, index, past = _line_at(roads, mind, ahead)
    point = roads.points[roads.lanes[lane].point_start + index]
    cross = body.cos * point.sin - body.sin * point.cos
    facing = body.cos * point.cos + body.sin * point.sin
    error = arctan(cross / max(facing, 0.2))
    if abs(past) < 1.0:
        error += past * point.curvature
    return error


@kernel
def steer_along(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Command the road-wheel angle that brings the box centre onto its line, shifted by `mind.shift`."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    speed = abs(float(body.speed))
    # slide towards the wanted shift
    step = min(SLIDE, 0.25 * speed) * 0.1
    mind.shift += min(max(mind.goal_shift - mind.shift, -step), step)
    offset = min(max(float(mind.d - mind.shift), -3.0), 3.0)
    if body.gear == 1:
        _steer_backwards(roads, body, mind, offset)
        return
    sine, cosine = sincos(float(body.steer))
    turning = sine / (cosine * body.wheelbase)  # rear axle's curvature now
    behind = max(float(body.rear_to_centre), 0.3)
    ahead = speed * PREVIEW_S
    lane, index, _ = _line_at(roads, mind, ahead + 0.3 * behind)
    bend = roads.points[roads.lanes[lane].point_start + index].curvature
    # what the heading has left to turn when the wheels will have answered
    angle = _course_error(roads, mind, body, ahead) - speed * turning * PREVIEW_S
    steady = min(max(behind * bend, -0.6), 0.6)
    trust = min(1.0, HEADING_RATE * behind / max(speed, 0.1))
    back = arctan(min(NEAR_GAIN, 1.0 / (max(1.0, speed / 12.0) * max(speed, 0.1))) * offset)
    slip = min(max(steady + trust * (angle - steady) - back, -0.7), 0.7)
    sine, cosine = sincos(slip)
    wanted = arctan(body.wheelbase * sine / (cosine * behind))
    # lead: the actuator covers about this share of the way in one tick
    body.command_steer = wanted + STEER_LEAD * (wanted - body.steer)


@kernel
def _steer_backwards(roads: Roads, body: np.record, mind: np.record, offset: float) -> None:
    """Reversing, the rear axle leads: steer it along the line (stable where steering the centre is not)."""
    lane, index, _ = _line_at(roads, mind, 0.0)
    bend = float(roads.points[roads.lanes[lane].point_start + index].curvature)
    turned = -_course_error(roads, mind, body, 0.0)
    axle = offset - body.rear_to_centre * turned
    curvature = bend + 2.0 * turned / REVERSE_REACH - 2.0 * axle / (REVERSE_REACH * REVERSE_REACH)
    body.command_steer = arctan(body.wheelbase * curvature)


@kernel
def _accelerations(state: WorldState, roads: Roads, w: int, a: int, side: int, lag: float) -> tuple[float, float, float]:
    """(own interaction term now in the other lane, the new follower's, the nearest bumper gap) for the lane on `side` (+1 left)."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = state.worlds[w].tick
    lane = roads.lanes[mind.lane]
    index = min(max(int(mind.s / lane.spacing + 0.5), 0), lane.point_count - 1)
    width = 2.0 * roads.points[lane.point_start + index].half_width
    own = 0.0
    follower = 0.0
    nearest = FAR
    past = min(int(mind.response_ticks), tick)
    for n in range(state.neighbours[w, a, 0]):
        if state.visible[w, a, n] == 0:
            continue
        b = state.neighbours[w, a, 1 + n]
        other = state.bodies[w, b]
        seen = state.history[w, (tick - past) % HISTORY, b]
        if seen.status != ACTIVE or other.drive_through:
            continue
        dx = seen.x + seen.vx * lag - body.x
        dy = seen.y + seen.vy * lag - body.y
        across = (dy * body.cos - dx * body.sin) * side + mind.d * side
        if across < 0.45 * width or across > 1.55 * width or seen.cos * body.cos + seen.sin * body.sin < 0.3:
            continue
        ahead = dx * body.cos + dy * body.sin
        gap = abs(ahead) - 0.5 * (body.length + other.length)
        nearest = min(nearest, gap)
        if ahead > 0.0:
            own = min(own, following_acceleration(mind, max(float(body.speed), 0.0), gap, float(seen.speed)))
        else:
            follower = min(follower, following_acceleration(mind, float(seen.speed), gap, float(body.speed)))
    return own, follower, nearest


@kernel
def _start_change(roads: Roads, body: object, mind: object, side: int, tick: int) -> None:
    """Take the neighbour lane as the own one and slide over from here."""
    lane = roads.lanes[mind.lane]
    target = lane.left if side > 0 else lane.right
    s, d = project(roads, target, mind.s, body.x, body.y)
    mind.lane = target
    mind.s = s
    mind.d = d
    mind.shift = d
    mind.goal_shift = 0.0
    mind.change_to = side
    mind.change_tick = tick


@kernel
def change_lanes(state: WorldState, roads: Roads, w: int, a: int, lag: float, line: float) -> None:
    """Begin a lane change where the route needs it or MOBIL's incentive says so, and it is safe."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = state.worlds[w].tick
    if mind.change_to != 0:
        if abs(mind.shift) < 0.15 and abs(mind.d) < 0.4:
            mind.change_to = 0
        return
    lane = roads.lanes[mind.lane]
    if (lane.left < 0 and lane.right < 0) or (tick + a) % CHANGE_TICKS > 1 or mind.goal_shift != 0.0:
        return
    route = roads.routes[mind.route]
    step = roads.route_steps[route.table_start + mind.lane - route.lane_base]
    needed = step.side if step.side != OFF_ROUTE else 0
    remaining = lane.length - mind.s
    if needed == 0 and (line < 25.0 or body.speed < 2.0 or tick - mind.change_tick < SETTLE_TICKS):
        return
    if remaining < 3.0 or (body.speed < 0.3 and needed == 0):
        return
    for side in (1, -1):
        target = lane.left if side > 0 else lane.right
        if target < 0 or roads.lanes[target].kind != lane.kind or needed == -side:
            continue
        onward = roads.route_steps[route.table_start + target - route.lane_base]
        if needed == 0 and (onward.side != 0 or onward.next < 0 and onward.to_goal > roads.lanes[target].length):
            continue
        own, follower, nearest = _accelerations(state, roads, w, a, side, lag)
        urgent = needed == side and remaining < 60.0
        allowed = URGENT_BRAKING if urgent else SAFE_BRAKING
        if nearest < 1.0 + 0.1 * body.speed or own < -allowed or follower < -allowed:
            continue
        now = 0.0
        if mind.lead >= 0:
            now = following_acceleration(mind, float(body.speed), float(mind.lead_gap), float(mind.lead_speed))
        gain = max(own, -4.0) - max(now, -4.0) + mind.politeness * max(follower, -4.0)
        if needed == side or gain > THRESHOLD:
            _start_change(roads, body, mind, side, tick)
            return
