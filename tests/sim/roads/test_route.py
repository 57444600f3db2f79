"""Routes: search, checks and the step tables that followers read."""

from itertools import pairwise

import numpy as np
import pytest

from sim.roads.lane_map import LaneKind
from sim.roads.route import (
    OFF_ROUTE,
    WALKING,
    Route,
    RouteError,
    check_route,
    random_route,
    route_length,
    route_steps,
    shortest_route,
)
from tests.sim.roads.maps import assembled, built, lane

FAMILIES = ("four_way", "roundabout", "merge", "motorway", "narrow_street", "grid_town")


def names(road_map, route):
    return [road_map.lane_names[n] for n in route.lanes]


def follow(road_map, steps, start):
    """Lanes visited by obeying the steps from `start`."""
    visited = [start]
    while True:
        step = steps[visited[-1]]
        assert step["side"] != OFF_ROUTE
        if step["side"] != 0:
            visited.append(int(road_map.lanes["left" if step["side"] > 0 else "right"][visited[-1]]))
        elif step["next"] >= 0:
            visited.append(int(step["next"]))
        else:
            return visited
        assert len(visited) < 500


def test_the_shortest_route_turns_where_it_must():
    road_map = built("four_way")
    route = shortest_route(road_map, road_map.lane("south_in_0"), road_map.lane("west_out_0"))
    assert names(road_map, route) == ["south_in_0", "south_to_west", "west_out_0"]
    lengths = road_map.lanes["length"][list(route.lanes)]
    assert route_length(road_map, route) == pytest.approx(lengths.sum())


def test_the_shortest_route_changes_lanes_to_reach_its_turn():
    road_map = built("four_way", lanes=2)
    route = shortest_route(road_map, road_map.lane("south_in_1"), road_map.lane("west_out_0"), goal_s=5.0)
    assert names(road_map, route) == ["south_in_1", "south_in_0", "south_to_west", "west_out_0"]
    assert route_length(road_map, route) == pytest.approx(road_map.lanes["length"][list(route.lanes[1:3])].sum() + 5.0)


def test_an_unreachable_goal_names_both_lanes():
    road_map = built("straight")
    with pytest.raises(RouteError, match=r"'westbound_0' cannot be reached from lane 'eastbound_0'"):
        shortest_route(road_map, road_map.lane("eastbound_0"), road_map.lane("westbound_0"))


def test_routes_keep_to_the_kinds_they_may_use():
    road_map = built("four_way", crosswalks=True)
    start, goal = road_map.lane("south_walk_left_in"), road_map.lane("north_walk_right_out")
    with pytest.raises(RouteError):
        shortest_route(road_map, start, goal)
    route = shortest_route(road_map, start, goal, kinds=WALKING)
    assert {LaneKind(road_map.lanes["kind"][n]) for n in route.lanes} <= WALKING
    assert any("crosswalk" in name for name in names(road_map, route))


@pytest.mark.parametrize(
    ("lanes", "goal_s", "words"),
    [
        ((), 0.0, "at least one lane"),
        ((0, 999), 1.0, "999 is not on map"),
        ((0, 1), 1.0, "not linked"),
        ((0,), 1e6, "is not on lane"),
        ((0,), float("nan"), "is not on lane"),
    ],
)
def test_broken_routes_are_refused(lanes, goal_s, words):
    with pytest.raises(RouteError, match=words):
        check_route(built("straight"), Route(lanes=lanes, goal_s=goal_s))


@pytest.mark.parametrize("family", FAMILIES)
def test_following_the_steps_reaches_the_goal_over_the_stated_distance(family):
    road_map = built(family)
    for seed in range(8):
        route = random_route(road_map, seed, 200.0)
        check_route(road_map, route)
        steps = route_steps(road_map, route)
        for start in np.flatnonzero(steps["side"] != OFF_ROUTE):
            visited = follow(road_map, steps, int(start))
            assert visited[-1] == route.lanes[-1]
            driven = sum(
                float(road_map.lanes["length"][one]) for one, after in pairwise(visited) if after in road_map.lane_successors(one)
            )
            assert steps["to_goal"][start] == pytest.approx(driven + route.goal_s, rel=1e-4)


def test_steps_tell_every_lane_of_the_carriageway_where_to_go():
    road_map = built("motorway", lanes=3)
    route = shortest_route(road_map, road_map.lane("main_before_2"), road_map.lane("off_ramp"))
    steps = route_steps(road_map, route)
    assert steps["side"][road_map.lane("main_before_0")] == -1
    assert steps["side"][road_map.lane("main_before_2")] == 0
    assert steps["next"][road_map.lane("main_before_2")] == road_map.lane("exit_opening")
    assert steps["side"][road_map.lane("main_after_0")] == OFF_ROUTE
    assert np.isinf(steps["to_goal"][road_map.lane("main_after_0")])


def test_a_change_of_lane_is_due_early_and_not_on_the_last_short_piece_of_road():
    road_map = assembled(
        lane("long left", [[0, 0], [60, 0]], successors=("short left",), right="long right"),
        lane("long right", [[0, -3.5], [60, -3.5]], successors=("short right",), left="long left"),
        lane("short left", [[60, 0], [61, 0]], right="short right"),
        lane("short right", [[60, -3.5], [61, -3.5]], successors=("on",), left="short left"),
        lane("on", [[61, -3.5], [90, -3.5]], junction="j"),
    )
    route = Route(lanes=tuple(road_map.lane(name) for name in ("long right", "short right", "on")), goal_s=20.0)
    steps = route_steps(road_map, route)
    assert [int(steps["side"][road_map.lane(name)]) for name in ("long left", "short left", "long right")] == [-1, -1, 0]


def test_random_routes_depend_on_the_seed_alone_and_are_long_enough():
    road_map = built("grid_town")
    routes = [random_route(road_map, seed, 300.0) for seed in range(10)]
    assert routes == [random_route(road_map, seed, 300.0) for seed in range(10)]
    assert len(set(routes)) > 5
    assert all(route_length(road_map, route) >= 300.0 for route in routes)
    start = road_map.lane("j00_west_in_0")
    assert random_route(road_map, 1, 100.0, [start]).lanes[0] == start


def test_random_routes_for_people_stay_on_foot():
    road_map = built("grid_town")
    route = random_route(road_map, 4, 150.0, kinds=WALKING)
    assert {LaneKind(road_map.lanes["kind"][n]) for n in route.lanes} <= WALKING


def test_a_map_without_usable_lanes_is_an_error():
    road_map = assembled(lane("walk", [[0, 0], [20, 0]], kind=LaneKind.SIDEWALK))
    with pytest.raises(RouteError, match="no lane of kind"):
        random_route(road_map, 0, 10.0)
