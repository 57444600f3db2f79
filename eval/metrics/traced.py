"""What ego's driver traced, tick by tick: numbers and arrays of a recording that belong to ego alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim.interface import Floats
from sim.recording import Recording


def ego_numbers(recording: Recording, name: str) -> tuple[NDArray[np.int64], Floats]:
    """Ticks (T,) at which ego's driver traced a number, and the numbers (T,); empty where it never did."""
    at, values = recording.traces.get(name, (np.zeros(0, np.int64), np.zeros(0)))
    mine = recording.rows["actor"][at] == recording.header.ego
    return recording.rows["tick"][at[mine]].astype(np.int64), np.asarray(values[mine], np.float64)


def ego_arrays(recording: Recording, name: str) -> Mapping[int, NDArray[np.generic]]:
    """What ego's driver traced as an array, by tick; empty where arrays were not recorded."""
    at, values = recording.arrays.get(name, (np.zeros(0, np.int64), ()))
    rows = recording.rows[at]
    mine = np.flatnonzero(rows["actor"] == recording.header.ego)
    return {int(rows["tick"][k]): values[k] for k in mine}
