"""Settings of a driver by name, for drivers that differ in a few of them: `behaviours.assertiveness=0.8,safety=false`.

A key is the way through `avstack.stack.StackConfig`, or `eval.policy.driver.PolicyConfig`, and the dataclasses in it; a value is
read as what the default is.
"""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

from scenarios.errors import InputError
from scenarios.nearest import nearest
from sim.interface import Driver

_C = TypeVar("_C")


def configured(name: str, driver: object, settings: str) -> Driver[object]:
    """The same driver with settings. InputError where it is not the stack, or has no such setting."""
    from avstack.stack import Stack, StackConfig  # compiles the stack's kernels, which other drivers need not wait for
    from eval.policy.driver import Policy, PolicyConfig, weights_at

    if not isinstance(driver, Stack | Policy):
        raise InputError(f"driver {name!r} takes no settings", fix="Settings are for drivers of avstack.stack and policies")
    config: StackConfig | PolicyConfig = driver.config
    for part in settings.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"driver {name!r}: {part!r} is no setting", fix="Write key=value, such as safety=false")
        try:
            config = _with(config, key.strip().split("."), value.strip())
        except ValueError as error:
            raise InputError(f"driver {name!r}: {error}", fix="Choose another value") from None
    if isinstance(config, PolicyConfig):
        weights_at(config.weights)  # a wrong file is to be told of now
        return cast(Driver[object], Policy(config))
    other = copy.copy(driver)
    Stack.__init__(cast(Stack, other), config)
    return cast(Driver[object], other)


def _with(config: _C, path: list[str], value: str) -> _C:
    """A copy of a dataclass with one field, or a field of a field, read from text."""
    if not is_dataclass(config) or isinstance(config, type):
        raise InputError(f"{value!r} lies below a setting that has no parts", fix="Leave out what follows the last but one point")
    names = tuple(item.name for item in fields(config))
    if path[0] not in names:
        raise InputError(f"unknown setting {path[0]!r}{nearest(path[0], names)}", fix=f"Use one of {', '.join(names)}")
    old = getattr(config, path[0])
    new = _with(old, path[1:], value) if len(path) > 1 else _read(path[0], value, old)
    return replace(config, **{path[0]: new})


def _read(key: str, value: str, old: object) -> object:
    """A value of the same type as the old one."""
    if isinstance(old, bool):
        if value.lower() not in ("true", "false"):
            raise InputError(f"{key} is true or false, got {value!r}", fix=f"Write {key}=false, for example")
        return value.lower() == "true"
    if isinstance(old, (int, float, str)):
        try:
            return type(old)(value)
        except ValueError:
            raise InputError(f"{key} is a number, got {value!r}", fix=f"Write {key}={old}, for example") from None
    raise InputError(f"{key} has settings of its own", fix=f"Write {key}.NAME=value")
