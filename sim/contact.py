"""Contacts between oriented boxes, who is at fault, and leaving the drivable area.

Broad phase: sweep along a line over all bodies (`line_up`). First-contact time: bisection between the last two
poses. At fault follows nuPlan's rule (whoever moves into another in front of it; nobody while standing still), extended by the
right of way where paths cross.
"""

from __future__ import annotations

import math

import numpy as np

from sim.geometry import boxes_overlap
from sim.jit import kernel
from sim.roads.lane_map import CLASSES
from sim.roads.pack import Roads
from sim.state import HISTORY, WorldState

OFFROAD_M = 0.3  # how far a corner may stick out of the drivable area
LEVEL_M = 3.0  # boxes further apart in height do not touch
LINE_X, LINE_Y = 0.8, 0.6  # direction of the line
MOVING = 0.1  # m/s
ASIDE_M = 0.5  # how much further from its lane's middle the one to blame for a head-on collision is
ACTIVE = 1
EVENT_COLLISION = 0
EVENT_OFFROAD = 1
PEDESTRIAN = 6
OBJECT = 7


@kernel
def add_event(state: WorldState, w: int, kind: int, a: int, b: int) -> int:
    """Append an event at this tick; returns its row, or -1 when the log is full (the count goes on)."""
    world = state.worlds[w]
    row: int = world.event_count
    world.event_count = row + 1
    if row >= state.events.shape[1]:
        return -1
    event = state.events[w, row]
    event.tick = world.tick
    event.kind = kind
    event.a = a
    event.b = b
    event.x = state.bodies[w, a].x
    event.y = state.bodies[w, a].y
    event.time_s = world.tick * 0.1
    event.speed = 0.0
    event.fault_a = 0
    event.fault_b = 0
    return row


@kernel
def _already_touched(state: WorldState, w: int, a: int, b: int) -> bool:
    for row in range(min(state.worlds[w].event_count, state.events.shape[1])):
        event = state.events[w, row]
        if event.kind == EVENT_COLLISION and ((event.a == a and event.b == b) or (event.a == b and event.b == a)):
            return True
    return False


@kernel
def _overlap_at(state: WorldState, w: int, a: int, b: int, share: float) -> bool:
    """Whether the boxes overlap at `share` of the way from the last tick's poses to the present ones."""
    row = (state.worlds[w].tick - 1) % HISTORY
    first = state.bodies[w, a]
    second = state.bodies[w, b]
    was_first = state.history[w, row, a]
    was_second = state.history[w, row, b]
    x0 = was_first.x + share * (first.x - was_first.x)
    y0 = was_first.y + share * (first.y - was_first.y)
    x1 = was_second.x + share * (second.x - was_second.x)
    y1 = was_second.y + share * (second.y - was_second.y)
    return boxes_overlap(
        x0, y0, first.cos, first.sin, 0.5 * first.length, 0.5 * first.width,
        x1, y1, second.cos, second.sin, 0.5 * second.length, 0.5 * second.width,
    )  # fmt: skip


@kernel
def _first_contact(state: WorldState, w: int, a: int, b: int) -> float:
    """Share of the last tick after which the boxes first touched (0 at its start)."""
    row = (state.worlds[w].tick - 1) % HISTORY
    if state.history[w, row, a].status != ACTIVE or state.history[w, row, b].status != ACTIVE:
        return 0.0
    low = 0.0
    high = 1.0
    for _ in range(7):
        middle = 0.5 * (low + high)
        if _overlap_at(state, w, a, b, middle):
            high = middle
        else:
            low = middle
    return high


@kernel
def relative_priority(state: WorldState, roads: Roads, w: int, a: int, b: int) -> int:
    """+1 where a's lane has the right of way over b's, -1 the other way, 0 by arrival or where their lanes do not meet."""
    first = state.bodies[w, a]
    second = state.bodies[w, b]
    for k in range(first.hypothesis_count):
        lane = roads.lanes[first.hypothesis_lane[k]]
        if lane.cluster < 0:
            continue
        for m in range(second.hypothesis_count):
            other = roads.lanes[second.hypothesis_lane[m]]
            if other.cluster != lane.cluster:
                continue
            cluster = roads.clusters[lane.cluster]
            row = roads.cluster_matrix[cluster.matrix_start + lane.local * cluster.size + other.local]
            if row >= 0:
                return int(roads.conflicts[row + first.size_class * CLASSES + second.size_class].priority)
    return 0


@kernel
def _at_fault(state: WorldState, roads: Roads, w: int, a: int, b: int) -> int:
    """1 where actor a is at fault for touching b."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    if body.kind == OBJECT or abs(body.speed) < MOVING:
        return 0
    if abs(other.speed) < MOVING or other.kind == OBJECT:
        return 1
    dx = other.x - body.x
    dy = other.y - body.y
    ahead = dx * body.cos + dy * body.sin
    behind = -(dx * other.cos + dy * other.sin)
    facing = body.cos * other.cos + body.sin * other.sin
    if facing > 0.7 and body.speed > 0.0 and other.speed > 0.0:
        # same direction: the one behind; abreast, the one that left its lane
        if ahead > 0.35 * (body.length + other.length):
            return 1
        if ahead < -0.35 * (body.length + other.length):
            return 0
        return 1 if abs(_lane_offset(state, roads, w, a)) > abs(_lane_offset(state, roads, w, b)) else 0
    if other.kind == PEDESTRIAN:
        return 1 if ahead > 0.0 else 0
    # backing into somebody is one's own fault, whatever that one did
    if body.speed < 0.0:
        return 1 if ahead < 0.0 else 0
    if other.speed < 0.0:
        return 0 if behind < 0.0 else 1
    priority = relative_priority(state, roads, w, a, b)
    if priority != 0:
        return 1 if priority < 0 else 0
    if facing < -0.7:
        # head-on: the one on the other's side of the road
        further_out = abs(_lane_offset(state, roads, w, a)) - abs(_lane_offset(state, roads, w, b))
        if abs(further_out) > ASIDE_M:
            return 1 if further_out > 0.0 else 0
    # no rule decides: whoever entered later, else whoever hits with its front, both if both do
    if body.entered_tick != other.entered_tick:
        return 1 if body.entered_tick > other.entered_tick else 0
    return 1 if ahead >= behind - 0.1 else 0


@kernel
def _lane_offset(state: WorldState, roads: Roads, w: int, a: int) -> float:
    body = state.bodies[w, a]
    if body.hypothesis_count == 0:
        return 9.0
    record = roads.lanes[body.hypothesis_lane[0]]
    index = min(max(int(body.hypothesis_s[0] / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    offset: float = (body.y - point.y) * point.cos - (body.x - point.x) * point.sin
    return offset


@kernel
def _touch(state: WorldState, roads: Roads, w: int, a: int, b: int) -> None:
    """Record a contact of two bodies unless they touched before."""
    first = state.bodies[w, a]
    second = state.bodies[w, b]
    if not boxes_overlap(
        first.x, first.y, first.cos, first.sin, 0.5 * first.length, 0.5 * first.width,
        second.x, second.y, second.cos, second.sin, 0.5 * second.length, 0.5 * second.width,
    ):  # fmt: skip
        return
    if first.drive_through or second.drive_through or _already_touched(state, w, a, b):
        return
    row = add_event(state, w, EVENT_COLLISION, a, b)
    if row >= 0:
        event = state.events[w, row]
        dvx = first.vx - second.vx
        dvy = first.vy - second.vy
        event.time_s = (state.worlds[w].tick - 1 + _first_contact(state, w, a, b)) * 0.1
        event.speed = math.sqrt(dvx * dvx + dvy * dvy)
        event.fault_a = _at_fault(state, roads, w, a, b)
        event.fault_b = _at_fault(state, roads, w, b, a)
    first.crashed = 1
    second.crashed = 1


@kernel
def line_up(state: WorldState, w: int) -> None:
    """Note where all active bodies are, sorted by their near ends along a line askew to most roads.

    Insertion sort: they hardly change places from tick to tick. Along x or y all who drive on one road might be in one place.
    """
    order = state.order[w]
    spots = state.spots[w]
    bodies = state.bodies[w]
    active = 0
    widest, fastest = 0.0, 0.0
    for k in range(state.worlds[w].actors):
        slot = order[k]
        body = bodies[slot]
        if body.status != ACTIVE:
            continue
        along = LINE_X * body.x + LINE_Y * body.y
        near = along - body.radius
        widest = max(widest, float(body.radius))
        fastest = max(fastest, float(abs(body.speed)))
        m = active
        order[k] = order[active]
        while m > 0:
            before = spots[m - 1]
            if before.along - before.radius <= near:
                break
            spot = spots[m]
            spot.x, spot.y, spot.along = before.x, before.y, before.along
            spot.radius, spot.speed, spot.slot = before.radius, before.speed, before.slot
            order[m] = order[m - 1]
            m -= 1
        order[m] = slot
        spot = spots[m]
        spot.x, spot.y, spot.along, spot.radius, spot.speed, spot.slot = body.x, body.y, along, body.radius, abs(body.speed), slot
        active += 1
    world = state.worlds[w]
    world.present, world.widest, world.fastest = active, widest, fastest


@kernel
def find_contacts(state: WorldState, roads: Roads, w: int) -> None:
    """Record every first contact between two active bodies of a world; `line_up` comes first."""
    bodies = state.bodies[w]
    spots = state.spots[w]
    active = state.worlds[w].present
    for k in range(active):
        one = spots[k]
        far = one.along + one.radius
        for m in range(k + 1, active):
            two = spots[m]
            if two.along - two.radius > far:
                break
            reach = one.radius + two.radius
            dy = two.y - one.y
            if dy > reach or dy < -reach:
                continue
            dx = two.x - one.x
            if dx * dx + dy * dy > reach * reach:
                continue
            a = min(one.slot, two.slot)
            b = max(one.slot, two.slot)
            if abs(bodies[a].z - bodies[b].z) <= LEVEL_M:
                _touch(state, roads, w, a, b)


@kernel
def _outside(roads: Roads, lane: int, s: float, body: np.record, end: float) -> bool:
    """Whether a corner at the body's front (end = +1) or back (-1) is off the drivable area, judged from `lane`."""
    record = roads.lanes[lane]
    reach = end * 0.5 * body.length
    if s + reach > record.length and record.successor_count > 0:
        for k in range(record.successor_start, record.successor_start + record.successor_count):
            if not _end_outside(roads, int(roads.successors[k]), s - record.length, body, reach):
                return False
        return True
    if s + reach < 0.0 and record.predecessor_count > 0:
        for k in range(record.predecessor_start, record.predecessor_start + record.predecessor_count):
            before = int(roads.predecessors[k])
            if not _end_outside(roads, before, s + roads.lanes[before].length, body, reach):
                return False
        return True
    return _end_outside(roads, lane, s, body, reach)


@kernel
def _end_outside(roads: Roads, lane: int, s: float, body: np.record, reach: float) -> bool:
    """Whether the end of the body `reach` ahead of its centre, itself at `s` on `lane`, is outside the drivable area."""
    record = roads.lanes[lane]
    x = body.x + reach * body.cos
    y = body.y + reach * body.sin
    index = min(max(int((s + reach) / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    across = (y - point.y) * point.cos - (x - point.x) * point.sin
    half = 0.5 * body.width * abs(point.cos * body.cos + point.sin * body.sin)
    outside: bool = across + half > point.room_left + OFFROAD_M or across - half < -point.room_right - OFFROAD_M
    return outside


@kernel
def check_offroad(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Mark a wheeled body whose corner is more than OFFROAD_M outside the drivable area; the first time is an event."""
    body = state.bodies[w, a]
    off = True
    for k in range(body.hypothesis_count):
        lane = body.hypothesis_lane[k]
        s = float(body.hypothesis_s[k])
        if not _outside(roads, lane, s, body, 1.0) and not _outside(roads, lane, s, body, -1.0):
            off = False
            break
    if off and body.offroad == 0:
        add_event(state, w, EVENT_OFFROAD, a, -1)
        body.offroad = 1
