"""One decision: the policies worth comparing, the scenarios they are compared in, the tree's verdict, and why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.asks import asks_of, blocked
from avstack.behaviours.belief import Belief, modes_of
from avstack.behaviours.commitment import SAFE_RISK, committed_before, latched, promised, waving
from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.cost import prices, terms_of
from avstack.behaviours.deadlock import Standoff, takes_turn, watch
from avstack.behaviours.decision import Ask, Decision, Manoeuvre, Reason
from avstack.behaviours.futures import places_of
from avstack.behaviours.policies import (
    Option,
    Weighed,
    branches_of,
    claimants,
    goes,
    nearness_to_people,
    nominal_policy,
    options_for,
    policies_of,
    they_are_first,
    turning_back,
)
from avstack.behaviours.response import COLUMNS, FEATURES, NO_LINE, RED, STEP_S, record_rollout
from avstack.behaviours.scene import Scene
from avstack.behaviours.tree import Mode, enumerate_scenarios, judge, roll, scripts_for
from sim.geometry import Floats
from sim.interface import TICK_S

USUAL_ACTORS = 6
LEAST_SCENARIOS, MOST_SCENARIOS = 4, 16
LIKELY = 0.08  # share of a scenario that motion must be ready for
SETTLED_M = 60.0
AT_END_M = 1.0  # m before the end of its way from where nothing else holds the ego
STANDOFF_S, STUBBORN_S = 2.0, 9.0  # s of standing nose to nose before the one with the shorter way back, or the other, backs off
NOSE_M = 25.0
CLEAR_M = 2.5  # m further back than the narrow place
NEAR_START = 3.0  # m, never to the very start of the path
BACKED_M = 0.4  # m before the place to reverse to from where that is done
NOBODY = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the last decision was, for hysteresis. back_to: where the ego is reversing to, None when it is not; hold: place on the
    path of this key where it stops for whom it would touch; committed: ids before whom it goes for good; waved: whom it has
    waved through, and since which tick."""

    option: Option | None = None
    hold: tuple[object, float] | None = None
    standoff: Standoff = field(default_factory=Standoff)
    back_to: float | None = None
    other: int = -1
    committed: frozenset[int] = frozenset()
    waved: tuple[int, int] = (-1, -1)


def weigh(scene: Scene, belief: Belief, last: Chosen, config: BehaviourConfig) -> Weighed:
    """Compare all options in the likeliest scenarios; the cheapest, the last one's preference counted in."""
    who = claimants(scene) if config.negotiate else []
    options = options_for(scene, who, config)
    policies = policies_of(options, scene, config)
    branches = branches_of(options) if config.branching != "none" else np.eye(len(options), dtype=bool)
    # a rollout takes time with the square of those in it
    work = config.rollouts * USUAL_ACTORS**2 // len(scene.actors) ** 2
    most = max(LEAST_SCENARIOS, min(MOST_SCENARIOS, work // max(int(branches.sum()), 1)))
    modes = modes_of(belief, scene)
    scenarios = enumerate_scenarios(scene.actors, modes, most)
    scripts = scripts_for(scene.board, scenarios, config, nominal_policy(config))
    features, seen = roll(scene.board, scenarios, policies, branches, scripts, config)
    verdict = judge(features, seen, branches, scenarios, prices(config), config, turning_back(options, config))
    cost = verdict.cost.copy()
    for k, option in enumerate(options):
        if last.option is not None and goes(option) != goes(last.option):
            cost[k] += config.cost.switch
        if option.manoeuvre == Manoeuvre.CREEP:
            cost[k] += config.cost.probing * nearness_to_people(scene)
    return Weighed(options, policies, modes, scenarios, scripts, verdict, int(np.argmin(cost)))


def choose(
    scene: Scene, belief: Belief, last: Chosen, seed: int, config: BehaviourConfig, way_back: float | None = None
) -> tuple[Decision, Chosen, float]:
    """The decision on the scene's path, what to remember of it, and its cost.

    way_back: where the ego has to reverse to [m] to get past something that stands.
    """
    who = claimants(scene) if config.negotiate else []
    meeting = _nose_to_nose(scene)
    standoff = watch(last.standoff, scene, who if meeting is None else [*who, meeting[0]])
    back = backing_off(scene, last, standoff, meeting, way_back)
    if back is not None:
        return back
    weighed = weigh(scene, belief, last, config)
    weighed = _broken(weighed, scene, standoff, who, seed, config)
    weighed = promised(latched(weighed, last.committed), scene, last.waved, who)
    option = weighed.options[weighed.best]
    hold = last.hold[1] if last.hold is not None and last.hold[0] == scene.path.key else None
    decision, held = explain(scene, weighed, config, hold)
    if config.breaker and weighed.forced:
        decision = replace(decision, reason=Reason.BREAKER)
    elif weighed.latched and decision.manoeuvre == Manoeuvre.GO:
        decision = replace(decision, reason=Reason.COMMITTED)
    waved, waves = waving(scene, option, standoff, last.waved, who)
    decision = replace(decision, wave=waves)
    chosen = Chosen(
        option=option, hold=None if held is None else (scene.path.key, held), standoff=standoff,
        committed=committed_before(scene, option, who), waved=waved,
    )  # fmt: skip
    return decision, chosen, float(weighed.verdict.cost[weighed.best])


def _broken(weighed: Weighed, scene: Scene, standoff: Standoff, who: list[int], seed: int, config: BehaviourConfig) -> Weighed:
    """The comparison with the ego's turn taken, where that ends a standoff and risks nothing."""
    if not config.breaker or standoff.since < 0:
        return weighed
    first = all(not they_are_first(scene, i) for i in who)
    if not takes_turn(standoff, scene, who, first, seed):
        return weighed
    going = [k for k, option in enumerate(weighed.options) if option.manoeuvre == Manoeuvre.GO]
    going = [k for k in going if weighed.verdict.risk[k] < SAFE_RISK]
    if not going or weighed.best in going:
        return weighed
    return replace(weighed, best=min(going, key=lambda k: float(weighed.verdict.cost[k])), forced=True)


def backing_off(
    scene: Scene, last: Chosen, standoff: Standoff, meeting: tuple[int, float, float] | None, way_back: float | None
) -> tuple[Decision, Chosen, float] | None:
    """Reversing out of a place where two stand nose to nose and only one fits, or from what stands too near to be passed; None
    where there is no need.

    Whoever has the shorter way back goes back; after STUBBORN_S of standing also the other one. Once begun it is finished.
    """
    back_to, other = last.back_to, last.other
    under_way = back_to is not None and scene.s > back_to + BACKED_M
    if not under_way and meeting is not None:
        i, mine, theirs = meeting
        lasted = (scene.tick - standoff.since) * TICK_S if standoff.since >= 0 else 0.0
        if not (lasted > STANDOFF_S and mine < theirs + 1.0) and lasted <= STUBBORN_S:
            return None
        back_to, other = max(scene.s - mine - CLEAR_M, NEAR_START), scene.agents[i - 1].id
    elif not under_way:
        if way_back is None or max(way_back, NEAR_START) > scene.s - BACKED_M:
            return None
        back_to, other = max(way_back, NEAR_START), NOBODY
    plan = np.array([[scene.s, scene.speed, scene.accel]])
    decision = Decision(
        manoeuvre=Manoeuvre.BACK, reason=Reason.BACKS_OFF, path=scene.path, s=scene.s, plan=plan, ask=Ask(back_to=back_to),
        step_s=STEP_S, other=other,
    )  # fmt: skip
    option = Option(Manoeuvre.BACK, frozenset({other} - {NOBODY}))
    return decision, Chosen(option=option, standoff=standoff, back_to=back_to, other=other), 0.0


def _nose_to_nose(scene: Scene) -> tuple[int, float, float] | None:
    """(actor, metres the ego has to go back, metres the other has) for somebody head-on in the same narrow place."""
    for i, agent in enumerate(scene.agents, start=1):
        actor = scene.actors[i, 0]
        pair = scene.board.pairs[0, actor["path"]]
        if pair["start"] < 0 or pair["along"] > -0.7 or not agent.moves or actor["s"] > pair["other_leave"]:
            continue
        mine, theirs = scene.s - float(pair["enter"]), float(actor["s"]) - float(pair["other_enter"])
        low, high = blocked(scene, int(actor["path"]), np.array([float(actor["s"])]))
        if mine > 0.0 and theirs > 0.0 and low[0] <= high[0] and scene.s < low[0] < scene.s + NOSE_M:
            return i, mine, theirs
    return None


def explain(
    scene: Scene, weighed: Weighed, config: BehaviourConfig, hold: float | None = None
) -> tuple[Decision, float | None]:  # fmt: skip
    """The verdict as a decision: the plan in the likeliest future, what motion must keep to in all likely ones, and why.

    hold: see `asks_of`.
    """
    option, verdict, scenarios = weighed.options[weighed.best], weighed.verdict, weighed.scenarios
    futures = [_future(scene, weighed, k, config) for k in range(len(scenarios.share)) if k == 0 or scenarios.share[k] > LIKELY][
        :4
    ]
    ask, held = asks_of(scene, weighed, futures, hold)
    reason, other = _reason(scene, option, futures[0][1], ask)
    others, first, influence = _influence(scene, weighed.modes)
    places, share = places_of(scene, weighed, futures)
    decision = Decision(
        manoeuvre=option.manoeuvre, reason=reason, path=scene.path, s=scene.s, plan=futures[0][1][:, 0], ask=ask, other=other,
        others=others, go_first=first, influence=influence, step_s=STEP_S,
        lets_go=np.array([int(known) in option.yields for known in others], np.int8),
        terms=terms_of(verdict.features[weighed.best], config.cost), rollouts=verdict.rollouts, futures=places,
        futures_share=share,
    )  # fmt: skip
    return decision, held


def _future(scene: Scene, weighed: Weighed, k: int, config: BehaviourConfig) -> tuple[int, Floats]:
    """(k, everybody's (T, N, 3) motion in scenario k) under the chosen policy and what follows it there."""
    n = len(scene.actors)
    times = np.array([config.branch_s, config.horizon_s])
    then = int(weighed.verdict.then[weighed.best, k])
    pair = weighed.policies[[weighed.best, then]]
    written = np.zeros((round(config.horizon_s / STEP_S), n, 3))
    scripted = config.prediction != "reactive"
    script = weighed.scripts[k]
    record_rollout(
        weighed.scenarios.worlds[k], scene.board, pair, times, np.empty((2, n, COLUMNS)), script, scripted,
        np.empty(FEATURES), written,
    )  # fmt: skip
    return k, written


def _reason(scene: Scene, option: Option, motion: Floats, ask: Ask) -> tuple[Reason, int]:
    """Why the ego does this, and whom it concerns."""
    if scene.ends and scene.line - scene.s < AT_END_M:
        return Reason.NO_WAY, -1  # whoever else is there
    near = [i for i, agent in enumerate(scene.agents, start=1) if agent.id in option.yields]
    if option.manoeuvre == Manoeuvre.CREEP:
        return Reason.INCHES, scene.agents[near[0] - 1].id if near else -1
    if option.manoeuvre == Manoeuvre.YIELD:
        return Reason.GIVES_WAY, scene.agents[near[0] - 1].id if near else -1
    if option.manoeuvre == Manoeuvre.GO:
        who = claimants(scene)
        if not who:
            return Reason.FREE, -1
        against = scene.agents[who[0] - 1].id
        return (Reason.THEY_YIELD if they_are_first(scene, who[0]) else Reason.FIRST), against
    if scene.ends:
        return Reason.NO_WAY, -1
    if scene.line < NO_LINE and scene.line - scene.s < SETTLED_M:
        return (Reason.RED_LIGHT if scene.line_kind == RED else Reason.LINE), -1
    if ask.leads:
        return Reason.LEADER, ask.leads[0].id
    return Reason.FREE, -1


def _influence(scene: Scene, modes: list[list[Mode]]) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Ids of the claimants, P(goes first) of each if the ego commits, and P(goes | ego holds) - P(goes | ego commits)."""
    who = claimants(scene)
    if not who:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    ids = np.array([scene.agents[i - 1].id for i in who], np.int64)
    commits = np.array([sum(m.weight for m in modes[i - 1] if m.goes) for i in who])
    holds = np.array([sum(m.weight for m in modes[i - 1] if _conflicts(scene, i, m)) for i in who])
    return ids, commits, np.maximum(holds - commits, 0.0)


def _conflicts(scene: Scene, i: int, mode: Mode) -> bool:
    return bool(scene.board.pairs[0, scene.actors[i, mode.route]["path"]]["start"] >= 0)
