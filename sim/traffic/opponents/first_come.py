"""`first_come`: a strict first-come-first-served robot. It stops, notes who stood there before, and goes in that order."""

from __future__ import annotations

import math

from sim.interface import TICK_S, DriverStep, SensorFrame, VehicleSpec
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route
from sim.traffic.opponents.drive import Manner, Memory, View, begin, lawful, steer_on, view

MANNER = Manner()
FORFEIT_S = 5.0
"""A turn that its owner lets lie that long is lost."""
RANK_S = 1.5
"""Robots that lose patience with each other do so one after the other, by the bearing of their approach."""


class FirstCome:
    """Stands at every all-way stop; ties go by compass, a convention that robots share without a word."""

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> Memory:
        """Memory before the first frame."""
        return begin(road_map, route, spec, seed, note=(-1.0,))

    def step(self, frame: SensorFrame, memory: Memory) -> DriverStep[Memory]:
        """One tick of driving. ValueError where the frame has no object list (the `lidar` level)."""
        seen = view(frame, memory, MANNER)
        rules = lawful(seen)
        if rules is not None:
            return steer_on(seen, MANNER, rules, note=(-1.0,))
        since = memory.note[0]
        idle = seen.told("earlier") > 0 and not seen.told("inside") and seen.own("arrived") >= 0
        since = (seen.tick if since < 0 else since) if idle else -1.0
        return steer_on(seen, MANNER, _its_turn(seen, since), note=(since,))


def _its_turn(seen: View, idle_since: float) -> bool:
    """Whether everybody who came before has gone, or has let the turn lie."""
    if seen.own("since") >= 0:
        return True
    if seen.own("arrived") < 0 or seen.told("inside") or seen.told("blocked"):
        return False
    if not seen.told("earlier"):
        return True
    bearing = float(seen.memory.way.gates["bearing"][int(seen.own("gate"))])
    return idle_since >= 0 and (seen.tick - idle_since) * TICK_S > FORFEIT_S + RANK_S * bearing / (0.5 * math.pi)
