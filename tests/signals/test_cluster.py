"""Does it say whether the cluster answers, what it is and what it holds, and nothing that was not told?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import Cluster, ClusterState
from exporter.signals.cluster import SIGNAL
from tests.signals.build import cluster, derived, down, job, run, taskmanager

WHOLE = Cluster(
    name="prod",
    state=ClusterState.UP,
    taken_at=100.0,
    version="2.3.0",
    commit="abc123",
    slots=8,
    slots_free=0,
    metrics_age=4.5,
    taskmanagers=(taskmanager(id="tm-1"), taskmanager(id="tm-2")),
    jobs=(job(id="a"), job(id="b"), job(id="c", state="FAILED", epoch=None)),
)


def test_all_that_is_known() -> None:
    assert run(SIGNAL, [(WHOLE, 100.0)]) == {
        "cluster_up": 1,
        "cluster_state{up}": 1,
        "cluster_info{2.3.0,abc123}": 1,
        "cluster_taskmanagers": 2,
        "cluster_slots": 8,
        "cluster_slots_free": 0,  # none free is a number, not an unknown
        "cluster_jobs{FAILED}": 1,
        "cluster_jobs{RUNNING}": 2,
        "cluster_snapshot_timestamp_seconds": 100,
        "cluster_rest_metrics_age_seconds": 4.5,
    }


@pytest.mark.parametrize("state", [state for state in ClusterState if state is not ClusterState.UP])
def test_a_cluster_that_does_not_answer_has_its_state_only(state: ClusterState) -> None:
    looks = [(WHOLE, 100.0), (down(state, at=115.0), 115.0)]
    assert run(SIGNAL, looks) == {
        "cluster_up": 0,
        f"cluster_state{{{state}}}": 1,
    }


@pytest.mark.parametrize(
    ("cluster", "absent"),
    [
        pytest.param(replace(WHOLE, version=None), "cluster_info{2.3.0,abc123}", id="the version"),
        pytest.param(replace(WHOLE, taskmanagers=None), "cluster_taskmanagers", id="the TaskManagers"),
        pytest.param(replace(WHOLE, slots=None), "cluster_slots", id="the slots"),
        pytest.param(replace(WHOLE, slots_free=None), "cluster_slots_free", id="the free slots"),
        pytest.param(replace(WHOLE, metrics_age=None), "cluster_rest_metrics_age_seconds", id="the store's age"),
    ],
)
def test_what_was_not_told_is_absent(cluster: Cluster, absent: str) -> None:
    said = run(SIGNAL, [(cluster, 100.0)])
    assert said == {name: value for name, value in run(SIGNAL, [(WHOLE, 100.0)]).items() if name != absent}


def test_a_version_without_its_commit() -> None:
    assert run(SIGNAL, [(replace(WHOLE, commit=None), 100.0)])["cluster_info{2.3.0,}"] == 1


def test_an_empty_cluster_holds_nought() -> None:
    said = run(SIGNAL, [(cluster(at=5.0), 5.0)])
    assert said["cluster_taskmanagers"] == 0
    assert not [name for name in said if name.startswith("cluster_jobs")]  # only states that a job has


def test_its_only_identity_is_its_name() -> None:
    assert {row.labels[0] for row in derived(SIGNAL, [(WHOLE, 100.0)]).rows} == {"prod"}
