"""Whom ego collided with."""

from __future__ import annotations

from sim.recording import Recording


def contacts(recording: Recording, *, at_fault: bool = False) -> list[tuple[int, int]]:
    """(the other one's number, -1 for nobody's; tick) of each of ego's collisions, or of those by its fault alone; empty without
    an ego."""
    header, events = recording.header, recording.events
    if header.ego is None or "COLLISION" not in header.event_names:
        return []
    found = events[events["kind"] == header.event_names.index("COLLISION")]
    mine = [event for event in found if header.ego in (event["a"], event["b"])]
    if at_fault:
        mine = [event for event in mine if event["fault_a" if event["a"] == header.ego else "fault_b"]]
    return [(int(event["b"] if event["a"] == header.ego else event["a"]), int(event["tick"])) for event in mine]
