"""Shifts round what lies in the way: only round what really lies there, and giving way only where the lane is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avstack.behaviours import own_path
from avstack.behaviours.atlas import FOLLOWING, Atlas
from avstack.behaviours.hypotheses import on_foot, rests, ways
from avstack.behaviours.lateral import past_obstacles
from avstack.behaviours.scene import read_scene, start_seeing
from avstack.perception.percepts import THING_DTYPE, EgoEstimate, Percepts
from sim.interface import SPECS, Kind
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneKind
from sim.roads.route import shortest_route

CAR = SPECS[Kind.CAR]
SIZE = (5.0, 2.2)


@pytest.fixture(scope="module")
def junction():
    """Atlas of a route straight on over an all-way stop with crosswalks, and the ego's lanes."""
    road_map = assemble(BUILDERS["four_way"](control="all_way", crosswalks=True))
    names = list(road_map.lane_names)
    south = next(k for k, n in enumerate(names) if n.startswith("south") and road_map.lanes["stop_s"][k] >= 0.0)
    through = max(road_map.lane_successors(south), key=lambda n: -abs(float(np.sum(road_map.lane_points(int(n))["curvature"]))))
    route = shortest_route(road_map, south, int(road_map.lane_successors(int(through))[0]))
    return Atlas.of(road_map, route)


def thing_at(x: float, y: float, heading: float, kind: Kind, speed: float, size: tuple[float, float]) -> np.ndarray:
    thing = np.zeros(1, THING_DTYPE)
    thing["id"], thing["kind"], thing["existence"] = 7, kind, 1.0
    thing["x"], thing["y"], thing["heading"], thing["speed"] = x, y, heading, speed
    thing["vx"], thing["vy"] = speed * np.cos(heading), speed * np.sin(heading)
    thing["length"], thing["width"] = size
    thing["indicator"][0, 0] = 1.0
    thing["covariance"][0] = np.eye(7) * 0.04
    return thing


def look(atlas: Atlas, along: float, things: np.ndarray, seen=None):
    """The scene with the ego `along` metres down its first lane."""
    points = atlas.road_map.lane_points(atlas.route.lanes[0])
    point = points[int(along / float(atlas.road_map.lanes["spacing"][atlas.route.lanes[0]]))]
    pose = (float(point["x"]), float(point["y"]), float(point["heading"]))
    seen = seen or start_seeing(atlas, *pose)
    ego = EgoEstimate(
        x=pose[0], y=pose[1], heading=pose[2], covariance=np.eye(3) * 1e-6, speed=3.0, accel=0.0, yaw_rate=0.0, steer=0.0
    )
    percepts = Percepts(tick=5, ego=ego, things=things, signals=np.zeros(0, np.int32), observed_range=100.0)
    return read_scene(percepts, atlas, CAR, seen)


def ahead(atlas: Atlas, along: float, aside: float) -> tuple[float, float, float]:
    points = atlas.road_map.lane_points(atlas.route.lanes[0])
    point = points[int(along / float(atlas.road_map.lanes["spacing"][atlas.route.lanes[0]]))]
    heading = float(point["heading"])
    return float(point["x"]) - aside * np.sin(heading), float(point["y"]) + aside * np.cos(heading), heading


def test_whoever_moves_is_no_obstacle_whatever_it_is_taken_for():
    lying, walking = (thing_at(0.0, 0.0, 0.0, Kind.OBJECT, speed, (0.5, 0.6))[0] for speed in (0.1, 1.4))
    rolling = thing_at(0.0, 0.0, 0.0, Kind.OBJECT, 3.0, (4.0, 1.8))[0]
    assert rests(lying)
    assert not on_foot(lying)
    assert not rests(walking)
    assert on_foot(walking)
    assert not rests(rolling)
    assert not on_foot(rolling)


def test_a_shift_ahead_is_given_up_once_nothing_lies_there_and_finished_where_it_has_begun(junction):
    x, y, heading = ahead(junction, 45.0, -1.2)
    box = thing_at(x, y, heading, Kind.OBJECT, 0.0, (1.0, 1.0))
    scene, seen = look(junction, 15.0, box)
    shifted = past_obstacles(junction, scene, CAR)
    assert shifted is not None
    assert len(shifted.shifts) == 1
    seen = replace(seen, recipe=shifted)
    again, _ = look(junction, 15.0, box, seen)
    assert past_obstacles(junction, again, CAR) is None
    gone, _ = look(junction, 15.0, box[:0], seen)
    assert past_obstacles(junction, gone, CAR) == replace(shifted, shifts=())
    beside, _ = look(junction, 40.0, box[:0], seen)
    assert past_obstacles(junction, beside, CAR) is None


def test_a_path_gives_way_where_it_leaves_its_lane_and_nowhere_else(junction):
    lanes = junction.road_map.lanes
    plain = own_path.begin_recipe(junction, *ahead(junction, 5.0, 0.0))
    # into the lane of those who come the other way, well before the junction
    shifted = replace(plain, shifts=((30.0, 40.0, 2.5),))
    others = [k for k in range(len(lanes)) if lanes["kind"][k] == LaneKind.DRIVING and lanes["stop_s"][k] >= 0.0]
    compared = 0
    for lane in others:
        if lane == junction.route.lanes[0]:
            continue
        for chain in junction.sequences(lane):
            path = junction.lane_path(chain)
            before, _ = junction.pair(own_path.lay(junction, plain), SIZE, path, SIZE)
            after, _ = junction.pair(own_path.lay(junction, shifted), SIZE, path, SIZE)
            if before["start"][0] >= 0 and after["enter"][0] > 50.0:
                assert after["rule"][0] == before["rule"][0] != FOLLOWING
                compared += 1
    assert compared > 3
    opposite = int(lanes["opposite"][junction.route.lanes[0]])
    oncoming = junction.lane_path((opposite,))
    met, theirs = junction.pair(own_path.lay(junction, shifted), SIZE, oncoming, SIZE)
    assert met["start"][0] >= 0
    assert (met["rule"][0], theirs["rule"][0]) == (-1, 1)


def test_who_walks_up_to_a_crossing_may_cross_before_it_is_on_it(junction):
    road_map = junction.road_map
    kinds = road_map.lanes["kind"]
    kerb = next(
        k
        for k in range(len(kinds))
        if kinds[k] == LaneKind.SIDEWALK and any(kinds[n] == LaneKind.CROSSWALK for n in road_map.lane_successors(k))
    )
    for back, crosses in ((4.0, True), (25.0, False)):
        points = road_map.lane_points(kerb)
        point = points[len(points) - 1 - int(back / float(road_map.lanes["spacing"][kerb]))]
        person = thing_at(float(point["x"]), float(point["y"]), float(point["heading"]), Kind.PEDESTRIAN, 1.3, (0.5, 0.6))[0]
        found = ways(junction, person, 0)
        assert any(kinds[lane] == LaneKind.CROSSWALK for route in found for lane in route.path.lanes) == crosses
        assert sum(route.weight for route in found) == pytest.approx(1.0)
