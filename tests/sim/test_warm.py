"""Compiling beforehand: what is compiled is what a run uses, once for each version of the sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim import warm
from sim.parts import Unit

ROOT = Path(__file__).parents[2]
RUN = """
import gc, sys
from sim.warm import warm_up
warm_up()
from numba.core.dispatcher import Dispatcher
import numpy as np
from sim.traffic.rules import RulesDriver
from sim.world import World
from tests.sim.test_rules import as_row, drive, four_way, started
from tests.sim.worlds import busy

for threads in (1, 2):
    world = World([busy(1), busy(2)], threads=threads)
    for _ in range(20):
        world.step()
        world.observe()
scenario = four_way(1)
drive(World([scenario]), started(scenario), 30)
late = {}
for one in gc.get_objects():
    if isinstance(one, Dispatcher) and one.py_func.__module__.startswith("sim."):
        late[f"{one.py_func.__module__}.{one.py_func.__name__}"] = sum(one.stats.cache_misses.values())
print(" ".join(sorted(name for name, misses in late.items() if misses)))
print(len(late), late["sim.kernels.step_worlds"], late["sim.traffic.rules.think"])
"""


def script(code: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_run_after_warming_compiles_none_of_the_great_kernels():
    """Where this cache is cold the first process compiles; the second finds everything there."""
    script("from sim.warm import warm_up; warm_up()")
    late, counts = script(RUN)
    known, step, think = (int(number) for number in counts.split())
    assert known > 40
    assert (step, think) == (0, 0), late
    assert not [
        name for name in late.split() if name.startswith(("sim.traffic", "sim.kernels", "sim.contact", "sim.awareness"))
    ], late


ENVIRONMENT = """
from sim.envs import BatchEnv, EnvConfig, core, stock
from sim.envs.actions import first_bad
from tests.sim.worlds import busy

env = BatchEnv([busy(1), busy(2)], 2, EnvConfig(agents="all"))
env.reset([1, 2])
env.step(env.tables.actions.copy())
kernels = (core._advance, core._show, core._begin, first_bad, stock._prepare)
print(sum(sum(one.stats.cache_misses.values()) for one in kernels), sum(len(one.overloads) for one in kernels))
"""


@pytest.mark.slow
def test_an_environment_after_warming_compiles_nothing():
    script("from sim.warm import warm_up; warm_up(environments=True)")
    assert script(ENVIRONMENT) == ["0 5"]


def test_a_mark_says_it_is_done():
    script("from sim.warm import warm_up; warm_up()")
    assert warm.is_warm()
    mark = warm._mark()
    assert mark is None or mark.exists()


def test_once_marked_nothing_is_compiled_again(monkeypatch, tmp_path):
    monkeypatch.setattr(warm, "CACHE_ROOT", tmp_path)
    mark = warm._mark()
    assert mark is not None
    assert not warm.is_warm()
    mark.touch()
    assert warm.is_warm()

    def never() -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(warm, "PARTS", dict.fromkeys(warm.PARTS, never))
    warm.warm_up()


def test_only_the_driver_is_compiled_in_the_process_that_asks(monkeypatch, tmp_path):
    """Callers compiled for others to run cannot be run where they were compiled."""
    monkeypatch.setattr(warm, "CACHE_ROOT", tmp_path)
    started = []

    class Process:
        args = ()

        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            started.append(command[-1])

        def wait(self) -> int:
            return 0

    def never() -> None:
        raise AssertionError("compiled here")

    monkeypatch.setattr(subprocess, "Popen", Process)
    done = []
    monkeypatch.setattr(warm, "PARTS", {"driver": lambda: done.append("driver"), "rest": never})
    monkeypatch.setattr(warm, "ENVIRONMENTS", {"environments": never})
    warm.warm_up()
    assert (done, started) == (["driver"], ["rest"])
    warm.warm_up(environments=True)
    assert (done, started) == (["driver"], ["rest", "environments"])
    warm.warm_up(environments=True)
    assert started == ["rest", "environments"]
    assert Unit.callable_here


def test_where_nothing_can_be_kept_nothing_is_prepared(monkeypatch):
    monkeypatch.setattr(warm, "CACHE_ROOT", None)
    monkeypatch.setattr(warm, "PARTS", {})
    assert warm.is_warm()
    warm.warm_up()


def test_a_failed_start_leaves_no_mark(monkeypatch, tmp_path):
    monkeypatch.setattr(warm, "CACHE_ROOT", tmp_path)

    def broken() -> None:
        raise RuntimeError("does not compile")

    monkeypatch.setattr(warm, "PARTS", {"driver": broken})
    with pytest.raises(RuntimeError, match="does not compile"):
        warm.warm_up()
    assert not warm.is_warm()


def test_the_mark_changes_with_the_sources(monkeypatch, tmp_path):
    monkeypatch.setattr(warm, "CACHE_ROOT", tmp_path)
    before = warm._mark()
    monkeypatch.setattr(warm, "sources_digest", lambda path: "another")
    assert warm._mark() != before
