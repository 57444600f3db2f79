"""Whose lanes a recorded track ran along: the most likely sequence of lanes, and from it a route and a desired speed.

Hidden-Markov map matching (Newson and Krumm, SIGSPATIAL 2009) with lanes instead of roads: being off a lane's centre costs its
square, going to a lane that neither follows nor lies beside is impossible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from scenarios.ground import Ground, PlaceError
from sim.interface import Floats
from sim.roads.lane_map import LaneKind
from sim.roads.route import Route, RouteError, check_route

STEP_M = 2.0  # m of way between the rows that are looked at
REACH_M = 3.0  # m off a centreline within which a lane may be meant
FACING = math.radians(60.0)
SPREAD_M = 1.0  # m, of vehicles about the centres of their lanes
CHANGE_COST = 3.0
SLOWEST, FASTEST = 0.3, 1.6  # bounds of a desired speed over the limit
VEHICLE_LANES = (LaneKind.DRIVING, LaneKind.CYCLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A lane on which something may be: s along it, d to its left [m], and how far its heading is off the lane's [rad]."""

    lane: int
    s: float
    d: float
    turned: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraced:
    """Route of a track from its first row on, where on its first lane that is, and the highest speed over the limit."""

    route: Route
    start: Fit
    pace: float


def fits(ground: Ground, x: float, y: float, heading: float) -> list[Fit]:
    """Lanes for vehicles that may be meant by a pose, the nearest first."""
    road_map = ground.road_map
    points = road_map.points
    near = np.flatnonzero(np.hypot(points["x"] - x, points["y"] - y) < REACH_M + 0.5)
    lanes = np.searchsorted(road_map.lanes["point_start"], near, side="right") - 1
    found = []
    for lane in np.unique(lanes).tolist():
        if ground.kind[lane] not in VEHICLE_LANES:
            continue
        mine = near[lanes == lane]
        index = int(mine[np.argmin(np.hypot(points["x"][mine] - x, points["y"][mine] - y))])
        point = points[index]
        dx, dy = x - float(point["x"]), y - float(point["y"])
        s = (index - int(road_map.lanes["point_start"][lane])) * float(road_map.lanes["spacing"][lane])
        s += dx * float(point["cos"]) + dy * float(point["sin"])
        d = dy * float(point["cos"]) - dx * float(point["sin"])
        turned = math.remainder(heading - float(point["heading"]), 2.0 * math.pi)
        if abs(d) <= REACH_M and abs(turned) <= FACING and -0.5 <= s <= ground.length[lane] + 0.5:
            found.append(Fit(lane=lane, s=min(max(s, 0.0), ground.length[lane]), d=d, turned=turned))
    return sorted(found, key=lambda fit: _off(ground, fit))


def retrace(ground: Ground, track: Floats) -> Retraced | None:
    """Route and desired speed of a track (T, 5) of t, x, y, heading, speed; None where no lanes lead along it."""
    way = np.append(0.0, np.cumsum(np.hypot(*np.diff(track[:, 1:3], axis=0).T)))
    rows = np.unique(np.searchsorted(way, np.arange(0.0, way[-1] + STEP_M, STEP_M)).clip(max=len(track) - 1))
    on_lanes = [(int(row), found) for row in rows if (found := fits(ground, *track[row, 1:4].tolist()))]
    if not on_lanes or on_lanes[0][0] != 0:
        return None
    chain = _best_chain(ground, [found for _, found in on_lanes])
    lanes = _without_repeats([fit.lane for fit in chain])
    onward = ground.onward(lanes[-1], False)[1:]
    lanes += [lane for lane in onward if lane not in lanes]
    try:
        route = ground.end_of(lanes)
        check_route(ground.road_map, route)
    except (RouteError, PlaceError):
        return None
    paces = [
        track[row, 4] / float(ground.road_map.lane_points(fit.lane)["speed_limit"][0])
        for (row, _), fit in zip(on_lanes, chain, strict=True)
    ]
    return Retraced(route=route, start=chain[0], pace=float(np.clip(max(paces), SLOWEST, FASTEST)))


def _off(ground: Ground, fit: Fit) -> float:
    return 0.5 * (fit.d / SPREAD_M) ** 2 + 2.0 * fit.turned**2


def _best_chain(ground: Ground, steps: Sequence[Sequence[Fit]]) -> list[Fit]:
    """One fit a step, of least cost; a step that nothing leads to begins anew from the nearest lane."""
    costs = [_off(ground, fit) for fit in steps[0]]
    back: list[list[int]] = [[-1] * len(steps[0])]
    for before, here in pairwise(steps):
        links: list[int] = []
        totals: list[float] = []
        for fit in here:
            ways = [cost + _passage(ground, other.lane, fit.lane) for cost, other in zip(costs, before, strict=True)]
            best = int(np.argmin(ways))
            links.append(best)
            totals.append(ways[best] + _off(ground, fit))
        costs = totals
        back.append(links)
    index = int(np.argmin(costs))
    chain = []
    for found, links in zip(reversed(steps), reversed(back), strict=True):
        chain.append(found[index])
        index = links[index]
    return chain[::-1]


def _passage(ground: Ground, a: int, b: int) -> float:
    """Cost of being on lane b after lane a."""
    if a == b:
        return 0.0
    if b in ground.successors[a] or any(b in ground.successors[between] for between in ground.successors[a]):
        return 0.1
    return CHANGE_COST if b in (ground.left[a], ground.right[a]) else 1e6


def _without_repeats(lanes: Sequence[int]) -> list[int]:
    kept: list[int] = []
    for lane in lanes:
        if not kept or kept[-1] != lane:
            kept.append(lane)
    return kept
