"""One wrapper around numba for every kernel of the package.

Compiled code is cached on disk. numba does not notice an edited callee in another file, so each source file's kernels live in a
folder keyed on a hash of that file and of all it imports; where no folder is writable the kernels compile in memory and
everything still works.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import types

from sim.parts import Kernel, Unit

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Names end with the line or with the closing bracket: one import must not swallow the next. (Parsing would cost 0.1 s a start.)
_IMPORT = re.compile(
    r"^[ \t]*(?:from|import)[ \t]+((?:sim|avstack)(?:\.\w+)*)(?:[ \t]+import[ \t]+(?:\(([^)]*)\)|([^(\n#]+)))?", re.MULTILINE
)


@functools.cache
def imported_files(path: Path) -> frozenset[Path]:
    """Files of `sim` and `avstack` that a source file imports by name."""
    root = Path(__file__).parent.parent
    found: set[Path] = set()
    for module, bracketed, plain in _IMPORT.findall(path.read_text(encoding="utf-8")):
        place = root.joinpath(*module.split("."))
        named = [words[0] for words in map(str.split, (bracketed or plain).split(",")) if words]
        for stem in (place, *(place / name for name in named)):
            found.update(file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file())
    return frozenset(found)


@functools.cache
def _sources(path: Path) -> frozenset[Path]:
    """A source file and every file of `sim` and `avstack` that it imports, directly or not."""
    files = {path}
    front = [path]
    while front:
        new = imported_files(front.pop()) - files
        files |= new
        front.extend(new)
    return frozenset(files)


@functools.cache
def sources_digest(path: Path) -> str:
    """Hash of a source file and of everything of `sim` and `avstack` that it imports, directly or not."""
    digest = hashlib.sha256()
    for file in sorted(_sources(path)):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _user_cache() -> Path | None:
    """The folder this user chose, or the desktop standard's; None for a user without a home."""
    chosen = os.environ.get("AVSTACK_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(chosen).expanduser()
    except RuntimeError:
        return None


def _own_temporary_folder() -> Path | None:
    """A folder of ours alone under the shared temporary one: compiled code is loaded from it, so nobody else may own it."""
    user = os.getuid() if hasattr(os, "getuid") else None
    try:
        folder = Path(tempfile.gettempdir()) / f"avstack-{user}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if user is None or folder.stat().st_uid == user else None
    except OSError:
        return None


def _cache_root() -> Path | None:
    """First writable place for compiled kernels, or None."""
    bounds = "bounds" if CHECKED else "plain"
    for find in (_user_cache, _own_temporary_folder):
        home = find()
        if home is not None and _writable(home / "avstack" / "kernels" / bounds):
            return home / "avstack" / "kernels" / bounds
    return None


CHECKED = os.environ.get("NUMBA_BOUNDSCHECK") == "1"
CACHE_ROOT = _cache_root()
if CACHE_ROOT is None:
    warnings.warn(
        "no folder is writable for compiled kernels; set AVSTACK_CACHE_DIR to avoid compiling at every start", stacklevel=2
    )


def cache_folder(source: Path) -> Path | None:
    """Where the compiled kernels of one source file live: a new place whenever it, or anything of ours it imports, changes."""
    return None if CACHE_ROOT is None else CACHE_ROOT / f"{source.stem}-{sources_digest(source)}"


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile `function` with numba: releases the GIL, no fast-math, no Python fallback, cached on disk.

    It may not make arrays: without them numba need not count references, which costs more than most kernels' own work.
    """
    return _compile(function, allocates=False)


def allocating_kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """As `kernel`, for set-up code that makes arrays of its own."""
    return _compile(function, allocates=True)


_UNITS: list[Unit] = []


def unit(*arguments: type) -> Callable[[Callable[_P, None]], Callable[_P, None]]:
    """As `kernel`, for a function that others call and that is compiled once, by itself, for all of them.

    arguments: their types, `int`, `float` or a tuple of arrays known to `sim.tables.share`. It returns nothing.
    """
    known = {int: types.int64, float: types.float64}
    kinds = tuple(known.get(one) or getattr(one, "_numba_type_") for one in arguments)  # noqa: B009  set by share

    def make(function: Callable[_P, None]) -> Callable[_P, None]:
        made = _compile(function, allocates=False, kinds=kinds)
        _UNITS.append(cast("Unit", made))
        return made

    return make


def entry_point(function: Callable[..., _R], *arguments: object) -> Callable[..., _R]:
    """The compiled code of a kernel for arguments like these, without numba's dispatch on their types (10 µs a call).

    Call it only with arguments of the very same types: nothing checks them any more.
    """
    compiler: Any = numba
    dispatcher: Any = function
    kinds = tuple(compiler.typeof(argument) for argument in arguments)
    dispatcher.compile(kinds)
    compiled: Callable[..., _R] = dispatcher.overloads[kinds].entry_point
    return compiled


def _compile(function: Callable[_P, _R], *, allocates: bool, kinds: tuple[Any, ...] | None = None) -> Callable[_P, _R]:
    source = Path(function.__code__.co_filename).resolve()
    folder = cache_folder(source)
    elsewhere: str = getattr(numba.config, "CACHE_DIR")  # noqa: B009  as in _set_numba_cache

    def units() -> tuple[Unit, ...]:
        return tuple(one for one in _UNITS if one.source in _sources(source))

    # numba reads the folder when a function asks for caching; other users of numba in this process keep theirs.
    _set_numba_cache(str(folder) if folder is not None else elsewhere)
    try:
        # Divisions by zero raise where indices are checked as well; elsewhere the checks cost more than the divisions.
        options = {
            "nopython": True, "nogil": True, "fastmath": False, "no_cfunc_wrapper": True, "_nrt": allocates, "boundscheck": None,
            "error_model": "python" if CHECKED else "numpy",
        }  # fmt: skip
        compiled: Any = Kernel(function, options, units) if kinds is None else Unit(function, options, units, kinds)
        if folder is not None:
            compiled.enable_caching()
    finally:
        _set_numba_cache(elsewhere)
    result: Callable[_P, _R] = compiled
    return result


def _set_numba_cache(folder: str) -> None:
    setattr(numba.config, "CACHE_DIR", folder)  # noqa: B010  numba makes its options at run time, unknown to mypy
