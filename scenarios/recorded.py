"""A recording as a scenario: its road users replay their tracks, the ego starts where the planning problem says and has its goal.

The scenario refers to the recording by file and id and holds no states itself; `--set` changes it like any other. Who is recorded
from the ego's own start is the ego's record, and left out while it drives. Coordinates are of the map as re-centred on load.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from scenarios.formats.commonroad import read_once
from scenarios.formats.commonroad_model import CommonRoad, GoalState, Obstacle, Problem
from scenarios.ground import Ground, PlaceError
from scenarios.maps import ground_of
from scenarios.model import MapSpec
from scenarios.retrace import Fit, fits
from scenarios.schema import ScenarioSpec, Tree, check
from scenarios.yaml_tree import Data
from sim.interface import Floats
from sim.roads.route import RouteError, check_route

USER_KINDS = {
    "car": "car", "truck": "truck", "bus": "bus", "bicycle": "bicycle", "pedestrian": "pedestrian", "motorcycle": "motorcycle",
    "taxi": "car", "priorityVehicle": "car", "train": "bus", "parkedVehicle": "car", "unknown": "car",
}  # fmt: skip
"""Kinds of road users by CommonRoad's types; others are things."""
THINGS = {"constructionZone": "barrier"}
EGO_BODY = {"length": 4.508, "width": 1.61, "wheelbase": 2.5789, "rear_overhang": 0.8313, "steer_rate_max": 0.4}
"""[m, rad/s] of CommonRoad's vehicle 2, a BMW 320i, which solutions are mostly written for."""
SAME_START = 0.5  # m, at the same step: whose record is the ego's
LEAST_GOAL_M = 1.0  # m of a lane inside a goal, below which they only touch
TAIL_S = 1.0  # s that a recording without a planning problem goes on after its last state


def recording_scenario(path: Path) -> ScenarioSpec:
    """The scenario in a CommonRoad file. InputError for what cannot be read or placed."""
    recording = read_once(path, path.stat().st_mtime_ns)
    ground = ground_of(MapSpec(file=str(path)), Path.cwd())
    traffic: Tree = {
        "users": [_user(obstacle, recording, path) for obstacle in recording.obstacles if moves(obstacle)],
        "things": [thing for obstacle in recording.obstacles if stands(obstacle) for thing in _things(obstacle, ground)],
    }
    last = max((float(obstacle.states[-1, 0]) for obstacle in recording.obstacles), default=0.0) * recording.step_s
    tree: Tree = {
        "version": 1, "name": recording.name, "summary": f"The recording {path.name}.", "tags": ["recording"],
        "map": {"file": str(path.resolve())}, "traffic": traffic, "duration_s": max(last, TAIL_S), "criteria": {"goal": False},
    }  # fmt: skip
    if recording.problems:
        problem = recording.problems[0]
        regions = [_region(goal, recording, ground) for goal in problem.goals]
        tree["ego"] = _ego(problem, recording, ground)
        tree["duration_s"] = max(goal.steps.high for goal in problem.goals) * recording.step_s or TAIL_S
        tree["criteria"] = {"regions": regions}
    return check(tree)


def moves(obstacle: Obstacle) -> bool:
    """Whether it has a recorded way."""
    return obstacle.role == "dynamic" and len(obstacle.states) > 1


def stands(obstacle: Obstacle) -> bool:
    """Whether it stands on or beside the road all the time; who was about to move, but has no way, does not."""
    return obstacle.role == "static"


def track_of(recording: CommonRoad, name: str, origin: tuple[float, float]) -> tuple[Floats, float] | None:
    """(T, 5) of t from 0, x, y, heading, speed of a road user, less the origin, and when it begins [s]; None for nobody."""
    for obstacle in recording.obstacles:
        if obstacle.id == name and moves(obstacle):
            rows, first = obstacle.states.copy(), float(obstacle.states[0, 0])
            rows[:, 0] = (rows[:, 0] - first) * recording.step_s
            for row in rows if obstacle.shapes[0].x or obstacle.shapes[0].y or obstacle.shapes[0].heading else ():
                row[1:4] = obstacle.shapes[0].pose((row[1], row[2], row[3]))
            rows[:, 1:3] -= origin
            return rows, first * recording.step_s
    return None


def _user(obstacle: Obstacle, recording: CommonRoad, path: Path) -> Data:
    shape = obstacle.shapes[0]
    starts = [problem.start[:3] for problem in recording.problems[:1]]
    is_ego = any(np.abs(start - obstacle.states[0, :3]).max() < SAME_START for start in starts)
    kind = USER_KINDS.get(obstacle.type, "car")
    return {
        "name": f"{obstacle.type}_{obstacle.id}", "kind": kind, "track": f"{path.resolve()}#{obstacle.id}",
        "body": {"length": shape.length, "width": shape.width}, "is_ego": is_ego,
    }  # fmt: skip


def _things(obstacle: Obstacle, ground: Ground) -> Iterable[Data]:
    """What stands there, one thing for each of its shapes."""
    _, x, y, heading, _ = obstacle.states[0].tolist()
    kind = USER_KINDS.get(obstacle.type, "object")
    for number, shape in enumerate(obstacle.shapes):
        px, py, turned = shape.pose((x - ground.road_map.origin[0], y - ground.road_map.origin[1], heading))
        yield {
            "name": f"{obstacle.type}_{obstacle.id}" + (f"_{number}" if number else ""),
            "kind": "object" if kind == "pedestrian" else kind, "thing": THINGS.get(obstacle.type, "unknown"),
            "at": {"pose": [px, py, turned]}, "size": [shape.length, shape.width, 1.5],
        }  # fmt: skip


def _outlines(goal: GoalState, recording: CommonRoad, ground: Ground) -> list[Floats]:
    """Corners of all areas of a goal, on the re-centred map."""
    lanelets = [recording.lanelets[name] for name in goal.lanelets if name in recording.lanelets]
    around = [np.concatenate([lanelet.left[:, :2], lanelet.right[::-1, :2]]) for lanelet in lanelets]
    return [outline - ground.road_map.origin for outline in (*goal.outlines, *around)]


def _region(goal: GoalState, recording: CommonRoad, ground: Ground) -> Data:
    region: Tree = {
        "outlines": [outline.tolist() for outline in _outlines(goal, recording, ground)],
        "window_s": [goal.steps.low * recording.step_s, goal.steps.high * recording.step_s],
    }
    for key, span in (("speeds", goal.speeds), ("headings", goal.headings)):
        if span is not None:
            region[key] = [span.low, span.high]
    return region


def _ego(problem: Problem, recording: CommonRoad, ground: Ground) -> Data:
    """Where and how the ego starts, and the lanes to its goal and on beyond it."""
    step, x, y, heading, speed = problem.start.tolist()
    x, y = x - ground.road_map.origin[0], y - ground.road_map.origin[1]
    starts = fits(ground, x, y, heading)
    if not starts:
        raise problem.element.error(f"starts at ({x:.1f}, {y:.1f}), where no lanelet leads that way", "Start on a lanelet.")
    goals = [outline for goal in problem.goals for outline in _outlines(goal, recording, ground)]
    start, lanes = _way(ground, starts, goals, problem)
    names = ground.road_map.lane_names
    ego: Tree = {
        "at": {"lane": names[start.lane], "s": start.s, "d": start.d, "turned": start.turned},
        "route": [names[lane] for lane in lanes], "speed": max(speed, 0.0), "depart_s": step * recording.step_s,
        "body": dict(EGO_BODY),
    }  # fmt: skip
    ends = ground.span_in(lanes[-1], goals)
    if ends is None or (len(lanes) == 1 and ends[1] <= start.s):
        return ego
    return {**ego, "to": {"lane": names[lanes[-1]], "s": ends[1]}}


def _lanes_in(ground: Ground, outline: Floats) -> list[int]:
    """Driving lanes whose centres pass through an outline, the longest way inside first."""
    from shapely import Polygon, contains_xy, make_valid

    points = ground.road_map.points
    within = np.flatnonzero(contains_xy(make_valid(Polygon(outline)), points["x"], points["y"]))
    lanes, counts = np.unique(np.searchsorted(ground.road_map.lanes["point_start"], within, side="right") - 1, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [int(lane) for lane in lanes[order] if ground.kind[int(lane)] == 0]


def _further_in(ground: Ground, lane: int, goals: list[Floats]) -> list[int]:
    """The lanes after this one along which a goal goes on for a way."""
    found = []
    for onward in ground.onward(lane, False)[1:]:
        span = ground.span_in(onward, goals)
        if span is None or span[1] - span[0] < LEAST_GOAL_M:
            break
        found.append(onward)
    return found


def _way(ground: Ground, starts: list[Fit], goals: list[Floats], problem: Problem) -> tuple[Fit, list[int]]:
    """The best start and the lanes from it to a goal's last lane; straight on to the end of the road for a goal anywhere."""
    if not goals:
        return starts[0], ground.onward(starts[0].lane, False)
    lanes_in = [_lanes_in(ground, outline) for outline in goals]
    for start in starts:
        for goal in (lane for lanes in lanes_in for lane in lanes):
            try:
                lanes = list(ground.to_lane(start.lane, goal, None).lanes)
                lanes += [lane for lane in _further_in(ground, goal, goals) if lane not in lanes]
                check_route(ground.road_map, ground.end_of(lanes))
            except (PlaceError, RouteError):
                continue
            return start, lanes
    raise problem.element.error(
        "no lanelets lead from its initial state to its goal", "Correct successors and neighbours of the lanelets between."
    )
