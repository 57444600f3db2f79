"""What is believed of each other road user: its way, how bold it is, and whether it attends to the ego.

A belief is a distribution over way (up to 4) × threshold (LEVELS) × attention (no, yes, late). Every tick each hypothesis
predicts an acceleration from what is seen; over WINDOW ticks these add up to a predicted change of speed, whose error against
the measured one is the evidence. Errors of overlapping windows are correlated, so the likelihood is tempered. Memory is a
value, passed in and out.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.response import ACTOR_DTYPE, COLUMNS, POLICY_DTYPE, advantages, predict_accels
from avstack.behaviours.scene import Agent, Scene
from avstack.behaviours.tree import Mode
from sim.geometry import Floats
from sim.interface import TICK_S
from sim.jit import kernel

LEVELS = np.array([-2.5, -0.8, 0.5, 2.0, 4.0])
"""Thresholds [s of advantage] from bold to timid."""
PRIOR = np.array([0.08, 0.22, 0.40, 0.22, 0.08])
NO, YES, LATE = range(3)
LATE_SHARE = 0.10
ASLEEP, ASLEEP_STOPPED = 0.05, 0.005
"""Probability of not attending to the ego at all: while approaching without braking, and once stopped. A floor as well."""
WINDOW = 5  # ticks
SPEED_NOISE = 0.1  # m/s, of one measured speed at best
MODEL_NOISE = 0.7  # m/s², what real drivers do differently from any hypothesis
SWITCH = 0.004  # share that forgets per tick: people change their minds
LOOKS_UP = 0.05  # share that looks round anew per tick of standing: whoever has stopped looks before it sets off
WAVE_FACTOR = 20.0  # how much likelier a wave makes it that somebody lets the ego go
WAVE_S = 1.0  # s that a wave lasts
TICKS_BACK = 4  # ticks by which people respond later than the response model


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """weights (4, 5, 3) adding to 1; keys of the ways they are about; predicted: accelerations (<= WINDOW + TICKS_BACK, 4, 5,
    3) of recent ticks, oldest first; speeds measured at these ticks."""

    weights: Floats
    keys: tuple[Hashable, ...]
    predicted: Floats
    speeds: tuple[float, ...]


class Privilege(Protocol):
    """Knowledge that no sensor gives. The stack never makes one and is blind without it: an evaluation hands it in with the
    memory to have a planner to measure regret against. It has to be a value, as everything in a memory."""

    def inform(self, belief: Belief, scene: Scene) -> Belief:
        """The belief about this scene, of one who knows."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """By thing id."""

    tracks: dict[int, Track] = field(default_factory=dict)

    def of(self, agent: Agent) -> Floats:
        """Weights (4, 5, 3) of one agent; the prior for one that is new."""
        track = self.tracks.get(agent.id)
        return prior(agent) if track is None or len(track.keys) != len(agent.routes) else track.weights


def asleep_share(agent: Agent) -> float:
    """Probability that it does not see the ego, before any evidence."""
    wakes = stands(agent) or agent.visit.stopped >= 0 or float(agent.thing["accel"]) < -0.8
    return ASLEEP_STOPPED if wakes else ASLEEP


def stands(agent: Agent) -> bool:
    """Whether it stands, as tracking tells it: speeds measured of who stands are not zero."""
    return bool(agent.thing["standing"] > 0)


def prior(agent: Agent) -> Floats:
    """(4, 5, 3) from its ways' likelihoods alone."""
    ways = np.zeros(4)
    for k, route in enumerate(agent.routes):
        ways[k] = route.weight
    return np.asarray(ways[:, None, None] * PRIOR[None, :, None] * _attention(agent)[None, None, :])


def _attention(agent: Agent) -> Floats:
    """(3,) prior of attending, as it moves now."""
    asleep = asleep_share(agent)
    return np.array([asleep, 1.0 - asleep - LATE_SHARE, LATE_SHARE])


def update_belief(belief: Belief, scene: Scene, config: BehaviourConfig) -> Belief:
    """The belief after this tick's scene."""
    tracks: dict[int, Track] = {}
    if not scene.agents:
        return Belief(tracks)
    predicted = expected_accels(scene)
    for i, agent in enumerate(scene.agents, start=1):
        tracks[agent.id] = _updated(belief.tracks.get(agent.id), agent, predicted[i], scene.speed, config)
    return Belief(tracks)


def expected_accels(scene: Scene) -> Floats:
    """(N, 4, 5, 3) acceleration of each actor now under each hypothesis, given what everybody really does."""
    n = len(scene.actors)
    out = np.zeros((n, 4, len(LEVELS), 3))
    nominal = np.zeros(1, POLICY_DTYPE)
    nominal["kind"], nominal["cap"], nominal["accel"], nominal["gap_s"] = 4, 100.0, 1.4, 1.3
    ways = np.array([1, *(len(agent.routes) for agent in scene.agents)], np.int64)
    predict_accels(scene.actors, ways, LEVELS, scene.board, nominal, np.empty((n, COLUMNS)), np.zeros(n, ACTOR_DTYPE), out)
    return out


def _updated(track: Track | None, agent: Agent, predicted: Floats, ego_speed: float, config: BehaviourConfig) -> Track:
    fresh = prior(agent)
    keys = tuple(route.path.key for route in agent.routes)
    speed = float(agent.thing["speed"])
    if track is None or not config.learn:
        return Track(fresh, keys, predicted[None], (speed,))
    before = continued(track.keys, keys)
    weights = _carried(track, before, fresh)
    if all(k >= 0 for k in before):
        # the same ways, maybe in another order
        order = [*before, *(k for k in range(4) if k not in before)]
        earlier = track.predicted[:, order] if order != [0, 1, 2, 3] else track.predicted
        history = np.concatenate([earlier, predicted[None]])[-(WINDOW + TICKS_BACK) :]
    else:
        history = predicted[None]
    speeds = (*track.speeds, speed)[-(WINDOW + 1) :]
    if len(speeds) > WINDOW and len(history) >= WINDOW:
        change = history[:WINDOW].sum(axis=0) * TICK_S
        seen = speeds[-1] - speeds[0]
        covariance = agent.thing["covariance"]
        noise = float(covariance[3, 3] + covariance[4, 4])
        variance = 2.0 * max(SPEED_NOISE**2, noise) + (MODEL_NOISE * WINDOW * TICK_S) ** 2
        # nobody is expected to get slower than standing
        change = np.maximum(change, -speeds[0])
        error = np.minimum((seen - change) ** 2 / variance, 16.0)
        weights = weights * np.exp(-0.5 * config.tempering * error)
    weights = weights / max(float(weights.sum()), 1e-12)
    wave = float(agent.thing["wave"])
    if wave > 0.5:
        # one wave is seen for many ticks, and is evidence once
        weights = weights * np.where(np.arange(5) >= 3, WAVE_FACTOR ** (TICK_S / WAVE_S), 1.0)[None, :, None]
        weights = weights / weights.sum()
    weights = (1.0 - SWITCH) * weights + SWITCH * fresh
    if stands(agent):
        weights = (1.0 - LOOKS_UP) * weights + LOOKS_UP * weights.sum(axis=2, keepdims=True) * _attention(agent)
    return Track(_floored(weights, agent), keys, history, speeds)


def continued(before: tuple[Hashable, ...], keys: tuple[Hashable, ...]) -> list[int]:
    """Which of the ways `before` each of the present ways goes on, -1 for none: the same one, or the rest of it."""
    found = []
    for key in keys:
        same = (k for k, old in enumerate(before) if _goes_on(old, key))
        found.append(next((k for k in same if k not in found), -1))
    return found


def _goes_on(old: Hashable, new: Hashable) -> bool:
    """Whether a path by its key is another, or what is left of it some lanes further on."""
    if old == new or not (isinstance(old, tuple) and isinstance(new, tuple)):
        return old == new
    if isinstance(old[0], str) or isinstance(new[0], str):
        return bool(old[:2] == new[:2])  # off the lanes: what it is, and whose
    passed, ahead = old[0], new[0]
    left = passed[passed.index(ahead[0]) :] if ahead[0] in passed else ()
    return len(left) > 1 and left == ahead[: len(left)]


def _carried(track: Track, before: list[int], fresh: Floats) -> Floats:
    """Weights for the present ways: ways that go on keep what was learned, new ones start from the prior. before: `continued`."""
    kind = track.weights.sum(axis=0)
    weights = np.zeros_like(fresh)
    for r, k in enumerate(before):
        shown = float(fresh[r].sum())
        held = float(track.weights[k].sum()) if k >= 0 else 0.0
        # what it shows now (lights, position) counts beside what it did
        weights[r] = track.weights[k] * ((0.9 * held + 0.1 * shown) / held) if held > 0.0 else shown * kind
    return weights


def _floored(weights: Floats, agent: Agent) -> Floats:
    """At least the floor of inattention."""
    asleep = float(weights[:, :, NO].sum())
    floor = asleep_share(agent)
    if asleep >= floor or asleep >= 1.0:
        return weights
    out = weights * (1.0 - floor) / (1.0 - asleep)
    shape = weights.sum(axis=2)
    out[:, :, NO] = shape / shape.sum() * floor
    return np.asarray(out)


def modes_of(belief: Belief, scene: Scene) -> list[list[Mode]]:
    """For each agent what it may be, in few words: each way bold (goes if the ego commits), timid, or not attending."""
    ahead = np.zeros((len(scene.actors), 4))
    advantages(scene.actors, scene.board, ahead)
    meets = scene.board.pairs["start"][0] >= 0
    standing = scene.actors["standing"][:, 0]
    modes = []
    for i, agent in enumerate(scene.agents, start=1):
        out = np.empty((3 * len(agent.routes) + 1, len(Mode._fields)))
        paths = scene.actors["path"][i, : len(agent.routes)]
        patience = 0.35 * min(max(float(standing[i]) - 3.0, 0.0), 20.0)
        count = _fill_modes(belief.of(agent), ahead[i], meets[paths], LEVELS, patience, out)
        modes.append([Mode(int(r), level, int(kind), share, goes > 0.5) for r, level, kind, share, goes in out[:count].tolist()])
    return modes


@kernel
def _fill_modes(
    weights: Floats, ahead: Floats, meets: NDArray[np.bool_], levels: Floats, patience: float, out: Floats
) -> int:  # fmt: skip
    """Write the modes of one agent into out (M, 5), as `Mode` has its fields; how many.

    weights (4, LEVELS, 3); ahead (4,): seconds that it is ahead of the ego; meets (R,): whether a way meets the ego's.
    """
    count, elsewhere, away = 0, 0.0, -1
    for r in range(len(meets)):
        total = np.sum(weights[r])
        if total <= 0.0:
            continue
        if not meets[r]:
            elsewhere, away = elsewhere + total, r if away < 0 else away
            continue
        for going in (True, False):
            share, late = 0.0, 0.0
            for k in range(len(levels)):
                if (ahead[r] > levels[k] - patience) == going:
                    share += weights[r, k, YES] + weights[r, k, LATE]
                    late += weights[r, k, LATE]
            if share <= 0.0:
                continue
            # the median threshold of those who do
            reached, level = 0.0, levels[0]
            for k in range(len(levels)):
                if (ahead[r] > levels[k] - patience) == going and reached < 0.5 * share:
                    reached, level = reached + (weights[r, k, YES] + weights[r, k, LATE]), levels[k]
            kind = LATE if late > 0.5 * share else YES
            out[count, 0], out[count, 1], out[count, 2], out[count, 3], out[count, 4] = r, level, kind, share, going
            count += 1
        asleep = np.sum(weights[r, :, NO])
        if asleep > 0.0:
            out[count, 0], out[count, 1], out[count, 2], out[count, 3], out[count, 4] = r, 0.5, NO, asleep, 1.0
            count += 1
    if elsewhere > 0.0:
        out[count, 0], out[count, 1], out[count, 2], out[count, 3], out[count, 4] = away, 0.5, YES, elsewhere, 0.0
        count += 1
    return count
