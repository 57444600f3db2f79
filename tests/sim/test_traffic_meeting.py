"""Whole meetings at an all-way stop: two who set off together, and queues on every arm."""

from __future__ import annotations

import numpy as np
import pytest

from sim.interface import Gesture, Kind
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.route import Route
from sim.scenario import Actor, Scenario
from sim.state import EventKind, Status
from sim.world import World
from tests.sim.worlds import through

ARMS = ("east", "north", "west", "south")


@pytest.fixture(scope="module")
def all_way():
    return assemble(BUILDERS["four_way"](control="all_way"))


def ended(road_map, seconds, episodes):
    """(kinds of all events, whether everybody arrived) after these episodes' actors have driven for `seconds`."""
    scenarios = [Scenario(name="meeting", road_map=road_map, actors=actors, seed=k) for k, actors in enumerate(episodes)]
    world = World(scenarios, traced=False)
    for _ in range(round(10.0 * seconds)):
        world.step()
    used = np.array([[a < len(actors) for a in range(world.slots)] for actors in episodes])
    kinds = [int(event["kind"]) for w in range(len(scenarios)) for event in world.events(w)]
    return kinds, bool(np.all(world.state.bodies["status"][used] == Status.FINISHED))


def test_oncoming_left_turns_that_set_off_together_do_not_touch(all_way):
    episodes = [
        tuple(
            Actor(
                name=f"v{k}",
                kind=Kind.VAN,
                route=through(all_way, start, end),
                s=45.0,
                speed=6.0,
                depart_s=0.2 * n * k,
                style=style,
            )
            for k, (start, end) in enumerate([("west", "north"), ("east", "south")])
        )
        for n in range(6)
        for style in ("normal", "aggressive", "timid")
    ]
    kinds, arrived = ended(all_way, 60.0, episodes)
    assert arrived
    assert EventKind.COLLISION not in kinds


def test_saturated_arms_do_not_collide(all_way):
    draw = np.random.default_rng(5)
    episodes = []
    for _ in range(4):
        actors = []
        for arm in ARMS:
            ways = [through(all_way, arm, end) for end in ARMS if end != arm]
            for k in range(14):
                route = ways[int(draw.integers(3))]
                s, depart = (75.0 - 7.5 * k, 0.0) if k < 8 else (15.0, 2.5 * (k - 7))
                actors.append(Actor(name=f"{arm}{k}", route=route, s=s, speed=0.0 if k < 8 else 4.0, depart_s=depart))
        episodes.append(tuple(actors))
    kinds, _ = ended(all_way, 150.0, episodes)
    assert EventKind.COLLISION not in kinds


def test_who_backs_off_inside_waves_the_other_one_through(all_way):
    """Nose to nose in the junction: by arrival it is the left turn's go, which finds no room until the other one backs off."""
    left, across = through(all_way, "west", "north"), through(all_way, "east", "west")
    actors = tuple(
        Actor(name=name, kind=Kind.VAN, style="timid", route=Route(lanes=route.lanes[1:], goal_s=route.goal_s), s=s)
        for name, route, s in (("left", left, 6.2), ("across", across, 4.6))
    )
    world = World([Scenario(name="meeting", road_map=all_way, actors=actors, seed=3)], traced=False)
    world.state.bodies["arrived_tick"][0] = (0, 10)
    world.state.bodies["entered_tick"][0] = (1, 11)
    waved = False
    for _ in range(600):
        world.step()
        waved = waved or world.state.bodies["gesture"][0, 1] == Gesture.WAVE
    assert waved
    assert np.all(world.state.bodies["status"][0] == Status.FINISHED)
    assert not [event for event in world.events(0) if event["kind"] == EventKind.COLLISION]
