"""`timid_waver`: gives way to everybody, waves others through, hesitates, and goes last."""

from __future__ import annotations

from sim.interface import TICK_S, DriverStep, Gesture, SensorFrame, VehicleSpec
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route
from sim.traffic.opponents.drive import Manner, Memory, View, begin, drawn, lawful, steer_on, view

MANNER = Manner(pace=0.8, headway=2.2, standstill=3.5, decel=1.6, pull=1.0, margin=2.5)
HESITATES_S = (0.8, 2.5)
"""How long the road has to be clear first."""
PATIENCE_S = (5.0, 11.0)
"""How long it waves at somebody who does not move before it takes the turn itself."""


class TimidWaver:
    """note: tick since when nobody else wants to go, tick since when nothing has moved, attempts so far; -1 for not."""

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> Memory:
        """Memory before the first frame."""
        return begin(road_map, route, spec, seed, note=(-1.0, -1.0, 0.0))

    def step(self, frame: SensorFrame, memory: Memory) -> DriverStep[Memory]:
        """One tick of driving. ValueError where the frame has no object list (the `lidar` level)."""
        seen = view(frame, memory, MANNER)
        clear, still, attempts = memory.note
        others = seen.told("waiting") + seen.told("coming") + seen.told("inside") > 0
        at_line = seen.own("arrived") >= 0
        clear = -1.0 if others or not at_line else seen.tick if clear < 0 else clear
        moving = seen.told("coming") + seen.told("inside") > 0
        still = -1.0 if moving or not at_line else seen.tick if still < 0 else still
        rules = lawful(seen)
        go = self._dares(seen, clear, still, int(attempts)) if rules is None or seen.told("waiting") else rules
        started = go and seen.own("since") < 0 and at_line
        note = (clear, still, attempts + 1.0 if started else attempts)
        waves = at_line and not go and seen.told("waiting") > 0
        return steer_on(seen, MANNER, go, note=note, gesture=Gesture.WAVE if waves else Gesture.NONE)

    def _dares(self, seen: View, clear: float, still: float, attempts: int) -> bool:
        """Nobody else is left, or nobody wants to; a move by others while it only just sets off stops it again."""
        if seen.own("since") >= 0:
            early = (seen.tick - seen.own("since")) * TICK_S < 1.2 and seen.told("line") > -1.0
            return not (early and seen.told("inside"))
        if seen.own("arrived") < 0 or seen.told("blocked"):
            return False
        if clear >= 0 and (seen.tick - clear) * TICK_S > drawn(seen.memory, 0, *HESITATES_S):
            return True
        return still >= 0 and (seen.tick - still) * TICK_S > drawn(seen.memory, 1 + attempts, *PATIENCE_S)
