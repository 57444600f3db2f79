"""`avstack export`: what is read back from Parquet, CSV and MCAP is what was recorded."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from eval.cli import execute
from eval.export.tracks import TRACE_PREFIX, TRACK_COLUMNS, track_table
from eval.run import Job, run_episode
from sim.recording import Recording, read_recording

ROLLS = """
from sim.interface import Control, DriverStep


class Rolls:
    def start(self, road_map, route, spec, seed):
        return 0

    def step(self, frame, memory):
        return DriverStep(control=Control(), memory=memory + len(frame.lidar))
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of the stack at an all-way stop, with arrays."""
    job = Job(
        target="four_way_chicken", seed=1, driver="joint", sensing="objects", settings=("duration_s=6",), record="arrays",
        out=tmp_path_factory.mktemp("recorded"),
    )  # fmt: skip
    return Path(str(run_episode(job).recording))


@pytest.fixture(scope="module")
def recording(file: Path) -> Recording:
    return read_recording(file)


def messages(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """(time [ns], message) by topic, decoded by the libraries that others use."""
    reader = pytest.importorskip("mcap.reader", reason="needs the extra 'mcap'")
    protobuf = pytest.importorskip("mcap_protobuf.decoder")
    found: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    with path.open("rb") as stream:
        for item in reader.make_reader(stream, decoder_factories=[protobuf.DecoderFactory()]).iter_messages():
            schema, channel, message = item
            if channel.message_encoding == "json":
                found[channel.topic].append((message.log_time, json.loads(message.data)))
            else:
                decoded = protobuf.DecoderFactory().decoder_for("protobuf", schema)(message.data)
                found[channel.topic].append((message.log_time, decoded))
    return found


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_tracks_are_what_was_recorded(file: Path, recording: Recording, tmp_path: Path, form: str):
    out = tmp_path / f"tracks.{form}"
    assert execute(["export", str(file), "--to", form, "--out", str(out)]) == 0
    table = pyarrow.parquet.read_table(out) if form == "parquet" else pyarrow.csv.read_csv(out)
    assert tuple(table.column_names[: len(TRACK_COLUMNS)]) == TRACK_COLUMNS
    columns = {name: np.array(table.column(name).to_pylist(), dtype=object) for name in table.column_names}
    for index, actor in enumerate(recording.header.actors):
        mine = columns["track_id"] == actor.name
        track = recording.track(index)
        track = track[track["status"] == recording.header.status_active]
        assert mine.sum() == len(track) > 20
        assert set(columns["kind"][mine]) == {actor.kind.lower()}
        assert columns["length"][mine].astype(float) == pytest.approx(actor.length)
        assert np.allclose(columns["time"][mine].astype(float), track["tick"] * 0.1)
        for name in ("x", "y", "heading", "speed"):
            assert np.allclose(columns[name][mine].astype(float), track[name], atol=1e-6), name
        assert set(columns["ego"][mine]) == {index == recording.header.ego}
    traced = columns[TRACE_PREFIX + "trust"]
    assert all((value is None) != ego for value, ego in zip(traced, columns["ego"], strict=True) if value is not None)
    assert "gives way to another" in columns["reason"] or any("goes" in str(reason) for reason in columns["reason"])
    assert [entry.name for entry in tmp_path.iterdir()] == [out.name], "nothing half-written is left"


def test_a_table_says_where_it_is_from(recording: Recording):
    metadata = track_table(recording).schema.metadata
    assert metadata[b"avstack.scenario"] == b"four_way_chicken"
    assert metadata[b"avstack.ego"] == b"ego"
    assert metadata[b"avstack.trace_hash"].decode() == recording.footer.trace_hash


def test_mcap_holds_foxgloves_messages(file: Path, recording: Recording, tmp_path: Path):
    out = tmp_path / "drive.mcap"
    assert execute(["export", str(file), "--to", "mcap", "--out", str(out)]) == 0
    found = messages(out)
    assert {"/tf", "/map", "/actors", "/percepts", "/plan", "/futures", "/ego"} <= found.keys()
    assert "/points" not in found
    ego = recording.track(0)
    ego = ego[ego["status"] == recording.header.status_active]
    assert len(found["/map"]) == 1
    assert len(found["/map"][0][1].entities[0].lines) > 10
    for row, (time, frames) in zip(ego, found["/tf"], strict=True):
        transform = frames.transforms[0]
        assert time == round(row["tick"] * 1e8)
        assert (transform.parent_frame_id, transform.child_frame_id) == ("map", "ego")
        assert (transform.translation.x, transform.translation.y) == pytest.approx((row["x"], row["y"]))
        assert 2.0 * np.arctan2(transform.rotation.z, transform.rotation.w) == pytest.approx(float(row["heading"]), abs=1e-5)
    time, scene = found["/actors"][20]
    rows = recording.at(round(time / 1e8))
    assert {entity.id for entity in scene.entities} == {recording.header.actors[row["actor"]].name for row in rows}
    cubes = {entity.id: entity.cubes[0] for entity in scene.entities}
    assert cubes["east"].size.x == pytest.approx(recording.header.actors[1].length)
    assert cubes["east"].pose.position.x == pytest.approx(float(rows["x"][rows["actor"] == 1][0]))
    assert scene.entities[0].lifetime.ToNanoseconds() == 500_000_000
    assert [time for time, _ in found["/ego"]] == [time for time, _ in found["/tf"]]
    assert found["/ego"][20][1]["speed"] == pytest.approx(float(ego["speed"][20]), abs=1e-3)
    assert found["/ego"][20][1]["trace"]["trust"] == 1.0
    assert found["/ego"][20][1]["reason"]
    percepts = found["/percepts"][20][1].entities[0]
    assert len(percepts.cubes) == len(percepts.lines) >= 2
    assert len(found["/plan"][20][1].entities[0].lines[0].points) > 10


def test_mcap_says_who_has_gone_and_what_happened(tmp_path: Path):
    job = Job(target="four_way_chicken", seed=3, driver="rules", out=tmp_path)
    file = Path(str(run_episode(job).recording))
    assert execute(["export", str(file), "--to", "mcap"]) == 0
    found = messages(file.with_suffix(".mcap"))
    gone = [deletion.id for _, scene in found["/actors"] for deletion in scene.deletions]
    assert gone
    assert any("finished" in log.message for _, log in found["/events"])
    assert "/percepts" not in found, "the traffic's own driver traces none"


def test_points_come_from_full_recordings(tmp_path: Path):
    driver = tmp_path / "rolls.py"
    driver.write_text(ROLLS)
    job = Job(
        target="four_way_chicken", seed=1, driver=f"{driver}:Rolls", sensing="lidar", settings=("duration_s=1.2",), record="full",
        out=tmp_path,
    )  # fmt: skip
    file = Path(str(run_episode(job).recording))
    assert execute(["export", str(file), "--to", "mcap", "--points"]) == 0
    found = messages(file.with_suffix(".mcap"))
    assert [time for time, _ in found["/points"]] == [time for time, _ in found["/tf"]]
    assert len(found["/points"]) == 12
    cloud = found["/points"][5][1]
    assert cloud.frame_id == "ego"
    assert [entry.name for entry in cloud.fields] == ["x", "y", "z", "intensity", "time_offset"]
    points = np.frombuffer(cloud.data, "<f4").reshape(-1, cloud.point_stride // 4)
    assert len(points) > 1000
    assert np.abs(points[:, :2]).max() < 250.0
    assert np.median(points[:, 2]) < 0.5, "most of it is the ground"


def test_bad_input_is_one_line(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cut.arrow").write_bytes(file.read_bytes()[:2000])
    (tmp_path / "file").write_text("")
    for arguments, said in (
        ((tmp_path / "none.arrow", "--to", "csv"), "no such recording"),
        ((tmp_path / "cut.arrow", "--to", "mcap"), "damaged"),
        ((file, "--to", "xml"), "is not one of"),
        ((file,), "Missing option"),
        ((file, "--to", "csv", "--out", tmp_path), "is a folder"),
        ((file, "--to", "csv", "--out", tmp_path / "file" / "a.csv"), "is not a folder"),
        ((file, "--to", "csv", "--points"), "MCAP files alone"),
        ((file, "--to", "mcap", "--points", "--out", tmp_path / "a.mcap"), "no lidar"),
    ):
        assert execute(["export", *map(str, arguments)]) == 2, arguments
        assert said in capsys.readouterr().err
    for name in ("mcap", "mcap.writer"):
        monkeypatch.setitem(sys.modules, name, None)
    assert execute(["export", str(file), "--to", "mcap", "--out", str(tmp_path / "a.mcap")]) == 2
    assert "avstack-sim[mcap]" in capsys.readouterr().err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cut.arrow", "file"], "nothing half-written is left"
