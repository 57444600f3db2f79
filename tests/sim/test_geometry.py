"""Geometry: angles, boxes against an independent library, transforms, polylines."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from sim.geometry import (
    arc_length,
    box_corners,
    boxes_overlap,
    ego_from_world,
    offset_polyline,
    polyline_curvature,
    polyline_heading,
    resample,
    smooth,
    transform_points,
    world_from_ego,
    wrap_angle,
    wrap_angles,
)

angles = st.floats(-1e4, 1e4)
coordinates = st.floats(-50.0, 50.0)
sizes = st.floats(0.3, 12.0)


@given(angles)
def test_wrapping_keeps_the_direction_and_lands_in_the_half_open_interval(angle):
    wrapped = wrap_angle(angle)
    assert -math.pi < wrapped <= math.pi
    assert math.cos(wrapped - angle) == pytest.approx(1.0, abs=1e-9)
    assert wrap_angle(wrapped) == wrapped
    assert wrap_angles(np.array([angle]))[0] == wrapped


def test_wrapping_puts_the_cut_at_plus_pi():
    assert wrap_angle(math.pi) == math.pi
    assert wrap_angle(-math.pi) == math.pi
    assert wrap_angle(3.0 * math.pi) == pytest.approx(math.pi)


@given(coordinates, coordinates, angles, sizes, sizes, st.floats(-8.0, 8.0), st.floats(-8.0, 8.0), angles, sizes, sizes)
def test_box_overlap_agrees_with_polygon_intersection(x, y, h0, l0, w0, dx, dy, h1, l1, w1):
    one = shapely.Polygon(box_corners(x, y, h0, l0, w0))
    other = shapely.Polygon(box_corners(x + dx, y + dy, h1, l1, w1))
    found = boxes_overlap(
        x, y, math.cos(h0), math.sin(h0), 0.5 * l0, 0.5 * w0, x + dx, y + dy, math.cos(h1), math.sin(h1), 0.5 * l1, 0.5 * w1
    )
    if one.distance(other) > 1e-6:
        assert not found
    elif one.intersection(other).area > 1e-6:
        assert found


def test_box_corners_start_front_left_and_broadcast():
    corners = box_corners(np.zeros(3), np.ones(3), np.array([0.0, 0.5 * math.pi, math.pi]), 4.0, 2.0)
    assert corners.shape == (3, 4, 2)
    assert corners[0] == pytest.approx(np.array([[2, 2], [-2, 2], [-2, 0], [2, 0]]))
    assert corners[1, 0] == pytest.approx([-1, 3])


@given(coordinates, coordinates, angles, coordinates, coordinates)
def test_transforms_round_trip(x, y, heading, px, py):
    point = np.array([[px, py]])
    there = transform_points(world_from_ego(x, y, heading), point)
    assert transform_points(ego_from_world(x, y, heading), there) == pytest.approx(point, abs=1e-9)
    assert np.hypot(*(there[0] - [x, y])) == pytest.approx(math.hypot(px, py), abs=1e-9)


def test_resampling_keeps_the_ends_and_spreads_evenly():
    points = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
    even = resample(points, 8)
    assert even[0] == pytest.approx(points[0])
    assert even[-1] == pytest.approx(points[-1])
    assert np.diff(np.interp(np.arange(8), np.arange(8), np.linspace(0, 7, 8))) == pytest.approx(np.ones(7))
    assert arc_length(points)[-1] == pytest.approx(7.0)


def test_heading_and_curvature_of_a_circle():
    radius, spacing = 20.0, 0.5
    s = np.arange(60) * spacing
    circle = radius * np.stack([np.cos(s / radius), np.sin(s / radius)], axis=1)
    heading = polyline_heading(circle)
    assert heading == pytest.approx(s / radius + 0.5 * math.pi, abs=1e-3)
    assert polyline_curvature(heading, spacing) == pytest.approx(np.full(60, 1.0 / radius), rel=0.02)
    assert np.hypot(*offset_polyline(circle, heading, 5.0).T) == pytest.approx(np.full(60, 15.0), abs=0.01)


def test_odd_smoothing_keeps_straight_lines_and_ends():
    ramp = np.linspace(0.0, 3.0, 11)
    assert smooth(ramp, 5, odd=True) == pytest.approx(ramp)
    bumpy = np.array([1.0, 5.0, 2.0, 7.0, 3.0, 9.0])
    smoothed = smooth(bumpy, 5, odd=True)
    assert smoothed[[0, -1]] == pytest.approx(bumpy[[0, -1]])
    assert smooth(bumpy, 1, odd=False) == pytest.approx(bumpy)
