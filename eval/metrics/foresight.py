"""Whether what ego's driver believes of others comes true: the probability that somebody goes before ego, against what happened.

At every tick at which ego waits for its turn, and for everybody whose way its own meets: the probability that this one goes first
given what ego does then. Where ego lets it go, that is P(it goes | ego holds) = P(it goes | ego commits) + influence; else P(it
goes | ego commits). It came true if the other was at the spots that both used before ego was. At commitment: the tick at which
ego set off for the last time before it entered, or arrived where it never stopped.

Claimants are found among the road users by where ego saw them. Pooled over a suite: expected calibration error (Naeini, Cooper,
Hauskrecht 2015) from BINS counts of each episode.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.metrics.crossings import STOPPED, Crossings, crossings
from eval.metrics.encroachment import passing
from eval.metrics.result import Better, Junction, MetricResult, References
from eval.metrics.traced import ego_arrays
from sim.interface import Floats
from sim.recording import Recording

BINS = 10
FLOOR = 0.005  # nobody is surer than this: log-loss would be ruled by single ticks
REACH_M = 3.0
SURE = 0.95
HORIZON_S = 8.0  # before the entry: what is believed of somebody far away decides nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """K forecasts: tick, the other's actor, probability that it goes first, whether it did, the ones at commitment."""

    tick: NDArray[np.int64]
    actor: NDArray[np.int64]
    probability: Floats
    happened: NDArray[np.bool_]
    at_commitment: NDArray[np.bool_]


def belief_log_loss(recording: Recording, references: References) -> MetricResult:
    """Mean log-loss of going first over all ticks [nats]."""
    found = forecasts(recording, references)
    return _loss(found.probability, found.happened)


def commitment_log_loss(recording: Recording, references: References) -> MetricResult:
    """Mean log-loss of going first at commitment [nats]."""
    found = forecasts(recording, references)
    return _loss(found.probability[found.at_commitment], found.happened[found.at_commitment])


def time_to_sure(recording: Recording, references: References) -> MetricResult:
    """Mean time before ego's entry from which what then happened was held at least 95 % likely [s]; 0 where it never was."""
    found = forecasts(recording, references)
    if not len(found.tick):
        return MetricResult(value=0.0, unit="s", better=Better.HIGHER, valid=False)
    right = np.where(found.happened, found.probability, 1.0 - found.probability) >= SURE
    end = int(found.tick.max())
    times = []
    for actor in np.unique(found.actor):
        own = found.actor == actor
        unsure = found.tick[own & ~right]
        since = int(unsure.max()) if len(unsure) else int(found.tick[own].min()) - 1
        times.append((end - since) * recording.header.tick_s)
    return MetricResult(value=float(np.mean(times)), unit="s", better=Better.HIGHER)


def forecasts(recording: Recording, references: References) -> Forecasts:
    """All forecasts of ego's driver on those who cross the junction; none where it traces no beliefs."""
    junction, ego = references.junction, recording.header.ego
    first = ego_arrays(recording, "go_first")
    if junction is None or ego not in junction.actors or not first:
        return _table([], -1)
    influence, places, lets = (ego_arrays(recording, name) for name in ("influence", "others_at", "lets_go"))
    found, me = crossings(recording, junction), junction.actors.index(ego)
    entered = float(found.entered[me])
    later = {place: passing(recording, ego, actor) for place, actor in enumerate(junction.actors) if place != me}
    commits = _commitment(recording, found, me, ego)
    rows: list[tuple[int, int, float, bool]] = []
    for tick, chances in first.items():
        now = tick * recording.header.tick_s
        if not max(float(found.arrived[me]), entered - HORIZON_S) <= now < entered:
            continue
        whom = match_places(recording, tick, np.asarray(places[tick], np.float64), junction)
        for k, place in enumerate(whom):
            if place < 0 or place == me:
                continue
            chance = float(chances[k]) + (float(influence[tick][k]) if lets[tick][k] else 0.0)
            by = later[place]
            rows.append((tick, place, min(chance, 1.0), by is not None and by < 0.0))
    return _table(rows, commits)


def _commitment(recording: Recording, found: Crossings, me: int, ego: int) -> int:
    """Tick at which ego set off for its entry."""
    track = recording.track(ego)
    at = track["tick"] * recording.header.tick_s
    waiting = track["tick"][(at >= found.arrived[me]) & (at < found.entered[me]) & (np.abs(track["speed"]) < STOPPED)]
    if len(waiting):
        return int(waiting[-1])
    return round(float(found.arrived[me]) / recording.header.tick_s) if math.isfinite(found.arrived[me]) else -1


def goes_first(found: Crossings, junction: Junction, i: int, j: int) -> bool:
    """Whether vehicle i (index into `Junction.actors`) entered before j, on a way that meets j's."""
    return bool(junction.conflicts[i, j] and found.entered[i] < found.entered[j])


def bins_of(probability: Floats, happened: NDArray[np.bool_]) -> str:
    """Counts, summed probabilities and summed outcomes of BINS equal bins, as one JSON text for a row; empty for no forecast."""
    if not len(probability):
        return ""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    sums = (np.bincount(place, weight, BINS) for weight in (np.ones(len(place)), probability, happened.astype(float)))
    return json.dumps([[round(float(value), 4) for value in total] for total in sums])


def read_bins(texts: Sequence[str]) -> Floats:
    """(E, 3, BINS) of so many `bins_of`."""
    return np.array([json.loads(text) for text in texts], np.float64).reshape(-1, 3, BINS)


def calibration_error(bins: Floats) -> float:
    """Expected calibration error of pooled bins (E, 3, BINS): the mean over forecasts of |forecast - share that came true| of
    their bin; 0 for none."""
    count, forecast, happened = bins.sum(axis=0)
    return float(np.abs(forecast - happened).sum() / max(float(count.sum()), 1.0))


def calibration_floor(bins: Floats) -> tuple[float, float]:
    """What chance alone would make of `calibration_error`, and what is left of it without chance.

    Of one episode the forecasts of a bin come true together or not at all, so that a bin's gap between forecasts and outcomes
    varies by the root of the sum over episodes of the squares of what each departs from the gap of all. Were there no gap, the
    mean of |N(0, that)| would show; and the squared gap exceeds the true one by the variance.
    """
    count, forecast, happened = bins.sum(axis=0)
    gap = forecast - happened
    share = np.divide(gap, count, out=np.zeros_like(gap), where=count > 0.0)
    spread = np.sum((bins[:, 1] - bins[:, 2] - bins[:, 0] * share) ** 2, axis=0)
    total = max(float(count.sum()), 1.0)
    floor = math.sqrt(2.0 / math.pi) * float(np.sqrt(spread).sum()) / total
    return floor, float(np.sqrt(np.maximum(gap**2 - spread, 0.0)).sum()) / total


def match_places(recording: Recording, tick: int, places: Floats, junction: Junction) -> list[int]:
    """Index into `Junction.actors` of whoever is nearest to each place (M, 2) at a tick; -1 where nobody is within REACH_M."""
    rows = recording.at(tick)
    rows = rows[np.isin(rows["actor"], junction.actors)]
    found = []
    for x, y in places:
        away = np.hypot(rows["x"] - x, rows["y"] - y)
        near = len(away) > 0 and float(away.min()) < REACH_M
        found.append(junction.actors.index(int(rows["actor"][int(np.argmin(away))])) if near else -1)
    return found


def _table(rows: list[tuple[int, int, float, bool]], commits: int) -> Forecasts:
    tick, actor = (np.array([row[k] for row in rows], np.int64) for k in (0, 1))
    probability, happened = np.array([row[2] for row in rows], np.float64), np.array([row[3] for row in rows], bool)
    return Forecasts(tick=tick, actor=actor, probability=probability, happened=happened, at_commitment=tick == commits)


def _loss(probability: Floats, happened: NDArray[np.bool_]) -> MetricResult:
    if not len(probability):
        return MetricResult(value=0.0, unit="nats", valid=False)
    right = np.clip(np.where(happened, probability, 1.0 - probability), FLOOR, 1.0)
    return MetricResult(value=float(-np.mean([math.log(value) for value in right])), unit="nats")
