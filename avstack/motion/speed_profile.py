"""The speed along a path: as one would drive alone where that keeps every bound, otherwise the nearest profile that does (QP).

Positions [m] are of the box centre along the path. A profile starts at the reference, not at the measurement: what feedback has
corrected is not planned for again, and a stop under way is not planned again at all, so nothing chatters. Levels are tried in
order: comfort, firm, and in the end braking just as hard as it takes, for a leader up to the declared emergency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import Polynomial

from avstack.config import Limits, MotionConfig
from avstack.motion.minimum_jerk import smooth_stop, stop_duration
from avstack.motion.profile import (
    AT_REST,
    RUN_STEPS,
    STEP_S,
    Profile,
    brake_run,
    free_run,
    lower_caps,
    prompt_run,
    run_profile,
)
from avstack.motion.qp import NODES_S, STEPS_S, STOP_STEPS, SpeedProblem, solve_speed, solve_stop
from avstack.types import Level
from sim.interface import Floats

_NODE_ROWS = np.rint(NODES_S / STEP_S).astype(np.int64)
"""Rows of a run that the nodes of the QP fall on."""
CONTACT_M = 0.3  # m behind a leader's tail, the last that is given up when it is already nearer than its gap
BRAKING_STEPS = 8
"""How finely braking is graded between comfort and emergency."""
DONE_M = 0.3  # m past its stop within which a car that hardly moves has stopped there
LET_GO_MARGIN = 1.1
LET_GO_JERK = 8.0  # m/s³, with which the hardest brake is let go of: the actuators lag behind what is faster
PROMPT_WITHIN_M = 80.0  # m before a stop; from further off a prompt one would not be at rest before a run ends
PROMPT_ABOVE = 1.0  # m/s, below which there is nothing to hurry for
PROMPT_SHARE = 0.95  # of comfort's braking and jerk
SOLVED_FOR, NO_WAY = "constrained", "no way within the limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The reference that a profile goes on from: position, speed [m/s] and acceleration [m/s²]."""

    s: float
    v: float
    a: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedBounds:
    """What a profile has to keep. All times are from now.

    target: speed to drive at; caps (P,) of speed every `caps_spacing` [m] from `caps_first` on; stop: where to rest at last,
    inf for nowhere; prompt: there as soon as comfort allows. upper, lower (N,) at NODES_S: positions not to pass, and to have
    reached; infinite where free. tail (RUN_STEPS + 1,) every STEP_S: where the centre would touch the leader, None without one.
    """

    target: float
    caps: Floats
    caps_first: float
    caps_spacing: float
    stop: float
    upper: Floats
    lower: Floats
    tail: Floats | None
    emergency: bool = False
    prompt: bool = False


def plan_speed(start: Start, vehicle: Start, bounds: SpeedBounds, previous: Profile | None, config: MotionConfig) -> Profile:
    """Profile from `start`, which lies on `previous` (shifted so that now is its t = 0) where there is one.

    vehicle: what the car itself will be doing when control acts, where it lags behind; else `start`.
    """
    if bounds.emergency:
        return _braking(start, config.emergency, Level.EMERGENCY, "emergency")
    behind = _behind(start, bounds, config)
    upper = np.minimum(_upper(start, bounds), behind)
    if previous is not None and previous.frozen and _still_right(previous, bounds, upper, config):
        return previous
    levels = _open_levels(start, vehicle, config)
    if bounds.prompt and levels[0] == Level.COMFORT:
        prompt = _prompt(start, bounds, upper, config)
        if prompt is not None:
            return prompt
    run, begun = _free(start, bounds, levels[0], config)
    nodes = run[_NODE_ROWS]
    best: tuple[float, Profile] | None = None
    for level, limits in _attempts(levels, config):
        if _keeps(run[:, 2], limits, start.a) and _within(nodes, bounds, upper, config):
            whole = _whole_stop(start, bounds.stop, run) if begun == 0 else run
            return run_profile(
                whole, level=level, feasible=True, frozen=begun == 0, stop=bounds.stop if begun >= 0 else math.nan,
                reason="stop" if begun == 0 else "free",
            )  # fmt: skip
        if begun == 0:
            stop = _bounded_stop(start, bounds.stop, limits, level)
            if stop is not None and _within(_at_nodes(stop), bounds, upper, config):
                return stop
        found = _constrained(start, bounds, upper, nodes, (level, limits), config)
        if found is not None and (found[1].feasible or (level == Level.COMFORT and found[0] <= config.speed.late_stop)):
            return found[1]
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    fallback = _as_hard_as_needed(start, upper, behind, config)
    if (
        previous is not None
        and previous.reason == NO_WAY
        and fallback.level > previous.level
        and _passes_none(previous, behind, config)
    ):
        # too late to let go of the brake at this level is no reason for a harder one
        fallback = previous
    # where only a gap cannot be reached in time, missing it smoothly is better than braking hard for it
    keeps_back = best is not None and _passes_none(best[1], upper, config)
    return best[1] if best is not None and keeps_back else fallback


def _passes_none(profile: Profile, upper: Floats, config: MotionConfig) -> bool:
    return bool(np.all(_at_nodes(profile)[:, 0] <= upper + config.speed.position_tolerance))


def _open_levels(start: Start, vehicle: Start, config: MotionConfig) -> tuple[Level, ...]:
    """Levels to plan at, mildest first: those that declare the braking under way and let go of it before anything stands.

    Where only emergency can, it is open too, to let go; otherwise nothing is planned there, but braked.
    """
    declared = [level for level in (Level.COMFORT, Level.FIRM) if start.a >= -config.levels[level].brake - 0.05]
    found = tuple(
        level for level in declared if all(_can_let_go(each, planned_limits(config, level)) for each in (start, vehicle))
    )
    return found or (Level.EMERGENCY,)


def _attempts(levels: tuple[Level, ...], config: MotionConfig) -> list[tuple[Level, Limits]]:
    """Levels with what plans may use of their limits, in the order in which they are tried.

    Under emergency braking, first with a firm brake, let go of at the jerk which that takes: that the brake is on is no reason to
    go on braking so for what is worth less, such as the gap to a leader.
    """
    attempts = [(level, planned_limits(config, level)) for level in levels]
    mildest, limits = attempts[0]
    if mildest < Level.EMERGENCY:
        return attempts
    return [(mildest, replace(planned_limits(config, Level.FIRM), jerk=limits.jerk)), *attempts]


def _can_let_go(start: Start, limits: Limits) -> bool:
    """Whether braking can be let go of within a limit of jerk before it has brought the car to rest."""
    return start.a >= 0.0 or start.v >= LET_GO_MARGIN * 0.5 * start.a**2 / limits.jerk or start.a > -limits.jerk * STEP_S


def planned_limits(config: MotionConfig, level: Level) -> Limits:
    """The share of a level's limits that plans may use; feedback and actuators have the rest."""
    limits, speed = config.levels[level], config.speed
    return Limits(
        accel=limits.accel * speed.accel_share, brake=limits.brake * speed.accel_share, jerk=limits.jerk * speed.jerk_share
    )


def _free(start: Start, bounds: SpeedBounds, level: Level, config: MotionConfig) -> tuple[Floats, int]:
    """The run (RUN_STEPS + 1, 3) without gaps or windows to keep, and the row where the stop begins (-1: not yet).

    level: the mildest that is open: a brake put on harder than at comfort is let go of at that level's jerk, or it would hold the
    car back long after its reason has gone.
    """
    limits, speed = planned_limits(config, Level.COMFORT), config.speed
    limits = replace(limits, jerk=min(planned_limits(config, level).jerk, max(limits.jerk, LET_GO_JERK)))
    caps = np.minimum(bounds.caps, bounds.target)
    lower_caps(caps, bounds.caps_spacing, speed.cruise_brake)
    run = np.zeros((RUN_STEPS + 1, 3))
    run[0] = start.s, start.v, start.a
    begun = free_run(
        run, bounds.stop, bounds.target, caps, bounds.caps_first, bounds.caps_spacing,
        np.zeros(0) if bounds.tail is None else bounds.tail,
        np.array([limits.accel, limits.brake, limits.jerk, speed.cruise_brake]),
        np.array([speed.stop_brake, speed.stop_jerk, speed.standing_gap, speed.time_gap]),
    )  # fmt: skip
    return run, begun


def _prompt(start: Start, bounds: SpeedBounds, upper: Floats, config: MotionConfig) -> Profile | None:
    """To the stop as soon as comfort allows; None where a bound is in the way, or it is too late for it."""
    limits = planned_limits(config, Level.COMFORT)
    way = bounds.stop - start.s
    if not 0.0 < way < PROMPT_WITHIN_M or start.v < PROMPT_ABOVE:
        return None
    run, _ = _free(start, replace(bounds, stop=math.inf), Level.COMFORT, config)
    begins = prompt_run(run, bounds.stop, PROMPT_SHARE * limits.brake, PROMPT_SHARE * limits.jerk, np.empty_like(run))
    if begins > 0:
        if not _within(run[_NODE_ROWS], bounds, upper, config):
            return None
        return run_profile(run, level=Level.COMFORT, feasible=True, frozen=False, stop=math.nan, reason="free")
    short = max(way - float(run[-1, 0] - start.s), 0.0)  # of the stop, where that braking leads: less than a step's way
    duration = STEP_S * (np.count_nonzero(run[:, 1]) + 1) + 2.0 * short / start.v
    found = _stop_in(start, bounds.stop, duration, limits, Level.COMFORT)
    return found if found is not None and _within(_at_nodes(found), bounds, upper, config) else None


def _whole_stop(start: Start, stop: float, run: Floats) -> Floats:
    """The rows (K, 3) of a stop begun at `start` to its end, which may be later than the run's."""
    found = smooth_stop(start.v, start.a, stop - start.s)
    if found is None or start.v < AT_REST or found.duration <= RUN_STEPS * STEP_S:
        return run
    t = np.minimum(STEP_S * np.arange(math.ceil(found.duration / STEP_S) + 1), found.duration)
    position = Polynomial(found.coefficients)
    return np.stack([start.s + position(t), position.deriv(1)(t), position.deriv(2)(t)], axis=1)


def _upper(start: Start, bounds: SpeedBounds) -> Floats:
    """(N,) the positions not to pass, for whatever reason but a leader."""
    upper = np.minimum(bounds.upper, bounds.stop)
    if start.v < AT_REST and start.s <= bounds.stop + DONE_M:
        upper = np.maximum(upper, np.minimum(start.s, bounds.upper))
    return upper


def _behind(start: Start, bounds: SpeedBounds, config: MotionConfig) -> Floats:
    """(N,) the positions not to pass because of a leader, infinite without one.

    A leader nearer than its least gap asks for no more than comfortable braking as long as that does not touch it.
    """
    if bounds.tail is None:
        return np.full(len(NODES_S), math.inf)
    gently = _brake_rows(start, planned_limits(config, Level.COMFORT))[_NODE_ROWS, 0]
    tail = bounds.tail[_NODE_ROWS]
    return np.asarray(np.maximum(tail - config.speed.min_gap, np.minimum(tail - CONTACT_M, gently)))


def _caps_at(s: Floats, bounds: SpeedBounds) -> Floats:
    grid = bounds.caps_first + bounds.caps_spacing * np.arange(len(bounds.caps))
    return np.minimum(np.interp(s, grid, bounds.caps), bounds.target)


def _still_right(previous: Profile, bounds: SpeedBounds, upper: Floats, config: MotionConfig) -> bool:
    """Whether the rest of a stop under way still leads to the stop asked for, within what is asked now."""
    if abs(previous.stop - bounds.stop) > config.speed.same_stop_m:
        return False
    return _within(_at_nodes(previous), bounds, upper, config)


def _at_nodes(profile: Profile) -> Floats:
    s, v, a, _ = profile.sample(NODES_S)
    return np.stack([s, v, a], axis=1)


def _within(nodes: Floats, bounds: SpeedBounds, upper: Floats, config: MotionConfig) -> bool:
    """Whether a run keeps its bounds at the nodes (N, 3)."""
    s, v = nodes[:, 0], nodes[:, 1]
    room = config.speed.position_tolerance
    if np.any(s > upper + room) or np.any(s < bounds.lower - room):
        return False
    if bounds.tail is not None and np.any(
        s + config.speed.time_gap * v > bounds.tail[_NODE_ROWS] - config.speed.standing_gap + room
    ):
        return False
    # the first second is what the start leads to whatever is planned
    late = slice(10, None)
    return not np.any(v[late] > _caps_at(s[late], bounds) + config.speed.speed_tolerance)


def _keeps(accel: Floats, limits: Limits, start: float) -> bool:
    """Whether accelerations (K,) at equal steps keep limits, other than by coming back from a start beyond them."""
    jerk = np.diff(accel) / STEP_S
    low, high = min(-limits.brake, start), max(limits.accel, start)
    return bool(np.all(np.abs(jerk) <= limits.jerk + 1e-6) and accel.min() >= low - 1e-6 and accel.max() <= high + 1e-6)


def _bounded_stop(start: Start, stop: float, limits: Limits, level: Level) -> Profile | None:
    """The smoothest stop where the closed form would break the limits; None where none keeps them."""
    way = stop - start.s
    duration = stop_duration(start.v, start.a, way)
    if duration <= 0.0 or start.v < AT_REST:
        return None
    return _stop_in(start, stop, duration, limits, level)


def _stop_in(start: Start, stop: float, duration: float, limits: Limits, level: Level) -> Profile | None:
    """The smoothest stop that takes `duration` [s] at most; None where none keeps the limits."""
    jerk = solve_stop(start.v, start.a, stop - start.s, (limits.brake, limits.jerk), duration)
    if jerk is None:
        return None
    steps = np.full(STOP_STEPS, duration / STOP_STEPS)
    return _integrated(start, jerk, steps, level=level, feasible=True, frozen=True, stop=stop, reason="stop")


def _constrained(
    start: Start, bounds: SpeedBounds, upper: Floats, free: Floats, within: tuple[Level, Limits], config: MotionConfig
) -> tuple[float, Profile] | None:
    """(metres by which it breaks a bound, the profile nearest to the free run (N, 3) within all bounds at one level)."""
    (level, limits), speed = within, config.speed
    gently = _brake_rows(start, limits)[_NODE_ROWS]
    recovering = start.a + limits.jerk * NODES_S
    easing = start.a - limits.jerk * NODES_S
    has_lower = bool(np.any(np.isfinite(bounds.lower)))
    problem = SpeedProblem(
        v=start.v,
        a=start.a,
        free_v=free[:, 1],
        free_a=free[:, 2],
        free_j=np.diff(free[:, 2], prepend=start.a) / STEPS_S,
        upper=upper - start.s,
        lower=bounds.lower - start.s if has_lower else None,
        follow=None if bounds.tail is None else bounds.tail[_NODE_ROWS] - speed.standing_gap - start.s,
        time_gap=speed.time_gap,
        cap=np.maximum(_caps_at(free[:, 0], bounds), gently[:, 1]) + 0.5 * speed.speed_tolerance,
        brake=np.maximum(limits.brake, -recovering) + 1e-3,
        accel=np.maximum(limits.accel, easing) + 1e-3,
        jerk=limits.jerk,
        weights=(speed.weight_accel, speed.weight_speed, speed.gap_weight),
    )
    solved = solve_speed(problem)
    if solved is None:
        return None
    jerk, passed, missed = solved
    broken = max(passed, missed)
    feasible = broken <= speed.position_tolerance
    return broken, _integrated(
        start, jerk, STEPS_S, level=level, feasible=feasible, frozen=False, stop=math.nan, reason=SOLVED_FOR
    )


def _integrated(
    start: Start, jerk: Floats, steps: Floats, *, level: Level, feasible: bool, frozen: bool, stop: float, reason: str
) -> Profile:
    """Profile of jerks (K,) over steps (K,) from a start; it does not roll backwards."""
    a = start.a + np.concatenate([[0.0], np.cumsum(jerk * steps)])
    v = start.v + np.concatenate([[0.0], np.cumsum(steps * (a[:-1] + 0.5 * jerk * steps))])
    s = start.s + np.concatenate([[0.0], np.cumsum(steps * (v[:-1] + steps * (0.5 * a[:-1] + jerk * steps / 6.0)))])
    return Profile(
        t=np.concatenate([[0.0], np.cumsum(steps)]), s=np.maximum.accumulate(s), v=np.maximum(v, 0.0), a=a,
        j=np.append(jerk, 0.0), level=level, feasible=feasible, frozen=frozen, stop=stop, reason=reason,
    )  # fmt: skip


def _brake_rows(start: Start, limits: Limits) -> Floats:
    """(RUN_STEPS + 1, 3) braking to rest under limits."""
    run = np.zeros((RUN_STEPS + 1, 3))
    run[0] = start.s, start.v, start.a
    brake_run(run, limits.brake, limits.jerk)
    return run


def _braking(start: Start, limits: Limits, level: Level, reason: str) -> Profile:
    share = replace(limits, jerk=0.85 * limits.jerk, brake=0.95 * limits.brake)
    run = _brake_rows(start, share)
    return run_profile(run, level=level, feasible=False, frozen=False, stop=math.nan, reason=reason)


def _as_hard_as_needed(start: Start, upper: Floats, behind: Floats, config: MotionConfig) -> Profile:
    """Braking to rest with the least of graded brakings that passes nothing.

    Lines and zones are worth firm braking at most: whether a collision is near is for the safety layer to say, which brakes
    harder then. For a leader it is as hard as is declared.
    """
    profile = None
    for step, limits in enumerate(_graded(config)):
        # what is left of the speed must suffice to let go of the brake
        if step < BRAKING_STEPS and not _can_let_go(start, replace(limits, jerk=0.85 * limits.jerk)):
            continue
        profile = _braking(start, limits, _level_of(limits, start.a, config), NO_WAY)
        kept = upper if step < BRAKING_STEPS // 2 else behind
        room = config.speed.late_stop if step == 0 else config.speed.position_tolerance
        if np.all(_at_nodes(profile)[:, 0] <= kept + room):
            break
    return profile if profile is not None else _braking(start, config.emergency, Level.EMERGENCY, NO_WAY)


def _graded(config: MotionConfig) -> list[Limits]:
    """BRAKING_STEPS + 1 limits from comfort over firm, which is in the middle, to emergency."""
    grades = []
    for softer, harder in ((config.comfort, config.firm), (config.firm, config.emergency)):
        for step in range(BRAKING_STEPS // 2):
            share = step / (BRAKING_STEPS // 2)
            brake, jerk = (
                softer.brake * (harder.brake / softer.brake) ** share,
                softer.jerk * (harder.jerk / softer.jerk) ** share,
            )
            grades.append(Limits(accel=config.emergency.accel, brake=brake, jerk=jerk))
    return [*grades, config.emergency]


def _level_of(limits: Limits, accel: float, config: MotionConfig) -> Level:
    """The lowest level that declares such braking."""
    for level in (Level.COMFORT, Level.FIRM):
        declared = config.levels[level]
        if limits.brake <= declared.brake + 1e-9 and limits.jerk <= declared.jerk + 1e-9 and accel >= -declared.brake - 0.05:
            return level
    return Level.EMERGENCY
