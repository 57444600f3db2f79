"""The story of a chicken dance: told from a recording, and refused where there is none to tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.cli import execute
from eval.run import Job, run_episode


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dance")
    job = Job(target="four_way_chicken", seed=6, driver="joint", sensing="state", out=folder, record="arrays")
    return Path(run_episode(job).recording or "")


def test_a_dance_is_told_in_words_and_pictures(recorded: Path, tmp_path: Path):
    out = tmp_path / "dance.md"
    assert execute(["story", str(recorded), "--out", str(out)]) == 0
    text = out.read_text()
    assert (tmp_path / "dance.png").stat().st_size > 20_000
    assert "![four_way_chicken, seed 6](dance.png)" in text
    table = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert {line.split(" | ")[0].strip("| ") for line in table} == {"ego", "A", "B", "C"}
    arrivals = [float(line.split(" | ")[3]) for line in table]
    assert arrivals == sorted(arrivals)
    beats = [line for line in text.splitlines() if line.startswith("- **")]
    times = [float(line.removeprefix("- **").split(" s")[0]) for line in beats]
    assert times == sorted(times)
    assert any("Goes before ego: " in line for line in beats)
    assert sum("(picture " in line for line in beats) >= 2
    assert "Collisions: 0." in text


@pytest.mark.parametrize(
    ("target", "driver", "record", "message"),
    [
        ("four_way_chicken", "rules", "arrays", "traced no decisions"),
        ("four_way_chicken", "joint", "scalar", "traced no decisions"),
        ("merge", "joint", "arrays", "no all-way stop"),
    ],
)
def test_without_a_dance_or_beliefs_there_is_no_story(
    target: str, driver: str, record: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    job = Job(target=target, seed=0, driver=driver, sensing="state", settings=("duration_s=2",), out=tmp_path, record=record)
    recording = run_episode(job).recording
    assert execute(["story", str(recording), "--out", str(tmp_path / "s.md")]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_no_recording_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert execute(["story", str(tmp_path / "none.arrow"), "--out", str(tmp_path / "s.md")]) == 2
    assert "none.arrow" in capsys.readouterr().err
