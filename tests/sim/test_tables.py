"""Sets of arrays as one pointer: reading and writing equal numpy, wrong use does not compile, bounds can be checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError
from numpy.typing import NDArray

from sim.jit import kernel, unit
from sim.tables import share

CELL = np.dtype([("mass", "f8"), ("count", "i4"), ("slots", "i4", (3,))], align=True)


class Shelf(NamedTuple):
    """Arrays of every number of dimensions, numbers and records."""

    cells: NDArray[np.void]
    numbers: NDArray[np.float32]
    cube: NDArray[np.int16]
    flags: NDArray[np.uint8]


share(Shelf, {"cells": (CELL, 2), "numbers": (np.dtype("f4"), 1), "cube": (np.dtype("i2"), 3), "flags": (np.dtype("u1"), 2)})


def shelf() -> Shelf:
    draw = np.random.default_rng(4)
    cells = np.zeros((4, 5), CELL)
    cells["mass"], cells["count"] = draw.normal(size=(4, 5)), draw.integers(-9, 9, (4, 5))
    cells["slots"] = draw.integers(-9, 9, (4, 5, 3))
    return Shelf(
        cells,
        draw.normal(size=7).astype("f4"),
        draw.integers(-99, 99, (3, 4, 6)).astype("i2"),
        draw.integers(0, 2, (2, 9)).astype("u1"),
    )


@kernel
def read(shelf: Shelf, i: int, j: int, k: int) -> tuple[float, int, int, float, int, int]:
    """Every kind of look-up."""
    cell = shelf.cells[i, j]
    return cell.mass, cell.count, cell.slots[k % 3], shelf.numbers[j], shelf.cube[i % 3, j % 4, k], shelf.flags[i % 2, k]


@kernel
def read_by_parts(shelf: Shelf, i: int, j: int, k: int) -> tuple[float, int]:
    """Rows first."""
    row = shelf.cells[i]
    return row[j].mass, shelf.cube[i % 3][j % 4][k]


@kernel
def write(shelf: Shelf, i: int, j: int, k: int, value: float) -> None:
    """Every kind of assignment."""
    cell = shelf.cells[i, j]
    cell.mass = value
    cell.slots[k % 3] += 7
    shelf.numbers[j] = value
    row = shelf.cube[i % 3, j % 4]
    row[k] = 5
    shelf.flags[i % 2, k] = 1


@kernel
def shapes(shelf: Shelf) -> tuple[int, int, int, int]:
    """Lengths of tables and of what is left of them after some indices."""
    return shelf.cells.shape[0], shelf.cells[0].shape[0], shelf.cube.shape[2], shelf.cube[0, 0].shape[0]


@kernel
def too_many(shelf: Shelf) -> float:
    """Three indices into two dimensions."""
    return shelf.flags[0, 0, 0]


@kernel
def too_few(shelf: Shelf) -> float:
    """A row as if it were a number."""
    return shelf.flags[0] + 1.0


@kernel
def sliced(shelf: Shelf) -> float:
    """Slices do not exist."""
    return shelf.numbers[1:3][0]


@kernel
def by_float(shelf: Shelf) -> float:
    """A fraction as an index."""
    return shelf.numbers[0.5]  # type: ignore[call-overload]


@kernel
def unknown(shelf: Shelf) -> float:
    """A name that is not there."""
    return shelf.nothing[0]  # type: ignore[attr-defined]


@kernel
def row_assigned(shelf: Shelf) -> None:
    """One number into a whole row."""
    shelf.flags[0] = 1


PLACES = st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 5))


def expected(of: Shelf, i: int, j: int, k: int) -> tuple[float, ...]:
    cell = of.cells[i, j]
    return cell["mass"], cell["count"], cell["slots"][k % 3], of.numbers[j], of.cube[i % 3, j % 4, k], of.flags[i % 2, k]


@given(PLACES)
def test_reading(place):
    of = shelf()
    assert read(of, *place) == expected(of, *place)
    i, j, k = place
    assert read_by_parts(of, *place) == (of.cells["mass"][i, j], of.cube[i % 3, j % 4, k])


def test_arrays_with_gaps_are_refused():
    whole = shelf()
    for views in (
        whole._replace(cells=np.repeat(whole.cells, 2, axis=1)[:, ::2]),
        whole._replace(numbers=np.repeat(whole.numbers, 3)[::3]),
        whole._replace(cube=whole.cube.transpose(2, 1, 0).copy().transpose(2, 1, 0)),
        whole._replace(flags=whole.flags[:, ::-1]),
    ):
        with pytest.raises(ValueError, match="arrays of Shelf must be C-contiguous"):
            read(views, 0, 0, 0)
    assert read(whole._replace(cells=whole.cells[1:3]), 1, 2, 3) == expected(whole._replace(cells=whole.cells[1:3]), 1, 2, 3)


@kernel
def stored_between(shelf: Shelf, i: int, j: int) -> tuple[float, float, int, int]:
    """Reads around stores to the same field through another index, which may be the same place."""
    one, two = shelf.cells[0, i], shelf.cells[0, j]
    before, counted = one.mass, one.count
    two.mass = before + 1.0
    two.count = counted + 1
    return before, one.mass, counted, one.count


def test_a_store_is_seen_through_every_name_of_its_place():
    of = shelf()
    mass, count = of.cells["mass"][0, 2], of.cells["count"][0, 2]
    assert stored_between(of, 2, 3) == (mass, mass, count, count)
    assert stored_between(of, 2, 2) == (mass, mass + 1.0, count, count + 1)


@unit(Shelf, int)
def bump(shelf: Shelf, i: int) -> None:
    """A piece of code of its own."""
    shelf.numbers[i] += 1.0


@kernel
def bump_all(shelf: Shelf) -> None:
    """Calls it."""
    for i in range(shelf.numbers.shape[0]):
        bump(shelf, i)


@kernel
def bump_by_float(shelf: Shelf) -> None:
    """Not what the unit is compiled for."""
    bump(shelf, 0.5)  # type: ignore[arg-type]


def test_a_unit_does_the_same_called_from_python_and_from_kernels():
    of = shelf()
    before = of.numbers.copy()
    bump_all(of)
    assert (of.numbers == before + 1).all()
    bump(of, 2)
    assert of.numbers[2] == before[2] + 1 + 1
    with pytest.raises((TypingError, TypeError), match="compiled for"):
        bump_by_float(of)


@given(PLACES, st.floats(-1e3, 1e3, width=32))
def test_writing(place, value):
    i, j, k = place
    by_kernel, by_numpy = shelf(), shelf()
    write(by_kernel, i, j, k, value)
    by_numpy.cells["mass"][i, j] = value
    by_numpy.cells["slots"][i, j, k % 3] += 7
    by_numpy.numbers[j] = value
    by_numpy.cube[i % 3, j % 4, k] = 5
    by_numpy.flags[i % 2, k] = 1
    for name in by_kernel._fields:
        assert getattr(by_kernel, name).tobytes() == getattr(by_numpy, name).tobytes()


def test_shapes():
    assert shapes(shelf()) == (4, 5, 6, 6)


@pytest.mark.parametrize("wrong", [too_many, too_few, sliced, by_float, unknown, row_assigned], ids=lambda one: one.__name__)
def test_wrong_use_does_not_compile(wrong):
    with pytest.raises(TypingError):
        wrong(shelf())


def test_fields_must_be_described_in_order():
    with pytest.raises(ValueError, match=r"fields of Shelf are \('cells', .* got \('numbers',\)"):
        share(Shelf, {"numbers": (np.dtype("f4"), 1)})


CHECKED = """
import numpy as np
from typing import NamedTuple
from sim.jit import kernel, unit
from sim.tables import share

class Row(NamedTuple):
    numbers: np.ndarray
    table: np.ndarray

share(Row, {"numbers": (np.dtype("f8"), 1), "table": (np.dtype("i4"), 2)})

@kernel
def read(row: Row, i: int) -> float:
    return row.numbers[i]

@kernel
def outer(row: Row, i: int, j: int) -> float:
    return read(row, 0) + row.table[i, j]

@kernel
def write(row: Row, i: int) -> None:
    row.table[1, i] = 3

row = Row(np.arange(3.0), np.ones((2, 4), np.int32))
print(read(row, 2), outer(row, 1, 3))
for wrong, *places in ((read, 3), (read, -1), (outer, 2, 0), (outer, 0, 4), (write, 4)):
    try:
        print("no error", wrong(row, *places))
    except IndexError as error:
        print(error)
"""


def test_bounds_are_checked_on_demand(tmp_path: Path):
    script = tmp_path / "checked.py"
    script.write_text(CHECKED)
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "PYTHONPATH": root, "AVSTACK_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "2.0 1.0"
    assert [line.partition(" of Table")[0] for line in lines[1:]] == [
        f"index out of bounds on axis {axis}" for axis in (0, 0, 0, 1, 1)
    ]
