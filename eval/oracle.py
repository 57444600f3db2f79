"""The stack with perfect perception: what is there, where it is and what it is, however little a sensor gets of it.

What the learned models cost is told against it. It knows things and nothing of intentions, and drives by the same rules: what the
weather lets the sensor reach bounds its speed as it does that of the others.
"""

from __future__ import annotations

from dataclasses import replace

from avstack.stack import Stack, StackConfig, StackMemory
from eval.drivers import Onlooker
from sim.interface import DriverStep, SensorFrame
from sim.scenario import Scenario
from sim.sensors.state import sense
from sim.world import World


class Oracle(Stack, Onlooker):
    """The stack of `config` that is told every thing within the `state` level's reach, whatever level it is seated at."""

    def __init__(self, config: StackConfig | None = None) -> None:
        super().__init__(config)
        self._world: World | None = None
        self._ego = 0

    def tell(self, scenario: Scenario, world: World, ego: int) -> None:
        """Let it look at the world that it drives in."""
        self._world, self._ego = world, ego

    def step(self, frame: SensorFrame, memory: StackMemory) -> DriverStep[StackMemory]:
        """As the stack, of the truth; the reach is that of the frame."""
        if self._world is None:
            raise RuntimeError("the oracle is a reference: it drives in evaluations alone, where it can be told")
        world = self._world
        true = sense(world.state, world.roads, 0, self._ego, world.signals(0))
        return super().step(replace(true, range_m=min(true.range_m, frame.range_m)), memory)
