"""The quadratic programmes behind a speed profile, solved by piqp: jerk in, position, speed and acceleration as states.

Sparsity and matrices are fixed, so a problem is set up once per thread and shape and only its bounds and linear costs are
updated: a solution depends on its problem alone, not on what was solved before. piqp is imported by the first solve.
Interior-point method: Schwan, Jiang, Kuhn, Jones, "PIQP: a proximal interior-point quadratic programming solver", CDC 2023.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.interface import Floats

if TYPE_CHECKING:
    from piqp import SparseSolver
    from scipy.sparse import csc_matrix

STEPS_S = np.repeat([0.1, 0.2, 0.3], 20)
"""(N,) lengths of the steps [s]: fine where the plan is acted on, coarse where it only has to look ahead."""
NODES_S = np.cumsum(STEPS_S)
"""(N,) times [s] of the states."""
N = len(STEPS_S)
STOP_STEPS = 60
UNBOUNDED = 1e30  # what piqp takes for no bound
_ROW_UNUSED = 1e3  # m, bound of a row that does not bind; piqp wants every row to have one
SLACK_COST, SLACK_CURVATURE = 60.0, 100.0

_solvers = threading.local()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedProblem:
    """Follow a free plan within bounds, from position 0. Arrays (N,) belong to the nodes at NODES_S; infinite where unbounded.

    v, a: the start; free_v, free_a, free_j: the plan to depart from as little as possible; upper, lower: of position [m], with
    slack at a high price; follow: upper bound of position + time_gap × speed at a moderate one, None without leader; cap: of
    speed; brake, accel (N,), jerk: limits. weights: of acceleration, of speed, of following.
    """

    v: float
    a: float
    free_v: Floats
    free_a: Floats
    free_j: Floats
    upper: Floats
    lower: Floats | None
    follow: Floats | None
    time_gap: float
    cap: Floats
    brake: Floats
    accel: Floats
    jerk: float
    weights: tuple[float, float, float]


def solve_speed(problem: SpeedProblem) -> tuple[Floats, float, float] | None:
    """(jerk (N,) over each step, metres by which `upper` is passed, by which `lower` is missed); None where none was found."""
    has_lower, has_follow = problem.lower is not None, problem.follow is not None
    width = 5 if has_follow else 4
    solver = _solver(("speed", has_lower, has_follow, problem.time_gap, problem.weights))
    total = width * N + (2 if has_lower else 1)
    wa, wv, wf = problem.weights
    cost = np.zeros(total)
    nodes = cost[: width * N].reshape(N, width)
    nodes[:, 0], nodes[:, 2], nodes[:, 3] = -problem.free_j, -wv * problem.free_v, -wa * problem.free_a
    low, high = np.full(total, -UNBOUNDED), np.full(total, UNBOUNDED)
    lows, highs = low[: width * N].reshape(N, width), high[: width * N].reshape(N, width)
    lows[:, 0], highs[:, 0] = -problem.jerk, problem.jerk
    lows[:, 2], highs[:, 2] = min(0.0, problem.v - 0.5 * min(problem.a, 0.0) ** 2 / problem.jerk), problem.cap
    lows[:, 3], highs[:, 3] = -problem.brake, problem.accel
    if has_follow:
        nodes[:, 4], lows[:, 4] = wf, 0.0
    nodes *= STEPS_S[:, None]
    low[width * N :], cost[width * N :] = 0.0, SLACK_COST
    rows_low, rows_high = _rows(problem)
    start = np.zeros(3 * N)
    h = float(STEPS_S[0])
    start[:3] = -(problem.v * h + 0.5 * problem.a * h * h), -(problem.v + problem.a * h), -problem.a
    solver.update(c=cost, b=start, h_l=rows_low, h_u=rows_high, x_l=low, x_u=high)
    if not _solved(solver):
        return None
    x = np.asarray(solver.result.x)
    return x[: width * N : width].copy(), float(x[width * N]), float(x[-1]) if has_lower else 0.0


def _rows(problem: SpeedProblem) -> tuple[Floats, Floats]:
    """Bounds of the inequality rows, node by node: upper, lower where there is one, follow where there is a leader."""
    high = [np.minimum(problem.upper, _ROW_UNUSED)]
    low = [np.full(N, -UNBOUNDED)]
    if problem.lower is not None:
        low.append(np.maximum(problem.lower, -_ROW_UNUSED))
        high.append(np.full(N, UNBOUNDED))
    if problem.follow is not None:
        low.append(np.full(N, -UNBOUNDED))
        high.append(np.minimum(problem.follow, _ROW_UNUSED))
    return np.stack(low, axis=1).ravel(), np.stack(high, axis=1).ravel()


def solve_stop(speed: float, accel: float, distance: float, limits: tuple[float, float], duration: float) -> Floats | None:
    """Jerk (STOP_STEPS,) over equal steps of the smoothest stop within `duration` [s] under limits (brake, jerk); None if none.

    As rolling backwards is excluded and resting costs nothing, a duration that is long enough gives the optimum of free duration.
    """
    brake, jerk = limits
    solver = _solver(("stop",))
    # in units of the distance and the duration, so that the matrices stay the same
    per_v, per_a, per_j = duration / distance, duration**2 / distance, duration**3 / distance
    low, high = np.full(4 * STOP_STEPS, -UNBOUNDED), np.full(4 * STOP_STEPS, UNBOUNDED)
    lows, highs = low.reshape(STOP_STEPS, 4), high.reshape(STOP_STEPS, 4)
    lows[:, 0], highs[:, 0] = -jerk * per_j, jerk * per_j
    lows[:, 2] = 0.0
    recovering = accel + jerk * duration / STOP_STEPS * np.arange(1, STOP_STEPS + 1)
    lows[:, 3] = np.minimum(-brake, recovering) * per_a
    start = np.zeros(3 * STOP_STEPS + 3)
    v, a, h = speed * per_v, accel * per_a, 1.0 / STOP_STEPS
    start[:3] = -(v * h + 0.5 * a * h * h), -(v + a * h), -a
    start[-3] = 1.0
    solver.update(b=start, x_l=low, x_u=high)
    if not _solved(solver):
        return None
    return np.asarray(solver.result.x)[::4] / per_j


def _solved(solver: SparseSolver) -> bool:
    from piqp import PIQP_SOLVED

    return bool(solver.solve() == PIQP_SOLVED)


def _solver(shape: tuple[object, ...]) -> SparseSolver:
    """This thread's solver for problems of one shape, set up with placeholders at its first use."""
    known: dict[tuple[object, ...], SparseSolver] | None = getattr(_solvers, "known", None)
    if known is None:
        known = _solvers.known = {}
    if shape not in known:
        known[shape] = _stop_solver() if shape == ("stop",) else _speed_solver(shape)
    return known[shape]


def _dynamics(steps: Floats, width: int, total: int, extra: int = 0) -> csc_matrix:
    """Rows -x[k+1] + F x[k] + g j[k] of exact integration under constant jerk; `extra` rows read the last state."""
    from scipy.sparse import csc_matrix

    rows, columns, values = [], [], []
    for k, h in enumerate(steps.tolist()):
        advance = ((1.0, h, 0.5 * h * h), (0.0, 1.0, h), (0.0, 0.0, 1.0))
        push = (h**3 / 6.0, 0.5 * h * h, h)
        for i in range(3):
            entries = [(width * k + 1 + i, -1.0), (width * k, push[i])]
            if k:
                entries += [(width * (k - 1) + 1 + m, advance[i][m]) for m in range(i, 3)]
            for column, value in entries:
                rows.append(3 * k + i)
                columns.append(column)
                values.append(value)
    count = len(steps)
    for i in range(extra):
        rows.append(3 * count + i)
        columns.append(width * (count - 1) + 1 + i)
        values.append(1.0)
    return csc_matrix((values, (rows, columns)), shape=(3 * count + extra, total))


def _new_solver() -> SparseSolver:
    from piqp import KKTSolver, SparseSolver

    solver = SparseSolver()
    settings = solver.settings
    settings.kkt_solver = KKTSolver.sparse_ldlt_cond
    settings.eps_abs, settings.eps_rel = 1e-5, 1e-6
    settings.eps_duality_gap_abs, settings.eps_duality_gap_rel = 1e-4, 1e-5
    settings.max_iter = 60
    # problems come scaled; a preconditioner is scaled back at every update, and its rounding would reach the next solution
    settings.preconditioner_iter = 0
    return solver


def _speed_solver(shape: tuple[object, ...]) -> SparseSolver:
    from scipy.sparse import csc_matrix, diags

    _, has_lower, has_follow, time_gap, weights = shape
    if not isinstance(weights, tuple) or not isinstance(time_gap, float):
        raise TypeError(f"not the shape of a speed problem: {shape!r}")
    width, slacks = (5 if has_follow else 4), (2 if has_lower else 1)
    total = width * N + slacks
    wa, wv, wf = weights
    diagonal = np.zeros(total)
    nodes = diagonal[: width * N].reshape(N, width)
    nodes[:, 0], nodes[:, 2], nodes[:, 3] = 1.0, wv, wa
    if has_follow:
        nodes[:, 4] = wf
    nodes *= STEPS_S[:, None]
    diagonal[width * N :] = SLACK_CURVATURE
    rows, columns, values = [], [], []
    per_node = 1 + bool(has_lower) + bool(has_follow)
    for k in range(N):
        s, v = width * k + 1, width * k + 2
        entries = [(0, s, 1.0), (0, width * N, -1.0)]
        if has_lower:
            entries += [(1, s, 1.0), (1, total - 1, 1.0)]
        if has_follow:
            entries += [(per_node - 1, s, 1.0), (per_node - 1, v, time_gap), (per_node - 1, width * k + 4, -1.0)]
        for row, column, value in entries:
            rows.append(per_node * k + row)
            columns.append(column)
            values.append(value)
    inequalities = csc_matrix((values, (rows, columns)), shape=(per_node * N, total))
    low, high = np.full(per_node * N, -_ROW_UNUSED), np.full(per_node * N, _ROW_UNUSED)
    limits = np.full(total, 10.0)
    solver = _new_solver()
    solver.setup(
        diags(diagonal).tocsc(), np.zeros(total), _dynamics(STEPS_S, width, total), np.zeros(3 * N), inequalities, low, high,
        -limits, limits,
    )  # fmt: skip
    return solver


def _stop_solver() -> SparseSolver:
    from scipy.sparse import diags

    total = 4 * STOP_STEPS
    diagonal = np.zeros(total)
    diagonal[::4] = 1e-3  # the integral of jerk squared is about 700 in these units
    limits = np.full(total, 10.0)
    solver = _new_solver()
    dynamics = _dynamics(np.full(STOP_STEPS, 1.0 / STOP_STEPS), 4, total, extra=3)
    solver.setup(
        diags(diagonal).tocsc(), np.zeros(total), dynamics, np.zeros(3 * STOP_STEPS + 3), None, None, None, -limits, limits
    )
    return solver
