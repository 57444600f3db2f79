"""One tick of a batch of worlds: decide, move, localise, contact, remember.

Worlds are independent; `step_worlds` releases the GIL, so threads may each take a range of worlds and nothing changes by it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.awareness import REFRESH, find_neighbours, find_neighbours_in_line, look, remember
from sim.contact import add_event, check_offroad, find_contacts, line_up
from sim.jit import kernel
from sim.localise import follow_route, judge_lanes
from sim.motion import move_vehicle
from sim.roads.pack import Roads
from sim.roads.signals import signal_colour
from sim.state import HISTORY, WorldState
from sim.traffic.driver import drive
from sim.traffic.pedestrian import localise_pedestrian, move_pedestrian, walk
from sim.traffic.replay import replay

TICK = 0.1
SUBSTEPS = 2
WAITING, ACTIVE, FINISHED = 0, 1, 2
NEGOTIATOR, PEDESTRIAN, REPLAY, EXTERNAL, STILL = 0, 1, 2, 3, 4
EVENT_FINISHED, EVENT_DEADLOCK, EVENT_RED_LIGHT, EVENT_STOP_IGNORED = 2, 3, 4, 5
PLACE_GAP = 2.5  # m before and behind a newcomer
BESIDE_M = 0.3  # m beside it
CHANGING_S = 2.0  # s of somebody's coming over that a newcomer waits for
USUAL_CHANGE = 0.9  # m/s sideways
APPEAR_DECEL = 2.5  # m/s²
INDICATES_LEFT, INDICATES_RIGHT = 1, 2
ARRIVED_M = 4.0  # m before the line within which a slow front has arrived
ARRIVED_SPEED = 1.5  # m/s
DEADLOCK_TICKS = 80
ALIGNED = 0.9  # cosine
CHAIN = 4  # of those who wait for each other that are looked at
ROLLING = 3.0  # m/s over a stop line that nobody would call a stop
STOP_SIGN, ALL_WAY_STOP = 1, 2
RED = 2
USING_SPEED = 0.5  # m/s
LEADER, STOPPING, SIGNALLED, EXIT_BLOCKED, CROSSWALK, WALKER = 2, 3, 4, 7, 8, 9
PERSON = 6  # kind


@kernel
def _place_is_free(state: WorldState, w: int, a: int) -> bool:
    body = state.bodies[w, a]
    for b in range(state.worlds[w].actors):
        other = state.bodies[w, b]
        if other.status != ACTIVE or b == a or other.drive_through:
            continue
        dx = other.x - body.x
        dy = other.y - body.y
        along = abs(dx * body.cos + dy * body.sin) - 0.5 * (body.length + other.length)
        across = abs(dy * body.cos - dx * body.sin) - 0.5 * (body.width + other.width)
        ahead = dx * body.cos + dy * body.sin > 0.0
        # the one behind needs room to slow down for the one before it, whichever of the two is new
        relative = body.speed - (other.vx * body.cos + other.vy * body.sin)
        closing = max(relative if ahead else -relative, 0.0)
        follower = max(float(body.speed if ahead else other.speed), 0.0)
        # what stands for good need only not be in the very place
        gap = 0.0 if other.model == STILL else PLACE_GAP + closing * closing / 3.0 + follower
        if across < BESIDE_M + CHANGING_S * _coming_over(body, other) and along < gap:
            return False
    return True


@kernel
def _coming_over(body: np.record, other: np.record) -> float:
    """Speed [m/s] at which somebody beside comes over to where `body` is to appear; who indicates is about to."""
    side = other.y * body.cos - other.x * body.sin - (body.y * body.cos - body.x * body.sin)
    towards = other.vx * body.sin - other.vy * body.cos if side > 0.0 else other.vy * body.cos - other.vx * body.sin
    meant = other.indicator == (INDICATES_RIGHT if side > 0.0 else INDICATES_LEFT)
    alike = other.cos * body.cos + other.sin * body.sin > 0.9
    return max(float(towards), USUAL_CHANGE if meant and alike else 0.0)


@kernel
def _slow_for_what_stands(state: WorldState, w: int, a: int) -> None:
    """Nobody appears faster than lets them stop before something that stands ahead for good."""
    body = state.bodies[w, a]
    for b in range(state.worlds[w].actors):
        other = state.bodies[w, b]
        if other.status != ACTIVE or other.model != STILL or other.drive_through:
            continue
        dx = other.x - body.x
        dy = other.y - body.y
        ahead = dx * body.cos + dy * body.sin - 0.5 * (body.length + other.length)
        across = abs(dy * body.cos - dx * body.sin) - 0.5 * (body.width + other.width)
        if ahead > 0.0 and across < BESIDE_M:
            body.speed = min(float(body.speed), math.sqrt(2.0 * APPEAR_DECEL * max(ahead - 1.0, 0.0)))
            body.vx = body.speed * body.cos
            body.vy = body.speed * body.sin


@kernel
def _appear(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Bring a waiting actor onto the road when its time has come and its place is free."""
    body = state.bodies[w, a]
    tick = state.worlds[w].tick
    if body.status != WAITING or body.model == REPLAY or tick < body.depart_tick:
        return
    if body.model != STILL and not _place_is_free(state, w, a):
        return
    body.status = ACTIVE
    if body.model == NEGOTIATOR:
        _slow_for_what_stands(state, w, a)
    for row in range(HISTORY):
        state.history[w, row, a].status = WAITING
    if body.model == STILL:
        # what never moves looks the same in every tick of the past
        saved = state.worlds[w].tick
        for row in range(HISTORY):
            state.worlds[w].tick = row
            remember(state, w, a)
        state.worlds[w].tick = saved
    else:
        remember(state, w, a)
    find_neighbours(state, w, a)
    look(state, roads, w, a)


@kernel
def _apply(state: WorldState, controls: NDArray[np.void], w: int, a: int) -> None:
    """Hand an external actor's control to its actuators."""
    body = state.bodies[w, a]
    control = controls[w, a]
    if not control.given:
        return
    body.command_accel = control.accel
    body.command_steer = control.steer
    body.gear = control.gear
    body.indicator = control.indicator
    body.gesture = control.gesture


@kernel
def decide_all(state: WorldState, roads: Roads, w: int, controls: NDArray[np.void]) -> None:
    """Let every active actor of world w choose its commands; external ones take theirs from `controls` (W, A)."""
    for a in range(state.worlds[w].actors):
        body = state.bodies[w, a]
        if body.status != ACTIVE:
            continue
        if body.model == NEGOTIATOR:
            drive(state, roads, w, a)
        elif body.model == PEDESTRIAN:
            walk(state, roads, w, a)
        elif body.model == EXTERNAL:
            _apply(state, controls, w, a)


@kernel
def move_all(state: WorldState, roads: Roads, tracks: NDArray[np.float64], w: int) -> None:
    """Move every active actor of world w by one tick and find its lanes; `tracks`: see `sim.traffic.replay.pack_tracks`."""
    tick = state.worlds[w].tick
    for a in range(state.worlds[w].actors):
        body = state.bodies[w, a]
        if body.model == REPLAY:
            replay(state, tracks, w, a, tick)
        if body.status != ACTIVE:
            continue
        if body.model == NEGOTIATOR or body.model == EXTERNAL:
            move_vehicle(state, w, a, TICK / SUBSTEPS, SUBSTEPS)
            if body.rests:
                continue
            follow_route(state, roads, w, a)
        elif body.model == REPLAY and state.minds[w, a].route >= 0:
            follow_route(state, roads, w, a)
        elif body.model == PEDESTRIAN:
            move_pedestrian(state, roads, w, a, TICK)
            localise_pedestrian(state, roads, w, a)
        if body.model != STILL and body.hypothesis_count > 0:
            judge_lanes(state, roads, w, a)


@kernel
def note_arrival(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Public arrival time at a stop line: the first tick a front is close to it and slow."""
    body = state.bodies[w, a]
    if body.hypothesis_count == 0:
        return
    lane = roads.lanes[body.hypothesis_lane[0]]
    if lane.stop_s < 0.0:
        if lane.cluster < 0:
            body.arrived_tick = -1
        return
    distance = lane.stop_s - body.hypothesis_s[0] - 0.5 * body.length
    if distance > 2.0 * ARRIVED_M:
        body.arrived_tick = -1
    elif body.arrived_tick < 0 and (distance < 1.0 or (distance < ARRIVED_M and body.speed < ARRIVED_SPEED)):
        body.arrived_tick = state.worlds[w].tick


@kernel
def look_all(state: WorldState, roads: Roads, w: int) -> None:
    """Write this tick into the history of world w; those whose turn it is (every REFRESH ticks) look around anew."""
    tick = state.worlds[w].tick
    for rank in range(state.worlds[w].present):
        a = state.spots[w, rank].slot
        if state.bodies[w, a].model == STILL:
            continue
        note_arrival(state, roads, w, a)
        remember(state, w, a)
        if (tick + a) % REFRESH == 0:
            find_neighbours_in_line(state, w, rank)
            look(state, roads, w, a)


@kernel
def _check_line(state: WorldState, roads: Roads, w: int, a: int) -> None:
    """Note a front that passed a stop line in this tick, and what was wrong with that: red, or no stop at a stop sign."""
    body = state.bodies[w, a]
    if body.hypothesis_count == 0 or body.speed <= 0.0:
        return
    lane = roads.lanes[body.hypothesis_lane[0]]
    if lane.stop_s < 0.0:
        return
    past = body.hypothesis_s[0] + 0.5 * body.length - lane.stop_s
    if past < 0.0 or past >= body.speed * TICK:
        return
    tick = state.worlds[w].tick
    body.entered_tick = tick
    if signal_colour(roads, lane.signal, tick) == RED:
        add_event(state, w, EVENT_RED_LIGHT, a, -1)
    if (lane.regulation == STOP_SIGN or lane.regulation == ALL_WAY_STOP) and body.speed > ROLLING:
        add_event(state, w, EVENT_STOP_IGNORED, a, -1)


@kernel
def check_all(state: WorldState, roads: Roads, w: int) -> None:
    """Note who of world w left the drivable area, and take those off the road who reached their goal."""
    tick = state.worlds[w].tick
    for a in range(state.worlds[w].actors):
        body = state.bodies[w, a]
        if body.status != ACTIVE or body.model == STILL or body.model == REPLAY:
            continue
        if body.model != PEDESTRIAN and not body.rests:
            check_offroad(state, roads, w, a)
            _check_line(state, roads, w, a)
        if state.minds[w, a].to_goal <= 0.0:
            add_event(state, w, EVENT_FINISHED, a, -1)
            body.finished_tick = tick
            body.status = FINISHED
            state.history[w, tick % HISTORY, a].status = FINISHED


@kernel
def _note_use(state: WorldState, roads: Roads, w: int) -> None:
    """A zone with somebody on the move in it is in use."""
    tick = state.worlds[w].tick
    for a in range(state.worlds[w].actors):
        body = state.bodies[w, a]
        if body.status != ACTIVE or body.hypothesis_count == 0 or abs(body.speed) < USING_SPEED:
            continue
        lane = roads.lanes[body.hypothesis_lane[0]]
        if lane.cluster >= 0 and lane.stop_s < 0.0:
            state.zones[w, lane.cluster].last_entry = tick


@kernel
def _is_queueing(state: WorldState, w: int, a: int) -> bool:
    """Whether whom this driver waits for is its leader and faces the same way: it stands askew in a queue."""
    body = state.bodies[w, a]
    mind = state.minds[w, a]
    if mind.other < 0 or mind.other != mind.lead:
        return False
    ahead = state.bodies[w, mind.other]
    return bool(body.cos * ahead.cos + body.sin * ahead.sin > ALIGNED)


@kernel
def _waits_for_green(state: WorldState, w: int, a: int) -> bool:
    """Whether whom this driver waits for stands at red itself, or waits for somebody who does."""
    other = int(state.minds[w, a].other)
    for _ in range(CHAIN):
        if other < 0 or state.bodies[w, other].status != ACTIVE or state.bodies[w, other].model != NEGOTIATOR:
            return False
        mind = state.minds[w, other]
        if mind.reason == SIGNALLED:
            return True
        other = int(mind.lead) if mind.reason == LEADER else int(mind.other)
    return False


@kernel
def watch_deadlock(state: WorldState, roads: Roads, w: int) -> None:
    """Report a zone that claimants have stood before for DEADLOCK_TICKS while nobody entered it or moved in it.

    Waiting at red, behind a queue or for people on foot is no claim.
    """
    tick = state.worlds[w].tick
    _note_use(state, roads, w)
    for a in range(state.worlds[w].actors):
        body = state.bodies[w, a]
        mind = state.minds[w, a]
        if body.status != ACTIVE or body.model != NEGOTIATOR or mind.zone < 0:
            continue
        if (
            body.speed > 0.5
            or mind.reason <= STOPPING
            or mind.reason == SIGNALLED
            or mind.reason == EXIT_BLOCKED
            or mind.stop_distance > 5.0
        ):
            continue
        if mind.reason == CROSSWALK or mind.reason == WALKER or (mind.other >= 0 and state.bodies[w, mind.other].kind == PERSON):
            continue
        if _is_queueing(state, w, a) or _waits_for_green(state, w, a):
            continue
        zone = state.zones[w, mind.zone]
        if zone.last_claim < tick - 1:
            zone.claimed_since = tick
        zone.last_claim = tick
        since = max(zone.claimed_since, zone.last_entry)
        if tick - since > DEADLOCK_TICKS and zone.reported < since:
            zone.reported = tick
            add_event(state, w, EVENT_DEADLOCK, a, mind.other)


@kernel
def appear_all(state: WorldState, roads: Roads, w: int) -> None:
    """Bring everybody of world w onto the road who is due and has room."""
    for a in range(state.worlds[w].actors):
        if state.bodies[w, a].status == WAITING:
            _appear(state, roads, w, a)


@kernel
def step_worlds(
    state: WorldState, roads: Roads, tracks: NDArray[np.float64], controls: NDArray[np.void], first: int, last: int
) -> None:
    """Advance the worlds first..last-1 by one tick."""
    for w in range(first, last):
        appear_all(state, roads, w)
        decide_all(state, roads, w, controls)
        state.worlds[w].tick += 1
        move_all(state, roads, tracks, w)
        line_up(state, w)
        find_contacts(state, roads, w)
        look_all(state, roads, w)
        check_all(state, roads, w)
        watch_deadlock(state, roads, w)
