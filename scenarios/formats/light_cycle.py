"""Programmes for traffic lights of maps that name lights and no times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.interface import Colour
from sim.roads.lane_map import SignalPlan

YELLOW_S, ALL_RED_S = 3.0, 2.0
CYCLE_GREEN_S = 40.0  # s of green shared out in one cycle
GREEN_MIN_S = 10.0
MID_BLOCK_PHASES = ((30.0, Colour.GREEN), (YELLOW_S, Colour.YELLOW), (15.0, Colour.RED))
PARALLEL = np.radians(35.0)  # approaches whose headings differ by less, or by that from opposite, share a green


def by_axis(headings: Sequence[float]) -> list[list[int]]:
    """Positions of approaches grouped by the axis along which they come: opposing ones together."""
    axes: list[tuple[float, list[int]]] = []
    for number, heading in enumerate(headings):
        for axis, group in axes:
            # Doubling the angle makes opposite headings equal.
            if abs(np.angle(np.exp(2j * (heading - axis)))) < 2.0 * PARALLEL:
                group.append(number)
                break
        else:
            axes.append((heading, [number]))
    return [group for _, group in axes]


def cycle(junction: str, names: Sequence[str]) -> list[SignalPlan]:
    """One programme a group: greens one after the other, each with yellow and all-red; alone, a fixed green with a pause."""
    if len(names) == 1:
        return [SignalPlan(name=f"{junction}/{names[0]}", phases=MID_BLOCK_PHASES)]
    green = max(GREEN_MIN_S, float(round(CYCLE_GREEN_S / len(names))))
    slot = green + YELLOW_S + ALL_RED_S
    plans = []
    for position, name in enumerate(names):
        before, after = position * slot, (len(names) - 1 - position) * slot + ALL_RED_S
        phases = [(green, Colour.GREEN), (YELLOW_S, Colour.YELLOW), (after, Colour.RED)]
        if before > 0.0:
            phases.insert(0, (before, Colour.RED))
        plans.append(SignalPlan(name=f"{junction}/{name}", phases=tuple(phases)))
    return plans
