"""What a real car would get and give: vehicle limits, sensor frames, controls, and the driver protocol.

World frame: x east, y north, right-handed; heading counter-clockwise from +x in (-pi, pi]. Position is the centre of the
oriented box, speed is the rear axle's. SI units, radians. Time is an integer tick of `TICK_S`; a Control computed from frame k
acts from k+1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sim.roads.lane_map import LaneMap
    from sim.roads.route import Route

TICK_S = 0.1
SUBSTEPS = 2

Floats = NDArray[np.float64]


class Kind(IntEnum):
    """Kinds of road user; OBJECT is a thing that does not act (its name is in `Actor.thing`)."""

    CAR = 0
    VAN = 1
    TRUCK = 2
    BUS = 3
    MOTORCYCLE = 4
    BICYCLE = 5
    PEDESTRIAN = 6
    OBJECT = 7


class Indicator(IntEnum):
    """Turn indicator; HAZARD is both sides."""

    OFF = 0
    LEFT = 1
    RIGHT = 2
    HAZARD = 3


class Gear(IntEnum):
    """Direction of travel a driver asks for; it changes only at standstill."""

    DRIVE = 0
    REVERSE = 1


class Gesture(IntEnum):
    """Hand or headlight gesture: WAVE offers the other one the right to go first."""

    NONE = 0
    WAVE = 1


class Colour(IntEnum):
    """Reading of a traffic signal."""

    GREEN = 0
    YELLOW = 1
    RED = 2
    OFF = 3


_POSITIVE = (
    "length", "width", "height", "wheelbase", "steer_max", "steer_rate_max", "accel_max", "brake_max", "jerk_max", "speed_max",
)  # fmt: skip
_NOT_NEGATIVE = ("rear_overhang", "reverse_speed_max", "accel_lag", "steer_lag")


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleSpec:
    """Size and limits of one vehicle [m, s, rad]; rear_to_centre is the distance from the rear axle to the box centre."""

    kind: Kind = Kind.CAR
    length: float = 4.7
    width: float = 1.85
    height: float = 1.5
    wheelbase: float = 2.75
    rear_overhang: float = 0.95
    steer_max: float = 0.60
    steer_rate_max: float = 0.70
    accel_max: float = 3.0
    brake_max: float = 8.0
    jerk_max: float = 12.0
    speed_max: float = 55.0
    reverse_speed_max: float = 3.0
    accel_lag: float = 0.20
    steer_lag: float = 0.10

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0.0):
                raise ValueError(f"VehicleSpec.{name} must be a positive finite number, got {value!r}")
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise ValueError(f"VehicleSpec.{name} must be a finite number of at least 0, got {value!r}")
        if self.steer_max >= 0.5 * np.pi:
            raise ValueError(f"VehicleSpec.steer_max {self.steer_max} rad must be less than a quarter turn")
        if self.kind not in (Kind.PEDESTRIAN, Kind.OBJECT) and self.wheelbase + self.rear_overhang >= self.length:
            raise ValueError(
                f"VehicleSpec: wheelbase {self.wheelbase} m and rear_overhang {self.rear_overhang} m must add up to less than "
                f"the length {self.length} m"
            )

    @property
    def rear_to_centre(self) -> float:
        """Distance [m] from the rear axle forward to the centre of the box."""
        return 0.5 * self.length - self.rear_overhang


SPECS: Mapping[Kind, VehicleSpec] = {
    Kind.CAR: VehicleSpec(),
    Kind.VAN: VehicleSpec(kind=Kind.VAN, length=5.6, width=2.0, height=2.4, wheelbase=3.4, rear_overhang=1.1, accel_max=2.6),
    Kind.TRUCK: VehicleSpec(
        kind=Kind.TRUCK, length=8.5, width=2.5, height=3.4, wheelbase=4.9, rear_overhang=2.2, accel_max=1.6, brake_max=6.5,
        steer_max=0.75,
    ),
    Kind.BUS: VehicleSpec(
        kind=Kind.BUS, length=12.0, width=2.55, height=3.2, wheelbase=6.0, rear_overhang=3.3, accel_max=1.4, brake_max=6.0,
        steer_max=0.85,
    ),
    Kind.MOTORCYCLE: VehicleSpec(kind=Kind.MOTORCYCLE, length=2.2, width=0.8, wheelbase=1.45, rear_overhang=0.35, accel_max=4.0),
    Kind.BICYCLE: VehicleSpec(
        kind=Kind.BICYCLE, length=1.8, width=0.65, height=1.75, wheelbase=1.05, rear_overhang=0.35, accel_max=1.2, brake_max=4.0,
        jerk_max=8.0, speed_max=9.0, reverse_speed_max=0.5, accel_lag=0.3,
    ),
    Kind.PEDESTRIAN: VehicleSpec(
        kind=Kind.PEDESTRIAN, length=0.5, width=0.6, height=1.75, wheelbase=0.3, rear_overhang=0.1, accel_max=2.0, brake_max=3.0,
        jerk_max=50.0, speed_max=3.5, accel_lag=0.05,
    ),
    Kind.OBJECT: VehicleSpec(kind=Kind.OBJECT, length=1.0, width=1.0, height=0.5, wheelbase=0.5, rear_overhang=0.25),
}  # fmt: skip


OBJECT_DTYPE = np.dtype(
    [
        ("id", "i4"), ("kind", "i4"), ("x", "f8"), ("y", "f8"), ("z", "f4"), ("heading", "f4"), ("vx", "f4"), ("vy", "f4"),
        ("speed", "f4"), ("accel", "f4"), ("yaw_rate", "f4"), ("length", "f4"), ("width", "f4"), ("height", "f4"),
        ("indicator", "i4"), ("brake_light", "i4"), ("gesture", "i4"), ("drive_through", "f4"), ("score", "f4"),
        ("sigma", "f4", (5,)),
    ],
    align=True,
)  # fmt: skip
"""One perceived thing, world frame; never a route, goal or style.

drive_through: probability that driving through it does no harm. score: probability that something is there at all.
sigma: the sensor's own standard errors of position [m] (each axis, of the near faces), heading [rad], velocity [m/s] (each axis),
length and width [m]; 0 at the `state` level.
`id` is stable at the `state` level while the thing is in sight; at the `objects` level it only numbers the readings of one frame,
and acceleration and yaw rate are 0: no single sweep shows them.
"""
SECTORS = 180
"""Sectors of `SensorFrame.sight`."""
PERCEPT_COLUMNS = (
    "id", "kind", "x", "y", "heading", "vx", "vy", "length", "width", "var_x", "cov_xy", "var_y", "var_vx", "var_vy",
    "existence", "source", "drive_through", "trust",
)  # fmt: skip
"""Columns of the array that a driver may trace as `percepts`, a row for each thing it perceives, world frame. var_*, cov_xy: of
its estimate; existence, drive_through: probabilities; source: 0 the model that knows kinds, 1 the one that knows only what is in
the way; trust: in the former, 0 to 1."""
TRAJECTORY_COLUMNS = ("t", "x", "y", "heading", "speed", "accel", "jerk")
"""Columns of the array that a driver may trace as `trajectory`: where the centre of its box is to be, t seconds from now."""
FUTURE_STEP_S = 0.5
"""Seconds between the points of the array (F, N, K, 2) that a driver may trace as `futures`: the world places of N road users,
itself first, in each of F joint futures, from now on; `futures_share` (F,) are their probabilities."""
COARSE_PLACE = ("x", "y", "heading", "ahead", "left", "side")
"""What a driver traces as `coarse_place` (6,) beside `coarse`, (2, R, C) percent per cell that something must be gone around, and
that it is unobserved: pose of the grid's frame in the world, place of its first corner in that frame, and a cell's side [m]. Rows
go forward, columns to the left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odometry:
    """What the car measures about itself [m/s, m/s², rad/s, rad]."""

    speed: float
    accel: float
    yaw_rate: float
    steer: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorFrame:
    """Everything a driver is told at one tick.

    pose: (3,) estimate of x, y, heading of the box centre; pose_covariance: (3, 3).
    signals: (G,) Colour of each signal group of the map, Colour.OFF where it cannot be seen from here.
    level: sensing level, `state`, `objects` or `lidar`. range_m: how far [m] the sensors reach ahead in this weather.
    objects_age: ticks ago that `objects` were measured. sight: (SECTORS,) distance [m] to what blocks sight in each of equal
    sectors, counter-clockwise, the first one starting straight ahead; None where nothing blocks it (the `state` level).
    objects: (N,) of OBJECT_DTYPE at the `state` and `objects` levels; None at the `lidar` level.
    lidar: (N, 5) x, y, z [m], intensity 0..1, time offset [s] at most 0 from this tick, at the `lidar` level; None elsewhere.
    Points are in the ego frame at this tick: x forward, y left, z up, the origin on the ground under the centre of its box.
    """

    tick: int
    odometry: Odometry
    pose: Floats
    pose_covariance: Floats
    signals: NDArray[np.int32]
    objects: NDArray[np.void] | None
    lidar: NDArray[np.float32] | None = None
    level: str = "state"
    range_m: float = 100.0
    objects_age: int = 0
    sight: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What a driver asks of its vehicle: acceleration along the body [m/s²] (negative in reverse gear speeds it up backwards),
    road-wheel angle [rad, left positive], lights, gear and gesture."""

    accel: float = 0.0
    steer: float = 0.0
    indicator: Indicator = Indicator.OFF
    gear: Gear = Gear.DRIVE
    gesture: Gesture = Gesture.NONE


_M = TypeVar("_M")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverStep(Generic[_M]):
    """One decision: the control, the memory for the next step, and named arrays for the recording."""

    control: Control
    memory: _M
    trace: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


class Driver(Protocol[_M]):
    """Drives one vehicle. Memory is passed in and out, never held, so that a run can be branched from any tick."""

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> _M:
        """Memory before the first frame."""
        ...

    def step(self, frame: SensorFrame, memory: _M) -> DriverStep[_M]:
        """Control for the next tick."""
        ...
