"""What seeing costs: this thread's CPU time of each stage from points to percepts, and of the whole loop with 12 others.

The stages are timed where they are called, while an all-way stop is driven; what the detector takes beyond its own stages is the
network. Rays are those of the lidar's simulation, which is no part of `frame_ms`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np

from avstack import stack
from avstack.perception import bev, detect, perceive
from eval.bench.behaviours import LOOP_AGENTS, SEEDS, Drive
from sim.interface import TICK_S
from sim.sensors.beams import BEAMS

STAGES: Mapping[str, tuple[ModuleType, str]] = {
    "health_ms": (perceive, "diagnose"),
    "features_ms": (bev, "rasterise"),
    "decode_ms": (detect, "interpret"),
    "sight_ms": (detect, "lines_of_sight"),
    "arbitration_ms": (perceive, "arbitrate"),
    "tracking_ms": (perceive, "track"),
    "frame_ms": (stack, "perceive"),
}
"""Figure -> the function it is of. `network_ms` is what `Detector.detect` takes besides."""
OF_DETECTOR = ("features_ms", "decode_ms", "sight_ms")
WARM_TICKS = 20
DRIVEN_S = 15.0


@contextmanager
def _timed(module: ModuleType | type, name: str, into: list[float]) -> Iterator[None]:
    """Note the CPU milliseconds of each call of a function while this lasts."""
    original: Callable[..., Any] = getattr(module, name)

    def watched(*args: Any, **more: Any) -> Any:
        began = time.thread_time()
        try:
            return original(*args, **more)
        finally:
            into.append(1e3 * (time.thread_time() - began))

    setattr(module, name, watched)
    try:
        yield
    finally:
        setattr(module, name, original)


def run_bench() -> dict[str, float]:
    """Medians over the ticks driven [ms], `rays_per_s` and `real_time_factor`: simulated over CPU seconds of the whole loop."""
    _drive_a_little()
    drive = Drive(LOOP_AGENTS, SEEDS[0], "lidar")
    spent: dict[str, list[float]] = {name: [] for name in (*STAGES, "detector", "lidar_ms")}
    with ExitStack() as watch:
        for name, (module, function) in STAGES.items():
            watch.enter_context(_timed(module, function, spent[name]))
        watch.enter_context(_timed(detect.Detector, "detect", spent["detector"]))
        while not drive.over() and drive.world.tick * TICK_S < DRIVEN_S:
            began = time.thread_time()
            frame = drive.world.frame(0, drive.ego)
            spent["lidar_ms"].append(1e3 * (time.thread_time() - began))
            drive.step(frame)
    rows = {name: np.array(times[WARM_TICKS:]) for name, times in spent.items()}
    rows["network_ms"] = rows.pop("detector") - sum(rows[name] for name in OF_DETECTOR)
    figures = {name: round(median(times.tolist()), 3) for name, times in rows.items()}
    spec = drive.scenario.lidar
    figures["rays_per_s"] = round(1e3 * len(BEAMS[spec.beams]) * spec.columns / figures["lidar_ms"])
    figures["real_time_factor"] = round(_real_time_factor(), 2)
    return figures


def _drive_a_little() -> None:
    """Compile, load the models, and let the collector leave alone what is loaded by then."""
    drive = Drive(LOOP_AGENTS, SEEDS[0], "lidar")
    for _ in range(WARM_TICKS):
        drive.step(drive.world.frame(0, drive.ego))
    gc.collect()
    gc.freeze()


def _real_time_factor() -> float:
    drives = [Drive(LOOP_AGENTS, seed, "lidar") for seed in SEEDS[:2]]
    began = time.thread_time()
    for drive in drives:
        while not drive.over() and drive.world.tick * TICK_S < DRIVEN_S:
            drive.step(drive.world.frame(0, drive.ego))
    taken = time.thread_time() - began
    return sum(drive.world.tick for drive in drives) * TICK_S / taken


def format_bench(figures: Mapping[str, float]) -> str:
    """The figures as lines of text."""
    return "\n".join(f"{name:18} {value:,}" for name, value in figures.items())
