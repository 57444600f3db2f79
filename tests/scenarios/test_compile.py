"""From a spec and a seed to an episode: places, routes, arrivals and styles; and the errors, placed in the file."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import numpy as np
import pytest

from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.model import FRICTIONS, VISIBILITIES, FaultSpec, LidarOptions, WeatherName
from scenarios.schema import check, loads
from sim.interface import Kind
from sim.roads.lane_map import Turn
from sim.scenario import Model
from sim.sensors.beams import BEAMS, LidarSpec
from sim.sensors.faults import FAULTS, Fault
from sim.sensors.weather import WEATHER

MAP = "version: 1\nname: x\nmap: {builder: four_way, parameters: {control: all_way, crosswalks: true}}\n"
EGO = "ego: {at: {approach: south, before_stop: 30}, to: {exit: north}, speed: 8}\n"


def compiled(text, seed=0):
    return compile_scenario(loads(MAP + text, file="f.yaml"), seed)


def names(scenario, actor):
    return [scenario.road_map.lane_names[lane] for lane in actor.route.lanes]


def test_the_ego_stands_where_it_was_put_and_knows_the_way():
    scenario = compiled(EGO)
    ego = scenario.actors[scenario.ego]
    assert (ego.model, ego.driver, ego.speed, ego.name) == (Model.EXTERNAL, "rules", 8.0, "ego")
    assert names(scenario, ego) == ["south_in_0", "south_to_north", "north_out_0"]
    stop = scenario.road_map.lanes[ego.route.lanes[0]]["stop_s"]
    assert ego.s + 0.5 * ego.body.length == pytest.approx(stop - 30.0, abs=1e-4)


@pytest.mark.parametrize("turn", ["left", "right", "straight"])
def test_a_turn_is_taken(turn):
    scenario = compiled(f"ego: {{at: {{approach: south, before_stop: 30}}, to: {{turn: {turn}}}}}\n")
    inside = scenario.road_map.lanes[scenario.actors[0].route.lanes[1]]
    assert Turn(inside["turn"]).name.lower() == turn


def test_without_a_goal_it_goes_straight_on_to_the_end_of_the_road():
    scenario = compiled("ego: {at: {lane: south_in_0, s: -20}}\n")
    ego = scenario.actors[0]
    lanes = scenario.road_map.lanes
    assert names(scenario, ego)[-1] == "north_out_0"
    assert ego.s == pytest.approx(lanes[ego.route.lanes[0]]["length"] - 20.0)
    assert lanes[ego.route.lanes[-1]]["length"] - ego.route.goal_s == pytest.approx(1.0)


def test_an_explicit_route_and_its_goal():
    scenario = compiled("ego: {route: [east_in_0, east_to_west, west_out_0], to: {lane: west_out_0, s: 12}, speed: 5}\n")
    assert names(scenario, scenario.actors[0]) == ["east_in_0", "east_to_west", "west_out_0"]
    assert scenario.actors[0].route.goal_s == 12.0


def test_traffic_alone_has_no_ego():
    scenario = compiled("traffic: {users: [{at: {approach: south}}]}\n")
    assert scenario.ego is None
    assert scenario.actors[0].model == Model.NEGOTIATOR


def test_a_driver_for_any_road_user_and_files_beside_the_scenario(tmp_path):
    (tmp_path / "mine.py").write_text("class Mine: ...\n")
    spec = loads(
        MAP
        + EGO
        + "traffic: {users: [{at: {approach: east}, driver: 'mine.py:Mine'}, {at: {approach: west}, driver: pkg.mod:Other}]}\n",
        file=str(tmp_path / "f.yaml"),
    )
    actors = compile_scenario(spec, 0).actors
    assert [actor.model for actor in actors] == [Model.EXTERNAL] * 3
    assert actors[1].driver == f"{(tmp_path / 'mine.py').resolve()}:Mine"
    assert actors[2].driver == "pkg.mod:Other"


def test_people_cross_from_either_side():
    scenario = compiled(
        "traffic: {users: [{kind: pedestrian, at: {crosswalk: 0}},"
        " {kind: pedestrian, at: {crosswalk: 0, side: end}, jaywalks: true}]}\n"
    )
    here, there = scenario.actors
    assert (here.model, there.model, there.jaywalks) == (Model.PEDESTRIAN, Model.PEDESTRIAN, True)
    assert names(scenario, here)[1] != names(scenario, there)[1]
    assert set(scenario.road_map.crosswalks[0].lanes) == {names(scenario, here)[1], names(scenario, there)[1]}


def test_things_lie_where_they_were_put():
    scenario = compiled(
        EGO + "traffic: {things: [{thing: dirt_pile, at: {lane: south_in_0, s: 20, d: 0.5}},"
        " {kind: car, at: {pose: [5, 60, 1.5]}},"
        " {thing: plastic_bag, drive_through: true, size: [1, 1, 1], at: {lane: south_in_0, s: 30}}]}\n"
    )
    pile, car, bag = scenario.actors[1:]
    assert {pile.model, car.model, bag.model} == {Model.STILL}
    assert (pile.kind, pile.thing, car.kind, car.pose) == (Kind.OBJECT, "dirt_pile", Kind.CAR, (5.0, 60.0, 1.5))
    assert (bag.drive_through, bag.body.height) == (True, 1.0)
    point = scenario.road_map.lane_points(scenario.road_map.lane("south_in_0"))
    nearest = np.hypot(point["x"] - pile.pose[0], point["y"] - pile.pose[1]).min()
    assert nearest == pytest.approx(0.5, abs=0.01)


def test_tracks_inline_and_from_a_file(tmp_path):
    (tmp_path / "track.csv").write_text("t,x,y,heading,speed\n0,0,0,0,1\n1,1,0,0,1\n")
    spec = loads(
        MAP + "traffic: {users: [{track: track.csv}, {name: b, track: [[0, 0, 9, 0, 1], [1, 1, 9, 0, 1]]}]}\n",
        file=str(tmp_path / "f.yaml"),
    )
    first, second = compile_scenario(spec, 0).actors
    assert first.track is not None
    assert first.track.tolist() == [[0, 0, 0, 0, 1], [1, 1, 0, 0, 1]]
    assert (second.model, second.pose) == (Model.REPLAY, (0.0, 9.0, 0.0))


def test_the_same_seed_compiles_to_the_same_episode():
    text = EGO + "traffic: {demand: 900, pedestrians: {per_hour: 100}, everywhere: {count: 5}}\n"
    assert compiled(text, 4).actors == compiled(text, 4).actors
    assert compiled(text, 4).actors != compiled(text, 5).actors


def test_one_user_more_changes_nobody_else():
    flow = "demand: [{name: flow, vehicles_per_hour: 900}]"
    few = compiled(EGO + f"traffic: {{{flow}}}\n", 3).actors
    more = compiled(EGO + f"traffic: {{users: [{{name: late, at: {{approach: east}}, depart_s: 50}}], {flow}}}\n", 3).actors
    assert tuple(actor for actor in more if actor.name != "late") == few


def test_demand_brings_the_rate_the_turns_and_the_mix_it_was_told():
    tree = loads(MAP).tree | {
        "duration_s": 3600.0,
        "traffic": {
            "demand": [{"approach": "east", "turn": {"left": 3, "right": 1}, "vehicles_per_hour": 1000}],
            "cyclists": 0.2,
        },
    }
    scenario = compile_scenario(check(tree), 1)
    assert len(scenario.actors) == pytest.approx(1000, abs=4 * np.sqrt(1000))
    routes = [actor.route for actor in scenario.actors if actor.route is not None]
    turns = Counter(Turn(scenario.road_map.lanes[route.lanes[1]]["turn"]) for route in routes)
    assert turns[Turn.LEFT] / len(scenario.actors) == pytest.approx(0.75, abs=0.06)
    assert turns[Turn.STRAIGHT] == 0
    assert sum(actor.kind == Kind.BICYCLE for actor in scenario.actors) / len(scenario.actors) == pytest.approx(0.2, abs=0.06)
    departs = np.array([actor.depart_s for actor in scenario.actors])
    assert np.all(np.diff(departs) >= 0.0)
    gaps = np.diff(departs)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.15)  # exponential, as Poisson arrivals are


def test_fixed_arrivals_are_evenly_spaced_and_counted():
    tree = loads(MAP).tree | {"traffic": {"demand": [{"count": 6, "window_s": [10, 40], "arrivals": "fixed"}]}}
    departs = [actor.depart_s for actor in compile_scenario(check(tree), 1).actors]
    assert len(departs) == 6
    assert np.diff(departs) == pytest.approx([5.0] * 5, abs=0.01)
    assert min(departs) >= 10.0
    assert max(departs) <= 40.0


def test_vehicles_everywhere_stand_apart():
    scenario = compiled("traffic: {everywhere: {count: 15}}\n", 2)
    places = []
    for actor in scenario.actors:
        points = scenario.road_map.lane_points(actor.route.lanes[0])
        index = round(actor.s / float(scenario.road_map.lanes[actor.route.lanes[0]]["spacing"]))
        places.append((points[index]["x"], points[index]["y"], actor.route.lanes[0]))
    pairs = [(np.hypot(a[0] - b[0], a[1] - b[1]), a[2] == b[2]) for i, a in enumerate(places) for b in places[:i]]
    assert len(places) > 5
    assert min(away for away, _ in pairs) >= 2.9
    assert min(away for away, same_lane in pairs if same_lane) > 12.0


def test_weather_and_criteria_reach_the_episode():
    scenario = compiled(
        EGO + "weather: {name: snow, visibility_m: 42}\ncriteria: {max_time_s: 20, goal: false}\nlatency_ticks: 2\n"
    )
    assert (scenario.weather, scenario.friction, scenario.visibility_m, scenario.latency_ticks) == ("snow", 0.3, 42.0, 2)
    assert (scenario.criteria.max_time_s, scenario.criteria.goal) == (20.0, False)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ego: {at: {approach: sout, before_stop: 30}}\n", "f.yaml:4:11: no arm 'sout' leads in on map 'four_way'; did you mean"),
        ("ego: {at: {lane: south_in_9}}\n", "f.yaml:4:11: no lane 'south_in_9' in map 'four_way'; did you mean 'south_in_0'?"),
        ("ego: {at: {approach: south, index: 3}}\n", "f.yaml:4:11: approach 'south' has no lane 3. It has 1, counted from 0"),
        ("ego: {at: {approach: south, before_stop: 300}}\n", "before the road begins at lane 'south_in_0'. Start closer"),
        ("ego: {at: {lane: south_in_0, s: 300}}\n", "f.yaml:4:11: s = 300 m is not on lane 'south_in_0'. It is 80.0 m long"),
        ("ego: {at: {lane: south_in_0, s: 20, d: 5}}\n", "f.yaml:4:11: starts off the road: d = 5 m at s = 20.0 m of lane"),
        ("ego: {at: {approach: south}, to: {exit: up}}\n", "no arm 'up' leads out"),
        ("ego: {at: {approach: south}, to: {exit: south}}\n", "no route from lane 'south_in_0' out by arm 'south'"),
        (
            "ego: {at: {approach: south}, to: {turn: u_turn}}\n",
            "no u_turn turn ahead of lane 'south_in_0'. It offers: left, right",
        ),
        ("ego: {at: {lane: south_in_0, s: 50}, to: {lane: south_in_0, s: 20}}\n", "is not ahead of the start"),
        ("ego: {route: [south_in_0, north_out_0]}\n", "f.yaml:4:14: impossible route: lane 'north_out_0' neither follows"),
        ("ego: {route: [south_in_0, south_to_nort]}\n", "no lane 'south_to_nort'"),
        ("ego: {at: {lane: south_in_0, s: 10}, route: [east_in_0]}\n", "starts on lane 'south_in_0' but the route begins"),
        (
            EGO + "traffic: {users: [{name: b, at: {approach: south, before_stop: 33}}]}\n",
            "f.yaml:5:33: 'b' and 'ego' start at the same",
        ),
        (EGO + "traffic: {users: [{name: ego, at: {approach: north}}]}\n", "f.yaml:5:26: two actors are called 'ego'"),
        ("traffic: {users: [{kind: pedestrian, at: {crosswalk: 7}}]}\n", "f.yaml:4:42: the map has no crosswalk 7. It has 4"),
        (EGO + "traffic: {demand: [{approach: nrth, count: 3}]}\n", "f.yaml:5:20: no arm 'nrth' leads in"),
        (EGO + "traffic: {demand: 9e9}\n", "f.yaml:5:19: "),
        (EGO + "traffic: {pedestrians: {count: 1, crosswalks: [9]}}\n", "f.yaml:5:24: the map has no crosswalk 9"),
        ("traffic: {users: [{track: [[0, 0, 0, 0, 0]]}]}\n", "f.yaml:4:27: the track of 'car_0' needs at least 2 rows"),
        ("traffic: {users: [{track: nowhere.csv}]}\n", "f.yaml:4:27: track file 'nowhere.csv' cannot be read"),
        ("duration_s: 5\n", "has nobody in it"),
        (EGO.replace("speed: 8", "body: {length: 2, width: 1, brake_max: 3}"), ""),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(text, error):
    if not error:
        assert compiled(text).actors[0].body.length == 2.0
        return
    with pytest.raises(InputError) as caught:
        compiled(text)
    assert error in str(caught.value)
    assert str(caught.value).startswith("f.yaml:")


def test_several_faults_are_told_together():
    with pytest.raises(InputError) as caught:
        compiled("ego: {at: {approach: a}}\ntraffic: {users: [{at: {approach: b}}, {at: {lane: c}}]}\n")
    assert [line.split(" ")[0] for line in str(caught.value).splitlines()] == ["f.yaml:4:11:", "f.yaml:5:24:", "f.yaml:5:45:"]


@pytest.mark.parametrize(
    ("road", "error"),
    [
        ("{builder: four_way, parameters: {lanes: 9}}", "f.yaml:3:38: builder 'four_way' refuses its parameters: lanes of east"),
        (
            "{builder: four_way, parameters: {control: {up: stop}}}",
            "f.yaml:3:38: builder 'four_way' refuses its parameters: control names an arm 'up'",
        ),
        ("{builder: four_way, parameters: {lane_width: -1}}", "lane_width must be a number from 2.5 to 5, got -1"),
        ("{file: nowhere.xodr}", "f.yaml:3:13: map file 'nowhere.xodr' does not exist"),
        ("{file: f.txt}", "cannot read a map from 'f.txt'"),
    ],
)
def test_maps_that_cannot_be_built(road, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.txt").write_text("no map")
    with pytest.raises(InputError) as caught:
        compile_scenario(loads(f"version: 1\nname: x\nmap: {road}\nego: {{at: {{approach: south}}}}\n", file="f.yaml"), 0)
    assert error in str(caught.value)
    assert str(caught.value).startswith("f.yaml:3:")


def test_a_map_file_with_its_own_faults_says_where(tmp_path):
    (tmp_path / "broken.xodr").write_text("<OpenDRIVE>\n<road\n")
    spec = loads("version: 1\nname: x\nmap: {file: broken.xodr}\nego: {at: {anywhere: true}}\n", file=str(tmp_path / "f.yaml"))
    with pytest.raises(InputError, match=r"broken\.xodr:\d+:\d+: "):
        compile_scenario(spec, 0)


def test_left_hand_traffic_by_one_word():
    spec = loads(MAP.replace("}}\n", "}, left_hand: true}\n") + EGO)
    assert compile_scenario(spec, 0).road_map.left_hand_traffic


@pytest.mark.data
def test_a_map_file_with_other_control(data_dir):
    path = data_dir / "opendrive" / "esmini" / "simple_4way_intersection.xodr"
    spec = check(
        {"version": 1, "name": "x", "map": {"file": str(path), "controls": {"all": "all_way"}}, "traffic": {"demand": 600}}
    )
    scenario = compile_scenario(spec, 0)
    assert scenario.actors
    assert (scenario.road_map.lanes["stop_s"] >= 0.0).any()


@pytest.mark.parametrize(("before", "slowest", "fastest"), [(1.0, 3.0, 5.0), (20.0, 7.0, 9.0), (50.0, 12.0, 14.0)])
def test_nobody_starts_faster_than_the_bend_ahead_allows(before, slowest, fastest):
    """A right turn without a stop: the curve is what slows down."""
    where = f"ego: {{at: {{lane: south_in_0, s: -{before}}}, to: {{turn: right}}}}\n"
    text = "version: 1\nname: x\nmap: {builder: four_way, parameters: {control: none}}\n" + where
    scenario = compile_scenario(loads(text, file="f.yaml"), 0)
    assert slowest < scenario.actors[0].speed < fastest


def test_buses_of_the_demand_go_only_where_they_fit():
    flow = "traffic: {demand: [{approach: any, vehicles_per_hour: 1800, turn: any, kinds: {bus: 1, car: 1}}]}\n"
    actors = compiled(flow + "duration_s: 120\n").actors
    lanes = compiled(flow).road_map.lanes
    buses = [actor for actor in actors if actor.kind == Kind.BUS]
    assert len(buses) > 10
    assert {Turn(lanes[lane]["turn"]) for bus in buses for lane in bus.route.lanes} == {Turn.STRAIGHT}


def test_a_flow_of_nothing_but_buses_turns_where_it_is_told_to():
    flow = "traffic: {demand: [{approach: south, vehicles_per_hour: 900, turn: right, kinds: {bus: 1}}]}\n"
    actors = compiled(flow).actors
    assert actors
    assert all(actor.kind == Kind.BUS for actor in actors)


def test_names_of_weather_faults_and_beams_are_those_of_the_sensors():
    assert set(get_args(WeatherName)) == set(WEATHER) == set(FRICTIONS) == set(VISIBILITIES)
    assert set(get_args(FaultSpec.model_fields["kind"].annotation)) == set(FAULTS)
    assert set(get_args(LidarOptions.model_fields["beams"].annotation)) == set(BEAMS)
    assert LidarSpec(**LidarOptions().model_dump()) == LidarSpec()


def test_lidar_weather_and_faults_reach_the_episode():
    scenario = compiled(
        EGO + "weather: {name: snow, rate: 1.5}\nsensing: lidar\nlidar: {beams: 64, dead_rings: 0.5}\n"
        "faults: [{kind: late, start_s: 3, amount: 2}]\n"
    )
    assert scenario.lidar == LidarSpec(beams=64, dead_rings=0.5)
    assert scenario.air.rate == 1.5
    assert scenario.faults == (Fault(kind="late", start_s=3.0, duration_s=5.0, amount=2.0),)
    foggy = compiled(EGO + "weather: {name: fog, visibility_m: 70}\n")
    assert foggy.air.visibility == 70.0


def test_a_thing_takes_size_and_harm_from_its_kind_unless_told_otherwise():
    at = "at: {approach: west, before_stop: 40}"
    scenario = compiled(
        f"traffic: {{things: [{{thing: pallet, {at}}}, {{thing: leaves, {at}}},"
        f" {{thing: leaves, name: wet_leaves, drive_through: false, size: [2, 1, 0.2], at: {{approach: east, s: 20}}}}]}}\n"
    )
    pallet, leaves, wet = scenario.actors
    assert (pallet.body.length, pallet.body.width, pallet.body.height) == pytest.approx((1.1, 0.9, 0.16))
    assert (pallet.drive_through, leaves.drive_through, wet.drive_through) == (False, True, False)
    assert wet.body.length == 2.0
    with pytest.raises(InputError, match="unknown thing 'palet'; did you mean 'pallet'"):
        compiled(f"traffic: {{things: [{{thing: palet, {at}}}]}}\n")
