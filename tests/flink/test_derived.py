"""Do the signals say of recorded jobs what is known to be wrong with them, on every version, however they are read?"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

import aiohttp
import pytest

from exporter.derive import Derived, derive
from exporter.families import Row
from exporter.history import History
from exporter.signals import SIGNALS
from tests.flink import fake
from tests.flink.fake import VERSIONS, Look, recording
from tests.flink.reading import scraper

# Beyond this a value is no time, no size and no rate: a sentinel has leaked.
_SANE = 1e15


class Said:
    """What was derived of the second look, by the names of families and the labels of their rows."""

    def __init__(self, derived: Derived) -> None:
        self.derived = derived

    def rows(self, family: str, **labels: str) -> list[tuple[Mapping[str, str], float]]:
        found = [
            (self._labels(row), row.value) for row in self.derived.rows if row.family.name == f"flink_health_{family}"
        ]
        return [(own, value) for own, value in found if labels.items() <= own.items()]

    def one(self, family: str, **labels: str) -> float:
        ((_, value),) = self.rows(family, **labels)
        return value

    def families(self, **labels: str) -> set[str]:
        return {row.family.name for row in self.derived.rows if labels.items() <= self._labels(row).items()}

    def _labels(self, row: Row) -> Mapping[str, str]:
        return dict(zip(row.family.all_labels, row.labels, strict=True))


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def derived_of(version: str, session: aiohttp.ClientSession, *, by_reporter: bool) -> Said:
    async with fake.running(version) as flink:
        reads, history = scraper(session, flink, by_reporter=by_reporter), History()
        for number in range(len(flink.looks)):
            flink.now = number
            derived = derive((await reads.scrape()).cluster, SIGNALS, history, flink.clock())
        return Said(derived)


@pytest.fixture(params=[True, False], ids=["by reporter", "by REST alone"])
async def said(request: pytest.FixtureRequest, version: str, session: aiohttp.ClientSession) -> Said:
    return await derived_of(version, session, by_reporter=request.param)


def task(look: Look, job: str, begins: str) -> str:
    """The id of the task of a job whose name begins so."""
    vertices = look.replies[f"/jobs/{look.job(job)}"]["vertices"]
    (found,) = [vertex["id"] for vertex in vertices if vertex["name"].startswith(begins)]
    return str(found)


def test_no_signal_fails(said: Said) -> None:
    assert said.derived.failures == {}


def test_no_sentinel_leaks(said: Said) -> None:
    assert [row for row in said.derived.rows if abs(row.value) > _SANE] == []


def test_every_task_was_read_whole(said: Said) -> None:
    coverage = said.rows("task_coverage_ratio")
    assert len(coverage) == 14
    assert {value for _, value in coverage} == {1.0}


def test_orders_are_skewed(said: Said, version: str) -> None:
    aggregation = task(recording(version)[0], "orders-skewed", "GroupAggregate")
    # Nine in ten have one key and the tenth is even: 0.95 / 0.5 = 1.9
    assert 1.8 < said.one("task_skew_ratio", task_id=aggregation, signal="records", job_name="orders-skewed") < 2.0
    assert (
        0.8
        < said.one("task_skew_deviation_ratio", task_id=aggregation, signal="records", job_name="orders-skewed")
        < 1.0
    )
    even = said.rows("task_skew_ratio", job_name="payments-healthy", signal="records")
    assert len(even) == 2
    assert all(value < 1.2 for _, value in even)


def test_only_jobs_with_event_time_have_a_watermark(said: Said) -> None:
    assert -1 < said.one("job_watermark_lag_seconds", job_name="payments-healthy") < 15
    for job in ("orders-skewed", "sessions-growing-state", "enrich-backpressured", "invoices-restarting"):
        assert not [name for name in said.families(job_name=job) if "watermark" in name]


def test_the_watermark_of_clicks_stands_still_where_the_mobile_ones_come_in(said: Said, version: str) -> None:
    looks = recording(version)
    lag = {
        begins: said.one(
            "task_watermark_lag_seconds",
            job_name="clicks-stalled-watermark",
            task_id=task(looks[0], "clicks-stalled-watermark", begins),
        )
        for begins in ("Source: web_clicks", "Source: mobile_clicks", "WindowAggregate")
    }
    assert lag["Source: mobile_clicks"] > lag["Source: web_clicks"] + 20
    assert lag["WindowAggregate"] == pytest.approx(lag["Source: mobile_clicks"], abs=2)
    stalled = said.one("job_watermark_stalled_seconds", job_name="clicks-stalled-watermark")
    assert stalled == pytest.approx(looks[1].taken_at - looks[0].taken_at, abs=4)


def test_the_baseline_is_the_median_of_the_history(said: Said, version: str) -> None:
    for job in ("payments-healthy", "orders-skewed", "sessions-growing-state"):
        completed = {}
        for look in recording(version):
            for entry in look.replies[f"/jobs/{look.job(job)}/checkpoints"]["history"]:
                if entry["status"] == "COMPLETED" and not entry["is_savepoint"]:
                    completed[entry["id"]] = entry["end_to_end_duration"] / 1000
        *before, last = [completed[number] for number in sorted(completed)]
        assert len(before) >= 5
        assert said.one("job_checkpoint_duration_seconds", job_name=job) == last
        baseline = said.one("job_checkpoint_duration_baseline_seconds", job_name=job)
        assert baseline == pytest.approx(median(before[-20:]))


def test_sessions_only_grow(said: Said) -> None:
    # 100 a second, each 200 bytes and what holds them.
    growth = said.one("job_checkpoint_state_growth_bytes_per_second", job_name="sessions-growing-state")
    assert 5_000 < growth < 50_000


def test_the_slow_middle_is_the_bottleneck(said: Said, version: str) -> None:
    look = recording(version)[0]
    middle = task(look, "enrich-backpressured", "GroupAggregate[36]")
    if version == "1.15":  # which counts neither busy nor backpressured time
        assert said.rows("task_bottleneck") == []
        return
    ((labels, value),) = said.rows("task_bottleneck", job_name="enrich-backpressured")
    assert (labels["task_id"], value) == (middle, 1.0)
    source = task(look, "enrich-backpressured", "Source")
    assert said.one("task_busy_mean_ratio", job_name="enrich-backpressured", task_id=middle) > 0.8
    assert said.one("task_backpressured_mean_ratio", job_name="enrich-backpressured", task_id=source) > 0.8
    assert [labels["job_name"] for labels, _ in said.rows("task_bottleneck")] == ["enrich-backpressured"]


def test_invoices_restart(said: Said) -> None:
    assert said.one("job_restarts_total", job_name="invoices-restarting") >= 3
    assert said.one("job_uptime_seconds", job_name="invoices-restarting") < 30
    assert said.one("job_restarts_total", job_name="payments-healthy") == 0


def test_a_job_that_has_ended_has_its_state_and_no_more(said: Said) -> None:
    for job, state in (("report-finished", "FINISHED"), ("backfill-canceled", "CANCELED")):
        assert said.families(job_name=job) == {"flink_health_job_state"}
        assert said.one("job_state", job_name=job, state=state) == 1


async def test_both_ways_of_reading_publish_the_same_series(version: str, session: aiohttp.ClientSession) -> None:
    def series(said: Said) -> set[tuple[str, tuple[str, ...]]]:
        # How busy a task was that is hardly busy is told by chance: Flink's own figure may fall.
        return {
            (row.family.name, row.labels)
            for row in said.derived.rows
            if not {"busy", "headroom", "capacity"} & {*row.family.name.split("_"), *row.labels}
        }

    by_reporter = series(await derived_of(version, session, by_reporter=True))
    by_rest = series(await derived_of(version, session, by_reporter=False))
    assert by_reporter == by_rest
    assert len(by_reporter) > 300
