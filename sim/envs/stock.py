"""Episodes ready to be played: scenarios whose agents are handed over, packed once, each with its state at the start.

A reset copies one world's start into place; nothing is compiled or allocated while an environment runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.awareness import find_neighbours, look
from sim.envs.config import EnvConfig, EnvError
from sim.interface import Kind
from sim.jit import entry_point, kernel
from sim.kernels import appear_all
from sim.roads.pack import Roads
from sim.scenario import Actor, Model, Scenario
from sim.state import Status, WorldState
from sim.world import World

_ACTIVE = int(Status.ACTIVE)


@kernel
def _prepare(state: WorldState, roads: Roads, slots: NDArray[np.int32]) -> None:
    """Bring everybody who is due onto the road, and let agents (P, K) look around, as they will after every tick."""
    for w in range(slots.shape[0]):
        appear_all(state, roads, w)
        for k in range(slots.shape[1]):
            a = slots[w, k]
            if a < 0:
                continue
            mind = state.minds[w, a]
            route = roads.routes[mind.route]
            mind.to_goal = roads.route_steps[route.table_start + mind.lane - route.lane_base].to_goal - mind.s
            if state.bodies[w, a].status == _ACTIVE:
                find_neighbours(state, w, a)
                look(state, roads, w, a)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """P episodes. slots: (P, K) actor that each agent drives, -1 for none. limits: (P,) ticks that each may last.

    signals: (first, how many) of each one's map. lane_ranges: (first, last + 1) lane of each packed map.
    """

    scenarios: tuple[Scenario, ...]
    state: WorldState
    roads: Roads
    tracks: NDArray[np.float64]
    slots: NDArray[np.int32]
    limits: NDArray[np.int32]
    signals: tuple[tuple[int, int], ...]
    lane_ranges: tuple[tuple[int, int], ...]


def make_stock(scenarios: Sequence[Scenario], config: EnvConfig) -> Stock:
    """Pack episodes. EnvError where there are none, or one has fewer agents than are asked for."""
    if not scenarios:
        raise EnvError("an environment needs at least one scenario")
    chosen = [choose_agents(scenario, config.agents) for scenario in scenarios]
    count = max(len(slots) for slots in chosen)
    slots = np.full((len(scenarios), count), -1, np.int32)
    for row, own in zip(slots, chosen, strict=True):
        row[: len(own)] = own
    played = tuple(_hand_over(scenario, own) for scenario, own in zip(scenarios, chosen, strict=True))
    world = World(played, traced=False)
    entry_point(_prepare, world.state, world.roads, slots)(world.state, world.roads, slots)
    seconds = [scenario.duration_s if config.duration_s is None else config.duration_s for scenario in played]
    limits = np.array([max(round(10.0 * span), 1) for span in seconds], np.int32)
    known = {int(row["road_map"]): (int(row["lane_start"]), int(row["lane_end"])) for row in world.state.worlds}
    return Stock(
        scenarios=played, state=world.state, roads=world.roads, tracks=world.tracks, slots=slots, limits=limits,
        signals=tuple(world.signals(w) for w in range(len(played))), lane_ranges=tuple(known[n] for n in sorted(known)),
    )  # fmt: skip


def choose_agents(scenario: Scenario, agents: str | int) -> list[int]:
    """Actors that agents drive: ego first, then the other vehicles in order."""
    vehicles = [a for a, actor in enumerate(scenario.actors) if _can_be_driven(actor)]
    if scenario.ego in vehicles:
        vehicles.remove(scenario.ego)
        vehicles.insert(0, scenario.ego)
    where = f"scenario {scenario.name!r}, seed {scenario.seed}"
    if agents == "ego":
        if scenario.ego is None:
            raise EnvError(f"{where} has no ego; use agents='all' or a number")
        return [scenario.ego]
    if agents == "all":
        if not vehicles:
            raise EnvError(f"{where} has no vehicle to drive")
        return vehicles
    if agents == "external":
        chosen = [a for a in vehicles if scenario.actors[a].model == Model.EXTERNAL and not scenario.actors[a].driver]
        if not chosen:
            raise EnvError(f"{where} leaves no vehicle to be driven from outside")
        return chosen
    wanted = int(agents)
    if wanted > len(vehicles):
        raise EnvError(f"{where} holds {len(vehicles)} vehicles, fewer than the {wanted} agents asked for")
    return vehicles[:wanted]


def _can_be_driven(actor: Actor) -> bool:
    wheels = actor.kind not in (Kind.PEDESTRIAN, Kind.OBJECT)
    return wheels and actor.route is not None and actor.model in (Model.NEGOTIATOR, Model.EXTERNAL)


def _hand_over(scenario: Scenario, slots: Sequence[int]) -> Scenario:
    """The scenario with agents under external control, and everybody else who would be under the simulator's own."""
    actors = []
    for a, actor in enumerate(scenario.actors):
        model = actor.model
        if a in slots:
            model = Model.EXTERNAL
        elif model == Model.EXTERNAL:
            model = Model.PEDESTRIAN if actor.kind == Kind.PEDESTRIAN else Model.NEGOTIATOR
        actors.append(replace(actor, model=model, driver=""))
    return replace(scenario, actors=tuple(actors), latency_ticks=0)
