"""From what a user types to a scenario: a name of the catalogue, a scenario file or a map file, and `--set key=value` on top."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from scenarios.catalogue import FAMILIES
from scenarios.errors import InputError
from scenarios.fields import keys_at, types_at
from scenarios.maps import MAP_SUFFIXES, builder_parameters, is_tracks, split_name
from scenarios.nearest import nearest
from scenarios.schema import ScenarioSpec, Tree, check, load
from scenarios.yaml_tree import Data, parse
from scenarios.yaml_tree import Path as TreePath

SCENARIO_SUFFIXES = (".yaml", ".yml")
SCRIPT_SUFFIX = ".xosc"
TRACK_SUFFIXES = (".csv", ".parquet", ".tfrecord")
MAP_DURATION_S = 60.0
MAP_ROUTE_M = 200.0
MAP_VEHICLES_PER_LANE_KM = 6.0


def resolve(target: str) -> ScenarioSpec:
    """What `target` names: a family of the catalogue, a scenario .yaml, a map .xodr or .osm, a CommonRoad .xml, an OpenSCENARIO
    .xosc, a table of tracks. Raises InputError."""
    if target in FAMILIES:
        return FAMILIES[target].spec()
    suffix = Path(target).suffix.lower()
    if suffix in SCENARIO_SUFFIXES:
        return load(Path(target))
    if suffix in MAP_SUFFIXES:
        if not Path(target).is_file():
            found = "is a folder, not a file" if Path(target).is_dir() else "map file does not exist"
            raise InputError(found, file=target, fix="check the path")
        return _recording(Path(target)) if suffix == ".xml" else map_scenario(Path(target))
    if is_tracks(split_name(target)[0]):
        from scenarios.tracked import tracks_scenario  # of no use to other scenarios

        return tracks_scenario(target)
    if suffix == SCRIPT_SUFFIX:
        from scenarios.scripted import script_scenario

        return script_scenario(Path(target))
    kinds = ", ".join((*SCENARIO_SUFFIXES, *MAP_SUFFIXES, SCRIPT_SUFFIX, *TRACK_SUFFIXES))
    raise InputError(
        f"unknown scenario {target!r}{nearest(target, FAMILIES)}", fix=f"give a name of the catalogue or a file ({kinds})"
    )


def _recording(path: Path) -> ScenarioSpec:
    """What a CommonRoad file recorded, or a drive over its map where that is nothing."""
    from scenarios.recorded import recording_scenario  # of no use to other scenarios, and slow to import

    spec = recording_scenario(path)
    traffic = spec.example.traffic
    return spec if spec.example.ego is not None or traffic.users else map_scenario(path)


def map_scenario(path: Path) -> ScenarioSpec:
    """A drive over a map file: the ego on a random route among traffic on random routes, another one for each seed."""
    return check(
        {
            "version": 1,
            "name": path.stem or "map",
            "summary": f"A random drive on {path.name} among traffic on random routes.",
            "tags": ["map"],
            "map": {"file": str(path.resolve())},
            "ego": {"at": {"anywhere": True}, "to": {"distance": MAP_ROUTE_M}},
            "traffic": {"everywhere": {"per_lane_km": MAP_VEHICLES_PER_LANE_KM, "radius": 300.0, "max_count": 30}},
            "duration_s": MAP_DURATION_S,
        }
    )


def apply_settings(spec: ScenarioSpec, settings: Sequence[str]) -> ScenarioSpec:
    """The scenario with `key=value` settings applied, such as `traffic.demand=900` or `ego.speed={uniform: [5, 9]}`.

    Keys are dotted paths of the schema; list items go by position or by their name; values are YAML. Raises InputError.
    """
    tree = deepcopy(spec.tree)
    paths = list(spec.settings)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set {setting}: not of the form key=value", fix="for example --set traffic.demand=900")
        path = _set(tree, key.strip().split("."), _value(setting, text), setting)
        paths.insert(0, (path, setting))
    return check(tree, file=spec.file, positions=spec.positions, settings=tuple(paths))


def _value(setting: str, text: str) -> Data:
    if not text.strip():
        return None
    try:
        return parse(text).data
    except InputError as error:
        raise InputError(f"--set {setting}: {error.message}", fix=error.fix) from None


def _set(tree: Tree, keys: Sequence[str], value: Data, setting: str) -> TreePath:
    """Put `value` at the place that `keys` name, making the mappings on the way; returns its path."""
    node: Data = tree
    path: TreePath = ()
    for position, key in enumerate(keys):
        step = _step(node, path, key, setting, tree)
        path = (*path, step)
        if position == len(keys) - 1:
            _store(node, step, value)
            break
        inner = _under(node, step)
        if not isinstance(inner, (dict, list)):
            inner = {}
            _store(node, step, inner)
        node = inner
    return path


def _under(node: Data, step: str | int) -> Data:
    if isinstance(node, dict):
        return node.get(str(step))
    return node[step] if isinstance(node, list) and isinstance(step, int) else None


def _store(node: Data, step: str | int, value: Data) -> None:
    if isinstance(node, dict):
        node[str(step)] = value
    elif isinstance(node, list) and isinstance(step, int):
        node[step] = value


def _step(node: Data, path: TreePath, key: str, setting: str, tree: Tree) -> str | int:
    """The key or index that one word of a setting means. InputError names the nearest where there is none."""
    if isinstance(node, list):
        names = {item.get("name"): index for index, item in enumerate(node) if isinstance(item, dict)}
        if key in names:
            return names[key]
        if key.isdigit() and int(key) < len(node):
            return int(key)
        known = [name for name in names if isinstance(name, str)]
        where = ".".join(map(str, path))
        raise InputError(f"--set {setting}: {where} has no item {key!r}", fix=f"it has {len(node)}, from 0" + _named(known))
    known_keys = _known_keys(path, tree)
    if key not in known_keys and (known_keys or not types_at((*path, key))):
        where = ".".join(map(str, path)) or "the scenario"
        raise InputError(f"--set {setting}: unknown key {key!r} in {where}{nearest(key, known_keys)}")
    return key


def _named(names: Sequence[str]) -> str:
    return f", named {', '.join(names)}" if names else ""


def _known_keys(path: TreePath, tree: Tree) -> tuple[str, ...]:
    """Keys that may stand under a path; empty where any may, or none."""
    if path == ("map", "parameters"):
        road = tree.get("map")
        builder = road.get("builder") if isinstance(road, dict) else None
        return tuple(builder_parameters(builder if isinstance(builder, str) else None))
    return keys_at(path)
