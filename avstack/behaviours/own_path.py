"""The ego's own path: the lanes of its route ahead, a blend from where it is onto them, and shifts around what stands in the way.

A path is made from a recipe, which is what memory keeps. Offsets are to the left of the centreline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from avstack.behaviours.atlas import Atlas, Path, limited, on_route, sampled
from avstack.behaviours.zones import ROW
from sim.geometry import Floats
from sim.roads.lane_map import LaneKind

LONGEST = 260.0  # m of path made at once
BEHIND = 40.0  # m kept behind
RENEW = 110.0  # m left ahead at which a path is laid anew
BEYOND = 40.0  # m straight on after the goal
DEAD_END = -1.0
RAMP = 8.0  # m of way per metre of shift, at least
RAMP_LEAST, RAMP_TIGHTEST = 7.0, 4.0  # m
TIGHTEST = 0.15  # 1/m, greatest curvature that is asked for
SLOPE_M = 0.5  # m to each side within which a slope is measured
ON_IT_M, ALONG_IT = 0.02, 0.01  # m, m/m: off the centreline that is driven without a blend
STRAY = 0.9  # m off the path at which it is laid from where the ego is


class Shift(NamedTuple):
    """A place that is passed `offset` [m] beside the centreline (left), from `start` to `end` [m]; begun `way` metres before."""

    start: float
    end: float
    offset: float
    way: float

    @property
    def begins(self) -> float:
        """Where the path begins to leave the centreline [m]."""
        return self.start - self.way

    def moved(self, by: float) -> Shift:
        """The same, `by` metres further along."""
        return self._replace(start=self.start + by, end=self.end + by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """lanes, begin: lane sequence and where the path begins on its first lane [m]. beyond: metres straight on after them,
    DEAD_END where they end before the goal.

    blend: (s, length, offset, slope): at s [m] the path is `offset` beside the centreline, and back on it after `length`.
    shifts: of each place that is passed beside the centreline. changes: the blend is a lane change, which gives way to whoever is
    on that lane.
    """

    lanes: tuple[int, ...]
    begin: float = 0.0
    beyond: float = 0.0
    blend: tuple[float, float, float, float] | None = None
    shifts: tuple[Shift, ...] = ()
    changes: bool = False


def follow_lanes(
    atlas: Atlas, lane: int, before: tuple[int, ...] = (), along: float = 0.0
) -> tuple[tuple[int, ...], float]:  # fmt: skip
    """Lanes of the route from `before` and `lane` onwards, and how far [m] to go straight on after them: at the route's end.

    The lanes reach LONGEST ahead of `along` [m] on `lane`.

    Negative: the lanes come to an end before the goal, and the ego has to leave them or stop.
    """
    lanes = [*before, lane]
    length = float(atlas.road_map.lanes["length"][lane]) - along
    while length < LONGEST:
        current = lanes[-1]
        following = int(atlas.steps["next"][current]) if on_route(atlas, current) else -1
        at_goal = following < 0 and current == atlas.route.lanes[-1]
        if following < 0 and (at_goal or not on_route(atlas, current)):
            onward = [int(n) for n in atlas.road_map.lane_successors(current)]
            following = onward[0] if onward else -1
            if following < 0:
                return tuple(lanes), BEYOND if at_goal or _passed_goal(atlas, lanes) else DEAD_END
        if following < 0 or following in lanes:
            return tuple(lanes), DEAD_END
        lanes.append(following)
        length += float(atlas.road_map.lanes["length"][following])
    return tuple(lanes), BEYOND if lanes[-1] == atlas.route.lanes[-1] else 0.0


def _passed_goal(atlas: Atlas, lanes: list[int]) -> bool:
    return atlas.route.lanes[-1] in lanes


def smoothstep(x: Floats) -> Floats:
    """Quintic step (P,) from 0 at x <= 0 to 1 at x >= 1 with no slope or curvature at its ends."""
    u = np.clip(x, 0.0, 1.0)
    return np.asarray(u * u * u * (10.0 + u * (6.0 * u - 15.0)))


def _blend(s: Floats, blend: tuple[float, float, float, float]) -> Floats:
    """Quintic from (offset, slope) to nothing over the blend's length."""
    start, length, offset, slope = blend
    u = np.clip((s - start) / length, 0.0, 1.0)
    m = slope * length
    value = offset + m * u + u**3 * (-10.0 * offset - 6.0 * m + u * (15.0 * offset + 8.0 * m + u * (-6.0 * offset - 3.0 * m)))
    return np.where(s < start, offset, value)


def offsets(recipe: Recipe, s: Floats) -> Floats:
    """Left offset (P,) [m] from the centreline at positions s (P,) of the path."""
    total = np.zeros(len(s))
    if recipe.blend is not None:
        total += _blend(s, recipe.blend)
    low, high = np.zeros(len(s)), np.zeros(len(s))
    for shift in recipe.shifts:
        back = ramp(shift.offset)
        bump = shift.offset * smoothstep((s - shift.begins) / shift.way) * smoothstep((shift.end + back - s) / back)
        low, high = np.minimum(low, bump), np.maximum(high, bump)
    return total + low + high


def lay(atlas: Atlas, recipe: Recipe) -> Path:
    """The path of a recipe, at most LONGEST metres."""
    base = atlas.lane_path(recipe.lanes, recipe.begin, recipe.beyond)
    key = ("own", recipe)
    if key not in atlas.paths:
        atlas.paths[key] = _shifted(key, base, recipe)
    return atlas.paths[key]


def _shifted(key: object, base: Path, recipe: Recipe) -> Path:
    rows = base.rows[: int(LONGEST / ROW)]
    if recipe.blend is not None or recipe.shifts:
        d = offsets(recipe, np.asarray(ROW * np.arange(len(rows)), np.float64))
        xy = rows[:, :2] + np.stack([-rows[:, 3] * d, rows[:, 2] * d], axis=1)
        moved = sampled(xy, rows[:, 4])
        # keep the rows of both paths side by side: positions along them differ by less than the shift is long
        count = min(len(moved), len(rows))
        moved = np.ascontiguousarray(moved[:count])
        limited(moved)
        moved.setflags(write=False)
        rows = moved
    return Path(key=(key,), rows=rows, lanes=base.lanes, starts=base.starts, stops=base.stops, astray=_astray(recipe))


def _astray(recipe: Recipe) -> tuple[tuple[float, float], ...]:
    """Stretches on which a recipe leaves its lane: a lane change, which gives way where it goes, and shifts."""
    found = [(shift.begins, shift.end + ramp(shift.offset)) for shift in recipe.shifts]
    if recipe.changes and recipe.blend is not None:
        found.append((recipe.blend[0], recipe.blend[0] + recipe.blend[1]))
    return tuple(found)


def ramp(offset: float) -> float:
    """Way [m] on which a shift by `offset` begins, where there is as much, and ends."""
    return max(RAMP_LEAST, RAMP * abs(offset))


def least_ramp(offset: float) -> float:
    """Least way [m] on which a shift by `offset` can be driven: the quintic's greatest curvature is 10/√3 offset / way²."""
    return max(RAMP_TIGHTEST, math.sqrt(10.0 / math.sqrt(3.0) * abs(offset) / TIGHTEST))


def project(path: Path, x: float, y: float, near: float | None = None) -> tuple[float, float]:
    """(s, left offset) [m] of a point beside a path, searched within 15 m of `near` where that is given."""
    rows = path.rows
    first, last = 0, len(rows)
    if near is not None:
        first, last = max(0, int((near - 15.0) / ROW)), min(len(rows), int((near + 15.0) / ROW) + 1)
        if last - first < 2:
            first, last = 0, len(rows)
    part = rows[first:last]
    k = first + int(np.argmin((part[:, 0] - x) ** 2 + (part[:, 1] - y) ** 2))
    dx, dy = x - rows[k, 0], y - rows[k, 1]
    along = float(dx * rows[k, 2] + dy * rows[k, 3])
    return k * ROW + along, float(dy * rows[k, 2] - dx * rows[k, 3])


def begin_recipe(atlas: Atlas, x: float, y: float, heading: float) -> Recipe:
    """Recipe for the lane of the route that the ego is on, wherever along it that is; the route's first lane for want of any."""
    places = [p for p in atlas.places(x, y, heading) if p.facing > 0.3 and on_route(atlas, p.lane)]
    lanes = atlas.road_map.lanes
    places = [p for p in places if lanes["kind"][p.lane] in (LaneKind.DRIVING, LaneKind.CYCLE)]
    best = min(places, key=lambda p: abs(p.d) + (0.0 if p.lane in atlas.route.lanes else 0.8), default=None)
    lane = best.lane if best is not None else atlas.route.lanes[0]
    along = best.s if best is not None else 0.0
    chain, beyond = follow_lanes(atlas, lane, lane_before(atlas, lane), along)
    return from_here(atlas, Recipe(lanes=chain, beyond=beyond), x, y, heading, 0.0)


def lane_before(atlas: Atlas, lane: int) -> tuple[int, ...]:
    """The lane that leads into this one, preferably on the route; empty where none does."""
    record = atlas.road_map.lanes[lane]
    first = int(record["predecessor_start"])
    back = [int(p) for p in atlas.road_map.predecessors[first : first + int(record["predecessor_count"])]]
    routed = [p for p in back if p in atlas.route.lanes]
    return tuple((routed or back)[:1])


def from_here(atlas: Atlas, recipe: Recipe, x: float, y: float, heading: float, speed: float) -> Recipe:
    """The recipe with a blend from this pose onto its centreline; none where the pose is on it."""
    plain = replace(recipe, blend=None, shifts=(), changes=False)
    path = lay(atlas, plain)
    s, d = project(path, x, y)
    cut = BEHIND * math.floor(max(0.0, s - BEHIND) / BEHIND)
    if cut > 0.0:
        plain = replace(plain, begin=plain.begin + cut)
        path = lay(atlas, plain)
        s, d = project(path, x, y, s - cut)
    row = path.rows[min(max(int(s / ROW), 0), len(path.rows) - 1)]
    slope = math.sin(heading) * row[2] - math.cos(heading) * row[3]
    if abs(d) < 0.15 and abs(slope) < 0.05:
        return plain
    tangent = min(max(slope / max(math.sqrt(max(1.0 - slope * slope, 0.04)), 0.2), -0.6), 0.6)
    return replace(plain, blend=(round(s, 2), blend_length(d, speed), round(d, 3), round(tangent, 4)))


def blend_length(offset: float, speed: float) -> float:
    """Way [m] on which a path comes back from `offset` [m] beside its centreline."""
    return round(max(8.0, 4.0 * abs(offset), min(3.0 * speed, 16.0 * abs(offset) + 8.0)), 1)


def without(recipe: Recipe, gone: set[Shift], s: float, speed: float) -> Recipe:
    """The recipe without some of its shifts, one of which may have begun at s [m]: a blend goes on from where they have brought
    the path by then."""
    rest = replace(recipe, shifts=tuple(shift for shift in recipe.shifts if shift not in gone))
    around = np.array([s - SLOPE_M, s, s + SLOPE_M])
    left = offsets(recipe, around) - offsets(replace(rest, blend=None), around)
    offset, slope = float(left[1]), float(left[2] - left[0]) / (2.0 * SLOPE_M)
    if abs(offset) < ON_IT_M and abs(slope) < ALONG_IT:
        return rest
    return replace(rest, blend=(round(s, 2), blend_length(offset, speed), round(offset, 3), round(slope, 4)))


def renewed(atlas: Atlas, recipe: Recipe, path: Path, s: float) -> tuple[Recipe, float]:
    """The recipe laid anew from the lane before the present one where little way is left, and s on the new path."""
    lane = path.lane_at(s)
    if path.length - s > RENEW or lane < 0:
        return recipe, s
    index = recipe.lanes.index(lane)
    before = recipe.lanes[max(0, index - 1) : index]
    chain, beyond = follow_lanes(atlas, lane, before, s - path.starts[index])
    begin = recipe.begin if index <= 1 else 0.0
    here = max(0.0, s - path.starts[index - 1 if index else 0] - begin)
    begin += BEHIND * math.floor(max(0.0, here - 2.0 * BEHIND) / BEHIND)
    start = path.starts[index - len(before)] + begin  # of the new path, on the old one
    if chain == recipe.lanes and begin == recipe.begin and beyond == recipe.beyond:
        return recipe, s
    blend = recipe.blend
    if blend is not None:
        blend = None if s > blend[0] + blend[1] else (blend[0] - start, *blend[1:])
    shifts = tuple(shift.moved(-start) for shift in recipe.shifts if shift.end + 20.0 > s)
    changes = recipe.changes and blend is not None
    return Recipe(lanes=chain, begin=begin, beyond=beyond, blend=blend, shifts=shifts, changes=changes), s - start
