"""Tables of tracks as scenarios: everybody replays, and ego drives where somebody was recorded, from its first place to its last.

FILE#NAME makes somebody else the ego, FILE#PART or FILE#PART/NAME takes one of several recordings of a file. Without a name it is
the ego of the file, or else the vehicle that went furthest.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from scenarios.errors import InputError
from scenarios.formats.tracks import Track, Tracks, read_tracks
from scenarios.ground import Ground
from scenarios.maps import ground_of, split_name
from scenarios.model import MapSpec
from scenarios.retrace import Retraced, retrace
from scenarios.schema import ScenarioSpec, Tree, check
from scenarios.yaml_tree import Data
from sim.interface import Floats

LONGER = 1.2  # times the record's duration that ego has
SPARE_S = 2.0
GOAL_M = 10.0  # m along and either side of its last place within which ego has arrived
LONGEST_S = 3600.0
ON_WHEELS = ("car", "van", "truck", "bus", "motorcycle", "bicycle")
AXLES = 0.6  # of a vehicle's length
OVERHANG = 0.18


def tracks_scenario(target: str) -> ScenarioSpec:
    """The scenario of a table of tracks. InputError for what cannot be read or placed."""
    path, part = split_name(target)
    recording = read_tracks(path, part)
    map_file = str(path.resolve()) + (f"#{part}" if part else "") if recording.draft is not None else str(recording.map_file)
    ground = ground_of(MapSpec(file=map_file), Path.cwd())
    ego, way = _ego(path, recording, ground, bool(recording.ego))
    reference = str(path.resolve()) + (f"#{part}" if part else "")
    duration = min(recording.duration_s, LONGEST_S)
    tree: Tree = {
        "version": 1, "name": recording.name[:100], "summary": f"The recording {path.name}.", "tags": ["recording"],
        "map": {"file": map_file}, "duration_s": max(duration, 0.1), "criteria": {"goal": False},
        "traffic": {"users": [_user(track, ego, reference) for track in recording.tracks.values() if len(track.rows) > 1]},
    }  # fmt: skip
    if ego is not None and way is not None:
        last = max(float(ego.rows[-1, 0] - ego.rows[0, 0]) * LONGER + SPARE_S, SPARE_S) + float(ego.rows[0, 0])
        tree["ego"] = _start(ego, way, ground)
        tree["duration_s"] = min(max(last, 0.1), LONGEST_S)
        place = shifted(recording, ego, ground)[-1, 1:4]
        tree["criteria"] = {"regions": [{"outlines": [_around(place)], "window_s": [0.0, min(last, LONGEST_S)]}]}
    return check(tree)


def track_of(path: Path, part: str, name: str, ground: Ground) -> tuple[Floats, float] | None:
    """(T, 5) of t from 0, x, y, heading, speed on the re-centred map, and when it begins [s]; None for nobody."""
    recording = read_tracks(path, part)
    track = recording.tracks.get(name)
    if track is None:
        return None
    rows = shifted(recording, track, ground)
    begins = float(rows[0, 0])
    rows[:, 0] -= begins
    return rows, begins


def shifted(recording: Tracks, track: Track, ground: Ground) -> Floats:
    """(T, 5) rows of a track on the re-centred map."""
    rows = track.rows.copy()
    if not recording.centred:
        rows[:, 1:3] -= ground.road_map.origin
    return rows


def _ego(path: Path, recording: Tracks, ground: Ground, named: bool) -> tuple[Track | None, Retraced | None]:
    """Whose place ego takes and its lanes; nobody where no vehicle's track leads along lanes."""
    if named:
        track = recording.tracks[recording.ego]
        way = retrace(ground, shifted(recording, track, ground)) if track.kind in ON_WHEELS else None
        if way is None:
            raise InputError(f"no lanes lead along the track of {track.id!r}", file=str(path), fix="Name another: FILE#NAME.")
        return track, way
    lengths = {track.id: float(np.hypot(*np.diff(track.rows[:, 1:3], axis=0).T).sum()) for track in recording.tracks.values()}
    for name in sorted(lengths, key=lambda one: -lengths[one]):
        track = recording.tracks[name]
        found = retrace(ground, shifted(recording, track, ground)) if track.kind in ON_WHEELS and len(track.rows) > 1 else None
        if found is not None:
            return track, found
    return None, None


def _user(track: Track, ego: Track | None, reference: str) -> Data:
    return {
        "name": f"{track.kind}_{track.id}" if track.id.isdigit() else track.id, "kind": track.kind,
        "track": f"{reference}#{track.id}", "is_ego": ego is not None and track.id == ego.id,
        "body": {"length": track.length, "width": track.width},
    }  # fmt: skip


def _start(ego: Track, way: Retraced, ground: Ground) -> Data:
    names = ground.road_map.lane_names
    axles = {"wheelbase": AXLES * ego.length, "rear_overhang": OVERHANG * ego.length}
    return {
        "kind": ego.kind, "at": {"lane": names[way.start.lane], "s": way.start.s, "d": way.start.d, "turned": way.start.turned},
        "route": [names[lane] for lane in way.route.lanes], "speed": max(float(ego.rows[0, 4]), 0.0),
        "depart_s": float(ego.rows[0, 0]), "body": {"length": ego.length, "width": ego.width, **axles},
    }  # fmt: skip


def _around(place: Floats) -> Data:
    """Corners of the square about a place, along its heading."""
    x, y, heading = place.tolist()
    cos, sin = math.cos(heading), math.sin(heading)
    corners = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return [[x + 0.5 * GOAL_M * (a * cos - b * sin), y + 0.5 * GOAL_M * (a * sin + b * cos)] for a, b in corners]
