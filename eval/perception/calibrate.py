"""Fitting what makes the network's numbers mean what they say, on scenes that it never saw. See `avstack.perception.calibration`.

The coarse threshold is chosen by Learn-then-Test (Angelopoulos, Bates, Candès, Jordan, Lei 2021): thresholds are tested from the
most careful one on, each at level 5 %, and the last one before the first failure is taken. The bound resamples scenes, because
things of one scene are not independent; it holds for scenes exchangeable with those of the calibration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from avstack.perception import calibration as calibrating
from avstack.perception.calibration import LEVELS, Calibration, logit, sigmoid
from avstack.perception.classes import Class
from avstack.perception.decode import QUANTITIES
from eval.perception.judged import NEAR, Frames, Matches, by_frame_signal, kind_name, match_frames
from eval.perception.measures import FALSE, HIT, axis_error, upper_bound

RISK = 0.01
"""Greatest share of things to go around that the coarse answer may miss, with 95 % confidence."""
CONFUSED = 0.04
"""Greatest share of unknown things that may pass for a trusted thing of a known class."""
KNOTS = 24
_RIDGE = 1e-3
_DEGREES = 5.0  # of freedom of the errors while variances are fitted: a few large errors do not inflate all
_ORDINARY = 0.6827
_DIRECTED = (Class.VEHICLE, Class.TRUCK, Class.CYCLIST, Class.PEDESTRIAN)

Array = NDArray[np.float64]


def fit(frames: Frames) -> Calibration:
    """All calibrators from the answers to the calibration split."""
    found = frames.candidates
    heat = found["heat"][np.arange(len(found)), found["best"]]
    matches = match_frames(frames, heat, everywhere=True)
    signal = by_frame_signal(frames)
    calibration = _fit_scores(Calibration(), frames, matches, signal)
    calibration = _fit_variances(calibration, frames, matches, signal)
    calibration = _fit_flip(calibration, frames, matches)
    calibration = _fit_trust(calibration, frames, matches, signal)
    return replace(calibration, around=coarse_threshold(frames))


def logistic(features: Array, outcome: Array) -> NDArray[np.float32]:
    """Weights of a logistic regression with a small ridge on all but the first column."""
    ridge = np.full(features.shape[1], _RIDGE * len(outcome))
    ridge[0] = 0.0
    penalty = 0.01 * ridge

    def loss(weights: Array) -> tuple[float, Array]:
        z = features @ weights
        value = np.sum(np.logaddexp(0.0, z) - outcome * z) + np.sum(penalty * weights**2)
        slope = features.T @ (1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0))) - outcome) + 2.0 * penalty * weights
        return float(value), slope

    return np.asarray(_minimum(loss, features.shape[1]), np.float32)


def _minimum(loss: Callable[[Array], tuple[float, Array]], size: int) -> Array:
    found: Array = optimize.minimize(loss, np.zeros(size), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return found


def monotone(raw: Array, outcome: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(from, to): KNOTS of a rising map from raw to calibrated probabilities, by isotonic regression of equal groups."""
    order = np.argsort(raw, kind="stable")
    groups = [one for one in np.array_split(order, min(KNOTS - 2, max(len(order) // 30, 1))) if len(one)]
    if not groups:
        return np.array([0.0, 1.0], np.float32), np.array([0.0, 1.0], np.float32)
    middles = np.array([raw[one].mean() for one in groups])
    shares = np.array([outcome[one].mean() for one in groups])
    rising = optimize.isotonic_regression(shares, weights=[float(len(one)) for one in groups]).x
    knots = np.linspace(0.0, 1.0, KNOTS)
    # as many knots for every class: the ends go on as the last group does
    place = np.interp(knots, np.linspace(0.0, 1.0, len(groups) + 2), [0.0, *middles, 1.0])
    value = np.interp(place, [0.0, *middles, 1.0], [min(rising[0], middles[0]), *rising, max(rising[-1], middles[-1])])
    return place.astype(np.float32), value.astype(np.float32)


def _fit_scores(calibration: Calibration, frames: Frames, matches: Matches, signal: NDArray[np.float32]) -> Calibration:
    found = frames.candidates
    features = calibrating.score_features(found, signal).astype(np.float64)
    weights = calibration.score.copy()
    knots = np.tile(np.linspace(0.0, 1.0, KNOTS, dtype=np.float32), (len(Class), 1))
    to = knots.copy()
    for one in Class:
        of = (found["best"] == one) & ((matches.marks == HIT) | (matches.marks == FALSE))
        if np.count_nonzero(of) < 50:
            continue
        outcome = (matches.marks[of] == HIT).astype(np.float64)
        weights[one] = logistic(features[of], outcome)
        raw = sigmoid(features[of] @ weights[one]).astype(np.float64)
        knots[one], to[one] = monotone(raw, outcome)
    return replace(calibration, score=weights, score_from=knots, score_to=to)


def errors_of(frames: Frames, matches: Matches) -> tuple[NDArray[np.bool_], Array]:
    """(hits (N,), errors (hits, 7)) of x, y, heading (either end first), vx, vy, length, width."""
    hits = matches.marks == HIT
    means, truth = frames.candidates["mean"][hits], frames.boxes[matches.truth[hits]]
    true = np.stack([truth[name] for name in ("x", "y", "heading", "vx", "vy", "length", "width")], axis=1)
    errors = means - true
    errors[:, 2] = axis_error(means[:, 2], true[:, 2].astype(np.float64))
    return hits, errors


def _fit_variances(calibration: Calibration, frames: Frames, matches: Matches, signal: NDArray[np.float32]) -> Calibration:
    hits, errors = errors_of(frames, matches)
    found = frames.candidates[hits]
    features = calibrating.variance_features(found, signal[hits]).astype(np.float64)
    weights, quantiles = calibration.variance.copy(), calibration.quantiles.copy()
    for q in range(QUANTITIES):
        own = found["variance"][:, q] + found["spread"][:, q]
        # the axis of a bag or a cone means nothing
        use = np.isin(found["best"], _DIRECTED) if q == 2 else np.ones(len(found), np.bool_)
        if np.count_nonzero(use) < 100:
            continue
        square = errors[use, q] ** 2 / own[use]
        w = _scale_weights(features[use], square)
        z = np.sqrt(square * np.exp(-np.clip(features[use] @ w, -6.0, 6.0)))
        w[0] += 2.0 * np.log(np.quantile(z, _ORDINARY))
        weights[q] = w
        quantiles[q] = np.quantile(z / np.quantile(z, _ORDINARY), LEVELS)
    return replace(calibration, variance=weights, quantiles=quantiles)


def _scale_weights(features: Array, square: Array) -> Array:
    """Weights of the log factor on variances, by the likelihood of Student's t."""

    def loss(weights: Array) -> tuple[float, Array]:
        z = features @ weights
        scaled = square * np.exp(-np.clip(z, -12.0, 12.0))
        value = 0.5 * (_DEGREES + 1.0) * np.log1p(scaled / _DEGREES) + 0.5 * z
        slope = 0.5 - 0.5 * (_DEGREES + 1.0) * scaled / (_DEGREES + scaled)
        return float(value.sum() + weights @ weights), features.T @ slope + 2.0 * weights

    return _minimum(loss, features.shape[1])


def _fit_flip(calibration: Calibration, frames: Frames, matches: Matches) -> Calibration:
    hits = np.flatnonzero((matches.marks == HIT) & np.isin(frames.candidates["best"], _DIRECTED))
    if len(hits) < 100:
        return calibration
    off = frames.candidates["mean"][hits, 2] - frames.boxes["heading"][matches.truth[hits]]
    flipped = np.cos(off) < 0.0
    features = np.stack([np.ones(len(hits)), logit(frames.candidates["flip"][hits])], axis=1)
    return replace(calibration, flip=logistic(features.astype(np.float64), flipped.astype(np.float64)))


def rightly_known(frames: Frames, matches: Matches) -> NDArray[np.bool_]:
    """Candidates on a thing of a known class that they name."""
    label = np.append(frames.boxes["label"].astype(np.int64), -1)[matches.any]
    best = frames.candidates["best"]
    return np.asarray((label == best) & (best != Class.UNKNOWN))


def _fit_trust(calibration: Calibration, frames: Frames, matches: Matches, signal: NDArray[np.float32]) -> Calibration:
    found = frames.candidates
    scores = calibrating.calibrated_scores(found, signal, calibration)
    use = scores >= calibration.shown
    features = calibrating.trust_features(found[use], scores[use], signal[use]).astype(np.float64)
    right = rightly_known(frames, matches)[use]
    weights = logistic(features, right.astype(np.float64))
    raw = sigmoid(features @ weights).astype(np.float64)
    knots, to = monotone(raw, right.astype(np.float64))
    calibration = replace(calibration, trust=weights, trust_from=knots, trust_to=to)
    trust = np.interp(raw, knots, to)
    return replace(calibration, trusted=_trusted(frames, matches, use, trust))


def _trusted(frames: Frames, matches: Matches, use: NDArray[np.bool_], trust: Array) -> float:
    """The least trust at which at most CONFUSED of unknown things pass for a known one; at least a half."""
    label = np.where(matches.any[use] >= 0, frames.boxes["label"][matches.any[use]], -1)
    confused = (label == Class.UNKNOWN) & (frames.candidates["best"][use] != Class.UNKNOWN)
    unknown = np.count_nonzero((frames.boxes["label"] == Class.UNKNOWN) & (frames.boxes["points"] > 0))
    allowed = int(CONFUSED * unknown)
    ordered = np.sort(trust[confused])[::-1]
    return max(0.5, float(ordered[allowed]) + 1e-6 if len(ordered) > allowed else 0.5)


def must_go_around(frames: Frames) -> NDArray[np.int64]:
    """Boxes that the coarse answer must find: solid, ahead, within NEAR, with a return."""
    boxes = frames.boxes
    near = (boxes["x"] > 0.0) & (np.hypot(boxes["x"], boxes["y"]) <= NEAR)
    return np.flatnonzero((boxes["solid"] != 0) & (boxes["points"] > 0) & near)


def coarse_threshold(frames: Frames, without: str = "") -> float:
    """The greatest P(must go around) below which no cell needs to block, by Learn-then-Test; may leave out a kind by its name."""
    of = must_go_around(frames)
    if without:
        of = of[np.array([kind_name(box) != without for box in frames.boxes[of]], np.bool_)]
    scenes = frames.scene[frames.box_frame[of]]
    chosen = 0.02
    for threshold in np.arange(0.02, 0.90, 0.02):
        missed = ~frames.stands[of] & (frames.around[of] < threshold)
        if upper_bound(missed, scenes) > RISK:
            break
        chosen = float(threshold)
    return chosen


def thresholds_without(frames: Frames) -> dict[str, float]:
    """Kind -> the coarse threshold that would have been chosen had there been none of it: for kinds that nobody has seen."""
    kinds = sorted({kind_name(box) for box in frames.boxes[must_go_around(frames)]})
    return {kind: coarse_threshold(frames, kind) for kind in kinds}
