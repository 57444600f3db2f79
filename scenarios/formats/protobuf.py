"""Just enough of protocol buffers and TFRecord files to read what others wrote: fields by number, nothing is executed.

Wire format: https://protobuf.dev/programming-guides/encoding; TFRecord: length, its checksum, data, their checksum.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from scenarios.errors import InputError

RECORD_MAX = 256 * 1024 * 1024
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Field = int | float | bytes


class WireError(ValueError):
    """Bytes that are no message."""


def records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file. InputError where it stops in the middle of one."""
    with path.open("rb") as stream:
        number = 0
        while head := stream.read(12):
            size = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else -1
            if not 0 <= size <= RECORD_MAX:
                raise InputError(f"record {number} has no sound length", file=str(path), fix="Download the file again.")
            data = stream.read(size)
            if len(data) != size or len(stream.read(4)) != 4:
                raise InputError(f"record {number} ends too early", file=str(path), fix="Download the file again.")
            yield data
            number += 1


def message(data: bytes) -> dict[int, list[Field]]:
    """Values by field number: whole numbers, 8 or 4 raw bytes, or the bytes of texts and messages. WireError for others."""
    found: dict[int, list[Field]] = defaultdict(list)
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        value: Field
        if kind == _VARINT:
            value, at = _varint(data, at)
        else:
            size, at = _varint(data, at) if kind == _BYTES else ({_FIXED64: 8, _FIXED32: 4}.get(kind, -1), at)
            if size < 0 or at + size > len(data):
                raise WireError(f"field {key >> 3} of kind {kind} ends too early")
            value, at = data[at : at + size], at + size
        found[key >> 3].append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("a number ends too early")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def number(fields: dict[int, list[Field]], key: int, default: float = 0.0) -> float:
    """A double, float or whole number."""
    values = fields.get(key)
    if not values:
        return default
    value = values[-1]
    if isinstance(value, bytes):
        if len(value) not in (4, 8):
            raise WireError(f"field {key} is no number")
        return float(struct.unpack("<d" if len(value) == 8 else "<f", value)[0])
    return float(value)


def numbers(fields: dict[int, list[Field]], key: int, kind: str) -> list[float]:
    """A repeated number, packed or not; kind: d for doubles, v for whole numbers."""
    found: list[float] = []
    for value in fields.get(key, ()):
        if not isinstance(value, bytes):
            found.append(value)
        elif kind == "d":
            if len(value) % 8:
                raise WireError(f"field {key} is no list of doubles")
            found += struct.unpack(f"<{len(value) // 8}d", value)
        else:
            at = 0
            while at < len(value):
                one, at = _varint(value, at)
                found.append(one)
    return found


def messages(fields: dict[int, list[Field]], key: int) -> Iterator[dict[int, list[Field]]]:
    """Messages inside."""
    for value in fields.get(key, ()):
        if not isinstance(value, bytes):
            raise WireError(f"field {key} is no message")
        yield message(value)


def text(fields: dict[int, list[Field]], key: int) -> str:
    """A text, "" where there is none."""
    values = fields.get(key)
    return values[-1].decode(errors="replace") if values and isinstance(values[-1], bytes) else ""
