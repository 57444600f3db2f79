"""Paired tests and intervals that hold however often one looks, so that an evaluation may stop as soon as its verdict is clear.

An e-process has at most the value 1 on average whenever one stops, if the hypothesis holds; so by Ville's inequality one over the
highest value that it ever had is a p-value at any time. For shares it is the wealth of somebody who bets on the worsening against
the margin, mixed over stakes (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86, 2024):
exact. For means it is a mixture over effects of a Gaussian likelihood ratio (Robbins, Annals of Mathematical Statistics 41, 1970;
Waudby-Smith et al., Time-uniform central limit theory, Annals of Statistics 52, 2024) of the sum over the root of the sum of
squares, with Hall's correction (JRSS B 54, 1992) where a long tail of improvements would make it alarm too often: valid as the
episodes get many, hence silent on the first BURN_IN. A worsening is counted so that a positive one is bad, as in `eval.paired`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import log_ndtr

from eval.paired import FEW
from eval.statistics import LEVEL
from sim.interface import Floats

BURN_IN = 50
"""Episodes before a mean says anything: its tails are not known earlier."""
_TIGHT_AT = 150.0
"""Episodes at which the bound on a mean is tightest, whatever its spread."""
_STAKES = np.geomspace(0.01, 0.95, 24)
"""Shares of what can be lost at most that the bettor stakes, mixed evenly."""
_ALPHA = 1.0 - LEVEL
_MIXED = _TIGHT_AT / (-2.0 * math.log(_ALPHA) + math.log(1.0 - 2.0 * math.log(_ALPHA)))
_HALVINGS = 40
_REACH = 4.0
"""Standard deviations from a mean beyond which no bound is looked for."""
_LEAST = 1e-9


def share_p(worsening: Floats, margin: float) -> float:
    """p-value at any time of "the run has at most `margin` more of it"; (N,) differences of paired 0 and 1 in their order."""
    return _p(_log_wealth(worsening, margin))


def share_interval(worsening: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Bounds on the difference of two paired shares that hold for every N with probability `level`."""
    tail = math.log(2.0 / (1.0 - level))
    worse, better = int(np.sum(worsening > 0.0)), int(np.sum(worsening < 0.0))
    same = len(worsening) - worse - better

    def wealth(more: int, less: int, bound: float) -> float:
        """Of the bettor at the end: it does not hang on the order of what happened."""
        counts, outcomes = np.array([more, less, same]), np.array([1.0, -1.0, 0.0])
        return float(_log_mean(np.log1p(_STAKES[:, None] / (1.0 + bound) * (outcomes - bound)) @ counts))

    below = _last_where(lambda bound: wealth(worse, better, bound) >= tail)
    above = _last_where(lambda bound: wealth(better, worse, bound) >= tail)
    return below, -above


def mean_p(worsening: Floats, margin: float) -> float:
    """p-value at any time of "the mean worsening is at most `margin`" from paired differences (N,), in their order."""
    return _p(_log_ratio_so_far(worsening - margin))


def mean_interval(worsening: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Bounds on a mean that hold for every N from BURN_IN on with probability `level`; infinite before, and where too few
    episodes differ to tell how much they vary."""
    if not len(worsening) or _silent(worsening)[-1]:
        return -math.inf, math.inf
    tail, count = math.log(2.0 / (1.0 - level)), np.array(float(len(worsening)))
    mean, spread = float(worsening.mean()), float(worsening.std())
    variance, cube = np.array(spread**2), np.array(np.mean((worsening - mean) ** 3))

    def beyond(sign: float) -> float:
        """How far from the mean, on that side, the first value lies that is rejected."""
        return _last_where(
            lambda far: float(_log_ratio(count, np.array(far), variance, sign * cube)) < tail, 0.0, _REACH * spread
        )

    return mean - beyond(1.0), mean + beyond(-1.0)


def _log_wealth(worsening: Floats, margin: float) -> Floats:
    """(N,) after each episode, of a bettor who wins what the worsening exceeds the margin by."""
    gains = np.log1p(_STAKES[:, None] / (1.0 + margin) * (worsening - margin))
    return _log_mean(np.cumsum(gains, axis=1))


def _log_ratio_so_far(excess: Floats) -> Floats:
    """(N,) after each episode."""
    count = np.arange(1.0, len(excess) + 1.0)
    mean, square, cube = (np.cumsum(excess**power) / count for power in (1, 2, 3))
    central = cube - 3.0 * mean * square + 2.0 * mean**3
    return np.where(_silent(excess), 0.0, _log_ratio(count, mean, np.maximum(square - mean**2, 0.0), central))


def _log_ratio(count: Floats, mean: Floats, variance: Floats, cube: Floats) -> Floats:
    """Likelihood of positive means over that of none; half a Gaussian of effects in units of the spread. cube: third central
    moment."""
    square = variance + mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(square > 0.0, mean / np.sqrt(square), 0.0)
        skew = np.where(variance > _LEAST * square, cube / variance**1.5, 0.0)
    skew = np.minimum(skew, 0.0)
    scaled = count * (scaled + skew * scaled**2 / 3.0 + skew**2 * scaled**3 / 27.0) + skew / 6.0
    precision = count + _MIXED
    found: Floats = (
        math.log(2.0) + 0.5 * (np.log(_MIXED / precision) + scaled**2 / precision) + log_ndtr(scaled / np.sqrt(precision))
    )
    return found


def _silent(values: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(N,) where a mean has nothing to say yet: too few episodes, or too few that are not like the first one."""
    count = np.arange(1, len(values) + 1)
    return (count < BURN_IN) | (np.cumsum(values != values[:1]) < FEW)


def _log_mean(rows: Floats) -> Floats:
    """Logarithm of the mean over axis 0 of what `rows` (K, ...) are the logarithms of."""
    top = rows.max(axis=0)
    found: Floats = top + np.log(np.mean(np.exp(rows - top), axis=0))
    return found


def _ever(log_process: Floats) -> float:
    return max(float(log_process.max()), 0.0) if len(log_process) else 0.0


def _p(log_process: Floats) -> float:
    return math.exp(-_ever(log_process))


def _last_where(holds: Callable[[float], bool], low: float = -1.0, high: float = 1.0) -> float:
    """The highest value for which it holds, which it does up to somewhere."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
