"""Packing: every index of every map still points at the same thing."""

import numpy as np
import pytest

from sim.roads.lane_map import CLASSES
from sim.roads.pack import pack
from sim.roads.route import Route, RouteError, random_route, route_length, route_steps
from tests.sim.roads.maps import assembled, built, first_record, lane, pairs


def _square(x):
    return np.array([[x, 20.0], [x + 10.0, 20.0], [x + 10.0, 30.0], [x, 30.0]])


@pytest.fixture(scope="module")
def worlds():
    plain = assembled(lane("road", [[0, 0], [50, 0]]), scenery=[_square(0.0)])
    maps = [
        built("four_way", control="signal"),
        plain,
        built("grid_town", columns=2, rows=2),
        built("four_way", control="signal"),
        plain,
    ]
    routes = [[random_route(m, seed, 80.0) for seed in range(k)] for k, m in enumerate(maps, start=1)]
    return maps, routes, pack(maps, routes)


def test_equal_maps_are_packed_once(worlds):
    maps, _, packed = worlds
    assert packed.map_index.tolist() == [0, 1, 2, 0, 1]
    assert len(packed.roads.lanes) == sum(len(m.lanes) for m in maps[:3])
    assert packed.lane_base[3] == packed.lane_base[0]
    assert len(packed.roads.wall_start) == 4


def test_lanes_and_points_are_where_they_were(worlds):
    maps, _, packed = worlds
    roads = packed.roads
    for world, road_map in enumerate(maps):
        for index in range(len(road_map.lanes)):
            record = roads.lanes[packed.lane_base[world] + index]
            points = roads.points[record["point_start"] : record["point_start"] + record["point_count"]]
            assert (points == road_map.lane_points(index)).all()
            onward = roads.successors[record["successor_start"] : record["successor_start"] + record["successor_count"]]
            assert (onward - packed.lane_base[world] == road_map.lane_successors(index)).all()
            back = roads.predecessors[record["predecessor_start"] : record["predecessor_start"] + record["predecessor_count"]]
            assert all(packed.lane_base[world] + index in _successors(roads, int(n)) for n in back)
            own = road_map.lanes[index]
            for column in ("left", "right", "opposite"):
                assert record[column] == (own[column] + packed.lane_base[world] if own[column] >= 0 else -1)
            assert record["signal"] == (own["signal"] + packed.signal_base[world] if own["signal"] >= 0 else -1)


def _successors(roads, index):
    record = roads.lanes[index]
    return roads.successors[record["successor_start"] : record["successor_start"] + record["successor_count"]].tolist()


def test_conflicts_entries_and_signals_are_where_they_were(worlds):
    maps, _, packed = worlds
    roads = packed.roads
    for world in (0, 2):
        road_map, base = maps[world], int(packed.lane_base[world])
        for a, b in pairs(road_map):
            one, other = roads.lanes[base + a], roads.lanes[base + b]
            cluster = roads.clusters[one["cluster"]]
            assert one["cluster"] == other["cluster"]
            first = roads.cluster_matrix[cluster["matrix_start"] + one["local"] * cluster["size"] + other["local"]]
            for k in range(CLASSES * CLASSES):
                theirs, ours = road_map.conflicts[first_record(road_map, a, b) + k], roads.conflicts[first + k]
                assert ours["enter"] == theirs["enter"]
                rows = roads.conflict_rows[ours["row_start"] : ours["row_start"] + ours["row_count"]]
                assert (rows == road_map.conflict_rows[theirs["row_start"] : theirs["row_start"] + theirs["row_count"]]).all()
        for index in range(len(road_map.lanes)):
            own, record = road_map.lanes[index], roads.lanes[base + index]
            theirs = road_map.entries[own["entry_start"] : own["entry_start"] + own["entry_count"]]
            ours = roads.entries[record["entry_start"] : record["entry_start"] + record["entry_count"]]
            assert (ours["lane"] - base == theirs["lane"]).all()
        for number, signal in enumerate(road_map.signals):
            packed_signal = roads.signals[packed.signal_base[world] + number]
            assert (
                roads.phases[packed_signal["phase_start"]]["duration_s"] == road_map.phases[signal["phase_start"]]["duration_s"]
            )


def test_routes_read_the_same_steps(worlds):
    maps, routes, packed = worlds
    for world, road_map in enumerate(maps):
        for number, route in enumerate(routes[world]):
            record = packed.roads.routes[packed.route_base[world] + number]
            expected = route_steps(road_map, route)
            start = record["table_start"] + packed.lane_base[world] - record["lane_base"]
            steps = packed.roads.route_steps[start : start + len(road_map.lanes)]
            assert (steps["side"] == expected["side"]).all()
            assert (np.where(steps["next"] >= 0, steps["next"] - packed.lane_base[world], -1) == expected["next"]).all()
            assert record["goal_lane"] == packed.lane_base[world] + route.lanes[-1]
            assert record["length"] == pytest.approx(route_length(road_map, route), rel=1e-5)


def test_walls_are_the_sides_of_the_scenery(worlds):
    maps, _, packed = worlds
    start = packed.roads.wall_start
    walls = packed.roads.walls[start[1] : start[2]]
    assert len(walls) == 4
    outline = maps[1].scenery[0].astype(np.float32)
    assert (walls[:, :2] == outline).all()
    assert (walls[:, 2:] == np.roll(outline, -1, axis=0)).all()
    assert len(packed.roads.walls) == 4 + 4


def test_worlds_without_routes_pack_too():
    packed = pack([built("straight")], [[]])
    assert len(packed.roads.routes) == 0
    assert packed.roads.route_steps.dtype.names == ("next", "side", "to_goal")


def test_bad_input_is_refused():
    road_map = built("straight")
    with pytest.raises(ValueError, match="2 maps and 1 route lists"):
        pack([road_map, road_map], [[]])
    with pytest.raises(RouteError):
        pack([road_map], [[Route(lanes=(0, 1), goal_s=1.0)]])
