"""From a scenario and a seed to one concrete episode: ranges drawn, map built, everybody placed and sent on their way.

Every draw has a stream of its own, named after what it decides, so that one road user more changes nobody else.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from shapely import Polygon

from scenarios.demand import Arrival, Room, everywhere_arrivals, flow_arrivals, pedestrian_arrivals, pick, room_taken
from scenarios.drift import drift_track
from scenarios.errors import InputError
from scenarios.ground import Ground, PlaceError, Spot
from scenarios.maps import ground_of, is_tracks, split_name
from scenarios.model import KINDS, Body, CriteriaSpec, Episode, Thing, User
from scenarios.places import Start, explicit_route, spot_of, start_of
from scenarios.ranges import key_of
from scenarios.retrace import retrace
from scenarios.schema import ScenarioSpec
from scenarios.yaml_tree import Path as TreePath
from scenarios.yaml_tree import combined
from sim.interface import SPECS, Floats, Kind, VehicleSpec
from sim.rng import Purpose, generator
from sim.roads.lane_map import LaneKind
from sim.roads.route import Route, Schedule
from sim.scenario import Actor, Criteria, Model, Region, Scenario
from sim.sensors.beams import LidarSpec
from sim.sensors.faults import Fault
from sim.sensors.things import middle_size

APPROACH_DECEL = 1.5  # m/s², braking that the speed at a start leaves room for before a stop line
CURVE_ACCEL = 1.8  # m/s², lateral, that the speed at a start keeps to
CYCLING_SPEED, WALKING_SPEED = 4.5, 1.3  # m/s
_WIND = 1  # a stream of its own beside the place
THING_SIZES: Mapping[str, tuple[float, float, float]] = {
    "dirt_pile": (2.0, 1.6, 0.7),
    "plastic_bag": (0.5, 0.4, 0.35),
    "box": (0.8, 0.6, 0.6),
    "cone": (0.35, 0.35, 0.75),
    "barrier": (0.5, 2.0, 1.0),
    "unknown": (1.2, 1.0, 0.8),
}
"""Length, width, height [m] of things by name; others take the middle of what is ordinary for them."""


@dataclass(slots=True, kw_only=True)
class _Cast:
    """Actors so far, where each was asked for, and what is wrong."""

    spec: ScenarioSpec
    episode: Episode
    ground: Ground
    seed: int
    actors: list[Actor] = field(default_factory=list)
    paths: list[TreePath] = field(default_factory=list)
    errors: list[InputError] = field(default_factory=list)

    def add(self, actor: Actor, path: TreePath) -> None:
        self.actors.append(actor)
        self.paths.append(path)

    def refuse(self, path: TreePath, error: PlaceError) -> None:
        self.errors.append(self.spec.error(path, error.message, error.fix))


def compile_scenario(spec: ScenarioSpec, seed: int) -> Scenario:
    """The episode of `seed`. Raises InputError, placed in the file where there is one, for anything that cannot be."""
    episode, parameters = spec.draw(seed)
    if episode.script is not None:
        from scenarios.scripted import compile_script  # of no use to other scenarios

        return compile_script(spec, episode, seed)
    if episode.mode == "replay":
        episode = _replay_alone(spec, episode)
    cast = _Cast(spec=spec, episode=episode, ground=_ground(spec, episode), seed=seed)
    _add_ego(cast)
    _add_users(cast)
    _add_things(cast)
    _check_overlaps(cast)
    if not cast.errors:
        _add_demand(cast)
    _check_names(cast)
    if cast.errors:
        raise combined(cast.errors)
    if not cast.actors:
        raise spec.error(("traffic",), f"scenario {spec.name!r} has nobody in it for seed {seed}", "add an ego, users or demand")
    conditions, criteria = episode.conditions, _criteria(episode.criteria)
    if episode.ego is not None:
        cast.actors[0] = replace(cast.actors[0], route=_scheduled(cast.ground, cast.actors[0].route, criteria.regions))
    return Scenario(
        name=episode.name, road_map=cast.ground.road_map, actors=tuple(cast.actors), seed=seed,
        ego=0 if episode.ego is not None else None, duration_s=_duration(cast),
        friction=conditions.friction or 0.0, visibility_m=conditions.visibility_m or 0.0, weather=conditions.name,
        rate=conditions.rate, sensing=episode.sensing, lidar=LidarSpec(**episode.lidar.model_dump()),
        faults=tuple(Fault(**fault.model_dump()) for fault in episode.faults), latency_ticks=episode.latency_ticks,
        criteria=criteria,
        occluders=tuple(_outline(outline) for outline in episode.occluders), tags=tuple(episode.tags),
        parameters=tuple(sorted(parameters.items())),
    )  # fmt: skip


def _replay_alone(spec: ScenarioSpec, episode: Episode) -> Episode:
    """The episode without its ego, for as long as somebody replays."""
    if not any(user.track is not None for user in episode.traffic.users):
        raise spec.error(("mode",), f"scenario {spec.name!r} has no recorded tracks to replay", "leave the mode out")
    criteria = episode.criteria.model_copy(update={"goal": False, "regions": []})
    return episode.model_copy(update={"ego": None, "criteria": criteria})


def _duration(cast: _Cast) -> float:
    """The scenario's, and of a mere replay at least until the last track ends."""
    given = cast.episode.duration_s
    if cast.episode.mode != "replay":
        return given
    return max(given, *(actor.depart_s + float(actor.track[-1, 0]) for actor in cast.actors if actor.track is not None))


def _criteria(given: CriteriaSpec) -> Criteria:
    regions = tuple(
        Region(
            outlines=tuple(_outline(points) for points in region.outlines), window_s=region.window_s, speeds=region.speeds,
            headings=region.headings,
        )
        for region in given.regions
    )  # fmt: skip
    return Criteria(**{**given.model_dump(), "regions": regions})


def _scheduled(ground: Ground, route: Route | None, regions: Sequence[Region]) -> Route | None:
    """Ego's route with when to be where on it, by the first of the regions that it leads through."""
    if route is None:
        return None
    for region in regions:
        span = ground.stretch_in(route, region.outlines)
        if span is not None:
            least = 0.0 if region.speeds is None else max(region.speeds[0], 0.0)
            schedule = Schedule(enter=span[0], leave=span[1], earliest=region.window_s[0], least_speed=least)
            return replace(route, schedule=schedule)
    return route


def _outline(points: Sequence[tuple[float, float]]) -> Floats:
    outline = np.asarray(points, dtype=np.float64)
    outline.setflags(write=False)
    return outline


def _ground(spec: ScenarioSpec, episode: Episode) -> Ground:
    """The map; faults inside a map file keep their own place, others get the scenario's."""
    try:
        return ground_of(episode.map, spec.folder)
    except InputError as error:
        if error.file is not None:
            raise
        part = "file" if episode.map.file else "parameters" if episode.map.parameters else "builder"
        raise spec.error(("map", part), error.message, error.fix) from error


def _add_ego(cast: _Cast) -> None:
    ego = cast.episode.ego
    if ego is None:
        return
    _add_user(cast, ego, ("ego",), "ego", ego.driver or "rules")
    for index, user in enumerate(cast.episode.traffic.users):
        if user.is_ego and cast.actors:
            path: TreePath = ("traffic", "users", index)
            record = _replayed(cast, user, path, user.name or "", cast.actors[0].body)
            cast.actors[0] = replace(cast.actors[0], track=record.track)


def _add_users(cast: _Cast) -> None:
    for index, user in enumerate(cast.episode.traffic.users):
        if user.present and not (user.is_ego and cast.episode.ego is not None):
            _add_user(cast, user, ("traffic", "users", index), user.name or f"{user.kind}_{index}", user.driver or "")


def _add_user(cast: _Cast, user: User, path: TreePath, name: str, driver: str) -> None:
    """One road user as an actor, or its faults."""
    kind = KINDS[user.kind]
    try:
        body = _body(kind, user.body)
        if user.track is not None:
            cast.add(_replayed(cast, user, path, name, body), path)
            return
        start = _start(cast, user, body, name)
        _check_on_road(cast.ground, start.spot, body)
    except PlaceError as error:
        cast.refuse((*path, "route" if user.route else "at"), error)
        return
    except ValueError as error:
        cast.errors.append(error if isinstance(error, InputError) else cast.spec.error(path, str(error)))
        return
    on_foot = kind == Kind.PEDESTRIAN
    model = Model.EXTERNAL if driver else Model.PEDESTRIAN if on_foot else Model.NEGOTIATOR
    style = user.style or _drawn_style(cast, name)
    speed = start_speed(cast.ground, start.spot, kind, body, start.route) if user.speed is None else user.speed
    actor = Actor(
        name=name, kind=kind, model=model, spec=None if user.body is None else body, route=start.route,
        s=start.spot.s, d=start.spot.d, turned=0.0 if user.at is None else user.at.turned,
        speed=speed, depart_s=user.depart_s, style=style, jaywalks=user.jaywalks, driver=_driver(driver, cast.spec.folder),
    )  # fmt: skip
    cast.add(actor, path)


def _start(cast: _Cast, user: User, body: VehicleSpec, name: str) -> Start:
    random = generator(cast.seed, Purpose.PLACEMENT, key_of(name))
    if user.route is None:
        if user.at is None:
            raise PlaceError("nowhere to start", "give 'at'")
        return start_of(cast.ground, user.at, user.to, body, random)
    route = explicit_route(cast.ground, user.route, user.to.s if user.to is not None else None)
    lane, s = route.lanes[0], min(0.5 * body.length + 1.0, 0.5 * cast.ground.length[route.lanes[0]])
    if user.at is None:
        return Start(spot=Spot(lane=lane, s=s), route=route)
    spot = spot_of(cast.ground, user.at, body.length, random)
    if spot.lane != lane:
        names = cast.ground.road_map.lane_names
        raise PlaceError(
            f"starts on lane {names[spot.lane]!r} but the route begins with {names[lane]!r}", "start on the first lane"
        )
    return Start(spot=spot, route=route)


def _drawn_style(cast: _Cast, name: str) -> str:
    return pick(cast.episode.traffic.styles, float(generator(cast.seed, Purpose.STYLE, key_of(name)).random()))


def _driver(driver: str, folder: Path) -> str:
    """A driver given as a file is looked for beside the scenario first."""
    file, colon, name = driver.rpartition(":")
    if colon and file.endswith(".py") and (folder / file).is_file():
        return f"{(folder / file).resolve()}:{name}"
    return driver


def _body(kind: Kind, given: Body | None) -> VehicleSpec:
    """The kind's own body with what is given replaced; the axles move with the length. ValueError for an impossible one."""
    own = SPECS[kind]
    if given is None:
        return own
    changes = {key: value for key, value in given.model_dump().items() if value is not None}
    if given.length is not None:
        stretch = given.length / own.length
        changes = {"wheelbase": own.wheelbase * stretch, "rear_overhang": own.rear_overhang * stretch} | changes
    return replace(own, **changes)


def start_speed(ground: Ground, spot: Spot, kind: Kind, body: VehicleSpec, route: Route) -> float:
    """A speed [m/s] that the limit, the bends and stop lines ahead allow, and that the kind travels at."""
    if kind == Kind.PEDESTRIAN:
        return WALKING_SPEED
    limit = min(0.95 * ground.speed_limit(spot), body.speed_max, CYCLING_SPEED if kind == Kind.BICYCLE else math.inf)
    square, before = limit * limit, -spot.s
    for lane, following in pairwise((*route.lanes, -1)):
        if 2.0 * APPROACH_DECEL * before > square:
            break
        points = ground.road_map.lane_points(lane)
        away = before + float(ground.road_map.lanes["spacing"][lane]) * np.arange(len(points))
        slow = CURVE_ACCEL / np.maximum(np.abs(points["curvature"]), 1e-3) + 2.0 * APPROACH_DECEL * np.maximum(away, 0.0)
        square = min(square, float(slow[away > -1.0].min(initial=square)))
        line = before + ground.stop_s[lane] - 0.5 * body.length
        if ground.stop_s[lane] >= 0.0 and ground.regulated[lane] and (line > 0.0 or lane == spot.lane):
            square = min(square, 2.0 * APPROACH_DECEL * max(line, 0.0))
        if following in ground.successors[lane]:
            before += ground.length[lane]
    return math.sqrt(square)


def _check_on_road(ground: Ground, spot: Spot, body: VehicleSpec) -> None:
    """PlaceError where the box reaches over the edge of the road (people may)."""
    if body.kind == Kind.PEDESTRIAN or ground.kind[spot.lane] not in (LaneKind.DRIVING, LaneKind.CYCLE):
        return
    left, right = ground.room(spot)
    if spot.d + 0.5 * body.width > left + 0.05 or 0.5 * body.width - spot.d > right + 0.05:
        name = ground.road_map.lane_names[spot.lane]
        raise PlaceError(
            f"starts off the road: d = {spot.d:g} m at s = {spot.s:.1f} m of lane {name!r} with a width of {body.width:g} m",
            f"the road there reaches {left:.1f} m to the left and {right:.1f} m to the right",
        )


def _replayed(cast: _Cast, user: User, path: TreePath, name: str, body: VehicleSpec) -> Actor:
    """An actor that follows a recorded track; in reactive mode a vehicle that can be let go, where lanes lead along it."""
    late = user.depart_s
    if isinstance(user.track, str) and "#" in user.track:
        rows, begins = _recorded_track(cast, user.track, path)
        late += begins
    elif isinstance(user.track, str):
        file = Path(cast.spec.folder, user.track)
        try:
            rows = _track_file(file, file.stat().st_mtime_ns)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise cast.spec.error((*path, "track"), f"track file {user.track!r} cannot be read: {error}") from None
    else:
        rows = np.asarray(user.track, dtype=np.float64).reshape(-1, 5)
    if len(rows) < 2 or rows[0, 0] != 0.0 or not bool(np.all(np.diff(rows[:, 0]) > 0.0)):
        raise cast.spec.error((*path, "track"), f"the track of {name!r} needs at least 2 rows with times from 0, increasing")
    actor = Actor(
        name=name, kind=KINDS[user.kind], model=Model.REPLAY, spec=None if user.body is None else body, track=rows,
        pose=(float(rows[0, 1]), float(rows[0, 2]), float(rows[0, 3])), speed=float(rows[0, 4]), depart_s=late,
    )  # fmt: skip
    if cast.episode.mode != "reactive":
        return actor
    if actor.kind == Kind.PEDESTRIAN:
        return replace(actor, waits=True)
    found = retrace(cast.ground, rows)
    if found is None:
        return actor
    return replace(actor, route=found.route, s=found.start.s, d=found.start.d, pace=found.pace, style=_drawn_style(cast, name))


def _recorded_track(cast: _Cast, reference: str, path: TreePath) -> tuple[Floats, float]:
    """The track that FILE.xml#ID names, and when it begins [s]."""
    from scenarios.formats.commonroad import read_once
    from scenarios.recorded import track_of

    name, _, number = reference.rpartition("#")
    file, part = split_name(str(Path(cast.spec.folder, name)))
    try:
        if is_tracks(file):
            from scenarios import tracked

            found = tracked.track_of(file, part, number, cast.ground)
        else:
            found = track_of(read_once(file, file.stat().st_mtime_ns), number, cast.ground.road_map.origin)
    except OSError as error:
        raise cast.spec.error((*path, "track"), f"track file {name!r} cannot be read: {error}") from None
    if found is None:
        raise cast.spec.error(
            (*path, "track"), f"{file.name} has no recorded road user {number!r}", "give the id of one that moves"
        )
    return found


@lru_cache(maxsize=64)
def _track_file(file: Path, changed: int) -> Floats:
    """(T, 5) rows of a CSV file of t, x, y, heading, speed; a header line is skipped."""
    del changed  # part of the key: an edited file is read again
    rows: list[list[float]] = []
    with file.open(newline="", encoding="utf-8") as stream:
        for number, row in enumerate(csv.reader(stream), start=1):
            try:
                values = [float(cell) for cell in row]
            except ValueError:
                if number == 1:
                    continue
                raise InputError(
                    f"not a row of numbers: {row!r}", file=str(file), line=number, fix="t, x, y, heading, speed"
                ) from None
            if len(values) != 5 or not all(math.isfinite(value) for value in values):
                raise InputError(
                    f"a row needs 5 finite numbers, got {row!r}", file=str(file), line=number, fix="t, x, y, heading, speed"
                )
            rows.append(values)
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 5)
    table.setflags(write=False)
    return table


def _add_things(cast: _Cast) -> None:
    for index, thing in enumerate(cast.episode.traffic.things):
        path: TreePath = ("traffic", "things", index)
        if not thing.present:
            continue
        name = thing.name or f"{thing.thing if thing.kind == 'object' else 'parked_' + thing.kind}_{index}"
        try:
            cast.add(_thing(cast, thing, name), path)
        except PlaceError as error:
            cast.refuse((*path, "at"), error)
        except ValueError as error:
            cast.errors.append(cast.spec.error((*path, "size"), str(error)))


def _thing(cast: _Cast, thing: Thing, name: str) -> Actor:
    """Something that stands or lies there."""
    kind = KINDS[thing.kind]
    body = _thing_body(kind, thing)
    if thing.at.pose is not None:
        x, y, heading = thing.at.pose
    else:
        random = generator(cast.seed, Purpose.PLACEMENT, key_of(name))
        x, y, heading = cast.ground.pose(spot_of(cast.ground, thing.at, body.length, random))
    pose = (x, y, math.remainder(heading + thing.heading, 2.0 * math.pi))
    label = thing.thing if kind == Kind.OBJECT else ""
    if thing.drift > 0.0:
        wind = generator(cast.seed, Purpose.PLACEMENT, key_of(name), _WIND)
        track = drift_track(pose, thing.drift, cast.episode.duration_s, wind)
        return Actor(
            name=name, kind=kind, model=Model.REPLAY, spec=body, pose=pose, thing=label, drive_through=thing.harmless,
            track=track,
        )  # fmt: skip
    return Actor(name=name, kind=kind, model=Model.STILL, spec=body, pose=pose, thing=label, drive_through=thing.harmless)


def _thing_body(kind: Kind, thing: Thing) -> VehicleSpec:
    if kind != Kind.OBJECT and thing.size is None:
        return SPECS[kind]
    length, width, height = thing.size or THING_SIZES.get(thing.thing) or middle_size(thing.thing)
    stretch = length / SPECS[kind].length
    own = SPECS[kind]
    return replace(
        own,
        length=length,
        width=width,
        height=height,
        wheelbase=own.wheelbase * stretch,
        rear_overhang=own.rear_overhang * stretch,
    )


def _check_names(cast: _Cast) -> None:
    first: dict[str, TreePath] = {}
    for actor, path in zip(cast.actors, cast.paths, strict=True):
        if actor.name in first:
            cast.errors.append(cast.spec.error((*path, "name"), f"two actors are called {actor.name!r}", "names must differ"))
        first.setdefault(actor.name, path)


def _box(cast: _Cast, actor: Actor) -> tuple[float, float, float]:
    if actor.pose is not None or actor.route is None:
        return actor.pose or (0.0, 0.0, 0.0)
    return cast.ground.pose(Spot(lane=actor.route.lanes[0], s=actor.s, d=actor.d))


def _room(cast: _Cast, actor: Actor) -> Room:
    x, y, _ = _box(cast, actor)
    lane = actor.route.lanes[0] if actor.route is not None else -1
    return room_taken((x, y), lane, actor.body.length, actor.speed)


def _check_overlaps(cast: _Cast) -> None:
    """Two who are there from the same moment may not stand in each other."""
    placed = [
        (actor, path, *_box(cast, actor)) for actor, path in zip(cast.actors, cast.paths, strict=True) if not actor.drive_through
    ]
    for later, (actor, path, x, y, heading) in enumerate(placed):
        for other, _, other_x, other_y, other_heading in placed[:later]:
            reach = 0.5 * (math.hypot(actor.body.length, actor.body.width) + math.hypot(other.body.length, other.body.width))
            recorded = actor.model == other.model == Model.REPLAY
            if recorded or actor.depart_s != other.depart_s or math.hypot(x - other_x, y - other_y) > reach:
                continue
            if _rectangle(actor, x, y, heading).intersects(_rectangle(other, other_x, other_y, other_heading)):
                message = f"{actor.name!r} and {other.name!r} start at the same place ({x:.1f}, {y:.1f})"
                cast.errors.append(cast.spec.error((*path, "at"), message, "move one, or let it depart later"))


def _rectangle(actor: Actor, x: float, y: float, heading: float) -> Polygon:
    half = 0.5 * actor.body.length, 0.5 * actor.body.width
    cos, sin = math.cos(heading), math.sin(heading)
    corners = [(a * half[0], b * half[1]) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    return Polygon([(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in corners])


def _add_demand(cast: _Cast) -> None:
    """Everybody that rates and counts bring."""
    traffic, span, seed = cast.episode.traffic, (0.0, cast.episode.duration_s), cast.seed
    short = not isinstance(traffic.demand, list)
    for index, flow in enumerate(traffic.flows):
        path: TreePath = ("traffic", "demand") if short else ("traffic", "demand", index)
        try:
            _arrive(cast, flow_arrivals(cast.ground, traffic, flow, flow.name or f"flow{index}", span, seed), path)
        except PlaceError as error:
            cast.refuse(path, error)
    if traffic.pedestrians is not None:
        try:
            _arrive(cast, pedestrian_arrivals(cast.ground, traffic.pedestrians, span, seed), ("traffic", "pedestrians"))
        except PlaceError as error:
            cast.refuse(("traffic", "pedestrians"), error)
    if traffic.everywhere is not None:
        taken = [_room(cast, actor) for actor in cast.actors]
        try:
            _arrive(
                cast, everywhere_arrivals(cast.ground, traffic, traffic.everywhere, taken, span, seed), ("traffic", "everywhere")
            )
        except PlaceError as error:
            cast.refuse(("traffic", "everywhere"), error)


def _arrive(cast: _Cast, arrivals: Sequence[Arrival], path: TreePath) -> None:
    for arrival in arrivals:
        own = Model.PEDESTRIAN if arrival.kind == Kind.PEDESTRIAN else Model.NEGOTIATOR
        model = Model.EXTERNAL if arrival.driver else own
        speed = start_speed(cast.ground, arrival.spot, arrival.kind, SPECS[arrival.kind], arrival.route)
        cast.add(
            Actor(
                name=arrival.name, kind=arrival.kind, model=model, route=arrival.route,
                s=arrival.spot.s, d=arrival.spot.d, speed=speed,
                depart_s=arrival.depart_s, style=arrival.style, jaywalks=arrival.jaywalks,
                driver=_driver(arrival.driver, cast.spec.folder),
            ),
            path,
        )  # fmt: skip
