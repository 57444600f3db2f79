"""A single-lane roundabout. Traffic on the ring goes first.

Names: `<arm>_in_0`, `<arm>_out_0` are the arms; `<arm>_entry` and `<arm>_exit` join them to the ring; `ring_<arm>` is the ring
past an arm (from its exit to its entry) and `ring_<arm>_<next arm>` the ring between two arms. Arms are `arm0`, `arm1`, ...
counter-clockwise from east, or east, north, west, south where there are four.
"""

from __future__ import annotations

import math

import numpy as np

from sim.geometry import Floats
from sim.roads.lane_map import LaneDraft, MapDraft, Regulation
from sim.roads.layouts import check
from sim.roads.layouts.curves import arc, connect, direction, left_of, line
from sim.roads.layouts.street import mirrored

ENTRY_ANGLE = math.radians(35.0)  # between an arm's axis and where its entry joins the ring
ENTRY_TANGENT = 8.0  # m, longest tangent of an entry or exit curve
SHORTEST_TANGENT = 2.5


class _Ring:
    """Geometry shared by the arms."""

    def __init__(self, arms: int, radius: float, ring_width: float, lane_width: float, arm_length: float) -> None:
        self.names = ("east", "north", "west", "south") if arms == 4 else tuple(f"arm{n}" for n in range(arms))
        self.angles = tuple(2.0 * math.pi * n / arms for n in range(arms))
        self.radius, self.ring_width, self.lane_width, self.arm_length = radius, ring_width, lane_width, arm_length
        self.aside = min(ENTRY_ANGLE, 0.75 * math.pi / arms)
        tangent = (radius * math.sin(self.aside) - 0.5 * lane_width) / math.cos(self.aside)
        if tangent < SHORTEST_TANGENT:
            raise check.BuilderError(
                f"radius {radius:g} m is too small for {arms} arms with lanes of {lane_width:g} m; make it larger"
            )
        self.mouth = radius * math.cos(self.aside) + tangent * math.sin(self.aside) + min(tangent, ENTRY_TANGENT)

    def on_ring(self, angle: float) -> Floats:
        return self.radius * direction(angle)

    def on_arm(self, angle: float, distance: float, left: float) -> Floats:
        return distance * direction(angle) + left * left_of(angle)


def _arm(ring: _Ring, n: int, speed_limit: float, control: Regulation) -> list[LaneDraft]:
    """The six lanes of one arm."""
    name, angle = ring.names[n], ring.angles[n]
    following = ring.names[(n + 1) % len(ring.names)]
    step = 2.0 * math.pi / len(ring.names)
    half, far = 0.5 * ring.lane_width, ring.mouth + ring.arm_length
    entry, leaving = angle + ring.aside, angle - ring.aside
    entry_curve = connect(ring.on_arm(angle, ring.mouth, half), angle + math.pi, ring.on_ring(entry), entry + 0.5 * math.pi)
    exit_curve = connect(ring.on_ring(leaving), leaving + 0.5 * math.pi, ring.on_arm(angle, ring.mouth, -half), angle)
    link = f"ring_{name}_{following}"
    junction = f"roundabout_{name}"
    inbound = line(ring.on_arm(angle, far, half), ring.on_arm(angle, ring.mouth, half))
    outbound = line(ring.on_arm(angle, ring.mouth, -half), ring.on_arm(angle, far, -half))
    past = arc(np.zeros(2), ring.radius, leaving, entry)
    onward = arc(np.zeros(2), ring.radius, entry, angle + step - ring.aside)
    wide = 0.5 * ring.ring_width
    return [
        LaneDraft(
            name=f"{name}_in_0",
            centreline=inbound,
            half_width=half,
            successors=(f"{name}_entry",),
            opposite=f"{name}_out_0",
            regulation=control,
            road=name,
            speed_limit=speed_limit,
        ),
        LaneDraft(
            name=f"{name}_out_0",
            centreline=outbound,
            half_width=half,
            opposite=f"{name}_in_0",
            road=name,
            speed_limit=speed_limit,
        ),
        LaneDraft(
            name=f"{name}_entry",
            centreline=entry_curve,
            half_width=np.linspace(half, wide, len(entry_curve)),
            successors=(link,),
            junction=junction,
            regulation=control,
            road=name,
            speed_limit=speed_limit,
        ),
        LaneDraft(
            name=f"{name}_exit",
            centreline=exit_curve,
            half_width=np.linspace(wide, half, len(exit_curve)),
            successors=(f"{name}_out_0",),
            junction=junction,
            road=name,
            speed_limit=speed_limit,
        ),
        LaneDraft(
            name=f"ring_{name}",
            centreline=past,
            half_width=wide,
            successors=(link,),
            junction=junction,
            road="ring",
            priority_road=True,
            speed_limit=speed_limit,
        ),
        LaneDraft(
            name=link,
            centreline=onward,
            half_width=wide,
            successors=(f"ring_{following}", f"{following}_exit"),
            road="ring",
            priority_road=True,
            speed_limit=speed_limit,
        ),
    ]


def roundabout(
    *,
    arms: int = 4,
    radius: float = 16.0,
    lanes: int = 1,
    lane_width: float = 3.5,
    ring_width: float = 5.0,
    arm_length: float = 80.0,
    speed_limit: float = 13.9,
    control: str = "yield",
    left_hand_traffic: bool = False,
) -> MapDraft:
    """3 to 6 arms on a ring of `radius` [m] to the middle of its single lane; entries yield, or stop. BuilderError for bad
    values."""
    check.count("arms", arms, 3, 6)
    check.number("radius", radius, 8.0, 60.0)
    check.count("lanes", lanes, 1, 1)
    check.number("lane_width", lane_width, 2.5, 5.0)
    check.number("ring_width", ring_width, 3.0, 8.0)
    check.number("arm_length", arm_length, 15.0, 1000.0)
    check.number("speed_limit", speed_limit, 2.0, 30.0)
    regulation = check.CONTROLS[check.choice("control", control, ("yield", "stop"))]
    ring = _Ring(arms, radius, ring_width, lane_width, arm_length)
    if left_hand_traffic and arms == 4:
        ring.names = ("east", "south", "west", "north")  # mirrored below, so that north stays north
    drafts = [lane for n in range(arms) for lane in _arm(ring, n, speed_limit, regulation)]
    whole = MapDraft(name="roundabout", lanes=drafts)
    return mirrored(whole) if check.flag("left_hand_traffic", left_hand_traffic) else whole
