"""CommonRoad's cost functions over our drives and over commonroad-reactive-planner's, each judged by CommonRoad's own checker.

Run with commonroad-reactive-planner, which brings commonroad-io and the drivability checker, in an environment of its own:

    python3.11 -m venv DIR && DIR/bin/pip install commonroad-reactive-planner==2025.1
    AVSTACK_COMMONROAD_IO=DIR/bin/python python -m tests.oracles.commonroad_costs OUT [--driver joint] FILE.xml ...

Drives each file in the mode `ego` (a recording that OUT has is not driven again), writes both solutions and `costs.json` to OUT
and prints a table. What the other planner does and why it ends is in `tests.oracles.commonroad_reactive`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from eval.run import Job, prepare, recording_path, run_episode
from eval.solution import COSTS, write_solution
from tests.oracles.commonroad_io import PYTHON

THEIRS = Path(__file__).with_name("commonroad_reactive.py")


def drive(file: Path, out: Path, driver: str) -> Path:
    """Our solution of a file, from the recording that lies in `out` or is made now."""
    job = Job(target=str(file), seed=0, settings=("mode=ego",), driver=driver, sensing="objects", out=out)
    recording = recording_path(out, prepare(job).name, job.seed)
    if not recording.exists():
        run_episode(job)
    solution = out / f"{file.stem}-{driver}.xml"
    write_solution(recording, solution)
    return solution


def compared(files: list[tuple[Path, Path, Path]]) -> dict[str, dict[str, Any]]:
    """By scenario, the other planner's run, and verdicts and costs of both solutions; from (scenario, ours, theirs) each."""
    command = [os.environ[PYTHON], str(THEIRS), *(str(path) for three in files for path in three)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    found = [json.loads(line) for line in said if line.startswith('{"file"')]
    return {one["file"]: one for one in found}


def table(results: dict[str, dict[str, Any]], driver: str) -> str:
    """Markdown: one row per file and driver, costs over the steps that both drove."""
    lines = [f"| file | driver | drove | refused for | {' | '.join(COSTS)} |", "|" + "---|" * (4 + len(COSTS))]
    for name, result in results.items():
        planner = result["planner"]
        for who, judged in ((driver, result["ours"]), (f"reactive, {planner['configuration']}", result["theirs"])):
            if judged is None:
                lines.append(f"| {name} | {who} | no step: {planner['why']} |" + " |" * (1 + len(COSTS)))
                continue
            costs = (_shown(judged["common_costs"][cost]) for cost in COSTS)
            drove = f"{judged['distance_m']:.0f} m in {judged['steps']} steps"
            lines.append(f"| {name} | {who} | {drove} | {', '.join(refusals(judged['checks']))} | {' | '.join(costs)} |")
    return "\n".join(lines)


def refusals(checks: dict[str, bool | str]) -> list[str]:
    """What the drivability checker holds against a solution, in words."""
    wanted = {"feasible": "not feasible", "starts": "starts elsewhere", "goal": "goal missed"}
    feared = {"collides": "collides", "leaves": "leaves the road"}
    found = [word for check, word in wanted.items() if checks[check] is not True]
    return found + [word for check, word in feared.items() if checks[check] is not False]


def _shown(cost: dict[str, Any]) -> str:
    return f"{cost['total']:.3g}" if "total" in cost else "–"


def main() -> None:
    """Drive and compare all files."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("files", type=Path, nargs="+")
    arguments.add_argument("--driver", default="joint")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    solutions = [(file, drive(file, given.out, given.driver), given.out / f"{file.stem}-reactive.xml") for file in given.files]
    results = compared(solutions)
    (given.out / "costs.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(table(results, given.driver))


if __name__ == "__main__":
    main()
