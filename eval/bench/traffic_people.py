"""Our traffic beside recorded drivers at an all-way stop: stopping, dwell, pedal and wheel, gaps, walking.

The recording: a T junction in a 15 mph zone, 300 s, 58 entries. We drive normal-style cars through a T junction with its demand.
Our tracks are smoothed like recorded ones (Gaussian, SMOOTH_S) before they are differentiated. The recording gives few errors of
its own, so the error of a recorded figure is taken from our own spread at the recording's number of entries (that of a share is
binomial), and z = (ours - recorded) / both errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.bench.traffic_places import Movement, Site, car, room_before, site
from sim.interface import TICK_S, Floats, Kind
from sim.rng import Purpose, generator
from sim.roads.lane_map import LaneKind, Turn
from sim.scenario import Actor, Model, Scenario
from sim.world import World

ENTRIES = 58
RATE = ENTRIES / 300.0  # vehicles/s over all arms
EPISODE_S = 300.0
STOPPED = 0.5  # m/s
SMOOTH_S = 0.3  # s, standard deviation of the smoothing of positions before derivatives
NEAR_LINE = (-5.0, 3.0)
"""Where [m] a front counts as being at the line (negative: before it)."""
SEEN_M = 35.0
"""How far from the line a camera over the junction sees: jerk is compared there, not on the long way to it."""
OTHERS_M = 15.0
"""Somebody on another approach counts from this far [m] before that line until the junction is left."""
ARRIVING = (-10.0, -3.0)
"""Where [m] the own front is while others are looked for: the decision to stop is made there."""
RESAMPLES = 200
FLAGGED = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One vehicle's way through. front: (T,) its front's distance past the line [m]; speed, accel, jerk, lateral: (T,) smoothed.

    gaps: time gaps [s] while following; rest_gaps: bumper gap [m] when first at rest in a queue.
    """

    turn: Turn
    with_others: bool
    front: Floats
    speed: Floats
    accel: Floats
    jerk: Floats
    lateral: Floats
    gaps: Floats
    rest_gaps: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One figure of ours (± its standard error) beside the recorded one; flagged where more than FLAGGED errors apart."""

    name: str
    ours: float
    standard_error: float
    n: int
    recorded: float
    z: float
    flagged: bool


Statistic = Callable[[Floats], float]


def _mean(values: Floats) -> float:
    return float(np.mean(values))


def _at(share: float) -> Statistic:
    return lambda values: float(np.quantile(values, share))


def compare(
    name: str, groups: Sequence[Floats | float], statistic: Statistic, recorded: float, recorded_n: int
) -> Comparison | None:
    """Compare a statistic of values given entry by entry (the unit that is resampled); None where there are too few."""
    parts = [np.atleast_1d(np.asarray(group, np.float64)) for group in groups]
    parts = [part for part in parts if len(part)]
    if len(parts) < 5:
        return None
    draw = generator(len(parts), Purpose.SCENARIO)

    def spread(count: int) -> float:
        tries = [
            statistic(np.concatenate([parts[k] for k in draw.integers(len(parts), size=min(count, 4000))]))
            for _ in range(RESAMPLES)
        ]
        return float(np.std(tries)) * math.sqrt(min(count, 4000) / count)

    ours, error = statistic(np.concatenate(parts)), spread(len(parts))
    share = all(np.isin(part, (0.0, 1.0)).all() for part in parts)
    recorded_error = math.sqrt(recorded * (1.0 - recorded) / recorded_n) if share else spread(recorded_n)
    other = max(recorded_error, error, 1e-9)
    z = (ours - recorded) / math.hypot(error, other)
    return Comparison(name=name, ours=ours, standard_error=error, n=len(parts), recorded=recorded, z=z, flagged=abs(z) > FLAGGED)


def _zone_scenario(place: Site, seed: int, seconds: float) -> Scenario:
    """Cars at random times, arms and turns at the recording's rate."""
    draw = generator(seed, Purpose.SCENARIO)
    actors: list[Actor] = []
    at = 0.0
    while True:
        at += float(draw.exponential(1.0 / RATE))
        if at > seconds - 40.0:
            break
        movement: Movement = place.movements[int(draw.integers(len(place.movements)))]
        actors.append(
            car(
                place,
                movement,
                name=f"c{len(actors)}",
                distance=room_before(movement, 4.7) - 1.0,
                speed=0.97 * movement.limit,
                depart_s=at,
                style="normal",
            )
        )
    return Scenario(name="zone", road_map=place.road_map, actors=tuple(actors), seed=seed, duration_s=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """(T, W, A) of every vehicle: its front past its line [m], speed, yaw rate, lane, bumper gap [m], on the road."""

    front: NDArray[np.float32]
    speed: NDArray[np.float32]
    yaw_rate: NDArray[np.float32]
    lane: NDArray[np.int32]
    gap: NDArray[np.float32]
    active: NDArray[np.bool_]


def _offsets(world: World) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Per (W, A): the line, and where each lane of the map begins (W, A, L), both as distances along the route [m]."""
    shape = world.state.bodies.shape
    line = np.zeros(shape, np.float32)
    start = np.full((*shape, len(world.road_maps[0].lanes)), np.nan, np.float32)
    lanes = world.road_maps[0].lanes
    for w, scenario in enumerate(world.scenarios):
        for a, actor in enumerate(scenario.actors):
            if actor.route is None or len(actor.route.lanes) < 3:
                continue
            total = 0.0
            for lane in actor.route.lanes:
                start[w, a, lane] = total
                total += float(lanes["length"][lane])
            before = actor.route.lanes[-3]
            stop_s = float(lanes["stop_s"][before])
            line[w, a] = start[w, a, before] + (stop_s if stop_s >= 0.0 else float(lanes["length"][before]))
    return line, start


def record(world: World, seconds: float) -> Tracks:
    """Step to the end and keep what the comparison needs."""
    ticks = round(seconds / TICK_S)
    shape = (ticks, *world.state.bodies.shape)
    names = ("front", "speed", "yaw_rate", "gap")
    kept = {name: np.zeros(shape, np.float32) for name in names}
    lane, active = np.full(shape, -1, np.int32), np.zeros(shape, np.bool_)
    line, start = _offsets(world)
    bodies, minds = world.state.bodies, world.state.minds
    w, a = np.indices(bodies.shape)
    for t in range(ticks):
        world.step()
        active[t] = bodies["status"] == 1
        lane[t] = minds["lane"]
        kept["front"][t] = start[w, a, np.maximum(minds["lane"], 0)] + minds["s"] + 0.5 * bodies["length"] - line
        kept["speed"][t], kept["yaw_rate"][t] = bodies["speed"], bodies["yaw_rate"]
        kept["gap"][t] = _leader_gaps(bodies, minds, active[t])
    return Tracks(lane=lane, active=active, **kept)


def _leader_gaps(bodies: NDArray[np.void], minds: NDArray[np.void], active: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(W, A) bumper gap [m] to the next vehicle ahead on the same lane; inf where there is none."""
    lane, s, length = minds["lane"], minds["s"], bodies["length"]
    both = (lane[:, :, None] == lane[:, None, :]) & active[:, :, None] & active[:, None, :]
    ahead = s[:, None, :] - s[:, :, None]
    gap = np.where(both & (ahead > 0.0), ahead - 0.5 * (length[:, :, None] + length[:, None, :]), np.inf)
    return np.asarray(gap.min(axis=2), np.float32)


def _smooth(values: Floats) -> Floats:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(values, SMOOTH_S / TICK_S, mode="nearest"), np.float64)


def _entry(world: World, tracks: Tracks, w: int, a: int) -> Entry | None:
    """One vehicle's entry, or None for one that did not get through in time."""
    on = np.flatnonzero(tracks.active[:, w, a])
    if len(on) < 50 or world.state.bodies["finished_tick"][w, a] < 0:
        return None
    rows = slice(int(on[0]), int(on[-1]) + 1)
    actor = world.scenarios[w].actors[a]
    if actor.route is None:
        return None
    lanes = world.road_maps[w].lanes
    speed = _smooth(tracks.speed[rows, w, a].astype(np.float64))
    accel = np.gradient(speed, TICK_S)
    front = tracks.front[rows, w, a].astype(np.float64)
    lane, gap = tracks.lane[rows, w, a], tracks.gap[rows, w, a].astype(np.float64)
    raw = tracks.speed[rows, w, a]
    following = (raw > 2.0) & (gap < 10.0 * raw)
    resting = (raw < 0.1) & (gap < 10.0) & (lane == actor.route.lanes[-3])
    window = np.flatnonzero((front > ARRIVING[0]) & (front < ARRIVING[1])) + int(on[0])
    return Entry(
        turn=Turn(int(lanes["turn"][actor.route.lanes[-2]])),
        with_others=_others(tracks, lanes, w, a, window),
        front=front,
        speed=speed,
        accel=accel,
        jerk=np.gradient(accel, TICK_S),
        lateral=speed * _smooth(tracks.yaw_rate[rows, w, a].astype(np.float64)),
        gaps=gap[following] / raw[following],
        rest_gaps=gap[resting][:1],
    )


def _others(tracks: Tracks, lanes: NDArray[np.void], w: int, a: int, window: NDArray[np.int64]) -> bool:
    """Whether anybody was on another approach near its line, or inside, while this one came up to its own line."""
    if not len(window):
        return False
    mine = tracks.lane[window[0], w, a]
    lane, front, active = tracks.lane[window, w], tracks.front[window, w], tracks.active[window, w]
    inside = lanes["junction"][np.maximum(lane, 0)] >= 0
    coming = (front > -OTHERS_M) & (front < 2.0) & (lane != mine) & ~inside
    there = active & (coming | inside)
    there[:, a] = False
    return bool(there.any())


def entries(map_name: str = "zone_t", worlds: int = 24, first_seed: int = 920_000) -> list[Entry]:
    """All complete entries of `worlds` episodes of EPISODE_S."""
    place = site(map_name)
    world = World([_zone_scenario(place, first_seed + k, EPISODE_S) for k in range(worlds)], traced=False)
    tracks = record(world, EPISODE_S)
    found = [_entry(world, tracks, w, a) for w, scenario in enumerate(world.scenarios) for a in range(len(scenario.actors))]
    return [entry for entry in found if entry is not None]


def _lowest(entry: Entry) -> tuple[int, float]:
    """(index, speed) of the slowest moment at the line."""
    near = np.flatnonzero((entry.front > NEAR_LINE[0]) & (entry.front < NEAR_LINE[1]))
    if not len(near):
        return 0, math.inf
    k = int(near[np.argmin(entry.speed[near])])
    return k, float(entry.speed[k])


def _dwell(entry: Entry) -> float:
    """Time [s] below STOPPED at the line."""
    near = (entry.front > NEAR_LINE[0]) & (entry.front < NEAR_LINE[1])
    return float(np.sum(near & (entry.speed < STOPPED)) * TICK_S)


def _braking(entry: Entry) -> tuple[float, float] | None:
    """(mean, peak) deceleration [m/s²] from the last moment above 90 % of the speed at 30 m to rest."""
    k, _ = _lowest(entry)
    far = int(np.argmax(entry.front > -30.0))
    fast = np.flatnonzero(entry.speed[far:k] > 0.9 * entry.speed[far])
    if not len(fast):
        return None
    first = far + int(fast[-1])
    slow = first + int(np.argmax(entry.speed[first : k + 1] < max(STOPPED, float(entry.speed[k]) + 0.05)))
    if slow <= first:
        return None
    return float((entry.speed[first] - entry.speed[slow]) / ((slow - first) * TICK_S)), float(-entry.accel[first : k + 1].min())


def _starting(entry: Entry) -> tuple[float, float] | None:
    """(mean over 3 s, peak on the way out) acceleration [m/s²] from the last slow moment on."""
    k, least = _lowest(entry)
    slow = np.flatnonzero(entry.speed[k:][entry.front[k:] < NEAR_LINE[1] + 1.0] < least + 0.2)
    first = k + (int(slow[-1]) if len(slow) else 0)
    if first + 31 >= len(entry.speed):
        return None
    return float((entry.speed[first + 30] - entry.speed[first]) / 3.0), float(entry.accel[first:].max())


def _sideways(entry: Entry) -> tuple[float, float]:
    """(peak |lateral acceleration|, speed there)."""
    k = int(np.argmax(np.abs(entry.lateral)))
    return float(abs(entry.lateral[k])), float(entry.speed[k])


def _walking_speeds(worlds: int, first_seed: int) -> list[float]:
    """Mean speed of each pedestrian on a crosswalk without cars, [m/s]."""
    place = site("zone_four_way")
    scenarios = []
    for seed in range(first_seed, first_seed + worlds):
        draw = generator(seed, Purpose.SCENARIO)
        walkers = [
            Actor(
                name=f"p{k}",
                kind=Kind.PEDESTRIAN,
                model=Model.PEDESTRIAN,
                route=place.walks[int(draw.integers(len(place.walks)))],
                s=2.0,
                depart_s=8.0 * k,
            )
            for k in range(4)
        ]
        scenarios.append(Scenario(name="walk", road_map=place.road_map, actors=tuple(walkers), seed=seed, duration_s=60.0))
    world = World(scenarios, traced=False)
    crosswalk = world.road_maps[0].lanes["kind"] == LaneKind.CROSSWALK
    total, ticks = np.zeros(world.state.bodies.shape), np.zeros(world.state.bodies.shape)
    for _ in range(600):
        world.step()
        there = crosswalk[np.maximum(world.state.minds["lane"], 0)] & (world.state.bodies["status"] == 1)
        total += np.where(there, np.hypot(world.state.bodies["vx"], world.state.bodies["vy"]), 0.0)
        ticks += there
    return [float(v) for v in (total[ticks > 20] / ticks[ticks > 20])]


def recorded_drivers(map_name: str = "zone_t", worlds: int = 24, first_seed: int = 920_000) -> list[Comparison]:
    """The table of recorded drivers beside ours."""
    found = entries(map_name, worlds, first_seed)
    lowest = [_lowest(entry)[1] for entry in found]
    alone = [float(v < STOPPED) for v, entry in zip(lowest, found, strict=True) if not entry.with_others]
    others = [float(v < STOPPED) for v, entry in zip(lowest, found, strict=True) if entry.with_others]
    stopped = [entry for v, entry in zip(lowest, found, strict=True) if v < STOPPED]
    rests = [float(entry.front[_lowest(entry)[0]]) for entry in stopped]
    dwell = [_dwell(entry) for entry in stopped]
    braking = [pair for pair in map(_braking, stopped) if pair is not None]
    starts = [(entry.turn, *pair) for entry in found for pair in [_starting(entry)] if pair is not None]
    left = [_sideways(entry) for entry in found if entry.turn == Turn.LEFT]
    right = [_sideways(entry) for entry in found if entry.turn == Turn.RIGHT]
    at_30 = [float(entry.speed[int(np.argmax(entry.front > -30.0))]) for entry in found]
    jerk = [np.abs(entry.jerk[np.abs(entry.front) < SEEN_M]) for entry in found]
    gaps = [entry.gaps for entry in found]
    through = [mean for turn, mean, _ in starts if turn == Turn.STRAIGHT]
    turning = [mean for turn, mean, _ in starts if turn != Turn.STRAIGHT]
    rows = [
        compare("stop below 0.5 m/s, nobody else (share)", alone, _mean, 0.15, 30),
        compare("stop below 0.5 m/s, others there (share; recorded: more)", others, _mean, 0.5, 28),
        compare("ever below 0.1 m/s (share)", [float(v < 0.1) for v in lowest], _mean, 0.25, ENTRIES),
        compare("dwell median s", dwell, _at(0.5), 2.1, 20),
        compare("dwell 95 % s", dwell, _at(0.95), 6.4, 20),
        compare("front rests at, 2.5 % m", rests, _at(0.025), -3.0, 20),
        compare("front rests at, 97.5 % m", rests, _at(0.975), 2.5, 20),
        compare("speed at 30 m m/s", at_30, _mean, 7.1, ENTRIES),
        compare("deceleration to the stop, mean m/s²", [pair[0] for pair in braking], _mean, 1.09, 20),
        compare("deceleration to the stop, mean of peaks m/s²", [pair[1] for pair in braking], _mean, 1.9, 20),
        compare("acceleration in 3 s, all m/s²", [*through, *turning], _mean, 0.79, ENTRIES),
        compare("acceleration in 3 s, through m/s²", through, _mean, 1.3, 15),
        compare("acceleration in 3 s, turning m/s²", turning, _mean, 0.58, 40),
        compare("acceleration, mean of peaks m/s²", [peak for _, _, peak in starts], _mean, 1.33, ENTRIES),
        compare("lateral peak, left m/s²", [peak for peak, _ in left], _mean, 1.8, 20),
        compare("speed there, left m/s", [speed for _, speed in left], _mean, 4.9, 20),
        compare("lateral peak, right m/s²", [peak for peak, _ in right], _mean, 1.4, 20),
        compare("speed there, right m/s", [speed for _, speed in right], _mean, 3.55, 20),
        *(
            compare(f"|jerk| {share:.0%} m/s³", jerk, _at(share), value, ENTRIES)
            for share, value in ((0.5, 0.36), (0.75, 0.68), (0.95, 1.44), (0.99, 2.16))
        ),
        *(
            compare(f"following time gap {share:.0%} s", gaps, _at(share), value, 20)
            for share, value in ((0.05, 2.0), (0.5, 2.8), (0.95, 7.2))
        ),
        compare("queue gap at rest m", [entry.rest_gaps for entry in found], _mean, 3.3, 10),
        compare("walking speed on crosswalks m/s", _walking_speeds(worlds, first_seed + 10_000), _mean, 1.36, 10),
    ]
    return [row for row in rows if row is not None]


def table(rows: Sequence[Comparison]) -> list[str]:
    """Lines for people."""
    lines = [f"{'':58s} {'ours':>7s} {'± SE':>6s} {'n':>5s} {'recorded':>9s} {'z':>6s}"]
    for row in rows:
        mark = " <" if row.flagged else ""
        lines.append(
            f"{row.name:58s} {row.ours:7.2f} {row.standard_error:6.2f} {row.n:5d} {row.recorded:9.2f} {row.z:6.1f}{mark}"
        )
    return lines
