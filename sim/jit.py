"""One wrapper around numba for every kernel of the package.

Compiled code is cached on disk. numba does not notice an edited callee in another file, so the cache folder is keyed on a
hash of all kernel sources; where no folder is writable the kernels compile in memory and everything still works.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _sources_digest() -> str:
    """Hash of every Python source of `sim`: any edit gives the compiled kernels a new home."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
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


def _cache_folder() -> Path | None:
    """First writable place for compiled kernels, or None."""
    bounds = "bounds" if os.environ.get("NUMBA_BOUNDSCHECK") == "1" else "plain"
    name = f"{_sources_digest()}-{bounds}"
    for find in (_user_cache, _own_temporary_folder):
        home = find()
        if home is not None and _writable(home / "avstack" / "kernels" / name):
            return home / "avstack" / "kernels" / name
    return None


CACHE_FOLDER = _cache_folder()
if CACHE_FOLDER is not None:
    os.environ["NUMBA_CACHE_DIR"] = str(CACHE_FOLDER)

import numba  # noqa: E402  the cache folder must be in the environment before numba reads it

# Somebody else may have imported numba already; its configuration is then fixed but for this assignment.
setattr(numba.config, "CACHE_DIR", str(CACHE_FOLDER or ""))  # noqa: B010  numba makes its options at run time, unknown to mypy
if CACHE_FOLDER is None:
    warnings.warn(
        "no folder is writable for compiled kernels; set AVSTACK_CACHE_DIR to avoid compiling at every start", stacklevel=2
    )


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile `function` with numba: releases the GIL, no fast-math, no Python fallback, cached on disk."""
    compiled: Callable[_P, _R] = numba.njit(cache=CACHE_FOLDER is not None, nogil=True, fastmath=False)(function)
    return compiled
