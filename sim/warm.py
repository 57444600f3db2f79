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

_ENVIRONMENTS = Path(__file__).parent / "envs" / "core.py"
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
    _compile(kernels.step_worlds, _STATE, _ROADS, types.float64[:, ::1], _CONTROLS, _INT, _INT)
    _compile(rules.think, _STATE, _ROADS, _INT, _INT)
    _compile(world._observe, _STATE, _ROADS, _INT, _INT, types.float32[:, :, ::1])
    _compile(curves.fill_curve_room, _ROADS)
    _compile(sensors.collect_objects, _STATE, _INT, _INT, types.float64, types.Array(numba.from_dtype(OBJECT_DTYPE), 1, "C"))
    _compile(sensors.read_signals, _ROADS, _INT, _INT, types.int32[::1])
    _compile(trigonometry.sincos, types.float64)
    assemble(BUILDERS["t_junction"]())


def _compile_environments() -> None:
    """The steps and resets of `sim.envs`."""
    from sim.envs import actions, core, stock
    from sim.envs.agents import Agents

    agents: types.Type = getattr(Agents, "_numba_type_")  # noqa: B009
    worlds, view = (_STATE, _ROADS), (types.float32[:, :, ::1], types.float32[::1], _INT, _INT, types.float64)
    controls = types.Array(numba.from_dtype(CONTROL_DTYPE), 2, "C")
    _compile(core._advance, *worlds, types.float64[:, ::1], controls, agents, _INT, _INT, _INT, _INT, *view)
    _compile(core._show, *worlds, agents, _INT, _INT, *view)
    _compile(actions.first_bad, agents, _INT)
    slots, limits, floats = types.int32[:, ::1], types.int32[::1], types.float32[::1]
    _compile(core._begin, agents, slots, limits, floats, limits, types.float32[:, ::1], _INT, _INT)
    _compile(stock._prepare, *worlds, slots)


PARTS: Mapping[str, Callable[[], None]] = {"driver": _compile_driver, "rest": _compile_rest}
ENVIRONMENTS: Mapping[str, Callable[[], None]] = {"environments": _compile_environments}


def _mark(environments: bool = False) -> Path | None:
    """File that says that these very kernels are compiled: those of worlds, or those of environments."""
    if CACHE_ROOT is None:
        return None
    source = (_ENVIRONMENTS if environments else Path(rules.__file__)).resolve()
    return CACHE_ROOT / f"warm-{source.stem}-{sources_digest(source)}"


def is_warm() -> bool:
    """Whether the kernels of this version were compiled before (always True where nothing can be kept)."""
    mark = _mark()
    return mark is None or mark.exists()


def warm_up(*, environments: bool = False) -> None:
    """Compile what is not compiled yet: the traffic's drivers here, the rest in processes beside; then mark it done.

    environments: also the kernels of `sim.envs`, which take as long again, and which a run has no use for.
    """
    known = {_mark(): PARTS, _mark(environments=True): ENVIRONMENTS if environments else {}}
    wanted = {mark: parts for mark, parts in known.items() if mark is not None and parts and not mark.exists()}
    names = [name for parts in wanted.values() for name in parts]
    if not names:
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    others = [name for name in names if name != "driver"]
    beside = [subprocess.Popen([sys.executable, "-m", "sim.warm", name], env=environment) for name in others]
    try:
        if "driver" in names:
            PARTS["driver"]()
    finally:
        failed = [process.args for process in beside if process.wait() != 0]
    if not failed:
        for mark in wanted:
            mark.touch()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Unit.callable_here = False  # what is compiled here is for others to run
        {**PARTS, **ENVIRONMENTS}[name]()
    if not sys.argv[1:]:
        warm_up(environments=True)
