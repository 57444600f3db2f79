"""Paired tests and intervals: is one run worse than another on the same episodes, by more than is allowed, and how many episodes
would tell.

A worsening is counted so that a positive one is bad. Sources: exact test of paired shares: McNemar, Psychometrika 12 (1947);
their score interval and the test against a margin: Tango, Statistics in Medicine 17 (1998); studentised bootstrap: Efron and
Tibshirani (1993), section 12.5; several tests: Holm, Scandinavian Journal of Statistics 6 (1979); numbers of episodes: Connor,
Biometrics 43 (1987) for shares, the normal approximation for means.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, ndtr, ndtri

from eval.statistics import BOOTSTRAP_SEED, LEVEL
from sim.interface import Floats

RESAMPLES = 5000
"""Of the studentised bootstrap: its least p-value is 1 in so many."""
POWER = 0.9
_HALVINGS = 50


def tango_interval(only_first: int, only_second: int, pairs: int, level: float = LEVEL) -> tuple[float, float]:
    """Two-sided score interval of the difference of two paired shares, from the pairs in which just one happened."""
    if pairs == 0:
        return -1.0, 1.0
    z = float(ndtri(0.5 * (1.0 + level)))
    return _where_score_is(z, only_first, only_second, pairs), _where_score_is(-z, only_first, only_second, pairs)


def share_p(only_first: int, only_second: int, pairs: int, margin: float) -> float:
    """One-sided p-value of "the first share is at most `margin` above the second"; exact for a margin of 0."""
    discordant = only_first + only_second
    exact = float(bdtr(only_second, discordant, 0.5)) if discordant else 1.0
    if margin == 0.0 or discordant == 0:
        return exact
    return max(exact, float(ndtr(-_score(margin, only_first, only_second, pairs))))


def mean_p(worsening: Floats, margin: float) -> float:
    """One-sided p-value of "the mean worsening is at most `margin`", by a studentised bootstrap over episodes (N,).

    Where too few of them differ for a resample to tell how much they vary, the p-value is the exact one of their signs.
    """
    count = len(worsening)
    if count < 2:
        return 1.0
    spread = float(worsening.std())
    if spread == 0.0:
        return 1.0 if worsening[0] <= margin else 0.5**count
    mean = float(worsening.mean())
    found = (mean - margin) / spread
    weights = _weights(count)
    means = weights @ worsening / count
    spreads = np.sqrt(np.maximum(weights @ worsening**2 / count - means**2, 0.0))
    apart = means - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.where(spreads > 1e-9 * spread, apart / spreads, np.where(apart > 0.0, np.inf, -np.inf))
    studentised = (1.0 + float(np.sum(drawn >= found))) / (RESAMPLES + 1.0)
    worse, better = int(np.sum(worsening > 0.0)), int(np.sum(worsening < 0.0))
    few = worse + better < FEW
    return max(studentised, float(bdtr(better, worse + better, 0.5))) if few else studentised


FEW = 20
"""So many episodes must differ for their mean alone to be trusted; below it their signs have to agree as well."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: rejecting those at or below a level keeps the family-wise error there."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted, floor = [1.0] * len(p_values), 0.0
    for rank, k in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = floor
    return adjusted


def episodes_for_share(only_first: int, only_second: int, pairs: int, alpha: float, effect: float | None = None) -> float:
    """Pairs that a one-sided test at `alpha` needs to tell the difference in POWER of all cases; inf where there is none.

    effect: the difference to be told, with as much disagreement as was seen; None: the one that was seen.
    """
    difference = abs(only_first - only_second) / pairs if effect is None else effect
    if difference == 0.0:
        return math.inf
    apart = max((only_first + only_second) / pairs, difference)
    needed = float(ndtri(1.0 - alpha)) * math.sqrt(apart) + float(ndtri(POWER)) * math.sqrt(apart - difference**2)
    return math.ceil((needed / difference) ** 2)


def episodes_for_mean(changes: Floats, alpha: float, effect: float | None = None) -> float:
    """The same for a mean of changes (N,)."""
    difference = abs(float(changes.mean())) if effect is None else effect
    if len(changes) < 2 or difference == 0.0:
        return math.inf
    return max(2.0, math.ceil(((float(ndtri(1.0 - alpha)) + float(ndtri(POWER))) * float(changes.std()) / difference) ** 2))


def _score(margin: float, first: int, second: int, pairs: int) -> float:
    """Tango's statistic: how many standard deviations the difference lies above `margin`, were that the true one."""
    a = 2.0 * pairs
    b = -first - second + (2.0 * pairs - first + second) * margin
    c = -second * margin * (1.0 - margin)
    share = max((math.sqrt(max(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a), 0.0)
    variance = pairs * (2.0 * share + margin * (1.0 - margin))
    above = first - second - pairs * margin
    if variance <= 0.0:
        return math.copysign(math.inf, above) if above else 0.0
    return above / math.sqrt(variance)


def _where_score_is(z: float, first: int, second: int, pairs: int) -> float:
    """The margin at which the statistic, which falls with it, is z."""
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _score(middle, first, second, pairs) > z else (low, middle)
    return 0.5 * (low + high)


@functools.lru_cache(maxsize=2)
def _weights(count: int) -> Floats:
    """(RESAMPLES, N) how often each of N episodes is in each resample."""
    draws = np.random.Generator(np.random.Philox(BOOTSTRAP_SEED))
    found: Floats = draws.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES).astype(np.float64)
    found.setflags(write=False)
    return found
