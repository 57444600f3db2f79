"""The pieces that end a standoff."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.deadlock import DWELL_S, SLOT_S, Standoff, takes_turn, watch
from avstack.behaviours.decision import Manoeuvre
from avstack.behaviours.policies import Option, branches_of, turning_back
from avstack.behaviours.response import ACTOR_DTYPE, NO_LINE
from avstack.behaviours.zones import PAIR_DTYPE
from sim.interface import TICK_S
from sim.rng import Purpose, generator


class _Scene:
    """What the breaker looks at: claimants (x [m], speed [m/s], order against the ego), whose zones lie 10 m ahead."""

    def __init__(self, tick: int, others: tuple[tuple[float, float, float], ...] = ()) -> None:
        self.tick, self.speed, self.s, self.line = tick, 0.0, 0.0, NO_LINE
        things = [{"x": x, "y": 0.0, "speed": speed} for x, speed, _ in others]
        self.agents = [SimpleNamespace(id=100 + k, thing=thing) for k, thing in enumerate(things)]
        self.actors = np.zeros((1 + len(others), 1), ACTOR_DTYPE)
        self.actors["path"][:, 0] = np.arange(1 + len(others))
        pairs = np.zeros((1 + len(others), 1 + len(others)), PAIR_DTYPE)
        pairs["other_enter"] = 10.0
        order = np.zeros((1 + len(others), 1 + len(others)))
        order[0, 1:] = [first for _, _, first in others]
        self.board = SimpleNamespace(pairs=pairs, order=order)


def watched(ticks: Sequence[tuple[tuple[float, float, float], ...]]) -> Standoff:
    """The standoff after these ticks."""
    standoff = Standoff()
    for tick, others in enumerate(ticks):
        scene = _Scene(tick, others)
        standoff = watch(standoff, scene, list(range(1, 1 + len(others))))  # type: ignore[arg-type]
    return standoff


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


def test_a_standoff_outlives_the_noise_of_measured_speeds():
    noise = generator(3, Purpose.DRIVER)
    speeds = 0.4 * noise.standard_normal((40, 2))
    places = 0.1 * noise.standard_normal((40, 2))
    # of the first tick nobody knows where they stood before
    speeds[0] = 0.0
    ticks = [tuple((float(x), float(v), 0.0) for x, v in zip(places[k], speeds[k], strict=True)) for k in range(40)]
    assert np.abs(speeds).max() > 0.6
    assert watched(ticks).since == 0


def test_whoever_moves_off_ends_it_however_slowly():
    ticks = [((0.05 * max(0, k - 10), 0.5 if k > 10 else 0.0, 0.0),) for k in range(40)]
    assert watched(ticks[:12]).since == 0
    assert watched(ticks).since == -1


def test_who_comes_after_the_ego_does_not_end_it_and_who_comes_before_does():
    stands = (0.0, 0.0, 0.0)
    for order, since in ((1.0, 0), (-1.0, -1)):
        assert watched([(stands, (-30.0 + k, 8.0, order)) for k in range(10)]).since == since


def test_there_is_no_standoff_of_one():
    assert watched([((-30.0, 8.0, 1.0),)] * 5).since == -1
