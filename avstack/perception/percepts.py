"""What perception tells the rest of the stack: the things around, the ego, and how sure it is of each number.

World frame x east, y north, heading counter-clockwise from +x in (-pi, pi]; SI units. Position is the centre of the oriented
box. Every sensing level ends in the same `Percepts`, so that whoever reads them need not know which one it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.interface import OBJECT_DTYPE, Floats, SensorFrame

X, Y, HEADING, VX, VY, LENGTH, WIDTH = range(7)
"""Rows and columns of `THING_DTYPE.covariance`."""

RICH, COARSE = 0, 1
"""Values of `THING_DTYPE.source`: the model that knows kinds, or the one that knows only what is in the way."""

THING_DTYPE = np.dtype(
    [
        # who: track id, stable while the track lives; most likely sim.interface.Kind and the probability of each
        ("id", "i4"), ("kind", "i4"), ("kind_probability", "f4", (8,)), ("existence", "f4"),
        # mean: m, rad, m/s, m/s², rad/s; speed is signed along the heading
        ("x", "f8"), ("y", "f8"), ("heading", "f4"), ("vx", "f4"), ("vy", "f4"), ("speed", "f4"), ("accel", "f4"),
        ("yaw_rate", "f4"), ("length", "f4"), ("width", "f4"),
        # of (x, y, heading, vx, vy, length, width), given that the heading is not reversed; with the ego pose's own error
        ("covariance", "f4", (7, 7)),
        # probabilities: the heading is reversed; each sim.interface.Indicator; brake light on; waving somebody through
        ("flip", "f4"), ("indicator", "f4", (4,)), ("brake_light", "f4"), ("wave", "f4"),
        # RICH or COARSE; probability that driving through it does no harm; trust in the rich answer, 0 to 1
        ("source", "i4"), ("drive_through", "f4"), ("trust", "f4"),
        # ticks since first seen, since last measured (0: at this tick), and for how long it has stood: from when its speed was
        # below 0.5 m/s until that is surely exceeded
        ("age", "i4"), ("missed", "i4"), ("standing", "i4"),
    ],
    align=True,
)  # fmt: skip
"""One thing as perceived, world frame."""

STANDING_SPEED = 0.5
"""m/s, below which a thing counts as standing (METRICS: "stopped")."""
EXISTS = 0.3
"""Least probability that a thing is there, from which it is reckoned with."""
DRIVEN_THROUGH = 0.85
"""Least probability that driving through a thing does no harm, from which that is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EgoEstimate:
    """Own pose of the box centre [m, rad] with its covariance (3, 3), and own motion [m/s, m/s², rad/s, rad]."""

    x: float
    y: float
    heading: float
    covariance: Floats
    speed: float
    accel: float
    yaw_rate: float
    steer: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Percepts:
    """Everything perceived at one tick.

    things: (N,) THING_DTYPE, read-only. signals: (G,) sim.interface.Colour per signal group of the map, OFF where unseen.
    observed_range: how far ahead [m] an absent thing may be taken for absent. sight: (SECTORS,) distance [m] to what blocks
    sight, as in SensorFrame, or None. trust: in the whole picture, 0 to 1.
    """

    tick: int
    ego: EgoEstimate
    things: NDArray[np.void]
    signals: NDArray[np.int32]
    observed_range: float
    sight: NDArray[np.float32] | None = None
    trust: float = 1.0


def ego_estimate(frame: SensorFrame) -> EgoEstimate:
    """Own state as the frame tells it, unfiltered."""
    odometry = frame.odometry
    return EgoEstimate(
        x=float(frame.pose[0]), y=float(frame.pose[1]), heading=float(frame.pose[2]), covariance=frame.pose_covariance,
        speed=odometry.speed, accel=odometry.accel, yaw_rate=odometry.yaw_rate, steer=odometry.steer,
    )  # fmt: skip


def as_objects(things: NDArray[np.void]) -> NDArray[np.void]:
    """The likeliest reading of each thing that more likely exists than not, as a list (N,) of OBJECT_DTYPE with stable ids.

    For drivers that know nothing of uncertainty.
    """
    things = things[things["existence"] > 0.5]
    objects = np.zeros(len(things), OBJECT_DTYPE)
    for name in (
        "id", "kind", "x", "y", "heading", "vx", "vy", "speed", "accel", "yaw_rate", "length", "width", "drive_through",
    ):  # fmt: skip
        objects[name] = things[name]
    objects["indicator"] = np.argmax(things["indicator"], axis=1)
    objects["brake_light"], objects["gesture"] = things["brake_light"] > 0.5, things["wave"] > 0.5
    objects["score"], objects["height"] = things["existence"], 1.5
    return objects
