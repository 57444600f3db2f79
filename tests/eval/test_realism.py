"""Realism of traffic: the record is the most likely, moving at random the least; features in closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval.realism import TTC_MOST, WEIGHTS, Motion, Setting, features, realism, score, simulate
from scenarios.errors import InputError
from sim.interface import TICK_S, Floats
from tests.scenarios.formats import tables


def driving(folder: Path) -> Path:
    """A queue that slows down behind somebody and goes on, with the noise that trackers have."""
    rng = np.random.default_rng(2)
    rows: list[tables.Row] = []
    for car in range(4):
        s, v = 140.0 - 25.0 * car, 10.0
        for k in range(100):
            v = max(v + TICK_S * (-1.5 if 20 + 8 * car < k < 45 + 8 * car else 1.0 if v < 10.0 else 0.0), 0.0)
            s += TICK_S * v
            rows.append((f"c{car}", "car", round(0.1 * k, 1), s, -1.75 + 0.02 * rng.normal(), 0.0, v, 4.5, 1.8))
    return tables.plain(folder, rows)


def test_the_record_is_most_likely_then_traffic_then_the_rest(tmp_path: Path) -> None:
    found = realism(str(driving(tmp_path)), rollouts=6, start_s=1.0, horizon_s=6.0)
    scores = {name: one["realism"] for name, one in found.items()}
    assert scores["record"] > scores["traffic"] > scores["random"]
    assert found["traffic"]["speed"] > found["constant velocity"]["speed"]
    assert all(0.0 <= value <= 1.0 for one in found.values() for value in one.values())
    assert sum(WEIGHTS.values()) == pytest.approx(0.95)  # without the lights


def setting(folder: Path, poses: Floats) -> Setting:
    """Road users at poses (A, T, 3) on the straight road."""
    real, _ = simulate(str(driving(folder)), 2, 1.0, 2.0)
    poses = poses - [*real.road_map.origin, 0.0]
    there = np.ones((1, *poses.shape[:2]), bool)
    sizes = np.tile([4.0, 2.0], (len(poses), 1))
    judged = np.ones(len(poses), bool)
    return Setting(
        names=tuple("abc"[: len(poses)]), sizes=sizes, judged=judged, road_map=real.road_map, record=Motion(poses[None], there)
    )


def line(x: float, y: float, speed: float, steps: int = 20) -> Floats:
    way = np.zeros((steps, 3))
    way[:, 0], way[:, 1] = x + speed * TICK_S * np.arange(steps), y
    return way


def test_features_in_closed_form(tmp_path: Path) -> None:
    one = setting(tmp_path, np.stack([line(0.0, -1.75, 10.0), line(24.0, -1.75, 5.0), line(0.0, -5.25, 0.0)]))
    found = features(one, one.record)
    speed, valid = found["speed"]
    assert speed[0, 0][valid[0, 0]] == pytest.approx(10.0)
    assert found["acceleration"][0][0, 0] == pytest.approx(0.0, abs=1e-9)
    assert found["distance to nearest"][0][0, 0, 0] == pytest.approx(1.5)  # to who stands beside it
    assert found["distance to nearest"][0][0, 1, 0] == pytest.approx(20.0)
    assert found["time to collision"][0][0, 0, 0] == pytest.approx(4.0, abs=0.01)
    assert found["time to collision"][0][0, 1, 0] == TTC_MOST
    assert found["collision"][0][0, :, 0].tolist() == [0.0, 0.0, 0.0]
    assert found["off road"][0][0, :, 0].tolist() == [0.0, 0.0, 0.0]
    assert found["distance to road edge"][0][0, 0, 0] == pytest.approx(-1.75, abs=0.1)


def test_bad_rollouts_are_told_apart(tmp_path: Path) -> None:
    """Through each other, off the road: each costs what it is about."""
    one = setting(tmp_path, np.stack([line(0.0, -1.75, 10.0), line(40.0, -1.75, 10.0)]))
    good = score(one, one.record)
    through = score(one, Motion(np.stack([np.stack([line(0.0, -1.75, 35.0), line(40.0, -1.75, 10.0)])]), one.record.there))
    off = score(one, Motion(np.stack([np.stack([line(0.0, 6.0, 10.0), line(40.0, -1.75, 10.0)])]), one.record.there))
    assert through["collision"] < 0.1 < good["collision"]
    assert off["off road"] < 0.1 < good["off road"]
    assert good["realism"] > max(through["realism"], off["realism"])
    order = Motion(one.record.poses[:, ::-1], one.record.there[:, ::-1])
    turned = Setting(
        names=one.names[::-1], sizes=one.sizes[::-1], judged=one.judged[::-1], road_map=one.road_map, record=order
    )  # fmt: skip
    assert score(turned, order) == good


def test_nobody_to_judge_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nobody recorded at 50 s"):
        realism(str(driving(tmp_path)), rollouts=2, start_s=50.0, horizon_s=2.0)
