"""From the store to evidence: shares and means against limits, with their intervals, and whether they are still of today.

A limit is met where the interval ends before it, broken where it begins beyond it, and undecided between. What is of another
version than the one at hand is stale whatever it says; what was interrupted decides nothing but a broken limit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from eval.configuration import driver_hash, product_hash
from eval.describe import product_version
from eval.figures import figures
from eval.runs import Arm
from eval.safety_case.argument import Evidence, Status
from eval.statistics import clopper_pearson
from eval.store import Run, Store
from eval.suites import suite_of
from scenarios.errors import InputError

MOST_EPISODES = 10_000_000
TWO_SIDED = 0.90
"""Level of an exact interval each end of which is a bound at 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a figure is held against. column: of a row for a share of episodes, else the name of a figure (`eval.figures`).

    most: the limit, infinite for what is only to be known; least: it is a lower one. unit: of figures.
    """

    what: str
    column: str
    most: float
    share: bool = True
    least: bool = False
    unit: str = ""


class Dossier:
    """A run and whatever else the store has on the same driver: the newest run of each suite and sensing level, and of other
    drivers where they are asked for."""

    def __init__(self, store: Store, main: Arm) -> None:
        self.store, self.main = store, main
        self._arms: dict[tuple[str, str, str], Arm] = {}
        for run in store.runs():
            for driver, key in run.sets.items():
                self._arms[(run.suite, driver, run.sensing)] = Arm(run=run, driver=driver, rows=store.rows(key, run.seeds))
        self._arms[(main.run.suite, main.driver, main.run.sensing)] = main

    def arm(self, suite: str, driver: str = "", sensing: str = "") -> Arm | None:
        """The newest run of a suite, by the main run's driver and at its level unless others are named."""
        return self._arms.get((suite, driver or self.main.driver, sensing or self.main.run.sensing))

    def of_driver(self) -> list[Arm]:
        """Every run of the main run's driver that has episodes."""
        return [arm for (_, driver, _), arm in self._arms.items() if driver == self.main.driver and arm.rows]


def why_stale(arm: Arm) -> str:
    """In words, what has changed since a run; empty where nothing has."""
    run, found = arm.run, []
    if run.provenance.get("product") != f"{product_version()} {product_hash()}":
        found.append("avstack")
    hashes = json.loads(str(run.provenance.get("drivers") or "{}"))
    if hashes.get(arm.driver) != driver_hash(arm.driver):
        found.append("the driver's file")
    if run.provenance.get("suite") != _content(run):
        found.append(f"suite {run.suite}")
    return f"of before {' and '.join(found)} changed" if found else ""


def against(arm: Arm | None, limit: Limit, command: str) -> Evidence:
    """The limit's figure of a run as evidence; `command` brings it where it is not there."""
    if arm is None or not arm.rows:
        return Evidence(what=limit.what, found="nothing", status=Status.MISSING, fix=command)
    status, found, fix = (_share if limit.share else _figure)(arm, limit)
    source = f"{arm.label}, {len(arm.rows)} episodes of {arm.run.suite} at the {arm.run.sensing} level"
    if status is Status.MISSING:
        return Evidence(what=limit.what, found=found, status=status, source=source, fix=fix or command)
    stale, short = why_stale(arm), len(arm.run.seeds) - len(arm.rows)
    if stale:
        return Evidence(
            what=limit.what, found=f"{found} ({stale})", status=Status.STALE, source=source, fix=f"{command} evaluates it anew"
        )
    if short > 0 and status is Status.SUPPORTED:
        return Evidence(
            what=limit.what, found=f"{found}, {short} episodes short", status=Status.OPEN, source=source, fix="Let the run finish"
        )
    return Evidence(what=limit.what, found=found, status=status, source=source, fix=fix)


def judged(low: float, high: float, limit: Limit) -> Status:
    """Of an interval beside a limit."""
    if limit.least:
        return Status.SUPPORTED if low >= limit.most else Status.REFUTED if high < limit.most else Status.OPEN
    return Status.SUPPORTED if high <= limit.most else Status.REFUTED if low > limit.most else Status.OPEN


def _share(arm: Arm, limit: Limit) -> tuple[Status, str, str]:
    """Share of episodes in which something happened, with its exact one-sided bounds at 95 %."""
    valid = [row for row in arm.rows.values() if row.get(limit.column) is not None]
    if not valid:
        return Status.MISSING, "not measured in these episodes", ""
    count = sum(bool(row[limit.column]) for row in valid)
    rate = clopper_pearson(count, len(valid), TWO_SIDED)
    status = judged(rate.low, rate.high, limit)
    side = "≥" if limit.least else "≤"
    found = f"{count} of {len(valid)} [{_percent(rate.low)}, {_percent(rate.high)}], limit {side} {_percent(limit.most)}"
    return status, found, _more(count, len(valid), limit) if status is Status.OPEN else ""


def _more(count: int, episodes: int, limit: Limit) -> str:
    """How many episodes would tell, were they like these."""
    if limit.least or count > limit.most * episodes:
        return "More episodes"

    def tells(number: int) -> bool:
        return clopper_pearson(round(count / episodes * number), number, TWO_SIDED).high <= limit.most

    enough = episodes
    while not tells(enough):
        enough *= 2
        if enough > MOST_EPISODES:
            return "More episodes than can be driven"
    short = enough // 2
    while enough - short > 1:
        short, enough = (short, (short + enough) // 2) if tells((short + enough) // 2) else ((short + enough) // 2, enough)
    return f"About {enough - episodes:,} more episodes like these"


def _figure(arm: Arm, limit: Limit) -> tuple[Status, str, str]:
    """A mean, ratio, quantile or calibration error of `eval.figures`, with its 95 % interval."""
    figure = figures(list(arm.rows.values())).get(limit.column)
    if not isinstance(figure, Mapping):
        return Status.MISSING, "not measured in these episodes", ""
    value = float(figure["value"])
    low, high = (-math.inf if figure["low"] is None else float(figure["low"])), figure["high"]
    high = math.inf if high is None else float(high)
    status = judged(low, high, limit)
    bounds = f" [{low:.4g}, {high:.4g}]" if math.isfinite(low) and math.isfinite(high) else ""
    side, unit = "≥" if limit.least else "≤", f" {limit.unit}" if limit.unit else ""
    held = f", limit {side} {limit.most:g}{unit}" if math.isfinite(limit.most) else ""
    return status, f"{value:.4g}{bounds}{unit}{held}", "More episodes" if status is Status.OPEN else ""


def _content(run: Run) -> str | None:
    """What the run's suite holds today; None where there is no such suite any more."""
    try:
        return json.dumps(asdict(suite_of(run.suite)))
    except InputError:
        return None


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"
