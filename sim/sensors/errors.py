"""How far the `objects` sensing level is off: one table by kind of thing and by weather, and what goes wrong besides.

All numbers are fitted to what the shipped models do with lidar points of the catalogue's traffic (`avstack perception errors`, by
kind, range and weather; `--sensing objects` gives the same figures of this level). Motorcycles, vans, buses and objects, of which
that traffic has too few, are after their nearest kin. Sizes along a side that is not seen are guesses. The numbers stand for a
pipeline and are fitted again when it changes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.interface import TICK_S, Kind

QUANTITIES = 8
"""Correlated errors of one thing: position x and y, heading, velocity x and y, length, width, score."""
LAGS = 96
"""Past ticks that make up one correlated error; the slowest has died down to 4 % by then."""
POSE_LAGS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class KindErrors:
    """Standard errors at no distance and per metre of it, for one kind.

    position, velocity: each axis [m, m/s]; heading [rad]; length, width [m] when that side is not seen, a third of it when it is.
    reach: distance [m] at which half the readings are missing in clear weather. flip: share of time its heading is reversed while
    it stands. confused: share of time it is taken for one of `mistaken`, the first of them twice as often.
    """

    position: tuple[float, float] = (0.125, 0.0045)
    heading: tuple[float, float] = (0.045, 0.0002)
    velocity: tuple[float, float] = (0.38, 0.012)
    length: float = 0.27
    width: float = 0.085
    reach: float = 55.0
    flip: float = 0.05
    confused: float = 0.01
    mistaken: tuple[Kind, Kind] = (Kind.OBJECT, Kind.BICYCLE)


KIND_ERRORS: Mapping[Kind, KindErrors] = {
    Kind.CAR: KindErrors(),
    Kind.VAN: KindErrors(length=0.4, confused=0.5, mistaken=(Kind.CAR, Kind.CAR)),
    Kind.TRUCK: KindErrors(
        position=(0.40, 0.003), heading=(0.055, 0.0002), velocity=(1.2, 0.015), length=1.2, width=0.12, reach=65.0,
        confused=0.06, mistaken=(Kind.CAR, Kind.OBJECT),
    ),
    Kind.BUS: KindErrors(
        position=(0.40, 0.003), heading=(0.055, 0.0002), velocity=(1.2, 0.015), length=1.2, width=0.12, reach=65.0,
        confused=0.5, mistaken=(Kind.TRUCK, Kind.TRUCK),
    ),
    Kind.MOTORCYCLE: KindErrors(
        position=(0.14, 0.001), heading=(0.24, 0.002), velocity=(0.9, 0.01), length=0.35, reach=48.0, flip=0.06, confused=0.5,
        mistaken=(Kind.BICYCLE, Kind.PEDESTRIAN),
    ),
    Kind.BICYCLE: KindErrors(
        position=(0.14, 0.001), heading=(0.24, 0.002), velocity=(0.9, 0.01), length=0.35, reach=48.0, flip=0.06, confused=0.25,
        mistaken=(Kind.PEDESTRIAN, Kind.MOTORCYCLE),
    ),
    Kind.PEDESTRIAN: KindErrors(
        position=(0.08, 0.0005), heading=(0.30, 0.001), velocity=(0.21, 0.003), length=0.04, width=0.03, reach=39.0, flip=0.12,
        confused=0.03, mistaken=(Kind.OBJECT, Kind.BICYCLE),
    ),
    Kind.OBJECT: KindErrors(
        position=(0.07, 0.002), heading=(0.18, 0.001), velocity=(0.04, 0.001), length=0.25, width=0.15, reach=45.0, flip=0.36,
        confused=0.015, mistaken=(Kind.PEDESTRIAN, Kind.CAR),
    ),
}  # fmt: skip
"""Small things give few returns (short reach, vague heading); long ones are seldom seen from end to end. The models do not tell
vans from cars, buses from trucks, or motorcycles from bicycles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherErrors:
    """Factors on standard errors, reach, missed readings and ghosts."""

    sigma: float = 1.0
    reach: float = 1.0
    miss: float = 1.0
    ghosts: float = 1.0


WEATHER_ERRORS: Mapping[str, WeatherErrors] = {
    "clear": WeatherErrors(),
    "wet": WeatherErrors(),
    "rain": WeatherErrors(sigma=1.05, reach=0.97),
    "snow": WeatherErrors(sigma=1.15, reach=0.97, miss=1.5, ghosts=1.5),
    "fog": WeatherErrors(sigma=1.1, reach=0.88, miss=1.2, ghosts=1.2),
}
"""Drops and flakes return the beam themselves (ghosts) and take from its energy (reach); an unlisted weather counts as rain. What
fog hides altogether is by its visibility, not by these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectErrors:
    """Everything that is not by kind or weather.

    share: part of the error variance that is correlated in time, decaying with the *_time [s] of its quantity (first order); a
    detector sees nearly the same points of the same side sweep after sweep.
    """

    latency_ticks: int = 1
    reach_ahead: float = 80.0  # m, the network's grid
    reach_beside: float = 50.0  # m
    share: float = 0.6
    position_time: float = 3.0
    heading_time: float = 0.75
    velocity_time: float = 3.0
    size_time: float = 2.5
    score_time: float = 0.5
    hidden_sigma: float = 1.0  # factor on errors, added when almost all of a thing is hidden
    miss: float = 0.005  # share of single readings missing near by
    miss_bursts: float = 0.007  # share of time in which a thing is not seen for burst_ticks on end
    burst_ticks: int = 6
    flip_ticks: int = 12
    flip_moving: float = 0.5  # factor on flips above 2 m/s
    confusion_ticks: int = 15
    merge_gap: float = 0.5  # m between two things that may be taken for one
    merged: float = 0.3  # share of time that they are
    ghosts: float = 0.3  # mean number of ghosts in a frame, clear weather
    light_ticks: int = 5
    light_miss: tuple[float, float] = (0.03, 0.004)  # near by, and per metre: a light that is on is read as off
    light_false: float = 0.004  # a light that is off is read as on
    light_reach: float = 60.0  # m
    wave_miss: float = 0.3
    wave_false: float = 0.001
    wave_reach: float = 25.0  # m
    score_spread: float = 2.0  # separation of the scores of things and ghosts, in standard deviations
    score_prior: float = 3.0  # log odds that a reading is of a thing
    pose: tuple[float, float] = (0.07, 0.003)  # m each axis, rad; correlated over pose_time
    pose_jitter: tuple[float, float] = (0.01, 0.0005)  # m, rad; anew each tick
    pose_time: float = 4.0
    odometry: tuple[float, float, float, float] = (0.03, 0.05, 0.003, 0.002)  # speed, accel, yaw rate, steer
    odometry_scale: float = 0.004  # of speed: tyres wear and warm
    kinds: Mapping[Kind, KindErrors] = field(default_factory=lambda: dict(KIND_ERRORS))
    weather: Mapping[str, WeatherErrors] = field(default_factory=lambda: dict(WEATHER_ERRORS))


_SCALARS = (
    "latency_ticks", "reach_ahead", "reach_beside", "share", "hidden_sigma", "miss", "miss_bursts", "burst_ticks", "flip_ticks",
    "flip_moving", "confusion_ticks", "merge_gap", "merged", "ghosts", "light_ticks", "light_false", "light_reach", "wave_miss",
    "wave_false", "wave_reach", "score_spread", "score_prior", "odometry_scale",
)  # fmt: skip
_BY_KIND = ("length", "width", "reach", "flip", "confused")
_BY_KIND_AND_RANGE = ("position", "heading", "velocity")

PARAMETERS_DTYPE = np.dtype(
    [
        *((name, "i8" if name.endswith("_ticks") else "f8") for name in _SCALARS),
        *((name, "f8", (len(Kind),)) for name in _BY_KIND),
        *((name, "f8", (len(Kind), 2)) for name in _BY_KIND_AND_RANGE),
        ("mistaken", "i8", (len(Kind), 2)), ("light_miss", "f8", (2,)), ("pose", "f8", (2,)), ("pose_jitter", "f8", (2,)),
        ("odometry", "f8", (4,)), ("weights", "f8", (LAGS, QUANTITIES)), ("pose_weights", "f8", (POSE_LAGS,)),
    ],
    align=True,
)  # fmt: skip
"""`ObjectErrors` for one weather, as kernels read it; weights make unit-variance correlated errors of uniform draws."""


def moving_average(time_s: float, lags: int) -> NDArray[np.float64]:
    """Weights (lags,) on independent unit draws that give a first-order correlation with this decay time [s], variance 1."""
    weights = math.exp(-TICK_S / time_s) ** np.arange(lags)
    return np.asarray(weights / np.sqrt(np.sum(weights**2)))


@functools.lru_cache(maxsize=16)
def default_parameters(weather: str) -> NDArray[np.void]:
    """`pack_errors` of the defaults, kept: packing takes longer than a frame."""
    return pack_errors(ObjectErrors(), weather)


def pack_errors(errors: ObjectErrors, weather: str) -> NDArray[np.void]:
    """PARAMETERS_DTYPE (1,), read-only, with the factors of this weather put in."""
    packed = np.zeros(1, PARAMETERS_DTYPE)
    row = packed[0]
    factors = errors.weather.get(weather, errors.weather["rain"])
    for name in (*_SCALARS, "light_miss", "pose", "pose_jitter", "odometry"):
        row[name] = getattr(errors, name)
    for kind in Kind:
        own = errors.kinds[kind]
        for name in (*_BY_KIND, *_BY_KIND_AND_RANGE):
            row[name][kind] = getattr(own, name)
        row["mistaken"][kind] = own.mistaken
    for name in (*_BY_KIND_AND_RANGE, "length", "width"):
        row[name] *= factors.sigma
    for name in ("reach", "reach_ahead", "reach_beside"):
        row[name] *= factors.reach
    for name in ("miss", "miss_bursts"):
        row[name] *= factors.miss
    row["ghosts"] *= factors.ghosts
    times = (
        *(errors.position_time,) * 2, errors.heading_time, *(errors.velocity_time,) * 2, *(errors.size_time,) * 2,
        errors.score_time,
    )  # fmt: skip
    row["weights"] = np.stack([moving_average(time, LAGS) for time in times], axis=1)
    row["pose_weights"] = moving_average(errors.pose_time, POSE_LAGS)
    packed.setflags(write=False)
    return packed
