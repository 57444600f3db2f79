"""One decision: the policies worth comparing, the scenarios they are compared in, the tree's verdict, and what it means for
motion."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.belief import Belief, modes_of
from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.cost import prices, terms_of
from avstack.behaviours.deadlock import Standoff, takes_turn, watch
from avstack.behaviours.decision import Ask, Decision, Lead, Manoeuvre, Reason
from avstack.behaviours.response import (
    BACK,
    COLUMNS,
    CREEP,
    FEATURES,
    GO,
    MARGIN,
    NO_LINE,
    NOMINAL,
    POLICY_DTYPE,
    RED,
    STEP_S,
    record_rollout,
)
from avstack.behaviours.scene import Scene
from avstack.behaviours.tree import Mode, Scenarios, Verdict, enumerate_scenarios, judge, roll, scripts_for
from avstack.behaviours.zones import COMMITTED_M, ROW
from sim.geometry import Floats
from sim.interface import TICK_S

USUAL_ACTORS = 6
LEAST_SCENARIOS, MOST_SCENARIOS = 4, 16
ORDERED = 3
"""How many of the others the precedence order is searched over."""
CREEP_SPEED = 1.0  # m/s
CREEP_AWAY = 3.0  # m that a pedestrian is kept from a creeping car
TIME_GAP = 1.3  # s
LIKELY = 0.08  # share of a scenario that motion must be ready for
SETTLED_M = 60.0
AT_LINE_M = 0.5  # m before the place where one waits
ROLLS = 2.0  # m/s, below which it comes to rest until setting off is worth it
HOLD_BRAKE = 1.2  # m/s²
START_ACCEL = 1.2  # m/s²
OPENING_M = 4.0  # m
SAFE_RISK = 0.05  # CVaR of severity that ending a standoff may bring
STANDOFF_S, STUBBORN_S = 2.0, 9.0  # s of standing nose to nose before the one with the shorter way back, or the other, backs off
NOSE_M = 25.0
CLEAR_M = 2.5  # m further back than the narrow place
NEAR_START = 3.0  # m, never to the very start of the path


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One policy by name: what it does, and whom (ids) it lets go first."""

    manoeuvre: Manoeuvre
    yields: frozenset[int]
    brisk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the last decision was, for hysteresis. back_to: where the ego is reversing to, None when it is not; hold: place on the
    path of this key where it rests until it is worth setting off."""

    option: Option | None = None
    hold: tuple[object, float] | None = None
    standoff: Standoff = field(default_factory=Standoff)
    back_to: float | None = None
    other: int = -1


def claimants(scene: Scene) -> list[int]:
    """Actors whose zone with the ego on some way is still to be settled, soonest first (as the scene orders them)."""
    found = []
    for i, agent in enumerate(scene.agents, start=1):
        if not agent.moves:
            continue
        for r in range(len(agent.routes)):
            actor = scene.actors[i, r]
            pair = scene.board.pairs[0, actor["path"]]
            if (
                pair["start"] >= 0
                and pair["rule"] != 2
                and scene.s < pair["enter"] + COMMITTED_M
                and actor["s"] < pair["other_leave"]
            ):
                found.append(i)
                break
    return found


def arrival_order(scene: Scene, who: list[int]) -> list[int]:
    """The claimants by when they would reach the ego's way, those with priority first."""

    def key(i: int) -> float:
        actor = scene.actors[i, 0]
        pair = scene.board.pairs[0, actor["path"]]
        if pair["start"] < 0:
            return 1e3
        first = float(pair["rule"]) if abs(pair["rule"]) == 1 else float(scene.board.order[0, i])
        return max(0.0, float(pair["other_enter"] - actor["s"])) / max(float(actor["v"]), 3.0) + 3.0 * first

    return sorted(who, key=lambda i: (key(i), i))


def options_for(scene: Scene, who: list[int], config: BehaviourConfig) -> list[Option]:
    """Policies worth comparing: the ego at each place of the order, briskly or not, and inching forward."""
    if not who:
        return [Option(Manoeuvre.FOLLOW, frozenset())]
    ordered = arrival_order(scene, who)
    ids = [scene.agents[i - 1].id for i in ordered]
    first = ids[:ORDERED]
    options = [Option(Manoeuvre.GO, frozenset(), brisk) for brisk in (False, True)]
    options += [Option(Manoeuvre.YIELD, frozenset(first[:k])) for k in range(1, len(first) + 1)]
    everybody = frozenset(ids)
    if everybody not in {option.yields for option in options}:
        options.append(Option(Manoeuvre.YIELD, everybody))
    if config.creep and _may_creep(scene, who):
        options.append(Option(Manoeuvre.CREEP, everybody))
    return options


def _they_are_first(scene: Scene, i: int) -> bool:
    pair = scene.board.pairs[0, scene.actors[i, 0]["path"]]
    return bool(pair["rule"] == -1 or (pair["rule"] == 0 and scene.board.order[0, i] < 0.0))


def _waits_first(scene: Scene, i: int) -> bool:
    """Whether somebody waits at its line whose turn is before the ego's: beyond one's own line one would be taken to go."""
    actor = scene.actors[i, 0]
    by_arrival = scene.board.pairs[0, actor["path"]]["rule"] == 0 and scene.board.order[0, i] < 0.0
    return bool(by_arrival and actor["wait"] < NO_LINE)


def _may_creep(scene: Scene, who: list[int]) -> bool:
    """Only slow cars creep, only up to a zone that is near, and never near a pedestrian."""
    if scene.speed > 2.5 or scene.line < NO_LINE:
        return False
    row = scene.path.rows[min(max(int(scene.s / ROW), 0), len(scene.path.rows) - 1)]
    for agent in scene.agents:
        if agent.walks:
            away = np.hypot(float(agent.thing["x"]) - row[0], float(agent.thing["y"]) - row[1])
            if away < CREEP_AWAY + 2.5 + 0.5:
                return False
    if any(_waits_first(scene, i) for i in who):
        return False
    nearest = min(_enter(scene, i) for i in who)
    return 0.5 < nearest - MARGIN - scene.s < 12.0


def _enter(scene: Scene, i: int) -> float:
    """Where the ego's zone with an actor begins, the nearest over its ways."""
    pairs = scene.board.pairs[0, scene.actors[i, : len(scene.agents[i - 1].routes)]["path"]]
    pairs = pairs[pairs["start"] >= 0]
    return float(pairs["enter"].min()) if len(pairs) else np.inf


def policies_of(options: list[Option], scene: Scene, config: BehaviourConfig) -> NDArray[np.void]:
    """(A,) POLICY_DTYPE."""
    bit = {agent.id: 1 << i for i, agent in enumerate(scene.agents, start=1)}
    policies = np.zeros(len(options), POLICY_DTYPE)
    for k, option in enumerate(options):
        policies[k]["yields"] = sum(bit[known] for known in option.yields if known in bit)
        policies[k]["kind"] = {Manoeuvre.CREEP: CREEP, Manoeuvre.BACK: BACK}.get(option.manoeuvre, GO)
        policies[k]["accel"] = config.brisk_accel if option.brisk else config.comfort_accel
        policies[k]["cap"] = CREEP_SPEED if option.manoeuvre in (Manoeuvre.CREEP, Manoeuvre.BACK) else 100.0
        policies[k]["gap_s"] = TIME_GAP
    return policies


def branches_of(options: list[Option]) -> NDArray[np.bool_]:
    """(A, A): which policy may follow which: itself, going, and giving way to everybody or to the first."""
    count = len(options)
    allowed = np.eye(count, dtype=bool)
    widest = max(range(count), key=lambda k: (len(options[k].yields), options[k].manoeuvre != Manoeuvre.CREEP))
    narrow = min((k for k in range(count) if options[k].yields), key=lambda k: len(options[k].yields), default=widest)
    for a in range(count):
        allowed[a, 0] = allowed[a, widest] = allowed[a, narrow] = True
    return allowed


def _goes(option: Option) -> bool:
    return option.manoeuvre == Manoeuvre.GO


def turning_back(options: list[Option], config: BehaviourConfig) -> Floats:
    """(A, A) price of following policy a by c: of changing between going and giving way, and more of setting off in vain.

    A change later costs what it costs now; otherwise giving way for another second would look cheaper for ever.
    """
    goes = np.array([_goes(option) for option in options])
    changes = goes[:, None] != goes[None, :]
    return np.asarray(config.cost.switch * changes + config.cost.turn_back * (goes[:, None] & changes), np.float64)


def nominal_policy(config: BehaviourConfig) -> NDArray[np.void]:
    """(1,) what an average driver would do in the ego's place."""
    policy = np.zeros(1, POLICY_DTYPE)
    policy["kind"], policy["accel"], policy["cap"], policy["gap_s"] = NOMINAL, config.comfort_accel, 100.0, TIME_GAP
    return policy


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """Everything about one comparison."""

    options: list[Option]
    policies: NDArray[np.void]
    scenarios: Scenarios
    scripts: Floats
    verdict: Verdict
    best: int
    forced: bool = False


def weigh(scene: Scene, belief: Belief, last: Chosen, config: BehaviourConfig) -> Weighed:
    """Compare all options in the likeliest scenarios; the cheapest, the last one's preference counted in."""
    who = claimants(scene) if config.negotiate else []
    options = options_for(scene, who, config)
    policies = policies_of(options, scene, config)
    branches = branches_of(options) if config.branching != "none" else np.eye(len(options), dtype=bool)
    # a rollout takes time with the square of those in it
    work = config.rollouts * USUAL_ACTORS**2 // len(scene.actors) ** 2
    most = max(LEAST_SCENARIOS, min(MOST_SCENARIOS, work // max(int(branches.sum()), 1)))
    scenarios = enumerate_scenarios(scene.actors, modes_of(belief, scene), most)
    scripts = scripts_for(scene.board, scenarios, config, nominal_policy(config))
    features, seen = roll(scene.board, scenarios, policies, branches, scripts, config)
    verdict = judge(features, seen, branches, scenarios, prices(config), config, turning_back(options, config))
    cost = verdict.cost.copy()
    for k, option in enumerate(options):
        if last.option is not None and _goes(option) != _goes(last.option):
            cost[k] += config.cost.switch
    return Weighed(options, policies, scenarios, scripts, verdict, int(np.argmin(cost)))


def choose(scene: Scene, belief: Belief, last: Chosen, seed: int, config: BehaviourConfig) -> tuple[Decision, Chosen, float]:
    """The decision on the scene's path, what to remember of it, and its cost."""
    who = claimants(scene) if config.negotiate else []
    meeting = _nose_to_nose(scene)
    standoff = watch(last.standoff, scene, who if meeting is None else [*who, meeting[0]])
    back = backing_off(scene, last, standoff, meeting)
    if back is not None:
        return back
    weighed = weigh(scene, belief, last, config)
    weighed = _broken(weighed, scene, standoff, who, seed, config)
    option = weighed.options[weighed.best]
    hold = last.hold[1] if last.hold is not None and last.hold[0] == scene.path.key else None
    decision, held = explain(scene, belief, weighed, config, hold)
    if config.breaker and weighed.forced:
        decision = replace(decision, reason=Reason.BREAKER)
    chosen = Chosen(option=option, hold=None if held is None else (scene.path.key, held), standoff=standoff)
    return decision, chosen, float(weighed.verdict.cost[weighed.best])


def _broken(weighed: Weighed, scene: Scene, standoff: Standoff, who: list[int], seed: int, config: BehaviourConfig) -> Weighed:
    """The comparison with the ego's turn taken, where that ends a standoff and risks nothing."""
    if not config.breaker or standoff.since < 0:
        return weighed
    first = all(not _they_are_first(scene, i) for i in who)
    if not takes_turn(standoff, scene, who, first, seed):
        return weighed
    going = [k for k, option in enumerate(weighed.options) if option.manoeuvre == Manoeuvre.GO]
    going = [k for k in going if weighed.verdict.risk[k] < SAFE_RISK]
    if not going or weighed.best in going:
        return weighed
    return replace(weighed, best=min(going, key=lambda k: float(weighed.verdict.cost[k])), forced=True)


def backing_off(
    scene: Scene, last: Chosen, standoff: Standoff, meeting: tuple[int, float, float] | None
) -> tuple[Decision, Chosen, float] | None:
    """Reversing out of a place where two stand nose to nose and only one fits; None where there is no need.

    Whoever has the shorter way back goes back; after STUBBORN_S of standing also the other one. Once begun it is finished.
    """
    under_way = last.back_to is not None and scene.s > last.back_to + 0.4
    if meeting is None and not under_way:
        return None
    back_to, other = last.back_to, last.other
    if meeting is not None and not under_way:
        i, mine, theirs = meeting
        lasted = (scene.tick - standoff.since) * TICK_S if standoff.since >= 0 else 0.0
        if not (lasted > STANDOFF_S and mine < theirs + 1.0) and lasted <= STUBBORN_S:
            return None
        back_to, other = max(scene.s - mine - CLEAR_M, NEAR_START), scene.agents[i - 1].id
    plan = np.array([[scene.s, scene.speed, scene.accel]])
    decision = Decision(
        manoeuvre=Manoeuvre.BACK, reason=Reason.BACKS_OFF, path=scene.path, s=scene.s, plan=plan, ask=Ask(back_to=back_to),
        step_s=STEP_S, other=other,
    )  # fmt: skip
    option = Option(Manoeuvre.BACK, frozenset({other}))
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
    scene: Scene, belief: Belief, weighed: Weighed, config: BehaviourConfig, hold: float | None = None
) -> tuple[Decision, float | None]:
    """The verdict as a decision: the plan in the likeliest future, what motion must keep to in all likely ones, and why.

    hold: see `asks_of`.
    """
    option, verdict, scenarios = weighed.options[weighed.best], weighed.verdict, weighed.scenarios
    futures = [_future(scene, weighed, k, config) for k in range(len(scenarios.share)) if k == 0 or scenarios.share[k] > LIKELY][
        :4
    ]
    ask, held = asks_of(scene, weighed, futures, hold)
    reason, other = _reason(scene, option, futures[0][1], ask)
    others, first, influence = _influence(scene, belief)
    decision = Decision(
        manoeuvre=option.manoeuvre, reason=reason, path=scene.path, s=scene.s, plan=futures[0][1][:, 0], ask=ask, other=other,
        others=others, go_first=first, influence=influence, step_s=STEP_S,
        lets_go=np.array([int(known) in option.yields for known in others], np.int8),
        terms=terms_of(verdict.features[weighed.best], config.cost), rollouts=verdict.rollouts,
    )  # fmt: skip
    return decision, held


def _future(scene: Scene, weighed: Weighed, k: int, config: BehaviourConfig) -> tuple[int, Floats]:
    """(k, everybody's (T, N, 3) motion in scenario k) under the chosen policy and what follows it there."""
    n = len(scene.actors)
    times = np.array([config.branch_s, config.horizon_s])
    then = int(weighed.verdict.then[weighed.best, k])
    pair = weighed.policies[[weighed.best, then]]
    written = np.zeros((round(config.horizon_s / STEP_S) + 1, n, 3))
    scripted = config.prediction != "reactive"
    script = weighed.scripts[k]
    record_rollout(
        weighed.scenarios.worlds[k], scene.board, pair, times, np.empty((2, n, COLUMNS)), script, scripted,
        np.empty(FEATURES), written,
    )  # fmt: skip
    return k, written


def asks_of(
    scene: Scene, weighed: Weighed, futures: list[tuple[int, Floats]], hold: float | None = None
) -> tuple[Ask, float | None]:
    """What motion is asked to keep to: lines, zones of those that go first until they have left, and whoever drives ahead.

    hold: where the ego has been waiting for something to be worth setting off for; returned as well, None where it need not.
    """
    option = weighed.options[weighed.best]
    stops = [scene.line] if scene.line < NO_LINE else []
    windows: list[tuple[float, float]] = []
    leads: list[Lead] = []
    wait = float(scene.actors[0, 0]["wait"])
    for k, written in futures:
        world = weighed.scenarios.worlds[k]
        for j in range(1, len(world)):
            _ask_one(scene, world, j, written[:, j], (option, wait), (stops, windows, leads))
    cap = CREEP_SPEED if option.manoeuvre == Manoeuvre.CREEP else 100.0
    held = None
    if option.manoeuvre != Manoeuvre.CREEP and (wait >= NO_LINE or scene.s > wait - AT_LINE_M) and _for_nothing(scene, windows):
        if scene.speed < ROLLS:
            held = hold if hold is not None else scene.s + scene.speed**2 / (2.0 * HOLD_BRAKE)
            stops = [*stops, held]
        else:
            cap = min(cap, scene.speed)
    stops += [s for until, s in windows if until == math.inf]
    windows = [window for window in windows if window[0] < math.inf]
    return Ask(tuple(sorted(set(stops))), tuple(windows), tuple(leads), cap, option.brisk), held


def _for_nothing(scene: Scene, windows: list[tuple[float, float]]) -> bool:
    """Whether setting off or speeding up now would be for nothing: something ahead would have to be waited for all the same.

    Others take somebody who speeds up in a junction to be going.
    """
    limit = float(scene.path.rows[min(max(int(scene.s / ROW), 0), len(scene.path.rows) - 1), 4])
    ahead = [(until, s - scene.s) for until, s in windows if s > scene.s - AT_LINE_M]
    return any(_reaches(way, scene.speed, limit) < until for until, way in ahead)


def _reaches(way: float, speed: float, limit: float) -> float:
    """Seconds until the ego is `way` metres on, speeding up to the limit."""
    top = max(limit, speed)
    ramp = (top * top - speed * speed) / (2.0 * START_ACCEL)
    if way <= ramp:
        return (math.sqrt(speed * speed + 2.0 * START_ACCEL * max(way, 0.0)) - speed) / START_ACCEL
    return (top - speed) / START_ACCEL + (way - ramp) / max(top, 0.1)


def _ask_one(
    scene: Scene, world: NDArray[np.void], j: int, motion: Floats, how: tuple[Option, float],
    out: tuple[list[float], list[tuple[float, float]], list[Lead]],
) -> None:  # fmt: skip
    """Add what one actor in one future asks of the ego."""
    option, wait = how
    stops, windows, leads = out
    pair = scene.board.pairs[0, world[j]["path"]]
    if pair["start"] < 0 or float(world[j]["s"]) > float(pair["other_leave"]) or scene.s > float(pair["leave"]):
        return
    low, high = blocked(scene, int(world[j]["path"]), np.concatenate([[float(world[j]["s"])], motion[:-1, 0]]))
    here = low <= high
    along = float(pair["along"])
    known = scene.agents[j - 1].id
    if here[0] and scene.s >= low[0]:
        if scene.s < 0.5 * (low[0] + high[0]):
            if along > 0.7 and here[1]:
                leads.append(_lead(scene, known, low, here))
            else:
                stops.append(scene.s)
        return
    first = known in option.yields or bool(here[0])
    if along > 0.7 and here[0] and here[1]:
        leads.append(_lead(scene, known, low, here))
        return
    if not here[0] and (not first or pair["rule"] == 2 or scene.s >= float(pair["enter"]) + COMMITTED_M):
        return
    if not world[j]["moves"]:
        stops.append(float(low[0]) - 0.5)
        return
    bar = float(pair["enter"]) - MARGIN if not here[0] else float(low[0]) - MARGIN
    if along < -0.7 and scene.s < float(pair["enter"]):
        bar = float(pair["enter"]) - MARGIN
    if option.manoeuvre != Manoeuvre.CREEP and wait < bar and scene.s < wait + 0.5:
        bar = wait
    left = motion[:, 0] > float(pair["other_leave"])
    if along > 0.7:
        left = motion[:, 0] > float(pair["other_enter"]) + 1.0
    windows.append((STEP_S * (int(np.argmax(left)) + 1) + 0.2 if left.any() else math.inf, bar))


def _lead(scene: Scene, known: int, low: Floats, here: NDArray[np.bool_]) -> Lead:
    """Somebody ahead, by where its tail will be. For one who draws away nobody brakes: its tail counts as OPENING_M ahead at
    least."""
    count = int(np.argmin(here)) if not here.all() else len(here)
    s = np.maximum.accumulate(low[:count])
    if s[1] - s[0] > STEP_S * (scene.speed + 0.3):
        s = s + max(0.0, OPENING_M - float(s[0] - scene.s))
    return Lead(known, np.asarray(STEP_S * np.arange(count), np.float64), s)


def blocked(scene: Scene, path: int, s: Floats) -> tuple[Floats, Floats]:
    """Stretch (T,), (T,) of the ego's path that an actor on `path` blocks at s (T,); low > high for none."""
    pair = scene.board.pairs[path, 0]
    k = np.clip(s / ROW, 0, pair["rows"] - 1)
    rows = scene.board.rows[pair["start"] : pair["start"] + pair["rows"]]
    lower = np.floor(k).astype(np.int64)
    upper = np.minimum(lower + 1, pair["rows"] - 1)
    f = (k - lower)[:, None]
    both = (rows[lower, 0] <= rows[lower, 1]) & (rows[upper, 0] <= rows[upper, 1])
    mixed = np.where(both[:, None], (1.0 - f) * rows[lower] + f * rows[upper], rows[lower])
    return mixed[:, 0], mixed[:, 1]


def _reason(scene: Scene, option: Option, motion: Floats, ask: Ask) -> tuple[Reason, int]:
    """Why the ego does this, and whom it concerns."""
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
        return (Reason.THEY_YIELD if _they_are_first(scene, who[0]) else Reason.FIRST), against
    if scene.ends:
        return Reason.NO_WAY, -1
    if scene.line < NO_LINE and scene.line - scene.s < SETTLED_M:
        return (Reason.RED_LIGHT if scene.line_kind == RED else Reason.LINE), -1
    if ask.leads:
        return Reason.LEADER, ask.leads[0].id
    return Reason.FREE, -1


def _influence(scene: Scene, belief: Belief) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Ids of the claimants, P(goes first) of each if the ego commits, and P(goes | ego holds) - P(goes | ego commits)."""
    who = claimants(scene)
    if not who:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    modes = modes_of(belief, scene)
    ids = np.array([scene.agents[i - 1].id for i in who], np.int64)
    commits = np.array([sum(m.weight for m in modes[i - 1] if m.goes) for i in who])
    holds = np.array([sum(m.weight for m in modes[i - 1] if _conflicts(scene, i, m)) for i in who])
    return ids, commits, np.maximum(holds - commits, 0.0)


def _conflicts(scene: Scene, i: int, mode: Mode) -> bool:
    return bool(scene.board.pairs[0, scene.actors[i, mode.route]["path"]]["start"] >= 0)
