"""From the schema's places and goals to spots and routes on a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from scenarios.ground import Ground, PlaceError, Spot, Toward
from scenarios.model import Goal, Place
from sim.interface import VehicleSpec
from sim.roads.lane_map import LaneKind, Turn
from sim.roads.route import Route

KERB_DISTANCE = 3.0  # m, from where people turn up to the kerb
BEYOND_KERB = 4.0  # m, how far they are followed behind a crosswalk
PLACE_TRIES = 50  # random places looked at for one start
EDGE_GAP = 1.0  # m, free road behind a vehicle that starts where its road begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a road user starts and the way it takes from there; the spot is on the route's first lane."""

    spot: Spot
    route: Route


def start_of(ground: Ground, at: Place, goal: Goal | None, body: VehicleSpec, random: np.random.Generator) -> Start:
    """Start and route of a road user. Raises PlaceError where the map has no such place or way."""
    if at.crosswalk is not None:
        return _on_crosswalk(ground, at, at.crosswalk)
    if at.anywhere:
        return _anywhere(ground, goal, random)
    failures: list[PlaceError] = []
    starts: list[Start] = []
    for lane in _lanes_of(ground, at):
        try:
            spot = _spot_on(ground, lane, at, body.length)
            starts.append(Start(spot=spot, route=route_to(ground, spot, goal, random)))
        except PlaceError as error:
            failures.append(error)
    if not starts:
        raise failures[0]
    return min(starts, key=lambda start: lane_changes(ground, start.route.lanes))


def _anywhere(ground: Ground, goal: Goal | None, random: np.random.Generator) -> Start:
    """A random place from which the goal can be reached; the longest way found where a wanted distance is not to be had."""
    best: tuple[float, Start] | None = None
    failure = PlaceError("the map has no lane to drive on")
    for _ in range(PLACE_TRIES):
        spot = random_spot(ground, random)
        try:
            start = Start(spot=spot, route=route_to(ground, spot, goal, random))
        except PlaceError as error:
            failure = error
            continue
        far = ground.distance(start.route) - spot.s
        if best is None or far > best[0]:
            best = far, start
        if goal is None or goal.distance is None or far >= goal.distance - 0.1:
            break
    if best is None:
        raise failure
    return best[1]


def _lanes_of(ground: Ground, at: Place) -> tuple[int, ...]:
    """Lanes that the place may be on: one, or any of its approach."""
    if at.lane is not None:
        return (ground.lane(at.lane),)
    lanes = ground.arm(at.approach or "", Toward.IN)
    if at.index is None:
        return lanes
    if at.index >= len(lanes):
        raise PlaceError(f"approach {at.approach!r} has no lane {at.index}", f"it has {len(lanes)}, counted from 0")
    return (lanes[at.index],)


def _spot_on(ground: Ground, lane: int, at: Place, length: float) -> Spot:
    """The place on this lane, or upstream of it."""
    if at.before_stop is not None:
        return replace(ground.back_from_line(lane, at.before_stop + 0.5 * length), d=at.d)
    if at.approach is not None and (at.s is None or at.s >= 0.0):
        lane = ground.first_of(lane)
    s = min(0.5 * length + EDGE_GAP, 0.5 * ground.length[lane]) if at.s is None else at.s
    s = s + ground.length[lane] if s < 0.0 else s
    if not 0.0 <= s <= ground.length[lane]:
        name = ground.road_map.lane_names[lane]
        raise PlaceError(f"s = {at.s:g} m is not on lane {name!r}", f"it is {ground.length[lane]:.1f} m long")
    return Spot(lane=lane, s=s, d=at.d)


def spot_of(ground: Ground, at: Place, length: float, random: np.random.Generator) -> Spot:
    """A place for a thing that goes nowhere (not one given as a pose)."""
    if at.anywhere:
        return replace(random_spot(ground, random), d=at.d)
    if at.crosswalk is not None:
        start = _on_crosswalk(ground, at, at.crosswalk)
        return start.spot
    return _spot_on(ground, _lanes_of(ground, at)[0], at, length)


def _on_crosswalk(ground: Ground, at: Place, number: int) -> Start:
    """A pedestrian's way over a crosswalk from one of its sides."""
    if number >= len(ground.walks):
        raise PlaceError(f"the map has no crosswalk {number}", f"it has {len(ground.walks)}, counted from 0")
    walks = ground.walks[number]
    which = 0 if at.side == "start" else 1
    if which >= len(walks):
        raise PlaceError(f"nobody walks crosswalk {number} from its {at.side}", "its map gives no lane that way")
    return _shifted(walk_over(ground, walks[which], KERB_DISTANCE if at.before_stop is None else at.before_stop), at.d)


def _shifted(start: Start, d: float) -> Start:
    """The same start, d [m] to the left."""
    return replace(start, spot=replace(start.spot, d=d))


def walk_over(ground: Ground, walk: Sequence[int], before_kerb: float) -> Start:
    """From `before_kerb` [m] before a crosswalk, or where its sidewalk begins, to a little beyond it."""
    crosswalk = next(lane for lane in walk if ground.kind[lane] == LaneKind.CROSSWALK)
    lead_in = ground.length[walk[0]] if walk[0] != crosswalk else 0.0
    s = max(lead_in - before_kerb, min(0.3, 0.5 * ground.length[walk[0]]))
    beyond = min(BEYOND_KERB, 0.9 * ground.length[walk[-1]]) if walk[-1] != crosswalk else None
    return Start(spot=Spot(lane=walk[0], s=s), route=ground.end_of(walk, beyond))


def route_to(ground: Ground, spot: Spot, goal: Goal | None, random: np.random.Generator) -> Route:
    """The way from a spot to a goal. Raises PlaceError where there is none, or it lies behind."""
    if goal is None:
        return _ahead(ground, spot, _default_way(ground, spot.lane))
    if goal.distance is not None:
        return _ahead(ground, spot, ground.wandering(spot, goal.distance, random))
    if goal.turn is not None:
        route = ground.turning(spot.lane, Turn[goal.turn.upper()])
    elif goal.exit is not None:
        route = ground.leaving(spot.lane, goal.exit)
    else:
        return _ahead(ground, spot, ground.to_lane(spot.lane, ground.lane(goal.lane or ""), goal.s))
    return _ahead(ground, spot, route if goal.s is None else ground.end_of(route.lanes, goal.s))


def _default_way(ground: Ground, lane: int) -> Route:
    if ground.kind[lane] in (LaneKind.DRIVING, LaneKind.CYCLE):
        return ground.straight_on(lane)
    return ground.end_of([lane])


def _ahead(ground: Ground, spot: Spot, route: Route) -> Route:
    if len(route.lanes) == 1 and route.goal_s <= spot.s:
        name = ground.road_map.lane_names[spot.lane]
        raise PlaceError(f"the goal at s = {route.goal_s:.1f} m is not ahead of the start at s = {spot.s:.1f} m on lane {name!r}")
    return route


def explicit_route(ground: Ground, names: Sequence[str], s: float | None) -> Route:
    """A route lane by lane; each must follow the one before, or lie beside it."""
    lanes = [ground.lane(name) for name in names]
    for before, after, name in zip(lanes, lanes[1:], names[1:], strict=False):
        if after not in ground.successors[before] and after not in (ground.left[before], ground.right[before]):
            follows = [ground.road_map.lane_names[i] for i in ground.successors[before]]
            before_name = ground.road_map.lane_names[before]
            raise PlaceError(
                f"impossible route: lane {name!r} neither follows lane {before_name!r} nor lies beside it",
                f"it is followed by: {', '.join(follows) or 'nothing'}",
            )
    return ground.end_of(lanes, s)


def lane_changes(ground: Ground, lanes: Sequence[int]) -> int:
    """How often a route goes from a lane to its neighbour."""
    return sum(after not in ground.successors[before] for before, after in pairwise(lanes))


def random_spot(ground: Ground, random: np.random.Generator) -> Spot:
    """A place anywhere on the driving lanes outside junctions, each metre equally likely."""
    places = ground.places
    if len(places.lane) == 0:
        raise PlaceError("the map has no lane to drive on")
    index = int(random.integers(len(places.lane)))
    return Spot(lane=int(places.lane[index]), s=float(places.s[index]))
