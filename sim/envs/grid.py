"""The bird's-eye observation: uint8 channels of SIDE x SIDE cells around each agent, its own heading up.

Row 0 is AHEAD_M in front of the centre of its box, the last one behind it; column 0 is on its left. CHANNELS: the drivable area,
the own route, others that it can see, how fast they are, and, over the whole picture, how fast it is itself. Speeds are 0 to 255
for 0 to SPEED_FULL m/s, the rest is 0 or 255.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.envs.agents import Agents
from sim.jit import kernel
from sim.observe import EGO_FIELDS
from sim.roads.lane_map import LaneKind
from sim.roads.pack import Roads
from sim.state import Status, WorldState

CHANNELS = ("road", "route", "others", "speed", "own_speed")
SIDE = 64
CELL = 1.0  # m
AHEAD_M = 48.0
SPEED_FULL = 25.0  # m/s
SHAPE = (len(CHANNELS), SIDE, SIDE)
ROUTE_HALF = 1.0  # m, half width of the drawn route
_FULL = np.uint8(255)
_NONE = np.uint8(0)
_ACTIVE = int(Status.ACTIVE)
_LENGTH = EGO_FIELDS.index("length")
_DRIVING = int(LaneKind.DRIVING)
Picture = NDArray[np.uint8]


@kernel
def paint_roads(roads: Roads, first: int, last: int, x0: float, y0: float, raster: Picture) -> None:
    """Mark the cells of a raster (H, W), whose corner is (x0, y0), within the half width of a driving lane of first..last-1."""
    for n in range(first, last):
        lane = roads.lanes[n]
        if lane.kind != _DRIVING:
            continue
        for m in range(lane.point_start, lane.point_start + lane.point_count):
            point = roads.points[m]
            reach = float(point.half_width)
            for j in range(int(math.floor((point.y - reach - y0) / CELL)), int(math.floor((point.y + reach - y0) / CELL)) + 1):
                for i in range(
                    int(math.floor((point.x - reach - x0) / CELL)), int(math.floor((point.x + reach - x0) / CELL)) + 1
                ):
                    dx = x0 + (i + 0.5) * CELL - point.x
                    dy = y0 + (j + 0.5) * CELL - point.y
                    if dx * dx + dy * dy <= reach * reach:
                        raster[j, i] = _FULL


@kernel
def _box(picture: Picture, channel: int, x: float, y: float, cos: float, sin: float, hx: float, hy: float, value: int) -> None:
    """Fill a box of half sizes hx, hy [m] at (x, y) in the agent's frame, turned by (cos, sin)."""
    reach = math.sqrt(hx * hx + hy * hy)
    for r in range(max(int((AHEAD_M - x - reach) / CELL), 0), min(int((AHEAD_M - x + reach) / CELL) + 1, SIDE)):
        for c in range(
            max(int((0.5 * SIDE * CELL - y - reach) / CELL), 0), min(int((0.5 * SIDE * CELL - y + reach) / CELL) + 1, SIDE)
        ):
            dx = AHEAD_M - (r + 0.5) * CELL - x
            dy = 0.5 * SIDE * CELL - (c + 0.5) * CELL - y
            if abs(dx * cos + dy * sin) <= hx + 0.5 * CELL and abs(dy * cos - dx * sin) <= hy + 0.5 * CELL:
                picture[channel, r, c] = value


@kernel
def _roads(picture: Picture, body: np.record, raster: Picture, x0: float, y0: float) -> None:
    for r in range(SIDE):
        ahead = AHEAD_M - (r + 0.5) * CELL
        for c in range(SIDE):
            aside = 0.5 * SIDE * CELL - (c + 0.5) * CELL
            i = int(math.floor((body.x + ahead * body.cos - aside * body.sin - x0) / CELL))
            j = int(math.floor((body.y + ahead * body.sin + aside * body.cos - y0) / CELL))
            inside = i >= 0 and j >= 0 and i < raster.shape[1] and j < raster.shape[0]
            picture[0, r, c] = raster[j, i] if inside else _NONE


@kernel
def _route(picture: Picture, body: np.record, mind: np.record, roads: Roads) -> None:
    route = roads.routes[mind.route]
    current = mind.lane
    s = float(mind.s)
    for _ in range(int(AHEAD_M / CELL)):
        lane = roads.lanes[current]
        if s > lane.length:
            following = roads.route_steps[route.table_start + current - route.lane_base].next
            if following < 0:
                return
            s -= lane.length
            current = following
            lane = roads.lanes[current]
        point = roads.points[lane.point_start + min(max(int(s / lane.spacing + 0.5), 0), lane.point_count - 1)]
        dx = point.x - body.x
        dy = point.y - body.y
        _box(picture, 1, dx * body.cos + dy * body.sin, dy * body.cos - dx * body.sin, 1.0, 0.0, ROUTE_HALF, ROUTE_HALF, 255)
        s += CELL


@kernel
def _brightness(speed: float) -> int:
    return int(min(abs(speed) / SPEED_FULL, 1.0) * 255.0)


@kernel
def draw_grids(
    state: WorldState, roads: Roads, agents: Agents, first: int, last: int, rows: NDArray[np.float32], out: NDArray[np.uint8],
    raster: Picture, origins: NDArray[np.float64], sizes: NDArray[np.int32],
) -> None:  # fmt: skip
    """Fill out (W * K, *SHAPE) for the agents of worlds first..last-1 whose vector `rows` (W, K, F) are filled.

    raster: those of all maps below each other; origins (M, 2), sizes (M, 3): corner [m], first row, rows and columns of each.
    """
    count = agents.agents.shape[1]
    for w in range(first, last):
        number = state.worlds[w].road_map
        own = raster[sizes[number, 0] : sizes[number, 0] + sizes[number, 1], : sizes[number, 2]]
        for k in range(count):
            agent = agents.agents[w, k]
            picture = out[w * count + k]
            picture[:, :, :] = _NONE
            if rows[w, k, _LENGTH] == np.float32(0.0):
                continue
            body = state.bodies[w, agent.slot]
            _roads(picture, body, own, origins[number, 0], origins[number, 1])
            _route(picture, body, state.minds[w, agent.slot], roads)
            for n in range(state.neighbours[w, agent.slot, 0]):
                other = state.bodies[w, state.neighbours[w, agent.slot, 1 + n]]
                if state.visible[w, agent.slot, n] == 0 or other.status != _ACTIVE:
                    continue
                dx = other.x - body.x
                dy = other.y - body.y
                x = dx * body.cos + dy * body.sin
                y = dy * body.cos - dx * body.sin
                cos = float(other.cos * body.cos + other.sin * body.sin)
                sin = float(other.sin * body.cos - other.cos * body.sin)
                _box(picture, 2, x, y, cos, sin, 0.5 * other.length, 0.5 * other.width, 255)
                _box(picture, 3, x, y, cos, sin, 0.5 * other.length, 0.5 * other.width, _brightness(float(other.speed)))
            picture[4, :, :] = np.uint8(_brightness(float(body.speed)))


def make_rasters(
    roads: Roads, lane_ranges: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.int32]]:
    """(raster, origins, sizes) of `draw_grids` for maps whose lanes are given as ranges of the packed ones."""
    origins, sizes, places = [], [], []
    row = 0
    for first, last in lane_ranges:
        start = int(roads.lanes["point_start"][first])
        end = int(roads.lanes["point_start"][last - 1] + roads.lanes["point_count"][last - 1])
        points = roads.points[start:end]
        margin = float(points["half_width"].max()) + 2.0 * CELL
        x0, y0 = float(points["x"].min()) - margin, float(points["y"].min()) - margin
        rows = int(np.ceil((float(points["y"].max()) + margin - y0) / CELL))
        columns = int(np.ceil((float(points["x"].max()) + margin - x0) / CELL))
        origins.append((x0, y0))
        sizes.append((row, rows, columns))
        places.append((first, last))
        row += rows
    raster = np.zeros((row, max(columns for _, _, columns in sizes)), np.uint8)
    for (first, last), (x0, y0), (top, rows, _) in zip(places, origins, sizes, strict=True):
        paint_roads(roads, first, last, x0, y0, raster[top : top + rows])
    return raster, np.array(origins), np.array(sizes, np.int32)
