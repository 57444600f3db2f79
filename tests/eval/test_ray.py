"""A cluster of two nodes on this machine: every job once, also when a node is killed half-way. Needs the extra `ray`."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.arguments import parse_workers
from eval.executors import choose_executor
from eval.ray_cluster import RayCluster
from eval.store import Store
from scenarios.errors import InputError
from tests.eval.cluster_jobs import badly, slowly, wrongly
from tests.eval.test_gate import call

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
MEMORY = 80 * 2**20


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": MEMORY}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.add_node(num_cpus=1, object_store_memory=MEMORY)
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_node_killed_half_way_loses_nothing_and_counts_nothing_twice(cluster: Any):
    cluster.wait_for_nodes()
    (other,) = cluster.worker_nodes
    found: list[tuple[int, str]] = []
    for done in RayCluster(cluster.address).run(slowly, range(16)):
        assert done.result is not None, done.failure
        found.append(done.result)
        if len(found) == 6:
            assert len({node for _, node in found}) == 2, "both nodes work"
            cluster.remove_node(other, allow_graceful=False)
    assert Counter(job for job, _ in found) == Counter(range(16))
    assert len({node for _, node in found[-4:]}) == 1


def test_a_job_whose_process_dies_is_lost_alone(cluster: Any):
    done = {one.job: one for one in RayCluster(cluster.address, hard_limit_s=4.0).run(badly, range(5))}
    assert {job for job, one in done.items() if one.result is None} == {2, 3}
    assert "died" in done[2].failure
    assert not done[2].out_of_time
    assert done[3].out_of_time
    with pytest.raises(InputError, match="is wrong"):
        list(RayCluster(cluster.address).run(wrongly, [1]))


def test_an_evaluation_on_a_cluster_comes_to_the_same(cluster: Any, tmp_path: Path):
    rows = []
    for name, workers in (("cluster", f"ray:{cluster.address}"), ("here", "1")):
        store = tmp_path / f"{name}.sqlite"
        call("eval", "merge", "--sensing", "state", "--seeds", "0..3", "--workers", workers, "--store", store, "--json")
        (run,) = Store(store).runs()
        rows.append([row["trace_hash"] for row in Store(store).rows(run.sets["rules"], run.seeds).values()])
    assert len(rows[0]) == 4
    assert rows[0] == rows[1]


def test_no_cluster_is_told():
    with pytest.raises(InputError, match="no Ray cluster"):
        list(RayCluster("127.0.0.1:1").run(slowly, [1]))
    with pytest.raises(InputError, match="cannot read workers"):
        parse_workers("rayon")
    assert isinstance(choose_executor("ray:auto", 3), RayCluster)
    assert json.dumps(parse_workers("ray")) == '"ray:"'
