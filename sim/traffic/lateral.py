"""Sideways: tracking the lane's line, and changing lanes by MOBIL (Kesting, Treiber, Helbing 2007).

Tracking steers the box centre onto the line: with look-ahead l, curvature = line's - 2 d / l² - 2 e / l damps offset d and course error e
like a second-order system with damping 0.7.
"""

from __future__ import annotations

from sim.jit import kernel
from sim.localise import project
from sim.roads.pack import OFF_ROUTE, Roads
from sim.state import HISTORY, WorldState
from sim.traffic.plan import FAR, following_acceleration
from sim.trigonometry import arctan, sincos

PREVIEW_S = 0.25  # s, the wheel is turned for where the car will be
SLIDE = 1.1  # m/s sideways in a lane change, less at low speed
SAFE_BRAKING = 2.0  # m/s² asked of the new follower at most
URGENT_BRAKING = 3.5  # m/s², when the lane is about to end
THRESHOLD = 0.35  # m/s² worth changing for
CHANGE_TICKS = 5
SETTLE_TICKS = 40
ACTIVE = 1
PEDESTRIAN, OBJECT = 6, 7


@kernel
def _line_at(roads: Roads, mind: object, ahead: float) -> tuple[int, int]:
    """(lane, sample index) of the point `ahead` [m] of the own position along the route."""
    lane = mind.lane
    s = mind.s + ahead
    if s > roads.lanes[lane].length:
        route = roads.routes[mind.route]
        following = roads.route_steps[route.table_start + lane - route.lane_base].next
        if following >= 0:
            s -= roads.lanes[lane].length
            lane = following
    record = roads.lanes[lane]
    return lane, min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)


@kernel
def steer_along(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Command the road-wheel angle that brings the box centre onto its line, shifted by `mind.shift`."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    speed = abs(float(body.speed))
    # slide towards the wanted shift
    step = min(SLIDE, 0.25 * speed) * 0.1
    mind.shift += min(max(mind.goal_shift - mind.shift, -step), step)
    lane, index = _line_at(roads, mind, 0.0)
    here = roads.points[roads.lanes[lane].point_start + index]
    lane, index = _line_at(roads, mind, speed * PREVIEW_S)
    soon = roads.points[roads.lanes[lane].point_start + index]
    sine, cosine = sincos(float(body.steer))
    wheel = sine / (cosine * body.wheelbase)
    slip = arctan(body.rear_to_centre * wheel)
    # course of the centre against the line, small-angle from the cross product of the directions
    cross = here.cos * body.sin - here.sin * body.cos
    facing = here.cos * body.cos + here.sin * body.sin
    error = arctan(cross / max(facing, 0.2)) + (slip if body.gear == 0 else 0.0)
    reach = 2.5 + 0.75 * speed
    offset = mind.d - mind.shift
    offset = min(max(offset, -2.0), 2.0)
    curvature = soon.curvature - 2.0 * offset / (reach * reach) - 2.0 * error / reach
    if body.gear == 1:
        curvature = here.curvature + 2.0 * offset / (reach * reach) - 2.0 * error / reach
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
