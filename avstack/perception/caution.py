"""From doubt to a little less speed: one explicit policy.

- As far as one sees: the speed from which the car stops within the observed range, by OBSERVED_BRAKE after REACTION_S.
- The whole picture: the limit times the trust in it; below LEAST_TRUST the car comes to rest where that is gentle.
- One thing that only the coarse model answers for: it may be anything, so it is passed at PASS_MPS + PASS_PER_M × the gap to it,
  divided by the share of doubt in it (1 - trust); further than DOUBT_M beside the way it does not matter. Comfortable braking
  before it makes the bound one on distance and closing time too. One that is less likely there than EXISTS is no obstacle yet;
  down to FAINT it is passed so much faster that probability × energy stays the same, and looked at from nearer by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from avstack.perception.percepts import COARSE, EXISTS, Percepts
from sim.interface import Floats

OBSERVED_BRAKE, REACTION_S, OBSERVED_MARGIN = 5.0, 0.3, 3.0  # m/s², s, m
LEAST_TRUST = 0.15
PASS_MPS, PASS_PER_M, DOUBT_M = 4.0, 4.0, 2.5
BEFORE_M, BEHIND_M = 4.0, 3.0  # m of way before and behind a doubtful thing that are driven so
FAINT = 0.12
FREE = 100.0  # m/s, no bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """cap: most speed [m/s] anywhere; rest: come to rest; envelope: speeds at places along the way [m], None for no bound;
    doubted: how many things slow the car."""

    cap: float
    rest: bool
    envelope: tuple[Floats, Floats] | None
    doubted: int


def stopping_speed(distance: float) -> float:
    """Highest speed [m/s] from which the car stops within `distance` [m]."""
    way = max(distance - OBSERVED_MARGIN, 0.0)
    return OBSERVED_BRAKE * (math.sqrt(REACTION_S**2 + 2.0 * way / OBSERVED_BRAKE) - REACTION_S)


def be_careful(percepts: Percepts, line: tuple[Floats, Floats, Floats], s: float, half_width: float, limit: float) -> Caution:
    """The bounds on speed for these percepts. line: s, x, y (R,) of the way; s: the ego's place on it; limit: what is allowed."""
    cap = min(stopping_speed(percepts.observed_range), limit * percepts.trust if percepts.trust < 1.0 else math.inf)
    rest = percepts.trust < LEAST_TRUST
    things = percepts.things
    doubtful = things[(things["source"] == COARSE) & (things["existence"] > FAINT)]
    bounds = [_past(thing, line, s, half_width) for thing in doubtful]
    near = [bound for bound in bounds if bound is not None]
    return Caution(cap=cap, rest=rest, envelope=_merged(near) if near else None, doubted=len(near))


def _past(thing: np.void, line: tuple[Floats, Floats, Floats], s: float, half_width: float) -> tuple[float, float, float] | None:
    """(from, to, speed) of one thing's bound; None where it is too far beside the way, or behind."""
    away = np.hypot(line[1] - float(thing["x"]), line[2] - float(thing["y"]))
    nearest = int(np.argmin(away))
    reach = 0.5 * math.hypot(float(thing["length"]), float(thing["width"]))
    gap = max(float(away[nearest]) - reach - half_width, 0.0)
    at = float(line[0][nearest])
    if gap > DOUBT_M or at + reach + BEHIND_M < s:
        return None
    doubt = max(1.0 - float(thing["trust"]), 0.05) * math.sqrt(min(float(thing["existence"]) / EXISTS, 1.0))
    return at - reach - BEFORE_M, at + reach + BEHIND_M, (PASS_MPS + PASS_PER_M * gap) / doubt


def _merged(bounds: list[tuple[float, float, float]]) -> tuple[Floats, Floats]:
    """One bound from several: at every place the lowest, FREE where there is none."""
    edges = np.unique([edge for low, high, _ in bounds for edge in (low - 0.01, low, high, high + 0.01)])
    speeds = np.full(len(edges), FREE)
    for low, high, speed in bounds:
        inside = (edges >= low) & (edges <= high)
        speeds[inside] = np.minimum(speeds[inside], speed)
    return edges, speeds


def lower(one: tuple[Floats, Floats] | None, other: tuple[Floats, Floats] | None) -> tuple[Floats, Floats] | None:
    """The lower of two bounds of speed by place, each linear between its places and constant beyond."""
    if one is None or other is None:
        return other if one is None else one
    s = np.union1d(one[0], other[0])
    return s, np.minimum(np.interp(s, *one), np.interp(s, *other))
