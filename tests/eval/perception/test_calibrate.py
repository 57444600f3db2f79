"""Calibrators: they find what was put in, and a bound that cannot be kept is not claimed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from avstack.perception.calibration import Calibration
from avstack.perception.classes import Class
from eval.perception.assess import assess, judge
from eval.perception.calibrate import coarse_threshold, fit, logistic, monotone, thresholds_without
from sim.sensors.things import THING_NAMES
from tests.eval.perception.invented import invented


def test_over_confidence_and_too_small_variances_are_mended():
    calibration = fit(invented(bold=3.0))
    figures = assess(judge(invented(bold=3.0, seed=1), calibration))
    assert figures["d_ece"] < figures["d_ece_floor"] + 0.02
    assert figures["coverage90"]["x"] == pytest.approx(0.9, abs=0.03)
    assert figures["coverage50"]["width"] == pytest.approx(0.5, abs=0.04)
    assert figures["nees_in_band"] == pytest.approx(0.95, abs=0.03)


def test_without_calibration_the_same_figures_are_bad():
    figures = assess(judge(invented(bold=3.0, seed=1), Calibration()))
    assert figures["d_ece"] > figures["d_ece_floor"] + 0.05
    assert figures["coverage90"]["x"] < 0.7
    assert figures["nees_in_band"] < 0.8


def test_a_threshold_keeps_its_bound_where_it_can():
    assert coarse_threshold(invented()) == pytest.approx(0.5, abs=0.06)
    figures = assess(judge(invented(seed=1), fit(invented())))
    assert figures["coarse_miss_high"] < 0.02
    # two in a hundred are missed whatever the threshold: the most careful one is all there is
    assert coarse_threshold(invented(missed=0.02)) == pytest.approx(0.02)
    assert assess(judge(invented(missed=0.02, seed=1), fit(invented())))["coarse_miss"] == pytest.approx(0.02, abs=0.01)


def test_a_threshold_chosen_without_a_kind_does_not_heed_it():
    frames = invented()
    cones = np.arange(len(frames.boxes)) % 6 == 5
    frames.boxes["thing"][cones] = THING_NAMES.index("cone")
    frames.around[cones] = 0.2
    found = thresholds_without(frames)
    assert coarse_threshold(frames) == pytest.approx(0.2)
    assert found == {"car": pytest.approx(0.2), "cone": pytest.approx(0.5, abs=0.06)}
    figures = assess(judge(frames, fit(frames)), found)
    assert figures["left_out"]["cone"]["missed"] == figures["left_out"]["cone"]["things"]
    assert (figures["left_out_worst"], figures["left_out_worst_miss"]) == ("cone", 1.0)


def test_what_may_be_of_two_classes_counts_under_both():
    frames = invented()
    trucks = np.arange(len(frames.boxes)) % 3 == 2
    frames.boxes["label"][trucks] = Class.TRUCK
    found = frames.candidates
    found["mean"][:, :2] = np.stack([frames.boxes["x"], frames.boxes["y"]], axis=1)
    # trucks are taken for cars, but not so surely as cars are
    found["heat"][:, Class.VEHICLE] = np.where(trucks, 0.5, 0.9)
    found["heat"][:, Class.TRUCK] = np.where(trucks, 0.4, 0.05)
    figures = assess(judge(frames, Calibration()))
    assert figures["map"] == pytest.approx(1.0, abs=0.01)
    assert figures["map_best"] < 0.6


def test_a_monotone_map_rises_and_finds_the_shares():
    random = np.random.default_rng(0)
    raw = random.random(20000)
    outcome = (random.random(20000) < raw**2).astype(float)
    knots, to = monotone(raw, outcome)
    assert (np.diff(knots) >= 0.0).all()
    assert (np.diff(to) >= 0.0).all()
    assert np.interp(0.5, knots, to) == pytest.approx(0.25, abs=0.04)


def test_a_logistic_regression_finds_its_weights():
    random = np.random.default_rng(0)
    features = np.stack([np.ones(40000), random.standard_normal(40000)], axis=1)
    outcome = (random.random(40000) < 1.0 / (1.0 + np.exp(-(0.5 + 2.0 * features[:, 1])))).astype(float)
    assert logistic(features, outcome) == pytest.approx([0.5, 2.0], abs=0.08)
