"""What a rollout costs: one table of terms, each in seconds of the ego's own delay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from avstack.behaviours.config import BehaviourConfig, CostConfig
from avstack.behaviours.response import (
    BLOCKING,
    BRAKING,
    CLOSE,
    COMFORT,
    DELAY,
    FEATURES,
    ORDER,
    OTHERS_DELAY,
    OVERRULED,
    SEVERITY,
)
from sim.geometry import Floats
from sim.jit import kernel

TERMS: Mapping[str, tuple[int, str]] = {
    "collision": (SEVERITY, "collision"),
    "close": (CLOSE, "close"),
    "delay": (DELAY, "delay"),
    "imposed_delay": (OTHERS_DELAY, "courtesy"),
    "imposed_braking": (BRAKING, "imposed_braking"),
    "right_of_way": (ORDER, "right_of_way"),
    "blocking": (BLOCKING, "blocking"),
    "comfort": (COMFORT, "comfort"),
    "overruled": (OVERRULED, "overruled"),
}
"""Name of a term -> feature of a rollout, and its price in CostConfig. A new term takes one line here and one feature."""
BOLDEST = 16.0
"""How many times its usual price own delay costs at assertiveness 1; what it is traded against costs as many times less."""


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """weights (FEATURES,): cost = features · weights. tail, tail_share: CVaR on collision severity, see `tail_mean`."""

    weights: Floats
    tail: float
    tail_share: float


def prices(config: BehaviourConfig) -> Prices:
    """Prices of this configuration; assertiveness trades own delay against risk, others' turns and their inconvenience."""
    cost = config.cost
    bold = BOLDEST ** (2.0 * config.assertiveness - 1.0)
    weights = np.zeros(FEATURES)
    for feature, name in TERMS.values():
        weights[feature] = getattr(cost, name)
    weights[DELAY] *= bold
    for feature in (CLOSE, OTHERS_DELAY, BRAKING, ORDER, SEVERITY):
        weights[feature] /= bold
    return Prices(weights, cost.tail / bold, cost.tail_share)


@kernel
def tail_mean(severity: Floats, share: Floats, tail: float) -> float:
    """CVaR: mean severity (K,) over the worst `tail` of probability `share` (K,)."""
    total = 0.0
    for k in range(len(share)):
        worse = 0.0
        for m in range(len(share)):
            if severity[m] > severity[k] or (severity[m] == severity[k] and m < k):
                worse += share[m]
        total += severity[k] * max(min(share[k], tail - worse), 0.0)
    return total / min(tail, np.sum(share))


def terms_of(features: Floats, config: CostConfig) -> dict[str, float]:
    """Expected cost by term name, of mean features (FEATURES,)."""
    return {name: float(features[feature]) * float(getattr(config, price)) for name, (feature, price) in TERMS.items()}
