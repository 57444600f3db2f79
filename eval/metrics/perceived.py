"""What perception costs and spares: things struck, hard braking, stops for nothing, time in doubt, and faults that are noticed.

A phantom is a thing that ego's driver traced in `percepts`, more likely there than PRESENT and not one to drive through, with no
body near it. Ego's way is what it drove from then on, and straight ahead beyond.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.contacts import contacts
from eval.metrics.result import Better, MetricResult, References
from eval.metrics.stretches import stretches
from eval.metrics.traced import ego_arrays, ego_numbers
from sim.interface import PERCEPT_COLUMNS, Floats
from sim.recording import Recording

HARD, BRAKES = 4.0, 2.0  # m/s²: of a hard brake, and of one that may be for a phantom
PRESENT, THROUGH = 0.3, 0.6  # probabilities of existence and of no harm at which the stack gives way
AHEAD_M, ASIDE_M = 30.0, 1.5  # m of ego's way, and beside it, on which things are in the way
BESIDE_M = 1.0  # m between a thing and the body that it is of, at most
_FAULT = "faults.0.start_s"


def struck_things(recording: Recording, references: References) -> MetricResult:
    """Ego's collisions with things that it must go around; what may be driven through collides with nobody."""
    actors = recording.header.actors
    return MetricResult(value=float(sum(other >= 0 and bool(actors[other].thing) for other, _ in contacts(recording))), unit="1")


def hard_brakes(recording: Recording, references: References) -> MetricResult:
    """How often ego brakes harder than HARD."""
    return MetricResult(value=float(len(_brakings(recording, HARD))), unit="1", valid=recording.header.ego is not None)


def phantom_stops(recording: Recording, references: References) -> MetricResult:
    """How often ego brakes harder than BRAKES with a phantom in its way, and nobody else there."""
    percepts = ego_arrays(recording, "percepts")
    count = 0
    for first, last in _brakings(recording, BRAKES) if percepts else []:
        ticks = [tick for tick in range(first, last + 1) if tick in percepts]
        verdicts = [_in_the_way(recording, tick, np.asarray(percepts[tick], np.float64)) for tick in ticks]
        count += any(phantom for phantom, _ in verdicts) and not any(real for _, real in verdicts)
    return MetricResult(value=float(count), unit="1", valid=bool(percepts))


def doubt_share(recording: Recording, references: References) -> MetricResult:
    """Share of ego's time in which the coarse answer to something, or a fault, lowers its speed."""
    _, doubted = ego_numbers(recording, "doubted")
    _, trust = ego_numbers(recording, "trust")
    if len(doubted) == 0 or len(doubted) != len(trust):
        return MetricResult(value=0.0, unit="share", better=Better.NEITHER, valid=False)
    return MetricResult(value=float(np.mean((doubted > 0) | (trust < 1.0))), unit="share", better=Better.NEITHER)


def fault_noticed(recording: Recording, references: References) -> MetricResult:
    """Whether ego's driver notices the fault of its sensors, 1 or 0; where there is one, and it begins before the end."""
    noticed, valid = _noticed(recording)
    return MetricResult(value=float(noticed is not None), unit="1", better=Better.HIGHER, valid=valid)


def time_to_notice(recording: Recording, references: References) -> MetricResult:
    """From the beginning of the fault of ego's sensors to when its driver notices [s]; where it does."""
    noticed, valid = _noticed(recording)
    return MetricResult(value=noticed or 0.0, unit="s", valid=valid and noticed is not None)


def _noticed(recording: Recording) -> tuple[float | None, bool]:
    """(s until it is noticed, None for never; whether there is a fault to notice)."""
    start = recording.header.parameters.get(_FAULT)
    ticks, faults = ego_numbers(recording, "fault")
    if start is None or len(ticks) == 0:
        return None, False
    times = ticks * recording.header.tick_s
    after = times >= float(start) - 1e-9
    seen = np.flatnonzero(after & (faults > 0))
    return (float(times[seen[0]]) - float(start) if len(seen) else None), bool(after.any())


def _brakings(recording: Recording, harder: float) -> list[tuple[int, int]]:
    """(first, last tick) of each stretch in which ego brakes harder than that."""
    if recording.header.ego is None:
        return []
    track = recording.track(recording.header.ego)
    ticks = track["tick"]
    return [(int(ticks[first]), int(ticks[last - 1])) for first, last in stretches(track["accel"] < -harder)]


def _way(recording: Recording, tick: int) -> Floats:
    """(P, 2) where ego drives from a tick on, and straight on beyond, AHEAD_M in all."""
    track = recording.track(int(recording.header.ego or 0))
    ahead = track[track["tick"] >= tick]
    end = ahead[-1]
    beyond = np.arange(0.5, AHEAD_M, 0.5)
    x = np.concatenate((ahead["x"], end["x"] + beyond * np.cos(end["heading"]))).astype(np.float64)
    y = np.concatenate((ahead["y"], end["y"] + beyond * np.sin(end["heading"]))).astype(np.float64)
    along = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    return np.stack([x, y], axis=1)[along <= AHEAD_M]


def _in_the_way(recording: Recording, tick: int, percepts: Floats) -> tuple[bool, bool]:
    """Whether a phantom, and whether a body is in ego's way at a tick."""
    header = recording.header
    column = {name: k for k, name in enumerate(PERCEPT_COLUMNS)}
    rows = recording.at(tick)
    bodies = rows[(rows["actor"] != header.ego) & (rows["status"] == header.status_active)]
    sizes = np.array([diagonal(header.actors[int(k)].length, header.actors[int(k)].width) for k in bodies["actor"]])
    places = np.stack([bodies["x"], bodies["y"]], axis=1).astype(np.float64)
    shown = percepts[(percepts[:, column["existence"]] > PRESENT) & (percepts[:, column["drive_through"]] < THROUGH)]
    at, size = shown[:, [column["x"], column["y"]]], diagonal(shown[:, column["length"]], shown[:, column["width"]])
    way = _way(recording, tick)
    near = np.full(len(at), np.inf)
    if len(places) and len(at):
        apart = np.hypot(at[:, None, 0] - places[:, 0], at[:, None, 1] - places[:, 1])
        near = (apart - 0.5 * (size[:, None] + sizes)).min(axis=1)
    phantom = _on(way, at, shown[:, column["width"]]) & (near > BESIDE_M)
    real = _on(way, places, sizes)
    return bool(phantom.any()), bool(real.any())


def diagonal(length: Floats | float, width: Floats | float) -> Floats:
    """Diagonal of boxes [m]."""
    return np.asarray(np.hypot(length, width), np.float64)


def _on(way: Floats, places: Floats, across: Floats) -> NDArray[np.bool_]:
    """(N,) whether places are so near to a way that something so wide is in it."""
    if len(places) == 0:
        return np.zeros(0, bool)
    away = np.hypot(way[:, None, 0] - places[:, 0], way[:, None, 1] - places[:, 1]).min(axis=0)
    return np.asarray(away < ASIDE_M + 0.5 * across)
