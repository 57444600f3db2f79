"""Where bodies are on the map: along their own route (hidden), and as anybody can judge it from the pose alone (public).

A local Newton step, from where its speed would have taken the body along the lane, replaces a global search; lanes are uniformly
sampled, so the nearest sample is an index computation.
"""

from __future__ import annotations

import numpy as np

from sim.interface import TICK_S
from sim.jit import kernel
from sim.roads.pack import Roads
from sim.state import HYPOTHESES, WorldState

MERGE_S = 0.5  # m, two hypotheses on one lane closer than this are one
WORSE_BY = 0.9  # m, a hypothesis this much further off its centreline than the best is dropped
ON_LANE_M = 2.5  # m off a centreline within which a body that is looked for may be on that lane
FACING = 0.7  # cosine, likewise
BEYOND_M = 0.5  # m past either end of the lane, likewise
LEVEL_M = 3.0  # m of height, likewise
LOST_M = 2.0  # m off the best hypothesis from where on a body is looked for anew, every
LOOKED_FOR = 5  # ticks
COARSE_M = 4.0  # m between the points at which a lane is tried first
TURNED = 0.65  # cosine: a body turned more than ~50 degrees from a lane is not driving on it


@kernel
def project(roads: Roads, lane: int, s: float, x: float, y: float) -> tuple[float, float]:
    """(s, d) [m] of a point relative to `lane`, searched locally from `s`; extends the lane straight beyond its ends."""
    record = roads.lanes[lane]
    last = record.point_count - 1
    spacing = record.spacing
    start = record.point_start
    along = s
    across = 0.0
    for _ in range(3):
        index = int(along / spacing + 0.5)
        index = min(max(index, 0), last)
        point = roads.points[start + index]
        dx = x - point.x
        dy = y - point.y
        across = dy * point.cos - dx * point.sin
        step = (dx * point.cos + dy * point.sin) / max(1.0 - point.curvature * across, 0.3)
        before = along
        along = index * spacing + step
        if abs(along - before) < 0.6 * spacing:
            break
    return along, across


@kernel
def follow_route(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Update a lane-bound actor's own lane, s, d and distance to its goal."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    route = roads.routes[mind.route]
    lane = mind.lane
    s, d = project(roads, lane, mind.s + TICK_S * body.speed, body.x, body.y)
    for _ in range(8):
        length = roads.lanes[lane].length
        if s <= length:
            break
        following = roads.route_steps[route.table_start + lane - route.lane_base].next
        if following < 0:
            break
        lane = following
        s, d = project(roads, lane, s - length, body.x, body.y)
    mind.lane = lane
    mind.s = s
    mind.d = d
    record = roads.lanes[lane]
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    body.z = roads.points[record.point_start + index].z
    to_goal = roads.route_steps[route.table_start + lane - route.lane_base].to_goal
    mind.to_goal = to_goal - s


@kernel
def _lateral(roads: Roads, lane: int, s: float, x: float, y: float, cos: float, sin: float) -> float:
    """Distance [m] off the centreline plus a penalty for facing away from it; ranks hypotheses."""
    record = roads.lanes[lane]
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    across = abs((y - point.y) * point.cos - (x - point.x) * point.sin)
    facing = point.cos * cos + point.sin * sin
    rank: float = across + 2.5 * (1.0 - facing) + (10.0 if facing < TURNED else 0.0)
    return rank


@kernel
def _best_rank(roads: Roads, body: np.record) -> float:
    """Rank of the best hypothesis."""
    best = 1e9
    for k in range(body.hypothesis_count):
        best = min(
            best, _lateral(roads, body.hypothesis_lane[k], body.hypothesis_s[k], body.x, body.y, float(body.cos), float(body.sin))
        )
    return best


@kernel
def _expand(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Move hypotheses along, replacing those past their lane's end by every lane that follows."""
    body = state.bodies[w, a]
    lanes = body.hypothesis_lane
    places = body.hypothesis_s
    k = 0
    while k < body.hypothesis_count:
        lane = lanes[k]
        s, d = project(roads, lane, places[k] + TICK_S * body.speed, body.x, body.y)
        record = roads.lanes[lane]
        index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
        half = roads.points[record.point_start + index].half_width
        if d > half and record.left >= 0:
            lanes[k] = record.left
        elif d < -half and record.right >= 0:
            lanes[k] = record.right
        elif s > record.length and record.successor_count > 0:
            lanes[k] = roads.successors[record.successor_start]
            s -= record.length
            for extra in range(1, record.successor_count):
                if body.hypothesis_count < HYPOTHESES:
                    lanes[body.hypothesis_count] = roads.successors[record.successor_start + extra]
                    places[body.hypothesis_count] = s
                    body.hypothesis_count += 1
        places[k] = s
        k += 1


@kernel
def _add(roads: Roads, body: np.record, lane: int, s: float) -> None:
    """Add a hypothesis, where there is no room for it in the place of the worst."""
    place = int(body.hypothesis_count)
    if place == HYPOTHESES:
        worst = _lateral(roads, lane, s, body.x, body.y, float(body.cos), float(body.sin))
        for k in range(HYPOTHESES):
            rank = _lateral(
                roads, body.hypothesis_lane[k], body.hypothesis_s[k], body.x, body.y, float(body.cos), float(body.sin)
            )
            if rank > worst:
                worst, place = rank, k
        if place == HYPOTHESES:
            return
    else:
        body.hypothesis_count += 1
    body.hypothesis_lane[place] = lane
    body.hypothesis_s[place] = s


@kernel
def acquire(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Add every lane of the map that the body may be on: within ON_LANE_M of it and facing along it."""
    body = state.bodies[w, a]
    for k in range(state.worlds[w].lane_start, state.worlds[w].lane_end):
        lane = roads.lanes[k]
        stride = max(int(COARSE_M / lane.spacing), 1)
        near = ON_LANE_M + stride * lane.spacing
        nearest = near * near
        place = -1
        for m in range(0, lane.point_count + stride - 1, stride):
            n = min(m, lane.point_count - 1)
            point = roads.points[lane.point_start + n]
            dx = body.x - point.x
            dy = body.y - point.y
            if dx * dx + dy * dy < nearest and abs(body.z - point.z) < LEVEL_M:
                nearest = dx * dx + dy * dy
                place = n
        if place < 0:
            continue
        s, d = project(roads, k, place * lane.spacing, body.x, body.y)
        point = roads.points[lane.point_start + min(max(int(s / lane.spacing + 0.5), 0), lane.point_count - 1)]
        on = abs(d) < ON_LANE_M and -BEYOND_M < s < lane.length + BEYOND_M
        if on and point.cos * body.cos + point.sin * body.sin > FACING:
            _add(roads, body, k, s)


@kernel
def judge_lanes(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Update the public lane hypotheses of a body from its pose alone."""
    _expand(state, roads, w, a)
    body = state.bodies[w, a]
    best = _best_rank(roads, body)
    if best > LOST_M and (state.worlds[w].tick + a) % LOOKED_FOR == 0:
        acquire(state, roads, w, a)
        best = _best_rank(roads, body)
    count = body.hypothesis_count
    if count <= 1:
        return
    lanes = body.hypothesis_lane
    places = body.hypothesis_s
    kept = 0
    for k in range(count):
        doubled = False
        for m in range(kept):
            doubled = doubled or (lanes[m] == lanes[k] and abs(places[m] - places[k]) < MERGE_S)
        if not doubled and _lateral(roads, lanes[k], places[k], body.x, body.y, body.cos, body.sin) <= best + WORSE_BY:
            lanes[kept] = lanes[k]
            places[kept] = places[k]
            kept += 1
    body.hypothesis_count = kept
