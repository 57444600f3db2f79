"""The YAML scenario: loading it with every error placed in the file, drawing it for a seed, writing it out, and its JSON schema.

A file is the concrete schema of `scenarios.model` in which any single value may instead be a range to draw from per seed
(`scenarios.ranges`). A range is checked by its ends, or all its choices, when the file is loaded.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML

from scenarios.errors import InputError
from scenarios.fields import is_integer, keys_at
from scenarios.maps import builder_names, builder_parameters
from scenarios.model import Episode
from scenarios.nearest import nearest
from scenarios.ranges import Choice, Draw, Normal, Parameters, Uniform, alternatives, find_ranges, range_type, represent
from scenarios.yaml_tree import Data, Position, combined, parse
from scenarios.yaml_tree import Path as TreePath

Tree: TypeAlias = dict[str, Data]
_SHOWN_MAX = 60
_FILE_BYTES_MAX = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioSpec:
    """A checked scenario with its ranges still open.

    tree: plain data as it would stand in the file. example: one concrete episode it stands for. file, positions: where it was
    read, if it was. settings: paths that were overridden, and the words of the override.
    """

    tree: Tree
    example: Episode
    file: str | None = None
    positions: Mapping[TreePath, Position] = field(default_factory=dict)
    settings: tuple[tuple[TreePath, str], ...] = ()

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self.example.name

    @property
    def summary(self) -> str:
        """One sentence on what happens."""
        return self.example.summary

    @property
    def tags(self) -> tuple[str, ...]:
        """Words to find it by."""
        return tuple(self.example.tags)

    @property
    def folder(self) -> Path:
        """Where file names in it start from: its own folder, or the working directory."""
        return Path(self.file).resolve().parent if self.file is not None else Path.cwd()

    def draw(self, seed: int) -> tuple[Episode, Parameters]:
        """The concrete episode of `seed`, and the values drawn by dotted path. InputError if they do not go together."""
        draw = Draw(seed, partial(is_integer, builder=_builder(self.tree)))
        tree = draw.tree(self.tree)
        try:
            return Episode.model_validate(tree), draw.parameters
        except ValidationError as error:
            raise combined([self.error(path, f"{text} (drawn for seed {seed})") for path, text in _faults(error, tree)]) from None

    def error(self, path: TreePath, message: str, fix: str = "", *, at_key: bool = False) -> InputError:
        """An InputError about the value at `path`, with the best place known for it."""
        return _placed(path, message, fix, at_key, self)

    def to_yaml(self) -> str:
        """The scenario as a YAML file."""
        writer = YAML(typ="safe", pure=True)
        writer.default_flow_style = None  # innermost lists and mappings on one line
        writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel annotates it as None
        writer.width = 120
        stream = io.StringIO()
        writer.dump(self.tree, stream)
        return stream.getvalue()


def load(path: Path) -> ScenarioSpec:
    """The scenario in a YAML file. Raises InputError with file:line:column for each fault, one a line."""
    try:
        size = path.stat().st_size
        text = path.read_text(encoding="utf-8") if size <= _FILE_BYTES_MAX else ""
    except UnicodeDecodeError as error:
        raise InputError(
            f"not a text file: {error.reason} at byte {error.start}", file=str(path), fix="save it as UTF-8"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot be read: {reason.lower()}", file=str(path), fix="check the path") from None
    if size > _FILE_BYTES_MAX:
        raise InputError(f"{size} bytes is too large for a scenario", file=str(path), fix=f"at most {_FILE_BYTES_MAX} are read")
    return loads(text, file=str(path))


def loads(text: str, *, file: str | None = None) -> ScenarioSpec:
    """The scenario in a YAML text; `file` is its name for messages and the place relative paths start from."""
    document = parse(text, file)
    return check(document.data, file=file, positions=document.positions)


def check(
    tree: Data,
    *,
    file: str | None = None,
    positions: Mapping[TreePath, Position] | None = None,
    settings: tuple[tuple[TreePath, str], ...] = (),
) -> ScenarioSpec:
    """A spec from plain data. InputError lists every fault of the data, of its ranges, and of the builder's arguments."""
    place = _Place(file=file, positions=positions or {}, settings=settings)
    if not isinstance(tree, dict) or range_type(tree) is not None:
        raise _placed((), f"a scenario is a mapping of keys, got {_shown(tree)}", "start with 'version: 1'", False, place)
    faults = [(path, text) for path, raw in find_ranges(tree) for text in _range_faults(path, raw)]
    broken = frozenset(path for path, _ in faults)
    sound = _without(tree, broken)
    hidden = {_schema_path(path) for path in broken}
    for path, text in dict.fromkeys([*_schema_faults(sound), *_builder_faults(sound)]):
        if not any(path[: len(cover)] == cover for cover in hidden):
            faults.append((path, text))
    if faults:
        raise combined([_placed(path, text, "", text.startswith("unknown key"), place) for path, text in faults])
    example = Episode.model_validate(represent(tree, {}, partial(is_integer, builder=_builder(tree))))
    return ScenarioSpec(tree=tree, example=example, file=file, positions=place.positions, settings=settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    file: str | None
    positions: Mapping[TreePath, Position]
    settings: tuple[tuple[TreePath, str], ...]


def _builder(tree: Tree) -> str | None:
    road = tree.get("map")
    name = road.get("builder") if isinstance(road, dict) else None
    return name if isinstance(name, str) else None


def _placed(path: TreePath, message: str, fix: str, at_key: bool, source: _Place | ScenarioSpec) -> InputError:
    """The error at the override that set this path or something in it, else at the nearest enclosing value with a position."""
    for prefix, words in source.settings:
        if path[: len(prefix)] == prefix or (path and prefix[: len(path)] == path):
            return InputError(f"--set {words}: {message}", fix=fix)
    for count in range(len(path), -1, -1):
        position = source.positions.get(path[:count])
        if position is not None:
            whole = count == len(path)
            line, column = (position.key_line, position.key_column) if at_key and whole else (position.line, position.column)
            return InputError(message, file=source.file, line=line, column=column, fix=fix)
    return InputError(message, file=source.file, fix=fix)


def _without(tree: Tree, broken: Collection[TreePath]) -> Tree:
    """The tree with null in place of broken ranges, so that the rest can be checked as well."""

    def copy(value: Data, path: TreePath) -> Data:
        if path in broken:
            return None
        if isinstance(value, dict):
            return {key: copy(part, (*path, key)) for key, part in value.items()}
        return [copy(part, (*path, index)) for index, part in enumerate(value)] if isinstance(value, list) else value

    return {key: copy(value, (key,)) for key, value in tree.items()} if broken else tree


def _range_faults(path: TreePath, raw: Data) -> Iterator[str]:
    kind = range_type(raw)
    if kind is None:
        return
    try:
        kind.model_validate(raw)
    except ValidationError as error:
        for _, text in _faults(error, raw):
            yield f"range of {_dotted(path)}: {text.removeprefix('the scenario: ')}"


def _schema_faults(tree: Tree) -> Iterator[tuple[TreePath, str]]:
    """Faults of the tree with every range at its first value, then with each range in turn at each of its others."""
    integer = partial(is_integer, builder=_builder(tree))
    selections: list[dict[TreePath, int]] = [{}]
    for path, raw in find_ranges(tree):
        outer = {path[:at]: _index(path[at + 1]) for at in range(len(path) - 1) if path[at] == "choice"}
        selections += [{**outer, path: index} for index in range(len(alternatives(raw, integer(_schema_path(path)))))]
    for select in selections:
        concrete = represent(tree, select, integer)
        try:
            Episode.model_validate(concrete)
        except ValidationError as error:
            yield from _faults(error, concrete)


def _index(key: str | int) -> int:
    return key if isinstance(key, int) else 0


def _schema_path(path: TreePath) -> TreePath:
    """The path as the schema sees it: without the steps into choices."""
    kept: list[str | int] = []
    steps = iter(path)
    for step in steps:
        if step == "choice":
            next(steps, None)
        else:
            kept.append(step)
    return tuple(kept)


def _builder_faults(tree: Tree) -> Iterator[tuple[TreePath, str]]:
    """Unknown builders, and parameters they do not take."""
    road, name = tree.get("map"), _builder(tree)
    if name is None or not isinstance(road, dict):
        return
    if name not in builder_names():
        yield ("map", "builder"), f"unknown builder {name!r}{nearest(name, builder_names())}"
        return
    parameters = road.get("parameters")
    known = builder_parameters(name)
    for key in parameters if isinstance(parameters, dict) else ():
        if key not in known:
            yield ("map", "parameters", key), f"unknown key {key!r} for builder {name!r}{nearest(key, known)}"


def _faults(error: ValidationError, tree: Data) -> list[tuple[TreePath, str]]:
    """Path and message of each fault; where several members of a union refuse a value, the deepest complaint counts."""
    located = [(_locate(details["loc"], tree), details) for details in error.errors(include_url=False)]
    containers = {path[:count] for path, _ in located for count in range(len(path))}
    messages: dict[TreePath, list[str]] = {}
    for path, details in located:
        if path in containers and details["type"] not in ("missing", "value_error", "extra_forbidden"):
            continue
        texts = messages.setdefault(path, [])
        text = _message(path, details, tree)
        if text not in texts:
            texts.append(text)
    return [(path, _joined(texts)) for path, texts in messages.items()]


def _joined(texts: Sequence[str]) -> str:
    """Complaints about one value in one line."""
    return " or ".join([texts[0], *(text.partition(": ")[2] or text for text in texts[1:])])


def _locate(loc: Sequence[str | int], tree: Data) -> TreePath:
    """Path of a pydantic location: its steps through unions are not part of the data and are skipped."""
    path: list[str | int] = []
    node: Data = tree
    for step in loc:
        inside = _step_inside(node, step)
        if inside is not None:
            node = inside[0]
            path.append(step)
    return tuple(path)


def _step_inside(node: Data, step: str | int) -> tuple[Data] | None:
    """What lies under one step, wrapped because it may be null; None where there is nothing."""
    if isinstance(node, dict):
        return (node[step],) if isinstance(step, str) and step in node else None
    return (node[step],) if isinstance(node, list) and isinstance(step, int) and step < len(node) else None


def _message(path: TreePath, details: ErrorDetails, tree: Data) -> str:
    """One fault in the user's words."""
    where, kind = _dotted(path), details["type"]
    if kind == "missing":
        return f"{where}: key {details['loc'][-1]!r} is missing"
    if kind == "extra_forbidden":
        parent, key = path[:-1], str(path[-1])
        return f"unknown key {key!r} in {_dotted(parent)}{nearest(key, keys_at(parent))}"
    if kind == "value_error":
        return f"{where}: {details['ctx']['error']}"
    if kind == "literal_error":
        words = str(details["ctx"]["expected"])
        known = [word.strip().strip("'") for word in words.replace(" or ", ", ").split(",")]
        return f"{where}: {_shown(details['input'])} is not one of {words}{_hint(details['input'], known)}"
    text = details["msg"].replace("Input should be", "must be").replace("a valid dictionary", "a mapping of keys")
    text = re.sub(r" or instance of \w+", "", text).replace("valid tuple", "list").replace("valid list", "list")
    return f"{where}: {text[0].lower() + text[1:]}, got {_shown(details['input'])}"


def _hint(value: object, known: Iterable[str]) -> str:
    hint = nearest(value, known) if isinstance(value, str) else ""
    return hint if hint.startswith("; did") else ""


def _dotted(path: TreePath) -> str:
    return ".".join(str(step) for step in path) or "the scenario"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "..."


def json_schema() -> Tree:
    """JSON Schema (2020-12) of a scenario file for editors: the concrete schema, with a range allowed for every value."""
    schema: Tree = Episode.model_json_schema()
    definitions = _part(schema, "$defs")
    builder: Data = {"anyOf": [{"enum": [*builder_names()]}, {"type": "null"}]}
    _part(definitions, "MapSpec", "properties", "builder")["anyOf"] = [builder]
    ranged: Tree = {name: _with_ranges(_part(definitions, name)) for name in definitions}
    for model in (Uniform, Normal, Choice):
        part: Tree = model.model_json_schema()
        ranged.update(_part(part, "$defs") if "$defs" in part else {})
        ranged[model.__name__] = {key: value for key, value in part.items() if key != "$defs"}
    ranged["Range"] = {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in (Uniform, Normal, Choice)]}
    whole = _with_ranges({key: value for key, value in schema.items() if key != "$defs"})
    for fixed in ("version", "name"):
        _part(whole, "properties")[fixed] = _part(schema, "properties", fixed)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": ranged}


def _part(schema: Tree, *keys: str) -> Tree:
    """The mapping that lies under these keys."""
    node = schema
    for key in keys:
        inner = node[key]
        if not isinstance(inner, dict):
            raise TypeError(f"{key!r} of the schema is not a mapping but {inner!r}")
        node = inner
    return node


_RANGE_REF: Tree = {"$ref": "#/$defs/Range"}
_ANNOTATIONS = ("title", "description", "default")


def _with_ranges(schema: Tree) -> Tree:
    """The schema with a range allowed beside every value inside it."""
    result: Tree = {}
    for key, part in schema.items():
        if key == "properties" and isinstance(part, dict):
            result[key] = {name: _or_range(inner) for name, inner in part.items()}
        elif key in ("items", "additionalProperties") and isinstance(part, dict):
            result[key] = _or_range(part)
        elif key == "prefixItems" and isinstance(part, list):
            result[key] = [_or_range(inner) for inner in part]
        elif key in ("anyOf", "oneOf", "allOf") and isinstance(part, list):
            result[key] = [_with_ranges(inner) if isinstance(inner, dict) else inner for inner in part]
        else:
            result[key] = part
    return result


def _or_range(schema: Data) -> Data:
    """A value by its schema, or a range; what editors show of it stays outside."""
    if not isinstance(schema, dict):
        return schema
    inner = {key: part for key, part in schema.items() if key not in _ANNOTATIONS}
    shown = {key: schema[key] for key in _ANNOTATIONS if key in schema}
    return {**shown, "anyOf": [_with_ranges(inner), _RANGE_REF]}
