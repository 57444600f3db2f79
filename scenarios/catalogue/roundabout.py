"""A single-lane roundabout: who is on the ring goes first."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="The ego enters a busy single-lane roundabout and leaves by any other arm.",
    tree={
        "name": "roundabout",
        "tags": ["junction", "gap acceptance"],
        "map": {"builder": "roundabout", "parameters": {"radius": {"choice": [14.0, 18.0]}}},
        "ego": {
            "at": {"approach": "south", "before_stop": {"uniform": [25.0, 60.0]}},
            "to": {"exit": {"choice": ["east", "north", "west"]}},
        },
        "traffic": {"demand": [{"name": "other", "vehicles_per_hour": {"uniform": [300.0, 900.0]}}], "cyclists": 0.05},
        "duration_s": 90.0,
    },
)
