"""What happened in an episode, counted from its events: collisions by who was in them and whose fault they were, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """Numbers of events. With an ego, `collisions`, `at_fault`, `offroad`, `red_lights` and `stops_ignored` are its own.

    Without one, every collision is a traffic collision and the rest counts everybody.
    """

    collisions: int = 0
    at_fault: int = 0
    traffic_collisions: int = 0
    deadlocks: int = 0
    offroad: int = 0
    red_lights: int = 0
    stops_ignored: int = 0


def count_events(events: NDArray[np.void], event_names: Sequence[str], ego: int | None) -> EventCounts:
    """Count (E,) events with the columns kind, a, b, fault_a, fault_b; `event_names[kind]` says what a kind is."""
    kinds = {name: events["kind"] == index for index, name in enumerate(event_names)}
    nothing = np.zeros(len(events), dtype=bool)

    def happened(name: str) -> NDArray[np.bool_]:
        chosen: NDArray[np.bool_] = kinds.get(name, nothing)
        return chosen

    first = nothing if ego is None else events["a"] == ego
    second = nothing if ego is None else events["b"] == ego
    mine = ~nothing if ego is None else first
    contact = happened("COLLISION")
    fault = (first & (events["fault_a"] == 1)) | (second & (events["fault_b"] == 1))
    return EventCounts(
        collisions=int(np.sum(contact & (first | second))),
        at_fault=int(np.sum(contact & fault)),
        traffic_collisions=int(np.sum(contact & ~(first | second))),
        deadlocks=int(np.sum(happened("DEADLOCK"))),
        offroad=int(np.sum(happened("OFFROAD") & mine)),
        red_lights=int(np.sum(happened("RED_LIGHT") & mine)),
        stops_ignored=int(np.sum(happened("STOP_IGNORED") & mine)),
    )
