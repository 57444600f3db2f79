"""What a folder of recordings already holds of a suite, so that no finished episode runs again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.configuration import differences
from eval.run import EpisodeResult, recorded_result, recording_path
from scenarios.errors import InputError
from sim.recording import RecordingError, Scalar, read_header, read_recording


def finished_results(folder: Path, scenario: str, seeds: Sequence[int], config: Mapping[str, Scalar]) -> dict[int, EpisodeResult]:
    """Results of the seeds that `folder` has whole recordings of, made with this configuration.

    Raises InputError where it holds a recording of the scenario with another configuration, of whatever seed.
    """
    found: dict[int, EpisodeResult] = {}
    wanted = set(seeds)
    for path in recordings_of(folder, scenario):
        try:
            header = read_header(path)
        except RecordingError:
            continue  # nothing that an episode can be taken from: it runs again
        other = differences(header.config, config)
        if other:
            raise InputError(
                f"holds an episode of another configuration: {other}",
                file=str(path),
                fix="Choose another folder with --out, or replace what is there with --overwrite",
            )
        if header.seed in wanted:
            result = _result(path)
            if result is not None:
                found[result.seed] = result
    return found


def recordings_of(folder: Path, scenario: str) -> list[Path]:
    """The recordings of a scenario in a folder, whatever made them."""
    prefix = recording_path(folder, scenario, 0).name.removesuffix("0.arrow")
    found = folder.glob("*.arrow") if folder.is_dir() else ()
    return sorted(path for path in found if path.name.startswith(prefix) and path.name[len(prefix) : -len(".arrow")].isdigit())


def _result(path: Path) -> EpisodeResult | None:
    try:
        return recorded_result(read_recording(path), path)
    except RecordingError:
        return None
