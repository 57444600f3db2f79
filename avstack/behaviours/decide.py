"""From percepts to a decision: the scene on the ego's present path, and on another where there is reason to leave it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from avstack.behaviours.atlas import Atlas
from avstack.behaviours.belief import Belief, update_belief
from avstack.behaviours.choose import Chosen, choose
from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.decision import Decision, Manoeuvre, Reason
from avstack.behaviours.lateral import onto_neighbour, past_obstacles, wanted_side, way_left
from avstack.behaviours.scene import Scene, Seen, read_scene, start_seeing
from avstack.perception.percepts import Percepts
from sim.interface import Indicator, VehicleSpec

URGENT_M = 120.0  # m before the last chance from which a lane change presses
PRESSING = 12.0  # s of delay that the last chance is worth
EVERY = 3  # ticks between looks at the neighbouring lane
SIGNAL_M = 25.0
TURN_BEND = 0.5  # rad of bend ahead that is signalled


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourMemory:
    """What the behaviours carry from tick to tick."""

    seen: Seen | None = None
    belief: Belief = field(default_factory=Belief)
    chosen: Chosen = field(default_factory=Chosen)


def decide(
    percepts: Percepts, atlas: Atlas, spec: VehicleSpec, seed: int, memory: BehaviourMemory, config: BehaviourConfig
) -> tuple[Decision, Scene, BehaviourMemory]:
    """The decision of this tick, the scene it was made in, and what to remember."""
    ego = percepts.ego
    seen = memory.seen or start_seeing(atlas, ego.x, ego.y, ego.heading)
    scene, seen = read_scene(percepts, atlas, spec, seen)
    shifted = past_obstacles(atlas, scene, spec)
    if shifted is not None:
        scene, seen = read_scene(percepts, atlas, spec, seen, shifted)
    belief = update_belief(memory.belief, scene, config)
    decision, chosen, cost = choose(scene, belief, memory.chosen, seed, config)
    side = wanted_side(atlas, scene)
    if side != 0 and percepts.tick % EVERY == 0 and decision.manoeuvre != Manoeuvre.BACK:
        pressing = PRESSING * max(0.0, 1.0 - way_left(atlas, scene) / URGENT_M) + 1.5
        changed = _change(percepts, atlas, spec, (seen, scene, side), belief, chosen, seed, config)
        if changed is not None and changed[2] + config.cost.change < cost + pressing:
            decision, chosen, _, scene, seen = changed
            decision = replace(decision, reason=Reason.CHANGES_LANE)
    decision = replace(decision, indicator=_indicator(scene, side))
    return decision, scene, BehaviourMemory(seen=seen, belief=belief, chosen=chosen)


def _change(
    percepts: Percepts, atlas: Atlas, spec: VehicleSpec, now: tuple[Seen, Scene, int], belief: Belief, chosen: Chosen, seed: int,
    config: BehaviourConfig,
) -> tuple[Decision, Chosen, float, Scene, Seen] | None:  # fmt: skip
    """The decision if the ego changed lanes now; None where it cannot, or would have to let somebody behind pass first."""
    seen, scene, side = now
    recipe = onto_neighbour(atlas, scene, side, (percepts.ego.x, percepts.ego.y, percepts.ego.heading))
    if recipe is None:
        return None
    other, moved = read_scene(percepts, atlas, spec, seen, recipe)
    decision, after, cost = choose(other, belief, chosen, seed, config)
    if decision.manoeuvre not in (Manoeuvre.GO, Manoeuvre.FOLLOW) or (after.option is not None and after.option.yields):
        return None
    return decision, after, cost, other, moved


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
