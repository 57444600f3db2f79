"""Tunables of the behaviours. SI units; the defaults are what ships."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from avstack.safety.assumptions import Assumptions

Prediction = Literal["constant", "frozen", "reactive"]
"""How others move in the rollouts: at constant speed; as they would against an average ego, whatever this one does; reacting."""
Branching = Literal["none", "perfect", "observed"]
"""What the second stage may know: nothing new; which scenario is true; as much as the first stage will have shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostConfig:
    """Prices, in seconds of the ego's own delay.

    collision: per unit of severity ((relative speed / 10 m/s)², at least 0.3); tail: on top, for the mean severity of the worst
    `tail_share` of outcomes; close: per conflict whose time gap falls from 1.5 s to 0; delay: per second of ego; courtesy: per
    second of others; imposed_braking: per (m/s²)² s beyond 1 m/s² that others brake; right_of_way: per slot taken from somebody
    who was first; blocking: per second standing in a zone; comfort: per (m/s²)² s; switch: for another manoeuvre than before;
    probing: for inching forward right at somebody on foot.
    """

    collision: float = 400.0
    tail: float = 100.0
    tail_share: float = 0.1
    close: float = 6.0
    delay: float = 1.0
    courtesy: float = 0.35
    imposed_braking: float = 1.2
    right_of_way: float = 12.0
    blocking: float = 1.5
    comfort: float = 0.04
    switch: float = 0.7
    turn_back: float = 3.0
    overruled: float = 8.0
    change: float = 1.0
    probing: float = 4.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"CostConfig.{item.name} must be a finite number of at least 0, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourConfig:
    """How the car decides.

    prediction, branching: the ladder of planners, see their types. assertiveness: 0 timid to 1 bold, the one knob for delay
    against risk. negotiate: whether precedence is decided at all; without, the ego brakes for what is in its path. learn,
    creep, breaker: belief updates, inching forward, and the deadlock breaker, for ablations. response_scale: how many times as
    hard as usual others are expected to speed up, brake and keep to the rules, to ask what hangs on it. branch_s: when the second
    stage begins [s]. horizon_s: how far rollouts look. rollouts: budget of one decision. looking_ahead: [m]. tempering: weight
    of one tick's evidence, whose errors are correlated. assumptions: of the safety envelope that has the last word (a Stack puts
    its own here).
    """

    prediction: Prediction = "reactive"
    branching: Branching = "observed"
    assertiveness: float = 0.6
    learn: bool = True
    creep: bool = True
    breaker: bool = True
    negotiate: bool = True
    response_scale: float = 1.0
    branch_s: float = 1.0
    horizon_s: float = 9.0
    rollouts: int = 200
    looking_ahead: float = 90.0
    tempering: float = 0.3
    comfort_accel: float = 1.4
    brisk_accel: float = 2.2
    cost: CostConfig = field(default_factory=CostConfig)
    assumptions: Assumptions = field(default_factory=Assumptions)

    def __post_init__(self) -> None:
        for name, words in (("prediction", get_args(Prediction)), ("branching", get_args(Branching))):
            if getattr(self, name) not in words:
                raise ValueError(f"BehaviourConfig.{name} must be one of {', '.join(words)}, got {getattr(self, name)!r}")
        for name, low, high in (
            ("assertiveness", 0.0, 1.0), ("response_scale", 0.3, 3.0), ("branch_s", 0.4, 3.0), ("horizon_s", 4.0, 12.0),
            ("rollouts", 24, 5000), ("looking_ahead", 30.0, 200.0), ("tempering", 0.0, 1.0), ("comfort_accel", 0.3, 4.0),
            ("brisk_accel", 0.3, 4.0),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"BehaviourConfig.{name} must be between {low} and {high}, got {value!r}")
