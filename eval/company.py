"""Whom ego met in an episode, and who of them touched it: for figures by opponent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from eval.metrics.contacts import contacts
from eval.statistics import clopper_pearson
from eval.store import Row
from sim.recording import RecordedActor, Recording

TRAFFIC = "traffic"
"""The simulator's own drivers, whatever their style."""


def met(recording: Recording) -> str:
    """Who else took part, by driver or kind: distinct names in order, with blanks between."""
    header = recording.header
    return " ".join(sorted({_name(actor) for slot, actor in enumerate(header.actors) if slot != header.ego}))


def touched(recording: Recording) -> str:
    """Who collided with ego, written like `met`."""
    return " ".join(sorted({_name(recording.header.actors[slot]) for slot, _ in contacts(recording) if slot >= 0}))


def collisions_with(rows: Sequence[Row]) -> Mapping[str, Mapping[str, object]]:
    """Per name: the share of the episodes with such a one in which it and ego collided, with its exact interval."""
    names = sorted({name for row in rows for name in str(row.get("met") or "").split()})
    found: dict[str, Mapping[str, object]] = {}
    for name in names:
        there = [row for row in rows if name in str(row.get("met") or "").split()]
        found[name] = asdict(clopper_pearson(sum(name in str(row.get("touched") or "").split() for row in there), len(there)))
    return found


def _name(actor: RecordedActor) -> str:
    if actor.driver:
        return actor.driver
    return TRAFFIC if actor.style and actor.kind not in ("PEDESTRIAN", "BICYCLE") else actor.kind.lower()
