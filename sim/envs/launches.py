"""What a batch on a CUDA device launches, one thread a world but where worlds are copied: thin coats around kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from sim.envs import core
from sim.envs.actions import bad_in
from sim.envs.agents import Agents
from sim.envs.device import as_array, as_set, launched, on_device
from sim.jit import kernel
from sim.roads.pack import Roads
from sim.state import WorldState


@kernel
def take_world(agents: Agents, given: NDArray[Any], w: int) -> int:
    """Lay out the actions (W, K, C) of world w; returns whether its episode is over."""
    for k in range(given.shape[1]):
        for c in range(given.shape[2]):
            agents.actions[w, k, c] = given[w, k, c]
    return int(agents.episodes[w].over)


@kernel
def report_world(
    agents: Agents, w: int, rewards: NDArray[np.float32], terminated: NDArray[np.bool_], truncated: NDArray[np.bool_],
    over: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Write down what the step of world w gave."""
    for k in range(rewards.shape[1]):
        rewards[w, k] = agents.rewards[w, k]
        terminated[w, k] = agents.terminated[w, k] != 0
        truncated[w, k] = agents.truncated[w, k] != 0
    over[w] = agents.episodes[w].over != 0


@kernel
def over_in(agents: Agents, w: int) -> int:
    """1 where the episode of world w is over."""
    return int(agents.episodes[w].over)


@kernel
def keep_last(rows: NDArray[np.float32], last: NDArray[np.float32], w: int) -> None:
    """What world w shows, for good."""
    for k in range(rows.shape[1]):
        for n in range(rows.shape[2]):
            last[w, k, n] = rows[w, k, n]


@kernel
def place_world(state: WorldState, agents: Agents, slots: NDArray[np.int32], w: int, number: int, fresh: int) -> None:
    """Note how far the agents have to go at the start of an episode. fresh: the next step only shows it."""
    agents.episodes[w].fresh = fresh
    for k in range(slots.shape[1]):
        agents.agents[w, k].to_goal = state.minds[w, max(slots[number, k], 0)].to_goal


_bad_in, _take, _report, _over = on_device(bad_in), on_device(take_world), on_device(report_world), on_device(over_in)
_keep, _place = on_device(keep_last), on_device(place_world)
_advance, _begin, _show = on_device(core._advance), on_device(core._begin), on_device(core._show)
_state, _roads, _agents = as_set(WorldState), as_set(Roads), as_set(Agents)


@launched
def take(agents: Any, given: Any, kind: Any, flags: Any) -> None:
    """Lay out the actions. flags: place of the first bad one, as of `bad_in`, and in how many worlds the episode is over."""
    w = cuda.grid(1)
    if w >= given.shape[0]:
        return
    own = _agents(agents)
    over = _take(own, as_array(given), w)
    bad = _bad_in(own, w, kind)
    if bad >= 0:
        cuda.atomic.min(flags, 0, bad)
    if over > 0:
        cuda.atomic.add(flags, 1, 1)


@launched
def advance(  # noqa: PLR0913  the state, how it is to be seen, and what came of it
    state: Any, roads: Any, tracks: Any, idle: Any, agents: Any, kind: Any, repeat: Any, rows: Any, edges: Any, neighbours: Any,
    points: Any, step: Any, rewards: Any, terminated: Any, truncated: Any, over: Any,
) -> None:  # fmt: skip
    """One step of every world."""
    w = cuda.grid(1)
    if w >= rows.shape[0]:
        return
    own = _agents(agents)
    _advance(
        _state(state), _roads(roads), as_array(tracks), as_array(idle), own, w, w + 1, kind, repeat, as_array(rows),
        as_array(edges), neighbours, points, step,
    )  # fmt: skip
    _report(own, w, as_array(rewards), as_array(terminated), as_array(truncated), as_array(over))


@launched
def begin(
    agents: Any, slots: Any, limits: Any, base: Any, styles: Any, spans: Any, rows: Any, last: Any, numbers: Any
) -> None:  # fmt: skip
    """Draw the next episode of every world whose own is over, -1 in `numbers` elsewhere; its last observations go to `last`."""
    w = cuda.grid(1)
    if w >= rows.shape[0]:
        return
    own = _agents(agents)
    numbers[w] = -1
    if _over(own, w) > 0:
        _keep(as_array(rows), as_array(last), w)
        numbers[w] = _begin(
            own, as_array(slots), as_array(limits), as_array(base), as_array(styles), as_array(spans), w, -1
        )  # fmt: skip


@launched
def copy_worlds(target: Any, source: Any, numbers: Any) -> None:
    """Rows `numbers` of `source` into those of `target`; one block a world."""
    w = cuda.blockIdx.x
    if numbers[w] >= 0:
        for n in range(cuda.threadIdx.x, target.shape[1], cuda.blockDim.x):
            target[w, n] = source[numbers[w], n]


@launched
def show(
    state: Any, roads: Any, agents: Any, slots: Any, numbers: Any, fresh: Any, rows: Any, edges: Any, neighbours: Any,
    points: Any, step: Any,
) -> None:  # fmt: skip
    """What the worlds show whose episode has just begun."""
    w = cuda.grid(1)
    if w >= rows.shape[0] or numbers[w] < 0:
        return
    here, own = _state(state), _agents(agents)
    _place(here, own, as_array(slots), w, numbers[w], fresh)
    _show(here, _roads(roads), own, w, w + 1, as_array(rows), as_array(edges), neighbours, points, step)
