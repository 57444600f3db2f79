"""`level_k`: plays the junction as a game and best-responds k steps deep.

Level 0 keeps its speed, level 1 best-responds to that, level 2 to level 1 (Costa-Gomes, Crawford, Broseta:
Econometrica 69, 2001). An action is a constant acceleration over a short rollout along one's own lane. Half of them are of
level 1; those of level 2 find out from how the others move whether they respond at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.interface import TICK_S, DriverStep, Kind, SensorFrame, VehicleSpec
from sim.jit import kernel
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route
from sim.traffic.opponents.drive import Manner, Memory, View, begin, drawn, lawful, steer_on, view
from sim.traffic.opponents.see import on_stream
from sim.traffic.opponents.way import Way

MANNER = Manner(pace=1.0, headway=1.2, standstill=2.2, decel=2.5, pull=2.0, margin=0.6)
ACTIONS = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0)
"""m/s²."""
STEPS, STEP_S = 20, 0.2
TOP_SPEED = 8.0  # m/s
CRASH = 100.0  # cost of being in a conflict together, per step
EFFORT = 0.15  # cost of acceleration squared [1/(m/s²)²]; a metre of progress is worth 1
ROOM_M = 1.0  # around a conflict
JOIN_M = 8.0  # m of a lane that is shared after a merge: from there on one follows
SPEED_NOISE = 0.15  # m/s, of a prediction one tick ahead
TEMPER = 0.1  # errors of successive ticks say much the same
LEAN_MOST = 3.0
_PEDESTRIAN, _OBJECT = int(Kind.PEDESTRIAN), int(Kind.OBJECT)


class LevelK:
    """note: its level, and the acceleration that it chose last [m/s²]."""

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> Memory:
        """Memory before the first frame."""
        memory = begin(road_map, route, spec, seed)
        return begin(road_map, route, spec, seed, note=(1.0 if drawn(memory, 0, 0.0, 1.0) < 0.5 else 2.0, 0.0))

    def step(self, frame: SensorFrame, memory: Memory) -> DriverStep[Memory]:
        """One tick of driving. ValueError where the frame has no object list (the `lidar` level)."""
        seen = view(frame, memory, MANNER)
        rules = lawful(seen)
        if rules is not None and not (rules and seen.told("line") < 0.0):
            return steer_on(seen, MANNER, rules)
        level = memory.note[0]
        choice = float(best_response(memory.way, seen.memory.me, seen.memory.things, int(level), np.zeros(len(ACTIONS))))
        return steer_on(seen, MANNER, _enters(seen, choice), note=(level, choice), most=_most(seen, choice))


def _enters(seen: View, choice: float) -> bool:
    """It stops as the law wants, then goes when that is its best action."""
    if seen.own("since") >= 0:
        return choice > 0.0 or seen.told("line") < 0.0
    return seen.own("arrived") >= 0 and choice > 0.0


def _most(seen: View, choice: float) -> float:
    """The action counts from the line on; before it, it is the line that one drives up to."""
    return choice if seen.own("arrived") >= 0 and (choice > 0.0 or seen.told("line") < 0.0) else 9.0


@kernel
def _together(
    s: float, v: float, a: float, low: float, high: float, s2: float, v2: float, a2: float, low2: float, high2: float
) -> float:
    """Share of a rollout from now on that both are in their zones, the sooner the worse."""
    shared = 0.0
    for k in range(STEPS):
        v = min(max(v + a * STEP_S, 0.0), TOP_SPEED)
        v2 = min(max(v2 + a2 * STEP_S, 0.0), TOP_SPEED)
        s += v * STEP_S
        s2 += v2 * STEP_S
        if low < s < high and low2 < s2 < high2:
            shared += 1.0 - k / (2.0 * STEPS)
    return shared


@kernel
def _worth(v: float, a: float) -> float:
    """Progress and effort of one action."""
    way = 0.0
    for _ in range(STEPS):
        v = min(max(v + a * STEP_S, 0.0), TOP_SPEED)
        way += v * STEP_S
    return EFFORT * STEPS * STEP_S * a * a - way


@kernel
def _level_one(s: float, v: float, low: float, high: float, s2: float, v2: float, low2: float, high2: float) -> float:
    """Best action against somebody (2) who keeps their speed."""
    best, least = 0.0, 1e9
    for a in ACTIONS:
        cost = _worth(v, a) + CRASH * _together(s, v, a, low, high, s2, v2, 0.0, low2, high2)
        if cost < least:
            least = cost
            best = a
    return best


@kernel
def best_response(way: Way, me: NDArray[np.void], things: NDArray[np.void], level: int, costs: NDArray[np.float64]) -> float:
    """The best action [m/s²] against everybody in conflict ahead; notes in `things` what each was expected to do.

    costs: room (6,) for one number an action."""
    own = me[0]
    for n in range(6):
        costs[n] = _worth(own.speed, ACTIONS[n])
    gate = way.gates[own.gate]
    for k in range(things.shape[0]):
        thing = things[k]
        if thing.used == 0 or thing.kind == _PEDESTRIAN or thing.kind == _OBJECT:
            continue
        _judge(thing)
        for c in range(gate.first, gate.first + gate.count):
            conflict = way.conflicts[c]
            s = on_stream(way, conflict.stream, thing)
            if s < 0.0 or s > conflict.other_leave or own.s > conflict.enter - 0.3 or conflict.other_enter - s > 35.0:
                continue
            low, high = conflict.enter - ROOM_M, conflict.leave + ROOM_M
            low2, high2 = conflict.other_enter - ROOM_M, conflict.other_leave + ROOM_M
            if conflict.merge == 1:
                high = min(high, low + JOIN_M)
                high2 = min(high2, low2 + JOIN_M)
            action = 0.0
            if level >= 2:
                expected = _level_one(s, thing.speed, low2, high2, own.s, own.speed, low, high)
                thing.expected = thing.speed + expected * TICK_S
                action = expected if thing.lean >= 0.0 else 0.0
            for n in range(6):
                shared = _together(own.s, own.speed, ACTIONS[n], low, high, s, thing.speed, action, low2, high2)
                costs[n] += CRASH * shared
    best = 0
    for n in range(1, 6):
        if costs[n] < costs[best]:
            best = n
    return ACTIONS[best]


@kernel
def _judge(thing: np.record) -> None:
    """Evidence [nats] that it responds (lean > 0), against that it keeps its speed, from how it moved since the last frame."""
    if thing.expected < 0.0:
        thing.lean = 1.0
    else:
        kept = thing.speed - thing.before
        responded = thing.speed - thing.expected
        lean = float(thing.lean) + TEMPER * (kept * kept - responded * responded) / (2.0 * SPEED_NOISE * SPEED_NOISE)
        thing.lean = min(max(lean, -LEAN_MOST), LEAN_MOST)
    thing.before = thing.speed
    thing.expected = -1.0
