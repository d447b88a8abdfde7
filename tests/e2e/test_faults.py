"""Does the exporter name what brought a job down, and know how often it may still restart?

On a real Flink with its default scheduler. What is counted is ordered here, so that it is known; what Flink decides,
such as how long it waits, is taken from its raw replies. The tests that end things come last, in the order in which
they stand.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exporter.demo import distribution
from exporter.demo.cluster import FlinkCluster
from exporter.signals._scenarios import SCENARIOS
from tests.e2e.faults import (
    FAILURES,
    IMPATIENT,
    LOSSES,
    MODES,
    RESTARTS,
    STATE,
    Job,
    Scene,
    fixed_delay,
    stage,
)
from tests.e2e.running import Published, eventually, raw

pytestmark = pytest.mark.flink

BUDGET = "flink_health_job_restart_budget_remaining"
BACKOFF = "flink_health_job_restart_backoff_seconds"
STRATEGY = "flink_health_job_restart_strategy_info"
LAST = "flink_health_job_failure_last_timestamp_seconds"
AVAILABILITY = "flink_health_job_availability_ratio"
METRICS_AGE = "flink_health_cluster_rest_metrics_age_seconds"
UP = "flink_health_cluster_up"
SYMPTOM = "flink_health_job_symptom"
CHECKPOINT_FAILURES = "flink_health_job_checkpoint_failures_total"

FAILURE_RATE = {
    "restart-strategy.type": "failure-rate",
    "restart-strategy.failure-rate.max-failures-per-interval": "2",
    "restart-strategy.failure-rate.failure-rate-interval": "15 s",
    "restart-strategy.failure-rate.delay": "500 ms",
}
EXPONENTIAL = {
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "1 s",
    "restart-strategy.exponential-delay.max-backoff": "3 s",
    "restart-strategy.exponential-delay.backoff-multiplier": "2.0",
    "restart-strategy.exponential-delay.reset-backoff-threshold": "10 s",
    "restart-strategy.exponential-delay.jitter-factor": "0.0",
}

# A step that waits for each record holds the barriers of checkpoints back.
WAITING = """
CREATE TABLE visits (visitor BIGINT, agent STRING) WITH (
    'connector' = 'datagen', 'rows-per-second' = '1000',
    'fields.visitor.min' = '1', 'fields.visitor.max' = '1000', 'fields.agent.length' = '200'
);
CREATE TABLE profiles (profile BIGINT, visits BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO profiles
SELECT look_up(visitor, 20), visits FROM (SELECT visitor, COUNT(agent) AS visits FROM visits GROUP BY visitor)
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("faults")
    config = {**IMPATIENT, "slot.request.timeout": 4000}
    with stage(folder, FlinkCluster(distribution.find(), taskmanagers=2, slots=12, config=config)) as here:
        yield here


@pytest.fixture(scope="module")
def patient(scene: Scene) -> Job:
    """A job that is restarted whatever happens."""
    return scene.run("patient", fixed_delay(1000))


def failures(page: Published, mode: str, job: Job) -> dict[str, float]:
    """How often what happened, of the scenarios that did."""
    counts = {scenario: page.one(FAILURES, cluster=mode, job_id=job.id, scenario=scenario) for scenario in SCENARIOS}
    return {scenario: count for scenario, count in counts.items() if count}


def checkpoint_failures(page: Published, mode: str, job: Job) -> dict[str, float]:
    """Likewise of checkpoints, but for those that began before the tasks ran."""
    return {
        sample.labels["reason"]: sample.value
        for sample in page.samples
        if sample.name == CHECKPOINT_FAILURES
        and (sample.labels["cluster"], sample.labels["job_id"]) == (mode, job.id)
        and sample.labels["reason"] != "declined_not_ready"
        and sample.value
    }


# What brought the job down


def test_each_failure_counts_once_as_what_it_was(scene: Scene, patient: Job) -> None:
    expected: dict[str, float] = {}
    scene.in_both(lambda page, mode: page.all(FAILURES, cluster=mode, job_id=patient.id), "it to be watched")
    for wish, scenario in (
        ("throw", "user_code"),
        ("no number", "serialization"),
        ("load", "class_loading"),
        ("allocate", "out_of_memory"),
        ("throw", "user_code"),
    ):
        patient.wish(wish)
        expected[scenario] = expected.get(scenario, 0) + 1
        scene.in_both(
            lambda page, mode: failures(page, mode, patient) == expected, f"{scenario} to be counted: {expected}"
        )
        scene.wait_until_running(patient)
        (latest, *_) = scene.root_failures(patient)
        scene.shows(LAST, latest["timestamp"] / 1000, job_id=patient.id, scenario=scenario)
    scene.shows(RESTARTS, sum(expected.values()), job_id=patient.id)


def test_a_checkpoint_that_takes_too_long_is_a_timeout_of_the_job_and_of_the_checkpoint(scene: Scene) -> None:
    settings = {
        "parallelism.default": "1",
        "execution.checkpointing.timeout": "1 s",
        "execution.checkpointing.tolerable-failed-checkpoints": "0",
    }
    late = scene.submit("late", {**fixed_delay(1000), **settings}, WAITING)

    def both_counted(page: Published, mode: str) -> bool:
        counts = failures(page, mode, late), checkpoint_failures(page, mode, late)
        times = counts[0].get("checkpoint_timeout", 0)
        return times >= 2 and counts == ({"checkpoint_timeout": times}, {"expired": times})

    scene.in_both(both_counted, "each checkpoint that expired to be a failure of both kinds")
    for failure in scene.root_failures(late):
        assert "Checkpoint expired before completing" in failure["stacktrace"]
    scene.cancel(late)


def test_a_checkpoint_folder_that_is_gone_is_a_failure_of_the_storage(scene: Scene) -> None:
    folder = scene.folder / "checkpoints"
    settings = {
        "execution.checkpointing.dir": folder.as_uri(),
        "execution.checkpointing.tolerable-failed-checkpoints": "0",
        "execution.checkpointing.data-inline-threshold": "1 b",  # or so little state would not go to the folder
    }
    homeless = scene.run("homeless", {**fixed_delay(1000), **settings})
    own = folder / homeless.id
    eventually(lambda: list(own.glob("chk-*/*")), "a checkpoint")
    own.rename(folder / "taken-away")
    own.write_text("a file where the folder was")
    # First the next checkpoint fails, then each attempt to read the last one.
    scene.in_both(
        lambda page, mode: (
            set(failures(page, mode, homeless)) == {"storage"}
            and failures(page, mode, homeless)["storage"] >= 3
            and checkpoint_failures(page, mode, homeless) == {"storage": 1}
        ),
        "the storage to be what failed",
    )
    scene.cancel(homeless)
    own.unlink()


# How often it may still be


def test_the_strategy_is_that_of_the_job(scene: Scene) -> None:
    cases: list[tuple[Mapping[str, str], str, list[float], list[float]]] = [
        (fixed_delay(7), "fixed-delay", [7], [1]),
        (FAILURE_RATE, "failure-rate", [2], [0.5]),
        (EXPONENTIAL, "exponential-delay", [], [1]),  # tries without end
        ({"restart-strategy.type": "none"}, "none", [0], []),  # and so never waits
        ({}, "exponential-delay", [], [1]),  # Flink's own default where there are checkpoints
    ]
    jobs = [
        scene.submit(f"strategy-{number}", {"parallelism.default": "1", **settings})
        for number, (settings, *_) in enumerate(cases)
    ]
    for job, (_, strategy, budget, backoff) in zip(jobs, cases, strict=True):
        scene.shows(STRATEGY, 1, job_id=job.id)
        page = scene.exporter.page()
        for mode in MODES:
            assert page.all(STRATEGY, cluster=mode, job_id=job.id, strategy=strategy) == [1]
            assert page.all(BUDGET, cluster=mode, job_id=job.id) == budget
            assert page.all(BACKOFF, cluster=mode, job_id=job.id) == backoff
    for job in jobs:
        scene.cancel(job)


def test_a_fixed_delay_counts_down_and_then_the_job_is_gone(scene: Scene) -> None:
    job = scene.run("thrice", fixed_delay(3))
    for left in (3, 2, 1, 0):
        scene.shows(BUDGET, left, job_id=job.id)
        scene.shows(RESTARTS, 3 - left, job_id=job.id)
        scene.wait_until_running(job)
        job.wish("throw")
    scene.shows(STATE, 1, job_id=job.id, state="FAILED")
    page = scene.exporter.page()
    assert page.names_of(job_id=job.id) == {STATE, SYMPTOM}
    assert page.all(SYMPTOM, job_id=job.id) == page.all(SYMPTOM, job_id=job.id, symptom="job_failed")
    for mode in MODES:
        told = eventually(partial(told_of_the_end, scene, mode, job), "what brought it down", 30)
        assert told["stories"] == ["The job has failed for good: user code."]
        assert told["downfall"]["exception"] == "java.lang.IllegalStateException"
        assert told["downfall"]["at"] == scene.root_failures(job)[0]["timestamp"] / 1000


def told_of_the_end(scene: Scene, mode: str, job: Job) -> Any:
    """What is told of a job once it is known what brought it down."""
    told = raw(f"{scene.exporter.url}/api/v1/clusters/{mode}/jobs/{job.id}")["health"]
    return told if told["downfall"] else None


def test_a_failure_rate_refills_with_time(scene: Scene) -> None:
    job = scene.run("twice-in-15s", FAILURE_RATE)
    for left in (2, 1):
        scene.shows(BUDGET, left, job_id=job.id)
        job.wish("throw")
        scene.wait_until_running(job)
    scene.shows(BUDGET, 0, job_id=job.id)
    scene.shows(BUDGET, 2, job_id=job.id)
    latest = scene.root_failures(job)[0]["timestamp"] / 1000
    assert time.time() - latest >= 15
    scene.cancel(job)


def test_an_exponential_delay_grows_and_is_reset_by_peace(scene: Scene) -> None:
    job = scene.run("growing", EXPONENTIAL)
    for expected in (1, 2, 3, 3):  # 3 is the most
        scene.shows(BACKOFF, expected, job_id=job.id)
        assert seconds_until_restart(scene, job) == pytest.approx(expected, abs=0.8)
    scene.shows(BACKOFF, 3, job_id=job.id)
    scene.shows(BACKOFF, 1, job_id=job.id)  # after 10 s without a failure
    for expected in (1, 2):
        scene.shows(BACKOFF, expected, job_id=job.id)
        assert seconds_until_restart(scene, job) == pytest.approx(expected, abs=0.8)
    scene.shows(BACKOFF, 3, job_id=job.id)
    scene.cancel(job)


def seconds_until_restart(scene: Scene, job: Job) -> float:
    """Lets the job fail: how long Flink really waits."""
    before = scene.says(f"/jobs/{job.id}")["timestamps"]["RESTARTING"]
    job.wish("throw")

    def waited() -> float:
        timestamps = scene.says(f"/jobs/{job.id}")["timestamps"]
        assert before < timestamps["RESTARTING"] < timestamps["RUNNING"]
        seconds: float = (timestamps["RUNNING"] - timestamps["RESTARTING"]) / 1000
        return seconds

    found = eventually(waited, "it to restart")
    scene.wait_until_running(job)
    return found


# From here on the cluster suffers.


def test_a_job_that_finds_no_slots_lacks_resources(scene: Scene) -> None:
    hungry = scene.submit("hungry", {**fixed_delay(1000), "parallelism.default": "64"})
    scene.in_both(
        lambda page, mode: set(failures(page, mode, hungry)) == {"resources"}, "the lack of slots to be named", 60
    )
    scene.cancel(hungry)


def test_a_lost_taskmanager_is_counted_and_is_what_brought_its_jobs_down(scene: Scene, patient: Job) -> None:
    before = counts(scene, patient)
    scene.flink.kill_taskmanager(scene.host(patient))
    one_more_loss(scene, patient, before)
    scene.flink.start_taskmanager()


def test_restarts_are_counted_while_flinks_own_metrics_stand_still(scene: Scene, patient: Job) -> None:
    scene.wait_until_running(patient)
    before = counts(scene, patient)
    # Flink fetches all metrics together, and waits up to 10 minutes for a TaskManager that hangs while it is asked. One
    # that is killed may be given up at once, so this one hangs until it was counted.
    host = scene.host(patient)
    os.kill(scene.flink.taskmanagers[host].pid, signal.SIGSTOP)
    scene.in_both(lambda page, mode: page.one(METRICS_AGE, cluster=mode) > 4, "Flink's metrics to stand still")

    def counted(page: Published, mode: str) -> bool:
        restarts = page.one(RESTARTS, cluster=mode, job_id=patient.id)
        assert page.one(METRICS_AGE, cluster=mode) > 4
        return (restarts, page.one(LOSSES, cluster=mode)) == (before.restarts + 1, before.losses + 1)

    scene.in_both(counted, "the restart to be counted meanwhile", 60)
    scene.flink.kill_taskmanager(host)
    one_more_loss(scene, patient, before)
    scene.flink.start_taskmanager()


def test_a_new_jobmanager_that_knows_no_taskmanagers_yet_has_not_lost_them(scene: Scene) -> None:
    page = scene.exporter.page()
    losses = {mode: page.one(LOSSES, cluster=mode) for mode in MODES}
    scene.flink.kill_jobmanager()
    scene.shows(UP, 0)
    scene.flink.start_jobmanager()  # without high availability its jobs are forgotten
    scene.shows("flink_health_cluster_taskmanagers", 2)
    scene.in_both(lambda page, mode: page.one(LOSSES, cluster=mode) == losses[mode], "no loss to be counted")


def test_the_log_has_no_traceback(scene: Scene) -> None:
    log = Path(scene.exporter.log).read_text()
    assert "Traceback" not in log
    assert "level=error" not in log


class Counts(NamedTuple):
    """What was counted until now, by mode: the same in both."""

    losses: float
    restarts: float
    failures: dict[str, float]


def counts(scene: Scene, job: Job) -> Counts:
    page = scene.exporter.page()
    reporter, rest = (
        Counts(
            page.one(LOSSES, cluster=mode),
            page.one(RESTARTS, cluster=mode, job_id=job.id),
            failures(page, mode, job),
        )
        for mode in MODES
    )
    assert reporter == rest
    return reporter


def one_more_loss(scene: Scene, job: Job, before: Counts) -> None:
    """Waits until one more TaskManager, and nothing else, is lost; then until the job is back."""
    lost = {**before.failures, "taskmanager_lost": before.failures.get("taskmanager_lost", 0) + 1}
    expected = Counts(before.losses + 1, before.restarts + 1, lost)
    eventually(lambda: counts(scene, job) == expected, f"{expected}", 60)
    scene.in_both(lambda page, mode: page.one(AVAILABILITY, cluster=mode, job_id=job.id) < 1, "the job to be missed")
    scene.wait_until_running(job)
    page = scene.exporter.page()
    missed = {mode: page.one(AVAILABILITY, cluster=mode, job_id=job.id) for mode in MODES}
    scene.in_both(
        lambda page, mode: page.one(AVAILABILITY, cluster=mode, job_id=job.id) > missed[mode], "it to recover"
    )
    assert counts(scene, job) == expected
