"""Faults of sensors: each does what it says, while it lasts, at each level; a world that goes on from a snapshot has them too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenarios.errors import InputError
from scenarios.schema import loads
from sim.interface import SensorFrame
from sim.sensors.beams import LidarSpec
from sim.sensors.faults import FAULTS, Fault
from sim.world import World
from tests.sim.worlds import busy

START, END = 105, 115  # ticks
LEVELS = ("objects", "lidar")


def fault(kind: str, amount: float | None = None) -> Fault:
    return Fault(kind=kind, start_s=START / 10.0, duration_s=(END - START) / 10.0, amount=amount)


def world_of(sensing: str, *faults: Fault) -> World:
    lidar = LidarSpec(columns=180)
    return World([replace(busy(2), ego=0, sensing=sensing, lidar=lidar, faults=faults)])


def frames_of(sensing: str, *faults: Fault) -> dict[int, SensorFrame]:
    """Frames around the faults, by tick."""
    world, frames = world_of(sensing, *faults), {}
    while world.tick < END + 3:
        world.step()
        if world.tick >= START - 8:
            frames[world.tick] = world.frame(0, 0)
    return frames


def content(frame: SensorFrame) -> bytes:
    """Everything in a frame."""
    parts = [frame.pose, frame.pose_covariance, frame.signals, frame.objects, frame.lidar, frame.sight]
    arrays = b"".join(b"-" if part is None else np.asarray(part).tobytes() for part in parts)
    return arrays + repr((frame.tick, frame.odometry, frame.level, frame.range_m, frame.objects_age)).encode()


@pytest.fixture(scope="module", params=LEVELS)
def clean(request) -> tuple[str, dict[int, SensorFrame]]:
    return request.param, frames_of(request.param)


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_lasts_as_long_as_it_says_and_leaves_own_readings_alone(clean, kind):
    sensing, expected = clean
    frames = frames_of(sensing, fault(kind, 1.0 if kind == "nan" else None))  # a share of few objects may be none
    for tick, frame in frames.items():
        on = START <= tick < END
        if not on or (kind == "rings" and sensing == "objects"):
            assert content(frame) == content(expected[tick])
            continue
        assert content(frame) != content(expected[tick])
        assert frame.tick == tick
        assert frame.odometry == expected[tick].odometry
        assert (kind == "pose_jump") == (frame.pose.tobytes() != expected[tick].pose.tobytes())
        for array in (frame.lidar, frame.objects, frame.pose):
            assert array is None or not array.flags.writeable


def test_blackout_gives_nothing(clean):
    sensing, _ = clean
    frame = frames_of(sensing, fault("blackout"))[START]
    assert frame.objects is None
    assert frame.lidar is None if sensing == "objects" else frame.lidar is not None and frame.lidar.shape == (0, 5)


def test_frozen_shows_the_last_frame_again_and_again(clean):
    sensing, expected = clean
    frames = frames_of(sensing, fault("frozen"))
    name = "objects" if sensing == "objects" else "lidar"
    for tick in range(START, END):
        assert getattr(frames[tick], name).tobytes() == getattr(expected[START - 1], name).tobytes()


def test_late_shows_what_was_seen_before_and_says_so(clean):
    sensing, expected = clean
    frames = frames_of(sensing, fault("late", 3.0))
    frame, then = frames[START + 2], expected[START - 1]
    if sensing == "objects":
        assert frame.objects is not None
        assert then.objects is not None
        assert frame.objects.tobytes() == then.objects.tobytes()
        assert frame.objects_age == then.objects_age + 3
    else:
        assert frame.lidar is not None
        assert then.lidar is not None
        assert np.array_equal(frame.lidar[:, :4], then.lidar[:, :4])
        assert np.allclose(frame.lidar[:, 4], then.lidar[:, 4] - 0.3, atol=1e-6)


def test_rings_are_gone_for_a_while():
    frames = frames_of("lidar", fault("rings"))
    whole, half = frames[START - 1].lidar, frames[START].lidar
    assert whole is not None
    assert half is not None
    assert 0.25 * len(whole) < len(half) < 0.75 * len(whole)


def test_nan_takes_places_away_from_its_share(clean):
    sensing, _ = clean
    frame = frames_of(sensing, fault("nan", 0.4))[START]
    if sensing == "lidar":
        assert frame.lidar is not None
        assert np.isnan(frame.lidar[:, :3]).all(axis=1).mean() == pytest.approx(0.4, abs=0.05)
        assert np.isfinite(frame.lidar[:, 3:]).all()
    else:
        everything = frames_of(sensing, fault("nan", 1.0))[START].objects
        assert everything is not None
        assert np.isnan(everything["x"]).all()


def test_a_pose_jump_is_as_far_as_said_and_stays(clean):
    sensing, expected = clean
    frames = frames_of(sensing, fault("pose_jump", 3.0))
    shifts = np.array([frames[tick].pose - expected[tick].pose for tick in range(START, END)])
    assert np.hypot(shifts[:, 0], shifts[:, 1]) == pytest.approx(3.0)
    assert np.ptp(shifts[:, :2], axis=0) == pytest.approx(0.0, abs=1e-9)
    assert frames[START].pose_covariance.tobytes() == expected[START].pose_covariance.tobytes()


def test_two_faults_at_once_both_show():
    frame = frames_of("lidar", fault("nan", 1.0), fault("pose_jump"))[START]
    assert frame.lidar is not None
    assert np.isnan(frame.lidar[:, 0]).all()
    assert frame.pose.tobytes() != frames_of("lidar")[START].pose.tobytes()


@pytest.mark.parametrize("kind", ["frozen", "late"])
def test_a_snapshot_has_what_faulty_sensors_still_show(kind):
    world = world_of("lidar", fault(kind))
    while world.tick < START + 2:
        world.step()
        world.frame(0, 0)
    kept = world.snapshot()
    world.step()
    expected = content(world.frame(0, 0))
    other = world_of("lidar", fault(kind))
    other.restore(kept)
    other.step()
    assert content(other.frame(0, 0)) == expected
    assert content(other.frame(0, 0)) == expected  # asked twice


def test_others_have_sound_sensors():
    world = world_of("objects", fault("blackout"))
    while world.tick < START:
        world.step()
    assert world.frame(0, 0).objects is None
    assert world.frame(0, 1).objects is not None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "fog", "start_s": 1.0, "duration_s": 1.0}, "Fault.kind must be one of blackout"),
        ({"kind": "late", "start_s": 1.0, "duration_s": 0.0}, "starts at 0 s or later and lasts"),
        ({"kind": "nan", "start_s": 1.0, "duration_s": 1.0, "amount": 1.5}, "amount of 'nan' must be between 0 and 1"),
    ],
)
def test_impossible_faults_are_named(fields, words):
    with pytest.raises(ValueError, match=words):
        Fault(**fields)


def test_a_scenario_file_says_where_a_fault_is_wrong():
    head = "version: 1\nname: a\nmap: {builder: straight}\nego: {at: {anywhere: true}}\nfaults:\n"
    spec = loads(head + "  - {kind: late, start_s: {uniform: [2.0, 5.0]}, amount: 4}\n")
    episode, _ = spec.draw(3)
    assert 2.0 <= episode.faults[0].start_s <= 5.0
    with pytest.raises(InputError, match=r"6:\d+"):
        loads(head + "  - {kind: sleepy, start_s: 2}\n")
