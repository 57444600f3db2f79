"""Ending a standoff: everybody waits for somebody else, and the zone is free.

People dwell 2 to 6 s before that counts. Then the rules decide where they can; where they are cyclic, each claimant draws a
slot in a window of twice as many slots as there are claimants, privately and again for every standoff, so that two copies of
the same driver part sooner or later. The draw is a function of the seed and the tick at which the standoff began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from avstack.behaviours.response import NO_LINE
from avstack.behaviours.scene import Scene
from sim.interface import TICK_S
from sim.rng import Purpose, draw_bits

DWELL_S = 3.0
SLOT_S = 1.2
SLOW, SURELY = 0.4, 1.2  # m/s, below which one may stand, and above which one certainly does not
STAYED_M = 0.9  # m from where one stood up to which one still stands there


@dataclass(frozen=True, slots=True)
class Standoff:
    """since: tick at which nobody moved any more, -1 for no standoff. tries: standoffs that were broken in vain before. places:
    who stands in it (id, x, y), and the ego's place on its path."""

    since: int = -1
    tries: int = 0
    places: tuple[tuple[int, float, float], ...] = ()
    s: float = 0.0


def watch(standoff: Standoff, scene: Scene, who: list[int]) -> Standoff:
    """The standoff after this tick: it lasts while the ego and all claimants stand and nothing blocks the ego's way.

    Who stands is told from places, for measured speeds of who stands are not zero. Who still comes, and is after the ego by the
    rules, does not end it.
    """
    known = {name: (x, y) for name, x, y in standoff.places}
    standing, moves = [], False
    for i in who:
        agent = scene.agents[i - 1]
        x, y, speed = float(agent.thing["x"]), float(agent.thing["y"]), abs(float(agent.thing["speed"]))
        at = known.get(agent.id)
        if speed < SLOW or (at is not None and speed < SURELY and math.hypot(x - at[0], y - at[1]) < STAYED_M):
            standing.append((agent.id, *(at or (x, y))))
        elif not _is_after(scene, i):
            moves = True
    stays = abs(scene.speed) < SLOW and (standoff.since < 0 or abs(scene.s - standoff.s) < STAYED_M)
    if moves or not stays or not standing or scene.line < NO_LINE:
        return Standoff(-1, standoff.tries if who else 0)
    if standoff.since < 0:
        return Standoff(scene.tick, standoff.tries, tuple(standing), scene.s)
    return replace(standoff, places=tuple(standing))


def _is_after(scene: Scene, i: int) -> bool:
    """Whether the rules put actor i after the ego, and it has not come to their zone yet."""
    actor = scene.actors[i, 0]
    pair = scene.board.pairs[0, actor["path"]]
    if pair["start"] < 0 or actor["s"] > pair["other_enter"]:
        return False
    return bool(pair["rule"] == 1 or (pair["rule"] == 0 and scene.board.order[0, i] > 0.5))


def takes_turn(standoff: Standoff, scene: Scene, who: list[int], first: bool, seed: int) -> bool:
    """Whether the ego ends the standoff now. first: the rules let it go before every claimant."""
    if standoff.since < 0:
        return False
    lasted = (scene.tick - standoff.since) * TICK_S - DWELL_S
    if lasted < 0.0 or first:
        return lasted >= 0.0
    slots = 2 * (len(who) + 1) * (1 + min(standoff.tries, 3))
    slot = 1 + int(draw_bits(seed, 0, standoff.since, 0, int(Purpose.DRIVER), standoff.tries)) % slots
    return lasted >= slot * SLOT_S
