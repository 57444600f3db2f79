"""Intervals, seeds, verdicts, event counts, executors: without a simulator."""

import os
import signal
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.arguments import parse_seeds, parse_workers
from eval.errors import ExitCode
from eval.executors import InProcess, ProcessPool
from eval.metrics.outcome import EventCounts, count_events
from eval.run import EpisodeResult, judge
from eval.statistics import clopper_pearson
from eval.suite import exit_code
from scenarios.errors import InputError
from sim.recording import RECORDED_EVENT_DTYPE, Ending
from sim.scenario import Criteria

NAMES = ("COLLISION", "OFFROAD", "DEADLOCK")


@pytest.mark.parametrize(
    ("count", "episodes", "low", "high"),
    [(0, 10, 0.0, 0.308497), (10, 10, 0.691503, 1.0), (1, 20, 0.001265, 0.248733), (5, 50, 0.033275, 0.218135), (0, 0, 0.0, 1.0)],
)
def test_intervals_match_published_ones(count, episodes, low, high):
    rate = clopper_pearson(count, episodes)
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=1e-5)


def test_one_sided_bound_of_no_event_is_three_over_n():
    assert clopper_pearson(0, 100_000, level=0.90).high * 100_000 == pytest.approx(2.996, abs=1e-3)
    for events, bound in ((0, 2.996), (1, 4.744), (2, 6.296), (3, 7.754)):
        assert clopper_pearson(events, 100_000).upper * 100_000 == pytest.approx(bound, abs=2e-3)


@given(st.integers(1, 400), st.data())
def test_intervals_hold_the_rate_and_mirror(episodes, data):
    count = data.draw(st.integers(0, episodes))
    rate, mirrored = clopper_pearson(count, episodes), clopper_pearson(episodes - count, episodes)
    assert rate.low <= rate.rate <= rate.high
    assert rate.low == pytest.approx(1.0 - mirrored.high, abs=1e-9)


def test_intervals_cover_the_truth():
    probability, episodes = 0.1, 40
    chances = np.array([1.0])
    for _ in range(episodes):
        chances = np.convolve(chances, [1.0 - probability, probability])
    covered = [clopper_pearson(k, episodes) for k in range(episodes + 1)]
    assert sum(chance for chance, rate in zip(chances, covered, strict=True) if rate.low <= probability <= rate.high) >= 0.95


@pytest.mark.parametrize(("count", "episodes", "level"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)])
def test_impossible_rates_are_refused(count, episodes, level):
    with pytest.raises(ValueError, match="must lie"):
        clopper_pearson(count, episodes, level)


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (3,)), ("0..3", (0, 1, 2, 3)), ("1,5,7", (1, 5, 7)), ("7,0..2, 1", (7, 0, 1, 2)), ("4..4", (4,))]
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1..", "..3", "1...3", "-2", "1;2", "2..1", "1.5", "²", "99999999999999999999"])
def test_bad_seeds(text):
    with pytest.raises(InputError, match="seeds"):
        parse_seeds(text)


def test_workers():
    assert parse_workers("auto") is None
    assert parse_workers("3") == 3


def _events(*rows):
    events = np.zeros(len(rows), dtype=RECORDED_EVENT_DTYPE)
    for event, (kind, a, b, fault_a, fault_b) in zip(events, rows, strict=True):
        event["kind"], event["a"], event["b"], event["fault_a"], event["fault_b"] = NAMES.index(kind), a, b, fault_a, fault_b
    return events


def test_events_are_counted_by_who_was_in_them():
    events = _events(
        ("COLLISION", 0, 1, 1, 0), ("COLLISION", 2, 0, 1, 0), ("COLLISION", 2, 3, 1, 0),
        ("OFFROAD", 0, -1, 0, 0), ("OFFROAD", 3, -1, 0, 0), ("DEADLOCK", 1, -1, 0, 0),
    )  # fmt: skip
    assert count_events(events, NAMES, 0) == EventCounts(collisions=2, at_fault=1, traffic_collisions=1, deadlocks=1, offroad=1)
    assert count_events(events, NAMES, None) == EventCounts(
        collisions=0, at_fault=0, traffic_collisions=3, deadlocks=1, offroad=2
    )
    assert count_events(events[:0], NAMES, 0) == EventCounts()


@pytest.mark.parametrize(
    ("criteria", "counts", "ego", "completed", "reasons"),
    [
        (Criteria(), EventCounts(), True, True, ()),
        (Criteria(), EventCounts(), True, False, ("goal not reached",)),
        (Criteria(goal=False), EventCounts(), True, False, ()),
        (Criteria(), EventCounts(collisions=1), True, True, ("collision",)),
        (Criteria(), EventCounts(collisions=1, at_fault=1), True, True, ("collision at fault",)),
        (Criteria(no_collision=False), EventCounts(collisions=1, at_fault=1), True, True, ()),
        (Criteria(at_fault_only=True), EventCounts(collisions=1), True, False, ()),
        (Criteria(at_fault_only=True), EventCounts(collisions=1, at_fault=1), True, True, ("collision at fault",)),
        (Criteria(), EventCounts(traffic_collisions=1), True, True, ()),
        (Criteria(), EventCounts(traffic_collisions=1), False, True, ("collision",)),
        (Criteria(), EventCounts(offroad=1, deadlocks=1), True, True, ("off road", "deadlock")),
        (Criteria(max_time_s=9.0), EventCounts(), True, True, ("took 10.0 s",)),
        (Criteria(min_mean_speed=6.0), EventCounts(), True, True, ("mean speed 5.00 m/s",)),
    ],
)
def test_verdicts(criteria, counts, ego, completed, reasons):
    assert judge(criteria, counts, ego=ego, completed=completed, time_s=10.0, mean_speed=5.0) == reasons


@pytest.mark.parametrize(
    ("endings", "code"),
    [
        ((), ExitCode.OK),
        ((Ending.PASSED,), ExitCode.OK),
        ((Ending.PASSED, Ending.FAILED), ExitCode.CRITERIA_FAILED),
        ((Ending.FAILED, Ending.TIME_LIMIT), ExitCode.TIME_LIMIT),
        ((Ending.TIME_LIMIT, Ending.CRASHED, Ending.PASSED), ExitCode.DRIVER_CRASHED),
    ],
)
def test_exit_codes(endings, code):
    assert exit_code([EpisodeResult(seed=k, ending=ending) for k, ending in enumerate(endings)]) == code


def work(job: str) -> str:
    """What the executors are tested with; lives here so that a spawned process finds it."""
    if job == "bad":
        raise InputError("bad job", file="a.yaml", line=3)
    if job == "die":
        os._exit(7)
    if job == "kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    if job == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600.0)
    return job.upper()


def test_in_process_gives_results_in_order():
    assert [done.result for done in InProcess().run(work, ["a", "b"])] == ["A", "B"]


def test_a_pool_survives_its_workers():
    jobs = ["a", "die", "b", "kill", "c", "d"]
    done = {one.job: one for one in ProcessPool(2).run(work, jobs)}
    assert {job for job, one in done.items() if one.result == job.upper()} == {"a", "b", "c", "d"}
    assert done["die"].failure == "its process died (exit code 7)"
    assert done["kill"].failure == "its process died (signal SIGSEGV)"


def test_a_pool_ends_what_does_not_answer():
    done = {one.job: one for one in ProcessPool(1, hard_limit_s=6.0).run(work, ["hang", "a"])}
    assert done["hang"].out_of_time
    assert done["a"].result == "A"


def test_a_pool_raises_what_the_work_raised():
    with pytest.raises(InputError, match=r"a\.yaml:3: bad job"):
        list(ProcessPool(2).run(work, ["bad", "bad"]))


def test_a_pool_needs_a_worker():
    with pytest.raises(ValueError, match="at least one worker"):
        ProcessPool(0)
