"""The tree: first-stage policies, scenarios, and for each the best second stage as far as the scenarios can be told apart by
then.

With V[a, c, k] the cost of continuing policy a with c in scenario k, p the scenarios' weights, and e[k, l] the probability of
taking k for l at the branch time, a costs

    min over c(.) of  sum_k p_k sum_l P(l | k) V[a, c(l), k],     P(l | k) = w_kl / sum_m w_km,  w = e / (1 - e),  e = Phi(-d'/2)

where d' is the distance between what scenarios k and l make one see until then under a, in standard deviations. With two equally
likely scenarios P(wrong) is e itself. Policies that move others apart have smaller errors: inching forward is worth that much.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.cost import Prices, tail_mean
from avstack.behaviours.response import COLUMNS, FEATURES, SEVERITY, STEP_S, Board, evaluate, record_rollout
from sim.geometry import Floats

SPEED_SPREAD, PLACE_SPREAD = 0.35, 0.6  # m/s, m: what one is sure of about another by the branch time
SAME = 1e-3  # d' below which scenarios look the same
ENUMERATED = 3
MODES = 5
LEAST_MODE = 0.01


@dataclass(frozen=True, slots=True)
class Mode:
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
    combined = []
    for combination in itertools.product(*shortened):
        combined.append((math.prod(mode.weight for mode in combination[:ENUMERATED]), combination))
    combined.sort(key=lambda item: -item[0])
    kept = [item for item in combined[:most] if item[0] >= LEAST_MODE * combined[0][0]]
    worlds = np.empty((len(kept), len(actors)), actors.dtype)
    worlds[:, 0] = actors[0, 0]
    for k, (_, combination) in enumerate(kept):
        for i, mode in enumerate(combination, start=1):
            worlds[k, i] = actors[i, mode.route]
            worlds[k, i]["threshold"], worlds[k, i]["attends"] = mode.threshold, mode.attends
    weight = np.array([item[0] for item in kept])
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
    """P(l | k) (K, K): probability of acting as in scenario l when k is true; seen (K, N, 2) s and v by the branch time."""
    count = len(seen)
    if config.branching == "perfect":
        return np.eye(count)
    if config.branching == "none":
        return np.full((count, count), 1.0 / count)
    elsewhere = (worlds["path"][:, None, 1:] != worlds["path"][None, :, 1:]).astype(float)
    moved = np.abs(seen[:, None, 1:, 0] - seen[None, :, 1:, 0]) * (1.0 - elsewhere)
    faster = np.abs(seen[:, None, 1:, 1] - seen[None, :, 1:, 1])
    distance = np.sqrt(((moved / PLACE_SPREAD) ** 2 + (faster / SPEED_SPREAD) ** 2).sum(axis=2))
    error = np.clip(ndtr(-0.5 * distance), 0.0, 0.5)
    weight = error / (1.0 - error)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def judge(
    features: Floats, seen: Floats, branches: NDArray[np.bool_], scenarios: Scenarios, prices: Prices, config: BehaviourConfig,
    changing: Floats | None = None,
) -> Verdict:  # fmt: skip
    """Cost of each first-stage policy under the best continuations that confusion allows.

    changing (A, C): price of following one by the other.
    """
    a, _, count, _ = features.shape
    rolled = features @ prices.weights if changing is None else features @ prices.weights + changing[:, :, None]
    value = np.where(branches[:, :, None], rolled, np.inf)  # (A, C, K)
    share = scenarios.share
    cost, then, mean = np.zeros(a), np.zeros((a, count), np.int64), np.zeros((a, FEATURES))
    risk = np.zeros(a)
    for i in range(a):
        mixed = confusion(seen[i], scenarios.worlds, config)  # P(l | k)
        joint = share[:, None] * mixed  # (K true, L taken for)
        allowed = np.flatnonzero(branches[i])
        expected = value[i, allowed] @ joint  # (C, L): cost of answering l with c, weighted
        best = np.argmin(expected, axis=0)  # (L,)
        chosen = allowed[best]
        cost[i] = float(expected[best, np.arange(count)].sum())
        then[i] = chosen
        outcome = np.einsum("kl,lkf->kf", mixed, features[i][chosen])
        mean[i] = share @ outcome
        risk[i] = tail_mean(outcome[:, SEVERITY], share, prices.tail_share)
        worst = float(value[i, chosen[int(np.argmax(share))]].max())
        cost[i] += prices.tail * risk[i] + scenarios.omitted * max(0.0, min(worst, 50.0))
    return Verdict(cost, then, mean, risk, int(branches.sum()) * count)
