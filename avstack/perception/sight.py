"""How far one can see in each direction, from a sweep: up to the first thing that stands as high as what it would hide."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import BLOCK, CELL, X0, Y0
from sim.interface import SECTORS
from sim.jit import kernel

LOWEST, HIGHEST = 0.9, 2.5  # m above the ground, of what hides a person
NEAREST, STEP, FARTHEST = 2.0, 0.5, 60.0  # m
RETURNS = 3
"""Least returns of a sector in two neighbouring steps; flakes and drops give fewer."""


def lines_of_sight(points: NDArray[np.float32], ground: NDArray[np.float32], reach: float) -> NDArray[np.float32]:
    """(SECTORS,) distance [m] to what blocks sight, as `SensorFrame.sight`; `reach` where nothing does.

    points: (N, 5) ego frame; ground: height [m] by blocks, as `bev.Grid.ground`.
    """
    out = np.full(SECTORS, reach, np.float32)
    counts = np.zeros((SECTORS, int(FARTHEST / STEP) + 1), np.int64)
    _look(points, ground, counts, out)
    out.setflags(write=False)
    return out


@kernel
def _look(points: NDArray[np.float32], ground: NDArray[np.float32], counts: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Count what stands by sector and distance, and note the first step of each sector that is dense enough."""
    side = BLOCK * CELL
    for k in range(len(points)):
        x, y, z = float(points[k, 0]), float(points[k, 1]), float(points[k, 2])
        r = math.sqrt(x * x + y * y)
        if not (NEAREST < r < FARTHEST and math.isfinite(z)):
            continue
        i = min(max(int((x - X0) / side), 0), ground.shape[0] - 1)
        j = min(max(int((y - Y0) / side), 0), ground.shape[1] - 1)
        if LOWEST < z - ground[i, j] < HIGHEST:
            turn = math.atan2(y, x) / (2.0 * math.pi)
            counts[int((turn - math.floor(turn)) * SECTORS) % SECTORS, int(r / STEP)] += 1
    for sector in range(SECTORS):
        for step in range(counts.shape[1] - 1):
            if counts[sector, step] + counts[sector, step + 1] >= RETURNS:
                out[sector] = min(out[sector], (step + (0 if counts[sector, step] > 0 else 1)) * STEP)
                break
