"""What a map holds, as numbers: the data behind `avstack map`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

import numpy as np

from sim.roads.lane_map import LaneKind, LaneMap, Regulation, Turn


class MapReport(TypedDict):
    """Counts and lengths of one map. `lanes` and `length_m` are of driving lanes; the `_by_` entries split what they name."""

    name: str
    lanes: int
    length_m: float
    junctions: int
    stop_lines: int
    signals: int
    crosswalks: int
    dangling: int
    warnings: list[str]
    lanes_by_kind: dict[str, int]
    length_m_by_kind: dict[str, float]
    approaches_by_control: dict[str, int]
    junction_lanes_by_turn: dict[str, int]
    conflicts: int
    extent_m: list[float]
    speed_limits_kph: list[float]
    left_hand_traffic: bool
    arms: list[str]
    dangling_lanes: list[str]


def map_report(road_map: LaneMap, arms: Iterable[str] = ()) -> MapReport:
    """Everything `avstack map` says about a finished map; plain numbers and strings, ready for JSON.

    arms: what scenarios call the roads that lead into its junctions.
    """
    lanes = road_map.lanes
    driving = lanes["kind"] == LaneKind.DRIVING
    return MapReport(
        name=road_map.name,
        lanes=int(driving.sum()),
        length_m=round(float(lanes["length"][driving].sum()), 3),
        junctions=len(road_map.junction_names),
        stop_lines=int((driving & (lanes["stop_s"] >= 0.0)).sum()),
        signals=len(road_map.signals),
        crosswalks=len(road_map.crosswalks),
        dangling=len(road_map.dangling),
        warnings=list(road_map.warnings),
        lanes_by_kind={
            kind.name.lower(): int((lanes["kind"] == kind).sum()) for kind in LaneKind if (lanes["kind"] == kind).any()
        },
        length_m_by_kind={
            kind.name.lower(): round(float(lanes["length"][lanes["kind"] == kind].sum()), 3)
            for kind in LaneKind
            if (lanes["kind"] == kind).any()
        },
        approaches_by_control=_approaches(road_map),
        junction_lanes_by_turn={
            turn.name.lower(): int((driving & (lanes["junction"] >= 0) & (lanes["turn"] == turn)).sum()) for turn in Turn
        },
        conflicts=int((road_map.cluster_matrix >= 0).sum()),
        extent_m=[round(float(np.ptp(road_map.points[axis])), 3) for axis in ("x", "y", "z")],
        speed_limits_kph=_limits(road_map),
        left_hand_traffic=road_map.left_hand_traffic,
        arms=list(arms),
        dangling_lanes=[road_map.lane_names[lane] for lane in road_map.dangling],
    )


def _approaches(road_map: LaneMap) -> dict[str, int]:
    """Driving lanes that lead into a junction, by their control."""
    lanes = road_map.lanes
    counts = {regulation.name.lower(): 0 for regulation in Regulation}
    for lane in np.flatnonzero((lanes["kind"] == LaneKind.DRIVING) & (lanes["junction"] < 0)):
        if any(lanes["junction"][follower] >= 0 for follower in road_map.lane_successors(int(lane))):
            counts[Regulation(lanes["regulation"][lane]).name.lower()] += 1
    return counts


def _limits(road_map: LaneMap) -> list[float]:
    """Distinct speed limits of driving lanes [km/h], rising."""
    found: set[float] = set()
    for lane in np.flatnonzero(road_map.lanes["kind"] == LaneKind.DRIVING):
        found.update(np.unique(road_map.lane_points(int(lane))["speed_limit"]).tolist())
    return sorted({round(3.6 * limit, 1) for limit in found})


def format_report(report: MapReport, *, warnings_most: int = 20) -> str:
    """The report as text for people; at most `warnings_most` warnings."""
    rows = [
        ("driving lanes", f"{report['lanes']}, {report['length_m']:.0f} m"),
        ("all lanes", _counts(report["lanes_by_kind"])),
        ("junctions", f"{report['junctions']} (lanes: {_counts(report['junction_lanes_by_turn'])})"),
        ("approaches", _counts(report["approaches_by_control"])),
        ("arms", f"{len(report['arms'])}" + _listing(report["arms"], most=12)),
        ("stop lines", str(report["stop_lines"])),
        ("signal groups", str(report["signals"])),
        ("crosswalks", str(report["crosswalks"])),
        ("conflicts", f"{report['conflicts']} ordered lane pairs"),
        ("speed limits", ", ".join(f"{limit:g}" for limit in report["speed_limits_kph"]) + " km/h"),
        ("extent", " × ".join(f"{side:.0f}" for side in report["extent_m"]) + " m"),
        ("traffic", "left-hand" if report["left_hand_traffic"] else "right-hand"),
        ("dangling ends", f"{report['dangling']}" + _listing(report["dangling_lanes"])),
        ("warnings", str(len(report["warnings"]))),
    ]
    lines = [report["name"], *(f"  {label:<14} {value}" for label, value in rows)]
    lines += [f"    {warning}" for warning in report["warnings"][:warnings_most]]
    hidden = len(report["warnings"]) - warnings_most
    return "\n".join(lines + ([f"    and {hidden} more (--json lists all)"] if hidden > 0 else []))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', '-')}" for name, count in counts.items() if count) or "none"


def _listing(names: Sequence[str], *, most: int = 5) -> str:
    return f" ({', '.join(names[:most])}{', ...' if len(names) > most else ''})" if names else ""
