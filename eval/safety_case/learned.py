"""Evidence on the learned perception: the evaluation that is shipped with the weights, on scenes that nobody trained on.

It holds for scenes exchangeable with those of the evaluation: what was held out of training (kinds, beams, weather) is judged
too, by the same limits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avstack.perception.detect import NETWORK_FILE, WEIGHTS, WeightsError, read_network
from eval.safety_case.argument import Evidence, Status
from eval.safety_case.evidence import TWO_SIDED
from eval.statistics import clopper_pearson

REPORT = "report.json"
COMMAND = "avstack perception evaluate --weights avstack/perception/weights --keep"
SCORE_ERROR = 0.03
"""Of detection scores, beyond what a perfectly calibrated detector would show on so few things."""
COVERED = (0.85, 0.95)
"""Share of errors that 90 % intervals may hold, any quantity."""
MISSED = 0.01
"""Of what must be gone around, the share that may be missed within 40 m, at 95 % confidence."""
CONFIDENTLY_WRONG = 0.05
"""Of unknown things, the share that may pass for known ones and be trusted."""


@dataclass(frozen=True, slots=True)
class _Report:
    """The shipped evaluation: conditions by name, where it is, and why it is stale, if it is."""

    conditions: Mapping[str, Mapping[str, Any]]
    source: str
    stale: str


def _report(folder: Path) -> _Report | None:
    try:
        found = json.loads((folder / REPORT).read_text())
        _, meta = read_network(folder / NETWORK_FILE)
    except (OSError, ValueError, WeightsError):
        return None
    stale = "" if found.get("network") == meta.get("digest") else "of before the weights changed"
    return _Report(found.get("conditions", {}), f"{folder.name}/{REPORT}, network {found.get('network')}", stale)


def calibration(folder: Path = WEIGHTS) -> tuple[Evidence, ...]:
    """Whether scores, intervals and trust say what they mean, condition by condition."""
    report = _report(folder)
    if report is None:
        return (_nothing("scores, intervals and trust of the learned model are calibrated"),)
    found = []
    for name, one in report.conditions.items():
        excess = float(one["d_ece"]) - float(one["d_ece_floor"])
        shares = [float(value) for value in one["coverage90"].values()]
        wrong, unknown = float(one["confident_wrong_after"]), int(one["unfamiliar"])
        found += [
            _told(
                report, f"{name}: scores of detections", f"error {max(excess, 0.0):.3f} above its floor, limit {SCORE_ERROR:g}",
                excess <= SCORE_ERROR,
            ),
            _told(
                report, f"{name}: 90 % intervals of place, heading, velocity and size",
                f"hold {100 * min(shares):.0f} to {100 * max(shares):.0f} % of errors, limits {100 * COVERED[0]:.0f} and"
                f" {100 * COVERED[1]:.0f} %", COVERED[0] <= min(shares) and max(shares) <= COVERED[1],
            ),
            _bounded(report, f"{name}: unknown things that are trusted under a wrong name", wrong, unknown, CONFIDENTLY_WRONG),
        ]  # fmt: skip
    return tuple(found)


def misses(folder: Path = WEIGHTS) -> tuple[Evidence, ...]:
    """Whether what must be gone around is, known or not: by the models' maps, and by what the stack goes by after one sweep."""
    report = _report(folder)
    if report is None:
        return (_nothing("the coarse model misses little of what must be gone around"),)
    return tuple(
        _bounded(report, f"{name}: {by} of what must be gone around", float(one[figure]), int(one["must_go_around"]), MISSED)
        for name, one in report.conditions.items()
        for by, figure in (("missed by the models' maps", "layered_miss"), ("not told at once", "told_miss"))
    )


def _bounded(report: _Report, what: str, share: float, things: int, most: float) -> Evidence:
    """A share of things with its exact one-sided bounds."""
    count = round(share * things)
    rate = clopper_pearson(count, things, TWO_SIDED)
    said = f"{count} of {things} [{100 * rate.low:.2g}, {100 * rate.high:.2g} %], limit ≤ {100 * most:g} %"
    status = Status.SUPPORTED if rate.high <= most else Status.REFUTED if rate.low > most else Status.OPEN
    return _dated(report, what, said, status, "More scenes, or better models" if status is not Status.SUPPORTED else "")


def _told(report: _Report, what: str, said: str, good: bool) -> Evidence:
    return _dated(report, what, said, Status.SUPPORTED if good else Status.REFUTED, "" if good else "Calibrate again")


def _dated(report: _Report, what: str, said: str, status: Status, fix: str) -> Evidence:
    if report.stale:
        said, status, fix = f"{said} ({report.stale})", Status.STALE, f"{COMMAND} evaluates it anew"
    return Evidence(what=what, found=said, status=status, source=report.source, fix=fix)


def _nothing(what: str) -> Evidence:
    return Evidence(what=what, found="nothing", status=Status.MISSING, fix=COMMAND)
