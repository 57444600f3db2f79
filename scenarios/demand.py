"""Arrivals: from rates, counts and mixes to single road users with a start, a route and a time, each from its own random stream.

Row k of a flow's draws belongs to its k-th arrival whatever its rate is, so that a changed mix leaves times alone, and the
reverse. Trucks and buses go only where they fit, as planned routes do (`sim.traffic.fits`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from scenarios.ground import PLACE_SPACING, Ground, PlaceError, Spot, Toward
from scenarios.model import KINDS, OWN_DRIVER, Everywhere, Flow, Pedestrians, Traffic
from scenarios.places import EDGE_GAP, KERB_DISTANCE, walk_over
from scenarios.ranges import key_of
from sim.interface import SPECS, Floats, Kind
from sim.rng import Purpose, generator
from sim.roads.lane_map import Turn
from sim.roads.route import Route
from sim.traffic.swept import LONG

_T = TypeVar("_T")

ARRIVALS_MAX = 5000
GAP = 3.0  # m, between vehicles that are on the road at the start, besides
HEADWAY_S = 0.8  # s, of travel at the speed limit
BESIDE = 3.0  # m, between centres on different lanes
TRIES = 12  # places looked at for each vehicle
TURN_WEIGHTS: Mapping[Turn, float] = {Turn.STRAIGHT: 2.0, Turn.LEFT: 1.0, Turn.RIGHT: 1.0, Turn.U_TURN: 0.0}
"""How turns are mixed where a flow says 'any'; a common split at town junctions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One road user that the demand brings."""

    name: str
    kind: Kind
    spot: Spot
    route: Route
    depart_s: float
    style: str
    jaywalks: bool = False
    driver: str = ""
    """Empty for the simulator's own traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Room taken on the road at the start: around x, y [m], and `reach` [m] along its lane (-1: none), half a
    vehicle and half the distance it keeps at its speed."""

    x: float
    y: float
    reach: float
    lane: int


def room_taken(place: tuple[float, float], lane: int, length: float, speed: float) -> Room:
    """The room of one vehicle or thing."""
    return Room(x=place[0], y=place[1], reach=0.5 * length + 0.5 * HEADWAY_S * speed, lane=lane)


class _TakenRoom:
    """All the room taken so far, as rows of x, y, reach, lane."""

    def __init__(self, rooms: Sequence[Room]) -> None:
        self._rows = np.array([(room.x, room.y, room.reach, room.lane) for room in rooms]).reshape(-1, 4)

    def free(self, room: Room) -> bool:
        """True where a vehicle fits: clear of its own lane's others by GAP, of everybody else by BESIDE."""
        along = self._rows[:, 2] + room.reach + GAP
        needed = np.where((self._rows[:, 3] == room.lane) | (self._rows[:, 3] < 0), along, BESIDE)
        return not bool(np.any(np.hypot(self._rows[:, 0] - room.x, self._rows[:, 1] - room.y) < needed))

    def add(self, room: Room) -> None:
        self._rows = np.vstack([self._rows, (room.x, room.y, room.reach, room.lane)])


def pick(mix: Mapping[str, float], u: float) -> str:
    """The name that a draw u in [0, 1) falls on."""
    names = sorted(mix)
    left = u * sum(mix.values())
    for name in names:
        left -= mix[name]
        if left < 0.0:
            return name
    return max(names, key=lambda name: mix[name])  # only rounding leads here


def drawn_driver(drivers: Mapping[str, float], kind: Kind, seed: int, name: str) -> str:
    """Who drives a new arrival; the draw is of its own, so that a mix of drivers changes nothing else."""
    if kind == Kind.BICYCLE:
        return ""
    driver = pick(drivers, float(generator(seed, Purpose.DRIVER, key_of(name)).random()))
    return "" if driver == OWN_DRIVER else driver


def kind_mix(traffic: Traffic, flow: Flow | None = None) -> Mapping[str, float]:
    """Weights of kinds: the flow's own, or the traffic's with its share of cyclists."""
    if flow is not None and flow.kinds is not None:
        return flow.kinds
    total = sum(traffic.kinds.values())
    mix = {name: (1.0 - traffic.cyclists) * weight / total for name, weight in traffic.kinds.items()}
    mix["bicycle"] = mix.get("bicycle", 0.0) + traffic.cyclists
    return mix


def flow_arrivals(
    ground: Ground, traffic: Traffic, flow: Flow, label: str, span: tuple[float, float], seed: int
) -> list[Arrival]:
    """Everybody that one flow brings between span[0] and span[1] [s]. Raises PlaceError on unknown arms or turns."""
    times = _times(flow.vehicles_per_hour, flow.count, flow.arrivals == "fixed", flow.window_s or span, label, seed)
    approaches = _approaches(ground, flow)
    rows = generator(seed, Purpose.ROUTE, key_of(label)).random((len(times), 5))
    kinds, styles = kind_mix(traffic, flow), flow.styles or traffic.styles
    arrivals = []
    for index, (time, row) in enumerate(zip(times, rows, strict=True)):
        kind, spot, route = _fitting(ground, approaches, flow, kinds, row)
        name, style = f"{label}_{index}", pick(styles, row[4])
        driver = drawn_driver(flow.drivers or traffic.drivers, kind, seed, name)
        arrivals.append(Arrival(name=name, kind=kind, spot=spot, route=route, depart_s=time, style=style, driver=driver))
    return arrivals


def _times(rate: float | None, count: int | None, fixed: bool, window: tuple[float, float], label: str, seed: int) -> list[float]:
    """Arrival times [s], increasing, on whole milliseconds."""
    random = generator(seed, Purpose.ARRIVAL, key_of(label))
    start, length = window[0], max(window[1] - window[0], 0.0)
    expected = count if count is not None else (rate or 0.0) * length / 3600.0
    if expected > ARRIVALS_MAX:
        raise PlaceError(f"{expected:.0f} arrivals are too many for one episode", f"at most {ARRIVALS_MAX}")
    if expected <= 0.0:
        return []
    if fixed:
        step = length / expected
        times = np.arange(start + step * float(random.random()), start + length, step)[: count if count is not None else None]
    elif count is not None:
        times = start + length * np.sort(random.random(count))
    else:
        gaps = random.exponential(length / expected, size=int(expected + 8.0 * np.sqrt(expected) + 20.0))
        times = start + np.cumsum(gaps)
        times = times[times < start + length]
    return [round(float(time), 3) for time in times]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """Where arrivals of a flow come from: lanes by the turn they lead to; exits, where the way out comes later (roundabouts)."""

    lanes: Mapping[Turn, Sequence[int]]
    exits: Sequence[str] = ()


def _approaches(ground: Ground, flow: Flow) -> list[Approach]:
    """The arms of the flow that offer what it wants."""
    if flow.approach == "any":
        arms = _outer_arms(ground)
    else:
        names = [flow.approach] if isinstance(flow.approach, str) else flow.approach
        arms = {name: ground.arm(name, Toward.IN) for name in names}
    found = []
    for name, lanes in arms.items():
        approach = _approach(ground, flow, name, lanes)
        if approach is not None:
            found.append(approach)
        elif flow.approach != "any":
            raise PlaceError(f"approach {name!r} offers no turn {flow.turn!r}")
    if not found:
        raise PlaceError(f"nobody can arrive: no approach offers turn {flow.turn!r}")
    return found


def _approach(ground: Ground, flow: Flow, name: str, lanes: Sequence[int]) -> Approach | None:
    """What one arm offers of what the flow wants; None for nothing."""
    wanted = _wanted(flow)
    offered: dict[Turn, list[int]] = {}
    for lane in lanes:
        for inside in ground.successors[lane]:
            if ground.junction[inside] in ground.crossroads and lane not in offered.setdefault(Turn(ground.turn[inside]), []):
                offered[Turn(ground.turn[inside])].append(lane)
    if flow.turn == "any" and not offered:
        return Approach(lanes={Turn.STRAIGHT: lanes})
    exits = [arm for arm in ground.arms_out if arm != name]
    if flow.turn == "any" and sum(map(len, offered.values())) == 1 and len(exits) > 1:
        return Approach(lanes=offered, exits=exits)
    chosen = {turn: lanes for turn, lanes in offered.items() if wanted.get(turn, 0.0) > 0.0}
    return Approach(lanes=chosen) if chosen else None


def _wanted(flow: Flow) -> Mapping[Turn, float]:
    if isinstance(flow.turn, dict):
        return {Turn[name.upper()]: weight for name, weight in flow.turn.items()}
    return TURN_WEIGHTS if flow.turn == "any" else {Turn[flow.turn.upper()]: 1.0}


def _outer_arms(ground: Ground) -> dict[str, tuple[int, ...]]:
    """Arms whose road begins at the edge of the map, else every arm, else lanes that begin at the edge."""
    outer: dict[tuple[int, ...], str] = {}
    for name, lanes in ground.arms_in.items():
        if any(not ground.predecessors[ground.first_of(lane)] for lane in lanes):
            outer.setdefault(lanes, name)  # an arm may have two names
    by_name = {name: lanes for lanes, name in outer.items()} or ground.arms_in
    return by_name or {ground.road_map.lane_names[lane]: (lane,) for lane in ground.entries}


def _fitting(
    ground: Ground, approaches: Sequence[Approach], flow: Flow, kinds: Mapping[str, float], row: Floats
) -> tuple[Kind, Spot, Route]:
    """Kind, start and route of one arrival from its draws.

    A long vehicle that does not fit on its way takes another that the flow wants; where it fits on none, another kind of the mix
    comes in its place; where the mix has only long ones, it goes all the same.
    """
    kind = KINDS[pick(kinds, float(row[3]))]
    approach = approaches[int(row[0] * len(approaches))]
    ways = list(_ways(ground, approach, flow, row, SPECS[kind].length))
    for spot, route in ways:
        if ground.long_vehicles.fit(SPECS[kind], route.lanes):
            return kind, spot, route
    short = {name: weight for name, weight in kinds.items() if SPECS[KINDS[name]].length < LONG}
    if sum(short.values()) <= 0.0:
        return kind, *ways[0]
    kind = KINDS[pick(short, float(row[3]))]
    spot, route = next(_ways(ground, approach, flow, row, SPECS[kind].length))
    return kind, spot, route


def _ways(ground: Ground, approach: Approach, flow: Flow, row: Floats, length: float) -> Iterator[tuple[Spot, Route]]:
    """Starts and routes that an approach offers a flow: first that of the arrival's draws (turn or exit, lane), then others."""
    weights = _wanted(flow)
    drawn = Turn[pick({item.name: max(weights.get(item, 0.0), 1e-9) for item in approach.lanes}, float(row[1]))]
    wanted = [turn for turn in approach.lanes if turn != drawn and weights.get(turn, 0.0) > 0.0]
    for turn in (drawn, *wanted):
        for lane in _from(approach.lanes[turn], float(row[2])):
            spot = _start(ground, flow, lane, length)
            if approach.exits:
                for arm in _from(approach.exits, float(row[1])):
                    yield spot, ground.leaving(spot.lane, arm)
                continue
            has_junction = any(ground.junction[inside] in ground.crossroads for inside in ground.successors[lane])
            yield spot, ground.turning(spot.lane, turn) if has_junction else ground.straight_on(spot.lane)


def _from(items: Sequence[_T], u: float) -> Sequence[_T]:
    """The items in order, from the one that a draw u in [0, 1) falls on, and round to those before it."""
    first = int(u * len(items))
    return [*items[first:], *items[:first]]


def _start(ground: Ground, flow: Flow, lane: int, length: float) -> Spot:
    """Where somebody of a flow begins who comes by `lane`."""
    if flow.before_stop is not None:
        return ground.back_from_line(lane, flow.before_stop + 0.5 * length)
    first = ground.first_of(lane)
    return Spot(lane=first, s=min(0.5 * length + EDGE_GAP, 0.5 * ground.length[first]))


def everywhere_arrivals(
    ground: Ground, traffic: Traffic, wish: Everywhere, taken: Sequence[Room], span: tuple[float, float], seed: int
) -> list[Arrival]:
    """Vehicles at random places on random routes at the start, clear of what is there; then arrivals at the map's edges."""
    return [*_standing(ground, traffic, wish, taken, seed), *_entering(ground, traffic, wish, span, seed)]


def _standing(ground: Ground, traffic: Traffic, wish: Everywhere, taken: Sequence[Room], seed: int) -> list[Arrival]:
    random = generator(seed, Purpose.PLACEMENT, key_of("everywhere"))
    places = ground.places
    near = np.arange(len(places.lane))
    if wish.radius is not None and taken:
        near = np.flatnonzero(np.hypot(places.x - taken[0].x, places.y - taken[0].y) <= wish.radius)
    lane_km = len(near) * PLACE_SPACING / 1000.0
    count = min(wish.max_count, wish.count if wish.count is not None else round((wish.per_lane_km or 0.0) * lane_km))
    kinds = kind_mix(traffic)
    occupied = _TakenRoom(taken)
    arrivals: list[Arrival] = []
    for place in near[random.integers(max(len(near), 1), size=count * TRIES)] if len(near) else ():
        if len(arrivals) == count:
            break
        u, v = random.random(2)
        kind, style = KINDS[pick(kinds, float(u))], pick(traffic.styles, float(v))
        spot = Spot(lane=int(places.lane[place]), s=float(places.s[place]))
        xy = float(places.x[place]), float(places.y[place])
        room = room_taken(xy, spot.lane, SPECS[kind].length, float(places.speed_limit[place]))
        if not occupied.free(room):
            continue
        route = ground.end_of(ground.wandering(spot, wish.distance, random).lanes)
        kind = kind if ground.long_vehicles.fit(SPECS[kind], route.lanes) else Kind.CAR
        if len(route.lanes) > 1 or route.goal_s > spot.s:
            occupied.add(room)
            name = f"around_{len(arrivals)}"
            driver = drawn_driver(traffic.drivers, kind, seed, name)
            arrivals.append(Arrival(name=name, kind=kind, spot=spot, route=route, depart_s=0.0, style=style, driver=driver))
    return arrivals


def _entering(ground: Ground, traffic: Traffic, wish: Everywhere, span: tuple[float, float], seed: int) -> list[Arrival]:
    times = _times(wish.vehicles_per_hour, None, False, span, "everywhere", seed)
    random, kinds = generator(seed, Purpose.ROUTE, key_of("everywhere")), kind_mix(traffic)
    arrivals = []
    for index, time in enumerate(times):
        kind, style = KINDS[pick(kinds, float(random.random()))], pick(traffic.styles, float(random.random()))
        lane = ground.entries[int(random.integers(len(ground.entries)))]
        spot = Spot(lane=lane, s=min(0.5 * SPECS[kind].length + EDGE_GAP, 0.5 * ground.length[lane]))
        route = ground.end_of(ground.wandering(spot, wish.distance, random).lanes)
        kind = kind if ground.long_vehicles.fit(SPECS[kind], route.lanes) else Kind.CAR
        name = f"entering_{index}"
        driver = drawn_driver(traffic.drivers, kind, seed, name)
        arrivals.append(Arrival(name=name, kind=kind, spot=spot, route=route, depart_s=time, style=style, driver=driver))
    return arrivals


def pedestrian_arrivals(ground: Ground, wish: Pedestrians, span: tuple[float, float], seed: int) -> list[Arrival]:
    """People at the crosswalks, from both sides. Raises PlaceError on a crosswalk that the map does not have."""
    numbers = list(range(len(ground.walks))) if wish.crosswalks is None else wish.crosswalks
    for number in numbers:
        if number >= len(ground.walks):
            raise PlaceError(f"the map has no crosswalk {number}", f"it has {len(ground.walks)}, counted from 0")
    numbers = [number for number in numbers if ground.walks[number]]
    if not numbers:
        raise PlaceError("people need a crosswalk, and the map has none to walk on")
    rate = None if wish.per_hour is None else wish.per_hour * len(numbers)
    times = _times(rate, wish.count, False, wish.window_s or span, "pedestrians", seed)
    rows = generator(seed, Purpose.PEDESTRIAN, key_of("pedestrians")).random((len(times), 5))
    arrivals = []
    for index, (time, row) in enumerate(zip(times, rows, strict=True)):
        walks = ground.walks[numbers[int(row[0] * len(numbers))]]
        start = walk_over(ground, walks[int(row[1] * len(walks))], KERB_DISTANCE)
        width = 2.0 * float(ground.road_map.lane_points(start.spot.lane)[0]["half_width"])
        spot = replace(start.spot, d=0.6 * width * (float(row[2]) - 0.5))
        jaywalks = float(row[3]) < wish.jaywalk_share
        arrivals.append(
            Arrival(
                name=f"person_{index}", kind=Kind.PEDESTRIAN, spot=spot, route=start.route, depart_s=time,
                style="normal", jaywalks=jaywalks,
            )
        )  # fmt: skip
    return arrivals
