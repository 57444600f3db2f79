"""What the network is asked to say of a sample: heat maps, regressions at the cells of each thing, coarse labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import INTENSITY, OFFSET, PAST_COUNT, PLACE, SEEN, X0, Y0
from avstack.perception.classes import Class
from avstack.perception.maps import COLUMNS, MEANS, ROWS, SIDE, STRIDE
from eval.perception.samples import Sample, beside, grid_of
from sim.jit import kernel

SIGMA = (1.0, 1.3, 0.55, 0.7, 0.5, 0.7, 0.55, 0.65)
"""Width [cells] of the spot of heat of each class."""
BESIDE = 0.25
"""Weight of the regressions in the cells next to a thing's own: the peak may come out there."""
WINDOW = (64, 64)
"""Rows and columns of `window_of`."""
_MOST = 9 * 80
_INTENSITY_GAIN = (0.7, 1.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """heat (8, ROWS, COLUMNS). rows, columns: (P,) cells with regressions; means: (P, MEANS) in the order of
    `avstack.perception.maps`; weights: (P,). around: (ROWS, COLUMNS) labels of `eval.perception.samples`; height; hidden."""

    features: NDArray[np.float32]
    heat: NDArray[np.float32]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    means: NDArray[np.float32]
    weights: NDArray[np.float32]
    around: NDArray[np.uint8]
    height: NDArray[np.float32]
    hidden: NDArray[np.bool_]


def targets_of(sample: Sample, random: np.random.Generator | None = None) -> Targets:
    """Features and targets; varied where `random` is given."""
    features, boxes, mirrored = grid_of(sample).features, sample.boxes, False
    if random is not None:
        features, boxes, mirrored, _ = varied(features, boxes, random)
    around, height, hidden = beside(sample.boxes, sample.around), sample.height.astype(np.float32), sample.hidden
    if mirrored:
        around, height, hidden = around[:, ::-1].copy(), height[:, ::-1].copy(), hidden[:, ::-1].copy()
    heat = np.zeros((len(Class), ROWS, COLUMNS), np.float32)
    cells, means, weights = np.zeros((_MOST, 2), np.int64), np.zeros((_MOST, MEANS), np.float32), np.zeros(_MOST, np.float32)
    count = _draw(boxes, np.array(SIGMA), heat, cells, means, weights)
    return Targets(
        features=features, heat=heat, rows=cells[:count, 0], columns=cells[:count, 1], means=means[:count],
        weights=weights[:count], around=around, height=height, hidden=hidden,
    )  # fmt: skip


def varied(
    features: NDArray[np.float32], boxes: NDArray[np.void], random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.void], bool, float]:
    """A scene with another intensity gain, and half the time with left and right changed; whether so, and that gain. `features`
    is written to."""
    gain = random.uniform(*_INTENSITY_GAIN)
    features[..., INTENSITY : INTENSITY + 2] *= gain
    if random.random() >= 0.5:
        return features, boxes, False, gain
    boxes = boxes.copy()
    for name in ("y", "heading", "vy"):
        boxes[name] *= -1.0
    return _mirrored(features), boxes, True, gain


def window_of(targets: Targets, random: np.random.Generator) -> Targets:
    """A part of the scene, WINDOW cells of the network's output, more often ahead: most of a scene is empty."""
    rows, columns = WINDOW
    # places where all scales of the network start a cell
    row = 4 * int(random.triangular(0.0, 0.6 * (ROWS - rows) / 4, (ROWS - rows) / 4 + 1.0))
    column = 4 * int(random.integers((COLUMNS - columns) // 4 + 1))
    row = min(row, ROWS - rows)
    inside = (targets.rows >= row) & (targets.rows < row + rows)
    inside &= (targets.columns >= column) & (targets.columns < column + columns)
    part = slice(row, row + rows), slice(column, column + columns)
    fine = slice(STRIDE * row, STRIDE * (row + rows)), slice(STRIDE * column, STRIDE * (column + columns))
    return Targets(
        features=targets.features[fine], heat=targets.heat[:, *part], rows=targets.rows[inside] - row,
        columns=targets.columns[inside] - column, means=targets.means[inside], weights=targets.weights[inside],
        around=targets.around[part], height=targets.height[part], hidden=targets.hidden[part],
    )  # fmt: skip


def _mirrored(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The grid with left and right changed."""
    turned = np.ascontiguousarray(features[:, ::-1])
    turned[..., OFFSET + 1] *= -1.0
    for channel in range(PAST_COUNT, SEEN, 3):
        turned[..., channel + 2] *= -1.0
    turned[..., PLACE + 1] *= -1.0
    return turned


@kernel
def _draw(
    boxes: NDArray[np.void], sigmas: NDArray[np.float64], heat: NDArray[np.float32], cells: NDArray[np.int64],
    means: NDArray[np.float32], weights: NDArray[np.float32],
) -> int:  # fmt: skip
    """Fill heat and regressions of the things with at least one return; returns how many cells have regressions."""
    count = 0
    for n in range(len(boxes)):
        box = boxes[n]
        u, v = (box.x - X0) / SIDE, (box.y - Y0) / SIDE
        row, column = int(math.floor(u)), int(math.floor(v))
        if box.points == 0 or not (0 <= row < ROWS and 0 <= column < COLUMNS):
            continue
        sigma = sigmas[box.label]
        for i in range(max(row - 3, 0), min(row + 4, ROWS)):
            for j in range(max(column - 3, 0), min(column + 4, COLUMNS)):
                square = (i + 0.5 - u) ** 2 + (j + 0.5 - v) ** 2
                warm = 1.0 if i == row and j == column else math.exp(-0.5 * square / (sigma * sigma))
                heat[box.label, i, j] = max(heat[box.label, i, j], warm)
                if abs(i - row) > 1 or abs(j - column) > 1 or count == len(cells):
                    continue
                cells[count, 0], cells[count, 1] = i, j
                weights[count] = 1.0 if i == row and j == column else BESIDE
                value = means[count]
                value[0], value[1] = box.x - X0 - SIDE * (i + 0.5), box.y - Y0 - SIDE * (j + 0.5)
                value[2], value[3] = math.log(box.length), math.log(box.width)
                value[4], value[5] = math.sin(box.heading), math.cos(box.heading)
                value[6], value[7] = math.sin(2.0 * box.heading), math.cos(2.0 * box.heading)
                value[8], value[9] = box.vx, box.vy
                count += 1
    return count
