"""How close ego comes to touching somebody: a number that falls long before they do, for whoever steers towards rare events.

It is the least distance that ego's box and anybody else's will have within HORIZON_S if both keep their velocity, plus RECEDES
for every second until then: 0 when they touch, a metre or two in close calls, FAR_M where nobody is near.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.geometry import box_gap
from sim.jit import kernel
from sim.state import EventKind, Status
from sim.world import World

HORIZON_S = 3.0
STEP_S = 0.1
RECEDES = 1.0  # m/s
FAR_M = 30.0


def margin(world: World, ego: int) -> float:
    """Of ego in world 0 at this tick [m], 0 to FAR_M; 0 for ever after it touched somebody."""
    if world.state.worlds["event_count"][0]:
        events = world.events(0)
        if np.any((events["kind"] == EventKind.COLLISION) & ((events["a"] == ego) | (events["b"] == ego))):
            return 0.0
    bodies = world.state.bodies[0]
    here = np.flatnonzero(bodies["status"] == Status.ACTIVE)
    if ego not in here:
        return FAR_M
    others = here[here != ego]
    rows = np.empty((1 + len(others), 7))
    for column, name in enumerate(("x", "y", "heading", "speed", "length", "width")):
        rows[:, column] = bodies[name][[ego, *others]]
    return float(_least(rows))


@kernel
def _least(rows: NDArray[np.float64]) -> float:
    """rows (N, 7): x, y, heading, speed, length, width; the first is ego."""
    least = FAR_M
    cos, sin = np.cos(rows[0, 2]), np.sin(rows[0, 2])
    for k in range(1, len(rows)):
        other_cos, other_sin = np.cos(rows[k, 2]), np.sin(rows[k, 2])
        dx, dy = rows[k, 0] - rows[0, 0], rows[k, 1] - rows[0, 1]
        vx = rows[k, 3] * other_cos - rows[0, 3] * cos
        vy = rows[k, 3] * other_sin - rows[0, 3] * sin
        for step in range(int(HORIZON_S / STEP_S) + 1):
            after = STEP_S * step
            if RECEDES * after >= least:
                break
            gap = box_gap(
                0.0, 0.0, cos, sin, 0.5 * rows[0, 4], 0.5 * rows[0, 5],
                dx + vx * after, dy + vy * after, other_cos, other_sin, 0.5 * rows[k, 4], 0.5 * rows[k, 5],
            )  # fmt: skip
            least = min(least, max(gap, 0.0) + RECEDES * after)
    return least
