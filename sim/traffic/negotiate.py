"""Who goes first where two paths meet, and whether there is room to go: the traffic's side of a negotiation.

Everything known of the other road user is what it showed `response_ticks` ago (pose, speed, lights, gesture), carried forward at
constant speed. Distances are along the paths, from box centres. Gap acceptance keeps `margin_s` before a crossing road user; passing behind one
that has started needs only BEHIND_S, so drivers set off before the box is empty, timed to arrive after (anticipation).
"""

from __future__ import annotations

import math

import numpy as np

from sim.jit import kernel
from sim.roads.lane_map import CLASSES, TABLE_SPACING
from sim.roads.pack import Roads
from sim.roads.signals import signal_colour
from sim.state import JUMPS_QUEUE, WorldState
from sim.traffic.path import travel_time

TIE_TICKS = 5  # arrivals this close are simultaneous
ENTERED_M = 0.7  # m a front is past its stop line when others take it as having entered
BEHIND_S = 0.35  # s kept when passing behind somebody who is on the way out
LINE_OF_SIGHT_M = 60.0
COMFORTABLE = 2.5  # m/s², braking one may ask of somebody who must yield
HARD = 3.5  # m/s²; who would need more cannot stop any more
STANDING = 0.4  # m/s
CLEAR = 0
YIELDS = 1
FOLLOWS = 2
CROSS, MERGE, DIVERGE, OPPOSE = 0, 1, 2, 3
ALL_WAY = 2
SIGNAL = 4
RED = 2
YELLOW = 1
LEFT_TURN = 1
PEDESTRIAN = 6


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
def _by_arrival(mind: np.record, body: np.record, seen: np.record, my_time: float, other_time: float, other_turn: int, my_turn: int) -> int:
    """+1: own turn first, by arrival order, then priority to the right, then straight before left."""
    if mind.flags & JUMPS_QUEUE:
        return 1
    if body.arrived_tick < 0 and seen.arrived_tick < 0:
        if my_time < other_time - 0.5:
            return 1
        if my_time > other_time + 0.5:
            return -1
    elif seen.arrived_tick < 0:
        return 1
    elif body.arrived_tick < 0 or seen.arrived_tick < body.arrived_tick - TIE_TICKS:
        return -1
    elif seen.arrived_tick > body.arrived_tick + TIE_TICKS:
        return 1
    if mind.claimed_tick >= 0:
        return 1
    side = from_the_right(body.cos, body.sin, seen.cos, seen.sin)
    if side != 0:
        return -side
    if (my_turn == LEFT_TURN) != (other_turn == LEFT_TURN):
        return -1 if my_turn == LEFT_TURN else 1
    return 1 if seen.arrived_tick > body.arrived_tick else -1


@kernel
def goes_first(
    mind: np.record, body: np.record, seen: np.record, priority: int, entered: bool, other_entered: bool, gap: float, other_gap: float,
    my_turn: int, other_turn: int, tick: int, my_time: float, other_time: float,
) -> int:  # fmt: skip
    """+1 where this driver takes itself to go first, -1 where it takes the other one to."""
    standing = seen.standing_since >= 0
    stood = tick - seen.standing_since if standing else 0
    if seen.gesture == 1 and standing:
        return 1
    if entered and other_entered:
        if priority != 0 and not (priority > 0 and not standing and other_gap < 1.0):
            return priority
        if gap < other_gap - 0.5:
            return 1
        if gap > other_gap + 0.5:
            return -1
        if mind.claimed_tick >= 0:
            return 1
        return -1 if from_the_right(body.cos, body.sin, seen.cos, seen.sin) >= 0 else 1
    if other_entered and not (standing and other_gap > 0.3 and stood > 15 and priority >= 0):
        return -1
    if entered and not other_entered:
        return 1
    if priority > 0:
        return 1
    if priority < 0:
        waited = mind.wait_ticks * 0.1
        return 1 if stood > 40 and waited > 2.0 * mind.patience_s and mind.claimed_tick >= 0 else -1
    return _by_arrival(mind, body, seen, my_time, other_time, other_turn, my_turn)


@kernel
def other_times(seen: np.record, kind: int, enter: float, leave: float, limit: float) -> tuple[float, float]:
    """Earliest entry and latest exit time [s] of another that goes, by what it shows."""
    speed = max(float(seen.speed), 0.0)
    if kind == PEDESTRIAN:
        walking = max(speed, 1.3)
        return max(enter, 0.0) / (walking + 0.3), max(leave, 0.0) / max(walking - 0.3, 0.8)
    top = max(speed, limit)
    push = 1.6 if speed < 6.0 else 0.5
    start = travel_time(enter, speed, push, top)
    if speed < STANDING and seen.accel < 0.2:
        return start + 0.3, 1e3
    easing = min(max(float(seen.accel), 0.4), 1.2)
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
    """Whether a body on `lane` counts as being in the junction: past a stop line there, or on a lane without one that has conflicts."""
    record = roads.lanes[lane]
    if record.stop_s >= 0.0:
        return s + half_length > record.stop_s + ENTERED_M
    return record.cluster >= 0


@kernel
def can_still_stop(state: WorldState, seen: np.record, distance: float) -> bool:
    """Whether another road user would stop within `distance` [m] with comfortable braking, or is already slowing down for it."""
    need = needed_braking(max(float(seen.speed), 0.0), distance)
    return need < COMFORTABLE or (need < HARD and -seen.accel > 0.7 * need)
