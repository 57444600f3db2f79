"""What a decision costs: this thread's CPU time of `decide` in an all-way stop with 4 to 16 others, and of the whole loop.

Compilation is over before anything is measured: the first seconds of the first episode are driven twice.
"""

from __future__ import annotations

import gc
import time
from typing import TypedDict

import numpy as np

from avstack.behaviours.decide import decide
from avstack.perception.perceive import perceive
from avstack.stack import Joint, StackMemory
from eval.run import Job, prepare
from sim.interface import TICK_S, SensorFrame
from sim.state import CONTROL_DTYPE
from sim.world import World

AGENTS = (4, 8, 12, 16)
SEEDS = (1_000_000, 1_000_001, 1_000_002)
EPISODE_S = 30.0
LOOP_AGENTS = 12


class DecisionFigures(TypedDict):
    """CPU milliseconds of one decision over all ticks driven."""

    median_ms: float
    p99_ms: float
    max_ms: float


class Drive:
    """One episode of an all-way stop with `agents` others, all within a few seconds."""

    def __init__(self, agents: int, seed: int, sensing: str) -> None:
        settings = (f"traffic.demand.0.count={agents}", "traffic.demand.0.window_s=[0.0, 4.0]")
        self.scenario = prepare(Job(target="four_way_stop", seed=seed, settings=settings, driver="joint", sensing=sensing))
        if self.scenario.ego is None or self.scenario.actors[self.scenario.ego].route is None:
            raise ValueError("four_way_stop needs an ego with a route")
        self.ego = self.scenario.ego
        self.world = World((self.scenario,))
        self.controls = np.zeros((1, len(self.scenario.actors)), CONTROL_DTYPE)
        self.stack = Joint()
        actor = self.scenario.actors[self.ego]
        assert actor.route is not None
        self.memory: StackMemory = self.stack.start(self.scenario.road_map, actor.route, actor.body, seed)

    def over(self) -> bool:
        """Whether the ego has arrived or time is up."""
        return self.world.finished(0) or self.world.tick * TICK_S >= EPISODE_S

    def step(self, frame: SensorFrame) -> None:
        """Drive one tick."""
        decision = self.stack.step(frame, self.memory)
        self.memory = decision.memory
        control = decision.control
        self.controls[0, self.ego] = (
            control.accel, control.steer, int(control.indicator), int(control.gear), int(control.gesture), 1,
        )  # fmt: skip
        self.world.step(self.controls)

    def time_decision(self, frame: SensorFrame) -> float:
        """CPU seconds of the decision of this tick, made and thrown away."""
        memory, stack = self.memory, self.stack
        percepts, _, _ = perceive(frame, memory.perception, memory.spec.rear_to_centre, memory.atlas.road_map)
        began = time.thread_time()
        decide(percepts, memory.atlas, memory.spec, memory.seed, memory.behaviours, stack.config.behaviours)
        return time.thread_time() - began


def run_bench() -> dict[str, DecisionFigures | float]:
    """Figures by number of agents, and `real_time_factor`: simulated over CPU seconds of the whole loop at the objects level."""
    _warm_up()
    figures: dict[str, DecisionFigures | float] = {}
    for agents in AGENTS:
        times = 1e3 * np.array([taken for seed in SEEDS for taken in _decisions(agents, seed)])
        figures[str(agents)] = DecisionFigures(
            median_ms=round(float(np.median(times)), 3), p99_ms=round(float(np.quantile(times, 0.99)), 3),
            max_ms=round(float(times.max()), 3),
        )  # fmt: skip
    figures["real_time_factor"] = round(_real_time_factor(), 2)
    return figures


def _warm_up() -> None:
    drive = Drive(LOOP_AGENTS, SEEDS[0], "objects")
    for _ in range(80):
        drive.step(drive.world.frame(0, drive.ego))
    # what is loaded by now stays: the collector need not walk over it, which takes 50 to 130 ms, in the middle of a decision
    gc.collect()
    gc.freeze()


def _decisions(agents: int, seed: int) -> list[float]:
    drive = Drive(agents, seed, "state")
    times = []
    while not drive.over():
        frame = drive.world.frame(0, drive.ego)
        times.append(drive.time_decision(frame))
        drive.step(frame)
    return times


def _real_time_factor() -> float:
    drives = [Drive(LOOP_AGENTS, seed, "objects") for seed in SEEDS]
    began = time.thread_time()
    for drive in drives:
        while not drive.over():
            drive.step(drive.world.frame(0, drive.ego))
    taken = time.thread_time() - began
    return sum(drive.world.tick for drive in drives) * TICK_S / taken


def format_bench(figures: dict[str, DecisionFigures | float]) -> str:
    """The figures as lines of text."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines.append(f"{name:>3} agents: median {value['median_ms']} ms, p99 {value['p99_ms']} ms, max {value['max_ms']} ms")
        else:
            lines.append(f"{name}: {value}")
    return "\n".join(lines)
