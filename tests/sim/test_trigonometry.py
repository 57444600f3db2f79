"""Own sine, cosine and arctangent against the C library's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.trigonometry import arctan, sincos

ERROR = 1e-14


@given(st.floats(-1e5, 1e5))
def test_sine_and_cosine(angle):
    sine, cosine = sincos(angle)
    assert sine == pytest.approx(math.sin(angle), abs=ERROR)
    assert cosine == pytest.approx(math.cos(angle), abs=ERROR)


@pytest.mark.parametrize("k", range(-9, 10))
@pytest.mark.parametrize("beside", [0.0, 1e-9, -1e-9])
def test_sine_and_cosine_around_the_seams_of_quadrants(k, beside):
    angle = k * 0.25 * math.pi + beside
    sine, cosine = sincos(angle)
    assert sine == pytest.approx(math.sin(angle), abs=ERROR)
    assert cosine == pytest.approx(math.cos(angle), abs=ERROR)


@given(st.floats(-10.0, 10.0))
def test_sine_is_odd_cosine_even_and_their_squares_add_up(angle):
    sine, cosine = sincos(angle)
    assert sincos(-angle) == pytest.approx((-sine, cosine), abs=ERROR)
    assert sine * sine + cosine * cosine == pytest.approx(1.0, abs=ERROR)


def test_zero_is_exact():
    assert sincos(0.0) == (0.0, 1.0)
    assert arctan(0.0) == 0.0


@given(st.floats(-1e6, 1e6) | st.floats(-3.0, 3.0))
def test_arctangent(x):
    assert arctan(x) == pytest.approx(math.atan(x), abs=ERROR)
    assert arctan(-x) == -arctan(x)


@pytest.mark.parametrize("seam", [0.66, 2.41421356237309504880])
def test_arctangent_is_continuous_where_its_formula_changes(seam):
    below, above = arctan(math.nextafter(seam, 0.0)), arctan(math.nextafter(seam, 9.0))
    assert above == pytest.approx(below, abs=ERROR)
    assert arctan(seam) == pytest.approx(math.atan(seam), abs=ERROR)


def test_arctangent_at_infinity():
    assert arctan(math.inf) == pytest.approx(0.5 * math.pi)
    assert arctan(-math.inf) == pytest.approx(-0.5 * math.pi)
