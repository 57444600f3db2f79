"""A drive through a small town with every kind of junction."""

from __future__ import annotations

from scenarios.catalogue.family import Family

FAMILY = Family(
    summary="A random drive through a grid town with lights, stops, yields, cyclists and people on the crosswalks.",
    tree={
        "name": "grid_town",
        "tags": ["town", "long"],
        "map": {"builder": "grid_town"},
        "ego": {"at": {"anywhere": True}, "to": {"distance": 300.0}},
        "traffic": {
            "everywhere": {"count": {"uniform": [8, 24]}, "vehicles_per_hour": {"uniform": [200.0, 900.0]}, "distance": 500.0},
            "pedestrians": {"per_hour": 6.0},
            "cyclists": 0.1,
        },
        "duration_s": 150.0,
    },
)
