"""`distracted`: looks up from a telephone now and then. In between it acts on what was there 1.5 to 3 s ago."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.interface import TICK_S, DriverStep, SensorFrame, VehicleSpec
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route
from sim.traffic.opponents.drive import Manner, Memory, View, begin, drawn, lawful, steer_on, view

MANNER = Manner(pace=0.9, headway=2.0, standstill=3.0, pull=1.6, margin=0.8)
LATE_S = (1.5, 3.0)
LOOKS_UP_S = (2.0, 5.0)
LOOKS_DOWN_S = (1.5, 4.0)
KEPT = 30
"""Frames; the oldest is 3 s old."""


class Distracted:
    """Knows its own motion always, and others late. note: phases so far (odd: looks down), tick when this one began."""

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> Memory:
        """Memory before the first frame."""
        return begin(road_map, route, spec, seed, note=(0.0, -1.0))

    def step(self, frame: SensorFrame, memory: Memory) -> DriverStep[Memory]:
        """One tick of driving. ValueError where the frame has no object list (the `lidar` level)."""
        phase, since = memory.note
        since = float(frame.tick) if since < 0 else since
        span = LOOKS_DOWN_S if phase % 2 else LOOKS_UP_S
        if (frame.tick - since) * TICK_S > drawn(memory, int(phase), *span):
            phase, since = phase + 1.0, float(frame.tick)
            # what it sees next is of another time: nothing of it continues what it saw before
            memory = replace(memory, things=np.zeros_like(memory.things))
        late = round(drawn(memory, 1000 + int(phase), *LATE_S) / TICK_S) if phase % 2 else 0
        seen = view(frame, memory, MANNER, _as_of(frame, memory, late))
        if frame.objects is not None:
            seen = replace(seen, memory=replace(seen.memory, before=(frame.objects, *memory.before[: KEPT - 1])))
        rules = lawful(seen)
        return steer_on(seen, MANNER, _its_turn(seen) if rules is None else rules, note=(phase, since))


def _as_of(frame: SensorFrame, memory: Memory, late: int) -> NDArray[np.void] | None:
    """The object list `late` ticks ago, or the oldest there is."""
    if late == 0 or not memory.before:
        return frame.objects
    return memory.before[min(late, len(memory.before)) - 1]


def _its_turn(seen: View) -> bool:
    if seen.own("since") >= 0:
        return True
    return seen.own("arrived") >= 0 and not seen.told("earlier") and not seen.told("blocked")
