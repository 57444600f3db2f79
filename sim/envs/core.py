"""The environment that all views show: W worlds of K agents each, stepped together by one compiled call.

World i of a batch is bit for bit the world alone, whatever the number of worlds and threads: which episode it plays, and what
happens in it, follows from its own seed and from the actions it is given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.envs import grid, objects
from sim.envs.actions import act, first_bad
from sim.envs.agents import Agents, empty_agents
from sim.envs.config import MANOEUVRES, TERMS, ActionKind, Autoreset, EnvConfig, EnvError, ObservationKind
from sim.envs.crew import Crew
from sim.envs.rewards import clear, judge, retire, reward
from sim.envs.stock import Stock, make_stock
from sim.envs.vector import make_edges, observe_agents, size
from sim.jit import entry_point, kernel
from sim.kernels import step_worlds
from sim.rng import Purpose, draw_bits, uniform
from sim.roads.pack import Roads
from sim.scenario import Scenario
from sim.sensors.objects import sense
from sim.setup import empty_state
from sim.state import CONTROL_DTYPE, WorldState

_SCENARIO, _STYLE = int(Purpose.SCENARIO), int(Purpose.STYLE)
_KINDS = (ActionKind.CONTINUOUS, ActionKind.JERK, ActionKind.MANOEUVRE, ActionKind.TARGET_SPEED)
_STATE = tuple(name for name in WorldState._fields if name not in ("paths", "sights"))  # those two are working memory


ARRAYS = 4
"""So many arrays of observations are used again, once nobody holds them."""
_UNHELD = 2  # references to what only its list and the question itself hold


class Outcome(NamedTuple):
    """What a step gave: observations (W, K, ...), rewards, terminated and truncated (W, K)."""

    observations: NDArray[np.generic]
    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


@kernel
def _begin(
    agents: Agents, slots: NDArray[np.int32], limits: NDArray[np.int32], base: NDArray[np.float32],
    styles: NDArray[np.int32], spans: NDArray[np.float32], w: int, number: int,
) -> int:  # fmt: skip
    """Start the next episode of world w, the one at `number` of the stock or, where that is negative, a drawn one."""
    episode = agents.episodes[w]
    seed = np.int64(episode.seed)
    drawn = int(episode.drawn)
    if number < 0:
        picked = np.int64(draw_bits(int(seed), 0, drawn, 0, _SCENARIO, 0) % np.uint64(slots.shape[0]))
    else:
        picked = np.int64(number)
    episode.number = picked
    episode.drawn = drawn + 1
    episode.over = 0
    episode.fresh = 0
    episode.ticks = 0
    episode.limit = limits[picked]
    for k in range(slots.shape[1]):
        agent = agents.agents[w, k]
        agent.slot = slots[picked, k]
        agent.present = 1 if agent.slot >= 0 else 0
        agent.ticks = 0
        agents.terminated[w, k] = agents.truncated[w, k] = 0
        agents.rewards[w, k] = np.float32(0.0)
        agent.accel = agent.steer = agent.speed = agent.gain = np.float32(0.0)
        for n in range(agents.pending.shape[2]):
            agents.pending[w, k, n, 0] = agents.pending[w, k, n, 1] = np.float32(0.0)
        for t in range(base.shape[0]):
            agents.weights[w, k, t] = base[t]
            agents.terms[w, k, t] = np.float32(0.0)
        for m in range(styles.shape[0]):
            share = np.float32(uniform(int(seed), 0, drawn, k, _STYLE, m))
            factor = spans[m, 0] + share * (spans[m, 1] - spans[m, 0])
            agents.factors[w, k, m] = factor
            agents.weights[w, k, styles[m]] = base[styles[m]] * factor
    return int(picked)


@kernel
def _show(
    state: WorldState, roads: Roads, agents: Agents, first: int, last: int, rows: NDArray[np.float32],
    edges: NDArray[np.float32], neighbours: int, points: int, step: float,
) -> None:  # fmt: skip
    for w in range(first, last):
        observe_agents(state, roads, agents, w, rows, edges, neighbours, points, step)


@kernel
def _advance(  # noqa: PLR0913  the state, and how it is to be seen
    state: WorldState, roads: Roads, tracks: NDArray[np.float64], idle: NDArray[np.void], agents: Agents, first: int, last: int,
    kind: int, repeat: int, rows: NDArray[np.float32], edges: NDArray[np.float32], neighbours: int, points: int, step: float,
) -> int:  # fmt: skip
    """`repeat` ticks of the worlds first..last-1 with the actions that lie in `agents`; returns how many episodes that ended."""
    ended = 0
    for w in range(first, last):
        episode = agents.episodes[w]
        if episode.fresh:
            episode.fresh = 0
            continue
        clear(agents, w)
        for n in range(repeat):
            act(state, roads, agents, w, kind)
            step_worlds(state, roads, tracks, idle, w, w + 1)
            judge(state, roads, agents, w)
            if n == repeat - 1 or episode.over:
                observe_agents(state, roads, agents, w, rows, edges, neighbours, points, step)
            retire(state, agents, w)
            if episode.over:
                break
        reward(agents, w)
        ended += episode.over
    return ended


class BatchEnv:
    """W worlds that play episodes of a stock of scenarios, with K agents each; `reset`, then `step` over and over.

    Raises EnvError for whatever cannot be: a stock without the agents asked for, actions of the wrong shape, type or size, a
    step before the first reset. action_shape: of the actions of a step, (W, K) of whole numbers for manoeuvres, else
    (W, K, action_size) of floats.
    """

    def __init__(self, scenarios: Sequence[Scenario], worlds: int = 1, config: EnvConfig | None = None) -> None:
        if isinstance(worlds, bool) or not isinstance(worlds, int | np.integer) or worlds < 1:
            raise EnvError(f"worlds must be a whole number of at least 1, got {worlds!r}")
        self.config = EnvConfig() if config is None else config
        self.worlds = int(worlds)
        self._kind = _KINDS.index(ActionKind(self.config.action))
        self.action_size = 2 if self.config.action in (ActionKind.CONTINUOUS, ActionKind.JERK) else 1
        self._numbers = "iu" if self.config.action == ActionKind.MANOEUVRE else "f"
        self._any_over = False
        self._base = np.array(self.config.weights, np.float32)
        self._styles = np.array([TERMS.index(term) for term in self.config.styles], np.int32)
        self._spans = np.array(list(self.config.styles.values()), np.float32).reshape(-1, 2)
        self._started = False
        threads = min(self.config.threads, self.worlds)
        self._crew = Crew(threads - 1) if threads > 1 else None
        parts = np.array_split(np.arange(self.worlds), threads)
        self._ranges = [(int(part[0]), int(part[-1]) + 1) for part in parts]
        self._supply(scenarios)

    def _supply(self, scenarios: Sequence[Scenario]) -> None:
        """Make room for worlds that play these episodes."""
        self.stock: Stock = make_stock(scenarios, self.config)
        self.agents = self.stock.slots.shape[1]
        given, config = self.stock.state, self.config
        self.state = empty_state(self.worlds, given.bodies.shape[1], given.zones.shape[1])
        self.tables = empty_agents(self.worlds, self.agents, len(config.styles), config.latency_ticks)
        self._rows = np.zeros((self.worlds, self.agents, size(config)), np.float32)
        self._idle = np.zeros(self.state.bodies.shape, CONTROL_DTYPE)
        places, discrete = (self.worlds, self.agents), config.action == ActionKind.MANOEUVRE
        self.action_shape: tuple[int, ...] = places if discrete else (*places, self.action_size)
        self._given_actions = self.tables.actions[..., 0] if discrete else self.tables.actions[..., : self.action_size]
        self._seen: NDArray[Any] = self._rows
        if config.observation == ObservationKind.GRID:
            self._seen = np.zeros((self.worlds, self.agents, *grid.SHAPE), np.uint8)
            self._rasters = grid.make_rasters(self.stock.roads, self.stock.lane_ranges)
        elif config.observation == ObservationKind.OBJECTS:
            self._seen = np.zeros((self.worlds, self.agents, objects.size(config)), np.float32)
        self._arrays: list[NDArray[Any]] = []
        # a reset of some worlds shows the others as they were last seen, which nobody may have written over
        self._paged = config.copy and self._seen is self._rows and config.autoreset != Autoreset.DISABLED
        self.ended_worlds: NDArray[np.intp] = np.zeros(0, np.intp)
        self.final_terms: NDArray[np.float32] = self.tables.terms
        self.final_gains: NDArray[np.float32] = np.zeros((0, self.agents), np.float32)
        self.final_ticks: NDArray[np.int32] = np.zeros((0, self.agents), np.int32)
        self.final_observations: NDArray[np.generic] | None = None
        self._compile()

    def _compile(self) -> None:
        """Kernels for arrays like these."""
        state, roads, tables, config = self.state, self.stock.roads, self.tables, self.config
        self._parts = state, roads, self.stock.tracks, self._idle, tables
        self._view = self._rows, make_edges(roads), config.neighbours, config.path_points, float(config.path_step)
        self._advance = entry_point(_advance, *self._parts, 0, 1, self._kind, config.repeat, *self._view)
        self._show = entry_point(_show, state, roads, tables, 0, 1, *self._view)
        self._first_bad = entry_point(first_bad, tables, self._kind)
        self._begin = entry_point(
            _begin, tables, self.stock.slots, self.stock.limits, self._base, self._styles, self._spans, 0, -1
        )

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of what one agent sees."""
        return self._seen.shape[2:]

    @property
    def observation_dtype(self) -> np.dtype[np.generic]:
        """Type of its numbers."""
        return self._seen.dtype

    @property
    def active(self) -> NDArray[np.bool_]:
        """(W, K) agents that still take part in their episode."""
        present: NDArray[np.bool_] = self.tables.agents["present"] != 0
        return present

    @property
    def over(self) -> NDArray[np.bool_]:
        """(W,) worlds whose episode has ended and no other has begun."""
        over: NDArray[np.bool_] = self.tables.episodes["over"] != 0
        return over

    @property
    def episode_seeds(self) -> NDArray[np.int64]:
        """(W,) seeds of the scenarios that are being played."""
        return np.array([self.stock.scenarios[n].seed for n in self.tables.episodes["number"]], np.int64)

    def reset(
        self, seeds: Sequence[int | None] | None = None, *, worlds: NDArray[np.bool_] | None = None, episode: int | None = None
    ) -> NDArray[np.generic]:
        """Begin an episode in all worlds, or in those of a (W,) mask; gives the observations of all.

        seeds: one for each world, None where its draws go on. episode: seed of the scenario to play, one of the stock's.
        """
        which = self._which(worlds)
        self._seed(seeds, which)
        number = -1 if episode is None else self._number(episode)
        self._turn_page()
        if self._paged:
            self._show_worlds(np.flatnonzero(~which))
        self._restart(np.flatnonzero(which), number)
        self._any_over = bool(self.over.any())
        self._started = True
        return self._given()

    def refill(self, scenarios: Sequence[Scenario]) -> NDArray[np.generic]:
        """Go on with other episodes: every world begins one of them, and draws go on from their seeds. Gives the observations.

        As many agents as the new scenarios have are driven from now on.
        """
        if not self._started:
            raise EnvError("reset the environment before its stock is refilled")
        episodes = self.tables.episodes
        self._supply(scenarios)
        for name in ("seed", "drawn"):
            self.tables.episodes[name] = episodes[name]
        return self.reset()

    def step(self, actions: NDArray[np.generic]) -> Outcome:
        """`config.repeat` ticks of 0.1 s in every world with the actions (W, K[, C]) of its agents."""
        self._take(actions)
        tables = self.tables
        self._refuse_ended()
        self._turn_page()
        if self._any_over:
            self._rest()
        ended = self._for_ranges()
        if self._seen is not self._rows:
            self._look(0, self.worlds)
        self.final_observations = None
        rewards = tables.rewards.copy()
        terminated, truncated = tables.terminated.copy().view(np.bool_), tables.truncated.copy().view(np.bool_)
        self._any_over = ended > 0
        if ended and self.config.autoreset == Autoreset.SAME_STEP:
            over = np.flatnonzero(tables.episodes["over"])
            self.final_observations = self._seen[over].copy()
            self.final_terms = self.tables.terms.copy()
            self.final_gains, self.final_ticks = self.tables.agents["gain"][over], self.tables.agents["ticks"][over]
            self.ended_worlds = over
            self._restart(over, -1)
            self._any_over = False
        return Outcome(self._given(), rewards, terminated, truncated)

    def close(self) -> None:
        """Let go of the threads; what is stepped from now on is stepped by the caller's alone."""
        if self._crew is not None:
            self._crew.close()

    def nbytes(self) -> int:
        """Memory of all arrays of the running worlds, without the stock and the map."""
        return sum(array.nbytes for array in (*self.state, *self.tables, self._rows))

    def _given(self) -> NDArray[np.generic]:
        """What is seen: an array that stays as it is, unless the configuration says otherwise."""
        if self._paged or not self.config.copy:
            return self._seen
        copy = self._unheld()
        np.copyto(copy, self._seen)
        return copy

    def _turn_page(self) -> None:
        """See what comes next in an array that nobody holds: those that were given stay as they are without being copied."""
        if self._paged:
            self._rows = self._seen = self._unheld()
            self._view = (self._rows, *self._view[1:])

    def _unheld(self) -> NDArray[Any]:
        """An array that nobody holds any more, itself or a view of it: to be given fresh memory costs as much as a copy."""
        for place in range(len(self._arrays)):
            if sys.getrefcount(self._arrays[place]) <= _UNHELD:
                return self._arrays[place]
        self._arrays = [*self._arrays[1 - ARRAYS :], np.zeros_like(self._seen)]
        return self._arrays[-1]

    def _look(self, first: int, last: int) -> None:
        """Fill in what worlds first..last-1 see where that is more than the vector's rows."""
        if self.config.observation == ObservationKind.GRID:
            picture: NDArray[np.uint8] = self._seen.reshape(-1, *grid.SHAPE)
            grid.draw_grids(self.state, self.stock.roads, self.tables, first, last, self._rows, picture, *self._rasters)
        elif self.config.observation == ObservationKind.OBJECTS:
            for w in range(first, last):
                self._sense(w)

    def _sense(self, w: int) -> None:
        """What the sensors of the agents of one world tell."""
        number = int(self.tables.episodes["number"][w])
        for k in range(self.agents):
            agent = self.tables.agents[w, k]
            slot = int(agent["slot"])
            if slot < 0 or not self._rows[w, k].any():
                self._seen[w, k] = 0
                continue
            body = self.state.bodies[w, slot]
            frame = sense(self.state, self.stock.roads, w, slot, self.stock.signals[number], self.stock.scenarios[number].weather)
            truth = float(body["x"]), float(body["y"]), float(body["heading"])
            self._seen[w, k] = objects.describe(frame, truth, self._rows[w, k], self.config)

    def _which(self, worlds: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        if worlds is None:
            return np.ones(self.worlds, np.bool_)
        which = np.asarray(worlds)
        if which.shape != (self.worlds,) or which.dtype != np.bool_:
            raise EnvError(f"the mask of worlds must be bool of shape ({self.worlds},), got {which.dtype} {which.shape}")
        if not self._started and not which.all():
            raise EnvError("the first reset must be of all worlds")
        return which

    def _seed(self, seeds: Sequence[int | None] | None, which: NDArray[np.bool_]) -> None:
        """Note the seeds; worlds that never had one take one of their own accord."""
        if seeds is None:
            seeds = [None] * self.worlds
        if len(seeds) != self.worlds:
            raise EnvError(f"one seed for each of the {self.worlds} worlds is needed, got {len(seeds)}")
        for w in np.flatnonzero(which).tolist():
            seed = seeds[w]
            if seed is None and self._started:
                continue
            if seed is None:
                seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))
            elif isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
                raise EnvError(f"a seed must be a whole number of at least 0 and below 2^63, got {seed!r}")
            self.tables.episodes["seed"][w] = seed
            self.tables.episodes["drawn"][w] = 0

    def _number(self, episode: int) -> int:
        for number, scenario in enumerate(self.stock.scenarios):
            if scenario.seed == episode:
                return number
        seeds = [scenario.seed for scenario in self.stock.scenarios]
        raise EnvError(f"episode {episode!r} is not in the stock, which has seeds {min(seeds)} to {max(seeds)}")

    def _restart(self, which: NDArray[np.intp], number: int) -> None:
        """Put worlds at the start of their next episode."""
        tables, stock = self.tables, self.stock
        begin = self._begin
        numbers = [begin(tables, stock.slots, stock.limits, self._base, self._styles, self._spans, int(w), number) for w in which]
        for name in _STATE:
            getattr(self.state, name)[which] = getattr(stock.state, name)[numbers]
        slots = np.maximum(stock.slots[numbers], 0)
        tables.agents["to_goal"][which] = np.take_along_axis(self.state.minds["to_goal"][which], slots, axis=1)
        self._show_worlds(which)

    def _show_worlds(self, which: NDArray[np.intp]) -> None:
        """Look at worlds as they are now."""
        for w in which.tolist():
            self._show(self.state, self.stock.roads, self.tables, w, w + 1, *self._view)
            self._look(w, w + 1)

    def _refuse_ended(self) -> None:
        """EnvError where a world waits for its reset."""
        if self._any_over and self.config.autoreset == Autoreset.DISABLED:
            w = int(np.flatnonzero(self.tables.episodes["over"])[0])
            raise EnvError(f"the episode of world {w} is over: reset it before the next step (autoreset is disabled)")

    def _rest(self) -> None:
        """Show the start of the next episode in worlds whose episode was over before this step."""
        which = np.flatnonzero(self.tables.episodes["over"])
        self._restart(which, -1)
        self.tables.episodes["fresh"][which] = 1

    def _take(self, actions: NDArray[np.generic]) -> None:
        """Check the actions and lay them out for the kernels."""
        if not self._started:
            raise EnvError("reset the environment before its first step")
        given = np.asarray(actions)
        if given.shape != self.action_shape:
            raise EnvError(f"actions must have shape {self.action_shape}, got {given.shape}")
        if given.dtype.kind not in self._numbers:
            wanted = "integers" if self._numbers == "iu" else "floats"
            raise EnvError(f"{self.config.action} actions must be {wanted}, got {given.dtype}")
        self._given_actions[...] = given
        bad = self._first_bad(self.tables, self._kind)
        if bad >= 0:
            world, agent, component = bad // (2 * self.agents), bad // 2 % self.agents, bad % 2
            whole = self._numbers == "iu"
            value = given[world, agent] if whole else given[world, agent, component]
            allowed = f"0 to {len(MANOEUVRES) - 1}" if whole else "within -1 to 1"
            raise EnvError(f"action of agent {agent} in world {world}, component {component}: {value!r}; it must be {allowed}")

    def _for_ranges(self) -> int:
        """Step all worlds, a range a thread; returns how many episodes ended."""
        advance: Callable[..., int] = self._advance
        parts, view, kind = self._parts, (self.config.repeat, *self._view), self._kind
        if self._crew is None:
            return advance(*parts, 0, self.worlds, kind, *view)
        return self._crew.run([partial(advance, *parts, first, last, kind, *view) for first, last in self._ranges])
