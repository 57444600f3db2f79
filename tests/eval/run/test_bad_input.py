"""Bad input: exit code 2, one clear line on stderr, nothing on stdout, nothing written."""

import subprocess
import sys
from pathlib import Path

import pygame
import pytest

from scenarios.errors import InputError

SCENE = "four_way_stop"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "four_way_stap"), "four_way_stop"),
        (("run", "nowhere.yaml"), "nowhere.yaml"),
        (("run", "nowhere.xodr"), "nowhere.xodr"),
        (("run", SCENE, "--seeds", "a"), "cannot read seeds 'a'"),
        (("run", SCENE, "--seeds", "5..2"), "backwards"),
        (("run", SCENE, "--seeds", "-1"), "seeds"),
        (("run", SCENE, "--seeds", ""), "seeds"),
        (("run", SCENE, "--seeds", "0..99999999999"), "too many"),
        (("run", SCENE, "--workers", "0"), "workers"),
        (("run", SCENE, "--workers", "two"), "workers"),
        (("run", SCENE, "--time-limit", "0"), "time limit"),
        (("run", SCENE, "--time-limit", "nan"), "time limit"),
        (("run", SCENE, "--time-limit", "soon"), "--time-limit"),
        (("run", SCENE, "--sensing", "sonar"), "Use --sensing state, objects, lidar"),
        (("run", SCENE, "--driver", "rulez"), "Did you mean 'rules'"),
        (("run", SCENE, "--driver", "no/such/file.py:Mine"), "no driver file"),
        (("run", SCENE, "--driver", "no_such_module:Mine"), "no module 'no_such_module'"),
        (("run", SCENE, "--driver", "sim.traffic.rules:RulesDrive"), "RulesDriver"),
        (("run", SCENE, "--set", "duration=5"), "duration_s"),
        (("run", SCENE, "--set", "duration_s"), "key=value"),
        (("run", SCENE, "--set", "duration_s=-5"), "duration_s"),
        (("run", SCENE, "--picture", "p.gif"), "p.gif"),
        (("run", SCENE, "--picture", "."), "'.'"),
        (("run", SCENE, "--driver", "mine.py"), "Give mine.py:Class"),
        (("run", SCENE, "--record", "half"), "half"),
        (("run", SCENE, "--set", "duration_s=abc"), "--set duration_s=abc"),
        (("run", SCENE, "--set", "map.parameters.lane_width=-3"), "--set map.parameters.lane_width=-3"),
        (("run",), "Missing argument"),
        (("run", SCENE, "--nonsense"), "--nonsense"),
        (("map", "nowhere.xodr"), "nowhere.xodr"),
        (("list", "--yaml", "four_way_stap"), "four_way_stop"),
        (("fly",), "fly"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_one_line_and_nothing_written(avstack, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    writes = (
        ()
        if arguments[0] != "run" or len(arguments) < 2 or "--picture" in arguments
        else ("--out", "out", "--picture", "new/p.png")
    )
    done = avstack(*arguments, *writes)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("avstack: ")
    assert words in done.err
    assert done.err.count("\n") == 1, done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Ghost", "has no class 'Ghost'"),
        ("NoStep", "no method step"),
        ("NeedsArgument", "constructor needs arguments"),
        ("StepTakesOne", "step cannot be called"),
        ("not_a_class", "not a class but a int"),
        ("NoWeights", "drivers.py:"),
    ],
)
def test_classes_that_are_no_drivers(avstack, drivers, name, words):
    done = avstack("run", SCENE, "--driver", drivers(name))
    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"), [("def f(:\n", "SyntaxError"), ("import nowhere_at_all\n", "ModuleNotFoundError"), ("\n1 / 0\n", ":2: ")]
)
def test_driver_files_that_do_not_import_name_the_place(avstack, tmp_path, text, words):
    path = tmp_path / "broken.py"
    path.write_text(text)
    done = avstack("run", SCENE, "--driver", f"{path}:Mine")
    assert done.code == 2
    assert "broken.py:" in done.err
    assert words in done.err
    assert done.err.count("\n") == 1


def test_unwritable_outputs_are_found_before_the_run(avstack, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for arguments in (("--out", blocked), ("--out", blocked / "below"), ("--picture", blocked / "p.png")):
        done = avstack("run", SCENE, *arguments)
        assert done.code == 2
        assert "not a folder" in done.err
        assert done.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_scenario_without_ego_takes_no_driver(avstack, tmp_path):
    path = tmp_path / "alone.yaml"
    path.write_text(
        "version: 1\nname: alone\nmap: {builder: four_way, parameters: {control: all_way}}\n"
        "traffic: {users: [{name: a, at: {approach: south}, to: {turn: straight}}]}\n"
    )
    done = avstack("run", path, "--driver", "rules")
    assert done.code == 2
    assert "no ego" in done.err


def test_broken_yaml_names_line_and_column(avstack, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("version: 1\nname: [unclosed\n")
    done = avstack("run", path)
    assert done.code == 2
    assert "broken.yaml:" in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("record", ["scalar", "full"])
def test_a_full_disk_is_one_line_and_leaves_nothing(avstack, tmp_path, record):
    (tmp_path / f"{SCENE}-0.arrow.part").symlink_to("/dev/full")
    done = avstack("run", SCENE, "--set", "duration_s=8", "--record", record, "--out", tmp_path)
    assert done.code == 2
    assert "cannot write the recording: no space left on device" in done.err
    assert f"{SCENE}-0.arrow" in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_nobody_to_take_the_report_is_one_line():
    program = "import sys; from eval.cli import main; main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("avstack: No space left on device")
    assert done.stderr.count("\n") == 1


def test_a_picture_that_cannot_be_written_is_one_line(avstack, tmp_path, monkeypatch):
    def full(*_):
        raise pygame.error("no space")

    monkeypatch.setattr(pygame.image, "save", full)
    done = avstack("run", SCENE, "--set", "duration_s=1", "--picture", tmp_path / "p.png")
    assert done.code == 2
    assert "p.png cannot be written: no space" in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.yaml", b"", "empty.yaml:1:1: the file is empty"),
        ("binary.yaml", bytes(range(256)) * 8, "not a text file"),
        ("huge.yaml", b"# " + b"x" * 20_000_001, "too large"),
        ("version.yaml", b"version: 9\nname: a\nmap: {builder: four_way}\n", "version.yaml:1:10: version: 9 is not one of 1"),
        ("empty.xodr", b"", "the file is empty"),
        ("binary.xodr", bytes(range(256)) * 8, "binary.xodr:1:"),
        ("cut.xodr", b"<?xml version='1.0'?>\n<OpenDRIVE>\n<road", "cut.xodr:3:"),
        ("folder.yaml", None, "is a directory"),
        ("folder.xodr", None, "is a folder"),
    ],
)
def test_files_that_are_none(avstack, tmp_path, name, content, words):
    path = tmp_path / name
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    done = avstack("run", path, "--out", tmp_path / "out", "--picture", tmp_path / "p.png")
    assert done.code == 2
    assert name in done.err
    assert words in done.err
    assert "?." not in done.err
    assert done.err.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_question_keeps_its_mark():
    assert str(InputError("unknown 'a'; did you mean 'b'?", fix="write b")) == "unknown 'a'; did you mean 'b'? Write b"
    assert str(InputError("not there.", file="a.yaml", line=3, fix="check it")) == "a.yaml:3: not there. Check it"
