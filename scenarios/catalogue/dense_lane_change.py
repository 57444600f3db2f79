"""Across dense lanes to an exit on the other side."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="The ego has to change over two lanes of dense traffic before its exit.",
    tree={
        "name": "dense_lane_change",
        "tags": ["lane change", "dense"],
        "map": {
            "builder": "straight",
            "parameters": {"length": 500.0, "lanes": 3, "two_way": False, "speed_limit": {"choice": [11.2, 13.9]}},
        },
        "ego": {"at": {"lane": "eastbound_2", "s": {"uniform": [15.0, 60.0]}}, "to": {"lane": "eastbound_0", "s": 480.0}},
        "traffic": {
            "everywhere": {
                "per_lane_km": {"uniform": [20.0, 38.0]},
                "vehicles_per_hour": {"uniform": [1200.0, 2600.0]},
                "distance": 1000.0,
            },
        },
        "duration_s": 75.0,
    },
)
