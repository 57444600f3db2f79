"""Whole worlds: the same bytes however they are run, rigid motion, controls and their latency, friction for everybody."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.interface import Indicator, Kind
from sim.motion import GRAVITY
from sim.roads.route import shortest_route
from sim.scenario import FRICTION_SNOW, Actor, Model, Scenario
from sim.state import CONTROL_DTYPE, Status
from sim.world import World
from tests.sim.roads.maps import built
from tests.sim.worlds import body_hash, busy, crossing, crossing_moved, hash_after, lane_pose, through

TICKS = 500
SEEDS = (5, 6, 7, 8, 9, 10, 11)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def alone() -> dict[int, str]:
    """Hashes after 500 steps of each scenario alone in a world."""
    return {seed: hash_after(seed, TICKS) for seed in SEEDS}


def hashes(world: World, ticks: int = TICKS) -> list[str]:
    for _ in range(ticks):
        world.step()
    return [f"{body_hash(world, w)} {world.trace_hash(w)}" for w in range(len(world.scenarios))]


# ---- determinism


def test_seeds_differ(alone):
    assert len(set(alone.values())) == len(SEEDS)
    assert len({line.split()[0] for line in alone.values()}) == len(SEEDS)


def test_something_happens():
    """The worlds hashed here are not empty ones."""
    world = World([busy(SEEDS[0])])
    for _ in range(TICKS):
        world.step()
    moved = float(world.state.bodies["distance"][0, :8].min())
    assert moved > 20.0
    assert (world.state.bodies["status"][0] == Status.FINISHED).sum() >= 4


@pytest.mark.parametrize("threads", [1, 2])
def test_batch_and_threads(alone, threads):
    batch = World([busy(seed) for seed in SEEDS], threads=threads)
    assert hashes(batch) == [alone[seed] for seed in SEEDS]


def test_a_fresh_process_gives_the_same(alone):
    script = f"from tests.sim.worlds import hash_after; print(hash_after({SEEDS[1]}, {TICKS}))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "77"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == alone[SEEDS[1]]


def test_spawned_workers_give_the_same(alone):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(hash_after, SEEDS[2:4])) == [alone[seed] for seed in SEEDS[2:4]]


def test_slots_that_nobody_uses_change_nothing(alone):
    """Actors that never depart, and the empty slots of a batch whose other world has more."""
    scenario = busy(SEEDS[0])
    route = scenario.actors[0].route
    assert route is not None
    idle = tuple(Actor(name=f"idle{k}", route=route, depart_s=1e6) for k in range(9))
    count = len(scenario.actors)
    longer = World([replace(scenario, actors=scenario.actors + idle)])
    for _ in range(TICKS):
        longer.step()
    short = World([scenario])
    for _ in range(TICKS):
        short.step()
    assert longer.state.bodies[0, :count].tobytes() == short.state.bodies[0].tobytes()
    assert longer.events(0).tobytes() == short.events(0).tobytes()
    assert (longer.state.bodies["status"][0, count:] == Status.WAITING).all()
    beside = World([scenario, replace(busy(99), actors=busy(99).actors + idle)])
    assert hashes(beside)[0] == alone[SEEDS[0]]


def test_worlds_on_different_maps_do_not_mix():
    other = built("four_way", control="none", crosswalks=True)
    one, two = busy(3), busy(4, other)
    expected = [hashes(World([scenario]), 200)[0].split()[1] for scenario in (one, two)]
    assert [line.split()[1] for line in hashes(World([one, two, one]), 200)] == [*expected, expected[0]]


def test_an_observer_changes_nothing(alone):
    world = World([busy(SEEDS[0])])
    for _ in range(TICKS):
        world.step()
        world.observe()
        world.frame(0, 0)
    assert f"{body_hash(world, 0)} {world.trace_hash(0)}" == alone[SEEDS[0]]


def test_the_trace_hash_covers_the_way_not_only_the_end():
    one, other = World([busy(3)]), World([busy(3)])
    for world in (one, other):
        world.step()
    assert one.trace_hash(0) == other.trace_hash(0)
    one.state.bodies["x"][0, 0] += 1e-9
    for world in (one, other):
        world.step()
    one.restore(replace(other.snapshot(), hashes=one.snapshot().hashes))
    assert one.state_bytes(0) == other.state_bytes(0)
    assert one.trace_hash(0) != other.trace_hash(0)


# ---- rigid motion


@pytest.mark.parametrize(("angle", "shift"), [(0.5 * np.pi, (0.0, 0.0)), (0.7, (300.0, -120.0))])
def test_a_world_turned_and_shifted_does_the_same_elsewhere(angle, shift):
    """Until rounding errors, which decisions amplify, have had time to grow."""
    here, there = crossing(), crossing_moved(angle, shift)
    assert here.lane_names == there.lane_names
    worlds = []
    for road_map in (here, there):
        route, other = through(road_map, "east", "west"), through(road_map, "north", "east")
        actors = (
            Actor(name="a", route=route, s=10.0, speed=6.0),
            Actor(name="b", route=other, s=20.0, speed=5.0),
            Actor(name="c", kind=Kind.TRUCK, route=through(road_map, "south", "north"), s=5.0, speed=4.0),
            Actor(name="d", kind=Kind.BICYCLE, route=through(road_map, "west", "south"), s=30.0, speed=3.0),
        )
        worlds.append(World([Scenario(name="turned", road_map=road_map, actors=actors, seed=4)]))
    cos, sin = np.cos(angle), np.sin(angle)
    for _ in range(120):
        for world in worlds:
            world.step()
        one, other = (world.state.bodies[0] for world in worlds)
        x, y = one["x"] + here.origin[0], one["y"] + here.origin[1]
        assert np.allclose(other["x"] + there.origin[0], x * cos - y * sin + shift[0], atol=0.05)
        assert np.allclose(other["y"] + there.origin[1], x * sin + y * cos + shift[1], atol=0.05)
        assert np.allclose(one["speed"], other["speed"], atol=0.05)


# ---- controls


def driven(latency: int = 1, worlds: int = 1, friction: float = 0.9) -> World:
    """One externally driven car on a straight road in each world."""
    road_map = built("straight", length=400.0)
    lane = road_map.lane("eastbound_0")
    ego = Actor(name="ego", model=Model.EXTERNAL, route=shortest_route(road_map, lane, lane), s=20.0, speed=5.0)
    scenario = Scenario(name="driven", road_map=road_map, actors=(ego,), seed=1, ego=0, latency_ticks=latency, friction=friction)
    return World([scenario] * worlds)


def order(world: World, **fields: float) -> np.ndarray:
    controls = np.zeros(world.state.bodies.shape, CONTROL_DTYPE)
    controls["given"] = 1
    for name, value in fields.items():
        controls[name] = value
    return controls


@pytest.mark.parametrize("latency", [0, 1, 2, 3])
def test_a_control_acts_exactly_so_many_ticks_later(latency):
    world = driven(latency)
    asked = [0.1 * (k + 1) for k in range(12)]
    acted = []
    for accel in asked:
        world.step(order(world, accel=accel))
        acted.append(float(world.state.bodies["command_accel"][0, 0]))
    assert acted == pytest.approx([0.0] * latency + asked[: len(asked) - latency])


@pytest.mark.parametrize("latency", [0, 2])
def test_controls_are_taken_as_they_were_when_given(latency):
    """The caller may reuse its array at once."""
    world, controls = driven(latency), np.zeros((1, 1), CONTROL_DTYPE)
    acted = []
    for k in range(8):
        controls["given"], controls["accel"] = 1, 0.1 * k
        world.step(controls)
        controls["accel"] = 9.0
        acted.append(float(world.state.bodies["command_accel"][0, 0]))
    assert acted == pytest.approx([0.0] * latency + [0.1 * k for k in range(8 - latency)])


def test_a_control_that_is_not_given_leaves_the_last_one():
    world = driven(0)
    world.step(order(world, accel=1.0))
    world.step(order(world, accel=-5.0, given=0))
    assert world.state.bodies["command_accel"][0, 0] == 1.0
    world.step()
    assert world.state.bodies["command_accel"][0, 0] == 1.0


def test_lights_gear_and_gesture_arrive():
    world = driven(0)
    world.step(order(world, indicator=1, gesture=1, accel=0.5, steer=0.01))
    body = world.state.bodies[0, 0]
    assert (body["indicator"], body["gesture"]) == (1, 1)
    assert body["command_steer"] == pytest.approx(0.01)


def test_controls_of_the_traffic_are_ignored():
    scenario = busy(5)
    free, pushed = World([scenario]), World([scenario])
    for _ in range(50):
        free.step()
        pushed.step(order(pushed, accel=-8.0, steer=0.5))
    assert free.trace_hash(0) == pushed.trace_hash(0)


@pytest.mark.parametrize("shape", [(1,), (2, 1), (1, 2), (1, 1, 1)])
def test_controls_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"controls must be CONTROL_DTYPE of shape \(1, 1\), got"):
        driven().step(np.zeros(shape, CONTROL_DTYPE))


def test_controls_of_another_type_are_refused():
    with pytest.raises(ValueError, match="got float64"):
        driven().step(np.zeros((1, 1)))  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["accel", "steer"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_control_that_is_no_number_is_named(field, value):
    world = driven(worlds=3)
    controls = order(world)
    controls[field][2, 0] = value
    before = world.state_bytes(2)
    with pytest.raises(ValueError, match=rf"(?s)(?=.*world 2)(?=.*(slot|actor) 0)(?=.*{field})(?=.*{value})"):
        world.step(controls)
    assert world.state_bytes(2) == before
    world.step(order(world))


def test_bad_batches_are_named():
    with pytest.raises(ValueError, match="at least one scenario"):
        World([])
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        World([busy(1)], threads=0)
    with pytest.raises(ValueError, match=r"latency_ticks, got \[1, 2\]"):
        World([busy(1), replace(busy(2), latency_ticks=2)])


# ---- what holds for everybody


def test_snow_caps_everybodys_braking():
    """Nobody on wheels brakes harder than the road holds: the externally driven one tries to."""
    road_map = crossing()
    scenario = busy(6, friction=FRICTION_SNOW)
    ego = Actor(name="ego", model=Model.EXTERNAL, route=through(road_map, "south", "north"), s=2.0, speed=12.0)
    world = World([replace(scenario, actors=(*scenario.actors, ego))])
    hardest = np.zeros(world.slots)
    for _ in range(300):
        world.step(order(world, accel=-9.0))
        hardest = np.maximum(hardest, -world.state.bodies["accel"][0])
    grip = FRICTION_SNOW * GRAVITY
    wheeled = [a for a, actor in enumerate(world.scenarios[0].actors) if actor.model in (Model.NEGOTIATOR, Model.EXTERNAL)]
    assert hardest[wheeled].max() <= grip * (1.0 + 1e-5)
    assert hardest[-1] == pytest.approx(grip, rel=1e-3)


def test_what_is_parked_is_there_from_the_start():
    road_map = built("straight", length=400.0)
    lane = road_map.lane("eastbound_0")
    ego = Actor(name="ego", model=Model.EXTERNAL, route=shortest_route(road_map, lane, lane), s=50.0, speed=8.0)
    parked = Actor(name="parked", model=Model.STILL, pose=lane_pose(road_map, lane, 70.0))
    world = World([Scenario(name="parked", road_map=road_map, actors=(ego, parked), seed=1, ego=0)])
    world.step()
    assert (world.state.bodies["status"][0] == Status.ACTIVE).all()


def test_a_newcomer_waits_for_its_place():
    road_map = built("straight", length=400.0)
    lane = road_map.lane("eastbound_0")
    route = shortest_route(road_map, lane, lane)
    actors = tuple(Actor(name=f"c{k}", route=route, s=20.0, speed=5.0) for k in range(3))
    world = World([Scenario(name="queue", road_map=road_map, actors=actors, seed=1)])
    active = []
    for _ in range(150):
        world.step()
        active.append(int((world.state.bodies["status"][0] == Status.ACTIVE).sum()))
    assert active[0] == 1
    assert active[-1] == 3
    assert len(world.events(0)) == 0


@pytest.mark.parametrize(("indicator", "sideways"), [(Indicator.LEFT, 0.0), (Indicator.OFF, 0.9)])
def test_a_newcomer_waits_for_somebody_who_changes_into_its_lane(indicator, sideways):
    """Beside the place of the newcomer drives one that comes over, or is about to."""
    road_map = built("straight", length=400.0, lanes=2, two_way=False)
    left, right = road_map.lane("eastbound_0"), road_map.lane("eastbound_1")
    beside = Actor(name="beside", model=Model.EXTERNAL, route=shortest_route(road_map, right, right), s=60.0, speed=10.0)
    newcomer = Actor(name="new", route=shortest_route(road_map, left, left), s=65.0, speed=10.0, depart_s=0.1)
    status = {}
    for turned in (False, True):
        world = World([Scenario(name="change", road_map=road_map, actors=(beside, newcomer), seed=1, ego=0)])
        world.step()
        if turned:
            world.state.bodies["indicator"][0, 0] = indicator
            world.state.bodies["vy"][0, 0] = sideways
        world.step()
        status[turned] = int(world.state.bodies["status"][0, 1])
    assert status == {False: Status.ACTIVE, True: Status.WAITING}


def test_a_newcomer_is_no_faster_than_lets_it_stop_for_what_stands_ahead():
    road_map = built("straight", length=400.0)
    lane = road_map.lane("eastbound_0")
    new = Actor(name="new", route=shortest_route(road_map, lane, lane), s=50.0, speed=13.0)
    parked = Actor(name="parked", model=Model.STILL, pose=lane_pose(road_map, lane, 65.0))
    world = World([Scenario(name="parked", road_map=road_map, actors=(parked, new), seed=1)])
    for _ in range(100):
        world.step()
    assert world.state.bodies["status"][0, 1] == Status.ACTIVE
    assert len(world.events(0)) == 0


def test_what_can_be_driven_through_keeps_nobody_from_appearing():
    road_map = built("straight", length=400.0)
    lane = road_map.lane("eastbound_0")
    new = Actor(name="new", route=shortest_route(road_map, lane, lane), s=39.0, speed=4.0)
    bag = Actor(name="bag", kind=Kind.OBJECT, model=Model.STILL, pose=lane_pose(road_map, lane, 41.0), drive_through=True)
    world = World([Scenario(name="bag", road_map=road_map, actors=(bag, new), seed=1)])
    world.step()
    assert world.state.bodies["status"][0, 1] == Status.ACTIVE


def test_everybody_gets_there_and_the_world_says_so():
    world = World([busy(7, cars=4, people=0)])
    assert not world.finished(0)
    while not world.finished(0) and world.tick < 900:
        world.step()
    assert world.finished(0)
    assert world.tick > 100


# ---- snapshots


def test_a_world_goes_on_from_a_snapshot_bit_for_bit():
    world = World([busy(3)])
    for _ in range(30):
        world.step()
    kept = world.snapshot()
    for _ in range(40):
        world.step()
    other = World([busy(3)])
    other.restore(kept)
    assert other.tick == 30
    for _ in range(40):
        other.step()
    assert [array.tobytes() for array in world.state] == [array.tobytes() for array in other.state]
    assert world.trace_hash(0) == other.trace_hash(0)


def test_a_snapshot_is_a_copy_and_fits_its_own_world_alone():
    world = World([busy(3)])
    kept = world.snapshot()
    before = [array.tobytes() for array in kept.state]
    world.step()
    assert [array.tobytes() for array in kept.state] == before
    with pytest.raises(ValueError, match="of another world"):
        World([busy(3), busy(4)]).restore(kept)
    with pytest.raises(ValueError, match="latency"):
        World([replace(busy(3), latency_ticks=3)]).restore(kept)
