"""The pieces that end a standoff."""

from __future__ import annotations

import pytest

from avstack.behaviours.choose import Option, branches_of, turning_back
from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.deadlock import DWELL_S, SLOT_S, Standoff, takes_turn
from avstack.behaviours.decision import Manoeuvre
from sim.interface import TICK_S


class _Scene:
    """What the breaker looks at."""

    def __init__(self, tick: int) -> None:
        self.tick = tick


def turns(seed: int, claimants: int, first: bool = False) -> float:
    """Seconds of standoff after which this copy goes."""
    for tick in range(1000):
        if takes_turn(Standoff(0, 0), _Scene(tick), list(range(claimants)), first, seed):  # type: ignore[arg-type]
            return tick * TICK_S
    return float("inf")


def test_nobody_takes_a_turn_before_people_would_and_everybody_does_within_the_window():
    for seed in range(40):
        assert DWELL_S < turns(seed, 3) <= DWELL_S + 8 * SLOT_S + TICK_S
    assert turns(0, 3, first=True) == pytest.approx(DWELL_S)


def test_copies_draw_different_slots():
    assert len({turns(seed, 3) for seed in range(40)}) >= 5


def test_every_policy_may_go_on_as_it_is_and_may_go():
    options = [
        Option(Manoeuvre.GO, frozenset()),
        Option(Manoeuvre.YIELD, frozenset({1})),
        Option(Manoeuvre.YIELD, frozenset({1, 2})),
    ]
    allowed = branches_of(options)
    assert allowed.diagonal().all()
    assert allowed[:, 0].all()


def test_giving_way_a_little_longer_does_not_save_the_price_of_a_change():
    options = [Option(Manoeuvre.GO, frozenset()), Option(Manoeuvre.YIELD, frozenset({1}))]
    cost = BehaviourConfig().cost
    price = turning_back(options, BehaviourConfig())
    assert price[1, 0] == pytest.approx(cost.switch)
    assert price[0, 1] == pytest.approx(cost.switch + cost.turn_back)
    assert not price.diagonal().any()
