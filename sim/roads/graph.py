"""The lane graph: links by name to links by index, turns, shared control, clusters of conflicting lanes, and what lies ahead of
each lane."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.geometry import wrap_angle, wrap_angles
from sim.roads.lane_map import ENTRY_DTYPE, ENTRY_HORIZON, LaneDraft, LaneKind, Regulation, Turn
from sim.roads.resample import RoadError

STRAIGHT_BELOW = math.radians(30.0)  # change of heading that still counts as straight on
U_TURN_ABOVE = math.radians(150.0)
SIGNIFICANCE = (Regulation.NONE, Regulation.YIELD, Regulation.ALL_WAY_STOP, Regulation.STOP, Regulation.SIGNAL)

Links = list[list[int]]


def link_lanes(drafts: Sequence[LaneDraft], index: dict[str, int]) -> tuple[Links, Links, list[int]]:
    """Successors and predecessors of each lane, and the lanes that name a successor which does not exist (dangling)."""
    successors: Links = [[] for _ in drafts]
    predecessors: Links = [[] for _ in drafts]
    dangling: list[int] = []
    for lane, draft in enumerate(drafts):
        for name in dict.fromkeys(draft.successors):
            if name not in index:
                if lane not in dangling:
                    dangling.append(lane)
                continue
            successors[lane].append(index[name])
            predecessors[index[name]].append(lane)
    return successors, predecessors, dangling


def flat_links(links: Links) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Links as (flat indices, start per lane, count per lane)."""
    count = np.array([len(one) for one in links], np.int32)
    start = (np.cumsum(count) - count).astype(np.int32)
    return np.array([lane for one in links for lane in one], np.int32), start, count


def neighbour_index(drafts: Sequence[LaneDraft], index: dict[str, int], side: str) -> NDArray[np.int32]:
    """(L,) index of the lane named in field `side` (left, right, opposite), -1 where none; RoadError for an unknown name."""
    found = np.full(len(drafts), -1, np.int32)
    for lane, draft in enumerate(drafts):
        name: str | None = getattr(draft, side)
        if name is None:
            continue
        if name not in index:
            raise RoadError(
                f"lane {draft.name!r} of road {draft.road!r}: its {side} neighbour {name!r} does not exist on this map"
            )
        found[lane] = index[name]
    return found


def classify_turn(lanes: NDArray[np.void], points: NDArray[np.void], lane: int) -> Turn:
    """Turn of a lane from the change of heading along it; only lanes of a junction turn."""
    record = lanes[lane]
    if record["junction"] < 0:
        return Turn.STRAIGHT
    change = lane_bend(points[record["point_start"] : record["point_start"] + record["point_count"]])
    if abs(change) < STRAIGHT_BELOW:
        return Turn.STRAIGHT
    if abs(change) > U_TURN_ABOVE:
        return Turn.U_TURN
    return Turn.LEFT if change > 0.0 else Turn.RIGHT


def lane_bend(points: NDArray[np.void]) -> float:
    """Total signed change of heading [rad] along a lane (P,), more than a half turn included."""
    return float(np.sum(wrap_angles(np.diff(points["heading"].astype(np.float64)))))


def share_control(lanes: NDArray[np.void], successors: Links, predecessors: Links) -> None:
    """Copy regulation and signal from approach lanes to the lanes they lead into, and back to approaches that carry none.

    A connecting lane keeps what it was given itself; an approach whose connecting lanes differ takes the most significant one.
    Only lanes for vehicles share; a crosswalk's signal is its own.
    """
    vehicles = np.isin(lanes["kind"], (LaneKind.DRIVING, LaneKind.CYCLE))
    for lane in np.flatnonzero((lanes["junction"] < 0) & vehicles).tolist():
        inner = [n for n in successors[lane] if lanes["junction"][n] >= 0]
        if lanes["regulation"][lane] != Regulation.NONE:
            for other in inner or successors[lane]:
                if lanes["regulation"][other] == Regulation.NONE:
                    lanes["regulation"][other] = lanes["regulation"][lane]
                    lanes["signal"][other] = lanes["signal"][lane]
        elif inner:
            best = max(inner, key=lambda n: SIGNIFICANCE.index(Regulation(int(lanes["regulation"][n]))))
            lanes["regulation"][lane], lanes["signal"][lane] = lanes["regulation"][best], lanes["signal"][best]


def share_priority_road(drafts: Sequence[LaneDraft], predecessors: Links) -> NDArray[np.bool_]:
    """(L,) lanes on a priority road: as drafted, or because the lane leading into them is."""
    own = np.array([draft.priority_road for draft in drafts], bool)
    return np.array([own[lane] or any(own[p] for p in predecessors[lane]) for lane in range(len(drafts))], bool)


def group_lanes(lane_count: int, pairs: NDArray[np.int64]) -> NDArray[np.int32]:
    """(L,) number of the connected component of each lane under `pairs` (N, 2), -1 for lanes without any; numbered by first
    lane."""
    label = np.full(lane_count, -1, np.int32)
    beside: dict[int, list[int]] = {}
    for one, two in pairs.tolist():
        beside.setdefault(one, []).append(two)
        beside.setdefault(two, []).append(one)
    groups = 0
    for first in sorted(beside):
        if label[first] >= 0:
            continue
        front = [first]
        while front:
            lane = front.pop()
            if label[lane] < 0:
                label[lane] = groups
                front.extend(beside[lane])
        groups += 1
    return label


def _entries_from(lane: int, lanes: NDArray[np.void], successors: Links) -> list[tuple[int, int, float, float]]:
    """Lanes with conflicts ahead of one lane: (lane, first branch taken, distance, stop line on the way), nearest first."""
    found: list[tuple[int, int, float, float]] = []
    horizon = float(lanes["length"][lane]) + ENTRY_HORIZON
    queue: list[tuple[float, int, int, float]] = [(0.0, lane, -1, -1.0)]
    seen: set[int] = set()
    while queue:
        distance, current, branch, line = heapq.heappop(queue)
        if current in seen:
            continue
        seen.add(current)
        if lanes["cluster"][current] >= 0:
            found.append((current, branch, distance, line))
        ahead = distance + float(lanes["length"][current])
        if ahead > horizon:
            continue
        if current != lane and lanes["stop_s"][current] >= 0.0:
            line = distance + float(lanes["stop_s"][current])
        for following in successors[current]:
            forks = branch < 0 and len(successors[current]) > 1
            heapq.heappush(queue, (ahead, following, int(lanes["turn"][following]) if forks else branch, line))
    return found


def find_entries(lanes: NDArray[np.void], successors: Links) -> NDArray[np.void]:
    """Entry table (E,) of ENTRY_DTYPE; fills entry_start and entry_count of `lanes`. The horizon counts from the end of each
    lane."""
    flat: list[tuple[int, int, float, float]] = []
    for lane in range(len(lanes)):
        own = _entries_from(lane, lanes, successors) if lanes["kind"][lane] != LaneKind.PARKING else []
        lanes["entry_start"][lane], lanes["entry_count"][lane] = len(flat), len(own)
        flat.extend(own)
    return np.array(flat, ENTRY_DTYPE)


def joint_warnings(
    drafts: Sequence[LaneDraft], lanes: NDArray[np.void], points: NDArray[np.void], successors: Links
) -> list[str]:
    """One message for each link whose ends are 0.1 m or more apart or that turns sharply."""
    messages: list[str] = []
    for lane, following in enumerate(successors):
        last = points[lanes["point_start"][lane] + lanes["point_count"][lane] - 1]
        for other in following:
            first = points[lanes["point_start"][other]]
            gap = math.hypot(first["x"] - last["x"], first["y"] - last["y"])
            turn = abs(wrap_angle(float(first["heading"]) - float(last["heading"])))
            if gap >= 0.1 or (turn > math.radians(20.0) and lanes["kind"][lane] in (LaneKind.DRIVING, LaneKind.CYCLE)):
                place = f"road {drafts[lane].road!r}, lane {drafts[lane].name!r}, s={float(lanes['length'][lane]):.2f} m"
                messages.append(
                    f"{place}: joint to lane {drafts[other].name!r} has a gap of {gap:.2f} m, a kink of {math.degrees(turn):.0f}°"
                )
    return messages
