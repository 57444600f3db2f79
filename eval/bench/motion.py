"""How smoothly and how exactly the stack moves: free stops against their bound, tracking on real routes, solve times.

The plant is the simulator's own (`sim.motion`), stepped alone, with one tick of latency; jerk is taken at every physics substep.
Noise is normal: 0.1 m on each axis of position, 0.03 m/s on speed. Times are this thread's CPU time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict

import numpy as np

from avstack.config import MotionConfig
from avstack.motion import Constraints, Leader, MotionMemory, ReferencePath, VehicleState, observe, plan, start, track
from avstack.motion.minimum_jerk import smooth_stop
from avstack.motion.path import reference_path
from avstack.motion.qp import STOP_STEPS, solve_stop
from avstack.motion.speed_profile import planned_limits
from avstack.types import Level, Trajectory
from sim.interface import SUBSTEPS, TICK_S, Control, Floats, Odometry, SensorFrame, VehicleSpec
from sim.kinematics import minimum_jerk_stop
from sim.motion import move_vehicle
from sim.rng import Purpose, generator
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneDraft, LaneMap, MapDraft
from sim.roads.route import Route, random_route
from sim.setup import empty_state, fill_body
from sim.state import Status

SPEEDS = (5.0, 8.0, 10.0, 13.9, 18.0)
PEAK_BRAKES = (0.8, 1.1, 1.4, 1.7, 2.2)
"""m/s²; with a speed v each gives a distance of the grid, 0.711 v²/d. The last is more than comfort allows: that stop becomes
known only there; the others are known before, and begin there."""
NOISE_SEEDS = 3
FIRST_SEED = 1_000_000
POSITION_NOISE, SPEED_NOISE, HEADING_NOISE = 0.1, 0.03, 0.002
EXACT_VARIANCE = 1e-6
CLEAN_LAG, NOISY_LAG = 0.2, 0.3
RUN_IN_S = 1.0
SETTLE_S = 6.0
"""How long after it has come to rest a stop is watched."""
BUILT = ("four_way", "roundabout", "grid_town", "t_junction")
BUILT_ROUTES = 6
ROUTE_M = 250.0


class MotionFigures(TypedDict):
    """What `run_bench` measures. Ratios are of executed jerk squared to the bound: the mean over the grid, and the worst.

    at_limit: for stops that are known too late for what comfort plans with, to the optimum within comfort's limits where that is
    larger than the bound. stop_error_m: the largest of all; lateral: of the box centre.
    """

    jerk_ratio_clean: float
    jerk_ratio_clean_worst: float
    jerk_ratio_noisy: float
    jerk_ratio_noisy_worst: float
    jerk_ratio_at_limit: float
    jerk_ratio_unknown_lag: float
    stop_error_m: float
    stops: int
    peak_jerk: float
    lateral_rms_m: float
    lateral_p99_m: float
    lateral_max_m: float
    lateral_accel_p99: float
    lateral_km: float
    plan_free_ms: float
    plan_constrained_ms: float
    plan_constrained_p99_ms: float
    track_ms: float
    what_ran: str


class Plant:
    """One vehicle of the simulator on its own, with the controls under way to it."""

    def __init__(
        self, spec: VehicleSpec, pose: tuple[float, float, float], speed: float, noise: np.random.Generator | None = None,
        latency: int = 1,
    ) -> None:  # fmt: skip
        self.noise, self.tick = noise, 0
        self.state = empty_state(1, 1, 1)
        self.body = self.state.bodies[0, 0]
        fill_body(self.body, spec)
        self.body["status"] = Status.ACTIVE
        self.body["x"], self.body["y"], self.body["heading"] = pose
        self.body["cos"], self.body["sin"], self.body["speed"] = np.cos(pose[2]), np.sin(pose[2]), speed
        self.state.worlds["friction"], self.state.worlds["actors"] = 0.9, 1
        self._pending: deque[Control] = deque([Control()] * latency)

    def frame(self) -> SensorFrame:
        """What its sensors tell; nothing around."""
        body, draw = self.body, self.noise
        off = np.zeros(4) if draw is None else draw.normal(size=4) * (POSITION_NOISE, POSITION_NOISE, HEADING_NOISE, SPEED_NOISE)
        variance = (EXACT_VARIANCE,) * 3 if draw is None else (POSITION_NOISE**2, POSITION_NOISE**2, HEADING_NOISE**2)
        return SensorFrame(
            tick=self.tick,
            odometry=Odometry(
                speed=float(body["speed"]) + float(off[3]), accel=float(body["accel"]), yaw_rate=float(body["yaw_rate"]),
                steer=float(body["steer"]),
            ),
            pose=np.array([body["x"], body["y"], body["heading"]], dtype=np.float64) + off[:3],
            pose_covariance=np.diag(variance),
            signals=np.zeros(0, np.int32),
            objects=None,
        )  # fmt: skip

    def step(self, control: Control) -> list[tuple[float, float, float, float]]:
        """One tick; (speed, acceleration, jerk, steering angle) after each substep."""
        self._pending.append(control)
        acting = self._pending.popleft()
        self.body["command_accel"], self.body["command_steer"], self.body["gear"] = acting.accel, acting.steer, int(acting.gear)
        rows = []
        for _ in range(SUBSTEPS):
            move_vehicle(self.state, 0, 0, TICK_S / SUBSTEPS, 1)
            rows.append(tuple(float(self.body[name]) for name in ("speed", "accel", "jerk", "steer")))
        self.tick += 1
        return [(v, a, j, d) for v, a, j, d in rows]


@dataclass(slots=True)
class Drive:
    """A closed loop as it was: substeps (S, 4) of speed, acceleration, jerk, steering angle; ticks (T, 3) of x, y, heading;
    levels (T,); CPU time [s] of each plan and of each tracking step."""

    substeps: list[tuple[float, float, float, float]] = field(default_factory=list)
    poses: list[tuple[float, float, float]] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    plan_s: list[float] = field(default_factory=list)
    track_s: list[float] = field(default_factory=list)

    def jerk_cost(self) -> float:
        """Integral of jerk squared [m²/s⁵]."""
        return float(np.square([row[2] for row in self.substeps]).sum() * TICK_S / SUBSTEPS)


Ask = Callable[[int, VehicleState, MotionMemory], Constraints]


def drive(
    plant: Plant, path: ReferencePath, spec: VehicleSpec, config: MotionConfig, ask: Ask, ticks: int,
    watch: Callable[[Trajectory, MotionMemory], bool] | None = None,
) -> Drive:  # fmt: skip
    """Close the loop for `ticks`, or until `watch` says that it is over. `spec` is what the stack believes of its vehicle."""
    run, memory = Drive(), start(spec)
    for tick in range(ticks):
        state, memory = observe(plant.frame(), memory, config)
        constraints = ask(tick, state, memory)
        began = time.thread_time()
        trajectory, memory = plan(state, path, constraints, memory, config)
        planned = time.thread_time()
        control, memory = track(state, trajectory, memory, config)
        run.track_s.append(time.thread_time() - planned)
        run.plan_s.append(planned - began)
        run.levels.append(trajectory.level)
        run.substeps += plant.step(control)
        run.poses.append((float(plant.body["x"]), float(plant.body["y"]), float(plant.body["heading"])))
        if watch is not None and watch(trajectory, memory):
            break
    return run


def straight_path(spec: VehicleSpec, config: MotionConfig, length: float = 1200.0) -> ReferencePath:
    """A straight road eastwards without speed limit worth the name."""
    along = np.arange(0.0, length + 1.0, 2.0)
    lane = LaneDraft(name="east", centreline=np.column_stack([along, np.zeros_like(along)]), half_width=1.75, speed_limit=40.0)
    road = assemble(MapDraft(name="straight", lanes=[lane]))
    xs = road.lane_points(0)["x"]
    path = reference_path(road, Route(lanes=(0,), goal_s=float(road.lanes["length"][0])), spec, config.path)
    return replace(path, x=path.x - float(xs[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One free stop. ratio: executed jerk squared over `bound`; error_m: of the place of rest; sudden: known too
    late to be free; peak_jerk [m/s³] executed."""

    ratio: float
    error_m: float
    sudden: bool
    peak_jerk: float


def free_stop(
    path: ReferencePath, speed: float, peak: float, config: MotionConfig, lag: float, seed: int | None = None,
    believed_lag: float | None = None,
) -> Stop | None:  # fmt: skip
    """Cruise, then stop from where the smoothest stop peaks at `peak` [m/s²]; None where comfort allows no such stop."""
    spec = replace(VehicleSpec(), accel_lag=lag)
    believed = spec if believed_lag is None else replace(spec, accel_lag=believed_lag)
    config = replace(config, speed=replace(config.speed, stop_brake=peak, stop_jerk=1e3))
    distance = 32.0 / 45.0 * speed**2 / peak
    if solve_stop(speed, 0.0, distance, (config.comfort.brake, config.comfort.jerk), 2.5 * distance / speed) is None:
        return None
    goal = 20.0 + RUN_IN_S * speed + distance
    plant = Plant(spec, (20.0, 0.0, 0.0), speed, None if seed is None else generator(seed, Purpose.SENSOR))
    begun: list[tuple[float, float, float]] = []

    def watch(trajectory: Trajectory, memory: MotionMemory) -> bool:
        profile = memory.profile
        if profile is not None and profile.reason != "free" and not begun:
            begun.append((float(profile.v[0]), float(profile.a[0]), goal - float(profile.s[0])))
        return False

    ticks = round((RUN_IN_S + 2.5 * distance / speed + SETTLE_S) / TICK_S)
    free = minimum_jerk_stop(speed, distance)
    within = planned_limits(config, Level.COMFORT)
    sudden = float(free.peak_decel) > within.brake or float(free.peak_jerk) > within.jerk
    known, cruise = Constraints(target_speed=speed, stops=(goal,)), Constraints(target_speed=speed)
    run = drive(
        plant, path, believed, config,
        lambda _, state, __: cruise if sudden and goal - state.x > distance else known, ticks, watch,
    )  # fmt: skip
    if not begun:
        raise RuntimeError(f"no stop began from {speed} m/s with a peak of {peak} m/s²")
    v, a, way = begun[0]
    bound = smooth_stop(v, a, way)
    if bound is None:
        raise RuntimeError(f"no smooth stop from {v} m/s, {a} m/s² within {way} m")
    cost, limits = bound.cost, config.comfort
    at_limit = bound.peak_brake > limits.brake or bound.peak_jerk > limits.jerk
    if at_limit:
        jerk = solve_stop(v, a, way, (limits.brake, limits.jerk), bound.duration)
        if jerk is None:
            return None  # a little nearer than planned for, through noise
        cost = float(np.square(jerk).sum() * bound.duration / STOP_STEPS)
    return Stop(
        ratio=run.jerk_cost() / cost,
        error_m=abs(float(plant.body["x"]) - goal) + abs(float(plant.body["speed"])) * 10.0,
        sudden=sudden,
        peak_jerk=max(abs(row[2]) for row in run.substeps),
    )


def _stops(
    path: ReferencePath, config: MotionConfig, lag: float, seeds: Sequence[int | None], believed: float | None = None
) -> list[Stop]:
    tried = [free_stop(path, v, b, config, lag, seed, believed) for v in SPEEDS for b in PEAK_BRAKES for seed in seeds]
    return [stop for stop in tried if stop is not None]


def follow_route(road_map: LaneMap, route: Route, config: MotionConfig, seed: int | None = None) -> tuple[Drive, Floats]:
    """(the drive, distance of the box centre from the path at every tick) along a route, alone, with a stop at its end."""
    spec = VehicleSpec()
    path = reference_path(road_map, route, spec, config.path)
    begin = 3.0
    here = path.at(np.array([begin]))
    pose = (float(here.x[0]), float(here.y[0]), float(here.heading[0]))
    plant = Plant(spec, pose, 0.5 * float(path.caps[6]), None if seed is None else generator(seed, Purpose.SENSOR))
    constraints = Constraints(stops=(path.goal_s,))
    ticks = round((path.length / 3.0 + 30.0) / TICK_S)
    run = drive(
        plant, path, spec, config, lambda *_: constraints, ticks,
        lambda trajectory, memory: float(trajectory.s[0]) > path.goal_s - 0.2 and float(trajectory.speed[0]) < 0.05,
    )  # fmt: skip
    near, offsets = begin, []
    for x, y, _ in run.poses:
        near, d = path.project(x, y, near)
        offsets.append(d)
    return run, np.array(offsets)


def _routes() -> list[tuple[LaneMap, Route]]:
    found = []
    for name in BUILT:
        road_map = assemble(BUILDERS[name]())
        found += [(road_map, random_route(road_map, FIRST_SEED + k, ROUTE_M)) for k in range(BUILT_ROUTES)]
    return found


def _constrained_times(path: ReferencePath, config: MotionConfig) -> list[float]:
    """CPU times of plans behind a leader who keeps braking and speeding up, and of gaps to pass."""
    spec = VehicleSpec()
    plant = Plant(spec, (20.0, 0.0, 0.0), 10.0)
    ahead = np.arange(0.0, 12.1, 0.5)

    def ask(tick: int, state: VehicleState, memory: MotionMemory) -> Constraints:
        now = TICK_S * tick
        where = 45.0 + 8.0 * (now + ahead) + 10.0 * np.sin(0.45 * (now + ahead))
        return Constraints(target_speed=13.9, leaders=(Leader(t=ahead, s=where),))

    run = drive(plant, path, spec, config, ask, 400)
    return run.plan_s[5:]


def run_bench() -> MotionFigures:
    """Run every measurement; about a minute."""
    config = MotionConfig()
    path = straight_path(VehicleSpec(), config)
    clean = _stops(path, config, CLEAN_LAG, (None,))
    noisy = _stops(path, config, NOISY_LAG, range(FIRST_SEED, FIRST_SEED + NOISE_SEEDS))
    unknown = _stops(path, config, NOISY_LAG, (None,), believed=CLEAN_LAG)
    free_clean, free_noisy, free_unknown = ([stop for stop in part if not stop.sudden] for part in (clean, noisy, unknown))
    drives = [follow_route(road_map, route, config) for road_map, route in _routes()]
    offsets = np.abs(np.concatenate([each[1] for each in drives]))
    substeps = np.array([row for run, _ in drives for row in run.substeps])
    spec = VehicleSpec()
    lateral = np.abs(substeps[:, 0] ** 2 * np.tan(substeps[:, 3]) / spec.wheelbase)
    hard = 1e3 * np.array(_constrained_times(path, config))
    return MotionFigures(
        jerk_ratio_clean=float(np.mean([stop.ratio for stop in free_clean])),
        jerk_ratio_clean_worst=max(stop.ratio for stop in free_clean),
        jerk_ratio_noisy=float(np.mean([stop.ratio for stop in free_noisy])),
        jerk_ratio_noisy_worst=max(stop.ratio for stop in free_noisy),
        jerk_ratio_at_limit=float(np.mean([stop.ratio for stop in clean if stop.sudden])),
        jerk_ratio_unknown_lag=float(np.mean([stop.ratio for stop in free_unknown])),
        stop_error_m=max(stop.error_m for stop in [*clean, *noisy]),
        stops=len(clean) + len(noisy),
        peak_jerk=max(stop.peak_jerk for stop in [*clean, *noisy]),
        lateral_rms_m=float(np.sqrt(np.mean(offsets**2))),
        lateral_p99_m=float(np.percentile(offsets, 99)),
        lateral_max_m=float(offsets.max()),
        lateral_accel_p99=float(np.percentile(lateral, 99)),
        lateral_km=float(np.abs(substeps[:, 0]).sum() * TICK_S / SUBSTEPS / 1e3),
        plan_free_ms=1e3 * float(np.median([value for run, _ in drives for value in run.plan_s])),
        plan_constrained_ms=float(np.median(hard)),
        plan_constrained_p99_ms=float(np.percentile(hard, 99)),
        track_ms=1e3 * float(np.median([value for run, _ in drives for value in run.track_s])),
        what_ran=(
            f"stops from {SPEEDS} m/s with peaks {PEAK_BRAKES} m/s², lag {CLEAN_LAG} s clean, {NOISY_LAG} s with noise; "
            f"{len(drives)} routes alone on {', '.join(BUILT)}"
        ),
    )


def format_bench(figures: MotionFigures) -> str:
    """The figures as lines for people."""
    return "\n".join(
        f"{name:26} {value:,.4f}" if isinstance(value, float) else f"{name:26} {value}" for name, value in figures.items()
    )
