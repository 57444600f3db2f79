"""How fast the lidar is: rays a second on one core, and milliseconds of a frame with twelve agents around.

A ray is one ring of one column, so a sweep has `beams` x `columns` of them, each carried through ground, every solid in its
window, and weather, whether it gives a point or not. Times are CPU times of this thread, the best of a few rounds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import click
import numpy as np

from eval.run import Job, prepare
from sim.scenario import Model
from sim.sensors.beams import BEAMS, LidarSpec
from sim.sensors.lidar import scan
from sim.sensors.weather import WEATHER
from sim.state import Status
from sim.world import World

DEMANDED = 17  # so that twelve are there
SETTLED_S = 5.0
ROUNDS, SWEEPS = 7, 10


def crowded() -> World:
    """A four-way stop SETTLED_S after DEMANDED others came to it within four seconds."""
    settings = (f"traffic.demand.0.count={DEMANDED}", "traffic.demand.0.window_s=[0.0, 4.0]")
    scenario = prepare(Job(target="four_way_stop", seed=1_000_000, settings=settings, sensing="lidar"))
    actors = [replace(actor, model=Model.NEGOTIATOR) if actor.model == Model.EXTERNAL else actor for actor in scenario.actors]
    world = World([replace(scenario, actors=tuple(actors))], traced=False)
    while world.tick < round(SETTLED_S * 10.0):
        world.step()
    return world


def _best_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of one call, the best mean of ROUNDS rounds; the first call compiles and is not counted."""
    work()
    means = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(SWEEPS):
            work()
        means.append((time.thread_time() - began) / SWEEPS)
    return 1e3 * min(means)


def run_bench() -> dict[str, float | dict[str, float]]:
    """Figures: `rays_per_s` and `lidar_ms` in clear air with 32 rings, a frame's milliseconds by weather and by beams, `frame_ms`
    of a whole `World.frame`, `scenery_ms` to make shapes and ground of one episode, and how many others there are."""
    world = crowded()
    scenery, spec = world.scenery(0), LidarSpec()

    def sweep_ms(lidar: LidarSpec, weather: str) -> float:
        return round(_best_ms(lambda: scan(world.state, 0, 0, scenery, lidar, WEATHER[weather])), 3)

    clear = sweep_ms(spec, "clear")
    began = time.thread_time()
    World([replace(world.scenarios[0], seed=1_000_001)], traced=False).scenery(0)
    made = time.thread_time() - began
    return {
        "agents": float((world.state.bodies["status"][0] == Status.ACTIVE).sum() - 1),
        "rays": float(spec.beams * spec.columns),
        "points": float(len(scan(world.state, 0, 0, scenery, spec, WEATHER["clear"]).points)),
        "rays_per_s": float(np.round(spec.beams * spec.columns / clear * 1e3, -4)),
        "lidar_ms": clear,
        "frame_ms": round(_best_ms(lambda: world.frame(0, 0)), 3),
        "scenery_ms": round(1e3 * made, 1),
        "by_weather_ms": {name: sweep_ms(spec, name) for name in WEATHER},
        "by_beams_ms": {str(beams): sweep_ms(replace(spec, beams=beams), "clear") for beams in BEAMS},
    }


def format_bench(figures: dict[str, float | dict[str, float]]) -> str:
    """The figures as lines for people."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines.append(f"{name:16} " + ", ".join(f"{key} {part:.2f}" for key, part in value.items()))
        else:
            lines.append(f"{name:16} {value:,.2f}")
    return "\n".join(lines)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def program(as_json: bool) -> None:
    """Measure the lidar."""
    figures = run_bench()
    click.echo(json.dumps(figures) if as_json else format_bench(figures))


if __name__ == "__main__":
    program()
