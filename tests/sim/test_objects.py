"""The `objects` sensing level: pure, blind to what is hidden, and wrong by as much as it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim.interface import SECTORS, Indicator, Kind, SensorFrame
from sim.sensors.errors import KIND_ERRORS, LAGS, ObjectErrors, moving_average, pack_errors
from sim.sensors.objects import sense, sense_objects
from sim.state import HISTORY, Status

NO_SIGNALS = (0, 0)
QUIET = ObjectErrors(
    miss=0.0, miss_bursts=0.0, ghosts=0.0, merged=0.0, light_false=1e-9, light_miss=(0.0, 0.0), pose=(0.0, 0.0),
    pose_jitter=(0.0, 0.0),
)  # fmt: skip
"""Errors of boxes alone."""


@pytest.fixture
def scene(street):
    world = street()
    world.car("east", 200.0, 8.0)
    world.car("east", 225.0, 6.0)
    world.car("west", 190.0, 9.0)
    world.walker("cross")
    world.step(3)
    return world


def at_seed(world, seed: int, errors: ObjectErrors | None = None, weather: str = "clear") -> SensorFrame:
    """Frame of slot 0 with this seed."""
    world.state.worlds["seed"] = seed
    if errors is None:
        return sense(world.state, world.roads, 0, 0, NO_SIGNALS, weather)
    return sense_objects(world.state, world.roads, 0, 0, NO_SIGNALS, pack_errors(errors, weather))


def readings(frame: SensorFrame) -> Any:
    """Its object list."""
    assert frame.objects is not None
    return frame.objects


def near(frame: SensorFrame, x: float, y: float, within: float = 3.0) -> np.ndarray:
    """Readings around a place."""
    found = readings(frame)
    return found[np.hypot(found["x"] - x, found["y"] - y) < within]


def as_bytes(frame: SensorFrame) -> bytes:
    assert frame.sight is not None
    return readings(frame).tobytes() + frame.pose.tobytes() + frame.sight.tobytes() + repr(frame.odometry).encode()


def was(world, slot: int, ago: int = 1) -> np.void:
    """What the history shows of a slot."""
    return world.state.history[0, (int(world.state.worlds["tick"][0]) - ago) % HISTORY, slot]


def test_a_frame_is_a_function_of_state_tick_seed_and_branch(scene):
    first = as_bytes(at_seed(scene, 1))
    assert as_bytes(at_seed(scene, 2)) != first
    assert as_bytes(at_seed(scene, 1)) == first
    scene.state.worlds["branch"] = 1
    assert as_bytes(at_seed(scene, 1)) != first
    scene.state.worlds["branch"] = 0
    minds = np.random.default_rng(3).integers(0, 255, scene.minds.view(np.uint8).shape)
    scene.minds.view(np.uint8)[:] = minds
    for name in ("command_accel", "hypothesis_s", "brake_max", "speed_max", "entered_tick"):
        scene.bodies[name] = 77
    assert as_bytes(at_seed(scene, 1)) == first, "hidden fields change nothing"


def test_numbers_say_nothing_about_who_it_is(scene):
    places = []
    for seed in range(200):
        objects = readings(at_seed(scene, seed, QUIET))
        assert objects["id"].tolist() == [0, 1, 2]
        places.append(int(np.argmin(np.abs(objects["x"] - scene.bodies["x"][1]) + np.abs(objects["y"] - scene.bodies["y"][1]))))
    assert np.bincount(places, minlength=3).min() > 40


def test_readings_are_from_the_tick_before(scene):
    errors = replace(QUIET, latency_ticks=2)
    frames = [at_seed(scene, seed, errors) for seed in range(400)]
    assert frames[0].objects_age == 2
    old = was(scene, 1, ago=2)
    x = np.concatenate([near(frame, old["x"], old["y"])["x"] for frame in frames])
    assert len(x) == 400
    assert x.mean() == pytest.approx(float(old["x"]), abs=0.05)
    assert abs(float(old["x"]) - float(scene.bodies["x"][1])) > 1.0


def test_errors_have_the_stated_size_and_move_the_centre_away_from_the_sensor(scene):
    old = was(scene, 1)
    rows = np.concatenate([near(at_seed(scene, seed, QUIET), old["x"], old["y"]) for seed in range(3000)])
    rows = rows[(rows["kind"] == Kind.CAR) & (np.abs(rows["heading"]) < 1.0)]
    assert len(rows) > 2700
    error = {
        "length": rows["length"] - scene.bodies["length"][1], "width": rows["width"] - scene.bodies["width"][1],
        "heading": rows["heading"] - np.arctan2(old["sin"], old["cos"]), "vx": rows["vx"] - old["vx"], "y": rows["y"] - old["y"],
        # seen from behind, an error of length moves the centre ahead by half of it: the rear is found best
        "rear": rows["x"] - old["x"] - 0.5 * (rows["length"] - scene.bodies["length"][1]),
    }  # fmt: skip
    for name, index in (("length", 3), ("width", 4), ("heading", 1), ("vx", 2), ("y", 0), ("rear", 0)):
        scaled = error[name] / rows["sigma"][:, index]
        assert scaled.std() == pytest.approx(1.0, abs=0.06), name
        assert scaled.mean() == pytest.approx(0.0, abs=0.08), name
    half, rear = 0.5 * rows["sigma"][:, 3].mean(), rows["sigma"][:, 0].mean()
    expected = half / np.hypot(half, rear)
    assert expected > 0.4
    assert np.corrcoef(rows["x"] - old["x"], error["length"])[0, 1] == pytest.approx(expected, abs=0.05)


def test_errors_are_correlated_from_tick_to_tick(scene):
    errors = QUIET
    pairs = []
    for seed in range(1500):
        both = []
        for tick in (100, 105):
            scene.state.worlds["tick"] = tick
            for slot in range(4):
                scene.state.history[0, (tick - 1) % HISTORY, slot] = was(scene, slot, ago=0)
            old = was(scene, 1)
            found = near(at_seed(scene, seed, errors), old["x"], old["y"])
            if len(found):
                both.append(float(found["vx"][0] - old["vx"]) / float(found["sigma"][0, 2]))
        if len(both) == 2:
            pairs.append(both)
    correlation = np.corrcoef(np.array(pairs).T)[0, 1]
    assert correlation == pytest.approx(errors.share * np.exp(-0.5 / errors.velocity_time), abs=0.08)


def test_moving_average_is_first_order():
    weights = moving_average(1.0, LAGS)
    assert np.sum(weights**2) == pytest.approx(1.0)
    for lag in (1, 5, 10):
        assert np.sum(weights[lag:] * weights[:-lag]) == pytest.approx(np.exp(-0.1 * lag), abs=0.005)


def test_walls_and_bodies_hide(scene):
    old = was(scene, 2)
    for seed in range(30):
        assert len(near(at_seed(scene, seed, QUIET), old["x"], old["y"])) == 1
    wall = np.array([[old["x"] - 4.0, old["y"] - 2.0, old["x"] + 4.0, old["y"] - 2.0]], np.float32)
    behind = scene.roads._replace(walls=wall)
    scene.state.worlds["wall_end"] = 1
    frame = sense_objects(scene.state, behind, 0, 0, NO_SIGNALS, pack_errors(QUIET, "clear"))
    assert len(near(frame, old["x"], old["y"])) == 0
    assert frame.sight is not None
    assert frame.sight.min() < 15.0
    scene.state.worlds["wall_end"] = 0
    truck, hidden = scene.bodies[1], scene.car("east", 250.0, 6.0)
    truck["height"], truck["width"] = 3.5, 2.5
    scene.step(2)
    old = was(scene, hidden)
    for seed in range(30):
        assert len(near(at_seed(scene, seed, QUIET), old["x"], old["y"])) == 0
    truck["height"] = 0.4
    assert len(near(at_seed(scene, 1, QUIET), old["x"], old["y"])) == 1


def test_misses_come_in_bursts(scene):
    far_sighted = {kind: replace(own, reach=300.0) for kind, own in QUIET.kinds.items()}
    errors = replace(QUIET, miss_bursts=0.2, kinds=far_sighted)
    seen = []
    for tick in range(300, 1500):
        scene.state.worlds["tick"] = tick
        for slot in range(4):
            scene.state.history[0, (tick - 1) % HISTORY, slot] = was(scene, slot, ago=0)
        old = was(scene, 1)
        seen.append(len(near(at_seed(scene, 5, errors), old["x"], old["y"])))
    assert 0.1 < 1.0 - np.mean(seen) < 0.3
    changes = np.flatnonzero(np.diff(np.array(seen))) + 1
    assert np.diff(changes).min() >= errors.burst_ticks


@pytest.mark.parametrize("weather", ["clear", "snow"])
def test_ghosts_are_as_many_as_said(scene, weather):
    scene.bodies["status"][1:] = Status.UNUSED
    count = np.mean([len(readings(at_seed(scene, seed, weather=weather))) for seed in range(4000)])
    errors = ObjectErrors()
    assert count == pytest.approx(errors.ghosts * errors.weather[weather].ghosts, rel=0.35)


def test_ghosts_live_for_a_while(scene):
    scene.bodies["status"][1:] = Status.UNUSED
    errors = ObjectErrors(ghosts=0.3)
    present = []
    for tick in range(300, 900):
        scene.state.worlds["tick"] = tick
        scene.state.history[0, (tick - 1) % HISTORY, 0] = was(scene, 0, ago=0)
        present.append(len(readings(at_seed(scene, 3, errors))) > 0)
    runs = np.diff(np.flatnonzero(np.diff(np.array([0, *present, 0]))))[::2]
    assert 2 <= np.median(runs) <= 16


def test_things_that_nearly_touch_are_merged_some_of_the_time(scene):
    for name in ("x", "y"):
        scene.bodies[name][3] = scene.bodies[name][1]
    scene.bodies["y"][3] += 1.4
    scene.show()
    scene.step(1)
    scene.bodies["x"][3], scene.bodies["y"][3] = scene.bodies["x"][1], scene.bodies["y"][1] + 1.4
    scene.state.history[0, (int(scene.state.worlds["tick"][0]) - 1) % HISTORY, 3]["x"] = was(scene, 1)["x"]
    scene.state.history[0, (int(scene.state.worlds["tick"][0]) - 1) % HISTORY, 3]["y"] = was(scene, 1)["y"] + 1.4
    counts = [len(readings(at_seed(scene, seed, replace(QUIET, merged=0.3)))) for seed in range(500)]
    assert np.mean(np.array(counts) == 2) == pytest.approx(0.3, abs=0.1)


def test_headings_flip_and_lights_are_misread_as_often_as_said(scene):
    scene.bodies["speed"][1] = 0.0
    scene.bodies["indicator"][1] = Indicator.LEFT
    scene.step(2)
    old = was(scene, 1)
    rows = np.concatenate(
        [near(at_seed(scene, seed, replace(QUIET, light_miss=(0.1, 0.0))), old["x"], old["y"]) for seed in range(2500)]
    )
    cars = rows[rows["kind"] == Kind.CAR]
    assert np.mean(np.abs(cars["heading"]) > 2.0) == pytest.approx(KIND_ERRORS[Kind.CAR].flip, abs=0.012)
    assert np.mean(rows["indicator"] == Indicator.OFF) == pytest.approx(0.1, abs=0.03)
    assert 0.005 < np.mean(rows["kind"] != Kind.CAR) < 0.06


def test_own_pose_and_odometry_are_off_by_as_much_as_stated(scene):
    frames = [at_seed(scene, seed) for seed in range(2000)]
    body = scene.bodies[0]
    error = np.array([frame.pose for frame in frames]) - [body["x"], body["y"], body["heading"]]
    sigma = np.sqrt(np.diag(frames[0].pose_covariance))
    assert (error / sigma).std(axis=0) == pytest.approx(np.ones(3), abs=0.06)
    speed = np.array([frame.odometry.speed for frame in frames])
    assert 0.02 < speed.std() < 0.08
    assert speed.mean() == pytest.approx(float(body["speed"]), abs=0.01)


def test_weather_shortens_reach_and_enlarges_errors(scene):
    clear, fog = at_seed(scene, 1), at_seed(scene, 1, weather="fog")
    assert fog.range_m < clear.range_m
    assert readings(fog)["sigma"][:, 0].mean() > readings(clear)["sigma"][:, 0].mean()
    assert as_bytes(at_seed(scene, 1, weather="spray")) == as_bytes(at_seed(scene, 1, weather="rain"))


def test_before_there_is_a_past_nothing_is_seen(street):
    world = street()
    world.car("east", 200.0, 8.0)
    world.car("east", 220.0, 8.0)
    frame = sense(world.state, world.roads, 0, 0, NO_SIGNALS, "clear")
    assert len(readings(frame)) == 0
    assert frame.sight is not None
    assert frame.sight.shape == (SECTORS,)


def test_frames_are_read_only(scene):
    frame = at_seed(scene, 1)
    for name in ("objects", "pose", "pose_covariance", "signals", "sight"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(frame, name).fill(0)
