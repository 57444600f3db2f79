"""Plays a storyboard beside a world: every tick it is shown ego, moves its own, and says where they are at the next tick."""

from __future__ import annotations

import math

from scenarios.scripted import replayed
from scenarios.storyboard.stage import Puppet
from sim.interface import TICK_S
from sim.scenario import SCRIPT, Scenario
from sim.state import EventKind, Status
from sim.world import World


class Player:
    """A storyboard while it is played; see `eval.episode.Partner`. over: its stop trigger has fired."""

    over: bool = False

    def __init__(self, scenario: Scenario) -> None:
        if scenario.script is None:
            raise ValueError(f"scenario {scenario.name!r} has no script")
        ego = None if scenario.ego is None else scenario.actors[scenario.ego].name
        self._board = replayed(scenario.script, ego)
        self._slots = {actor.name: slot for slot, actor in enumerate(scenario.actors)}
        self._scripted = {actor.name for actor in scenario.actors if actor.driver == SCRIPT}

    def step(self, world: World) -> None:
        """Play one tick."""
        stage = self._board.stage
        for name, puppet in stage.puppets.items():
            if puppet.driven or puppet.handed_over:
                self._mirror(world, self._slots[name], puppet)
        self._note_contacts(world)
        free = {name for name in self._scripted if not stage.puppets[name].handed_over}
        self._board.step()
        self.over = self._board.over
        for name in sorted(free):
            puppet, slot = stage.puppets[name], self._slots[name]
            if puppet.handed_over:
                limit = float(stage.ground.road_map.lane_points(max(puppet.lane, 0))["speed_limit"][0])
                world.release(0, slot, max(puppet.speed, 1.0) / limit)
            elif puppet.present:
                world.put_next(0, slot, puppet.centre, puppet.speed)

    def _mirror(self, world: World, slot: int, puppet: Puppet) -> None:
        """Take over where the world has somebody that others drive."""
        body = world.state.bodies[0, slot]
        puppet.present = body["status"] in (Status.ACTIVE, Status.WAITING)
        heading, speed = float(body["heading"]), float(body["speed"])
        ahead = puppet.entity.forward
        puppet.x, puppet.y = float(body["x"]) - ahead * math.cos(heading), float(body["y"]) - ahead * math.sin(heading)
        puppet.heading, puppet.accel, puppet.lane = heading, float(body["accel"]), -1
        puppet.travelled += abs(speed) * TICK_S
        puppet.standing_s = puppet.standing_s + TICK_S if abs(speed) < 0.01 else 0.0
        puppet.speed = speed

    def _note_contacts(self, world: World) -> None:
        if world.state.worlds["event_count"][0] == 0:
            return
        names = {slot: name for name, slot in self._slots.items()}
        for event in world.events(0):
            a, b = int(event["a"]), int(event["b"])
            if event["kind"] == EventKind.COLLISION and a in names and b in names:
                pair = sorted((names[a], names[b]))
                self._board.stage.collided.add((pair[0], pair[1]))
            elif event["kind"] == EventKind.OFFROAD and a in names:
                self._board.stage.puppets[names[a]].off_road_s += TICK_S
