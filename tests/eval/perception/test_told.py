"""What the stack goes by after one sweep, held against what is there."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from avstack.perception.calibration import Calibration
from avstack.perception.caution import FAINT
from avstack.perception.detect import DETECTION_DTYPE
from avstack.perception.maps import COLUMNS, ROWS
from avstack.perception.percepts import COARSE, EXISTS
from eval.perception.assess import assess, judge
from eval.perception.samples import BOX_DTYPE
from eval.perception.told import HINTED, TOLD, told_of
from tests.avstack.test_tracking_lidar import follow, heap, signs
from tests.eval.perception.invented import invented

FREE = np.ones((ROWS, COLUMNS), np.bool_)


def box(x, y, length=1.0, width=1.0):
    found = np.zeros(1, BOX_DTYPE)
    found["x"], found["y"], found["length"], found["width"] = x, y, length, width
    return found


def thing(x, y, score, drive_through=0.0):
    found = np.zeros(1, DETECTION_DTYPE)
    found["mean"][0, [0, 1, 5, 6]] = x, y, 1.0, 1.0
    found["score"], found["drive_through"] = score, drive_through
    return found


@pytest.mark.parametrize(("told", "existence"), [(TOLD, EXISTS), (HINTED, FAINT)])
def test_the_thresholds_are_those_of_the_tracker(told, existence):
    for score, above in ((told + 0.02, True), (told - 0.02, False)):
        things = follow([(heap(score=score), signs(1, source=COARSE, blob=1))] * 60)
        assert bool((things["existence"] > existence).any()) is above


def test_a_thing_is_told_on_the_body_that_it_touches_nearly():
    told = told_of(thing(12.0, 0.0, 0.7), np.concatenate([box(13.5, 0.0), box(15.0, 0.0)]), FREE)
    assert told.around == pytest.approx([0.7, 0.0])
    assert not told.through.any()


def test_of_several_the_likeliest_counts():
    assert told_of(np.concatenate([thing(12.0, 0.0, 0.2), thing(12.0, 0.5, 0.6)]), box(12.0, 0.0), FREE).around == [
        pytest.approx(0.6)
    ]


def test_what_would_be_driven_through_goes_round_nothing():
    told = told_of(thing(12.0, 0.0, 0.9, drive_through=0.9), box(12.0, 0.0), FREE)
    assert told.around.tolist() == [0.0]
    assert told.through.tolist() == [True]
    assert told.false == 0, "nobody brakes for it"


def test_things_on_free_road_are_counted_from_where_they_are_reckoned_with():
    things = np.concatenate([thing(12.0, 0.0, TOLD + 0.01), thing(20.0, 0.0, TOLD - 0.01), thing(500.0, 0.0, 0.9)])
    assert told_of(things, box(30.0, 0.0), FREE).false == 1
    assert told_of(things, box(30.0, 0.0), ~FREE).false == 0


def test_drive_through_precision_of_nothing_is_nothing():
    frames = invented()
    figures = assess(judge(frames, Calibration()))
    assert (figures["drive_through_precision"], figures["driven_through"]) == (None, 0)
    frames.through[::3] = True
    frames.boxes["solid"][::6] = 0
    figures = assess(judge(frames, Calibration()))
    assert figures["drive_through_precision"] == pytest.approx(0.5)
    frames.told[:] = 0.0
    frames.told[::12] = 1.0
    assert assess(judge(frames, Calibration()))["harmless_gone_around"] == pytest.approx(0.5)


def test_misses_are_of_what_the_stack_goes_by():
    frames = invented()
    frames.told[:] = 1.0
    frames.told[::10], frames.told[::30] = 0.5 * (TOLD + HINTED), 0.0
    figures = assess(judge(frames, Calibration()))
    assert figures["told_miss"] == pytest.approx(0.1, abs=0.005)
    assert figures["hinted_miss"] == pytest.approx(1.0 / 30.0, abs=0.005)
    assert figures["coarse_miss"] < 0.01, "which the learned grid alone does not show"
    assert figures["map_low"] < figures["map"] < figures["map_high"]
