"""The parametric maps by name: a function with keyword parameters and defaults that returns a `MapDraft`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sim.roads.lane_map import MapDraft
from sim.roads.layouts.check import BuilderError
from sim.roads.layouts.crossroads import four_way, t_junction
from sim.roads.layouts.motorway import merge, motorway
from sim.roads.layouts.roundabout import roundabout
from sim.roads.layouts.street import crosswalk, narrow_street, parking_street, straight
from sim.roads.layouts.town import grid_town

__all__ = ["BUILDERS", "BuilderError"]

BUILDERS: Mapping[str, Callable[..., MapDraft]] = {
    "straight": straight,
    "four_way": four_way,
    "t_junction": t_junction,
    "roundabout": roundabout,
    "merge": merge,
    "motorway": motorway,
    "narrow_street": narrow_street,
    "crosswalk": crosswalk,
    "parking_street": parking_street,
    "grid_town": grid_town,
}
