"""What a run can end with, and the errors of a driver under test. Bad input is `scenarios.errors.InputError`."""

from __future__ import annotations

import traceback
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command of `avstack`."""

    OK = 0
    CRITERIA_FAILED = 1
    BAD_INPUT = 2
    DRIVER_CRASHED = 3
    TIME_LIMIT = 4
    INTERRUPTED = 130


class DriverError(RuntimeError):
    """The system under test broke its contract: it raised, or returned something that is not a decision."""


class TimeLimitReached(BaseException):
    """The wall-clock limit of an episode has passed. Not an `Exception`: a driver's `except Exception` lets it through."""


def describe_exception(error: BaseException) -> str:
    """One line: type, message, and the file and line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    message = str(error).strip().splitlines()
    return f"{type(error).__name__}: {message[0]}{place}" if message else f"{type(error).__name__}{place}"
