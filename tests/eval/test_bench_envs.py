"""What the benchmark of the environments counts."""

from __future__ import annotations

import time

import numpy as np
import pytest

from eval.bench import envs
from eval.bench.sim import driven_scenario
from sim.envs import BatchEnv
from sim.envs.crew import Crew
from sim.envs.vector import size
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS


@pytest.fixture(scope="module")
def batch() -> BatchEnv:
    road = assemble(BUILDERS["straight"](length=600.0, lanes=2))
    env = BatchEnv([driven_scenario(road, 0, 14)], 3, envs.PLAIN)
    env.reset([1, 2, 3])
    return env


def test_observations_are_as_wide_as_they_say():
    assert size(envs.WIDE) == 1851
    assert size(envs.PLAIN) >= 86


def test_every_driven_agent_counts_in_every_tick(batch):
    """A clock that says one second a tick turns the rate into agents."""
    seconds = iter(range(1000))
    assert envs._agent_steps(batch, envs._actions(batch), 5, lambda: float(next(seconds))) == 3 * 14


def test_who_is_gone_does_not_count(batch):
    batch.tables.agents["present"][0, 0] = 0
    seconds = iter(range(1000))
    assert envs._agent_steps(batch, envs._actions(batch), 1, lambda: float(next(seconds))) == 3 * 14 - 1


def test_agents_of_the_benchmark_stay_on_the_road(batch):
    batch.reset([1, 2, 3])
    for _ in range(100):
        outcome = batch.step(envs._actions(batch))
    assert not np.any(outcome.terminated)
    assert batch.active.all()


def test_the_control_counts_all_calls_whoever_makes_them(monkeypatch):
    """Seconds that a clock counts one by one: 2 x rounds x times over one second, alone and with a crew."""
    made: list[int] = []

    def spin(rounds: int) -> int:
        made.append(rounds)
        return 0

    monkeypatch.setattr(envs, "_spin", spin)
    seconds = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(seconds)))
    crew = Crew(1)
    for who in (None, crew):
        made.clear()
        assert envs._spins(who, 7, 3) == 2 * 7 * 3
        assert made == [7] * 6
    crew.close()
