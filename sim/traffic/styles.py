"""Driver styles: named distributions from which each road user draws its own constants once, keyed by seed and slot.

Sources for the centres: recorded all-way stops (accelerations 0.8-1.4 m/s², decelerations to the stop 1.1-1.9 m/s², time gaps
2.0-2.8 s, 3.3 m in a queue, most roll over the line), the Highway Capacity Manual's critical gaps (through `margin_s`),
response times 0.4-1.5 s.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sim.rng import Purpose, generator
from sim.state import COURTEOUS, JUMPS_QUEUE, NO_SIGNAL, OBLIVIOUS, RUNS_REDS, RUNS_STOPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One named style. Pairs are (median, spread): a draw is median * exp(spread * z), |z| <= 2, z standard normal.

    speed_factor: desired speed over the limit. time_gap [s], min_gap [m]: IDM headway. accel, decel [m/s²]: comfortable.
    lateral_accel
    [m/s²]: in curves. margin_s [s]: spare time kept to a crossing road user. patience_s [s]: waiting before claiming or creeping.
    assertiveness [0-1 scale]. roll_speed [m/s]: speed it thinks is "stopped" when nobody is there
    (15 % of recorded entries fall below 0.5 m/s; most never stop). response_s [s]: age of
    what it reacts to. politeness: MOBIL's p. flags: rules it breaks (see sim.state).
    """

    speed_factor: tuple[float, float] = (1.04, 0.06)
    time_gap: tuple[float, float] = (1.8, 0.17)
    min_gap: tuple[float, float] = (3.3, 0.13)
    accel: tuple[float, float] = (1.6, 0.15)
    decel: tuple[float, float] = (1.6, 0.15)
    lateral_accel: tuple[float, float] = (1.87, 0.12)
    margin_s: tuple[float, float] = (1.1, 0.20)
    patience_s: tuple[float, float] = (3.0, 0.30)
    assertiveness: tuple[float, float] = (0.5, 0.30)
    roll_speed: tuple[float, float] = (1.9, 1.2)
    response_s: tuple[float, float] = (0.7, 0.25)
    politeness: tuple[float, float] = (0.3, 0.30)
    flags: int = 0


STYLES: dict[str, Style] = {
    "normal": Style(),
    "calm": Style(speed_factor=(0.90, 0.05), time_gap=(1.9, 0.15), accel=(1.1, 0.12), decel=(1.3, 0.12), margin_s=(1.5, 0.2)),
    "brisk": Style(speed_factor=(1.04, 0.05), time_gap=(1.2, 0.15), accel=(1.7, 0.12), decel=(1.8, 0.12), response_s=(0.5, 0.15)),
    "timid": Style(
        speed_factor=(0.88, 0.05), margin_s=(2.0, 0.2), patience_s=(6.0, 0.3), assertiveness=(0.15, 0.3), roll_speed=(0.3, 0.3)
    ),
    "aggressive": Style(
        speed_factor=(1.10, 0.06),
        time_gap=(0.9, 0.15),
        accel=(2.1, 0.12),
        margin_s=(0.7, 0.15),
        patience_s=(1.5, 0.3),
        assertiveness=(0.9, 0.1),
    ),
    "courteous": Style(politeness=(0.8, 0.2), margin_s=(1.4, 0.2), assertiveness=(0.3, 0.3), flags=COURTEOUS),
    "stop_runner": Style(roll_speed=(5.0, 0.3), flags=RUNS_STOPS),
    "red_runner": Style(flags=RUNS_REDS),
    "queue_jumper": Style(assertiveness=(0.95, 0.05), patience_s=(0.8, 0.3), flags=JUMPS_QUEUE),
    "no_signal": Style(flags=NO_SIGNAL),
    "oblivious": Style(response_s=(1.4, 0.1), flags=OBLIVIOUS),
    "asleep": Style(response_s=(1.4, 0.1), flags=OBLIVIOUS | RUNS_STOPS),
}

RULE_BREAKERS = ("stop_runner", "red_runner", "queue_jumper", "no_signal", "oblivious", "asleep")
SCALED = (
    "time_gap", "min_gap", "accel", "decel", "lateral_accel", "margin_s", "patience_s", "assertiveness", "roll_speed",
    "response_s",
)  # fmt: skip
"""What `NAME*FACTOR` multiplies; the limits hold as before."""

_LIMITS = {
    "response_s": (0.4, 1.5),
    "assertiveness": (0.0, 1.0),
    "time_gap": (0.6, 4.0),
    "speed_factor": (0.6, 1.4),
    "roll_speed": (0.05, 2.8),
}


def draw_style(name: str, seed: int, slot: int) -> dict[str, float]:
    """Constants of one road user, by field name of `Style` (flags included); the same for the same (name, seed, slot).

    `NAME*FACTOR` is the style with its numbers SCALED, to ask how much an outcome hangs on them. Raises ValueError for a
    style that is not known.
    """
    name, _, factor = name.partition("*")
    if name not in STYLES:
        raise ValueError(f"unknown style {name!r}; known: {', '.join(sorted(STYLES))}")
    style, scale = STYLES[name], float(factor or 1.0)
    random = generator(seed, Purpose.STYLE, slot)
    drawn: dict[str, float] = {}
    for item in fields(Style):
        value = getattr(style, item.name)
        if item.name == "flags":
            drawn[item.name] = value
            continue
        z = float(np.clip(random.standard_normal(), -2.0, 2.0))
        low, high = _LIMITS.get(item.name, (0.0, np.inf))
        median = value[0] * scale if item.name in SCALED else value[0]
        drawn[item.name] = float(np.clip(median * np.exp(value[1] * z), low, high))
    return drawn
