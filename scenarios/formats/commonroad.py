"""CommonRoad files (XML, versions 2018b and 2020a): `read_commonroad` gives all that is in one, `draft_map` its lanelets as a map
to drive on.

Lanes keep the ids of their lanelets. A lane's road, by which scenarios call an arm, is the least id among the lanelets abreast.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from scenarios.formats.abreast import keeps_left, roads_of
from scenarios.formats.commonroad_control import Control, control_of
from scenarios.formats.commonroad_junctions import find_junctions
from scenarios.formats.commonroad_model import CommonRoad, Lanelet, read_file
from scenarios.formats.xml import parse_xml, read_xml
from sim.interface import Floats
from sim.roads.lane_map import Crosswalk, LaneDraft, LaneKind, MapDraft, Regulation

KINDS = {
    "sidewalk": LaneKind.SIDEWALK, "crosswalk": LaneKind.CROSSWALK, "bicycleLane": LaneKind.CYCLE, "shoulder": LaneKind.SHOULDER,
    "parking": LaneKind.PARKING, "border": LaneKind.SHOULDER, "restricted": LaneKind.SHOULDER,
}  # fmt: skip
"""Lanelets of other types are for driving."""
ON_FOOT, ON_BICYCLES = frozenset({"pedestrian"}), frozenset({"bicycle", "pedestrian"})
MOTORWAY = frozenset({"highway", "interstate", "mainCarriageWay", "accessRamp", "exitRamp"})
FILES_KEPT = 16


def read_commonroad(path: str | Path) -> CommonRoad:
    """Everything in the file at `path`; InputError with file:line:column for what cannot be read."""
    return read_file(read_xml(path, root="commonRoad"))


@lru_cache(maxsize=FILES_KEPT)
def read_once(path: Path, changed: int) -> CommonRoad:
    """As `read_commonroad`, kept for the process while the file's time of change is the same."""
    del changed
    return read_commonroad(path)


def parse_commonroad(text: str | bytes, *, name: str = "commonroad") -> CommonRoad:
    """As `read_commonroad`, from the file's text."""
    return read_file(parse_xml(text.encode() if isinstance(text, str) else text, file=name, root="commonRoad"))


def draft_map(recording: CommonRoad) -> MapDraft:
    """The lanelets with signs, lights and intersections, in the file's own coordinates [m]."""
    junctions = find_junctions(recording)
    control = control_of(recording, junctions.of)
    roads = roads_of(recording.lanelets)
    left_hand = keeps_left(recording.lanelets)
    kinds = {name: kind_of(lanelet) for name, lanelet in recording.lanelets.items()}
    lanes = [
        _lane(lanelet, kinds, roads[name], junctions.of.get(name), control, left_hand)
        for name, lanelet in recording.lanelets.items()
    ]
    return MapDraft(
        name=recording.name, lanes=lanes, signals=control.signals,
        crosswalks=[
            Crosswalk(outline=_outline(lanelet), lanes=(name,))
            for name, lanelet in recording.lanelets.items()
            if kinds[name] == LaneKind.CROSSWALK
        ],
        left_hand_traffic=left_hand, warnings=(*recording.warnings, *junctions.warnings, *control.warnings),
        scenery=[
            shape.outline((0.0, 0.0, 0.0))
            for obstacle in recording.obstacles
            if obstacle.role == "environment"
            for shape in obstacle.shapes
        ],
    )  # fmt: skip


def kind_of(lanelet: Lanelet) -> LaneKind:
    """What a lanelet is for, by its types, and by its users where those say nothing."""
    for name, kind in KINDS.items():
        if name in lanelet.types:
            return kind
    if lanelet.users and lanelet.users <= ON_FOOT:
        return LaneKind.SIDEWALK
    return LaneKind.CYCLE if lanelet.users and lanelet.users <= ON_BICYCLES else LaneKind.DRIVING


def _lane(
    lanelet: Lanelet, kinds: Mapping[str, LaneKind], road: str, junction: str | None, control: Control, left_hand: bool
) -> LaneDraft:
    regulation, signal = control.rules.get(lanelet.id, (Regulation.NONE, None))
    over_against = lanelet.right_neighbour if left_hand else lanelet.left_neighbour
    return LaneDraft(
        name=lanelet.id, centreline=lanelet.centre, half_width=half_widths(lanelet), kind=kinds[lanelet.id],
        speed_limit=control.limits[lanelet.id], successors=lanelet.successors, junction=junction, regulation=regulation,
        signal=signal, stop_s=control.stops.get(lanelet.id), road=road, priority_road=lanelet.id in control.priority,
        left=_abreast(lanelet, lanelet.left_neighbour, kinds, True),
        right=_abreast(lanelet, lanelet.right_neighbour, kinds, True),
        opposite=_abreast(lanelet, over_against, kinds, False),
    )  # fmt: skip


def _abreast(lanelet: Lanelet, neighbour: tuple[str, bool] | None, kinds: Mapping[str, LaneKind], same: bool) -> str | None:
    """The neighbour's id where it is of the same kind and runs in the same direction, or the opposite one."""
    if neighbour is None or neighbour[1] != same or kinds[neighbour[0]] != kinds[lanelet.id]:
        return None
    return neighbour[0]


def half_widths(lanelet: Lanelet) -> Floats:
    """(P,) half of the distance between the bounds [m], square to the centreline: its points need not lie abreast."""
    along = np.gradient(lanelet.centre[:, :2], axis=0)
    across = lanelet.left[:, :2] - lanelet.right[:, :2]
    length = np.hypot(*along.T)
    square = np.abs(along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]) / np.where(length > 0.0, length, 1.0)
    widths: Floats = 0.5 * np.where(length > 0.0, square, np.hypot(*across.T))
    return widths


def _outline(lanelet: Lanelet) -> Floats:
    outline: Floats = np.concatenate([lanelet.left[:, :2], lanelet.right[::-1, :2]])
    return outline
