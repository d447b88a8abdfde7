"""Is a lost TaskManager told from one that was sent home, and is it known how many more may go?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from exporter.model import Cluster, TaskManager
from exporter.signals.slots import SIGNAL
from tests.signals.build import Look, cluster, down, job, run

LOSSES, TOLERANCE = "cluster_taskmanager_losses_total", "cluster_taskmanager_loss_tolerance"
RECENT = "cluster_taskmanager_losses_recent"


def taskmanagers(used_of: Mapping[str, tuple[int, int]]) -> tuple[TaskManager, ...]:
    """TaskManagers by id, each with its slots in use and its slots."""
    return tuple(
        TaskManager(id=id, host="host-1", slots=slots, slots_free=slots - used) for id, (used, slots) in used_of.items()
    )


def up(jobs: Mapping[str, str] | None = None, *, jobmanager: float = 0.0, **used: int) -> Cluster:
    """A cluster whose TaskManagers have 2 slots each and so many in use; jobs: their states."""
    running = {"orders": "RUNNING"} if jobs is None else jobs
    found = cluster(*(job(id=id, state=state, started_at=jobmanager) for id, state in running.items()))
    return replace(found, taskmanagers=taskmanagers({id: (number, 2) for id, number in used.items()}))


def looks(*clusters: Cluster) -> list[Look]:
    """One a quarter of a minute."""
    return [(seen, 15.0 * number) for number, seen in enumerate(clusters)]


DOWN = down()


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [
        pytest.param([up(a=2, b=2)], 0, id="first sight"),
        pytest.param([up(a=2, b=2), up(a=2, b=2)], 0, id="all are there"),
        pytest.param([up(a=2, b=2), up(a=2)], 1, id="one is gone, and it worked"),
        pytest.param([up(a=2, b=1, c=1), up(a=2)], 2, id="two at once"),
        pytest.param([up(a=2, b=2), up()], 2, id="all of them"),
        pytest.param([up(a=2, b=2), up(a=2), up(a=2), up(a=2)], 1, id="counted once"),
        pytest.param([up(a=2, b=2), up(a=2), up(a=2, b=0), up(a=2, b=2), up(a=2)], 2, id="back again, and lost again"),
        pytest.param([up(a=2, b=2), up(a=2, c=2)], 1, id="replaced at once"),
        pytest.param([up(a=2, b=2), up(a=2, b=0), up(a=2)], 0, id="scaled down, after its tasks had left"),
        pytest.param([up(a=2, b=0), up(a=2)], 0, id="it never worked"),
        pytest.param([up(a=2, b=2), up(a=2, b=2, c=0), up(a=2, b=2)], 0, id="one came and went"),
        pytest.param(
            [up({"orders": "RUNNING"}, a=2), up({"orders": "FINISHED"})],
            0,
            id="its only job finished between the looks",
        ),
        pytest.param([up({"orders": "RUNNING"}, a=2), up({"orders": "CANCELED"})], 0, id="or was canceled"),
        pytest.param([up({"orders": "RUNNING"}, a=2), up({})], 0, id="or is not listed any more"),
        pytest.param(
            [up({"orders": "RUNNING"}, a=2), up({"orders": "FAILED"})],
            1,
            id="or failed, for it had lost its TaskManager",
        ),
        pytest.param(
            [up({"orders": "RUNNING", "old": "FAILED"}, a=2), up({"orders": "FINISHED", "old": "FAILED"})],
            0,
            id="a job that failed long ago holds no slots",
        ),
        pytest.param(
            [
                up({"orders": "RUNNING", "clicks": "RUNNING"}, a=2, b=2),
                up({"orders": "FINISHED", "clicks": "RUNNING"}, a=2),
            ],
            1,
            id="one of two jobs finished: whose slots they were is not known",
        ),
    ],
)
def test_losses(clusters: list[Cluster], expected: float) -> None:
    assert run(SIGNAL, looks(*clusters))[LOSSES] == expected


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [
        pytest.param([up(a=2, b=2), DOWN, up(a=2, b=2)], 0, id="away for a while: they are still there"),
        pytest.param([up(a=2, b=2), DOWN, up(), up(a=2, b=2)], 0, id="they come back a little later"),
        pytest.param([up(a=2, b=2), DOWN, up(a=2), up(a=2)], 1, id="one does not come back"),
        pytest.param([up(a=2, b=2), DOWN, DOWN, DOWN, up(a=2), up(a=2), up(a=2)], 1, id="after a longer outage"),
        pytest.param([up(a=2, b=2), DOWN, up(a=2)], 0, id="at the first look nobody knows yet"),
        pytest.param([up(a=2, b=0), DOWN, up(a=2), up(a=2)], 0, id="it had not worked"),
        pytest.param(
            [up(a=2, b=2), up(jobmanager=10.0), up(a=2, b=2, jobmanager=10.0)],
            0,
            id="another JobManager, unseen: they have not registered yet",
        ),
        pytest.param(
            [up(a=2, b=2), up(a=2, jobmanager=10.0), up(a=2, jobmanager=10.0), up(a=2, jobmanager=10.0)],
            1,
            id="another JobManager, and one never registers",
        ),
        pytest.param(
            [up(a=2, b=2), up(a=2, jobmanager=10.0), up(a=2, b=2, jobmanager=10.0), up(a=2, jobmanager=10.0)],
            1,
            id="it comes back, and is lost later",
        ),
        pytest.param([DOWN, up(a=2)], 0, id="first sight after an outage"),
    ],
)
def test_losses_around_an_outage(clusters: list[Cluster], expected: float) -> None:
    assert run(SIGNAL, looks(*clusters))[LOSSES] == expected


def test_the_counter_begins_at_nought_and_is_silent_while_the_cluster_is() -> None:
    assert LOSSES in run(SIGNAL, looks(up(a=1)))
    assert run(SIGNAL, looks(DOWN)) == {}


@pytest.mark.parametrize(
    ("clusters", "later", "expected"),
    [
        pytest.param([up(a=2)], 0, 0, id="first sight"),
        pytest.param([up(a=2, b=2, c=2), up(a=2, b=2)], 0, 1, id="one just now"),
        pytest.param([up(a=2, b=2, c=2), up(a=2, b=2), up(a=2)], 0, 2, id="two, one after the other"),
        pytest.param([up(a=2, b=2), up(a=2), up(a=2)], 585, 1, id="seen 15 + 585 = 600 s ago"),
        pytest.param([up(a=2, b=2), up(a=2), up(a=2)], 586, 0, id="seen 15 + 586 = 601 s ago"),
        # gone at 15 and at 30; now is 30 + 590
        pytest.param([up(a=2, b=2, c=2), up(a=2, b=2), up(a=2)], 590, 1, id="one of 605 s ago and one of 590 s"),
        pytest.param([up(a=2, b=2), up(a=2), DOWN], 0, 1, id="the cluster does not answer now: what was seen stands"),
    ],
)
def test_losses_of_late(clusters: list[Cluster], later: float, expected: float) -> None:
    seen = looks(*clusters)
    last, now = seen[-1]
    assert run(SIGNAL, [*seen, (last, now + later)])[RECENT] == expected


def test_a_loss_after_a_long_time() -> None:
    """What the counter was before it is not forgotten: 2 - 1."""
    seen = looks(up(a=2, b=2, c=2), up(a=2, b=2))
    assert run(SIGNAL, [*seen, (up(a=2, b=2), 5000.0), (up(a=2), 5015.0)])[RECENT] == 1


def test_late_losses_are_told_wherever_all_are() -> None:
    assert RECENT in run(SIGNAL, looks(up(a=1)))
    assert RECENT in run(SIGNAL, looks(up(a=1), DOWN))


@pytest.mark.parametrize(
    ("used_of", "expected"),
    [
        pytest.param({"a": (0, 2)}, 0, id="a single one, idle: none may vanish"),
        pytest.param({"a": (1, 2)}, 0, id="a single one"),
        pytest.param({"a": (1, 2), "b": (1, 2)}, 1, id="1 fits into 1"),
        pytest.param({"a": (2, 2), "b": (1, 2)}, 0, id="2 do not fit into 1"),
        pytest.param({"a": (2, 2), "b": (0, 2)}, 1, id="2 fit into 2"),
        pytest.param({"a": (2, 2), "b": (2, 2)}, 0, id="no free slot anywhere"),
        pytest.param({"a": (0, 2), "b": (0, 2), "c": (0, 2)}, 2, id="no work: all but one"),
        pytest.param({"a": (1, 4), "b": (1, 4), "c": (1, 4)}, 2, id="2 fit into 3"),
        # a gone: 3 into the 1 of b and the 2 of c; a and b gone: 6 into the 2 of c
        pytest.param({"a": (3, 4), "b": (3, 4), "c": (2, 4)}, 1, id="3 fit into 3, 6 not into 2"),
        pytest.param({"a": (4, 4), "b": (1, 8)}, 1, id="the fullest is not the largest: 4 fit into 7"),
        pytest.param({"a": (2, 2), "b": (2, 8)}, 0, id="of two as full, the one that takes 6 free slots along"),
        pytest.param({"b": (2, 8), "a": (2, 2)}, 0, id="in whatever order they are told"),
    ],
)
def test_the_tolerance(used_of: dict[str, tuple[int, int]], expected: float) -> None:
    seen = replace(cluster(), taskmanagers=taskmanagers(used_of))
    assert run(SIGNAL, looks(seen))[TOLERANCE] == expected


def test_without_taskmanagers_there_is_no_tolerance() -> None:
    assert TOLERANCE not in run(SIGNAL, looks(up()))


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        pytest.param({"execution.target": "kubernetes-session"}, False, id="Kubernetes, many jobs"),
        pytest.param({"execution.target": "kubernetes-application"}, False, id="Kubernetes, one job"),
        pytest.param({"execution.target": "yarn-session"}, False, id="YARN, many jobs"),
        pytest.param({"execution.target": "YARN-per-job "}, False, id="however it is written"),
        pytest.param({"execution.target": "remote"}, True, id="somebody else starts them"),
        pytest.param({"execution.target": "local"}, True, id="on one machine"),
        pytest.param({"kubernetes.cluster-id": "orders"}, True, id="the target is not set"),
        pytest.param({}, True, id="nothing is set"),
        pytest.param(None, True, id="not read: it takes evidence to call a loss harmless"),
    ],
)
def test_where_a_lost_one_is_replaced_there_is_no_tolerance(configuration: dict[str, str] | None, told: bool) -> None:
    seen = replace(up(a=2, b=2), configuration=configuration)
    assert (TOLERANCE in run(SIGNAL, looks(seen))) is told
    assert LOSSES in run(SIGNAL, looks(seen))
