"""Peaks to candidates, and the coarse grid, on maps made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avstack.perception import bev
from avstack.perception.bev import X0, Y0
from avstack.perception.classes import Class
from avstack.perception.coarse import coarse_grid
from avstack.perception.decode import decode
from avstack.perception.maps import (
    AROUND,
    COARSE_OUT,
    COLUMNS,
    COS,
    COS2,
    DX,
    HEADS,
    HEAT,
    LOG_LENGTH,
    LOG_VARIANCES,
    LOG_WIDTH,
    OUTPUTS,
    RICH_OUT,
    ROWS,
    SIDE,
    SIN,
    SIN2,
    SOLID,
    VX,
)

NOTHING = np.zeros((0, 2), np.float32)


def empty() -> np.ndarray:
    maps = np.zeros((ROWS, COLUMNS, OUTPUTS), np.float32)
    for head in range(HEADS):
        maps[..., head * RICH_OUT : head * RICH_OUT + len(Class)] = -9.0
    maps[..., OUTPUTS - COARSE_OUT + AROUND] = -9.0
    return maps


def put(
    maps: np.ndarray, row: int, column: int, label: Class, heading: float = 0.3, sure: float = 1.0, heat: float = 3.0
) -> None:
    """A thing of 4 by 2 m at 5 m/s in the middle of a cell, in all heads."""
    for head in range(HEADS):
        cell = maps[row, column, head * RICH_OUT : (head + 1) * RICH_OUT]
        cell[HEAT + label] = heat
        cell[LOG_LENGTH], cell[LOG_WIDTH], cell[VX] = math.log(4.0), math.log(2.0), 5.0
        cell[SIN], cell[COS] = sure * math.sin(heading), sure * math.cos(heading)
        cell[SIN2], cell[COS2] = math.sin(2 * heading), math.cos(2 * heading)
        cell[LOG_VARIANCES : LOG_VARIANCES + 7] = math.log(0.04)


@pytest.mark.parametrize("heading", [-3.0, -1.6, 0.0, 0.3, 1.5, 1.6, 3.1])
def test_a_peak_is_read(heading):
    maps = empty()
    put(maps, 60, 30, Class.VEHICLE, heading, sure=0.8)
    (one,) = decode(maps, NOTHING)
    assert one["mean"] == pytest.approx([X0 + 60.5 * SIDE, Y0 + 30.5 * SIDE, heading, 5.0, 0.0, 4.0, 2.0], abs=1e-5)
    assert one["variance"] == pytest.approx([0.04, 0.04, 0.04, 0.04, 0.04, 0.64, 0.16], rel=1e-4)
    assert one["spread"] == pytest.approx(np.zeros(7), abs=1e-9)
    assert one["flip"] == pytest.approx(0.1, abs=1e-5)
    assert one["heat"][Class.VEHICLE] == pytest.approx(1.0 / (1.0 + math.exp(-3.0)), rel=1e-5)


def test_heads_that_differ_spread():
    maps = empty()
    put(maps, 60, 30, Class.CONE)
    maps[60, 30, RICH_OUT + DX] = 0.3
    maps[60, 30, RICH_OUT + HEAT + Class.CONE] = 0.0
    (one,) = decode(maps, NOTHING)
    assert one["spread"][0] == pytest.approx(np.var([0.0, 0.3, 0.0]), rel=1e-4)
    assert one["disagreement"] > 0.1


def test_one_thing_is_found_once_and_keeps_what_else_it_may_be():
    maps = empty()
    put(maps, 60, 30, Class.VEHICLE)
    put(maps, 61, 30, Class.TRUCK, heat=1.0)
    put(maps, 60, 50, Class.PEDESTRIAN)
    found = decode(maps, NOTHING)
    assert [int(one["best"]) for one in found] == [Class.VEHICLE, Class.PEDESTRIAN]
    assert found[0]["heat"][Class.TRUCK] == pytest.approx(1.0 / (1.0 + math.exp(-1.0)), rel=1e-5)
    assert found[1]["heat"][Class.TRUCK] < 0.01


def test_returns_inside_a_box_are_counted():
    maps = empty()
    put(maps, 60, 30, Class.VEHICLE, 0.0)
    x, y = X0 + 60.5, Y0 + 30.5
    inside, outside = [[x + 1.9, y + 0.9], [x, y]], [[x + 3.0, y], [x, y + 2.0]]
    assert decode(maps, np.array(inside + outside, np.float32))[0]["points"] == 2


def test_nothing_is_found_in_empty_maps():
    assert len(decode(empty(), NOTHING)) == 0


def features_with(*cells: tuple[int, int, int, int]) -> np.ndarray:
    """Features of fine cells (i, j) with so many returns now and in the sweep before."""
    features = np.zeros((*bev.SHAPE, bev.CHANNELS), np.float32)
    for i, j, now, before in cells:
        features[i, j, bev.BINS + 2], features[i, j, bev.PAST_COUNT] = math.log1p(now), math.log1p(before)
    return features


def test_what_stands_and_stood_blocks_and_what_came_up_just_now_does_not():
    maps = empty()
    grid = coarse_grid(maps, features_with((100, 80, 3, 3), (120, 80, 3, 0)), 0.5)
    assert np.argwhere(grid.blocked).tolist() == [[50, 40]]
    maps[50, 40, OUTPUTS - COARSE_OUT + SOLID] = -5.0  # the model is sure that it is thin
    assert not coarse_grid(maps, features_with((100, 80, 3, 3)), 0.5).blocked.any()


def test_the_learned_answer_blocks_by_its_threshold():
    maps = empty()
    maps[30, 20, OUTPUTS - COARSE_OUT + AROUND] = 0.0
    assert coarse_grid(maps, features_with(), 0.5).blocked[30, 20]
    assert not coarse_grid(maps, features_with(), 0.51).blocked.any()
