"""A recording as a plain table of tracks: one row per road user and tick, as Parquet or CSV, for whatever tool one has.

The first columns are those of the plain track format that scenarios read (`docs/recordings.md`), so that an export can be brought
back in. World frame of the recording, SI units, radians; time from the beginning of the episode.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from eval.words import REASON_WORDS
from scenarios.errors import InputError
from sim.recording import Recording

TRACK_COLUMNS = ("track_id", "kind", "time", "x", "y", "heading", "speed", "length", "width")
"""What a track is, in every file."""
MOTION_COLUMNS = ("accel", "jerk", "steer", "lane", "s", "d")
SIGN_COLUMNS = ("indicator", "brake_light", "gesture", "gear", "crashed")
TRACE_PREFIX = "trace_"
"""Before the name of a number that a driver traced; empty in the rows of others."""


def track_table(recording: Recording) -> pa.Table:
    """All rows that are on the road, by tick, then actor. track_id: the actor's name; `ego` marks the rows of ego."""
    header = recording.header
    rows = recording.rows[recording.rows["status"] == header.status_active]
    kept = np.flatnonzero(recording.rows["status"] == header.status_active)
    actors = rows["actor"].astype(int)
    names, kinds = track_names(recording), [actor.kind.lower() for actor in header.actors]
    sizes = {name: np.array([getattr(actor, name) for actor in header.actors], np.float64) for name in ("length", "width")}
    columns: dict[str, pa.Array] = {
        "track_id": pa.array([names[actor] for actor in actors], pa.string()),
        "kind": pa.array([kinds[actor] for actor in actors], pa.string()),
        "time": pa.array(np.round(rows["tick"] * header.tick_s, 6)),
        **{name: pa.array(np.ascontiguousarray(rows[name], np.float64)) for name in ("x", "y", "heading", "speed")},
        **{name: pa.array(sizes[name][actors] if len(actors) else np.zeros(0)) for name in ("length", "width")},
        "ego": pa.array(actors == (-1 if header.ego is None else header.ego)),
        **{name: pa.array(np.ascontiguousarray(rows[name])) for name in (*MOTION_COLUMNS, *SIGN_COLUMNS)},
        "reason": pa.array(_reasons(recording, kept), pa.string()),
    }
    place = np.full(len(recording.rows), -1)
    place[kept] = np.arange(len(kept))
    for name, (at, values) in recording.traces.items():
        numbers = np.full(len(kept), np.nan)
        there = place[at] >= 0
        numbers[place[at[there]]] = values[there]
        columns[TRACE_PREFIX + name] = pa.array(numbers, mask=np.isnan(numbers))
    about = {
        "scenario": header.scenario, "seed": str(header.seed), "tick_s": repr(header.tick_s), "map": recording.road_map.name,
        "ego": "" if header.ego is None else names[header.ego], "ending": str(recording.footer.ending),
        "trace_hash": recording.footer.trace_hash, "avstack": header.versions.get("avstack-sim", ""),
    }  # fmt: skip
    return pa.table(columns).replace_schema_metadata({f"avstack.{key}": value for key, value in about.items()})


def track_names(recording: Recording) -> list[str]:
    """A name for each actor that no other has."""
    names = [actor.name for actor in recording.header.actors]
    return [name if names.count(name) == 1 else f"{name}-{index}" for index, name in enumerate(names)]


def write_tracks(recording: Recording, out: Path, form: str) -> None:
    """Write the table as `parquet` or `csv`, whole or not at all."""
    table = track_table(recording)
    part = out.with_name(f".{out.name}.part")
    try:
        if form == "parquet":
            pyarrow.parquet.write_table(table, part, compression="zstd")
        else:
            pyarrow.csv.write_csv(table, part)
        part.replace(out)
    except pa.ArrowException as error:
        raise InputError(f"cannot write the tracks: {error}", file=str(out), fix="Choose another file with --out") from None
    finally:
        part.unlink(missing_ok=True)


def _reasons(recording: Recording, kept: np.ndarray) -> list[str]:
    """Why each row's driver drives as it does: of the stack's drivers, which trace a manoeuvre, in their own words."""
    names = recording.header.reason_names
    stack = np.zeros(len(recording.rows), bool)
    stack[recording.traces["manoeuvre"][0] if "manoeuvre" in recording.traces else []] = True
    words = []
    for row in kept:
        reason = int(recording.rows["reason"][row])
        if stack[row]:
            words.append(REASON_WORDS.get(reason, ""))
        else:
            words.append(names[reason].replace("_", " ").lower() if 0 <= reason < len(names) else "")
    return words
