"""Four cars reach an all-way stop together: the rules are cyclic, somebody has to claim or to give way."""

from __future__ import annotations

from scenarios.catalogue.family import Family
from scenarios.yaml_tree import Data

SPEED = 8.0  # m/s, everybody's at the start
BEFORE_STOP: Data = {"uniform": [28.0, 36.0]}
"""±0.5 s at SPEED: a tie, as people see it."""
TURN: Data = {"turn": {"choice": ["straight", "left", "right"], "weights": [2.0, 1.0, 1.0]}}


def _car(approach: str) -> Data:
    return {"name": approach, "at": {"approach": approach, "before_stop": BEFORE_STOP}, "to": TURN, "speed": SPEED}


FAMILY = Family(
    summary="Four cars, the ego among them, reach an all-way stop within half a second of each other.",
    tree={
        "name": "four_way_chicken",
        "tags": ["junction", "negotiation", "tie"],
        "map": {"builder": "four_way", "parameters": {"control": "all_way", "speed_limit": 11.2}},
        "ego": {"at": {"approach": "south", "before_stop": BEFORE_STOP}, "to": TURN, "speed": SPEED},
        "traffic": {"users": [_car("east"), _car("north"), _car("west")]},
        "duration_s": 60.0,
    },
)
