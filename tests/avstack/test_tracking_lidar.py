"""Tracking of what learned models read: scores add up to existence, fronts are settled, parts of a thing make no things."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avstack.perception.arbitration import _SPREAD
from avstack.perception.caution import FAINT
from avstack.perception.perceive import LIDAR_TRACKING
from avstack.perception.percepts import COARSE, EXISTS, RICH
from avstack.perception.tracking import SIGN_DTYPE, start_tracking, track
from sim.interface import OBJECT_DTYPE, Kind

from .test_tracking import frame, readings

SPREAD = (_SPREAD[0], _SPREAD[2], _SPREAD[3], _SPREAD[5], _SPREAD[6])
"""Of x and y, heading, velocity, length and width of a box round returns."""


def signs(count: int, *, source: int = RICH, flip: float = 0.05, blob: int = 0) -> np.ndarray:
    out = np.zeros(count, SIGN_DTYPE)
    out["trust"], out["source"], out["flip"], out["blob"] = (0.9 if source == RICH else 0.0), source, flip, blob
    return out


def follow(ticks):
    """Percepts of the last of (rows, signs), one a tick."""
    memory = start_tracking()
    for tick, (rows, told) in enumerate(ticks):
        percepts, memory = track(frame(rows, tick), memory, LIDAR_TRACKING, told)
    return percepts.things


def car(tick=0, score=0.9):
    rows = readings(1, tick)
    rows["score"] = score
    return rows


def heap(x=20.0, y=0.0, score=0.3):
    rows = np.zeros(1, OBJECT_DTYPE)
    rows["x"], rows["y"], rows["length"], rows["width"], rows["kind"] = x, y, 0.6, 0.4, Kind.OBJECT
    rows["score"], rows["sigma"] = score, (0.2, 0.8, 10.0, 0.8, 0.8)
    return rows


@pytest.mark.parametrize(("score", "low", "high"), [(0.1, 0.0, 0.12), (0.5, 0.45, 0.55), (0.8, 0.85, 0.95)])
def test_scores_that_stay_the_same_come_to_an_existence_and_go_no_further(score, low, high):
    things = follow([(heap(score=score), signs(1, source=COARSE, blob=1))] * 40)
    existence = float(things["existence"][0]) if len(things) else 0.0
    assert low <= existence <= high


def test_what_was_read_once_comes_to_nothing():
    nothing = np.zeros(0, OBJECT_DTYPE), np.zeros(0, SIGN_DTYPE)
    phantom = follow([(heap(score=0.6), signs(1, source=COARSE, blob=1)), *[nothing] * 6])
    assert not (phantom["existence"] > 0.3).any()


def test_what_is_sure_is_there_at_once_and_what_is_doubtful_is_not():
    def after(score, count, blob=1):
        things = follow([(heap(score=score), signs(1, source=COARSE, blob=blob))] * count)
        return float(things["existence"][0]) if len(things) else 0.0

    assert after(0.99, 1, blob=0) > 0.6
    assert after(0.5, 1, blob=0) < 0.3 < after(0.5, 2, blob=0)


def test_a_box_round_returns_takes_more_than_one_sweep_to_be_believed():
    # flakes and drops return once here and once there: each alone may look like something that stands
    def after(score, count):
        things = follow([(heap(score=score), signs(1, source=COARSE, blob=1))] * count)
        return float(things["existence"][0]) if len(things) else 0.0

    assert after(0.7, 1) < FAINT
    assert after(0.99, 1) < EXISTS < 0.7 < after(0.99, 2)
    assert after(0.7, 2) < EXISTS < after(0.7, 5)


def test_a_thing_of_which_more_is_seen_from_nearer_by_grows():
    # a heap whose top alone is met by a ring at first
    def read(size):
        rows = heap(score=0.9)
        rows["length"] = rows["width"] = size
        rows["sigma"] = (0.2, 0.8, 3.0, 0.25 * size, 0.25 * size)
        return rows, signs(1, source=COARSE)

    (thing,) = follow([read(0.5)] * 25 + [read(1.6)] * 15)
    assert thing["length"] > 1.3
    assert thing["width"] > 1.3


def test_returns_of_fog_that_are_elsewhere_in_each_sweep_come_to_nothing():
    draw = np.random.default_rng(3)
    worst = 0.0
    for _ in range(20):
        ticks = []
        for _ in range(15):
            places = draw.uniform((8.0, -4.0, 0.2), (20.0, 4.0, 0.7), (2, 3))
            rows = np.concatenate([heap(x, y, score) for x, y, score in places])
            rows["sigma"] = SPREAD
            ticks.append((rows, signs(2, source=COARSE, blob=1)))
        things = follow(ticks)
        worst = max(worst, float(things["existence"].max(initial=0.0)))
    assert worst < EXISTS


def test_a_front_that_is_taken_for_the_rear_once_is_settled_by_how_sure_each_reading_is():
    def seen(reversed_, flip):
        rows = readings(1)
        rows["vx"] = rows["speed"] = 0.0
        rows["heading"] = math.pi - 1e-3 if reversed_ else 0.0
        return rows, signs(1, flip=flip)

    sure, vague = seen(False, 0.03), seen(True, 0.45)
    things = follow([vague, vague, vague, sure, sure, vague, vague])
    assert abs(float(things["heading"][0])) < 0.1
    assert things["flip"][0] < 0.3


def test_a_box_round_part_of_a_car_makes_no_thing_and_shows_that_the_car_is_there():
    rows, part = car(), heap(x=10.0, y=1.2, score=0.9)
    both = np.concatenate([rows, part]), np.concatenate([signs(1), signs(1, source=COARSE, blob=1)])
    still = car()
    still["vx"] = still["speed"] = 0.0
    both[0]["vx"][0] = both[0]["speed"][0] = 0.0
    things = follow([(still, signs(1)), *[both] * 5])
    assert things["kind"].tolist() == [Kind.CAR]
    part_alone = heap(x=10.0, y=0.5, score=0.9), signs(1, source=COARSE, blob=1)
    hidden = follow([*[(still, signs(1))] * 5, *[part_alone] * 10])
    assert hidden["kind"].tolist() == [Kind.CAR]
    assert hidden["existence"][0] > 0.8
    assert hidden["length"][0] > 3.5, "a part says nothing of the size of the whole"


def test_a_box_apart_from_a_car_is_a_thing_of_its_own():
    both = np.concatenate([car(), heap(x=16.0, y=2.0, score=0.9)]), np.concatenate([signs(1), signs(1, source=COARSE, blob=1)])
    assert sorted(follow([both] * 3)["kind"].tolist()) == [Kind.CAR, Kind.OBJECT]


@pytest.mark.parametrize(("speed", "behind", "things"), [(10.0, 1.5, 1), (0.0, 1.5, 2), (10.0, -6.2, 2)])
def test_returns_up_to_a_sweep_behind_what_moves_are_of_it(speed, behind, things):
    """behind: m from the rear; the front is 4.7 m ahead of it."""
    ticks = []
    for tick in range(15):
        rows = car()
        rows["x"], rows["vx"], rows["speed"] = 10.0 + 0.1 * speed * tick, speed, speed
        ticks.append((rows, signs(1)))
    rows, told = ticks[-1]
    part = heap(x=float(rows["x"][0]) - 2.35 - behind, score=0.98)
    ticks[-1] = np.concatenate([rows, part]), np.concatenate([told, signs(1, source=COARSE, blob=1)])
    assert len(follow(ticks)) == things
