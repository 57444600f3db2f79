"""The verdict for CI: is a run significantly worse than a baseline on the same episodes, in which metric, by how much and where.

Few primary metrics, each with the worsening that is put up with (its margin). A metric fails where a paired one-sided test says
that it is worse by more than its margin, corrected over the metrics by Holm's method so that a run that is no worse fails in at
most 1 of 100 comparisons. It has held where its worsening is shown to be less than the margin; else it is open, and what is said
is how many episodes would tell.

`anytime` takes tests that hold however often one looks (`eval.sequential`), for runs that go on until the verdict is clear.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from eval import sequential
from eval.paired import episodes_for_mean, episodes_for_share, holm, mean_p, share_p, tango_interval
from eval.statistics import Estimate, ratio_of_sums
from eval.store import Row
from sim.interface import Floats

FAMILY_ALPHA = 0.01
"""Probability that anything fails although nothing got worse by more than its margin, at most."""
NAMED_SEEDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """A metric that can fail the gate. column: of a row; share: whether an episode has it or not, else a number; margin: the
    worsening put up with, in the metric's unit (shares: of episodes); sign: 1 where more is worse, -1 where less is."""

    what: str
    column: str
    unit: str
    margin: float
    share: bool = False
    sign: float = 1.0


PRIMARY = (
    Primary(what="at-fault collisions", column="at_fault", unit="episodes", margin=0.002, share=True),
    Primary(what="collisions", column="collisions", unit="episodes", margin=0.002, share=True),
    Primary(what="crashes of the driver", column="crashed", unit="episodes", margin=0.002, share=True),
    Primary(what="off road", column="offroad", unit="episodes", margin=0.002, share=True),
    Primary(what="goal reached", column="completed", unit="episodes", margin=0.01, share=True, sign=-1.0),
    Primary(what="rescues by others", column="rescues", unit="per episode", margin=0.02),
    Primary(what="ego's delay", column="ego_delay", unit="s", margin=0.3),
    Primary(what="progress", column="progress", unit="share", margin=0.01, sign=-1.0),
    Primary(what="time above the jerk alarm", column="jerk_violations", unit="share", margin=0.002),
    Primary(what="time without a way out", column="fallback_missing_s", unit="s", margin=0.1),
    Primary(what="belief log loss", column="belief_log_loss", unit="nats", margin=0.02),
    Primary(what="existence log loss of percepts", column="existence_log_loss", unit="nats", margin=0.02),
    Primary(what="miscoverage of percepts' places", column="position_miscoverage", unit="share", margin=0.02),
    Primary(what="log loss of detections", column="detection_log_loss", unit="nats a thing", margin=0.05),
    Primary(what="log loss of detections' places", column="detection_place_loss", unit="nats", margin=0.1),
    Primary(what="things to go around untold by the rich model", column="rich_miss", unit="share", margin=0.01),
    Primary(what="things to go around untold by the coarse model", column="coarse_miss", unit="share", margin=0.005),
    Primary(what="false alarms of the coarse model", column="coarse_false_alarms", unit="share", margin=0.01),
    Primary(what="unfamiliar things trusted to be what they are not", column="confident_wrong", unit="share", margin=0.02),
)
"""What the gate looks at, and the one place where margins are declared."""


class Finding(StrEnum):
    """Of one metric."""

    WORSE = "worse"
    HELD = "held"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One metric's outcome. run, baseline: its values; worsening: with its two-sided 95 % interval, positive is worse; p: of no
    more than the margin; adjusted: the same by Holm over all metrics; needed: episodes that tell the worsening seen where that is
    above the margin, else the margin; seeds: where the run was worse, the worst first."""

    metric: Primary
    pairs: int
    run: float
    baseline: float
    worsening: Estimate
    p: float
    adjusted: float
    finding: Finding
    needed: float
    seeds: tuple[int, ...]


def judge(pairs: Sequence[tuple[Row, Row]], *, anytime: bool = False) -> list[Test]:
    """Every primary metric that both of a pair (run, baseline) have in at least two episodes.

    anytime: the verdict holds although the same pairs, fewer or more, were or will be looked at too; they come in one order.
    """
    columns = {metric: _columns(metric, pairs) for metric in PRIMARY}
    there = [metric for metric in PRIMARY if len(columns[metric][0]) >= 2]
    p_values = [p_value(metric, *columns[metric][1:], anytime=anytime) for metric in there]
    alpha = FAMILY_ALPHA / max(len(there), 1)
    return [
        _test(metric, columns[metric], p, adjusted, alpha, anytime=anytime)
        for metric, p, adjusted in zip(there, p_values, holm(p_values), strict=True)
    ]


def fails(tests: Sequence[Test]) -> bool:
    """Whether anything got significantly worse."""
    return any(test.finding is Finding.WORSE for test in tests)


def is_clear(tests: Sequence[Test]) -> bool:
    """Whether more episodes would change nothing: something got worse, or everything has held."""
    return fails(tests) or (len(tests) > 0 and all(test.finding is Finding.HELD for test in tests))


def p_value(metric: Primary, run: Floats, baseline: Floats, *, anytime: bool = False) -> float:
    """One-sided p-value of "no worse than the margin allows" over paired episodes (N,), (N,)."""
    worsening = metric.sign * (run - baseline)
    if anytime:
        return (sequential.share_p if metric.share else sequential.mean_p)(worsening, metric.margin)
    if not metric.share:
        return mean_p(worsening, metric.margin)
    return share_p(int(np.sum(worsening > 0.0)), int(np.sum(worsening < 0.0)), len(worsening), metric.margin)


def _columns(metric: Primary, pairs: Sequence[tuple[Row, Row]]) -> tuple[list[int], Floats, Floats]:
    """Seeds, and values of the run and of the baseline; an episode that the driver under test does not even give a value for,
    because it crashed, is told by its own metric."""
    both = [(one, other) for one, other in pairs if one.get(metric.column) is not None and other.get(metric.column) is not None]
    seeds = [int(str(one["seed"])) for one, _ in both]
    run, baseline = (np.array([float(pair[k][metric.column] or 0.0) for pair in both]) for k in (0, 1))
    return (seeds, (run > 0.0).astype(float), (baseline > 0.0).astype(float)) if metric.share else (seeds, run, baseline)


def _test(
    metric: Primary, columns: tuple[list[int], Floats, Floats], p: float, adjusted: float, alpha: float, *, anytime: bool
) -> Test:
    seeds, run, baseline = columns
    worsening = metric.sign * (run - baseline)
    estimate = _estimate(metric, worsening, anytime=anytime)
    worse = adjusted <= FAMILY_ALPHA
    finding = Finding.WORSE if worse else Finding.HELD if estimate.high <= metric.margin else Finding.OPEN
    order = np.argsort(-worsening, kind="stable")
    return Test(
        metric=metric,
        pairs=len(seeds),
        run=float(run.mean()),
        baseline=float(baseline.mean()),
        worsening=estimate,
        p=p,
        adjusted=adjusted,
        finding=finding,
        needed=_needed(metric, worsening, alpha),
        seeds=tuple(seeds[k] for k in order[:NAMED_SEEDS] if worsening[k] > 0.0),
    )


def _estimate(metric: Primary, worsening: Floats, *, anytime: bool) -> Estimate:
    if anytime:
        low, high = (sequential.share_interval if metric.share else sequential.mean_interval)(worsening)
        return Estimate(value=float(worsening.mean()), low=low, high=high, episodes=len(worsening))
    if not metric.share:
        return ratio_of_sums(worsening)
    low, high = tango_interval(int(np.sum(worsening > 0.0)), int(np.sum(worsening < 0.0)), len(worsening))
    return Estimate(value=float(worsening.mean()), low=low, high=high, episodes=len(worsening))


def _needed(metric: Primary, worsening: Floats, alpha: float) -> float:
    beyond = float(worsening.mean()) - metric.margin
    effect = beyond if beyond > 0.0 else metric.margin
    if metric.share:
        return episodes_for_share(int(np.sum(worsening > 0.0)), int(np.sum(worsening < 0.0)), len(worsening), alpha, effect)
    return episodes_for_mean(worsening, alpha, effect)


def gate_json(tests: Sequence[Test]) -> list[dict[str, object]]:
    """For JSON, which has no infinity."""
    return [
        {
            "metric": test.metric.column, "what": test.metric.what, "unit": test.metric.unit, "margin": test.metric.margin,
            "finding": str(test.finding), "pairs": test.pairs, "run": test.run, "baseline": test.baseline,
            "worsening": {name: _finite(getattr(test.worsening, name)) for name in ("value", "low", "high")},
            "p": test.p, "p_adjusted": test.adjusted, "episodes_needed": _finite(test.needed), "seeds": list(test.seeds),
        }
        for test in tests
    ]  # fmt: skip


def gate_text(tests: Sequence[Test], names: tuple[str, str]) -> str:
    """The verdict first, then why, then every metric. names: of the run and of the baseline."""
    from rich.markup import escape
    from rich.table import Table

    from eval.tables import render

    run, baseline = names
    bad = [test for test in tests if test.finding is Finding.WORSE]
    lines = [f"FAILED: {run} is worse than {baseline}" if bad else f"passed: {run} is not found worse than {baseline}"]
    lines += [f"  {sentence(test)}; seeds {', '.join(map(str, test.seeds))}" for test in bad]
    table = Table(title="worsening over the same episodes (positive is worse), 95 % intervals", title_justify="left")
    for heading in ("", "run", "baseline", "worsening", "margin", "p, Holm", "finding", "episodes that would tell"):
        table.add_column(heading, justify="right" if heading else "left")
    for test in tests:
        cells = (
            amount(test, test.run), amount(test, test.baseline), change(test), amount(test, test.metric.margin),
            f"{test.adjusted:.2g}", str(test.finding), "-" if math.isinf(test.needed) else f"{test.needed:,.0f}",
        )  # fmt: skip
        table.add_row(escape(f"{test.metric.what} [{_unit(test)}]"), *map(escape, cells))
    return "\n".join([*lines, render(table).rstrip("\n")])


def sentence(test: Test) -> str:
    """What a metric that failed has to say."""
    return (
        f"{test.metric.what}: {amount(test, test.run)} against {amount(test, test.baseline)}, worse by {change(test)}"
        f" {_unit(test)} over {test.pairs} episodes, margin {amount(test, test.metric.margin)}, p {test.adjusted:.2g}"
    )


def amount(test: Test, value: float) -> str:
    """A value of the metric, shares of episodes in per cent."""
    return f"{100.0 * value:.2f}" if test.metric.share else f"{value:.4g}"


def change(test: Test) -> str:
    """The worsening with its interval."""
    found = test.worsening
    return f"{amount(test, found.value)} [{amount(test, found.low)}, {amount(test, found.high)}]"


def _unit(test: Test) -> str:
    return "% of episodes" if test.metric.share else test.metric.unit


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
