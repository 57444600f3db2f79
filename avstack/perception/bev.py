"""Points to pictures: sweeps of a lidar as a bird's-eye grid of features, and what of the ground they show.

Ego frame: x forward, y left, origin on the ground under the centre of the car's box. A grid is indexed [x, y], its first cell at
the corner X0, Y0. Heights are above the local ground, which is estimated from the sweep itself: roads slope and bend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.jit import kernel

CELL = 0.5  # m
X0, Y0 = -40.0, -40.0  # m
SHAPE = (240, 160)
"""Cells along x (80 m ahead, 40 m behind) and y (40 m to each side)."""
BLOCK = 4
"""Cells to a side of a block of the ground estimate."""
STEEPEST = 0.10
"""Slope of the ground: what rises faster stands on it."""
NODE, REACH, ROUNDS = 4, 8, 6
"""Planes of ground: one every so many blocks, through the blocks so far about, fitted so many times."""
ROUGH = 0.15
"""m that the lowest return of a block may lie above such a plane and still be of the ground: verges are rough, kerbs high."""
_EVEN, _DOUBT = 0.06, 0.06  # m above a plane up to which a block counts in full; and so far above that, a quarter
_FEW, _FLAT = 0.05, 6.0  # pulls to the car's own level, in blocks, and to no slope: against planes through next to nothing
PAST = 2
"""Earlier sweeps that go into a grid."""

EDGES = (-0.3, 0.12, 0.35, 0.7, 1.2, 2.0, 4.5)
"""Heights [m] between the bins; above the second one something stands on the ground, above the last one is a bridge or a tree."""
STANDING, CEILING = EDGES[1], EDGES[-1]
EYE = 1.84
"""Height [m] of the sensor from which lines of sight are drawn; a few decimetres more or less do not matter."""
SEEN_BELOW = 1.0
"""A place counts as seen where a ray passes lower than this [m]: whatever is as high there would have been hit."""

BINS = 0
TOP = 6
OFFSET = 7
INTENSITY = 9
PAST_COUNT = 11
SEEN = 17
PLACE = 18
CHANNELS = 21
"""Features: six log counts by height, greatest height, mean offset in the cell (x, y), mean and greatest intensity of what
stands; log count and mean offset of what stood in each of two earlier sweeps; whether the place is seen; x, y and range."""

NEAR_EARLIER, NEAR_SHARE = 0.3, 0.03
"""m, and share of the range, within which a return of an earlier sweep is of the same thing."""

_SECTORS, _STEP, _STEPS = 720, 0.75, 128
_OWN_LENGTH, _OWN_WIDTH = 2.7, 1.2  # m, half: points on the car itself
_FAR = 25.0  # m
_FLOOR = -1.0  # m below the local ground: an echo of something mirrored


def _cell_tables() -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Of each cell its (sector, step of range) in the picture of what is seen, and its PLACE features."""
    x = X0 + CELL * (np.arange(SHAPE[0])[:, None] + 0.5) + np.zeros((1, SHAPE[1]))
    y = Y0 + CELL * (np.arange(SHAPE[1])[None, :] + 0.5) + np.zeros((SHAPE[0], 1))
    r = np.hypot(x, y)
    sector = ((np.arctan2(y, x) / (2.0 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
    step = np.minimum((r / _STEP).astype(int), _STEPS - 1)
    return np.stack([sector, step], axis=-1).astype(np.int16), np.stack([0.0125 * x, 0.025 * y, 0.0125 * r], -1).astype(
        np.float32
    )


_LOOKS, _PLACES = _cell_tables()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One rasterised scene. features (240, 160, CHANNELS) float32; ground: (60, 40) height [m] of the ground by blocks.

    standing: (M, 4) float32 x, y, height, intensity of what stands on the ground in the newest sweep, for the grids of later
    ticks; earlier: the same of the earlier sweeps that went in, newest first.
    signal: (3,) what weather and a worn sensor do to a sweep, see `density_signal`.
    """

    features: NDArray[np.float32]
    ground: NDArray[np.float32]
    standing: NDArray[np.float32]
    signal: NDArray[np.float32]
    earlier: tuple[NDArray[np.float32], ...] = ()


def rasterise(points: NDArray[np.float32], past: Sequence[NDArray[np.float32]] = ()) -> Grid:
    """The grid of one sweep (N, 5) and of what stood in earlier ones, newest first, brought into the frame of this one.

    Rows with anything not finite are left out. Missing history is an empty sequence.
    """
    usable = np.empty((len(points), 5), np.float32)
    count = _usable(points, usable)
    usable = usable[:count]
    blocks = np.full((SHAPE[0] // BLOCK, SHAPE[1] // BLOCK), np.inf, np.float32)
    _lowest(usable, blocks)
    lowest = blocks.copy()
    _level(blocks)
    _take_out(lowest, np.empty((blocks.shape[0] // NODE + 1, blocks.shape[1] // NODE + 1, 3)), blocks)
    heights = np.empty(count, np.float32)
    _heights(usable, blocks, heights)
    features = np.zeros((*SHAPE, CHANNELS), np.float32)
    standing = np.empty((count, 4), np.float32)
    standing = standing[: _draw_now(usable, heights, features, standing)]
    for k, earlier in enumerate(past[:PAST]):
        _draw_past(np.ascontiguousarray(earlier, np.float32), PAST_COUNT + 3 * k, features)
    seen = np.zeros((_SECTORS, _STEPS), np.float32)
    _look(usable, heights, seen)
    _finish(features, seen, _LOOKS, _PLACES)
    standing.setflags(write=False)
    signal = density_signal(usable, features)
    return Grid(features=features, ground=blocks, standing=standing, signal=signal, earlier=tuple(past[:PAST]))


def place_features() -> NDArray[np.float32]:
    """(240, 160, 3) the features that are the same in every grid."""
    return _PLACES


def seen_cells(points: NDArray[np.float32], ground: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(240, 160) where rays that end at `points` pass low enough; seen: zeros (720, 128) to work in."""
    usable = np.empty((len(points), 5), np.float32)
    usable = usable[: _usable(points, usable)]
    heights = np.empty(len(usable), np.float32)
    _heights(usable, ground, heights)
    _look(usable, heights, seen)
    found: NDArray[np.bool_] = seen[_LOOKS[..., 0], _LOOKS[..., 1]] > 0.5
    return found


def moved(places: NDArray[np.float32], motion: tuple[float, float, float]) -> NDArray[np.float32]:
    """Places (M, 2 or more) of an earlier ego frame in the one after `motion`: forward [m], left [m], turned left [rad]; columns
    after the first two stay."""
    forward, left, turn = motion
    cos, sin = math.cos(turn), math.sin(turn)
    x, y = places[:, 0] - np.float32(forward), places[:, 1] - np.float32(left)
    turned = np.array(places, np.float32)
    turned[:, 0], turned[:, 1] = cos * x + sin * y, cos * y - sin * x
    turned.setflags(write=False)
    return turned


def near_earlier(places: NDArray[np.float32], past: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """(M,) whether places (M, 2) lie near one of earlier sweeps: flakes, drops and fog return here once and there once."""
    out = np.zeros(len(places), np.bool_)
    for earlier in past:
        if len(earlier):
            _note_near(places, earlier, np.full(SHAPE, -1, np.int32), np.empty(len(earlier), np.int32), out)
    return out


@kernel
def _note_near(
    places: NDArray[np.float32], earlier: NDArray[np.float32], first: NDArray[np.int32], following: NDArray[np.int32],
    out: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Note which places have an earlier one within NEAR_EARLIER, or further off NEAR_SHARE of the range: rays are apart there."""
    list_by_cell(earlier, first, following)
    for k in range(len(places)):
        x, y = places[k, 0], places[k, 1]
        near = min(max(NEAR_EARLIER, NEAR_SHARE * math.sqrt(x * x + y * y)), CELL)
        u, v = _cell_of(x, y)
        if out[k] or u < 0:
            continue
        for i in range(max(u - 1, 0), min(u + 2, SHAPE[0])):
            for j in range(max(v - 1, 0), min(v + 2, SHAPE[1])):
                n = first[i, j]
                while n >= 0 and not out[k]:
                    out[k] = (earlier[n, 0] - x) ** 2 + (earlier[n, 1] - y) ** 2 < near * near
                    n = following[n]


@kernel
def list_by_cell(places: NDArray[np.float32], first: NDArray[np.int32], following: NDArray[np.int32]) -> None:
    """Chain the places (N, 2 or more) of each cell in their order: first (SHAPE) of -1 on entry, following (N,); -1 ends a
    chain."""
    for n in range(len(places) - 1, -1, -1):
        i, j = _cell_of(places[n, 0], places[n, 1])
        if i >= 0:
            following[n] = first[i, j]
            first[i, j] = n


@kernel
def _count_lone(features: NDArray[np.float32]) -> tuple[int, int]:
    """(cells with one return from something standing, cells with any)."""
    lone, standing = 0, 0
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            cell = features[i, j]
            if cell[TOP] < STANDING:
                continue
            total = 0.0
            for k in range(BINS + 1, TOP):
                total += cell[k]
            if total > 0.0:
                standing += 1
                lone += 1 if total < 0.7 else 0  # log 2 is one return
    return lone, standing


def density_signal(points: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3,) numbers by which weather shows: share of returns from far off (fog takes them), share of cells with something standing
    that has but one return (drops and flakes), and log of the number of returns (dead rings, rain)."""
    total = max(len(points), 1)
    far = float(np.count_nonzero(np.abs(points[:, 0]) + np.abs(points[:, 1]) > _FAR)) / total
    lone, standing = _count_lone(features)
    return np.array([far, lone / max(standing, 1), math.log(total)], np.float32)


@kernel
def _usable(points: NDArray[np.float32], out: NDArray[np.float32]) -> int:
    """Copy the rows that are finite and not on the car itself; returns how many."""
    count = 0
    for i in range(len(points)):
        x, y, z, bright, time = points[i, 0], points[i, 1], points[i, 2], points[i, 3], points[i, 4]
        if not math.isfinite(x + y + z + bright + time) or (abs(x) < _OWN_LENGTH and abs(y) < _OWN_WIDTH):
            continue
        for k in range(5):
            out[count, k] = points[i, k]
        count += 1
    return count


@kernel
def _block_of(x: float, y: float) -> tuple[int, int]:
    """Block of a place; the nearest one for places outside."""
    side = CELL * BLOCK
    u = min(max(int(math.floor((x - X0) / side)), 0), SHAPE[0] // BLOCK - 1)
    v = min(max(int(math.floor((y - Y0) / side)), 0), SHAPE[1] // BLOCK - 1)
    return u, v


@kernel
def _lowest(points: NDArray[np.float32], blocks: NDArray[np.float32]) -> None:
    """The lowest return of each block, but for single ones far below the car: those are mirrored."""
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        if _cell_of(x, y)[0] < 0 or abs(z) > 1.0 + 0.15 * math.sqrt(x * x + y * y):
            continue
        u, v = _block_of(x, y)
        blocks[u, v] = min(blocks[u, v], z)


@kernel
def _level(blocks: NDArray[np.float32]) -> None:
    """Make the lowest returns a ground: no steeper than STEEPEST, from under the car on; holes take on their neighbours'."""
    rows, columns = blocks.shape
    u, v = _block_of(0.0, 0.0)
    blocks[u, v] = min(blocks[u, v], 0.0)
    rise = np.float32(STEEPEST * CELL * BLOCK)
    for turn in range(4):
        for i in range(rows):
            for j in range(columns):
                a = i if turn < 2 else rows - 1 - i
                b = j if turn % 2 == 0 else columns - 1 - j
                if a > 0:
                    blocks[a, b] = min(blocks[a, b], blocks[a - 1, b] + rise)
                if a < rows - 1:
                    blocks[a, b] = min(blocks[a, b], blocks[a + 1, b] + rise)
                if b > 0:
                    blocks[a, b] = min(blocks[a, b], blocks[a, b - 1] + rise)
                if b < columns - 1:
                    blocks[a, b] = min(blocks[a, b], blocks[a, b + 1] + rise)


@kernel
def _take_out(lowest: NDArray[np.float32], planes: NDArray[np.float64], blocks: NDArray[np.float32]) -> None:
    """Lower the ground where the lowest return of a block is clearly above it, or there is none.

    Rings meet the ground far apart, so the lowest return of most blocks with a thing in them is the thing's own. Their ground
    follows from planes through the blocks about, at every NODE-th block, that heed what lies above them less and less.
    planes: (rows / NODE + 1, columns / NODE + 1, 3) to work in.
    """
    for u in range(blocks.shape[0]):
        for v in range(blocks.shape[1]):
            if lowest[u, v] > blocks[u, v] + ROUGH:
                lowest[u, v] = np.inf
    for i in range(planes.shape[0]):
        for j in range(planes.shape[1]):
            _plane(lowest, NODE * i, NODE * j, planes[i, j])
    for u in range(blocks.shape[0]):
        for v in range(blocks.shape[1]):
            i, j = min(u // NODE, planes.shape[0] - 2), min(v // NODE, planes.shape[1] - 2)
            fu, fv = (u - NODE * i) / NODE, (v - NODE * j) / NODE
            height = 0.0
            for a in range(2):
                for b in range(2):
                    share = (fu if a else 1.0 - fu) * (fv if b else 1.0 - fv)
                    plane = planes[i + a, j + b]
                    height += share * (plane[0] + plane[1] * (u - NODE * (i + a)) + plane[2] * (v - NODE * (j + b)))
            if lowest[u, v] > height + ROUGH:
                blocks[u, v] = min(blocks[u, v], height)


@kernel
def _plane(blocks: NDArray[np.float32], u0: int, v0: int, out: NDArray[np.float64]) -> None:
    """Height at block (u0, v0), and slopes by block, of the plane under those about; level with the car where there are none."""
    out[0], out[1], out[2] = 0.0, 0.0, 0.0
    for turn in range(ROUNDS):
        n, su, sv, suu, suv, svv = _FEW, 0.0, 0.0, _FLAT, 0.0, _FLAT
        h, hu, hv = 0.0, 0.0, 0.0
        for u in range(max(u0 - REACH, 0), min(u0 + REACH + 1, blocks.shape[0])):
            for v in range(max(v0 - REACH, 0), min(v0 + REACH + 1, blocks.shape[1])):
                z = blocks[u, v]
                if z == np.inf:
                    continue
                du, dv = float(u - u0), float(v - v0)
                above = z - out[0] - out[1] * du - out[2] * dv
                weight = 1.0
                if turn > 0 and above > _EVEN:
                    weight = 1.0 / (1.0 + ((above - _EVEN) / _DOUBT) ** 2) ** 2
                n, su, sv = n + weight, su + weight * du, sv + weight * dv
                suu, suv, svv = suu + weight * du * du, suv + weight * du * dv, svv + weight * dv * dv
                h, hu, hv = h + weight * z, hu + weight * du * z, hv + weight * dv * z
        # normal equations of three unknowns, by elimination
        a, b, c = suu - su * su / n, suv - su * sv / n, svv - sv * sv / n
        p, q = hu - su * h / n, hv - sv * h / n
        out[1] = (p * c - q * b) / (a * c - b * b)
        out[2] = (q * a - p * b) / (a * c - b * b)
        out[0] = (h - su * out[1] - sv * out[2]) / n


@kernel
def ground_at(blocks: NDArray[np.float32], x: float, y: float) -> float:
    """Height [m] of the ground at a place, between the middles of four blocks."""
    side = CELL * BLOCK
    u = min(max((x - X0) / side - 0.5, 0.0), blocks.shape[0] - 1.001)
    v = min(max((y - Y0) / side - 0.5, 0.0), blocks.shape[1] - 1.001)
    i, j = int(u), int(v)
    fu, fv = u - i, v - j
    low = blocks[i, j] * (1.0 - fv) + blocks[i, j + 1] * fv
    high = blocks[i + 1, j] * (1.0 - fv) + blocks[i + 1, j + 1] * fv
    return float(low * (1.0 - fu) + high * fu)


@kernel
def _heights(points: NDArray[np.float32], blocks: NDArray[np.float32], heights: NDArray[np.float32]) -> None:
    for i in range(len(points)):
        heights[i] = points[i, 2] - ground_at(blocks, points[i, 0], points[i, 1])


@kernel
def _cell_of(x: float, y: float) -> tuple[int, int]:
    """Cell of a place, (-1, -1) outside."""
    i, j = int(math.floor((x - X0) / CELL)), int(math.floor((y - Y0) / CELL))
    if i < 0 or j < 0 or i >= SHAPE[0] or j >= SHAPE[1]:
        return -1, -1
    return i, j


@kernel
def _draw_now(
    points: NDArray[np.float32], heights: NDArray[np.float32], out: NDArray[np.float32], standing: NDArray[np.float32]
) -> int:
    """Sums of the newest sweep, and the places of what stands; returns how many those are."""
    count = 0
    for n in range(len(points)):
        h = heights[n]
        i, j = _cell_of(points[n, 0], points[n, 1])
        if i < 0 or h < _FLOOR or h >= CEILING:
            continue
        cell = out[i, j]
        k = 0
        while k < TOP - 1 and h >= EDGES[k + 1]:
            k += 1
        cell[BINS + k] += 1.0
        cell[TOP] = max(cell[TOP], h)
        if h < STANDING:
            continue
        cell[OFFSET] += (points[n, 0] - X0) / CELL - i - 0.5
        cell[OFFSET + 1] += (points[n, 1] - Y0) / CELL - j - 0.5
        cell[INTENSITY] += points[n, 3]
        cell[INTENSITY + 1] = max(cell[INTENSITY + 1], points[n, 3])
        standing[count, 0], standing[count, 1] = points[n, 0], points[n, 1]
        standing[count, 2], standing[count, 3] = h, points[n, 3]
        count += 1
    return count


@kernel
def _draw_past(places: NDArray[np.float32], channel: int, out: NDArray[np.float32]) -> None:
    """Sums of an earlier sweep into three channels."""
    for n in range(len(places)):
        i, j = _cell_of(places[n, 0], places[n, 1])
        if i >= 0:
            cell = out[i, j]
            cell[channel] += 1.0
            cell[channel + 1] += (places[n, 0] - X0) / CELL - i - 0.5
            cell[channel + 2] += (places[n, 1] - Y0) / CELL - j - 0.5


@kernel
def _look(points: NDArray[np.float32], heights: NDArray[np.float32], seen: NDArray[np.float32]) -> None:
    """Count by sector and step of range the rays that pass, or end, lower than SEEN_BELOW."""
    for n in range(len(points)):
        x, y, h = points[n, 0], points[n, 1], heights[n]
        r = math.sqrt(x * x + y * y)
        if h >= SEEN_BELOW or h < _FLOOR:
            continue
        sector = int((math.atan2(y, x) / (2.0 * math.pi) + 0.5) * _SECTORS) % _SECTORS
        low = max(int(r * (EYE - SEEN_BELOW) / (EYE - h) / _STEP), 0)
        high = min(int(r / _STEP) + 1, _STEPS - 1)
        if low < high:
            seen[sector, low] += 1.0
            seen[sector, high] -= 1.0
    for sector in range(_SECTORS):
        for k in range(1, _STEPS):
            seen[sector, k] += seen[sector, k - 1]


@kernel
def _finish(out: NDArray[np.float32], seen: NDArray[np.float32], looks: NDArray[np.int16], places: NDArray[np.float32]) -> None:
    """Turn sums into means and counts into logarithms; add what is seen and where a cell is."""
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            cell = out[i, j]
            count = cell[BINS + 1] + cell[BINS + 2] + cell[BINS + 3] + cell[BINS + 4] + cell[BINS + 5]
            if count > 0.0:
                for k in range(OFFSET, INTENSITY + 1):
                    cell[k] /= count
            for k in range(BINS, TOP):
                if cell[k] > 0.0:
                    cell[k] = math.log1p(cell[k])
            for channel in range(PAST_COUNT, SEEN, 3):
                if cell[channel] > 0.0:
                    cell[channel + 1] /= cell[channel]
                    cell[channel + 2] /= cell[channel]
                    cell[channel] = math.log1p(cell[channel])
            cell[SEEN] = 1.0 if seen[looks[i, j, 0], looks[i, j, 1]] > 0.5 else 0.0
            for k in range(3):
                cell[PLACE + k] = places[i, j, k]
