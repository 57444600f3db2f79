"""At an all-way stop: who rolls, who looks, and for how long."""

from __future__ import annotations

import numpy as np
import pytest

from sim.setup import HESITATION_S, hesitation
from sim.state import MIND_DTYPE, RUNS_STOPS
from sim.traffic.calm import DECISION_TICKS
from sim.traffic.driver import _hesitate
from sim.traffic.plan import FAR
from sim.traffic.styles import STYLES, draw_style


def looked_for(claimants: int, *, satisfied: int = 1, line: float = 1.0, held: bool = False, claimed: int = -1) -> float:
    """Time [s] that a driver at its line, free to go, still looks."""
    mind = np.zeros(1, MIND_DTYPE)[0:1].view(np.recarray)[0]
    mind.hesitation, mind.claimants, mind.satisfied, mind.decel = 0.5, claimants, satisfied, 1.6
    mind.claimed_tick = claimed
    for looks in range(100):
        mind.stop_distance = line if held else FAR
        _hesitate(mind, 0.3, line, DECISION_TICKS)
        if not held and mind.stop_distance >= FAR:
            return 0.1 * looks * DECISION_TICKS
    return float("inf") if mind.look_ticks > 0 else 0.0


def test_more_claimants_are_looked_at_longer():
    times = [looked_for(claimants) for claimants in (0, 1, 2, 3)]
    assert times[0] == 0.0
    assert times[1] == pytest.approx(0.6, abs=0.2)
    assert times[2] > 2.0 * times[1]
    assert times[3] > times[2] + times[1]


def test_who_ends_a_standoff_does_not_look():
    assert looked_for(3, claimed=40) == 0.0


def test_nobody_looks_before_stopping_or_past_the_line():
    assert looked_for(3, satisfied=0) == 0.0
    assert looked_for(3, line=-1.0) == 0.0


def test_waiting_for_ones_turn_is_no_looking():
    assert looked_for(3, held=True) == 0.0


def test_who_stops_fully_looks_longer_and_who_runs_stops_does_not_look():
    drawn = draw_style("normal", 3, 1)
    slow, fast = ({**drawn, "roll_speed": speed} for speed in (0.3, 2.5))
    assert hesitation(slow) > HESITATION_S > hesitation(fast) > 0.0
    assert hesitation({**drawn, "flags": float(RUNS_STOPS)}) == 0.0


def test_most_drivers_roll_and_some_stop():
    rolls = np.array([draw_style("normal", seed, 0)["roll_speed"] for seed in range(400)])
    assert 0.06 < np.mean(rolls < 0.5) < 0.20
    assert np.median(rolls) == pytest.approx(STYLES["normal"].roll_speed[0], rel=0.15)
    assert rolls.max() <= 2.8
