"""A junction with lights: reds, amber decisions, turning traffic and people on the crosswalks."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="A signalised junction with one or two lanes, traffic from all sides and people on the crosswalks.",
    tree={
        "name": "signalised",
        "tags": ["junction", "signal"],
        "map": {
            "builder": "four_way",
            "parameters": {"control": "signal", "lanes": {"uniform": [1, 2]}, "arm_length": 120.0, "crosswalks": True},
        },
        "ego": {
            "at": {"approach": "south", "before_stop": {"uniform": [30.0, 90.0]}},
            "to": {"turn": {"choice": ["straight", "left", "right"]}},
        },
        "traffic": {
            "demand": [{"name": "other", "vehicles_per_hour": {"uniform": [400.0, 1200.0]}}],
            "pedestrians": {"per_hour": 40.0},
            "cyclists": 0.05,
        },
        "duration_s": 120.0,
    },
)
