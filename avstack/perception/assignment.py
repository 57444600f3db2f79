"""Linear sum assignment as a kernel: shortest augmenting paths with potentials.

Jonker, Volgenant: A shortest augmenting path algorithm for dense and sparse linear assignment problems, Computing 38, 1987.
It gives what `scipy.optimize.linear_sum_assignment` gives, without 0.2 s of imports at every start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.jit import kernel

ASSIGN_DTYPE = np.dtype([("v", "f8"), ("least", "f8"), ("row", "i8"), ("way", "i8"), ("used", "i8")], align=True)
"""Working memory of one column."""


@kernel
def assign(
    cost: NDArray[np.float64], rows: int, columns: int, u: NDArray[np.float64], work: NDArray[np.void], out: NDArray[np.int64]
) -> None:
    """Write into `out` (rows,) the column of each row so that the sum of `cost` (rows, columns >= rows) is least.

    u: (rows + 1,), work: (columns + 1,) of ASSIGN_DTYPE: working memory. Costs must be finite.
    """
    for j in range(columns + 1):
        work[j].v, work[j].row = 0.0, 0
    for i in range(rows + 1):
        u[i] = 0.0
    for i in range(1, rows + 1):
        work[0].row = i
        at = 0
        for j in range(columns + 1):
            work[j].least, work[j].used = np.inf, 0
        while work[at].row != 0:
            work[at].used = 1
            row, step, following = work[at].row, np.inf, 0
            for j in range(1, columns + 1):
                column = work[j]
                if column.used:
                    continue
                reduced = cost[row - 1, j - 1] - u[row] - column.v
                if reduced < column.least:
                    column.least, column.way = reduced, at
                if column.least < step:
                    step, following = column.least, j
            for j in range(columns + 1):
                column = work[j]
                if column.used:
                    u[column.row] += step
                    column.v -= step
                else:
                    column.least -= step
            at = following
        while at != 0:
            before = work[at].way
            work[at].row = work[before].row
            at = before
    for j in range(1, columns + 1):
        if work[j].row > 0:
            out[work[j].row - 1] = j - 1
