"""What all opponents share: keeping to the way, to the speed it allows and behind who is ahead. When to pass a gate is theirs.

Speeds follow the safe speed of Krauss, Wagner, Gawron (Phys. Rev. E 55, 1997); steering feeds the way's curvature forward and
pulls lateral and angular error in over a length that grows with speed, critically damped in distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.interface import Colour, Control, DriverStep, Gesture, Indicator, SensorFrame, VehicleSpec
from sim.jit import kernel
from sim.rng import Purpose, mix, uniform
from sim.roads.lane_map import LaneMap, Regulation
from sim.roads.route import Route
from sim.traffic.opponents.see import SCENE, SELF, THING, THINGS, assess, locate, remember
from sim.traffic.opponents.way import SPACING, Way, lay_way

LIMITS = np.dtype([(name, "f8") for name in ("pace", "headway", "standstill", "decel", "pull", "line")])
"""Manner's, and the distance [m] to where the front is to stop."""
STOP_SHORT_M = 0.6  # m before a line
KEEP_OFF_M = 1.0  # m before what stands in the way
RESPONSE_S = 0.4
COMMITTED_M = -1.5  # m: a front that far over the line goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an opponent drives where nothing is to be negotiated.

    pace: share of the speed that the way allows; headway [s], standstill [m]: kept to who is ahead; decel [m/s²]: planned with;
    pull [m/s²]: most acceleration; margin [s]: between its own passage through a conflict and another's.
    """

    pace: float = 0.95
    headway: float = 1.4
    standstill: float = 2.5
    decel: float = 2.2
    pull: float = 1.8
    margin: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What an opponent carries along; the arrays are replaced, never changed. key: of its draws; note: what its character
    remembers; before: object lists of the last frames, for those who need them."""

    way: Way
    me: NDArray[np.void]
    things: NDArray[np.void]
    key: int
    note: tuple[float, ...] = ()
    before: tuple[NDArray[np.void], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One frame as it is understood: the next memory, and the scene (1,) of SCENE."""

    tick: int
    memory: Memory
    around: NDArray[np.void]

    def told(self, name: str) -> float:
        """A value of the scene."""
        return float(self.around[name][0])

    def own(self, name: str) -> float:
        """A value of SELF."""
        return float(self.memory.me[name][0])


def begin(road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int, note: tuple[float, ...] = ()) -> Memory:
    """Memory before the first frame."""
    me = np.zeros(1, SELF)
    me["s"], me["arrived"], me["since"] = -1.0, -1, -1
    for name in ("length", "width", "wheelbase", "rear_to_centre", "steer_max", "accel_max", "brake_max"):
        me[name] = getattr(spec, name)
    key = seed & 0x7FFFFFFFFFFFFFFF
    for lane in route.lanes:  # two of a kind in one episode differ by where they go
        key = int(mix(key, lane)) & 0x7FFFFFFFFFFFFFFF
    return Memory(way=lay_way(road_map, route, spec), me=me, things=np.zeros(THINGS, THING), key=key, note=note)


def drawn(memory: Memory, index: int, low: float, high: float) -> float:
    """A draw of its own in [low, high), the same in every branch."""
    return low + (high - low) * uniform(memory.key, 0, 0, 0, int(Purpose.DRIVER), index)


def view(frame: SensorFrame, memory: Memory, manner: Manner, objects: NDArray[np.void] | None = None) -> View:
    """What the frame means; objects: a list to go by instead of the frame's own. ValueError where there is none."""
    objects = frame.objects if objects is None else objects
    if objects is None:
        raise ValueError("opponents need an object list: sense at the state or objects level")
    me, things, scene = memory.me.copy(), memory.things.copy(), np.zeros(1, SCENE)
    motion = frame.odometry
    me["speed"], me["accel"], me["steer"], me["tick"] = motion.speed, motion.accel, motion.steer, frame.tick
    x, y, heading = (float(value) for value in frame.pose)
    look(memory.way, me, things, objects, frame.signals, x, y, heading, manner.margin, scene)
    return View(tick=frame.tick, memory=replace(memory, me=me, things=things), around=scene)


def lawful(seen: View) -> bool | None:
    """Whether the gate may be passed by the rules of anything but an all-way stop; None at one, where characters differ."""
    regulation, line, speed = int(seen.told("regulation")), seen.told("line"), seen.own("speed")
    if regulation == Regulation.ALL_WAY_STOP:
        return None
    if regulation < 0 or (seen.own("since") >= 0 and line < 0.0):
        return True
    if regulation == Regulation.SIGNAL:
        colour = int(seen.told("colour"))
        if colour == Colour.RED or (colour == Colour.YELLOW and speed * speed < 6.0 * max(line, 0.0)):
            return False
    if regulation == Regulation.STOP and seen.own("arrived") < 0:
        return False
    return line > 25.0 or not seen.told("blocked")


def steer_on(
    seen: View, manner: Manner, go: bool, *, note: tuple[float, ...] | None = None, gesture: Gesture = Gesture.NONE,
    further: float = 0.0, most: float = math.inf,
) -> DriverStep[Memory]:  # fmt: skip
    """The control of one tick: through the gate, or up to `further` [m] beyond its line; accelerating by `most` [m/s²]."""
    memory, me = seen.memory, seen.memory.me
    line = seen.told("line")
    go = go or line < COMMITTED_M
    if go and me["since"][0] < 0 and line < 12.0:
        me["since"] = seen.tick
    elif not go:
        me["since"] = -1
    limits = np.zeros(1, LIMITS)
    stop = 1e6 if go else line - STOP_SHORT_M + further
    limits[0] = (manner.pace, manner.headway, manner.standstill, manner.decel, min(manner.pull, most), stop)
    out = np.zeros(3)
    act(memory.way, me, seen.around, limits, out)
    control = Control(accel=float(out[0]), steer=float(out[1]), indicator=Indicator(int(out[2])), gesture=gesture)
    return DriverStep(control=control, memory=memory if note is None else replace(memory, note=note))


@kernel
def look(
    way: Way, me: NDArray[np.void], things: NDArray[np.void], objects: NDArray[np.void], signals: NDArray[np.int32],
    x: float, y: float, heading: float, margin_s: float, scene: NDArray[np.void],
) -> None:  # fmt: skip
    """Take a frame in: things (THINGS,), me (1,) and scene (1,) are updated."""
    remember(things, objects, x, y, me[0].tick)
    locate(way, me[0], x, y, heading)
    assess(way, me[0], things, signals, margin_s, scene[0])


@kernel
def safe_accel(speed: float, gap: float, lead_speed: float, decel: float, response_s: float) -> float:
    """Acceleration [m/s²] towards the speed from which a stop behind a braking leader is still possible."""
    lag = decel * response_s
    inside = lag * lag + lead_speed * lead_speed + 2.0 * decel * gap
    safe = math.sqrt(inside) - lag if inside > lag * lag else 0.0
    return (safe - speed) / 0.4


@kernel
def act(way: Way, me: NDArray[np.void], scene: NDArray[np.void], limits: NDArray[np.void], out: NDArray[np.float64]) -> None:
    """Acceleration, road-wheel angle and indicator (3,) for this tick."""
    own, around, manner = me[0], scene[0], limits[0]
    points = way.points
    last = points.shape[0] - 1
    here = points[min(int(own.s / SPACING), last)]
    soon = points[min(int((own.s + 0.2 * own.speed) / SPACING), last)]
    pace = points[min(int((own.s + 0.5 * own.speed) / SPACING), last)].speed * manner.pace
    if own.shift != 0.0:
        pace = min(pace, 5.0 if abs(own.shift - own.d) < 0.6 else 3.0)
    accel = min(max(pace - own.speed, -manner.decel), min(manner.pull, own.accel_max))
    accel = min(accel, safe_accel(own.speed, around.gap - manner.standstill, around.lead_speed, manner.decel, manner.headway))
    accel = min(accel, safe_accel(own.speed, around.stop - KEEP_OFF_M, 0.0, manner.decel, RESPONSE_S))
    accel = min(accel, safe_accel(own.speed, manner.line, 0.0, manner.decel, RESPONSE_S))
    out[0] = max(accel, -own.brake_max)
    length = 2.5 + 0.5 * own.speed
    off = min(max(own.d - own.shift, -1.0), 1.0)
    curvature = soon.curvature - off / (length * length) - 2.0 * own.turned / length
    swing = min(max(own.rear_to_centre * curvature, -0.7), 0.7)
    angle = math.atan(own.wheelbase * curvature / math.sqrt(1.0 - swing * swing))
    out[1] = min(max(angle, -own.steer_max), own.steer_max)
    out[2] = here.indicator
