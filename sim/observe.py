"""What a learned policy is given of each agent: one flat float32 row per slot, in the agent's own frame.

Ego frame: x forward, y left, origin at the centre of the box. SI, float32 throughout; directions come as cosine and sine, so
nothing here needs trigonometry. `LAYOUT` names every block; a neighbour block is all zero where nobody further is visible.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim.jit import kernel
from sim.roads.pack import Roads
from sim.scenario import Model
from sim.state import Status, WorldState

EGO_FIELDS = (
    "speed", "accel", "steer", "yaw_rate", "d", "heading_error_cos", "heading_error_sin", "speed_limit", "to_goal",
    "length", "width", "room_left", "room_right",
)  # fmt: skip
"""Heading error: heading minus the lane's. room: distance [m] from the box centre to the drivable edge.
to_goal: at most TO_GOAL_MAX."""
NEIGHBOUR_FIELDS = ("valid", "x", "y", "cos", "sin", "vx", "vy", "length", "width", "kind")
"""Position, heading and velocity relative to ego, in its frame; kind is a `sim.interface.Kind`."""
NEIGHBOURS_SEEN = 7
ROUTE_POINTS = 20
ROUTE_STEP = 3.0
"""Metres between route points, the first one step ahead; past the end of the route the last lane is drawn on straight."""
TO_GOAL_MAX = 200.0

EGO_SIZE = len(EGO_FIELDS)
NEIGHBOUR_SIZE = len(NEIGHBOUR_FIELDS)
ROUTE_START = EGO_SIZE + NEIGHBOURS_SEEN * NEIGHBOUR_SIZE
SIZE = ROUTE_START + 2 * ROUTE_POINTS

LAYOUT: Mapping[str, tuple[int, tuple[int, ...]]] = {
    "ego": (0, (EGO_SIZE,)),
    "neighbours": (EGO_SIZE, (NEIGHBOURS_SEEN, NEIGHBOUR_SIZE)),
    "route": (ROUTE_START, (ROUTE_POINTS, 2)),
}
"""Block name -> (first column, shape)."""

_ACTIVE = int(Status.ACTIVE)
_STILL = int(Model.STILL)
_LENGTH = EGO_FIELDS.index("length")
_ZERO, _ONE, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)
_STEP = np.float32(ROUTE_STEP)
_FAR = np.float32(TO_GOAL_MAX)


def block(observation: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """View (..., *shape) of one named block of observations (..., SIZE)."""
    start, shape = LAYOUT[name]
    size = int(np.prod(shape))
    return observation[..., start : start + size].reshape(*observation.shape[:-1], *shape)


@kernel
def _observe_ego(state: WorldState, roads: Roads, w: int, a: int, row: NDArray[np.float32]) -> None:
    """Fill the ego block of one agent's row."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    row[0] = body.speed
    row[1] = body.accel
    row[2] = body.steer
    row[3] = body.yaw_rate
    row[9] = body.length
    row[10] = body.width
    if mind.route < 0:
        row[5] = _ONE
        return
    lane = roads.lanes[mind.lane]
    index = min(max(int(mind.s / lane.spacing + 0.5), 0), lane.point_count - 1)
    point = roads.points[lane.point_start + index]
    row[4] = mind.d
    row[5] = body.cos * point.cos + body.sin * point.sin
    row[6] = body.sin * point.cos - body.cos * point.sin
    row[7] = point.speed_limit
    row[8] = min(max(mind.to_goal, _ZERO), _FAR)
    row[11] = point.room_left - mind.d
    row[12] = point.room_right + mind.d


@kernel
def _observe_neighbours(state: WorldState, w: int, a: int, row: NDArray[np.float32]) -> None:
    """Fill the neighbour blocks of one agent's row with the first visible entries of its list."""
    body = state.bodies[w, a]
    listed = state.neighbours[w, a]
    visible = state.visible[w, a]
    x, y, cos, sin, vx, vy = body.x, body.y, body.cos, body.sin, body.vx, body.vy
    column = EGO_SIZE
    for k in range(listed[0]):
        if visible[k] == 0:
            continue
        other = state.bodies[w, listed[1 + k]]
        if other.status != _ACTIVE:
            continue
        dx = np.float32(other.x - x)
        dy = np.float32(other.y - y)
        dvx = other.vx - vx
        dvy = other.vy - vy
        row[column] = _ONE
        row[column + 1] = dx * cos + dy * sin
        row[column + 2] = dy * cos - dx * sin
        row[column + 3] = other.cos * cos + other.sin * sin
        row[column + 4] = other.sin * cos - other.cos * sin
        row[column + 5] = dvx * cos + dvy * sin
        row[column + 6] = dvy * cos - dvx * sin
        row[column + 7] = other.length
        row[column + 8] = other.width
        row[column + 9] = other.kind
        column += NEIGHBOUR_SIZE
        if column == ROUTE_START:
            break
    # a row is written again and again: blocks that were filled the last time must go
    while column < ROUTE_START and row[column] != _ZERO:
        row[column : column + NEIGHBOUR_SIZE] = _ZERO
        column += NEIGHBOUR_SIZE


@kernel
def _observe_route(state: WorldState, roads: Roads, w: int, a: int, row: NDArray[np.float32]) -> None:
    """Fill the points ahead on the agent's own route; each costs one index step along uniformly sampled lanes."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    x, y, cos, sin = body.x, body.y, body.cos, body.sin
    route = roads.routes[mind.route]
    base = route.table_start - route.lane_base
    current = mind.lane
    points = roads.points
    s = np.float32(mind.s)
    column = ROUTE_START
    while column < SIZE:
        lane = roads.lanes[current]
        following = roads.route_steps[base + current].next
        length = np.float32(lane.length)
        spacing = np.float32(lane.spacing)
        inverse = _ONE / spacing
        start = lane.point_start
        last = lane.point_count - 1
        s += _STEP
        while column < SIZE and (s <= length or following < 0):
            index = min(max(int(s * inverse + _HALF), 0), last)
            point = points[start + index]
            beyond = s - np.float32(index) * spacing
            dx = np.float32(point.x - x) + beyond * point.cos
            dy = np.float32(point.y - y) + beyond * point.sin
            row[column] = dx * cos + dy * sin
            row[column + 1] = dy * cos - dx * sin
            column += 2
            s += _STEP
        s -= _STEP + length
        current = following


@kernel
def observe_world(state: WorldState, roads: Roads, w: int, out: NDArray[np.float32]) -> None:
    """Write `out[w, a, :]` (W, A, SIZE) for every active slot of world `w` that may move; see `LAYOUT`.

    Rows of other slots are zeroed once; `out` must be all zero before the first call.
    """
    for a in range(state.worlds[w].actors):
        body = state.bodies[w, a]
        row = out[w, a]
        if body.status != _ACTIVE or body.model == _STILL:
            if row[_LENGTH] != _ZERO:
                row[:] = _ZERO
            continue
        _observe_ego(state, roads, w, a, row)
        _observe_neighbours(state, w, a, row)
        if state.minds[w, a].route >= 0:
            _observe_route(state, roads, w, a, row)
