"""Shifts round what lies in the way: only round what really lies there, and giving way only where the lane is left."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from avstack.behaviours import own_path
from avstack.behaviours.atlas import FOLLOWING, Atlas
from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.decide import EASES, MISSED_TICKS, BehaviourMemory, _braking_asked, _eased, _has_room, decide
from avstack.behaviours.decision import Ask, Decision, Lead, Manoeuvre, Reason
from avstack.behaviours.hypotheses import on_foot, rests, ways
from avstack.behaviours.lateral import (
    EDGE,
    has_room_behind,
    joined_side,
    outlived,
    past_obstacles,
    wanted_side,
    way_back,
    way_left,
)
from avstack.behaviours.scene import REACH, REACH_BRAKE, reach, read_scene, start_seeing
from avstack.perception.percepts import THING_DTYPE, EgoEstimate, Percepts
from sim.interface import SPECS, TICK_S, Kind
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneKind
from sim.roads.route import shortest_route

CAR = SPECS[Kind.CAR]
SIZE = (5.0, 2.2)
AT_LINE = math.inf


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


def test_a_shift_that_is_driven_keeps_to_the_road(junction):
    room = float(junction.road_map.lane_points(junction.route.lanes[0])["room_right"][0]) - 0.5 * CAR.width - EDGE
    driven = []
    for aside in np.linspace(0.0, 2.0, 201):
        x, y, heading = ahead(junction, 45.0, float(aside))
        scene, _ = look(junction, 15.0, thing_at(x, y, heading, Kind.OBJECT, 0.0, (1.0, 1.0)))
        shifted = past_obstacles(junction, scene, CAR)
        driven += [shift[2] for shift in shifted.shifts] if shifted is not None else []
    right = [-offset for offset in driven if offset < 0.0]
    assert right
    assert max(right) <= room + 1e-9


def box_at(atlas: Atlas, along: float, aside: float) -> np.ndarray:
    return thing_at(*ahead(atlas, along, aside), Kind.OBJECT, 0.0, (1.0, 1.0))


def test_a_shift_ahead_follows_what_is_known_of_the_thing_by_then(junction):
    scene, seen = look(junction, 15.0, box_at(junction, 45.0, -1.2))
    first = past_obstacles(junction, scene, CAR)
    assert first is not None
    seen = replace(seen, recipe=first)
    # a few centimetres are no reason to lay the path anew, a quarter of a metre is
    near, _ = look(junction, 25.0, box_at(junction, 45.0, -1.25), seen)
    assert past_obstacles(junction, near, CAR) is None
    off, seen = look(junction, 25.0, box_at(junction, 45.0, -0.9), seen)
    second = past_obstacles(junction, off, CAR)
    assert second is not None
    assert second.shifts[0].offset == pytest.approx(first.shifts[0].offset + 0.3, abs=0.11)
    # once begun it is finished as it is
    begun, _ = look(junction, 40.0, box_at(junction, 45.0, -0.6), replace(seen, recipe=second))
    assert past_obstacles(junction, begun, CAR) is None


@pytest.mark.parametrize("along", [34.5, 36.0, 36.7])
def test_a_thing_that_turns_up_late_is_passed_on_a_shorter_ramp_without_a_step_in_the_path(junction, along):
    scene, seen = look(junction, along, box_at(junction, 48.0, -0.6))
    shifted = past_obstacles(junction, scene, CAR)
    assert shifted is not None
    (shift,) = shifted.shifts
    assert own_path.least_ramp(shift.offset) <= shift.way < own_path.ramp(shift.offset)
    after, _ = look(junction, along, box_at(junction, 48.0, -0.6), replace(seen, recipe=shifted))
    assert abs(after.d) < 0.02


@pytest.mark.parametrize(("along", "back"), [(38.0, True), (42.0, True), (30.0, False)])
def test_from_a_thing_too_near_to_be_passed_the_ego_backs_up_until_it_can(junction, along, back):
    box = box_at(junction, 48.0, -0.6)
    scene, seen = look(junction, along, box)
    shifted = past_obstacles(junction, scene, CAR)
    assert (shifted is None) == back
    if not back:
        scene, _ = look(junction, along, box, replace(seen, recipe=shifted))
        assert way_back(junction, scene, CAR) is None
        return
    to = way_back(junction, scene, CAR)
    assert to is not None
    assert to < scene.s
    again, _ = look(junction, along + to - scene.s - 0.5, box)
    assert past_obstacles(junction, again, CAR) is not None


def test_the_path_goes_on_without_a_step_where_a_shift_is_given_up(junction):
    scene, _ = look(junction, 15.0, box_at(junction, 45.0, -1.2))
    shifted = past_obstacles(junction, scene, CAR)
    assert shifted is not None
    for s in np.arange(shifted.shifts[0].begins, shifted.shifts[0].start, 2.3):
        given_up = own_path.without(shifted, set(shifted.shifts), float(s), 4.0)
        assert given_up.shifts == ()
        near = s + np.arange(0.0, 0.5, 0.1)
        step = own_path.offsets(given_up, near) - own_path.offsets(shifted, near)
        assert np.abs(step).max() < 0.03
        after = own_path.lay(junction, given_up)
        assert np.abs(after.rows[:, 5]).max() < 0.2  # 1/m, what a car can steer
        assert abs(own_path.offsets(given_up, np.array([s + 25.0]))[0]) < 1e-6


@pytest.mark.parametrize(("missed", "given_up"), [(MISSED_TICKS - 1, False), (MISSED_TICKS + 2, True)])
def test_a_shift_for_what_was_seen_once_is_given_up_after_a_moment(junction, missed, given_up):
    pose = ahead(junction, 34.5, 0.0)
    memory, seen = BehaviourMemory(), None
    box = box_at(junction, 45.0, -1.2)
    for tick in range(3 + missed):
        x, y = pose[0] + 0.3 * tick * math.cos(pose[2]), pose[1] + 0.3 * tick * math.sin(pose[2])
        ego = EgoEstimate(x=x, y=y, heading=pose[2], covariance=np.eye(3) * 1e-6, speed=3.0, accel=0.0, yaw_rate=0.0, steer=0.0)
        things = box if tick < 3 else box[:0]
        percepts = Percepts(tick=tick, ego=ego, things=things, signals=np.zeros(0, np.int32), observed_range=100.0)
        _, _, memory = decide(percepts, junction, CAR, 1, memory, BehaviourConfig())
        seen = memory.seen
        assert seen is not None
        assert tick != 2 or seen.recipe.shifts[0].begins < seen.s
    assert seen is not None
    assert (seen.recipe.shifts == ()) == given_up


def test_a_way_round_nothing_is_known_for_one(junction):
    box = box_at(junction, 45.0, -1.2)
    scene, seen = look(junction, 15.0, box)
    shifted = past_obstacles(junction, scene, CAR)
    assert shifted is not None
    seen = replace(seen, recipe=shifted)
    for along, things, gone in [(38.0, box, False), (38.0, box[:0], True), (20.0, box[:0], False), (44.0, box[:0], False)]:
        scene, _ = look(junction, along, things, seen)
        assert (outlived(junction, scene, CAR) == set(shifted.shifts)) == gone


@pytest.mark.parametrize(
    ("along", "aside", "room"), [(-6.0, 0.0, False), (-6.0, 3.5, True), (-14.0, 0.0, True), (0.0, 2.2, False), (7.0, 0.0, True)]
)
def test_the_ego_backs_up_only_where_nobody_is_behind_or_beside_it(along, aside, room):
    ego = EgoEstimate(x=0.0, y=0.0, heading=0.0, covariance=np.eye(3) * 1e-6, speed=0.0, accel=0.0, yaw_rate=0.0, steer=0.0)
    other = thing_at(along, aside, math.pi, Kind.CAR, 0.0, (4.7, 1.85))
    assert has_room_behind(ego, CAR, other, 5.0) == room
    assert has_room_behind(ego, CAR, other[:0], 5.0)


@pytest.mark.parametrize(("aside", "way"), [(0.0, True), (6.0, False)])
def test_nobody_backs_up_from_what_is_not_in_the_way(junction, aside, way):
    scene, _ = look(junction, 42.0, box_at(junction, 48.0, aside))
    assert (way_back(junction, scene, CAR) is not None) == way


@pytest.mark.parametrize(
    ("along", "stood_s", "before", "stalled"),
    [(25.0, 10.0, None, True), (25.0, 5.0, None, False), (25.0, 10.0, 10.0, False), (AT_LINE, 10.0, None, False)],
)
def test_a_vehicle_that_stands_for_long_and_for_no_reason_is_an_obstacle(junction, along, stood_s, before, stalled):
    along = along if along is not AT_LINE else float(junction.road_map.lanes["stop_s"][junction.route.lanes[0]]) - 3.0
    things = thing_at(*ahead(junction, along, 0.0), Kind.CAR, 0.0, (4.7, 1.9))
    things["standing"] = round(stood_s / TICK_S)
    if before is not None:
        # one ahead of it: a queue
        things = np.concatenate([things, thing_at(*ahead(junction, along + before, 0.0), Kind.CAR, 3.0, (4.7, 1.9))])
        things["id"] = np.arange(len(things))
    scene, _ = look(junction, 8.0, things)
    assert (len(scene.static) == 1) == stalled


@pytest.mark.parametrize(("away", "stalled"), [(12.0, False), (30.0, True)])
def test_who_stands_nose_to_nose_with_the_ego_has_a_reason(junction, away, stalled):
    x, y, heading = ahead(junction, 10.0 + away, 1.0)
    other = thing_at(x, y, heading + math.pi, Kind.CAR, 0.0, (4.7, 1.9))
    other["standing"] = round(10.0 / TICK_S)
    scene, _ = look(junction, 10.0, other)
    assert (len(scene.static) == 1) == stalled


def test_a_path_gives_way_where_it_leaves_its_lane_and_nowhere_else(junction):
    lanes = junction.road_map.lanes
    plain = own_path.begin_recipe(junction, *ahead(junction, 5.0, 0.0))
    # into the lane of those who come the other way, well before the junction
    shifted = replace(plain, shifts=(own_path.Shift(30.0, 40.0, 2.5, own_path.ramp(2.5)),))
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


@pytest.fixture(scope="module")
def ramp():
    """Atlas of the route from a ramp by its acceleration lane onto the carriageway, and lanes by name."""
    road_map = assemble(BUILDERS["merge"]())
    named = {name: k for k, name in enumerate(road_map.lane_names)}
    return Atlas.of(road_map, shortest_route(road_map, named["on_ramp"], named["main_after_1"])), named


def test_an_acceleration_lane_is_left_for_the_lane_that_runs_on(ramp):
    atlas, named = ramp
    assert joined_side(atlas, named["entry_along"]) == 1
    # neither the lane that runs on, nor the ramp before both, nor where they become one already
    assert not any(joined_side(atlas, named[name]) for name in ("main_along_1", "on_ramp", "entry_closing", "main_after_1"))
    scene, _ = look_from(atlas, named["entry_along"], 40.0, 20.0)
    assert wanted_side(atlas, scene) == 1
    assert way_left(atlas, scene) < float(atlas.road_map.lanes["length"][named["entry_along"]]) - 40.0


def look_from(atlas: Atlas, lane: int, along: float, speed: float):
    """The scene with nobody else and the ego `along` metres down a lane."""
    percepts = seen_from(atlas, lane, along, speed)
    return read_scene(percepts, atlas, CAR, start_seeing(atlas, percepts.ego.x, percepts.ego.y, percepts.ego.heading))


def seen_from(atlas: Atlas, lane: int, along: float, speed: float) -> Percepts:
    """Percepts of nobody else, the ego `along` metres down a lane."""
    point = atlas.road_map.lane_points(lane)[int(along / float(atlas.road_map.lanes["spacing"][lane]))]
    pose = (float(point["x"]), float(point["y"]), float(point["heading"]))
    ego = EgoEstimate(
        x=pose[0], y=pose[1], heading=pose[2], covariance=np.eye(3) * 1e-6, speed=speed, accel=0.0, yaw_rate=0.0, steer=0.0
    )
    return Percepts(tick=6, ego=ego, things=np.zeros(0, THING_DTYPE), signals=np.zeros(0, np.int32), observed_range=100.0)


@pytest.mark.parametrize(
    ("until", "way", "braking", "room"),
    [
        (1.4, 29.0, 0.0, True),  # the place is free by the time the ego gets there
        (2.0, 30.0, 5.0, False),  # 20 m/s x 2 s - 5 m/s² x (2 s)² / 2 = 30 m
        (60.0, 50.0, 4.0, False),  # a stop before it
    ],
)
def test_who_is_gone_in_time_is_no_reason_against_a_lane_change(ramp, until, way, braking, room):
    atlas, named = ramp
    scene, _ = look_from(atlas, named["entry_along"], 40.0, 20.0)
    decision = Decision(
        manoeuvre=Manoeuvre.YIELD, reason=Reason.GIVES_WAY, path=scene.path, s=scene.s, plan=np.zeros((1, 3)),
        ask=Ask(windows=((until, scene.s + way),)), step_s=0.25,
    )  # fmt: skip
    assert _braking_asked(decision, scene) == pytest.approx(braking, abs=1e-6)
    assert _has_room(decision, scene) == room == (braking <= EASES)


@pytest.mark.parametrize(
    ("speed", "gap", "room"),
    [
        (20.0, 20.0, True),  # as fast as the ego
        (16.0, 13.0, True),  # 4 m/s slower: 2 s of that and LEAD_ROOM_M
        (16.0, 11.0, False),
        (10.0, 30.0, False),  # 10 m/s slower: coming down to its speed at one's ease takes 38 m
        (10.0, 45.0, True),
    ],
)
def test_lanes_are_changed_behind_whom_one_can_fall_in_behind_at_ease(ramp, speed, gap, room):
    decision, scene = behind(ramp, 20.0, speed, gap)
    assert _has_room(decision, scene) == room


@pytest.mark.parametrize(("theirs", "gap", "most"), [(10.0, 2.0, 13.0), (10.0, 3.5, 13.0), (10.0, 43.5, 16.52), (0.0, 2.0, 3.0)])
def test_one_comes_up_to_whom_one_wants_to_get_in_between_as_one_slows_down_at_ease(ramp, theirs, gap, most):
    # 3 m/s faster than they in the end, so that nobody stands beside a queue; 13² + 2 x 1.3 m/s² x 40 m = 16.52²
    assert _eased(*behind(ramp, 20.0, theirs, gap)) == pytest.approx(most, abs=0.01)


@pytest.mark.parametrize(("beside", "slows"), [("main_along_1", True), ("main_along_0", False), (None, False)])
def test_on_an_acceleration_lane_the_ego_slows_down_for_those_it_wants_to_get_in_between(ramp, beside, slows):
    atlas, named = ramp
    percepts = seen_from(atlas, named["entry_along"], 40.0, 20.0)
    if beside is not None:
        road = atlas.road_map.lane_points(named[beside])
        point = road[int(np.argmin(np.hypot(road["x"] - percepts.ego.x - 45.0, road["y"] - percepts.ego.y)))]
        slow = thing_at(float(point["x"]), float(point["y"]), float(point["heading"]), Kind.CAR, 8.0, SIZE)
        percepts = replace(percepts, things=slow)
    decision, _, memory = decide(percepts, atlas, CAR, 1, BehaviourMemory(), BehaviourConfig())
    assert (decision.reason == Reason.CHANGES_LANE) != slows
    assert (decision.ask.cap < 20.0) == (memory.eased < 20.0) == slows


def test_the_plan_of_a_decision_runs_to_its_horizon(ramp):
    atlas, named = ramp
    config = BehaviourConfig()
    decision, scene, _ = decide(seen_from(atlas, named["entry_along"], 40.0, 20.0), atlas, CAR, 1, BehaviourMemory(), config)
    assert len(decision.plan) == round(config.horizon_s / decision.step_s)
    assert np.all(np.diff(decision.plan[:, 0], prepend=scene.s) > 0.0)


def test_where_nobody_drives_on_the_other_lane_nothing_keeps_the_ego_back(ramp):
    decision, scene = behind(ramp, 20.0, 10.0, 20.0)
    assert _eased(replace(decision, ask=Ask()), scene) == math.inf


def behind(ramp, mine: float, theirs: float, gap: float):
    """What changing lanes `gap` metres behind somebody asks for, and the scene; both drive on at their speeds [m/s]."""
    atlas, named = ramp
    scene, _ = look_from(atlas, named["entry_along"], 40.0, mine)
    t = np.linspace(0.0, 4.75, 20)
    decision = Decision(
        manoeuvre=Manoeuvre.FOLLOW, reason=Reason.LEADER, path=scene.path, s=scene.s, plan=np.zeros((1, 3)),
        ask=Ask(leads=(Lead(7, t, scene.s + gap + theirs * t),)), step_s=0.25,
    )  # fmt: skip
    return decision, scene


def test_who_drives_fast_looks_as_far_as_it_takes_to_stop():
    assert reach(10.0) == REACH
    assert reach(25.0) == pytest.approx(25.0**2 / (2.0 * REACH_BRAKE))
