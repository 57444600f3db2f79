"""OpenDRIVE elements as typed records: what the file says, checked one element at a time, before lanes are built from it.

Units are SI after reading (speeds in m/s, angles in rad). Every record keeps its element, so that later errors name its place.
Source: ASAM OpenDRIVE 1.8, chapters 10 (roads), 11 (lanes), 12 (junctions), 13 (objects), 14 (signals).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from scenarios.formats.opendrive_geometry import LENGTH_MAX, Cubics, ReferenceLine, read_cubics, read_reference_line
from scenarios.formats.xml import Element
from sim.interface import Floats

KNOWN_MINOR = range(4, 9)
"""OpenDRIVE 1.4 to 1.8 are read without remark."""
SPEED_UNITS = {"m/s": 1.0, "km/h": 1.0 / 3.6, "mph": 0.44704}
UNLIMITED = 36.1
"""m/s assumed where a road says it has no limit: 130 km/h, the recommended speed of the one country that has such roads."""


@dataclass(frozen=True, slots=True, eq=False)
class RoadLink:
    """Where one end of a road leads: a road's contact end, or a junction."""

    kind: str
    target: str
    contact: str
    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One lane of one section. `speeds`: (sOffset, m/s) rising. `direction`: standard, reversed or both."""

    id: int
    type: str
    predecessors: tuple[int, ...]
    successors: tuple[int, ...]
    width: Cubics | None
    border: Cubics | None
    speeds: tuple[tuple[float, float], ...]
    direction: str
    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One lane section, from `s` to the next one."""

    s: float
    lanes: dict[int, Lane]
    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """A sign, light or road marking; a signalReference is one too, with `id` of the signal it refers to and an empty type.

    validity: ranges of lane ids, or None where the file gives none (then orientation decides).
    """

    id: str
    s: float
    t: float
    orientation: str
    type: str
    subtype: str
    country: str
    name: str
    text: str
    dynamic: bool
    value: float
    unit: str
    width: float
    validity: tuple[tuple[int, int], ...] | None
    dependencies: tuple[str, ...]
    is_reference: bool
    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class RoadType:
    """Road type from `s` on, with its speed limit [m/s] if it gives one."""

    s: float
    type: str
    speed: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Road:
    """One road."""

    id: str
    name: str
    length: float
    junction: str | None
    left_hand: bool
    links: dict[str, RoadLink]
    """Keyed by this road's end, "start" or "end"."""
    types: tuple[RoadType, ...]
    line: ReferenceLine
    elevation: Cubics
    bank: Cubics
    """Superelevation [rad]: positive where the road falls to the right."""
    offset: Cubics
    sections: tuple[Section, ...]
    signals: tuple[Signal, ...]
    objects: tuple[Element, ...]
    element: Element

    def surface(self, s: Floats, t: Floats) -> Floats:
        """(N, 3) points x, y, z of the road's surface at s, t (N,)."""
        x, y, heading = self.line(s)
        bank = self.bank(s)
        flat = t * np.cos(bank)
        return np.column_stack((x - flat * np.sin(heading), y + flat * np.cos(heading), self.elevation(s) + t * np.sin(bank)))

    @property
    def label(self) -> str:
        """For messages."""
        return f"road {self.id!r}" + (f" ({self.name})" if self.name and self.name != self.id else "")


@dataclass(frozen=True, slots=True, eq=False)
class Connection:
    """One connection of a junction; `other` is the connecting road, or the linked road of a direct junction."""

    incoming: str
    other: str
    contact: str
    lanes: tuple[tuple[int, int], ...]
    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class Junction:
    """One junction; `type` is default, direct, virtual or crossing."""

    id: str
    name: str
    type: str
    connections: tuple[Connection, ...]
    controllers: tuple[str, ...]
    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class Controller:
    """Signals that switch together."""

    id: str
    name: str
    sequence: float
    signals: tuple[str, ...]
    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The whole file."""

    roads: dict[str, Road]
    junctions: dict[str, Junction]
    controllers: dict[str, Controller]
    warnings: tuple[str, ...]


_Record = TypeVar("_Record", Road, Junction, Controller)


def read_network(root: Element) -> Network:
    """Every element that the lane map needs; InputError on the first impossible one."""
    warnings: list[str] = []
    _check_version(root.need("header"), warnings)
    roads = _unique((_read_road(element, warnings) for element in root.all("road")), "road")
    if not roads:
        raise root.error("there is no <road> in the file", "A map needs at least one road.")
    junctions = _unique((_read_junction(element, warnings) for element in root.all("junction")), "junction")
    controllers = _unique((_read_controller(element) for element in root.all("controller")), "controller")
    _check_links(roads, junctions)
    if any(road.left_hand for road in roads.values()) and not all(road.left_hand for road in roads.values()):
        warnings.append("roads of both left-hand and right-hand traffic; each keeps its own, right of way follows the majority")
    return Network(roads, junctions, controllers, tuple(warnings))


def _unique(records: Iterable[_Record], kind: str) -> dict[str, _Record]:
    found: dict[str, _Record] = {}
    for record in records:
        if record.id in found:
            raise record.element.error(f"{kind} id {record.id!r} is used twice", "Give every one its own id.")
        found[record.id] = record
    return found


def _check_version(header: Element, warnings: list[str]) -> None:
    major, minor = header.integer("revMajor", 1), header.integer("revMinor", 4)
    if major != 1:
        raise header.error(f"OpenDRIVE {major}.{minor} is not supported", "Export the map as OpenDRIVE 1.4 to 1.8.")
    if minor not in KNOWN_MINOR:
        warnings.append(f"{header.file}:{header.line}: OpenDRIVE 1.{minor} is read as if it were 1.4 to 1.8")


def _check_links(roads: dict[str, Road], junctions: dict[str, Junction]) -> None:
    """Every id that is referred to must exist."""
    for road in roads.values():
        for link in road.links.values():
            if link.target not in (roads if link.kind == "road" else junctions):
                raise link.element.error(f"there is no {link.kind} {link.target!r}", "Correct elementId or add what it names.")
    for junction in junctions.values():
        for connection in junction.connections:
            for target in (connection.incoming, connection.other):
                if target not in roads:
                    raise connection.element.error(f"there is no road {target!r}", "Correct the id or add the road.")


def _read_road(element: Element, warnings: list[str]) -> Road:
    road_id = element.text("id")
    length = element.number("length")
    if not 0.0 < length <= LENGTH_MAX:
        raise element.error(f"length={length:g} m of road {road_id!r}", f"It must be above 0 and at most {LENGTH_MAX:g} m.")
    line = read_reference_line(element)
    if abs(line.end - length) > max(0.1, 1e-3 * length):
        warnings.append(
            f"road {road_id!r}: length is {length:.3f} m but its geometry ends at s={line.end:.3f}; the shorter one is used"
        )
        length = min(length, line.end)
    lanes = element.need("lanes")
    junction = element.text("junction", "-1")
    return Road(
        id=road_id,
        name=element.text("name", ""),
        length=length,
        junction=None if junction in ("-1", "") else junction,
        left_hand=element.text("rule", "RHT") == "LHT",
        links=_read_road_links(element),
        types=tuple(sorted((_read_road_type(child) for child in element.all("type")), key=lambda record: record.s)),
        line=line,
        elevation=_read_profile(element, "elevationProfile", "elevation"),
        bank=_read_profile(element, "lateralProfile", "superelevation"),
        offset=read_cubics(lanes.all("laneOffset")),
        sections=_read_sections(lanes, length, road_id),
        signals=_read_signals(element),
        objects=tuple(child for group in element.all("objects") for child in group.all("object")),
        element=element,
    )


def _read_profile(road: Element, group: str, record: str) -> Cubics:
    return read_cubics([child for found in road.all(group) for child in found.all(record)])


def _read_road_links(road: Element) -> dict[str, RoadLink]:
    links: dict[str, RoadLink] = {}
    link = road.child("link")
    for end, tag in (("start", "predecessor"), ("end", "successor")):
        element = link.child(tag) if link is not None else None
        if element is None:
            continue
        kind = element.choice("elementType", ("road", "junction"), "road")
        # A virtual junction's road is reached mid-way (elementS); there is no end to join there.
        if kind == "road" and "contactPoint" not in element.attributes and "elementS" in element.attributes:
            continue
        contact = element.choice("contactPoint", ("start", "end")) if kind == "road" else ""
        links[end] = RoadLink(kind, element.text("elementId"), contact, element)
    return links


def _read_road_type(element: Element) -> RoadType:
    speed = element.child("speed")
    return RoadType(element.number("s", 0.0), element.text("type", "unknown"), _read_speed(speed) if speed is not None else None)


def _read_speed(element: Element) -> float | None:
    """Limit in m/s, None where it is undefined."""
    raw = element.text("max")
    if raw == "undefined":
        return None
    if raw == "no limit":
        return UNLIMITED
    unit = element.choice("unit", tuple(SPEED_UNITS), "m/s")
    speed = element.number("max", minimum=0.0) * SPEED_UNITS[unit]
    # Zero and negative limits are placeholders of exporters; absurd ones are damaged numbers.
    if speed > 200.0:
        raise element.error(f"max={raw!r} {unit} is not believable", "Check number and unit.")
    return speed if speed > 0.0 else None


def _read_sections(lanes: Element, length: float, road_id: str) -> tuple[Section, ...]:
    sections = [_read_section(element) for element in lanes.all("laneSection")]
    if not sections:
        raise lanes.error(f"road {road_id!r} has no <laneSection>", "Add one with at least one lane.")
    for before, after in itertools.pairwise(sections):
        if after.s < before.s:
            raise after.element.error(f"s={after.s:g} is before the section above it", "Sort the lane sections by s.")
    if sections[0].s > min(1.0, length):
        raise sections[0].element.error(f"the first lane section starts at s={sections[0].s:g}", "Start it at s=0.")
    return _merge_single_sided(sections)


def _merge_single_sided(sections: list[Section]) -> tuple[Section, ...]:
    """Sections that describe one side only take the other side from the section before them."""
    merged: list[Section] = []
    for section in sections:
        if section.element.text("singleSide", "false") != "true" or not merged:
            merged.append(section)
            continue
        before = merged[-1]
        side = 1 if any(lane > 0 for lane in section.lanes) else -1
        other = {lane: _shift(record, section.s - before.s) for lane, record in before.lanes.items() if lane * side < 0}
        same_place = section.s - before.s < 1e-6
        mine = {lane: record for lane, record in section.lanes.items() if lane * side > 0}
        both = Section(section.s, {**other, **mine}, section.element)
        merged[-1:] = [both] if same_place else [_join_sides(before, side), both]
    return tuple(merged)


def _join_sides(before: Section, side: int) -> Section:
    """`before`, whose lanes off the changing side go on unchanged into the next section."""
    lanes = {key: _with_links(lane, successors=(key,)) if key * side < 0 else lane for key, lane in before.lanes.items()}
    return Section(before.s, lanes, before.element)


def _with_links(lane: Lane, *, successors: tuple[int, ...]) -> Lane:
    return Lane(
        lane.id, lane.type, lane.predecessors, successors, lane.width, lane.border, lane.speeds, lane.direction, lane.element
    )


def _shift(lane: Lane, by: float) -> Lane:
    """The same lane seen from a section that starts `by` further on."""
    width = Cubics(lane.width.start - by, lane.width.coefficients) if lane.width is not None else None
    border = Cubics(lane.border.start - by, lane.border.coefficients) if lane.border is not None else None
    speeds = tuple((s - by, speed) for s, speed in lane.speeds)
    return Lane(lane.id, lane.type, (lane.id,), lane.successors, width, border, speeds, lane.direction, lane.element)


def _read_section(element: Element) -> Section:
    lanes: dict[int, Lane] = {}
    for side, sign in (("left", 1), ("right", -1)):
        for group in element.all(side):
            for child in group.all("lane"):
                lane = _read_lane(child)
                if lane.id * sign <= 0:
                    raise child.error(
                        f"lane id {lane.id} is on the {side}", "Left lanes have positive ids, right lanes negative ones."
                    )
                if lane.id in lanes:
                    raise child.error(f"lane id {lane.id} is used twice in its section", "Number the lanes outwards from 1.")
                lanes[lane.id] = lane
    return Section(element.number("s", minimum=0.0), lanes, element)


def _read_lane(element: Element) -> Lane:
    widths, borders = element.all("width"), element.all("border")
    for record in widths:
        if record.number("a", 0.0) < -1e-3:
            raise record.error(f"a={record.text('a')!r} is a negative width", "Lane widths must be zero or more.")
    link = element.child("link")
    links = {tag: tuple(child.integer("id") for child in link.all(tag)) if link is not None else () for tag in _LANE_LINKS}
    speeds = [(child.number("sOffset", 0.0), _read_speed(child)) for child in element.all("speed")]
    return Lane(
        id=element.integer("id"),
        type=element.text("type", "none"),
        predecessors=links["predecessor"],
        successors=links["successor"],
        width=read_cubics(widths, "sOffset") if widths else None,
        border=read_cubics(borders, "sOffset") if borders else None,
        speeds=tuple(sorted((s, speed) for s, speed in speeds if speed is not None)),
        direction=element.text("direction", "standard"),
        element=element,
    )


_LANE_LINKS = ("predecessor", "successor")


def _read_signals(road: Element) -> tuple[Signal, ...]:
    found = [child for group in road.all("signals") for child in group.children]
    return tuple(_read_signal(child) for child in found if child.tag in ("signal", "signalReference"))


def _read_signal(element: Element) -> Signal:
    validity = tuple((record.integer("fromLane"), record.integer("toLane")) for record in element.all("validity"))
    # Values are sometimes "-1", sometimes empty, sometimes words; only a number means something here.
    value = element.attributes.get("value", "")
    return Signal(
        id=element.text("id"),
        s=element.number("s"),
        t=element.number("t"),
        orientation=element.text("orientation", "none"),
        type=element.text("type", ""),
        subtype=element.text("subtype", ""),
        country=element.text("country", ""),
        name=element.text("name", ""),
        text=element.text("text", ""),
        dynamic=element.text("dynamic", "no") == "yes",
        value=float(value) if re.fullmatch(r"\d{1,6}(\.\d{0,20})?(e[+-]?\d)?", value, re.IGNORECASE) else -1.0,
        unit=element.text("unit", ""),
        width=element.number("width", 0.0) if element.attributes.get("width") else 0.0,
        validity=tuple((min(pair), max(pair)) for pair in validity) or None,
        dependencies=tuple(child.text("id") for child in element.all("dependency")),
        is_reference=element.tag == "signalReference",
        element=element,
    )


def _read_junction(element: Element, warnings: list[str]) -> Junction:
    kind = element.text("type", "default")
    name, junction_id = element.text("name", ""), element.text("id")
    if kind in ("virtual", "crossing"):
        warnings.append(f"junction {junction_id!r} is {kind}: its roads stay, its connections are not driven")
    elif kind not in ("default", "direct"):
        raise element.error(f"type={kind!r} is not known", "Use one of: default, direct, virtual, crossing.")
    connections = (
        () if kind in ("virtual", "crossing") else tuple(_read_connection(child, kind) for child in element.all("connection"))
    )
    controllers = tuple(child.text("id") for child in element.all("controller"))
    return Junction(junction_id, name, kind, connections, controllers, element)


def _read_connection(element: Element, kind: str) -> Connection:
    other = element.text("linkedRoad" if kind == "direct" else "connectingRoad")
    pairs = tuple((child.integer("from"), child.integer("to")) for child in element.all("laneLink"))
    return Connection(element.text("incomingRoad"), other, element.choice("contactPoint", ("start", "end")), pairs, element)


def _read_controller(element: Element) -> Controller:
    signals = dict.fromkeys(child.text("signalId") for child in element.all("control"))
    sequence = element.number("sequence", 0.0) if element.attributes.get("sequence") else 0.0
    return Controller(element.text("id"), element.text("name", ""), sequence, tuple(signals), element)
