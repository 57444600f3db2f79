"""Right of way, one test per rule."""

import math

import numpy as np
import pytest

from sim.interface import Colour
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import ConflictKind, LaneKind, Regulation, SignalPlan, Turn
from sim.roads.priority import BY_ARRIVAL, FIRST, YIELDS, Side, right_of_way
from tests.sim.roads.maps import assembled, built, lane, pairs, priority, record


def _controlled(name, **control):
    """A junction with control by arm."""
    return assemble(BUILDERS[name](control=control))


def _random_side(draw):
    return Side(
        kind=LaneKind(int(draw.choice([0, 1, 3, 6]))),
        regulation=Regulation(int(draw.integers(5))),
        priority_road=bool(draw.integers(2)),
        turn=Turn(int(draw.integers(4))),
        heading=float(draw.uniform(-math.pi, math.pi)),
        bend=float(draw.uniform(0, 2)),
        ends=bool(draw.integers(2)),
        overrides=bool(draw.integers(2)),
    )


def test_every_rule_is_antisymmetric():
    draw = np.random.default_rng(3)
    for _ in range(3000):
        one, other = _random_side(draw), _random_side(draw)
        kind, left_hand, to_right = ConflictKind(int(draw.integers(4))), bool(draw.integers(2)), bool(draw.integers(2))
        assert right_of_way(one, other, kind, left_hand, to_right) == -right_of_way(other, one, kind, left_hand, to_right)


def test_major_goes_before_yield_and_stop_and_yield_before_stop():
    for control in ("yield", "stop"):
        road_map = _controlled("t_junction", south=control)
        assert priority(road_map, "east_to_west", "south_to_west") == FIRST
        assert priority(road_map, "south_to_west", "west_to_east") == YIELDS
    mixed = _controlled("four_way", south="yield", east="stop", west="stop")
    assert priority(mixed, "south_to_north", "east_to_west") == FIRST


def test_two_stop_minors_facing_each_other_let_the_straight_one_go():
    road_map = _controlled("four_way", north="stop", south="stop")
    assert priority(road_map, "north_to_east", "south_to_north") == YIELDS
    assert priority(road_map, "north_to_east", "south_to_east") == YIELDS
    assert priority(road_map, "north_to_south", "east_to_west") == YIELDS


def test_all_way_stop_goes_by_arrival():
    road_map = built("four_way", control="all_way")
    assert {priority(road_map, road_map.lane_names[a], road_map.lane_names[b]) for a, b in pairs(road_map)} == {BY_ARRIVAL}


def test_unsigned_crossings_give_way_to_the_right_in_both_regions():
    for left_hand in (False, True):
        road_map = built("four_way", control="none", left_hand_traffic=left_hand)
        assert priority(road_map, "south_to_north", "east_to_west") == YIELDS
        assert priority(road_map, "south_to_north", "west_to_east") == FIRST


def test_neighbouring_arms_with_stop_signs_go_by_arrival_and_with_yield_signs_to_the_right():
    stops = _controlled("four_way", south="stop", east="stop", north="stop")
    assert priority(stops, "south_to_north", "east_to_west") == BY_ARRIVAL
    assert priority(stops, "south_to_west", "north_to_south") == YIELDS
    yields = _controlled("four_way", south="yield", east="yield", north="yield")
    assert priority(yields, "south_to_north", "east_to_west") == YIELDS


def test_without_the_rule_of_the_right_unsigned_crossings_go_by_arrival():
    road_map = built("four_way", control="none", priority_to_right=False)
    assert priority(road_map, "south_to_north", "east_to_west") == BY_ARRIVAL
    assert priority(road_map, "south_to_west", "north_to_south") == YIELDS


def test_the_turn_across_oncoming_traffic_yields_and_is_mirrored_on_the_left():
    right = built("four_way", control="none")
    assert priority(right, "south_to_west", "north_to_south") == YIELDS
    assert priority(right, "south_to_west", "north_to_west") == YIELDS
    left = built("four_way", control="none", left_hand_traffic=True)
    assert priority(left, "south_to_east", "north_to_south") == YIELDS
    assert priority(left, "south_to_west", "north_to_west") == FIRST


def test_signals_separate_all_but_the_permissive_left():
    road_map = built("four_way", control="signal")
    assert priority(road_map, "south_to_west", "north_to_south") == YIELDS
    assert priority(road_map, "south_to_north", "east_to_west") == BY_ARRIVAL


def test_the_ring_goes_before_its_entries():
    road_map = built("roundabout")
    assert priority(road_map, "ring_east", "east_entry") == FIRST


def test_the_ramp_yields_to_the_motorway():
    road_map = built("merge")
    assert priority(road_map, "entry_closing", "main_closing_1") == YIELDS


def test_without_signs_the_merging_lane_that_bends_more_yields():
    x = np.linspace(0.0, 60.0, 121)
    after = lane("after", [[60, 0], [120, 0]])
    through = lane("through", [[0, 0], [60, 0]], successors=("after",), junction="j")
    ramp = lane("ramp", np.stack([x, -6.0 * (1.0 - x / 60.0) ** 2], axis=1), successors=("after",), junction="j")
    road_map = assembled(through, ramp, after)
    assert priority(road_map, "ramp", "through") == YIELDS


def test_an_explicit_priority_overrides_everything():
    south = lane("south", [[0, -30], [0, 30]], yields_to=("east",), priority_road=True)
    east = lane("east", [[-30, 0], [30, 0]], regulation=Regulation.STOP)
    road_map = assembled(south, east)
    assert priority(road_map, "south", "east") == YIELDS


def test_people_on_a_crosswalk_go_first_and_jaywalkers_do_not():
    assert priority(built("crosswalk"), "crosswalk_0_north", "eastbound_over_0") == FIRST
    assert priority(built("parking_street"), "path_0_north", "eastbound_0") == YIELDS


def test_head_on_meetings_go_by_arrival():
    assert priority(built("narrow_street"), "eastbound_narrow0_0", "westbound_narrow0_0") == BY_ARRIVAL


@pytest.mark.parametrize("control", ["none", "signal"])
def test_a_turning_car_lets_the_cycle_lane_beside_it_go_straight(control):
    signal = {"regulation": Regulation.SIGNAL, "signal": "g"} if control == "signal" else {}
    shared = {"junction": "j", **signal}
    turn = np.linspace(0.0, 0.5 * np.pi, 60)
    car = lane("car", np.stack([4 - 8 * np.cos(turn) + 4, -10 + 8 * np.sin(turn)], axis=1) - [2, 0], **shared)
    cycle = lane("cycle", [[1.5, -14], [1.5, 14]], kind=LaneKind.CYCLE, half_width=0.8, **shared)
    road_map = assembled(car, cycle, signals=[SignalPlan(name="g", phases=((10.0, Colour.GREEN),))])
    assert record(road_map, "car", "cycle", 1, 0)["priority"] == YIELDS
