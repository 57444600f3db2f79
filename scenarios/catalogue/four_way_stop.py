"""All-way stop: who came first goes first, with turns, a cyclist or people now and then."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="An all-way stop that one to eight others reach over time, with mixed turns and sometimes people on foot.",
    tree={
        "name": "four_way_stop",
        "tags": ["junction", "negotiation"],
        "map": {"builder": "four_way", "parameters": {"control": "all_way", "speed_limit": 11.2, "crosswalks": True}},
        "ego": {
            "at": {"approach": "south", "before_stop": {"uniform": [30.0, 60.0]}},
            "to": {"turn": {"choice": ["straight", "left", "right"]}},
        },
        "traffic": {
            "demand": [{"name": "other", "count": {"uniform": [1, 8]}, "window_s": [0.0, 15.0]}],
            "pedestrians": {"count": {"choice": [0, 2], "weights": [0.7, 0.3]}, "window_s": [0.0, 20.0]},
            "cyclists": 0.1,
        },
        "duration_s": 75.0,
    },
)
