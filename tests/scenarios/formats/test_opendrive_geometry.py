"""Reference lines against closed forms and against integration of their own curvature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import fresnel

from scenarios.formats.opendrive_geometry import Cubics, read_cubics, read_reference_line
from scenarios.formats.xml import parse_xml
from tests.scenarios.formats.xodr import geometry


def line_of(*geometries: str):
    return read_reference_line(parse_xml(f"<road><planView>{''.join(geometries)}</planView></road>".encode(), file="f"))


def test_line():
    x, y, heading = line_of(geometry(10.0, x=1.0, y=2.0, hdg=np.pi / 2))(np.array([0.0, 4.0, 10.0]))
    np.testing.assert_allclose(x, 1.0, atol=1e-12)
    np.testing.assert_allclose(y, [2.0, 6.0, 12.0])
    np.testing.assert_allclose(heading, np.pi / 2)


@pytest.mark.parametrize("curvature", [0.02, -0.1, 1e-7])
def test_arc_is_a_circle(curvature):
    s = np.linspace(0.0, 40.0, 81)
    x, y, heading = line_of(geometry(40.0, shape=f'<arc curvature="{curvature}"/>'))(s)
    np.testing.assert_allclose(x, np.sin(curvature * s) / curvature, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(y, 2 * np.sin(curvature * s / 2) ** 2 / curvature, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(heading, curvature * s)


def test_spiral_from_zero_is_the_fresnel_integral():
    length, end = 50.0, 0.08
    slope = end / length
    s = np.linspace(0.0, length, 101)
    x, y, _ = line_of(geometry(length, shape=f'<spiral curvStart="0" curvEnd="{end}"/>'))(s)
    scale = np.sqrt(np.pi / slope)
    sine, cosine = fresnel(s / scale)
    np.testing.assert_allclose(x, scale * cosine, atol=1e-10)
    np.testing.assert_allclose(y, scale * sine, atol=1e-10)


@pytest.mark.parametrize(("start", "end"), [(0.05, -0.05), (-0.01, -0.2), (0.3, 0.300000001), (0.0, 0.0)])
def test_spiral_heading_is_the_integral_of_curvature_and_points_follow_it(start, end):
    s = np.linspace(0.0, 30.0, 3001)
    x, y, heading = line_of(geometry(30.0, shape=f'<spiral curvStart="{start}" curvEnd="{end}"/>'))(s)
    np.testing.assert_allclose(heading, start * s + 0.5 * (end - start) / 30.0 * s**2, atol=1e-12)
    middle = 0.5 * (heading[1:] + heading[:-1])
    np.testing.assert_allclose(np.diff(x), 0.01 * np.cos(middle), atol=1e-7)
    np.testing.assert_allclose(np.diff(y), 0.01 * np.sin(middle), atol=1e-7)


def test_poly3_runs_along_its_arc_length():
    s = np.linspace(0.0, 20.0, 201)
    x, y, heading = line_of(geometry(20.0, shape='<poly3 a="0" b="0" c="0.02" d="0"/>'))(s)
    np.testing.assert_allclose(y, 0.02 * x**2, atol=1e-9)
    np.testing.assert_allclose(np.hypot(np.diff(x), np.diff(y)), 0.1, rtol=2e-3)
    np.testing.assert_allclose(np.tan(heading), 0.04 * x, atol=1e-9)


@pytest.mark.parametrize(("span", "scale"), [("arcLength", 1.0), ("normalized", 1.0 / 25.0)])
def test_param_poly3(span, scale):
    shape = f'<paramPoly3 aU="0" bU="{1 / scale}" cU="0" dU="0" aV="0" bV="0" cV="{0.01 / scale**2}" dV="0" pRange="{span}"/>'
    s = np.linspace(0.0, 25.0, 26)
    x, y, heading = line_of(geometry(25.0, shape=shape))(s)
    np.testing.assert_allclose(x, s, atol=1e-9)
    np.testing.assert_allclose(y, 0.01 * s**2, atol=1e-9)
    np.testing.assert_allclose(heading, np.arctan(0.02 * s), atol=1e-9)


def test_pieces_follow_each_other():
    arc_start = geometry(10.0, s=10.0, x=10.0, shape='<arc curvature="0.1"/>')
    x, y, _ = line_of(geometry(10.0), arc_start)(np.array([9.0, 10.0, 10.0 + 5.0 * np.pi]))
    np.testing.assert_allclose(x, [9.0, 10.0, 20.0], atol=1e-9)
    np.testing.assert_allclose(y, [0.0, 0.0, 10.0], atol=1e-9)


def test_cubics_pick_the_record_and_serve_before_the_first():
    records = Cubics(np.array([0.0, 10.0]), np.array([[1.0, 0.0, 0.0, 0.0], [2.0, 1.0, 0.5, 0.1]]))
    np.testing.assert_allclose(records(np.array([-1.0, 9.9, 10.0, 12.0])), [1.0, 1.0, 2.0, 2.0 + 2.0 + 2.0 + 0.8])


def test_cubics_sort_their_records():
    root = parse_xml(b'<r><e s="5" a="2"/><e s="0" a="1"/></r>', file="f")
    np.testing.assert_allclose(read_cubics(root.children)(np.array([1.0, 6.0])), [1.0, 2.0])
