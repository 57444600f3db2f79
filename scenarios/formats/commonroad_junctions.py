"""Which lanelets lie in a junction: what the intersections of the file name, and what crosses without being named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from shapely import LineString, STRtree

from scenarios.formats.commonroad_model import CommonRoad, Lanelet

DRIVEN_NOT = frozenset({"sidewalk", "crosswalk"})
ALONG = np.radians(20.0)  # lines that meet at less than this run beside each other
TRIM = 0.5  # m, left off both ends of a centreline: lanelets that only touch there follow each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Junctions:
    """of: junction by lanelet; warnings: which ones the file does not have."""

    of: Mapping[str, str]
    warnings: tuple[str, ...]


def find_junctions(recording: CommonRoad) -> Junctions:
    """Junctions by lanelet."""
    lanelets = recording.lanelets
    of: dict[str, str] = {}
    for intersection in recording.intersections:
        leading = {name for incoming in intersection.incomings for name in incoming.lanelets}
        inside = {name for incoming in intersection.incomings for turn in incoming.turns.values() for name in turn}
        inside |= {onward for name in leading if name in lanelets for onward in lanelets[name].successors}
        for name in inside:
            if name in lanelets and (name not in leading or lanelets[name].types >= {"intersection"}):
                of.setdefault(name, intersection.id)
    return Junctions(of=of, warnings=_add_crossings(recording, of))


def _add_crossings(recording: CommonRoad, of: dict[str, str]) -> tuple[str, ...]:
    """Put lanelets that cross into a junction, with those that part from the same one; what to say of it."""
    lanelets = recording.lanelets
    touching: defaultdict[str, set[str]] = defaultdict(set)
    for a, b in _crossing_pairs(list(lanelets.values())):
        touching[a].add(b)
        touching[b].add(a)
    added: dict[str, str] = {}
    for name in sorted(touching):
        if name in of:
            continue
        group, front = {name}, [name]
        while front:
            for other in touching[front.pop()] - group:
                group.add(other)
                if other not in of:
                    front.append(other)
        junction = next((of[other] for other in sorted(group) if other in of), f"crossing of {name}")
        for other in group - of.keys():
            of[other] = added[other] = junction
    for name in sorted(added):
        siblings = {
            onward for before in lanelets[name].predecessors if before in lanelets for onward in lanelets[before].successors
        }
        for other in siblings:
            if other in lanelets and other not in of:
                of[other] = added[other] = added[name]
    if not added:
        return ()
    return (f"{len(added)} lanelets cross others outside the file's intersections and are taken as junctions: {_some(added)}",)


def _some(names: Mapping[str, str], most: int = 8) -> str:
    return ", ".join(sorted(names)[:most]) + (", ..." if len(names) > most else "")


def _crossing_pairs(lanelets: list[Lanelet]) -> list[tuple[str, str]]:
    """Pairs for vehicles whose centrelines cross at an angle, other than lanelets that follow or lie beside each other."""
    driven = [lanelet for lanelet in lanelets if not lanelet.types & DRIVEN_NOT]
    lines = [_trimmed(lanelet) for lanelet in driven]
    if not lines:
        return []
    pairs = []
    for a, b in STRtree(lines).query(lines, predicate="intersects").T.tolist():
        one, other = driven[a], driven[b]
        related = {
            *one.successors,
            *one.predecessors,
            *(n[0] for n in (one.left_neighbour, one.right_neighbour) if n is not None),
        }
        shared = (set(one.successors) & set(other.successors)) | (set(one.predecessors) & set(other.predecessors))
        if a < b and other.id not in related and not shared and _at_an_angle(lines[a], lines[b]):
            pairs.append((one.id, other.id))
    return pairs


def _trimmed(lanelet: Lanelet) -> LineString:
    line = LineString(lanelet.centre[:, :2])
    cut = min(TRIM, 0.25 * line.length)
    return LineString(
        [line.interpolate(cut), *(line.interpolate(s) for s in _knots(line, cut)), line.interpolate(line.length - cut)]
    )


def _knots(line: LineString, cut: float) -> list[float]:
    """Ways along a line to its own points, without those at its ends."""
    xy = np.asarray(line.coords)
    s = np.append(0.0, np.cumsum(np.hypot(*np.diff(xy, axis=0).T)))
    return [float(way) for way in s if cut < way < line.length - cut]


def _at_an_angle(a: LineString, b: LineString) -> bool:
    place = a.intersection(b).representative_point()
    headings = []
    for line in (a, b):
        s = line.project(place)
        first, last = line.interpolate(max(s - 0.5, 0.0)), line.interpolate(min(s + 0.5, line.length))
        headings.append(np.arctan2(last.y - first.y, last.x - first.x))
    turn = abs((headings[1] - headings[0] + np.pi) % (2.0 * np.pi) - np.pi)
    return bool(ALONG < turn < np.pi - ALONG)
