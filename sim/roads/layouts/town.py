"""A town on a grid: junctions with mixed controls, sidewalks, crosswalks and buildings.

The junction in column i (from the west) and row j (from the south) is `j<i><j>`; its lanes are named as in
`sim.roads.layouts.junction` with that name in front: `j00_east_in_0`, `j10_west_to_north`, `j11_south_crosswalk_left`. Streets
leave the town over its outer arms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sim.geometry import Floats
from sim.roads.lane_map import MapDraft, Regulation
from sim.roads.layouts import check
from sim.roads.layouts.junction import draw_junction
from sim.roads.layouts.plan import Arm, Draft, Junction, JunctionFrame

DIRECTIONS: Mapping[str, tuple[int, int]] = {"east": (1, 0), "north": (0, 1), "west": (-1, 0), "south": (0, -1)}
FACING: Mapping[str, str] = {"east": "west", "north": "south", "west": "east", "south": "north"}
SETBACK = 5.0  # m, from the carriageway to the buildings
MINOR_ARMS = ("north", "south")


def _arms(
    i: int, j: int, columns: int, rows: int, lanes: int, control: str, reach: Mapping[str, float], lane_width: float
) -> tuple[Arm, ...]:
    """Arms of one junction; those towards another junction meet its arm halfway."""
    arms = []
    for number, (name, (dx, dy)) in enumerate(DIRECTIONS.items()):
        other = f"j{i + dx}{j + dy}_{FACING[name]}"
        inside = 0 <= i + dx < columns and 0 <= j + dy < rows
        minor = control in ("stop", "yield")
        regulation = check.CONTROLS[control] if not minor or name in MINOR_ARMS else Regulation.NONE
        arms.append(
            Arm(
                name=name,
                angle=0.5 * math.pi * number,
                length=reach["inside" if inside else "outside"],
                lanes_in=lanes,
                lanes_out=lanes,
                lane_width=lane_width,
                control=regulation,
                priority_road=minor and name not in MINOR_ARMS,
                onward=tuple(f"{other}_in_{k}" for k in range(lanes)) if inside else (),
                walk_onward={"left": f"{other}_walk_right_in", "right": f"{other}_walk_left_in"} if inside else {},
            )
        )
    return tuple(arms)


def _buildings(columns: int, rows: int, block: float, edge: float) -> list[Floats]:
    """One outline inside each block."""
    low, high = edge + SETBACK, block - edge - SETBACK
    if high - low < 5.0:
        return []
    square = np.array([[low, low], [high, low], [high, high], [low, high]])
    return [square + block * np.array([i, j]) for i in range(columns - 1) for j in range(rows - 1)]


def _throat(lanes: int, lane_width: float, corner_radius: float, crosswalks: bool) -> float:
    """Distance [m] from a junction's centre to where its approach lanes end."""
    arms = tuple(
        Arm(name=name, angle=0.5 * math.pi * n, length=1.0, lanes_in=lanes, lanes_out=lanes, lane_width=lane_width)
        for n, name in enumerate(DIRECTIONS)
    )
    frame = JunctionFrame(Junction(name="", arms=arms, corner_radius=corner_radius, crosswalks=crosswalks))
    return frame.throat["east"]


def grid_town(  # noqa: PLR0913  a builder's parameters are its interface
    *,
    columns: int = 3,
    rows: int = 3,
    block: float = 100.0,
    lanes: int = 1,
    lane_width: float = 3.5,
    corner_radius: float = 6.0,
    speed_limit: float = 13.9,
    controls: Sequence[str] = ("signal", "all_way", "stop", "yield"),
    crosswalks: bool = True,
    buildings: bool = True,
    outer_length: float = 50.0,
    left_hand_traffic: bool = False,
    priority_to_right: bool = True,
) -> MapDraft:
    """columns x rows junctions (1 to 8 each), `block` [m] apart; `controls` are dealt out in turn along the diagonals.

    Stop and yield stand on the streets from north and south there. BuilderError naming the parameter and its value.
    """
    check.count("columns", columns, 1, 8)
    check.count("rows", rows, 1, 8)
    check.count("lanes", lanes, 1, 3)
    check.number("lane_width", lane_width, 2.5, 5.0)
    check.number("corner_radius", corner_radius, 2.0, 30.0)
    check.number("speed_limit", speed_limit, 2.0, 30.0)
    check.number("outer_length", outer_length, 15.0, 1000.0)
    if isinstance(controls, str) or not controls:
        raise check.BuilderError(f"controls must be a list of at least one control, got {controls!r}")
    for control in controls:
        check.choice("controls", control, tuple(check.CONTROLS))
    throat = _throat(lanes, lane_width, corner_radius, check.flag("crosswalks", crosswalks))
    check.number("block", block, math.ceil(2.0 * throat + 20.0), 1000.0)
    reach = {"inside": 0.5 * block - throat, "outside": outer_length}
    town = Draft()
    for i in range(columns):
        for j in range(rows):
            control = controls[(i + j) % len(controls)]
            junction = Junction(
                name=f"j{i}{j}",
                prefix=f"j{i}{j}_",
                arms=_arms(i, j, columns, rows, lanes, control, reach, lane_width),
                centre=(i * block, j * block),
                corner_radius=corner_radius,
                speed_limit=speed_limit,
                left_hand_traffic=left_hand_traffic,
                crosswalks=crosswalks,
                sidewalks=crosswalks,
            )
            part = draw_junction(junction)
            town.lanes.extend(part.lanes)
            town.signals.extend(part.signals)
            town.crosswalks.extend(part.crosswalks)
            town.drivable.extend(part.drivable)
    return MapDraft(
        name="grid_town",
        lanes=town.lanes,
        signals=town.signals,
        crosswalks=town.crosswalks,
        left_hand_traffic=check.flag("left_hand_traffic", left_hand_traffic),
        priority_to_right=check.flag("priority_to_right", priority_to_right),
        extra_drivable=town.drivable,
        scenery=_buildings(columns, rows, block, lanes * lane_width) if check.flag("buildings", buildings) else [],
    )
