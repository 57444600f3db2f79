"""Junctions that a map of lanelets does not name: where lanelets cross each other at an angle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
from shapely import LineString, STRtree

from sim.interface import Floats

ALONG = np.radians(20.0)  # lines that meet at less than this run beside each other
TRIM = 0.5  # m, left off both ends of a centreline: lanelets that only touch there follow each other


class Laid(Protocol):
    """A lanelet of any format, and the ids of what follows and lies beside it."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def centre(self) -> Floats:
        """(P, 2 or 3) centreline [m]."""

    @property
    def successors(self) -> tuple[str, ...]:
        """What it leads into."""

    @property
    def predecessors(self) -> tuple[str, ...]:
        """What leads into it."""

    @property
    def left_neighbour(self) -> tuple[str, bool] | None:
        """Id, and whether it runs the same way."""

    @property
    def right_neighbour(self) -> tuple[str, bool] | None:
        """Id, and whether it runs the same way."""


_L = TypeVar("_L", bound=Laid)


def add_crossings(lanelets: Mapping[str, _L], driven: Sequence[_L], of: dict[str, str]) -> dict[str, str]:
    """Put driven lanelets that cross into a junction, with those that part from the same one; those that were added."""
    touching: defaultdict[str, set[str]] = defaultdict(set)
    for a, b in _crossing_pairs(driven):
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
    return added


def some(names: Mapping[str, str], most: int = 8) -> str:
    """The first few names."""
    return ", ".join(sorted(names)[:most]) + (", ..." if len(names) > most else "")


def _crossing_pairs(driven: Sequence[Laid]) -> list[tuple[str, str]]:
    """Pairs whose centrelines cross at an angle, other than lanelets that follow or lie beside each other."""
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


def _trimmed(lanelet: Laid) -> LineString:
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
