"""Filling the arrays of `sim.state`: empty worlds, bodies from their specification, minds from their style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.interface import Kind, VehicleSpec
from sim.rng import Purpose, generator
from sim.roads.lane_map import CLASS_SIZES, POINT_DTYPE, LaneMap
from sim.roads.pack import Packed, pack
from sim.roads.route import Route
from sim.state import (
    BODY_DTYPE,
    EVENT_DTYPE,
    EVENTS,
    HISTORY,
    JUMPS_QUEUE,
    MIND_DTYPE,
    NEIGHBOURS,
    OBLIVIOUS,
    PATH_DTYPE,
    RUNS_STOPS,
    SEEN_DTYPE,
    SIGHT_DTYPE,
    SPOT_DTYPE,
    WORLD_DTYPE,
    ZONE_DTYPE,
    Status,
    WorldState,
)
from sim.traffic.curves import fill_curve_room
from sim.traffic.styles import draw_style

CACHE_LINE = 64  # bytes
_COPIED = (
    "length", "width", "height", "wheelbase", "steer_max", "steer_rate_max", "accel_max", "brake_max", "jerk_max", "speed_max",
    "reverse_speed_max", "accel_lag", "steer_lag",
)  # fmt: skip
_STYLE_FIELDS = (
    "speed_factor", "time_gap", "min_gap", "accel", "decel", "lateral_accel", "margin_s", "patience_s", "assertiveness",
    "roll_speed", "politeness",
)  # fmt: skip
WALKING = (1.34, 0.26)  # m/s, median and spread of free walking speeds
CYCLING = (5.0, 0.5)  # m/s, mean and spread of free cycling speeds
HESITATION_S = 0.5  # s for each other claimant, of one who rolls over the line at HESITATION_SPEED [m/s]
HESITATION_SPEED = 1.5
REST_OFFSET = (-0.4, 0.9)  # m of a resting front from the stop line, mean and spread


def size_class(length: float) -> int:
    """Smallest footprint class of the conflict tables that covers a body of this length [m]."""
    return int(np.argmax(length <= CLASS_SIZES[:, 0] + 0.7)) if length <= CLASS_SIZES[-1, 0] + 0.7 else len(CLASS_SIZES) - 1


def fill_body(record: NDArray[np.void], spec: VehicleSpec) -> None:
    """Write the fixed properties of one body record (0-d view of BODY_DTYPE)."""
    for name in _COPIED:
        record[name] = getattr(spec, name)
    record["rear_to_centre"] = spec.rear_to_centre if spec.kind not in (Kind.PEDESTRIAN, Kind.OBJECT) else 0.0
    record["radius"] = 0.5 * float(np.hypot(spec.length, spec.width))
    record["kind"] = int(spec.kind)
    record["size_class"] = size_class(spec.length)
    record["standing_since"] = record["arrived_tick"] = -1
    record["entered_tick"] = record["finished_tick"] = record["thing"] = -1


def fill_mind(record: NDArray[np.void], kind: Kind, style: str, seed: int, slot: int) -> None:
    """Draw one road user's constants into its mind (0-d view of MIND_DTYPE)."""
    drawn = draw_style(style, seed, slot)
    for name in _STYLE_FIELDS:
        record[name] = drawn[name]
    random = generator(seed, Purpose.PEDESTRIAN, slot)
    record["habits"] = drawn["flags"]
    record["response_ticks"] = round(10.0 * drawn["response_s"])
    record["rest_offset"] = np.clip(random.normal(*REST_OFFSET), -2.5, 1.0)
    record["walk_speed"] = np.clip(random.normal(*WALKING), 0.8, 1.9)
    if kind in (Kind.TRUCK, Kind.BUS):
        record["accel"] *= 0.7
        record["lateral_accel"] *= 0.7
    elif kind == Kind.BICYCLE:
        record["accel"] = min(float(record["accel"]), 1.0)
        record["min_gap"] = 1.2
    record["hesitation"] = hesitation(drawn)
    record["plan_tick"] = record["lead"] = record["other"] = record["gate"] = record["zone"] = record["claimed_tick"] = -1
    record["route"] = -1
    record["track"] = -1
    record["change_tick"] = -1000


def hesitation(drawn: Mapping[str, float]) -> float:
    """Time [s] that a driver looks for each other claimant before it takes its turn: who stops fully also looks longer."""
    if int(drawn["flags"]) & (RUNS_STOPS | JUMPS_QUEUE | OBLIVIOUS):
        return 0.0
    return HESITATION_S * float(np.clip(HESITATION_SPEED / drawn["roll_speed"], 0.6, 2.5))


def prepare_roads(maps: Sequence[LaneMap], routes: Sequence[Sequence[Route]]) -> Packed:
    """`pack` maps and routes and fill in what drivers read of curves."""
    packed = pack(maps, routes)
    points = _aligned(packed.roads.points.shape, POINT_DTYPE)
    points[...] = packed.roads.points
    roads = packed.roads._replace(points=points)
    fill_curve_room(roads)
    points.setflags(write=False)
    return packed._replace(roads=roads)


def _aligned(shape: tuple[int, ...], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Zeroed array that begins where a cache line does, so that records of whole lines stay within theirs."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def empty_state(worlds: int, slots: int, clusters: int) -> WorldState:
    """Zeroed arrays; every slot unused, every zone long quiet."""
    state = WorldState(
        bodies=_aligned((worlds, slots), BODY_DTYPE),
        minds=_aligned((worlds, slots), MIND_DTYPE),
        history=_aligned((worlds, HISTORY, slots), SEEN_DTYPE),
        neighbours=np.zeros((worlds, slots, 1 + NEIGHBOURS), np.int16),
        visible=np.zeros((worlds, slots, NEIGHBOURS), np.uint8),
        worlds=np.zeros(worlds, WORLD_DTYPE),
        zones=np.zeros((worlds, clusters), ZONE_DTYPE),
        events=np.zeros((worlds, EVENTS), EVENT_DTYPE),
        order=np.tile(np.arange(slots, dtype=np.int16), (worlds, 1)),
        spots=_aligned((worlds, slots), SPOT_DTYPE),
        paths=np.zeros(worlds, PATH_DTYPE),
        sights=np.zeros(worlds, SIGHT_DTYPE),
    )
    state.bodies["status"] = Status.WAITING
    for name in ("claimed_since", "last_claim", "reported"):
        state.zones[name] = -1
    return state
