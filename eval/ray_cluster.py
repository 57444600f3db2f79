"""Jobs on a Ray cluster, behind the same interface as the process pool: needs the extra `ray`, and avstack on every node.

Only results travel: whoever asked keeps them, so nodes need no common folder. A job on a node that dies is given to another; what
had been done is not done again, for each job's first answer is the one that counts. A job whose process dies is lost alone, as in
the pool.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from eval.executors import Done
from scenarios.errors import InputError

_J = TypeVar("_J")
_R = TypeVar("_R")
_POLL_S = 1.0
_KNOCK_S = 5.0


class RayCluster:
    """A cluster at an address as `ray.init` takes it: `auto`, HOST:PORT, or ray://HOST:PORT; empty: one on this machine."""

    def __init__(self, address: str, hard_limit_s: float | None = None) -> None:
        self._address = address
        self._hard_limit_s = hard_limit_s

    def run(self, work: Callable[[_J], _R], jobs: Sequence[_J]) -> Iterator[Done[_J, _R]]:
        """Results as they come. InputError where there is no Ray, or no cluster at the address."""
        ray = _connected(self._address)
        remote = ray.remote(num_cpus=1, max_retries=0)(_limited)
        given = ray.put(work)
        waiting: deque[int] = deque(range(len(jobs)))
        running: dict[Any, tuple[int, float]] = {}
        try:
            while waiting or running:
                # as many as there are cores, so that what is handed out also runs; nodes come and go
                cores = max(int(ray.cluster_resources().get("CPU", 1)), 1)
                while waiting and len(running) < cores:
                    index = waiting.popleft()
                    running[remote.remote(given, jobs[index], self._hard_limit_s)] = index, time.monotonic()
                ready, _ = ray.wait(list(running), num_returns=1, timeout=_POLL_S)
                for reference in ready:
                    index, since = running.pop(reference)
                    late = self._hard_limit_s is not None and time.monotonic() - since >= self._hard_limit_s
                    done: Done[_J, _R] | None = _collected(ray, reference, jobs[index], late)
                    if done is None:
                        waiting.appendleft(index)
                    else:
                        yield done
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _connected(address: str) -> Any:
    """The `ray` module, connected."""
    try:
        import ray
    except ImportError:
        raise InputError("a Ray cluster needs Ray", fix="pip install 'avstack-sim[ray]', or use --workers 2") from None
    if ray.is_initialized():
        return ray
    try:
        _knock(address)
        ray.init(address=address or "local", log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"no Ray cluster at {address!r}: {line}", fix="Start one with ray start --head") from None
    return ray


def _knock(address: str) -> None:
    """OSError where nobody answers at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()


def _limited(work: Callable[[_J], _R], job: _J, hard_limit_s: float | None) -> tuple[bool, object]:
    """On a node: whether the work went well, and its result or what it raised. What ignores its own limit ends its process."""
    if hard_limit_s is not None:
        end = threading.Timer(hard_limit_s, os._exit, (1,))
        end.daemon = True
        end.start()
    try:
        return True, work(job)
    except Exception as error:  # handed over to whoever asked, who raises it
        return False, error
    finally:
        if hard_limit_s is not None:
            end.cancel()


def _collected(ray: Any, reference: object, job: _J, late: bool) -> Done[_J, Any] | None:
    """What became of a job; None where its node died, so that another has to do it. late: it has had all its time."""
    try:
        good, answer = ray.get(reference)
    except (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError):
        return None
    except ray.exceptions.WorkerCrashedError:
        failure = "its process did not answer and was ended" if late else "its process died on the cluster"
        return Done(job=job, result=None, failure=failure, out_of_time=late)
    if not good:
        raise answer
    return Done(job=job, result=answer)
