"""Who answers for what: the rich model where it is trusted, the coarse one elsewhere, and boxes round what nobody has a name for.

- A thing that the rich model is to be trusted with is what the rich model says, and explains the returns in its box.
- A thing that it is not to be trusted with, but more or less sure of, is there at least as likely as the coarse model says for
  the returns in its box; one that it is hardly sure of explains nothing.
- What returns are left on the road, in cells that block, where something returned in an earlier sweep too, hang together in
  boxes of unknown class and motion, and are there as likely as the coarse model says. Where nothing returned there is nothing to
  go around: behind things the road is unseen, not blocked.

Ego frame; a return is a place (x, y) of the newest sweep at which something stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import CELL, SHAPE, X0, Y0
from avstack.perception.classes import Class
from avstack.perception.detect import DETECTION_DTYPE, Detections
from avstack.perception.maps import STRIDE
from avstack.perception.percepts import COARSE, RICH
from sim.interface import TICK_S, Floats
from sim.jit import kernel

BESIDE_M = 0.6  # m round a box within which returns are of the thing
FASTEST = 30.0  # m/s that are believed of what one sweep says moves
LONGEST_M = 6.0  # m; what hangs together over more is told in pieces of at most that
ANSWERS = ("layered", "rich", "coarse")
LEAST = 0.05  # probability below which nothing is told
SURE = 0.3  # score from which a thing that is not trusted has a box to go by
LEAST_SIDE = 0.3  # m
ANGLES = 6
"""Directions between 0 and 90 degrees in which a box may lie."""
_SPREAD = (0.2, 0.2, 0.8, 3.0, 3.0, 0.8, 0.8)
"""Standard errors of x, y, heading, vx, vy, length, width of a box round returns: its far side is not seen, nor its motion."""
_OBJECTS = int(Class.CONE)
"""First of the classes that are no road users."""
MOST = 4000
"""Returns that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptionConfig:
    """answers: one of ANSWERS, both models, or one of them alone; calibrated: their numbers as they were fitted, else as the
    network gives them. Other than the defaults for ablations."""

    answers: str = "layered"
    calibrated: bool = True

    def __post_init__(self) -> None:
        if self.answers not in ANSWERS:
            raise ValueError(f"PerceptionConfig.answers must be one of {', '.join(ANSWERS)}, got {self.answers!r}")


def arbitrate(
    detections: Detections, on_road: NDArray[np.bool_] | None = None, config: PerceptionConfig | None = None
) -> NDArray[np.void]:
    """(N,) DETECTION_DTYPE: the things of one sweep with the coarse model's word, then boxes round what they do not explain.

    on_road: (M,) which of `detections.standing` lie where one drives; None where there is no map: all of them.
    """
    answers = (config or PerceptionConfig()).answers
    things, grid = detections.things.copy(), detections.grid
    if answers == "rich":
        things["source"] = RICH
        things["drive_through"] = things["class_probability"][:, Class.DRIVE_THROUGH]
        return things
    if answers == "coarse":
        things = things[:0]
    places = detections.standing
    likely = np.zeros(len(places), np.float32)
    _likelihoods(places, grid.around, grid.blocked, likely)
    use = likely >= LEAST
    if on_road is not None:
        use &= on_road
    near, likely = places[use][:MOST].astype(np.float64), likely[use][:MOST]
    lasts = np.ones(len(near), np.bool_) if detections.stood is None else detections.stood[use][:MOST]
    explained = np.zeros(len(near), np.bool_)
    _explain(things, near, likely, lasts, explained)
    left = lasts & ~explained
    found = np.concatenate([things, _boxes(near[left], likely[left])])
    found.setflags(write=False)
    return found


@kernel
def _likelihoods(
    places: NDArray[np.float32], around: NDArray[np.float32], blocked: NDArray[np.bool_], out: NDArray[np.float32]
) -> None:
    """P(must go around) of the cells of places (M, 2), 0 for cells that do not block."""
    side = CELL * STRIDE
    for k in range(len(places)):
        i, j = int((places[k, 0] - X0) / side), int((places[k, 1] - Y0) / side)
        if 0 <= i < blocked.shape[0] and 0 <= j < blocked.shape[1] and blocked[i, j]:
            out[k] = around[i, j]


@kernel
def _explain(
    things: NDArray[np.void], places: Floats, likely: NDArray[np.float32], lasts: NDArray[np.bool_], explained: NDArray[np.bool_]
) -> None:
    """Note which returns are of a thing; one that is not trusted is as likely as they are, if that is more. Where no return
    that blocks is in its box, nobody but the rich model answers for it: it is in nobody's way, or not there. Objects, of all
    sizes, reach as far as their returns do that last. Returns of what moves are where it was, up to a sweep ago."""
    for n in range(len(things)):
        thing = things[n]
        trusted, sure = thing.source == RICH, thing.score >= SURE
        x, y, cos, sin = thing.mean[0], thing.mean[1], math.cos(thing.mean[2]), math.sin(thing.mean[2])
        length, width = 0.5 * thing.mean[5] + BESIDE_M, 0.5 * thing.mean[6] + BESIDE_M
        moved = TICK_S * min(max(thing.mean[3] * cos + thing.mean[4] * sin, -FASTEST), FASTEST)
        back, front = -length - max(moved, 0.0), length - min(moved, 0.0)
        most, low_a, high_a = 0.0, -0.5 * thing.mean[5], 0.5 * thing.mean[5]
        low_b, high_b = -0.5 * thing.mean[6], 0.5 * thing.mean[6]
        for k in range(len(places)):
            dx, dy = places[k, 0] - x, places[k, 1] - y
            a, b = dx * cos + dy * sin, dy * cos - dx * sin
            if back <= a <= front and abs(b) <= width:
                explained[k] = explained[k] or trusted or sure
                most = max(most, float(likely[k]))
                if lasts[k]:
                    low_a, high_a, low_b, high_b = min(low_a, a), max(high_a, a), min(low_b, b), max(high_b, b)
        if thing.label >= _OBJECTS:
            a, b = 0.5 * (low_a + high_a), 0.5 * (low_b + high_b)
            thing.mean[0], thing.mean[1] = x + a * cos - b * sin, y + a * sin + b * cos
            thing.mean[5], thing.mean[6] = high_a - low_a, high_b - low_b
        if trusted:
            continue
        if most == 0.0:
            thing.source = RICH
        elif sure:
            thing.score = max(float(thing.score), most)


def _boxes(places: Floats, likely: NDArray[np.float32]) -> NDArray[np.void]:
    """Boxes round places (M, 2) that hang together."""
    labels = np.full(len(places), -1, np.int64)
    count = _connect(places, np.full(SHAPE, -1, np.int64), labels, np.full((2, len(places)), -1, np.int64))
    boxes, scores = np.zeros((4 * count + 16, 6)), np.zeros(4 * count + 16)
    used = _fit(places, likely, labels, count, boxes, scores)
    boxes, scores = boxes[:used], scores[:used]
    found = np.zeros(used, DETECTION_DTYPE)
    found["label"], found["source"], found["score"], found["blob"] = int(Class.UNKNOWN), COARSE, scores, 1
    found["class_probability"][:, Class.UNKNOWN] = 1.0
    found["mean"][:, [0, 1, 2, 5, 6]] = boxes[:, :5]
    found["points"] = boxes[:, 5]
    found["covariance"][:, np.arange(7), np.arange(7)] = np.square(_SPREAD)
    found["flip"] = 0.5
    return found


@kernel
def _connect(places: Floats, cells: NDArray[np.int64], labels: NDArray[np.int64], work: NDArray[np.int64]) -> int:
    """Label places in touching cells (8 neighbours) alike; returns how many labels. cells: SHAPE, and work: (2, M), of -1."""
    following, stack = work[0], work[1]  # places of one cell in a chain; those to go on from
    for k in range(len(places)):
        i, j = int((places[k, 0] - X0) / CELL), int((places[k, 1] - Y0) / CELL)
        following[k] = cells[i, j]
        cells[i, j] = k
    count = 0
    for seed in range(len(places)):
        if labels[seed] >= 0:
            continue
        top = 1
        stack[0] = seed
        labels[seed] = count
        while top > 0:
            top -= 1
            k = stack[top]
            i, j = int((places[k, 0] - X0) / CELL), int((places[k, 1] - Y0) / CELL)
            for a in range(max(i - 1, 0), min(i + 2, SHAPE[0])):
                for b in range(max(j - 1, 0), min(j + 2, SHAPE[1])):
                    other = cells[a, b]
                    while other >= 0:
                        if labels[other] < 0:
                            labels[other] = count
                            stack[top] = other
                            top += 1
                        other = following[other]
        count += 1
    return count


@kernel
def _fit(
    places: Floats, likely: NDArray[np.float32], labels: NDArray[np.int64], count: int, boxes: Floats, scores: Floats
) -> int:
    """Write the smallest box of each label (x, y, heading, length, width, returns), long ones in pieces; returns how many."""
    used = 0
    for label in range(count):
        best, best_angle = np.inf, 0.0
        for turn in range(ANGLES):
            angle = turn * 0.5 * math.pi / ANGLES
            low_a, high_a, low_b, high_b = _extent(places, labels, label, angle)
            area = (high_a - low_a + LEAST_SIDE) * (high_b - low_b + LEAST_SIDE)
            if area < best - 1e-9:
                best, best_angle = area, angle
        low_a, high_a, low_b, high_b = _extent(places, labels, label, best_angle)
        if high_b - low_b > high_a - low_a:
            best_angle += 0.5 * math.pi
            low_a, high_a, low_b, high_b = low_b, high_b, -high_a, -low_a
        pieces = int((high_a - low_a) / LONGEST_M) + 1
        cos, sin = math.cos(best_angle), math.sin(best_angle)
        for piece in range(pieces):
            if used == len(boxes):
                return used
            begin = low_a + (high_a - low_a) * piece / pieces
            end = low_a + (high_a - low_a) * (piece + 1) / pieces
            used += _box_of(places, likely, labels, label, cos, sin, begin - 1e-6, end + 1e-6, boxes[used], scores, used)
    return used


@kernel
def _extent(places: Floats, labels: NDArray[np.int64], label: int, angle: float) -> tuple[float, float, float, float]:
    """Least and greatest coordinates of a label's places along a direction and across it."""
    cos, sin = math.cos(angle), math.sin(angle)
    low_a, high_a, low_b, high_b = np.inf, -np.inf, np.inf, -np.inf
    for k in range(len(places)):
        if labels[k] == label:
            a, b = places[k, 0] * cos + places[k, 1] * sin, places[k, 1] * cos - places[k, 0] * sin
            low_a, high_a, low_b, high_b = min(low_a, a), max(high_a, a), min(low_b, b), max(high_b, b)
    return low_a, high_a, low_b, high_b


@kernel
def _box_of(
    places: Floats, likely: NDArray[np.float32], labels: NDArray[np.int64], label: int, cos: float, sin: float, begin: float,
    end: float, box: Floats, scores: Floats, used: int,
) -> int:  # fmt: skip
    """Write the box of a label's places between begin and end along (cos, sin); returns 1, or 0 where there are none."""
    low_a, high_a, low_b, high_b = np.inf, -np.inf, np.inf, -np.inf
    count, most = 0, 0.0
    for k in range(len(places)):
        if labels[k] != label:
            continue
        a, b = places[k, 0] * cos + places[k, 1] * sin, places[k, 1] * cos - places[k, 0] * sin
        if begin <= a <= end:
            low_a, high_a, low_b, high_b = min(low_a, a), max(high_a, a), min(low_b, b), max(high_b, b)
            count += 1
            most = max(most, float(likely[k]))
    if count == 0:
        return 0
    a, b = 0.5 * (low_a + high_a), 0.5 * (low_b + high_b)
    box[0], box[1], box[2] = a * cos - b * sin, a * sin + b * cos, math.atan2(sin, cos)
    box[3], box[4], box[5] = max(high_a - low_a, LEAST_SIDE), max(high_b - low_b, LEAST_SIDE), count
    scores[used] = most
    return 1
