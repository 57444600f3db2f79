"""What there is to decide about: the ego on its path, the others on theirs, and the tables between all of these.

Actor 0 is the ego; the others are those whose ways meet its own soonest, at most OTHERS of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours import own_path
from avstack.behaviours.atlas import Atlas, Path, Stop, needs_stop
from avstack.behaviours.hypotheses import Route, on_foot, rests, spot, ways
from avstack.behaviours.own_path import Recipe
from avstack.behaviours.precedence import (
    SETTLED,
    Visit,
    arrival,
    idling,
    lets_tie_go,
    lost,
    next_stop,
    recognised,
    rests_beyond,
    visited,
)
from avstack.behaviours.response import ACTOR_DTYPE, NO_LINE, RED, SIGN, Board
from avstack.behaviours.zones import PAIR_DTYPE, ROW
from avstack.perception.percepts import DRIVEN_THROUGH, EXISTS, Percepts
from avstack.safety.assumptions import Assumptions
from sim.geometry import Floats
from sim.interface import TICK_S, Colour, Kind, VehicleSpec
from sim.roads.lane_map import Regulation

BICYCLE = int(Kind.BICYCLE)
OTHERS = 6
KNOWN_WAYS = 2  # likeliest ways of somebody on which others are expected to reckon with him
LOOKED_AT = 16
REACH = 90.0  # m, at least
REACH_BRAKE = 1.7  # m/s², with which the ego can come down to the speed of those it meets at the end of its reach
SKIN_LENGTH, SKIN_WIDTH = 0.4, 0.3  # m added to the ego's box
WALKER_SKIN = 0.6  # m added to a pedestrian's
AT_LINE_M = 1.6  # m before its line from where the ego has stopped at it
AMBER_BRAKE = 2.6  # m/s², braking that an amber light is worth
LIMITS_ROWS = 640
END_IN_SIGHT_M, END_ROOM_M = 150.0, 1.0
PAST_GOAL_BRAKE = 1.3  # m/s², with which the ego stops that has come past its goal
LINE_M = 0.3  # m before a line at which the ego's front rests
NOMINAL_ASSUMPTIONS = Assumptions().numbers()
STALLED_S = 8.0  # s of standing for no reason after which a vehicle will not move by itself
QUEUE_M, QUEUE_WIDTH = 15.0, 3.0  # m ahead of one who stands within which a line or somebody is a reason, and to each side
LIKELY_WAY = 0.25  # share of a way that counts for who keeps whom from going


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """Another road user. size: length and width [m], rounded up. arrives: when it reached or will reach its line [s from now];
    visit: its coming to the junction so far."""

    id: int
    thing: np.void
    routes: tuple[Route, ...]
    size: tuple[float, float]
    walks: bool
    moves: bool
    arrives: float
    visit: Visit


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One tick, ready to be decided about.

    paths: path 0 is the ego's. actors: (N, ROUTES) ACTOR_DTYPE, a row's first `len(agent.routes)` are its ways; row 0 the ego's.
    line: where the ego's centre rests at its next line, NO_LINE for none; ends: there is no way on beyond it.
    """

    tick: int
    path: Path
    recipe: Recipe
    s: float
    d: float
    speed: float
    accel: float
    agents: tuple[Agent, ...]
    paths: tuple[Path, ...]
    actors: NDArray[np.void]
    board: Board
    line: float
    line_kind: int
    static: tuple[np.void, ...]
    crowd: int
    ends: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What must be remembered of the past: how far everybody's coming to a junction is, by id, and the ego's own; whether the ego
    has come past its goal."""

    recipe: Recipe
    s: float
    visits: dict[int, Visit] = field(default_factory=dict)
    own: Visit = field(default_factory=Visit)
    past_goal: bool = False


def start_seeing(atlas: Atlas, x: float, y: float, heading: float) -> Seen:
    """Memory for an ego at this pose."""
    recipe = own_path.begin_recipe(atlas, x, y, heading)
    return Seen(recipe=recipe, s=own_path.project(own_path.lay(atlas, recipe), x, y)[0])


def rounded_size(length: float, width: float) -> tuple[float, float]:
    """Sizes in steps, so that tables can be used again."""
    return math.ceil(2.0 * length - 1e-6) / 2.0, math.ceil(10.0 * width - 1e-6) / 10.0


def stops_here(stop: Stop, signals: NDArray[np.int32], distance: float, speed: float) -> int:
    """SIGN, RED or 0: what holds somebody at this line who is `distance` [m] before it."""
    if stop.signal >= 0 and stop.signal < len(signals):
        colour = int(signals[stop.signal])
        if colour == Colour.RED:
            return RED
        if colour == Colour.YELLOW:
            return RED if speed * speed <= 2.0 * AMBER_BRAKE * max(distance, 0.01) else 0
        if colour == Colour.GREEN:
            return 0
    return SIGN if needs_stop(stop.regulation) else 0


def read_scene(
    percepts: Percepts, atlas: Atlas, spec: VehicleSpec, seen: Seen, recipe: Recipe | None = None
) -> tuple[Scene, Seen]:
    """Scene of this tick and what is remembered of it. recipe: another path than the one in memory, for what-if questions."""
    ego = percepts.ego
    seen = place_ego(atlas, ego.x, ego.y, ego.heading, ego.speed, seen) if recipe is None else replace(seen, recipe=recipe)
    path = own_path.lay(atlas, seen.recipe)
    s, d = own_path.project(path, ego.x, ego.y, seen.s if recipe is None else None)
    size = rounded_size(spec.length + SKIN_LENGTH, spec.width + SKIN_WIDTH)
    near = _near(percepts, path, s)
    agents, static = [], []
    for thing in near:
        agent = _read_agent(atlas, thing, percepts, seen, stalled=stands_for_no_reason(atlas, thing, percepts))
        if agent is not None:
            agents.append(agent)
            if not agent.moves:
                static.append(thing)
    chosen = _most_relevant(atlas, agents, path, size, s, ego.speed)
    own = visited(seen.own, path, s + 0.5 * spec.length, ego.speed, percepts.tick, at_line=AT_LINE_M)
    past_goal = seen.past_goal or _past_goal(atlas, path, s)
    seen = replace(
        seen, own=own, past_goal=past_goal, visits=lost(seen.visits, percepts.tick) | {agent.id: agent.visit for agent in agents}
    )
    scene = _assemble(percepts, atlas, spec, seen, path, (s, d), size, chosen)
    kept = np.maximum(_kept(scene), _kept_by(atlas, chosen, agents))
    visits = idling(seen.visits, [agent.id for agent in chosen], kept, percepts.tick)
    return replace(scene, static=tuple(static), crowd=len(agents)), replace(seen, s=s, visits=visits)


def place_ego(atlas: Atlas, x: float, y: float, heading: float, speed: float, seen: Seen) -> Seen:
    """Follow the ego along its path; lay the path anew where it runs out or the ego has left it."""
    path = own_path.lay(atlas, seen.recipe)
    s, d = own_path.project(path, x, y, seen.s)
    if abs(d) > own_path.STRAY:
        recipe = own_path.begin_recipe(atlas, x, y, heading)
        return replace(seen, recipe=recipe, s=own_path.project(own_path.lay(atlas, recipe), x, y)[0])
    recipe, s = own_path.renewed(atlas, seen.recipe, path, s)
    return replace(seen, recipe=recipe, s=s)


def reach(speed: float) -> float:
    """How far ahead [m] the ego looks at this speed: whoever comes fast has to think of the next zone further before it."""
    return max(REACH, speed * speed / (2.0 * REACH_BRAKE))


def _near(percepts: Percepts, path: Path, s: float) -> list[np.void]:
    """Things that may matter, nearest to the way ahead first."""
    things = percepts.things
    if len(things) == 0:
        return []
    rows = path.rows[max(0, int((s - 10.0) / ROW)) : int((s + reach(percepts.ego.speed)) / ROW) : 8]
    if len(rows) == 0:
        rows = path.rows[-1:]
    away = np.hypot(things["x"][:, None] - rows[:, 0], things["y"][:, None] - rows[:, 1])
    ahead = 0.15 * 4.0 * np.arange(len(rows))
    score = (away + ahead).min(axis=1)
    keep = (things["existence"] > EXISTS) & (things["drive_through"] < DRIVEN_THROUGH)
    keep &= away.min(axis=1) < 30.0 + 6.5 * np.abs(things["speed"])
    order = [int(k) for k in np.argsort(score, kind="stable") if keep[k]]
    return [things[k] for k in order[:LOOKED_AT]]


def stands_for_no_reason(atlas: Atlas, thing: np.void, percepts: Percepts) -> bool:
    """Whether a vehicle has stood for STALLED_S where nothing that one sees keeps it: no line, no junction, and neither anybody
    nor the ego ahead."""
    if float(thing["standing"]) * TICK_S < STALLED_S or on_foot(thing) or rests(thing):
        return False
    place = next((p for p in atlas.places(float(thing["x"]), float(thing["y"]), float(thing["heading"])) if p.facing > 0.3), None)
    if place is None:
        return False
    lanes, front = atlas.road_map.lanes, 0.5 * float(thing["length"])
    to_end = float(lanes["length"][place.lane]) - place.s - front
    if lanes["junction"][place.lane] >= 0 or to_end < QUEUE_M or 0.0 <= lanes["stop_s"][place.lane] - place.s < QUEUE_M + front:
        return False
    there = percepts.things[percepts.things["existence"] > EXISTS]
    dx = np.append(there["x"], percepts.ego.x) - float(thing["x"])
    dy = np.append(there["y"], percepts.ego.y) - float(thing["y"])
    cos, sin = math.cos(float(thing["heading"])), math.sin(float(thing["heading"]))
    along, beside = dx * cos + dy * sin, np.abs(dy * cos - dx * sin)
    return not bool(np.any((along > 1.0) & (along < front + QUEUE_M) & (beside < QUEUE_WIDTH)))


def _read_agent(atlas: Atlas, thing: np.void, percepts: Percepts, seen: Seen, *, stalled: bool) -> Agent | None:
    known = int(thing["id"])
    routes = (spot(thing),) if stalled else tuple(ways(atlas, thing, percepts.tick))
    if not routes:
        return None
    walks = on_foot(thing)
    grow = WALKER_SKIN if walks else 0.0
    size = rounded_size(float(thing["length"]) + grow, float(thing["width"]) + grow)
    moves = not rests(thing) and not stalled and not (len(routes) == 1 and routes[0].path.length <= ROW)
    # speeds measured of who stands are not zero
    route, speed = routes[0], 0.0 if thing["standing"] > 0 else float(thing["speed"])
    front, lane = route.s + 0.5 * float(thing["length"]), route.path.lane_at(route.s)
    inside = lane >= 0 and bool(atlas.road_map.lanes["junction"][lane] >= 0)
    visit = recognised(seen.visits, known, float(thing["x"]), float(thing["y"]), speed, percepts.tick)
    visit = visited(visit, route.path, front, speed, percepts.tick, inside)
    arrives = arrival(visit, route.path, front, speed, percepts.tick)
    return Agent(known, thing, routes, size, walks, moves, arrives, visit)


def _most_relevant(
    atlas: Atlas, agents: list[Agent], path: Path, size: tuple[float, float], s: float, speed: float
) -> list[Agent]:
    """Those whose ways meet the ego's soonest."""
    scored = []
    for order, agent in enumerate(agents):
        best = math.inf
        for route in agent.routes:
            pair, _ = atlas.pair_ahead(path, size, route.path, agent.size, s, route.s)
            record = pair[0]
            if record["start"] < 0 or record["leave"] < s or record["other_leave"] < route.s:
                continue
            settled = record["rule"] == 2 or record["enter"] <= s
            if settled and agent.moves and record["along"] > 0.7 and _is_behind(atlas, pair, s, route):
                continue
            mine = max(0.0, float(record["enter"]) - s)
            theirs = max(0.0, float(record["other_enter"]) - route.s)
            if mine > reach(speed):
                continue
            best = min(best, mine / max(speed, 4.0) + 0.7 * theirs / max(abs(float(agent.thing["speed"])), 4.0))
        if best < math.inf:
            scored.append((best, order, agent))
    scored.sort(key=lambda item: item[:2])
    return [agent for _, _, agent in scored[:OTHERS]]


def _is_behind(atlas: Atlas, pair: NDArray[np.void], s: float, route: Route) -> bool:
    """Whether a follower on the same way is behind: what the ego blocks of its path is ahead of it."""
    row = int(pair["start"][0]) + min(max(int(s / ROW), 0), int(pair["rows"][0]) - 1)
    low, high = atlas.rows[row]
    return bool(low <= high and route.s < 0.5 * (low + high))


def _kept(scene: Scene) -> Floats:
    """(A,) whether somebody who is in the junction keeps each agent from going; on their likely ways."""
    agents, pairs = scene.agents, scene.board.pairs
    kept = np.zeros(len(agents))
    for i, agent in enumerate(agents, start=1):
        for j, other in enumerate(agents, start=1):
            if i == j or other.visit.entered < 0:
                continue
            for r, route in enumerate(agent.routes):
                for q, way in enumerate(other.routes):
                    pair = pairs[scene.actors[i, r]["path"], scene.actors[j, q]["path"]]
                    likely = route.weight > LIKELY_WAY and way.weight > LIKELY_WAY
                    if likely and pair["start"] >= 0 and way.s < float(pair["other_leave"]):
                        kept[i - 1] = 1.0
    return kept


def _kept_by(atlas: Atlas, waiting: list[Agent], agents: list[Agent]) -> Floats:
    """(W,) the same for those who wait, by those in the junction who are none of the ego's business."""
    within = [agent for agent in agents if agent.visit.entered >= 0 and agent not in waiting]
    return np.array([float(any(_keeps(atlas, other, agent) for other in within)) for agent in waiting])


def _keeps(atlas: Atlas, other: Agent, agent: Agent) -> bool:
    """Whether one in the junction has still to leave a likely way of another."""
    if agent.visit.arrived < 0 or agent.visit.entered >= 0:
        return False
    for route in agent.routes:
        for way in other.routes:
            if route.weight > LIKELY_WAY and way.weight > LIKELY_WAY:
                pair = atlas.pair_ahead(route.path, agent.size, way.path, other.size, route.s, way.s)[0][0]
                if pair["start"] >= 0 and way.s < float(pair["other_leave"]):
                    return True
    return False


def _assemble(
    percepts: Percepts, atlas: Atlas, spec: VehicleSpec, seen: Seen, path: Path, at: tuple[float, float],
    size: tuple[float, float], agents: list[Agent],
) -> Scene:  # fmt: skip
    ego = percepts.ego
    s, d = at
    count = 1 + len(agents)
    actors = np.zeros((count, 4), ACTOR_DTYPE)
    paths: list[Path] = [path]
    owner, places = [0], [s]
    own = _own_actor(percepts, spec, seen, path, s)
    actors[0] = own
    for i, agent in enumerate(agents, start=1):
        for k, route in enumerate(agent.routes):
            actors[i, k] = _actor(agent, route, percepts.signals, len(paths))
            paths.append(route.path)
            owner.append(i)
            places.append(route.s)
    sizes = [size, *(agent.size for agent in agents)]
    board = _board(atlas, paths, owner, places, sizes, _orders(seen, agents, percepts, own, path, spec))
    return Scene(
        tick=percepts.tick, path=path, recipe=seen.recipe, s=s, d=d, speed=ego.speed, accel=ego.accel, agents=tuple(agents),
        paths=tuple(paths), actors=actors, board=board, line=float(own["line"]), line_kind=int(own["line_kind"]), static=(),
        crowd=0, ends=_end_of_way(seen, path, s, ego.speed, spec) < NO_LINE,
    )  # fmt: skip


def _past_goal(atlas: Atlas, path: Path, s: float) -> bool:
    """Whether the goal lies behind the ego on this path."""
    last = atlas.route.lanes[-1]
    return last in path.lanes and s > path.starts[path.lanes.index(last)] + atlas.route.goal_s


def _end_of_way(seen: Seen, path: Path, s: float, speed: float, spec: VehicleSpec) -> float:
    """Where the ego's centre has to rest because there is no way on [m]: NO_LINE for nowhere yet.

    END_ROOM_M before the end of lanes that end before the goal; past the goal, where braking evenly from here leads.
    """
    if seen.past_goal:
        return s + speed * speed / (2.0 * PAST_GOAL_BRAKE)
    ends = seen.recipe.beyond < 0.0 and path.length - s < END_IN_SIGHT_M and path.length < own_path.LONGEST - 1.0
    return path.length - 0.5 * spec.length - END_ROOM_M if ends else NO_LINE


def _own_actor(percepts: Percepts, spec: VehicleSpec, seen: Seen, path: Path, s: float) -> np.void:
    actor: np.void = np.zeros(1, ACTOR_DTYPE)[0]
    half = 0.5 * spec.length
    actor["attends"], actor["moves"], actor["eager"], actor["accel"], actor["brake"] = 1, 1, 1.0, 1.4, 2.0
    actor["s"], actor["v"], actor["a"] = s, percepts.ego.speed, percepts.ego.accel
    actor["line"] = actor["wait"] = NO_LINE
    stop = next_stop(path, s + half)
    if stop is not None:
        actor["wait"] = stop.front - half - LINE_M
        kind = stops_here(stop, percepts.signals, stop.front - s - half, percepts.ego.speed)
        if kind == RED or (kind == SIGN and seen.own.stopped != stop.lane):
            actor["line"], actor["line_kind"] = stop.front - half - LINE_M, kind
    end = _end_of_way(seen, path, s, percepts.ego.speed, spec)
    if end < float(actor["line"]):
        actor["line"], actor["line_kind"] = end, RED
    return actor


def _actor(agent: Agent, route: Route, signals: NDArray[np.int32], path: int) -> np.void:
    """The actor record of one agent on one of its ways."""
    thing = agent.thing
    actor: np.void = np.zeros(1, ACTOR_DTYPE)[0]
    half = 0.5 * float(thing["length"])
    speed = math.hypot(float(thing["vx"]), float(thing["vy"])) if agent.walks else max(float(thing["speed"]), 0.0)
    accel = float(thing["accel"])
    if thing["standing"] > 0 and not agent.walks:
        speed = accel = 0.0  # what is measured of who stands is noise
    actor["path"], actor["attends"], actor["moves"], actor["walks"] = path, 1, int(agent.moves), int(agent.walks)
    actor["s"], actor["v"], actor["a"] = route.s, speed, accel
    heavy = float(thing["length"]) > 7.0
    actor["accel"], actor["brake"] = (1.0, 2.0) if agent.walks else (0.8, 1.8) if heavy else (1.3, 2.0)
    limit = float(route.path.rows[min(max(int(route.s / ROW), 0), len(route.path.rows) - 1), 4])
    actor["eager"] = _eagerness(agent, speed, limit)
    actor["standing"] = TICK_S * float(thing["standing"])
    actor["threshold"] = 0.5
    actor["line"] = actor["wait"] = NO_LINE
    stop = next_stop(route.path, route.s + half)
    if rests_beyond(route.path, route.s + half, speed):
        actor["wait"] = route.s
    elif stop is not None and not agent.walks:
        actor["wait"] = stop.front - half
        kind = stops_here(stop, signals, stop.front - route.s - half, speed)
        if kind == RED or (kind == SIGN and agent.visit.stopped != stop.lane):
            actor["line"], actor["line_kind"] = stop.front - half, kind
    return actor


def _eagerness(agent: Agent, speed: float, limit: float) -> float:
    """Share of the limit that it wants, at least what it drives now."""
    if agent.walks:
        return max(1.35, speed) / max(limit, 0.1)
    if agent.thing["kind"] == BICYCLE:
        return max(5.0, speed) / max(limit, 5.0)
    return min(max(1.0, speed / max(limit, 1.0)), 1.3)


def _orders(seen: Seen, agents: list[Agent], percepts: Percepts, own: np.void, path: Path, spec: VehicleSpec) -> Floats:
    """order[i, j] in [-1, 1]: 1 where actor i arrived at least a second before actor j; SETTLED where j came about when the ego
    did and has let its turn go by."""
    mine = arrival(seen.own, path, float(own["s"]) + 0.5 * spec.length, percepts.ego.speed, percepts.tick)
    came = np.array([mine, *(agent.arrives for agent in agents)])
    order = np.asarray(np.clip(came[None, :] - came[:, None], -1.0, 1.0))
    for k, agent in enumerate(agents, start=1):
        if order[0, k] < SETTLED and lets_tie_go(agent.visit, -float(order[0, k]), percepts.tick):
            order[0, k], order[k, 0] = SETTLED, -SETTLED
    return order


def _board(
    atlas: Atlas, paths: list[Path], owner: list[int], places: list[float], sizes: list[tuple[float, float]], order: Floats
) -> Board:
    """Tables between all paths of different owners; places: where on its path each owner is [m]."""
    count = len(paths)
    pairs = np.zeros((count, count), PAIR_DTYPE)
    pairs["start"] = -1
    first = [owner.index(whose) for whose in owner]
    for p in range(count):
        for q in range(p + 1, count):
            # unlikely ways, and who leaves the lanes for a moment, matter to the ego; others are not expected to foresee that
            foreseen = p == 0 or not (
                paths[p].brief or paths[q].brief or p - first[p] >= KNOWN_WAYS or q - first[q] >= KNOWN_WAYS
            )
            if owner[p] != owner[q] and foreseen:
                sides = (paths[p], sizes[owner[p]], paths[q], sizes[owner[q]])
                mine, theirs = atlas.pair_ahead(*sides, places[0], places[q]) if p == 0 else atlas.pair(*sides)
                if mine["start"][0] >= 0:
                    pairs[p, q], pairs[q, p] = mine[0], theirs[0]
    longest = min(max(len(path.rows) for path in paths), LIMITS_ROWS)
    limits = np.zeros((count, longest))
    for p, path in enumerate(paths):
        n = min(len(path.rows), longest)
        limits[p, :n] = path.rows[:n, 4]
        limits[p, n:] = path.rows[n - 1, 4]
    return Board(pairs, atlas.rows, limits, order, NOMINAL_ASSUMPTIONS)


def approach(scene: Scene, regulation: Regulation) -> bool:
    """Whether the next line on the ego's path has this control."""
    stop = next_stop(scene.path, scene.s)
    return stop is not None and stop.regulation == regulation
