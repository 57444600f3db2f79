"""Centreline curves for drafted roads: straight lines, arcs, turns with eased curvature and lane shifts. Points are (P, 2),
world frame."""

from __future__ import annotations

import math

import numpy as np

from sim.geometry import Floats, arc_length, wrap_angle

STEP = 0.25  # m, distance between drafted points
EASING = 0.15  # share of a turn over which curvature rises, and falls again: nobody turns the wheel at once
PARALLEL = math.radians(4.0)  # smaller changes of heading are drawn as a lane shift


def direction(angle: float) -> Floats:
    """Unit vector (2,)."""
    return np.array([math.cos(angle), math.sin(angle)])


def left_of(angle: float) -> Floats:
    """Unit vector (2,) to the left of a direction."""
    return np.array([-math.sin(angle), math.cos(angle)])


def line(start: Floats, end: Floats, step: float = 1.0) -> Floats:
    """Points from `start` to `end`."""
    count = max(2, int(math.ceil(float(np.hypot(*(end - start))) / step)) + 1)
    return start + np.linspace(0.0, 1.0, count)[:, None] * (end - start)


def arc(centre: Floats, radius: float, start_angle: float, end_angle: float) -> Floats:
    """Points on a circle between two polar angles, counter-clockwise if the second is larger."""
    count = max(3, int(math.ceil(abs(end_angle - start_angle) * radius / STEP)) + 1)
    angles = np.linspace(start_angle, end_angle, count)
    return centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _turn_shape(angle: float) -> tuple[Floats, float]:
    """A turn of `angle` [rad] with unit length from the origin along +x, and the distance from its start to where its end
    tangents meet.

    Curvature is a trapezium over the length: two easing ramps and an arc, the shape of a clothoid-arc-clothoid curve.
    """
    u = np.linspace(0.0, 1.0, 401)
    peak = angle / (1.0 - EASING)
    curvature = peak * np.clip(np.minimum(u, 1.0 - u) / EASING, 0.0, 1.0)
    heading = np.concatenate([[0.0], np.cumsum(0.5 * (curvature[1:] + curvature[:-1]) * np.diff(u))])
    heading *= angle / heading[-1]
    middle = 0.5 * (heading[1:] + heading[:-1])
    points = np.vstack([[0.0, 0.0], np.cumsum(np.stack([np.cos(middle), np.sin(middle)], axis=1) * np.diff(u)[:, None], axis=0)])
    return points, float(points[-1, 0] - points[-1, 1] / math.tan(angle))


def _shift(start: Floats, start_heading: float, end: Floats, end_heading: float) -> Floats:
    """Cubic between two poses with almost the same heading, or almost opposite ones (Hermite form)."""
    reach = float(np.hypot(*(end - start)))
    u = np.linspace(0.0, 1.0, max(8, int(math.ceil(reach / STEP)) + 1))[:, None]
    along = reach * (1.0 if abs(wrap_angle(end_heading - start_heading)) < 0.5 * math.pi else 2.0)
    a, b = along * direction(start_heading), along * direction(end_heading)
    return (2 * u**3 - 3 * u**2 + 1) * start + (u**3 - 2 * u**2 + u) * a + (3 * u**2 - 2 * u**3) * end + (u**3 - u**2) * b


def connect(start: Floats, start_heading: float, end: Floats, end_heading: float) -> Floats:
    """A drivable curve between two poses: a straight lead, an eased turn as wide as fits, a straight tail.

    Falls back to a cubic where the end tangents do not meet ahead (lane shifts and U-turns).
    """
    angle = wrap_angle(end_heading - start_heading)
    if abs(angle) < PARALLEL or abs(angle) > math.pi - PARALLEL:
        return _shift(start, start_heading, end, end_heading)
    a, b = direction(start_heading), direction(end_heading)
    delta = end - start
    determinant = a[0] * b[1] - a[1] * b[0]
    ahead = float((delta[0] * b[1] - delta[1] * b[0]) / determinant)
    behind = float((a[0] * delta[1] - a[1] * delta[0]) / determinant)
    if ahead < 0.5 or behind < 0.5:
        return _shift(start, start_heading, end, end_heading)
    tangent = min(ahead, behind)
    shape, unit_tangent = _turn_shape(angle)
    scale = tangent / unit_tangent
    stride = max(1, int(round(STEP / scale * (len(shape) - 1))))
    shape = np.vstack([shape[:-1:stride], shape[-1:]]) * scale
    cos, sin = math.cos(start_heading), math.sin(start_heading)
    turn = start + (ahead - tangent) * a + shape @ np.array([[cos, sin], [-sin, cos]])
    pieces = [turn]
    if ahead - tangent > STEP:
        pieces.insert(0, line(start, turn[0])[:-1])
    if behind - tangent > STEP:
        pieces.append(line(turn[-1], end)[1:])
    points = np.vstack(pieces)
    points[0], points[-1] = start, end
    distinct: Floats = points[np.concatenate([[True], np.diff(arc_length(points)) > 1e-6])]
    return distinct
