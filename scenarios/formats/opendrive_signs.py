"""What an OpenDRIVE signal means: sign catalogues reduced to what traffic here obeys, and which lanes a signal stands for.

Sources: ASAM OpenDRIVE 1.8, chapter 14 and its signal catalogue (types 1000001 and on); the German catalogue (StVO, codes 205,
206, 274, 294, 301, 306), which files with country "OpenDRIVE" use too; MUTCD (R1-1, R1-2, R1-3P, R2-1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from scenarios.formats.opendrive_model import SPEED_UNITS, Network, Road, Signal
from scenarios.formats.opendrive_strands import Strand
from sim.roads.lane_map import LaneKind, Turn


class Meaning(Enum):
    """What a signal is, as far as anybody here acts on it."""

    STOP = "stop"
    YIELD = "yield"
    ALL_WAY = "all-way plate"
    PRIORITY = "priority road"
    SPEED = "speed limit"
    LIGHT = "traffic light"
    STOP_LINE = "stop line"
    CROSSWALK = "crosswalk marking"


_CODES = {
    "206": Meaning.STOP, "R1-1": Meaning.STOP,
    "205": Meaning.YIELD, "R1-2": Meaning.YIELD,
    "R1-3P": Meaning.ALL_WAY, "R1-3": Meaning.ALL_WAY, "R1-4": Meaning.ALL_WAY,
    "306": Meaning.PRIORITY, "301": Meaning.PRIORITY,
    "274": Meaning.SPEED, "R2-1": Meaning.SPEED,
    "294": Meaning.STOP_LINE,
    "1000003": Meaning.CROSSWALK, "293": Meaning.CROSSWALK,
    **dict.fromkeys(("1000001", "1000008", "1000009", "1000010", "1000011", "1000012"), Meaning.LIGHT),
}  # fmt: skip
"""1000002, 1000007, 1000013 and 1000015 are lights for pedestrians and cyclists; vehicles do not obey them."""

_PLATE_TEXT = re.compile(r"\b(all|[34])[ _-]?way\b", re.IGNORECASE)
_ARROWS = {
    "10": (Turn.LEFT,),
    "20": (Turn.RIGHT,),
    "30": (Turn.STRAIGHT,),
    "40": (Turn.STRAIGHT, Turn.LEFT),
    "50": (Turn.STRAIGHT, Turn.RIGHT),
}


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A signal where it applies: its definition, the road and record that place it."""

    road: Road
    definition: Signal
    record: Signal
    meaning: Meaning

    @property
    def arrow(self) -> tuple[Turn, ...]:
        """Turns that a light with arrows stands for; empty for a plain one."""
        return _ARROWS.get(self.definition.subtype, ()) if self.definition.type in ("1000010", "1000011", "1000012") else ()


def meaning_of(signal: Signal) -> Meaning | None:
    """What the signal means, None where it says nothing that matters here."""
    if _PLATE_TEXT.search(signal.text) or _PLATE_TEXT.search(signal.name):
        return Meaning.ALL_WAY
    found = _CODES.get(signal.type)
    if found is None and not signal.dynamic and not signal.type.startswith("10000"):
        # Private catalogues: the name is the only clue.
        name = signal.name.lower()
        found = Meaning.STOP if re.search(r"stop[_ -]?sign|sign[_ -]?stop", name) else None
        found = Meaning.YIELD if re.search(r"yield|give[_ -]?way", name) else found
    return found


def placements(network: Network) -> Iterator[Placement]:
    """Every meaningful signal at every place where it applies.

    A signal valid for lane 0 alone is only the thing on its pole; its references say for whom it stands.
    """
    definitions = {signal.id: signal for road in network.roads.values() for signal in road.signals if not signal.is_reference}
    for road in network.roads.values():
        for record in road.signals:
            definition = definitions.get(record.id) if record.is_reference else record
            meaning = meaning_of(definition) if definition is not None else None
            if definition is not None and meaning is not None and record.validity != ((0, 0),):
                yield Placement(road, definition, record, meaning)


def facing(placement: Placement, strands: list[Strand]) -> list[Strand]:
    """The driving strands of the placement's road that its signal stands for, at its s."""
    record = placement.record
    s = min(max(record.s, 0.0), placement.road.length)
    found = []
    for strand in strands:
        if strand.kind != LaneKind.DRIVING or not any(low - 0.6 <= s <= high + 0.6 for low, high, _ in strand.spans):
            continue
        lane_ids = [lane for low, high, lane in strand.spans if strand.covers(s, lane)]
        if record.validity is not None:
            if any(low <= lane <= high for lane in lane_ids for low, high in record.validity):
                found.append(strand)
        elif record.orientation in "+-":
            if strand.forward == (record.orientation == "+"):
                found.append(strand)
        elif strand.forward == ((record.t < 0.0) != placement.road.left_hand):
            # No orientation: the sign stands on the side of the lanes that it is for.
            found.append(strand)
    return found


def speed_of(signal: Signal) -> float | None:
    """Limit [m/s] of a speed sign."""
    if signal.value > 0.0:
        default = "mph" if signal.type.startswith("R") else "km/h"
        return signal.value * SPEED_UNITS.get(signal.unit, SPEED_UNITS[default])
    if signal.subtype.isdecimal() and len(signal.subtype) <= 3:
        code = int(signal.subtype)
        # 274-51 to 274-63 are 10 to 130 km/h; newer files write the number itself.
        kph = (code - 50) * 10 if signal.type == "274" and 50 < code <= 63 else code
        return kph / 3.6 if 5 <= kph <= 130 else None
    return None
