"""Which lanelets lie in a junction: what the intersections of a CommonRoad file name, and what crosses without being named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scenarios.formats.commonroad_model import CommonRoad
from scenarios.formats.crossings import add_crossings, some

DRIVEN_NOT = frozenset({"sidewalk", "crosswalk"})


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
    added = add_crossings(lanelets, [one for one in lanelets.values() if not one.types & DRIVEN_NOT], of)
    if not added:
        return Junctions(of=of, warnings=())
    warning = f"{len(added)} lanelets cross others outside the file's intersections and are taken as junctions: {some(added)}"
    return Junctions(of=of, warnings=(warning,))
