"""What is told of a cluster and of a job, to page, JSON and report?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from exporter.families import Row
from exporter.model import Cluster, ClusterState, Failure, Failures, Job
from exporter.symptoms import verdict
from exporter.symptoms.base import Severity
from exporter.symptoms.downfall import Downfall
from exporter.symptoms.health import (
    ClusterHealth,
    Evidence,
    JobHealth,
    JobLine,
    Judged,
    TaskHealth,
    ToldFinding,
    cluster_health,
    job_health,
    waiting,
)
from exporter.symptoms.trends import TrendLine
from tests.symptoms.build import BY_NAME, cluster, found, job, row

ORDERS = job("source > map > sink")
READ = {"job_coverage_ratio": 1.0}
SKEWED = {
    "task_skew_ratio{task_id=map,signal=records}": 3.6,
    "task_skew_hottest_subtask{task_id=map,signal=records}": 3.0,
    "task_skew_hottest_subtask{task_id=map,signal=busy}": 1.0,
    "task_skew_hottest_subtask{task_id=sink,signal=records}": 2.0,
}
HEAP = {"taskmanager_heap_floor_ratio": 0.9, "taskmanager_heap_used_ratio": 0.95}
LOST = {"cluster_taskmanager_losses_recent": 1.0, "cluster_taskmanagers": 2.0}


def judged(values: Mapping[str, float], of: Cluster | None = None, *, error: str | None = None) -> Judged:
    """All that is known of some values, scores included."""
    of = cluster(ORDERS, at=100.0) if of is None else of
    rows, findings = [row(name, value) for name, value in values.items()], found(values, now=90.0)
    return Judged(
        cluster=of,
        rows=(*rows, *verdict.rows(findings), *verdict.scores(of, findings, rows)),
        findings=findings,
        trends={"job-1": [TrendLine(title="score", unit="ratio", points=((1.0, 0.5),))]},
        url="http://flink:8081",
        runbook="https://example.org/{name}.md",
        error=error,
    )


def health(values: Mapping[str, float], of: Job = ORDERS) -> JobHealth:
    told = job_health(judged(values, cluster(of, at=100.0)), of.id)
    assert told is not None
    return told


# ---- A cluster


def test_a_cluster_that_is_well() -> None:
    assert cluster_health(judged(READ)) == ClusterHealth(
        name="prod",
        url="http://flink:8081",
        state="up",
        version="2.3.0",
        taken_at=100.0,
        taskmanagers=2,
        slots=8,
        slots_free=2,
        severity=None,
        error=None,
        findings=(),
        jobs=(
            JobLine(cluster="prod", id="job-1", name="orders", state="RUNNING", score=1.0, severity=None, symptoms=()),
        ),
    )


def test_a_cluster_before_its_first_look() -> None:
    told = waiting("prod", "http://flink:8081")
    assert (told.name, told.url, told.state, told.jobs, told.findings) == (
        "prod",
        "http://flink:8081",
        "waiting",
        (),
        (),
    )
    known = (told.version, told.taken_at, told.taskmanagers, told.slots, told.slots_free, told.severity, told.error)
    assert set(known) == {None}


def test_a_cluster_that_does_not_answer_says_nothing_but_how() -> None:
    away = Cluster(name="prod", state=ClusterState.TIMEOUT, taken_at=100.0)
    told = cluster_health(judged({"cluster_up": 0.0}, away, error="no answer within 10 s"))
    assert (told.state, told.error, told.severity) == ("timeout", "no answer within 10 s", Severity.CRITICAL)
    assert (told.taskmanagers, told.slots, told.slots_free, told.version, told.jobs) == (None, None, None, None, ())
    assert [finding.symptom for finding in told.findings] == ["cluster_unreachable"]


def test_a_cluster_tells_of_itself_and_its_taskmanagers_and_of_its_jobs_in_a_line_each() -> None:
    told = cluster_health(judged({**READ, **LOST, **HEAP, **SKEWED}))
    assert [(finding.symptom, finding.about, finding.deduction) for finding in told.findings] == [
        ("taskmanager_lost", "cluster", 0.0),
        ("heap_high", "taskmanager", 0.0),
    ]
    assert [(line.id, line.score, line.severity, line.symptoms) for line in told.jobs] == [
        ("job-1", 0.75, Severity.WARNING, ("heap_high", "skew"))  # 1 - 0.15 - 0.1
    ]
    assert told.severity is Severity.WARNING


def test_a_cluster_is_as_ill_as_the_worst_of_its_jobs() -> None:
    told = cluster_health(judged({**READ, "job_failures_recent{scenario=serialization}": 3.0}))
    assert (told.severity, told.findings) == (Severity.CRITICAL, ())


def test_the_least_healthy_job_comes_first_and_what_has_ended_well_last() -> None:
    jobs = {
        "well": job("source > sink", id="well", name="b"),
        "as well": job("source > sink", id="as well", name="a"),
        "ill": job("source > sink", id="ill", name="z"),
        "finished": job(id="finished", name="a", state="FINISHED"),
        "canceled": job(id="canceled", name="b", state="CANCELED"),
        "failed": job(id="failed", name="m", state="FAILED"),
        "unknown": job(id="unknown", name="n"),
    }
    values = {
        **{f"job_coverage_ratio{{job_id={id},job_name={jobs[id].name}}}": 1.0 for id in ("well", "as well", "ill")},
        "task_skew_ratio{job_id=ill,job_name=z,signal=records}": 3.0,
        "job_state{job_id=failed,job_name=m,state=FAILED}": 1.0,
    }
    told = cluster_health(judged(values, cluster(*jobs.values())))
    assert [(line.id, line.score) for line in told.jobs] == [
        *(("failed", None), ("unknown", None), ("ill", 0.9), ("as well", 1.0), ("well", 1.0)),
        *(("finished", None), ("canceled", None)),
    ]
    assert [line.severity for line in told.jobs[:3]] == [Severity.CRITICAL, None, Severity.WARNING]


def test_a_jobs_symptoms_are_named_once_the_gravest_first_then_the_most_costly() -> None:
    values = {
        **READ,
        **SKEWED,  # a warning, 0.1
        "taskmanager_metaspace_used_ratio": 0.98,  # critical, 0.1
        "taskmanager_heap_floor_ratio": 0.9,  # a warning, 0.15
        "taskmanager_heap_floor_ratio{tm_id=tm-2}": 0.9,
    }
    both = job("source > sink", on={"sink": "tm-1 tm-2"})
    (line,) = cluster_health(judged(values, cluster(both))).jobs
    assert line.symptoms == ("metaspace_high", "heap_high", "skew")


# ---- A job


def test_a_job_in_full() -> None:
    told = health({**READ, **SKEWED})
    assert told.job == JobLine(
        cluster="prod",
        id="job-1",
        name="orders",
        state="RUNNING",
        score=0.9,
        severity=Severity.WARNING,
        symptoms=("skew",),
    )
    assert (told.taken_at, told.coverage, told.deductions) == (100.0, 1.0, {"skew": 0.1})
    assert told.web_ui == "http://flink:8081/#/job/running/job-1/overview"
    assert told.trends == (TrendLine(title="score", unit="ratio", points=((1.0, 0.5),)),)
    assert told.findings == (
        ToldFinding(
            symptom="skew",
            severity=Severity.WARNING,
            about="job",
            labels={"cluster": "prod", "job_id": "job-1", "job_name": "orders"},
            since=90.0,
            ending=False,
            summary="Records are spread unevenly: one subtask gets 3.6 times the mean",
            tasks=("map",),
            because=(),
            evidence=(
                Evidence(
                    metric="flink_health_task_skew_ratio",
                    labels={"task_id": "map", "task_name": "the map", "signal": "records"},
                    value=3.6,
                    threshold=1.8,
                ),
                Evidence(
                    metric="flink_health_task_skew_hottest_subtask",
                    labels={"task_id": "map", "task_name": "the map", "signal": "records"},
                    value=3.0,
                ),
            ),
            action=BY_NAME["skew"].action,
            runbook="https://example.org/skew.md",
            deduction=0.1,
        ),
    )


def test_there_is_nothing_to_tell_of_a_job_that_is_not_there() -> None:
    assert job_health(judged(READ), "job-9") is None
    assert job_health(judged({}, Cluster(name="prod", state=ClusterState.TIMEOUT, taken_at=0.0)), "job-1") is None


def test_evidence_has_what_is_normal_for_the_same_job_and_what_helps_to_understand_it() -> None:
    told = health(
        {
            **READ,
            "job_checkpoint_duration_ratio": 4.0,
            "job_checkpoint_duration_baseline_seconds": 10.0,
            "job_checkpoint_duration_baseline_seconds{job_id=job-2}": 99.0,
            "job_checkpoint_duration_seconds": 40.0,
            "job_checkpoint_timeout_ratio": 0.2,
            "job_checkpoint_slowest_phase{task_id=sink,phase=sync}": 1.0,
        }
    )
    (finding,) = told.findings
    assert [(line.metric.removeprefix("flink_health_job_checkpoint_"), line.value) for line in finding.evidence] == [
        *(("duration_ratio", 4.0), ("duration_seconds", 40.0), ("slowest_phase", 1.0)),
    ]
    assert [(line.normal, line.threshold) for line in finding.evidence] == [(None, 2.0), (10.0, None), (None, None)]
    assert finding.evidence[2].labels == {"task_id": "sink", "task_name": "the sink", "phase": "sync"}


def test_what_helps_to_understand_it_is_of_the_same_task() -> None:
    values = {
        **{f"task_throughput_ratio{{task_id={task}}}": value for task, value in (("map", 0.1), ("sink", 0.2))},
        **{
            f"task_throughput_baseline_per_second{{task_id={task}}}": value for task, value in (("map", 7), ("sink", 8))
        },
    }
    (finding,) = health(READ | values).findings
    told = [(line.labels["task_id"], line.value, line.threshold) for line in finding.evidence]
    assert told == [("map", 0.1, 0.5), ("sink", 0.2, 0.5), ("map", 7, None), ("sink", 8, None)]
    assert finding.tasks == ("map", "sink")


def test_of_counts_by_kind_only_those_that_count_something_are_shown() -> None:
    values = {"job_restarts_recent": 4.0, "job_failures_recent{scenario=storage}": 4.0}
    (finding,) = health({**READ, **values, "job_failures_recent{scenario=other}": 0.0}).findings
    assert [(line.labels, line.value) for line in finding.evidence] == [({}, 4.0), ({"scenario": "storage"}, 4.0)]


def test_a_count_of_nothing_that_has_no_kind_is_shown() -> None:
    (finding,) = cluster_health(
        judged({"cluster_taskmanager_losses_recent": 1.0, "cluster_taskmanagers": 0.0})
    ).findings
    assert [(line.metric, line.value) for line in finding.evidence][1:] == [("flink_health_cluster_taskmanagers", 0.0)]


def test_what_helps_to_understand_several_values_is_shown_once() -> None:
    values = {"task_bottleneck{reason=gc}": 1.0, "task_bottleneck{reason=sink}": 1.0, "task_busy_max_ratio": 0.5}
    (finding,) = health(READ | values).findings
    told = [line.metric.removeprefix("flink_health_task_") for line in finding.evidence]
    assert told == ["bottleneck", "bottleneck", "busy_max_ratio"]
    assert finding.tasks == ("map",)


def test_no_more_than_ten_tasks_are_evidence() -> None:
    values = {f"task_busy_max_ratio{{task_id=t{number}}}": 0.91 + number / 1000 for number in range(12)}
    (finding,) = health(READ | values).findings
    assert [line.labels["task_id"] for line in finding.evidence] == [f"t{number}" for number in range(11, 1, -1)]
    assert len(finding.tasks) == 12


def test_what_is_over_says_so() -> None:
    known = judged(READ | SKEWED)
    ending = replace(known, findings=[replace(finding, ending=True) for finding in known.findings])
    told = job_health(ending, "job-1")
    assert told is not None
    assert [finding.ending for finding in told.findings] == [True]


def test_a_job_tells_of_the_taskmanagers_that_it_runs_on() -> None:
    (finding,) = health(READ | HEAP).findings
    assert (finding.symptom, finding.about, finding.deduction) == ("heap_high", "taskmanager", 0.15)
    assert finding.labels == {"cluster": "prod", "tm_id": "tm-1", "host": "host of tm-1"}
    assert [(line.metric, line.labels) for line in finding.evidence] == [
        ("flink_health_taskmanager_heap_floor_ratio", {"tm_id": "tm-1", "host": "host of tm-1"}),
        ("flink_health_taskmanager_heap_used_ratio", {"tm_id": "tm-1", "host": "host of tm-1"}),
    ]
    elsewhere = job("source > sink", on={"source": "tm-2", "sink": "tm-2"})
    assert health(READ | HEAP, elsewhere).findings == ()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        pytest.param(LOST, [], id="of nothing"),
        pytest.param({**LOST, **SKEWED}, ["skew"], id="of nothing that is wrong with the job"),
        pytest.param(
            {**LOST, "job_restarts_recent": 4.0}, ["taskmanager_lost", "restarts_frequent"], id="of the job's restarts"
        ),
        pytest.param(
            {**LOST, "job_restarts_recent": 4.0, "job_restarts_total": 4.0, "job_restart_budget_remaining": 1.0},
            ["taskmanager_lost", "restarts_frequent", "restart_budget_low"],
            id="of the job's restarts, and through these of its budget",
        ),
        pytest.param(
            {**LOST, "cluster_slots_free": 0.0, "job_tasks_waiting{job_id=job-2}": 2.0},
            [],
            id="of another symptom of the cluster, which is none of the job's",
        ),
    ],
)
def test_what_is_wrong_with_the_cluster_is_told_of_a_job_where_it_is_the_cause(
    values: dict[str, float], told: list[str]
) -> None:
    assert [finding.symptom for finding in health(READ | values).findings] == told


def test_causes_are_named() -> None:
    told = health({**READ, **LOST, "job_restarts_recent": 4.0})
    assert [(finding.symptom, finding.because, finding.deduction) for finding in told.findings] == [
        ("taskmanager_lost", (), 0.0),
        ("restarts_frequent", ("taskmanager_lost",), 0.2),
    ]
    assert told.stories == ("The job restarts often because a TaskManager was lost.",)


def test_a_cause_on_several_taskmanagers_is_named_once() -> None:
    both = job("source > sink", on={"sink": "tm-1 tm-2"})
    heaps = {"taskmanager_heap_floor_ratio": 0.9, "taskmanager_heap_floor_ratio{tm_id=tm-2}": 0.9}
    told = health({**READ, **heaps, "job_restarts_recent": 4.0}, both)
    assert told.findings[-1].because == ("heap_high",)
    assert told.deductions == {"restarts_frequent": 0.2, "heap_high": 0.15}


@pytest.mark.parametrize("state", ["FINISHED", "CANCELED"])
def test_a_job_that_has_ended(state: str) -> None:
    told = health({f"job_state{{state={state}}}": 1.0}, job(state=state))
    assert (told.job.score, told.job.severity, told.coverage, told.findings, told.tasks) == (None, None, None, (), ())
    assert told.web_ui == "http://flink:8081/#/job/completed/job-1/overview"
    assert told.deductions == {}


def test_a_job_that_has_failed_says_so_without_a_score() -> None:
    told = health({"job_state{state=FAILED}": 1.0}, job(state="FAILED"))
    assert (told.job.score, told.job.severity, told.job.symptoms) == (None, Severity.CRITICAL, ("job_failed",))
    assert told.stories == ("The job has failed for good, and no other job of its name runs.",)
    assert told.downfall is None


OUT_OF_MEMORY = Downfall(at=9.0, scenario="out_of_memory", exception="java.lang.OutOfMemoryError", task="map")


def brought_down(exception: str, trace: str = "", state: str = "FAILED") -> JobHealth:
    entries = (Failure(at=7.0, name="a.B", trace=""), Failure(at=9.0, name=exception, trace=trace, task="map"))
    ended = replace(job(state=state), failures=Failures(entries=entries, truncated=False))
    return health({f"job_state{{state={state}}}": 1.0}, ended)


def test_a_job_that_has_failed_names_what_brought_it_down() -> None:
    told = brought_down("a.B", "a.B: x\nCaused by: java.lang.OutOfMemoryError: Java heap space\n")
    assert told.stories == ("The job has failed for good: out of memory.",)
    assert told.downfall == OUT_OF_MEMORY


def test_what_nobody_has_a_name_for_is_told_by_its_class_alone() -> None:
    told = brought_down("com.example.Odd")
    assert told.stories == ("The job has failed for good, and no other job of its name runs.",)
    assert told.downfall == Downfall(at=9.0, scenario="other", exception="com.example.Odd", task="map")


def test_a_job_that_runs_again_tells_what_brought_it_down_last() -> None:
    told = brought_down("java.lang.OutOfMemoryError", state="RUNNING")
    assert told.stories == ()
    assert told.downfall == OUT_OF_MEMORY


def test_a_jobs_values_are_its_own() -> None:
    values = {"job_coverage_ratio{job_id=job-2}": 0.95, "task_busy_mean_ratio{job_id=job-2,task_id=map}": 0.5}
    told = health(values)
    assert (told.coverage, told.job.score) == (None, None)
    assert all(task.busy is None for task in told.tasks)


# ---- Its tasks


def test_a_task_with_all_that_is_known_of_it() -> None:
    values = {
        "busy_mean_ratio": 0.4,
        "busy_max_ratio": 0.8,
        "idle_mean_ratio": 0.5,
        "backpressured_mean_ratio": 0.1,
        "records_in_per_second": 100.0,
        "records_out_per_second": 50.0,
        "skew_ratio{signal=records}": 1.5,
        "skew_ratio{signal=busy}": 9.0,
        "watermark_lag_seconds": 7.0,
        "bottleneck{reason=sink}": 1.0,
    }
    told = health({f"task_{name}": value for name, value in values.items()})
    assert told.tasks[1] == TaskHealth(
        id="map",
        name="the map",
        parallelism=4,
        running=True,
        inputs=("source",),
        busy=0.4,
        busiest=0.8,
        idle=0.5,
        backpressured=0.1,
        records_in_per_second=100.0,
        records_out_per_second=50.0,
        skew=1.5,
        watermark_lag_seconds=7.0,
        bottleneck="sink",
    )


def test_a_task_of_which_nothing_is_known() -> None:
    source, _, sink = health({}).tasks
    assert (source.id, source.inputs, sink.id, sink.inputs) == ("source", (), "sink", ("map",))
    unknown = (sink.busy, sink.busiest, sink.idle, sink.backpressured, sink.records_in_per_second, sink.skew)
    assert {*unknown, sink.records_out_per_second, sink.watermark_lag_seconds, sink.bottleneck} == {None}


def test_a_row_of_a_task_that_is_gone_is_nobodys() -> None:
    assert [task.id for task in health({"task_busy_mean_ratio{task_id=gone}": 0.5}).tasks] == ["source", "map", "sink"]


def test_a_long_name_is_found_by_what_its_labels_show_of_it() -> None:
    long = replace(ORDERS, name="x" * 100)
    known = judged({}, cluster(long))
    scored = replace(known, rows=[Row(verdict.SCORE, ("prod", "job-1", "x" * 80), 0.5)])
    assert [(line.name, line.score) for line in cluster_health(scored).jobs] == [("x" * 100, 0.5)]
