"""Types that cross the borders between the stack's modules. World frame, SI units, radians; arrays handed out are read-only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from sim.interface import Floats


class Level(IntEnum):
    """Which of the declared limits a trajectory keeps to."""

    COMFORT = 0
    FIRM = 1
    EMERGENCY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """Where the box centre is to be, K samples from now; see `avstack.motion`.

    t (K,) [s] from 0; s (K,) position along the reference path [m]; x, y, heading (of the path, in the direction of the bonnet),
    curvature, slip (angle from the body to the path: the body's heading is heading - slip); speed, accel, jerk: of the rear axle,
    negative backwards. feasible: every constraint is kept within the limits of `level`. reason: in words, why it is what it is.
    """

    t: Floats
    s: Floats
    x: Floats
    y: Floats
    heading: Floats
    curvature: Floats
    slip: Floats
    speed: Floats
    accel: Floats
    jerk: Floats
    feasible: bool
    level: Level
    reverse: bool
    reason: str
