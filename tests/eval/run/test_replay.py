"""Full recordings: any tick replays from the snapshot before it, bit for bit, with everything that drivers traced."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.configuration import configuration
from eval.episode import drive
from eval.replay import replay
from scenarios.errors import InputError
from sim.interface import OBJECT_DTYPE
from sim.recording import TICK_DTYPE, Ending, read_recording
from sim.state import Status

SCENE = "four_way_stop"


def compare(episode, recording, tick):
    """The replayed world's bodies against the rows of that tick, bit for bit."""
    rows = recording.at(tick)
    rows = rows[rows["status"] == Status.ACTIVE]
    bodies = episode.world.state.bodies[0]
    assert np.array_equal(np.flatnonzero(bodies["status"] == Status.ACTIVE), rows["actor"])
    for name in set(TICK_DTYPE.names or ()) & set(bodies.dtype.names or ()):
        assert np.array_equal(bodies[name][rows["actor"]], rows[name]), name


@pytest.fixture
def recorded(avstack, tmp_path):
    def record(*arguments) -> Path:
        avstack("run", SCENE, "--seeds", "7", "--record", "full", "--out", tmp_path / "out", *arguments)
        return tmp_path / "out" / f"{SCENE}-7.arrow"

    return record


def test_any_tick_replays_bit_for_bit(recorded):
    path = recorded("--set", "duration_s=12")
    recording = read_recording(path)
    assert sorted(recording.snapshots) == list(range(0, 120, 10))
    for tick in (0, 9, 40, 57, 119):
        episode = replay(path, tick)
        assert episode.world.tick == tick
        compare(episode, recording, tick)
    drive(episode)
    assert episode.world.trace_hash(0) == recording.footer.trace_hash


def test_points_are_seen_again_and_what_a_faulty_lidar_still_shows(recorded, drivers):
    fault = "faults=[{kind: frozen, start_s: 1.5, duration_s: 2}]"
    lidar = ("--sensing", "lidar", "--set", "lidar.columns=90", "--set", "duration_s=3", "--set", fault)
    path = recorded("--driver", drivers("Idle"), *lidar)
    seen = []
    for tick in (14, 15, 22, 29):
        episode = replay(path, tick)
        points = episode.world.frame(0, episode.scenario.ego or 0).lidar
        assert points is not None
        seen.append(points.tobytes())
    assert len(set(seen)) == 1
    fresh = replay(path, 12).world.frame(0, 0).lidar
    assert fresh is not None
    assert fresh.tobytes() not in seen


def test_what_a_driver_saw_is_seen_again(recorded):
    path = recorded("--set", "duration_s=6")
    first, second = replay(path, 33), replay(path, 33)
    ego = first.scenario.ego or 0
    frames: list[Any] = [episode.world.frame(0, ego) for episode in (first, second)]
    assert frames[0].tick == 33
    assert np.array_equal(frames[0].pose, frames[1].pose)
    for name in OBJECT_DTYPE.names or ():
        assert np.array_equal(frames[0].objects[name], frames[1].objects[name])


def test_a_driver_of_ones_own_gets_its_memory_back(recorded, drivers):
    path = recorded("--driver", drivers("Tracer"), "--set", "duration_s=4")
    recording = read_recording(path)
    episode = replay(path, 25)
    memory: Any = episode.seats[episode.scenario.ego or 0].memory
    assert memory["seen"] == list(range(1, 25))  # it appears in the first tick
    assert memory["map"] is episode.scenario.road_map
    places, futures = recording.arrays["futures"]
    assert [int(value.flat[0]) for value in futures if value.size] == [
        tick for tick, value in zip(recording.rows["tick"][places], futures, strict=True) if value.size
    ]
    assert recording.footer.columns == {"futures": ("<f4", 3), "margin": ("<f8", 0)}
    assert len(recording.traces["margin"][1]) == len(places) == 39


def test_a_crash_replays_up_to_its_cause(recorded, drivers):
    path = recorded("--driver", drivers("Raises"))
    recording = read_recording(path)
    assert recording.footer.ending is Ending.CRASHED
    compare(replay(path, recording.last_tick), recording, recording.last_tick)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("TracesWords", "a trace holds numbers"),
        ("TracesOtherwise", "keeps its dtype and number of dimensions"),
        ("Unpicklable", "cannot be recorded"),
    ],
)
def test_what_cannot_be_recorded_is_the_drivers_fault(avstack, drivers, tmp_path, name, words):
    done = avstack("run", SCENE, "--driver", drivers(name), "--record", "full", "--out", tmp_path, "--json")
    assert done.code == 3
    assert words in done.json["rows"][0]["reasons"][0]
    assert read_recording(tmp_path / f"{SCENE}-0.arrow").footer.ending is Ending.CRASHED


def test_what_cannot_be_replayed_says_why(avstack, recorded, drivers, tmp_path):
    path = recorded("--driver", drivers("Idle"), "--set", "duration_s=2")
    with pytest.raises(InputError, match="it has ticks 0 to 20"):
        replay(path, 21)
    source = Path(drivers("Idle").rpartition(":")[0])
    source.write_text(source.read_text() + "\n")
    configuration.cache_clear()  # a process reads a file once
    with pytest.raises(InputError, match="the driver's code has changed"):
        replay(path, 3)
    avstack("run", SCENE, "--set", "duration_s=2", "--out", tmp_path / "scalar")
    with pytest.raises(InputError, match="use --record full"):
        replay(tmp_path / "scalar" / f"{SCENE}-0.arrow", 3)


def test_a_full_recording_leaves_the_episode_as_it_is(avstack, recorded, tmp_path):
    full = read_recording(recorded("--set", "duration_s=5"))
    avstack("run", SCENE, "--seeds", "7", "--set", "duration_s=5", "--out", tmp_path / "scalar")
    scalar = read_recording(tmp_path / "scalar" / f"{SCENE}-7.arrow")
    assert np.array_equal(full.rows, scalar.rows)
    assert full.footer.trace_hash == scalar.footer.trace_hash
    assert not scalar.snapshots
