"""From what behaviours ask to a trajectory, once a tick: bounds in, `Trajectory` out, memory passed on.

Positions along the path are of ego's box centre unless said otherwise (`centre_of_front` converts stop lines); times are from
now. A reversing car is planned along the same path turned round: s becomes -s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from avstack.config import MotionConfig
from avstack.motion.minimum_jerk import gentle_way
from avstack.motion.path import SPACING, Nudge, Offsets, ReferencePath, no_offsets, offset_profile, shifted, slip_along
from avstack.motion.profile import AT_REST, RUN_STEPS, STEP_S, Profile, brake_run, free_run, lower_caps, run_profile
from avstack.motion.qp import NODES_S
from avstack.motion.speed_profile import SpeedBounds, Start, plan_speed
from avstack.motion.vehicle import Command, Estimate, VehicleState, advance
from avstack.types import Level, Trajectory
from sim.interface import TICK_S, Floats, VehicleSpec

RUN_TIMES = STEP_S * np.arange(RUN_STEPS + 1, dtype=np.float64)
"""(K,) times of a trajectory's samples [s]."""
SLIP_STEP = 0.25  # m
SLIP_BEFORE = 8.0  # m of path that decide the slip
CAPS_AHEAD = 220.0  # m
FORGOTTEN_M = 10.0  # m behind, where a stop that was missed no longer counts
LEADER_RESTS = 0.1  # m/s, a leader slower than this at the end of its prediction is stopped for
BRAKE_SHARE, JERK_SHARE = 0.95, 0.85
"""Of a level's limits, what braking to rest is planned with; feedback and the actuators have the rest."""
FALLBACK, APPROACH = "fallback", "approach"
SHORT_M = 0.8  # m behind a reference at rest, from where a car at rest plans anew; less does not matter and may be noise
LEADER_STOP_M = 0.4  # m that the rest of a leader may seem to move without a new stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Somebody ahead: predicted position s (M,) of its rear end along the path at times t (M,); it keeps its last speed."""

    t: Floats
    s: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From t_from to t_to [s] be at s_min or beyond and at s_max at most."""

    t_from: float
    t_to: float
    s_min: float = -math.inf
    s_max: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What behaviours ask of motion. envelope: speeds (M,) at increasing s (M,), linear between and constant beyond.

    stops: positions to rest at, the first counts, and one just passed is still braked for; rest: come to rest where that is
    gentle, or where the stop under way leads; prompt: rest at a stop as soon as comfort allows, not as smoothly as can be;
    nudges: sorted by start; reverse_to: back up to this s; emergency: brake as hard as is declared, now.
    """

    target_speed: float = math.inf
    envelope: tuple[Floats, Floats] | None = None
    stops: tuple[float, ...] = ()
    rest: bool = False
    leaders: tuple[Leader, ...] = ()
    windows: tuple[Window, ...] = ()
    nudges: tuple[Nudge, ...] = ()
    reverse_to: float | None = None
    emergency: bool = False
    prompt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionMemory:
    """What motion carries from tick to tick; made by `start`.

    profile: the last one, in direction of travel, planned at `tick`; path, s: where the reference was then; pending: commands
    under way to the actuators, oldest first.
    """

    spec: VehicleSpec
    tick: int = -1
    profile: Profile | None = None
    path: ReferencePath | None = None
    s: float = 0.0
    direction: int = 1
    offsets: Offsets = field(default_factory=no_offsets)
    estimate: Estimate | None = None
    pending: tuple[Command, ...] = ()


def start(spec: VehicleSpec) -> MotionMemory:
    """Memory before the first plan."""
    return MotionMemory(spec=spec)


def centre_of_front(s: float, spec: VehicleSpec) -> float:
    """Where the centre of the box is when its front is at s."""
    return s - 0.5 * spec.length


def plan(
    state: VehicleState, path: ReferencePath, constraints: Constraints, memory: MotionMemory, config: MotionConfig
) -> tuple[Trajectory, MotionMemory]:
    """The trajectory from this tick on. ValueError where a constraint is NaN or out of order."""
    _check(constraints)
    began, previous, direction = _reference(state, path, constraints, memory, config)
    place = direction * began.s
    offsets = offset_profile(place, began.v, memory.offsets, constraints.nudges, config.path) if direction > 0 else memory.offsets
    # a car that was braked harder than at comfort lags behind its reference, and has to let go of the brake too
    lags = previous is None or previous.level > Level.COMFORT
    vehicle = _when_control_acts(state, began, direction, memory) if lags else began
    acts = began if previous is not None else vehicle
    bounds = _bounds(acts, path, constraints, direction, memory.spec, previous, config)
    profile = plan_speed(acts, vehicle, bounds, previous, config)
    if previous is None:
        profile = _led_in(began, profile, TICK_S * len(memory.pending))
    trajectory = _trajectory(profile, path, offsets, direction, memory.spec)
    return trajectory, replace(memory, tick=state.tick, profile=profile, path=path, s=place, direction=direction, offsets=offsets)


def _check(constraints: Constraints) -> None:
    numbers = [constraints.target_speed, *constraints.stops]
    numbers += [value for window in constraints.windows for value in (window.t_from, window.t_to, window.s_min, window.s_max)]
    numbers += [value for nudge in constraints.nudges for value in (nudge.start, nudge.end, nudge.offset)]
    if any(math.isnan(value) for value in numbers) or constraints.target_speed < 0.0:
        raise ValueError(f"motion constraints must be numbers and the target speed not negative, got {constraints!r}")
    for leader in constraints.leaders:
        if (
            len(leader.t) == 0
            or len(leader.t) != len(leader.s)
            or not np.all(np.isfinite(leader.s))
            or np.any(np.diff(leader.t) <= 0)
        ):
            raise ValueError(f"a leader needs finite positions at increasing times, got t={leader.t!r}, s={leader.s!r}")


def _reference(
    state: VehicleState, path: ReferencePath, constraints: Constraints, memory: MotionMemory, config: MotionConfig
) -> tuple[Start, Profile | None, int]:
    """Where the plan goes on from, the rest of the last profile from there, and the direction of travel (+1, -1).

    The last profile's own state, as long as the vehicle is near it; otherwise, and at the first call, the vehicle's. Where both
    rest, control leaves position alone: what a car is short of then it could never make up for.
    """
    near = memory.s if memory.path is path else None
    s, _ = path.project(state.x, state.y, near)
    wanted = 1 if constraints.reverse_to is None else -1
    direction = memory.direction
    if memory.profile is not None:
        elapsed = (state.tick - memory.tick) * TICK_S
        rest = _moved_on(memory.profile, elapsed)
        if memory.path is not path and memory.path is not None:
            # onto another path: the reference keeps its place in the world
            old = memory.path.at(np.array([direction * rest.s[0]]))
            there, _ = path.project(float(old.x[0]), float(old.y[0]), s)
            rest = replace(rest, s=rest.s + direction * there - rest.s[0], frozen=False)
        v, a = float(rest.v[0]), float(rest.a[0])
        here = abs(rest.s[0] - direction * s) <= config.speed.stitch_position
        if elapsed >= 0.0 and here and abs(v - direction * state.speed) <= config.speed.stitch_speed:
            short = rest.s[0] - direction * s > SHORT_M
            if (direction != wanted or short) and v < AT_REST and abs(state.speed) < AT_REST:
                return Start(s=wanted * s, v=0.0, a=0.0), None, wanted
            return Start(s=float(rest.s[0]), v=v, a=a), rest, direction
    direction = wanted if abs(state.speed) < AT_REST else (1 if state.speed > 0.0 else -1)
    return Start(s=direction * s, v=max(direction * state.speed, 0.0), a=direction * state.accel), None, direction


def _when_control_acts(state: VehicleState, now: Start, direction: int, memory: MotionMemory) -> Start:
    """What the car will be doing, from `now` on: what is on its way to the actuators already is not to be changed."""
    later = state
    for command in memory.pending:
        later = advance(later, command, memory.spec)
    way = math.hypot(later.x - state.x, later.y - state.y)
    return Start(s=now.s + way, v=max(direction * later.speed, 0.0), a=direction * later.accel)


def _led_in(now: Start, profile: Profile, latency: float) -> Profile:
    """A profile that begins `latency` seconds from now, with the way there before it."""
    if latency <= 0.0:
        return profile
    lead = np.array([[now.s], [now.v], [now.a], [(profile.a[0] - now.a) / latency]])
    s, v, a, j = np.concatenate([lead, np.stack([profile.s, profile.v, profile.a, profile.j])], axis=1)
    return replace(profile, t=np.concatenate([[0.0], profile.t + latency]), s=s, v=v, a=a, j=j)


def _moved_on(profile: Profile, elapsed: float) -> Profile:
    """A profile as it looks `elapsed` seconds later, with a node there."""
    if elapsed <= 0.0:
        return profile
    s, v, a, j = profile.sample(np.array([elapsed]))
    later = profile.t > elapsed + 1e-6
    return replace(
        profile,
        t=np.concatenate([[0.0], profile.t[later] - elapsed]),
        s=np.concatenate([s, profile.s[later]]),
        v=np.concatenate([v, profile.v[later]]),
        a=np.concatenate([a, profile.a[later]]),
        j=np.concatenate([j, profile.j[later]]),
    )


def _bounds(
    began: Start, path: ReferencePath, constraints: Constraints, direction: int, spec: VehicleSpec, previous: Profile | None,
    config: MotionConfig,
) -> SpeedBounds:  # fmt: skip
    """What the constraints mean in the direction of travel."""
    turning_round = (direction < 0) != (constraints.reverse_to is not None)
    target = 0.0 if turning_round else constraints.target_speed
    upper, lower = np.full(len(NODES_S), math.inf), np.full(len(NODES_S), -math.inf)
    for window in constraints.windows:
        during = (window.t_from - 1e-9 <= NODES_S) & (window.t_to + 1e-9 >= NODES_S)
        low, high = (window.s_min, window.s_max) if direction > 0 else (-window.s_max, -window.s_min)
        upper[during] = np.minimum(upper[during], high)
        lower[during] = np.maximum(lower[during], low)
    if direction < 0:
        stop = began.s if constraints.reverse_to is None else -constraints.reverse_to
        return SpeedBounds(
            target=min(target, config.reverse_speed), caps=np.full(2, config.reverse_speed), caps_first=began.s,
            caps_spacing=1.0, stop=stop if not turning_round else math.inf, upper=upper, lower=lower, tail=None,
            emergency=constraints.emergency,
        )  # fmt: skip
    first = max(int(began.s / SPACING), 0)
    caps = path.caps[first : first + int(CAPS_AHEAD / SPACING)]
    caps = np.concatenate([caps, np.full(2, path.caps[-1])])
    if constraints.envelope is not None:
        caps = np.minimum(caps, np.interp(SPACING * (first + np.arange(len(caps))), *constraints.envelope))
    tail = _tail(constraints.leaders, spec)
    stop = min((value for value in constraints.stops if value > began.s - FORGOTTEN_M), default=math.inf)
    if constraints.rest:
        stop = min(stop, _resting_place(began, previous, config))
    if tail is not None and tail[-1] - tail[-2] < LEADER_RESTS * STEP_S:
        behind = float(tail[-1]) - config.speed.standing_gap
        if previous is not None and previous.frozen and abs(previous.stop - behind) < LEADER_STOP_M:
            behind = previous.stop
        if behind < stop and behind > began.s:
            stop, tail = behind, tail + (behind + config.speed.standing_gap - tail[-1])
    return SpeedBounds(
        target=target, caps=caps, caps_first=SPACING * first, caps_spacing=SPACING, stop=stop, upper=upper, lower=lower,
        tail=tail, emergency=constraints.emergency, prompt=constraints.prompt and stop in constraints.stops,
    )  # fmt: skip


def _resting_place(began: Start, previous: Profile | None, config: MotionConfig) -> float:
    """Where a car with nowhere in particular to stop comes to rest: at the stop under way, else where a stop begun now is gentle.

    Reckoned from the reference: from the measurement the place would wander with its noise.
    """
    if previous is not None and previous.frozen:
        return previous.stop
    return began.s + gentle_way(began.v, began.a, config.speed.stop_brake, config.speed.stop_jerk)


def _tail(leaders: tuple[Leader, ...], spec: VehicleSpec) -> Floats | None:
    """(K,) at RUN_TIMES: where the own centre would touch the nearest leader."""
    if not leaders:
        return None
    tails = []
    for leader in leaders:
        speed = (leader.s[-1] - leader.s[-2]) / (leader.t[-1] - leader.t[-2]) if len(leader.t) > 1 else 0.0
        beyond = np.maximum(RUN_TIMES - leader.t[-1], 0.0)
        tails.append(np.interp(RUN_TIMES, leader.t, leader.s) + max(float(speed), 0.0) * beyond)
    nearest: Floats = np.min(tails, axis=0) - 0.5 * spec.length
    return nearest


def _trajectory(profile: Profile, path: ReferencePath, offsets: Offsets, direction: int, spec: VehicleSpec) -> Trajectory:
    """A profile along a path with its offsets, sampled at RUN_TIMES."""
    along, v, a, j = profile.sample(RUN_TIMES)
    s = direction * along
    place, stretch = shifted(path, s, offsets)
    reach = spec.rear_to_centre
    slip = np.arcsin(np.clip(reach * place.curvature, -0.9, 0.9))
    if direction > 0:
        grid = np.arange(s[0] - SLIP_BEFORE, s[min(40, RUN_STEPS)] + 3.0, SLIP_STEP)
        exact = slip_along(shifted(path, grid, offsets)[0].curvature, SLIP_STEP, reach)
        slip = np.where(s <= grid[-1], np.interp(s, grid, exact), slip)
    # the centre's speed over the rear axle's
    stretch = stretch * np.cos(slip)
    fields = {
        "t": RUN_TIMES.copy(), "s": s, "x": place.x, "y": place.y, "heading": place.heading, "curvature": place.curvature,
        "slip": slip, "speed": direction * v * stretch, "accel": direction * a * stretch, "jerk": direction * j * stretch,
    }  # fmt: skip
    for array in fields.values():
        array.setflags(write=False)
    return Trajectory(**fields, feasible=profile.feasible, level=profile.level, reverse=direction < 0, reason=profile.reason)


def fall_back(
    state: VehicleState, path: ReferencePath, memory: MotionMemory, level: Level | None, config: MotionConfig
) -> tuple[Trajectory, MotionMemory]:
    """Brake to rest along the path within one level's limits, or go on as planned last (level None), whatever is planned now.

    `memory` is that before this tick's plan: the reference goes on from there until control can act, and brakes from then on, so
    that the switch itself costs no jerk beyond the level's.
    """
    same_way = Constraints(reverse_to=None if memory.direction > 0 else -math.inf)
    began, previous, direction = _reference(state, path, same_way, memory, config)
    if level is None and previous is not None:
        trajectory = _trajectory(previous, path, memory.offsets, direction, memory.spec)
        kept = replace(memory, tick=state.tick, profile=previous, path=path, s=direction * began.s, direction=direction)
        return trajectory, kept
    level = Level.COMFORT if level is None else level
    run = np.zeros((RUN_STEPS + 1, 3))
    first = config.control.latency_ticks
    if previous is None:
        run[0], first = (began.s, began.v, began.a), 0
    else:
        s, v, a, _ = previous.sample(STEP_S * np.arange(first + 1, dtype=np.float64))
        run[: first + 1] = np.stack([s, v, a], axis=1)
    limits = config.levels[level]
    brake_run(run[first:], BRAKE_SHARE * limits.brake, JERK_SHARE * limits.jerk)
    profile = run_profile(run, level=level, feasible=True, frozen=False, stop=math.nan, reason=FALLBACK)
    trajectory = _trajectory(profile, path, memory.offsets, direction, memory.spec)
    return trajectory, replace(memory, tick=state.tick, profile=profile, path=path, s=direction * began.s, direction=direction)


def approach(
    state: VehicleState, path: ReferencePath, memory: MotionMemory, speed: float, level: Level, config: MotionConfig
) -> tuple[Trajectory, MotionMemory]:
    """Take on `speed` [m/s] along the path within one level's limits, as far as bends allow: for who decides nothing else.

    `memory` is that before this tick's plan, as in `fall_back`.
    """
    same_way = Constraints(reverse_to=None if memory.direction > 0 else -math.inf)
    began, previous, direction = _reference(state, path, same_way, memory, config)
    first = config.control.latency_ticks if previous is not None else 0
    run = np.zeros((first + RUN_STEPS + 1, 3))
    run[0] = began.s, began.v, began.a
    if previous is not None:
        s, v, a, _ = previous.sample(STEP_S * np.arange(first + 1, dtype=np.float64))
        run[: first + 1] = np.stack([s, v, a], axis=1)
    start = max(int(run[first, 0] / SPACING), 0)
    caps = path.caps[start : start + int(CAPS_AHEAD / SPACING)]
    caps = np.concatenate([caps, np.full(2, path.caps[-1])]) if direction > 0 else np.full(2, config.reverse_speed)
    bounds, brake = config.levels[level], config.speed.cruise_brake
    lower_caps(caps, SPACING, brake)
    limits = np.array([bounds.accel, BRAKE_SHARE * bounds.brake, JERK_SHARE * bounds.jerk, brake])
    tastes = np.array([config.speed.stop_brake, config.speed.stop_jerk, config.speed.standing_gap, config.speed.time_gap])
    free_run(run[first:], math.inf, speed, caps, SPACING * start, SPACING, np.zeros(0), limits, tastes)
    profile = run_profile(run, level=level, feasible=True, frozen=False, stop=math.nan, reason=APPROACH)
    trajectory = _trajectory(profile, path, memory.offsets, direction, memory.spec)
    return trajectory, replace(memory, tick=state.tick, profile=profile, path=path, s=direction * began.s, direction=direction)
