"""What the whole evidence consists of: commands, in the order in which later ones find most of what they need in the store.

`{N}` stands for N seeds: those that follow from the commit, N at the most. `held_out` parts run what nobody may tune on.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from scenarios.errors import InputError

_COUNT = re.compile(r"\{(\d+)\}")
_TUNING = {"chicken": "chicken_tuning"}
"""Suites that hold something held out -> the same without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One command of the evidence. name: of its result, NAME.json; command: as typed, without store, workers and --json."""

    name: str
    command: str
    held_out: bool = False
    seeded: bool = True

    def arguments(self, first_seed: int, share: float, *, tuning: bool) -> list[str]:
        """The command's arguments with `share` of its episodes; tuning: without what is held out."""
        counted = _COUNT.sub(lambda found: _range(first_seed, math.ceil(share * int(found[1]))), self.command)
        words = counted.split()
        return [_TUNING.get(word, word) for word in words] if tuning else words


def _range(first: int, count: int) -> str:
    return f"{first}..{first + count - 1}"


LADDER = "--driver joint --driver rules --driver idm --driver cv --driver single --driver contingency --versus joint"
ABLATIONS = (
    "--driver joint --driver prior_only --driver single --driver no_creep --driver no_breaker --driver no_safety"
    " --driver response_lower --driver response_higher --versus joint"
)
PAIR = "--driver joint --driver marginal --versus marginal"
PARTS = (
    Part(name="behaviours", command="bench behaviours", seeded=False),
    Part(name="motion", command="bench motion", seeded=False),
    Part(name="chicken", command=f"eval chicken --no-regret {PAIR} --seeds {{3000}}"),
    Part(name="regret", command=f"eval chicken {PAIR} --seeds {{600}}"),
    Part(name="ladder", command=f"eval chicken --no-regret {LADDER} --seeds {{600}}"),
    Part(name="risk", command="matched-risk chicken_negotiator --seeds {180}"),
    Part(name="risk_bare", command="matched-risk chicken_negotiator --set safety=false --seeds {60}"),
    Part(name="risk_held_out", command="matched-risk chicken_held_out --seeds {60}", held_out=True),
    Part(name="risk_held_out_bare", command="matched-risk chicken_held_out --set safety=false --seeds {60}", held_out=True),
    Part(name="risk_sumo", command="matched-risk chicken_sumo --seeds {60}"),
    Part(name="risk_sumo_bare", command="matched-risk chicken_sumo --set safety=false --seeds {60}"),
    Part(name="ablations", command=f"eval chicken --no-regret {ABLATIONS} --seeds {{500}}"),
    Part(name="slower", command="eval chicken_slower --no-regret --driver joint --seeds {500}"),
    Part(name="faster", command="eval chicken_faster --no-regret --driver joint --seeds {500}"),
    Part(
        name="matrix", held_out=True,
        command="matrix --held-out --driver joint --driver marginal --driver cv --driver idm --driver rules --seeds {40}",
    ),
    Part(name="influence", command="eval influence --driver joint --driver marginal --seeds {300}"),
    Part(name="freezing", command=f"eval freezing {PAIR} --seeds {{210}}"),
    Part(name="bullying", command="eval bullying --driver no_safety --driver marginal_no_safety --seeds {300}"),
    Part(name="copies", command="eval copies --driver joint --seeds {150}"),
    Part(name="late_car", command="eval late_car --driver joint --driver no_safety --seeds {80}"),
    Part(name="bluffers", command="eval bluffers --driver joint --seeds {200}", held_out=True),
    Part(
        name="id_swaps",
        command="eval chicken_negotiator --no-regret --driver joint --driver id_swaps --versus joint --sensing state"
        " --seeds {100}",
    ),
    Part(name="creep", command="eval hesitant --driver joint --driver no_creep --versus joint --sensing state --seeds {1400}"),
    Part(name="throughput", command="bench throughput", seeded=False),
    Part(
        name="policy",
        command="eval chicken --no-regret --driver joint --driver policy --driver rules --versus joint --seeds {300}",
    ),
    Part(name="seeing", command="bench perception", seeded=False),
    Part(name="chicken_state", command="eval chicken --no-regret --driver joint --sensing state --seeds {300}"),
    Part(name="chicken_lidar", command="eval chicken --no-regret --driver joint --sensing lidar --seeds {300}"),
    Part(name="faults", command="faults --seeds {50}"),
    Part(name="layers", command="layers --held-out --seeds {150}", held_out=True),
    Part(name="catalogue_lidar", command="eval catalogue --driver joint --sensing lidar --seeds {700}"),
    Part(name="creep_person", command="eval creep_person --driver joint --seeds {100}"),
    Part(name="catalogue", command="eval catalogue --driver joint --seeds {2800}"),
    Part(name="catalogue_state", command="eval catalogue --driver joint --sensing state --seeds {280}"),
    Part(name="debris", command="eval debris --driver joint --seeds {200}"),
    Part(name="debris_held_out", command="eval debris_held_out --driver joint --seeds {200}", held_out=True),
    Part(name="real_maps", command="eval real_maps --driver joint --seeds {300}"),
    Part(name="real_maps_held_out", command="eval real_maps_held_out --driver joint --seeds {200}", held_out=True),
)  # fmt: skip


def parts_of(names: tuple[str, ...], *, tuning: bool) -> list[Part]:
    """The parts called so, or all; tuning: those alone that hold nothing held out. Raises InputError for an unknown name."""
    known = {part.name: part for part in PARTS if not (tuning and part.held_out)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"the evidence has no part {unknown[0]!r} here", fix=f"Use some of {', '.join(known)}")
    return [known[name] for name in names] if names else list(known.values())
