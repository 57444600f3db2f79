"""Checks of builder parameters; every message names the parameter, the value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from sim.roads.lane_map import Regulation

CONTROLS: Mapping[str, Regulation] = {
    "none": Regulation.NONE,
    "stop": Regulation.STOP,
    "all_way": Regulation.ALL_WAY_STOP,
    "yield": Regulation.YIELD,
    "signal": Regulation.SIGNAL,
}
Control = str | Mapping[str, str]

_V = TypeVar("_V")


class BuilderError(ValueError):
    """A builder parameter out of its range."""


def number(name: str, value: float, low: float, high: float) -> float:
    """`value` if it is a finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not low <= value <= high:
        raise BuilderError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")
    return float(value)


def count(name: str, value: int, low: int, high: int) -> int:
    """`value` if it is a whole number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BuilderError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    return value


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """`value` if it is one of `allowed`."""
    if value not in allowed:
        raise BuilderError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def flag(name: str, value: bool) -> bool:
    """`value` if it is a truth value."""
    if not isinstance(value, bool):
        raise BuilderError(f"{name} must be true or false, got {value!r}")
    return value


def per_arm(name: str, value: _V | Mapping[str, _V], arms: Sequence[str], default: _V) -> dict[str, _V]:
    """One value for each arm from a single value or a mapping by arm name (arms left out get `default`)."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(arms, value)
    for arm in value:
        if arm not in arms:
            raise BuilderError(f"{name} names an arm {arm!r}; the arms are {', '.join(arms)}")
    return {arm: value.get(arm, default) for arm in arms}


def controls(value: Control, arms: Sequence[str]) -> dict[str, Regulation]:
    """Regulation of each arm from a control name or a mapping by arm."""
    named = per_arm("control", value, arms, "none")
    return {
        arm: CONTROLS[choice(f"control of {arm}" if isinstance(value, Mapping) else "control", name, tuple(CONTROLS))]
        for arm, name in named.items()
    }
