"""Measures of detections: right by hand on little cases, and bad detectors fail each of them."""

from __future__ import annotations

import numpy as np
import pytest

from eval.perception import measures
from eval.perception.measures import FALSE, HIT, NOT_SCORED

ZERO = np.zeros(1, np.int64)


def random() -> np.random.Generator:
    return np.random.default_rng(3)


def matched(places, scores, truths, scored, distance=2.0):
    places, truths = np.array(places, float).reshape(-1, 2), np.array(truths, float).reshape(-1, 2)
    zeros = np.zeros(len(scores), np.int64)
    area = np.ones(len(scores), np.bool_)
    return measures.match(
        zeros, np.array(scores), places, area, np.zeros(len(truths), np.int64), truths, np.array(scored), distance
    )


def test_each_truth_is_hit_once_by_the_strongest():
    marks, which = matched([[0, 0], [0.5, 0], [9, 9]], [0.3, 0.9, 0.5], [[0, 0]], [True])
    assert marks.tolist() == [FALSE, HIT, FALSE]
    assert which.tolist() == [-1, 0, -1]


def test_a_truth_that_does_not_count_excuses_but_does_not_reward():
    marks, _ = matched([[0, 0], [5, 0]], [0.9, 0.8], [[0, 0], [5, 0]], [False, True])
    assert marks.tolist() == [NOT_SCORED, HIT]


def test_detections_of_other_frames_do_not_match():
    place = np.zeros((1, 2))
    marks, _ = measures.match(ZERO, np.ones(1), place, np.ones(1, np.bool_), ZERO + 1, place, np.ones(1, np.bool_), 2.0)
    assert marks.tolist() == [FALSE]


def test_average_precision_of_perfect_blind_and_noisy_detectors():
    hits, scores = np.full(50, HIT), np.linspace(1.0, 0.1, 50)
    assert measures.average_precision(hits, scores, 50) == pytest.approx(1.0)
    assert measures.average_precision(np.full(50, FALSE), scores, 50) == 0.0
    assert measures.average_precision(hits, scores, 100) == pytest.approx(0.45, abs=0.02)
    half = np.where(np.arange(50) % 2 == 0, HIT, FALSE)
    assert measures.average_precision(half, scores, 25) == pytest.approx(0.4 / 0.9, abs=0.05)


def test_a_detection_that_counts_twice_is_two_detections():
    random = np.random.default_rng(3)
    marks, scores = np.where(random.random(60) < 0.6, HIT, FALSE), random.random(60)
    times = random.integers(0, 3, 60)
    twice = measures.average_precision(np.repeat(marks, times), np.repeat(scores, times), 70)
    assert measures.average_precision(marks, scores, 70, times.astype(np.float64)) == pytest.approx(twice, abs=0.02)
    assert measures.average_precision(marks, scores, 70, np.zeros(60)) == 0.0


def test_errors_count_as_one_where_too_little_is_found():
    assert measures.mean_error(np.full(5, 0.2), np.ones(5), 0.05) == 1.0
    assert measures.mean_error(np.full(5, 0.2), np.ones(5), 0.5) == pytest.approx(0.2)


def test_scale_error_of_a_box_half_as_long():
    two, four = np.array([2.0]), np.array([4.0])
    assert measures.scale_error(two, two, four, two) == pytest.approx([0.5])


def test_calibration_error_finds_over_confidence_and_spares_the_calibrated():
    confidence = random().random(20000)
    right = (random().random(20000) < 0.0).astype(float)
    fair = (np.random.default_rng(4).random(20000) < confidence).astype(float)
    floor = measures.calibration_floor(confidence)
    assert measures.calibration_error(confidence, fair) < 2.0 * floor
    assert measures.calibration_error(confidence, right) == pytest.approx(0.5, abs=0.02)
    bold = np.clip(confidence + 0.1, 0.0, 1.0)
    assert measures.calibration_error(bold, fair) > 5.0 * floor


def test_location_awareness_takes_distance_from_hits():
    marks = np.array([HIT, HIT, FALSE])
    assert measures.location_aware(marks, np.array([0.0, 1.0, np.inf])).tolist() == [1.0, 0.5, 0.0]


def test_brier_and_log_loss_punish_the_sure_and_wrong():
    outcome = np.array([1.0, 0.0, 1.0, 0.0])
    assert measures.brier(outcome, outcome)[0] == 0.0
    assert measures.brier(outcome, outcome)[1] == pytest.approx(0.25)
    assert measures.brier(1.0 - outcome, outcome)[0] == 1.0
    assert measures.brier(np.full(4, 0.5), outcome)[1] == 0.0
    assert measures.log_loss(1.0 - outcome, outcome) > measures.log_loss(np.full(4, 0.5), outcome) > 0.6


def test_coverage_and_band_of_right_and_of_too_small_sigmas():
    errors, one = random().standard_normal(20000), np.ones(20000)
    assert measures.coverage(errors, one, 1.645) == pytest.approx(0.90, abs=0.01)
    assert measures.coverage(errors, 0.5 * one, 1.645) < 0.65
    squared = np.sum(random().standard_normal((20000, 2)) ** 2, axis=1)
    assert measures.share_in_band(squared, 2) == pytest.approx(0.95, abs=0.01)
    assert measures.share_in_band(4.0 * squared, 2) < 0.75


def test_auroc_and_false_positives_of_telling_apart_guessing_and_being_wrong():
    right, wrong = np.linspace(0.6, 1.0, 100), np.linspace(0.0, 0.5, 100)
    assert measures.auroc(right, wrong) == 1.0
    assert measures.auroc(wrong, right) == 0.0
    assert measures.auroc(right, right) == 0.5
    assert measures.false_positive_rate(right, wrong) == 0.0
    assert measures.false_positive_rate(wrong, right) == 1.0


def test_bounds_hold_with_no_miss_and_widen_where_misses_share_scenes():
    none = np.zeros(299, np.bool_)
    assert measures.upper_bound(none, np.arange(299)) == pytest.approx(0.01, abs=1e-4)
    missed = np.zeros(1000, np.bool_)
    missed[:20] = True
    alone, together = (
        measures.upper_bound(missed, random().permutation(1000)),
        measures.upper_bound(missed, np.arange(1000) // 20),
    )
    assert 0.02 < alone < together


def test_selective_risk_is_least_where_the_wrong_are_trusted_least():
    wrong = np.array([False] * 8 + [True] * 2)
    fair, unfair = measures.selective_risk(-wrong.astype(float), wrong), measures.selective_risk(wrong.astype(float), wrong)
    assert fair < 0.05 < 0.4 < unfair


def test_either_end_of_an_axis_is_as_good():
    assert measures.axis_error(np.array([3.1]), np.array([0.0])) == pytest.approx([3.1 - np.pi])
