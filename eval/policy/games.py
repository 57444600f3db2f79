"""Who meets whom: episodes of a family with the seats given out, for training and for judging.

The policy drives whoever a scenario leaves to be driven from outside. In training that is everybody, or ego and a few, among the
simulator's own drivers of some styles; it is judged among others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scenarios.envs import compile_episodes
from sim.envs.stock import choose_agents
from sim.rng import Purpose, generator
from sim.scenario import Model, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Who the others are. alone: share of episodes that the policy plays with copies of itself only; seats: share of the other
    vehicles that it drives in the rest; styles: weights of the drivers of all others."""

    alone: float
    seats: float
    styles: tuple[tuple[str, float], ...]


TRAINING = Population(
    alone=0.4, seats=0.25,
    styles=(
        ("normal", 0.3), ("calm", 0.15), ("brisk", 0.15), ("aggressive", 0.15), ("stop_runner", 0.1), ("queue_jumper", 0.1),
        ("oblivious", 0.05),
    ),
)  # fmt: skip
STRANGERS = Population(
    alone=0.0, seats=0.0,
    styles=(
        ("timid", 0.2), ("courteous", 0.2), ("no_signal", 0.15), ("normal*0.7", 0.15), ("aggressive*1.3", 0.15), ("asleep", 0.05),
        ("calm*1.3", 0.1),
    ),
)  # fmt: skip
"""Styles that nobody trains with: other habits, and numbers further out."""
COPIES = Population(alone=1.0, seats=1.0, styles=())


def seated(scenario: Scenario, population: Population) -> Scenario:
    """The scenario with the policy's seats left to be driven from outside, and everybody else's style drawn; by its seed."""
    random = generator(scenario.seed, Purpose.DRIVER, 1_000_003)
    vehicles = choose_agents(scenario, "all")
    alone = random.random() < population.alone
    names = [name for name, _ in population.styles]
    weights = np.array([weight for _, weight in population.styles])
    actors = list(scenario.actors)
    for a in vehicles:
        mine = bool(random.random() < population.seats)
        style = names[int(random.choice(len(names), p=weights / weights.sum()))] if names else ""
        if alone or mine or a == scenario.ego:
            actors[a] = replace(actors[a], model=Model.EXTERNAL, driver="")
        else:
            actors[a] = replace(actors[a], model=Model.NEGOTIATOR, style=style, driver="")
    return replace(scenario, actors=tuple(actors))


def games(family: str, seeds: Sequence[int], population: Population, settings: Sequence[str] = ()) -> list[Scenario]:
    """Episodes `seeds` (one after the other) of a family, seats given out."""
    made = compile_episodes(family, len(seeds), seeds[0], settings)
    return [seated(scenario, population) for scenario in made]
