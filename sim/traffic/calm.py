"""When a driver decides: often where others may ask for a quick answer, less often on an open road and behind a leader.

A plan is carried forward every tick (`sim.traffic.driver.act`), so that between decisions nothing is lost but what has changed in
sight. A leader who does otherwise than the plan expects ends the calm at once.
"""

from __future__ import annotations

import numpy as np

from sim.jit import kernel
from sim.roads.pack import Roads
from sim.state import HISTORY, WorldState
from sim.traffic.plan import ARRIVAL_ORDER

DECISION_TICKS = 2
CALM_TICKS = 6  # of who is calm
RESTING_TICKS = 12  # of who is calm and stands; all are multiples of DECISION_TICKS
EASY_BRAKING = 1.0  # m/s², who would have to brake harder for the junction ahead is near it,
JUNCTION_ROOM = 8.0  # m, or who has less than this left besides
LED_ROOM = 3.0  # m before the line
LED_SIGHT = 15.0  # m behind a leader's rear, as far as who is led looks
OTHERWISE = 0.4  # m/s² by which a leader speeds up or slows down otherwise than expected
ACTIVE = 1


@kernel
def is_led(mind: np.record, speed: float, line: float) -> bool:
    """Whether by the plan so far a leader has to pass the line first, and one can still stop there with ease once it has.

    line: front's way [m] to the stop line, -1 where there is none or others cross before it. Who crosses beyond it concerns the
    leader.
    """
    return bool(mind.lead >= 0 and mind.lead_gap < line and line > speed * speed / (2.0 * EASY_BRAKING) + LED_ROOM)


@kernel
def is_calm(roads: Roads, mind: np.record, speed: float, line: float, junction: float) -> bool:
    """Whether a new plan is unlikely to be overtaken soon: one lane, the junction far or a leader to pass its line first.

    line: front's way [m] to the stop line, -1 where there is none or others cross before it; junction: to lanes where others may
    cross.
    """
    lane = roads.lanes[mind.lane]
    settled = mind.reason <= ARRIVAL_ORDER and mind.goal_shift == 0.0 and mind.shift == 0.0 and mind.reverse_until <= 0.0
    if not settled or lane.left >= 0 or lane.right >= 0 or mind.change_to != 0:
        return False
    if mind.lead >= 0:
        closing = max(speed - mind.lead_speed, 0.0)
        if closing * closing > 2.0 * EASY_BRAKING * (mind.lead_gap - 1.0):
            return False
        if is_led(mind, speed, line):
            return True
    return bool(junction > speed * speed / (2.0 * EASY_BRAKING) + JUNCTION_ROOM)


@kernel
def is_due(state: WorldState, w: int, a: int) -> bool:
    """Whether it is this driver's turn to decide: every DECISION_TICKS; while it is calm, every CALM_TICKS or RESTING_TICKS."""
    mind = state.minds[w, a]
    tick = state.worlds[w].tick
    turn = tick + a
    if turn % DECISION_TICKS != 0:
        return bool(mind.plan_tick < 0)
    if mind.calm == 0 or mind.plan_tick < 0 or turn % (RESTING_TICKS if state.bodies[w, a].rests else CALM_TICKS) == 0:
        return True
    if mind.lead < 0:
        return False
    seen = state.history[w, (tick - min(int(mind.response_ticks), tick)) % HISTORY, mind.lead]
    return bool(seen.status != ACTIVE or abs(min(max(float(seen.accel), -6.0), 1.0) - mind.lead_accel) > OTHERWISE)
