"""What an environment keeps of its agents and episodes, beside the state of the worlds: W worlds, K agents each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.envs.config import TERMS
from sim.tables import share

AGENT_DTYPE = np.dtype(
    [
        ("slot", "i4"), ("present", "i4"),
        # what is left to the goal [m] at the last tick; sums of the jerk actions; speed that the last manoeuvre asked for
        ("to_goal", "f4"), ("accel", "f4"), ("steer", "f4"), ("speed", "f4"), ("gain", "f4"), ("ticks", "i4"),
    ],
    align=True,
)  # fmt: skip
"""One agent. slot: whose body it drives, -1 for none. present: it still takes part. gain, ticks: sum of rewards and number of
ticks on the road in this episode."""

EPISODE_DTYPE = np.dtype(
    [
        ("over", "i4"), ("fresh", "i4"), ("ticks", "i4"), ("limit", "i4"), ("number", "i4"), ("seed", "u8"), ("drawn", "i8"),
    ],
    align=True,
)  # fmt: skip
"""The episode in one world. fresh: the next step only shows its start. number: place in the stock. seed, drawn: what the numbers
are drawn from, and how many were."""


class Agents(NamedTuple):
    """Everything that changes."""

    agents: NDArray[np.void]
    """(W, K) AGENT_DTYPE"""
    episodes: NDArray[np.void]
    """(W,) EPISODE_DTYPE"""
    actions: NDArray[np.float32]
    """(W, K, 2)"""
    pending: NDArray[np.float32]
    """(W, K, L, 2) commands under way to pedal and wheel, those of tick t at t modulo L; L is 0 where they act at once"""
    rewards: NDArray[np.float32]
    """(W, K) of the last step"""
    terminated: NDArray[np.uint8]
    """(W, K) 1 where the last step was an agent's last"""
    truncated: NDArray[np.uint8]
    """(W, K) 1 where the last step was the last that there was time for"""
    terms: NDArray[np.float32]
    """(W, K, T) of TERMS, of the last step, without weights"""
    weights: NDArray[np.float32]
    """(W, K, T) with each agent's own factors"""
    factors: NDArray[np.float32]
    """(W, K, S) what each agent drew for each of `EnvConfig.styles`"""


_FLOAT, _FLAG = np.dtype(np.float32), np.dtype(np.uint8)
share(
    Agents,
    {
        "agents": (AGENT_DTYPE, 2), "episodes": (EPISODE_DTYPE, 1), "actions": (_FLOAT, 3), "pending": (_FLOAT, 4),
        "rewards": (_FLOAT, 2), "terminated": (_FLAG, 2), "truncated": (_FLAG, 2), "terms": (_FLOAT, 3),
        "weights": (_FLOAT, 3), "factors": (_FLOAT, 3),
    },
)  # fmt: skip


def empty_agents(worlds: int, agents: int, styles: int, latency: int) -> Agents:
    """Zeroed arrays; every episode over."""
    made = Agents(
        agents=np.zeros((worlds, agents), AGENT_DTYPE),
        episodes=np.zeros(worlds, EPISODE_DTYPE),
        actions=np.zeros((worlds, agents, 2), np.float32),
        pending=np.zeros((worlds, agents, latency, 2), np.float32),
        rewards=np.zeros((worlds, agents), np.float32),
        terminated=np.zeros((worlds, agents), np.uint8),
        truncated=np.zeros((worlds, agents), np.uint8),
        terms=np.zeros((worlds, agents, len(TERMS)), np.float32),
        weights=np.zeros((worlds, agents, len(TERMS)), np.float32),
        factors=np.zeros((worlds, agents, styles), np.float32),
    )
    made.episodes["over"] = 1
    return made
