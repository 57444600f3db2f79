"""What a CommonRoad file (XML, versions 2018b and 2020a) says, as plain records: lanelets, signs, lights, intersections, road
users with their recorded states, planning problems.

The file's own coordinates [m], SI, radians; times are whole steps of `step_s`. Positions are the centre of the shape. Source: the
format's documentation, "XML scenario format" 2018b and 2020a, commonroad.in.tum.de. What no field here holds is listed in
`warnings`, with the line of its first occurrence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from scenarios.formats.commonroad_states import (
    Shape,
    Span,
    Tally,
    number,
    read_shapes,
    read_span,
    read_states,
    reference,
)
from scenarios.formats.xml import Element
from sim.interface import Colour, Floats

VERSIONS = ("2018b", "2020a")
COORDINATE_MAX = 1e8  # m; anything larger is a damaged number, not a place on Earth
LANELET_MAX = 5e4  # m, longest lanelet accepted; bounds the memory a damaged number can ask for
TURNS = {"successorsRight": "right", "successorsStraight": "straight", "successorsLeft": "left"}
COLOURS = {
    "red": Colour.RED, "redYellow": Colour.RED, "yellow": Colour.YELLOW, "green": Colour.GREEN, "inactive": Colour.OFF,
}  # fmt: skip
DIRECTIONS: Mapping[str, frozenset[str]] = {
    "right": frozenset({"right"}), "straight": frozenset({"straight"}), "left": frozenset({"left"}),
    "leftStraight": frozenset({"left", "straight"}), "straightRight": frozenset({"straight", "right"}),
    "leftRight": frozenset({"left", "right"}), "all": frozenset({"left", "straight", "right"}),
}  # fmt: skip

_T = TypeVar("_T", "Lanelet", "Sign", "Light", "Problem")
KNOWN: Mapping[str, frozenset[str]] = {
    parent: frozenset(children.split())
    for parent, children in {
        "commonRoad": (
            "location scenarioTags lanelet trafficSign trafficLight intersection staticObstacle dynamicObstacle obstacle "
            "environmentObstacle planningProblem"
        ),
        "location": "geoNameId gpsLatitude gpsLongitude",
        "lanelet": (
            "leftBound rightBound predecessor successor adjacentLeft adjacentRight stopLine laneletType userOneWay "
            "userBidirectional trafficSignRef trafficLightRef speedLimit"
        ),
        "leftBound": "point lineMarking", "rightBound": "point lineMarking",
        "stopLine": "point lineMarking trafficSignRef trafficLightRef",
        "trafficSign": "trafficSignElement position virtual", "trafficSignElement": "trafficSignID additionalValue",
        "trafficLight": "cycle position direction active", "cycle": "cycleElement timeOffset", "cycleElement": "duration color",
        "intersection": "incoming crossing", "crossing": "crossingLanelet",
        "incoming": "incomingLanelet successorsRight successorsStraight successorsLeft isLeftOf",
        "obstacle": "role type shape initialState trajectory", "staticObstacle": "type shape initialState",
        "dynamicObstacle": "type shape initialState trajectory", "environmentObstacle": "type shape",
        "planningProblem": "initialState goalState",
    }.items()
}  # fmt: skip
"""What is read inside each element; states, shapes and intervals look after themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLine:
    """Where to stop: two points (2, 2), or None for the lanelet's end, and the signs and lights it belongs to."""

    points: Floats | None
    signs: tuple[str, ...] = ()
    lights: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanelet:
    """One lanelet. left, right: (P, 3) bounds in driving direction, z 0 where the file has none; neighbours are (id, same
    direction). users: who may drive there, empty for "as its types say"."""

    id: str
    left: Floats
    right: Floats
    types: frozenset[str]
    users: frozenset[str]
    successors: tuple[str, ...]
    predecessors: tuple[str, ...]
    left_neighbour: tuple[str, bool] | None
    right_neighbour: tuple[str, bool] | None
    stop_line: StopLine | None
    signs: tuple[str, ...]
    lights: tuple[str, ...]
    speed_limit: float | None
    element: Element

    @property
    def centre(self) -> Floats:
        """(P, 3) centreline: halfway between the points of the bounds."""
        return 0.5 * (self.left + self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """(code, values) of each plate on one post."""

    id: str
    plates: tuple[tuple[str, tuple[str, ...]], ...]
    element: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """phases: (steps, colour) from step `offset` on, repeated; turns: for whom it holds; empty phases: no programme."""

    id: str
    phases: tuple[tuple[int, Colour], ...]
    offset: int
    turns: frozenset[str]
    active: bool
    element: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Lanelets that lead into an intersection, and those in it by turn."""

    lanelets: tuple[str, ...]
    turns: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intersection:
    """One intersection; crossings: lanelets that people cross on."""

    id: str
    incomings: tuple[Incoming, ...]
    crossings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """A road user or thing. states: (T, 5) of step, x, y, heading, speed, one row for what stands still."""

    id: str
    role: str
    type: str
    shapes: tuple[Shape, ...]
    states: Floats
    element: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalState:
    """One way of having arrived: in any of the outlines (K, 2) or lanelets (both empty: anywhere), within steps, speeds [m/s]
    and headings [rad]."""

    outlines: tuple[Floats, ...]
    lanelets: tuple[str, ...]
    steps: Span
    speeds: Span | None
    headings: Span | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A planning problem: from state (5,) of step, x, y, heading, speed, to any of the goals."""

    id: str
    start: Floats
    goals: tuple[GoalState, ...]
    element: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonRoad:
    """A whole file."""

    name: str
    version: str
    step_s: float
    tags: tuple[str, ...]
    lanelets: Mapping[str, Lanelet]
    signs: Mapping[str, Sign]
    lights: Mapping[str, Light]
    intersections: tuple[Intersection, ...]
    obstacles: tuple[Obstacle, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = field(default=())


def read_file(root: Element) -> CommonRoad:
    """Everything in a parsed file; InputError with the place of whatever cannot be."""
    version = root.text("commonRoadVersion", "")
    if version not in VERSIONS:
        raise root.error(f"commonRoadVersion={version!r} is not known", f"Convert the file to one of: {', '.join(VERSIONS)}.")
    tally = Tally()
    _note_unknown(root, tally)
    step_s = root.number("timeStepSize", minimum=1e-3)
    if step_s > 10.0:
        raise root.error(f"timeStepSize={step_s:g} s is not believable", "It must be at most 10 s.")
    lanelets = _by_id(_lanelets(root, tally))
    if not lanelets:
        raise root.error("there is no <lanelet> in the file", "Scenarios need a road network.")
    _check_references(lanelets, tally)
    tags = root.child("scenarioTags")
    obstacles = tuple(_obstacles(root, tally, step_s))
    problems = tuple(_by_id(_problems(root, tally, step_s)).values())
    lights = _by_id(_lights(root, tally))
    return CommonRoad(
        name=root.text("benchmarkID", "") or "commonroad", version=version, step_s=step_s,
        tags=tuple(tag.tag for tag in tags.children) if tags is not None else tuple(root.text("tags", "").split()),
        lanelets=lanelets, signs=_by_id(_signs(root)), lights=lights, intersections=tuple(_intersections(root)),
        obstacles=obstacles, problems=problems, warnings=tally.lines(),
    )  # fmt: skip


def _note_unknown(root: Element, tally: Tally) -> None:
    """List elements that nothing here reads."""
    pending = [root]
    while pending:
        element = pending.pop()
        known = KNOWN.get(element.tag)
        if known is None:
            continue
        for child in element.children:
            if child.tag in known:
                pending.append(child)
            else:
                tally.add(f"<{child.tag}> in <{element.tag}> is not supported and left out", child)


def _by_id(items: Iterator[_T]) -> dict[str, _T]:
    found: dict[str, _T] = {}
    for item in items:
        if item.id in found:
            raise item.element.error(f"id={item.id!r} is taken", f"It is that of line {found[item.id].element.line}, too.")
        found[item.id] = item
    return found


def _lanelets(root: Element, tally: Tally) -> Iterator[Lanelet]:
    for element in root.all("lanelet"):
        left, right = _bounds(element, tally)
        users = frozenset(user.body for user in (*element.all("userOneWay"), *element.all("userBidirectional")))
        limit = element.child("speedLimit")
        yield Lanelet(
            id=element.text("id"), left=left, right=right, users=users,
            types=frozenset(kind.body for kind in element.all("laneletType")),
            successors=_references(element, "successor"), predecessors=_references(element, "predecessor"),
            left_neighbour=_neighbour(element, "adjacentLeft"), right_neighbour=_neighbour(element, "adjacentRight"),
            stop_line=_stop_line(element), signs=_references(element, "trafficSignRef"),
            lights=_references(element, "trafficLightRef"), speed_limit=None if limit is None else number(limit, minimum=0.1),
            element=element,
        )  # fmt: skip


def _references(element: Element, tag: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reference(child) for child in element.all(tag)))


def _neighbour(element: Element, tag: str) -> tuple[str, bool] | None:
    child = element.child(tag)
    return None if child is None else (reference(child), child.choice("drivingDir", ("same", "opposite")) == "same")


def _points(parent: Element, least: int) -> Floats:
    """(P, 3) points inside an element."""
    rows = [_point(point) for point in parent.all("point")]
    if len(rows) < least:
        raise parent.error(f"has {len(rows)} points", f"It needs at least {least}.")
    return np.array(rows, np.float64).reshape(-1, 3)


def _point(point: Element) -> tuple[float, float, float]:
    z = point.child("z")
    values = number(point.need("x")), number(point.need("y")), 0.0 if z is None else number(z)
    if max(map(abs, values)) > COORDINATE_MAX:
        raise point.error(f"{values} is not a place on Earth", f"Coordinates must be below {COORDINATE_MAX:g} m.")
    return values


def _bounds(element: Element, tally: Tally) -> tuple[Floats, Floats]:
    """Left and right bound with as many points each."""
    left, right = (_points(element.need(tag), 2) for tag in ("leftBound", "rightBound"))
    lengths = [float(np.hypot(*np.diff(line[:, :2], axis=0).T).sum()) for line in (left, right)]
    if max(lengths) > LANELET_MAX:
        raise element.error(f"is {max(lengths):g} m long", f"Lanelets must be shorter than {LANELET_MAX:g} m.")
    if len(left) != len(right):
        tally.add("bounds with different numbers of points are matched by their share of the way", element)
        left, right = _matched(left, right)
    centre = 0.5 * (left + right)
    if float(np.hypot(*np.diff(centre[:, :2], axis=0).T).sum()) < 0.05:
        raise element.error("its centreline has no length", "Give bounds that run in the driving direction.")
    return left, right


def _matched(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Both lines at all shares of the way at which either has a point."""
    shares = []
    for line in (left, right):
        s = np.append(0.0, np.cumsum(np.hypot(*np.diff(line[:, :2], axis=0).T)))
        shares.append(s / s[-1] if s[-1] > 0.0 else np.linspace(0.0, 1.0, len(line)))
    at = np.unique(np.round(np.concatenate(shares), 9))
    both = [
        np.column_stack([np.interp(at, share, line[:, k]) for k in range(3)])
        for share, line in zip(shares, (left, right), strict=True)
    ]
    return both[0], both[1]


def _stop_line(element: Element) -> StopLine | None:
    line = element.child("stopLine")
    if line is None:
        return None
    points = _points(line, 2)[:2, :2] if line.child("point") is not None else None
    return StopLine(points=points, signs=_references(line, "trafficSignRef"), lights=_references(line, "trafficLightRef"))


def _check_references(lanelets: Mapping[str, Lanelet], tally: Tally) -> None:
    """Neighbours have to exist; successors that do not are where the extract was cut."""
    for lanelet in lanelets.values():
        for neighbour in (lanelet.left_neighbour, lanelet.right_neighbour):
            if neighbour is not None and neighbour[0] not in lanelets:
                raise lanelet.element.error(f"its neighbour {neighbour[0]!r} is not in the file", "Correct the reference.")
        for other in (*lanelet.successors, *lanelet.predecessors):
            if other not in lanelets:
                tally.add("a successor or predecessor that is not in the file", lanelet.element)


def _signs(root: Element) -> Iterator[Sign]:
    for element in root.all("trafficSign"):
        plates = tuple(
            (plate.need("trafficSignID").body, tuple(value.body for value in plate.all("additionalValue")))
            for plate in element.all("trafficSignElement")
        )
        yield Sign(id=element.text("id"), plates=plates, element=element)


def _lights(root: Element, tally: Tally) -> Iterator[Light]:
    for element in root.all("trafficLight"):
        cycle, direction, active = element.child("cycle"), element.child("direction"), element.child("active")
        phases: list[tuple[int, Colour]] = []
        offset = 0
        if cycle is None or cycle.child("cycleElement") is None:
            tally.add("a light without a cycle is off", element)
        else:
            phases = [_phase(part, tally) for part in cycle.all("cycleElement")]
            start = cycle.child("timeOffset")
            offset = 0 if start is None else int(number(start))
        turns = "all" if direction is None else direction.body
        if direction is not None and turns not in DIRECTIONS:
            raise direction.error(f"{turns!r} is not known", f"Use one of: {', '.join(DIRECTIONS)}.")
        yield Light(
            id=element.text("id"), phases=tuple(phases), offset=offset, turns=DIRECTIONS[turns],
            active=active is None or active.body != "false", element=element,
        )  # fmt: skip


def _phase(part: Element, tally: Tally) -> tuple[int, Colour]:
    colour = part.need("color")
    if colour.body not in COLOURS:
        raise colour.error(f"{colour.body!r} is not known", f"Use one of: {', '.join(COLOURS)}.")
    if colour.body == "redYellow":
        tally.add("red and yellow together is taken as red", colour)
    return int(number(part.need("duration"), minimum=1.0, maximum=1e7)), COLOURS[colour.body]


def _intersections(root: Element) -> Iterator[Intersection]:
    for element in root.all("intersection"):
        incomings = tuple(
            Incoming(
                lanelets=_references(incoming, "incomingLanelet"),
                turns={turn: _references(incoming, tag) for tag, turn in TURNS.items()},
            )
            for incoming in element.all("incoming")
        )
        crossings = tuple(name for crossing in element.all("crossing") for name in _references(crossing, "crossingLanelet"))
        yield Intersection(id=element.text("id"), incomings=incomings, crossings=crossings)


def _obstacles(root: Element, tally: Tally, step_s: float) -> Iterator[Obstacle]:
    seen: set[str] = set()
    for element in root.children:
        if element.tag not in ("obstacle", "staticObstacle", "dynamicObstacle", "environmentObstacle"):
            continue
        role = element.tag.removesuffix("Obstacle")
        if element.tag == "obstacle":
            role = element.need("role").body
            if role not in ("static", "dynamic"):
                raise element.need("role").error(f"{role!r} is not known", "Use static or dynamic.")
        name = element.text("id")
        if name in seen:
            raise element.error(f"id={name!r} is taken", "Every obstacle needs an id of its own.")
        seen.add(name)
        states = np.zeros((1, 5)) if role == "environment" else read_states(element, tally, step_s)
        if role == "dynamic" and len(states) < 2:
            tally.add("a road user without a recorded way is there for one step alone, and left out", element)
        yield Obstacle(
            id=name, role=role, type=element.need("type").body, shapes=read_shapes(element.need("shape"), tally), states=states,
            element=element,
        )  # fmt: skip


def _problems(root: Element, tally: Tally, step_s: float) -> Iterator[Problem]:
    for element in root.all("planningProblem"):
        goals = tuple(_goal(goal, tally) for goal in element.all("goalState"))
        if not goals:
            raise element.error("has no <goalState> inside", "Say where, or by when, it ends.")
        if element is not root.child("planningProblem"):
            tally.add("only the first <planningProblem> is driven", element)
        yield Problem(id=element.text("id"), start=read_states(element, tally, step_s)[0], goals=goals, element=element)


def _goal(goal: Element, tally: Tally) -> GoalState:
    outlines: Sequence[Floats] = ()
    lanelets: tuple[str, ...] = ()
    position = goal.child("position")
    if position is not None:
        lanelets = _references(position, "lanelet")
        outlines = [shape.outline((0.0, 0.0, 0.0)) for shape in read_shapes(position, tally, exact=True)] if not lanelets else ()
    steps = read_span(goal.need("time"))
    if steps.low < 0.0 or steps.high > 1e6:
        raise goal.need("time").error(f"steps {steps.low:g} to {steps.high:g}", "They must lie between 0 and 1e6.")
    spans = {tag: goal.child(tag) for tag in ("velocity", "orientation")}
    for child in goal.children:
        if child.tag not in ("position", "time", *spans):
            tally.add(f"<{child.tag}> in <goalState> is not supported and left out", child)
    speeds, headings = (None if part is None else read_span(part) for part in spans.values())
    if headings is not None and headings.high - headings.low >= 2.0 * math.pi:
        headings = None
    return GoalState(outlines=tuple(outlines), lanelets=lanelets, steps=steps, speeds=speeds, headings=headings)
