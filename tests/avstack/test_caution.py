"""What doubt costs in speed."""

import numpy as np
import pytest

from avstack.perception.caution import (
    FAINT,
    LEAST_TRUST,
    OBSERVED_MARGIN,
    PASS_MPS,
    be_careful,
    lower,
    stopping_speed,
)
from avstack.perception.percepts import COARSE, EXISTS, RICH, THING_DTYPE, EgoEstimate, Percepts

LINE = (np.arange(0.0, 200.0, 0.5), np.arange(0.0, 200.0, 0.5), np.zeros(400))
HALF = 0.9


def percepts(things=(), *, trust=1.0, observed_range=80.0):
    rows = np.zeros(len(things), THING_DTYPE)
    for row, (x, y, source, sure) in zip(rows, things, strict=True):
        row["x"], row["y"], row["source"], row["trust"] = x, y, source, sure
        row["length"], row["width"], row["existence"] = 1.0, 1.0, 0.9
    ego = EgoEstimate(
        x=0.0, y=0.0, heading=0.0, covariance=np.eye(3), speed=10.0, accel=0.0, yaw_rate=0.0, steer=0.0
    )  # fmt: skip
    return Percepts(
        tick=0, ego=ego, things=rows, signals=np.zeros(0, np.int32), observed_range=observed_range, trust=trust
    )  # fmt: skip


def careful(*things, s=0.0, **changes):
    return be_careful(percepts(things, **changes), LINE, s, HALF, 14.0)


def bound(care, s):
    return float(np.interp(s, *care.envelope))


def test_nothing_in_doubt_costs_nothing():
    care = careful((50.0, 0.0, RICH, 0.2))
    assert care.envelope is None
    assert not care.rest
    assert care.cap > 25.0


def test_a_car_stops_within_what_it_sees():
    for distance in (5.0, 20.0, 60.0):
        speed = stopping_speed(distance)
        assert 0.3 * speed + speed**2 / 10.0 == pytest.approx(distance - OBSERVED_MARGIN)
    assert stopping_speed(0.0) == 0.0
    assert careful(observed_range=20.0).cap < careful(observed_range=60.0).cap


def test_less_trust_in_the_picture_is_less_speed_and_none_is_a_stop():
    assert careful(trust=0.5).cap == 7.0
    assert not careful(trust=0.5).rest
    assert careful(trust=LEAST_TRUST - 0.01).rest


def test_a_thing_that_only_the_coarse_model_knows_is_passed_slowly():
    care = careful((50.0, 1.5, COARSE, 0.0))
    assert care.doubted == 1
    assert bound(care, 50.0) < PASS_MPS + 1.0
    assert bound(care, 40.0) > 50.0
    assert bound(care, 60.0) > 50.0


def test_the_further_off_and_the_more_trusted_the_faster():
    near, far = careful((50.0, 1.5, COARSE, 0.0)), careful((50.0, 3.0, COARSE, 0.0))
    trusted = careful((50.0, 1.5, COARSE, 0.5))
    assert bound(near, 50.0) < bound(far, 50.0)
    assert bound(trusted, 50.0) == pytest.approx(2.0 * bound(near, 50.0))
    assert careful((50.0, 8.0, COARSE, 0.0)).envelope is None
    assert careful((50.0, 1.5, COARSE, 0.0), s=80.0).envelope is None


def test_what_is_less_likely_there_is_passed_faster_at_the_same_risk():
    def passing(existence):
        seen = percepts([(50.0, 1.5, COARSE, 0.0)])
        seen.things["existence"] = existence
        return be_careful(seen, LINE, 0.0, HALF, 14.0)

    sure, doubtful = bound(passing(EXISTS), 50.0), bound(passing(0.5 * EXISTS), 50.0)
    assert bound(passing(0.9), 50.0) == pytest.approx(sure)
    assert 0.5 * EXISTS * doubtful**2 == pytest.approx(EXISTS * sure**2)
    assert passing(FAINT - 0.01).envelope is None


def test_of_two_bounds_the_lower_holds_everywhere():
    one, other = (np.array([0.0, 10.0]), np.array([5.0, 15.0])), (np.array([5.0, 20.0]), np.array([9.0, 9.0]))
    both = lower(one, other)
    assert both is not None
    s, v = both
    for at in (0.0, 5.0, 10.0, 20.0):
        assert np.interp(at, s, v) == min(np.interp(at, *one), np.interp(at, *other))
    assert lower(None, one) is one
    assert lower(one, None) is one
