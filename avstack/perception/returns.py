"""Raw returns about each proposal, of the newest sweep and of earlier ones: what a grid cell averages away.

Things of few returns differ by how high, how bright and how far apart those are (cf. PointNet, Qi et al., CVPR 2017, and its use
on proposals: LiDAR R-CNN, Li, Wang, Wang, CVPR 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import CELL, SHAPE, X0, Y0, list_by_cell
from avstack.perception.maps import RETURN, RETURNS
from sim.jit import kernel

BESIDE, LEAST, MOST = 0.8, 1.6, 7.0
"""m beyond half the diagonal of a proposal's box within which returns are looked at; never less and never more than so far."""


def joined(standing: NDArray[np.float32], earlier: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(R, RETURN) x, y, height, intensity and age of returns (M, 4) of the newest sweep and of earlier ones, newest first."""
    parts = [np.column_stack([one, np.full(len(one), age, np.float32)]) for age, one in enumerate((standing, *earlier))]
    return np.concatenate(parts).astype(np.float32, copy=False)


def returns_of(
    places: NDArray[np.float64], reach: NDArray[np.float64], middles: NDArray[np.float64], returns: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """((N, RETURNS, RETURN) returns near each place, from its middle; (N, 2) logs of how many are of now and of earlier).

    places, middles: (N, 2) [m]; reach: (N,) [m]; returns: see `joined`. Of many every so-manieth is taken, few are repeated, and
    where there is none all is zero.
    """
    out = np.zeros((len(places), RETURNS, RETURN), np.float32)
    counts = np.zeros((len(places), 2), np.float32)
    _gather(places, reach, middles, returns, np.full(SHAPE, -1, np.int32), np.empty(len(returns), np.int32), out, counts)
    return out, counts


def reach_of(lengths: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) how far from the middle of boxes of such sizes returns are looked at [m]."""
    return np.asarray(np.clip(0.5 * np.hypot(lengths, widths) + BESIDE, LEAST, MOST))


@kernel
def _cells_about(place: float, reach: float, first: float, most: int) -> tuple[int, int]:
    low = int(math.floor((place - reach - first) / CELL))
    return max(low, 0), min(int(math.floor((place + reach - first) / CELL)) + 1, most)


@kernel
def _gather(
    places: NDArray[np.float64], reach: NDArray[np.float64], middles: NDArray[np.float64], returns: NDArray[np.float32],
    first: NDArray[np.int32], following: NDArray[np.int32], out: NDArray[np.float32], counts: NDArray[np.float32],
) -> None:  # fmt: skip
    """Fill `out` and `counts`; first, following: to work in, as `list_by_cell` takes them."""
    list_by_cell(returns, first, following)
    for n in range(len(places)):
        x, y, square = places[n, 0], places[n, 1], reach[n] * reach[n]
        i0, i1 = _cells_about(x, reach[n], X0, SHAPE[0])
        j0, j1 = _cells_about(y, reach[n], Y0, SHAPE[1])
        now, before = 0, 0
        for turn in range(2):  # count, then take
            count, met, taken = now + before, 0, 0
            for i in range(i0, i1):
                for j in range(j0, j1):
                    k = first[i, j]
                    while k >= 0:
                        one = returns[k]
                        if (one[0] - x) ** 2 + (one[1] - y) ** 2 < square:
                            if turn == 0:
                                now, before = (now + 1, before) if one[4] == 0.0 else (now, before + 1)
                            elif taken < RETURNS and met == taken * max(count, RETURNS) // RETURNS:
                                out[n, taken, 0], out[n, taken, 1] = one[0] - middles[n, 0], one[1] - middles[n, 1]
                                for q in range(2, RETURN):
                                    out[n, taken, q] = one[q]
                                taken += 1
                            met += 1
                        k = following[k]
        counts[n, 0], counts[n, 1] = math.log1p(now), math.log1p(before)
        if now + before > 0:
            for m in range(now + before, RETURNS):
                for q in range(RETURN):
                    out[n, m, q] = out[n, m % (now + before), q]
