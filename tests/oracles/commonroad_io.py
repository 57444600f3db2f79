"""Compare what we read from CommonRoad files with what commonroad-io reads.

Run with commonroad-io in an environment of its own, for it pins an old protobuf:

    python -m venv DIR && DIR/bin/pip install commonroad-io
    AVSTACK_COMMONROAD_IO=DIR/bin/python python -m tests.oracles.commonroad_io FILE.xml ...

Prints one line a file and exits with 1 where lanelets, links, lights, obstacles or their states differ by more than TOLERANCE.
What differs by design: bends tighter than a car can turn are drawn out when a map is assembled, so the assembled line leaves
the file's there; its distance is printed last.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from shapely import LineString, Point

from scenarios.formats.commonroad import draft_map, read_commonroad
from sim.roads.assemble import assemble

TOLERANCE = 0.01  # m, rad, m/s
PYTHON = "AVSTACK_COMMONROAD_IO"
"""Environment variable that names the interpreter which has commonroad-io."""
STEPS_LOOKED_AT = 1500

THEIRS = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from commonroad.common.file_reader import CommonRoadFileReader
scenario, problems = CommonRoadFileReader(sys.argv[1]).open()
network = scenario.lanelet_network
def state(s):
    at = s.position if hasattr(s.position, "tolist") else s.position.center
    return [s.time_step, *at.tolist(), s.orientation, getattr(s, "velocity", 0.0) or 0.0]
def states(o):
    later = getattr(getattr(o, "prediction", None), "trajectory", None)
    return [state(o.initial_state), *(state(s) for s in (later.state_list if later else ()))]
def box(o):
    shape = o.obstacle_shape
    return [2 * shape.radius] * 2 if hasattr(shape, "radius") else [shape.length, shape.width]
json.dump({
    "lanelets": {str(l.lanelet_id): {
        "centre": l.center_vertices[:, :2].tolist(), "after": sorted(map(str, l.successor)),
        "left": [str(l.adj_left), l.adj_left_same_direction], "right": [str(l.adj_right), l.adj_right_same_direction],
    } for l in network.lanelets},
    "intersections": len(network.intersections), "signs": len(network.traffic_signs),
    "lights": {str(t.traffic_light_id): [t.get_state_at_time_step(k).value for k in range(int(sys.argv[2]))]
               for t in network.traffic_lights},
    "obstacles": {str(o.obstacle_id): {"type": o.obstacle_type.value, "states": states(o), "box": box(o)}
                  for o in scenario.obstacles},
    "problems": {str(k): state(p.initial_state) for k, p in problems.planning_problem_dict.items()},
}, sys.stdout)
"""


def theirs(path: Path) -> Any:
    """What commonroad-io reads, as plain data."""
    command = [os.environ[PYTHON], "-c", THEIRS, str(path), str(STEPS_LOOKED_AT)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(path: Path) -> tuple[list[str], str]:
    """What differs, in words, and one line of figures."""
    other, recording = theirs(path), read_commonroad(path)
    draft = draft_map(recording)
    faults = [] if {lane.name for lane in draft.lanes} == set(other["lanelets"]) else ["lanelets differ"]
    centre = 0.0
    for lane in draft.lanes:
        them, lanelet = other["lanelets"][lane.name], recording.lanelets[lane.name]
        centre = max(centre, float(np.abs(lane.centreline[:, :2] - np.array(them["centre"])).max()))
        known = [name for name in them["after"] if name in recording.lanelets]
        faults += [f"successors of {lane.name}"] * (sorted(n for n in lane.successors if n in recording.lanelets) != known)
        for side, mine in (("left", lanelet.left_neighbour), ("right", lanelet.right_neighbour)):
            faults += [f"{side} of {lane.name}"] * (mine is not None and list(mine) != them[side])
            faults += [f"{side} of {lane.name}"] * (mine is None and them[side][0] != "None")
    faults += [f"centrelines are {centre:.3f} m apart"] * (centre > TOLERANCE)
    faults += ["intersections differ"] * (len(recording.intersections) != other["intersections"])
    faults += ["signs differ"] * (len(recording.signs) != other["signs"])
    faults += _lights(recording.lights, other["lights"])
    apart, rows = _states(recording.obstacles, other["obstacles"], faults)
    for problem in recording.problems:
        apart = max(apart, float(np.abs(problem.start - other["problems"][problem.id]).max()))
    faults += [f"states are {apart:.3f} apart"] * (apart > TOLERANCE)
    return faults, (
        f"{path.stem}: {len(draft.lanes)} lanelets, centrelines within {centre:.1e} m, {len(recording.obstacles)} obstacles, "
        f"{rows} states within {apart:.1e}, {len(recording.lights)} lights; assembled {_assembled(draft_map(recording)):.3f} m"
    )


def _lights(mine: Any, them: Any) -> list[str]:
    """Lights whose colour differs at some step."""
    names = ("green", "yellow", "red", "inactive")
    faults = ["lights differ"] if set(mine) != set(them) else []
    for light in mine.values() if not faults else ():
        colours = [names[colour] for steps, colour in light.phases for _ in range(steps)]
        shown = [colours[(step - light.offset) % len(colours)] for step in range(STEPS_LOOKED_AT)] if colours else []
        faults += [f"light {light.id}"] * (shown != [name.replace("redYellow", "red") for name in them[light.id]][: len(shown)])
    return faults


def _states(mine: Any, them: Any, faults: list[str]) -> tuple[float, int]:
    """Largest difference of any state, and how many were compared."""
    apart, rows = 0.0, 0
    bodies = {obstacle.id: obstacle for obstacle in mine if obstacle.role != "environment"}
    faults += ["obstacles differ"] * (set(bodies) != set(them))
    for name in bodies.keys() & them.keys():
        states, body = np.array(them[name]["states"], float), bodies[name]
        rows += len(states)
        faults += [f"type of {name}"] * (body.type != them[name]["type"])
        box = [body.shapes[0].length, body.shapes[0].width]
        faults += [f"size of {name}"] * (bool(np.abs(np.subtract(box, them[name]["box"])).max() > TOLERANCE))
        if states.shape == body.states.shape:
            apart = max(apart, float(np.abs(states - body.states).max()))
        else:
            faults.append(f"{name} has {len(body.states)} states, not {len(states)}")
    return apart, rows


def _assembled(draft: Any) -> float:
    """Furthest [m] that a point of the file's centrelines lies from the assembled ones."""
    road_map = assemble(draft)
    furthest = 0.0
    for index, lane in enumerate(draft.lanes):
        points = road_map.lane_points(index)
        line = LineString(np.column_stack([points["x"], points["y"]]))
        furthest = max(furthest, *(line.distance(Point(*at)) for at in lane.centreline[:, :2] - road_map.origin))
    return furthest


def main(arguments: list[str]) -> int:
    """Compare all files; 1 where any differs."""
    differ = 0
    for name in arguments:
        faults, figures = compare(Path(name))
        print(figures, *faults[:10], sep="\n    ")
        differ += bool(faults)
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
