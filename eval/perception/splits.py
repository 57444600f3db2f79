"""Which scenes are for what: disjoint ranges of seeds, and the conditions of the test, fixed before any training.

Nothing that `sim.sensors.things` holds out is drawn in a split other than the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.sensors.beams import LidarSpec
from sim.sensors.things import HELD_OUT_BEAMS, HELD_OUT_KINDS, HELD_OUT_WEATHER

VIEWS = 4
"""Samples of one scene."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One column of the evaluation. visibility [m] of fog; things: kinds that are put on the road besides the trained ones."""

    weather: str = "clear"
    visibility: float | None = None
    lidar: LidarSpec = field(default_factory=LidarSpec)
    things: tuple[str, ...] = ()


CONDITIONS: Mapping[str, Condition] = {
    "clear": Condition(),
    "fog": Condition(weather="fog", visibility=50.0),
    "snow": Condition(weather="snow"),
    "spray": Condition(weather=HELD_OUT_WEATHER[0]),
    "beams16": Condition(lidar=LidarSpec(beams=HELD_OUT_BEAMS[0])),
    "held_out": Condition(things=HELD_OUT_KINDS),
}
SEEN_CONDITIONS = ("clear", "fog", "snow")
"""Those of a kind that training saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Seeds from `first` on, `scenes` of them. conditions: names in CONDITIONS, or none: weather and sensor are drawn.

    crowded: more things about the car than there ever are, so that each step of training has more to learn from.
    """

    first: int
    scenes: int
    conditions: tuple[str, ...] = ()
    crowded: bool = False


SPLITS: Mapping[str, Split] = {
    "train": Split(first=2_000_000, scenes=600),
    "crowded": Split(first=2_500_000, scenes=2000, crowded=True),
    "calibration": Split(first=3_000_000, scenes=200),
    "development": Split(first=4_000_000, scenes=20, conditions=SEEN_CONDITIONS),
    "gate": Split(first=6_000_000, scenes=100, conditions=SEEN_CONDITIONS),
    "test": Split(first=5_000_000, scenes=60, conditions=tuple(CONDITIONS)),
}
"""Training is on `train` and `crowded`. `development` is what choices were made on, `gate` what versions of the
models are held against each other on; `test` is for the report alone."""
