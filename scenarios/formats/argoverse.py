"""Argoverse 2 motion forecasting scenarios (Wilson et al., NeurIPS 2021): `scenario_ID.parquet` with `log_map_archive_ID.json`
beside it. The car that recorded, track AV, is the ego."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scenarios.errors import InputError
from scenarios.formats.crossings import add_crossings
from scenarios.formats.lanelet2_model import rungs
from scenarios.formats.tracks import Tracks, column, gathered, words
from sim.interface import Floats
from sim.roads.lane_map import Crosswalk, LaneDraft, LaneKind, MapDraft

STEP_S = 0.1
EGO = "AV"
KINDS = {
    "vehicle": "car", "bus": "bus", "pedestrian": "pedestrian", "cyclist": "bicycle", "motorcyclist": "motorcycle",
    "riderless_bicycle": "bicycle", "static": "object", "background": "object", "construction": "object", "unknown": "object",
}  # fmt: skip
LIMIT = 13.4  # m/s, 30 mph: the format has no limits
MAP_BYTES_MAX = 256 * 1024 * 1024


def read_argoverse(path: Path, table: pa.Table) -> Tracks:
    """The scenario of a table that has been read."""
    ids, kinds = words(path, table, "track_id"), words(path, table, "object_type")
    unknown = [kind for kind in dict.fromkeys(kinds.tolist()) if kind not in KINDS]
    if unknown:
        raise InputError(f"object_type {unknown[0]!r} is unknown", file=str(path), fix=f"Known are {', '.join(KINDS)}.")
    vx, vy = column(path, table, "velocity_x"), column(path, table, "velocity_y")
    kept = np.array([KINDS[kind] != "object" for kind in kinds.tolist()])
    numbers = {
        "time": STEP_S * column(path, table, "timestep"), "x": column(path, table, "position_x"),
        "y": column(path, table, "position_y"), "heading": column(path, table, "heading"), "speed": np.hypot(vx, vy),
        "length": np.zeros(len(ids)), "width": np.zeros(len(ids)),
    }  # fmt: skip
    named = np.array([KINDS[kind] for kind in kinds.tolist()])
    tracks = gathered(path, ids[kept], named[kept], {name: values[kept] for name, values in numbers.items()})
    left = len(set(ids[~kept].tolist()))
    warnings = (f"{left} tracks of things that are no road users are left out",) if left else ()
    map_file = path.with_name(path.name.replace("scenario_", "log_map_archive_", 1)).with_suffix(".json")
    return Tracks(
        name=path.stem, tracks=tracks, ego=EGO if EGO in tracks else "", draft=lambda: read_map(map_file), warnings=warnings
    )


class _Lane:
    """A lane segment with what `add_crossings` looks at."""

    def __init__(self, name: str, segment: Mapping[str, Any], left: Floats, right: Floats, known: set[str]) -> None:
        self.id, self.segment, self.rungs = name, segment, rungs(left, right)
        self.centre: Floats = 0.5 * (self.rungs[0] + self.rungs[1])
        self.successors = tuple(str(one) for one in segment.get("successors", ()) if str(one) in known)
        self.predecessors = tuple(str(one) for one in segment.get("predecessors", ()) if str(one) in known)
        self.left_neighbour = self._beside("left_neighbor_id", known)
        self.right_neighbour = self._beside("right_neighbor_id", known)

    def _beside(self, key: str, known: set[str]) -> tuple[str, bool] | None:
        name = str(self.segment.get(key))
        return (name, True) if name in known else None


def read_map(path: Path) -> MapDraft:
    """The map archive of a scenario. InputError for what is not there or makes no sense."""
    try:
        if path.stat().st_size > MAP_BYTES_MAX:
            raise InputError("is too large for a map of a scenario", file=str(path), fix="Download it again.")
        archive = json.loads(path.read_text(encoding="utf-8"))
        return _draft(path, archive)
    except OSError:
        raise InputError("the map archive does not exist", file=str(path), fix="Put it beside the scenario.") from None
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"is no map archive: {type(error).__name__}: {error}", file=str(path), fix="Download it again."
        ) from None


def _draft(path: Path, archive: Mapping[str, Any]) -> MapDraft:
    segments: Mapping[str, Any] = archive["lane_segments"]
    known = {str(name) for name in segments}
    lanes = {
        str(name): _Lane(str(name), one, _line(path, one["left_lane_boundary"]), _line(path, one["right_lane_boundary"]), known)
        for name, one in segments.items()
    }
    if not lanes:
        raise InputError("has no lane segments", file=str(path), fix="Download it again.")
    of = {name: f"junction of {name}" for name, lane in lanes.items() if lane.segment.get("is_intersection")}
    crossing: dict[str, str] = {}
    add_crossings(lanes, [lane for lane in lanes.values() if lane.segment.get("lane_type") != "BIKE"], crossing)
    of.update(crossing)
    crosswalks = [
        Crosswalk(outline=np.concatenate([_line(path, one["edge1"])[:, :2], _line(path, one["edge2"])[::-1, :2]]))
        for one in archive.get("pedestrian_crossings", {}).values()
    ]
    return MapDraft(
        name=path.stem, lanes=[_lane(lane, of) for lane in lanes.values()], crosswalks=crosswalks,
        warnings=("the format has no limits, signals or stop lines: 48 km/h is taken, and who comes from the right goes first",),
        extra_drivable=[_line(path, one["area_boundary"])[:, :2] for one in archive.get("drivable_areas", {}).values()],
    )  # fmt: skip


def _lane(lane: _Lane, of: Mapping[str, str]) -> LaneDraft:
    left, right = lane.rungs
    half = np.maximum(0.5 * np.hypot(*(left - right)[:, :2].T), 0.3)
    marks = {side: str(lane.segment.get(f"{side}_lane_mark_type", "")) for side in ("left", "right")}
    return LaneDraft(
        name=lane.id, centreline=lane.centre[:, :2], half_width=half, speed_limit=LIMIT, successors=lane.successors,
        kind=LaneKind.CYCLE if lane.segment.get("lane_type") == "BIKE" else LaneKind.DRIVING, junction=of.get(lane.id),
        left=lane.left_neighbour[0] if lane.left_neighbour is not None and "SOLID" not in marks["left"] else None,
        right=lane.right_neighbour[0] if lane.right_neighbour is not None and "SOLID" not in marks["right"] else None,
        road=lane.id,
    )  # fmt: skip


def _line(path: Path, points: Sequence[Mapping[str, Any]]) -> Floats:
    """(P, 3) points of a line."""
    line = np.array([[float(point["x"]), float(point["y"]), float(point.get("z", 0.0))] for point in points], np.float64)
    if len(line) < 2 or not np.isfinite(line).all():
        raise InputError(f"a line has {len(line)} sound points", file=str(path), fix="Download it again.")
    return line
