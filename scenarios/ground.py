"""A map as scenarios speak of it: arms with the lanes that lead in and out, places on them, and routes between them.

Columns of the LaneMap are copied into plain lists once, because compiling a scenario looks at a few lanes many times. An arm
of a built map is the part of a lane's name before `_in_` or `_out_`; on a map file it is the name or id of a road that leads into
or out of a junction; on a map without any, of one that begins or ends there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scenarios.nearest import nearest
from sim.interface import Floats
from sim.roads.lane_map import LaneKind, LaneMap, Regulation, Turn
from sim.roads.route import Route, RouteError, shortest_route
from sim.traffic.fits import LongVehicles

_IN = re.compile(r"(.+)_in_(\d+)\Z")
_OUT = re.compile(r"(.+)_out_(\d+)\Z")
GOAL_MARGIN = 1.0  # m, a route is complete this far before the end of its last lane
PARALLEL_COSINE = 0.8  # ways less parallel than this cross
PLACE_SPACING = 2.0  # m, between the places that random starts are drawn from
END_CLEARANCE = 5.0  # m, of random starts from the ends of their lane
LAST_LANE = 15.0  # m, least that a random route goes on behind a junction
HOPS_MAX = 10_000


class PlaceError(ValueError):
    """A place or route that the map does not have; `fix` says what would do."""

    def __init__(self, message: str, fix: str = "") -> None:
        self.message, self.fix = message, fix
        super().__init__(f"{message}. {fix}" if fix else message)


class Toward(Enum):
    """Which end of an arm: lanes that lead into the junction, or out of it."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A position on a lane: centre of the box at s [m], d [m] to the left."""

    lane: int
    s: float
    d: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """(N,) lane, s, x, y [m], speed_limit [m/s] every PLACE_SPACING on driving lanes outside junctions, clear of their ends."""

    lane: NDArray[np.int64]
    s: Floats
    x: Floats
    y: Floats
    speed_limit: Floats


@dataclass(kw_only=True)
class Ground:
    """One map with everything scenarios look up on it; immutable but for the routes it remembers."""

    road_map: LaneMap
    kind: list[int]
    length: list[float]
    left: list[int]
    right: list[int]
    junction: list[int]
    turn: list[int]
    stop_s: list[float]
    regulated: list[bool]
    successors: list[list[int]]
    predecessors: list[list[int]]
    places: Places
    arms_in: dict[str, tuple[int, ...]] = field(default_factory=dict)
    arms_out: dict[str, tuple[int, ...]] = field(default_factory=dict)
    crossroads: frozenset[int] = frozenset()
    """Junctions where ways part or cross; the others are mere seams (ramps, mid-block crossings) that routes run through."""
    entries: tuple[int, ...] = ()
    walks: tuple[tuple[tuple[int, ...], ...], ...] = ()
    remembered: dict[tuple[object, ...], Route] = field(default_factory=dict)

    @cached_property
    def long_vehicles(self) -> LongVehicles:
        """Where long vehicles fit."""
        return LongVehicles(self.road_map)

    def lane(self, name: str) -> int:
        """Index of a lane by name."""
        try:
            return self.road_map.lane(name)
        except KeyError as error:
            raise PlaceError(str(error.args[0])) from None

    def arm(self, name: str, toward: Toward) -> tuple[int, ...]:
        """Lanes of an arm, nearest the centre line first."""
        arms = self.arms_in if toward is Toward.IN else self.arms_out
        if name not in arms:
            raise PlaceError(f"no arm {name!r} leads {toward.value} on map {self.road_map.name!r}{nearest(name, arms)}")
        return arms[name]

    def line(self, lane: int) -> float:
        """Where a front bumper rests at the end of this lane [m]: its stop line, or its end."""
        return self.stop_s[lane] if self.stop_s[lane] >= 0.0 else self.length[lane]

    def back_from_line(self, lane: int, distance: float) -> Spot:
        """The place `distance` [m] upstream of the stop line, on this lane or on those that lead to it."""
        s = self.line(lane) - distance
        for _ in range(HOPS_MAX):
            if s >= 0.0:
                return Spot(lane=lane, s=s)
            before = [other for other in self.predecessors[lane] if self.kind[other] == self.kind[lane]]
            if not before:
                break
            lane = before[0]
            s += self.length[lane]
        name = self.road_map.lane_names[lane]
        raise PlaceError(
            f"{distance:.1f} m before the stop line is {-s:.1f} m before the road begins at lane {name!r}", "start closer"
        )

    def first_of(self, lane: int) -> int:
        """The lane where the road that leads to `lane` begins, going back without passing a junction."""
        for _ in range(HOPS_MAX):
            before = [
                other for other in self.predecessors[lane] if self.junction[other] < 0 and self.kind[other] == self.kind[lane]
            ]
            if not before:
                return lane
            lane = before[0]
        return lane

    def onward(self, lane: int, stop_at_junction: bool) -> list[int]:
        """The lane and those that follow, straight on where there is a choice; up to a junction, the road's end or a repeat."""
        lanes = [lane]
        seen = {lane}
        while True:
            following = self._straightest(lanes[-1])
            if following is None or following in seen or (stop_at_junction and self.junction[following] in self.crossroads):
                return lanes
            lanes.append(following)
            seen.add(following)

    def _straightest(self, lane: int) -> int | None:
        choices = self.successors[lane]
        if not choices:
            return None
        return min(choices, key=lambda other: (self.turn[other] != Turn.STRAIGHT, self.turn[other]))

    def end_of(self, lanes: Sequence[int], s: float | None = None) -> Route:
        """A route over these lanes to `s` on the last (negative: from its end), by default to its end."""
        last = lanes[-1]
        length = self.length[last]
        goal = max(0.5 * length, length - GOAL_MARGIN) if s is None else s + length if s < 0.0 else s
        if not 0.0 <= goal <= length:
            raise PlaceError(f"s = {s:g} m is not on lane {self.road_map.lane_names[last]!r}", f"it is {length:.1f} m long")
        return Route(lanes=tuple(lanes), goal_s=goal)

    def straight_on(self, lane: int) -> Route:
        """As far as the road goes, straight on at junctions."""
        return self._remember(("straight", lane), lambda: self.end_of(self.onward(lane, False)))

    def turning(self, lane: int, turn: Turn) -> Route:
        """To the next junction, there by `turn`, and on to the end of the road behind it; changes lane for it where needed."""
        return self._remember(("turn", lane, int(turn)), lambda: self._turning(lane, turn))

    def _turning(self, lane: int, turn: Turn) -> Route:
        approach = self.onward(lane, True)
        for at in self._near_first(approach[-1]):
            for inside in self.successors[at]:
                if self.junction[inside] in self.crossroads and self.turn[inside] == turn:
                    beyond = self.onward_through(inside)
                    sideways = _between(approach[-1], at, self.abreast(approach[-1]))
                    return self.end_of([*approach, *sideways, *beyond])
        name = self.road_map.lane_names[lane]
        offered = sorted({Turn(self.turn[i]).name.lower() for at in self._near_first(approach[-1]) for i in self.successors[at]})
        raise PlaceError(f"no {turn.name.lower()} turn ahead of lane {name!r}", f"it offers: {', '.join(offered) or 'nothing'}")

    def onward_through(self, inside: int) -> list[int]:
        """From a junction lane through the rest of the junction and along the road behind it, up to the next junction."""
        lanes = [inside]
        while self.junction[lanes[-1]] in self.crossroads:
            following = self._straightest(lanes[-1])
            if following is None or following in lanes:
                return lanes
            lanes.append(following)
        return [*lanes[:-1], *self.onward(lanes[-1], True)]

    def _near_first(self, lane: int) -> list[int]:
        """The lane first, then its same-direction neighbours from near to far."""
        order = self.abreast(lane)
        here = order.index(lane)
        return sorted(order, key=lambda other: abs(order.index(other) - here))

    def abreast(self, lane: int) -> list[int]:
        """Same-direction neighbours from left to right."""
        order = [lane]
        while (left := self.left[order[0]]) >= 0 and left not in order and self.kind[left] == LaneKind.DRIVING:
            order.insert(0, left)
        while (right := self.right[order[-1]]) >= 0 and right not in order and self.kind[right] == LaneKind.DRIVING:
            order.append(right)
        return order

    def leaving(self, lane: int, exit_arm: str) -> Route:
        """The shortest way out by an arm, to the end of its road."""
        return self._remember(("exit", lane, exit_arm), lambda: self._leaving(lane, exit_arm))

    def _leaving(self, lane: int, exit_arm: str) -> Route:
        found: list[Route] = []
        for goal in self.arm(exit_arm, Toward.OUT):
            try:
                found.append(self.to_lane(lane, goal, None))
            except PlaceError:
                continue  # another lane of the arm may be reachable
        if not found:
            raise PlaceError(
                f"no route from lane {self.road_map.lane_names[lane]!r} out by arm {exit_arm!r}",
                "check the turns of the junction",
            )
        best = min(found, key=lambda route: (sum(self.length[i] for i in route.lanes), len(route.lanes)))
        return self.end_of([*best.lanes[:-1], *self.onward(best.lanes[-1], True)])

    def to_lane(self, lane: int, goal: int, s: float | None) -> Route:
        """The shortest way to a lane."""
        return self._remember(("lane", lane, goal, s), lambda: self._to_lane(lane, goal, s))

    def _to_lane(self, lane: int, goal: int, s: float | None) -> Route:
        names = self.road_map.lane_names
        try:
            route = shortest_route(self.road_map, lane, goal)
        except RouteError as error:
            raise PlaceError(f"no route from lane {names[lane]!r} to lane {names[goal]!r}: {error}") from None
        return self.end_of(route.lanes, s)

    def wandering(self, spot: Spot, distance: float, random: np.random.Generator) -> Route:
        """`distance` [m], or as far as there is road, along random turns; no lane twice or changed, no end in a junction."""
        lanes, covered = [spot.lane], self.length[spot.lane] - spot.s
        while covered < distance or self.junction[lanes[-1]] >= 0:
            choices = [
                other for other in self.successors[lanes[-1]] if self.kind[other] == LaneKind.DRIVING and other not in lanes
            ]
            if not choices:
                break
            lanes.append(choices[int(random.integers(len(choices)))])
            covered += self.length[lanes[-1]]
        while len(lanes) > 1 and self.junction[lanes[-1]] >= 0:
            covered -= self.length[lanes.pop()]
        length = self.length[lanes[-1]]
        spare = min(covered - distance, max(length - LAST_LANE, 0.0))
        return self.end_of(lanes, length - spare if spare > GOAL_MARGIN else None)

    def distance(self, route: Route) -> float:
        """Metres from the start of a route's first lane to its goal."""
        along = [before for before, after in pairwise(route.lanes) if after in self.successors[before]]
        return sum(self.length[lane] for lane in along) + route.goal_s

    def span_in(self, lane: int, outlines: Sequence[Floats]) -> tuple[float, float] | None:
        """The first and the last place [m] at which a lane's centre is in one of these outlines; None for nowhere."""
        from shapely import Polygon, contains_xy, make_valid

        points, spacing = self.road_map.lane_points(lane), float(self.road_map.lanes["spacing"][lane])
        within = np.zeros(len(points), bool)
        for outline in outlines:
            within |= contains_xy(make_valid(Polygon(outline)), points["x"], points["y"])
        found = np.flatnonzero(within)
        return (float(found[0]) * spacing, min(float(found[-1]) * spacing, self.length[lane])) if len(found) else None

    def stretch_in(self, route: Route, outlines: Sequence[Floats]) -> tuple[float, float] | None:
        """From where to where a route's lanes are in one of these outlines [m before its end]; None for nowhere."""
        ahead = route.goal_s
        enter, leave = -math.inf, math.inf
        for lane, following in zip(reversed(route.lanes), (None, *reversed(route.lanes)), strict=False):
            if following is not None and following in self.successors[lane]:
                ahead += self.length[lane]
            span = self.span_in(lane, outlines)
            if span is not None:
                enter, leave = max(enter, ahead - span[0]), min(leave, ahead - span[1])
        return (enter, max(leave, 0.0)) if enter > 0.0 else None

    def pose(self, spot: Spot) -> tuple[float, float, float]:
        """x, y, heading of a spot, along its lane."""
        record = self.road_map.lanes[spot.lane]
        points = self.road_map.lane_points(spot.lane)
        place = spot.s / float(record["spacing"])
        i = min(max(int(place), 0), len(points) - 2)
        a, b, w = points[i], points[i + 1], place - i
        heading = float(a["heading"])
        x = float(a["x"]) + w * float(b["x"] - a["x"]) - spot.d * np.sin(heading)
        y = float(a["y"]) + w * float(b["y"] - a["y"]) + spot.d * np.cos(heading)
        return float(x), float(y), heading

    def speed_limit(self, spot: Spot) -> float:
        """Speed limit [m/s] there."""
        return float(self._point(spot)["speed_limit"])

    def curvature(self, spot: Spot) -> float:
        """Curvature [1/m] of the lane there."""
        return float(self._point(spot)["curvature"])

    def room(self, spot: Spot) -> tuple[float, float]:
        """Distance [m] from the centreline to the drivable edge there: left, right."""
        point = self._point(spot)
        return float(point["room_left"]), float(point["room_right"])

    def _point(self, spot: Spot) -> np.void:
        """The centreline sample at or before a spot."""
        points = self.road_map.lane_points(spot.lane)
        index = int(spot.s / float(self.road_map.lanes[spot.lane]["spacing"]))
        point: np.void = points[min(max(index, 0), len(points) - 1)]
        return point

    def _remember(self, key: tuple[object, ...], find: Callable[[], Route]) -> Route:
        route = self.remembered.get(key)
        if route is None:
            route = self.remembered[key] = find()
        return route


def _between(a: int, b: int, ordered: Sequence[int]) -> list[int]:
    """Lanes passed when changing from a to b, b included and a not."""
    i, j = ordered.index(a), ordered.index(b)
    step = 1 if j > i else -1
    return [ordered[k] for k in range(i + step, j + step, step)] if i != j else []


def survey(road_map: LaneMap) -> Ground:
    """Everything that is looked up on a map, found once."""
    lanes = road_map.lanes
    count = len(lanes)
    ground = Ground(
        road_map=road_map,
        kind=lanes["kind"].tolist(), length=lanes["length"].tolist(), left=lanes["left"].tolist(), right=lanes["right"].tolist(),
        junction=lanes["junction"].tolist(), turn=lanes["turn"].tolist(), stop_s=lanes["stop_s"].tolist(),
        regulated=(lanes["regulation"] != Regulation.NONE).tolist(),
        successors=[road_map.lane_successors(i).tolist() for i in range(count)],
        predecessors=[_predecessors(road_map, i) for i in range(count)], places=_places(road_map),
    )  # fmt: skip
    driving = [i for i in range(count) if ground.kind[i] == LaneKind.DRIVING]
    ground.crossroads = _crossroads(ground, driving)
    ground.arms_in = _arms(ground, driving, Toward.IN)
    ground.arms_out = _arms(ground, driving, Toward.OUT)
    ground.entries = tuple(i for i in driving if not ground.predecessors[i]) or tuple(driving)
    ground.walks = tuple(_walks(ground, crosswalk.lanes) for crosswalk in road_map.crosswalks)
    return ground


def _places(road_map: LaneMap) -> Places:
    """Places on lanes outside junctions, or on all driving lanes where there are no others."""
    driving = np.flatnonzero(road_map.lanes["kind"] == LaneKind.DRIVING)
    outside = driving[(road_map.lanes["junction"][driving] < 0) & (road_map.lanes["length"][driving] > 2.0 * END_CLEARANCE)]
    lane, s, rows = [], [], []
    for number in outside if len(outside) else driving:
        record = road_map.lanes[number]
        length, margin = float(record["length"]), min(END_CLEARANCE, 0.5 * float(record["length"]))
        along = np.arange(margin, max(length - margin, margin + 0.1), PLACE_SPACING)
        points = road_map.lane_points(int(number))
        index = np.minimum(np.round(along / float(record["spacing"])).astype(np.int64), len(points) - 1)
        lane.append(np.full(len(along), number, np.int64))
        s.append(along)
        rows.append(points[index])
    point = np.concatenate(rows) if rows else np.zeros(0, road_map.points.dtype)
    lanes, distances = (np.concatenate(lane), np.concatenate(s)) if rows else (np.zeros(0, np.int64), np.zeros(0))
    return Places(lane=lanes, s=distances, x=point["x"], y=point["y"], speed_limit=point["speed_limit"].astype(np.float64))


def _predecessors(road_map: LaneMap, lane: int) -> list[int]:
    record = road_map.lanes[lane]
    found: list[int] = road_map.predecessors[
        record["predecessor_start"] : record["predecessor_start"] + record["predecessor_count"]
    ].tolist()
    return found


def _arms(ground: Ground, driving: Iterable[int], toward: Toward) -> dict[str, tuple[int, ...]]:
    """Lanes by arm: by the builders' names, else by road at the crossroads, else by road at the edges of the map."""
    pattern = _IN if toward is Toward.IN else _OUT
    named: dict[str, list[tuple[int, int]]] = {}
    roads: dict[str, list[tuple[int, int]]] = {}
    edges: dict[str, list[tuple[int, int]]] = {}
    beside = ground.successors if toward is Toward.IN else ground.predecessors
    for lane in driving:
        match = pattern.match(ground.road_map.lane_names[lane])
        if match:
            named.setdefault(match[1], []).append((int(match[2]), lane))
            continue
        if ground.junction[lane] in ground.crossroads:
            continue
        rank = ground.abreast(lane).index(lane)
        if any(ground.junction[other] in ground.crossroads for other in beside[lane]):
            for key in _road_keys(ground, lane):
                roads.setdefault(key, []).append((rank, lane))
        if not (ground.predecessors if toward is Toward.IN else ground.successors)[lane]:
            for key in _road_keys(ground, lane):
                edges.setdefault(key, []).append((rank, lane))
    return {name: tuple(lane for _, lane in sorted(lanes)) for name, lanes in (named or roads or edges).items()}


def _road_keys(ground: Ground, lane: int) -> Iterable[str]:
    """What the road of a lane may be called: its name, and its id or direction, which is how the lane's own name begins."""
    name = ground.road_map.lane_names[lane]
    keys = (ground.road_map.road_names[lane], name.partition("." if "." in name else "_")[0])
    return dict.fromkeys(key for key in keys if key)


def _crossroads(ground: Ground, driving: Iterable[int]) -> frozenset[int]:
    """Junctions with a turn, or with ways at an angle to each other."""
    headings: dict[int, list[tuple[float, float]]] = {}
    found: set[int] = set()
    for lane in driving:
        junction = ground.junction[lane]
        if junction < 0:
            continue
        point = ground.road_map.lane_points(lane)[0]
        direction = (float(point["cos"]), float(point["sin"]))
        others = headings.setdefault(junction, [])
        crossing = any(abs(direction[0] * other[0] + direction[1] * other[1]) < PARALLEL_COSINE for other in others)
        if ground.turn[lane] != Turn.STRAIGHT or crossing:
            found.add(junction)
        others.append(direction)
    return frozenset(found)


def _walks(ground: Ground, names: Iterable[str]) -> tuple[tuple[int, ...], ...]:
    """Lane sequences over one crosswalk: each of its lanes, with the sidewalk that leads to it and the one behind."""
    walks = []
    for name in names:
        lane = ground.lane(name)
        before = [i for i in ground.predecessors[lane] if ground.kind[i] == LaneKind.SIDEWALK]
        after = [i for i in ground.successors[lane] if ground.kind[i] == LaneKind.SIDEWALK]
        walks.append((*before[:1], lane, *after[:1]))
    return tuple(walks)
