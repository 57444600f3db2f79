"""Deadlocks at an all-way stop, read from where everybody was: somebody claims the junction, it is free, and nobody takes it.

A claimant stands, at its line or within the junction, and is no wreck (METRICS, negotiation). The junction is in use while
somebody enters or is on the move in it, while somebody on foot is on it or on its crosswalks, and where wrecks stand in it. A
deadlock: for more than DEADLOCK_S on end there are claimants and it is not in use. It is ego's where ego itself was a claimant in
it for that long; others' deadlocks are counted apart: ego may have gone long ago, or be still to come.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from eval.metrics.crossings import ARRIVAL_REACH, STOPPED, crossings
from eval.metrics.result import Better, Junction, MetricResult, References
from eval.metrics.stretches import stretches
from sim.interface import Floats
from sim.recording import Recording

DEADLOCK_S = 8.0


def deadlocks(recording: Recording, references: References) -> MetricResult:
    """Deadlocks that ego stood in."""
    return _count(recording, references, ego_in_it=True, better=Better.LOWER)


def deadlocks_of_others(recording: Recording, references: References) -> MetricResult:
    """Deadlocks that ego had no part in."""
    return _count(recording, references, ego_in_it=False, better=Better.NEITHER)


def _count(recording: Recording, references: References, *, ego_in_it: bool, better: Better) -> MetricResult:
    junction = references.junction
    if junction is None:
        return MetricResult(value=0.0, unit="deadlocks", better=better, valid=False)
    stands, inside = _standing(recording, junction)
    idle = stands.any(axis=0) & ~_in_use(recording, junction, inside)
    ego = recording.header.ego
    ours = stands[junction.actors.index(ego)] if ego in junction.actors else np.zeros_like(idle)
    long_enough = DEADLOCK_S / recording.header.tick_s
    found = [int(np.sum(ours[first:last])) > long_enough for first, last in stretches(idle) if last - first > long_enough]
    return MetricResult(value=float(sum(own == ego_in_it for own in found)), unit="deadlocks", better=better)


def _standing(recording: Recording, junction: Junction) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N, T), (N, T): who stands at its line or within the junction, and is no wreck; and who is within, at each tick of the
    recording."""
    found, ticks = crossings(recording, junction), recording.last_tick + 1
    time = recording.header.tick_s * np.arange(ticks)
    at_line = (found.arrived[:, None] <= time) & (time < found.entered[:, None])
    inside = (found.entered[:, None] <= time) & (time < found.left[:, None])
    speed, whole = np.full(at_line.shape, np.inf), np.ones(at_line.shape, bool)
    wrecks = _crashes(recording)
    for k, actor in enumerate(junction.actors):
        track = recording.track(actor)
        speed[k, track["tick"]] = np.abs(track["speed"])
        whole[k, wrecks.get(actor, ticks) :] = False
    return (at_line | inside) & whole & (speed < STOPPED), inside & np.isfinite(speed)


def _in_use(recording: Recording, junction: Junction, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T,) whether somebody is on the move in the junction, or stands in the way on foot or as a wreck."""
    used = np.zeros(inside.shape[1], bool)
    wrecks = _crashes(recording)
    for k, actor in enumerate(junction.actors):
        track = recording.track(actor)
        within = track["tick"][inside[k, track["tick"]]]
        moving = np.abs(track["speed"][inside[k, track["tick"]]]) >= STOPPED
        used[within[moving | (within >= wrecks.get(actor, np.inf))]] = True
    walkers = [actor for actor, one in enumerate(recording.header.actors) if one.kind == "PEDESTRIAN"]
    area = _area(recording, junction) if walkers else None
    for actor in walkers:
        track = recording.track(actor)
        used[track["tick"][shapely.contains_xy(area, track["x"], track["y"])]] = True
    return used


def _crashes(recording: Recording) -> dict[int, int]:
    """Actor -> tick of its first collision."""
    events, names = recording.events, recording.header.event_names
    found: dict[int, int] = {}
    for event in events[events["kind"] == names.index("COLLISION")] if "COLLISION" in names else events[:0]:
        for actor in (int(event["a"]), int(event["b"])):
            found.setdefault(actor, int(event["tick"]))
    return found


def _area(recording: Recording, junction: Junction) -> shapely.Geometry:
    """The lanes through the junction, and the crosswalks beside them."""
    outline = recording.road_map
    ends: Floats = np.concatenate([junction.stop_lines, junction.exit_lines])[:, :2]
    near = shapely.MultiPoint(ends).convex_hull.buffer(ARRIVAL_REACH)
    lanes = [np.concatenate([lane.left_border, lane.right_border[::-1]]) for lane in outline.lanes if lane.junction >= 0]
    shapes = [shapely.Polygon(shape).buffer(0.0) for shape in (*lanes, *outline.crosswalks) if len(shape) > 3]
    return shapely.union_all([shape for shape in shapes if shape.intersects(near)])
