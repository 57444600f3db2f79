"""Progress, headway and encounters on written tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.metrics.registry import METRICS
from eval.metrics.result import References
from sim.interface import Floats

from .written import JUNCTION, MIDDLE, recording, standing, steady

TICKS = 100


def progress(ego: Floats) -> float:
    alone = recording(steady(TICKS, 0.0, 8.0), standing(TICKS))
    return METRICS["progress"](recording(ego, standing(TICKS)), References(alone=alone)).value


def test_progress_is_the_free_flow_time_over_the_time_taken():
    assert progress(steady(TICKS, 0.0, 8.0)) == pytest.approx(1.0, abs=0.02)
    assert progress(steady(TICKS, 0.0, 4.0)) == pytest.approx(0.5, abs=0.02)
    assert progress(standing(TICKS)) == 0.0


def test_driving_up_to_somebodys_bumper_breaks_the_safe_gap():
    found = recording(steady(TICKS, 0.0, 10.0), steady(TICKS, 0.0, 10.0))
    # turn the other one onto ego's way, 8 m and then 25 m ahead: bumper to bumper 3.4 m and 20.4 m
    for ahead, short in ((8.0, True), (25.0, False)):
        other = found.rows[1::2]
        other["x"], other["y"], other["heading"] = found.rows[0::2]["x"] + ahead, 0.0, 0.0
        assert (METRICS["rss_violation_s"](found, References()).value > 5.0) == short


def test_whoever_came_near_was_met():
    ego = steady(TICKS, 0.0, 5.0)
    assert METRICS["encounters"](recording(ego, standing(TICKS, MIDDLE - 5.0)), References()).value == 1.0
    assert METRICS["encounters"](recording(ego, standing(TICKS)), References()).value == 0.0
    assert METRICS["encounters"](recording(standing(TICKS, MIDDLE), standing(TICKS, MIDDLE - 5.0)), References()).value == 0.0


def test_ego_is_excused_for_what_others_make_it_wait_and_not_for_what_it_dawdles():
    def waits(enter: int) -> Floats:
        s = np.full(300, 20.0)
        s[:50] = 20.0 - 0.8 * (50 - np.arange(50))
        s[enter:] = 20.0 + 0.5 * (1 + np.arange(300 - enter))
        return s

    def share(ego: int, other: int) -> tuple[float, float]:
        found = recording(waits(ego), waits(other))
        references = References(junction=replace(JUNCTION, arrivals=np.array([6.0, 5.0])))
        return METRICS["ego_delay"](found, references).value, METRICS["ego_turn_delay"](found, references).value

    behind, turn = share(ego=120, other=60)
    dawdles, same = share(ego=180, other=60)
    assert dawdles - behind == pytest.approx(6.0)
    assert same == pytest.approx(turn), "what ego would lose if it took its turn does not hang on when it did"
    late, later = share(ego=120, other=60)[1], share(ego=180, other=120)[1]
    assert later - late == pytest.approx(6.0), "but on when the one before it left"
