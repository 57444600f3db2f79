"""Writing recordings; `sim.recording` says what is in them and reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.recording import (
    ARRAYS_TYPE,
    BODY_COLUMNS,
    FLUSH_TICKS,
    FORMAT_VERSION,
    MIND_COLUMNS,
    RECORDED_EVENT_DTYPE,
    SCHEMAS,
    SNAPSHOT_ARRAY,
    SNAPSHOT_DATA,
    SNAPSHOT_TICK,
    TICK_DTYPE,
    TRACE_TYPE,
    Column,
    Ending,
    Footer,
    Header,
    Recording,
    RecordingError,
    batches_of,
    part_path,
    read_recording,
)
from sim.roads.outline import MapOutline, to_bytes
from sim.snapshot import Frozen, freeze

Trace = Mapping[str, NDArray[np.generic]]


class TraceError(ValueError):
    """A driver's trace that cannot be recorded."""


class TraceColumns:
    """The columns that drivers' traces declare: the first value under a name fixes its dtype and number of dimensions."""

    def __init__(self) -> None:
        self.declared: dict[str, Column] = {}

    def take(self, trace: Mapping[str, object]) -> Trace:
        """The trace as arrays. Raises TraceError for what are no numbers, or differ in kind from what was declared."""
        arrays = {name: np.asarray(value) for name, value in trace.items()}
        for name, array in arrays.items():
            if array.dtype.kind not in "biuf":
                raise TraceError(f"trace {name!r} is {array.dtype}: a trace holds numbers")
            column = self.declared.setdefault(name, (array.dtype.str, array.ndim))
            if column != (array.dtype.str, array.ndim):
                raise TraceError(
                    f"trace {name!r} is {array.dtype} of {array.ndim} dimensions, after {np.dtype(column[0])} of {column[1]}: "
                    "a name keeps its dtype and number of dimensions"
                )
        return arrays


class Recorder:
    """Writes one recording. A context manager: left without `finish`, it removes what it wrote."""

    def __init__(self, path: Path, header: Header, road_map: MapOutline) -> None:
        self.path = path
        self._part = part_path(path)
        self.header = header
        metadata = {
            b"avstack.format": str(FORMAT_VERSION).encode(),
            b"avstack.header": _to_json(header),
            b"avstack.map": to_bytes(road_map),
        }
        self._schema = SCHEMAS[header.record]
        self._full = header.record != "scalar"
        self._file: IO[bytes] = self._part.open("wb")
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writer = pa.ipc.new_stream(self._file, self._schema.with_metadata(metadata), options=options)
        self._buffer = np.zeros(FLUSH_TICKS * len(header.actors), dtype=TICK_DTYPE)
        self._traces: list[Trace] = [{}] * len(self._buffer)
        self._stored: set[str] = set()
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
        traces: Mapping[int, Trace],
    ) -> None:
        """Add one tick: bodies and minds (A,) with the columns of `sim.state`, all events so far, and traces by actor.

        Of a trace, numbers (arrays of no dimension) are always kept, as float32; arrays in full recordings alone, as they are.

        Actors get a row while they are active and once more when that ends. A driver's trace "reason" becomes its row's, for
        the world does not know why an external driver does what it does. A tick that is there already is left as it is.
        """
        if tick == self._last_tick:
            return
        self._last_tick = tick
        here, self._status = _present(self.header, self._status, bodies)
        if self._count + len(here) > len(self._buffer):
            self._flush()
        first, last = self._count, self._count + len(here)
        _fill(self._buffer[first:last], tick, here, bodies, minds, traces)
        self._traces[first:last] = [traces.get(int(actor), {}) for actor in here]
        self._count = last
        self._events_new = events[self._events_seen :]
        if (tick + 1) % FLUSH_TICKS == 0:
            self._flush()

    def snapshot(self, tick: int, item: object, known: Mapping[str, object]) -> None:
        """Add what the episode goes on from, at a tick; `known` as in `sim.snapshot.freeze`. Raises SnapshotError."""
        frozen: Frozen = freeze(item, known, self._stored)
        self._stored.update(frozen.arrays)
        arrays = {SNAPSHOT_ARRAY + key.encode(): content for key, content in frozen.arrays.items()}
        self._write(_empty_batch(self._schema), {SNAPSHOT_TICK: str(tick).encode(), SNAPSHOT_DATA: frozen.data, **arrays})

    def finish(self, footer: Footer) -> None:
        """Write the footer, make sure that it is on disk, and give the file its name."""
        self._flush()
        self._write(_empty_batch(self._schema), {b"avstack.footer": _to_json(footer)})
        self._writer.close()
        os.fsync(self._file.fileno())
        self._file.close()
        self._open = False
        self._part.replace(self.path)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._open:
            self._open = False
            with suppress(OSError):  # what a full disk did not take is thrown away in any case
                self._file.close()
            self._part.unlink(missing_ok=True)

    def _flush(self) -> None:
        count = self._count
        if count == 0 and len(self._events_new) == 0:
            return
        columns = [pa.array(np.ascontiguousarray(self._buffer[name][:count])) for name in TICK_DTYPE.names or ()]
        columns.append(pa.array([_numbers(trace) for trace in self._traces[:count]], type=TRACE_TYPE))
        if self._full:
            columns.append(pa.array([_arrays(trace) for trace in self._traces[:count]], type=ARRAYS_TYPE))
        events = [[event[name].item() for name in RECORDED_EVENT_DTYPE.names or ()] for event in self._events_new]
        self._write(pa.RecordBatch.from_arrays(columns, schema=self._schema), {b"avstack.events": json.dumps(events).encode()})
        self._events_seen += len(self._events_new)
        self._events_new = self._events_new[:0]
        self._count = 0

    def _write(self, batch: pa.RecordBatch, metadata: Mapping[bytes, bytes]) -> None:
        self._writer.write_batch(batch, custom_metadata=dict(metadata))
        self._file.flush()


class Tape:
    """Ticks and events of an episode in memory, for who needs no file: no arrays, no outline of the map, and traces if `traced`.

    ticks: rows (A',) of TICK_DTYPE by tick; traces: actor -> trace by tick, empty unless `traced`.
    """

    path = None

    def __init__(self, header: Header, *, traced: bool = False) -> None:
        self.header = header
        self.ticks: list[NDArray[np.void]] = []
        self.traces: list[Mapping[int, Trace]] = []
        self._traced = traced
        self._last_tick = -1
        self._events: NDArray[np.void] = np.zeros(0, dtype=RECORDED_EVENT_DTYPE)
        self._status = np.full(len(header.actors), -1, dtype=np.int32)

    def append(
        self,
        tick: int,
        bodies: NDArray[np.void],
        minds: NDArray[np.void],
        events: NDArray[np.void],
        traces: Mapping[int, Trace],
    ) -> None:
        """As `Recorder.append`; of a tick that is there already the traces are taken, where it has none."""
        if tick == self._last_tick:
            if self._traced and not self.traces[-1]:
                self.traces[-1] = traces
            return
        self._last_tick = tick
        here, self._status = _present(self.header, self._status, bodies)
        rows = np.zeros(len(here), dtype=TICK_DTYPE)
        _fill(rows, tick, here, bodies, minds, traces)
        self.ticks.append(rows)
        if self._traced:
            self.traces.append(traces)
        self._events = events

    def events(self) -> NDArray[np.void]:
        """(E,) of RECORDED_EVENT_DTYPE, all so far."""
        events = np.zeros(len(self._events), dtype=RECORDED_EVENT_DTYPE)
        for name in RECORDED_EVENT_DTYPE.names or ():
            events[name] = self._events[name]
        events.flags.writeable = False
        return events

    def recording(self, ending: Ending) -> Recording:
        """What there is so far."""
        rows = np.frombuffer(b"".join(tick.tobytes() for tick in self.ticks), dtype=TICK_DTYPE)
        nowhere = MapOutline(name="", left_hand_traffic=False, lanes=(), crosswalks=(), edges=(), scenery=(), signals=())
        return Recording(
            header=self.header, road_map=nowhere, rows=rows, events=self.events(), traces={}, footer=Footer(ending=ending)
        )


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
        for batch, metadata in batches_of(reader, partial=True):
            writer.write_batch(batch, custom_metadata=dict(metadata))
        if recording.footer.ending is Ending.PARTIAL:
            writer.write_batch(_empty_batch(reader.schema), custom_metadata={"avstack.footer": _to_json(footer)})
        writer.close()
    path.with_name(path.name + ".tmp").replace(path)
    part.unlink()
    return True


def _present(header: Header, before: NDArray[np.int32], bodies: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Actors that get a row: who is active, and once more who was; and everybody's status now, for the next time."""
    status = bodies["status"][: len(header.actors)]
    changed = (status != before) & (before == header.status_active)
    return np.flatnonzero((status == header.status_active) | changed), status.astype(np.int32)


def _fill(
    rows: NDArray[np.void], tick: int, here: NDArray[np.int64], bodies: NDArray[np.void], minds: NDArray[np.void],
    traces: Mapping[int, Trace],
) -> None:  # fmt: skip
    """Write one tick's rows (K,) of the actors `here` (K,)."""
    rows["tick"] = tick
    rows["actor"] = here
    for name, _ in BODY_COLUMNS:
        rows[name] = bodies[name][here]
    for name, _ in MIND_COLUMNS:
        rows[name] = minds[name][here]
    for offset, actor in enumerate(here):
        reason = traces[int(actor)].get("reason") if int(actor) in traces else None
        if reason is not None and reason.ndim == 0:
            rows["reason"][offset] = int(reason)


def _numbers(trace: Trace) -> list[tuple[str, float]] | None:
    return [(name, float(value)) for name, value in trace.items() if value.ndim == 0 and name != "reason"] or None


def _arrays(trace: Trace) -> list[tuple[str, dict[str, object]]] | None:
    found = [(name, np.ascontiguousarray(value)) for name, value in trace.items() if value.ndim > 0]
    return [(name, {"dtype": a.dtype.str, "shape": list(a.shape), "data": a.tobytes()}) for name, a in found] or None


def _empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _to_json(item: Header | Footer) -> bytes:
    return json.dumps(asdict(item), separators=(",", ":")).encode()
