"""Variations of a scenario: a value for each of its ranges and a seed for what else it draws; drawn, moved, made plainer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import numpy as np

from scenarios.fields import is_integer
from scenarios.ranges import Choice, Draw, Normal, Uniform, find_ranges, range_type
from scenarios.schema import ScenarioSpec, Tree
from scenarios.yaml_tree import Data, Path

NEARBY = (0.01, 0.3)
"""Bounds of the standard deviation of a change, in widths of a range; as likely to be small as large."""
CHANGED = 0.4
"""Probability with which each value changes; one does at least."""
OTHER_SEED = 0.2
OTHER_CHOICE = 0.3
SEEDS = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """values: path of each outermost range -> what it is here; seed: for arrivals, styles, noise and whatever else is drawn."""

    values: Mapping[Path, Data]
    seed: int

    @property
    def kind(self) -> str:
        """The same for variations that differ in numbers alone."""
        words = {".".join(map(str, path)): value for path, value in self.values.items() if not _is_number(value)}
        return json.dumps([self.seed, words], sort_keys=True)


class Space:
    """What may vary in a scenario."""

    def __init__(self, spec: ScenarioSpec) -> None:
        self.spec = spec
        found = dict(find_ranges(spec.tree))
        self.ranges = {path: raw for path, raw in found.items() if not any(path[: len(o)] == o for o in found if o != path)}
        builder = spec.example.map.builder
        self._integer = partial(is_integer, builder=builder)

    def draw(self, draws: np.random.Generator) -> Variation:
        """Any variation, as likely as the scenario's own seeds would have it."""
        return Variation(values={path: self._drawn(path, draws) for path in self.ranges}, seed=int(draws.integers(SEEDS)))

    def near(self, parent: Variation, draws: np.random.Generator) -> Variation:
        """One that differs a little."""
        paths = list(self.ranges)
        chosen = {paths[int(draws.integers(len(paths)))]} if paths else set()
        chosen |= {path for path in paths if draws.random() < CHANGED}
        step = float(np.exp(draws.uniform(*np.log(NEARBY))))
        values = {
            path: self._moved(path, value, step, draws) if path in chosen else value for path, value in parent.values.items()
        }
        other = not paths or draws.random() < OTHER_SEED
        return Variation(values=values, seed=int(draws.integers(SEEDS)) if other else parent.seed)

    def concrete(self, variation: Variation) -> Tree:
        """The scenario's tree with these values in place of its ranges; they may not go together, which a check tells."""
        tree = deepcopy(self.spec.tree)
        for path, value in variation.values.items():
            _put(tree, path, deepcopy(value))
        return tree

    def _drawn(self, path: Path, draws: np.random.Generator) -> Data:
        label = ".".join(map(str, path))
        return Draw(int(draws.integers(SEEDS)), self._integer).tree(self.ranges[path], path, label)

    def _moved(self, path: Path, value: Data, step: float, draws: np.random.Generator) -> Data:
        raw = self.ranges[path]
        kind = range_type(raw)
        if kind is Choice or not isinstance(value, (int, float)):
            return self._drawn(path, draws) if draws.random() < OTHER_CHOICE else value
        low, high = Uniform.model_validate(raw).uniform if kind is Uniform else Normal.model_validate(raw).normal.bounds
        moved = float(np.clip(value + step * (high - low) * draws.standard_normal(), low, high))
        return round(moved) if self._integer(path) else moved


def plainer(tree: Tree, ordinary: Mapping[Path, Data]) -> Iterator[Tree]:
    """Trees that have less in them, or an ordinary value in place of an odd one: each is one step, the largest first.

    ordinary: path -> the middle of what was a range there.
    """
    traffic = tree.get("traffic")
    if isinstance(traffic, dict):
        for name in ("pedestrians", "cyclists", "everywhere", "demand", "users", "things"):
            if traffic.get(name):
                yield _with(tree, ("traffic", name), None)
        for name in ("users", "things", "demand"):
            listed = traffic.get(name)
            if isinstance(listed, list) and len(listed) > 1:
                for k in range(len(listed)):
                    yield _with(tree, ("traffic", name), [item for j, item in enumerate(listed) if j != k])
        flows = traffic.get("demand")
        for k, flow in enumerate(flows if isinstance(flows, list) else []):
            count = flow.get("count") if isinstance(flow, dict) else None
            if isinstance(count, int):
                yield from (_with(tree, ("traffic", "demand", k, "count"), fewer) for fewer in range(1, count))
    for path, value in ordinary.items():
        if _at(tree, path) not in (None, value):
            yield _with(tree, path, value)


def ordinary_values(space: Space) -> dict[Path, Data]:
    """The middle of each range of numbers, the first of each choice of words."""
    found: dict[Path, Data] = {}
    for path, raw in space.ranges.items():
        kind = range_type(raw)
        if kind is Choice:
            found[path] = Choice.model_validate(raw).choice[0]  # type: ignore[assignment]  # plain data stays plain data
        elif kind is Uniform:
            low, high = Uniform.model_validate(raw).uniform
            found[path] = int((low + high) // 2) if low == int(low) and high == int(high) else 0.5 * (low + high)
        else:
            found[path] = Normal.model_validate(raw).normal.mean
    return {path: value for path, value in found.items() if range_type(value) is None}


def _is_number(value: Data) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _with(tree: Tree, path: Path, value: Data) -> Tree:
    """A copy with another value at a path; None: without what is there."""
    changed = deepcopy(tree)
    _put(changed, path, value)
    return changed


def _put(tree: Tree, path: Path, value: Data) -> None:
    node: Data = tree
    for step in path[:-1]:
        node = node[step]  # type: ignore[index]  # paths are of this very tree
    last = path[-1]
    if value is None and isinstance(node, dict):
        node.pop(str(last))
    elif isinstance(node, dict):
        node[str(last)] = value
    elif isinstance(node, list) and isinstance(last, int):
        node[last] = value


def _at(tree: Tree, path: Path) -> Data:
    node: Data = tree
    for step in path:
        if isinstance(node, dict) and step in node:
            node = node[str(step)]
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return None
    return node
