"""Measures of detections against the truth (METRICS, "Perception"): small functions over arrays.

A frame's truths are matched within a class by centre distance, strongest detection first, as in nuScenes. A truth that is not
scored (no return from it, or out of the area) neither counts as missed nor makes a detection on it a false one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sim.interface import Floats

DISTANCES = (0.5, 1.0, 2.0, 4.0)
MATCHED = 2.0  # m, at which true-positive errors and confidences are judged
BINS = 25
HIT, FALSE, NOT_SCORED = 1, 0, -1
Marks = NDArray[np.int64]


def match(
    frames: Marks, scores: Floats, places: Floats, in_area: NDArray[np.bool_],
    truth_frames: Marks, truth_places: Floats, scored: NDArray[np.bool_], distance: float,
) -> tuple[Marks, Marks]:  # fmt: skip
    """(marks (N,) HIT, FALSE or NOT_SCORED; index of the truth (N,) or -1) for detections (N,) of one class.

    places: (N, 2) and (T, 2). in_area: detections that are false ones if nothing is there.
    """
    marks, which = np.full(len(scores), NOT_SCORED), np.full(len(scores), -1)
    by_frame: dict[int, list[int]] = {}
    for index, frame in enumerate(truth_frames):
        by_frame.setdefault(int(frame), []).append(index)
    taken = np.zeros(len(truth_frames), np.bool_)
    for n in np.argsort(-scores, kind="stable"):
        near = [index for index in by_frame.get(int(frames[n]), ()) if not taken[index]]
        away = np.hypot(*(truth_places[near] - places[n]).T) if near else np.zeros(0)
        if len(away) and away.min() < distance:
            index = near[int(np.argmin(away))]
            taken[index] = True
            which[n] = index
            marks[n] = HIT if scored[index] else NOT_SCORED
        elif in_area[n]:
            marks[n] = FALSE
    return marks, which


def precision_recall(marks: Marks, scores: Floats, truths: float, weights: Floats) -> tuple[Floats, Floats]:
    """(precision, recall) as scores fall, over what is scored; weights: how often each detection counts."""
    order = np.argsort(-scores, kind="stable")
    order = order[(marks[order] != NOT_SCORED) & (weights[order] > 0.0)]
    so_far = np.cumsum(weights[order] * (marks[order] == HIT))
    return so_far / np.cumsum(weights[order]), so_far / max(truths, 1.0)


def average_precision(marks: Marks, scores: Floats, truths: float, weights: Floats | None = None) -> float:
    """Area under precision over recall where both are above 0.1, of the area there is (nuScenes detection task).

    weights: how often each detection counts, once where there are none; truths: so many are to be found, counted alike.
    """
    weights = np.ones(len(marks)) if weights is None else weights
    if truths == 0 or not (weights[marks == HIT] > 0.0).any():
        return 0.0
    precision, recall = precision_recall(marks, scores, truths, weights)
    at = np.linspace(0.0, 1.0, 101)
    there = np.interp(at, recall, precision, right=0.0)
    return float(np.mean(np.clip(there[11:] - 0.1, 0.0, None)) / 0.9)


def mean_error(errors: Floats, scores: Floats, recall: float) -> float:
    """nuScenes true-positive error: the running mean over hits as scores fall, averaged from recall 0.1 to the one reached; 1
    where that is less than 0.1."""
    if recall < 0.1 or len(errors) == 0:
        return 1.0
    running = np.cumsum(errors[np.argsort(-scores, kind="stable")]) / np.arange(1, len(errors) + 1)
    return float(np.mean(running[min(int(0.1 / recall * len(errors)), len(errors) - 1) :]))


def scale_error(length: Floats, width: Floats, true_length: Floats, true_width: Floats) -> Floats:
    """1 - intersection over union of boxes laid onto each other."""
    both = np.minimum(length, true_length) * np.minimum(width, true_width)
    return np.asarray(1.0 - both / (length * width + true_length * true_width - both))


def calibration_error(confidence: Floats, outcome: Floats, bins: int = BINS) -> float:
    """Sum over equal bins of their share times |mean confidence - mean outcome|; with outcome 0 or 1 this is the D-ECE."""
    if len(confidence) == 0:
        return 0.0
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(which, confidence - outcome, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def calibration_floor(confidence: Floats, draws: int = 200) -> float:
    """What `calibration_error` shows on average where every confidence is exactly right."""
    random = np.random.default_rng(0)
    if len(confidence) == 0:
        return 0.0
    found = [calibration_error(confidence, (random.random(len(confidence)) < confidence).astype(float)) for _ in range(draws)]
    return float(np.mean(found))


def location_aware(marks: Marks, distance: Floats) -> Floats:
    """Outcome of the LaECE: 1 - min(d, 2)/2 of a hit d [m] off, 0 of a false one."""
    return np.where(marks == HIT, 1.0 - np.minimum(distance, MATCHED) / MATCHED, 0.0)


def brier(confidence: Floats, outcome: Floats) -> tuple[float, float]:
    """(Brier score, its resolution: how much mean outcomes differ between bins of confidence)."""
    if len(confidence) == 0:
        return 0.0, 0.0
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts, sums = np.bincount(which, minlength=BINS), np.bincount(which, outcome, minlength=BINS)
    used = counts > 0
    gaps = (sums[used] / counts[used] - outcome.mean()) ** 2
    return float(np.mean((confidence - outcome) ** 2)), float(np.sum(counts[used] * gaps) / len(confidence))


def log_loss(confidence: Floats, outcome: Floats) -> float:
    """Mean negative log-likelihood [nats]."""
    p = np.clip(confidence, 1e-6, 1.0 - 1e-6)
    return float(-np.mean(outcome * np.log(p) + (1.0 - outcome) * np.log(1.0 - p))) if len(p) else 0.0


def gaussian_log_loss(errors: Floats, variances: Floats) -> float:
    """Mean over rows (N, Q) of the negative log-likelihood of errors under independent variances [nats]; 0 without any."""
    if len(errors) == 0:
        return 0.0
    return float(0.5 * np.mean(np.sum(np.square(errors) / variances + np.log(2.0 * math.pi * variances), axis=1)))


def coverage(errors: Floats, sigma: Floats, half_width: float) -> float:
    """Share of errors within so many standard errors."""
    return float(np.mean(np.abs(errors) <= half_width * sigma)) if len(errors) else 0.0


def share_in_band(squared: Floats, dimensions: int, level: float = 0.95) -> float:
    """Share of squared normalised errors inside the central band of the chi-square distribution."""
    low, high = stats.chi2.ppf([0.5 - 0.5 * level, 0.5 + 0.5 * level], dimensions)
    return float(np.mean((squared >= low) & (squared <= high))) if len(squared) else 0.0


def auroc(right: Floats, wrong: Floats) -> float:
    """Probability that one of `right` is above one of `wrong`, ties counting half (Mann and Whitney 1947); 0.5 without any."""
    if len(right) == 0 or len(wrong) == 0:
        return 0.5
    ranks = stats.rankdata(np.concatenate([right, wrong]))
    return float((ranks[: len(right)].sum() - 0.5 * len(right) * (len(right) + 1)) / (len(right) * len(wrong)))


def false_positive_rate(right: Floats, wrong: Floats, kept: float = 0.95) -> float:
    """Share of `wrong` at or above the value that 95 % of `right` reach."""
    if len(right) == 0 or len(wrong) == 0:
        return 1.0
    return float(np.mean(wrong >= np.quantile(right, 1.0 - kept)))


def upper_bound(missed: NDArray[np.bool_], scenes: Marks, level: float = 0.95) -> float:
    """One-sided upper bound on the share missed: scenes are resampled; never below the exact bound of Clopper and Pearson, which
    holds where nothing, or next to nothing, was missed."""
    n, k = len(missed), int(missed.sum())
    if n == 0:
        return 1.0
    exact = 1.0 if k == n else float(stats.beta.ppf(level, k + 1, n - k))
    names, which = np.unique(scenes, return_inverse=True)
    counts, misses = np.bincount(which), np.bincount(which, missed)
    random = np.random.default_rng(0)
    draws = random.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=1000)
    shares = (draws @ misses) / np.maximum(draws @ counts, 1)
    return max(exact, float(np.quantile(shares, level)))


def selective_risk(trust: Floats, wrong: NDArray[np.bool_]) -> float:
    """Mean share of wrong answers over all shares kept, the most trusted first (AURC)."""
    if len(trust) == 0:
        return 0.0
    ordered = wrong[np.argsort(-trust, kind="stable")]
    return float(np.mean(np.cumsum(ordered) / np.arange(1, len(ordered) + 1)))


def axis_error(heading: Floats, true_heading: Floats) -> Floats:
    """Angle between two headings, either end first, in [-pi/2, pi/2)."""
    return np.asarray((heading - true_heading + 0.5 * math.pi) % math.pi - 0.5 * math.pi)
