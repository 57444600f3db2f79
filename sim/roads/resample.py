"""From a draft's centreline to uniform samples: positions, smooth heading and curvature, widths and speed limits.

Centrelines come as anything between a dense curve and surveyed points two metres apart, so the curve is interpolated locally
(Akima, J. ACM 1970: no ringing next to straights) and heading and curvature are averaged over about two metres: a driver steers
by them.
"""

from __future__ import annotations

import numpy as np

from sim.geometry import Floats, arc_length, interpolate, polyline_curvature, polyline_heading, smooth, wrap_angles
from sim.roads.lane_map import POINT_DTYPE, POINT_SPACING, LaneDraft

MIN_LENGTH = 0.05  # m, shorter lanes are errors in the source
SMOOTHING = 2.0  # m, window of heading and curvature averages
DENSE = 0.75 * POINT_SPACING  # m, a centreline sampled finer than this is taken as it is
LONGEST_CHORD = 2.0  # m, longer input segments are straight by contract and are subdivided before a curve is fitted
REPEATED = 1e-6  # m, points closer than this are one point


class RoadError(ValueError):
    """A road description that no map can be made of; the message names the road, the lane and the position."""


def _place(draft: LaneDraft) -> str:
    return f"lane {draft.name!r}" + (f" of road {draft.road!r}" if draft.road else "")


def _profile(draft: LaneDraft, values: float | Floats, count: int, what: str) -> Floats:
    """A scalar or per-point column of a draft as (count,) floats, checked for length."""
    column = np.asarray(values, dtype=np.float64)
    if column.ndim == 0:
        return np.full(count, float(column))
    if column.shape != (count,):
        raise RoadError(f"{_place(draft)}: {what} has shape {column.shape}, but its centreline has {count} points")
    return column


def _checked(draft: LaneDraft) -> tuple[Floats, Floats]:
    """Finite centreline (P, 3) and columns (P, 2) of half width and speed limit, without repeated points."""
    line = np.asarray(draft.centreline, dtype=np.float64)
    if line.ndim != 2 or line.shape[1] not in (2, 3) or len(line) < 2:
        raise RoadError(f"{_place(draft)}: a centreline needs at least two points of 2 or 3 coordinates, got shape {line.shape}")
    bad = ~np.isfinite(line).all(axis=1)
    if bad.any():
        first = int(np.argmax(bad))
        s = arc_length(line[:first])[-1] if first else 0.0
        raise RoadError(f"{_place(draft)}, s={s:.2f} m: centreline point {first} is not finite: {line[first].tolist()}")
    s = arc_length(line)
    columns = np.stack(
        [
            _profile(draft, draft.half_width, len(line), "half_width"),
            _profile(draft, draft.speed_limit, len(line), "speed_limit"),
        ],
        1,
    )
    for k, (what, low) in enumerate((("half width", 0.0), ("speed limit", 1e-3))):
        wrong = ~(np.isfinite(columns[:, k]) & (columns[:, k] >= low))
        if wrong.any():
            at = int(np.argmax(wrong))
            raise RoadError(f"{_place(draft)}, s={s[at]:.2f} m: {what} is {columns[at, k]!r}; it must be finite and not negative")
    if s[-1] < MIN_LENGTH:
        raise RoadError(f"{_place(draft)}, s=0.00 m: its length is {s[-1]:.4f} m; a lane needs at least {MIN_LENGTH} m")
    keep = np.concatenate([[True], np.diff(s) > REPEATED])
    if line.shape[1] == 2:
        line = np.column_stack([line, np.zeros(len(line))])
    return line[keep], columns[keep]


def _is_straight(line: Floats) -> bool:
    along = line[-1, :2] - line[0, :2]
    aside = (line[:, 0] - line[0, 0]) * along[1] - (line[:, 1] - line[0, 1]) * along[0]
    return bool(np.abs(aside).max() < 1e-3 * np.hypot(*along))


def _akima(knots: Floats, values: Floats, at: Floats) -> Floats:
    """Akima's curve through `values` (P, D) at `knots` (P,) increasing, P >= 3, read `at` (Q,) within them: (Q, D).

    As scipy's to the last bit; importing that takes a fifth of a run's start.
    """
    width = np.diff(knots)[:, None]
    slope = np.diff(values, axis=0) / width
    # two slopes more at either end, as of a parabola through the last three points
    before = 2.0 * slope[0] - slope[1]
    after = 2.0 * slope[-1] - slope[-2]
    slopes = np.vstack([2.0 * before - slope[0], before, slope, after, 2.0 * after - slope[-1]])
    change = np.abs(np.diff(slopes, axis=0))
    both = change[2:] + change[:-2]
    bent = both > 1e-9 * both.max()
    weighed = slopes[1:-2] + change[:-2] / np.where(bent, both, 1.0) * (slopes[2:-1] - slopes[1:-2])
    tangent = np.where(bent, weighed, 0.5 * (slopes[3:] + slopes[:-3]))
    # the cubic of each piece, by powers of the way from its start
    excess = (tangent[:-1] + tangent[1:] - 2.0 * slope) / width
    cubic, square = excess / width, (slope - tangent[:-1]) / width - excess
    k = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(width) - 1)
    way = (at - knots[k])[:, None]
    result: Floats = values[k] + tangent[k] * way + square[k] * (way * way) + cubic[k] * (way * way * way)
    return result


def _refined(line: Floats) -> Floats:
    """Dense points (Q, 3) on a smooth curve through a sparse centreline (P, 3)."""
    s = arc_length(line)
    if len(line) < 3 or np.diff(s).max() <= DENSE or _is_straight(line):
        return line
    pieces = np.maximum(1, np.ceil(np.diff(s) / LONGEST_CHORD).astype(int))
    within = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    knots = np.append(np.repeat(s[:-1], pieces) + within * np.repeat(np.diff(s) / pieces, pieces), s[-1])
    points = interpolate(knots, s, line)
    dense = np.linspace(0.0, s[-1], max(2, int(np.ceil(s[-1] / 0.1)) + 1))
    curve = np.column_stack([_akima(knots, points[:, :2], dense), np.interp(dense, s, line[:, 2])])
    curve[0], curve[-1] = line[0], line[-1]
    return curve


def sample_lane(draft: LaneDraft, origin: tuple[float, float]) -> tuple[np.ndarray[tuple[int], np.dtype[np.void]], float]:
    """Samples (P,) of POINT_DTYPE without room, evenly spaced, relative to `origin`, and their spacing [m].

    Raises RoadError for non-finite or repeated-only points, negative widths and vanishing length.
    """
    line, columns = _checked(draft)
    source_s = arc_length(line)
    line[:, 0] -= origin[0]
    line[:, 1] -= origin[1]
    curve = _refined(line)
    s = arc_length(curve)
    count = max(1, int(np.ceil(s[-1] / POINT_SPACING - 1e-9))) + 1
    at = np.linspace(0.0, s[-1], count)
    position = interpolate(at, s, curve)
    spacing = float(s[-1] / (count - 1))
    window = max(1, 2 * int(round(0.5 * SMOOTHING / spacing)) + 1)
    heading = smooth(polyline_heading(position), window, odd=True)
    column = interpolate(at * (source_s[-1] / s[-1]), source_s, columns)
    points = np.zeros(count, POINT_DTYPE)
    points["x"], points["y"], points["z"] = position.T
    points["heading"] = wrap_angles(heading)
    points["cos"], points["sin"] = np.cos(heading), np.sin(heading)
    points["curvature"] = smooth(polyline_curvature(heading, spacing), window, odd=False)
    points["half_width"], points["speed_limit"] = column.T
    return points, spacing
