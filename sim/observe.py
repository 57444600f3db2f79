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

Rows = NDArray[np.float32]

_ACTIVE = int(Status.ACTIVE)
_STILL = int(Model.STILL)
_LENGTH = EGO_FIELDS.index("length")
_ZERO, _ONE, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)
_STEP, _PER_STEP = np.float32(ROUTE_STEP), np.float32(1.0 / ROUTE_STEP)
_FAR = np.float32(TO_GOAL_MAX)


def block(observation: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """View (..., *shape) of one named block of observations (..., SIZE)."""
    start, shape = LAYOUT[name]
    size = int(np.prod(shape))
    return observation[..., start : start + size].reshape(*observation.shape[:-1], *shape)


@kernel
def _observe_egos(state: WorldState, roads: Roads, w: int, out: Rows) -> None:
    """Fill the ego blocks of a world; zero the rows of slots that have just left."""
    bodies, minds, lanes, points = state.bodies, state.minds, roads.lanes, roads.points
    for a in range(state.worlds[w].actors):
        body = bodies[w, a]
        mind = minds[w, a]
        if body.status != _ACTIVE or body.model == _STILL:
            if out[w, a, _LENGTH] != _ZERO:
                out[w, a, :] = _ZERO
            continue
        out[w, a, 0] = body.speed
        out[w, a, 1] = body.accel
        out[w, a, 2] = body.steer
        out[w, a, 3] = body.yaw_rate
        out[w, a, 9] = body.length
        out[w, a, 10] = body.width
        if mind.route < 0:
            out[w, a, 5] = _ONE
            continue
        lane = lanes[mind.lane]
        index = min(max(int(mind.s / lane.spacing + 0.5), 0), lane.point_count - 1)
        point = points[lane.point_start + index]
        out[w, a, 4] = mind.d
        out[w, a, 5] = body.cos * point.cos + body.sin * point.sin
        out[w, a, 6] = body.sin * point.cos - body.cos * point.sin
        out[w, a, 7] = point.speed_limit
        out[w, a, 8] = min(max(mind.to_goal, _ZERO), _FAR)
        out[w, a, 11] = point.room_left - mind.d
        out[w, a, 12] = point.room_right + mind.d


@kernel
def _observe_neighbours(state: WorldState, w: int, out: Rows) -> None:
    """Fill the neighbour blocks of a world with the first visible entries of each agent's list."""
    bodies, neighbours, visible = state.bodies, state.neighbours, state.visible
    for a in range(state.worlds[w].actors):
        body = bodies[w, a]
        if body.status != _ACTIVE or body.model == _STILL:
            continue
        x, y, cos, sin, vx, vy = body.x, body.y, body.cos, body.sin, body.vx, body.vy
        column = EGO_SIZE
        for k in range(neighbours[w, a, 0]):
            other = bodies[w, neighbours[w, a, 1 + k]]
            if visible[w, a, k] == 0 or other.status != _ACTIVE:
                continue
            dx = np.float32(other.x - x)
            dy = np.float32(other.y - y)
            dvx = other.vx - vx
            dvy = other.vy - vy
            out[w, a, column] = _ONE
            out[w, a, column + 1] = dx * cos + dy * sin
            out[w, a, column + 2] = dy * cos - dx * sin
            out[w, a, column + 3] = other.cos * cos + other.sin * sin
            out[w, a, column + 4] = other.sin * cos - other.cos * sin
            out[w, a, column + 5] = dvx * cos + dvy * sin
            out[w, a, column + 6] = dvy * cos - dvx * sin
            out[w, a, column + 7] = other.length
            out[w, a, column + 8] = other.width
            out[w, a, column + 9] = other.kind
            column += NEIGHBOUR_SIZE
            if column == ROUTE_START:
                break
        # a row is written again and again: blocks that were filled the last time must go
        while column < ROUTE_START and out[w, a, column] != _ZERO:
            for k in range(NEIGHBOUR_SIZE):
                out[w, a, column + k] = _ZERO
            column += NEIGHBOUR_SIZE


@kernel
def _observe_routes(state: WorldState, roads: Roads, w: int, out: Rows) -> None:
    """Fill the points ahead on each agent's own route; a point costs one index step along a uniformly sampled lane."""
    bodies, minds = state.bodies, state.minds
    lanes, points, routes, steps = roads.lanes, roads.points, roads.routes, roads.route_steps
    for a in range(state.worlds[w].actors):
        body = bodies[w, a]
        mind = minds[w, a]
        if body.status != _ACTIVE or body.model == _STILL or mind.route < 0:
            continue
        x, y, cos, sin = body.x, body.y, body.cos, body.sin
        base = routes[mind.route].table_start - routes[mind.route].lane_base
        current = mind.lane
        s = np.float32(mind.s) + _STEP
        column = ROUTE_START
        while column < SIZE:
            lane = lanes[current]
            following = steps[base + current].next
            length = np.float32(lane.length)
            spacing = np.float32(lane.spacing)
            inverse = _ONE / spacing
            left = (SIZE - column) // 2
            count = left if following < 0 else min(max(int((length - s) * _PER_STEP + _ONE), 0), left)
            for _ in range(count):
                index = min(max(int(s * inverse + _HALF), 0), lane.point_count - 1)
                point = points[lane.point_start + index]
                beyond = s - np.float32(index) * spacing
                dx = np.float32(point.x - x) + beyond * point.cos
                dy = np.float32(point.y - y) + beyond * point.sin
                out[w, a, column] = dx * cos + dy * sin
                out[w, a, column + 1] = dy * cos - dx * sin
                column += 2
                s += _STEP
            s -= length
            current = following


@kernel
def observe_world(state: WorldState, roads: Roads, w: int, out: Rows) -> None:
    """Write `out[w, a, :]` (W, A, SIZE) for every active slot of world `w` that may move; see `LAYOUT`.

    Rows of other slots are zeroed once; `out` must be all zero before the first call. One pass per block, because taking an
    array out of a tuple counts a reference atomically: once a world, not once an agent.
    """
    _observe_egos(state, roads, w, out)
    _observe_neighbours(state, w, out)
    _observe_routes(state, roads, w, out)
