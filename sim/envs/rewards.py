"""What a step was worth to each agent, and whether it was its last: a weighted sum of `sim.envs.config.TERMS`."""

from __future__ import annotations

import numpy as np

from sim.envs.agents import Agents
from sim.envs.config import HARD, TERMS
from sim.jit import kernel
from sim.roads.pack import Roads
from sim.scenario import Model
from sim.state import HISTORY, EventKind, Status, WorldState

(
    PROGRESS, GOAL, COLLISION, AT_FAULT, OFFROAD, RED_LIGHT, STOP_IGNORED, IMPOSED, SPEEDING, JERK, LATERAL, OFF_CENTRE, TIME,
) = range(len(TERMS))  # fmt: skip
TICK = np.float32(0.1)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
MOVES = 1.0  # m/s
_WAITING, _ACTIVE, _FINISHED = int(Status.WAITING), int(Status.ACTIVE), int(Status.FINISHED)
_NEGOTIATOR = int(Model.NEGOTIATOR)
_HARD = np.float32(HARD)
_CONTACT, _RED, _IGNORED = int(EventKind.COLLISION), int(EventKind.RED_LIGHT), int(EventKind.STOP_IGNORED)


@kernel
def _read_events(state: WorldState, agents: Agents, w: int) -> None:
    """Enter faults and broken rules of this tick, then drop all but contacts from the log, so that it never fills up."""
    world = state.worlds[w]
    kept = 0
    for row in range(min(world.event_count, state.events.shape[1])):
        event = state.events[w, row]
        if event.tick == world.tick:
            for k in range(agents.agents.shape[1]):
                slot = agents.agents[w, k].slot
                if slot == event.a and event.kind == _RED:
                    agents.terms[w, k, RED_LIGHT] = _ONE
                elif slot == event.a and event.kind == _IGNORED:
                    agents.terms[w, k, STOP_IGNORED] = _ONE
                elif event.kind == _CONTACT and ((slot == event.a and event.fault_a) or (slot == event.b and event.fault_b)):
                    agents.terms[w, k, AT_FAULT] = _ONE
        if event.kind == _CONTACT:
            into = state.events[w, kept]
            into.tick, into.kind, into.a, into.b = event.tick, event.kind, event.a, event.b
            kept += 1
    world.event_count = kept


@kernel
def _read_braking(state: WorldState, roads: Roads, agents: Agents, w: int) -> None:
    """Enter how hard drivers of the simulator brake for agents that move through a junction."""
    for b in range(state.worlds[w].actors):
        body = state.bodies[w, b]
        if body.accel > -_HARD or body.status != _ACTIVE or body.model != _NEGOTIATOR or state.minds[w, b].other < 0:
            continue
        for k in range(agents.agents.shape[1]):
            agent = agents.agents[w, k]
            if agent.slot != state.minds[w, b].other or not agent.present:
                continue
            lane = roads.lanes[state.minds[w, agent.slot].lane]
            if lane.cluster >= 0 and lane.stop_s < _ZERO and state.bodies[w, agent.slot].speed > MOVES:
                agents.terms[w, k, IMPOSED] += (-body.accel - _HARD) * TICK


@kernel
def _measure(state: WorldState, roads: Roads, agents: Agents, w: int, k: int) -> None:
    """Terms of one agent on the road that are told from its body and place."""
    agent = agents.agents[w, k]
    terms = agents.terms
    body = state.bodies[w, agent.slot]
    mind = state.minds[w, agent.slot]
    terms[w, k, PROGRESS] += agent.to_goal - mind.to_goal
    agent.to_goal = mind.to_goal
    terms[w, k, GOAL] = _ONE if body.status == _FINISHED else _ZERO
    terms[w, k, COLLISION] = _ONE if body.crashed else _ZERO
    terms[w, k, OFFROAD] = _ONE if body.offroad else _ZERO
    lane = roads.lanes[mind.lane]
    index = min(max(int(mind.s / lane.spacing + 0.5), 0), lane.point_count - 1)
    over = body.speed - roads.points[lane.point_start + index].speed_limit
    terms[w, k, SPEEDING] += max(over, _ZERO) * TICK
    terms[w, k, JERK] += body.jerk * body.jerk * TICK
    sideways = body.speed * body.yaw_rate
    terms[w, k, LATERAL] += sideways * sideways * TICK
    terms[w, k, OFF_CENTRE] += abs(mind.d) * TICK
    terms[w, k, TIME] += TICK


@kernel
def clear(agents: Agents, w: int) -> None:
    """Forget what the last step was worth."""
    for k in range(agents.agents.shape[1]):
        for t in range(agents.terms.shape[2]):
            agents.terms[w, k, t] = _ZERO
        agents.rewards[w, k] = _ZERO
        agents.terminated[w, k] = 0
        agents.truncated[w, k] = 0


@kernel
def judge(state: WorldState, roads: Roads, agents: Agents, w: int) -> None:
    """Add this tick in world w to the step's terms, and note endings."""
    episode = agents.episodes[w]
    terms = agents.terms
    count = agents.agents.shape[1]
    if state.worlds[w].event_count > 0:
        _read_events(state, agents, w)
    _read_braking(state, roads, agents, w)
    episode.ticks += 1
    out_of_time = episode.ticks >= episode.limit
    left = 0
    for k in range(count):
        agent = agents.agents[w, k]
        if not agent.present:
            continue
        if state.bodies[w, agent.slot].status != _WAITING:
            _measure(state, roads, agents, w, k)
            agent.ticks += 1
            ends = terms[w, k, GOAL] + terms[w, k, COLLISION] + terms[w, k, OFFROAD]
            if ends > _ZERO:
                agents.terminated[w, k] = 1
                continue
        left += 1
        agents.truncated[w, k] = 1 if out_of_time else 0
    episode.over = 1 if left == 0 or out_of_time else 0


@kernel
def reward(agents: Agents, w: int) -> None:
    """The weighted sum of the step's terms, for every agent of world w."""
    terms, weights = agents.terms, agents.weights
    for k in range(agents.agents.shape[1]):
        total = _ZERO
        for t in range(terms.shape[2]):
            total += weights[w, k, t] * terms[w, k, t]
        agents.rewards[w, k] = total
        agents.agents[w, k].gain += total


@kernel
def retire(state: WorldState, agents: Agents, w: int) -> None:
    """Take agents off the road whose episode has ended; nobody goes on answering to what they showed a moment ago."""
    for k in range(agents.agents.shape[1]):
        agent = agents.agents[w, k]
        if agent.present and agents.terminated[w, k]:
            agent.present = 0
            state.bodies[w, agent.slot].status = _FINISHED
            for row in range(HISTORY):
                state.history[w, row, agent.slot].status = _FINISHED
