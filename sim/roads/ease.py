"""Bends that no car can follow, as some map files have them at their joints, drawn out within the lane's own width.

A car's centre goes round a circle of about 4.3 m at full lock. Where the line bends more tightly, it is moved aside, within its
lane, to where it bends least: out before the bend and in at its apex, as people drive such places.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.geometry import Floats, arc_length, interpolate, polyline_curvature, polyline_heading, resample, smooth, wrap_angles
from sim.roads.graph import Links
from sim.roads.lane_map import LaneKind
from sim.roads.resample import SMOOTHING

TIGHTEST = 0.23  # 1/m
WANTED = 0.21  # 1/m, some lock to spare
STEP = 0.4  # m between the points that are moved
NEAR = 8.0  # m before and behind a tight bend within which the line may move
LEAST_HALF_WIDTH = 1.05  # m of lane left on either side
STIFFNESS = (0.1, 0.01, 0.001, 0.0001)  # 1/m⁴, pull back to the lane's middle, tried in turn
ROUNDS = 3  # in which the tightest places get more weight


def _curvature(line: Floats) -> tuple[Floats, Floats]:
    """Heading and curvature (P,) of an evenly sampled line (P, 2), smoothed as those of lanes are."""
    spacing = float(arc_length(line)[-1]) / (len(line) - 1)
    window = max(1, 2 * round(0.5 * SMOOTHING / spacing) + 1)
    heading = smooth(polyline_heading(line), window, odd=True)
    return heading, smooth(polyline_curvature(heading, spacing), window, odd=False)


def _offsets(line: Floats, heading: Floats, most: Floats, stiffness: float) -> Floats:
    """Offsets (P,) to the left [m], at most `most`, of the line that bends least: bounded least squares on its second
    differences."""
    count = len(line)
    normal = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    free = most > 1e-6
    if not free.any():
        return np.zeros(count)
    from scipy.optimize import lsq_linear  # a tenth of a second at start-up, for the few maps with such bends

    second = (np.eye(count, k=1) - 2.0 * np.eye(count) + np.eye(count, k=-1)) / STEP**2
    second = second[1:-1][(second[1:-1, free] != 0.0).any(axis=1)]
    offset = np.zeros(count)
    weight = np.ones(len(second))
    for _ in range(ROUNDS):
        rows = [weight[:, None] * (second * normal[:, k])[:, free] for k in range(2)]
        goal = [-weight * (second @ line[:, k]) for k in range(2)]
        matrix = np.vstack([*rows, np.sqrt(stiffness) * np.eye(int(free.sum()))])
        target = np.concatenate([*goal, np.zeros(int(free.sum()))])
        offset[free] = lsq_linear(matrix, target, bounds=(-most[free], most[free]), tol=1e-6).x
        bent = np.hypot(*(second @ (line + offset[:, None] * normal)).T)
        weight = np.maximum(bent / max(float(bent.max()), 1e-9), 0.1)
    return offset


def _eased(line: Floats, half_width: Floats) -> tuple[Floats, Floats]:
    """The line with its tightest bends drawn out as far as `half_width` (P,) allows, and how far each point moved [m]."""
    heading, curvature = _curvature(line)
    sharp = STEP * np.flatnonzero(np.abs(curvature) > WANTED)
    near = np.abs(STEP * np.arange(len(line))[:, None] - sharp[None, :]).min(axis=1, initial=np.inf) < NEAR
    near[:3] = near[-3:] = False
    most = np.where(near, np.maximum(half_width - LEAST_HALF_WIDTH, 0.0), 0.0)
    best = np.zeros(len(line))
    tightest = float(np.abs(curvature).max())
    normal = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    for stiffness in STIFFNESS:
        offset = _offsets(line, heading, most, stiffness)
        reached = float(np.abs(_curvature(line + offset[:, None] * normal)[1]).max())
        if reached < tightest:
            best, tightest = offset, reached
        if reached <= WANTED:
            break
    return line + best[:, None] * normal, np.abs(best)


def _chain(lane: int, lanes: NDArray[np.void], successors: Links, predecessors: Links) -> list[int]:
    """The lane between those before and behind it that lead only to it and come only from it: their common ends may move."""
    chain = [lane]
    for onward, back, at in ((predecessors, successors, 0), (successors, predecessors, -1)):
        room = 0.0
        while room < 2.0 * NEAR:
            following = onward[chain[at]]
            if len(following) != 1 or len(back[following[0]]) != 1 or following[0] in chain:
                break
            room += float(lanes["length"][following[0]])
            chain.insert(len(chain) if at else 0, following[0])
    return chain


def _draw_out(chain: list[int], lanes: NDArray[np.void], points: NDArray[np.void]) -> None:
    """Ease the bends of lanes that follow each other, in place."""
    pieces = [points[lanes["point_start"][k] : lanes["point_start"][k] + lanes["point_count"][k]] for k in chain]
    columns = [np.stack([p["x"], p["y"], p["z"], p["half_width"]], axis=1).astype(np.float64) for p in pieces]
    whole = np.vstack([columns[0], *(c[1:] for c in columns[1:])])
    s = arc_length(whole)
    count = max(3, math.ceil(s[-1] / STEP) + 1)
    even = interpolate(np.linspace(0.0, s[-1], count), s, whole)
    line, moved = _eased(even[:, :2], even[:, 3])
    even[:, :2] = line
    even[:, 3] -= moved
    heading, curvature = _curvature(resample(line, count))
    along = np.linspace(0.0, 1.0, count)
    new_s = arc_length(even)
    ends = np.concatenate([[0.0], np.cumsum([float(lanes["length"][k]) for k in chain])]) / s[-1] * (count - 1.0)
    at = np.interp(ends, np.arange(count), new_s)
    for k, piece, low, high in zip(chain, pieces, at, at[1:], strict=False):
        places = np.linspace(low, high, len(piece))
        rows = interpolate(places, new_s, even)
        bearing = np.interp(places / new_s[-1], along, heading)
        piece["x"], piece["y"], piece["z"], piece["half_width"] = rows.T
        piece["heading"], piece["cos"], piece["sin"] = wrap_angles(bearing), np.cos(bearing), np.sin(bearing)
        piece["curvature"] = np.interp(places / new_s[-1], along, curvature)
        lanes["length"][k] = high - low
        lanes["spacing"][k] = (high - low) / (len(piece) - 1)


def ease_bends(
    lanes: NDArray[np.void], points: NDArray[np.void], successors: Links, predecessors: Links
) -> list[tuple[int, float, float, float]]:
    """Draw out the bends of driving lanes that are tighter than a car can turn, in place; (lane, s [m], radius [m] before and
    after) of each."""
    eased = []
    for lane in np.flatnonzero(lanes["kind"] == LaneKind.DRIVING).tolist():
        own = points[lanes["point_start"][lane] : lanes["point_start"][lane] + lanes["point_count"][lane]]
        sharp = np.abs(own["curvature"])
        tightest, at = float(sharp.max()), float(np.argmax(sharp) * lanes["spacing"][lane])
        if tightest > TIGHTEST:
            _draw_out(_chain(lane, lanes, successors, predecessors), lanes, points)
            eased.append((lane, at, 1.0 / tightest, 1.0 / float(np.abs(own["curvature"]).max())))
    return eased
