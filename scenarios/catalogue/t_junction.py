"""Out of the stem of a T junction into the traffic of the main road."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="The ego turns from the stem of a T junction, by a stop or a yield sign, into a busy main road.",
    tree={
        "name": "t_junction",
        "tags": ["junction", "gap acceptance"],
        "map": {
            "builder": "t_junction",
            "parameters": {
                "control": {"choice": [{"south": "yield"}, {"south": "stop"}]},
                "arm_length": 120.0,
                "sidewalks": True,
            },
        },
        "ego": {
            "at": {"approach": "south", "before_stop": {"uniform": [30.0, 70.0]}},
            "to": {"turn": {"choice": ["left", "right"]}},
        },
        "traffic": {
            "demand": [
                {
                    "name": "eastern",
                    "approach": "east",
                    "vehicles_per_hour": {"uniform": [150.0, 600.0]},
                    "turn": {"straight": 5, "left": 1},
                },
                {
                    "name": "western",
                    "approach": "west",
                    "vehicles_per_hour": {"uniform": [150.0, 600.0]},
                    "turn": {"straight": 5, "right": 1},
                },
            ],
            "cyclists": 0.05,
        },
        "duration_s": 90.0,
    },
)
