"""From one frame to the next: which thing is which, where it is by now, and how sure that is.

Readings meet tracks in one least-cost assignment (Mahalanobis distance of position and velocity, agreement of kinds); the
filter of a track is in `avstack.perception.filter`. The memory is a value that is passed in and out, never held: it can be kept,
copied, pickled and branched from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avstack.perception.assignment import ASSIGN_DTYPE, assign
from avstack.perception.filter import (
    READINGS,
    STATES,
    TRACK_DTYPE,
    TrackingConfig,
    axle_of,
    begin,
    judge_flip,
    judge_indicator,
    judge_kind,
    judge_light,
    pack_config,
    predict,
    update,
)
from avstack.perception.percepts import RICH, STANDING_SPEED, THING_DTYPE, Percepts, ego_estimate
from sim.geometry import wrap_angle
from sim.interface import OBJECT_DTYPE, TICK_S, Kind, SensorFrame
from sim.jit import kernel

EXACT_VARIANCE = 1e-6
"""Of every quantity at the `state` level [SI²]: exact, yet a covariance that can be inverted."""
SMALLEST_BOX, LARGEST_BOX = 0.05, 40.0
"""m; boxes outside are taken to be of that size."""
MOST = 200
"""Readings of one frame that are tracked, the nearest ones, and tracks that are kept: a bound on time."""
LONGEST_GAP_TICKS = 20
"""Between frames; after a longer one, or after a step back in time, everything begins anew."""

SIGN_DTYPE = np.dtype([("trust", "f8"), ("source", "i8"), ("flip", "f8"), ("blob", "i8")], align=True)
"""What comes with a reading of the learned models beside its box: trust in the rich answer, which model it is from, P(its heading
is reversed), below 0 where the sensor does not say, and whether it is a box round returns that may be but a part of something."""

_FARTHEST, _FASTEST = 1e6, 150.0  # m, m/s; what claims more is no reading
_LEAST_SIGMA = (0.01, 0.002, 0.01, 0.01, 0.01)
_MOST_SIGMA = (5.0, 1.5, 10.0, 5.0, 2.0)
SIGHT_SLACK = 0.5  # m
SURELY_MOVES = 2.0  # standard errors of its speed, above which one that has stood moves
_NEVER = 1e6
_OBJECT = int(Kind.OBJECT)
_SLIP, _SLIP_ON_FOOT = 0.02, 0.05  # m/s sideways


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackMemory:
    """What tracking remembers. things: (N,) THING_DTYPE of the last frame, by which the `state` level counts ages.

    tracks: (T,) TRACK_DTYPE as of `measured`, the tick of the last readings, or -1; next_id: of the next new track.
    """

    things: NDArray[np.void]
    tracks: NDArray[np.void]
    measured: int = -1
    next_id: int = 0


def start_tracking() -> TrackMemory:
    """Memory before the first frame."""
    return TrackMemory(things=np.zeros(0, THING_DTYPE), tracks=np.zeros(0, TRACK_DTYPE))


def track(
    frame: SensorFrame, memory: TrackMemory, config: TrackingConfig | None = None, signs: NDArray[np.void] | None = None
) -> tuple[Percepts, TrackMemory]:
    """Percepts of this frame, and the memory for the next one. signs: (N,) SIGN_DTYPE of the frame's objects; None: full trust.

    At the `state` level things are passed on as they are, with the frame's ids. At the `objects` level they are tracked: things
    come by id, predicted to the frame's tick; covariances include that of the ego pose. Readings that are not finite, or beyond
    all reason, are dropped; without readings tracks coast. Nothing raises.
    """
    if frame.level == "state":
        memory = _pass_on(frame, memory)
    else:
        memory = _follow(frame, memory, config or TrackingConfig(), signs)
    percepts = Percepts(
        tick=frame.tick, ego=ego_estimate(frame), things=memory.things, signals=frame.signals, observed_range=frame.range_m,
        sight=frame.sight,
    )  # fmt: skip
    return percepts, memory


def _pass_on(frame: SensorFrame, memory: TrackMemory) -> TrackMemory:
    objects = _objects_of(frame)
    things = np.zeros(len(objects), THING_DTYPE)
    things = things[: _pass_through(objects, memory.things, things)]
    things.setflags(write=False)
    return TrackMemory(things=things, tracks=memory.tracks[:0])


def _follow(frame: SensorFrame, memory: TrackMemory, config: TrackingConfig, signs: NDArray[np.void] | None) -> TrackMemory:
    """Predict to the time of measurement, match, update, begin and end tracks, and show them at the frame's tick."""
    ego, packed = _ego_numbers(frame), pack_config(config)
    objects, signs = _nearest(_objects_of(frame), signs, frame.pose)
    measured = frame.tick - frame.objects_age
    ticks = measured - memory.measured
    known = memory.tracks if memory.measured >= 0 and 0 <= ticks <= LONGEST_GAP_TICKS else memory.tracks[:0]
    rows, readings = len(known), len(objects)
    tracks = np.zeros(rows + readings, TRACK_DTYPE)
    tracks[:rows] = known
    _pass_time(tracks, rows, ticks, packed)
    found = np.full(rows, -1, np.int64)
    cost, least, work = np.empty((rows, readings + rows)), np.empty(rows + 1), np.empty(readings + rows + 1, ASSIGN_DTYPE)
    _match(tracks, objects, signs, packed, cost, least, work, found)
    sight = frame.sight if frame.sight is not None else np.zeros(0, np.float32)
    _take_in_all(tracks, objects, signs, found, ego, sight, packed, np.empty((3, STATES)))
    tracks = tracks[: _tidy(tracks, rows, memory.next_id, packed)]
    things = np.zeros(len(tracks), THING_DTYPE)
    things = things[: _show(tracks.copy(), frame.objects_age * TICK_S, ego, packed, things)]
    for array in (tracks, things):
        array.setflags(write=False)
    return TrackMemory(things=things, tracks=tracks, measured=measured, next_id=memory.next_id + readings)


def _objects_of(frame: SensorFrame) -> NDArray[np.void]:
    return frame.objects if frame.objects is not None else np.zeros(0, OBJECT_DTYPE)


def _nearest(
    objects: NDArray[np.void], signs: NDArray[np.void] | None, pose: NDArray[np.float64]
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Readings that can be reckoned with and their signs, the MOST nearest at most, as contiguous copies."""
    if signs is None:
        signs = np.zeros(len(objects), SIGN_DTYPE)
        signs["trust"], signs["source"], signs["flip"] = 1.0, RICH, -1.0
    usable = np.zeros(len(objects), np.bool_)
    _judge_usable(objects, usable)
    objects, signs = objects[usable], signs[usable]
    if len(objects) > MOST:
        distances = np.hypot(objects["x"] - pose[0], objects["y"] - pose[1])
        near = np.sort(np.argsort(distances, kind="stable")[:MOST])
        objects, signs = objects[near], signs[near]
    return objects, signs


def _ego_numbers(frame: SensorFrame) -> NDArray[np.float64]:
    """x, y, heading, variance of position (each axis), variance of heading; zeros for what is not finite."""
    covariance = frame.pose_covariance
    numbers = np.array([*frame.pose, max(covariance[0, 0], covariance[1, 1]), covariance[2, 2]])
    return np.where(np.isfinite(numbers), numbers, 0.0)


@kernel
def _judge_usable(objects: NDArray[np.void], out: NDArray[np.bool_]) -> None:
    """Note which readings are finite and within all reason."""
    for k in range(objects.shape[0]):
        seen = objects[k]
        fair = abs(seen.x) < _FARTHEST and abs(seen.y) < _FARTHEST and abs(seen.heading) < 100.0
        fair = fair and abs(seen.vx) < _FASTEST and abs(seen.vy) < _FASTEST and abs(seen.speed) < _FASTEST
        fair = fair and abs(seen.length) < _FARTHEST and abs(seen.width) < _FARTHEST
        spread = seen.sigma[0] + seen.sigma[1] + seen.sigma[2] + seen.sigma[3] + seen.sigma[4]
        out[k] = fair and math.isfinite(seen.score + seen.drive_through + spread)


@kernel
def _sigma(seen: np.record, out: NDArray[np.float64]) -> None:
    """The sensor's standard errors, held within reason."""
    for q in range(5):
        out[q] = min(max(float(seen.sigma[q]), _LEAST_SIGMA[q]), _MOST_SIGMA[q])


@kernel
def _pair_cost(track: np.record, seen: np.record, sign: np.record, config: np.record) -> float:
    """What it costs to take a reading for this track; _NEVER outside the gate."""
    m, P = track.state, track.covariance
    error = min(max(float(seen.sigma[0]), 0.01), 5.0)
    shared = error * math.sqrt(config.share)
    size = 0.05 * min(float(seen.sigma[3]), 5.0) ** 2 + 0.01
    xx = P[0, 0] + 2.0 * shared * P[0, 8] + error * error + size
    yy = P[1, 1] + 2.0 * shared * P[1, 9] + error * error + size
    xy = P[0, 1] + shared * (P[0, 9] + P[1, 8])
    dx, dy = seen.x - m[0], seen.y - m[1]
    determinant = max(xx * yy - xy * xy, 1e-8)
    squared = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant
    if not squared < config.gate:
        return _NEVER
    spread = P[3, 3] + 2.0 * min(max(float(seen.sigma[2]), 0.05), 10.0) ** 2
    vx, vy = seen.vx - m[3] * math.cos(m[2]), seen.vy - m[3] * math.sin(m[2])
    speed = (vx * vx + vy * vy) / spread
    kind = min(max(seen.kind, 0), 7)
    part = config.part_cost if sign.blob and track.kind != _OBJECT else 0.0
    return float(squared + min(speed, 16.0) + math.log(determinant / 1e-4) - 0.5 * max(track.kind_log[kind], -6.0) + part)


@kernel
def _pass_time(tracks: NDArray[np.void], rows: int, ticks: int, packed: NDArray[np.void]) -> None:
    """Move the first `rows` tracks forward in time."""
    for i in range(rows):
        track = tracks[i]
        if ticks > 0:
            predict(track, ticks * TICK_S, packed[0])
        track.age += ticks
        track.missed += max(ticks, 1)


@kernel
def _match(
    tracks: NDArray[np.void], objects: NDArray[np.void], signs: NDArray[np.void], packed: NDArray[np.void],
    cost: NDArray[np.float64], least: NDArray[np.float64], work: NDArray[np.void], found: NDArray[np.int64],
) -> None:  # fmt: skip
    """Write into `found` (rows,) the reading of each of the first tracks, or -1."""
    rows, readings = found.shape[0], objects.shape[0]
    config = packed[0]
    for i in range(rows):
        for j in range(readings):
            cost[i, j] = _pair_cost(tracks[i], objects[j], signs[j], config)
        for j in range(rows):
            cost[i, readings + j] = config.miss_cost if j == i else _NEVER
    assign(cost, rows, readings + rows, least, work, found)
    for i in range(rows):
        if found[i] >= readings or cost[i, found[i]] >= _NEVER:
            found[i] = -1


@kernel
def _take_in(
    track: np.record, seen: np.record, sign: np.record, ego: NDArray[np.float64], config: np.record, work: NDArray[np.float64]
) -> None:
    """Everything one reading says about a track; work: (3, STATES)."""
    sigma = work[2]
    _sigma(seen, sigma)
    track.nis = update(track, seen, sigma, ego[0], ego[1], config, work)
    judge_kind(track, min(max(seen.kind, 0), 7), config)
    flip = min(max(float(sign.flip), 0.02), 0.5)
    judge_flip(track, seen.heading, config.flip_reading * (1.0 if sign.flip < 0.0 else math.log(1.0 / flip - 1.0)), config)
    dx, dy = track.state[0] - ego[0], track.state[1] - ego[1]
    distance = math.sqrt(dx * dx + dy * dy) + 1e-3
    if distance < config.light_reach and seen.indicator >= 0:
        judge_indicator(track, min(seen.indicator, 3), config)
        if dx * math.cos(track.state[2]) + dy * math.sin(track.state[2]) > 0.3 * distance:
            track.brake_light = judge_light(track.brake_light, seen.brake_light != 0, config)
    if distance < config.wave_reach and seen.gesture >= 0:
        track.wave = judge_light(track.wave, seen.gesture == 1, config)
    through = min(max(float(seen.drive_through), 0.001), 0.999)
    track.drive_through += 0.2 * (math.log(through / (1.0 - through)) - track.drive_through)
    score = min(max(float(seen.score), 1e-4), 1.0 - 1e-4)
    evidence = math.log(score / (1.0 - score)) - config.score_prior
    if track.age == 0:
        existence = (config.blob_birth if sign.blob else config.birth) + config.birth_weight * evidence
        existence = max(existence, config.dropped)
    else:
        existence = (1.0 - config.forget) * track.existence + config.score_weight * evidence + config.hit
    track.existence = min(max(existence, -5.0), 5.0)
    track.trust += (1.0 if track.age == 0 else config.trust_weight) * (sign.trust - track.trust)
    track.source = sign.source
    track.missed = 0


@kernel
def _seen_through(track: np.record, ego: NDArray[np.float64], sight: NDArray[np.float32]) -> bool:
    """Whether one can see beyond a track's middle, as far as the sensor's lines of sight tell: nothing is there.

    Where sight ends before it, something nearer hides it, or it is there itself and only was not recognised.
    """
    sectors = sight.shape[0]
    if sectors == 0:
        return True
    dx, dy = track.state[0] - ego[0], track.state[1] - ego[1]
    angle = wrap_angle(math.atan2(dy, dx) - ego[2])
    sector = int(math.floor(angle / (2.0 * math.pi) * sectors)) % sectors
    return bool(sight[sector] > math.sqrt(dx * dx + dy * dy) + SIGHT_SLACK)


@kernel
def _is_within(x: float, y: float, track: np.record, beside: float) -> bool:
    """Whether a place is in the box of a track, or no more than `beside` [m] from it; behind what moves, also where it was when
    the sweep that lasts a tick began."""
    m = track.state
    dx, dy = x - m[0], y - m[1]
    cos, sin = math.cos(m[2]), math.sin(m[2])
    along, reach, moved = dx * cos + dy * sin, 0.5 * m[6] + beside, m[3] * TICK_S
    return bool(-reach - max(moved, 0.0) < along < reach - min(moved, 0.0) and abs(dy * cos - dx * sin) < 0.5 * m[7] + beside)


@kernel
def _take_in_all(
    tracks: NDArray[np.void], objects: NDArray[np.void], signs: NDArray[np.void], found: NDArray[np.int64],
    ego: NDArray[np.float64], sight: NDArray[np.float32], packed: NDArray[np.void], work: NDArray[np.float64],
) -> None:  # fmt: skip
    """Update known tracks by the readings `found` for them; the readings left over begin the tracks that follow, but for boxes
    round returns of what is known already: those only show that it is still there."""
    rows, config = found.shape[0], packed[0]
    for j in range(objects.shape[0]):
        tracks[rows + j].alive = 1
    for i in range(rows):
        if found[i] >= 0:
            tracks[rows + found[i]].alive = 0
            _take_in(tracks[i], objects[found[i]], signs[found[i]], ego, config, work)
    for i in range(rows):
        track = tracks[i]
        supported = False
        if config.absorb >= 0.0 and track.kind != _OBJECT and track.existence > 0.0:
            for j in range(objects.shape[0]):
                if tracks[rows + j].alive and signs[j].blob and _is_within(objects[j].x, objects[j].y, track, config.absorb):
                    tracks[rows + j].alive = 0
                    supported = True
        if found[i] < 0:
            # it exists a little less likely, or hardly less where something is in the line of sight
            if not supported:
                track.existence -= config.miss if _seen_through(track, ego, sight) else config.hidden_miss
            track.flip += 0.1 * (config.flip_prior - track.flip)
    for j in range(objects.shape[0]):
        track = tracks[rows + j]
        if track.alive:
            begin(track, objects[j], config)
            _take_in(track, objects[j], signs[j], ego, config, work)


@kernel
def _is_sound(track: np.record, config: np.record) -> bool:
    """Whether a track is worth keeping."""
    if track.existence < config.dropped or track.missed > config.coast_ticks:
        return False
    spread = track.covariance[0, 0] + track.covariance[1, 1]
    speed = track.state[3]
    return bool(spread < 2.0 * config.lost_variance and abs(speed) < _FASTEST)  # False for what is not a number, too


@kernel
def _drop_doubles(tracks: NDArray[np.void], count: int, config: np.record) -> None:
    """Of two tracks in the same place, the one that was not measured, or else the younger, goes; and where readings split up, one
    that was not measured within or beside one that was."""
    for i in range(count):
        for j in range(i):
            one, other = tracks[i], tracks[j]
            if not (one.alive and other.alive):
                continue
            dx, dy = one.state[0] - other.state[0], one.state[1] - other.state[1]
            near = 0.35 * max(min(one.state[6], other.state[6]), 0.3)
            if config.absorb >= 0.0 and (one.missed == 0) != (other.missed == 0):
                lost, kept = (one, other) if one.missed > 0 else (other, one)
                if kept.existence > 0.0 and _is_within(lost.state[0], lost.state[1], kept, config.absorb):
                    lost.alive = 0
                    continue
            if dx * dx + dy * dy < near * near:
                one_goes = one.missed > other.missed or (one.missed == other.missed and one.age <= other.age)
                (one if one_goes else other).alive = 0


@kernel
def _tidy(tracks: NDArray[np.void], rows: int, next_id: int, packed: NDArray[np.void]) -> int:
    """Number the new tracks, let go of lost ones and move the others together; returns how many are left."""
    count = 0
    for i in range(tracks.shape[0]):
        track = tracks[i]
        if i >= rows:
            track.id = next_id + i - rows
        track.alive = 1 if track.alive and _is_sound(track, packed[0]) else 0
        slack = SURELY_MOVES * math.sqrt(track.covariance[3, 3]) if track.standing > 0 else 0.0
        track.standing = track.standing + 1 if abs(track.state[3]) < STANDING_SPEED + slack else 0
    _drop_doubles(tracks, tracks.shape[0], packed[0])
    for i in range(tracks.shape[0]):
        if tracks[i].alive and count < MOST:
            if i != count:
                tracks[count] = tracks[i]
            count += 1
    return count


@kernel
def _derivative(quantity: int, term: int, speed: float, turn: float, cos: float, sin: float, axle: float) -> tuple[int, float]:
    """The term-th state that a quantity of `THING_DTYPE.covariance` depends on, and how much."""
    if quantity == 3 or quantity == 4:
        if term == 1:
            return 3, cos if quantity == 3 else sin
        if term == 2:
            return 5, -axle * sin if quantity == 3 else axle * cos
        return 2, (-speed * sin - axle * turn * cos) if quantity == 3 else (speed * cos - axle * turn * sin)
    state = quantity if quantity < 3 else quantity + 1
    return state, 1.0 if term == 0 else 0.0


@kernel
def _lever(quantity: int, dx: float, dy: float, vx: float, vy: float) -> float:
    """How much a quantity changes as the picture turns about the ego."""
    if quantity == 0:
        return -dy
    if quantity == 1:
        return dx
    if quantity == 2:
        return 1.0
    return -vy if quantity == 3 else vx


@kernel
def _show_box(track: np.record, ego: NDArray[np.float64], thing: np.record) -> None:
    """Mean and covariance of a track as a thing; the error of the ego pose turns and shifts everything."""
    m, P = track.state, track.covariance
    cos, sin, axle = math.cos(m[2]), math.sin(m[2]), axle_of(track)
    vx, vy = m[3] * cos - axle * m[5] * sin, m[3] * sin + axle * m[5] * cos
    thing.x, thing.y, thing.heading, thing.vx, thing.vy = m[0], m[1], m[2], vx, vy
    thing.speed, thing.accel, thing.yaw_rate = m[3], m[4], m[5]
    thing.length = min(max(m[6], SMALLEST_BOX), LARGEST_BOX)
    thing.width = min(max(m[7], SMALLEST_BOX), LARGEST_BOX)
    for i in range(READINGS):
        for j in range(READINGS):
            total = 0.0
            for k in range(3):
                state_i, by_i = _derivative(i, k, m[3], m[5], cos, sin, axle)
                for n in range(3):
                    state_j, by_j = _derivative(j, n, m[3], m[5], cos, sin, axle)
                    total += by_i * by_j * P[state_i, state_j]
            thing.covariance[i, j] = total
    # nobody moves exactly along the heading
    slip = _SLIP_ON_FOOT if axle == 0.0 else _SLIP
    thing.covariance[3, 3] += slip * slip * sin * sin
    thing.covariance[4, 4] += slip * slip * cos * cos
    thing.covariance[3, 4] -= slip * slip * sin * cos
    thing.covariance[4, 3] -= slip * slip * sin * cos
    dx, dy = m[0] - ego[0], m[1] - ego[1]
    for i in range(5):
        for j in range(5):
            thing.covariance[i, j] += ego[4] * _lever(i, dx, dy, vx, vy) * _lever(j, dx, dy, vx, vy)
    thing.covariance[0, 0] += ego[3]
    thing.covariance[1, 1] += ego[3]


@kernel
def _show(
    tracks: NDArray[np.void], ahead: float, ego: NDArray[np.float64], packed: NDArray[np.void], things: NDArray[np.void]
) -> int:
    """Fill `things` with the tracks that are likely enough, predicted (in place) by `ahead`; returns how many."""
    config = packed[0]
    count = 0
    for i in range(tracks.shape[0]):
        track = tracks[i]
        if track.existence < config.shown:
            continue
        if ahead > 0.0:
            predict(track, ahead, config)
        thing = things[count]
        count += 1
        thing.id, thing.kind = track.id, track.kind
        for k in range(8):
            thing.kind_probability[k] = math.exp(track.kind_log[k])
        thing.existence = 1.0 / (1.0 + math.exp(-track.existence))
        _show_box(track, ego, thing)
        thing.flip = 1.0 / (1.0 + math.exp(-track.flip))
        for k in range(4):
            thing.indicator[k] = track.indicator[k]
        thing.brake_light, thing.wave = track.brake_light, track.wave
        thing.drive_through = 1.0 / (1.0 + math.exp(-track.drive_through))
        thing.trust = thing.kind_probability[thing.kind] * thing.existence * track.trust
        thing.source = track.source
        thing.age, thing.missed, thing.standing = track.age, track.missed, track.standing
    return count


@kernel
def _finite(seen: np.record) -> bool:
    """Whether every number of a reading can be reckoned with."""
    total = seen.x + seen.y + seen.heading + seen.vx + seen.vy + seen.speed + seen.accel + seen.yaw_rate
    total += seen.length + seen.width + seen.drive_through
    return bool(np.isfinite(total))


@kernel
def _pass_through(objects: NDArray[np.void], before: NDArray[np.void], out: NDArray[np.void]) -> int:
    """Fill `out` (N,) of THING_DTYPE from exact objects (N,); returns how many. `before`: the things of the last frame."""
    count = 0
    for k in range(objects.shape[0]):
        seen = objects[k]
        if not _finite(seen):
            continue
        thing = out[count]
        count += 1
        thing.id = seen.id
        thing.kind = seen.kind if 0 <= seen.kind < 8 else 7
        thing.kind_probability[thing.kind] = 1.0
        thing.existence = 1.0
        thing.x = seen.x
        thing.y = seen.y
        thing.heading = seen.heading
        thing.vx = seen.vx
        thing.vy = seen.vy
        thing.speed = seen.speed
        thing.accel = seen.accel
        thing.yaw_rate = seen.yaw_rate
        thing.length = max(seen.length, SMALLEST_BOX)
        thing.width = max(seen.width, SMALLEST_BOX)
        for i in range(7):
            thing.covariance[i, i] = EXACT_VARIANCE
        thing.indicator[seen.indicator if 0 <= seen.indicator < 4 else 0] = 1.0
        thing.brake_light = 1.0 if seen.brake_light != 0 else 0.0
        thing.wave = 1.0 if seen.gesture == 1 else 0.0
        thing.drive_through = seen.drive_through
        thing.trust = 1.0
        slow = abs(seen.speed) < STANDING_SPEED
        thing.standing = 1 if slow else 0
        for i in range(before.shape[0]):
            if before[i].id == seen.id:
                thing.age = before[i].age + 1
                thing.standing = before[i].standing + 1 if slow else 0
                break
    return count
