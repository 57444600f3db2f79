"""Counter-based random numbers: a pure function of (seed, branch, world, tick, agent, purpose).

Nothing is drawn from a shared stream, so batch order, other agents' draws and early ends cannot change a world. The mixer is
SplitMix64's finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014), chained over the keys.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from sim.jit import kernel


class Purpose(IntEnum):
    """What a draw is for; each purpose is its own stream."""

    STYLE = 1
    ROUTE = 2
    ARRIVAL = 3
    KIND = 4
    DECISION = 5
    ATTENTION = 6
    PLACEMENT = 7
    SCENARIO = 8
    SENSOR = 9
    ODOMETRY = 10
    PEDESTRIAN = 11
    SIGNAL = 12
    DRIVER = 13


Bits = int | np.uint64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53


@kernel
def mix(key: Bits, value: Bits) -> np.uint64:
    """Hash of a running 64-bit key and one more integer; negative integers count modulo 2^64."""
    z = (np.uint64(key) ^ np.uint64(value)) + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@kernel
def draw_bits(seed: int, branch: int, tick: int, agent: int, purpose: int, index: int) -> np.uint64:
    """64 random bits for these keys, each a signed 64-bit integer. A world of a batch is told apart by its `seed` alone."""
    key = mix(np.uint64(seed), np.uint64(branch))
    key = mix(key, np.uint64(tick))
    key = mix(key, np.uint64(agent))
    key = mix(key, np.uint64(purpose))
    return mix(key, np.uint64(index))


@kernel
def uniform(seed: int, branch: int, tick: int, agent: int, purpose: int, index: int) -> float:
    """Uniform draw in [0, 1)."""
    return float(draw_bits(seed, branch, tick, agent, purpose, index) >> np.uint64(11)) * _TO_UNIT


@kernel
def normal(seed: int, branch: int, tick: int, agent: int, purpose: int, index: int) -> float:
    """Standard normal draw (Box-Muller on two uniforms of the same key)."""
    u = uniform(seed, branch, tick, agent, purpose, 2 * index)
    v = uniform(seed, branch, tick, agent, purpose, 2 * index + 1)
    return math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * v)


def generator(seed: int, purpose: Purpose, *keys: int) -> np.random.Generator:
    """A numpy generator (Philox) for set-up code outside kernels, keyed the same way."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed & 0xFFFFFFFFFFFFFFFF, int(purpose), *keys])))
