"""The reference path: a route's lanes as one curvature-continuous line, and moves sideways from it.

World frame, SI, radians; s [m] runs along the unshifted line, d is left of it. The line is the box centre's. Smoothing shifts the
centreline by d(s) to the least integral of (d curvature/ds)² l⁶ + d², within the lane. Frenet formulas: Werling, Ziegler, Kammel
and Thrun, "Optimal trajectory generation for dynamic street scenarios in a Frenet frame", ICRA 2010, appendix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from avstack.config import PathConfig
from avstack.motion.minimum_jerk import quintic_connection
from sim.geometry import arc_length, wrap_angle
from sim.interface import Floats, VehicleSpec
from sim.jit import kernel
from sim.kinematics import curve_speed
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route, check_route

SPACING = 0.5  # m between samples of a reference path
RUN_OUT_M = 60.0
"""How far a path goes on past the goal, where there is road: nobody stops at a goal, and braking needs a line."""
SEARCH_M = 15.0  # m either way that a projection looks from where it is expected
STEER_SHARE = 0.7  # of the steering rate that a path may ask for; feedback has the rest
CHANGE_START = 0.15  # share of a lane driven before a lane change begins


class Place(NamedTuple):
    """A line at Q places: position, direction (unwrapped) and curvature (Q,)."""

    x: Floats
    y: Floats
    heading: Floats
    curvature: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferencePath:
    """P samples every SPACING from s = 0: x, y, heading (unwrapped), curvature; speed_limit of the road [m/s].

    caps: speed [m/s] that limit, curves and the steering allow at each sample; goal_s: where the route ends. room_left,
    room_right: from the line to the edge of what may be driven on [m].
    """

    s: Floats
    x: Floats
    y: Floats
    heading: Floats
    curvature: Floats
    speed_limit: Floats
    caps: Floats
    room_left: Floats
    room_right: Floats
    goal_s: float

    @property
    def length(self) -> float:
        """Length [m]."""
        return float(self.s[-1])

    def at(self, s: Floats) -> Place:
        """The line at s (Q,), linear between samples; straight on past its ends."""
        out = np.empty((4, len(s)))
        _places_at(np.ascontiguousarray(s), self._line(), out)
        return Place(*out)

    def _line(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.x, self.y, self.heading, self.curvature

    def project(self, x: float, y: float, near: float | None = None) -> tuple[float, float]:
        """(s, d) [m] of a point; `near`: an s to search around, None for the whole path."""
        first, last = 0, len(self.s)
        if near is not None:
            middle = round(near / SPACING)
            reach = round(SEARCH_M / SPACING)
            first = min(max(middle - reach, 0), last - 2)
            last = min(max(middle + reach + 1, first + 2), last)
        return _project(x, y, first, last, self._line())


@kernel
def _place_at(s: float, line: tuple[Floats, Floats, Floats, Floats]) -> tuple[float, float, float, float]:
    """x, y, heading and curvature at s of a line with samples of these every SPACING."""
    x, y, heading, curvature = line
    last = len(x) - 1
    inside = min(max(s, 0.0), SPACING * last)
    beyond = s - inside
    k = int(inside / SPACING)
    if k == last:
        angle = heading[last]
        bend = curvature[last] if beyond == 0.0 else 0.0
        return x[last] + beyond * math.cos(angle), y[last] + beyond * math.sin(angle), angle, bend
    f = inside - SPACING * k
    at_x, at_y = (x[k + 1] - x[k]) / SPACING * f + x[k], (y[k + 1] - y[k]) / SPACING * f + y[k]
    angle = (heading[k + 1] - heading[k]) / SPACING * f + heading[k]
    if beyond < 0.0:
        return at_x + beyond * math.cos(angle), at_y + beyond * math.sin(angle), angle, 0.0
    return at_x, at_y, angle, (curvature[k + 1] - curvature[k]) / SPACING * f + curvature[k]


@kernel
def _places_at(s: Floats, line: tuple[Floats, Floats, Floats, Floats], out: Floats) -> None:
    """Fill out (4, Q) with `_place_at` of s (Q,)."""
    for q in range(len(s)):
        out[0, q], out[1, q], out[2, q], out[3, q] = _place_at(s[q], line)


@kernel
def _project(
    x: float, y: float, first: int, last: int, line: tuple[Floats, Floats, Floats, Floats]
) -> tuple[float, float]:  # fmt: skip
    """(s, d) [m] of a point beside a line, the sample nearest to it being one from `first` up to `last`."""
    nearest, least = first, math.inf
    for k in range(first, last):
        away = (line[0][k] - x) ** 2 + (line[1][k] - y) ** 2
        if away < least:
            nearest, least = k, away
    s = SPACING * nearest
    for _ in range(3):
        at_x, at_y, heading, curvature = _place_at(s, line)
        cos, sin = math.cos(heading), math.sin(heading)
        d = cos * (y - at_y) - sin * (x - at_x)
        # on a curve the foot moves more slowly than the point
        s += (cos * (x - at_x) + sin * (y - at_y)) / max(1.0 - curvature * d, 0.3)
    at_x, at_y, heading, _ = _place_at(s, line)
    return s, math.cos(heading) * (y - at_y) - math.sin(heading) * (x - at_x)


def reference_path(road_map: LaneMap, route: Route, spec: VehicleSpec, config: PathConfig) -> ReferencePath:
    """The line that a vehicle of `spec` follows along `route`. Raises RouteError for a route its map cannot carry."""
    check_route(road_map, route)
    points, columns, goal_s = _centreline(road_map, route, config)
    s = arc_length(points)
    keep = np.concatenate([[True], np.diff(s) > 1e-3])
    points, columns, s = points[keep], columns[keep], s[keep]
    if len(s) < 4:
        points, columns = _stretched(points, columns)
        s = arc_length(points)
    grid = SPACING * np.arange(max(int(s[-1] / SPACING) + 1, 4), dtype=np.float64)
    half_width, limit, left, right = (np.interp(grid, s, columns[:, k]) for k in range(4))
    raw = _spline(s, points, grid)
    room = np.clip(half_width - 0.5 * spec.width - config.edge_margin, 0.02, config.smooth_room)
    shift = _smoothing_shift(raw, room, config)
    normal = np.stack([-np.sin(raw.heading), np.cos(raw.heading)], axis=1)
    smoothed = np.stack([raw.x, raw.y], axis=1) + shift[:, None] * normal
    along = arc_length(smoothed)
    even = SPACING * np.arange(max(int(along[-1] / SPACING) + 1, 2), dtype=np.float64)
    line = _spline(along, smoothed, even)
    limit, left, right, shift = (np.interp(even, along, column) for column in (limit, left, right, shift))
    path = ReferencePath(
        s=even, x=line.x, y=line.y, heading=line.heading, curvature=line.curvature, speed_limit=limit,
        caps=np.minimum(limit, speed_caps(line.curvature, spec, config)), room_left=left - shift, room_right=right + shift,
        goal_s=float(np.interp(goal_s, grid, along)),
    )  # fmt: skip
    for array in (path.s, path.x, path.y, path.heading, path.curvature, path.speed_limit, path.caps, left, right):
        array.setflags(write=False)
    return path


def speed_caps(curvature: Floats, spec: VehicleSpec, config: PathConfig) -> Floats:
    """Speed (P,) [m/s] on a line sampled every SPACING that keeps lateral acceleration, lateral jerk and steering rate."""
    bend = np.abs(np.gradient(curvature, SPACING))
    by_accel = curve_speed(curvature, config.lateral_accel)
    # d(v² curvature)/dt at constant speed is v³ dcurvature/ds
    by_jerk = np.cbrt(config.lateral_jerk / np.maximum(bend, 1e-9))
    by_steering = (
        STEER_SHARE * spec.steer_rate_max * (1.0 + (spec.wheelbase * curvature) ** 2) / np.maximum(spec.wheelbase * bend, 1e-9)
    )
    return np.minimum(np.minimum(by_accel, by_jerk), by_steering)


def _columns(road_map: LaneMap, lane: int) -> tuple[Floats, Floats]:
    points = road_map.lane_points(lane)
    xy = np.stack([points["x"], points["y"]], axis=1)
    names = ("half_width", "speed_limit", "room_left", "room_right")
    return xy, np.stack([points[name].astype(np.float64) for name in names], axis=1)


def _centreline(road_map: LaneMap, route: Route, config: PathConfig) -> tuple[Floats, Floats, float]:
    """Points (P, 2) along a route and on past its goal, columns (P, 4) of what holds there, the goal's place along them [m]."""
    groups: list[list[int]] = [[route.lanes[0]]]
    for before, lane in zip(route.lanes, route.lanes[1:], strict=False):
        if lane in road_map.lane_successors(before):
            groups.append([lane])
        else:
            groups[-1].append(lane)
    points, columns = zip(*(_beside(road_map, group, config) for group in groups), strict=True)
    last = len(np.concatenate(points[:-1])) if len(points) > 1 else 0
    lane = route.lanes[-1]
    more_points, more_columns = [], []
    ahead = float(road_map.lanes["length"][lane]) - route.goal_s
    seen = set(route.lanes)
    while ahead < RUN_OUT_M:
        onward = [n for n in road_map.lane_successors(lane).tolist() if n not in seen]
        if not onward:
            break
        lane = min(onward, key=lambda n: abs(float(np.mean(road_map.lane_points(n)["curvature"]))))
        seen.add(lane)
        xy, column = _columns(road_map, lane)
        more_points.append(xy)
        more_columns.append(column)
        ahead += float(road_map.lanes["length"][lane])
    line = np.concatenate([*points, *more_points])
    along = arc_length(line)
    share = route.goal_s / max(float(road_map.lanes["length"][route.lanes[-1]]), 1e-6)
    end = len(np.concatenate(points)) - 1
    return line, np.concatenate([*columns, *more_columns]), float(along[last] + share * (along[end] - along[last]))


def _beside(road_map: LaneMap, lanes: Sequence[int], config: PathConfig) -> tuple[Floats, Floats]:
    """Points and columns along neighbouring lanes, changing from each to the next early on, to be done by the end."""
    xy, columns = _columns(road_map, lanes[0])
    changes = len(lanes) - 1
    for number, lane in enumerate(lanes[1:]):
        share = np.linspace(0.0, 1.0, len(xy))
        length = float(road_map.lanes["length"][lanes[0]])
        first = CHANGE_START + (1.0 - CHANGE_START) * number / changes
        width = min(config.change_length / max(length, 1e-6), 0.9 * (1.0 - CHANGE_START) / changes)
        u = np.clip((share - first) / width, 0.0, 1.0)
        weight = (u**3 * (10.0 - 15.0 * u + 6.0 * u * u))[:, None]
        other_xy, other_columns = _columns(road_map, lane)
        known = np.linspace(0.0, 1.0, len(other_xy))
        beside = np.stack([np.interp(share, known, other_xy[:, k]) for k in range(2)], axis=1)
        theirs = np.stack([np.interp(share, known, other_columns[:, k]) for k in range(4)], axis=1)
        xy = (1.0 - weight) * xy + weight * beside
        columns = np.where(weight < 0.5, columns, theirs)
    return xy, columns


def _stretched(points: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """A stub of a path made long enough to have a curvature."""
    ahead = points[-1] - points[0] if len(points) > 1 else np.array([1.0, 0.0])
    ahead = ahead / max(float(np.hypot(*ahead)), 1e-6)
    more = points[-1] + SPACING * np.arange(1, 5)[:, None] * ahead
    return np.concatenate([points, more]), np.concatenate([columns, np.repeat(columns[-1:], 4, axis=0)])


def _spline(s: Floats, points: Floats, grid: Floats) -> Place:
    """A cubic spline through points (P, 2) at s (P,), seen at `grid` (Q,)."""
    from scipy.interpolate import CubicSpline

    curve = CubicSpline(s, points)
    at, first, second = curve(grid), curve(grid, 1), curve(grid, 2)
    speed = np.hypot(first[:, 0], first[:, 1])
    curvature = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / np.maximum(speed, 1e-6) ** 3
    return Place(at[:, 0], at[:, 1], np.unwrap(np.arctan2(first[:, 1], first[:, 0])), curvature)


def _smoothing_shift(line: Place, room: Floats, config: PathConfig) -> Floats:
    """Shift to the left (P,) [m] within ±room that makes a line's curvature change the least."""
    import piqp
    from scipy.sparse import csc_matrix, diags, identity

    count = len(room)
    if count < 8:
        return np.zeros(count)
    third = diags([-1.0, 3.0, -3.0, 1.0], [0, 1, 2, 3], shape=(count - 3, count)) / SPACING**3
    first = diags([-1.0, 1.0], [0, 1], shape=(count - 3, count)) / SPACING
    # the shifted line's curvature is that of the line + d'' + curvature² d
    change = third + first @ diags(line.curvature**2)
    bend = np.diff(line.curvature)[: count - 3] / SPACING
    weight = config.smooth_length**6
    solver = piqp.SparseSolver()
    solver.settings.eps_abs, solver.settings.eps_rel = 1e-5, 1e-6
    quadratic = csc_matrix(weight * (change.T @ change) + identity(count))
    solver.setup(quadratic, weight * (change.T @ bend), None, None, None, None, None, -room, room)
    return np.clip(np.asarray(solver.result.x), -room, room) if solver.solve() == piqp.PIQP_SOLVED else np.zeros(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """Be `offset` [m] left of the line from `start` to `end` (s); the way there and back is found to suit."""

    start: float
    end: float
    offset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Offsets:
    """d(s) as M quintic pieces from `starts` (M,) on for `lengths` (M,), `coefficients` (M, 6); constant in between and beyond.

    The first piece begins where the vehicle was; wanted: the nudges it was made for.
    """

    starts: Floats
    lengths: Floats
    coefficients: Floats
    wanted: tuple[Nudge, ...]

    def at(self, s: Floats) -> tuple[Floats, Floats, Floats]:
        """d and its first two derivatives by s at s (Q,)."""
        k = np.clip(np.searchsorted(self.starts, s, side="right") - 1, 0, len(self.starts) - 1)
        u = np.clip(s - self.starts[k], 0.0, self.lengths[k])
        c = self.coefficients[k]
        inside = (s >= self.starts[k]) & (s <= self.starts[k] + self.lengths[k])
        d = c[:, 0] + u * (c[:, 1] + u * (c[:, 2] + u * (c[:, 3] + u * (c[:, 4] + u * c[:, 5]))))
        slope = c[:, 1] + u * (2.0 * c[:, 2] + u * (3.0 * c[:, 3] + u * (4.0 * c[:, 4] + u * 5.0 * c[:, 5])))
        bend = 2.0 * c[:, 2] + u * (6.0 * c[:, 3] + u * (12.0 * c[:, 4] + u * 20.0 * c[:, 5]))
        return d, np.where(inside, slope, 0.0), np.where(inside, bend, 0.0)


def no_offsets() -> Offsets:
    """Along the line itself."""
    return Offsets(starts=np.zeros(1), lengths=np.ones(1), coefficients=np.zeros((1, 6)), wanted=())


def sideways_length(offset: float, speed: float, config: PathConfig) -> float:
    """Length [m] over which to move `offset` [m] sideways at `speed`: within lateral acceleration, lateral jerk and curvature.

    Peaks of the quintic over a length l: 10/√3 d/l² for the second derivative by s, 60 d/l³ for the third.
    """
    d = abs(offset)
    peak = 10.0 / math.sqrt(3.0)
    by_jerk = speed * math.cbrt(60.0 * d / config.nudge_jerk)
    return max(by_jerk, speed * math.sqrt(peak * d / config.nudge_accel), math.sqrt(peak * d / config.nudge_curvature), 1.0)


def offset_profile(s: float, speed: float, previous: Offsets, nudges: tuple[Nudge, ...], config: PathConfig) -> Offsets:
    """Offsets from s on that serve `nudges` (sorted by start) and return to the line; they join `previous` smoothly at s.

    A nudge that is nearer than the way sideways takes at this speed is reached late rather than harshly. Nudges closer together
    than the way back and out again are joined directly.
    """
    if nudges == previous.wanted:
        return previous
    d, slope, bend = (float(value[0]) for value in previous.at(np.array([s])))
    here, now = s, (d, slope, bend)
    pieces: list[tuple[float, float, Floats]] = []
    for index, nudge in enumerate(nudges):
        if nudge.end <= here:
            continue
        here, now = _move(pieces, here, now, nudge.offset, nudge.start, speed, config)
        after = nudges[index + 1] if index + 1 < len(nudges) else None
        back = sideways_length(nudge.offset, speed, config)
        if after is not None and after.start - sideways_length(after.offset, speed, config) < nudge.end + back:
            here = max(here, nudge.end)
            continue
        here = max(here, nudge.end)
        here, now = _move(pieces, here, now, 0.0, here + back, speed, config)
    if not pieces:
        _move(pieces, here, now, 0.0, here, speed, config)
    return Offsets(
        starts=np.array([piece[0] for piece in pieces]),
        lengths=np.array([piece[1] for piece in pieces]),
        coefficients=np.stack([piece[2] for piece in pieces]),
        wanted=nudges,
    )


def _move(
    pieces: list[tuple[float, float, Floats]], here: float, now: tuple[float, float, float], offset: float, by: float,
    speed: float, config: PathConfig,
) -> tuple[float, tuple[float, float, float]]:  # fmt: skip
    """Add the move from `now` at `here` to `offset`, done at `by` or as soon after as it can; where it ends, and how."""
    # a slope or bend that is under way counts as so much more to move
    extra = abs(now[1]) * 4.0 + abs(now[2]) * 8.0
    length = sideways_length(abs(offset - now[0]) + extra, speed, config)
    begin = max(here, by - length) if now[1] == 0.0 and now[2] == 0.0 else here
    pieces.append((begin, length, quintic_connection(now, (offset, 0.0, 0.0), length)))
    return begin + length, (offset, 0.0, 0.0)


def shifted(path: ReferencePath, s: Floats, offsets: Offsets) -> tuple[Place, Floats]:
    """(the line with its offsets at s (Q,), its length per length of the unshifted line (Q,))."""
    place = path.at(s)
    if not offsets.coefficients.any():
        return place, np.ones(len(s))  # along the line itself
    d, slope, bend = offsets.at(s)
    stretch = np.maximum(1.0 - place.curvature * d, 0.2)
    turn = np.arctan2(slope, stretch)
    cos = np.cos(turn)
    change = np.interp(s, path.s[:-1] + 0.5 * SPACING, np.diff(path.curvature) / SPACING)
    tangent = np.tan(turn)
    curvature = ((bend + (change * d + place.curvature * slope) * tangent) * cos**2 / stretch + place.curvature) * cos / stretch
    x, y = place.x - d * np.sin(place.heading), place.y + d * np.cos(place.heading)
    return Place(x, y, place.heading + turn, curvature), stretch / cos


@kernel
def _slips(curvature: Floats, step: float, reach: float, out: Floats) -> None:
    """Fill `out` (Q,) with the angle from the body to the line its centre follows; see `slip_along`."""
    decay = math.exp(-step / max(reach, 1e-3))
    steady = math.asin(min(max(reach * curvature[0], -0.9), 0.9))
    slip = steady
    for k in range(out.shape[0]):
        steady = math.asin(min(max(reach * curvature[k], -0.9), 0.9))
        slip = steady + (slip - steady) * decay
        out[k] = slip


def slip_along(curvature: Floats, step: float, reach: float) -> Floats:
    """Angle (Q,) from body to line when the centre, `reach` [m] ahead of the rear axle, follows curvatures (Q,) every `step` [m].

    The body turns by sin(slip)/reach per metre, so the slip tends to asin(reach × curvature) over that length.
    """
    out = np.zeros(len(curvature))
    _slips(np.ascontiguousarray(curvature), step, reach, out)
    return out


def heading_error(heading: float, wanted: float) -> float:
    """`heading` - `wanted` in (-pi, pi]."""
    return float(wrap_angle(heading - wanted))
