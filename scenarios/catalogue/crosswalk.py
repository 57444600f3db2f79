"""People at a crosswalk in the middle of a block."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="People come to a mid-block crosswalk from both sides while the ego and oncoming cars approach it.",
    tree={
        "name": "crosswalk",
        "tags": ["pedestrian"],
        "map": {"builder": "crosswalk", "parameters": {"speed_limit": {"choice": [8.3, 11.2, 13.9]}}},
        "ego": {"at": {"approach": "eastbound", "s": {"uniform": [10.0, 55.0]}}},
        "traffic": {
            "pedestrians": {"count": {"uniform": [1, 5]}, "window_s": [0.0, 8.0], "jaywalk_share": 0.1},
            "demand": [{"name": "oncoming", "approach": "westbound", "vehicles_per_hour": {"uniform": [0.0, 400.0]}}],
        },
        "duration_s": 60.0,
    },
)
