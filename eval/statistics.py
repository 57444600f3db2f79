"""Intervals on rates, means and ratios, and paired comparisons.

Source of the exact interval: Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.interface import Floats

LEVEL = 0.95
RESAMPLES = 2000
BOOTSTRAP_SEED = 20_000
_LEAST = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Share of episodes in which something happened, with its exact two-sided interval, and the exact one-sided upper bound of
    the same level: with no event in n episodes, about 3 / n at 95 %."""

    count: int
    episodes: int
    rate: float
    low: float
    high: float
    upper: float


def clopper_pearson(count: int, episodes: int, level: float = LEVEL) -> Rate:
    """Exact bounds on a binomial proportion: quantiles of Beta(k, n-k+1) and Beta(k+1, n-k); [0, 1] where there is no episode.

    Raises ValueError unless 0 <= count <= episodes and 0 < level < 1.
    """
    if not 0 <= count <= episodes:
        raise ValueError(f"count must lie in 0 to {episodes}, got {count}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    tail = 0.5 * (1.0 - level)
    low = _beta_quantile(count, episodes - count + 1, tail) if count > 0 else 0.0
    high, upper = (_beta_quantile(count + 1, episodes - count, at) if count < episodes else 1.0 for at in (1.0 - tail, level))
    return Rate(count=count, episodes=episodes, rate=count / episodes if episodes else 0.0, low=low, high=high, upper=upper)


def _beta_quantile(a: int, b: int, share: float) -> float:
    """Where the distribution function of Beta(a, b) reaches `share`; in closed form where all or none of the episodes count."""
    if b == 1:
        return float(share ** (1.0 / a))
    if a == 1:
        return float(1.0 - (1.0 - share) ** (1.0 / b))
    from scipy.special import betaincinv  # a fifth of a second at start-up

    return float(betaincinv(a, b, share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number measured over episodes and its two-sided bootstrap interval."""

    value: float
    low: float
    high: float
    episodes: int


def ratio_of_sums(top: Floats, bottom: Floats | None = None, level: float = LEVEL) -> Estimate:
    """Sum of `top` over sum of `bottom` ((N,), one row an episode), or the mean of `top`; episodes are resampled together.

    Bias-corrected and accelerated bootstrap (Efron, Better bootstrap confidence intervals, JASA 82, 1987) with a fixed stream, so
    that a report is the same twice. With fewer than two episodes, or nothing in the denominator, the interval is (-inf, inf).
    """
    below = np.ones_like(top) if bottom is None else bottom
    count = len(top)
    total = float(below.sum())
    value = float(top.sum()) / total if total != 0.0 else 0.0
    if count < 2 or total == 0.0:
        return Estimate(value=value, low=-np.inf, high=np.inf, episodes=count)
    weights = _weights(count)
    sums = weights @ below
    ratios = np.divide(weights @ top, sums, out=np.full(RESAMPLES, value), where=sums != 0.0)
    low, high = np.quantile(ratios, _accelerated(ratios, value, top - value * below, level))
    return Estimate(value=value, low=float(low), high=float(high), episodes=count)


def _accelerated(resampled: Floats, value: float, influence: Floats, level: float) -> list[float]:
    """Shares of the resampled values at which the interval ends: moved for bias and for a spread that grows with the value."""
    from scipy.special import ndtr, ndtri

    below = float(np.mean(resampled < value) + 0.5 * np.mean(resampled == value))
    bias = float(ndtri(min(max(below, 1.0 / RESAMPLES), 1.0 - 1.0 / RESAMPLES)))
    squares = float(np.sum(influence**2))
    acceleration = float(np.sum(influence**3)) / (6.0 * squares**1.5) if squares > 0.0 else 0.0
    ends = (bias + float(ndtri(share)) for share in (0.5 * (1.0 - level), 0.5 * (1.0 + level)))
    return [float(ndtr(bias + end / max(1.0 - acceleration * end, _LEAST))) for end in ends]


@functools.lru_cache(maxsize=4)
def _weights(count: int) -> Floats:
    """(RESAMPLES, N) how often each of N episodes is in each resample: the same for every figure of a report."""
    draws = np.random.Generator(np.random.Philox(BOOTSTRAP_SEED))
    found: Floats = draws.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES).astype(np.float64)
    found.setflags(write=False)
    return found


def bootstrap(
    count: int, estimator: Callable[[NDArray[np.int64]], float], level: float = LEVEL, resamples: int = 500
) -> Estimate:
    """`estimator` of the episodes 0 to count - 1 and its percentile interval over resampled episodes, from a fixed stream.

    With fewer than two episodes the interval is (-inf, inf). Raises ValueError for no episode at all.
    """
    if count < 1:
        raise ValueError("there is no episode to estimate from")
    value = estimator(np.arange(count, dtype=np.int64))
    if count < 2:
        return Estimate(value=value, low=-np.inf, high=np.inf, episodes=count)
    draws = np.random.Generator(np.random.Philox(BOOTSTRAP_SEED))
    found = [estimator(draws.integers(count, size=count)) for _ in range(resamples)]
    low, high = np.quantile(found, [0.5 * (1.0 - level), 0.5 * (1.0 + level)])
    return Estimate(value=value, low=float(low), high=float(high), episodes=count)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that two paired proportions are equal, from the numbers of episodes where just one happened.

    Source: McNemar, Psychometrika 12 (1947), with the exact binomial tail.
    """
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2.0 * float(bdtr(min(only_first, only_second), discordant, 0.5)))
