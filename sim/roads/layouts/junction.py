"""A junction of straight arms: approach and exit lanes, turning lanes, lights, crosswalks and sidewalks.

Names: `<arm>_in_<k>` and `<arm>_out_<k>` are the lanes towards and away from the junction, k from 0 at the centre of the road;
`<from>_to_<to>` leads through it (`_1`, `_2` ... for further lanes of the same movement). `<arm>_walk_left_out`, `..._in` are the
sidewalk on the left as seen from the junction, away from and towards it; `<arm>_crosswalk_left`, `_right` cross the arm towards
that side; `<arm>_<next arm>_corner` and `..._corner_back` go round the corner counter-clockwise and back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.geometry import Floats, wrap_angle
from sim.roads.lane_map import LaneDraft, Regulation, Turn
from sim.roads.layouts.check import BuilderError
from sim.roads.layouts.curves import connect, line
from sim.roads.layouts.plan import (
    Arm,
    Draft,
    Junction,
    JunctionFrame,
    sorted_arms,
)
from sim.roads.layouts.signals import signal_plans
from sim.roads.layouts.walking import draw_walking

STRAIGHT_ON = math.radians(35.0)


@dataclass(frozen=True, slots=True)
class Movement:
    """One connecting lane: from lane `lane_in` of an arm to lane `lane_out` of another."""

    source: Arm
    target: Arm
    lane_in: int
    lane_out: int
    turn: Turn
    name: str


def _turn_between(source: Arm, target: Arm) -> Turn:
    change = wrap_angle(target.angle - source.angle - math.pi)
    if abs(change) < STRAIGHT_ON:
        return Turn.STRAIGHT
    return Turn.LEFT if change > 0.0 else Turn.RIGHT


def _lane_pairs(source: Arm, target: Arm, turn: Turn, exits: Mapping[Turn, Arm], left_hand: bool) -> list[tuple[int, int]]:
    """(lane in, lane out) of one movement: turns leave from the side they turn to, straight on from every lane that need not
    turn."""
    inner_turn, outer_turn = (Turn.RIGHT, Turn.LEFT) if left_hand else (Turn.LEFT, Turn.RIGHT)
    count_in, count_out = source.lanes_in, target.lanes_out
    if turn == inner_turn:
        pairs = [(0, 0)]
        if Turn.STRAIGHT not in exits:
            last = count_in if outer_turn not in exits else count_in - 1
            pairs += [(k, k) for k in range(1, last) if k < count_out]
        return pairs
    if turn == outer_turn:
        outer = [(count_in - 1, count_out - 1)]
        if Turn.STRAIGHT not in exits and inner_turn not in exits:
            outer += [(count_in - 1 - k, count_out - 1 - k) for k in range(1, count_in) if k < count_out]
        return outer
    first = 1 if count_in >= 3 and inner_turn in exits else 0
    lanes = list(range(first, count_in))[-count_out:]
    return [(k, count_out - len(lanes) + n) for n, k in enumerate(lanes)]


def movements(junction: Junction) -> list[Movement]:
    """Every connecting lane of a junction; each approach lane leads somewhere."""
    found: list[Movement] = []
    for source in junction.arms:
        if source.lanes_in == 0:
            continue
        targets = [arm for arm in junction.arms if arm.name != source.name and arm.lanes_out > 0]
        exits = {_turn_between(source, target): target for target in targets}
        used: set[int] = set()
        for target in targets:
            turn = _turn_between(source, target)
            for n, (lane_in, lane_out) in enumerate(_lane_pairs(source, target, turn, exits, junction.left_hand_traffic)):
                name = f"{source.name}_to_{target.name}" + (f"_{n}" if n else "")
                found.append(Movement(source, target, lane_in, lane_out, turn, name))
                used.add(lane_in)
        idle = [k for k in range(source.lanes_in) if k not in used]
        if idle:
            raise BuilderError(
                f"arm {source.name!r}: lane {idle[0]} of {source.lanes_in} leads nowhere; give the other arms more lanes"
            )
    return found


def _arm_lanes(frame: JunctionFrame, arm: Arm, ways: Sequence[Movement]) -> list[LaneDraft]:
    """Approach and exit lanes of one arm."""
    junction, pre = frame.junction, frame.junction.prefix
    near, far = frame.throat[arm.name], frame.throat[arm.name] + arm.length
    drafts = []
    outer, inner = ("left", "right") if junction.left_hand_traffic else ("right", "left")
    for inwards, lane_count, label in ((True, arm.lanes_in, "in"), (False, arm.lanes_out, "out")):
        opposite = f"{pre}{arm.name}_{'out' if inwards else 'in'}_0" if (arm.lanes_out if inwards else arm.lanes_in) else None
        for k in range(lane_count):
            offset = frame.lane_offset(arm, k, inwards)
            ends = (frame.at(arm, far, offset), frame.at(arm, near, offset))
            onward = (
                tuple(pre + way.name for way in ways if way.source.name == arm.name and way.lane_in == k)
                if inwards
                else arm.onward[k : k + 1]
            )
            beside = {
                outer: f"{pre}{arm.name}_{label}_{k + 1}" if k + 1 < lane_count else None,
                inner: f"{pre}{arm.name}_{label}_{k - 1}" if k > 0 else None,
            }
            drafts.append(
                LaneDraft(
                    name=f"{pre}{arm.name}_{label}_{k}",
                    centreline=line(*(ends if inwards else ends[::-1])),
                    half_width=0.5 * arm.lane_width,
                    speed_limit=junction.speed_limit,
                    successors=onward,
                    left=beside["left"],
                    right=beside["right"],
                    opposite=opposite,
                    regulation=arm.control if inwards else Regulation.NONE,
                    signal=pre + arm.name if inwards and arm.control == Regulation.SIGNAL else None,
                    road=pre + arm.name,
                    priority_road=arm.priority_road,
                )
            )
    return drafts


def _connecting_lane(frame: JunctionFrame, way: Movement) -> LaneDraft:
    junction, pre = frame.junction, frame.junction.prefix
    offset_in, offset_out = (
        frame.lane_offset(way.source, way.lane_in, inwards=True),
        frame.lane_offset(way.target, way.lane_out, inwards=False),
    )
    first, last = (
        frame.at(way.source, frame.throat[way.source.name], offset_in),
        frame.at(way.target, frame.throat[way.target.name], offset_out),
    )
    start = frame.at(way.source, frame.mouth[way.source.name], offset_in)
    end = frame.at(way.target, frame.mouth[way.target.name], offset_out)
    turning = connect(start, way.source.angle + math.pi, end, way.target.angle)
    centreline = np.vstack([line(first, start)[:-1], turning, line(end, last)[1:]]) if frame.junction.crosswalks else turning
    signal = None
    if way.source.control == Regulation.SIGNAL:
        across = way.turn == (Turn.RIGHT if junction.left_hand_traffic else Turn.LEFT)
        signal = pre + way.source.name + ("_left" if across and junction.protected_left else "")
    return LaneDraft(
        name=pre + way.name,
        centreline=centreline,
        half_width=0.5 * min(way.source.lane_width, way.target.lane_width),
        speed_limit=junction.speed_limit,
        successors=(f"{pre}{way.target.name}_out_{way.lane_out}",),
        junction=junction.name,
        regulation=way.source.control,
        signal=signal,
        road=junction.name,
        priority_road=way.source.priority_road,
    )


def _outline(frame: JunctionFrame) -> Floats:
    """Outline (K, 2) of the paved area, with rounded corners."""
    arms = sorted_arms(frame.junction)
    pieces = []
    for arm, following in zip(arms, arms[1:] + arms[:1], strict=True):
        start = frame.at(arm, frame.mouth[arm.name], _edge(frame, arm, 1.0))
        end = frame.at(following, frame.mouth[following.name], _edge(frame, following, -1.0))
        pieces.append(connect(start, arm.angle + math.pi, end, following.angle))
    return np.vstack(pieces)


def _edge(frame: JunctionFrame, arm: Arm, side: float) -> float:
    """Signed offset of the carriageway's edge on the left (+1) or right (-1) of the arm's outward direction."""
    lanes = arm.lanes_in if side * frame.side > 0.0 else arm.lanes_out
    return side * arm.lane_width * lanes


def draw_junction(junction: Junction) -> Draft:
    """All parts of a junction; BuilderError for arms that cannot make one."""
    frame = JunctionFrame(junction)
    ways = movements(junction)
    draft = Draft()
    for arm in junction.arms:
        draft.lanes.extend(_arm_lanes(frame, arm, ways))
    draft.lanes.extend(_connecting_lane(frame, way) for way in ways)
    draft.drivable.append(_outline(frame))
    if any(arm.control == Regulation.SIGNAL for arm in junction.arms):
        draft.signals.extend(signal_plans(junction))
    if junction.sidewalks or junction.crosswalks:
        draw_walking(frame, draft)
    return draft
