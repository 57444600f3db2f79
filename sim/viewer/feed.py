"""Where a viewer takes its ticks from: a recording, or an episode that is simulated as it is watched."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sim.recording import Header, Recording
from sim.roads.outline import MapOutline
from sim.viewer.hands import Hands
from sim.viewer.mind import Trace


class Feed(Protocol):
    """Ticks `first_tick` to `last_tick` of an episode; more may come with `advance` until it has `ended`."""

    header: Header
    road_map: MapOutline
    first_tick: int

    @property
    def last_tick(self) -> int:
        """The last tick there is."""
        ...

    @property
    def ended(self) -> bool:
        """Whether no more will come."""
        ...

    @property
    def verdict(self) -> str:
        """How it ended, in a few words; empty before."""
        ...

    def rows(self, tick: int) -> NDArray[np.void]:
        """(A',) rows of TICK_DTYPE of the actors that are there at one tick."""
        ...

    def trace(self, tick: int, actor: int) -> Trace:
        """What an actor's driver traced at one tick; empty where it drives by no trace."""
        ...

    def events(self) -> NDArray[np.void]:
        """(E,) of RECORDED_EVENT_DTYPE, all that are known."""
        ...

    def advance(self) -> None:
        """Bring the next tick, where there will be one."""
        ...


@runtime_checkable
class Seating(Protocol):
    """A feed whose cars somebody may take over."""

    @property
    def driven(self) -> int | None:
        """Who is driven by hand."""
        ...

    def take(self, actor: int, hands: Hands) -> None:
        """Let `hands` drive an actor from the next tick on, and whoever they drove before go. Raises ValueError, in words."""
        ...

    def hand_back(self) -> None:
        """Give the car back to whom the scenario has drive it."""
        ...


class RecordedFeed:
    """The ticks of a recording."""

    def __init__(self, recording: Recording) -> None:
        self.header = recording.header
        self.road_map = recording.road_map
        self._recording = recording
        self._traces: dict[tuple[int, int], dict[str, NDArray[np.generic]]] = {}
        rows = recording.rows
        self.first_tick = int(rows["tick"][0]) if len(rows) else 0
        for name, (at, numbers) in recording.traces.items():
            for k, value in zip(at, numbers, strict=True):
                self._of(rows[k])[name] = np.asarray(value)
        for name, (at, arrays) in recording.arrays.items():
            for k, array in zip(at, arrays, strict=True):
                self._of(rows[k])[name] = array

    @property
    def last_tick(self) -> int:
        """As `Feed.last_tick`."""
        return self._recording.last_tick

    @property
    def ended(self) -> bool:
        """As `Feed.ended`."""
        return True

    @property
    def verdict(self) -> str:
        """As `Feed.verdict`."""
        footer = self._recording.footer
        return ": ".join(part for part in (footer.ending.replace("_", " "), "; ".join(footer.reasons)) if part)

    def rows(self, tick: int) -> NDArray[np.void]:
        """As `Feed.rows`."""
        return self._recording.at(tick)

    def trace(self, tick: int, actor: int) -> Trace:
        """As `Feed.trace`."""
        return self._traces.get((tick, actor), {})

    def events(self) -> NDArray[np.void]:
        """As `Feed.events`."""
        return self._recording.events

    def advance(self) -> None:
        """As `Feed.advance`: there is no more."""

    def _of(self, row: np.void) -> dict[str, NDArray[np.generic]]:
        return self._traces.setdefault((int(row["tick"]), int(row["actor"])), {})
