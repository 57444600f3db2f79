"""The tree: first-stage policies, scenarios, and for each the best second stage as far as the scenarios can be told apart by
then.

With V[a, c, k] the cost of continuing policy a with c in scenario k, p the scenarios' weights, and e[k, l] the probability of
taking k for l at the branch time, a costs

    min over c(.) of  sum_k p_k sum_l P(l | k) V[a, c(l), k],     P(l | k) = w_kl / sum_m w_km,  w = e / (1 - e),  e = Phi(-d'/2)

where d' is the distance between what scenarios k and l make one see until then under a, in standard deviations. With two equally
likely scenarios P(wrong) is e itself. Policies that move others apart have smaller errors: inching forward is worth that much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.cost import Prices, tail_mean
from avstack.behaviours.response import COLUMNS, FEATURES, SEVERITY, STEP_S, Board, evaluate, fill_worlds, record_rollout
from sim.geometry import Floats
from sim.jit import kernel

SPEED_SPREAD, PLACE_SPREAD = 0.2, 0.35  # m/s, m: what one is sure of about another by the branch time
ENUMERATED = 3
MODES = 5
LEAST_MODE = 0.01
WORST = 50.0  # s, the most that what was left out may cost


class Mode(NamedTuple):
    """One thing an agent may be: its way, threshold and attention, and how likely that is. goes: before the ego, if that
    commits."""

    route: int
    threshold: float
    attends: int
    weight: float
    goes: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """worlds (K, N) ACTOR_DTYPE, share (K,) adding to 1; omitted: probability of what was left out."""

    worlds: NDArray[np.void]
    share: Floats
    omitted: float


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """cost (A,) of each first-stage policy; then (A, K): continuation taken in each scenario; features (A, FEATURES): their
    means."""

    cost: Floats
    then: NDArray[np.int64]
    features: Floats
    risk: Floats
    rollouts: int


def enumerate_scenarios(actors: NDArray[np.void], modes: list[list[Mode]], most: int) -> Scenarios:
    """The likeliest `most` combinations of the first ENUMERATED agents' modes; further agents take their likeliest one."""
    shortened = [sorted(own, key=lambda mode: -mode.weight)[: MODES if i < ENUMERATED else 1] for i, own in enumerate(modes)]
    likely = np.ones(())
    for own in shortened[:ENUMERATED]:
        likely = likely[..., None] * np.array([mode.weight for mode in own])
    flat = likely.ravel()
    order = np.argsort(-flat, kind="stable")[:most]
    kept = order[flat[order] >= LEAST_MODE * flat[order[0]]]
    taken = np.unravel_index(kept, likely.shape) if shortened else ()
    told = np.empty((len(shortened), len(kept), 3))  # route, threshold, attends
    for i, own in enumerate(shortened):
        told[i] = np.array([mode[:3] for mode in own])[taken[i] if i < ENUMERATED else 0]
    worlds = np.empty((len(kept), len(actors)), actors.dtype)
    fill_worlds(actors, told, worlds)
    weight = flat[kept]
    return Scenarios(worlds, weight / weight.sum(), max(0.0, 1.0 - float(weight.sum())))


def scripts_for(board: Board, scenarios: Scenarios, config: BehaviourConfig, nominal: NDArray[np.void]) -> Floats:
    """What others will do whatever the ego does (K, T, N, 3): at constant speed, or reacting to an average ego."""
    worlds = scenarios.worlds
    count, n = worlds.shape
    times = np.array([config.branch_s, config.horizon_s])
    steps = round(config.horizon_s / STEP_S) + 1
    scripts = np.zeros((count, steps, n, 3))
    if config.prediction == "constant":
        t = STEP_S * np.arange(1, steps + 1)[None, :, None]
        scripts[..., 0] = worlds["s"][:, None, :] + worlds["v"][:, None, :] * t
        scripts[..., 1] = worlds["v"][:, None, :]
    elif config.prediction == "frozen":
        policies = np.repeat(nominal, 2)
        scratch, out, unused = np.empty((2, n, COLUMNS)), np.empty(FEATURES), np.zeros((steps, n, 3))
        for k in range(count):
            record_rollout(worlds[k], board, policies, times, scratch, unused, False, out, scripts[k])
    return scripts


def roll(
    board: Board, scenarios: Scenarios, policies: NDArray[np.void], branches: NDArray[np.bool_], scripts: Floats,
    config: BehaviourConfig,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Features (A, C, K, FEATURES) and what is seen at the branch time (A, K, N, 2)."""
    count, n = scenarios.worlds.shape
    a, c = branches.shape
    out, seen = np.zeros((a, c, count, FEATURES)), np.zeros((a, count, n, 2))
    times = np.array([config.branch_s, config.horizon_s])
    mode = 0 if config.prediction == "reactive" else 1
    scratch, start = np.empty((2, n, COLUMNS)), np.empty((1, FEATURES))
    board = board._replace(numbers=config.assumptions.numbers())
    evaluate(scenarios.worlds, board, policies, branches, scripts, mode, times, scratch, start, out, seen)
    return out, seen


def confusion(seen: Floats, worlds: NDArray[np.void], config: BehaviourConfig) -> Floats:
    """P(l | k) (A, K, K): probability of acting as in scenario l when k is true, under each policy; seen (A, K, N, 2): s and v by
    the branch time."""
    a, count = seen.shape[:2]
    if config.branching == "perfect":
        return np.tile(np.eye(count), (a, 1, 1))
    if config.branching == "none":
        return np.full((a, count, count), 1.0 / count)
    out = np.empty((a, count, count))
    _confuse(seen, np.ascontiguousarray(worlds["path"]), out)
    return out


@kernel
def _confuse(seen: Floats, paths: NDArray[np.int32], out: Floats) -> None:
    """Fill out (A, K, K) with P(l | k); paths (K, N) of the actors, who cannot be told apart by place on different ones."""
    for a in range(len(seen)):
        for k in range(seen.shape[1]):
            total = 0.0
            for m in range(seen.shape[1]):
                distance = 0.0
                for i in range(1, seen.shape[2]):
                    moved = seen[a, k, i, 0] - seen[a, m, i, 0] if paths[k, i] == paths[m, i] else 0.0
                    faster = seen[a, k, i, 1] - seen[a, m, i, 1]
                    distance += (moved / PLACE_SPREAD) ** 2 + (faster / SPEED_SPREAD) ** 2
                error = 0.5 * math.erfc(0.5 * math.sqrt(0.5 * distance))  # Phi(-d'/2)
                out[a, k, m] = error / (1.0 - error)
                total += out[a, k, m]
            for m in range(seen.shape[1]):
                out[a, k, m] /= total


def judge(
    features: Floats, seen: Floats, branches: NDArray[np.bool_], scenarios: Scenarios, prices: Prices, config: BehaviourConfig,
    changing: Floats | None = None,
) -> Verdict:  # fmt: skip
    """Cost of each first-stage policy under the best continuations that confusion allows.

    changing (A, C): price of following one by the other.
    """
    a, c, count, _ = features.shape
    mixed = confusion(seen, scenarios.worlds, config)
    changing = np.zeros((a, c)) if changing is None else changing
    cost, then, mean, risk = np.empty(a), np.empty((a, count), np.int64), np.empty((a, FEATURES)), np.empty(a)
    _settle(
        features, prices.weights, changing, branches, mixed, scenarios.share,
        (prices.tail, prices.tail_share, scenarios.omitted), np.empty((c + 1, count)), cost, then, mean, risk,
    )  # fmt: skip
    return Verdict(cost, then, mean, risk, int(branches.sum()) * count)


@kernel
def _settle(
    features: Floats, weights: Floats, changing: Floats, branches: NDArray[np.bool_], mixed: Floats, share: Floats,
    pricing: tuple[float, float, float], scratch: Floats, cost: Floats, then: NDArray[np.int64], mean: Floats, risk: Floats,
) -> None:  # fmt: skip
    """Fill the fields of a Verdict, in loops: equal policies cost the same to the last bit, and the first of them is taken.

    weights: cost = features · weights; mixed (A, K, K): P(l | k); pricing: of the tail, its share, and what was left out;
    scratch (C + 1, K) is overwritten.
    """
    count = len(share)
    likeliest = np.argmax(share)
    value, severity = scratch[:-1], scratch[-1]
    for a in range(len(cost)):
        for c in range(len(value)):
            for k in range(count):
                value[c, k] = changing[a, c]
                for f in range(FEATURES):
                    value[c, k] += features[a, c, k, f] * weights[f]
        # the continuation that answers each scenario best, for all that it may be taken for
        cost[a] = 0.0
        for m in range(count):
            best = math.inf
            for c in range(len(value)):
                expected = 0.0 if branches[a, c] else math.inf
                for k in range(count):
                    expected += value[c, k] * share[k] * mixed[a, k, m]
                if expected < best:
                    best, then[a, m] = expected, c
            cost[a] += best
        mean[a, :] = 0.0
        severity[:] = 0.0
        for k in range(count):
            for m in range(count):
                outcome = features[a, then[a, m], k]
                severity[k] += mixed[a, k, m] * outcome[SEVERITY]
                for f in range(FEATURES):
                    mean[a, f] += share[k] * mixed[a, k, m] * outcome[f]
        risk[a] = tail_mean(severity, share, pricing[1])
        worst = -math.inf
        for k in range(count):
            worst = max(worst, value[then[a, likeliest], k])
        cost[a] += pricing[0] * risk[a] + pricing[2] * max(0.0, min(worst, WORST))
