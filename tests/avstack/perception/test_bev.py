"""The bird's-eye grid: where points land, what the ground is, how earlier sweeps come in."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avstack.perception import bev
from avstack.perception.bev import BINS, CELL, CHANNELS, OFFSET, PAST_COUNT, SEEN, SHAPE, TOP, X0, Y0


def plane(slope: float = 0.0) -> np.ndarray:
    """Returns from a road that rises ahead by `slope`."""
    x, y = np.meshgrid(np.arange(-38.0, 78.0, 0.9), np.arange(-38.0, 38.0, 0.9), indexing="ij")
    ground = np.stack([x, y, slope * x, np.full_like(x, 0.2), np.zeros_like(x)], axis=-1)
    return ground.reshape(-1, 5).astype(np.float32)


def with_post(x: float, y: float, slope: float = 0.0) -> np.ndarray:
    """The road, and four returns from a post on it."""
    heights = np.array([0.5, 0.9, 1.5, 1.6])
    post = np.stack([np.full(4, x), np.full(4, y), slope * x + heights, np.full(4, 0.8), np.zeros(4)], axis=1)
    return np.concatenate([plane(slope), post.astype(np.float32)])


def cell_of(x: float, y: float) -> tuple[int, int]:
    return math.floor((x - X0) / CELL), math.floor((y - Y0) / CELL)


def test_a_post_is_in_its_cell_and_says_where_in_it():
    cell = bev.rasterise(with_post(20.1, -7.3)).features[cell_of(20.1, -7.3)]
    assert cell[BINS + 2 : TOP] == pytest.approx(np.log1p([1, 1, 2, 0]), abs=1e-6)
    assert cell[TOP] == pytest.approx(1.6, abs=0.02)
    assert cell[OFFSET] == pytest.approx((20.1 - 20.25) / CELL, abs=1e-4)
    assert cell[OFFSET + 1] == pytest.approx((-7.3 + 7.25) / CELL, abs=1e-4)
    assert cell[OFFSET + 2 : OFFSET + 4] == pytest.approx([0.8, 0.8])


@pytest.mark.parametrize("slope", [-0.07, 0.0, 0.07])
def test_a_slope_is_ground_and_what_stands_on_it_is_not(slope):
    grid = bev.rasterise(with_post(30.1, 4.2, slope))
    assert len(grid.standing) == 4
    assert grid.features[cell_of(30.1, 4.2)][TOP] == pytest.approx(1.6, abs=0.1)


def test_what_returned_near_the_same_place_in_an_earlier_sweep_is_told_from_what_did_not():
    places = np.array([[10.0, 0.0], [10.0, 3.0], [30.0, 0.0], [200.0, 0.0]], np.float32)
    before = np.array([[10.2, 0.1], [10.5, 3.0], [30.4, 0.0]], np.float32)
    assert bev.near_earlier(places, (before,)).tolist() == [True, False, True, False]
    assert bev.near_earlier(places, (before[:0], before[1:])).tolist() == [False, False, True, False]
    assert not bev.near_earlier(places, ()).any()
    assert len(bev.near_earlier(places[:0], (before,))) == 0


@pytest.mark.parametrize("seed", range(5))
def test_nearness_to_earlier_returns_is_that_of_all_distances(seed):
    draw = np.random.default_rng(seed)
    places, before = (draw.uniform((-38.0, -38.0), (78.0, 38.0), (400, 2)).astype(np.float32) for _ in range(2))
    away = np.hypot(*(places[:, None] - before[None]).transpose(2, 0, 1)).min(axis=1)
    reach = np.clip(bev.NEAR_SHARE * np.hypot(places[:, 0], places[:, 1]), bev.NEAR_EARLIER, CELL)
    assert bev.near_earlier(places, (before,)).tolist() == (away < reach).tolist()


def test_a_wall_is_no_slope():
    x = np.full(200, 15.0)
    wall = np.stack([x, np.linspace(-9, 9, 200), np.tile(np.linspace(0.1, 2.5, 20), 10), x * 0, x * 0], axis=1)
    grid = bev.rasterise(np.concatenate([plane(), wall.astype(np.float32)]))
    assert len(grid.standing) > 180


def rings(slope: float = 0.0) -> np.ndarray:
    """The road as 32 rings meet it: further ahead they lie ever further apart."""
    angle, r = np.meshgrid(np.linspace(-math.pi, math.pi, 720), [6.0, 8.0, 10.0, 13.0, 19.0, 26.0, 39.0, 79.0])
    x, y = (r * np.cos(angle)).ravel(), (r * np.sin(angle)).ravel()
    return np.stack([x, y, slope * x, np.full(x.size, 0.2), np.zeros(x.size)], axis=1).astype(np.float32)


@pytest.mark.parametrize(("ahead", "slope"), [(22.6, -0.03), (22.6, 0.03), (33.1, -0.03), (33.1, 0.0), (33.1, 0.03), (46.1, 0.0)])
def test_a_thing_between_the_rings_is_as_high_as_it_is(slope, ahead):
    x, y = np.full(6, ahead), np.linspace(-0.3, 0.3, 6)
    box = np.stack([x, y, slope * x + np.tile([0.55, 0.85], 3), x * 0.0 + 0.3, x * 0.0], axis=1).astype(np.float32)
    grid = bev.rasterise(np.concatenate([rings(slope), box]))
    assert len(grid.standing) == 6
    assert grid.features[cell_of(ahead, 0.1)][TOP] == pytest.approx(0.85, abs=0.1)


def test_what_is_not_finite_or_on_the_car_is_left_out():
    points = with_post(20.1, -7.3)
    bad = np.tile(points[-1:], (6, 1))
    bad[np.arange(5), np.arange(5)] = [np.nan, np.inf, -np.inf, np.nan, np.nan]
    bad[5, :3] = 0.5, 0.2, 1.0
    assert np.array_equal(bev.rasterise(np.concatenate([points, bad])).features, bev.rasterise(points).features)


def test_an_empty_sweep_is_an_empty_grid():
    grid = bev.rasterise(np.zeros((0, 5), np.float32))
    assert grid.features.shape == (*SHAPE, CHANNELS)
    assert not grid.features[..., : SEEN + 1].any()
    assert np.isfinite(grid.signal).all()


def test_earlier_sweeps_have_channels_of_their_own():
    earlier = np.array([[10.1, 0.1], [10.2, 0.1]], np.float32)
    features = bev.rasterise(plane(), [np.zeros((0, 2), np.float32), earlier]).features
    cell = features[cell_of(10.1, 0.1)]
    assert cell[PAST_COUNT + 3] == pytest.approx(math.log1p(2))
    assert cell[PAST_COUNT + 4] == pytest.approx((10.15 - 10.25) / CELL, abs=1e-4)
    assert not features[..., PAST_COUNT : PAST_COUNT + 3].any()


def test_a_place_behind_a_wall_is_not_seen():
    y = np.repeat(np.linspace(-6.0, 6.0, 240), 8)
    z = np.tile(np.linspace(0.1, 2.4, 8), 240)
    wall = np.stack([np.full_like(y, 12.0), y, z, y * 0, y * 0], axis=1).astype(np.float32)
    road = plane()
    hidden = (road[:, 0] > 12.0) & (np.abs(road[:, 1]) < 0.5 * road[:, 0])
    features = bev.rasterise(np.concatenate([road[~hidden], wall])).features
    assert features[cell_of(8.2, 0.2)][SEEN] == 1.0
    assert features[cell_of(25.2, 0.2)][SEEN] == 0.0


def test_moved_undoes_the_motion_of_the_ego():
    # a place 10 m ahead; the car drives 2 m and turns left by a quarter: it is then 8 m to the right
    assert bev.moved(np.array([[10.0, 0.0]], np.float32), (2.0, 0.0, 0.5 * math.pi)) == pytest.approx(
        np.array([[0.0, -8.0]]), abs=1e-5
    )
