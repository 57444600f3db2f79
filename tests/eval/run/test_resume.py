"""Interrupted suites: what is finished is not run again, whatever ended the first run, and configurations never mix."""

import os
import signal
import subprocess
import sys
import time

import pytest

from eval.configuration import configuration, differences
from sim.recording import Ending, read_recording

SCENE = "four_way_stop"
SHORT = ("--set", "duration_s=2")


def times(folder):
    """Modification time of each recording by name."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.arrow")}


def test_finished_episodes_are_not_run_again(avstack, tmp_path):
    whole = avstack("run", SCENE, "--seeds", "0..3", *SHORT, "--json", "--out", tmp_path / "whole").json
    out = tmp_path / "out"
    avstack("run", SCENE, "--seeds", "1,3", *SHORT, "--out", out)
    before = times(out)
    resumed = avstack("run", SCENE, "--seeds", "0..3", *SHORT, "--json", "--out", out)
    assert resumed.code == 1
    assert "2 of 4 episodes are in" in resumed.err
    assert {name: at for name, at in times(out).items() if name in before} == before
    assert [row | {"recording": None} for row in resumed.json["rows"]] == [row | {"recording": None} for row in whole["rows"]]
    assert resumed.json["resumed"] == 2
    again = avstack("run", SCENE, "--seeds", "0..3", *SHORT, "--json", "--out", out, "--picture", tmp_path / "p.png")
    assert again.json["rows"] == resumed.json["rows"]
    assert again.json["resumed"] == 4
    assert (tmp_path / "p.png").exists()


def test_a_crash_of_the_driver_is_finished_too(avstack, drivers, tmp_path):
    rows = [
        avstack("run", SCENE, "--driver", drivers("Raises"), *SHORT, "--out", tmp_path / "out", "--json").json["rows"]
        for _ in range(2)
    ]
    assert rows[0] == rows[1]
    assert rows[0][0]["ending"] == "crashed"


def test_lost_and_unfinished_episodes_run_again(avstack, drivers, tmp_path):
    out = tmp_path / "out"
    arguments = ("run", SCENE, "--driver", drivers("Hangs"), "--time-limit", "0.5", *SHORT, "--out", out, "--json")
    assert avstack(*arguments).json["rows"][0]["ending"] == "time_limit"
    assert avstack(*arguments).json["resumed"] == 0
    path = out / f"{SCENE}-0.arrow"
    path.write_bytes(path.read_bytes()[:5000])
    assert avstack(*arguments).json["resumed"] == 0
    assert read_recording(path).footer.ending is Ending.TIME_LIMIT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--set", "duration_s=3"), "the scenario or a file that it names has changed"),
        ((*SHORT, "--driver", "rules"), "driver of the scenario there, rules here"),
        ((*SHORT, "--record", "full"), "record scalar there, full here"),
    ],
)
def test_another_configuration_is_refused(avstack, tmp_path, change, words):
    avstack("run", SCENE, *SHORT, "--out", tmp_path)
    before = times(tmp_path)
    done = avstack("run", SCENE, "--seeds", "5", *change, "--out", tmp_path)
    assert done.code == 2
    assert f"{SCENE}-0.arrow" in done.err
    assert words in done.err
    assert done.err.count("\n") == 1
    assert times(tmp_path) == before


def test_overwrite_replaces_what_is_there(avstack, tmp_path):
    avstack("run", SCENE, "--seeds", "0,1", *SHORT, "--out", tmp_path)
    (tmp_path / "other-1.arrow").write_bytes(b"not ours")
    done = avstack("run", SCENE, "--seeds", "1", "--set", "duration_s=3", "--out", tmp_path, "--overwrite", "--json")
    assert done.json["rows"][0]["time_s"] == 3.0
    assert set(times(tmp_path)) == {f"{SCENE}-1.arrow", "other-1.arrow"}


def test_what_a_scenario_names_counts_by_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("A = 1\n")
    scene = tmp_path / "scene.yaml"
    scene.write_text(
        "version: 1\nname: scene\nmap: {builder: four_way}\n"
        "ego: {at: {approach: south}, to: {turn: straight}, driver: 'mine.py:A'}\n"
    )

    def now(target="scene.yaml"):
        configuration.cache_clear()
        return configuration(target, (), None, "state", "scalar")

    first = now()
    assert differences(first, now(str(scene))) == ""
    (tmp_path / "mine.py").write_text("A = 2\n")
    assert differences(first, now()) == "the driver's code has changed"
    scene.write_text(scene.read_text() + "duration_s: 5\n")
    assert "the scenario" in differences(first, now())


def test_a_killed_run_loses_no_finished_episode(tmp_path):
    out = tmp_path / "out"
    program = "import sys; from eval.cli import execute; sys.exit(execute(sys.argv[1:]))"
    arguments = [sys.executable, "-c", program, "run", SCENE, "--seeds", "0..100000", *SHORT, "--workers", "1", "--out", str(out)]
    for wanted in (2, 4):
        run = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            until = time.monotonic() + 120.0
            while run.poll() is None and len(times(out)) < wanted and time.monotonic() < until:
                time.sleep(0.02)
        finally:
            os.kill(run.pid, signal.SIGKILL)
            run.communicate()
        finished = times(out)
        assert len(finished) >= wanted
        for name in finished:
            assert read_recording(out / name).footer.outcome
    assert {name: at for name, at in times(out).items() if name in finished} == finished
