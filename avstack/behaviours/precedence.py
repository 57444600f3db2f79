"""Who comes before whom at a junction: when each road user came to its line, entered, and let its turn go by.

Arrival is the first moment below STOPPED_SPEED within ARRIVAL_M of the line, or crossing it. Fronts come to rest beyond lines:
who stands within REST_M of its line has not entered. Whoever stands while nobody who is in the junction keeps it from going
has its turn; who lets FORFEIT_S of it go by comes after everybody else until it moves, and sooner after one who came about when
it did. Times are ticks in memory, and seconds from now in what is read from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from avstack.behaviours.atlas import Path, Stop
from sim.geometry import Floats
from sim.interface import TICK_S

ARRIVAL_M = 4.0  # m before its line at which somebody who stops has arrived
STOPPED_SPEED = 0.5  # m/s
PASSED_M = 1.0  # m past its line up to which a front is still at it
REST_M = 2.5  # m past its line up to which a front that stands has not entered
JUNCTION_M = 30.0  # m past its line within which somebody is in the junction
FORFEIT_S = 3.0  # s of an unused turn after which others may go
TIE_S = 0.5  # s between arrivals that are a tie
TIE_FORFEIT_S = 1.0  # s of an unused turn after which the other of two who came together may go
SETTLED = 0.5
"""Order [s] from where on it no longer matters which way the rules lean between two that came together."""
IN_JUNCTION = -1000.0  # s, when somebody arrived who is in the junction already: before everybody who waits
AFTER_ALL = 1000.0  # s, added for whoever has let its turn go by
SAME_M = 3.0  # m between where one was lost and where one is found
LOST_TICKS = 100
FOUND_TICKS = 50  # ticks ago that somebody came who is found standing at a line
STOP_BRAKE = 1.5  # m/s², with which a stop at a line is foreseen


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody's coming to a junction: ticks, -1 for what has not happened.

    arrived: at its line; entered: past it; idle: since when nothing has kept it from going; stopped: lane at whose line it has
    stopped; x, y, seen: where and when it was last seen.
    """

    arrived: int = -1
    entered: int = -1
    idle: int = -1
    stopped: int = -1
    x: float = 0.0
    y: float = 0.0
    seen: int = -1


def next_stop(path: Path, front: float) -> Stop | None:
    """The first line ahead of (or just under) a front at `front` [m]."""
    return next((stop for stop in path.stops if stop.front > front - PASSED_M), None)


def has_passed(path: Path, front: float) -> bool:
    """Whether a front has lately crossed a line: it is in the junction, before anybody who still waits."""
    return any(0.0 < front - stop.front - PASSED_M < JUNCTION_M for stop in path.stops)


def rests_beyond(path: Path, front: float, speed: float) -> bool:
    """Whether somebody stands a little past its line, waiting as others wait before it."""
    return abs(speed) < STOPPED_SPEED and has_passed(path, front) and not has_passed(path, front - REST_M + PASSED_M)


def visited(
    visit: Visit, path: Path, front: float, speed: float, tick: int, inside: bool = False, at_line: float = ARRIVAL_M
) -> Visit:
    """The visit after this tick. front: of the body along its path [m]; inside: it is on a lane of the junction; at_line: metres
    before its line from where it has stopped there."""
    moves = abs(speed) >= STOPPED_SPEED
    idle = -1 if moves else visit.idle
    if inside or has_passed(path, front):
        if not inside and rests_beyond(path, front, speed):
            return replace(visit, arrived=visit.arrived if visit.arrived >= 0 else tick, entered=-1)
        entered = visit.entered if visit.entered >= 0 else tick
        return replace(visit, arrived=visit.arrived if visit.arrived >= 0 else entered, entered=entered, idle=idle)
    stop = next_stop(path, front)
    if stop is None or stop.front - front > 3.0 * ARRIVAL_M:
        if visit.arrived >= 0 and visit.entered < 0 and not moves:
            return visit  # who stands where it came to is still there, whatever it and its way are taken for now
        return replace(Visit(), x=visit.x, y=visit.y, seen=visit.seen)
    if moves or stop.front - front > ARRIVAL_M:
        # who moves on from where it stood uses its turn
        return replace(visit, entered=-1, idle=-1)
    stopped = stop.lane if stop.front - front < at_line else visit.stopped
    return replace(visit, arrived=visit.arrived if visit.arrived >= 0 else tick, entered=-1, stopped=stopped)


def recognised(visits: Mapping[int, Visit], known: int, x: float, y: float, speed: float, tick: int) -> Visit:
    """The visit so far of whom perception calls `known` and has at x, y.

    A new name at a place where somebody was lost a moment ago is the same one. Who is first seen standing came before.
    """
    visit = visits.get(known)
    if visit is None:
        lost = (v for v in visits.values() if v.seen < tick - 1 and (v.x - x) ** 2 + (v.y - y) ** 2 < SAME_M**2)
        came = max(tick - FOUND_TICKS, 0) if abs(speed) < STOPPED_SPEED else -1
        visit = max(lost, key=lambda v: v.seen, default=Visit(arrived=came))
    return replace(visit, x=x, y=y, seen=tick)


def lost(visits: Mapping[int, Visit], tick: int) -> dict[int, Visit]:
    """Visits of those who have not been seen for a moment, to be recognised by."""
    return {known: visit for known, visit in visits.items() if 0 < tick - visit.seen <= LOST_TICKS}


def arrival(visit: Visit, path: Path, front: float, speed: float, tick: int) -> float:
    """When it came or will come to its line [s from now]; the earlier of two goes first. 0 where there is no line."""
    forfeits = visit.idle >= 0 and (tick - visit.idle) * TICK_S >= FORFEIT_S
    if visit.entered >= 0 and not forfeits:
        return IN_JUNCTION + (visit.entered - tick) * TICK_S
    if visit.arrived >= 0:
        return (visit.arrived - tick) * TICK_S + (AFTER_ALL if forfeits else 0.0)
    stop = next_stop(path, front)
    if stop is None:
        return 0.0
    # at its speed, and then braking evenly to rest
    way, v = max(0.0, stop.front - front), max(abs(speed), 1.0)
    return way / v + v / (2.0 * STOP_BRAKE) if way > v * v / (2.0 * STOP_BRAKE) else 2.0 * way / v


def lets_tie_go(visit: Visit, before_s: float, tick: int) -> bool:
    """Whether one who came to its line `before_s` [s] before another has let so much of its turn go by that this one may go.

    TIE_FORFEIT_S will do where they came together, and more the clearer it was first: FORFEIT_S from a second on.
    """
    clearly = min(max((before_s - TIE_S) / (1.0 - TIE_S), 0.0), 1.0)
    return visit.idle >= 0 and (tick - visit.idle) * TICK_S >= TIE_FORFEIT_S + (FORFEIT_S - TIE_FORFEIT_S) * clearly


def idling(visits: Mapping[int, Visit], ids: list[int], kept: Floats, tick: int) -> dict[int, Visit]:
    """Visits with the times since which nothing has kept each of `ids` from going. kept (N,): something does."""
    after = dict(visits)
    for known, held in zip(ids, np.asarray(kept, dtype=bool).tolist(), strict=True):
        visit = after.get(known)
        if visit is None or visit.arrived < 0:
            continue
        after[known] = replace(visit, idle=-1 if held else (visit.idle if visit.idle >= 0 else tick))
    return after
