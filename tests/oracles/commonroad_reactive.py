"""commonroad-reactive-planner drives CommonRoad scenarios; CommonRoad's checker and cost functions judge its solutions and ours.

Run by an interpreter that has these packages, never by the product's: see `tests.oracles.commonroad_costs`.

    DIR/bin/python tests/oracles/commonroad_reactive.py FILE.xml OURS.xml THEIRS.xml ...

Writes THEIRS.xml, where they drove at all, and prints a line of JSON for each three files.
The loop is that of the planner's own example (its docs/examples/long_examples.md): its route planner's reference path, its
collision checker with the recorded future of everybody, its default vehicle, sampling and cost function, planned anew every
three steps.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from commonroad.common.file_reader import CommonRoadFileReader
from commonroad.common.solution import CommonRoadSolutionReader, CommonRoadSolutionWriter, VehicleType
from commonroad.common.util import Interval
from commonroad.planning.planning_problem import PlanningProblemSet
from commonroad.scenario.trajectory import Trajectory
from commonroad_clcs.pycrccosy import CurvilinearProjectionDomainLateralError, CurvilinearProjectionDomainLongitudinalError
from commonroad_dc.costs.evaluation import CostFunctionEvaluator, cost_function_mapping
from commonroad_dc.feasibility import solution_checker as check
from commonroad_rp.reactive_planner import ReactivePlanner
from commonroad_rp.utility import evaluation
from commonroad_rp.utility.config import ReactivePlannerConfiguration
from commonroad_rp.utility.utils_coordinate_system import create_coordinate_system, create_initial_ref_path

EXAMPLE = {"time_steps_computation": 20, "low_vel_mode_threshold": 2.0}, {"t_min": 1.0}
"""Planning and sampling of the configuration that comes with the planner's example, ZAM_Tjunction-1_42_T-1: a horizon of 2 s."""
SAME_START = 0.5  # m, at the same step: whose record is the ego's
DRAWN_OUT = 10.0  # m that the reference path is longer at both ends


def drive(scenario: Path, out: Path) -> dict[str, Any]:
    """How the planner did as far as it came: with its defaults, where these fail as its example is configured, and where both do
    on a reference path that is drawn out. Writes what it drove longest."""
    tries: list[dict[str, Any]] = []
    for drawn_out in (False, True):
        for name, changes in (("defaults", ({}, {})), ("example", EXAMPLE)):
            name += ", drawn out" * drawn_out
            parts = out.with_stem(f"{out.stem}-{len(tries)}")
            tries.append(_driven(scenario, parts, changes, drawn_out) | {"configuration": name})
            if tries[-1]["why"] is None:
                break
        if tries[-1]["why"] is None:
            break
    best = max(tries, key=lambda found: (found["why"] is None, found["steps"]))
    if best["steps"]:
        out.with_stem(f"{out.stem}-{tries.index(best)}").replace(out)
    return {"tries": tries, "configuration": best["configuration"], "steps": best["steps"], "why": best["why"]}


def _driven(scenario: Path, out: Path, changes: tuple[dict[str, Any], dict[str, Any]], drawn_out: bool) -> dict[str, Any]:
    """One closed-loop run: steps driven, CPU seconds, and why it ended before its goal (None where it did not)."""
    config = ReactivePlannerConfiguration()
    config.debug.multiproc, config.debug.logging_level = False, "CRITICAL"
    for part, values in zip((config.planning, config.sampling), changes, strict=True):
        for key, value in values.items():
            setattr(part, key, value)
    config.planning.__post_init__()  # the horizon follows from the number of steps
    config.update(*_read(scenario))
    started, states, why = time.process_time(), [], None
    try:
        path = create_initial_ref_path(config.scenario.lanelet_network, config.planning_problem)
        planner = ReactivePlanner(config)
        planner.set_reference_path(
            coordinate_system=_told_none(create_coordinate_system(_drawn_out(path) if drawn_out else path))
        )
        states = planner.record_state_list
        why = _loop(planner, config)
    except Exception as error:  # whatever their planner raises is its result
        why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no text'}"
    if len(states) > 1:
        trajectory = evaluation.create_full_solution_trajectory(config, states)
        problem = evaluation.create_planning_problem_solution(config, trajectory, config.scenario, config.planning_problem)
        CommonRoadSolutionWriter(problem).write_to_file(str(out.parent), out.name, overwrite=True)
    return {"steps": max(len(states) - 1, 0), "why": why, "cpu_s": time.process_time() - started}


def _read(scenario_file: Path) -> tuple[Any, Any]:
    """The scenario without the record of the ego itself, which our ego drives without, too, and its planning problem."""
    scenario, problems = CommonRoadFileReader(str(scenario_file)).open()
    problem = next(iter(problems.planning_problem_dict.values()))
    start = problem.initial_state
    for obstacle in scenario.dynamic_obstacles:
        first = obstacle.initial_state
        if first.time_step == start.time_step and np.hypot(*(first.position - start.position)) <= SAME_START:
            scenario.remove_obstacle(obstacle)
    return scenario, problem


def _drawn_out(path: Any) -> Any:
    """(N, 2) points, with more of them straight ahead of either end, a metre apart: one far point would bend the spline that
    smooths them."""
    first, last = path[0] - path[1], path[-1] - path[-2]
    metres = np.arange(1.0, DRAWN_OUT + 0.5)[:, None]
    return np.vstack([path[0] + metres[::-1] * first / np.hypot(*first), path, path[-1] + metres * last / np.hypot(*last)])


def _told_none(system: Any) -> Any:
    """The coordinate system, which answers None for a point outside of its domain: the planner drops samples by that answer, but
    the package that pip brings raises."""
    convert = system.convert_to_cartesian_coords

    def answer(s: float, d: float) -> Any:
        try:
            return convert(s, d)
        except (CurvilinearProjectionDomainLateralError, CurvilinearProjectionDomainLongitudinalError):
            return None

    system.convert_to_cartesian_coords = answer
    return system


def _loop(planner: Any, config: Any) -> str | None:
    """Drive until the goal, or say why it ends before; at most to the end of the goal's time."""
    last = max(_end(goal.time_step) for goal in config.planning_problem.goal.state_list)
    planner.record_state_and_input(planner.x_0)
    plan: Any = None
    while not planner.goal_reached():
        count = len(planner.record_state_list) - 1
        if planner.x_0.time_step >= last:
            return "its time is over"
        ahead = count % config.planning.replanning_frequency
        if ahead == 0:
            planner.set_desired_velocity(current_speed=planner.x_0.velocity)
            plan = planner.plan()
            if plan is None:
                return (
                    f"no trajectory left at step {planner.x_0.time_step}: {planner.infeasible_count_kinematics} of the last "
                    f"{planner.total_count_samples} are infeasible, {planner.infeasible_count_collision} collide"
                )
        planner.record_state_and_input(plan[0].state_list[1 + ahead])
        planner.reset(
            initial_state_cart=planner.record_state_list[-1], initial_state_curv=(plan[1][1 + ahead], plan[2][1 + ahead]),
            collision_checker=planner.collision_checker, coordinate_system=planner.coordinate_system,
        )  # fmt: skip
    return None


def _end(time_step: Any) -> int:
    return int(time_step.end if isinstance(time_step, Interval) else time_step)


def compare(scenario_file: Path, ours: Path, theirs: Path) -> dict[str, Any]:
    """How their planner did, and what is said of both solutions; None for theirs where they drove not even a step."""
    planner = drive(scenario_file, theirs)
    files = {"ours": ours} | ({"theirs": theirs} if planner["steps"] else {})
    solutions = {who: CommonRoadSolutionReader.open(str(file)) for who, file in files.items()}
    drives = {who: solution.planning_problem_solutions[0].trajectory for who, solution in solutions.items()}
    common = min(drive.state_list[-1].time_step for drive in drives.values())
    scenario, problem = _read(scenario_file)
    problems = PlanningProblemSet([problem])
    found: dict[str, Any] = {"file": scenario_file.stem, "planner": planner, "common_step": common, "theirs": None}
    for who, trajectory in drives.items():
        cut = Trajectory(trajectory.initial_time_step, [state for state in trajectory.state_list if state.time_step <= common])
        costs = _costs(scenario, problem, trajectory)
        found[who] = {
            "checks": _checks(scenario, problems, solutions[who]), "steps": len(trajectory.state_list) - 1, "costs": costs,
            "common_costs": costs if len(cut.state_list) == len(trajectory.state_list) else _costs(scenario, problem, cut),
            "distance_m": float(np.hypot(*np.diff([state.position for state in trajectory.state_list], axis=0).T).sum()),
        }  # fmt: skip
    return found


def _checks(scenario: Any, problems: Any, solution: Any) -> dict[str, bool | str]:
    """True, False or the reason that each check gives. `valid_solution` asks the same but for the start."""
    checks: dict[str, Callable[[], bool]] = {
        "feasible": lambda: all(one[0] for one in check.solution_feasible(solution, scenario.dt, problems).values()),
        "starts": lambda: check.starts_at_correct_state(solution, problems),
        "goal": lambda: check.goal_reached(scenario, problems, solution),
        "collides": lambda: check.obstacle_collision(scenario, problems, solution),
        "leaves": lambda: check.boundary_collision(scenario, problems, solution),
    }
    found: dict[str, bool | str] = {}
    for name, ask in checks.items():
        try:
            found[name] = bool(ask())
        except Exception as error:  # a refusal is an answer
            found[name] = f"{type(error).__name__}: {error}"
    return found


def _costs(scenario: Any, problem: Any, trajectory: Trajectory) -> dict[str, Any]:
    """Total and unweighted partial costs by cost function, or why there is none."""
    found: dict[str, Any] = {}
    for function in cost_function_mapping:
        try:
            result = CostFunctionEvaluator(function, VehicleType.BMW_320i).evaluate_pp_solution(scenario, problem, trajectory)
            partial = {one.name: float(cost) for one, cost in result.partial_costs.items()}
            found[function.name] = {"total": float(result.total_costs), "partial": partial}
        except Exception as error:  # a refusal is an answer
            found[function.name] = {"error": f"{type(error).__name__}: {error}"}
    return found


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    files = [Path(name) for name in sys.argv[1:]]
    for three in zip(files[::3], files[1::3], files[2::3], strict=True):
        print("", json.dumps(compare(*three)), sep="\n", flush=True)
