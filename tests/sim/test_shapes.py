"""Solids and the shapes made of them: rays meet them where geometry says, and shapes stay inside their boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.interface import SPECS, Kind
from sim.sensors.primitives import PRIMITIVE_DTYPE, Solid, primitive, rotation
from sim.sensors.shapes import ROAD_USERS, THING_SHAPES, draw_shape
from sim.sensors.sweep import pose_limb
from sim.sensors.things import HELD_OUT_KINDS, THINGS, draw_size
from sim.sensors.trace import MISSED, pile_height, trace

KEY = np.uint64(17)
EVERYTHING = [*((kind, "") for kind in ROAD_USERS), *((Kind.OBJECT, name) for name in THINGS)]


def box_of(kind: Kind, thing: str, seed: int) -> tuple[float, float, float]:
    if kind == Kind.OBJECT:
        return draw_size(thing, seed, 2)
    return SPECS[kind].length, SPECS[kind].width, SPECS[kind].height


def content(prims) -> bytes:
    """All fields; the padding between them is anything."""
    return b"".join(prims[name].tobytes() for name in PRIMITIVE_DTYPE.names or ())


def met(prim, origin, direction, key=KEY) -> tuple[float, float]:
    length = math.sqrt(sum(part * part for part in direction))
    distance, cosine = trace(prim[0], key, *origin, *(part / length for part in direction))
    return float(distance), float(cosine)


@pytest.mark.parametrize("solid", [Solid.BOX, Solid.CYLINDER, Solid.ELLIPSOID])
def test_a_solid_is_met_face_on_at_its_near_side(solid):
    prim = primitive(solid, (10.0, 1.0, 2.0), (2.0, 0.5, 1.0), reflectivity=0.5)
    assert met(prim, (0.0, 1.0, 2.0), (1.0, 0.0, 0.0)) == pytest.approx((8.0, 1.0))
    assert met(prim, (10.0, 1.0, 9.0), (0.0, 0.0, -1.0)) == pytest.approx((6.0, 1.0))
    assert met(prim, (0.0, 1.0, 2.0), (-1.0, 0.0, 0.0))[0] == MISSED
    assert met(prim, (0.0, 1.6, 2.0), (1.0, 0.0, 0.0))[0] == MISSED
    assert met(prim, (10.0, 1.0, 2.0), (1.0, 0.0, 0.0))[0] == MISSED  # from inside


def test_slanted_rays_in_closed_form():
    sphere = primitive(Solid.ELLIPSOID, (5.0, 0.0, 0.0), (1.0, 1.0, 1.0), reflectivity=0.5)
    distance, cosine = met(sphere, (0.0, 0.6, 0.0), (1.0, 0.0, 0.0))
    assert (distance, cosine) == pytest.approx((5.0 - 0.8, 0.8))
    tube = primitive(Solid.CYLINDER, (5.0, 0.0, 0.0), (1.0, 1.0, 3.0), reflectivity=0.5)
    assert met(tube, (0.0, 0.0, 4.0), (1.0, 0.0, -1.0)) == pytest.approx((4.0 * math.sqrt(2.0), math.sqrt(0.5)))
    turned = primitive(Solid.BOX, (5.0, 0.0, 0.0), (1.0, 1.0, 1.0), reflectivity=0.5, axes=rotation(yaw=0.25 * math.pi))
    assert met(turned, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0))[0] == pytest.approx(5.0 - math.sqrt(2.0))
    assert met(turned, (0.0, 0.5, 0.0), (1.0, 0.0, 0.0)) == pytest.approx((5.0 - math.sqrt(2.0) + 0.5, math.sqrt(0.5)))


def test_a_pile_is_met_on_its_height_field():
    heap = primitive(Solid.PILE, (0.0, 0.0, 0.5), (2.0, 1.0, 0.5), reflectivity=0.3, parameter=1.5, bumps=9)
    for x, y in ((0.0, 0.0), (0.8, 0.2), (-1.2, -0.3)):
        distance, cosine = met(heap, (x, y, 10.0), (0.0, 0.0, -1.0))
        top = 0.5 + 0.5 * pile_height(0.5 * x, y, 1.5, 9)
        assert distance == pytest.approx(10.0 - top, abs=2e-3)
        assert 0.0 < cosine <= 1.0
    assert met(heap, (1.9, 0.9, 10.0), (0.0, 0.0, -1.0))[0] == MISSED  # beyond its round foot


@pytest.mark.parametrize("opacity", [0.2, 0.7])
def test_films_stop_the_share_that_their_opacity_says(opacity):
    film = primitive(Solid.BOX, (5.0, 0.0, 0.0), (0.001, 1.0, 1.0), reflectivity=0.5, opacity=opacity)
    stopped = [met(film, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), np.uint64(k))[0] < MISSED for k in range(3000)]
    assert np.mean(stopped) == pytest.approx(opacity, abs=0.03)


def test_clouds_let_through_what_beer_and_lambert_say():
    cloud = primitive(Solid.CLOUD, (5.0, 0.0, 0.0), (1.0, 1.0, 1.0), reflectivity=0.5, parameter=0.8)
    found = np.array([met(cloud, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), np.uint64(k))[0] for k in range(4000)])
    assert np.mean(found == MISSED) == pytest.approx(math.exp(-0.8 * 2.0), abs=0.02)
    inside = found[found < MISSED]
    assert inside.min() >= 4.0
    assert inside.max() <= 6.0


@given(yaw=st.floats(-3.0, 3.0), pitch=st.floats(-1.5, 1.5), roll=st.floats(-1.5, 1.5))
@pytest.mark.parametrize("solid", [Solid.BOX, Solid.CYLINDER, Solid.ELLIPSOID])
def test_extents_hold_turned_solids(solid, yaw, pitch, roll):
    prim = primitive(solid, (0.0, 0.0, 0.0), (1.0, 0.3, 0.6), reflectivity=0.5, axes=rotation(yaw, pitch, roll))
    low = prim["extent"][0]
    for axis in range(3):
        origin, direction = [0.05, 0.05, 0.05], [0.0, 0.0, 0.0]
        origin[axis], direction[axis] = 9.0, -1.0
        distance, _ = met(prim, origin, direction)
        assert distance >= 9.0 - low[axis] - 1e-9
        other = (axis + 1) % 3
        origin[other] = low[other] + 1e-6
        assert met(prim, origin, direction)[0] == MISSED


@pytest.mark.parametrize(("kind", "thing"), EVERYTHING, ids=lambda value: getattr(value, "name", value) or "-")
def test_shapes_stay_inside_their_boxes_and_vary(kind, thing):
    drawn = []
    for seed in range(30):
        size = np.array(box_of(kind, thing, seed))
        prims = draw_shape(kind, thing, (size[0], size[1], size[2]), seed, 2)
        low, high = np.array([-0.5 * size[0], -0.5 * size[1], 0.0]), np.array([0.5 * size[0], 0.5 * size[1], size[2]])
        poses = [prims]
        for swung in (-1.0, 1.0):
            turned = prims.copy()
            for k in np.flatnonzero(prims["swing"] != 0.0):
                pose_limb(prims[k], prims[k]["swing"] * swung, turned[k])
            poses.append(turned)
        for pose in poses:
            assert (pose["centre"] - pose["extent"] >= low - 1e-9).all()
            assert (pose["centre"] + pose["extent"] <= high + 1e-9).all()
        assert (prims["opacity"] > 0.0).all()
        assert (prims["reflectivity"] > 0.0).all()
        drawn.append(content(prims))
        assert content(draw_shape(kind, thing, (size[0], size[1], size[2]), seed, 2)) == drawn[-1]
    assert len(set(drawn)) == 30


def test_every_kind_has_a_shape_and_held_out_ones_do():
    assert set(THING_SHAPES) == set(THINGS) >= set(HELD_OUT_KINDS)
    assert set(ROAD_USERS) == set(Kind) - {Kind.OBJECT}


def test_front_and_rear_of_a_car_differ():
    prims = draw_shape(Kind.CAR, "", (4.7, 1.85, 1.5), 1, 1)

    def silhouette(x: float) -> float:
        return min(met(prims[k : k + 1], (x, 0.1, 5.0), (0.0, 0.0, -1.0))[0] for k in range(len(prims)))

    heights = np.array([[5.0 - silhouette(side * x) for x in (1.2, 1.7, 2.1)] for side in (1.0, -1.0)])
    assert np.abs(heights[0] - heights[1]).max() > 0.1


def test_drive_through_things_let_light_through():
    for name, thing in THINGS.items():
        prims = draw_shape(Kind.OBJECT, name, draw_size(name, 1, 2), 1, 2)
        thin = (prims["opacity"] < 0.95) | (prims["solid"] == Solid.CLOUD)
        if thing.drive_through:
            assert thin.all(), name


def test_a_solid_without_size_is_refused():
    with pytest.raises(ValueError, match="half sizes above 0"):
        primitive(Solid.BOX, (0.0, 0.0, 0.0), (1.0, 0.0, 1.0), reflectivity=0.5)
