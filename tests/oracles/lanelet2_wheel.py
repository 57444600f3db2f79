"""Compare what we read from Lanelet2 files with what the lanelet2 library reads.

Run with its wheel in an environment of its own:

    python -m venv DIR && DIR/bin/pip install lanelet2
    AVSTACK_LANELET2=DIR/bin/python python -m tests.oracles.lanelet2_wheel FILE.osm ...

Prints one line a file and exits with 1 where lanelets, what follows what, or centrelines differ by more than TOLERANCE. Lanelets
for trains are left out here, and centrelines are compared before they are smoothed. The library keeps the nodes' latitudes and
longitudes, so files with local coordinates are compared by shape alone: both are laid over each other at their middle.
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

from scenarios.formats.lanelet2 import read_lanelet2

TOLERANCE = 0.01  # m
PYTHON = "AVSTACK_LANELET2"
"""Environment variable that names the interpreter which has the library."""

THEIRS = """
import json, sys
import xml.etree.ElementTree as ET
from lanelet2.io import Origin, loadRobust
from lanelet2.projection import UtmProjector
node = ET.parse(sys.argv[1]).getroot().find("node")
loaded, errors = loadRobust(sys.argv[1], UtmProjector(Origin(float(node.get("lat")), float(node.get("lon")))))
lanes = [one for one in loaded.laneletLayer if one.attributes["subtype"] != "rail"]
def ends(one):
    return [(one.leftBound[k].id, one.rightBound[k].id) for k in (0, -1)]
starts = {}
for one in lanes:
    starts.setdefault(ends(one)[0], []).append(str(one.id))
json.dump({
    "lanes": {str(one.id): {"centre": [[p.x, p.y] for p in one.centerline], "after": sorted(starts.get(ends(one)[1], []))}
              for one in lanes},
    "rules": sum(1 for _ in loaded.regulatoryElementLayer), "errors": len(errors),
}, sys.stdout)
"""


def compare(path: str) -> list[str]:
    """What differs in one file."""
    python = os.environ.get(PYTHON, sys.executable)
    run = subprocess.run([python, "-c", THEIRS, path], capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{PYTHON}={python} cannot read {path}: {run.stderr[-500:]}")
    theirs: dict[str, Any] = json.loads(run.stdout)
    ours = read_lanelet2(path)
    lanes = {name: lane for name, lane in ours.lanes.items() if name == lane.lanelet}
    found = [f"lanelets: ours {len(lanes)}, theirs {len(theirs['lanes'])}"] if lanes.keys() != theirs["lanes"].keys() else []
    both = sorted(lanes.keys() & theirs["lanes"].keys())
    shift = _middle([lanes[name].centre for name in both]) - _middle([np.array(theirs["lanes"][name]["centre"]) for name in both])
    worst = 0.0
    for name in both:
        lane, other = lanes[name], theirs["lanes"][name]
        after = sorted(one for one in lane.successors if one in lanes)
        if after != other["after"]:
            found.append(f"{name}: followed by {after}, theirs {other['after']}")
        line = np.array(other["centre"]) + shift
        away = max(_apart(lane.centre, line), _apart(line, lane.centre))
        worst = max(worst, away)
        if away > TOLERANCE:
            found.append(f"{name}: centreline {away:.3f} m apart")
    apart = f"centrelines at most {1000.0 * worst:.1f} mm apart"
    print(f"{Path(path).name}: {len(both)} lanelets, {apart}, {len(ours.rules)} of {theirs['rules']} rules")
    return found


def _middle(lines: list[np.ndarray]) -> np.ndarray:
    every = np.concatenate([line[:, :2] for line in lines])
    middle: np.ndarray = 0.5 * (every.min(axis=0) + every.max(axis=0))
    return middle


def _apart(points: np.ndarray, line: np.ndarray) -> float:
    other = LineString(line[:, :2])
    return max(float(other.distance(Point(point))) for point in points[:, :2])


def main(paths: list[str]) -> int:
    """Compare all files; the exit code."""
    differences = [(path, line) for path in paths for line in compare(path)]
    for path, line in differences:
        print(f"{path}: {line}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
