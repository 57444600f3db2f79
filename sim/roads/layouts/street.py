"""Streets along the x axis: plain, with a crosswalk, lined with parking, or narrowing to one lane.

Traffic on `eastbound_<k>` drives towards +x on the right of the axis, `westbound_<k>` back; k counts from the middle of the road.
Where a street is cut into pieces, their names are `eastbound_<piece>_<k>`. Left-hand traffic is the mirror image. Sidewalk pieces
are `walk_<side>_<east or west>_<n>`, n from the west end; crossings are `<crosswalk or path>_<n>_<north or south>`, towards that
side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.geometry import Floats
from sim.interface import Colour
from sim.roads.lane_map import Crosswalk, LaneDraft, LaneKind, MapDraft, Regulation, SignalPlan
from sim.roads.layouts import check
from sim.roads.layouts.curves import line
from sim.roads.layouts.plan import CROSSWALK_HALF_DEPTH, WALK_OFFSET, Draft
from sim.roads.layouts.walking import WALK_SPEED, sidewalk_lane, walking_line

CROSSING_HALF_LENGTH = 4.0  # m, of the piece of lane that a mid-block crosswalk lies on: people there touch cars on it alone
PARKING_WIDTH = 2.3
PASSING_LENGTH = 18.0  # m
PASSING_WIDTH = 6.4  # m, of the road at a passing place
TAPER_LENGTH = 12.0  # m, over which a direction moves into the single lane
WALK_GREEN_S, DRIVE_GREEN_S, YELLOW_S, CLEARANCE_S = 10.0, 25.0, 3.0, 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of a street from x0 to x1 [m]. offset0, offset1: distance of each direction's middle from the axis at either
    end."""

    name: str
    x0: float
    x1: float
    junction: str | None = None
    half_width: float = 1.75
    offset0: float = 1.75
    offset1: float = 1.75


def mirrored(draft: MapDraft) -> MapDraft:
    """The same map seen in a mirror (y -> -y), driving on the other side."""
    flip = np.array([1.0, -1.0])
    lanes = [replace(lane, centreline=lane.centreline[:, :2] * flip, left=lane.right, right=lane.left) for lane in draft.lanes]
    return replace(
        draft,
        lanes=lanes,
        crosswalks=[replace(one, outline=one.outline * flip) for one in draft.crosswalks],
        extra_drivable=[outline * flip for outline in draft.extra_drivable],
        scenery=[outline * flip for outline in draft.scenery],
        left_hand_traffic=not draft.left_hand_traffic,
    )


def _piece_line(piece: Piece, lane_offset: float, east: bool) -> Floats:
    """Centreline of one lane on a piece; a change of offset follows a smooth step."""
    x = np.linspace(piece.x0, piece.x1, max(2, int(math.ceil((piece.x1 - piece.x0) / 0.5)) + 1))
    u = (x - piece.x0) / (piece.x1 - piece.x0)
    blend = u * u * u * (10.0 - 15.0 * u + 6.0 * u * u)
    offset = piece.offset0 + (piece.offset1 - piece.offset0) * blend + lane_offset
    points = np.stack([x, -offset if east else offset], axis=1)
    return points if east else points[::-1]


def street_lanes(
    pieces: Sequence[Piece], lanes: int, lane_width: float, speed_limit: float, two_way: bool = True
) -> list[LaneDraft]:
    """Driving lanes of a street cut into `pieces` from west to east."""
    drafts = []
    for east in (True, False)[: 2 if two_way else 1]:
        label, other = ("eastbound", "westbound") if east else ("westbound", "eastbound")
        order = list(pieces) if east else list(pieces)[::-1]
        for number, piece in enumerate(order):
            names = [f"{label}_{piece.name}_{k}".replace("__", "_") for k in range(lanes)]
            onward = order[number + 1].name if number + 1 < len(order) else None
            for k in range(lanes):
                drafts.append(
                    LaneDraft(
                        name=names[k], centreline=_piece_line(piece, k * lane_width, east), half_width=piece.half_width,
                        speed_limit=speed_limit, junction=piece.junction, road="street",
                        successors=(f"{label}_{onward}_{k}".replace("__", "_"),) if onward is not None else (),
                        left=names[k - 1] if k > 0 else None, right=names[k + 1] if k + 1 < lanes else None,
                        opposite=f"{other}_{piece.name}_0".replace("__", "_") if two_way else None,
                    )
                )  # fmt: skip
    return drafts


def _walk_pieces(side: str, y: float, nodes: Sequence[float], kind: str) -> list[LaneDraft]:
    """Sidewalk pieces in both directions along one side, between the ends and the crossings (inner nodes)."""
    drafts = []
    across = "south" if side == "north" else "north"
    last = len(nodes) - 2
    for n in range(len(nodes) - 1):
        west, east = np.array([nodes[n], y]), np.array([nodes[n + 1], y])
        crossing_east = (f"walk_{side}_east_{n + 1}", f"{kind}_{n}_{across}") if n < last else ()
        crossing_west = (f"walk_{side}_west_{n - 1}", f"{kind}_{n - 1}_{across}") if n > 0 else ()
        drafts.append(sidewalk_lane(f"walk_{side}_east_{n}", np.stack([west, east]), "street", crossing_east))
        drafts.append(sidewalk_lane(f"walk_{side}_west_{n}", np.stack([east, west]), "street", crossing_west))
    return drafts


def add_walking(
    draft: Draft, length: float, edge: float, crossings: Sequence[float], kind: LaneKind, signal: str | None = None
) -> None:
    """Sidewalks on both sides of a street whose carriageway ends `edge` from the axis, and crossings at these x."""
    label = "crosswalk" if kind == LaneKind.CROSSWALK else "path"
    y = edge + WALK_OFFSET
    nodes = [-0.5 * length, *crossings, 0.5 * length]
    for side, sign in (("north", 1.0), ("south", -1.0)):
        draft.lanes.extend(_walk_pieces(side, sign * y, nodes, label))
    for n, x in enumerate(crossings):
        for side, sign in (("north", 1.0), ("south", -1.0)):
            draft.lanes.append(
                LaneDraft(
                    name=f"{label}_{n}_{side}", centreline=walking_line(np.array([[x, -sign * y], [x, sign * y]])),
                    half_width=0.5 * CROSSWALK_HALF_DEPTH, kind=kind, speed_limit=WALK_SPEED, road="street",
                    successors=(f"walk_{side}_east_{n + 1}", f"walk_{side}_west_{n}"),
                    regulation=Regulation.SIGNAL if signal else Regulation.NONE, signal=signal,
                )
            )  # fmt: skip
        if kind == LaneKind.CROSSWALK:
            half = CROSSWALK_HALF_DEPTH
            outline = np.array([[x - half, edge], [x + half, edge], [x + half, -edge], [x - half, -edge]])
            draft.crosswalks.append(Crosswalk(outline=outline, lanes=(f"{label}_{n}_north", f"{label}_{n}_south")))


def _finished(name: str, draft: Draft, left_hand_traffic: bool) -> MapDraft:
    whole = MapDraft(
        name=name, lanes=draft.lanes, signals=draft.signals, crosswalks=draft.crosswalks, extra_drivable=draft.drivable
    )
    return mirrored(whole) if check.flag("left_hand_traffic", left_hand_traffic) else whole


def straight(
    *, length: float = 300.0, lanes: int = 1, lane_width: float = 3.5, speed_limit: float = 13.9, two_way: bool = True,
    left_hand_traffic: bool = False,
) -> MapDraft:  # fmt: skip
    """A straight road of `length` [m] with 1 to 6 lanes per direction; BuilderError for values out of range."""
    check.number("length", length, 10.0, 20_000.0)
    check.count("lanes", lanes, 1, 6)
    check.number("lane_width", lane_width, 2.5, 5.0)
    check.number("speed_limit", speed_limit, 2.0, 60.0)
    half = 0.5 * lane_width
    whole = Piece(name="", x0=-0.5 * length, x1=0.5 * length, half_width=half, offset0=half, offset1=half)
    draft = Draft(lanes=street_lanes([whole], lanes, lane_width, speed_limit, check.flag("two_way", two_way)))
    return _finished("straight", draft, left_hand_traffic)


def crosswalk(
    *, length: float = 200.0, lanes: int = 1, lane_width: float = 3.5, speed_limit: float = 13.9, control: str = "none",
    left_hand_traffic: bool = False,
) -> MapDraft:  # fmt: skip
    """A two-way street with sidewalks and a crosswalk at x = 0; pieces `in`, `over`, `out` as seen by each direction.

    control: none or signal. BuilderError for values out of range.
    """
    check.number("length", length, 40.0, 5000.0)
    check.count("lanes", lanes, 1, 3)
    check.number("lane_width", lane_width, 2.5, 5.0)
    check.number("speed_limit", speed_limit, 2.0, 40.0)
    signalled = check.choice("control", control, ("none", "signal")) == "signal"
    half = 0.5 * lane_width
    pieces = [
        Piece(name="west", x0=-0.5 * length, x1=-CROSSING_HALF_LENGTH, half_width=half, offset0=half, offset1=half),
        Piece(
            name="over",
            x0=-CROSSING_HALF_LENGTH,
            x1=CROSSING_HALF_LENGTH,
            junction="crossing",
            half_width=half,
            offset0=half,
            offset1=half,
        ),
        Piece(name="east", x0=CROSSING_HALF_LENGTH, x1=0.5 * length, half_width=half, offset0=half, offset1=half),
    ]
    draft = Draft(lanes=street_lanes(pieces, lanes, lane_width, speed_limit))
    if signalled:
        cycle = DRIVE_GREEN_S + YELLOW_S + 2.0 + WALK_GREEN_S + CLEARANCE_S
        drive = ((DRIVE_GREEN_S, Colour.GREEN), (YELLOW_S, Colour.YELLOW), (cycle - DRIVE_GREEN_S - YELLOW_S, Colour.RED))
        walk = ((DRIVE_GREEN_S + YELLOW_S + 2.0, Colour.RED), (WALK_GREEN_S, Colour.GREEN), (CLEARANCE_S, Colour.RED))
        draft.signals.extend([SignalPlan(name="street", phases=drive), SignalPlan(name="street_walk", phases=walk)])
        approaches = ("eastbound_west_", "westbound_east_")
        draft.lanes = [
            replace(lane, regulation=Regulation.SIGNAL, signal="street") if lane.name.startswith(approaches) else lane
            for lane in draft.lanes
        ]
    add_walking(draft, length, lanes * lane_width, [0.0], LaneKind.CROSSWALK, "street_walk" if signalled else None)
    return _finished("crosswalk", draft, left_hand_traffic)


def parking_street(
    *, length: float = 160.0, lane_width: float = 3.2, speed_limit: float = 8.3, paths: int = 2, left_hand_traffic: bool = False
) -> MapDraft:
    """A two-way street with a lane of parking (`parking_north`, `parking_south`) and a sidewalk on either side.

    paths: lines (`path_<n>_...`) on which people step out between parked cars, evenly spaced. BuilderError for values out of
    range.
    """
    check.number("length", length, 40.0, 5000.0)
    check.number("lane_width", lane_width, 2.5, 5.0)
    check.number("speed_limit", speed_limit, 2.0, 40.0)
    check.count("paths", paths, 0, 10)
    half = 0.5 * lane_width
    whole = Piece(name="", x0=-0.5 * length, x1=0.5 * length, half_width=half, offset0=half, offset1=half)
    draft = Draft(lanes=street_lanes([whole], 1, lane_width, speed_limit))
    for side, sign in (("north", 1.0), ("south", -1.0)):
        y = sign * (lane_width + 0.5 * PARKING_WIDTH)
        ends = np.array([[-0.5 * length, y], [0.5 * length, y]])
        draft.lanes.append(
            LaneDraft(
                name=f"parking_{side}", centreline=line(*(ends if sign < 0.0 else ends[::-1])), half_width=0.5 * PARKING_WIDTH,
                kind=LaneKind.PARKING, speed_limit=speed_limit, road="street",
            )
        )  # fmt: skip
    crossings = [length * ((n + 1) / (paths + 1) - 0.5) for n in range(paths)]
    add_walking(draft, length, lane_width + PARKING_WIDTH, crossings, LaneKind.PATH)
    return _finished("parking_street", draft, left_hand_traffic)


def _narrow_pieces(approach: float, passage: float, places: int, wide: float, lane_width: float) -> list[Piece]:
    """Wide, narrow, (passing place, narrow)*, wide; the single lane is `lane_width` wide."""
    aside = 0.25 * PASSING_WIDTH
    kinds = [*(["narrow", "place"] * places), "narrow"]
    x = -0.5 * ((places + 1) * passage + places * PASSING_LENGTH)
    pieces = [Piece(name="west", x0=x - approach, x1=x, half_width=wide, offset0=wide, offset1=wide)]
    for number, kind in enumerate(kinds):
        if kind == "place":
            pieces.append(
                Piece(name=f"place{number // 2}", x0=x, x1=x + PASSING_LENGTH, half_width=aside, offset0=aside, offset1=aside)
            )
            x += PASSING_LENGTH
            continue
        starts, ends = (wide if number == 0 else aside), (wide if number == len(kinds) - 1 else aside)
        pieces.append(
            Piece(name=f"narrow{number // 2}", x0=x, x1=x + passage, half_width=0.5 * lane_width, offset0=starts, offset1=ends)
        )
        x += passage
    pieces.append(Piece(name="east", x0=x, x1=x + approach, half_width=wide, offset0=wide, offset1=wide))
    return pieces


def _squeezed(lane: LaneDraft, piece: Piece) -> LaneDraft:
    """A narrow piece's lane: both directions move onto the axis after a taper and back before the end."""
    x = lane.centreline[:, 0]
    u_in, u_out = np.clip((x - piece.x0) / TAPER_LENGTH, 0.0, 1.0), np.clip((piece.x1 - x) / TAPER_LENGTH, 0.0, 1.0)
    fade_in, fade_out = (u * u * u * (10.0 - 15.0 * u + 6.0 * u * u) for u in (u_in, u_out))
    sign = -1.0 if lane.name.startswith("eastbound") else 1.0
    near, far = piece.offset0 * (1.0 - fade_in), piece.offset1 * (1.0 - fade_out)
    offset = np.maximum(near, far)
    return replace(lane, centreline=np.stack([x, sign * offset], axis=1))


def narrow_street(
    *, passage_length: float = 45.0, passing_places: int = 1, passage_width: float = 3.2, approach_length: float = 60.0,
    lane_width: float = 3.2, speed_limit: float = 8.3, left_hand_traffic: bool = False,
) -> MapDraft:  # fmt: skip
    """A two-way street that narrows to one lane of `passage_width` [m] with 0 to 4 passing places in it.

    Both directions share each passage of `passage_length` [m] head-on (`eastbound_narrow<n>_0`, `westbound_narrow<n>_0`); between
    two passages lies a passing place (`..._place<n>_0`), before and after the wide street (`..._west_0`, `..._east_0`).
    BuilderError for values out of range.
    """
    check.number("passage_length", passage_length, 2.0 * TAPER_LENGTH + 6.0, 500.0)
    check.count("passing_places", passing_places, 0, 4)
    check.number("passage_width", passage_width, 2.6, 4.0)
    check.number("approach_length", approach_length, 15.0, 1000.0)
    check.number("lane_width", lane_width, 2.5, 5.0)
    check.number("speed_limit", speed_limit, 2.0, 30.0)
    pieces = _narrow_pieces(approach_length, passage_length, passing_places, 0.5 * lane_width, passage_width)
    by_name = {piece.name: piece for piece in pieces}
    drafts = []
    for lane in street_lanes(pieces, 1, lane_width, speed_limit):
        piece = by_name[lane.name.split("_")[1]]
        drafts.append(_squeezed(lane, piece) if piece.name.startswith("narrow") else lane)
    return _finished("narrow_street", Draft(lanes=drafts), left_hand_traffic)
