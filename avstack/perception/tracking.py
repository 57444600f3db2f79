"""From one frame to the next: which thing is which, where it is by now, and how sure that is.

The memory is a value that is passed in and out, never held: it can be kept, copied, pickled and branched from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avstack.perception.percepts import STANDING_SPEED, THING_DTYPE, Percepts, ego_estimate
from sim.interface import OBJECT_DTYPE, SensorFrame
from sim.jit import kernel

EXACT_VARIANCE = 1e-6
"""Of every quantity at the `state` level [SI²]: exact, yet a covariance that can be inverted."""
SMALLEST_BOX = 0.05
"""m; thinner boxes are taken to be this thick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackMemory:
    """What tracking remembers. things: (N,) THING_DTYPE of the last frame."""

    things: NDArray[np.void]


def start_tracking() -> TrackMemory:
    """Memory before the first frame."""
    return TrackMemory(things=np.zeros(0, THING_DTYPE))


def track(frame: SensorFrame, memory: TrackMemory) -> tuple[Percepts, TrackMemory]:
    """Percepts of this frame, and the memory for the next one.

    At the `state` level things are passed on as they are, with the frame's ids. Readings that are not finite are dropped.
    """
    objects = frame.objects if frame.objects is not None else np.zeros(0, OBJECT_DTYPE)
    things = np.zeros(len(objects), THING_DTYPE)
    things = things[: _pass_through(objects, memory.things, things)]
    things.setflags(write=False)
    percepts = Percepts(
        tick=frame.tick, ego=ego_estimate(frame), things=things, signals=frame.signals, observed_range=frame.range_m
    )
    return percepts, TrackMemory(things=things)


@kernel
def _finite(seen: np.record) -> bool:
    """Whether every number of a reading can be reckoned with."""
    total = seen.x + seen.y + seen.heading + seen.vx + seen.vy + seen.speed + seen.accel + seen.yaw_rate
    total += seen.length + seen.width
    return bool(np.isfinite(total))


@kernel
def _pass_through(objects: NDArray[np.void], before: NDArray[np.void], out: NDArray[np.void]) -> int:
    """Fill `out` (N,) of THING_DTYPE from exact objects (N,); returns how many. `before`: the things of the last frame."""
    count = 0
    for k in range(objects.shape[0]):
        seen = objects[k]
        if not _finite(seen):
            continue
        thing = out[count]
        count += 1
        thing.id = seen.id
        thing.kind = seen.kind if 0 <= seen.kind < 8 else 7
        thing.kind_probability[thing.kind] = 1.0
        thing.existence = 1.0
        thing.x = seen.x
        thing.y = seen.y
        thing.heading = seen.heading
        thing.vx = seen.vx
        thing.vy = seen.vy
        thing.speed = seen.speed
        thing.accel = seen.accel
        thing.yaw_rate = seen.yaw_rate
        thing.length = max(seen.length, SMALLEST_BOX)
        thing.width = max(seen.width, SMALLEST_BOX)
        for i in range(7):
            thing.covariance[i, i] = EXACT_VARIANCE
        thing.indicator[seen.indicator if 0 <= seen.indicator < 4 else 0] = 1.0
        thing.brake_light = 1.0 if seen.brake_light != 0 else 0.0
        thing.wave = 1.0 if seen.gesture == 1 else 0.0
        thing.drive_through = seen.drive_through
        thing.trust = 1.0
        slow = abs(seen.speed) < STANDING_SPEED
        thing.standing = 1 if slow else 0
        for i in range(before.shape[0]):
            if before[i].id == seen.id:
                thing.age = before[i].age + 1
                thing.standing = before[i].standing + 1 if slow else 0
                break
    return count
