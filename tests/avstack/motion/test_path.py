"""Reference paths: on the lane, smooth, drivable; moves sideways of bounded lateral acceleration and jerk; projections."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avstack.config import PathConfig
from avstack.motion.path import (
    SPACING,
    Nudge,
    no_offsets,
    offset_profile,
    reference_path,
    shifted,
    sideways_length,
    slip_along,
)
from sim.geometry import arc_length
from sim.interface import SPECS, Kind, VehicleSpec
from sim.roads.route import Route, random_route, shortest_route
from tests.sim.roads.maps import built

SPEC, CONFIG = VehicleSpec(), PathConfig()
TURNS = ("north", "south", "west")


@functools.cache
def turning(to: str):
    road_map = built("four_way", control="all_way")
    route = shortest_route(road_map, road_map.lane("east_in_0"), road_map.lane(f"{to}_out_0"))
    return road_map, route, reference_path(road_map, route, SPEC, CONFIG)


@pytest.mark.parametrize("to", TURNS)
def test_it_stays_near_the_centreline_and_joins_everything(to):
    road_map, route, path = turning(to)
    points = np.concatenate([road_map.lane_points(lane) for lane in route.lanes])
    apart = [np.abs(path.project(float(p["x"]), float(p["y"]))[1]) for p in points[::5]]
    assert max(apart) <= CONFIG.smooth_room + 0.02
    assert np.abs(np.diff(arc_length(np.stack([path.x, path.y], axis=1))) - SPACING).max() < 0.01
    assert path.goal_s == pytest.approx(path.length, abs=SPACING)


@pytest.mark.parametrize("to", TURNS)
def test_smoothing_bends_more_gently(to):
    road_map, route, path = turning(to)
    raw = reference_path(road_map, route, SPEC, PathConfig(smooth_room=0.02))
    assert np.abs(np.diff(path.curvature)).max() <= np.abs(np.diff(raw.curvature)).max() + 1e-9
    assert np.sum(np.diff(path.curvature) ** 2) <= np.sum(np.diff(raw.curvature) ** 2) + 1e-12


@pytest.mark.parametrize("to", TURNS)
def test_caps_keep_lateral_acceleration_and_the_speed_limit(to):
    _, _, path = turning(to)
    assert np.all(path.caps**2 * np.abs(path.curvature) <= CONFIG.lateral_accel + 1e-6)
    assert np.all(path.caps <= path.speed_limit + 1e-9)
    bend = np.abs(np.gradient(path.curvature, SPACING))
    assert np.all(path.caps**3 * bend <= CONFIG.lateral_jerk * (1.0 + 1e-6))


@given(st.floats(0.5, 170.0), st.floats(-2.0, 2.0), st.sampled_from(TURNS))
def test_projection_finds_s_and_d_back(s, d, to):
    _, _, path = turning(to)
    here = path.at(np.array([s]))
    x, y = float(here.x[0]) - d * np.sin(here.heading[0]), float(here.y[0]) + d * np.cos(here.heading[0])
    assert path.project(float(x), float(y), s + 3.0) == pytest.approx((s, d), abs=0.05)


def test_a_lane_change_of_the_route_is_part_of_the_path():
    road_map = built("straight", lanes=2)
    lanes = [k for k in range(len(road_map.lanes)) if road_map.lanes["left"][k] >= 0]
    route = Route(lanes=(lanes[0], int(road_map.lanes["left"][lanes[0]])), goal_s=float(road_map.lanes["length"][lanes[0]]))
    path = reference_path(road_map, route, SPEC, CONFIG)
    end = road_map.lane_points(route.lanes[1])[-1]
    assert path.project(float(end["x"]), float(end["y"]))[1] == pytest.approx(0.0, abs=0.05)
    begin = road_map.lane_points(route.lanes[0])[0]
    assert path.project(float(begin["x"]), float(begin["y"]))[1] == pytest.approx(0.0, abs=0.05)
    assert np.abs(path.curvature).max() < 0.05


@given(st.floats(-2.0, 2.0), st.floats(1.0, 20.0), st.floats(0.0, 150.0), st.floats(1.0, 40.0), st.floats(0.0, 60.0))
def test_a_nudge_is_there_in_time_returns_and_keeps_its_limits(offset, speed, ahead, length, s):
    nudge = Nudge(start=s + ahead, end=s + ahead + length, offset=offset)
    offsets = offset_profile(s, speed, no_offsets(), (nudge,), CONFIG)
    grid = np.arange(s, s + 600.0, 0.1)
    d, slope, bend = offsets.at(grid)
    assert (d[0], slope[0]) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert d[-1] == pytest.approx(0.0, abs=1e-9)
    if ahead > sideways_length(offset, speed, CONFIG):
        assert d[(grid > nudge.start + 0.01) & (grid < nudge.end - 0.01)] == pytest.approx(offset, abs=1e-6)
    assert np.abs(bend).max() * speed**2 <= CONFIG.nudge_accel * 1.01
    assert np.abs(np.gradient(bend, 0.1))[2:-2].max() * speed**3 <= CONFIG.nudge_jerk * 1.1 + 0.02 * speed**3 * np.abs(bend).max()
    assert np.abs(np.diff(d)).max() < 0.2


def test_a_changed_mind_joins_the_move_under_way():
    first = offset_profile(0.0, 8.0, no_offsets(), (Nudge(start=30.0, end=60.0, offset=1.0),), CONFIG)
    for s in np.arange(0.0, 100.0, 7.0):
        changed = offset_profile(float(s), 8.0, first, (), CONFIG)
        for one, two in zip(first.at(np.array([s])), changed.at(np.array([s])), strict=True):
            assert two == pytest.approx(one, abs=1e-9)
        assert changed.at(np.array([s + 80.0]))[0] == pytest.approx(0.0, abs=1e-9)


def test_the_same_nudges_leave_the_move_alone():
    nudges = (Nudge(start=30.0, end=60.0, offset=1.0),)
    first = offset_profile(0.0, 8.0, no_offsets(), nudges, CONFIG)
    assert offset_profile(10.0, 9.0, first, nudges, CONFIG) is first


def test_a_shifted_line_has_the_curvature_of_its_points():
    _, _, path = turning("south")
    offsets = offset_profile(0.0, 5.0, no_offsets(), (Nudge(start=70.0, end=90.0, offset=0.7),), CONFIG)
    s = np.arange(40.0, 120.0, 0.05)
    place, stretch = shifted(path, s, offsets)
    ds = np.hypot(np.diff(place.x), np.diff(place.y))
    assert np.abs(ds / 0.05 - 0.5 * (stretch[1:] + stretch[:-1])).max() < 0.02
    turned = np.diff(np.unwrap(place.heading)).cumsum()
    assert turned[-1] == pytest.approx(np.sum(0.5 * (place.curvature[1:] + place.curvature[:-1]) * ds), abs=0.02)


@given(st.floats(-0.3, 0.3), st.floats(0.3, 3.0))
def test_slip_on_a_circle_is_that_of_a_steady_turn(curvature, reach):
    slip = slip_along(np.full(200, curvature), 0.25, reach)
    assert slip[-1] == pytest.approx(np.arcsin(np.clip(curvature * reach, -0.9, 0.9)), abs=1e-6)


@settings(max_examples=15)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["roundabout", "grid_town", "t_junction", "merge"]),
    st.sampled_from([Kind.CAR, Kind.BUS]),
)
def test_random_routes_have_finite_paths(seed, name, kind):
    road_map = built(name)
    path = reference_path(road_map, random_route(road_map, seed, 150.0), SPECS[kind], CONFIG)
    for values in (path.x, path.y, path.heading, path.curvature, path.caps):
        assert np.all(np.isfinite(values))
    assert path.caps.min() > 0.5
    assert np.abs(path.curvature).max() < 0.4
