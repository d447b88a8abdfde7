"""Is uneven work told from even work, from the counters that were read and from nothing else?"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import pytest

from exporter.model import Vertex
from exporter.signals.skew import SIGNAL
from tests.signals.build import Look, run, vertex


def working(per_second: Sequence[float], *, seconds: float = 60.0) -> list[Look]:
    """A task whose subtasks took in so many records a second between two looks."""
    before = [1000.0] * len(per_second)
    after = [1000.0 + rate * seconds for rate in per_second]
    return [(vertex(records=before, at=0.0), 0.0), (vertex(records=after, at=seconds), seconds)]


def skew(signal: str, ratio: float, deviation: float, hottest: int) -> dict[str, object]:
    return {
        f"task_skew_ratio{{{signal}}}": pytest.approx(ratio),
        f"task_skew_deviation_ratio{{{signal}}}": pytest.approx(deviation),
        f"task_skew_hottest_subtask{{{signal}}}": hottest,
    }


@pytest.mark.parametrize("seconds", [15, 60, 300])
@pytest.mark.parametrize(
    ("per_second", "ratio", "deviation", "hottest"),
    [
        # 100 / 100; nothing deviates; the first of equals
        pytest.param([100, 100], 1.0, 0.0, 0, id="even"),
        # mean 500: 950 / 500, (450 + 450) / 2 / 500
        pytest.param([950, 50], 1.9, 0.9, 0, id="almost all on one of two"),
        # mean 10: 40 / 10; (30 + 10 + 10 + 10) / 4 / 10 = 1.5, which counts as 1
        pytest.param([0, 0, 0, 40], 4.0, 1.0, 3, id="all on one: parallelism itself"),
        # mean 20: 30 / 20, (10 + 0 + 10) / 3 / 20 = 1/3
        pytest.param([20, 30, 10], 1.5, 1 / 3, 1, id="a little uneven"),
        # 999 of 1 and one of 1001, mean 2: 1001 / 2, (999 * 1 + 999) / 1000 / 2
        pytest.param([*[1.0] * 999, 1001.0], 500.5, 0.999, 999, id="one hot among a thousand"),
    ],
)
def test_records(per_second: list[float], ratio: float, deviation: float, hottest: int, seconds: float) -> None:
    assert run(SIGNAL, working(per_second, seconds=seconds)) == skew("records", ratio, deviation, hottest)


@pytest.mark.parametrize(
    ("counted", "seconds", "ratio"),
    [
        pytest.param([30, 30], 60, 1.0, id="one record a second in all, and 30 each: just enough"),
        pytest.param([31, 28], 60, None, id="one less for one of two"),
        pytest.param([120, 120], 300, None, id="120 each, of less than one a second in all"),
        # mean 30: 48 / 30
        pytest.param([48, 12, 30, 30], 60, 1.6, id="30 each in the mean: just enough"),
        pytest.param([48, 12, 30, 29], 60, None, id="119 for four: chance"),
        # 3 records/s on 64 subtasks: 2.8 each
        pytest.param([*[2] * 48, *[3] * 8, *[7] * 8], 60, None, id="a few for each of many: chance"),
        pytest.param([*[30] * 64], 60, 1.0, id="enough for each of many"),
        # mean 30: 48 / 30
        pytest.param([48, 12], 15, 1.6, id="what was counted counts, however soon"),
        pytest.param([48, 11], 15, None, id="in 15 s four a second are not enough yet"),
        pytest.param([nan, 48, 12], 60, 1.6, id="the mean is that of those that were read"),
    ],
)
def test_few_records_are_chance(counted: list[float], seconds: float, ratio: float | None) -> None:
    first, last = [0.0] * len(counted), counted
    said = run(SIGNAL, [(vertex(records=first, at=0.0), 0.0), (vertex(records=last, at=seconds), seconds)])
    assert said.get("task_skew_ratio{records}") == (None if ratio is None else pytest.approx(ratio))
    assert len(said) == (0 if ratio is None else 3)


@pytest.mark.parametrize(
    ("per_second", "expected"),
    [
        # mean of the two that were read 20: 30 / 20, (10 + 10) / 2 / 20; the index counts the one that was not
        pytest.param([10, nan, 30], skew("records", 1.5, 0.5, 2), id="one subtask was not read"),
        pytest.param([nan, 10, 30], skew("records", 1.5, 0.5, 2), id="the first was not read"),
        pytest.param([nan, 100], {}, id="only one was read: nothing to compare it with"),
        pytest.param([nan, nan], {}, id="none was read"),
        pytest.param([100], {}, id="parallelism 1: nothing to compare it with"),
        pytest.param([0.5, 0.4], {}, id="under one record a second in all: chance"),
        pytest.param([0, 0], {}, id="no work: no mean to divide by"),
    ],
)
def test_what_cannot_be_told_is_absent(per_second: list[float], expected: dict[str, object]) -> None:
    assert run(SIGNAL, working(per_second)) == expected


def busy(*per_second: float, seconds: float = 60.0) -> list[Look]:
    """A task whose subtasks were busy so many milliseconds a second between two looks."""
    after = [rate * seconds for rate in per_second]
    return [(vertex(busy=[0] * len(after), at=0.0), 0.0), (vertex(busy=after, at=seconds), seconds)]


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # 0.6 and 0.2, mean 0.4: 0.6 / 0.4, (0.2 + 0.2) / 2 / 0.4
        pytest.param(busy(600, 200), skew("busy", 1.5, 0.5, 0), id="one is busy for longer"),
        # 0.015 and 0.005, mean 0.01: 1.5, 0.5
        # (60, 0) of 60 s: 30 s on average; Flink's count of busy time runs ahead, and falls back when a wait is counted
        pytest.param(busy(1000, -8), skew("busy", 2, 1, 0), id="the count of one fell back: it is idle, not unread"),
        pytest.param(busy(50, 100), skew("busy", 4 / 3, 1 / 3, 1), id="ten percent is just enough"),
        pytest.param(busy(0, 99), {}, id="the busiest under ten percent of the time: chance"),
        pytest.param(busy(600), {}, id="parallelism 1"),
        pytest.param(busy(600, 200, seconds=300), skew("busy", 1.5, 0.5, 0), id="five minutes between the looks"),
    ],
)
def test_busy(looks: list[Look], expected: dict[str, object]) -> None:
    assert run(SIGNAL, looks) == expected


def test_both_at_once() -> None:
    looks = [
        (vertex(records=[0, 0], busy=[0, 0], at=0.0), 0.0),
        (vertex(records=[60, 180], busy=[36_000, 12_000], at=60.0), 60.0),
    ]
    # 1 and 3 records/s, mean 2: 3 / 2; 0.6 and 0.2 busy, mean 0.4
    assert run(SIGNAL, looks) == skew("records", 1.5, 0.5, 1) | skew("busy", 1.5, 0.5, 0)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param({"source": True}, skew("records", 2.0, 1.0, 1), id="a source by what it sends"),
        pytest.param(
            {"source": True, "outputs": ()}, skew("records", 2.0, 1.0, 0), id="one chained to its sink by what it reads"
        ),
        pytest.param({}, skew("records", 2.0, 1.0, 0), id="any other by what it takes in"),
        pytest.param({"outputs": ()}, skew("records", 2.0, 1.0, 0), id="a sink as well"),
    ],
)
def test_whose_records(made: dict[str, bool | tuple[str, ...]], expected: dict[str, object]) -> None:
    def look(at: float) -> Look:
        # Subtask 0 takes everything in, subtask 1 sends everything on: mean half of all, max / mean = 2.
        return vertex(records=[10 * at, 0], sent=[0, 10 * at], at=at, **made), at  # type: ignore[arg-type]

    assert run(SIGNAL, [look(0), look(60)]) == expected


def test_only_the_last_minute_counts() -> None:
    """In the first minute all went to subtask 0, in the second all to subtask 1; it is looked at every 15 s."""
    looks = [(vertex(records=[min(at, 60) * 10, max(0, at - 60) * 10], at=at), float(at)) for at in range(0, 121, 15)]
    assert run(SIGNAL, looks) == skew("records", 2.0, 1.0, 1)
    assert run(SIGNAL, looks[:5]) == skew("records", 2.0, 1.0, 0)


# Of these only what a row names differs.
FIRST = vertex(records=[0, 0], at=0.0)
SECOND = vertex(records=[150, 450], at=15.0)  # 10 and 30 records/s
TOLD = skew("records", 1.5, 0.5, 1)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        # 300 / 30 and 900 / 30 records/s
        pytest.param(vertex(records=[300, 900], at=30.0), TOLD, id="it goes on"),
        pytest.param(SECOND, TOLD, id="Flink's own store was not refreshed: what it said still holds"),
        pytest.param(vertex(parallelism=2, at=30.0), {}, id="nothing was read: never what was true before"),
        pytest.param(vertex(records=[nan, nan], at=30.0), {}, id="no subtask was read"),
        pytest.param(vertex(records=[300, 900], at=30.0, running=False), {}, id="it does not run"),
        pytest.param(vertex(records=[300, 900], at=30.0, epoch=None), {}, id="its job does not run"),
        pytest.param(vertex(records=[300, 900], at=30.0, epoch=20.0), {}, id="its job restarted: one look is no rate"),
        pytest.param(vertex(parallelism=2, at=30.0, epoch=20.0), {}, id="restarted, and nothing was read yet"),
        # Subtask 0 counts from nought again: only one is left, and it cannot be compared.
        pytest.param(vertex(records=[-1, 900], at=30.0), {}, id="one counter began anew"),
        pytest.param(vertex(records=[300, 900], at=30.0, id="other"), {}, id="it is another task"),
    ],
)
def test_the_third_look(last: Vertex, expected: dict[str, object]) -> None:
    now = 30.0
    assert run(SIGNAL, [(FIRST, 0.0), (SECOND, 15.0), (last, now)]) == expected


def test_one_look_is_no_rate() -> None:
    assert run(SIGNAL, [(SECOND, 15.0)]) == {}
    assert run(SIGNAL, [(SECOND, 15.0), (SECOND, 30.0)]) == {}  # nor is the same reading seen twice


def test_a_restart_begins_a_new_rate() -> None:
    looks = [
        (FIRST, 0.0),
        (SECOND, 15.0),
        (vertex(records=[0, 1000], at=30.0, epoch=20.0), 30.0),
        (vertex(records=[600, 1200], at=45.0, epoch=20.0), 45.0),
    ]
    # 40 and 13.3 records/s, mean 26.7: 1.5
    assert run(SIGNAL, looks) == skew("records", 1.5, 0.5, 0)


def test_what_a_task_does_while_its_job_does_not_run_is_no_rate() -> None:
    """A job that fails has tasks that still run for a moment."""
    looks = [(vertex(records=[at * 10, at * 20], at=at, epoch=None), at) for at in (0.0, 15.0, 30.0)]
    assert run(SIGNAL, looks) == {}
