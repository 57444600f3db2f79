"""Long vehicles at junctions: where they will swing is foreseen, and they get the room."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.interface import SPECS, Kind
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.scenario import Actor, Scenario
from sim.state import EventKind, Status
from sim.traffic.clearance import box_on_path, slide, slip_at
from sim.traffic.fits import LongVehicles
from sim.traffic.swept import room_to_swing
from sim.world import World
from tests.sim.worlds import through

STEP = 0.8


def all_way():
    return assemble(BUILDERS["four_way"](control="all_way"))


def foreseen(world, lanes):
    """(way, x, y, heading) of the only body's box along the two `lanes`, as its driver foresees it."""
    body, mind, roads = world.state.bodies[0, 0], world.state.minds[0, 0], world.roads
    path_lane = np.zeros(12, np.int32)
    path_base = np.zeros(12)
    path_lane[:2] = lanes
    path_base[0] = -float(mind["s"])
    path_base[1] = path_base[0] + float(world.road_maps[0].lanes["length"][lanes[0]])
    offset, shift = float(mind["d"]), float(mind["shift"])
    behind = float(body["rear_to_centre"])
    slip = slip_at(roads, lanes[0], float(mind["s"]), float(body["cos"]), float(body["sin"]))
    poses = []
    for way in np.arange(STEP, 12.0, STEP):
        before = offset
        goal = room_to_swing(roads, body, path_lane, path_base, 2, way)
        offset, shift = slide(offset, shift, goal, STEP)
        k = int(way >= path_base[1])
        x, y, cos, sin, slip = box_on_path(
            roads, path_lane[k], way - path_base[k], offset, behind, slip, STEP, (offset - before) / STEP
        )
        poses.append((x, y, math.atan2(sin, cos)))
    return np.array(poses)


@pytest.mark.parametrize("kind", [Kind.VAN, Kind.TRUCK, Kind.BUS])
@pytest.mark.parametrize("end", ["north", "south"])
def test_the_swing_of_a_turn_is_foreseen(kind, end):
    road_map = all_way()
    route = through(road_map, "west", end)
    world = World(
        [Scenario(name="t", road_map=road_map, actors=(Actor(name="a", kind=kind, route=route, s=40.0, speed=4.0),), seed=1)]
    )
    poses, track = np.empty((0, 3)), []
    inner, onward = (int(lane) for lane in route.lanes[-2:])
    for _ in range(500):
        world.step()
        body, mind = world.state.bodies[0, 0], world.state.minds[0, 0]
        if len(poses) == 0 and mind["lane"] == inner and mind["s"] > 3.0:
            poses = foreseen(world, (inner, onward))
        if len(poses) > 0:
            track.append((float(body["x"]), float(body["y"]), float(body["heading"])))
    driven = np.array(track)
    apart = np.hypot(poses[:, None, 0] - driven[None, :, 0], poses[:, None, 1] - driven[None, :, 1])
    nearest = driven[apart.argmin(axis=1)]
    turned = np.abs(np.angle(np.exp(1j * (poses[:, 2] - nearest[:, 2]))))
    assert apart.min(axis=1).max() < 0.6
    assert turned.max() < 0.1


@pytest.mark.parametrize("kind", [Kind.TRUCK, Kind.BUS])
@pytest.mark.parametrize("end", ["north", "south"])
def test_a_long_vehicle_turns_into_an_arm_where_somebody_waits(kind, end):
    road_map = all_way()
    scenarios = [
        Scenario(
            name="room",
            road_map=road_map,
            actors=(
                Actor(name="long", kind=kind, route=through(road_map, "west", end), s=40.0, speed=5.0),
                Actor(name="waits", route=through(road_map, end, "east"), s=25.0, speed=7.0, depart_s=0.5 * k),
            ),
            seed=k,
        )
        for k in range(16)
    ]
    world = World(scenarios, traced=False)
    for _ in range(600):
        world.step()
    for w in range(len(scenarios)):
        assert EventKind.COLLISION not in world.events(w)["kind"]
    assert np.all(world.state.bodies["status"] == Status.FINISHED)


@pytest.mark.parametrize(("kind", "end"), [(Kind.TRUCK, "east"), (Kind.BUS, "east"), (Kind.VAN, "north"), (Kind.VAN, "south")])
def test_where_a_long_vehicle_fits_it_keeps_to_the_road_and_clear_of_who_waits(kind, end):
    road_map = all_way()
    route = through(road_map, "west", end)
    waiting = [
        Actor(name=arm, route=through(road_map, arm, "west"), s=_line(road_map, arm) - 2.1, depart_s=0.0)
        for arm in ("north", "east", "south")
    ]
    mover = Actor(name="a", kind=kind, route=route, s=40.0, speed=4.0)
    world = World([Scenario(name="t", road_map=road_map, actors=(mover, *waiting), seed=1)], traced=False)
    world.state.bodies["model"][0, 1:] = 4  # they stand for good
    touched = False
    for _ in range(400):
        world.step()
        touched = touched or any(event["kind"] in (EventKind.COLLISION, EventKind.OFFROAD) for event in world.events(0))
    assert not touched
    assert LongVehicles(road_map).fit(SPECS[kind], route.lanes)
    assert world.state.bodies["status"][0, 0] == Status.FINISHED


def test_a_bus_fits_straight_on_but_not_round_a_tight_corner():
    road_map = all_way()
    long_vehicles = LongVehicles(road_map)
    fits = {end: long_vehicles.fit(SPECS[Kind.BUS], through(road_map, "west", end).lanes) for end in ("north", "east", "south")}
    assert fits == {"north": False, "east": True, "south": False}
    assert long_vehicles.fit(SPECS[Kind.CAR], through(road_map, "west", "south").lanes)


def _line(road_map, arm):
    return float(road_map.lanes["stop_s"][road_map.lane(f"{arm}_in_0")])
