"""The coarse answer: where something is in the way, whatever it is.

Cells of 1 m, indexed as in `avstack.perception.maps`. The learned probability is OR-ed with a geometric check: what stands in
this sweep and stood there in an earlier one is there, unless the model is sure that it is thin. A cell in which nothing returned
does not block: behind things, and between the rings, the road is unseen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import BINS, PAST_COUNT, SHAPE, TOP, X0, Y0
from avstack.perception.maps import AROUND, COARSE, COARSE_OUT, COLUMNS, HEIGHT, HIDDEN, ROWS, SIDE, SOLID, STRIDE
from sim.jit import kernel

SOLID_ENOUGH = 0.2
"""Least solidity of what the geometric check takes for an obstacle."""
RETURNS = 2
"""Least returns of a cell, in this sweep and in an earlier one, for the geometric check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoarseGrid:
    """(ROWS, COLUMNS) float32 each. around: P(must go around); hidden: P(not observed); solid: P(solid) where there is something;
    height: of it [m]; blocked: bool, what has to be gone around."""

    around: NDArray[np.float32]
    hidden: NDArray[np.float32]
    solid: NDArray[np.float32]
    height: NDArray[np.float32]
    blocked: NDArray[np.bool_]


def coarse_grid(maps: NDArray[np.float32], features: NDArray[np.float32], threshold: float) -> CoarseGrid:
    """The coarse answer from the network's maps and the grid's own features."""
    out = np.empty((COARSE_OUT, ROWS, COLUMNS), np.float32)
    stands = np.zeros((ROWS, COLUMNS), np.bool_)
    _probabilities(maps, out)
    _persistent(features, stands)
    blocked = ((out[AROUND] >= threshold) & returned(features)) | (stands & (out[SOLID] >= SOLID_ENOUGH))
    for array in (out, blocked):
        array.setflags(write=False)
    return CoarseGrid(around=out[AROUND], hidden=out[HIDDEN], solid=out[SOLID], height=out[HEIGHT], blocked=blocked)


def returned(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(ROWS, COLUMNS) cells in which anything returned in this sweep."""
    found = np.zeros((ROWS, COLUMNS), np.bool_)
    _returned(features, found)
    return found


@kernel
def _returned(features: NDArray[np.float32], out: NDArray[np.bool_]) -> None:
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            for k in range(BINS, TOP):
                if features[i, j, k] > 0.0:
                    out[i // STRIDE, j // STRIDE] = True
                    break


@kernel
def _probabilities(maps: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for i in range(ROWS):
        for j in range(COLUMNS):
            for k in range(COARSE_OUT):
                value = maps[i, j, COARSE + k]
                out[k, i, j] = max(value, np.float32(0.0)) if k == HEIGHT else 1.0 / (1.0 + math.exp(-value))


@kernel
def _persistent(features: NDArray[np.float32], out: NDArray[np.bool_]) -> None:
    """Note the cells in which RETURNS stand now and, there or next to it, stood in an earlier sweep."""
    least = math.log1p(RETURNS) - 1e-3
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            now = 0.0
            for k in range(BINS + 1, BINS + 6):
                if features[i, j, k] > 0.0:
                    now += math.expm1(features[i, j, k])
            if now < RETURNS - 0.5:
                continue
            for a in range(max(i - 1, 0), min(i + 2, SHAPE[0])):
                for b in range(max(j - 1, 0), min(j + 2, SHAPE[1])):
                    if features[a, b, PAST_COUNT] >= least or features[a, b, PAST_COUNT + 3] >= least:
                        out[i // STRIDE, j // STRIDE] = True


@kernel
def window(x: float, y: float, reach: float) -> tuple[int, int, int, int]:
    """First and past-last row and column of the cells within `reach` [m] of a place along each axis."""
    i0, i1 = int((x - reach - X0) / SIDE), int((x + reach - X0) / SIDE) + 1
    j0, j1 = int((y - reach - Y0) / SIDE), int((y + reach - Y0) / SIDE) + 1
    return max(i0, 0), min(i1, ROWS), max(j0, 0), min(j1, COLUMNS)


@kernel
def away(i: int, j: int, x: float, y: float, cos: float, sin: float) -> tuple[float, float]:
    """How far [m] the middle of a cell is from a place, along a direction and across it."""
    dx, dy = X0 + SIDE * (i + 0.5) - x, Y0 + SIDE * (j + 0.5) - y
    return abs(dx * cos + dy * sin), abs(dy * cos - dx * sin)
