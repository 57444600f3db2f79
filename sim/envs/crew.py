"""Threads that each do a part of a step beside the thread that asks for it.

A step of a small batch takes less time than `concurrent.futures` takes to hand work over and to hear that it is done. Here a
thread waits at a queue for a call, which releases the interpreter's lock, and puts what came of it into another.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any

_Answers = SimpleQueue[tuple[int, BaseException | None]]
_Jobs = SimpleQueue[tuple[Callable[[], int], _Answers] | None]


def _work(jobs: _Jobs) -> None:
    while (job := jobs.get()) is not None:
        call, answers = job
        try:
            answers.put((call(), None))
        except BaseException as error:  # for whoever asked, who raises it
            answers.put((0, error))
        del job, call, answers  # what they hold may go before the next call comes


def _dismiss(jobs: _Jobs, threads: int) -> None:
    for _ in range(threads):
        jobs.put(None)


class Crew:
    """`others` threads; they end when it is closed or nobody holds it any more."""

    def __init__(self, others: int) -> None:
        self._jobs: _Jobs = SimpleQueue()
        for number in range(others):
            Thread(target=_work, args=(self._jobs,), name=f"avstack-worlds-{number + 1}", daemon=True).start()
        self.close: Any = weakref.finalize(self, _dismiss, self._jobs, others)

    def run(self, calls: Sequence[Callable[[], int]]) -> int:
        """Sum of what the calls give, the first of them made by this thread; an error of any is raised when all have ended."""
        answers: _Answers = SimpleQueue()
        if not self.close.alive:  # its threads have gone
            return sum(call() for call in calls)
        for call in calls[1:]:
            self._jobs.put((call, answers))
        try:
            total = calls[0]()
        finally:
            others = [answers.get() for _ in calls[1:]]
        for given, error in others:
            if error is not None:
                raise error
            total += given
        return total
