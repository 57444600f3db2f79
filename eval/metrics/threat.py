"""Creeping at people: how long ego inched forward with somebody on foot right before it, who would read it as a threat."""

from __future__ import annotations

import numpy as np

from eval.metrics.probing import CREEP
from eval.metrics.result import MetricResult, References
from eval.metrics.traced import ego_numbers
from sim.recording import Recording

NEAR_M = 3.0
"""m from ego's box to a person's middle."""
MOVES = 0.1  # m/s


def crept_at_person_s(recording: Recording, references: References) -> MetricResult:
    """Time for which ego moved while its manoeuvre was to creep and somebody on foot was within NEAR_M of its box [s]."""
    ticks, manoeuvre = ego_numbers(recording, "manoeuvre")
    header, ego = recording.header, recording.header.ego
    people = [k for k, actor in enumerate(header.actors) if actor.kind == "PEDESTRIAN"]
    if ego is None or not len(ticks):
        return MetricResult(value=0.0, unit="s", valid=False)
    threatened = 0
    for tick in ticks[manoeuvre == CREEP]:
        rows = recording.at(int(tick))
        own, them = rows[rows["actor"] == ego], rows[np.isin(rows["actor"], people)]
        if not len(own) or not len(them) or abs(float(own["speed"][0])) < MOVES:
            continue
        dx, dy = them["x"] - own["x"], them["y"] - own["y"]
        cos, sin = np.cos(own["heading"]), np.sin(own["heading"])
        ahead = np.maximum(np.abs(dx * cos + dy * sin) - 0.5 * header.actors[ego].length, 0.0)
        aside = np.maximum(np.abs(dy * cos - dx * sin) - 0.5 * header.actors[ego].width, 0.0)
        threatened += bool(np.min(np.hypot(ahead, aside)) < NEAR_M)
    return MetricResult(value=threatened * header.tick_s, unit="s")
