"""Is throughput told from counters, and what is normal from this attempt of this job and from nothing else?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import nan

import pytest

from exporter.model import Raw, Scope, Vertex
from exporter.signals.throughput import SIGNAL
from tests.signals.build import Look, column, run, vertex

LATE = Raw(Scope.OPERATOR, "numLateRecordsDropped")

IN, OUT = "task_records_in_per_second", "task_records_out_per_second"
SELECTIVITY, CAPACITY = "task_selectivity_ratio", "task_capacity_records_per_second"
BASELINE, RATIO = "task_throughput_baseline_per_second", "task_throughput_ratio"
DROPPED = "task_late_records_dropped_per_second"


def between(seconds: float, rates: Mapping[str, object]) -> list[Look]:
    """Two looks at a task that has run for a while; its counters rise by so much a second."""
    counters = {name: rate for name, rate in rates.items() if name in ("records", "sent", "busy")}
    about = {name: value for name, value in rates.items() if name not in counters}

    def look(at: float) -> Look:
        columns = {
            name: [9000.0 + per_second * at for per_second in rate]  # type: ignore[attr-defined]
            for name, rate in counters.items()
        }
        return vertex(**columns, **about, at=at), at  # type: ignore[arg-type]

    return [look(0.0), look(seconds)]


@pytest.mark.parametrize("seconds", [15, 60, 300])
@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        # 30 + 10; 20 + 0; 20 / 40
        pytest.param({"records": [30, 10], "sent": [20, 0]}, {IN: 40, OUT: 20, SELECTIVITY: 0.5}, id="all subtasks"),
        pytest.param(
            {"records": [10], "sent": [25]}, {IN: 10, OUT: 25, SELECTIVITY: 2.5}, id="it sends more than it takes"
        ),
        pytest.param({"records": [0], "sent": [0]}, {IN: 0, OUT: 0}, id="no work: no ratio of it"),
        pytest.param({"records": [1], "sent": [0]}, {IN: 1, OUT: 0, SELECTIVITY: 0}, id="1 record/s is just enough"),
        pytest.param({"records": [0.9], "sent": [9]}, {IN: 0.9, OUT: 9}, id="less is chance"),
        pytest.param(
            {"records": [10], "sent": [0], "outputs": ()}, {IN: 10, OUT: 0}, id="the last task sends nothing on"
        ),
        pytest.param({"records": [10]}, {IN: 10}, id="what it sends was not read"),
        pytest.param({"sent": [10]}, {OUT: 10}, id="what it takes was not read"),
        # 30 + 10 of three
        pytest.param({"records": [30, nan, 10]}, {IN: 40}, id="one subtask was not read: the others were"),
        pytest.param({"records": [nan, nan]}, {}, id="none was read"),
        # A new source counts what it reads: 4 of 8 get through its chain.
        pytest.param(
            {"records": [8], "sent": [4], "source": True}, {IN: 8, OUT: 4, SELECTIVITY: 0.5}, id="a source that filters"
        ),
        pytest.param(
            {"records": [0], "sent": [4], "source": True}, {IN: 0, OUT: 4}, id="a legacy source counts no input"
        ),
    ],
)
def test_rates(rates: dict[str, object], expected: Mapping[str, float], seconds: float) -> None:
    assert run(SIGNAL, between(seconds, rates)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rates", "capacity"),
    [
        # 100 / 0.5
        pytest.param({"records": [100], "busy": [500]}, 200, id="half busy: twice as much"),
        # 100 / 0.5 + 100 / 0.25
        pytest.param({"records": [100, 100], "busy": [500, 250]}, 600, id="each subtask by its own share"),
        pytest.param({"records": [100], "busy": [1000]}, 100, id="always busy: no more than now"),
        pytest.param({"records": [0], "busy": [1000]}, 0, id="always busy with nothing: none"),
        # 5 / 0.05
        pytest.param({"records": [5], "busy": [50]}, 100, id="5 % busy is just enough"),
        pytest.param({"records": [5], "busy": [49]}, None, id="less tells nothing"),
        # 100 / 0.5; subtask 1 hardly works
        pytest.param({"records": [100, 1], "busy": [500, 10]}, 200, id="without those of which nobody can tell"),
        pytest.param({"records": [100, nan], "busy": [500, 500]}, 200, id="one subtask's records were not read"),
        pytest.param({"records": [100, 50], "busy": [500, nan]}, 200, id="one subtask's time was not read"),
        pytest.param({"records": [100]}, None, id="the time was not read"),
        pytest.param({"busy": [500]}, None, id="the records were not read"),
        pytest.param(
            {"records": [100], "busy": [500], "source": True}, None, id="a source tells too little of its time"
        ),
    ],
)
def test_capacity(rates: dict[str, object], capacity: float | None) -> None:
    expected = None if capacity is None else pytest.approx(capacity)
    assert run(SIGNAL, between(60.0, rates)).get(CAPACITY) == expected


def test_capacity_where_an_idle_subtask_counted_less_than_nothing() -> None:
    """Flink counts a wait when it ends: the busy time of subtask 1 has fallen. It is not of those that began anew."""
    looks = [
        (vertex(records=[0, 0], busy=[0, 9000], at=0.0), 0.0),
        (vertex(records=[6000, 60], busy=[30_000, 5000], at=60.0), 60.0),
    ]
    assert run(SIGNAL, looks)[CAPACITY] == 200  # 100 / 0.5


def paced(rates: Iterable[float], *, every: float = 15.0, epoch: float = 0.0, **about: object) -> list[Look]:
    """Looks at a task, between which it takes in, and sends on twice, so many records a second."""
    total = 0.0
    looks: list[Look] = []
    for number, rate in enumerate([0.0, *rates]):
        total += rate * every
        at = epoch + number * every
        looks.append((vertex(records=[total], sent=[2 * total], at=at, epoch=epoch, **about), at))  # type: ignore[arg-type]
    return looks


def normal(looks: Sequence[Look]) -> tuple[float | None, float | None]:
    """The baseline, and the present over it."""
    said = run(SIGNAL, looks)
    return said.get(BASELINE), said.get(RATIO)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # A rate needs two looks, ten of them eleven, and the present does not count: the twelfth is the first.
        pytest.param(paced([100] * 10), (None, None), id="ten rates, the present among them: too few"),
        pytest.param(paced([100] * 11), (100, 1), id="ten and the present"),
        pytest.param(paced([100] * 11, source=True), (200, 1), id="a source by what it sends on"),
        pytest.param(
            paced([100] * 11, source=True, outputs=()), (100, 1), id="one chained to its sink by what it takes in"
        ),
        pytest.param(paced([100] * 11, every=60), (100, 1), id="a minute between the looks"),
        pytest.param(paced([100] * 11, every=300), (100, 1), id="five minutes between the looks"),
        # The rate over the last minute, four looks: (3 * 100 + 0) / 4
        pytest.param(paced([*[100] * 20, 0]), (100, 0.75), id="it has just stopped"),
        pytest.param(paced([*[100] * 20, *[0] * 4]), (100, 0), id="it stopped a minute ago"),
        pytest.param(paced([*[100] * 20, *[300] * 4]), (100, 3), id="three times what is normal"),
        pytest.param(paced([0] * 20), (0, None), id="nothing is normal: no ratio to it"),
        # Rates of 1 h, 240 looks: the drop is 100 of them, and then 140.
        pytest.param(paced([*[100] * 140, *[10] * 100]), (100, 0.1), id="a drop of 25 min is no new normal"),
        pytest.param(paced([*[100] * 140, *[10] * 160]), (10, 1), id="one of 40 min is"),
        pytest.param(paced([*[100] * 120, 100_000, *[100] * 10]), (100, 1), id="one outlier does not move it"),
        # 90 rates of 40 s in an hour: the drop of 1,600 s is 40 of them
        pytest.param(paced([*[100] * 90, *[10] * 40], every=40), (100, 0.1), id="likewise at another interval"),
        # 720 looks of 5 s in an hour, a quarter of them the drop: 15 min
        pytest.param(paced([*[100] * 540, *[10] * 180], every=5), (100, 0.1), id="an hour is an hour at 5 s as well"),
    ],
)
def test_what_is_normal(looks: list[Look], expected: tuple[float | None, float | None]) -> None:
    assert normal(looks) == pytest.approx(expected)


def later(make: Callable[[float], Vertex], *, seconds: float = 15.0) -> list[Look]:
    """Eleven rates of 100 records/s, and another look."""
    looks = paced([100] * 11)
    at = looks[-1][1] + seconds
    return [*looks, (make(at), at)]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(lambda at: vertex(records=[100 * at], at=at), (100, 1), id="it goes on"),
        pytest.param(
            lambda at: vertex(at=at), (None, None), id="nothing was read: what is normal is compared with nothing"
        ),
        pytest.param(lambda at: vertex(records=[nan], at=at), (None, None), id="no subtask was read"),
        pytest.param(lambda at: vertex(records=[100 * at], at=at, running=False), (None, None), id="it does not run"),
        pytest.param(lambda at: vertex(records=[100 * at], at=at, epoch=None), (None, None), id="its job does not run"),
        pytest.param(
            lambda at: vertex(records=[100 * (at - 15)], at=at - 15, epoch=None),
            (None, None),
            id="nor does it, and nothing is new",
        ),
        pytest.param(lambda at: vertex(records=[0], at=at, epoch=at), (None, None), id="another attempt begins anew"),
    ],
)
def test_one_look_more(last: Callable[[float], Vertex], expected: tuple[float | None, float | None]) -> None:
    assert normal(later(last)) == expected


def test_a_task_whose_job_does_not_run_says_nothing_however_long_it_is_looked_at() -> None:
    assert run(SIGNAL, [(vertex(records=[100 * at], at=at, epoch=None), at) for at in (0.0, 15.0, 30.0)]) == {}


def test_another_attempt_knows_nothing_of_the_one_before() -> None:
    before = paced([100] * 60)
    after = paced([5] * 11, epoch=1000.0)
    assert [normal([*before, *after[:looks]]) for looks in range(1, 12)] == [(None, None)] * 11
    assert normal([*before, *after]) == (5, 1)


def test_a_reading_seen_twice_is_one() -> None:
    """Flink's own store was not refreshed between two looks."""
    looks = paced([100] * 11)
    twice = [look for entity, at in looks for look in ((entity, at), (entity, at + 7))]
    assert normal(twice) == normal(looks)
    assert normal(twice[:-2]) == (None, None)


def dropping(*operators: Mapping[str, Sequence[float]]) -> list[Look]:
    """A task whose operators have dropped so many records at one look a minute."""
    return [
        (
            replace(
                vertex(at=60.0 * number, parallelism=2),
                operators={name: {LATE: column(values)} for name, values in counts.items()},
            ),
            60.0 * number,
        )
        for number, counts in enumerate(operators)
    ]


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # (30 + 90) / 60
        pytest.param(dropping({"window": [0, 0]}, {"window": [30, 90]}), 2, id="all subtasks"),
        pytest.param(dropping({"window": [7, 0]}, {"window": [7, 0]}), 0, id="none any more"),
        # 60 / 60 + 120 / 60
        pytest.param(
            dropping({"a": [0, 0], "b": [0, 0]}, {"a": [60, 0], "b": [0, 120]}), 3, id="two windows of a chain"
        ),
        # Subtask 1 has 9,000 of before; only 60 of subtask 0 are new.
        pytest.param(dropping({"window": [0, nan]}, {"window": [60, 9000]}), 1, id="one subtask was not read before"),
        pytest.param(dropping({"window": [0, 9000]}, {"window": [60, nan]}), 1, id="one subtask is not read now"),
        pytest.param(dropping({"a": [0, 0]}, {"a": [60, 0], "b": [9000, 0]}), 1, id="one operator was not read before"),
        pytest.param(dropping({"window": [9000, 0]}, {"window": [5, 60]}), 1, id="one counter began anew"),
        pytest.param(dropping({"window": [nan, nan]}, {"window": [nan, nan]}), None, id="none was read"),
        pytest.param(dropping({"window": [0, 0]}), None, id="one look is no rate"),
        pytest.param(dropping({}, {}), None, id="a task without windows"),
        pytest.param(dropping({"window": [0, 0]}, {"window": [60, 0]}, {}), None, id="not read any more"),
    ],
)
def test_late_records(looks: list[Look], expected: float | None) -> None:
    assert run(SIGNAL, looks).get(DROPPED) == expected
