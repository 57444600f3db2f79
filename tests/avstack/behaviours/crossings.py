"""Two straight streets that cross at a right angle, an ego on one and one other on the other, rolled out once."""

from __future__ import annotations

import numpy as np

from avstack.behaviours.response import (
    ACTOR_DTYPE,
    COLUMNS,
    FEATURES,
    GO,
    NO_LINE,
    POLICY_DTYPE,
    Board,
    record_rollout,
)
from avstack.behaviours.zones import PAIR_DTYPE, ROW, fill_table, find_zone
from avstack.safety.assumptions import Assumptions

SIZE = (4.6, 1.9)
HORIZON_S = 9.0


def street(angle: float) -> np.ndarray:
    """A straight path of 100 m through the origin, 50 m on."""
    along = ROW * np.arange(201) - 50.0
    rows = np.zeros((201, 6))
    rows[:, 0], rows[:, 1] = along * np.cos(angle), along * np.sin(angle)
    rows[:, 2], rows[:, 3], rows[:, 4] = np.cos(angle), np.sin(angle), 12.0
    return rows


def going(
    ego: tuple[float, float], other: tuple[float, float], rule: int, assumptions: Assumptions | None = None,
    order: float = 0.0, **fields: float,
) -> np.ndarray:  # fmt: skip
    """(FEATURES,) of an ego at (s, speed) that goes over the crossing, before another at (s, speed).

    rule: the ego's right of way; order: precedence by arrival; fields: of the other's ACTOR_DTYPE.
    """
    ways = [street(0.0), street(np.pi / 2)]
    tables = np.empty((2, 201, 2))
    pairs = np.zeros((2, 2), PAIR_DTYPE)
    pairs["start"] = -1
    for i, j in ((0, 1), (1, 0)):
        fill_table(ways[i], *SIZE, ways[j], *SIZE, tables[i])
    for i, j in ((0, 1), (1, 0)):
        find_zone(tables[i], tables[j], ways[i], ways[j], pairs[i : i + 1, j])
        pairs[i, j]["start"], pairs[i, j]["rows"], pairs[i, j]["rule"] = 201 * i, 201, rule if i == 0 else -rule
    actors = np.zeros(2, ACTOR_DTYPE)
    actors["path"], actors["moves"], actors["eager"], actors["accel"], actors["brake"] = [0, 1], 1, 1.0, 1.4, 2.0
    actors["line"] = actors["wait"] = NO_LINE
    actors["attends"] = 1
    actors["s"], actors["v"] = zip(ego, other, strict=True)
    for name, value in fields.items():
        actors[name][1] = value
    orders = np.array([[0.0, order], [-order, 0.0]])
    numbers = (assumptions or Assumptions()).numbers()
    board = Board(pairs, tables.reshape(-1, 2), np.full((2, 201), 12.0), orders, numbers)
    policies = np.zeros(2, POLICY_DTYPE)
    policies["kind"], policies["accel"], policies["cap"], policies["gap_s"] = GO, 1.4, 100.0, 1.3
    out, written = np.empty(FEATURES), np.zeros((37, 2, 3))
    record_rollout(
        actors, board, policies, np.array([1.0, HORIZON_S]), np.empty((2, 2, COLUMNS)), written.copy(), False, out, written
    )  # fmt: skip
    return out
