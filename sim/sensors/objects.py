"""The `objects` sensing level: a list of readings as a detector gives them, with all that goes wrong in one.

Pure in (state, tick, seed, branch): nothing is remembered between frames. Errors correlated in time are moving averages of
draws keyed by tick, what comes in bursts (misses, flips, mistaken kinds and lights) is keyed by stretches of ticks, and latency
reads the state's own short past; so any tick can be sensed without the ones before it. Sizes of all errors: `sim.sensors.errors`.

Which side is seen matters: a detector finds the near faces well and guesses how far a thing extends behind them, so an error of
length or width moves the centre away from the sensor by half of it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.awareness import EYE_HEIGHT, blocked_by_wall
from sim.geometry import box_gap, wrap_angle
from sim.interface import OBJECT_DTYPE, SECTORS, SPECS, Floats, Kind, Odometry, SensorFrame
from sim.jit import kernel
from sim.motion import BRAKE_LIGHT
from sim.rng import Purpose, mix
from sim.roads.pack import Roads
from sim.sensors.errors import LAGS, POSE_LAGS, QUANTITIES, default_parameters
from sim.sensors.state import read_signals
from sim.state import HISTORY, Status, WorldState

GHOST_ROOM = 24
"""Ghosts in one frame at most."""
CANDIDATE_DTYPE = np.dtype(
    [
        *((name, "f8") for name in ("x", "y", "cos", "sin", "vx", "vy", "speed", "accel", "length", "width", "height")),
        *((name, "i8") for name in ("kind", "indicator", "gesture", "seen", "ghost", "order")),
        # where it is from the sensor: direction, distance [m], tangent of half its angular size, share that is not hidden
        *((name, "f8") for name in ("ux", "uy", "distance", "half", "visible", "drive_through")),
        ("key", "u8"),
    ],
    align=True,
)  # fmt: skip
"""Something that may give a reading: a body as it was at the time of measurement, or a ghost."""
OWN_DTYPE = np.dtype([(name, "f8") for name in ("x", "y", "heading", "speed", "accel", "yaw_rate", "steer")], align=True)
"""What the car is told about itself."""

_ACTIVE = int(Status.ACTIVE)
_CAR, _BICYCLE, _PEDESTRIAN, _OBJECT = int(Kind.CAR), int(Kind.BICYCLE), int(Kind.PEDESTRIAN), int(Kind.OBJECT)
_SENSOR = int(Purpose.SENSOR)
_GHOSTS, _POSE, _WHEELS = -1, -2, -3  # streams of the sensor itself, beside those of the slots
_LENGTHS = np.array([SPECS[kind].length for kind in Kind])
_WIDTHS = np.array([SPECS[kind].width for kind in Kind])
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53
_WORD = np.uint64(0xFFFF)
_TO_NORMAL = math.sqrt(12.0) / 65536.0  # a uniform 16-bit number to unit variance
_CELL = 16.0  # m, side of the cells that ghosts live in
_GHOST_TICKS, _GHOST_LIFE = 20, 8.5  # length of a stretch, mean life in it
_STANDING = 0.1  # m/s, with the brake on
# streams of one thing, added to its key
_BURST, _MISS, _FLIP, _KIND, _MERGE, _INDICATOR, _BRAKE, _WAVE, _WHITE, _SHUFFLE, _DRIVE, _DRIFT = range(12)


@kernel
def _unit(bits: np.uint64) -> float:
    """Uniform number in [0, 1)."""
    return float(bits >> np.uint64(11)) * _TO_UNIT


@kernel
def _normal(bits: np.uint64) -> float:
    """Nearly normal number of unit variance within ±3.5: the sum of four uniform ones (Irwin-Hall)."""
    total = (bits & _WORD) + ((bits >> np.uint64(16)) & _WORD) + ((bits >> np.uint64(32)) & _WORD) + (bits >> np.uint64(48))
    return (float(total) - 131070.0) * (0.5 * _TO_NORMAL)


@kernel
def _stretch(key: np.uint64, stream: int, tick: int, ticks: int) -> np.uint64:
    """Random bits that stay the same for `ticks` ticks on end, beginning anywhere."""
    own = mix(key, stream)
    phase = int(own >> np.uint64(40))
    return mix(own, (tick + phase) // ticks)


@kernel
def _correlated(key: np.uint64, tick: int, weights: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Fill `out` (QUANTITIES,) with unit-variance errors correlated in time; `weights` (LAGS, QUANTITIES)."""
    for q in range(QUANTITIES):
        out[q] = 0.0
    for lag in range(LAGS):
        bits = mix(key, tick - lag)
        for q in range(QUANTITIES):
            if q == 4:
                bits = mix(bits, 1)
            part = float((bits >> np.uint64(16 * (q & 3))) & _WORD) - 32767.5
            out[q] += weights[lag, q] * (part * _TO_NORMAL)


@kernel
def _pose_errors(key: np.uint64, tick: int, parameters: np.record, out: NDArray[np.float64]) -> None:
    """Fill `out` (4,) with the errors of x, y, heading and with the scale of speed at one tick."""
    for q in range(4):
        out[q] = 0.0
    for lag in range(POSE_LAGS):
        bits = mix(key, tick - lag)
        for q in range(4):
            part = float((bits >> np.uint64(16 * q)) & _WORD) - 32767.5
            out[q] += parameters.pose_weights[lag] * (part * _TO_NORMAL)
    for q in range(3):
        white = _normal(mix(mix(key, tick), 2 + q))
        k = 1 if q == 2 else 0
        out[q] = parameters.pose[k] * out[q] + parameters.pose_jitter[k] * white


@kernel
def _place(candidate: np.record, eye: np.record) -> None:
    """Note where a candidate is from the sensor."""
    dx = candidate.x - eye.x
    dy = candidate.y - eye.y
    distance = math.sqrt(dx * dx + dy * dy) + 1e-3
    candidate.distance = distance
    candidate.ux = dx / distance
    candidate.uy = dy / distance
    along = abs(candidate.ux * candidate.cos + candidate.uy * candidate.sin)
    across = abs(candidate.uy * candidate.cos - candidate.ux * candidate.sin)
    candidate.half = 0.5 * (candidate.length * across + candidate.width * along) / distance
    candidate.visible = 1.0


@kernel
def _gather(state: WorldState, w: int, a: int, parameters: np.record, key: np.uint64, out: NDArray[np.void]) -> int:
    """Fill `out` with the bodies within reach as they were at the time of measurement; returns how many."""
    row = (state.worlds[w].tick - parameters.latency_ticks) % HISTORY
    eye = state.history[w, row, a]
    count = 0
    for b in range(state.worlds[w].actors):
        body = state.bodies[w, b]
        was = state.history[w, row, b]
        if b == a or body.status != _ACTIVE or was.status != _ACTIVE:
            continue
        dx = was.x - eye.x
        dy = was.y - eye.y
        distance = math.sqrt(dx * dx + dy * dy)
        facing = max((dx * eye.cos + dy * eye.sin) / (distance + 1e-3), 0.0)
        reach = parameters.reach_beside + (parameters.reach_ahead - parameters.reach_beside) * facing
        if distance > min(reach, float(state.worlds[w].visibility)):
            continue
        seen = out[count]
        count += 1
        seen.x, seen.y, seen.cos, seen.sin = was.x, was.y, was.cos, was.sin
        seen.vx, seen.vy, seen.speed, seen.accel = was.vx, was.vy, was.speed, was.accel
        seen.length, seen.width, seen.height = body.length, body.width, body.height
        seen.kind, seen.indicator, seen.gesture = body.kind, was.indicator, was.gesture
        seen.drive_through = 1.0 if body.drive_through != 0 else 0.0
        seen.ghost = 0
        seen.key = mix(key, b)
        _place(seen, eye)
    return count


@kernel
def _haunt(eye: np.record, tick: int, parameters: np.record, key: np.uint64, out: NDArray[np.void], count: int) -> int:
    """Append the ghosts of this tick to `out`; returns the new number. They live in cells of the world, so they stay in place."""
    reach = parameters.reach_beside
    cells = math.pi * reach * reach / (_CELL * _CELL)
    chance = parameters.ghosts / cells * (_GHOST_TICKS / _GHOST_LIFE)
    room = min(count + GHOST_ROOM, out.shape[0])
    for i in range(int(math.floor((eye.x - reach) / _CELL)), int(math.floor((eye.x + reach) / _CELL)) + 1):
        for j in range(int(math.floor((eye.y - reach) / _CELL)), int(math.floor((eye.y + reach) / _CELL)) + 1):
            cell = mix(mix(key, i), j)
            phase = int(cell >> np.uint64(50))
            bits = mix(cell, (tick + phase) // _GHOST_TICKS)
            since = (tick + phase) % _GHOST_TICKS
            life = 2 + int(bits & np.uint64(15)) - 1
            if _unit(bits) >= chance or since >= life or count == room:
                continue
            ghost = out[count]
            ghost.x = (i + _unit(mix(bits, 1))) * _CELL
            ghost.y = (j + _unit(mix(bits, 2))) * _CELL
            dx, dy = ghost.x - eye.x, ghost.y - eye.y
            if dx * dx + dy * dy > reach * reach or dx * dx + dy * dy < 9.0:
                continue
            count += 1
            pick = _unit(mix(bits, 3))
            ghost.kind = _OBJECT if pick < 0.6 else (_PEDESTRIAN if pick < 0.8 else (_BICYCLE if pick < 0.9 else _CAR))
            angle = 2.0 * math.pi * _unit(mix(bits, 4))
            ghost.cos, ghost.sin = math.cos(angle), math.sin(angle)
            ghost.length = _LENGTHS[ghost.kind] * (0.7 + 0.6 * _unit(mix(bits, 5)))
            ghost.width = _WIDTHS[ghost.kind] * (0.7 + 0.6 * _unit(mix(bits, 6)))
            ghost.vx, ghost.vy, ghost.speed, ghost.accel = 0.0, 0.0, 0.0, 0.0
            ghost.height, ghost.indicator, ghost.gesture = 0.8, 0, 0
            ghost.drive_through = 1.0 if pick < 0.4 else 0.0
            ghost.ghost = 1
            ghost.key = bits
            _place(ghost, eye)
    return count


@kernel
def _covered(candidates: NDArray[np.void], count: int, k: int, rx: float, ry: float) -> bool:
    """Whether a nearer body that is tall enough stands in the direction (rx, ry) of candidate k."""
    me = candidates[k]
    for j in range(count):
        other = candidates[j]
        if j == k or other.ghost or other.distance > me.distance - 0.5:
            continue
        if other.height < EYE_HEIGHT or other.height < me.height - 1.0:
            continue
        facing = rx * other.ux + ry * other.uy
        if facing > 0.0 and abs(rx * other.uy - ry * other.ux) < other.half * facing:
            return True
    return False


@kernel
def _look(state: WorldState, roads: Roads, w: int, eye: np.record, candidates: NDArray[np.void], count: int) -> None:
    """Note which share of each body can be seen past other bodies and walls, from five rays across it."""
    world = state.worlds[w]
    for k in range(count):
        me = candidates[k]
        if me.ghost:
            continue
        seen = 0
        for ray in range(-2, 3):
            offset = 0.4 * ray * me.half
            rx = me.ux - offset * me.uy
            ry = me.uy + offset * me.ux
            if _covered(candidates, count, k, rx, ry):
                continue
            x, y = eye.x + me.distance * rx, eye.y + me.distance * ry
            if not blocked_by_wall(roads, world.wall_start, world.wall_end, eye.x, eye.y, x, y):
                seen += 1
        me.visible = 0.2 * seen


@kernel
def _detect(candidate: np.record, tick: int, parameters: np.record) -> bool:
    """Whether this candidate gives a reading."""
    if candidate.ghost:
        return True
    if candidate.visible < 0.3:
        return False
    reach = parameters.reach[candidate.kind]
    far = 1.0 / (1.0 + math.exp(-(candidate.distance - reach) / (0.08 * reach)))
    hidden = 1.0 - candidate.visible
    bursts = 1.0 - (1.0 - parameters.miss_bursts) * (1.0 - far) * (1.0 - 0.6 * hidden)
    single = 1.0 - (1.0 - parameters.miss) * (1.0 - 0.3 * far) * (1.0 - 0.3 * hidden)
    if _unit(_stretch(candidate.key, _BURST, tick, parameters.burst_ticks)) < bursts:
        return False
    return bool(_unit(mix(mix(candidate.key, _MISS), tick)) >= single)


@kernel
def _absorb(one: np.record, other: np.record) -> None:
    """Extend the box of `one` over `other`, which is no longer seen by itself."""
    c = abs(one.cos * other.cos + one.sin * other.sin)
    s = abs(one.cos * other.sin - one.sin * other.cos)
    half_along = 0.5 * (other.length * c + other.width * s)
    half_across = 0.5 * (other.length * s + other.width * c)
    dx, dy = other.x - one.x, other.y - one.y
    along, across = dx * one.cos + dy * one.sin, dy * one.cos - dx * one.sin
    front, back = max(0.5 * one.length, along + half_along), min(-0.5 * one.length, along - half_along)
    left, right = max(0.5 * one.width, across + half_across), min(-0.5 * one.width, across - half_across)
    one.length, one.width = front - back, left - right
    ahead, aside = 0.5 * (front + back), 0.5 * (left + right)
    one.x += ahead * one.cos - aside * one.sin
    one.y += ahead * one.sin + aside * one.cos
    other.seen = 0


@kernel
def _merge(candidates: NDArray[np.void], count: int, tick: int, parameters: np.record) -> None:
    """Take things that nearly touch for one, some of the time."""
    for i in range(count):
        for j in range(i + 1, count):
            one, other = candidates[i], candidates[j]
            if not (one.seen and other.seen):
                continue
            dx, dy = other.x - one.x, other.y - one.y
            near = 0.5 * (one.length + other.length + one.width + other.width) + parameters.merge_gap
            if dx * dx + dy * dy > near * near:
                continue
            pair = mix(np.uint64(one.key), np.uint64(other.key))
            if _unit(_stretch(pair, _MERGE, tick, parameters.confusion_ticks)) >= parameters.merged:
                continue
            gap = box_gap(
                one.x, one.y, one.cos, one.sin, 0.5 * one.length, 0.5 * one.width,
                other.x, other.y, other.cos, other.sin, 0.5 * other.length, 0.5 * other.width,
            )  # fmt: skip
            if gap < parameters.merge_gap:
                if one.length * one.width >= other.length * other.width:
                    _absorb(one, other)
                else:
                    _absorb(other, one)


@kernel
def _read_lights(candidate: np.record, tick: int, parameters: np.record, out: np.record) -> None:
    """Indicator, brake light and gesture as read."""
    key, ticks = np.uint64(candidate.key), parameters.light_ticks
    miss = parameters.light_miss[0] + parameters.light_miss[1] * candidate.distance
    near = candidate.distance < parameters.light_reach
    pick = _unit(_stretch(key, _INDICATOR, tick, ticks))
    indicator = candidate.indicator
    if candidate.indicator == 0:
        indicator = 1 + int(pick / parameters.light_false * 3.0) if pick < parameters.light_false else 0
    elif pick < miss:
        indicator = 0
    out.indicator = indicator if near else 0
    pick = _unit(_stretch(key, _BRAKE, tick, ticks))
    braking = candidate.kind < _BICYCLE and (candidate.accel < BRAKE_LIGHT or abs(candidate.speed) < _STANDING)
    # brake lights show at the rear alone
    rear = candidate.ux * candidate.cos + candidate.uy * candidate.sin > 0.2
    lit = pick >= miss if braking else pick < parameters.light_false
    out.brake_light = 1 if near and rear and lit and not candidate.ghost else 0
    pick = _unit(_stretch(key, _WAVE, tick, ticks))
    waves = pick >= parameters.wave_miss if candidate.gesture != 0 else pick < parameters.wave_false
    out.gesture = 1 if waves and candidate.distance < parameters.wave_reach else 0


@kernel
def _read_kind(candidate: np.record, tick: int, parameters: np.record) -> int:
    """The kind it is taken for."""
    pick = _unit(_stretch(candidate.key, _KIND, tick, parameters.confusion_ticks))
    confused = min(parameters.confused[candidate.kind] * (0.5 + candidate.distance / 40.0), 0.5)
    if pick >= confused:
        return int(candidate.kind)
    return int(parameters.mistaken[candidate.kind, 0 if pick < 0.667 * confused else 1])


@kernel
def _read_box(
    candidate: np.record, tick: int, parameters: np.record, unit: NDArray[np.float64], noise: NDArray[np.float64], out: np.record
) -> None:
    """Write sigma and the box with its errors into `out`, whose kind is known; `noise` (QUANTITIES,): unit errors, filled."""
    shared, own = math.sqrt(parameters.share), math.sqrt(1.0 - parameters.share)
    key = mix(np.uint64(candidate.key), _WHITE)
    for q in range(QUANTITIES):
        noise[q] = shared * unit[q] + own * _normal(mix(mix(key, q), tick))
    kind, far = out.kind, candidate.distance
    hidden = 1.0 + parameters.hidden_sigma * (1.0 - candidate.visible)
    # aspect: cosine and sine of the direction of sight in the frame of the box
    along = candidate.ux * candidate.cos + candidate.uy * candidate.sin
    across = candidate.uy * candidate.cos - candidate.ux * candidate.sin
    out.sigma[0] = hidden * (parameters.position[kind, 0] + parameters.position[kind, 1] * far)
    out.sigma[1] = parameters.heading[kind, 0] + parameters.heading[kind, 1] * far
    out.sigma[2] = hidden * (parameters.velocity[kind, 0] + parameters.velocity[kind, 1] * far)
    out.sigma[3] = hidden * parameters.length[kind] * (0.33 + 0.67 * abs(along))
    out.sigma[4] = hidden * parameters.width[kind] * (0.33 + 0.67 * abs(across))
    length = max(out.sigma[3] * noise[5], 0.1 - candidate.length)
    width = max(out.sigma[4] * noise[6], 0.1 - candidate.width)
    out.length, out.width = candidate.length + length, candidate.width + width
    ahead, aside = 0.5 * length * along, 0.5 * width * across
    out.x = candidate.x + ahead * candidate.cos - aside * candidate.sin + out.sigma[0] * noise[0]
    out.y = candidate.y + ahead * candidate.sin + aside * candidate.cos + out.sigma[0] * noise[1]
    flips = parameters.flip[kind] * (parameters.flip_moving if abs(candidate.speed) > 2.0 else 1.0)
    flip = math.pi if _unit(_stretch(candidate.key, _FLIP, tick, parameters.flip_ticks)) < flips else 0.0
    out.heading = wrap_angle(math.atan2(candidate.sin, candidate.cos) + out.sigma[1] * noise[2] + flip)
    out.vx = candidate.vx + out.sigma[2] * noise[3]
    out.vy = candidate.vy + out.sigma[2] * noise[4]


@kernel
def _turn(out: np.record, eye: np.record, errors: NDArray[np.float64]) -> None:
    """Move a reading from the true ego pose into the estimated one: all readings of a frame share its error."""
    cos, sin = math.cos(errors[2]), math.sin(errors[2])
    dx, dy = out.x - eye.x, out.y - eye.y
    out.x = eye.x + errors[0] + cos * dx - sin * dy
    out.y = eye.y + errors[1] + sin * dx + cos * dy
    out.heading = wrap_angle(out.heading + errors[2])
    vx, vy = float(out.vx), float(out.vy)
    out.vx = cos * vx - sin * vy
    out.vy = sin * vx + cos * vy
    out.speed = out.vx * math.cos(out.heading) + out.vy * math.sin(out.heading)


@kernel
def _calibrated(real: bool, noise: float, spread: float, prior: float) -> float:
    """A probability that is right on average: log odds `prior` plus the evidence of one of two unit normals `spread` apart."""
    evidence = spread * noise + (0.5 if real else -0.5) * spread * spread
    return 1.0 / (1.0 + math.exp(-(prior + evidence)))


@kernel
def _shuffle(candidates: NDArray[np.void], count: int, key: np.uint64, tick: int) -> int:
    """List the seen candidates in `order`, in an order that says nothing; returns how many."""
    chosen = 0
    for k in range(count):
        if not candidates[k].seen:
            continue
        place = int(_unit(mix(mix(mix(key, _SHUFFLE), tick), chosen)) * (chosen + 1))
        candidates[chosen].order = candidates[place].order
        candidates[place].order = k
        chosen += 1
    return chosen


@kernel
def read_objects(
    state: WorldState, roads: Roads, w: int, a: int, packed: NDArray[np.void], room: NDArray[np.void],
    scratch: NDArray[np.float64], out: NDArray[np.void],
) -> int:  # fmt: skip
    """Fill `out` (N,) of OBJECT_DTYPE with the readings of actor `a`; returns how many.

    packed: PARAMETERS_DTYPE (1,). Working memory: room (N,) of CANDIDATE_DTYPE, N = slots + GHOST_ROOM; scratch (3, QUANTITIES).
    """
    parameters = packed[0]
    world = state.worlds[w]
    tick = world.tick - parameters.latency_ticks
    eye = state.history[w, tick % HISTORY, a]
    if tick < 0 or eye.status != _ACTIVE:
        return 0
    key = mix(mix(mix(mix(np.uint64(0), world.seed), world.branch), _SENSOR), a)
    bodies = _gather(state, w, a, parameters, key, room)
    count = _haunt(eye, tick, parameters, mix(key, _GHOSTS), room, bodies)
    _look(state, roads, w, eye, room, bodies)
    for k in range(count):
        room[k].seen = 1 if _detect(room[k], tick, parameters) else 0
    _merge(room, count, tick, parameters)
    unit, noise, errors = scratch[0], scratch[1], scratch[2]
    _pose_errors(mix(key, _POSE), tick, parameters, errors)
    chosen = _shuffle(room, count, key, tick)
    for k in range(chosen):
        candidate, seen = room[room[k].order], out[k]
        seen.id = k
        seen.kind = _read_kind(candidate, tick, parameters)
        _correlated(mix(candidate.key, _DRIFT), tick, parameters.weights, unit)
        _read_box(candidate, tick, parameters, unit, noise, seen)
        _turn(seen, eye, errors)
        _read_lights(candidate, tick, parameters, seen)
        seen.height = candidate.height
        seen.score = _calibrated(candidate.ghost == 0, noise[7], parameters.score_spread, parameters.score_prior)
        drive = _normal(_stretch(candidate.key, _DRIVE, tick, parameters.confusion_ticks))
        prior = 0.0 if seen.kind == _OBJECT else -5.0
        seen.drive_through = _calibrated(candidate.drive_through != 0.0, drive, 3.0, prior)
    return chosen


@kernel
def read_own(
    state: WorldState, w: int, a: int, packed: NDArray[np.void], errors: NDArray[np.float64], out: NDArray[np.void]
) -> None:
    """Write what actor `a` is told about itself into `out` (1,) of OWN_DTYPE; `errors` (4,) is working memory."""
    parameters = packed[0]
    world = state.worlds[w]
    body = state.bodies[w, a]
    key = mix(mix(mix(mix(mix(np.uint64(0), world.seed), world.branch), _SENSOR), a), _POSE)
    _pose_errors(key, world.tick, parameters, errors)
    own = out[0]
    own.x, own.y = body.x + errors[0], body.y + errors[1]
    own.heading = wrap_angle(body.heading + errors[2])
    white = mix(mix(key, _WHEELS), world.tick)
    sigma = parameters.odometry
    # a wheel that stands is known to stand
    moving = 1.0 if abs(body.speed) > 0.02 else 0.0
    own.speed = body.speed * (1.0 + parameters.odometry_scale * errors[3]) + moving * sigma[0] * _normal(mix(white, 1))
    own.accel = body.accel + sigma[1] * _normal(mix(white, 2))
    own.yaw_rate = body.yaw_rate + moving * sigma[2] * _normal(mix(white, 3))
    own.steer = body.steer + sigma[3] * _normal(mix(white, 4))


@kernel
def _shade(out: NDArray[np.float32], heading: float, ax: float, ay: float, bx: float, by: float) -> None:
    """Shorten the sectors that the segment from a to b (relative to the sensor) lies across."""
    step = 2.0 * math.pi / out.shape[0]
    first = wrap_angle(math.atan2(ay, ax) - heading)
    span = wrap_angle(math.atan2(by, bx) - math.atan2(ay, ax))
    if span < 0.0:
        first = wrap_angle(first + span)
        span = -span
    begin = int(math.floor(first / step))
    for k in range(begin, int(math.floor((first + span) / step)) + 1):
        angle = heading + min(max((k + 0.5) * step, first), first + span)
        cos, sin = math.cos(angle), math.sin(angle)
        ex, ey = bx - ax, by - ay
        slope = cos * ey - sin * ex
        distance = (ax * ey - ay * ex) / slope if abs(slope) > 1e-9 else math.sqrt(ax * ax + ay * ay)
        place = k % out.shape[0]
        if 0.0 < distance < out[place]:
            out[place] = distance


@kernel
def read_sight(state: WorldState, roads: Roads, w: int, a: int, packed: NDArray[np.void], out: NDArray[np.float32]) -> None:
    """Fill `out` (SECTORS,) with how far one can see past walls and tall bodies, see `SensorFrame.sight`."""
    world = state.worlds[w]
    eye = state.bodies[w, a]
    reach = min(packed[0].reach_ahead, float(world.visibility))
    for k in range(out.shape[0]):
        out[k] = reach
    for k in range(world.wall_start, world.wall_end):
        ax, ay = roads.walls[k, 0] - eye.x, roads.walls[k, 1] - eye.y
        bx, by = roads.walls[k, 2] - eye.x, roads.walls[k, 3] - eye.y
        if min(ax, bx) < reach and max(ax, bx) > -reach and min(ay, by) < reach and max(ay, by) > -reach:
            _shade(out, eye.heading, ax, ay, bx, by)
    for b in range(world.actors):
        body = state.bodies[w, b]
        dx, dy = body.x - eye.x, body.y - eye.y
        if b == a or body.status != _ACTIVE or body.height < EYE_HEIGHT or dx * dx + dy * dy > reach * reach:
            continue
        # the two diagonals of a box hide what its sides hide, and their ends are its corners
        for side in (-1.0, 1.0):
            ex = 0.5 * (body.length * body.cos - side * body.width * body.sin)
            ey = 0.5 * (body.length * body.sin + side * body.width * body.cos)
            _shade(out, eye.heading, dx + ex, dy + ey, dx - ex, dy - ey)


def sense_own(state: WorldState, w: int, a: int, packed: NDArray[np.void]) -> tuple[Floats, Floats, Odometry]:
    """What actor `a` is told about itself: pose estimate (3,), its covariance (3, 3), odometry; arrays are read-only."""
    own = np.zeros(1, OWN_DTYPE)
    read_own(state, w, a, packed, np.zeros(4), own)
    x, y, heading, speed, accel, yaw_rate, steer = own[0].item()
    pose = np.array([x, y, heading])
    variances = packed[0]["pose"] ** 2 + packed[0]["pose_jitter"] ** 2
    covariance = np.diag(variances[[0, 0, 1]])
    for array in (pose, covariance):
        array.setflags(write=False)
    return pose, covariance, Odometry(speed=speed, accel=accel, yaw_rate=yaw_rate, steer=steer)


def sense_objects(
    state: WorldState, roads: Roads, w: int, a: int, signals: tuple[int, int], packed: NDArray[np.void]
) -> SensorFrame:
    """Frame of actor `a` of world `w` at the `objects` level, at the world's current tick.

    packed: `sim.sensors.errors.pack_errors` of what can go wrong. signals: as in `sim.sensors.state.sense`; they are read without
    error. Objects carry the error of the pose estimate at the time of measurement. Arrays are read-only.
    """
    parameters, world = packed[0], state.worlds[w]
    tick, latency = int(world["tick"]), int(parameters["latency_ticks"])
    scratch = np.empty((3, QUANTITIES))
    room = np.zeros(state.bodies.shape[1] + GHOST_ROOM, CANDIDATE_DTYPE)
    found = np.zeros(len(room), OBJECT_DTYPE)
    objects = found[: read_objects(state, roads, w, a, packed, room, scratch, found)]
    sight = np.empty(SECTORS, np.float32)
    read_sight(state, roads, w, a, packed, sight)
    colours = np.empty(signals[1], np.int32)
    read_signals(roads, signals[0], tick, colours)
    pose, covariance, odometry = sense_own(state, w, a, packed)
    for array in (objects, colours, sight):
        array.setflags(write=False)
    return SensorFrame(
        tick=tick, odometry=odometry, pose=pose, pose_covariance=covariance, signals=colours, objects=objects, level="objects",
        range_m=min(float(parameters["reach_ahead"]), float(world["visibility"])), objects_age=latency, sight=sight,
    )  # fmt: skip


def sense(state: WorldState, roads: Roads, w: int, a: int, signals: tuple[int, int], weather: str) -> SensorFrame:
    """`sense_objects` with the default errors in this weather."""
    return sense_objects(state, roads, w, a, signals, default_parameters(weather))
