"""The plan of a junction: its arms, how far apart they must end, and where things are on them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sim.geometry import Floats
from sim.roads.lane_map import Crosswalk, LaneDraft, Regulation, SignalPlan
from sim.roads.layouts.check import BuilderError
from sim.roads.layouts.curves import direction, left_of

SHARPEST = math.radians(40.0)  # arms closer together than this do not make a usable junction
FLAT = math.radians(150.0)  # between arms further apart there is no corner
WALK_OFFSET = 1.6  # m, from the road's edge to the middle of the sidewalk
WALK_HALF_WIDTH = 1.0
WALK_KEEP_RIGHT = 0.5  # m, each direction of a sidewalk or crosswalk keeps this far to its right
CROSSWALK_SETBACK = 2.0  # m, from where turning begins to the middle of the crosswalk
CROSSWALK_HALF_DEPTH = 1.5
LINE_BEFORE_CROSSWALK = 1.0  # m


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One road of a junction. angle: its direction seen from the centre; length: from the junction's edge to its far end [m];
    onward, behind: names of lanes at its far end that continue its exit lanes and feed nothing here (index = lane)."""

    name: str
    angle: float
    length: float
    lanes_in: int = 1
    lanes_out: int = 1
    lane_width: float = 3.5
    control: Regulation = Regulation.NONE
    priority_road: bool = False
    onward: tuple[str, ...] = ()
    walk_onward: Mapping[str, str] = field(default_factory=dict)
    """Sidewalk lanes of the next junction that continue `left` and `right`."""

    @property
    def half_width(self) -> float:
        """Half the carriageway [m], the wider side counting for both."""
        return self.lane_width * max(self.lanes_in, self.lanes_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Junction:
    """What to draw. prefix goes before every name (towns have many junctions)."""

    name: str
    arms: tuple[Arm, ...]
    centre: tuple[float, float] = (0.0, 0.0)
    corner_radius: float = 6.0
    speed_limit: float = 13.9
    left_hand_traffic: bool = False
    crosswalks: bool = False
    sidewalks: bool = False
    protected_left: bool = False
    prefix: str = ""


@dataclass(slots=True)
class Draft:
    """Parts of a MapDraft under construction."""

    lanes: list[LaneDraft] = field(default_factory=list)
    signals: list[SignalPlan] = field(default_factory=list)
    crosswalks: list[Crosswalk] = field(default_factory=list)
    drivable: list[Floats] = field(default_factory=list)


def sorted_arms(junction: Junction) -> tuple[Arm, ...]:
    """Arms counter-clockwise; BuilderError where two are too close together."""
    arms = tuple(sorted(junction.arms, key=lambda arm: arm.angle % (2.0 * math.pi)))
    for arm, following in zip(arms, arms[1:] + arms[:1], strict=True):
        between = (following.angle - arm.angle) % (2.0 * math.pi)
        if len(arms) > 1 and between < SHARPEST:
            raise BuilderError(
                f"arms {arm.name!r} and {following.name!r} are {math.degrees(between):.0f} degrees apart; "
                f"at least {math.degrees(SHARPEST):.0f} are needed"
            )
    return arms


def mouths(junction: Junction) -> dict[str, float]:
    """Distance [m] of each arm's lane ends from the centre, so that corners of the wanted radius fit between the arms."""
    arms = sorted_arms(junction)
    found = {arm.name: 2.0 for arm in arms}
    for arm, following in zip(arms, arms[1:] + arms[:1], strict=True):
        between = (following.angle - arm.angle) % (2.0 * math.pi)
        if between > FLAT:
            continue
        fillet = junction.corner_radius / math.tan(0.5 * between)
        for one, other in ((arm, following), (following, arm)):
            corner = (other.half_width + one.half_width * math.cos(between)) / math.sin(between)
            found[one.name] = max(found[one.name], corner + fillet)
    widest = max((arm.half_width for arm in arms), default=0.0)
    return {name: max(mouth, min(widest, 4.0)) for name, mouth in found.items()}


class JunctionFrame:
    """Where things are: positions on an arm by distance from the centre and offset to the left of its outward direction.

    mouth: where turning begins; throat: where the approach lanes end. A crosswalk lies between the two, on the lanes of the
    junction.
    """

    def __init__(self, junction: Junction) -> None:
        self.junction = junction
        self.mouth = mouths(junction)
        apron = CROSSWALK_SETBACK + CROSSWALK_HALF_DEPTH + LINE_BEFORE_CROSSWALK if junction.crosswalks else 0.0
        self.throat = {name: mouth + apron for name, mouth in self.mouth.items()}
        self.centre = np.array(junction.centre)
        self.side = -1.0 if junction.left_hand_traffic else 1.0

    def at(self, arm: Arm, distance: float, left: float) -> Floats:
        """World point (2,)."""
        return np.asarray(self.centre + distance * direction(arm.angle) + left * left_of(arm.angle))

    def lane_offset(self, arm: Arm, lane: int, inwards: bool) -> float:
        """Offset to the left of the arm's outward direction; traffic keeps right (or left) of the road's centre."""
        return self.side * (1.0 if inwards else -1.0) * arm.lane_width * (lane + 0.5)
