"""The privileged planner: the same stack, told the others' private types. What regret is measured against.

The stack stays blind: it takes a `Privilege` with its memory, makes none itself, and nothing but this module does. Told of each
road user: the lanes it is going to take, whether it attends to ego, and how bold drivers of its style or name are (`BOLDNESS`).
What it does with that is the planner's own business: the belief still learns from what it sees, and everything else is the same.

Unlike other drivers this one looks at the world that it is seated in; it keeps nothing else between ticks.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from avstack.behaviours.belief import LATE, NO, PRIOR, YES, Belief, Track
from avstack.behaviours.scene import Agent, Scene
from avstack.stack import Stack, StackConfig, StackMemory
from eval.drivers import Onlooker
from sim.interface import DriverStep, Floats, SensorFrame
from sim.scenario import Actor, Scenario
from sim.state import Status
from sim.world import World

REACH_M = 3.0
"""m between where ego sees somebody and where it is, at most."""
NEVER_ATTEND = ("oblivious",)
ATTEND_LATE = ("distracted",)
BOLDNESS: Mapping[str, tuple[float, float, float, float, float]] = {
    "normal": (0.06, 0.18, 0.32, 0.32, 0.12),
    "aggressive": (0.05, 0.17, 0.38, 0.28, 0.12),
    "brisk": (0.06, 0.14, 0.29, 0.24, 0.27),
    "calm": (0.05, 0.18, 0.41, 0.19, 0.17),
    "courteous": (0.04, 0.11, 0.28, 0.32, 0.25),
    "timid": (0.04, 0.12, 0.33, 0.29, 0.22),
    "first_come": (0.06, 0.18, 0.33, 0.32, 0.11),
    "tailgater": (0.08, 0.22, 0.40, 0.22, 0.08),
    "timid_waver": (0.02, 0.07, 0.12, 0.35, 0.44),
}
"""Style or driver -> weights of the belief's five levels from bold to timid: what the belief itself comes to hold of such drivers
in the last second before they enter (mean over `joint` on seeds 20 to 44 of chicken_tuning, `objects` level). Others, among them
those kept for reports, have the belief's own prior."""
SURE = 1.0 - 1e-6  # of a way, and of attention: what ego sees cannot talk it out of that


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is told at one tick. places (A, 2) [m]; lanes, attends (0 no, 1 yes, 2 late) and boldness (5,) of each."""

    places: Floats
    lanes: tuple[tuple[int, ...], ...]
    attends: tuple[int, ...]
    boldness: tuple[Floats, ...]

    def inform(self, belief: Belief, scene: Scene) -> Belief:
        """The belief with ways, attention and boldness as they are; agents that are nobody known keep what was believed."""
        tracks = dict(belief.tracks)
        for agent in scene.agents:
            away = np.hypot(self.places[:, 0] - float(agent.thing["x"]), self.places[:, 1] - float(agent.thing["y"]))
            if len(away) and float(away.min()) < REACH_M and agent.id in tracks and not agent.walks:
                tracks[agent.id] = self._told(tracks[agent.id], agent, int(np.argmin(away)))
        return Belief(tracks)

    def _told(self, track: Track, agent: Agent, who: int) -> Track:
        weights = track.weights * (self.boldness[who] / PRIOR)[None, :, None]
        attention = np.full(3, 1.0 - SURE)
        attention[self.attends[who]] = SURE
        ways = np.full(len(weights), 1.0 - SURE)
        ways[[k for k, route in enumerate(agent.routes) if self._takes(who, agent, k)]] = SURE
        ways[len(agent.routes) :] = 0.0
        weights = weights * attention[None, None, :] * ways[:, None, None]
        total = float(weights.sum())
        return replace(track, weights=weights / total) if total > 0.0 else track

    def _takes(self, who: int, agent: Agent, k: int) -> bool:
        """Whether way k is the one: its lanes are the route's, as far as that goes."""
        own, chain = self.lanes[who], agent.routes[k].path.lanes
        same = list(itertools.takewhile(lambda lane: lane in own, chain))
        return bool(same) and (len(same) == len(chain) or same[-1] == own[-1])


class Told(Stack, Onlooker):
    """The stack of `config`, told the truth."""

    def __init__(self, config: StackConfig | None = None) -> None:
        super().__init__(config)
        self._scenario: Scenario | None = None
        self._world: World | None = None
        self._others: list[int] = []

    def tell(self, scenario: Scenario, world: World, ego: int) -> None:
        """Let it look at the world that it drives in."""
        self._scenario, self._world = scenario, world
        self._others = [k for k, actor in enumerate(scenario.actors) if k != ego and actor.route is not None]

    def step(self, frame: SensorFrame, memory: StackMemory) -> DriverStep[StackMemory]:
        """As the stack, with the truth in its memory for this tick."""
        return super().step(frame, replace(memory, behaviours=replace(memory.behaviours, privilege=self._truth())))

    def _truth(self) -> Truth:
        """Everybody who is on the road now."""
        if self._scenario is None or self._world is None:
            raise RuntimeError("the privileged planner is a reference: it drives in evaluations alone, where it can be told")
        bodies = self._world.state.bodies[0]
        here = [k for k in self._others if bodies["status"][k] == Status.ACTIVE]
        actors = [self._scenario.actors[k] for k in here]
        return Truth(
            places=np.stack([bodies["x"][here], bodies["y"][here]], axis=1).astype(np.float64),
            lanes=tuple(tuple(actor.route.lanes) if actor.route is not None else () for actor in actors),
            attends=tuple(_attends(actor) for actor in actors),
            boldness=tuple(boldness_of(actor) for actor in actors),
        )


def boldness_of(actor: Actor) -> Floats:
    """(5,) weights of the belief's levels for one road user."""
    return np.array(BOLDNESS.get(actor.driver or actor.style, tuple(PRIOR)), np.float64)


def _attends(actor: Actor) -> int:
    kind = actor.driver or actor.style
    return NO if kind in NEVER_ATTEND else LATE if kind in ATTEND_LATE else YES
