"""Two that stand nose to nose where only one fits: the one with the shorter way back to a wider place reverses.

Both judge from what both can see: positions, widths, the road. Where that leaves them waiting (one has somebody behind whom the
other cannot see), whoever has room behind backs off when its patience is over.
"""

from __future__ import annotations

import numpy as np

from sim.jit import kernel
from sim.roads.pack import OFF_ROUTE, Roads
from sim.state import HISTORY, WorldState
from sim.traffic.plan import CONTACT, FAR, stop_at

ACTIVE = 1
STANDING = 0.3  # m/s
STANDOFF_TICKS = 20
NOSE_TO_NOSE = 16.0  # m between the fronts at most
LONGEST_WAY = 80.0  # m looked for a wider place
SPARE = 0.8  # m of width that two need besides their own
FACE_GAP = 1.5  # m kept on one's own side of the middle
CLEAR = 2.5  # m further back than needed
BEHIND_GAP = 1.5  # m kept to whoever is behind
HAZARD = 3


@kernel
def _wide_from(roads: Roads, lane: int, s: float, forward: bool, need: float) -> float:
    """Distance [m] from `s` along the road, ahead or back, to where it is `need` wide; FAR where it is not within LONGEST_WAY."""
    way = 0.0
    for _ in range(8):
        record = roads.lanes[lane]
        last = int(record.point_count) - 1
        index = min(max(int(s / record.spacing + 0.5), 0), last)
        while 0 <= index <= last:
            point = roads.points[record.point_start + index]
            if point.room_left + point.room_right >= need:
                return way
            way += float(record.spacing)
            if way > LONGEST_WAY:
                return FAR
            index += 1 if forward else -1
        if forward:
            if record.successor_count == 0:
                return FAR
            lane = int(roads.successors[record.successor_start])
            s = 0.0
        else:
            if record.predecessor_count == 0:
                return FAR
            lane = int(roads.predecessors[record.predecessor_start])
            s = float(roads.lanes[lane].length)
    return FAR


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
def face(mind: np.record, body: np.record, seen: np.record, room: float, b: int) -> None:
    """Both are in where only one fits, `room` [m] apart: stop on the own half of it."""
    share = 0.5
    total = abs(body.speed) + abs(seen.speed)
    if total > 1.0:
        share = min(max(abs(body.speed) / total, 0.3), 0.7)
    stop_at(mind, max(share * room - FACE_GAP, 0.0), CONTACT, b)


@kernel
def settle_head_on(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Begin to reverse out of a standoff where it is this driver's turn; stop reversing where somebody comes from behind."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    tick = int(state.worlds[w].tick)
    if mind.reverse_until > 0.0:
        _step_back(roads, mind)
        mind.reverse_until = min(float(mind.reverse_until), max(_room_behind(state, w, a), 0.0))
        return
    if body.speed > STANDING or body.standing_since < 0 or tick - body.standing_since < STANDOFF_TICKS:
        return
    past = min(int(mind.response_ticks), tick)
    for n in range(state.neighbours[w, a, 0]):
        b = int(state.neighbours[w, a, 1 + n])
        seen = state.history[w, (tick - past) % HISTORY, b]
        if state.visible[w, a, n] == 0 or seen.status != ACTIVE or seen.indicator == HAZARD:
            continue
        if (
            seen.standing_since < 0
            or tick - seen.standing_since < STANDOFF_TICKS
            or seen.cos * body.cos + seen.sin * body.sin > -0.7
        ):
            continue
        other = state.bodies[w, b]
        dx = seen.x - body.x
        dy = seen.y - body.y
        ahead = float(dx * body.cos + dy * body.sin)
        across = float(dy * body.cos - dx * body.sin)
        gap = ahead - 0.5 * (body.length + other.length)
        if ahead < 0.0 or gap > NOSE_TO_NOSE or abs(across) > 0.5 * (body.width + other.width) + 0.3:
            continue
        need = float(body.width + other.width) + SPARE
        # how far each front has to go back for the whole of it to be where there is room for both
        mine = _wide_from(roads, int(mind.lane), float(mind.s) + 0.5 * float(body.length), False, need)
        theirs = _wide_from(roads, int(mind.lane), float(mind.s) + ahead - 0.5 * float(other.length), True, need)
        if mine <= 0.0 or theirs <= 0.0 or mine >= FAR:
            continue
        stood = tick - max(int(body.standing_since), int(seen.standing_since))
        turn = mine < theirs - 0.5 or (mine < theirs + 0.5 and (body.x < seen.x or (body.x == seen.x and body.y < seen.y)))
        if not turn and stood < STANDOFF_TICKS + int(40.0 + 20.0 * mind.patience_s):
            continue
        way = min(mine + CLEAR, _room_behind(state, w, a))
        if way >= min(mine, 2.0):
            mind.reverse_until = way
        return
