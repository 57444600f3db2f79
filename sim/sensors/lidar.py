"""The lidar: one sweep of points through weather, and what each point is of.

`scan` is pure in (state, tick, seed, branch): bodies are where the state's own short past says they were while the sensor turned,
and every random draw is keyed by tick, column and ring. Shapes, ground and what stands about are made once per world
(`make_scenery`).
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.interface import TICK_S, Floats, SensorFrame
from sim.jit import kernel
from sim.rng import Purpose, generator, mix
from sim.roads.lane_map import LaneMap
from sim.roads.pack import Roads
from sim.sensors import shapes
from sim.sensors.beams import BEAMS, LidarSpec
from sim.sensors.errors import default_parameters
from sim.sensors.objects import sense_own
from sim.sensors.primitives import PRIMITIVE_DTYPE, Solid, joined, primitive
from sim.sensors.state import read_signals
from sim.sensors.sweep import (
    CLUTTER,
    COLUMN_DTYPE,
    GROUND,
    GROUND_DTYPE,
    POSE_DTYPE,
    RAY_DTYPE,
    RING_DTYPE,
    SENSOR_DTYPE,
    WALL,
    WEATHER,
    aim,
    draw_body,
    draw_ground,
    gait,
    merge_body,
    read_out,
)
from sim.sensors.terrain import Survey, Terrain, height_at, make_terrain, make_walls, survey
from sim.sensors.weather import Weather, pack_weather, reach_of
from sim.state import HISTORY, Status, WorldState

__all__ = ["CLUTTER", "GROUND", "WALL", "WEATHER", "LidarSpec", "Scenery", "Sweep", "make_scenery", "scan", "sense"]

Four = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]
"""Arrays that go to kernels together."""
SPRAY_SPEED = 8.0  # m/s
SPRAY_LENGTH, SPRAY_HEIGHT = 7.0, 1.8  # m, behind a vehicle
_ACTIVE = int(Status.ACTIVE)
_SENSOR, _LIDAR = int(Purpose.SENSOR), 0x11DA  # the lidar's own stream
_RINGS = 0xDEAD
_KEPT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """All that is solid in one world: (P,) primitives of its bodies by slot, then of what stands about, then walls.

    first: (A + 2,) index of each slot's first primitive, then of the first one that stands about, then of the first wall.
    spray: (A,) what each body throws up behind it. still: (1,) POSE_DTYPE of what never moves.
    """

    terrain: Terrain
    primitives: NDArray[np.void]
    first: NDArray[np.int64]
    spray: NDArray[np.void]
    still: NDArray[np.void]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One turn of the sensor, and the truth about it.

    points: (N, 5) float32 x, y, z [m], intensity 0..1, time offset [s] in (-0.1, 0] from the frame's tick; in the car's frame at
    that tick: x forward, y left, z up, the origin on the ground under the centre of its box. Points are brought into it with what
    the car knows of its own motion. hits: (N,) int32 slot of the body each point is of, or GROUND, CLUTTER, WALL, WEATHER.
    counts: (A,) points of each body. alone: (A,) rays that would have found it with nothing else in the world but the weather's
    dimming.
    """

    points: NDArray[np.float32]
    hits: NDArray[np.int32]
    counts: NDArray[np.int32]
    alone: NDArray[np.int32]


_surveys: OrderedDict[int, tuple[LaneMap, Survey]] = OrderedDict()


def _survey(road_map: LaneMap) -> Survey:
    """`survey`, of the last few maps kept; the map is kept too, so that its id stays its own."""
    key = id(road_map)
    if key not in _surveys:
        _surveys[key] = road_map, survey(road_map)
        if len(_surveys) > _KEPT:
            _surveys.popitem(last=False)
    return _surveys[key][1]


def make_scenery(road_map: LaneMap, bodies: NDArray[np.void], seed: int, occluders: Sequence[Floats] = ()) -> Scenery:
    """Shapes of (A,) bodies (BODY_DTYPE, sizes and kinds as they stay), the ground and what stands on it, for one seed.

    occluders: outlines (K, 2) of what blocks sight besides the map's own scenery.
    """
    terrain, plants = make_terrain(_survey(road_map), seed)
    parts = [shapes.draw_body(body, seed, slot) for slot, body in enumerate(bodies)]
    parts += [plants, make_walls(terrain, [*road_map.scenery, *occluders])]
    first = np.cumsum([0] + [len(part) for part in parts[:-1]])
    sprays = [_spray(float(body["length"]), float(body["width"])) for body in bodies]
    still = np.zeros(1, POSE_DTYPE)
    still["cos0"] = still["cos1"] = 1.0
    return Scenery(
        terrain=terrain, primitives=joined(parts), first=first.astype(np.int64),
        spray=joined(sprays), still=still,
    )  # fmt: skip


def _spray(length: float, width: float) -> NDArray[np.void]:
    centre = (-0.5 * length - 0.5 * SPRAY_LENGTH, 0.0, 0.5 * SPRAY_HEIGHT)
    half = (0.5 * SPRAY_LENGTH, 0.7 * width, 0.5 * SPRAY_HEIGHT)
    return primitive(Solid.CLOUD, centre, half, reflectivity=0.3, parameter=1.0)


@functools.lru_cache(maxsize=64)
def _rings(spec: LidarSpec, seed: int) -> NDArray[np.void]:
    """(R,) RING_DTYPE, read-only, with the rings of this seed that are dead."""
    table = np.zeros(spec.beams, RING_DTYPE)
    table["cos"], table["sin"], table["tan"] = (function(BEAMS[spec.beams]) for function in (np.cos, np.sin, np.tan))
    order = generator(seed, Purpose.SENSOR, _RINGS).permutation(spec.beams)
    table["dead"][order[: round(spec.dead_rings * spec.beams)]] = 1.0
    table.setflags(write=False)
    return table


@kernel
def _fill_pose(state: WorldState, w: int, b: int, z: float, out: np.record) -> None:
    """Where a body was a tick ago and is now; who was not there yet is carried back by its velocity."""
    tick = state.worlds[w].tick
    body = state.bodies[w, b]
    before = state.history[w, (tick - 1) % HISTORY, b]
    out.x1, out.y1, out.cos1, out.sin1, out.speed, out.z = body.x, body.y, body.cos, body.sin, body.speed, z
    if tick > 0 and before.status == _ACTIVE:
        out.x0, out.y0, out.cos0, out.sin0 = before.x, before.y, before.cos, before.sin
    else:
        out.x0, out.y0, out.cos0, out.sin0 = body.x - TICK_S * body.vx, body.y - TICK_S * body.vy, body.cos, body.sin


@kernel
def place_bodies(
    state: WorldState, w: int, a: int, reach: float, ground: np.record, z: NDArray[np.float32], poses: NDArray[np.void]
) -> None:
    """Fill `poses` (A,) of the bodies that stand where a sensor on `a` may see them, and of `a` itself; `z` is NaN for others."""
    eye = state.bodies[w, a]
    for b in range(len(poses)):
        body = state.bodies[w, b]
        dx, dy = body.x - eye.x, body.y - eye.y
        near = reach + body.radius + SPRAY_LENGTH + 10.0
        if b != a and (body.status != _ACTIVE or dx * dx + dy * dy > near * near):
            poses[b].z = np.nan
            continue
        _fill_pose(state, w, b, height_at(z, ground.x0, ground.y0, ground.per_m, body.x, body.y), poses[b])


@kernel
def draw_all(
    a: int, tick: int, primitives: NDArray[np.void], first: NDArray[np.int64], spray: NDArray[np.void], poses: NDArray[np.void],
    still: NDArray[np.void], tables: Four, key: np.uint64, images: Four, alone: NDArray[np.int32],
) -> None:  # fmt: skip
    """Draw every body but `a`, its spray, and what stands about into the image.

    tables: sensor (1,), weather (1,), columns (C,), rings (R,). images: the whole one (C, R), that of one body (C, R), the
    entries it touches (C * R,), and a solid as working memory (1,).
    """
    sensor, weather, columns, rings = tables[0][0], tables[1][0], tables[2], tables[3]
    rays, own, touched, limb = images
    ego = poses[a]
    stamp = 0
    for b in range(len(poses)):
        alone[b] = 0
        if b == a or np.isnan(poses[b].z):
            continue
        pose = poses[b]
        stamp += 1
        swung = gait(pose, b, ego, tick)
        count = draw_body(
            primitives, first[b], first[b + 1], swung, limb, pose, ego, sensor, columns, rings, key, (own, touched, stamp)
        )
        alone[b] = merge_body(b, count, touched, own, rings, sensor, weather, key, rays)
        if weather.spray > 0.0 and abs(pose.speed) > SPRAY_SPEED:
            stamp += 1
            count = draw_body(spray, b, b + 1, 0.0, limb, pose, ego, sensor, columns, rings, key, (own, touched, stamp))
            merge_body(WEATHER, count, touched, own, rings, sensor, weather, key, rays)
    walls = first[len(poses) + 1]
    for p in range(first[len(poses)], len(primitives)):
        stamp += 1
        count = draw_body(primitives, p, p + 1, 0.0, limb, still[0], ego, sensor, columns, rings, key, (own, touched, stamp))
        merge_body(WALL if p >= walls else CLUTTER, count, touched, own, rings, sensor, weather, key, rays)


@kernel
def _sweep(
    state: WorldState, w: int, a: int, scenery: Four, raster: tuple[NDArray[np.void], NDArray[np.float32], NDArray[np.float32]],
    tables: Four, motion: tuple[float, float], poses: NDArray[np.void], images: Four,
    points: NDArray[np.float32], hits: NDArray[np.int32], alone: NDArray[np.int32],
) -> int:  # fmt: skip
    """One sweep; returns the number of points. scenery: primitives, first, spray, still; raster: ground (1,), z, bright; motion:
    speed and yaw rate as the car knows them."""
    world = state.worlds[w]
    sensor, weather, columns, rings = tables[0][0], tables[1][0], tables[2], tables[3]
    ground, z, bright = raster[0][0], raster[1], raster[2]
    body = state.bodies[w, a]
    sensor.floor = height_at(z, ground.x0, ground.y0, ground.per_m, body.x, body.y)
    sensor.z += sensor.floor
    place_bodies(state, w, a, sensor.reach, ground, z, poses)
    key = mix(mix(mix(mix(mix(np.uint64(0), world.seed), world.branch), _SENSOR), a), _LIDAR)
    key = mix(key, world.tick)
    aim(poses[a], sensor, motion[0], motion[1], body.rear_to_centre, columns)
    draw_ground(columns, rings, sensor, ground, z, bright, images[0])
    draw_all(a, world.tick, scenery[0], scenery[1], scenery[2], poses, scenery[3], tables, key, images, alone)
    return read_out(columns, rings, sensor, weather, key, images[0], points, hits)


def scan(
    state: WorldState, w: int, a: int, scenery: Scenery, spec: LidarSpec, weather: Weather,
    motion: tuple[float, float] | None = None,
) -> Sweep:  # fmt: skip
    """One sweep of a lidar on actor `a` of world `w`, ending at the world's current tick.

    scenery: of this world (`make_scenery`). motion: speed [m/s] and yaw rate [rad/s] as the car knows them, for bringing points
    into one frame; the true ones unless given.
    """
    body, actors = state.bodies[w, a], int(state.worlds["actors"][w])
    if motion is None:
        motion = float(body["speed"]), float(body["yaw_rate"])
    sensor = np.zeros(1, SENSOR_DTYPE)
    sensor["forward"], sensor["z"], sensor["gain"], sensor["noise"] = spec.forward, spec.height, spec.gain, spec.noise
    # nothing is found from further off but what sends light back; grids end before that
    sensor["dropout"], sensor["reach"] = spec.dropout, spec.reach
    ground, terrain = np.zeros(1, GROUND_DTYPE), scenery.terrain
    ground["x0"], ground["y0"], ground["cell"], ground["per_m"] = terrain.x0, terrain.y0, terrain.cell, 1.0 / terrain.cell
    ground["factor"] = weather.ground
    size = spec.columns * spec.beams
    rays, own = (np.zeros((spec.columns, spec.beams), RAY_DTYPE) for _ in range(2))
    points, hits = np.empty((size, 5), np.float32), np.empty(size, np.int32)
    alone = np.zeros(actors, np.int32)
    spray = scenery.spray.copy()
    spray["parameter"] = weather.spray
    count = _sweep(
        state, w, a, (scenery.primitives, scenery.first, spray, scenery.still), (ground, terrain.z, terrain.bright),
        (sensor, pack_weather(weather, spec), np.zeros(spec.columns, COLUMN_DTYPE), _rings(spec, int(state.worlds["seed"][w]))),
        motion, np.zeros(actors, POSE_DTYPE), (rays, own, np.empty(size, np.int32), np.zeros(1, PRIMITIVE_DTYPE)),
        points, hits, alone,
    )  # fmt: skip
    points, hits = points[:count], hits[:count]
    counts = np.bincount(hits[hits >= 0], minlength=actors).astype(np.int32)
    for array in (points, hits, counts, alone):
        array.setflags(write=False)
    return Sweep(points=points, hits=hits, counts=counts, alone=alone)


def sense(
    state: WorldState, roads: Roads, w: int, a: int, signals: tuple[int, int], scenery: Scenery, spec: LidarSpec,
    weather: Weather, name: str,
) -> SensorFrame:  # fmt: skip
    """Frame of actor `a` of world `w` at the `lidar` level, at the world's current tick: points, and no list of objects.

    signals: as in `sim.sensors.state.sense`; name: of the weather, for the errors of pose and odometry, which are those of the
    `objects` level. What blocks sight is for perception to find: `sight` is None. Arrays are read-only.
    """
    pose, covariance, odometry = sense_own(state, w, a, default_parameters(name))
    colours = np.empty(signals[1], np.int32)
    tick = int(state.worlds["tick"][w])
    read_signals(roads, signals[0], tick, colours)
    colours.setflags(write=False)
    sweep = scan(state, w, a, scenery, spec, weather, motion=(odometry.speed, odometry.yaw_rate))
    return SensorFrame(
        tick=tick, odometry=odometry, pose=pose, pose_covariance=covariance, signals=colours, objects=None, lidar=sweep.points,
        level="lidar", range_m=reach_of(weather, spec),
    )  # fmt: skip
