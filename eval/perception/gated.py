"""An evaluation of the models as a run in the store, a row a scene, so that the gate judges models as it judges drivers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from avstack.perception.calibration import Calibration
from eval.configuration import product_hash
from eval.perception.assess import Judged, assess
from eval.perception.judged import Frames, Matches
from eval.perception.scene_metrics import SCENE_METRICS, SceneMetric
from eval.perception.splits import CONDITIONS, Split
from eval.runs import MODELS, provenance
from eval.store import EpisodeSet, Row, Run, Store, Value

ARM = "models"
"""Who answers for the rows of a run, where an evaluation of drives has a driver."""


def rows_of(judged: Iterable[Judged]) -> dict[int, Row]:
    """Scene -> row, over conditions (of the same scenes) together; None for what a scene has nothing to measure on."""
    found: dict[int, list[dict[str, Any]]] = {}
    for condition in judged:
        for scene, part in of_scenes(condition):
            found.setdefault(scene, []).append(assess(part))
    return {scene: {"seed": scene} | {name: _mean(metric, seen) for name, metric in SCENE_METRICS.items()}
            for scene, seen in found.items()}  # fmt: skip


def of_scenes(judged: Judged) -> Iterator[tuple[int, Judged]]:
    """(scene, what was judged of it alone), in the order of scenes."""
    frames = judged.frames
    for scene in np.unique(frames.scene):
        own = frames.scene == scene
        number = np.cumsum(own) - 1
        found, boxes = own[frames.frame], own[frames.box_frame]
        index = np.append(np.where(boxes, np.cumsum(boxes) - 1, -1), -1)  # the last is that of no box, -1
        parts = {one.name: getattr(frames, one.name) for one in fields(Frames)}
        for names, kept in ((_BY_CANDIDATE, found), (_BY_BOX, boxes), (_BY_FRAME, own)):
            parts |= {name: parts[name][kept] for name in names}
        parts |= {"frame": number[parts["frame"]], "box_frame": number[parts["box_frame"]]}
        matches = judged.matches
        yield int(scene), replace(
            judged, frames=Frames(**parts), scores=judged.scores[found], by_class=judged.by_class[found],
            variances=judged.variances[found], trust=judged.trust[found],
            matches=Matches(
                marks=matches.marks[found], truth=index[matches.truth[found]], away=matches.away[found],
                any=index[matches.any[found]],
            ),
        )  # fmt: skip


_BY_CANDIDATE = ("candidates", "frame", "solid", "open_way")
_BY_BOX = ("boxes", "box_frame", "around", "stands", "told", "through")
_BY_FRAME = ("signal", "scene", "free", "geometric", "cells", "false")


def open_run(store: Store, name: str, split: Split, conditions: Sequence[str], digest: str, calibration: Calibration) -> Run:
    """Note an evaluation of these models as the run `name`, or under a free one. digest: of the network. Raises InputError as the
    store does, as for a name that another run has."""
    suite = json.dumps({"first": split.first, "conditions": {one: repr(CONDITIONS[one]) for one in sorted(conditions)}})
    of: dict[str, Value] = {"network": digest, "calibration": calibration_hash(calibration), "product": product_hash()}
    key = hashlib.sha256(json.dumps([MODELS, suite, of], sort_keys=True).encode()).hexdigest()[:16]
    seeds = tuple(range(split.first, split.first + split.scenes))
    told = provenance(suite, ()) | {"network": of["network"], "calibration": of["calibration"]}
    run = store.open_run(Run(name=name, suite=MODELS, sensing="lidar", sets={ARM: key}, seeds=seeds, provenance=told))
    store.open_set(EpisodeSet(key=key, suite=MODELS, driver=ARM, provenance=of))
    return run


def keep(store: Store, run: Run, judged: Iterable[Judged]) -> None:
    """Put the rows of what was judged, a condition each, into the run."""
    for scene, row in rows_of(judged).items():
        store.add(run.sets[ARM], scene, row)


def calibration_hash(calibration: Calibration) -> str:
    """Of its numbers: two calibrations of one network are two models."""
    return hashlib.sha256(json.dumps(calibration.as_numbers(), sort_keys=True).encode()).hexdigest()[:16]


def _mean(metric: SceneMetric, seen: Sequence[Mapping[str, Any]]) -> float | None:
    there = [float(one[metric.figure]) for one in seen if not metric.of or one[metric.of] > 0]
    return float(np.mean(there)) if there else None
