"""The joint futures that a decision rests on, as places in the world: what to show of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.policies import Weighed
from avstack.behaviours.response import STEP_S
from avstack.behaviours.scene import Scene
from avstack.behaviours.zones import ROW
from sim.geometry import Floats
from sim.interface import FUTURE_STEP_S

EVERY = round(FUTURE_STEP_S / STEP_S)


def places_of(
    scene: Scene, weighed: Weighed, futures: list[tuple[int, Floats]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """Places (F, N, K, 2) of all actors, the ego first, from now on in futures (scenario, motion (T, N, 3) from one step on), and
    each one's share (F,)."""
    count, actors = len(futures), len(scene.actors)
    steps = len(futures[0][1][EVERY - 1 :: EVERY])
    out = np.empty((count, actors, 1 + steps, 2), np.float32)
    for f, (k, written) in enumerate(futures):
        world = weighed.scenarios.worlds[k]
        for i in range(actors):
            rows = scene.paths[int(world["path"][i])].rows
            s = np.concatenate((world["s"][i : i + 1], written[EVERY - 1 :: EVERY, i, 0]))
            at = np.minimum(np.maximum(s, 0.0) / ROW, len(rows) - 1.001)
            before = at.astype(np.int64)
            beyond = (at - before)[:, None]
            out[f, i] = rows[before, :2] * (1.0 - beyond) + rows[np.minimum(before + 1, len(rows) - 1), :2] * beyond
    return out, weighed.scenarios.share[[k for k, _ in futures]].astype(np.float32)
