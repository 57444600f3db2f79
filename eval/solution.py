"""A recorded drive as a CommonRoad solution file, for CommonRoad's own checker and cost functions.

Kinematic single-track model, vehicle 2 (BMW 320i): its position, which is the centre of the ego's box, lies 1.423 m ahead of the
rear axle. Times are steps of the scenario,
which must be whole ticks; coordinates are the file's. Source: "CommonRoad: Vehicle Models and Cost Functions" and the solution
format of commonroad-io.
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from scenarios.errors import InputError
from scenarios.formats.commonroad import read_commonroad
from scenarios.formats.commonroad_model import CommonRoad
from scenarios.maps import ground_of
from scenarios.model import MapSpec
from sim.interface import TICK_S, Floats
from sim.recording import Recording, read_recording

VEHICLE = "KS2"
COSTS = ("JB1", "SA1", "WX1", "SM1", "SM2", "SM3", "MW1", "TR1")


def write_solution(path: Path, out: Path, cost: str = "SA1") -> None:
    """Write ego's drive in the recording at `path` as a solution. InputError where it is none of a planning problem."""
    recording = read_recording(path)
    target = Path(str(recording.header.config.get("target", "")))
    if recording.header.ego is None or target.suffix.lower() != ".xml":
        raise InputError(
            "this drive is not of a CommonRoad planning problem", file=str(path), fix="Record one with avstack run FILE.xml --out"
        )
    source = read_commonroad(target)
    origin = ground_of(MapSpec(file=str(target)), Path.cwd()).road_map.origin
    out.write_text(solution_text(source, _states(recording, source, origin, path), cost), encoding="utf-8")


def solution_text(source: CommonRoad, states: Floats, cost: str) -> str:
    """The file, from (T, 6) of x, y, steering angle, speed, heading, step."""
    tags = ("x", "y", "steeringAngle", "velocity", "orientation", "time")
    rows = []
    for row in states.tolist():
        values = (f"<{tag}>{_shown(tag, value)}</{tag}>" for tag, value in zip(tags, row, strict=True))
        rows.append(f"    <ksState>{''.join(values)}</ksState>")
    benchmark = f"{VEHICLE}:{cost}:{source.name}:{source.version}"
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>', f"<CommonRoadSolution benchmark_id={quoteattr(benchmark)}>",
        f"  <ksTrajectory planningProblem={quoteattr(source.problems[0].id)}>", *rows, "  </ksTrajectory>",
        "</CommonRoadSolution>",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _shown(tag: str, value: float) -> str:
    return str(int(value)) if tag == "time" else repr(value)


def _states(recording: Recording, source: CommonRoad, origin: tuple[float, float], path: Path) -> Floats:
    """(T, 6) of the model's x, y, steering angle, speed, heading, and step.

    The planning problem's own state is the first: a recording begins one tick later.
    """
    ticks = round(source.step_s / TICK_S)
    if ticks < 1 or not math.isclose(ticks * TICK_S, source.step_s):
        raise InputError(
            f"the scenario's time step of {source.step_s:g} s is not a whole number of ticks", file=str(path),
            fix=f"Only scenarios of {TICK_S:g} s steps, or a multiple, have solutions",
        )  # fmt: skip
    ego = recording.track(recording.header.ego or 0)
    step, x, y, heading, speed = source.problems[0].start.tolist()
    ego = ego[((ego["tick"] % ticks) == 0) & (ego["tick"] > step * ticks)]
    columns = (ego["x"] + origin[0], ego["y"] + origin[1], ego["steer"], ego["speed"], ego["heading"], ego["tick"] // ticks)
    later = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    states: Floats = np.vstack([[x, y, 0.0, speed, heading, step], later])
    states[:, 4] = np.unwrap(states[:, 4])
    return states
