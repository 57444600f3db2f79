"""Who and what of an episode is worth showing: actors around ego with a colour and a label each, the area, the moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.interface import Floats
from sim.recording import Recording
from sim.viewer.canvas import Colour

EGO_COLOUR: Colour = (196, 60, 0)
PALETTE: tuple[Colour, ...] = (
    (0, 100, 170), (0, 140, 100), (190, 90, 150), (70, 160, 215),
    (120, 85, 30), (110, 70, 170), (225, 150, 0), (90, 100, 110),
)  # fmt: skip
"""After Okabe and Ito, Color Universal Design: told apart with any common kind of colour vision; vermillion is kept for ego."""
OTHERS_COLOUR: Colour = (150, 154, 160)
NEAR = 45.0
"""Distance [m] within which another road user counts as part of what ego met."""
_ENCOUNTER = 16.0  # m, distance at which another is still part of the action
_MARGIN = 12.0
_SPAN_MIN = 46.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One actor of the picture. label: what is written beside it; main: has a colour of its own, a curve and a legend entry."""

    actor: int
    label: str
    colour: Colour
    main: bool
    track: NDArray[np.void]


def choose_cast(recording: Recording) -> tuple[Member, ...]:
    """All actors that were ever there: ego first, then the main others by how close they came, then the rest in grey."""
    tracks = {index: recording.track(index) for index in range(len(recording.header.actors))}
    there = {index: track for index, track in tracks.items() if len(track)}
    ego = recording.header.ego
    closeness = {
        index: _closeness(recording, there.get(ego) if ego is not None else None, track) for index, track in there.items()
    }
    others = sorted((index for index in there if index != ego), key=lambda index: (_still(there[index]), closeness[index], index))
    limit = NEAR if ego is not None and ego in there else np.inf
    main = [index for index in others if closeness[index] <= limit and not _still(there[index])][: len(PALETTE)]
    members = []
    if ego is not None and ego in there:
        members.append(Member(actor=ego, label="ego", colour=EGO_COLOUR, main=True, track=there[ego]))
    for place, index in enumerate(main):
        members.append(Member(actor=index, label=chr(ord("A") + place), colour=PALETTE[place], main=True, track=there[index]))
    rest = [index for index in others if index not in main]
    members += [Member(actor=index, label="", colour=OTHERS_COLOUR, main=False, track=there[index]) for index in rest]
    return tuple(members)


def area(recording: Recording, cast: Sequence[Member]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 [m] around where it happened: ego's whole way, and the main others while they were near it."""
    ego = next((member for member in cast if member.actor == recording.header.ego), None)
    places = []
    for member in cast:
        if not member.main:
            continue
        points = np.column_stack((member.track["x"], member.track["y"]))
        if ego is not None and member is not ego:
            points = points[_distances(ego.track, member.track) <= NEAR]
        places.append(points)
    everything = (
        [np.column_stack((recording.rows["x"], recording.rows["y"]))] if not any(len(points) for points in places) else places
    )
    points = np.concatenate(everything)
    if len(points) == 0:
        return recording.road_map.bounds()
    low, high = (points.min(axis=0), points.max(axis=0)) if ego is not None else np.percentile(points, (2.0, 98.0), axis=0)
    return padded(low, high)


def padded(low: Floats, high: Floats) -> tuple[float, float, float, float]:
    """Bounds with a margin, at least _SPAN_MIN wide and high."""
    middle, half = 0.5 * (low + high), np.maximum(0.5 * (high - low) + _MARGIN, 0.5 * _SPAN_MIN)
    return float(middle[0] - half[0]), float(middle[1] - half[1]), float(middle[0] + half[0]), float(middle[1] + half[1])


def contacts(recording: Recording) -> NDArray[np.void]:
    """(E,) collision events, ego's first, then by time."""
    names = recording.header.event_names
    if "COLLISION" not in names:
        return recording.events[:0]
    events: NDArray[np.void] = recording.events[recording.events["kind"] == names.index("COLLISION")]
    ego = -2 if recording.header.ego is None else recording.header.ego
    with_ego = (events["a"] == ego) | (events["b"] == ego)
    ordered: NDArray[np.void] = events[np.lexsort((events["tick"], ~with_ego))]
    return ordered


def choose_moments(recording: Recording, cast: Sequence[Member], count: int) -> tuple[int, ...]:
    """`count` ticks in order: the first and last of ego's passage, the first contacts, and between them where most happens.

    The gaps are halved by a measure of action: a little for the time, more for others close to ego and for its acceleration.
    """
    leading = cast[0].track if cast and cast[0].actor == recording.header.ego else recording.rows
    if len(leading) == 0:
        return (0,) * count
    first, last = int(leading["tick"].min()), int(leading["tick"].max())
    action = _action(recording, cast, first, last)
    chosen = sorted({first, last, *(int(np.clip(event["tick"], first, last)) for event in contacts(recording)[: count - 3])})
    while len(chosen) < min(count, last - first + 1):
        gaps = [action[b - first] - action[a - first] if b - a > 1 else -1.0 for a, b in pairwise(chosen)]
        widest = int(np.argmax(gaps))
        a, b = chosen[widest], chosen[widest + 1]
        middle = first + int(np.searchsorted(action, 0.5 * (action[a - first] + action[b - first])))
        chosen.insert(widest + 1, int(np.clip(middle, a + 1, b - 1)))
    return tuple(chosen)


def focus(recording: Recording, cast: Sequence[Member]) -> Floats | None:
    """(2,) where ego met others: the mean of its places, weighted by how close they were; None where it met nobody."""
    ego = next((member.track for member in cast if member.actor == recording.header.ego), None)
    if ego is None:
        return None
    weights = _encounters(recording, cast, ego["tick"])
    if weights.sum() < 1.0:
        return None
    return np.array([float(np.average(ego["x"], weights=weights)), float(np.average(ego["y"], weights=weights))])


def _action(recording: Recording, cast: Sequence[Member], first: int, last: int) -> Floats:
    """(last - first + 1,) increasing measure of what has happened up to each tick."""
    ticks = np.arange(first, last + 1)
    density = np.full(len(ticks), 0.12) + _encounters(recording, cast, ticks)
    for member in cast:
        if member.actor == recording.header.ego:
            density += 0.1 * np.minimum(np.abs(np.interp(ticks, member.track["tick"], member.track["accel"])), 4.0)
    grown: Floats = np.cumsum(density)
    return grown


def _encounters(recording: Recording, cast: Sequence[Member], ticks: NDArray[np.integer]) -> Floats:
    """(T,) how close the main others are to ego at each tick, from 0 for nobody to 1 for each that is upon it."""
    ego = next((member.track for member in cast if member.actor == recording.header.ego), None)
    total: Floats = np.zeros(len(ticks))
    for member in cast:
        if ego is not None and member.main and member.actor != recording.header.ego:
            gap = np.minimum(_distances(ego, member.track), 1e3)
            total += np.interp(ticks, member.track["tick"], np.exp(-((gap / _ENCOUNTER) ** 2)), left=0.0, right=0.0)
    return total


def _still(track: NDArray[np.void]) -> bool:
    return bool(np.max(np.abs(track["speed"])) < 0.05)


def _closeness(recording: Recording, ego: NDArray[np.void] | None, track: NDArray[np.void]) -> float:
    """Smallest distance to ego [m]; without an ego, to the middle of everybody's positions."""
    if ego is not None:
        return float(np.min(_distances(ego, track), initial=np.inf))
    middle = np.median(np.column_stack((recording.rows["x"], recording.rows["y"])), axis=0)
    return float(np.min(np.hypot(track["x"] - middle[0], track["y"] - middle[1])))


def _distances(ego: NDArray[np.void], track: NDArray[np.void]) -> Floats:
    """(T,) distance [m] from each row of `track` to ego at the same tick; infinite where ego is not there."""
    at = np.clip(np.searchsorted(ego["tick"], track["tick"]), 0, max(len(ego) - 1, 0))
    gap: Floats = np.hypot(track["x"] - ego["x"][at], track["y"] - ego["y"][at])
    gap[ego["tick"][at] != track["tick"]] = np.inf
    return gap
