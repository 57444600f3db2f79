"""What the `state` sensing level tells a driver, and what it must not; things and their sizes."""

from __future__ import annotations

import numpy as np
import pytest

from sim.interface import OBJECT_DTYPE, Colour
from sim.roads.lane_map import PHASE_DTYPE, SIGNAL_DTYPE
from sim.sensors.state import sense
from sim.sensors.things import HELD_OUT_KINDS, THING_NAMES, THINGS, Thing, draw_size, find_thing, thing_index
from sim.state import Status

NO_SIGNALS = (0, 0)


@pytest.fixture
def scene(street):
    world = street()
    world.car("east", 200.0, 8.0)
    world.car("east", 240.0, 6.0)
    world.car("west", 150.0, 9.0)
    world.car("east", 310.0, 5.0)
    world.walker("cross")
    return world


def seen_by(world, a):
    """Objects in the frame of slot `a`."""
    objects = sense(world.state, world.roads, 0, a, NO_SIGNALS).objects
    assert objects is not None
    return objects


def same(one, other):
    assert one.tick == other.tick
    assert one.odometry == other.odometry
    for name in ("pose", "pose_covariance", "signals", "objects"):
        first, second = getattr(one, name), getattr(other, name)
        assert first.dtype == second.dtype
        assert first.tobytes() == second.tobytes()


def test_everybody_near_but_oneself_is_seen_exactly(scene):
    frame = sense(scene.state, scene.roads, 0, 0, NO_SIGNALS)
    assert frame.objects is not None
    assert frame.objects["id"].tolist() == [1, 2, 4]
    for seen in frame.objects:
        body = scene.bodies[seen["id"]]
        for name in OBJECT_DTYPE.names or ():
            if name not in ("id", "score", "sigma"):
                assert seen[name] == body[name], name
        assert seen["score"] == 1.0
        assert not seen["sigma"].any()
    assert frame.lidar is None


def test_own_state_is_exact(scene):
    scene.bodies["steer"][1], scene.bodies["yaw_rate"][1], scene.bodies["accel"][1] = 0.125, 0.25, -0.5
    scene.state.worlds["tick"] = 7
    frame = sense(scene.state, scene.roads, 0, 1, NO_SIGNALS)
    body = scene.bodies[1]
    assert frame.tick == 7
    assert frame.pose.tolist() == [body["x"], body["y"], body["heading"]]
    assert (frame.odometry.speed, frame.odometry.steer, frame.odometry.yaw_rate, frame.odometry.accel) == (6.0, 0.125, 0.25, -0.5)
    assert np.linalg.eigvalsh(frame.pose_covariance).min() > 0.0


@pytest.mark.parametrize("status", [Status.WAITING, Status.FINISHED, Status.UNUSED])
def test_who_is_not_on_the_road_is_not_seen(scene, status):
    scene.bodies["status"][2] = status
    assert seen_by(scene, 0)["id"].tolist() == [1, 4]


def test_fog_shortens_sight(scene):
    scene.state.worlds["visibility"] = 30.0
    assert seen_by(scene, 0)["id"].tolist() == [4]


def test_hidden_state_changes_nothing(scene):
    before = sense(scene.state, scene.roads, 0, 0, NO_SIGNALS)
    random = np.random.default_rng(3)
    scene.minds.view(np.uint8)[:] = random.integers(0, 255, scene.minds.view(np.uint8).shape)
    for name in ("command_accel", "command_steer", "hypothesis_s", "brake_max", "speed_max"):
        scene.bodies[name] = 77.0
    same(before, sense(scene.state, scene.roads, 0, 0, NO_SIGNALS))


def test_frames_are_read_only_copies(scene):
    frame = sense(scene.state, scene.roads, 0, 0, NO_SIGNALS)
    again = sense(scene.state, scene.roads, 0, 0, NO_SIGNALS)
    same(frame, again)
    objects = seen_by(scene, 0)
    for array in (objects, frame.pose, frame.pose_covariance, frame.signals):
        with pytest.raises(ValueError, match="read-only"):
            array.fill(0)
    x = objects["x"].copy()
    scene.step(5)
    assert np.array_equal(objects["x"], x)


def test_signals_are_read_in_the_order_of_the_worlds_own_map(scene):
    signals = np.array([(0, 2, 30.0, 0.0), (0, 2, 30.0, 10.0), (0, 2, 30.0, 20.0)], SIGNAL_DTYPE)
    phases = np.array([(10.0, Colour.GREEN), (20.0, Colour.RED)], PHASE_DTYPE)
    roads = scene.roads._replace(signals=signals, phases=phases)
    scene.state.worlds["tick"] = 150
    assert sense(scene.state, roads, 0, 0, (0, 3)).signals.tolist() == [Colour.RED, Colour.GREEN, Colour.RED]
    assert sense(scene.state, roads, 0, 0, (1, 2)).signals.tolist() == [Colour.GREEN, Colour.RED]


def test_things_have_sizes_and_held_out_kinds_are_listed():
    assert set(HELD_OUT_KINDS) < set(THINGS)
    assert {name for name in HELD_OUT_KINDS if THINGS[name].drive_through} == {"paper", "steam", "leaves"}
    for name, thing in THINGS.items():
        sizes = np.array([draw_size(name, seed, 3) for seed in range(50)])
        limits = np.array([thing.length, thing.width, thing.height])
        assert (sizes >= limits[:, 0]).all()
        assert (sizes <= limits[:, 1]).all()
        assert len(np.unique(sizes[:, 0])) == 50
        assert draw_size(name, 5, 3) == draw_size(name, 5, 3) != draw_size(name, 5, 4)
        assert THING_NAMES[thing_index(name)] == name
    assert thing_index("") == -1


def test_unknown_thing_and_bad_sizes_are_named():
    with pytest.raises(ValueError, match="unknown thing 'plastik_bag'; did you mean 'plastic_bag'"):
        find_thing("plastik_bag")
    with pytest.raises(ValueError, match=r"Thing.width must be a positive range .* got \(2.0, 1.0\)"):
        Thing(length=(1.0, 2.0), width=(2.0, 1.0), height=(1.0, 1.0))
