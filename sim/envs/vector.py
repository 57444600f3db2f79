"""The vector observation: one float32 row per agent, in its own frame (x forward, y left, origin at the centre of its box).

Blocks, in order: EGO_FIELDS; `neighbours` times `sim.observe.NEIGHBOUR_FIELDS`, nearest first, zero where nobody further is
visible; `path_points` times PATH_FIELDS, every `path_step` metres along the own route, the first one step ahead, past its end
straight on; one factor for each of the styles. SI, float32 throughout. Rows of agents that are not on the road are zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.envs.agents import Agents
from sim.envs.config import EnvConfig
from sim.jit import kernel
from sim.observe import EGO_FIELDS, EGO_SIZE, NEIGHBOUR_SIZE, TO_GOAL_MAX
from sim.roads.pack import Roads
from sim.state import Status, WorldState

PATH_FIELDS = ("x", "y", "left_x", "left_y", "right_x", "right_y")
"""A point of the route and the edges of the road left and right of it."""
PATH_SIZE = len(PATH_FIELDS)
Rows = NDArray[np.float32]

_ACTIVE, _WAITING = int(Status.ACTIVE), int(Status.WAITING)
_LENGTH = EGO_FIELDS.index("length")
_ZERO, _ONE, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)
_FAR = np.float32(TO_GOAL_MAX)


def layout(config: EnvConfig) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Block name -> (first column, shape)."""
    path = EGO_SIZE + config.neighbours * NEIGHBOUR_SIZE
    styles = path + config.path_points * PATH_SIZE
    return {
        "ego": (0, (EGO_SIZE,)),
        "neighbours": (EGO_SIZE, (config.neighbours, NEIGHBOUR_SIZE)),
        "path": (path, (config.path_points, PATH_SIZE)),
        "styles": (styles, (len(config.styles),)),
    }


def size(config: EnvConfig) -> int:
    """Floats in a row."""
    start, (styles,) = layout(config)["styles"]
    return start + styles


@kernel
def _ego(body: np.record, mind: np.record, roads: Roads, row: NDArray[np.float32]) -> None:
    row[0] = body.speed
    row[1] = body.accel
    row[2] = body.steer
    row[3] = body.yaw_rate
    lane = roads.lanes[mind.lane]
    index = min(max(int(mind.s / lane.spacing + 0.5), 0), lane.point_count - 1)
    point = roads.points[lane.point_start + index]
    row[4] = mind.d
    row[5] = body.cos * point.cos + body.sin * point.sin
    row[6] = body.sin * point.cos - body.cos * point.sin
    row[7] = point.speed_limit
    row[8] = min(max(mind.to_goal, _ZERO), _FAR)
    row[9] = body.length
    row[10] = body.width
    row[11] = point.room_left - mind.d
    row[12] = point.room_right + mind.d


@kernel
def _neighbours(state: WorldState, w: int, a: int, row: NDArray[np.float32], most: int) -> None:
    bodies = state.bodies
    body = bodies[w, a]
    x, y, cos, sin, vx, vy = body.x, body.y, body.cos, body.sin, body.vx, body.vy
    column = EGO_SIZE
    end = EGO_SIZE + most * NEIGHBOUR_SIZE
    for k in range(state.neighbours[w, a, 0]):
        if column == end:
            break
        other = bodies[w, state.neighbours[w, a, 1 + k]]
        if state.visible[w, a, k] == 0 or other.status != _ACTIVE:
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
    # a row is written again and again: blocks that were filled the last time must go
    while column < end and row[column] != _ZERO:
        for m in range(NEIGHBOUR_SIZE):
            row[column + m] = _ZERO
        column += NEIGHBOUR_SIZE


@kernel
def _path(
    body: np.record, mind: np.record, roads: Roads, row: NDArray[np.float32], column: int, points: int, step: np.float32
) -> None:
    x, y, cos, sin = body.x, body.y, body.cos, body.sin
    route = roads.routes[mind.route]
    base = route.table_start - route.lane_base
    current = mind.lane
    s = np.float32(mind.s) + step
    per_step = _ONE / step
    left = points
    while left > 0:
        lane = roads.lanes[current]
        following = roads.route_steps[base + current].next
        length = np.float32(lane.length)
        spacing = np.float32(lane.spacing)
        inverse = _ONE / spacing
        last = lane.point_count - 1
        count = left if following < 0 else min(max(int((length - s) * per_step + _ONE), 0), left)
        for _ in range(count):
            index = min(max(int(s * inverse + _HALF), 0), last)
            point = roads.points[lane.point_start + index]
            beyond = s - np.float32(index) * spacing
            along_x = point.cos * cos + point.sin * sin
            along_y = point.sin * cos - point.cos * sin
            dx = np.float32(point.x - x)
            dy = np.float32(point.y - y)
            ahead = dx * cos + dy * sin + beyond * along_x
            aside = dy * cos - dx * sin + beyond * along_y
            row[column] = ahead
            row[column + 1] = aside
            row[column + 2] = ahead - point.room_left * along_y
            row[column + 3] = aside + point.room_left * along_x
            row[column + 4] = ahead + point.room_right * along_y
            row[column + 5] = aside - point.room_right * along_x
            column += PATH_SIZE
            s += step
        left -= count
        s -= length
        current = following


@kernel
def observe_agents(
    state: WorldState, roads: Roads, agents: Agents, w: int, out: Rows, neighbours: int, points: int, step: np.float32
) -> None:
    """Write `out[w, k, :]` (W, K, size) for every agent of world w that takes part; the rows of others are zeroed once."""
    styles = agents.factors.shape[2]
    path = EGO_SIZE + neighbours * NEIGHBOUR_SIZE
    for k in range(agents.agents.shape[1]):
        agent = agents.agents[w, k]
        row = out[w, k]
        if not agent.present or state.bodies[w, agent.slot].status == _WAITING:
            if row[_LENGTH] != _ZERO:
                row[:] = _ZERO
            continue
        body = state.bodies[w, agent.slot]
        mind = state.minds[w, agent.slot]
        _ego(body, mind, roads, row)
        _neighbours(state, w, agent.slot, row, neighbours)
        _path(body, mind, roads, row, path, points, step)
        for m in range(styles):
            row[path + points * PATH_SIZE + m] = agents.factors[w, k, m]
