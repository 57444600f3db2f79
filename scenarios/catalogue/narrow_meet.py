"""Two cars meet where only one fits through; now and then both are in already and one has to reverse."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="The ego meets an oncoming car in a street that is one lane wide, where at times somebody has to reverse.",
    tree={
        "name": "narrow_meet",
        "tags": ["narrow", "negotiation", "reverse"],
        "map": {
            "builder": "narrow_street",
            "parameters": {
                "passing_places": {"choice": [0, 1], "weights": [2.0, 1.0]},
                "passage_length": {"choice": [36.0, 48.0]},
            },
        },
        "ego": {
            "at": {
                "choice": [
                    {"lane": "eastbound_west_0", "before_stop": {"uniform": [5.0, 40.0]}},
                    {"lane": "eastbound_narrow0_0", "s": {"uniform": [3.0, 7.0]}},
                ],
                "weights": [0.7, 0.3],
            },
            "speed": {"uniform": [3.0, 7.0]},
        },
        "traffic": {
            "users": [
                {
                    "name": "oncoming",
                    "kind": {"choice": ["car", "van"]},
                    "at": {
                        "choice": [
                            {"lane": "westbound_east_0", "before_stop": {"uniform": [5.0, 40.0]}},
                            {"lane": "westbound_narrow0_0", "s": {"uniform": [3.0, 12.0]}},
                        ],
                        "weights": [0.6, 0.4],
                    },
                    "speed": {"uniform": [3.0, 7.0]},
                },
                {
                    "name": "behind",
                    "present": {"choice": [False, True], "weights": [0.7, 0.3]},
                    "at": {"lane": "westbound_east_0", "s": 4.0},
                    "depart_s": {"uniform": [2.0, 12.0]},
                },
            ]
        },
        "duration_s": 90.0,
    },
)
