"""The catalogue: one family a file, one line here."""

from __future__ import annotations

from collections.abc import Mapping

from scenarios.catalogue import (
    blocked_lane,
    crosswalk,
    cut_in,
    debris,
    dense_lane_change,
    four_way_chicken,
    four_way_stop,
    grid_town,
    merge,
    narrow_meet,
    occluded_pedestrian,
    roundabout,
    signalised,
    t_junction,
    unprotected_left,
)
from scenarios.catalogue.family import Family

FAMILIES: Mapping[str, Family] = {
    "four_way_stop": four_way_stop.FAMILY,
    "four_way_chicken": four_way_chicken.FAMILY,
    "t_junction": t_junction.FAMILY,
    "unprotected_left": unprotected_left.FAMILY,
    "roundabout": roundabout.FAMILY,
    "merge": merge.FAMILY,
    "dense_lane_change": dense_lane_change.FAMILY,
    "narrow_meet": narrow_meet.FAMILY,
    "crosswalk": crosswalk.FAMILY,
    "occluded_pedestrian": occluded_pedestrian.FAMILY,
    "cut_in": cut_in.FAMILY,
    "blocked_lane": blocked_lane.FAMILY,
    "signalised": signalised.FAMILY,
    "grid_town": grid_town.FAMILY,
    "debris": debris.FAMILY,
    "debris_held_out": debris.HELD_OUT,
}
