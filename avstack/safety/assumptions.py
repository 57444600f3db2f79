"""What the safety envelope assumes of others and of the own car: the whole list, with an id each that interventions name.

SI units. The argument that rests on them is in docs/safety.md. A number here is a claim about the world: whoever changes one
changes what the envelope promises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from sim.interface import Floats


class Assumption(IntEnum):
    """Ids of the assumptions; traces carry them as numbers. NONE: nothing is assumed."""

    NONE = 0
    LEADER = 1
    """Whoever drives ahead brakes by leader_brake × friction at most."""
    ARRIVAL = 2
    """Who comes to a zone speeds up by accel_max at most, to speeding × the limit at most, or keeps the speed it has."""
    RESPONDS = 3
    """Who has no right of way brakes by response_brake after response_s for an ego that is on its way through."""
    RULES = 4
    """Who has to let the ego go first does so as long as rule_brake stops it before the zone."""
    PRIORITY = 5
    """Who has right of way eases off by priority_brake after response_s: enough where it is far."""
    WAITS = 6
    """Who stands before a zone does not start into it while the ego is inside or cannot stop before it any more."""
    FOLLOWS = 7
    """Who is behind keeps its own distance; who is merged in front of has seen it, and slows down to the ego's speed."""
    PERSON = 8
    """People walk on straight, at person_speed or their own speed, and get there by person_accel at most."""
    PERSON_WAITS = 9
    """People off the way who stand, or can stop before it by person_brake after response_s, and are on no crosswalk, stop."""
    HIDDEN = 10
    """Who cannot be seen yet comes no faster than speeding × the limit of its lane, and sees the ego when the ego sees it."""
    CREEP = 11
    """Who comes out of hiding makes up for an ego that creeps at creep_speed at most."""
    ONCOMING = 12
    """Who comes head-on along a narrow place brakes by oncoming_brake after response_s."""
    LANES = 13
    """Vehicles stay on lanes that they may be on, or go on as they move where there is none."""
    OWN = 14
    """Control acts after latency_s and braking is as declared; things are where they are measured, within sigmas × sigma."""
    STEPS_OUT = 15
    """Who steps out of hiding does so on foot, off the driven lanes or on a crosswalk, at `walking` at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """The numbers of `Assumption`: m, s, m/s, m/s².

    friction: share of the grip of a dry road, on which everybody's braking depends. box_margin: kept beside and around every
    thing; sigmas × standard error of position, sigma_most at most, comes on top. stop_margin: kept before a place where the ego
    would stop. late_brake: who could not stop before a zone even so has broken RESPONDS or RULES. standing: speed below which
    one stands. walking: of who steps out of hiding; walking_pace: nobody hidden slows the ego below it. hidden: there are bars
    for whom nobody can see (HIDDEN, CREEP). settle: ticks that plans must have been safe
    before the fallback lets go; settle_margin: m they must have to spare.
    """

    friction: float = 1.0
    leader_brake: float = 8.0
    accel_max: float = 2.0
    speeding: float = 1.1
    response_s: float = 1.0
    response_brake: float = 3.0
    rule_brake: float = 5.0
    priority_brake: float = 2.0
    oncoming_brake: float = 4.0
    late_brake: float = 7.0
    person_speed: float = 2.0
    person_accel: float = 1.5
    person_brake: float = 1.5
    walking: float = 1.4
    walking_pace: float = 2.5
    creep_speed: float = 1.0
    standing: float = 0.5
    latency_s: float = 0.2
    stop_margin: float = 0.5
    box_margin: float = 0.1
    sigmas: float = 2.0
    sigma_most: float = 0.2
    hidden: bool = False
    settle: int = 3
    settle_margin: float = 0.4

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"Assumptions.{item.name} must be a finite number of at least 0, got {value!r}")
        for name in ("friction", "leader_brake", "response_brake", "rule_brake", "priority_brake", "oncoming_brake", "late_brake",
                     "person_brake", "person_accel", "accel_max"):  # fmt: skip
            if getattr(self, name) == 0.0:
                raise ValueError(f"Assumptions.{name} must be positive, got 0")

    def numbers(self) -> Floats:
        """All of them as the kernels read them, in the order of the columns of `avstack.safety.predicate`."""
        return np.array(
            [
                self.accel_max, self.speeding, self.response_s, self.response_brake, self.rule_brake, self.priority_brake,
                self.person_speed, self.person_accel, self.person_brake, self.creep_speed, self.standing,
                self.late_brake,
            ]
        )  # fmt: skip
