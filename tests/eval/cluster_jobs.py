"""Jobs for tests on a cluster: a module of its own, since every node imports it."""

from __future__ import annotations

import os
import time

from scenarios.errors import InputError


def slowly(job: int) -> tuple[int, str]:
    """The job after half a second, and the node that did it."""
    import ray

    time.sleep(0.5)
    return job, ray.get_runtime_context().get_node_id()


def badly(job: int) -> int:
    """Jobs 2 and 3 do not come back: one dies, the other hangs."""
    if job == 2:
        os._exit(3)
    if job == 3:
        time.sleep(600.0)
    return job


def wrongly(job: int) -> int:
    """No job is right."""
    raise InputError(f"job {job} is wrong", fix="Give another")
