"""How fast the environments are: batches with every agent driven, one small world, wide observations, copies and threads.

An agent-step is one driven agent on the road for one tick of 0.1 s: its action, two physics substeps, contact, off-road, reward,
ending and observation. CPU time is this thread's; figures are medians of `repeats` runs, one thread but where two are named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TypedDict

import numpy as np

from eval.bench.highway import HighwayUnavailableError, measure_highway
from eval.bench.sim import crossing_routes, crossing_scenario, driven_scenario
from eval.sumo import given_to_sumo, started
from scenarios.errors import InputError
from sim.envs import BatchEnv, EnvConfig
from sim.envs.crew import Crew
from sim.envs.vector import size
from sim.jit import kernel
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.scenario import Scenario
from sim.warm import warm_up

WARM_TICKS = 20
EPISODES = 8
SPIN_ROUNDS = 1_000_000
PLAIN = EnvConfig(agents="all", copy=False, autoreset="SameStep", duration_s=1e4)
"""Every agent driven, views instead of copies."""
WIDE = replace(PLAIN, neighbours=13, path_points=277, path_step=0.5)
"""1,851 floats, as many as a compiled peer writes: 13 neighbours, 138 m of route and both edges in steps of half a metre."""
CROSSING = replace(PLAIN, action="target_speed", duration_s=20.0)
"""Agents who steer along their route and pick a speed, at an all-way stop; episodes of 20 s."""


class EnvFigures(TypedDict):
    """What `run_bench` measures. Names that end in _copied are with copied observations, the default of an environment.

    two_threads_control: what the machine gives: as two_threads_over_one, of work that needs nothing but registers."""

    agent_steps_per_cpu_s: float
    agent_steps_per_cpu_s_1024: float
    agent_steps_per_cpu_s_copied: float
    agent_steps_per_cpu_s_1024_copied: float
    agent_steps_per_cpu_s_1847: float
    agent_steps_per_cpu_s_1847_copied: float
    agent_steps_per_cpu_s_crossing: float
    two_threads_over_one: float
    two_threads_control: float
    step_us_1x14: float
    step_us_1x14_copied: float
    step_us_1x14_1847: float
    reset_us: float
    megabytes_per_1000_agents: float
    observation_floats: int
    highway_vehicle_ticks_per_cpu_s: float | None
    ratio_to_highway: float | None
    sumo_vehicle_ticks_per_cpu_s: float | None
    ratio_to_sumo: float | None
    what_ran: str


def _actions(env: BatchEnv) -> np.ndarray:
    """A straight course with a little acceleration, or half the speed that is allowed."""
    actions = np.zeros(env.action_shape, np.float32)
    if env.config.action == "continuous":
        actions[..., 0] = 0.02
    return actions


def _ready(scenarios: Sequence[Scenario], worlds: int, config: EnvConfig) -> tuple[BatchEnv, np.ndarray]:
    env = BatchEnv(scenarios, worlds, config)
    env.reset(list(range(worlds)))
    actions = _actions(env)
    for _ in range(WARM_TICKS):
        env.step(actions)
    return env, actions


def _agent_steps(env: BatchEnv, actions: np.ndarray, ticks: int, clock: Callable[[], float]) -> float:
    """Agent-steps per second of `clock`."""
    steps = 0
    spent = 0.0
    for _ in range(ticks):
        steps += int(np.count_nonzero(env.tables.agents["present"]))
        start = clock()
        env.step(actions)
        spent += clock() - start
    return steps / spent


def _step_us(env: BatchEnv, actions: np.ndarray, ticks: int) -> float:
    start = time.thread_time()
    for _ in range(ticks):
        env.step(actions)
    return 1e6 * (time.thread_time() - start) / ticks


def _reset_us(env: BatchEnv, times: int) -> float:
    """Microseconds to begin an episode in one world of a batch."""
    mask = np.zeros(env.worlds, np.bool_)
    mask[0] = True
    start = time.thread_time()
    for _ in range(times):
        env.reset(worlds=mask)
    return 1e6 * (time.thread_time() - start) / times


def run_bench(repeats: int = 5, peer_s: float = 5.0) -> EnvFigures:
    """Run every measurement; about a minute. The figures of a peer that cannot be installed are None."""
    warm_up(environments=True)
    road = assemble(BUILDERS["straight"](length=600.0, lanes=2))
    crossing = assemble(BUILDERS["four_way"](control="all_way", arm_length=150.0))
    routes = crossing_routes(crossing)
    many = [driven_scenario(road, seed, 32) for seed in range(EPISODES)]
    few = [driven_scenario(road, seed, 14) for seed in range(EPISODES)]
    stops = [crossing_scenario(crossing, routes, seed, 32) for seed in range(EPISODES)]

    def rate(scenarios: Sequence[Scenario], worlds: int, config: EnvConfig, ticks: int) -> float:
        env, actions = _ready(scenarios, worlds, config)
        clock = time.perf_counter if config.threads > 1 else time.thread_time
        return median(_agent_steps(env, actions, ticks, clock) for _ in range(repeats))

    def cost(config: EnvConfig) -> float:
        env, actions = _ready(few, 1, config)
        return median(_step_us(env, actions, 60) for _ in range(repeats))

    copied = replace(PLAIN, copy=True)
    first, _ = _ready(many, 64, PLAIN)
    threads, control = _threads(many, repeats)
    figures = EnvFigures(
        agent_steps_per_cpu_s=rate(many, 64, PLAIN, 40),
        agent_steps_per_cpu_s_1024=rate(many, 1024, PLAIN, 8),
        agent_steps_per_cpu_s_copied=rate(many, 64, copied, 40),
        agent_steps_per_cpu_s_1024_copied=rate(many, 1024, copied, 8),
        agent_steps_per_cpu_s_1847=rate(few, 64, WIDE, 40),
        agent_steps_per_cpu_s_1847_copied=rate(few, 64, replace(WIDE, copy=True), 40),
        agent_steps_per_cpu_s_crossing=rate(stops, 64, CROSSING, 200),
        two_threads_over_one=threads,
        two_threads_control=control,
        step_us_1x14=cost(PLAIN),
        step_us_1x14_copied=cost(copied),
        step_us_1x14_1847=cost(WIDE),
        reset_us=median(_reset_us(first, 100) for _ in range(repeats)),
        megabytes_per_1000_agents=first.nbytes() / (first.worlds * first.agents) / 1e3,
        observation_floats=size(PLAIN),
        highway_vehicle_ticks_per_cpu_s=None,
        ratio_to_highway=None,
        sumo_vehicle_ticks_per_cpu_s=None,
        ratio_to_sumo=None,
        what_ran=(
            f"64 and 1024 worlds x 32 agents on a road, {size(PLAIN)} floats each; 64 x 14 with {size(WIDE)} floats; 64 x 32 at "
            "an all-way stop with target speeds; one world of 14"
        ),
    )
    _compare(figures, stops, peer_s)
    return figures


def _compare(figures: EnvFigures, stops: Sequence[Scenario], seconds: float) -> None:
    """Measure the peers, `seconds` of CPU time each, and how many times faster environments are at an all-way stop."""
    ours = figures["agent_steps_per_cpu_s_crossing"]
    try:
        peer = measure_highway(seconds)["vehicle_ticks_per_cpu_s"]
        figures["highway_vehicle_ticks_per_cpu_s"], figures["ratio_to_highway"] = peer, ours / peer
    except HighwayUnavailableError as error:
        figures["what_ran"] += f"; no highway-env: {error}"
    try:
        peer = measure_sumo(stops, seconds)
        figures["sumo_vehicle_ticks_per_cpu_s"], figures["ratio_to_sumo"] = peer, ours / peer
    except InputError as error:
        figures["what_ran"] += f"; no SUMO: {error}"


def measure_sumo(stops: Sequence[Scenario], seconds: float) -> float:
    """Vehicle-ticks per CPU second of SUMO (libsumo, steps of 0.1 s) at the same all-way stop with the same vehicles.

    InputError where SUMO is not installed. SUMO drives; nobody observes, and contact is not looked for.
    """
    ticks, spent = 0, 0.0
    while spent < seconds:
        scenario = stops[ticks % len(stops)]
        actors = tuple(given_to_sumo(actor, scenario.duration_s) for actor in scenario.actors)
        with started(replace(scenario, actors=actors, ego=None)) as sumo:
            for _ in range(round(10.0 * (CROSSING.duration_s or scenario.duration_s))):
                start = time.thread_time()
                sumo.simulationStep()
                spent += time.thread_time() - start
                ticks += int(sumo.vehicle.getIDCount())
    return ticks / spent


@kernel
def _spin(rounds: int) -> int:
    """Work that touches no memory; 0 to whoever counts endings."""
    x = 0.5
    for _ in range(rounds):
        x = 1.0 - x * x
    return 1 if x > 2.0 else 0


def _spins(crew: Crew | None, rounds: int, times: int) -> float:
    """Rounds per second of the clock, as many calls in all as there are two threads; one thread makes both where it is alone."""
    calls = [partial(_spin, rounds)] * 2
    start = time.perf_counter()
    for _ in range(times):
        sum(call() for call in calls) if crew is None else crew.run(calls)
    return 2 * rounds * times / (time.perf_counter() - start)


def _threads(scenarios: Sequence[Scenario], repeats: int) -> tuple[float, float]:
    """How many times faster two threads are by the clock on the wall, 256 worlds, and how many times a loop in registers is that
    takes as long and is shared out alike; runs with one and two alternate."""
    pairs = [_ready(scenarios, 256, replace(PLAIN, threads=threads)) for threads in (1, 2)]
    crew = Crew(1)
    _spins(None, 1, 1)  # compiles
    step_s = _step_us(*pairs[0], 20) * 1e-6
    rounds = round(0.5 * step_s * _spins(None, SPIN_ROUNDS, 1))
    gains, controls = [], []
    for _ in range(repeats):
        one, two = (_agent_steps(*pair, 20, time.perf_counter) for pair in pairs)
        gains.append(two / one)
        one, two = (_spins(who, rounds, 20) for who in (None, crew))
        controls.append(two / one)
    crew.close()
    return median(gains), median(controls)


def format_bench(figures: EnvFigures) -> str:
    """The figures as lines for people."""
    return "\n".join(
        f"{name:36} {value:,.2f}" if isinstance(value, float) else f"{name:36} {value}" for name, value in figures.items()
    )
