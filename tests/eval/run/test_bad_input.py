"""Bad input: exit code 2, one clear line on stderr, nothing on stdout, nothing written."""

from pathlib import Path

import pytest

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
        (("run", SCENE, "--sensing", "lidar"), "Only 'state' is available"),
        (("run", SCENE, "--sensing", "objects"), "Only 'state' is available"),
        (("run", SCENE, "--sensing", "sonar"), "unknown"),
        (("run", SCENE, "--driver", "rulez"), "Did you mean 'rules'"),
        (("run", SCENE, "--driver", "no/such/file.py:Mine"), "no driver file"),
        (("run", SCENE, "--driver", "no_such_module:Mine"), "no module 'no_such_module'"),
        (("run", SCENE, "--driver", "sim.traffic.rules:RulesDrive"), "RulesDriver"),
        (("run", SCENE, "--set", "duration=5"), "duration_s"),
        (("run", SCENE, "--set", "duration_s"), "key=value"),
        (("run", SCENE, "--set", "duration_s=-5"), "duration_s"),
        (("run", SCENE, "--picture", "p.gif"), "p.gif"),
        (("run", SCENE, "--picture", "."), "'.'"),
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
