"""One world with several agents as PettingZoo's `ParallelEnv`; PettingZoo is an extra (`avstack-sim[envs]`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from sim.envs.config import Autoreset, EnvConfig, EnvError
from sim.envs.core import BatchEnv
from sim.envs.gymnasium_views import action_space, observation_space
from sim.envs.render import FPS, RENDER_MODES, Renderer
from sim.scenario import Scenario


class DrivingParallelEnv(ParallelEnv):
    """Agents are `agent_0`, `agent_1`, ...; who reaches its goal, crashes or leaves the road leaves the episode.

    config: its `autoreset` is of no account here; without one, all vehicles are driven.
    """

    metadata = {"name": "avstack", "render_modes": list(RENDER_MODES), "render_fps": FPS}  # noqa: RUF012  PettingZoo's own way

    def __init__(self, scenarios: Sequence[Scenario], config: EnvConfig | None = None, *, render_mode: str | None = None) -> None:
        chosen = replace(EnvConfig(agents="all") if config is None else config, autoreset=Autoreset.DISABLED)
        self.core = BatchEnv(scenarios, 1, chosen)
        self._renderer = Renderer(render_mode)
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{k}" for k in range(self.core.agents)]
        self.agents: list[str] = []
        self._seen = {name: observation_space(self.core) for name in self.possible_agents}
        self._acts = {name: action_space(self.core) for name in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Box:
        """What one agent sees."""
        return self._seen[agent]

    def action_space(self, agent: str) -> spaces.Box | spaces.Discrete:
        """What one agent decides."""
        return self._acts[agent]

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.generic]], dict[str, dict[str, Any]]]:
        """First observations of those who are in the next episode; unknown options pass, as PettingZoo wants it."""
        chosen = options or {}
        seen = self.core.reset([seed], episode=chosen.get("episode"))
        active = self.core.active[0]
        self.agents = [name for name, there in zip(self.possible_agents, active, strict=True) if there]
        number = int(self.core.episode_seeds[0])
        return {name: seen[0, self._index(name)] for name in self.agents}, {
            name: {"episode_seed": number} for name in self.agents
        }

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, NDArray[np.generic]], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """One tick of 0.1 s with an action for each agent that is still there."""
        if not self.agents:
            raise EnvError("nobody is there: reset the environment before its next step")
        given = np.zeros(self.core.action_shape, next(iter(self._acts.values())).dtype)
        for name, action in actions.items():
            if name not in self.possible_agents:
                raise EnvError(f"unknown agent {name!r}; there are {', '.join(self.possible_agents)}")
            one = np.asarray(action)
            if one.shape != self._acts[name].shape:
                raise EnvError(f"the action of {name} must have shape {self._acts[name].shape}, got {one.shape}")
            given[0, self._index(name)] = one
        missing = [name for name in self.agents if name not in actions]
        if missing:
            raise EnvError(f"no action for {', '.join(missing)}")
        seen, rewards, terminated, truncated = self.core.step(given)
        order = [(name, self._index(name)) for name in self.agents]
        self.agents = [name for name, k in order if not (terminated[0, k] or truncated[0, k])]
        if self.render_mode == "human":
            self.render()
        return (
            {name: seen[0, k] for name, k in order},
            {name: float(rewards[0, k]) for name, k in order},
            {name: bool(terminated[0, k]) for name, k in order},
            {name: bool(truncated[0, k]) for name, k in order},
            {name: {} for name, _ in order},
        )

    def render(self) -> NDArray[np.uint8] | None:
        """The world from above, for the mode `rgb_array`."""
        return self._renderer.draw(self.core)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._renderer.close()
        self.core.close()

    @staticmethod
    def _index(name: str) -> int:
        return int(name.removeprefix("agent_"))
