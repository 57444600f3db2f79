"""A learned policy as a driver: ego, an opponent in a suite, or traffic; with the stack's safety envelope or without.

From frame and map it fills a little world of its own (`sim.traffic.own_world`), and the environment's own kernels make from that
what the policy sees and do what it chooses: at the `state` level it is given what the environment gave it in training. At other
levels it drives by the stack's percepts. With the envelope, the speed that it chooses becomes a trajectory of the stack's motion,
on which the envelope has the last word as on any plan.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours import own_path
from avstack.behaviours.atlas import Atlas
from avstack.behaviours.own_path import Recipe
from avstack.behaviours.scene import Seen, place_ego, start_seeing
from avstack.config import Limits, MotionConfig
from avstack.motion import MotionMemory, ReferencePath, approach, observe, start, track
from avstack.motion.vehicle import Command
from avstack.perception.perceive import PerceptionMemory, perceive
from avstack.perception.percepts import Percepts, as_objects
from avstack.safety.assumptions import Assumptions
from avstack.safety.envelope import SafetyMemory, Way, guard, start_safety
from avstack.safety.failsafe import failsafe_brake, problem_of
from avstack.stack import as_reference
from avstack.types import Level
from eval.policy.network import LEVELS, OBSERVATION, REPEAT, STYLES, TEMPERATURE, Weights, features, load_weights
from sim.envs.actions import TARGET_SPEED, act, allowed_speed
from sim.envs.agents import Agents, empty_agents
from sim.envs.vector import make_edges, observe_agents, size
from sim.interface import Control, DriverStep, Indicator, SensorFrame, VehicleSpec
from sim.rng import Purpose, mix, uniform
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route
from sim.traffic.own_world import OwnWorld, begin, seen_in, settle

MOTION = MotionConfig(firm=Limits(accel=2.0, brake=4.0, jerk=12.0))
"""Speeds are taken on as in training, where the pedal moves as fast as the vehicle lets it."""
_DECISION = int(Purpose.DECISION)
SHIPPED = Path(__file__).parent / "weights" / "policy.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """weights: file of a policy, empty for the shipped one. safety: the envelope has the last word. time, jerk: how much it minds
    waiting and jolts, 1 is the middle. temperature: of its choices, 0 for the likeliest."""

    weights: str = ""
    safety: bool = True
    time: float = 1.0
    jerk: float = 1.0
    temperature: float = TEMPERATURE

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature <= 10.0:
            raise ValueError(f"temperature must be between 0 and 10, got {self.temperature!r}")
        for name, (low, high) in STYLES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low:g} and {high:g}, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Driving:
    """What the stack's motion and envelope carry from tick to tick."""

    atlas: Atlas
    motion: MotionMemory
    safety: SafetyMemory
    seen: Seen | None = None
    reference: tuple[Recipe, ReferencePath] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyMemory:
    """What the policy carries from tick to tick. key: of its draws; level: index in LEVELS of the last choice; since: ticks that
    it is kept."""

    road_map: LaneMap
    own: OwnWorld
    edges: NDArray[np.float32]
    spec: VehicleSpec
    key: int
    perception: PerceptionMemory = field(default_factory=PerceptionMemory)
    driving: Driving | None = None
    level: int = 0
    since: int = REPEAT
    tick: int = -1
    accel: float = 0.0
    steer: float = 0.0


@functools.lru_cache(maxsize=8)
def _weights(file: str, changed: float) -> Weights:
    return load_weights(Path(file))


def weights_at(file: str) -> Weights:
    """The policy in a file, read once as long as the file is the same. Raises InputError."""
    path = Path(file) if file else SHIPPED
    return _weights(str(path), path.stat().st_mtime if path.is_file() else 0.0)


class Policy:
    """Drives one vehicle by a learned policy. `config` is all that an instance holds."""

    def __init__(self, config: PolicyConfig | None = None) -> None:
        self.config = config or PolicyConfig()

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> PolicyMemory:
        """Memory before the first frame. RouteError for a route that the map cannot carry, InputError for weights."""
        weights_at(self.config.weights)
        own = begin(road_map, route, spec, seed)
        own.state.worlds["wall_start"], own.state.worlds["wall_end"] = own.roads.wall_start[:2]
        driving = None
        if self.config.safety:
            driving = Driving(atlas=Atlas.of(road_map, route), motion=start(spec), safety=start_safety(road_map))
        key = seed & 0x7FFFFFFFFFFFFFFF
        for lane in route.lanes:  # two of a kind in one episode differ by where they go
            key = int(mix(key, lane)) & 0x7FFFFFFFFFFFFFFF
        return PolicyMemory(key=key, road_map=road_map, own=own, edges=make_edges(own.roads), spec=spec, driving=driving)

    def step(self, frame: SensorFrame, memory: PolicyMemory) -> DriverStep[PolicyMemory]:
        """One tick. Input that makes no sense is answered by a stop; nothing is raised."""
        if problem_of(frame, memory.tick):
            brake = failsafe_brake(memory.accel, frame.odometry.speed, MOTION.firm)
            control = Control(accel=brake, steer=memory.steer, indicator=Indicator.HAZARD)
            return DriverStep(control=control, memory=replace(memory, accel=brake))
        percepts, perception = None, memory.perception
        if memory.driving is not None or frame.level != "state":
            percepts, _, perception = perceive(frame, perception, memory.spec.rear_to_centre, memory.road_map)
        told = frame if percepts is None or frame.level == "state" else replace(frame, objects=as_objects(percepts.things))
        own = look(told, memory.own)
        level, since = memory.level, memory.since + 1
        if since >= REPEAT:
            row = observation(own, memory.edges, (self.config.time, self.config.jerk))
            draws = np.array([[uniform(memory.key, 0, frame.tick, 0, _DECISION, n) for n in range(len(LEVELS))]])
            chosen = weights_at(self.config.weights).choose(*features(row[None]), draws, self.config.temperature)
            level, since = int(chosen[0]), 0
        control = drive(own, LEVELS[level])
        driving = memory.driving
        trace: dict[str, NDArray[np.generic]] = {"level": np.array(level)}
        if driving is not None and percepts is not None:
            speed = 0.5 * (LEVELS[level] + 1.0) * allowed_speed(own.roads, own.state.bodies[0, 0], own.state.minds[0, 0])
            control, driving, said = guarded(frame, percepts, speed, control, memory.spec, driving)
            trace |= said
        memory = replace(
            memory, own=own, perception=perception, driving=driving, level=level, since=since, tick=frame.tick,
            accel=control.accel, steer=control.steer,
        )  # fmt: skip
        return DriverStep(control=control, memory=memory, trace=trace)


def look(frame: SensorFrame, before: OwnWorld) -> OwnWorld:
    """The little world of this tick."""
    own = seen_in(frame, before)
    body = own.state.bodies[0, 0]
    # the middle of a turning car moves sideways, too
    aside = body["rear_to_centre"] * frame.odometry.yaw_rate
    body["vx"] -= aside * body["sin"]
    body["vy"] += aside * body["cos"]
    settle(own.state, own.roads, 0, 0)
    return own


def _seat(styles: tuple[float, ...]) -> Agents:
    """Tables of an environment of one world with one agent, in slot 0."""
    tables = empty_agents(1, 1, len(styles), 0)
    tables.agents["present"] = 1
    tables.factors[0, 0] = styles
    return tables


def observation(own: OwnWorld, edges: NDArray[np.float32], styles: tuple[float, ...]) -> NDArray[np.float32]:
    """What the environment would show (size,) of slot 0."""
    rows = np.zeros((1, 1, size(OBSERVATION)), np.float32)
    config = OBSERVATION
    observe_agents(
        own.state, own.roads, _seat(styles), 0, rows, edges, config.neighbours, config.path_points, float(config.path_step)
    )
    row: NDArray[np.float32] = rows[0, 0]
    return row


def drive(own: OwnWorld, level: float) -> Control:
    """What the environment would make of a target speed in [-1, 1]."""
    tables = _seat((1.0,) * len(STYLES))
    tables.actions[0, 0, 0] = level
    act(own.state, own.roads, tables, 0, TARGET_SPEED)
    body = own.state.bodies[0, 0]
    indicator = Indicator(int(body["indicator"]))
    return Control(accel=float(body["command_accel"]), steer=float(body["command_steer"]), indicator=indicator)


def guarded(
    frame: SensorFrame, percepts: Percepts, speed: float, control: Control, spec: VehicleSpec, memory: Driving
) -> tuple[Control, Driving, dict[str, NDArray[np.generic]]]:
    """The control after the envelope had its say on the trajectory that taking on `speed` means.

    As long as that leaves a way out the policy's own control acts: with a trajectory in between, a policy that has learned to
    brake in time for a line would be a little late.
    """
    config, assumptions = MOTION, Assumptions()
    atlas, ego = memory.atlas, percepts.ego
    atlas.forget()
    seen = memory.seen or start_seeing(atlas, ego.x, ego.y, ego.heading)
    seen = place_ego(atlas, ego.x, ego.y, ego.heading, ego.speed, seen)
    laid = own_path.lay(atlas, seen.recipe)
    reference = memory.reference
    if reference is None or reference[0] != seen.recipe:
        reference = seen.recipe, as_reference(laid, spec, config)
    path = reference[1]
    vehicle, motion = observe(frame, memory.motion, config)
    if not memory.safety.active:
        motion = replace(motion, profile=None)  # plans begin where the vehicle is
    planned = approach(vehicle, path, motion, max(speed, 0.0) if math.isfinite(speed) else 0.0, Level.FIRM, config)
    way = Way(path=path, lanes=laid.lanes, starts=laid.starts)
    last = guard(percepts, way, planned, motion, vehicle, memory.safety, config, assumptions)
    if last.memory.active:
        driven, motion = track(vehicle, last.trajectory, last.motion, config)
        control = replace(driven, indicator=control.indicator)
    else:
        sent = Command(accel=control.accel, steer=control.steer, gear=control.gear)
        motion = replace(last.motion, pending=(*last.motion.pending, sent))
    return control, replace(memory, motion=motion, safety=last.memory, seen=seen, reference=reference), last.trace
