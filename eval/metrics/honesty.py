"""Whether what ego's driver says of its percepts is true on the way that it takes: existence, place and velocity.

A percept, a row of what the driver traced as `percepts`, is of a body that is there where each is the other's nearest and their
centres are within MATCH_M (nuScenes' true positive); a second percept of one body is of nothing. Coverage is the share of such
percepts whose truth lies within the stated 95 % ellipse, NEES the squared error in stated standard deviations over its degrees
of freedom (Bar-Shalom, Li, Kirubarajan 2001, section 5.4): two here. Log-loss is a proper score of the existence probability
(Gneiting, Raftery 2007); pooled over a suite, its expected calibration error comes from the bins of each episode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import Better, MetricResult, References
from eval.metrics.traced import ego_arrays
from sim.interface import PERCEPT_COLUMNS, Floats
from sim.recording import Recording

MATCH_M = 2.0
CHI2_95 = 5.991
"""95 % quantile of the chi squared distribution with two degrees of freedom."""
STATED = 0.95
FLOOR = 0.005  # nobody is surer than this: log-loss would be ruled by single percepts
_COLUMN = {name: k for k, name in enumerate(PERCEPT_COLUMNS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """P percepts over all ticks. existence: as stated; real: whether there is such a body. place, velocity: of the real ones
    alone, in their order, squared errors in stated standard deviations."""

    existence: Floats
    real: NDArray[np.bool_]
    place: Floats
    velocity: Floats


def existence_log_loss(recording: Recording, references: References) -> MetricResult:
    """Mean log-loss of the existence of what is perceived [nats]."""
    found = truth_of(recording)
    chance = np.clip(found.existence, FLOOR, 1.0 - FLOOR)
    loss = -np.log(np.where(found.real, chance, 1.0 - chance))
    return MetricResult(value=float(loss.mean()) if len(loss) else 0.0, unit="nats", valid=len(loss) > 0)


def position_miscoverage(recording: Recording, references: References) -> MetricResult:
    """How far the share of places within their 95 % ellipses is from 95 %, either way [share]."""
    found = position_coverage(recording, references)
    return MetricResult(value=abs(found.value - STATED) if found.valid else 0.0, unit="share", valid=found.valid)


def position_coverage(recording: Recording, references: References) -> MetricResult:
    """Share of places within their stated 95 % ellipses; 0.95 is right, less is too sure."""
    return _mean(truth_of(recording).place <= CHI2_95, "share")


def velocity_coverage(recording: Recording, references: References) -> MetricResult:
    """Share of velocities within their stated 95 % ellipses; 0.95 is right, less is too sure."""
    return _mean(truth_of(recording).velocity <= CHI2_95, "share")


def position_nees(recording: Recording, references: References) -> MetricResult:
    """Mean squared error of places in stated standard deviations, per degree of freedom; 1 is right, more is too sure."""
    return _mean(0.5 * truth_of(recording).place, "1")


def truth_of(recording: Recording) -> Truth:
    """What ego's driver perceived beside what was there; nothing where it traces no percepts."""
    traced = {tick: rows for tick, rows in ego_arrays(recording, "percepts").items() if len(rows)}
    if not traced:
        return Truth(existence=np.zeros(0), real=np.zeros(0, bool), place=np.zeros(0), velocity=np.zeros(0))
    percepts = np.concatenate([np.asarray(rows, np.float64) for rows in traced.values()])
    moment = np.repeat(np.arange(len(traced)), [len(rows) for rows in traced.values()])
    bodies = _bodies(recording, np.fromiter(traced, np.int64))
    x, y, vx, vy = (percepts[:, _COLUMN[name]] for name in ("x", "y", "vx", "vy"))
    gaps = np.hypot(bodies[moment, :, 0] - x[:, None], bodies[moment, :, 1] - y[:, None])
    nearest = gaps.argmin(axis=1)
    gap = gaps[np.arange(len(gaps)), nearest]
    closest = np.full(bodies.shape[:2], np.inf)
    np.minimum.at(closest, (moment, nearest), gap)
    real = (gap < MATCH_M) & (gap == closest[moment, nearest])
    errors = (bodies[moment, nearest] - np.stack((x, y, vx, vy), axis=1))[real]
    stated = {name: percepts[real, _COLUMN[name]] for name in ("var_x", "cov_xy", "var_y", "var_vx", "var_vy")}
    return Truth(
        existence=percepts[:, _COLUMN["existence"]], real=real,
        place=_squared(errors[:, 0], errors[:, 1], stated["var_x"], stated["var_y"], stated["cov_xy"]),
        velocity=_squared(errors[:, 2], errors[:, 3], stated["var_vx"], stated["var_vy"], 0.0),
    )  # fmt: skip


def _bodies(recording: Recording, ticks: NDArray[np.int64]) -> Floats:
    """(T, A, 4) place and velocity of every actor but ego at each tick; infinitely far where it is not there."""
    header, rows = recording.header, recording.rows
    chosen = rows[np.isin(rows["tick"], ticks) & (rows["status"] == header.status_active) & (rows["actor"] != header.ego)]
    table = np.full((len(ticks), max(len(header.actors), 1), 4), np.inf)
    at = (np.searchsorted(ticks, chosen["tick"]), chosen["actor"])
    speed, heading = chosen["speed"].astype(np.float64), chosen["heading"]
    table[at] = np.stack((chosen["x"], chosen["y"], speed * np.cos(heading), speed * np.sin(heading)), axis=1)
    return table


def _squared(a: Floats, b: Floats, var_a: Floats, var_b: Floats, cov: Floats | float) -> Floats:
    """Squared Mahalanobis lengths of errors (a, b), each (N,)."""
    spread = var_a * var_b - np.square(cov)
    return np.asarray((np.square(a) * var_b - 2.0 * a * b * cov + np.square(b) * var_a) / np.maximum(spread, 1e-12))


def _mean(values: NDArray[np.bool_] | Floats, unit: str) -> MetricResult:
    value = float(np.mean(values)) if len(values) else 0.0
    return MetricResult(value=value, unit=unit, better=Better.NEITHER, valid=len(values) > 0)
