"""Contacts against closed forms and brute force, hand-labelled collisions, and leaving the road."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.awareness import remember
from sim.contact import EVENT_COLLISION, EVENT_OFFROAD, LEVEL_M, OFFROAD_M, check_offroad, find_contacts, line_up
from sim.geometry import box_corners, boxes_overlap
from sim.interface import SPECS, Gear, Kind
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneDraft, LaneMap, MapDraft
from sim.roads.route import shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.state import EVENTS, Status
from sim.world import World
from tests.sim.roads.maps import assembled, built, lane
from tests.sim.worlds import Stage, crossing, through

CAR = SPECS[Kind.CAR]
TICK = 0.1


def touch(world: Stage) -> None:
    """Look for contacts."""
    line_up(world.state, 0)
    find_contacts(world.state, world.roads, 0)


def drift(world: Stage, ticks: int = 100) -> np.ndarray:
    """Everybody moves on at its own velocity until the first collision; its event record."""
    bodies = world.bodies[: int(world.state.worlds["actors"][0])]
    for _ in range(ticks):
        for a in range(len(bodies)):
            remember(world.state, 0, a)
        world.state.worlds["tick"] += 1
        bodies["x"] += TICK * bodies["vx"]
        bodies["y"] += TICK * bodies["vy"]
        bodies["hypothesis_s"][:, 0] += TICK * bodies["speed"]
        touch(world)
        if world.state.worlds["event_count"][0] > 0:
            return world.events[0]
    raise AssertionError("nobody touched")


def road(slots: int = 8) -> Stage:
    return Stage(built("straight", length=400.0), slots=slots)


# ---- when and how hard


@given(st.floats(3.0, 40.0), st.floats(1.0, 20.0), st.floats(0.0, 15.0))
@settings(max_examples=40)
def test_head_on(gap, one, other):
    world = road()
    world.put(0.0, 0.0, 0.0, one)
    world.put(CAR.length + gap, 0.3, np.pi, other)
    event = drift(world, 500)
    assert event["time_s"] == pytest.approx(gap / (one + other), abs=2e-3)
    assert event["speed"] == pytest.approx(one + other, rel=1e-4)
    assert (event["kind"], event["a"], event["b"]) == (EVENT_COLLISION, 0, 1)


@pytest.mark.parametrize("angle", [0.0, 1.0, -2.5])
@pytest.mark.parametrize(("front", "rear"), [(0.0, 5.0), (3.0, 11.0)])
def test_rear_end(angle, front, rear):
    world, gap = road(), 7.3
    reach = CAR.length + gap
    world.put(0.0, 0.0, angle, rear)
    world.put(reach * np.cos(angle), reach * np.sin(angle), angle, front)
    event = drift(world)
    assert event["time_s"] == pytest.approx(gap / (rear - front), abs=2e-3)
    assert event["speed"] == pytest.approx(rear - front, rel=1e-4)


@pytest.mark.parametrize(("through_speed", "speed"), [(6.0, 4.0), (0.0, 9.0), (12.0, 3.0)])
def test_into_the_side(through_speed, speed):
    """The one comes from the south; its front reaches the other's flank while that one is across."""
    world = road()
    first_touch = 1.234
    world.put(-through_speed * first_touch, 0.0, 0.0, through_speed)
    world.put(0.0, -0.5 * (CAR.width + CAR.length) - speed * first_touch, 0.5 * np.pi, speed)
    event = drift(world)
    assert event["time_s"] == pytest.approx(first_touch, abs=2e-3)
    assert event["speed"] == pytest.approx(np.hypot(through_speed, speed), rel=1e-4)


def test_cars_that_only_pass_do_not_touch():
    world = road()
    world.put(0.0, 0.0, 0.0, 10.0)
    world.put(40.0, CAR.width + 0.01, np.pi, 10.0)
    with pytest.raises(AssertionError, match="nobody touched"):
        drift(world, 60)


@pytest.mark.parametrize(("height", "touches"), [(LEVEL_M - 0.1, True), (LEVEL_M + 0.1, False)])
def test_a_bridge_is_another_level(height, touches):
    world = road()
    world.put(0.0, 0.0)
    world.put(1.0, 0.0, 1.0, z=height)
    touch(world)
    assert (world.state.worlds["event_count"][0] == 1) == touches


@pytest.mark.parametrize("status", [Status.WAITING, Status.FINISHED, Status.UNUSED])
def test_who_is_not_on_the_road_is_not_touched(status):
    world = road()
    world.put(0.0, 0.0)
    world.put(1.0, 0.0, status=status)
    touch(world)
    assert world.state.worlds["event_count"][0] == 0


def test_a_bag_is_driven_through():
    world = road()
    world.put(0.0, 0.0, speed=10.0)
    world.put(20.0, 0.0, kind=Kind.OBJECT, drive_through=1)
    with pytest.raises(AssertionError, match="nobody touched"):
        drift(world, 50)
    assert world.bodies["crashed"][:2].tolist() == [0, 0]


def test_one_contact_is_one_event_and_marks_both():
    world = road()
    world.put(0.0, 0.0)
    world.put(1.0, 0.5, 0.3)
    world.put(30.0, 0.0)
    for _ in range(5):
        world.state.worlds["tick"] += 1
        touch(world)
    assert world.state.worlds["event_count"][0] == 1
    assert world.bodies["crashed"][:3].tolist() == [1, 1, 0]


# ---- who touches whom


def overlapping(world: Stage, count: int) -> set[tuple[int, int]]:
    """All pairs of active boxes that overlap, by comparing everybody with everybody."""
    found = set()
    for a, b in itertools.combinations(range(count), 2):
        one, other = world.bodies[a], world.bodies[b]
        if one["status"] != Status.ACTIVE or other["status"] != Status.ACTIVE or abs(one["z"] - other["z"]) > LEVEL_M:
            continue
        boxes = [(r["x"], r["y"], r["cos"], r["sin"], 0.5 * float(r["length"]), 0.5 * float(r["width"])) for r in (one, other)]
        if boxes_overlap(*(float(value) for value in (*boxes[0], *boxes[1]))):
            found.add((a, b))
    return found


@pytest.mark.parametrize(("count", "side"), [(2, 6.0), (12, 30.0), (48, 110.0), (100, 240.0)])
@pytest.mark.parametrize("seed", range(4))
def test_the_sweep_finds_exactly_the_overlapping_pairs(count, side, seed):
    draw = np.random.default_rng(seed)
    world = road(count)
    for _ in range(count):
        kind = Kind(int(draw.integers(8)))
        status = Status.ACTIVE if draw.uniform() < 0.9 else Status.FINISHED
        x, y = draw.uniform(0.0, side, 2)
        world.put(x, y, draw.uniform(-3.1, 3.1), kind=kind, status=status, z=float(draw.choice([0.0, 0.0, 5.0])))
    expected: set[tuple[int, int]] = set()
    for _ in range(6):
        world.state.worlds["tick"] += 1
        touch(world)
        expected |= overlapping(world, count)
        assert world.state.worlds["event_count"][0] <= EVENTS
        events = world.events[: int(world.state.worlds["event_count"][0])]
        assert {(int(event["a"]), int(event["b"])) for event in events} == expected
        assert len(events) == len(expected)
        world.bodies["x"] += draw.uniform(-8.0, 8.0, count)
        world.bodies["y"] += draw.uniform(-8.0, 8.0, count)
        world.bodies["status"] = np.where(draw.uniform(size=count) < 0.9, Status.ACTIVE, Status.FINISHED)
    assert sorted(world.state.order[0]) == list(range(count))
    assert expected or count == 2


def test_a_full_log_counts_on_and_forgets_nothing_before():
    world = road(EVENTS + 20)
    for k in range(EVENTS + 20):
        world.put(0.01 * k, 0.0)
    touch(world)
    assert world.state.worlds["event_count"][0] > EVENTS
    assert (world.events["kind"] == EVENT_COLLISION).all()
    assert (world.bodies["crashed"] == 1).all()


# ---- whose fault: each case is labelled by hand


def same_lane(rear: float, front: float, **fields: float) -> Stage:
    world = road()
    world.put_on("eastbound_0", 100.0, speed=rear)
    world.put_on("eastbound_0", 100.0 + CAR.length + 1.0, speed=front, **fields)
    return world


def rear_end() -> Stage:
    return same_lane(10.0, 4.0)


def hit_while_standing() -> Stage:
    return same_lane(8.0, 0.0)


def creeping_into_a_queue() -> Stage:
    return same_lane(0.5, 0.0)


def debris() -> Stage:
    return same_lane(8.0, 0.0, kind=Kind.OBJECT)


def a_cyclist_run_down() -> Stage:
    return same_lane(8.0, 3.0, kind=Kind.BICYCLE)


def sideswipe() -> Stage:
    """The second car leaves its lane for that of the first, who keeps to its middle."""
    world = Stage(built("straight", length=400.0, lanes=2))
    world.put_on("eastbound_1", 100.0, 0.0, speed=10.0)
    slot = world.put_on("eastbound_0", 101.0, -1.0, -0.12, speed=10.0)
    assert slot == 1
    return world


def head_on_by_overtaking() -> Stage:
    """The second car comes along the first one's lane: seen from its own it is a lane to the left."""
    world = road()
    world.put_on("eastbound_0", 150.0, speed=10.0)
    world.put_on("westbound_0", 210.0, 3.4, 0.02, speed=10.0)
    return world


def head_on_in_the_middle() -> Stage:
    """Neither is more to blame than the other."""
    world = road()
    world.put_on("eastbound_0", 150.0, 1.2, speed=10.0)
    world.put_on("westbound_0", 210.0, 1.2, speed=10.0)
    return world


def into_the_back_of_a_reversing_car() -> Stage:
    """The car in front backs into one that stands."""
    world = road()
    world.put_on("eastbound_0", 100.0, speed=0.0)
    world.put_on("eastbound_0", 106.0, speed=-1.5)
    return world


def reversing_into_a_rolling_car() -> Stage:
    world = road()
    world.put_on("eastbound_0", 100.0, speed=1.0)
    world.put_on("eastbound_0", 106.0, speed=-2.0)
    return world


def away_in_reverse() -> Stage:
    """The second car backs away from the first, which comes on faster and runs into its front."""
    world = road()
    world.put_on("eastbound_0", 100.0, speed=6.0)
    world.put_on("eastbound_0", 106.0, 0.0, np.pi, speed=-2.0)
    return world


def walker_before_a_car() -> Stage:
    world = road()
    car = world.put_on("eastbound_0", 150.0, speed=10.0)
    x, y = float(world.bodies["x"][car]), float(world.bodies["y"][car])
    world.put(x + 10.0, y - 1.1, 0.5 * np.pi, 1.3, kind=Kind.PEDESTRIAN)
    return world


def walker_standing() -> Stage:
    world = road()
    car = world.put_on("eastbound_0", 150.0, speed=10.0)
    world.put(float(world.bodies["x"][car]) + 10.0, float(world.bodies["y"][car]), 1.0, 0.0, kind=Kind.PEDESTRIAN)
    return world


def walker_into_a_flank() -> Stage:
    """Somebody walks into the side of a car that is passing."""
    world = road()
    car = world.put_on("eastbound_0", 150.0, speed=8.0)
    x, y = float(world.bodies["x"][car]), float(world.bodies["y"][car])
    world.put(x + 8.0, y - 0.5 * CAR.width - 0.25 - 1.4, 0.5 * np.pi, 1.4, kind=Kind.PEDESTRIAN)
    return world


@functools.cache
def four_way(control: str | tuple[tuple[str, str], ...]) -> LaneMap:
    return assemble(BUILDERS["four_way"](control=control if isinstance(control, str) else dict(control)))


def crossing_paths(control: str | dict[str, str], first: str, second: str, **entered: int) -> Stage:
    """Two cars from the arms `first` and `second`, both straight on, that meet where their lanes cross."""
    world = Stage(four_way(tuple(control.items()) if isinstance(control, dict) else control))
    opposite = {"east": "west", "west": "east", "north": "south", "south": "north"}
    lanes = [through(world.road_map, arm, opposite[arm]).lanes[1] for arm in (first, second)]
    points = [world.road_map.lane_points(number) for number in lanes]
    apart = np.hypot(points[0]["x"][:, None] - points[1]["x"], points[0]["y"][:, None] - points[1]["y"])
    meet = np.unravel_index(int(np.argmin(apart)), apart.shape)
    for k, arm in enumerate((first, second)):
        s = float(meet[k]) * float(world.road_map.lanes["spacing"][lanes[k]])
        tick = entered.get(arm, -1)
        world.put_on(world.road_map.lane_names[lanes[k]], s - 4.5, speed=5.0, entered_tick=tick)
    return world


MAIN_ROAD = {"east": "none", "west": "none", "north": "stop", "south": "stop"}


def against_priority() -> Stage:
    return crossing_paths(MAIN_ROAD, "east", "north", east=30, north=10)


def with_priority_but_listed_second() -> Stage:
    return crossing_paths(MAIN_ROAD, "south", "west", south=10, west=30)


def late_entry() -> Stage:
    return crossing_paths("all_way", "east", "north", east=10, north=30)


def early_entry() -> Stage:
    return crossing_paths("all_way", "east", "north", east=30, north=10)


LABELLED = [
    (rear_end, 1, 0),
    (hit_while_standing, 1, 0),
    (creeping_into_a_queue, 1, 0),
    (debris, 1, 0),
    (a_cyclist_run_down, 1, 0),
    (sideswipe, 0, 1),
    (head_on_by_overtaking, 0, 1),
    (head_on_in_the_middle, 1, 1),
    (into_the_back_of_a_reversing_car, 0, 1),
    (reversing_into_a_rolling_car, 0, 1),
    (away_in_reverse, 1, 0),
    (walker_before_a_car, 1, 0),
    (walker_standing, 1, 0),
    (walker_into_a_flank, 0, 1),
    (against_priority, 0, 1),
    (with_priority_but_listed_second, 1, 0),
    (late_entry, 0, 1),
    (early_entry, 1, 0),
]


@pytest.mark.parametrize(("case", "fault_a", "fault_b"), LABELLED, ids=[case.__name__ for case, _, _ in LABELLED])
def test_fault(case, fault_a, fault_b):
    world = case()
    swapped = case()
    event = drift(world)
    assert (int(event["fault_a"]), int(event["fault_b"])) == (fault_a, fault_b)
    # who has the lower slot does not matter
    for array in (swapped.bodies, swapped.minds):
        array[[0, 1]] = array[[1, 0]]
    event = drift(swapped)
    assert (int(event["fault_a"]), int(event["fault_b"])) == (fault_b, fault_a)


# ---- leaving the road


def is_off(world: Stage, a: int = 0) -> bool:
    check_offroad(world.state, world.roads, 0, a)
    events = world.events[: int(world.state.worlds["event_count"][0])]
    assert (world.bodies["offroad"][a] == 1) == (EVENT_OFFROAD in events["kind"])
    return bool(world.bodies["offroad"][a])


@pytest.mark.parametrize("heading_against_it", [0.0, 0.15, -0.3])
@pytest.mark.parametrize("beyond", [-0.5, -0.1, 0.1, 0.5])
def test_off_a_straight_road_by_its_corner(heading_against_it, beyond):
    """Beyond the right edge by OFFROAD_M + `beyond`, measured at the outermost corner."""
    world = road()
    reach = 0.5 * CAR.length * abs(np.sin(heading_against_it)) + 0.5 * CAR.width * np.cos(heading_against_it)
    world.put_on("eastbound_0", 200.0, -(1.75 + OFFROAD_M + beyond - reach), heading_against_it)
    assert is_off(world) == (beyond > 0.0)


def test_the_lane_over_is_still_road():
    world = road()
    world.put_on("eastbound_0", 200.0, 3.5)
    assert not is_off(world)


def test_off_road_is_noted_once():
    world = road()
    world.put_on("eastbound_0", 200.0, -6.0)
    assert is_off(world)
    world.bodies["y"][0] += 6.0
    assert is_off(world)
    world.bodies["y"][0] -= 6.0
    assert is_off(world)
    assert world.state.worlds["event_count"][0] == 1


RADIUS = 25.0


@pytest.fixture(scope="module")
def curve():
    """A quarter circle to the left about the origin of the draft, between two straights, one lane wide."""
    angles = np.linspace(-0.5 * np.pi, 0.0, 80)
    arc = RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return assembled(
        lane("in", [[-60.0, -RADIUS], [0.0, -RADIUS]], successors=("arc",)),
        lane("arc", arc, successors=("out",)),
        lane("out", [[RADIUS, 0.0], [RADIUS, 60.0]]),
    )


@given(st.floats(12.0, 27.0), st.floats(-2.5, 2.5), st.floats(-0.2, 0.2), st.sampled_from([Kind.CAR, Kind.BUS, Kind.BICYCLE]))
@settings(max_examples=150)
def test_off_a_curve_by_its_corner(curve, s, d, turned, kind):
    world = Stage(curve, slots=1)
    world.put_on("arc", s, d, turned, kind=kind)
    body = world.bodies[0]
    x, y = float(body["x"]) + curve.origin[0], float(body["y"]) + curve.origin[1]
    corners = box_corners(np.array(x), np.array(y), np.array(float(body["heading"])), float(body["length"]), float(body["width"]))
    beyond = np.abs(np.hypot(corners[:, 0], corners[:, 1]) - RADIUS) - 1.75 - OFFROAD_M
    # the edge is known to a decimetre
    if abs(beyond.max()) > 0.12:
        assert is_off(world) == (beyond.max() > 0.0)


# ---- after the crash


def crash(model: Model, gear: Gear = Gear.DRIVE) -> World:
    road_map = crossing()
    car = Actor(name="car", model=model, route=through(road_map, "east", "west"), s=20.0, speed=8.0)
    far = Actor(name="far", route=through(road_map, "north", "south"), s=5.0, speed=0.0)
    world = World([Scenario(name="crash", road_map=road_map, actors=(car, far), seed=1)])
    for _ in range(5):
        world.step()
    world.state.bodies["crashed"][0, 0] = 1
    return world


def test_a_crashed_driver_brakes_to_a_stand_and_stays():
    world = crash(Model.NEGOTIATOR)
    for _ in range(30):
        world.step()
    assert world.state.bodies["speed"][0].min() == 0.0
    x = float(world.state.bodies["x"][0, 0])
    for _ in range(50):
        world.step()
    assert float(world.state.bodies["x"][0, 0]) == x
    assert world.state.bodies["speed"][0, 1] > 0.0 or world.finished(0)


def test_a_car_run_into_a_parked_one_is_recorded_with_time_and_speed():
    road_map = built("straight", length=400.0)
    lane_index = road_map.lane("eastbound_0")
    y = float(road_map.lane_points(lane_index)["y"][0])
    x0 = float(road_map.lane_points(lane_index)["x"][0])
    route = shortest_route(road_map, lane_index, lane_index)
    actors = (
        Actor(name="parked", model=Model.STILL, pose=(x0 + 90.0, y, 0.0)),
        Actor(name="ego", model=Model.EXTERNAL, route=route, s=50.0, speed=8.0),
    )
    world = World([Scenario(name="parked", road_map=road_map, actors=actors, seed=1, ego=1)])
    for _ in range(60):
        world.step()
    (event,) = world.events(0)
    assert event["time_s"] == pytest.approx((40.0 - CAR.length) / 8.0, abs=2e-3)
    assert event["speed"] == pytest.approx(8.0, rel=1e-4)
    assert (event["fault_a"], event["fault_b"]) == (0, 1)
    assert world.state.bodies["crashed"][0].tolist() == [1, 1]


# ---- heights


def sloped(lines: dict[str, list[list[float]]]) -> LaneMap:
    """A map of straight lanes of their own through these points (x, y, z)."""
    lanes = [LaneDraft(name=name, centreline=np.array(line), half_width=1.75, road=name) for name, line in lines.items()]
    return assemble(MapDraft(name="sloped", lanes=lanes))


def driven_on(road_map: LaneMap, starts: dict[str, float], parked: float | None = None) -> World:
    """A car at 10 m/s at `s` of each lane, their pedals left alone; one more standing at `parked` on the first lane."""
    actors = []
    for name, s in starts.items():
        index = road_map.lane(name)
        actors.append(Actor(name=name, model=Model.EXTERNAL, route=shortest_route(road_map, index, index), s=s, speed=10.0))
    if parked is not None:
        index = road_map.lane(next(iter(starts)))
        standing = Actor(name="standing", model=Model.EXTERNAL, route=shortest_route(road_map, index, index), s=parked, speed=0.0)
        actors.append(standing)
    world = World([Scenario(name="heights", road_map=road_map, actors=tuple(actors), seed=1)])
    for _ in range(60):
        world.step()
    return world


def test_a_car_drives_up_a_ramp_into_one_that_stands_there():
    road_map = sloped({"ramp": [[0.0, 0.0, 0.0], [20.0, 0.0, 0.0], [100.0, 0.0, 8.0]]})
    world = driven_on(road_map, {"ramp": 10.0}, parked=68.0)
    (event,) = world.events(0)
    assert event["kind"] == EVENT_COLLISION
    heights = world.state.bodies["z"][0]
    assert heights[1] == pytest.approx(4.8, abs=0.05)
    assert heights[0] == pytest.approx((float(world.state.minds["s"][0, 0]) - 20.0) * 0.1, abs=0.05)


def test_what_is_parked_stands_at_the_height_of_the_road():
    road_map = sloped({"up": [[0.0, 0.0, 10.0], [100.0, 0.0, 18.0]]})
    point = road_map.lane_points(0)[60]
    parked = Actor(name="parked", model=Model.STILL, pose=(float(point["x"]), float(point["y"]), 0.0))
    world = World([Scenario(name="heights", road_map=road_map, actors=(parked,), seed=1)])
    assert world.state.bodies["z"][0, 0] == pytest.approx(12.4, abs=0.05)


@pytest.mark.parametrize(("height", "hits"), [(6.0, 0), (0.0, 1)])
def test_two_levels_of_a_bridge_do_not_meet_and_one_level_does(height, hits):
    """Both are over the crossing at the same time; the upper one drove up a ramp to get there."""
    lines = {
        "below": [[-60.0, 0.0, 0.0], [60.0, 0.0, 0.0]],
        "above": [[0.0, -60.0, 0.0], [0.0, -20.0, height], [0.0, 20.0, height], [0.0, 60.0, 0.0]],
    }
    world = driven_on(sloped(lines), {"below": 20.0, "above": 20.0})
    assert [int(event["kind"]) for event in world.events(0)].count(EVENT_COLLISION) == hits
