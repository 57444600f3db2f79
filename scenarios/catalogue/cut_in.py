"""Somebody's lane is blocked, and they change into the ego's just ahead of it."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="A car whose lane is blocked ahead cuts in closely in front of the ego.",
    tree={
        "name": "cut_in",
        "tags": ["lane change"],
        "map": {"builder": "straight", "parameters": {"length": 500.0, "lanes": 2, "two_way": False, "speed_limit": 16.7}},
        "ego": {
            "at": {"lane": "eastbound_1", "s": 60.0},
            "to": {"lane": "eastbound_1", "s": 450.0},
            "speed": {"uniform": [11.0, 16.0]},
        },
        "traffic": {
            "users": [
                {
                    "name": "cutter",
                    "kind": {"choice": ["car", "van"], "weights": [3.0, 1.0]},
                    "at": {"lane": "eastbound_0", "s": {"uniform": [62.0, 90.0]}},
                    "to": {"lane": "eastbound_1", "s": 480.0},
                    "speed": {"uniform": [10.0, 15.0]},
                    "style": {"choice": ["normal", "brisk", "aggressive"]},
                },
                {
                    "name": "lead",
                    "present": {"choice": [True, False]},
                    "at": {"lane": "eastbound_1", "s": {"uniform": [120.0, 150.0]}},
                    "speed": {"uniform": [9.0, 14.0]},
                },
                {
                    "name": "follower",
                    "present": {"choice": [True, False]},
                    "at": {"lane": "eastbound_1", "s": {"uniform": [10.0, 35.0]}},
                    "speed": {"uniform": [10.0, 14.0]},
                },
            ],
            "things": [
                {
                    "name": "stopped",
                    "kind": {"choice": ["car", "truck"]},
                    "at": {"lane": "eastbound_0", "s": {"uniform": [180.0, 240.0]}},
                }
            ],
        },
        "duration_s": 60.0,
    },
)
