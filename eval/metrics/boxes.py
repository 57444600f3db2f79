"""Recorded rows as boxes for `sim.kinematics.time_to_collision`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.interface import Floats
from sim.recording import RecordedActor


def boxes(rows: NDArray[np.void], actor: RecordedActor, *, moving: bool = False) -> Floats:
    """(N, 7) x, y, heading, velocity x and y (0 unless `moving`), length, width of an actor's rows (N,)."""
    heading = rows["heading"].astype(np.float64)
    speed = rows["speed"].astype(np.float64) * moving
    return boxes_at(rows["x"], rows["y"], heading, actor, (speed * np.cos(heading), speed * np.sin(heading)))


def boxes_at(
    x: Floats, y: Floats, heading: Floats, actor: RecordedActor, velocity: tuple[Floats, Floats] | None = None
) -> Floats:
    """The same of an actor at places (N,) of one's own, standing there unless a velocity is given."""
    still, size = np.zeros(len(x)), np.ones(len(x))
    vx, vy = velocity if velocity is not None else (still, still)
    return np.stack([x, y, heading, vx, vy, actor.length * size, actor.width * size], axis=-1)
