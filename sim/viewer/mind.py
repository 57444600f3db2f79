"""What drivers trace for others to look at (`sim.interface` has the columns), read with care: any driver may trace anything, and
what is not of the declared shape, or not finite, is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim.interface import COARSE_PLACE, PERCEPT_COLUMNS, TRAJECTORY_COLUMNS, Floats

SIGMAS = 2.0
"""Standard deviations to the rim of an ellipse: 95 % of one direction."""
FAR_M = 1e5
"""Nothing is drawn, or told, of what is further from the origin."""
_TURNS = np.linspace(0.0, 2.0 * np.pi, 33)

Trace = Mapping[str, NDArray[np.generic]]


def percepts_in(trace: Trace) -> list[dict[str, float]]:
    """What a driver perceives, a dictionary by PERCEPT_COLUMNS for each thing."""
    things = _numbers(trace, "percepts", 2)
    if things.shape[1] != len(PERCEPT_COLUMNS):
        return []
    return [dict(zip(PERCEPT_COLUMNS, row.tolist(), strict=True)) for row in things if _near(row)]


def trajectory_in(trace: Trace) -> Floats:
    """(K, len(TRAJECTORY_COLUMNS)) of where the driver means to be, none or at least two rows."""
    planned = _numbers(trace, "trajectory", 2)
    good = planned.shape[1] == len(TRAJECTORY_COLUMNS) and len(planned) > 1 and _near(planned)
    return planned if good and bool(np.all(np.diff(planned[:, 0]) > 0.0)) else np.zeros((0, len(TRAJECTORY_COLUMNS)))


def futures_in(trace: Trace) -> tuple[Floats, Floats]:
    """Places (F, N, K, 2) of N road users, the driver first, in F joint futures, and the futures' probabilities (F,)."""
    places, shares = _numbers(trace, "futures", 4), _numbers(trace, "futures_share", 1)
    whole = places.shape[3] == 2 and places.shape[2] > 1 and places.shape[1] > 0 and len(places) == len(shares)
    if not (whole and _near(places) and _near(shares)):
        return np.zeros((0, 1, 2, 2)), np.zeros(0)
    return places, np.clip(shares, 0.0, 1.0)


def claims_in(trace: Trace) -> list[tuple[Floats, float]]:
    """(place (2,), probability of going first) of all who have a claim on the driver's way."""
    places, chances = _numbers(trace, "others_at", 2), _numbers(trace, "go_first", 1)
    if places.shape[1] != 2 or len(places) != len(chances):
        return []
    return [
        (place, min(max(float(chance), 0.0), 1.0))
        for place, chance in zip(places, chances, strict=True)
        if _near(place) and math.isfinite(chance)
    ]


def coarse_in(trace: Trace) -> tuple[NDArray[np.uint8], Floats] | None:
    """The coarse grid (2, R, C) and its COARSE_PLACE; None where there is none."""
    cells, place = np.asarray(trace.get("coarse", np.zeros(0))), _numbers(trace, "coarse_place", 1)
    good = cells.ndim == 3 and len(cells) == 2 and cells.dtype == np.uint8 and len(place) == len(COARSE_PLACE) and _near(place)
    return (cells.astype(np.uint8, copy=False), place) if good else None


def reason_in(trace: Trace) -> int | None:
    """The number of the reason that a driver with manoeuvres gives; None where it has none, or no reason."""
    reason = np.asarray(trace.get("reason", np.zeros(0)))
    return int(reason) if "manoeuvre" in trace and reason.ndim == 0 and reason.dtype.kind in "biu" else None


def half_axes(var_x: float, cov_xy: float, var_y: float) -> tuple[float, float, float]:
    """Half axes [m] of the ellipse of SIGMAS standard deviations, the longer one first, and its direction [rad]."""
    middle, half = 0.5 * (var_x + var_y), 0.5 * (var_x - var_y)
    spread = math.hypot(half, cov_xy)
    longer, shorter = math.sqrt(max(middle + spread, 0.0)), math.sqrt(max(middle - spread, 0.0))
    return SIGMAS * longer, SIGMAS * shorter, 0.5 * math.atan2(cov_xy, half)


def ellipse(x: float, y: float, var_x: float, cov_xy: float, var_y: float) -> Floats:
    """(33, 2) rim of the ellipse of SIGMAS standard deviations around a place, closed."""
    longer, shorter, turned = half_axes(var_x, cov_xy, var_y)
    cos, sin = math.cos(turned), math.sin(turned)
    along, aside = longer * np.cos(_TURNS), shorter * np.sin(_TURNS)
    rim: Floats = np.column_stack((x + along * cos - aside * sin, y + along * sin + aside * cos))
    return rim


def _numbers(trace: Trace, name: str, dimensions: int) -> Floats:
    """An array of a trace as float64, empty where it is not there or has another number of dimensions."""
    found = np.asarray(trace.get(name, np.zeros((0,) * dimensions)))
    if found.ndim != dimensions or found.dtype.kind not in "biuf":
        return np.zeros((0,) * dimensions)
    return found.astype(np.float64)


def _near(values: Floats) -> bool:
    return bool(np.all(np.isfinite(values))) and bool(np.all(np.abs(values) < FAR_M))
