"""What we read from CommonRoad files is what commonroad-io reads, where that is to be had: see tests/oracles/commonroad_io.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.oracles import commonroad_io

pytestmark = pytest.mark.skipif(
    commonroad_io.PYTHON not in os.environ, reason=f"{commonroad_io.PYTHON} names no Python with commonroad-io"
)


def test_recordings_are_read_alike(data_dir: Path) -> None:
    for file in sorted(data_dir.glob("commonroad/*/*.xml")):
        faults, figures = commonroad_io.compare(file)
        assert not faults, (figures, faults)


def test_a_difference_is_found(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = min(data_dir.glob("commonroad/*/*.xml"), key=lambda path: path.stat().st_size)
    other = commonroad_io.theirs(file)
    next(iter(other["obstacles"].values()))["states"][1][1] += 0.02
    next(iter(other["lanelets"].values()))["centre"][1][1] += 0.02
    monkeypatch.setattr(commonroad_io, "theirs", lambda _: other)
    centrelines, states = commonroad_io.compare(file)[0]
    assert "centrelines" in centrelines
    assert "states" in states
