"""Detections and truths of many frames in two tables, matched: what calibration is fitted on and evaluation is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avstack.perception.arbitration import arbitrate
from avstack.perception.bev import X0, Y0
from avstack.perception.calibration import Calibration
from avstack.perception.classes import Class
from avstack.perception.coarse import away, coarse_grid, returned, window
from avstack.perception.decode import CANDIDATE_DTYPE
from avstack.perception.detect import interpret
from avstack.perception.maps import COLUMNS, ROWS, SIDE
from avstack.perception.network import Network, answers
from eval.perception.measures import MATCHED, match
from eval.perception.samples import BESIDE, BOX_DTYPE, FREE, Sample, beside, grid_of
from eval.perception.told import Told, told_of
from sim.interface import Kind
from sim.jit import kernel
from sim.sensors.things import THING_NAMES

AREA = 50.0
"""m: what is scored lies at most so far off, ahead of the ego's centre, and gives at least one return."""
NEAR = 40.0
"""m: where the coarse answer must not miss anything."""
CELL_STEPS = 101
"""Thresholds at which coarse misses and false alarms are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Raw answers of the network to frames F, with the truth.

    candidates (N,) CANDIDATE_DTYPE uncalibrated, frame (N,); boxes (T,) BOX_DTYPE, box_frame (T,); signal (F, 3), scene (F,).
    around: (T,) greatest learned P(must go around) at each box, of cells in which anything returned; stands: (T,) whether the
    geometric check finds it. free: (F, CELL_STEPS) free cells, within NEAR ahead and seen, at or above each threshold; geometric:
    (F, CELL_STEPS) those below it that the geometric check flags; cells: (F,) free ones. told: (T,) as `Told.around`; through:
    (T,) as `Told.through`; false: (F,) as `Told.false`; all zeros where there was no calibration yet. solid: (N,) solidity at
    each candidate; open_way: (N,) P(must go around) there.
    """

    candidates: NDArray[np.void]
    frame: NDArray[np.int64]
    boxes: NDArray[np.void]
    box_frame: NDArray[np.int64]
    signal: NDArray[np.float32]
    scene: NDArray[np.int64]
    around: NDArray[np.float32]
    stands: NDArray[np.bool_]
    free: NDArray[np.int64]
    geometric: NDArray[np.int64]
    cells: NDArray[np.int64]
    told: NDArray[np.float32]
    through: NDArray[np.bool_]
    false: NDArray[np.int64]
    solid: NDArray[np.float32]
    open_way: NDArray[np.float32]


def run_network(network: Network, samples: Iterable[Sample], calibration: Calibration | None = None) -> Frames:
    """The network's answers to samples, before any calibration; and, with one, what arbitration makes of them."""
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in Frames.__dataclass_fields__}
    for number, sample in enumerate(samples):
        grid = grid_of(sample)
        maps, found = answers(network, grid)
        coarse = coarse_grid(maps, grid.features, 2.0)  # no probability reaches it: `blocked` is the geometric check alone
        blocking = np.where(returned(grid.features), coarse.around, np.float32(0.0))
        boxes = sample.boxes
        around, stands = np.zeros(len(boxes), np.float32), np.zeros(len(boxes), np.bool_)
        look_at_boxes(boxes, blocking, coarse.blocked, around, stands)
        free = _free(sample)
        flagged = _flagged(free, blocking, coarse.blocked)
        told = Told(around=np.zeros(len(boxes), np.float32), through=np.zeros(len(boxes), np.bool_), false=0)
        if calibration is not None:
            detections = replace(interpret(maps, found, grid, calibration), stood=sample.stood)
            told = told_of(arbitrate(detections), boxes, free)
        row = {
            "candidates": found, "frame": np.full(len(found), number), "boxes": boxes, "box_frame": np.full(len(boxes), number),
            "signal": sample.signal[None], "scene": np.array([sample.scene]), "around": around, "stands": stands,
            "free": flagged[0][None], "geometric": flagged[1][None], "cells": np.array([np.count_nonzero(free)]),
            "told": told.around, "through": told.through, "false": np.array([told.false]),
            "solid": coarse.solid[found["row"], found["column"]], "open_way": coarse.around[found["row"], found["column"]],
        }  # fmt: skip
        for name, value in row.items():
            parts[name].append(value)
    if not parts["scene"]:
        raise ValueError("no samples to look at")
    joined = {name: np.concatenate(pieces) for name, pieces in parts.items()}
    joined["candidates"] = joined["candidates"].astype(CANDIDATE_DTYPE)
    joined["boxes"] = joined["boxes"].astype(BOX_DTYPE)
    return Frames(**joined)


def _free(sample: Sample) -> NDArray[np.bool_]:
    """(ROWS, COLUMNS) cells that are free and seen, ahead within NEAR."""
    x = X0 + SIDE * (np.arange(ROWS)[:, None] + 0.5)
    y = Y0 + SIDE * (np.arange(COLUMNS)[None, :] + 0.5)
    return np.asarray((beside(sample.boxes, sample.around) == FREE) & ~sample.hidden & (x > 0.0) & (np.hypot(x, y) < NEAR))


def _flagged(
    free: NDArray[np.bool_], blocking: NDArray[np.float32], stands: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(CELL_STEPS,) each: free cells at or above each threshold, and those below it that the geometric check flags."""
    steps = np.linspace(0.0, 1.0, CELL_STEPS)
    own, standing = np.sort(blocking[free]), np.sort(blocking[free & stands])
    return len(own) - np.searchsorted(own, steps, side="left"), np.searchsorted(standing, steps, side="left")


@kernel
def look_at_boxes(
    boxes: NDArray[np.void], around: NDArray[np.float32], stands: NDArray[np.bool_], most: NDArray[np.float32],
    found: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Of the cells in, or BESIDE, each footprint the greatest `around`, and whether any `stands`."""
    for n in range(len(boxes)):
        box = boxes[n]
        cos, sin = np.cos(box.heading), np.sin(box.heading)
        i0, i1, j0, j1 = window(box.x, box.y, 0.5 * (box.length + box.width) + 1.5)
        for i in range(i0, i1):
            for j in range(j0, j1):
                along, across = away(i, j, box.x, box.y, cos, sin)
                if along <= 0.5 * box.length + BESIDE and across <= 0.5 * box.width + BESIDE:
                    most[n] = max(most[n], around[i, j])
                    found[n] = found[n] or stands[i, j]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """marks (N,) of `eval.perception.measures` at MATCHED within classes; truth (N,) index of the box or -1; away (N,) [m]; any:
    (N,) index of the nearest box of whatever class within MATCHED, or -1."""

    marks: NDArray[np.int64]
    truth: NDArray[np.int64]
    away: NDArray[np.float64]
    any: NDArray[np.int64]


def in_area(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether a place is ahead and within AREA."""
    return np.asarray((x > 0.0) & (np.hypot(x, y) <= AREA))


def scored(boxes: NDArray[np.void]) -> NDArray[np.bool_]:
    """Boxes that count: in the area, with at least one return."""
    return in_area(boxes["x"], boxes["y"]) & (boxes["points"] > 0)


def match_frames(frames: Frames, scores: NDArray[np.floating], distance: float = MATCHED, *, everywhere: bool = False) -> Matches:
    """Match candidates and boxes class by class, in the area that is scored or `everywhere` in the grid."""
    found, boxes = frames.candidates, frames.boxes
    places = found["mean"][:, :2]
    truth_places = np.stack([boxes["x"], boxes["y"]], axis=1).astype(np.float64)
    marks, truth = np.full(len(found), -1), np.full(len(found), -1)
    for one in Class:
        of = np.flatnonzero(found["best"] == one)
        marks[of], truth[of] = match_class(frames, scores, of, one, distance, everywhere=everywhere)
    away = np.full(len(found), np.inf)
    hit = truth >= 0
    away[hit] = np.hypot(*(places[hit] - truth_places[truth[hit]]).T)
    nearest = _nearest(frames, places, truth_places)
    return Matches(marks=marks, truth=truth, away=away, any=nearest)


def match_class(
    frames: Frames, scores: NDArray[np.floating], of: NDArray[np.int64], one: Class, distance: float, *, everywhere: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(marks, index of the box or -1) of the candidates `of`, taken for things of one class."""
    boxes = frames.boxes
    of_truth = np.flatnonzero(boxes["label"] == one)
    places = frames.candidates["mean"][of, :2]
    truth_places = np.stack([boxes["x"], boxes["y"]], axis=1).astype(np.float64)[of_truth]
    counted = (boxes["points"][of_truth] > 0) & (in_area(*truth_places.T) | everywhere)
    marks, which = match(
        frames.frame[of], np.asarray(scores, np.float64)[of], places, in_area(*places.T) | everywhere, frames.box_frame[of_truth],
        truth_places, counted, distance,
    )  # fmt: skip
    return marks, np.where(which >= 0, of_truth[which] if len(of_truth) else -1, -1)


def _nearest(frames: Frames, places: NDArray[np.float64], truth_places: NDArray[np.float64]) -> NDArray[np.int64]:
    """The nearest box with returns, of whatever class, within MATCHED of each candidate."""
    nearest = np.full(len(places), -1)
    ends = np.searchsorted(frames.box_frame, np.arange(len(frames.scene) + 1))
    for n, frame in enumerate(frames.frame):
        own = np.arange(ends[frame], ends[frame + 1])
        own = own[frames.boxes["points"][own] > 0]
        if len(own):
            away = np.hypot(*(truth_places[own] - places[n]).T)
            k = int(np.argmin(away))
            if away[k] < MATCHED:
                nearest[n] = own[k]
    return nearest


def kind_name(box: NDArray[np.void]) -> str:
    """Name of the kind of a box: a thing's own, or a road user's."""
    return THING_NAMES[int(box["thing"])] if int(box["thing"]) >= 0 else Kind(int(box["kind"])).name.lower()


def by_frame_signal(frames: Frames) -> NDArray[np.float32]:
    """(N, 3) density signal of each candidate's frame."""
    return np.asarray(frames.signal[frames.frame], np.float32)
