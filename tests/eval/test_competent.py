"""UN R157's competent driver: it needs its time, brakes as hard as the regulation says and no earlier, and cannot avoid all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.competent import BRAKE, BRAKE_JERK, PERCEIVE_S, REACT_S
from eval.run import Job, run_episode
from sim.recording import read_recording
from tests.scenarios.storyboard import osc


def cut_in(folder: Path, gap: float, speed: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Ego's and the other's rows when somebody comes in at 2 s, `gap` [m] ahead of ego's 13 m/s then, and how often they met."""
    ahead = 10.0 + gap + 5.0 + 2.0 * (13.0 - speed)
    change = osc.lane_change('<AbsoluteTargetLane value="-2"/>', "sinusoidal", "rate", 2.0)
    text = osc.document(
        osc.story(osc.event("e", change, osc.at_time(2.0))), ego_speed=13.0,
        other=osc.teleport(osc.lane_position(-1, ahead)) + osc.speed(speed),
        stop=osc.trigger(osc.at_time(9.0), tag="StopTrigger"),
    )  # fmt: skip
    result = run_episode(Job(target=str(osc.write(folder, text)), seed=0, driver="competent", out=folder))
    recording = read_recording(Path(result.recording or ""))
    return recording.track(0), recording.track(1), result.counts.collisions


def test_it_brakes_as_the_regulation_says(tmp_path: Path) -> None:
    ego, other, collisions = cut_in(tmp_path, 22.0, 5.0)
    assert collisions == 0
    left = float(other["tick"][np.flatnonzero(np.abs(other["y"] - other["y"][0]) > 0.375)[0]]) * 0.1
    brakes = float(ego["tick"][np.flatnonzero(ego["accel"] < -0.3)[0]]) * 0.1
    assert brakes == pytest.approx(left + PERCEIVE_S + REACT_S, abs=0.35)
    assert ego["accel"].min() == pytest.approx(-BRAKE, abs=0.6)
    assert np.diff(ego["accel"]).min() / 0.1 > -1.1 * BRAKE_JERK


def test_what_is_too_near_it_cannot_avoid(tmp_path: Path) -> None:
    assert [cut_in(tmp_path, gap, 5.0)[2] for gap in (8.0, 40.0)] == [1, 0]


def test_it_follows_and_stops_with_comfort(tmp_path: Path) -> None:
    """Somebody stands far ahead: no emergency."""
    text = osc.document(
        other=osc.teleport(osc.lane_position(-2, 260.0)), ego_speed=13.0, stop=osc.trigger(osc.at_time(30.0), tag="StopTrigger")
    )
    result = run_episode(Job(target=str(osc.write(tmp_path, text)), seed=0, driver="competent", out=tmp_path))
    ego = read_recording(Path(result.recording or "")).track(0)
    assert result.counts.collisions == 0
    assert ego["accel"].min() > -3.3
    assert ego["speed"][-1] < 0.5
