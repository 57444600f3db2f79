"""Routes: where a road user wants to go, and the tables from which a kernel reads its next lane in O(1)."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.rng import Purpose, generator
from sim.roads.lane_map import LaneKind, LaneMap

STEP_DTYPE = np.dtype([("next", "i4"), ("side", "i4"), ("to_goal", "f4")], align=True)
"""What a follower of a route does on a lane: next lane (-1 none), side to change to (+1 left, -1 right, 0 stay, 127 = lane is off
the route), and the distance [m] from the lane's start to the goal (inf if off the route)."""
OFF_ROUTE = 127

LANE_CHANGE_PENALTY = 60.0  # m, detour that one lane change is worth
WRONG_LANE_SHARE = 0.1  # more that a metre counts for each change still to come, so that changes are made early
DRIVING_ONLY = frozenset({LaneKind.DRIVING})
WALKING = frozenset({LaneKind.SIDEWALK, LaneKind.CROSSWALK, LaneKind.PATH})
RANDOM_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When to be where on the way: between `enter` and `leave` [m before the route's end], from `earliest` on [scenario s].

    least_speed: no slower than so [m/s].
    """

    enter: float
    leave: float
    earliest: float
    least_speed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A lane sequence and the position s [m] on its last lane that completes it.

    Consecutive lanes are successors, or same-direction neighbours (a lane change somewhere along them). schedule: None where any
    time will do.
    """

    lanes: tuple[int, ...]
    goal_s: float
    schedule: Schedule | None = None


class RouteError(ValueError):
    """A route that cannot be driven on its map; the message names the lanes."""


def _usable(road_map: LaneMap, kinds: frozenset[LaneKind]) -> NDArray[np.bool_]:
    return np.isin(road_map.lanes["kind"], [int(kind) for kind in kinds])


def _sides(road_map: LaneMap, lane: int) -> tuple[tuple[int, int], ...]:
    """(neighbour, side) pairs a driver may change to; nobody changes lanes inside a junction."""
    record = road_map.lanes[lane]
    if record["junction"] >= 0:
        return ()
    both = ((int(record["left"]), 1), (int(record["right"]), -1))
    return tuple((other, side) for other, side in both if other >= 0)


def _check_lane(road_map: LaneMap, lane: int, what: str) -> None:
    if not 0 <= lane < len(road_map.lanes):
        raise RouteError(f"{what} lane {lane} is not on map {road_map.name!r}, which has lanes 0 to {len(road_map.lanes) - 1}")


def shortest_route(
    road_map: LaneMap, start_lane: int, goal_lane: int, goal_s: float | None = None, kinds: frozenset[LaneKind] = DRIVING_ONLY
) -> Route:
    """Shortest way over lanes of `kinds` from one lane to `goal_s` [m] on another (None: its end); each lane change costs a
    penalty.

    Raises RouteError naming both lanes where there is no way. Source: Dijkstra, Numerische Mathematik 1, 1959.
    """
    _check_lane(road_map, start_lane, "start")
    _check_lane(road_map, goal_lane, "goal")
    usable = _usable(road_map, kinds)
    queue: list[tuple[float, int, int]] = [(0.0, start_lane, -1)]
    came_from: dict[int, int] = {}
    while queue and goal_lane not in came_from:
        cost, lane, before = heapq.heappop(queue)
        if lane in came_from or not usable[lane]:
            continue
        came_from[lane] = before
        for following in road_map.lane_successors(lane).tolist():
            heapq.heappush(queue, (cost + float(road_map.lanes["length"][lane]), following, lane))
        for neighbour, _ in _sides(road_map, lane):
            heapq.heappush(queue, (cost + LANE_CHANGE_PENALTY, neighbour, lane))
    if goal_lane not in came_from:
        names = road_map.lane_names
        raise RouteError(f"map {road_map.name!r}: lane {names[goal_lane]!r} cannot be reached from lane {names[start_lane]!r}")
    lanes = [goal_lane]
    while came_from[lanes[-1]] >= 0:
        lanes.append(came_from[lanes[-1]])
    route = Route(
        lanes=tuple(reversed(lanes)), goal_s=float(road_map.lanes["length"][goal_lane]) if goal_s is None else float(goal_s)
    )
    check_route(road_map, route)
    return route


def check_route(road_map: LaneMap, route: Route) -> None:
    """RouteError unless every lane exists, follows or neighbours the one before it, and the goal lies on the last."""
    if not route.lanes:
        raise RouteError(f"a route on map {road_map.name!r} needs at least one lane")
    for lane in route.lanes:
        _check_lane(road_map, lane, "route")
    names = road_map.lane_names
    for lane, following in zip(route.lanes, route.lanes[1:], strict=False):
        beside = [neighbour for neighbour, _ in _sides(road_map, lane)]
        if following not in road_map.lane_successors(lane) and following not in beside:
            raise RouteError(
                f"map {road_map.name!r}: no way from lane {names[lane]!r} to lane {names[following]!r}; they are not linked"
            )
    length = float(road_map.lanes["length"][route.lanes[-1]])
    if not (math.isfinite(route.goal_s) and 0.0 <= route.goal_s <= length + 1e-3):
        raise RouteError(
            f"map {road_map.name!r}: goal s={route.goal_s!r} m is not on lane {names[route.lanes[-1]]!r}, length {length:.2f} m"
        )


def route_length(road_map: LaneMap, route: Route) -> float:
    """Distance [m] from the start of the first lane to the goal."""
    total = route.goal_s
    for lane, following in zip(route.lanes, route.lanes[1:], strict=False):
        if following in road_map.lane_successors(lane):
            total += float(road_map.lanes["length"][lane])
    return total


def _corridor(road_map: LaneMap, route: Route) -> set[int]:
    """Lanes of the route, their same-direction neighbours, and lanes that link two of these."""
    corridor = set(route.lanes)
    front = list(corridor)
    while front:
        lane = front.pop()
        for neighbour in (int(road_map.lanes["left"][lane]), int(road_map.lanes["right"][lane])):
            if neighbour >= 0 and neighbour not in corridor:
                corridor.add(neighbour)
                front.append(neighbour)
    links = {
        following
        for lane in corridor
        for following in road_map.lane_successors(lane).tolist()
        if any(onward in corridor for onward in road_map.lane_successors(following).tolist())
    }
    return corridor | links


def route_steps(road_map: LaneMap, route: Route) -> NDArray[np.void]:
    """(L,) of STEP_DTYPE: what a follower of `route` does on every lane of the map, in whichever lane of its carriageway it is.

    Searched backwards from the goal over the route's lanes and their same-direction neighbours. RouteError for a broken route.
    """
    check_route(road_map, route)
    steps = np.zeros(len(road_map.lanes), STEP_DTYPE)
    steps["next"], steps["side"], steps["to_goal"] = -1, OFF_ROUTE, np.inf
    corridor = _corridor(road_map, route)
    before: dict[int, list[int]] = {lane: [] for lane in corridor}
    for lane in sorted(corridor):
        for following in road_map.lane_successors(lane).tolist():
            if following in corridor:
                before[following].append(lane)
    goal = route.lanes[-1]
    queue: list[tuple[float, int, int, int, float, int]] = [(route.goal_s, goal, -1, 0, route.goal_s, 0)]
    while queue:
        cost, lane, following, side, to_goal, changes = heapq.heappop(queue)
        if steps["side"][lane] != OFF_ROUTE:
            continue
        steps[lane] = (following, side, to_goal)
        for previous in before[lane]:
            if previous != goal:
                length = float(road_map.lanes["length"][previous])
                way = length * (1.0 + changes * WRONG_LANE_SHARE)
                heapq.heappush(queue, (cost + way, previous, lane, 0, to_goal + length, changes))
        for other, to_other in _sides(road_map, lane):
            # the neighbour changes towards us, if it may change at all
            if other in corridor and any(back == lane for back, _ in _sides(road_map, other)):
                onward = [n for n in road_map.lane_successors(other).tolist() if n in corridor]
                after = onward[0] if onward else -1
                heapq.heappush(queue, (cost + LANE_CHANGE_PENALTY, other, after, -to_other, to_goal, changes + 1))
    return steps


def _random_walk(
    road_map: LaneMap, start: int, usable: NDArray[np.bool_], min_length: float, draw: np.random.Generator
) -> tuple[list[int], float]:
    """One random walk without repeated lanes, and its length [m]."""
    lanes, total = [start], float(road_map.lanes["length"][start])
    visited = {start}
    while total < min_length or road_map.lanes["junction"][lanes[-1]] >= 0:
        onward = [n for n in road_map.lane_successors(lanes[-1]).tolist() if usable[n] and n not in visited]
        if not onward and road_map.lanes["successor_count"][lanes[-1]] == 0:
            onward = [n for n, _ in _sides(road_map, lanes[-1]) if usable[n] and n not in visited]
        if not onward:
            break
        chosen = int(onward[int(draw.integers(len(onward)))])
        if chosen in road_map.lane_successors(lanes[-1]):
            total += float(road_map.lanes["length"][chosen])
        lanes.append(chosen)
        visited.add(chosen)
    return lanes, total


def random_route(
    road_map: LaneMap,
    seed: int,
    min_length: float,
    start_lanes: Sequence[int] | None = None,
    kinds: frozenset[LaneKind] = DRIVING_ONLY,
) -> Route:
    """A route of at least `min_length` [m] from one of `start_lanes` (None: any lane outside junctions); the longest found if
    none is.

    It never repeats a lane. Raises RouteError when the map has no lane to start from.
    """
    usable = _usable(road_map, kinds)
    pool = list(start_lanes) if start_lanes is not None else np.flatnonzero(usable & (road_map.lanes["junction"] < 0)).tolist()
    for lane in pool:
        _check_lane(road_map, lane, "start")
    pool = [lane for lane in pool if usable[lane]]
    if not pool:
        raise RouteError(f"map {road_map.name!r} has no lane of kind {sorted(kind.name for kind in kinds)} to start a route from")
    draw = generator(seed, Purpose.ROUTE)
    best: tuple[list[int], float] = ([], -1.0)
    for _ in range(RANDOM_TRIES):
        walk = _random_walk(road_map, int(pool[int(draw.integers(len(pool)))]), usable, min_length, draw)
        best = max(best, walk, key=lambda item: item[1])
        if best[1] >= min_length:
            break
    return Route(lanes=tuple(best[0]), goal_s=float(road_map.lanes["length"][best[0][-1]]))
