"""Pedestrians: social force along sidewalks, crosswalks and paths, and gap acceptance before stepping into a vehicle's way.

World frame, SI. Social force after Helbing and Molnar (Social force model for pedestrian dynamics, Phys. Rev. E 51, 1995, eqs.
2-4) with a sidestep at the closest approach; critical gap of the Highway Capacity Manual (crossing time plus a spare time that
shrinks with waiting).
A pedestrian sees what everybody sees, as old as its response time: never another's plans.
"""

from __future__ import annotations

import math

from sim.interface import TICK_S, Colour, Indicator, Kind
from sim.jit import kernel
from sim.localise import project
from sim.roads.lane_map import CLASSES, LaneKind, Turn
from sim.roads.pack import Roads
from sim.roads.signals import signal_colour
from sim.state import HISTORY, Reason, Status, WorldState
from sim.trigonometry import arctan

_CROSSWALK, _PATH = int(LaneKind.CROSSWALK), int(LaneKind.PATH)
_WALKER, _THING = int(Kind.PEDESTRIAN), int(Kind.OBJECT)
_LEFT, _RIGHT = int(Turn.LEFT), int(Turn.RIGHT)
_BLINKS_LEFT, _BLINKS_RIGHT = int(Indicator.LEFT), int(Indicator.RIGHT)
_ACTIVE = int(Status.ACTIVE)
_RED, _YELLOW = int(Colour.RED), int(Colour.YELLOW)
_FREE, _AT_SIGNAL, _AT_CROSSWALK = int(Reason.FREE), int(Reason.SIGNAL), int(Reason.CROSSWALK)
_AT_PATH, _AT_OBSTACLE = int(Reason.YIELD), int(Reason.OBSTACLE)

TAU = 0.5  # s, relaxation towards the wanted velocity
STRENGTH = 7.0  # m/s² at contact: potential 2.1 m²/s² over the range 0.3 m
FORCE_RANGE = 0.3  # m
AHEAD_ONLY = 0.3  # weight of what is behind
BODY_RADIUS = 0.36  # m, half the diagonal of a walker's box, about
SIDESTEP = 1.6  # m/s², for somebody who would be met head-on
SIDESTEP_WIDTH = 1.0  # m between centres at the closest approach that needs no sidestep
SIDESTEP_HORIZON = 3.0  # s
NOTICE = 6.0  # m, boxes further off exert no force
CARROT = 1.0  # m, the point ahead on the route that is walked towards
CUT = 0.2  # m, by which corners of a standing box's surroundings may be cut
DETOUR_CARROT = 6.0  # m, the point that a way around a standing box leads to
EDGE = 0.4  # m, kept to the lane's edge
KEEP_AWAY = 0.25  # m, gap to a box below which nobody walks closer
CLOSE_IN = 1.2  # 1/s, walking speed towards a box per metre of gap

LOOK_AHEAD = 4.0  # m before a crossing at which its traffic is watched
CLEARANCE = 0.6  # m, between a waiting walker's centre and the zone swept by vehicles
KERB = 0.2  # m, waiting place before the start of a crossing lane
ZONE_SPARE = 0.7  # m, half the box length of the conflict tables' small class beyond a walker's own
HURRY = 1.3
COMFORTABLE_BRAKE = 2.5  # m/s², what may be asked of a driver at a marked crossing
HARD_BRAKE = 4.0  # m/s², beyond which stepping back is safer
DRIVER_RESPONSE = 0.8  # s
STOP_SHORT = 1.0  # m
SPARE_MAX, SPARE_MIN = 3.0, 0.8  # s, spare time in the critical gap at first and after long waiting
STANDING = 0.5  # m/s
STOOD = 25  # ticks after which a standing vehicle is taken to wait
PULL_AWAY = 1.5  # m/s², of a standing vehicle that may start
WALK_AROUND = 40  # ticks before a vehicle standing in the way is walked around
FAR = 1e9  # m, nothing to stop for
HASTE = 1e8  # m, in the way of a vehicle already: nothing to stop for, but a reason to hurry


@kernel
def _decay(x: float) -> float:
    """exp(-x) for x >= 0 by a Taylor series and six squarings: the same bits on every machine."""
    if x > 30.0:
        return 0.0
    y = x / 64.0
    value = 1.0 - y * (1.0 - y * (0.5 - y * (1.0 / 6.0 - y * (1.0 / 24.0 - y * (1.0 / 120.0)))))
    for _ in range(6):
        value *= value
    return value


@kernel
def _direction(x: float, y: float) -> float:
    """Heading [rad] in (-pi, pi] of a vector that is not zero."""
    if abs(x) >= abs(y):
        angle = arctan(y / x)
        if x < 0.0:
            angle += math.pi if y >= 0.0 else -math.pi
        return angle
    return (0.5 * math.pi if y > 0.0 else -0.5 * math.pi) - arctan(x / y)


@kernel
def _row(state: WorldState, w: int, a: int) -> tuple[int, float]:
    """Row of the history that `a` reacts to now, and its age [s]."""
    tick = state.worlds[w].tick
    seen_tick = max(tick - min(max(state.minds[w, a].response_ticks, 0), HISTORY - 1), 0)
    return seen_tick % HISTORY, (tick - seen_tick) * TICK_S


@kernel
def _next_lane(roads: Roads, route: int, lane: int) -> int:
    """Lane that a route takes after `lane`, or -1."""
    record = roads.routes[route]
    return int(roads.route_steps[record.table_start + lane - record.lane_base].next)


@kernel
def _carrot(roads: Roads, route: int, lane: int, s: float, d: float) -> tuple[float, float]:
    """Point (x, y) at `s` >= 0 counted on along the route, beside the centreline by as much of `d` as the lane is wide."""
    along = s
    while along > roads.lanes[lane].length:
        following = _next_lane(roads, route, lane)
        if following < 0:
            break
        along -= roads.lanes[lane].length
        lane = following
    record = roads.lanes[lane]
    index = min(max(int(along / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    ahead = along - index * record.spacing
    room = max(point.half_width - EDGE, 0.0)
    beside = min(max(d, -room), room)
    return point.x + ahead * point.cos - beside * point.sin, point.y + ahead * point.sin + beside * point.cos


@kernel
def _surface(dx: float, dy: float, cos: float, sin: float, half_length: float, half_width: float) -> tuple[float, float, float]:
    """(gap [m], normal x, normal y): from a box's surface to a point (dx, dy) off its centre; the normal points to the point."""
    along = dx * cos + dy * sin
    across = dy * cos - dx * sin
    sign_along = 1.0 if along >= 0.0 else -1.0
    sign_across = 1.0 if across >= 0.0 else -1.0
    out_along = abs(along) - half_length
    out_across = abs(across) - half_width
    if out_along > 0.0 and out_across > 0.0:
        gap = math.sqrt(out_along * out_along + out_across * out_across)
        normal_along = sign_along * out_along / gap
        normal_across = sign_across * out_across / gap
    elif out_along > out_across:
        gap, normal_along, normal_across = out_along, sign_along, 0.0
    else:
        gap, normal_along, normal_across = out_across, 0.0, sign_across
    return gap, normal_along * cos - normal_across * sin, normal_along * sin + normal_across * cos


@kernel
def _gap_to(state: WorldState, w: int, a: int, j: int, row: int, age: float) -> tuple[float, float, float]:
    """(gap between the bodies [m], normal x, normal y towards `a`) of another one where it was seen, moved on by its velocity."""
    body = state.bodies[w, a]
    other = state.bodies[w, j]  # its fixed sizes only
    seen = state.history[w, row, j]
    dx = body.x - (seen.x + seen.vx * age)
    dy = body.y - (seen.y + seen.vy * age)
    if other.kind == _WALKER:
        distance = max(math.sqrt(dx * dx + dy * dy), 1e-6)
        return distance - 2.0 * BODY_RADIUS, dx / distance, dy / distance
    gap, normal_x, normal_y = _surface(dx, dy, seen.cos, seen.sin, 0.5 * other.length, 0.5 * other.width)
    return gap - BODY_RADIUS, normal_x, normal_y


@kernel
def _sidestep(dx: float, dy: float, relative_vx: float, relative_vy: float, ux: float, uy: float) -> float:
    """Acceleration [m/s²] to the left of (ux, uy) that widens the closest approach to somebody at (dx, dy)."""
    closing = relative_vx * relative_vx + relative_vy * relative_vy
    if closing < 0.04:
        return 0.0
    time = -(dx * relative_vx + dy * relative_vy) / closing
    if time <= 0.0 or time > SIDESTEP_HORIZON:
        return 0.0
    miss_x = dx + relative_vx * time
    miss_y = dy + relative_vy * time
    miss = math.sqrt(miss_x * miss_x + miss_y * miss_y)
    if miss >= SIDESTEP_WIDTH:
        return 0.0
    # head-on both keep to their right, so that mirrored walkers do not dance
    left = ux * miss_y - uy * miss_x
    side = 1.0 if left < -0.05 else -1.0
    return side * SIDESTEP * (1.0 - miss / SIDESTEP_WIDTH)


@kernel
def _social_force(state: WorldState, w: int, a: int, ux: float, uy: float) -> tuple[float, float]:
    """Acceleration (x, y) [m/s²] from the people and boxes around one who walks in direction (ux, uy)."""
    body = state.bodies[w, a]
    row, age = _row(state, w, a)
    force_x = force_y = 0.0
    for k in range(state.neighbours[w, a, 0]):
        j = state.neighbours[w, a, 1 + k]
        seen = state.history[w, row, j]
        if state.visible[w, a, k] == 0 or seen.status != _ACTIVE:
            continue
        gap, normal_x, normal_y = _gap_to(state, w, a, j, row, age)
        if gap > NOTICE:
            continue
        facing = -(normal_x * ux + normal_y * uy)
        push = STRENGTH * _decay(max(gap, 0.0) / FORCE_RANGE) * (AHEAD_ONLY + (1.0 - AHEAD_ONLY) * 0.5 * (1.0 + facing))
        force_x += push * normal_x
        force_y += push * normal_y
        if state.bodies[w, j].kind == _WALKER:
            dx = seen.x + seen.vx * age - body.x
            dy = seen.y + seen.vy * age - body.y
            side = _sidestep(dx, dy, seen.vx - body.vx, seen.vy - body.vy, ux, uy)
            force_x -= side * uy
            force_y += side * ux
    return force_x, force_y


@kernel
def _keep_off(state: WorldState, w: int, a: int, want_x: float, want_y: float) -> tuple[float, float, bool]:
    """(vx, vy, blocked): the wanted velocity without the part that would walk into a body near by.

    Where a walker in the way leaves nothing of it, both step to their right.
    """
    row, age = _row(state, w, a)
    blocked = False
    pace = math.sqrt(want_x * want_x + want_y * want_y)
    for k in range(state.neighbours[w, a, 0]):
        j = state.neighbours[w, a, 1 + k]
        seen = state.history[w, row, j]
        if state.visible[w, a, k] == 0 or seen.status != _ACTIVE:
            continue
        gap, normal_x, normal_y = _gap_to(state, w, a, j, row, age)
        if gap > 2.0:
            continue
        inward = -(want_x * normal_x + want_y * normal_y)
        allowed = max((gap - KEEP_AWAY) * CLOSE_IN, -0.4)
        if inward <= allowed:
            continue
        want_x += (inward - allowed) * normal_x
        want_y += (inward - allowed) * normal_y
        blocked = True
        slide = want_y * normal_x - want_x * normal_y
        if state.bodies[w, j].kind == _WALKER and pace > 0.3 and abs(slide) < 0.4 * pace and gap < KEEP_AWAY + 0.5:
            want_x -= 0.5 * pace * normal_y
            want_y += 0.5 * pace * normal_x
    return want_x, want_y, blocked


@kernel
def _hits(ax: float, ay: float, bx: float, by: float, half_length: float, half_width: float) -> bool:
    """Whether the segment a-b cuts the axis-parallel box about the origin (slab test)."""
    low, high = 0.0, 1.0
    for axis in range(2):
        start = ax if axis == 0 else ay
        step = bx - ax if axis == 0 else by - ay
        half = half_length if axis == 0 else half_width
        if abs(step) < 1e-9:
            if abs(start) >= half:
                return False
            continue
        first = (-half - start) / step
        second = (half - start) / step
        low = max(low, min(first, second))
        high = min(high, max(first, second))
    return low < high


@kernel
def _onwards(cx: float, cy: float, bx: float, by: float, half_length: float, half_width: float) -> float:
    """Length [m] of the way from a corner (cx, cy) of a box about the origin to b, over one more corner where needed."""
    if not _hits(cx, cy, bx, by, half_length - CUT, half_width - CUT):
        return math.sqrt((bx - cx) ** 2 + (by - cy) ** 2)
    over_x = 2.0 * abs(cx) + math.sqrt((bx + cx) ** 2 + (by - cy) ** 2)
    over_y = 2.0 * abs(cy) + math.sqrt((bx - cx) ** 2 + (by + cy) ** 2)
    return min(over_x, over_y)


@kernel
def _corner(ax: float, ay: float, bx: float, by: float, half_length: float, half_width: float) -> tuple[float, float]:
    """Next point on the shortest way from a to b around a box about the origin; b itself where nothing is in the way."""
    if not _hits(ax, ay, bx, by, half_length, half_width):
        return bx, by
    best, best_x, best_y = FAR, bx, by
    for side in range(4):
        cx = half_length if side < 2 else -half_length
        cy = half_width if side % 2 == 0 else -half_width
        # corners may be cut a little, so that one nearly reached counts as passed
        if _hits(ax, ay, cx, cy, half_length - CUT, half_width - CUT):
            continue
        way = math.sqrt((cx - ax) ** 2 + (cy - ay) ** 2) + _onwards(cx, cy, bx, by, half_length, half_width)
        if way < best:
            best, best_x, best_y = way, cx, cy
    return best_x, best_y


@kernel
def _target(state: WorldState, roads: Roads, w: int, a: int) -> tuple[float, float]:
    """Point (x, y) to walk towards: ahead on the route, or the next corner of the nearest standing box in the way."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    row, _ = _row(state, w, a)
    further_x, further_y = _carrot(roads, mind.route, mind.lane, mind.s + DETOUR_CARROT, mind.d)
    nearest = NOTICE
    target_x, target_y = _carrot(roads, mind.route, mind.lane, mind.s + CARROT, mind.d)
    for k in range(state.neighbours[w, a, 0]):
        j = state.neighbours[w, a, 1 + k]
        other = state.bodies[w, j]  # its fixed sizes only
        seen = state.history[w, row, j]
        if state.visible[w, a, k] == 0 or seen.status != _ACTIVE or other.kind == _WALKER or abs(seen.speed) > STANDING:
            continue
        gap, _, _ = _gap_to(state, w, a, j, row, 0.0)
        if gap > nearest:
            continue
        margin = BODY_RADIUS + KEEP_AWAY
        ax, ay = _into(body.x - seen.x, body.y - seen.y, seen.cos, seen.sin)
        bx, by = _into(further_x - seen.x, further_y - seen.y, seen.cos, seen.sin)
        x, y = _corner(ax, ay, bx, by, 0.5 * other.length + margin, 0.5 * other.width + margin)
        if x != bx or y != by:
            nearest = gap
            target_x = seen.x + x * seen.cos - y * seen.sin
            target_y = seen.y + x * seen.sin + y * seen.cos
    return target_x, target_y


@kernel
def _into(dx: float, dy: float, cos: float, sin: float) -> tuple[float, float]:
    """A world offset in a frame turned to (cos, sin)."""
    return dx * cos + dy * sin, dy * cos - dx * sin


@kernel
def _arrival(distance: float, speed: float, accel: float) -> float:
    """Time [s] until `distance` is covered, speeding up by `accel` >= 0."""
    if distance <= 0.0:
        return 0.0
    if accel > 0.05:
        return (math.sqrt(speed * speed + 2.0 * accel * distance) - speed) / accel
    return distance / speed if speed > 0.05 else FAR


@kernel
def _gives_way(near: float, speed: float, accel: float, standing_ticks: int, claims: bool) -> bool:
    """Whether a vehicle `near` [m] before the zone visibly lets somebody cross, or may be asked to (`claims`)."""
    if speed < STANDING:
        return accel < 0.15 and (claims or standing_ticks >= STOOD) and near > 0.3
    if accel < -0.4 and speed * speed < -2.0 * accel * (near - 0.5):
        return True
    return claims and near > speed * DRIVER_RESPONSE + speed * speed / (2.0 * COMFORTABLE_BRAKE) + STOP_SHORT


@kernel
def _free_of(enter: float, leave: float, near: float, far: float, speed: float, accel: float, pace: float, spare: float) -> bool:
    """Whether a walker between `enter` and `leave` [m ahead] and a vehicle between `near` and `far` stay apart in time."""
    clear = max(leave, 0.0) / pace
    come = max(enter, 0.0) / pace
    pull = PULL_AWAY if speed < STANDING else max(accel, 0.0)
    if _arrival(near, speed, pull) > clear + spare:
        return True
    return _arrival(far, speed, 0.0) + 0.5 < come


@kernel
def _own_zone(enter: float, leave: float, offset: float) -> tuple[float, float]:
    """Distances [m ahead] at which a walker enters and leaves the zone of a conflict record whose lane starts at `offset`."""
    return offset + enter + ZONE_SPARE, offset + leave - ZONE_SPARE


@kernel
def _vehicle_hold(
    state: WorldState, roads: Roads, w: int, a: int, j: int, lane: int, offset: float, setting: tuple[float, bool, float]
) -> float:
    """Distance [m] to where one vehicle's approach makes the walker stop on (or before) crossing `lane`; FAR if it need not,
    HASTE if it stands in the way already.

    offset: from the walker to the lane's start. setting: (pace [m/s], may claim, spare time [s]). Negative: step back.
    """
    pace, claims, spare = setting
    row, age = _row(state, w, a)
    seen = state.history[w, row, j]
    crossing = roads.lanes[lane]
    cluster = roads.clusters[crossing.cluster]
    accel = float(seen.accel)
    later = max(seen.speed + accel * age, 0.0)
    travelled = 0.5 * (max(seen.speed, 0.0) + later) * age
    standing_ticks = state.worlds[w].tick - seen.standing_since if seen.standing_since >= 0 else 0
    pair = state.bodies[w, a].size_class * CLASSES + state.bodies[w, j].size_class
    hold = FAR
    for h in range(seen.hypothesis_count):
        approach = roads.lanes[seen.hypothesis_lane[h]]
        for e in range(approach.entry_start, approach.entry_start + approach.entry_count):
            entry = roads.entries[e]
            target = roads.lanes[entry.lane]
            turned_away = (entry.turn == _LEFT and seen.indicator == _BLINKS_RIGHT) or (
                entry.turn == _RIGHT and seen.indicator == _BLINKS_LEFT
            )
            if target.cluster != crossing.cluster or turned_away:
                continue
            first = roads.cluster_matrix[cluster.matrix_start + crossing.local * cluster.size + target.local]
            if first < 0:
                continue
            conflict = roads.conflicts[first + pair]
            enter, leave = _own_zone(conflict.enter, conflict.leave, offset)
            near = entry.distance + conflict.other_enter - seen.hypothesis_s[h] - travelled
            far = entry.distance + conflict.other_leave - seen.hypothesis_s[h] - travelled
            if leave <= 0.0 or far <= 0.0:
                continue
            if near <= 0.0 and later < STANDING and accel < 0.1 and state.minds[w, a].wait_ticks > WALK_AROUND:
                continue
            if near > 0.0 and _gives_way(near, later, accel, standing_ticks, claims):
                continue
            if _free_of(enter, leave, near, far, later, accel, pace, spare):
                continue
            can_step_back = enter > -0.6 and later * later > 2.0 * HARD_BRAKE * max(near, 0.0)
            hold = min(hold, enter - CLEARANCE if enter > 0.0 or can_step_back else HASTE)
    return hold


@kernel
def _crossing_hold(state: WorldState, roads: Roads, w: int, a: int, lane: int, offset: float) -> float:
    """Distance [m] to where the traffic over crossing `lane` makes the walker stop; FAR if it may go."""
    mind = state.minds[w, a]
    crossing = roads.lanes[lane]
    marked = crossing.kind == _CROSSWALK
    colour = signal_colour(roads, crossing.signal, state.worlds[w].tick)
    if mind.committed != 1 and (colour in (_RED, _YELLOW)):
        return offset - KERB if offset > 0.0 else 0.0
    if crossing.cluster < 0:
        return FAR
    patience = max(10.0 * mind.patience_s, 10.0)
    spare = SPARE_MIN + (SPARE_MAX - SPARE_MIN) * patience / (patience + mind.wait_ticks)
    courtesy = 5.0 + 10.0 * (1.0 - min(max(mind.assertiveness, 0.0), 1.0))
    claims = marked and (mind.committed == 1 or mind.wait_ticks >= courtesy)
    if mind.committed == 1:
        spare *= 0.5  # who has decided does not waver for a little less
    row, _ = _row(state, w, a)
    hold = FAR
    for k in range(state.neighbours[w, a, 0]):
        j = state.neighbours[w, a, 1 + k]
        kind = state.bodies[w, j].kind
        if state.visible[w, a, k] == 0 or kind in (_WALKER, _THING) or state.history[w, row, j].status != _ACTIVE:
            continue
        hold = min(hold, _vehicle_hold(state, roads, w, a, j, lane, offset, (_pace(state, w, a), claims, spare)))
    return hold


@kernel
def _pace(state: WorldState, w: int, a: int) -> float:
    """Undisturbed walking speed [m/s]."""
    return max(float(state.minds[w, a].walk_speed), 0.3)


@kernel
def _is_crossing(roads: Roads, lane: int) -> bool:
    """Whether vehicles drive over this lane."""
    kind = roads.lanes[lane].kind
    return bool(kind in (_CROSSWALK, _PATH))


@kernel
def _watch_crossing(state: WorldState, roads: Roads, w: int, a: int) -> float:
    """Distance [m] to where traffic makes the walker stop on the crossing it is on or comes to (FAR: nowhere, HASTE: hurry).

    Keeps `committed` (has decided to cross), `wait_ticks` and `reason`.
    """
    mind = state.minds[w, a]
    mind.reason = _FREE
    on_crossing = _is_crossing(roads, mind.lane)
    following = _next_lane(roads, mind.route, mind.lane)
    offset = roads.lanes[mind.lane].length - mind.s
    soon = following >= 0 and offset < LOOK_AHEAD and _is_crossing(roads, following)
    if not on_crossing and not soon:
        mind.committed = 0
        mind.wait_ticks = 0
        return FAR
    hold = kerb = FAR
    if on_crossing:
        hold = _crossing_hold(state, roads, w, a, mind.lane, -mind.s)
        kerb = 0.0
    if soon:
        hold = min(hold, _crossing_hold(state, roads, w, a, following, offset))
        kerb = min(kerb, offset - KERB)
    if (hold >= FAR and kerb < 1.0) or (on_crossing and mind.s > 1.0):
        mind.committed = 1
    if hold >= HASTE:
        return hold
    if mind.committed != 1:
        hold = min(hold, kerb)
    if hold < 1.0:
        mind.wait_ticks += 1
    crossing = mind.lane if on_crossing else following
    mind.reason = _AT_CROSSWALK if roads.lanes[crossing].kind == _CROSSWALK else _AT_PATH
    if mind.committed != 1 and signal_colour(roads, roads.lanes[crossing].signal, state.worlds[w].tick) == _RED:
        mind.reason = _AT_SIGNAL
    return hold


@kernel
def walk(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Decide the velocity pedestrian `a` wants: `minds.walk_vx`, `walk_vy` [m/s]; also `reason`, `committed` and `wait_ticks`.

    Reads its own body and mind, and of others only what they showed `response_ticks` ago, where it can see them.
    """
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    hold = _watch_crossing(state, roads, w, a)
    pace = _pace(state, w, a)
    if hold == HASTE:
        pace *= HURRY
    elif hold < HASTE:
        pace = min(pace, max(1.5 * hold, -1.2))
    target_x, target_y = _target(state, roads, w, a)
    dx = target_x - body.x
    dy = target_y - body.y
    distance = max(math.sqrt(dx * dx + dy * dy), 1e-6)
    ux = dx / distance
    uy = dy / distance
    force_x, force_y = _social_force(state, w, a, ux, uy)
    want_x, want_y, blocked = _keep_off(state, w, a, pace * ux + TAU * force_x, pace * uy + TAU * force_y)
    if blocked and mind.reason == _FREE:
        mind.reason = _AT_OBSTACLE
    limit = HURRY * _pace(state, w, a)
    speed = math.sqrt(want_x * want_x + want_y * want_y)
    if speed > limit:
        want_x *= limit / speed
        want_y *= limit / speed
    mind.walk_vx = want_x
    mind.walk_vy = want_y
    mind.desired_speed = pace


@kernel
def move_pedestrian(state: WorldState, roads: Roads, w: int, a: int, dt: float) -> None:
    """Advance pedestrian `a` by `dt` [s] towards its wanted velocity, within its acceleration, braking, jerk and speed limits.

    Holonomic: the heading is the velocity's and stays as it is at standstill.
    """
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    vx = float(body.vx)
    vy = float(body.vy)
    ax = (mind.walk_vx - vx) / TAU
    ay = (mind.walk_vy - vy) / TAU
    size = math.sqrt(ax * ax + ay * ay)
    cap = body.brake_max if ax * vx + ay * vy < 0.0 else body.accel_max
    if size > cap:
        ax *= cap / size
        ay *= cap / size
    new_x = vx + ax * dt
    new_y = vy + ay * dt
    before = float(body.speed)
    speed = math.sqrt(new_x * new_x + new_y * new_y)
    limit = body.jerk_max * dt
    accel = min(max((speed - before) / dt, body.accel - limit), body.accel + limit)
    allowed = min(max(before + accel * dt, 0.0), float(body.speed_max))
    scale = allowed / speed if speed > 1e-6 else 0.0
    new_x *= scale
    new_y *= scale
    body.x += 0.5 * (vx + new_x) * dt
    body.y += 0.5 * (vy + new_y) * dt
    body.distance += 0.5 * (before + allowed) * dt
    accel = (allowed - before) / dt
    body.jerk = (accel - body.accel) / dt
    body.accel = accel
    body.speed = allowed
    body.vx = new_x
    body.vy = new_y
    body.yaw_rate = 0.0
    if allowed > 0.1:
        old_cos = float(body.cos)
        old_sin = float(body.sin)
        cos = new_x / allowed
        sin = new_y / allowed
        body.yaw_rate = (old_cos * sin - old_sin * cos) / dt
        body.cos = cos
        body.sin = sin
        body.heading = _direction(new_x, new_y)


@kernel
def localise_pedestrian(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Update `lane`, `s`, `d`, `to_goal` of pedestrian `a` along its route by local projection, and its height from the lane."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    route = roads.routes[mind.route]
    lane = mind.lane
    s, d = project(roads, lane, mind.s, body.x, body.y)
    for _ in range(8):
        left = roads.lanes[lane].length - s
        following = roads.route_steps[route.table_start + lane - route.lane_base].next
        if following < 0 or left > 0.5 + abs(d):
            break
        next_s, next_d = project(roads, following, 0.0, body.x, body.y)
        # corners are cut: the next lane begins where one walks beside it already
        if left > 0.0 and next_s <= 0.0:
            break
        lane = following
        s = next_s
        d = next_d
    record = roads.lanes[lane]
    s = min(max(s, 0.0), record.length + 2.0)
    mind.lane = lane
    mind.s = s
    mind.d = d
    mind.to_goal = roads.route_steps[route.table_start + lane - route.lane_base].to_goal - s
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    body.z = roads.points[record.point_start + index].z
