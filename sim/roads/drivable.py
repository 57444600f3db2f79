"""Where a vehicle may be: the union of drivable lanes and polygons as a bitmap, the room beside each centreline, and the
border."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.geometry import Floats
from sim.jit import allocating_kernel, kernel
from sim.roads.lane_map import ROOM_CAP, LaneKind

DRIVABLE = (LaneKind.DRIVING, LaneKind.CYCLE, LaneKind.SHOULDER, LaneKind.PARKING)
CELL = 0.2  # m, side of a bitmap cell; grows on very large maps
CELLS_MAX = 64_000_000
MARGIN = 1.0  # m, free rim around the map
SEAM = 0.03  # m, widening of each lane so that neighbours leave no crack
CAP = 0.4  # m, widening beyond each lane's ends, so that the room at its very end is that just before it
SNAP = 0.3  # m, an edge found this close to the lane's own border is that border


@dataclass(frozen=True, slots=True)
class Bitmap:
    """cells (H, W): 1 where the cell's centre is drivable; x0, y0: corner of cell (0, 0)."""

    cells: NDArray[np.uint8]
    x0: float
    y0: float
    cell: float


@kernel
def _fill_triangle(
    cells: NDArray[np.uint8], ax: float, ay: float, bx: float, by: float, cx: float, cy: float
) -> None:  # in cell units: cell (row, column) has its centre at (column + 0.5, row + 0.5)
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if area == 0.0:
        return
    sign = 1.0 if area > 0.0 else -1.0
    rows, columns = cells.shape
    row_low = max(0, int(math.floor(min(ay, by, cy) - 0.5)))
    row_high = min(rows - 1, int(math.ceil(max(ay, by, cy) - 0.5)))
    column_low = max(0, int(math.floor(min(ax, bx, cx) - 0.5)))
    column_high = min(columns - 1, int(math.ceil(max(ax, bx, cx) - 0.5)))
    for row in range(row_low, row_high + 1):
        y = row + 0.5
        for column in range(column_low, column_high + 1):
            x = column + 0.5
            if (
                sign * ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) >= 0.0
                and sign * ((cx - bx) * (y - by) - (cy - by) * (x - bx)) >= 0.0
                and sign * ((ax - cx) * (y - cy) - (ay - cy) * (x - cx)) >= 0.0
            ):
                cells[row, column] = 1


@kernel
def _fill_lane(cells: NDArray[np.uint8], points: NDArray[np.void], x0: float, y0: float, cell: float) -> None:
    last = len(points) - 2
    for i in range(last + 1):
        p, q = points[i], points[i + 1]
        back, onward = (CAP if i == 0 else 0.0), (CAP if i == last else 0.0)
        px, py = (p["x"] - back * p["cos"] - x0) / cell, (p["y"] - back * p["sin"] - y0) / cell
        qx, qy = (q["x"] + onward * q["cos"] - x0) / cell, (q["y"] + onward * q["sin"] - y0) / cell
        wp, wq = (p["half_width"] + SEAM) / cell, (q["half_width"] + SEAM) / cell
        plx, ply, prx, pry = px - wp * p["sin"], py + wp * p["cos"], px + wp * p["sin"], py - wp * p["cos"]
        qlx, qly, qrx, qry = qx - wq * q["sin"], qy + wq * q["cos"], qx + wq * q["sin"], qy - wq * q["cos"]
        _fill_triangle(cells, plx, ply, prx, pry, qrx, qry)
        _fill_triangle(cells, plx, ply, qrx, qry, qlx, qly)


@allocating_kernel
def _fill_polygon(cells: NDArray[np.uint8], outline: NDArray[np.float64], x0: float, y0: float, cell: float) -> None:
    """Even-odd scan of one outline."""
    rows, columns = cells.shape
    n = len(outline)
    crossings = np.empty(n)
    for row in range(rows):
        y = y0 + (row + 0.5) * cell
        count = 0
        for i in range(n):
            ax, ay = outline[i, 0], outline[i, 1]
            bx, by = outline[(i + 1) % n, 0], outline[(i + 1) % n, 1]
            if (ay > y) != (by > y):
                crossings[count] = ax + (y - ay) / (by - ay) * (bx - ax)
                count += 1
        for i in range(1, count):  # insertion sort: compiling numba's general one takes seconds
            value, k = crossings[i], i
            while k > 0 and crossings[k - 1] > value:
                crossings[k] = crossings[k - 1]
                k -= 1
            crossings[k] = value
        for k in range(0, count - 1, 2):
            first = max(0, int(math.ceil((crossings[k] - x0) / cell - 0.5)))
            last = min(columns - 1, int(math.floor((crossings[k + 1] - x0) / cell - 0.5)))
            for column in range(first, last + 1):
                cells[row, column] = 1


@kernel
def _coverage(cells: NDArray[np.uint8], x: float, y: float) -> float:
    """Bilinear value in [0, 1] at a place in cell units; 0 outside."""
    rows, columns = cells.shape
    u, v = x - 0.5, y - 0.5
    column, row = int(math.floor(u)), int(math.floor(v))
    if row < 0 or column < 0 or row + 1 >= rows or column + 1 >= columns:
        return 0.0
    fu, fv = u - column, v - row
    low = cells[row, column] * (1.0 - fu) + cells[row, column + 1] * fu
    high = cells[row + 1, column] * (1.0 - fu) + cells[row + 1, column + 1] * fu
    return float(low * (1.0 - fv) + high * fv)


@kernel
def _room(cells: NDArray[np.uint8], x: float, y: float, dx: float, dy: float, start: float, cap: float) -> float:
    """Distance in cells from (x, y) along (dx, dy) to where coverage falls below one half; searched from `start` to `cap`."""
    inside = start
    step = 0.5
    while inside < cap:
        ahead = inside + step
        if _coverage(cells, x + ahead * dx, y + ahead * dy) < 0.5:
            for _ in range(4):
                middle = 0.5 * (inside + ahead)
                if _coverage(cells, x + middle * dx, y + middle * dy) < 0.5:
                    ahead = middle
                else:
                    inside = middle
            return 0.5 * (inside + ahead)
        inside = ahead
    return cap


@kernel
def _measure_room(
    cells: NDArray[np.uint8], points: NDArray[np.void], x0: float, y0: float, cell: float, cap: float, snap: float
) -> None:
    for i in range(len(points)):
        p = points[i]
        own = p["half_width"]
        x, y = (p["x"] - x0) / cell, (p["y"] - y0) / cell
        start = max(0.0, own - 0.1) / cell
        left = cell * _room(cells, x, y, -p["sin"], p["cos"], start, cap / cell)
        right = cell * _room(cells, x, y, p["sin"], -p["cos"], start, cap / cell)
        points[i]["room_left"] = own if left < own + snap else min(left, cap)
        points[i]["room_right"] = own if right < own + snap else min(right, cap)


def draw_drivable(lanes: Sequence[NDArray[np.void]], polygons: Sequence[Floats]) -> Bitmap:
    """Bitmap of the union of lanes (each (P,) of POINT_DTYPE) and outlines (K, 2)."""
    corners = [np.stack([p["x"], p["y"]], axis=1) for p in lanes] + [np.asarray(q, dtype=np.float64)[:, :2] for q in polygons]
    if not corners:
        return Bitmap(np.zeros((2, 2), np.uint8), 0.0, 0.0, CELL)
    widest = max((float(p["half_width"].max()) for p in lanes), default=0.0) + MARGIN
    low = np.min([c.min(axis=0) for c in corners], axis=0) - widest
    high = np.max([c.max(axis=0) for c in corners], axis=0) + widest
    cell = max(CELL, math.sqrt(float(np.prod(high - low)) / CELLS_MAX))
    shape = np.ceil((high - low) / cell).astype(int) + 1
    cells = np.zeros((shape[1], shape[0]), np.uint8)
    for points in lanes:
        _fill_lane(cells, points, low[0], low[1], cell)
    for outline in polygons:
        polygon = np.ascontiguousarray(np.asarray(outline, dtype=np.float64)[:, :2])
        first = max(0, int((polygon[:, 1].min() - low[1]) / cell) - 1)
        last = min(len(cells), int((polygon[:, 1].max() - low[1]) / cell) + 2)
        _fill_polygon(cells[first:last], polygon, low[0], low[1] + first * cell, cell)
    return Bitmap(cells, float(low[0]), float(low[1]), cell)


def as_wide_as_room(points: NDArray[np.void], more: float = 0.0) -> NDArray[np.void]:
    """A lane that reaches from drivable edge to drivable edge, and by `more` [m] beyond either: so junctions come out whole,
    whatever was between their lanes."""
    wide = points.copy()
    aside = 0.5 * (points["room_left"].astype(np.float64) - points["room_right"])
    wide["x"] -= aside * points["sin"]
    wide["y"] += aside * points["cos"]
    wide["half_width"] = 0.5 * (points["room_left"] + points["room_right"]) + more
    return wide


def measure_room(bitmap: Bitmap, points: NDArray[np.void]) -> None:
    """Fill room_left and room_right of `points` in place; a lane's own half width is always inside."""
    _measure_room(bitmap.cells, points, bitmap.x0, bitmap.y0, bitmap.cell, ROOM_CAP, SNAP)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open index ranges of consecutive True, at least two long."""
    change = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(change[::2], change[1::2], strict=True) if b - a >= 2]


def _polygon_edges(bitmap: Bitmap, outline: Floats) -> list[Floats]:
    """Parts of an outline with nothing drivable half a metre beyond them."""
    ring = np.vstack([outline[:, :2], outline[:1, :2]])
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
    at = np.linspace(0.0, s[-1], max(4, int(s[-1] / 0.5) + 1))
    dense = np.stack([np.interp(at, s, ring[:, 0]), np.interp(at, s, ring[:, 1])], axis=1)
    tangent = np.gradient(dense, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    area = float(np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]))
    beyond = dense + 0.5 * normal * (1.0 if area > 0.0 else -1.0)
    column = np.clip(((beyond[:, 0] - bitmap.x0) / bitmap.cell).astype(int), 0, bitmap.cells.shape[1] - 1)
    row = np.clip(((beyond[:, 1] - bitmap.y0) / bitmap.cell).astype(int), 0, bitmap.cells.shape[0] - 1)
    return [dense[a:b] for a, b in _runs(bitmap.cells[row, column] == 0)]


def border_lines(bitmap: Bitmap, lanes: Sequence[NDArray[np.void]], polygons: Sequence[Floats]) -> tuple[Floats, ...]:
    """Polylines (K, 2) along the border of the drivable area: lane borders and outlines beyond which nothing is drivable."""
    lines: list[Floats] = []
    for points in lanes:
        for side, room in ((1.0, points["room_left"]), (-1.0, points["room_right"])):
            offset = side * points["half_width"]
            border = np.stack([points["x"] - offset * points["sin"], points["y"] + offset * points["cos"]], axis=1)
            lines.extend(border[a:b] for a, b in _runs(room <= points["half_width"] + 1e-6))
    for outline in polygons:
        lines.extend(_polygon_edges(bitmap, np.asarray(outline, dtype=np.float64)))
    return tuple(lines)
