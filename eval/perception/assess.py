"""The evaluation of one condition: every figure of METRICS ("Perception") from the network's answers and a calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avstack.perception import calibration as calibrating
from avstack.perception.calibration import LEVELS, Calibration
from avstack.perception.classes import Class
from eval.perception import measures
from eval.perception.calibrate import errors_of, must_go_around, rightly_known
from eval.perception.judged import (
    CELL_STEPS,
    Frames,
    Matches,
    by_frame_signal,
    kind_name,
    match_class,
    match_frames,
    scored,
)
from eval.perception.measures import DISTANCES, FALSE, HIT, MATCHED
from eval.perception.told import HINTED, TOLD
from sim.sensors.things import HELD_OUT_KINDS, THING_NAMES

QUANTITY_NAMES = ("x", "y", "heading", "vx", "vy", "length", "width")
LAST_STOP = (23.0, 31.0)
"""m ahead: where a car at 13.9 m/s that brakes at 4 m/s² after half a second can just still stop."""
LEAST = 0.02
"""A candidate counts under a class from this probability on, and a thing that is not told counts as told with it."""
SCENE_DRAWS = 200
"""How often scenes are drawn anew for the interval of the mean AP."""
DIRECTED = (Class.VEHICLE, Class.TRUCK, Class.PEDESTRIAN, Class.CYCLIST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Frames with calibrated answers and their matches. by_class: (N, 8) calibrated probability of being of each class."""

    frames: Frames
    scores: NDArray[np.float64]
    by_class: NDArray[np.float64]
    variances: NDArray[np.float64]
    trust: NDArray[np.float64]
    matches: Matches
    calibration: Calibration


def judge(frames: Frames, calibration: Calibration) -> Judged:
    """Apply a calibration; candidates that would not be given out are left out."""
    signal = by_frame_signal(frames)
    scores = calibrating.calibrated_scores(frames.candidates, signal, calibration)
    keep = scores >= calibration.shown
    kept = Frames(
        **{name: getattr(frames, name) for name in Frames.__dataclass_fields__}
        | {name: getattr(frames, name)[keep] for name in ("candidates", "frame", "solid", "open_way")}
    )  # fmt: skip
    scores, signal = scores[keep], signal[keep]
    return Judged(
        frames=kept, scores=scores.astype(np.float64),
        by_class=calibrating.calibrated_classes(kept.candidates, signal, calibration),
        variances=calibrating.calibrated_variances(kept.candidates, signal, calibration).astype(np.float64),
        trust=calibrating.calibrated_trust(kept.candidates, scores, signal, calibration).astype(np.float64),
        matches=match_frames(kept, scores), calibration=calibration,
    )  # fmt: skip


def assess(judged: Judged, left_out: Mapping[str, float] | None = None) -> dict[str, Any]:
    """All figures of one condition. left_out: coarse thresholds chosen without a kind, by its name."""
    return {
        **_detection(judged), **_confidence(judged), **_uncertainty(judged), **_trusting(judged), **_coarse(judged),
        **_left_out(judged, left_out or {}), **_drive_through(judged),
        "frames": len(judged.frames.scene),
        "scenes": len(np.unique(judged.frames.scene)), "things": int(np.count_nonzero(scored(judged.frames.boxes))),
    }  # fmt: skip


def _detection(judged: Judged) -> dict[str, object]:
    """AP by class and in the mean, and NDS.

    What may be of several classes counts under each of them, with the probability that it is given, as nuScenes has it;
    `map_best` is of the likeliest class alone.
    """
    frames, boxes = judged.frames, judged.frames.boxes
    label, counted = boxes["label"], scored(boxes)
    present = [one for one in Class if np.count_nonzero(counted & (label == one)) > 0]
    found, alone = list[_Marked](), list[_Marked]()
    for one in present:
        given = judged.by_class[:, one]
        found.append(_marked(frames, given, np.flatnonzero(given >= LEAST), one))
        alone.append(_marked(frames, given, np.flatnonzero(frames.candidates["best"] == one), one))
    precision = {one: marked.precision() for one, marked in zip(present, found, strict=True)}
    mean = _mean(list(precision.values()))
    low, high = _map_interval(found, len(np.unique(frames.scene)))
    errors = _true_positive_errors(judged, present)
    nds = (5.0 * mean + sum(max(1.0 - error, 0.0) for error in errors.values())) / 9.0
    return {
        "map": mean, "map_low": low, "map_high": high, "map_best": _mean([marked.precision() for marked in alone]), "nds": nds,
        "ap": {one.name.lower(): value for one, value in precision.items()},
        "errors": errors,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Marked:
    """Candidates (N,) of one class, and what became of them at each of DISTANCES; scene, truth_scene: (N,), (T,) number of the
    scene of each candidate, and of each thing that is to be found."""

    marks: list[NDArray[np.int64]]
    scores: NDArray[np.float64]
    scene: NDArray[np.int64]
    truth_scene: NDArray[np.int64]

    def precision(self, times: NDArray[np.float64] | None = None) -> float:
        """AP, mean over DISTANCES; times: how often each scene counts."""
        truths = len(self.truth_scene) if times is None else float(times[self.truth_scene].sum())
        weights = None if times is None else times[self.scene]
        return _mean([measures.average_precision(own, self.scores, truths, weights) for own in self.marks])


def _marked(frames: Frames, given: NDArray[np.float64], of: NDArray[np.int64], one: Class) -> _Marked:
    """The candidates `of`, with the probabilities (N,) given, as things of one class."""
    marks = [match_class(frames, given, of, one, distance)[0] for distance in DISTANCES]
    number = np.unique(frames.scene, return_inverse=True)[1]
    truths = scored(frames.boxes) & (frames.boxes["label"] == one)
    return _Marked(marks, given[of], number[frames.frame[of]], number[frames.box_frame[truths]])


def _map_interval(found: list[_Marked], scenes: int) -> tuple[float | None, float | None]:
    """95 % of the mean AP over classes when scenes are drawn anew; None of one scene."""
    if scenes < 2:
        return None, None
    draws = np.random.default_rng(0).multinomial(scenes, np.full(scenes, 1.0 / scenes), size=SCENE_DRAWS).astype(np.float64)
    means = [_mean([one.precision(times) for one in found]) for times in draws]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def _mean(of: list[float]) -> float:
    """Mean, 0 of nothing."""
    return float(np.mean(of)) if of else 0.0


def _true_positive_errors(judged: Judged, present: list[Class]) -> dict[str, float]:
    """Mean errors over classes: translation [m], scale, orientation [rad], velocity [m/s]."""
    hits, errors = errors_of(judged.frames, judged.matches)
    found, truth = judged.frames.candidates[hits], judged.frames.boxes[judged.matches.truth[hits]]
    off = found["mean"][:, 2] - truth["heading"]
    each = {
        "translation": np.hypot(errors[:, 0], errors[:, 1]),
        "scale": measures.scale_error(found["mean"][:, 5], found["mean"][:, 6], truth["length"], truth["width"]),
        "orientation": np.abs(np.arctan2(np.sin(off), np.cos(off))),
        "velocity": np.hypot(errors[:, 3], errors[:, 4]),
    }
    counted = scored(judged.frames.boxes)
    totals: dict[str, list[float]] = {name: [] for name in each}
    for one in present:
        of = found["best"] == one
        recall = np.count_nonzero(of) / np.count_nonzero(counted & (judged.frames.boxes["label"] == one))
        for name, values in each.items():
            if name != "orientation" or one in DIRECTED:
                totals[name].append(measures.mean_error(values[of], judged.scores[hits][of], recall))
    return {name: float(np.mean(values)) if values else 1.0 for name, values in totals.items()}


def _confidence(judged: Judged) -> dict[str, object]:
    confidence, outcome, marks, away = outcomes(judged)
    score, resolution = measures.brier(confidence, outcome)
    things = int(np.count_nonzero(scored(judged.frames.boxes)))
    nll, untold = measures.log_loss(confidence, outcome), things - int(outcome.sum())
    return {
        "d_ece": measures.calibration_error(confidence, outcome), "d_ece_floor": measures.calibration_floor(confidence),
        "la_ece": measures.calibration_error(confidence, measures.location_aware(marks, away)), "brier": score,
        "brier_resolution": resolution, "nll": nll,
        "nll_per_thing": (len(outcome) * nll - untold * float(np.log(LEAST))) / max(things, 1),
    }  # fmt: skip


def outcomes(judged: Judged) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """(confidence, outcome, marks, distance) of all detections that count."""
    counts = (judged.matches.marks == HIT) | (judged.matches.marks == FALSE)
    marks = judged.matches.marks[counts]
    return judged.scores[counts], (marks == HIT).astype(np.float64), marks, judged.matches.away[counts]


def _uncertainty(judged: Judged) -> dict[str, object]:
    """Coverage by quantity, its mean miscalibration, and NEES of the position."""
    hits, errors = errors_of(judged.frames, judged.matches)
    sigma = np.sqrt(judged.variances[hits])
    directed = np.isin(judged.frames.candidates["best"][hits], DIRECTED)
    found: dict[str, object] = {}
    areas: dict[str, float] = {}
    shares = np.zeros((len(QUANTITY_NAMES), len(LEVELS)))
    for q, name in enumerate(QUANTITY_NAMES):
        use = directed if q == 2 else np.ones(len(errors), np.bool_)
        widths = judged.calibration.quantiles[q]
        shares[q] = [measures.coverage(errors[use, q], sigma[use, q], float(width)) for width in widths]
        areas[name] = float(np.mean(np.abs(shares[q] - LEVELS)))
    for level in (0.5, 0.9, 0.95):
        column = LEVELS.index(level)
        found[f"coverage{round(100 * level)}"] = {name: float(shares[q, column]) for q, name in enumerate(QUANTITY_NAMES)}
    squared = np.sum((errors[:, :2] / sigma[:, :2]) ** 2, axis=1)
    place_nll = measures.gaussian_log_loss(errors[:, :2], judged.variances[hits][:, :2])
    return {
        **found, "mca": areas, "nees_in_band": measures.share_in_band(squared, 2), "place_nll": place_nll, "hits": len(errors)
    }  # fmt: skip


def unfamiliar(judged: Judged) -> NDArray[np.bool_]:
    """(T,) scored boxes of kinds that the rich model does not know: held-out ones, or else those of random shape."""
    boxes = judged.frames.boxes
    held_out = np.isin(boxes["thing"], [THING_NAMES.index(name) for name in HELD_OUT_KINDS])
    unknown = held_out if held_out.any() else boxes["label"] == Class.UNKNOWN
    return np.asarray(unknown & scored(boxes))


def misnamed(judged: Judged, least_trust: float) -> NDArray[np.bool_]:
    """(T,) boxes that pass for something they are not, of a known class, with at least so much trust."""
    boxes, best = judged.frames.boxes, judged.frames.candidates["best"]
    found = np.zeros(len(boxes), np.bool_)
    known = (judged.matches.any >= 0) & (best != Class.UNKNOWN) & (judged.trust >= least_trust)
    which = judged.matches.any[known]
    # what may be driven through does no harm as a bag
    fine = (best[known] == boxes["label"][which]) | ((best[known] == Class.DRIVE_THROUGH) & (boxes["solid"][which] == 0))
    found[which[~fine]] = True
    return found


def _trusting(judged: Judged) -> dict[str, object]:
    strange = unfamiliar(judged)
    matched = judged.matches.any >= 0
    on_strange, on_scored = (np.append(of, False)[judged.matches.any] for of in (strange, scored(judged.frames.boxes)))
    right = rightly_known(judged.frames, judged.matches) & on_scored & ~on_strange
    count = max(int(strange.sum()), 1)
    return {
        "auroc": measures.auroc(judged.trust[right], judged.trust[on_strange]),
        "fpr95": measures.false_positive_rate(judged.trust[right], judged.trust[on_strange]),
        "confident_wrong_before": float(np.count_nonzero(misnamed(judged, 0.0) & strange) / count),
        "confident_wrong_after": float(np.count_nonzero(misnamed(judged, judged.calibration.trusted) & strange) / count),
        "selective_risk": measures.selective_risk(judged.trust[matched], ~right[matched]),
        "unfamiliar": int(strange.sum()),
    }  # fmt: skip


def _coarse(judged: Judged) -> dict[str, object]:
    """Things that must be gone around and no blocked cell tells of, or nothing that the stack goes by; and false alarms."""
    frames, boxes = judged.frames, judged.frames.boxes
    of = must_go_around(frames)
    scenes = frames.scene[frames.box_frame[of]]
    missed = ~frames.stands[of] & (frames.around[of] < judged.calibration.around)
    rich, untold, unhinted = _unseen_by_rich(judged)[of], frames.told[of] < TOLD, frames.told[of] < HINTED
    kinds = np.array([kind_name(box) for box in boxes[of]])
    worst, worst_high, by_kind = "", 0.0, {}
    for kind in sorted(set(kinds)):
        own = missed[kinds == kind]
        by_kind[kind] = {"things": len(own), "missed": int(own.sum()), "untold": int(untold[kinds == kind].sum())}
        high = measures.upper_bound(own, scenes[kinds == kind])
        if not worst or (own.mean(), high) > (by_kind[worst]["missed"] / by_kind[worst]["things"], worst_high):
            worst, worst_high = kind, high
    last = (boxes["x"][of] >= LAST_STOP[0]) & (boxes["x"][of] <= LAST_STOP[1]) & (np.abs(boxes["y"][of]) < 10.0)
    step = min(int(np.ceil(judged.calibration.around * (CELL_STEPS - 1) - 1e-9)), CELL_STEPS - 1)
    flagged = frames.free[:, step].sum() + frames.geometric[:, step].sum()
    return {
        "coarse_miss": _share(missed), "coarse_miss_high": measures.upper_bound(missed, scenes),
        "rich_miss": _share(rich), "layered_miss": _share(rich & missed), "must_go_around": len(of),
        "worst_kind": worst, "worst_kind_high": worst_high, "by_kind": by_kind,
        "told_miss": _share(untold), "told_miss_high": measures.upper_bound(untold, scenes),
        "hinted_miss": _share(unhinted), "hinted_miss_high": measures.upper_bound(unhinted, scenes),
        "false_alarms": float(flagged / max(frames.cells.sum(), 1)), "told_false": float(frames.false.mean()),
        "miss_at_last_stop": _share(untold[last]),
        "miss_at_last_stop_high": measures.upper_bound(untold[last], scenes[last]), "last_stop_things": int(last.sum()),
    }  # fmt: skip


def _left_out(judged: Judged, thresholds: Mapping[str, float]) -> dict[str, object]:
    """What the coarse answer misses of each kind with the threshold that was chosen without it."""
    frames = judged.frames
    of = must_go_around(frames)
    kinds = np.array([kind_name(box) for box in frames.boxes[of]])
    found: dict[str, dict[str, float]] = {}
    for kind, threshold in thresholds.items():
        own = of[kinds == kind]
        if len(own):
            missed = ~frames.stands[own] & (frames.around[own] < threshold)
            high = measures.upper_bound(missed, frames.scene[frames.box_frame[own]])
            found[kind] = {"threshold": threshold, "things": len(own), "missed": int(missed.sum()), "high": high}
    shares = {kind: one["missed"] / one["things"] for kind, one in found.items()}
    worst = max(shares, key=lambda kind: shares[kind], default="")
    return {"left_out": found, "left_out_worst": worst, "left_out_worst_miss": shares.get(worst, 0.0)}


def _unseen_by_rich(judged: Judged) -> NDArray[np.bool_]:
    """(T,) boxes that no candidate of at least even odds is on, or only one that would be driven through."""
    found = np.ones(len(judged.frames.boxes), np.bool_)
    told = (judged.matches.any >= 0) & (judged.scores >= 0.5) & (judged.frames.candidates["best"] != Class.DRIVE_THROUGH)
    found[judged.matches.any[told]] = False
    return found


def _drive_through(judged: Judged) -> dict[str, object]:
    """Of scored things that are taken for harmless, the share that is, None where there are none; of those that are, the share
    that would be gone around nevertheless."""
    frames, counted = judged.frames, scored(judged.frames.boxes)
    solid = frames.boxes["solid"] != 0
    driven, harmless = counted & frames.through, counted & ~solid
    return {
        "drive_through_precision": float(np.mean(~solid[driven])) if driven.any() else None,
        "driven_through": int(driven.sum()), "harmless": int(harmless.sum()),
        "harmless_gone_around": _share(frames.told[harmless] >= TOLD),
    }  # fmt: skip


def _share(of: NDArray[np.bool_]) -> float:
    """Share that is true; 0 of nothing."""
    return float(of.mean()) if len(of) else 0.0


def summary(figures: Mapping[str, object]) -> dict[str, object]:
    """A condition's figures without the tables by class and kind."""
    return {name: value for name, value in figures.items() if not isinstance(value, dict)}


__all__ = ["MATCHED", "Judged", "assess", "judge", "misnamed", "outcomes", "summary", "unfamiliar"]
