"""The way an opponent drives: its route as one line, the gates on it, and the streams of others that cross or join it.

World frame, SI. s [m] runs along the way from its first point; box centres follow it. A gate is a line to stop before, with the
conflicts that lie behind it. A stream is a lane that meets the way, with up to STREAM_M of what leads to it, as points 1 m apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.geometry import Floats, arc_length, interpolate, polyline_curvature, polyline_heading, smooth
from sim.interface import Indicator, VehicleSpec
from sim.roads.lane_map import CLASSES, ConflictKind, FootprintClass, LaneKind, LaneMap, Regulation, Turn
from sim.roads.route import Route

SPACING = 0.5  # m, between points of the way
STREAM_M = 50.0  # m of a stream before the lane that meets the way
BEYOND_M = 40.0  # m of road after the goal, so that nobody brakes for it
CHAINS = 3  # most ways that lead to one lane
INDICATE_M = 30.0  # m before a turn
LATERAL_ACCEL = 2.0  # m/s² in bends
APPROACH_DECEL = 1.5  # m/s² towards a slower bend

POINT = np.dtype(
    [(name, "f8") for name in ("x", "y", "heading", "cos", "sin", "curvature", "speed", "room_left", "room_right")]
    + [("indicator", "i8"), ("change", "i8")]
)
"""One point of the way; speed: the most [m/s] that limits and bends ahead allow, room: to the edge of the road [m];
indicator: what to
show there; change: +1 where it crosses into the lane on the left, -1 on the right."""
GATE = np.dtype(
    [("line", "f8"), ("clear", "f8"), ("bearing", "f8"), ("regulation", "i8"), ("signal", "i8"), ("first", "i8"), ("count", "i8")]
)
"""line: s of the front bumper at rest; clear: s of the centre from which no conflict is left; first, count: its conflicts;
bearing: heading of the approach [rad, 0 to 2π)."""
CONFLICT = np.dtype(
    [("enter", "f8"), ("leave", "f8"), ("other_enter", "f8"), ("other_leave", "f8"), ("stream", "i8"), ("priority", "i8"),
     ("merge", "i8")]
)  # fmt: skip
"""enter..leave: s on the way, other_*: s on the stream, between which boxes can touch; priority: +1 the way goes first."""
STREAM = np.dtype([("start", "i8"), ("count", "i8"), ("lane_s", "f8"), ("line", "f8"), ("bearing", "f8"), ("turn", "i8")])
"""lane_s: where the lane that meets the way begins; line: where fronts rest before it, -1 for nowhere; turn: of that lane."""
DOT = np.dtype([("x", "f8"), ("y", "f8"), ("cos", "f8"), ("sin", "f8")])

_WALKED = (LaneKind.SIDEWALK, LaneKind.CROSSWALK, LaneKind.PATH)
_LANE_CHANGE_M = 45.0


class Way(NamedTuple):
    """Arrays of the dtypes above, as kernels take them."""

    points: NDArray[np.void]
    gates: NDArray[np.void]
    conflicts: NDArray[np.void]
    streams: NDArray[np.void]
    dots: NDArray[np.void]


class _Piece(NamedTuple):
    """One lane of the way: where it begins on it [m], and how much of it is driven [m]."""

    lane: int
    start: float
    length: float


def lay_way(road_map: LaneMap, route: Route, spec: VehicleSpec) -> Way:
    """The way along `route` for a vehicle of this size."""
    line, pieces = _line(road_map, route)
    points = _points(line)
    for piece in pieces:
        turn = Turn(int(road_map.lanes["turn"][piece.lane]))
        if turn != Turn.STRAIGHT:
            shown = slice(max(int((piece.start - INDICATE_M) / SPACING), 0), int((piece.start + piece.length) / SPACING))
            points["indicator"][shown] = Indicator.RIGHT if turn == Turn.RIGHT else Indicator.LEFT
    size = FootprintClass.LARGE if spec.length > 7.0 else FootprintClass.CAR if spec.length > 3.0 else FootprintClass.SMALL
    found: list[tuple[float, float, float, float, int, int, int]] = []
    streams: list[tuple[int, int, float, float, float, int]] = []
    dots: list[NDArray[np.void]] = []
    own = {piece.lane for piece in pieces}
    for piece in pieces:
        for other, record in _meetings(road_map, piece.lane, int(size)):
            if other in own:
                continue
            for chain in _chains(road_map, other, own):
                lead = sum(float(road_map.lanes["length"][lane]) for lane in chain[:-1])
                found.append(
                    (piece.start + float(record["enter"]), piece.start + float(record["leave"]),
                     lead + float(record["other_enter"]), lead + float(record["other_leave"]), len(streams),
                     int(record["priority"]), int(record["kind"] == ConflictKind.MERGE))
                )  # fmt: skip
                dots.append(_dots(road_map, chain))
                start = sum(len(part) for part in dots[:-1])
                streams.append((start, len(dots[-1]), lead, *_line_of(road_map, chain), int(road_map.lanes["turn"][other])))
    conflicts = np.array(sorted(found), CONFLICT)
    return Way(
        points=points, gates=_gates(road_map, pieces, conflicts), conflicts=conflicts, streams=np.array(streams, STREAM),
        dots=np.concatenate([np.zeros(0, DOT), *dots]),
    )  # fmt: skip


def _line(road_map: LaneMap, route: Route) -> tuple[Floats, list[_Piece]]:
    """Columns x, y, speed limit, room left and right, change along the route, lane changes drawn across; and its pieces."""
    rows: list[Floats] = []
    pieces: list[_Piece] = []
    lanes, at, offset = [*route.lanes, *_onward(road_map, route.lanes[-1])], 0, 0.0
    while at < len(lanes):
        last = at
        while last + 1 < len(lanes) and lanes[last + 1] not in road_map.lane_successors(lanes[last]):
            last += 1
        group = lanes[at : last + 1]
        row = _across([_columns(road_map, lane) for lane in group])
        length = float(arc_length(row[:, :2])[-1])
        pieces.extend(_Piece(lane, offset, length) for lane in group[-1:])
        rows.append(row if not rows else row[1:])
        offset += length
        at = last + 1
    return np.concatenate(rows), pieces


def _onward(road_map: LaneMap, lane: int) -> list[int]:
    """Lanes straight on after the goal."""
    found: list[int] = []
    total = 0.0
    while total < BEYOND_M:
        following = [n for n in road_map.lane_successors(found[-1] if found else lane).tolist() if n not in found and n != lane]
        if not following:
            break
        found.append(min(following, key=lambda n: abs(int(road_map.lanes["turn"][n]))))
        total += float(road_map.lanes["length"][found[-1]])
    return found


def _columns(road_map: LaneMap, lane: int) -> Floats:
    points = road_map.lane_points(lane)
    columns = [points[name] for name in ("x", "y", "speed_limit", "room_left", "room_right")]
    return np.column_stack([*columns, np.zeros(len(points))]).astype(np.float64)


def _across(group: list[Floats]) -> Floats:
    """One line over parallel lanes, each change drawn out over up to _LANE_CHANGE_M in its share of the length."""
    if len(group) == 1:
        return group[0]
    count = max(len(part) for part in group)
    share = np.linspace(0.0, 1.0, count)
    even = [np.column_stack([np.interp(share, np.linspace(0.0, 1.0, len(part)), column) for column in part.T]) for part in group]
    length = float(arc_length(even[0][:, :2])[-1])
    result = even[0]
    for number, part in enumerate(even[1:]):
        begin = (number + 0.3) / (len(even) - 1)
        width = min(0.6 / (len(even) - 1), _LANE_CHANGE_M / max(length, 1.0))
        blend = np.clip((share - begin) / width, 0.0, 1.0)
        forward, aside = np.gradient(result[:, :2], axis=0), part[:, :2] - result[:, :2]
        side = np.sign(np.median(forward[:, 0] * aside[:, 1] - forward[:, 1] * aside[:, 0]))
        change = result[:, 5] + side * ((blend > 0.0) & (blend < 1.0))
        blend = (blend * blend * (3.0 - 2.0 * blend))[:, None]
        result = (1.0 - blend) * result + blend * part
        result[:, 5] = change
    return result


def _points(line: Floats) -> NDArray[np.void]:
    """The way sampled evenly, with the speed that it allows everywhere."""
    known = arc_length(line[:, :2])
    s = np.arange(0.0, known[-1], SPACING)
    columns = interpolate(s, known, line).T
    points = np.zeros(len(s), POINT)
    points["x"], points["y"], points["room_left"], points["room_right"] = columns[0], columns[1], columns[3], columns[4]
    points["change"] = np.round(columns[5])
    points["indicator"] = np.where(points["change"] > 0, Indicator.LEFT, np.where(points["change"] < 0, Indicator.RIGHT, 0))
    heading = polyline_heading(np.column_stack([points["x"], points["y"]]))
    points["heading"], points["cos"], points["sin"] = heading, np.cos(heading), np.sin(heading)
    points["curvature"] = smooth(polyline_curvature(heading, SPACING), 5, odd=False) if len(s) > 8 else 0.0
    speed = np.minimum(columns[2], np.sqrt(LATERAL_ACCEL / np.maximum(np.abs(points["curvature"]), 1e-4)))
    for k in range(len(s) - 2, -1, -1):
        speed[k] = min(speed[k], np.sqrt(speed[k + 1] ** 2 + 2.0 * APPROACH_DECEL * SPACING))
    points["speed"] = speed
    return points


def _meetings(road_map: LaneMap, lane: int, size: int) -> list[tuple[int, np.void]]:
    """(other lane, conflict record) of the lanes for vehicles that cross or join this one."""
    lanes = road_map.lanes
    cluster, local = int(lanes["cluster"][lane]), int(lanes["local"][lane])
    if cluster < 0:
        return []
    group = road_map.clusters[cluster]
    found = []
    for other in np.flatnonzero(lanes["cluster"] == cluster).tolist():
        place = int(group["matrix_start"]) + local * int(group["size"]) + int(lanes["local"][other])
        first = int(road_map.cluster_matrix[place])
        if other == lane or first < 0 or lanes["kind"][other] in _WALKED:
            continue
        with_class = FootprintClass.CAR if lanes["kind"][other] == LaneKind.DRIVING else FootprintClass.SMALL
        record = road_map.conflicts[first + size * CLASSES + int(with_class)]
        if record["kind"] in (ConflictKind.CROSS, ConflictKind.MERGE) and record["row_count"] > 0:
            found.append((other, record))
    return found


def _chains(road_map: LaneMap, lane: int, own: set[int]) -> list[list[int]]:
    """Up to CHAINS sequences of lanes that lead to `lane` and end with it, none of them of the way itself."""
    done: list[list[int]] = []
    front = [([lane], 0.0)]
    while front and len(done) + len(front) <= 4 * CHAINS:
        chain, length = front.pop(0)
        record = road_map.lanes[chain[0]]
        first = int(record["predecessor_start"])
        before = [int(n) for n in road_map.predecessors[first : first + int(record["predecessor_count"])]]
        before = [n for n in before if n not in own and n not in chain]
        if length >= STREAM_M or not before:
            done.append(chain)
        else:
            front += [([n, *chain], length + float(road_map.lanes["length"][n])) for n in before]
    return [*done, *(chain for chain, _ in front)][:CHAINS]


def _dots(road_map: LaneMap, chain: list[int]) -> NDArray[np.void]:
    """Points 1 m apart along a chain of lanes."""
    parts = [_columns(road_map, lane)[:, :2] for lane in chain]
    line = np.concatenate([parts[0], *(part[1:] for part in parts[1:])])
    known = arc_length(line)
    s = np.arange(0.0, known[-1] + 1.0, 1.0)
    dots = np.zeros(len(s), DOT)
    even = interpolate(s, known, line)
    heading = polyline_heading(even)
    dots["x"], dots["y"] = even.T
    dots["cos"], dots["sin"] = np.cos(heading), np.sin(heading)
    return dots


def _line_of(road_map: LaneMap, chain: list[int]) -> tuple[float, float]:
    """Where fronts rest on a stream (-1: nowhere), and the bearing of its approach [rad, 0 to 2π)."""
    s, line, bearing = 0.0, -1.0, 0.0
    for lane in chain:
        if lane == chain[-1] or road_map.lanes["stop_s"][lane] >= 0.0:
            if lane == chain[-1] and line >= 0.0:
                break
            stop = float(road_map.lanes["stop_s"][lane])
            line = s + stop if stop >= 0.0 and lane != chain[-1] else line
            points = road_map.lane_points(lane)
            bearing = float(points["heading"][0 if lane == chain[-1] else -1]) % (2.0 * np.pi)
        s += float(road_map.lanes["length"][lane])
    return line, round(bearing, 3)


def _gates(road_map: LaneMap, pieces: list[_Piece], conflicts: NDArray[np.void]) -> NDArray[np.void]:
    """The lines to stop before, each with the conflicts up to the next one."""
    rows = []
    for number, piece in enumerate(pieces):
        stop = float(road_map.lanes["stop_s"][piece.lane])
        if stop < 0.0:
            continue
        following = pieces[number + 1].lane if number + 1 < len(pieces) else piece.lane
        control = following if road_map.lanes["regulation"][following] != Regulation.NONE else piece.lane
        record = road_map.lanes[control]
        bearing = round(float(road_map.lane_points(piece.lane)["heading"][-1]) % (2.0 * np.pi), 3)
        rows.append((piece.start + stop, 0.0, bearing, int(record["regulation"]), int(record["signal"]), 0, 0))
    gates = np.array(rows, GATE)
    for number, gate in enumerate(gates):
        until = gates["line"][number + 1] if number + 1 < len(gates) else np.inf
        inside = np.flatnonzero((conflicts["leave"] > gate["line"]) & (conflicts["enter"] < until))
        gate["first"], gate["count"] = (inside[0], inside[-1] - inside[0] + 1) if len(inside) else (0, 0)
        gate["clear"] = conflicts["leave"][inside].max() if len(inside) else gate["line"] + 2.0
    return gates
