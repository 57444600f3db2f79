"""How honest and how fast tracking is: is the truth where the tracker says, as often as it says so?

Traffic drives itself; the first vehicle carries the sensor, a detector of objects or a lidar. Things are matched to what is
there within 2 m. Consistency is by normalised errors squared of estimates (NEES, against the truth) and of innovations (NIS,
against the readings), with seven degrees of freedom; the NEES of what has no wheels leaves out the heading, which is that of
its velocity: six (Bar-Shalom, Li, Kirubarajan, 2001, section 5.4). Both are kept as quantiles of their chi squared
distribution. The controls tell the tracker that its sensor is twice as good as it is, and that the sensor's errors are white;
both must fall out of the band.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import click
import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr

from avstack.perception.filter import TrackingConfig
from avstack.perception.perceive import LIDAR_TRACKING, PerceptionMemory, read
from avstack.perception.percepts import THING_DTYPE, Percepts
from avstack.perception.tracking import start_tracking, track
from scenarios.compile import compile_scenario
from scenarios.resolve import resolve
from sim.geometry import wrap_angles
from sim.interface import OBJECT_DTYPE, Floats, Kind, Odometry, SensorFrame
from sim.scenario import Model, Scenario
from sim.sensors.errors import default_parameters
from sim.sensors.objects import sense_objects
from sim.state import Status
from sim.world import World

FAMILIES = (
    "four_way_stop",
    "four_way_chicken",
    "roundabout",
    "grid_town",
    "crosswalk",
    "t_junction",
    "merge",
    "unprotected_left",
)
TICKS = 200
MATCH_M = 2.0  # METRICS: true positive by centre distance
WARM_TICKS = 3
"""Age from which a track is judged: before, it is known to know nothing."""
BAND = (0.025, 0.975)
"""Quantiles that hold 95 %."""
QUANTITIES = ("x", "y", "heading", "speed", "length", "width")
LEVELS = {50: 0.6745, 90: 1.6449, 95: 1.9600}
"""Per cent of a normal distribution within that many standard deviations."""


@dataclass(slots=True)
class Tally:
    """What was counted over all scenes. nees, nis: quantiles; errors: (N, 6) in standard deviations; moving, walking: by row."""

    nees: list[float] = field(default_factory=list)
    nis: list[float] = field(default_factory=list)
    errors: list[Floats] = field(default_factory=list)
    moving: list[bool] = field(default_factory=list)
    walking: list[bool] = field(default_factory=list)
    turned: int = 0
    flip_stated: float = 0.0
    matched: int = 0
    present: int = 0
    shown: int = 0
    unreal: int = 0
    switches: int = 0


def scenes(families: Sequence[str], seeds: Sequence[int], weather: str | None = None) -> Iterator[Scenario]:
    """Episodes with everybody driven by the traffic's own rules."""
    for family in families:
        spec = resolve(family)
        for seed in seeds:
            scenario = compile_scenario(spec, seed)
            actors = tuple(
                replace(actor, model=Model.NEGOTIATOR, driver="") if actor.model == Model.EXTERNAL else actor
                for actor in scenario.actors
            )
            yield replace(scenario, actors=actors, ego=None, weather=weather or scenario.weather)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One tick: what is tracked, and what is so. signs: as in `avstack.perception.tracking.track`; bodies: (A,) of the state."""

    frame: SensorFrame
    signs: NDArray[np.void] | None
    bodies: NDArray[np.void]


def watch_scene(scenario: Scenario, sensing: str = "objects") -> tuple[int, list[Seen]]:
    """Who carries the sensor, the first vehicle, and what it senses of one episode: a detector's readings, or what the models
    find in its lidar's sweeps."""
    carrier = next((k for k, actor in enumerate(scenario.actors) if actor.model == Model.NEGOTIATOR), 0)
    world = World((replace(scenario, ego=carrier if sensing == "lidar" else None, sensing=sensing),), traced=False)
    memory, found = PerceptionMemory(), list[Seen]()
    parameters = default_parameters(scenario.weather)
    for _ in range(TICKS):
        world.step()
        if world.state.bodies["status"][0, carrier] != Status.ACTIVE:
            if world.tick > 50:
                break
            continue
        signs = None
        if sensing == "lidar":
            body, frame = scenario.actors[carrier].body, world.frame(0, carrier)
            frame, signs, _, memory = read(frame, memory, body.rear_to_centre, scenario.road_map)
        else:
            frame = sense_objects(world.state, world.roads, 0, carrier, (0, 0), parameters)
        found.append(Seen(frame=replace(frame, lidar=None), signs=signs, bodies=world.state.bodies[0].copy()))
    return carrier, found


def measure_scene(seen: tuple[int, list[Seen]], tally: Tally, config: TrackingConfig, sigma_factor: float = 1.0) -> None:
    """Track what was seen in one episode and count; `sigma_factor` is what the sensor's stated errors are multiplied by."""
    carrier, ticks = seen
    memory, names = start_tracking(), dict[int, int]()
    for one in ticks:
        frame = one.frame
        if sigma_factor != 1.0 and frame.objects is not None:
            objects = frame.objects.copy()
            objects["sigma"] *= sigma_factor
            frame = replace(frame, objects=objects)
        percepts, memory = track(frame, memory, config, one.signs)
        fresh = (memory.tracks["missed"] == 0) & (memory.tracks["age"] >= WARM_TICKS)
        tally.nis.extend(chdtr(7, memory.tracks["nis"][fresh]).tolist())
        _compare(percepts, one.bodies, carrier, names, tally)


def _compare(percepts: Percepts, bodies: NDArray[np.void], carrier: int, names: dict[int, int], tally: Tally) -> None:
    """Count how the things of one frame differ from the bodies; `names` remembers which track last followed a body."""
    things = percepts.things[percepts.things["existence"] > 0.5]
    real = np.flatnonzero(bodies["status"] == Status.ACTIVE)
    real = real[real != carrier]
    distances = np.hypot(bodies["x"][real] - percepts.ego.x, bodies["y"][real] - percepts.ego.y)
    tally.present += int(np.count_nonzero(distances < 40.0))
    tally.shown += len(things)
    gaps = np.hypot(things["x"][:, None] - bodies["x"][real], things["y"][:, None] - bodies["y"][real])
    pairs = match(gaps)
    tally.unreal += len(things) - len(pairs)
    for row, column in pairs:
        thing, slot = things[row], int(real[column])
        tally.matched += int(distances[column] < 40.0)
        tally.switches += int(names.get(slot, int(thing["id"])) != thing["id"])
        names[slot] = int(thing["id"])
        if thing["age"] >= WARM_TICKS and thing["missed"] <= 1:
            _judge(thing, bodies[slot], tally)


def match(gaps: Floats) -> list[tuple[int, int]]:
    """Pairs (row, column) of a table of distances, nearest first, each used once, within MATCH_M."""
    pairs: list[tuple[int, int]] = []
    gaps = gaps.copy()
    while gaps.size and gaps.min() < MATCH_M:
        row, column = (int(k) for k in np.unravel_index(int(gaps.argmin()), gaps.shape))
        pairs.append((row, column))
        gaps[row, :] = gaps[:, column] = np.inf
    return pairs


def _judge(thing: NDArray[np.void], body: NDArray[np.void], tally: Tally) -> None:
    """Errors of one thing in its own standard deviations."""
    names = ("x", "y", "heading", "vx", "vy", "length", "width")
    error = np.array([float(body[name]) - float(thing[name]) for name in names])
    error[2] = float(wrap_angles(error[2:3])[0])
    turned = abs(error[2]) > 0.5 * np.pi
    if turned:
        error[2] = float(wrap_angles(error[2:3] + np.pi)[0])
    tally.turned += int(turned)
    tally.flip_stated += float(thing["flip"])
    covariance = thing["covariance"].astype(np.float64)
    on_foot = int(body["kind"]) >= Kind.PEDESTRIAN
    used = np.array([0, 1, 3, 4, 5, 6]) if on_foot else np.arange(7)
    squared = error[used] @ np.linalg.solve(covariance[np.ix_(used, used)], error[used])
    tally.nees.append(float(chdtr(len(used), squared)))
    along = np.array([0.0, 0.0, 0.0, np.cos(thing["heading"]), np.sin(thing["heading"]), 0.0, 0.0])
    sigma = np.sqrt(np.diag(covariance))
    speed = float(along @ error) / float(np.sqrt(along @ covariance @ along))
    tally.errors.append(np.array([*(error / sigma)[:3], speed, *(error / sigma)[5:]]))
    tally.moving.append(abs(float(body["speed"])) > 0.5)
    tally.walking.append(on_foot)


def share_inside(values: Sequence[float]) -> float:
    """Share of quantiles inside BAND."""
    array = np.asarray(values)
    return float(np.mean((array >= BAND[0]) & (array <= BAND[1]))) if len(array) else float("nan")


def run_scenes(
    families: Sequence[str], seeds: Sequence[int], config: TrackingConfig, sigma_factor: float = 1.0, weather: str | None = None,
    sensing: str = "objects",
) -> Tally:  # fmt: skip
    """All counts over families x seeds."""
    tally = Tally()
    for scenario in scenes(families, seeds, weather):
        measure_scene(watch_scene(scenario, sensing), tally, config, sigma_factor)
    return tally


def figures_of(tally: Tally) -> dict[str, object]:
    """The figures of a tally; rates are per matched thing and tick unless they say otherwise."""
    errors, count = np.abs(np.array(tally.errors)), len(tally.nees)
    moving, walking, nees = np.array(tally.moving), np.array(tally.walking), np.array(tally.nees)
    groups = {"moving": moving & ~walking, "standing": ~moving & ~walking, "on_foot": walking}
    return {
        "judged": count,
        "nees_inside": share_inside(tally.nees),
        "nis_inside": share_inside(tally.nis),
        "nees_below": float(np.mean(nees < BAND[0])),
        "nees_above": float(np.mean(nees > BAND[1])),
        "nees_inside_by_group": {name: share_inside(nees[rows].tolist()) for name, rows in groups.items() if rows.any()},
        "coverage": {
            name: {str(level): float(np.mean(errors[:, k] <= limit)) for level, limit in LEVELS.items()}
            for k, name in enumerate(QUANTITIES)
        },
        "seen_within_40m": tally.matched / max(tally.present, 1),
        "unreal_share": tally.unreal / max(tally.shown, 1),
        "id_switches_per_1000": 1000.0 * tally.switches / max(tally.matched, 1),
        "reversed": tally.turned / count,
        "reversed_stated": tally.flip_stated / count,
    }


def timing_ms(things: int = 40, frames: int = 200) -> float:
    """Median thread-CPU time [ms] of tracking this many things in as many tracks."""
    memory, spent = start_tracking(), []
    for tick in range(frames):
        frame = _parade(things, tick)
        begin = time.thread_time()
        _, memory = track(frame, memory)
        spent.append(time.thread_time() - begin)
    return 1000.0 * median(spent[frames // 4 :])


def _parade(things: int, tick: int) -> SensorFrame:
    """Things in a grid 6 m apart, all driving east at 8 m/s, read with errors."""
    random = np.random.default_rng([things, tick])
    rows = np.zeros(things, OBJECT_DTYPE)
    rows["score"], rows["vx"], rows["speed"] = 0.98, 8.0, 8.0
    rows["length"], rows["width"] = 4.7, 1.85
    rows["x"] = 6.0 * (np.arange(things) % 8) + 0.8 * tick + random.normal(0.0, 0.1, things)
    rows["y"] = 6.0 * (np.arange(things) // 8) + random.normal(0.0, 0.1, things)
    rows["sigma"] = (0.1, 0.03, 0.2, 0.3, 0.1)
    return SensorFrame(
        tick=tick, odometry=Odometry(speed=8.0, accel=0.0, yaw_rate=0.0, steer=0.0), pose=np.array([0.8 * tick, -10.0, 0.0]),
        pose_covariance=np.diag([0.005, 0.005, 1e-5]), signals=np.zeros(0, np.int32), objects=random.permutation(rows),
        level="objects", objects_age=1,
    )  # fmt: skip


def run_bench(first_seed: int, seeds: int, weather: str | None = None, sensing: str = "objects") -> dict[str, object]:
    """Everything, with both controls."""
    chosen, config = range(first_seed, first_seed + seeds), LIDAR_TRACKING if sensing == "lidar" else TrackingConfig()
    few = chosen[: max(seeds // 4, 1)]
    tally, understated, white = Tally(), Tally(), Tally()
    for seed in chosen:
        for scenario in scenes(FAMILIES, [seed], weather):
            seen = watch_scene(scenario, sensing)
            measure_scene(seen, tally, config)
            if seed in few:
                measure_scene(seen, understated, config, sigma_factor=0.5)
                measure_scene(seen, white, replace(config, share=0.0))
    figures = figures_of(tally)
    figures["control_sigma_halved"] = {"nees_inside": share_inside(understated.nees), "nis_inside": share_inside(understated.nis)}
    figures["control_white_errors"] = {"nees_inside": share_inside(white.nees), "nis_inside": share_inside(white.nis)}
    figures["ms_40_by_40"] = timing_ms()
    figures["bytes_per_thing"] = THING_DTYPE.itemsize
    return figures


def format_figures(figures: dict[str, object], indent: str = "") -> str:
    """The figures as lines for people."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", format_figures(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name:26} {value:,.4f}" if isinstance(value, float) else f"{indent}{name:26} {value}")
    return "\n".join(lines)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--first-seed", default=1_000_000, show_default=True, help="First of the seeds of each family.")
@click.option("--seeds", default=8, show_default=True, help="Seeds per family.")
@click.option("--weather", help="Sense in this weather: clear, wet, rain, snow, fog.  [default: the scenario's]")
@click.option("--sensing", type=click.Choice(["objects", "lidar"]), default="objects", show_default=True, help="What is tracked.")
def program(as_json: bool, first_seed: int, seeds: int, weather: str | None, sensing: str) -> None:
    """Measure the consistency of tracking on traffic, and its speed."""
    figures = run_bench(first_seed, seeds, weather, sensing)
    click.echo(json.dumps(figures) if as_json else format_figures(figures))


if __name__ == "__main__":
    program()
