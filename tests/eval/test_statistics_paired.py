"""Intervals of means and ratios, and paired tests, against what must come out."""

from __future__ import annotations

import numpy as np
import pytest

from eval.statistics import mcnemar, ratio_of_sums


def test_bootstrap_intervals_cover_as_often_as_they_say():
    draw, hits = np.random.default_rng(1), 0
    for _ in range(300):
        top = draw.gamma(2.0, 1.5, size=80)
        estimate = ratio_of_sums(top)
        hits += estimate.low <= 3.0 <= estimate.high
    assert 0.90 <= hits / 300 <= 0.985


def test_a_ratio_resamples_numerator_and_denominator_together():
    bottom = np.random.default_rng(2).uniform(1.0, 9.0, 200)
    estimate = ratio_of_sums(2.0 * bottom, bottom)
    assert estimate.value == estimate.low == estimate.high == pytest.approx(2.0)


@pytest.mark.parametrize(("top", "bottom"), [([1.0], [1.0]), ([1.0, 2.0], [0.0, 0.0])])
def test_nothing_to_go_by_gives_an_open_interval(top: list[float], bottom: list[float]):
    estimate = ratio_of_sums(np.array(top), np.array(bottom))
    assert np.isinf(estimate.low)
    assert np.isinf(estimate.high)


def test_mcnemar_is_the_exact_binomial():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 8) == pytest.approx(2.0 * 0.5**8)
    assert mcnemar(9, 1) == mcnemar(1, 9) == pytest.approx(2.0 * (1 + 10) * 0.5**10)
