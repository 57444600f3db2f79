"""Little worlds for the tests of the simulator: a busy crossing for whole runs, and a bare stage for single kernels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim.interface import SPECS, Kind, VehicleSpec
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneMap, MapDraft
from sim.roads.route import WALKING, Route, shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.setup import empty_state, fill_body, fill_mind, prepare_roads
from sim.state import Status
from sim.world import World
from tests.sim.roads.maps import built

ARMS = ("east", "north", "west", "south")
KINDS = (Kind.CAR, Kind.CAR, Kind.TRUCK, Kind.BICYCLE, Kind.VAN, Kind.CAR)


class Stage:
    """One world whose bodies are put where a test wants them; nobody moves unless a test calls a kernel."""

    def __init__(self, road_map: LaneMap, slots: int = 8, routes: Sequence[Route] = (), friction: float = 0.9) -> None:
        self.road_map = road_map
        self.roads = prepare_roads([road_map], [list(routes)]).roads
        self.state = empty_state(1, slots, max(len(road_map.clusters), 1))
        world = self.state.worlds[0]
        world["friction"], world["visibility"], world["wall_end"] = friction, 150.0, len(self.roads.walls)
        world["lane_end"] = len(road_map.lanes)
        self.bodies, self.minds, self.events = self.state.bodies[0], self.state.minds[0], self.state.events[0]

    @property
    def tick(self) -> int:
        return int(self.state.worlds["tick"][0])

    def put(
        self, x: float, y: float, heading: float = 0.0, speed: float = 0.0, kind: Kind = Kind.CAR,
        spec: VehicleSpec | None = None, lane: int = -1, s: float = 0.0, **fields: float,
    ) -> int:  # fmt: skip
        """A new active body; `fields` overwrite its record."""
        slot = int(self.state.worlds["actors"][0])
        self.state.worlds["actors"][0] = slot + 1
        body, mind = self.bodies[slot], self.minds[slot]
        fill_body(body, SPECS[kind] if spec is None else spec)
        fill_mind(mind, kind, "normal", 1, slot)
        body["status"], body["model"] = Status.ACTIVE, Model.EXTERNAL
        body["x"], body["y"], body["heading"], body["speed"] = x, y, heading, speed
        body["cos"], body["sin"] = np.cos(heading), np.sin(heading)
        body["vx"], body["vy"] = speed * np.cos(heading), speed * np.sin(heading)
        if lane >= 0:
            body["hypothesis_count"] = 1
            body["hypothesis_lane"][0], body["hypothesis_s"][0] = lane, s
        for name, value in fields.items():
            body[name] = value
        return slot

    def put_on(self, lane_name: str, s: float, d: float = 0.0, turned: float = 0.0, **fields: float) -> int:
        """A new body at s, d [m] of a lane, turned [rad] against it; keywords as for `put`."""
        lane = self.road_map.lane(lane_name)
        x, y, heading = lane_pose(self.road_map, lane, s, d)
        return self.put(x, y, heading + turned, lane=lane, s=s, **fields)  # type: ignore[arg-type]


def lane_pose(road_map: LaneMap, lane: int, s: float, d: float = 0.0) -> tuple[float, float, float]:
    """x, y, heading at s, d of a lane, along the tangent of its nearest sample."""
    spacing = float(road_map.lanes["spacing"][lane])
    points = road_map.lane_points(lane)
    index = min(max(round(s / spacing), 0), len(points) - 1)
    point, along = points[index], s - index * spacing
    cos, sin = np.cos(float(point["heading"])), np.sin(float(point["heading"]))
    return float(point["x"] + along * cos - d * sin), float(point["y"] + along * sin + d * cos), float(point["heading"])


def moved(draft: MapDraft, angle: float, shift: tuple[float, float]) -> MapDraft:
    """The same map turned by `angle` about the origin, then shifted."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])

    def at(points: np.ndarray) -> np.ndarray:
        return np.asarray(points)[:, :2] @ turn + np.asarray(shift)

    return replace(
        draft,
        lanes=[replace(lane, centreline=at(lane.centreline)) for lane in draft.lanes],
        crosswalks=[replace(one, outline=at(one.outline)) for one in draft.crosswalks],
        extra_drivable=[at(outline) for outline in draft.extra_drivable],
        scenery=[at(outline) for outline in draft.scenery],
    )


def crossing() -> LaneMap:
    """A four-way stop with crosswalks; the same object every time."""
    return built("four_way", control="all_way", crosswalks=True)


def crossing_moved(angle: float, shift: tuple[float, float]) -> LaneMap:
    """`crossing`, moved rigidly."""
    return assemble(moved(BUILDERS["four_way"](control="all_way", crosswalks=True), angle, shift))


def through(road_map: LaneMap, start: str, end: str, lane: int = 0) -> Route:
    """From one arm of a junction to another."""
    return shortest_route(road_map, road_map.lane(f"{start}_in_{lane}"), road_map.lane(f"{end}_out_{lane}"))


def on_foot(road_map: LaneMap, draw: np.random.Generator) -> Route:
    """From one sidewalk to another, over at least one crosswalk where it can be had."""
    walks = [k for k, name in enumerate(road_map.lane_names) if "_walk_" in name]
    for _ in range(50):
        start, end = (int(k) for k in draw.choice(walks, 2, replace=False))
        try:
            route = shortest_route(road_map, start, end, kinds=WALKING)
        except ValueError:
            continue
        if len(route.lanes) >= 3:
            return route
    raise AssertionError(f"no walk found on {road_map.name!r}")


def busy(seed: int, road_map: LaneMap | None = None, cars: int = 8, people: int = 3, **fields: object) -> Scenario:
    """Vehicles of several kinds, people on foot, a replayed car, a parked one and a bag on a four-way stop."""
    road_map = crossing() if road_map is None else road_map
    draw = np.random.default_rng(seed)
    actors = []
    for k in range(cars):
        start, end = (int(arm) for arm in draw.choice(4, 2, replace=False))
        route = through(road_map, ARMS[start], ARMS[end])
        kind, s, wait = KINDS[k % len(KINDS)], float(draw.uniform(5.0, 40.0)), float(draw.uniform(0.0, 10.0))
        actors.append(Actor(name=f"v{k}", kind=kind, route=route, s=s, speed=4.0, depart_s=wait))
    for k in range(people):
        route = on_foot(road_map, draw)
        actors.append(Actor(name=f"p{k}", kind=Kind.PEDESTRIAN, model=Model.PEDESTRIAN, route=route, depart_s=2.0 * k))
    x, y, heading = lane_pose(road_map, road_map.lane("north_out_0"), 60.0)
    log = np.array(
        [[t, x + 2.0 * t * np.cos(heading), y + 2.0 * t * np.sin(heading), heading, 2.0] for t in np.linspace(0.0, 5.0, 6)]
    )
    actors.append(Actor(name="logged", model=Model.REPLAY, track=log))
    actors.append(Actor(name="parked", model=Model.STILL, pose=lane_pose(road_map, road_map.lane("east_in_0"), 10.0, -3.2)))
    bag = lane_pose(road_map, road_map.lane("west_in_0"), 50.0)
    actors.append(Actor(name="bag", kind=Kind.OBJECT, model=Model.STILL, pose=bag, thing="plastic_bag", drive_through=True))
    return Scenario(name="busy", road_map=road_map, actors=tuple(actors), seed=seed, **fields)  # type: ignore[arg-type]


def body_hash(world: World, w: int) -> str:
    """Hash of every byte of the bodies of one world, unused slots left out. Comparable where maps are the same objects."""
    count = len(world.scenarios[w].actors)
    return hashlib.sha256(world.state.bodies[w, :count].tobytes()).hexdigest()


def hash_after(seed: int, ticks: int = 500) -> str:
    """`body_hash` of `busy(seed)` alone in a world, and its trace hash."""
    world = World([busy(seed)])
    for _ in range(ticks):
        world.step()
    return f"{body_hash(world, 0)} {world.trace_hash(0)}"
