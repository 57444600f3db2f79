"""Compiling every kernel before the first episode, on two cores.

numba compiles at first use. On a machine that has never run a world that is most of a minute; two processes that share the cache
on disk need half a minute. Once done, a mark beside the kernels says so, and later starts skip all this.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numba
from numba.core import types

from sim import kernels, trigonometry, world
from sim.interface import OBJECT_DTYPE
from sim.jit import CACHE_ROOT, sources_digest
from sim.parts import Unit
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.pack import Roads
from sim.sensors import state as sensors
from sim.state import CONTROL_DTYPE, WorldState
from sim.traffic import curves, driver, rules

_INT = types.int64
_CONTROLS = types.Array(numba.from_dtype(CONTROL_DTYPE), 2, "C")
_STATE: types.Type = getattr(WorldState, "_numba_type_")  # noqa: B009  set by sim.tables.share
_ROADS: types.Type = getattr(Roads, "_numba_type_")  # noqa: B009


def _compile(function: Callable[..., object], *arguments: types.Type) -> None:
    getattr(function, "compile")(arguments)  # noqa: B009  a numba dispatcher, unknown to mypy


def _compile_driver() -> None:
    """The drivers of the traffic."""
    getattr(driver.drive, "load")()  # noqa: B009  a sim.parts.Unit, which its decorator's annotation hides


def _compile_rest() -> None:
    """The tick but for its drivers, what it shows, the driver by itself, and the map's own kernels, by assembling a small one."""
    Unit.callable_here = False
    _compile(kernels.step_worlds, _STATE, _ROADS, types.float64[:, ::1], _CONTROLS, _INT, _INT)
    _compile(rules.think, _STATE, _ROADS, _INT, _INT)
    _compile(world._observe, _STATE, _ROADS, _INT, _INT, types.float32[:, :, ::1])
    _compile(curves.fill_curve_room, _ROADS)
    _compile(sensors.collect_objects, _STATE, _INT, _INT, types.float64, types.Array(numba.from_dtype(OBJECT_DTYPE), 1, "C"))
    _compile(sensors.read_signals, _ROADS, _INT, _INT, types.int32[::1])
    _compile(trigonometry.sincos, types.float64)
    assemble(BUILDERS["t_junction"]())


PARTS: Mapping[str, Callable[[], None]] = {"driver": _compile_driver, "rest": _compile_rest}


def _mark() -> Path | None:
    """File that says that these very kernels are compiled."""
    if CACHE_ROOT is None:
        return None
    return CACHE_ROOT / f"warm-{sources_digest(Path(rules.__file__).resolve())}"


def is_warm() -> bool:
    """Whether the kernels of this version were compiled before (always True where nothing can be kept)."""
    mark = _mark()
    return mark is None or mark.exists()


def warm_up() -> None:
    """Compile what is not compiled yet: the traffic's drivers here, the rest in a process beside; then mark it done."""
    mark = _mark()
    if mark is None or mark.exists():
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    beside = [subprocess.Popen([sys.executable, "-m", "sim.warm", name], env=environment) for name in PARTS if name != "driver"]
    try:
        PARTS["driver"]()
    finally:
        failed = [process.args for process in beside if process.wait() != 0]
    if not failed:
        mark.touch()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        PARTS[name]()
    if not sys.argv[1:]:
        warm_up()
