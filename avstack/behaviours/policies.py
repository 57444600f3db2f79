"""The policies worth comparing: who has a claim against the ego, at which place of their order it may go, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.decision import Manoeuvre
from avstack.behaviours.response import BACK, CLAIM_S, CREEP, GO, MARGIN, NO_LINE, NOMINAL, POLICY_DTYPE
from avstack.behaviours.scene import Scene
from avstack.behaviours.tree import Mode, Scenarios, Verdict
from avstack.behaviours.zones import COMMITTED_M, ROW
from sim.geometry import Floats

ORDERED = 3
"""How many of the others the precedence order is searched over."""
CREEP_SPEED = 1.0  # m/s
CREEP_AWAY, PROBED_M = 3.0, 8.0  # m that a person is kept from a creeping car, and from where one takes it for a threat
NOSE_TO_CENTRE = 3.0  # m from the ego's middle to its corners, at most
TIME_GAP = 1.3  # s
ROLLS = 2.0  # m/s, below which one may as well stand


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One policy by name: what it does, and whom (ids) it lets go first."""

    manoeuvre: Manoeuvre
    yields: frozenset[int]
    brisk: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """Everything about one comparison. modes: what each agent may be."""

    options: list[Option]
    policies: NDArray[np.void]
    modes: list[list[Mode]]
    scenarios: Scenarios
    scripts: Floats
    verdict: Verdict
    best: int
    forced: bool = False
    latched: bool = False


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


def they_are_first(scene: Scene, i: int) -> bool:
    """Whether the rules let actor i go before the ego."""
    pair = scene.board.pairs[0, scene.actors[i, 0]["path"]]
    return bool(pair["rule"] == -1 or (pair["rule"] == 0 and scene.board.order[0, i] < 0.0))


def _waits_first(scene: Scene, i: int) -> bool:
    """Whether somebody waits at its line whose turn is before the ego's: beyond one's own line one would be taken to go."""
    actor = scene.actors[i, 0]
    by_arrival = scene.board.pairs[0, actor["path"]]["rule"] == 0 and scene.board.order[0, i] < 0.0
    return bool(by_arrival and actor["wait"] < NO_LINE)


def _comes_first(scene: Scene, i: int) -> bool:
    """Whether somebody with right of way is about to come, who would brake for a car that rolls towards its way."""
    actor = scene.actors[i, 0]
    pair = scene.board.pairs[0, actor["path"]]
    if pair["start"] < 0 or pair["rule"] != -1 or actor["s"] > pair["other_enter"]:
        return False
    way, speed = float(pair["other_enter"] - actor["s"]), float(actor["v"])
    return speed > ROLLS and way < CLAIM_S * speed


def nearness_to_people(scene: Scene) -> float:
    """How near the nearest person on foot is that a car which inches forward comes up to: 1 at CREEP_AWAY and less, 0 from
    PROBED_M on."""
    x, y = _place(scene)
    away = [math.hypot(float(a.thing["x"]) - x, float(a.thing["y"]) - y) - NOSE_TO_CENTRE for a in scene.agents if a.walks]
    near = (PROBED_M - min(away, default=PROBED_M)) / (PROBED_M - CREEP_AWAY)
    return min(max(near, 0.0), 1.0)


def _place(scene: Scene) -> tuple[float, float]:
    """Where the ego is on its path."""
    row = scene.path.rows[min(max(int(scene.s / ROW), 0), len(scene.path.rows) - 1)]
    return float(row[0]), float(row[1])


def _may_creep(scene: Scene, who: list[int]) -> bool:
    """Only slow cars creep, only up to a zone that is near, and never near a pedestrian."""
    if scene.speed > 2.5 or scene.line < NO_LINE:
        return False
    if nearness_to_people(scene) >= 1.0:
        return False
    if any(_waits_first(scene, i) or _comes_first(scene, i) for i in who):
        return False
    nearest = min(zone_begins(scene, i) for i in who)
    return 0.5 < nearest - MARGIN - scene.s < 12.0


def zone_begins(scene: Scene, i: int) -> float:
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


def goes(option: Option) -> bool:
    """Whether a policy sets off without giving way to anybody."""
    return option.manoeuvre == Manoeuvre.GO


def turning_back(options: list[Option], config: BehaviourConfig) -> Floats:
    """(A, A) price of following policy a by c: of changing between going and giving way, and more of setting off in vain.

    A change later costs what it costs now; otherwise giving way for another second would look cheaper for ever.
    """
    setting_off = np.array([goes(option) for option in options])
    changes = setting_off[:, None] != setting_off[None, :]
    return np.asarray(config.cost.switch * changes + config.cost.turn_back * (setting_off[:, None] & changes), np.float64)


def nominal_policy(config: BehaviourConfig) -> NDArray[np.void]:
    """(1,) what an average driver would do in the ego's place."""
    policy = np.zeros(1, POLICY_DTYPE)
    policy["kind"], policy["accel"], policy["cap"], policy["gap_s"] = NOMINAL, config.comfort_accel, 100.0, TIME_GAP
    return policy
