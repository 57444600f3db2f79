"""Two who are both on the move in a junction: one of them, and only one, sees in time that they would meet."""

from __future__ import annotations

import numpy as np
import pytest

from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.scenario import Actor, Model, Scenario
from sim.state import Status
from sim.traffic.foresight import foresee
from sim.traffic.plan import CONTACT, FAR
from sim.world import World
from tests.sim.worlds import through

TICKS = 6


def stops_of_two(before, speeds, arrived):
    """Stop distances that foresight asks of two who cross, each `before` [m] the middle of the junction, and why they stop."""
    road_map = assemble(BUILDERS["four_way"](control="all_way"))
    routes = [through(road_map, "south", "north"), through(road_map, "west", "east")]
    actors = []
    for k, route in enumerate(routes):
        middle = 0.5 * float(road_map.lanes["length"][route.lanes[1]])
        cut = type(route)(lanes=route.lanes[1:], goal_s=route.goal_s)
        s = middle - before[k] - 0.1 * TICKS * speeds[k]
        actors.append(Actor(name=f"c{k}", model=Model.EXTERNAL, route=cut, s=s, speed=speeds[k]))
    world = World([Scenario(name="t", road_map=road_map, actors=tuple(actors), seed=1)], traced=False)
    world.state.bodies["status"][0, :2] = Status.ACTIVE
    for _ in range(TICKS):
        world.step()
    state = world.state
    found = []
    for a in range(2):
        mind = state.minds[0, a]
        state.bodies["arrived_tick"][0, a] = arrived[a]
        state.history["arrived_tick"][0, :, a] = arrived[a]
        mind["stop_distance"], mind["desired_speed"], mind["pull"] = FAR, 8.0, 1.4
    for a in range(2):
        mind = state.minds[0, a]
        lanes = np.zeros(12, np.int32)
        base = np.zeros(12)
        lanes[:2] = routes[a].lanes[1:]
        base[0] = -float(mind["s"])
        base[1] = base[0] + float(road_map.lanes["length"][lanes[0]])
        state.paths["heeded"][0, 0], state.paths["heeded_count"][0] = 1 - a, 1
        foresee(state, world.roads, 0, a, 0, FAR, lanes, base, 2)
        found.append((float(mind["stop_distance"]), int(mind["reason"])))
    return found


@pytest.mark.parametrize("first", [0, 1])
def test_who_came_later_stops_clear_of_the_others_way(first):
    found = stops_of_two((8.0, 5.0), (4.0, 4.0), (0, 1) if first == 0 else (1, 0))
    assert found[first][0] == pytest.approx(FAR)
    assert 0.0 <= found[1 - first][0] < 5.0
    assert found[1 - first][1] == CONTACT


def test_who_has_hardly_got_under_way_lets_pass_who_is_moving_even_if_it_came_first():
    found = stops_of_two((4.5, 7.0), (0.8, 4.0), (0, 1))
    assert found[0][0] < 2.0
    assert found[1][0] == pytest.approx(FAR)


def test_nobody_stops_for_who_will_be_past():
    assert [stop for stop, _ in stops_of_two((6.0, -3.0), (4.0, 4.0), (1, 0))] == pytest.approx([FAR, FAR])
