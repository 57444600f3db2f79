"""Sideways: tracking the lane's line, and changing lanes by MOBIL (Kesting, Treiber, Helbing 2007).

Tracking: the box centre moves along heading + slip, tan(slip) = (rear axle to centre) * tan(steer) / wheelbase, as if it were
a steered wheel itself. Aiming that wheel along the line, less atan(gain * offset), is Stanley's law (Hoffmann et al., American
Control Conference 2007) with the centre for the front axle; it needs no preview but the actuator's delay, and the tail follows.
"""

from __future__ import annotations

import math

import numpy as np

from sim.jit import kernel
from sim.localise import project
from sim.roads.pack import OFF_ROUTE, Roads
from sim.state import HISTORY, WorldState
from sim.traffic.negotiate import MERGE, conflict_row
from sim.traffic.obstacles import may_change_to
from sim.traffic.plan import FAR, MERGING, OBSTACLE, following_acceleration, stop_at
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
RETURN_M = 240.0  # m before a change that the route needs, and
RETURN_S = 30.0  # s, overtaking in another lane is not begun any more
HURRIED_GAP = 0.5  # s, time gap that a needed change is content with
SLIDE_LENGTH = 15.0  # m a change takes at walking pace
ACTIVE = 1


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
    step = min(SLIDE, 0.35 * speed) * 0.1
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
def _place_in(roads: Roads, seen: np.record, carried: float, target: int, s: float, after: int) -> tuple[bool, float]:
    """(whether a body is taken to be on the lane `target` or the one `after` it, distance [m] ahead of `s` there)."""
    for h in range(seen.hypothesis_count):
        lane = seen.hypothesis_lane[h]
        if lane == target:
            return True, float(seen.hypothesis_s[h]) + carried - s
        if lane == after:
            return True, float(seen.hypothesis_s[h]) + carried + float(roads.lanes[target].length) - s
        first = roads.lanes[target].predecessor_start
        for k in range(first, first + roads.lanes[target].predecessor_count):
            if roads.predecessors[k] == lane:
                return True, float(seen.hypothesis_s[h]) + carried - float(roads.lanes[lane].length) - s
    return False, 0.0


@kernel
def _slot(state: WorldState, roads: Roads, w: int, a: int, side: int, lag: float, hurry: bool) -> tuple[float, float, float, int]:
    """The slot beside, in the lane on `side` (+1 left): (braking asked of oneself there, of the new follower, bumper gap to the
    nearest body in it or about to be, that body)."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = state.worlds[w].tick
    target = int(roads.lanes[mind.lane].left if side > 0 else roads.lanes[mind.lane].right)
    s, beside = project(roads, target, float(mind.s), body.x, body.y)
    route = roads.routes[mind.route]
    after = int(roads.route_steps[route.table_start + target - route.lane_base].next)
    speed = max(float(body.speed), 0.0)
    headway = HURRIED_GAP if hurry else float(mind.time_gap)
    past = min(int(mind.response_ticks), int(tick))
    own = 0.0
    follower = 0.0
    nearest = FAR
    who = -1
    for n in range(state.neighbours[w, a, 0]):
        if state.visible[w, a, n] == 0:
            continue
        b = int(state.neighbours[w, a, 1 + n])
        other = state.bodies[w, b]
        seen = state.history[w, (tick - past) % HISTORY, b]
        if seen.status != ACTIVE or other.drive_through:
            continue
        moving = float(seen.speed)
        there, ahead = _place_in(roads, seen, moving * lag, target, s, after)
        dx = seen.x + seen.vx * lag - body.x
        dy = seen.y + seen.vy * lag - body.y
        along = dx * body.cos + dy * body.sin
        across = (dy * body.cos - dx * body.sin) * side
        if seen.hypothesis_count == 0 or not there:
            ahead = along
            if abs(along) > 60.0 or seen.cos * body.cos + seen.sin * body.sin < 0.3:
                continue
            # where it will be sideways by the time we are over there; who indicates means it
            drift = float(seen.vy * body.cos - seen.vx * body.sin) * side
            reach = abs(beside)
            towards = reach - across
            meant = (seen.indicator == 1 and side * towards > 0.0) or (seen.indicator == 2 and side * towards < 0.0)
            later = across + 1.5 * drift
            keep = 0.5 * (body.width + other.width) + 0.3
            between = min(abs(across - reach), abs(later - reach))
            if (across - reach) * (later - reach) < 0.0:
                between = 0.0
            if between > keep and not (meant and abs(towards) < 1.5 * max(reach, 2.5) and abs(along) < 15.0):
                continue
            if abs(across) < 0.5 * reach and abs(drift) < 0.3 and not meant:
                continue
        gap = abs(ahead) - 0.5 * (body.length + other.length)
        if gap < nearest:
            nearest = gap
            who = b
        if ahead > 0.0:
            own = min(own, _interaction(mind, headway, speed, gap, moving))
        else:
            follower = min(follower, _interaction(mind, HURRIED_GAP if hurry else 0.8 * headway, moving, gap, speed))
    return own, follower, nearest, who


@kernel
def _interaction(mind: np.record, headway: float, speed: float, gap: float, lead_speed: float) -> float:
    """IDM interaction term [m/s²] with a time gap of its own: who merges accepts less for a while."""
    braking = speed * (speed - lead_speed) / (2.0 * math.sqrt(mind.accel * mind.decel))
    desired = 1.5 + max(speed * headway + braking, 0.0)
    share = desired / max(gap, 0.1)
    return float(-mind.accel * share * share)


@kernel
def _start_change(roads: Roads, body: np.record, mind: np.record, side: int, tick: int) -> None:
    """Take the neighbour lane as the own one and slide over from here."""
    lane = roads.lanes[mind.lane]
    target = int(lane.left if side > 0 else lane.right)
    s, d = project(roads, target, float(mind.s), body.x, body.y)
    mind.lane = target
    mind.s = s
    mind.d = d
    mind.shift = d
    mind.goal_shift = 0.0
    mind.change_to = side
    mind.change_tick = tick


@kernel
def _change_room(roads: Roads, mind: np.record, own: int) -> tuple[float, int]:
    """(distance [m] to where the last change towards the route must be done, how many changes that takes) for who is beside its
    place on the lane `own`."""
    route = roads.routes[mind.route]
    first = int(route.table_start - route.lane_base)
    lane = own
    room = -float(mind.s)
    for _ in range(6):
        room += float(roads.lanes[lane].length)
        onward = int(roads.route_steps[first + lane].next)
        if onward < 0:
            break
        side = roads.route_steps[first + onward].side
        if side == 0 or side == OFF_ROUTE or roads.lanes[onward].kind != roads.lanes[lane].kind:
            break
        lane = onward
    changes = 0
    lane = own
    for _ in range(5):
        side = roads.route_steps[first + lane].side
        if side != 1 and side != -1:
            break
        changes += 1
        lane = int(roads.lanes[lane].left if side > 0 else roads.lanes[lane].right)
        if lane < 0:
            break
    return min(room, 1.0 * mind.to_goal), changes


@kernel
def _hold_for(state: WorldState, roads: Roads, w: int, a: int, lag: float) -> None:
    """In the middle of a change: slide no further towards somebody beside, and go back while that is nearer."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = int(state.worlds[w].tick)
    past = min(int(mind.response_ticks), tick)
    towards = 1.0 if mind.shift < 0.0 else -1.0
    for n in range(state.neighbours[w, a, 0]):
        if state.visible[w, a, n] == 0:
            continue
        b = int(state.neighbours[w, a, 1 + n])
        other = state.bodies[w, b]
        seen = state.history[w, (tick - past) % HISTORY, b]
        if seen.status != ACTIVE or other.drive_through:
            continue
        dx = seen.x + seen.vx * lag - body.x
        dy = seen.y + seen.vy * lag - body.y
        along = dx * body.cos + dy * body.sin
        closing = (seen.vx * body.cos + seen.vy * body.sin - body.speed) * (1.0 if along < 0.0 else -1.0)
        across = (dy * body.cos - dx * body.sin) * towards
        if abs(along) > 0.5 * (body.length + other.length) + 0.5 + 0.5 * max(closing, 0.0) or across <= 0.0:
            continue
        drift = (seen.vy * body.cos - seen.vx * body.sin) * towards
        left = across - 0.5 * (body.width + other.width) + min(drift, 0.0) * 1.0
        if left > abs(mind.shift) + 0.2:
            continue
        mind.goal_shift = mind.shift
        lane = roads.lanes[mind.lane]
        origin = int(lane.right if mind.change_to > 0 else lane.left)
        index = min(max(int(mind.s / lane.spacing + 0.5), 0), int(lane.point_count) - 1)
        half = float(roads.points[lane.point_start + index].half_width)
        if origin >= 0 and abs(mind.shift) > half and tick - mind.change_tick > 5:
            _start_change(roads, body, mind, -int(mind.change_to), tick)
            mind.change_to = 0
        return


@kernel
def _seek_slot(state: WorldState, w: int, a: int, who: int, room: float, changes: int) -> None:
    """No slot yet: fall back behind who is beside or ahead, and plan to stop while a change is still possible."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    speed = max(float(body.speed), 0.0)
    half = 0.5 * float(body.length)
    stay = min(SLIDE_LENGTH * changes, 0.4 * (room + float(mind.s)))
    place = room - half - stay
    if changes > 0:
        stop_at(mind, place if place > 0.0 or speed < 0.5 else max(room - half - 1.0, 0.0), MERGING, who)
    if who < 0 or room > max(60.0, 8.0 * speed):
        return
    other = state.bodies[w, who]
    tick = int(state.worlds[w].tick)
    seen = state.history[w, (tick - min(int(mind.response_ticks), tick)) % HISTORY, who]
    along = (seen.x - body.x) * body.cos + (seen.y - body.y) * body.sin
    if along > -0.25 * other.length and along < 0.5 * (body.length + other.length) + 4.0:
        mind.desired_speed = min(float(mind.desired_speed), max(float(seen.speed) - 2.0, 0.5))


@kernel
def change_lanes(state: WorldState, roads: Roads, w: int, a: int, lag: float, line: float) -> None:
    """Begin a lane change where the route needs it or MOBIL's incentive says so, and it is safe; prepare for a needed one."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = int(state.worlds[w].tick)
    mind.indicator = 0
    if mind.change_to != 0:
        if abs(mind.shift) < 0.15 and abs(mind.d) < 0.4:
            mind.change_to = 0
        else:
            _hold_for(state, roads, w, a, lag)
        return
    lane = roads.lanes[mind.lane]
    if lane.left < 0 and lane.right < 0:
        return
    route = roads.routes[mind.route]
    step = roads.route_steps[route.table_start + mind.lane - route.lane_base]
    needed = int(step.side) if step.side != OFF_ROUTE else 0
    if needed == 0 and mind.reason == OBSTACLE:
        needed = _way_round(roads, mind)
        if needed != 0:
            _change_when_possible(state, roads, w, a, lag, needed, mind.stop_distance + 0.5 * body.length + SLIDE_LENGTH, 1)
            return
    if needed == 0:
        needed = _merge_side(roads, int(mind.route), int(mind.lane), int(body.size_class))
        if needed != 0:
            _change_when_possible(state, roads, w, a, lag, needed, lane.length - mind.s, 0)
            return
        if line > 25.0 and body.speed > 2.0 and tick - mind.change_tick > SETTLE_TICKS and (tick + a) % CHANGE_TICKS < 2:
            _overtake(state, roads, w, a, lag)
        return
    room, changes = _change_room(roads, mind, int(mind.lane))
    _change_when_possible(state, roads, w, a, lag, needed, room, changes)


@kernel
def _merge_side(roads: Roads, on_route: int, own: int, size_class: int) -> int:
    """Side (+1 left) of a lane that runs on into the one in which the lane `own` ends by yielding; 0 where that is not so."""
    lane = roads.lanes[own]
    if lane.junction >= 0:
        return 0
    route = roads.routes[on_route]
    first = int(route.table_start - route.lane_base)
    for side in (1, -1):
        theirs = int(lane.left if side > 0 else lane.right)
        if theirs < 0 or roads.route_steps[first + theirs].side != 0:
            continue
        mine = own
        for _ in range(3):
            my_next = int(roads.route_steps[first + mine].next)
            their_next = int(roads.route_steps[first + theirs].next)
            if my_next < 0 or their_next < 0:
                break
            if my_next == their_next:
                row = conflict_row(roads, mine, theirs, size_class, size_class)
                if row >= 0 and roads.conflicts[row].kind == MERGE and roads.conflicts[row].priority < 0:
                    return side
                break
            mine = my_next
            theirs = their_next
    return 0


@kernel
def _way_round(roads: Roads, mind: np.record) -> int:
    """Side (+1 left) of a lane of the own direction that leads round what blocks this one; 0 where there is none."""
    lane = roads.lanes[mind.lane]
    for side in (1, -1):
        target = int(lane.left if side > 0 else lane.right)
        if target >= 0 and may_change_to(roads, mind, target):
            return side
    return 0


@kernel
def _change_when_possible(
    state: WorldState, roads: Roads, w: int, a: int, lag: float, needed: int, room: float, changes: int
) -> None:
    """Change to the side `needed` within `room` [m], in `changes` steps; until there is a slot, indicate and make ready.

    No steps: the lane leads on, but by yielding; a change is better.
    """
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = int(state.worlds[w].tick)
    lane = roads.lanes[mind.lane]
    speed = max(float(body.speed), 0.0)
    far = max(1, changes)
    if room > max(120.0, 15.0 * speed) * far:
        return
    urgent = room < max(80.0, 8.0 * speed) * far
    if room < max(100.0, 10.0 * speed) * far:
        mind.indicator = 1 if needed > 0 else 2
    target = int(lane.left if needed > 0 else lane.right)
    if target < 0 or mind.goal_shift > 0.5 or mind.goal_shift < -0.5:
        return
    own, follower, nearest, who = _slot(state, roads, w, a, needed, lag, True)
    allowed = URGENT_BRAKING if urgent else SAFE_BRAKING
    if nearest > 1.0 + 0.1 * speed and own > -allowed and follower > -allowed:
        _start_change(roads, body, mind, needed, tick)
        return
    _seek_slot(state, w, a, who, room, changes)


@kernel
def _overtake(state: WorldState, roads: Roads, w: int, a: int, lag: float) -> None:
    """Change for a better lane where MOBIL's incentive and safety criteria hold and the route goes on there."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    lane = roads.lanes[mind.lane]
    route = roads.routes[mind.route]
    if lane.junction >= 0 or lane.length - mind.s < 25.0 or abs(mind.goal_shift) > 0.1:
        return
    now = 0.0
    if mind.lead >= 0:
        now = following_acceleration(mind, float(body.speed), float(mind.lead_gap), float(mind.lead_speed))
    if now > -THRESHOLD:
        return
    for side in (1, -1):
        target = int(lane.left if side > 0 else lane.right)
        if target < 0 or roads.lanes[target].kind != lane.kind:
            continue
        onward = roads.route_steps[route.table_start + target - route.lane_base]
        if onward.next < 0 and onward.to_goal > roads.lanes[target].length:
            continue
        if onward.side != 0:
            room, changes = _change_room(roads, mind, target)
            if onward.side == OFF_ROUTE or room < max(RETURN_M, RETURN_S * body.speed) * changes:
                continue
        if _merge_side(roads, int(mind.route), target, int(body.size_class)) != 0:
            continue
        own, follower, nearest, _ = _slot(state, roads, w, a, side, lag, False)
        if nearest < 2.0 + 0.2 * body.speed or own < -SAFE_BRAKING or follower < -SAFE_BRAKING:
            continue
        gain = max(own, -4.0) - max(now, -4.0) + mind.politeness * max(follower, -4.0)
        if gain > THRESHOLD:
            _start_change(roads, body, mind, side, int(state.worlds[w].tick))
            return
