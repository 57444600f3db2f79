"""Something lies or stands in the ego's lane: go round it between oncoming cars, or drive through it where that does no harm."""

from __future__ import annotations

from scenarios.catalogue.family import Family
from scenarios.yaml_tree import Data

AT: Data = {"lane": "eastbound_0", "s": {"uniform": [110.0, 140.0]}, "d": {"uniform": [-0.5, 0.2]}}
LITTER: Data = {
    "name": "litter", "thing": "plastic_bag", "drive_through": True, "drift": {"uniform": [0.3, 1.2]}, "present": False,
    "at": {"lane": "eastbound_0", "s": {"uniform": [80.0, 105.0]}, "d": {"uniform": [-0.8, 0.8]}},
}  # fmt: skip
"""A bag that blows about, for those who ask for it: `traffic.things.litter.present=true`."""

FAMILY = Family(
    summary="A parked car, a dirt pile, a plastic bag or an unknown object blocks the ego's lane of a two-way street.",
    tree={
        "name": "blocked_lane",
        "tags": ["obstacle", "oncoming"],
        "map": {"builder": "straight", "parameters": {"length": 260.0, "speed_limit": {"choice": [8.3, 13.9]}}},
        "ego": {"at": {"lane": "eastbound_0", "s": {"uniform": [15.0, 60.0]}}},
        "traffic": {
            "things": [
                {
                    "choice": [
                        {"name": "blocker", "kind": "car", "at": AT},
                        {"name": "blocker", "thing": "dirt_pile", "at": AT},
                        {"name": "blocker", "thing": "plastic_bag", "drive_through": True, "at": AT},
                        {"name": "blocker", "thing": "unknown", "at": AT},
                    ]
                },
                LITTER,
            ],
            "demand": [{"name": "oncoming", "approach": "westbound", "vehicles_per_hour": {"uniform": [60.0, 400.0]}}],
        },
        "duration_s": 90.0,
    },
)
