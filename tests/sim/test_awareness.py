"""Who is near whom, who can see whom, and that the history shows what was shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.awareness import (
    COMING_S,
    RANGE,
    RANGE_PER_SPEED,
    REAR_RANGE,
    WALKER_RANGE,
    find_neighbours,
    find_neighbours_in_line,
    look,
)
from sim.contact import line_up
from sim.interface import Kind
from sim.scenario import Actor, Model, Scenario
from sim.state import HISTORY, NEIGHBOURS, SEEN_DTYPE, Status
from sim.world import World
from tests.sim.roads.maps import built
from tests.sim.worlds import Stage, busy, through


def nearest(world: Stage, a: int, fog: float = 150.0) -> tuple[list[int], list[int]]:
    """Active others, nearest first, by sorting everybody: (within the own reach, and of those too fast to be overlooked)."""
    me, bodies = world.bodies[a], world.bodies
    square = (bodies["x"] - me["x"]) ** 2 + (bodies["y"] - me["y"]) ** 2
    own = WALKER_RANGE if me["kind"] == Kind.PEDESTRIAN else RANGE + RANGE_PER_SPEED * float(me["speed"])
    order = [int(b) for b in np.argsort(square, kind="stable") if b != a and bodies["status"][b] == Status.ACTIVE]
    fast = [min(fog, max(own, RANGE + COMING_S * float(speed))) for speed in bodies["speed"]]
    return [b for b in order if square[b] <= min(own, fog) ** 2], [b for b in order if square[b] <= fast[b] ** 2]


def listed(world: Stage, a: int) -> list[int]:
    find_neighbours(world.state, 0, a)
    return world.state.neighbours[0, a, 1 : 1 + world.state.neighbours[0, a, 0]].tolist()


def check_list(world: Stage, a: int, fog: float = 150.0) -> None:
    near, everybody = nearest(world, a, fog)
    found = listed(world, a)
    if len(everybody) <= NEIGHBOURS:
        assert found == everybody
    else:  # full: whoever is near takes the place of who is far and fast
        assert [b for b in found if b in near] == near[:NEIGHBOURS]
        assert len(found) == NEIGHBOURS


def crowd(count: int, side: float, seed: int) -> Stage:
    draw = np.random.default_rng(seed)
    world = Stage(built("straight"), slots=count)
    for _ in range(count):
        status = Status.ACTIVE if draw.uniform() < 0.85 else Status.WAITING
        x, y = draw.uniform(-side, side, 2)
        world.put(x, y, draw.uniform(-3.1, 3.1), draw.uniform(0.0, 12.0), Kind(int(draw.integers(8))), status=status)
    return world


@pytest.mark.parametrize(("count", "side"), [(1, 5.0), (2, 10.0), (20, 60.0), (33, 20.0), (34, 20.0), (120, 60.0)])
@pytest.mark.parametrize("seed", range(3))
def test_lists_equal_brute_force(count, side, seed):
    world = crowd(count, side, seed)
    for a in range(count):
        check_list(world, a)


@pytest.mark.parametrize(("count", "side"), [(1, 5.0), (20, 60.0), (33, 20.0), (120, 60.0), (120, 300.0)])
@pytest.mark.parametrize("fog", [150.0, 40.0])
def test_lists_along_the_line_are_the_same(count, side, fog):
    world = crowd(count, side, 7)
    world.state.worlds["visibility"] = fog
    line_up(world.state, 0)
    assert world.state.worlds["present"][0] == np.count_nonzero(world.bodies["status"][:count] == Status.ACTIVE)
    for rank in range(int(world.state.worlds["present"][0])):
        a = int(world.state.spots["slot"][0, rank])
        expected = listed(world, a)
        find_neighbours_in_line(world.state, 0, rank)
        found = world.state.neighbours[0, a, 1 : 1 + world.state.neighbours[0, a, 0]].tolist()
        near, everybody = nearest(world, a, fog)
        if len(everybody) <= NEIGHBOURS:
            assert found == expected
        else:
            assert [b for b in found if b in near] == near[:NEIGHBOURS]
            assert len(found) == NEIGHBOURS


def test_fog_shortens_lists():
    world = crowd(30, 40.0, 1)
    world.state.worlds["visibility"] = 15.0
    for a in range(30):
        check_list(world, a, 15.0)


@given(st.integers(2, 60), st.integers(0, 10_000))
@settings(max_examples=40)
def test_lists_of_any_crowd(count, seed):
    world = crowd(count, 25.0, seed)
    check_list(world, 0)


# ---- sight


def visible(world: Stage, a: int = 0) -> set[int]:
    """Slots that `a` sees."""
    slots = listed(world, a)
    look(world.state, world.roads, 0, a)
    return {b for b, seen in zip(slots, world.state.visible[0, a], strict=False) if seen}


def street_with_wall(*wall: tuple[float, float]) -> Stage:
    return Stage(replace(built("straight"), scenery=(np.array(wall),)))


def test_a_wall_hides_what_is_behind_it():
    world = street_with_wall((10.0, -5.0), (10.0, 5.0), (12.0, 5.0), (12.0, -5.0))
    world.put(0.0, 0.0)
    behind, beside, before = world.put(30.0, 0.0), world.put(30.0, 25.0), world.put(6.0, 3.0)
    assert visible(world) == {beside, before}
    assert visible(world, behind) == {beside}


def test_a_wall_beyond_somebody_hides_nothing():
    world = street_with_wall((40.0, -50.0), (40.0, 50.0), (41.0, 50.0), (41.0, -50.0))
    world.put(0.0, 0.0)
    other = world.put(30.0, 0.0)
    assert visible(world) == {other}


@pytest.mark.parametrize("angle", [0.0, 1.1, 2.9, -2.0])
@pytest.mark.parametrize("aside", [0.0, 6.0])
def test_a_truck_hides_who_is_straight_behind_it(angle, aside):
    cos, sin = np.cos(angle), np.sin(angle)

    def at(along: float, across: float) -> tuple[float, float, float]:
        return along * cos - across * sin, along * sin + across * cos, angle

    world = Stage(built("straight"))
    world.put(*at(0.0, 0.0))
    truck = world.put(*at(15.0, 0.0), kind=Kind.TRUCK)
    walker = world.put(*at(30.0, aside), kind=Kind.PEDESTRIAN)
    assert visible(world) == ({truck} if aside == 0.0 else {truck, walker})


@pytest.mark.parametrize(
    ("between", "hidden"),
    [(Kind.TRUCK, True), (Kind.VAN, True), (Kind.CAR, True), (Kind.OBJECT, False), (Kind.PEDESTRIAN, False)],
)
def test_what_hides_a_cyclist_across_the_road(between, hidden):
    """Wide and tall enough: a box on the ground is looked over, a person is too slim."""
    world = Stage(built("straight"))
    world.put(0.0, 0.0, 0.5 * np.pi)
    world.put(0.0, 10.0, 0.0, kind=between)
    cyclist = world.put(0.0, 20.0, 0.0, kind=Kind.BICYCLE)
    assert (cyclist not in visible(world)) == hidden


def test_a_car_does_not_hide_a_bus():
    world = Stage(built("straight"))
    world.put(0.0, 0.0)
    car, bus = world.put(12.0, 0.0, 0.5 * np.pi), world.put(30.0, 0.0, 0.0, kind=Kind.BUS)
    assert visible(world) == {car, bus}


@pytest.mark.parametrize(("distance", "seen"), [(REAR_RANGE - 2.0, True), (REAR_RANGE + 2.0, False)])
def test_mirrors_reach_so_far(distance, seen):
    world = Stage(built("straight"))
    world.put(0.0, 0.0, 2.0)
    back = world.put(-distance * np.cos(2.0), -distance * np.sin(2.0))
    front = world.put((REAR_RANGE + 2.0) * np.cos(2.0), (REAR_RANGE + 2.0) * np.sin(2.0))
    assert visible(world) == ({front, back} if seen else {front})


def test_people_on_foot_look_all_round():
    world = Stage(built("straight"))
    world.put(0.0, 0.0, kind=Kind.PEDESTRIAN)
    back = world.put(-WALKER_RANGE + 5.0, 0.0)
    assert visible(world) == {back}


def test_a_driver_from_outside_sees_whoever_comes_into_view():
    """Sight is renewed for everybody: what is observed must not be what was seen on the first tick."""
    road_map = built("four_way", control="none")
    ego = Actor(name="ego", model=Model.EXTERNAL, route=through(road_map, "east", "west"), s=70.0)
    late = Actor(name="late", route=through(road_map, "north", "south"), s=45.0, speed=6.0, depart_s=2.0)
    world = World([Scenario(name="late", road_map=road_map, actors=(ego, late), seed=1, ego=0)])
    seen = []
    for _ in range(60):
        world.step()
        count = int(world.state.neighbours[0, 0, 0])
        seen.append(count == 1 and bool(world.state.visible[0, 0, 0]))
    assert not seen[5]
    assert seen[40]


# ---- the past


@pytest.mark.parametrize("seed", [1, 2])
def test_history_holds_what_every_tick_showed(seed):
    world = World([busy(seed)])
    shown: list[np.ndarray] = []
    for _ in range(120):
        world.step()
        shown.append(world.state.bodies[0].copy())
        tick = world.tick
        for back in range(min(HISTORY, tick)):
            then, kept = shown[tick - 1 - back], world.state.history[0, (tick - back) % HISTORY]
            there = (then["status"] == Status.ACTIVE) & (then["model"] != Model.STILL)
            there &= kept["status"] == Status.ACTIVE
            for name in SEEN_DTYPE.names or ():
                if not name.startswith("hypothesis"):
                    assert np.array_equal(kept[name][there], then[name][there]), (name, tick, back)


def test_what_never_moves_has_a_past():
    world = World([busy(1)])
    world.step()
    parked = [a for a, actor in enumerate(world.scenarios[0].actors) if actor.model == Model.STILL]
    for a in parked:
        assert (world.state.history["status"][0, :, a] == Status.ACTIVE).all()
        assert (world.state.history["x"][0, :, a] == world.state.bodies["x"][0, a]).all()


def test_a_newcomer_has_no_past():
    """Somebody who responds slowly must not see where a newcomer was before it was there."""
    world = World([busy(3)])
    status = world.state.bodies["status"][0].copy()
    came = 0
    for _ in range(100):
        world.step()
        now = world.state.bodies["status"][0].copy()
        for a in np.flatnonzero((status == Status.WAITING) & (now == Status.ACTIVE)):
            if world.scenarios[0].actors[a].model in (Model.STILL, Model.REPLAY):
                continue
            rows = world.state.history["status"][0, :, a]
            assert np.count_nonzero(rows == Status.ACTIVE) <= 2
            came += 1
        status = now
    assert came >= 4
