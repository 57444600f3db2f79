"""The little world of one driver: a slot for itself and one for each thing in sight, filled from frames alone.

Who drives by the simulator's kernels behind the `Driver` interface (`sim.traffic.rules`, learned policies) runs them on such a
world. What it knows of others is what the frames told: pose, speed, lights, gestures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.awareness import find_neighbours, look, remember
from sim.interface import Indicator, Kind, SensorFrame, VehicleSpec
from sim.jit import kernel
from sim.kernels import note_arrival
from sim.localise import acquire, follow_route, judge_lanes
from sim.roads.lane_map import LaneMap
from sim.roads.pack import Roads
from sim.roads.route import Route
from sim.setup import empty_state, fill_body, fill_mind, prepare_roads, size_class
from sim.state import Status, WorldState
from sim.trigonometry import sincos

SLOTS = 96
"""Itself and the nearest others; a frame with more things than this keeps the nearest."""
STYLE = "normal"
_ACTIVE, _WAITING = int(Status.ACTIVE), int(Status.WAITING)
_EXTERNAL, _STILL = 3, 4
_OBJECT = int(Kind.OBJECT)
_SHOWN = (
    "x", "y", "heading", "vx", "vy", "speed", "accel", "yaw_rate", "length", "width", "indicator", "brake_light", "gesture",
)  # fmt: skip


@kernel
def settle(state: WorldState, roads: Roads, w: int, me: int) -> None:
    """Localise everybody in the little world w, and let slot `me` look around."""
    for a in range(state.worlds[w].actors):
        body = state.bodies[w, a]
        if body.status != _ACTIVE:
            continue
        if a == me:
            follow_route(state, roads, w, a)
        if body.hypothesis_count == 0 and body.kind != _OBJECT:
            acquire(state, roads, w, a)
        if body.hypothesis_count > 0:
            judge_lanes(state, roads, w, a)
        note_arrival(state, roads, w, a)
        remember(state, w, a)
    find_neighbours(state, w, me)
    look(state, roads, w, me)


@dataclass(slots=True)
class OwnWorld:
    """What is carried from tick to tick; `seen_in` gives the next one and leaves this as it is."""

    roads: Roads
    """Never changes."""
    state: WorldState
    slot_of: dict[int, int]
    """Frame id -> slot."""
    first: bool


def begin(road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> OwnWorld:
    """An empty little world with itself, slot 0, at the start of its route."""
    packed = prepare_roads([road_map], [[route]])
    state = empty_state(1, SLOTS, max(len(packed.roads.clusters), 1))
    body, mind = state.bodies[0, 0], state.minds[0, 0]
    fill_body(body, spec)
    fill_mind(mind, spec.kind, STYLE, seed, 0)
    body["status"], body["model"] = _ACTIVE, _EXTERNAL
    mind["route"], mind["lane"], mind["to_goal"] = 0, route.lanes[0], 1e6
    state.worlds["seed"], state.worlds["actors"], state.worlds["friction"], state.worlds["visibility"] = seed, 1, 0.9, 150.0
    state.worlds["lane_end"] = len(road_map.lanes)
    return OwnWorld(roads=packed.roads, state=state, slot_of={}, first=True)


def seen_in(frame: SensorFrame, before: OwnWorld) -> OwnWorld:
    """The world of the last tick with what the frame shows, for `settle` to make sense of; ValueError without an object list."""
    if frame.objects is None:
        raise ValueError("a driver with a world of its own needs an object list: sense at the state or objects level")
    state = WorldState._make(array.copy() for array in before.state)
    memory = OwnWorld(roads=before.roads, state=state, slot_of=dict(before.slot_of), first=before.first)
    _see_self(frame, memory)
    _see_others(frame, memory)
    memory.first = False
    return memory


def _see_self(frame: SensorFrame, memory: OwnWorld) -> None:
    body, mind = memory.state.bodies[0, 0], memory.state.minds[0, 0]
    body["x"], body["y"], body["heading"] = frame.pose
    body["sin"], body["cos"] = sincos(float(body["heading"]))
    motion = frame.odometry
    body["speed"], body["accel"], body["steer"], body["yaw_rate"] = motion.speed, motion.accel, motion.steer, motion.yaw_rate
    body["vx"], body["vy"] = motion.speed * body["cos"], motion.speed * body["sin"]
    memory.state.worlds["tick"] = frame.tick
    if memory.first:
        _find_self(memory.roads, body, mind)


def _see_others(frame: SensorFrame, memory: OwnWorld) -> None:
    """Write the object list into slots that stay with each id while it is in sight."""
    objects = frame.objects
    state = memory.state
    if objects is None:
        return
    if len(objects) > SLOTS - 1:
        near = np.argsort((objects["x"] - frame.pose[0]) ** 2 + (objects["y"] - frame.pose[1]) ** 2, kind="stable")
        objects = objects[np.sort(near[: SLOTS - 1])]
    present = {int(i) for i in objects["id"]}
    for gone in [i for i in memory.slot_of if i not in present]:
        slot = memory.slot_of.pop(gone)
        state.bodies[0, slot] = np.zeros((), state.bodies.dtype)
        state.bodies["status"][0, slot] = _WAITING
        state.history["status"][0, :, slot] = _WAITING
    free = iter(sorted(set(range(1, SLOTS)) - set(memory.slot_of.values())))
    for thing in objects:
        known = int(thing["id"])
        if known not in memory.slot_of:
            memory.slot_of[known] = next(free)
            _meet(state, memory.slot_of[known], thing)
        _update(state, memory.slot_of[known], thing)
    state.worlds["actors"] = 1 + max(memory.slot_of.values(), default=0)


def _find_self(roads: Roads, body: NDArray[np.void], mind: NDArray[np.void]) -> None:
    """Place on the first lane of the route, searched once over the whole lane."""
    lane = roads.lanes[int(mind["lane"])]
    first = int(lane["point_start"])
    points = roads.points[first : first + int(lane["point_count"])]
    nearest = int(np.argmin((points["x"] - body["x"]) ** 2 + (points["y"] - body["y"]) ** 2))
    mind["s"] = nearest * float(lane["spacing"])
    body["hypothesis_count"] = 1
    body["hypothesis_lane"][0], body["hypothesis_s"][0] = mind["lane"], mind["s"]


def id_of(memory: OwnWorld, slot: int) -> int:
    """The frame's id of the thing in a slot; -1 for none."""
    return next((i for i, used in memory.slot_of.items() if used == slot), -1)


def _meet(state: WorldState, slot: int, thing: NDArray[np.void]) -> None:
    """Set up the slot of a newly seen thing."""
    body = state.bodies[0, slot]
    body["status"], body["model"] = _ACTIVE, _EXTERNAL
    for name in ("kind", "length", "width", "height", "z"):
        body[name] = thing[name]
    body["radius"] = 0.5 * np.hypot(thing["length"], thing["width"])
    body["size_class"] = size_class(float(thing["length"]))
    body["standing_since"] = body["arrived_tick"] = body["entered_tick"] = -1
    state.history["status"][0, :, slot] = _WAITING


def _update(state: WorldState, slot: int, thing: NDArray[np.void]) -> None:
    """Take over what this frame says of a thing."""
    body = state.bodies[0, slot]
    for name in _SHOWN:
        body[name] = thing[name]
    body["sin"], body["cos"] = sincos(float(thing["heading"]))
    if thing["kind"] == _OBJECT or (thing["indicator"] == Indicator.HAZARD and abs(thing["speed"]) < 0.1):
        body["model"] = _STILL
