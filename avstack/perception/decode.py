"""From the network's maps to candidates: peaks of heat, with what the rich heads say there and how much they differ.

Everything is in the ego frame; quantities come in the order of `avstack.perception.percepts`: x, y, heading, vx, vy, length,
width. What is made here is not calibrated yet.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import X0, Y0
from avstack.perception.classes import Class
from avstack.perception.maps import (
    COLUMNS,
    COS,
    COS2,
    DX,
    DY,
    HEADS,
    HEAT,
    LOG_LENGTH,
    LOG_VARIANCES,
    LOG_WIDTH,
    RICH_OUT,
    ROWS,
    SIDE,
    SIN,
    SIN2,
    VX,
    VY,
)
from sim.jit import kernel

QUANTITIES = 7
CLASSES = len(Class)
MOST = 200
"""Candidates of one frame, the strongest ones."""
LEAST_HEAT = 0.04
_LEAST_LOGIT = -4.0  # heat below is taken for none: it saves exponentials
_LEAST_LOG, _MOST_LOG = -9.0, 7.0

CANDIDATE_DTYPE = np.dtype(
    [
        ("heat", "f4", (CLASSES,)), ("best", "i4"), ("row", "i4"), ("column", "i4"),
        ("mean", "f8", (QUANTITIES,)), ("variance", "f8", (QUANTITIES,)), ("spread", "f8", (QUANTITIES,)),
        # flip: 0 where the heads are sure which end is the front, 0.5 where they are not; disagreement: standard deviation of the
        # best class's heat over the heads; points: standing returns inside the box; expected: what its size and range let expect
        ("flip", "f4"), ("disagreement", "f4"), ("points", "i4"), ("expected", "f4"), ("suppressed", "i4"),
    ],
    align=True,
)  # fmt: skip
"""One candidate. variance: mean of what the heads say; spread: variance of their means."""


def decode(maps: NDArray[np.float32], standing: NDArray[np.float32]) -> NDArray[np.void]:
    """(N,) CANDIDATE_DTYPE by falling heat, from maps (ROWS, COLUMNS, OUTPUTS) and the places (M, 2) of what stands."""
    heat = np.zeros((ROWS, COLUMNS, CLASSES), np.float32)
    _warm(maps, heat)
    found = np.zeros(8 * MOST, CANDIDATE_DTYPE)
    found = found[: _peaks(heat, found)]
    strength = np.max(found["heat"], axis=1) if len(found) else np.zeros(0, np.float32)
    found = found[np.argsort(-strength, kind="stable")[:MOST]]
    _read(maps, found)
    _suppress(found)
    kept: NDArray[np.void] = found[found["suppressed"] == 0]
    _count_points(kept, standing)
    return kept


@kernel
def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


@kernel
def _warm(maps: NDArray[np.float32], heat: NDArray[np.float32]) -> None:
    """Mean of the heads' probabilities, 0 where none of them is worth looking at."""
    for i in range(ROWS):
        for j in range(COLUMNS):
            for c in range(CLASSES):
                most = maps[i, j, HEAT + c]
                for head in range(1, HEADS):
                    most = max(most, maps[i, j, head * RICH_OUT + HEAT + c])
                if most < _LEAST_LOGIT:
                    continue
                total = 0.0
                for head in range(HEADS):
                    total += _sigmoid(maps[i, j, head * RICH_OUT + HEAT + c])
                heat[i, j, c] = total / HEADS


@kernel
def _is_peak(heat: NDArray[np.float32], i: int, j: int, c: int) -> bool:
    """Whether no neighbour is warmer; of equal ones the first is the peak."""
    own = heat[i, j, c]
    for a in range(max(i - 1, 0), min(i + 2, ROWS)):
        for b in range(max(j - 1, 0), min(j + 2, COLUMNS)):
            before = a < i or (a == i and b < j)
            if heat[a, b, c] > own or (before and heat[a, b, c] == own):
                return False
    return True


@kernel
def _peaks(heat: NDArray[np.float32], out: NDArray[np.void]) -> int:
    """Note the peaks of each class, with the heat of all classes there; returns how many."""
    count = 0
    for i in range(ROWS):
        for j in range(COLUMNS):
            for c in range(CLASSES):
                if heat[i, j, c] < LEAST_HEAT or count == len(out) or not _is_peak(heat, i, j, c):
                    continue
                one = out[count]
                one.best, one.row, one.column = c, i, j
                for k in range(CLASSES):
                    # a warmer class here has its own peak: this one stands for what it is a peak of
                    one.heat[k] = min(heat[i, j, k], heat[i, j, c])
                count += 1
    return count


@kernel
def _read(maps: NDArray[np.float32], out: NDArray[np.void]) -> None:
    """Box, velocity and variances at each peak, over the heads."""
    for n in range(len(out)):
        one = out[n]
        cell = maps[one.row, one.column]
        s1, c1, s2, c2 = 0.0, 0.0, 0.0, 0.0
        for head in range(HEADS):
            at = head * RICH_OUT
            s1, c1, s2, c2 = s1 + cell[at + SIN], c1 + cell[at + COS], s2 + cell[at + SIN2], c2 + cell[at + COS2]
        axis = 0.5 * math.atan2(s2, c2)
        along = (s1 * math.sin(axis) + c1 * math.cos(axis)) / HEADS
        if along < 0.0:
            axis += math.pi if axis < 0.0 else -math.pi
        one.flip = 0.5 * (1.0 - min(abs(along), 1.0))
        for q in range(QUANTITIES):
            total, square, variance = 0.0, 0.0, 0.0
            for head in range(HEADS):
                at = head * RICH_OUT
                value = _quantity(cell, at, q, axis, one.row, one.column)
                total, square = total + value, square + value * value
                variance += math.exp(min(max(float(cell[at + LOG_VARIANCES + q]), _LEAST_LOG), _MOST_LOG))
            mean = total / HEADS
            one.spread[q] = max(square / HEADS - mean * mean, 0.0)
            one.mean[q], one.variance[q] = mean, variance / HEADS
        one.mean[2] = axis
        for q in (5, 6):
            # the heads speak of logarithms
            size = math.exp(min(max(one.mean[q], -3.0), 3.5))
            one.mean[q] = size
            one.variance[q] *= size * size
            one.spread[q] *= size * size
        total, square = 0.0, 0.0
        for head in range(HEADS):
            warm = _sigmoid(cell[head * RICH_OUT + HEAT + one.best])
            total, square = total + warm, square + warm * warm
        one.disagreement = math.sqrt(max(square / HEADS - (total / HEADS) ** 2, 0.0))


@kernel
def _quantity(cell: NDArray[np.float32], at: int, q: int, axis: float, row: int, column: int) -> float:
    """What one head says of a quantity; of the heading, how far it turns from `axis`, either end first."""
    if q == 0:
        return float(X0 + SIDE * (row + 0.5) + cell[at + DX])
    if q == 1:
        return float(Y0 + SIDE * (column + 0.5) + cell[at + DY])
    if q == 2:
        s2, c2 = cell[at + SIN2], cell[at + COS2]
        return float(
            0.5 * math.atan2(s2 * math.cos(2 * axis) - c2 * math.sin(2 * axis), c2 * math.cos(2 * axis) + s2 * math.sin(2 * axis))
        )
    if q == 3:
        return float(cell[at + VX])
    if q == 4:
        return float(cell[at + VY])
    return float(cell[at + LOG_LENGTH] if q == 5 else cell[at + LOG_WIDTH])


@kernel
def _suppress(found: NDArray[np.void]) -> None:
    """Of two candidates for one thing the warmer stays, and takes over what the other's class had; they come by falling heat."""
    for n in range(len(found)):
        one = found[n]
        if one.suppressed:
            continue
        for m in range(n + 1, len(found)):
            other = found[m]
            if other.suppressed:
                continue
            dx, dy = one.mean[0] - other.mean[0], one.mean[1] - other.mean[1]
            along = abs(dx * math.cos(one.mean[2]) + dy * math.sin(one.mean[2]))
            across = abs(dy * math.cos(one.mean[2]) - dx * math.sin(one.mean[2]))
            near = 0.6 if one.best == other.best else 0.8
            inside = along < 0.4 * one.mean[5] and across < 0.4 * one.mean[6]
            if dx * dx + dy * dy < near * near or inside:
                other.suppressed = 1
                one.heat[other.best] = max(one.heat[other.best], other.heat[other.best])


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
