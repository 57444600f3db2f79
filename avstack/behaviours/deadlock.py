"""Ending a standoff: everybody waits for somebody else, and the zone is free.

People dwell 2 to 6 s before that counts. Then the rules decide where they can; where they are cyclic, each claimant draws a
slot in a window of twice as many slots as there are claimants, privately and again for every standoff, so that two copies of
the same driver part sooner or later. The draw is a function of the seed and the tick at which the standoff began.
"""

from __future__ import annotations

from dataclasses import dataclass

from avstack.behaviours.scene import Scene
from sim.interface import TICK_S
from sim.rng import Purpose, draw_bits

DWELL_S = 3.0
SLOT_S = 1.2
SLOW = 0.4  # m/s


@dataclass(frozen=True, slots=True)
class Standoff:
    """since: tick at which nobody moved any more, -1 for no standoff. tries: standoffs that were broken in vain before."""

    since: int = -1
    tries: int = 0


def watch(standoff: Standoff, scene: Scene, who: list[int]) -> Standoff:
    """The standoff after this tick: it lasts while the ego and all claimants stand and nothing blocks the ego's way."""
    still = abs(scene.speed) < SLOW and bool(who) and all(abs(float(scene.agents[i - 1].thing["speed"])) < SLOW for i in who)
    if not still or _held_by_light(scene):
        return Standoff(-1, standoff.tries if who else 0)
    return Standoff(scene.tick, standoff.tries) if standoff.since < 0 else standoff


def _held_by_light(scene: Scene) -> bool:
    return scene.line < 1e8


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
