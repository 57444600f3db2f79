"""The parametric maps by name: a function with keyword parameters and defaults that returns a `MapDraft`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sim.roads.lane_map import MapDraft
from sim.roads.layouts.crossroads import four_way, t_junction

BUILDERS: Mapping[str, Callable[..., MapDraft]] = {
    "four_way": four_way,
    "t_junction": t_junction,
}
