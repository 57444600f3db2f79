"""The run-time interface: pure, never raises on bad sweeps, and refuses weights that are not its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from avstack.perception.arbitration import arbitrate
from avstack.perception.calibration import Calibration, calibration_of
from avstack.perception.classes import Class
from avstack.perception.detect import (
    CALIBRATION_FILE,
    META,
    NETWORK_FILE,
    WEIGHTS,
    Detector,
    WeightsError,
    ego_motion,
    start_detecting,
)
from sim.interface import Odometry
from tests.avstack.perception.test_bev import plane

pytest.importorskip("torch")
STILL = (0.0, 0.0, 0.0)


def car_ahead() -> np.ndarray:
    """A road with the rear of something as wide and high as a car 12 m ahead."""
    y, z = np.meshgrid(np.linspace(-0.9, 0.9, 24), np.linspace(0.2, 1.4, 9))
    rear = np.stack([np.full(y.size, 12.0), y.ravel(), z.ravel(), np.full(y.size, 0.4), np.zeros(y.size)], axis=1)
    return np.concatenate([plane(), rear.astype(np.float32)])


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load()


def test_something_stands_in_the_way_and_everything_is_a_probability(detector):
    memory = start_detecting()
    for _ in range(3):
        detections, memory = detector.detect(car_ahead(), STILL, memory)
    things = arbitrate(detections)
    ahead = things[np.hypot(things["mean"][:, 0] - 13.0, things["mean"][:, 1]) < 3.0]
    assert len(ahead) > 0
    assert detections.grid.blocked[51:55, 38:42].any()
    for name in ("score", "trust", "drive_through", "flip"):
        assert ((things[name] >= 0.0) & (things[name] <= 1.0)).all(), name
    assert things["class_probability"].sum(axis=1) == pytest.approx(np.ones(len(things)), abs=1e-4)
    assert (np.linalg.eigvalsh(things["covariance"].astype(np.float64)) > 0.0).all()
    assert np.hypot(detections.standing[:, 0] - 12.0, detections.standing[:, 1]).min() < 1.0


def test_the_same_in_gives_the_same_out_and_memory_is_a_value(detector):
    first, memory = detector.detect(car_ahead(), STILL, start_detecting())
    kept = [one.tobytes() for one in memory.past]
    one, _ = detector.detect(car_ahead(), (0.5, 0.0, 0.01), memory)
    other, _ = detector.detect(car_ahead(), (0.5, 0.0, 0.01), memory)
    for name in one.things.dtype.names:
        assert np.array_equal(one.things[name], other.things[name]), name
    assert [past.tobytes() for past in memory.past] == kept
    with pytest.raises(ValueError, match="read-only"):
        first.things["score"] = 0.0


def test_a_memory_is_of_two_sweeps_at_most(detector):
    memory = start_detecting()
    for _ in range(4):
        _, memory = detector.detect(car_ahead(), STILL, memory)
    assert len(memory.past) == 2


@pytest.mark.parametrize("points", [np.zeros((0, 5), np.float32), np.full((50, 5), np.nan, np.float32)])
def test_no_usable_point_shows_nothing(detector, points):
    detections, _ = detector.detect(points, STILL, start_detecting())
    assert len(arbitrate(detections)) == len(detections.things)
    assert not detections.grid.blocked.all()


def test_the_centre_of_the_box_swings_out_about_the_rear_axle():
    forward, left, turn = ego_motion(Odometry(speed=0.0, accel=0.0, yaw_rate=0.5, steer=0.0), 1.4, 1.0)
    assert (forward, left, turn) == pytest.approx((1.4 * (np.cos(0.5) - 1.0), 1.4 * np.sin(0.5), 0.5))


@pytest.fixture
def copy(tmp_path):
    """A copy of the shipped models to spoil."""
    for name in (NETWORK_FILE, CALIBRATION_FILE):
        shutil.copy(WEIGHTS / name, tmp_path / name)
    return tmp_path


def with_meta(folder, **changes) -> None:
    with np.load(folder / NETWORK_FILE) as file:
        arrays = {name: file[name] for name in file.files}
    arrays[META] = np.array(json.dumps(json.loads(str(arrays[META])) | changes))
    np.savez(folder / NETWORK_FILE, **arrays)


def test_weights_of_another_version_are_refused(copy):
    with_meta(copy, version=99)
    with pytest.raises(WeightsError, match=r"version 99.*Train again"):
        Detector.load(copy)


def test_weights_of_another_network_are_refused(copy):
    with_meta(copy, widths={"fine": 8, "middle": 8, "coarse": 8})
    with pytest.raises(WeightsError, match="not weights of this network"):
        Detector.load(copy)


def test_a_calibration_of_other_weights_is_refused(copy):
    with_meta(copy, digest="of others")
    with pytest.raises(WeightsError, match="fitted for the weights"):
        Detector.load(copy)


@pytest.mark.parametrize("name", [NETWORK_FILE, CALIBRATION_FILE])
def test_damaged_and_missing_files_are_named(copy, name):
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=f"{name}: damaged"):
        Detector.load(copy)
    (copy / name).unlink()
    with pytest.raises(WeightsError, match=f"{name}: no such"):
        Detector.load(copy)


def test_a_calibration_survives_being_written():
    numbers = json.loads(json.dumps(Calibration(around=0.3).as_numbers()))
    again = calibration_of(numbers)
    assert again.around == 0.3
    assert np.array_equal(again.quantiles, Calibration().quantiles)
    with pytest.raises(ValueError, match="fields differ"):
        calibration_of(numbers | {"more": 1.0})
    with pytest.raises(ValueError, match="'trust' has shape"):
        calibration_of(numbers | {"trust": [1.0]})


def test_shipped_weights_are_small():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 5_000_000


def test_torch_is_imported_only_when_weights_are_loaded():
    script = "import sys, avstack.perception.detect, eval.perception.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_class_has_a_kind():
    from avstack.perception.classes import ROAD_USER_OF

    assert set(ROAD_USER_OF) == set(Class)


def test_without_torch_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "avstack.perception.network", raising=False)
    with pytest.raises(WeightsError, match=r"need torch.*avstack-sim\[learn\]"):
        Detector.load(tmp_path)
