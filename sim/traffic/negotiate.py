"""Who goes first where two paths meet, and whether there is room to go: the traffic's side of a negotiation.

Everything known of the other road user is what it showed `response_ticks` ago (pose, speed, lights, gesture), carried forward at
constant speed. Distances are along the paths, from box centres. Gap acceptance keeps `margin_s` before a crossing road user;
passing behind one
that has started needs only BEHIND_S, so drivers set off before the box is empty, timed to arrive after (anticipation).
"""

from __future__ import annotations

import math

import numpy as np

from sim.jit import kernel
from sim.roads.lane_map import CLASSES, TABLE_SPACING
from sim.roads.pack import Roads
from sim.roads.signals import signal_colour
from sim.state import JUMPS_QUEUE
from sim.traffic.path import travel_time

TIE_TICKS = 5  # arrivals this close are simultaneous
STOOD_TICKS = 12  # who has stood this long does not seem to use its turn
IN_MIND_M = 15.0
STUCK_TICKS = 40  # who has stood this long inside is stuck
ENTERED_M = 0.7  # m a front is past its stop line when others take it as having entered
BEHIND_S = 0.35  # s kept when passing behind somebody who is on the way out
BEHIND_MORE_S = 0.1  # s more for each other claimant: the more there are, the longer people make sure
COMFORTABLE = 2.5  # m/s², braking one may ask of somebody who must yield
HARD = 3.5  # m/s²; who would need more cannot stop any more
STANDING = 0.4  # m/s
CROSS, MERGE, DIVERGE, OPPOSE = 0, 1, 2, 3
ALL_WAY = 2
SIGNAL = 4
RED = 2
YELLOW = 1
LEFT_TURN = 1
PEDESTRIAN = 6
WAVE = 1


@kernel
def needed_braking(speed: float, distance: float) -> float:
    """Deceleration [m/s²] to stop within `distance`; very large where it is used up."""
    return speed * speed / (2.0 * max(distance, 0.01))


@kernel
def blocked_now(roads: Roads, row: int, other_s: float) -> tuple[float, float]:
    """Interval [low, high] of own positions that another at `other_s` on its lane blocks now; low > high where none.

    `row`: the conflict record of (other's lane, own lane), read at the other's position.
    """
    record = roads.conflicts[row]
    k = int(math.floor(other_s / TABLE_SPACING + 0.5)) - record.row_first
    if k < 0 or k >= record.row_count:
        return 1.0, 0.0
    return float(roads.conflict_rows[record.row_start + k, 0]), float(roads.conflict_rows[record.row_start + k, 1])


@kernel
def from_the_right(cos: float, sin: float, other_cos: float, other_sin: float) -> int:
    """+1 where the other comes from the right, -1 from the left, 0 head-on or from behind."""
    cross = cos * other_sin - sin * other_cos
    if cross > 0.35:
        return 1
    if cross < -0.35:
        return -1
    return 0


@kernel
def _by_arrival(
    mind: np.record, body: np.record, seen: np.record, then: int, my_time: float, other_time: float, my_turn: int, other_turn: int
) -> int:
    """+1: own turn first, by arrival order, then priority to the right, then straight before left.

    Orders are compared as of the tick `then` that shows the other one: whoever looks later finds the same order.
    """
    if mind.habits & JUMPS_QUEUE:
        return 1
    if mind.claimed_tick >= 0 and seen.standing_since >= 0 and then - seen.standing_since >= STOOD_TICKS:
        return 1
    arrived = body.arrived_tick if body.arrived_tick <= then else -1
    if arrived < 0 and seen.arrived_tick < 0:
        if my_time < other_time - 0.5:
            return 1
        if my_time > other_time + 0.5:
            return -1
    elif seen.arrived_tick < 0:
        return 1
    elif arrived < 0 or seen.arrived_tick < arrived - TIE_TICKS:
        return -1
    elif seen.arrived_tick > arrived + TIE_TICKS:
        return 1
    return by_side(body, seen, my_turn, other_turn)


@kernel
def by_side(me: np.record, seen: np.record, my_turn: int, other_turn: int) -> int:
    """+1 or -1 by what both see alike: priority to the right, straight before left, and for the rest the more northern course."""
    side = from_the_right(float(me.cos), float(me.sin), float(seen.cos), float(seen.sin))
    if side != 0:
        return -side
    if (my_turn == LEFT_TURN) != (other_turn == LEFT_TURN):
        return -1 if my_turn == LEFT_TURN else 1
    return 1 if me.sin + 0.3 * me.cos > seen.sin + 0.3 * seen.cos else -1


@kernel
def outranks(one: np.record, two: np.record) -> bool:
    """An order of any number of road users from what all see alike: by course. Unlike priority to the right it has no cycles."""
    return bool(one.sin + 0.3 * one.cos > two.sin + 0.3 * two.cos)


@kernel
def _inside_first(
    gap: float, out: float, speed: float, other_gap: float, other_out: float, other_speed: float, tie: float
) -> int:
    """Order of two in the junction, by where they were at one moment: +1, -1, or 0 where it is too close to call."""
    if gap <= 0.0 and other_gap <= 0.0:
        mine, theirs = out, other_out
    else:
        mine = gap / (1.5 + 0.5 * speed)
        theirs = other_gap / (1.5 + 0.5 * other_speed)
    if mine < theirs - tie:
        return 1
    if mine > theirs + 0.3:
        return -1
    return 0


@kernel
def goes_first(  # noqa: PLR0913  both sides of one meeting
    mind: np.record, body: np.record, me: np.record, seen: np.record, priority: int, entered: bool, other_entered: bool,
    gap: float, out: float, other_gap: float, other_out: float, my_turn: int, other_turn: int, then: int,
    my_time: float, other_time: float, yielded: bool,
) -> int:  # fmt: skip
    """+1 where this driver takes itself to go first, -1 where it takes the other one to.

    me, seen: both as they were at tick `then`; gap and out: ways [m] to the shared zone and out of it at that tick. yielded:
    it gave way to this one at its last decision.
    """
    standing = seen.standing_since >= 0
    stood = then - seen.standing_since if standing else 0
    if seen.gesture == WAVE and standing:
        return 1 if body.gesture != WAVE or outranks(me, seen) else -1
    if body.gesture == WAVE and not entered:
        return -1
    if entered and other_entered:
        if stood > STUCK_TICKS and mind.claimed_tick >= 0:
            return 1
        stuck = stood >= STOOD_TICKS and other_gap > 0.0
        if priority != 0 and not (priority < 0 and stuck):
            return priority
        if stuck and me.standing_since < 0:
            return 1
        if stuck and gap > 0.0 and then - me.standing_since >= STOOD_TICKS and me.arrived_tick != seen.arrived_tick:
            # who is nearer to the shared zone may be in a ring of three, who came first is not
            return 1 if me.arrived_tick < seen.arrived_tick else -1
        # who has given way once does so until the other one stands, or is clearly behind
        tie = 1.2 if yielded and stood < STOOD_TICKS else 0.3
        order = _inside_first(gap, out, max(float(me.speed), 0.0), other_gap, other_out, max(float(seen.speed), 0.0), tie)
        if order != 0:
            return order
        return -1 if tie > 1.0 or outranks(seen, me) else 1
    if other_entered and not (stood >= STOOD_TICKS and (other_gap > 0.3 or stood > STUCK_TICKS) and priority >= 0):
        return -1
    if entered and not other_entered:
        return 1
    if priority > 0:
        return 1
    if priority < 0:
        return 1 if stood > STUCK_TICKS and mind.claimed_tick >= 0 else -1
    return _by_arrival(mind, body, seen, then, my_time, other_time, my_turn, other_turn)


@kernel
def other_times(kind: int, speed: float, accel: float, enter: float, leave: float, limit: float) -> tuple[float, float]:
    """Earliest entry and latest exit time [s] of another that goes, by the speed and acceleration it shows."""
    if kind == PEDESTRIAN:
        walking = max(speed, 1.3)
        return max(enter, 0.0) / (walking + 0.3), max(leave, 0.0) / max(walking - 0.3, 0.8)
    top = max(speed, limit)
    start = travel_time(enter, speed, max(1.8 if speed < 6.0 else 0.5, accel), top)
    if speed < STANDING and accel < 0.2:
        return start + 0.3, 1e3
    if accel < -0.5 and speed * speed < -2.0 * accel * leave:
        return start, 1e3
    easing = min(max(accel, 0.4), 1.2)
    return start, travel_time(leave, max(speed, 0.3), easing, max(speed, min(limit, 7.0)))


@kernel
def is_red(roads: Roads, lane: int, tick: int) -> bool:
    """Whether the lane through a junction is shown red now."""
    record = roads.lanes[lane]
    return record.signal >= 0 and signal_colour(roads, record.signal, tick) == RED


@kernel
def conflict_row(roads: Roads, lane: int, other: int, size_class: int, other_class: int) -> int:
    """Row of `conflicts` for (lane, other) at these sizes, or -1."""
    first = roads.lanes[lane]
    second = roads.lanes[other]
    if first.cluster < 0 or first.cluster != second.cluster:
        return -1
    cluster = roads.clusters[first.cluster]
    row = roads.cluster_matrix[cluster.matrix_start + first.local * cluster.size + second.local]
    return -1 if row < 0 else int(row + size_class * CLASSES + other_class)


@kernel
def has_entered(roads: Roads, lane: int, s: float, half_length: float) -> bool:
    """Whether a body on `lane` counts as being in the junction: past its stop line, or on a conflicting lane without one."""
    record = roads.lanes[lane]
    if record.stop_s >= 0.0:
        return bool(s + half_length > record.stop_s + ENTERED_M)
    return bool(record.cluster >= 0)


@kernel
def can_still_stop(speed: float, accel: float, distance: float) -> bool:
    """Whether another road user would stop within `distance` [m] with comfortable braking, or is already slowing down for it."""
    need = needed_braking(speed, distance)
    return need < COMFORTABLE or (need < HARD and -accel > 0.7 * need)


@kernel
def matches_signal(indicator: int, turn: int) -> bool:
    """Whether somebody who shows `indicator` may be about to take a branch with this turn (-1: there is no branch)."""
    if turn < 0:
        return True
    if indicator == 1:
        return turn == 1 or turn == 3
    if indicator == 2:
        return turn == 2
    return turn == 0


@kernel
def kept_in_mind(roads: Roads, body: np.record, other: np.record, seen: np.record) -> bool:
    """Whether a vehicle that somebody hides at the moment is not forgotten: it is close by, in a junction."""
    if other.kind == PEDESTRIAN or seen.hypothesis_count == 0:
        return False
    dx = seen.x - body.x
    dy = seen.y - body.y
    lane = roads.lanes[seen.hypothesis_lane[0]]
    return bool(lane.cluster >= 0 and lane.stop_s < 0.0 and dx * dx + dy * dy < IN_MIND_M * IN_MIND_M)
