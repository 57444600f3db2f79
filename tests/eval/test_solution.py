"""Our drive as a CommonRoad solution: the states of the drive, in the file's coordinates, that the model can follow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.run import Job, run_episode
from eval.solution import write_solution
from scenarios.errors import InputError
from scenarios.formats.xml import read_xml
from tests.scenarios.formats import cr

WHEELBASE, AHEAD = 2.5789, 1.4227  # m, of CommonRoad's vehicle 2: axles apart, position ahead of the rear axle


def drive(folder: Path, step: float = 0.1) -> Path:
    start = cr.state("initialState", 0, -40.0, 0.2, 0.1, 6.0)
    text = cr.crossroads(cr.problem(70, start, steps=(60, 60)))
    file = folder / "ZAM_Test-1_1_T-1.xml"
    file.write_text(text.replace('timeStepSize="0.1"', f'timeStepSize="{step}"'))
    result = run_episode(Job(target=str(file), seed=0, driver="rules", out=folder))
    assert result.recording is not None
    return Path(result.recording)


def test_a_solution_holds_the_drive(tmp_path: Path) -> None:
    out = tmp_path / "solution.xml"
    write_solution(drive(tmp_path), out)
    root = read_xml(out, root="CommonRoadSolution")
    assert root.text("benchmark_id") == "KS2:SA1:ZAM_Test-1_1_T-1:2020a"
    trajectory = root.need("ksTrajectory")
    assert trajectory.text("planningProblem") == "70"
    rows = np.array([[float(value.body) for value in state.children] for state in trajectory.all("ksState")])
    x, y, steer, speed, heading, step = rows.T
    assert step.tolist() == list(range(61))
    assert (x[0], y[0], speed[0], heading[0]) == pytest.approx((-40.0, 0.2, 6.0, 0.1), abs=1e-6)
    # Kinematic single-track model: heading by steering angle and speed, the rear axle along the heading; the simulator's substeps
    # steer a quarter of a tick earlier than the trapezoidal rule.
    turned = 0.05 * (speed[1:] * np.tan(steer[1:]) + speed[:-1] * np.tan(steer[:-1])) / WHEELBASE
    assert np.abs(np.diff(heading) - turned).max() < 4e-3
    axle = np.stack([x - AHEAD * np.cos(heading), y - AHEAD * np.sin(heading)], axis=1)
    middle = 0.5 * (heading[1:] + heading[:-1])
    sideways = np.diff(axle[:, 1]) * np.cos(middle) - np.diff(axle[:, 0]) * np.sin(middle)
    assert np.abs(sideways).max() < 2e-3


def test_steps_that_are_no_ticks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whole number of ticks"):
        write_solution(drive(tmp_path, step=0.04), tmp_path / "solution.xml")


def test_other_drives_are_refused(tmp_path: Path) -> None:
    result = run_episode(Job(target="four_way_stop", seed=0, settings=("duration_s=1",), out=tmp_path))
    with pytest.raises(InputError, match="not of a CommonRoad"):
        write_solution(Path(result.recording or ""), tmp_path / "solution.xml")
