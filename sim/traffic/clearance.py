"""The last word before moving on: does the own box, swept along the own path, touch anything that stands or creeps there?

Conflict tables know lanes and size classes; this looks at boxes themselves, so it also sees what sticks out of an approach,
tails of queues, and bodies off their centreline.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.geometry import box_gap, boxes_overlap
from sim.jit import kernel
from sim.roads.pack import Roads
from sim.state import HISTORY, WorldState
from sim.traffic.negotiate import (
    TIE_TICKS,
    by_side,
    conflict_row,
    from_the_right,
    has_entered,
    matches_signal,
    needed_braking,
    outranks,
)
from sim.traffic.obstacles import is_parked
from sim.traffic.path import first_inside
from sim.traffic.plan import CONTACT, EXIT_BLOCKED, stop_at
from sim.traffic.swept import LONG, room_to_swing

STEP = 0.8  # m between the places where the own box is tried
CREEPING = 1.5  # m/s; who is faster is a matter of right of way
BESIDE = 0.15  # m kept on all sides
BESIDE_LONG = 0.3  # m, long vehicles
NEAR_GAIN = 0.35  # 1/m, by which offsets fade, and
SLIDE = 0.3  # m sideways per metre, by which shifts change (sim.traffic.lateral)
CLOSEST = 0.08  # m kept from somebody that is nearer than BESIDE already, so that both can still leave
SQUEEZED = 0.6  # m
STANDING = 0.3  # m/s
ERROR_FADES = 5.0  # m
PAST_SPEED = 1.2  # m/s past somebody that near
NOT_WORTH_M = 1.0  # m, nobody sets off for less towards whom it stands before
SETTLING = 0.2  # m sideways per metre ahead in which the own offset goes over into the wanted one
NEAR_LINE = 12.0  # m; nearer than this to its line a driver has not entered, and looks at the whole way through
THROUGH = 16.0  # m beyond the line that a long vehicle must find free
SWEEP_STEP = 1.5  # m between the places where a long vehicle's box is tried
SWEEP_STEPS = 10
BACK_OFF = 3.0  # m
ROOM_FOR_LONG = 1.0  # m more than it seems to need
SLOW = 3.0  # m/s
ALIGNED = 0.97  # cosine
IN_THE_WAY = 0.8  # m
WAVE = 1
EASY = 2.0  # m/s², who would have to brake harder for it comes up to the line
FIRM = 4.0  # m/s², who would have to brake harder to keep out of the way goes on
BACK_OFF_TICKS = 25  # of standing nose to nose
LEFT_TO_OTHER_TICKS = 30  # more, in which the other one may make room
STAY_TICKS = 60  # from the moment it starts reversing, which takes about three seconds
FACED_M = 16.0  # m, nearer than that somebody still needs the room one has made
KEPT_BEHIND = 0.8  # m
BULKY = 5.3  # m; whoever is longer needs more room than the conflict tables' usual vehicles
LARGE = 2
ACTIVE = 1
PEDESTRIAN = 6
STILL = 4


@kernel
def slip_at(roads: Roads, lane: int, s: float, cos: float, sin: float) -> float:
    """Sine of the angle from a heading (cos, sin) to the course of a lane at `s`, left positive."""
    record = roads.lanes[lane]
    point = roads.points[record.point_start + min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)]
    return float(min(max(cos * point.sin - sin * point.cos, -0.9), 0.9))


@kernel
def box_on_path(
    roads: Roads, lane: int, s: float, offset: float, rear_to_centre: float, slip: float, way: float, drift: float
) -> tuple[float, float, float, float, float]:
    """x, y, cos, sin of a box whose centre has come to `s` on a lane, `offset` left of its line, and the slip it has there.

    The centre follows the line and the tail trails it: over the last `way` [m] the slip, sine of the angle from heading to
    course, went from `slip` towards what this bend asks for in the long run, rear_to_centre * curvature less the `drift` to the
    left per metre, as exp(-way / rear_to_centre) (here by its Padé form).
    """
    record = roads.lanes[lane]
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    beyond = s - index * record.spacing
    steady = min(max((rear_to_centre * point.curvature if beyond < 1.0 else 0.0) - drift, -0.9), 0.9)
    share = way / max(rear_to_centre, 0.1)
    turned = steady + (slip - steady) / (1.0 + share * (1.0 + 0.5 * share))
    straight = math.sqrt(1.0 - turned * turned)
    x = point.x + beyond * point.cos - offset * point.sin
    y = point.y + beyond * point.sin + offset * point.cos
    return x, y, point.cos * straight + point.sin * turned, point.sin * straight - point.cos * turned, turned


@kernel
def slide(offset: float, shift: float, goal: float, step: float) -> tuple[float, float]:
    """(offset from the line, the shift it is steered to) after `step` [m] with the shift on its way to `goal`."""
    shift += min(max(goal - shift, -SLIDE * step), SLIDE * step)
    return offset + (shift - offset) * min(NEAR_GAIN * step, 1.0), shift


@kernel
def _first_touch(  # noqa: PLR0913  a box, a path and another box
    roads: Roads, body: np.record, mind: np.record, other: np.record, x: float, y: float, cos: float, sin: float,
    speed: float, reach: float, path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int,
) -> float:  # fmt: skip
    """Way [m] the own box can go before it comes near the other's box; `reach` where it can go that far."""
    half_length = 0.5 * body.length
    half_width = 0.5 * body.width
    other_length = 0.5 * other.length
    other_width = 0.5 * other.width
    now = box_gap(
        body.x, body.y, float(body.cos), float(body.sin), half_length, half_width, x, y, cos, sin, other_length, other_width
    )  # fmt: skip
    long = body.length >= LONG
    margin = BESIDE_LONG if long else BESIDE
    error = 0.0
    behind = float(body.rear_to_centre)
    slip = slip_at(roads, path_lane[0], -path_base[0], float(body.cos), float(body.sin))
    if now < SQUEEZED:
        # that near, the error of the foreseen box counts: it is known here, and fades
        px, py, pc, ps, _ = box_on_path(roads, path_lane[0], -path_base[0], float(mind.d), behind, slip, 0.0, 0.0)
        error = min(now - box_gap(px, py, pc, ps, half_length, half_width, x, y, cos, sin, other_length, other_width), 0.0)
        if now < BESIDE and body.speed < PAST_SPEED and speed > STANDING:
            return 0.0  # it squeezes past
        if now < BESIDE:
            margin = min(CLOSEST, now - 0.01)
            mind.desired_speed = min(float(mind.desired_speed), PAST_SPEED)
    near = body.radius + other.radius + margin
    k = 0
    way = STEP
    step = STEP
    offset = float(mind.d)
    shift = float(mind.shift)
    drift = 0.0
    while way <= reach:
        while k + 1 < count and path_base[k + 1] <= way:
            k += 1
        if long:
            goal = room_to_swing(roads, body, path_lane, path_base, count, way)
            before = offset
            offset, shift = slide(offset, shift, goal, step)
            drift = (offset - before) / step
        else:
            offset = mind.d + min(max(mind.goal_shift - mind.d, -SETTLING * way), SETTLING * way)
        px, py, pc, ps, slip = box_on_path(roads, path_lane[k], way - path_base[k], offset, behind, slip, step, drift)
        step = STEP
        dx = px - x
        dy = py - y
        apart = dx * dx + dy * dy
        if apart > near * near:
            # no touch before the gap between the circles is used up
            step = max(STEP, math.sqrt(apart) - near)
            way += step
            continue
        gap = box_gap(px, py, pc, ps, half_length, half_width, x, y, cos, sin, other_length, other_width)
        if gap + error * max(1.0 - way / ERROR_FADES, 0.0) < margin:
            return way - STEP
        way += STEP
    return reach


@kernel
def _sweep_touch(  # noqa: PLR0913  a box, a path and a sweep
    state: WorldState, roads: Roads, w: int, a: int, b: int, there: int, place: float, reach: float, waiting: bool, count: int,
    at_x: float, at_y: float, at_cos: float, at_sin: float,
) -> float:  # fmt: skip
    """Way [m] the own box can go before it comes near anything that the other one sweeps over on lane `there` from `place` on."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    paths = state.paths[w]
    record = roads.lanes[there]
    paths.their_lane[0] = there
    paths.their_base[0] = 0.0
    paths.their_base[1] = record.length
    known = 1
    if record.successor_count > 0:
        paths.their_lane[1] = roads.successors[record.successor_start]
        known = 2
    least = reach
    x, y, cos, sin, _ = box_on_path(roads, there, place, 0.0, 0.0, 0.0, 0.0, 0.0)
    offset = min(max((at_y - y) * cos - (at_x - x) * sin, -2.5), 2.5) if place > 0.0 else 0.0
    shift = offset
    drift = 0.0
    slip = slip_at(roads, there, place, at_cos, at_sin)
    for m in range(SWEEP_STEPS):
        at = place + m * SWEEP_STEP
        if m > 0:
            goal = room_to_swing(roads, other, paths.their_lane, paths.their_base, known, at) if other.length >= LONG else 0.0
            before = offset
            offset, shift = slide(offset, shift, goal, SWEEP_STEP)
            drift = (offset - before) / SWEEP_STEP
        x, y, cos, sin, slip = box_on_path(
            roads, there, at, offset, float(other.rear_to_centre), slip, SWEEP_STEP if m > 0 else 0.0, drift
        )  # fmt: skip
        dx = x - body.x
        dy = y - body.y
        near = least + body.radius + other.radius
        if dx * dx + dy * dy > near * near:
            continue
        if boxes_overlap(
            body.x, body.y, float(body.cos), float(body.sin), 0.5 * body.length, 0.5 * body.width,
            x, y, cos, sin, 0.5 * other.length, 0.5 * other.width,
        ):  # fmt: skip
            return 0.0 if waiting else reach  # in its way already: once in the junction, better to leave
        least = min(
            least, _first_touch(roads, body, state.minds[w, a], other, x, y, cos, sin, 0.0, least, paths.lane, paths.base, count)
        )
    return least


@kernel
def _settled(roads: Roads, there: int, body: np.record, other: np.record, path_lane: NDArray[np.int32], count: int) -> bool:
    """Whether the own path meets the lane `there` in a conflict table: right of way says who goes first."""
    for k in range(count):  # noqa: SIM110  kernels have no generators
        if conflict_row(roads, path_lane[k], there, int(body.size_class), int(other.size_class)) >= 0:
            return True
    return False


@kernel
def _leaves_room(body: np.record, seen: np.record, line: float, turn: int, other_turn: int) -> bool:
    """Whether a driver `line` [m] before its own line lets somebody swing who waits at another and came first.

    Of two who came together it is the one whom right of way lets go first: leaving room for each other, both would wait.
    """
    if seen.arrived_tick < 0 or line > NEAR_LINE or seen.gesture == WAVE:
        return False
    if needed_braking(max(float(body.speed), 0.0), max(line, 0.0)) > EASY:
        return False
    if body.arrived_tick < 0 or body.arrived_tick > seen.arrived_tick + TIE_TICKS:
        return True
    return bool(body.arrived_tick >= seen.arrived_tick - TIE_TICKS and by_side(body, seen, turn, other_turn) < 0)


@kernel
def _keep_out(
    state: WorldState, roads: Roads, w: int, a: int, b: int, seen: np.record, there: int, place: float, lag: float, line: float,
    inside: bool, count: int,
) -> None:  # fmt: skip
    """Plan to stop before what another one will sweep over on lane `there` from `place` on; `inside`: it is under way already."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    waiting = line < NEAR_LINE
    reach = line + THROUGH if waiting else min(float(mind.stop_distance) + 0.5, 12.0)
    way = _sweep_touch(
        state, roads, w, a, b, there, place, reach, waiting, count, seen.x + seen.vx * lag, seen.y + seen.vy * lag,
        float(seen.cos), float(seen.sin),
    )  # fmt: skip
    if not inside and way < IN_THE_WAY:
        return  # where one stands already one cannot make room but by going
    stop = max(min(way - ROOM_FOR_LONG, line), 0.0) if waiting else way
    speed = max(float(body.speed), 0.0)
    if way < reach and (speed < SLOW or needed_braking(speed, stop) < FIRM):
        stop_at(mind, stop, CONTACT, b)


@kernel
def _heed_long_vehicle(
    state: WorldState, roads: Roads, w: int, a: int, b: int, seen: np.record, lag: float, line: float,
    path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int,
) -> None:  # fmt: skip
    """Keep out of what a long vehicle in a junction will sweep over, and, being long, of whom it would sweep over.

    Conflict tables exist for lanes on which usual vehicles touch; a bus needs the neighbouring lane for its turn as well.
    """
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    waiting = line < NEAR_LINE
    small = body.size_class < LARGE and other.size_class < LARGE
    x = seen.x + seen.vx * lag
    y = seen.y + seen.vy * lag
    goes = body.length > BULKY and (
        other.length < max(BULKY, body.length - 2.0)
        or from_the_right(float(body.cos), float(body.sin), float(seen.cos), float(seen.sin)) < 0
    )  # fmt: skip
    if not waiting and goes:
        # its turn, unless the other one is in the way already and has to leave first
        reach = 14.0
        way = _first_touch(
            roads, body, mind, other, x, y, float(seen.cos), float(seen.sin), 0.0, reach, path_lane, path_base, count
        )  # fmt: skip
        if way >= reach:
            return
    inner = first_inside(roads, path_lane, count)
    turn = int(roads.lanes[path_lane[inner]].turn) if inner >= 0 else 0
    for h in range(seen.hypothesis_count):
        place = seen.hypothesis_s[h] + max(float(seen.speed), 0.0) * lag
        approach = roads.lanes[seen.hypothesis_lane[h]]
        if approach.cluster < 0 and place < other.length:
            # out of the junction, but not straight yet
            _keep_out(state, roads, w, a, b, seen, int(seen.hypothesis_lane[h]), place, lag, line, True, count)
            continue
        inside = has_entered(roads, seen.hypothesis_lane[h], place, 0.5 * other.length)
        if not inside and small:
            continue
        for e in range(approach.entry_start, approach.entry_start + approach.entry_count):
            entry = roads.entries[e]
            there = entry.lane
            if (
                entry.distance - place > NEAR_LINE
                or roads.lanes[there].stop_s >= 0.0
                or not matches_signal(seen.indicator, entry.turn)
                or not (inside or _leaves_room(body, seen, line, turn, int(entry.turn)))
                or ((not waiting or small) and _settled(roads, there, body, other, path_lane, count))
            ):
                continue
            _keep_out(state, roads, w, a, b, seen, there, place - entry.distance, lag, line, inside, count)


@kernel
def keep_clear(
    state: WorldState,
    roads: Roads,
    w: int,
    a: int,
    past: int,
    line: float,
    path_lane: NDArray[np.int32],
    path_base: NDArray[np.float64],
    count: int,
) -> None:
    """Stop before touching anybody visible who stands or creeps beside or on the own path, whoever has the right of way."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    speed = max(float(body.speed), 0.0)
    long = body.size_class == LARGE
    reach = min(speed * speed / 2.5 + 5.0, float(mind.stop_distance) + 0.5, 20.0)
    entering = long and line < NEAR_LINE and mind.stop_distance > line
    if entering:
        reach = line + THROUGH
    lag = 0.1 * past
    tick = state.worlds[w].tick
    heeded, bodies, shown = state.paths[w].heeded, state.bodies[w], state.history[w, (tick - past) % HISTORY]
    for n in range(state.paths[w].heeded_count):
        b = heeded[n]
        other = bodies[b]
        if other.model == STILL or other.drive_through or other.kind == PEDESTRIAN:
            continue
        seen = shown[b]
        if is_parked(other, seen):
            continue
        # who reverses may have stopped by now
        since = lag if seen.speed > 0.0 else 0.0
        dx = seen.x + seen.vx * since - body.x
        dy = seen.y + seen.vy * since - body.y
        forward = dx * body.cos + dy * body.sin
        square = dx * dx + dy * dy
        facing = seen.cos * body.cos + seen.sin * body.sin
        if b == mind.lead and facing > ALIGNED:
            # straight ahead the gap between the boxes themselves counts, with what the leader's acceleration has changed since
            gap = forward - 0.5 * (body.length + other.length) + 0.5 * lag * (mind.lead_speed - seen.speed)
            mind.lead_gap = min(float(mind.lead_gap), gap)
            continue
        if (body.length > BULKY or other.length > BULKY) and facing < 0.95 and square < 900.0 and forward > 0.0:
            _heed_long_vehicle(
                state, roads, w, a, b, seen, lag, line, path_lane, path_base, count
            )  # fmt: skip
        near = reach + body.radius + other.radius
        if (
            square > near * near
            or forward < -0.5 * other.length
            or seen.speed > CREEPING
            or seen.speed < -CREEPING
            or reach < STEP
        ):
            continue
        way = _first_touch(
            roads, body, mind, other, body.x + dx, body.y + dy, float(seen.cos), float(seen.sin),
            abs(float(seen.speed)), reach, path_lane, path_base, count
        )  # fmt: skip
        if way < reach:
            reach = way
            if speed < STANDING and way < NOT_WORTH_M:
                way = 0.0  # two who each use up what is left between them end up touching
            stop_at(mind, min(way, max(line, 0.0)) if entering else way, CONTACT, b)


@kernel
def _is_faced(state: WorldState, w: int, a: int, past: int) -> bool:
    """Whether anybody visible is close ahead and not on the way out in the same direction."""
    body = state.bodies[w, a]
    heeded = state.paths[w].heeded
    for n in range(state.paths[w].heeded_count):
        seen = state.history[w, (int(state.worlds[w].tick) - past) % HISTORY, heeded[n]]
        dx = seen.x - body.x
        dy = seen.y - body.y
        forward = dx * body.cos + dy * body.sin
        if (
            forward > 0.5 * body.length
            and dx * dx + dy * dy < FACED_M * FACED_M
            and seen.cos * body.cos + seen.sin * body.sin < ALIGNED
        ):
            return True
    return False


@kernel
def back_off(state: WorldState, w: int, a: int, past: int) -> None:
    """Reverse a little when standing nose to nose with somebody who stands as well, and there is room behind; then stay there.

    Long vehicles do not: the others make room for their turns. Who has made room waits until it has been used.
    """
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = state.worlds[w].tick
    if mind.reverse_until > 0.0 or body.size_class == LARGE or body.standing_since < 0:
        return
    if tick < mind.stay_until:
        if _is_faced(state, w, a, past):
            stop_at(mind, 0.0, CONTACT, int(mind.other))
        else:
            mind.stay_until = 0
    makes_room = (
        mind.lead >= 0 and mind.lead_gap < BACK_OFF and state.history[w, (tick - past) % HISTORY, mind.lead].speed < -STANDING
    )
    if mind.other < 0 and not makes_room:
        return
    nose_to_nose = (mind.reason == CONTACT and mind.stop_distance < 0.6) or (
        mind.reason == EXIT_BLOCKED and mind.lead_gap < BACK_OFF
    )
    if not makes_room:
        seen = state.history[w, (tick - past) % HISTORY, mind.other]
        since = max(int(body.standing_since), int(seen.standing_since))
        aligned = seen.cos * body.cos + seen.sin * body.sin > 0.9
        # one of the two, the same in both their eyes, leaves the other one time to do it
        waits = BACK_OFF_TICKS
        if state.bodies[w, mind.other].size_class != LARGE and outranks(body, seen):
            waits += LEFT_TO_OTHER_TICKS
        if not nose_to_nose or seen.standing_since < 0 or tick - since < waits or aligned:
            return
    room = BACK_OFF + KEPT_BEHIND
    for n in range(state.neighbours[w, a, 0]):
        b = int(state.neighbours[w, a, 1 + n])
        seen = state.history[w, (tick - past) % HISTORY, b]
        if state.visible[w, a, n] == 0 or seen.status != ACTIVE:
            continue
        other = state.bodies[w, b]
        dx = seen.x - body.x
        dy = seen.y - body.y
        behind = -(dx * body.cos + dy * body.sin)
        if behind > 0.0 and abs(dy * body.cos - dx * body.sin) < 2.5:
            moving = 0.0 if seen.standing_since >= 0 else 2.0
            room = min(room, behind - 0.5 * (body.length + other.length) - moving)
    if room - KEPT_BEHIND > 0.5:
        mind.reverse_until = room - KEPT_BEHIND
        mind.stay_until = tick + STAY_TICKS
