"""Peaks to proposals, what the second stage says of them to candidates, and the coarse grid, on numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avstack.perception import bev
from avstack.perception.bev import CELL, X0, Y0
from avstack.perception.classes import Class
from avstack.perception.coarse import coarse_grid
from avstack.perception.decode import MOST, asked_of, propose, settle
from avstack.perception.maps import (
    ABOUT,
    AROUND,
    COARSE,
    COLUMNS,
    CONTEXT,
    COS,
    COS2,
    CROP,
    CROP_CHANNELS,
    DX,
    DY,
    HEADS,
    HEAT,
    LOG_LENGTH,
    LOG_WIDTH,
    NOTHING,
    OUTPUTS,
    RETURN,
    RETURNS,
    RICH_OUT,
    ROWS,
    SAID,
    SAID_MEANS,
    SAID_VARIANCES,
    SIDE,
    SIN,
    SIN2,
    SOLID,
    VX,
)

NO_POINTS = np.zeros((0, 2), np.float32)
FEATURES = np.zeros((*bev.SHAPE, bev.CHANNELS), np.float32)


def empty() -> np.ndarray:
    maps = np.zeros((ROWS, COLUMNS, OUTPUTS), np.float32)
    maps[..., : len(Class)] = -9.0
    maps[..., COARSE + AROUND] = -9.0
    return maps


def write_box(means: np.ndarray, heading: float, sure: float) -> None:
    """Means of a thing of 4 by 2 m at 5 m/s."""
    means[LOG_LENGTH], means[LOG_WIDTH], means[VX] = math.log(4.0), math.log(2.0), 5.0
    means[SIN], means[COS] = sure * math.sin(heading), sure * math.cos(heading)
    means[SIN2], means[COS2] = math.sin(2 * heading), math.cos(2 * heading)


def put(maps: np.ndarray, row: int, column: int, label: Class, heading: float = 0.3, heat: float = 3.0) -> None:
    """A thing of 4 by 2 m at 5 m/s in the middle of a cell, as the first stage has it."""
    cell = maps[row, column]
    cell[HEAT + label] = heat
    write_box(cell[len(Class) :], heading, 1.0)


def said_of(*labels: int, heading: float = 0.3, sure: float = 1.0) -> np.ndarray:
    """What the second stage says: of each proposal its class or NOTHING, nearly surely; all are of one size."""
    said = np.zeros((HEADS, len(labels), SAID), np.float32)
    for head in said:
        for own, label in zip(head, labels, strict=True):
            own[label] = 8.0
            write_box(own[SAID_MEANS:], heading, sure)
            own[SAID_VARIANCES:] = math.log(0.04)
    return said


def test_a_peak_is_proposed():
    maps = empty()
    put(maps, 60, 30, Class.VEHICLE)
    (one,) = propose(maps)
    assert one["mean"] == pytest.approx([X0 + 60.5 * SIDE, Y0 + 30.5 * SIDE, 0.3, 5.0, 0.0, 4.0, 2.0], abs=1e-5)
    assert (one["row"], one["column"], one["best"]) == (60, 30, Class.VEHICLE)


def test_what_may_be_of_many_classes_is_proposed_once():
    maps = empty()
    put(maps, 60, 30, Class.CONE, heat=-3.5)
    assert len(propose(maps)) == 0
    put(maps, 60, 30, Class.PEDESTRIAN, heat=-3.5)  # neither is likely, that it is one of them is
    assert len(propose(maps)) == 1


def test_the_warmest_are_proposed_first_and_no_more_than_so_many():
    maps = empty()
    for row in range(2, ROWS, 3):
        for column in range(2, COLUMNS, 3):
            put(maps, row, column, Class.CONE, heat=0.01 * row)
    found = propose(maps)
    assert len(found) == MOST
    assert (np.diff(found["heat"].max(axis=1)) <= 1e-6).all()


def test_a_crop_is_centred_on_its_proposal_and_zero_outside_the_grid():
    maps = empty()
    put(maps, 0, 40, Class.CONE)
    maps[0, 40, len(Class) + DX] = 0.2
    features = FEATURES.copy()
    features[..., 0] = np.arange(bev.SHAPE[0])[:, None] + 1
    returns = np.array([[X0 + 1.0, Y0 + 40.25, 0.8, 0.5, 0.0], [X0 + 9.0, Y0 + 40.5, 0.8, 0.5, 0.0]], np.float32)
    crops, near, about = asked_of(propose(maps), maps, features, returns)
    assert crops.shape == (1, CROP, CROP, CROP_CHANNELS)
    assert about.shape == (1, ABOUT)
    assert near.shape == (1, RETURNS, RETURN)
    # of returns the near one alone, from the middle of the crop
    assert near[0, 0] == pytest.approx([0.5, -0.25, 0.8, 0.5, 0.0])
    assert (near[0] == near[0, 0]).all()
    assert about[0, CONTEXT + RICH_OUT] == pytest.approx(math.log(2.0))
    # 0.7 m into the grid: the middle of the crop is after the first cell
    assert crops[0, :, 0, 0].tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7]
    assert about[0, CONTEXT + len(Class) + DX] == pytest.approx(0.7 - CELL)


@pytest.mark.parametrize("heading", [-3.0, -1.6, 0.0, 0.3, 1.5, 1.6, 3.1])
def test_what_the_second_stage_says_is_read(heading):
    maps = empty()
    put(maps, 60, 30, Class.TRUCK)
    said = said_of(Class.VEHICLE, heading=heading, sure=0.8)
    said[:, 0, SAID_MEANS + DY] = 0.2
    (one,) = settle(propose(maps), said, NO_POINTS)
    # the middle of a cell of 1 m is the corner of four fine ones, the middle of the crop
    assert one["mean"] == pytest.approx([X0 + 60.5, Y0 + 30.7, heading, 5.0, 0.0, 4.0, 2.0], abs=1e-5)
    assert one["variance"] == pytest.approx([0.04, 0.04, 0.04, 0.04, 0.04, 0.64, 0.16], rel=1e-4)
    assert one["spread"] == pytest.approx(np.zeros(7), abs=1e-9)
    assert one["flip"] == pytest.approx(0.1, abs=1e-5)
    assert one["best"] == Class.VEHICLE
    assert one["heat"][Class.VEHICLE] == pytest.approx(1.0 / (1.0 + 8.0 * math.exp(-8.0)), rel=1e-5)


def test_heads_that_differ_spread():
    maps = empty()
    put(maps, 60, 30, Class.CONE)
    said = said_of(Class.CONE)
    said[1, 0, SAID_MEANS + DX] = 0.3
    said[1, 0, Class.CONE] = 0.0
    (one,) = settle(propose(maps), said, NO_POINTS)
    assert one["spread"][0] == pytest.approx(np.var([0.0, 0.3, 0.0]), rel=1e-4)
    assert one["disagreement"] > 0.1


def test_one_thing_is_found_once_and_nothing_is_left_out():
    maps = empty()
    put(maps, 60, 30, Class.VEHICLE)
    put(maps, 62, 30, Class.TRUCK, heat=1.0)
    put(maps, 60, 50, Class.PEDESTRIAN, heat=0.5)
    put(maps, 60, 60, Class.CONE, heat=0.4)
    said = said_of(Class.VEHICLE, Class.VEHICLE, Class.PEDESTRIAN, NOTHING)
    said[:, 1, SAID_MEANS + DX] = -1.9  # both are of one car
    proposals = propose(maps)
    assert len(proposals) == 4
    found = settle(proposals, said, NO_POINTS)
    assert [int(one["best"]) for one in found] == [Class.VEHICLE, Class.PEDESTRIAN]


def test_returns_inside_a_box_are_counted():
    maps = empty()
    put(maps, 60, 30, Class.VEHICLE, 0.0)
    x, y = X0 + 60.5, Y0 + 30.5
    inside, outside = [[x + 1.9, y + 0.9], [x, y]], [[x + 3.0, y], [x, y + 2.0]]
    found = settle(propose(maps), said_of(Class.VEHICLE, heading=0.0), np.array(inside + outside, np.float32))
    assert found[0]["points"] == 2


def test_nothing_is_found_in_empty_maps():
    assert len(settle(propose(empty()), said_of(), NO_POINTS)) == 0


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
    maps[50, 40, COARSE + SOLID] = -5.0  # the model is sure that it is thin
    assert not coarse_grid(maps, features_with((100, 80, 3, 3)), 0.5).blocked.any()


def test_the_learned_answer_blocks_by_its_threshold_where_something_returned():
    maps = empty()
    maps[30, 20, COARSE + AROUND] = 0.0
    one = features_with((61, 40, 1, 0))
    assert np.argwhere(coarse_grid(maps, one, 0.5).blocked).tolist() == [[30, 20]]
    assert not coarse_grid(maps, one, 0.51).blocked.any()
    assert not coarse_grid(maps, features_with(), 0.5).blocked.any()
