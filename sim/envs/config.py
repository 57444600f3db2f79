"""What an environment gives, takes and rewards: one frozen record, checked as a whole.

SI units. An agent is a road user that the environment's caller drives; a world is one episode under way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType


class EnvError(ValueError):
    """Something that an environment cannot do; the message says what was given and what is possible."""


class Autoreset(StrEnum):
    """What follows the end of an episode; values as in Gymnasium's AutoresetMode."""

    NEXT_STEP = "NextStep"
    """The step after the last one ignores its action and gives the first observation of the next episode."""
    SAME_STEP = "SameStep"
    """The last step itself gives it; the last observation of the old episode lies beside it."""
    DISABLED = "Disabled"
    """The world waits for a reset; stepping it before that is an error."""


class ActionKind(StrEnum):
    """What an agent decides each tick of 0.1 s."""

    CONTINUOUS = "continuous"
    """(acceleration, road-wheel angle), each in [-1, 1] of BRAKING or ACCELERATION and of what the wheels turn."""
    JERK = "jerk"
    """(jerk, steering rate), each in [-1, 1] of JERK and STEER_RATE; acceleration and angle are their sums."""
    MANOEUVRE = "manoeuvre"
    """One of MANOEUVRES; the simulator's own steering keeps to the route."""
    TARGET_SPEED = "target_speed"
    """Speed along the route: -1 stands, 1 is what limit and bends allow; steering as for a manoeuvre."""


class ObservationKind(StrEnum):
    """What an agent sees."""

    VECTOR = "vector"
    """One row of floats, see `sim.envs.vector`."""
    GRID = "grid"
    """A bird's-eye picture in channels, see `sim.envs.grid`."""
    OBJECTS = "objects"
    """As VECTOR, but what a sensor would tell at the `objects` level, with variances, see `sim.envs.objects`."""


ACCELERATION, BRAKING = 3.0, 6.0  # m/s² at full pedal
JERK, STEER_RATE = 6.0, 0.4  # m/s³, rad/s at full deflection
MANOEUVRES = ("hold", "creep", "slow", "go", "left", "right")
"""Stop; CREEP_SPEED; half the speed allowed; all of it; keep the last speed and move over by SHIFT to a side of the lane."""
CREEP_SPEED = 1.0  # m/s
SHIFT = 0.5  # m

TERMS = (
    "progress", "goal", "collision", "at_fault", "offroad", "red_light", "stop_ignored", "imposed", "speeding", "jerk", "lateral",
    "off_centre", "time",
)  # fmt: skip
"""What rewards are made of, per agent and tick. progress: metres towards the goal. goal, collision, at_fault, offroad, red_light,
stop_ignored: 1 in the tick in which it happens. imposed: m/s² by which one of the simulator's drivers brakes harder than HARD for
an agent that moves through a junction. speeding: m/s above the limit. jerk: (m/s³)². lateral: (m/s²)² sideways.
off_centre: metres off the middle of the lane. The last five and imposed count per second."""
HARD = 2.5  # m/s²

REWARD: Mapping[str, float] = MappingProxyType(
    {
        "progress": 0.01, "goal": 1.0, "collision": -1.0, "at_fault": -0.5, "offroad": -1.0, "red_light": -0.5,
        "stop_ignored": -0.2, "imposed": -0.1, "speeding": -0.02, "jerk": -0.0005, "lateral": -0.005, "off_centre": -0.01,
        "time": -0.01,
    }
)  # fmt: skip
"""Weight of each term in the default reward: arriving is worth about what a collision costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvConfig:
    """How a batch of worlds is played.

    agents: who is driven: `ego`, `all` vehicles, that many (ego first), or `external`: whom the scenario leaves to be driven from
    outside and names no driver for. action, observation, autoreset: see there.
    reward: weights by term, replacing REWARD's own. styles: by term the range of a factor on its weight that each agent draws for
    each episode and is told at the end of its observation. neighbours, path_points, path_step: size of the vector observation,
    the last in m. threads: worlds are split over this many. copy: observations are given as copies; without, as a view that the
    next step overwrites. duration_s: replaces the scenario's own limit. repeat: a step is so many ticks with the same action, and
    rewards are their sum; of several agents, who ends before the last of these ticks sees nothing any more.
    latency_ticks: so much later pedal and wheel do what they are asked for; until then nobody touches them.
    """

    agents: str | int = "ego"
    action: ActionKind | str = ActionKind.CONTINUOUS
    observation: ObservationKind | str = ObservationKind.VECTOR
    autoreset: Autoreset | str = Autoreset.NEXT_STEP
    reward: Mapping[str, float] = field(default_factory=dict)
    styles: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    neighbours: int = 7
    path_points: int = 12
    path_step: float = 3.0
    threads: int = 1
    copy: bool = True
    duration_s: float | None = None
    repeat: int = 1
    latency_ticks: int = 0

    def __post_init__(self) -> None:
        for name, kind in (("action", ActionKind), ("observation", ObservationKind), ("autoreset", Autoreset)):
            object.__setattr__(self, name, _member(kind, name, getattr(self, name)))
        if isinstance(self.agents, bool) or not (
            self.agents in ("ego", "all", "external") or (isinstance(self.agents, int) and self.agents > 0)
        ):
            raise EnvError(f"agents must be 'ego', 'all', 'external' or a number of at least 1, got {self.agents!r}")
        for name in ("reward", "styles"):
            for term in getattr(self, name):
                if term not in TERMS:
                    raise EnvError(f"{name}: unknown term {term!r}{_nearest(term, TERMS)}; known: {', '.join(TERMS)}")
        for term, weight in self.reward.items():
            if not _finite(weight):
                raise EnvError(f"reward[{term!r}] must be a finite number, got {weight!r}")
        for term, span in self.styles.items():
            if len(span) != 2 or not (_finite(span[0]) and _finite(span[1])) or span[0] > span[1]:
                raise EnvError(f"styles[{term!r}] must be (low, high) with low <= high, got {span!r}")
        limits = (
            ("neighbours", 0, 32),
            ("path_points", 0, 1000),
            ("threads", 1, 256),
            ("repeat", 1, 100),
            ("latency_ticks", 0, 3),
        )
        for name, low, high in limits:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise EnvError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
        if not (_finite(self.path_step) and 0.1 <= self.path_step <= 20.0):
            raise EnvError(f"path_step must be 0.1 to 20 m, got {self.path_step!r}")
        if self.duration_s is not None and not (_finite(self.duration_s) and self.duration_s >= 0.1):
            raise EnvError(f"duration_s must be at least 0.1 s, got {self.duration_s!r}")

    @property
    def weights(self) -> tuple[float, ...]:
        """Weight of each of TERMS."""
        return tuple(float(self.reward.get(term, REWARD[term])) for term in TERMS)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _member(kind: type[StrEnum], name: str, value: object) -> StrEnum:
    """The member that a value or a Gymnasium enum of the same value means."""
    text = getattr(value, "value", value)
    for member in kind:
        if text == member.value:
            return member
    known = [str(member.value) for member in kind]
    raise EnvError(f"unknown {name} {value!r}{_nearest(str(text), known)}; known: {', '.join(known)}")


def _nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f", did you mean {near[0]!r}?" if near else ""
