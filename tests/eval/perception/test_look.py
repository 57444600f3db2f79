"""`avstack perception look`: formats of others, and errors that say what is wrong and leave nothing behind."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from eval.cli import execute
from eval.perception.look import KITTI_HEIGHT, NUSCENES_HEIGHT, read_points
from scenarios.errors import InputError
from tests.avstack.perception.test_detect import car_ahead


def kitti(points: np.ndarray) -> bytes:
    return (points[:, :4] - [0.0, 0.0, KITTI_HEIGHT, 0.0]).astype("<f4").tobytes()


def nuscenes(points: np.ndarray) -> bytes:
    rings = np.arange(len(points)) % 32
    columns = [-points[:, 1], points[:, 0], points[:, 2] - NUSCENES_HEIGHT, 255.0 * points[:, 3], rings]
    return np.stack(columns, axis=1).astype("<f4").tobytes()


@pytest.mark.parametrize("written", [kitti, nuscenes])
@pytest.mark.parametrize("count", [1000, 1001])
def test_formats_are_told_apart_and_brought_into_one_frame(tmp_path, written, count):
    points = car_ahead()[-count:]
    file = tmp_path / "sweep.bin"
    file.write_bytes(written(points))
    assert read_points(file)[:, :4] == pytest.approx(points[:, :4], abs=1e-4)


def test_an_array_is_from_the_ground_unless_a_height_is_given(tmp_path):
    np.save(tmp_path / "a.npy", car_ahead()[:, :4])
    assert read_points(tmp_path / "a.npy") == pytest.approx(car_ahead())
    assert read_points(tmp_path / "a.npy", height=1.5)[:, 2] == pytest.approx(car_ahead()[:, 2] + 1.5)


def test_rows_that_are_not_finite_are_left_out(tmp_path):
    points = car_ahead()
    points[3, 1], points[5, 3] = np.nan, np.inf
    np.save(tmp_path / "a.npy", points)
    assert len(read_points(tmp_path / "a.npy")) == len(points) - 2


def test_it_lists_and_draws_what_it_sees(tmp_path, capsys):
    (tmp_path / "sweep.bin").write_bytes(kitti(car_ahead()))
    picture = tmp_path / "seen.png"
    assert execute(["perception", "look", str(tmp_path / "sweep.bin"), "--json", "--picture", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert any(abs(one["x"] - 13.0) < 3.0 and abs(one["y"]) < 2.0 for one in found["things"])
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.bin", b"\0" * 1603, "1603 bytes, not a whole number of points"),
        ("empty.bin", b"", "is empty"),
        ("nan.bin", np.full((10, 4), np.nan, "<f4").tobytes(), "no point whose numbers are all finite"),
        ("text.bin", b"a text of any kind is no sweep, " * 50, "100 of its 100 points are further than 1000 m"),
        ("damaged.npy", b"\x93NUMPY", "not an array of points"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_points(tmp_path / name)


@pytest.mark.parametrize("shape", [(10, 3), (10, 6), (10,)])
def test_wrong_column_counts_are_named(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(InputError, match="not \\(N, 4\\) or \\(N, 5\\)"):
        read_points(tmp_path / "a.npy")


def test_an_empty_array_holds_no_points(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 5)))
    with pytest.raises(InputError, match="holds no points"):
        read_points(tmp_path / "a.npy")


def test_bad_input_ends_with_code_2_and_leaves_nothing(tmp_path, capsys):
    assert execute(["perception", "look", str(tmp_path / "none.bin"), "--picture", str(tmp_path / "a.png")]) == 2
    assert "no such file" in capsys.readouterr().err
    np.save(tmp_path / "a.npy", car_ahead())
    assert execute(["perception", "look", str(tmp_path / "a.npy"), "--weights", str(tmp_path)]) == 2
    assert "no such weights" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_folders_that_cannot_be_written_to_are_named_before_anything_runs(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert execute(["perception", "data", "--folder", str(tmp_path / "file" / "a")]) == 2
    assert "is not a folder" in capsys.readouterr().err
    assert execute(["perception", "data", "--folder", str(tmp_path / "a"), "--weights", str(tmp_path / "file")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_stages_ask_for_what_comes_before_them(tmp_path, capsys):
    assert execute(["perception", "train", "--folder", str(tmp_path), "--share", "0.001"]) == 2
    assert "perception data" in capsys.readouterr().err
    assert execute(["perception", "calibrate", "--folder", str(tmp_path)]) == 2
    assert "no such weights" in capsys.readouterr().err
    assert execute(["perception", "data", "--folder", str(tmp_path), "--share", "0"]) == 2
