"""Creeping: what it teaches, and whom it threatens. The number of the manoeuvre is the stack's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avstack.behaviours.decision import Manoeuvre
from eval.metrics.probing import CREEP
from eval.metrics.registry import METRICS
from eval.metrics.result import References
from sim.recording import Recording

from .written import MIDDLE, recording, standing, steady

TICKS = 60


def creeping(chances: list[float]) -> Recording:
    arrays: dict[str, list[NDArray[np.generic]]] = {
        "go_first": [np.array([chance]) for chance in chances],
        "others": [np.array([7])] * TICKS,
    }
    manoeuvre = [2.0] * 20 + [float(CREEP)] * 20 + [2.0] * 20
    return recording(steady(TICKS, 0.0, 0.5), standing(TICKS), {"manoeuvre": manoeuvre}, arrays)


def test_the_stack_means_the_same_by_creeping():
    assert int(Manoeuvre.CREEP) == CREEP


def test_a_creep_that_settles_the_matter_is_worth_its_nats():
    found = creeping([0.5] * 25 + [0.99] * 35)
    assert METRICS["crept_m"](found, References()).value == pytest.approx(1.0, abs=0.06)
    assert METRICS["learned_nats"](found, References()).value == pytest.approx(np.log(2.0) - 0.056, abs=0.01)


def test_a_creep_that_teaches_nothing_is_worth_nothing():
    assert METRICS["learned_nats"](creeping([0.5] * TICKS), References()).value == pytest.approx(0.0)


def test_creeping_at_a_person_shows_and_creeping_far_from_one_does_not():
    manoeuvre = {"manoeuvre": [float(CREEP)] * TICKS}
    kinds = ("CAR", "PEDESTRIAN")
    near = recording(steady(TICKS, MIDDLE - 6.0, 0.5), standing(TICKS, MIDDLE), manoeuvre, kinds=kinds)
    far = recording(steady(TICKS, MIDDLE - 20.0, 0.5), standing(TICKS, MIDDLE), manoeuvre, kinds=kinds)
    assert METRICS["crept_at_person_s"](near, References()).value > 3.0
    assert METRICS["crept_at_person_s"](far, References()).value == 0.0
