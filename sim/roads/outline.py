"""What is needed to draw a map: simplified centrelines and borders, stop lines, crosswalks, signals. Small enough to record.

World frame, metres. `to_bytes` rounds to centimetres and stores differences, which compresses a town to some tens of kilobytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from sim.interface import Colour, Floats
from sim.roads.lane_map import LaneKind, LaneMap, Regulation, SignalPlan, Turn

TOLERANCE = 0.04  # m, how far a simplified line may stray: invisible at 20 pixels a metre
QUANTUM = 0.01  # m, resolution of a stored outline


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneOutline:
    """One lane: lines (K, 2) in driving direction, each simplified on its own. left/right/opposite as in LANE_DTYPE.

    stop_line: (2, 2) from the right to the left border, or None; regulation, signals: what holds for those who wait there.
    """

    kind: LaneKind
    turn: Turn
    junction: int
    left: int
    right: int
    opposite: int
    centre: Floats
    left_border: Floats
    right_border: Floats
    stop_line: Floats | None
    regulation: Regulation
    signals: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOutline:
    """The drawable part of a `LaneMap`; lane indices are the map's."""

    name: str
    left_hand_traffic: bool
    lanes: tuple[LaneOutline, ...]
    crosswalks: tuple[Floats, ...]
    edges: tuple[Floats, ...]
    scenery: tuple[Floats, ...]
    signals: tuple[SignalPlan, ...]

    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest and largest x and y of all lanes: x0, y0, x1, y1 [m]; zeros for a map without lanes."""
        if not self.lanes:
            return 0.0, 0.0, 0.0, 0.0
        points = np.concatenate([line for lane in self.lanes for line in (lane.left_border, lane.right_border)])
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)


def outline(road_map: LaneMap) -> MapOutline:
    """The drawable part of a finished map."""
    raw = [_borders(road_map, lane) for lane in range(len(road_map.lanes))]
    lines = _simplify([line for triple in raw for line in triple])
    lanes = tuple(_lane_outline(road_map, lane, lines[3 * lane : 3 * lane + 3]) for lane in range(len(road_map.lanes)))
    return MapOutline(
        name=road_map.name,
        left_hand_traffic=road_map.left_hand_traffic,
        lanes=lanes,
        crosswalks=tuple(np.asarray(crosswalk.outline, dtype=np.float64)[:, :2] for crosswalk in road_map.crosswalks),
        edges=tuple(_simplify(road_map.edges)),
        scenery=tuple(np.asarray(thing, dtype=np.float64)[:, :2] for thing in road_map.scenery),
        signals=tuple(signal_plan(road_map, index) for index in range(len(road_map.signals))),
    )


def signal_colour(plan: SignalPlan, time_s: float) -> Colour:
    """Colour that `plan` shows at `time_s`; OFF for an empty programme."""
    cycle = sum(duration for duration, _ in plan.phases)
    if cycle <= 0.0:
        return Colour.OFF
    into = (time_s - plan.offset_s) % cycle
    for duration, colour in plan.phases:
        if into < duration:
            return colour
        into -= duration
    return plan.phases[-1][1]


def to_bytes(drawing: MapOutline) -> bytes:
    """Compact form of an outline; `from_bytes` reads it back to the nearest centimetre."""
    meta = {
        "name": drawing.name,
        "left_hand_traffic": drawing.left_hand_traffic,
        "lanes": [
            [
                lane.kind,
                lane.turn,
                lane.junction,
                lane.left,
                lane.right,
                lane.opposite,
                lane.regulation,
                lane.signals,
                lane.stop_line is not None,
            ]
            for lane in drawing.lanes
        ],
        "counts": [len(drawing.crosswalks), len(drawing.edges), len(drawing.scenery)],
        "signals": [[plan.name, plan.phases, plan.offset_s] for plan in drawing.signals],
    }
    lines = list(_all_lines(drawing))
    meta["sizes"] = [len(line) for line in lines]
    points = np.concatenate(lines) if lines else np.zeros((0, 2))
    steps = np.diff(np.rint(points / QUANTUM).astype("<i4"), axis=0, prepend=np.zeros((1, 2), dtype="<i4"))
    head = json.dumps(meta, separators=(",", ":")).encode()
    return len(head).to_bytes(4, "little") + zlib.compress(head + steps.astype("<i4").T.tobytes(), 6)


def from_bytes(data: bytes) -> MapOutline:
    """Inverse of `to_bytes`; ValueError where the bytes are not an outline."""
    try:
        head_size = int.from_bytes(data[:4], "little")
        body = zlib.decompress(data[4:])
        meta = json.loads(body[:head_size])
        steps = np.frombuffer(body[head_size:], dtype="<i4").reshape(2, -1).T
        points = np.cumsum(steps, axis=0, dtype=np.int64) * QUANTUM
        lines = iter(np.split(points, np.cumsum(meta["sizes"])[:-1]) if meta["sizes"] else [])
        return _rebuild(meta, lines)
    except (zlib.error, KeyError, IndexError, TypeError, StopIteration, UnicodeDecodeError) as error:
        raise ValueError(f"not a map outline: {error}") from error


def _rebuild(meta: dict[str, list[list[object]]], lines: Iterator[Floats]) -> MapOutline:
    """An outline from its table and its lines, in the order of `_all_lines`."""
    lanes = tuple(_rebuild_lane(row, lines) for row in meta["lanes"])
    crosswalks, edges, scenery = (tuple(next(lines) for _ in range(int(str(count)))) for count in meta["counts"])
    return MapOutline(
        name=str(meta["name"]),
        left_hand_traffic=bool(meta["left_hand_traffic"]),
        lanes=lanes,
        crosswalks=crosswalks,
        edges=edges,
        scenery=scenery,
        signals=tuple(_rebuild_signal(row) for row in meta["signals"]),
    )


def _rebuild_lane(row: list[object], lines: Iterator[Floats]) -> LaneOutline:
    kind, turn, junction, left, right, opposite, regulation = (int(str(value)) for value in row[:7])
    signals = row[7]
    if not isinstance(signals, list):
        raise TypeError("signals of a lane must be a list")
    return LaneOutline(
        kind=LaneKind(kind),
        turn=Turn(turn),
        junction=junction,
        left=left,
        right=right,
        opposite=opposite,
        regulation=Regulation(regulation),
        signals=tuple(int(value) for value in signals),
        centre=next(lines),
        left_border=next(lines),
        right_border=next(lines),
        stop_line=next(lines) if row[8] else None,
    )


def _rebuild_signal(row: list[object]) -> SignalPlan:
    name, phases, offset = row
    if not isinstance(phases, list):
        raise TypeError("phases of a signal must be a list")
    return SignalPlan(name=str(name), phases=tuple((float(d), Colour(c)) for d, c in phases), offset_s=float(str(offset)))


def _all_lines(drawing: MapOutline) -> Iterator[Floats]:
    for lane in drawing.lanes:
        yield from (lane.centre, lane.left_border, lane.right_border)
        if lane.stop_line is not None:
            yield lane.stop_line
    yield from (*drawing.crosswalks, *drawing.edges, *drawing.scenery)


def _borders(road_map: LaneMap, lane: int) -> tuple[Floats, Floats, Floats]:
    """Centreline and both borders (P, 2) of one lane."""
    points = road_map.lane_points(lane)
    centre = np.column_stack((points["x"], points["y"]))
    aside = np.column_stack((-points["sin"], points["cos"])) * points["half_width"][:, None]
    return centre, centre + aside, centre - aside


def _simplify(lines: Iterable[Floats]) -> list[Floats]:
    """Each line with the points left out that are within TOLERANCE of the rest; lines of one point are kept."""
    kept = [np.asarray(line, dtype=np.float64)[:, :2] for line in lines]
    for index, line in enumerate(kept):
        if len(line) > 2:
            kept[index] = shapely.get_coordinates(shapely.simplify(shapely.LineString(line), TOLERANCE, preserve_topology=False))
    return kept


def _lane_outline(road_map: LaneMap, lane: int, lines: list[Floats]) -> LaneOutline:
    record = road_map.lanes[lane]
    ahead = [record, *(road_map.lanes[successor] for successor in road_map.lane_successors(lane))]
    regulations = [int(entry["regulation"]) for entry in ahead if int(entry["regulation"]) != Regulation.NONE]
    return LaneOutline(
        kind=LaneKind(int(record["kind"])),
        turn=Turn(int(record["turn"])) if int(record["turn"]) >= 0 else Turn.STRAIGHT,
        junction=int(record["junction"]),
        left=int(record["left"]),
        right=int(record["right"]),
        opposite=int(record["opposite"]),
        centre=lines[0],
        left_border=lines[1],
        right_border=lines[2],
        stop_line=_stop_line(road_map.lane_points(lane), float(record["stop_s"]), float(record["spacing"])),
        regulation=Regulation(max(regulations, default=int(Regulation.NONE))),
        signals=tuple(sorted({int(entry["signal"]) for entry in ahead if int(entry["signal"]) >= 0})),
    )


def _stop_line(points: NDArray[np.void], stop_s: float, spacing: float) -> Floats | None:
    if stop_s < 0.0 or len(points) == 0:
        return None
    at = min(stop_s / spacing if spacing > 0.0 else 0.0, len(points) - 1.0)
    x, y, cos, sin, half = (
        float(np.interp(at, np.arange(len(points)), points[name])) for name in ("x", "y", "cos", "sin", "half_width")
    )
    return np.array([[x + sin * half, y - cos * half], [x - sin * half, y + cos * half]])


def signal_plan(road_map: LaneMap, index: int) -> SignalPlan:
    """The programme of a signal group of a map."""
    record = road_map.signals[index]
    phases = road_map.phases[record["phase_start"] : record["phase_start"] + record["phase_count"]]
    pairs = tuple((float(phase["duration_s"]), Colour(int(phase["colour"]))) for phase in phases)
    return SignalPlan(name=road_map.signal_names[index], phases=pairs, offset_s=float(record["offset_s"]))
