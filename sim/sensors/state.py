"""The `state` sensing level: exact pose, velocity and box of everything near, and never a route, goal or style.

Pure in (state, tick): the same state gives the same frame, bit for bit. Nothing is drawn at this level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.interface import OBJECT_DTYPE, Odometry, SensorFrame
from sim.jit import kernel
from sim.roads.pack import Roads
from sim.roads.signals import signal_colour
from sim.state import Status, WorldState

RANGE = 100.0  # m
POSE_VARIANCE = 1e-6  # m², rad²: exact, yet a covariance that can be inverted

_ACTIVE = int(Status.ACTIVE)


@kernel
def collect_objects(state: WorldState, w: int, a: int, reach: float, out: NDArray[np.void]) -> int:
    """Fill `out` (at least A,) of OBJECT_DTYPE with the active bodies but `a` within `reach` [m], by slot; their number."""
    eye = state.bodies[w, a]
    count = 0
    for b in range(state.worlds[w].actors):
        body = state.bodies[w, b]
        dx = body.x - eye.x
        dy = body.y - eye.y
        if b == a or body.status != _ACTIVE or dx * dx + dy * dy > reach * reach:
            continue
        seen = out[count]
        seen.id = b
        seen.kind = body.kind
        seen.x = body.x
        seen.y = body.y
        seen.z = body.z
        seen.heading = body.heading
        seen.vx = body.vx
        seen.vy = body.vy
        seen.speed = body.speed
        seen.accel = body.accel
        seen.yaw_rate = body.yaw_rate
        seen.length = body.length
        seen.width = body.width
        seen.height = body.height
        seen.indicator = body.indicator
        seen.brake_light = body.brake_light
        seen.gesture = body.gesture
        seen.drive_through = body.drive_through
        seen.score = 1.0
        count += 1
    return count


@kernel
def read_signals(roads: Roads, first: int, tick: int, out: NDArray[np.int32]) -> None:
    """Write the Colour at `tick` of the signal groups `first`, `first` + 1, ... into `out` (G,)."""
    for k in range(out.shape[0]):
        out[k] = signal_colour(roads, first + k, tick)


def sense(state: WorldState, roads: Roads, w: int, a: int, signals: tuple[int, int]) -> SensorFrame:
    """Frame of actor `a` of world `w` at the `state` level, at the world's current tick.

    signals: index in `roads.signals` of the first signal group of this world's map, and their number G; readings come in the
    map's own order. Objects are ordered by slot, within RANGE and the world's visibility; occlusion hides nothing at this
    level. Arrays are read-only and share no memory with the state.
    """
    body = state.bodies[w, a]
    world = state.worlds[w]
    tick = int(world["tick"])
    found = np.zeros(state.bodies.shape[1], OBJECT_DTYPE)
    reach = min(RANGE, float(world["visibility"]))
    objects = found[: collect_objects(state, w, a, reach, found)]
    first, groups = signals
    colours = np.empty(groups, np.int32)
    read_signals(roads, first, tick, colours)
    pose = np.array([body["x"], body["y"], body["heading"]])
    covariance = POSE_VARIANCE * np.eye(3)
    for array in (objects, colours, pose, covariance):
        array.setflags(write=False)
    odometry = Odometry(
        speed=float(body["speed"]), accel=float(body["accel"]), yaw_rate=float(body["yaw_rate"]), steer=float(body["steer"])
    )
    return SensorFrame(
        tick=tick, odometry=odometry, pose=pose, pose_covariance=covariance, signals=colours, objects=objects, range_m=reach
    )
