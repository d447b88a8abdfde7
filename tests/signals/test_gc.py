"""Is the time of garbage collection told of each process, whatever its collectors are called and when it began?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import ClusterState, Raw, Scope
from exporter.signals.gc import SIGNAL
from tests.signals.build import Look, down, jobmanager, run, taskmanager

ALL, EACH = "Status.JVM.GarbageCollector.All.Time", "Status.JVM.GarbageCollector.*.Time"


def collected(at: float, **milliseconds: float) -> Look:
    """A TaskManager that has collected for so many milliseconds: `all` by Flink's own sum, `each` by ours."""
    names = {"all": ALL, "each": EACH}
    readings = {Raw(Scope.TASKMANAGER, names[name]): value for name, value in milliseconds.items()}
    return replace(taskmanager(), readings=readings), at


def summed(*milliseconds: float, every: float = 15.0) -> list[Look]:
    """The same, look after look, by Flink's own sum."""
    return [collected(every * number, all=value) for number, value in enumerate(milliseconds)]


@pytest.mark.parametrize(
    ("looks", "ratio"),
    [
        # 7,500 ms in 15 s
        pytest.param(summed(1000, 8500), 0.5, id="half of the time"),
        pytest.param(summed(1000, 1000), 0.0, id="no collection is known, and is 0"),
        pytest.param(summed(0, 600, every=60), 0.01, id="a minute between the looks"),
        pytest.param(summed(0, 60_000, every=300), 0.2, id="five minutes between the looks"),
        # Two threads of a concurrent collector together: 20 s in 15 s
        pytest.param(summed(0, 20_000), 1.0, id="1 at most, however many collectors"),
        pytest.param([collected(0, each=0), collected(15, each=3000)], 0.2, id="an older Flink: ours is the sum"),
        pytest.param(
            [collected(0, all=0, each=0), collected(15, all=3000, each=9000)], 0.2, id="where both are, Flink's own"
        ),
        pytest.param(summed(5000), None, id="at first sight nobody knows"),
        pytest.param([collected(0), collected(15)], None, id="it tells nothing"),
        pytest.param([*summed(0, 3000), collected(30)], None, id="it tells no more: never what was true before"),
        pytest.param(summed(9000, 9500, 200), None, id="the process began anew: one look is no rate"),
        # from 200 to 1,700 in 15 s; the 9,500 were another process's
        pytest.param(summed(9000, 9500, 200, 1700), 0.1, id="and goes on"),
        pytest.param(summed(100, 150, 50, 15_050), 1.0, id="it overtakes what the one before had collected"),
        # 60 s of nothing, then 6 s in 60 s
        pytest.param(summed(0, 0, 0, 0, 0, 1500, 3000, 4500, 6000), 0.1, id="only the last minute counts"),
    ],
)
def test_a_taskmanager(looks: list[Look], ratio: float | None) -> None:
    expected = {} if ratio is None else {"taskmanager_gc_time_ratio": pytest.approx(ratio)}
    assert run(SIGNAL, looks) == expected


def managing(at: float, milliseconds: float, name: str = ALL) -> Look:
    return replace(jobmanager(), readings={Raw(Scope.JOBMANAGER, name): milliseconds}), at


def test_a_jobmanager() -> None:
    assert run(SIGNAL, [managing(0, 0), managing(60, 6000)]) == {"jobmanager_gc_time_ratio": 0.1}
    assert run(SIGNAL, [managing(0, 0, EACH), managing(60, 6000, EACH)]) == {"jobmanager_gc_time_ratio": 0.1}


def test_a_jobmanager_that_was_away_may_be_another() -> None:
    looks: list[Look] = [managing(0, 100), (down(ClusterState.UNREACHABLE, at=15), 15), managing(30, 6000)]
    assert run(SIGNAL, looks) == {}


def test_every_process_for_itself() -> None:
    tm, jm = Raw(Scope.TASKMANAGER, ALL), Raw(Scope.JOBMANAGER, ALL)
    ones = [replace(taskmanager(id=id), readings={tm: 0.0}) for id in ("a", "b")]
    assert (
        run(SIGNAL, [(replace(ones[0], readings={tm: 0.0}), 0.0), (replace(ones[1], readings={tm: 9.0}), 15.0)]) == {}
    )
    assert {family.name for family in SIGNAL.families} == {
        "flink_health_taskmanager_gc_time_ratio",
        "flink_health_jobmanager_gc_time_ratio",
    }
    assert set(SIGNAL.needs) == {Raw(scope, name) for scope in (tm.scope, jm.scope) for name in (ALL, EACH)}
