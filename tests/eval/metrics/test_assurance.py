"""Whether a way out was there: given the assumptions, and a driver that gives it up must show."""

from __future__ import annotations

import numpy as np
import pytest

from avstack.safety.assumptions import Assumption
from eval.metrics.assurance import OWN, broken_by_number, interventions_for
from eval.metrics.registry import METRICS
from eval.metrics.result import References
from sim.interface import PERCEPT_COLUMNS

from .written import MIDDLE, recording, standing, steady

TICKS = 40


def measured(name: str, **traced: list[float]) -> float:
    full = {"intervention": [0.0] * TICKS, "assumption_violated": [0.0] * TICKS, "fallback_verified": [1.0] * TICKS} | traced
    return METRICS[name](recording(steady(TICKS, 0.0, 5.0), standing(TICKS), full), References()).value


def test_a_way_out_at_every_tick_is_full_availability():
    assert measured("fallback_available") == 1.0
    assert measured("fallback_missing_s") == 0.0


def test_a_driver_that_gives_its_way_out_up_fails():
    lost = [1.0] * 20 + [0.0] * 20
    assert measured("fallback_available", fallback_verified=lost) == 0.5
    assert measured("fallback_missing_s", fallback_verified=lost) == pytest.approx(2.0)


def test_what_another_broke_is_excused_until_the_way_out_is_back():
    lost = [1.0] * 10 + [0.0] * 10 + [1.0] * 10 + [0.0] * 10
    broken = [0.0] * 10 + [1.0] + [0.0] * 29
    # the first gap began with a violation, the second with none
    assert measured("fallback_available", fallback_verified=lost, assumption_violated=broken) == pytest.approx(20 / 30)
    assert measured("fallback_missing_s", fallback_verified=lost, assumption_violated=broken) == pytest.approx(2.0)
    assert measured("assumptions_broken", assumption_violated=broken) == 1.0


def excused(number: Assumption, place: float, *, speed: float = 5.0) -> bool:
    """Whether the way out is excused from tick 20 on, lost to one whom ego saw at `place` while it drove at `speed`."""
    lost = [1.0] * 20 + [0.0] * 20
    traced = {"fallback_verified": lost, "assumption_violated": [0.0] * 20 + [float(number)] + [0.0] * 19}
    traced |= {"intervention": [0.0] * TICKS, "safety_other": [7.0] * TICKS}
    row = np.zeros((1, len(PERCEPT_COLUMNS)))
    row[0, PERCEPT_COLUMNS.index("id")], row[0, PERCEPT_COLUMNS.index("y")] = 7, place
    found = recording(steady(TICKS, 0.0, 5.0), steady(TICKS, 20.0, speed), traced, {"percepts": [row] * TICKS})
    return METRICS["fallback_lost"](found, References()).value == 0.0


def test_an_excuse_has_to_be_borne_out_by_where_everybody_was():
    there = 20.0 + 0.5 * 20 - MIDDLE
    assert excused(Assumption.WAITS, there)
    assert not excused(Assumption.WAITS, 20.0 - MIDDLE, speed=0.0), "it stood there all the time"
    assert not excused(Assumption.WAITS, there + 50.0), "nobody was there"
    assert Assumption(OWN) is Assumption.OWN
    assert excused(Assumption.OWN, there + 50.0), "that is what a phantom is"
    assert excused(Assumption.OWN, there + 1.0)
    assert not excused(Assumption.OWN, there), "it was where it was measured"


def test_interventions_are_counted_once_each():
    active = [0.0] * 5 + [1.0] * 5 + [0.0] * 5 + [1.0] * 25
    assert measured("interventions", intervention=active) == 2.0
    assert measured("intervention_s", intervention=active) == pytest.approx(3.0)


def test_a_driver_without_an_envelope_has_nothing_to_measure():
    found = METRICS["fallback_available"](recording(steady(TICKS, 0.0, 5.0), standing(TICKS)), References())
    assert not found.valid


def test_interventions_and_violations_are_counted_by_assumption():
    active = [0.0] * 5 + [1.0] * 5 + [0.0] * 5 + [1.0] * 25
    reasons = [0.0] * 5 + [3.0] * 10 + [6.0] * 25
    broken = [0.0] * 10 + [3.0] * 3 + [0.0] * 27
    full = {"intervention": active, "assumption": reasons, "assumption_violated": broken}
    found = recording(steady(TICKS, 0.0, 5.0), standing(TICKS), full)
    assert interventions_for(found) == {3: 1, 6: 1}
    assert broken_by_number(found) == {3: 1}
    assert interventions_for(recording(steady(TICKS, 0.0, 5.0), standing(TICKS))) == {}
