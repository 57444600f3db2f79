"""Tables of tracks: the plain format, the INTERACTION layout, and what all readers of recorded road users give.

The plain format (CSV or Parquet) has a row for each road user and time: track_id, kind, time [s], x, y [m] (centre of the box),
heading [rad], speed [m/s], length, width [m]; other columns are ignored, but for `ego`, which marks the rows of the ego's own
record. `avstack export` writes it. INTERACTION (Zhan et al., arXiv 1910.03088) has track_id, frame_id, timestamp_ms, agent_type,
x, y, vx, vy, psi_rad, length, width, and may have case_id; people on foot have no psi_rad, length and width.

The map lies beside the table: named in its metadata (`avstack.map_file` of Parquet, a first line `# map: FILE` of CSV), or a map
file with the same stem. Places are in the map file's own coordinates, or with `# frame: map` (`avstack.frame`) in those of the
map as it is re-centred here, as `avstack export` writes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from scenarios.errors import InputError
from scenarios.model import KINDS
from scenarios.nearest import nearest
from sim.interface import SPECS, Floats
from sim.roads.lane_map import MapDraft

COLUMNS = ("track_id", "kind", "time", "x", "y", "heading", "speed", "length", "width")
INTERACTION = ("track_id", "timestamp_ms", "agent_type", "x", "y", "vx", "vy")
MAP_SUFFIXES = (".xodr", ".osm", ".xml")
SIZE_MAX = 2 * 1024**3  # bytes of a table
UNPACKED_MAX = 4 * 1024**3  # bytes of a Parquet table in memory
POSITION_MAX, SPEED_MAX, LENGTH_MAX = 1e8, 200.0, 60.0
SLOW = 0.3  # m/s below which a way does not tell a heading
FILES_KEPT = 4
WORDS = {
    "pedestrian/bicycle": "pedestrian", "cyclist": "bicycle", "vehicle": "car", "truck_bus": "truck",
    "motorcyclist": "motorcycle", "taxi": "car", "trailer": "truck", "pedestrian": "pedestrian",
}  # fmt: skip
"""Kinds that other data sets name, in our words."""
SIZES = {"car": (4.7, 1.85), "truck": (8.5, 2.5), "bus": (12.0, 2.55), "pedestrian": (0.5, 0.6), "bicycle": (1.8, 0.65)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A road user's record: rows (T, 5) of time [s] from the recording's beginning, x, y, heading, speed, in the map's frame."""

    id: str
    kind: str
    length: float
    width: float
    rows: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """A recording. ego: whose record is the ego's, "" for nobody's; map_file, or else draft: the map it comes with. centred: in
    the frame of the map as we re-centre it, not in the file's own."""

    name: str
    tracks: Mapping[str, Track]
    ego: str = ""
    map_file: Path | None = None
    draft: Callable[[], MapDraft] | None = None
    centred: bool = False
    warnings: tuple[str, ...] = field(default=())

    @property
    def duration_s(self) -> float:
        """Until the last row of anybody."""
        return max(float(track.rows[-1, 0]) for track in self.tracks.values())


def read_tracks(path: Path, part: str = "") -> Tracks:
    """The recording in a file, of several the one called `part`. InputError for what cannot be read."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise InputError("there is no such file", file=str(path), fix="Check the path.") from error
    if status.st_size > SIZE_MAX:
        raise InputError(f"the file is larger than {SIZE_MAX >> 20} MiB", file=str(path), fix="Cut it.")
    return _read(path, part, status.st_mtime_ns)


@lru_cache(maxsize=FILES_KEPT)
def _read(path: Path, part: str, changed: int) -> Tracks:
    """As `read_tracks`, kept while the file's time of change is the same."""
    del changed
    if ".tfrecord" in path.name:
        from scenarios.formats.waymo import read_waymo

        return read_waymo(path, part)
    table, map_name, frame = _table(path)
    names = set(table.column_names)
    if {"object_type", "position_x", "timestep"} <= names:
        from scenarios.formats.argoverse import read_argoverse

        return read_argoverse(path, table)
    if set(INTERACTION) <= names:
        return _interaction(path, table, part, map_name)
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InputError(
            f"column {missing[0]!r} is missing{nearest(missing[0], names)}", file=str(path),
            fix=f"A table of tracks has {', '.join(COLUMNS)}",
        )  # fmt: skip
    numbers = {name: column(path, table, name) for name in COLUMNS[2:]}
    ids, kinds = words(path, table, "track_id"), words(path, table, "kind")
    own = ids[np.asarray(table["ego"].to_numpy(zero_copy_only=False), bool)] if "ego" in names else ids[:0]
    if part and part not in ids:
        raise InputError(f"there is no track {part!r}{nearest(part, set(ids.tolist()))}", file=str(path), fix="Name another.")
    ego = part or (str(own[0]) if len(own) else "")
    return Tracks(
        name=path.stem, tracks=gathered(path, ids, kinds, numbers), ego=ego, map_file=_map_beside(path, map_name),
        centred=frame == "map",
    )  # fmt: skip


def _table(path: Path) -> tuple[pa.Table, str, str]:
    """The table in a file, the map that it names, and its frame. Comments at its beginning are left out."""
    try:
        if path.suffix.lower() == ".parquet":
            unpacked = pyarrow.parquet.read_metadata(path)
            size = sum(unpacked.row_group(k).total_byte_size for k in range(unpacked.num_row_groups))
            if size > UNPACKED_MAX:
                raise InputError(f"holds {size >> 20} MiB unpacked", file=str(path), fix=f"At most {UNPACKED_MAX >> 20} MiB.")
            table = pyarrow.parquet.read_table(path)
            metadata = table.schema.metadata or {}
            frame = b"map" if b"avstack.trace_hash" in metadata else metadata.get(b"avstack.frame", b"")
            return table, metadata.get(b"avstack.map_file", b"").decode(errors="replace"), frame.decode(errors="replace")
        skipped = 0
        said = {"map": "", "frame": ""}
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if not line.startswith("#"):
                    break
                skipped += 1
                key, _, value = line[1:].partition(":")
                said[key.strip()] = value.strip()
        table = pyarrow.csv.read_csv(path, read_options=pyarrow.csv.ReadOptions(skip_rows=skipped))
        return table, said["map"], said["frame"]
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"is no table: {str(error).splitlines()[0][:200]}", file=str(path), fix="Export it again.") from None


def column(path: Path, table: pa.Table, name: str, missing: float | None = None) -> Floats:
    """A column as finite floats; `missing` in place of what is not given. InputError names the row."""
    try:
        values = np.array(table[name].cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowException:
        text = [str(value) for value in table[name].slice(0, 1).to_pylist()]
        raise InputError(f"column {name!r} has no numbers: {text[:1]}", file=str(path), fix="Write plain numbers.") from None
    bad = ~np.isfinite(values)
    if bad.any() and missing is None:
        row = int(np.argmax(bad))
        raise InputError(
            f"row {row + 1}: {name} is {float(values[row])}", file=str(path), fix="Give a number, or leave the row out."
        )
    values[bad] = 0.0 if missing is None else missing
    return values


def words(path: Path, table: pa.Table, name: str) -> np.ndarray:
    """A column as texts."""
    values = table[name].to_pylist()
    if any(value is None for value in values):
        raise InputError(f"row {values.index(None) + 1}: {name} is empty", file=str(path), fix="Give it a value.")
    return np.array([str(value) for value in values])


def kind_of(path: Path, word: str) -> str:
    """Our word for a kind."""
    kind = WORDS.get(word.lower(), word.lower())
    if kind not in KINDS:
        raise InputError(f"kind {word!r} is unknown{nearest(kind, KINDS)}", file=str(path), fix="Use one of ours.")
    return kind


def gathered(path: Path, ids: np.ndarray, kinds: np.ndarray, numbers: Mapping[str, Floats]) -> dict[str, Track]:
    """Tracks by id, times from the earliest on. InputError for times that do not increase, and for what cannot be."""
    if not len(ids):
        raise InputError("the table has no rows", file=str(path), fix="Give one with tracks.")
    bounds = {"x": POSITION_MAX, "y": POSITION_MAX, "speed": SPEED_MAX, "length": LENGTH_MAX, "width": LENGTH_MAX}
    for name, most in bounds.items():
        wrong = np.abs(numbers[name]) > most
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"row {row + 1}: {name} = {numbers[name][row]:g} is not believable", file=str(path), fix=f"At most {most:g}."
            )
    begin = float(numbers["time"].min())
    found = {}
    order = np.lexsort((numbers["time"], ids))
    starts = np.flatnonzero(np.append(True, ids[order][1:] != ids[order][:-1]))
    for rows in np.split(order, starts[1:]):
        name, kind = str(ids[rows[0]]), kind_of(path, str(kinds[rows[0]]))
        track = np.stack([numbers[key][rows] for key in ("time", "x", "y", "heading", "speed")], axis=1)
        track[:, 0] -= begin
        late = np.flatnonzero(np.diff(track[:, 0]) <= 0.0)
        if len(late):
            raise InputError(
                f"track {name!r} has two rows at {track[late[0], 0] + begin:g} s", file=str(path), fix="Leave one out."
            )
        size = [float(numbers[key][rows[0]]) for key in ("length", "width")]
        default = SIZES.get(kind, (SPECS[KINDS[kind]].length, SPECS[KINDS[kind]].width))
        length, width = (value if value > 0.05 else usual for value, usual in zip(size, default, strict=True))
        found[name] = Track(id=name, kind=kind, length=length, width=width, rows=track)
    return found


def _interaction(path: Path, table: pa.Table, part: str, map_name: str) -> Tracks:
    """INTERACTION's layout; part: a case where there are several, else whose record is the ego's."""
    case = ""
    if "case_id" in table.column_names:
        cases = [str(value) for value in dict.fromkeys(table["case_id"].to_pylist())]
        wanted, _, ego = part.partition("/")
        case = next((one for one in cases if wanted in (one, one.removesuffix(".0"))), "") if wanted else cases[0]
        if not case:
            raise InputError(f"there is no case {wanted!r}", file=str(path), fix=f"It has {', '.join(cases[:8])}.")
        table = table.filter(pa.array([str(value) == case for value in table["case_id"].to_pylist()]))
        part = ego
    x, y, vx, vy = (column(path, table, name) for name in ("x", "y", "vx", "vy"))
    speed = np.hypot(vx, vy)
    way = np.arctan2(vy, vx)
    heading = column(path, table, "psi_rad", math.nan) if "psi_rad" in table.column_names else np.full(len(x), math.nan)
    sizes = [column(path, table, name, 0.0) if name in table.column_names else np.zeros(len(x)) for name in ("length", "width")]
    ids = words(path, table, "track_id")
    numbers = {
        "time": column(path, table, "timestamp_ms") / 1000.0, "x": x, "y": y,
        "heading": np.where(np.isnan(heading), way, heading), "speed": speed, "length": sizes[0], "width": sizes[1],
    }  # fmt: skip
    if part and part not in ids:
        raise InputError(f"there is no track {part!r}{nearest(part, set(ids.tolist()))}", file=str(path), fix="Name another.")
    tracks = gathered(path, ids, words(path, table, "agent_type"), numbers)
    name = path.stem + (f"-{case.removesuffix('.0')}" if case else "")
    return Tracks(name=name, tracks=tracks, ego=part, map_file=_map_beside(path, map_name))


def _map_beside(path: Path, named: str) -> Path:
    """The map that a table names, or the one with its stem; INTERACTION's lie in a folder `maps` beside that of the tables."""
    if named:
        found = path.parent / named
        if not found.is_file():
            raise InputError(f"its map {named!r} does not exist", file=str(path), fix=f"It was looked for at {found}.")
        return found
    folders = (path.parent, path.parent.parent / "maps", path.parent.parent.parent / "maps")
    stems = (path.stem, path.parent.name, f"{path.stem}.osm")
    for folder in folders:
        for stem in stems:
            for suffix in MAP_SUFFIXES:
                if (folder / f"{stem}{suffix}").is_file():
                    return folder / f"{stem}{suffix}"
    raise InputError(
        "has no map", file=str(path),
        fix=f"Name it in a first line '# map: FILE' (Parquet: metadata avstack.map_file), or put {path.stem}.xodr beside it",
    )  # fmt: skip


def headings_of(rows: Floats) -> Floats:
    """(T,) headings from the way of (T, 3) time, x, y, kept where somebody stands."""
    if len(rows) < 2:
        return np.zeros(len(rows))
    step = np.gradient(rows[:, 1:3], axis=0) / np.gradient(rows[:, 0])[:, None]
    heading, moving = np.arctan2(step[:, 1], step[:, 0]), np.hypot(*step.T) > SLOW
    known = np.maximum.accumulate(np.where(moving, np.arange(len(rows)), -1))
    known[known < 0] = int(np.argmax(moving)) if moving.any() else 0
    found: Floats = heading[known]
    return found
