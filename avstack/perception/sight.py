"""How far one can see, from a sweep: in each direction up to the first thing that stands as high as what it would hide, and ahead
as far as a thing that stands free would be found.

Flakes, drops and fog give returns too, but most rays go through: what blocks sight stops more rays than pass it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import BLOCK, CELL, EYE, X0, Y0
from sim.interface import SECTORS
from sim.jit import kernel

LOWEST, HIGHEST = 0.9, 2.5  # m above the ground, of what hides a person
NEAREST, STEP, FARTHEST = 2.0, 0.5, 60.0  # m
RETURNS = 3
"""Least returns of a sector in two neighbouring steps."""
FOUND_HEIGHT = 1.4
"""m; whatever stands so high, as any car and nearly all people do, is met by a ring at least within the reach."""


def reach_of_rings(apart: float) -> float:
    """How far [m] something FOUND_HEIGHT high is met by a ring at least; apart: rise per metre from one ring to the next."""
    return FOUND_HEIGHT / apart


def lines_of_sight(points: NDArray[np.float32], ground: NDArray[np.float32], reach: float) -> NDArray[np.float32]:
    """(SECTORS,) distance [m] to what blocks sight, as `SensorFrame.sight`; `reach` where nothing does.

    points: (N, 5) ego frame; ground: height [m] by blocks, as `bev.Grid.ground`.
    """
    out = np.full(SECTORS, reach, np.float32)
    work = np.zeros((2, SECTORS, int(FARTHEST / STEP) + 1), np.int64)
    _look(points, ground, work[0], work[1], out)
    out.setflags(write=False)
    return out


@kernel
def _look(
    points: NDArray[np.float32], ground: NDArray[np.float32], counts: NDArray[np.int64], passing: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Count by sector and distance what stands, and the rays that pass as high, and note the first step of each sector at which
    more stop than pass."""
    side = BLOCK * CELL
    for k in range(len(points)):
        x, y, z = float(points[k, 0]), float(points[k, 1]), float(points[k, 2])
        r = math.sqrt(x * x + y * y)
        if not (r > NEAREST and math.isfinite(z)):
            continue
        i = min(max(int((x - X0) / side), 0), ground.shape[0] - 1)
        j = min(max(int((y - Y0) / side), 0), ground.shape[1] - 1)
        height = z - ground[i, j]
        turn = math.atan2(y, x) / (2.0 * math.pi)
        sector = int((turn - math.floor(turn)) * SECTORS) % SECTORS
        if r < FARTHEST and LOWEST < height < HIGHEST:
            counts[sector, int(r / STEP)] += 1
        # up to where the ray leaves the heights in question, it has passed what stands there
        left = 1.0
        if height < LOWEST:
            left = (EYE - LOWEST) / (EYE - height)
        elif height > HIGHEST:
            left = (HIGHEST - EYE) / (height - EYE)
        passing[sector, min(int(left * r / STEP), passing.shape[1] - 1)] += 1
    for sector in range(SECTORS):
        for step in range(passing.shape[1] - 2, -1, -1):
            passing[sector, step] += passing[sector, step + 1]
    for sector in range(SECTORS):
        for step in range(counts.shape[1] - 1):
            stop = counts[sector, step] + counts[sector, step + 1]
            beyond = passing[sector, step + 2] if step + 2 < passing.shape[1] else 0
            if stop >= max(RETURNS, beyond):
                out[sector] = min(out[sector], (step + (0 if counts[sector, step] > 0 else 1)) * STEP)
                break
