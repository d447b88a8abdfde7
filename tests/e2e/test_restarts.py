"""Is a restart a restart, and a failure a failure: not a rescale, not a failover, not a life that goes well?

On a real Flink whose jobs can be rescaled (adaptive scheduler) and survive their JobManager (high availability). First
a job lives through all that is no failure, while every page is looked at; then things happen that are known exactly.
The tests build on each other, in the order in which they stand.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.faults import (
    FAILURES,
    IMPATIENT,
    INTERVAL,
    LOSSES,
    MODES,
    RESTARTS,
    STATE,
    AvailableCluster,
    Job,
    Scene,
    fixed_delay,
    stage,
)
from tests.e2e.running import Published

pytestmark = pytest.mark.flink

# How long the healthy life lasts, in seconds.
LIFE = float(os.environ.get("FLINK_HEALTH_LIFE_SECONDS", "120"))

AVAILABILITY = "flink_health_job_availability_ratio"
BUDGET = "flink_health_job_restart_budget_remaining"

ADAPTIVE = {
    **IMPATIENT,
    "jobmanager.scheduler": "adaptive",
    "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout": "500 ms",
    "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling": "1 s",
    "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout": "1 s",
    "taskmanager.jvm-exit-on-oom": "true",
}
SLOTS = 8

ORDERS = """
CREATE TABLE orders (customer BIGINT, ts AS CURRENT_TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH (
    'connector' = 'datagen', 'rows-per-second' = '400',
    'fields.customer.min' = '1', 'fields.customer.max' = '1000'{bounded}
);
CREATE TABLE customers (customer BIGINT, since TIMESTAMP(3), orders BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO customers
SELECT customer, window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '5' SECOND))
GROUP BY customer, window_start, window_end
"""
ENDLESS = ORDERS.replace("{bounded}", "")
BOUNDED = ORDERS.replace("{bounded}", ", 'number-of-rows' = '4000'")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("restarts")
    cluster = AvailableCluster(run_dir=folder / "flink", config=ADAPTIVE, taskmanagers=1, slots=SLOTS)
    with stage(folder, cluster) as here:
        yield here


# A healthy life


def test_a_healthy_life_has_no_failure_and_no_restart_and_only_sane_numbers(scene: Scene) -> None:
    settings = {"execution.checkpointing.interval": "2 s"}
    first = scene.run("orders", settings, ENDLESS)
    live(scene, LIFE / 4)
    scene.rescale(first, 3)
    live(scene, LIFE / 4)
    scene.cancel(first)
    second = scene.run("orders", settings, ENDLESS)
    live(scene, LIFE / 4)
    bounded = scene.submit("orders-of-today", settings, BOUNDED)
    live(scene, LIFE / 4)
    scene.shows(STATE, 1, job_id=bounded.id, state="FINISHED")
    page = scene.exporter.page()
    for mode in MODES:
        assert page.names_of(cluster=mode, job_id=first.id) == {STATE}
        assert page.names_of(cluster=mode, job_id=bounded.id) == {STATE}
        assert page.one(STATE, cluster=mode, job_id=first.id, state="CANCELED") == 1
        assert page.one("flink_health_job_uptime_seconds", cluster=mode, job_id=second.id) > LIFE / 4
        assert max(page.all("flink_health_task_records_in_per_second", cluster=mode, job_id=second.id)) > 100
    scene.cancel(second)


def live(scene: Scene, seconds: float) -> None:
    """Looks at every page for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        look(scene.exporter.page())
        time.sleep(INTERVAL)


# What no number of a healthy job leaves.
BOUNDS: Mapping[str, tuple[float, float]] = {
    FAILURES: (0, 0),
    RESTARTS: (0, 0),
    LOSSES: (0, 0),
    "flink_health_job_restarts_recent": (0, 0),
    "flink_health_job_availability_ratio": (0, 1),
    "flink_health_job_checkpoint_consecutive_failures": (0, 0),
    "flink_health_job_checkpoint_failures_recent": (0, 0),
    "flink_health_job_checkpoint_timeout_ratio": (0, 0.1),
    "flink_health_job_checkpoint_overdue_ratio": (0, 0.5),
    "flink_health_job_checkpoint_duration_ratio": (0, 200),
    "flink_health_task_coverage_ratio": (0, 1),
    "flink_health_task_busy_max_ratio": (0, 1),
    "flink_health_task_busy_mean_ratio": (0, 1),
    "flink_health_task_backpressured_max_ratio": (0, 1),
    "flink_health_task_backpressured_mean_ratio": (0, 1),
    "flink_health_task_idle_mean_ratio": (0, 1),
    "flink_health_task_headroom_ratio": (0, 1),
    "flink_health_task_skew_ratio": (1, 3),
    "flink_health_task_skew_deviation_ratio": (0, 1),
    "flink_health_task_records_in_per_second": (0, 1000),
    "flink_health_task_records_out_per_second": (0, 1000),
    "flink_health_task_selectivity_ratio": (0, 2),
    "flink_health_task_throughput_ratio": (0, 3),
    "flink_health_task_watermark_lag_seconds": (0, 15),
    "flink_health_task_watermark_stalled_seconds": (0, 15),
    "flink_health_taskmanager_heap_used_ratio": (0, 1),
    "flink_health_taskmanager_gc_time_ratio": (0, 1),
    "flink_exporter_signal_success": (1, 1),
}


def look(page: Published) -> None:
    for sample in page.samples:
        assert math.isfinite(sample.value), sample
        if sample.name.startswith("flink_health_"):
            assert abs(sample.value) < 1e11, sample
        least, most = BOUNDS.get(sample.name, (-math.inf, math.inf))
        assert least <= sample.value <= most, sample
        if sample.name == "flink_health_job_checkpoint_failures_total":
            assert sample.value == 0 or sample.labels["reason"] == "declined_not_ready", sample


# Three failures, a rescale and a failover


@pytest.fixture(scope="module")
def job(scene: Scene) -> Job:
    return scene.run("counted", fixed_delay(10))


def happened(scene: Scene, job: Job, restarts: int, losses: int, **failures: int) -> None:
    """Waits until exactly this was counted, and sees that it stays so."""

    def exactly(page: Published, mode: str) -> bool:
        counted = {
            sample.labels["scenario"]: sample.value
            for sample in page.samples
            if sample.name == FAILURES
            and (sample.labels["cluster"], sample.labels["job_id"]) == (mode, job.id)
            and sample.value
        }
        of_job = {"cluster": mode, "job_id": job.id}
        return (page.one(RESTARTS, **of_job), page.one(LOSSES, cluster=mode), counted) == (restarts, losses, failures)

    scene.in_both(exactly, f"{restarts} restarts, {losses} losses, {failures}", 60)
    scene.wait_until_running(job)
    for _ in range(6):
        page = scene.exporter.page()
        assert [exactly(page, mode) for mode in MODES] == [True, True], (restarts, losses, failures)
        time.sleep(INTERVAL / 2)


def test_a_start_is_no_restart(scene: Scene, job: Job) -> None:
    happened(scene, job, restarts=0, losses=0)
    scene.shows(BUDGET, 10, job_id=job.id)


def test_a_failed_task_is_one(scene: Scene, job: Job) -> None:
    job.wish("throw")
    happened(scene, job, restarts=1, losses=0, user_code=1)
    scene.shows(BUDGET, 9, job_id=job.id)


def test_a_rescale_is_none_though_flink_counts_it(scene: Scene, job: Job) -> None:
    scene.rescale(job, 3)
    happened(scene, job, restarts=1, losses=0, user_code=1)
    scene.shows(BUDGET, 9, job_id=job.id)
    metrics = scene.says(f"/jobs/{job.id}/metrics?get=numRestarts,numRescales")
    assert {metric["id"]: metric["value"] for metric in metrics} == {"numRestarts": "2", "numRescales": "1"}


def test_a_killed_taskmanager_is_the_second(scene: Scene, job: Job) -> None:
    scene.flink.kill_taskmanager(0)
    scene.shows("flink_health_cluster_taskmanagers", 0)
    for mode in MODES:
        assert scene.exporter.page().one(AVAILABILITY, cluster=mode, job_id=job.id) < 1
    scene.flink.start_taskmanager()
    happened(scene, job, restarts=2, losses=1, user_code=1, taskmanager_lost=1)
    scene.shows(BUDGET, 8, job_id=job.id)
    page = scene.exporter.page()
    low = {mode: page.one(AVAILABILITY, cluster=mode, job_id=job.id) for mode in MODES}
    scene.in_both(lambda page, mode: page.one(AVAILABILITY, cluster=mode, job_id=job.id) > low[mode], "it to recover")


def test_a_killed_jobmanager_is_none_and_forgets_what_was_used_of_the_budget(scene: Scene, job: Job) -> None:
    scene.flink.kill_jobmanager()
    scene.shows("flink_health_cluster_up", 0)
    scene.flink.start_jobmanager()
    scene.wait_for_parallelism(job, 3)  # it may begin with fewer, and be rescaled by itself when all slots are there
    happened(scene, job, restarts=2, losses=1, user_code=1, taskmanager_lost=1)
    scene.shows(BUDGET, 10, job_id=job.id)


def test_a_full_heap_that_ends_a_taskmanager_is_the_third_and_a_loss(scene: Scene, job: Job) -> None:
    job.wish("hoard")
    scene.shows("flink_health_cluster_taskmanagers", 0)
    scene.flink.kill_taskmanager(0)  # it has ended by itself
    scene.flink.start_taskmanager()
    happened(scene, job, restarts=3, losses=2, user_code=1, taskmanager_lost=2)
    scene.shows(BUDGET, 9, job_id=job.id)


def test_the_log_has_no_traceback(scene: Scene) -> None:
    log = Path(scene.exporter.log).read_text()
    assert "Traceback" not in log
    assert "level=error" not in log
