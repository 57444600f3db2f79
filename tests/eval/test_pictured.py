"""What the stack traces for viewers: percepts, futures, trajectory and coarse grid are where things are in the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.metrics.traced import ego_arrays
from eval.run import Job, run_episode
from sim.interface import COARSE_PLACE, PERCEPT_COLUMNS, TRAJECTORY_COLUMNS
from sim.recording import Recording, read_recording

PLACE = {name: k for k, name in enumerate(PERCEPT_COLUMNS)}


def recorded(folder: Path, sensing: str, seconds: float) -> Recording:
    job = Job(
        target="four_way_chicken", seed=1, driver="joint", sensing=sensing, settings=(f"duration_s={seconds}",), out=folder,
        record="arrays",
    )  # fmt: skip
    result = run_episode(job)
    assert result.recording is not None, result.error
    return read_recording(Path(result.recording))


@pytest.fixture(scope="module")
def dance(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recorded(tmp_path_factory.mktemp("dance"), "state", 14.0)


def at(recording: Recording, tick: int, ego: bool) -> np.ndarray:
    rows = recording.at(tick)
    mine = rows["actor"] == recording.header.ego
    return rows[mine if ego else ~mine]


def test_percepts_are_where_others_are(dance: Recording):
    for tick, things in ego_arrays(dance, "percepts").items():
        others = at(dance, tick, ego=False)
        assert things.shape[1] == len(PERCEPT_COLUMNS)
        for thing in np.asarray(things, float):
            gap = np.hypot(others["x"] - thing[PLACE["x"]], others["y"] - thing[PLACE["y"]])
            assert gap.min() < 0.01, "the state level is exact"
            assert thing[PLACE["var_x"]] >= 0.0
            assert 0.0 <= thing[PLACE["existence"]] <= 1.0


def test_futures_begin_where_everybody_is(dance: Recording):
    shares = ego_arrays(dance, "futures_share")
    found = ego_arrays(dance, "futures")
    assert any(places.shape[1] > 1 for places in found.values()), "others take part"
    for tick, places in found.items():
        if len(places) == 0:
            continue
        ego, rows = at(dance, tick, ego=True)[0], dance.at(tick)
        assert np.allclose(places[:, 0, 0], (ego["x"], ego["y"]), atol=1.0), "on its path, beside which it may be"
        for place in places[0, 1:, 0]:
            assert np.hypot(rows["x"] - place[0], rows["y"] - place[1]).min() < 2.5
        assert len(shares[tick]) == len(places)
        assert 0.0 < shares[tick].sum() <= 1.0 + 1e-5


def test_the_trajectory_is_what_ego_then_drives(dance: Recording):
    missed = []
    track = dance.track(dance.header.ego or 0)
    for tick, planned in ego_arrays(dance, "trajectory").items():
        assert planned.shape[1] == len(TRAJECTORY_COLUMNS)
        later = track[track["tick"] == tick + 5]
        if len(later):
            missed.append(np.hypot(later["x"][0] - planned[1, 1], later["y"][0] - planned[1, 2]))
    assert np.median(missed) < 0.3


def test_the_coarse_grid_is_traced_where_there_are_points(dance: Recording, tmp_path: Path):
    pytest.importorskip("torch")
    assert "coarse" not in dance.arrays
    recording = recorded(tmp_path, "lidar", 1.0)
    grids, places = ego_arrays(recording, "coarse"), ego_arrays(recording, "coarse_place")
    assert grids.keys() == places.keys()
    last = max(grids)
    ego = at(recording, last, ego=True)[0]
    assert len(places[last]) == len(COARSE_PLACE)
    assert np.allclose(places[last][:3], (ego["x"], ego["y"], ego["heading"]), atol=1.0)
    assert grids[last].dtype == np.uint8
    assert 0 <= grids[last].min() <= grids[last].max() <= 100
    assert (grids[last][1] < 50).any(), "something is observed"
