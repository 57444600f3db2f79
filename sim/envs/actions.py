"""From what agents decide to what their vehicles are asked for."""

from __future__ import annotations

import math

import numpy as np

from sim.envs.agents import Agents
from sim.envs.config import ACCELERATION, BRAKING, CREEP_SPEED, JERK, MANOEUVRES, SHIFT, STEER_RATE
from sim.interface import Indicator
from sim.jit import kernel
from sim.roads.lane_map import Turn
from sim.roads.pack import Roads
from sim.state import Status, WorldState
from sim.traffic.lateral import steer_along
from sim.traffic.path import RIGHT_SHARE, RIGHT_TURN

CONTINUOUS, JERKS, MANOEUVRE, TARGET_SPEED = 0, 1, 2, 3
TICK = 0.1
TRACKING = 1.2  # 1/s, how fast a speed is closed in on
BRISK, FIRM = 2.0, 4.0  # m/s², at most, to do so
HOLD, CREEP, SLOW, GO, LEFT, RIGHT = range(6)
_CHOICES = len(MANOEUVRES)
_ACTIVE = int(Status.ACTIVE)
_SLACK = np.float32(1.0 + 1e-5)
FULL = 1.0
INDICATE_M, INDICATE_S = 30.0, 3.5  # before a turn, whichever is longer
_TURN_LEFT, _TURN_RIGHT, _TURN_BACK = int(Turn.LEFT), int(Turn.RIGHT), int(Turn.U_TURN)
_SHOWS_LEFT, _SHOWS_RIGHT = int(Indicator.LEFT), int(Indicator.RIGHT)


@kernel
def bad_in(agents: Agents, w: int, kind: int) -> int:
    """Flat place (world, agent, component) of the first action of world w out of range or not a number; -1 where all are good."""
    actions = agents.actions
    components = 2 if kind in (CONTINUOUS, JERKS) else 1
    for k in range(actions.shape[1]):
        for c in range(components):
            value = actions[w, k, c]
            if kind == MANOEUVRE:
                good = value >= 0.0 and value < _CHOICES
            else:
                good = abs(value) <= _SLACK
            if not good:
                return int((w * actions.shape[1] + k) * 2 + c)
    return -1


@kernel
def first_bad(agents: Agents, kind: int) -> int:
    """As `bad_in`, of all worlds."""
    for w in range(agents.actions.shape[0]):
        bad = bad_in(agents, w, kind)
        if bad >= 0:
            return bad
    return -1


@kernel
def _keep_speed(body: np.record, wanted: float) -> float:
    """Acceleration [m/s²] towards a speed."""
    return min(max(TRACKING * (wanted - float(body.speed)), -FIRM), BRISK)


@kernel
def allowed_speed(roads: Roads, body: np.record, mind: np.record) -> float:
    """Speed [m/s] that the limit and the bends allow where the agent will be when it has closed in on it."""
    route = roads.routes[mind.route]
    lane = roads.lanes[mind.lane]
    s = mind.s + body.speed / TRACKING
    if s > lane.length:
        following = roads.route_steps[route.table_start + mind.lane - route.lane_base].next
        if following >= 0:
            s -= lane.length
            lane = roads.lanes[following]
    index = min(max(int(s / lane.spacing + 0.5), 0), lane.point_count - 1)
    point = roads.points[lane.point_start + index]
    comfort = mind.lateral_accel * (RIGHT_SHARE if lane.turn == RIGHT_TURN else 1.0)
    return min(float(point.speed_limit), math.sqrt(comfort * point.curve_room))


@kernel
def _indicator(roads: Roads, mind: np.record, speed: float) -> int:
    """What to indicate for the turn that comes next on the route."""
    route = roads.routes[mind.route]
    base = route.table_start - route.lane_base
    current = int(mind.lane)
    ahead = -float(mind.s)
    while current >= 0 and ahead < max(INDICATE_M, INDICATE_S * speed):
        lane = roads.lanes[current]
        if lane.turn == _TURN_LEFT or lane.turn == _TURN_BACK:
            return _SHOWS_LEFT
        if lane.turn == _TURN_RIGHT:
            return _SHOWS_RIGHT
        ahead += float(lane.length)
        current = int(roads.route_steps[base + current].next)
    return 0


@kernel
def _along_route(state: WorldState, roads: Roads, w: int, a: int, wanted: float) -> None:
    """Steer along the route at a speed, and indicate."""
    body = state.bodies[w, a]
    body.command_accel = _keep_speed(body, wanted)
    body.indicator = _indicator(roads, state.minds[w, a], float(body.speed))
    steer_along(state, roads, w, a)


@kernel
def _manoeuvre(state: WorldState, roads: Roads, agents: Agents, w: int, k: int) -> float:
    """Speed [m/s] that one manoeuvre means, after moving the agent's line over where it says so."""
    agent = agents.agents[w, k]
    choice = int(agents.actions[w, k, 0])
    mind = state.minds[w, agent.slot]
    allowed = allowed_speed(roads, state.bodies[w, agent.slot], mind)
    if choice == LEFT:
        mind.goal_shift = SHIFT
    elif choice == RIGHT:
        mind.goal_shift = -SHIFT
    else:
        mind.goal_shift = 0.0
        agent.speed = 0.0 if choice == HOLD else CREEP_SPEED if choice == CREEP else 0.5 * allowed if choice == SLOW else 1e3
    return min(float(agent.speed), allowed)


@kernel
def _delay(agents: Agents, w: int, k: int, body: np.record) -> None:
    """Put the commands of this tick away until they are due, and take those that are."""
    pending = agents.pending
    place = agents.episodes[w].ticks % pending.shape[2]
    accel, steer = body.command_accel, body.command_steer
    body.command_accel, body.command_steer = pending[w, k, place, 0], pending[w, k, place, 1]
    pending[w, k, place, 0], pending[w, k, place, 1] = accel, steer


@kernel
def act(state: WorldState, roads: Roads, agents: Agents, w: int, kind: int) -> None:
    """Hand the actions of world w to the bodies that they drive."""
    for k in range(agents.agents.shape[1]):
        agent = agents.agents[w, k]
        if not agent.present:
            continue
        a = agent.slot
        body = state.bodies[w, a]
        if body.status != _ACTIVE:
            continue
        first = float(min(max(agents.actions[w, k, 0], -FULL), FULL))
        second = float(min(max(agents.actions[w, k, 1], -FULL), FULL))
        if kind == CONTINUOUS:
            body.command_accel = first * (ACCELERATION if first > 0.0 else BRAKING)
            body.command_steer = second * body.steer_max
        elif kind == JERKS:
            agent.accel = min(max(float(agent.accel) + first * JERK * TICK, -BRAKING), ACCELERATION)
            agent.steer = min(max(float(agent.steer) + second * STEER_RATE * TICK, -body.steer_max), body.steer_max)
            body.command_accel = agent.accel
            body.command_steer = agent.steer
        elif kind == MANOEUVRE:
            _along_route(state, roads, w, a, _manoeuvre(state, roads, agents, w, k))
        else:
            _along_route(state, roads, w, a, 0.5 * (first + 1.0) * allowed_speed(roads, body, state.minds[w, a]))
        if agents.pending.shape[2] > 0:
            _delay(agents, w, k, body)
