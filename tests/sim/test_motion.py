"""The kinematic bicycle against closed forms, and its limits against anything a driver may ask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.interface import SPECS, Gear, Kind, VehicleSpec
from sim.kinematics import minimum_jerk_stop, stopping_distance
from sim.motion import GRAVITY, STANDING, move_vehicle
from tests.sim.roads.maps import built
from tests.sim.worlds import Stage

DT, SUBSTEPS = 0.05, 2
TICK = DT * SUBSTEPS
CAR = SPECS[Kind.CAR]
DIRECT = replace(CAR, accel_lag=0.0, steer_lag=0.0, jerk_max=1e4, steer_rate_max=1e3)
"""A car whose actuators do at once what they are told."""


def stage(spec: VehicleSpec = CAR, speed: float = 0.0, friction: float = 0.9, heading: float = 0.0, **fields: float) -> Stage:
    world = Stage(built("straight"), slots=1, friction=friction)
    world.put(0.0, 0.0, heading, speed, spec=spec, **fields)  # type: ignore[arg-type]
    return world


def tick(world: Stage, accel: float = 0.0, steer: float = 0.0, gear: Gear = Gear.DRIVE, substeps: int = SUBSTEPS) -> np.void:
    """One tick under these commands; the body (a view)."""
    body = world.bodies[0]
    body["command_accel"], body["command_steer"], body["gear"] = accel, steer, gear
    move_vehicle(world.state, 0, 0, DT, substeps)
    return body


def rear_axle(body: np.void) -> np.ndarray:
    reach = float(body["rear_to_centre"])
    return np.array([body["x"] - reach * np.cos(float(body["heading"])), body["y"] - reach * np.sin(float(body["heading"]))])


def circle(points: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Centre, mean radius and largest deviation of a full circle of points."""
    system = np.column_stack([2.0 * points, np.ones(len(points))])
    solved = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
    radii = np.hypot(*(points - solved[:2]).T)
    return solved[:2], float(radii.mean()), float(np.ptp(radii))


# ---- where it goes


@pytest.mark.parametrize("kind", [Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.BICYCLE])
@pytest.mark.parametrize("steer", [0.4, -0.25])
@pytest.mark.parametrize("gear", [Gear.DRIVE, Gear.REVERSE])
def test_circles_of_rear_axle_and_centre(kind, steer, gear):
    spec = replace(SPECS[kind], speed_max=9.0, reverse_speed_max=3.0)
    world = stage(spec, speed=2.0 if gear == Gear.DRIVE else -2.0, heading=0.7, steer=steer, gear=gear)
    radius = spec.wheelbase / np.tan(abs(steer))
    rear, centre = [], []
    for _ in range(int(2.0 * np.pi * radius / 0.2) + 1):
        body = tick(world, steer=steer, gear=gear)
        rear.append(rear_axle(body))
        centre.append([float(body["x"]), float(body["y"])])
    middle, found, spread = circle(np.array(rear))
    assert found == pytest.approx(radius, rel=1e-4)
    assert spread < 1e-3
    other, wide, _ = circle(np.array(centre))
    assert wide == pytest.approx(np.hypot(radius, spec.rear_to_centre), rel=1e-4)
    assert np.allclose(middle, other, atol=2e-3)


def test_straight_on_and_the_odometer():
    world = stage(speed=10.0, heading=-2.0)
    for _ in range(50):
        body = tick(world)
    assert (body["x"], body["y"]) == pytest.approx((50.0 * np.cos(-2.0), 50.0 * np.sin(-2.0)), abs=1e-4)
    assert body["distance"] == pytest.approx(50.0)
    assert (body["vx"], body["vy"]) == pytest.approx((10.0 * np.cos(-2.0), 10.0 * np.sin(-2.0)), abs=1e-5)


@pytest.mark.parametrize("speed", [8.0, -2.0])
def test_velocity_is_the_centres_and_yaw_rate_the_headings(speed):
    gear = Gear.DRIVE if speed > 0.0 else Gear.REVERSE
    world = stage(speed=speed, steer=0.3, gear=gear)
    tick(world, steer=0.3, gear=gear)
    for _ in range(40):
        before = world.bodies[0].copy()
        after = tick(world, steer=0.3, gear=gear)
        turned = (float(after["heading"]) - float(before["heading"]) + np.pi) % (2.0 * np.pi) - np.pi
        assert turned == pytest.approx(float(after["yaw_rate"]) * TICK, abs=1e-5)
        step = np.array([after["x"] - before["x"], after["y"] - before["y"]])
        velocity = 0.5 * np.array([float(after["vx"]) + float(before["vx"]), float(after["vy"]) + float(before["vy"])])
        assert np.allclose(step, velocity * TICK, atol=0.01)
        assert (after["cos"], after["sin"]) == pytest.approx((np.cos(after["heading"]), np.sin(after["heading"])), abs=1e-6)


def test_heading_stays_in_its_range_over_many_turns():
    world = stage(speed=5.0, steer=0.5)
    headings = np.array([float(tick(world, steer=0.5)["heading"]) for _ in range(400)])
    assert (np.abs(headings) <= np.pi + 1e-6).all()
    assert np.ptp(headings) > 6.0


@given(st.floats(-3.1, 3.1), st.floats(-0.5, 0.5), st.floats(0.0, 15.0), st.floats(-4.0, 2.0))
@settings(max_examples=40)
def test_rigid_motion(angle, steer, speed, accel):
    straight, turned = stage(speed=speed), stage(speed=speed, heading=angle)
    for _ in range(30):
        one, other = tick(straight, accel, steer), tick(turned, accel, steer)
    cos, sin = np.cos(angle), np.sin(angle)
    assert other["x"] == pytest.approx(one["x"] * cos - one["y"] * sin, abs=2e-4)
    assert other["y"] == pytest.approx(one["x"] * sin + one["y"] * cos, abs=2e-4)
    for name in ("speed", "accel", "steer", "jerk", "yaw_rate"):
        assert other[name] == one[name]


@given(st.floats(0.05, 0.5), st.floats(0.0, 15.0))
@settings(max_examples=30)
def test_left_is_the_mirror_image_of_right(steer, speed):
    left, right = stage(speed=speed), stage(speed=speed)
    for _ in range(20):
        one, other = tick(left, -0.5, steer), tick(right, -0.5, -steer)
    assert (other["x"], other["y"], other["heading"]) == (one["x"], -one["y"], -one["heading"])


# ---- actuators


def test_acceleration_lag_is_first_order():
    world = stage(replace(CAR, accel_lag=1.0), speed=5.0)
    times = TICK * np.arange(1, 41)
    accel = np.array([float(tick(world, accel=1.0)["accel"]) for _ in times])
    assert np.allclose(accel, 1.0 - np.exp(-times), atol=0.02)


def test_steering_lag_is_first_order():
    world = stage(replace(CAR, steer_lag=1.0, steer_rate_max=9.0))
    times = TICK * np.arange(1, 41)
    steer = np.array([float(tick(world, steer=0.4)["steer"]) for _ in times])
    assert np.allclose(steer, 0.4 * (1.0 - np.exp(-times)), atol=0.01)


def test_without_lag_a_command_acts_at_once():
    body = tick(stage(DIRECT, speed=5.0), accel=1.25, steer=0.2)
    assert (body["accel"], body["steer"]) == pytest.approx((1.25, 0.2))


def test_steering_turns_no_faster_than_its_rate():
    world = stage(speed=5.0)
    steer = [0.0] + [float(tick(world, steer=9.0)["steer"]) for _ in range(30)]
    assert np.allclose(np.diff(steer)[:5], CAR.steer_rate_max * TICK, atol=1e-6)
    assert steer[-1] == pytest.approx(CAR.steer_max, abs=1e-3)
    assert max(steer) <= CAR.steer_max + 1e-6


def test_full_braking_builds_up_with_the_jerk_limit():
    world = stage(speed=30.0)
    accel = [float(tick(world, accel=-8.0)["accel"]) for _ in range(4)]
    assert np.allclose(accel, -CAR.jerk_max * TICK * np.arange(1, 5), atol=1e-5)


COMMANDS = st.tuples(st.floats(-20.0, 20.0), st.floats(-1.0, 1.0))


@given(
    st.sampled_from([SPECS[kind] for kind in Kind if kind < Kind.PEDESTRIAN]),
    st.sampled_from([0.9, 0.6, 0.3]),
    st.floats(-1.0, 1.0),
    st.lists(st.tuples(st.integers(1, 12), COMMANDS), min_size=1, max_size=8),
)
@settings(max_examples=80)
def test_no_command_exceeds_a_limit(spec, friction, share, orders):
    fastest = min(spec.speed_max, 30.0) if share >= 0.0 else spec.reverse_speed_max
    gear = Gear.DRIVE if share >= 0.0 else Gear.REVERSE
    world = stage(spec, speed=share * fastest, friction=friction)
    grip = friction * GRAVITY
    for ticks, (accel, steer) in orders:
        for _ in range(ticks):
            before = world.bodies[0].copy()
            after = tick(world, accel, steer, gear, substeps=1)
            # to stand is to stop accelerating: the one jump that is allowed, and it is counted
            if after["speed"] != 0.0:
                assert abs(after["jerk"]) <= spec.jerk_max * (1.0 + 1e-4)
                assert abs(float(after["accel"]) - float(before["accel"])) <= spec.jerk_max * DT * (1.0 + 1e-4)
            assert abs(float(after["steer"]) - float(before["steer"])) <= spec.steer_rate_max * DT * (1.0 + 1e-4)
            assert abs(after["steer"]) <= spec.steer_max + 1e-6
            assert -spec.reverse_speed_max - 1e-5 <= after["speed"] <= spec.speed_max + 1e-5
            pedal = max(spec.brake_max, spec.accel_max)
            assert abs(after["accel"]) <= min(pedal, grip) + 1e-4
            assert abs(float(after["speed"]) - float(before["speed"])) <= min(pedal, grip) * DT + 1e-4


def test_the_friction_circle_is_never_left():
    """Braking hard first, then turning in hard as well, from every speed and on every road."""
    for friction in (0.9, 0.6, 0.3):
        for speed in (3.0, 5.0, 8.0, 15.0, 25.0):
            world = stage(speed=speed, friction=friction)
            for k in range(40):
                body = tick(world, accel=-8.0 if k < 20 else 3.0, steer=0.0 if k < 4 else 0.6)
                used = float(np.hypot(body["accel"], body["speed"] * body["yaw_rate"]))
                assert used <= friction * GRAVITY * (1.0 + 1e-3), f"from {speed} m/s, friction {friction}, tick {k}"


def test_wheels_turned_too_far_do_not_keep_a_car_from_braking():
    """At full lock and far too fast the tyres share out what they have: the car slides, but it comes to rest."""
    world = stage(speed=12.0)
    for _ in range(100):
        body = tick(world, accel=-6.0, steer=0.6)
        assert np.hypot(body["accel"], body["speed"] * body["yaw_rate"]) <= 0.9 * GRAVITY * (1.0 + 1e-3)
    assert body["speed"] == 0.0


# ---- stopping, standing, reversing


@pytest.mark.parametrize("speed", [4.0, 10.0, 20.0])
@pytest.mark.parametrize("decel", [1.5, 2.3])
def test_constant_braking_stops_where_the_formula_says(speed, decel):
    """With a first-order lag tau the distance is v^2 / 2b + v tau - b tau^2 / 2; a step of dt makes it v dt / 2 shorter."""
    world = stage(speed=speed)
    while world.bodies[0]["speed"] > 0.0:
        body = tick(world, accel=-decel)
    tau = CAR.accel_lag
    expected = float(stopping_distance(speed, decel)) + speed * tau - 0.5 * decel * tau**2
    assert body["x"] == pytest.approx(expected, abs=0.5 * speed * DT + 0.1)


@pytest.mark.parametrize(("speed", "distance"), [(5.0, 15.0), (10.0, 40.0), (15.0, 60.0)])
def test_a_minimum_jerk_stop_ends_at_its_distance(speed, distance):
    stop = minimum_jerk_stop(speed, distance)
    world = stage(DIRECT, speed=speed)
    times = np.arange(0.0, float(stop.duration), TICK)
    speeds = stop.at(times)[1]
    after = stop.at(times + TICK)[1]
    peak = 0.0
    for accel in (after - speeds) / TICK:
        body = tick(world, accel=float(accel))
        peak = max(peak, -float(body["accel"]))
    assert body["speed"] == pytest.approx(0.0, abs=1e-3)
    assert body["x"] == pytest.approx(distance, abs=0.5 * speed * DT + 0.05)
    assert peak == pytest.approx(float(stop.peak_decel), rel=0.02)


def test_standing_still_with_the_brake_on_is_standing_still():
    world = stage(speed=0.0)
    for _ in range(20):
        body = tick(world, accel=-5.0)
        assert (body["x"], body["y"], body["speed"], body["accel"], body["jerk"]) == (0.0, 0.0, 0.0, 0.0, 0.0)
        assert body["brake_light"] == 1


def test_stopping_with_the_brake_on_is_a_jolt_that_counts():
    world = stage(speed=5.0)
    jerks = []
    while world.bodies[0]["speed"] > 0.0:
        braking = float(world.bodies[0]["accel"])
        jerks.append(float(tick(world, accel=-4.0)["jerk"]))
    assert braking == pytest.approx(-4.0, abs=0.05)
    assert jerks[-1] >= 4.0 / DT * 0.95
    assert max(abs(jerk) for jerk in jerks[:-1]) <= CAR.jerk_max * 1.001
    assert world.bodies[0]["accel"] == 0.0


@pytest.mark.parametrize("friction", [0.9, 0.6, 0.3])
def test_friction_caps_braking(friction):
    world = stage(speed=25.0, friction=friction)
    braking = [-float(tick(world, accel=-20.0)["accel"]) for _ in range(25)]
    assert max(braking) == pytest.approx(min(CAR.brake_max, friction * GRAVITY), rel=1e-3)


def test_full_braking_straight_on_without_lag():
    for friction in np.linspace(0.1, 0.8, 71):
        world = stage(DIRECT, speed=30.0, friction=float(friction))
        for _ in range(10):
            body = tick(world, accel=-20.0)
        assert body["accel"] == pytest.approx(-friction * GRAVITY, rel=1e-5)


def test_on_snow_a_curve_taken_too_fast_runs_wide():
    """At 12 m/s snow carries a radius of 49 m; the wheels ask for 9."""
    world = stage(speed=12.0, friction=0.3, steer=0.3)
    for _ in range(20):
        body = tick(world, steer=0.3)
        assert abs(body["speed"] * body["yaw_rate"]) <= 0.3 * GRAVITY + 1e-4
    assert abs(body["speed"] * body["yaw_rate"]) == pytest.approx(0.3 * GRAVITY, rel=1e-3)


def test_reverse_gear_drives_backwards():
    world = stage()
    for _ in range(60):
        body = tick(world, accel=-1.0, gear=Gear.REVERSE)
    assert body["speed"] == pytest.approx(-CAR.reverse_speed_max)
    assert body["x"] < -5.0
    for _ in range(40):
        body = tick(world, accel=2.0, gear=Gear.REVERSE)
    assert body["speed"] == 0.0


@pytest.mark.parametrize(("speed", "gear"), [(8.0, Gear.REVERSE), (-2.5, Gear.DRIVE)])
def test_gears_change_at_standstill_only(speed, gear):
    world = stage(speed=speed, gear=Gear.DRIVE if speed > 0.0 else Gear.REVERSE)
    pedal = 2.0 if gear == Gear.DRIVE else -2.0
    speeds = [speed] + [float(tick(world, accel=pedal, gear=gear)["speed"]) for _ in range(80)]
    steps = np.abs(np.diff(speeds)) / TICK
    assert steps.max() <= 3.0 + 1e-3, f"{steps.max():.1f} m/s² while changing gear"
    assert any(abs(v) < STANDING for v in speeds)
    assert np.sign(speeds[-1]) == -np.sign(speed)


def test_brake_light_shows_braking_and_standing():
    world = stage(speed=10.0)
    assert tick(world)["brake_light"] == 0
    for _ in range(3):
        body = tick(world, accel=-2.0)
    assert body["brake_light"] == 1
    for _ in range(10):
        body = tick(world, accel=1.0)
    assert body["brake_light"] == 0
