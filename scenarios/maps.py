"""From a scenario's `map` part to a finished, surveyed map, built once per process for the same words."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import get_type_hints

from scenarios.errors import InputError
from scenarios.formats.override import override_control
from scenarios.ground import Ground, survey
from scenarios.model import MapSpec
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import MapDraft

MAPS_KEPT = 16
MAP_SUFFIXES = (".xodr", ".xml", ".osm")
_OVERRIDES = {"all_way": "all_way_stop"}
"""The builders' word for a control, where map files have another; scenarios may say either."""


def split_name(target: str) -> tuple[Path, str]:
    """FILE#PART as file and part; a # in the names of folders is their own."""
    name, mark, part = target.rpartition("#")
    return (Path(name), part) if mark and "/" not in part.partition("/")[0] and is_tracks(Path(name)) else (Path(target), "")


def is_tracks(path: Path) -> bool:
    """Whether a file is called like a table of tracks."""
    return path.suffix.lower() in (".csv", ".parquet") or ".tfrecord" in path.name


def builder_names() -> tuple[str, ...]:
    """Names of the parametric builders."""
    return tuple(BUILDERS)


@lru_cache(maxsize=64)
def builder_parameters(name: str | None) -> Mapping[str, object]:
    """Parameter names of a builder and their types; empty for an unknown builder."""
    if name is None or name not in BUILDERS:
        return {}
    hints = get_type_hints(BUILDERS[name])
    return {key: hints.get(key, object) for key in inspect.signature(BUILDERS[name]).parameters}


def ground_of(spec: MapSpec, folder: Path) -> Ground:
    """The map of a scenario, surveyed; file names start from `folder`. InputError, placed in the file if it is its fault."""
    if spec.file is not None:
        path, _ = split_name(str(Path(folder, spec.file)))
        try:
            changed = path.stat().st_mtime_ns
        except (OSError, ValueError):
            raise InputError(
                f"map file {spec.file!r} does not exist (looked for {path})", fix="paths start from the scenario file"
            ) from None
        if path.suffix.lower() not in MAP_SUFFIXES and not is_tracks(path):
            raise InputError(f"cannot read a map from {spec.file!r}", fix=f"known kinds of map file: {', '.join(MAP_SUFFIXES)}")
        return _from_file(Path(folder, spec.file), changed, tuple(sorted(spec.controls.items())), spec.left_hand)
    if spec.builder is None:
        raise InputError("the map has neither builder nor file")
    parameters = dict(spec.parameters)
    if spec.left_hand is not None:
        parameters["left_hand_traffic"] = spec.left_hand
    return _from_builder(spec.builder, json.dumps(parameters, sort_keys=True))


@lru_cache(maxsize=MAPS_KEPT)
def _from_file(path: Path, changed: int, controls: tuple[tuple[str, str], ...], left_hand: bool | None) -> Ground:
    """The surveyed map of a file that was last `changed` then."""
    try:
        draft = _read_draft(path, changed)
        if controls:
            draft = override_control(draft, {arm: _OVERRIDES.get(control, control) for arm, control in controls})
        if left_hand is not None:
            draft = replace(draft, left_hand_traffic=left_hand)
        return survey(assemble(draft))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error), file=str(path)) from error


def _read_draft(path: Path, changed: int) -> MapDraft:
    """The lanes of a map file. The readers are a fifth of the start-up time, of no use to built maps."""
    file, part = split_name(str(path))
    if is_tracks(file):
        return _recorded_draft(file, part)
    match path.suffix.lower():
        case ".xml":
            from scenarios.formats.commonroad import draft_map, read_once
            from scenarios.formats.smooth_lines import smoothed

            return smoothed(draft_map(read_once(path, changed)))
        case ".osm":
            from scenarios.formats import lanelet2
            from scenarios.formats.smooth_lines import smoothed

            return smoothed(lanelet2.draft_map(lanelet2.read_lanelet2(path)))
    from scenarios.formats.opendrive import read_opendrive

    return read_opendrive(path)


def _recorded_draft(file: Path, part: str) -> MapDraft:
    """The lanes that a recording brings along."""
    from scenarios.formats.smooth_lines import smoothed
    from scenarios.formats.tracks import read_tracks

    recording = read_tracks(file, part)
    if recording.draft is None:
        raise InputError("brings no map along", file=str(file), fix=f"its map is {recording.map_file}")
    return smoothed(recording.draft())


@lru_cache(maxsize=MAPS_KEPT)
def _from_builder(name: str, parameters: str) -> Ground:
    try:
        built = BUILDERS[name](**json.loads(parameters))
        return survey(assemble(built) if isinstance(built, MapDraft) else built)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"builder {name!r} refuses its parameters: {error}") from error
