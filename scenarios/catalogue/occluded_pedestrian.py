"""Somebody steps out between parked cars."""

from __future__ import annotations

from scenarios.catalogue.family import Family
from scenarios.yaml_tree import Data

PATH_S = 80.0  # m, along the parking lanes, where people step out

LITTER: Data = {
    "name": "litter", "thing": "plastic_bag", "drive_through": True, "drift": {"uniform": [0.3, 1.2]}, "present": False,
    "at": {"lane": "eastbound_0", "s": {"uniform": [PATH_S - 25.0, PATH_S + 10.0]}, "d": {"uniform": [-0.8, 0.8]}},
}  # fmt: skip
"""A bag that blows about, for those who ask for it: `traffic.things.litter.present=true`."""


def _parked(name: str, lane: str, s: float, kind: Data, share: float) -> Data:
    present: Data = {"choice": [True, False], "weights": [share, 1.0 - share]}
    return {"name": name, "kind": kind, "at": {"lane": lane, "s": s, "d": {"uniform": [-0.1, 0.1]}}, "present": present}


FAMILY = Family(
    summary="A pedestrian steps out between parked cars that hid them from the ego.",
    tree={
        "name": "occluded_pedestrian",
        "tags": ["pedestrian", "occlusion"],
        "map": {"builder": "parking_street", "parameters": {"length": 160.0, "paths": 1}},
        "ego": {"at": {"lane": "eastbound_0", "s": {"uniform": [15.0, 40.0]}}, "speed": {"uniform": [5.0, 8.3]}},
        "traffic": {
            "users": [
                {
                    "name": "walker",
                    "kind": "pedestrian",
                    "at": {"lane": {"choice": ["path_0_north", "path_0_south"], "weights": [3.0, 1.0]}, "s": 0.5},
                    "depart_s": {"uniform": [0.0, 6.0]},
                    "jaywalks": {"choice": [True, False]},
                }
            ],
            "things": [
                _parked("near_van", "parking_south", PATH_S - 4.4, {"choice": ["van", "car"]}, 1.0),
                _parked("near_second", "parking_south", PATH_S - 11.5, "car", 0.8),
                _parked("near_third", "parking_south", PATH_S - 18.0, "van", 0.5),
                _parked("near_behind", "parking_south", PATH_S + 4.4, "car", 0.7),
                _parked("far_first", "parking_north", PATH_S - 4.4, "car", 0.7),
                _parked("far_second", "parking_north", PATH_S + 4.4, {"choice": ["car", "van"]}, 0.7),
                LITTER,
            ],
            "demand": [{"name": "oncoming", "approach": "westbound", "vehicles_per_hour": {"uniform": [0.0, 200.0]}}],
        },
        "duration_s": 60.0,
    },
)
