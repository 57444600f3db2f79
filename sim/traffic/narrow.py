"""Two that stand nose to nose where only one fits: the one with the shorter way back to a wider place reverses.

Both judge from what both can see: positions, widths, the road. Where that leaves them waiting (one has somebody behind whom the
other cannot see), whoever has room behind backs off when its patience is over.
"""

from __future__ import annotations

import numpy as np

from sim.jit import kernel
from sim.roads.pack import OFF_ROUTE, Roads
from sim.state import HISTORY, WorldState
from sim.traffic.plan import CONTACT, FAR, YIELDING, stop_at

ACTIVE = 1
STANDING = 0.3  # m/s
STANDOFF_TICKS = 20
NOSE_TO_NOSE = 16.0  # m between the fronts at most
FACE_GAP = 1.5  # m kept on one's own side of the middle
CLEAR = 2.5  # m further back than needed
BEHIND_GAP = 1.5  # m kept to whoever is behind


@kernel
def _room_behind(state: WorldState, w: int, a: int) -> float:
    """Free distance [m] straight behind, as far as it is seen."""
    body = state.bodies[w, a]
    tick = int(state.worlds[w].tick)
    free = FAR
    for n in range(state.neighbours[w, a, 0]):
        b = int(state.neighbours[w, a, 1 + n])
        seen = state.history[w, tick % HISTORY, b]
        if state.visible[w, a, n] == 0 or seen.status != ACTIVE:
            continue
        other = state.bodies[w, b]
        dx = seen.x - body.x
        dy = seen.y - body.y
        back = -(dx * body.cos + dy * body.sin)
        if back > 0.0 and abs(dy * body.cos - dx * body.sin) < 0.5 * (body.width + other.width) + 0.4:
            free = min(free, back - 0.5 * (body.length + other.length) - BEHIND_GAP)
    return free


@kernel
def _step_back(roads: Roads, mind: np.record) -> None:
    """Reversing over a lane's start leads onto the lane before it on the route."""
    if mind.s >= 0.0:
        return
    route = roads.routes[mind.route]
    record = roads.lanes[mind.lane]
    for k in range(record.predecessor_start, record.predecessor_start + record.predecessor_count):
        before = int(roads.predecessors[k])
        step = roads.route_steps[route.table_start + before - route.lane_base]
        if step.side != OFF_ROUTE and step.next == mind.lane:
            mind.lane = before
            mind.s += float(roads.lanes[before].length)
            return


@kernel
def face(state: WorldState, w: int, a: int, b: int, seen: np.record, enter: float, other_enter: float, room: float) -> None:
    """Both are in a strip where only one fits: who is not in yet waits; else stop before each other, and one reverses.

    enter, other_enter: distance [m] each centre has left to where it blocks the strip, negative inside. room: way left until
    they touch.
    """
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    if enter > 0.0:
        stop_at(mind, max(enter - 0.8, 0.0), YIELDING, b)
        return
    if other_enter > 0.0:
        return
    share = 0.5
    total = abs(body.speed) + abs(seen.speed)
    if total > 1.0:
        share = min(max(abs(body.speed) / total, 0.3), 0.7)
    stop_at(mind, max(share * room - FACE_GAP, 0.0), CONTACT, b)
    tick = int(state.worlds[w].tick)
    if (
        mind.reverse_until > 0.0
        or abs(body.speed) > STANDING
        or room > NOSE_TO_NOSE
        or body.standing_since < 0
        or seen.standing_since < 0
    ):
        return
    stood = tick - max(int(body.standing_since), int(seen.standing_since))
    turn = enter > other_enter + 0.5 or (
        enter > other_enter - 0.5 and (body.x < seen.x or (body.x == seen.x and body.y < seen.y))
    )
    if stood < STANDOFF_TICKS or (not turn and stood < STANDOFF_TICKS + int(40.0 + 20.0 * mind.patience_s)):
        return
    way = min(CLEAR - enter, _room_behind(state, w, a))
    if way >= min(-enter, 2.0):
        mind.reverse_until = way


@kernel
def keep_reversing(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """While reversing: find the lane behind, and stop where somebody is there."""
    mind = state.minds[w, a]
    if mind.reverse_until > 0.0:
        _step_back(roads, mind)
        mind.reverse_until = min(1.0 * mind.reverse_until, max(_room_behind(state, w, a), 0.0))
