"""Where the road is, seen from the ego."""

import numpy as np

from avstack.perception.road import EDGE_M, on_road, road_of
from scenarios.compile import compile_scenario
from scenarios.resolve import resolve

MAP = compile_scenario(resolve("blocked_lane"), 3).road_map


def places(*pairs):
    return np.array(pairs, np.float32)


def test_the_lanes_are_road_and_what_lies_beside_them_is_not():
    points = MAP.lane_points(0)
    middle = points[len(points) // 2]
    x, y, heading = float(middle["x"]), float(middle["y"]), float(np.arctan2(middle["sin"], middle["cos"]))
    pose = np.array([x, y, heading])
    right = float(middle["room_right"])
    found = on_road(road_of(MAP), places((0.0, 0.0), (0.0, 0.4 - right - EDGE_M), (0.0, -right), (10.0, 0.0), (0.0, 500.0)), pose)
    assert found.tolist() == [True, True, False, True, False]


def test_the_frame_turns_with_the_ego():
    points = MAP.lane_points(0)
    middle = points[len(points) // 2]
    ahead = np.array([float(middle["x"]), float(middle["y"]), float(np.arctan2(middle["sin"], middle["cos"])) + 0.5 * np.pi])
    across = on_road(road_of(MAP), places((30.0, 0.0), (0.0, 30.0)), ahead)
    assert across.tolist() == [False, True]


def test_a_map_is_drawn_once():
    assert road_of(MAP) is road_of(MAP)
