"""Schedules at an all-way stop: feasible, in the right order, and the optimum really is one."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from eval.evaluate import references_of
from eval.metrics.crossings import crossings
from eval.metrics.result import Junction
from eval.references import best_order, entries, junction_of
from eval.suites import suite_of
from scenarios.compile import compile_scenario
from scenarios.resolve import resolve
from sim.interface import Floats
from sim.recording import Recording
from sim.scenario import Scenario


def delay(exits: Floats, junction: Junction) -> float:
    return float(np.sum(exits - junction.free))


def four_cars(seed: int) -> Scenario:
    return compile_scenario(resolve("four_way_chicken"), seed)


@pytest.mark.parametrize("seed", range(6))
def test_branch_and_bound_equals_trying_every_order(seed: int):
    draw = np.random.default_rng(seed)
    count = 6
    arrival = np.sort(draw.uniform(0.0, 6.0, count))
    headway = draw.uniform(-1.0, 4.0, (count, count))
    headway[draw.uniform(size=(count, count)) < 0.3] = -math.inf
    headway[0, 1], headway[1, 0] = 2.0, math.inf  # the second queues behind the first
    allowed = [order for order in itertools.permutations(range(count)) if order.index(0) < order.index(1)]
    least = min(float(entries(order, arrival, headway).sum()) for order in allowed)
    assert float(entries(best_order(arrival, headway), arrival, headway).sum()) == pytest.approx(least)


def test_more_vehicles_than_can_be_searched_keep_their_queues():
    arrival = np.arange(12.0)
    headway = np.full((12, 12), 2.5)
    for i, j in itertools.combinations(range(12), 2):
        if i % 4 == j % 4:
            headway[j, i] = math.inf
    order = best_order(arrival, headway)
    assert sorted(order) == list(range(12))
    assert all(order.index(i) < order.index(j) for i, j in itertools.combinations(range(12), 2) if i % 4 == j % 4)


def test_alone_is_soonest_and_the_optimum_is_no_worse_than_first_come():
    lost = 0.0
    for seed in range(5):
        found = junction_of(four_cars(seed))
        assert found is not None
        assert np.all(found.first_come >= found.free)
        assert np.all(found.optimal >= found.free)
        assert delay(found.optimal, found) <= delay(found.first_come, found) + 1e-9
        lost += delay(found.first_come, found)
    assert lost > 0.0, "arrivals at once cannot all go unhindered"


def out_of_order(seen: Recording, junction: Junction) -> int:
    """Pairs of one approach that went in the other order than the schedule has them."""
    entered = crossings(seen, junction).entered
    ahead = np.isposinf(junction.headway.T)
    return int(np.sum(ahead & (entered[:, None] > entered[None, :])))


def test_a_queue_goes_in_the_order_in_which_it_stands():
    """Seed 9: two are due at one place at once, and the one that is there sooner when it is alone comes second."""
    scenario = suite_of("chicken_tuning").scenario(9)
    found = references_of(scenario, suite_of("chicken_tuning"))
    by_arrival = junction_of(scenario)
    assert found.junction is not None
    assert found.ordinary is not None
    assert by_arrival is not None
    assert out_of_order(found.ordinary, by_arrival) == 1
    assert out_of_order(found.ordinary, found.junction) == 0
    assert np.all(found.junction.first_come >= found.junction.free)


def test_one_vehicle_alone_loses_nothing():
    scenario = four_cars(0)
    alone = replace(scenario, actors=(scenario.actors[0],), ego=0)
    found = junction_of(alone)
    assert found is not None
    assert delay(found.first_come, found) == 0.0


def test_no_schedule_where_there_is_no_all_way_stop():
    assert junction_of(compile_scenario(resolve("merge"), 0)) is None
