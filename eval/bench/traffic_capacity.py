"""How much traffic the junctions carry: headways and capacity at an all-way stop, gaps accepted at a two-way stop.

References: Highway Capacity Manual (HCM 2000 ch. 17, HCM 6th ed. ch. 20-21), base headways by degree-of-conflict case and base
critical gaps. Ours are estimated by maximum likelihood from each driver's largest rejected and accepted gap, log-normal over
drivers (Troutbeck, Estimating the critical acceptance gap from traffic movements, 1992).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from eval.bench.traffic_places import Movement, Site, car, room_before, site
from sim.interface import TICK_S
from sim.rng import Purpose, generator
from sim.roads.lane_map import Turn
from sim.scenario import Actor, Scenario
from sim.world import World

WORLDS = 16
SATURATED_S = 240.0
SUPPLY_S = 2.2  # s between the times at which cars of a saturated arm are due; their place must be free as well
WARM_UP = 4  # departures of an approach before it counts as steady
STANDING_M = 7.5  # m a queued car takes
QUEUED_AT_START = 8
HCM_HEADWAY = {1: 3.9, 2: 4.7, 3: 5.8, 4: 7.0, 5: 9.6}  # s
HCM_TURN = {Turn.STRAIGHT: 0.0, Turn.LEFT: 0.2, Turn.RIGHT: -0.6}  # s
HCM_CAPACITY = 1500.0  # veh/h, balanced, single lanes
HCM_GAPS: Mapping[str, tuple[float, float]] = {
    "major left": (4.1, 2.2),
    "minor right": (6.2, 3.3),
    "minor through": (6.5, 4.0),
    "minor left": (7.1, 3.5),
}
"""Critical gap and follow-up time [s], two-lane major road."""
MIX = {Turn.STRAIGHT: 0.5, Turn.LEFT: 0.25, Turn.RIGHT: 0.25}
MIDDLE = 0.4
"""Share of its way through the junction at which a vehicle's passage is clocked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured figure beside its reference. n: observations; ratio: ours over the reference."""

    name: str
    value: float
    standard_error: float
    n: int
    reference: float
    ratio: float


def _row(name: str, values: Sequence[float] | NDArray[np.float64], reference: float) -> Row:
    data = np.asarray(values, np.float64)
    mean = float(data.mean()) if len(data) else math.nan
    error = float(data.std(ddof=1) / math.sqrt(len(data))) if len(data) > 1 else math.nan
    return Row(name=name, value=mean, standard_error=error, n=len(data), reference=reference, ratio=mean / reference)


def facing(place: Site) -> dict[int, int]:
    """Arm -> the arm across from it: where its straight movement leaves to."""
    road_map = place.road_map
    ends = {}
    for arm in range(len(place.arms)):
        first = road_map.lane_points(road_map.lane(place.arms[arm]))[-1]
        cosines = []
        for other in range(len(place.arms)):
            last = road_map.lane_points(road_map.lane(place.arms[other]))[-1]
            cosines.append(float(first["cos"] * last["cos"] + first["sin"] * last["sin"]))
        ends[arm] = int(np.argmin(cosines))
    return ends


def case_arms(place: Site, case: int) -> set[int]:
    """Saturated arms besides arm 0 for an HCM degree-of-conflict case."""
    across = facing(place)[0]
    sides = [arm for arm in range(len(place.arms)) if arm not in (0, across)]
    return {1: set(), 2: {across}, 3: {sides[0]}, 4: set(sides), 5: {across, *sides}}[case]


def _queue(place: Site, arm: int, turns: Mapping[Turn, float], draw: np.random.Generator, count: int, tag: str) -> list[Actor]:
    """A queue of `count` cars on one arm: the first ones stand there, the rest keep coming."""
    ways = {turn: [m for m in place.of_arm(arm) if m.turn == turn] for turn in turns}
    weights = np.array([turns[turn] if ways[turn] else 0.0 for turn in turns])
    cars = []
    for k in range(count):
        turn = list(turns)[int(draw.choice(len(weights), p=weights / weights.sum()))]
        movement = ways[turn][0]
        far = room_before(movement, 4.7) - 1.0
        place_m = 2.0 + k * STANDING_M
        standing = k < QUEUED_AT_START and place_m < far
        cars.append(
            car(
                place,
                movement,
                name=f"{tag}{k}",
                distance=place_m if standing else far,
                speed=0.0 if standing else 4.0,
                depart_s=0.0 if standing else SUPPLY_S * (k - QUEUED_AT_START + 1),
                style="normal",
            )
        )
    return cars


def _saturated(place: Site, arms: set[int], turns: Mapping[Turn, float], seed: int, label: str) -> Scenario:
    """Arm 0 and `arms` saturated for the whole episode."""
    draw = generator(seed, Purpose.SCENARIO)
    count = int(SATURATED_S / 3.2)
    actors = [actor for arm in sorted({0, *arms}) for actor in _queue(place, arm, turns, draw, count, f"a{arm}_")]
    return Scenario(name=label, road_map=place.road_map, actors=tuple(actors), seed=seed, duration_s=SATURATED_S)


def _departures(world: World, w: int, arm: int) -> list[tuple[int, Turn]]:
    """(tick, turn) of every entry over one arm's line, in order."""
    road_map = world.road_maps[w]
    out = []
    for a, actor in enumerate(world.scenarios[w].actors):
        tick = int(world.state.bodies["entered_tick"][w, a])
        if tick >= 0 and actor.name.startswith(f"a{arm}_") and actor.route is not None:
            out.append((tick, Turn(int(road_map.lanes["turn"][actor.route.lanes[-2]]))))
    return sorted(out)


def _run(scenarios: Sequence[Scenario], seconds: float) -> World:
    world = World(scenarios, traced=False)
    for _ in range(round(seconds / TICK_S)):
        world.step()
    return world


def _headways(world: World, arms: Sequence[int]) -> list[tuple[float, Turn]]:
    """(headway [s], turn of the one that follows) of all steady departures of these arms."""
    found = []
    for w in range(len(world.scenarios)):
        for arm in arms:
            line = _departures(world, w, arm)[WARM_UP:]
            found += [((after[0] - before[0]) * TICK_S, after[1]) for before, after in pairwise(line)]
    return found


def saturation(map_name: str = "four_way", worlds: int = WORLDS, first_seed: int = 900_000) -> list[Row]:
    """Departure headways by HCM case (all going straight), by turn, and the balanced capacity of all approaches."""
    place = site(map_name)
    rows = []
    for case in HCM_HEADWAY:
        scenarios = [
            _saturated(place, case_arms(place, case), {Turn.STRAIGHT: 1.0}, first_seed + k, f"case_{case}") for k in range(worlds)
        ]
        world = _run(scenarios, SATURATED_S)
        rows.append(_row(f"case {case} headway s", [h for h, _ in _headways(world, [0])], HCM_HEADWAY[case]))
        if case == 5:
            rows.append(_capacity(world, place, "balanced capacity veh/h, straight"))
    for turn in (Turn.LEFT, Turn.RIGHT):
        world = _run([_saturated(place, set(), {turn: 1.0}, first_seed + k, "turn") for k in range(worlds)], SATURATED_S)
        reference = HCM_HEADWAY[1] + HCM_TURN[turn]
        rows.append(_row(f"case 1 {turn.name.lower()} headway s", [h for h, _ in _headways(world, [0])], reference))
    world = _run([_saturated(place, case_arms(place, 5), MIX, first_seed + k, "mixed") for k in range(worlds)], SATURATED_S)
    headways = _headways(world, range(len(place.arms)))
    for turn in MIX:
        reference = HCM_HEADWAY[5] + HCM_TURN[turn]
        rows.append(_row(f"case 5 mixed, {turn.name.lower()} s", [h for h, t in headways if t == turn], reference))
    rows.append(_capacity(world, place, "balanced capacity veh/h, mixed turns"))
    return rows


def _capacity(world: World, place: Site, name: str) -> Row:
    """Entries per hour over all lines, one value a world."""
    warm = 40.0
    rates = []
    for w in range(len(world.scenarios)):
        ticks = [tick for arm in range(len(place.arms)) for tick, _ in _departures(world, w, arm) if tick * TICK_S > warm]
        rates.append(len(ticks) * 3600.0 / (world.tick * TICK_S - warm))
    return _row(name, rates, HCM_CAPACITY)


def _middle_ticks(scenarios: Sequence[Scenario], seconds: float) -> tuple[World, NDArray[np.int64]]:
    """The world at the end, and the tick (W, A) at which each vehicle passed MIDDLE of its way through (-1: never)."""
    world = World(scenarios, traced=False)
    lanes = world.road_maps[0].lanes
    inner = lanes["junction"] >= 0
    passed = np.full(world.state.bodies.shape, -1, np.int64)
    for _ in range(round(seconds / TICK_S)):
        world.step()
        lane = np.clip(world.state.minds["lane"], 0, len(lanes) - 1)
        there = inner[lane] & (world.state.minds["s"] > MIDDLE * lanes["length"][lane]) & (world.state.bodies["status"] == 1)
        passed[there & (passed < 0)] = world.tick
    return world, passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Who waits, whom they cross, and how many of those come an hour and direction."""

    arm: str
    turn: Turn
    against: tuple[str, ...]
    flow: float


STREAMS: Mapping[str, Stream] = {
    "major left": Stream(arm="west", turn=Turn.LEFT, against=("east",), flow=500.0),
    "minor right": Stream(arm="south", turn=Turn.RIGHT, against=("west",), flow=450.0),
    "minor through": Stream(arm="south", turn=Turn.STRAIGHT, against=("west", "east"), flow=220.0),
    "minor left": Stream(arm="south", turn=Turn.LEFT, against=("west", "east"), flow=220.0),
}


def _movement(place: Site, arm: str, turn: Turn) -> Movement:
    index = next(k for k, name in enumerate(place.arms) if name.startswith(arm))
    return next(m for m in place.of_arm(index) if m.turn == turn)


def _crossing(place: Site, stream: Stream, seed: int, seconds: float) -> Scenario:
    """A saturated stream against free-flowing traffic with exponential headways."""
    draw = generator(seed, Purpose.SCENARIO)
    waiting = _movement(place, stream.arm, stream.turn)
    actors = []
    for k in range(int(seconds / 4.0)):
        standing = k < QUEUED_AT_START
        distance = 2.0 + k * STANDING_M if standing else room_before(waiting, 4.7) - 1.0
        actors.append(
            car(
                place,
                waiting,
                name=f"w{k}",
                distance=distance,
                speed=0.0 if standing else 4.0,
                depart_s=0.0 if standing else 3.0 * (k - QUEUED_AT_START + 1),
                style="normal",
            )
        )
    for arm in stream.against:
        movement, at = _movement(place, arm, Turn.STRAIGHT), 0.0
        while True:
            at += 1.5 + float(draw.exponential(3600.0 / stream.flow - 1.5))
            if at > seconds:
                break
            actors.append(
                car(
                    place,
                    movement,
                    name=f"m{arm}{len(actors)}",
                    distance=room_before(movement, 4.7) - 1.0,
                    speed=0.95 * movement.limit,
                    depart_s=at,
                    style="normal",
                )
            )
    return Scenario(name="two_way", road_map=place.road_map, actors=tuple(actors), seed=seed, duration_s=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """rejected, accepted: (D,) each driver's largest rejected and its accepted gap [s]; follow_up: (F,) [s]."""

    rejected: NDArray[np.float64]
    accepted: NDArray[np.float64]
    follow_up: NDArray[np.float64]
    inconsistent: int


def _gaps(world: World, passed: NDArray[np.int64]) -> Gaps:
    """Read gaps off the passage times of the waiting and the crossed streams."""
    rejected, accepted, follow = [], [], []
    inconsistent = 0
    for w, scenario in enumerate(world.scenarios):
        names = [actor.name for actor in scenario.actors]
        mine = sorted(int(passed[w, a]) for a, n in enumerate(names) if n.startswith("w") and passed[w, a] >= 0)
        major = np.array(sorted(int(passed[w, a]) for a, n in enumerate(names) if n.startswith("m") and passed[w, a] >= 0))
        if len(major) < 3:
            continue
        slot = np.searchsorted(major, mine)
        for k in range(1, len(mine)):
            if not 0 < slot[k] < len(major):
                continue
            if slot[k] == slot[k - 1]:
                follow.append((mine[k] - mine[k - 1]) * TICK_S)
                continue
            # gaps that began after the one in front had gone, and ended before this driver went
            widths = np.diff(major[slot[k - 1] : slot[k] + 1]) * TICK_S
            largest = float(widths[:-1].max()) if len(widths) > 1 else 0.0
            inconsistent += largest >= widths[-1]
            if largest < widths[-1]:
                rejected.append(max(largest, 0.1))
                accepted.append(float(widths[-1]))
    return Gaps(rejected=np.array(rejected), accepted=np.array(accepted), follow_up=np.array(follow), inconsistent=inconsistent)


def critical_gap(rejected: NDArray[np.float64], accepted: NDArray[np.float64]) -> tuple[float, float]:
    """(mean, standard error) [s] of the critical gap over drivers, by maximum likelihood; (D,) with rejected < accepted.

    Raises ValueError for fewer than ten drivers or an accepted gap that is not longer than the rejected one.
    """
    if len(rejected) < 10 or np.any(rejected >= accepted):
        raise ValueError(f"critical_gap needs at least 10 drivers with rejected < accepted, got {len(rejected)}")
    from scipy.optimize import minimize
    from scipy.special import ndtr

    low, high = np.log(rejected), np.log(accepted)

    def loss(parameters: NDArray[np.float64]) -> float:
        mean, spread = float(parameters[0]), math.exp(float(parameters[1]))
        share = ndtr((high - mean) / spread) - ndtr((low - mean) / spread)
        return -float(np.log(np.maximum(share, 1e-12)).sum())

    start = np.array([float(np.log(0.5 * (np.median(rejected) + np.median(accepted)))), -1.5])
    best = minimize(loss, start, method="Nelder-Mead").x
    spread = math.exp(float(best[1]))
    mean = math.exp(float(best[0]) + 0.5 * spread * spread)
    return mean, mean * max(spread, 0.05) / math.sqrt(len(rejected))


def two_way_gaps(worlds: int = WORLDS, first_seed: int = 910_000, seconds: float = 600.0) -> list[Row]:
    """Critical gaps and follow-up times of each yielding stream at a two-way stop, beside the HCM's."""
    place = site("two_way")
    rows = []
    for name, stream in STREAMS.items():
        world, passed = _middle_ticks([_crossing(place, stream, first_seed + k, seconds) for k in range(worlds)], seconds)
        gaps = _gaps(world, passed)
        gap, follow = HCM_GAPS[name]
        if len(gaps.rejected) >= 10:
            mean, error = critical_gap(gaps.rejected, gaps.accepted)
            rows.append(
                Row(
                    name=f"{name} critical gap s",
                    value=mean,
                    standard_error=error,
                    n=len(gaps.rejected),
                    reference=gap,
                    ratio=mean / gap,
                )
            )
        rows.append(_row(f"{name} follow-up s", gaps.follow_up[gaps.follow_up < 2.0 * follow], follow))
    return rows


def table(rows: Sequence[Row]) -> list[str]:
    """Lines for people."""
    lines = [f"{'':42s} {'ours':>8s} {'± SE':>6s} {'n':>6s} {'HCM':>7s} {'ratio':>6s}"]
    for row in rows:
        lines.append(
            f"{row.name:42s} {row.value:8.2f} {row.standard_error:6.2f} {row.n:6d} {row.reference:7.1f} {row.ratio:6.2f}"
        )
    return lines
