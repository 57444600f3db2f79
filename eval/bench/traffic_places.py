"""Junctions to measure traffic at: which maps, and every way through one of their junctions as a route with its stop line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from scenarios.errors import InputError
from scenarios.formats.opendrive import load_opendrive
from sim.interface import Kind
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneKind, LaneMap, Turn
from sim.roads.route import Route
from sim.scenario import Actor

UPSTREAM_M = 110.0
"""How far before the junction routes begin, where the road is that long."""
ONWARD_M = 60.0
"""How far behind the junction a road user has finished."""
DATA_VARIABLE = "AVSTACK_DATA"
ZONE_15_MPH = 6.7  # m/s
RECORDED_T = {"corner_radius": 7.9, "lane_width": 4.6}
"""Turns of 9 m to the right and 13 m to the left, as the recorded lateral accelerations and speeds say (v²/a)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One way through a junction. line: distance [m] along the route from its start to the stop line (or the junction)."""

    arm: int
    turn: Turn
    route: Route
    line: float
    limit: float

    def front_at(self, distance: float, length: float) -> float:
        """Route s [m] of the centre of a box whose front is `distance` before the line, kept on the road."""
        return max(self.line - distance - 0.5 * length, 0.5 * length + 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One junction of a map. arms: names of the approach roads; walks: routes over its crosswalks."""

    road_map: LaneMap
    arms: tuple[str, ...]
    movements: tuple[Movement, ...]
    walks: tuple[Route, ...]

    def of_arm(self, arm: int) -> list[Movement]:
        """Movements that start on one arm."""
        return [movement for movement in self.movements if movement.arm == arm]


def _before(road_map: LaneMap, lane: int) -> list[int]:
    """Lanes that lead into one lane."""
    record = road_map.lanes[lane]
    first = int(record["predecessor_start"])
    return [int(before) for before in road_map.predecessors[first : first + int(record["predecessor_count"])]]


def _approach(road_map: LaneMap, lane: int) -> list[int]:
    """The lanes up to and including `lane`, as far back as UPSTREAM_M where the way back is unique."""
    lanes, total = [lane], float(road_map.lanes["length"][lane])
    while total < UPSTREAM_M:
        earlier = [
            before for before in _before(road_map, lanes[0]) if road_map.lanes["junction"][before] < 0 and before not in lanes
        ]
        if len(earlier) != 1:
            break
        lanes.insert(0, earlier[0])
        total += float(road_map.lanes["length"][earlier[0]])
    return lanes


def _movement(road_map: LaneMap, inner: int, arms: dict[int, int]) -> Movement | None:
    """The way through one connecting lane; None where it has no single lane before and behind it."""
    record = road_map.lanes[inner]
    onward = [int(lane) for lane in road_map.lane_successors(inner) if road_map.lanes["junction"][lane] < 0]
    before = [lane for lane in _before(road_map, inner) if road_map.lanes["junction"][lane] < 0]
    if len(onward) != 1 or len(before) != 1 or record["turn"] == Turn.U_TURN:
        return None
    lanes = _approach(road_map, before[0])
    length = road_map.lanes["length"]
    route = Route(lanes=(*lanes, inner, onward[0]), goal_s=min(float(length[onward[0]]), ONWARD_M))
    stop_s = float(road_map.lanes["stop_s"][before[0]])
    last = stop_s if stop_s >= 0.0 else float(length[before[0]])
    return Movement(
        arm=arms.setdefault(before[0], len(arms)),
        turn=Turn(int(record["turn"])),
        route=route,
        line=float(sum(length[lane] for lane in lanes[:-1])) + last,
        limit=float(road_map.lane_points(before[0])["speed_limit"][0]),
    )


def _walks(road_map: LaneMap) -> tuple[Route, ...]:
    """A route over each direction of each crosswalk: from the walk before it to the walk behind it."""
    walking = {int(LaneKind.SIDEWALK), int(LaneKind.PATH)}
    routes = []
    for lane in np.flatnonzero(road_map.lanes["kind"] == LaneKind.CROSSWALK).tolist():
        before = [walk for walk in _before(road_map, lane) if road_map.lanes["kind"][walk] in walking]
        onward = [int(walk) for walk in road_map.lane_successors(lane) if road_map.lanes["kind"][walk] in walking]
        for first in before[:2]:
            for last in onward[:2]:
                routes.append(Route(lanes=(first, lane, last), goal_s=min(float(road_map.lanes["length"][last]), 8.0)))
    return tuple(routes)


def survey(road_map: LaneMap) -> Site:
    """The junction of a map that has one. InputError where it has none that cars can drive through."""
    arms: dict[int, int] = {}
    inside = np.flatnonzero((road_map.lanes["junction"] >= 0) & (road_map.lanes["kind"] == LaneKind.DRIVING))
    found = [_movement(road_map, int(lane), arms) for lane in inside]
    movements = tuple(movement for movement in found if movement is not None)
    if not movements:
        raise InputError(f"map {road_map.name!r} has no junction to drive through", fix="Choose a map with one junction.")
    return Site(
        road_map=road_map, arms=tuple(road_map.lane_names[lane] for lane in arms), movements=movements, walks=_walks(road_map)
    )


def start_of(movement: Movement, s: float, road_map: LaneMap) -> tuple[Route, float]:
    """The route cut to begin on the lane that holds route position `s` [m], and the position on that lane."""
    lanes = list(movement.route.lanes)
    while s > float(road_map.lanes["length"][lanes[0]]):
        s -= float(road_map.lanes["length"][lanes[0]])
        lanes.pop(0)
    return Route(lanes=tuple(lanes), goal_s=movement.route.goal_s), s


def car(
    site: Site,
    movement: Movement,
    *,
    name: str,
    distance: float,
    speed: float,
    depart_s: float,
    style: str,
    kind: Kind = Kind.CAR,
) -> Actor:
    """A vehicle whose front appears `distance` [m] before the line (nearer where the arm is short)."""
    body = Actor(name=name, kind=kind).body
    route, s = start_of(movement, movement.front_at(distance, body.length), site.road_map)
    return Actor(name=name, kind=kind, route=route, s=s, speed=speed, depart_s=depart_s, style=style)


def room_before(movement: Movement, length: float) -> float:
    """Largest distance [m] before the line at which the front of a body of this length can appear."""
    return max(movement.line - length - 0.2, 1.0)


def data_folder() -> Path:
    """Folder of public maps named by AVSTACK_DATA; InputError where it is unset or not a folder."""
    named = os.environ.get(DATA_VARIABLE, "")
    if not named or not Path(named).is_dir():
        raise InputError(f"{DATA_VARIABLE} must name the folder of public maps, got {named!r}", fix=f"Set {DATA_VARIABLE}.")
    return Path(named)


def _built(name: str, **parameters: object) -> LaneMap:
    return assemble(BUILDERS[name](**parameters))


def _public(name: str) -> LaneMap:
    return load_opendrive(data_folder() / "opendrive" / "esmini" / f"{name}.xodr", overrides={"all": "all_way_stop"})


MAPS: Mapping[str, Callable[[], LaneMap]] = {
    "four_way": lambda: _built("four_way", control="all_way"),
    "four_way_walks": lambda: _built("four_way", control="all_way", crosswalks=True),
    "simple_4way": lambda: _public("simple_4way_intersection"),
    "fabriksgatan": lambda: _public("fabriksgatan"),
    "two_way": lambda: _built("four_way", control={"east": "none", "north": "stop", "west": "none", "south": "stop"}),
    "zone_four_way": lambda: _built("four_way", control="all_way", crosswalks=True, speed_limit=ZONE_15_MPH),
    "zone_t": lambda: _built("t_junction", control="all_way", speed_limit=ZONE_15_MPH, **RECORDED_T),
}
"""Name -> how its map is made; the public ones come from AVSTACK_DATA with every arm under an all-way stop."""


@cache
def site(name: str) -> Site:
    """The junction of a named map, read once. InputError for an unknown name."""
    if name not in MAPS:
        raise InputError(f"no map {name!r} to measure traffic on", fix=f"Use one of: {', '.join(MAPS)}.")
    return survey(MAPS[name]())
