"""Adaptive multilevel splitting: how likely something is that hardly ever happens, from far fewer runs than seeing it takes.

Many runs start alike. Again and again those that came least far are given up, and each is replaced by a branch of one that came
farther: the same up to where it first was farther, and its own chance from there on. The probability is the product of the shares
that were left, times the share of runs that arrive in the end. On average it is the true one whatever measures how far a run came
(Cérou and Guyader, Stochastic Analysis and Applications 25, 2007; ties as in Bréhier et al., Annals of Applied Probability 26,
2016); how far it strays from run to run is seen by repeating all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

_S = TypeVar("_S")
GIVEN_UP = 0.1
"""Share of the runs that are replaced at a time, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path(Generic[_S]):
    """One run: (level, state) at every new highest level, rising; a branch goes on from a state."""

    climbs: Sequence[tuple[float, _S]]

    @property
    def top(self) -> float:
        """The highest level that it reached."""
        return self.climbs[-1][0]

    def above(self, level: float) -> int:
        """Index of the first climb above a level that it got above."""
        return next(k for k, (reached, _) in enumerate(self.climbs) if reached > level)


class Process(Protocol[_S]):
    """What is run. Everything random in it follows from `number`, which is another one each time."""

    def begin(self, number: int) -> Path[_S]:
        """A run from the start; it has at least one climb."""
        ...

    def branch(self, path: Path[_S], climb: int, number: int) -> Path[_S]:
        """The same up to `path.climbs[climb]`, and from there on by its own chance."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Generic[_S]):
    """One estimate. levels: at which runs were given up; branches: how many there were; arrived: runs that reached the target."""

    probability: float
    levels: tuple[float, ...]
    branches: int
    arrived: tuple[Path[_S], ...]


def split(process: Process[_S], runs: int, target: float, draws: np.random.Generator) -> Split[_S]:
    """Estimate the probability of reaching `target`. Raises ValueError for fewer than two runs."""
    if runs < 2:
        raise ValueError(f"splitting needs at least 2 runs, got {runs}")
    paths = [process.begin(number) for number in range(runs)]
    probability, levels, branches = 1.0, [], 0
    while True:
        tops = np.array([path.top for path in paths])
        level = float(np.sort(tops)[max(int(GIVEN_UP * runs), 1) - 1])
        if level >= target:
            break
        better = np.flatnonzero(tops > level)
        probability *= len(better) / runs
        levels.append(level)
        if not len(better):
            break
        for worse in np.flatnonzero(tops <= level):
            parent = paths[int(draws.choice(better))]
            paths[worse] = process.branch(parent, parent.above(level), runs + branches)
            branches += 1
    arrived = tuple(path for path in paths if path.top >= target)
    return Split(
        probability=probability * len(arrived) / runs, levels=tuple(levels), branches=branches,
        arrived=arrived,
    )  # fmt: skip
