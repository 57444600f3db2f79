"""Raw returns near proposals: all that are near, none that are not, so many of them however many there are."""

from __future__ import annotations

import numpy as np
import pytest

from avstack.perception.maps import RETURN, RETURNS
from avstack.perception.returns import joined, returns_of


def cloud(seed: int, count: int, earlier: int = 0) -> np.ndarray:
    """Returns all over the grid, and beyond it."""
    draw = np.random.default_rng(seed)
    low, high = (-45.0, -45.0, 0.1, 0.0), (85.0, 45.0, 4.0, 1.0)
    now, *before = (draw.uniform(low, high, (n, 4)).astype(np.float32) for n in (count, earlier, earlier))
    return joined(now, before)


def near(returns: np.ndarray, place: np.ndarray, reach: float) -> np.ndarray:
    inside = (returns[:, 0] >= -40) & (returns[:, 0] < 80) & (np.abs(returns[:, 1]) < 40)
    return returns[inside & (np.hypot(*(returns[:, :2] - place).T) < reach)]


@pytest.mark.parametrize("seed", range(4))
def test_all_returns_near_a_place_are_shown_and_no_others(seed):
    returns = cloud(seed, 6000, 2000)
    places = np.random.default_rng(seed).uniform((-38.0, -38.0), (78.0, 38.0), (40, 2))
    shown, counts = returns_of(places, np.full(40, 2.5), places, returns)
    for place, own, count in zip(places, shown, counts, strict=True):
        wanted = near(returns, place, 2.5)
        assert len(wanted) <= RETURNS
        wanted = wanted - np.append(place, [0.0, 0.0, 0.0])
        assert np.unique(own.round(4), axis=0) == pytest.approx(np.unique(wanted.round(4), axis=0), abs=2e-4)
        now = np.count_nonzero(wanted[:, 4] == 0)
        assert count == pytest.approx(np.log1p([now, len(wanted) - now]))


def test_of_many_returns_so_many_are_shown_none_twice_from_all_sides():
    returns = cloud(0, 100_000)
    place = np.array([[20.0, 3.0]])
    shown, counts = returns_of(place, np.array([5.0]), place - 1.0, returns)
    assert np.expm1(counts[0, 0]) == pytest.approx(len(near(returns, place[0], 5.0)))
    assert len(np.unique(shown[0], axis=0)) == RETURNS
    quarters = shown[0, :, :2] > 1.0
    assert {tuple(one) for one in quarters} == {(False, False), (False, True), (True, False), (True, True)}


def test_where_nothing_returned_all_is_zero():
    shown, counts = returns_of(np.array([[20.0, 3.0]]), np.array([2.0]), np.zeros((1, 2)), cloud(0, 0))
    assert shown.shape == (1, RETURNS, RETURN)
    assert not shown.any()
    assert not counts.any()
