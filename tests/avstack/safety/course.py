"""A course for the envelope alone: the ego follows its path at a set speed and sees nobody; what keeps it safe is the last word.

The plant is the simulator's; others are scripted. Nothing of the behaviours takes part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from avstack.config import MotionConfig
from avstack.motion import Constraints, observe, plan, start, track
from avstack.motion.path import reference_path
from avstack.perception.percepts import THING_DTYPE, Percepts, ego_estimate
from avstack.safety.assumptions import Assumptions
from avstack.safety.envelope import LastWord, Way, guard, limits_of, start_safety
from avstack.safety.stepping_out import survey_ground, unseen_people, verge_of
from avstack.types import Level
from eval.bench.motion import Plant
from sim.geometry import box_gap
from sim.interface import SECTORS, TICK_S, Kind, VehicleSpec
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneMap
from sim.roads.route import shortest_route

SPEC, CONFIG, ASSUMPTIONS = VehicleSpec(), MotionConfig(), Assumptions(hidden=True)
STRAIGHT = assemble(BUILDERS["straight"]())
CROSSING = assemble(BUILDERS["four_way"](control="none"))
STOP_SIGNS = assemble(BUILDERS["four_way"]())


@dataclass(frozen=True)
class Body:
    """One scripted road user at one time."""

    x: float
    y: float
    heading: float
    speed: float
    kind: Kind = Kind.CAR
    length: float = 4.7
    width: float = 1.85


Script = Callable[[float], Body | None]
"""Where somebody is at a time [s]; None: not there."""


@dataclass
class Outcome:
    """What happened. hits: ticks at which boxes overlapped; substeps: (speed, acceleration, jerk, steering) of the plant."""

    words: list[LastWord] = field(default_factory=list)
    substeps: list[tuple[float, float, float, float]] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)
    hit_speed: float = -1.0
    way: float = 0.0

    def column(self, name: str) -> list[int]:
        return [int(word.trace[name]) for word in self.words]

    @property
    def collided(self) -> bool:
        """Ego was moving when boxes overlapped."""
        return self.hit_speed > 0.05

    def unsecured(self) -> list[int]:
        return [k for k, value in enumerate(self.column("fallback_verified")) if not value]


def things_of(bodies: Sequence[tuple[int, Body]]) -> np.ndarray:
    things = np.zeros(len(bodies), THING_DTYPE)
    for row, (known, body) in zip(things, bodies, strict=True):
        row["id"], row["kind"], row["existence"] = known, body.kind, 1.0
        row["kind_probability"][body.kind] = 1.0
        row["x"], row["y"], row["heading"], row["speed"] = body.x, body.y, body.heading, body.speed
        row["vx"], row["vy"] = body.speed * math.cos(body.heading), body.speed * math.sin(body.heading)
        row["length"], row["width"], row["covariance"] = body.length, body.width, 1e-6 * np.eye(7)
        row["indicator"][0] = 1.0
    return things


def path_of(road_map: LaneMap, first: str, last: str) -> Way:
    route = shortest_route(road_map, road_map.lane(first), road_map.lane(last))
    lengths = [float(road_map.lanes["length"][lane]) for lane in route.lanes]
    starts = tuple(float(s) for s in np.concatenate([[0.0], np.cumsum(lengths[:-1])]))
    return Way(path=reference_path(road_map, route, SPEC, CONFIG.path), lanes=route.lanes, starts=starts)


def drive(
    road_map: LaneMap, way: Way, scripts: Sequence[Script], *, speed: float = 10.0, begin: float = 5.0, seconds: float = 15.0,
    safety: bool = True, sight: Callable[[float, float], np.ndarray] | None = None, target: Callable[[int], float] | None = None,
    assumptions: Assumptions = ASSUMPTIONS, careful: bool = False,
) -> Outcome:  # fmt: skip
    """Ego starts `begin` metres along the way at `speed` and wants to keep it, whatever is ahead.

    careful: it slows down where somebody may step out of hiding.
    """
    place = way.path.at(np.array([begin]))
    plant = Plant(SPEC, (float(place.x[0]), float(place.y[0]), float(place.heading[0])), speed)
    motion, memory, out = start(SPEC), start_safety(road_map), Outcome()
    verge = verge_of(way.path, survey_ground(road_map), SPEC)
    limits = limits_of(Level.EMERGENCY, CONFIG, assumptions)
    for tick in range(round(seconds / TICK_S)):
        frame = plant.frame()
        bodies = [(k, body) for k, script in enumerate(scripts) if (body := script(tick * TICK_S)) is not None]
        _measure(out, plant, bodies)
        seen = None if sight is None else sight(float(frame.pose[0]), float(frame.pose[1]))
        percepts = Percepts(
            tick=tick, ego=ego_estimate(frame), things=things_of([b for b in bodies if visible(frame.pose, b[1], seen)]),
            signals=np.zeros(0, np.int32), observed_range=100.0, sight=seen,
        )  # fmt: skip
        vehicle, motion = observe(frame, motion, CONFIG)
        wanted = Constraints(target_speed=speed if target is None else target(tick))
        if careful:
            s = float(way.path.s[np.argmin(np.hypot(way.path.x - frame.pose[0], way.path.y - frame.pose[1]))])
            wanted = replace(wanted, envelope=unseen_people(percepts, verge, SPEC, limits, assumptions, s))
        planned = plan(vehicle, way.path, wanted, motion, CONFIG)
        word = guard(percepts, way, planned, motion, vehicle, memory, CONFIG, assumptions)
        trajectory, motion = (word.trajectory, word.motion) if safety else planned
        control, motion = track(vehicle, trajectory, motion, CONFIG)
        memory = word.memory
        out.words.append(word)
        out.levels.append(trajectory.level)
        out.substeps.extend(plant.step(control))
        out.speeds.append(float(plant.body["speed"]))
        plant.tick = tick + 1
    out.way = float(np.hypot(plant.body["x"] - place.x[0], plant.body["y"] - place.y[0]))
    return out


def visible(pose: np.ndarray, body: Body, sight: np.ndarray | None) -> bool:
    if sight is None:
        return True
    dx, dy = body.x - pose[0], body.y - pose[1]
    sector = int(np.mod(math.atan2(dy, dx) - pose[2], 2.0 * math.pi) / (2.0 * math.pi) * SECTORS) % SECTORS
    return math.hypot(dx, dy) < sight[sector]


def _measure(out: Outcome, plant: Plant, bodies: Sequence[tuple[int, Body]]) -> None:
    ego = plant.body
    x, y, c, s = float(ego["x"]), float(ego["y"]), float(ego["cos"]), float(ego["sin"])
    nearest = math.inf
    for _, body in bodies:
        theirs = (body.x, body.y, math.cos(body.heading), math.sin(body.heading), 0.5 * body.length, 0.5 * body.width)
        nearest = min(nearest, float(box_gap(x, y, c, s, 0.5 * SPEC.length, 0.5 * SPEC.width, *theirs)))
    out.gaps.append(nearest)
    if nearest < 0.0 and out.hit_speed < 0.0:
        out.hit_speed = max(float(ego["speed"]), 0.0)


def standing(x: float, y: float, heading: float = 0.0, kind: Kind = Kind.CAR) -> Script:
    return lambda time: Body(x, y, heading, 0.0, kind)


def straight_on(x: float, y: float, heading: float, speed: float, kind: Kind = Kind.CAR, begins: float = 0.0) -> Script:
    size = (0.5, 0.6) if kind == Kind.PEDESTRIAN else (4.7, 1.85)

    def at(time: float) -> Body:
        way = speed * max(time - begins, 0.0)
        now = speed if time >= begins else 0.0
        return Body(x + way * math.cos(heading), y + way * math.sin(heading), heading, now, kind, *size)

    return at


def braking(x: float, y: float, heading: float, speed: float, brake: float, begins: float) -> Script:
    """Drives on, and brakes to rest from `begins` on."""

    def at(time: float) -> Body:
        into = min(max(time - begins, 0.0), speed / brake)
        way = speed * min(time, begins) + speed * into - 0.5 * brake * into * into
        now = speed - brake * into
        return Body(x + way * math.cos(heading), y + way * math.sin(heading), heading, now)

    return at
