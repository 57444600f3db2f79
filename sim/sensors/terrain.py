"""The ground that a lidar sees: rough and sloped, with kerbs along the drivable edge, and what grows and stands beyond it.

Heights are a raster in the world frame, made once for a map and a seed. Everything stands on this ground: bodies, the sensor,
bushes. The road's own heights come from its centrelines; where one road passes over another, the nearest centreline counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sim.geometry import Floats
from sim.jit import kernel
from sim.rng import Purpose, generator
from sim.roads.drivable import DRIVABLE, as_wide_as_room, draw_drivable
from sim.roads.lane_map import LaneMap
from sim.sensors.primitives import Solid, Vector, joined, primitive, rotation

CELL = 0.4  # m, side of a raster cell; grows on very large maps
CELLS_MAX = 6_000_000
RIM = 60.0  # m of ground round the roads
KERB = (0.08, 0.16)  # m
WAVES = 6
WAVELENGTHS = (40.0, 160.0)  # m
SLOPE = 0.012  # standard deviation of the slope that the waves make together
ROAD_ROUGHNESS, VERGE_ROUGHNESS = 0.006, 0.05  # m
ASPHALT, VERGE = (0.12, 0.25), (0.25, 0.5)
PATCH = 10  # cells along the side of a patch of one reflectivity
PLANTED_FROM, PLANTED_TO = 1.2, 45.0  # m from the nearest lane
PLOT = 5.0  # m, side of a plot that has at most one thing on it
_TERRAIN, _PLANTS = 0x7E44, 0x9147  # streams within Purpose.SENSOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """z (H, W): height [m]; bright (H, W): reflectivity, negative on the road; corner of cell (0, 0) and side of a cell [m]."""

    z: NDArray[np.float32]
    bright: NDArray[np.float32]
    x0: float
    y0: float
    cell: float


@kernel
def height_at(z: NDArray[np.float32], x0: float, y0: float, per_m: float, x: float, y: float) -> float:
    """Height [m] of the ground at a place, between the centres of four cells; beyond the raster that of its border.

    per_m: cells to the metre.
    """
    rows, columns = z.shape
    u = min(max((x - x0) * per_m - 0.5, 0.0), columns - 1.001)
    v = min(max((y - y0) * per_m - 0.5, 0.0), rows - 1.001)
    column, row = np.uint32(u), np.uint32(v)
    fu, fv = u - column, v - row
    low = z[row, column] + fu * (z[row, column + np.uint32(1)] - z[row, column])
    row += np.uint32(1)
    high = z[row, column] + fu * (z[row, column + np.uint32(1)] - z[row, column])
    return float(low + fv * (high - low))


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What of the ground follows from the map alone, (H, W) each: drivable; even (drivable or walked on); distance [m] to the
    nearest even cell; height of the roads [m], None where they are all level. Corner and side of the cells as in `Terrain`."""

    road: NDArray[np.bool_]
    even: NDArray[np.bool_]
    free: NDArray[np.float32]
    heights: NDArray[np.float32] | None
    x0: float
    y0: float
    cell: float


def survey(road_map: LaneMap) -> Survey:
    """Measure a map's ground."""
    road, walked, x0, y0, cell = _rasters(road_map)
    even = road | walked
    free = (cell * ndimage.distance_transform_edt(~even)).astype(np.float32)
    heights = _road_heights(road_map, road.shape, x0, y0, cell) if road_map.points["z"].any() else None
    return Survey(road=road, even=even, free=free, heights=heights, x0=x0, y0=y0, cell=cell)


def make_terrain(ground: Survey, seed: int) -> tuple[Terrain, NDArray[np.void]]:
    """The ground of a map and (P,) PRIMITIVE_DTYPE of what grows and stands on it beyond all lanes, both for one seed."""
    road, even = ground.road, ground.even
    random = generator(seed, Purpose.SENSOR, _TERRAIN)
    z = _waves(road.shape, ground.x0, ground.y0, ground.cell, random)
    if ground.heights is not None:
        z += ground.heights
    z[~road] += np.float32(random.uniform(*KERB))
    # sidewalks are as even as the road; what nobody walks on is rough
    z += random.standard_normal(road.shape, np.float32) * np.where(even, np.float32(ROAD_ROUGHNESS), np.float32(VERGE_ROUGHNESS))
    asphalt, verge = (np.float32(random.uniform(*limits)) for limits in (ASPHALT, VERGE))
    coarse = random.uniform(0.75, 1.25, (road.shape[0] // PATCH + 1, road.shape[1] // PATCH + 1)).astype(np.float32)
    patches = np.repeat(np.repeat(coarse, PATCH, axis=0), PATCH, axis=1)[: road.shape[0], : road.shape[1]]
    bright = np.where(even, -asphalt, verge) * patches
    terrain = Terrain(z=z, bright=bright, x0=ground.x0, y0=ground.y0, cell=ground.cell)
    return terrain, _plants(terrain, ground.free, seed)


def _rasters(road_map: LaneMap) -> tuple[NDArray[np.bool_], NDArray[np.bool_], float, float, float]:
    """(drivable, walked on, x0, y0, side of a cell): bitmaps with a rim round the map."""
    lanes = [(int(kind), road_map.lane_points(k)) for k, kind in enumerate(road_map.lanes["kind"])]
    painted = draw_drivable([as_wide_as_room(points) for kind, points in lanes if kind in DRIVABLE], [])
    feet = draw_drivable([points for kind, points in lanes if kind not in DRIVABLE], [])
    used = [bitmap for bitmap in (painted, feet) if bitmap.cells.any()]
    low = np.min([(b.x0, b.y0) for b in used], axis=0) - RIM
    high = np.max([(b.x0 + b.cell * b.cells.shape[1], b.y0 + b.cell * b.cells.shape[0]) for b in used], axis=0) + RIM
    cell = max(CELL, math.sqrt(float(np.prod(high - low)) / CELLS_MAX))
    shape = np.ceil((high - low) / cell).astype(int) + 1
    x = low[0] + cell * (np.arange(shape[0]) + 0.5)
    y = low[1] + cell * (np.arange(shape[1]) + 0.5)
    sampled = []
    for bitmap in (painted, feet):
        columns = np.floor((x - bitmap.x0) / bitmap.cell).astype(int)
        rows = np.floor((y - bitmap.y0) / bitmap.cell).astype(int)
        inside = (rows[:, None] >= 0) & (rows[:, None] < len(bitmap.cells)) & (columns >= 0) & (columns < bitmap.cells.shape[1])
        cells = bitmap.cells[np.clip(rows, 0, len(bitmap.cells) - 1)][:, np.clip(columns, 0, bitmap.cells.shape[1] - 1)]
        sampled.append(inside & (cells > 0))
    return sampled[0], sampled[1] & ~sampled[0], float(low[0]), float(low[1]), cell


def _waves(shape: tuple[int, int], x0: float, y0: float, cell: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Long waves whose slopes add up to SLOPE; each is a product of one wave along x and one along y, so it costs two vectors."""
    x, y = x0 + cell * np.arange(shape[1]), y0 + cell * np.arange(shape[0])
    parts = []
    for _ in range(WAVES):
        kx, ky = 2.0 * np.pi / random.uniform(*WAVELENGTHS, 2)
        px, py = random.uniform(0.0, 2.0 * np.pi, 2)
        # a product of sines has slopes of k / 2 times its height, on average over both directions
        high = SLOPE / math.sqrt(WAVES) * 2.0 / math.hypot(kx, ky)
        parts.append((high * np.sin(ky * y + py), np.sin(kx * x + px)))
    along, across = (np.array([part[k] for part in parts], np.float32) for k in range(2))
    # not by matrix product: its order of adding, and so its last bits, may depend on the number of threads
    z: NDArray[np.float32] = np.einsum("ki,kj->ij", along, across)
    return z


def _road_heights(road_map: LaneMap, shape: tuple[int, int], x0: float, y0: float, cell: float) -> NDArray[np.float32]:
    """Height of the nearest centreline point for each cell."""
    points = road_map.points
    rows = np.clip(((points["y"] - y0) / cell).astype(int), 0, shape[0] - 1)
    columns = np.clip(((points["x"] - x0) / cell).astype(int), 0, shape[1] - 1)
    empty, z = np.ones(shape, bool), np.zeros(shape, np.float32)
    empty[rows, columns], z[rows, columns] = False, points["z"]
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    smooth: NDArray[np.float32] = ndimage.uniform_filter(z[nearest[0], nearest[1]], 5)
    return smooth


def _plants(terrain: Terrain, free: NDArray[np.float32], seed: int) -> NDArray[np.void]:
    """Bushes, trees, posts and sheds on plots beyond the lanes; how many there are differs from seed to seed."""
    random = generator(seed, Purpose.SENSOR, _PLANTS)
    share = random.uniform(0.03, 0.30)
    step = max(round(PLOT / terrain.cell), 1)
    rows, columns = np.meshgrid(
        np.arange(step, free.shape[0] - step, step), np.arange(step, free.shape[1] - step, step), indexing="ij"
    )
    draws = random.random((rows.size, 10))
    rows = rows.ravel() + np.floor((draws[:, 0] - 0.5) * step).astype(int)
    columns = columns.ravel() + np.floor((draws[:, 1] - 0.5) * step).astype(int)
    room = free[rows, columns]
    chosen = np.flatnonzero((draws[:, 2] < share) & (room > PLANTED_FROM) & (room < PLANTED_TO))
    made: list[NDArray[np.void]] = []
    for k in chosen:
        x, y = terrain.x0 + terrain.cell * (columns[k] + 0.5), terrain.y0 + terrain.cell * (rows[k] + 0.5)
        made.extend(_plant((float(x), float(y), float(terrain.z[rows[k], columns[k]])), float(room[k]), draws[k, 3:]))
    return joined(made)


def _plant(place: Vector, room: float, draws: NDArray[np.float64]) -> list[NDArray[np.void]]:
    """One thing beyond the lanes with `room` [m] to the nearest of them; draws (7,) in [0, 1)."""
    x, y, z = place
    pick, a, b, c, d, e, f = (float(value) for value in draws)
    green, reach = 0.3 + 0.3 * d, room - 0.4
    if pick < 0.5:
        half = (min(0.3 + 1.2 * a, reach), min(0.3 + 1.2 * b, reach), 0.2 + 0.8 * c)
        return [primitive(Solid.CLOUD, (x, y, z + 0.8 * half[2]), half, reflectivity=green, parameter=1.5 + 4.0 * e)]
    if pick < 0.7:
        trunk, crown = 0.10 + 0.15 * a, 1.2 + 1.5 * b
        top = 2.2 + 1.5 * c
        stem = primitive(
            Solid.CYLINDER, (x, y, z + 0.5 * top), (min(trunk, reach), min(trunk, reach), 0.5 * top), reflectivity=0.3
        )
        leaves = primitive(
            Solid.CLOUD, (x, y, z + top + 0.7 * crown), (crown, crown, 0.8 * crown), reflectivity=green, parameter=0.6 + e
        )
        return [stem, leaves]
    if pick < 0.88 or room < 6.0:
        high, thick = 0.8 + 4.0 * a * b, min(0.04 + 0.06 * c, reach)
        post = primitive(Solid.CYLINDER, (x, y, z + 0.5 * high), (thick, thick, 0.5 * high), reflectivity=0.2 + 0.5 * d)
        if high < 2.0 or e < 0.5:
            return [post]
        sign = primitive(Solid.BOX, (x, y, z + high - 0.3), (0.02, 0.3, 0.3), reflectivity=3.0, axes=rotation(2.0 * math.pi * f))
        return [post, sign]
    half = (min(1.0 + 4.0 * a, 0.6 * reach), min(1.0 + 3.0 * b, 0.6 * reach), 1.2 + 1.5 * c)
    shed = primitive(Solid.BOX, (x, y, z + half[2] - 0.2), half, reflectivity=0.2 + 0.4 * d, axes=rotation(2.0 * math.pi * e))
    return [shed]


def make_walls(terrain: Terrain, scenery: Sequence[Floats]) -> NDArray[np.void]:
    """(P,) PRIMITIVE_DTYPE: upright walls along outlines (K, 2) of what blocks sight."""
    made = []
    for outline in scenery:
        corners = np.asarray(outline, np.float64)[:, :2]
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            length = math.hypot(bx - ax, by - ay)
            if length < 1e-6:
                continue
            x, y = 0.5 * (ax + bx), 0.5 * (ay + by)
            z = height_at(terrain.z, terrain.x0, terrain.y0, 1.0 / terrain.cell, x, y)
            made.append(
                primitive(
                    Solid.BOX, (x, y, z + 1.5), (0.5 * length, 0.05, 2.5), reflectivity=0.35,
                    axes=rotation(math.atan2(by - ay, bx - ax)),
                )
            )  # fmt: skip
    return joined(made)
