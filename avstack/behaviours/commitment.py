"""What binds the ego: before whom it goes for good, and whom it has waved through.

Hysteresis prices a change of mind; this forbids one. Going is latched from where the ego could not stop at its ease any more; a
wave is a promise to let somebody go first.
"""

from __future__ import annotations

from dataclasses import replace

from avstack.behaviours.deadlock import Standoff
from avstack.behaviours.decision import Manoeuvre
from avstack.behaviours.policies import Option, Weighed, arrival_order, they_are_first, zone_begins
from avstack.behaviours.response import MARGIN
from avstack.behaviours.scene import Scene
from sim.interface import TICK_S

EASE_BRAKE = 2.0  # m/s², with which one stops at one's ease
STILL = 0.3  # m/s
WAVES_AFTER_S, PROMISE_S = 1.5, 3.0  # s of standoff after which the ego waves, and for which it keeps what it has promised
SAFE_RISK = 0.05  # CVaR of severity that going may bring beyond that of another policy


def committed_before(scene: Scene, option: Option, who: list[int]) -> frozenset[int]:
    """Ids of the claimants before whom the ego goes and could not stop at its ease any more."""
    if scene.speed <= 0.0 or option.manoeuvre not in (Manoeuvre.GO, Manoeuvre.YIELD):
        return frozenset()
    rests = scene.s + scene.speed * TICK_S + scene.speed**2 / (2.0 * EASE_BRAKE)
    ahead = {scene.agents[i - 1].id for i in who if rests > zone_begins(scene, i) - MARGIN}
    return frozenset(ahead - option.yields)


def latched(weighed: Weighed, committed: frozenset[int]) -> Weighed:
    """The comparison among the options that go on before whom the ego has committed itself, unless that risks a collision which
    another option does not."""
    option = weighed.options[weighed.best]
    if not committed & option.yields and option.manoeuvre != Manoeuvre.CREEP:
        return weighed
    kept = [k for k, o in enumerate(weighed.options) if not committed & o.yields and o.manoeuvre != Manoeuvre.CREEP]
    if not committed or not kept:
        return weighed
    best = min(kept, key=lambda k: float(weighed.verdict.cost[k]))
    if weighed.verdict.risk[best] > weighed.verdict.risk[weighed.best] + SAFE_RISK:
        return weighed
    return replace(weighed, best=best, latched=True)


def promised(weighed: Weighed, scene: Scene, waved: tuple[int, int], who: list[int]) -> Weighed:
    """The comparison among the options that let go first whom the ego has just waved through: a wave is a promise."""
    known, since = waved
    option = weighed.options[weighed.best]
    claims = any(scene.agents[i - 1].id == known for i in who)
    if not claims or known in option.yields or (scene.tick - since) * TICK_S > PROMISE_S:
        return weighed
    kept = [k for k, o in enumerate(weighed.options) if known in o.yields]
    return replace(weighed, best=min(kept, key=lambda k: float(weighed.verdict.cost[k])), forced=False) if kept else weighed


def waving(
    scene: Scene, option: Option, standoff: Standoff, waved: tuple[int, int], who: list[int]
) -> tuple[tuple[int, int], bool]:
    """Whom the ego has waved through and since when, and whether its hand is up.

    It waves at somebody who stands and does not use what the ego leaves to it although the ego is not after it by the rules, once
    both have stood for WAVES_AFTER_S; never again at the same one, who has not understood.
    """
    known, since = waved
    stands = abs(scene.speed) < STILL and option.manoeuvre == Manoeuvre.YIELD
    if known in option.yields and stands and (scene.tick - since) * TICK_S <= PROMISE_S:
        return waved, True
    lasted = (scene.tick - standoff.since) * TICK_S if standoff.since >= 0 else 0.0
    if not stands or lasted < WAVES_AFTER_S:
        return waved, False
    standing = {name for name, _, _ in standoff.places}
    for i in arrival_order(scene, who):
        agent = scene.agents[i - 1]
        meets = scene.board.pairs[0, scene.actors[i, 0]["path"]]["start"] >= 0
        left_to_it = meets and agent.id in option.yields and agent.id in standing and not agent.walks
        if left_to_it and agent.id != known and not they_are_first(scene, i):
            return (agent.id, scene.tick), True
    return waved, False
