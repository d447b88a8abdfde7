"""Is what a TaskManager uses up told as a share of what it has, and nothing where nobody knows how much that is?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import Raw, Scope
from exporter.signals.resources import SIGNAL
from tests.signals.build import run, taskmanager

METASPACE = "JVM.Memory.Metaspace.Used", "JVM.Memory.Metaspace.Max"
MANAGED = "Flink.Memory.Managed.Used", "Flink.Memory.Managed.Total"
NETWORK = "Shuffle.Netty.UsedMemorySegments", "Shuffle.Netty.TotalMemorySegments"
FILES = "JVM.FileDescriptor.Open", "JVM.FileDescriptor.Max"
LOAD = "JVM.CPU.Load"


def said(readings: dict[str, float], *, heartbeat_at: float | None = None, now: float = 100.0) -> dict[str, float]:
    told = {Raw(Scope.TASKMANAGER, f"Status.{name}"): value for name, value in readings.items()}
    return run(SIGNAL, [(replace(taskmanager(), readings=told, heartbeat_at=heartbeat_at), now)])


@pytest.mark.parametrize(
    ("names", "metric"),
    [
        pytest.param(METASPACE, "taskmanager_metaspace_used_ratio", id="metaspace"),
        pytest.param(MANAGED, "taskmanager_managed_used_ratio", id="managed memory"),
        pytest.param(NETWORK, "taskmanager_network_used_ratio", id="network memory"),
        pytest.param(FILES, "taskmanager_fds_used_ratio", id="file descriptors"),
    ],
)
@pytest.mark.parametrize(
    ("used", "most", "ratio"),
    [
        # 64 / 256
        pytest.param(64, 256, 0.25, id="a part"),
        pytest.param(0, 256, 0.0, id="nothing is used, which is known"),
        pytest.param(256, 256, 1.0, id="all of it"),
        pytest.param(64, None, None, id="how much there is was not read"),
        pytest.param(64, -1, None, id="there is no maximum"),
        pytest.param(0, 0, None, id="there is none: not configured"),
        pytest.param(None, 256, None, id="what is used was not read"),
        pytest.param(None, None, None, id="neither was read"),
    ],
)
def test_shares(
    names: tuple[str, str], metric: str, used: float | None, most: float | None, ratio: float | None
) -> None:
    readings = {name: value for name, value in zip(names, (used, most), strict=True) if value is not None}
    assert said(readings) == ({} if ratio is None else {metric: ratio})


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        pytest.param(0.42, 0.42, id="as the JVM says"),
        pytest.param(0.0, 0.0, id="idle"),
        pytest.param(-1.0, None, id="the JVM does not know"),
        pytest.param(None, None, id="it was not read"),
    ],
)
def test_load(load: float | None, expected: float | None) -> None:
    assert said({} if load is None else {LOAD: load}).get("taskmanager_cpu_load_ratio") == expected


@pytest.mark.parametrize(
    ("heartbeat_at", "age"),
    [
        # 100 - 93
        pytest.param(93.0, 7.0, id="seven seconds ago"),
        pytest.param(100.0, 0.0, id="now"),
        pytest.param(101.5, 0.0, id="the JobManager's clock is ahead of ours: never below 0"),
        pytest.param(None, None, id="never, as far as the JobManager says"),
    ],
)
def test_heartbeat(heartbeat_at: float | None, age: float | None) -> None:
    assert said({}, heartbeat_at=heartbeat_at).get("taskmanager_heartbeat_age_seconds") == age


def test_all_at_once() -> None:
    readings = dict.fromkeys((*METASPACE, *MANAGED, *NETWORK, *FILES), 8.0) | {LOAD: 0.5}
    assert said(readings, heartbeat_at=99.0) == {
        "taskmanager_metaspace_used_ratio": 1.0,
        "taskmanager_managed_used_ratio": 1.0,
        "taskmanager_network_used_ratio": 1.0,
        "taskmanager_fds_used_ratio": 1.0,
        "taskmanager_cpu_load_ratio": 0.5,
        "taskmanager_heartbeat_age_seconds": 1.0,
    }
