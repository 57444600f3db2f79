"""Who comes before whom at a junction, from places and speeds alone."""

from __future__ import annotations

import numpy as np
import pytest

from avstack.behaviours.atlas import Path, Stop
from avstack.behaviours.precedence import (
    AFTER_ALL,
    FORFEIT_S,
    IN_JUNCTION,
    TIE_FORFEIT_S,
    Visit,
    arrival,
    idling,
    lets_tie_go,
    lost,
    recognised,
    visited,
)
from sim.interface import TICK_S
from sim.roads.lane_map import Regulation

LINE = 50.0
LANE = 4
PATH = Path(key="way", rows=np.zeros((300, 6)), stops=(Stop(LINE, int(Regulation.ALL_WAY_STOP), -1, LANE),))


def drive(fronts: list[float], speeds: list[float]) -> Visit:
    visit = Visit()
    for tick, (front, speed) in enumerate(zip(fronts, speeds, strict=True)):
        visit = visited(visit, PATH, front, speed, tick)
    return visit


def test_arrival_is_the_first_stop_near_the_line():
    visit = drive([40.0, 47.0, 49.0, 49.5, 49.6], [5.0, 2.0, 0.4, 0.0, 0.0])
    assert visit.arrived == 2
    assert visit.stopped == LANE
    assert arrival(visit, PATH, 49.6, 0.0, 4) == pytest.approx(-2 * TICK_S)


def test_who_stands_at_its_line_has_arrived_whatever_its_way_is_taken_for():
    astray = Path(key="astray", rows=np.zeros((2, 6)))
    waits = drive([47.0, 49.0, 49.5], [2.0, 0.4, 0.0])
    assert visited(waits, astray, 0.0, 0.0, 3) == waits
    assert visited(waits, astray, 0.0, 3.0, 3).arrived == -1


def test_who_crosses_the_line_without_a_stop_arrives_as_it_enters():
    visit = drive([47.0, 49.0, 51.5, 53.0], [3.0, 3.0, 3.0, 3.0])
    assert (visit.arrived, visit.entered) == (2, 2)
    assert arrival(visit, PATH, 53.0, 3.0, 3) < IN_JUNCTION + 1e-9


def test_of_two_in_the_junction_the_one_that_entered_first_is_first():
    early, late = Visit(arrived=0, entered=5), Visit(arrived=1, entered=9)
    assert arrival(early, PATH, 55.0, 3.0, 20) < arrival(late, PATH, 53.0, 3.0, 20)


def test_who_is_still_coming_arrives_later_the_further_away_it_is():
    times = [arrival(Visit(), PATH, front, 8.0, 0) for front in (10.0, 20.0, 30.0)]
    assert times == sorted(times, reverse=True)
    # braking evenly from 8 m/s takes twice as long as the way at that speed
    assert arrival(Visit(), PATH, LINE - 8.0, 8.0, 0) == pytest.approx(2.0)


def test_a_turn_that_is_not_used_is_forfeited_until_one_moves():
    visits = {1: Visit(arrived=0)}
    for tick in range(10, 10 + round(FORFEIT_S / TICK_S) + 1):
        visits = idling(visits, [1], np.zeros(1), tick)
    assert arrival(visits[1], PATH, 49.0, 0.0, 10 + round(FORFEIT_S / TICK_S)) > AFTER_ALL - 10.0
    moving = visited(visits[1], PATH, 49.2, 0.8, 60)
    assert arrival(moving, PATH, 49.2, 0.8, 60) < 0.0


def test_who_comes_to_rest_beyond_its_line_has_not_entered():
    visit = drive([48.0, 50.5, 51.5, 51.8, 51.8], [3.0, 2.0, 1.0, 0.0, 0.0])
    assert (visit.arrived, visit.entered) == (2, -1)
    assert visited(visit, PATH, 52.0, 1.0, 9).entered == 9
    assert drive([48.0, 51.0, 54.0, 54.0], [3.0, 3.0, 0.0, 0.0]).entered >= 0


def test_who_stands_in_the_junction_for_no_reason_lets_its_turn_go_by_too():
    visits = {1: Visit(arrived=0, entered=2)}
    for tick in range(10, 45):
        visits = idling(visits, [1], np.zeros(1), tick)
    assert arrival(visits[1], PATH, 54.0, 0.0, 45) > AFTER_ALL - 10.0


def test_who_is_kept_from_going_keeps_its_turn():
    visits = {1: Visit(arrived=0)}
    for tick in range(10, 80):
        visits = idling(visits, [1], np.ones(1), tick)
    assert arrival(visits[1], PATH, 49.0, 0.0, 80) == pytest.approx(-8.0)


def test_somebody_lost_and_found_in_the_same_place_keeps_its_turn():
    before = recognised({}, 7, 10.0, 2.0, 0.0, 100)
    known = lost({7: before}, 120)
    assert recognised(known, 9, 10.5, 2.2, 0.0, 120).arrived == before.arrived
    assert lost({7: before}, 400) == {}


def test_who_is_found_standing_came_before_and_who_is_found_moving_did_not():
    assert recognised({}, 7, 0.0, 0.0, 0.0, 200).arrived < 200
    assert recognised({}, 7, 0.0, 0.0, 3.0, 200).arrived == -1


def test_the_clearer_somebody_was_first_the_longer_its_unused_turn_is_waited_for():
    """From a second on as long as for everybody's; one who moves lets nothing go by."""

    def waited(before_s: float) -> float:
        return next(tick for tick in range(100) if lets_tie_go(Visit(arrived=0, idle=0), before_s, tick)) * TICK_S

    assert waited(-0.3) == waited(0.0) == waited(0.4) == pytest.approx(TIE_FORFEIT_S)
    assert TIE_FORFEIT_S < waited(0.75) < FORFEIT_S
    assert waited(1.0) == waited(1000.0) == pytest.approx(FORFEIT_S)
    assert not lets_tie_go(Visit(arrived=0), 0.0, 1000)
