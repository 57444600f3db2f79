"""How others are expected to drive, given what the ego does: one policy for everybody, and rollouts of it.

An actor moves along its path with position s [m] of its box centre, speed and acceleration. It keeps to the speed limit, follows
what is ahead of it on its path, stops at lines, and settles each zone it shares with another by comparing arrivals: actor i goes
before j while

    (t_j - t_i) + RULE × order_ij > threshold_i - patience_i

where t is the time to the zone (long for one that stands, slows down, or waits), order_ij in [-1, 1] says who is first by the
rules, and the threshold is the actor's own, hidden one. Whoever is in the zone, or can no longer stop before it, goes. Whether
somebody goes is thus an outcome of what everybody does, the ego included, and not a property of that somebody.

Following is the intelligent driver model (Treiber, Hennecke, Helbing 2000). The ego runs the same code with its precedence
given by a policy record. Everything is scalar and makes no arrays.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.zones import COMMITTED_M, PAIR_DTYPE, ROW
from avstack.safety.predicate import PERSON, VEHICLE, braking_distance, may_pass
from sim.geometry import Floats
from sim.jit import kernel
from sim.tables import share

ACTOR_DTYPE = np.dtype(
    [
        ("path", "i4"), ("attends", "i4"), ("moves", "i4"), ("line_kind", "i4"), ("walks", "i4"), ("s", "f8"), ("v", "f8"),
        ("a", "f8"), ("threshold", "f8"), ("line", "f8"), ("wait", "f8"), ("eager", "f8"), ("accel", "f8"), ("brake", "f8"),
        ("standing", "f8"),
    ],
    align=True,
)  # fmt: skip
"""One actor of a rollout. attends to the ego: 0 no, 1 yes, 2 a second late. line: centre position at which its front rests at a
line (1e9: none); line_kind: SIGN until it has stopped there, RED for good. wait: where it waits while giving way, 1e9 for the
zone's edge. eager: share of the speed limit it wants. standing: seconds it has stood."""


class Board(NamedTuple):
    """What stays the same over a rollout. pairs (P, P) PAIR_DTYPE of paths, rows: their tables, limits (P, R) [m/s] along each
    path, order (N, N): board.order[i, j] in [-1, 1], 1 where the rules let actor i go before j; numbers: what the safety envelope
    assumes (`Assumptions.numbers`)."""

    pairs: NDArray[np.void]
    rows: Floats
    limits: Floats
    order: Floats
    numbers: Floats


_FLOAT = np.dtype(np.float64)
share(
    Board,
    {"pairs": (PAIR_DTYPE, 2), "rows": (_FLOAT, 2), "limits": (_FLOAT, 2), "order": (_FLOAT, 2), "numbers": (_FLOAT, 1)},
)

POLICY_DTYPE = np.dtype(
    [("yields", "i8"), ("kind", "i4"), ("accel", "f8"), ("cap", "f8"), ("gap_s", "f8")], align=True
)  # fmt: skip
"""What the ego does: bit j of `yields` set: it lets actor j go first. accel: with which it speeds up; cap: most speed [m/s]."""

GO, CREEP, HOLD, BACK, NOMINAL = range(5)
"""Kinds of policy. NOMINAL: as anybody would, for predictions that must not depend on what the ego is about to do."""

SIGN, RED = 1, 2
NO_LINE = 1e9
STEP_S = 0.25
RULE = 3.5  # s of arrival that being first by the rules is worth
PATIENT_S = 3.0  # s of standing before patience falls
IMPATIENCE = 0.35  # s of threshold per second of standing beyond that
STAY = 1.0  # s of advantage lost before somebody who goes changes his mind
STARTING_S = 0.7  # s to get going
NEVER = 60.0  # s
HARD = 5.0  # m/s², braking that is still asked of somebody
MARGIN = 0.6  # m before a zone at which one waits
LATE_S = 1.0
CLOSE_S = 1.5  # s between one leaving and another arriving that feels close
MERGE_BRAKE, MERGE_GAP_S = 3.0, 0.9  # m/s², s: braking, and time gap left, of whom one merges before, that are as close as can be
MERGED_M = 10.0  # m into a shared lane after which one has merged
CLAIM_S = 6.0  # s to the zone within which somebody has a claim to a slot
CLAIM_M = 4.0  # m before its line from where somebody has a claim to one in any case
STANDS = 0.5  # m/s, below which somebody stands who could set off
ENTERED_M = 1.2  # m past the place where one waits at a line from which one is taken to be on one's way

S, V, A, STOOD, STOPPED, WENT, NEXT, CLEAR, PASSED = range(9)
"""Columns of the rollout state (N, 9). WENT: bits of the actors before which this one has decided to go; NEXT: acceleration for
the coming step; CLEAR: 0 while boxes overlap that did so from the start, 1 free, FIRST or CHOOSES once the ego has entered their
zone before it; PASSED: 1 once nothing would stop the ego before its zone with that actor any more."""
COLUMNS = 9
FIRST, CHOOSES = 2.0, 3.0
"""Values of CLEAR. CHOOSES: it could see the ego enter and wait, and how closely it follows is its own choice."""

DELAY, OTHERS_DELAY, SEVERITY, CLOSE, BRAKING, ORDER, BLOCKING, COMFORT, OVERRULED, PARTNER, ENTERED = range(11)
FEATURES = 11
"""Columns of what a rollout is judged by: seconds of own and of others' delay, collision severity, closeness, others' braking,
slots taken out of order, seconds standing in a zone, squared acceleration, times that the safety envelope would step in; the
actor hit (-1 none), when the first zone was entered."""

LAST_BRAKE, LAST_JERK, LAST_DELAY_S = 7.6, 10.2, 0.2  # m/s², m/s³, s: the hardest stop of the safety envelope
FAR_M, FAR_S = 30.0, 4.0  # m and s of speed before a zone from where one does not look at it yet
CLEAR_M = 10.0  # m into a zone in which one merges from which one is ahead of the other


@kernel
def _limit_at(board: Board, path: int, s: float) -> float:
    k = min(max(int(s / ROW), 0), board.limits.shape[1] - 1)
    return float(board.limits[path, k])


@kernel
def _blocked_at(board: Board, path: int, other: int, s: float) -> tuple[float, float]:
    """Stretch of path `other` that a box at `s` on `path` blocks; low > high for none."""
    pair, rows = board.pairs[path, other], board.rows
    k = int(s / ROW)
    if s < 0.0 or k + 1 >= pair["rows"]:
        k = min(max(k, 0), pair["rows"] - 1)
        return rows[pair["start"] + k, 0], rows[pair["start"] + k, 1]
    i = pair["start"] + k
    low, high = rows[i, 0], rows[i, 1]
    low1, high1 = rows[i + 1, 0], rows[i + 1, 1]
    if low > high:
        return low1, high1
    if low1 > high1:
        return low, high
    f = s / ROW - k
    return low + f * (low1 - low), high + f * (high1 - high)


@kernel
def reach_time(distance: float, v: float, a: float, accel: float, top: float) -> float:
    """Seconds until a place `distance` ahead is reached; NEVER for one who is braking to a stop before it."""
    if distance <= 0.0:
        return 0.0
    if v > 0.3 and a < -0.3 and v * v < -2.0 * a * distance:
        return NEVER
    reach = math.sqrt(v * v + 2.0 * accel * distance)
    late = STARTING_S if v < 0.3 else 0.0
    if reach <= top or top <= v:
        return late + (2.0 * distance / max(reach + v, 0.1) if top > v else distance / max(v, 0.1))
    return late + (top - v) / accel + (distance - (top * top - v * v) / (2.0 * accel)) / top


@kernel
def _order(board: Board, i: int, j: int, pair: np.record) -> float:
    """Who is first by the rules: 1 for i, -1 for j; by arrival where the map says so, and by lean where they arrive together."""
    if pair["rule"] == 1 or pair["rule"] == -1:
        return float(pair["rule"])
    order = board.order[i, j]
    return float(min(max(order + pair["lean"] * max(0.0, 1.0 - 2.0 * abs(order)), -1.0), 1.0))


@kernel
def _order_now(board: Board, i: int, j: int, pair: np.record, actors: NDArray[np.void], x: Floats) -> float:
    """As `_order`, but whoever has meanwhile crossed its line comes before whoever has not."""
    mine, theirs = actors[i]["wait"], actors[j]["wait"]
    if pair["rule"] == 0 and mine < NO_LINE and theirs < NO_LINE:
        inside, there = x[i, S] > mine + ENTERED_M, x[j, S] > theirs + ENTERED_M
        if inside != there:
            return 1.0 if inside else -1.0
    return _order(board, i, j, pair)


@kernel
def _follow(v: float, lead: float, gap: float, accel: float, brake: float, time_gap: float, stand: float) -> float:
    """Interaction part of the intelligent driver model."""
    wish = stand + max(0.0, v * time_gap + 0.5 * v * (v - lead) / math.sqrt(accel * brake))
    ratio = wish / max(gap, 0.1)
    return float(-accel * ratio * ratio)


@kernel
def _merge_behind(way: float, v: float, their_way: float, vj: float, accel: float, brake: float, time_gap: float) -> float:
    """Interaction part of one `way` before a lane that it comes into behind another who is `their_way` before it: that one is
    followed as if it drove ahead already. Who is further on drops back, at the latest to stand where the lanes meet."""
    gap = way - max(their_way, 0.0)
    if gap > 0.5:
        return _follow(v, vj, gap, accel, brake, time_gap, 0.6)
    return -max(brake, min(v * v / (2.0 * max(way - MARGIN, 0.1)), HARD))


@kernel
def _advantage(pair: np.record, mine: Floats, theirs: Floats, me: np.record, other: np.record, order: float, top: float) -> float:
    """How many seconds i is ahead of j at their zone, the rules counted in; without i's own threshold."""
    ti = reach_time(pair["enter"] - mine[S], mine[V], 0.0, me["accel"], top)
    tj = reach_time(pair["other_enter"] - theirs[S], theirs[V], theirs[A], other["accel"], max(theirs[V], 8.0))
    return min(tj, 12.0) - ti + RULE * order


@kernel
def _gives_way(
    i: int, j: int, actors: NDArray[np.void], x: Floats, pair: np.record, order: float, top: float, policy: np.record
) -> bool:
    """Whether i, before its zone with j, lets j go first now; notes in the state whom it has decided to go before."""
    mine, theirs, me, other = x[i], x[j], actors[i], actors[j]
    gap = pair["enter"] - mine[S]
    if theirs[S] >= pair["other_enter"] + COMMITTED_M:
        return True
    their_gap = pair["other_enter"] - theirs[S]
    committed = theirs[V] > 0.5 and theirs[V] * theirs[V] > 2.0 * HARD * their_gap
    if i == 0 and policy["kind"] != NOMINAL:
        asked = (policy["yields"] >> j) & 1 == 1
        if not asked and committed and other["moves"] == 1:
            through = min(pair["leave"], pair["enter"] + MERGED_M) if pair["along"] > 0.7 else pair["leave"]
            ti = reach_time(through - mine[S], mine[V], 0.0, me["accel"], top)
            asked = their_gap / max(theirs[V], 0.1) < ti and mine[V] * mine[V] < 2.0 * HARD * gap
        return bool(asked)
    if mine[V] > 0.5 and mine[V] * mine[V] > 2.0 * me["brake"] * 1.6 * gap:
        return False
    if committed:
        return True
    advantage = _advantage(pair, mine, theirs, me, other, order, top)
    threshold = me["threshold"] - IMPATIENCE * min(max(mine[STOOD] - PATIENT_S, 0.0), 20.0)
    bit = 1 << j
    went = int(mine[WENT])
    if went & bit:
        threshold -= STAY
    goes = advantage > threshold
    mine[WENT] = (went | bit) if goes else (went & ~bit)
    return bool(not goes)


@kernel
def _stay_behind(
    mine: Floats, theirs: Floats, me: np.record, other: np.record, pair: np.record, how: tuple[float, float, float, float],
    creeps: bool,
) -> float:  # fmt: skip
    """Interaction part of one who lets another go first: it waits at its line or the edge, or falls in behind where both go
    the same way; 0 where the other will be through in time. how: acceleration, braking, time gap, most speed."""
    accel, brake, time_gap, top = how
    s, v, vj = mine[S], mine[V], theirs[V]
    bar, merges = pair["enter"] - MARGIN, pair["along"] > 0.7
    their_way = pair["other_enter"] - theirs[S]
    if me["wait"] < bar and s < me["wait"] + 0.5 and not creeps:
        bar = me["wait"]
    elif merges:
        return _merge_behind(pair["enter"] - s, v, their_way, vj, accel, brake, time_gap)
    if merges:
        leaves = reach_time(their_way, vj, theirs[A], other["accel"], max(vj, 6.0)) + 1.0
    else:
        leaves = reach_time(pair["other_leave"] - theirs[S], vj, theirs[A], other["accel"], max(vj, 6.0))
    if reach_time(pair["enter"] - s, v, 0.0, accel, top) < leaves + 0.4:
        return _follow(v, 0.0, max(bar - s, 0.0) + 0.5, accel, brake, 0.3, 0.4)
    return 0.0


@kernel
def _accelerate(
    i: int, t: float, actors: NDArray[np.void], x: Floats, board: Board,
    policy: np.record,
) -> float:  # fmt: skip
    """Acceleration [m/s²] that actor i chooses in this situation."""
    me = actors[i]
    s, v = x[i, S], x[i, V]
    top = max(_limit_at(board, me["path"], s) * me["eager"], 0.2)
    accel, brake, time_gap, stand = me["accel"], me["brake"], 1.1, 0.6
    if i == 0 and policy["kind"] != NOMINAL:
        top, accel, time_gap = min(top, policy["cap"]), policy["accel"], policy["gap_s"]
    if v <= top:
        ratio = v / top
        acc = accel * (1.0 - ratio * ratio * ratio * ratio)
    else:
        acc = max((top - v) / 0.8, -brake)
    free = max(acc, 0.0)  # what is in the way takes from it, by the model's sum
    line = me["line"]
    if line < NO_LINE and s < line + 0.8 and (me["line_kind"] == RED or x[i, STOPPED] == 0.0):
        acc = min(acc, free + _follow(v, 0.0, line - s + 0.5, accel, brake, 0.3, 0.4))
        if line - s < 1.2 and v < 0.6:
            x[i, STOPPED] = 1.0
    for j in range(len(actors)):
        other = actors[j]
        if j == i or (j == 0 and (me["attends"] == 0 or (me["attends"] == 2 and t < LATE_S))):
            continue
        pair = board.pairs[me["path"], other["path"]]
        if pair["start"] < 0:
            continue
        sj, vj = x[j, S], x[j, V]
        crosses = abs(pair["along"]) < 0.7
        if (crosses and (s > pair["leave"] or sj > pair["other_leave"])) or pair["enter"] - s > FAR_M + FAR_S * v:
            continue  # over, or far off
        low, high = _blocked_at(board, other["path"], me["path"], sj)
        if low <= high:
            if s > high:
                continue
            if s >= low:
                # already side by side: whoever is further back waits
                if s < 0.5 * (low + high):
                    acc = min(acc, -brake)
                continue
            gap = low - s
            leaves = (pair["other_leave"] - sj) / max(vj, 0.1)
            if not (crosses and vj > 0.8 and gap > v * (leaves + 0.3)):
                lead = 0.0 if crosses else vj * pair["along"]
                acc = min(acc, free + _follow(v, lead, gap, accel, brake, time_gap, stand))
            if pair["along"] > 0.7:
                continue
        if s >= pair["enter"] + COMMITTED_M or sj > pair["other_leave"] or pair["rule"] == 2:
            continue
        if _gives_way(i, j, actors, x, pair, _order_now(board, i, j, pair, actors, x), top, policy):
            back = _stay_behind(x[i], x[j], me, other, pair, (accel, brake, time_gap, top), i == 0 and policy["kind"] == CREEP)
            acc = min(acc, free + back)
            if back < 0.0 and i == 0 and policy["kind"] == GO and s > me["wait"] - 0.5:
                acc = min(acc, 0.0)  # past its line nobody speeds up towards a place where he waits
    if i == 0:
        if policy["kind"] == HOLD:
            acc = min(acc, -1.5 if v > 0.0 else 0.0)
        elif policy["kind"] == BACK:
            acc = min(max((-policy["cap"] - v) / 0.7, -accel), accel)
    return float(max(acc, -8.0))


@kernel
def choose_accel(
    i: int, actors: NDArray[np.void], x: Floats, board: Board,
    policy: NDArray[np.void],
) -> float:  # fmt: skip
    """What the response model expects actor i to do right now; x (N, COLUMNS) is only read apart from its notes."""
    return _accelerate(i, 0.0, actors, x, board, policy[0])


@kernel
def _advance(x: Floats, i: int, acc: float, accel_jerk: float, backwards: bool) -> None:
    """One step of actor i towards acceleration `acc`, jerk-limited when speeding up."""
    a = x[i, A]
    a = min(acc, a + accel_jerk * STEP_S) if acc > a else max(acc, a - 3.0 * accel_jerk * STEP_S)
    v = x[i, V] + a * STEP_S
    if v < 0.0 and not backwards:
        v, a = 0.0, min(0.0, max(a, -0.01))
    x[i, S] += 0.5 * (x[i, V] + v) * STEP_S
    x[i, V], x[i, A] = v, a
    x[i, STOOD] = x[i, STOOD] + STEP_S if abs(v) < 0.3 else 0.0


@kernel
def _judge_order(j: int, actors: NDArray[np.void], x: Floats, board: Board, pair: np.record, out: Floats) -> None:
    """The ego enters its zone with j: whether it takes j's turn."""
    first = _order(board, 0, j, pair)
    at_line = actors[j]["wait"] - x[j, S]
    waits = -ENTERED_M < at_line < CLAIM_M
    claims = waits or reach_time(pair["other_enter"] - x[j, S], x[j, V], x[j, A], 1.2, max(x[j, V], 6.0)) < CLAIM_S
    if first < -0.3 and claims:
        out[ORDER] -= first


@kernel
def _may_choose(j: int, actors: NDArray[np.void], x: Floats, board: Board, pair: np.record) -> bool:
    """Whether j, before whom the ego enters their zone, is free to wait: it stands, or can stop at its ease and is not first."""
    if actors[j]["attends"] == 0:
        return False
    v = x[j, V]
    eases = v * v <= 2.0 * actors[j]["brake"] * (pair["other_enter"] - x[j, S])
    return v < STANDS or (eases and _order(board, 0, j, pair) > -0.3)


@kernel
def _ask_filter(actors: NDArray[np.void], x: Floats, board: Board, accel: float, out: Floats, counts: bool) -> None:
    """Points of no return that the ego passes now: whether the safety envelope lets it, by its own predicate.

    counts: False before the first step, when what was passed before is only noted.
    """
    s, v = x[0, S], x[0, V]
    rests = -math.inf
    for j in range(1, len(actors)):
        if x[j, PASSED] == 1.0 or actors[j]["moves"] == 0:
            continue
        pair = board.pairs[actors[0]["path"], actors[j]["path"]]
        if pair["start"] < 0 or pair["rule"] == 2 or x[j, S] > pair["other_leave"]:
            continue
        if rests == -math.inf:
            rests = s + braking_distance(v, x[0, A], LAST_BRAKE, LAST_JERK, LAST_DELAY_S)
        if rests < pair["enter"]:
            continue
        left = pair["other_enter"] - x[j, S]
        if left <= 0.0 and s < pair["enter"]:
            continue  # it is in the way itself
        x[j, PASSED] = 1.0
        if not counts or s >= pair["enter"]:
            continue
        top = _limit_at(board, actors[0]["path"], s)
        merges = pair["along"] > 0.7
        clear = pair["enter"] + CLEAR_M if merges else pair["leave"]
        ahead, leaves = reach_time(clear - s, v, 0.0, accel, top), reach_time(pair["leave"] - s, v, 0.0, accel, top)
        speed = min(math.sqrt(v * v + 2.0 * accel * max(clear - s, 0.0)), max(top, v))
        there = _limit_at(board, actors[j]["path"], pair["other_enter"])
        sort = PERSON if actors[j]["walks"] == 1 else VEHICLE
        if may_pass(ahead, leaves, speed, left, x[j, V], there, pair["along"], pair["rule"], sort, board.numbers) == 0:
            out[OVERRULED] += 1.0


@kernel
def _judge(t: float, actors: NDArray[np.void], x: Floats, board: Board, out: Floats) -> None:
    """Add one step's events between the ego and the others to the features."""
    s, v = x[0, S], x[0, V]
    for j in range(1, len(actors)):
        pair = board.pairs[actors[0]["path"], actors[j]["path"]]
        if pair["start"] < 0:
            continue
        sj, vj = x[j, S], x[j, V]
        low, high = _blocked_at(board, actors[j]["path"], actors[0]["path"], sj)
        inside = low <= high and low < s < high
        if inside and x[j, CLEAR] > 0.0 and out[SEVERITY] == 0.0:
            closing = math.sqrt(max(v * v + vj * vj - 2.0 * v * vj * pair["along"], 0.0))
            hit_from_behind = pair["along"] > 0.7 and s > 0.5 * (low + high)
            weight = 0.4 if hit_from_behind or v < 0.2 else 1.0
            fragile = 2.5 if actors[j]["walks"] == 1 else 1.0
            out[SEVERITY] = weight * fragile * max(0.01 * closing * closing, 0.1 if closing < 0.5 else 0.3)
            out[PARTNER] = j
        if not inside and x[j, CLEAR] == 0.0:
            x[j, CLEAR] = 1.0
        if pair["rule"] == 2:
            continue
        entered = s >= pair["enter"]
        if entered and x[j, CLEAR] < FIRST and sj < pair["other_enter"]:
            x[j, CLEAR] = CHOOSES if _may_choose(j, actors, x, board, pair) else FIRST
            by_arrival = pair["rule"] == 0 and actors[j]["wait"] < NO_LINE
            if (abs(pair["along"]) < 0.9 and s < pair["leave"]) or (pair["along"] >= 0.9 and by_arrival):
                _judge_order(j, actors, x, board, pair, out)
        imposed = vj > STANDS and x[j, CLEAR] != CHOOSES
        if pair["along"] > 0.7 and pair["enter"] < s < pair["leave"] and imposed:
            near, far = _blocked_at(board, actors[0]["path"], actors[j]["path"], s)
            if near <= far and sj < near:
                faster = max(vj - v, 0.0)
                tight = max(faster * faster / (2.0 * MERGE_BRAKE * (near - sj)), 1.0 - (near - sj) / (MERGE_GAP_S * vj + 0.5))
                out[CLOSE] = max(out[CLOSE], min(1.0, tight))
        if entered and s < pair["leave"] and abs(pair["along"]) < 0.9:
            if out[ENTERED] < 0.0:
                out[ENTERED] = t
            arrives = (pair["other_enter"] - sj) / max(vj, 0.1)
            if sj < pair["other_enter"] and imposed:
                leaves = (pair["leave"] - s) / max(v, 0.5)
                out[CLOSE] = max(out[CLOSE], min(1.0, 1.0 - (arrives - leaves) / CLOSE_S))
            if v < 0.4 and t > 2.0:
                out[BLOCKING] += STEP_S
    out[COMFORT] += (x[0, A] * x[0, A] + (2.0 * max(-2.0 - x[0, A], 0.0)) ** 2) * STEP_S


@kernel
def _simulate(
    t0: float, t1: float, actors: NDArray[np.void], x: Floats, board: Board, policy: np.record, script: Floats, scripted: bool,
    record: Floats, recording: bool, out: Floats,
) -> None:  # fmt: skip
    """Roll x (N, COLUMNS) from t0 to t1.

    scripted: others follow script (K, N, 3) of s, v, a; recording: everybody is written there.
    """
    steps = int(round((t1 - t0) / STEP_S))
    k0 = int(round(t0 / STEP_S))
    n = len(actors)
    backwards = policy["kind"] == BACK
    for k in range(steps):
        t = t0 + k * STEP_S
        for i in range(n):
            if i > 0 and scripted:
                continue
            if actors[i]["moves"] == 1:
                x[i, NEXT] = _accelerate(i, t, actors, x, board, policy)
        for i in range(n):
            if actors[i]["moves"] == 0:
                continue
            if i > 0 and scripted:
                x[i, S], x[i, V], x[i, A] = script[k0 + k, i, 0], script[k0 + k, i, 1], script[k0 + k, i, 2]
                continue
            _advance(x, i, x[i, NEXT], 2.5 if i == 0 else 4.0, i == 0 and backwards)
            top = max(_limit_at(board, actors[i]["path"], x[i, S]), 1.0)
            lost = STEP_S * (1.0 - min(x[i, V] / top, 1.0))
            if i == 0:
                out[DELAY] += lost
            elif board.pairs[actors[0]["path"], actors[i]["path"]]["start"] >= 0:
                out[OTHERS_DELAY] += lost
                hard = -x[i, A] - 1.0
                if hard > 0.0 and actors[i]["attends"] > 0:
                    out[BRAKING] += hard * hard * STEP_S
        if recording:
            for i in range(n):
                record[k0 + k, i, 0], record[k0 + k, i, 1], record[k0 + k, i, 2] = x[i, S], x[i, V], x[i, A]
        _judge(t + STEP_S, actors, x, board, out)
        _ask_filter(actors, x, board, policy["accel"], out, True)


@kernel
def _begin(actors: NDArray[np.void], x: Floats, board: Board, out: Floats) -> None:
    """State and features before the first step. Who already overlaps (boxes are drawn large) is not hit by standing there."""
    for i in range(len(actors)):
        me = actors[i]
        x[i, S], x[i, V], x[i, A] = me["s"], me["v"], me["a"]
        x[i, STOOD], x[i, STOPPED], x[i, WENT] = me["standing"], 0.0, 0.0
        x[i, CLEAR], x[i, PASSED] = 1.0, 0.0
        pair = board.pairs[actors[0]["path"], me["path"]]
        if i > 0 and pair["start"] >= 0:
            low, high = _blocked_at(board, me["path"], actors[0]["path"], me["s"])
            if low <= high and low < actors[0]["s"] < high:
                x[i, CLEAR] = 0.0
    for f in range(FEATURES):
        out[f] = 0.0
    out[PARTNER], out[ENTERED] = -1.0, -1.0
    _ask_filter(actors, x, board, 1.0, out, False)


@kernel
def _to_go(v: float, top: float, accel: float) -> float:
    """Delay [s] beyond the horizon of one who still has to speed up: who stands then has lost more than who drives."""
    return (top - v) * (top - v) / (2.0 * accel * top) if v < top else 0.0


@kernel
def _close(actors: NDArray[np.void], x: Floats, board: Board, accel: float, out: Floats) -> None:
    """Add to the features what is still to come when the rollout ends."""
    for i in range(len(actors)):
        top = max(_limit_at(board, actors[i]["path"], x[i, S]), 1.0)
        if i == 0:
            out[DELAY] += _to_go(x[i, V], top, accel)
        elif actors[i]["moves"] == 1 and board.pairs[actors[0]["path"], actors[i]["path"]]["start"] >= 0:
            out[OTHERS_DELAY] += _to_go(x[i, V], top, actors[i]["accel"])


@kernel
def evaluate(
    worlds: NDArray[np.void], board: Board, policies: NDArray[np.void],
    branches: NDArray[np.bool_], scripts: Floats, mode: int, times: Floats, scratch: Floats, start: Floats, out: Floats, seen:
    Floats,
) -> None:  # fmt: skip
    """Features of every first-stage policy a, continuation c and scenario k: out (A, C, K, FEATURES).

    worlds (K, N) ACTOR_DTYPE, actor 0 the ego; order (N, N); policies: (A,) POLICY_DTYPE, branches (A, C): c may follow a (c is
    an index into the same policies). mode 0: others react; 1: they follow scripts (K, T, N, 3). times: when the second stage
    begins, and the horizon [s]. scratch (2, N, COLUMNS) and start (1, FEATURES) are overwritten. seen (A, K, N, 2): s and v
    when the second stage begins.
    """
    n = worlds.shape[1]
    x, y = scratch[0], scratch[1]
    first = start[0]
    for k in range(worlds.shape[0]):
        actors = worlds[k]
        record = scripts[k]
        for a in range(len(policies)):
            _begin(actors, x, board, first)
            _simulate(0.0, times[0], actors, x, board, policies[a], record, mode == 1, record, False, first)
            for i in range(n):
                seen[a, k, i, 0], seen[a, k, i, 1] = x[i, S], x[i, V]
            for c in range(branches.shape[1]):
                if not branches[a, c]:
                    continue
                for i in range(n):
                    for m in range(COLUMNS):
                        y[i, m] = x[i, m]
                for f in range(FEATURES):
                    out[a, c, k, f] = first[f]
                _simulate(
                    times[0], times[1], actors, y, board, policies[c], record, mode == 1, record, False,
                    out[a, c, k],
                )  # fmt: skip
                _close(actors, y, board, policies[c]["accel"], out[a, c, k])


@kernel
def record_rollout(
    actors: NDArray[np.void], board: Board, policies: NDArray[np.void],
    times: Floats, scratch: Floats, script: Floats, scripted: bool, out: Floats, written: Floats,
) -> None:  # fmt: skip
    """One rollout, policies[0] then policies[1], everybody's motion written into `written` (T, N, 3): s, v, a."""
    x = scratch[0]
    _begin(actors, x, board, out)
    _simulate(0.0, times[0], actors, x, board, policies[0], script, scripted, written, True, out)
    _simulate(times[0], times[1], actors, x, board, policies[1], script, scripted, written, True, out)
    _close(actors, x, board, policies[1]["accel"], out)


@kernel
def advantages(actors: NDArray[np.void], board: Board, out: Floats) -> None:
    """out (N, 4): seconds by which each actor, on each of its ways, is ahead of the ego at their zone, were the ego to go now."""
    ego = actors[0, 0]
    for i in range(1, len(actors)):
        for r in range(actors.shape[1]):
            me = actors[i, r]
            if me["path"] == 0:
                continue
            pair = board.pairs[me["path"], 0]
            if pair["start"] < 0 or pair["rule"] == 2:
                out[i, r] = 0.0
                continue
            top = max(_limit_at(board, me["path"], me["s"]) * me["eager"], 1.0)
            ti = reach_time(pair["enter"] - me["s"], me["v"], 0.0, me["accel"], top)
            tj = reach_time(pair["other_enter"] - ego["s"], ego["v"], 0.0, ego["accel"], max(ego["v"], 8.0))
            out[i, r] = min(tj, 12.0) - ti + RULE * _order(board, i, 0, pair)


@kernel
def predict_accels(
    actors: NDArray[np.void], ways: NDArray[np.int64], levels: Floats, board: Board, nominal: NDArray[np.void], x: Floats,
    now: NDArray[np.void], out: Floats,
) -> None:  # fmt: skip
    """out (N, 4, T, 3): acceleration of each actor under each way, threshold and attention, the others on their first ways.

    ways (N,): how many ways each has; now (N,) ACTOR_DTYPE and x (N, COLUMNS) are overwritten.
    """
    n = len(actors)
    for i in range(n):
        _put(actors[i, 0], now[i])
    for i in range(1, n):
        for r in range(ways[i]):
            _put(actors[i, r], now[i])
            for t in range(len(levels)):
                for attends in range(3):
                    now[i]["threshold"], now[i]["attends"] = levels[t], attends
                    for j in range(n):
                        x[j, S], x[j, V], x[j, A] = now[j]["s"], now[j]["v"], now[j]["a"]
                        x[j, STOOD], x[j, STOPPED], x[j, WENT] = now[j]["standing"], 0.0, 0.0
                    seen = LATE_S if attends == 1 else 0.0
                    out[i, r, t, attends] = _accelerate(i, seen, now, x, board, nominal[0])
        _put(actors[i, 0], now[i])


@kernel
def fill_worlds(actors: NDArray[np.void], told: Floats, worlds: NDArray[np.void]) -> None:
    """Fill worlds (K, N) with the ego and with the others as `told` (N - 1, K, 3): which way, threshold, attention."""
    for k in range(len(worlds)):
        _put(actors[0, 0], worlds[k, 0])
        for i in range(1, worlds.shape[1]):
            _put(actors[i, int(told[i - 1, k, 0])], worlds[k, i])
            worlds[k, i]["threshold"], worlds[k, i]["attends"] = told[i - 1, k, 1], int(told[i - 1, k, 2])


@kernel
def _put(source: np.record, target: np.record) -> None:
    """Copy an actor."""
    target["path"], target["attends"], target["moves"], target["walks"] = (
        source["path"], source["attends"], source["moves"], source["walks"],
    )  # fmt: skip
    target["line_kind"], target["s"], target["v"], target["a"] = source["line_kind"], source["s"], source["v"], source["a"]
    target["threshold"], target["line"], target["wait"] = source["threshold"], source["line"], source["wait"]
    target["eager"], target["accel"], target["brake"] = source["eager"], source["accel"], source["brake"]
    target["standing"] = source["standing"]
