"""The closed-loop driving score of nuPlan (Caesar et al., nuPlan: a closed-loop ML-based planning benchmark, 2021; weights and
bounds as in its published configuration): the product of what must not happen times a weighted mean of what should.

Where there is no expert, progress is that of `eval.metrics.progress`. Derivatives are by Savitzky–Golay filters of order 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from eval.metrics.boxes import boxes
from eval.metrics.contacts import contacts
from eval.metrics.progress import progress
from eval.metrics.result import Better, MetricResult, References
from sim.interface import Floats
from sim.kinematics import time_to_collision
from sim.recording import Recording
from sim.roads.lane_map import LaneMap

WEIGHTS = {"progress": 5.0, "ttc": 5.0, "speed_limit": 4.0, "comfort": 2.0}
LEAST_PROGRESS = 0.2
LEAST_TTC_S = 0.95
OVERSPEED = 2.23  # m/s; as much above the limit all the time is worth nothing
AGAINST_TRAFFIC_M = (2.0, 6.0)
"""Metres against the traffic within a second: above the first half the score is left, above the second nothing."""
ACCEL, LATERAL, JERK_ALONG, JERK, YAW_RATE, YAW_ACCEL = (-4.05, 2.40), 4.89, 4.13, 8.37, 0.95, 1.93
MOVES = 0.005  # m/s
_SMOOTH, _DERIVED = 7, 15
"""Ticks of the filters' windows: for accelerations as recorded, and for derivatives."""


def nuplan_score(recording: Recording, references: References) -> MetricResult:
    """nuPlan's closed-loop score of ego, 0 to 1; only where the map and ego's drive alone are known."""
    ego, road_map = recording.header.ego, references.road_map
    share = progress(recording, references)
    if ego is None or road_map is None or not share.valid:
        return MetricResult(value=0.0, unit="score", better=Better.HIGHER, valid=False)
    track = recording.track(ego)
    if not len(track):
        return MetricResult(value=0.0, unit="score", better=Better.HIGHER, valid=False)
    multiplier = _collisions(recording) * _against_traffic(track, road_map, recording.header.tick_s)
    if share.value < LEAST_PROGRESS or np.any(track["offroad"]):
        multiplier = 0.0
    parts = {
        "progress": share.value,
        "ttc": float(_least_ttc(recording, ego) >= LEAST_TTC_S),
        "speed_limit": _within_limit(track, road_map),
        "comfort": float(_comfortable(track, recording.header.tick_s)),
    }
    mean = sum(WEIGHTS[name] * value for name, value in parts.items()) / sum(WEIGHTS.values())
    return MetricResult(value=multiplier * mean, unit="score", better=Better.HIGHER)


def _collisions(recording: Recording) -> float:
    """1 without a collision at fault, 0.5 with one, with a thing, 0 otherwise."""
    others = [other for other, _ in contacts(recording, at_fault=True)]
    if not others:
        return 1.0
    return 0.5 if len(others) == 1 and recording.header.actors[others[0]].thing else 0.0


def _against_traffic(track: NDArray[np.void], road_map: LaneMap, tick_s: float) -> float:
    """What is left for the way driven where others come towards ego, or against the lane that it is on."""
    points = _points(track, road_map)
    half_width = road_map.points["half_width"][points]
    along = track["speed"] * np.cos(track["heading"] - road_map.points["heading"][points])
    lanes = road_map.lanes[np.maximum(track["lane"], 0)]
    beyond = (track["d"] > half_width) if not road_map.left_hand_traffic else (track["d"] < -half_width)
    outermost = lanes["right" if road_map.left_hand_traffic else "left"] < 0
    opposing = beyond & outermost & (lanes["opposite"] >= 0) & (lanes["junction"] < 0)
    wrong = np.where(opposing, np.abs(track["speed"]), np.maximum(-along, 0.0)) * (track["lane"] >= 0)
    window = max(round(1.0 / tick_s), 1)
    most = float(np.convolve(wrong * tick_s, np.ones(window)).max(initial=0.0))
    return 0.0 if most > AGAINST_TRAFFIC_M[1] else 0.5 if most > AGAINST_TRAFFIC_M[0] else 1.0


def _least_ttc(recording: Recording, ego: int) -> float:
    """Least time to collision [s] at constant velocity with anybody who is not behind, while ego moves and has not touched."""
    header, mine = recording.header, recording.track(ego)
    mine = mine[(np.abs(mine["speed"]) > MOVES) & (mine["crashed"] == 0)]
    least = np.inf
    for other in range(len(header.actors)):
        theirs = recording.track(other)
        _, i, j = np.intersect1d(mine["tick"], theirs["tick"], return_indices=True)
        if other == ego or not len(i):
            continue
        a, b = mine[i], theirs[j]
        ahead = (b["x"] - a["x"]) * np.cos(a["heading"]) + (b["y"] - a["y"]) * np.sin(a["heading"]) > 0.0
        found = time_to_collision(boxes(a, header.actors[ego], moving=True), boxes(b, header.actors[other], moving=True))
        least = min(least, float(found[ahead].min(initial=np.inf)))
    return least


def _within_limit(track: NDArray[np.void], road_map: LaneMap) -> float:
    """1 less the mean speed above the limit over OVERSPEED, 0 at least."""
    limit = road_map.points["speed_limit"][_points(track, road_map)]
    over = np.maximum(np.abs(track["speed"]) - limit, 0.0) * (track["lane"] >= 0)
    return max(0.0, 1.0 - float(over.mean()) / OVERSPEED)


def _points(track: NDArray[np.void], road_map: LaneMap) -> NDArray[np.int64]:
    """(T,) samples of the map's centrelines where ego is, by the lane that its driver is on."""
    lanes = road_map.lanes[np.maximum(track["lane"], 0)]
    step = np.clip(np.rint(track["s"] / lanes["spacing"]), 0, lanes["point_count"] - 1).astype(np.int64)
    found: NDArray[np.int64] = lanes["point_start"] + step
    return found


def _comfortable(track: NDArray[np.void], tick_s: float) -> bool:
    """Whether every bound holds at every tick."""
    if len(track) < _DERIVED:
        return True
    speed = track["speed"].astype(np.float64)
    accel = savgol_filter(track["accel"].astype(np.float64), _SMOOTH, 2)
    heading = np.unwrap(track["heading"].astype(np.float64))
    yaw_rate, yaw_accel = (savgol_filter(heading, _DERIVED, 2, deriv=order, delta=tick_s) for order in (1, 2))
    lateral = speed * yaw_rate
    jerk_along, jerk_aside = _slope(accel, tick_s), _slope(lateral, tick_s)
    bounds = (
        (accel, ACCEL), (lateral, (-LATERAL, LATERAL)), (jerk_along, (-JERK_ALONG, JERK_ALONG)),
        (np.hypot(jerk_along, jerk_aside), (0.0, JERK)), (yaw_rate, (-YAW_RATE, YAW_RATE)), (yaw_accel, (-YAW_ACCEL, YAW_ACCEL)),
    )  # fmt: skip
    return all(bool(np.all((values >= low) & (values <= high))) for values, (low, high) in bounds)


def _slope(values: Floats, tick_s: float) -> Floats:
    found: Floats = savgol_filter(values, _DERIVED, 2, deriv=1, delta=tick_s)
    return found
