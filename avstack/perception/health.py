"""Self-diagnosis: what a frame itself gives away about the sensors' state, and how much of it is to be trusted.

A sweep is fresh if it is not the one before again, has points, and was measured just now. Rings are told apart by their slope
as the sensor sees it; a pose must agree with the last one and with how the car has moved since. The memory is a value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sim.geometry import wrap_angle
from sim.interface import TICK_S, Floats, SensorFrame
from sim.jit import kernel

BLIND_S, GIVEN_UP_S = 0.25, 1.0
"""s without a fresh sweep up to which nothing is lost, and from which nothing of the picture is left."""
SENSOR_HEIGHT = 1.84  # m; slopes of rings are told from points beyond NEAREST, where a decimetre matters little
NEAREST = 2.5  # m
SLOPES = 96
LOWEST, HIGHEST = -0.62, -0.05
"""Rise per metre between which rings are told apart: those that meet the ground near enough to come back from it."""
RING_POINTS = 60
RINGS_FADE = 0.999  # share of the usual number of rings that is kept from tick to tick
RINGS_GONE = 0.25  # share of the usual rings that may be missing for other reasons, such as a wall
SPOILT = 0.02  # share of points that are no numbers
JUMP_M, JUMP_RAD, JUMP_SIGMAS = 0.7, 0.1, 4.0
JUMP_S = 5.0
"""s for which dead reckoning stands in for a pose that has jumped; trust falls to nothing meanwhile."""
SETTLED_TICKS = 20  # at rest, after which a pose that stays where it is is believed again
AT_REST = 0.1  # m/s
USUAL_HEALTH = 0.999


class Fault(IntEnum):
    """What the worst of the symptoms is."""

    NONE = 0
    BLIND = 1
    """No fresh sweep: nothing comes, it comes late, or the same comes again."""
    RINGS = 2
    """Fewer rings than before."""
    SPOILT = 3
    """Points that are no numbers."""
    POSE = 4
    """The pose estimate is not where the car can have driven to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthMemory:
    """What diagnosis remembers. fingerprint: of the last sweep; fresh: tick of the last fresh one, -1 for none yet; rings: how
    many are usual; pose: the last one that was believed, None before the first; jumped: ticks of dead reckoning so far;
    settled: ticks at rest meanwhile."""

    fingerprint: tuple[int, float] = (0, 0.0)
    fresh: int = -1
    rings: float = 0.0
    pose: tuple[float, float, float] | None = None
    jumped: int = 0
    settled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """trust: in the whole picture, 0 to 1; fault: what lowers it most; fresh: this sweep is; pose: (3,) to go by; apart: mean
    rise per metre from one ring to the next, inf where less than two are told apart."""

    trust: float
    fault: Fault
    fresh: bool
    pose: Floats
    apart: float = math.inf


def diagnose(frame: SensorFrame, memory: HealthMemory, motion: tuple[float, float, float]) -> tuple[Health, HealthMemory]:
    """The state of the sensors at this frame. motion: of the box centre since the last one, see `detect.ego_motion`."""
    pose, memory = _believed(frame, memory, motion)
    found = {Fault.POSE: max(0.0, 1.0 - memory.jumped * TICK_S / JUMP_S)}
    fresh, apart = True, math.inf
    if frame.level == "lidar":
        points = frame.lidar if frame.lidar is not None else np.zeros((0, 5), np.float32)
        count, spoilt, newest, total, rings, span = _read(points, motion[0], np.zeros(SLOPES, np.int64))
        fingerprint = (count, total)
        fresh = count > 0 and fingerprint != memory.fingerprint and -newest < BLIND_S
        if memory.fresh < 0 or fresh:
            memory = replace(memory, fresh=frame.tick)
        blind = (frame.tick - memory.fresh) * TICK_S
        usual = max(RINGS_FADE * memory.rings, float(rings)) if fresh else memory.rings
        memory = replace(memory, fingerprint=fingerprint, rings=usual)
        found[Fault.BLIND] = 1.0 - min(max((blind - BLIND_S) / (GIVEN_UP_S - BLIND_S), 0.0), 1.0)
        missing = 1.0 - rings / usual if fresh and usual > 0.0 else 0.0
        found[Fault.RINGS] = 1.0 if missing <= RINGS_GONE else 1.0 - missing
        apart = span / (rings - 1) if rings > 1 else math.inf
        lost = spoilt / max(len(points), 1)
        found[Fault.SPOILT] = 1.0 if lost <= SPOILT else 1.0 - lost
    fault = min(found, key=lambda one: found[one])
    trust = found[fault]
    health = Health(trust=trust, fault=Fault.NONE if trust > USUAL_HEALTH else fault, fresh=fresh, pose=pose, apart=apart)
    return health, memory


def _believed(frame: SensorFrame, memory: HealthMemory, motion: tuple[float, float, float]) -> tuple[Floats, HealthMemory]:
    """The pose to go by: the frame's, or where the car must be by its own motion if that has jumped."""
    told = (float(frame.pose[0]), float(frame.pose[1]), float(frame.pose[2]))
    if memory.pose is None:
        return frame.pose, replace(memory, pose=told)
    x, y, heading = memory.pose
    cos, sin = math.cos(heading), math.sin(heading)
    led = (x + cos * motion[0] - sin * motion[1], y + sin * motion[0] + cos * motion[1], wrap_angle(heading + motion[2]))
    spread = math.sqrt(max(float(frame.pose_covariance[0, 0]), float(frame.pose_covariance[1, 1]), 0.0))
    turn = math.sqrt(max(float(frame.pose_covariance[2, 2]), 0.0))
    away = math.hypot(told[0] - led[0], told[1] - led[1])
    agrees = away < JUMP_M + JUMP_SIGMAS * spread and abs(wrap_angle(told[2] - led[2])) < JUMP_RAD + JUMP_SIGMAS * turn
    settled = memory.settled + 1 if abs(frame.odometry.speed) < AT_REST and not agrees else 0
    if agrees or settled > SETTLED_TICKS:
        return frame.pose, replace(memory, pose=told, jumped=0, settled=0)
    pose = np.array(led)
    pose.setflags(write=False)
    return pose, replace(memory, pose=led, jumped=memory.jumped + 1, settled=settled)


@kernel
def _read(points: NDArray[np.float32], way: float, hit: NDArray[np.int64]) -> tuple[int, int, float, float, int, float]:
    """Points that are numbers, points that are not, time offset [s] of the newest, a sum over all numbers, rings told apart, and
    rise per metre from the first of them to the last.

    way: m that the ego has moved in the last tick: slopes are from where the sensor was. hit: (SLOPES,) zeros to work in.
    """
    count, spoilt, newest, total = 0, 0, -1e9, 0.0
    for k in range(len(points)):
        x, y, z = float(points[k, 0]), float(points[k, 1]), float(points[k, 2])
        if not math.isfinite(x + y + z):
            spoilt += 1
            continue
        count += 1
        newest = max(newest, float(points[k, 4]))
        total += x + 3.0 * y + 7.0 * z
        x -= way * float(points[k, 4]) / TICK_S
        r = math.sqrt(x * x + y * y)
        if r > NEAREST:
            at = int(((z - SENSOR_HEIGHT) / r - LOWEST) / (HIGHEST - LOWEST) * SLOPES)
            if 0 <= at < SLOPES:
                hit[at] += 1
    rings, first, last = 0, 0, 0
    for k in range(1, SLOPES - 1):
        # a ring is a peak: where it meets something that is not level its points are spread
        if hit[k] > RING_POINTS and hit[k] > hit[k - 1] and hit[k] >= hit[k + 1]:
            first = k if rings == 0 else first
            last = k
            rings += 1
    return count, spoilt, newest, total, rings, (last - first) * (HIGHEST - LOWEST) / SLOPES
