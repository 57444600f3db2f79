"""W worlds with one agent each as the `VecEnv` of Stable-Baselines3, which is an extra (`avstack-sim[sb3]`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from sim.envs.config import Autoreset, EnvConfig, EnvError
from sim.envs.gymnasium_views import DrivingVectorEnv
from sim.scenario import Scenario


class DrivingVecEnv(VecEnv):
    """Starts anew in the step that ended an episode; infos then have `terminal_observation`, `TimeLimit.truncated`, `episode`.

    config: its `autoreset` is of no account here.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        num_envs: int = 1,
        config: EnvConfig | None = None,
        *,
        render_mode: str | None = None,
    ) -> None:
        chosen = replace(EnvConfig() if config is None else config, autoreset=Autoreset.SAME_STEP)
        self.inner = DrivingVectorEnv(scenarios, num_envs, chosen, render_mode=render_mode)
        self.render_mode = render_mode
        self._actions: NDArray[np.generic] | None = None
        super().__init__(num_envs, self.inner.single_observation_space, self.inner.single_action_space)

    def reset(self) -> NDArray[np.generic]:
        """First observations (W, ...)."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        seen, _ = self.inner.reset(seed=seeds)
        self.reset_infos = [{"episode_seed": int(one)} for one in self.inner.core.episode_seeds]
        self._reset_seeds()
        return seen

    def step_async(self, actions: NDArray[np.generic]) -> None:
        """Note the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> tuple[NDArray[np.generic], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """One tick of 0.1 s in every world."""
        if self._actions is None:
            raise EnvError("step_async gives the actions first")
        seen, rewards, terminated, truncated, infos = self.inner.step(self._actions)
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        core = self.inner.core
        for place, w in enumerate(core.ended_worlds if "final_obs" in infos else ()):
            gain, ticks = core.final_gains[place, 0], core.final_ticks[place, 0]
            told[w] = {
                "terminal_observation": infos["final_obs"][w],
                "TimeLimit.truncated": bool(truncated[w] and not terminated[w]),
                "episode": {"r": float(gain), "l": int(ticks), "t": 0.1 * float(ticks)},
            }
        return seen, rewards, terminated | truncated, told

    def close(self) -> None:
        """Close the window and let go of the threads."""
        self.inner.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """World 0 from above; nothing of the others."""
        picture = self.inner.render()
        return [None if picture is None else picture[0], *[None] * (self.num_envs - 1)]

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """An attribute of the batch, once for each world asked about."""
        return [getattr(self.inner, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Worlds have no attributes of their own: EnvError."""
        raise EnvError(f"attribute {attr_name!r} cannot be set: worlds of a batch have no attributes of their own")

    def env_method(self, method_name: str, *args: Any, indices: int | Iterable[int] | None = None, **kwargs: Any) -> list[Any]:
        """Worlds have no methods of their own: EnvError."""
        raise EnvError(f"method {method_name!r} cannot be called: worlds of a batch have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: int | Iterable[int] | None = None) -> list[bool]:
        """Whether worlds are wrapped: they never are."""
        return [False for _ in self._get_indices(indices)]
