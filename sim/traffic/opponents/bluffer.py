"""`bluffer`: sets off, stops again, and once more, then goes."""

from __future__ import annotations

from sim.interface import TICK_S, DriverStep, SensorFrame, VehicleSpec
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route
from sim.traffic.opponents.drive import STOP_SHORT_M, Manner, Memory, View, begin, drawn, lawful, steer_on, view

MANNER = Manner(headway=1.2, pull=2.0, margin=0.8)
FEINTS = (1.0, 4.0)
"""How many at a gate, rounded down."""
RUSH_S = (0.6, 1.1)
REST_S = (0.8, 2.0)
SHORT_M = 1.2
"""How much further before the line it waits than others: room for the feints."""
STEP_M = 0.9
"""Each feint ends that much further on."""


class Bluffer:
    """note: feints done at this gate, tick of the last change, 1 while it rushes, gate."""

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> Memory:
        """Memory before the first frame."""
        return begin(road_map, route, spec, seed, note=(0.0, -1.0, 0.0, 0.0))

    def step(self, frame: SensorFrame, memory: Memory) -> DriverStep[Memory]:
        """One tick of driving. ValueError where the frame has no object list (the `lidar` level)."""
        seen = view(frame, memory, MANNER)
        rules = lawful(seen)
        if rules is not None:
            return steer_on(seen, MANNER, rules)
        done, since, rushing, gate = memory.note
        if seen.own("gate") != gate:
            done, since, rushing, gate = 0.0, -1.0, 0.0, seen.own("gate")
        if seen.own("arrived") >= 0:
            done, since, rushing = _feint(seen, done, since, rushing)
        go = seen.own("since") >= 0 or (seen.own("arrived") >= 0 and done >= _feints(seen) and _clear(seen))
        here = STOP_SHORT_M - seen.told("line")
        further = STEP_M * (done + 1.0) - SHORT_M if rushing else max(here, -SHORT_M)
        return steer_on(seen, MANNER, go, note=(done, since, rushing, gate), further=further)


def _feints(seen: View) -> int:
    return int(drawn(seen.memory, int(seen.own("gate")), *FEINTS))


def _feint(seen: View, done: float, since: float, rushing: float) -> tuple[float, float, float]:
    """Rest and rush in turn until all feints are done; with nobody there to see it there is no point."""
    if since < 0:
        return done, float(seen.tick), 0.0
    audience = seen.told("waiting") + seen.told("coming") + seen.told("inside") > 0
    span = RUSH_S if rushing else REST_S
    if (seen.tick - since) * TICK_S < drawn(seen.memory, int(100 + 2 * done + rushing), *span):
        return done, since, rushing
    if rushing:
        return done + 1.0, float(seen.tick), 0.0
    if done >= _feints(seen) or not audience:
        return float(max(done, _feints(seen))), since, 0.0
    return done, float(seen.tick), 1.0


def _clear(seen: View) -> bool:
    """In the end it goes by the rules."""
    return not seen.told("earlier") and not seen.told("blocked")
