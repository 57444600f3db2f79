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
from sim.traffic.negotiate import from_the_right, has_entered, matches_signal, needed_braking
from sim.traffic.obstacles import is_parked
from sim.traffic.plan import CONTACT, EXIT_BLOCKED, stop_at

STEP = 0.8  # m between the places where the own box is tried
CREEPING = 1.5  # m/s; who is faster is a matter of right of way
BESIDE = 0.15  # m kept on all sides
CLOSEST = 0.08  # m kept from somebody that is nearer than BESIDE already, so that both can still leave
SQUEEZED = 0.6  # m
STANDING = 0.3  # m/s
ERROR_FADES = 5.0  # m
PAST_SPEED = 1.2  # m/s past somebody that near
SETTLING = 0.2  # m sideways per metre ahead in which the own offset goes over into the wanted one
NEAR_LINE = 12.0  # m; nearer than this to its line a driver has not entered, and looks at the whole way through
THROUGH = 16.0  # m beyond the line that a long vehicle must find free
SWEEP_STEP = 1.5  # m between the places where a long vehicle's box is tried
SWEEP_STEPS = 10
BACK_OFF = 3.0  # m
ROOM_FOR_LONG = 1.0  # m more than it seems to need
SLOW = 3.0  # m/s
ALIGNED = 0.97  # cosine
FIRM = 4.0  # m/s², who would have to brake harder to keep out of the way goes on
BACK_OFF_TICKS = 25  # of standing nose to nose
KEPT_BEHIND = 0.8  # m
LARGE = 2
ACTIVE = 1
PEDESTRIAN = 6
STILL = 4


@kernel
def box_on_path(roads: Roads, lane: int, s: float, offset: float, rear_to_centre: float) -> tuple[float, float, float, float]:
    """x, y, cos, sin of a box whose centre is `offset` left of a lane's line at `s`, turned inward as a car is on a curve."""
    record = roads.lanes[lane]
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    beyond = s - index * record.spacing
    turned = min(max(rear_to_centre * point.curvature, -0.9), 0.9)
    straight = math.sqrt(1.0 - turned * turned)
    x = point.x + beyond * point.cos - offset * point.sin
    y = point.y + beyond * point.sin + offset * point.cos
    return x, y, point.cos * straight + point.sin * turned, point.sin * straight - point.cos * turned


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
    margin = BESIDE
    error = 0.0
    if now < SQUEEZED:
        # that near, the error of the foreseen box counts: it is known here, and fades
        px, py, pc, ps = box_on_path(roads, path_lane[0], -path_base[0], float(mind.d), float(body.rear_to_centre))
        error = min(now - box_gap(px, py, pc, ps, half_length, half_width, x, y, cos, sin, other_length, other_width), 0.0)
        if now < BESIDE and body.speed < PAST_SPEED and speed > STANDING:
            return 0.0  # it squeezes past
        if now < BESIDE:
            margin = min(CLOSEST, now - 0.01)
            mind.desired_speed = min(float(mind.desired_speed), PAST_SPEED)
    near = body.radius + other.radius + BESIDE
    k = 0
    way = STEP
    while way <= reach:
        while k + 1 < count and path_base[k + 1] <= way:
            k += 1
        offset = mind.d + min(max(mind.goal_shift - mind.d, -SETTLING * way), SETTLING * way)
        px, py, pc, ps = box_on_path(roads, path_lane[k], way - path_base[k], offset, float(body.rear_to_centre))
        dx = px - x
        dy = py - y
        apart = dx * dx + dy * dy
        if apart > near * near:
            # no touch before the gap between the circles is used up
            way += max(STEP, math.sqrt(apart) - near)
            continue
        gap = box_gap(px, py, pc, ps, half_length, half_width, x, y, cos, sin, other_length, other_width)
        if gap + error * max(1.0 - way / ERROR_FADES, 0.0) < margin:
            return way - STEP
        way += STEP
    return reach


@kernel
def _sweep_touch(  # noqa: PLR0913  a box, a path and a sweep
    roads: Roads, body: np.record, mind: np.record, other: np.record, there: int, place: float, reach: float,
    waiting: bool, at_x: float, at_y: float, path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int,
) -> float:  # fmt: skip
    """Way [m] the own box can go before it comes near anything that the other one sweeps over on lane `there` from `place` on."""
    least = reach
    # it keeps the offset from the line that it has now
    x, y, cos, sin = box_on_path(roads, there, place, 0.0, 0.0)
    offset = min(max((at_y - y) * cos - (at_x - x) * sin, -2.5), 2.5) if place > 0.0 else 0.0
    for m in range(SWEEP_STEPS):
        x, y, cos, sin = box_on_path(roads, there, place + m * SWEEP_STEP, offset, float(other.rear_to_centre))
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
        least = min(least, _first_touch(roads, body, mind, other, x, y, cos, sin, 0.0, least, path_lane, path_base, count))
    return least


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
    x = seen.x + seen.vx * lag
    y = seen.y + seen.vy * lag
    goes = body.size_class == LARGE and (
        other.size_class != LARGE
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
    for h in range(seen.hypothesis_count):
        place = seen.hypothesis_s[h] + max(float(seen.speed), 0.0) * lag
        approach = roads.lanes[seen.hypothesis_lane[h]]
        if not has_entered(roads, seen.hypothesis_lane[h], place, 0.5 * other.length):
            continue
        for e in range(approach.entry_start, approach.entry_start + approach.entry_count):
            entry = roads.entries[e]
            there = entry.lane
            if (
                entry.distance - place > NEAR_LINE
                or roads.lanes[there].stop_s >= 0.0
                or not matches_signal(seen.indicator, entry.turn)
            ):
                continue
            reach = line + THROUGH if waiting else min(float(mind.stop_distance) + 0.5, 12.0)
            way = _sweep_touch(
                roads, body, mind, other, there, place - entry.distance, reach, waiting, x, y,
                path_lane, path_base, count,
            )  # fmt: skip
            stop = max(min(way - ROOM_FOR_LONG, line), 0.0) if waiting else way
            speed = max(float(body.speed), 0.0)
            if way < reach and (speed < SLOW or needed_braking(speed, stop) < FIRM):
                stop_at(mind, stop, CONTACT, b)


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
    for n in range(state.neighbours[w, a, 0]):
        if state.visible[w, a, n] == 0:
            continue
        b = int(state.neighbours[w, a, 1 + n])
        other = state.bodies[w, b]
        if other.model == STILL or other.drive_through or other.kind == PEDESTRIAN:
            continue
        seen = state.history[w, (tick - past) % HISTORY, b]
        if seen.status != ACTIVE or is_parked(other, seen):
            continue
        dx = seen.x + seen.vx * lag - body.x
        dy = seen.y + seen.vy * lag - body.y
        forward = dx * body.cos + dy * body.sin
        square = dx * dx + dy * dy
        facing = seen.cos * body.cos + seen.sin * body.sin
        if b == mind.lead and facing > ALIGNED:
            # straight ahead the gap between the boxes themselves counts, with what the leader's acceleration has changed since
            gap = forward - 0.5 * (body.length + other.length) + 0.5 * lag * (mind.lead_speed - seen.speed)
            mind.lead_gap = min(float(mind.lead_gap), gap)
            continue
        if (long or other.size_class == LARGE) and facing < 0.95 and square < 900.0 and forward > 0.0:
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
            stop_at(mind, min(way, max(line, 0.0)) if entering else way, CONTACT, b)


@kernel
def back_off(state: WorldState, w: int, a: int, past: int) -> None:
    """Reverse a little when standing nose to nose with somebody who stands as well, and there is room behind.

    Long vehicles do not: the others make room for their turns.
    """
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    if mind.reverse_until > 0.0 or body.size_class == LARGE or body.standing_since < 0:
        return
    tick = state.worlds[w].tick
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
        if not nose_to_nose or seen.standing_since < 0 or tick - since < BACK_OFF_TICKS or aligned:
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
