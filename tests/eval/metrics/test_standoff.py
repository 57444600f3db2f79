"""Deadlocks: who stands at a free junction for too long, whether ego is among them, and what is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eval.metrics.registry import METRICS
from eval.metrics.result import References
from sim.interface import Floats
from sim.recording import Recording
from sim.roads.lane_map import LaneKind, Regulation, Turn
from sim.roads.outline import LaneOutline, MapOutline

from .written import EGO, JUNCTION, NOWHERE, OTHER, recording, standing

TICKS = 300


def waits(enter: int) -> Floats:
    """At its line from 5 s on, over it from tick `enter`."""
    s = np.full(TICKS, 20.0)
    s[:50] = 20.0 - 0.6 * (50 - np.arange(50))
    s[enter:] = 20.0 + 0.5 * (1 + np.arange(TICKS - enter))
    return s


def found(drive: Recording, references: References | None = None) -> tuple[float, float]:
    """Ego's deadlocks, and others'."""
    own = references or References(junction=JUNCTION)
    return METRICS["deadlocks"](drive, own).value, METRICS["deadlocks_of_others"](drive, own).value


def test_two_who_stand_at_a_free_junction_for_too_long_are_a_deadlock_of_ego():
    assert found(recording(waits(140), waits(150))) == (1.0, 0.0)
    assert found(recording(waits(TICKS), waits(TICKS))) == (1.0, 0.0)


def test_seven_seconds_and_waiting_while_another_crosses_are_none():
    assert found(recording(waits(110), waits(120))) == (0.0, 0.0)
    creeps_over = waits(60)
    creeps_over[70:] = creeps_over[70] + 0.07 * np.arange(TICKS - 70)
    assert found(recording(waits(200), creeps_over)) == (0.0, 0.0)


def test_who_stands_on_when_ego_has_gone_is_not_held_against_it():
    assert found(recording(waits(60), waits(TICKS))) == (0.0, 1.0)


def test_a_standstill_within_the_junction_is_a_deadlock_and_a_wreck_in_it_is_none():
    within = waits(60)
    within[75:] = within[75]
    stuck = recording(within, waits(TICKS))
    assert found(stuck) == (1.0, 0.0)
    assert found(recording(within, within)) == (1.0, 0.0), "also where nobody else waits"
    wrecked = recording(within, waits(TICKS), events=[("COLLISION", 74, EGO, OTHER)])
    assert found(wrecked) == (0.0, 0.0)


def test_a_wreck_at_its_line_claims_nothing():
    hit = recording(waits(60), waits(TICKS), events=[("COLLISION", 65, EGO, OTHER)])
    assert found(hit) == (0.0, 0.0)


def test_whoever_waits_for_somebody_on_foot_claims_nothing():
    right, middle, left = (np.array([[-8.0, y], [8.0, y]]) for y in (-6.0, 0.0, 6.0))
    lane = LaneOutline(
        kind=LaneKind.DRIVING, turn=Turn.STRAIGHT, junction=0, left=-1, right=-1, opposite=-1, centre=middle,
        left_border=left, right_border=right, stop_line=None, regulation=Regulation.NONE, signals=(),
    )  # fmt: skip
    only_ego = replace(
        JUNCTION, actors=(EGO,), conflicts=np.zeros((1, 1), bool),
        **{name: getattr(JUNCTION, name)[:1] for name in ("stop_lines", "exit_lines", "through", "arrivals", "free")},
        headway=JUNCTION.headway[:1, :1],
    )  # fmt: skip
    crossing: MapOutline = replace(NOWHERE, lanes=(lane,))
    for place, expected in ((28.0, 0.0), (-100.0, 1.0)):
        drive = recording(waits(TICKS), standing(TICKS, place), kinds=("CAR", "PEDESTRIAN"))
        drive = replace(drive, road_map=crossing)
        assert found(drive, References(junction=only_ego)) == (expected, 0.0)
