"""How often the gate fails a run that is no worse, and how often it finds one that is, from episodes that two runs kept.

No episode is driven: comparisons are drawn from stored pairs. A null comparison takes seeds that it has alone among its round (a
random order of all seeds is cut into pieces, so that comparisons of one round share none) and tosses a coin for each pair which
of the two is the run: whatever the two drivers are, neither is then worse, while the episodes keep their tails and what they have
in common. `shuffled` takes run and baseline of the same driver from different seeds: another null, with nothing in common. For
power, the same null comparisons are given a stated worsening.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import numpy as np

from eval.gate import FAMILY_ALPHA, PRIMARY, Finding, Primary, fails, judge
from eval.statistics import clopper_pearson
from eval.store import Row
from scenarios.errors import InputError

SEED = 50_000
SHARE_EFFECT = 0.10
"""Of episodes in which the planted fault newly happens."""
MEAN_EFFECT = 4.0
"""Margins by which a mean is made worse."""
Pairs = list[tuple[Row, Row]]


def run_bench(pairs: Sequence[tuple[Row, Row]], episodes: int, comparisons: int) -> dict[str, object]:
    """Figures: false alarms of both nulls with exact intervals, power against the stated effects by metric, and the two runs
    themselves compared on as many episodes. Raises InputError where there are too few pairs."""
    if not 2 <= episodes <= len(pairs) // 2:
        raise InputError(
            f"comparisons of {episodes} episodes need at least {2 * episodes} pairs, and there are {len(pairs)}",
            fix="Use fewer --episodes, or evaluate more seeds",
        )
    if comparisons < 1:
        raise InputError(f"there must be at least one comparison, got {comparisons}", fix="Use --comparisons 400")
    there = [metric for metric in PRIMARY if any(_both(metric, pair) for pair in pairs)]

    def rate(draw: Callable[[np.random.Generator], Iterator[Pairs]], hit: Callable[[Pairs], bool]) -> dict[str, object]:
        stream = _drawn(draw, comparisons)
        return asdict(clopper_pearson(sum(hit(one) for one in stream), comparisons))

    def alarm(drawn: Pairs) -> bool:
        return fails(judge(drawn))

    def swapped(draws: np.random.Generator) -> Iterator[Pairs]:
        return _swapped(pairs, episodes, draws)

    def found(metric: Primary) -> Callable[[Pairs], bool]:
        planted = np.random.Generator(np.random.Philox(SEED + 1))
        return lambda drawn: any(
            test.metric is metric and test.finding is Finding.WORSE for test in judge(plant(drawn, metric, planted))
        )

    return {
        "pairs": len(pairs),
        "episodes": episodes,
        "family_alpha": FAMILY_ALPHA,
        "false_alarms": {
            "swapped": rate(swapped, alarm),
            "shuffled": rate(lambda draws: _shuffled([pair[1] for pair in pairs], episodes, draws), alarm),
        },
        "power": {metric.column: {"effect": effect(metric)} | rate(swapped, found(metric)) for metric in there},
        "first_worse_than_second": rate(lambda draws: _subsets(pairs, episodes, draws), alarm),
    }


def effect(metric: Primary) -> float:
    """The worsening that is planted, in the metric's unit."""
    return SHARE_EFFECT if metric.share else MEAN_EFFECT * metric.margin


def plant(drawn: Sequence[tuple[Row, Row]], metric: Primary, draws: np.random.Generator) -> Pairs:
    """The same comparisons with the run made worse in one metric: a share of its episodes goes wrong, whatever they were; or
    every episode by an amount around the effect, exponentially distributed as delays are."""
    worse: Pairs = []
    for one, other in drawn:
        value = one.get(metric.column)
        if value is None:
            worse.append((one, other))
        elif metric.share:
            hit = draws.random() < effect(metric)
            worse.append((dict(one) | {metric.column: (1.0 if metric.sign > 0.0 else 0.0)} if hit else one, other))
        else:
            amount = metric.sign * draws.exponential(effect(metric))
            worse.append((dict(one) | {metric.column: float(value) + amount}, other))
    return worse


def format_bench(figures: dict[str, object]) -> str:
    """The figures as text."""
    lines = [f"comparisons of {figures['episodes']} episodes, drawn from {figures['pairs']} stored pairs"]

    def told(name: str, found: object) -> str:
        assert isinstance(found, dict)
        low, high = 100.0 * found["low"], 100.0 * found["high"]
        return f"{name:<44} {found['count']:>4} of {found['episodes']}, {100.0 * found['rate']:.1f} % [{low:.1f}, {high:.1f}]"

    alarms, power = figures["false_alarms"], figures["power"]
    assert isinstance(alarms, dict)
    assert isinstance(power, dict)
    lines += [told(f"false alarms, pairs {name}", found) for name, found in alarms.items()]
    lines += [told(f"finds {name} worse by {found['effect']:.3g}", found) for name, found in power.items()]
    lines.append(told("finds the first run worse than the second", figures["first_worse_than_second"]))
    return "\n".join(lines)


def _drawn(draw: Callable[[np.random.Generator], Iterator[Pairs]], comparisons: int) -> Iterator[Pairs]:
    """So many comparisons, round after round."""
    draws = np.random.Generator(np.random.Philox(SEED))
    left = comparisons
    while left:
        for one in draw(draws):
            yield one
            left -= 1
            if not left:
                return


def _subsets(pairs: Sequence[tuple[Row, Row]], episodes: int, draws: np.random.Generator) -> Iterator[Pairs]:
    """One round: the pairs in random order, cut into pieces."""
    order = draws.permutation(len(pairs))
    for first in range(0, len(pairs) - episodes + 1, episodes):
        yield [pairs[k] for k in order[first : first + episodes]]


def _swapped(pairs: Sequence[tuple[Row, Row]], episodes: int, draws: np.random.Generator) -> Iterator[Pairs]:
    for piece in _subsets(pairs, episodes, draws):
        coins = draws.random(episodes) < 0.5
        yield [(other, one) if coin else (one, other) for (one, other), coin in zip(piece, coins, strict=True)]


def _shuffled(rows: Sequence[Row], episodes: int, draws: np.random.Generator) -> Iterator[Pairs]:
    order = draws.permutation(len(rows))
    for first in range(0, len(rows) - 2 * episodes + 1, 2 * episodes):
        one, other = order[first : first + episodes], order[first + episodes : first + 2 * episodes]
        yield [(rows[i], rows[j]) for i, j in zip(one, other, strict=True)]


def _both(metric: Primary, pair: tuple[Row, Row]) -> bool:
    return all(row.get(metric.column) is not None for row in pair)
