"""Models in the gate: a scene's row is of that scene, the gate fails what lost its calibration and nothing that is as good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from avstack.perception.calibration import Calibration
from avstack.perception.classes import Class
from eval.gate import Finding
from eval.gate import judge as gate
from eval.perception.assess import assess, judge
from eval.perception.calibrate import fit
from eval.perception.gated import keep, of_scenes, open_run, rows_of
from eval.perception.scene_metrics import SCENE_METRICS
from eval.perception.splits import SPLITS
from eval.runs import arm, driven, paired
from eval.store import Store
from scenarios.errors import InputError
from tests.eval.perception.invented import invented

SPLIT = replace(SPLITS["gate"], first=0, scenes=40)


@pytest.fixture(scope="module")
def frames():
    return invented(160, bold=3.0, missed=0.1, seed=1)


@pytest.fixture(scope="module")
def calibration():
    return fit(invented(bold=3.0))


def test_scenes_together_are_the_whole(frames, calibration):
    whole = judge(frames, calibration)
    parts = dict(of_scenes(whole))
    assert list(parts) == list(range(40))
    for name, per in (("thing", "things"), ("coarse_miss", "must_go_around")):
        figure = "nll_per_thing" if name == "thing" else name
        found = [(assess(part)[figure], assess(part)[per]) for part in parts.values()]
        mean = sum(value * count for value, count in found) / sum(count for _, count in found)
        assert mean == pytest.approx(assess(whole)[figure])
    every = np.concatenate([part.matches.truth >= 0 for part in parts.values()])
    assert every.sum() == np.count_nonzero(whole.matches.truth >= 0)
    for part in parts.values():
        hit = part.matches.truth >= 0
        boxes = part.frames.boxes[part.matches.truth[hit]]
        away = np.hypot(boxes["x"] - part.frames.candidates["mean"][hit, 0], boxes["y"] - part.frames.candidates["mean"][hit, 1])
        assert away == pytest.approx(part.matches.away[hit])


def test_every_metric_tells_what_is_worse(frames, calibration):
    """One fault each: the metric that it is about rises."""
    base = rows_of([judge(frames, calibration)])
    strange = frames.boxes.copy()
    strange["label"][::3] = Class.UNKNOWN
    odd = replace(frames, boxes=strange)
    wary, rash = (replace(calibration, trusted=trusted) for trusted in (1.1, 0.0))
    faults = {
        "detection_log_loss": judge(frames, replace(calibration, shown=0.9)),
        "detection_place_loss": judge(replace(frames, candidates=_bolder(frames.candidates)), calibration),
        "rich_miss": judge(frames, replace(calibration, shown=0.9)),
        "coarse_miss": judge(frames, replace(calibration, around=0.9)),
        "told_miss": judge(replace(frames, told=np.zeros_like(frames.told)), calibration),
        "coarse_false_alarms": judge(replace(frames, free=np.full_like(frames.free, 50)), calibration),
        "confident_wrong": judge(odd, rash),
    }
    assert faults.keys() == SCENE_METRICS.keys()
    for name, judged in faults.items():
        before = rows_of([judge(odd, wary)]) if name == "confident_wrong" else base
        assert _total(rows_of([judged]), name) > _total(before, name) + 0.05


def test_the_gate_fails_models_that_lost_their_calibration(frames, calibration, tmp_path):
    store = Store(tmp_path / "runs.sqlite")
    for name, own in (("main", calibration), ("again", replace(calibration)), ("bare", Calibration())):
        keep(store, open_run(store, name, SPLIT, ("clear",), "abc", own), [judge(frames, own)])
    verdict = {test.metric.column: test for test in gate(paired(arm(store, "bare"), arm(store, "main")))}
    assert verdict["detection_place_loss"].finding is Finding.WORSE
    assert verdict["detection_log_loss"].finding is Finding.WORSE
    same = gate(paired(arm(store, "again"), arm(store, "main")))
    assert {test.finding for test in same} == {Finding.HELD}


def test_a_scene_without_anything_has_no_value(frames, calibration):
    empty = replace(
        frames, boxes=frames.boxes[frames.box_frame >= 4], box_frame=frames.box_frame[frames.box_frame >= 4],
        around=frames.around[frames.box_frame >= 4], stands=frames.stands[frames.box_frame >= 4],
        told=frames.told[frames.box_frame >= 4], through=frames.through[frames.box_frame >= 4],
    )  # fmt: skip
    rows = rows_of([judge(empty, calibration)])
    assert rows[0]["coarse_miss"] is None
    assert rows[0]["detection_log_loss"] is None
    assert rows[0]["coarse_false_alarms"] is not None
    assert rows[1]["coarse_miss"] is not None


def test_nobody_drives_in_a_run_of_models(frames, calibration, tmp_path):
    store = Store(tmp_path / "runs.sqlite")
    run = open_run(store, "main", SPLIT, ("clear",), "abc", calibration)
    with pytest.raises(InputError, match="is of perception models"):
        driven(arm(store, run.name))
    with pytest.raises(InputError, match="is another one: its code"):
        open_run(store, "main", SPLIT, ("clear",), "abc", Calibration())
    other = open_run(store, "fog", SPLIT, ("fog",), "abc", calibration)
    with pytest.raises(InputError, match="has changed"):
        paired(arm(store, other.name), arm(store, run.name))


def _bolder(candidates):
    bolder = candidates.copy()
    bolder["variance"] *= 0.1
    return bolder


def _total(rows, name):
    return sum(row[name] for row in rows.values() if row[name] is not None)
