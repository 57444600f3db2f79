"""The map that everybody drives on: lanes as uniformly sampled centrelines, the graph between them, and the conflict tables.

World frame, SI, radians. The arrays are structured so that a kernel loads one record per look-up; `LaneMap` is immutable and
made by `sim.roads.assemble.assemble` from `LaneDraft`s, whoever read or built them. Lane indices are positions in `lanes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sim.interface import Colour, Floats

POINT_SPACING = 0.5  # m, nominal distance between centreline samples
TABLE_SPACING = 0.25  # m, rows of a conflict table


class LaneKind(IntEnum):
    """What a lane is for. PATH is a pedestrian's own line off the crosswalks (jaywalking)."""

    DRIVING = 0
    CYCLE = 1
    SIDEWALK = 2
    CROSSWALK = 3
    SHOULDER = 4
    PARKING = 5
    PATH = 6


class Regulation(IntEnum):
    """Control at the end of an approach lane."""

    NONE = 0
    STOP = 1
    ALL_WAY_STOP = 2
    YIELD = 3
    SIGNAL = 4


class Turn(IntEnum):
    """Where a lane through a junction leads, seen from its start."""

    STRAIGHT = 0
    LEFT = 1
    RIGHT = 2
    U_TURN = 3


class ConflictKind(IntEnum):
    """How two lanes meet: crossing, ending in the same lane, starting from the same lane, or head-on along a shared strip."""

    CROSS = 0
    MERGE = 1
    DIVERGE = 2
    OPPOSE = 3


class FootprintClass(IntEnum):
    """Size classes of the conflict tables."""

    SMALL = 0
    CAR = 1
    LARGE = 2


CLASS_SIZES = np.array([[2.2, 0.8], [5.0, 2.0], [12.0, 2.55]])
"""(3, 2) length and width [m] of the box swept for each FootprintClass."""
CLASS_REAR_TO_CENTRE = np.array([0.7, 1.4, 2.7])
"""(3,) rear axle to centre [m] of each FootprintClass: a box on a curve is turned inward by asin(rear_to_centre * curvature)."""
CLASSES = 3

POINT_DTYPE = np.dtype(
    [
        ("x", "f8"), ("y", "f8"), ("z", "f4"), ("heading", "f4"), ("cos", "f4"), ("sin", "f4"), ("curvature", "f4"),
        ("half_width", "f4"), ("room_left", "f4"), ("room_right", "f4"), ("speed_limit", "f4"), ("curve_room", "f4"),
        # fills a whole cache line
        ("unused", "f4", (2,)),
    ],
    align=True,
)  # fmt: skip
"""One centreline sample. room_left/right: distance [m] from the centreline to the drivable edge (capped at ROOM_CAP). curve_room
[m]: squared curve speed per unit of lateral acceleration, already looking ahead along the lane; filled by
`sim.traffic.curves`."""
ROOM_CAP = 15.0

LANE_DTYPE = np.dtype(
    [
        ("point_start", "i4"), ("point_count", "i4"), ("length", "f8"), ("spacing", "f8"), ("kind", "i4"),
        ("successor_start", "i4"), ("successor_count", "i4"), ("predecessor_start", "i4"), ("predecessor_count", "i4"),
        ("left", "i4"), ("right", "i4"), ("opposite", "i4"),
        ("junction", "i4"), ("turn", "i4"), ("regulation", "i4"), ("signal", "i4"), ("stop_s", "f4"),
        ("cluster", "i4"), ("local", "i4"), ("entry_start", "i4"), ("entry_count", "i4"),
    ],
    align=True,
)  # fmt: skip
"""One lane. -1 = none for every index. left/right: neighbour in the same direction; opposite: the next lane over against us.
regulation, signal: on a lane through a junction (copied from its approach where that is where they were given).
stop_s: on an approach lane, where the front bumper should rest; -1 where there is no line.
cluster, local: the set of mutually conflicting lanes it belongs to, and its index there."""

ENTRY_DTYPE = np.dtype([("lane", "i4"), ("turn", "i4"), ("distance", "f4"), ("line", "f4")], align=True)
"""A lane with conflicts that is reachable ahead: distance [m] from this lane's start to that lane's start (0 for itself), the
Turn of the first branch taken on the way (-1 when no branch was passed), and the distance to the last stop line on the lanes
between (-1 where there is none)."""
ENTRY_HORIZON = 120.0  # m

CLUSTER_DTYPE = np.dtype([("matrix_start", "i4"), ("size", "i4"), ("x", "f8"), ("y", "f8"), ("radius", "f4")], align=True)

CONFLICT_DTYPE = np.dtype(
    [
        ("kind", "i4"), ("priority", "i4"), ("enter", "f4"), ("leave", "f4"), ("other_enter", "f4"), ("other_leave", "f4"),
        ("row_start", "i8"), ("row_first", "i4"), ("row_count", "i4"),
    ],
    align=True,
)  # fmt: skip
"""One ordered (lane, other lane, class, other class). enter..leave: centre positions s [m] on this lane at which a box can
overlap some box on the other; other_*: the same on the other lane. Row k of the table belongs to s = (row_first + k) *
TABLE_SPACING and holds the interval [low, high] of the other's s that overlaps (low > high: free). priority: +1 this lane goes
first, -1 it yields, 0 by arrival."""

SIGNAL_DTYPE = np.dtype([("phase_start", "i4"), ("phase_count", "i4"), ("cycle_s", "f4"), ("offset_s", "f4")], align=True)
PHASE_DTYPE = np.dtype([("duration_s", "f4"), ("colour", "i4")], align=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPlan:
    """Fixed-time programme of one signal group: ((duration_s, colour), ...) repeated from `offset_s`."""

    name: str
    phases: tuple[tuple[float, Colour], ...]
    offset_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDraft:
    """One lane as a reader or a builder knows it, before assembly.

    centreline: (P, 2) or (P, 3) points in driving direction, any spacing <= 2 m on curves; half_width: scalar or (P,).
    speed_limit: scalar or (P,) [m/s]. successors, left, right, opposite: names of other drafts. road: name of the road for
    messages. stop_s: distance [m] from the lane's start of a stop line, or None for "at the end" where regulated. regulation,
    signal: may be given on the approach lane (all its successors take them) or on the connecting lane itself. yields_to: names of
    junction lanes that this one must let pass (a reader's explicit priority); empty = derive from rules.
    """

    name: str
    centreline: Floats
    half_width: float | Floats
    kind: LaneKind = LaneKind.DRIVING
    speed_limit: float | Floats = 13.9
    successors: tuple[str, ...] = ()
    left: str | None = None
    right: str | None = None
    opposite: str | None = None
    junction: str | None = None
    regulation: Regulation = Regulation.NONE
    signal: str | None = None
    stop_s: float | None = None
    road: str = ""
    yields_to: tuple[str, ...] = ()
    priority_road: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Crosswalk:
    """A marked crossing: its outline (K, 2) and the names of the lanes pedestrians walk on it."""

    outline: Floats
    lanes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MapDraft:
    """Everything a reader or a builder hands to `assemble`. Points may be anywhere: assembly re-centres and keeps `origin`."""

    name: str
    lanes: Sequence[LaneDraft]
    signals: Sequence[SignalPlan] = ()
    crosswalks: Sequence[Crosswalk] = ()
    left_hand_traffic: bool = False
    priority_to_right: bool = True
    warnings: Sequence[str] = ()
    extra_drivable: Sequence[Floats] = ()
    scenery: Sequence[Floats] = ()
    """Outlines (K, 2) of things that block sight (buildings, hedges)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneMap:
    """A finished, read-only map; see the dtypes above for columns. Names are for people, indices for code."""

    name: str
    lanes: NDArray[np.void]
    points: NDArray[np.void]
    successors: NDArray[np.int32]
    predecessors: NDArray[np.int32]
    entries: NDArray[np.void]
    clusters: NDArray[np.void]
    cluster_matrix: NDArray[np.int32]
    """Flat; clusters[c].matrix_start + local_i * size + local_j -> first of CLASSES² rows of `conflicts` (class * CLASSES +
    other), or -1."""
    conflicts: NDArray[np.void]
    conflict_rows: NDArray[np.float32]
    signals: NDArray[np.void]
    phases: NDArray[np.void]
    lane_names: tuple[str, ...]
    road_names: tuple[str, ...]
    junction_names: tuple[str, ...]
    signal_names: tuple[str, ...]
    crosswalks: tuple[Crosswalk, ...]
    edges: tuple[Floats, ...]
    """Polylines (K, 2) along the border of the drivable area."""
    scenery: tuple[Floats, ...]
    origin: tuple[float, float]
    """Offset [m] that was subtracted from every point on load."""
    left_hand_traffic: bool
    warnings: tuple[str, ...] = ()
    dangling: tuple[int, ...] = field(default=())
    """Driving lanes whose successor is missing although the file connects their road onwards."""

    def lane(self, name: str) -> int:
        """Index of the lane called `name`; KeyError names the nearest existing one."""
        try:
            return self.lane_names.index(name)
        except ValueError:
            import difflib

            near = difflib.get_close_matches(name, self.lane_names, n=1)
            raise KeyError(f"no lane {name!r} in map {self.name!r}" + (f"; did you mean {near[0]!r}?" if near else "")) from None

    def lane_points(self, lane: int) -> NDArray[np.void]:
        """(P,) view of POINT_DTYPE along one lane."""
        record = self.lanes[lane]
        return self.points[record["point_start"] : record["point_start"] + record["point_count"]]

    def lane_successors(self, lane: int) -> NDArray[np.int32]:
        """(S,) lanes that follow."""
        record = self.lanes[lane]
        return self.successors[record["successor_start"] : record["successor_start"] + record["successor_count"]]
