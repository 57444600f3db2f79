"""Who is near whom, who can see whom, and the short past that slow responders look at.

Neighbour lists (Verlet lists) are remade every REFRESH ticks per actor, staggered, so that their cost does not grow with the
square of the number of actors every tick. Sight: range, a blind rear beyond REAR_RANGE, walls, and bodies that hide others
behind them.
"""

from __future__ import annotations

import math

import numpy as np

from sim.jit import kernel
from sim.roads.pack import Roads
from sim.state import HISTORY, NEIGHBOURS, WorldState

REFRESH = 5  # ticks between remakes of one actor's list
RANGE = 45.0  # m, plus
RANGE_PER_SPEED = 3.0  # s
COMING_S = 5.5  # s of the way of who comes fast: gaps are told from one another up to 8 s or so
WALKER_RANGE = 110.0  # m; somebody about to cross looks far
REAR_RANGE = 40.0  # m, as far as mirrors and a shoulder check show who is not much faster
FASTER = 3.0  # m/s
EYE_HEIGHT = 1.2  # m; lower things hide nothing
ACTIVE = 1
PEDESTRIAN = 6
STANDING_SPEED = 0.3  # m/s


@kernel
def remember(state: WorldState, w: int, a: int) -> None:
    """Write what this tick shows of an actor into the history."""
    body = state.bodies[w, a]
    tick = state.worlds[w].tick
    if abs(body.speed) > STANDING_SPEED:
        body.standing_since = -1
    elif body.standing_since < 0:
        body.standing_since = tick
    seen = state.history[w, tick % HISTORY, a]
    seen.x = body.x
    seen.y = body.y
    seen.cos = body.cos
    seen.sin = body.sin
    seen.speed = body.speed
    seen.accel = body.accel
    seen.vx = body.vx
    seen.vy = body.vy
    seen.indicator = body.indicator
    seen.gesture = body.gesture
    seen.status = body.status
    seen.standing_since = body.standing_since
    seen.arrived_tick = body.arrived_tick
    seen.hypothesis_count = body.hypothesis_count
    for k in range(body.hypothesis_count):
        seen.hypothesis_lane[k] = body.hypothesis_lane[k]
        seen.hypothesis_s[k] = body.hypothesis_s[k]


@kernel
def blocked_by_wall(roads: Roads, first: int, last: int, x0: float, y0: float, x1: float, y1: float) -> bool:
    """Whether a sight-blocking segment cuts the line between two points."""
    dx = x1 - x0
    dy = y1 - y0
    for k in range(first, last):
        ax = roads.walls[k, 0] - x0
        ay = roads.walls[k, 1] - y0
        bx = roads.walls[k, 2] - x0
        by = roads.walls[k, 3] - y0
        side_a = dx * ay - dy * ax
        side_b = dx * by - dy * bx
        if (side_a > 0.0) == (side_b > 0.0):
            continue
        ex = bx - ax
        ey = by - ay
        side_0 = ay * ex - ax * ey
        side_1 = (ay - dy) * ex - (ax - dx) * ey
        if (side_0 > 0.0) != (side_1 > 0.0):
            return True
    return False


@kernel
def _sketch(state: WorldState, w: int, a: int, sight: np.record) -> int:
    """Note direction, distance and angular half size (as a tangent) of every neighbour, nearest first; returns how many."""
    eye = state.bodies[w, a]
    count = state.neighbours[w, a, 0]
    for k in range(count):
        other = state.bodies[w, state.neighbours[w, a, 1 + k]]
        dx = other.x - eye.x
        dy = other.y - eye.y
        distance = math.sqrt(dx * dx + dy * dy) + 1e-3
        inverse = 1.0 / distance
        ux = dx * inverse
        uy = dy * inverse
        along = abs(ux * other.cos + uy * other.sin)
        across = abs(uy * other.cos - ux * other.sin)
        sight.x[k] = ux
        sight.y[k] = uy
        sight.distance[k] = distance
        sight.half[k] = 0.5 * (other.length * across + other.width * along) * inverse
        sight.height[k] = other.height
    return int(count)


@kernel
def _hidden(sight: np.record, rank: int) -> bool:
    """Whether one nearer neighbour covers the whole silhouette of the neighbour at `rank`."""
    ux = sight.x[rank]
    uy = sight.y[rank]
    half = sight.half[rank]
    reach = sight.distance[rank] - 1.0
    height = sight.height[rank] - 1.0
    covered = 0
    for k in range(rank):
        # no branches: several at a time
        facing = ux * sight.x[k] + uy * sight.y[k]
        before = (sight.half[k] > half) & (sight.distance[k] <= reach) & (sight.distance[k] >= 1.0) & (facing > 0.0)
        high = (sight.height[k] >= EYE_HEIGHT) & (sight.height[k] >= height)
        whole = abs(ux * sight.y[k] - uy * sight.x[k]) + half * facing < sight.half[k] * facing
        covered |= before & high & whole
    return covered > 0


@kernel
def _reaches(state: WorldState, w: int, a: int) -> tuple[float, float]:
    """Distances [m]: within which `a` notices anybody, and beyond which nobody however fast."""
    me = state.bodies[w, a]
    visibility = float(state.worlds[w].visibility)
    reach = WALKER_RANGE if me.kind == PEDESTRIAN else RANGE + RANGE_PER_SPEED * abs(float(me.speed))
    return min(reach, visibility), visibility


@kernel
def _list(state: WorldState, w: int, a: int, b: int, square: float, count: int) -> int:
    """Enter `b` at a distance of `square` [m²] into the list of `a`, which has `count`; returns how many it has now."""
    listed = state.neighbours[w, a]
    squares = state.sights[w].distance  # of those listed
    place = min(count, NEIGHBOURS - 1)
    while place > 0:
        before = squares[place - 1]
        if before < square or (before == square and listed[place] < b):
            break
        listed[place + 1] = listed[place]
        squares[place] = before
        place -= 1
    listed[place + 1] = b
    squares[place] = square
    return min(count + 1, NEIGHBOURS)


@kernel
def _noticed(state: WorldState, w: int, square: float, limit: float, farthest: float, speed: float, count: int) -> bool:
    """Whether somebody at a distance of `square` [m²] is noticed by who has `count` in its list already.

    limit: square of the reach; who comes fast is noticed from further away, up to the square `farthest`.
    """
    if count == NEIGHBOURS:
        return bool(square <= limit and square <= state.sights[w].distance[NEIGHBOURS - 1])
    fast = RANGE + COMING_S * speed
    return bool(square <= limit or square <= min(fast * fast, farthest))


@kernel
def find_neighbours(state: WorldState, w: int, a: int) -> None:
    """Remake the list of the nearest NEIGHBOURS active bodies within range of `a`, nearest first."""
    bodies = state.bodies
    reach, visibility = _reaches(state, w, a)
    x, y = bodies[w, a].x, bodies[w, a].y
    count = 0
    for b in range(state.worlds[w].actors):
        other = bodies[w, b]
        if other.status != ACTIVE or b == a:
            continue
        dx = other.x - x
        dy = other.y - y
        square = dx * dx + dy * dy
        if _noticed(state, w, square, reach * reach, visibility * visibility, float(abs(other.speed)), count):
            count = _list(state, w, a, b, square, count)
    state.neighbours[w, a, 0] = count


@kernel
def find_neighbours_in_line(state: WorldState, w: int, rank: int) -> None:
    """As `find_neighbours`, for who is at `rank` in the line of `spots`, among those not too far from it there."""
    world = state.worlds[w]
    spots = state.spots[w]
    a = spots[rank].slot
    reach, visibility = _reaches(state, w, a)
    span = max(reach, min(RANGE + COMING_S * float(world.fastest), visibility))
    x, y, along = spots[rank].x, spots[rank].y, spots[rank].along
    limit, farthest = reach * reach, visibility * visibility
    count = 0
    present = world.present
    for step in (-1, 1):
        k = rank + step
        # the line is sorted by near ends
        while 0 <= k < present and step * (spots[k].along - along) <= span + world.widest:
            spot = spots[k]
            dx = spot.x - x
            dy = spot.y - y
            square = dx * dx + dy * dy
            if _noticed(state, w, square, limit, farthest, float(spot.speed), count):
                count = _list(state, w, a, spot.slot, square, count)
            k += step
    state.neighbours[w, a, 0] = count


@kernel
def look(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Update which neighbours `a` can see."""
    me = state.bodies[w, a]
    world = state.worlds[w]
    sight = state.sights[w]
    rear = 0.0 if me.kind == PEDESTRIAN else REAR_RANGE  # people on foot turn their heads
    for k in range(_sketch(state, w, a, sight)):
        behind = rear > 0.0 and sight.distance[k] > rear and sight.x[k] * me.cos + sight.y[k] * me.sin < 0.0
        if behind:
            # mirrors show further back who comes up fast
            behind = state.bodies[w, state.neighbours[w, a, 1 + k]].speed < me.speed + FASTER
        hidden = behind or _hidden(sight, k)
        if not hidden and world.wall_end > world.wall_start:
            other = state.bodies[w, state.neighbours[w, a, 1 + k]]
            hidden = blocked_by_wall(roads, world.wall_start, world.wall_end, me.x, me.y, other.x, other.y)
        state.visible[w, a, k] = 0 if hidden else 1
