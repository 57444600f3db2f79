"""Objects as bytes for a recording, so that a memory of any shape can be kept and given back.

An object is pickled without its larger arrays. Those are stored once each under a hash of their content: the constant parts of a
driver's memory, often most of it, cost nothing the second time. Objects that both sides have anyway (the map) are only named.

Reading pickles runs code: `thaw` only what you would run.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ARRAY_BYTES = 1024
"""Arrays from this size on are kept apart."""
_LENGTH_BYTES = 8


class SnapshotError(ValueError):
    """An object that cannot be stored, or stored bytes that cannot be made into one again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """data: the object without its larger arrays; arrays: those of them that were not stored before, by key. Both compressed."""

    data: bytes
    arrays: Mapping[str, bytes]


def freeze(item: object, known: Mapping[str, object], stored: Collection[str]) -> Frozen:
    """`item` as bytes. known: objects that `thaw` will be given too, by name; stored: keys of arrays that need no second copy.

    Raises SnapshotError where a part of it cannot be pickled.
    """
    stream = io.BytesIO()
    writer = _Writer(stream, known, stored)
    try:
        writer.dump(item)
    except Exception as error:  # pickle passes on whatever an object's own methods raise
        raise SnapshotError(f"{type(error).__name__}: {error}") from error
    return Frozen(data=_packed(stream.getvalue()), arrays=writer.arrays)


def thaw(data: bytes, arrays: Mapping[str, bytes], known: Mapping[str, object]) -> object:
    """The object that `freeze` was given. Raises SnapshotError for bytes that are damaged or from another version."""
    try:
        return _Reader(io.BytesIO(_unpacked(data)), arrays, known).load()
    except Exception as error:  # damaged bytes make pickle raise almost anything
        raise SnapshotError(f"{type(error).__name__}: {error}") from error


class _Writer(pickle.Pickler):
    """Leaves out large arrays and known objects, and collects the arrays."""

    def __init__(self, stream: io.BytesIO, known: Mapping[str, object], stored: Collection[str]) -> None:
        super().__init__(stream, protocol=5)
        self._known = {id(item): name for name, item in known.items()}
        self._stored = stored
        self._numbers: dict[int, int] = {}
        self._alive: list[object] = []  # an id means an object only while that lives
        self.arrays: dict[str, bytes] = {}

    def persistent_id(self, item: object) -> tuple[object, ...] | None:
        """(name,) of a known object; (key, number, writeable) of a large array; equal arrays differ in their numbers."""
        if id(item) in self._known:
            return (self._known[id(item)],)
        if type(item) is not np.ndarray or item.nbytes < ARRAY_BYTES or item.dtype.hasobject:
            return None
        stream = io.BytesIO()
        np.save(stream, item, allow_pickle=False)
        content = stream.getvalue()
        key = hashlib.blake2b(content, digest_size=16).hexdigest()
        if key not in self._stored and key not in self.arrays:
            self.arrays[key] = _packed(content)
        self._alive.append(item)
        return key, self._numbers.setdefault(id(item), len(self._numbers)), bool(item.flags.writeable)


class _Reader(pickle.Unpickler):
    """Puts arrays and known objects back."""

    def __init__(self, stream: io.BytesIO, arrays: Mapping[str, bytes], known: Mapping[str, object]) -> None:
        super().__init__(stream)
        self._arrays = arrays
        self._known = known
        self._read: dict[int, NDArray[np.generic]] = {}

    def persistent_load(self, place: tuple[object, ...]) -> object:
        """The object that `_Writer.persistent_id` left out."""
        if len(place) == 1:
            return self._known[str(place[0])]
        key, number, writeable = str(place[0]), int(str(place[1])), bool(place[2])
        if number not in self._read:
            array = np.load(io.BytesIO(_unpacked(self._arrays[key])), allow_pickle=False)
            array.setflags(write=writeable)
            self._read[number] = array
        return self._read[number]


def _packed(content: bytes) -> bytes:
    compressed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return len(content).to_bytes(_LENGTH_BYTES, "little") + compressed


def _unpacked(content: bytes) -> bytes:
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    plain: bytes = pa.decompress(content[_LENGTH_BYTES:], decompressed_size=length, codec="zstd", asbytes=True)
    return plain
