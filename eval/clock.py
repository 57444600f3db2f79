"""The wall-clock limit of an episode, which also ends a driver that hangs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

from eval.errors import TimeLimitReached

_P = ParamSpec("_P")
_R = TypeVar("_R")
_REPEAT_S = 0.25
"""The alarm repeats: a driver may swallow the first one."""


class WallClock:
    """Context manager that limits what happens inside it to `limit_s` seconds; None: no limit.

    The alarm interrupts only calls made through `guard`, so that our own files and arrays are never left half-written. Where
    alarms do not exist (another thread, another system) `check` still ends the episode between two ticks.
    """

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._until = float("inf")
        self._inside = False
        self._alarms = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        self._previous: object = None

    def __enter__(self) -> WallClock:
        if self._limit_s is not None:
            self._until = time.monotonic() + self._limit_s
            if self._alarms:
                self._previous = signal.signal(signal.SIGALRM, self._ring)
                signal.setitimer(signal.ITIMER_REAL, self._limit_s, _REPEAT_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._limit_s is not None and self._alarms:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, self._previous if callable(self._previous) else signal.SIG_DFL)

    def guard(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call `function`; raise TimeLimitReached out of it when the time is up."""
        self._inside = True
        try:
            return function(*args, **kwargs)
        finally:
            self._inside = False

    def check(self) -> None:
        """Raise TimeLimitReached when the time is up."""
        if time.monotonic() >= self._until:
            raise TimeLimitReached(f"more than {self._limit_s:g} s of wall-clock time")

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._inside:
            self.check()
