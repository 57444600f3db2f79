"""Tables of tracks: the plain format there and back, and other people's layouts from files made here; what is refused."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest

from eval.export.tracks import TRACK_COLUMNS, write_tracks
from eval.run import Job, prepare, run_episode
from scenarios.errors import InputError
from scenarios.formats import waymo
from scenarios.formats.protobuf import WireError, message
from scenarios.formats.tracks import COLUMNS, read_tracks
from scenarios.maps import ground_of
from scenarios.model import MapSpec
from scenarios.resolve import resolve
from sim.interface import Kind
from sim.recording import read_recording
from sim.roads.lane_map import LaneKind
from sim.scenario import Model
from tests.scenarios.formats import tables


def test_what_is_exported_can_be_brought_back(tmp_path: Path) -> None:
    assert TRACK_COLUMNS == COLUMNS
    (tmp_path / "road.xodr").write_text(tables.ROAD)
    job = Job(target=str(tmp_path / "road.xodr"), seed=1, driver="rules", out=tmp_path, settings=("duration_s=6",))
    result = run_episode(job)
    recording = read_recording(Path(result.recording or ""))
    write_tracks(recording, tmp_path / "road.parquet", "parquet")
    again = run_episode(Job(target=str(tmp_path / "road.parquet"), seed=0, settings=("mode=replay",), out=tmp_path))
    assert again.divergence_m == 0.0
    there = read_recording(Path(again.recording or ""))
    before = recording.track(0)
    names = [actor.name for actor in there.header.actors]
    after = there.track(names.index(recording.header.actors[0].name))
    both = min(len(before), len(after)) - 1
    assert np.allclose(after["x"][:both], before["x"][1 : both + 1], atol=1e-3)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_plain_table_is_three_scenarios(form: str, tmp_path: Path) -> None:
    path = tables.plain(tmp_path) if form == "csv" else tables.parquet(tmp_path, map_file="road.xodr")
    scenario = prepare(Job(target=str(path), seed=0))
    assert scenario.ego == 0
    assert scenario.actors[0].speed == 10.0  # of the first that went furthest
    assert [actor.model for actor in scenario.actors[1:]] == [Model.REPLAY, Model.REPLAY]
    assert {actor.kind for actor in scenario.actors} == {Kind.CAR, Kind.PEDESTRIAN}
    for mode in ("replay", "ego", "reactive"):
        result = run_episode(
            Job(target=str(path), seed=0, driver=None if mode == "replay" else "rules", settings=(f"mode={mode}",))
        )
        assert result.passed, (mode, result.reasons)
    back = prepare(Job(target=f"{path}#back", seed=0))
    origin = back.road_map.origin
    assert back.actors[0].track is not None
    assert back.actors[0].track[0, 1] + origin[0] == pytest.approx(20.0)


def test_who_is_hit_from_behind_is_known_unless_it_may_react(tmp_path: Path) -> None:
    """The table's other car drives on blindly; the ego, told to be the one in front, does half its speed."""
    slow = tmp_path / "slow.py"
    slow.write_text(
        "from sim.interface import Control, DriverStep\n"
        "class Slow:\n    def start(self, road_map, route, spec, seed):\n        return 0\n"
        "    def step(self, frame, memory):\n"
        "        return DriverStep(control=Control(accel=-2.0 if frame.odometry.speed > 3 else 0.0), memory=0)\n"
    )
    target = f"{tables.plain(tmp_path)}#front"
    blind = run_episode(Job(target=target, seed=0, driver=f"{slow}:Slow"))
    assert blind.counts.collisions == 1
    seeing = run_episode(Job(target=target, seed=0, driver=f"{slow}:Slow", settings=("mode=reactive",)))
    assert seeing.counts.collisions == 0
    assert [name for _, name in seeing.reacted or ()] == ["back"]


def test_interaction_tables(tmp_path: Path) -> None:
    recording = read_tracks(tables.interaction(tmp_path))
    car, walker = recording.tracks["1"], recording.tracks["P1"]
    assert (car.kind, walker.kind) == ("car", "pedestrian")
    assert (walker.length, walker.width) == (0.5, 0.6)
    assert car.rows[0].tolist() == [0.0, 30.0, -1.75, 0.0, 10.0]
    assert walker.rows[:, 3] == pytest.approx(np.pi / 2)
    assert run_episode(Job(target=str(tmp_path / "scene.csv"), seed=0, driver="rules")).counts.collisions == 0
    path = tables.interaction(tmp_path, cases=True)
    assert read_tracks(path, "2").tracks["1"].rows[0, 4] == 20.0
    assert read_tracks(path, "2/1").ego == "1"
    with pytest.raises(InputError, match="no case '3'"):
        read_tracks(path, "3")


def test_argoverse_scenarios(tmp_path: Path) -> None:
    path = tables.argoverse(tmp_path)
    recording = read_tracks(path)
    assert (recording.ego, sorted(recording.tracks)) == ("AV", ["5", "6", "AV"])
    assert recording.warnings == ("1 tracks of things that are no road users are left out",)
    road_map = ground_of(MapSpec(file=str(path)), tmp_path).road_map
    assert [road_map.lane_names[k] for k in road_map.lane_successors(road_map.lane("1"))] == ["2"]
    assert road_map.lanes["left"][road_map.lane("1")] == road_map.lane("3")
    assert road_map.lanes["right"][road_map.lane("3")] == -1  # a solid line
    assert len(road_map.crosswalks) == 1
    result = run_episode(Job(target=str(path), seed=0, driver="rules"))
    assert result.passed, result.reasons
    (tmp_path / "log_map_archive_abc.json").write_text('{"lane_segments": {"1": {}}}')
    with pytest.raises(InputError, match="is no map archive: KeyError"):
        recording.draft and recording.draft()


def test_waymo_scenarios(tmp_path: Path) -> None:
    path = tables.tfrecord(tmp_path)
    recording = read_tracks(path)
    assert (recording.name, recording.ego, sorted(recording.tracks)) == ("waymo-first", "11", ["11", "12"])
    assert recording.tracks["12"].rows[[0, -1], 0] == pytest.approx([1.0, 4.9])
    assert recording.tracks["11"].length == pytest.approx(4.6, abs=1e-5)
    assert len(read_tracks(path, "second").tracks["11"].rows) == len(read_tracks(path, "1").tracks["11"].rows) == 40
    road_map = ground_of(MapSpec(file=str(path)), tmp_path).road_map
    kinds = {name: LaneKind(road_map.lanes["kind"][road_map.lane(name)]) for name in ("1", "2", "3")}
    assert kinds == {"1": LaneKind.DRIVING, "2": LaneKind.DRIVING, "3": LaneKind.CYCLE}
    assert road_map.lane_points(0)["speed_limit"][0] == pytest.approx(25 * 0.44704)
    assert [float(phase["duration_s"]) for phase in road_map.phases] == pytest.approx([3.0, 1.0, 3602.0], abs=0.2)
    result = run_episode(Job(target=f"{path}#first", seed=0, settings=("mode=replay",)))
    assert result.divergence_m == 0.0
    with pytest.raises(InputError, match="no scenario 'third'"):
        read_tracks(path, "third")


def test_a_million_points_are_read_and_replayed(tmp_path: Path) -> None:
    times = np.arange(1_000_000) * 1e-5
    body = "\n".join(f"a,car,{t:.5f},{20 + 10 * t:.4f},-1.75,0,10,4.5,1.8" for t in times.tolist())
    (tmp_path / "road.xodr").write_text(tables.ROAD)
    path = tmp_path / "long.csv"
    path.write_text("# map: road.xodr\ntrack_id,kind,time,x,y,heading,speed,length,width\n" + body)
    scenario = prepare(Job(target=str(path), seed=0, settings=("mode=replay",)))
    assert scenario.actors[0].track is not None
    assert len(scenario.actors[0].track) == 1_000_000


ROW = ("a", "car", 0.0, 20.0, -1.75, 0.0, 10.0, 4.5, 1.8)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((*ROW[:3], float("nan"), *ROW[4:]), "row 2: x is nan"),
        ((*ROW[:3], 1e12, *ROW[4:]), "x = 1e\\+12 is not believable"),
        ((*ROW[:6], 999.0, *ROW[7:]), "speed = 999 is not believable"),
        (ROW, "track 'a' has two rows at 0 s"),
        ((ROW[0], "ufo", 0.1, *ROW[3:]), None),
        (("b", "ufo", *ROW[2:]), "kind 'ufo' is unknown"),
        ((*ROW[:3], "east", *ROW[4:]), "column 'x' has no numbers"),
    ],
)
def test_bad_rows_are_named(row: tuple[object, ...], message: str | None, tmp_path: Path) -> None:
    path = tables.plain(tmp_path, [ROW, row])  # type: ignore[list-item]
    if message is None:
        assert read_tracks(path).tracks["a"].kind == "car"
        return
    with pytest.raises(InputError, match=message):
        read_tracks(path)


@pytest.mark.parametrize(
    ("head", "content", "message"),
    [
        ("", None, "has no map"), ("# map: gone.xodr\n", None, "its map 'gone.xodr' does not exist"),
        ("# map: road.xodr\n", "a,b\n1,2\n", "column 'track_id' is missing"), ("", "", "is no table"),
        ("", "\x00\x01", "is missing|is no table"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(head: str, content: str | None, message: str, tmp_path: Path) -> None:
    path = tables.plain(tmp_path, head=head, name="other.csv")
    if content is not None:
        path.write_text(head + content)
    with pytest.raises(InputError, match=message):
        read_tracks(path)


def test_a_small_file_that_unpacks_to_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    from scenarios.formats import tracks

    monkeypatch.setattr(tracks, "UNPACKED_MAX", 1 << 20)
    path = tmp_path / "bomb.parquet"
    zeros = pa.table({name: np.zeros(400_000) for name in COLUMNS})
    pyarrow.parquet.write_table(zeros, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 1 << 17
    with pytest.raises(InputError, match="holds 27 MiB unpacked"):
        read_tracks(path)


def test_no_vehicle_on_lanes_means_nobody_drives(tmp_path: Path) -> None:
    far = [(*row[:3], row[3], 500.0, *row[5:]) for row in tables.rows()]
    assert resolve(str(tables.plain(tmp_path, far))).example.ego is None
    with pytest.raises(InputError, match="no lanes lead along the track of 'back'"):
        resolve(f"{tmp_path / 'tracks.csv'}#back")


def test_damaged_records_give_input_errors_only(tmp_path: Path) -> None:
    original = tables.tfrecord(tmp_path).read_bytes()
    rng = random.Random(5)
    good = 0
    for number in range(300):
        data = bytearray(original)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        path = tmp_path / f"{number}.tfrecord"
        path.write_bytes(data)
        try:
            recording = waymo.read_waymo(path, "")
            assert recording.draft is not None
            good += len(recording.draft().lanes) > 0
        except InputError:
            continue
        except Exception as error:
            error.add_note(f"mutant {number}")
            raise
    assert 30 < good < 290


@pytest.mark.slow
def test_a_minute_of_damaged_messages() -> None:
    original, rng, started = tables.scenario("s"), random.Random(6), time.monotonic()
    while time.monotonic() - started < 60.0:
        data = bytearray(original)
        for _ in range(rng.randrange(1, 10)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            message(bytes(data))
        except WireError:
            continue
