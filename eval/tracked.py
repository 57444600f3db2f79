"""Drivers that want an object list with stable ids, at the sensing levels that give none."""

from __future__ import annotations

from dataclasses import dataclass, replace

from avstack.perception.percepts import as_objects
from avstack.perception.tracking import TrackMemory, start_tracking, track
from sim.interface import DriverStep, SensorFrame, VehicleSpec
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route
from sim.traffic.own_world import OwnWorld
from sim.traffic.rules import RulesDriver


@dataclass(frozen=True, slots=True)
class TrackedMemory:
    """What the tracker and the driver behind it remember."""

    tracks: TrackMemory
    rules: OwnWorld


class TrackedRulesDriver:
    """`sim.traffic.rules` behind the stack's own tracker; at the `state` level, where ids are stable already, without it."""

    def __init__(self) -> None:
        self._rules = RulesDriver()

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> TrackedMemory:
        """Memory before the first frame."""
        return TrackedMemory(tracks=start_tracking(), rules=self._rules.start(road_map, route, spec, seed))

    def step(self, frame: SensorFrame, memory: TrackedMemory) -> DriverStep[TrackedMemory]:
        """One tick of driving. ValueError where the frame has no object list (the `lidar` level)."""
        tracks = memory.tracks
        if frame.level == "objects":
            percepts, tracks = track(frame, tracks)
            frame = replace(frame, objects=as_objects(percepts.things))
        step = self._rules.step(frame, memory.rules)
        return DriverStep(control=step.control, memory=TrackedMemory(tracks=tracks, rules=step.memory), trace=step.trace)
