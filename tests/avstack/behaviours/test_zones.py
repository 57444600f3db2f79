"""Tables of two paths against brute force over the boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avstack.behaviours.atlas import sampled
from avstack.behaviours.zones import AXLE_TO_CENTRE, PAIR_DTYPE, ROW, fill_table, find_zone
from sim.geometry import boxes_overlap

CAR, TRUCK = (5.0, 2.1), (9.0, 2.6)


def line(x0: float, y0: float, heading: float, length: float):
    s = np.arange(0.0, length + 0.1, 1.0)
    return sampled(np.stack([x0 + s * math.cos(heading), y0 + s * math.sin(heading)], axis=1), np.full(len(s), 10.0))


def arc(radius: float, turn: float):
    angle = np.linspace(0.0, turn, 40)
    xy = np.stack([radius * np.sin(angle), radius * (1.0 - np.cos(angle))], axis=1)
    return sampled(xy, np.full(40, 10.0))


def overlaps(path, k: int, size, other, m: int, other_size) -> bool:
    boxes = []
    for rows, index, (length, width) in ((path, k, size), (other, m, other_size)):
        turn = math.asin(min(max(rows[index, 5] * AXLE_TO_CENTRE * length, -0.7), 0.7))
        heading = math.atan2(rows[index, 3], rows[index, 2]) - turn
        boxes += [rows[index, 0], rows[index, 1], math.cos(heading), math.sin(heading), 0.5 * length, 0.5 * width]
    return bool(boxes_overlap(*boxes))


PAIRS = {
    "crossing": (line(-20.0, 0.0, 0.0, 40.0), line(3.0, -20.0, math.pi / 2, 40.0)),
    "slanting": (line(-20.0, 0.0, 0.0, 40.0), line(-18.0, -9.0, 0.6, 40.0)),
    "following": (line(0.0, 0.0, 0.0, 40.0), line(5.2, 0.1, 0.0, 30.0)),
    "oncoming": (line(0.0, 0.0, 0.0, 40.0), line(40.2, 1.0, math.pi, 40.0)),
    "turning": (arc(8.0, math.pi / 2), line(-15.0, 8.0, 0.0, 40.0)),
    "apart": (line(0.0, 0.0, 0.0, 20.0), line(0.0, 30.0, 0.0, 20.0)),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("size", [CAR, TRUCK])
def test_every_row_agrees_with_brute_force(name, size):
    path, other = PAIRS[name]
    table = np.empty((len(path), 2))
    hits = fill_table(path, size[0], size[1], other, CAR[0], CAR[1], table)
    found = 0
    for k in range(len(path)):
        blocked = [m for m in range(len(other)) if overlaps(path, k, size, other, m, CAR)]
        if blocked:
            found += 1
            first = blocked[0]
            last = next((m for m in range(first, len(other)) if m + 1 not in blocked), first)
            assert table[k, 0] == first * ROW
            assert table[k, 1] == last * ROW
        else:
            assert table[k, 0] > table[k, 1]
    assert found == hits
    assert (hits > 0) == (name != "apart")


def test_the_zone_of_a_right_angle_is_as_wide_as_the_boxes():
    path, other = PAIRS["crossing"]
    rows, back = np.empty((len(path), 2)), np.empty((len(other), 2))
    fill_table(path, *CAR, other, *CAR, rows)
    fill_table(other, *CAR, path, *CAR, back)
    record = np.zeros(1, PAIR_DTYPE)
    find_zone(rows, back, path, other, record)
    half = 0.5 * (CAR[0] + CAR[1])
    assert record["enter"][0] == pytest.approx(23.0 - half, abs=2.0 * ROW)
    assert record["leave"][0] == pytest.approx(23.0 + half, abs=2.0 * ROW)
    assert record["other_enter"][0] == pytest.approx(20.0 - half, abs=2.0 * ROW)
    assert record["along"][0] == pytest.approx(0.0, abs=1e-6)
    assert record["side"][0] == pytest.approx(1.0, abs=1e-6)
