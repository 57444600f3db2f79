"""What an episode at an all-way stop could have been: everybody alone, first come first served, and the best order of entry.

Alone: each vehicle of the episode is run by itself, with its own style (ego with the traffic's own driver), and leaves when it
leaves. In the other two schedules a vehicle that has to wait starts from rest at its line and speeds up as it likes to, within
the limits of `Dynamics`. Two ways whose swept footprints meet keep the least headway at which they do not touch, read from the
map's conflict tables. First come first served orders the entries by arrival at the line, nobody before those ahead of it in its
own queue; the optimum is found by branch and bound over all orders that keep the queues. Who is ahead of whom in a queue is read
from a recording of the episode with the traffic's own driver in ego's seat: of several due at one place at once, arrivals alone
do not say.

First come first served is the yardstick of excess time, the best order that of the price of anarchy (eval.metrics.delay).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from eval.metrics.crossings import entry_index, to_line
from eval.metrics.result import Junction
from sim.interface import TICK_S, Floats, Kind
from sim.recording import Recording
from sim.roads.lane_map import CLASSES, TABLE_SPACING, FootprintClass, LaneMap, Regulation
from sim.scenario import Actor, Model, Scenario
from sim.setup import size_class
from sim.world import World

STEP_S = 0.05
STARTED = 1.0  # m past its rest at which a vehicle has set off
NEVER_S = 1e7
EXACT_UP_TO = 8
"""Vehicles whose order is searched at once; where there are more, the search rolls over them by arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """The driver of the schedules [m, s]; the numbers are those of an ordinary driver in METRICS.

    margin_s: time between one footprint's leaving a spot and the other's reaching it (a post-encroachment time below 1 s is
    flagged). queue_headway_s: between two of one approach when nobody else is there, heavy_headway_s more for a truck or a bus
    (HCM, all-way stop, case 1).
    """

    decel: float = 1.8
    jerk: float = 4.0
    lateral_accel: float = 1.8
    margin_s: float = 1.0
    queue_headway_s: float = 3.9
    heavy_headway_s: float = 1.7


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where a vehicle crosses: the lane of its approach, the one through the junction, and the centre's place when it rests.

    rest: centre on the approach lane [m]; start: the same place measured on the lane through the junction (negative: before
    it); beyond: the lanes that follow. exit_s: when it leaves the junction if nobody else is there [s]; started_s: when it is
    STARTED past its rest; accel: how it speeds up [m/s²].
    """

    actor: int
    approach: int
    lane: int
    length: float
    rest: float
    start: float
    beyond: tuple[int, ...]
    exit_s: float = math.inf
    started_s: float = math.inf
    accel: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crossing:
    """A vehicle's crossing from rest. arrival_s: the start from rest that would bring it over the line when it is there alone.

    times: (N,) seconds from its start until its centre is k TABLE_SPACING further; through_s: until it has left the junction.
    """

    way: _Way
    size: int
    arrival_s: float
    exit_s: float
    through_s: float
    times: Floats


def junction_of(scenario: Scenario, seen: Recording | None = None, dynamics: Dynamics | None = None) -> Junction | None:
    """Schedules of all vehicles that cross the scenario's all-way stop; None where there is no such junction, or several.

    A vehicle that is delayed in a schedule starts from rest; one that is not leaves as it does alone. seen: the episode as it
    went once, for the order of each queue; None: the order of arrival alone.
    """
    rules, ways = dynamics or Dynamics(), _ways(scenario)
    if not ways:
        return None
    crossings = [crossing for way in _driven_alone(scenario, ways) if (crossing := _crossing(scenario, way, rules)) is not None]
    crossings = _by_arrival(scenario.road_map, crossings, seen)
    headway = _headways(scenario.road_map, crossings, rules)
    arrival = np.array([crossing.arrival_s for crossing in crossings])
    free = np.array([crossing.exit_s for crossing in crossings])
    through = np.array([crossing.through_s for crossing in crossings])

    def exits(order: tuple[int, ...]) -> Floats:
        entered = entries(order, arrival, headway)
        return np.where(entered > arrival, np.maximum(entered + through, free), free)

    met = headway > -math.inf
    return Junction(
        actors=tuple(crossing.way.actor for crossing in crossings),
        stop_lines=np.array([_pose(scenario.road_map, one.way.approach, one.way.rest) for one in crossings]).reshape(-1, 3),
        exit_lines=np.array([_pose(scenario.road_map, one.way.lane, math.inf) for one in crossings]).reshape(-1, 3),
        conflicts=met | met.T,
        headway=headway,
        through=through,
        arrivals=arrival,
        free=free,
        first_come=exits(tuple(range(len(crossings)))),
        optimal=exits(best_order(arrival, headway)),
        exact=len(crossings) <= EXACT_UP_TO,
    )


def meets_all_way_stop(scenario: Scenario) -> bool:
    """Whether `junction_of` finds the one all-way stop that it needs."""
    return bool(_ways(scenario))


def without_ego(scenario: Scenario) -> Scenario:
    """The same episode in which ego never comes. Its slot stays, so that everybody else draws the same random numbers.

    Raises ValueError for a scenario without ego.
    """
    if scenario.ego is None:
        raise ValueError(f"scenario {scenario.name!r} has no ego to leave out")
    actors = list(scenario.actors)
    actors[scenario.ego] = _never(actors[scenario.ego])
    return replace(scenario, actors=tuple(actors), ego=None)


def alone(scenario: Scenario) -> Scenario:
    """The same episode with nobody but ego, driven by the traffic's own driver. Raises ValueError for one without ego."""
    if scenario.ego is None:
        raise ValueError(f"scenario {scenario.name!r} has no ego to leave alone")
    return replace(_only(scenario, scenario.ego), ego=scenario.ego)


def ordinary(scenario: Scenario) -> Scenario:
    """The same episode with ego driven by the traffic's own driver. Raises ValueError for one without ego."""
    if scenario.ego is None:
        raise ValueError(f"scenario {scenario.name!r} has no ego to replace")
    actors = list(scenario.actors)
    actors[scenario.ego] = replace(actors[scenario.ego], model=Model.NEGOTIATOR, driver="")
    return replace(scenario, actors=tuple(actors))


def entries(order: tuple[int, ...], arrival: Floats, headway: Floats) -> Floats:
    """(N,) entry times [s] when vehicles go in `order`: each as early as its arrival and everybody before it allow.

    headway: (N, N) least time from the entry of the first index to that of the second; -inf where they do not meet.
    """
    times = np.full(len(arrival), -math.inf)
    for place, vehicle in enumerate(order):
        before = list(order[:place])
        times[vehicle] = max(arrival[vehicle], float(np.max(times[before] + headway[before, vehicle], initial=-math.inf)))
    return times


def best_order(arrival: Floats, headway: Floats) -> tuple[int, ...]:
    """The order of entry with the least sum of entry times, by branch and bound; vehicles are given by arrival.

    More than EXACT_UP_TO vehicles are searched a window at a time: the first half of each window's order is kept.
    """
    count = len(arrival)
    fixed: tuple[int, ...] = ()
    while count - len(fixed) > EXACT_UP_TO:
        waiting = [vehicle for vehicle in range(count) if vehicle not in fixed][:EXACT_UP_TO]
        fixed = _search(fixed, waiting, arrival, headway)[: len(fixed) + EXACT_UP_TO // 2]
    return _search(fixed, [vehicle for vehicle in range(count) if vehicle not in fixed], arrival, headway)


def _search(fixed: tuple[int, ...], waiting: list[int], arrival: Floats, headway: Floats) -> tuple[int, ...]:
    """`fixed` followed by the best order of `waiting`: depth first, the earliest possible entry first, cut by a lower bound."""
    given = entries(fixed, arrival, headway)
    earliest = {
        vehicle: max(float(arrival[vehicle]), *(float(given[other] + headway[other, vehicle]) for other in fixed), -math.inf)
        for vehicle in waiting
    }
    # Whoever must follow its own queue is never tried before it: an infinite headway the wrong way round says so.
    best = (math.inf, tuple(waiting))
    stack: list[tuple[float, tuple[int, ...], dict[int, float]]] = [(0.0, (), earliest)]
    while stack:
        total, order, ready = stack.pop()
        if total + sum(ready.values()) >= best[0] - 1e-9:
            continue
        if not ready:
            best = (total, order)
            continue
        for vehicle in sorted(ready, key=lambda one: (ready[one], one), reverse=True):
            if any(headway[vehicle, other] == math.inf for other in ready if other != vehicle):
                continue
            entry = ready[vehicle]
            later = {
                other: max(time, entry + float(headway[vehicle, other])) for other, time in ready.items() if other != vehicle
            }
            stack.append((total + entry, (*order, vehicle), later))
    return fixed + best[1]


def _ways(scenario: Scenario) -> list[_Way]:
    """The ways of all that cross the scenario's all-way stop; none where they cross several."""
    ways = [way for index, actor in enumerate(scenario.actors) if (way := _way(scenario, index, actor)) is not None]
    clusters = {int(scenario.road_map.lanes["cluster"][way.lane]) for way in ways}
    return ways if len(clusters) == 1 else []


def _way(scenario: Scenario, index: int, actor: Actor) -> _Way | None:
    """How an actor crosses the first all-way stop of its route; None where it meets none, walks, or never moves."""
    moves = actor.model in (Model.NEGOTIATOR, Model.EXTERNAL) or actor.driver != ""
    if not moves or actor.kind in (Kind.PEDESTRIAN, Kind.OBJECT) or actor.route is None:
        return None
    lanes, route = scenario.road_map.lanes, actor.route.lanes
    for place, (approach, lane) in enumerate(pairwise(route)):
        record = lanes[lane]
        if record["regulation"] == Regulation.ALL_WAY_STOP and record["junction"] >= 0 and record["cluster"] >= 0:
            rest = float(lanes["stop_s"][approach]) - 0.5 * actor.body.length
            start = rest - float(lanes["length"][approach])
            length, beyond = actor.body.length, route[place + 2 :]
            return _Way(actor=index, approach=approach, lane=lane, length=length, rest=rest, start=start, beyond=beyond)
    return None


def _driven_alone(scenario: Scenario, ways: list[_Way]) -> list[_Way]:
    """The ways with the times of a run in which nobody else is there; ego is driven by the traffic's own driver."""
    world = World([_only(scenario, way.actor) for way in ways], traced=False)
    started, left, tick = [math.inf] * len(ways), [math.inf] * len(ways), 0
    while tick < round(scenario.duration_s / TICK_S) and not all(map(math.isfinite, left)):
        world.step()
        tick += 1
        for w, way in enumerate(ways):
            mind = world.state.minds[w, way.actor]
            if math.isinf(started[w]) and _past(mind, way, way.start + STARTED):
                started[w] = tick * TICK_S
            if math.isinf(left[w]) and _past(mind, way, float(scenario.road_map.lanes["length"][way.lane])):
                left[w] = tick * TICK_S
    accel = [float(world.state.minds["accel"][w, way.actor]) for w, way in enumerate(ways)]
    return [replace(way, started_s=started[w], exit_s=left[w], accel=accel[w]) for w, way in enumerate(ways)]


def _past(mind: NDArray[np.void], way: _Way, s: float) -> bool:
    """Whether a driver's position is beyond `s` on the lane through the junction; its approach lies at negative s."""
    if mind["lane"] == way.approach:
        return bool(mind["s"] - way.rest + way.start > s)
    if mind["lane"] == way.lane:
        return bool(mind["s"] > s)
    return bool(mind["lane"] in way.beyond)


def _only(scenario: Scenario, actor: int) -> Scenario:
    """The episode with one actor alone; the others keep their slots, so that this one draws the same style."""
    actors = tuple(
        replace(one, model=Model.NEGOTIATOR, driver="") if index == actor else _never(one)
        for index, one in enumerate(scenario.actors)
    )
    return replace(scenario, actors=actors, ego=None)


def _never(actor: Actor) -> Actor:
    return replace(
        actor,
        depart_s=NEVER_S,
        model=Model.NEGOTIATOR if actor.model == Model.EXTERNAL or actor.driver else actor.model,
        driver="",
    )


def _crossing(scenario: Scenario, way: _Way, rules: Dynamics) -> _Crossing | None:
    """The crossing of one who got through alone; None for one who did not in the episode's time."""
    if math.isinf(way.exit_s):
        return None
    times = _crossing_times(scenario.road_map, way, rules)
    along = TABLE_SPACING * np.arange(len(times))
    return _Crossing(
        way=way,
        size=size_class(way.length),
        arrival_s=way.started_s - float(np.interp(STARTED, along, times)),
        exit_s=way.exit_s,
        through_s=float(np.interp(float(scenario.road_map.lanes["length"][way.lane]) - way.start, along, times)),
        times=times,
    )


def _crossing_times(road_map: LaneMap, way: _Way, rules: Dynamics) -> Floats:
    """Times at TABLE_SPACING steps of the centre from rest at the line to one and a half lengths beyond the lane."""
    points, record = road_map.lane_points(way.lane), road_map.lanes[way.lane]
    s = way.start + TABLE_SPACING * np.arange(
        math.ceil((float(record["length"]) + 1.5 * way.length - way.start) / TABLE_SPACING) + 1
    )
    along = np.linspace(0.0, float(record["length"]), len(points))
    curvature = np.interp(s, along, np.abs(points["curvature"]), left=0.0, right=0.0)
    limit = np.minimum(float(points["speed_limit"].min()), np.sqrt(rules.lateral_accel / np.maximum(curvature, 1e-6)))
    for k in range(len(s) - 2, -1, -1):
        limit[k] = min(limit[k], math.sqrt(limit[k + 1] ** 2 + 2.0 * rules.decel * TABLE_SPACING))
    return _integrate(limit, way.accel, rules.jerk)


def _integrate(limit: Floats, accel: float, jerk: float) -> Floats:
    """Arrival times [s] at TABLE_SPACING steps from rest under a speed limit per step."""
    times = np.zeros(len(limit))
    position, speed, push, now, reached = 0.0, 0.0, 0.0, 0.0, 0
    while reached < len(limit) - 1:
        push = min(push + jerk * STEP_S, accel)
        faster = min(speed + push * STEP_S, float(limit[min(int(position / TABLE_SPACING) + 1, len(limit) - 1)]))
        moved = 0.5 * (speed + faster) * STEP_S
        while reached < len(limit) - 1 and position + moved >= (reached + 1) * TABLE_SPACING:
            reached += 1
            times[reached] = now + STEP_S * ((reached * TABLE_SPACING - position) / moved)
        position, speed, now = position + moved, faster, now + STEP_S
    return times


def _by_arrival(road_map: LaneMap, crossings: list[_Crossing], seen: Recording | None) -> list[_Crossing]:
    """The crossings by arrival alone, where nobody comes to the line before those ahead of it in its own queue."""
    queues: dict[int, list[_Crossing]] = {}
    for crossing in sorted(crossings, key=lambda one: (*_place(road_map, one, seen), one.arrival_s, one.way.actor)):
        queues.setdefault(crossing.way.approach, []).append(crossing)
    due = {
        queue[place].way.actor: (max(one.arrival_s for one in queue[: place + 1]), place)
        for queue in queues.values()
        for place in range(len(queue))
    }
    return sorted(crossings, key=lambda one: (*due[one.way.actor], one.way.actor))


def _place(road_map: LaneMap, crossing: _Crossing, seen: Recording | None) -> tuple[float, float]:
    """What orders a queue: when it entered the junction [s], and of those who never did how far they still had to go [m]."""
    if seen is None:
        return 0.0, 0.0
    way = crossing.way
    track = seen.track(way.actor)
    beyond, near = to_line(track, np.array(_pose(road_map, way.approach, way.rest)))
    entered = entry_index(beyond, near)
    if entered < len(track):
        return float(track["tick"][entered]), 0.0
    return math.inf, -float(beyond[-1]) if len(track) else math.inf


def _headways(road_map: LaneMap, crossings: list[_Crossing], rules: Dynamics) -> Floats:
    """(N, N) least time from the row's entry to the column's; inf the wrong way round in a queue, -inf without a conflict."""
    count = len(crossings)
    headway = np.full((count, count), -math.inf)
    for i, first in enumerate(crossings):
        for j, second in enumerate(crossings):
            if i == j:
                continue
            if first.way.approach == second.way.approach:
                heavy = rules.heavy_headway_s if second.size == FootprintClass.LARGE else 0.0
                headway[i, j] = rules.queue_headway_s + heavy if i < j else math.inf
            else:
                headway[i, j] = _pair_headway(road_map, first, second, rules)
    return headway


def _pair_headway(road_map: LaneMap, first: _Crossing, second: _Crossing, rules: Dynamics) -> float:
    """Least delay of the second's start behind the first's at which their footprints never meet, plus the margin.

    While the first is at s, the second must not have reached the low end of the interval that s blocks: the delay is the largest
    t_first(s) - t_second(low(s)).
    """
    cluster = road_map.clusters[int(road_map.lanes["cluster"][first.way.lane])]
    local = road_map.lanes["local"]
    place = int(cluster["matrix_start"]) + int(local[first.way.lane]) * int(cluster["size"]) + int(local[second.way.lane])
    number = int(road_map.cluster_matrix[place])
    if number < 0:
        return -math.inf
    record = road_map.conflicts[number + first.size * CLASSES + second.size]
    low, high = road_map.conflict_rows[int(record["row_start"]) : int(record["row_start"]) + int(record["row_count"])].T
    s = TABLE_SPACING * (int(record["row_first"]) + np.arange(len(low)))
    meets = low <= high
    if not meets.any():
        return -math.inf
    there = _time_at(first, s[meets])
    reached = _time_at(second, low[meets].astype(np.float64))
    return float(np.max(there - reached)) + rules.margin_s


def _time_at(crossing: _Crossing, s: Floats) -> Floats:
    """Seconds from its start until its centre is at `s`; before its start 0, beyond the table the last speed goes on."""
    steps = TABLE_SPACING * np.arange(len(crossing.times))
    last = TABLE_SPACING / max(float(crossing.times[-1] - crossing.times[-2]), 1e-3)
    beyond = np.maximum(s - crossing.way.start - steps[-1], 0.0) / last
    return np.asarray(np.interp(s - crossing.way.start, steps, crossing.times) + beyond)


def _pose(road_map: LaneMap, lane: int, s: float) -> tuple[float, float, float]:
    """x, y, heading on a lane's centreline at `s` [m], held at its ends."""
    points = road_map.lane_points(lane)
    along = np.linspace(0.0, float(road_map.lanes["length"][lane]), len(points))
    at = int(np.argmin(np.abs(along - min(s, along[-1]))))
    return float(np.interp(s, along, points["x"])), float(np.interp(s, along, points["y"])), float(points["heading"][at])
