"""A real Flink, from nothing to a running job and back to nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from exporter.demo import rest
from exporter.demo.cluster import FlinkCluster
from exporter.demo.distribution import find
from exporter.demo.errors import DemoError
from exporter.demo.jobs import ORDERS
from exporter.demo.submit import SqlGateway
from tests.demo.processes import gone


@pytest.mark.flink
def test_a_cluster_starts_runs_a_job_and_leaves_nothing() -> None:
    with FlinkCluster(find(), taskmanagers=1) as cluster:
        with SqlGateway(cluster) as gateway:
            job = gateway.submit(ORDERS.name, ORDERS.statements(time.time()), ORDERS.options())
            with pytest.raises(DemoError, match=r"^Flink does not take the job typo: .*Object 'nowhere' not found$"):
                gateway.submit("typo", ["SELECT * FROM nowhere"])
        assert _running(cluster, job)
        assert set(cluster.reporter_urls) == {"jobmanager", "taskmanager-1"}
        assert cluster.jobmanager
        pids = [cluster.jobmanager.pid, cluster.taskmanagers[0].pid]
        assert not any(gone(pid, within=0.1) for pid in pids)
    assert all(gone(pid) for pid in pids)
    assert not cluster.run_dir.exists()


@pytest.mark.flink
def test_a_process_that_does_not_start_is_said_with_its_log(tmp_path: Path) -> None:
    broken = {"taskmanager.memory.managed.size": "much"}
    with pytest.raises(DemoError) as error, FlinkCluster(find(), taskmanagers=1, config=broken, run_dir=tmp_path):
        pass
    assert str(error.value).startswith("taskmanager-1 ended with code ")
    assert error.value.log
    assert error.value.log.exists()
    assert "\n" not in str(error.value)


def _running(cluster: FlinkCluster, job: str, within: float = 60.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if rest.get(f"{cluster.rest_url}/jobs/{job}")["state"] == "RUNNING":
            return True
        time.sleep(0.2)
    return False
