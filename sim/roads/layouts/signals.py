"""Fixed-time signal programmes of a drafted junction: arms that face each other share a stage, stages follow one another."""

from __future__ import annotations

import math

from sim.geometry import wrap_angle
from sim.interface import Colour
from sim.roads.lane_map import Regulation, SignalPlan
from sim.roads.layouts.plan import Arm, Junction

GREEN_S, LEFT_GREEN_S, YELLOW_S, ALL_RED_S = 20.0, 8.0, 3.0, 2.0
WALK_CLEARANCE_S = 8.0  # people need this long to finish crossing before the cars get green
FACING = math.radians(140.0)


def stages(junction: Junction) -> list[list[Arm]]:
    """Signalled arms grouped so that those of one group face each other."""
    grouped: list[list[Arm]] = []
    for arm in junction.arms:
        if arm.control != Regulation.SIGNAL:
            continue
        partner = next(
            (group for group in grouped if len(group) == 1 and abs(wrap_angle(group[0].angle - arm.angle)) > FACING), None
        )
        if partner is None:
            grouped.append([arm])
        else:
            partner.append(arm)
    return grouped


def _programme(start: float, green: float, cycle: float, yellow: float) -> tuple[tuple[float, Colour], ...]:
    """Red until `start`, green, yellow, red to the end of the cycle."""
    parts = [(start, Colour.RED), (green, Colour.GREEN), (yellow, Colour.YELLOW), (cycle - start - green - yellow, Colour.RED)]
    return tuple((duration, colour) for duration, colour in parts if duration > 1e-9)


def signal_plans(junction: Junction) -> list[SignalPlan]:
    """One group per arm, `<arm>_left` with protected turns across the oncoming traffic, `<arm>_walk` for its crosswalk.

    People cross an arm while another stage has green, up to the clearance time before that green ends.
    """
    groups = stages(junction)
    left = LEFT_GREEN_S + YELLOW_S + ALL_RED_S if junction.protected_left else 0.0
    main = GREEN_S + YELLOW_S + ALL_RED_S
    cycle = len(groups) * (left + main)
    plans: list[SignalPlan] = []
    for number, group in enumerate(groups):
        start = number * (left + main)
        walk_start = ((number + 1) % len(groups)) * (left + main) + left
        for arm in group:
            name = junction.prefix + arm.name
            plans.append(SignalPlan(name=name, phases=_programme(start + left, GREEN_S, cycle, YELLOW_S)))
            if junction.protected_left:
                plans.append(SignalPlan(name=name + "_left", phases=_programme(start, LEFT_GREEN_S, cycle, YELLOW_S)))
            if junction.crosswalks:
                green = GREEN_S - WALK_CLEARANCE_S if len(groups) > 1 else 0.0
                phases = _programme(walk_start, green, cycle, 0.0) if green else ((cycle, Colour.RED),)
                plans.append(SignalPlan(name=name + "_walk", phases=phases))
    return plans
