"""Is event time told from the watermarks there are, and never from Flink's words for none?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, nan

import pytest

from exporter.signals.watermark import SIGNAL
from tests.signals.build import Look, cluster, derived, job, run, vertex

NONE_YET, ENDED = -inf, inf


def watermark(lag: float, *, missing: int = 0, spread: float | None = None) -> dict[str, float]:
    """What is said at first sight."""
    lags = {"task_watermark_lag_seconds": lag, "job_watermark_lag_seconds": lag}
    spreads = {} if spread is None else {"task_watermark_spread_seconds": spread}
    return {**lags, **spreads, "task_watermark_missing_subtasks": missing}


@pytest.mark.parametrize(
    ("watermarks", "expected"),
    [
        # 100 - 90; 95 - 90
        pytest.param([95, 90], watermark(10, spread=5), id="the lowest counts"),
        pytest.param([90], watermark(10), id="parallelism 1 has no spread"),
        pytest.param([90, 90], watermark(10, spread=0), id="all at one"),
        # 100 - 90; 95.5 - 90
        pytest.param([90, *[95] * 998, 95.5], watermark(10, spread=5.5), id="one of a thousand is behind"),
        pytest.param([105, 110], watermark(-5, spread=5), id="ahead of the clock"),
        pytest.param([NONE_YET, 90, 95], watermark(10, missing=1, spread=5), id="one has none yet"),
        pytest.param([NONE_YET, 90], watermark(10, missing=1), id="only one has any: no spread"),
        pytest.param([NONE_YET, NONE_YET], {}, id="none has any yet"),
        pytest.param([ENDED, 90, 95], watermark(10, spread=5), id="the input of one has ended"),
        pytest.param([ENDED, ENDED], {}, id="all have ended"),
        pytest.param([NONE_YET, ENDED], {}, id="one has none yet, the other has ended"),
        pytest.param([nan, 90, 95], watermark(10, spread=5), id="one was not read, which is not missing"),
        pytest.param([nan, nan], {}, id="none was read"),
        pytest.param(None, {}, id="the column was not read"),
    ],
)
def test_at_first_sight(watermarks: Sequence[float] | None, expected: dict[str, float]) -> None:
    assert run(SIGNAL, [(vertex(watermarks=watermarks, at=100.0), 100.0)]) == expected


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        pytest.param({"orders": [90, 95]}, watermark(10, spread=5), id="it assigns watermarks itself"),
        pytest.param(
            {"orders": [NONE_YET, NONE_YET], "times": [90, 95]},
            watermark(10, spread=5),
            id="the one behind it does: the first has none, ever",
        ),
        pytest.param(
            {"orders": [95, 95], "late": [90, 92]}, watermark(10, spread=2), id="of two the one that holds it back"
        ),
        pytest.param(
            {"orders": [NONE_YET, NONE_YET], "times": [NONE_YET, 95]},
            watermark(5, missing=1),
            id="one subtask has none in the whole chain",
        ),
        pytest.param(
            {"orders": [NONE_YET, NONE_YET], "times": [ENDED, 95]}, watermark(5), id="one subtask has read all"
        ),
        pytest.param({"orders": [NONE_YET, NONE_YET], "times": [ENDED, ENDED]}, {}, id="all have read all"),
        pytest.param({"a": [NONE_YET, NONE_YET], "b": [nan, 95]}, watermark(5), id="what was not read is not missing"),
        pytest.param(
            {"a": [nan, 95], "b": [NONE_YET, NONE_YET]}, watermark(5), id="in whatever order the operators come"
        ),
        pytest.param({}, {}, id="no operator was read"),
    ],
)
def test_a_source_by_what_its_chain_sends(chain: Mapping[str, Sequence[float]], expected: dict[str, float]) -> None:
    assert run(SIGNAL, [(vertex(source=True, operators=chain, parallelism=2, at=100.0), 100.0)]) == expected


def test_the_operators_of_other_tasks_do_not_count() -> None:
    task = vertex(watermarks=[90], operators={"map": [10]}, at=100.0)
    assert run(SIGNAL, [(task, 100.0)])["task_watermark_lag_seconds"] == 10


def test_a_task_that_does_not_run_has_no_event_time() -> None:
    assert run(SIGNAL, [(vertex(watermarks=[90], at=100.0, running=False), 100.0)]) == {}


def seen(*watermarks: float, every: float = 15.0, epoch: float = 0.0) -> list[Look]:
    """One subtask's watermark, look after look."""
    return [
        (vertex(watermarks=[value], at=every * number, epoch=epoch), every * number)
        for number, value in enumerate(watermarks)
    ]


@pytest.mark.parametrize(
    ("looks", "seconds"),
    [
        pytest.param(seen(7), None, id="at first sight nobody knows"),
        pytest.param(seen(7, 8), 0, id="it moved"),
        pytest.param(seen(7, 7), 15, id="it stood for one look"),
        pytest.param(seen(7, 8, 8, 8, 9), 0, id="it stood and moved on"),
        # from 15 to 165
        pytest.param(seen(7, *[8] * 11), 150, id="it stood for ten looks"),
        # from 15 to 15 * 500: longer than anything else is remembered
        pytest.param(seen(7, *[8] * 500), 7485, id="it stood for two hours"),
        # from 15 to 45: 6 and 8 are no further than 8
        pytest.param(seen(7, 8, 6, 8), 30, id="it fell back and came again as far as it was"),
        pytest.param(seen(7, 7, 7, every=300), 600, id="five minutes between the looks"),
        pytest.param([*seen(7, 7), *seen(7, 7)[1:]], 15, id="Flink's own store was not refreshed"),
        pytest.param([*seen(7), *seen(7)], None, id="it never was: still the first sight"),
    ],
)
def test_stalled(looks: list[Look], seconds: float | None) -> None:
    said = run(SIGNAL, looks)
    assert said.get("task_watermark_stalled_seconds") == seconds
    assert said.get("job_watermark_stalled_seconds") == seconds


def sending(
    *sent: Sequence[float] | None, source: bool = True, outputs: tuple[str, ...] = ("next",), restarted: float = 0.0
) -> list[Look]:
    """Two subtasks whose event time stands still, and what they have sent, look after look."""
    clock = {"operators": {"orders": [7, 7]}} if source else {"watermarks": [7, 7]}
    return [
        (
            vertex(
                source=source,
                outputs=outputs,
                sent=count,
                at=15.0 * number,
                epoch=restarted if 15 * number >= restarted else 0.0,
                **clock,
            ),
            15.0 * number,
        )
        for number, count in enumerate(sent)
    ]


@pytest.mark.parametrize(
    ("looks", "seconds"),
    [
        pytest.param(sending([0, 0], [9, 9], [18, 18]), 30, id="a source that sends"),
        pytest.param(sending([5, 5], [5, 5], [5, 5]), None, id="one that sends nothing"),
        pytest.param(sending([5, 5], [5, 5], [5, 6]), 30, id="one of its subtasks sends"),
        pytest.param(sending([5, 5], *[[6, 6]] * 4), 60, id="it sent something within the last minute"),
        pytest.param(sending([5, 5], *[[6, 6]] * 5), None, id="it sent something more than a minute ago"),
        # what was sent before 75 s is of no account: it stands since then
        pytest.param(sending(*[[5, 5]] * 5, [6, 6]), 75, id="it sends again"),
        pytest.param(sending(None, None, None), 30, id="nobody knows whether it sends"),
        pytest.param(sending([nan, nan], [nan, nan], [nan, nan]), 30, id="no subtask was read"),
        pytest.param(sending([nan, 5], [nan, 5], [nan, 5]), None, id="the one that was read sends nothing"),
        pytest.param(sending([5, 5], [5, 5], None), 30, id="it sent nothing while it was known"),
        pytest.param(
            sending([90, 90], [99, 99], [0, 0], [0, 0], restarted=30), None, id="it has sent nothing since it restarted"
        ),
        pytest.param(sending([5, 5], [5, 5], [5, 5], outputs=()), 30, id="one chained to its sink never sends"),
        pytest.param(sending([5, 5], [5, 5], [5, 5], source=False), 30, id="a task that sends nothing of what it gets"),
    ],
)
def test_a_source_that_sends_nothing_has_not_stalled(looks: list[Look], seconds: float | None) -> None:
    said = run(SIGNAL, looks)
    assert said.get("task_watermark_stalled_seconds") == seconds
    assert said.get("job_watermark_stalled_seconds") == seconds
    assert said["task_watermark_lag_seconds"] == looks[-1][1] - 7  # which it has all the same


@pytest.mark.parametrize(
    ("looks", "growth"),
    [
        pytest.param(seen(0, 15, 30, 45, 60), 0.0, id="it keeps up"),
        pytest.param(seen(0, 0, 0, 0, 0), 1.0, id="it stands: a second a second"),
        # 30 s of event time in 15 s: 15 s of lag less in 15 s
        pytest.param(seen(0, 30, 60, 90, 120), -1.0, id="it catches up at twice the pace"),
        # 7.5 s of event time in 15 s
        pytest.param(seen(0, 7.5, 15, 22.5, 30), 0.5, id="it keeps half the pace"),
        pytest.param(seen(0, 0, 0, 0), None, id="45 s show no trend"),
        pytest.param(seen(0, 0, every=60), 1.0, id="a minute between the looks: two are enough"),
        pytest.param(seen(0, 0, 0, every=400), 1.0, id="more than five minutes between the looks"),
        # It stood for five minutes, then kept up for five: what was before is forgotten.
        pytest.param(seen(*[0] * 21, *range(15, 301, 15)), 0.0, id="five minutes count"),
    ],
)
def test_growth(looks: list[Look], growth: float | None) -> None:
    assert run(SIGNAL, looks).get("task_watermark_lag_growth_ratio") == growth


def test_a_restart_forgets() -> None:
    before = seen(0, 0, 0, 0, 0)
    after = vertex(watermarks=[0], at=75.0, epoch=70.0), 75.0
    assert run(SIGNAL, [*before, after]) == watermark(75)


def test_a_task_that_was_not_read_says_nothing_although_it_was_before() -> None:
    assert run(SIGNAL, [*seen(0, 0, 0, 0, 0), (vertex(at=75.0), 75.0)]) == {}


def test_a_job_is_as_far_behind_as_its_worst_task() -> None:
    def look(at: float) -> Look:
        tasks = [
            vertex(id="orders", source=True, operators={"orders": [at - 2]}, at=at),
            vertex(id="join", watermarks=[-20], at=at),
            vertex(id="sink", watermarks=[at - 5], at=at),
            vertex(id="idle", watermarks=[NONE_YET], at=at),
        ]
        return job(vertices=tasks, now=at), at

    said = run(SIGNAL, [look(0), look(15)])
    lags = {name: value for name, value in said.items() if "lag_seconds" in name}
    assert lags == {
        "task_watermark_lag_seconds{orders}": 2,
        "task_watermark_lag_seconds{join}": 35,
        "task_watermark_lag_seconds{sink}": 5,
        "job_watermark_lag_seconds": 35,
    }
    assert said["job_watermark_stalled_seconds"] == 15  # the join's


def test_every_job_has_its_own() -> None:
    jobs = [
        job(id=name, vertices=[vertex(watermarks=[100 - lag], at=100.0)], now=100.0)
        for name, lag in (("a", 3), ("b", 4))
    ]
    rows = derived(SIGNAL, [(cluster(*jobs, at=100.0), 100.0)]).rows
    lags = {row.labels[1]: row.value for row in rows if row.family.name == "flink_health_job_watermark_lag_seconds"}
    assert lags == {"a": 3, "b": 4}
