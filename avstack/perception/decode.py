"""From the first stage's maps to proposals, and from what the second stage says of them to candidates.

Everything is in the ego frame; quantities come in the order of `avstack.perception.percepts`: x, y, heading, vx, vy, length,
width. What is made here is not calibrated yet.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import CELL, SHAPE, X0, Y0
from avstack.perception.classes import Class
from avstack.perception.maps import (
    ABOUT,
    COLUMNS,
    CONTEXT,
    CONTEXT_AT,
    COS,
    COS2,
    CROP,
    CROP_CHANNELS,
    DX,
    DY,
    HEADS,
    HEAT,
    LOG_LENGTH,
    LOG_WIDTH,
    NOTHING,
    RICH_OUT,
    ROWS,
    SAID_MEANS,
    SAID_VARIANCES,
    SIDE,
    SIN,
    SIN2,
    VX,
    VY,
)
from avstack.perception.returns import reach_of, returns_of
from sim.jit import kernel

QUANTITIES = 7
CLASSES = len(Class)
MOST = 64
"""Proposals of one frame, the warmest ones."""
LEAST_HEAT = 0.04
FAINT = 0.15
"""Heat of its best class below which the second stage finds a proposal to be nothing, as good as always."""
LEAST_PROBABILITY = 0.02
"""Of being of any class, of a candidate."""
_LEAST_LOGIT = -5.0  # heat below is taken for none: it saves exponentials
_LEAST_LOG, _MOST_LOG = -9.0, 7.0

CANDIDATE_DTYPE = np.dtype(
    [
        # heat: P(a thing of each class is here)
        ("heat", "f4", (CLASSES,)), ("best", "i4"), ("row", "i4"), ("column", "i4"),
        ("mean", "f8", (QUANTITIES,)), ("variance", "f8", (QUANTITIES,)), ("spread", "f8", (QUANTITIES,)),
        # flip: 0 where the heads are sure which end is the front, 0.5 where they are not; disagreement: standard deviation of the
        # best class's heat over the heads; points: standing returns inside the box; expected: what its size and range let expect
        ("flip", "f4"), ("disagreement", "f4"), ("points", "i4"), ("expected", "f4"), ("suppressed", "i4"),
    ],
    align=True,
)  # fmt: skip
"""One candidate. variance: mean of what the heads say; spread: variance of their means."""


def propose(maps: NDArray[np.float32]) -> NDArray[np.void]:
    """(N,) CANDIDATE_DTYPE by falling heat: where maps (ROWS, COLUMNS, OUTPUTS) say that something is, whatever it is.

    heat, row, column and mean are the first stage's own.
    """
    warm = np.zeros((ROWS, COLUMNS), np.float32)
    _warm(maps, warm)
    found = np.zeros(8 * MOST, CANDIDATE_DTYPE)
    strength = np.zeros(8 * MOST, np.float32)
    count = _peaks(warm, found, strength)
    found = found[:count][np.argsort(-strength[:count], kind="stable")]
    _read_first(maps, found)
    _suppress(found, 0.8, 0.8, 0.3, MOST)
    kept: NDArray[np.void] = found[found["suppressed"] == 0][:MOST]
    return kept


def worth_asking(proposals: NDArray[np.void]) -> NDArray[np.void]:
    """Proposals that are not too faint for the second stage."""
    kept: NDArray[np.void] = proposals[proposals["heat"].max(axis=1) >= FAINT]
    return kept


class Asked(NamedTuple):
    """What the second stage is shown of proposals. crops: (N, CROP, CROP, CROP_CHANNELS) fine cells round each, zeros outside the
    grid; returns: (N, RETURNS, RETURN) raw ones near it; about: (N, ABOUT) what else is known."""

    crops: NDArray[np.float32]
    returns: NDArray[np.float32]
    about: NDArray[np.float32]


def asked_of(
    proposals: NDArray[np.void], maps: NDArray[np.float32], features: NDArray[np.float32], returns: NDArray[np.float32]
) -> Asked:
    """What the second stage is asked about proposals; returns: see `avstack.perception.returns.joined`."""
    crops = np.zeros((len(proposals), CROP, CROP, CROP_CHANNELS), np.float32)
    about = np.empty((len(proposals), ABOUT), np.float32)
    mean = proposals["mean"]
    middles = np.array([(crop_middle(x, X0), crop_middle(y, Y0)) for x, y in mean[:, :2]]).reshape(-1, 2)
    near, counts = returns_of(np.ascontiguousarray(mean[:, :2]), reach_of(mean[:, 5], mean[:, 6]), middles, returns)
    _crop(proposals, maps, features, counts, crops, about)
    return Asked(crops, near, about)


def crop_corner(place: float, first: float) -> int:
    """First cell of the crop round a place along one axis of the grid, which begins at `first`."""
    return math.floor((place - first) / CELL + 0.5) - CROP // 2


_corner = kernel(crop_corner)


@kernel
def crop_middle(place: float, first: float) -> float:
    """Middle [m] of the crop round a place along one axis of the grid."""
    return float(first + CELL * (_corner(place, first) + CROP // 2))


def settle(proposals: NDArray[np.void], said: NDArray[np.float32], standing: NDArray[np.float32]) -> NDArray[np.void]:
    """(M,) CANDIDATE_DTYPE by falling heat: proposals (N,) as the second stage, (HEADS, N, SAID), sees them, without those that
    are nothing; standing: places (K, 2) of what stands."""
    found = proposals.copy()
    _read(said, np.empty((HEADS, CLASSES)), found)
    strength = np.max(found["heat"], axis=1) if len(found) else np.zeros(0, np.float32)
    found = found[np.argsort(-strength, kind="stable")]
    found = found[found["heat"].sum(axis=1) >= LEAST_PROBABILITY]
    _suppress(found, 0.6, 0.8, 0.4, MOST)
    kept: NDArray[np.void] = found[found["suppressed"] == 0]
    _count_points(kept, standing)
    return kept


@kernel
def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


@kernel
def _warm(maps: NDArray[np.float32], warm: NDArray[np.float32]) -> None:
    """Probability that something is there, of whatever class."""
    for i in range(ROWS):
        for j in range(COLUMNS):
            none = 1.0
            for c in range(CLASSES):
                if maps[i, j, HEAT + c] >= _LEAST_LOGIT:
                    none *= 1.0 - _sigmoid(maps[i, j, HEAT + c])
            warm[i, j] = 1.0 - none


@kernel
def _is_peak(warm: NDArray[np.float32], i: int, j: int) -> bool:
    """Whether no neighbour is warmer; of equal ones the first is the peak."""
    own = warm[i, j]
    for a in range(max(i - 1, 0), min(i + 2, ROWS)):
        for b in range(max(j - 1, 0), min(j + 2, COLUMNS)):
            before = a < i or (a == i and b < j)
            if warm[a, b] > own or (before and warm[a, b] == own):
                return False
    return True


@kernel
def _peaks(warm: NDArray[np.float32], out: NDArray[np.void], strength: NDArray[np.float32]) -> int:
    """Note the peaks; returns how many."""
    count = 0
    for i in range(ROWS):
        for j in range(COLUMNS):
            if warm[i, j] < LEAST_HEAT or count == len(out) or not _is_peak(warm, i, j):
                continue
            out[count].row, out[count].column = i, j
            strength[count] = warm[i, j]
            count += 1
    return count


@kernel
def _read_first(maps: NDArray[np.float32], out: NDArray[np.void]) -> None:
    """Heat and box at each peak as the first stage has them."""
    for n in range(len(out)):
        one = out[n]
        cell = maps[one.row, one.column]
        one.best = 0
        for c in range(CLASSES):
            one.heat[c] = _sigmoid(cell[HEAT + c])
            if one.heat[c] > one.heat[one.best]:
                one.best = c
        box = cell[CLASSES:RICH_OUT]
        one.mean[0] = X0 + SIDE * (one.row + 0.5) + box[DX]
        one.mean[1] = Y0 + SIDE * (one.column + 0.5) + box[DY]
        one.mean[2] = 0.5 * math.atan2(box[SIN2], box[COS2])
        one.mean[3], one.mean[4] = box[VX], box[VY]
        one.mean[5], one.mean[6] = _size(box[LOG_LENGTH]), _size(box[LOG_WIDTH])


@kernel
def _size(logarithm: float) -> float:
    return math.exp(min(max(logarithm, -3.0), 3.5))


@kernel
def _crop(
    found: NDArray[np.void], maps: NDArray[np.float32], features: NDArray[np.float32], counts: NDArray[np.float32],
    crops: NDArray[np.float32], about: NDArray[np.float32],
) -> None:  # fmt: skip
    for n in range(len(found)):
        one = found[n]
        i0, j0 = _corner(one.mean[0], X0), _corner(one.mean[1], Y0)
        for i in range(max(-i0, 0), min(CROP, SHAPE[0] - i0)):
            for j in range(max(-j0, 0), min(CROP, SHAPE[1] - j0)):
                for k in range(CROP_CHANNELS):
                    crops[n, i, j, k] = features[i0 + i, j0 + j, k]
        cell = maps[one.row, one.column]
        for k in range(CONTEXT):
            about[n, k] = cell[CONTEXT_AT + k]
        for k in range(RICH_OUT):
            about[n, CONTEXT + k] = 0.2 * cell[k] if k < CLASSES or k >= CLASSES + VX else cell[k]
        # where the first stage has the centre, from the middle of the crop
        about[n, CONTEXT + CLASSES + DX] = one.mean[0] - crop_middle(one.mean[0], X0)
        about[n, CONTEXT + CLASSES + DY] = one.mean[1] - crop_middle(one.mean[1], Y0)
        about[n, ABOUT - 5], about[n, ABOUT - 4] = counts[n, 0], counts[n, 1]
        r = max(math.hypot(one.mean[0], one.mean[1]), 1.0)
        about[n, ABOUT - 3], about[n, ABOUT - 2], about[n, ABOUT - 1] = r / 40.0, one.mean[0] / r, one.mean[1] / r


@kernel
def _read(said: NDArray[np.float32], heads: NDArray[np.float64], out: NDArray[np.void]) -> None:
    """Class, box, velocity and variances of each proposal, over the heads; heads: (HEADS, CLASSES) to work in."""
    for n in range(len(out)):
        one = out[n]
        _classes(said, n, heads, one)
        s1, c1, s2, c2 = 0.0, 0.0, 0.0, 0.0
        for head in range(HEADS):
            box = said[head, n, SAID_MEANS:]
            s1, c1, s2, c2 = s1 + box[SIN], c1 + box[COS], s2 + box[SIN2], c2 + box[COS2]
        axis = 0.5 * math.atan2(s2, c2)
        along = (s1 * math.sin(axis) + c1 * math.cos(axis)) / HEADS
        if along < 0.0:
            axis += math.pi if axis < 0.0 else -math.pi
        one.flip = 0.5 * (1.0 - min(abs(along), 1.0))
        x, y = crop_middle(one.mean[0], X0), crop_middle(one.mean[1], Y0)
        for q in range(QUANTITIES):
            total, square, variance = 0.0, 0.0, 0.0
            for head in range(HEADS):
                value = _quantity(said[head, n, SAID_MEANS:], q, axis)
                total, square = total + value, square + value * value
                variance += math.exp(min(max(float(said[head, n, SAID_VARIANCES + q]), _LEAST_LOG), _MOST_LOG))
            mean = total / HEADS
            one.spread[q] = max(square / HEADS - mean * mean, 0.0)
            one.mean[q], one.variance[q] = mean, variance / HEADS
        one.mean[0] += x
        one.mean[1] += y
        one.mean[2] = axis
        for q in (5, 6):
            # the heads speak of logarithms
            one.mean[q] = _size(one.mean[q])
            one.variance[q] *= one.mean[q] ** 2
            one.spread[q] *= one.mean[q] ** 2


@kernel
def _classes(said: NDArray[np.float32], n: int, heads: NDArray[np.float64], out: np.record) -> None:
    """Probability of each class over the heads, the best one, and how much the heads differ about it."""
    for head in range(HEADS):
        most, total = said[head, n, NOTHING], 0.0
        for c in range(NOTHING):
            most = max(most, said[head, n, c])
        for c in range(NOTHING + 1):
            total += math.exp(said[head, n, c] - most)
        for c in range(CLASSES):
            heads[head, c] = math.exp(said[head, n, c] - most) / total
    out.best = 0
    for c in range(CLASSES):
        total = 0.0
        for head in range(HEADS):
            total += heads[head, c]
        out.heat[c] = total / HEADS
        if out.heat[c] > out.heat[out.best]:
            out.best = c
    square = 0.0
    for head in range(HEADS):
        square += (heads[head, out.best] - out.heat[out.best]) ** 2
    out.disagreement = math.sqrt(square / HEADS)


@kernel
def _quantity(box: NDArray[np.float32], q: int, axis: float) -> float:
    """What one head says of a quantity; of the heading, how far it turns from `axis`, either end first."""
    if q == 2:
        s2, c2 = box[SIN2], box[COS2]
        return float(
            0.5 * math.atan2(s2 * math.cos(2 * axis) - c2 * math.sin(2 * axis), c2 * math.cos(2 * axis) + s2 * math.sin(2 * axis))
        )
    if q < 2:
        return float(box[DX] if q == 0 else box[DY])
    if q < 5:
        return float(box[VX] if q == 3 else box[VY])
    return float(box[LOG_LENGTH] if q == 5 else box[LOG_WIDTH])


@kernel
def _suppress(found: NDArray[np.void], alike: float, unlike: float, share: float, most: int) -> None:
    """Of two candidates for one thing the first stays: closer than so many metres, of one class or of two, or the other's centre
    within this share of its box to each side. Once `most` stay, nobody asks for the rest."""
    stay = 0
    for n in range(len(found)):
        one = found[n]
        if one.suppressed:
            continue
        stay += 1
        if stay > most:
            break
        cos, sin = math.cos(one.mean[2]), math.sin(one.mean[2])
        for m in range(n + 1, len(found)):
            other = found[m]
            if other.suppressed:
                continue
            dx, dy = one.mean[0] - other.mean[0], one.mean[1] - other.mean[1]
            along, across = abs(dx * cos + dy * sin), abs(dy * cos - dx * sin)
            near = alike if one.best == other.best else unlike
            inside = along < share * one.mean[5] and across < share * one.mean[6]
            if dx * dx + dy * dy < near * near or inside:
                other.suppressed = 1


@kernel
def _count_points(found: NDArray[np.void], standing: NDArray[np.float32]) -> None:
    """Returns inside each box, a little enlarged, and how many a solid of its size would give at its range."""
    for n in range(len(found)):
        one = found[n]
        x, y, cos, sin = one.mean[0], one.mean[1], math.cos(one.mean[2]), math.sin(one.mean[2])
        length, width = 0.5 * one.mean[5] + 0.25, 0.5 * one.mean[6] + 0.25
        reach = length + width
        count = 0
        for k in range(len(standing)):
            dx, dy = standing[k, 0] - x, standing[k, 1] - y
            if abs(dx) > reach or abs(dy) > reach:
                continue
            if abs(dx * cos + dy * sin) <= length and abs(dy * cos - dx * sin) <= width:
                count += 1
        one.points = count
        r2 = max(x * x + y * y, 4.0)
        side = abs((x * cos + y * sin) * one.mean[6]) + abs((y * cos - x * sin) * one.mean[5])
        one.expected = side / math.sqrt(r2) * 7000.0 / r2
