"""From a full recording to any of its ticks: the snapshot before it, and the same drivers from there on.

Drivers' memories are Python pickles, which run code when they are read: replay only recordings that you trust. (Reading one with
`sim.recording` is safe.)
"""

from __future__ import annotations

from pathlib import Path

from eval.clock import WallClock
from eval.configuration import configuration, differences
from eval.episode import Episode, drive, known_objects, restore
from eval.reactions import Reactions, recorded
from eval.run import Job, prepare, seated
from scenarios.errors import InputError
from sim.recording import Recording, read_recording
from sim.scenario import Model
from sim.snapshot import thaw
from sim.world import World


def replay(path: Path, tick: int) -> Episode:
    """The episode of a full recording at `tick`, as it was: its world, and its drivers with their memories.

    `episode.world.frame(0, actor)` is what a driver saw there, and `eval.episode.drive` goes on from there. Raises InputError for
    a scalar recording, a tick that it does not have, and where scenario, drivers or product have changed since; RecordingError
    for a file that cannot be read; DriverError where the driver raised before that tick.
    """
    recording = read_recording(path, partial=True)
    before = [kept for kept in recording.snapshots if kept <= tick]
    if not before or tick > recording.last_tick:
        ticks = f"it has ticks 0 to {recording.last_tick}" if recording.snapshots else "it has no snapshots: use --record full"
        raise InputError(f"cannot replay tick {tick}: {ticks}", file=str(path))
    episode = _episode(recording, path)
    restore(episode, thaw(recording.snapshots[max(before)], recording.shared_arrays, known_objects(episode.scenario)))
    drive(episode, until=tick)
    return episode


def _episode(recording: Recording, path: Path) -> Episode:
    """The recorded episode at its start, from its scenario and its drivers."""
    config = recording.header.config
    job = Job(
        target=str(config.get("target", "")),
        seed=recording.header.seed,
        settings=tuple(str(config.get("settings", "")).split("\n")) if config.get("settings") else (),
        driver=str(config.get("driver", "")) or None,
        sensing=recording.header.sensing,
        record=recording.header.record,
    )
    scenario = prepare(job)
    other = differences(config, configuration(job.target, job.settings, job.driver, scenario.sensing, job.record))
    if other:
        raise InputError(f"cannot be replayed here: {other}", file=str(path))
    if any(actor.model == Model.REPLAY and actor.driver for actor in scenario.actors):
        raise InputError("others than we moved road users in it: snapshots do not hold them", file=str(path), fix="Run it again")
    world = World((scenario,))
    partner = Reactions(scenario) if recorded(scenario) else None
    return Episode(world, scenario, seated(scenario, world), None, WallClock(None), partner=partner)
