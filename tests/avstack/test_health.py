"""Self-diagnosis: every symptom is noticed, and a sound frame raises none."""

from dataclasses import replace

import numpy as np
import pytest

from avstack.perception.health import GIVEN_UP_S, JUMP_S, SETTLED_TICKS, Fault, HealthMemory, diagnose
from sim.interface import TICK_S, Odometry, SensorFrame

SPEED = 5.0
MOTION = (SPEED * TICK_S, 0.0, 0.0)
STILL = (0.0, 0.0, 0.0)


def sweep(tick, rings=32, age=0.0):
    """Points on a cylinder 10 m away as `rings` of the 32 rings of a sensor see it, a little different in every tick."""
    elevation = np.radians(np.linspace(-28.0, 8.0, 32))[np.linspace(0, 31, rings).astype(int)]
    azimuth = np.linspace(-3.0, 3.0, 100) + 1e-3 * tick
    e, a = (axis.ravel() for axis in np.meshgrid(elevation, azimuth))
    points = np.stack([10.0 * np.cos(a), 10.0 * np.sin(a), 1.84 + 10.0 * np.tan(e), 0.0 * a, np.full(a.size, -age)], axis=1)
    return points.astype(np.float32)


def frame(tick, points=None, pose=None, speed=SPEED, level="lidar"):
    return SensorFrame(
        tick=tick, odometry=Odometry(speed=speed, accel=0.0, yaw_rate=0.0, steer=0.0),
        pose=np.array([SPEED * TICK_S * tick, 0.0, 0.0] if pose is None else pose), pose_covariance=np.diag([0.01, 0.01, 1e-4]),
        signals=np.zeros(0, np.int32), objects=None, lidar=sweep(tick) if points is None else points, level=level,
    )  # fmt: skip


def run(frames, motion=MOTION):
    memory, found = HealthMemory(), []
    for one in frames:
        health, memory = diagnose(one, memory, motion)
        found.append(health)
    return found


def test_a_sound_sensor_is_trusted():
    found = run([frame(tick) for tick in range(30)])
    assert all(health.trust == 1.0 and health.fault == Fault.NONE and health.fresh for health in found)


@pytest.mark.parametrize("fault", ["blackout", "frozen", "late"])
def test_without_a_fresh_sweep_trust_is_gone_in_a_second(fault):
    broken = {
        "blackout": lambda tick: np.zeros((0, 5), np.float32),
        "frozen": lambda tick: sweep(9),
        "late": lambda tick: sweep(tick, age=0.5),
    }[fault]
    found = run([frame(tick) for tick in range(10)] + [frame(tick, broken(tick)) for tick in range(10, 22)])
    assert not any(health.fresh for health in found[10:])
    assert found[10].trust == 1.0, "one sweep may be lost"
    assert found[13].fault == Fault.BLIND
    assert found[9 + round(GIVEN_UP_S / TICK_S)].trust == pytest.approx(0.0, abs=1e-9)


def test_a_sensor_that_comes_back_is_trusted_again():
    frames = [frame(tick, np.zeros((0, 5), np.float32) if 10 <= tick < 15 else None) for tick in range(20)]
    assert run(frames)[-1].trust == 1.0


def test_missing_rings_are_noticed_at_once_and_a_wall_is_none():
    found = run([frame(tick, sweep(tick, 16 if tick >= 5 else 32)) for tick in range(8)])
    assert found[5].fault == Fault.RINGS
    assert found[5].trust == pytest.approx(0.5, abs=0.1)
    assert found[5].apart == pytest.approx(2.0 * found[4].apart, rel=0.1)
    found = run([frame(tick, sweep(tick, 27 if tick >= 5 else 32)) for tick in range(8)])
    assert found[-1].fault == Fault.NONE


def test_points_that_are_no_numbers_are_noticed():
    points = sweep(3)
    points[::5, :3] = np.nan
    health = run([frame(0), frame(1), frame(2), frame(3, points)])[-1]
    assert (health.fault, health.trust) == (Fault.SPOILT, pytest.approx(0.8, abs=0.01))


@pytest.mark.parametrize("level", ["lidar", "objects"])
def test_a_pose_that_jumps_is_not_followed(level):
    jumped = [frame(tick, pose=[SPEED * TICK_S * tick, 2.0, 0.0], level=level) for tick in range(5, 15)]
    found = run([frame(tick, level=level) for tick in range(5)] + jumped + [frame(15, level=level)])
    assert found[5].fault == Fault.POSE
    assert found[14].pose == pytest.approx([SPEED * TICK_S * 14, 0.0, 0.0])
    assert found[14].trust == pytest.approx(1.0 - 10 * TICK_S / JUMP_S)
    assert found[15].trust == 1.0, "it came back to where the car is"


def test_at_rest_a_pose_that_stays_is_believed_again():
    still = [frame(tick, pose=[0.0, 0.0, 0.0], speed=0.0) for tick in range(3)]
    moved = [frame(tick, pose=[0.0, 2.0, 0.0], speed=0.0) for tick in range(3, 5 + SETTLED_TICKS)]
    found = run(still + moved, STILL)
    assert found[3].pose[1] == 0.0
    assert (found[-1].pose[1], found[-1].trust) == (2.0, 1.0)


def test_a_frame_without_points_is_blind_and_nothing_raises():
    health = run([replace(frame(0), lidar=None), replace(frame(1), lidar=None)])[-1]
    assert not health.fresh
