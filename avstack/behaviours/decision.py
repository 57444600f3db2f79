"""What the behaviours decide, in a form that motion can drive and a person can read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from avstack.behaviours.atlas import Path
from sim.geometry import Floats


class Manoeuvre(IntEnum):
    """What the ego is doing."""

    FOLLOW = 0
    GO = 1
    YIELD = 2
    CREEP = 3
    HOLD = 4
    BACK = 5
    STOP = 6


class Reason(IntEnum):
    """Why, in the order of `REASONS`."""

    FREE = 0
    LEADER = 1
    LINE = 2
    RED_LIGHT = 3
    FIRST = 4
    THEY_YIELD = 5
    GIVES_WAY = 6
    UNSURE = 7
    INCHES = 8
    BREAKER = 9
    BACKS_OFF = 10
    CHANGES_LANE = 11
    PASSES = 12
    COMMITTED = 13
    BAD_INPUT = 14
    NO_WAY = 15


REASONS = {
    Reason.FREE: "the way is free",
    Reason.LEADER: "follows",
    Reason.LINE: "stops at the line",
    Reason.RED_LIGHT: "waits for the light",
    Reason.FIRST: "goes: it is first by the rules, before",
    Reason.THEY_YIELD: "goes: expected to be let in by",
    Reason.GIVES_WAY: "gives way to",
    Reason.UNSURE: "waits to see what it does:",
    Reason.INCHES: "inches forward to be understood by",
    Reason.BREAKER: "ends a standoff: takes its turn before",
    Reason.BACKS_OFF: "backs off for",
    Reason.CHANGES_LANE: "changes lane",
    Reason.PASSES: "passes",
    Reason.COMMITTED: "has committed itself: goes on, before",
    Reason.BAD_INPUT: "stops: the input makes no sense",
    Reason.NO_WAY: "stops: no way ahead",
}


@dataclass(frozen=True, slots=True, eq=False)
class Lead:
    """Somebody ahead: where the ego's box centre would touch it, s (M,) [m] at times t (M,) [s] from now."""

    id: int
    t: Floats
    s: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """What motion is asked to keep to. stops: places to rest at, the nearest ahead counts; windows: (until [s], s) not to be
    passed before; leads: whom to follow; cap: most speed [m/s]; brisk: speed up firmly; back_to: reverse to this s; rest: wait
    wherever it is comfortable to come to rest; prompt: come to rest as soon as comfort allows."""

    stops: tuple[float, ...] = ()
    windows: tuple[tuple[float, float], ...] = ()
    leads: tuple[Lead, ...] = ()
    cap: float = 100.0
    brisk: bool = False
    back_to: float | None = None
    emergency: bool = False
    rest: bool = False
    prompt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision. path: what to drive along; s: the ego's place on it [m]; ask: what motion must keep to.

    plan (T, 3): the ego's s, v, a every `step_s` from now, in the likeliest future. other: id of whom the reason speaks of, -1
    nobody. go_first, influence: (M,) per claimant, ids in `others`: probability that it goes before the ego if that commits, and
    P(it goes | ego holds) - P(it goes | ego commits); lets_go: (M,) 1 where the ego lets it go first. terms: the chosen policy's
    expected cost by name. futures, futures_share: what is likely to come, as in `futures.places_of`.
    """

    manoeuvre: Manoeuvre
    reason: Reason
    path: Path
    s: float
    plan: Floats
    ask: Ask
    step_s: float
    indicator: int = 0
    wave: bool = False
    other: int = -1
    others: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    go_first: Floats = field(default_factory=lambda: np.zeros(0))
    influence: Floats = field(default_factory=lambda: np.zeros(0))
    lets_go: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    terms: dict[str, float] = field(default_factory=dict)
    rollouts: int = 0
    futures: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0, 2), np.float32))
    futures_share: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def words(self) -> str:
        """The reason as a sentence."""
        who = f" {self.other}" if self.other >= 0 else ""
        return f"{self.manoeuvre.name.lower()}: {REASONS[self.reason]}{who}"
