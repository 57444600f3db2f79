"""A family of scenarios: one tree of the schema with ranges, from which each seed draws an episode."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

from scenarios.schema import ScenarioSpec, Tree, check


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the catalogue lists. The tree is what a YAML file of it would hold; `spec()` checks it."""

    summary: str
    tree: Tree

    def spec(self) -> ScenarioSpec:
        """The family as a scenario with open ranges."""
        return check(deepcopy({"version": 1, "summary": self.summary, **self.tree}))
