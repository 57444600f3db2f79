"""Assembly: sampling, room, links, shared control, stop lines, entries and the errors for bad geometry."""

import math

import numpy as np
import pytest
from scipy.interpolate import Akima1DInterpolator

from sim.interface import Colour
from sim.roads import resample
from sim.roads.lane_map import ENTRY_HORIZON, ROOM_CAP, FootprintClass, LaneKind, Regulation, SignalPlan, Turn
from sim.roads.resample import RoadError
from tests.sim.roads.maps import assembled, built, first_record, footprint, lane


def circle(radius, angle, step):
    turn = np.arange(0.0, angle, step / radius)
    return radius * np.stack([np.sin(turn), 1.0 - np.cos(turn)], axis=1)


@pytest.mark.parametrize("step", [0.1, 0.7, 2.0])
def test_samples_are_even_and_follow_the_curve_at_any_input_spacing(step):
    radius = 15.0
    road_map = assembled(lane("bend", circle(radius, 2.0, step)))
    points = road_map.lane_points(0)
    xy = np.stack([points["x"], points["y"]], axis=1)
    gaps = np.hypot(*np.diff(xy, axis=0).T)
    assert gaps == pytest.approx(np.full(len(gaps), road_map.lanes["spacing"][0]), rel=0.01)
    centre = np.array([0.0, radius]) - road_map.origin
    assert np.hypot(*(xy - centre).T) == pytest.approx(np.full(len(xy), radius), abs=0.03)
    assert points["curvature"][4:-4] == pytest.approx(np.full(len(points) - 8, 1.0 / radius), rel=0.12)
    assert np.hypot(points["cos"], points["sin"]) == pytest.approx(np.ones(len(points)), abs=1e-6)


def test_curvature_has_no_spike_where_a_line_meets_an_arc():
    radius = 12.0
    straight = np.stack([np.arange(-20.0, 0.0, 0.5), np.zeros(40)], axis=1)
    road_map = assembled(lane("joint", np.vstack([straight, circle(radius, 1.5, 0.5)])))
    assert np.abs(road_map.lane_points(0)["curvature"]).max() < 1.1 / radius


@pytest.mark.parametrize("count", [3, 4, 17])
def test_the_curve_through_surveyed_points_is_akimas(count):
    draw = np.random.default_rng(count)
    for _ in range(20):
        knots = np.cumsum(draw.uniform(0.5, 4.0, count))
        values = np.cumsum(draw.normal(size=(count, 2)), axis=0)
        values[: count // 2, 1] = 0.0  # straight at first
        at = np.linspace(knots[0], knots[-1], 101)
        np.testing.assert_array_equal(resample._akima(knots, values, at), Akima1DInterpolator(knots, values)(at))


def test_the_map_is_centred_and_keeps_its_origin():
    road_map = assembled(lane("far", [[500_000.3, 4_000_000.0], [500_100.3, 4_000_000.0]]))
    assert road_map.origin == (500_050.0, 4_000_000.0)
    assert np.abs(road_map.points["x"]).max() < 51.0


def test_the_result_is_read_only():
    road_map = built("four_way")
    for array in (road_map.lanes, road_map.points, road_map.conflicts, road_map.conflict_rows, road_map.entries):
        assert not array.flags.writeable


def test_room_reaches_over_neighbours_to_the_edge_and_no_further():
    road_map = built("straight", lanes=2, lane_width=3.5)
    for name, left, right in (("eastbound_0", 8.75, 5.25), ("eastbound_1", 12.25, 1.75)):
        points = road_map.lane_points(road_map.lane(name))[2:-2]
        assert points["room_left"] == pytest.approx(np.full(len(points), left), abs=0.15)
        assert points["room_right"] == pytest.approx(np.full(len(points), right), abs=0.15)


def test_room_is_capped_and_never_less_than_the_lane_itself():
    road_map = built("four_way", lanes=3)
    driving = road_map.lanes["kind"] == LaneKind.DRIVING
    for index in np.flatnonzero(driving):
        points = road_map.lane_points(int(index))
        for side in ("room_left", "room_right"):
            assert (points[side] >= points["half_width"] - 1e-6).all()
            assert (points[side] <= ROOM_CAP).all()


def test_extra_drivable_area_widens_the_room():
    square = np.array([[-10.0, -8.0], [10.0, -8.0], [10.0, 8.0], [-10.0, 8.0]])
    road_map = assembled(lane("road", [[-40, 0], [40, 0]]), extra_drivable=[square])
    points = road_map.lane_points(0)
    middle, end = points[np.argmin(np.abs(points["x"]))], points[5]
    assert middle["room_left"] == pytest.approx(8.0, abs=0.15)
    assert end["room_left"] == pytest.approx(1.75, abs=0.01)


def test_edges_run_along_the_outside_only():
    road_map = built("straight", lanes=2, lane_width=3.5)
    ys = np.concatenate([edge[:, 1] for edge in road_map.edges])
    assert np.abs(ys) == pytest.approx(np.full(len(ys), 7.0), abs=0.01)


def test_turns_are_read_from_the_change_of_heading():
    road_map = built("four_way")
    turns = {
        name: Turn(road_map.lanes["turn"][road_map.lane(name)])
        for name in ("south_to_west", "south_to_north", "south_to_east", "south_in_0")
    }
    assert turns == {
        "south_to_west": Turn.LEFT, "south_to_north": Turn.STRAIGHT, "south_to_east": Turn.RIGHT, "south_in_0": Turn.STRAIGHT,
    }  # fmt: skip


def test_control_spreads_from_the_approach_and_back():
    ends = [lane(f"end{k}", [[20, 3 * k], [60, 3 * k]]) for k in range(2)]
    plan = SignalPlan(name="g", phases=((10.0, Colour.GREEN), (10.0, Colour.RED)))
    from_approach = assembled(
        lane("in", [[-40, 0], [0, 0]], successors=("over",), regulation=Regulation.SIGNAL, signal="g"),
        lane("over", [[0, 0], [20, 0]], successors=("end0",), junction="j"),
        ends[0],
        signals=[plan],
    )
    from_inside = assembled(
        lane("in", [[-40, 0], [0, 0]], successors=("over",)),
        lane("over", [[0, 0], [20, 0]], successors=("end0",), junction="j", regulation=Regulation.SIGNAL, signal="g"),
        ends[0],
        signals=[plan],
    )
    for road_map in (from_approach, from_inside):
        for name in ("in", "over"):
            record = road_map.lanes[road_map.lane(name)]
            assert (record["regulation"], record["signal"]) == (Regulation.SIGNAL, 0)
        assert road_map.lanes["regulation"][road_map.lane("end0")] == Regulation.NONE
        assert road_map.lanes["stop_s"][road_map.lane("in")] > 30.0
        assert road_map.lanes["stop_s"][road_map.lane("over")] == -1.0


@pytest.mark.parametrize(
    "parameters", [{}, {"control": "signal", "lanes": 3}, {"control": "none", "corner_radius": 2.5}, {"crosswalks": True}]
)
def test_a_car_resting_at_its_stop_line_is_in_nobodys_way(parameters):
    road_map = built("four_way", **parameters)
    approaches = [n for n in road_map.lane_names if "_in_" in n and "walk" not in n]
    for name in approaches:
        index = road_map.lane(name)
        stop_s = float(road_map.lanes["stop_s"][index])
        assert stop_s > 0.0
        resting = footprint(road_map, index, stop_s - 2.5, FootprintClass.CAR)
        after = {int(n) for n in road_map.lane_successors(index)}
        for other in np.flatnonzero(road_map.lanes["cluster"] >= 0):
            if int(other) in after:
                continue
            small = road_map.lanes["kind"][other] == LaneKind.CROSSWALK
            size = FootprintClass.SMALL if small else FootprintClass.CAR
            for s in np.arange(0.0, float(road_map.lanes["length"][other]), 0.5):
                assert not resting.intersects(footprint(road_map, int(other), s, size)), (name, road_map.lane_names[other], s)


def test_a_drafted_line_inside_the_junction_moves_and_says_so():
    south = lane("south", [[0, -40], [0, 0]], successors=("onward",), regulation=Regulation.STOP, stop_s=40.0)
    onward = lane("onward", [[0, 0], [0, 40]], junction="j")
    west = lane("across", [[-40, -2], [40, -2]], junction="j")
    road_map = assembled(south, onward, west)
    assert road_map.lanes["stop_s"][0] < 37.0
    assert any("stop line" in message and "south" in message for message in road_map.warnings)


def test_unregulated_approaches_get_a_place_to_yield():
    road_map = built("t_junction")
    index = road_map.lane("west_in_0")
    assert road_map.lanes["regulation"][index] == Regulation.NONE
    assert road_map.lanes["stop_s"][index] > 0.0


def test_entries_list_what_lies_ahead_with_distance_and_first_turn():
    road_map = built("four_way", arm_length=60.0)
    index = road_map.lane("south_in_0")
    record = road_map.lanes[index]
    entries = road_map.entries[record["entry_start"] : record["entry_start"] + record["entry_count"]]
    assert {road_map.lane_names[e["lane"]]: (Turn(e["turn"]), round(float(e["distance"]), 1)) for e in entries} == {
        "south_to_west": (Turn.LEFT, 60.0), "south_to_north": (Turn.STRAIGHT, 60.0), "south_to_east": (Turn.RIGHT, 60.0),
    }  # fmt: skip
    inside = road_map.lanes[road_map.lane("south_to_west")]
    own = road_map.entries[inside["entry_start"]]
    assert (own["lane"], own["turn"], own["distance"]) == (road_map.lane("south_to_west"), -1, 0.0)


def test_entries_tell_where_the_next_stop_line_before_them_is():
    """From inside one junction, the next one is only entered past its line."""
    road_map = built("grid_town", rows=1, columns=2, crosswalks=False)
    lanes = road_map.lanes
    lined = 0
    for k in np.flatnonzero(lanes["junction"] >= 0).tolist():
        way_out = int(road_map.lane_successors(k)[0])
        for entry in road_map.entries[lanes["entry_start"][k] : lanes["entry_start"][k] + lanes["entry_count"][k]]:
            if entry["lane"] == k:
                assert entry["line"] == -1.0
            else:
                way_in = int(road_map.lane_successors(way_out)[0])
                line = lanes["length"][k] + lanes["length"][way_out] + lanes["stop_s"][way_in]
                assert entry["line"] == pytest.approx(line)
                lined += 1
    assert lined > 4


def test_the_entry_horizon_counts_from_the_end_of_the_lane():
    road_map = built("four_way", arm_length=ENTRY_HORIZON + 100.0)
    assert road_map.lanes["entry_count"][road_map.lane("south_in_0")] == 3


def test_missing_successors_are_reported_as_dangling_and_gaps_as_warnings():
    road_map = assembled(lane("a", [[0, 0], [50, 0]], successors=("b", "nowhere")), lane("b", [[50, 0.5], [90, 0.5]]))
    assert road_map.dangling == (0,)
    assert any("gap of 0.50 m" in message and "road of a" in message and "s=50.00" in message for message in road_map.warnings)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"centreline": np.array([[0.0, 0.0], [5.0, np.nan], [9.0, 0.0]])}, "s=0.00 m: centreline point 1 is not finite"),
        ({"centreline": np.zeros((3, 2))}, "length is 0.0000 m"),
        ({"centreline": np.zeros((1, 2))}, "at least two points"),
        ({"half_width": np.array([1.0, -0.5])}, "s=10.00 m: half width is"),
        ({"half_width": np.array([1.0, 1.0, 1.0])}, "has shape (3,)"),
        ({"speed_limit": math.inf}, "speed limit is"),
        ({"left": "ghost"}, "left neighbour 'ghost' does not exist"),
        ({"yields_to": ("ghost",)}, "yields to 'ghost'"),
        ({"regulation": Regulation.SIGNAL}, "names none"),
        ({"signal": "g9"}, "'g9' is not one of"),
    ],
)
def test_bad_geometry_is_one_error_that_names_lane_and_road(fields, words):
    with pytest.raises(RoadError) as error:
        assembled(lane("bad", **{"points": [[0, 0], [10, 0]], **_as_points(fields)}))
    assert words in str(error.value)
    assert "'bad'" in str(error.value)
    assert "road of bad" in str(error.value)


def _as_points(fields):
    return {("points" if key == "centreline" else key): value for key, value in fields.items()}


def test_two_lanes_of_one_name_and_empty_maps_are_errors():
    with pytest.raises(RoadError, match="two lanes are called 'a'"):
        assembled(lane("a", [[0, 0], [9, 0]]), lane("a", [[0, 5], [9, 5]]))
    with pytest.raises(RoadError, match="has no lanes"):
        assembled()


def test_clusters_are_dense_and_complete():
    road_map = built("grid_town", columns=2, rows=2)
    assert len(road_map.clusters) == 4
    for number, cluster in enumerate(road_map.clusters):
        members = np.flatnonzero(road_map.lanes["cluster"] == number)
        assert sorted(road_map.lanes["local"][members]) == list(range(cluster["size"]))
        for a in members:
            assert first_record(road_map, int(a), int(a)) == -1
