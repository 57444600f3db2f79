"""The solids that the lidar's rays meet: boxes, cylinders, ellipsoids, piles and clouds, and what they give back.

Every solid is a unit solid, inside [-1, 1] on each axis, scaled by `half`, turned by `axes` and moved to `centre`. The frame is
its body's: x forward, y left, z up, the origin on the ground under the centre of the body's box; things that stand still for good
(walls, bushes) use the world frame. SI units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, float, float]
Axis = NDArray[np.float64]


class Solid(IntEnum):
    """What a primitive is."""

    BOX = 0
    CYLINDER = 1
    """Elliptic, along its own z axis, with flat ends."""
    ELLIPSOID = 2
    PILE = 3
    """A heap over the bottom of its unit box, highest in the middle: a height field with bumps; `parameter` is how full it is
    (1 a cone, 2 a dome, more a plateau)."""
    CLOUD = 4
    """An ellipsoid full of scatterers (leaves, blades, drops); `parameter` is how many a ray meets per metre."""


PRIMITIVE_DTYPE = np.dtype(
    [
        ("solid", "i4"), ("bumps", "u4"), ("opacity", "f4"), ("reflectivity", "f4"), ("parameter", "f4"),
        ("centre", "f8", (3,)), ("half", "f8", (3,)), ("axes", "f8", (3, 3)), ("into", "f8", (3, 3)),
        ("extent", "f8", (3,)), ("swing", "f8"), ("pivot", "f8", (3,)),
    ],
    align=True,
)  # fmt: skip
"""One solid. opacity: chance that a ray which meets it is stopped there; below 1 for nets, films, glass and spokes.
reflectivity: share of light that a white surface would give back (Lambertian; above 1 for retro-reflectors). bumps: seed of a
pile's surface. axes: columns are its own axes; into: maps an offset from its centre to the unit solid; extent: half size of the
upright box around it. swing: angle [rad] at the end of a step by which a limb turns about the y axis through `pivot`; 0 for what
is rigid."""

_IDENTITY = np.eye(3)


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> NDArray[np.float64]:
    """(3, 3) axes turned by roll about x, then pitch about y (nose down), then yaw about z."""
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(angle), math.sin(angle)) for angle in (yaw, pitch, roll))
    about_z = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    about_y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    return np.asarray(about_z @ about_y @ about_x)


def primitive(
    solid: Solid, centre: Vector, half: Vector, *, reflectivity: float, opacity: float = 1.0, parameter: float = 0.0,
    bumps: int = 0, axes: NDArray[np.float64] | None = None, swing: float = 0.0, pivot: Vector = (0.0, 0.0, 0.0),
) -> NDArray[np.void]:  # fmt: skip
    """(1,) PRIMITIVE_DTYPE. ValueError for a solid without size."""
    if min(half) <= 0.0:
        raise ValueError(f"a primitive needs half sizes above 0, got {half!r}")
    made = np.zeros(1, PRIMITIVE_DTYPE)
    row = made[0]
    row["solid"], row["bumps"], row["parameter"] = solid, bumps, parameter
    row["opacity"], row["reflectivity"] = opacity, reflectivity
    row["centre"], row["half"], row["swing"], row["pivot"] = centre, half, swing, pivot
    turn = _IDENTITY if axes is None else axes
    row["axes"] = turn
    row["into"] = turn.T / np.asarray(half)[:, None]
    row["extent"] = extent(solid, np.asarray(half), turn)
    return made


def extent(solid: Solid, half: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) half size of the upright box around a turned solid: its support in the directions x, y and z."""
    sides = np.abs(axes) * half
    if solid in (Solid.ELLIPSOID, Solid.CLOUD):
        return np.asarray(np.sqrt((sides**2).sum(axis=1)))
    if solid == Solid.CYLINDER:
        return np.asarray(np.hypot(sides[:, 0], sides[:, 1]) + sides[:, 2])
    return np.asarray(sides.sum(axis=1))


def joined(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """All primitives of all parts, in order (numpy's own joining compares the fields of every two parts)."""
    whole = np.zeros(sum(len(part) for part in parts), PRIMITIVE_DTYPE)
    place = 0
    for part in parts:
        whole[place : place + len(part)] = part
        place += len(part)
    return whole
