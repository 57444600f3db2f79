"""A batch of worlds: scenarios in, ticks out.

`World` owns the arrays of `sim.state` and steps them with the kernels of `sim.kernels`. Worlds never influence each other: world
i of a batch equals world i alone, whatever the number of threads.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.geometry import wrap_angle
from sim.interface import Indicator, Kind, SensorFrame
from sim.jit import entry_point, kernel
from sim.kernels import step_worlds
from sim.observe import SIZE, observe_world
from sim.rng import Purpose, generator
from sim.roads.lane_map import LaneMap
from sim.roads.pack import Packed, Roads
from sim.roads.route import Route
from sim.scenario import Actor, Model, Scenario
from sim.sensors import faults, objects
from sim.sensors.state import sense
from sim.sensors.things import thing_index
from sim.setup import CYCLING, empty_state, fill_body, fill_mind, prepare_roads
from sim.state import CONTROL_DTYPE, EVENTS, Status, WorldState
from sim.traffic.replay import pack_tracks

if TYPE_CHECKING:
    from sim.sensors.lidar import Scenery

_HASH_BYTES = 16


@kernel
def _observe(state: WorldState, roads: Roads, first: int, last: int, out: NDArray[np.float32]) -> None:
    for w in range(first, last):
        observe_world(state, roads, w, out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything of a `World` that changes: its state, the controls still on their way, the hashes of the way so far, and what
    faulty sensors still show."""

    state: WorldState
    pending: tuple[NDArray[np.void], ...]
    hashes: tuple[bytes, ...]
    frames: tuple[faults.FaultMemory, ...] = ()


class World:
    """W scenarios stepped together, one tick of 0.1 s at a time.

    threads: worlds are split over this many threads; results do not depend on it. traced: keep the hashes that `trace_hash`
    gives. Raises ValueError for a scenario that cannot be set up.
    """

    def __init__(self, scenarios: Sequence[Scenario], *, threads: int = 1, traced: bool = True) -> None:
        if not scenarios:
            raise ValueError("World needs at least one scenario")
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads!r}")
        self.scenarios = tuple(scenarios)
        self.road_maps: tuple[LaneMap, ...] = tuple(scenario.road_map for scenario in scenarios)
        self._packed = _pack(self.scenarios)
        self.roads = self._packed.roads
        self.slots = max(len(scenario.actors) for scenario in scenarios)
        self.state = empty_state(len(scenarios), self.slots, max(len(self.roads.clusters), 1))
        self._tracks, starts, lengths = pack_tracks(self.scenarios)
        self._track_starts = starts
        for w, scenario in enumerate(scenarios):
            lengths[w, [a for a, actor in enumerate(scenario.actors) if actor.model == Model.REPLAY and actor.driver]] = 0
        self.state.minds["track"], self.state.minds["track_length"] = starts, lengths
        self._idle = np.zeros((len(scenarios), self.slots), CONTROL_DTYPE)
        latencies = {scenario.latency_ticks for scenario in scenarios}
        if len(latencies) > 1:
            raise ValueError(f"all scenarios of a batch need the same latency_ticks, got {sorted(latencies)}")
        self._pending: deque[NDArray[np.void]] = deque([self._idle] * latencies.pop())
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._ranges = [
            (int(part[0]), int(part[-1]) + 1) for part in np.array_split(np.arange(len(scenarios)), threads) if len(part)
        ]
        rows = np.zeros((*self.state.bodies.shape, SIZE), np.float32)
        self._step = entry_point(step_worlds, self.state, self.roads, self._tracks, self._idle, 0, 1)
        self._fill = entry_point(_observe, self.state, self.roads, 0, 1, rows)
        self._sceneries: dict[int, Scenery] = {}
        self._frames = [faults.FaultMemory() for _ in scenarios]
        self._traced = traced
        self._hashes = [bytes(_HASH_BYTES) for _ in scenarios]
        self._bound = [
            [a for a, actor in enumerate(scenario.actors) if actor.route is not None and actor.model != Model.STILL]
            for scenario in scenarios
        ]
        for w, scenario in enumerate(self.scenarios):
            self._place(w, scenario)

    @property
    def tracks(self) -> NDArray[np.float64]:
        """What REPLAY actors follow, see `sim.traffic.replay.pack_tracks`."""
        return self._tracks

    @property
    def tick(self) -> int:
        """Ticks stepped so far."""
        return int(self.state.worlds["tick"][0])

    def step(self, controls: NDArray[np.void] | None = None) -> None:
        """Advance every world by one tick; `controls` (W, A) of CONTROL_DTYPE for EXTERNAL actors, acting after the latency."""
        if controls is not None:
            self._check_controls(controls)
        if self._pending:
            self._pending.append(self._idle if controls is None else controls.copy())
            acting = self._pending.popleft()
        else:
            acting = self._idle if controls is None else np.ascontiguousarray(controls)
        step, state, roads, tracks = self._step, self.state, self.roads, self._tracks
        self._for_ranges(lambda first, last: step(state, roads, tracks, acting, first, last))
        if self._traced:
            self._hashes = [_chained(so_far, self.state_bytes(w)) for w, so_far in enumerate(self._hashes)]

    def put_next(self, world: int, actor: int, pose: tuple[float, float, float], speed: float) -> None:
        """Say where a REPLAY actor will be at the next tick: one whose track is made while the world runs, tick by tick.

        Its scenario's track has a row for every tick from 0 on; a tick without a call after the first one ends it.
        """
        mind = self.state.minds[world, actor]
        row = int(self._track_starts[world, actor]) + self.tick + 1
        if mind["track_length"] == 0:
            mind["track"] = row
        mind["track_length"] = row - int(mind["track"]) + 1
        self._tracks[row, 1:] = (*pose, speed)

    def release(self, world: int, actor: int, pace: float) -> None:
        """Let a REPLAY actor with a route go: from the next tick on it drives itself, wanting `pace` times the speed limit."""
        body, mind = self.state.bodies[world, actor], self.state.minds[world, actor]
        if mind["route"] < 0:
            raise ValueError(f"actor {actor} has no route to go on by")
        body["model"] = Model.NEGOTIATOR
        body["command_accel"] = body["accel"]
        spec = self.scenarios[world].actors[actor].body
        speed = max(float(body["speed"]), 1.0)
        steer = np.arctan(float(body["yaw_rate"]) * spec.wheelbase / speed)
        body["steer"] = body["command_steer"] = np.clip(steer, -spec.steer_max, spec.steer_max)
        mind["speed_factor"] = pace

    def take(self, world: int, actor: int) -> None:
        """Let Controls drive a vehicle, whoever did so: from the next tick on. Raises ValueError for what nobody can steer."""
        body, mind = self.state.bodies[world, actor], self.state.minds[world, actor]
        if body["kind"] in (Kind.PEDESTRIAN, Kind.OBJECT) or body["model"] == Model.STILL or mind["route"] < 0:
            raise ValueError(f"actor {actor} cannot be driven: it is no vehicle, or has no route")
        body["model"] = Model.EXTERNAL
        body["command_accel"], body["command_steer"] = body["accel"], body["steer"]

    def hand_back(self, world: int, actor: int) -> None:
        """Give a vehicle that was taken back to whom the scenario has drive it; one that replayed a track drives itself on."""
        given = self.scenarios[world].actors[actor]
        if given.model == Model.REPLAY:
            self.release(world, actor, given.pace)
            return
        self.state.bodies["model"][world, actor] = int(given.model)

    def hold(self, world: int, actor: int) -> None:
        """Let a REPLAY actor stand where it is for the next tick; its record goes on later."""
        mind = self.state.minds[world, actor]
        mind["track_late"], mind["held"] = mind["track_late"] + 1, 1

    def remove(self, world: int, actor: int) -> None:
        """Take an actor off the road at once; nobody goes on answering to what it showed a moment ago."""
        self.state.bodies["status"][world, actor] = Status.FINISHED
        self.state.history["status"][world, :, actor] = Status.FINISHED

    def observe(self, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """(W, A, SIZE) observations, see `sim.observe`; `out` (all zero at first use) is filled and returned where given."""
        shape = (*self.state.bodies.shape, SIZE)
        rows = np.zeros(shape, np.float32) if out is None else out
        if rows.shape != shape or rows.dtype != np.float32 or not rows.flags.c_contiguous:
            raise ValueError(f"out must be a C-contiguous float32 array of shape {shape}, got {rows.dtype} {rows.shape}")
        fill, state, roads = self._fill, self.state, self.roads
        self._for_ranges(lambda first, last: fill(state, roads, first, last, rows))
        return rows

    def frame(self, world: int, actor: int) -> SensorFrame:
        """What the sensors of one actor give at this tick, at the scenario's sensing level.

        Pure in the state, but for faults of the ego's sensors that repeat or delay what they saw before.
        """
        scenario = self.scenarios[world]
        if actor != scenario.ego or not scenario.faults:
            return self._sense(world, actor)
        return faults.apply(scenario.faults, self._sense(world, actor), self._frames[world], scenario.seed)

    def _sense(self, world: int, actor: int) -> SensorFrame:
        """The frame without faults, but for rings that are dead."""
        signals = self.signals(world)
        scenario = self.scenarios[world]
        if scenario.sensing == "lidar" and actor == scenario.ego:
            from sim.sensors import lidar  # a quarter of a second at start-up

            spec = scenario.lidar
            if scenario.faults:
                spec = replace(spec, dead_rings=max(spec.dead_rings, faults.dead_rings(scenario.faults, self.tick)))
            return lidar.sense(
                self.state, self.roads, world, actor, signals, self.scenery(world), spec, scenario.air, scenario.weather
            )
        if scenario.sensing in ("objects", "lidar"):
            return objects.sense(self.state, self.roads, world, actor, signals, scenario.weather)
        return sense(self.state, self.roads, world, actor, signals)

    def signals(self, world: int) -> tuple[int, int]:
        """(first, how many) signals of one world's map in the packed roads."""
        return int(self._packed.signal_base[world]), len(self.road_maps[world].signals)

    def scenery(self, world: int) -> Scenery:
        """All that is solid in one world, for `sim.sensors.lidar.scan`; made when it is first asked for."""
        from sim.sensors import lidar  # as in _sense

        if world not in self._sceneries:
            scenario = self.scenarios[world]
            bodies = self.state.bodies[world, : len(scenario.actors)]
            self._sceneries[world] = lidar.make_scenery(scenario.road_map, bodies, scenario.seed, scenario.occluders)
        return self._sceneries[world]

    def events(self, world: int) -> NDArray[np.void]:
        """(E,) EVENT_DTYPE of everything that happened so far, in order."""
        return self.state.events[world, : min(int(self.state.worlds["event_count"][world]), EVENTS)].copy()

    def finished(self, world: int) -> bool:
        """Whether ego, or without an ego everybody with a goal, has reached it."""
        ego = self.scenarios[world].ego
        if ego is None:
            return self.all_finished(world)
        return bool(self.state.bodies["status"][world, ego] == Status.FINISHED)

    def all_finished(self, world: int) -> bool:
        """Whether everybody with a goal has reached it."""
        bound = self._bound[world]
        return bool(bound) and bool(np.all(self.state.bodies["status"][world, bound] == Status.FINISHED))

    def state_bytes(self, world: int) -> bytes:
        """Bytes of one world's state at this tick, the same whatever batch it is in and however many unused slots follow."""
        count = len(self.scenarios[world].actors)
        bodies = self.state.bodies[world, :count]
        parts = [
            np.ascontiguousarray(bodies[name]).tobytes()
            for name in ("x", "y", "heading", "speed", "accel", "steer", "status", "indicator", "gesture")
        ]
        return b"".join(parts)

    def trace_hash(self, world: int) -> str:
        """Hash of every tick so far and of the events, as hex; only where the world is `traced`."""
        return _chained(self._hashes[world], self.events(world).tobytes()).hex()

    def snapshot(self) -> Snapshot:
        """A copy of all that changes; a world of the same scenarios goes on from it bit for bit the same, see `restore`."""
        state = WorldState._make(array.copy() for array in self.state)
        return Snapshot(
            state=state, pending=tuple(sent.copy() for sent in self._pending), hashes=tuple(self._hashes),
            frames=tuple(memory.copy() for memory in self._frames),
        )  # fmt: skip

    def restore(self, snapshot: Snapshot) -> None:
        """Go back, or forward, to a snapshot of a world of the same scenarios. Raises ValueError where the arrays do not fit."""
        for name in WorldState._fields:
            own, given = getattr(self.state, name), getattr(snapshot.state, name)
            if own.shape != given.shape or own.dtype != given.dtype:
                raise ValueError(
                    f"the snapshot is of another world: its {name} are {given.shape}, not {own.shape}, or of another dtype"
                )
        if len(snapshot.pending) != len(self._pending):
            raise ValueError(f"the snapshot has a latency of {len(snapshot.pending)} ticks, this world of {len(self._pending)}")
        for name in WorldState._fields:
            getattr(self.state, name)[...] = getattr(snapshot.state, name)
        self._pending = deque(sent.copy() for sent in snapshot.pending)
        self._hashes = list(snapshot.hashes)
        self._frames = [memory.copy() for memory in snapshot.frames] or [faults.FaultMemory() for _ in self.scenarios]

    def _check_controls(self, controls: NDArray[np.void]) -> None:
        if controls.shape != self._idle.shape or controls.dtype != CONTROL_DTYPE:
            raise ValueError(f"controls must be CONTROL_DTYPE of shape {self._idle.shape}, got {controls.dtype} {controls.shape}")
        for name in ("accel", "steer"):
            if np.isfinite(controls[name]).all():
                continue
            bad = np.argwhere((controls["given"] != 0) & ~np.isfinite(controls[name]))
            if len(bad):
                w, a = (int(index) for index in bad[0])
                raise ValueError(f"control of world {w}, actor {a}: {name} is {controls[name][w, a]!r}; it must be finite")

    def _for_ranges(self, work: Callable[[int, int], None]) -> None:
        """Do `work(first, last)` on all worlds, a range a thread."""
        if self._pool is None:
            work(0, len(self.scenarios))
            return
        for running in [self._pool.submit(work, first, last) for first, last in self._ranges]:
            running.result()

    def _place(self, w: int, scenario: Scenario) -> None:
        """Fill world w from its scenario; actors due at the start appear at once."""
        world = self.state.worlds[w]
        walls = self.roads.wall_start
        number = int(self._packed.map_index[w])
        world["seed"], world["actors"] = scenario.seed & 0xFFFFFFFFFFFFFFFF, len(scenario.actors)
        world["road_map"], world["friction"], world["visibility"] = number, scenario.friction, scenario.visibility_m
        world["wall_start"], world["wall_end"] = walls[number], walls[number + 1]
        lane_base = int(self._packed.lane_base[w])
        world["lane_start"], world["lane_end"] = lane_base, lane_base + len(self.road_maps[w].lanes)
        routes = _routes(scenario)
        for a, actor in enumerate(scenario.actors):
            body, mind = self.state.bodies[w, a], self.state.minds[w, a]
            fill_body(body, actor.body)
            if actor.spec is None and actor.kind == Kind.BICYCLE:
                body["speed_max"] = np.clip(generator(scenario.seed, Purpose.KIND, a).normal(*CYCLING), 4.0, 6.0)
            track, track_length = int(mind["track"]), int(mind["track_length"])
            fill_mind(mind, actor.kind, actor.style, scenario.seed, a)
            mind["track"], mind["track_length"] = track, track_length
            body["model"], body["drive_through"] = int(actor.model), int(actor.drive_through)
            body["thing"] = thing_index(actor.thing)
            body["depart_tick"] = round(actor.depart_s * 10.0)
            mind["jaywalks"] = int(actor.jaywalks)
            if actor.model == Model.STILL and actor.kind != Kind.OBJECT:
                body["indicator"] = Indicator.HAZARD
            self._put(w, scenario, actor, body, mind, routes)

    def _put(
        self, w: int, scenario: Scenario, actor: Actor, body: NDArray[np.void], mind: NDArray[np.void], routes: dict[Route, int]
    ) -> None:
        """Place one actor at the start of its route or at its pose."""
        road_map = scenario.road_map
        mind["to_goal"] = 1e6
        if actor.route is not None:
            lane = actor.route.lanes[0]
            record = road_map.lanes[lane]
            index = min(max(round(actor.s / float(record["spacing"])), 0), int(record["point_count"]) - 1)
            point = road_map.points[int(record["point_start"]) + index]
            along = actor.s - index * float(record["spacing"])
            body["x"] = point["x"] + along * float(point["cos"]) - actor.d * float(point["sin"])
            body["y"] = point["y"] + along * float(point["sin"]) + actor.d * float(point["cos"])
            body["heading"], body["cos"], body["sin"], body["z"] = point["heading"], point["cos"], point["sin"], point["z"]
            if actor.turned != 0.0:
                body["heading"] = wrap_angle(float(point["heading"]) + actor.turned)
                body["cos"], body["sin"] = np.cos(float(body["heading"])), np.sin(float(body["heading"]))
            mind["route"] = int(self._packed.route_base[w]) + routes[actor.route]
            mind["lane"], mind["s"], mind["d"] = int(self._packed.lane_base[w]) + lane, actor.s, actor.d
            body["hypothesis_count"] = 1
            body["hypothesis_lane"][0], body["hypothesis_s"][0] = mind["lane"], actor.s
        elif actor.pose is not None:
            body["x"], body["y"], body["heading"] = actor.pose
            body["cos"], body["sin"] = np.cos(actor.pose[2]), np.sin(actor.pose[2])
            body["z"] = _height_at(road_map, actor.pose[0], actor.pose[1])
        body["speed"] = actor.speed
        body["vx"], body["vy"] = actor.speed * float(body["cos"]), actor.speed * float(body["sin"])


def _chained(so_far: bytes, more: bytes) -> bytes:
    """Hash of what was hashed so far and more; unlike a running hash object it can be kept in a snapshot."""
    return hashlib.blake2b(so_far + more, digest_size=_HASH_BYTES).digest()


def _height_at(road_map: LaneMap, x: float, y: float) -> float:
    """Height [m] of the road nearest to a place; of bridges the level whose lane passes nearest."""
    points = road_map.points
    if not points["z"].any():
        return 0.0
    return float(points["z"][np.argmin((points["x"] - x) ** 2 + (points["y"] - y) ** 2)])


def _routes(scenario: Scenario) -> dict[Route, int]:
    """The distinct routes of a scenario, numbered in order of appearance."""
    numbered: dict[Route, int] = {}
    for actor in scenario.actors:
        if actor.route is not None:
            numbered.setdefault(actor.route, len(numbered))
    return numbered


def _with_occluders(scenario: Scenario) -> LaneMap:
    """The scenario's map, with what blocks sight in this episode added to its scenery."""
    if not scenario.occluders:
        return scenario.road_map
    return replace(scenario.road_map, scenery=(*scenario.road_map.scenery, *scenario.occluders))


def _pack(scenarios: Sequence[Scenario]) -> Packed:
    return prepare_roads(
        [_with_occluders(scenario) for scenario in scenarios], [list(_routes(scenario)) for scenario in scenarios]
    )
