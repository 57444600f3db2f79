"""Compare what we read from OpenDRIVE files with what SUMO's netconvert reads.

Run with netconvert (pip install eclipse-sumo) on $PATH: `python -m tests.oracles.opendrive_netconvert FILE.xodr ...`.
Prints one block a file and exits with 1 where the number of car connections between two roads differs.

What differs by design: netconvert builds its own lanes inside junctions (we keep the file's connecting roads), cuts roads at
every lane section (we chain them), shortens roads near junctions (ours have the file's length), keeps roads of a centimetre, has
no junction where only pavements meet, and reads no direct junctions.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from scenarios.errors import InputError
from scenarios.formats.opendrive import read_opendrive
from scenarios.formats.opendrive_lanes import KINDS
from scenarios.formats.xml import Element, read_xml
from sim.roads.lane_map import LaneDraft, LaneKind

Links = Counter[tuple[str, str]]
"""Connections for cars from one road to another, by road ids."""


def road_of(edge: str) -> str:
    """OpenDRIVE road id in a SUMO edge id: a sign for the direction, the id, and the section's start."""
    return re.sub(r"^-?([^.#_]+)([.#_].*)?$", r"\1", edge)


def for_cars(lane: Element) -> bool:
    """Whether a lane is for driving; netconvert lets cars use parking lanes too, but keeps the file's type."""
    allowed, refused = lane.text("allow", "").split(), lane.text("disallow", "").split()
    passes = "passenger" in allowed if allowed else "passenger" not in refused and "all" not in refused
    return passes and KINDS.get(lane.text("type", "driving")) == LaneKind.DRIVING


def theirs(path: Path) -> tuple[float, int, Links]:
    """Metres of car lanes outside junctions, junctions where roads meet, and connections, by netconvert."""
    with tempfile.TemporaryDirectory() as folder:
        net = Path(folder) / "net.xml"
        command = [
            "netconvert",
            "--opendrive-files",
            str(path),
            "-o",
            str(net),
            "--junctions.scurve-stretch",
            "0",
            "--no-warnings",
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise InputError(f"netconvert cannot read it: {done.stderr.strip().splitlines()[0]}", file=str(path))
        root = read_xml(net)
    edges = [edge for edge in root.all("edge") if not edge.text("id").startswith(":")]
    lanes = {(edge.text("id"), lane.text("index")): lane for edge in edges for lane in edge.all("lane") if for_cars(lane)}
    links: Links = Counter()
    for link in root.all("connection"):
        ends = (link.text("from"), link.text("fromLane")), (link.text("to"), link.text("toLane"))
        if all(end in lanes for end in ends) and road_of(ends[0][0]) != road_of(ends[1][0]):
            links[road_of(ends[0][0]), road_of(ends[1][0])] += 1
    # Places named ID.begin and ID.end, or between two sections, are not junctions of the file.
    ids = {element.text("id") for element in read_xml(path).all("junction")}
    junctions = sum(element.text("id") in ids for element in root.all("junction"))
    return sum(lane.number("length") for lane in lanes.values()), junctions, links


def ours(path: Path) -> tuple[float, int, Links]:
    """The same by our reader."""
    draft = read_opendrive(path)
    driving = {lane.name: lane for lane in draft.lanes if lane.kind == LaneKind.DRIVING}
    links: Links = Counter()
    for lane in driving.values():
        if lane.junction is not None:
            continue
        for name in lane.successors:
            if name in driving:
                for target in _beyond(driving[name], driving):
                    links[_road(lane), _road(target)] += 1
    links = Counter({pair: count for pair, count in links.items() if pair[0] != pair[1]})
    # A lane used both ways is one lane to netconvert.
    outside = [lane for name, lane in driving.items() if lane.junction is None and not name.partition("@")[0].endswith("r")]
    length = sum(float(np.hypot(*np.diff(lane.centreline[:, :2], axis=0).T).sum()) for lane in outside)
    return length, len({lane.junction for lane in draft.lanes if lane.junction is not None}), links


def _road(lane: LaneDraft) -> str:
    return lane.name.partition(".")[0]


def _beyond(lane: LaneDraft, lanes: dict[str, LaneDraft]) -> list[LaneDraft]:
    """The lanes outside junctions that a lane leads to, itself if it is one."""
    if lane.junction is None:
        return [lane]
    return [target for name in lane.successors if name in lanes for target in _beyond(lanes[name], lanes)]


def compare(path: Path) -> bool:
    """Print both sides; whether all connections agree."""
    print(path.name)
    length, junctions, links = ours(path)
    try:
        their_length, their_junctions, their_links = theirs(path)
    except InputError as error:
        print(f"  {error}")
        return True
    print(
        f"  metres of car lanes outside  ours {length:9.1f}    netconvert {their_length:9.1f}  ({length / their_length - 1:+.2%})"
    )
    print(f"  junctions of the file        ours {junctions:9d}    netconvert {their_junctions:9d}")
    print(f"  car connections              ours {links.total():9d}    netconvert {their_links.total():9d}")
    for pair in sorted(set(links) | set(their_links)):
        if links[pair] != their_links[pair]:
            print(f"    road {pair[0]} to {pair[1]}: ours {links[pair]}, netconvert {their_links[pair]}")
    return links == their_links


def main(arguments: list[str]) -> int:
    if shutil.which("netconvert") is None:
        print("skipped: netconvert is not on $PATH (pip install eclipse-sumo)")
        return 0
    if not arguments:
        print("usage: python -m tests.oracles.opendrive_netconvert FILE.xodr ...")
        return 2
    return 0 if all(compare(Path(argument)) for argument in arguments) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
