"""Many short episodes at an all-way stop, mixed arrivals, no rule-breakers: does the traffic collide, jam, or leave the road?

An episode follows from (map, seed) alone. Results are kept by blocks of seeds, so that an interrupted run goes on where it
stopped; a block belongs to the sources it was made with.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.bench.traffic_places import Movement, Site, car, room_before, site
from eval.outputs import write_json
from eval.statistics import clopper_pearson
from sim.interface import SPECS, TICK_S, Kind
from sim.rng import Purpose, generator
from sim.roads.route import Route
from sim.scenario import Actor, Model, Scenario
from sim.state import EventKind, Reason, Status
from sim.traffic.fits import LongVehicles
from sim.traffic.styles import RULE_BREAKERS, STYLES
from sim.traffic.swept import LONG
from sim.world import World

BLOCK = 256
DURATION_S = 90.0
CARS = (2, 10)
TIE_SHARE = 0.5
"""Share of vehicles that reach the junction within TIE_S of another one."""
TIE_S = 0.5
ARRIVALS_S = 25.0
APPROACH_BRAKING = 1.2  # m/s²: vehicles appear no faster than this stops them before the line
APPEAR_M = (25.0, 70.0)
LAWFUL = tuple(name for name in STYLES if name not in RULE_BREAKERS)
KIND_MIX = {Kind.CAR: 0.76, Kind.VAN: 0.08, Kind.TRUCK: 0.05, Kind.BUS: 0.03, Kind.MOTORCYCLE: 0.04, Kind.BICYCLE: 0.04}
SHORT_ARM_M = 40.0
"""On arms shorter than this only cars and motorcycles appear: nothing else could turn up there at speed."""
PEDESTRIANS = (2, 6)
COUNTED = (EventKind.COLLISION, EventKind.DEADLOCK, EventKind.OFFROAD)
FAILURES_KEPT = 20
"""Failures of each sort that an outcome carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One collision, deadlock, off-road or unfinished road user, with what is needed to see it again."""

    what: str
    seed: int
    tick: int
    speed: float
    actors: tuple[dict[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Counts over episodes. pairs: kinds of the two that collided -> how often; unfinished: still on the road at the end."""

    map: str
    episodes: int
    first_seed: int
    vehicles: int
    pedestrians: int
    collisions: int
    collision_episodes: int
    deadlocks: int
    deadlock_episodes: int
    offroad: int
    unfinished: int
    unfinished_episodes: int
    hard_braking: int
    mean_delay_s: float
    cpu_s: float
    pairs: dict[str, int]
    offroad_kinds: dict[str, int]
    failures: tuple[Failure, ...]


def _arrival_times(draw: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(count,) nominal times [s] at the line; about TIE_SHARE of them within TIE_S of an earlier one."""
    times = np.empty(count)
    for k in range(count):
        if k > 0 and draw.random() < TIE_SHARE:
            times[k] = times[int(draw.integers(k))] + draw.uniform(-TIE_S, TIE_S)
        else:
            times[k] = draw.uniform(0.0, ARRIVALS_S)
    return times


def _kind(draw: np.random.Generator, room: float) -> Kind:
    kind = list(KIND_MIX)[int(draw.choice(len(KIND_MIX), p=list(KIND_MIX.values())))]
    return kind if room >= SHORT_ARM_M or kind == Kind.MOTORCYCLE else Kind.CAR


@cache
def _long_vehicles(map_name: str) -> LongVehicles:
    return LongVehicles(site(map_name).road_map)


def _planned(map_name: str, first: int, kind: Kind) -> tuple[Movement, Kind]:
    """The movement drawn, or the next one on which this kind fits; a car where it fits on none."""
    movements, long_vehicles = site(map_name).movements, _long_vehicles(map_name)
    for movement in (*movements[first:], *movements[:first]):
        if long_vehicles.fit(SPECS[kind], movement.route.lanes) and (SPECS[kind].length < LONG or movement.line >= SHORT_ARM_M):
            return movement, kind
    return movements[first], Kind.CAR


def _vehicle(map_name: str, draw: np.random.Generator, k: int, at_line_s: float) -> Actor:
    """Vehicle k, due at the line at about `at_line_s`; long ones only where their way is planned."""
    place = site(map_name)
    first = int(draw.integers(len(place.movements)))
    movement, kind = _planned(map_name, first, _kind(draw, place.movements[first].line))
    style = LAWFUL[int(draw.integers(len(LAWFUL)))]
    distance = min(float(draw.uniform(*APPEAR_M)), room_before(movement, SPECS[kind].length))
    fastest = 5.0 if kind == Kind.BICYCLE else 0.9 * movement.limit
    speed = min(fastest, float(np.sqrt(2.0 * APPROACH_BRAKING * max(distance - 3.0, 0.0))))
    nominal = distance / max(0.7 * speed, 1.0)
    return car(
        place,
        movement,
        name=f"v{k}",
        distance=distance,
        speed=speed,
        depart_s=max(at_line_s + 6.0 - nominal, 0.0),
        style=style,
        kind=kind,
    )


def _walker(place: Site, draw: np.random.Generator, k: int) -> Actor:
    """A pedestrian who starts a few metres before a crosswalk."""
    route: Route = place.walks[int(draw.integers(len(place.walks)))]
    length = float(place.road_map.lanes["length"][route.lanes[0]])
    s = max(length - float(draw.uniform(2.0, 10.0)), 0.0)
    return Actor(
        name=f"p{k}",
        kind=Kind.PEDESTRIAN,
        model=Model.PEDESTRIAN,
        route=route,
        s=s,
        depart_s=float(draw.uniform(0.0, ARRIVALS_S)),
    )


def four_way_scenario(map_name: str, seed: int) -> Scenario:
    """The episode of one seed: 2-10 vehicles of any kind and lawful style, and pedestrians where the map has crosswalks."""
    place = site(map_name)
    draw = generator(seed, Purpose.SCENARIO)
    times = _arrival_times(draw, int(draw.integers(CARS[0], CARS[1] + 1)))
    actors = [_vehicle(map_name, draw, k, float(at)) for k, at in enumerate(times)]
    if place.walks:
        actors += [_walker(place, draw, k) for k in range(int(draw.integers(PEDESTRIANS[0], PEDESTRIANS[1] + 1)))]
    return Scenario(name=f"bench_{map_name}", road_map=place.road_map, actors=tuple(actors), seed=seed, duration_s=DURATION_S)


def describe(world: World, w: int, a: int) -> dict[str, object]:
    """What one road user is and does at this tick, for a report on a failure."""
    actor, body, mind = world.scenarios[w].actors[a], world.state.bodies[w, a], world.state.minds[w, a]
    road_map = world.road_maps[w]
    lane = int(mind["lane"])
    return {
        "slot": a,
        "kind": Kind(int(body["kind"])).name.lower(),
        "style": actor.style,
        "route": [road_map.lane_names[k] for k in actor.route.lanes] if actor.route else [],
        "lane": road_map.lane_names[lane] if 0 <= lane < len(road_map.lane_names) else "",
        "s": round(float(mind["s"]), 2),
        "d": round(float(mind["d"]), 2),
        "x": round(float(body["x"]), 2),
        "y": round(float(body["y"]), 2),
        "heading": round(float(body["heading"]), 3),
        "speed": round(float(body["speed"]), 2),
        "accel": round(float(body["accel"]), 2),
        "reason": Reason(int(mind["reason"])).name,
        "other": int(mind["other"]),
        "stop_distance": round(float(mind["stop_distance"]), 2),
        "lead": int(mind["lead"]),
        "lead_gap": round(float(mind["lead_gap"]), 2),
        "arrived_tick": int(body["arrived_tick"]),
        "entered_tick": int(body["entered_tick"]),
        "wait_ticks": int(mind["wait_ticks"]),
        "claimed_tick": int(mind["claimed_tick"]),
    }


def _new_failures(world: World, seen: NDArray[np.int64]) -> Iterator[tuple[EventKind, Failure]]:
    """Counted events since `seen` (updated), described at this tick."""
    counts = world.state.worlds["event_count"]
    for w in np.flatnonzero(counts > seen).tolist():
        for event in world.events(w)[int(seen[w]) :]:
            kind = EventKind(int(event["kind"]))
            if kind in COUNTED:
                actors = tuple(describe(world, w, int(a)) for a in (event["a"], event["b"]) if a >= 0)
                speed = round(float(event["speed"]), 2)
                seed = world.scenarios[w].seed
                yield kind, Failure(what=kind.name.lower(), seed=seed, tick=int(event["tick"]), speed=speed, actors=actors)
        seen[w] = counts[w]


def _unfinished(world: World) -> list[Failure]:
    """One entry for each world with road users still about."""
    left = (world.state.bodies["status"] == Status.ACTIVE) | (world.state.bodies["status"] == Status.WAITING)
    found = []
    for w, scenario in enumerate(world.scenarios):
        slots = [a for a in range(len(scenario.actors)) if left[w, a]]
        if slots:
            actors = tuple(describe(world, w, a) for a in slots)
            found.append(Failure(what="unfinished", seed=scenario.seed, tick=world.tick, speed=0.0, actors=actors))
    return found


def _delays(world: World) -> NDArray[np.float64]:
    """(F,) time lost [s] by each vehicle that finished, against driving its route at 0.9 of the speed limit throughout."""
    lost = []
    for w, scenario in enumerate(world.scenarios):
        for a, actor in enumerate(scenario.actors):
            body = world.state.bodies[w, a]
            if body["status"] == Status.FINISHED and actor.model == Model.NEGOTIATOR:
                limit = float(world.road_maps[w].lane_points(actor.route.lanes[0])["speed_limit"][0]) if actor.route else 1.0
                lost.append(
                    (int(body["finished_tick"]) - int(body["depart_tick"])) * TICK_S - float(body["distance"]) / (0.9 * limit)
                )
    return np.array(lost)


def run_block(map_name: str, first_seed: int, episodes: int) -> Outcome:
    """Step one batch of episodes to its end."""
    start = time.process_time()
    world = World([four_way_scenario(map_name, seed) for seed in range(first_seed, first_seed + episodes)], traced=False)
    seen = np.zeros(episodes, np.int64)
    failures: list[Failure] = []
    hardest = np.zeros(world.state.bodies.shape, np.float32)
    status = world.state.bodies["status"]
    unused = np.arange(world.slots)[None, :] >= np.array([len(s.actors) for s in world.scenarios])[:, None]
    for _ in range(round(DURATION_S / TICK_S)):
        world.step()
        failures += [failure for _, failure in _new_failures(world, seen)]
        np.minimum(hardest, world.state.bodies["accel"], out=hardest)
        if world.tick % 20 == 0 and np.all(unused | (status == Status.FINISHED)):
            break
    late = _unfinished(world)
    by_kind = {kind: [f for f in failures if f.what == kind.name.lower()] for kind in COUNTED}
    hits, jams, off = (by_kind[kind] for kind in COUNTED)
    walking = world.state.bodies["kind"] == Kind.PEDESTRIAN
    delays = _delays(world)
    return Outcome(
        map=map_name,
        episodes=episodes,
        first_seed=first_seed,
        vehicles=int(np.sum(~unused & ~walking)),
        pedestrians=int(np.sum(~unused & walking)),
        collisions=len(hits),
        collision_episodes=len({f.seed for f in hits}),
        deadlocks=len(jams),
        deadlock_episodes=len({f.seed for f in jams}),
        offroad=len(off),
        unfinished=sum(len(f.actors) for f in late),
        unfinished_episodes=len(late),
        hard_braking=int(np.sum((hardest < -4.0) & ~walking)),
        mean_delay_s=float(delays.mean()) if len(delays) else 0.0,
        cpu_s=time.process_time() - start,
        pairs=dict(Counter(" + ".join(sorted(str(actor["kind"]) for actor in f.actors)) for f in hits)),
        offroad_kinds=dict(Counter(str(f.actors[0]["kind"]) for f in off)),
        failures=tuple(failure for sort in (hits, jams, off, late) for failure in sort[:FAILURES_KEPT]),
    )


def sources_key() -> str:
    """Hash of every source that an outcome depends on."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.blake2b(digest_size=6)
    for folder in (root / "sim", root / "scenarios" / "formats", Path(__file__).resolve().parent):
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _load(path: Path) -> Outcome:
    raw = json.loads(path.read_text())
    failures = tuple(Failure(**{**failure, "actors": tuple(failure["actors"])}) for failure in raw.pop("failures"))
    return Outcome(**raw, failures=failures)


def join(parts: list[Outcome]) -> Outcome:
    """Sum of outcomes of disjoint blocks of one map."""
    total = {name: sum(getattr(part, name) for part in parts) for name in _SUMMED}
    pairs, off = Counter[str](), Counter[str]()
    for part in parts:
        pairs.update(part.pairs)
        off.update(part.offroad_kinds)
    every = [f for part in parts for f in part.failures]
    failures = [f for what in _ORDER for f in [g for g in every if g.what == what][:FAILURES_KEPT]]
    delay = sum(part.mean_delay_s * part.vehicles for part in parts) / max(total["vehicles"], 1)
    return Outcome(
        map=parts[0].map,
        first_seed=parts[0].first_seed,
        mean_delay_s=delay,
        pairs=dict(pairs.most_common()),
        offroad_kinds=dict(off.most_common()),
        failures=tuple(failures),
        **total,
    )


SHOWN = 4
_ORDER = ("collision", "deadlock", "offroad", "unfinished")
_SUMMED = (
    "episodes",
    "vehicles",
    "pedestrians",
    "collisions",
    "collision_episodes",
    "deadlocks",
    "deadlock_episodes",
    "offroad",
    "unfinished",
    "unfinished_episodes",
    "hard_braking",
    "cpu_s",
)


def four_way_episodes(map_name: str, episodes: int, first_seed: int = 0, out: Path | None = None) -> Outcome:
    """Outcome of `episodes` seeds from `first_seed` on; blocks that `out` holds already, made with these sources, are kept."""
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes!r}")
    key = sources_key() if out is not None else ""
    parts = []
    for seed in range(first_seed, first_seed + episodes, BLOCK):
        count = min(BLOCK, first_seed + episodes - seed)
        path = out / f"{map_name}-{seed}-{count}-{key}.json" if out is not None else None
        if path is not None and path.is_file():
            parts.append(_load(path))
            continue
        parts.append(run_block(map_name, seed, count))
        if path is not None:
            write_json(path, asdict(parts[-1]))
    return join(parts)


def report(outcome: Outcome) -> list[str]:
    """Lines for people: counts, rates with their upper 95 % bounds, and the first failures."""
    lines = [
        f"{outcome.map}: {outcome.episodes} episodes from seed {outcome.first_seed}, {outcome.vehicles} vehicles, "
        f"{outcome.pedestrians} pedestrians, {outcome.cpu_s:.0f} CPU-s",
    ]
    for name in ("collision", "deadlock", "unfinished"):
        rate = clopper_pearson(getattr(outcome, f"{name}_episodes"), outcome.episodes)
        total = getattr(outcome, {"collision": "collisions", "deadlock": "deadlocks", "unfinished": "unfinished"}[name])
        lines.append(f"  {name:10s} {rate.count:5d} episodes ({total} in all), at most {100.0 * rate.high:.3f} % of episodes")
    lines.append(f"  off road {outcome.offroad} {outcome.offroad_kinds}; braking over 4 m/s²: {outcome.hard_braking}")
    lines.append(f"  delay {outcome.mean_delay_s:.1f} s a vehicle; collisions by kind: {outcome.pairs}")
    for failure in [f for what in _ORDER for f in [g for g in outcome.failures if g.what == what][:SHOWN]]:
        lines.append(f"  {failure.what} seed {failure.seed} tick {failure.tick} at {failure.speed} m/s")
        lines += [f"    {actor}" for actor in failure.actors[:4]]
    return lines
