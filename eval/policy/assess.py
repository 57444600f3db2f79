"""How well a policy drives: every episode of a set once, with exact intervals: `avstack train policy --evaluate FILE`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.policy.games import COPIES, STRANGERS, TRAINING, Population, games
from eval.policy.network import LEVELS, OBSERVATION, Floats32, Weights, actions_of, features
from eval.statistics import Rate, clopper_pearson
from sim.envs import BatchEnv
from sim.envs.config import TERMS
from sim.observe import EGO_FIELDS
from sim.scenario import Scenario

WORLDS = 125
"""Episodes played side by side."""
FIRST_SEED = 6000
"""Of the episodes that policies are judged on; those of training are smaller."""
ENDINGS = ("success", "collision", "at_fault", "offroad", "deadlock", "stop_ignored", "imposed")
"""success: it arrived; at_fault: a collision by its own fault; deadlock: out of time; stop_ignored: over the line faster than
3 m/s; imposed: somebody braked for it harder than `sim.envs.config.HARD` by 1 m/s or more in all."""
POPULATIONS = {"strangers": STRANGERS, "training": TRAINING, "copies": COPIES}
NEUTRAL = dict.fromkeys(OBSERVATION.styles, (1.0, 1.0))
_LENGTH = EGO_FIELDS.index("length")
_COLUMNS = {
    "success": "goal", "collision": "collision", "at_fault": "at_fault", "offroad": "offroad", "stop_ignored": "stop_ignored",
}  # fmt: skip
_IMPOSED, IMPOSED_MPS = TERMS.index("imposed"), 1.0
Choose = Callable[[Floats32, Floats32], NDArray[np.int64]]
"""Choices (N,) of features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Of E seats: which of ENDINGS each came to (E,), and how long that took, time (E,) [s]."""

    endings: dict[str, NDArray[np.bool_]]
    time: NDArray[np.float64]

    def rate(self, ending: str) -> Rate:
        """How often it ended so, with its interval."""
        return clopper_pearson(int(self.endings[ending].sum()), len(self.time))


def chooser(weights: Weights, seed: int = 0) -> Choose:
    """The policy as it drives, its draws by a seed."""
    random = np.random.default_rng(seed)
    return lambda own, others: weights.choose(own, others, random.random((len(own), len(LEVELS))))


def assess(choose: Choose, family: str, seeds: Sequence[int], population: Population, settings: Sequence[str] = ()) -> Outcomes:
    """Play each of `seeds` (one after the other) once; outcomes are of everybody in the policy's seats, episode by episode."""
    parts = [_play(choose, games(family, seeds[n : n + WORLDS], population, settings)) for n in range(0, len(seeds), WORLDS)]
    return Outcomes(
        endings={name: np.concatenate([part.endings[name] for part in parts]) for name in ENDINGS},
        time=np.concatenate([part.time for part in parts]),
    )


def _play(choose: Choose, scenarios: Sequence[Scenario]) -> Outcomes:
    """One world for each scenario; a world that has ended is looked at no more."""
    config = replace(OBSERVATION, agents="external", autoreset="SameStep", copy=False, styles=NEUTRAL)
    env = BatchEnv(scenarios, len(scenarios), config)
    seen: NDArray[Any] = env.reset(list(range(env.worlds)))
    for w, scenario in enumerate(scenarios):
        seen = env.reset(worlds=np.arange(env.worlds) == w, episode=scenario.seed)
    seats = env.active.copy()
    under_way = seats.copy()
    endings = {name: np.zeros(seats.shape, np.bool_) for name in ENDINGS}
    ticks, imposed = np.zeros(seats.shape), np.zeros(seats.shape)
    while under_way.any():
        there = (seen[..., _LENGTH] > 0.0) & under_way
        choices = np.zeros(seats.shape, np.int64)
        if there.any():
            choices[there] = choose(*features(seen[there]))
        outcome = env.step(actions_of(choices))
        seen = outcome.observations
        terms = env.tables.terms if env.final_observations is None else env.final_terms
        ticks[under_way] += OBSERVATION.repeat
        for name, term in _COLUMNS.items():
            endings[name] |= under_way & (terms[..., TERMS.index(term)] > 0.0)
        imposed += under_way * terms[..., _IMPOSED]
        endings["deadlock"] |= under_way & outcome.truncated
        under_way &= ~(outcome.terminated | outcome.truncated)
    endings["imposed"] = imposed > IMPOSED_MPS
    return Outcomes(endings={name: mask[seats] for name, mask in endings.items()}, time=0.1 * ticks[seats])


def figures_of(weights: Weights, family: str, episodes: int, settings: Sequence[str] = ()) -> dict[str, Any]:
    """How a policy drives among each of POPULATIONS: rates with intervals, of `episodes` each (fewer among copies, where each has
    many of it), and what it cost to tell."""
    found: dict[str, Any] = {"scenario": family, "first_seed": FIRST_SEED, "about": dict(weights.about)}
    for name, population in POPULATIONS.items():
        count = episodes if population is not COPIES else max(episodes // 4, 1)
        start = time.process_time()
        outcomes = assess(chooser(weights), family, range(FIRST_SEED, FIRST_SEED + count), population, settings)
        found[name] = {
            "episodes": count, "seats": len(outcomes.time), **{ending: asdict(outcomes.rate(ending)) for ending in ENDINGS},
            "mean_time_s": float(outcomes.time.mean()), "cpu_s": time.process_time() - start,
        }  # fmt: skip
    return found


def format_figures(figures: dict[str, Any]) -> str:
    """The figures as a table for people."""
    lines = [f"{'among':10} {'seats':>6} " + " ".join(f"{ending:>24}" for ending in ENDINGS) + f" {'time':>7}"]
    for name in POPULATIONS:
        part = figures[name]
        cells = [
            f"{100 * one['rate']:5.1f} % [{100 * one['low']:4.1f}, {100 * one['high']:5.1f}]" for one in map(part.get, ENDINGS)
        ]
        lines.append(
            f"{name:10} {part['seats']:6} " + " ".join(f"{cell:>24}" for cell in cells) + f" {part['mean_time_s']:5.1f} s"
        )
    return "\n".join(lines)
