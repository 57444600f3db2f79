"""Drivers that are the stack with something broken on purpose, for evaluations: how much hangs on it?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avstack.stack import Stack, StackMemory
from sim.interface import DriverStep, SensorFrame

EVERY_TICKS = 20


class IdSwaps(Stack):
    """The two nearest things change their ids every two seconds. At the `state` level, where ids are what the stack is told."""

    def step(self, frame: SensorFrame, memory: StackMemory) -> DriverStep[StackMemory]:
        """As the stack, of a frame with swapped ids."""
        objects = frame.objects
        if objects is not None and len(objects) > 1 and frame.tick // EVERY_TICKS % 2:
            away = np.hypot(objects["x"] - frame.pose[0], objects["y"] - frame.pose[1])
            first, second = np.argsort(away, kind="stable")[:2]
            swapped = objects.copy()
            swapped["id"][[first, second]] = objects["id"][[second, first]]
            frame = replace(frame, objects=swapped)
        return super().step(frame, memory)
