"""How often drivers decide, and what makes them decide at once."""

from __future__ import annotations

import numpy as np

from sim.interface import Kind
from sim.roads.lane_map import Regulation
from sim.roads.route import Route
from sim.scenario import Actor, Model, Scenario
from sim.state import CONTROL_DTYPE, EventKind, Reason
from sim.traffic.calm import CALM_TICKS, DECISION_TICKS, RESTING_TICKS
from sim.world import World
from tests.sim.roads.maps import assembled, built, lane
from tests.sim.worlds import through


def decided(world: World, actor: int, ticks: int, controls: np.ndarray | None = None) -> list[int]:
    """The ticks, of so many, at which an actor decides."""
    found = []
    for _ in range(ticks):
        tick = world.tick
        world.step(controls)
        if world.state.minds["plan_tick"][0, actor] == tick:
            found.append(tick)
    return found


def gaps(ticks: list[int]) -> set[int]:
    return set(np.diff(ticks).tolist())


def on_straight(*actors: tuple[Model, float, float], **road: float) -> World:
    """Cars of (model, s, speed) on the first lane of a straight road."""
    road_map = built("straight", **{"length": 600.0, "lanes": 1, **road})
    lane = road_map.lane("east_0") if "east_0" in road_map.lane_names else 0
    route = Route(lanes=(lane,), goal_s=float(road_map.lanes["length"][lane]))
    cars = tuple(Actor(name=f"c{k}", model=model, route=route, s=s, speed=v) for k, (model, s, v) in enumerate(actors))
    return World([Scenario(name="t", road_map=road_map, actors=cars, seed=3, latency_ticks=0)], traced=False)


def test_an_open_road_asks_for_few_decisions():
    world = on_straight((Model.NEGOTIATOR, 50.0, 8.0))
    assert gaps(decided(world, 0, 40)) == {CALM_TICKS}


def test_a_neighbour_lane_asks_for_more():
    world = on_straight((Model.NEGOTIATOR, 50.0, 8.0), lanes=2)
    assert gaps(decided(world, 0, 40)) == {DECISION_TICKS}


def test_a_steady_leader_leaves_its_follower_calm_and_a_braking_one_does_not():
    world = on_straight((Model.EXTERNAL, 80.0, 8.0), (Model.NEGOTIATOR, 50.0, 8.0))
    controls = np.zeros((1, 2), CONTROL_DTYPE)
    controls["given"] = 1
    decided(world, 1, 60, controls)
    assert gaps(decided(world, 1, 20, controls)) == {CALM_TICKS}
    controls["accel"][0, 0] = -4.0
    found = decided(world, 1, 2 * CALM_TICKS + int(world.state.minds["response_ticks"][0, 1]), controls)
    assert DECISION_TICKS in gaps(found)


def test_somebody_on_foot_in_sight_ends_the_calm():
    road_map = built("straight", length=600.0, lanes=1)
    route = Route(lanes=(0,), goal_s=500.0)
    car = Actor(name="car", route=route, s=50.0, speed=8.0)
    point = road_map.lane_points(0)[240]
    walker = Actor(
        name="walker", kind=Kind.PEDESTRIAN, model=Model.STILL,
        pose=(float(point["x"]) - 4.0 * float(point["sin"]), float(point["y"]) + 4.0 * float(point["cos"]), 0.0),
    )  # fmt: skip
    alone = World([Scenario(name="t", road_map=road_map, actors=(car,), seed=3)], traced=False)
    watched = World([Scenario(name="t", road_map=road_map, actors=(car, walker), seed=3)], traced=False)
    assert gaps(decided(alone, 0, 30)) == {CALM_TICKS}
    assert gaps(decided(watched, 0, 30)[4:]) == {DECISION_TICKS}


def queue() -> tuple[World, np.ndarray]:
    """An externally driven car that stands at an all-way stop, three behind it; and controls that keep it there."""
    road_map = built("four_way", control="all_way")
    route = through(road_map, "south", "north")
    line = float(road_map.lanes["stop_s"][route.lanes[0]])
    first = Actor(name="first", model=Model.EXTERNAL, route=route, s=line - 3.0, speed=0.0)
    others = [Actor(name=f"c{k}", route=route, s=line - 16.0 - 14.0 * k, speed=2.0) for k in range(3)]
    scenario = Scenario(name="t", road_map=road_map, actors=(first, *others), seed=5, latency_ticks=0)
    world = World([scenario], traced=False)
    controls = np.zeros((1, 4), CONTROL_DTYPE)
    controls["given"], controls["accel"] = 1, -1.0
    decided(world, 1, 150, controls)
    assert np.all(np.abs(world.state.bodies["speed"][0, 1:]) < 0.3)
    return world, controls


def test_who_stands_in_a_queue_watches_its_leader_and_who_comes_to_the_line_the_junction():
    world, controls = queue()
    assert gaps(decided(world, 1, 3 * RESTING_TICKS, controls)) == {RESTING_TICKS}
    controls["accel"] = 2.0
    decided(world, 1, 40, controls)
    assert world.state.minds["gate"][0, 1] >= 0  # it has not passed the line
    assert gaps(decided(world, 1, 12, controls)) == {DECISION_TICKS}


def test_waiting_is_counted_in_ticks_however_often_one_decides():
    world, controls = queue()
    before = world.state.minds["wait_ticks"][0, 1:].copy()
    decided(world, 1, 3 * RESTING_TICKS, controls)
    waited = world.state.minds["wait_ticks"][0, 1:] - before
    assert np.any(before > 0)
    assert np.all(waited[before > 0] == 3 * RESTING_TICKS)


def test_who_follows_a_leader_to_the_next_line_still_heeds_who_crosses_before_it():
    """In a junction, behind a leader that has left it, with the next stop line in sight; the crossing car does not stop."""
    road_map = assembled(
        lane("across", [[0, 0], [40, 0]], successors=("out",), junction="j"),
        lane("out", [[40, 0], [80, 0]], successors=("second",), regulation=Regulation.STOP),
        lane("second", [[80, 0], [120, 0]], junction="k"),
        lane("side", [[100, -30], [100, 30]], junction="k"),
        lane("major", [[30, -60], [30, 60]], junction="j", priority_road=True),
    )
    route = Route(lanes=tuple(road_map.lane(name) for name in ("across", "out", "second")), goal_s=30.0)
    crossing = Route(lanes=(road_map.lane("major"),), goal_s=110.0)
    actors = (
        Actor(name="follower", route=route, s=5.0, speed=5.0),
        Actor(name="leader", route=route, s=20.0, speed=5.0),
        Actor(name="crosses", model=Model.EXTERNAL, route=crossing, s=22.0, speed=10.0),
    )
    world = World([Scenario(name="t", road_map=road_map, actors=actors, seed=3)], traced=False)
    controls = np.zeros((1, 3), CONTROL_DTYPE)
    controls["given"] = 1
    heeded = []
    for _ in range(40):
        world.step(controls)
        heeded.append(bool(world.state.minds["reason"][0, 0] == Reason.YIELD and world.state.minds["other"][0, 0] == 2))
    assert any(heeded)
    assert EventKind.COLLISION not in world.events(0)["kind"].tolist()
