"""The map as the behaviours read it: lanes near a point, lane sequences ahead, and both as sampled paths. Nothing here changes
with time: an Atlas only remembers what it has worked out before, and answers the same when asked again.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.zones import PAIR_DTYPE, ROW, fill_table, find_zone
from sim.geometry import Floats
from sim.jit import kernel
from sim.roads.lane_map import CLASSES, FootprintClass, LaneKind, LaneMap, Regulation, Turn
from sim.roads.route import OFF_ROUTE, Route, route_steps

CELL = 6.0  # m, of the grid that finds lanes near a point
LATERAL_ACCEL = 1.8  # m/s², what the speed on curves is laid out for
EASY_BRAKE = 1.3  # m/s², with which slower places are approached
BUFFER_ROWS = 400_000  # table rows kept before starting afresh
FOLLOWING = 2
WALKED = (LaneKind.CROSSWALK, LaneKind.PATH, LaneKind.SIDEWALK)


@dataclass(frozen=True, slots=True, eq=False)
class Stop:
    """A line on a path: where the front should rest [m along the path], why, and which signal group governs it (-1 none)."""

    front: float
    regulation: int
    signal: int
    lane: int


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A sampled path; see `zones` for rows. lanes and starts: lanes under it and where each begins [m along the path]. astray:
    stretches (from, to) [m] on which it leaves its lane, and lets go first whoever is at home there."""

    key: Hashable
    rows: Floats
    lanes: tuple[int, ...] = ()
    starts: tuple[float, ...] = ()
    stops: tuple[Stop, ...] = ()
    astray: tuple[tuple[float, float], ...] = ()
    brief: bool = False
    """It is one of this tick alone, not worth laying against everybody's."""

    @property
    def gives_way(self) -> bool:
        """Whether it leaves its lane somewhere."""
        return bool(self.astray)

    @property
    def length(self) -> float:
        """Length [m]."""
        return (len(self.rows) - 1) * ROW

    def lane_at(self, s: float) -> int:
        """Lane under position s; -1 for a path off the lanes."""
        found = -1
        for lane, start in zip(self.lanes, self.starts, strict=True):
            if s >= start or found < 0:
                found = lane
        return found


@kernel
def _near_lanes(
    x: float, y: float, cos: float, sin: float, points: NDArray[np.void], lane_of: NDArray[np.int32], first: NDArray[np.int32],
    items: NDArray[np.int32], cells: NDArray[np.int64], corner: Floats, out: Floats,
) -> int:  # fmt: skip
    """Nearest sample of each lane within reach, into out (N, 6): lane, sample, left offset [m], along [m], cosine
    of the angle, squared distance."""
    column, row = int((x - corner[0]) / CELL), int((y - corner[1]) / CELL)
    count = 0
    for r in range(max(row - 1, 0), min(row + 2, cells[0])):
        for c in range(max(column - 1, 0), min(column + 2, cells[1])):
            cell = r * cells[1] + c
            for k in range(first[cell], first[cell + 1]):
                i = items[k]
                p = points[i]
                dx, dy = x - p["x"], y - p["y"]
                d2 = dx * dx + dy * dy
                if d2 > CELL * CELL:
                    continue
                place = 0
                while place < count and out[place, 0] != lane_of[i]:
                    place += 1
                if place == count:
                    if count == len(out):
                        continue
                    count += 1
                elif out[place, 5] <= d2:
                    continue
                out[place, 0], out[place, 1], out[place, 5] = lane_of[i], i, d2
                out[place, 2], out[place, 3] = dy * p["cos"] - dx * p["sin"], dx * p["cos"] + dy * p["sin"]
                out[place, 4] = cos * p["cos"] + sin * p["sin"]
    return count


@dataclass(frozen=True, slots=True)
class Place:
    """A lane that something may be on: s [m along it], left offset d [m], cosine of its heading against the lane's."""

    lane: int
    s: float
    d: float
    facing: float


@dataclass(slots=True, eq=False)
class _Grid:
    lane_of: NDArray[np.int32]
    first: NDArray[np.int32]
    items: NDArray[np.int32]
    cells: NDArray[np.int64]
    corner: Floats


def _make_grid(road_map: LaneMap) -> _Grid:
    points = road_map.points
    order = np.argsort(road_map.lanes["point_start"], kind="stable")
    lane_of = np.repeat(order.astype(np.int32), road_map.lanes["point_count"][order])
    corner = np.array([points["x"].min() - CELL, points["y"].min() - CELL])
    column = ((points["x"] - corner[0]) / CELL).astype(np.int64)
    row = ((points["y"] - corner[1]) / CELL).astype(np.int64)
    cells = np.array([row.max() + 2, column.max() + 2], np.int64)
    cell = row * cells[1] + column
    count = np.bincount(cell, minlength=int(cells[0] * cells[1]))
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
    return _Grid(lane_of, first, np.argsort(cell, kind="stable").astype(np.int32), cells, corner)


def limited(rows: Floats) -> None:
    """Lower the speed limits of a path (R, 6) in place to what curves allow and what slower places ahead can be reached with."""
    curve = np.sqrt(LATERAL_ACCEL / np.maximum(np.abs(rows[:, 5]), 1e-4))
    drop = 2.0 * EASY_BRAKE * ROW * np.arange(len(rows))
    squared = np.minimum(rows[:, 4], curve) ** 2 + drop
    rows[:, 4] = np.sqrt(np.minimum.accumulate(squared[::-1])[::-1] - drop)


def sampled(xy: Floats, limit: Floats, curvature: Floats | None = None) -> Floats:
    """Path rows (R, 6) from a polyline (P, 2) with speed limits (P,); curvature from the shape unless it is given (P,)."""
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    at = np.arange(0.0, max(s[-1], ROW) + 1e-6, ROW)
    rows = np.empty((len(at), 6))
    rows[:, 0], rows[:, 1], rows[:, 4] = np.interp(at, s, xy[:, 0]), np.interp(at, s, xy[:, 1]), np.interp(at, s, limit)
    tx, ty = np.gradient(rows[:, 0]), np.gradient(rows[:, 1])
    norm = np.maximum(np.hypot(tx, ty), 1e-9)
    rows[:, 2], rows[:, 3] = tx / norm, ty / norm
    if curvature is None:
        heading = np.unwrap(np.arctan2(rows[:, 3], rows[:, 2]))
        rows[:, 5] = np.gradient(heading, ROW) if len(at) > 2 else 0.0
    else:
        rows[:, 5] = np.interp(at, s, curvature)
    return rows


@dataclass(slots=True, eq=False)
class Atlas:
    """A map and a route, indexed; and tables between paths, kept for the next time they are asked for."""

    road_map: LaneMap
    route: Route
    steps: NDArray[np.void]
    grid: _Grid
    paths: dict[Hashable, Path] = field(default_factory=dict)
    chains: dict[int, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    turns: dict[tuple[int, ...], int] = field(default_factory=dict)
    pair_of: dict[Hashable, tuple[NDArray[np.void], NDArray[np.void]]] = field(default_factory=dict)
    rows: Floats = field(default_factory=lambda: np.empty((BUFFER_ROWS, 2)))
    used: int = 0

    @classmethod
    def of(cls, road_map: LaneMap, route: Route) -> Atlas:
        """Index a map for one route; RouteError where the map cannot carry it."""
        return cls(road_map=road_map, route=route, steps=route_steps(road_map, route), grid=_make_grid(road_map))

    def places(self, x: float, y: float, heading: float) -> list[Place]:
        """Lanes within CELL metres of a pose."""
        out = np.empty((16, 6))
        grid = self.grid
        if not (grid.corner[0] <= x < grid.corner[0] + CELL * grid.cells[1]):
            return []
        if not (grid.corner[1] <= y < grid.corner[1] + CELL * grid.cells[0]):
            return []
        cos, sin = math.cos(heading), math.sin(heading)
        points = self.road_map.points
        count = _near_lanes(x, y, cos, sin, points, grid.lane_of, grid.first, grid.items, grid.cells, grid.corner, out)
        lanes = self.road_map.lanes
        found = []
        for k in range(count):
            lane = int(out[k, 0])
            record = lanes[lane]
            s = (out[k, 1] - record["point_start"]) * record["spacing"] + out[k, 3]
            if -2.5 <= s <= record["length"] + 2.5:
                found.append(Place(lane, float(s), float(out[k, 2]), float(out[k, 4])))
        return found

    def sequences(self, lane: int) -> tuple[tuple[int, ...], ...]:
        """Lane sequences that begin with `lane`, long enough to look some seconds beyond its end; at most six."""
        if lane not in self.chains:
            limit = float(self.road_map.points["speed_limit"][self.road_map.lanes["point_start"][lane]])
            found: list[tuple[int, ...]] = []
            self._extend((lane,), max(40.0, 4.0 * limit), found)
            self.chains[lane] = tuple(found)
        return self.chains[lane]

    def first_turn(self, chain: tuple[int, ...]) -> int:
        """The first Turn other than straight on along a lane sequence; STRAIGHT where there is none."""
        if chain not in self.turns:
            ahead = (int(turn) for turn in self.road_map.lanes["turn"][list(chain)])
            self.turns[chain] = next((turn for turn in ahead if turn != Turn.STRAIGHT), int(Turn.STRAIGHT))
        return self.turns[chain]

    def _extend(self, chain: tuple[int, ...], left: float, found: list[tuple[int, ...]]) -> None:
        onward = [int(n) for n in self.road_map.lane_successors(chain[-1]) if int(n) not in chain]
        if left <= 0.0 or not onward:
            if len(found) < 6:
                found.append(chain)
            return
        for lane in onward:
            self._extend((*chain, lane), left - float(self.road_map.lanes["length"][lane]), found)

    def lane_path(self, lanes: tuple[int, ...], begin: float = 0.0, beyond: float = 0.0) -> Path:
        """The centrelines of a lane sequence from `begin` [m] on its first lane, and `beyond` metres straight on at its end."""
        key = (lanes, begin, max(beyond, 0.0))
        if key not in self.paths:
            self.paths[key] = self._lay(key, lanes, begin, beyond)
        return self.paths[key]

    def _lay(self, key: Hashable, lanes: tuple[int, ...], begin: float, beyond: float) -> Path:
        parts = [self.road_map.lane_points(lane) for lane in lanes]
        joined = np.concatenate([parts[0], *(part[1:] for part in parts[1:])])
        xy = np.stack([joined["x"], joined["y"]], axis=1)
        limit, curvature = joined["speed_limit"].astype(np.float64), joined["curvature"].astype(np.float64)
        if beyond > 0.0:
            tip = joined[-1]
            reach = np.linspace(0.0, beyond, 8)[1:, None]
            xy = np.concatenate([xy, xy[-1] + reach * np.array([[float(tip["cos"]), float(tip["sin"])]])])
            limit, curvature = np.append(limit, np.full(7, limit[-1])), np.append(curvature, np.zeros(7))
        rows = sampled(xy, limit, curvature)
        cut = min(int(begin / ROW), len(rows) - 2)
        rows = np.ascontiguousarray(rows[cut:])
        limited(rows)
        starts, stops, start = [], [], -cut * ROW
        for lane in lanes:
            record = self.road_map.lanes[lane]
            starts.append(start)
            if record["stop_s"] >= 0.0:
                stops.append(Stop(start + float(record["stop_s"]), int(record["regulation"]), int(record["signal"]), lane))
            start += float(record["length"])
        rows.setflags(write=False)
        return Path(key=key, rows=rows, lanes=lanes, starts=tuple(starts), stops=tuple(stops))

    def pair(
        self, path: Path, size: tuple[float, float], other: Path, other_size: tuple[float, float]
    ) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """PAIR_DTYPE records of `path` against `other` and the other way round, for boxes of these lengths and widths."""
        key = (path.key, size, other.key, other_size)
        found = self.pair_of.get(key)
        if found is None:
            # always worked out from the same side, so that the answer does not depend on who asked first
            if (path.lanes, size) <= (other.lanes, other_size):
                found = self._tabulate(path, size, other, other_size)
            else:
                theirs, mine = self._tabulate(other, other_size, path, size)
                found = mine, theirs
            self.pair_of[key] = found
            self.pair_of[other.key, other_size, path.key, size] = (found[1], found[0])
        return found

    def pair_ahead(
        self, path: Path, size: tuple[float, float], other: Path, other_size: tuple[float, float], s: float, other_s: float
    ) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """As `pair`, but with the first zone that neither has passed, for two at s and other_s."""
        mine, theirs = self.pair(path, size, other, other_size)
        if mine["start"][0] < 0 or (mine["leave"][0] >= s and mine["other_leave"][0] >= other_s):
            return mine, theirs
        found: list[tuple[float, float]] = []
        for record, here, there in ((mine, s, other_s), (theirs, other_s, s)):
            start, count = int(record["start"][0]), int(record["rows"][0])
            rows = self.rows[start : start + count]
            k = np.arange(count)
            free = (rows[:, 0] > rows[:, 1]) | (k * ROW < here) | (rows[:, 1] < there)
            if free.all():
                return mine, theirs
            first = int(np.argmin(free))
            after = free[first:]
            last = first + int(np.argmax(after)) - 1 if after.any() else count - 1
            found.append((first * ROW - ROW, last * ROW + ROW))
        mine, theirs = mine.copy(), theirs.copy()
        for record, own, against in ((mine, found[0], found[1]), (theirs, found[1], found[0])):
            record["enter"], record["leave"] = own
            record["other_enter"], record["other_leave"] = against
        rule = self._rule(path, mine, other)
        mine["rule"], theirs["rule"] = rule, rule if rule == FOLLOWING else -rule
        return mine, theirs

    def _tabulate(
        self, path: Path, size: tuple[float, float], other: Path, other_size: tuple[float, float]
    ) -> tuple[NDArray[np.void], NDArray[np.void]]:
        mine, theirs = np.zeros(1, PAIR_DTYPE), np.zeros(1, PAIR_DTYPE)
        mine["start"] = theirs["start"] = -1
        table = np.empty((len(path.rows), 2))
        if fill_table(path.rows, *size, other.rows, *other_size, table) == 0:
            return mine, theirs
        reverse = np.empty((len(other.rows), 2))
        if fill_table(other.rows, *other_size, path.rows, *size, reverse) == 0:
            return mine, theirs
        for record, rows, against, a, b in ((mine, table, reverse, path, other), (theirs, reverse, table, other, path)):
            find_zone(rows, against, a.rows, b.rows, record)
            record["start"], record["rows"] = self._store(rows), len(rows)
        rule = self._rule(path, mine, other)
        mine["rule"], theirs["rule"] = rule, rule if rule == FOLLOWING else -rule
        mine["lean"] = _lean(path, mine, other)
        theirs["lean"] = -mine["lean"]
        return mine, theirs

    def _store(self, rows: Floats) -> int:
        start = self.used
        if start + len(rows) > len(self.rows):
            self.rows = np.concatenate([self.rows, np.empty_like(self.rows)])
        self.rows[start : start + len(rows)] = rows
        self.used += len(rows)
        return start

    def forget(self) -> None:
        """Drop tables when there are many of them; call it only between decisions, records point into the rows."""
        if self.used > BUFFER_ROWS:
            self.pair_of.clear()
            self.paths.clear()
            self.used = 0

    def _rule(self, path: Path, pair: NDArray[np.void], other: Path) -> int:
        """Who goes first where two paths meet: by the map, and on the same road before who leaves its lane there."""
        rule = self._map_rule(path, pair, other)
        if rule == FOLLOWING or (rule == 0 and abs(pair["along"][0]) > 0.7):
            mine = _strays(path, float(pair["enter"][0]), float(pair["leave"][0]))
            theirs = _strays(other, float(pair["other_enter"][0]), float(pair["other_leave"][0]))
            return rule if mine == theirs else -1 if mine else 1
        return rule

    def _map_rule(self, path: Path, pair: NDArray[np.void], other: Path) -> int:
        """The first conflict between lanes along the zone."""
        here = _lanes_between(path, float(pair["enter"][0]), float(pair["leave"][0]))
        there = _lanes_between(other, float(pair["other_enter"][0]), float(pair["other_leave"][0]))
        for lane in here:
            for against in there:
                if lane != against:
                    record = self._conflict(lane, against)
                    if record is not None:
                        return int(record["priority"])
        return FOLLOWING if set(here) & set(there) else 0

    def priority(self, lane: int, other: int) -> int:
        """1 where the map lets who is on `lane` go before who is on `other`, -1 the reverse, 0 by arrival or where they never
        meet."""
        record = self._conflict(lane, other)
        return 0 if record is None else int(record["priority"])

    def _conflict(self, lane: int, other: int) -> np.void | None:
        lanes, clusters = self.road_map.lanes, self.road_map.clusters
        cluster = int(lanes["cluster"][lane])
        if cluster < 0 or cluster != int(lanes["cluster"][other]):
            return None
        record = clusters[cluster]
        at = int(record["matrix_start"]) + int(lanes["local"][lane]) * int(record["size"]) + int(lanes["local"][other])
        first = int(self.road_map.cluster_matrix[at])
        if first < 0:
            return None
        size = int(FootprintClass.CAR if lanes["kind"][lane] == LaneKind.DRIVING else FootprintClass.SMALL)
        found: np.void = self.road_map.conflicts[first + size * CLASSES + int(FootprintClass.CAR)]
        return found


def _strays(path: Path, low: float, high: float) -> bool:
    """Whether a path leaves its lane somewhere in [low, high]."""
    return any(start < high and end > low for start, end in path.astray)


def _lanes_between(path: Path, low: float, high: float) -> tuple[int, ...]:
    """Lanes of a path that lie under [low, high]."""
    if not path.lanes:
        return ()
    ends = (*path.starts[1:], math.inf)
    return tuple(lane for lane, a, b in zip(path.lanes, path.starts, ends, strict=True) if b > low and a < high)


def _lean(path: Path, pair: NDArray[np.void], other: Path) -> float:
    """-0.5 for a path to whose right the other comes from, or that turns left across an oncoming one; 0.5 for the reverse."""
    here, there = _approach(path, float(pair["enter"][0])), _approach(other, float(pair["other_enter"][0]))
    along, side = here[0] * there[0] + here[1] * there[1], here[0] * there[1] - here[1] * there[0]
    if along < -0.7:
        bend = _bend(path, float(pair["enter"][0])) - _bend(other, float(pair["other_enter"][0]))
        return -0.5 if bend > 0.4 else 0.5 if bend < -0.4 else 0.0
    return 0.0 if along > 0.7 else -0.5 if side > 0.0 else 0.5


def _approach(path: Path, s: float) -> tuple[float, float]:
    """Direction well before a place on a path."""
    row = path.rows[min(max(int((s - 12.0) / ROW), 0), len(path.rows) - 1)]
    return float(row[2]), float(row[3])


def _bend(path: Path, s: float) -> float:
    """Change of heading [rad] around a place, left positive."""
    first, last = max(0, int((s - 12.0) / ROW)), int((s + 15.0) / ROW)
    return float(np.sum(path.rows[first:last, 5]) * ROW)


def needs_stop(regulation: int) -> bool:
    """Whether a sign asks everybody to stop at the line."""
    return regulation in (Regulation.STOP, Regulation.ALL_WAY_STOP)


def on_route(atlas: Atlas, lane: int) -> bool:
    """Whether the route can be followed from `lane`."""
    return bool(atlas.steps["side"][lane] != OFF_ROUTE)
