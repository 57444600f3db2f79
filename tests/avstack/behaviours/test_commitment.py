"""What binds the ego: it goes on where it cannot stop at its ease, keeps what its wave promises, and creeps up to nobody."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from avstack.behaviours.asks import CHANGE_SPARE_S, SPARE_S, asks_of
from avstack.behaviours.commitment import (
    PROMISE_S,
    SAFE_RISK,
    WAVES_AFTER_S,
    committed_before,
    latched,
    promised,
    waving,
)
from avstack.behaviours.deadlock import Standoff
from avstack.behaviours.decision import Manoeuvre
from avstack.behaviours.policies import CREEP_AWAY, NOSE_TO_CENTRE, PROBED_M, Option, Weighed, nearness_to_people
from avstack.behaviours.precedence import Visit
from avstack.behaviours.response import ACTOR_DTYPE, NO_LINE, STEP_S
from avstack.behaviours.tree import Verdict
from avstack.behaviours.zones import PAIR_DTYPE, ROW
from sim.interface import TICK_S

GO = Option(Manoeuvre.GO, frozenset())
TO_FIRST, TO_BOTH = Option(Manoeuvre.YIELD, frozenset({7})), Option(Manoeuvre.YIELD, frozenset({7, 8}))
CREEP = Option(Manoeuvre.CREEP, frozenset({7, 8}))
OPTIONS = [GO, TO_FIRST, TO_BOTH, CREEP]
ZONES = (20.0, 40.0)
"""Where the ego's zones with 7 and 8 begin [m]."""


def scene(speed: float = 0.0, s: float = 10.0, order: tuple[float, float] = (1.0, 1.0), tick: int = 100, walker: float = 1e3):
    """The ego at s with two claimants, 7 and 8, whose zones begin at ZONES; somebody on foot `walker` metres from it."""
    agents = [
        SimpleNamespace(id=known, thing={"x": 0.0, "y": 50.0, "speed": 0.0}, routes=(0,), walks=False, visit=Visit())
        for known in (7, 8)
    ]
    agents.append(SimpleNamespace(id=9, thing={"x": s + walker, "y": 0.0}, routes=(0,), walks=True))
    actors = np.zeros((4, 1), ACTOR_DTYPE)
    actors["path"][:, 0] = np.arange(4)
    pairs = np.zeros((4, 4), PAIR_DTYPE)
    pairs["start"][0, 3] = -1
    pairs["enter"][0, 1:3], pairs["other_enter"] = ZONES, 10.0
    orders = np.zeros((4, 4))
    orders[0, 1:3] = order
    rows = np.zeros((200, 6))
    rows[:, 0], rows[:, 2], rows[:, 4] = ROW * np.arange(200), 1.0, 12.0
    board = SimpleNamespace(pairs=pairs, order=orders)
    return SimpleNamespace(
        agents=agents, actors=actors, board=board, speed=speed, s=s, tick=tick, path=SimpleNamespace(rows=rows)
    )  # fmt: skip


def weighed(best: int, cost: tuple[float, ...], risk: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)) -> Weighed:
    verdict = Verdict(np.array(cost), np.zeros((4, 1), np.int64), np.zeros((4, 1)), np.array(risk), 0)
    return Weighed(OPTIONS, np.zeros(0), [], None, np.zeros(0), verdict, best)  # type: ignore[arg-type]


def test_one_is_committed_before_whom_one_could_not_stop_at_ones_ease():
    who = [1, 2]
    assert committed_before(scene(speed=2.0), GO, who) == frozenset()
    # 6.5 m/s take 10.6 m to rest at 2 m/s²
    assert committed_before(scene(speed=6.5), GO, who) == {7}
    assert committed_before(scene(speed=12.0), GO, who) == {7, 8}
    assert committed_before(scene(speed=12.0), TO_FIRST, who) == {8}
    assert committed_before(scene(speed=0.0, s=19.9), GO, who) == frozenset()


def test_who_is_committed_goes_on_for_a_little_cost_and_gives_up_for_a_collision():
    committed = frozenset({7})
    changed = weighed(1, (5.0, 4.0, 6.0, 7.0))
    kept = latched(changed, committed)
    assert (kept.best, kept.latched) == (0, True)
    assert latched(changed, frozenset()).best == 1
    dangerous = weighed(1, (5.0, 4.0, 6.0, 7.0), (2.0 * SAFE_RISK, 0.0, 0.0, 0.0))
    assert latched(dangerous, committed).best == 1
    # before the second one it may still wait
    assert latched(weighed(1, (5.0, 4.0, 6.0, 7.0)), frozenset({8})).best == 1
    assert latched(weighed(3, (5.0, 4.5, 6.0, 4.0)), frozenset({8})).best == 1


def test_a_wave_is_a_promise_for_a_while():
    going = weighed(0, (1.0, 3.0, 4.0, 5.0))
    at = scene()
    assert promised(going, at, (7, at.tick - 5), [1, 2]).best == 1
    assert promised(going, at, (7, at.tick - round(PROMISE_S / TICK_S) - 1), [1, 2]).best == 0
    assert promised(going, at, (-1, -1), [1, 2]).best == 0
    # whoever was waved through has gone
    assert promised(going, at, (7, at.tick - 5), [2]).best == 0


def test_the_ego_waves_once_at_somebody_who_stands_and_does_not_use_its_turn():
    at = scene()
    since = at.tick - round(WAVES_AFTER_S / TICK_S)
    standoff = Standoff(since, 0, ((7, 0.0, 50.0), (8, 0.0, 50.0)))
    waved, waves = waving(at, TO_BOTH, standoff, (-1, -1), [1, 2])
    assert waves
    assert waved == (7, at.tick)
    assert waving(at, TO_BOTH, standoff, waved, [1, 2]) == (waved, True)
    # the hand comes down, and goes up for nobody twice in a row
    late = scene(tick=at.tick + round(PROMISE_S / TICK_S) + 1)
    assert waving(late, TO_FIRST, standoff, waved, [1]) == (waved, False)


def test_it_waves_at_nobody_whose_way_it_does_not_meet():
    at = scene()
    at.board.pairs["start"][0, 1] = -1
    standoff = Standoff(at.tick - round(WAVES_AFTER_S / TICK_S), 0, ((7, 0.0, 50.0),))
    assert waving(at, TO_FIRST, standoff, (-1, -1), [1]) == ((-1, -1), False)


@pytest.mark.parametrize(
    ("option", "order", "speed", "lasted"),
    [(GO, 1.0, 0.0, 5.0), (TO_FIRST, -1.0, 0.0, 5.0), (TO_FIRST, 1.0, 2.0, 5.0), (TO_FIRST, 1.0, 0.0, 0.5)],
)
def test_it_does_not_wave_when_it_goes_is_after_the_other_moves_or_has_hardly_stood(option, order, speed, lasted):
    at = scene(speed=speed, order=(order, order))
    standoff = Standoff(at.tick - round(lasted / TICK_S), 0, ((7, 0.0, 50.0),))
    assert not waving(at, option, standoff, (-1, -1), [1])[1]


def test_inching_forward_costs_more_the_nearer_somebody_on_foot_is():
    prices = [nearness_to_people(scene(walker=NOSE_TO_CENTRE + away)) for away in (20.0, PROBED_M, 6.0, 4.0, CREEP_AWAY, 1.0)]
    assert prices[:2] == [0.0, 0.0]
    assert 0.0 < prices[2] < prices[3] < 1.0
    assert prices[4:] == [1.0, 1.0]


def asked(
    *motions: np.ndarray,
    along: float = 0.0,
    hold: float | None = None,
    s: float = 10.0,
    blocks: tuple[float, float] = (1.0, 0.0),
    wait: float = NO_LINE,
    measured: float = 0.0,
    changes: bool = False,
    entered: int = -1,
    shares: tuple[float, ...] = (1.0,),
):
    """What a policy that goes is asked in futures of these shares, motions (T, 2, 3) of the ego and of 7 in each.

    blocks: stretch of the ego's way that 7 blocks all the time; measured: its speed; entered: when it came into the junction;
    changes: the ego changes lanes."""
    at = scene(speed=1.0, s=s)
    at.line, at.recipe = NO_LINE, SimpleNamespace(changes=changes)
    at.agents, at.actors = at.agents[:1], at.actors[:2]
    at.agents[0].thing["speed"], at.agents[0].visit = measured, Visit(entered=entered)
    at.actors["wait"], at.actors["moves"], at.actors["s"][1] = NO_LINE, 1, motions[0][0, 1, 0]
    at.actors["wait"][0] = wait
    pairs = at.board.pairs[:2, :2]
    pairs["enter"][0, 1], pairs["leave"][0, 1], pairs["along"][0, 1] = ZONES[0], 30.0, along
    pairs["other_enter"][0, 1], pairs["other_leave"][0, 1], pairs["rows"][1, 0] = 30.0, 40.0, 200
    rows = np.tile(blocks, (200, 1))
    at.board = SimpleNamespace(pairs=pairs, order=at.board.order, rows=rows)
    scenarios = SimpleNamespace(worlds=np.stack(len(shares) * [at.actors[:, 0]]), share=np.array(shares))
    one = SimpleNamespace(options=[GO], best=0, scenarios=scenarios)
    return asks_of(at, one, list(enumerate(motions)), hold)  # type: ignore[arg-type]


def motions(mine: float, theirs: float) -> np.ndarray:
    """(37, 2, 3) of the ego from 10 m and 7 from 5 m at constant speeds."""
    t = STEP_S * (np.arange(37) + 1.0)
    out = np.zeros((37, 2, 3))
    out[:, 0, 0], out[:, 1, 0] = 10.0 + mine * t, 5.0 + theirs * t
    return out


def test_motion_is_told_to_wait_for_whoever_goes_first_in_the_rollout_whatever_the_policy_says():
    ask, _ = asked(motions(1.0, 10.0))
    assert [s for _, s in ask.windows] == [pytest.approx(ZONES[0], abs=1.0)]
    # until it has left, and a little longer
    assert ask.windows[0][0] == pytest.approx(35.0 / 10.0 + SPARE_S, abs=0.3)
    assert asked(motions(10.0, 1.0))[0].windows == ()


@pytest.mark.parametrize(("changes", "spare"), [(False, SPARE_S), (True, CHANGE_SPARE_S)])
def test_whoever_changes_lanes_may_come_closer_behind_than_who_comes_into_one_in_a_junction(changes, spare):
    ask, _ = asked(motions(1.0, 10.0), along=1.0, changes=changes)
    # it is in the lane from 30 m on, a metre further it is ahead
    assert ask.windows[0][0] == pytest.approx(26.0 / 10.0 + spare, abs=0.3)


def test_an_ego_that_touches_somebody_comes_to_rest_at_one_place():
    ask, held = asked(motions(1.0, 0.0), blocks=(8.0, 40.0))
    assert held is not None
    assert ask.stops == (held,)
    assert 10.0 < held < 10.3
    again, kept = asked(motions(1.0, 0.0), blocks=(8.0, 40.0), hold=held, s=10.15)
    assert (again.stops, kept) == ((held,), held)


def test_from_its_line_the_ego_may_set_off_in_time_behind_who_is_in_the_way_and_stays_for_who_is_still_to_come():
    crosses, in_the_way = motions(0.0, 15.0), (ZONES[0], 30.0)
    assert [s for _, s in asked(crosses, wait=12.0, blocks=in_the_way)[0].windows] == [12.0]
    ask, held = asked(crosses, wait=10.0, blocks=in_the_way)
    assert [s for _, s in ask.windows] == [pytest.approx(ZONES[0], abs=1.0)]
    # 15 m/s are through before the ego can be there, so it may go now; for somebody slower it rests first
    assert held is None
    assert not ask.rest
    assert asked(motions(0.0, 5.0), wait=10.0, blocks=in_the_way)[0].rest
    assert [s for _, s in asked(crosses, wait=10.0)[0].windows] == [10.0]


def test_the_ego_sets_off_behind_who_crosses_once_that_one_would_not_stop_any_more():
    """7 comes to the ego's way in 25 m."""
    crosses = motions(0.0, 15.0)
    assert [s for _, s in asked(crosses, wait=10.0, measured=15.0, entered=5)[0].windows] == [pytest.approx(ZONES[0], abs=1.0)]
    # it might still stop, or has not even set off
    assert [s for _, s in asked(crosses, wait=10.0, measured=10.0, entered=5)[0].windows] == [10.0]
    assert [s for _, s in asked(crosses, wait=10.0, measured=15.0)[0].windows] == [10.0]


@pytest.mark.parametrize(("shares", "place"), [((0.4, 0.6), 20.0), ((0.6, 0.4), 10.0)])
def test_at_its_line_the_ego_waits_for_who_likely_goes_first_and_else_before_their_zone(shares, place):
    """7 goes first in the first of two futures, and stands in the other."""
    ask = asked(motions(1.0, 10.0), motions(1.0, 0.0), shares=shares, wait=10.0)[0]
    assert [s for _, s in ask.windows] == [pytest.approx(place, abs=1.0)]


@pytest.mark.parametrize(("measured", "comes_after"), [(-1.2, True), (-0.2, False), (1.2, False)])
def test_the_ego_comes_after_who_backs_out_of_a_narrow_place_for_it_and_stays_for_who_stands(measured, comes_after):
    ask, held = asked(motions(0.0, 0.0), along=-1.0, s=22.0, blocks=(27.0, 35.0), measured=measured)
    assert ask.stops == (pytest.approx(27.0, abs=1.0),)
    assert held is None
    assert ask.rest != comes_after
