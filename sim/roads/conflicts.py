"""Conflict tables: for two lanes whose traffic can touch, which positions on one are blocked by each position on the other.

A vehicle is a box centred on the centreline, turned inward on curves because the line is tracked by its centre while its rear
axle has no side slip. Sweeping such boxes, instead of blocking one rectangle per junction, allows a driver to start before the
other has cleared and stays right for merges and long vehicles. Intervals are found by conservative advancement: a gap between two
boxes bounds how far either may move before they touch, so the walk takes long steps where it is far and ends close to first
contact.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from sim.geometry import Floats, box_gap
from sim.jit import allocating_kernel, kernel
from sim.roads.lane_map import (
    CLASS_REAR_TO_CENTRE,
    CLASS_SIZES,
    CLASSES,
    CONFLICT_DTYPE,
    TABLE_SPACING,
    FootprintClass,
    LaneKind,
)

STRIDE = 0.2  # m, smallest step of a walk
HALVINGS = 3  # of the last stride, to place an interval's end within 0.03 m
LEVELS_APART = 3.0  # m, lanes further apart in height never meet
CHUNK = 8.0  # m, pieces of a lane in the broad phase
NOWHERE = 1e9  # m, bounds of an empty interval
NEIGHBOUR_WIDTH = 0.95  # share of the box width that neighbours must overlap with: painted lanes side by side do not conflict

VEHICLE_KINDS = (LaneKind.DRIVING, LaneKind.CYCLE)
WALKING_KINDS = (LaneKind.CROSSWALK, LaneKind.PATH)


SWEPT_DTYPE = np.dtype(
    [
        ("start", "i8"), ("count", "i8"), ("spacing", "f8"), ("length", "f8"), ("low", "f8"), ("high", "f8"), ("rate", "f8"),
        ("x0", "f8"), ("y0", "f8"), ("x1", "f8"), ("y1", "f8"), ("half_length", "f8"), ("half_width", "f8"), ("radius", "f8"),
    ],
    align=True,
)  # fmt: skip
"""A lane as swept by one class: its poses, the range [low, high] of centre positions (beyond the lane's ends where it continues),
a bound `rate` on how far any corner moves per metre of centre travel, the extent of centre positions, and the box."""


class Sweep(NamedTuple):
    """Geometry for the kernels. poses: (CLASSES, P, 7) x, y, cos and sin of the box, cos and sin of the tangent, z; lanes:
    (CLASSES, L) of SWEPT_DTYPE."""

    poses: Floats
    lanes: NDArray[np.void]


class Survey(NamedTuple):
    """Candidate pairs that touch: lanes a < b, their swept ranges on each, and tangent of b relative to a where they meet
    [rad]."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    enter_a: Floats
    leave_a: Floats
    enter_b: Floats
    leave_b: Floats
    angle: Floats


_HALF_SIZES = 0.5 * CLASS_SIZES
_RADII = np.hypot(_HALF_SIZES[:, 0], _HALF_SIZES[:, 1])


@kernel
def footprint_pose(poses: Floats, swept: NDArray[np.void], lane: int, s: float, size: int) -> tuple[float, float, float, float]:
    """x, y, cos, sin of a box of class `size` whose centre is at `s` [m] on a lane or on the straight extension of its ends."""
    record = swept[size, lane]
    at = s / record["spacing"]
    index = int(min(max(at, 0.0), record["count"] - 2.0))
    f = min(max(at - index, 0.0), 1.0)
    g = 1.0 - f
    i = record["start"] + index
    j = i + 1
    x = g * poses[size, i, 0] + f * poses[size, j, 0]
    y = g * poses[size, i, 1] + f * poses[size, j, 1]
    beyond = s - min(max(s, 0.0), record["length"])
    if beyond != 0.0:
        k = i if beyond < 0.0 else j
        x += beyond * poses[size, k, 4]
        y += beyond * poses[size, k, 5]
    return x, y, g * poses[size, i, 2] + f * poses[size, j, 2], g * poses[size, i, 3] + f * poses[size, j, 3]


@kernel
def _first_contact(
    poses: Floats, swept: NDArray[np.void], a: int, sa: float, size_a: int, b: int, size_b: int, width: float, forward: bool
) -> float:
    """First s on lane b, walked from one end, at which its box overlaps the box at `sa` on lane a; NOWHERE if none does."""
    ax, ay, ac, asn = footprint_pose(poses, swept, a, sa, size_a)
    box, other = swept[size_a, a], swept[size_b, b]
    la, wa = box["half_length"], box["half_width"] * width
    lb, wb = other["half_length"], other["half_width"] * width
    reach = box["radius"] + other["radius"]
    sign = 1.0 if forward else -1.0
    remaining = other["high"] - other["low"]
    s = other["low"] if forward else other["high"]
    step = 0.0
    while True:
        bx, by, bc, bs = footprint_pose(poses, swept, b, s, size_b)
        gap = math.sqrt((bx - ax) * (bx - ax) + (by - ay) * (by - ay)) - reach
        if gap <= 0.0:
            gap = box_gap(ax, ay, ac, asn, la, wa, bx, by, bc, bs, lb, wb)
            if gap < 0.0:
                free, hit = s - sign * step, s
                for _ in range(HALVINGS if 0.0 < step <= STRIDE else 0):
                    s = 0.5 * (free + hit)
                    bx, by, bc, bs = footprint_pose(poses, swept, b, s, size_b)
                    if box_gap(ax, ay, ac, asn, la, wa, bx, by, bc, bs, lb, wb) < 0.0:
                        hit = s
                    else:
                        free = s
                return float(hit)
            gap /= other["rate"]
        if remaining <= 0.0:
            return NOWHERE
        step = min(max(gap, STRIDE), remaining)
        remaining -= step
        s += sign * step


@kernel
def _outside(poses: Floats, swept: NDArray[np.void], a: int, sa: float, size_a: int, b: int, size_b: int) -> float:
    """Lower bound [m] on how far the box at `sa` must still move to reach anything swept on lane b."""
    ax, ay, _, _ = footprint_pose(poses, swept, a, sa, size_a)
    other = swept[size_b, b]
    dx = max(other["x0"] - ax, ax - other["x1"])
    dy = max(other["y0"] - ay, ay - other["y1"])
    return float(max(dx, dy) - swept[size_a, a]["radius"] - other["radius"])


@kernel
def _nearest_point(swept: NDArray[np.void], lane: int, s: float) -> int:
    record = swept[0, lane]
    return int(record["start"] + int(min(max(s / record["spacing"], 0.0), record["count"] - 1.0)))


@kernel
def _survey(
    poses: Floats, swept: NDArray[np.void], pairs: NDArray[np.int64], sizes: NDArray[np.int64], widths: Floats, out: Floats
) -> None:
    """Fill out (N, 5): ranges on a and b of overlap, and the angle at the middle; enter > leave where the pair does not touch."""
    for n in range(len(pairs)):
        a, b, size_a, size_b, width = pairs[n, 0], pairs[n, 1], sizes[n, 0], sizes[n, 1], widths[n]
        out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = NOWHERE, -NOWHERE, NOWHERE, -NOWHERE, 0.0
        sa, end = swept[size_a, a]["low"], swept[size_a, a]["high"]
        while sa <= end:
            ahead = _outside(poses, swept, a, sa, size_a, b, size_b)
            if ahead <= 0.0:
                low = _first_contact(poses, swept, a, sa, size_a, b, size_b, width, True)
                if (
                    low < NOWHERE
                    and abs(poses[0, _nearest_point(swept, a, sa), 6] - poses[0, _nearest_point(swept, b, low), 6]) < LEVELS_APART
                ):
                    high = _first_contact(poses, swept, a, sa, size_a, b, size_b, width, False)
                    out[n, 0], out[n, 1] = min(out[n, 0], sa), max(out[n, 1], sa)
                    out[n, 2], out[n, 3] = min(out[n, 2], low), max(out[n, 3], high)
            sa += max(2.0 * TABLE_SPACING, ahead)
        if out[n, 0] <= out[n, 1]:
            i = _nearest_point(swept, a, 0.5 * (out[n, 0] + out[n, 1]))
            j = _nearest_point(swept, b, 0.5 * (out[n, 2] + out[n, 3]))
            ca, sna, cb, snb = poses[0, i, 4], poses[0, i, 5], poses[0, j, 4], poses[0, j, 5]
            out[n, 4] = math.atan2(ca * snb - sna * cb, ca * cb + sna * snb)


@kernel
def _edge(poses: Floats, swept: NDArray[np.void], a: int, outer: float, hit: float, size_a: int, b: int, size_b: int) -> float:
    """Boundary s on lane a between `outer` and a blocked position, by bisection; `outer` itself where that is blocked too."""
    free, middle = outer, outer
    for _ in range(5):
        if _first_contact(poses, swept, a, middle, size_a, b, size_b, 1.0, True) < NOWHERE:
            hit = middle
        else:
            free = middle
        middle = 0.5 * (free + hit)
    return hit


@allocating_kernel
def _grown(rows: NDArray[np.float32], used: int, more: int) -> NDArray[np.float32]:
    """The buffer, doubled as often as `more` rows after `used` ask for."""
    if used + more <= len(rows):
        return rows
    size = len(rows)
    while size < used + more:
        size *= 2
    larger = np.empty((size, 2), np.float32)
    for i in range(used):
        larger[i, 0], larger[i, 1] = rows[i, 0], rows[i, 1]
    return larger


@allocating_kernel
def _fill_tables(
    poses: Floats, swept: NDArray[np.void], pairs: NDArray[np.int64], allowed: NDArray[np.bool_], records: NDArray[np.void]
) -> tuple[NDArray[np.float32], int]:
    """Tables of ordered pairs: `records` (N * CLASSES²) get ranges and row indices; returns rows and how many of them are used.

    allowed: (N, CLASSES, CLASSES) class combinations that occur on these kinds of lane.
    """
    rows = np.empty((4096, 2), np.float32)
    used = 0
    for m in range(len(records)):
        n, size_a, size_b = m // (CLASSES * CLASSES), (m // CLASSES) % CLASSES, m % CLASSES
        a, b = pairs[n, 0], pairs[n, 1]
        record = records[m]
        record["row_start"], record["row_first"], record["row_count"] = used, 0, 0
        record["enter"], record["leave"] = NOWHERE, -NOWHERE
        if not allowed[n, size_a, size_b]:
            continue
        row = int(math.ceil(swept[size_a, a]["low"] / TABLE_SPACING))
        low_row, high_row = row, int(math.floor(swept[size_a, a]["high"] / TABLE_SPACING))
        rows = _grown(rows, used, high_row - low_row + 1)
        first, last = high_row + 1, low_row - 1
        while row <= high_row:
            ahead = _outside(poses, swept, a, row * TABLE_SPACING, size_a, b, size_b)
            skip = max(1, int(ahead / TABLE_SPACING))
            low, high = NOWHERE, -NOWHERE
            if ahead <= 0.0:
                low = _first_contact(poses, swept, a, row * TABLE_SPACING, size_a, b, size_b, 1.0, True)
                if low < NOWHERE:
                    high = max(low, _first_contact(poses, swept, a, row * TABLE_SPACING, size_a, b, size_b, 1.0, False))
                    first, last = min(first, row), row
            for k in range(max(row, first), min(row + skip, high_row + 1)):
                rows[used + k - first, 0], rows[used + k - first, 1] = low, high
            row += skip
        if last < first:
            continue
        record["row_first"], record["row_count"] = first, last - first + 1
        before = max((first - 1) * TABLE_SPACING, swept[size_a, a]["low"])
        beyond = min((last + 1) * TABLE_SPACING, swept[size_a, a]["high"])
        record["enter"] = _edge(poses, swept, a, before, first * TABLE_SPACING, size_a, b, size_b)
        record["leave"] = _edge(poses, swept, a, beyond, last * TABLE_SPACING, size_a, b, size_b)
        used += last - first + 1
    return rows, used


def make_sweep(lanes: NDArray[np.void], points: NDArray[np.void]) -> Sweep:
    """Sweep geometry of a map; lanes without a predecessor (successor) are not extended before their start (beyond their end)."""
    heading = np.arctan2(points["sin"].astype(np.float64), points["cos"].astype(np.float64))
    turn = np.arcsin(np.clip(CLASS_REAR_TO_CENTRE[:, None] * points["curvature"].astype(np.float64), -0.9, 0.9))
    box = heading[None, :] - turn
    poses = np.empty((CLASSES, len(points), 7))
    poses[:, :, 0], poses[:, :, 1], poses[:, :, 6] = points["x"], points["y"], points["z"]
    poses[:, :, 2], poses[:, :, 3] = np.cos(box), np.sin(box)
    poses[:, :, 4], poses[:, :, 5] = np.cos(heading), np.sin(heading)
    swept = np.zeros((CLASSES, len(lanes)), SWEPT_DTYPE)
    for source, target in (("point_start", "start"), ("point_count", "count"), ("spacing", "spacing"), ("length", "length")):
        swept[target] = lanes[source]
    swept["half_length"], swept["half_width"], swept["radius"] = _HALF_SIZES[:, :1], _HALF_SIZES[:, 1:], _RADII[:, None]
    swept["low"] = -_HALF_SIZES[:, :1] * (lanes["predecessor_count"] > 0)
    swept["high"] = lanes["length"] + _HALF_SIZES[:, :1] * (lanes["successor_count"] > 0)
    before, after = -swept["low"], swept["high"] - lanes["length"]
    change = np.abs(np.angle(np.exp(1j * np.diff(box, axis=1))))
    for lane, (i, n) in enumerate(zip(lanes["point_start"], lanes["point_count"], strict=True)):
        swept["rate"][:, lane] = 1.0 + _RADII * change[:, i : i + n - 1].max(axis=1) / lanes["spacing"][lane]
        xy = poses[0, i : i + n, :2]
        starts = xy[0] - before[:, lane, None] * poses[0, i, 4:6]
        ends = xy[-1] + after[:, lane, None] * poses[0, i + n - 1, 4:6]
        low = np.minimum(np.minimum(starts, ends), xy.min(axis=0))
        high = np.maximum(np.maximum(starts, ends), xy.max(axis=0))
        swept["x0"][:, lane], swept["y0"][:, lane] = low.T
        swept["x1"][:, lane], swept["y1"][:, lane] = high.T
    return Sweep(poses, swept)


def candidate_pairs(lanes: NDArray[np.void], sweep: Sweep) -> NDArray[np.int64]:
    """(N, 2) lanes a < b of kinds that can conflict and that come close somewhere, by a tree over boxes around short pieces."""
    boxes: list[Floats] = []
    owner: list[int] = []
    reach = float(_RADII[FootprintClass.CAR])
    for lane in np.flatnonzero(np.isin(lanes["kind"], VEHICLE_KINDS + WALKING_KINDS)):
        first = lanes["point_start"][lane]
        xy = sweep.poses[0, first : first + lanes["point_count"][lane], :2]
        stride = max(1, int(CHUNK / lanes["spacing"][lane]))
        for i in range(0, max(1, len(xy) - 1), stride):
            piece = xy[i : i + stride + 1]
            boxes.append(np.concatenate([piece.min(axis=0) - 2.0 * reach, piece.max(axis=0) + 2.0 * reach]))
            owner.append(int(lane))
    if not boxes:
        return np.empty((0, 2), np.int64)
    shapes = shapely.box(*np.array(boxes).T)
    left, right = shapely.STRtree(shapes).query(shapes)
    pairs = np.stack([np.array(owner, np.int64)[left], np.array(owner, np.int64)[right]], axis=1)
    pairs = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    walking = np.isin(lanes["kind"], WALKING_KINDS)
    return np.ascontiguousarray(pairs[~(walking[pairs[:, 0]] & walking[pairs[:, 1]])])


def survey_pairs(lanes: NDArray[np.void], sweep: Sweep, pairs: NDArray[np.int64], neighbours: NDArray[np.bool_]) -> Survey:
    """Those of `pairs` (N, 2) whose usual vehicles touch; `neighbours` (N,) marks parallel lanes, which must overlap
    substantially."""
    size = np.where(lanes["kind"] == LaneKind.DRIVING, FootprintClass.CAR, FootprintClass.SMALL).astype(np.int64)
    out = np.empty((len(pairs), 5))
    _survey(sweep.poses, sweep.lanes, pairs, size[pairs], np.where(neighbours, NEIGHBOUR_WIDTH, 1.0), out)
    hit = out[:, 0] <= out[:, 1]
    return Survey(pairs[hit, 0], pairs[hit, 1], *out[hit].T)


def conflict_tables(
    lanes: NDArray[np.void], sweep: Sweep, pairs: NDArray[np.int64]
) -> tuple[NDArray[np.void], NDArray[np.float32]]:
    """Records (N * CLASSES²) of CONFLICT_DTYPE and rows (R, 2) for ordered `pairs` (N, 2), in which (a, b) and (b, a) both occur.

    Kind and priority are left 0. Lanes people walk on are swept with the smallest class alone; the other classes stay empty
    there.
    """
    records = np.zeros(len(pairs) * CLASSES * CLASSES, CONFLICT_DTYPE)
    walking = np.isin(lanes["kind"], WALKING_KINDS)[pairs]
    only_small = np.arange(CLASSES) == FootprintClass.SMALL
    allowed = (~walking[:, 0, None] | only_small)[:, :, None] & (~walking[:, 1, None] | only_small)[:, None, :]
    rows, used = _fill_tables(sweep.poses, sweep.lanes, pairs, allowed, records)
    order = {(int(a), int(b)): n for n, (a, b) in enumerate(pairs)}
    grid = records.reshape(-1, CLASSES, CLASSES)
    mirror = np.array([order[int(b), int(a)] for a, b in pairs], np.int64)
    if len(pairs):
        grid["other_enter"] = grid["enter"][mirror].transpose(0, 2, 1)
        grid["other_leave"] = grid["leave"][mirror].transpose(0, 2, 1)
    return records, rows[:used].copy()
