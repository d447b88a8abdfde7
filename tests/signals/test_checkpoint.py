"""Are checkpoints judged against what is normal for their job, and each failure counted once and for what it was?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from exporter.model import CheckpointSettings, Job, Part
from exporter.signals.checkpoint import SIGNAL, reason
from tests.signals.build import (
    SETTINGS,
    Entry,
    Look,
    completed,
    derived,
    failed,
    in_progress,
    job,
    run,
    savepoint,
    vertex,
)

DECLINED = "Checkpoint was declined."
NOT_READY = "Checkpoint was declined (tasks not ready)"
STORAGE = "Failure to finalize checkpoint."
OFF = replace(SETTINGS, interval=None)

REASONS = ("expired", "declined_not_ready", "storage", "task_failure", "declined", "other")


def once(job: Job) -> dict[str, float]:
    """What is said of a job at first sight."""
    return run(SIGNAL, [(job, job.now)])


def seen(*jobs: Job) -> list[Look]:
    return [(job, job.now) for job in jobs]


def pick(said: dict[str, float], *names: str) -> dict[str, float]:
    """Of what was said that which is asked for, where it was said."""
    return {name: said[f"job_checkpoint_{name}"] for name in names if f"job_checkpoint_{name}" in said}


DURATIONS = ("duration_seconds", "duration_baseline_seconds", "duration_ratio")


def durations(last: float | None, baseline: float | None, ratio: float | None) -> dict[str, float]:
    found = zip(DURATIONS, (last, baseline, ratio), strict=True)
    return {name: value for name, value in found if value is not None}


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        # 20 / 10
        pytest.param(job(checkpoints=[10, 10, 10, 10, 10, 20]), durations(20, 10, 2), id="twice the normal"),
        # the median of 10, 11, 12, 13 and 60; 18 / 12
        pytest.param(job(checkpoints=[60, 12, 10, 13, 11, 18]), durations(18, 12, 1.5), id="one outlier is not normal"),
        # the median of 10, 10, 10, 20, 20, 20 is 15; 15 / 15
        pytest.param(job(checkpoints=[10, 10, 10, 20, 20, 20, 15]), durations(15, 15, 1), id="between two"),
        pytest.param(job(checkpoints=[10, 10, 10, 10, 10, 0]), durations(0, 10, 0), id="one that took no time"),
        pytest.param(job(checkpoints=[0, 0, 0, 0, 0, 10]), durations(10, 0, None), id="a normal of nought: no ratio"),
        pytest.param(job(checkpoints=[10, 10, 10, 10, 20]), durations(20, None, None), id="four before it are too few"),
        # five are completed, and Flink says that 16 is normal: 20 / 16
        pytest.param(
            job(checkpoints=[10, 10, 10, 10, 20], median=16), durations(20, 16, 1.25), id="then Flink's own median"
        ),
        pytest.param(
            job(checkpoints=[10, 10, 10, 20], median=16), durations(20, None, None), id="but not of four completed ones"
        ),
        pytest.param(
            job(checkpoints=[10, 10, 10, 10, 10, 20], median=16), durations(20, 10, 2), id="five of our own come first"
        ),
        # Flink shows ten of the fifteen, which is enough: of 1, nine times 10 and 20 the normal is 10.
        pytest.param(job(checkpoints=[*[1] * 5, *[10] * 9, 20]), durations(20, 10, 2), id="what Flink shows counts"),
        # 50 / 10
        pytest.param(
            job(checkpoints=[10, 10, 10, 10, 10, 10, in_progress(50)]),
            durations(10, 10, 5),
            id="the present one is slower",
        ),
        pytest.param(
            job(checkpoints=[10, 10, 10, 10, 10, 20, in_progress(3)]), durations(20, 10, 2), id="it has only begun"
        ),
        pytest.param(
            job(checkpoints=[10, 10, 10, 10, 10, 20, in_progress(-1)]),
            durations(20, 10, 2),
            id="it began after the look",
        ),
        # five are completed, of which Flink shows none: 30 / 10
        pytest.param(
            job(checkpoints=[10, 10, 10, 10, 10, in_progress(30)], keeps=1, median=10),
            durations(None, 10, 3),
            id="only the present one is shown",
        ),
        pytest.param(job(checkpoints=[in_progress(30)]), {}, id="the first of all: nothing to compare it with"),
        pytest.param(job(checkpoints=[]), {}, id="none yet"),
        pytest.param(
            job(checkpoints=[10, 10, 10, 10, 10, 20, savepoint(500)]),
            durations(20, 10, 2),
            id="a savepoint is not the last",
        ),
        pytest.param(
            job(checkpoints=[10, savepoint(500), 10, savepoint(500), 10, savepoint(500), 10, 10, 20]),
            durations(20, 10, 2),
            id="savepoints are not normal",
        ),
        pytest.param(
            job(checkpoints=[10, 10, 10, 10, 10, 20, savepoint(in_progress(500))]),
            durations(20, 10, 2),
            id="a savepoint in progress is not slow",
        ),
        pytest.param(
            job(checkpoints=[10, 10, 10, 10, 10, 20, failed(after=600)]),
            durations(20, 10, 2),
            id="a failed one took no time",
        ),
    ],
)
def test_the_duration_against_the_normal_one(job: Job, expected: dict[str, float]) -> None:
    assert pick(once(job), *DURATIONS) == expected


def test_the_normal_one_is_that_of_the_twenty_before() -> None:
    lasted = [*[100] * 30, *[10] * 11, 20]
    looks = seen(*(job(checkpoints=lasted[:number]) for number in range(1, len(lasted) + 1)))
    # Of the 20 before the last 9 took 100 and 11 took 10: their median is 10.
    assert pick(run(SIGNAL, looks), *DURATIONS) == durations(20, 10, 2)


def test_flink_may_show_more_than_is_remembered() -> None:
    """`web.checkpoints.history` is whatever it is set to: what was forgotten is not news."""
    entries: list[Entry | float] = [*[100.0] * 30, *[10.0] * 20, 20.0]
    looks = seen(*(job(checkpoints=entries, keeps=1000, now=5000.0 + cycle * 15) for cycle in range(4)))
    assert pick(run(SIGNAL, looks), *DURATIONS) == durations(20, 10, 2)


def test_flink_may_show_more_failures_than_are_remembered() -> None:
    entries = [failed() for _ in range(300)]
    looks = seen(*(job(checkpoints=entries, keeps=1000, now=30_000.0 + cycle * 15) for cycle in range(4)))
    assert run(SIGNAL, looks)["job_checkpoint_failures_total{expired}"] == 300


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        # 30 / 600
        pytest.param(job(checkpoints=[30]), 0.05, id="the last one"),
        # 300 / 600
        pytest.param(job(checkpoints=[30, in_progress(300)]), 0.5, id="the present one, which takes longer"),
        pytest.param(job(checkpoints=[in_progress(150)]), 0.25, id="the first of all"),
        pytest.param(job(checkpoints=[in_progress(-1)]), 0.0, id="one that began after the look"),
        pytest.param(job(checkpoints=[savepoint(300)]), None, id="only a savepoint"),
        pytest.param(job(checkpoints=[]), None, id="none yet"),
        pytest.param(job(checkpoints=[30], settings=None), None, id="the timeout was not read"),
        pytest.param(job(checkpoints=[30], settings=OFF), 0.05, id="periodic ones are off: there is a timeout still"),
    ],
)
def test_the_duration_against_the_timeout(job: Job, expected: float | None) -> None:
    assert once(job).get("job_checkpoint_timeout_ratio") == expected


def every(interval: float, *, timeout: float = 600.0, tolerable: int = 0) -> CheckpointSettings:
    return CheckpointSettings(interval=interval, timeout=timeout, tolerable_failures=tolerable)


@pytest.mark.parametrize(
    ("job", "age", "overdue"),
    [
        # triggered at 60 and 120, ended at 150: 300 - 150; 150 / (600 * 2)
        pytest.param(job(checkpoints=[10, 30], now=300), 150, 0.125, id="since the last one ended"),
        pytest.param(job(checkpoints=[10, 30, failed()], now=300), 150, 0.125, id="a failed one saves nothing"),
        # ended at 70: 300 - 70; 230 / 1200
        pytest.param(job(checkpoints=[10, savepoint(30)], now=300), 230, 230 / 1200, id="nor does a savepoint count"),
        # 300 - 200; 100 / 1200
        pytest.param(job(checkpoints=[], now=300, epoch=200), 100, 100 / 1200, id="none yet: since it runs"),
        pytest.param(job(checkpoints=[], now=300, epoch=None), None, None, id="none yet, and it does not run"),
        pytest.param(job(checkpoints=[10], now=65), 0, 0, id="ended after the look: not in the future"),
        # ended at 70: 2330 / (1000 * 2)
        pytest.param(job(checkpoints=[10], now=2400, settings=every(1000)), 2330, 1.165, id="the interval is longer"),
        # 150 / (600 * (3 + 2))
        pytest.param(
            job(checkpoints=[10, 30], now=300, settings=every(60, tolerable=3)), 150, 0.05, id="three may fail"
        ),
        pytest.param(job(checkpoints=[10], settings=OFF), None, None, id="periodic ones are off"),
        pytest.param(job(checkpoints=[10], settings=None), None, None, id="the settings were not read"),
    ],
)
def test_the_age(job: Job, age: float | None, overdue: float | None) -> None:
    said = once(job)
    assert said.get("job_checkpoint_age_seconds") == age
    assert said.get("job_checkpoint_overdue_ratio") == (None if overdue is None else pytest.approx(overdue))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        # The messages of Flink's CheckpointFailureReason.
        ("Checkpoint expired before completing.", "expired"),
        ("Checkpoint was declined (tasks not ready)", "declined_not_ready"),
        ("Not all required tasks are currently running.", "declined_not_ready"),
        ("An Exception occurred while triggering the checkpoint. IO-problem detected.", "storage"),
        ("Asynchronous task checkpoint failed.", "storage"),
        ("Failure to finalize checkpoint.", "storage"),
        ("Task has failed.", "task_failure"),
        ("The job has failed.", "task_failure"),
        ("FailoverRegion is restarting.", "task_failure"),
        ("Task local checkpoint failure.", "task_failure"),
        ("CheckpointCoordinator shutdown.", "task_failure"),
        ("Checkpoint Coordinator is suspending.", "task_failure"),
        ("Checkpoint was declined.", "declined"),
        ("Checkpoint was declined (task is closing)", "declined"),
        ("Checkpoint was declined because one input stream is finished", "declined"),
        ("Task does not support checkpointing", "declined"),
        ("Checkpoint was canceled because a barrier from newer checkpoint was received.", "declined"),
        ("Task received cancellation from one of its inputs", "declined"),
        ("Trigger checkpoint failure.", "other"),
        ("something that no version has said yet", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_why_it_failed(message: str | None, expected: str) -> None:
    assert reason(message) == expected


def totals(**counts: int) -> dict[str, float]:
    """All reasons are there from the start, so that a first failure is an increase."""
    return {f"failures_total{{{name}}}": counts.get(name, 0) for name in REASONS}


TOTALS = tuple(totals())


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([job(checkpoints=[])], totals(), id="none has failed"),
        pytest.param(
            [job(checkpoints=[10, failed(), failed(STORAGE), failed()])],
            totals(expired=2, storage=1),
            id="what Flink shows at first sight counts",
        ),
        pytest.param(
            [
                job(checkpoints=[failed()], now=300),
                job(checkpoints=[failed()], now=315),
                job(checkpoints=[failed()], now=330),
            ],
            totals(expired=1),
            id="each once, however often it is seen",
        ),
        pytest.param(
            [job(checkpoints=[failed(), 10]), job(checkpoints=[failed(), 10, failed(DECLINED)])],
            totals(expired=1, declined=1),
            id="one more",
        ),
        pytest.param(
            [job(checkpoints=[in_progress(30)]), job(checkpoints=[failed(after=600)], now=700)],
            totals(expired=1),
            id="one that was in progress",
        ),
        pytest.param(
            [
                job(checkpoints=[in_progress(30), failed(DECLINED)]),
                job(checkpoints=[failed(after=600), failed(DECLINED)], now=700),
            ],
            totals(expired=1, declined=1),
            id="one that was overtaken by the failure of a later one",
        ),
        pytest.param(
            [job(checkpoints=[], unseen=7)], totals(), id="what was before the first sight is nobody's business"
        ),
        pytest.param(
            [job(checkpoints=[10]), job(checkpoints=[10], unseen=3, now=200)],
            totals(declined_not_ready=3),
            id="counted without ever having begun",
        ),
        # 13 failed since; Flink shows the last 10; ids 2 to 4 had begun and are gone
        pytest.param(
            [job(checkpoints=[10]), job(checkpoints=[10, *[failed()] * 13])],
            totals(expired=10, other=3),
            id="begun, failed and gone between two looks",
        ),
        # 13 began since, of which ids 2 to 4 are gone; 2 more never began
        pytest.param(
            [job(checkpoints=[10]), job(checkpoints=[10, *[failed()] * 13], unseen=2)],
            totals(expired=10, other=3, declined_not_ready=2),
            id="both at once",
        ),
        # Ids 2 to 4 are gone as well, but those were completed: nothing failed that is not shown.
        pytest.param(
            [job(checkpoints=[10]), job(checkpoints=[*[10] * 4, *[failed()] * 10])],
            totals(expired=10),
            id="what is gone had not failed",
        ),
        pytest.param([job(checkpoints=[savepoint(failed())])], totals(), id="a failed savepoint does not count"),
        pytest.param(
            [job(checkpoints=[10]), job(checkpoints=[10, savepoint(failed())])],
            totals(),
            id="nor is it taken for one that was not shown",
        ),
        pytest.param(
            [
                job(checkpoints=[10, savepoint(in_progress(5))]),
                job(checkpoints=[10, savepoint(failed(after=100))], now=300),
            ],
            totals(),
            id="nor if it had begun before",
        ),
    ],
)
def test_failures(looks: Sequence[Job], expected: dict[str, float]) -> None:
    assert pick(run(SIGNAL, seen(*looks)), *TOTALS) == expected


def test_failures_outlive_the_jobmanager() -> None:
    """Its successor counts from nought and begins the job anew; the ids go on or begin anew, as the storage has it."""
    before = job(checkpoints=[10, failed(), failed()])
    # It counts three more that it did not show: nobody knows when they were.
    after = job(checkpoints=[failed(STORAGE)], unseen=3, started_at=1000.0, epoch=1001.0)
    assert pick(run(SIGNAL, seen(before, after)), *TOTALS) == totals(expired=2, storage=1)
    later = job(checkpoints=[failed(STORAGE), failed(STORAGE)], unseen=3, started_at=1000.0, epoch=1001.0)
    assert pick(run(SIGNAL, seen(before, after, later)), *TOTALS) == totals(expired=2, storage=2)


def test_a_job_under_another_id_is_another_job() -> None:
    before = job(checkpoints=[*[10] * 6, failed()])
    after = job(id="next", checkpoints=[30], started_at=1000.0, epoch=1001.0)
    said = run(SIGNAL, seen(before, after))
    assert pick(said, *TOTALS) == totals()
    assert pick(said, *DURATIONS) == durations(30, None, None)


def test_a_job_that_begins_anew_under_its_id_is_not_judged_by_what_it_was() -> None:
    """In application mode the id is always the same, and the ids of checkpoints begin at 1."""
    before = job(checkpoints=[*[10] * 6, failed(), failed()])
    after = job(checkpoints=[30, failed()], started_at=1000.0, epoch=1001.0)
    said = run(SIGNAL, seen(before, after))
    assert pick(said, *DURATIONS, "consecutive_failures", "failures_recent") == {
        "duration_seconds": 30,
        "consecutive_failures": 1,
        "failures_recent": 1,
    }


def test_a_job_that_restarts_is_judged_by_what_it_was() -> None:
    before = job(checkpoints=[10] * 6)
    after = job(checkpoints=[*[10] * 6, 20], epoch=400.0)
    assert pick(run(SIGNAL, seen(before, after)), *DURATIONS) == durations(20, 10, 2)


@pytest.mark.parametrize(
    ("checkpoints", "recent", "consecutive"),
    [
        pytest.param([], 0, 0, id="none"),
        pytest.param([10, failed(), failed(STORAGE)], 2, 2, id="two in a row"),
        pytest.param([failed(), failed(), 10], 2, 0, id="one was completed since"),
        pytest.param([10, failed(), 10, failed()], 2, 1, id="one since the last completed one"),
        pytest.param([failed(), failed()], 2, 2, id="none was ever completed"),
        pytest.param([10, failed(NOT_READY), failed(NOT_READY)], 0, 0, id="noise of the start"),
        pytest.param([10, failed(), savepoint(5)], 1, 1, id="a savepoint mends nothing"),
        pytest.param([10, savepoint(failed())], 0, 0, id="nor does one that fails break anything"),
        # They failed at 65, 125 … 725; now is 780: those since 180 are the last ten.
        pytest.param([failed()] * 12, 10, 12, id="ten minutes are recent"),
    ],
)
def test_failures_of_late(checkpoints: list[Entry | float], recent: int, consecutive: int) -> None:
    said = once(job(checkpoints=checkpoints, keeps=20))
    assert pick(said, "failures_recent", "consecutive_failures") == {
        "failures_recent": recent,
        "consecutive_failures": consecutive,
    }


@pytest.mark.parametrize(
    ("checkpoints", "expected"),
    [
        pytest.param(
            [completed(10, written=5, state=100), completed(10, written=7, state=90)],
            {"size_bytes": 7, "state_size_bytes": 90},
            id="of the last completed one; two make no trend",
        ),
        # ended at 70, 130 and 190: 60 bytes in 60 s
        pytest.param(
            [completed(10, state=100), completed(10, state=160), completed(10, state=220)],
            # 1 * 3600 / 220
            {"state_size_bytes": 220, "state_growth_bytes_per_second": 1, "state_hourly_growth_ratio": 3600 / 220},
            id="it grows by a byte a second",
        ),
        pytest.param(
            [completed(10, state=300), completed(10, state=240), completed(10, state=180)],
            # -1 * 3600 / 180
            {"state_size_bytes": 180, "state_growth_bytes_per_second": -1, "state_hourly_growth_ratio": -20},
            id="it shrinks",
        ),
        # slopes of 1 between all but the fourth: it does not move their median
        pytest.param(
            [completed(10, state=size) for size in (0, 60, 120, 9_000, 240)],
            # 1 * 3600 / 240
            {"state_size_bytes": 240, "state_growth_bytes_per_second": 1, "state_hourly_growth_ratio": 15},
            id="one outlier is no growth",
        ),
        pytest.param(
            [completed(10, state=100), completed(10), completed(10, state=220)],
            {"state_size_bytes": 220},
            id="one of three was not told: two make no trend",
        ),
        pytest.param(
            [completed(10, written=0, state=0), savepoint(completed(10, written=9, state=9))],
            {"size_bytes": 0, "state_size_bytes": 0},
            id="nought is a size; a savepoint's does not count",
        ),
        pytest.param(
            [completed(10, state=120), completed(10, state=60), completed(10, state=0)],
            {"state_size_bytes": 0, "state_growth_bytes_per_second": -1},
            id="of nothing there is no share",
        ),
        pytest.param(
            [completed(10, state=100), completed(10, state=160), completed(10, state=220), completed(10)],
            {"state_growth_bytes_per_second": 1},
            id="nor of a size that was not told",
        ),
        pytest.param([10], {}, id="none was told"),
        pytest.param([failed()], {}, id="none was completed"),
    ],
)
def test_sizes(checkpoints: list[Entry | float], expected: dict[str, float]) -> None:
    said = once(job(checkpoints=checkpoints))
    growth = ("state_growth_bytes_per_second", "state_hourly_growth_ratio")
    assert pick(said, "size_bytes", "state_size_bytes", *growth) == expected


PHASES = {"join": {"start_delay": 1.0, "alignment": 14.0, "sync": 0.5, "async": 4.0}}
LONG_NAME = "SELECT " * 20


def slow(phases: dict[str, dict[str, float]] | None, *, lasted: float = 20, name: str = "Join") -> Job:
    tasks = [vertex(id="source", source=True), vertex(id="join", name=name)]
    return job(checkpoints=[*[10] * 5, lasted], phases=phases, vertices=tasks)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        pytest.param(slow(PHASES), {"join,Join,alignment"}, id="the longest phase of the slowest task"),
        pytest.param(slow(PHASES, lasted=19), set(), id="read, but not slow: 19 / 10"),
        pytest.param(slow(None), set(), id="slow, but not read"),
        pytest.param(slow({"join": {}}), set(), id="no phase was told"),
        pytest.param(slow({"gone": {"sync": 1.0}}), set(), id="a task that is gone"),
        pytest.param(
            slow(PHASES, name=LONG_NAME), {f"join,{LONG_NAME[:80]},alignment"}, id="its name is cut as everywhere"
        ),
    ],
)
def test_the_slowest_phase(job: Job, expected: set[str]) -> None:
    said = once(job)
    found = {name for name in said if "slowest_phase" in name}
    assert found == {f"job_checkpoint_slowest_phase{{{labels}}}" for labels in expected}
    assert {said[name] for name in found} <= {1}


@pytest.mark.parametrize(
    ("job", "asked"),
    [
        pytest.param(slow(None), True, id="twice the normal"),
        pytest.param(slow(None, lasted=19), False, id="19 / 10 is not worth it"),
        pytest.param(job(checkpoints=[*[10] * 6, in_progress(20)]), True, id="the present one is slow"),
        pytest.param(job(checkpoints=[10, 100]), False, id="nobody knows what is normal"),
        pytest.param(job(), False, id="nothing was read"),
    ],
)
def test_it_looks_closer_only_at_what_is_slow(job: Job, asked: bool) -> None:
    wanted = derived(SIGNAL, seen(job)).on_demand
    assert wanted == ({("job", Part.CHECKPOINT_PHASES)} if asked else set())


def test_nothing_is_said_of_what_was_not_read() -> None:
    assert once(job()) == {}
    assert run(SIGNAL, seen(slow(PHASES), job(now=900))) == {}
    ended = job(state="FINISHED", epoch=None, settings=None, now=900)
    assert run(SIGNAL, seen(slow(PHASES), ended)) == {}


def test_counters_outlive_a_look_that_failed() -> None:
    looks = seen(job(checkpoints=[failed()]), job(now=135), job(checkpoints=[failed(), failed()]))
    assert pick(run(SIGNAL, looks), *TOTALS) == totals(expired=2)
