"""Does Alertmanager silence what follows from something else, and nothing more? Asked of a real one."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.symptoms.declarations import SYMPTOMS
from tests.needed import program

CONFIG = Path(__file__).parent.parent.parent / "config/alertmanager.yml"
_BY_NAME = {symptom.name: symptom for symptom in SYMPTOMS}


def alert(symptom: str, severity: str, **labels: str) -> dict[str, str]:
    """The labels of an alert as the rules make it, in a cluster `a` unless said."""
    own = {"cluster": "a", "job_id": "1", "job_name": "orders", "tm_id": "tm:1", "host": "tm"}
    declared = _BY_NAME[symptom]
    identity = {label: own[label] for label in declared.labels}
    return {"alertname": declared.alert, "symptom": symptom, "severity": severity, **identity, **labels}


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """The address of a real one, with our configuration."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    options = [f"--config.file={CONFIG}", f"--storage.path={tmp_path}", f"--web.listen-address={address}"]
    command = [program("prometheus-alertmanager"), *options, "--cluster.listen-address="]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(f"http://{address}/-/ready")
            yield f"http://{address}/api/v2/alerts"
        finally:
            process.terminate()


def _wait(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "Alertmanager does not start"
            time.sleep(0.1)


def inhibited(url: str, alerts: list[dict[str, str]]) -> list[bool]:
    """Of each alert, whether another one silences it."""
    body = json.dumps([{"labels": labels} for labels in alerts]).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=5).close()
    deadline = time.monotonic() + 30
    while True:
        with urllib.request.urlopen(url, timeout=5) as reply:
            shown: list[dict[str, Any]] = json.load(reply)
        # Until it has been sent through the routes, an alert is unprocessed and nothing is said of it.
        if len(shown) == len(alerts) and all(each["status"]["state"] != "unprocessed" for each in shown):
            break
        assert time.monotonic() < deadline, "Alertmanager does not take the alerts"
        time.sleep(0.1)
    by_labels = {frozenset(each["labels"].items()): bool(each["status"]["inhibitedBy"]) for each in shown}
    return [by_labels[frozenset(labels.items())] for labels in alerts]


def test_amtool_takes_it() -> None:
    subprocess.run(["amtool", "check-config", str(CONFIG)], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("source", "target", "silenced"),
    [
        pytest.param(
            alert("checkpoint_slow", "critical"), alert("checkpoint_slow", "warning"), True, id="the graver says it all"
        ),
        pytest.param(
            alert("checkpoint_slow", "critical", job_id="2", job_name="payments"),
            alert("checkpoint_slow", "warning"),
            False,
            id="but not of another job",
        ),
        pytest.param(
            alert("heap_high", "critical", tm_id="tm:2"),
            alert("heap_high", "warning"),
            False,
            id="nor of another TaskManager",
        ),
        pytest.param(
            alert("cluster_unreachable", "warning"),
            alert("checkpoint_failing", "critical"),
            True,
            id="nothing is news of a cluster that does not answer",
        ),
        pytest.param(
            alert("cluster_unreachable", "critical", cluster="b"),
            alert("checkpoint_failing", "critical"),
            False,
            id="but of another cluster it is",
        ),
        pytest.param(
            alert("cluster_unreachable", "critical"),
            {"alertname": "DiskFull", "cluster": "a", "severity": "critical"},
            False,
            id="somebody else's alert is not ours to silence",
        ),
        pytest.param(
            alert("bottleneck", "warning"), alert("checkpoint_slow", "warning"), True, id="a cause silences its effect"
        ),
        pytest.param(
            alert("bottleneck", "warning"),
            alert("checkpoint_slow", "critical"),
            False,
            id="but never a critical one",
        ),
        pytest.param(
            alert("taskmanager_lost", "warning"),
            alert("restarts_frequent", "warning"),
            True,
            id="a cause in the cluster silences its effect in a job",
        ),
        pytest.param(
            alert("gc_pressure", "warning"),
            alert("bottleneck", "warning"),
            False,
            id="nobody knows whether the job runs on that TaskManager",
        ),
        pytest.param(
            alert("heap_high", "warning"), alert("gc_pressure", "warning"), True, id="a cause in the same TaskManager"
        ),
    ],
)
def test_what_silences_what(alertmanager: str, source: dict[str, str], target: dict[str, str], silenced: bool) -> None:
    assert inhibited(alertmanager, [source, target]) == [False, silenced]
