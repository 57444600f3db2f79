"""An all-way stop and a queue of cars, small enough for every test."""

from __future__ import annotations

import numpy as np
import pytest

from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneKind
from sim.roads.route import shortest_route
from sim.scenario import Actor, Scenario

ARMS = ("south", "east", "north", "west")


@pytest.fixture(scope="session")
def crossings() -> tuple[Scenario, ...]:
    """Eight episodes at an all-way stop: the ego comes from the south, three to five others from the other arms."""
    road_map = assemble(BUILDERS["four_way"](control="all_way", arm_length=60.0))
    made = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        actors = []
        for k in range(4 + seed % 3):
            start = k % 4
            end = (start + 1 + int(random.integers(3))) % 4
            route = shortest_route(road_map, road_map.lane(f"{ARMS[start]}_in_0"), road_map.lane(f"{ARMS[end]}_out_0"))
            place = 25.0 - 15.0 * (k // 4) + float(random.uniform(-2.0, 2.0))
            actors.append(Actor(name=f"car{k}", route=route, s=place, speed=6.0))
        made.append(Scenario(name="crossing", road_map=road_map, actors=tuple(actors), seed=100 + seed, ego=0, duration_s=30.0))
    return tuple(made)


@pytest.fixture(scope="session")
def queue() -> tuple[Scenario, ...]:
    """Three cars one behind the other on a straight road of 120 m."""
    road_map = assemble(BUILDERS["straight"](length=120.0, lanes=1))
    lane = int(np.argmax(road_map.lanes["kind"] == LaneKind.DRIVING))
    route = shortest_route(road_map, lane, lane)
    actors = tuple(Actor(name=f"car{k}", route=route, s=60.0 - 18.0 * k, speed=8.0) for k in range(3))
    return (Scenario(name="queue", road_map=road_map, actors=actors, seed=7, ego=0, duration_s=4.0),)
