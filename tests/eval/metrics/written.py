"""Written recordings: ego drives east and another one north through the same spot, with whatever their drivers traced."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.metrics.result import Junction
from sim.interface import Floats
from sim.recording import RECORDED_EVENT_DTYPE, TICK_DTYPE, Ending, Footer, Header, RecordedActor, Recording
from sim.roads.outline import MapOutline

EGO, OTHER = 0, 1
NOWHERE = MapOutline(name="", left_hand_traffic=False, lanes=(), crosswalks=(), edges=(), scenery=(), signals=())
MIDDLE = 30.0
"""m along either way at which the two cross."""

JUNCTION = Junction(
    actors=(EGO, OTHER),
    stop_lines=np.array([[-10.0, 0.0, 0.0], [0.0, -10.0, 0.5 * math.pi]]),
    exit_lines=np.array([[10.0, 0.0, 0.0], [0.0, 10.0, 0.5 * math.pi]]),
    conflicts=np.array([[False, True], [True, False]]),
    headway=np.array([[-math.inf, 3.0], [3.0, -math.inf]]),
    through=np.array([4.0, 4.0]),
    arrivals=np.array([5.0, 5.0]),
    free=np.array([9.0, 9.0]),
    first_come=np.array([9.0, 12.0]),
    optimal=np.array([9.0, 11.0]),
    exact=True,
)


def recording(
    ego: Floats,
    other: Floats,
    numbers: Mapping[str, Sequence[float]] | None = None,
    arrays: Mapping[str, Sequence[NDArray[np.generic]]] | None = None,
    events: Sequence[tuple[str, int, int, int]] = (),
    kinds: tuple[str, str] = ("CAR", "CAR"),
) -> Recording:
    """Positions (T,) [m] along either way, what ego's driver traced at each tick, and events (kind, tick, a, b)."""
    count = len(ego)
    rows = np.zeros(2 * count, TICK_DTYPE)
    for actor, s, heading in ((EGO, ego, 0.0), (OTHER, other, 0.5 * math.pi)):
        part = rows[actor::2]
        part["tick"], part["actor"], part["heading"] = np.arange(count), actor, heading
        part["x"], part["y"] = (s - MIDDLE, 0.0) if actor == EGO else (0.0, s - MIDDLE)
        part["speed"] = np.gradient(s, 0.1)
        part["accel"] = np.gradient(part["speed"], 0.1)
        part["jerk"] = np.gradient(part["accel"], 0.1)
    actors = tuple(
        RecordedActor(name=name, kind=kind, length=4.6, width=1.8) for name, kind in zip(("ego", "other"), kinds, strict=True)
    )
    names = ("COLLISION",)
    header = Header(scenario="cross", seed=0, duration_s=30.0, ego=EGO, actors=actors, event_names=names, reason_names=())
    happened = np.zeros(len(events), RECORDED_EVENT_DTYPE)
    for row, (kind, tick, a, b) in zip(happened, events, strict=True):
        row["kind"], row["tick"], row["a"], row["b"] = names.index(kind), tick, a, b
    at = np.arange(count, dtype=np.int64) * 2
    return Recording(
        header=header, road_map=NOWHERE, rows=rows, events=happened, footer=Footer(ending=Ending.PASSED),
        traces={name: (at[: len(values)], np.asarray(values, np.float64)) for name, values in (numbers or {}).items()},
        arrays={name: (at[: len(values)], tuple(values)) for name, values in (arrays or {}).items()},
    )  # fmt: skip


def steady(count: int, start: float, speed: float) -> Floats:
    """(T,) positions at constant speed."""
    return start + speed * 0.1 * np.arange(count, dtype=np.float64)


def standing(count: int, place: float = -100.0) -> Floats:
    """(T,) positions of one that stands, far away unless told otherwise."""
    return np.full(count, place)
