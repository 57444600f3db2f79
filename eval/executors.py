"""Where jobs run: in this process, or in a pool of fresh ones. Results come in as they are ready; nothing finished is lost."""

from __future__ import annotations

import faulthandler
import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, Protocol, TypeVar

from eval.arguments import RAY, Workers

_J = TypeVar("_J")
_R = TypeVar("_R")
_POLL_S = 1.0
AUTO_POOL_JOBS = 8
"""Jobs from which starting processes pays."""
HARD_LIMIT_SLACK_S = 60.0
"""Beyond twice the time limits: what a worker may need to start and to compile before it is taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[_J, _R]):
    """A finished job: its result, or None and why its process died. out_of_time: it was ended for not answering."""

    job: _J
    result: _R | None
    failure: str = ""
    out_of_time: bool = False


class Executor(Protocol):
    """Runs `work` on each job and yields each as it is done, in any order; what `work` raises is raised here."""

    def run(self, work: Callable[[_J], _R], jobs: Sequence[_J]) -> Iterator[Done[_J, _R]]:
        """Results as they come. Closing the iterator early ends what still runs."""
        ...


class InProcess:
    """One job after another, here."""

    def run(self, work: Callable[[_J], _R], jobs: Sequence[_J]) -> Iterator[Done[_J, _R]]:
        """Results in the order of the jobs."""
        for job in jobs:
            yield Done(job=job, result=work(job))


@dataclass(slots=True)
class _Worker:
    """A process, our end of its pipe, and the job it has since when."""

    process: BaseProcess
    pipe: Connection
    index: int = -1
    since: float = math.inf


class ProcessPool:
    """Spawned worker processes, one job at a time each. A worker that dies costs its job alone and is replaced.

    hard_limit_s: a worker that has not answered for so long is killed; it is the last resort for code that ignores its own limit.
    """

    def __init__(self, workers: int, hard_limit_s: float | None = None) -> None:
        if workers < 1:
            raise ValueError(f"a pool needs at least one worker, got {workers}")
        self._workers = workers
        self._hard_limit_s = hard_limit_s

    def run(self, work: Callable[[_J], _R], jobs: Sequence[_J]) -> Iterator[Done[_J, _R]]:
        """Results in the order in which they are ready."""
        waiting = deque(range(len(jobs)))
        pool: list[_Worker] = []
        try:
            pool.extend(_start(work) for _ in range(min(self._workers, len(jobs))))
            for worker in pool:
                _hand_out(worker, waiting, jobs)
            while any(worker.index >= 0 for worker in pool):
                for slot in self._ready(pool):
                    worker = pool[slot]
                    done: Done[_J, _R] | None = _collect(worker, jobs[worker.index], self._overdue(worker))
                    if done is None:
                        continue
                    if done.failure and waiting:
                        _stop([worker])
                        pool[slot] = _start(work)
                    worker.index = -1
                    if waiting:
                        _hand_out(pool[slot], waiting, jobs)
                    yield done
        finally:
            _stop(pool)

    def _ready(self, pool: list[_Worker]) -> list[int]:
        """Slots of the busy workers that have answered, died, or are overdue."""
        busy = [slot for slot, worker in enumerate(pool) if worker.index >= 0]
        answered = wait([pool[slot].pipe for slot in busy], timeout=_POLL_S)
        return [slot for slot in busy if pool[slot].pipe in answered or self._overdue(pool[slot])]

    def _overdue(self, worker: _Worker) -> bool:
        return self._hard_limit_s is not None and time.monotonic() - worker.since > self._hard_limit_s


def hard_limit(time_limit_s: float | None, episodes: int = 1) -> float | None:
    """How long a job of so many episodes may stay without an answer; None without a time limit."""
    return None if time_limit_s is None else 2.0 * episodes * time_limit_s + HARD_LIMIT_SLACK_S


def choose_executor(workers: Workers, jobs: int, hard_limit_s: float | None = None) -> Executor:
    """Where to run so many jobs: `workers` processes, or for None as many as there are cores once that pays, or a cluster."""
    if isinstance(workers, str):
        from eval.ray_cluster import RayCluster

        return RayCluster(workers if workers.startswith(f"{RAY}//") else workers.removeprefix(RAY), hard_limit_s)
    if workers is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = cores if jobs >= AUTO_POOL_JOBS else 1
    workers = min(workers, jobs)
    return InProcess() if workers <= 1 else ProcessPool(workers, hard_limit_s)


def _start(work: Callable[[_J], _R]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()  # else we would hold the pipe open after the worker's death, and never hear of it
    return _Worker(process=process, pipe=ours)


def _serve(pipe: Connection, work: Callable[[_J], _R]) -> None:
    """The worker: a job in, (None, None) and then (True, result) or (False, exception) out, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    faulthandler.enable()  # where a process dies of a signal is said on its stderr
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((None, None))
            answer: tuple[bool, object] = (True, work(job))
        except Exception as error:  # handed over to the parent, which raises it
            answer = (False, error)
        pipe.send(answer)


def _hand_out(worker: _Worker, waiting: deque[int], jobs: Sequence[_J]) -> None:
    index = waiting.popleft()
    worker.index, worker.since = index, math.inf  # its clock starts when it says that it has begun
    try:
        worker.pipe.send(jobs[index])
    except (BrokenPipeError, ConnectionResetError):
        return  # it has died: the pipe's end is reported as ready, and `_collect` tells


def _collect(worker: _Worker, job: _J, overdue: bool) -> Done[_J, _R] | None:
    """What became of the job of a worker that has something to say, or None where it has only begun."""
    if not worker.pipe.poll() and overdue:
        worker.process.kill()
        worker.process.join()
        return Done(job=job, result=None, failure="its process did not answer and was ended", out_of_time=True)
    try:
        good, answer = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        return Done(job=job, result=None, failure=f"its process died ({_exit_reason(worker.process.exitcode)})")
    if good is None:
        worker.since = time.monotonic()
        return None
    if not good:
        raise answer
    return Done(job=job, result=answer)


def _exit_reason(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}" if -code in {entry.value for entry in signal.Signals} else f"signal {-code}"
    return f"exit code {code}"


def _stop(pool: list[_Worker]) -> None:
    """End all workers: idle ones see the closed pipe, busy ones are terminated."""
    for worker in pool:
        worker.pipe.close()
        if worker.index >= 0:
            worker.process.terminate()
    for worker in pool:
        worker.process.join(timeout=5.0)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()
