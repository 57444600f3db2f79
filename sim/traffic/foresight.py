"""The next two seconds: would the own box, going on as planned, meet somebody else's box that goes on as it moves now?

Right of way (`sim.traffic.negotiate`) works with times and tables, and keeping clear (`sim.traffic.clearance`) with what stands.
Two who both took it that they may go are on the move, and nobody is in the way yet: that is seen here, from pose, speed,
acceleration and turning a response time ago.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.geometry import box_gap
from sim.jit import kernel
from sim.roads.pack import Roads
from sim.state import HISTORY, WorldState
from sim.traffic.clearance import SETTLING, box_on_path, slip_at
from sim.traffic.negotiate import CROSS, STOOD_TICKS, conflict_row, matches_signal, needed_braking, outranks
from sim.traffic.obstacles import is_parked
from sim.traffic.plan import CONTACT, stop_at

HORIZON_S = 2.4
STEP_S = 0.2
SWEEP_S = 3.0  # s of the other's way that one stays out of
PLACE_M = 0.4  # m between the places where one might stop
SLOW = 1.5  # m/s
BESIDE = 0.3  # m, boxes that come nearer meet
TURN_TICKS = 3  # over which turning is seen
MOST_BEND = 0.25  # 1/m
INSIDE = 15.0  # m to the next line, beyond which the own one is passed
SETTING_OFF = 3.0  # m/s
STARTING = 1.5  # m/s², who sets off goes on speeding up by at most that
MOVING = 0.3  # m/s; who is slower stands (sim.traffic.clearance)
FAST = 10.0  # m/s, nobody crosses or is crossed at more
ALIGNED = 0.9  # cosine; leaders and who comes towards us are seen elsewhere, unless the ways cross
FIRM = 5.0  # m/s²; who would have to brake harder goes on
ACTIVE = 1
PEDESTRIAN = 6
STILL = 4


@kernel
def _bend(state: WorldState, w: int, b: int, then: int) -> float:
    """Curvature [1/m] that somebody was seen to drive at tick `then`."""
    seen = state.history[w, then % HISTORY, b]
    if then < TURN_TICKS or seen.speed < 0.5:
        return 0.0
    before = state.history[w, (then - TURN_TICKS) % HISTORY, b]
    if before.status != ACTIVE:
        return 0.0
    turned = float(before.cos * seen.sin - before.sin * seen.cos)
    gone = math.sqrt((seen.x - before.x) * (seen.x - before.x) + (seen.y - before.y) * (seen.y - before.y))
    if gone < 0.05:
        return 0.0
    return min(max(turned / gone, -MOST_BEND), MOST_BEND)


@kernel
def _gone(speed: float, accel: float, top: float, t: float) -> float:
    """Way [m] in `t` seconds at constant acceleration, to a stop or to `top` at most."""
    if accel < 0.0:
        t = min(t, -speed / accel)
    elif accel > 0.0 and speed + accel * t > top:
        ramp = max(top - speed, 0.0) / accel
        return speed * ramp + 0.5 * accel * ramp * ramp + max(top, speed) * (t - ramp)
    return speed * t + 0.5 * accel * t * t


@kernel
def _foreseen_accel(seen: np.record, hardest: float) -> float:
    """Acceleration [m/s²] that somebody is taken to go on with: braking by `hardest` at most, and setting off from a stand."""
    if seen.speed < MOVING:
        return STARTING
    return min(max(float(seen.accel), hardest), STARTING if seen.speed < SETTING_OFF else 0.5)


@kernel
def _later_box(
    roads: Roads, other: np.record, seen: np.record, lane: int, s: float, bend: float, along: float
) -> tuple[float, float, float, float]:
    """x, y, cos, sin of somebody `along` [m] further: on its lane from `s` where it is on one, else (-1) on its circle."""
    if lane >= 0:
        record = roads.lanes[lane]
        s += along
        if s > record.length and record.successor_count > 0:
            s -= record.length
            lane = roads.successors[record.successor_start]
        x, y, cos, sin, _ = box_on_path(roads, lane, s, 0.0, float(other.rear_to_centre), 0.0, 50.0, 0.0)
        return x, y, cos, sin
    half = 0.5 * bend * along
    c = 1.0 - 0.5 * half * half
    s = half * (1.0 - half * half / 6.0)
    chord = along * (1.0 - half * half / 6.0)
    turned = 2.0 * s * c
    straight = 1.0 - 2.0 * s * s
    return (
        seen.x + chord * (seen.cos * c - seen.sin * s),
        seen.y + chord * (seen.sin * c + seen.cos * s),
        seen.cos * straight - seen.sin * turned,
        seen.sin * straight + seen.cos * turned,
    )


@kernel
def _own_box(
    roads: Roads, body: np.record, mind: np.record, path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int,
    way: float, before: float, slip: float,
) -> tuple[float, float, float, float, float]:  # fmt: skip
    """x, y, cos, sin of the own box `way` [m] on, and its slip there; `slip`: what it was at `before`."""
    k = 0
    while k + 1 < count and path_base[k + 1] <= way:
        k += 1
    offset = mind.d + min(max(mind.goal_shift - mind.d, -SETTLING * way), SETTLING * way)
    return box_on_path(roads, path_lane[k], way - path_base[k], offset, float(body.rear_to_centre), slip, way - before, 0.0)


@kernel
def _meeting(
    state: WorldState, roads: Roads, w: int, a: int, b: int, past: int, lane: int, s: float,
    accel: float,
    path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int,
) -> float:  # fmt: skip
    """Own way [m] to where the boxes meet within HORIZON_S; -1 where they do not."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    then = int(state.worlds[w].tick) - past
    seen = state.history[w, then % HISTORY, b]
    bend = _bend(state, w, b, then)
    speed = max(float(body.speed), 0.0)
    top = max(float(mind.desired_speed), 1.0)
    slip = slip_at(roads, path_lane[0], -path_base[0], float(body.cos), float(body.sin))
    near = body.radius + other.radius + BESIDE
    way = 0.0
    for n in range(1, int(HORIZON_S / STEP_S) + 1):
        t = n * STEP_S
        before = way
        way = min(_gone(speed, float(mind.pull), top, t), max(float(mind.stop_distance), 0.0))
        if way < 0.1:
            continue
        px, py, pc, ps, slip = _own_box(roads, body, mind, path_lane, path_base, count, way, before, slip)
        ox, oy, oc, os = _later_box(
            roads, other, seen, lane, s, bend, _gone(max(float(seen.speed), 0.0), accel, FAST, t + 0.1 * past)
        )  # fmt: skip
        dx = ox - px
        dy = oy - py
        if dx * dx + dy * dy > near * near:
            continue
        gap = box_gap(
            px, py, pc, ps, 0.5 * body.length, 0.5 * body.width, ox, oy, oc, os, 0.5 * other.length, 0.5 * other.width
        )  # fmt: skip
        if gap < BESIDE:
            return way
    return -1.0


@kernel
def _room_before(
    state: WorldState, roads: Roads, w: int, a: int, b: int, past: int, lane: int, s: float, way: float,
    path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int,
) -> float:  # fmt: skip
    """Own way [m], `way` at most, on which one is clear of all that somebody else sweeps over in the time looked ahead."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    then = int(state.worlds[w].tick) - past
    seen = state.history[w, then % HISTORY, b]
    bend = _bend(state, w, b, then)
    accel = _foreseen_accel(seen, 0.0)  # it may give up braking
    slip = slip_at(roads, path_lane[0], -path_base[0], float(body.cos), float(body.sin))
    near = body.radius + other.radius + BESIDE
    here = 0.0
    before = 0.0
    while here < way:
        px, py, pc, ps, slip = _own_box(roads, body, mind, path_lane, path_base, count, here, before, slip)
        for n in range(int(SWEEP_S / STEP_S) + 1):
            ox, oy, oc, os = _later_box(
                roads, other, seen, lane, s, bend,
                _gone(max(float(seen.speed), 0.0), accel, FAST, n * STEP_S + 0.1 * past),
            )  # fmt: skip
            dx = ox - px
            dy = oy - py
            if dx * dx + dy * dy < near * near and box_gap(
                px, py, pc, ps, 0.5 * body.length, 0.5 * body.width, ox, oy, oc, os, 0.5 * other.length, 0.5 * other.width
            ) < BESIDE:  # fmt: skip
                return max(here - PLACE_M, 0.0)
        before = here
        here += PLACE_M
    return way


@kernel
def _has_way(me: np.record, seen: np.record, then: int) -> bool:
    """An order of two that both find alike: who has hardly got under way can still wait, else who came first goes first.

    Who has stood for a while does not seem to use its turn (sim.traffic.negotiate), and lets pass who is on the move.

    me, seen: both as they were at one moment; a driver who compared itself as it is now with the other one as it was would be the
    faster of two who set off together.
    """
    slow = me.speed < SLOW
    if slow != (seen.speed < SLOW):
        return not slow
    if me.standing_since >= 0 and then - me.standing_since >= STOOD_TICKS and seen.standing_since < 0:
        return False
    if me.arrived_tick < 0 or seen.arrived_tick < 0:
        return bool(seen.arrived_tick < 0)
    return bool(me.arrived_tick < seen.arrived_tick or (me.arrived_tick == seen.arrived_tick and outranks(me, seen)))


@kernel
def _crosses(roads: Roads, body: np.record, other: np.record, there: int, path_lane: NDArray[np.int32], count: int) -> bool:
    """Whether the own path crosses the lane `there`, and does not just run along it."""
    for k in range(count):
        row = conflict_row(roads, path_lane[k], there, int(body.size_class), int(other.size_class))
        if row >= 0 and roads.conflicts[row].kind == CROSS:
            return True
    return False


@kernel
def foresee(
    state: WorldState, roads: Roads, w: int, a: int, past: int, line: float,
    path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int,
) -> None:  # fmt: skip
    """Plan to stop clear of the way of anybody visible who is on the move, goes first, and would be met.

    line: way [m] to the next stop line. Who stands beyond its own starts when those who brake for it have all but stopped:
    seen a response time late, they may have let go of the brake.
    """
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    speed = max(float(body.speed), 0.0)
    then = int(state.worlds[w].tick) - past
    me = state.history[w, then % HISTORY, a]
    inside = speed < MOVING and line > INSIDE
    if speed > FAST:
        return
    heeded = state.paths[w].heeded
    for n in range(state.paths[w].heeded_count):
        b = heeded[n]
        other = state.bodies[w, b]
        if other.model == STILL or other.drive_through or other.kind == PEDESTRIAN:
            continue
        seen = state.history[w, then % HISTORY, b]
        if seen.speed > FAST or is_parked(other, seen):
            continue
        # who has just come to rest may set off again at any moment
        rested = then - seen.standing_since if seen.standing_since >= 0 else 0
        if seen.speed < (0.0 if inside and rested < STOOD_TICKS else MOVING):
            continue
        facing = seen.cos * body.cos + seen.sin * body.sin
        dx = seen.x - body.x
        dy = seen.y - body.y
        near = body.radius + other.radius + (speed + seen.speed + 2.0) * HORIZON_S
        if dx * dx + dy * dy > near * near or _has_way(me, seen, then):
            continue
        aligned = abs(facing) > ALIGNED
        accel = _foreseen_accel(seen, -0.5 if inside else -4.0)
        lane = -1
        s = 0.0
        for h in range(max(int(seen.hypothesis_count), 1)):
            if seen.hypothesis_count > 0:
                record = roads.lanes[seen.hypothesis_lane[h]]
                if record.cluster >= 0 and record.stop_s < 0.0:
                    lane = int(seen.hypothesis_lane[h])
                    s = float(seen.hypothesis_s[h])
                    if seen.hypothesis_count > 1 and not matches_signal(seen.indicator, record.turn):
                        continue
            if aligned and (lane < 0 or not _crosses(roads, body, other, lane, path_lane, count)):
                continue
            way = _meeting(state, roads, w, a, b, past, lane, s, accel, path_lane, path_base, count)
            if way >= 0.0:
                way = _room_before(state, roads, w, a, b, past, lane, s, way, path_lane, path_base, count)
                if speed < SLOW or needed_braking(speed, way + 0.3) < FIRM:
                    stop_at(mind, way, CONTACT, b)
