"""Is a task's time told from the milliseconds that Flink counted, and never from a clock it does not have?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan

import pytest

from exporter.model import Raw, Scope, Vertex
from exporter.signals.busy import SIGNAL
from tests.signals.build import Look, column, run, vertex

BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")
HELD = Raw(Scope.TASK, "accumulateBackPressuredTimeMs")
IDLE = Raw(Scope.TASK, "accumulateIdleTimeMs")

Shares = Sequence[float] | None


def spent(
    busy: Shares = None,
    held: Shares = None,
    idle: Shares = None,
    *,
    at: float,
    epoch: float | None = 0.0,
    running: bool = True,
) -> Vertex:
    """A task with the milliseconds that its subtasks have spent so far."""
    given = {BUSY: busy, HELD: held, IDLE: idle}
    readings = {raw: column(values) for raw, values in given.items() if values is not None}
    parallelism = len(next(iter(readings.values()), ())) or 2
    return replace(vertex(at=at, epoch=epoch, running=running, parallelism=parallelism), readings=readings)


def spending(busy: Shares = None, held: Shares = None, idle: Shares = None, *, seconds: float = 60.0) -> list[Look]:
    """A task that has run for a while, and whose subtasks spent these shares of their time between two looks."""

    def counted(shares: Shares, upto: float) -> Shares:
        return None if shares is None else [50_000.0 + share * 1000 * upto for share in shares]

    return [(spent(counted(busy, at), counted(held, at), counted(idle, at), at=at), at) for at in (0.0, float(seconds))]


def busy(most: float, mean: float) -> dict[str, object]:
    return {
        "task_busy_max_ratio": pytest.approx(most),
        "task_busy_mean_ratio": pytest.approx(mean),
        "task_headroom_ratio": pytest.approx(1 - most),
    }


def held(most: float, mean: float) -> dict[str, object]:
    return {
        "task_backpressured_max_ratio": pytest.approx(most),
        "task_backpressured_mean_ratio": pytest.approx(mean),
    }


def idle(mean: float) -> dict[str, object]:
    return {"task_idle_mean_ratio": pytest.approx(mean)}


@pytest.mark.parametrize("seconds", [15, 60, 300])
@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        # max 0.8; (0.8 + 0.4) / 2
        pytest.param(([0.8, 0.4], None, None), busy(0.8, 0.6), id="two busy subtasks"),
        pytest.param(([0.0, 0.0], None, None), busy(0, 0), id="not busy at all is known, and is 0"),
        pytest.param(([1.0], None, None), busy(1, 1), id="always busy: no headroom"),
        # (1 + 0 + 0 + 0) / 4
        pytest.param(([1, 0, 0, 0], None, None), busy(1, 0.25), id="a hot key: the busiest counts"),
        pytest.param(([0.1], [0.7], [0.2]), busy(0.1, 0.1) | held(0.7, 0.7) | idle(0.2), id="all three"),
        pytest.param(([0.1, 0.1], [0.9, 0.3], [0, 0.6]), busy(0.1, 0.1) | held(0.9, 0.6) | idle(0.3), id="of each"),
        # (0.2 + 0.6) / 2; the third was not read
        pytest.param(([0.2, 0.6, nan], None, None), busy(0.6, 0.4), id="one subtask was not read: the others were"),
        pytest.param(([nan, nan], None, None), {}, id="none was read"),
        pytest.param(([nan, nan], [0.5, 0.1], [0, 0]), held(0.5, 0.3), id="a legacy source: its 0 idle is no idleness"),
        # subtask 1 does not know when it is busy, so its idle 0 does not count
        pytest.param(([0.4, nan], None, [0.6, 0]), busy(0.4, 0.4) | idle(0.6), id="one subtask does not know"),
        pytest.param((None, None, [0.6, 0.6]), {}, id="idle alone is not believed"),
        pytest.param((None, [0.6, 0.6], None), held(0.6, 0.6), id="backpressure alone is"),
        pytest.param(([1.02, 0.5], None, None), busy(1, 0.75), id="a clock a little fast: 1 at most"),
    ],
)
def test_shares(shares: tuple[Shares, Shares, Shares], expected: dict[str, object], seconds: float) -> None:
    assert run(SIGNAL, spending(*shares, seconds=seconds)) == expected


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        # A wait of 5 s that was not counted yet at the first look is by the second: busy time fell, by 4,990 of 60,000.
        pytest.param([50_000 - 4_990], busy(0, 0), id="an idle subtask counted less than nothing: it did not work"),
        pytest.param([50_000 - 6_000], busy(0, 0), id="as far as Flink may be behind"),
        pytest.param([50_000 - 6_001], {}, id="further: it counts from nought again"),
        pytest.param([12], {}, id="it began anew"),
        # 6,000 of 60,000 ms; the other began anew
        pytest.param([12, 56_000], busy(0.1, 0.1), id="one of two began anew"),
    ],
)
def test_a_count_that_fell(counted: list[float], expected: dict[str, object]) -> None:
    before = spent([50_000.0] * len(counted), at=0.0)
    assert run(SIGNAL, [(before, 0.0), (spent(counted, at=60.0), 60.0)]) == expected


# Of these only what a row names differs: subtask 0 is busy for half of the time, subtask 1 for a tenth.
FIRST = spent([0, 0], at=0.0)
SECOND = spent([7_500, 1_500], at=15.0)
TOLD = busy(0.5, 0.3)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(spent([15_000, 3_000], at=30.0), TOLD, id="it goes on"),
        pytest.param(SECOND, TOLD, id="Flink's own store was not refreshed: what it said still holds"),
        pytest.param(spent(at=30.0), {}, id="nothing was read in this cycle: never what was true before"),
        pytest.param(spent([nan, nan], at=30.0), {}, id="no subtask was read"),
        pytest.param(spent([15_000, 3_000], at=30.0, running=False), {}, id="it does not run"),
        pytest.param(spent([15_000, 3_000], at=30.0, epoch=None), {}, id="its job does not run"),
        pytest.param(spent([7_500, 1_500], at=15.0, epoch=None), {}, id="nor does it, and nothing is new"),
        pytest.param(spent([90_000, 90_000], at=30.0, epoch=20.0), {}, id="another attempt: one look is no share"),
    ],
)
def test_the_third_look(last: Vertex, expected: dict[str, object]) -> None:
    assert run(SIGNAL, [(FIRST, 0.0), (SECOND, 15.0), (last, 30.0)]) == expected


def test_a_task_whose_job_does_not_run_says_nothing_however_long_it_is_looked_at() -> None:
    assert run(SIGNAL, [(spent([500 * at], at=at, epoch=None), at) for at in (0.0, 15.0, 30.0)]) == {}


def test_one_look_is_no_share() -> None:
    assert run(SIGNAL, [(SECOND, 15.0)]) == {}
    assert run(SIGNAL, [(SECOND, 15.0), (SECOND, 30.0)]) == {}


def test_only_the_last_minute_counts() -> None:
    """It worked all the time for a minute, and then half of it, looked at every 15 s."""
    looks = [(spent([1000 * min(at, 60) + 500 * max(0, at - 60)], at=at), float(at)) for at in range(0, 121, 15)]
    assert run(SIGNAL, looks[:5]) == busy(1, 1)
    assert run(SIGNAL, looks) == busy(0.5, 0.5)
