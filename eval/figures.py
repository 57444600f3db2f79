"""From rows of episodes to a report: every figure with its 95 % interval, by driver, by scenario and by opponent, and in pairs.

Shares of episodes carry exact intervals, means and ratios bootstrap intervals over episodes. Only rows that have a value count.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from avstack.safety.assumptions import Assumption
from eval.company import collisions_with
from eval.metrics.foresight import calibration_error, calibration_floor, read_bins
from eval.paired import episodes_for_mean, episodes_for_share, tango_interval
from eval.perception.scene_metrics import SCENE_METRICS
from eval.statistics import Estimate, bootstrap, clopper_pearson, mcnemar, ratio_of_sums
from eval.store import Row
from sim.interface import Floats

PRIVILEGED = {"joint": "privileged", "marginal": "privileged_marginal"}
"""Driver -> the one that its regret is measured against: the same planner, told the others' private types. Whoever is not here
is held against `joint` told them."""
RATES = (
    "completed", "at_fault", "collisions", "avoidable_collisions", "cut_off_collisions", "deadlocks", "deadlocks_of_others",
    "livelocks", "order_violation_rate", "offroad", "crashed", "close_call", "bullied",
    "struck_things", "fault_noticed", "fallback_lost",
)  # fmt: skip
"""Shares of episodes with at least one, of those that have the column."""
MEANS = {
    "rescues": "rescues",
    "time_s": "time_s",
    "progress": "progress",
    "nuplan_score": "nuplan_score",
    "ego_delay_s": "ego_delay",
    "imposed_delay_s": "imposed_delay",
    "imposed_braking": "imposed_braking",
    "min_pet_s": "min_pet",
    "order_violations_suffered": "order_violations_suffered",
    "rss_violation_s": "rss_violation_s",
    "rss_improper_s": "rss_improper_s",
    "jerk_violations": "jerk_violations",
    "max_decel": "max_decel",
    "comfort_regret": "comfort_regret",
    "interventions": "interventions",
    "intervention_s": "intervention_s",
    "fallback_missing_s": "fallback_missing_s",
    "assumptions_broken": "assumptions_broken",
    "belief_log_loss": "belief_log_loss",
    "commitment_log_loss": "commitment_log_loss",
    "time_to_sure_s": "time_to_sure",
    "crept_at_person_s": "crept_at_person_s",
    "mean_speed": "mean_speed",
    "hard_brakes": "hard_brakes",
    "phantom_stops": "phantom_stops",
    "doubt_share": "doubt_share",
    "time_to_notice_s": "time_to_notice",
    "existence_log_loss": "existence_log_loss",
    "position_miscoverage": "position_miscoverage",
    "position_coverage": "position_coverage",
    "position_nees": "position_nees",
    "velocity_coverage": "velocity_coverage",
    **{name: name for name in SCENE_METRICS},
    "decision_ms_p99": "decision_ms_p99",
}
"""Means over the episodes that have the value: name in the report -> name in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A ratio of sums over episodes: numerator and denominator, products of columns; `plus` is added, `succeeded`: only episodes
    that reached the goal without a collision count."""

    top: tuple[str, ...]
    bottom: tuple[str, ...]
    plus: float = 0.0
    scale: float = 1.0
    succeeded: bool = False

    def sums(self, rows: Sequence[Row]) -> tuple[Floats, Floats]:
        """(N,), (N,) of the episodes that count."""
        valid = [row for row in rows if all(row.get(name) is not None for name in (*self.top, *self.bottom))]
        if self.succeeded:
            valid = [row for row in valid if row["completed"] and not row["collisions"]]
        return self.scale * _product(valid, self.top), _product(valid, self.bottom)


RATIOS = {
    "excess_time": Ratio(top=("delay",), bottom=("first_come_delay",), plus=-1.0),
    "ordinary_excess_time": Ratio(top=("ordinary_delay",), bottom=("first_come_delay",), plus=-1.0),
    "excess_over_ordinary": Ratio(top=("delay",), bottom=("ordinary_delay",), plus=-1.0),
    "ego_excess_time": Ratio(top=("ego_delay",), bottom=("ego_turn_delay",), plus=-1.0),
    "price_of_anarchy": Ratio(top=("time_used",), bottom=("optimal_time",)),
    "courtesy": Ratio(top=("imposed_delay",), bottom=("ego_delay",)),
    "rescues_per_1000": Ratio(top=("rescues",), bottom=("encounters",), scale=1000.0),
    "fallback_available": Ratio(top=("fallback_available", "fallback_ticks"), bottom=("fallback_ticks",), succeeded=True),
    "stop_jerk_over": Ratio(top=("stop_jerk_over", "stop_ticks"), bottom=("stop_ticks",)),
    "jerk_over_least": Ratio(top=("jerk_of_crossing",), bottom=("least_jerk",)),
    "nats_per_metre": Ratio(top=("learned_nats",), bottom=("crept_m",)),
}
QUANTILES = {"stop_jerk_95": ("stop_jerk_95", 0.95), "stop_decel_95": ("stop_decel", 0.95)}
"""Quantiles over episodes of a column."""
CALIBRATIONS = {"belief_ece": "belief_bins", "commitment_ece": "commitment_bins", "influence_ece": "influence_bins",
    "existence_ece": "existence_bins",
}  # fmt: skip
"""Expected calibration errors, pooled over the episodes' bins."""
_ALPHA = 0.025


def figures(rows: Sequence[Row], privileged: Sequence[Row] = ()) -> dict[str, object]:
    """Everything about one driver. privileged: rows of the privileged planner, for regret."""
    found: dict[str, object] = {"episodes": len(rows), "collisions_with": collisions_with(rows)}
    for name in RATES:
        valid = [row for row in rows if row.get(name) is not None]
        found[name] = asdict(clopper_pearson(sum(bool(row[name]) for row in valid), len(valid))) if valid else None
    for name, column in MEANS.items():
        valid = [row for row in rows if row.get(column) is not None]
        found[name] = interval(ratio_of_sums(values(valid, column))) if valid else None
    for name, ratio in RATIOS.items():
        top, bottom = ratio.sums(rows)
        found[name] = interval(ratio_of_sums(top, bottom), ratio.plus) if len(top) and bottom.sum() != 0.0 else None
    for name, (column, level) in QUANTILES.items():
        there = values([row for row in rows if row.get(column) is not None], column)
        found[name] = _bootstrapped(len(there), _quantile(there, level))
    for name, column in CALIBRATIONS.items():
        bins = read_bins([str(row[column]) for row in rows if row.get(column)])
        found[name] = None if not len(bins) else _calibrated(bins)
    found["interventions_for"] = _by_assumption(rows, "interventions_for")
    found["assumptions_broken_by"] = _by_assumption(rows, "broken_by_number")
    return found | _influence(rows) | {"regret": _regret(rows, privileged)}


def privileged_of(driver: str) -> str:
    """The name of the driver that a driver's regret is measured against."""
    return PRIVILEGED.get(driver, PRIVILEGED["joint"])


def by_scenario(rows: Sequence[Row], privileged: Sequence[Row] = ()) -> dict[str, dict[str, object]]:
    """The figures of each scenario that a suite draws from; empty where there is but one."""
    names = sorted({str(row.get("scenario") or "") for row in rows} - {""})
    if len(names) < 2:
        return {}
    return {name: figures(_of(rows, name), _of(privileged, name)) for name in names}


def differences(rows: Sequence[Row], base: Sequence[Row]) -> dict[str, object]:
    """Paired differences over the seeds that both drove, with intervals, rates with McNemar's p; `upper`: a rate's one-sided
    bound; `needed`: episodes that would tell a difference as large as the one seen, in 9 of 10 cases, at 5 % two-sided."""
    by_seed = {row["seed"]: row for row in base}
    pairs = [(row, by_seed[row["seed"]]) for row in rows if row["seed"] in by_seed]
    found: dict[str, object] = {"pairs": len(pairs)}
    for name in RATES:
        both = _with(pairs, (name,))
        only = [bool(one[name]) - bool(other[name]) for one, other in both]
        if both:
            more, less = only.count(1), only.count(-1)
            low, high = tango_interval(more, less, len(only))
            upper = tango_interval(more, less, len(only), 1.0 - 4.0 * _ALPHA)[1]
            found[name] = {"value": (more - less) / len(only), "low": low, "high": high, "episodes": len(only)} | {
                "upper": upper,
                "more": more,
                "less": less,
                "p": mcnemar(more, less),
                "needed": _whole(episodes_for_share(more, less, len(only), _ALPHA)),
            }
    for name, column in MEANS.items():
        both = _with(pairs, (column,))
        if both:
            changes = _changes(both, column)
            found[name] = interval(ratio_of_sums(changes)) | {"needed": _whole(episodes_for_mean(changes, _ALPHA))}
    for name, ratio in RATIOS.items():
        both = [] if ratio.succeeded else _with(pairs, (*ratio.top, *ratio.bottom))
        (top, bottom), (other, below) = ratio.sums([one for one, _ in both]), ratio.sums([two for _, two in both])
        if both and bottom.sum() != 0.0 and below.sum() != 0.0:
            change = _quotients(top, bottom, other, below)
            found[name] = _bootstrapped(len(both), change)
    for name, column in CALIBRATIONS.items():
        both = [(one, other) for one, other in pairs if one.get(column) and other.get(column)]
        first, second = (read_bins([str(pair[k][column]) for pair in both]) for k in (0, 1))
        if both:
            found[name] = _bootstrapped(len(both), _calibrations(first, second))
    return found


def interval(estimate: Estimate, plus: float = 0.0) -> dict[str, object]:
    """An estimate for JSON, which has no infinity: None for an open interval."""
    low, high = (None if math.isinf(bound) else bound + plus for bound in (estimate.low, estimate.high))
    return {"value": estimate.value + plus, "low": low, "high": high, "episodes": estimate.episodes}


def values(rows: Sequence[Row], name: str) -> Floats:
    """A column (N,), 0 where a row has none."""
    return np.array([float(row.get(name) or 0.0) for row in rows])


def _by_assumption(rows: Sequence[Row], column: str) -> dict[str, int]:
    """Sums over all episodes, by the assumption's name."""
    total: Counter[int] = Counter()
    for row in rows:
        total.update({int(number): int(count) for number, count in json.loads(str(row.get(column) or "{}")).items()})
    return {Assumption(number).name: total[number] for number in sorted(total)}


def _influence(rows: Sequence[Row]) -> dict[str, object]:
    """Predicted and observed change in the others' going first between an ego that holds and one that commits."""
    valid = [row for row in rows if row.get("influence_pairs")]
    if not valid or values(valid, "influence_pairs").sum() == 0.0:
        return {"influence_predicted": None, "influence_observed": None}
    weights = values(valid, "influence_pairs")
    return {name: interval(ratio_of_sums(values(valid, name), weights)) for name in ("influence_predicted", "influence_observed")}


def _regret(rows: Sequence[Row], privileged: Sequence[Row]) -> dict[str, object] | None:
    by_seed = {row["seed"]: row for row in privileged}
    pairs = _with([(row, by_seed[row["seed"]]) for row in rows if row["seed"] in by_seed], ("ego_delay",))
    return interval(ratio_of_sums(_changes(pairs, "ego_delay"))) if pairs else None


def _bootstrapped(count: int, estimator: Callable[[NDArray[np.int64]], float]) -> dict[str, object] | None:
    return interval(bootstrap(count, estimator)) if count else None


def _calibrated(bins: Floats) -> dict[str, object]:
    """Calibration error with its interval. floor: what chance alone would show; debiased: without that."""
    floor, debiased = calibration_floor(bins)
    error = bootstrap(len(bins), lambda chosen: calibration_error(bins[chosen]))
    return interval(error) | {"floor": floor, "debiased": debiased}


def _quantile(column: Floats, level: float) -> Callable[[NDArray[np.int64]], float]:
    return lambda chosen: float(np.quantile(column[chosen], level))


def _calibrations(first: Floats, second: Floats) -> Callable[[NDArray[np.int64]], float]:
    return lambda chosen: calibration_error(first[chosen]) - calibration_error(second[chosen])


def _whole(episodes: float) -> int | None:
    """For JSON, which has no infinity: None where no number would do."""
    return None if math.isinf(episodes) else int(episodes)


def _quotients(top: Floats, bottom: Floats, other: Floats, below: Floats) -> Callable[[NDArray[np.int64]], float]:
    """Difference of two ratios of sums over chosen episodes."""

    def change(k: NDArray[np.int64]) -> float:
        first, second = float(bottom[k].sum()), float(below[k].sum())
        return (float(top[k].sum()) / first if first else 0.0) - (float(other[k].sum()) / second if second else 0.0)

    return change


def _with(pairs: Sequence[tuple[Row, Row]], columns: tuple[str, ...]) -> list[tuple[Row, Row]]:
    return [
        (one, other) for one, other in pairs if all(one.get(name) is not None and other.get(name) is not None for name in columns)
    ]


def _changes(pairs: Sequence[tuple[Row, Row]], column: str) -> Floats:
    return values([one for one, _ in pairs], column) - values([other for _, other in pairs], column)


def _product(rows: Sequence[Row], names: tuple[str, ...]) -> Floats:
    return np.asarray(np.prod([values(rows, name) for name in names], axis=0))


def _of(rows: Sequence[Row], scenario: str) -> list[Row]:
    return [row for row in rows if row.get("scenario") == scenario]
