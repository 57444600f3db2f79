"""Somebody steps out between parked cars: an ego that reckons with it hits nobody hard, and always gets on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avstack.perception.percepts import Percepts, ego_estimate
from avstack.safety.assumptions import Assumptions
from avstack.safety.envelope import limits_of
from avstack.safety.stepping_out import survey_ground, unseen_people, verge_of
from avstack.types import Level
from eval.bench.motion import Plant
from sim.interface import SECTORS, TICK_S, Kind
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from tests.avstack.safety.course import CONFIG, SPEC, Body, drive, path_of, standing, straight_on, things_of

STREET = assemble(BUILDERS["parking_street"]())
WAY = path_of(STREET, "eastbound_0", "eastbound_0")
PARKED = [(-10.1, -4.3), (-4.4, -4.3), (4.4, -4.3)]
CARS = [standing(x, y) for x, y in PARKED]
BEGIN, SPEED, PERSON_X, PERSON_Y = 35.0, 8.3, -1.0, -5.5
X0 = float(WAY.path.x[0]) + BEGIN
USUAL = Assumptions()


def past_parked_cars(x: float, y: float) -> np.ndarray:
    """Sight (SECTORS,) of an ego that drives east: it ends a metre inside the parked cars."""
    turn = 2.0 * math.pi * (np.arange(SECTORS) + 0.5) / SECTORS
    reach = np.arange(0.25, 60.0, 0.25)
    px, py = x + reach * np.cos(turn)[:, None], y + reach * np.sin(turn)[:, None]
    inside = np.zeros(px.shape, bool)
    for cx, cy in PARKED:
        inside |= (np.abs(px - cx) < 2.35) & (np.abs(py - cy) < 0.925)
    return np.where(inside.any(axis=1), reach[inside.argmax(axis=1)] + 2.4, 100.0).astype(np.float32)


def hardest_hit(careful: bool) -> tuple[float, float]:
    """(most speed [m/s] at which the ego's front hits who steps out, hardest braking [m/s²]), whenever he does."""
    worst, brake = 0.0, 0.0
    for begins in np.arange(1.6, 9.0, 0.4):
        walker = straight_on(PERSON_X, PERSON_Y, 0.5 * math.pi, 1.4, Kind.PEDESTRIAN, float(begins))
        run = drive(
            STREET, WAY, [*CARS, walker], speed=SPEED, begin=BEGIN, sight=past_parked_cars, assumptions=USUAL, careful=careful
        )
        brake = min(brake, *(a for _, a, _, _ in run.substeps))
        if run.collided:
            k = next(i for i, gap in enumerate(run.gaps) if gap < 0.0)
            front = X0 + TICK_S * sum(run.speeds[:k]) + 0.5 * SPEC.length
            if front < PERSON_X + 0.5:  # otherwise he has walked into its side
                worst = max(worst, run.hit_speed)
    return worst, brake


def test_who_steps_out_is_hit_hard_without_and_not_with():
    without, with_it = hardest_hit(careful=False), hardest_hit(careful=True)
    assert without[0] > 3.0
    assert with_it[0] < 1.5


def test_hidden_people_never_hold_the_ego():
    # parked bumper to bumper on both sides, and nothing to be seen beyond 3 m all the while
    rows = [standing(x, y) for x in np.arange(-70.0, 70.0, 6.0) for y in (-4.3, 1.0)]
    wall = np.full(SECTORS, 3.0, np.float32)
    for cars, sight in ((rows, past_parked_cars), ([], lambda x, y: wall)):
        run = drive(STREET, WAY, cars, speed=SPEED, begin=BEGIN, seconds=20.0, sight=sight, assumptions=USUAL, careful=True)
        assert min(run.speeds) > 0.9 * USUAL.walking_pace
        assert run.way > 0.9 * 20.0 * USUAL.walking_pace
        assert max(run.column("intervention")) == 0


def bound_past(things, sight):
    """Lowest speed asked for of an ego at the parked cars, inf for none."""
    plant = Plant(SPEC, (-25.0, -1.6, 0.0), 8.0)
    percepts = Percepts(
        tick=0, ego=ego_estimate(plant.frame()), things=things_of(list(enumerate(things))), signals=np.zeros(0, np.int32),
        observed_range=100.0, sight=sight,
    )  # fmt: skip
    verge, limits = verge_of(WAY.path, survey_ground(STREET), SPEC), limits_of(Level.EMERGENCY, CONFIG, USUAL)
    s = float(WAY.path.s[np.argmin(np.hypot(WAY.path.x + 25.0, WAY.path.y + 1.6))])
    found = unseen_people(percepts, verge, SPEC, limits, USUAL, s)
    return math.inf if found is None else float(found[1].min())


FREE_VIEW = np.full(SECTORS, 100.0, np.float32)
PARKED_CAR = Body(-4.4, -4.3, 0.0, 0.0)


def test_only_what_stands_beside_the_way_and_hides_people_slows_the_ego():
    assert bound_past([PARKED_CAR], FREE_VIEW) == pytest.approx(USUAL.walking_pace)
    assert bound_past([], FREE_VIEW) == math.inf
    # where nothing hides anybody, at the state level, there is nobody to reckon with
    assert bound_past([PARKED_CAR], None) == math.inf
    # further off there is time; who drives on uncovers what is behind; beyond a leader it is the leader who meets them
    assert bound_past([Body(-4.4, -7.5, 0.0, 0.0)], FREE_VIEW) > 8.0
    assert bound_past([Body(-4.4, 1.6, math.pi, 8.0)], FREE_VIEW) == math.inf
    assert bound_past([PARKED_CAR, Body(-15.0, -1.6, 0.0, 5.0)], FREE_VIEW) == math.inf
