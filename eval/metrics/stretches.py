"""Stretches of ticks for which something holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stretches(on: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, one past the last) index of each stretch of True in (T,)."""
    edges = np.diff(np.concatenate([[False], on, [False]]).astype(np.int8))
    return list(zip(np.flatnonzero(edges > 0).tolist(), np.flatnonzero(edges < 0).tolist(), strict=True))
