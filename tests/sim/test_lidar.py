"""The lidar: the image drawn with windows is the one of every ray against every solid; counts, motion, and who hides whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.interface import Kind
from sim.jit import kernel
from sim.rng import mix
from sim.sensors.beams import BEAMS, LidarSpec
from sim.sensors.lidar import CLUTTER, GROUND, WALL, WEATHER, draw_all, make_scenery, place_bodies, scan
from sim.sensors.lidar import _rings as rings_of
from sim.sensors.primitives import PRIMITIVE_DTYPE
from sim.sensors.sweep import (
    COLUMN_DTYPE,
    GROUND_DTYPE,
    POSE_DTYPE,
    RAY_DTYPE,
    SENSOR_DTYPE,
    aim,
    draw_ground,
    gait,
    pose_limb,
    ray_in_body,
)
from sim.sensors.terrain import height_at
from sim.sensors.trace import MISSED, trace
from sim.sensors.weather import WEATHER as CONDITIONS
from sim.sensors.weather import pack_weather
from sim.world import World
from tests.sim.worlds import Stage, busy, crossing

SPEC = LidarSpec()
COARSE = LidarSpec(columns=180)


@pytest.fixture(scope="module")
def street() -> World:
    """A four-way stop with everybody on it, after six seconds."""
    world = World([busy(1)])
    for _ in range(60):
        world.step()
    return world


def sensed_from(world: World, a: int, spec: LidarSpec = SPEC, weather: str = "clear"):
    return scan(world.state, 0, a, world.scenery(0), spec, CONDITIONS[weather])


def active(world: World) -> list[int]:
    return [int(a) for a in np.flatnonzero(world.state.bodies["status"][0] == 1)]


@kernel
def trace_everything(a, tick, prims, first, spray, poses, still, sensor, columns, rings, key, limb, rays):
    """What `draw_all` draws, without windows: all solids of all bodies for each ray."""
    walls = first[len(poses) + 1]
    for k in range(len(columns)):
        for ring in range(len(rings)):
            beam, ray = rings[ring], rays[k, ring]
            ray.range = MISSED
            bits = mix(key, k * len(rings) + ring)
            for b in range(len(poses) + 1):
                if b == a or (b < len(poses) and np.isnan(poses[b].z)):
                    continue
                pose = poses[b] if b < len(poses) else still[0]
                end = first[b + 1] if b < len(poses) else len(prims)
                ox, oy, ux, uy = ray_in_body(pose, columns[k])
                for p in range(first[b], end):
                    prim = prims[p]
                    if prim.swing != 0.0:
                        pose_limb(prim, prim.swing * gait(pose, b, poses[a], tick), limb[0])
                        prim = limb[0]
                    t, cosine = trace(prim, mix(bits, p), ox, oy, sensor.z - pose.z, ux * beam.cos, uy * beam.cos, beam.sin)
                    if t < ray.range and t < sensor.reach:
                        ray.range, ray.cosine, ray.bright = t, cosine, prim.reflectivity
                        ray.code = b if b < len(poses) else (WALL if p >= walls else CLUTTER)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_windows_lose_nothing_against_brute_force(street, place):
    a = active(street)[place]
    scenery, state = street.scenery(0), street.state
    body = state.bodies[0, a]
    sensor, ground, terrain = np.zeros(1, SENSOR_DTYPE), np.zeros(1, GROUND_DTYPE), scenery.terrain
    ground["x0"], ground["y0"], ground["per_m"] = terrain.x0, terrain.y0, 1.0 / terrain.cell
    sensor["z"] = 1.8 + height_at(terrain.z, terrain.x0, terrain.y0, 1.0 / terrain.cell, float(body["x"]), float(body["y"]))
    sensor["reach"], sensor["forward"] = 60.0, 0.5
    poses = np.zeros(len(street.scenarios[0].actors), POSE_DTYPE)
    place_bodies(state, 0, a, 60.0, ground[0], terrain.z, poses)
    # everybody turns and goes fast, so that windows have to hold all of it
    poses["x0"] -= 3.0
    poses["cos0"], poses["sin0"] = np.cos(0.1) * poses["cos1"], np.cos(0.1) * poses["sin1"]
    poses["cos0"] -= np.sin(0.1) * poses["sin1"]
    poses["sin0"] += np.sin(0.1) * poses["cos1"]
    columns, rings = np.zeros(360, COLUMN_DTYPE), rings_of(SPEC, 1)
    aim(poses[a], sensor[0], 8.0, 0.1, 1.4, columns)
    key = np.uint64(99)
    drawn, traced = (np.zeros((360, SPEC.beams), RAY_DTYPE) for _ in range(2))
    drawn["range"] = MISSED
    limb = np.zeros(1, PRIMITIVE_DTYPE)
    images = drawn, np.zeros_like(drawn), np.zeros(drawn.size, np.int32), limb
    alone = np.zeros(len(poses), np.int32)
    tables = sensor, pack_weather(CONDITIONS["clear"], SPEC), columns, rings
    parts = scenery.primitives, scenery.first, scenery.spray, poses, scenery.still
    draw_all(a, 60, *parts, tables, key, images, alone)
    trace_everything(a, 60, *parts, sensor[0], columns, rings, key, limb, traced)
    assert (traced["range"] < MISSED).sum() > 300
    assert (traced["code"][traced["range"] < MISSED] >= 0).any()
    for name in ("range", "cosine", "bright", "code"):
        met = traced["range"] < MISSED
        assert np.array_equal(drawn[name][met], traced[name][met]), name
    assert np.array_equal(drawn["range"] < MISSED, met)


def on_ground(z: np.ndarray, height: float) -> np.ndarray:
    """The image of a ground whose raster's corner is at (-100, -100), from above its middle."""
    columns, rings, rays = np.zeros(90, COLUMN_DTYPE), rings_of(SPEC, 1), np.zeros((90, SPEC.beams), RAY_DTYPE)
    sensor, ground, ego = np.zeros(1, SENSOR_DTYPE), np.zeros(1, GROUND_DTYPE), np.zeros(1, POSE_DTYPE)
    sensor["z"], sensor["reach"], ego["cos0"], ego["cos1"] = height, 90.0, 1.0, 1.0
    ground["x0"], ground["y0"], ground["cell"], ground["per_m"], ground["factor"] = -100.0, -100.0, 0.5, 2.0, 1.0
    aim(ego[0], sensor[0], 0.0, 0.0, 0.0, columns)
    draw_ground(columns, rings, sensor[0], ground[0], z, np.full_like(z, -0.2), rays)
    return rays


def test_rings_on_level_and_on_sloped_ground_in_closed_form():
    z = np.zeros((400, 400), np.float32)
    elevation = BEAMS[32]
    down = elevation < np.radians(-1.3)
    level = on_ground(z, 2.0)
    assert level["range"][:, down] == pytest.approx(np.tile(2.0 / -np.sin(elevation[down]), (90, 1)), rel=1e-5)
    assert level["cosine"][:, down] == pytest.approx(np.tile(-np.sin(elevation[down]), (90, 1)), rel=1e-4)
    assert (level["range"][:, elevation > 0.0] == MISSED).all()
    # a plane that rises forward: straight ahead a ray comes down to it sooner
    slope = 0.05
    z += (slope * (np.arange(400) * 0.5 + 0.25 - 100.0)).astype(np.float32)
    azimuth = np.pi - 2.0 * np.pi * (np.arange(90) + 0.5) / 90
    rise = slope * np.cos(azimuth)[:, None]
    expected = 2.0 / (np.cos(elevation) * rise - np.sin(elevation))
    near = (expected > 0.0) & (expected < 60.0)
    sloped = on_ground(z, 2.0)
    assert near.sum() > 1500
    assert sloped["range"][near] == pytest.approx(expected[near], rel=1e-3)


def test_what_lies_behind_a_crest_is_hidden():
    z = np.zeros((400, 400), np.float32)
    z[:, 220:224] = 1.0  # a wall across, 10 m ahead
    ahead = on_ground(z, 2.0)[45]
    distance = ahead["range"] * np.cos(BEAMS[32])
    hits = distance[ahead["range"] < MISSED]
    assert not ((hits > 12.5) & (hits < 19.0)).any()
    assert ((hits > 9.0) & (hits < 12.5)).sum() >= 4


def test_a_sweep_is_pure_and_differs_between_ticks_seeds_and_branches(street):
    a = active(street)[0]
    first, again = sensed_from(street, a, COARSE, "snow"), sensed_from(street, a, COARSE, "snow")
    for name in ("points", "hits", "counts", "alone"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    for name in ("tick", "seed", "branch"):
        street.state.worlds[name] += 16  # the same row of the history
        other = sensed_from(street, a, COARSE, "snow")
        street.state.worlds[name] -= 16
        assert other.points.tobytes() != first.points.tobytes(), name


def test_a_world_of_a_batch_gives_the_sweep_of_the_world_alone():
    batch, alone = World([busy(1), busy(2)]), World([busy(2)])
    for world in (batch, alone):
        for _ in range(30):
            world.step()
    a = active(alone)[0]
    one = scan(batch.state, 1, a, batch.scenery(1), COARSE, CONDITIONS["rain"])
    two = scan(alone.state, 0, a, alone.scenery(0), COARSE, CONDITIONS["rain"])
    assert one.points.tobytes() == two.points.tobytes()
    assert one.hits.tobytes() == two.hits.tobytes()


def test_points_are_what_the_interface_says(street):
    sweep = sensed_from(street, active(street)[0])
    x, y, z, intensity, time = sweep.points.T
    assert sweep.points.dtype == np.float32
    assert 15000 < len(sweep.points) < SPEC.beams * SPEC.columns
    assert np.isfinite(sweep.points).all()
    assert (intensity >= 0.0).all()
    assert (intensity <= 1.0).all()
    assert (time > -0.1).all()
    assert (time <= 0.0).all()
    assert np.hypot(x, y).max() < SPEC.reach + 1.0
    near = np.hypot(x, y) < 15.0
    assert abs(np.median(z[(sweep.hits == GROUND) & near])) < 0.3
    assert {GROUND, CLUTTER} <= set(sweep.hits.tolist())
    assert WEATHER not in sweep.hits
    assert (sweep.counts <= sweep.alone).all()
    for array in (sweep.points, sweep.hits, sweep.counts, sweep.alone):
        with pytest.raises(ValueError, match="read-only"):
            array.fill(0)


@pytest.fixture
def stage() -> Stage:
    """An empty crossing, the sensor's car at its middle; bodies are put where a test wants them, active at all past ticks."""
    stage = Stage(crossing(), slots=4)
    stage.put(0.0, 0.0)
    return stage


def sweep_of(stage: Stage, spec: LidarSpec = SPEC, weather: str = "clear"):
    count = int(stage.state.worlds["actors"][0])
    scenery = make_scenery(stage.road_map, stage.bodies[:count], 5)
    return scan(stage.state, 0, 0, scenery, spec, CONDITIONS[weather])


def test_points_of_a_body_lie_in_its_box(stage):
    for k, kind in enumerate((Kind.CAR, Kind.PEDESTRIAN, Kind.BUS)):
        stage.put(12.0 + 6.0 * k, 8.0 * k - 6.0, heading=0.4 * k, kind=kind)
    sweep = sweep_of(stage, replace(SPEC, noise=0.0))
    for slot in (1, 2, 3):
        body, points = stage.bodies[slot], sweep.points[sweep.hits == slot]
        assert len(points) == sweep.counts[slot] > 10
        dx, dy = points[:, 0] - body["x"], points[:, 1] - body["y"]
        along, across = dx * body["cos"] + dy * body["sin"], dy * body["cos"] - dx * body["sin"]
        assert np.abs(along).max() <= 0.5 * body["length"] + 1e-3
        assert np.abs(across).max() <= 0.5 * body["width"] + 1e-3


def test_fewer_points_farther_away_and_none_behind_a_bus(stage):
    car = stage.put(10.0, 0.0)
    counts = []
    for x in (10.0, 20.0, 40.0):
        stage.bodies["x"][car] = x
        counts.append(int(sweep_of(stage).counts[car]))
    assert counts[0] > 2.0 * counts[1] > 4.0 * counts[2] > 0
    stage.put(14.0, 0.0, heading=0.5 * np.pi, kind=Kind.BUS)
    hidden = sweep_of(stage)
    assert hidden.counts[car] == 0
    assert hidden.alone[car] > 0


def test_a_sweep_over_a_moving_car_is_brought_into_the_frame_of_its_end(stage):
    """Closed form: what stands still is where it is, whatever the sensor's own motion; what moves is where it was then."""
    still = stage.put(0.0, 15.0, kind=Kind.BUS)
    clean = replace(SPEC, noise=0.0)

    def bus() -> np.ndarray:
        sweep = sweep_of(stage, clean)
        return sweep.points[sweep.hits == still]

    before = bus()
    stage.bodies["vx"][0], stage.bodies["speed"][0] = 20.0, 20.0
    after = bus()
    assert after[:, :2].min(axis=0) == pytest.approx(before[:, :2].min(axis=0), abs=0.06)
    assert after[:, 0].max() == pytest.approx(before[:, 0].max(), abs=0.12)  # a column is 0.09 m wide there
    # it turns clockwise from straight behind, so the left is reached after a quarter of the turn
    assert after[:, 4].mean() == pytest.approx(-0.075, abs=0.005)
    stage.bodies["vx"][0], stage.bodies["speed"][0] = 0.0, 0.0
    stage.bodies["vy"][still], stage.bodies["speed"][still] = -20.0, 20.0
    # by the sweep's end it has come 20 m/s for as long as the points are old
    shift = bus()[:, 1].min() - before[:, 1].min()
    assert shift == pytest.approx(20.0 * 0.075, abs=0.15)


def test_dead_rings_give_nothing_and_the_others_are_as_before(stage):
    whole, half = sweep_of(stage), sweep_of(stage, replace(SPEC, dead_rings=0.5))
    assert len(half.points) < 0.75 * len(whole.points)
    kept = {row.tobytes() for row in whole.points}
    assert all(row.tobytes() in kept for row in half.points)


def test_gain_scales_intensity(stage):
    one, two = sweep_of(stage), sweep_of(stage, replace(SPEC, gain=0.5))
    assert np.array_equal(one.points[:, :3], two.points[:, :3])
    free = one.points[:, 3] < 1.0
    assert np.allclose(two.points[free, 3], 0.5 * one.points[free, 3], rtol=1e-5)


def test_people_swing_their_legs_while_they_walk(stage):
    walker = stage.put(6.0, 0.0, kind=Kind.PEDESTRIAN)
    close = replace(SPEC, noise=0.0, columns=3000)

    def spread(tick: int) -> float:
        stage.state.worlds["tick"] = tick
        sweep = sweep_of(stage, close)
        points = sweep.points[sweep.hits == walker]
        legs = points[points[:, 2] < 0.7]
        return float(np.ptp(legs[:, 0]))

    still = [spread(tick) for tick in range(0, 12, 2)]
    stage.bodies["speed"][walker] = 1.34
    walking = [spread(tick) for tick in range(0, 12, 2)]
    assert max(walking) > max(still) + 0.05


def test_the_lidar_level_gives_the_ego_points_and_others_objects():
    scenario = replace(busy(2, sensing="lidar"), ego=0, weather="fog", visibility_m=60.0, lidar=replace(COARSE, height=2.0))
    world = World([scenario])
    for _ in range(110):
        world.step()
    frame, other = world.frame(0, 0), world.frame(0, 1)
    assert (frame.level, other.level) == ("lidar", "objects")
    assert frame.objects is None
    assert frame.lidar is not None
    assert len(frame.lidar) > 2000
    assert frame.sight is None
    assert other.lidar is None
    assert other.objects is not None
    assert 20.0 < frame.range_m < 40.0
    again = world.frame(0, 0)
    assert again.lidar is not None
    assert again.lidar.tobytes() == frame.lidar.tobytes()
    alike = replace(scenario, sensing="objects")
    objects = World([alike])
    objects.restore(world.snapshot())
    assert objects.frame(0, 0).odometry == frame.odometry
    assert objects.frame(0, 0).pose.tobytes() == frame.pose.tobytes()


def test_a_frame_shares_no_memory_with_the_truth():
    world = World([replace(busy(2, sensing="lidar", lidar=COARSE), ego=0)])
    for _ in range(110):
        world.step()
    frame = world.frame(0, 0)
    assert frame.lidar is not None
    kept = frame.lidar.tobytes(), frame.pose.tobytes(), frame.signals.tobytes(), frame.odometry
    for array in world.state:
        array.view(np.uint8)[...] = 0xFF
    world.scenery(0).primitives.view(np.uint8)[...] = 0xFF
    assert (frame.lidar.tobytes(), frame.pose.tobytes(), frame.signals.tobytes(), frame.odometry) == kept
