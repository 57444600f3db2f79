"""Every tunable of the stack as frozen dataclasses; the defaults are what ships. Override with `dataclasses.replace`.

SI units, seconds and radians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


def _check_positive(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not (math.isfinite(value) and value > 0.0):
            raise ValueError(f"{type(owner).__name__}.{name} must be a positive finite number, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one level of driving may ask of the passengers: speeding up and braking [m/s²] and jerk [m/s³], all positive."""

    accel: float
    brake: float
    jerk: float

    def __post_init__(self) -> None:
        _check_positive(self, "accel", "brake", "jerk")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedConfig:
    """How the speed along a path is planned.

    jerk_share, accel_share: part of the limits that a plan uses; the rest is for feedback and for the actuators, whose jerk is
    not even within a tick. stop_brake, stop_jerk: a free stop begins where its peaks would exceed these. cruise_brake: before
    curves and lower limits. weight_*: cost of departing from the free plan, per second: jerk 1, acceleration [1/s²], speed
    [1/s⁴]; gap_weight: of being nearer to a leader than time_gap and standing_gap ask. min_gap: to a leader, never planned below.
    same_stop_m: stops no further apart are one, and a stop under way is not planned again for it. late_stop: passing a bound by
    so little is better than a jolt for it. *_tolerance: of a kept bound.
    stitch_*: a plan goes on from its own reference unless the vehicle is further than this from it.
    """

    jerk_share: float = 0.9
    accel_share: float = 0.99
    stop_brake: float = 1.6
    stop_jerk: float = 1.1
    cruise_brake: float = 1.2
    time_gap: float = 1.4
    standing_gap: float = 2.5
    min_gap: float = 1.0
    weight_accel: float = 0.2
    weight_speed: float = 0.05
    gap_weight: float = 4.0
    same_stop_m: float = 0.05
    late_stop: float = 0.1
    position_tolerance: float = 0.05
    speed_tolerance: float = 0.15
    stitch_position: float = 2.0
    stitch_speed: float = 1.5

    def __post_init__(self) -> None:
        _check_positive(self, *self.__slots__)
        if self.jerk_share > 1.0 or self.accel_share > 1.0:
            raise ValueError(f"SpeedConfig shares must not exceed 1, got {self.jerk_share!r} and {self.accel_share!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathConfig:
    """How the reference path is laid.

    lateral_accel [m/s²] and lateral_jerk [m/s³] bound speed on curves and the length of sideways moves; smooth_room: how far [m]
    smoothing may leave the centreline; edge_margin: room [m] it keeps between the body and the lane's edge.
    """

    lateral_accel: float = 1.8
    lateral_jerk: float = 2.5
    nudge_accel: float = 0.8
    nudge_jerk: float = 0.9
    nudge_curvature: float = 0.08
    smooth_room: float = 0.35
    smooth_length: float = 6.0
    edge_margin: float = 0.15
    change_length: float = 45.0

    def __post_init__(self) -> None:
        _check_positive(self, *self.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlConfig:
    """How a trajectory is tracked.

    latency_ticks: ticks from a frame to its control's effect. position_gain [1/s²], speed_gain [1/s]: longitudinal feedback.
    reach_m, reach_s: lateral errors decay over max(reach_m, reach_s × speed) metres. steer_rate [rad/s]: bound on the wheels.
    hold_brake [m/s²]: at rest. *_noise: standard deviations of odometry; *_drift: how far [per s^0.5] the vehicle strays from its
    model.
    """

    latency_ticks: int = 1
    position_gain: float = 0.08
    speed_gain: float = 0.5
    reach_m: float = 2.5
    reach_s: float = 0.55
    steer_rate: float = 0.6
    hold_brake: float = 0.3
    speed_noise: float = 0.03
    accel_noise: float = 0.1
    speed_drift: float = 0.003
    position_drift: float = 0.005
    heading_drift: float = 0.003

    def __post_init__(self) -> None:
        _check_positive(self, *(name for name in self.__slots__ if name != "latency_ticks"))
        if not 0 <= self.latency_ticks <= 3:
            raise ValueError(f"ControlConfig.latency_ticks must be 0 to 3, got {self.latency_ticks!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionConfig:
    """Motion: the three declared levels of driving, and how speed, path and control are made.

    comfort is for everything planned in time; firm for what could not be foreseen; emergency for what nothing else avoids.
    Executed motion keeps to the limits of the level in force, switches between levels included.
    """

    comfort: Limits = field(default_factory=lambda: Limits(accel=1.5, brake=2.0, jerk=1.5))
    firm: Limits = field(default_factory=lambda: Limits(accel=2.0, brake=4.0, jerk=4.0))
    emergency: Limits = field(default_factory=lambda: Limits(accel=2.0, brake=8.0, jerk=12.0))
    reverse_speed: float = 1.2
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    path: PathConfig = field(default_factory=PathConfig)
    control: ControlConfig = field(default_factory=ControlConfig)

    def __post_init__(self) -> None:
        _check_positive(self, "reverse_speed")
        for name in ("accel", "brake", "jerk"):
            values = [getattr(limits, name) for limits in self.levels]
            if values != sorted(values):
                raise ValueError(f"MotionConfig: {name} must not fall from comfort over firm to emergency, got {values}")

    @property
    def levels(self) -> tuple[Limits, Limits, Limits]:
        """comfort, firm, emergency: by `avstack.types.Level`."""
        return self.comfort, self.firm, self.emergency
