"""Sidewalks along the arms of a junction, round its corners, and the crosswalks between them. Lanes are one-way: two of each.

The pieces meet at one point per kerb (beside the crosswalk); each direction bulges to its own side in between.
"""

from __future__ import annotations

import math

import numpy as np

from sim.geometry import Floats, arc_length, interpolate, offset_polyline, polyline_heading
from sim.roads.lane_map import Crosswalk, LaneDraft, LaneKind, Regulation
from sim.roads.layouts.plan import (
    CROSSWALK_HALF_DEPTH,
    CROSSWALK_SETBACK,
    FLAT,
    WALK_HALF_WIDTH,
    WALK_KEEP_RIGHT,
    WALK_OFFSET,
    Arm,
    Draft,
    JunctionFrame,
    sorted_arms,
)

WALK_SPEED = 1.4  # m/s
TAPER = 1.5  # m, over which a direction moves to its own side
WALK_STEP = 0.5  # m


def walking_line(points: Floats, keep_right: float = WALK_KEEP_RIGHT) -> Floats:
    """A polyline shifted `keep_right` to its right, except at both ends, which stay."""
    s = arc_length(points)
    at = np.linspace(0.0, s[-1], max(3, int(math.ceil(s[-1] / WALK_STEP)) + 1))
    dense = interpolate(at, s, points)
    shift = -keep_right * np.clip(np.minimum(at, at[-1] - at) / TAPER, 0.0, 1.0)
    return offset_polyline(dense, polyline_heading(dense), shift)


def sidewalk_lane(name: str, points: Floats, road: str, onward: tuple[str, ...], kind: LaneKind = LaneKind.SIDEWALK) -> LaneDraft:
    """One direction of a sidewalk, crosswalk or path."""
    return LaneDraft(
        name=name,
        centreline=walking_line(points),
        half_width=WALK_HALF_WIDTH,
        kind=kind,
        speed_limit=WALK_SPEED,
        successors=onward,
        road=road,
    )


class _Kerbs:
    """Where people step off the kerb, and which lanes leave from there."""

    def __init__(self, frame: JunctionFrame) -> None:
        self.frame = frame
        self.arms = sorted_arms(frame.junction)

    def offset(self, arm: Arm, side: str) -> float:
        sign = 1.0 if side == "left" else -1.0
        lanes = arm.lanes_in if sign * self.frame.side > 0.0 else arm.lanes_out
        return sign * (arm.lane_width * lanes + WALK_OFFSET)

    def point(self, arm: Arm, side: str) -> Floats:
        return self.frame.at(arm, self.frame.mouth[arm.name] + CROSSWALK_SETBACK, self.offset(arm, side))

    def leaving(self, arm: Arm, side: str, arriving: str) -> tuple[str, ...]:
        """Names of lanes from this kerb, except back along the way one came (`arriving`: arm, cross or corner)."""
        pre, junction = self.frame.junction.prefix, self.frame.junction
        names = {"arm": f"{pre}{arm.name}_walk_{side}_out"}
        if junction.crosswalks:
            names["cross"] = f"{pre}{arm.name}_crosswalk_{'right' if side == 'left' else 'left'}"
        if len(self.arms) > 1:
            index = self.arms.index(arm)
            if side == "left":
                names["corner"] = f"{pre}{arm.name}_{self.arms[(index + 1) % len(self.arms)].name}_corner"
            else:
                names["corner"] = f"{pre}{self.arms[index - 1].name}_{arm.name}_corner_back"
        return tuple(name for way, name in names.items() if way != arriving)


def _corner(kerbs: _Kerbs, arm: Arm, following: Arm) -> Floats:
    """Polyline from the left kerb of an arm round the corner to the right kerb of the next."""
    start, end = kerbs.point(arm, "left"), kerbs.point(following, "right")
    between = (following.angle - arm.angle) % (2.0 * math.pi)
    if between > FLAT:
        return np.stack([start, end])
    a, b = kerbs.offset(arm, "left"), -kerbs.offset(following, "right")
    inner = kerbs.frame.at(arm, (b + a * math.cos(between)) / math.sin(between), a)
    return np.stack([start, inner, end])


def _draw_crosswalk(kerbs: _Kerbs, arm: Arm, draft: Draft) -> None:
    """Both directions across one arm and the painted outline."""
    junction, frame = kerbs.frame.junction, kerbs.frame
    base = f"{junction.prefix}{arm.name}_crosswalk"
    signalled = arm.control == Regulation.SIGNAL
    for side, other in (("left", "right"), ("right", "left")):
        draft.lanes.append(
            LaneDraft(
                name=f"{base}_{side}", centreline=walking_line(np.stack([kerbs.point(arm, other), kerbs.point(arm, side)])),
                half_width=0.5 * CROSSWALK_HALF_DEPTH, kind=LaneKind.CROSSWALK, speed_limit=WALK_SPEED,
                successors=kerbs.leaving(arm, side, "cross"), road=junction.prefix + arm.name,
                regulation=Regulation.SIGNAL if signalled else Regulation.NONE,
                signal=f"{junction.prefix}{arm.name}_walk" if signalled else None,
            )
        )  # fmt: skip
    middle = frame.mouth[arm.name] + CROSSWALK_SETBACK
    left, right = (kerbs.offset(arm, side) for side in ("left", "right"))
    left, right = left - WALK_OFFSET, right + WALK_OFFSET
    corners = ((-1, left), (1, left), (1, right), (-1, right))
    outline = np.stack([frame.at(arm, middle + sign * CROSSWALK_HALF_DEPTH, offset) for sign, offset in corners])
    draft.crosswalks.append(Crosswalk(outline=outline, lanes=(f"{base}_left", f"{base}_right")))


def draw_walking(frame: JunctionFrame, draft: Draft) -> None:
    """Add sidewalks, corners and (where the junction has them) crosswalks."""
    kerbs = _Kerbs(frame)
    junction = frame.junction
    for arm, following in zip(kerbs.arms, kerbs.arms[1:] + kerbs.arms[:1], strict=True):
        road = junction.prefix + arm.name
        for side in ("left", "right"):
            near = kerbs.point(arm, side)
            far = frame.at(arm, frame.throat[arm.name] + arm.length, kerbs.offset(arm, side))
            base = f"{road}_walk_{side}"
            onward = (arm.walk_onward[side],) if side in arm.walk_onward else ()
            draft.lanes.append(sidewalk_lane(f"{base}_out", np.stack([near, far]), road, onward))
            draft.lanes.append(sidewalk_lane(f"{base}_in", np.stack([far, near]), road, kerbs.leaving(arm, side, "arm")))
        if junction.crosswalks:
            _draw_crosswalk(kerbs, arm, draft)
        if len(kerbs.arms) > 1:
            around = _corner(kerbs, arm, following)
            name = f"{junction.prefix}{arm.name}_{following.name}_corner"
            draft.lanes.append(sidewalk_lane(name, around, junction.name, kerbs.leaving(following, "right", "corner")))
            draft.lanes.append(sidewalk_lane(f"{name}_back", around[::-1], junction.name, kerbs.leaving(arm, "left", "corner")))
