"""From percepts to a decision: the scene on the ego's present path, and on another where there is reason to leave it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from avstack.behaviours import lateral, own_path
from avstack.behaviours.atlas import EASY_BRAKE, Atlas, on_route
from avstack.behaviours.belief import Belief, Privilege, update_belief
from avstack.behaviours.choose import Chosen, choose
from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.decision import Decision, Lead, Manoeuvre, Reason
from avstack.behaviours.lateral import onto_neighbour, past_obstacles, wanted_side, way_left
from avstack.behaviours.own_path import Recipe
from avstack.behaviours.scene import Scene, Seen, read_scene, start_seeing
from avstack.perception.percepts import Percepts
from sim.interface import TICK_S, Indicator, VehicleSpec

URGENT_M = 120.0  # m before the last chance from which a lane change presses
PRESSING = 12.0  # s of delay that the last chance is worth
AGAIN_TICKS = 20  # ticks after a lane change was given up before the next is thought of
EVERY = 3  # ticks between looks at the neighbouring lane
MISSED_TICKS = 4  # ticks without what the ego goes round after which it is not there
STANDS, STUCK_S = 0.1, 2.0  # m/s; s of standing before something that cannot be passed from here, after which the ego backs up
SIGNAL_M = 25.0
LEAD_ROOM_M, LEAD_ROOM_S = 3.5, 2.0  # m, s of closing speed: room behind whom one changes lanes
SLIP = 3.0  # m/s, by which one may pass those whom one wants to get in between
EASES = 0.5  # m/s², braking that is no reason against a lane change
LEAST_PACE = 2.0  # m/s, slower than which nobody drives for being early
EASES_OFF = 1.0  # m/s less than one drives, which is let go of without a jolt
TURN_BEND = 0.5  # rad of bend ahead that is signalled


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourMemory:
    """What the behaviours carry from tick to tick. aborted: when a lane change was last given up; eased: most speed [m/s] with
    which the ego may come up to those on the lane that it wants to change to; stood: ticks for which the ego has stood;
    missed: ticks for which what it goes round was not seen; privilege: for one tick, see `belief.Privilege`."""

    seen: Seen | None = None
    belief: Belief = field(default_factory=Belief)
    chosen: Chosen = field(default_factory=Chosen)
    aborted: int = -1000
    eased: float = math.inf
    stood: int = 0
    missed: int = 0
    privilege: Privilege | None = None


def changing(scene: Scene) -> bool:
    """Whether the ego has begun to change lanes and is still nearer to the lane it comes from."""
    blend = scene.recipe.blend
    if not scene.recipe.changes or blend is None:
        return False
    left = float(own_path.offsets(scene.recipe, np.array([scene.s]))[0])
    return abs(left) > 0.6 * abs(blend[2])


def _look(
    percepts: Percepts, atlas: Atlas, spec: VehicleSpec, seen: Seen, config: BehaviourConfig, recipe: Recipe | None = None
) -> tuple[Scene, Seen]:
    """The scene of this tick, with others as the configuration has them respond."""
    scene, seen = read_scene(percepts, atlas, spec, seen, recipe)
    if config.response_scale != 1.0:
        others = scene.actors[1:]
        for name in ("accel", "brake"):
            others[name] *= config.response_scale
        scene.board.order[...] *= config.response_scale
    return scene, seen


def decide(
    percepts: Percepts, atlas: Atlas, spec: VehicleSpec, seed: int, memory: BehaviourMemory, config: BehaviourConfig
) -> tuple[Decision, Scene, BehaviourMemory]:
    """The decision of this tick, the scene it was made in, and what to remember."""
    ego = percepts.ego
    seen = memory.seen or start_seeing(atlas, ego.x, ego.y, ego.heading)
    scene, seen = _look(percepts, atlas, spec, seen, config)
    shifted = past_obstacles(atlas, scene, spec)
    if shifted is not None:
        scene, seen = _look(percepts, atlas, spec, seen, config, shifted)
    stood = memory.stood + 1 if abs(ego.speed) < STANDS else 0
    stuck = stood * TICK_S > STUCK_S
    gone = lateral.outlived(atlas, scene, spec)
    missed = memory.missed + 1 if gone else 0
    if missed > MISSED_TICKS:
        scene, seen = _look(percepts, atlas, spec, seen, config, own_path.without(scene.recipe, gone, scene.s, scene.speed))
    way_back = lateral.way_back(atlas, scene, spec) if stuck else None
    if way_back is not None and not lateral.has_room_behind(ego, spec, percepts.things, scene.s - way_back):
        way_back = None
    learned = update_belief(memory.belief, scene, config)
    belief = learned if memory.privilege is None else memory.privilege.inform(learned, scene)
    decision, chosen, cost = choose(scene, belief, memory.chosen, seed, config, way_back)
    aborted = memory.aborted
    if chosen.option is not None and chosen.option.yields and changing(scene) and _braking_asked(decision, scene) > EASY_BRAKE:
        back = own_path.begin_recipe(atlas, ego.x, ego.y, ego.heading)
        scene, seen = _look(percepts, atlas, spec, seen, config, back)
        decision, chosen, cost = choose(scene, belief, memory.chosen, seed, config)
        aborted = percepts.tick
    side = wanted_side(atlas, scene)
    patient = percepts.tick - aborted > AGAIN_TICKS
    eased = memory.eased if side != 0 else math.inf
    if side != 0 and patient and percepts.tick % EVERY == 0 and decision.manoeuvre != Manoeuvre.BACK:
        pressing = PRESSING * max(0.0, 1.0 - way_left(atlas, scene) / URGENT_M) + 1.5
        changed = _change(percepts, atlas, spec, (seen, scene, side), belief, chosen, seed, config)
        eased = math.inf if changed is None else _eased(changed[0], changed[3])
        if changed is not None and _has_room(changed[0], changed[3]) and changed[2] + config.cost.change < cost + pressing:
            decision, chosen, _, scene, seen = changed
            decision, eased = replace(decision, reason=Reason.CHANGES_LANE), math.inf
    cap = min(decision.ask.cap, eased, _pace(atlas, scene))
    decision = replace(decision, ask=replace(decision.ask, cap=cap))
    decision = replace(decision, indicator=_indicator(scene, side))
    return decision, scene, BehaviourMemory(
        seen=seen, belief=learned, chosen=chosen, aborted=aborted, eased=eased, stood=stood, missed=missed
    )  # fmt: skip


def _change(
    percepts: Percepts, atlas: Atlas, spec: VehicleSpec, now: tuple[Seen, Scene, int], belief: Belief, chosen: Chosen, seed: int,
    config: BehaviourConfig,
) -> tuple[Decision, Chosen, float, Scene, Seen] | None:  # fmt: skip
    """The decision if the ego changed lanes now; None where it cannot."""
    seen, scene, side = now
    recipe = onto_neighbour(atlas, scene, side, (percepts.ego.x, percepts.ego.y, percepts.ego.heading))
    if recipe is None:
        return None
    other, moved = _look(percepts, atlas, spec, seen, config, recipe)
    decision, after, cost = choose(other, belief, chosen, seed, config)
    if decision.manoeuvre not in (Manoeuvre.GO, Manoeuvre.FOLLOW, Manoeuvre.YIELD):
        return None
    return decision, after, cost, other, moved


def _has_room(decision: Decision, scene: Scene) -> bool:
    """Whether what motion would be asked for can be kept with next to no braking for it."""
    for lead in decision.ask.leads:
        closing = max(scene.speed - _speed(lead), 0.0)
        if lead.s[0] - scene.s < LEAD_ROOM_M + closing * max(LEAD_ROOM_S, 0.5 * closing / EASY_BRAKE):
            return False
    nearest = min(decision.ask.stops, default=math.inf)
    return nearest - scene.s > scene.speed**2 / (2.0 * EASY_BRAKE) and _braking_asked(decision, scene) <= EASES


def _speed(lead: Lead) -> float:
    """How fast somebody ahead drives [m/s]."""
    return float(lead.s[1] - lead.s[0]) / float(lead.t[1] - lead.t[0])


def _eased(decision: Decision, scene: Scene) -> float:
    """Most speed [m/s] from which the ego comes down at its ease behind those who would be ahead of it on the other lane."""
    most = math.inf
    for lead in decision.ask.leads:
        way = max(float(lead.s[0]) - scene.s - LEAD_ROOM_M, 0.0)
        most = min(most, math.sqrt((_speed(lead) + SLIP) ** 2 + 2.0 * EASY_BRAKE * way))
    return most


def _pace(atlas: Atlas, scene: Scene) -> float:
    """Most speed [m/s] with which the ego comes no earlier than it should to the middle of where it is to be.

    inf where any time will do, the time has come, or that place lies behind. Nobody brakes for being early: one eases off.
    """
    schedule, lane = atlas.route.schedule, scene.path.lane_at(scene.s)
    if schedule is None or lane < 0 or not on_route(atlas, lane):
        return math.inf
    left = float(atlas.steps["to_goal"][lane]) - (scene.s - scene.path.starts[scene.path.lanes.index(lane)])
    early = schedule.earliest - scene.tick * TICK_S
    if left <= schedule.leave or early <= 0.0:
        return math.inf
    even = 0.5 * (max(left - schedule.enter, 0.0) + left - schedule.leave) / early
    return max(even, schedule.least_speed, LEAST_PACE, scene.speed - EASES_OFF)


def _braking_asked(decision: Decision, scene: Scene) -> float:
    """Even braking [m/s²] with which the ego comes to no place before it may."""
    v, hardest = scene.speed, 0.0
    for until, s in decision.ask.windows:
        way = max(s - scene.s, 0.1)
        if v * until > way:
            # slowed down until then, or at rest before it
            hardest = max(hardest, 2.0 * (v * until - way) / until**2 if 2.0 * way > v * until else v * v / (2.0 * way))
    return hardest


def _indicator(scene: Scene, side: int) -> int:
    """Turn signal for a lane change, a shift, or the bend ahead."""
    blend = scene.recipe.blend
    if scene.recipe.changes and blend is not None and scene.s < blend[0] + 0.8 * blend[1]:
        return int(Indicator.RIGHT if blend[2] > 0.0 else Indicator.LEFT)
    if side != 0:
        return int(Indicator.LEFT if side > 0 else Indicator.RIGHT)
    first = int(scene.s / 0.5)
    rows = scene.path.rows[first : first + int(SIGNAL_M / 0.5)]
    bend = float(rows[:, 5].sum() * 0.5)
    if abs(bend) > TURN_BEND:
        return int(Indicator.LEFT if bend > 0.0 else Indicator.RIGHT)
    return int(Indicator.OFF)
