"""Recordings: what goes in comes out, what is damaged is refused by name, and what a dying process leaves can be read."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sim.recorder import Recorder, TraceColumns, TraceError, finalise_part
from sim.recording import (
    FLUSH_TICKS,
    FORMAT_VERSION,
    RECORDED_EVENT_DTYPE,
    Ending,
    Footer,
    Header,
    RecordedActor,
    RecordingError,
    part_path,
    read_header,
    read_recording,
)
from sim.roads.outline import from_bytes, outline, signal_colour, to_bytes
from sim.snapshot import thaw

from .conftest import BODY, MIND, collision, episode

NO_EVENTS = np.zeros(0, dtype=RECORDED_EVENT_DTYPE)


def test_round_trip_keeps_every_number(write, header):
    recording = read_recording(write(130, hit=77, ending=Ending.FAILED))
    assert recording.header == header
    assert recording.footer == Footer(ending=Ending.FAILED, reasons=("collision at fault",), trace_hash="ab12")
    for tick in (0, 49, 50, 99, 100, 129):
        bodies, minds = episode(tick)
        rows = recording.at(tick)
        assert list(rows["actor"]) == [actor for actor in range(5) if bodies["status"][actor] == 1]
        for row in rows:
            for name in BODY.names or ():
                assert row[name] == bodies[name][row["actor"]]
            for name in MIND.names or ():
                assert row[name] == minds[name][row["actor"]]
    assert recording.last_tick == 129
    assert recording.events.tolist() == collision(77).tolist()
    places, values = recording.traces["margin"]
    assert np.array_equal(values, 0.5 * np.arange(130))
    assert set(recording.rows["actor"][places]) == {0}


def test_arrays_are_read_only(write):
    recording = read_recording(write(10))
    with pytest.raises(ValueError, match="read-only"):
        recording.rows["x"] = 0.0


def test_track_follows_one_actor(write):
    track = read_recording(write(60)).track(3)
    assert np.array_equal(track["tick"], np.arange(30, 60))


def test_an_actor_that_leaves_gets_one_last_row(tmp_path, header, crossing):
    path = tmp_path / "a.arrow"
    with Recorder(path, header, outline(crossing)) as recorder:
        for tick in range(20):
            bodies, minds = episode(tick)
            bodies["status"][1] = 2 if tick >= 8 else 1
            recorder.append(tick, bodies, minds, NO_EVENTS, {})
        recorder.finish(Footer(ending=Ending.PASSED))
    track = read_recording(path).track(1)
    assert list(track["tick"]) == list(range(9))
    assert track["status"][-1] == 2


def test_the_map_is_in_the_file(write, crossing):
    stored, original = read_recording(write(2)).road_map, outline(crossing)
    assert [lane.kind for lane in stored.lanes] == [lane.kind for lane in original.lanes]
    assert [lane.regulation for lane in stored.lanes] == [lane.regulation for lane in original.lanes]
    for a, b in zip(stored.lanes, original.lanes, strict=True):
        assert np.abs(a.left_border - b.left_border).max() <= 0.005 + 1e-9
        assert (a.stop_line is None) == (b.stop_line is None)
    assert stored.signals == original.signals
    assert len(stored.crosswalks) == 1
    assert len(stored.scenery) == 1


def test_outlines_stay_close_to_the_map(crossing):
    for lane, drawn in enumerate(outline(crossing).lanes):
        points = crossing.lane_points(lane)
        a, b = drawn.centre[:-1], drawn.centre[1:]
        for x, y in zip(points["x"][::7], points["y"][::7], strict=True):
            along = np.clip(((x, y) - a) @ np.eye(2) * (b - a), -np.inf, np.inf).sum(axis=1) / np.maximum(
                ((b - a) ** 2).sum(axis=1), 1e-12
            )
            nearest = a + np.clip(along, 0.0, 1.0)[:, None] * (b - a)
            assert np.hypot(*(nearest - (x, y)).T).min() < 0.05


def test_signal_colours_repeat(crossing):
    plan = outline(crossing).signals[0]
    assert [signal_colour(plan, t).name for t in (0.0, 9.9, 10.1, 13.5, 22.9, 23.1)] == [
        "GREEN",
        "GREEN",
        "YELLOW",
        "RED",
        "RED",
        "GREEN",
    ]


@pytest.mark.parametrize("data", [b"", b"abc", b"\x05\x00\x00\x00garbage"])
def test_bytes_that_are_no_outline_are_refused(data):
    with pytest.raises(ValueError, match="not a map outline"):
        from_bytes(data)


def test_outline_cut_short_is_refused(crossing):
    whole = to_bytes(outline(crossing))
    with pytest.raises(ValueError, match="outline"):
        from_bytes(whole[: len(whole) // 2])


def test_a_minute_with_twenty_actors_stays_below_a_megabyte(tmp_path, crossing, header):
    random = np.random.default_rng(1)
    actors = tuple(RecordedActor(name=f"a{k}", kind="CAR", length=4.7, width=1.85) for k in range(20))
    full = Header(scenario="busy", seed=0, duration_s=60.0, ego=0, actors=actors, event_names=(), reason_names=())
    path = tmp_path / "busy.arrow"
    with Recorder(path, full, outline(crossing)) as recorder:
        for tick in range(600):
            bodies, minds = np.zeros(20, dtype=BODY), np.zeros(20, dtype=MIND)
            for name in ("x", "y", "heading", "speed", "accel", "jerk", "steer"):
                bodies[name] = random.normal(size=20)
            minds["s"], minds["d"] = random.normal(size=(2, 20))
            bodies["status"] = 1
            recorder.append(tick, bodies, minds, NO_EVENTS, {0: {"a": np.array(random.normal()), "b": np.array(1.0)}})
        recorder.finish(Footer(ending=Ending.PASSED))
    assert path.stat().st_size <= 1_000_000


def test_a_full_recording_keeps_arrays_and_snapshots(tmp_path, crossing, header):
    path = tmp_path / "full.arrow"
    constant = np.arange(5000.0)
    with Recorder(path, replace(header, record="full"), outline(crossing)) as recorder:
        for tick in range(20):
            bodies, minds = episode(tick)
            if tick % 10 == 0:
                recorder.snapshot(tick, {"constant": constant, "tick": tick}, {})
            futures = np.full((tick % 3, 2), tick, np.int16)
            recorder.append(tick, bodies, minds, NO_EVENTS, {1: {"futures": futures, "margin": np.array(0.5 * tick)}})
        recorder.finish(Footer(ending=Ending.PASSED, outcome={"time_s": 2.0}, columns={"futures": ("<i2", 2)}))
    recording = read_recording(path)
    places, kept = recording.arrays["futures"]
    assert set(recording.rows["actor"][places]) == {1}
    for tick, value in zip(recording.rows["tick"][places], kept, strict=True):
        assert value.dtype == np.int16
        assert np.array_equal(value, np.full((tick % 3, 2), tick))
    assert np.array_equal(recording.traces["margin"][1], 0.5 * np.arange(20))
    assert sorted(recording.snapshots) == [0, 10]
    assert len(recording.shared_arrays) == 1  # the constant part is stored once
    for tick, data in recording.snapshots.items():
        memory: Any = thaw(data, recording.shared_arrays, {})
        assert memory["tick"] == tick
        assert np.array_equal(memory["constant"], constant)
    assert recording.footer.outcome == {"time_s": 2.0}
    assert recording.footer.columns == {"futures": ("<i2", 2)}


def test_a_scalar_recording_leaves_arrays_out(write, tmp_path, crossing, header):
    path = tmp_path / "scalar.arrow"
    with Recorder(path, header, outline(crossing)) as recorder:
        bodies, minds = episode(0)
        recorder.append(0, bodies, minds, NO_EVENTS, {0: {"futures": np.zeros((4, 2)), "margin": np.array(1.0)}})
        recorder.finish(Footer(ending=Ending.PASSED))
    recording = read_recording(path)
    assert set(recording.traces) == {"margin"}
    assert recording.arrays == {}


def test_a_trace_keeps_to_its_first_columns():
    columns = TraceColumns()
    columns.take({"a": np.zeros((2, 3)), "b": 1.0})
    columns.take({"a": np.zeros((7, 1))})
    assert columns.declared == {"a": ("<f8", 2), "b": ("<f8", 0)}
    for trace in ({"a": np.zeros(3)}, {"a": np.zeros((2, 3), np.float32)}):
        with pytest.raises(TraceError, match="keeps its dtype and number of dimensions"):
            columns.take(trace)
    for word in ("word", np.array([None])):
        with pytest.raises(TraceError, match="a trace holds numbers"):
            columns.take({"c": word})


def test_the_header_is_read_from_an_unfinished_file_too(write, header):
    path = write(130)
    path.write_bytes(path.read_bytes()[:-500])
    assert read_header(path) == header


def test_an_abandoned_recording_leaves_nothing(tmp_path, crossing, header):
    with Recorder(tmp_path / "a.arrow", header, outline(crossing)) as recorder:
        bodies, minds = episode(0)
        recorder.append(0, bodies, minds, NO_EVENTS, {})
        assert part_path(tmp_path / "a.arrow").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_can_be_read_and_finished(tmp_path, crossing, header):
    path = tmp_path / "a.arrow"
    recorder = Recorder(path, header, outline(crossing))
    for tick in range(2 * FLUSH_TICKS + 10):
        bodies, minds = episode(tick)
        recorder.append(tick, bodies, minds, collision(20) if tick >= 20 else NO_EVENTS, {})
    left = part_path(path).read_bytes()  # what is on disk now is all that a dead process leaves
    recorder.__exit__(None, None, None)
    part_path(path).write_bytes(left)

    so_far = read_recording(part_path(path), partial=True)
    assert so_far.footer.ending is Ending.PARTIAL
    assert so_far.last_tick == 2 * FLUSH_TICKS - 1
    with pytest.raises(RecordingError, match="stops before its end"):
        read_recording(part_path(path))

    assert finalise_part(path, Footer(ending=Ending.CRASHED, error="died"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.arrow"]
    finished = read_recording(path)
    assert finished.footer == Footer(ending=Ending.CRASHED, error="died")
    assert np.array_equal(finished.rows, so_far.rows)
    assert len(finished.events) == 1


def test_a_torn_batch_is_left_out_of_a_partial_reading(write, tmp_path):
    whole = write(4 * FLUSH_TICKS).read_bytes()
    torn = tmp_path / "torn.arrow"
    seen = set()
    for share in (0.5, 0.8, 0.95):
        torn.write_bytes(whole[: int(share * len(whole))])
        recording = read_recording(torn, partial=True)
        assert recording.footer.ending is Ending.PARTIAL
        seen.add(len(recording.rows))
        with pytest.raises(RecordingError, match=r"torn\.arrow"):
            read_recording(torn)
    assert max(seen) > min(seen)


def test_nothing_readable_left_is_cleaned_up(tmp_path):
    part_path(tmp_path / "a.arrow").write_bytes(b"half a head")
    assert not finalise_part(tmp_path / "a.arrow", Footer(ending=Ending.CRASHED))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 64, b"ARROW1\x00\x00"])
def test_files_that_are_no_recording_are_refused(tmp_path, content):
    path = tmp_path / "x.arrow"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"x\.arrow: "):
        read_recording(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecordingError, match="no such recording"):
        read_recording(tmp_path / "nowhere.arrow")


def test_somebody_elses_stream_is_refused(tmp_path):
    table = pa.table({"a": [1, 2]})
    with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(RecordingError, match="not a recording of avstack"):
        read_recording(tmp_path / "x.arrow")


def test_a_newer_format_is_named(write, tmp_path):
    path = write(5)
    with pa.ipc.open_stream(path) as reader:
        schema = reader.schema.with_metadata({**reader.schema.metadata, b"avstack.format": str(FORMAT_VERSION + 1).encode()})
    newer = tmp_path / "newer.arrow"
    with pa.OSFile(str(newer), "wb") as sink, pa.ipc.new_stream(sink, schema):
        pass
    with pytest.raises(RecordingError, match="newer than"):
        read_recording(newer)


def test_damage_anywhere_is_an_error_or_harmless(write, tmp_path):
    whole = bytearray(write(60).read_bytes())
    random = np.random.default_rng(3)
    path = tmp_path / "damaged.arrow"
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_recording(path)
        except RecordingError:
            refused += 1
    assert refused > 50
