"""A short street with a crosswalk and a path across it, and a hand-made world on it for the kernels of single modules.

The street runs east-west along y = 0, one lane each way; the crosswalk crosses it northwards at x = 0 and the path at x = 30,
both between sidewalks. Vehicles are scripted: they hold their speed, or do what their script says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sim.interface import SPECS, Kind
from sim.roads.assemble import assemble
from sim.roads.lane_map import LaneDraft, LaneKind, LaneMap, MapDraft
from sim.roads.pack import Packed, pack
from sim.roads.route import Route
from sim.scenario import Model
from sim.state import (
    BODY_DTYPE,
    EVENT_DTYPE,
    EVENTS,
    HISTORY,
    MIND_DTYPE,
    NEIGHBOURS,
    PATH_DTYPE,
    SEEN_DTYPE,
    SIGHT_DTYPE,
    SPOT_DTYPE,
    WORLD_DTYPE,
    ZONE_DTYPE,
    Status,
    WorldState,
)
from sim.traffic.pedestrian import localise_pedestrian, move_pedestrian, walk

DT = 0.05
WALKS = {
    "cross": ("walk_in", "cross", "walk_out"),
    "path": ("path_in", "path", "path_out"),
    "east": ("east",),
    "west": ("west",),
    "along": ("walk_in",),
    "back": ("walk_back",),
}


def _line(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    return np.linspace(start, end, 2 + int(np.hypot(end[0] - start[0], end[1] - start[1])))


def _turned(draft: LaneDraft, angle: float, shift: tuple[float, float]) -> LaneDraft:
    cos, sin = np.cos(angle), np.sin(angle)
    turned = draft.centreline @ np.array([[cos, sin], [-sin, cos]]) + np.array(shift)
    fields = {name: getattr(draft, name) for name in draft.__slots__}
    return LaneDraft(**{**fields, "centreline": turned})


def draft_street(angle: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)) -> MapDraft:
    """The street, turned by `angle` about the origin and then shifted."""
    kerb = 3.7
    placed = {
        "east": ((-200.0, -1.75), (200.0, -1.75), 1.75, LaneKind.DRIVING, ()),
        "west": ((200.0, 1.75), (-200.0, 1.75), 1.75, LaneKind.DRIVING, ()),
        "walk_in": ((0.0, -20.0), (0.0, -kerb), 1.5, LaneKind.SIDEWALK, ("cross",)),
        "walk_back": ((0.0, -kerb), (0.0, -20.0), 1.5, LaneKind.SIDEWALK, ()),
        "cross": ((0.0, -kerb), (0.0, kerb), 2.0, LaneKind.CROSSWALK, ("walk_out",)),
        "walk_out": ((0.0, kerb), (0.0, 20.0), 1.5, LaneKind.SIDEWALK, ()),
        "path_in": ((30.0, -20.0), (30.0, -kerb), 1.5, LaneKind.SIDEWALK, ("path",)),
        "path": ((30.0, -kerb), (30.0, kerb), 1.5, LaneKind.PATH, ("path_out",)),
        "path_out": ((30.0, kerb), (30.0, 20.0), 1.5, LaneKind.SIDEWALK, ()),
    }
    against = {"east": "west", "west": "east"}
    lanes = [
        LaneDraft(
            name=name, centreline=_line(start, end), half_width=half, kind=kind, successors=following, opposite=against.get(name)
        )
        for name, (start, end, half, kind, following) in placed.items()
    ]
    return MapDraft(name="street", lanes=[_turned(lane, angle, shift) for lane in lanes])


def _pack(road_map: LaneMap) -> tuple[Packed, dict[str, int]]:
    routes = []
    for names in WALKS.values():
        lanes = tuple(road_map.lane(name) for name in names)
        routes.append(Route(lanes=lanes, goal_s=float(road_map.lanes[lanes[-1]]["length"]) - 2.0))
    return pack([road_map], [routes]), {name: index for index, name in enumerate(WALKS)}


@dataclass
class Street:
    """One world of `slots` slots on the street; add bodies, then `step`."""

    road_map: LaneMap
    packed: Packed
    route_of: dict[str, int]
    slots: int = 8
    count: int = 0
    scripts: dict[int, Callable[[Street, int], float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (1, self.slots)
        self.state = WorldState(
            bodies=np.zeros(shape, BODY_DTYPE),
            minds=np.zeros(shape, MIND_DTYPE),
            history=np.zeros((1, HISTORY, self.slots), SEEN_DTYPE),
            neighbours=np.zeros((1, self.slots, 1 + NEIGHBOURS), np.int16),
            visible=np.zeros((1, self.slots, NEIGHBOURS), np.uint8),
            worlds=np.zeros(1, WORLD_DTYPE),
            zones=np.zeros((1, max(len(self.road_map.clusters), 1)), ZONE_DTYPE),
            events=np.zeros((1, EVENTS), EVENT_DTYPE),
            order=np.zeros(shape, np.int16),
            spots=np.zeros(shape, SPOT_DTYPE),
            paths=np.zeros(1, PATH_DTYPE),
            sights=np.zeros(1, SIGHT_DTYPE),
        )
        self.state.bodies["status"] = Status.UNUSED
        self.state.worlds["visibility"] = 150.0
        self.state.worlds["actors"] = self.slots
        self.history: list[np.ndarray] = []

    @property
    def roads(self) -> Any:
        return self.packed.roads

    @property
    def bodies(self) -> np.ndarray:
        return self.state.bodies[0]

    @property
    def minds(self) -> np.ndarray:
        return self.state.minds[0]

    def _body(self, kind: Kind, model: Model, pose: Sequence[float], speed: float) -> int:
        slot, spec = self.count, SPECS[kind]
        self.count += 1
        body = self.bodies[slot]
        x, y, heading = pose
        cos, sin = np.cos(heading), np.sin(heading)
        values = {
            "x": x, "y": y, "heading": heading, "cos": cos, "sin": sin, "speed": speed, "vx": speed * cos, "vy": speed * sin,
            "kind": kind, "model": model, "status": Status.ACTIVE, "size_class": 0 if kind >= Kind.MOTORCYCLE else 1,
            "rear_to_centre": spec.rear_to_centre, "radius": 0.5 * np.hypot(spec.length, spec.width),
            "standing_since": 0 if abs(speed) < 0.3 else -1, "finished_tick": -1,
        }  # fmt: skip
        for name, value in values.items():
            body[name] = value
        for name in ("length", "width", "height", "accel_max", "brake_max", "jerk_max", "speed_max"):
            body[name] = getattr(spec, name)
        self.minds["route"][slot] = -1
        return slot

    def pose(self, lane: int, s: float, d: float = 0.0) -> tuple[float, float, float]:
        spacing = float(self.road_map.lanes[lane]["spacing"])
        index = round(s / spacing)
        point = self.road_map.lane_points(lane)[index]
        cos, sin = np.cos(float(point["heading"])), np.sin(float(point["heading"]))
        ahead = s - index * spacing
        return point["x"] + ahead * cos - d * sin, point["y"] + ahead * sin + d * cos, float(point["heading"])

    def walker(self, route: str, s: float = 0.0, d: float = 0.0, **mind: float) -> int:
        """A pedestrian at s, d of its route's first lane, walking; keywords override its mind's constants."""
        lane = self.road_map.lane(WALKS[route][0])
        slot = self._body(Kind.PEDESTRIAN, Model.PEDESTRIAN, self.pose(lane, s, d), 1.3)
        values = {"walk_speed": 1.34, "response_ticks": 5, "patience_s": 3.0, "assertiveness": 0.5, **mind}
        for name, value in values.items():
            self.minds[name][slot] = value
        self.minds["route"][slot], self.minds["lane"][slot], self.minds["s"][slot] = self.route_of[route], lane, s
        self.minds["d"][slot] = d
        return slot

    def car(self, route: str, s: float, speed: float, script: Callable[[Street, int], float] | None = None) -> int:
        """A car at s of lane `route`; `script(street, slot)` gives its acceleration, none keeps its speed."""
        lane = self.road_map.lane(route)
        slot = self._body(Kind.CAR, Model.EXTERNAL, self.pose(lane, s), speed)
        self.minds["route"][slot], self.minds["lane"][slot], self.minds["s"][slot] = self.route_of[route], lane, s
        self.bodies["hypothesis_count"][slot] = 1
        self.bodies["hypothesis_lane"][slot, 0], self.bodies["hypothesis_s"][slot, 0] = lane, s
        if script is not None:
            self.scripts[slot] = script
        return slot

    def show(self) -> None:
        """Write this tick into the history (and, at the start, the past), and everybody into everybody's neighbour list."""
        tick = int(self.state.worlds["tick"][0])
        rows = range(HISTORY) if tick == 0 else [tick % HISTORY]
        for name in SEEN_DTYPE.names or ():
            for row in rows:
                self.state.history[0, row][name] = self.bodies[name]
        active = np.flatnonzero(self.bodies["status"] == Status.ACTIVE)
        for a in active:
            gaps = np.hypot(self.bodies["x"][active] - self.bodies["x"][a], self.bodies["y"][active] - self.bodies["y"][a])
            near = active[np.argsort(gaps, kind="stable")]
            near = near[near != a][:NEIGHBOURS]
            self.state.neighbours[0, a, 0] = len(near)
            self.state.neighbours[0, a, 1 : 1 + len(near)] = near
            self.state.visible[0, a, : len(near)] = 1

    def _drive(self, slot: int) -> None:
        body = self.bodies[slot]
        accel = self.scripts[slot](self, slot) if slot in self.scripts else 0.0
        before = float(body["speed"])
        after = max(before + 0.1 * accel, 0.0)
        body["accel"], body["speed"] = (after - before) / 0.1, after
        moved = 0.05 * (before + after)
        body["x"] += moved * body["cos"]
        body["y"] += moved * body["sin"]
        body["vx"], body["vy"] = after * body["cos"], after * body["sin"]
        body["hypothesis_s"][0] += moved
        self.minds["s"][slot] += moved
        tick = int(self.state.worlds["tick"][0])
        body["standing_since"] = -1 if after > 0.3 else max(int(body["standing_since"]), 0) or tick
        if body["hypothesis_s"][0] > 398.0:
            body["status"] = Status.FINISHED

    def step(self, ticks: int = 1) -> None:
        """Advance everybody; walkers that reach their goal are FINISHED."""
        for _ in range(ticks):
            self.show()
            active = np.flatnonzero(self.bodies["status"] == Status.ACTIVE)
            walkers = [int(a) for a in active if self.bodies["model"][a] == Model.PEDESTRIAN]
            for a in walkers:
                walk(self.state, self.roads, 0, a)
            for a in walkers:
                move_pedestrian(self.state, self.roads, 0, a, DT)
                move_pedestrian(self.state, self.roads, 0, a, DT)
                localise_pedestrian(self.state, self.roads, 0, a)
                if self.minds["to_goal"][a] <= 0.0:
                    self.bodies["status"][a] = Status.FINISHED
            for slot in active:
                if self.bodies["model"][slot] == Model.EXTERNAL:
                    self._drive(int(slot))
            self.state.worlds["tick"] += 1
            self.history.append(self.bodies.copy())

    def run(self, slot: int, ticks: int) -> bool:
        """Step until `slot` is done; False if it is not after `ticks`."""
        for _ in range(ticks):
            if self.bodies["status"][slot] == Status.FINISHED:
                return True
            self.step()
        return bool(self.bodies["status"][slot] == Status.FINISHED)


@pytest.fixture(scope="session")
def street_at() -> Callable[..., Callable[..., Street]]:
    """street_at(angle, shift)() makes an empty world on a street moved rigidly; maps are made once."""
    known: dict[tuple[float, tuple[float, float]], tuple[LaneMap, Packed, dict[str, int]]] = {}

    def make(angle: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)) -> Callable[..., Street]:
        if (angle, shift) not in known:
            road_map = assemble(draft_street(angle, shift))
            known[angle, shift] = (road_map, *_pack(road_map))
        return lambda slots=8: Street(*known[angle, shift], slots=slots)

    return make


@pytest.fixture
def street(street_at: Callable[..., Callable[..., Street]]) -> Callable[..., Street]:
    """street(slots=8) makes an empty world on the street."""
    return street_at()
