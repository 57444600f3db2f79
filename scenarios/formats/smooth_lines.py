"""Centrelines that a car can follow, from maps whose lanes are surveyed polylines (CommonRoad, Lanelet2).

The middle between two polylines has a kink at every point of either, and by kinks a car would slow down. The network's lines are
moved together, each point by at most MOST_M, to where the change of curvature along them is least: Whittaker's graduation
(Proc. Edinburgh Math. Soc. 41, 1923) with third differences, over all lanes at once, so that what leads into what still does,
without a bend at the joint. Arcs and straights are left as they are; curvature is what grows and falls gradually.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, diags_array
from scipy.sparse.linalg import splu

from sim.geometry import Floats, arc_length, interpolate, offset_polyline, polyline_heading
from sim.roads.lane_map import LaneDraft, LaneKind, MapDraft

MOST_M = 0.2
MOST_SHARE = 0.2  # of a lane's half width
LEAST_M = 0.01  # where a lane has no width yet
REACH_M = 6.0
"""Bends longer than about six times this stay, where shorter ones go as far as MOST_M lets them."""
STEP_M = 1.0  # between the points that are moved
PIECES_LEAST = 3  # of a lane: differences reach over one joint at most
JOINT_M = 0.3  # ends of linked lanes closer than this are one point
ROUNDS = 12  # in which points that would move too far are held more firmly
_N = TypeVar("_N", np.int64, np.float64)
KINDS = (LaneKind.DRIVING, LaneKind.CYCLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A lane's points: where they are (P, 3), their numbers among all, distance along and how far each may move, (P,) each."""

    points: Floats
    numbers: NDArray[np.int64]
    s: Floats
    most: Floats


def smoothed(draft: MapDraft) -> MapDraft:
    """The map with smooth centrelines. What was road stays road: the lanes as they were drawn are drivable, too."""
    lanes = smooth_lines(draft.lanes)
    drawn = [_outline(old) for old, new in zip(draft.lanes, lanes, strict=True) if old is not new]
    return replace(draft, lanes=lanes, extra_drivable=[*draft.extra_drivable, *drawn])


def smooth_lines(lanes: Sequence[LaneDraft]) -> list[LaneDraft]:
    """The lanes with smooth centrelines; those for people on foot, and what is too short, as they are."""
    moved = [lane for lane in lanes if lane.kind in KINDS and _usable(lane)]
    lines = _numbered(moved)
    if not lines:
        return list(lanes)
    count = 1 + max(int(line.numbers.max()) for line in lines.values())
    places = _settled(lines, _differences(moved, lines, count), count)
    done = {lane.name: _redrawn(lane, lines[lane.name], places) for lane in moved}
    return [done.get(lane.name, lane) for lane in lanes]


def _usable(lane: LaneDraft) -> bool:
    line = np.asarray(lane.centreline, np.float64)
    return (
        line.ndim == 2 and len(line) >= 2 and bool(np.isfinite(line).all()) and float(arc_length(line)[-1]) > PIECES_LEAST * 0.05
    )


def _numbered(lanes: Sequence[LaneDraft]) -> dict[str, _Line]:
    """Even points of each lane; ends that meet have one number."""
    even: dict[str, tuple[Floats, Floats]] = {}
    for lane in lanes:
        line = np.asarray(lane.centreline, np.float64)[:, :3]
        s = arc_length(line)
        pieces = max(PIECES_LEAST, round(float(s[-1]) / STEP_M))
        at = np.linspace(0.0, s[-1], pieces + 1)
        half = np.interp(at, s, np.broadcast_to(np.asarray(lane.half_width, np.float64), len(line)))
        even[lane.name] = interpolate(at, s, line), np.clip(MOST_SHARE * half, LEAST_M, MOST_M)
    ends = _joined_ends(lanes, even)
    found: dict[str, _Line] = {}
    used = max(ends.values(), default=-1) + 1
    for name, (points, most) in even.items():
        inner = np.arange(used, used + len(points) - 2)
        used += len(inner)
        numbers = np.concatenate([[ends[name, 0]], inner, [ends[name, 1]]]).astype(np.int64)
        found[name] = _Line(points=points, numbers=numbers, s=arc_length(points), most=most)
    return found


def _joined_ends(lanes: Sequence[LaneDraft], even: Mapping[str, tuple[Floats, Floats]]) -> dict[tuple[str, int], int]:
    """A number for the start (0) and the end (1) of each lane; the same for ends of linked lanes that meet."""
    parent = {(lane.name, end): (lane.name, end) for lane in lanes for end in (0, 1)}

    def root(key: tuple[str, int]) -> tuple[str, int]:
        while parent[key] != key:
            key = parent[key]
        return key

    for lane in lanes:
        for name in lane.successors:
            if name in even and _apart(even, lane.name, name) < JOINT_M:
                parent[root((lane.name, 1))] = root((name, 0))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(root(key) for key in parent))}
    return {key: numbers[root(key)] for key in parent}


def _apart(even: Mapping[str, tuple[Floats, Floats]], before: str, after: str) -> float:
    return float(np.hypot(*(even[before][0][-1, :2] - even[after][0][0, :2])))


def _differences(lanes: Sequence[LaneDraft], lines: Mapping[str, _Line], count: int) -> csr_array:
    """(D, count) third differences [1/m³] along lanes and over their joints, each by the root of the way that it stands for."""
    numbers: list[NDArray[np.int64]] = []
    places: list[Floats] = []
    for lane in lanes:
        line = lines[lane.name]
        numbers.append(_fours(line.numbers))
        places.append(_fours(line.s))
        for name in lane.successors:
            after = lines.get(name)
            if after is not None and after.numbers[0] == line.numbers[-1]:
                numbers.append(_fours(np.concatenate([line.numbers[-3:], after.numbers[1:3]])))
                places.append(_fours(np.concatenate([line.s[-3:], line.s[-1] + after.s[1:3]])))
    at, s = np.concatenate(numbers), np.concatenate(places)
    between = s[:, :, None] - s[:, None, :] + np.eye(4)
    weights = 6.0 / between.prod(axis=2) * np.sqrt((s[:, 3] - s[:, 0]) / 3.0)[:, None]
    rows = np.repeat(np.arange(len(at)), 4)
    return csr_array((weights.ravel(), (rows, at.ravel())), shape=(len(at), count))


def _fours(values: NDArray[_N]) -> NDArray[_N]:
    """(P - 3, 4) each four values in a row."""
    return np.lib.stride_tricks.sliding_window_view(values, 4)


def _settled(lines: Mapping[str, _Line], differences: csr_array, count: int) -> Floats:
    """(count, 2) where the points come to lie."""
    start, most, held = np.zeros((count, 2)), np.full(count, MOST_M), np.zeros(count)
    meeting = np.zeros(count)
    for line in lines.values():
        np.add.at(start, line.numbers, line.points[:, :2])
        np.add.at(meeting, line.numbers, 1.0)
        np.minimum.at(most, line.numbers, line.most)
        np.add.at(held, line.numbers, float(line.s[-1]) / (len(line.s) - 1))
    start /= meeting[:, None]
    bending = REACH_M**6 * (differences.T @ differences)
    weight = np.ones(count)
    moved = np.zeros((count, 2))
    for _ in range(ROUNDS):
        solve = splu(csc_array(bending + diags_array(weight * held)))
        moved = solve.solve(-(bending @ start))
        far = np.hypot(*moved.T) / most
        if far.max() <= 1.0:
            break
        weight *= np.maximum(far, 1.0) ** 2
    moved /= np.maximum(np.hypot(*moved.T) / most, 1.0)[:, None]
    settled: Floats = start + moved
    return settled


def _redrawn(lane: LaneDraft, line: _Line, places: Floats) -> LaneDraft:
    """The lane along its points' new places, with its columns and its stop line at the same share of the way."""
    old = np.asarray(lane.centreline, np.float64)
    points = np.column_stack([places[line.numbers], line.points[:, 2]]) if old.shape[1] == 3 else places[line.numbers]
    share = float(arc_length(points)[-1] / arc_length(old)[-1])
    s = arc_length(old)
    return replace(
        lane, centreline=points, half_width=_column(lane.half_width, s, line.s),
        speed_limit=_column(lane.speed_limit, s, line.s), stop_s=None if lane.stop_s is None else lane.stop_s * share,
    )  # fmt: skip


def _outline(lane: LaneDraft) -> Floats:
    """(K, 2) around a lane."""
    line = np.asarray(lane.centreline, np.float64)[:, :2]
    heading = polyline_heading(line)
    sides = [offset_polyline(line, heading, side * np.asarray(lane.half_width, np.float64)) for side in (1.0, -1.0)]
    return np.concatenate([sides[0], sides[1][::-1]])


def _column(values: float | Floats, s: Floats, at: Floats) -> float | Floats:
    return np.interp(at * (s[-1] / at[-1]), s, values) if isinstance(values, np.ndarray) and values.ndim else values
