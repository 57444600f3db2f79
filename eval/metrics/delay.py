"""Time lost at an all-way stop, by everybody and by ego, beside what the reference schedules lose.

A suite's excess time is the sum of `delay` over the sum of `first_come_delay`, less one; its price of anarchy the sum of
`time_used` over the sum of `optimal_time`. Whoever has not left by the end is charged the whole time that an episode may take,
also where it was cut short by ego's collision or its driver's end: after these nobody gets through, and a crash saves no time.

Most of `delay` is lost by the others, who look, dwell and start like people whoever ego is. Two figures tell ego's share:
`ordinary_delay` is what everybody loses when the traffic's own driver is in ego's seat; `ego_turn_delay` is what ego alone loses
when it takes its turn in the order of arrival at once, everybody else as recorded.
"""

from __future__ import annotations

import numpy as np

from eval.metrics.contacts import contacts
from eval.metrics.crossings import TIE_S, crossings
from eval.metrics.order import violates
from eval.metrics.result import Better, Junction, MetricResult, References
from sim.interface import Floats
from sim.recording import Ending, Recording

_NOTHING = MetricResult(value=0.0, unit="s", valid=False)


def delay(recording: Recording, references: References) -> MetricResult:
    """Sum over all vehicles of (exit - exit alone) [s]."""
    if references.junction is None:
        return _NOTHING
    return _sum(_exits(recording, references.junction) - references.junction.free)


def ego_delay(recording: Recording, references: References) -> MetricResult:
    """Ego's own exit - exit alone [s]."""
    junction, ego = references.junction, recording.header.ego
    if junction is None or ego not in junction.actors:
        return _NOTHING
    place = junction.actors.index(ego)
    return _sum((_exits(recording, junction) - junction.free)[place : place + 1])


def ordinary_delay(recording: Recording, references: References) -> MetricResult:
    """What `delay` is with the traffic's own driver in ego's seat [s]."""
    junction, ordinary = references.junction, references.ordinary
    if junction is None or ordinary is None:
        return _NOTHING
    return _sum(_exits(ordinary, junction) - junction.free, Better.NEITHER)


def ego_turn_delay(recording: Recording, references: References) -> MetricResult:
    """What `ego_delay` is when ego starts as soon as all who were there before it have started and left room [s].

    Those who were there before it: who arrived, as recorded, before ego could have been at its line (behind its queue), and of
    those who did so within TIE_S of that, who then entered first. Whom ego went before although that one had come first is waited
    for only if ego took its turn (`eval.metrics.order`), not if it let its turn go by. Their starts are their recorded exits less
    the time that a crossing from rest takes. Who stands to the end in the junction that ego never entered, or ahead of ego in its
    queue, keeps ego from ever taking its turn, and nobody is charged for that; not so where ego crashed or its driver ended.
    """
    junction, ego = references.junction, recording.header.ego
    if junction is None or ego not in junction.actors:
        return _NOTHING
    me, found = junction.actors.index(ego), crossings(recording, junction)
    queue = np.isposinf(junction.headway[me])  # ahead of ego on its own approach: never the other way round
    blocks = np.isfinite(found.entered) & np.isinf(found.entered[me])
    ended = contacts(recording) or recording.footer.ending in (Ending.CRASHED, Ending.TIME_LIMIT)
    stuck = np.isinf(found.left) & (queue | blocks) & (np.isinf(found.left[me]) and not ended)
    met = (np.isfinite(found.left) | stuck) & np.isfinite(junction.headway[:, me])
    started = np.full(len(met), -np.inf)
    started[met] = (found.left - junction.through)[met] + junction.headway[met, me]
    arrival = float(junction.arrivals[me])
    at_line = max(arrival, _latest(started[queue]))
    came = np.where(np.isfinite(found.arrived), found.arrived, -np.inf)
    tied = np.abs(came - min(at_line, recording.header.duration_s)) <= TIE_S
    first = found.entered < found.entered[me]
    taken = np.array([violates(found, junction, me, k) for k in range(len(came))])
    before = ~queue & (first | taken) & (tied | (found.arrived < at_line))
    before[me] = False
    start = max(at_line, _latest(started[before]))
    free = float(junction.free[me])
    latest = max(recording.header.duration_s, free)
    exit_s = min(max(start + float(junction.through[me]), free), latest) if start > arrival else free
    return MetricResult(value=exit_s - free, unit="s", better=Better.NEITHER)


def first_come_delay(recording: Recording, references: References) -> MetricResult:
    """What `delay` is when everybody enters in the order of arrival [s]."""
    junction = references.junction
    return _NOTHING if junction is None else _sum(junction.first_come - junction.free, Better.NEITHER)


def time_used(recording: Recording, references: References) -> MetricResult:
    """Sum over all vehicles of the time from free-flow arrival at the line to the exit [s]."""
    junction = references.junction
    return _NOTHING if junction is None else _sum(_exits(recording, junction) - junction.arrivals)


def optimal_time(recording: Recording, references: References) -> MetricResult:
    """What `time_used` is in the best order of entry [s]."""
    junction = references.junction
    return _NOTHING if junction is None else _sum(junction.optimal - junction.arrivals, Better.NEITHER)


def _latest(times: Floats) -> float:
    return float(np.max(times, initial=-np.inf))


def others_exits(recording: Recording, junction: Junction, ego: int | None) -> Floats:
    """(N - 1,) exit times [s] of everybody but ego."""
    return _exits(recording, junction)[[actor != ego for actor in junction.actors]]


def _exits(recording: Recording, junction: Junction) -> Floats:
    found = crossings(recording, junction)
    return np.where(np.isfinite(found.left), found.left, np.maximum(recording.header.duration_s, junction.free))


def _sum(times: Floats, better: Better = Better.LOWER) -> MetricResult:
    return MetricResult(value=float(np.sum(times)), unit="s", better=better)
