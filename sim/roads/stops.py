"""Where to stop: a resting car must be clear of everything that crosses, so a line inside a conflict zone moves upstream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.geometry import Floats
from sim.roads.graph import Links
from sim.roads.lane_map import CLASS_SIZES, CLASSES, ConflictKind, FootprintClass, LaneDraft, LaneKind, Regulation

CLEARANCE = 0.3  # m, between a resting front bumper and the zone
MOVED_NOTABLY = 3.0  # m, a line moved further than this is worth a warning
LARGE_SETBACK = 3.0  # m, most that a line gives way for the wide sweep of long vehicles
SHORT_APPROACH = 0.5  # m, a line is never put closer than this to the start of its lane

_CAR_LENGTH = float(CLASS_SIZES[FootprintClass.CAR, 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Front positions [m] on an approach lane at which a resting car would be hit. large: only by the largest class."""

    low: float
    high: float
    large: bool


def _zones_of(records: NDArray[np.void], offset: float) -> list[Zone]:
    """Zones from the CLASSES² records of one ordered pair, for a car, shifted by `offset` to the approach lane's s."""
    zones = []
    for size in range(CLASSES):
        record = records[FootprintClass.CAR * CLASSES + size]
        if record["row_count"] > 0:
            low, high = float(record["enter"]) + offset + 0.5 * _CAR_LENGTH, float(record["leave"]) + offset + 0.5 * _CAR_LENGTH
            zones.append(Zone(low=low, high=high, large=size == FootprintClass.LARGE))
    return zones


def _clear_of(line: float, zones: Sequence[Zone]) -> float:
    """The nearest position at or before `line` that lies in no zone."""
    for _ in range(len(zones) + 1):
        inside = [zone.low for zone in zones if zone.low - CLEARANCE < line <= zone.high]
        if not inside:
            return line
        line = min(inside) - CLEARANCE
    return line


@dataclass(frozen=True, slots=True, kw_only=True)
class StopContext:
    """What the placement looks at. by_lane: ordered conflicts (other lane, first record) of each lane; touches: ranges on lanes
    that others sweep although no conflict is kept (ends of approach lanes beside a junction)."""

    drafts: Sequence[LaneDraft]
    lanes: NDArray[np.void]
    successors: Links
    by_lane: Mapping[int, Sequence[tuple[int, int]]]
    conflicts: NDArray[np.void]
    touches: Mapping[int, Sequence[tuple[float, float]]]


def _approach_zones(context: StopContext, lane: int) -> list[Zone]:
    """Everything a car resting near the end of `lane` must stay clear of."""
    half = 0.5 * _CAR_LENGTH
    zones = [Zone(low=low + half, high=high + half, large=False) for low, high in context.touches.get(lane, ())]
    length = float(context.lanes["length"][lane])
    for source, offset in [(lane, 0.0)] + [(n, length) for n in context.successors[lane]]:
        for other, first in context.by_lane.get(source, ()):
            kind = context.conflicts["kind"][first]
            apart = kind == ConflictKind.DIVERGE or (kind == ConflictKind.OPPOSE and source == lane)
            if not apart and context.lanes["kind"][other] != LaneKind.PATH:
                zones.extend(_zones_of(context.conflicts[first : first + CLASSES * CLASSES], offset))
    return zones


def _leads_into_crossing(context: StopContext, lane: int) -> bool:
    """Whether vehicles cross or come head-on in what follows, though not yet on `lane` itself."""
    own = {kind for _, kind in _meetings(context, lane)}
    for following in context.successors[lane]:
        kinds = {kind for _, kind in _meetings(context, following)}
        if ConflictKind.CROSS in kinds and context.lanes["junction"][following] >= 0:
            return True
        if ConflictKind.OPPOSE in kinds and ConflictKind.OPPOSE not in own:
            return True
    return False


def _meetings(context: StopContext, lane: int) -> list[tuple[int, int]]:
    """(other lane, ConflictKind) of a lane's conflicts with vehicles."""
    vehicles = (LaneKind.DRIVING, LaneKind.CYCLE)
    pairs = context.by_lane.get(lane, ())
    return [(other, int(context.conflicts["kind"][first])) for other, first in pairs if context.lanes["kind"][other] in vehicles]


def _needs_line(context: StopContext, lane: int) -> bool:
    """Approaches with a sign or signal, and those that lead into crossing or oncoming traffic."""
    lanes = context.lanes
    if lanes["kind"][lane] not in (LaneKind.DRIVING, LaneKind.CYCLE) or lanes["junction"][lane] >= 0:
        return False
    given = lanes["regulation"][lane] != Regulation.NONE or context.drafts[lane].stop_s is not None
    return given or _leads_into_crossing(context, lane)


def place_stops(context: StopContext) -> tuple[Floats, list[str]]:
    """stop_s (L,) [m], -1 where none, and warnings about drafted lines that had to move far."""
    stops = np.full(len(context.lanes), -1.0)
    warnings: list[str] = []
    for lane in range(len(context.lanes)):
        if not _needs_line(context, lane):
            continue
        draft, length = context.drafts[lane], float(context.lanes["length"][lane])
        wanted = length if draft.stop_s is None else min(max(float(draft.stop_s), 0.0), length)
        zones = _approach_zones(context, lane)
        line = _clear_of(wanted, [zone for zone in zones if not zone.large])
        behind = _clear_of(line, zones)
        line = behind if line - behind <= LARGE_SETBACK else line
        if draft.stop_s is not None and wanted - line > MOVED_NOTABLY:
            place = f"road {draft.road!r}, lane {draft.name!r}, s={wanted:.2f} m"
            warnings.append(f"{place}: the stop line lay in a conflict zone and was moved {wanted - line:.1f} m upstream")
        stops[lane] = max(line, min(SHORT_APPROACH, length))
    return stops, warnings
