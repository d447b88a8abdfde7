"""Is the heap judged against the most it may be, and its floor only once it was seen for long enough?"""

from __future__ import annotations

import pytest

from exporter.model import JobManager, TaskManager
from exporter.signals.heap import SIGNAL
from tests.signals.build import Look, cluster, down, jobmanager, run, taskmanager

MIB = 1024.0 * 1024


def used(*ratios: float, every: float) -> list[Look]:
    """A TaskManager of 400 MiB, look after look."""
    tms = [taskmanager(used=ratio * 400 * MIB, most=400 * MIB) for ratio in ratios]
    return [(tm, every * number) for number, tm in enumerate(tms)]


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        # 100 / 400
        pytest.param(taskmanager(used=100, most=400), {"taskmanager_heap_used_ratio": 0.25}, id="a quarter is used"),
        pytest.param(jobmanager(used=100, most=400), {"jobmanager_heap_used_ratio": 0.25}, id="of a JobManager too"),
        pytest.param(taskmanager(used=0, most=400), {"taskmanager_heap_used_ratio": 0.0}, id="nothing is used"),
        pytest.param(taskmanager(used=100), {}, id="the JVM gives no maximum"),
        pytest.param(taskmanager(used=100, most=0), {}, id="a maximum of nought is none"),
        pytest.param(taskmanager(most=400), {}, id="what is used was not read"),
        pytest.param(taskmanager(), {}, id="nothing was read"),
        pytest.param(jobmanager(), {}, id="nor of the JobManager"),
    ],
)
def test_used(process: TaskManager | JobManager, expected: dict[str, float]) -> None:
    assert run(SIGNAL, [(process, 0.0)]) == expected


@pytest.mark.parametrize(
    ("looks", "floor"),
    [
        pytest.param(used(0.8, 0.3, 0.9, 0.7, 0.8, every=15), 0.3, id="the lowest of a minute"),
        pytest.param(used(0.8, 0.3, 0.9, 0.7, every=15), None, id="45 s may not have seen a collection"),
        pytest.param(used(0.8, 0.4, every=60), 0.4, id="a minute between the looks: two are enough"),
        pytest.param(used(0.8, 0.4, every=299), 0.4, id="almost five minutes between the looks"),
        # At 360 s what is older than 60 s is forgotten: 0.1 was at nought.
        pytest.param(used(0.1, *[0.6] * 6, every=60), 0.6, id="what is older than five minutes is forgotten"),
        pytest.param(used(0.1, *[0.6] * 5, every=60), 0.1, id="what is five minutes old is not"),
    ],
)
def test_the_floor(looks: list[Look], floor: float | None) -> None:
    assert run(SIGNAL, looks).get("taskmanager_heap_floor_ratio") == floor


def test_the_floor_of_a_jobmanager() -> None:
    looks: list[Look] = [(jobmanager(used=used, most=10), at) for at, used in ((0.0, 5), (30.0, 2), (60.0, 9))]
    assert run(SIGNAL, looks) == {"jobmanager_heap_used_ratio": 0.9, "jobmanager_heap_floor_ratio": 0.2}


def test_nothing_is_said_of_a_heap_that_was_not_read_this_time() -> None:
    assert run(SIGNAL, [*used(0.8, 0.4, every=60), (taskmanager(most=400 * MIB), 120.0)]) == {}


def test_another_jobmanager_has_another_floor() -> None:
    """When a cluster answers again, its JobManager may be another process; its TaskManagers say who they are."""

    def both(used: float, at: float) -> Look:
        return cluster(jobmanager(used=used, most=10), taskmanager(used=used, most=10), at=at), at

    assert run(SIGNAL, [both(1, 0.0), both(8, 60.0), (down(at=75), 75.0), both(9, 90.0)]) == {
        "jobmanager_heap_used_ratio": 0.9,
        "taskmanager_heap_used_ratio": 0.9,
        "taskmanager_heap_floor_ratio": 0.1,
    }


def test_another_taskmanager_has_another_floor() -> None:
    looks = [*used(0.1, 0.1, every=60), (taskmanager(used=9, most=10, id="tm-2"), 120.0)]
    assert run(SIGNAL, looks) == {"taskmanager_heap_used_ratio": 0.9}
