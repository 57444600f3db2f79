"""Beliefs against what happened: a driver that knows, one that guesses, and one that is sure of the wrong thing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.metrics.foresight import bins_of, calibration_error, calibration_floor, forecasts, read_bins
from eval.metrics.registry import METRICS
from eval.metrics.result import References
from sim.interface import Floats
from sim.recording import Recording

from .written import JUNCTION, recording

TICKS = 200
REFERENCES = References(junction=JUNCTION)


def waits(enter: int) -> Floats:
    """Arrives at its line at 5 s, stands, and crosses from tick `enter` on."""
    s = np.full(TICKS, 20.0)
    s[:50] = 20.0 - 0.6 * (50 - np.arange(50))
    s[enter:] = 20.0 + 0.5 * (1 + np.arange(TICKS - enter))
    return s


def believing(chance: float, lets: int, mine: int, theirs: int) -> Recording:
    """Ego enters at tick `mine`, the other at `theirs`; ego's driver holds `chance` for the other going first all the time."""
    other = waits(theirs)
    arrays: dict[str, list[NDArray[np.generic]]] = {
        "go_first": [np.array([chance])] * TICKS,
        "influence": [np.array([0.0])] * TICKS,
        "others": [np.array([7])] * TICKS,
        "lets_go": [np.array([lets], np.int8)] * TICKS,
        "others_at": [np.array([[0.0, s - 30.0]]) for s in other],
    }
    return recording(waits(mine), other, {"manoeuvre": [2.0] * TICKS}, arrays)


def loss(name: str, chance: float, mine: int, theirs: int) -> float:
    return METRICS[name](believing(chance, 0, mine, theirs), REFERENCES).value


def test_who_knows_loses_little_and_who_is_sure_of_the_wrong_thing_much():
    assert loss("belief_log_loss", 0.99, mine=110, theirs=70) == pytest.approx(-np.log(0.99))
    assert loss("belief_log_loss", 0.5, mine=110, theirs=70) == pytest.approx(np.log(2.0))
    assert loss("belief_log_loss", 0.01, mine=110, theirs=70) > 3.0
    assert loss("commitment_log_loss", 0.01, mine=70, theirs=110) == pytest.approx(-np.log(0.99))
    assert loss("commitment_log_loss", 0.99, mine=70, theirs=110) > 3.0


def test_influence_counts_for_those_that_ego_lets_go():
    told = believing(0.2, 1, mine=110, theirs=70)
    told.arrays["influence"][1][0][0] = 0.7
    assert forecasts(told, REFERENCES).probability.max() == pytest.approx(0.9)


def test_being_sure_early_is_better():
    assert METRICS["time_to_sure"](believing(0.99, 0, 110, 70), REFERENCES).value > 4.0
    assert METRICS["time_to_sure"](believing(0.6, 0, 110, 70), REFERENCES).value == 0.0


def test_calibration_error_is_zero_for_honest_forecasts_and_large_for_boasts():
    draw = np.random.default_rng(1)
    chance = draw.uniform(size=20_000)
    honest = read_bins([bins_of(chance, draw.uniform(size=20_000) < chance)])
    boast = read_bins([bins_of(np.full(1000, 0.95), draw.uniform(size=1000) < 0.5)])
    assert calibration_error(honest) < 0.02
    assert calibration_error(boast) == pytest.approx(0.45, abs=0.05)
    assert calibration_error(read_bins([])) == 0.0


def test_a_driver_without_beliefs_has_none():
    bare = recording(waits(60), waits(110))
    assert not len(forecasts(bare, REFERENCES).tick)
    assert not METRICS["belief_log_loss"](bare, REFERENCES).valid


def test_what_chance_makes_of_a_calibration_error_is_told_apart():
    """Episodes in which all forecasts of a bin come true together, in as many of them as was said, or in far fewer."""
    draws = np.random.default_rng(0)
    chance = draws.uniform(size=400)

    def bins(share: float) -> Floats:
        happened = draws.uniform(size=400) < share * chance
        return read_bins([bins_of(np.full(20, p), np.full(20, came)) for p, came in zip(chance, happened, strict=True)])

    fair, wrong = bins(1.0), bins(0.3)
    floor, debiased = calibration_floor(fair)
    assert 0.02 < floor < 0.09, "twenty forecasts that come true together are worth one"
    assert calibration_error(fair) < 1.6 * floor
    assert debiased < calibration_error(fair)
    floor, debiased = calibration_floor(wrong)
    assert floor < 0.5 * calibration_error(wrong)
    assert debiased == pytest.approx(calibration_error(wrong), rel=0.05)
