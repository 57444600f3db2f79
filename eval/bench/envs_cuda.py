"""How fast environments are on a GPU over batch sizes, and whether they do the same there as on the processor.

An agent-step is what it is in `eval.bench.envs`; time is that of the clock on the wall, from the launch of the first step until
the device has finished the last. Actions lie on the device already, as a policy there would leave them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any, TypedDict

import numpy as np

from eval.bench.envs import EPISODES, PLAIN
from eval.bench.sim import crossing_routes, crossing_scenario, driven_scenario
from sim.envs import BatchEnv, EnvConfig
from sim.envs.cuda import CudaBatchEnv, require_device
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.scenario import Scenario

BATCHES = (64, 256, 1024, 4096, 16384)
WORLDS, TICKS = 16, 100
"""Of the comparison with the processor."""
_WARM, _TIMED, _REPEATS = 5, 20, 5


class Equality(TypedDict):
    """Outcomes of TICKS steps of WORLDS worlds. equal_steps: steps from the start on whose numbers are all the same."""

    steps: int
    equal_steps: int
    largest_difference: float


class CudaFigures(TypedDict):
    """What `run_cuda_bench` measures."""

    device: str
    compile_s: float
    agent_steps_per_s: dict[str, float]
    equality_road: Equality
    equality_crossing: Equality


def run_cuda_bench(batches: Sequence[int] = BATCHES) -> CudaFigures:
    """Every measurement. EnvError where there is no GPU."""
    require_device()
    from numba import cuda

    road = assemble(BUILDERS["straight"](length=600.0, lanes=2))
    crossing = assemble(BUILDERS["four_way"](control="all_way", arm_length=150.0))
    routes = crossing_routes(crossing)
    many = [driven_scenario(road, seed, 32) for seed in range(EPISODES)]
    stops = [crossing_scenario(crossing, routes, seed, 16) for seed in range(EPISODES)]
    start = time.perf_counter()
    measure_rate(many, 1, ticks=1)
    compile_s = time.perf_counter() - start
    name = cuda.get_current_device().name if not cuda.config.ENABLE_CUDASIM else "simulator"
    return CudaFigures(
        device=name.decode() if isinstance(name, bytes) else str(name),
        compile_s=compile_s,
        agent_steps_per_s={str(worlds): measure_rate(many, worlds) for worlds in batches},
        equality_road=compare(many, PLAIN),
        equality_crossing=compare(stops, EnvConfig(agents=4, action="target_speed", autoreset="SameStep", duration_s=20.0)),
    )


def measure_rate(scenarios: Sequence[Scenario], worlds: int, ticks: int = _TIMED) -> float:
    """Agent-steps per second of the clock, the median of some runs."""
    from numba import cuda

    env = CudaBatchEnv(scenarios, worlds, PLAIN)
    env.reset(list(range(worlds)))
    actions = np.zeros(env.action_shape, np.float32)
    actions[..., 0] = 0.02
    given = cuda.to_device(actions)
    for _ in range(min(_WARM, ticks)):
        env.step(given)
    rates = []
    for _ in range(_REPEATS if ticks > 1 else 1):
        cuda.synchronize()
        start = time.perf_counter()
        for _ in range(ticks):
            env.step(given)
        cuda.synchronize()
        rates.append(ticks * worlds * env.agents / (time.perf_counter() - start))
    return float(median(rates))


def compare(scenarios: Sequence[Scenario], config: EnvConfig, worlds: int = WORLDS, ticks: int = TICKS) -> Equality:
    """Play the same episodes with the same actions here and on the device."""
    here, there = BatchEnv(scenarios, worlds, replace(config, copy=True)), CudaBatchEnv(scenarios, worlds, config)
    seeds = list(range(worlds))
    here.reset(seeds)
    there.reset(seeds)
    random = np.random.default_rng(0)
    equal, largest = 0, 0.0
    for tick in range(ticks):
        actions = random.uniform(-0.2, 1.0, here.action_shape).astype(np.float32)
        if config.action == "continuous":
            actions[..., 1] *= 0.02  # wheels nearly straight
        one, other = here.step(actions), there.step(actions)
        pairs: list[tuple[Any, Any]] = [(mine, theirs.copy_to_host()) for mine, theirs in zip(one, other, strict=True)]
        largest = max(largest, *(float(np.abs(mine.astype(np.float64) - theirs).max()) for mine, theirs in pairs))
        if equal == tick and all(np.array_equal(mine, theirs) for mine, theirs in pairs):
            equal += 1
    return Equality(steps=ticks, equal_steps=equal, largest_difference=largest)


def format_cuda_bench(figures: CudaFigures) -> str:
    """The figures as lines for people."""
    lines = [f"{figures['device']}; kernels compiled in {figures['compile_s']:.0f} s"]
    lines += [f"{worlds:>6} worlds x 32: {rate:14,.0f} agent-steps/s" for worlds, rate in figures["agent_steps_per_s"].items()]
    for name, one in (("road", figures["equality_road"]), ("all-way stop", figures["equality_crossing"])):
        lines.append(
            f"{name}: {one['equal_steps']} of {one['steps']} steps with the processor's numbers, largest difference "
            f"{one['largest_difference']:.3g}"
        )
    return "\n".join(lines)
