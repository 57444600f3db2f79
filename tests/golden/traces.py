"""Golden traces: what a dozen short episodes come out as, so that a change of behaviour is seen and meant.

`make golden` runs this file: it writes traces.json anew and prints what changed, for the commit message.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

from eval.run import Job, run_episode
from scenarios.catalogue import FAMILIES

FILE = Path(__file__).parent / "traces.json"
SEEDS = (11,)
DURATION_S = 12

Outcome = dict[str, object]


def machine_class() -> str:
    """What hashes may depend on: kernels are compiled for a processor, and draws come from numpy."""
    names = ("numpy", "numba", "scipy", "shapely")
    return " ".join((platform.system(), platform.machine(), *(f"{name} {version(name)}" for name in names)))


def outcome(family: str, seed: int) -> Outcome:
    """Hash and figures of the first DURATION_S seconds of one episode."""
    result = run_episode(Job(target=family, seed=seed, settings=(f"duration_s={DURATION_S}",)))
    return {"mean_speed": result.mean_speed, "collisions": result.counts.collisions, "trace": result.trace_hash}


def names() -> list[tuple[str, int]]:
    """The episodes."""
    return [(family, seed) for family in FAMILIES for seed in SEEDS]


def main() -> None:
    """Write the file and print each episode that came out otherwise."""
    before = json.loads(FILE.read_text()) if FILE.exists() else {"episodes": {}}
    after = {f"{family}-{seed}": outcome(family, seed) for family, seed in names()}
    for name, found in after.items():
        old = before["episodes"].get(name)
        if old != found:
            print(f"{name}: {old} -> {found}")
    print(f"{sum(before['episodes'].get(name) != found for name, found in after.items())} of {len(after)} changed")
    FILE.write_text(json.dumps({"machine": machine_class(), "episodes": after}, indent=2) + "\n")


if __name__ == "__main__":
    main()
