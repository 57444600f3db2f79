"""Let CommonRoad's own drivability checker judge a solution file.

Run with commonroad-drivability-checker beside commonroad-io (see `tests.oracles.commonroad_io`):

    AVSTACK_COMMONROAD_IO=DIR/bin/python python -m tests.oracles.commonroad_solution FILE.xml SOLUTION.xml

Prints what each of its checks says; exits with 1 unless the trajectory is feasible and starts as the planning problem says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.oracles.commonroad_io import PYTHON

THEIRS = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from commonroad.common.file_reader import CommonRoadFileReader
from commonroad.common.solution import CommonRoadSolutionReader
from commonroad_dc.feasibility import solution_checker as check
scenario, problems = CommonRoadFileReader(sys.argv[1]).open()
solution = CommonRoadSolutionReader.open(sys.argv[2])
def said(what):
    try:
        return what()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
def feasible():
    return all(found[0] for found in check.solution_feasible(solution, scenario.dt, problems).values())
json.dump({
    "feasible": said(feasible),
    "starts": said(lambda: check.starts_at_correct_state(solution, problems)),
    "goal": said(lambda: check.goal_reached(scenario, problems, solution)),
    "collides": said(lambda: check.obstacle_collision(scenario, problems, solution)),
    "leaves": said(lambda: check.boundary_collision(scenario, problems, solution)),
    "valid": said(lambda: check.valid_solution(scenario, problems, solution)[0]),
}, sys.stdout)
"""


def judged(scenario: str, solution: str) -> dict[str, Any]:
    """What each check says: True, False, or why it refuses."""
    command = [os.environ[PYTHON], "-c", THEIRS, scenario, solution]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


if __name__ == "__main__":
    verdict = judged(sys.argv[1], sys.argv[2])
    print(*(f"{name}: {str(said).splitlines()[0]}" for name, said in verdict.items()), sep="\n")
    sys.exit(int(verdict["feasible"] is not True or verdict["starts"] is not True))
