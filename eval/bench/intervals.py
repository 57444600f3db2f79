"""How often intervals hold what they are for, and how wide they are, by simulation on cases whose answer is known.

Exact intervals of shares hold at least as often as they say (98.8 % at 3,000 episodes and a share of 0.001); bootstrap intervals
about as often; intervals for any time hold at every look at once. Beside the latter stands what looking as often with an interval
that is meant for one look comes to: the negative control.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from eval import sequential
from eval.paired import tango_interval
from eval.statistics import LEVEL, clopper_pearson, ratio_of_sums
from sim.interface import Floats

SEED = 60_000
_LOOKS = 20
_Interval = Callable[[Floats], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Draws of n episodes (N,) whose mean is `truth`, and the interval that is to hold it. looks: how often on the way."""

    what: str
    truth: float
    draw: Callable[[np.random.Generator], Floats]
    interval: _Interval
    looks: int = 1


def cases() -> Iterator[Case]:
    """What is simulated: shares as they come in evaluations, delays with long tails, paired differences, one look and many."""
    for share, episodes in ((1e-3, 3000), (0.01, 300), (0.1, 100), (0.5, 60)):
        yield Case(
            what=f"exact interval, share {share:g} of {episodes} episodes", truth=share, draw=_shares(share, episodes),
            interval=_exact,
        )  # fmt: skip
    for one, other, episodes in ((0.02, 0.01, 300), (0.1, 0.05, 100)):
        yield Case(
            what=f"paired shares, {one:g} against {other:g} of {episodes} episodes", truth=one - other,
            draw=_paired_shares(one, other, episodes), interval=_tango,
        )  # fmt: skip
    for name, draw in _DELAYS.items():
        for episodes in (60, 300):
            yield Case(
                what=f"bootstrap interval, {name} delays, {episodes} episodes", truth=1.0, draw=_of(draw, episodes),
                interval=_bootstrap,
            )  # fmt: skip
    for name, draw in _DELAYS.items():
        yield Case(
            what=f"interval for any time, {name} delays, {_LOOKS} looks at up to 600 episodes", truth=1.0, draw=_of(draw, 600),
            interval=sequential.mean_interval, looks=_LOOKS,
        )  # fmt: skip
    yield Case(
        what=f"interval for any time, paired shares, {_LOOKS} looks at up to 600 episodes", truth=0.05,
        draw=_paired_shares(0.1, 0.05, 600), interval=sequential.share_interval, looks=_LOOKS,
    )  # fmt: skip
    yield Case(
        what="control: bootstrap interval for one look, 4 looks at up to 600 episodes", truth=1.0,
        draw=_of(_DELAYS["normal"], 600), interval=_bootstrap, looks=4,
    )  # fmt: skip


def run_bench(simulations: int) -> dict[str, object]:
    """Per case: share of simulations whose interval held the truth at every look, its exact interval, and the mean width."""
    found: dict[str, object] = {"level": LEVEL, "simulations": simulations}
    for number, case in enumerate(cases()):
        draws = np.random.Generator(np.random.Philox([SEED, number]))
        held, widths = 0, []
        for _ in range(simulations):
            values = case.draw(draws)
            ends = np.linspace(0, len(values), case.looks + 1).astype(int)[1:]
            bounds = [case.interval(values[:end]) for end in ends]
            held += all(low <= case.truth <= high for low, high in bounds)
            widths.append(bounds[-1][1] - bounds[-1][0])
        rate = clopper_pearson(held, simulations)
        found[case.what] = {"coverage": rate.rate, "low": rate.low, "high": rate.high, "width": float(np.mean(widths))}
    return found


def format_bench(figures: dict[str, object]) -> str:
    """A line a case."""
    lines = [f"{figures['simulations']} simulations a case; intervals of {figures['level']:.0%}"]
    for what, one in figures.items():
        if isinstance(one, dict):
            share = f"{100.0 * one['coverage']:5.1f} % [{100.0 * one['low']:.1f}, {100.0 * one['high']:.1f}]"
            lines.append(f"{what:<80} {share:<22} width {one['width']:.3g}")
    return "\n".join(lines)


def _normal(draws: np.random.Generator, count: int) -> Floats:
    return draws.normal(1.0, 1.0, count)


def _exponential(draws: np.random.Generator, count: int) -> Floats:
    return draws.exponential(1.0, count)


def _seldom(draws: np.random.Generator, count: int) -> Floats:
    """Nothing in four of five episodes."""
    return np.where(draws.random(count) < 0.2, draws.exponential(5.0, count), 0.0)


_DELAYS = {"normal": _normal, "exponential": _exponential, "rare": _seldom}


def _of(draw: Callable[[np.random.Generator, int], Floats], count: int) -> Callable[[np.random.Generator], Floats]:
    return lambda draws: draw(draws, count)


def _shares(share: float, count: int) -> Callable[[np.random.Generator], Floats]:
    return lambda draws: (draws.random(count) < share).astype(np.float64)


def _paired_shares(one: float, other: float, count: int) -> Callable[[np.random.Generator], Floats]:
    """Differences of two shares; nobody has both."""

    def draw(draws: np.random.Generator) -> Floats:
        tossed = draws.random(count)
        return (tossed < one).astype(np.float64) - (tossed > 1.0 - other)

    return draw


def _exact(values: Floats) -> tuple[float, float]:
    found = clopper_pearson(int(values.sum()), len(values))
    return found.low, found.high


def _tango(values: Floats) -> tuple[float, float]:
    return tango_interval(int(np.sum(values > 0.0)), int(np.sum(values < 0.0)), len(values))


def _bootstrap(values: Floats) -> tuple[float, float]:
    found = ratio_of_sums(values)
    return found.low, found.high
