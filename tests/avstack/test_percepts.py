"""The `state` level passes through perception exactly; readings that make no sense are dropped."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from avstack.perception.percepts import THING_DTYPE
from avstack.perception.tracking import start_tracking, track
from sim.interface import OBJECT_DTYPE, Indicator, Kind, Odometry, SensorFrame

SAME = ("id", "kind", "x", "y", "heading", "vx", "vy", "speed", "accel", "yaw_rate", "length", "width", "drive_through")


def objects(count: int) -> np.ndarray:
    """Plausible things in a row, each moving at its number [m/s]."""
    rows = np.zeros(count, OBJECT_DTYPE)
    rows["id"] = np.arange(count) + 5
    rows["x"], rows["speed"] = 10.0 * np.arange(count), np.arange(count)
    rows["vx"], rows["length"], rows["width"] = rows["speed"], 4.7, 1.85
    return rows


def frame(rows: np.ndarray, tick: int = 0) -> SensorFrame:
    return SensorFrame(
        tick=tick, odometry=Odometry(speed=1.0, accel=0.5, yaw_rate=0.25, steer=0.125), pose=np.array([1.0, 2.0, 0.5]),
        pose_covariance=np.eye(3), signals=np.zeros(2, np.int32), objects=rows, range_m=80.0,
    )  # fmt: skip


def test_things_pass_through_exactly():
    rows = objects(3)
    rows["indicator"][1], rows["brake_light"][2], rows["gesture"][0], rows["kind"][2] = Indicator.LEFT, 1, 1, Kind.PEDESTRIAN
    percepts, _ = track(frame(rows, tick=4), start_tracking())
    for name in SAME:
        assert np.array_equal(percepts.things[name], rows[name]), name
    assert percepts.things["kind_probability"].sum(axis=1).tolist() == [1.0, 1.0, 1.0]
    assert percepts.things["kind_probability"][2, Kind.PEDESTRIAN] == 1.0
    assert percepts.things["indicator"].argmax(axis=1).tolist() == [0, Indicator.LEFT, 0]
    assert percepts.things["brake_light"].tolist() == [0.0, 0.0, 1.0]
    assert percepts.things["wave"].tolist() == [1.0, 0.0, 0.0]
    assert np.linalg.eigvalsh(percepts.things["covariance"].astype(float)).min() > 0.0
    assert (percepts.tick, percepts.observed_range, percepts.ego.x, percepts.ego.steer) == (4, 80.0, 1.0, 0.125)
    with pytest.raises(ValueError, match="read-only"):
        percepts.things["x"] = 0.0


def test_age_and_standing_are_counted_by_id():
    memory = start_tracking()
    for tick in range(4):
        percepts, memory = track(frame(objects(2)[::-1], tick), memory)
    assert percepts.things["id"].tolist() == [6, 5]
    assert percepts.things["age"].tolist() == [3, 3]
    assert percepts.things["standing"].tolist() == [0, 4]
    percepts, memory = track(frame(objects(1), 5), memory)
    percepts, memory = track(frame(objects(2), 6), memory)
    assert percepts.things["age"].tolist() == [5, 0], "who was out of sight is new"


def test_memory_is_a_value():
    _, memory = track(frame(objects(3)), start_tracking())
    expected = track(frame(objects(3), 1), memory)[0].things.tobytes()
    for kept in (copy.deepcopy(memory), pickle.loads(pickle.dumps(memory)), memory):
        assert track(frame(objects(3), 1), kept)[0].things.tobytes() == expected


@pytest.mark.parametrize("field", ["x", "y", "heading", "vx", "speed", "accel", "length"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_readings_that_are_not_finite_are_dropped(field, value):
    rows = objects(3)
    rows[field][1] = value
    percepts, _ = track(frame(rows), start_tracking())
    assert percepts.things["id"].tolist() == [5, 7]


def test_odd_frames_have_a_defined_answer():
    nothing, memory = track(frame(objects(0)), start_tracking())
    assert nothing.things.dtype == THING_DTYPE
    assert len(nothing.things) == 0
    assert len(track(replace(frame(objects(0)), objects=None), memory)[0].things) == 0
    rows = objects(2)
    rows["length"], rows["width"], rows["kind"], rows["indicator"], rows["id"] = 0.0, -1.0, [99, -3], [77, -1], 5
    things = track(frame(rows), start_tracking())[0].things
    assert things["length"].min() > 0.0
    assert things["width"].min() > 0.0
    assert things["kind"].tolist() == [Kind.OBJECT, Kind.OBJECT]
    assert things["indicator"].sum(axis=1).tolist() == [1.0, 1.0]
    assert len(track(frame(objects(3000)), start_tracking())[0].things) == 3000
