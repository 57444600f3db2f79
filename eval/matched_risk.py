"""Two drivers at the same risk: what each loses in time when both come equally close to others.

A planner that dares more is faster. To compare how well two decide and not how much they dare, each is driven at several values
of its assertiveness; its mean delay then is a curve over its share of episodes with a post-encroachment time below one second,
and the curves are compared where both have values. More risk has to buy less delay: points out of that order are pooled.

All values drive the same episodes. Intervals: bootstrap over episodes, resampled together for all values of both drivers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import click
import numpy as np
from numpy.typing import NDArray

from eval.errors import ExitCode
from eval.evaluate import Request, collect
from eval.figures import interval, values
from eval.statistics import bootstrap, clopper_pearson
from eval.store import Row
from scenarios.errors import InputError
from sim.interface import Floats

SETTING = "behaviours.assertiveness"
GRID = 21
"""Levels of risk, evenly over what both drivers reach, that the curves are compared at."""
COLUMN = "ego_delay"


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
    curves = _curves({name: [rows[one] for one in names] for name, names in places.items()})
    report = compared(sweep, curves)
    click.echo(json.dumps(report) if as_json else sweep_text(report))
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


def compared(sweep: Sweep, curves: Mapping[str, Curve]) -> dict[str, object]:
    """The report: both curves, and how much less time `driver` loses than `against` at the same risk."""
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
        "common_risk": None,
    }
    if not count:
        return report
    everybody = np.arange(count, dtype=np.int64)
    report["common_risk"] = _common(*_fronts(one, other, everybody))
    report["saved"] = interval(bootstrap(count, lambda chosen: saved(one, other, chosen)[0]))
    report["saved_s"] = interval(bootstrap(count, lambda chosen: saved(one, other, chosen)[1]))
    return report


def saved(one: Curve, other: Curve, chosen: NDArray[np.int64]) -> tuple[float, float]:
    """(share, seconds) of the other's delay that the first does not have at the same risk, in chosen episodes.

    The mean over the risks that both reach; where there are none, at the nearest risks of the two.
    """
    first, second = _fronts(one, other, chosen)
    low, high = _common(first, second)
    risks = np.linspace(low, max(low, high), GRID)
    mine, theirs = (float(np.mean(np.interp(risks, front[0], front[1]))) for front in (first, second))
    return (1.0 - mine / theirs if theirs != 0.0 else 0.0), theirs - mine


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


def _curves(rows: Mapping[str, Sequence[Sequence[Row]]]) -> dict[str, Curve]:
    """Episodes that every value of both drivers has finished, with a delay to compare."""
    good = [
        {row["seed"] for row in one if row.get(COLUMN) is not None and row.get("close_call") is not None}
        for values_of in rows.values()
        for one in values_of
    ]
    seeds = sorted(set.intersection(*good)) if good else []  # type: ignore[type-var]
    chosen = {
        name: [[{row["seed"]: row for row in one}[seed] for seed in seeds] for one in found] for name, found in rows.items()
    }
    return {
        name: Curve(
            risky=np.array([values(one, "close_call") for one in found]).reshape(len(found), -1),
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
    from rich.table import Table

    from eval.tables import figure_cell, render

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
    saving, seconds = (figure_cell(report[name]) for name in ("saved", "saved_s"))
    risk = report["common_risk"]
    where = "no episode in common" if risk is None else f"risk {100.0 * risk[0]:.2f} to {100.0 * risk[1]:.2f} %"  # type: ignore[index]
    words = (
        f"{report['driver']} loses less than {report['against']} at the same risk: share {saving}, seconds {seconds} ({where})"
    )
    return f"{render(table)}{words}"
