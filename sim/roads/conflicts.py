"""Conflict tables: for two lanes whose traffic can touch, which positions on one are blocked by each position on the other.

A vehicle is a box centred on the centreline, turned inward on curves because the line is tracked by its centre while its rear axle has no
side slip. Sweeping such boxes, instead of blocking one rectangle per junction, allows a driver to start before the other has cleared and
stays right for merges and long vehicles. Intervals are found by conservative advancement: a gap between two boxes bounds how far either
may move before they touch, so the walk takes long steps where it is far and stops within `TOLERANCE` of first contact.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from sim.geometry import Floats, box_gap
from sim.jit import kernel
from sim.roads.lane_map import (
    CLASS_REAR_TO_CENTRE,
    CLASS_SIZES,
    CLASSES,
    CONFLICT_DTYPE,
    TABLE_SPACING,
    FootprintClass,
    LaneKind,
)

TOLERANCE = 0.05  # m, smallest step of a walk; interval ends are within half of it
LEVELS_APART = 3.0  # m, lanes further apart in height never meet
CHUNK = 8.0  # m, pieces of a lane in the broad phase
NOWHERE = 1e9  # m, bounds of an empty interval
NEIGHBOUR_WIDTH = 0.95  # share of the box width that neighbours must overlap with: painted lanes side by side do not conflict

VEHICLE_KINDS = (LaneKind.DRIVING, LaneKind.CYCLE)
WALKING_KINDS = (LaneKind.CROSSWALK, LaneKind.PATH)


class Sweep(NamedTuple):
    """Geometry for the kernels. poses: (CLASSES, P, 6) x, y, cos and sin of the box, cos and sin of the tangent; point_z: (P,);
    start, count: (L,) point ranges; spacing, length: (L,); before, after: (CLASSES, L) swept extensions [m]; rate: (CLASSES, L) bound on how
    far any corner moves per metre of centre travel; bounds: (CLASSES, L, 4) extent of centre positions."""

    poses: Floats
    point_z: Floats
    start: NDArray[np.int64]
    count: NDArray[np.int64]
    spacing: Floats
    length: Floats
    before: Floats
    after: Floats
    rate: Floats
    bounds: Floats


class Survey(NamedTuple):
    """Candidate pairs that touch: lanes a < b, their swept ranges on each, and tangent of b relative to a where they meet [rad]."""

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
def footprint_pose(sweep: Sweep, lane: int, s: float, size: int) -> tuple[float, float, float, float]:
    """x, y, cos, sin of a box of class `size` whose centre is at `s` [m] on a lane or on the straight extension of its ends."""
    first = sweep.start[lane]
    last = first + sweep.count[lane] - 1
    poses = sweep.poses
    if s <= 0.0:
        return poses[size, first, 0] + s * poses[size, first, 4], poses[size, first, 1] + s * poses[size, first, 5], poses[size, first, 2], poses[size, first, 3]  # fmt: skip
    beyond = s - sweep.length[lane]
    if beyond >= 0.0:
        return poses[size, last, 0] + beyond * poses[size, last, 4], poses[size, last, 1] + beyond * poses[size, last, 5], poses[size, last, 2], poses[size, last, 3]  # fmt: skip
    at = s / sweep.spacing[lane]
    index = min(int(at), sweep.count[lane] - 2)
    f = at - index
    i = first + index
    g = 1.0 - f
    return (
        g * poses[size, i, 0] + f * poses[size, i + 1, 0],
        g * poses[size, i, 1] + f * poses[size, i + 1, 1],
        g * poses[size, i, 2] + f * poses[size, i + 1, 2],
        g * poses[size, i, 3] + f * poses[size, i + 1, 3],
    )


@kernel
def _first_contact(
    sweep: Sweep, half: Floats, a: int, sa: float, size_a: int, b: int, size_b: int, width: float, forward: bool
) -> float:
    """First s on lane b, walked from one end, at which its box overlaps the box at `sa` on lane a; NOWHERE if none does."""
    ax, ay, ac, asn = footprint_pose(sweep, a, sa, size_a)
    la, wa = half[size_a, 0], half[size_a, 1] * width
    lb, wb = half[size_b, 0], half[size_b, 1] * width
    reach = math.hypot(la, wa) + math.hypot(lb, wb)
    low, high = -sweep.before[size_b, b], sweep.length[b] + sweep.after[size_b, b]
    s = low if forward else high
    step = 0.0
    while True:
        bx, by, bc, bs = footprint_pose(sweep, b, s, size_b)
        distance = math.hypot(bx - ax, by - ay)
        gap = distance - reach
        if gap <= 0.0:
            gap = box_gap(ax, ay, ac, asn, la, wa, bx, by, bc, bs, lb, wb)
            if gap < 0.0:
                if 0.0 < step <= TOLERANCE:
                    return s - 0.5 * step if forward else s + 0.5 * step
                return s
            gap /= sweep.rate[size_b, b]
        step = max(gap, TOLERANCE)
        if forward:
            if s >= high:
                return NOWHERE
            s = min(high, s + step)
        else:
            if s <= low:
                return NOWHERE
            s = max(low, s - step)


@kernel
def _outside(sweep: Sweep, half: Floats, a: int, sa: float, size_a: int, b: int, size_b: int) -> float:
    """Lower bound [m] on how far the box at `sa` must still move to reach anything swept on lane b."""
    ax, ay, _, _ = footprint_pose(sweep, a, sa, size_a)
    dx = max(sweep.bounds[size_b, b, 0] - ax, ax - sweep.bounds[size_b, b, 2])
    dy = max(sweep.bounds[size_b, b, 1] - ay, ay - sweep.bounds[size_b, b, 3])
    reach = math.hypot(half[size_a, 0], half[size_a, 1]) + math.hypot(half[size_b, 0], half[size_b, 1])
    return max(dx, dy) - reach


@kernel
def _height(sweep: Sweep, lane: int, s: float) -> float:
    index = int(min(max(s / sweep.spacing[lane], 0.0), sweep.count[lane] - 1.0))
    return float(sweep.point_z[sweep.start[lane] + index])


@kernel
def _tangent_angle(sweep: Sweep, a: int, sa: float, b: int, sb: float) -> float:
    """Direction of lane b at `sb` relative to lane a at `sa` [rad]."""
    i = sweep.start[a] + int(min(max(sa / sweep.spacing[a], 0.0), sweep.count[a] - 1.0))
    j = sweep.start[b] + int(min(max(sb / sweep.spacing[b], 0.0), sweep.count[b] - 1.0))
    ca, sna, cb, snb = sweep.poses[0, i, 4], sweep.poses[0, i, 5], sweep.poses[0, j, 4], sweep.poses[0, j, 5]
    return math.atan2(ca * snb - sna * cb, ca * cb + sna * snb)


@kernel
def _survey(
    sweep: Sweep, half: Floats, a_lanes: NDArray[np.int64], b_lanes: NDArray[np.int64], sizes: NDArray[np.int64], widths: Floats, out: Floats
) -> None:
    """Fill out (N, 5): ranges on a and b of overlap, and the angle at the middle; enter > leave where the pair does not touch."""
    for n in range(len(a_lanes)):
        a, b, size_a, size_b, width = a_lanes[n], b_lanes[n], sizes[n, 0], sizes[n, 1], widths[n]
        out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = NOWHERE, -NOWHERE, NOWHERE, -NOWHERE, 0.0
        sa, end = -sweep.before[size_a, a], sweep.length[a] + sweep.after[size_a, a]
        while sa <= end:
            ahead = _outside(sweep, half, a, sa, size_a, b, size_b)
            if ahead <= 0.0:
                low = _first_contact(sweep, half, a, sa, size_a, b, size_b, width, True)
                if low < NOWHERE and abs(_height(sweep, a, sa) - _height(sweep, b, low)) < LEVELS_APART:
                    high = _first_contact(sweep, half, a, sa, size_a, b, size_b, width, False)
                    out[n, 0], out[n, 1] = min(out[n, 0], sa), max(out[n, 1], sa)
                    out[n, 2], out[n, 3] = min(out[n, 2], low), max(out[n, 3], high)
            sa += max(2.0 * TABLE_SPACING, ahead)
        if out[n, 0] <= out[n, 1]:
            out[n, 4] = _tangent_angle(sweep, a, 0.5 * (out[n, 0] + out[n, 1]), b, 0.5 * (out[n, 2] + out[n, 3]))


@kernel
def _edge(sweep: Sweep, half: Floats, a: int, free: float, hit: float, size_a: int, b: int, size_b: int) -> float:
    """Boundary s on lane a between a free and a blocked position, by bisection."""
    for _ in range(4):
        middle = 0.5 * (free + hit)
        if _first_contact(sweep, half, a, middle, size_a, b, size_b, 1.0, True) < NOWHERE:
            hit = middle
        else:
            free = middle
    return hit


@kernel
def _grown(rows: NDArray[np.float32], used: int, more: int) -> NDArray[np.float32]:
    """The buffer, doubled as often as `more` rows after `used` ask for."""
    if used + more <= len(rows):
        return rows
    size = len(rows)
    while size < used + more:
        size *= 2
    larger = np.empty((size, 2), np.float32)
    larger[:used] = rows[:used]
    return larger


@kernel
def _fill_tables(
    sweep: Sweep, half: Floats, a_lanes: NDArray[np.int64], b_lanes: NDArray[np.int64], allowed: NDArray[np.bool_], records: NDArray[np.void]
) -> NDArray[np.float32]:
    """Tables of ordered pairs: `records` (N * CLASSES²) get ranges and row indices; returns all rows (R, 2).

    allowed: (N, CLASSES, CLASSES) class combinations that occur on these kinds of lane.
    """
    rows = np.empty((4096, 2), np.float32)
    used = 0
    for n in range(len(a_lanes)):
        a, b = a_lanes[n], b_lanes[n]
        for size_a in range(CLASSES):
            low_row = math.ceil(-sweep.before[size_a, a] / TABLE_SPACING)
            high_row = math.floor((sweep.length[a] + sweep.after[size_a, a]) / TABLE_SPACING)
            for size_b in range(CLASSES):
                record = records[(n * CLASSES + size_a) * CLASSES + size_b]
                record["row_start"], record["row_first"], record["row_count"] = used, 0, 0
                record["enter"], record["leave"] = NOWHERE, -NOWHERE
                record["other_enter"], record["other_leave"] = NOWHERE, -NOWHERE
                if not allowed[n, size_a, size_b]:
                    continue
                rows = _grown(rows, used, high_row - low_row + 1)
                first, last = high_row + 1, low_row - 1
                row = low_row
                while row <= high_row:
                    ahead = _outside(sweep, half, a, row * TABLE_SPACING, size_a, b, size_b)
                    skip = max(1, int(ahead / TABLE_SPACING))
                    low, high = NOWHERE, -NOWHERE
                    if ahead <= 0.0:
                        low = _first_contact(sweep, half, a, row * TABLE_SPACING, size_a, b, size_b, 1.0, True)
                        if low < NOWHERE:
                            high = max(low, _first_contact(sweep, half, a, row * TABLE_SPACING, size_a, b, size_b, 1.0, False))
                            first, last = min(first, row), row
                    for k in range(row, min(row + skip, high_row + 1)):
                        if k >= first:
                            rows[used + k - first, 0], rows[used + k - first, 1] = low, high
                    row += skip
                if last >= first:
                    record["row_first"], record["row_count"] = first, last - first + 1
                    record["enter"], record["leave"] = first * TABLE_SPACING, last * TABLE_SPACING
                    if first > low_row:
                        record["enter"] = _edge(sweep, half, a, (first - 1) * TABLE_SPACING, first * TABLE_SPACING, size_a, b, size_b)
                    if last < high_row:
                        record["leave"] = _edge(sweep, half, a, (last + 1) * TABLE_SPACING, last * TABLE_SPACING, size_a, b, size_b)
                    used += last - first + 1
    return rows[:used].copy()


def make_sweep(lanes: NDArray[np.void], points: NDArray[np.void]) -> Sweep:
    """Sweep geometry of a map; lanes without a predecessor (successor) are not extended before their start (beyond their end)."""
    heading = np.arctan2(points["sin"].astype(np.float64), points["cos"].astype(np.float64))
    turn = np.arcsin(np.clip(CLASS_REAR_TO_CENTRE[:, None] * points["curvature"].astype(np.float64), -0.9, 0.9))
    box = heading[None, :] - turn
    poses = np.empty((CLASSES, len(points), 6))
    poses[:, :, 0], poses[:, :, 1] = points["x"], points["y"]
    poses[:, :, 2], poses[:, :, 3] = np.cos(box), np.sin(box)
    poses[:, :, 4], poses[:, :, 5] = np.cos(heading), np.sin(heading)
    start, count = lanes["point_start"].astype(np.int64), lanes["point_count"].astype(np.int64)
    before = _HALF_SIZES[:, :1] * (lanes["predecessor_count"] > 0)
    after = _HALF_SIZES[:, :1] * (lanes["successor_count"] > 0)
    rate = np.empty((CLASSES, len(lanes)))
    bounds = np.empty((CLASSES, len(lanes), 4))
    for lane, (i, n) in enumerate(zip(start, count, strict=True)):
        xy = poses[0, i : i + n, :2]
        change = np.abs(np.angle(np.exp(1j * np.diff(box[:, i : i + n], axis=1)))).max(axis=1)
        rate[:, lane] = 1.0 + _RADII * change / lanes["spacing"][lane]
        for size in range(CLASSES):
            ends = np.stack([xy[0] - before[size, lane] * poses[0, i, 4:], xy[-1] + after[size, lane] * poses[0, i + n - 1, 4:]])
            whole = np.vstack([xy, ends])
            bounds[size, lane, :2], bounds[size, lane, 2:] = whole.min(axis=0), whole.max(axis=0)
    z, spacing, length = points["z"].astype(np.float64), lanes["spacing"].astype(np.float64), lanes["length"].astype(np.float64)
    return Sweep(poses, z, start, count, spacing, length, before, after, rate, bounds)


def candidate_pairs(lanes: NDArray[np.void], sweep: Sweep) -> NDArray[np.int64]:
    """(N, 2) lanes a < b of kinds that can conflict and that come close somewhere, by a tree over boxes around short pieces."""
    boxes: list[Floats] = []
    owner: list[int] = []
    reach = float(_RADII[FootprintClass.CAR])
    for lane in np.flatnonzero(np.isin(lanes["kind"], VEHICLE_KINDS + WALKING_KINDS)):
        xy = sweep.poses[0, sweep.start[lane] : sweep.start[lane] + sweep.count[lane], :2]
        stride = max(1, int(CHUNK / sweep.spacing[lane]))
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
    return np.asarray(pairs[~(walking[pairs[:, 0]] & walking[pairs[:, 1]])])


def survey_pairs(lanes: NDArray[np.void], sweep: Sweep, pairs: NDArray[np.int64], neighbours: NDArray[np.bool_]) -> Survey:
    """Those of `pairs` (N, 2) whose usual vehicles touch; `neighbours` (N,) marks parallel lanes, which must overlap substantially."""
    size = np.where(lanes["kind"] == LaneKind.DRIVING, FootprintClass.CAR, FootprintClass.SMALL).astype(np.int64)
    out = np.empty((len(pairs), 5))
    _survey(sweep, _HALF_SIZES, pairs[:, 0].copy(), pairs[:, 1].copy(), size[pairs], np.where(neighbours, NEIGHBOUR_WIDTH, 1.0), out)
    hit = out[:, 0] <= out[:, 1]
    return Survey(pairs[hit, 0], pairs[hit, 1], *out[hit].T)


def conflict_tables(lanes: NDArray[np.void], sweep: Sweep, pairs: NDArray[np.int64]) -> tuple[NDArray[np.void], NDArray[np.float32]]:
    """Records (N * CLASSES²) of CONFLICT_DTYPE and rows (R, 2) for ordered `pairs` (N, 2), in which (a, b) and (b, a) both occur.

    Kind and priority are left 0. Lanes people walk on are swept with the smallest class alone; the other classes stay empty there.
    """
    records = np.zeros(len(pairs) * CLASSES * CLASSES, CONFLICT_DTYPE)
    walking = np.isin(lanes["kind"], WALKING_KINDS)[pairs]
    only_small = np.arange(CLASSES) == FootprintClass.SMALL
    allowed = (~walking[:, 0, None] | only_small)[:, :, None] & (~walking[:, 1, None] | only_small)[:, None, :]
    rows = _fill_tables(sweep, _HALF_SIZES, pairs[:, 0].copy(), pairs[:, 1].copy(), allowed, records)
    order = {(int(a), int(b)): n for n, (a, b) in enumerate(pairs)}
    grid = records.reshape(-1, CLASSES, CLASSES)
    mirror = np.array([order[int(b), int(a)] for a, b in pairs], np.int64)
    if len(pairs):
        grid["other_enter"] = grid["enter"][mirror].transpose(0, 2, 1)
        grid["other_leave"] = grid["leave"][mirror].transpose(0, 2, 1)
    return records, rows
