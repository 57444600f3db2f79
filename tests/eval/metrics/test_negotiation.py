"""Metrics of an all-way stop on written tracks, each with a driver that must fail it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.metrics.crossings import Crossings
from eval.metrics.encroachment import CLOSE_S
from eval.metrics.order import violates
from eval.metrics.registry import METRICS, measure
from eval.metrics.result import References
from sim.interface import Floats
from sim.recording import Ending, Footer

from .written import EGO, JUNCTION, MIDDLE, OTHER, recording, standing, steady

LINE = 20.0  # m, centre position at rest
TICKS = 300


def profile(arrive: int, enter: int, creeps: int = 0) -> Floats:
    """(TICKS,) positions: at the line from tick `arrive`, over it from tick `enter`, with some creeping in between."""
    s = np.full(TICKS, LINE)
    s[:arrive] = LINE - 8.0 * 0.1 * (arrive - np.arange(arrive))
    s[enter:] = LINE + 5.0 * 0.1 * (1 + np.arange(TICKS - enter))
    for creep in range(creeps):
        first = arrive + 10 + 12 * creep
        s[first:enter] += 0.1 * np.minimum(1 + np.arange(enter - first), 4)
        s[enter:] += 0.4
    return s


def values(ego: Floats, other: Floats, without: Floats | None = None) -> dict[str, float]:
    alone = None if without is None else recording(np.full(TICKS, -1e3), without)
    found = measure(recording(ego, other), References(junction=JUNCTION, without_ego=alone))
    return {name: result.value for name, result in found.items() if result.valid}


def test_going_in_turn_violates_nothing_and_going_out_of_turn_does():
    fair = values(ego=profile(50, 60), other=profile(70, 110))
    assert fair["order_violations"] == fair["order_violations_suffered"] == 0.0
    assert values(ego=profile(70, 80), other=profile(60, 120))["order_violations"] == 1.0
    assert values(ego=profile(50, 120), other=profile(60, 65))["order_violations_suffered"] == 1.0


def test_a_tie_and_a_slot_left_unused_are_nobodys_violation():
    assert values(ego=profile(52, 60), other=profile(50, 110))["order_violations"] == 0.0
    assert values(ego=profile(70, 95), other=profile(60, 140))["order_violations"] == 0.0


def test_a_slot_that_was_left_unused_stays_so_when_a_third_one_takes_it():
    """Vehicle 1 comes at 5 s and 2, whose way meets its own, enters the junction and leaves it; 0 enters at 12 s."""
    everybody = replace(JUNCTION, actors=(0, 1, 2), conflicts=~np.eye(3, dtype=bool))

    def taken(enters: float, leaves: float) -> bool:
        times = np.array([[6.0, 5.0, 4.0], [12.0, 20.0, enters], [16.0, 24.0, leaves]])
        return violates(Crossings(arrived=times[0], entered=times[1], left=times[2], end=30.0), everybody, 0, 1)

    assert not taken(enters=9.0, leaves=11.5)
    assert taken(enters=6.0, leaves=11.5)
    assert not taken(enters=6.0, leaves=8.5)


def test_delay_is_counted_from_what_everybody_needs_alone():
    prompt, late = values(profile(50, 55), profile(50, 90)), values(profile(50, 95), profile(50, 130))
    assert late["delay"] - prompt["delay"] == pytest.approx(8.0)
    assert late["ego_delay"] - prompt["ego_delay"] == pytest.approx(4.0)
    assert prompt["first_come_delay"] == pytest.approx(3.0)
    assert prompt["optimal_time"] == pytest.approx(10.0)


def test_one_who_never_leaves_is_charged_to_the_end():
    stuck = values(profile(50, 60), profile(50, TICKS))
    assert stuck["delay"] > 20.0


def test_a_crash_saves_no_time():
    """Ego drives into somebody and the episode ends there: nobody is taken to have got through."""
    whole = values(profile(50, 60), profile(50, 100))
    crash = [("COLLISION", 70, EGO, OTHER)]
    cut = recording(profile(50, 60)[:80], profile(50, 100)[:80], events=crash)
    found = {name: result.value for name, result in measure(cut, References(junction=JUNCTION)).items()}
    assert found["delay"] > whole["delay"]
    assert found["ego_delay"] > whole["ego_delay"]
    assert found["time_used"] > whole["time_used"]


def test_ego_takes_no_turn_that_a_wreck_keeps_from_it():
    """The other comes first: it enters and leaves, enters and stands there to the end, or never enters."""
    first, ego = profile(40, 60), profile(55, TICKS)
    within = first.copy()
    within[75:] = within[75]
    never = profile(40, TICKS)
    passed, blocked, waited = (values(ego, other)["ego_turn_delay"] for other in (first, within, never))
    assert passed < 5.0
    assert blocked == values(ego, within)["ego_delay"], "nothing of it is ego's"
    assert waited < passed
    assert values(profile(55, 90), within)["ego_turn_delay"] <= values(profile(55, 90), within)["ego_delay"], "ego got past"
    ended = replace(recording(ego[:100], within[:100]), footer=Footer(ending=Ending.CRASHED))
    assert measure(ended, References(junction=JUNCTION))["ego_turn_delay"].value < 5.0, "its driver ended"
    crash = recording(ego, within, events=[("COLLISION", 76, EGO, OTHER)])
    assert measure(crash, References(junction=JUNCTION))["ego_turn_delay"].value < blocked


def test_ego_waits_for_nobody_who_lets_its_turn_go_by_and_for_whose_turn_it_takes():
    """The other comes at 4 s and goes at 25 s; ego goes before it, once the slot was unused for 3 s, or at once."""
    dawdles = profile(40, 250)
    assert values(profile(50, 90), dawdles)["ego_turn_delay"] == 0.0
    taken = values(profile(50, 60), dawdles)
    assert taken["order_violations"] == 1.0
    assert taken["ego_turn_delay"] > 15.0


def test_no_collision_is_farther_apart_than_touching():
    """Standing others and those who go the same way cross nobody's way, but may be hit."""
    hit = recording(steady(100, 0.0, 5.0), standing(100, MIDDLE), events=[("COLLISION", 50, EGO, OTHER)])
    passed = recording(steady(100, 0.0, 5.0), standing(100, MIDDLE))
    assert measure(passed, References())["min_pet"].value > CLOSE_S
    assert measure(hit, References())["min_pet"].value == 0.0


def test_creeping_and_stopping_again_is_counted():
    assert values(profile(50, 120), profile(50, 70))["creep_cycles"] == 0.0
    assert values(profile(50, 120, creeps=4), profile(50, 70))["creep_cycles"] == 4.0


def test_encroachment_is_the_time_between_footprints():
    apart = values(profile(50, 60), profile(50, 100))["min_pet"]
    # 10 m/s... both drive 5 m/s: the spot is free again after (4.6 + 1.8) m
    assert apart == pytest.approx(4.0 - (4.6 + 1.8) / 5.0, abs=0.11)
    assert values(profile(50, 60), profile(50, 62))["min_pet"] == 0.0


def test_what_ego_imposes_is_the_difference_to_the_run_without_it():
    free = profile(50, 60)
    assert values(profile(50, 55), profile(50, 100), without=free)["imposed_delay"] == pytest.approx(4.0)
    assert values(profile(50, 100), free, without=free)["imposed_delay"] == pytest.approx(0.0)


def test_hard_braking_shows_in_comfort():
    calm = values(profile(50, 60), profile(70, 100))
    assert calm["max_decel"] > 4.0, "the written profile stops from 8 m/s at once"


def test_every_metric_needs_no_reference_to_answer():
    found = measure(recording(profile(50, 60), profile(50, 100)), References())
    assert set(found) == set(METRICS)
    assert not found["delay"].valid
    assert found["min_pet"].valid
