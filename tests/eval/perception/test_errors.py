"""Measured errors of readings: what the `objects` level puts in comes out; errors that last are told from those that do not."""

import json

import numpy as np
import pytest

from eval.bench.tracking import scenes, watch_scene
from eval.perception.errors import correlation, errors_text, figures_of, gather
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
