"""`avstack export`: a recording as a file that others read."""

from __future__ import annotations

from pathlib import Path

import click

from eval.export.foxglove import write_mcap
from eval.export.points import sweeps
from eval.export.tracks import write_tracks
from eval.outputs import check_folder
from scenarios.errors import InputError
from sim.recording import RecordingError, read_recording

FORMS = ("mcap", "parquet", "csv")


def export(path: Path, form: str, out: Path | None, *, points: bool) -> Path:
    """Write the recording at `path` as one of FORMS, beside it unless told where. Raises InputError."""
    target = out if out is not None else path.with_suffix(f".{form}")
    if target.is_dir():
        raise InputError(f"{str(target)!r} is a folder", fix="Name a file with --out")
    if points and form != "mcap":
        raise InputError("points go into MCAP files alone", fix="Use --to mcap, or leave --points out")
    try:
        recording = read_recording(path, partial=True)
    except RecordingError as error:
        raise InputError(str(error), fix="Name a recording of avstack run --out") from None
    check_folder(target.parent, "the export")
    target.parent.mkdir(parents=True, exist_ok=True)
    if form == "mcap":
        write_mcap(recording, target, sweeps(recording, path) if points else ())
    else:
        write_tracks(recording, target, form)
    click.echo(f"export: {target} ({target.stat().st_size / 1e6:.2f} MB)", err=True)
    return target
