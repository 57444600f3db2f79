"""What a viewer shows of a decision, as plain arrays for the trace: percepts, the coarse grid, joint futures, the trajectory.

World frame, SI units; the columns are declared in `sim.interface`, so that viewers and exports read them without this package.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.decision import Decision
from avstack.perception.bev import X0, Y0
from avstack.perception.maps import SIDE
from avstack.perception.percepts import VX, VY, Percepts, X, Y
from avstack.types import Trajectory
from sim.interface import PERCEPT_COLUMNS, TRAJECTORY_COLUMNS

TRAJECTORY_EVERY = 5
"""Samples of a trajectory to one that is recorded."""


def picture_of(
    percepts: Percepts, decision: Decision, trajectory: Trajectory, coarse: NDArray[np.uint8] | None
) -> Mapping[str, NDArray[np.generic]]:
    """The arrays by name. coarse: (2, ROWS, COLUMNS) of the sweep, see `perceive.PerceptionMemory`."""
    found: dict[str, NDArray[np.generic]] = {
        "percepts": percepts_array(percepts), "trajectory": trajectory_array(trajectory), "futures": decision.futures,
        "futures_share": decision.futures_share,
    }  # fmt: skip
    if coarse is not None:
        ego = percepts.ego
        found |= {"coarse": coarse, "coarse_place": np.array([ego.x, ego.y, ego.heading, X0, Y0, SIDE])}
    return found


def percepts_array(percepts: Percepts) -> NDArray[np.float32]:
    """(N, len(PERCEPT_COLUMNS))."""
    things = percepts.things
    covariance = things["covariance"]
    values = {
        "var_x": covariance[:, X, X], "cov_xy": covariance[:, X, Y], "var_y": covariance[:, Y, Y],
        "var_vx": covariance[:, VX, VX], "var_vy": covariance[:, VY, VY],
    }  # fmt: skip
    out = np.empty((len(things), len(PERCEPT_COLUMNS)), np.float32)
    for k, name in enumerate(PERCEPT_COLUMNS):
        out[:, k] = values[name] if name in values else things[name]
    return out


def trajectory_array(trajectory: Trajectory) -> NDArray[np.float32]:
    """(K, len(TRAJECTORY_COLUMNS))."""
    columns = [getattr(trajectory, name)[::TRAJECTORY_EVERY] for name in TRAJECTORY_COLUMNS]
    return np.stack(columns, axis=1).astype(np.float32)
