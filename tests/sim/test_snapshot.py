"""Objects as bytes and back: equal, with their aliases, their large arrays once, and a clear error where it cannot be."""

import threading
from typing import Any

import numpy as np
import pytest

from sim.snapshot import SnapshotError, freeze, thaw


def test_what_goes_in_comes_out():
    large = np.arange(1000.0)
    record = np.zeros((1, 100), np.dtype([("x", "f8"), ("k", "i4", (4,))], align=True))
    record["x"] = 3.0
    item = {"a": large, "same": large, "equal": large.copy(), "small": np.arange(3), "record": record, "text": ("x", 1)}
    frozen = freeze(item, {}, ())
    back: Any = thaw(frozen.data, frozen.arrays, {})
    assert len(frozen.arrays) == 2
    assert back["a"] is back["same"]
    assert back["a"] is not back["equal"]
    assert np.array_equal(back["equal"], large)
    assert back["record"].dtype == record.dtype
    assert back["record"].tobytes() == record.tobytes()
    assert np.array_equal(back["small"], [0, 1, 2])
    assert back["text"] == ("x", 1)


def test_arrays_stay_read_only_or_writeable():
    fixed, free = np.arange(1000.0), np.ones(1000)
    fixed.setflags(write=False)
    frozen = freeze([fixed, free], {}, ())
    back: Any = thaw(frozen.data, frozen.arrays, {})
    assert [array.flags.writeable for array in back] == [False, True]


def test_what_is_stored_is_not_stored_again():
    large = np.arange(1000.0)
    first = freeze([large], {}, ())
    second = freeze([large, 2], {}, first.arrays.keys())
    assert not second.arrays
    back: Any = thaw(second.data, first.arrays, {})
    assert np.array_equal(back[0], large)


def test_known_objects_are_named_only():
    road_map = object()
    frozen = freeze([road_map, "x"], {"road_map": road_map}, ())
    back: Any = thaw(frozen.data, frozen.arrays, {"road_map": road_map})
    assert back[0] is road_map


@pytest.mark.parametrize("item", [lambda: 0, threading.Lock()])
def test_what_cannot_be_stored_is_refused(item):
    with pytest.raises(SnapshotError):
        freeze({"a": item}, {}, ())


@pytest.mark.parametrize("data", [b"", b"x" * 7, b"\x05" + bytes(7) + b"hello"])
def test_damaged_bytes_are_refused(data):
    with pytest.raises(SnapshotError):
        thaw(data, {}, {})


def test_a_missing_array_is_refused():
    with pytest.raises(SnapshotError):
        thaw(freeze([np.arange(1000.0)], {}, ()).data, {}, {})
