"""Lanelet2 maps (.osm): `read_lanelet2` gives all that is in one, `draft_map` its lanelets as a map to drive on.

Lanes keep the ids of their lanelets; what is passed both ways is two lanes. A lane's road, by which scenarios call an arm, is the
least id among the lanelets abreast. Junctions are where lanelets cross, or part with a `turn_direction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scenarios.formats.abreast import keeps_left, roads_of
from scenarios.formats.crossings import add_crossings
from scenarios.formats.lanelet2_control import Control, control_of
from scenarios.formats.lanelet2_model import BACK, Lane, Lanelet2, Way, read_file
from scenarios.formats.xml import parse_xml, read_xml
from sim.interface import Floats
from sim.roads.lane_map import Crosswalk, LaneDraft, LaneKind, MapDraft, Regulation

KINDS = {
    "bicycle_lane": LaneKind.CYCLE, "walkway": LaneKind.SIDEWALK, "shared_walkway": LaneKind.SIDEWALK,
    "stairs": LaneKind.SIDEWALK, "crosswalk": LaneKind.CROSSWALK, "road_shoulder": LaneKind.SHOULDER,
    "emergency_lane": LaneKind.SHOULDER, "pedestrian_lane": LaneKind.SIDEWALK,
}  # fmt: skip
"""Lanelets of other subtypes are for driving."""
PASSABLE = {"dashed": (True, True), "dashed_solid": (True, False), "solid_dashed": (False, True)}
"""Whether one may change lane over a line from its left, and from its right, as it runs; other lines are not crossed."""


def read_lanelet2(path: str | Path) -> Lanelet2:
    """Everything in the file at `path`; InputError with file:line:column for what cannot be read."""
    return read_file(read_xml(path, root="osm"), Path(path).stem)


def parse_lanelet2(text: str | bytes, *, name: str = "lanelet2") -> Lanelet2:
    """As `read_lanelet2`, from the file's text."""
    return read_file(parse_xml(text.encode() if isinstance(text, str) else text, file=name, root="osm"), name)


def draft_map(source: Lanelet2) -> MapDraft:
    """The lanelets with what regulates them, in metres of the map's projection."""
    kinds = {name: kind_of(lane) for name, lane in source.lanes.items()}
    junctions = _junctions(source, kinds)
    control = control_of(source, junctions)
    roads = roads_of(source.lanes)
    one_way = {name: lane for name, lane in source.lanes.items() if name == lane.lanelet and name + BACK not in source.lanes}
    return MapDraft(
        name=source.name, signals=control.signals,
        lanes=[_lane(lane, kinds, roads[name], junctions.get(name), control) for name, lane in source.lanes.items()],
        crosswalks=[
            Crosswalk(outline=_outline(lane), lanes=(name, *((name + BACK,) if name + BACK in source.lanes else ())))
            for name, lane in source.lanes.items()
            if kinds[name] == LaneKind.CROSSWALK and name == lane.lanelet
        ],
        left_hand_traffic=keeps_left(one_way), warnings=(*source.warnings, *control.warnings),
        scenery=[outline for kind, outline in source.areas if kind == "building"],
    )  # fmt: skip


def kind_of(lane: Lane) -> LaneKind:
    """What a lane is for: by its subtype, and by its participants where vehicles are not among them."""
    found = KINDS.get(lane.tags.get("subtype", "road"), LaneKind.DRIVING)
    users = {key.partition(":")[2].partition(":")[0] for key, value in lane.tags.items() if _admits(key, value)}
    if found == LaneKind.DRIVING and users and "vehicle" not in users:
        return LaneKind.CYCLE if "bicycle" in users else LaneKind.SIDEWALK
    return found


def _admits(key: str, value: str) -> bool:
    return key.startswith("participant:") and value in ("yes", "true")


def _junctions(source: Lanelet2, kinds: Mapping[str, LaneKind]) -> dict[str, str]:
    """Junction by lane: what crosses, and what turns or is part of an `intersection_area`."""
    driven = [lane for name, lane in source.lanes.items() if kinds[name] == LaneKind.DRIVING]
    of = {lane.id: lane.tags["intersection_area"] for lane in driven if lane.tags.get("intersection_area", "0") != "0"}
    add_crossings(source.lanes, driven, of)
    for lane in driven:
        if lane.tags.get("turn_direction") in ("left", "right") and lane.id not in of:
            siblings = [onward for before in lane.predecessors for onward in source.lanes[before].successors]
            of[lane.id] = next((of[other] for other in siblings if other in of), f"turn of {lane.id}")
    return of


def _lane(lane: Lane, kinds: Mapping[str, LaneKind], road: str, junction: str | None, control: Control) -> LaneDraft:
    regulation, signal = control.rules.get(lane.id, (Regulation.NONE, None))
    return LaneDraft(
        name=lane.id, centreline=lane.centre, half_width=half_widths(lane), kind=kinds[lane.id],
        speed_limit=control.limits[lane.id], successors=lane.successors, junction=junction, regulation=regulation,
        signal=signal, stop_s=control.stops.get(lane.id), road=road, yields_to=control.yields_to.get(lane.id, ()),
        left=_beside(lane, lane.left_neighbour, kinds, may_change(lane.left, lane, "left")),
        right=_beside(lane, lane.right_neighbour, kinds, may_change(lane.right, lane, "right")),
        opposite=_over_against(lane, kinds),
    )  # fmt: skip


def may_change(line: Way, lane: Lane, side: str) -> bool:
    """Whether a vehicle on the lane may change over this bound of it."""
    for tags, key in ((line.tags, f"lane_change:{side}"), (line.tags, "lane_change"), (lane.tags, "lane_change")):
        if key in tags:
            return tags[key] in ("yes", "true")
    from_left, from_right = PASSABLE.get(line.tags.get("subtype", ""), (False, False))
    drives_left_of_it = (side == "right") != line.turned  # of the line as it runs in the file
    return (from_left if drives_left_of_it else from_right) and line.tags.get("type", "") in ("line_thin", "line_thick")


def _beside(lane: Lane, neighbour: tuple[str, bool] | None, kinds: Mapping[str, LaneKind], allowed: bool) -> str | None:
    if neighbour is None or not allowed or not neighbour[1] or kinds[neighbour[0]] != kinds[lane.id]:
        return None
    return neighbour[0]


def _over_against(lane: Lane, kinds: Mapping[str, LaneKind]) -> str | None:
    """The next lane in the other direction: its own way back, or that on the other side of the left bound."""
    back = lane.lanelet if lane.id != lane.lanelet else lane.id + BACK
    if back in kinds:
        return back
    for neighbour in (lane.left_neighbour, lane.right_neighbour):
        if neighbour is not None and not neighbour[1] and kinds[neighbour[0]] == kinds[lane.id]:
            return neighbour[0]
    return None


def half_widths(lane: Lane) -> Floats:
    """(P,) half of the distance between the bounds [m], square to the centreline."""
    left, right = lane.rungs
    along = np.gradient(lane.centre[:, :2], axis=0)
    across = left[:, :2] - right[:, :2]
    length = np.hypot(*along.T)
    square = np.abs(along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]) / np.where(length > 0.0, length, 1.0)
    widths: Floats = 0.5 * np.where(length > 0.0, square, np.hypot(*across.T))
    return widths


def _outline(lane: Lane) -> Floats:
    outline: Floats = np.concatenate([lane.left.points[:, :2], lane.right.points[::-1, :2]])
    return outline
