"""One file per episode: a self-contained Arrow IPC stream (zstd) of everything that a metric or a viewer needs.

Layout: the schema's metadata carry the header (JSON) and the map's outline; each batch is a few seconds of rows, one per actor
and tick, with the events since the batch before in its metadata; a last, empty batch carries the footer (how the episode
ended). While the episode runs the file is called `NAME.part` and can be read up to its last batch; it gets its name when the
footer is written.

World frame, SI units as in `sim.interface`. Only actors that are on the road have rows. The file names its own event kinds and
reasons, so that readers need nothing else of the simulator.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.interface import TICK_S, Floats
from sim.roads.outline import MapOutline, from_bytes, to_bytes

FORMAT_VERSION = 1
FLUSH_TICKS = 50
"""Ticks to a batch: at most five seconds of an episode are lost when the machine goes down."""
PART_SUFFIX = ".part"

Scalar = float | int | str | bool

_BODY_COLUMNS = (
    ("x", "f8"), ("y", "f8"), ("heading", "f4"), ("speed", "f4"), ("accel", "f4"), ("jerk", "f4"), ("steer", "f4"),
    ("indicator", "i1"), ("brake_light", "i1"), ("gesture", "i1"), ("gear", "i1"), ("status", "i1"),
    ("crashed", "i4"), ("offroad", "i4"),
)  # fmt: skip
_MIND_COLUMNS = (("lane", "i4"), ("s", "f4"), ("d", "f4"), ("reason", "i1"))
TICK_DTYPE = np.dtype([("tick", "i4"), ("actor", "i2"), *_BODY_COLUMNS, *_MIND_COLUMNS])
"""One row: one actor at one tick. lane, s, d, reason: where its driver believes it is, and why it holds its speed."""
RECORDED_EVENT_DTYPE = np.dtype(
    [
        ("tick", "i4"), ("kind", "i4"), ("a", "i4"), ("b", "i4"), ("x", "f4"), ("y", "f4"),
        ("time_s", "f4"), ("speed", "f4"), ("fault_a", "i4"), ("fault_b", "i4"),
    ]
)  # fmt: skip
"""Columns of an event; `kind` is an index into `Header.event_names`, the rest as in `sim.state.EVENT_DTYPE`."""
_TRACE_TYPE = pa.map_(pa.string(), pa.float32())
_SCHEMA = pa.schema([*((name, pa.from_numpy_dtype(TICK_DTYPE[name])) for name in TICK_DTYPE.names or ()), ("trace", _TRACE_TYPE)])


class RecordingError(ValueError):
    """A file that is not a recording, is damaged, or was written by a newer version."""


class Ending(StrEnum):
    """How an episode ended: criteria met or not, the driver raised, out of wall-clock time, or the file stops before its end."""

    PASSED = "passed"
    FAILED = "failed"
    CRASHED = "crashed"
    TIME_LIMIT = "time_limit"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedActor:
    """One line of the actor table. kind: name of a `sim.interface.Kind`; route: lane indices; driver: "" unless external."""

    name: str
    kind: str
    length: float
    width: float
    style: str = ""
    driver: str = ""
    thing: str = ""
    route: tuple[int, ...] = ()
    goal_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is known before the first tick. status_active: the value of the status column of an actor on the road."""

    scenario: str
    seed: int
    duration_s: float
    ego: int | None
    actors: tuple[RecordedActor, ...]
    event_names: tuple[str, ...]
    reason_names: tuple[str, ...]
    status_active: int = 1
    tick_s: float = TICK_S
    sensing: str = "state"
    weather: str = "clear"
    friction: float = 0.9
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    config: Mapping[str, Scalar] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What is known after the last tick. error: text of the exception that ended a crashed episode."""

    ending: Ending
    reasons: tuple[str, ...] = ()
    error: str = ""
    trace_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording in memory. rows: (N,) of TICK_DTYPE by tick, then actor; events: (E,) of RECORDED_EVENT_DTYPE in order.

    traces: name -> (indices into rows, values) of the drivers' scalar traces.
    """

    header: Header
    road_map: MapOutline
    rows: NDArray[np.void]
    events: NDArray[np.void]
    traces: Mapping[str, tuple[NDArray[np.int64], Floats]]
    footer: Footer

    def track(self, actor: int) -> NDArray[np.void]:
        """(T,) rows of one actor in order of time."""
        chosen: NDArray[np.void] = self.rows[self.rows["actor"] == actor]
        return chosen

    def at(self, tick: int) -> NDArray[np.void]:
        """(A',) rows of the actors that are there at one tick."""
        first, last = np.searchsorted(self.rows["tick"], (tick, tick + 1))
        return self.rows[first:last]

    @property
    def last_tick(self) -> int:
        """Tick of the last row; 0 for an episode without rows."""
        return int(self.rows["tick"][-1]) if len(self.rows) else 0


class Recorder:
    """Writes one recording. A context manager: left without `finish`, it removes what it wrote."""

    def __init__(self, path: Path, header: Header, road_map: MapOutline) -> None:
        self._path = path
        self._part = part_path(path)
        self._header = header
        metadata = {
            b"avstack.format": str(FORMAT_VERSION).encode(),
            b"avstack.header": _to_json(header),
            b"avstack.map": to_bytes(road_map),
        }
        self._file: IO[bytes] = self._part.open("wb")
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writer = pa.ipc.new_stream(self._file, _SCHEMA.with_metadata(metadata), options=options)
        self._buffer = np.zeros(FLUSH_TICKS * len(header.actors), dtype=TICK_DTYPE)
        self._traces: list[list[tuple[str, float]] | None] = [None] * len(self._buffer)
        self._count = 0
        self._last_tick = -1
        self._events_seen = 0
        self._events_new: NDArray[np.void] = np.zeros(0, dtype=RECORDED_EVENT_DTYPE)
        self._status = np.full(len(header.actors), -1, dtype=np.int32)
        self._open = True

    def append(
        self,
        tick: int,
        bodies: NDArray[np.void],
        minds: NDArray[np.void],
        events: NDArray[np.void],
        traces: Mapping[int, Mapping[str, float]],
    ) -> None:
        """Add one tick: bodies and minds (A,) with the columns of `sim.state`, all events so far, and scalar traces by actor.

        Actors get a row while they are active and once more when that ends. A driver's trace "reason" becomes its row's, for
        the world does not know why an external driver does what it does. A tick that is there already is left as it is.
        """
        if tick == self._last_tick:
            return
        self._last_tick = tick
        actors = len(self._header.actors)
        status = bodies["status"][:actors]
        changed = (status != self._status) & (self._status == self._header.status_active)
        here = np.flatnonzero((status == self._header.status_active) | changed)
        self._status = status.astype(np.int32)
        if self._count + len(here) > len(self._buffer):
            self._flush()
        first, last = self._count, self._count + len(here)
        rows = self._buffer[first:last]
        rows["tick"] = tick
        rows["actor"] = here
        for name, _ in _BODY_COLUMNS:
            rows[name] = bodies[name][here]
        for name, _ in _MIND_COLUMNS:
            rows[name] = minds[name][here]
        for offset, actor in enumerate(here):
            trace = dict(traces.get(int(actor), {}))
            rows["reason"][offset] = int(trace.pop("reason", rows["reason"][offset]))
            self._traces[first + offset] = list(trace.items()) or None
        self._count = last
        self._events_new = events[self._events_seen :]
        if (tick + 1) % FLUSH_TICKS == 0:
            self._flush()

    def finish(self, footer: Footer) -> None:
        """Write the footer, make sure that it is on disk, and give the file its name."""
        self._flush()
        self._write(_empty_batch(), {"avstack.footer": _to_json(footer)})
        self._writer.close()
        os.fsync(self._file.fileno())
        self._file.close()
        self._open = False
        self._part.replace(self._path)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._open:
            self._open = False
            self._file.close()
            self._part.unlink(missing_ok=True)

    def _flush(self) -> None:
        count = self._count
        if count == 0 and len(self._events_new) == 0:
            return
        columns = [pa.array(np.ascontiguousarray(self._buffer[name][:count])) for name in TICK_DTYPE.names or ()]
        columns.append(pa.array(self._traces[:count], type=_TRACE_TYPE))
        events = [[event[name].item() for name in RECORDED_EVENT_DTYPE.names or ()] for event in self._events_new]
        self._write(pa.RecordBatch.from_arrays(columns, schema=_SCHEMA), {"avstack.events": json.dumps(events).encode()})
        self._events_seen += len(self._events_new)
        self._events_new = self._events_new[:0]
        self._count = 0

    def _write(self, batch: pa.RecordBatch, metadata: Mapping[str, bytes]) -> None:
        self._writer.write_batch(batch, custom_metadata=dict(metadata))
        self._file.flush()


def part_path(path: Path) -> Path:
    """Where a recording lies while its episode runs."""
    return path.with_name(path.name + PART_SUFFIX)


def read_recording(path: Path, *, partial: bool = False) -> Recording:
    """Read a recording; with `partial`, also one that stops before its footer (ending PARTIAL).

    Raises RecordingError naming the file and what is wrong: missing, not a recording, damaged, unfinished, or of a newer format.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path, partial)
    except FileNotFoundError:
        raise RecordingError(f"{path}: no such recording") from None
    except RecordingError:
        raise
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        MemoryError,
    ) as error:  # a damaged length asks for terabytes
        raise RecordingError(f"{path}: not a recording, or a damaged one ({_first_line(error)})") from error


def finalise_part(path: Path, footer: Footer) -> bool:
    """Turn what a dead process left of the recording `path` into a finished file; False where it left nothing readable."""
    part = part_path(path)
    try:
        recording = read_recording(part, partial=True)
    except RecordingError:
        part.unlink(missing_ok=True)
        return False
    with part.open("rb") as file, path.with_name(path.name + ".tmp").open("wb") as target:
        reader = pa.ipc.open_stream(file)
        writer = pa.ipc.new_stream(target, reader.schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))
        for batch, metadata in _batches(reader, partial=True):
            writer.write_batch(batch, custom_metadata=dict(metadata))
        if recording.footer.ending is Ending.PARTIAL:
            writer.write_batch(_empty_batch(), custom_metadata={"avstack.footer": _to_json(footer)})
        writer.close()
    path.with_name(path.name + ".tmp").replace(path)
    part.unlink()
    return True


def _read(file: IO[bytes], path: Path, partial: bool) -> Recording:
    reader = pa.ipc.open_stream(file)
    metadata = reader.schema.metadata or {}
    if b"avstack.format" not in metadata:
        raise RecordingError(f"{path}: an Arrow stream, but not a recording of avstack")
    version = int(metadata[b"avstack.format"])
    if version > FORMAT_VERSION:
        raise RecordingError(
            f"{path}: format {version} is newer than the {FORMAT_VERSION} that this version reads; upgrade avstack-sim"
        )
    if not reader.schema.equals(_SCHEMA):
        raise RecordingError(f"{path}: the columns are not those of format {version}")
    batches, events, footer = [], [], Footer(ending=Ending.PARTIAL)
    for batch, extra in _batches(reader, partial):
        batch.validate(full=True)
        batches.append(batch)
        events.extend(json.loads(extra.get(b"avstack.events", b"[]")))
        if b"avstack.footer" in extra:
            footer = _footer(json.loads(extra[b"avstack.footer"]))
    if footer.ending is Ending.PARTIAL and not partial:
        raise RecordingError(f"{path}: the recording stops before its end (cut short, or still being written)")
    table = pa.Table.from_batches(batches, schema=_SCHEMA)
    return Recording(
        header=_header(json.loads(metadata[b"avstack.header"])),
        road_map=from_bytes(metadata[b"avstack.map"]),
        rows=_read_only(_rows(table)),
        events=_read_only(np.array([tuple(event) for event in events], dtype=RECORDED_EVENT_DTYPE)),
        traces=_read_traces(table.column("trace")),
        footer=footer,
    )


def _batches(reader: pa.RecordBatchStreamReader, partial: bool) -> Iterator[tuple[pa.RecordBatch, Mapping[bytes, bytes]]]:
    """The batches with their metadata; where `partial`, a torn last batch ends the stream instead of failing it."""
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            return
        except (pa.ArrowException, OSError, MemoryError):
            if partial:
                return
            raise
        yield batch, dict(metadata.items()) if metadata is not None else {}


def _rows(table: pa.Table) -> NDArray[np.void]:
    rows = np.zeros(table.num_rows, dtype=TICK_DTYPE)
    for name in TICK_DTYPE.names or ():
        rows[name] = table.column(name).to_numpy()
    return rows


def _read_traces(column: pa.ChunkedArray) -> dict[str, tuple[NDArray[np.int64], Floats]]:
    found: dict[str, tuple[list[int], list[float]]] = {}
    for row, pairs in enumerate(column.to_pylist()):
        for name, value in pairs or ():
            rows, values = found.setdefault(name, ([], []))
            rows.append(row)
            values.append(value)
    return {
        name: (np.array(rows, dtype=np.int64), np.array(values, dtype=np.float64))
        for name, (rows, values) in sorted(found.items())
    }


def _read_only(array: NDArray[np.void]) -> NDArray[np.void]:
    array.flags.writeable = False
    return array


def _empty_batch() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=_SCHEMA)


def _to_json(item: Header | Footer) -> bytes:
    return json.dumps(asdict(item), separators=(",", ":")).encode()


def _header(values: dict[str, object]) -> Header:
    """A Header from its JSON form; unknown keys of a later writer of the same format are left out."""
    table = values["actors"]
    if not isinstance(table, list):
        raise TypeError("the actor table is not a list")
    known = {name: value for name, value in _known(values, Header).items() if name != "actors"}
    return Header(actors=tuple(_actor(row) for row in table), **known)  # type: ignore[arg-type]


def _actor(values: dict[str, object]) -> RecordedActor:
    return RecordedActor(**_known(values, RecordedActor))  # type: ignore[arg-type]


def _known(values: dict[str, object], form: type[Header | RecordedActor]) -> dict[str, object]:
    names = {entry.name for entry in fields(form)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in names}


def _footer(values: dict[str, object]) -> Footer:
    reasons = values.get("reasons", [])
    if not isinstance(reasons, list):
        raise TypeError("the reasons are not a list")
    return Footer(
        ending=Ending(str(values["ending"])),
        reasons=tuple(str(reason) for reason in reasons),
        error=str(values.get("error", "")),
        trace_hash=str(values.get("trace_hash", "")),
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
