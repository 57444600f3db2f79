"""Perception reads its frame and nothing else: with the world's truth turned to NaN its answer is the same, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from avstack.perception.perceive import PerceptionMemory, perceive
from sim.interface import SensorFrame
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.route import shortest_route
from sim.scenario import Actor, Scenario
from sim.state import WorldState
from sim.world import World


def poison(state: WorldState) -> None:
    """Fill everything the simulator knows with NaN and with numbers that fit nothing."""
    tables: tuple[Any, ...] = state
    for array in tables:
        names = array.dtype.names
        for name in names or ():
            array[name] = np.nan if array.dtype[name].base.kind == "f" else 77
        if not names:
            array.fill(77)


@pytest.mark.parametrize("sensing", ["state", "objects", "lidar"])
def test_truth_is_not_read(sensing):
    road_map = assemble(BUILDERS["straight"]())
    lane = next(k for k, row in enumerate(road_map.lanes) if row["kind"] == 0)
    route = shortest_route(road_map, lane, lane)
    actors = tuple(Actor(name=f"c{k}", route=route, s=20.0 + 25.0 * k, speed=6.0) for k in range(4))
    scenario = Scenario(name="line", road_map=road_map, actors=actors, seed=3, sensing=sensing)

    def answers(spoil: bool) -> list[bytes]:
        world, memory, given = World([scenario], traced=False), PerceptionMemory(), list[SensorFrame]()
        for _ in range(12):
            world.step()
            given.append(world.frame(0, 0))
        if spoil:
            poison(world.state)
        kept = []
        for frame in given:
            percepts, _, memory = perceive(frame, memory, 1.4, scenario.road_map)
            kept.append(percepts.things.tobytes())
        return kept

    clean = answers(spoil=False)
    assert any(clean)
    assert answers(spoil=True) == clean
