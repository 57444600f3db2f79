"""What makes the network's numbers mean what they say: scores, covariances, trust, and the coarse threshold.

Fitted on scenes of their own by `eval.perception.calibrate`, kept as plain numbers, applied in float32 numpy. A score goes
through a logistic regression per class (Platt 1999, with what else is known of the candidate) and then a monotone map (isotonic
regression, Zadrozny and Elkan 2002). Variances are scaled by an exponential of a linear function of range, returns and the
density signal of the sweep, per quantity; quantiles are those of the calibration errors rather than a normal's.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from avstack.perception.classes import Class
from avstack.perception.decode import QUANTITIES

Array = NDArray[np.float32]

SCORE_FEATURES = 9
VARIANCE_FEATURES = 8
TRUST_FEATURES = 12 + len(Class)
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Central intervals whose width is calibrated."""
_MOST_LOGIT = 12.0


def _zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def _score_weights() -> Array:
    weights = _zeros(len(Class), SCORE_FEATURES)
    weights[:, 1] = 1.0
    return weights


def _normal_quantiles() -> Array:
    half = np.array([0.1257, 0.2533, 0.3853, 0.5244, 0.6745, 0.8416, 1.0364, 1.2816, 1.6449, 1.9600], np.float32)
    return np.tile(half, (QUANTITIES, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All fitted numbers; the defaults change nothing.

    score: (8, SCORE_FEATURES) logistic weights by class; score_from, score_to: (8, K) knots of the monotone map. variance:
    (7, VARIANCE_FEATURES) of the log factor; quantiles: (7, len(LEVELS)) half widths in standard errors. flip: offset and slope
    on the logit of P(reversed). trust: (TRUST_FEATURES,); trust_from, trust_to: (K,); trusted: least trust of a rich answer.
    around: least P(must go around) of a cell that blocks; shown: least score of a thing.
    """

    score: Array = field(default_factory=_score_weights)
    score_from: Array = field(default_factory=lambda: np.tile(np.array([0.0, 1.0], np.float32), (len(Class), 1)))
    score_to: Array = field(default_factory=lambda: np.tile(np.array([0.0, 1.0], np.float32), (len(Class), 1)))
    variance: Array = field(default_factory=lambda: _zeros(QUANTITIES, VARIANCE_FEATURES))
    quantiles: Array = field(default_factory=_normal_quantiles)
    flip: Array = field(default_factory=lambda: np.array([0.0, 1.0], np.float32))
    trust: Array = field(default_factory=lambda: _zeros(TRUST_FEATURES))
    trust_from: Array = field(default_factory=lambda: np.array([0.0, 1.0], np.float32))
    trust_to: Array = field(default_factory=lambda: np.array([0.0, 1.0], np.float32))
    trusted: float = 0.5
    around: float = 0.5
    shown: float = 0.05

    def as_numbers(self) -> dict[str, object]:
        """Plain lists and floats, for JSON."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(self).items()}


def calibration_of(numbers: dict[str, object]) -> Calibration:
    """What `as_numbers` gave. Raises ValueError where something is missing, unknown or of another shape."""
    default = Calibration()
    known = {one.name for one in fields(Calibration)}
    if set(numbers) != known:
        raise ValueError(f"calibration fields differ: {', '.join(sorted(known ^ set(numbers)))}")
    values: dict[str, object] = {}
    for name in known:
        own = getattr(default, name)
        if not isinstance(own, np.ndarray):
            values[name] = float(str(numbers[name]))
            continue
        array = np.asarray(numbers[name], np.float32)
        free = name.endswith(("_from", "_to"))
        if array.ndim != own.ndim or (not free and array.shape != own.shape) or not np.isfinite(array).all():
            raise ValueError(f"calibration field {name!r} has shape {array.shape}, not {own.shape}, or is not finite")
        values[name] = array
    return Calibration(**values)  # type: ignore[arg-type]


def logit(p: NDArray[np.floating]) -> Array:
    """Log odds, held within reason."""
    p = np.clip(p, math.exp(-_MOST_LOGIT), 1.0 - 1e-5)
    return np.asarray(np.log(p / (1.0 - p)), np.float32)


def sigmoid(x: NDArray[np.floating]) -> Array:
    """Probability of log odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -30.0, 30.0))), np.float32)


def score_features(found: NDArray[np.void], signal: Array) -> Array:
    """(N, SCORE_FEATURES) of candidates: 1, log odds of heat, disagreement, log returns, range, log expected, density signal."""
    n = len(found)
    heat = found["heat"][np.arange(n), found["best"]]
    rows = [
        np.ones(n), logit(heat), found["disagreement"], np.log1p(found["points"]), _range(found),
        np.log1p(found["expected"]), *_signal_rows(signal, n),
    ]  # fmt: skip
    return np.stack(rows, axis=1).astype(np.float32)


def variance_features(found: NDArray[np.void], signal: Array) -> Array:
    """(N, VARIANCE_FEATURES) of candidates: 1, range, log returns, log odds of heat, whether it is small, density signal."""
    n = len(found)
    heat = found["heat"][np.arange(n), found["best"]]
    small = (found["best"] != Class.VEHICLE) & (found["best"] != Class.TRUCK)
    rows = [np.ones(n), _range(found), np.log1p(found["points"]), 0.2 * logit(heat), small, *_signal_rows(signal, n)]
    return np.stack(rows, axis=1).astype(np.float32)


def trust_features(found: NDArray[np.void], score: Array, signal: Array) -> Array:
    """(N, TRUST_FEATURES): 1, log odds of score, margin to the next class, sum of log variances, log spread, disagreement,
    returns against what is expected, returns, range, density signal, and which class."""
    n = len(found)
    heat = logit(found["heat"])
    ordered = np.sort(heat, axis=1)
    sure = np.log(found["variance"] + found["spread"] + 1e-6)
    rows = [
        np.ones(n), logit(score), 0.2 * (ordered[:, -1] - ordered[:, -2]), 0.1 * np.sum(sure, axis=1),
        0.1 * np.sum(np.log(found["spread"] + 1e-5), axis=1), 4.0 * found["disagreement"],
        np.log1p(found["points"]) - np.log1p(found["expected"]), np.log1p(found["points"]), _range(found),
        *_signal_rows(signal, n), *(found["best"] == one for one in Class),
    ]  # fmt: skip
    return np.stack(rows, axis=1).astype(np.float32)


def _range(found: NDArray[np.void]) -> NDArray[np.float64]:
    return np.asarray(np.hypot(found["mean"][:, 0], found["mean"][:, 1]) / 40.0)


def _signal_rows(signal: Array, n: int) -> list[NDArray[np.float64]]:
    """Density signal, (3,) of one sweep or (N, 3) of each candidate's, centred on an ordinary sweep."""
    each = (np.broadcast_to(signal, (n, 3)).astype(np.float64) - (0.12, 0.4, 10.0)) * (5.0, 1.0, 1.0)
    return [each[:, k] for k in range(3)]


def calibrated_scores(found: NDArray[np.void], signal: Array, calibration: Calibration) -> Array:
    """(N,) probability that each candidate is a thing of its best class, where it says."""
    features, best = score_features(found, signal), found["best"]
    raw = sigmoid(np.sum(features * calibration.score[best], axis=1))
    scores = np.empty(len(found), np.float32)
    for one in Class:
        of = best == one
        scores[of] = np.interp(raw[of], calibration.score_from[one], calibration.score_to[one])
    return scores


def calibrated_classes(found: NDArray[np.void], signal: Array, calibration: Calibration) -> NDArray[np.float64]:
    """(N, 8) probability that each candidate is a thing of each class, where it says; of its best class the score."""
    by_class = np.empty((len(found), len(Class)))
    as_if = found.copy()
    for one in Class:
        as_if["best"] = one
        by_class[:, one] = calibrated_scores(as_if, signal, calibration)
    return by_class


def calibrated_variances(found: NDArray[np.void], signal: Array, calibration: Calibration) -> Array:
    """(N, 7) variances of x, y, heading, vx, vy, length, width."""
    features = variance_features(found, signal)
    factor = np.exp(np.clip(features @ calibration.variance.T, -6.0, 6.0))
    return np.asarray((found["variance"] + found["spread"]) * factor, np.float32)


def calibrated_flip(found: NDArray[np.void], calibration: Calibration) -> Array:
    """(N,) probability that front and rear are taken for each other, at most a half."""
    return np.minimum(sigmoid(calibration.flip[0] + calibration.flip[1] * logit(found["flip"])), np.float32(0.5))


def calibrated_trust(found: NDArray[np.void], score: Array, signal: Array, calibration: Calibration) -> Array:
    """(N,) probability that the rich answer is right: a thing of a class it knows, and of that class."""
    raw = sigmoid(trust_features(found, score, signal) @ calibration.trust)
    return np.asarray(np.interp(raw, calibration.trust_from, calibration.trust_to), np.float32)
