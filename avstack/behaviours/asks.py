"""What motion is asked to keep to, from the futures of the chosen policy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.decision import Ask, Lead, Manoeuvre
from avstack.behaviours.policies import CREEP_SPEED, ROLLS, Option, Weighed
from avstack.behaviours.precedence import next_stop
from avstack.behaviours.response import MARGIN, NO_LINE, SIGN, STEP_S, reach_time
from avstack.behaviours.scene import Agent, Scene
from avstack.behaviours.zones import COMMITTED_M, ROW
from sim.geometry import Floats
from sim.jit import kernel
from sim.roads.lane_map import Regulation

AT_LINE_M = 0.5  # m before the place where one waits
WAITS_BELOW = 6.0  # m/s, above which slowing down is left to the windows
TOUCH_BRAKE, TOUCH_M = 3.0, 1.0  # m/s², m: how one stops who must not move on, and how far from there it is still the same stop
START_ACCEL = 1.2  # m/s²
OPENING_M = 4.0  # m
SPARE_S = 0.7  # s left between somebody and the ego after it: who sees the ego come sooner brakes for it, whoever is first
CHANGE_SPARE_S = 0.2  # s, the same behind whom the ego changes lanes
EVEN = 0.5
"""Probability that somebody goes first from which the ego stays at its line for it, where else it would do so at their zone."""
CROSSES, STROLLS = 1.0, 0.3  # m/s, from which a vehicle in the junction, or somebody on foot, does not wait for anybody
STOPS_YET = 3.0  # m/s², with which a vehicle in the junction might stop for one that sets off
BACKS = 0.5  # m/s, from which somebody is taken to drive backwards: readings of who stands are not zero


def asks_of(
    scene: Scene, weighed: Weighed, futures: list[tuple[int, Floats]], hold: float | None = None
) -> tuple[Ask, float | None]:
    """What motion is asked to keep to: lines, zones of those that go first until they have left, and whoever drives ahead.

    hold: where the ego has been stopping for whom it would touch; returned as well, None where it need not.
    """
    option = weighed.options[weighed.best]
    stops = [scene.line] if scene.line < NO_LINE else []
    windows: list[tuple[float, float]] = []
    sure: list[tuple[float, float]] = []
    leads: list[Lead] = []
    wait = float(scene.actors[0, 0]["wait"])
    touches = False
    likely = _goes_first(scene, weighed, futures, option)
    for k, written in futures:
        world = weighed.scenarios.worlds[k]
        for j in range(1, len(world)):
            even, asked = likely[j] >= EVEN, len(windows)
            how = (option, wait if even else -math.inf)
            touches |= _ask_one(scene, world, j, written[:, [0, j]], how, (stops, windows, leads))
            if even:
                sure += windows[asked:]
    cap = CREEP_SPEED if option.manoeuvre == Manoeuvre.CREEP else 100.0
    held, rest = None, False
    if touches:
        # one place, kept: a stop that is where the ego is just now would be rolled past again and again
        held = hold if hold is not None and abs(hold - scene.s) < TOUCH_M else scene.s + scene.speed**2 / (2.0 * TOUCH_BRAKE)
        stops = [*stops, held]
    elif option.manoeuvre != Manoeuvre.CREEP and (wait >= NO_LINE or scene.s > wait - AT_LINE_M) and _for_nothing(scene, sure):
        if scene.speed < ROLLS:
            rest = True
        else:
            cap = min(cap, scene.speed)
    stops += [s for until, s in windows if until == math.inf]
    windows = [window for window in windows if window[0] < math.inf]
    ask = Ask(
        tuple(sorted(set(stops))), tuple(windows), tuple(leads), cap, option.brisk, rest=rest, prompt=_by_arrival(scene)
    )  # fmt: skip
    return ask, held


def _by_arrival(scene: Scene) -> bool:
    """Whether the ego comes to a line at which turns are taken in the order of arrival."""
    if scene.line >= NO_LINE or scene.line_kind != SIGN:
        return False
    stop = next_stop(scene.path, scene.line)
    return stop is not None and stop.regulation == Regulation.ALL_WAY_STOP


def _goes_first(scene: Scene, weighed: Weighed, futures: list[tuple[int, Floats]], option: Option) -> Floats:
    """(N,) probability, over the futures looked at, that each actor passes before the ego or is in its way already; 1 for whom it
    lets go first."""
    found, total = np.zeros(len(scene.actors)), 0.0
    for k, written in futures:
        world, share = weighed.scenarios.worlds[k], float(weighed.scenarios.share[k])
        total += share
        for j in range(1, len(world)):
            pair = scene.board.pairs[0, world[j]["path"]]
            if pair["start"] < 0:
                continue
            low, high = blocked(scene, int(world[j]["path"]), np.array([float(world[j]["s"])]))
            if low[0] <= high[0] or _passes_before(pair, written[:, [0, j]]):
                found[j] += share
    for j, agent in enumerate(scene.agents, start=1):
        if agent.id in option.yields:
            found[j] = total
    return found / total


def _passes_before(pair: np.void, motion: Floats) -> bool:
    """Whether one whose zone with the ego is `pair` comes to it before the ego is in it. motion (T, 2, 3): ego's and its own."""
    passes = _first_beyond(motion[:, 1, 0], float(pair["other_enter"]))
    return passes < _first_beyond(motion[:, 0, 0], float(pair["enter"]) + COMMITTED_M)


def _for_nothing(scene: Scene, windows: list[tuple[float, float]]) -> bool:
    """Whether setting off or speeding up now would be for nothing: something ahead would have to be waited for all the same.

    Others take somebody who speeds up in a junction to be going.
    """
    if scene.speed > WAITS_BELOW:
        return False
    limit = float(scene.path.rows[min(max(int(scene.s / ROW), 0), len(scene.path.rows) - 1), 4])
    ahead = [(until, s - scene.s) for until, s in windows if s > scene.s - AT_LINE_M]
    speed, top = scene.speed, max(limit, scene.speed)
    return any(reach_time(way, speed, 0.0, START_ACCEL, top) < until for until, way in ahead)


def _ask_one(
    scene: Scene, world: NDArray[np.void], j: int, both: Floats, how: tuple[Option, float],
    out: tuple[list[float], list[tuple[float, float]], list[Lead]],
) -> bool:  # fmt: skip
    """Add what one actor in one future asks of the ego; whether their boxes touch already, and it must not move on.

    how: the option, and where on its way the ego waits at its line for this one, -inf: nowhere; both (T, 2, 3): the ego's motion
    and its own."""
    option, wait = how
    motion = both[:, 1]
    stops, windows, leads = out
    pair = scene.board.pairs[0, world[j]["path"]]
    if pair["start"] < 0 or float(world[j]["s"]) > float(pair["other_leave"]) or scene.s > float(pair["leave"]):
        return False
    low, high = blocked(scene, int(world[j]["path"]), np.concatenate([[float(world[j]["s"])], motion[:, 0]]))
    here = low <= high
    along = float(pair["along"])
    known = scene.agents[j - 1].id
    if here[0] and scene.s >= low[0]:
        if scene.s >= 0.5 * (low[0] + high[0]):
            return False
        if along > 0.7 and here[1]:
            leads.append(_lead(scene, known, low, here))
            return False
        return True
    # a policy that goes may all the same wait, in its rollout, for somebody who cannot stop any more
    first = known in option.yields or bool(here[0]) or _passes_before(pair, both)
    if along > 0.7 and here[0] and here[1]:
        leads.append(_lead(scene, known, low, here))
        return False
    if not here[0] and (not first or pair["rule"] == 2 or scene.s >= float(pair["enter"]) + COMMITTED_M):
        return False
    if not world[j]["moves"]:
        stops.append(float(low[0]) - 0.5)
        return False
    bar = float(pair["enter"]) - MARGIN if not here[0] else float(low[0]) - MARGIN
    if along < -0.7 and scene.s < float(pair["enter"]):
        bar = float(pair["enter"]) - MARGIN
    # to who has still to set off, it would look like going; behind who crosses already one may arrive in time
    under_way = bool(here[0]) or _crosses(scene.agents[j - 1], float(pair["other_enter"]) - float(world[j]["s"]))
    waits = scene.s < wait + (-AT_LINE_M if under_way else AT_LINE_M)
    if option.manoeuvre != Manoeuvre.CREEP and wait < bar and waits:
        bar = wait
    if here[0] and along < -0.7 and float(scene.agents[j - 1].thing["speed"]) < -BACKS:
        stops.append(bar)  # it makes room: the ego comes after it, and it would not go on for one who stays where it is
        return False
    left = _first_beyond(motion[:, 0], float(pair["other_enter"]) + 1.0 if along > 0.7 else float(pair["other_leave"]))
    # nobody brakes for who changes into the lane behind
    spare = CHANGE_SPARE_S if along > 0.7 and scene.recipe.changes else SPARE_S
    windows.append((STEP_S * (left + 1) + spare if left < len(motion) else math.inf, bar))
    return False


def _crosses(agent: Agent, way: float) -> bool:
    """Whether somebody, `way` metres before the ego's way, is so far on its own that nobody's setting off is a question to it."""
    if agent.walks:
        return math.hypot(float(agent.thing["vx"]), float(agent.thing["vy"])) > STROLLS
    speed = float(agent.thing["speed"])
    return agent.visit.entered >= 0 and speed > CROSSES and way < speed * speed / (2.0 * STOPS_YET)


@kernel
def _first_beyond(s: Floats, limit: float) -> int:
    """The first step at which s (T,) is more than `limit`; T where it never is."""
    for t in range(len(s)):
        if s[t] > limit:
            return t
    return len(s)


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
    out = np.empty((2, len(s)))
    _fill_blocked(scene.board.rows, int(pair["start"]), int(pair["rows"]), s, out)
    return out[0], out[1]


@kernel
def _fill_blocked(rows: Floats, start: int, count: int, s: Floats, out: Floats) -> None:
    """Fill out (2, T): low and high at s (T,) from `count` rows of a table; between two rows both have to block something."""
    for t in range(len(s)):
        k = min(max(s[t] / ROW, 0.0), count - 1.0)
        lower = int(k)
        f, a = k - lower, start + lower
        b = start + min(lower + 1, count - 1)
        both = rows[a, 0] <= rows[a, 1] and rows[b, 0] <= rows[b, 1]
        for m in range(2):
            out[m, t] = (1.0 - f) * rows[a, m] + f * rows[b, m] if both else rows[a, m]
