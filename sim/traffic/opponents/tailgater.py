"""`tailgater`: half a second behind whoever is ahead, and through the stop right behind them."""

from __future__ import annotations

from sim.interface import DriverStep, SensorFrame, VehicleSpec
from sim.roads.lane_map import LaneMap, Regulation
from sim.roads.route import Route
from sim.traffic.opponents.drive import Manner, Memory, View, begin, lawful, steer_on, view

MANNER = Manner(pace=1.05, headway=0.5, standstill=1.0, decel=3.0, pull=2.5, margin=0.6)
PUSHED = (Regulation.STOP, Regulation.ALL_WAY_STOP, Regulation.YIELD)


class Tailgater:
    """Takes the turn of the one ahead as its own; without one it stops like others, and briefly."""

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> Memory:
        """Memory before the first frame."""
        return begin(road_map, route, spec, seed)

    def step(self, frame: SensorFrame, memory: Memory) -> DriverStep[Memory]:
        """One tick of driving. ValueError where the frame has no object list (the `lidar` level)."""
        seen = view(frame, memory, MANNER)
        if seen.told("regulation") in PUSHED and _pushes(seen):
            return steer_on(seen, MANNER, True)
        rules = lawful(seen)
        return steer_on(seen, MANNER, _its_turn(seen) if rules is None else rules)


def _pushes(seen: View) -> bool:
    """Whether the one ahead is just going through, near enough to hang on to."""
    return bool(seen.told("led")) and seen.told("line") < 8.0


def _its_turn(seen: View) -> bool:
    if seen.own("since") >= 0:
        return True
    return seen.own("arrived") >= 0 and not seen.told("earlier") and not seen.told("blocked")
