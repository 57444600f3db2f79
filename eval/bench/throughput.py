"""How many episodes an evaluation drives in a second, with one worker and with more, and what recording and metrics add.

Each level drives the same seeds of a suite as `avstack eval` would: in worker processes, each episode recorded, measured, held
against its references. The rate of a worker is that of its episodes after its first one, which pays for loading compiled kernels;
the rate of several workers is the sum of theirs. Shares are of CPU time, so that a loaded machine changes little in them: each
episode is also driven without a recording, and what it takes more with one is the recording's.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TypedDict

from eval.drivers import load_driver
from eval.evaluate import driven_by, references_of, row_of
from eval.executors import ProcessPool
from eval.run import check_sensing, run_scenario
from eval.suites import suite_of
from scenarios.errors import InputError
from sim.recording import read_recording

PARTS = ("driving", "recording", "references", "metrics")
FIRST_SEED = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One episode."""

    suite: str
    driver: str
    sensing: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One episode. worker: its process; busy_s: wall clock; parts: CPU seconds of PARTS; simulated_s: how long the episode is."""

    worker: int
    busy_s: float
    parts: Mapping[str, float]
    simulated_s: float


class Figures(TypedDict):
    """Of one level with one number of workers. episodes_per_s: by the wall clock; episodes_per_cpu_s: of the same work;
    simulated_per_cpu_s: of driving alone, by CPU second; shares: of PARTS in the CPU time."""

    sensing: str
    workers: int
    episodes: int
    episodes_per_s: float
    episodes_per_cpu_s: float
    simulated_per_cpu_s: float
    shares: dict[str, float]


def run_bench(suite: str, driver: str, levels: Sequence[str], workers: Sequence[int], episodes: int) -> list[Figures]:
    """Every level with every number of workers: the same seeds, from FIRST_SEED on. Raises InputError."""
    if episodes < 1:
        raise InputError(f"a rate needs at least one episode a worker, got {episodes}", fix="Use --episodes 8")
    load_driver(driver)
    driven_by(suite_of(suite).scenario(FIRST_SEED), driver)
    for level in levels:
        check_sensing(level)
    return [_level(suite, driver, level, count, episodes) for level in levels for count in workers]


def time_job(job: Job) -> Timed:
    """Drive, record and measure one episode; before that drive it without a recording, to know what that takes.

    An evaluation does the former alone, and that is what rates are of.
    """
    suite = suite_of(job.suite)
    scenario = driven_by(replace(suite.scenario(job.seed), sensing=job.sensing), job.driver)
    before = time.process_time()
    run_scenario(scenario, to_the_end=suite.to_the_end, watched=True)
    began, marks = time.monotonic(), [time.process_time()]
    with tempfile.TemporaryDirectory(prefix="avstack-bench-") as folder:
        references = replace(references_of(scenario, suite), road_map=scenario.road_map)
        marks.append(time.process_time())
        path = Path(folder) / "episode.arrow"
        result = run_scenario(scenario, path, to_the_end=suite.to_the_end, record="arrays", watched=True)
        marks.append(time.process_time())
        row_of(result, read_recording(path), references)
        marks.append(time.process_time())
    driving, (held, recorded, measured) = marks[0] - before, (later - earlier for earlier, later in pairwise(marks))
    parts = dict(zip(PARTS, (driving, recorded - driving, held, measured), strict=True))
    return Timed(worker=os.getpid(), busy_s=time.monotonic() - began, parts=parts, simulated_s=result.time_s)


def figures_of(sensing: str, workers: int, timed: Sequence[Timed]) -> Figures:
    """Of what each worker did after its first episode, in its order; of all where nobody drove a second one."""
    by_worker: dict[int, list[Timed]] = defaultdict(list)
    for one in timed:
        by_worker[one.worker].append(one)
    counted = [found[1:] for found in by_worker.values() if len(found) > 1] or list(by_worker.values())
    every = [one for found in counted for one in found]
    cpu_s = {part: sum(one.parts[part] for one in every) for part in PARTS}
    whole = sum(cpu_s.values())
    return Figures(
        sensing=sensing, workers=workers, episodes=len(every),
        episodes_per_s=sum(len(found) / sum(one.busy_s for one in found) for found in counted),
        episodes_per_cpu_s=len(every) / whole, simulated_per_cpu_s=sum(one.simulated_s for one in every) / cpu_s["driving"],
        shares={part: seconds / whole for part, seconds in cpu_s.items()},
    )  # fmt: skip


def format_bench(found: Sequence[Figures]) -> str:
    """A table for people."""
    from rich.table import Table

    from eval.tables import render

    table = Table(title="episodes of an evaluation", title_justify="left")
    for heading in ("level", "workers", "episodes", "a second", "a CPU second", "simulated s a CPU second", *PARTS):
        table.add_column(heading, justify="left" if heading == "level" else "right")
    for one in found:
        table.add_row(
            one["sensing"], str(one["workers"]), str(one["episodes"]), f"{one['episodes_per_s']:.3g}",
            f"{one['episodes_per_cpu_s']:.3g}", f"{one['simulated_per_cpu_s']:.3g}",
            *(f"{100.0 * one['shares'][part]:.0f} %" for part in PARTS),
        )  # fmt: skip
    return render(table).rstrip("\n")


def _level(suite: str, driver: str, sensing: str, workers: int, episodes: int) -> Figures:
    jobs = [
        Job(suite=suite, driver=driver, sensing=sensing, seed=FIRST_SEED + k % episodes) for k in range(workers * (episodes + 1))
    ]
    timed = []
    for done in ProcessPool(workers).run(time_job, jobs):
        if done.result is None:
            raise InputError(f"the episode of seed {done.job.seed} died: {done.failure}", fix="Give it again")
        timed.append(done.result)
    return figures_of(sensing, workers, timed)
