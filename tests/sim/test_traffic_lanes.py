"""Traffic within and between lanes: tracking curves, changing lanes in time, passing, following, meeting head-on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.interface import SPECS, Kind
from sim.kinematics import idm_equilibrium_gap
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.route import Route, RouteError, shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.state import CONTROL_DTYPE, EventKind, Status
from sim.world import World
from tests.sim.roads.maps import assembled, lane


def through_routes(road_map):
    """Every way from where a road comes in to where one goes out."""
    lanes = road_map.lanes
    driving = lanes["kind"] == 0
    routes = []
    for start in np.flatnonzero(driving & (lanes["predecessor_count"] == 0)):
        for goal in np.flatnonzero(driving & (lanes["successor_count"] == 0)):
            try:
                routes.append(shortest_route(road_map, int(start), int(goal)))
            except RouteError:
                continue
    return routes


def events_of(world, kind):
    return sum(int(np.sum(world.events(w)["kind"] == kind)) for w in range(len(world.scenarios)))


def play(scenarios, seconds):
    """The worlds after `seconds`, or earlier when everybody with a goal is there; and the slowest speeds seen, (W, A)."""
    world = World(scenarios, traced=False)
    slowest = np.zeros(world.state.bodies.shape)
    for _ in range(int(10 * seconds)):
        world.step()
        slowest = np.minimum(slowest, world.state.bodies["speed"])
        if all(world.finished(w) for w in range(len(scenarios))):
            break
    return world, slowest


@pytest.mark.parametrize(
    ("builder", "kind", "bound"),
    [
        ("four_way", Kind.CAR, 0.1),
        ("four_way", Kind.VAN, 0.1),
        ("four_way", Kind.MOTORCYCLE, 0.1),
        ("four_way", Kind.BICYCLE, 0.1),
        ("roundabout", Kind.CAR, 0.15),
        ("roundabout", Kind.VAN, 0.15),
        ("roundabout", Kind.BICYCLE, 0.15),
    ],
)
def test_curves_are_tracked_by_the_centre(builder, kind, bound):
    road_map = assemble(BUILDERS[builder]())
    scenarios = [
        Scenario(name="t", road_map=road_map, actors=(Actor(name="a", kind=kind, route=route, s=8.0, speed=4.0),), seed=seed)
        for seed, route in enumerate(through_routes(road_map))
    ]
    world = World(scenarios, traced=False)
    worst = np.zeros(len(scenarios))
    for _ in range(700):
        world.step()
        active = world.state.bodies["status"][:, 0] == Status.ACTIVE
        worst = np.maximum(worst, np.where(active, np.abs(world.state.minds["d"][:, 0]), 0.0))
    assert worst.max() < bound
    assert np.all(world.state.bodies["status"][:, 0] == Status.FINISHED)


def test_trucks_turn_without_leaving_the_road():
    road_map = assemble(BUILDERS["four_way"]())
    scenarios = [
        Scenario(
            name="t", road_map=road_map, actors=(Actor(name="a", kind=Kind.TRUCK, route=route, s=8.0, speed=4.0),), seed=seed
        )
        for seed, route in enumerate(through_routes(road_map))
    ]
    world, _ = play(scenarios, 70.0)
    assert events_of(world, EventKind.OFFROAD) == 0
    assert np.all(world.state.bodies["status"][:, 0] == Status.FINISHED)


def one_way(length=320.0, lanes=2):
    return assemble(BUILDERS["straight"](length=length, lanes=lanes, two_way=False, speed_limit=13.9))


@pytest.mark.parametrize("spacing", [None, 45.0, 22.0])
def test_a_needed_change_is_done_before_the_lane_ends(spacing):
    road_map = one_way()
    first, second = road_map.lane("eastbound_0"), road_map.lane("eastbound_1")
    across = shortest_route(road_map, first, second, 310.0)
    along = shortest_route(road_map, second, second, 318.0)
    scenarios = []
    for seed in range(6):
        others = [] if spacing is None else [float(s) for s in np.arange(5.0 + seed, 230.0, spacing)]
        actors = [Actor(name="changer", route=across, s=60.0, speed=9.0)]
        actors += [Actor(name=f"o{k}", route=along, s=s, speed=9.0) for k, s in enumerate(others)]
        scenarios.append(Scenario(name="change", road_map=road_map, actors=tuple(actors), seed=seed, ego=0))
    world, _ = play(scenarios, 90.0)
    assert events_of(world, EventKind.COLLISION) == 0
    assert events_of(world, EventKind.OFFROAD) == 0
    assert np.all(world.state.bodies["status"][:, 0] == Status.FINISHED)
    assert np.all(world.state.minds["lane"][:, 0] == second)


def parked_scenario(oncoming):
    road_map = assemble(BUILDERS["straight"](length=260.0, speed_limit=11.2))
    east, west = road_map.lane("eastbound_0"), road_map.lane("westbound_0")
    there = shortest_route(road_map, east, east)
    back = shortest_route(road_map, west, west)
    actors = [
        Actor(name="passer", route=there, s=30.0, speed=9.0),
        Actor(name="parked", model=Model.STILL, route=there, s=130.0),
    ]
    actors += [Actor(name=f"on{k}", route=back, s=s, speed=9.0) for k, s in enumerate(oncoming)]
    return Scenario(name="parked", road_map=road_map, actors=tuple(actors), seed=3, ego=0)


def test_a_parked_car_is_passed_at_once_on_a_free_road_and_between_oncoming_cars_otherwise():
    free, _ = play([parked_scenario(())], 60.0)
    busy, _ = play([parked_scenario((25.0, 45.0, 65.0))], 60.0)
    for world in (free, busy):
        assert events_of(world, EventKind.COLLISION) == 0
        assert world.state.bodies["status"][0, 0] == Status.FINISHED
    assert busy.tick > free.tick


def test_steady_following_gap_is_the_formula_s():
    road_map = one_way(length=900.0, lanes=1)
    lane = road_map.lane("eastbound_0")
    route = shortest_route(road_map, lane, lane)
    slow = replace(SPECS[Kind.CAR], speed_max=6.0)
    actors = (
        Actor(name="lead", route=route, s=80.0, speed=6.0, spec=slow),
        Actor(name="follower", route=route, s=40.0, speed=6.0),
    )
    world = World([Scenario(name="follow", road_map=road_map, actors=actors, seed=1)], traced=False)
    for _ in range(900):
        world.step()
    bodies, mind = world.state.bodies[0], world.state.minds[0, 1]
    gap = float(bodies["x"][0] - bodies["x"][1]) - 0.5 * float(bodies["length"][0] + bodies["length"][1])
    speed = float(bodies["speed"][1])
    expected = float(
        idm_equilibrium_gap(speed, 13.9 * float(mind["speed_factor"]), float(mind["time_gap"]), float(mind["min_gap"]))
    )
    assert speed == pytest.approx(float(bodies["speed"][0]), abs=0.05)
    assert gap == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("starts", [(10.0, 6.0), (8.0, 8.0), (9.0, 8.0)])
def test_two_that_meet_in_a_narrow_street_resolve_it_by_reversing(starts):
    road_map = assemble(BUILDERS["narrow_street"](passing_places=0, passage_length=40.0))
    east = shortest_route(road_map, road_map.lane("eastbound_narrow0_0"), road_map.lane("eastbound_east_0"))
    west = shortest_route(road_map, road_map.lane("westbound_narrow0_0"), road_map.lane("westbound_west_0"))
    actors = (
        Actor(name="east", route=east, s=starts[0], speed=4.0),
        Actor(name="west", route=west, s=starts[1], speed=4.0),
    )
    world, slowest = play([Scenario(name="meet", road_map=road_map, actors=actors, seed=5)], 120.0)
    assert events_of(world, EventKind.COLLISION) == 0
    assert np.all(world.state.bodies["status"][0] == Status.FINISHED)
    assert np.any(slowest[0] < -0.5)


@pytest.mark.parametrize(("junction", "changes"), [(None, True), ("j", False)])
def test_nobody_overtakes_inside_a_junction(junction, changes):
    """A slow leader on a road of two lanes, which is a junction's or is not."""
    road_map = assembled(
        lane("left", [[0, 3.5], [900, 3.5]], right="right", junction=junction),
        lane("right", [[0, 0], [900, 0]], left="left", junction=junction),
    )
    route = Route(lanes=(road_map.lane("right"),), goal_s=880.0)
    actors = (
        Actor(name="follower", route=route, s=20.0, speed=12.0),
        Actor(name="leader", model=Model.EXTERNAL, route=route, s=110.0, speed=5.0),
    )
    world, controls = World([Scenario(name="t", road_map=road_map, actors=actors, seed=3)]), np.zeros((1, 2), CONTROL_DTYPE)
    controls["given"] = 1
    for _ in range(100):
        world.step(controls)
    assert (world.state.minds["lane"][0, 0] == road_map.lane("left")) == changes


@pytest.mark.parametrize(("narrow", "kept"), [(2.5, 0.5), (1.1, 0.15)])
def test_who_keeps_right_for_somebody_stays_on_the_road_where_it_is_narrow_before_they_meet(narrow, kept):
    """Somebody comes towards us over the middle of the road; before they meet, the road's right edge comes close to the lane."""
    x = np.arange(0.0, 300.5, 0.5)
    half = np.where((x > 45.0) & (x < 65.0), narrow, 2.5)
    road_map = assembled(
        lane("east", np.stack([x, 0.0 * x], axis=1), half_width=half, opposite="west"),
        lane("west", [[300, 4.2], [0, 4.2]], half_width=3.2, opposite="east"),
    )
    route, towards = Route(lanes=(0,), goal_s=290.0), Route(lanes=(1,), goal_s=290.0)
    actors = (
        Actor(name="us", route=route, s=20.0, speed=8.0),
        Actor(name="them", model=Model.EXTERNAL, route=towards, s=210.0, speed=5.0),
    )
    world, controls = World([Scenario(name="t", road_map=road_map, actors=actors, seed=3)]), np.zeros((1, 2), CONTROL_DTYPE)
    controls["given"] = 1
    world.state.bodies["y"][0, 1] -= 2.3
    right = 0.0
    for _ in range(60):
        world.step(controls)
        right = min(right, float(world.state.minds["d"][0, 0]))
    assert -kept < right
    assert right < -0.15 or narrow < 2.0, "it does keep right where there is room"
    assert events_of(world, EventKind.OFFROAD) == 0
