"""Lines of sight from a sweep."""

import numpy as np

from avstack.perception.bev import BLOCK, SHAPE
from avstack.perception.sight import RETURNS, lines_of_sight, reach_of_rings
from sim.interface import SECTORS

GROUND = np.zeros((SHAPE[0] // BLOCK, SHAPE[1] // BLOCK), np.float32)


def points(*places):
    out = np.zeros((len(places), 5), np.float32)
    out[:, :3] = places
    return out


def wall(distance, height, count=10):
    return points(*[(distance, 0.1 + 0.01 * k, height) for k in range(count)])


def test_what_is_tall_ends_sight_and_what_is_low_does_not():
    assert lines_of_sight(wall(12.2, 1.5), GROUND, 60.0)[0] == 12.0
    assert lines_of_sight(wall(12.2, 0.5), GROUND, 60.0)[0] == 60.0
    assert lines_of_sight(wall(12.2, 4.0), GROUND, 60.0)[0] == 60.0


def test_sectors_go_round_counter_clockwise_from_straight_ahead():
    sight = lines_of_sight(points(*[(0.0, 9.1, 1.5)] * 5), GROUND, 60.0)
    assert np.flatnonzero(sight < 60.0).tolist() == [SECTORS // 4]


def test_single_flakes_hide_nothing():
    flakes = np.concatenate([wall(distance, 1.5, RETURNS - 1) for distance in (5.0, 15.0, 25.0)])
    assert lines_of_sight(flakes, GROUND, 60.0).min() == 60.0


def test_flakes_that_most_rays_pass_hide_nothing_and_a_wall_does():
    flakes = wall(5.2, 1.5, 2 * RETURNS)
    beyond = wall(20.0, 0.0, 4 * RETURNS)
    assert lines_of_sight(np.concatenate([flakes, beyond]), GROUND, 60.0)[0] == 60.0
    assert lines_of_sight(flakes, GROUND, 60.0)[0] == 5.0
    # what ends low nearer than twice as far has passed below
    below = wall(7.0, 0.0, 4 * RETURNS)
    assert lines_of_sight(np.concatenate([flakes, below]), GROUND, 60.0)[0] == 5.0


def test_with_half_of_the_rings_one_sees_half_as_far():
    assert reach_of_rings(0.04) == 0.5 * reach_of_rings(0.02)
    assert reach_of_rings(float("inf")) == 0.0


def test_heights_are_above_the_ground():
    assert lines_of_sight(wall(12.2, 1.5), GROUND + np.float32(1.2), 60.0)[0] == 60.0
