"""Lost load and litter on the ego's way: some of it is gone round, some is driven through, and it matters to tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.catalogue.family import Family
from scenarios.yaml_tree import Data
from sim.sensors.things import HELD_OUT_KINDS, THINGS

IN_THE_WAY = ("dirt_pile", "box", "pallet", "cone", "barrier", "unknown")
LIGHT = ("plastic_bag", "tall_grass")
BLOWN = ("plastic_bag", "paper", "leaves")
"""The wind takes them along."""


def _thing(label: str, name: str, at: Data) -> Data:
    thing = THINGS[name]
    entry: dict[str, Data] = {
        "name": label,
        "thing": name,
        "at": at,
        "size": [{"uniform": list(limits)} for limits in (thing.length, thing.width, thing.height)],
        "heading": {"uniform": [-0.4, 0.4]},
        "drive_through": thing.drive_through,
    }
    if name in BLOWN:
        entry["drift"] = {"uniform": [0.0, 1.2]}
    return entry


def _any(label: str, names: Sequence[str], at: Data) -> Data:
    return {"choice": [_thing(label, name, at) for name in names]}


def family(name: str, summary: str, solid: Sequence[str], light: Sequence[str]) -> Family:
    """A street with one thing to go round, one to drive through, and one more beside the lane."""
    return Family(
        summary=summary,
        tree={
            "name": name,
            "tags": ["obstacle", "debris", "oncoming"],
            "map": {"builder": "straight", "parameters": {"length": 320.0, "speed_limit": {"choice": [8.3, 13.9]}}},
            "ego": {"at": {"lane": "eastbound_0", "s": {"uniform": [15.0, 45.0]}}},
            "traffic": {
                "things": [
                    _any(
                        "debris", solid, {"lane": "eastbound_0", "s": {"uniform": [195.0, 225.0]}, "d": {"uniform": [-0.8, 0.0]}}
                    ),
                    _any(
                        "litter", light, {"lane": "eastbound_0", "s": {"uniform": [105.0, 145.0]}, "d": {"uniform": [-1.0, 1.0]}}
                    ),
                    _any(
                        "aside",
                        (*solid, *light),
                        {"lane": "eastbound_0", "s": {"uniform": [75.0, 260.0]}, "d": {"uniform": [-4.5, -3.2]}},
                    ),
                ],
                "demand": [{"name": "oncoming", "approach": "westbound", "vehicles_per_hour": {"uniform": [60.0, 300.0]}}],
            },
            "duration_s": 90.0,
        },
    )


FAMILY = family(
    "debris", "Something to go round and something to drive through lie in the ego's lane of a two-way street.", IN_THE_WAY, LIGHT
)
HELD_OUT = family(
    "debris_held_out",
    "As debris, with kinds of things that no training and no tuning may touch.",
    [name for name in HELD_OUT_KINDS if not THINGS[name].drive_through],
    [name for name in HELD_OUT_KINDS if THINGS[name].drive_through],
)
