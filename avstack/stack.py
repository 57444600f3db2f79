"""The stack: from a sensor frame to a control, once a tick.

perceive -> read the scene -> update the belief -> choose -> plan the motion -> control -> the last word.

Every stage is a function of its input and of what it remembers; memory is passed in and out, never held. The classes at the end
are the ladder of planners: one and the same stack with one setting changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from avstack.behaviours.atlas import Atlas, Path
from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.decide import BehaviourMemory, decide
from avstack.behaviours.decision import Ask, Decision, Manoeuvre, Reason
from avstack.behaviours.own_path import Recipe
from avstack.behaviours.scene import Scene
from avstack.behaviours.zones import ROW
from avstack.config import MotionConfig
from avstack.motion import Constraints, Leader, MotionMemory, ReferencePath, Window, observe, plan, start, track
from avstack.motion.path import speed_caps
from avstack.perception.arbitration import PerceptionConfig
from avstack.perception.caution import Caution, be_careful, lower
from avstack.perception.health import Fault
from avstack.perception.perceive import PerceptionMemory, perceive
from avstack.perception.percepts import Percepts
from avstack.picture import picture_of
from avstack.safety.assumptions import Assumptions
from avstack.safety.envelope import SafetyMemory, Way, guard, limits_of, start_safety
from avstack.safety.failsafe import failsafe_brake, problem_of
from avstack.safety.stepping_out import Ground, Verge, survey_ground, unseen_people, verge_of
from avstack.types import Level
from sim.geometry import Floats, smooth
from sim.interface import Control, DriverStep, Gesture, Indicator, SensorFrame, VehicleSpec
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route

BEND_WINDOWS = (7, 15, 31)  # samples over which a path's curvature is evened out
EVENED_M = 0.1  # m that a path whose bend sets in evenly over such a window leaves the line, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """All settings of the stack. safety: the envelope has the last word; unseen: slow down where somebody may step out of
    hiding; both off for ablations alone."""

    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    behaviours: BehaviourConfig = field(default_factory=BehaviourConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    safety: bool = True
    unseen: bool = True
    assumptions: Assumptions = field(default_factory=Assumptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackMemory:
    """What the stack carries from tick to tick. atlas is the indexed map; it never changes but for what it has worked out
    already."""

    atlas: Atlas
    spec: VehicleSpec
    seed: int
    motion: MotionMemory
    safety: SafetyMemory
    ground: Ground
    perception: PerceptionMemory = field(default_factory=PerceptionMemory)
    verge: Verge = field(default_factory=Verge)
    behaviours: BehaviourMemory = field(default_factory=BehaviourMemory)
    reference: tuple[Recipe, ReferencePath] | None = None
    tick: int = -1
    accel: float = 0.0
    steer: float = 0.0


class Stack:
    """Drives one vehicle. `config` is all that an instance holds."""

    def __init__(self, config: StackConfig | None = None) -> None:
        config = config or StackConfig()
        # planner and filter go by the same assumptions
        self.config = replace(config, behaviours=replace(config.behaviours, assumptions=config.assumptions))

    def start(self, road_map: LaneMap, route: Route, spec: VehicleSpec, seed: int) -> StackMemory:
        """Memory before the first frame. RouteError for a route that the map cannot carry."""
        return StackMemory(
            atlas=Atlas.of(road_map, route), spec=spec, seed=seed, motion=start(spec),
            safety=start_safety(road_map), ground=survey_ground(road_map),
        )  # fmt: skip

    def step(self, frame: SensorFrame, memory: StackMemory) -> DriverStep[StackMemory]:
        """One tick. Input that makes no sense is answered by a stop, with the reason in the trace; nothing is raised."""
        config = self.config
        if problem_of(frame, memory.tick):
            return fail_safe(frame, memory, config.motion)
        memory.atlas.forget()
        percepts, fault, perception = perceive(
            frame, memory.perception, memory.spec.rear_to_centre, memory.atlas.road_map, config.perception
        )
        decision, scene, behaviours = decide(
            percepts, memory.atlas, memory.spec, memory.seed, memory.behaviours, config.behaviours
        )
        path = reference_of(memory, scene, config.motion)
        vehicle, motion = observe(frame, memory.motion, config.motion)
        verge = memory.verge if memory.verge.path is path else verge_of(path, memory.ground, memory.spec)
        limits = limits_of(Level.EMERGENCY, config.motion, config.assumptions)
        unseen = unseen_people(percepts, verge, memory.spec, limits, config.assumptions, scene.s) if config.unseen else None
        care = be_careful(percepts, (path.s, path.x, path.y), scene.s, 0.5 * memory.spec.width, _limit(path, scene.s))
        wanted = constraints_of(decision.ask, memory.spec, care, unseen)
        planned = plan(vehicle, path, wanted, motion, config.motion)
        way = Way(path=path, lanes=scene.path.lanes, starts=scene.path.starts, gives_way=scene.path.gives_way)
        last = guard(percepts, way, planned, motion, vehicle, memory.safety, config.motion, config.assumptions)
        trajectory, motion = (last.trajectory, last.motion) if config.safety else planned
        control, motion = track(vehicle, trajectory, motion, config.motion)
        control = replace(control, indicator=Indicator(decision.indicator), gesture=Gesture(int(decision.wave)))
        memory = replace(
            memory, perception=perception, behaviours=behaviours, motion=motion, reference=(scene.recipe, path),
            steer=control.steer, safety=last.memory, verge=verge, tick=frame.tick, accel=control.accel,
        )  # fmt: skip
        trace = {**trace_of(decision, scene), **last.trace, **doubt_of(percepts, fault, care)}
        trace |= picture_of(percepts, decision, trajectory, perception.coarse)
        if not config.safety:
            trace["fallback_verified"] = np.array(int(last.plan_verified))
        return DriverStep(control=control, memory=memory, trace=trace)


def fail_safe(frame: SensorFrame, memory: StackMemory, config: MotionConfig) -> DriverStep[StackMemory]:
    """Brake straight on along the last steering angle."""
    brake = failsafe_brake(memory.accel, frame.odometry.speed, config.firm)
    control = Control(accel=brake, steer=memory.steer, indicator=Indicator.HAZARD)
    trace: Mapping[str, NDArray[np.generic]] = {
        "manoeuvre": np.array(int(Manoeuvre.STOP)), "reason": np.array(int(Reason.BAD_INPUT)), "other": np.array(-1),
    }  # fmt: skip
    return DriverStep(control=control, memory=replace(memory, accel=brake), trace=trace)


def reference_of(memory: StackMemory, scene: Scene, config: MotionConfig) -> ReferencePath:
    """The scene's path as motion wants it; the same object as long as its recipe is."""
    if memory.reference is not None and memory.reference[0] == scene.recipe:
        return memory.reference[1]
    return as_reference(scene.path, memory.spec, config)


def as_reference(path: Path, spec: VehicleSpec, config: MotionConfig) -> ReferencePath:
    """A path of the behaviours as a reference path, curvature evened out."""
    rows = path.rows
    heading = np.unwrap(np.arctan2(rows[:, 3], rows[:, 2]))
    curvature = evened(np.ascontiguousarray(rows[:, 5]))
    s = np.asarray(ROW * np.arange(len(rows)), np.float64)
    limit = rows[:, 4]
    room = np.full(len(rows), 1.0)
    return ReferencePath(
        s=s, x=rows[:, 0].copy(), y=rows[:, 1].copy(), heading=heading, curvature=curvature, speed_limit=limit.copy(),
        caps=np.minimum(limit, speed_caps(curvature, spec, config.path)), room_left=room, room_right=room, goal_s=float(s[-1]),
    )  # fmt: skip


def evened(curvature: Floats) -> Floats:
    """Curvature (P,) as one steers it: bends set in over as long a way as leaves the line by EVENED_M at most, gentle ones early.

    A bend of curvature k that sets in over a way w instead of at once leaves the line by k w² / 24.
    """
    out = curvature
    for window in BEND_WINDOWS:
        if len(curvature) <= 2 * window:
            break
        wide = smooth(curvature, window, odd=False)
        if window == BEND_WINDOWS[0]:
            out = wide
            continue
        sharpest = maximum_filter1d(np.abs(curvature), 2 * window + 1)
        fits = (sharpest * (window * ROW) ** 2 / 24.0 <= EVENED_M).astype(np.float64)
        share = smooth(fits, window, odd=False)  # from one window to the next without a step
        out = share * wide + (1.0 - share) * out
    return np.asarray(out)


def _limit(path: ReferencePath, s: float) -> float:
    """Speed limit [m/s] at a place on the way."""
    return float(np.interp(s, path.s, path.speed_limit))


def constraints_of(ask: Ask, spec: VehicleSpec, care: Caution, unseen: tuple[Floats, Floats] | None) -> Constraints:
    """What behaviours ask, in motion's words, no faster than doubt and hidden people allow."""
    half = 0.5 * spec.length
    leaders = tuple(Leader(t=lead.t, s=lead.s + half) for lead in ask.leads)
    windows = tuple(Window(t_from=0.0, t_to=until, s_max=s) for until, s in ask.windows)
    return Constraints(
        target_speed=min(ask.cap, care.cap), stops=ask.stops, rest=ask.rest or care.rest, leaders=leaders, windows=windows,
        reverse_to=ask.back_to, emergency=ask.emergency, prompt=ask.prompt, envelope=lower(unseen, care.envelope),
    )  # fmt: skip


def trace_of(decision: Decision, scene: Scene) -> dict[str, NDArray[np.generic]]:
    """The decision as named arrays."""
    trace: dict[str, NDArray[np.generic]] = {
        "manoeuvre": np.array(int(decision.manoeuvre)),
        "reason": np.array(int(decision.reason)),
        "other": np.array(decision.other),
        "claimants": np.array(len(decision.others)),
        "rollouts": np.array(decision.rollouts),
        "others": decision.others,
        "go_first": decision.go_first,
        "influence": decision.influence,
        "others_at": _places(decision, scene),
        "lets_go": decision.lets_go,
        "go_first_max": np.array(float(decision.go_first.max()) if len(decision.go_first) else 0.0),
        "path_offset": np.array(scene.d),
        "plan": decision.plan,
    }
    trace.update({f"cost_{name}": np.array(value) for name, value in decision.terms.items()})
    return trace


def doubt_of(percepts: Percepts, fault: Fault, care: Caution) -> dict[str, NDArray[np.generic]]:
    """What perception is unsure of, and what that costs in speed."""
    return {
        "trust": np.array(percepts.trust), "fault": np.array(int(fault)), "doubted": np.array(care.doubted),
        "observed_range": np.array(percepts.observed_range),
    }  # fmt: skip


def _places(decision: Decision, scene: Scene) -> NDArray[np.float64]:
    """(M, 2) where the claimants of a decision are seen: ids mean nothing outside the stack."""
    at = {agent.id: (float(agent.thing["x"]), float(agent.thing["y"])) for agent in scene.agents}
    return np.array([at[int(known)] for known in decision.others], np.float64).reshape(-1, 2)


class Joint(Stack):
    """Decides the joint future, with the information that its own first stage will bring: the default."""


class Contingency(Stack):
    """As `Joint`, but counts on knowing by the branch time which scenario is true."""

    def __init__(self) -> None:
        super().__init__(StackConfig(behaviours=BehaviourConfig(branching="perfect")))


class Single(Stack):
    """One policy for all scenarios; others react."""

    def __init__(self) -> None:
        super().__init__(StackConfig(behaviours=BehaviourConfig(branching="none")))


class Marginal(Stack):
    """Predict, then plan: others are rolled out against an average ego, then frozen."""

    def __init__(self) -> None:
        super().__init__(StackConfig(behaviours=BehaviourConfig(prediction="frozen", branching="none")))


class ConstantVelocity(Stack):
    """Others keep their speed."""

    def __init__(self) -> None:
        super().__init__(StackConfig(behaviours=BehaviourConfig(prediction="constant", branching="none")))


class Idm(Stack):
    """Follows its lane and brakes for what is in its path; no precedence, no negotiation."""

    def __init__(self) -> None:
        super().__init__(StackConfig(behaviours=BehaviourConfig(negotiate=False)))
