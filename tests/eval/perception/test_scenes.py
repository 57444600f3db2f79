"""Scenes and samples: reproducible, true to the world, and without anything that is held out."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from avstack.perception import bev
from avstack.perception.maps import SIDE
from eval.perception.samples import BLOCKED, THIN, boxes_of, grid_of, read_samples, sample_of, write_samples
from eval.perception.scenes import PLACED, TRAFFIC, views_of
from eval.perception.splits import CONDITIONS, SPLITS
from eval.perception.targets import WINDOW, targets_of, window_of
from scenarios.catalogue import FAMILIES
from sim.sensors.things import HELD_OUT_KINDS, HELD_OUT_WEATHER, THING_NAMES

SEED = 6_000_000  # of no split


@pytest.fixture(scope="module")
def views():
    return list(views_of(SEED, None, 2))


@pytest.fixture(scope="module")
def samples(views):
    return [sample_of(view, SEED) for view in views]


def test_splits_share_no_scene():
    ranges = sorted((split.first, split.first + split.scenes) for split in SPLITS.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))


def test_only_the_test_has_what_is_held_out():
    assert not {name for _, name, *_ in PLACED} & set(HELD_OUT_KINDS)
    for name, split in SPLITS.items():
        for condition in (CONDITIONS[one] for one in split.conditions):
            held_out = condition.things or condition.weather in HELD_OUT_WEATHER or condition.lidar.beams != 32
            assert not held_out or name == "test", name
    assert set(SPLITS["test"].conditions) == set(CONDITIONS)


def words(tree) -> list[str]:
    """All texts of a tree."""
    if isinstance(tree, str):
        return [tree]
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [word for one in inside for word in words(one)]


@pytest.mark.parametrize("name", TRAFFIC)
def test_no_traffic_brings_what_is_held_out(name):
    assert not set(words(FAMILIES[name].tree)) & set(HELD_OUT_KINDS)


def test_held_out_things_are_found_in_a_tree():
    assert "couch" in words({"a": [{"thing": "couch"}]})


@pytest.mark.parametrize("condition", ["held_out", "beams16"])
def test_the_test_does_have_it(condition):
    (view,) = views_of(SEED, CONDITIONS[condition], 1)
    if condition == "beams16":
        assert len(view.sweeps[-1].points) < 16 * CONDITIONS[condition].lidar.columns
    else:
        assert {THING_NAMES[int(thing)] for thing in boxes_of(view)["thing"] if thing >= 0} & set(HELD_OUT_KINDS)


def test_a_scene_is_the_same_twice_and_another_seed_another_one(views):
    again = list(views_of(SEED, None, 2))
    for one, other in zip(views, again, strict=True):
        assert all(a.points.tobytes() == b.points.tobytes() for a, b in zip(one.sweeps, other.sweeps, strict=True))
    (different,) = views_of(SEED + 1, None, 1)
    assert different.sweeps[0].points.tobytes() != views[0].sweeps[0].points.tobytes()


def test_returns_from_a_body_lie_in_its_box(views):
    found = 0
    for view in views:
        boxes, sweep = boxes_of(view), view.sweeps[-1]
        slots = np.flatnonzero(view.bodies["status"] == 1)
        for box in boxes[boxes["points"] > 3]:
            near = [a for a in slots if sweep.counts[a] == box["points"] and view.bodies["length"][a] == box["length"]]
            if len(near) != 1 or abs(box["vx"]) + abs(box["vy"]) > 0.5:
                continue
            points = sweep.points[sweep.hits == near[0]]
            dx, dy = points[:, 0] - box["x"], points[:, 1] - box["y"]
            along = dx * math.cos(box["heading"]) + dy * math.sin(box["heading"])
            assert np.median(np.abs(along)) <= 0.5 * box["length"] + 0.2
            found += 1
    assert found > 0


def test_cells_of_solid_bodies_block_and_those_of_thin_ones_do_not(samples):
    for sample in samples:
        for box in sample.boxes[sample.boxes["points"] > 0]:
            cell = int((box["x"] - bev.X0) / SIDE), int((box["y"] - bev.Y0) / SIDE)
            assert sample.around[cell] in ((BLOCKED,) if box["solid"] else (BLOCKED, THIN))


def test_samples_survive_being_written(samples, tmp_path):
    write_samples(tmp_path / "a.npz", samples)
    for one, other in zip(samples, read_samples(tmp_path / "a.npz"), strict=True):
        assert np.array_equal(grid_of(one).features, grid_of(other).features)
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.hidden, other.hidden)
        assert (one.scene, one.weather) == (other.scene, other.weather)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_targets_are_at_the_things_and_a_window_cuts_them_out(samples):
    whole = targets_of(samples[0])
    hot = np.argwhere(whole.heat == 1.0)
    visible = samples[0].boxes[samples[0].boxes["points"] > 0]
    assert 0 < len(hot) <= len(visible)
    part = window_of(whole, np.random.default_rng(1))
    assert part.heat.shape[1:] == WINDOW
    assert part.features.shape[:2] == (2 * WINDOW[0], 2 * WINDOW[1])
    assert ((part.rows >= 0) & (part.rows < WINDOW[0]) & (part.columns >= 0) & (part.columns < WINDOW[1])).all()


def test_a_mirrored_sample_is_the_sample_of_the_mirrored_world(samples):
    plain = targets_of(samples[0])
    for seed in range(20):
        mirrored = targets_of(samples[0], np.random.default_rng(seed))
        if not np.array_equal(mirrored.heat, plain.heat):
            break
    assert np.allclose(mirrored.heat[:, :, ::-1], plain.heat, atol=1e-4)
    assert np.array_equal(mirrored.features[:, ::-1, bev.TOP], plain.features[..., bev.TOP])
    assert np.array_equal(mirrored.features[:, ::-1, bev.OFFSET + 1], -plain.features[..., bev.OFFSET + 1])
    assert sorted(mirrored.means[:, 9].tolist()) == pytest.approx(sorted((-plain.means[:, 9]).tolist()))
