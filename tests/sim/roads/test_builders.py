"""Every builder over a sweep of its parameters: complete, drivable end to end, comfortable to turn on, and strict about its
input."""

import inspect

import numpy as np
import pytest

from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS, BuilderError
from sim.roads.lane_map import LaneKind, Regulation, Turn
from sim.roads.route import WALKING, shortest_route

SWEEP = [
    *((name, {}) for name in BUILDERS),
    ("four_way", {"lanes": 2, "control": "signal", "crosswalks": True, "protected_left": True}),
    ("four_way", {"lanes": 3, "left_hand_traffic": True}),
    ("four_way", {"lanes": {"east": 2, "west": 2}, "control": {"north": "stop", "south": "stop"}, "sidewalks": True}),
    ("four_way", {"arm_angles": {"east": 20.0, "south": -30.0}, "corner_radius": 9.0, "crosswalks": True}),
    ("four_way", {"lane_width": 2.75, "corner_radius": 3.0, "arm_length": {"north": 20.0}}),
    ("t_junction", {"lanes": 2, "control": "signal", "crosswalks": True, "left_hand_traffic": True}),
    ("t_junction", {"lanes": 3}),
    ("t_junction", {"arm_angles": {"south": 40.0}, "control": "all_way"}),
    ("roundabout", {"arms": 3, "radius": 12.0, "left_hand_traffic": True}),
    ("roundabout", {"arms": 6, "radius": 24.0}),
    ("merge", {"lanes": 1, "left_hand_traffic": True}),
    ("motorway", {"lanes": 4, "exit_ramp": False}),
    ("motorway", {"lanes": 1, "entry_ramp": False}),
    ("narrow_street", {"passing_places": 0, "left_hand_traffic": True}),
    ("narrow_street", {"passing_places": 3, "passage_width": 2.8}),
    ("crosswalk", {"control": "signal", "lanes": 2, "left_hand_traffic": True}),
    ("parking_street", {"paths": 0}),
    ("grid_town", {"columns": 2, "rows": 2, "lanes": 2, "block": 130.0, "left_hand_traffic": True}),
    ("grid_town", {"columns": 1, "rows": 3, "crosswalks": False, "controls": ("none", "yield")}),
    ("straight", {"two_way": False, "lanes": 4}),
]


@pytest.fixture(scope="module", params=SWEEP, ids=lambda item: f"{item[0]}-{'-'.join(map(str, item[1].values()))}"[:60])
def road_map(request):
    name, parameters = request.param
    return assemble(BUILDERS[name](**parameters))


def _ends(road_map, kinds):
    usable = np.isin(road_map.lanes["kind"], kinds)
    starts = np.flatnonzero(usable & (road_map.lanes["predecessor_count"] == 0))
    goals = np.flatnonzero(usable & (road_map.lanes["successor_count"] == 0))
    return starts, goals


def test_builder_maps_have_nothing_to_complain_about(road_map):
    # corners of 3 m are tighter than a car can turn, and the map says so
    assert [warning for warning in road_map.warnings if "tighter than a car can turn" not in warning] == []
    assert road_map.dangling == ()


def test_lanes_end_only_at_the_rim_of_the_map(road_map):
    """Where a driving lane ends, no other driving lane begins nearby: no link was forgotten."""
    driving = np.flatnonzero(road_map.lanes["kind"] == LaneKind.DRIVING)
    begins = {int(n): _end(road_map, int(n), 0) for n in driving}
    for index in driving:
        if road_map.lanes["successor_count"][index] == 0:
            last = _end(road_map, int(index), -1)
            assert not [n for n, first in begins.items() if np.hypot(*(first - last)) < 1.0]


def _end(road_map, index, which):
    point = road_map.lane_points(index)[which]
    return np.array([point["x"], point["y"]])


def test_every_driving_lane_lies_on_a_way_through_the_map(road_map):
    driving = road_map.lanes["kind"] == LaneKind.DRIVING
    forwards, backwards = _reached(road_map, driving, "successor"), _reached(road_map, driving, "predecessor")
    missing = [road_map.lane_names[n] for n in np.flatnonzero(driving) if n not in forwards or n not in backwards]
    assert missing == []


def _reached(road_map, driving, way):
    """Lanes reachable from the rim, forwards or backwards."""
    opposite = "predecessor" if way == "successor" else "successor"
    links = getattr(road_map, way + "s")
    front = np.flatnonzero(driving & (road_map.lanes[opposite + "_count"] == 0)).tolist()
    found = set(front)
    while front:
        record = road_map.lanes[front.pop()]
        for n in links[record[way + "_start"] : record[way + "_start"] + record[way + "_count"]].tolist():
            if n not in found:
                found.add(n)
                front.append(n)
    return found


def test_turns_can_be_driven_in_comfort(road_map):
    for index in np.flatnonzero(road_map.lanes["kind"] == LaneKind.DRIVING):
        sharpest = float(np.abs(road_map.lane_points(int(index))["curvature"]).max())
        turning = road_map.lanes["turn"][index] in (Turn.LEFT, Turn.RIGHT)
        assert sharpest < (0.3 if turning else 0.1), road_map.lane_names[index]


def test_walking_lanes_connect(road_map):
    walking = [int(kind) for kind in WALKING]
    lanes = np.flatnonzero(np.isin(road_map.lanes["kind"], walking))
    for index in lanes:
        onward = road_map.lane_successors(int(index))
        assert np.isin(road_map.lanes["kind"][onward], walking).all()
        if road_map.lanes["kind"][index] in (LaneKind.CROSSWALK, LaneKind.PATH):
            assert len(onward) > 0


def test_default_turns_hold_the_recorded_speeds():
    for name in ("four_way", "t_junction"):
        road_map = assemble(BUILDERS[name]())
        for index in np.flatnonzero(road_map.lanes["turn"] != Turn.STRAIGHT):
            right = road_map.lanes["turn"][index] == Turn.RIGHT
            sharpest = float(np.abs(road_map.lane_points(int(index))["curvature"]).max())
            speed = 3.5 if right else 4.3
            assert speed * speed * sharpest < 2.0


@pytest.mark.parametrize("control", ["none", "stop", "all_way", "yield", "signal"])
def test_control_reaches_approaches_and_connecting_lanes(control):
    wanted = {"none": 0, "stop": 1, "all_way": 2, "yield": 3, "signal": 4}[control]
    road_map = assemble(BUILDERS["four_way"](control=control, lanes=2))
    for name, record in zip(road_map.lane_names, road_map.lanes, strict=True):
        if "_in_" in name or "_to_" in name:
            assert record["regulation"] == wanted, name
            assert (record["signal"] >= 0) == (control == "signal")
        else:
            assert record["regulation"] == Regulation.NONE


def test_signal_groups_that_cross_are_never_green_together():
    road_map = assemble(BUILDERS["four_way"](control="signal", crosswalks=True, protected_left=True))
    plans = {name: road_map.signals[n] for n, name in enumerate(road_map.signal_names)}
    cycle = float(plans["east"]["cycle_s"])
    for t in np.arange(0.25, cycle, 0.5):
        green = {name for name, plan in plans.items() if _colour(road_map, plan, t) == 0}
        assert not ({"east", "west", "east_left", "west_left"} & green and {"north", "south", "north_left", "south_left"} & green)
        assert not ({"east", "west"} & green and {"east_left", "west_left"} & green)
        assert not ("east_walk" in green and {"east", "east_left"} & green)
    assert all(_is_ever_green(road_map, plan) for plan in plans.values())


def _colour(road_map, plan, t):
    for phase in road_map.phases[plan["phase_start"] : plan["phase_start"] + plan["phase_count"]]:
        t -= float(phase["duration_s"])
        if t < 0.0:
            return int(phase["colour"])
    raise AssertionError("past the end of the cycle")


def _is_ever_green(road_map, plan):
    return 0 in road_map.phases["colour"][plan["phase_start"] : plan["phase_start"] + plan["phase_count"]]


def test_pedestrians_can_walk_round_a_junction_and_across_it():
    road_map = assemble(BUILDERS["four_way"](crosswalks=True))
    starts, goals = _ends(road_map, [int(kind) for kind in WALKING])
    assert len(starts) == len(goals) == 8
    for start in starts:
        for goal in goals:
            if road_map.lane_names[start][:-3] != road_map.lane_names[goal][:-4]:
                shortest_route(road_map, int(start), int(goal), kinds=WALKING)


def test_left_hand_traffic_keeps_left():
    for name in ("four_way", "roundabout", "straight"):
        road_map = assemble(BUILDERS[name](left_hand_traffic=True))
        lane = "eastbound_0" if name == "straight" else "north_out_0"
        point = road_map.lane_points(road_map.lane(lane))[-1]
        assert road_map.left_hand_traffic
        assert (point["y"] > 0.5) if name == "straight" else (point["x"] < -0.5)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("four_way", {"control": "maybe"}, "control must be one of none, stop, all_way, yield, signal, got 'maybe'"),
        ("four_way", {"control": {"up": "stop"}}, "names an arm 'up'"),
        ("four_way", {"lanes": 4}, "lanes of east must be a whole number from 1 to 3, got 4"),
        ("four_way", {"lanes": 1.5}, "got 1.5"),
        ("four_way", {"lane_width": float("nan")}, "lane_width must be a number from 2.5 to 5, got nan"),
        ("four_way", {"crosswalks": "yes"}, "crosswalks must be true or false, got 'yes'"),
        ("t_junction", {"arm_angles": {"south": 90}}, "arm_angles of south"),
        ("roundabout", {"arms": 6, "radius": 8.0}, "radius 8 m is too small for 6 arms"),
        ("roundabout", {"arms": 2}, "arms must be"),
        ("merge", {"ramp_length": -1}, "ramp_length must be"),
        ("motorway", {"lanes": 0}, "lanes must be"),
        ("narrow_street", {"passage_length": 5}, "passage_length must be"),
        ("crosswalk", {"control": "stop"}, "control must be one of none, signal"),
        ("parking_street", {"paths": -1}, "paths must be"),
        ("grid_town", {"block": 20}, "block must be"),
        ("grid_town", {"controls": "stop"}, "controls must be a list"),
        ("straight", {"length": "long"}, "length must be a number from 10 to 20000, got 'long'"),
    ],
)
def test_bad_parameters_are_named_with_their_value(name, parameters, words):
    with pytest.raises(BuilderError) as error:
        BUILDERS[name](**parameters)
    assert words in str(error.value)


def test_every_parameter_is_a_keyword_with_a_default():
    for name, build in BUILDERS.items():
        for parameter in inspect.signature(build).parameters.values():
            assert parameter.kind == inspect.Parameter.KEYWORD_ONLY, name
            assert parameter.default is not inspect.Parameter.empty, name
        assert build.__doc__
