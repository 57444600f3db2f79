"""nuPlan's score on written drives along a straight street: what each part takes away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from eval.metrics.registry import METRICS
from eval.metrics.result import References
from sim.recording import Recording
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS

from .written import EGO, OTHER, recording, standing, steady

TICKS = 100
LIMIT = 10.0
STREET = assemble(BUILDERS["straight"](length=400.0, speed_limit=LIMIT))


def driving(
    speed: float = 9.0, free: float = 9.0, aside: float = 0.0, events: Sequence[tuple[str, int, int, int]] = ()
) -> tuple[Recording, References]:
    """Ego along the street at a constant speed, so far to the left of its lane's centre; it would go at `free` alone."""
    found = recording(steady(TICKS, 0.0, speed), standing(TICKS, -1e3), events=events)
    lane = next(k for k in range(len(STREET.lanes)) if abs(float(STREET.lane_points(k)["heading"][0])) < 0.1)
    ego = found.rows[0::2]
    ego["lane"], ego["s"], ego["d"] = lane, 20.0 + 0.1 * speed * np.arange(TICKS), aside
    return found, References(alone=recording(steady(TICKS, 0.0, free), standing(TICKS)), road_map=STREET)


def score(drive: tuple[Recording, References]) -> float:
    return METRICS["nuplan_score"](*drive).value


def test_a_good_drive_has_all_of_it():
    assert score(driving()) == pytest.approx(1.0, abs=0.01)
    found, references = driving()
    assert not METRICS["nuplan_score"](found, replace(references, road_map=None)).valid


def test_speed_above_the_limit_costs_its_share():
    over = 11.0 - LIMIT
    assert score(driving(speed=11.0)) == pytest.approx(1.0 - 4.0 / 16.0 * over / 2.23, abs=0.01)
    assert score(driving(speed=15.0)) == pytest.approx(12.0 / 16.0, abs=0.01), "no less than nothing"


def test_little_progress_costs_its_share_and_too_little_all():
    assert score(driving(speed=4.5)) == pytest.approx(1.0 - 5.0 / 16.0 * 0.5, abs=0.02)
    assert score(driving(speed=1.0)) == 0.0


def test_collisions_at_fault_cost_all_of_it_and_half_with_a_thing():
    hit = driving(events=[("COLLISION", 60, EGO, OTHER)])
    assert score(hit) == pytest.approx(1.0, abs=0.01), "not at fault"
    hit[0].events["fault_a"] = 1
    assert score(hit) == 0.0
    ego, other = hit[0].header.actors
    thing = replace(hit[0], header=replace(hit[0].header, actors=(ego, replace(other, thing="cone"))))
    assert score((thing, hit[1])) == pytest.approx(0.5, abs=0.01)


def test_leaving_the_road_and_driving_against_the_traffic():
    off = driving()
    off[0].rows[0::2]["offroad"][50:] = 1
    assert score(off) == 0.0
    assert score(driving(aside=3.0)) == 0.0, "9 m a second among those who come towards ego"
    short = driving()
    short[0].rows[0::2]["d"][40:44] = 3.0
    assert score(short) == pytest.approx(0.5, abs=0.01), "3.6 m of it are put up with by half"
    back = driving()
    back[0].rows[0::2]["speed"][30:40] = -9.0
    assert score(back) == 0.0


def test_a_collision_course_and_a_hard_brake_cost_theirs():
    near = driving()
    other = near[0].rows[1::2]
    other["x"], other["y"], other["heading"] = near[0].rows[0::2]["x"] + 10.0, 0.0, np.pi
    other["speed"] = 5.0
    assert score(near) == pytest.approx(11.0 / 16.0, abs=0.01)
    other["x"] = near[0].rows[0::2]["x"] - 10.0
    assert score(near) == pytest.approx(1.0, abs=0.01), "who is behind is not ego's business"
    hard = driving()
    hard[0].rows[0::2]["accel"][50:60] = -6.0
    assert score(hard) == pytest.approx(14.0 / 16.0, abs=0.01)
