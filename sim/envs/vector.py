"""The vector observation: one float32 row per agent, in its own frame (x forward, y left, origin at the centre of its box).

Blocks, in order: EGO_FIELDS; RULE_FIELDS; `neighbours` times NEIGHBOUR_FIELDS, nearest first, zero where nobody further is
visible; `path_points` times PATH_FIELDS, every `path_step` metres along the own route (to the nearest sample of the map, which
are half a metre apart), the first one step ahead, past its end straight on; one factor for each of the styles. SI, float32
throughout. Rows of agents that are not on the road are zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.envs.agents import Agents
from sim.envs.config import EnvConfig
from sim.interface import Indicator
from sim.jit import kernel
from sim.observe import EGO_SIZE, TO_GOAL_MAX
from sim.observe import NEIGHBOUR_FIELDS as SEEN_FIELDS
from sim.roads.lane_map import Regulation
from sim.roads.pack import Roads
from sim.roads.signals import signal_colour
from sim.state import Status, WorldState

RULE_FIELDS = ("line", "stop", "all_way", "yield", "signal", "colour", "waited")
"""What rules say of the way ahead. line: distance [m] from the front to the next stop line on the route, at most LINE_MAX; then
which kind of control it has, one of them 1; colour: of its signal, a `sim.interface.Colour`. waited: time [s] since it came to
the line, up to WAITED_MAX and on until the junction lies behind."""
NEIGHBOUR_FIELDS = (*SEEN_FIELDS, "left", "right", "waited")
"""`sim.observe`'s, whether the indicator shows left or right, and `waited` as in RULE_FIELDS: who has more of it came first."""
RULES_SIZE = len(RULE_FIELDS)
NEIGHBOUR_SIZE = len(NEIGHBOUR_FIELDS)
NEIGHBOURS_START = EGO_SIZE + RULES_SIZE
LINE_MAX, WAITED_MAX = 100.0, 20.0

PATH_FIELDS = ("x", "y", "left_x", "left_y", "right_x", "right_y")
"""A point of the route and the edges of the road left and right of it."""
PATH_SIZE = len(PATH_FIELDS)
Rows = NDArray[np.float32]

_ACTIVE, _WAITING = int(Status.ACTIVE), int(Status.WAITING)
_STOP, _ALL_WAY, _YIELD = int(Regulation.STOP), int(Regulation.ALL_WAY_STOP), int(Regulation.YIELD)
_LEFT, _RIGHT = int(Indicator.LEFT), int(Indicator.RIGHT)
PASSED_M = 1.0  # m that a front may be over a line which is still ahead
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_FAR = np.float32(TO_GOAL_MAX)


def layout(config: EnvConfig) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Block name -> (first column, shape)."""
    path = NEIGHBOURS_START + config.neighbours * NEIGHBOUR_SIZE
    styles = path + config.path_points * PATH_SIZE
    return {
        "ego": (0, (EGO_SIZE,)),
        "rules": (EGO_SIZE, (RULES_SIZE,)),
        "neighbours": (NEIGHBOURS_START, (config.neighbours, NEIGHBOUR_SIZE)),
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
def _waited(body: np.record, tick: int) -> float:
    """Seconds since a body came to its stop line; 0 where there was none."""
    if body.arrived_tick < 0:
        return 0.0
    return min(0.1 * float(tick - body.arrived_tick + 1), WAITED_MAX)


@kernel
def _rules(body: np.record, mind: np.record, roads: Roads, tick: int, row: NDArray[np.float32]) -> None:
    route = roads.routes[mind.route]
    base = route.table_start - route.lane_base
    current = int(mind.lane)
    before = -float(mind.s) - 0.5 * float(body.length)
    line, regulation, signal = LINE_MAX, 0, -1
    while before < LINE_MAX and current >= 0:
        lane = roads.lanes[current]
        following = int(roads.route_steps[base + current].next)
        ahead = before + float(lane.stop_s)
        if lane.stop_s >= 0.0 and ahead > -PASSED_M:
            through = lane if following < 0 or roads.lanes[following].regulation == 0 else roads.lanes[following]
            line, regulation, signal = min(ahead, LINE_MAX), int(through.regulation), int(through.signal)
            break
        before += float(lane.length)
        current = following
    row[EGO_SIZE] = line
    row[EGO_SIZE + 1] = 1.0 if regulation == _STOP else 0.0
    row[EGO_SIZE + 2] = 1.0 if regulation == _ALL_WAY else 0.0
    row[EGO_SIZE + 3] = 1.0 if regulation == _YIELD else 0.0
    row[EGO_SIZE + 4] = 1.0 if signal >= 0 else 0.0
    row[EGO_SIZE + 5] = signal_colour(roads, signal, tick) if signal >= 0 else 0.0
    row[EGO_SIZE + 6] = _waited(body, tick)


@kernel
def _neighbours(state: WorldState, w: int, a: int, row: NDArray[np.float32], most: int) -> None:
    bodies = state.bodies
    tick = state.worlds[w].tick
    body = bodies[w, a]
    x, y, cos, sin, vx, vy = body.x, body.y, body.cos, body.sin, body.vx, body.vy
    column = NEIGHBOURS_START
    end = NEIGHBOURS_START + most * NEIGHBOUR_SIZE
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
        row[column + 10] = 1.0 if other.indicator == _LEFT else 0.0
        row[column + 11] = 1.0 if other.indicator == _RIGHT else 0.0
        row[column + 12] = _waited(other, tick)
        column += NEIGHBOUR_SIZE
    row[column:end] = _ZERO


@kernel
def _lane_ahead(body: np.record, edges: Rows, row: NDArray[np.float32], column: int, first: int, stride: int, count: int) -> None:
    """Turn `count` samples of a lane, every `stride`-th from `first` on, into the frame of the body."""
    x, y = np.float32(body.x), np.float32(body.y)
    cos, sin = body.cos, body.sin
    target = row[column : column + PATH_SIZE * count]
    if stride == 1:
        # all that follows lies side by side, so that several numbers are worked out at a time
        source = edges[PATH_SIZE * first : PATH_SIZE * (first + count)]
        for n in range(count * PATH_SIZE // 2):
            dx = source[2 * n] - x
            dy = source[2 * n + 1] - y
            target[2 * n] = dx * cos + dy * sin
            target[2 * n + 1] = dy * cos - dx * sin
        return
    for n in range(count):
        source = edges[PATH_SIZE * (first + n * stride) : PATH_SIZE * (first + n * stride + 1)]
        for pair in range(0, PATH_SIZE, 2):
            dx = source[pair] - x
            dy = source[pair + 1] - y
            target[PATH_SIZE * n + pair] = dx * cos + dy * sin
            target[PATH_SIZE * n + pair + 1] = dy * cos - dx * sin


@kernel
def _straight_on(
    body: np.record, point: np.record, edges: Rows, row: NDArray[np.float32], column: int, last: int, beyond: float, step: float,
    count: int,
) -> None:  # fmt: skip
    """`count` points past the last sample of the route, which lies `beyond` before the first of them."""
    x, y = np.float32(body.x), np.float32(body.y)
    cos, sin = body.cos, body.sin
    source = edges[PATH_SIZE * last : PATH_SIZE * (last + 1)]
    for n in range(count):
        further = np.float32(beyond + n * step)
        place = column + PATH_SIZE * n
        for pair in range(0, PATH_SIZE, 2):
            dx = source[pair] + further * point.cos - x
            dy = source[pair + 1] + further * point.sin - y
            row[place + pair] = dx * cos + dy * sin
            row[place + pair + 1] = dy * cos - dx * sin


@kernel
def _path(
    body: np.record, mind: np.record, roads: Roads, edges: Rows, row: NDArray[np.float32], column: int, points: int, step: float
) -> None:
    route = roads.routes[mind.route]
    base = route.table_start - route.lane_base
    current = mind.lane
    s = mind.s + step
    left = points
    while left > 0:
        lane = roads.lanes[current]
        following = roads.route_steps[base + current].next
        last = lane.point_count - 1
        first = max(int(s / lane.spacing + 0.5), 0)
        stride = max(int(step / lane.spacing + 0.5), 1)
        count = min(max((last - first + stride) // stride, 0), left)
        _lane_ahead(body, edges, row, column, lane.point_start + first, stride, count)
        column += PATH_SIZE * count
        left -= count
        s = (first + count * stride) * lane.spacing - lane.length
        if following < 0:
            end = lane.point_start + last
            _straight_on(body, roads.points[end], edges, row, column, end, s, stride * lane.spacing, left)
            return
        current = following


def make_edges(roads: Roads) -> Rows:
    """(P * 6,) PATH_FIELDS of every centreline sample in the world's frame, one sample after the other."""
    points = roads.points
    cos, sin = points["cos"].astype(np.float64), points["sin"].astype(np.float64)
    columns = [points["x"], points["y"]]
    for room in (points["room_left"].astype(np.float64), -points["room_right"].astype(np.float64)):
        columns += [points["x"] - room * sin, points["y"] + room * cos]
    return np.stack(columns, axis=1).astype(np.float32).ravel()


@kernel
def observe_agents(
    state: WorldState, roads: Roads, agents: Agents, w: int, out: Rows, edges: Rows, neighbours: int, points: int, step: float
) -> None:
    """Write `out[w, k, :]` (W, K, size) for every agent of world w that takes part; the rows of others are zeroed.

    edges: see `make_edges`.
    """
    styles = agents.factors.shape[2]
    path = NEIGHBOURS_START + neighbours * NEIGHBOUR_SIZE
    for k in range(agents.agents.shape[1]):
        agent = agents.agents[w, k]
        row = out[w, k]
        if not agent.present or state.bodies[w, agent.slot].status == _WAITING:
            row[:] = _ZERO
            continue
        body = state.bodies[w, agent.slot]
        mind = state.minds[w, agent.slot]
        _ego(body, mind, roads, row)
        _rules(body, mind, roads, int(state.worlds[w].tick), row)
        _neighbours(state, w, agent.slot, row, neighbours)
        _path(body, mind, roads, edges, row, path, points, step)
        for m in range(styles):
            row[path + points * PATH_SIZE + m] = agents.factors[w, k, m]
