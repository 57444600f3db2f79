"""Plane geometry shared by everything: angles, oriented boxes, SE(2) transforms, polylines. Pure functions.

World frame x east, y north; heading counter-clockwise from +x. Kernels are scalar and may be called from other kernels; the rest
is numpy.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.jit import kernel

Floats = NDArray[np.float64]

TWO_PI = 2.0 * math.pi


@kernel
def wrap_angle(angle: float) -> float:
    """The same direction [rad] in (-pi, pi]."""
    if -math.pi < angle <= math.pi:
        return angle
    wrapped = angle - TWO_PI * math.ceil((angle - math.pi) / TWO_PI)
    return wrapped if wrapped > -math.pi else wrapped + TWO_PI


def wrap_angles(angles: Floats) -> Floats:
    """`wrap_angle` over an array of any shape."""
    wrapped = angles - TWO_PI * np.ceil((angles - math.pi) / TWO_PI)
    return np.where((angles > -math.pi) & (angles <= math.pi), angles, np.where(wrapped > -math.pi, wrapped, wrapped + TWO_PI))


@kernel
def box_gap(
    x0: float, y0: float, cos0: float, sin0: float, half_length0: float, half_width0: float,
    x1: float, y1: float, cos1: float, sin1: float, half_length1: float, half_width1: float,
) -> float:  # fmt: skip
    """Largest separation [m] of two oriented boxes over their four face normals; negative: they overlap by that depth.

    Separating axis test (Gottschalk, Lin, Manocha: OBBTree, SIGGRAPH 1996, in the plane). It never exceeds the true distance.
    """
    dx, dy = x1 - x0, y1 - y0
    c = abs(cos0 * cos1 + sin0 * sin1)
    s = abs(cos0 * sin1 - sin0 * cos1)
    gap = abs(dx * cos0 + dy * sin0) - half_length0 - half_length1 * c - half_width1 * s
    gap = max(gap, abs(dy * cos0 - dx * sin0) - half_width0 - half_length1 * s - half_width1 * c)
    gap = max(gap, abs(dx * cos1 + dy * sin1) - half_length1 - half_length0 * c - half_width0 * s)
    return max(gap, abs(dy * cos1 - dx * sin1) - half_width1 - half_length0 * s - half_width0 * c)


@kernel
def boxes_overlap(
    x0: float, y0: float, cos0: float, sin0: float, half_length0: float, half_width0: float,
    x1: float, y1: float, cos1: float, sin1: float, half_length1: float, half_width1: float,
) -> bool:  # fmt: skip
    """Whether two oriented boxes share area; touching alone does not count."""
    return box_gap(x0, y0, cos0, sin0, half_length0, half_width0, x1, y1, cos1, sin1, half_length1, half_width1) < 0.0


def box_corners(x: Floats, y: Floats, heading: Floats, length: Floats | float, width: Floats | float) -> Floats:
    """Corners (..., 4, 2) of boxes centred on (x, y): front left, rear left, rear right, front right."""
    along = 0.5 * np.asarray(length)[..., None] * np.array([1.0, -1.0, -1.0, 1.0])
    across = 0.5 * np.asarray(width)[..., None] * np.array([1.0, 1.0, -1.0, -1.0])
    cos, sin = np.cos(heading)[..., None], np.sin(heading)[..., None]
    corners_x = np.asarray(x)[..., None] + along * cos - across * sin
    corners_y = np.asarray(y)[..., None] + along * sin + across * cos
    return np.stack([corners_x, corners_y], axis=-1)


def world_from_ego(x: float, y: float, heading: float) -> Floats:
    """Homogeneous transform (3, 3) from the frame of a pose to the world."""
    cos, sin = math.cos(heading), math.sin(heading)
    return np.array([[cos, -sin, x], [sin, cos, y], [0.0, 0.0, 1.0]])


def ego_from_world(x: float, y: float, heading: float) -> Floats:
    """Inverse of `world_from_ego`."""
    cos, sin = math.cos(heading), math.sin(heading)
    return np.array([[cos, sin, -x * cos - y * sin], [-sin, cos, x * sin - y * cos], [0.0, 0.0, 1.0]])


def transform_points(transform: Floats, points: Floats) -> Floats:
    """Points (..., 2) moved by an SE(2) matrix (3, 3)."""
    return points @ transform[:2, :2].T + transform[:2, 2]


def arc_length(points: Floats) -> Floats:
    """Distance (P,) [m] along a polyline (P, 2 or more) in the plane, from its first point."""
    steps = np.hypot(np.diff(points[:, 0]), np.diff(points[:, 1]))
    return np.concatenate([[0.0], np.cumsum(steps)])


def interpolate(s: Floats, known_s: Floats, values: Floats) -> Floats:
    """Rows of `values` (P, K) at positions `s` (Q,), linear in `known_s` (P,) -> (Q, K)."""
    return np.stack([np.interp(s, known_s, values[:, k]) for k in range(values.shape[1])], axis=1)


def resample(points: Floats, count: int) -> Floats:
    """`count` points (count, K) at equal distances along a polyline (P, K); the ends are kept exactly."""
    s = arc_length(points)
    sampled = interpolate(np.linspace(0.0, s[-1], count), s, points)
    sampled[0], sampled[-1] = points[0], points[-1]
    return sampled


def polyline_heading(points: Floats) -> Floats:
    """Unwrapped tangent direction (P,) [rad] of an evenly sampled curve (P >= 2, 2); second order, the ends included."""
    if len(points) == 2:
        angle = math.atan2(points[1, 1] - points[0, 1], points[1, 0] - points[0, 0])
        return np.array([angle, angle])
    tangent = np.gradient(points[:, :2], axis=0, edge_order=2)
    return np.unwrap(np.arctan2(tangent[:, 1], tangent[:, 0]))


def smooth(values: Floats, window: int, odd: bool) -> Floats:
    """Moving average (P,) over `window` (odd) samples; the ends are mirrored through the end value (odd) or at the end (even).

    A straight line is unchanged by the odd mirror, and so are the end values.
    """
    half = min(window // 2, len(values) - 1)
    if half == 0:
        return values.copy()
    front, back = values[half:0:-1], values[-2 : -half - 2 : -1]
    if odd:
        front, back = 2.0 * values[0] - front, 2.0 * values[-1] - back
    padded = np.concatenate([front, values, back])
    return np.convolve(padded, np.full(2 * half + 1, 1.0 / (2 * half + 1)), mode="valid")


def polyline_curvature(heading: Floats, spacing: float) -> Floats:
    """Curvature (P,) [1/m], left positive, from an unwrapped heading (P,) sampled every `spacing` [m]."""
    if len(heading) < 3:
        return np.full(len(heading), (heading[-1] - heading[0]) / max(spacing * (len(heading) - 1), 1e-9))
    return np.asarray(np.gradient(heading, spacing, edge_order=2))


def offset_polyline(points: Floats, heading: Floats, left: Floats | float) -> Floats:
    """Points (P, 2) shifted by `left` [m] along the left normals of `heading` (P,)."""
    normal = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    shifted: Floats = points[:, :2] + normal * np.broadcast_to(left, len(points))[:, None]
    return shifted
