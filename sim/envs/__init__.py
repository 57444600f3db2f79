"""Environments for reinforcement learning: a batch of worlds, and the views of it that libraries expect.

The views of PettingZoo and Stable-Baselines3, which are extras, are in `sim.envs.parallel` and `sim.envs.sb3`.
"""

from sim.envs.config import ActionKind, Autoreset, EnvConfig, EnvError, ObservationKind
from sim.envs.core import BatchEnv, Outcome

__all__ = ["ActionKind", "Autoreset", "BatchEnv", "EnvConfig", "EnvError", "ObservationKind", "Outcome"]
