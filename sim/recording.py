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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.interface import TICK_S, Floats
from sim.roads.outline import MapOutline, from_bytes

FORMAT_VERSION = 1
FLUSH_TICKS = 50
"""Ticks to a batch: at most five seconds of an episode are lost when the machine goes down."""
PART_SUFFIX = ".part"
SNAPSHOT_TICK, SNAPSHOT_DATA, SNAPSHOT_ARRAY = b"avstack.snapshot.tick", b"avstack.snapshot.data", b"avstack.snapshot.array."
"""Metadata of a batch that holds a snapshot: its tick, the frozen object, and each array that is new by its key."""

Scalar = float | int | str | bool
Column = tuple[str, int]
"""Of a trace: numpy's name of the dtype, and the number of dimensions."""

BODY_COLUMNS = (
    ("x", "f8"), ("y", "f8"), ("heading", "f4"), ("speed", "f4"), ("accel", "f4"), ("jerk", "f4"), ("steer", "f4"),
    ("indicator", "i1"), ("brake_light", "i1"), ("gesture", "i1"), ("gear", "i1"), ("status", "i1"),
    ("crashed", "i4"), ("offroad", "i4"),
)  # fmt: skip
MIND_COLUMNS = (("lane", "i4"), ("s", "f4"), ("d", "f4"), ("reason", "i1"))
TICK_DTYPE = np.dtype([("tick", "i4"), ("actor", "i2"), *BODY_COLUMNS, *MIND_COLUMNS])
"""One row: one actor at one tick. lane, s, d, reason: where its driver believes it is, and why it holds its speed."""
RECORDED_EVENT_DTYPE = np.dtype(
    [
        ("tick", "i4"), ("kind", "i4"), ("a", "i4"), ("b", "i4"), ("x", "f4"), ("y", "f4"),
        ("time_s", "f4"), ("speed", "f4"), ("fault_a", "i4"), ("fault_b", "i4"),
    ]
)  # fmt: skip
"""Columns of an event; `kind` is an index into `Header.event_names`, the rest as in `sim.state.EVENT_DTYPE`."""
TRACE_TYPE = pa.map_(pa.string(), pa.float32())
ARRAYS_TYPE = pa.map_(pa.string(), pa.struct([("dtype", pa.string()), ("shape", pa.list_(pa.int32())), ("data", pa.binary())]))
_ROW_FIELDS = [(name, pa.from_numpy_dtype(TICK_DTYPE[name])) for name in TICK_DTYPE.names or ()]
_WITH_ARRAYS = pa.schema([*_ROW_FIELDS, ("trace", TRACE_TYPE), ("arrays", ARRAYS_TYPE)])
SCHEMAS = {"scalar": pa.schema([*_ROW_FIELDS, ("trace", TRACE_TYPE)]), "arrays": _WITH_ARRAYS, "full": _WITH_ARRAYS}
"""What is recorded -> the columns. Numbers of a trace go into `trace`, arrays into `arrays`, both by name; `full` recordings hold
snapshots as well."""


_T = TypeVar("_T")
_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError)
"""What reading damaged bytes may raise; MemoryError, for a damaged length asks for terabytes."""


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
    """What is known before the first tick. status_active: the value of the status column of an actor on the road.

    record: a key of SCHEMAS, how much is recorded. config: how the run was asked for.
    """

    scenario: str
    seed: int
    duration_s: float
    ego: int | None
    actors: tuple[RecordedActor, ...]
    event_names: tuple[str, ...]
    reason_names: tuple[str, ...]
    status_active: int = 1
    tick_s: float = TICK_S
    record: str = "scalar"
    sensing: str = "state"
    weather: str = "clear"
    friction: float = 0.9
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    config: Mapping[str, Scalar] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What is known after the last tick. error: text of the exception that ended a crashed episode.

    outcome: what the run reported of the episode, by name; empty where its process died. columns: what drivers traced.
    """

    ending: Ending
    reasons: tuple[str, ...] = ()
    error: str = ""
    trace_hash: str = ""
    outcome: Mapping[str, Scalar] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording in memory. rows: (N,) of TICK_DTYPE by tick, then actor; events: (E,) of RECORDED_EVENT_DTYPE in order.

    traces: name -> (indices into rows, values) of the drivers' scalar traces; arrays: the same of their arrays, whose shapes may
    differ from row to row. snapshots: tick -> what `sim.snapshot.thaw` reads, with the arrays that snapshots share by key.
    The last three are empty in scalar recordings, the last two also where `arrays` alone are recorded.
    """

    header: Header
    road_map: MapOutline
    rows: NDArray[np.void]
    events: NDArray[np.void]
    traces: Mapping[str, tuple[NDArray[np.int64], Floats]]
    footer: Footer
    arrays: Mapping[str, tuple[NDArray[np.int64], tuple[NDArray[np.generic], ...]]] = field(default_factory=dict)
    snapshots: Mapping[int, bytes] = field(default_factory=dict)
    shared_arrays: Mapping[str, bytes] = field(default_factory=dict)

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


def part_path(path: Path) -> Path:
    """Where a recording lies while its episode runs."""
    return path.with_name(path.name + PART_SUFFIX)


def read_recording(path: Path, *, partial: bool = False) -> Recording:
    """Read a recording; with `partial`, also one that stops before its footer (ending PARTIAL).

    Raises RecordingError naming the file and what is wrong: missing, not a recording, damaged, unfinished, or of a newer format.
    """
    return _guarded(path, lambda file: _read(file, path, partial))


def read_header(path: Path) -> Header:
    """The header alone, also of a recording that is cut short. Raises RecordingError as `read_recording` does."""
    return _guarded(path, lambda file: _open(file, path)[1])


def _guarded(path: Path, read: Callable[[IO[bytes]], _T]) -> _T:
    """`read` on the opened file; whatever a damaged one makes it raise becomes a RecordingError."""
    try:
        with path.open("rb") as file:
            return read(file)
    except FileNotFoundError:
        raise RecordingError(f"{path}: no such recording") from None
    except RecordingError:
        raise
    except _DAMAGE as error:
        raise RecordingError(f"{path}: not a recording, or a damaged one ({_first_line(error)})") from error


def _open(file: IO[bytes], path: Path) -> tuple[pa.RecordBatchStreamReader, Header]:
    """The stream behind its checked head."""
    reader = pa.ipc.open_stream(file)
    metadata = reader.schema.metadata or {}
    if b"avstack.format" not in metadata:
        raise RecordingError(f"{path}: an Arrow stream, but not a recording of avstack")
    version = int(metadata[b"avstack.format"])
    if version > FORMAT_VERSION:
        raise RecordingError(
            f"{path}: format {version} is newer than the {FORMAT_VERSION} that this version reads; upgrade avstack-sim"
        )
    header = _header(json.loads(metadata[b"avstack.header"]))
    if header.record not in SCHEMAS or not reader.schema.equals(SCHEMAS[header.record]):
        raise RecordingError(f"{path}: the columns are not those of format {version}")
    return reader, header


def _read(file: IO[bytes], path: Path, partial: bool) -> Recording:
    reader, header = _open(file, path)
    batches, events, footer = [], [], Footer(ending=Ending.PARTIAL)
    snapshots: dict[int, bytes] = {}
    shared: dict[str, bytes] = {}
    for batch, extra in batches_of(reader, partial):
        batch.validate(full=True)
        batches.append(batch)
        events.extend(json.loads(extra.get(b"avstack.events", b"[]")))
        if b"avstack.footer" in extra:
            footer = _footer(json.loads(extra[b"avstack.footer"]))
        if SNAPSHOT_TICK in extra:
            snapshots[int(extra[SNAPSHOT_TICK])] = extra[SNAPSHOT_DATA]
            arrays = (
                (key.removeprefix(SNAPSHOT_ARRAY), content) for key, content in extra.items() if key.startswith(SNAPSHOT_ARRAY)
            )
            shared.update((key.decode(), content) for key, content in arrays)
    if footer.ending is Ending.PARTIAL and not partial:
        raise RecordingError(f"{path}: the recording stops before its end (cut short, or still being written)")
    table = pa.Table.from_batches(batches, schema=SCHEMAS[header.record])
    return Recording(
        header=header,
        road_map=from_bytes(reader.schema.metadata[b"avstack.map"]),
        rows=_read_only(_rows(table)),
        events=_read_only(np.array([tuple(event) for event in events], dtype=RECORDED_EVENT_DTYPE)),
        traces=_read_traces(table.column("trace")),
        footer=footer,
        arrays=_read_arrays(table.column("arrays")) if header.record != "scalar" else {},
        snapshots=snapshots,
        shared_arrays=shared,
    )


def batches_of(reader: pa.RecordBatchStreamReader, partial: bool) -> Iterator[tuple[pa.RecordBatch, Mapping[bytes, bytes]]]:
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


def _read_arrays(column: pa.ChunkedArray) -> dict[str, tuple[NDArray[np.int64], tuple[NDArray[np.generic], ...]]]:
    found: dict[str, tuple[list[int], list[NDArray[np.generic]]]] = {}
    for row, pairs in enumerate(column.to_pylist()):
        for name, value in pairs or ():
            rows, values = found.setdefault(name, ([], []))
            rows.append(row)
            values.append(np.frombuffer(value["data"], dtype=np.dtype(value["dtype"])).reshape(value["shape"]))
    return {name: (np.array(rows, dtype=np.int64), tuple(values)) for name, (rows, values) in sorted(found.items())}


def _read_only(array: NDArray[np.void]) -> NDArray[np.void]:
    array.flags.writeable = False
    return array


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
        outcome=_mapping(values.get("outcome", {})),
        columns={name: (str(column[0]), int(column[1])) for name, column in _mapping(values.get("columns", {})).items()},
    )


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"a mapping was expected, got {type(value).__name__}")
    return value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
