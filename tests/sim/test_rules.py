"""The `rules` driver: the traffic's own logic behind the driver interface, given frames alone."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.interface import OBJECT_DTYPE, SPECS, Control, Kind, SensorFrame
from sim.roads.route import Route, shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.state import CONTROL_DTYPE, EventKind
from sim.traffic.own_world import SLOTS, OwnWorld
from sim.traffic.rules import RulesDriver
from sim.world import World
from tests.sim.roads.maps import built
from tests.sim.worlds import ARMS, busy, through

DRIVER = RulesDriver()


def four_way(seed: int, latency: int = 1, others: int = 4) -> Scenario:
    """Ego from the east, to an arm that the seed draws, among a few cars that arrive about when it does."""
    road_map = built("four_way", control="all_way")
    draw = np.random.default_rng(seed)
    actors = [Actor(name="ego", model=Model.EXTERNAL, route=through(road_map, "east", ARMS[1 + seed % 3]), s=15.0, speed=8.0)]
    for k in range(others):
        start, end = (int(arm) for arm in draw.choice(4, 2, replace=False))
        route, wait = through(road_map, ARMS[start], ARMS[end]), float(draw.uniform(0.5, 6.0))
        actors.append(Actor(name=f"c{k}", route=route, s=15.0 + 5.0 * k, speed=7.0, depart_s=wait))
    return Scenario(name="rules", road_map=road_map, actors=tuple(actors), seed=seed, ego=0, latency_ticks=latency)


def started(scenario: Scenario) -> OwnWorld:
    ego = scenario.actors[scenario.ego or 0]
    assert ego.route is not None
    return DRIVER.start(scenario.road_map, ego.route, ego.body, scenario.seed)


def as_row(world: World, control: Control) -> np.ndarray:
    controls = np.zeros(world.state.bodies.shape, CONTROL_DTYPE)
    ego = world.scenarios[0].ego
    controls[0, ego] = (control.accel, control.steer, int(control.indicator), int(control.gear), int(control.gesture), 1)
    return controls


def drive(world: World, memory: OwnWorld, ticks: int) -> OwnWorld:
    """Let `rules` drive ego until it is done or `ticks` are over."""
    for _ in range(ticks):
        if world.finished(0):
            break
        step = DRIVER.step(world.frame(0, 0), memory)
        memory = step.memory
        world.step(as_row(world, step.control))
    return memory


def alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Equal field by field: a copy of records leaves the bytes between fields undefined."""
    names = one.dtype.names
    return np.array_equal(one, other) if names is None else all(np.array_equal(one[name], other[name]) for name in names)


@pytest.mark.parametrize("seed", range(6))
def test_it_gets_through_a_four_way_stop(seed):
    scenario = four_way(seed)
    world = World([scenario])
    drive(world, started(scenario), 700)
    assert world.finished(0)
    assert not [event for event in world.events(0) if event["kind"] in (EventKind.COLLISION, EventKind.OFFROAD)]


@pytest.mark.parametrize("latency", [0, 1, 2, 3])
def test_it_copes_with_latency(latency):
    scenario = four_way(1, latency)
    world = World([scenario])
    drive(world, started(scenario), 700)
    assert world.finished(0)
    assert not [event for event in world.events(0) if event["kind"] in (EventKind.COLLISION, EventKind.OFFROAD)]


def test_it_stops_at_the_line():
    scenario = four_way(2, others=0)
    world, memory = World([scenario]), started(scenario)
    slowest = 99.0
    while not world.finished(0):
        memory = drive(world, memory, 1)
        slowest = min(slowest, float(world.state.bodies["speed"][0, 0]))
        assert world.tick < 600
    assert slowest < 1.0


def test_memory_is_passed_not_held():
    """Twice from one memory is twice the same, whatever was driven in between, and the memory given is left alone."""
    scenario = four_way(3)
    world, memory = World([scenario]), started(scenario)
    memory = drive(world, memory, 40)
    frame = world.frame(0, 0)
    before = [np.array(array) for array in memory.state]
    first = DRIVER.step(frame, memory)
    drive(World([four_way(5)]), started(four_way(5)), 20)
    second = DRIVER.step(frame, memory)
    assert first.control == second.control
    for one, other in zip(first.memory.state, second.memory.state, strict=True):
        assert alike(np.asarray(one), np.asarray(other))
    for kept, now in zip(before, memory.state, strict=True):
        assert alike(kept, np.asarray(now))


def test_a_branch_replays_bit_for_bit():
    scenario = four_way(4)
    world, memory = World([scenario]), started(scenario)
    frames: list[SensorFrame] = []
    controls: list[Control] = []
    branch: OwnWorld | None = None
    for k in range(150):
        frame = world.frame(0, 0)
        if k == 50:
            branch = copy.deepcopy(memory)
        step = DRIVER.step(frame, memory)
        if k >= 50:
            frames.append(frame)
            controls.append(step.control)
        memory = step.memory
        world.step(as_row(world, step.control))
    assert branch is not None
    replayed = []
    for frame in frames:
        step = DRIVER.step(frame, branch)
        branch = step.memory
        replayed.append(step.control)
    assert replayed == controls
    assert len({control.accel for control in controls}) > 10


def test_the_drive_depends_on_frames_alone():
    """Two worlds that show the same things but hide different minds lead to the same control."""
    scenario = four_way(1)
    world, memory = World([scenario]), started(scenario)
    memory = drive(world, memory, 60)
    expected = DRIVER.step(world.frame(0, 0), memory).control
    world.state.minds["assertiveness"][0, 1:] = 9.0
    world.state.minds["route"][0, 1:] = 0
    assert DRIVER.step(world.frame(0, 0), memory).control == expected


def thing(number: int, x: float, y: float, kind: Kind = Kind.CAR, **fields: float) -> np.ndarray:
    row = np.zeros(1, OBJECT_DTYPE)
    spec = SPECS[kind]
    row["id"], row["kind"], row["x"], row["y"] = number, kind, x, y
    row["length"], row["width"], row["height"] = spec.length, spec.width, spec.height
    for name, value in fields.items():
        row[name] = value
    return row


def street() -> tuple[Scenario, Route]:
    road_map = built("straight", length=400.0)
    lane = road_map.lane("eastbound_0")
    route = shortest_route(road_map, lane, lane)
    ego = Actor(name="ego", model=Model.EXTERNAL, route=route, s=100.0, speed=10.0)
    return Scenario(name="street", road_map=road_map, actors=(ego,), seed=1, ego=0), route


def test_more_things_than_it_has_room_for():
    """The nearest count: one standing on the lane ahead is braked for among hundreds that do not matter."""
    scenario, _ = street()
    world, memory = World([scenario]), started(scenario)
    world.step()
    frame = world.frame(0, 0)
    x, y, _ = frame.pose
    crowd = [thing(1000 + k, x + 60.0 + 0.2 * k, y + 30.0, Kind.PEDESTRIAN) for k in range(SLOTS + 60)]
    ahead = thing(7, x + 25.0, y)
    braked: list[float] = []
    free: list[float] = []
    for objects, kept in ((np.concatenate([*crowd, ahead]), braked), (np.concatenate(crowd), free)):
        memory = started(scenario)
        for k in range(10):
            step = DRIVER.step(replace(frame, tick=k, objects=objects), memory)
            memory = step.memory
            kept.append(step.control.accel)
        assert len(memory.slot_of) == SLOTS - 1
        assert (7 in memory.slot_of) == (kept is braked)
    assert braked[-1] < -1.5
    assert free[-1] > braked[-1] + 1.0


def test_things_keep_their_place_while_in_sight_and_leave_it_after():
    scenario, _ = street()
    world, memory = World([scenario]), started(scenario)
    frame = world.frame(0, 0)
    x, y, _ = frame.pose
    both = np.concatenate([thing(5, x + 30.0, y + 3.5), thing(9, x - 30.0, y)])
    memory = DRIVER.step(replace(frame, objects=both), memory).memory
    slots = dict(memory.slot_of)
    assert sorted(slots) == [5, 9]
    memory = DRIVER.step(replace(frame, tick=1, objects=both[::-1].copy()), memory).memory
    assert memory.slot_of == slots
    memory = DRIVER.step(replace(frame, tick=2, objects=both[1:]), memory).memory
    assert memory.slot_of == {9: slots[9]}
    memory = DRIVER.step(replace(frame, tick=3, objects=np.zeros(0, OBJECT_DTYPE)), memory).memory
    assert memory.slot_of == {}


def test_without_an_object_list_it_says_what_it_needs():
    scenario, _ = street()
    world, memory = World([scenario]), started(scenario)
    with pytest.raises(ValueError, match="needs an object list: sense at the state or objects level"):
        DRIVER.step(replace(world.frame(0, 0), objects=None), memory)


def test_an_empty_road_is_driven_at_a_good_speed():
    scenario, _ = street()
    world = World([scenario])
    drive(world, started(scenario), 100)
    assert 9.0 < world.state.bodies["speed"][0, 0] < 16.0
    assert abs(float(world.state.minds["d"][0, 0])) < 0.2


def test_it_drives_among_people_parked_cars_and_bags():
    scenario = busy(8)
    ego = Actor(name="ego", model=Model.EXTERNAL, route=through(scenario.road_map, "south", "west"), s=5.0, speed=5.0)
    scenario = replace(scenario, actors=(ego, *scenario.actors), ego=0)
    world = World([scenario])
    drive(world, started(scenario), 900)
    assert world.finished(0)
    assert not [event for event in world.events(0) if event["kind"] == EventKind.COLLISION and 0 in (event["a"], event["b"])]
