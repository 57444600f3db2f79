"""OpenSCENARIO files as scenarios: ego is driven by whom one likes, everybody else does what the storyboard says.

Ego is the entity called Ego (Hero, EgoVehicle), or else the first vehicle with a controller. The speed that it begins with is its
set speed: limits of the map are lowered to that, for the file's own controllers hold it. What the file would have ego do later is
left to its driver, and listed among the tags.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from scenarios.errors import InputError
from scenarios.formats.openscenario_file import Entity, Instance, read_once
from scenarios.formats.xml import Element
from scenarios.ground import Ground
from scenarios.maps import ground_of
from scenarios.model import KINDS, Episode, MapSpec
from scenarios.schema import ScenarioSpec, check
from scenarios.storyboard.board import Board, board_of
from scenarios.storyboard.lights import plans_of, with_plans
from scenarios.storyboard.places import Places, roads_of
from scenarios.storyboard.stage import Puppet, Stage
from sim.interface import SPECS, TICK_S, Kind, VehicleSpec
from sim.rng import Purpose, generator
from sim.roads.lane_map import LaneMap
from sim.scenario import FRICTION_DRY, SCRIPT, Actor, Criteria, Model, Scenario, Script

EGO_NAMES = ("ego", "hero", "egovehicle", "ego_vehicle")
LONGEST_S = 120.0  # an episode whose stop trigger says no time
AFTER_S = 5.0  # an episode goes on at most, after the last time that a stop trigger waits for
SET_SPEED_LEAST = 2.0  # m/s; who begins slower wants the limit
FOG_M = 500.0  # visual ranges below are fog
RAIN_MM = 0.1  # mm/h


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What an environment says, in our words; rate: mm/h."""

    name: str = "clear"
    friction: float = FRICTION_DRY
    visibility_m: float = 150.0
    rate: float | None = None


def script_scenario(path: Path) -> ScenarioSpec:
    """The scenario in an OpenSCENARIO file, or in one that varies another's parameters. InputError for what cannot be run."""
    if not path.is_file():
        raise InputError("there is no such file", file=str(path), fix="check the path")
    document = read_once(path.resolve(), path.stat().st_mtime_ns)
    instance = document.instance({}, generator(0, Purpose.SCENARIO), _sound)
    spec = check(
        {
            "version": 1,
            "name": document.name[:100],
            "summary": document.root.need("FileHeader").text("description", "")[:200],
            "tags": ["openscenario"],
            "map": {"file": str(instance.map_file.resolve())},
            "script": {"file": str(path.resolve())},
            "duration_s": _duration(instance),
            "criteria": {"goal": False},
        }
    )
    set_stage(instance, None)
    return spec


def compile_script(spec: ScenarioSpec, episode: Episode, seed: int) -> Scenario:
    """The episode of `seed`: parameters drawn, everybody put in their first place."""
    if episode.script is None or episode.mode == "reactive":
        raise spec.error(
            ("mode",),
            "a storyboard's road users do what it says, whatever ego does",
            "use mode ego, or replay without ego's driver",
        )
    path = Path(spec.folder, episode.script.file)
    try:
        document = read_once(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise spec.error(("script", "file"), f"script {episode.script.file!r} cannot be read: {error}") from None
    given = {name: _shown(value) for name, value in episode.script.parameters.items()}
    instance = document.instance(given, generator(seed, Purpose.SCENARIO), _sound)
    ego = None if episode.mode == "replay" else ego_of(instance.entities())
    board, ground = set_stage(instance, ego)
    actors = [_actor(puppet, ground, episode.duration_s, instance) for puppet in _ego_first(board, ego)]
    if not actors:
        raise instance.root.need("Entities").error("nobody is placed on the map", "Give a TeleportAction in <Init>.")
    weather = _weather(instance)
    file = instance.map_file.resolve()
    set_speed = round(board.stage.puppets[ego.name].speed, 3) if ego is not None else 0.0
    return Scenario(
        name=episode.name, road_map=with_plans(_limited(file, file.stat().st_mtime_ns, set_speed), board.places.plans),
        actors=tuple(actors), seed=seed, ego=0 if ego is not None else None, duration_s=episode.duration_s,
        friction=weather.friction, visibility_m=weather.visibility_m, weather=weather.name, rate=weather.rate,
        sensing=episode.sensing, latency_ticks=episode.latency_ticks, criteria=Criteria(**episode.criteria.model_dump()),
        tags=(*episode.tags, *dict.fromkeys(board.actions.notes)),
        script=Script(file=str(path), values=tuple(sorted(instance.values.items()))),
        parameters=tuple(sorted((name, _plain(value)) for name, value in instance.values.items())),
    )  # fmt: skip


def replayed(script: Script, ego: str | None) -> Board:
    """The board of a compiled scenario, from its beginning. ego: who is driven."""
    path = Path(script.file)
    instance = read_once(path, path.stat().st_mtime_ns).instance(dict(script.values))
    driven = next((entity for entity in instance.entities() if entity.name == ego), None)
    return set_stage(instance, driven)[0]


def set_stage(instance: Instance, ego: Entity | None) -> tuple[Board, Ground]:
    """Everybody in their first place, and the storyboard ready to play."""
    file = instance.map_file
    if file.suffix.lower() != ".xodr":
        raise instance.root.need("RoadNetwork").error(f"{file.name!r} is no OpenDRIVE map", "Name an .xodr file.")
    ground = ground_of(MapSpec(file=str(file.resolve())), Path.cwd())
    puppets = {entity.name: Puppet(entity=entity) for entity in instance.entities()}
    if ego is not None:
        puppets[ego.name].driven = True
    stage = Stage(ground=ground, puppets=puppets, values=dict(instance.values))
    roads = roads_of(file.resolve(), file.stat().st_mtime_ns, ground.road_map.origin)
    places = Places(stage, roads, plans_of(instance, roads.lights))
    return board_of(instance, stage, places, []), ground


def ego_of(entities: Sequence[Entity]) -> Entity | None:
    """Who is under test; None where nobody is."""
    vehicles = [entity for entity in entities if entity.kind not in ("pedestrian", "object")]
    named = [entity for entity in vehicles if entity.name.lower() in EGO_NAMES]
    driven = [entity for entity in vehicles if entity.driven]
    return next(iter(named or driven), None)


def _ego_first(board: Board, ego: Entity | None) -> list[Puppet]:
    """Everybody on stage, ego first."""
    return sorted(
        (puppet for puppet in board.stage.puppets.values() if puppet.present),
        key=lambda puppet: ego is None or puppet.entity.name != ego.name,
    )


def _actor(puppet: Puppet, ground: Ground, duration_s: float, instance: Instance) -> Actor:
    entity = puppet.entity
    kind = KINDS[entity.kind]
    body = _body(entity, kind)
    if puppet.driven:
        if puppet.lane < 0:
            raise entity.element.error(f"{entity.name!r} starts on no lane for vehicles", "Place it on one.")
        lanes = list(puppet.route) or ground.onward(puppet.lane, False)
        s, d = ground_place(ground, puppet)
        return Actor(
            name=entity.name, kind=kind, model=Model.EXTERNAL, spec=body, route=ground.end_of(lanes), s=s, d=d,
            speed=max(puppet.speed, 0.0), turned=puppet.turned, driver="rules",
        )  # fmt: skip
    rows = np.zeros((round(duration_s / TICK_S) + 3, 5))
    rows[:, 0] = TICK_S * np.arange(len(rows))
    lanes = ground.onward(puppet.lane, False) if puppet.lane >= 0 and entity.kind not in ("pedestrian", "object") else []
    return Actor(
        name=entity.name, kind=kind, model=Model.REPLAY, spec=body, track=rows, pose=puppet.centre, speed=puppet.speed,
        driver=SCRIPT, thing=entity.thing, route=ground.end_of(lanes) if lanes else None,
    )  # fmt: skip


def ground_place(ground: Ground, puppet: Puppet) -> tuple[float, float]:
    """s and d of the middle of its box on its lane."""
    ahead = puppet.entity.forward
    s = puppet.s + ahead * math.cos(puppet.turned)
    return min(max(s, 0.0), ground.length[puppet.lane]), puppet.d + ahead * math.sin(puppet.turned)


def _body(entity: Entity, kind: Kind) -> VehicleSpec:
    own = SPECS[kind]
    stretch = entity.length / own.length
    wheelbase, overhang = own.wheelbase * stretch, own.rear_overhang * stretch
    if entity.wheelbase is not None and entity.wheelbase > 0.1:
        back = 0.5 * entity.length - entity.forward
        if back >= 0.0 and back + entity.wheelbase < entity.length:
            wheelbase, overhang = entity.wheelbase, back
    return replace(
        own, length=entity.length, width=entity.width, height=entity.height, wheelbase=wheelbase, rear_overhang=overhang
    )


def _sound(instance: Instance) -> str:
    """What of the first speeds makes no sense; empty where they do."""
    board, _ = set_stage(instance, None)
    slow = [puppet for puppet in board.stage.puppets.values() if puppet.speed < 0.0]
    return f"{slow[0].entity.name} would start at {slow[0].speed:.1f} m/s" if slow else ""


@lru_cache(maxsize=16)
def _limited(map_file: Path, changed: int, speed: float) -> LaneMap:
    """The map of a file that was last `changed` then, with no limit above ego's set speed."""
    del changed
    road_map = ground_of(MapSpec(file=str(map_file)), Path.cwd()).road_map
    if speed < SET_SPEED_LEAST:
        return road_map
    points = road_map.points.copy()
    points["speed_limit"] = np.minimum(points["speed_limit"], speed)
    points.setflags(write=False)
    return replace(road_map, points=points)


def _duration(instance: Instance) -> float:
    """Until the last time that the stop trigger waits for."""
    stop = instance.root.need("Storyboard").child("StopTrigger")
    times = [one.number("value") for one in stop.walk() if one.tag == "SimulationTimeCondition"] if stop is not None else []
    return min(max(times) + AFTER_S, 3600.0) if times else LONGEST_S


def _weather(instance: Instance) -> Weather:
    """What the initial <EnvironmentAction> says."""
    init = instance.root.need("Storyboard").need("Init")
    for action in init.walk():
        if action.tag == "EnvironmentAction":
            return _environment(instance.looked_up(action.child("Environment") or action))
    return Weather()


def _environment(environment: Element) -> Weather:
    sky, road = environment.child("Weather"), environment.child("RoadCondition")
    friction = FRICTION_DRY * road.number("frictionScaleFactor", 1.0, minimum=0.0) if road is not None else FRICTION_DRY
    found = Weather(friction=min(max(friction, 0.05), 1.2))
    if sky is None:
        return found
    fog, rain = sky.child("Fog"), sky.child("Precipitation")
    sight = fog.number("visualRange", minimum=0.1) if fog is not None else math.inf
    if sight < FOG_M:
        found = replace(found, name="fog", visibility_m=max(min(sight, 150.0), 5.0))
    kind = rain.text("precipitationType", "dry") if rain is not None else "dry"
    if rain is not None and kind in ("rain", "snow"):
        # Until 1.1 intensity is a share of the heaviest there is, taken as 50 mm/h.
        rate = (
            rain.number("precipitationIntensity")
            if "precipitationIntensity" in rain.attributes
            else 50.0 * rain.number("intensity")
        )
        if rate > RAIN_MM and found.name == "clear":
            found = replace(found, name=kind, rate=rate, visibility_m=min(sight, 110.0 if kind == "rain" else 80.0))
    return found


def _shown(value: float | str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)


def _plain(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
