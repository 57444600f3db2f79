"""`avstack run`: verdicts, exit codes, recordings, pictures, JSON; the same for any number of workers."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pygame
import pytest

from sim.recording import Ending, read_recording

SCENE = "four_way_stop"
SHORT = ("--set", "duration_s=4")


def test_a_pass_is_zero_and_leaves_a_recording_and_a_picture(avstack, tmp_path):
    picture = tmp_path / "pictures" / "p.png"
    done = avstack("run", SCENE, "--seeds", "0", "--out", tmp_path / "out", "--picture", picture)
    assert done.code == 0, done.out + done.err
    assert "1 of 1 passed" in done.out
    recording = read_recording(tmp_path / "out" / f"{SCENE}-0.arrow")
    assert recording.footer.ending is Ending.PASSED
    assert recording.footer.trace_hash
    assert recording.header.ego is not None
    ego = recording.track(recording.header.ego)
    assert np.hypot(ego["x"][-1] - ego["x"][0], ego["y"][-1] - ego["y"][0]) > 20.0
    assert pygame.image.load(str(picture)).get_width() > 1000
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{SCENE}-0.arrow"]


def test_json_contract(avstack):
    report = avstack("run", SCENE, "--seeds", "3,5", *SHORT, "--json").json
    for name in ("episodes", "completed", "collisions", "at_fault", "traffic_collisions", "deadlocks", "offroad", "timeouts"):
        assert isinstance(report[name], int), name
    assert report["mean_time_s"] is None  # nobody completes in four seconds
    assert report["episodes"] == 2
    assert report["timeouts"] == 2
    assert [row["seed"] for row in report["rows"]] == [3, 5]
    assert all(len(row["trace_hash"]) == 32 for row in report["rows"])
    assert report["rows"][0]["trace_hash"] != report["rows"][1]["trace_hash"]
    assert all(
        report[name] == sum(row[name] for row in report["rows"]) for name in ("collisions", "traffic_collisions", "offroad")
    )


def test_too_short_a_duration_is_a_failed_criterion(avstack):
    done = avstack("run", SCENE, *SHORT)
    assert done.code == 1
    assert "goal not reached" in done.out


def test_standing_still_is_a_failed_criterion(avstack, drivers):
    done = avstack("run", SCENE, "--driver", drivers("Parked"), *SHORT, "--json")
    assert done.code == 1
    assert done.json["rows"][0]["mean_speed"] < 6.0


def test_a_driver_that_raises_is_three_and_keeps_its_recording(avstack, drivers, tmp_path):
    done = avstack("run", SCENE, "--driver", drivers("Raises"), "--out", tmp_path / "out", "--json")
    assert done.code == 3
    row = done.json["rows"][0]
    assert row["ending"] == "crashed"
    assert "KeyError: 'lost my way'" in row["reasons"][0]
    assert "drivers.py:" in row["reasons"][0]
    recording = read_recording(tmp_path / "out" / f"{SCENE}-0.arrow")
    assert recording.footer.ending is Ending.CRASHED
    assert "lost my way" in recording.footer.error
    assert recording.last_tick >= 12


@pytest.mark.parametrize(
    ("name", "words"),
    [("Exits", "SystemExit"), ("Nan", "finite"), ("Wrong", "instead of a DriverStep")],
)
def test_other_ways_to_crash(avstack, drivers, name, words):
    done = avstack("run", SCENE, "--driver", drivers(name), *SHORT, "--json")
    assert done.code == 3
    assert words in done.json["rows"][0]["reasons"][0]


def test_at_the_lidar_level_ego_gets_points_and_a_driver_that_needs_objects_says_so(avstack, drivers):
    lidar = ("--sensing", "lidar", "--set", "lidar.columns=90", "--set", "duration_s=1", "--json")
    done = avstack("run", SCENE, "--driver", drivers("Idle"), *lidar)
    assert done.code == 1  # no goal within a second
    done = avstack("run", SCENE, "--driver", "rules", *lidar)
    assert done.code == 3
    assert "needs an object list: sense at the state or objects level" in done.json["rows"][0]["reasons"][0]


def test_a_crash_is_drawn_too(avstack, drivers, tmp_path):
    done = avstack("run", SCENE, "--driver", drivers("Raises"), "--picture", tmp_path / "p.png")
    assert done.code == 3
    assert (tmp_path / "p.png").stat().st_size > 10_000


def test_a_driver_that_hangs_is_four_and_keeps_its_recording(avstack, drivers, tmp_path):
    done = avstack("run", SCENE, "--driver", drivers("Hangs"), "--time-limit", "1.0", "--out", tmp_path / "out", "--json")
    assert done.code == 4
    assert done.json["rows"][0]["ending"] == "time_limit"
    recording = read_recording(tmp_path / "out" / f"{SCENE}-0.arrow")
    assert recording.footer.ending is Ending.TIME_LIMIT
    assert recording.last_tick >= 7


def test_the_gravest_end_decides(avstack, drivers):
    # Seed by seed the same driver; one crash among failures is a crash.
    done = avstack("run", SCENE, "--driver", drivers("Raises"), "--seeds", "0,1", "--set", "duration_s=1.0", "--json")
    assert done.code == 1
    assert {row["ending"] for row in done.json["rows"]} == {"failed"}


def test_workers_change_nothing(avstack, tmp_path):
    one = avstack("run", SCENE, "--seeds", "0..2", *SHORT, "--workers", "1", "--json", "--out", tmp_path / "one")
    two = avstack("run", SCENE, "--seeds", "0..2", *SHORT, "--workers", "2", "--json", "--out", tmp_path / "two")
    for a, b in zip(one.json["rows"], two.json["rows"], strict=True):
        assert {**a, "recording": None} == {**b, "recording": None}
    for seed in range(3):
        a, b = (read_recording(tmp_path / folder / f"{SCENE}-{seed}.arrow") for folder in ("one", "two"))
        assert np.array_equal(a.rows, b.rows)


def test_a_worker_that_dies_is_reported_with_its_seed(avstack, drivers, tmp_path):
    done = avstack(
        "run", SCENE, "--driver", drivers("Dies"), "--seeds", "4,9", "--workers", "2", "--out", tmp_path / "out", "--json"
    )
    assert done.code == 3
    assert [row["reasons"][0] for row in done.json["rows"]] == [
        f"seed {seed}: its process died (signal SIGKILL)" for seed in (4, 9)
    ]
    recording = read_recording(tmp_path / "out" / f"{SCENE}-4.arrow")
    assert recording.footer.ending is Ending.CRASHED
    assert recording.last_tick >= 40
    assert not list((tmp_path / "out").glob("*.part"))


def test_settings_reach_the_scenario(avstack, tmp_path):
    avstack("run", SCENE, *SHORT, "--out", tmp_path)
    header = read_recording(tmp_path / f"{SCENE}-0.arrow").header
    assert header.duration_s == 4.0
    assert header.config["settings"] == "duration_s=4"


def test_the_table_gives_intervals_for_several_episodes(avstack):
    done = avstack("run", SCENE, "--seeds", "0,1", *SHORT)
    assert "Clopper-Pearson" in done.out
    assert "84.19 %" in done.out  # upper end of 0 of 2


def test_list_and_schema(avstack):
    listed = avstack("list", "--json").json["scenarios"]
    assert SCENE in {row["name"] for row in listed}
    assert SCENE in avstack("list").out
    assert "map:" in avstack("list", "--yaml", SCENE).out
    assert json.loads(avstack("schema").out)["type"] == "object"


def test_a_listed_yaml_runs_as_it_is(avstack, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(avstack("list", "--yaml", SCENE).out)
    own, original = (avstack("run", target, *SHORT, "--json").json["rows"][0]["trace_hash"] for target in (path, SCENE))
    assert own == original


def test_version_and_help(avstack):
    assert avstack("--version").out.startswith("avstack ")
    assert "Exit code" in avstack("run", "--help").out


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_keeps_what_is_finished(tmp_path, workers):
    out = tmp_path / "out"
    # a test runner in a shell's background hands an ignored Ctrl-C on to its children
    heeding = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; from eval.cli import execute; sys.exit(execute(sys.argv[1:]))"
    arguments = ["run", SCENE, "--seeds", "0..100000", *SHORT, "--workers", workers, "--out", str(out), "--json"]
    run = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while run.poll() is None and len(list(out.glob("*.arrow"))) < 3:
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        printed, said = run.communicate(timeout=300.0)
    finally:
        run.kill()
        run.communicate()
    assert run.returncode == 130, said
    assert "interrupted after" in said
    report = json.loads(printed)
    assert report["episodes"] >= 2
    assert not list(out.glob("*.part"))
    for row in report["rows"]:
        assert read_recording(Path(row["recording"])).footer.trace_hash == row["trace_hash"]
