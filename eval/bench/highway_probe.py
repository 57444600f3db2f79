"""Times highway-env's intersection. Runs in the environment that `eval.bench.highway` makes, which has nothing of ours in it.

Prints one JSON object. Only the CPU time of this thread inside `step` counts: resets, imports and rendering do not.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import gymnasium
import highway_env  # noqa: F401  registers its environments on import

FASTER = 2
WARM_UP_STEPS = 5


def probe(seconds: float, env_id: str) -> dict[str, float]:
    """Step one environment for `seconds` of CPU time; sums over all steps."""
    env = gymnasium.make(env_id).unwrapped
    env.reset(seed=0)
    for _ in range(WARM_UP_STEPS):
        env.step(FASTER)
    episodes = steps = vehicles = 0
    cpu_s = 0.0
    env.reset(seed=1)
    while cpu_s < seconds:
        present = len(env.road.vehicles)
        start = time.thread_time()
        _, _, terminated, truncated, _ = env.step(FASTER)
        cpu_s += time.thread_time() - start
        vehicles += present
        steps += 1
        if terminated or truncated:
            episodes += 1
            env.reset(seed=1 + episodes)
    return {
        "cpu_s": cpu_s,
        "policy_steps": steps,
        "vehicle_policy_steps": vehicles,
        "policy_hz": env.config["policy_frequency"],
        "simulation_hz": env.config["simulation_frequency"],
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(probe(float(sys.argv[1]), sys.argv[2])))
