"""What an opponent makes of a frame: who is where by a small tracker of its own, and what that means for its way.

Readings are matched to what was there before by place, not by id, so that it works at the `state` and `objects` levels alike:
exact readings are taken as they are, noisy ones are smoothed, and what is missed for a few frames is carried on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.interface import TICK_S, Colour, Indicator, Kind
from sim.jit import kernel
from sim.roads.lane_map import Regulation, Turn
from sim.traffic.opponents.way import SPACING, Way

THINGS = 40
"""Most things that are kept in mind."""
RANGE_M = 70.0
MATCH_M = 3.0  # m, between where a thing was expected and where a reading is
FORGET_TICKS = 8
STANDING = 0.5  # m/s
AT_LINE_M = 5.0  # m from the line within which a front that stands has arrived
AHEAD_M = 60.0
STREAM_SIDE_M = 1.7  # m beside a stream within which a box is on it
NEVER = 1e6

THING = np.dtype(
    [(name, "f8") for name in ("x", "y", "cos", "sin", "vx", "vy", "speed", "length", "width", "before", "expected", "lean")]
    + [(name, "i8") for name in ("used", "kind", "indicator", "gesture", "seen", "missed", "arrived", "stood")]
)
"""One thing in mind. arrived: tick when it first stood at a line of a stream, -1; stood: tick since when it stands, -1;
before, expected [m/s]: its speed a frame ago, and what a response would have made of it (-1: not known); lean: the evidence
[nats] that it responds at all. These three are kept by who plays games."""
_OWN = (
    "s", "d", "turned", "speed", "accel", "steer", "shift",
    "length", "width", "wheelbase", "rear_to_centre", "steer_max", "accel_max", "brake_max",
)  # fmt: skip
SELF = np.dtype([(name, "f8") for name in _OWN] + [(name, "i8") for name in ("tick", "gate", "arrived", "since")])
"""The opponent itself. s, d: on its way, -1 before the first frame; turned: direction of motion against the way [rad]; shift:
lateral place it steers for [m, left]; gate: the next one; arrived: tick when it stood there, -1; since: tick when it set off
through it, -1."""
SCENE = np.dtype(
    [(name, "f8") for name in ("gap", "lead_speed", "stop", "line", "wave")]
    + [(name, "i8") for name in ("regulation", "colour", "earlier", "waiting", "coming", "inside", "blocked", "people", "led")]
)  # fmt: skip
"""What matters ahead. gap, lead_speed: to whom it follows [m, m/s]; stop: free way before what stands or walks there [m]; line:
front to the next gate's line [m]; earlier: how many stand at lines who came before it; waiting: how many stand at lines;
coming: how many arrive soon; inside: how many are among the conflicts; blocked: 1 where somebody's passage would meet its own;
people: on foot near the way; led: 1 where the leader has just gone through the gate; wave: of how many the gesture is seen."""

_PEDESTRIAN, _OBJECT, _HAZARD = int(Kind.PEDESTRIAN), int(Kind.OBJECT), int(Indicator.HAZARD)
_LEFT, _RIGHT = int(Indicator.LEFT), int(Indicator.RIGHT)
_TURN_LEFT, _TURN_RIGHT = int(Turn.LEFT), int(Turn.RIGHT)
_STOP, _ALL_WAY, _YIELD, _SIGNAL = (
    int(Regulation.STOP), int(Regulation.ALL_WAY_STOP), int(Regulation.YIELD), int(Regulation.SIGNAL),
)  # fmt: skip
_OFF = int(Colour.OFF)


@kernel
def remember(things: NDArray[np.void], objects: NDArray[np.void], me_x: float, me_y: float, tick: int) -> None:
    """Match the readings of a frame to the things in mind, nearest first by slot; forget what stays away."""
    count = objects.shape[0]
    taken = 0  # bit mask: frames rarely hold more things nearby
    for k in range(things.shape[0]):
        thing = things[k]
        if thing.used == 0:
            continue
        x = thing.x + thing.vx * TICK_S
        y = thing.y + thing.vy * TICK_S
        best = -1
        nearest = MATCH_M * MATCH_M
        for n in range(min(count, 62)):
            seen = objects[n]
            away = (seen.x - x) ** 2 + (seen.y - y) ** 2
            if away < nearest and (taken >> n) & 1 == 0:
                nearest = away
                best = n
        if best < 0:
            thing.x = x
            thing.y = y
            thing.missed += 1
            if thing.missed > FORGET_TICKS or thing.seen < 2:
                thing.used = 0
            continue
        taken |= 1 << best
        _take(thing, objects[best], x, y, tick)
    for n in range(min(count, 62)):
        seen = objects[n]
        if (taken >> n) & 1 == 1 or seen.drive_through > 0.5 or seen.score < 0.3:
            continue
        if (seen.x - me_x) ** 2 + (seen.y - me_y) ** 2 > RANGE_M * RANGE_M:
            continue
        for k in range(things.shape[0]):
            if things[k].used == 0:
                _meet(things[k], seen, tick)
                break


@kernel
def _take(thing: np.record, seen: np.record, x: float, y: float, tick: int) -> None:
    """Blend a reading into what is known."""
    exact = seen.sigma[0] == 0.0
    share = 1.0 if exact else 0.5
    slow = 1.0 if exact else 0.3
    thing.x = x + share * (seen.x - x)
    thing.y = y + share * (seen.y - y)
    vx = float(thing.vx + slow * (seen.vx - thing.vx))
    vy = float(thing.vy + slow * (seen.vy - thing.vy))
    thing.vx = vx
    thing.vy = vy
    thing.length += slow * (seen.length - thing.length)
    thing.width += slow * (seen.width - thing.width)
    cos, sin = math.cos(seen.heading), math.sin(seen.heading)
    # headings of boxes are read the wrong way round at times; motion is not
    side = -1.0 if not exact and vx * cos + vy * sin < -1.0 else 1.0
    thing.cos = side * cos
    thing.sin = side * sin
    speed = float(seen.speed) if exact else math.sqrt(vx * vx + vy * vy)
    thing.speed = speed
    thing.kind = seen.kind
    thing.indicator = seen.indicator
    thing.gesture = seen.gesture
    thing.missed = 0
    thing.seen += 1
    if abs(speed) >= STANDING:
        thing.stood = -1
    elif thing.stood < 0:
        thing.stood = tick


@kernel
def _meet(thing: np.record, seen: np.record, tick: int) -> None:
    """A thing seen for the first time."""
    thing.used = 1
    thing.vx = seen.vx
    thing.vy = seen.vy
    thing.length = seen.length
    thing.width = seen.width
    thing.seen = 0
    thing.arrived = -1
    thing.stood = -1
    thing.expected = -1.0
    _take(thing, seen, seen.x, seen.y, tick)


@kernel
def locate(way: Way, me: np.record, x: float, y: float, heading: float) -> None:
    """Update s, d and the direction of motion of a body at this pose."""
    points = way.points
    first, last = 0, points.shape[0]
    if me.s >= 0.0:
        middle = int(me.s / SPACING)
        first, last = max(middle - 8, 0), min(middle + 16, points.shape[0])
    nearest = math.inf
    best = first
    for k in range(first, last):
        point = points[k]
        away = (point.x - x) ** 2 + (point.y - y) ** 2
        if away < nearest and point.cos * math.cos(heading) + point.sin * math.sin(heading) > 0.0:
            nearest = away
            best = k
    point = points[best]
    dx, dy = x - point.x, y - point.y
    s = max(best * SPACING + float(dx * point.cos + dy * point.sin), 0.0)
    me.s = s
    me.d = -dx * point.sin + dy * point.cos
    slip = math.atan(me.rear_to_centre * math.tan(me.steer) / me.wheelbase)
    turned = heading + slip - point.heading - point.curvature * (s - best * SPACING)
    me.turned = turned - 2.0 * math.pi * math.floor((turned + math.pi) / (2.0 * math.pi))


@kernel
def assess(
    way: Way, me: np.record, things: NDArray[np.void], signals: NDArray[np.int32], margin_s: float, scene: np.record
) -> None:
    """Fill the scene; margin_s [s] is kept between one's own passage through a conflict and another's."""
    front = me.s + 0.5 * me.length
    if me.gate < way.gates.shape[0]:
        gate = way.gates[me.gate]
        if front > gate.line + 1.5 and me.s > min(gate.clear, gate.line + 30.0):
            me.gate += 1
            me.arrived = -1
            me.since = -1
    scene.gap = NEVER
    scene.stop = NEVER
    line = NEVER
    scene.regulation = -1
    scene.colour = _OFF
    if me.gate < way.gates.shape[0]:
        gate = way.gates[me.gate]
        line = float(gate.line - front)
        scene.regulation = gate.regulation
        if gate.signal >= 0 and gate.signal < signals.shape[0]:
            scene.colour = signals[gate.signal]
        if me.arrived < 0 and line < AT_LINE_M and me.speed < STANDING:
            me.arrived = me.tick
    scene.line = line
    _sidestep(way, me, things)
    for k in range(things.shape[0]):
        if things[k].used == 1:
            _on_way(way, me, things[k], scene)
    if me.gate < way.gates.shape[0] and line < 30.0:
        _at_gate(way, me, things, margin_s, scene)
    _joining(way, me, things, scene)
    _changing(way, me, things, scene)


@kernel
def _on_way(way: Way, me: np.record, thing: np.record, scene: np.record) -> None:
    """What a thing is to the way itself: somebody to follow, to stop for, or nothing."""
    points = way.points
    first = min(max(int(me.s / SPACING), 0), points.shape[0] - 1)
    nearest = math.inf
    best = first
    for k in range(first, min(first + int(AHEAD_M / SPACING), points.shape[0]), 2):
        away = (points[k].x - thing.x) ** 2 + (points[k].y - thing.y) ** 2
        if away < nearest:
            nearest = away
            best = k
    if nearest > 144.0:
        return
    point = points[best]
    dx, dy = thing.x - point.x, thing.y - point.y
    ahead = best * SPACING + dx * point.cos + dy * point.sin
    d = -dx * point.sin + dy * point.cos
    if ahead <= me.s:
        return
    along = thing.vx * point.cos + thing.vy * point.sin
    across = -thing.vx * point.sin + thing.vy * point.cos
    facing = abs(thing.cos * point.cos + thing.sin * point.sin)
    sideways = math.sqrt(max(1.0 - facing * facing, 0.0))
    reach = 0.5 * (facing * thing.length + sideways * thing.width)
    side = 0.5 * (sideways * thing.length + facing * thing.width)
    free = ahead - reach - me.s - 0.5 * me.length
    beside = abs(d - me.shift) - side - 0.5 * me.width
    if thing.kind == _PEDESTRIAN:
        _on_foot(me, d, across, beside, free, scene)
        return
    if thing.kind == _OBJECT or (thing.indicator == _HAZARD and abs(thing.speed) < 0.3):
        scene.stop = min(scene.stop, free) if beside < 0.15 else scene.stop
        return
    if beside > 0.25:
        return
    if thing.cos * point.cos + thing.sin * point.sin > 0.4 and along > -0.3:
        if free < scene.gap:
            scene.gap = free
            scene.lead_speed = max(along, 0.0)
            gate_line = -1.0
            if me.gate < way.gates.shape[0]:
                gate_line = way.gates[me.gate].line
            scene.led = 1 if gate_line >= 0.0 and ahead + 0.5 * thing.length > gate_line and along > 0.5 and free < 7.0 else 0
    else:
        # whoever comes the other way uses up the room as well
        scene.stop = min(scene.stop, free - max(-along, 0.0) * 1.0)


@kernel
def _on_foot(me: np.record, d: float, across: float, beside: float, free: float, scene: np.record) -> None:
    """People on the way, or about to step on it, are stopped for."""
    nearing = -across if d > 0.0 else across
    if free < 40.0 and beside < 4.0:
        scene.people += 1
    soon = beside < 0.7 or (nearing > 0.3 and beside < min(nearing * 3.5, 6.0)) or (beside < 1.2 and nearing > -0.2)
    if soon and free > -0.5 * me.length:
        scene.stop = min(scene.stop, free - 1.5)


@kernel
def on_stream(way: Way, number: int, thing: np.record) -> float:
    """s [m] of a thing on a stream, -1 where it is not on it."""
    stream = way.streams[number]
    nearest = STREAM_SIDE_M * STREAM_SIDE_M + 0.5
    best = -1
    for k in range(stream.start, stream.start + stream.count):
        dot = way.dots[k]
        away = (dot.x - thing.x) ** 2 + (dot.y - thing.y) ** 2
        if away < nearest:
            nearest = away
            best = k
    if best < 0:
        return -1.0
    dot = way.dots[best]
    dx, dy = thing.x - dot.x, thing.y - dot.y
    if abs(-dx * dot.sin + dy * dot.cos) > STREAM_SIDE_M or dot.cos * thing.cos + dot.sin * thing.sin < 0.6:
        return -1.0
    return float(best - stream.start + dx * dot.cos + dy * dot.sin)


@kernel
def _says_otherwise(thing: np.record, turn: int) -> bool:
    """Whether the indicator speaks against this turn."""
    if thing.indicator == _LEFT:
        return turn != _TURN_LEFT
    if thing.indicator == _RIGHT:
        return turn != _TURN_RIGHT
    return False


@kernel
def passage(distance: float, speed: float, accel: float) -> float:
    """Time [s] to go `distance` from `speed` with constant acceleration up to 9 m/s; NEVER where it is never reached."""
    if distance <= 0.0:
        return 0.0
    if accel < 0.05:
        return distance / speed if speed > 0.2 else NEVER
    top = 9.0
    if speed >= top:
        return distance / speed
    up = (top * top - speed * speed) / (2.0 * accel)
    if distance <= up:
        return (math.sqrt(speed * speed + 2.0 * accel * distance) - speed) / accel
    return (top - speed) / accel + (distance - up) / top


@kernel
def _at_gate(way: Way, me: np.record, things: NDArray[np.void], margin_s: float, scene: np.record) -> None:
    """Who stands at the lines, who comes, who is inside, and whether one's own passage is free."""
    gate = way.gates[me.gate]
    for k in range(things.shape[0]):
        thing = things[k]
        if thing.used == 0 or thing.kind == _PEDESTRIAN or thing.kind == _OBJECT or thing.indicator == _HAZARD:
            continue
        stands = False
        comes = False
        within = False
        bearing = 0.0
        for c in range(gate.first, gate.first + gate.count):
            conflict = way.conflicts[c]
            if me.s - 0.2 > conflict.leave:
                continue
            stream = way.streams[conflict.stream]
            s = on_stream(way, conflict.stream, thing)
            if s < 0.0 or s > conflict.other_leave:
                continue
            head = s + 0.5 * thing.length
            entered = head > (stream.line if stream.line >= 0.0 else stream.lane_s) + 1.5
            near = stream.line >= 0.0 and not entered and stream.line - head < AT_LINE_M
            if near and (abs(thing.speed) < STANDING or thing.arrived >= 0):
                stands = True  # until it is through: it has its turn while it sets off, too
                bearing = stream.bearing
            if _says_otherwise(thing, stream.turn) and s < stream.lane_s + 6.0:
                continue
            if entered:
                within = True
                _give_room(me, thing, conflict, s, scene)
            if _meets(me, thing, conflict, stream, s, entered, scene.regulation, margin_s):
                scene.blocked = 1
            if not entered and thing.speed > 1.0 and passage(conflict.other_enter - s, thing.speed, 0.0) < 6.0:
                comes = True
        if stands:
            if thing.arrived < 0:
                thing.arrived = me.tick
            scene.waiting += 1
            scene.wave += 1.0 if thing.gesture == 1 else 0.0
            if me.arrived < 0 or thing.arrived < me.arrived or (thing.arrived == me.arrived and bearing < gate.bearing):
                scene.earlier += 1
        else:
            thing.arrived = -1
        scene.coming += 1 if comes else 0
        scene.inside += 1 if within else 0


@kernel
def _meets(
    me: np.record,
    thing: np.record,
    conflict: np.record,
    stream: np.record,
    s: float,
    entered: bool,
    regulation: int,
    margin_s: float,
) -> bool:
    """Whether the passage of a thing on a stream would meet one's own if one drove now."""
    if not entered:
        if regulation == _SIGNAL and conflict.priority >= 0:
            return False  # the lights hold it back
        if thing.speed < STANDING and (stream.line >= 0.0 or conflict.priority >= 0):
            return False  # it stands and waits
        if conflict.priority > 0 and stream.line >= 0.0:
            return False  # it has to wait
        if regulation == _ALL_WAY and stream.line >= 0.0:
            # it will stop too, unless it is too fast for that
            left = stream.line - s - 0.5 * thing.length
            if thing.speed * thing.speed < 2.0 * 3.0 * max(left, 0.1):
                return False
    enters = passage(conflict.other_enter - s, thing.speed, 0.0)
    leaves = passage(conflict.other_leave - s, thing.speed, 0.8 if entered else 0.0)
    mine_in = passage(conflict.enter - me.s, me.speed, 1.5)
    mine_out = passage(conflict.leave - me.s, me.speed, 1.5)
    if conflict.merge == 1:
        return mine_in < leaves + 0.3 * margin_s and enters < mine_in + margin_s and entered
    return mine_in < leaves + 0.3 * margin_s and enters < mine_out + margin_s


@kernel
def _give_room(me: np.record, thing: np.record, conflict: np.record, s: float, scene: np.record) -> None:
    """Under way, stop before a conflict that somebody else will clearly be in first."""
    free = conflict.enter - me.s
    if me.since < 0 or free < 0.3 or conflict.merge == 1:
        return
    enters = passage(conflict.other_enter - s, thing.speed, 0.0)
    leaves = passage(conflict.other_leave - s, thing.speed, 0.8)
    mine_in = passage(free, me.speed, 1.5)
    if enters < mine_in - 0.3 and leaves > mine_in - 0.5:
        scene.stop = min(scene.stop, free + 0.5)


@kernel
def _sidestep(way: Way, me: np.record, things: NDArray[np.void]) -> None:
    """Choose the lateral place that leads past what stands or lies ahead, if the road has room and nobody comes towards it."""
    points = way.points
    first = min(max(int(me.s / SPACING) - 16, 0), points.shape[0] - 1)
    low, high = 0.0, 0.0
    room_left, room_right = 15.0, 15.0
    for k in range(things.shape[0]):
        thing = things[k]
        if thing.used == 0 or not (thing.kind == _OBJECT or (thing.indicator == _HAZARD and abs(thing.speed) < 0.3)):
            continue
        best, nearest = -1, 64.0
        for m in range(first, min(first + int(50.0 / SPACING), points.shape[0]), 2):
            away = (points[m].x - thing.x) ** 2 + (points[m].y - thing.y) ** 2
            if away < nearest:
                nearest = away
                best = m
        if best < 0 or best * SPACING + 0.5 * thing.length + 0.5 * me.length + 1.0 < me.s:
            continue
        point = points[best]
        d = -(thing.x - point.x) * point.sin + (thing.y - point.y) * point.cos
        facing = abs(thing.cos * point.cos + thing.sin * point.sin)
        side = 0.5 * (math.sqrt(max(1.0 - facing * facing, 0.0)) * thing.length + facing * thing.width) + 0.5 * me.width + 0.35
        if d - side < 0.0 < d + side:
            low = min(low, d - side)
            high = max(high, d + side)
            room_left = min(room_left, point.room_left)
            room_right = min(room_right, point.room_right)
    wanted = 0.0
    left_fits = high <= room_left - 0.5 * me.width - 0.1
    right_fits = -low <= room_right - 0.5 * me.width - 0.1
    if low < 0.0 or high > 0.0:
        if right_fits and (-low <= high or not left_fits):
            wanted = low
        elif left_fits:
            wanted = high
    if abs(wanted) > 0.8 and abs(me.d) < 0.5 * abs(wanted) and _met(way, me, things, wanted):
        wanted = 0.0
    me.shift = wanted


@kernel
def _met(way: Way, me: np.record, things: NDArray[np.void], wanted: float) -> bool:
    """Whether somebody comes the other way within 60 m on the strip that one would move to."""
    points = way.points
    first = min(max(int(me.s / SPACING), 0), points.shape[0] - 1)
    for k in range(things.shape[0]):
        thing = things[k]
        if thing.used == 0 or thing.kind == _PEDESTRIAN or thing.speed < 0.3:
            continue
        for m in range(first, min(first + 2 * int(AHEAD_M), points.shape[0]), 2):
            point = points[m]
            dx, dy = thing.x - point.x, thing.y - point.y
            if dx * dx + dy * dy < 36.0 and abs(dx * point.cos + dy * point.sin) < 1.0:
                d = -dx * point.sin + dy * point.cos
                if abs(d - wanted) < 0.5 * (thing.width + me.width) + 0.4 and thing.cos * point.cos + thing.sin * point.sin < 0.0:
                    return True
    return False


@kernel
def _changing(way: Way, me: np.record, things: NDArray[np.void], scene: np.record) -> None:
    """Wait where the way changes lanes until there is a gap beside and behind."""
    points = way.points
    here = min(max(int(me.s / SPACING), 0), points.shape[0] - 1)
    begin = -1
    for k in range(here, min(here + int(0.5 * AHEAD_M / SPACING), points.shape[0])):
        if points[k].change != 0:
            begin = k
            break
    if begin < 0 or (begin == here and points[max(here - 24, 0)].change != 0):
        return  # none near, or too far across to go back
    side = points[begin].change
    point = points[here]
    x, y = float(point.x), float(point.y)
    for k in range(things.shape[0]):
        thing = things[k]
        if thing.used == 0 or thing.kind == _PEDESTRIAN:
            continue
        dx, dy = thing.x - x, thing.y - y
        ahead = dx * point.cos + dy * point.sin
        d = (-dx * point.sin + dy * point.cos) * side
        room = 0.5 * (me.length + thing.length)
        if 1.6 < d < 5.2 and -room - 2.0 - max(2.0 * (thing.speed - me.speed), 0.0) < ahead < room + 1.0:
            scene.stop = min(scene.stop, max(begin - here, 0) * SPACING + 1.2)


@kernel
def _joining(way: Way, me: np.record, things: NDArray[np.void], scene: np.record) -> None:
    """Who is nearer to a place where streams join the way is followed, as if ahead on it."""
    for c in range(way.conflicts.shape[0]):
        conflict = way.conflicts[c]
        away = conflict.enter - me.s
        if conflict.merge == 0 or away < -2.0 or away > 40.0:
            continue
        if me.gate < way.gates.shape[0] and way.gates[me.gate].line < conflict.enter and me.since < 0:
            continue
        for k in range(things.shape[0]):
            thing = things[k]
            if thing.used == 0 or thing.kind == _PEDESTRIAN or thing.kind == _OBJECT:
                continue
            s = on_stream(way, conflict.stream, thing)
            stream = way.streams[conflict.stream]
            if s < 0.0 or (s < stream.line - 2.0 and thing.speed < 3.0):
                continue
            theirs = conflict.other_enter - s
            free = away - theirs - 0.5 * (me.length + thing.length)
            if (theirs < away or conflict.priority < 0) and theirs < away + 8.0 and free < scene.gap and thing.speed > 0.5:
                scene.gap = max(free, 0.5)
                scene.lead_speed = thing.speed
                scene.led = 0
