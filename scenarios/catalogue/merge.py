"""From a ramp over an acceleration lane onto a motorway."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="The ego merges from a ramp into two lanes of flowing motorway traffic before its lane ends.",
    tree={
        "name": "merge",
        "tags": ["motorway", "merge"],
        "map": {"builder": "merge", "parameters": {"speed_limit": 25.0}},
        "ego": {"at": {"lane": "on_ramp", "s": {"uniform": [10.0, 60.0]}}, "to": {"lane": "main_after_1", "s": 180.0}},
        "traffic": {
            "demand": [{"name": "main", "approach": "main", "vehicles_per_hour": {"uniform": [800.0, 2200.0]}}],
            "everywhere": {"per_lane_km": {"uniform": [4.0, 12.0]}},
            "kinds": {"car": 0.75, "van": 0.1, "truck": 0.15},
        },
        "duration_s": 60.0,
    },
)
