"""What is in the way: leaders on the own path, things that reach into it, people about to step into it, parked things to pass.

A body on a lane of the own path is a leader by its lane position; anything else is projected onto the path.
"""

from __future__ import annotations

import math

import numpy as np

from sim.jit import kernel
from sim.localise import project
from sim.roads.pack import OFF_ROUTE, Roads
from sim.state import HISTORY, WorldState
from sim.traffic.plan import CONTACT, FAR, LEADER, MERGING, OBSTACLE, WALKER, following_acceleration, lead_at, stop_at

SIDE_GAP = 0.25  # m kept beside somebody on the same lane before following it
PASSING_GAP = 0.6  # m kept beside a parked thing when passing it
ROOM_STEP = 2.0  # m between the places where the road's width is looked at
EDGE_GAP = 0.1  # m kept to the edge of the drivable area when passing
SWING_ROOM = 4.5  # m ahead for each metre to the side, from a stand
LOOK = 45.0  # m ahead in which bodies off the path are looked at
PASSING_SPEED = 7.0  # m/s
WALKING_AHEAD_S = 2.5  # s a person's walk is carried forward
ACTIVE = 1
PEDESTRIAN, OBJECT = 6, 7
HAZARD = 3
STANDING = 0.3  # m/s
LET_IN_TICKS = 80  # somebody who stood that long with room ahead is waited for no more
COURTEOUS_BRAKING = 1.5  # m/s² one brakes to let somebody in
ALONGSIDE = 0.8  # cosine of the angle below which somebody goes our way
ROADSIDE_GAP = 0.7  # m beside somebody on foot below which one slows down
ROADSIDE_SPEED = 5.0  # m/s


@kernel
def _offset(roads: Roads, lane: int, s: float, x: float, y: float) -> float:
    """Left offset [m] of a point from a lane's centreline near `s`."""
    record = roads.lanes[lane]
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    return float((y - point.y) * point.cos - (x - point.x) * point.sin)


@kernel
def is_parked(other: np.record, seen: np.record) -> bool:
    """Whether it shows that it will not move: a thing, or a vehicle that stands with its hazard lights on."""
    return bool(other.kind == OBJECT or (seen.indicator == HAZARD and abs(seen.speed) < STANDING))


@kernel
def _softened(mind: np.record, speed: float, gap: float, lead_speed: float, lead_accel: float) -> float:
    """A gap that is short but not dangerous is opened gently: people let a car that moved in have its time (Kesting, Treiber and
    Helbing 2010, enhanced IDM). Never changes a steady following gap."""
    closing = max(speed - lead_speed, 0.0)
    opening = max(lead_speed - speed, 0.0)
    if gap < 1.0 + max(0.5 + 0.35 * speed - opening, 0.0) or lead_accel < -1.0 or closing * closing > 2.0 * (gap - 1.5):
        return gap
    desired = mind.min_gap + max(
        speed * mind.time_gap + speed * (speed - lead_speed) / (2.0 * math.sqrt(mind.accel * mind.decel)), 0.0
    )
    return float(max(gap, desired * math.sqrt(mind.accel / (1.2 * mind.accel + 0.3))))


@kernel
def _let_in(mind: np.record, body: np.record, other: np.record, seen: np.record, ahead: float, tick: int, b: int) -> None:
    """Open a gap for somebody ahead in the next lane who indicates into ours, as long as that takes no hard braking."""
    speed = max(1.0 * body.speed, 0.0)
    moving = max(1.0 * seen.speed, 0.0)
    patient = seen.standing_since < 0 or tick - seen.standing_since < LET_IN_TICKS
    if mind.assertiveness > 0.85 or not patient or ahead < 0.2 * (body.length + other.length):
        return
    gap = ahead - 0.5 * (body.length + other.length)
    asked = following_acceleration(mind, speed, max(gap, 1.0), moving)
    if gap > 1.0 and asked > -COURTEOUS_BRAKING:
        lead_at(mind, body, gap, moving, min(1.0 * seen.accel, 0.0), b, MERGING)
    elif gap < 10.0 and speed - moving < 4.0:
        mind.desired_speed = min(1.0 * mind.desired_speed, max(moving - 1.5, 0.3))


@kernel
def _reach_sideways(body: np.record, mind: np.record, gap: float) -> tuple[float, float]:
    """(least, largest) offset from the line that the own body takes from `gap` [m] ahead on: then, and at the goal."""
    most = max(gap, 0.0) * min(0.3, 1.0 / max(body.speed, 0.1))
    goal = 1.0 * mind.goal_shift
    there = mind.d + min(max(goal - mind.d, -most), most)
    return min(there, goal), max(there, goal)


@kernel
def _on_path(
    state: WorldState, roads: Roads, w: int, a: int, b: int, seen: np.record, lag: float,
    path_lane: np.ndarray, path_base: np.ndarray, count: int,
) -> bool:  # fmt: skip
    """Follow a body that is on a lane of the own path; True where it is on one (in the way or not)."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    speed = 1.0 * seen.speed
    own_speed = max(1.0 * body.speed, 0.0)
    matched = False
    for h in range(seen.hypothesis_count):
        there = seen.hypothesis_lane[h]
        place = seen.hypothesis_s[h] + speed * lag
        for k in range(count):
            if there != path_lane[k] and seen.indicator == 0:
                continue
            lane = roads.lanes[path_lane[k]]
            ahead = path_base[k] + place
            if there != path_lane[k]:
                if (there == lane.left and seen.indicator == 2) or (there == lane.right and seen.indicator == 1):
                    _let_in(mind, body, other, seen, ahead, state.worlds[w].tick, b)
                continue
            if ahead <= 0.0:
                matched = True
                continue
            offset = _offset(roads, path_lane[k], place, seen.x + seen.vx * lag, seen.y + seen.vy * lag)
            gap = ahead - 0.5 * (body.length + other.length)
            first, last = _reach_sideways(body, mind, gap)
            keep = 0.5 * (body.width + other.width) + SIDE_GAP
            if first - keep < offset < last + keep:
                gap = _softened(mind, own_speed, gap, speed, 1.0 * seen.accel)
                lead_at(mind, body, gap, speed, 1.0 * seen.accel, b, LEADER)
                matched = True
    return matched


@kernel
def _locate(
    roads: Roads, path_lane: np.ndarray, path_base: np.ndarray, count: int, guess: float, x: float, y: float
) -> tuple[float, float, int]:
    """(distance ahead, offset to the left, place in the path) of a point near the path; distance FAR where it is beyond."""
    for k in range(count):
        length = roads.lanes[path_lane[k]].length
        if guess > path_base[k] + length and k + 1 < count:
            continue
        s, d = project(roads, path_lane[k], min(max(guess - path_base[k], 0.0), length), x, y)
        if s > length + 0.01 and k + 1 < count:
            guess = path_base[k] + s
            continue
        return path_base[k] + s, d, k
    return FAR, 0.0, 0


@kernel
def _oncoming_free(state: WorldState, w: int, a: int, start: float, end: float, side: float, lag: float) -> bool:
    """Whether nobody comes towards us who would meet us on the stretch from `start` to `end` ahead, to our `side` (+1 left)."""
    body = state.bodies[w, a]
    tick = int(state.worlds[w].tick)
    past = min(int(state.minds[w, a].response_ticks), tick)
    speed = max(1.0 * body.speed, 0.0)
    pace = min(max(speed, 4.0), PASSING_SPEED)
    slow = 1.0 if speed < 1.0 else 0.0
    until = max(end, 0.0) / pace + slow + 1.0
    begin = max(start, 0.0) / max(speed, 3.0)
    for n in range(state.neighbours[w, a, 0]):
        b = int(state.neighbours[w, a, 1 + n])
        seen = state.history[w, (tick - past) % HISTORY, b]
        other = state.bodies[w, b]
        if state.visible[w, a, n] == 0 or seen.status != ACTIVE or other.kind == PEDESTRIAN or is_parked(other, seen):
            continue
        dx = seen.x + seen.vx * lag - body.x
        dy = seen.y + seen.vy * lag - body.y
        ahead = dx * body.cos + dy * body.sin
        across = (dy * body.cos - dx * body.sin) * side
        half = 0.5 * other.length + 2.0
        facing = seen.cos * body.cos + seen.sin * body.sin
        if across < -1.0 or across > 8.0 or ahead < -half:
            # somebody overtaking us from behind on that side
            if (
                facing > 0.5
                and 0.8 < across < 5.0
                and -25.0 < ahead <= -half
                and seen.speed > speed + 1.0
                and -ahead < 3.0 * (seen.speed - speed) + 4.0
            ):
                return False
            continue
        if facing > -0.5:
            if facing > 0.5 and 0.8 < across < 5.0 and ahead < half + 4.0:
                return False
            continue
        towards = max(1.0 * seen.speed, 1.5)
        gone = (ahead + half) / (towards + speed)
        if gone > begin and ahead - half - end < towards * until:
            return False
    return True


@kernel
def may_change_to(roads: Roads, mind: np.record, lane: int) -> bool:
    """Whether the route can still be driven from the lane beside."""
    route = roads.routes[mind.route]
    return bool(
        roads.lanes[lane].kind == roads.lanes[mind.lane].kind
        and roads.route_steps[route.table_start + lane - route.lane_base].side != OFF_ROUTE
    )


@kernel
def _pass_by(
    state: WorldState, roads: Roads, w: int, a: int, b: int, ahead: float, offset: float, lane: int, s: float, lag: float
) -> None:
    """Plan to swing round a parked thing where there is room, else to stop before it."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    record = roads.lanes[lane]
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    facing = abs(point.cos * other.cos + point.sin * other.sin)
    turned = math.sqrt(max(1.0 - facing * facing, 0.0))
    across = 0.5 * (other.width * facing + other.length * turned)
    along = 0.5 * (other.length * facing + other.width * turned)
    half = 0.5 * body.width
    gap = ahead - along - 0.5 * body.length
    speed = max(1.0 * body.speed, 0.0)
    left = offset + across + half + PASSING_GAP
    right = offset - across - half - PASSING_GAP
    if left <= 0.0 or right >= 0.0:
        return
    left_fits = left + half < point.room_left - EDGE_GAP
    right_fits = -right + half < point.room_right - EDGE_GAP
    swing = left
    if right_fits and (not left_fits or -right < left):
        swing = right
    elif not left_fits:
        stop_at(mind, gap - 2.0, OBSTACLE, b)
        return
    beside = int(record.left if swing > 0.0 else record.right)
    if abs(swing) + half > point.half_width + 0.3 and beside >= 0 and may_change_to(roads, mind, beside):
        # there is a lane of our own direction: change to it rather than straddle the line
        if gap > -1.0:
            stop_at(mind, gap - SWING_ROOM * abs(swing), OBSTACLE, b)
        return
    leaves_lane = abs(swing) + half > point.half_width + 0.1
    under_way = abs(mind.d - swing) < 0.6 * abs(swing) or gap < 0.0
    reach = ahead + along + 0.5 * body.length
    if (
        leaves_lane
        and not under_way
        and not _oncoming_free(state, w, a, gap - SWING_ROOM * abs(swing), reach, 1.0 if swing > 0.0 else -1.0, lag)
    ):
        stop_at(mind, gap - SWING_ROOM * abs(swing) - 1.0, OBSTACLE, b)
        return
    if ahead < max(22.0, 3.5 * speed):
        same = swing * mind.goal_shift
        if same == 0.0 or (same > 0.0 and abs(swing) > abs(mind.goal_shift)):
            mind.goal_shift = swing
        if abs(swing) > 0.8:
            mind.desired_speed = min(1.0 * mind.desired_speed, PASSING_SPEED)
    # the swing must be done by the time we are there
    missing = across + half + 0.1 - abs(offset - mind.d)
    if missing > 0.0 and gap > -0.5:
        sideways = min(1.1, 0.35 * speed)
        if speed * (missing + 0.3 * sideways) > sideways * (gap - 0.5):
            stop_at(mind, gap - 1.0, OBSTACLE, b)


@kernel
def _consider_walker(
    mind: np.record, body: np.record, other: np.record, gap: float, offset: float, across_speed: float, met: bool, b: int
) -> None:
    """Stop for somebody on foot who is, or is about to be, in the way; keep a distance from others at the roadside."""
    speed = max(1.0 * body.speed, 0.0)
    own = 1.0 * mind.goal_shift
    reach = 0.5 * (body.width + other.length) + SIDE_GAP
    soon = min(max(gap, 0.0) / max(speed, 1.0), WALKING_AHEAD_S)
    later = offset + across_speed * soon
    inside = abs(offset - own) < reach
    will_be = abs(later - own) < reach + 0.2
    if will_be and (inside or not met):
        stop_at(mind, gap - 1.5, WALKER, b)
    elif abs(later - own) < reach + ROADSIDE_GAP and gap < 20.0 and abs(offset) < 0.5 * body.width + 3.0 and not met:
        mind.desired_speed = min(1.0 * mind.desired_speed, max(ROADSIDE_SPEED, speed - 1.0))


@kernel
def _room_right(roads: Roads, path_lane: np.ndarray, path_base: np.ndarray, count: int, ahead: float) -> float:
    """Least room [m] from the line to the right edge of the road over the next `ahead` metres of the path."""
    least = FAR
    k = 0
    way = 0.0
    while way <= ahead:
        while k + 1 < count and path_base[k + 1] <= way:
            k += 1
        record = roads.lanes[path_lane[k]]
        index = min(max(int((way - path_base[k]) / record.spacing + 0.5), 0), record.point_count - 1)
        least = min(least, float(roads.points[record.point_start + index].room_right))
        way += ROOM_STEP
    return least


@kernel
def _give_way_sideways(
    mind: np.record, body: np.record, other: np.record, room_right: float, gap: float, offset: float, b: int
) -> None:
    """Somebody comes towards us on our side: keep right as far as the road goes; where that does not do, meet it standing."""
    most = room_right - 0.5 * body.width - EDGE_GAP
    wanted = 0.5 * (body.width + other.width) + SIDE_GAP - offset
    if wanted > 0.0 and most > 0.0:
        mind.goal_shift = min(1.0 * mind.goal_shift, -min(wanted, most))
    _, last = _reach_sideways(body, mind, 0.5 * gap)
    if last + 0.5 * (body.width + other.width) + 0.1 > offset:
        stop_at(mind, max(0.5 * gap - 1.0, 0.0), CONTACT, b)


@kernel
def consider_body(
    state: WorldState, roads: Roads, w: int, a: int, b: int, seen: np.record, lag: float,
    path_lane: np.ndarray, path_base: np.ndarray, count: int, met: bool,
) -> None:  # fmt: skip
    """Enter what one visible body means for the plan, besides its right of way."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    if other.drive_through:
        return
    x = seen.x + seen.vx * lag
    y = seen.y + seen.vy * lag
    dx = x - body.x
    dy = y - body.y
    forward = dx * body.cos + dy * body.sin
    parked = is_parked(other, seen)
    vehicle = not parked and other.kind != PEDESTRIAN
    if vehicle and _on_path(state, roads, w, a, b, seen, lag, path_lane, path_base, count):
        return
    # right of way is settled elsewhere; what remains is who moves alongside and has come into our way
    if vehicle and met and abs(dx * body.sin - dy * body.cos) > 6.0:
        return
    if (
        forward < -8.0
        or forward > max(LOOK, 6.0 * body.speed)
        or abs(dy * body.cos - dx * body.sin) > 4.0 + 0.6 * max(forward, 0.0)
    ):
        return
    ahead, offset, k = _locate(roads, path_lane, path_base, count, max(forward, 0.0), x, y)
    if ahead >= FAR:
        return
    if parked:
        if ahead > -0.5 * (body.length + other.length) - 1.0:
            _pass_by(state, roads, w, a, b, ahead, offset, path_lane[k], ahead - path_base[k], lag)
        return
    if ahead <= 0.0:
        return
    lane = roads.lanes[path_lane[k]]
    index = min(max(int((ahead - path_base[k]) / lane.spacing + 0.5), 0), lane.point_count - 1)
    point = roads.points[lane.point_start + index]
    along_speed = seen.vx * point.cos + seen.vy * point.sin
    across_speed = seen.vy * point.cos - seen.vx * point.sin
    gap = ahead - 0.5 * (body.length + other.length)
    if other.kind == PEDESTRIAN:
        _consider_walker(mind, body, other, gap, offset, across_speed, met, b)
        return
    speed = max(1.0 * body.speed, 0.0)
    facing = point.cos * seen.cos + point.sin * seen.sin
    if met and facing < ALONGSIDE:
        return
    facing = abs(facing)
    reach = 0.5 * (body.width + other.width * facing + other.length * math.sqrt(max(1.0 - facing * facing, 0.0))) + 0.1
    soon = min(max(gap, 0.0) / max(speed, 1.0), 1.0)
    later = offset + across_speed * soon
    first, last = _reach_sideways(body, mind, gap)
    if met:
        later = offset
    if min(offset, later) > last + reach or max(offset, later) < first - reach:
        return
    if point.cos * seen.cos + point.sin * seen.sin < -0.5:
        # inside a junction there is no side to keep to
        inside = lane.junction >= 0 or roads.lanes[path_lane[0]].junction >= 0
        room = 0.0 if inside else _room_right(roads, path_lane, path_base, count, ahead)
        _give_way_sideways(mind, body, other, room, gap, offset, b)
    else:
        lead_at(mind, body, max(gap, 0.1), max(along_speed, 0.0), 1.0 * seen.accel, b, LEADER)
