"""Frames whose figures are known."""

from __future__ import annotations

import numpy as np

from avstack.perception.classes import Class
from avstack.perception.decode import CANDIDATE_DTYPE
from eval.perception.judged import CELL_STEPS, Frames
from eval.perception.samples import BOX_DTYPE


def invented(count: int = 600, *, bold: float = 1.0, missed: float = 0.0, seed: int = 0) -> Frames:
    """Frames with three cars each, found with errors of 0.2 m; the heat of a candidate is the chance that it is one, to the power
    of 1 / `bold`; the network believes in errors of 0.1 m. missed: share that the coarse answer misses."""
    random = np.random.default_rng(seed)
    boxes = np.zeros(3 * count, BOX_DTYPE)
    frame = np.repeat(np.arange(count), 3)
    boxes["x"], boxes["y"] = np.tile([8.0, 18.0, 30.0], count), random.uniform(-8.0, 8.0, 3 * count)
    boxes["length"], boxes["width"], boxes["points"], boxes["solid"], boxes["thing"] = 4.5, 1.8, 30, 1, -1
    found = np.zeros(3 * count, CANDIDATE_DTYPE)
    chance = random.uniform(0.05, 1.0, 3 * count)
    there = random.random(3 * count) < chance
    found["heat"][:, Class.VEHICLE] = np.clip(chance ** (1.0 / bold), 0.01, 0.99)
    found["mean"][:, 0] = boxes["x"] + 0.2 * random.standard_normal(3 * count)
    found["mean"][:, 1] = np.where(there, boxes["y"] + 0.2 * random.standard_normal(3 * count), boxes["y"] + 6.0)
    for q, name in ((2, "heading"), (3, "vx"), (4, "vy"), (5, "length"), (6, "width")):
        found["mean"][:, q] = boxes[name] + 0.2 * random.standard_normal(3 * count)
    found["variance"], found["flip"], found["points"], found["expected"] = 0.01, 0.1, 30, 40.0
    around = np.where(random.random(3 * count) < missed, 0.0, random.uniform(0.5, 1.0, 3 * count)).astype(np.float32)
    return Frames(
        candidates=found, frame=frame, boxes=boxes, box_frame=frame,
        signal=np.tile(np.array([0.12, 0.4, 10.0], np.float32), (count, 1)),
        scene=np.arange(count) // 4, around=around, stands=np.zeros(3 * count, np.bool_),
        free=np.zeros((count, CELL_STEPS), np.int64), geometric=np.zeros((count, CELL_STEPS), np.int64),
        cells=np.full(count, 100),
        told=around.copy(), through=np.zeros(3 * count, np.bool_), false=np.zeros(count, np.int64),
        solid=np.ones(3 * count, np.float32), open_way=np.ones(3 * count, np.float32),
    )  # fmt: skip
