"""Threads that share out a step: sums, errors, and that they go."""

from __future__ import annotations

import gc
import threading
import time
from functools import partial

import numpy as np
import pytest

from sim.envs import BatchEnv, EnvConfig
from sim.envs.crew import Crew


def crews() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("avstack-worlds")}


def wait_for_the_end(of: set[threading.Thread]) -> None:
    for thread in of:
        thread.join(timeout=10.0)
        assert not thread.is_alive()


def test_calls_run_side_by_side_and_their_results_are_added():
    meeting = threading.Barrier(3, timeout=10.0)  # who is alone at it raises
    crew = Crew(2)

    def call(value: int) -> int:
        meeting.wait()
        return value

    assert crew.run([partial(call, value) for value in (1, 10, 100)]) == 111
    crew.close()


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_is_raised_when_all_have_ended_and_the_crew_goes_on(bad):
    crew, ended = Crew(1), []

    def call(place: int) -> int:
        if place == bad:
            raise ValueError(f"part {place}")
        time.sleep(0.05)
        ended.append(place)
        return place

    with pytest.raises(ValueError, match=f"part {bad}"):
        crew.run([lambda: call(0), lambda: call(1)])
    assert ended == [1 - bad]
    assert crew.run([lambda: 2, lambda: 3]) == 5
    crew.close()


def test_threads_go_with_the_crew(crossings):
    before = crews()  # of other tests, whose own are about to end
    env = BatchEnv(crossings, 4, EnvConfig(threads=3))
    own = crews() - before
    assert len(own) == 2
    env.reset([1, 2, 3, 4])
    env.step(np.zeros(env.action_shape, np.float32))
    env.close()
    wait_for_the_end(own)
    env.step(np.zeros(env.action_shape, np.float32))  # by the caller's thread alone
    assert not crews() - before
    forgotten = Crew(2)
    own = crews() - before
    assert len(own) == 2
    del forgotten
    gc.collect()
    wait_for_the_end(own)
