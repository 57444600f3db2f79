"""Numbers, intervals, shapes and recorded states of a CommonRoad file.

A state's value is exact or an interval, of which the middle is taken and listed. Headings and speeds that the file leaves out
follow from the way.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from scenarios.formats.xml import Element
from sim.geometry import wrap_angle
from sim.interface import Floats

POSITION_MAX = 1e8  # m
SPEED_MAX = 200.0  # m/s
SIZE_MAX = 100.0  # m, of a road user or thing
STEP_MAX = 1e7
CIRCLE_CORNERS = 24
KNOWN_IN_STATE = frozenset(
    {"position", "orientation", "time", "velocity", "acceleration", "yawRate", "slipAngle", "velocityY", "steeringAngle"}
)
"""Read, or of no use to a replay: it follows from the way."""


@dataclass(slots=True)
class Tally:
    """What is left out or taken otherwise: how often, and the line of the first time."""

    first: dict[str, Element] = field(default_factory=dict)
    count: Counter[str] = field(default_factory=Counter)

    def add(self, message: str, element: Element) -> None:
        """One more of these."""
        self.first.setdefault(message, element)
        self.count[message] += 1

    def lines(self) -> tuple[str, ...]:
        """One line for each kind."""
        return tuple(
            f"line {element.line}: {message}" + (f" ({self.count[message]} times)" if self.count[message] > 1 else "")
            for message, element in self.first.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From low to high, both included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A box with its centre (x, y) and heading relative to the obstacle; corners: (K, 2) of a circle or polygon, else None."""

    length: float
    width: float
    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0
    corners: Floats | None = None

    def pose(self, at: tuple[float, float, float]) -> tuple[float, float, float]:
        """Where the box is when the obstacle is at x, y, heading."""
        cos, sin = math.cos(at[2]), math.sin(at[2])
        return at[0] + cos * self.x - sin * self.y, at[1] + sin * self.x + cos * self.y, wrap_angle(at[2] + self.heading)

    def outline(self, at: tuple[float, float, float]) -> Floats:
        """(K, 2) corners when the obstacle is at x, y, heading."""
        if self.corners is not None:
            local = self.corners
        else:
            half = 0.5 * np.array([self.length, self.width])
            box = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
            cos, sin = math.cos(self.heading), math.sin(self.heading)
            local = box @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)
        cos, sin = math.cos(at[2]), math.sin(at[2])
        placed: Floats = local @ np.array([[cos, sin], [-sin, cos]]) + at[:2]
        return placed


def number(element: Element, *, minimum: float | None = None, maximum: float | None = None) -> float:
    """The text of an element as a finite float within bounds."""
    raw = element.body
    try:
        value = float(raw if raw.isascii() and "_" not in raw else "")
    except ValueError:
        raise element.error(f"{raw[:40]!r} is not a number", "Write a plain decimal number.") from None
    if not math.isfinite(value):
        raise element.error(f"{raw[:40]!r} is not finite", "Write a plain decimal number.")
    if minimum is not None and value < minimum:
        raise element.error(f"{raw[:40]!r} is too small", f"It must be at least {minimum:g}.")
    if maximum is not None and value > maximum:
        raise element.error(f"{raw[:40]!r} is too large", f"It must be at most {maximum:g}.")
    return value


def reference(element: Element) -> str:
    """The id that an element refers to."""
    return element.text("ref")


def read_span(element: Element) -> Span:
    """An exact value or an interval."""
    exact = element.child("exact")
    if exact is not None:
        value = number(exact)
        return Span(low=value, high=value)
    low, high = number(element.need("intervalStart")), number(element.need("intervalEnd"))
    if low > high:
        raise element.error(f"the interval from {low:g} to {high:g} runs backwards", "Swap its ends.")
    return Span(low=low, high=high)


def _middle(element: Element, tally: Tally) -> float:
    span = read_span(element)
    if span.low != span.high:
        tally.add(f"an uncertain <{element.tag}> is taken in its middle", element)
    return 0.5 * (span.low + span.high)


def read_shapes(parent: Element, tally: Tally, *, exact: bool = False) -> tuple[Shape, ...]:
    """All rectangles, circles and polygons inside an element; `exact`: outlines of any size, else bodies, which are boxes."""
    shapes = []
    for element in parent.children:
        match element.tag:
            case "rectangle":
                shapes.append(_rectangle(element, math.inf if exact else SIZE_MAX))
            case "circle":
                shapes.append(_circle(element, math.inf if exact else SIZE_MAX))
            case "polygon":
                shapes.append(_polygon(element, math.inf if exact else SIZE_MAX))
                if not exact:
                    tally.add("a polygon is taken as the smallest box around it", element)
            case _:
                tally.add(f"<{element.tag}> in <{parent.tag}> is not supported and left out", element)
    if not shapes:
        raise parent.error("has no rectangle, circle or polygon inside", "Give it a shape.")
    return tuple(shapes)


def _centre(element: Element) -> tuple[float, float]:
    centre = element.child("center")
    return (0.0, 0.0) if centre is None else _xy(centre)


def _xy(element: Element) -> tuple[float, float]:
    x, y = (number(element.need(axis), minimum=-POSITION_MAX, maximum=POSITION_MAX) for axis in ("x", "y"))
    return x, y


def _rectangle(element: Element, largest: float) -> Shape:
    length, width = (number(element.need(tag), minimum=1e-3, maximum=largest) for tag in ("length", "width"))
    turned = element.child("orientation")
    x, y = _centre(element)
    heading = 0.0 if turned is None else wrap_angle(number(turned, minimum=-1e3, maximum=1e3))
    return Shape(length=length, width=width, x=x, y=y, heading=heading)


def _circle(element: Element, largest: float) -> Shape:
    radius = number(element.need("radius"), minimum=5e-4, maximum=0.5 * largest)
    x, y = _centre(element)
    angles = np.linspace(0.0, 2.0 * math.pi, CIRCLE_CORNERS, endpoint=False)
    corners = np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)])
    return Shape(length=2.0 * radius, width=2.0 * radius, x=x, y=y, corners=corners)


def _polygon(element: Element, largest: float) -> Shape:
    """The polygon, with the smallest box along one of its sides."""
    corners = np.array([_xy(point) for point in element.all("point")], np.float64).reshape(-1, 2)
    if len(corners) > 3 and np.array_equal(corners[0], corners[-1]):
        corners = corners[:-1]
    if len(corners) < 3:
        raise element.error(f"has {len(corners)} points", "A polygon needs at least 3.")
    best: Shape | None = None
    for side in np.roll(corners, -1, axis=0) - corners:
        heading = math.atan2(side[1], side[0])
        cos, sin = math.cos(heading), math.sin(heading)
        turned = corners @ np.array([[cos, -sin], [sin, cos]])
        low, high = turned.min(axis=0), turned.max(axis=0)
        size, middle = high - low, 0.5 * (low + high) @ np.array([[cos, sin], [-sin, cos]])
        if best is None or size[0] * size[1] < best.length * best.width:
            x, y = float(middle[0]), float(middle[1])
            best = Shape(length=float(size[0]), width=float(size[1]), x=x, y=y, heading=heading, corners=corners)
    if best is None or min(best.length, best.width) < 1e-3 or max(best.length, best.width) > largest:
        raise element.error("its size is not believable", f"Its sides must lie between 1 mm and {largest:g} m.")
    return best


def read_states(parent: Element, tally: Tally, step_s: float) -> Floats:
    """(T, 5) of step, x, y, heading, speed: the initial state and those of the trajectory, steps increasing."""
    trajectory = parent.child("trajectory")
    elements = [parent.need("initialState"), *(trajectory.all("state") if trajectory is not None else ())]
    rows = np.array([_state(element, tally) for element in elements], np.float64)
    late = np.flatnonzero(np.diff(rows[:, 0]) <= 0.0)
    if len(late):
        element, step = elements[int(late[0]) + 1], rows[int(late[0]) + 1, 0]
        raise element.error(f"time step {step:g} does not come after {rows[int(late[0]), 0]:g}", "Sort the states by time.")
    if len(rows) > 1 and np.diff(rows[:, 0]).max() > 1.0:
        tally.add("steps that a trajectory leaves out are filled in between", parent)
    return _completed(rows, step_s)


def _state(element: Element, tally: Tally) -> tuple[float, float, float, float, float]:
    """step, x, y, heading, speed; NaN for a heading or speed that is not given."""
    for child in element.children:
        if child.tag not in KNOWN_IN_STATE:
            tally.add(f"<{child.tag}> in <{element.tag}> is not supported and left out", child)
    position, orientation, velocity = element.need("position"), element.child("orientation"), element.child("velocity")
    point = position.child("point")
    if point is not None:
        x, y = _xy(point)
    else:
        tally.add("an uncertain <position> is taken in its middle", position)
        shape = read_shapes(position, tally, exact=True)[0]
        x, y = shape.x, shape.y
    time = element.need("time")
    step = _middle(time, tally)
    if not (0.0 <= step <= STEP_MAX and step == int(step)):
        raise time.error(f"{step:g} is not a time step", f"It must be a whole number from 0 to {STEP_MAX:g}.")
    heading = math.nan if orientation is None else _middle(orientation, tally)
    speed = math.nan if velocity is None else _middle(velocity, tally)
    if abs(speed) > SPEED_MAX and velocity is not None:
        raise velocity.error(f"{speed:g} m/s is not believable", f"It must be at most {SPEED_MAX:g} m/s.")
    if abs(heading) > 1e3 and orientation is not None:
        raise orientation.error(f"{heading:g} rad is not believable", "Write an angle in radians.")
    return step, x, y, heading, speed


def _completed(rows: Floats, step_s: float) -> Floats:
    """The same with headings and speeds that were not given taken from the way."""
    missing = np.isnan(rows[:, 3:])
    if not missing.any():
        return rows
    rows = rows.copy()
    way = np.gradient(rows[:, 1:3], rows[:, 0], axis=0) / step_s if len(rows) > 1 else np.zeros((1, 2))
    rows[:, 3] = np.where(missing[:, 0], np.arctan2(way[:, 1], way[:, 0]), rows[:, 3])
    rows[:, 4] = np.where(missing[:, 1], np.hypot(way[:, 0], way[:, 1]), rows[:, 4])
    return rows
