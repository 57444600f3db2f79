"""Where others may get in the ego's way: their ways ahead laid over the ego's, from the real boxes.

A vehicle may follow every sequence of lanes that begins on a lane it may be on; people, and vehicles off the lanes, go on
straight. Each way is walked in steps of STEP metres, and for each place on it the stretch of the ego's path is found on which the
two boxes would overlap. What comes out are `CONFLICT_DTYPE` records with lengths along the two ways. World frame, SI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avstack.motion import ReferencePath
from avstack.perception.percepts import DRIVEN_THROUGH, EXISTS, Percepts
from avstack.safety.assumptions import Assumptions
from avstack.safety.predicate import PERSON, SAME_WAY, VEHICLE
from sim.geometry import Floats, box_gap
from sim.interface import Indicator, Kind, VehicleSpec
from sim.jit import kernel
from sim.roads.lane_map import LaneKind, LaneMap

ROW = 0.5  # m between samples of the ego's path
STEP = 1.0  # m between places on the ways of others
LONGEST = 110  # places on one way
AXLE_SHARE = 0.3  # rear axle to centre over length, as common vehicles have it
MOST = 160  # conflicts of one tick
PLACES = 8  # lanes that one thing may be on
DEPTH = 24  # lanes of one way
BRANCHES = 6  # ways from one lane
ON_LANE = 0.3  # m beyond the lane's edge that its centre may be
FACING = 0.5  # cosine
ASTRAY_M, ASTRAY_SIN = 0.8, 0.25
"""Inside a junction, who is further than this beside a lane's middle and turns further away from it than this follows another."""
STRAIGHT_SIN = 0.1  # of the angle to its lane, below which a heading is the lane's as far as can be told
TELLS_SPEED = 2.0  # m/s from which a velocity tells where one is heading; below, the body does
DRIFT_SPEED = 0.4  # m/s sideways from which one is taken to leave its lane
DRIFT_S = 2.0  # s for which it goes on
HORIZON_S = 6.0
STILL = 0.4  # m/s
WALK_M, WALK_S = 3.0, 4.0  # m and seconds that people are looked ahead

AHEAD, ZONE, IN_THE_WAY, HEAD_ON = range(4)
"""Sorts of conflict: drives ahead of the ego; a zone not entered by the other yet; is in the way; comes head-on and is in it."""

CONFLICT_DTYPE = np.dtype(
    [
        ("thing", "i4"), ("id", "i4"), ("sort", "i4"), ("kind", "i4"), ("lane", "i4"), ("enter", "f8"), ("clear", "f8"),
        ("leave", "f8"), ("other_enter", "f8"), ("other_leave", "f8"), ("along", "f8"), ("v", "f8"), ("limit", "f8"),
    ],
    align=True,
)  # fmt: skip
"""thing: row of the percepts, -1 for one that nobody sees; sort: VEHICLE, PERSON or HIDDEN; kind: AHEAD to HEAD_ON; lane: the
other's, where they meet, -1 off the lanes. enter, leave: of the ego's centre along its path; where the other is in the way
already, `enter` is where the ego would touch it at the earliest. clear: beyond it the ego is ahead of where the other comes in.
other_enter, other_leave: from where the other is now. along: cosine between the directions where the zone ends."""

X, Y, COS, SIN, LENGTH, WIDTH, SPEED, SIDEWAYS_X, SIDEWAYS_Y, SORT, RESTS, ROOM, SHOWN = range(13)
"""Columns of a thing for the kernels; ROOM: margin [m] kept around it; SHOWN: its row in the percepts."""

BOX_DTYPE = np.dtype([("lane", "i4"), ("x0", "f8"), ("y0", "f8"), ("x1", "f8"), ("y1", "f8")], align=True)


class Roads(NamedTuple):
    """What kernels need of a map."""

    boxes: NDArray[np.void]
    lanes: NDArray[np.void]
    points: NDArray[np.void]
    successors: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """A map as the kernels read it. boxes: (B,) BOX_DTYPE around the lanes that vehicles drive on."""

    road_map: LaneMap
    boxes: NDArray[np.void]


def index_lanes(road_map: LaneMap) -> Lanes:
    """Bounds of the lanes of a map."""
    driven = np.flatnonzero(np.isin(road_map.lanes["kind"], (LaneKind.DRIVING, LaneKind.CYCLE)))
    boxes = np.zeros(len(driven), BOX_DTYPE)
    for k, lane in enumerate(driven):
        points = road_map.lane_points(int(lane))
        reach = float(points["half_width"].max()) + 1.0
        boxes[k] = (
            lane, points["x"].min() - reach, points["y"].min() - reach, points["x"].max() + reach, points["y"].max() + reach,
        )  # fmt: skip
    return Lanes(road_map=road_map, boxes=boxes)


def own_rows(path: ReferencePath, spec: VehicleSpec) -> Floats:
    """(R, 4) x, y, cosine and sine of the ego's body with its centre at each sample of its path."""
    turn = np.arcsin(np.clip(spec.rear_to_centre * path.curvature, -0.9, 0.9))
    return np.ascontiguousarray(np.stack([path.x, path.y, np.cos(path.heading - turn), np.sin(path.heading - turn)], axis=1))


def things_of(percepts: Percepts, assumptions: Assumptions) -> Floats:
    """(N, 13) what may be in the way, with finite numbers."""
    things = percepts.things
    speed = np.hypot(things["vx"], things["vy"]).astype(np.float64)
    backwards = (things["speed"] < -STILL) & (things["kind"] != Kind.PEDESTRIAN)
    walks = things["kind"] == Kind.PEDESTRIAN
    moving = walks & (speed > 0.2)
    heading = np.where(moving, np.arctan2(things["vy"], things["vx"]), things["heading"]) + np.where(backwards, math.pi, 0.0)
    sigma = np.sqrt(np.maximum(np.maximum(things["covariance"][:, 0, 0], things["covariance"][:, 1, 1]), 0.0))
    hazard = (things["indicator"][:, Indicator.HAZARD] > 0.5) & (speed < STILL) & ~walks
    rests = (things["kind"] == Kind.OBJECT) | hazard | (walks & ~moving)
    out = np.stack(
        [
            things["x"], things["y"], np.cos(heading), np.sin(heading), things["length"], things["width"], speed,
            things["vx"], things["vy"], np.where(walks, PERSON, VEHICLE), rests,
            assumptions.box_margin + np.minimum(assumptions.sigmas * sigma, assumptions.sigma_most), np.arange(len(things)),
        ],
        axis=1,
    ).astype(np.float64)  # fmt: skip
    keep = (things["existence"] > EXISTS) & (things["drive_through"] < DRIVEN_THROUGH) & np.all(np.isfinite(out), axis=1)
    return np.ascontiguousarray(out[keep])


@kernel
def _touch(
    rows: Floats, first: int, last: int, own: Floats, x: float, y: float, c: float, s: float, hl: float, hw: float
) -> tuple[int, int]:  # fmt: skip
    """First contiguous rows of the ego's path between first and last whose box overlaps this one; (1, 0) for none."""
    reach = math.sqrt(own[0] * own[0] + own[1] * own[1]) + math.sqrt(hl * hl + hw * hw)
    low, high = 1, 0
    k = first
    while k <= last:
        dx, dy = x - rows[k, 0], y - rows[k, 1]
        gap = math.sqrt(dx * dx + dy * dy) - reach
        if gap < 0.0:
            gap = box_gap(rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3], own[0], own[1], x, y, c, s, hl, hw)
            if gap < 0.0:
                if low > high:
                    low = k
                high = k
                k += 1
                continue
            if low <= high:
                return low, high
            gap = min(gap, 2.0 * ROW)  # the ego also turns
        elif low <= high:
            return low, high
        k += max(1, int(gap / ROW))
    return low, high


@kernel
def _edge(rows: Floats, hit: int, first: int, own: Floats, pose: Floats, hl: float, hw: float) -> float:
    """Place [m] on the ego's path where it first touches a box, between row `hit`, which does, and the row before."""
    if hit <= first:
        return hit * ROW
    free, touched = 0.0, 1.0
    a, b = rows[hit - 1], rows[hit]
    for _ in range(4):
        f = 0.5 * (free + touched)
        x, y = a[0] + f * (b[0] - a[0]), a[1] + f * (b[1] - a[1])
        c, s = a[2] + f * (b[2] - a[2]), a[3] + f * (b[3] - a[3])
        if box_gap(x, y, c, s, own[0], own[1], pose[0], pose[1], pose[2], pose[3], hl, hw) < 0.0:
            touched = f
        else:
            free = f
    return (hit - 1 + free) * ROW


@kernel
def _lanes_under(thing: Floats, boxes: NDArray[np.void], lanes: NDArray[np.void], points: NDArray[np.void], out: Floats) -> int:
    """Lanes that a vehicle may be on, into out (PLACES, 4): lane, s [m], left offset [m], sine of the angle at which its centre
    moves to the left of the lane. A body in a bend points outwards."""
    count = 0
    for b in range(len(boxes)):
        box = boxes[b]
        if not (box["x0"] <= thing[X] <= box["x1"] and box["y0"] <= thing[Y] <= box["y1"]):
            continue
        lane = lanes[box["lane"]]
        best, at = 1e9, -1
        for i in range(lane["point_start"], lane["point_start"] + lane["point_count"]):
            dx, dy = thing[X] - points[i]["x"], thing[Y] - points[i]["y"]
            d2 = dx * dx + dy * dy
            if d2 < best:
                best, at = d2, i
        point = points[at]
        dx, dy = thing[X] - point["x"], thing[Y] - point["y"]
        d = dy * point["cos"] - dx * point["sin"]
        along = dx * point["cos"] + dy * point["sin"]
        s = (at - lane["point_start"]) * lane["spacing"] + along
        outside = s < -1.0 or s > lane["length"] + 1.0
        if outside or abs(d) > point["half_width"] + ON_LANE or thing[COS] * point["cos"] + thing[SIN] * point["sin"] < FACING:
            continue
        if thing[SPEED] > TELLS_SPEED:
            turned = (thing[SIDEWAYS_Y] * point["cos"] - thing[SIDEWAYS_X] * point["sin"]) / thing[SPEED]
        else:
            turned = thing[SIN] * point["cos"] - thing[COS] * point["sin"] + point["curvature"] * AXLE_SHARE * thing[LENGTH]
        if lane["junction"] >= 0 and abs(d) > ASTRAY_M and d * turned > abs(d) * ASTRAY_SIN:
            continue
        if count < len(out):
            out[count, 0], out[count, 1], out[count, 2], out[count, 3] = box["lane"], s, d, turned
            count += 1
    return count


@kernel
def _lay(
    thing: Floats, place: Floats, drift: float, chain: NDArray[np.int64], count: int, lanes: NDArray[np.void],
    points: NDArray[np.void], reach: float, way: Floats,
) -> int:  # fmt: skip
    """Poses of a vehicle along a chain of lanes, into way (LONGEST, 6): x, y, cos, sin, lane, speed limit; how many.

    place: as `_lanes_under` found it. It comes to the lane's middle along a cubic that begins in the direction in which it moves.
    """
    s, d = place[1], place[2]
    slope = math.copysign(max(abs(place[3]) - STRAIGHT_SIN, 0.0), place[3])
    link, base, askew = 0, 0.0, 0.0
    to_axle = AXLE_SHARE * thing[LENGTH]
    settle = max(12.0, 2.5 * thing[SPEED])
    n = 0
    while n < len(way) and n * STEP <= reach:
        ahead = n * STEP
        at = s + ahead - base
        while at > lanes[chain[link]]["length"] and link + 1 < count:
            base += lanes[chain[link]]["length"]
            at = s + ahead - base
            link += 1
        lane = lanes[chain[link]]
        if n > 0 and at > lane["length"] + 0.5 * thing[LENGTH]:  # it is where it is, past the end too
            break
        k = lane["point_start"] + min(max(int(at / lane["spacing"] + 0.5), 0), lane["point_count"] - 1)
        p = points[k]
        beyond = at - (k - lane["point_start"]) * lane["spacing"]
        yaw = 0.0
        if drift != 0.0:
            aside = d + drift * min(ahead, DRIFT_S * thing[SPEED])
        else:
            u = min(ahead / settle, 1.0)
            rest = d * (1.0 + 2.0 * u) + slope * settle * u
            aside = (1.0 - u) * (1.0 - u) * rest
            yaw = (1.0 - u) * ((1.0 - u) * (2.0 * d + slope * settle) - 2.0 * rest) / settle
        if n == 0:
            # the body turns along with the way from where it points, as the rear axle is drawn after
            askew = thing[COS] * p["sin"] - thing[SIN] * p["cos"] - p["curvature"] * to_axle + yaw
        turn = min(max(p["curvature"] * to_axle - yaw + askew * math.exp(-ahead / to_axle), -0.7), 0.7)
        tc = math.sqrt(1.0 - turn * turn)
        way[n, 0] = p["x"] + beyond * p["cos"] - aside * p["sin"]
        way[n, 1] = p["y"] + beyond * p["sin"] + aside * p["cos"]
        way[n, 2], way[n, 3] = p["cos"] * tc + p["sin"] * turn, p["sin"] * tc - p["cos"] * turn
        way[n, 4], way[n, 5] = chain[link], p["speed_limit"]
        n += 1
    if n > 0:
        way[0, 0], way[0, 1], way[0, 2], way[0, 3] = thing[X], thing[Y], thing[COS], thing[SIN]
    return n


@kernel
def _lay_straight(thing: Floats, reach: float, way: Floats) -> int:
    n = 0
    while n < len(way) and n * STEP <= reach:
        way[n, 0], way[n, 1] = thing[X] + n * STEP * thing[COS], thing[Y] + n * STEP * thing[SIN]
        way[n, 2], way[n, 3], way[n, 4], way[n, 5] = thing[COS], thing[SIN], -1.0, thing[SPEED]
        n += 1
    return n


@kernel
def _emit(
    out: NDArray[np.void], used: int, thing: Floats, kind: int, enter: float, clear: float, leave: float,
    first: float, last: float, along: float, place: Floats,
) -> int:  # fmt: skip
    if used >= len(out):
        return used
    record = out[used]
    record["thing"], record["sort"], record["kind"], record["lane"] = int(thing[SHOWN]), int(thing[SORT]), kind, int(place[4])
    record["enter"], record["clear"], record["leave"] = enter, clear, leave
    record["other_enter"], record["other_leave"] = first, last
    record["along"], record["v"], record["limit"] = along, thing[SPEED], place[5]
    return used + 1


@kernel
def _compare(
    thing: Floats, way: Floats, count: int, rows: Floats, span: NDArray[np.int64], s: float, own: Floats, brakes: Floats,
    table: NDArray[np.int64], out: NDArray[np.void], used: int,
) -> int:  # fmt: skip
    """Add the conflicts of one way with the ego's path. span: rows looked at; brakes: of leaders and of who comes head-on, and
    the latter's response [s]; table (LONGEST, 2): scratch."""
    hl, hw = 0.5 * thing[LENGTH] + thing[ROOM], 0.5 * thing[WIDTH] + thing[ROOM]
    for n in range(count):
        # half a step more on either side: nothing slips through between the places
        longer = 0.0 if n == 0 else 0.5 * STEP
        table[n, 0], table[n, 1] = _touch(
            rows, span[0], span[1], own, way[n, 0], way[n, 1], way[n, 2], way[n, 3], hl + longer, hw
        )
    k = int(s / ROW)
    if table[0, 0] <= k + 1 and table[0, 1] >= k:
        # beside each other already: what counts now is the box itself
        bare = thing[ROOM]
        table[0, 0], table[0, 1] = _touch(
            rows, span[0], span[1], own, way[0, 0], way[0, 1], way[0, 2], way[0, 3], hl - bare, hw - bare
        )
    n = 0
    if table[0, 0] <= table[0, 1]:
        while n < count and table[n, 0] <= table[n, 1]:
            n += 1
        if table[0, 1] * ROW < s:
            return used  # behind
        k = table[0, 0]
        along = rows[k, 2] * thing[COS] + rows[k, 3] * thing[SIN]
        v = thing[SPEED]
        if along > SAME_WAY:
            # between two places: the one before counts, and as much of the next as the ego's path goes on with it
            rest = v * v / (2.0 * brakes[0]) / STEP
            m = min(int(rest), n - 1)
            enter = _edge(rows, table[m, 0], span[0], own, way[m], hl + (0.0 if m == 0 else 0.5 * STEP), hw)
            if m + 1 < n:
                later = _edge(rows, table[m + 1, 0], span[0], own, way[m + 1], hl + 0.5 * STEP, hw)
                enter += min(rest - m, 1.0) * max(later - enter, 0.0)
            used = _emit(out, used, thing, AHEAD, enter, enter, table[m, 1] * ROW, 0.0, n * STEP, along, way[0])
        else:
            last, on = n - 1, 0.0
            if along < -SAME_WAY:
                on = v * brakes[2] + v * v / (2.0 * brakes[1])
                last = min(last, int(on / STEP + 0.5))
            low, high, nearest = table[0, 0], table[0, 1], 0
            for m in range(last + 1):
                nearest = m if table[m, 0] < low else nearest
                low, high = min(low, table[m, 0]), max(high, table[m, 1])
            enter = _edge(rows, low, span[0], own, way[nearest], hl + (0.0 if nearest == 0 else 0.5 * STEP), hw)
            enter -= min(on, 0.5 * STEP) if last == 0 else 0.0
            kind = HEAD_ON if along < -SAME_WAY and v > STILL else IN_THE_WAY
            used = _emit(out, used, thing, kind, enter, enter, high * ROW + ROW, 0.0, n * STEP, along, way[0])
    while n < count:
        if table[n, 0] > table[n, 1]:
            n += 1
            continue
        first, low, high, nearest = n, table[n, 0], table[n, 1], n
        while n < count and table[n, 0] <= table[n, 1]:
            nearest = n if table[n, 0] < low else nearest
            low, high = min(low, table[n, 0]), max(high, table[n, 1])
            n += 1
        if high * ROW < s:
            continue
        k, clear = table[n - 1, 0], (table[first, 1] + 1) * ROW
        along = rows[k, 2] * way[n - 1, 2] + rows[k, 3] * way[n - 1, 3]
        before = max((first - 1) * STEP, 0.05)  # not in it yet
        enter = _edge(rows, low, span[0], own, way[nearest], hl + (0.0 if nearest == 0 else 0.5 * STEP), hw)
        if along > SAME_WAY and low * ROW - nearest * STEP > s:
            # ahead on the way into one lane, and not to be stopped before it: as with any leader, what counts is where it rests.
            # Both brake alike, so who is behind now and where both rest is behind all the while
            m = min(int(thing[SPEED] * thing[SPEED] / (2.0 * brakes[0]) / STEP), n - 1)
            if m > nearest:
                enter = max(enter, _edge(rows, table[m, 0], span[0], own, way[m], hl + 0.5 * STEP, hw))
        used = _emit(out, used, thing, ZONE, enter, clear, high * ROW + ROW, before, n * STEP, along, way[first])
    return used


@kernel
def survey(
    things: Floats, roads: Roads, rows: Floats, span: NDArray[np.int64], s: float, own: Floats, brakes: Floats,
    table: NDArray[np.int64], way: Floats, places: Floats, out: NDArray[np.void],
) -> int:  # fmt: skip
    """All conflicts of `things` with the ego's path `rows` within `span`, into out (MOST,) CONFLICT_DTYPE; how many.

    s: the ego's place; own: half its length and width; brakes: as in `_compare`; table, way, places: scratch.
    """
    used = 0
    boxes, lanes, points, successors = roads.boxes, roads.lanes, roads.points, roads.successors
    chain = table[:DEPTH, 2]
    turn = table[:DEPTH, 3]
    x0, y0 = rows[span[0], 0], rows[span[0], 1]
    ahead = (span[1] - span[0]) * ROW
    for i in range(len(things)):
        thing = things[i]
        v = thing[SPEED]
        reach = min(v * HORIZON_S + 12.0, (LONGEST - 1) * STEP)
        dx, dy = thing[X] - x0, thing[Y] - y0
        if math.sqrt(dx * dx + dy * dy) > ahead + reach + thing[LENGTH] + 10.0:
            continue
        if thing[RESTS] > 0.0:
            used = _compare(thing, way, _lay_straight(thing, 0.0, way), rows, span, s, own, brakes, table, out, used)
            continue
        if thing[SORT] == PERSON:
            count = _lay_straight(thing, WALK_M + WALK_S * v, way)
            used = _compare(thing, way, count, rows, span, s, own, brakes, table, out, used)
            continue
        found = _lanes_under(thing, boxes, lanes, points, places)
        if found == 0:
            used = _compare(thing, way, _lay_straight(thing, 2.5 * v, way), rows, span, s, own, brakes, table, out, used)
        for f in range(found):
            chain[0] = int(places[f, 0])
            start = places[f, 1]
            lane = lanes[chain[0]]
            p = points[lane["point_start"] + min(max(int(start / lane["spacing"]), 0), lane["point_count"] - 1)]
            sideways = thing[SIDEWAYS_Y] * p["cos"] - thing[SIDEWAYS_X] * p["sin"]
            drift = sideways / v if lane["junction"] < 0 and abs(sideways) > DRIFT_SPEED and v > 1.0 else 0.0
            # every sequence of lanes, depth first: turn[k] is the next branch to take after chain[k]
            depth, left, ways = 0, lane["length"] - start, 0
            turn[0] = 0
            while depth >= 0 and ways < BRANCHES:
                end = lanes[chain[depth]]
                leaf = left >= reach or end["successor_count"] == 0 or depth + 1 >= DEPTH
                if leaf:
                    count = _lay(thing, places[f], 0.0, chain, depth + 1, lanes, points, reach, way)
                    used = _compare(thing, way, count, rows, span, s, own, brakes, table, out, used)
                    if drift != 0.0 and ways == 0:
                        count = _lay(thing, places[f], drift, chain, depth + 1, lanes, points, min(reach, DRIFT_S * v + 5.0), way)
                        used = _compare(thing, way, count, rows, span, s, own, brakes, table, out, used)
                    ways += 1
                elif turn[depth] < end["successor_count"]:
                    chain[depth + 1] = successors[end["successor_start"] + turn[depth]]
                    turn[depth] += 1
                    depth += 1
                    turn[depth] = 0
                    left += lanes[chain[depth]]["length"]
                    continue
                if depth > 0:
                    left -= lanes[chain[depth]]["length"]
                depth -= 1
    return used


def conflicts_of(
    percepts: Percepts, lanes: Lanes, rows: Floats, s: float, ahead: float, spec: VehicleSpec, assumptions: Assumptions
) -> NDArray[np.void]:
    """(C,) CONFLICT_DTYPE: where anybody may get in the way within `ahead` metres of s on the ego's path `rows` (R, 4)."""
    things = things_of(percepts, assumptions)
    if len(things) == 0 or len(rows) < 2:
        return np.zeros(0, CONFLICT_DTYPE)
    numbers = assumptions.leader_brake * assumptions.friction, assumptions.oncoming_brake, assumptions.response_s
    last = min(max(int((s + ahead) / ROW), 1), len(rows) - 1)
    span = np.array([min(max(int((s - 2.0) / ROW), 0), last - 1), last], np.int64)
    table, way, places = np.empty((LONGEST, 4), np.int64), np.empty((LONGEST, 6)), np.empty((PLACES, 4))
    out = np.zeros(MOST, CONFLICT_DTYPE)
    road_map = lanes.road_map
    own = np.array([0.5 * spec.length, 0.5 * spec.width])
    used = survey(
        things, Roads(lanes.boxes, road_map.lanes, road_map.points, road_map.successors), rows, span, s, own, np.array(numbers),
        table, way, places, out,
    )  # fmt: skip
    found = out[:used]
    found["id"] = percepts.things["id"][found["thing"]]
    return found
