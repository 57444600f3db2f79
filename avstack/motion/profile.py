"""Speed along a path as pieces of constant jerk, and the two runs that need no solver: the free one and braking to rest.

Positions [m] along the path are of the box centre; speeds are never negative (a reversing car travels along its path turned
round). Pure functions; SI units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from avstack.motion.minimum_jerk import stop_duration, stop_peaks
from avstack.types import Level
from sim.interface import Floats
from sim.jit import kernel

STEP_S = 0.1
RUN_STEPS = 120
"""Steps of a free run: 12 s."""
_ROUNDING_S = 1e-6
AT_REST = 0.05  # m/s
PREVIEW_S = 0.4  # s, how far ahead of itself a car looks at a falling speed cap
EASE = 1.2  # 1/s, rate at which the last of a speed difference is closed
CLOSE_GAP = 0.35  # 1/s, rate at which a gap to a leader is closed or opened
CREEP_M = 6.0  # m, a move from rest to a stop no further than this is one smooth curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """K nodes: time t [s] from its start, position s, speed v, acceleration a; jerk j[k] holds from node k on (0 after the last).

    stop: position of the stop it runs into, NaN for none; frozen: that stop is under way and is not to be planned again.
    """

    t: Floats
    s: Floats
    v: Floats
    a: Floats
    j: Floats
    level: Level
    feasible: bool
    frozen: bool
    stop: float
    reason: str

    def at(self, time: float) -> tuple[float, float, float]:
        """Position, speed and acceleration at one time; after the last node the speed stays."""
        s, v, a, _ = self.sample(np.array([time]))
        return float(s[0]), float(v[0]), float(a[0])

    def sample(self, times: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Position, speed, acceleration and jerk (Q,) at times (Q,) >= 0."""
        out = np.empty((4, len(times)))
        _sample(times, self.t, self.s, self.v, self.a, self.j, out)
        return out[0], out[1], out[2], out[3]


@kernel
def _sample(times: Floats, t: Floats, s: Floats, v: Floats, a: Floats, j: Floats, out: Floats) -> None:
    """Fill out (4, Q) with position, speed, acceleration and jerk at times (Q,) of a profile's nodes (K,)."""
    k, last = 0, len(t) - 1
    for q in range(len(times)):
        # a time that rounding left just short of a node belongs to the piece after it
        time = times[q] + _ROUNDING_S
        while k < last and t[k + 1] <= time:
            k += 1
        while k > 0 and t[k] > time:
            k -= 1
        into = times[q] - t[k]
        jerk, accel = (j[k], a[k]) if k < last else (0.0, 0.0)
        out[0, q] = s[k] + into * (v[k] + into * (0.5 * accel + jerk * into / 6.0))
        out[1, q] = max(v[k] + into * (accel + 0.5 * jerk * into), 0.0)
        out[2, q], out[3, q] = accel + jerk * into, jerk


@kernel
def _cap_at(caps: Floats, first: float, spacing: float, s: float) -> float:
    """Speed cap at s, linear between samples that start at `first`."""
    place = min(max((s - first) / spacing, 0.0), caps.shape[0] - 1.001)
    k = int(place)
    cap: float = caps[k] + (place - k) * (caps[k + 1] - caps[k])
    return cap


@kernel
def lower_caps(caps: Floats, spacing: float, brake: float) -> None:
    """Lower speed caps, in place, to what `brake` [m/s²] gets down from before each lower cap ahead."""
    for k in range(caps.shape[0] - 2, -1, -1):
        caps[k] = min(caps[k], math.sqrt(caps[k + 1] * caps[k + 1] + 2.0 * brake * spacing))


@kernel
def _cruise(v: float, a: float, cap_here: float, cap_ahead: float, limits: Floats) -> float:
    """Acceleration one step on, under way to a speed cap; limits: accel, brake, jerk, cruise brake."""
    jerk = limits[2]
    feed = 0.0
    if cap_ahead < cap_here and v > 0.1:
        # the cap falls: go down with it instead of after it
        feed = max((cap_ahead - cap_here) / PREVIEW_S, -limits[3])
    gap = min(cap_here, cap_ahead - feed * PREVIEW_S) - v
    size = min(EASE * abs(gap), math.sqrt(1.4 * jerk * abs(gap)))
    wanted = min(max(feed + math.copysign(size, gap), -limits[1]), limits[0])
    # a small difference of speed is no reason for a jolt
    step = min(jerk, abs(gap) + 1.5 * abs(a) + 2.0 * abs(feed) + 0.05) * STEP_S
    later: float = a + min(max(wanted - a, -step), step)
    return later


@kernel
def _follow_cap(tail: Floats, k: int, s: float, gaps: Floats, brake: float) -> float:
    """Speed at which to approach and follow what moves ahead: its own, and more as long as `brake` gets down to that in time."""
    ahead = min(k + 1, tail.shape[0] - 1)
    speed = max((tail[ahead] - tail[ahead - 1]) / STEP_S, 0.0)
    spare = tail[k] - gaps[0] - gaps[1] * speed - s
    closing = CLOSE_GAP * spare
    cap: float = max(speed + (min(closing, math.sqrt(2.0 * brake * spare)) if spare > 0.0 else closing), 0.0)
    return cap


@kernel
def free_run(
    out: Floats, stop: float, target: float, caps: Floats, caps_first: float, spacing: float, tail: Floats, limits: Floats,
    tastes: Floats,
) -> int:  # fmt: skip
    """Fill `out` (RUN_STEPS + 1, 3) of s, v, a, whose first row is the start: how one likes to drive with no more than a leader.

    To `target` speed within `caps`, behind `tail` (RUN_STEPS + 1,; empty: nobody), and from where the smoothest stop before
    `stop` (inf: none) would exceed its onset along that stop. limits: accel, brake, jerk, cruise brake; tastes: brake and jerk at
    the onset of a stop, standing gap, time gap. Returns the row where the stop begins, -1 where it does not.
    """
    begun, duration, s0, v0, a0 = -1, 0.0, 0.0, 0.0, 0.0
    c3, c4, c5 = 0.0, 0.0, 0.0
    for k in range(RUN_STEPS):
        s, v, a = out[k, 0], out[k, 1], out[k, 2]
        way = stop - s
        if begun < 0 and v < AT_REST and abs(a) < 0.1 and way < CREEP_M:
            duration = max(math.sqrt(5.7736 * max(way, 0.0) / limits[0]), (60.0 * max(way, 0.0) / limits[2]) ** (1.0 / 3.0))
            if way < 0.1 or 1.875 * way <= min(target, _cap_at(caps, caps_first, spacing, s)) * duration:
                begun, s0, v0, a0 = k, s, 0.0, 0.0
        elif begun < 0 and way < 1e6:
            duration = stop_duration(v, a, way)
            if duration > 0.0:
                brake, jerk = stop_peaks(v, a, way, duration)
                if brake >= tastes[0] or jerk >= tastes[1]:
                    begun, s0, v0, a0 = k, s, v, a
        if begun == k:
            if way < 0.1 and v0 == 0.0:
                duration = 0.0
            else:
                c3 = (20.0 * way - 12.0 * v0 * duration - 3.0 * a0 * duration**2) / (2.0 * duration**3)
                c4 = (-30.0 * way + 16.0 * v0 * duration + 3.0 * a0 * duration**2) / (2.0 * duration**4)
                c5 = (12.0 * way - 6.0 * v0 * duration - a0 * duration**2) / (2.0 * duration**5)
        if begun >= 0:
            t = (k + 1 - begun) * STEP_S
            if t < duration:
                out[k + 1, 0] = s0 + t * (v0 + t * (0.5 * a0 + t * (c3 + t * (c4 + t * c5))))
                out[k + 1, 1] = v0 + t * (a0 + t * (3.0 * c3 + t * (4.0 * c4 + t * 5.0 * c5)))
                out[k + 1, 2] = a0 + t * (6.0 * c3 + t * (12.0 * c4 + t * 20.0 * c5))
            else:
                out[k + 1, 0], out[k + 1, 1], out[k + 1, 2] = (stop if duration > 0.0 else s), 0.0, 0.0
            continue
        here = min(target, _cap_at(caps, caps_first, spacing, s))
        ahead = min(target, _cap_at(caps, caps_first, spacing, s + v * PREVIEW_S))
        if tail.shape[0] > 0:
            here = min(here, _follow_cap(tail, k, s, tastes[2:], limits[3]))
            ahead = min(ahead, here)
        later = _cruise(v, a, here, ahead, limits)
        out[k + 1, 1] = max(v + 0.5 * (a + later) * STEP_S, 0.0)
        out[k + 1, 2] = later if out[k + 1, 1] > 0.0 else max(later, 0.0)
        out[k + 1, 0] = s + STEP_S * 0.5 * (v + out[k + 1, 1]) - (later - a) * STEP_S * STEP_S / 12.0
    return begun


@kernel
def brake_run(out: Floats, brake: float, jerk: float) -> float:
    """Fill `out` (K, 3) of s, v, a, whose first row is the start, with braking to rest; returns where it rests.

    Jerk-limited: down to -brake, hold, and let go so that acceleration and speed vanish together.
    """
    for k in range(out.shape[0] - 1):
        out[k + 1, 0], out[k + 1, 1], out[k + 1, 2] = _brake_step(out[k, 0], out[k, 1], out[k, 2], brake, jerk)
    return float(out[out.shape[0] - 1, 0])


@kernel
def brake_way(v: float, a: float, brake: float, jerk: float, delay: float) -> float:
    """Way [m] to rest of `brake_run` from speed v >= 0 and acceleration a, kept for `delay` seconds."""
    if v + a * delay <= 0.0:
        return float(-0.5 * v * v / min(a, -1e-9))
    s, v = delay * (v + 0.5 * a * delay), v + a * delay
    while v > 1e-6 or a > 1e-6:
        s, v, a = _brake_step(s, v, a, brake, jerk)
    return float(s)


@kernel
def _brake_step(s: float, v: float, a: float, brake: float, jerk: float) -> tuple[float, float, float]:
    """One step of `brake_run` from s, v, a."""
    if v <= 1e-6 and a <= 1e-6:
        return s, 0.0, 0.0
    step = jerk * STEP_S
    harder = max(a - step, -brake) if a > -brake else min(a + step, -brake)
    # the least speed from which an acceleration can still be let go of, a step from now
    if v + 0.5 * (a + harder) * STEP_S >= 0.5 * harder * harder / jerk or a >= 0.0:
        later = harder
    else:
        # onto v = a² / (2 j), and along it to rest, as far as the limit of jerk allows
        under = 0.25 * STEP_S * STEP_S + 2.0 * (v + 0.5 * a * STEP_S) / jerk
        later = min(jerk * (0.5 * STEP_S - math.sqrt(max(under, 0.0))), a + step, 0.0)
    speed = v + 0.5 * (a + later) * STEP_S
    if speed <= 0.0:
        return s + v * STEP_S / 3.0, 0.0, 0.0  # at rest within this step
    return s + STEP_S * 0.5 * (v + speed) - (later - a) * STEP_S * STEP_S / 12.0, speed, later


@kernel
def prompt_run(out: Floats, stop: float, brake: float, jerk: float, scratch: Floats) -> int:
    """Let a run, rows (K, 3) of s, v, a, brake to rest before `stop` as late as a limit of braking and jerk allows; the row from
    where it brakes, K where it does not.

    scratch (K, 3) is overwritten.
    """
    for k in range(out.shape[0]):
        if out[k, 0] + out[k, 1] * (0.5 * out[k, 1] / brake + (brake + max(out[k, 2], 0.0)) / jerk) < stop - out[k, 1]:
            continue  # not by far yet
        if _braking_from(out, k, brake, jerk, scratch) <= stop:
            continue
        last = max(k - 1, 0)  # from where it is in time
        _braking_from(out, last, brake, jerk, scratch)
        for m in range(last, out.shape[0]):
            for i in range(3):
                out[m, i] = scratch[m - last, i]
        return last
    return int(out.shape[0])


@kernel
def _braking_from(run: Floats, row: int, brake: float, jerk: float, out: Floats) -> float:
    """`brake_run` into `out`, begun at a row of a run."""
    for i in range(3):
        out[0, i] = run[row, i]
    return float(brake_run(out, brake, jerk))


def run_profile(run: Floats, *, level: Level, feasible: bool, frozen: bool, stop: float, reason: str) -> Profile:
    """A run (K, 3) at equal steps as a Profile."""
    t = np.arange(len(run), dtype=np.float64) * STEP_S
    j = np.append(np.diff(run[:, 2]) / STEP_S, 0.0)
    return Profile(
        t=t, s=run[:, 0].copy(), v=run[:, 1].copy(), a=run[:, 2].copy(), j=j, level=level, feasible=feasible, frozen=frozen,
        stop=stop, reason=reason,
    )  # fmt: skip
