"""What a driver decides does not depend on anything hidden of the others: style, route, plan, or who is the ego."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneMap
from sim.roads.route import shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.state import Status, WorldState
from sim.traffic.driver import drive
from sim.traffic.styles import STYLES
from sim.world import World

ARMS = ("east", "north", "west", "south")
CARS = 10
MOMENTS = (60, 110, 160)
UNSEEN = (
    "command_accel",
    "command_steer",
    "accel_max",
    "brake_max",
    "jerk_max",
    "speed_max",
    "steer_max",
    "depart_tick",
    "entered_tick",
    "distance",
)
"""What nobody else can see of a body: pedal, wheel, and what its vehicle could do."""


@pytest.fixture(scope="module")
def road_map() -> LaneMap:
    return assemble(BUILDERS["four_way"](control="all_way"))


def busy(road_map: LaneMap, seed: int) -> Scenario:
    draw = np.random.default_rng(seed)
    names = sorted(STYLES)
    actors = []
    for k in range(CARS):
        start, end = draw.choice(4, 2, replace=False)
        route = shortest_route(road_map, road_map.lane(f"{ARMS[start]}_in_0"), road_map.lane(f"{ARMS[end]}_out_0"))
        style = names[int(draw.integers(len(names)))]
        actors.append(Actor(name=f"c{k}", route=route, s=20.0, speed=6.0, depart_s=float(draw.uniform(0.0, 8.0)), style=style))
    return Scenario(name="busy", road_map=road_map, actors=tuple(actors), seed=seed)


@pytest.fixture(scope="module", params=[3, 8])
def scenes(road_map, request) -> list[tuple[World, WorldState]]:
    """The same episode at several moments; the states are copies."""
    world = World([busy(road_map, request.param)], traced=False)
    kept = []
    for _ in range(max(MOMENTS)):
        world.step()
        if world.tick in MOMENTS:
            kept.append((world, copied(world.state)))
    return kept


def copied(state: WorldState) -> WorldState:
    return WorldState(**{name: array.copy() for name, array in state._asdict().items()})


def decision(world: World, state: WorldState, slot: int) -> tuple[bytes, bytes]:
    """(what the driver asks of its vehicle and shows, its whole mind) after one decision on a copy of the state."""
    state = copied(state)
    state.minds["plan_tick"][0, slot] = -1  # decide now, whatever the tick
    drive(state, world.roads, 0, slot)
    body = state.bodies[0, slot]
    shown = b"".join(body[name].tobytes() for name in ("command_accel", "command_steer", "gear", "indicator", "gesture"))
    mind = state.minds[0, slot]
    return shown, b"".join(mind[name].tobytes() for name in mind.dtype.names or ())  # what lies between fields is arbitrary


def garble(state: WorldState, others: NDArray[np.intp], draw: np.random.Generator) -> None:
    """Fill every hidden field of these slots with other valid-looking values: a permutation, then noise on the numbers."""
    for name in UNSEEN:
        state.bodies[name][0, others] = draw.permutation(state.bodies[name][0, others]) + 1
    state.paths["base"] = draw.uniform(-50.0, 50.0, state.paths["base"].shape)  # left over from whoever decided last
    minds = state.minds[0]
    kept = minds[others].copy()
    minds[others] = kept[draw.permutation(len(others))]
    for name in minds.dtype.names or ():
        if minds.dtype[name].kind == "f":
            minds[name][others] = draw.uniform(-5.0, 50.0, len(others))
        elif name not in ("route", "lane", "track", "track_length"):
            minds[name][others] = draw.integers(-1, 40, len(others))


def active(state: WorldState) -> list[int]:
    return [int(a) for a in np.flatnonzero(state.bodies["status"][0] == Status.ACTIVE)]


def test_a_decision_does_not_read_what_is_hidden_of_others(scenes):
    draw = np.random.default_rng(0)
    compared = 0
    for world, state in scenes:
        for slot in active(state):
            expected = decision(world, state, slot)
            garbled = copied(state)
            garble(garbled, np.array([a for a in range(CARS) if a != slot]), draw)
            assert decision(world, garbled, slot) == expected, f"slot {slot} at tick {state.worlds['tick'][0]}"
            compared += 1
    assert compared >= 10


def test_a_decision_does_not_depend_on_who_is_driven_from_outside(scenes):
    for world, state in scenes:
        for slot in active(state):
            expected = decision(world, state, slot)
            for chosen in active(state):
                other = copied(state)
                if chosen != slot:
                    other.bodies["model"][0, chosen] = int(Model.EXTERNAL)
                assert decision(world, other, slot) == expected


@pytest.mark.parametrize(("field", "value"), [("speed", 9.0), ("x", 40.0)])
def test_garbling_what_is_visible_changes_decisions(scenes, field, value):
    """The control: the comparison above notices a change of anything that can be seen."""
    changed = 0
    for world, state in scenes:
        for slot in active(state):
            expected = decision(world, state, slot)
            seen = copied(state)
            for a in active(state):
                if a != slot:
                    seen.bodies[field][0, a] += value
                    seen.history[field][0, :, a] += value
            changed += decision(world, seen, slot) != expected
    assert changed >= 3


def test_garbling_the_own_mind_changes_the_decision(scenes):
    """The control on the other side: the hidden fields that are garbled do matter to their owner."""
    draw = np.random.default_rng(1)
    changed = 0
    for world, state in scenes:
        for slot in active(state):
            other = copied(state)
            own = other.minds[0, slot]
            own["accel"], own["speed_factor"], own["lateral_accel"] = draw.uniform(0.5, 0.8), 0.5, 0.5
            changed += decision(world, other, slot)[0] != decision(world, state, slot)[0]
    assert changed >= 3
