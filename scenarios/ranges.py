"""Values drawn per seed: `{uniform: [a, b]}`, `{choice: [...], weights: [...]}` and `{normal: {mean, std, low, high}}`.

A range may stand for any single value. Each is drawn from its own stream, keyed by the seed and the path of the value (list items
by their `name` where they have one), so that adding a range elsewhere changes no other draw.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Annotated, TypeAlias

import numpy as np
from pydantic import Field, Strict, model_validator

from scenarios.model import Strictly
from scenarios.yaml_tree import Data, Path
from sim.rng import Purpose, generator

SIGMAS = 3.0
"""Where a normal range is cut off unless it says so itself."""
_TRIES = 1000

Parameters: TypeAlias = dict[str, "float | int | str | bool"]


class Uniform(Strictly):
    """Evenly between two bounds; whole numbers (both ends included) where the schema wants a whole number."""

    uniform: Annotated[tuple[float, float], Strict(False)]

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.uniform[0] > self.uniform[1]:
            raise ValueError(f"the lower bound comes first, got {list(self.uniform)}")
        return self


class NormalShape(Strictly):
    """Mean and standard deviation, cut off at low and high (3 standard deviations where they are not given)."""

    mean: float
    std: Annotated[float, Field(ge=0.0)]
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> NormalShape:
        low, high = self.bounds
        if low > high:
            raise ValueError(f"low must not be above high, got {low:g} and {high:g}")
        if high < self.mean - 4.0 * self.std or low > self.mean + 4.0 * self.std:
            raise ValueError("low and high leave out everything likely; move them towards the mean")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value that can be drawn."""
        low = self.mean - SIGMAS * self.std if self.low is None else self.low
        high = self.mean + SIGMAS * self.std if self.high is None else self.high
        return low, high


class Normal(Strictly):
    """A truncated normal distribution."""

    normal: NormalShape


class Choice(Strictly):
    """One of several values, equally likely or by weight."""

    choice: Annotated[list[object], Field(min_length=1)]
    weights: list[Annotated[float, Field(ge=0.0)]] | None = None

    @model_validator(mode="after")
    def _weighed(self) -> Choice:
        if self.weights is not None and (len(self.weights) != len(self.choice) or sum(self.weights) <= 0.0):
            raise ValueError(f"weights must be {len(self.choice)} numbers, not all 0")
        return self


Range: TypeAlias = Uniform | Normal | Choice


def range_type(value: Data) -> type[Uniform] | type[Normal] | type[Choice] | None:
    """Which range a mapping is, or None for anything else. (`{normal: 0.5}` is a mix of styles, not a range.)"""
    if not isinstance(value, dict):
        return None
    if "uniform" in value and len(value) == 1:
        return Uniform
    if "choice" in value and value.keys() <= {"choice", "weights"}:
        return Choice
    shape = value.get("normal")
    if len(value) == 1 and isinstance(shape, dict) and ("mean" in shape or "std" in shape):
        return Normal
    return None


def find_ranges(tree: Data, path: Path = ()) -> Iterator[tuple[Path, Data]]:
    """Path and raw mapping of every range, those nested in choices included."""
    if range_type(tree) is not None:
        yield path, tree
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from find_ranges(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from find_ranges(value, (*path, index))


def alternatives(raw: Data, integer: bool) -> list[Data]:
    """Values that stand for a whole (valid) range when a tree is checked: its ends, or all its choices."""
    kind = range_type(raw)
    if kind is Choice:
        return list(Choice.model_validate(raw).choice)  # type: ignore[arg-type]  # plain data stays plain data
    bounds = Uniform.model_validate(raw).uniform if kind is Uniform else Normal.model_validate(raw).normal.bounds
    return [_as_whole(bound) if integer else bound for bound in bounds]


def _as_whole(value: float) -> Data:
    """A bound as an integer; a fraction stays one, for the schema to refuse."""
    return int(value) if value == int(value) else value


def represent(tree: Data, select: Mapping[Path, int], integer: Callable[[Path], bool], place: Path = (), path: Path = ()) -> Data:
    """The tree with each range replaced by one of its alternatives: the first, or the one selected by its path in the raw tree.

    `place` is the path in the result (what the schema sees), `path` the one in the raw tree; they part below a choice.
    """
    if range_type(tree) is not None:
        chosen = select.get(path, 0)
        value = alternatives(tree, integer(place))[chosen]
        return represent(value, select, integer, place, (*path, "choice", chosen))
    if isinstance(tree, dict):
        return {key: represent(value, select, integer, (*place, key), (*path, key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [represent(value, select, integer, (*place, index), (*path, index)) for index, value in enumerate(tree)]
    return tree


def key_of(label: str) -> int:
    """A 64-bit key for a random stream from its name."""
    return int.from_bytes(hashlib.blake2b(label.encode(), digest_size=8).digest(), "little")


class Draw:
    """One seed's draws over a tree; `parameters` records what was drawn, by dotted path."""

    def __init__(self, seed: int, integer: Callable[[Path], bool]) -> None:
        self._seed = seed
        self._integer = integer
        self.parameters: Parameters = {}

    def tree(self, tree: Data, place: Path = (), label: str = "") -> Data:
        """The tree with every range drawn; `label` names the value independently of its neighbours."""
        kind = range_type(tree)
        if kind is not None:
            return self._draw(kind, tree, place, label)
        if isinstance(tree, dict):
            return {key: self.tree(value, (*place, key), f"{label}.{key}" if label else key) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.tree(value, (*place, index), f"{label}.{_item_name(value, index)}") for index, value in enumerate(tree)]
        return tree

    def _draw(self, kind: type[Range], raw: Data, place: Path, label: str) -> Data:
        random = generator(self._seed, Purpose.SCENARIO, key_of(label))
        value: Data
        if kind is Choice:
            index, item = _pick(Choice.model_validate(raw), random)
            value = self.tree(item, place, f"{label}.choice{index}")
        elif kind is Uniform:
            low, high = Uniform.model_validate(raw).uniform
            whole = self._integer(place)
            value = int(random.integers(int(low), int(high) + 1)) if whole else float(low + (high - low) * random.random())
        else:
            drawn = _truncated(Normal.model_validate(raw).normal, random)
            value = round(drawn) if self._integer(place) else drawn
        if isinstance(value, (bool, int, float, str)):
            self.parameters[label] = value
        return value


def _item_name(value: Data, index: int) -> str:
    name = value.get("name") if isinstance(value, dict) else None
    return name if isinstance(name, str) else str(index)


def _pick(choice: Choice, random: np.random.Generator) -> tuple[int, Data]:
    weights = choice.weights if choice.weights is not None else [1.0] * len(choice.choice)
    index = bisect_right(list(accumulate(weights)), float(random.random()) * sum(weights))
    index = min(index, len(weights) - 1)
    return index, choice.choice[index]  # type: ignore[return-value]  # plain data stays plain data


def _truncated(shape: NormalShape, random: np.random.Generator) -> float:
    """Rejection sampling; the nearer bound in the (checked to be unlikely) case that nothing falls inside."""
    low, high = shape.bounds
    for _ in range(_TRIES):
        value = shape.mean + shape.std * float(random.standard_normal())
        if low <= value <= high:
            return value
    return min(max(shape.mean, low), high)
