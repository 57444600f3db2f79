"""Centrelines of surveyed polylines become ones that a car can follow, and stay where they were."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, Point

from scenarios.formats.smooth_lines import MOST_M, smooth_lines, smoothed
from sim.interface import Floats
from sim.roads.assemble import assemble
from sim.roads.lane_map import LaneDraft, LaneKind, MapDraft
from sim.roads.resample import sample_lane


def lane(name: str, points: object, after: tuple[str, ...] = (), kind: LaneKind = LaneKind.DRIVING) -> LaneDraft:
    return LaneDraft(name=name, centreline=np.array(points, np.float64), half_width=1.75, successors=after, kind=kind)


def arc(radius: float, start: float, end: float, step_m: float) -> Floats:
    angles = np.linspace(start, end, max(2, round(abs(end - start) * radius / step_m) + 1))
    return np.stack([radius * np.sin(angles), radius * (1.0 - np.cos(angles))], axis=1)


def farthest(one: LaneDraft, other: LaneDraft) -> float:
    """Greatest distance of the first one's points from the other's line, in plan."""
    line = LineString(np.asarray(other.centreline)[:, :2])
    return max(line.distance(Point(point)) for point in np.asarray(one.centreline)[:, :2])


@st.composite
def networks(draw: st.DrawFn) -> list[LaneDraft]:
    """A lane that forks into two, points of all of them off by some decimetres."""
    noise = st.floats(-0.4, 0.4)
    points = [np.array([12.0 * k, draw(noise)]) for k in range(draw(st.integers(2, 6)))]
    ahead = [points[-1] + np.array([9.0 * k, 2.0 * k + draw(noise)]) for k in range(1, 5)]
    aside = [points[-1] + np.array([8.0 * k, -1.0 * k * k + draw(noise)]) for k in range(1, 4)]
    return [lane("a", points, ("b", "c")), lane("b", [points[-1], *ahead]), lane("c", [points[-1], *aside])]


@settings(max_examples=60, deadline=None)
@given(networks(), st.floats(-math.pi, math.pi))
def test_no_point_moves_far_and_joints_stay_joined(drafts: list[LaneDraft], turn: float) -> None:
    before, after, other = smooth_lines(drafts)
    for old, new in zip(drafts, (before, after, other), strict=True):
        assert farthest(new, old) <= MOST_M + 1e-9
    for following in (after, other):
        assert np.array_equal(before.centreline[-1], following.centreline[0])
    kink = abs(sample_lane(before, (0, 0))[0]["heading"][-1] - sample_lane(after, (0, 0))[0]["heading"][0])
    assert kink < 0.1
    spin = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    moved = [lane(one.name, np.asarray(one.centreline) @ spin.T + 300.0, one.successors) for one in drafts]
    assert np.allclose(smooth_lines(moved)[0].centreline, np.asarray(before.centreline) @ spin.T + 300.0, atol=1e-6)


def test_a_surveyed_motorway_bends_as_it_was_built() -> None:
    rng = np.random.default_rng(3)
    line = arc(800.0, 0.0, 0.4, 15.0)
    drafts = [lane("a", line[:12] + rng.normal(0.0, 0.05, (12, 2)))]
    kinked = sample_lane(drafts[0], (0, 0))[0]["curvature"]
    curvature = sample_lane(smooth_lines(drafts)[0], (0, 0))[0]["curvature"]
    assert np.abs(kinked).max() > 0.01
    assert np.abs(curvature - 1.0 / 800.0).max() < 0.002


def test_arcs_and_straights_stay() -> None:
    straight, bend = lane("s", [[-60.0, 0.0], [0.0, 0.0]], ("b",)), lane("b", arc(30.0, 0.0, 1.2, 1.0))
    after = smooth_lines([straight, bend])
    assert np.abs(after[0].centreline[:, 1]).max() < MOST_M  # it swings out a little before the bend
    assert np.abs(after[0].centreline[:20, 1]).max() < 0.02
    middle = slice(12, -4)
    curvature = sample_lane(after[1], (0, 0))[0]["curvature"][2 * 12 : -8]
    assert np.allclose(curvature, 1.0 / 30.0, atol=0.004)
    assert np.hypot(*(after[1].centreline[middle] - [0.0, 30.0]).T).max() < 30.05


def test_columns_stop_lines_and_heights_go_along_and_foot_paths_stay() -> None:
    line = np.array([[0.0, 0.0, 1.0], [20.0, 0.4, 2.0], [40.0, 0.0, 3.0]])
    wide = LaneDraft(name="a", centreline=line, half_width=np.array([1.5, 1.75, 2.0]), stop_s=38.0)
    path = lane("p", [[0.0, 5.0], [20.0, 5.6], [40.0, 5.0]], kind=LaneKind.SIDEWALK)
    first, second = smooth_lines([wide, path])
    assert second is path
    assert np.allclose(np.asarray(first.half_width)[[0, 20, 40]], [1.5, 1.75, 2.0])
    assert np.allclose(first.centreline[[0, 20, 40], 2], [1.0, 2.0, 3.0], atol=0.01)
    assert abs((first.stop_s or 0.0) - 38.0) < 0.1


def test_what_was_road_stays_road() -> None:
    line = [[0.0, 0.0], [20.0, 0.6], [40.0, 0.0], [60.0, 0.6]]
    rigid, smooth = (assemble(one) for one in (_draft(line), smoothed(_draft(line))))
    for name, side in (("room_left", 1.0), ("room_right", -1.0)):
        points = smooth.lane_points(0)
        edge = np.stack([points["x"] - side * points[name] * points["sin"], points["y"] + side * points[name] * points["cos"]])
        old = rigid.lane_points(0)
        near = np.hypot(edge[0][:, None] - old["x"], edge[1][:, None] - old["y"]).argmin(axis=1)
        across = (edge[1] - old["y"][near]) * old["cos"][near] - (edge[0] - old["x"][near]) * old["sin"][near]
        assert np.all(side * across > 1.75 - 0.15)


def _draft(line: list[list[float]]) -> MapDraft:
    return MapDraft(name="m", lanes=[lane("a", line)])
