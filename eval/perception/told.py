"""What the stack would go by after one sweep: the things that arbitration gives out, held against the bodies that are there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import X0, Y0
from avstack.perception.caution import FAINT
from avstack.perception.maps import COLUMNS, ROWS, SIDE
from avstack.perception.perceive import LIDAR_TRACKING
from avstack.perception.percepts import DRIVEN_THROUGH, EXISTS
from eval.perception.samples import BESIDE
from sim.geometry import box_gap
from sim.jit import kernel


def _lasting(existence: float) -> float:
    """The probability that a thing has to be told with, sweep after sweep, for its track to keep so much existence: the log odds
    of a track stay what they are where score_weight × log odds told = forget × log odds of the track."""
    odds = math.log(existence / (1.0 - existence)) * LIDAR_TRACKING.forget / LIDAR_TRACKING.score_weight
    return 1.0 / (1.0 + math.exp(-odds))


TOLD, HINTED = _lasting(EXISTS), _lasting(FAINT)
"""From the first on a thing is gone around, from the second on it slows the car."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Of one sweep. around: (B,) greatest probability that something, not to be driven through, is told on each body; through:
    (B,) whether something that would be driven through is told on it; false: things told where the road is free and seen."""

    around: NDArray[np.float32]
    through: NDArray[np.bool_]
    false: int


def told_of(things: NDArray[np.void], boxes: NDArray[np.void], free: NDArray[np.bool_]) -> Told:
    """things: (N,) of `arbitrate`; boxes: (B,) BOX_DTYPE; free: (ROWS, COLUMNS) cells in which nothing is, and which are seen.

    A thing is told on a body where their boxes are less than BESIDE apart.
    """
    around, through = np.zeros(len(boxes), np.float32), np.zeros(len(boxes), np.bool_)
    driven = things["drive_through"] >= DRIVEN_THROUGH
    _look(things, driven, boxes, around, through)
    reckoned = things[(things["score"] >= TOLD) & ~driven]
    cells = np.floor((reckoned["mean"][:, :2] - (X0, Y0)) / SIDE).astype(np.int64)
    i, j = cells[np.all((cells >= 0) & (cells < (ROWS, COLUMNS)), axis=1)].T
    return Told(around=around, through=through, false=int(np.count_nonzero(free[i, j])))


@kernel
def _look(
    things: NDArray[np.void], driven: NDArray[np.bool_], boxes: NDArray[np.void], around: NDArray[np.float32],
    through: NDArray[np.bool_],
) -> None:  # fmt: skip
    for n in range(len(things)):
        mean = things[n].mean
        cos, sin = math.cos(mean[2]), math.sin(mean[2])
        for k in range(len(boxes)):
            box = boxes[k]
            gap = box_gap(
                mean[0], mean[1], cos, sin, 0.5 * mean[5], 0.5 * mean[6],
                box.x, box.y, math.cos(box.heading), math.sin(box.heading), 0.5 * box.length, 0.5 * box.width,
            )  # fmt: skip
            if gap >= BESIDE:
                continue
            if driven[n]:
                through[k] = True
            else:
                around[k] = max(around[k], things[n].score)
