"""Fixed-time signal programmes: the colour of a signal group at a tick, for traffic, sensors and recordings alike."""

from __future__ import annotations

from sim.interface import TICK_S, Colour
from sim.jit import kernel
from sim.roads.pack import Roads

_OFF = int(Colour.OFF)
_ROUNDING_S = 1e-4  # durations are float32: a phase that ends at a tick has ended there


@kernel
def signal_colour(roads: Roads, signal: int, tick: int) -> int:
    """Colour of the signal group with this index in `roads.signals` at `tick`; OFF for -1 and for an empty programme.

    The phases follow each other from `offset_s` on and repeat with the cycle, before the offset too.
    """
    if signal < 0:
        return _OFF
    group = roads.signals[signal]
    cycle = float(group.cycle_s)
    if group.phase_count == 0 or cycle <= 0.0:
        return _OFF
    left = (tick * TICK_S - group.offset_s + _ROUNDING_S) % cycle
    for index in range(group.phase_start, group.phase_start + group.phase_count):
        left -= roads.phases[index].duration_s
        if left < 0.0:
            return int(roads.phases[index].colour)
    return int(roads.phases[group.phase_start].colour)
