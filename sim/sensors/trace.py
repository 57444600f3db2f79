"""Where a ray meets a primitive.

A ray is taken into the frame in which the solid is a unit solid; the distance along it stays what it is (the direction is not
scaled back to unit length there), and normals go the other way by the transpose. Solids hide only what is behind their near side:
a ray that starts inside one does not meet it.
"""

from __future__ import annotations

import math

import numpy as np

from sim.jit import kernel
from sim.rng import mix
from sim.sensors.primitives import Solid

MISSED = 1e30  # m
PILE_STEPS = 24

_BOX, _CYLINDER, _ELLIPSOID, _PILE = int(Solid.BOX), int(Solid.CYLINDER), int(Solid.ELLIPSOID), int(Solid.PILE)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53


@kernel
def unit_of(bits: np.uint64) -> float:
    """Uniform number in [0, 1) of 64 random bits."""
    return float(bits >> np.uint64(11)) * _TO_UNIT


@kernel
def _slab(p: float, d: float) -> tuple[float, float]:
    """Distances at which a ray enters and leaves -1 <= p <= 1 on one axis."""
    if abs(d) < 1e-12:
        return (-MISSED, MISSED) if abs(p) <= 1.0 else (MISSED, -MISSED)
    near, far = (-1.0 - p) / d, (1.0 - p) / d
    return (near, far) if near < far else (far, near)


@kernel
def _box(prim: np.record, px: float, py: float, pz: float, dx: float, dy: float, dz: float) -> tuple[float, float]:
    x0, x1 = _slab(px, dx)
    y0, y1 = _slab(py, dy)
    z0, z1 = _slab(pz, dz)
    near, far = max(x0, y0, z0), min(x1, y1, z1)
    if near > far or near <= 0.0:
        return MISSED, 0.0
    if near == x0:
        return near, abs(dx) * prim.half[0]
    if near == y0:
        return near, abs(dy) * prim.half[1]
    return near, abs(dz) * prim.half[2]


@kernel
def _incidence(prim: np.record, nx: float, ny: float, nz: float, dx: float, dy: float, dz: float) -> float:
    """Cosine between a ray and the normal (nx, ny, nz), both given in the frame of the unit solid."""
    square = 0.0
    for k in range(3):
        part = prim.into[0, k] * nx + prim.into[1, k] * ny + prim.into[2, k] * nz
        square += part * part
    return float(abs(dx * nx + dy * ny + dz * nz) / math.sqrt(square + 1e-30))


@kernel
def _ellipsoid(prim: np.record, px: float, py: float, pz: float, dx: float, dy: float, dz: float) -> tuple[float, float]:
    a = dx * dx + dy * dy + dz * dz
    b = px * dx + py * dy + pz * dz
    root = b * b - a * (px * px + py * py + pz * pz - 1.0)
    if root <= 0.0:
        return MISSED, 0.0
    t = (-b - math.sqrt(root)) / a
    if t <= 0.0:
        return MISSED, 0.0
    return t, _incidence(prim, px + t * dx, py + t * dy, pz + t * dz, dx, dy, dz)


@kernel
def _cylinder(prim: np.record, px: float, py: float, pz: float, dx: float, dy: float, dz: float) -> tuple[float, float]:
    a = dx * dx + dy * dy
    b = px * dx + py * dy
    c = px * px + py * py - 1.0
    z0, z1 = _slab(pz, dz)
    if a < 1e-18:
        return (z0, abs(dz) * prim.half[2]) if c <= 0.0 and 0.0 < z0 <= z1 else (MISSED, 0.0)
    root = b * b - a * c
    if root <= 0.0:
        return MISSED, 0.0
    root = math.sqrt(root)
    near, far = max((-b - root) / a, z0), min((-b + root) / a, z1)
    if near > far or near <= 0.0:
        return MISSED, 0.0
    if near == z0:
        return near, abs(dz) * prim.half[2]
    return near, _incidence(prim, px + near * dx, py + near * dy, 0.0, dx, dy, dz)


@kernel
def pile_height(x: float, y: float, fullness: float, bumps: int) -> float:
    """Height in [-1, 1] of a pile's surface over a place of its unit square; outside its round foot there is none (-2)."""
    r = math.sqrt(x * x + y * y)
    if r >= 1.0:
        return -2.0
    phase = 6.2831853 * unit_of(mix(np.uint64(bumps), 1))
    other = 6.2831853 * unit_of(mix(np.uint64(bumps), 2))
    bump = 0.5 * math.sin(5.0 * x + phase) * math.cos(4.0 * y + other) + 0.5 * math.sin(9.0 * y - 7.0 * x + other)
    return float(2.0 * (1.0 - r**fullness) * (0.85 + 0.15 * bump) - 1.0)


@kernel
def _pile(prim: np.record, px: float, py: float, pz: float, dx: float, dy: float, dz: float) -> tuple[float, float]:
    """The first of PILE_STEPS steps through the unit box that ends below the surface, then bisection."""
    x0, x1 = _slab(px, dx)
    y0, y1 = _slab(py, dy)
    z0, z1 = _slab(pz, dz)
    near, far = max(x0, y0, z0, 0.0), min(x1, y1, z1)
    if near > far:
        return MISSED, 0.0
    fullness, bumps = prim.parameter, prim.bumps
    before, step = near, (far - near) / PILE_STEPS
    for k in range(PILE_STEPS + 1):
        after = near + k * step
        if pz + after * dz <= pile_height(px + after * dx, py + after * dy, fullness, bumps):
            break
        before = after
    else:
        return MISSED, 0.0
    for _ in range(10):
        middle = 0.5 * (before + after)
        if pz + middle * dz <= pile_height(px + middle * dx, py + middle * dy, fullness, bumps):
            after = middle
        else:
            before = middle
    x, y = px + after * dx, py + after * dy
    h = 0.02
    nx = pile_height(x - h, y, fullness, bumps) - pile_height(x + h, y, fullness, bumps)
    ny = pile_height(x, y - h, fullness, bumps) - pile_height(x, y + h, fullness, bumps)
    return after, _incidence(prim, nx, ny, 2.0 * h, dx, dy, dz)


@kernel
def _cloud(
    prim: np.record, key: np.uint64, px: float, py: float, pz: float, dx: float, dy: float, dz: float
) -> tuple[float, float]:
    """The first scatterer met: a ray gets exponentially far into a cloud. It may start inside."""
    a = dx * dx + dy * dy + dz * dz
    b = px * dx + py * dy + pz * dz
    root = b * b - a * (px * px + py * py + pz * pz - 1.0)
    if root <= 0.0:
        return MISSED, 0.0
    root = math.sqrt(root)
    near, far = max((-b - root) / a, 0.0), (-b + root) / a
    t = near - math.log(1.0 - unit_of(mix(key, 1))) / prim.parameter
    return (t, 1.0) if 0.0 < t < far else (MISSED, 0.0)


@kernel
def trace(
    prim: np.record, key: np.uint64, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> tuple[float, float]:
    """(distance [m], cosine of incidence) at which the ray from o along the unit vector d meets a primitive, or MISSED.

    key: random bits of this ray and this primitive, for those that stop only some rays.
    """
    if prim.opacity < 1.0 and unit_of(mix(key, 0)) >= prim.opacity:
        return MISSED, 0.0
    m = prim.into
    x, y, z = ox - prim.centre[0], oy - prim.centre[1], oz - prim.centre[2]
    px, py, pz = (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )
    ux, uy, uz = (
        m[0, 0] * dx + m[0, 1] * dy + m[0, 2] * dz,
        m[1, 0] * dx + m[1, 1] * dy + m[1, 2] * dz,
        m[2, 0] * dx + m[2, 1] * dy + m[2, 2] * dz,
    )
    if prim.solid == _BOX:
        return _box(prim, px, py, pz, ux, uy, uz)
    if prim.solid == _CYLINDER:
        return _cylinder(prim, px, py, pz, ux, uy, uz)
    if prim.solid == _ELLIPSOID:
        return _ellipsoid(prim, px, py, pz, ux, uy, uz)
    if prim.solid == _PILE:
        return _pile(prim, px, py, pz, ux, uy, uz)
    return _cloud(prim, key, px, py, pz, ux, uy, uz)
