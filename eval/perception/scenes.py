"""Scenes to learn from: traffic of the catalogue, and things put about one of its cars, seen in three sweeps.

A scene is a catalogue episode in which traffic drivers drive everybody. At each view, things of all kinds are placed at random
round a car, standing or on the move, so that rare kinds are as frequent as common ones. Everything follows from the seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avstack.perception.detect import ego_motion
from eval.perception.splits import VIEWS, Condition
from scenarios.catalogue import FAMILIES
from scenarios.compile import compile_scenario
from sim.interface import SPECS, TICK_S, Kind, Odometry
from sim.rng import Purpose, generator
from sim.scenario import Actor, Model, Scenario
from sim.sensors.beams import LidarSpec
from sim.sensors.lidar import Scenery, Sweep, make_scenery, scan
from sim.sensors.things import draw_size
from sim.sensors.weather import Weather, weather_of
from sim.state import HISTORY, Status
from sim.world import World

SWEEPS = 3
TRAFFIC = (
    "four_way_stop", "four_way_chicken", "t_junction", "unprotected_left", "roundabout", "merge", "dense_lane_change",
    "narrow_meet", "crosswalk", "occluded_pedestrian", "cut_in", "blocked_lane", "signalised",
)  # fmt: skip
"""Families of the catalogue that scenes are made of. Named, so that a new one changes no scene, and without those that put on the
road what is held out."""
EXTRAS, PLACED_AT_ONCE = 26, (8, 18)
CROWD, CROWDED_AT_ONCE = 44, (24, 40)
"""Things that a scene has to place, and how many of them each view takes."""
FASTER, FAST_FROM = 2.2, 10.0
"""In a crowd half of what can be made as fast as this [m/s], and has the room, is made faster by this factor: in the scenes' own
traffic too little is fast for a model to learn what that looks like."""
REACH = 62.0  # m, how far off things are placed
_AWAY = 2000.0  # m, where things are kept that a view does not use
_DRAW = 0x5CE4E  # a stream of its own within Purpose.SCENARIO
_CARS = (int(Kind.CAR), int(Kind.VAN))
_ACTIVE = int(Status.ACTIVE)

# share, name, and for those that move: share of moving ones and their speeds [m/s]
PLACED: tuple[tuple[float, str, float, tuple[float, float]], ...] = (
    (0.17, "pedestrian", 0.7, (0.4, 2.2)),
    (0.09, "bicycle", 0.7, (1.0, 7.0)),
    (0.05, "motorcycle", 0.7, (1.0, 14.0)),
    (0.07, "car", 0.5, (1.0, 15.0)),
    (0.04, "van", 0.5, (1.0, 15.0)),
    (0.06, "truck", 0.5, (1.0, 12.0)),
    (0.05, "bus", 0.5, (1.0, 12.0)),
    (0.09, "cone", 0.0, (0.0, 0.0)),
    (0.08, "dirt_pile", 0.0, (0.0, 0.0)),
    (0.06, "plastic_bag", 0.5, (0.2, 2.5)),
    (0.04, "tall_grass", 0.0, (0.0, 0.0)),
    (0.04, "barrier", 0.0, (0.0, 0.0)),
    (0.04, "box", 0.05, (0.3, 2.0)),
    (0.03, "pallet", 0.0, (0.0, 0.0)),
    (0.09, "unknown", 0.15, (0.3, 2.0)),
)
_HELD_OUT_SHARE = 0.5
_DRIFTING = ("paper", "steam", "leaves")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One sample: SWEEPS sweeps, oldest first, the ego's motion before each but the first, and the bodies as they are at the
    last. bodies: (A,) BODY_DTYPE, read-only; ego: the slot that carries the sensor."""

    sweeps: tuple[Sweep, ...]
    motions: tuple[tuple[float, float, float], ...]
    bodies: NDArray[np.void]
    ego: int
    weather: str


def views_of(seed: int, condition: Condition | None, count: int = VIEWS, *, crowded: bool = False) -> Iterator[View]:
    """Up to `count` views of the scene of this seed; weather and sensor are drawn where no condition says."""
    random = generator(seed, Purpose.SCENARIO, _DRAW)
    scenario, first = _scenario(seed, random, condition, CROWD if crowded else EXTRAS)
    world = World([scenario], traced=False)
    extras = np.arange(first, len(scenario.actors))
    for _ in range(int(random.integers(20, 160))):
        world.step()
    scenery = make_scenery(scenario.road_map, world.state.bodies[0, : len(scenario.actors)], seed, scenario.occluders)
    for _ in range(count):
        for _ in range(int(random.integers(5, 15))):
            world.step()
        view = _view(world, scenery, extras, random, condition)
        if view is not None:
            yield view


def _scenario(seed: int, random: np.random.Generator, condition: Condition | None, count: int) -> tuple[Scenario, int]:
    """A catalogue episode with things to place after its own actors; and the slot of the first of them."""
    name = TRAFFIC[int(random.integers(len(TRAFFIC)))]
    scenario = compile_scenario(FAMILIES[name].spec(), seed)
    actors = [replace(one, model=Model.NEGOTIATOR, driver="") if one.model == Model.EXTERNAL else one for one in scenario.actors]
    held_out = condition.things if condition is not None else ()
    extras = [_extra(k, seed, random, held_out) for k in range(count)]
    return replace(scenario, actors=(*actors, *extras), ego=None, duration_s=600.0), len(actors)


def _extra(k: int, seed: int, random: np.random.Generator, held_out: tuple[str, ...]) -> Actor:
    """One thing to place, kept far away until then."""
    if held_out and random.random() < _HELD_OUT_SHARE:
        name = held_out[int(random.integers(len(held_out)))]
    else:
        shares = np.array([row[0] for row in PLACED])
        name = PLACED[int(random.choice(len(PLACED), p=shares / shares.sum()))][1]
    pose = (_AWAY + 30.0 * k, _AWAY, 0.0)
    if name.upper() in Kind.__members__:
        kind = Kind[name.upper()]
        spec, scale = SPECS[kind], float(random.uniform(0.88, 1.12))
        width, height = (float(random.uniform(0.93, 1.07)) * size for size in (spec.width, spec.height))
        spec = replace(
            spec, length=spec.length * scale, width=width, height=height, wheelbase=spec.wheelbase * scale,
            rear_overhang=spec.rear_overhang * scale,
        )  # fmt: skip
        return Actor(name=f"extra_{k}", kind=kind, model=Model.STILL, spec=spec, pose=pose)
    length, width, height = draw_size(name, seed, 1000 + k)
    stretch = length / SPECS[Kind.OBJECT].length
    own = SPECS[Kind.OBJECT]
    spec = replace(
        own, length=length, width=width, height=height, wheelbase=own.wheelbase * stretch,
        rear_overhang=own.rear_overhang * stretch,
    )  # fmt: skip
    return Actor(name=f"extra_{k}", kind=Kind.OBJECT, model=Model.STILL, spec=spec, pose=pose, thing=name)


def _conditions(random: np.random.Generator, condition: Condition | None) -> tuple[str, Weather, LidarSpec]:
    """Weather and sensor of one view: those of the condition, or drawn."""
    if condition is not None:
        return condition.weather, weather_of(condition.weather, condition.visibility), condition.lidar
    name = str(random.choice(["clear", "wet", "rain", "snow", "fog"], p=[0.38, 0.07, 0.15, 0.18, 0.22]))
    visibility = float(np.exp(random.uniform(math.log(30.0), math.log(300.0))))
    rate = float(np.exp(random.uniform(math.log(2.0), math.log(25.0)))) if name == "rain" else float(random.uniform(0.5, 4.0))
    worn = random.random() < 0.3
    spec = LidarSpec(
        height=float(random.uniform(1.6, 2.1)), forward=float(random.uniform(-0.3, 0.5)), gain=float(random.uniform(0.6, 1.6)),
        dead_rings=float(random.uniform(0.05, 0.5)) if worn else 0.0, noise=float(random.uniform(0.01, 0.04)),
        dropout=float(random.uniform(0.0, 0.15)) if worn else 0.01,
    )  # fmt: skip
    return name, weather_of(name, visibility, rate), spec


def _view(
    world: World, scenery: Scenery, extras: NDArray[np.int64], random: np.random.Generator, condition: Condition | None
) -> View | None:
    """Place things round one of the cars and look at them in three sweeps; None where no car is on the road."""
    name, weather, spec = _conditions(random, condition)
    bodies = world.state.bodies[0]
    count = extras[0]
    cars = [a for a in range(count) if bodies["status"][a] == _ACTIVE and bodies["kind"][a] in _CARS]
    if not cars:
        return None
    ego = int(cars[int(random.integers(len(cars)))])
    low, high = PLACED_AT_ONCE if len(extras) == EXTRAS else CROWDED_AT_ONCE
    speeds = _place(world, ego, random.permutation(len(extras))[: int(random.integers(low, high + 1))], extras, random)
    sweeps, motions = [], []
    for k in range(SWEEPS):
        if k:
            world.step()
        _move(world, extras, speeds, k)
        # odometry as a car has it
        speed = float(bodies["speed"][ego]) * (1.0 + 0.004 * random.normal()) + 0.03 * random.normal()
        yaw_rate = float(bodies["yaw_rate"][ego]) + 0.003 * random.normal()
        sweeps.append(scan(world.state, 0, ego, scenery, spec, weather, motion=(speed, yaw_rate)))
        if k:
            odometry = Odometry(speed=speed, accel=0.0, yaw_rate=yaw_rate, steer=0.0)
            motions.append(ego_motion(odometry, float(bodies["rear_to_centre"][ego])))
    seen = bodies[: len(world.scenarios[0].actors)].copy()
    bodies["status"][extras] = int(Status.WAITING)
    seen.setflags(write=False)
    return View(sweeps=tuple(sweeps), motions=tuple(motions), bodies=seen, ego=ego, weather=name)


def _place(
    world: World, ego: int, chosen: NDArray[np.int64], extras: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.float64]:
    """Put the chosen things where nobody is; gives the speeds of all (N,), NaN for those that are left out."""
    bodies = world.state.bodies[0]
    eye = bodies[ego]
    taken = [
        (float(b["x"]), float(b["y"]), float(b["radius"])) for b in bodies[: extras[0]] if b["status"] == _ACTIVE
    ]  # fmt: skip
    speeds = np.full(len(extras), np.nan)
    for k in chosen:
        body, actor = bodies[extras[k]], world.scenarios[0].actors[extras[k]]
        radius = 0.5 * math.hypot(actor.body.length, actor.body.width)
        for _ in range(20):
            ahead = random.random() < 0.75
            r, angle = 3.0 + (REACH - 3.0) * random.random() ** 0.8, random.uniform(-0.9, 0.9) + (0.0 if ahead else math.pi)
            if abs(r * math.cos(angle)) > 36.0 and not ahead:
                continue
            turned = angle + float(eye["heading"])
            x, y = float(eye["x"]) + r * math.cos(turned), float(eye["y"]) + r * math.sin(turned)
            if all(math.hypot(x - a, y - b) > radius + c + 0.3 for a, b, c in taken):
                break
        else:
            continue
        taken.append((x, y, radius))
        along = random.random() < 0.5
        heading = float(eye["heading"]) + math.pi * int(random.integers(2)) + random.normal() * 0.1
        heading = heading if along else random.uniform(-math.pi, math.pi)
        body["x"], body["y"], body["heading"] = x, y, math.remainder(heading, 2.0 * math.pi)
        body["cos"], body["sin"] = math.cos(heading), math.sin(heading)
        speeds[k] = _drawn_speed(actor, random)
        if len(extras) == CROWD and speeds[k] > FAST_FROM / FASTER and random.random() < 0.5:
            way = FASTER * speeds[k] * TICK_S * (SWEEPS - 1)
            end = (x + way * math.cos(heading), y + way * math.sin(heading))
            if all(math.hypot(end[0] - a, end[1] - b) > radius + c for a, b, c in taken[:-1]):
                speeds[k] *= FASTER
        body["speed"] = speeds[k]
        body["vx"], body["vy"] = speeds[k] * math.cos(heading), speeds[k] * math.sin(heading)
    return speeds


def _drawn_speed(actor: Actor, random: np.random.Generator) -> float:
    name = actor.thing or actor.kind.name.lower()
    if name in _DRIFTING:
        return float(random.uniform(0.0, 1.5)) if random.random() < 0.5 else 0.0
    for _, known, share, (low, high) in PLACED:
        if known == name and random.random() < share:
            return float(random.uniform(low, high))
    return 0.0


def _move(world: World, extras: NDArray[np.int64], speeds: NDArray[np.float64], k: int) -> None:
    """Bodies of the placed things at the k-th sweep, and in the history where they were a tick before."""
    bodies, tick = world.state.bodies[0], int(world.state.worlds["tick"][0])
    before = world.state.history[0, (tick - 1) % HISTORY]
    for slot, speed in zip(extras, speeds, strict=True):
        body = bodies[slot]
        if math.isnan(speed):
            body["status"] = int(Status.WAITING)
            continue
        body["status"] = _ACTIVE
        if k:
            body["x"] += TICK_S * body["vx"]
            body["y"] += TICK_S * body["vy"]
        for name in ("cos", "sin", "vx", "vy", "speed", "status"):
            before[slot][name] = body[name]
        before[slot]["x"], before[slot]["y"] = body["x"] - TICK_S * body["vx"], body["y"] - TICK_S * body["vy"]
