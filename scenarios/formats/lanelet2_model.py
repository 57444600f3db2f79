"""What a Lanelet2 file (.osm) holds: lanelets with their bounds on the plane, and the rules that lanelets refer to.

Coordinates are UTM metres of the zone in which the map's middle lies (Karney, Transverse Mercator with an accuracy of a few
nanometers, J. Geod. 85, 2011, Krüger's series), or the nodes' own `local_x`, `local_y` where all have them. A lanelet that is
passed both ways is two lanes, the second named `ID_back`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from scenarios.formats.commonroad_states import Tally
from scenarios.formats.xml import Element
from sim.interface import Floats

BACK = "_back"
LANELET_MAX = 100_000.0  # m
LENGTH_MIN = 0.05  # m
RULES = frozenset({"right_of_way", "all_way_stop", "traffic_light", "speed_limit", "traffic_sign", "crosswalk"})
AREAS_READ = frozenset({"building"})
MADE_UP, ZONE_AT_ZERO = 0.5, 31
"""deg about latitude and longitude 0, where there is only sea: maps there are of other places and have their origin at 0, 0."""
LATITUDE_MAX = 84.0  # deg, UTM's own bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A line of nodes: their ids and places (P, 3) [m]. turned: the other way round than in the file."""

    id: str
    nodes: tuple[str, ...]
    points: Floats
    tags: Mapping[str, str]
    element: Element
    turned: bool = False

    def reversed(self) -> Way:
        """The same line the other way round."""
        return replace(self, nodes=self.nodes[::-1], points=self.points[::-1], turned=not self.turned)


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A lanelet in one direction. left, right: bounds along it; rules: ids of regulatory elements; element: its relation."""

    id: str
    lanelet: str
    left: Way
    right: Way
    tags: Mapping[str, str]
    rules: tuple[str, ...]
    element: Element
    successors: tuple[str, ...] = ()
    predecessors: tuple[str, ...] = ()
    left_neighbour: tuple[str, bool] | None = None
    right_neighbour: tuple[str, bool] | None = None

    @cached_property
    def rungs(self) -> tuple[Floats, Floats]:
        """(P, 3) points of the left and of the right bound that lie abreast."""
        return rungs(self.left.points, self.right.points)

    @cached_property
    def centre(self) -> Floats:
        """(P, 3) halfway between the bounds."""
        left, right = self.rungs
        return 0.5 * (left + right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A regulatory element: ways by role (refers, ref_line, ...) and lanelets by role (right_of_way, yield)."""

    id: str
    kind: str
    ways: Mapping[str, tuple[Way, ...]]
    lanelets: Mapping[str, tuple[str, ...]]
    tags: Mapping[str, str]
    element: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanelet2:
    """A whole file. lanes: by name, in the file's order; areas: (kind, outline (K, 2)) of multipolygons that are read."""

    name: str
    lanes: Mapping[str, Lane]
    rules: Mapping[str, Rule]
    areas: tuple[tuple[str, Floats], ...]
    warnings: tuple[str, ...] = field(default=())


def read_file(root: Element, name: str) -> Lanelet2:
    """Everything in a parsed file; InputError with the place of whatever cannot be."""
    tally = Tally()
    ways = _ways(root, _nodes(root, tally), tally)
    relations = _by_id(root, "relation")
    rules: dict[str, Rule] = {}
    lanes: dict[str, Lane] = {}
    areas: list[tuple[str, Floats]] = []
    for element in relations.values():
        tags = tags_of(element)
        match tags.get("type"):
            case "regulatory_element":
                rule = _rule(element, tags, ways, relations, tally)
                if rule is not None:
                    rules[rule.id] = rule
            case "lanelet":
                for lane in _lanes(element, tags, ways, relations, tally):
                    lanes[lane.id] = lane
            case "multipolygon":
                areas += _area(element, tags, ways, tally)
            case kind:
                tally.add(f"a relation of type {kind!r} is not supported and left out", element)
    if not lanes:
        raise root.error("there is no lanelet in the file", "Give a map whose relations have type=lanelet.")
    return Lanelet2(name=name, lanes=_linked(lanes), rules=rules, areas=tuple(areas), warnings=tally.lines())


def tags_of(element: Element) -> dict[str, str]:
    """The tags of a node, way or relation."""
    return {tag.text("k"): tag.text("v") for tag in element.all("tag")}


def _by_id(root: Element, tag: str) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for element in root.all(tag):
        if element.text("action", "") == "delete":
            continue
        name = element.text("id")
        if name in found:
            raise element.error(f"id={name!r} is taken", f"It is that of line {found[name].line}, too.")
        found[name] = element
    return found


def _nodes(root: Element, tally: Tally) -> dict[str, tuple[float, float, float]]:
    """Places of all nodes [m]."""
    elements = _by_id(root, "node")
    if not elements:
        raise root.error("there is no <node> in the file", "Export the map again.")
    tags = {name: tags_of(element) for name, element in elements.items()}
    if all("local_x" in one and "local_y" in one for one in tags.values()):
        flat = [[_tagged(elements[name], tags[name], key) for key in ("local_x", "local_y")] for name in elements]
        xy = np.array(flat, np.float64)
    else:
        degrees = np.array([_degrees(element) for element in elements.values()])
        xy = utm(degrees[:, 0], degrees[:, 1], zone_of(degrees))
        if np.abs(degrees).max() < MADE_UP:
            xy = utm(degrees[:, 0], degrees[:, 1], ZONE_AT_ZERO) - utm(np.zeros(1), np.zeros(1), ZONE_AT_ZERO)
    heights = ["ele" in one for one in tags.values()]
    if any(heights) and not all(heights):
        tally.add("only some nodes have a height (ele): the map is taken as flat", next(iter(elements.values())))
    z = [_tagged(elements[name], tags[name], "ele") if all(heights) else 0.0 for name in elements]
    return {name: (float(x), float(y), height) for name, (x, y), height in zip(elements, xy, z, strict=True)}


def _tagged(element: Element, tags: Mapping[str, str], key: str) -> float:
    """A tag as a finite number of metres."""
    raw = tags[key]
    try:
        value = float(raw if raw.isascii() and "_" not in raw else "")
    except ValueError:
        value = math.nan
    if not abs(value) < 1e8:
        raise element.error(f"tag {key}={raw[:40]!r} is not a number of metres", "Write a plain decimal number below 1e8.")
    return value


def _degrees(element: Element) -> tuple[float, float]:
    latitude, longitude = element.number("lat"), element.number("lon")
    if abs(latitude) > LATITUDE_MAX or abs(longitude) > 180.0:
        raise element.error(
            f"lat={latitude:g}, lon={longitude:g} is not where roads are",
            f"Latitudes go to {LATITUDE_MAX:g}, longitudes to 180 degrees.",
        )
    return latitude, longitude


def zone_of(degrees: Floats) -> int:
    """UTM zone of the middle of places (N, 2) of latitude and longitude."""
    middle = 0.5 * (degrees[:, 1].min() + degrees[:, 1].max())
    return min(int((middle + 180.0) // 6.0) + 1, 60)


def utm(latitude: Floats, longitude: Floats, zone: int) -> Floats:
    """(N, 2) easting and northing [m] on the WGS 84 ellipsoid, Krüger's series to the third power of n (below 1 mm)."""
    a, f = 6378137.0, 1.0 / 298.257223563
    n = f / (2.0 - f)
    radius = a / (1.0 + n) * (1.0 + n**2 / 4.0 + n**4 / 64.0)
    series = (n / 2.0 - 2.0 * n**2 / 3.0 + 5.0 * n**3 / 16.0, 13.0 * n**2 / 48.0 - 3.0 * n**3 / 5.0, 61.0 * n**3 / 240.0)
    phi, lam = np.radians(latitude), np.radians(longitude - (6.0 * zone - 183.0))
    eccentric = 2.0 * math.sqrt(n) / (1.0 + n)
    t = np.sinh(np.arctanh(np.sin(phi)) - eccentric * np.arctanh(eccentric * np.sin(phi)))
    xi, eta = np.arctan2(t, np.cos(lam)), np.arctanh(np.sin(lam) / np.sqrt(1.0 + t**2))
    east, north = eta.copy(), xi.copy()
    for k, factor in enumerate(series, start=1):
        east += factor * np.cos(2 * k * xi) * np.sinh(2 * k * eta)
        north += factor * np.sin(2 * k * xi) * np.cosh(2 * k * eta)
    return np.stack([500_000.0 + 0.9996 * radius * east, 0.9996 * radius * north], axis=1)


def _ways(root: Element, nodes: Mapping[str, tuple[float, float, float]], tally: Tally) -> dict[str, Way]:
    found: dict[str, Way] = {}
    for name, element in _by_id(root, "way").items():
        members: list[str] = []
        for part in element.all("nd"):
            node = part.text("ref")
            if node not in nodes:
                raise part.error(f"node {node!r} is not in the file", "Export the map with all its nodes.")
            if not members or members[-1] != node:
                members.append(node)
        if not members:
            tally.add("a way without nodes is left out", element)
            continue
        points = np.array([nodes[node] for node in members], np.float64)
        found[name] = Way(id=name, nodes=tuple(members), points=points, tags=tags_of(element), element=element)
    return found


def _members(
    element: Element, ways: Mapping[str, Way], relations: Mapping[str, Element], tally: Tally
) -> Iterator[tuple[str, Way | str]]:
    """(role, way or id of a relation) of a relation's members; other members are listed."""
    for member in element.all("member"):
        role, kind, ref = member.text("role", ""), member.text("type"), member.text("ref")
        if kind == "way" and ref in ways:
            yield role, ways[ref]
        elif kind == "relation" and ref in relations:
            yield role, ref
        elif kind == "node":
            tally.add(f"a node as {role!r} is not supported and left out", member)
        else:
            raise member.error(f"{kind} {ref!r} is not in the file", "Export the map with all its members.")


def _rule(
    element: Element, tags: Mapping[str, str], ways: Mapping[str, Way], relations: Mapping[str, Element], tally: Tally
) -> Rule | None:
    kind = tags.get("subtype", "")
    if kind not in RULES:
        tally.add(f"a regulatory element of subtype {kind!r} is not supported and left out", element)
        return None
    lines: defaultdict[str, list[Way]] = defaultdict(list)
    lanelets: defaultdict[str, list[str]] = defaultdict(list)
    for role, member in _members(element, ways, relations, tally):
        if isinstance(member, Way):
            lines[role].append(member)
        else:
            lanelets[role].append(member)
    return Rule(
        id=element.text("id"), kind=kind, ways={role: tuple(found) for role, found in lines.items()},
        lanelets={role: tuple(found) for role, found in lanelets.items()}, tags=tags, element=element,
    )  # fmt: skip


def _lanes(
    element: Element, tags: Mapping[str, str], ways: Mapping[str, Way], relations: Mapping[str, Element], tally: Tally
) -> Iterator[Lane]:
    """The lanelet in each direction in which it is passed."""
    if tags.get("subtype") == "rail":
        tally.add("a lanelet for trains is left out", element)
        return
    bounds: dict[str, Way] = {}
    rules: list[str] = []
    for role, member in _members(element, ways, relations, tally):
        if isinstance(member, str):
            if role == "regulatory_element":
                rules.append(member)
        elif role in ("left", "right"):
            if role in bounds:
                raise element.error(f"has more than one {role} bound", "Join the ways to one.")
            bounds[role] = member
        else:
            tally.add(f"<member> of role {role!r} in a lanelet is not supported and left out", element)
    for role in ("left", "right"):
        if role not in bounds:
            raise element.error(f"has no {role} bound", f'Add a <member type="way" role="{role}">.')
        if len(bounds[role].nodes) < 2:
            raise bounds[role].element.error("has one node alone", "A bound of a lanelet needs at least 2.")
    left, right = _aligned(bounds["left"], bounds["right"])
    name = element.text("id")
    lane = Lane(id=name, lanelet=name, left=left, right=right, tags=tags, rules=tuple(dict.fromkeys(rules)), element=element)
    length = float(np.hypot(*np.diff(lane.centre[:, :2], axis=0).T).sum())
    if not LENGTH_MIN <= length <= LANELET_MAX:
        raise element.error(f"is {length:g} m long", f"Lanelets must be from {LENGTH_MIN:g} to {LANELET_MAX:g} m long.")
    yield lane
    if tags.get("one_way", "yes") in ("no", "false"):
        yield replace(lane, id=name + BACK, left=right.reversed(), right=left.reversed())


def _aligned(left: Way, right: Way) -> tuple[Way, Way]:
    """Both bounds in the direction in which the left one lies to the left."""
    middle = [
        way.points[len(way.points) // 2, :2] if len(way.points) > 2 else way.points[:, :2].mean(axis=0) for way in (left, right)
    ]
    if _side(left.points, middle[1]) > 0.0:
        left = left.reversed()
    if _side(right.points, middle[0]) < 0.0:
        right = right.reversed()
    return left, right


def _side(line: Floats, place: Floats) -> float:
    """Signed distance [m] of a place from a line, positive to its left."""
    start, step = line[:-1, :2], np.diff(line[:, :2], axis=0)
    square = np.maximum((step**2).sum(axis=1), 1e-12)
    share = np.clip(((place - start) * step).sum(axis=1) / square, 0.0, 1.0)
    foot = start + share[:, None] * step
    away = np.hypot(*(foot - place).T)
    least = np.flatnonzero(away <= away.min() + 1e-9)
    k = int(least[0])
    direction = step[k]
    if len(least) > 1 and share[k] >= 1.0:  # nearest to a corner: by the direction halfway round it
        direction = step[k] / np.sqrt(square[k]) + step[least[-1]] / np.sqrt(square[least[-1]])
    offset = place - foot[k]
    return float(np.copysign(away[k], direction[0] * offset[1] - direction[1] * offset[0]))


def rungs(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """(P, 3) points of both lines abreast, from both firsts to both lasts.

    The nearest point ahead on either side makes the next rung, of those whose rung and whose step along the middle cross neither
    line, nor lead out over the ends.
    """
    lines = left[:, :2] - left[0, :2], right[:, :2] - left[0, :2]  # near 0, where differences are exact
    ends = [len(left) - 1, len(right) - 1]
    closed = bool(np.array_equal(lines[0][-1], lines[1][-1]))
    at = [int(np.array_equal(lines[0][0], lines[1][0])), 0]
    pairs = [(0, 0)]
    while at != ends:
        middle = 0.5 * (lines[0][pairs[-1][0]] + lines[1][pairs[-1][1]])
        found = [(*ahead, side) for side in (0, 1) if (ahead := _next_rung(lines, at, side, middle, closed)) is not None]
        if not found:
            break
        _, k, side = min(found, key=lambda one: (one[0], one[2]))
        at[side] = k
        pairs.append((at[0], at[1]))
    numbers = np.array(pairs if pairs[-1] == (ends[0], ends[1]) else [*pairs, (ends[0], ends[1])])
    return left[numbers[:, 0]], right[numbers[:, 1]]


def _next_rung(
    lines: tuple[Floats, Floats], at: Sequence[int], side: int, middle: Floats, closed: bool
) -> tuple[float, int] | None:
    """Distance and number of the point ahead on one side that makes the shortest rung to where the other side is; None without
    one. closed: both lines end in one point."""
    place, own = lines[1 - side][at[1 - side]], lines[side]
    along_the_other = closed and at[1 - side] == len(lines[1 - side]) - 2
    away = np.hypot(*(own[at[side] + 1 : len(own) - along_the_other] - place).T)
    for k in np.argsort(away, kind="stable").tolist():
        number = at[side] + 1 + k
        step = 0.5 * (place + own[number])
        if _leads_out(lines, at, middle, step):
            continue
        if not any(_crosses(line, place, own[number]) or _crosses(line, middle, step) for line in lines):
            return float(away[k]), number
    return None


def _leads_out(lines: tuple[Floats, Floats], at: Sequence[int], middle: Floats, step: Floats) -> bool:
    """Whether the first step goes back over the start, or any goes over the end."""
    entry, leave = (np.array([lines[0][k], lines[1][k]]) for k in (0, -1))
    across = entry[1] - entry[0]
    back = across[1] * (step[0] - entry[0, 0]) - across[0] * (step[1] - entry[0, 1])
    return bool(at[0] == at[1] == 0 and back > 1e-9) or _crosses(leave, middle, step)


def _crosses(line: Floats, a: Floats, b: Floats) -> bool:
    """Whether a segment crosses a line's inside; touching it with an end does not count."""
    start, end = line[:-1], line[1:]
    own, step = b - a, end - start
    first, second = (own[0] * (p[:, 1] - a[1]) - own[1] * (p[:, 0] - a[0]) for p in (start, end))
    third, fourth = (step[:, 0] * (p[1] - start[:, 1]) - step[:, 1] * (p[0] - start[:, 0]) for p in (a, b))
    tiny = 1e-6
    return bool(np.any((first * second < -tiny) & (third * fourth < -tiny)))


def _area(element: Element, tags: Mapping[str, str], ways: Mapping[str, Way], tally: Tally) -> Iterator[tuple[str, Floats]]:
    """The outline of a multipolygon of a kind that is read."""
    kind = tags.get("subtype", "")
    if kind not in AREAS_READ:
        tally.add(f"a multipolygon of subtype {kind!r} is not read", element)
        return
    sides = [member.text("ref") for member in element.all("member") if member.text("role", "") == "outer"]
    ring = _ring([ways[ref] for ref in sides if ref in ways])
    if ring is None:
        tally.add("a multipolygon whose sides do not close is left out", element)
    else:
        yield kind, ring


def _ring(sides: Sequence[Way]) -> Floats | None:
    """(K, 2) around what ways enclose that follow each other, either way round."""
    if not sides:
        return None
    whole, left = sides[0], list(sides[1:])
    while left:
        fits = [side for side in left if whole.nodes[-1] in (side.nodes[0], side.nodes[-1])]
        if not fits:
            return None
        left.remove(fits[0])
        onward = fits[0] if fits[0].nodes[0] == whole.nodes[-1] else fits[0].reversed()
        whole = replace(whole, nodes=whole.nodes + onward.nodes[1:], points=np.vstack([whole.points, onward.points[1:]]))
    return whole.points[:-1, :2] if whole.nodes[0] == whole.nodes[-1] and len(whole.nodes) > 3 else None


def _linked(lanes: Mapping[str, Lane]) -> dict[str, Lane]:
    """The lanes with what follows them (both bounds go on) and what lies beside them (a bound is shared)."""
    starts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    ends: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    lefts: dict[tuple[str, tuple[str, ...]], str] = {}
    rights: dict[tuple[str, tuple[str, ...]], str] = {}
    for lane in lanes.values():
        starts[lane.left.nodes[0], lane.right.nodes[0]].append(lane.id)
        ends[lane.left.nodes[-1], lane.right.nodes[-1]].append(lane.id)
        lefts.setdefault((lane.left.id, lane.left.nodes), lane.id)
        rights.setdefault((lane.right.id, lane.right.nodes), lane.id)

    def beside(
        way: Way, same: Mapping[tuple[str, tuple[str, ...]], str], other: Mapping[tuple[str, tuple[str, ...]], str]
    ) -> tuple[str, bool] | None:
        along, against = same.get((way.id, way.nodes)), other.get((way.id, way.nodes[::-1]))
        return (along, True) if along is not None else (against, False) if against is not None else None

    return {
        lane.id: replace(
            lane, successors=tuple(starts.get((lane.left.nodes[-1], lane.right.nodes[-1]), ())),
            predecessors=tuple(ends.get((lane.left.nodes[0], lane.right.nodes[0]), ())),
            left_neighbour=beside(lane.left, rights, lefts), right_neighbour=beside(lane.right, lefts, rights),
        )
        for lane in lanes.values()
    }  # fmt: skip
