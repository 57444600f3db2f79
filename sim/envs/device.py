"""How functions and arrays of the simulator come to a CUDA device, or to numba's simulator of one.

Nothing of the simulation is written twice: `on_device` takes a kernel's own Python function and those of all that it calls. A set
of arrays (`sim.tables`) is a block of words in the device's memory, as it is one on the stack of the processor.

With NUMBA_ENABLE_CUDASIM=1 numba runs launches in the interpreter and in this machine's memory; what is launched then calls the
processor's code. `require_device` of `sim.envs.cuda` comes first: without numba-cuda this module can be imported in the simulator
alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import cuda
from numba.np.numpy_support import as_dtype
from numpy.typing import NDArray

from sim.tables import block_words

SIMULATED: bool = cuda.config.ENABLE_CUDASIM

_SIZES = (8, 4, 2, 1)  # bytes that are copied at a time, the most that divide a row


if SIMULATED:

    def on_device(kernel: Any) -> Any:
        """What a launched function calls for a kernel of the processor."""
        return kernel

    def launched(function: Callable[..., None]) -> Any:
        """A function to be launched: `made[blocks, threads](...)`."""
        return cuda.jit(function)

    def as_array(array: Any) -> Any:
        """An array that was handed to a launched function, as kernels take it."""
        return getattr(array, "_item")._ary  # noqa: B009  what the simulator wraps it in

    def as_set(kind: Any) -> Callable[[Any], Any]:
        """What makes of a block of words the set of arrays that kernels receive."""
        return partial(_rebuilt, kind)

    def _rebuilt(kind: Any, words: Any) -> Any:
        """The arrays that lie where a block says."""
        fields = getattr(kind, "_numba_type_").fields  # noqa: B009  set by sim.tables.share
        rows = as_array(words).reshape(len(fields), -1)
        arrays = []
        for row, (_, element, ndim) in zip(rows, fields, strict=True):
            dtype = as_dtype(element)
            shape = row[1 + (len(row) - 1) // 2 :][:ndim]
            memory = (ctypes.c_byte * int(dtype.itemsize * shape.prod())).from_address(int(row[0]))
            arrays.append(np.ndarray(tuple(shape), dtype, memoryview(memory)))
        return kind(*arrays)

    def _address(array: Any) -> int:
        return int(getattr(array, "_ary").ctypes.data)  # noqa: B009

else:
    from sim.envs.twins import as_array, as_set, launched, on_device

    def _address(array: Any) -> int:
        return int(array.__cuda_array_interface__["data"][0])


class DeviceSet(NamedTuple):
    """A set of arrays on the device. rows: each as whole numbers (first axis, all others); words: the set's block."""

    rows: dict[str, Any]
    words: Any


def upload(arrays: Any, only: Sequence[str] = ()) -> DeviceSet:
    """Copy a NamedTuple of arrays to the device, or those of them that are named, for which there is no block then."""
    names = only or arrays._fields
    rows = {name: cuda.to_device(as_rows(getattr(arrays, name))) for name in names}
    if only:
        return DeviceSet(rows, None)
    placed = [(_address(rows[name]), array.strides, array.shape) for name, array in zip(names, arrays, strict=True)]
    return DeviceSet(rows, cuda.to_device(block_words(placed)))


def as_rows(array: NDArray[Any]) -> NDArray[Any]:
    """The bytes of an array as (first axis, rest) whole numbers; one zero where it has none."""
    if array.size == 0:
        return np.zeros((1, 1), np.uint8)
    length = array.nbytes // len(array)
    size = next(size for size in _SIZES if length % size == 0)
    return np.frombuffer(array.tobytes(), f"u{size}").reshape(len(array), -1)


__all__ = ["DeviceSet", "as_array", "as_rows", "as_set", "launched", "on_device", "upload"]
