"""The batch as Gymnasium knows environments: one world with one agent as `Env`, W of them as `VectorEnv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sim.envs.config import MANOEUVRES, TERMS, ActionKind, Autoreset, EnvConfig, EnvError
from sim.envs.core import BatchEnv
from sim.envs.render import FPS, RENDER_MODES, Renderer
from sim.scenario import Scenario

Info = dict[str, Any]
RESET_OPTIONS = ("episode",)
OBSERVED_MAX = 1e4  # no number of an observation gets there


def observation_space(core: BatchEnv) -> spaces.Box:
    """What one agent sees."""
    shape = core.observation_shape
    if core.observation_dtype == np.uint8:
        return spaces.Box(0, 255, shape, np.uint8)
    return spaces.Box(-OBSERVED_MAX, OBSERVED_MAX, shape, np.float32)


def action_space(core: BatchEnv) -> spaces.Box | spaces.Discrete:
    """What one agent decides."""
    if core.config.action == ActionKind.MANOEUVRE:
        return spaces.Discrete(len(MANOEUVRES))
    return spaces.Box(-1.0, 1.0, (core.action_size,), np.float32)


def check_options(options: Mapping[str, Any] | None, known: Sequence[str] = RESET_OPTIONS) -> Mapping[str, Any]:
    """The options of a reset, or EnvError for an unknown one."""
    given = {} if options is None else options
    for name in given:
        if name not in known:
            raise EnvError(f"unknown reset option {name!r}; known: {', '.join(known)}")
    return given


class DrivingEnv(gymnasium.Env):
    """One world, one agent.

    scenarios: the stock of episodes; a reset draws one of them. config: its `autoreset` is of no account here.
    Reset option `episode`: seed of the scenario to play.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": FPS}  # noqa: RUF012  Gymnasium's own way

    def __init__(self, scenarios: Sequence[Scenario], config: EnvConfig | None = None, *, render_mode: str | None = None) -> None:
        chosen = replace(EnvConfig() if config is None else config, autoreset=Autoreset.DISABLED)
        self.core = BatchEnv(scenarios, 1, chosen)
        _require_one(self.core)
        self._renderer = Renderer(render_mode)
        self.render_mode = render_mode
        self.observation_space = observation_space(self.core)
        self.action_space = action_space(self.core)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[NDArray[np.generic], Info]:
        """The first observation of the next episode, which follows from the seed given last and the number of resets since."""
        chosen = check_options(options)
        super().reset(seed=seed)
        seen = self.core.reset([seed], episode=chosen.get("episode"))
        if self.render_mode == "human":
            self.render()
        return seen[0, 0], {"episode_seed": int(self.core.episode_seeds[0])}

    def step(self, action: NDArray[np.generic] | int) -> tuple[NDArray[np.generic], float, bool, bool, Info]:
        """One tick of 0.1 s; `info["terms"]` has what the reward is made of, without weights."""
        given = np.asarray(action)
        if given.shape != self.action_space.shape:
            raise EnvError(f"the action must have shape {self.action_space.shape}, got {given.shape}")
        seen, rewards, terminated, truncated = self.core.step(given[np.newaxis, np.newaxis])
        if self.render_mode == "human":
            self.render()
        terms = dict(zip(TERMS, map(float, self.core.tables.terms[0, 0]), strict=True))
        return seen[0, 0], float(rewards[0, 0]), bool(terminated[0, 0]), bool(truncated[0, 0]), {"terms": terms}

    def render(self) -> NDArray[np.uint8] | None:
        """The world from above, for the mode `rgb_array`."""
        return self._renderer.draw(self.core)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._renderer.close()
        self.core.close()


class DrivingVectorEnv(VectorEnv):
    """W worlds with one agent each; world i with seed s + i is bit for bit `DrivingEnv` with that seed.

    Reset options: `episode`, and `reset_mask` (W,) bool as Gymnasium has it. In the mode `same step` infos have `final_obs` and
    `final_info`. Which episodes are played is in `core.episode_seeds`.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        num_envs: int = 1,
        config: EnvConfig | None = None,
        *,
        render_mode: str | None = None,
    ) -> None:
        self.core = BatchEnv(scenarios, num_envs, config)
        _require_one(self.core)
        self._renderer = Renderer(render_mode)
        self.render_mode = render_mode
        self.num_envs = self.core.worlds
        self.single_observation_space = observation_space(self.core)
        self.single_action_space = action_space(self.core)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        mode = AutoresetMode(str(self.core.config.autoreset))
        self.autoreset_mode = mode
        self.metadata = {"render_modes": list(RENDER_MODES), "render_fps": FPS, "autoreset_mode": mode}

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[NDArray[np.generic], Info]:
        """First observations (W, ...); a whole number as seed is that of world 0, others count up from it."""
        chosen = check_options(options, (*RESET_OPTIONS, "reset_mask"))
        seeds: Sequence[int | None] | None
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
            seeds = [int(seed) + w for w in range(self.num_envs)]
        else:
            seeds = seed
        seen = self.core.reset(seeds, worlds=chosen.get("reset_mask"), episode=chosen.get("episode"))
        return seen[:, 0], {}

    def step(
        self, actions: NDArray[np.generic]
    ) -> tuple[NDArray[np.generic], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], Info]:
        """One tick of 0.1 s in every world."""
        given = np.asarray(actions)
        if given.shape != self.action_space.shape:
            raise EnvError(f"actions must have shape {self.action_space.shape}, got {given.shape}")
        seen, rewards, terminated, truncated = self.core.step(given[:, np.newaxis])
        return seen[:, 0], rewards[:, 0], terminated[:, 0], truncated[:, 0], self._infos()

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """World 0 from above, for the mode `rgb_array`."""
        picture = self._renderer.draw(self.core)
        return None if picture is None else (picture,)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the window and let go of the threads."""
        self._renderer.close()
        self.core.close()

    def _infos(self) -> Info:
        """What Gymnasium wants beside: last observations and infos of worlds that started anew in this step."""
        final = self.core.final_observations
        if final is None:
            return {}
        over = self.core.ended_worlds
        seen = np.full(self.num_envs, None, object)
        for w, row in zip(over, final[:, 0], strict=True):
            seen[w] = row
        mask = np.zeros(self.num_envs, np.bool_)
        mask[over] = True
        terms = {name: np.where(mask, self.core.final_terms[:, 0, t], 0.0) for t, name in enumerate(TERMS)}
        return {"final_obs": seen, "_final_obs": mask, "final_info": {"terms": terms, "_terms": mask}, "_final_info": mask}


def _require_one(core: BatchEnv) -> None:
    if core.agents != 1:
        raise EnvError(
            f"this view has one agent a world, not {core.agents}: use agents='ego' or 1, or the view for several (ParallelEnv), "
            "or BatchEnv itself"
        )
