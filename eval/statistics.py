"""Intervals on rates. Source: Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934)."""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Share of episodes in which something happened, with its exact two-sided interval."""

    count: int
    episodes: int
    rate: float
    low: float
    high: float


def clopper_pearson(count: int, episodes: int, level: float = LEVEL) -> Rate:
    """Exact interval on a binomial proportion: quantiles of Beta(k, n-k+1) and Beta(k+1, n-k); [0, 1] where there is no episode.

    Raises ValueError unless 0 <= count <= episodes and 0 < level < 1.
    """
    if not 0 <= count <= episodes:
        raise ValueError(f"count must lie in 0 to {episodes}, got {count}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    from scipy.special import betaincinv  # scipy costs a tenth of a second at start-up; scipy.stats, half a second

    tail = 0.5 * (1.0 - level)
    low = float(betaincinv(count, episodes - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, episodes - count, 1.0 - tail)) if count < episodes else 1.0
    return Rate(count=count, episodes=episodes, rate=count / episodes if episodes else 0.0, low=low, high=high)
