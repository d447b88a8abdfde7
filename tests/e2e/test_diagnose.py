"""Does `diagnose`, as its users run it, tell a healthy job of a real Flink from an ill one, and from no Flink?"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from exporter.demo import distribution, jobs
from exporter.demo.cluster import FlinkCluster
from exporter.demo.submit import SqlGateway
from tests.e2e.running import eventually, raw

pytestmark = pytest.mark.flink


@pytest.fixture(scope="module")
def flink() -> Iterator[FlinkCluster]:
    """One with a healthy job and one whose records are skewed."""
    with FlinkCluster(distribution.find(), taskmanagers=2) as cluster:
        with SqlGateway(cluster) as gateway:
            for job in (jobs.PAYMENTS, jobs.ORDERS):
                gateway.submit(job.name, job.statements(time.time()), job.options())
        eventually(lambda: checkpoints(cluster) >= 2, "checkpoints of all jobs")
        yield cluster


def checkpoints(cluster: FlinkCluster) -> int:
    """How many the job has completed that has the fewest."""
    ids = [job["id"] for job in raw(f"{cluster.rest_url}/jobs")["jobs"]]
    return min(int(raw(f"{cluster.rest_url}/jobs/{job}/checkpoints")["counts"]["completed"]) for job in ids)


class Diagnosed:
    """A run of the command, begun at once and waited for when it is asked for its end."""

    def __init__(self, cluster: FlinkCluster, *arguments: str) -> None:
        command = [sys.executable, "-m", "exporter", "diagnose", "--flink.url", cluster.rest_url, *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self) -> tuple[int, str, str]:
        """The code, and what was said on stdout and stderr."""
        out, err = self._process.communicate(timeout=60)
        return self._process.returncode, out, err


def test_the_ill_job_is_told_from_the_healthy_one_and_a_dead_cluster_from_both(flink: FlinkCluster) -> None:
    healthy, ill, whole, told = (
        Diagnosed(flink, *arguments)
        for arguments in (
            ["--job", "payments-healthy"],
            ["--job", "orders-skewed"],
            [],
            ["--job", "orders-skewed", "--output", "json"],
        )
    )

    code, out, err = healthy.end()
    assert (code, err) == (0, ""), out
    assert out.splitlines()[-1] == "healthy: payments-healthy"

    code, out, err = ill.end()
    assert (code, err) == (1, ""), out
    assert "orders-skewed  RUNNING" in out
    assert "Records are spread unevenly: one subtask gets 1.9 times the mean" in out

    code, out, err = whole.end()
    assert (code, err) == (1, ""), out
    assert out.splitlines()[2].startswith("default  Flink ")
    assert "healthy: payments-healthy" in out

    code, out, err = told.end()
    assert (code, err) == (1, "")
    (job,) = json.loads(out)["jobs"]
    assert "skew" in {finding["symptom"] for finding in job["findings"]}

    flink.kill_jobmanager()
    code, out, err = Diagnosed(flink).end()
    assert (code, out) == (3, "")
    refused = f"{flink.rest_url}/overview: connection refused; is Flink's REST endpoint there?"
    assert err == f"flink-health-exporter: cluster default: {refused}\n"
