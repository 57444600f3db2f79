"""A left turn across oncoming traffic, at a permissive light or from a priority road."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="The ego turns left across oncoming traffic that has priority, at a permissive green or off a main road.",
    tree={
        "name": "unprotected_left",
        "tags": ["junction", "gap acceptance"],
        "map": {
            "builder": "four_way",
            "parameters": {
                "control": {"choice": ["signal", {"east": "stop", "west": "stop"}]},
                "arm_length": 120.0,
                "crosswalks": True,
            },
        },
        "ego": {"at": {"approach": "south", "before_stop": {"uniform": [30.0, 70.0]}}, "to": {"turn": "left"}},
        "traffic": {
            "demand": [
                {
                    "name": "oncoming",
                    "approach": "north",
                    "turn": {"straight": 4, "right": 1},
                    "vehicles_per_hour": {"uniform": [300.0, 700.0]},
                },
                {"name": "crossing", "approach": ["east", "west"], "vehicles_per_hour": 120.0},
            ],
            "pedestrians": {"per_hour": {"choice": [0.0, 60.0]}},
        },
        "duration_s": 120.0,
    },
)
