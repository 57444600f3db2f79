"""How fast the simulator steps: whole traffic, driven agents, one small world, and what a crowd costs; beside highway-env.

An agent-step is one active moving agent for one tick of 0.1 s: two physics substeps, its driver, contact, off-road, and an
observation of 7 neighbours and 20 route points. CPU time is this thread's; figures are medians of `repeats` runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TypedDict

import numpy as np

from eval.bench.highway import HighwayUnavailableError, measure_highway
from sim.interface import Kind
from sim.observe import SIZE
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route, random_route, shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.state import CONTROL_DTYPE, Status
from sim.warm import warm_up
from sim.world import World

WARM_TICKS = 20
TICKS = 200
ARMS = ("east", "north", "west", "south")
QUEUE_GAP = 17.0  # m between cars that start on one arm
TOWN_BLOCK = 90.0  # m


class SimFigures(TypedDict):
    """What `run_bench` measures; ratios compare vehicle-ticks per CPU second with highway-env's in the same run."""

    agent_steps_per_cpu_s: float
    kinematic_agent_steps_per_cpu_s: float
    single_step_us: float
    cost_per_agent_256_over_16: float
    highway_vehicle_ticks_per_cpu_s: float | None
    ratio_to_highway: float | None
    what_ran: str


def crossing_routes(road_map: LaneMap) -> list[Route]:
    """Every way through a crossing of four arms."""
    pairs = [(a, b) for a in ARMS for b in ARMS if a != b]
    return [shortest_route(road_map, road_map.lane(f"{a}_in_0"), road_map.lane(f"{b}_out_0")) for a, b in pairs]


def crossing_scenario(road_map: LaneMap, routes: Sequence[Route], seed: int, count: int) -> Scenario:
    """`count` cars queued on the arms of an all-way stop, turning at random."""
    random = np.random.default_rng(seed)
    actors = [
        Actor(name=f"car{k}", route=routes[3 * (k % 4) + int(random.integers(3))], s=4.0 + (k // 4) * QUEUE_GAP, speed=5.0)
        for k in range(count)
    ]
    return Scenario(name="all_way_stop", road_map=road_map, actors=tuple(actors), seed=seed)


def driven_scenario(road_map: LaneMap, seed: int, count: int) -> Scenario:
    """`count` cars under external control on a long straight road, all in reach of each other's eyes."""
    lanes = [k for k, name in enumerate(road_map.lane_names) if road_map.lanes["kind"][k] == 0]
    routes = [Route(lanes=(lane,), goal_s=float(road_map.lanes["length"][lane])) for lane in lanes]
    actors = [
        Actor(
            name=f"car{k}",
            kind=Kind.CAR,
            model=Model.EXTERNAL,
            route=routes[k % len(routes)],
            s=5.0 + (k // len(routes)) * 15.0,
            speed=8.0,
        )
        for k in range(count)
    ]
    return Scenario(name="driven", road_map=road_map, actors=tuple(actors), seed=seed, latency_ticks=0)


def _town(seed: int, count: int) -> Scenario:
    """`count` cars on random routes in a grid town that grows with them."""
    side = max(2, round(np.sqrt(count / 4.0)))
    road_map = assemble(BUILDERS["grid_town"](columns=side, rows=side, block=TOWN_BLOCK, crosswalks=False, buildings=False))
    actors: list[Actor] = []
    taken: set[tuple[int, int]] = set()
    attempt = 0
    while len(actors) < count:
        attempt += 1
        route = random_route(road_map, 1000 * seed + attempt, 250.0)
        place = (route.lanes[0], attempt % 3)
        s = 8.0 + 15.0 * place[1]
        if place in taken or s > float(road_map.lanes["length"][route.lanes[0]]) - 12.0:
            continue
        taken.add(place)
        actors.append(Actor(name=f"car{len(actors)}", route=route, s=s, speed=5.0))
    return Scenario(name="grid_town", road_map=road_map, actors=tuple(actors), seed=seed)


def _agent_steps(make: Callable[[], World], controls: Callable[[World], np.ndarray | None], ticks: int) -> float:
    """Agent-steps per CPU second of one run."""
    world = make()
    given = controls(world)
    rows = np.zeros((*world.state.bodies.shape, SIZE), np.float32)
    for _ in range(WARM_TICKS):
        world.step(given)
    world.observe(rows)
    spent = 0.0
    steps = 0
    for _ in range(ticks):
        start = time.thread_time()
        world.step(given)
        world.observe(rows)
        spent += time.thread_time() - start
        steps += int(np.count_nonzero(world.state.bodies["status"] == Status.ACTIVE))
    return steps / spent


def _no_controls(world: World) -> None:
    return None


def _gentle(world: World) -> np.ndarray:
    """Controls that keep a straight course with a little acceleration."""
    controls = np.zeros(world.state.bodies.shape, CONTROL_DTYPE)
    controls["given"] = 1
    controls["accel"] = 0.05
    return controls


def _single_step_us(world: World, ticks: int) -> float:
    """Microseconds of CPU for one step and one observation of one world through the Python interface."""
    rows = np.zeros((*world.state.bodies.shape, SIZE), np.float32)
    for _ in range(WARM_TICKS):
        world.step()
    start = time.thread_time()
    for _ in range(ticks):
        world.step()
        world.observe(rows)
    return 1e6 * (time.thread_time() - start) / ticks


def run_bench(repeats: int = 5, highway_s: float = 5.0) -> SimFigures:
    """Run every measurement; about half a minute. Where highway-env cannot be installed its two figures are None."""
    warm_up()
    crossing = assemble(BUILDERS["four_way"](control="all_way", arm_length=150.0))
    routes = crossing_routes(crossing)
    road = assemble(BUILDERS["straight"](length=600.0, lanes=2))
    traffic = [crossing_scenario(crossing, routes, seed, 32) for seed in range(64)]
    driven = [driven_scenario(road, seed, 32) for seed in range(64)]
    small, large = _town(1, 16), _town(1, 256)

    def repeated(scenarios: Sequence[Scenario], controls: Callable[[World], np.ndarray | None], ticks: int) -> float:
        return median(_agent_steps(lambda: World(scenarios, traced=False), controls, ticks) for _ in range(repeats))

    steps = repeated(traffic, _no_controls, TICKS)
    single = [crossing_scenario(crossing, routes, 7, 14)]
    figures = SimFigures(
        agent_steps_per_cpu_s=steps,
        kinematic_agent_steps_per_cpu_s=repeated(driven, _gentle, TICKS),
        single_step_us=median(_single_step_us(World(single, traced=False), TICKS) for _ in range(repeats)),
        cost_per_agent_256_over_16=repeated([small] * 16, _no_controls, TICKS) / repeated([large], _no_controls, TICKS),
        highway_vehicle_ticks_per_cpu_s=None,
        ratio_to_highway=None,
        what_ran=(
            "64 worlds x 32 cars at an all-way stop (traffic), 64 x 32 externally controlled on a road (kinematic), "
            "1 x 14 (single); contact, off-road and observation of 7 neighbours and 20 route points included; one thread"
        ),
    )
    try:
        peer = measure_highway(highway_s)["vehicle_ticks_per_cpu_s"]
    except HighwayUnavailableError as error:
        figures["what_ran"] += f"; no comparison: {error}"
        return figures
    figures["highway_vehicle_ticks_per_cpu_s"] = peer
    figures["ratio_to_highway"] = steps / peer
    return figures


def format_bench(figures: SimFigures) -> str:
    """The figures as lines for people."""
    return "\n".join(
        f"{name:34} {value:,.2f}" if isinstance(value, float) else f"{name:34} {value}" for name, value in figures.items()
    )
