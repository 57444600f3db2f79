"""The tracking bench on a few scenes: consistent, with both controls found out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from avstack.perception.filter import TrackingConfig
from eval.bench.tracking import figures_of, format_figures, match, run_scenes, share_inside
from sim.sensors.errors import ObjectErrors

FAMILIES, SEEDS = ("four_way_chicken", "roundabout"), range(2)


def test_the_tracker_believes_of_its_sensor_what_is_so():
    config, errors = TrackingConfig(), ObjectErrors()
    for name in (
        "share",
        "position_time",
        "heading_time",
        "velocity_time",
        "size_time",
        "light_reach",
        "wave_reach",
        "score_prior",
    ):
        assert getattr(config, name) == getattr(errors, name), name


def test_traffic_is_tracked_consistently():
    tally = run_scenes(FAMILIES, SEEDS, TrackingConfig())
    figures = figures_of(tally)
    assert len(tally.nees) > 500
    # few scenes, and errors last for seconds: wider than the 93-97 % that the bench must show
    assert 0.88 <= share_inside(tally.nees) <= 0.99
    assert 0.92 <= share_inside(tally.nis) <= 0.98
    assert json.loads(json.dumps(figures)) == figures
    assert "nees_inside" in format_figures(figures)


@pytest.mark.parametrize("control", ["sigma halved", "white"])
def test_overconfidence_is_found_out(control):
    factor, share = (0.5, 0.7) if control == "sigma halved" else (1.0, 0.0)
    tally = run_scenes(FAMILIES, SEEDS, replace(TrackingConfig(), share=share), sigma_factor=factor)
    assert share_inside(tally.nees) < 0.75


def test_matching_takes_the_nearest_first_and_each_once():
    gaps = np.array([[0.5, 0.1, 9.0], [0.2, 0.3, 9.0], [9.0, 9.0, 2.5]])
    assert match(gaps) == [(0, 1), (1, 0)]
    assert match(np.zeros((0, 3))) == []
