"""Are restarts counted as they happen, and is it told right how many are left and for how long the job ran?

The waits of exponential-delay were taken from Flink's own classes of 1.20.4 and 2.3.0, driven by a clock of the test's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from exporter.model import Failure, Failures, Job, Raw, RestartStrategy, Scope
from exporter.signals.restarts import SIGNAL
from tests.signals.build import Look, down, job, run

RESTARTS = Raw(Scope.JOB, "numRestarts")
FULL_RESTARTS = Raw(Scope.JOB, "fullRestarts")
RESCALES = Raw(Scope.JOB, "numRescales")

TOTAL, RECENT = "job_restarts_total", "job_restarts_recent"
BUDGET, BACKOFF = "job_restart_budget_remaining", "job_restart_backoff_seconds"
AVAILABILITY = "job_availability_ratio"


def told(
    restarts: float | None = None,
    *,
    now: float,
    rescales: float | None = None,
    full: float | None = None,
    failed: Iterable[float] | None = None,
    strategy: RestartStrategy | None = None,
    jobmanager: float = 0.0,
    epoch: float | None = 0.0,
    state: str = "RUNNING",
) -> Job:
    """A job as Flink tells of it. failed: when it did; jobmanager: when the present one took it up."""
    readings = {RESTARTS: restarts, FULL_RESTARTS: full, RESCALES: rescales}
    entries = None if failed is None else tuple(Failure(at=at, name="java.lang.Exception", trace="") for at in failed)
    return replace(
        job(now=now, started_at=jobmanager, epoch=epoch, state=state),
        readings={raw: float(value) for raw, value in readings.items() if value is not None},
        failures=None if entries is None else Failures(entries=entries, truncated=False),
        restart_strategy=strategy,
    )


def seen(jobs: Iterable[Job]) -> list[Look]:
    return [(job, job.now) for job in jobs]


def totals(jobs: Sequence[Job]) -> list[float | None]:
    """The counter after each look."""
    return [run(SIGNAL, seen(jobs[: number + 1])).get(TOTAL) for number in range(len(jobs))]


def every(counts: Iterable[float | None], *, seconds: float = 15.0) -> list[Job]:
    """One look each, at which Flink counts so many restarts, or tells none."""
    return [told(count, now=seconds * number) for number, count in enumerate(counts)]


# The counter


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        pytest.param(every([0, 0, 1, 1, 3]), [0, 0, 1, 1, 3], id="as Flink counts"),
        pytest.param(every([7, 7, 8]), [7, 7, 8], id="first sight: Flink's own count"),
        pytest.param(
            [told(full=2, now=0), told(full=3, now=15)], [2, 3], id="by the older name, where that is all there is"
        ),
        pytest.param(
            [told(2, full=9, now=0), told(3, full=9, now=15)], [2, 3], id="by the newer name, where there are both"
        ),
        pytest.param(every([2, None, None, 4]), [2, 2, 2, 4], id="not told for a while: what came is not lost"),
        pytest.param(every([None, 3, 4]), [None, 3, 4], id="not told at first: Flink's store is fetched lazily"),
        pytest.param(every([5, 3, 5, 6]), [5, 5, 5, 6], id="never less"),
    ],
)
def test_the_total(jobs: list[Job], expected: list[float | None]) -> None:
    assert totals(jobs) == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        # 5 before it; the first look at it is not believed, for its store may hold what was counted before.
        pytest.param([0, 0, 1], [5, 5, 6], id="it begins at nought"),
        pytest.param([1, 1, 2], [5, 6, 7], id="it restarted before anyone looked: seen at the second look"),
        pytest.param([5, 0, 1], [5, 5, 6], id="its store still held what the one before had counted"),
        pytest.param([9, 9, 10], [5, 14, 15], id="its count has overtaken the old one already: 5 + 9"),
        pytest.param([5, 5, 6], [5, 10, 11], id="its count has reached the old one: 5 + 5"),
        pytest.param([None, 2, 3], [5, 7, 8], id="it tells nothing at first"),
        pytest.param([None, None, None, 2], [5, 5, 5, 7], id="it tells nothing for longer"),
    ],
)
def test_another_jobmanager_counts_from_nought(after: list[float | None], expected: list[float]) -> None:
    looks = [told(3, now=0), told(5, now=15)]
    looks += [told(count, now=30 + 15 * number, jobmanager=25) for number, count in enumerate(after)]
    assert totals(looks) == [3, 5, *expected]


def test_jobmanagers_add_up() -> None:
    looks = [told(2, now=60.0 * number + now, jobmanager=60.0 * number) for number in range(5) for now in (1, 16)]
    assert totals(looks)[-1] == 10


def test_the_total_outlives_an_outage() -> None:
    looks: list[Look] = [*seen([told(2, now=0)]), (down(at=15.0), 15.0), *seen([told(3, now=30)])]
    assert run(SIGNAL, looks)[TOTAL] == 3


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param([(0, 0), (1, 1), (2, 2)], [0, 0, 0], id="rescales are no restarts"),
        pytest.param([(4, 1), (4, 1)], [3, 3], id="nor at first sight"),
        pytest.param([(0, 0), (1, 0), (1, 0), (1, 0)], [0, 0, 1, 1], id="a restart, once two looks agree on it"),
        pytest.param([(0, 0), (1, 0), (1, 1), (1, 1)], [0, 0, 0, 0], id="a rescale that is counted as a restart first"),
        pytest.param([(0, 0), (0, 1), (1, 1), (1, 1)], [0, 0, 0, 0], id="a rescale that is counted as a rescale first"),
        pytest.param([(3, 1), (3, 2), (4, 2), (5, 2), (5, 2)], [2, 2, 2, 2, 3], id="one in between, then a restart"),
        pytest.param([(0, 0), (2, 0), (2, 1), (2, 1)], [0, 0, 1, 1], id="a restart and a rescale at once"),
        pytest.param([(0, 0), (5, 0), (9, 0), (9, 0)], [0, 0, 5, 9], id="many restarts"),
    ],
)
def test_rescales(pairs: list[tuple[float, float]], expected: list[float]) -> None:
    looks = [told(count, rescales=of_these, now=15 * number) for number, (count, of_these) in enumerate(pairs)]
    assert totals(looks) == expected


FAILED: list[Iterable[float]] = [(), (20,), (20,), (20, 50, 55), (50, 55)]


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        pytest.param(
            [told(failed=failed, now=15 * number) for number, failed in enumerate(FAILED)],
            [None, 1, 1, 3, 3],
            id="new root failures, from the second look on: the first may miss Flink's count",
        ),
        pytest.param(
            [told(failed=(1, 2), now=10), told(failed=(1, 2), now=25), told(failed=(1, 2, 30), now=40)],
            [None, 2, 3],
            id="first sight: what the history holds",
        ),
        pytest.param(
            [
                told(failed=(1,), now=10),
                told(failed=(1,), now=25),
                told(failed=(), now=40, jobmanager=35),
                told(failed=(45,), now=55, jobmanager=35),
                told(failed=(45, 60), now=70, jobmanager=35),
            ],
            [None, 1, 1, 2, 3],
            id="over a JobManager that takes over",
        ),
        pytest.param(
            [told(now=10, epoch=0), told(now=25, epoch=0), told(now=40, epoch=30), told(now=55, epoch=None)],
            [None, 0, 1, 1],
            id="no history either: entries into RUNNING",
        ),
        pytest.param(
            [
                told(now=10, epoch=0),
                told(now=25, epoch=0),
                told(now=40, epoch=38, jobmanager=35),
                told(now=55, epoch=38, jobmanager=35),
                told(now=70, epoch=60, jobmanager=35),
            ],
            [None, 0, 0, 0, 1],
            id="of which a JobManager that takes over makes one that is no restart",
        ),
        pytest.param(
            [
                told(failed=(), now=10, epoch=0),
                told(failed=(), now=25, epoch=0),
                told(now=40, epoch=30),
                told(failed=(28,), now=55, epoch=30),
            ],
            [None, 0, 0, 1],
            id="a history that fails once is made up for, not counted twice",
        ),
        pytest.param(
            [told(failed=(5,), now=10), told(failed=(5,), now=25), told(9, failed=(5, 30), now=40), told(10, now=55)],
            [None, 1, 2, 3],
            id="Flink's count comes late: what it says more is told from then on",
        ),
        pytest.param(
            [told(3, failed=(5,), now=10), told(failed=(5, 20), now=25), told(4, failed=(5, 20), now=40)],
            [3, 3, 4],
            id="it is missing only for a look: nothing else counts",
        ),
        pytest.param(
            [told(3, failed=(), now=10), *(told(failed=(20,), now=now) for now in (25, 40, 55)), told(4, now=70)],
            [3, 3, 3, 3, 4],
            id="nor where it is missing for longer: it comes back",
        ),
        pytest.param(
            [
                told(3, failed=(5,), now=10),
                told(failed=(28,), now=30, jobmanager=25),
                told(failed=(28, 40), now=45, jobmanager=25),
                told(2, failed=(28, 40), now=60, jobmanager=25),
                told(3, failed=(28, 40, 70), now=75, jobmanager=25),
            ],
            [3, 4, 5, 5, 6],
            id="of another JobManager it comes late: what was counted already is not counted again",
        ),
    ],
)
def test_where_flink_does_not_count(jobs: list[Job], expected: list[float | None]) -> None:
    assert totals(jobs) == expected


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        pytest.param(every([7]), 0, id="what was before first sight is not recent"),
        pytest.param(every([7, 8, 8, 9]), 2, id="since then"),
        pytest.param([told(0, now=0), told(1, now=100), told(1, now=700)], 1, id="seen 600 s ago"),
        pytest.param([told(0, now=0), told(1, now=100), told(1, now=701)], 0, id="seen 601 s ago"),
        pytest.param([told(0, now=0), told(1, now=900)], 1, id="a look every 15 min: since the last"),
        pytest.param([told(0, now=0), told(1, now=900), told(1, now=1800)], 0, id="and not since the one before"),
        # 2 at 0 s, 3 from 590 s on, 5 at 605 s: 600 s before that it was 2.
        pytest.param([told(2, now=0), told(3, now=590), told(5, now=605)], 3, id="just within"),
        pytest.param(
            [told(4, now=0), told(2, now=15, jobmanager=10), told(2, now=30, jobmanager=10)], 2, id="takeover"
        ),
        pytest.param(every([*range(100)]), 41, id="one a look, of which 41 were in 10 minutes: 99 - 58"),
        pytest.param(every([*range(700)], seconds=1), 601, id="one a second, that of 600 s ago too"),
    ],
)
def test_recent(jobs: list[Job], expected: float) -> None:
    assert run(SIGNAL, seen(jobs))[RECENT] == expected


def late(restarts: float, *, now: float, failed: Iterable[float], counted_at: float | None) -> Job:
    """A job whose restarts Flink counted a while ago, and whose failures it tells as they are now."""
    return replace(told(restarts, now=now, failed=failed), counted_at=counted_at)


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        pytest.param(
            [
                late(0, now=10, failed=(), counted_at=8),
                late(0, now=25, failed=(20,), counted_at=8),
                late(1, now=40, failed=(20,), counted_at=38),
            ],
            [0, 1, 1],
            id="a failure since the count is a restart that the count will hold",
        ),
        pytest.param(
            [late(0, now=10, failed=(), counted_at=8), late(1, now=25, failed=(20,), counted_at=19)],
            [0, 1],
            id="one of the second in which it was taken may be in it",
        ),
        pytest.param(
            [late(0, now=10, failed=(), counted_at=None), late(0, now=25, failed=(20,), counted_at=None)],
            [0, 0],
            id="nobody knows when it was taken",
        ),
    ],
)
def test_a_count_of_a_while_ago(jobs: list[Job], expected: list[float]) -> None:
    assert totals(jobs) == expected


# The strategy

FIXED = RestartStrategy(kind="fixed-delay", attempts=3, delay=5.0)
RATE = RestartStrategy(kind="failure-rate", attempts=3, interval=60.0, delay=2.0)
EXPONENTIAL = RestartStrategy(kind="exponential-delay", delay=1.0, longest_delay=10.0, multiplier=2.0, reset_after=60.0)


def after(strategy: RestartStrategy, failed: Sequence[float], *, now: float) -> dict[str, float]:
    """What is said of a job at first sight that has failed so."""
    return run(SIGNAL, seen([told(len(failed), failed=failed, strategy=strategy, now=now)]))


@pytest.mark.parametrize("strategy", [FIXED, RATE, EXPONENTIAL, RestartStrategy(kind="none")], ids=lambda one: one.kind)
def test_which_strategy(strategy: RestartStrategy) -> None:
    assert after(strategy, [], now=10)[f"job_restart_strategy_info{{{strategy.kind}}}"] == 1


@pytest.mark.parametrize(
    ("strategy", "failed", "now", "expected"),
    [
        pytest.param(FIXED, [], 100, 3, id="fixed-delay: 3"),
        pytest.param(FIXED, [10], 100, 2, id="fixed-delay: 3 - 1"),
        pytest.param(FIXED, [10, 20], 100, 1, id="fixed-delay: 3 - 2"),
        pytest.param(FIXED, [10, 20, 30], 10_000, 0, id="fixed-delay: 3 - 3, and time does not help"),
        pytest.param(FIXED, [10, 20, 30, 40], 100, 0, id="fixed-delay: never less than none"),
        pytest.param(replace(FIXED, attempts=None), [10], 100, None, id="fixed-delay without end"),
        pytest.param(RATE, [], 100, 3, id="failure-rate: 3"),
        pytest.param(RATE, [50, 60], 100, 1, id="failure-rate: 3 - 2 of the last minute"),
        pytest.param(RATE, [40, 60], 100, 1, id="failure-rate: one a minute ago still counts"),
        pytest.param(RATE, [39, 60], 100, 2, id="failure-rate: one of longer ago does not"),
        pytest.param(RATE, [50, 60, 70, 80], 100, 0, id="failure-rate: never less than none"),
        pytest.param(EXPONENTIAL, [50, 60], 100, None, id="exponential-delay without end"),
        # Its 4th restart would be one too many: attempts 3.
        pytest.param(replace(EXPONENTIAL, attempts=3), [], 100, 3, id="exponential-delay: 3"),
        pytest.param(replace(EXPONENTIAL, attempts=3), [0, 5, 10], 20, 0, id="exponential-delay: 3 - 3"),
        # The third waits 4 s from 10 on, and peace lasts 60 s from 14 on.
        pytest.param(replace(EXPONENTIAL, attempts=3), [0, 5, 10], 73, 0, id="exponential-delay: not yet peace"),
        pytest.param(replace(EXPONENTIAL, attempts=3), [0, 5, 10], 74, 3, id="exponential-delay: all of them again"),
        pytest.param(RestartStrategy(kind="none"), [], 100, 0, id="none: 0"),
    ],
)
def test_the_budget(strategy: RestartStrategy, failed: list[float], now: float, expected: float | None) -> None:
    assert after(strategy, failed, now=now).get(BUDGET) == expected


def test_a_jobmanager_that_takes_over_begins_a_new_budget() -> None:
    looks = [
        told(2, failed=(10, 20), strategy=FIXED, now=30),
        told(2, failed=(), strategy=FIXED, now=45, jobmanager=40),  # its store still holds what the other counted
        told(0, failed=(), strategy=FIXED, now=60, jobmanager=40),
        told(1, failed=(70,), strategy=FIXED, now=75, jobmanager=40),
    ]
    assert [run(SIGNAL, seen(looks[: number + 1]))[BUDGET] for number in range(4)] == [1, 3, 3, 2]


def test_a_budget_of_more_failures_than_flink_remembers() -> None:
    """The history holds 16, the strategy counts 20 in an hour."""
    strategy = replace(RATE, attempts=20, interval=3600.0)
    failed = [10.0 * number for number in range(1, 19)]
    looks = [
        told(number, failed=failed[:number][-16:], strategy=strategy, now=10.0 * number + 5) for number in range(19)
    ]
    assert run(SIGNAL, seen(looks))[BUDGET] == 2  # 20 - 18


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        pytest.param(told(now=10, strategy=FIXED), None, id="fixed-delay: neither count nor history"),
        pytest.param(told(1, now=10, strategy=FIXED), 2, id="fixed-delay: by the count"),
        pytest.param(told(now=10, failed=(5,), strategy=FIXED), 2, id="fixed-delay: by the history"),
        pytest.param(told(1, now=10, failed=(5, 7), strategy=FIXED), 1, id="fixed-delay: by what is ahead"),
        pytest.param(told(5, rescales=4, now=10, strategy=FIXED), 2, id="fixed-delay: a rescale uses nothing up"),
        pytest.param(told(1, now=10, strategy=RATE), None, id="failure-rate: a count without times"),
        pytest.param(
            told(1, now=10, strategy=replace(EXPONENTIAL, attempts=3)), None, id="exponential-delay: likewise"
        ),
        pytest.param(told(now=10, strategy=RestartStrategy(kind="none")), 0, id="none needs no more"),
        pytest.param(told(1, now=10), None, id="no strategy was told"),
    ],
)
def test_a_budget_by_what_is_known(job: Job, expected: float | None) -> None:
    assert run(SIGNAL, seen([job])).get(BUDGET) == expected


@pytest.mark.parametrize(
    ("failed", "now", "expected"),
    [
        pytest.param([], 5, 1, id="none yet: the first wait"),
        pytest.param([0], 5, 2, id="one"),
        pytest.param([0, 10], 15, 4, id="two"),
        pytest.param([0, 10, 20], 25, 8, id="three"),
        pytest.param([0, 10, 20, 30], 45, 10, id="four: never longer than the longest"),
        pytest.param([0, 10, 20, 30, 50], 65, 10, id="five"),
        # The last wait was over 1 s after it: peace of 60 s from then on.
        pytest.param([0], 60.999, 2, id="peace, but 1 ms too short"),
        pytest.param([0], 61, 1, id="peace for long enough"),
        pytest.param([0, 60.999], 65, 4, id="a failure 1 ms before that raises it further"),
        pytest.param([0, 61], 65, 2, id="a failure at the end of it begins anew"),
        pytest.param([0, 61, 122], 125, 2, id="each time"),
        pytest.param([0, 5, 66.999], 75, 8, id="after two waits: 2 s and 60 s, 1 ms too short"),
        pytest.param([0, 5, 67], 75, 2, id="after two waits, long enough"),
        pytest.param([0, 5, 67, 70], 75, 4, id="and it rises again"),
        # The second comes while the first is waited for, the third right at its end, the fourth after it.
        pytest.param([0, 1], 5, 2, id="what fails at the end of a wait is part of it"),
        pytest.param([0, 0.5, 1, 1.001], 5, 4, id="what fails while Flink waits is waited for already"),
        pytest.param([0, 5, 66.999, 67], 75, 8, id="likewise after the third"),
    ],
)
def test_the_backoff_of_exponential_delay(failed: list[float], now: float, expected: float) -> None:
    assert after(EXPONENTIAL, failed, now=now)[BACKOFF] == expected


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        pytest.param(FIXED, 5, id="fixed-delay"),
        pytest.param(RATE, 2, id="failure-rate"),
        pytest.param(RestartStrategy(kind="none"), None, id="none: there is no next restart"),
    ],
)
def test_the_backoff_of_others(strategy: RestartStrategy, expected: float | None) -> None:
    assert after(strategy, [0, 5, 10], now=15).get(BACKOFF) == expected


def test_a_backoff_that_nobody_knows_is_absent() -> None:
    assert BACKOFF not in run(SIGNAL, seen([told(3, now=10, strategy=EXPONENTIAL)]))


def test_a_backoff_outlives_a_look_that_failed() -> None:
    looks = [told(1, failed=(0,), now=5, strategy=EXPONENTIAL), told(1, now=20, strategy=EXPONENTIAL)]
    assert run(SIGNAL, seen(looks))[BACKOFF] == 2


# Availability


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        pytest.param([told(now=100)], None, id="one look is no time"),
        pytest.param([told(now=100), told(now=115)], 1, id="it ran all the time"),
        # Failed at 103, ran again at 109: 3 + 6 of 15 s.
        pytest.param([told(now=100), told(failed=(103,), epoch=109, now=115)], 9 / 15, id="down for 6 s in between"),
        # Of three failures it is sure only that it ran until the first, and since the last entry into RUNNING.
        pytest.param(
            [told(now=100), told(failed=(103, 105, 107), epoch=109, now=115)], 9 / 15, id="several in between"
        ),
        pytest.param(
            [told(now=100), told(failed=(103,), epoch=None, state="RESTARTING", now=115)], 3 / 15, id="still down"
        ),
        # 3 of 15 s, 0 of 15 s, 10 of 15 s
        pytest.param(
            [
                told(now=100),
                told(failed=(103,), epoch=None, state="RESTARTING", now=115),
                told(failed=(103,), epoch=None, state="RESTARTING", now=130),
                told(failed=(103,), epoch=135, now=145),
            ],
            13 / 45,
            id="down for three looks",
        ),
        # It was down at 100, ran at 105, failed at 108 and runs since 111: only the last is sure.
        pytest.param(
            [
                told(epoch=None, state="RESTARTING", failed=(98,), now=100),
                told(failed=(98, 108), epoch=111, now=115),
            ],
            4 / 15,
            id="it had been down: what it ran before the next failure is not known",
        ),
        pytest.param([told(now=100), told(epoch=112, now=115)], 3 / 15, id="no failure told: only since RUNNING"),
        pytest.param(
            [told(epoch=None, state="INITIALIZING", now=100), told(epoch=110, now=115)], 5 / 15, id="starting"
        ),
        # Looked at again after 30 min, of which it was down for 60 s.
        pytest.param([told(now=0), told(failed=(600,), epoch=660, now=1800)], 1740 / 1800, id="a long time between"),
        pytest.param([told(now=100), told(now=100)], None, id="the same look twice"),
        pytest.param([told(now=100), told(now=90)], None, id="a clock that was set back"),
        pytest.param([told(now=100), told(now=115, epoch=120)], 0, id="RUNNING after the look"),
    ],
)
def test_availability(jobs: list[Job], expected: float | None) -> None:
    assert run(SIGNAL, seen(jobs)).get(AVAILABILITY) == (None if expected is None else pytest.approx(expected))


def test_only_the_last_hour_is_available_or_not() -> None:
    """It was down for the first 10 minutes, and again for 25 s half an hour ago."""
    looks = [told(now=now, epoch=None, state="RESTARTING") for now in range(0, 600, 60)]
    looks += [told(now=now, epoch=600) for now in range(600, 3000, 60)]
    looks += [told(now=3000, epoch=2970, failed=(2945,))]
    looks += [told(now=now, epoch=2970, failed=(2945,)) for now in range(3060, 4860, 60)]
    # 2970 - 2945 = 25 s of 3600
    assert run(SIGNAL, seen(looks))[AVAILABILITY] == pytest.approx(1 - 25 / 3600)


def test_a_job_that_has_ended_says_nothing() -> None:
    before = told(1, failed=(5,), strategy=FIXED, now=15)
    assert run(SIGNAL, seen([before, told(now=30, epoch=None, state="FAILED")])) == {}
