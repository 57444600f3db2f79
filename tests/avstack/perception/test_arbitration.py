"""Who answers for what: trusted things stand, doubtful ones take the coarse model's word, the rest of the returns gets boxes."""

import numpy as np
import pytest

from avstack.perception.arbitration import LONGEST_M, SURE, PerceptionConfig, arbitrate
from avstack.perception.bev import X0, Y0
from avstack.perception.classes import Class
from avstack.perception.coarse import CoarseGrid
from avstack.perception.detect import DETECTION_DTYPE, Detections
from avstack.perception.maps import COLUMNS, ROWS
from avstack.perception.percepts import COARSE, RICH


def grid(*cells):
    """Blocked cells: (x, y, probability)."""
    around, blocked = np.zeros((ROWS, COLUMNS), np.float32), np.zeros((ROWS, COLUMNS), bool)
    for x, y, probability in cells:
        i, j = int(x - X0), int(y - Y0)
        around[i, j], blocked[i, j] = probability, True
    nothing = np.zeros_like(around)
    return CoarseGrid(around=around, hidden=nothing, solid=nothing, height=nothing, blocked=blocked)


def thing(x, y, *, length=2.0, width=1.0, score=0.6, source=RICH):
    row = np.zeros(1, DETECTION_DTYPE)
    row["mean"][0, [0, 1, 5, 6]] = x, y, length, width
    row["score"], row["source"], row["trust"] = score, source, 0.9 if source == RICH else 0.1
    return row


def seen(things, standing, cells, on_road=None, stood=None):
    rows = np.concatenate(things) if things else np.zeros(0, DETECTION_DTYPE)
    places = np.array(standing, np.float32).reshape(-1, 2)
    lasts = None if stood is None else np.array(stood)
    detections = Detections(things=rows, grid=grid(*cells), standing=places, signal=np.zeros(3, np.float32), stood=lasts)
    return arbitrate(detections, on_road)


HEAP = [(12.1, 0.2), (12.3, 0.6), (12.2, 0.4)]
BLOCKED = (12.5, 0.5, 0.7)


def test_returns_that_nothing_explains_get_a_tight_box_as_likely_as_the_coarse_model_says():
    found = seen([], HEAP, [BLOCKED])
    assert len(found) == 1
    box = found[0]
    assert (box["source"], box["blob"], box["points"]) == (COARSE, 1, 3)
    assert box["score"] == pytest.approx(0.7)
    assert box["mean"][:2] == pytest.approx([12.2, 0.4], abs=0.05)
    assert max(box["mean"][5:7]) < 0.7


def test_returns_that_were_not_there_a_sweep_ago_make_no_box_and_stretch_none():
    assert len(seen([], HEAP, [BLOCKED], stood=[False] * 3)) == 0
    assert seen([], HEAP, [BLOCKED], stood=[True, False, True])["points"].tolist() == [2]
    # a flake beside a thing does not make it larger, a part of it does
    pile = thing(12.0, 0.0, length=0.6, width=0.6)
    pile["label"] = int(Class.PILE)
    beside = [(12.0, 0.8)]
    one, other = (float(seen([pile], beside, [(12.5, 0.5, 0.7)], stood=[lasts])["mean"][0, 6]) for lasts in (False, True))
    assert one == pytest.approx(0.6)
    assert other == pytest.approx(1.1)


def test_what_is_doubted_is_there_as_likely_as_the_coarse_model_says_also_where_it_was_not_a_sweep_ago():
    moving = thing(12.2, 0.4, score=0.4, source=COARSE)
    (found,) = seen([moving], HEAP, [BLOCKED], stood=[False] * 3)
    assert found["score"] == pytest.approx(0.7)


def test_where_nothing_returned_nothing_is_in_the_way():
    assert len(seen([], [], [BLOCKED, (20.5, 3.5, 0.99)])) == 0


def test_returns_in_cells_that_do_not_block_are_left_alone():
    assert len(seen([], HEAP, [])) == 0


def test_what_stands_beside_the_road_is_in_nobodys_way():
    assert len(seen([], HEAP, [BLOCKED], np.zeros(3, bool))) == 0
    assert len(seen([], HEAP, [BLOCKED], np.array([True, False, False]))) == 1


def test_a_trusted_thing_explains_its_returns_and_keeps_its_score():
    found = seen([thing(12.2, 0.4, score=0.5)], HEAP, [BLOCKED])
    assert len(found) == 1
    assert found["score"][0] == pytest.approx(0.5)


@pytest.mark.parametrize(("speed", "boxes"), [(15.0, 0), (0.0, 1), (-15.0, 1)])
def test_returns_of_what_moves_may_lie_where_it_was_a_sweep_ago_and_nowhere_else(speed, boxes):
    car = thing(16.0, 0.4, length=4.0, width=2.0)
    car["mean"][0, 3] = speed
    assert seen([car], HEAP, [BLOCKED])["blob"].sum() == boxes


def test_a_doubtful_thing_is_as_likely_as_the_coarse_model_says():
    found = seen([thing(12.2, 0.4, score=SURE + 0.05, source=COARSE)], HEAP, [BLOCKED])
    assert len(found) == 1
    assert found["score"][0] == pytest.approx(0.7)
    surer = seen([thing(12.2, 0.4, score=0.9, source=COARSE)], HEAP, [BLOCKED])
    assert surer["score"][0] == pytest.approx(0.9)


def test_a_thing_that_is_hardly_there_explains_nothing():
    found = seen([thing(12.2, 0.4, length=8.0, width=2.5, score=SURE - 0.05, source=COARSE)], HEAP, [BLOCKED])
    assert sorted(found["blob"].tolist()) == [0, 1]
    assert found["score"][found["blob"] == 0][0] == pytest.approx(SURE - 0.05)


def test_a_doubtful_thing_beside_the_road_is_in_nobodys_way():
    beside = seen([thing(12.2, 0.4, score=0.2, source=COARSE)], HEAP, [BLOCKED], np.zeros(3, bool))
    assert (beside["source"].tolist(), beside["score"][0]) == ([RICH], pytest.approx(0.2))
    on_it = seen([thing(12.2, 0.4, score=0.2, source=COARSE)], HEAP, [BLOCKED])
    assert set(on_it["source"].tolist()) == {COARSE}


def test_an_object_reaches_as_far_as_its_returns_and_a_car_is_as_large_as_it_is_said_to_be():
    face = [(12.2, y) for y in np.linspace(-0.8, 0.8, 9)]
    cells = [(12.5, y, 0.9) for y in (-0.9, 0.1, 0.9)]
    pile = thing(12.4, 0.0, length=0.4, width=0.6)
    pile["label"] = Class.CONE
    found = seen([pile], face, cells)
    assert len(found) == 1
    assert found["mean"][0, 6] == pytest.approx(1.6, abs=0.01)
    car = seen([thing(12.4, 0.0, length=0.4, width=0.6)], face, cells)
    assert car["mean"][0, 6] == pytest.approx(0.6)


def test_boxes_lie_as_their_returns_do_and_long_ones_come_in_pieces():
    along = np.linspace(0.0, 14.0, 60)
    slanting = np.stack([10.0 + along * np.cos(0.5), -3.0 + along * np.sin(0.5)], axis=1)
    cells = [(x, y, 0.8) for x, y in slanting]
    found = seen([], slanting, cells)
    assert len(found) == int(14.0 / LONGEST_M) + 1
    assert found["mean"][:, 6].max() < 1.6
    assert found["mean"][:, 5].max() < LONGEST_M
    heading = np.mod(found["mean"][:, 2], np.pi)
    assert heading == pytest.approx(np.full(len(found), 0.5), abs=0.15)


def test_what_lies_apart_is_told_apart():
    found = seen([], [*HEAP, (18.2, 0.4)], [BLOCKED, (18.2, 0.4, 0.3)])
    assert sorted(found["score"].tolist()) == pytest.approx([0.3, 0.7])


def test_nothing_in_nothing_out():
    assert len(seen([], [], [])) == 0


def test_either_model_can_answer_alone():
    standing = [*HEAP, (30.2, 0.4)]
    cells = [BLOCKED, (30.5, 0.5, 0.8)]
    rows = np.concatenate([thing(12.2, 0.4, score=0.5), thing(60.0, 3.0, score=0.2, source=COARSE)])
    detections = Detections(
        things=rows, grid=grid(*cells), standing=np.array(standing, np.float32), signal=np.zeros(3, np.float32)
    )
    rich = arbitrate(detections, config=PerceptionConfig(answers="rich"))
    assert (len(rich), rich["blob"].sum(), set(rich["source"].tolist())) == (2, 0, {RICH})
    coarse = arbitrate(detections, config=PerceptionConfig(answers="coarse"))
    assert (len(coarse), coarse["blob"].sum()) == (2, 2)
    both = arbitrate(detections)
    assert sorted(both["blob"].tolist()) == [0, 0, 1]
    with pytest.raises(ValueError, match="layered, rich, coarse"):
        PerceptionConfig(answers="guess")
