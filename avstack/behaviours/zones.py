"""Where two paths get in each other's way: for each place on one, the stretch of the other that is blocked, from the real boxes.

Paths are polylines (R, 6) of ROW-spaced samples: x, y, cos and sin of the tangent, speed limit [m/s], curvature [1/m]. Positions
along a path are those of the box centre [m]. A box on a curve is turned inward by asin(curvature × rear axle to centre).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.geometry import Floats, box_gap
from sim.jit import kernel

ROW = 0.5  # m between samples of a path, and between rows of a table
COMMITTED_M = 1.0  # m into a zone, which is drawn large, up to which somebody who stands there has not entered it
AXLE_TO_CENTRE = 0.3  # of the length, as common vehicles have it

PAIR_DTYPE = np.dtype(
    [
        ("start", "i8"), ("rows", "i4"), ("rule", "i4"), ("enter", "f8"), ("leave", "f8"), ("other_enter", "f8"),
        ("other_leave", "f8"), ("along", "f8"), ("side", "f8"), ("lean", "f8"),
    ],
    align=True,
)  # fmt: skip
"""One path against another. start: first of `rows` rows in the row buffer, -1 where they never meet. enter..leave: first stretch
of this path on which the other can be in the way; other_*: the same on the other. rule: +1 this path goes first, -1 it yields,
0 by arrival, 2 nobody is asked (following). along, side: cosine and sine of the other's direction seen from this one's where they
meet. lean: order in [-1, 1] between two that arrive together."""


@kernel
def _turned(path: Floats, k: int, to_axle: float) -> tuple[float, float]:
    """Cosine and sine of a box at row k."""
    c, s = path[k, 2], path[k, 3]
    turn = min(max(path[k, 5] * to_axle, -0.7), 0.7)
    tc, ts = math.sqrt(1.0 - turn * turn), -turn
    return c * tc - s * ts, s * tc + c * ts


@kernel
def _blocked(
    path: Floats, k: int, length: float, width: float, other: Floats, other_length: float, other_width: float
) -> tuple[float, float]:
    """First stretch [low, high] of `other` whose box overlaps the box at row k; low > high where none does."""
    x, y = path[k, 0], path[k, 1]
    hl, hw, ol, ow = 0.5 * length, 0.5 * width, 0.5 * other_length, 0.5 * other_width
    reach = math.sqrt(hl * hl + hw * hw) + math.sqrt(ol * ol + ow * ow)
    c, s = _turned(path, k, AXLE_TO_CENTRE * length)
    low, high = 1.0, 0.0
    m, count = 0, len(other)
    while m < count:
        dx, dy = other[m, 0] - x, other[m, 1] - y
        gap = math.sqrt(dx * dx + dy * dy) - reach
        if gap < 0.0:
            oc, os = _turned(other, m, AXLE_TO_CENTRE * other_length)
            gap = box_gap(x, y, c, s, hl, hw, other[m, 0], other[m, 1], oc, os, ol, ow)
            if gap < 0.0:
                if low > high:
                    low = m * ROW
                high = m * ROW
                m += 1
                continue
            gap = min(gap, 2.0 * ROW)  # the other also turns
        if low <= high:
            return low, high
        m += max(1, int(gap / ROW))
    return low, high


@kernel
def _reach_of(path: Floats) -> tuple[float, float, float, float]:
    """Bounds of a path: x0, y0, x1, y1."""
    x0, y0, x1, y1 = path[0, 0], path[0, 1], path[0, 0], path[0, 1]
    for k in range(len(path)):
        x0, x1 = min(x0, path[k, 0]), max(x1, path[k, 0])
        y0, y1 = min(y0, path[k, 1]), max(y1, path[k, 1])
    return x0, y0, x1, y1


@kernel
def fill_table(
    path: Floats, length: float, width: float, other: Floats, other_length: float, other_width: float, out: Floats
) -> int:
    """Write [low, high] of `other` blocked at each row of `path` into out (R, 2); the number of rows that block anything."""
    x0, y0, x1, y1 = _reach_of(other)
    reach = 0.5 * (length + width + other_length + other_width)
    hits = 0
    k = 0
    while k < len(path):
        x, y = path[k, 0], path[k, 1]
        away = max(max(x0 - x, x - x1), max(y0 - y, y - y1)) - reach
        if away > 0.0:
            for m in range(k, min(len(path), k + max(1, int(away / ROW)))):
                out[m, 0], out[m, 1] = 1.0, 0.0
            k += max(1, int(away / ROW))
            continue
        low, high = _blocked(path, k, length, width, other, other_length, other_width)
        out[k, 0], out[k, 1] = low, high
        hits += 1 if low <= high else 0
        k += 1
    return hits


@kernel
def find_zone(rows: Floats, others: Floats, path: Floats, other: Floats, out: NDArray[np.void]) -> None:
    """First contiguous stretch of non-empty rows, both ways, into one PAIR_DTYPE record. `others`: the table the other way
    round."""
    first = 0
    while first < len(rows) and rows[first, 0] > rows[first, 1]:
        first += 1
    last = first
    low, high = rows[first, 0], rows[first, 1]
    while last + 1 < len(rows) and rows[last + 1, 0] <= rows[last + 1, 1]:
        last += 1
        low, high = min(low, rows[last, 0]), max(high, rows[last, 1])
    out[0]["enter"], out[0]["leave"] = first * ROW - ROW, last * ROW + ROW
    out[0]["other_enter"], out[0]["other_leave"] = low - ROW, high + ROW
    mid = (first + last) // 2
    at = min(max(int(0.5 * (rows[mid, 0] + rows[mid, 1]) / ROW), 0), len(other) - 1)
    out[0]["along"] = path[mid, 2] * other[at, 2] + path[mid, 3] * other[at, 3]
    out[0]["side"] = path[mid, 2] * other[at, 3] - path[mid, 3] * other[at, 2]
