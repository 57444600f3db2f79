"""OpenDRIVE curves: piecewise cubics over s, and the reference line of a road in the plan view.

Frame: the file's inertial x, y [m]; s along the reference line [m], t to its left. Source of the formulas: ASAM OpenDRIVE 1.8,
chapter 9 (geometries) and 7.3 (polynomials).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from scenarios.formats.xml import Element
from sim.interface import Floats

COORDINATE_MAX = 1e8  # m; anything larger is a damaged number, not a place on Earth
LENGTH_MAX = 2e5  # m, longest road accepted; bounds the memory a damaged number can ask for
TURN_MAX = 400.0  # rad, most that one geometry may turn: sixty full circles
_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(8)
"""Eight-point quadrature integrates the clothoid to rounding error when a piece turns by less than `_TURN_STEP`."""
_TURN_STEP = 0.5  # rad


@dataclass(frozen=True, slots=True, eq=False)
class Cubics:
    """Records `a + b ds + c ds² + d ds³`, each from its own start on; the first also serves everything before it."""

    start: Floats
    """(N,) rising."""
    coefficients: Floats
    """(N, 4) a, b, c, d."""

    def __call__(self, at: Floats) -> Floats:
        """Value at every `at`; same shape."""
        row = np.maximum(np.searchsorted(self.start, at, side="right") - 1, 0)
        ds = at - self.start[row]
        a, b, c, d = self.coefficients[row].T
        result: Floats = a + ds * (b + ds * (c + ds * d))
        return result


ZERO = Cubics(np.zeros(1), np.zeros((1, 4)))


def read_cubics(records: Sequence[Element], start: str = "s") -> Cubics:
    """The records' attributes `start`, a, b, c, d as one `Cubics`, sorted by start; zero where there are none."""
    if not records:
        return ZERO
    rows = np.array([[record.number(name, 0.0) for name in (start, "a", "b", "c", "d")] for record in records])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return Cubics(rows[:, 0], rows[:, 1:])


class Shape(IntEnum):
    """Geometry elements of the plan view."""

    LINE = 0
    ARC = 1
    SPIRAL = 2
    POLY3 = 3
    PARAM_POLY3 = 4


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """One plan-view record: where it starts, and its parameters (see `_PARAMETERS`)."""

    s: float
    x: float
    y: float
    heading: float
    length: float
    shape: Shape
    parameters: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceLine:
    """Plan view of one road."""

    geometries: tuple[Geometry, ...]
    starts: Floats

    def __call__(self, s: Floats) -> tuple[Floats, Floats, Floats]:
        """x, y, heading (not wrapped) at every s (N,), which may lie a little outside."""
        row = np.maximum(np.searchsorted(self.starts, s, side="right") - 1, 0)
        x, y, heading = np.empty_like(s), np.empty_like(s), np.empty_like(s)
        for index in np.unique(row):
            here = row == index
            geometry = self.geometries[index]
            u, v, turn = _local(geometry, s[here] - geometry.s)
            cos, sin = np.cos(geometry.heading), np.sin(geometry.heading)
            x[here] = geometry.x + cos * u - sin * v
            y[here] = geometry.y + sin * u + cos * v
            heading[here] = geometry.heading + turn
        return x, y, heading

    @property
    def end(self) -> float:
        """s where the last geometry ends."""
        return self.geometries[-1].s + self.geometries[-1].length


def read_reference_line(road: Element) -> ReferenceLine:
    """The road's <planView>; InputError on an unknown or impossible geometry."""
    plan = road.need("planView")
    geometries = [_read_geometry(element) for element in plan.all("geometry")]
    # Records of no length carry no shape; exporters leave them at joints.
    kept = sorted((geometry for geometry in geometries if geometry.length > 1e-9), key=lambda geometry: geometry.s)
    if not kept:
        raise plan.error("the reference line has no length", "Give at least one <geometry> with length > 0.")
    return ReferenceLine(tuple(kept), np.array([geometry.s for geometry in kept]))


def _read_geometry(element: Element) -> Geometry:
    length = element.number("length", minimum=0.0)
    if length > LENGTH_MAX:
        raise element.error(f"length={length:g} m is not believable", f"It must be below {LENGTH_MAX:g} m.")
    x, y = element.number("x"), element.number("y")
    if max(abs(x), abs(y)) > COORDINATE_MAX:
        raise element.error(f"x={x:g}, y={y:g} is not a place on Earth", f"Coordinates must be below {COORDINATE_MAX:g} m.")
    for child in element.children:
        if child.tag in _PARAMETERS:
            shape, parameters = _PARAMETERS[child.tag]
            values = parameters(child, length)
            heading = float(np.remainder(element.number("hdg"), 2.0 * np.pi))
            return Geometry(element.number("s"), x, y, heading, length, shape, values)
    found = ", ".join(child.tag for child in element.children) or "nothing"
    raise element.error(f"unknown geometry ({found})", f"Use one of: {', '.join(_PARAMETERS)}.")


def _no_parameters(_element: Element, _length: float) -> tuple[float, ...]:
    return ()


def _arc(element: Element, length: float) -> tuple[float, ...]:
    curvature = element.number("curvature")
    _limit_turn(element, curvature * length)
    return (curvature,)


def _spiral(element: Element, length: float) -> tuple[float, ...]:
    """Curvature at the start and its slope."""
    start, end = element.number("curvStart"), element.number("curvEnd")
    _limit_turn(element, max(abs(start), abs(end)) * length)
    return (start, (end - start) / length) if length > 0.0 else (start, 0.0)


def _poly3(element: Element, _length: float) -> tuple[float, ...]:
    return tuple(_moderate(element, name) for name in ("a", "b", "c", "d"))


def _param_poly3(element: Element, length: float) -> tuple[float, ...]:
    """Eight coefficients and the value of p at the end."""
    # The attribute was optional before 1.5; without it p is normalised.
    span = element.choice("pRange", ("arcLength", "normalized"), "normalized")
    names = ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV")
    values = [_moderate(element, name) for name in names]
    return (*values, 1.0 / length if span == "normalized" and length > 0.0 else 1.0)


def _moderate(element: Element, name: str) -> float:
    value = element.number(name, 0.0)
    if abs(value) > COORDINATE_MAX:
        raise element.error(f"{name}={value:g} is not believable", f"It must be below {COORDINATE_MAX:g}.")
    return value


def _limit_turn(element: Element, turn: float) -> None:
    if abs(turn) > TURN_MAX:
        raise element.error(f"turns by {turn:g} rad over its length", "Check curvature [1/m] and length [m].")


_PARAMETERS = {
    "line": (Shape.LINE, _no_parameters),
    "arc": (Shape.ARC, _arc),
    "spiral": (Shape.SPIRAL, _spiral),
    "poly3": (Shape.POLY3, _poly3),
    "paramPoly3": (Shape.PARAM_POLY3, _param_poly3),
}


def _local(geometry: Geometry, ds: Floats) -> tuple[Floats, Floats, Floats]:
    """u, v [m] and heading [rad] in the geometry's own start frame, at ds (N,)."""
    values = geometry.parameters
    match geometry.shape:
        case Shape.LINE:
            return ds, np.zeros_like(ds), np.zeros_like(ds)
        case Shape.ARC:
            return _clothoid(ds, values[0], 0.0)
        case Shape.SPIRAL:
            return _clothoid(ds, values[0], values[1])
        case Shape.POLY3:
            return _local_poly3(ds, geometry.length, values)
        case Shape.PARAM_POLY3:
            return _local_param_poly3(ds, values)


def _clothoid(ds: Floats, curvature: float, slope: float) -> tuple[Floats, Floats, Floats]:
    """Integral of (cos, sin) of `curvature s + slope s² / 2`, the Fresnel integrals in their general form.

    Quadrature instead of a table of S and C: one formula from the straight line to the tightest spiral, with no cancellation
    where the curvature hardly changes.
    """
    turn_most = float(np.max(np.abs(curvature * ds) + np.abs(slope * ds * ds), initial=0.0))
    # Knots at every sample, at 0 and often enough between; each stretch is integrated alone and the stretches are summed up.
    regular = np.linspace(min(0.0, float(ds.min())), max(0.0, float(ds.max())), 2 + int(turn_most / _TURN_STEP))
    knots = np.unique(np.concatenate(([0.0], ds, regular)))
    half = 0.5 * np.diff(knots)
    s = (0.5 * (knots[1:] + knots[:-1]))[:, None] + half[:, None] * _GAUSS_NODES
    angle = s * (curvature + 0.5 * slope * s)
    u_knots = np.concatenate(([0.0], np.cumsum(half * (np.cos(angle) @ _GAUSS_WEIGHTS))))
    v_knots = np.concatenate(([0.0], np.cumsum(half * (np.sin(angle) @ _GAUSS_WEIGHTS))))
    at, origin = np.searchsorted(knots, ds), np.searchsorted(knots, 0.0)
    turn: Floats = ds * (curvature + 0.5 * slope * ds)
    return u_knots[at] - u_knots[origin], v_knots[at] - v_knots[origin], turn


def _local_poly3(ds: Floats, length: float, values: tuple[float, ...]) -> tuple[Floats, Floats, Floats]:
    """v(u) is a cubic in u, but s runs along the curve: u(s) comes from inverting the tabulated arc length."""
    a, b, c, d = values
    u_table = np.linspace(min(0.0, float(ds.min())), max(length, float(ds.max())), 257)
    slope = b + u_table * (2.0 * c + u_table * 3.0 * d)
    speed = np.hypot(1.0, slope)
    steps = 0.5 * (speed[1:] + speed[:-1]) * np.diff(u_table)
    arc = np.concatenate(([0.0], np.cumsum(steps)))
    arc -= np.interp(0.0, u_table, arc)
    u = np.interp(ds, arc, u_table)
    v: Floats = a + u * (b + u * (c + u * d))
    return u, v, np.arctan2(b + u * (2.0 * c + u * 3.0 * d), np.ones_like(u))


def _local_param_poly3(ds: Floats, values: tuple[float, ...]) -> tuple[Floats, Floats, Floats]:
    au, bu, cu, du, av, bv, cv, dv, scale = values
    p = ds * scale
    u: Floats = au + p * (bu + p * (cu + p * du))
    v: Floats = av + p * (bv + p * (cv + p * dv))
    turn: Floats = np.arctan2(bv + p * (2.0 * cv + p * 3.0 * dv), bu + p * (2.0 * cu + p * 3.0 * du))
    return u, v, turn


def require_finite(values: Floats, element: Element, what: str) -> None:
    """InputError at `element` if a polynomial blew up."""
    if not np.all(np.isfinite(values)) or np.max(np.abs(values), initial=0.0) > 10.0 * COORDINATE_MAX:
        raise element.error(f"its {what} runs off to infinity", "Check the polynomial coefficients.")
