"""Three- and four-way junctions with any control per arm. See `sim.roads.layouts.junction` for the names of their lanes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sim.roads.lane_map import MapDraft, Regulation
from sim.roads.layouts import check
from sim.roads.layouts.junction import draw_junction
from sim.roads.layouts.plan import Arm, Junction

FOUR_WAY_ANGLES: Mapping[str, float] = {"east": 0.0, "north": 90.0, "west": 180.0, "south": 270.0}
T_ANGLES: Mapping[str, float] = {"east": 0.0, "west": 180.0, "south": 270.0}
LARGEST_BEND = 40.0  # degrees that an arm may be turned away from its compass direction


def _crossroads(  # noqa: PLR0913  the parameters of two builders, passed on
    name: str,
    angles: Mapping[str, float],
    control: check.Control,
    lanes: int | Mapping[str, int],
    lane_width: float,
    arm_length: float | Mapping[str, float],
    arm_angles: Mapping[str, float],
    corner_radius: float,
    speed_limit: float,
    crosswalks: bool,
    sidewalks: bool,
    left_hand_traffic: bool,
    protected_left: bool,
    priority_to_right: bool,
) -> MapDraft:
    """One junction at the origin; parameters as in `four_way`."""
    arms = tuple(angles)
    regulation = check.controls(control, arms)
    lane_count = {
        arm: check.count(f"lanes of {arm}", value, 1, 3) for arm, value in check.per_arm("lanes", lanes, arms, 1).items()
    }
    length = {
        arm: check.number(f"arm_length of {arm}", value, 15.0, 1000.0)
        for arm, value in check.per_arm("arm_length", arm_length, arms, 80.0).items()
    }
    turned = check.per_arm("arm_angles", arm_angles, arms, 0.0)
    for arm, bend in turned.items():
        check.number(f"arm_angles of {arm}", bend, -LARGEST_BEND, LARGEST_BEND)
    check.number("lane_width", lane_width, 2.5, 5.0)
    check.number("corner_radius", corner_radius, 2.0, 30.0)
    check.number("speed_limit", speed_limit, 2.0, 40.0)
    for flag, value in (
        ("crosswalks", crosswalks),
        ("sidewalks", sidewalks),
        ("left_hand_traffic", left_hand_traffic),
        ("protected_left", protected_left),
    ):
        check.flag(flag, value)
    signs = (Regulation.STOP, Regulation.YIELD)
    minor = any(value in signs for value in regulation.values())
    drawn = Junction(
        name=name,
        arms=tuple(
            Arm(
                name=arm,
                angle=math.radians(angles[arm] + turned[arm]),
                length=length[arm],
                lanes_in=lane_count[arm],
                lanes_out=lane_count[arm],
                lane_width=lane_width,
                control=regulation[arm],
                priority_road=minor and regulation[arm] == Regulation.NONE,
            )
            for arm in arms
        ),
        corner_radius=corner_radius,
        speed_limit=speed_limit,
        left_hand_traffic=left_hand_traffic,
        crosswalks=crosswalks,
        sidewalks=sidewalks or crosswalks,
        protected_left=protected_left,
    )
    draft = draw_junction(drawn)
    return MapDraft(
        name=name,
        lanes=draft.lanes,
        signals=draft.signals,
        crosswalks=draft.crosswalks,
        left_hand_traffic=left_hand_traffic,
        priority_to_right=check.flag("priority_to_right", priority_to_right),
        extra_drivable=draft.drivable,
    )


def four_way(
    *,
    control: check.Control = "all_way",
    lanes: int | Mapping[str, int] = 1,
    lane_width: float = 3.5,
    arm_length: float | Mapping[str, float] = 80.0,
    arm_angles: Mapping[str, float] | None = None,
    corner_radius: float = 6.0,
    speed_limit: float = 13.9,
    crosswalks: bool = False,
    sidewalks: bool = False,
    left_hand_traffic: bool = False,
    protected_left: bool = False,
    priority_to_right: bool = True,
) -> MapDraft:
    """Arms east, north, west, south.

    control: none, stop, all_way, yield or signal, for all arms or by arm; lanes: 1 to 3 per direction, for all or by arm; lengths
    in m, speed_limit in m/s; arm_angles: degrees counter-clockwise by which an arm is turned away from its compass direction.
    Raises BuilderError naming the parameter and its value.
    """
    return _crossroads(
        "four_way",
        FOUR_WAY_ANGLES,
        control,
        lanes,
        lane_width,
        arm_length,
        arm_angles or {},
        corner_radius,
        speed_limit,
        crosswalks,
        sidewalks,
        left_hand_traffic,
        protected_left,
        priority_to_right,
    )


def t_junction(
    *,
    control: check.Control | None = None,
    lanes: int | Mapping[str, int] = 1,
    lane_width: float = 3.5,
    arm_length: float | Mapping[str, float] = 80.0,
    arm_angles: Mapping[str, float] | None = None,
    corner_radius: float = 6.0,
    speed_limit: float = 13.9,
    crosswalks: bool = False,
    sidewalks: bool = False,
    left_hand_traffic: bool = False,
    protected_left: bool = False,
    priority_to_right: bool = True,
) -> MapDraft:
    """Arms east and west, and south as the stem, which yields unless `control` says otherwise; parameters as in `four_way`."""
    return _crossroads(
        "t_junction",
        T_ANGLES,
        {"south": "yield"} if control is None else control,
        lanes,
        lane_width,
        arm_length,
        arm_angles or {},
        corner_radius,
        speed_limit,
        crosswalks,
        sidewalks,
        left_hand_traffic,
        protected_left,
        priority_to_right,
    )
