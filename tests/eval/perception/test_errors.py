"""Measured errors of readings: what the `objects` level puts in comes out; errors that last are told from those that do not."""

import json
from itertools import pairwise

import numpy as np
import pytest

from eval.bench.tracking import scenes, watch_scene
from eval.perception.errors import RANGES, _line, correlation, errors_text, figures_of, gather
from sim.interface import Kind
from sim.sensors.errors import ObjectErrors


@pytest.fixture(scope="module")
def figures():
    return figures_of(gather(watch_scene(scenario) for scenario in scenes(("four_way_chicken", "roundabout"), range(2))))


def test_the_errors_of_the_objects_level_are_found_again(figures):
    model, cars = ObjectErrors(), figures["kinds"]["car"]
    near = next(row for row in cars["by_range"] if row["from_m"] == 10.0)
    own = model.kinds[Kind.CAR]
    assert near["position"] == pytest.approx(own.position[0] + 15.0 * own.position[1], rel=0.5)
    base, slope = cars["by_metre"]["velocity"]
    assert base + 25.0 * slope == pytest.approx(own.velocity[0] + 25.0 * own.velocity[1], rel=0.15)
    assert near["found"] > 0.9
    assert figures["stated"]["position"] == pytest.approx(1.0, abs=0.3)
    assert figures["in_time"]["position"]["share"] == pytest.approx(model.share, abs=0.2)
    assert cars["reversed"] < 0.1
    assert json.loads(json.dumps(figures)) == figures
    assert "car:" in errors_text(figures)


def drift(share, time_s, count=4000, seed=3):
    random = np.random.default_rng(seed)
    keep = np.exp(-0.1 / time_s)
    state, rows = random.normal(), []
    for _ in range(count):
        state = keep * state + np.sqrt(1.0 - keep**2) * random.normal()
        rows.append([np.sqrt(share) * state + np.sqrt(1.0 - share) * random.normal()])
    keys = np.stack([np.zeros(count), np.zeros(count), np.arange(count)], axis=1)
    return np.array(rows), keys


def test_how_long_errors_last_is_told():
    found = correlation(*drift(0.7, 1.0))
    assert found is not None
    assert found["share"] == pytest.approx(0.7, abs=0.1)
    assert found["time_s"] == pytest.approx(1.0, rel=0.3)


def test_errors_that_do_not_last_have_no_share():
    found = correlation(*drift(0.0, 1.0))
    assert found is not None
    assert found["share"] < 0.15 or found["time_s"] < 0.1


def test_too_little_to_tell_is_no_figure():
    assert correlation(*drift(0.7, 1.0, count=5)) is None


@pytest.mark.parametrize(
    ("sigma", "line"),
    [
        (lambda r: 0.1 + 0.01 * r, [0.1, 0.01]),  # as it is
        (lambda r: 0.5 - 0.001 * r, [0.475, 0.0]),  # no error shrinks with range
        (lambda r: 0.02 * r - 0.05, [0.0, 0.0187]),  # nor is there one below none
    ],
)
def test_an_error_over_range_is_told_as_a_line_that_makes_sense(sigma, line):
    middles = [0.5 * (a + b) for a, b in pairwise(RANGES)]
    rows = [{"position": sigma(r), "there": 100} for r in middles]
    assert _line(rows, "position") == pytest.approx(line, rel=0.05)
    assert _line([{"position": None, "there": 3}] * len(middles), "position") is None
    assert _line([rows[0], *[{"position": None, "there": 3}] * (len(middles) - 1)], "position") == [sigma(middles[0]), 0.0]
