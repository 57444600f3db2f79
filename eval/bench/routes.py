"""Random drives on real maps: `rules` takes an ego along random routes among traffic on random routes, and what goes wrong.

One row a drive; a finished file's rows are kept as JSON, so that an interrupted run goes on with the next file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.bench.traffic_episodes import describe, sources_key
from eval.bench.traffic_places import data_folder
from eval.outputs import write_json
from scenarios.formats.opendrive import load_opendrive
from sim.interface import TICK_S
from sim.rng import Purpose, generator
from sim.roads.lane_map import LaneKind, LaneMap
from sim.roads.route import Route, random_route, route_length
from sim.scenario import Actor, Model, Scenario
from sim.state import CONTROL_DTYPE, EventKind, Reason, Status
from sim.traffic.rules import RulesDriver
from sim.world import World

DURATION_S = 60.0
SEEDS = 20
BEND_AHEAD_M = 25.0
BEND_ACCEL = 2.0  # m/s² to the side at which a car may start in a bend
EGO_ROUTE_M = 300.0
TRAFFIC_ROUTE_M = 250.0
METRES_A_CAR = 60.0
CARS = (3, 20)
START_LANE_M = 12.0
APART_M = 25.0
START_SHARE = 0.5
"""Of the speed limit: slow enough that nobody starts in a situation without a way out."""
CHANGE_M = 80.0
"""A start whose first step is a lane change has this much of its lane left for it."""
FAILURES_KEPT = 20
STUCK_TICKS = 200
"""An ego that has stood this long at the end, and not for a red light, is stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One ego drive. km: driven by ego; traffic_km: by the others. Counts of events; first: the first one of them, described."""

    map: str
    seed: int
    route_m: float
    km: float
    traffic_km: float
    cars: int
    completed: bool
    time_s: float
    ego_collisions: int
    ego_at_fault: int
    traffic_collisions: int
    ego_offroad: int
    traffic_offroad: int
    deadlocks: int
    stuck: bool
    first: str


def _start_lanes(road_map: LaneMap) -> list[int]:
    lanes = road_map.lanes
    usable = (lanes["kind"] == LaneKind.DRIVING) & (lanes["junction"] < 0) & (lanes["length"] > START_LANE_M)
    return [int(lane) for lane in np.flatnonzero(usable)]


def _placed(road_map: LaneMap, route: Route, s: float, *, name: str, model: Model, seed: int) -> Actor:
    """A car at `s` of its route's first lane, no faster than stops it before the lane ends and holds it in the bends to come."""
    lane = route.lanes[0]
    points = road_map.lane_points(lane)
    limit = float(points["speed_limit"][0])
    room = max(float(road_map.lanes["length"][lane]) - s - 5.0, 0.0)
    ahead = np.arange(len(points)) * float(road_map.lanes["spacing"][lane]) - s
    bends = np.abs(points["curvature"][(ahead > -5.0) & (ahead < BEND_AHEAD_M)])
    in_bend = float(np.sqrt(BEND_ACCEL / max(float(bends.max(initial=0.0)), 1e-4)))
    speed = min(START_SHARE * limit, float(np.sqrt(2.0 * 1.5 * room)), in_bend)
    styles = ("normal", "calm", "brisk", "courteous")
    style = "normal" if model == Model.EXTERNAL else styles[seed % len(styles)]
    return Actor(
        name=name, model=model, route=route, s=s, speed=speed, style=style, driver="rules" if model == Model.EXTERNAL else ""
    )


def drive_scenario(road_map: LaneMap, seed: int) -> Scenario:
    """Ego and traffic of one seed; traffic never starts on top of anybody."""
    draw = generator(seed, Purpose.PLACEMENT)
    lanes = _start_lanes(road_map)
    ego_route = _ego_route(road_map, seed, lanes)
    actors = [_placed(road_map, ego_route, 5.0, name="ego", model=Model.EXTERNAL, seed=seed)]
    taken = [_point(road_map, ego_route.lanes[0], 5.0)]
    total = float(road_map.lanes["length"][lanes].sum())
    wanted = int(np.clip(total / METRES_A_CAR, *CARS))
    for k in range(4 * wanted):
        if len(actors) > wanted:
            break
        route = random_route(road_map, seed * 1000 + k + 1, TRAFFIC_ROUTE_M, lanes)
        s = float(draw.uniform(5.0, float(road_map.lanes["length"][route.lanes[0]]) - 5.0))
        place = _point(road_map, route.lanes[0], s)
        apart = [float(np.hypot(*(place - other))) for other in taken]
        if min(apart) > APART_M and s < min(route_length(road_map, route), _latest_start(road_map, route)):
            actors.append(_placed(road_map, route, s, name=f"t{k}", model=Model.NEGOTIATOR, seed=seed + k))
            taken.append(place)
    return Scenario(name="drive", road_map=road_map, actors=tuple(actors), seed=seed, ego=0, duration_s=DURATION_S)


def _latest_start(road_map: LaneMap, route: Route) -> float:
    """Largest s [m] on its first lane from which a route can be begun: changes of lane need room."""
    length = float(road_map.lanes["length"][route.lanes[0]])
    changes = len(route.lanes) > 1 and route.lanes[1] not in road_map.lane_successors(route.lanes[0])
    return length - CHANGE_M if changes else length


def _ego_route(road_map: LaneMap, seed: int, lanes: list[int]) -> Route:
    """A random route that does not begin with a change of lane there is no room for; where all do, without that change."""
    for attempt in range(20):
        route = random_route(road_map, seed + 100_000 * attempt, EGO_ROUTE_M, lanes)
        if _latest_start(road_map, route) > 5.0:
            return route
    return Route(lanes=route.lanes[1:], goal_s=route.goal_s)


def _point(road_map: LaneMap, lane: int, s: float) -> NDArray[np.float64]:
    points = road_map.lane_points(lane)
    index = min(round(s / float(road_map.lanes["spacing"][lane])), len(points) - 1)
    return np.array([points["x"][index], points["y"][index]])


def _thought(trace: Mapping[str, NDArray[np.generic]]) -> str:
    """What the ego's driver says of its decision: the reason and whom it is about."""
    return f"{Reason(int(trace['reason'])).name} {int(trace['other'])}"


def _first_event(world: World, w: int, seen: int, thought: str) -> str:
    """The world's first collision, off-road or deadlock among events from `seen` on, described at this tick; empty for none."""
    for event in world.events(w)[seen:]:
        kind = EventKind(int(event["kind"]))
        if kind in (EventKind.COLLISION, EventKind.OFFROAD, EventKind.DEADLOCK):
            actors = [describe(world, w, int(a)) for a in (event["a"], event["b"]) if a >= 0]
            return json.dumps(
                {
                    "what": kind.name.lower(),
                    "tick": int(event["tick"]),
                    "speed": round(float(event["speed"]), 2),
                    "ego": thought,
                    "actors": actors,
                }
            )
    return ""


def run_drives(road_map: LaneMap, name: str, seeds: Sequence[int]) -> list[Drive]:
    """Drive every seed in one batch; each ego has a driver and a memory of its own."""
    world = World([drive_scenario(road_map, seed) for seed in seeds], traced=False)
    driver = RulesDriver()
    memories = []
    for scenario in world.scenarios:
        ego = scenario.actors[0]
        if ego.route is None:
            raise ValueError(f"ego of seed {scenario.seed} has no route")
        memories.append(driver.start(road_map, ego.route, ego.body, scenario.seed))
    controls = np.zeros(world.state.bodies.shape, CONTROL_DTYPE)
    thoughts = [""] * len(seeds)
    firsts, seen = [""] * len(seeds), np.zeros(len(seeds), np.int64)
    status, distance = world.state.bodies["status"], np.zeros(len(seeds))
    last_moved = np.zeros(len(seeds))
    for _ in range(round(DURATION_S / TICK_S)):
        for w in range(len(seeds)):
            if status[w, 0] == Status.ACTIVE and not world.state.bodies["crashed"][w, 0]:
                step = driver.step(world.frame(w, 0), memories[w])
                memories[w], control = step.memory, step.control
                thoughts[w] = _thought(step.trace)
                controls[w, 0] = (
                    control.accel,
                    control.steer,
                    int(control.indicator),
                    int(control.gear),
                    int(control.gesture),
                    1,
                )
        world.step(controls)
        distance += np.where(status[:, 0] == Status.ACTIVE, np.abs(world.state.bodies["speed"][:, 0]) * TICK_S, 0.0)
        last_moved[np.abs(world.state.bodies["speed"][:, 0]) > 0.3] = world.tick
        counts = world.state.worlds["event_count"]
        for w in np.flatnonzero(counts > seen).tolist():
            firsts[w] = firsts[w] or _first_event(world, w, int(seen[w]), thoughts[w])
            seen[w] = counts[w]
        if np.all(status[:, 0] == Status.FINISHED):
            break
    waiting = np.array([thought.startswith(Reason.SIGNAL.name) for thought in thoughts])
    stuck = (world.tick - last_moved > STUCK_TICKS) & (status[:, 0] == Status.ACTIVE) & ~waiting
    for w in np.flatnonzero(stuck).tolist():
        if not firsts[w]:
            firsts[w] = json.dumps({"what": "stuck", "tick": world.tick, "ego": thoughts[w], "actors": [describe(world, w, 0)]})
    return [_judged(world, name, w, float(distance[w]), firsts[w], bool(stuck[w])) for w in range(len(seeds))]


def _judged(world: World, name: str, w: int, metres: float, first: str, stuck: bool) -> Drive:
    """The row of one drive."""
    scenario, events, bodies = world.scenarios[w], world.events(w), world.state.bodies[w]
    hit = events[events["kind"] == EventKind.COLLISION]
    mine = (hit["a"] == 0) | (hit["b"] == 0)
    fault = ((hit["a"] == 0) & (hit["fault_a"] == 1)) | ((hit["b"] == 0) & (hit["fault_b"] == 1))
    off = events[events["kind"] == EventKind.OFFROAD]["a"]
    completed = bool(bodies["status"][0] == Status.FINISHED)
    finished = int(bodies["finished_tick"][0])
    route = scenario.actors[0].route
    return Drive(
        map=name,
        seed=scenario.seed,
        route_m=route_length(world.road_maps[w], route) if route else 0.0,
        km=metres / 1000.0,
        traffic_km=float(bodies["distance"][1:].sum()) / 1000.0,
        cars=len(scenario.actors) - 1,
        completed=completed,
        time_s=(finished if completed else world.tick) * TICK_S,
        ego_collisions=int(mine.sum()),
        ego_at_fault=int(fault.sum()),
        traffic_collisions=int((~mine).sum()),
        ego_offroad=int(np.sum(off == 0)),
        traffic_offroad=int(np.sum(off != 0)),
        deadlocks=int(np.sum(events["kind"] == EventKind.DEADLOCK)),
        stuck=stuck,
        first=first,
    )


def real_map_drives(
    paths: Sequence[Path] | None = None, seeds: Sequence[int] = range(SEEDS), out: Path | None = None
) -> list[Drive]:
    """Drives on each file (None: every .xodr under AVSTACK_DATA); what `out` holds already, made with these sources, is kept.

    InputError where a file cannot be read or AVSTACK_DATA is unset.
    """
    files = sorted((data_folder() / "opendrive").rglob("*.xodr")) if paths is None else list(paths)
    key = sources_key() if out is not None else ""
    drives: list[Drive] = []
    for file in files:
        kept = out / f"{file.stem}-{seeds[0]}-{len(seeds)}-{key}.json" if out is not None else None
        if kept is not None and kept.is_file():
            drives += [Drive(**row) for row in json.loads(kept.read_text())]
            continue
        rows = run_drives(load_opendrive(file), file.stem, seeds)
        if kept is not None:
            write_json(kept, [asdict(row) for row in rows])
        drives += rows
    return drives


def report(drives: Sequence[Drive]) -> list[str]:
    """Lines for people: one a map, then the first failures."""
    lines = [
        f"{'map':28s} {'drives':>6s} {'done':>5s} {'stuck':>5s} {'km':>6s} {'traf km':>7s} {'ego coll':>8s} {'fault':>5s}"
        f" {'traf coll':>9s} {'ego off':>7s} {'traf off':>8s} {'jams':>5s}"
    ]
    for name in dict.fromkeys(drive.map for drive in drives):
        rows = [drive for drive in drives if drive.map == name]
        total = {field: sum(getattr(row, field) for row in rows) for field in _SUMMED}
        lines.append(
            f"{name:28s} {len(rows):6d} {total['completed']:5d} {total['stuck']:5d} {total['km']:6.2f} {total['traffic_km']:7.1f}"
            f" {total['ego_collisions']:8d} {total['ego_at_fault']:5d} {total['traffic_collisions']:9d} {total['ego_offroad']:7d}"
            f" {total['traffic_offroad']:8d} {total['deadlocks']:5d}"
        )
    failed = [drive for drive in drives if drive.first][:FAILURES_KEPT]
    return [*lines, *(f"  {drive.map} seed {drive.seed}: {drive.first}" for drive in failed)]


_SUMMED = (
    "completed",
    "stuck",
    "km",
    "traffic_km",
    "ego_collisions",
    "ego_at_fault",
    "traffic_collisions",
    "ego_offroad",
    "traffic_offroad",
    "deadlocks",
)
