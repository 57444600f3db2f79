"""The driver in every vehicle of the traffic, cyclists included: look, decide, act.

`decide` runs when it is due (`sim.traffic.calm`) and leaves a plan in the driver's own mind: a desired speed, a leader, a place
to stop, and why. `act` runs every tick, carries the plan forward, and turns it into pedal and wheel. Car-following is the
Intelligent Driver Model (Treiber, Hennecke, Helbing 2000). Right of way is in `negotiate`. Nothing of another road user is read
but its history of appearances.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.jit import kernel, unit
from sim.rng import uniform
from sim.roads.lane_map import CLASSES
from sim.roads.pack import Roads
from sim.roads.signals import signal_colour
from sim.state import HISTORY, NO_SIGNAL, OBLIVIOUS, RUNS_REDS, RUNS_STOPS, WorldState
from sim.traffic.calm import DECISION_TICKS, LED_SIGHT, is_calm, is_due, is_led
from sim.traffic.clearance import back_off, keep_clear
from sim.traffic.foresight import foresee
from sim.traffic.lateral import change_lanes, steer_along
from sim.traffic.narrow import face, keep_reversing
from sim.traffic.negotiate import (
    ALL_WAY,
    BEHIND_MORE_S,
    BEHIND_S,
    CROSS,
    DIVERGE,
    ENTERED_M,
    MERGE,
    OPPOSE,
    RED,
    STANDING,
    STOOD_TICKS,
    YELLOW,
    blocked_now,
    can_still_stop,
    conflict_row,
    goes_first,
    has_entered,
    is_red,
    kept_in_mind,
    matches_signal,
    needed_braking,
    other_times,
    outranks,
)  # fmt: skip
from sim.traffic.obstacles import consider_body, is_parked
from sim.traffic.path import first_inside, speed_ahead, travel_time, walk_path
from sim.traffic.plan import (
    ARRIVAL_ORDER,
    CONTACT,
    CREEP,
    CURVE,
    EXIT_BLOCKED,
    FAR,
    FREE,
    MERGING,
    SIGNALLED,
    STOPPING,
    YIELDING,
    lead_at,
    stop_at,
)
from sim.traffic.swept import needs_room, room_to_swing

SPAN_S = 6.0  # s of travel that the negotiation looks ahead
ENTRY_WITHIN = 130.0  # m to a conflict that others have at most
MEET_WITHIN = 60.0  # m to a conflict's lane from which on it is settled
CLAIM_TICKS = 20
REST_BEYOND = 0.4  # m past the line where a front may rest without counting as having entered
TURN_SHARE = 0.5  # of the usual acceleration up to the middle of a turn; people speed up on the way out of it
PRESSED_SHARE = 0.9  # of it, into a gap of traffic that does not wait
ACROSS_BEHIND_S = 1.2  # s more behind who has right of way on the street one crosses from a stop sign
TURN_AHEAD = 10.0  # m
AT_LINE = 6.0  # m, long vehicles and those who make room for them stand back
WAVE_TICKS = 15
ACTIVE = 1
CLAIMS_WITHIN = 9.0  # m before its line within which a driver counts the others who claim the junction
HELD = 2.5  # m beyond the line: a plan to stop nearer than this means that it is not its turn
CRAWLING = 2.0  # m/s
ALERT_TICKS = 4  # who crawls through a junction watches the others closely
CAREFUL_ROLL = 2.4  # m/s over the line at most, shared among the others who claim the junction
CROWD_SHARE = 0.5  # longer for each further claimant
LONGEST_LOOK = 3.0  # s
QUEUE_LEADER = 5.0  # m/s
BRAKE_RELEASE = 0.35  # m/s lost per (m/s²)² of braking until the brake is off
QUEUE_PACE = 1.8  # m/s at which a leader is expected to cross the line it has not reached yet
QUEUE_BRAKING = 0.7  # of comfortable braking, behind it
PEDESTRIAN = 6
PURPOSE_DECISION = 5
STOP, ALL_WAY_STOP, YIELD_SIGN = 1, 2, 3


@kernel
def _gate(
    roads: Roads, path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int, half: float
) -> tuple[float, int, int]:
    """(front's distance to the first stop line ahead, its place in the path, place of the second line or `count`)."""
    line = FAR
    first = -1
    for k in range(count):
        stop_s = roads.lanes[path_lane[k]].stop_s
        if stop_s < 0.0:
            continue
        distance = path_base[k] + stop_s - half
        if distance <= -ENTERED_M:
            continue
        if first >= 0:
            return line, first, k
        line = distance
        first = k
    return line, first, count


@kernel
def _obey_line(
    state: WorldState, roads: Roads, w: int, a: int, line: float, gate: int, path_lane: NDArray[np.int32], count: int
) -> None:
    """Stop signs and signals at the line ahead."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    record = roads.lanes[path_lane[gate]]
    speed = body.speed
    tick = state.worlds[w].tick
    signal = record.signal
    if signal < 0 and gate + 1 < count:
        signal = roads.lanes[path_lane[gate + 1]].signal
    if signal >= 0 and not mind.habits & RUNS_REDS:
        colour = signal_colour(roads, signal, tick)
        if (colour == RED and needed_braking(speed, line + 0.5) < 7.0) or (
            colour == YELLOW and needed_braking(speed, line) < 2.8
        ):
            stop_at(mind, line - 0.5, SIGNALLED, -1)
        return
    regulation = record.regulation
    if regulation != STOP and regulation != ALL_WAY_STOP:
        return
    roll = float(mind.roll_speed)
    if mind.claimants > 0:
        roll = min(roll, CAREFUL_ROLL / mind.claimants)
    resting = line + min(float(mind.rest_offset), REST_BEYOND)
    # the foot takes its time to leave the brake: the speed that will be left by then counts
    braking = min(float(body.accel), 0.0)
    if resting < 3.5 and speed - BRAKE_RELEASE * braking * braking < max(roll, 0.2):
        mind.satisfied = 1
    if mind.habits & RUNS_STOPS or line < -0.2:
        mind.satisfied = 1
    if not mind.satisfied:
        # coming to the line at the speed this driver takes for stopped: a longer way to a full stop
        stop_at(mind, max(resting, 0.0) + roll * roll / (2.0 * mind.decel) + 0.3, STOPPING, -1)


@kernel
def _yield_at(mind: np.record, speed: float, line: float, enter: float, entered: bool, reason: int, other: int) -> None:
    """Plan to stop at the line, or before the shared zone once past it; somebody who cannot stop any more goes on."""
    zone = enter - 1.0
    place = zone
    if not entered:
        creep = 0.0
        if reason != ARRIVAL_ORDER and mind.wait_ticks > 10.0 * mind.patience_s:
            creep = min(0.05 * (mind.wait_ticks - 10.0 * mind.patience_s), 2.0) * (0.3 + mind.assertiveness)
        place = min(line + min(max(float(mind.rest_offset), -1.0), REST_BEYOND) + creep, zone)
    if place > -0.5 and needed_braking(speed, place + 0.3) < 5.0:
        stop_at(mind, place, CREEP if not entered and place > line + 1.0 else reason, other)
    elif zone > -0.5 and needed_braking(speed, zone + 0.6) < 8.0:
        stop_at(mind, zone + 0.5, reason, other)


@kernel
def _merge_behind(mind: np.record, body: np.record, seen: np.record, room: float, enter: float, other: int) -> None:
    """Follow somebody who goes ahead into the same lane; `room` is the bumper gap once there."""
    speed = max(float(seen.speed), 0.0)
    if room > 0.3:
        lead_at(mind, body, room, speed, float(seen.accel), other, MERGING)
    else:
        # level with it: fall back, at the latest where the lanes join
        lead_at(mind, body, max(room + mind.min_gap, 0.8), max(speed - 1.5, 0.0), float(seen.accel), other, MERGING)
        stop_at(mind, max(enter - 0.8, 0.0), MERGING, other)


@kernel
def _blocked_by(roads: Roads, body: np.record, other: np.record, lane: int, other_lane: int, ahead: float) -> tuple[float, float]:
    """Stretch of the own lane that another blocks which is `ahead` [m] of the start of its lane; low > high for none."""
    back = conflict_row(roads, other_lane, lane, int(other.size_class), int(body.size_class))
    return blocked_now(roads, back, -ahead) if back >= 0 else (1.0, 0.0)


@kernel
def _margin_before(mind: np.record, kind: int, speed: float, other_speed: float) -> float:
    """Spare time [s] wanted to somebody who comes after; it shrinks with waiting."""
    margin = mind.margin_s * max(0.55, 1.0 - 0.004 * mind.wait_ticks)
    if kind == MERGE:
        margin += 0.25 * max(other_speed - (speed + 2.5), 0.0) + 0.5
    return float(margin)


@kernel
def _margin_behind(mind: np.record, across: bool) -> float:
    """Time [s] kept behind somebody on the way through; across: a street with right of way is crossed."""
    return float(BEHIND_S + BEHIND_MORE_S * mind.claimants + (ACROSS_BEHIND_S if across else 0.0))


@kernel
def _follow_out(mind: np.record, body: np.record, seen: np.record, b: int, gap: float) -> None:
    """Follow somebody who leaves by another lane while its tail, `gap` [m] ahead, is still in the own one."""
    if gap > -2.0:
        lead_at(mind, body, max(gap, 0.2), max(float(seen.speed), 0.0), float(seen.accel), b, CURVE)


@kernel
def _will_wait(seen: np.record, speed: float, enter: float, inside: bool) -> bool:
    """Whether somebody at `speed` who should wait `enter` [m] ahead can and seems to; inside: both are in the junction."""
    # who is in and speeds up does not mean to wait
    keen = inside and seen.accel > 0.5 and speed > 2.0
    return bool(speed < 1.0 or (not keen and can_still_stop(speed, float(seen.accel), enter - 0.5)))


@kernel
def _note_order(mind: np.record, me: np.record, seen: np.record, b: int, first: int) -> None:
    """Remember to whom one gives way, and whether one of those would sooner break a standoff."""
    if first < 0:
        if seen.standing_since >= 0 and outranks(seen, me):
            mind.outranked = 1
        mind.committed = -1 - b
    elif mind.committed == -1 - b:
        mind.committed = 0


@kernel
def _meet(  # noqa: PLR0913  two paths, two drivers and what is known of each
    state: WorldState, roads: Roads, w: int, a: int, b: int, seen: np.record, row: int, base: float, ahead: float,
    lane: int, other_lane: int, line: float, entered: bool, other_entered: bool, past: int, other_speed: float, carried: float,
) -> bool:  # fmt: skip
    """Settle one conflict between the own path (lane starting `base` ahead) and one lane another may take (`ahead` to its start).

    Returns whether the other one is on its way through, so that waiting for it is no idle waiting.
    """
    record = roads.conflicts[row]
    leave = base + record.leave
    other_leave = ahead + record.other_leave
    if leave < 0.0 or other_leave < 0.0:
        return False
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    enter = base + record.enter
    other_enter = ahead + record.other_enter
    low, high = _blocked_by(roads, body, other, lane, other_lane, ahead) if other_enter <= 0.0 else (1.0, 0.0)
    if record.kind == OPPOSE and entered and other_entered and low <= high and base + high > 0.0:
        face(state, w, a, b, seen, enter, other_enter, base + low)
        return False
    if record.kind == DIVERGE:
        _follow_out(mind, body, seen, b, base + low if low <= high and ahead < base - 0.5 else -FAR)
        return False
    speed = max(float(body.speed), 0.0)
    then = state.worlds[w].tick - past
    # somebody who has stood inside for a while is a thing in the way (sim.traffic.clearance), whatever its lane's table says
    stands = seen.standing_since >= 0 and then - seen.standing_since >= STOOD_TICKS
    blocked = low <= high and base + low > 0.0 and not stands
    if (
        not other_entered
        and is_red(roads, other_lane, then + past)
        and can_still_stop(other_speed, float(seen.accel), other_enter)
    ):
        return False
    # when would each be there
    top = max(float(mind.desired_speed), 4.0)
    lag = 0.4 if speed < STANDING else 0.0
    my_enter = travel_time(enter, speed, float(mind.pull), top) + lag
    other_start, other_end = other_times(
        int(other.kind), other_speed, float(seen.accel), other_enter, other_leave, 12.0 if record.kind == MERGE else 9.0
    )
    room = 0.0
    if record.kind == MERGE:
        room = (base + roads.lanes[lane].length) - (ahead + roads.lanes[other_lane].length) - 0.5 * (body.length + other.length)
        if room > 0.0 and not stands and (other_enter <= 0.0 or (other_entered and other_speed > STANDING)):
            _merge_behind(mind, body, seen, room, enter, b)
            return other_entered
    me = state.history[w, then % HISTORY, a]
    moved = 0.05 * past * (speed + max(float(me.speed), 0.0)) if me.status == ACTIVE else 0.0
    first = goes_first(
        mind, body, me, seen, int(record.priority), entered and body.entered_tick <= then, other_entered,
        enter + moved, leave + moved, other_enter + carried, other_leave + carried,
        int(roads.lanes[lane].turn), int(roads.lanes[other_lane].turn), then, my_enter, other_start,
        mind.committed == -1 - b,
    )  # fmt: skip
    _note_order(mind, me, seen, b, first)
    on_its_way = other_entered and other_speed > STANDING
    regulation = roads.lanes[other_lane].regulation
    if first > 0:
        stops = _will_wait(seen, other_speed, other_enter, entered and other_entered)
        if stops or travel_time(leave, speed, 0.85 * mind.pull, top) + lag + 0.3 < other_start:
            if blocked and my_enter < other_end + 0.3:
                stop_at(mind, base + low - 1.0, YIELDING, b)
            return on_its_way
        # it will not or cannot wait: yield in spite of the right of way, unless it is too late for that
        if my_enter > other_end + mind.margin_s:
            return on_its_way
    else:
        if mind.habits & OBLIVIOUS and other_enter > 0.0:
            return False
        in_order = regulation == ALL_WAY and seen.arrived_tick >= 0 and not other_entered
        before = travel_time(leave, speed, 0.85 * mind.pull, top) + lag
        if not in_order and before + _margin_before(mind, int(record.kind), speed, other_speed) < other_start:
            return False
        across = record.kind == CROSS and roads.lanes[lane].regulation == STOP
        if record.kind != OPPOSE and other_entered and my_enter > other_end + _margin_behind(mind, across):
            return on_its_way
        if record.kind == MERGE and other_entered and room > 0.0:
            _merge_behind(mind, body, seen, room, enter, b)
            return on_its_way
    _yield_at(mind, speed, line, enter, entered, ARRIVAL_ORDER if regulation == ALL_WAY else YIELDING, b)
    return on_its_way or not (regulation == ALL_WAY or other_speed < STANDING)


@kernel
def _lane_told(roads: Roads, seen: np.record) -> bool:
    """Whether the indicator tells which of several overlapping lanes through a junction somebody is on."""
    if seen.hypothesis_count < 2:
        return False
    for h in range(seen.hypothesis_count):
        lane = roads.lanes[seen.hypothesis_lane[h]]
        if lane.cluster >= 0 and lane.stop_s < 0.0 and matches_signal(seen.indicator, lane.turn):
            return True
    return False


@kernel
def _negotiate_with(
    state: WorldState, roads: Roads, w: int, a: int, b: int, seen: np.record, past: int, path_base: NDArray[np.float64],
    meets: int, line: float, gate: int,
) -> bool:  # fmt: skip
    """Settle every conflict with one other road user on the first `meets` contested lanes ahead; True where their paths meet."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    lag = 0.1 * past
    accel = min(max(float(seen.accel), -5.0), 2.0)
    shown = max(float(seen.speed), 0.0)
    speed = max(shown + accel * lag, 0.0)
    carried = 0.5 * (shown + speed) * lag
    paths = state.paths[w]
    met = False
    told = _lane_told(roads, seen)
    for h in range(seen.hypothesis_count):
        there = seen.hypothesis_lane[h]
        if told and not matches_signal(seen.indicator, roads.lanes[there].turn):
            continue
        place = seen.hypothesis_s[h] + carried
        approach = roads.lanes[there]
        entered_there = has_entered(roads, there, place, 0.5 * other.length)
        for e in range(approach.entry_start, approach.entry_start + approach.entry_count):
            entry = roads.entries[e]
            if entry.distance - place > ENTRY_WITHIN:
                continue
            if not matches_signal(seen.indicator, entry.turn):
                continue
            into = roads.lanes[entry.lane]
            for m in range(meets):
                if paths.cluster[m] != into.cluster:
                    continue
                first = roads.cluster_matrix[paths.matrix[m] + into.local]
                if first < 0:
                    continue
                k = paths.contested[m]
                row = int(first + body.size_class * CLASSES + other.size_class)
                met = True
                # a line further on than the zone does not hold us back from the zone
                zone = path_base[k] + roads.conflicts[row].enter
                gated = gate >= 0 and line <= zone + 0.5
                if entry.line >= 0.0:
                    other_entered = place + 0.5 * other.length > entry.line + ENTERED_M
                else:
                    other_entered = entered_there or (entry.distance > 0.0 and approach.cluster >= 0 and approach.stop_s < 0.0)
                if _meet(
                    state, roads, w, a, b, seen, row, path_base[k], entry.distance - place, paths.lane[k], entry.lane,
                    line if gated else FAR, not gated, other_entered, past, speed, carried,
                ):  # fmt: skip
                    mind.quiet_ticks = 0
    return met


@kernel
def _keep_box_clear(
    roads: Roads,
    mind: np.record,
    path_lane: NDArray[np.int32],
    path_base: NDArray[np.float64],
    last: int,
    line: float,
    half: float,
) -> None:
    """Wait at the line while a slow leader leaves no room behind the junction."""
    if mind.lead < 0 or mind.lead_speed > 2.0 or mind.lead_gap < line:
        return
    k = first_inside(roads, path_lane, last)
    beyond = path_base[k] + roads.lanes[path_lane[k]].length + half - 1.0 if k >= 0 else -FAR
    if mind.lead_gap - mind.min_gap < beyond and line > -0.3:
        stop_at(mind, line, EXIT_BLOCKED, mind.lead)


@kernel
def _claims(roads: Roads, seen: np.record, own_lane: int) -> bool:
    """Whether somebody stands at, or has just reached, the stop line of another approach."""
    if seen.arrived_tick < 0 or seen.hypothesis_count == 0:
        return False
    lane = seen.hypothesis_lane[0]
    return bool(lane != own_lane and roads.lanes[lane].stop_s >= 0.0)


@kernel
def _hesitate(mind: np.record, speed: float, line: float, since: int) -> None:
    """Look for a while before taking one's turn: the longer, the more others claim the junction. Who ends a standoff does not."""
    if mind.satisfied == 0 or line < -0.2 or mind.claimed_tick >= 0:
        return
    if mind.stop_distance < line + HELD:
        mind.look_ticks = 0
        return
    wanted = mind.hesitation * mind.claimants * (1.0 + CROWD_SHARE * (mind.claimants - 1))
    if 0.1 * mind.look_ticks < min(wanted, LONGEST_LOOK):
        mind.look_ticks += since
        # it slows down for that; it does not brake hard
        soft = speed * speed / (3.0 * mind.decel) + 0.2
        stop_at(mind, max(line + min(float(mind.rest_offset), REST_BEYOND), soft), STOPPING, -1)


@kernel
def _expect_queue(state: WorldState, w: int, a: int, line: float) -> None:
    """Come up gently behind a leader that still has the line before it and will slow down there."""
    mind = state.minds[w, a]
    if mind.lead < 0 or mind.lead_speed > QUEUE_LEADER:
        return
    length = float(state.bodies[w, mind.lead].length)
    if mind.lead_gap + length > line + 1.0:
        return
    room = max(line - length - float(mind.min_gap), 0.0)
    pace = math.sqrt(QUEUE_PACE * QUEUE_PACE + 2.0 * QUEUE_BRAKING * mind.decel * room)
    mind.desired_speed = min(float(mind.desired_speed), pace)


@kernel
def _note_waiting(state: WorldState, w: int, a: int, since: int) -> None:
    """Count waiting, `since` ticks more, and claim a turn that nobody takes: at random moments, so that not all claim at once."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = state.worlds[w].tick
    if body.speed > 2.0:
        mind.wait_ticks = 0
        mind.quiet_ticks = 0
        mind.claimed_tick = -1
        return
    if mind.claimed_tick >= 0 and tick - mind.claimed_tick > CLAIM_TICKS:
        mind.claimed_tick = -1
        mind.quiet_ticks = 0
    if mind.reason < STOPPING or mind.reason == SIGNALLED:
        return
    mind.wait_ticks += since
    if mind.stop_distance > 2.5 or body.speed > STANDING:
        return
    mind.quiet_ticks += since
    patience = min(mind.patience_s * (1.0 - 0.6 * mind.assertiveness), 4.0)
    if mind.claimed_tick < 0 and 0.1 * mind.quiet_ticks > patience:
        world = state.worlds[w]
        eager = 0.12 if mind.outranked else 0.3
        if uniform(world.seed, world.branch, tick, a, PURPOSE_DECISION, 0) < eager * (0.3 + mind.assertiveness):
            mind.claimed_tick = tick


@kernel
def _wave(state: WorldState, w: int, a: int, line: float) -> None:
    """Wave the others through while standing at the line with no room to go (somebody waits in the way, or the exit is full), or
    having backed off for somebody.

    The hand comes down WAVE_TICKS after there is room: whoever has seen it may be on the way.
    """
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = int(state.worlds[w].tick)
    in_the_way = mind.reason == CONTACT and mind.other >= 0 and state.bodies[w, mind.other].kind != PEDESTRIAN
    stuck = mind.reason == EXIT_BLOCKED or in_the_way
    stands = body.standing_since >= 0 and tick - body.standing_since >= STOOD_TICKS
    makes_room = tick < mind.stay_until and body.standing_since >= 0
    if makes_room or (stuck and stands and -ENTERED_M < line < AT_LINE and mind.stop_distance < 1.0):
        mind.gesture = tick + 1
    body.gesture = 1 if (stands or makes_room) and mind.gesture > 0 and tick - mind.gesture < WAVE_TICKS else 0


@kernel
def _note_gate(state: WorldState, roads: Roads, w: int, a: int, gate_lane: int, path_lane: NDArray[np.int32], last: int) -> None:
    """Remember which stop line is next and which conflict zone lies behind it; passing one is an entry."""
    mind = state.minds[w, a]
    if gate_lane == mind.gate:
        return
    if mind.gate >= 0:
        _enter(state, roads, w, a)
    mind.gate = gate_lane
    mind.satisfied = 0
    mind.look_ticks = 0
    mind.zone = -1
    if gate_lane < 0:
        return
    k = first_inside(roads, path_lane, last)
    if k >= 0:
        mind.zone = roads.lanes[path_lane[k]].cluster


@kernel
def _enter(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Book an entry into the zone behind the line just passed, and what was wrong with it."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = state.worlds[w].tick
    body.entered_tick = tick
    if mind.zone >= 0:
        state.zones[w, mind.zone].last_entry = tick


@kernel
def _indicate(
    roads: Roads, mind: np.record, path_lane: NDArray[np.int32], path_base: NDArray[np.float64], count: int, speed: float
) -> int:
    """Indicator for the turn or lane change ahead: 1 left, 2 right."""
    if mind.habits & NO_SIGNAL:
        return 0
    if mind.change_to != 0:
        return 1 if mind.change_to > 0 else 2
    if mind.indicator != 0:
        return int(mind.indicator)
    for k in range(count):
        if path_base[k] > max(30.0, 3.5 * speed):
            break
        turn = roads.lanes[path_lane[k]].turn
        if turn == 1 or turn == 3:
            return 1
        if turn == 2:
            return 2
    return 0


@kernel
def _note_contested(state: WorldState, roads: Roads, w: int, a: int, last: int) -> int:
    """Note which of the first `last` lanes ahead are in conflict with others, and how many; in a turn, speed up less."""
    mind = state.minds[w, a]
    paths = state.paths[w]
    meets = 0
    mind.pull = mind.accel
    for k in range(last):
        record = roads.lanes[paths.lane[k]]
        if record.cluster >= 0 and paths.base[k] < MEET_WITHIN:
            paths.contested[meets] = k
            paths.cluster[meets] = record.cluster
            cluster = roads.clusters[record.cluster]
            paths.matrix[meets] = cluster.matrix_start + record.local * cluster.size
            meets += 1
        if record.turn > 0 and -0.5 * record.length < paths.base[k] < TURN_AHEAD:
            mind.pull = (TURN_SHARE if record.regulation == ALL_WAY else PRESSED_SHARE) * mind.accel
    return meets


@kernel
def decide(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Look around and renew the plan of one driver."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = state.worlds[w].tick
    path_lane = state.paths[w].lane
    path_base = state.paths[w].base
    speed = max(float(body.speed), 0.0)
    half = 0.5 * body.length
    horizon = min(30.0 + speed * SPAN_S, 120.0)
    count = walk_path(roads, mind.route, mind.lane, mind.s, horizon, path_lane, path_base)
    line, gate, last = _gate(roads, path_lane, path_base, count, half)
    since = int(tick - mind.plan_tick) if mind.plan_tick >= 0 else DECISION_TICKS
    meets = _note_contested(state, roads, w, a, last)
    before_line = line if gate >= 0 and (meets == 0 or state.paths[w].contested[0] > gate) else -1.0
    led = is_led(mind, speed, before_line)
    far = mind.lead_gap + half + LED_SIGHT if led else FAR
    mind.plan_tick = tick
    mind.reason = FREE
    mind.other = -1
    mind.lead = -1
    mind.lead_gap = FAR
    mind.stop_distance = FAR
    mind.goal_shift = 0.0
    if needs_room(roads, body, mind, path_lane, path_base, count):
        mind.goal_shift = room_to_swing(roads, body, path_lane, path_base, count, 0.0)
    mind.desired_speed = min(speed_ahead(roads, mind, path_lane, path_base, count), float(body.speed_max))
    if gate >= 0:
        _obey_line(state, roads, w, a, line, gate, path_lane, count)
    _note_gate(state, roads, w, a, path_lane[gate] if gate >= 0 else -1, path_lane, last)
    end = path_base[count - 1] + roads.lanes[path_lane[count - 1]].length
    if end < horizon and mind.to_goal > end + 1.0:
        stop_at(mind, end - half - 2.0, STOPPING, -1)
    mind.outranked = 0
    past = min(int(mind.response_ticks), tick)
    if speed < CRAWLING and gate < 0 and meets > 0 and path_base[state.paths[w].contested[0]] <= half:
        past = min(past, ALERT_TICKS)
    lag = 0.1 * past
    claimants = 0
    walkers = False
    looking = gate >= 0 and line < CLAIMS_WITHIN and roads.lanes[path_lane[gate]].regulation == ALL_WAY_STOP
    listed, visible = state.neighbours[w, a], state.visible[w, a]
    bodies, shown = state.bodies[w], state.history[w, (tick - past) % HISTORY]
    heeded = 0
    for n in range(listed[0]):
        b = int(listed[1 + n])
        seen = shown[b]
        if seen.status != ACTIVE or (visible[n] == 0 and not kept_in_mind(roads, body, bodies[b], seen)):
            continue
        dx = seen.x - body.x
        dy = seen.y - body.y
        if dx * dx + dy * dy > far * far:
            break  # nearest first
        if visible[n] != 0:
            state.paths[w].heeded[heeded] = b
            heeded += 1
        if looking and _claims(roads, seen, path_lane[0]):
            claimants += 1
        walkers = walkers or bodies[b].kind == PEDESTRIAN
        met = False
        if meets > 0 and not led and not is_parked(bodies[b], seen):
            met = _negotiate_with(state, roads, w, a, b, seen, past, path_base, meets, line, gate)
        consider_body(state, roads, w, a, b, seen, lag, path_lane, path_base, count, met)
    state.paths[w].heeded_count = heeded
    if gate >= 0:
        _keep_box_clear(roads, mind, path_lane, path_base, last, line, half)
        _expect_queue(state, w, a, line)
    keep_clear(state, roads, w, a, past, line if gate >= 0 else FAR, path_lane, path_base, count)
    if not led:
        foresee(state, roads, w, a, past, line if gate >= 0 else FAR, path_lane, path_base, count)
        mind.claimants = claimants
    if looking and claimants > 0:
        _hesitate(mind, speed, line, since)
    back_off(state, w, a, past)
    _note_waiting(state, w, a, since)
    change_lanes(state, roads, w, a, lag, line)
    keep_reversing(state, roads, w, a)
    _wave(state, w, a, line if gate >= 0 else FAR)
    body.indicator = _indicate(roads, mind, path_lane, path_base, count, speed)
    junction = path_base[state.paths[w].contested[0]] - half if meets > 0 else FAR
    mind.calm = not walkers and is_calm(roads, mind, speed, before_line, junction)


@kernel
def _carry_forward(mind: np.record, speed: float, dt: float) -> None:
    """Age the plan by one tick: distances shrink as the car moves."""
    mind.stop_distance -= speed * dt
    if mind.lead >= 0:
        lead_speed = max(mind.lead_speed + mind.lead_accel * dt, 0.0)
        mind.lead_speed = lead_speed
        mind.lead_gap += (lead_speed - speed) * dt


@kernel
def wanted_acceleration(mind: np.record, speed: float, pedal: float) -> float:
    """Acceleration [m/s²] that the plan asks for: the least of free driving, following and stopping.

    pedal: the acceleration asked for so far. Following is the IDM, with two changes for queues that move up: the time gap
    shrinks at walking pace, though not below the response time, and below the desired gap's reach the interaction falls with its
    fourth power.
    """
    top = max(float(mind.desired_speed), 0.1)
    ratio = speed / top
    if ratio < 1.0:
        wanted = mind.pull * (1.0 - ratio * ratio * ratio * ratio)
    else:
        wanted = max(-mind.decel, (top - speed) / 0.8)
    if mind.lead >= 0 and mind.lead_gap < 200.0:
        at_pace = mind.time_gap * min(QUEUE_SHARE + (1.0 - QUEUE_SHARE) * speed / QUEUE_SPEED, 1.0)
        time_gap = max(at_pace, 0.1 * mind.response_ticks)
        closing = speed - mind.lead_speed
        desired = mind.min_gap + max(speed * time_gap + speed * closing / (2.0 * math.sqrt(mind.accel * mind.decel)), 0.0)
        share = desired / max(float(mind.lead_gap), 0.1)
        share *= share
        following = mind.accel * (1.0 - (share * share if share < 1.0 else share))
        # a gap that is too short but does not close is no emergency
        needed = max(closing, 0.0) * closing / (2.0 * max(mind.lead_gap - 0.5 * mind.min_gap, 0.2)) - min(
            float(mind.lead_accel), 0.0
        )
        wanted = min(wanted, max(following, -1.2 * (mind.decel + needed), -8.0))
    if mind.stop_distance < FAR:
        wanted = min(wanted, stopping_acceleration(mind, speed, pedal))
    return float(wanted)


QUEUE_SHARE = 0.3
QUEUE_SPEED = 6.0  # m/s
SQUEEZE = 2.2  # m/s³, how fast people move their feet,
RELEASE = 4.0  # m/s³, take them off the brake,
STAMP = 10.0  # m/s³, and stamp on it (UN R157's attentive driver: 12.65 m/s³)
STAMP_M = 0.15  # m of way left, below which they do that
EASE = 1.4  # 1/s, speed per metre over the last half metre of a stop


@kernel
def stopping_acceleration(mind: np.record, speed: float, pedal: float) -> float:
    """Acceleration towards a stop `stop_distance` ahead: constant braking, then easing off with the distance left."""
    distance = float(mind.stop_distance)
    if distance < 0.1:
        return -max(1.0, 5.0 * speed) if speed > 0.0 else -0.5
    comfortable = float(mind.decel)
    # braking at b hands over to speed = EASE * distance where both ask for b: at b / EASE² from the end
    final = comfortable / (EASE * EASE)
    # the way that is lost until the foot has moved to the brake
    lost = 0.7 * speed * max(pedal + 0.75 * comfortable, 0.0) / SQUEEZE
    effective = max(distance - 0.5 * final - lost, 0.4 * distance)
    need = speed * speed / (2.0 * effective)
    if need < 0.75 * comfortable:
        allowed = math.sqrt(2.0 * comfortable * effective) if distance > final else EASE * distance
        return (allowed - speed) / 0.7
    return -need


@kernel
def act(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Turn the plan into this tick's pedal and wheel."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    speed = float(body.speed)
    dt = 0.1
    if body.crashed:
        body.command_accel = -6.0
        return
    if state.worlds[w].tick != mind.plan_tick:
        _carry_forward(mind, max(speed, 0.0), dt)
    if mind.reverse_until > 0.0:
        body.gear = 1
        # not over before it stands
        mind.reverse_until = max(mind.reverse_until + speed * dt, 0.01)
        if mind.reverse_until <= 0.3 and speed > -0.05:
            mind.reverse_until = 0.0
            body.command_accel = 0.0
            return
        body.command_accel = min(max(2.0 * (-1.2 - speed), -1.0), 1.0) if mind.reverse_until > 0.3 else min(-3.0 * speed, 2.0)
    else:
        body.gear = 0
        before = float(body.command_accel)
        wanted = wanted_acceleration(mind, max(speed, 0.0), before)
        grip = 9.0 * state.worlds[w].friction
        wanted = max(wanted, -grip)
        # people squeeze the pedal; the harder they must brake, the faster, and they stamp on it where they would touch somebody
        squeeze = SQUEEZE * dt + 3.0 * dt * max(-wanted - 1.8, 0.0)
        if mind.reason == CONTACT and mind.stop_distance < STAMP_M:
            squeeze = max(squeeze, STAMP * dt)
        if speed < 0.05:
            before = max(before, -0.3)
        body.command_accel = min(max(wanted, before - squeeze), before + (SQUEEZE if before > -0.01 else RELEASE) * dt)
        if speed < 0.3 and wanted < 0.0:
            body.command_accel = min(wanted, -0.6)
    steer_along(state, roads, w, a)


@unit(WorldState, Roads, int, int)
def drive(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Decide when it is due, and act."""
    if is_due(state, w, a):
        decide(state, roads, w, a)
    act(state, roads, w, a)
