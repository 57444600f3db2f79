"""What a run was asked for and with what, so that a later one can tell whether an episode would come out the same.

Kept in the header of every recording. Contents count, not names: an edited scenario, map, track or driver file is another
configuration, and so is another version of the product. (Of a driver, its own file counts, not what that imports.)
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from eval.describe import product_version
from eval.drivers import place_of
from scenarios.catalogue import FAMILIES
from scenarios.resolve import apply_settings, resolve
from scenarios.schema import ScenarioSpec
from scenarios.yaml_tree import Data
from sim.recording import Scalar

_PACKAGES = ("avstack", "eval", "scenarios", "sim")
_KINDS = ("*.py", "*.npz", "calibration.json")
"""Files that episodes depend on: sources, weights, and how these are calibrated."""
_WORDS = {
    "scenario_hash": "the scenario or a file that it names has changed",
    "driver_hash": "the driver's code has changed",
    "product": "avstack has changed",
}
"""What to say of a hash that differs; other keys are shown with their values."""
_FILES = ("file", "track")
"""Keys of a scenario under which it names files."""
_COMPARED = ("driver", "sensing", "record", *_WORDS)


@functools.lru_cache(maxsize=4)
def configuration(target: str, settings: tuple[str, ...], driver: str | None, sensing: str, record: str) -> Mapping[str, Scalar]:
    """The configuration of a run; `target` and `driver` as on the command line. Raises InputError as `resolve` does."""
    spec = apply_settings(resolve(target), list(settings))
    drivers = {text for key, text in _strings(spec.tree, "") if key == "driver"} | ({driver} if driver else set())
    code = hashlib.sha256()
    for name in sorted(drivers):
        code.update(_driver_source(name, spec.folder))
    return {
        "target": target if target in FAMILIES else str(Path(target).resolve()),
        "settings": "\n".join(settings),
        "driver": driver or "",
        "sensing": sensing,
        "record": record,
        "scenario_hash": content_hash(spec),
        "driver_hash": code.hexdigest()[:16],
        "product": f"{product_version()} {product_hash()}",
    }


def content_hash(spec: ScenarioSpec) -> str:
    """Hash of a scenario and of the maps and tracks that it names, wherever these lie."""
    content = hashlib.sha256(json.dumps(_without_folders(spec.tree), sort_keys=True).encode())
    for text in [text for key, text in _strings(spec.tree, "") if key in _FILES]:
        places = (Path(spec.folder, text), Path(spec.folder, text.partition("#")[0]))
        content.update(next((place.read_bytes() for place in places if place.is_file()), b""))
    return content.hexdigest()[:16]


def differences(there: Mapping[str, Scalar], here: Mapping[str, Scalar]) -> str:
    """In words, what makes two configurations give different episodes; empty where nothing does."""
    found = [name for name in _COMPARED if there.get(name) != here.get(name)]
    return "; ".join(
        _WORDS.get(name, f"{name} {there.get(name) or 'of the scenario'} there, {here.get(name) or 'of the scenario'} here")
        for name in found
    )


def _without_folders(node: Data, key: str = "") -> Data:
    """The tree with the names of its files alone: the folder is none of the content."""
    if isinstance(node, dict):
        return {name: _without_folders(inner, key if name == "choice" else name) for name, inner in node.items()}
    if isinstance(node, list):
        return [_without_folders(inner, key) for inner in node]
    return Path(node).name if isinstance(node, str) and key in _FILES else node


def _strings(node: Data, key: str) -> Iterator[tuple[str, str]]:
    """All texts in a tree with the key of the mapping they lie under; choices lie under the key of their range."""
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, dict):
        for name, inner in node.items():
            yield from _strings(inner, key if name == "choice" else name)
    elif isinstance(node, list):
        for inner in node:
            yield from _strings(inner, key)


def driver_hash(name: str) -> str:
    """Hash of a driver's own file, as seen from the working folder."""
    return hashlib.sha256(_driver_source(name, Path.cwd())).hexdigest()[:16]


def _driver_source(name: str, folder: Path) -> bytes:
    """The bytes of a driver's own file and of the weights that it names, or its name where that is all there is."""
    place, settings = place_of(name)
    source = place.rpartition(":")[0]
    named = [Path(part.removeprefix("weights=")) for part in settings.split(",") if part.startswith("weights=")]
    weights = b"".join(file.read_bytes() for file in named if file.is_file())
    if source.endswith(".py"):
        files = [file for file in (folder / source, Path(source)) if file.is_file()]
    else:
        found = importlib.util.find_spec(source) if source else None
        files = [Path(found.origin)] if found is not None and found.origin is not None else []
    return (files[0].read_bytes() if files else name.encode()) + weights


@functools.cache
def product_hash() -> str:
    """Hash of the product's own sources and weights: between two releases the version alone says too little."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for file in sorted(file for package in _PACKAGES for kind in _KINDS for file in (root / package).rglob(kind)):
        digest.update(file.relative_to(root).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
