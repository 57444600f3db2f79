"""Who goes first where two lanes conflict: regulation first, then geometry. Directions of approach are headings at the lanes'
starts.

Priority to the right holds in right-hand and in left-hand traffic alike; what is mirrored is which turn crosses the oncoming
traffic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.geometry import wrap_angle
from sim.roads.lane_map import ConflictKind, LaneKind, Regulation, Turn

FIRST, BY_ARRIVAL, YIELDS = 1, 0, -1

ONCOMING = math.radians(135.0)  # beyond this the approaches face each other
SAME_WAY = math.radians(45.0)  # within this they come from the same side
CLEARLY_TURNING = math.radians(5.0)  # of two merging lanes the one that bends more by this yields


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What the rules look at of one lane. bend: total change of heading [rad]; ends: the lane leads nowhere (a taper)."""

    kind: LaneKind
    regulation: Regulation
    priority_road: bool
    turn: Turn
    heading: float
    bend: float
    ends: bool
    overrides: bool
    """This lane was told explicitly to yield to the other."""


def _rank(side: Side) -> int:
    """Rank among signs; the lower one goes first."""
    if side.regulation in (Regulation.NONE, Regulation.SIGNAL):
        return 0 if side.priority_road else 1
    return 2 if side.regulation == Regulation.YIELD else 3


def _crosses_oncoming(side: Side, left_hand: bool) -> bool:
    return side.turn in (Turn.U_TURN, Turn.RIGHT if left_hand else Turn.LEFT)


def _facing(side: Side, other: Side, left_hand: bool) -> int:
    """The turn across the oncoming traffic waits for it."""
    mine, theirs = _crosses_oncoming(side, left_hand), _crosses_oncoming(other, left_hand)
    return BY_ARRIVAL if mine == theirs else YIELDS if mine else FIRST


def _same_way(side: Side, other: Side, kind: ConflictKind) -> int:
    """Lanes from the same side: a taper yields, then the one that bends more."""
    if kind == ConflictKind.DIVERGE:
        return BY_ARRIVAL
    if side.ends != other.ends:
        return YIELDS if side.ends else FIRST
    if abs(side.bend - other.bend) < CLEARLY_TURNING:
        return BY_ARRIVAL
    return YIELDS if side.bend > other.bend else FIRST


def _signalled(side: Side, other: Side, kind: ConflictKind, left_hand: bool) -> int:
    """Lights separate crossing streams; what runs on the same green sorts itself out by turn."""
    angle = abs(wrap_angle(other.heading - side.heading))
    if angle > ONCOMING:
        return _facing(side, other, left_hand)
    return _same_way(side, other, kind) if angle < SAME_WAY else BY_ARRIVAL


def _unsigned(side: Side, other: Side, kind: ConflictKind, left_hand: bool, to_right: bool) -> int:
    """Equal signs, or none."""
    angle = wrap_angle(other.heading - side.heading)
    if abs(angle) > ONCOMING:
        return _facing(side, other, left_hand)
    if abs(angle) < SAME_WAY:
        return _same_way(side, other, kind)
    both_stop = side.regulation == other.regulation == Regulation.STOP  # neighbouring arms: who has stopped first, goes
    if both_stop or not to_right:
        return BY_ARRIVAL
    return YIELDS if angle > 0.0 else FIRST


def right_of_way(side: Side, other: Side, kind: ConflictKind, left_hand: bool, to_right: bool) -> int:
    """FIRST, BY_ARRIVAL or YIELDS for `side` against `other`; antisymmetric.

    left_hand: the region drives on the left; to_right: unsigned crossings give way to the right.
    """
    if side.overrides != other.overrides:
        return YIELDS if side.overrides else FIRST
    for walking, result in ((LaneKind.CROSSWALK, FIRST), (LaneKind.PATH, YIELDS)):
        if (side.kind == walking) != (other.kind == walking):
            return result if side.kind == walking else -result
    if kind == ConflictKind.OPPOSE:
        return BY_ARRIVAL
    if side.regulation == other.regulation == Regulation.ALL_WAY_STOP:
        return BY_ARRIVAL
    if side.regulation == other.regulation == Regulation.SIGNAL:
        return _signalled(side, other, kind, left_hand)
    if _rank(side) != _rank(other):
        return FIRST if _rank(side) < _rank(other) else YIELDS
    return _unsigned(side, other, kind, left_hand, to_right)
