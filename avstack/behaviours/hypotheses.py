"""Where each thing around may be heading: up to four paths with probabilities, from where it is, how it faces and what it
shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from avstack.behaviours.atlas import Atlas, Path, Place
from avstack.behaviours.zones import ROW
from sim.interface import Indicator, Kind
from sim.roads.lane_map import LaneKind, Turn

# members of an enum are looked up slowly, and these are asked for hundreds of times a decision
LEFT, RIGHT, HAZARD = int(Indicator.LEFT), int(Indicator.RIGHT), int(Indicator.HAZARD)
PEDESTRIAN, OBJECT = int(Kind.PEDESTRIAN), int(Kind.OBJECT)
WALKER_M = 1.2  # m, what moves by itself and is no larger than this walks
MOVES = 0.8  # m/s, above which a thing is not lying
DRIVEN = (int(LaneKind.DRIVING), int(LaneKind.CYCLE))
CROSSED, SIDEWALK = (int(LaneKind.CROSSWALK), int(LaneKind.PATH)), int(LaneKind.SIDEWALK)
WALKED_BESIDE = 2.0  # m beside where people walk that they are still taken to be on it
KERB_M = 6.0  # m before the end of a sidewalk from where somebody is seen to come to the crossings that begin there
TO_LEFT, TO_RIGHT, ROUND = int(Turn.LEFT), int(Turn.RIGHT), int(Turn.U_TURN)
ROUTES = 4
ASIDE = 0.8  # m, how far off a lane's centre drivers stray
ASKEW = 0.35  # rad
LEAST = 0.04  # share below which a path is not looked at
STILL = 0.4  # m/s
WALK_AHEAD = 12.0  # m of a pedestrian's straight path
CHANGE_SPEED = 0.35  # m/s sideways that looks like a lane change


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One way a thing may go: its path, where it is on it [m], and how likely it takes it."""

    path: Path
    s: float
    weight: float


def straight(key: object, x: float, y: float, heading: float, length: float, limit: float, brief: bool = False) -> Path:
    """A straight path from a point; brief: of this tick alone."""
    count = max(2, int(length / ROW) + 1)
    rows = np.zeros((count, 6))
    along = ROW * np.arange(count)
    rows[:, 2], rows[:, 3], rows[:, 4] = math.cos(heading), math.sin(heading), limit
    rows[:, 0], rows[:, 1] = x + along * rows[0, 2], y + along * rows[0, 3]
    return Path(key=key, rows=rows, brief=brief)


def spot(thing: np.void) -> Route:
    """Where something stands and stays. The key rounds to what makes no difference."""
    x, y, heading = float(thing["x"]), float(thing["y"]), float(thing["heading"])
    key = ("spot", int(thing["id"]), round(x, 1), round(y, 1), round(heading, 1))
    return Route(straight(key, x, y, heading, ROW, 1.0), 0.0, 1.0)


def rests(thing: np.void) -> bool:
    """Whether a thing is an obstacle that will not move by itself: a lying thing, or a vehicle standing with its hazard lights
    on. Whatever moves is neither, whatever it looks like."""
    if thing["kind"] == OBJECT:
        return bool(abs(thing["speed"]) < MOVES)
    hazard = float(thing["indicator"][HAZARD]) > 0.5
    return bool(hazard and abs(float(thing["speed"])) < STILL and thing["kind"] != PEDESTRIAN)


def on_foot(thing: np.void) -> bool:
    """Whether a thing is a person on foot, or moves like one and is taken for a lying thing."""
    if thing["kind"] == OBJECT:
        return not rests(thing) and max(float(thing["length"]), float(thing["width"])) < WALKER_M
    return bool(thing["kind"] == PEDESTRIAN)


def ways(atlas: Atlas, thing: np.void, tick: int) -> list[Route]:
    """Up to ROUTES paths of a thing, their weights adding to one."""
    if rests(thing):
        return [spot(thing)]
    if on_foot(thing):
        return _walks(atlas, thing, tick)
    found = _lane_ways(atlas, thing)
    if found:
        return _strongest(found)
    speed = float(thing["speed"])
    if abs(speed) < STILL:
        return [spot(thing)]
    heading = float(thing["heading"]) + (0.0 if speed > 0.0 else math.pi)
    reach = min(40.0, 6.0 + 4.0 * abs(speed))
    key = ("free", int(thing["id"]), tick)
    return [Route(straight(key, float(thing["x"]), float(thing["y"]), heading, reach, max(abs(speed), 2.0), True), 0.0, 1.0)]


def _strongest(found: list[Route]) -> list[Route]:
    found = sorted(found, key=lambda route: -route.weight)[:ROUTES]
    least = LEAST * sum(route.weight for route in found)
    found = [route for route in found if route.weight >= least]
    total = sum(route.weight for route in found)
    return [Route(route.path, route.s, route.weight / total) for route in found]


def _lane_ways(atlas: Atlas, thing: np.void) -> list[Route]:
    """Lane sequences ahead of every lane it may be on."""
    lanes = atlas.road_map.lanes
    places = atlas.places(float(thing["x"]), float(thing["y"]), float(thing["heading"]))
    found: list[Route] = []
    for place in places:
        record = lanes[place.lane]
        if record["kind"] not in DRIVEN or place.facing < 0.6 or abs(place.d) > 2.6:
            continue
        if place.s < -1.0 or place.s > float(record["length"]) + 0.5:
            continue
        if place.s < 0.0 and any(place.lane in atlas.road_map.lane_successors(before.lane) for before in places):
            continue  # it is still on the lane before, whose line may be ahead of it
        angle = math.acos(min(place.facing, 1.0))
        likely = math.exp(-0.5 * (place.d / ASIDE) ** 2 - 0.5 * (angle / ASKEW) ** 2)
        if likely > 1e-3:
            found.extend(_ahead(atlas, thing, place, likely))
            found.extend(_changes(atlas, thing, place, likely))
    return found


def _ahead(atlas: Atlas, thing: np.void, place: Place, likely: float) -> list[Route]:
    """Lane sequences ahead of one place. In a junction lanes overlap: each is as likely as the turn that it is."""
    sequences = atlas.sequences(place.lane)
    shares = [_share(atlas, thing, chain) for chain in sequences]
    total = sum(shares) if atlas.road_map.lanes["junction"][place.lane] < 0 else 1.0
    return [
        Route(atlas.lane_path(chain), place.s, likely * share / total) for chain, share in zip(sequences, shares, strict=True)
    ]


def _share(atlas: Atlas, thing: np.void, chain: tuple[int, ...]) -> float:
    """How likely a lane sequence is by the lights that are shown: the first turn ahead counts."""
    turn = atlas.first_turn(chain)
    shown = thing["indicator"]
    left, right = float(shown[LEFT]), float(shown[RIGHT])
    if turn in (TO_LEFT, ROUND):
        return 0.15 + 0.85 * left if left > 0.3 else (0.05 if right > 0.5 else 0.2)
    if turn == TO_RIGHT:
        return 0.15 + 0.85 * right if right > 0.3 else (0.05 if left > 0.5 else 0.2)
    return 0.1 if left > 0.5 or right > 0.5 else 0.6


def _changes(atlas: Atlas, thing: np.void, place: Place, likely: float) -> list[Route]:
    """The neighbouring lanes it may be changing to, by indicator and sideways speed."""
    record = atlas.road_map.lanes[place.lane]
    if record["junction"] >= 0:
        return []
    point = atlas.road_map.points[
        record["point_start"] + min(max(int(place.s / record["spacing"]), 0), record["point_count"] - 1)
    ]
    sideways = float(thing["vy"]) * float(point["cos"]) - float(thing["vx"]) * float(point["sin"])
    found = []
    for neighbour, sign, light in ((int(record["left"]), 1.0, LEFT), (int(record["right"]), -1.0, RIGHT)):
        if neighbour < 0:
            continue
        moving = sign * sideways > CHANGE_SPEED and sign * place.d > -0.5
        share = 0.5 * float(thing["indicator"][light]) + (0.4 if moving else 0.0)
        if share < 0.1 or atlas.road_map.lanes["kind"][neighbour] != DRIVEN[0]:
            continue
        for other in atlas.places(float(thing["x"]), float(thing["y"]), float(thing["heading"])):
            if other.lane == neighbour:
                found.append(Route(atlas.lane_path(atlas.sequences(neighbour)[0]), other.s, likely * share))
    return found


def _walks(atlas: Atlas, thing: np.void, tick: int) -> list[Route]:
    """Straight on where it walks; along a crosswalk that it stands at or is on, in both directions, or comes to."""
    x, y, speed = float(thing["x"]), float(thing["y"]), math.hypot(float(thing["vx"]), float(thing["vy"]))
    moves = speed > 0.2
    heading = math.atan2(float(thing["vy"]), float(thing["vx"])) if moves else float(thing["heading"])
    directions = (heading,) if moves else (heading, heading + math.pi)
    places = [place for facing in directions for place in atlas.places(x, y, facing)]
    places = [place for place in places if abs(place.d) <= WALKED_BESIDE and place.facing >= 0.5]
    found = [route for place in places for route in _crossing(atlas, place, 1.0 if moves else 0.35 * place.facing)]
    if moves and not found:
        found = [route for place in places for route in _from_kerb(atlas, place)]
    if moves:
        key = ("walk", int(thing["id"]), tick)
        found.append(Route(straight(key, x, y, heading, WALK_AHEAD, max(speed, 1.0), True), 0.0, 0.4 if found else 1.0))
    else:
        found.append(Route(spot(thing).path, 0.0, 0.4 if found else 1.0))
    return _strongest(found)


def _crossing(atlas: Atlas, place: Place, weight: float) -> list[Route]:
    """The crossing that a place is on, or at."""
    record = atlas.road_map.lanes[place.lane]
    if record["kind"] not in CROSSED or place.s > float(record["length"]) - 0.3:
        return []
    return [Route(atlas.lane_path((place.lane,)), place.s, weight)]


def _from_kerb(atlas: Atlas, place: Place) -> list[Route]:
    """The crossings that begin where this sidewalk ends, each as likely as any other way on from there."""
    lanes = atlas.road_map.lanes
    length = float(lanes["length"][place.lane])
    if lanes["kind"][place.lane] != SIDEWALK or not length - KERB_M < place.s < length:
        return []
    onward = [int(n) for n in atlas.road_map.lane_successors(place.lane)]
    crossed = [n for n in onward if lanes["kind"][n] in CROSSED]
    return [Route(atlas.lane_path((place.lane, n)), place.s, 1.0 / len(onward)) for n in crossed]
