"""Kinds of things that lie, stand or blow about: their sizes, and whether one may drive through them.

`HELD_OUT` lists the kinds, beam patterns and weather that no training and no tuning may touch; they exist for evaluation alone.
Sizes [m] are ordinary ones of the thing in question, as ranges to draw from.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from sim.rng import Purpose, generator

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One kind of thing: ranges of its box [m], and whether driving through it does no harm."""

    length: Range
    width: Range
    height: Range
    drive_through: bool = False

    def __post_init__(self) -> None:
        for name in ("length", "width", "height"):
            low, high = getattr(self, name)
            if not 0.0 < low <= high:
                raise ValueError(f"Thing.{name} must be a positive range (low, high), got ({low!r}, {high!r})")


THINGS: Mapping[str, Thing] = {
    "parked_car": Thing(length=(3.9, 5.0), width=(1.70, 1.95), height=(1.40, 1.75)),
    "parked_van": Thing(length=(5.0, 6.0), width=(1.90, 2.10), height=(2.00, 2.60)),
    "dirt_pile": Thing(length=(0.8, 3.0), width=(0.8, 2.5), height=(0.25, 1.20)),
    "cone": Thing(length=(0.28, 0.40), width=(0.28, 0.40), height=(0.45, 0.90)),
    "barrier": Thing(length=(1.5, 3.0), width=(0.40, 0.60), height=(0.80, 1.10)),
    "box": Thing(length=(0.4, 1.2), width=(0.3, 0.9), height=(0.30, 0.90)),
    "pallet": Thing(length=(1.0, 1.2), width=(0.8, 1.0), height=(0.12, 0.20)),
    "plastic_bag": Thing(length=(0.25, 0.60), width=(0.20, 0.50), height=(0.15, 0.45), drive_through=True),
    "tall_grass": Thing(length=(0.3, 1.5), width=(0.2, 0.6), height=(0.20, 0.60), drive_through=True),
    "unknown": Thing(length=(0.3, 2.5), width=(0.3, 2.0), height=(0.20, 1.80)),
    # held out: see HELD_OUT
    "animal": Thing(length=(0.5, 2.0), width=(0.20, 0.60), height=(0.40, 1.60)),
    "wheelchair": Thing(length=(1.0, 1.25), width=(0.60, 0.75), height=(1.20, 1.45)),
    "stroller": Thing(length=(0.8, 1.10), width=(0.45, 0.65), height=(0.90, 1.15)),
    "shopping_cart": Thing(length=(0.85, 1.10), width=(0.50, 0.60), height=(0.95, 1.10)),
    "couch": Thing(length=(1.5, 2.30), width=(0.80, 1.00), height=(0.70, 0.95)),
    "log": Thing(length=(1.5, 4.0), width=(0.20, 0.60), height=(0.20, 0.60)),
    "ladder": Thing(length=(2.0, 4.0), width=(0.35, 0.50), height=(0.08, 0.15)),
    "tyre": Thing(length=(0.55, 0.75), width=(0.55, 0.75), height=(0.18, 0.30)),
    "e_scooter": Thing(length=(1.0, 1.25), width=(0.40, 0.55), height=(1.00, 1.25)),
    "overturned_car": Thing(length=(3.9, 5.0), width=(1.40, 1.95), height=(1.30, 1.80)),
    "paper": Thing(length=(0.2, 0.60), width=(0.15, 0.45), height=(0.02, 0.25), drive_through=True),
    "steam": Thing(length=(0.8, 2.5), width=(0.8, 2.5), height=(0.80, 2.50), drive_through=True),
    "leaves": Thing(length=(0.5, 3.0), width=(0.5, 2.0), height=(0.05, 0.25), drive_through=True),
}  # fmt: skip
"""Name -> kind. Adding one takes one line here; keep the order, `thing_index` goes into recordings."""

HELD_OUT_KINDS = (
    "animal", "wheelchair", "stroller", "shopping_cart", "couch", "log", "ladder", "tyre", "e_scooter", "overturned_car",
    "paper", "steam", "leaves",
)  # fmt: skip
HELD_OUT_BEAMS = (16, 64)
"""Lidar ring counts."""
HELD_OUT_WEATHER = ("spray",)

THING_NAMES = tuple(THINGS)


def find_thing(name: str) -> Thing:
    """The kind called `name`; a ValueError names the nearest one."""
    if name in THINGS:
        return THINGS[name]
    near = difflib.get_close_matches(name, THING_NAMES, n=1)
    raise ValueError(f"unknown thing {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(THING_NAMES)}"))


def thing_index(name: str) -> int:
    """Position of `name` in THING_NAMES (what `bodies.thing` holds), -1 for the empty name; ValueError for an unknown one."""
    if not name:
        return -1
    find_thing(name)
    return THING_NAMES.index(name)


def draw_size(name: str, seed: int, slot: int) -> tuple[float, float, float]:
    """(length, width, height) [m] of one thing, drawn uniformly; the same for the same (name, seed, slot)."""
    thing = find_thing(name)
    random = generator(seed, Purpose.PLACEMENT, slot)
    length, width, height = (float(random.uniform(*limits)) for limits in (thing.length, thing.width, thing.height))
    return length, width, height


def middle_size(name: str) -> tuple[float, float, float]:
    """(length, width, height) [m] in the middle of what is ordinary for a thing."""
    thing = find_thing(name)
    length, width, height = (0.5 * (low + high) for low, high in (thing.length, thing.width, thing.height))
    return length, width, height
