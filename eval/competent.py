"""The competent and careful human driver of UN Regulation No. 157, Annex 4, Appendix 3 (performance model for ALKS): what a good
driver would have avoided.

It keeps its lane and brakes, nothing else. Somebody beside it is a risk from 0.4 s after it has left the middle of its own lane
by 0.375 m towards us (0.72 m of drift at 1.8 m/s), somebody in the lane from 0.4 s after it came in sight, each when the time to
collision is 2 s or less, or when a leader brakes harder than 5 m/s². 0.75 s later it brakes with 0.774 g, reached at 12.65 m/s³.
What is hidden behind a leader is seen when that one leaves. The regulation has no following; here that is the intelligent driver
model (Treiber, Hennecke, Helbing, Phys. Rev. E 62, 2000) with at most 3 m/s².
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from avstack.perception.percepts import as_objects
from avstack.perception.tracking import TrackMemory, start_tracking, track
from sim.interface import TICK_S, Control, DriverStep, Floats, Kind, SensorFrame, VehicleSpec
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route

WANDER_M = 0.375
PERCEIVE_S, REACT_S = 0.4, 0.75
CRITICAL_TTC_S = 2.0
HARD_BRAKING = 5.0  # m/s², of a leader
BRAKE = 0.774 * 9.81  # m/s²
BRAKE_JERK = 12.65  # m/s³
DRIFT = 0.1  # m/s to the side below which somebody keeps to where it is
ACCEL, COMFORT, COMFORT_MOST, HEADWAY_S, STANDSTILL_M = 1.5, 2.0, 3.0, 1.5, 2.0
BEHIND_M, AHEAD_M = 5.0, 200.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of one road user: the offset that it keeps to [m], and the ticks since which it drifts towards us, is in
    our lane (0: from the beginning, and known), and is a risk (-1: not)."""

    keeps: float
    drifts: int = -1
    within: int = -1
    risk: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """path (P, 6): s, x, y, heading, curvature, limit along the route; half_width of the lane; braking: acceleration asked for in
    the emergency, 0 without one."""

    path: Floats
    half_width: float
    spec: VehicleSpec
    tracks: TrackMemory
    seen: Mapping[int, Seen] = field(default_factory=dict)
    braking: float = 0.0
    s: float = -1.0


class CompetentDriver:
    """See the module."""

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> Memory:
        """The route as one line."""
        parts, way = [], 0.0
        for lane in route.lanes:
            points = road_map.lane_points(lane)
            s = way + float(road_map.lanes["spacing"][lane]) * np.arange(len(points))
            columns = [points[name].astype(np.float64) for name in ("x", "y", "heading", "curvature", "speed_limit")]
            parts.append(np.stack([s, *columns], axis=1))
            way = float(s[-1])
        half = float(road_map.lane_points(route.lanes[0])["half_width"].mean())
        return Memory(path=np.concatenate(parts), half_width=half, spec=spec, tracks=start_tracking())

    def step(self, frame: SensorFrame, memory: Memory) -> DriverStep[Memory]:
        """One tick. ValueError where the frame has no object list (the `lidar` level)."""
        if frame.objects is None:
            raise ValueError("the competent driver needs an object list: sense at the state or objects level")
        tracks = memory.tracks
        if frame.level == "objects":
            percepts, tracks = track(frame, tracks)
            frame = replace(frame, objects=as_objects(percepts.things))
        x, y, heading = (float(value) for value in frame.pose)
        s, d, row = _along(memory.path, x, y, memory.s)
        speed = frame.odometry.speed
        others = self._others(frame, memory, s)
        seen = {thing.id: _remembered(memory.seen.get(thing.id), thing, memory, speed, frame.tick) for thing in others}
        risky = [
            thing for thing in others
            if seen[thing.id].risk >= 0 and frame.tick - seen[thing.id].risk >= REACT_S / TICK_S and thing.speed < speed
        ]  # fmt: skip
        braking = max(memory.braking - BRAKE_JERK * TICK_S, -BRAKE) if risky else 0.0
        ready = frame.tick - REACT_S / TICK_S
        known = [thing for thing in others if seen[thing.id].within == 0 or 0 < seen[thing.id].within <= ready]
        accel = min(self._follows(memory, row, speed, known), braking if risky else math.inf)
        steer = self._steers(memory, row, d, heading, speed)
        after = replace(memory, tracks=tracks, seen=seen, braking=braking, s=s)
        trace = {"emergency": np.array(float(bool(risky)))}
        return DriverStep(control=Control(accel=accel, steer=steer), memory=after, trace=trace)

    def _others(self, frame: SensorFrame, memory: Memory, s: float) -> list[Thing]:
        """Everybody ahead, the nearest first; whom a leader hides in our lane is left out."""
        found = []
        for one in frame.objects if frame.objects is not None else ():
            if float(one["drive_through"]) > 0.5:
                continue
            at, d, row = _along(memory.path, float(one["x"]), float(one["y"]), s)
            heading = float(memory.path[row, 3])
            vx, vy = float(one["vx"]), float(one["vy"])
            found.append(
                Thing(
                    id=int(one["id"]), gap=at - s - 0.5 * (memory.spec.length + _extent(one, heading)), d=d,
                    speed=vx * math.cos(heading) + vy * math.sin(heading),
                    sideways=vy * math.cos(heading) - vx * math.sin(heading),
                    accel=float(one["accel"]), width=_breadth(one, heading), walks=int(one["kind"]) == Kind.PEDESTRIAN,
                )
            )  # fmt: skip
        ahead = sorted((thing for thing in found if -BEHIND_M < thing.gap < AHEAD_M), key=lambda thing: thing.gap)
        kept: list[Thing] = []
        hidden = False
        for thing in ahead:
            inside = abs(thing.d) < memory.half_width
            if not (inside and hidden):
                kept.append(thing)
            before = memory.seen.get(thing.id)
            left = before is not None and abs(thing.d - before.keeps) > WANDER_M
            hidden |= inside and not left and not thing.walks
        return kept

    def _follows(self, memory: Memory, row: int, speed: float, known: list[Thing]) -> float:
        """Acceleration [m/s²] of ordinary driving."""
        ahead = memory.path[row : row + 60]
        wanted = max(float(np.sqrt(np.min(1.8 / np.maximum(np.abs(ahead[:, 4]), 1e-4)))), 1.0)
        wanted = min(wanted, float(memory.path[row, 5]))
        accel = ACCEL * (1.0 - (speed / wanted) ** 4)
        for thing in known:
            closing = speed - thing.speed
            keeps = STANDSTILL_M + max(speed * HEADWAY_S + speed * closing / (2.0 * math.sqrt(ACCEL * COMFORT)), 0.0)
            accel = min(accel, ACCEL * (1.0 - (speed / wanted) ** 4 - (keeps / max(thing.gap, 0.1)) ** 2))
        return max(accel, -COMFORT_MOST)

    def _steers(self, memory: Memory, row: int, d: float, heading: float, speed: float) -> float:
        """Road-wheel angle [rad]: the path's own, corrected by offset and heading (Stanley's law)."""
        near = memory.path[min(row + 4, len(memory.path) - 1)]
        off = math.remainder(heading - float(memory.path[row, 3]), 2.0 * math.pi)
        angle = math.atan(memory.spec.wheelbase * float(near[4])) - 0.8 * off - math.atan(0.4 * d / max(speed, 3.0))
        return min(max(angle, -memory.spec.steer_max), memory.spec.steer_max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Somebody ahead in the lane's own coordinates: gap between the boxes [m], offset, speeds along and to the left [m/s]."""

    id: int
    gap: float
    d: float
    speed: float
    sideways: float
    accel: float
    width: float
    walks: bool


def _remembered(before: Seen | None, thing: Thing, memory: Memory, speed: float, tick: int) -> Seen:
    """What is known of somebody after this tick."""
    seen = before or Seen(keeps=thing.d)
    inside = abs(thing.d) < 0.5 * (memory.spec.width + thing.width) + 0.1
    if seen.drifts < 0 and abs(thing.sideways) < DRIFT and not inside:
        seen = replace(seen, keeps=thing.d)
    towards = abs(thing.d) < abs(seen.keeps)
    if seen.drifts < 0 and abs(thing.d - seen.keeps) > WANDER_M and towards:
        seen = replace(seen, drifts=tick)
    if inside and seen.within < 0 and seen.drifts < 0:
        seen = replace(seen, within=tick)
    perceived = [since + (PERCEIVE_S / TICK_S if since else 0) for since in (seen.drifts, seen.within) if since >= 0]
    if not perceived or tick < min(perceived):
        return seen
    if seen.drifts >= 0 and seen.within < 0:
        seen = replace(seen, within=tick)
    closing = speed - thing.speed
    critical = closing > 0.0 and thing.gap <= CRITICAL_TTC_S * closing
    if critical or (thing.accel < -HARD_BRAKING and closing > -1.0):
        return seen if seen.risk >= 0 else replace(seen, risk=tick)
    return replace(seen, risk=-1) if closing <= 0.0 else seen


def _along(path: Floats, x: float, y: float, near: float) -> tuple[float, float, int]:
    """s, d and row of a place along a path, looked for around `near` [m] where that is known."""
    low, high = (0, len(path)) if near < 0.0 else np.searchsorted(path[:, 0], (near - 30.0, near + AHEAD_M + 30.0))
    part = path[low:high]
    row = int(low) + int(np.argmin((part[:, 1] - x) ** 2 + (part[:, 2] - y) ** 2))
    cos, sin = math.cos(path[row, 3]), math.sin(path[row, 3])
    dx, dy = x - path[row, 1], y - path[row, 2]
    return float(path[row, 0] + dx * cos + dy * sin), float(dy * cos - dx * sin), row


def _extent(one: np.void, heading: float) -> float:
    """Length [m] of a box along a direction."""
    turned = float(one["heading"]) - heading
    return abs(float(one["length"]) * math.cos(turned)) + abs(float(one["width"]) * math.sin(turned))


def _breadth(one: np.void, heading: float) -> float:
    """Width [m] of a box across a direction."""
    return _extent(one, heading + 0.5 * math.pi)
