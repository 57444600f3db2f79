"""Other ways along the road: past what lies in the lane, and onto the neighbouring lane."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours import own_path
from avstack.behaviours.atlas import Atlas, Path, on_route
from avstack.behaviours.own_path import Recipe, Shift, follow_lanes, lane_before
from avstack.behaviours.scene import Scene
from avstack.perception.percepts import COARSE, EXISTS, EgoEstimate
from sim.geometry import box_corners
from sim.interface import VehicleSpec
from sim.roads.lane_map import LaneKind

BESIDE = 0.5  # m kept to what is passed
MOST_UNSURE = 0.4  # m kept besides, at most, to what only the coarse model answers for: as one is unsure of where its sides are
EDGE = 0.2  # m kept to the edge of the road
LOOK = 70.0  # m ahead that obstacles are looked for
CHANGE_S = 4.0  # s that a lane change takes
CHANGE_LEAST = 22.0  # m
JOINED_LANES = 3  # lanes further on within which two that run side by side become one
LAST_M = 12.0  # m before a lane's end where changing has to be done
STEP_SHIFT = 0.1  # m, shifts are rounded up to this
MOVED_D, MOVED_S = 0.15, 1.5  # m beside and along the way by which a thing is elsewhere than it seemed
BACK_ROOM = 0.5  # m further back than a shift takes
BEHIND_M = 3.0  # m that are left free behind an ego that backs up


def past_obstacles(atlas: Atlas, scene: Scene, spec: VehicleSpec) -> Recipe | None:
    """The recipe with a shift for each thing that stands in the way and can be passed; None where nothing changes.

    Shifts that have begun stay, see `outlived`; one ahead is given up as soon as nothing lies there any more, and made anew
    where that lies elsewhere than it seemed. Where too little way is left, nothing is shifted: see `way_back`.
    """
    if not scene.static and not scene.recipe.shifts:
        return None
    begun = [old for old in scene.recipe.shifts if scene.s > old.begins]
    kept = [old for old in begun if old.end > scene.s - 25.0]
    for shift in _wanted(atlas, scene, spec):
        if any(_same(old, shift) for old in kept):
            continue
        ahead = next((old for old in scene.recipe.shifts if old not in begun and _same(old, shift)), None)
        way = min(own_path.ramp(shift.offset), shift.start - scene.s)
        if ahead is not None and not _elsewhere(ahead, shift):
            kept.append(ahead)
        elif way >= own_path.least_ramp(shift.offset):
            kept.append(shift._replace(way=round(way, 2)))
    new = tuple(sorted(kept))
    return None if new == scene.recipe.shifts else replace(scene.recipe, shifts=new)


def way_back(atlas: Atlas, scene: Scene, spec: VehicleSpec) -> float | None:
    """Where to reverse to [m along the path] to get past something that stands too near to be passed from here; None where
    nothing does, or there is no way past it."""
    for shift in _wanted(atlas, scene, spec):
        old = next((old for old in scene.recipe.shifts if _same(old, shift)), None)
        if old is not None and (not _elsewhere(old, shift) or scene.s > old.end):
            continue
        back_to = shift.start - own_path.least_ramp(shift.offset) - BACK_ROOM
        if old is not None:
            back_to = min(back_to, old.begins - BACK_ROOM)
        if back_to < scene.s < shift.start:
            return back_to
    return None


def outlived(atlas: Atlas, scene: Scene, spec: VehicleSpec) -> set[Shift]:
    """The shifts that have begun, to pass what is not there any more."""
    begun = [old for old in scene.recipe.shifts if old.begins < scene.s < old.start]
    wanted = _wanted(atlas, scene, spec) if begun else []
    return {old for old in begun if not any(_same(old, shift) for shift in wanted)}


def has_room_behind(ego: EgoEstimate, spec: VehicleSpec, things: NDArray[np.void], way: float) -> bool:
    """Whether nobody is beside the ego, or behind it, where it would back up by `way` [m]."""
    cos, sin = math.cos(ego.heading), math.sin(ego.heading)
    dx, dy = things["x"] - ego.x, things["y"] - ego.y
    along, across = dx * cos + dy * sin, np.abs(dy * cos - dx * sin)
    turned = np.abs(np.cos(things["heading"] - ego.heading)), np.abs(np.sin(things["heading"] - ego.heading))
    long = 0.5 * (things["length"] * turned[0] + things["width"] * turned[1])
    wide = 0.5 * (things["length"] * turned[1] + things["width"] * turned[0])
    half = 0.5 * spec.length
    near = (along - long < half) & (along + long > -half - way - BEHIND_M) & (across - wide < 0.5 * spec.width + BESIDE)
    return not bool((near & (things["existence"] > EXISTS)).any())


def _wanted(atlas: Atlas, scene: Scene, spec: VehicleSpec) -> list[Shift]:
    """The shifts past what stands, as if there was all the way for them."""
    base = atlas.lane_path(scene.recipe.lanes, scene.recipe.begin, scene.recipe.beyond)
    blend = scene.recipe.blend
    found = [_shift_past(atlas, base, thing, spec, scene.s) for thing in scene.static]
    changed = -math.inf if blend is None or not scene.recipe.changes else blend[0] + blend[1]
    return [shift for shift in found if shift is not None and shift.start >= changed]


def _same(one: Shift, other: Shift) -> bool:
    """Whether two shifts go past the same thing."""
    return abs(one.start - other.start) < 3.0 and abs(one.end - other.end) < 3.0


def _elsewhere(old: Shift, new: Shift) -> bool:
    """Whether the thing of an earlier shift lies so far from where it seemed to lie that the shift would not do."""
    return old.offset * new.offset < 0.0 or abs(new.offset) > abs(old.offset) + MOVED_D or abs(new.start - old.start) > MOVED_S


def _shift_past(atlas: Atlas, base: Path, thing: np.void, spec: VehicleSpec, s: float) -> Shift | None:
    """What passes one thing on the side that asks for less; None where it is not in the way or none is open."""
    corners = box_corners(*(np.array([float(thing[name])]) for name in ("x", "y", "heading", "length", "width")))[0]
    places = [own_path.project(base, float(x), float(y)) for x, y in corners]
    low_s, high_s = min(p[0] for p in places), max(p[0] for p in places)
    low_d, high_d = min(p[1] for p in places), max(p[1] for p in places)
    half = 0.5 * spec.width
    if low_s > s + LOOK or high_s < s or low_d > half + BESIDE or high_d < -half - BESIDE:
        return None
    left, right = _room(atlas, base, low_s - 5.0, high_s + 5.0)
    beside = BESIDE + (min(_unsure_of_sides(thing), MOST_UNSURE) if thing["source"] == COARSE else 0.0)
    ways = [_rounded_up(d) for d in (high_d + half + beside, low_d - half - beside)]
    open_ways = [d for d, free in zip(ways, (left - half - EDGE, right - half - EDGE), strict=True) if abs(d) <= free]
    if not open_ways:
        return None
    length = 0.5 * spec.length
    offset = min(open_ways, key=abs)
    return Shift(round(low_s - length - 0.5, 1), round(high_s + length + 0.5, 1), offset, own_path.ramp(offset))


def _unsure_of_sides(thing: np.void) -> float:
    """Standard error [m] of where the sides of a thing are: of its place and of half its greater extent."""
    covariance = thing["covariance"]
    place = 0.5 * (float(covariance[0, 0]) + float(covariance[1, 1]))
    return math.sqrt(place + 0.25 * max(float(covariance[5, 5]), float(covariance[6, 6])))


def _rounded_up(offset: float) -> float:
    return round(math.copysign(math.ceil(abs(offset) / STEP_SHIFT - 1e-6) * STEP_SHIFT, offset), 2)


def _room(atlas: Atlas, path: Path, low: float, high: float) -> tuple[float, float]:
    """Least distance [m] to the drivable edge on the left and on the right along a stretch."""
    left, right = math.inf, math.inf
    for s in np.arange(low, high, 2.0):
        lane = path.lane_at(float(s))
        if lane < 0:
            continue
        record = atlas.road_map.lanes[lane]
        along = float(s) - path.starts[path.lanes.index(lane)]
        index = min(max(int(along / float(record["spacing"])), 0), int(record["point_count"]) - 1)
        point = atlas.road_map.points[record["point_start"] + index]
        left, right = min(left, float(point["room_left"])), min(right, float(point["room_right"]))
    return left, right


def wanted_side(atlas: Atlas, scene: Scene) -> int:
    """+1, -1 or 0: the side to which the route leaves this lane, or on which the lane runs on that this one ends in."""
    lane = scene.path.lane_at(scene.s)
    if lane < 0 or not on_route(atlas, lane):
        return 0
    side = int(atlas.steps["side"][lane])
    return side if abs(side) == 1 else joined_side(atlas, lane)


def joined_side(atlas: Atlas, lane: int) -> int:
    """+1, -1 or 0: the side of a lane of the route that runs on into the one in which this lane ends by giving way.

    Such a lane is there to speed up on and to be left along its whole length; at its end there is one gap at most.
    """
    lanes = atlas.road_map.lanes
    if lanes["junction"][lane] >= 0:
        return 0
    for side, name in ((1, "left"), (-1, "right")):
        mine, theirs = lane, int(lanes[name][lane])
        if theirs < 0 or not on_route(atlas, theirs) or atlas.steps["side"][theirs] != 0:
            continue
        for _ in range(JOINED_LANES):
            before = mine, theirs
            mine, theirs = (int(atlas.steps["next"][each]) if on_route(atlas, each) else -1 for each in before)
            if mine < 0 or theirs < 0:
                break
            if mine == theirs:
                if atlas.priority(*before) < 0:
                    return side
                break
    return 0


def way_left(atlas: Atlas, scene: Scene) -> float:
    """Metres left in which a wanted lane change must be done."""
    lane = scene.path.lane_at(scene.s)
    along = scene.s - scene.path.starts[scene.path.lanes.index(lane)]
    to_goal = float(atlas.steps["to_goal"][lane])
    ends = int(atlas.steps["next"][lane]) < 0 or joined_side(atlas, lane) != 0
    end = float(atlas.road_map.lanes["length"][lane]) if ends else math.inf
    return min(max(to_goal, 0.0), end) - along - LAST_M


def onto_neighbour(atlas: Atlas, scene: Scene, side: int, pose: tuple[float, float, float]) -> Recipe | None:
    """The recipe that changes to the lane on this side from here; None where there is none, or a change is under way."""
    lane = scene.path.lane_at(scene.s)
    blend = scene.recipe.blend
    if lane < 0 or side == 0 or (blend is not None and scene.s < blend[0] + blend[1]):
        return None
    neighbour = int(atlas.road_map.lanes["left" if side > 0 else "right"][lane])
    if neighbour < 0 or atlas.road_map.lanes["kind"][neighbour] != LaneKind.DRIVING or not on_route(atlas, neighbour):
        return None
    # the neighbour lies beside this lane: about as far along
    chain, beyond = follow_lanes(
        atlas, neighbour, lane_before(atlas, neighbour), scene.s - scene.path.starts[scene.path.lanes.index(lane)]
    )
    recipe = own_path.from_here(atlas, Recipe(lanes=chain, beyond=beyond), *pose, scene.speed)
    if recipe.blend is None:
        return None
    start, _, offset, slope = recipe.blend
    length = max(CHANGE_LEAST, CHANGE_S * scene.speed)
    return replace(recipe, blend=(start, round(length, 1), offset, slope), changes=True)
