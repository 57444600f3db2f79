"""One track: an extended Kalman filter that knows that its sensor errs the same way for a while.

Motion is that of a box whose heading turns and whose speed changes with first-order correlated turn rate and acceleration
(Singer: Estimating optimal tracking filter performance for manned maneuvering targets, IEEE T-AES 1970, with the turn rate
treated alike). Errors of a detector are correlated in time; a filter that takes them for white noise grows far too sure. So the
correlated parts are states of their own, in units of the reading's standard error, with first-order decay (Bar-Shalom, Li,
Kirubarajan: Estimation with Applications to Tracking and Navigation, 2001, section 8.2). A reading places the near faces of a box
best: its position row is that of the near faces, which frees it from the errors of length and width.

Units SI, world frame. Kernels are scalar and work in place on one TRACK_DTYPE record.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sim.geometry import wrap_angle
from sim.interface import Kind
from sim.jit import kernel

STATES = 15
"""x, y, heading, speed, acceleration, turn rate, length, width; errors of x, y, heading, velocity x, y, length, width."""
READINGS = 7
"""Near faces x, y, heading, velocity x, y, length, width."""

TRACK_DTYPE = np.dtype(
    [
        ("state", "f8", (STATES,)), ("covariance", "f8", (STATES, STATES)), ("kind_log", "f8", (8,)), ("indicator", "f8", (4,)),
        # log odds that it exists, that its heading is reversed, and that one may drive through it; brake light on, waving
        ("existence", "f8"), ("flip", "f8"), ("drive_through", "f8"), ("brake_light", "f8"), ("wave", "f8"),
        # normalised innovation squared of the last update, READINGS degrees of freedom; trust in the rich answer
        ("nis", "f8"), ("trust", "f8"),
        ("id", "i4"), ("kind", "i4"), ("age", "i4"), ("missed", "i4"), ("standing", "i4"), ("alive", "i4"),
        ("source", "i4"),
    ],
    align=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingConfig:
    """What the tracker believes of its sensor and of how things move.

    share and the *_time [s] are those of the sensor's errors: the part of the variance that is correlated, and how long. accel_*,
    turn_*: spread [m/s², rad/s] and correlation time [s] of how road users use pedal and wheel. light_*: how often lights are
    misread; trust_weight: of one frame's trust. Log odds are natural.
    """

    share: float = 0.6
    position_time: float = 3.0
    heading_time: float = 0.75
    velocity_time: float = 3.0
    size_time: float = 2.5
    grows: float = 0.0  # m/√s, by which what is seen of a lying thing grows or shrinks on the way to it
    accel_spread: float = 1.1
    accel_time: float = 1.2
    walker_accel: float = 0.7
    turn_per_speed: float = 0.10  # 1/m, spread of curvature at low speed
    turn_lateral: float = 1.2  # m/s², spread of lateral acceleration at high speed
    turn_time: float = 0.8
    walker_turn: float = 0.8
    gate: float = 16.0  # squared Mahalanobis distance in the plane (99.97 % for 2 degrees of freedom)
    miss_cost: float = 30.0
    part_cost: float = 0.0  # what it costs to take a box round some returns for something that has a name
    outlier: float = 12.0  # squared normalised innovation of one number above which it counts for less
    score_prior: float = 3.0  # log odds of the detector's scores as trained
    score_weight: float = 0.3  # scores of one thing resemble each other
    forget: float = 0.0
    birth: float = 0.0  # log odds of existence before the first reading, of whose score birth_weight counts
    blob_birth: float = 0.0  # the same of a box round returns that nothing else explains
    birth_weight: float = 1.0
    hit: float = 0.15
    miss: float = 0.6
    hidden_miss: float = 0.05
    shown: float = -2.0  # log odds of existence below which a track is kept to oneself
    dropped: float = -3.0
    coast_ticks: int = 30
    lost_variance: float = 16.0  # m²
    absorb: float = -1.0  # m beside a measured track within which one that was not is the same; below 0: nowhere
    kind_weight: float = 0.1  # readings are mistaken in bursts: one counts for little
    trust_weight: float = 0.3
    flip_prior: float = -3.0
    flip_reading: float = 0.25  # likewise
    flip_motion: float = 0.5
    light_weight: float = 0.5
    light_switch: float = 0.02
    light_miss: float = 0.15
    light_false: float = 0.01
    light_reach: float = 60.0
    wave_reach: float = 25.0


@functools.lru_cache(maxsize=8)
def pack_config(config: TrackingConfig) -> NDArray[np.void]:
    """The config as one record (1,) for kernels, read-only."""
    names = [field.name for field in fields(config)]
    packed = np.zeros(1, np.dtype([(name, "f8") for name in names], align=True))
    for name in names:
        packed[name] = getattr(config, name)
    packed.setflags(write=False)
    return packed


def _confusion() -> NDArray[np.float64]:
    """log P(read as column | is row): neighbours in the list of kinds are mistaken for each other, the rest hardly ever."""
    odds = np.full((8, 8), 0.004)
    for one in range(8):
        for other in (one - 1, one + 1):
            if 0 <= other < 8:
                odds[one, other] = 0.05
        odds[one, one] = 0.9
    return np.asarray(np.log(odds / odds.sum(axis=1, keepdims=True)))


_CONFUSION = _confusion()
_PEDESTRIAN, _OBJECT = int(Kind.PEDESTRIAN), int(Kind.OBJECT)
_BIAS = np.array([8, 9, 10, 11, 12, 13, 14])  # state of the correlated error of each reading
_SIZE_SPREAD = 1.5  # m, of sizes before anything is seen: hardly any prior
_AXLE = 0.3  # of the length, from the rear axle, which does not slip sideways, to the centre


@kernel
def axle_of(track: np.record) -> float:
    """Distance [m] from the point that moves along the heading forward to the centre."""
    return float(_AXLE * track.state[6]) if track.kind < _PEDESTRIAN else 0.0


@kernel
def _spreads(track: np.record, config: np.record) -> tuple[float, float]:
    """Spread of acceleration [m/s²] and turn rate [rad/s] of this kind at this speed."""
    if track.kind == _OBJECT:
        return 0.1, 0.02
    if track.kind == _PEDESTRIAN:
        return float(config.walker_accel), float(config.walker_turn)
    speed = abs(track.state[3])
    return float(config.accel_spread), float(min(0.01 + config.turn_per_speed * speed, config.turn_lateral / (speed + 0.1)))


@kernel
def _decay(covariance: NDArray[np.float64], state: int, time: float, dt: float, spread: float) -> float:
    """Let one first-order state forget; returns the factor on its mean."""
    factor = math.exp(-dt / time)
    for j in range(STATES):
        covariance[state, j] *= factor
    for j in range(STATES):
        covariance[j, state] *= factor
    covariance[state, state] += (1.0 - factor * factor) * spread * spread
    return factor


@kernel
def predict(track: np.record, dt: float, config: np.record) -> None:
    """Move a track forward by `dt` [s]."""
    m, P = track.state, track.covariance
    axle = axle_of(track)
    middle = m[2] + 0.5 * dt * m[5]
    cos, sin = math.cos(middle), math.sin(middle)
    speed = m[3] + 0.5 * dt * m[4]
    by_heading_x, by_heading_y = -speed * sin - axle * m[5] * cos, speed * cos - axle * m[5] * sin
    by_turn_x, by_turn_y = -axle * sin + 0.5 * dt * by_heading_x, axle * cos + 0.5 * dt * by_heading_y
    m[0] += dt * (speed * cos - axle * m[5] * sin)
    m[1] += dt * (speed * sin + axle * m[5] * cos)
    m[2] = wrap_angle(m[2] + dt * m[5])
    m[3] += dt * m[4]
    # F P F' by rows, then by columns; x and y first, as they need the rest as it was
    for j in range(STATES):
        P[0, j] += dt * (by_heading_x * P[2, j] + cos * P[3, j] + 0.5 * dt * cos * P[4, j] + by_turn_x * P[5, j])
        P[1, j] += dt * (by_heading_y * P[2, j] + sin * P[3, j] + 0.5 * dt * sin * P[4, j] + by_turn_y * P[5, j])
        P[2, j] += dt * P[5, j]
        P[3, j] += dt * P[4, j]
    for j in range(STATES):
        P[j, 0] += dt * (by_heading_x * P[j, 2] + cos * P[j, 3] + 0.5 * dt * cos * P[j, 4] + by_turn_x * P[j, 5])
        P[j, 1] += dt * (by_heading_y * P[j, 2] + sin * P[j, 3] + 0.5 * dt * sin * P[j, 4] + by_turn_y * P[j, 5])
        P[j, 2] += dt * P[j, 5]
        P[j, 3] += dt * P[j, 4]
    accel, turn = _spreads(track, config)
    m[4] *= _decay(P, 4, config.accel_time, dt, accel)
    m[5] *= _decay(P, 5, config.turn_time, dt, turn)
    for q in range(READINGS):
        time = config.size_time
        if q < 2:
            time = config.position_time
        elif q == 2:
            time = config.heading_time
        elif q < 5:
            time = config.velocity_time
        m[_BIAS[q]] *= _decay(P, _BIAS[q], time, dt, 1.0)
    # a little of everything, so that nothing is ever known for good
    P[0, 0] += 1e-4 * dt
    P[1, 1] += 1e-4 * dt
    P[2, 2] += 1e-4 * dt
    P[3, 3] += 1e-3 * dt
    if track.kind == _OBJECT:
        P[6, 6] += config.grows * config.grows * dt
        P[7, 7] += config.grows * config.grows * dt


@kernel
def _correct(
    track: np.record, row: NDArray[np.float64], gain: NDArray[np.float64], innovation: float, noise: float, limit: float
) -> float:
    """Take in one number: `row` (STATES,) is its derivative, `noise` its white variance. Returns the innovation's squared norm.

    One number at a time is exact where their white errors are independent, and needs no inverse.
    """
    m, P = track.state, track.covariance
    variance = noise
    for i in range(STATES):
        total = 0.0
        for j in range(STATES):
            if row[j] != 0.0:
                total += P[i, j] * row[j]
        gain[i] = total
    for j in range(STATES):
        variance += row[j] * gain[j]
    squared = innovation * innovation / variance
    if squared > limit:
        variance *= squared / limit
    for i in range(STATES):
        m[i] += gain[i] * innovation / variance
        for j in range(STATES):
            P[i, j] -= gain[i] * gain[j] / variance
    return squared


@kernel
def update(
    track: np.record, seen: np.record, sigma: NDArray[np.float64], eye_x: float, eye_y: float, config: np.record,
    work: NDArray[np.float64],
) -> float:  # fmt: skip
    """Take in the box of a reading with standard errors `sigma` (5,); the sensor is at (eye_x, eye_y). Returns the NIS.

    work: (2, STATES). The reading's heading counts modulo half a turn, whichever is nearer.
    """
    m = track.state
    shared, own = math.sqrt(config.share), 1.0 - config.share
    row, gain = work[0], work[1]
    dx, dy = m[0] - eye_x, m[1] - eye_y
    distance = math.sqrt(dx * dx + dy * dy) + 1e-3
    total = 0.0
    for q in range(READINGS):
        cos, sin, axle = math.cos(m[2]), math.sin(m[2]), axle_of(track)
        # half the cosine and sine of the aspect: where the centre goes as length and width grow
        half_along = 0.5 * (dx * cos + dy * sin) / distance
        half_across = 0.5 * (dy * cos - dx * sin) / distance
        for j in range(STATES):
            row[j] = 0.0
        innovation, error = 0.0, sigma[0]
        if q == 0:
            row[0], row[6], row[7] = 1.0, -half_along * cos, half_across * sin
            innovation = seen.x - m[0] + row[6] * (seen.length - m[6]) + row[7] * (seen.width - m[7])
        elif q == 1:
            row[1], row[6], row[7] = 1.0, -half_along * sin, -half_across * cos
            innovation = seen.y - m[1] + row[6] * (seen.length - m[6]) + row[7] * (seen.width - m[7])
        elif q == 2:
            row[2], error = 1.0, sigma[1]
            innovation = wrap_angle(seen.heading - m[2])
            if abs(innovation) > 0.5 * math.pi:
                innovation = wrap_angle(innovation + math.pi)
        elif q == 3:
            row[2], row[3], row[5], error = -m[3] * sin - axle * m[5] * cos, cos, -axle * sin, sigma[2]
            innovation = seen.vx - (m[3] * cos - axle * m[5] * sin)
        elif q == 4:
            row[2], row[3], row[5], error = m[3] * cos - axle * m[5] * sin, sin, axle * cos, sigma[2]
            innovation = seen.vy - (m[3] * sin + axle * m[5] * cos)
        elif q == 5:
            row[6], error = 1.0, sigma[3]
            innovation = seen.length - m[6]
        else:
            row[7], error = 1.0, sigma[4]
            innovation = seen.width - m[7]
        # another size of a lying thing is no error that lasts, but more that is seen
        grows = q >= 5 and track.kind == _OBJECT and config.grows > 0.0
        lasts = 0.0 if grows else error * shared
        row[_BIAS[q]] = lasts
        innovation -= lasts * m[_BIAS[q]]
        total += _correct(track, row, gain, innovation, error * error * (1.0 if grows else own), config.outlier)
    m[2] = wrap_angle(m[2])
    return total


@kernel
def begin(track: np.record, seen: np.record, config: np.record) -> None:
    """Set up a new track that knows nothing yet but the kind of thing; `update` with the same reading comes next."""
    track.kind = seen.kind
    m, P = track.state, track.covariance
    for i in range(STATES):
        m[i] = 0.0
        for j in range(STATES):
            P[i, j] = 0.0
    m[0], m[1], m[2], m[3], m[6], m[7] = seen.x, seen.y, seen.heading, seen.speed, seen.length, seen.width
    accel, turn = _spreads(track, config)
    P[0, 0] = P[1, 1] = 100.0
    P[2, 2] = 4.0
    P[3, 3] = 25.0
    P[4, 4], P[5, 5] = accel * accel, turn * turn
    P[6, 6] = P[7, 7] = _SIZE_SPREAD * _SIZE_SPREAD
    for i in range(8, STATES):
        P[i, i] = 1.0
    for k in range(8):
        track.kind_log[k] = math.log(0.125)
    for k in range(4):
        track.indicator[k] = 0.94 if k == 0 else 0.02
    track.flip, track.brake_light, track.wave, track.nis = config.flip_prior, 0.2, 0.01, 0.0
    track.age, track.missed, track.standing, track.alive = 0, 0, 0, 1


@kernel
def turn_round(track: np.record) -> None:
    """The same track with its heading the other way."""
    m, P = track.state, track.covariance
    m[2] = wrap_angle(m[2] + math.pi)
    for i in (3, 4):
        m[i] = -m[i]
        for j in range(STATES):
            P[i, j] = -P[i, j]
        for j in range(STATES):
            P[j, i] = -P[j, i]
    track.flip = -track.flip


@kernel
def judge_kind(track: np.record, read_as: int, config: np.record) -> None:
    """Bayes on the kind; readings of one thing resemble each other, so each counts for kind_weight of one."""
    best, largest, total = 0, -1e9, 0.0
    for k in range(8):
        track.kind_log[k] += config.kind_weight * _CONFUSION[k, read_as]
        if track.kind_log[k] > largest:
            best, largest = k, track.kind_log[k]
    for k in range(8):
        track.kind_log[k] = max(track.kind_log[k] - largest, -9.0)
        total += math.exp(track.kind_log[k])
    for k in range(8):
        track.kind_log[k] -= math.log(total)
    track.kind = best


@kernel
def judge_flip(track: np.record, heading: float, weight: float, config: np.record) -> None:
    """Evidence that the heading is reversed: a reading that says so, of this weight, and motion backwards; turns the track when
    it is likelier."""
    away = abs(wrap_angle(heading - track.state[2])) > 0.5 * math.pi
    evidence = weight if away else -weight
    if abs(track.state[3]) > 1.0:
        evidence += 2.0 * config.flip_motion if track.state[3] < 0.0 else -2.0 * config.flip_motion
    track.flip = min(max(float(track.flip + evidence), -6.0), 6.0)
    if track.flip + 0.0 > 0.0:
        turn_round(track)


@kernel
def judge_light(probability: float, lit: bool, config: np.record) -> float:
    """Probability that a light is on, after one more reading; it may have been switched since the last one."""
    prior = probability + config.light_switch * (0.5 - probability)
    on = (1.0 - config.light_miss if lit else config.light_miss) ** config.light_weight
    off = (config.light_false if lit else 1.0 - config.light_false) ** config.light_weight
    return float(prior * on / (prior * on + (1.0 - prior) * off))


@kernel
def judge_indicator(track: np.record, read_as: int, config: np.record) -> None:
    """The same for the four states of the indicator; a misread one mostly looks off."""
    total = 0.0
    for k in range(4):
        prior = track.indicator[k] + config.light_switch * (0.25 - track.indicator[k])
        likelihood = config.light_false / 3.0
        if read_as == k:
            likelihood = 1.0 - (config.light_false if k == 0 else config.light_miss)
        elif read_as == 0:
            likelihood = config.light_miss
        track.indicator[k] = prior * likelihood**config.light_weight
        total += track.indicator[k]
    for k in range(4):
        track.indicator[k] /= total
