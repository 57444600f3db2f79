"""Arrivals: from rates, counts and mixes to single road users with a start, a route and a time, each from its own random stream.

Row k of a flow's draws belongs to its k-th arrival whatever its rate is, so that a changed mix leaves times alone, and the
reverse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scenarios.ground import Ground, PlaceError, Spot, Toward
from scenarios.model import KINDS, Everywhere, Flow, Pedestrians, Traffic
from scenarios.places import EDGE_GAP, KERB_DISTANCE, random_spot, walk_over
from scenarios.ranges import key_of
from sim.interface import SPECS, Floats, Kind
from sim.rng import Purpose, generator
from sim.roads.lane_map import Turn
from sim.roads.route import Route

ARRIVALS_MAX = 5000
GAP = 6.0  # m, between the boxes of vehicles that stand on the road at the start
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """Room taken on the road at the start [m]."""

    x: float
    y: float
    radius: float


def pick(mix: Mapping[str, float], u: float) -> str:
    """The name that a draw u in [0, 1) falls on."""
    names = sorted(mix)
    left = u * sum(mix.values())
    for name in names:
        left -= mix[name]
        if left < 0.0:
            return name
    return max(names, key=lambda name: mix[name])  # only rounding leads here


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
    options = _options(ground, flow)
    rows = generator(seed, Purpose.ROUTE, key_of(label)).random((len(times), 5))
    kinds, styles = kind_mix(traffic, flow), flow.styles or traffic.styles
    arrivals = []
    for index, (time, row) in enumerate(zip(times, rows, strict=True)):
        kind = KINDS[pick(kinds, row[3])]
        spot, route = _way(ground, options, flow, row, SPECS[kind].length)
        arrivals.append(
            Arrival(name=f"{label}_{index}", kind=kind, spot=spot, route=route, depart_s=time, style=pick(styles, row[4]))
        )
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


def _options(ground: Ground, flow: Flow) -> list[dict[Turn, list[int]]]:
    """For each arm of the flow: the turns that it offers and wants, with the lanes that lead to them."""
    wanted = _wanted(flow)
    if flow.approach == "any":
        arms = _outer_arms(ground)
    else:
        names = [flow.approach] if isinstance(flow.approach, str) else flow.approach
        arms = [ground.arm(name, Toward.IN) for name in names]
    options = []
    for lanes in arms:
        offered: dict[Turn, list[int]] = {}
        for lane in lanes:
            for inside in ground.successors[lane]:
                turn = Turn(ground.turn[inside])
                if ground.junction[inside] >= 0 and wanted.get(turn, 0.0) > 0.0 and lane not in offered.setdefault(turn, []):
                    offered[turn].append(lane)
        if offered or (flow.turn == "any" and lanes):
            options.append(offered or {Turn.STRAIGHT: list(lanes)})
        elif flow.approach != "any":
            raise PlaceError(f"approach {flow.approach!r} offers no turn {flow.turn!r}")
    if not options:
        raise PlaceError(f"nobody can arrive: no approach offers turn {flow.turn!r}")
    return options


def _wanted(flow: Flow) -> Mapping[Turn, float]:
    if isinstance(flow.turn, dict):
        return {Turn[name.upper()]: weight for name, weight in flow.turn.items()}
    return TURN_WEIGHTS if flow.turn == "any" else {Turn[flow.turn.upper()]: 1.0}


def _outer_arms(ground: Ground) -> list[tuple[int, ...]]:
    """Arms whose road begins at the edge of the map, else every arm; without arms, the lanes that begin at the edge."""
    arms = list(ground.arms_in.values())
    outer = [lanes for lanes in arms if any(not ground.predecessors[ground.first_of(lane)] for lane in lanes)]
    return outer or arms or [(lane,) for lane in ground.entries]


def _way(
    ground: Ground, options: Sequence[Mapping[Turn, Sequence[int]]], flow: Flow, row: Floats, length: float
) -> tuple[Spot, Route]:
    """Start and route of one arrival from its draws: arm, turn, lane."""
    offered = options[int(row[0] * len(options))]
    weights = _wanted(flow)
    turn = Turn[pick({item.name: max(weights.get(item, 0.0), 1e-9) for item in offered}, float(row[1]))]
    lanes = offered[turn]
    lane = lanes[int(row[2] * len(lanes))]
    if flow.before_stop is not None:
        spot = ground.back_from_line(lane, flow.before_stop + 0.5 * length)
    else:
        first = ground.first_of(lane)
        spot = Spot(lane=first, s=min(0.5 * length + EDGE_GAP, 0.5 * ground.length[first]))
    has_junction = any(ground.junction[inside] >= 0 for inside in ground.successors[lane])
    return spot, ground.turning(spot.lane, turn) if has_junction else ground.straight_on(spot.lane)


def everywhere_arrivals(
    ground: Ground, traffic: Traffic, wish: Everywhere, taken: Sequence[Circle], span: tuple[float, float], seed: int
) -> list[Arrival]:
    """Vehicles at random places on random routes at the start, clear of what is there; then arrivals at the map's edges."""
    return [*_standing(ground, traffic, wish, taken, seed), *_entering(ground, traffic, wish, span, seed)]


def _standing(ground: Ground, traffic: Traffic, wish: Everywhere, taken: Sequence[Circle], seed: int) -> list[Arrival]:
    random = generator(seed, Purpose.PLACEMENT, key_of("everywhere"))
    lane_km = ground.driving_ends[-1] / 1000.0
    count = min(wish.max_count, wish.count if wish.count is not None else round((wish.per_lane_km or 0.0) * lane_km))
    occupied, kinds = list(taken), kind_mix(traffic)
    arrivals: list[Arrival] = []
    for _ in range(count * TRIES):
        if len(arrivals) == count:
            break
        kind, style = KINDS[pick(kinds, float(random.random()))], pick(traffic.styles, float(random.random()))
        spot = random_spot(ground, random, SPECS[kind].length)
        x, y, _ = ground.pose(spot)
        circle = Circle(x=x, y=y, radius=0.5 * SPECS[kind].length)
        far = wish.radius is not None and bool(taken) and np.hypot(x - taken[0].x, y - taken[0].y) > wish.radius
        if far or any(np.hypot(x - o.x, y - o.y) < circle.radius + o.radius + GAP for o in occupied):
            continue
        occupied.append(circle)
        route = ground.end_of(ground.wandering(spot, wish.distance, random).lanes)
        if len(route.lanes) > 1 or route.goal_s > spot.s:
            arrivals.append(Arrival(name=f"around_{len(arrivals)}", kind=kind, spot=spot, route=route, depart_s=0.0, style=style))
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
        arrivals.append(Arrival(name=f"entering_{index}", kind=kind, spot=spot, route=route, depart_s=time, style=style))
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
