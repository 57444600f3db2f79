"""Two drivers at the same risk: what each loses in time when both come equally close to others.

A planner that dares more is faster. To compare how well two decide and not how much they dare, each is driven at several values
of its assertiveness; its mean delay then is a curve over its share of episodes with a post-encroachment time below one second,
and the curves are compared where both have values. More risk has to buy less delay: points out of that order are pooled.

Pooling averages settings that cost time and buy no safety into their neighbours, so that a driver with more of them looks worse
than at its best. Beside it stand the least delays that any setting has at no more than a risk (`saved_least`): what one gets who
picks the setting by these very episodes, which flatters both drivers. Believe what both comparisons say.

Where assertiveness moves the delay but hardly the risk, the curves shrink to points, which need not have a risk in common: that
is said, and they are compared at their nearest risks. Two figures do not hang on it: both drivers at the same assertiveness,
episode by episode; and the comparison at equal shares of longer post-encroachment times, which happen more often.

All values drive the same episodes. Intervals: bootstrap over episodes, resampled together for all values of both drivers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import click
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from eval.errors import ExitCode
from eval.evaluate import Request, collect
from eval.figures import interval, values
from eval.metrics.encroachment import CLOSE_S
from eval.statistics import bootstrap, clopper_pearson, ratio_of_sums
from eval.store import Row
from eval.tables import figure_cell, render
from scenarios.errors import InputError
from sim.interface import Floats

SETTING = "behaviours.assertiveness"
GRID = 21
"""Levels of risk, evenly over what both drivers reach, that the curves are compared at."""
COLUMN = "ego_delay"
LOOSER_S = (1.5, 2.0)
"""Other post-encroachment times [s] that the curves are also compared at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What `avstack matched-risk` was asked for. driver is compared with `against`, each at `count` values of SETTING from 0 to
    1; settings: what both are run with besides, such as safety=false."""

    request: Request
    driver: str
    against: str
    count: int = 7
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One driver's episodes: risky, delay (V, N) of V values and the N seeds that all values of both drivers have."""

    risky: Floats
    delay: Floats


def matched_risk(sweep: Sweep, *, as_json: bool) -> ExitCode:
    """Drive what the store does not have yet, and report. Raises InputError as `evaluate` does."""
    if not 2 <= sweep.count <= 50:
        raise InputError(f"a sweep takes 2 to 50 values, got {sweep.count}", fix="Use --values 7, for example")
    places = {name: [_named(name, value, sweep) for value in _steps(sweep.count)] for name in (sweep.driver, sweep.against)}
    rows, interrupted = collect(replace(sweep.request, drivers=tuple(name for names in places.values() for name in names)))
    found = {name: [rows[one] for one in names] for name, names in places.items()}
    report = compared(sweep, curves_of(found, CLOSE_S), {closer: curves_of(found, closer) for closer in LOOSER_S})
    click.echo(json.dumps(report) if as_json else sweep_text(report))
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


def compared(
    sweep: Sweep, curves: Mapping[str, Curve], looser: Mapping[float, Mapping[str, Curve]] | None = None
) -> dict[str, object]:
    """The report: both curves, and how much less time `driver` loses than `against` at the same risk; looser: the curves at other
    post-encroachment times."""
    one, other = curves[sweep.driver], curves[sweep.against]
    count = one.delay.shape[1]
    report: dict[str, object] = {
        "suite": sweep.request.suite,
        "sensing": sweep.request.sensing,
        "settings": list(sweep.settings),
        "driver": sweep.driver,
        "against": sweep.against,
        "episodes": count,
        "curves": {name: _points(curve, sweep.count) for name, curve in curves.items()},
        "saved": None,
        "saved_s": None,
        "saved_least": None,
        "common_risk": None,
        "nearest_risks": None,
        "same_assertiveness": None,
        "looser": {},
    }
    if not count:
        return report
    report |= _savings(one, other)
    report["same_assertiveness"] = {
        "delay_s": interval(ratio_of_sums((one.delay - other.delay).mean(axis=0))),
        "risk": interval(ratio_of_sums((one.risky - other.risky).mean(axis=0))),
    }
    report["looser"] = {
        f"{closer:g}": _savings(found[sweep.driver], found[sweep.against]) for closer, found in (looser or {}).items()
    }
    return report


def _savings(one: Curve, other: Curve) -> dict[str, object]:
    """What the first saves, and where: the range of risk that both reach, or each one's risk nearest to the other's."""
    count = one.delay.shape[1]
    fronts = _fronts(one, other, np.arange(count, dtype=np.int64))
    (low, high), mine, theirs = _common(*fronts), fronts[0][0], fronts[1][0]
    lower = mine[-1] < theirs[0]
    apart = (float(mine[-1 if lower else 0]), float(theirs[0 if lower else -1]))
    return {
        "saved": interval(bootstrap(count, lambda chosen: saved(one, other, chosen)[0])),
        "saved_s": interval(bootstrap(count, lambda chosen: saved(one, other, chosen)[1])),
        "saved_least": interval(bootstrap(count, lambda chosen: saved_least(one, other, chosen))),
        "common_risk": (low, high) if low <= high else None,
        "nearest_risks": None if low <= high else apart,
    }


def saved(one: Curve, other: Curve, chosen: NDArray[np.int64]) -> tuple[float, float]:
    """(share, seconds) of the other's delay that the first does not have at the same risk, in chosen episodes.

    The mean over the risks that both reach; where there are none, at the nearest risks of the two.
    """
    first, second = _fronts(one, other, chosen)
    low, high = _common(first, second)
    risks = np.linspace(low, max(low, high), GRID)
    mine, theirs = (float(np.mean(np.interp(risks, front[0], front[1]))) for front in (first, second))
    return (1.0 - mine / theirs if theirs != 0.0 else 0.0), theirs - mine


def saved_least(one: Curve, other: Curve, chosen: NDArray[np.int64]) -> float:
    """Share of the other's least delay that the first does not have, at no more than the same risk, in chosen episodes.

    The mean over the risks from where both have a setting on; settings that are slower than a safer one count for nothing.
    """
    means = [(curve.risky[:, chosen].mean(axis=1), curve.delay[:, chosen].mean(axis=1)) for curve in (one, other)]
    risks = np.linspace(max(float(risk.min()) for risk, _ in means), max(float(risk.max()) for risk, _ in means), GRID)
    allowed = (np.where(risk[None, :] <= risks[:, None] + 1e-9, delay[None, :], np.inf) for risk, delay in means)
    mine, theirs = (float(within.min(axis=1).mean()) for within in allowed)
    return 1.0 - mine / theirs if theirs != 0.0 else 0.0


def front(risk: Floats, delay: Floats) -> tuple[Floats, Floats]:
    """Risk (K,) ascending and delay (K,) not ascending, by pooling adjacent violators (Barlow et al. 1972)."""
    order = np.lexsort((delay, risk))
    pools: list[list[float]] = []  # risk sum, delay sum, count
    for k in order:
        pools.append([float(risk[k]), float(delay[k]), 1.0])
        while len(pools) > 1 and _mean(pools[-1]) >= _mean(pools[-2]):
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    return np.array([pool[0] / pool[2] for pool in pools]), np.array([_mean(pool) for pool in pools])


def _mean(pool: list[float]) -> float:
    return pool[1] / pool[2]


def _fronts(one: Curve, other: Curve, chosen: NDArray[np.int64]) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    a, b = (front(curve.risky[:, chosen].mean(axis=1), curve.delay[:, chosen].mean(axis=1)) for curve in (one, other))
    return a, b


def _common(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> tuple[float, float]:
    """Range of risk that both fronts span; high < low where none is."""
    return float(max(one[0][0], other[0][0])), float(min(one[0][-1], other[0][-1]))


def _steps(count: int) -> list[float]:
    return [round(float(value), 4) for value in np.linspace(0.0, 1.0, count)]


def _named(driver: str, value: float, sweep: Sweep) -> str:
    inner = driver.removesuffix("]").replace("[", ",").split(",")
    return f"{inner[0]}[{','.join((*inner[1:], *sweep.settings, f'{SETTING}={value:g}'))}]"


def curves_of(rows: Mapping[str, Sequence[Sequence[Row]]], closer: float) -> dict[str, Curve]:
    """Episodes that every value of both drivers has finished, with a delay to compare; risky: passed `closer` [s] than that."""
    good = [
        {row["seed"] for row in one if row.get(COLUMN) is not None and row.get("min_pet") is not None}
        for values_of in rows.values()
        for one in values_of
    ]
    seeds = sorted(set.intersection(*good)) if good else []  # type: ignore[type-var]
    chosen = {
        name: [[{row["seed"]: row for row in one}[seed] for seed in seeds] for one in found] for name, found in rows.items()
    }
    return {
        name: Curve(
            risky=np.array([values(one, "min_pet") < closer for one in found], np.float64).reshape(len(found), -1),
            delay=np.array([values(one, COLUMN) for one in found]).reshape(len(found), -1),
        )
        for name, found in chosen.items()
    }


def _points(curve: Curve, count: int) -> list[dict[str, float]]:
    found = []
    for value, risky, delay in zip(_steps(count), curve.risky, curve.delay, strict=True):
        rate = clopper_pearson(int(risky.sum()), len(risky))
        mean = float(delay.mean()) if len(delay) else 0.0
        found.append({"assertiveness": value, "risk": rate.rate, "low": rate.low, "high": rate.high, "ego_delay_s": mean})
    return found


def sweep_text(report: Mapping[str, object]) -> str:
    """The report for a terminal."""
    return render(sweep_table(report)) + "\n".join(sweep_lines(report))


def sweep_table(report: Mapping[str, object]) -> Table:
    """Risk and delay of both drivers at each assertiveness."""
    curves = report["curves"]
    assert isinstance(curves, dict)
    table = Table(title=f"{report['suite']}, {report['episodes']} episodes: delay and P(min PET < 1 s)", title_justify="left")
    table.add_column("assertiveness", justify="right")
    for name in curves:
        table.add_column(f"{name}: risk", justify="right")
        table.add_column("delay s", justify="right")
    for points in zip(*curves.values(), strict=True):
        cells = [cell for one in points for cell in (f"{100.0 * one['risk']:.2f} %", f"{one['ego_delay_s']:.2f}")]
        table.add_row(f"{points[0]['assertiveness']:g}", *cells)
    return table


def sweep_lines(report: Mapping[str, object]) -> list[str]:
    """What the comparison comes to, in sentences."""
    both = f"{report['driver']} against {report['against']}"
    lines = [f"{both}, share of the delay saved at the same risk: {_saved_text(report)}"]
    lines.append(f"the same of the least delays at no more risk: {figure_cell(report['saved_least'])}")
    looser, same = report["looser"], report["same_assertiveness"]
    assert isinstance(looser, dict)
    lines += [f"the same at P(min PET < {closer} s): {_saved_text(found)}" for closer, found in looser.items()]
    if isinstance(same, dict):
        lines.append(
            f"{both} at the same assertiveness: delay {figure_cell(same['delay_s'])} s, risk {figure_cell(same['risk'])}"
        )
    return lines


def _saved_text(found: Mapping[str, object]) -> str:
    saving, seconds = (figure_cell(found[name]) for name in ("saved", "saved_s"))
    common, nearest = found["common_risk"], found["nearest_risks"]
    if isinstance(common, Sequence):
        where = f"risk {100.0 * common[0]:.2f} to {100.0 * common[1]:.2f} %"
    elif isinstance(nearest, Sequence):
        where = f"no risk in common: {100.0 * nearest[0]:.2f} % against {100.0 * nearest[1]:.2f} %"
    else:
        where = "no episode in common"
    return f"{saving}, {seconds} s ({where})"
