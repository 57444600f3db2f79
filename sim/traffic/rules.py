"""`rules`: the traffic's own driver behind the `Driver` interface, for a vehicle that is steered from outside.

It keeps a little world of its own (`sim.traffic.own_world`) and runs the same kernels on it as every driver of the traffic.
"""

from __future__ import annotations

import numpy as np

from sim.interface import Control, DriverStep, Gear, Gesture, Indicator, SensorFrame, VehicleSpec
from sim.jit import kernel
from sim.roads.lane_map import LaneMap
from sim.roads.pack import Roads
from sim.roads.route import Route
from sim.state import WorldState
from sim.traffic.driver import drive
from sim.traffic.own_world import OwnWorld, begin, id_of, seen_in, settle


@kernel
def think(state: WorldState, roads: Roads, w: int, me: int) -> None:
    """Localise everybody in the little world w, look, decide and act for slot `me`."""
    settle(state, roads, w, me)
    drive(state, roads, w, me)


class RulesDriver:
    """Drives by the traffic's rules. Maps, routes and vehicle come with `start`; frames must have an object list."""

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> OwnWorld:
        """An empty little world with itself at the start of its route."""
        return begin(road_map, route, spec, seed)

    def step(self, frame: SensorFrame, memory: OwnWorld) -> DriverStep[OwnWorld]:
        """One tick of driving. ValueError where the frame has no object list (the `lidar` level)."""
        memory = seen_in(frame, memory)
        think(memory.state, memory.roads, 0, 0)
        body, mind = memory.state.bodies[0, 0], memory.state.minds[0, 0]
        control = Control(
            accel=float(body["command_accel"]),
            steer=float(body["command_steer"]),
            indicator=Indicator(int(body["indicator"])),
            gear=Gear(int(body["gear"])),
            gesture=Gesture(int(body["gesture"])),
        )
        trace = {"reason": np.array(mind["reason"]), "other": np.array(id_of(memory, int(mind["other"])))}
        return DriverStep(control=control, memory=memory, trace=trace)
