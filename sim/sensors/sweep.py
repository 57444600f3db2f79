"""The kernels of one lidar sweep: ground, bodies and what stands about drawn into a range image, then read out through weather.

The image has a row for each column of the sensor (one firing of all rings) and an entry for each ring. Every solid is drawn only
into the window of columns and rings that it can cover, nearer hits replace farther ones, and so occlusion comes by itself: the
image is the one that tracing every ray against every solid would give. Sensor and bodies move while the sensor turns: each column
has its own time, and poses in between are interpolated between the last two ticks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.interface import TICK_S
from sim.jit import kernel
from sim.rng import mix
from sim.sensors.terrain import height_at
from sim.sensors.trace import MISSED, trace, unit_of
from sim.sensors.weather import CELL_M, CELLS, FOG_SPREAD, GAIN_RANGE

GROUND, CLUTTER, WALL, WEATHER = -1, -2, -3, -4
"""What a ray met when it was no body."""
STRIDE_HZ, STRIDE_SPEED = 0.95, 1.34  # double steps per second, and the walking speed [m/s] at which limbs swing as drawn
STEP = 0.03  # of the range: how far apart the ground is looked up
WHITEST = 0.85  # reflectivity of the ground, at most
LEAST_WAVER = 0.6  # share of the threshold that an echo needs at its luckiest
DENSEST = math.exp(3.5 * FOG_SPREAD - 0.5 * FOG_SPREAD**2)  # fog's density along a ray over its mean, at most
NEAREST = 0.9  # m; the sensor's own housing

RING_DTYPE = np.dtype([(name, "f8") for name in ("cos", "sin", "tan", "dead")], align=True)
COLUMN_DTYPE = np.dtype(
    [(name, "f8") for name in ("cos", "sin", "share", "x", "y", "ux", "uy", "back_cos", "back_sin", "back_x", "back_y")],
    align=True,
)
"""One firing. cos, sin: direction in the car's frame; share: part of the sweep that is over; x, y: place of the sensor and
ux, uy: direction, in the world; back_*: rotation and shift from the car's frame then to its frame at the end."""
POSE_DTYPE = np.dtype(
    [(name, "f8") for name in ("x0", "y0", "cos0", "sin0", "x1", "y1", "cos1", "sin1", "z", "speed")], align=True
)
"""Where a frame was a tick ago (0) and is now (1), and the height of the ground under it."""
RAY_DTYPE = np.dtype([("range", "f8"), ("cosine", "f4"), ("bright", "f4"), ("code", "i4"), ("stamp", "i4")], align=True)
"""What a ray met first: range [m], cosine of incidence, reflectivity, slot of the body or GROUND, CLUTTER, WALL."""
SENSOR_DTYPE = np.dtype([(name, "f8") for name in ("forward", "z", "floor", "reach", "gain", "noise", "dropout")], align=True)
"""The sensor: place ahead of the car's centre and height in the world [m], height of the ground under the car, range at which it
gives up [m]; the rest as in `LidarSpec`."""
GROUND_DTYPE = np.dtype([(name, "f8") for name in ("x0", "y0", "cell", "per_m", "factor")], align=True)

_WORD = np.uint64(0xFFFF)
_TO_NORMAL = math.sqrt(12.0) / 65536.0


@kernel
def normal_of(bits: np.uint64) -> float:
    """Nearly normal number of unit variance within ±3.5: the sum of four uniform ones (Irwin-Hall)."""
    total = (bits & _WORD) + ((bits >> np.uint64(16)) & _WORD) + ((bits >> np.uint64(32)) & _WORD) + (bits >> np.uint64(48))
    return (float(total) - 131070.0) * (0.5 * _TO_NORMAL)


@kernel
def aim(ego: np.record, sensor: np.record, speed: float, yaw_rate: float, rear: float, columns: NDArray[np.void]) -> None:
    """Fill in where each column's rays start and point, and how its points come into the frame of the sweep's end.

    The latter uses what the car knows of its motion: speed [m/s] of the rear axle, `rear` [m] behind the centre, and yaw rate.
    """
    for k in range(len(columns)):
        column = columns[k]
        column.share = (k + 1.0) / len(columns)
        azimuth = math.pi - 2.0 * math.pi * (k + 0.5) / len(columns)
        column.cos, column.sin = math.cos(azimuth), math.sin(azimuth)
        x, y, cos, sin = pose_at(ego, column.share)
        column.x, column.y = x + sensor.forward * cos, y + sensor.forward * sin
        column.ux = cos * column.cos - sin * column.sin
        column.uy = sin * column.cos + cos * column.sin
        ago = (column.share - 1.0) * TICK_S
        turn = yaw_rate * ago
        column.back_cos, column.back_sin = math.cos(turn), math.sin(turn)
        # the rear axle went along an arc; the centre is `rear` ahead of it, then and now
        column.back_x = speed * ago * math.cos(0.5 * turn) + rear * (column.back_cos - 1.0)
        column.back_y = speed * ago * math.sin(0.5 * turn) + rear * column.back_sin


@kernel
def pose_at(pose: np.record, share: float) -> tuple[float, float, float, float]:
    """x, y, cos, sin of a frame when `share` of the sweep is over."""
    cos = pose.cos0 + share * (pose.cos1 - pose.cos0)
    sin = pose.sin0 + share * (pose.sin1 - pose.sin0)
    scale = 1.0 / math.sqrt(cos * cos + sin * sin)
    return pose.x0 + share * (pose.x1 - pose.x0), pose.y0 + share * (pose.y1 - pose.y0), cos * scale, sin * scale


@kernel
def ray_in_body(pose: np.record, column: np.record) -> tuple[float, float, float, float]:
    """Start (x, y) and level direction (x, y) of a column's rays in the frame of a body at that column's time."""
    x, y, cos, sin = pose_at(pose, column.share)
    dx, dy = column.x - x, column.y - y
    return cos * dx + sin * dy, cos * dy - sin * dx, cos * column.ux + sin * column.uy, cos * column.uy - sin * column.ux


@kernel
def _shade(ground: np.record, bright: NDArray[np.float32], x: float, y: float) -> float:
    """Reflectivity of the ground at a place: when wet or snowy the road is darker or brighter, and verges are no darker."""
    row, column = int((y - ground.y0) * ground.per_m), int((x - ground.x0) * ground.per_m)
    shade = bright[min(max(row, 0), bright.shape[0] - 1), min(max(column, 0), bright.shape[1] - 1)]
    return float(min(abs(shade) * (ground.factor if shade < 0.0 else max(ground.factor, 1.0)), WHITEST))


@kernel
def draw_ground(
    columns: NDArray[np.void], rings: NDArray[np.void], sensor: np.record, ground: np.record, z: NDArray[np.float32],
    bright: NDArray[np.float32], rays: NDArray[np.void],
) -> None:  # fmt: skip
    """Fill `rays` (C, R) with where each ray meets the ground, if it does.

    Seen from one place the steeper ray meets a height field no farther away than the flatter one, so each column walks outward
    once for all its rings.
    """
    x0, y0, per_m, cell, top, reach = ground.x0, ground.y0, ground.per_m, ground.cell, sensor.z, sensor.reach
    count = len(rings)
    for k in range(len(columns)):
        x, y, ux, uy = columns[k].x, columns[k].y, columns[k].ux, columns[k].uy
        ring, r, tangent = 0, NEAREST, rings[0].tan
        before = height_at(z, x0, y0, per_m, x + r * ux, y + r * uy)
        while ring < count and r < reach:
            ahead = r + max(cell, STEP * r)
            after = height_at(z, x0, y0, per_m, x + ahead * ux, y + ahead * uy)
            if top + tangent * ahead <= after:
                slope = (after - before) / (ahead - r)
                steep = 1.0 / math.sqrt(1.0 + slope * slope)
                while ring < count:
                    beam = rings[ring]
                    tangent = beam.tan
                    over = top + tangent * ahead - after
                    if over > 0.0:
                        break
                    under = max(top + tangent * r - before, 0.0)
                    level = r + (ahead - r) * under / (under - over + 1e-12)
                    ray = rays[k, ring]
                    ray.range, ray.code = level / beam.cos, GROUND
                    ray.cosine = abs(beam.cos * slope - beam.sin) * steep
                    ray.bright = _shade(ground, bright, x + level * ux, y + level * uy)
                    ring += 1
            before, r = after, ahead
        for left in range(ring, count):
            rays[k, left].range = MISSED


@kernel
def _first_ring(rings: NDArray[np.void], tangent: float) -> int:
    """The lowest ring whose elevation has at least this tangent."""
    low, high = 0, len(rings)
    while low < high:
        middle = (low + high) // 2
        if rings[middle].tan < tangent:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def window(prim: np.record, pose: np.record, ego: np.record, sensor: np.record, columns: int) -> tuple[int, int]:
    """(first column, number of columns) that can meet a solid, counting on beyond the last one; 0 columns where it is too far.

    While the sensor turns, the solid's centre moves against it nearly along a line: a circle around that line, with room for how
    much it is bent, holds the solid all the time.
    """
    cx, cy = prim.centre[0], prim.centre[1]
    x0 = pose.x0 + pose.cos0 * cx - pose.sin0 * cy - ego.x0 - sensor.forward * ego.cos0
    y0 = pose.y0 + pose.sin0 * cx + pose.cos0 * cy - ego.y0 - sensor.forward * ego.sin0
    x1 = pose.x1 + pose.cos1 * cx - pose.sin1 * cy - ego.x1 - sensor.forward * ego.cos1
    y1 = pose.y1 + pose.sin1 * cx + pose.cos1 * cy - ego.y1 - sensor.forward * ego.sin1
    ax, ay = ego.cos0 * x0 + ego.sin0 * y0, ego.cos0 * y0 - ego.sin0 * x0
    bx, by = ego.cos1 * x1 + ego.sin1 * y1, ego.cos1 * y1 - ego.sin1 * x1
    mx, my = 0.5 * (ax + bx), 0.5 * (ay + by)
    distance = math.sqrt(mx * mx + my * my)
    turned = ego.cos0 * ego.sin1 - ego.sin0 * ego.cos1
    other = pose.cos0 * pose.sin1 - pose.sin0 * pose.cos1
    bent = 0.25 * (distance * turned * turned + (abs(cx) + abs(cy)) * other * other)
    radius = (
        math.sqrt(prim.extent[0] ** 2 + prim.extent[1] ** 2)
        + 0.5 * math.sqrt((bx - ax) ** 2 + (by - ay) ** 2) + bent + 0.02
    )  # fmt: skip
    if distance - radius > sensor.reach:
        return 0, 0
    if distance <= radius:
        return 0, columns
    per_radian = columns / (2.0 * math.pi)
    middle = (math.pi - math.atan2(my, mx)) * per_radian - 0.5
    half = math.asin(radius / distance) * per_radian + 1e-3
    first, last = int(math.ceil(middle - half)), int(math.floor(middle + half))
    return (first + columns) % columns, min(last - first + 1, columns)


@kernel
def draw_solid(
    prim: np.record, index: int, pose: np.record, ego: np.record, sensor: np.record, columns: NDArray[np.void],
    rings: NDArray[np.void], key: np.uint64, rays: NDArray[np.void], stamp: int, touched: NDArray[np.int32], count: int,
) -> int:  # fmt: skip
    """Draw one solid into `rays` (C, R), the image of its body alone; an entry holds where its `stamp` is that of the body.

    Entries stamped anew are appended to `touched`, which has `count`; returns how many it has now. index: number of the solid,
    for its own random bits in each ray.
    """
    first, wide = window(prim, pose, ego, sensor, len(columns))
    reach = math.sqrt(prim.extent[0] ** 2 + prim.extent[1] ** 2)
    oz = sensor.z - pose.z
    low, high = prim.centre[2] - prim.extent[2] - 1e-6 - oz, prim.centre[2] + prim.extent[2] + 1e-6 - oz
    for step in range(wide):
        k = (first + step) % len(columns)
        ox, oy, ux, uy = ray_in_body(pose, columns[k])
        px, py = prim.centre[0] - ox, prim.centre[1] - oy
        along, across = px * ux + py * uy, px * uy - py * ux
        chord = reach * reach - across * across
        if chord < 0.0:
            continue
        chord = math.sqrt(chord) + 1e-6
        far = along + chord
        if far <= 0.0:
            continue
        near = max(along - chord, 1e-3)
        begin = _first_ring(rings, low / (near if low < 0.0 else far))
        end = _first_ring(rings, high / (far if high < 0.0 else near))
        for ring in range(begin, end):
            beam = rings[ring]
            bits = mix(mix(key, k * len(rings) + ring), index)
            t, cosine = trace(prim, bits, ox, oy, oz, ux * beam.cos, uy * beam.cos, beam.sin)
            if t >= sensor.reach:
                continue
            ray = rays[k, ring]
            if ray.stamp != stamp:
                ray.stamp = stamp
                touched[count] = k * len(rings) + ring
                count += 1
            elif t >= ray.range:
                continue
            ray.range, ray.cosine, ray.bright = t, cosine, prim.reflectivity
    return count


@kernel
def pose_limb(prim: np.record, angle: float, out: np.record) -> None:
    """Write a solid turned by `angle` [rad] about the y axis through its pivot into `out`."""
    cos, sin = math.cos(angle), math.sin(angle)
    out.solid, out.bumps, out.opacity, out.reflectivity, out.parameter = (
        prim.solid, prim.bumps, prim.opacity, prim.reflectivity, prim.parameter,
    )  # fmt: skip
    x, z = prim.centre[0] - prim.pivot[0], prim.centre[2] - prim.pivot[2]
    out.centre[0], out.centre[1] = prim.pivot[0] + cos * x + sin * z, prim.centre[1]
    out.centre[2] = prim.pivot[2] - sin * x + cos * z
    out.extent[0] = abs(cos) * prim.extent[0] + abs(sin) * prim.extent[2]
    out.extent[1] = prim.extent[1]
    out.extent[2] = abs(sin) * prim.extent[0] + abs(cos) * prim.extent[2]
    for k in range(3):
        out.half[k] = prim.half[k]
        out.into[k, 0] = cos * prim.into[k, 0] + sin * prim.into[k, 2]
        out.into[k, 1] = prim.into[k, 1]
        out.into[k, 2] = cos * prim.into[k, 2] - sin * prim.into[k, 0]


@kernel
def gait(pose: np.record, slot: int, ego: np.record, tick: int) -> float:
    """How far limbs have swung, as a share of their whole swing, when the sweep comes over a body.

    It depends on nothing but time, place and speed."""
    mx, my = pose.x1 - ego.x1, pose.y1 - ego.y1
    azimuth = math.atan2(ego.cos1 * my - ego.sin1 * mx, ego.cos1 * mx + ego.sin1 * my)
    share = (math.pi - azimuth) / (2.0 * math.pi)
    time = (tick - 1.0 + share) * TICK_S
    return float(math.sin(2.0 * math.pi * (STRIDE_HZ * time + 0.381966 * slot)) * min(abs(pose.speed) / STRIDE_SPEED, 1.0))


@kernel
def draw_body(
    prims: NDArray[np.void], first: int, last: int, swung: float, limb: NDArray[np.void], pose: np.record, ego: np.record,
    sensor: np.record, columns: NDArray[np.void], rings: NDArray[np.void], key: np.uint64,
    buffers: tuple[NDArray[np.void], NDArray[np.int32], int],
) -> int:  # fmt: skip
    """`draw_solid` for the solids `first` to `last` - 1 of one body, limbs in their place; returns how many entries it covers.

    buffers: the body's image, the entries touched, the stamp. limb: (1,) working memory.
    """
    rays, touched, stamp = buffers
    count = 0
    for p in range(first, last):
        if prims[p].swing != 0.0:
            pose_limb(prims[p], prims[p].swing * swung, limb[0])
            count = draw_solid(limb[0], p, pose, ego, sensor, columns, rings, key, rays, stamp, touched, count)
        else:
            count = draw_solid(prims[p], p, pose, ego, sensor, columns, rings, key, rays, stamp, touched, count)
    return count


@kernel
def amplitude(weather: np.record, bright: float, cosine: float, distance: float) -> float:
    """Amplitude of an echo, see `sim.sensors.weather`."""
    value = bright * cosine * min(1.0, (GAIN_RANGE * GAIN_RANGE) / (distance * distance))
    if weather.extinction > 0.0:
        value *= math.exp(-2.0 * weather.extinction * distance)
    return float(value)


@kernel
def is_found(weather: np.record, sensor: np.record, strength: float, bits: np.uint64) -> bool:
    """Whether an echo of this amplitude is reported: thresholds waver, and a few echoes get lost whatever they are."""
    waver = LEAST_WAVER + (2.0 - 2.0 * LEAST_WAVER) * (float(bits & _WORD) / 65536.0)
    lost = float((bits >> np.uint64(16)) & _WORD) / 65536.0 < sensor.dropout
    return bool(strength >= weather.threshold * waver and not lost)


@kernel
def merge_body(
    code: int, count: int, touched: NDArray[np.int32], own: NDArray[np.void], rings: NDArray[np.void], sensor: np.record,
    weather: np.record, key: np.uint64, rays: NDArray[np.void],
) -> int:  # fmt: skip
    """Put the image of one body into the whole one; returns how many of its rays would be found if nothing stood before it."""
    alone = 0
    for i in range(count):
        k, ring = touched[i] // len(rings), touched[i] % len(rings)
        mine, ray = own[k, ring], rays[k, ring]
        if code >= 0 and mine.range > NEAREST and rings[ring].dead == 0.0:
            strength = amplitude(weather, mine.bright, mine.cosine, mine.range)
            alone += is_found(weather, sensor, strength, mix(mix(key, touched[i]), -1))
        if mine.range < ray.range:
            ray.range, ray.cosine, ray.bright, ray.code = mine.range, mine.cosine, mine.bright, code
    return alone


@kernel
def _particle(weather: np.record, bits: np.uint64) -> float:
    """Range [m] of the first drop or flake that a ray meets: the count of those met by a range is Poisson."""
    share = unit_of(bits)
    if share >= weather.falling:
        return MISSED
    wanted = -math.log(1.0 - share)
    met = weather.met
    low, high = 0, CELLS
    while high - low > 1:
        middle = (low + high) // 2
        if met[middle] > wanted:
            high = middle
        else:
            low = middle
    return float((low + (wanted - met[low]) / (met[high] - met[low])) * CELL_M)


@kernel
def _fog(weather: np.record, bits: np.uint64, beyond: float, strength: float) -> tuple[float, float]:
    """(range [m], amplitude) of the strongest echo of fog along a ray: its density varies, and light is lost on the way.

    MISSED where it is farther than `beyond` or certainly weaker than `strength`.
    """
    left = 1.0 - unit_of(mix(bits, 1))  # of the light, after the way from NEAREST to the echo and back
    likely = weather.echo * left * DENSEST
    if likely < strength:
        return MISSED, 0.0
    distance = NEAREST - math.log(left) / (2.0 * weather.extinction)
    if distance >= beyond:
        return MISSED, 0.0
    density = math.exp(FOG_SPREAD * normal_of(mix(bits, 2)) - 0.5 * FOG_SPREAD * FOG_SPREAD)
    return distance, density * amplitude(weather, weather.echo, 1.0, distance)


@kernel
def _through_weather(weather: np.record, sensor: np.record, ray: np.record, bits: np.uint64) -> tuple[float, float, int]:
    """(range, amplitude, code) of what a ray reports: MISSED, or the first particle, or the stronger of its target and fog."""
    if weather.falling > 0.0:
        distance = _particle(weather, mix(bits, 3))
        if distance < ray.range and distance > NEAREST:
            return distance, 1.5 * weather.threshold, WEATHER
    strength = 0.0
    if NEAREST < ray.range < sensor.reach:
        strength = amplitude(weather, ray.bright, ray.cosine, ray.range)
    if weather.echo > 0.0:
        distance, fog = _fog(weather, mix(bits, 4), ray.range, max(strength, LEAST_WAVER * weather.threshold))
        if fog > strength and is_found(weather, sensor, fog, bits):
            return distance, fog, WEATHER
    if strength > 0.0 and is_found(weather, sensor, strength, bits):
        return ray.range, strength, ray.code
    return MISSED, 0.0, WEATHER


@kernel
def read_out(
    columns: NDArray[np.void], rings: NDArray[np.void], sensor: np.record, weather: np.record, key: np.uint64,
    rays: NDArray[np.void], points: NDArray[np.float32], hits: NDArray[np.int32],
) -> int:  # fmt: skip
    """Write what the sensor reports into `points` (C * R, 5) and what each is of into `hits`; returns how many there are."""
    count = 0
    for k in range(len(columns)):
        column = columns[k]
        for ring in range(len(rings)):
            beam = rings[ring]
            if beam.dead != 0.0:
                continue
            place = mix(key, k * len(rings) + ring)
            distance, strength, code = _through_weather(weather, sensor, rays[k, ring], mix(place, -1))
            if distance >= sensor.reach:
                continue
            bits = mix(place, -2)
            distance += sensor.noise * normal_of(bits)
            level = distance * beam.cos
            x, y = level * column.cos + sensor.forward, level * column.sin
            point = points[count]
            point[0] = column.back_x + column.back_cos * x - column.back_sin * y
            point[1] = column.back_y + column.back_sin * x + column.back_cos * y
            point[2] = sensor.z - sensor.floor + distance * beam.sin
            speckle = 1.0 + 0.08 * normal_of(mix(bits, 1))
            point[3] = min(max(sensor.gain * strength * speckle, 0.0), 1.0)
            point[4] = (column.share - 1.0) * TICK_S
            hits[count] = code
            count += 1
    return count
