"""People whom nobody sees: how fast the ego may go past places from which somebody may step out.

Beside the ego's way are places on which somebody on foot may be: off the lanes that vehicles drive on, or on a crosswalk. A
speed is fine past such a place if from where the ego would begin to stop for somebody there, one can see it; or if he is so far
off that the ego is past before he comes. What hides are things that stand and walls. World frame, SI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from avstack.motion import ReferencePath
from avstack.perception.percepts import EXISTS, EgoEstimate, Percepts
from avstack.safety.assumptions import Assumptions
from avstack.safety.predicate import braking_distance
from sim.geometry import Floats
from sim.interface import Kind, VehicleSpec
from sim.jit import kernel
from sim.roads.lane_map import LaneKind, LaneMap

PEDESTRIAN = int(Kind.PEDESTRIAN)
AHEAD_M = 40.0  # m of way looked at
ALONG_M, ASIDE_M = 1.0, 0.25  # m between places
BESIDE_M = 2.5  # m beside the ego's flank: from further off there is time to stop at any speed in town
BODY_M = 0.25  # half of a person
LANE_M = 2.5  # m, more than half of any lane
STOP_MARGIN = 0.3  # m
FREE = 100.0  # m/s, no bound
FASTER = (1.0, 1.4, 1.8, 2.2, 2.6, 3.2, 4.0, 5.6)  # speeds that are tried, as multiples of walking pace
SURFACE_M = 0.7  # m about a box within which sight ends at it
STANDS = 0.5  # m/s
WALL_STEP_M = 2.0  # m by which sight differs at most between neighbouring sectors that end at one wall
WALL_M = 30.0  # m within which walls are told from sight
FLAT_M = 1.0  # m, whatever is shorter hides nobody


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Where people may step out on a map: points of driven lanes and of crosswalks, with half of their width [m]."""

    road: cKDTree
    road_width: Floats
    walk: cKDTree
    walk_width: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verge:
    """Places beside one path. eyes: (R, 2) every ALONG_M along it; xy: (R, A, 2) beside those, aside (A,) to the left;
    possible: (R, A) somebody may be there."""

    path: ReferencePath | None = None
    eyes: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    xy: Floats = field(default_factory=lambda: np.zeros((0, 0, 2)))
    aside: Floats = field(default_factory=lambda: np.zeros(0))
    possible: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))


def survey_ground(road_map: LaneMap) -> Ground:
    """Ground of a map."""

    def points_of(*kinds: LaneKind) -> tuple[cKDTree, Floats]:
        parts = [road_map.lane_points(int(n)) for n in np.flatnonzero(np.isin(road_map.lanes["kind"], kinds))]
        points = np.concatenate(parts) if parts else road_map.points[:0]
        return cKDTree(np.stack([points["x"], points["y"]], axis=1)), points["half_width"].astype(np.float64)

    return Ground(*points_of(LaneKind.DRIVING, LaneKind.CYCLE), *points_of(LaneKind.CROSSWALK))


def _within(tree: cKDTree, width: Floats, xy: Floats) -> NDArray[np.bool_]:
    """(N,) whether points (N, 2) lie on lanes with these middles."""
    if len(width) == 0:
        return np.zeros(len(xy), bool)
    away, nearest = tree.query(xy, distance_upper_bound=LANE_M)
    return np.asarray(away <= np.append(width, 0.0)[nearest])


def verge_of(path: ReferencePath, ground: Ground, spec: VehicleSpec) -> Verge:
    """Places beside a path."""
    flank = 0.5 * spec.width + BODY_M
    out = np.arange(flank, flank + BESIDE_M, ASIDE_M)
    aside = np.concatenate([out, -out])
    step = max(round(ALONG_M / float(path.s[1] - path.s[0])), 1)
    x, y, heading = path.x[::step, None], path.y[::step, None], path.heading[::step, None]
    xy = np.stack([x - np.sin(heading) * aside, y + np.cos(heading) * aside], axis=2)
    flat = xy.reshape(-1, 2)
    possible = ~_within(ground.road, ground.road_width, flat) | _within(ground.walk, ground.walk_width, flat)
    eyes = np.stack([x[:, 0], y[:, 0]], axis=1)
    return Verge(path=path, eyes=eyes, xy=xy, aside=aside, possible=possible.reshape(xy.shape[:2]))


def _covered(xy: Floats, things: NDArray[np.void], beside: float) -> NDArray[np.bool_]:
    """(N,) whether a thing other than a person is on a place (N, 2), or nearer to it than `beside` [m]."""
    solid = things[(things["kind"] != PEDESTRIAN) & (things["existence"] > EXISTS)]
    boxes = np.empty((len(solid), 6))
    boxes[:, 0], boxes[:, 1] = solid["x"], solid["y"]
    boxes[:, 2], boxes[:, 3] = np.cos(solid["heading"]), np.sin(solid["heading"])
    boxes[:, 4], boxes[:, 5] = 0.5 * solid["length"] + beside, 0.5 * solid["width"] + beside
    out = np.zeros(len(xy), bool)
    _cover(xy, boxes, out)
    return out


@kernel
def _cover(xy: Floats, boxes: Floats, out: NDArray[np.bool_]) -> None:
    """Set out (N,) where a point (N, 2) is inside one of boxes (K, 6): x, y, cos, sin, half of length and of width."""
    for n in range(len(xy)):
        for k in range(len(boxes)):
            dx, dy = xy[n, 0] - boxes[k, 0], xy[n, 1] - boxes[k, 1]
            cos, sin = boxes[k, 2], boxes[k, 3]
            if abs(dx * cos + dy * sin) < boxes[k, 4] and abs(dy * cos - dx * sin) < boxes[k, 5]:
                out[n] = True


def _leader_m(path: ReferencePath, rows: slice, things: NDArray[np.void], spec: VehicleSpec) -> float:
    """Where something drives or stands on the way ahead [m along it]: whoever steps out beyond meets it before the ego."""
    dx, dy = path.x[rows, None] - things["x"], path.y[rows, None] - things["y"]
    on = np.hypot(dx, dy) < 0.5 * (spec.width + things["width"])
    hit = np.flatnonzero(on.any(axis=1))
    return float(path.s[rows][hit[0]]) if len(hit) else math.inf


def screens(percepts: Percepts) -> Floats:
    """(K, 4) x, y, x, y of lines that block sight: both diagonals of what stands, and walls as far as sight shows them."""
    things = percepts.things
    solid = things[
        (np.abs(things["speed"]) < STANDS) & (things["length"] > FLAT_M) & (things["existence"] > EXISTS)
        & (things["kind"] != PEDESTRIAN)
    ]  # fmt: skip
    cos, sin = 0.5 * np.cos(solid["heading"]), 0.5 * np.sin(solid["heading"])
    lines = []
    for side in (-1.0, 1.0):
        ex, ey = solid["length"] * cos - side * solid["width"] * sin, solid["length"] * sin + side * solid["width"] * cos
        lines.append(np.stack([solid["x"] + ex, solid["y"] + ey, solid["x"] - ex, solid["y"] - ey], axis=1))
    if percepts.sight is not None and len(percepts.sight):
        lines.append(_walls(percepts.sight, percepts.ego, things))
    return np.ascontiguousarray(np.concatenate(lines), np.float64)


def _walls(sight: NDArray[np.float32], ego: EgoEstimate, things: NDArray[np.void]) -> Floats:
    """(K, 4) from end to end of neighbouring lines of sight (S,) that end near, about equally far, and not at a thing."""
    near = np.flatnonzero(sight < WALL_M)
    turn = ego.heading + 2.0 * math.pi * (near + 0.5) / len(sight)
    ends = np.empty((len(sight), 2))
    ends[near, 0], ends[near, 1] = ego.x + sight[near] * np.cos(turn), ego.y + sight[near] * np.sin(turn)
    bare = np.zeros(len(sight), bool)
    bare[near] = ~_covered(ends[near], things, SURFACE_M)
    one = near[bare[near]]
    other = (one + 1) % len(sight)
    wall = bare[other] & (np.abs(sight[other] - sight[one]) < WALL_STEP_M)
    return np.concatenate([ends[one[wall]], ends[other[wall]]], axis=1)


@kernel
def _blocked(ax: float, ay: float, bx: float, by: float, lines: Floats) -> bool:
    """Whether one of lines (K, 4) comes between two points."""
    for k in range(len(lines)):
        cx, cy, dx, dy = lines[k, 0], lines[k, 1], lines[k, 2], lines[k, 3]
        first = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        second = (bx - ax) * (dy - ay) - (by - ay) * (dx - ax)
        if first * second > 0.0:
            continue
        first = (dx - cx) * (ay - cy) - (dy - cy) * (ax - cx)
        second = (dx - cx) * (by - cy) - (dy - cy) * (bx - cx)
        if first * second < 0.0:
            return True
    return False


@kernel
def _fastest(
    xy: Floats, free: NDArray[np.bool_], clear: Floats, first: int, eyes: Floats, now: int, back: NDArray[np.int64],
    within: Floats, lines: Floats, out: NDArray[np.int64],
) -> None:  # fmt: skip
    """Fill `out` (R,) with the highest speed that is fine past each row of places (R, A, 2), -1 for none.

    free: (R, A) somebody may be there; clear (A,): m to the ego's flank. first: of the rows, on the ego's path `eyes` (P, 2) with
    the ego at `now`. back, within (V,): rows before a place where one begins to stop, and how near somebody must be to come in
    time, for each speed.
    """
    for r in range(xy.shape[0]):
        out[r] = -1
        for v in range(len(back) - 1, -1, -1):
            eye = max(first + r - back[v], now)
            fine = True
            for a in range(xy.shape[1]):
                if fine and free[r, a] and clear[a] < within[v]:
                    fine = not _blocked(eyes[eye, 0], eyes[eye, 1], xy[r, a, 0], xy[r, a, 1], lines)
            if fine:
                out[r] = v
                break


def unseen_people(
    percepts: Percepts, verge: Verge, spec: VehicleSpec, limits: tuple[float, float], assumptions: Assumptions, s: float
) -> tuple[Floats, Floats] | None:
    """Bound of speed [m/s] by place of the ego's centre along its path [m], of an ego at s; None where nobody may step out.

    limits: braking and jerk of the stop that it is reckoned with. Never below `walking_pace`: the ego always gets on.
    """
    if percepts.sight is None or verge.path is None:
        return None
    half, path = 0.5 * spec.length, verge.path
    spacing = float(path.s[1] - path.s[0])
    lead = _leader_m(path, slice(int(s / spacing), int((s + half + AHEAD_M) / spacing)), percepts.things, spec)
    first = int((s + half) / ALONG_M) + 1
    rows = slice(first, first + int(min(AHEAD_M, lead - s - half) / ALONG_M))
    if not verge.possible[rows].any():
        return None
    lines = screens(percepts)
    if len(lines) == 0:
        return None
    xy = verge.xy[rows]
    free = verge.possible[rows] & ~_covered(xy.reshape(-1, 2), percepts.things, BODY_M).reshape(xy.shape[:2])
    speeds = assumptions.walking_pace * np.array(FASTER)
    stops = STOP_MARGIN + np.array([braking_distance(v, 0.0, *limits, assumptions.latency_s) for v in speeds])
    within = assumptions.walking * (stops + STOP_MARGIN) / speeds
    back = np.ceil((half + stops) / ALONG_M).astype(np.int64)
    clear = np.abs(verge.aside) - 0.5 * spec.width - BODY_M
    best = np.empty(len(xy), np.int64)
    _fastest(xy, free, clear, first, verge.eyes, int(s / ALONG_M), back, within, lines, best)
    best = np.maximum(best, 0)
    return _along(best, ALONG_M * first - half, speeds, stops)


def _along(best: NDArray[np.int64], front: float, speeds: Floats, stops: Floats) -> tuple[Floats, Floats] | None:
    """Bounds by place of the ego's centre: from where it could still stop for somebody at a row until its front is past.

    best (R,): speed of each row; front: where the ego's centre is when its front is at the first row.
    """
    tied = np.flatnonzero(best < len(speeds) - 1)
    if len(tied) == 0:
        return None
    places = front + ALONG_M * np.arange(-10, len(best) + 3)
    bound = np.full(len(places), FREE)
    for k in tied:
        at, v = front + ALONG_M * k, best[k]
        on = (places >= at - stops[v] - ALONG_M) & (places <= at + ALONG_M)
        bound[on] = np.minimum(bound[on], speeds[v])
    return np.asarray(places), bound
