"""YAML 1.2 (core schema) to plain data, remembering where everything stood.

Built on ruamel.yaml's composer, which gives nodes with marks; scalars are resolved here by the core schema's own rules, so that
`no` is a word, `1:30` is a word and `1e3` is a number. Tags, merge keys, duplicate keys and recursive aliases are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scenarios.errors import InputError

Data: TypeAlias = "str | int | float | bool | list[Data] | dict[str, Data] | None"
"""Plain data as YAML and JSON know it."""
Path: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the root to a value."""

NODES_MAX = 100_000
DEPTH_MAX = 50
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "value"))
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)\Z")
_WORDS: Mapping[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_DIGITS_MAX = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Line and column, both from 1, of a value and of its key (the same place for list items)."""

    line: int
    column: int
    key_line: int
    key_column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One parsed file: its data, and the position of every value in it."""

    data: Data
    positions: Mapping[Path, Position]


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What is collected while nodes are turned into data."""

    file: str | None
    positions: dict[Path, Position] = field(default_factory=dict)
    errors: list[InputError] = field(default_factory=list)
    count: int = 0

    def refuse(self, node: Node, message: str, fix: str = "") -> None:
        mark = node.start_mark
        self.errors.append(InputError(message, file=self.file, line=mark.line + 1, column=mark.column + 1, fix=fix))


def parse(text: str, file: str | None = None) -> Document:
    """Data and positions of one YAML document. Raises InputError, naming every fault found."""
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, file) from None
    except (YAMLError, ValueError, RecursionError, UnicodeError) as error:
        raise InputError(f"not readable as YAML: {_first_line(str(error))}", file=file) from None
    if root is None:
        raise InputError("the file is empty", file=file, line=1, column=1, fix="a scenario needs at least name and map")
    reading = _Reading(file=file)
    data = _convert(root, (), root, reading)
    if reading.errors:
        raise combined(reading.errors)
    return Document(data=data, positions=reading.positions)


def combined(errors: Sequence[InputError]) -> InputError:
    """One error that lists all of them, one a line, in the order of the file."""
    if len(errors) == 1:
        return errors[0]
    ordered = sorted(errors, key=lambda error: (error.line or 0, error.column or 0))
    return InputError("\n".join(str(error) for error in ordered))


def _syntax_error(error: MarkedYAMLError, file: str | None) -> InputError:
    mark = error.problem_mark or error.context_mark
    problem = _first_line(error.problem or error.context or "not readable as YAML")
    if mark is None:
        return InputError(problem, file=file)
    return InputError(problem, file=file, line=mark.line + 1, column=mark.column + 1, fix="the text is not valid YAML here")


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if lines else "no details"


def _convert(node: Node, path: Path, key: Node, reading: _Reading) -> Data:
    """Plain data of a node, its positions noted under `path`."""
    at, key_at = node.start_mark, key.start_mark
    reading.positions[path] = Position(
        line=at.line + 1, column=at.column + 1, key_line=key_at.line + 1, key_column=key_at.column + 1
    )
    reading.count += 1
    if reading.count > NODES_MAX or len(path) > DEPTH_MAX:
        limits = f"at most {NODES_MAX} values and {DEPTH_MAX} levels are read"
        message = "the file is too large, too deep, or refers to itself"
        raise InputError(message, file=reading.file, line=at.line + 1, column=at.column + 1, fix=limits)
    if str(node.tag) not in _PLAIN_TAGS:
        reading.refuse(node, f"tag {str(node.tag)!r} is not allowed", "write the value without a tag")
        return None
    if isinstance(node, MappingNode):
        return _convert_mapping(node, path, reading)
    if isinstance(node, SequenceNode):
        return [_convert(child, (*path, index), child, reading) for index, child in enumerate(node.value)]
    if isinstance(node, ScalarNode):
        return _scalar(node, reading)
    raise InputError(f"not a value: {node!r}", file=reading.file, line=at.line + 1, column=at.column + 1)


def _convert_mapping(node: MappingNode, path: Path, reading: _Reading) -> Data:
    mapping: dict[str, Data] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            reading.refuse(key, "a key must be a word", "lists and mappings cannot be keys")
        elif key.value == "<<" and key.style is None:
            reading.refuse(key, "merge keys (<<) are not allowed", "write the values out")
        elif key.value in mapping:
            first = reading.positions[*path, key.value]
            reading.refuse(key, f"duplicate key {key.value!r}, first given on line {first.key_line}", "keep one of them")
        else:
            mapping[key.value] = _convert(value, (*path, key.value), key, reading)
    return mapping


def _scalar(node: ScalarNode, reading: _Reading) -> Data:
    text = str(node.value)
    if node.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _DIGITS_MAX:
        return text
    if _INT.match(text):
        return int(text)
    if _BASED.match(text):
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    infinite = _INFINITE.match(text)
    if infinite or text in (".nan", ".NaN", ".NAN"):
        reading.refuse(node, f"{text} is not a finite number", "give a finite number")
        return 0.0
    return text
