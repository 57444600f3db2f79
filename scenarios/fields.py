"""What the schema expects at a path: for ranges of whole numbers, for `--set`, and for naming the nearest real key."""

from __future__ import annotations

import types
from functools import lru_cache
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from scenarios.maps import builder_parameters
from scenarios.model import Episode
from scenarios.yaml_tree import Path

_PARAMETERS: Path = ("map", "parameters")


def _options(annotation: object) -> list[object]:
    """Members of a union, with Annotated taken off."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _options(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [option for part in get_args(annotation) for option in _options(part)]
    return [annotation]


def _inside(option: object, key: str | int) -> list[object]:
    """What the schema expects under `key` of one type; empty where it has no such part."""
    if isinstance(option, type) and issubclass(option, BaseModel):
        field = option.model_fields.get(str(key))
        return [] if field is None or isinstance(key, int) else _options(field.annotation)
    origin, parts = get_origin(option), get_args(option)
    if origin is dict and isinstance(key, str):
        return _options(parts[1])
    if origin is list and isinstance(key, int):
        return _options(parts[0])
    if origin is tuple and isinstance(key, int) and key < len(parts):
        return _options(parts[key])
    return []


@lru_cache(maxsize=4096)
def types_at(path: Path) -> tuple[object, ...]:
    """Types the schema allows at `path`; empty where there is no such place."""
    current: list[object] = [Episode]
    for key in path:
        current = [part for option in current for part in _inside(option, key)]
    return tuple(current)


@lru_cache(maxsize=4096)
def keys_at(path: Path) -> tuple[str, ...]:
    """Names of the fields that a mapping at `path` may have; empty for free mappings and for values."""
    names: dict[str, None] = {}
    for option in types_at(path):
        if isinstance(option, type) and issubclass(option, BaseModel):
            names.update(dict.fromkeys(option.model_fields))
    return tuple(names)


def is_integer(path: Path, builder: str | None) -> bool:
    """True where the schema, or the builder's signature, wants a whole number."""
    if len(path) >= 3 and path[:2] == _PARAMETERS:
        options = _options(builder_parameters(builder).get(str(path[2]), object))
        options = [part for option in options for part in (_options(get_args(option)[-1]) if get_args(option) else [option])]
    else:
        options = list(types_at(path))
    return int in options and float not in options
