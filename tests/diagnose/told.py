"""Findings, jobs and clusters to tell of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from exporter.report import Diagnosis
from exporter.symptoms.base import Severity
from exporter.symptoms.downfall import Downfall
from exporter.symptoms.health import ClusterHealth, Evidence, JobHealth, JobLine, ToldFinding

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
# What is said of a single look.
NOTE = "Of the moment, may be blips; growth and stalls take longer: see --watch."


def finding(symptom: str = "skew", severity: Severity = WARNING, **different: Any) -> ToldFinding:
    told = ToldFinding(
        symptom=symptom,
        severity=severity,
        about="job",
        labels={"cluster": "prod", "job_id": "a1", "job_name": "orders"},
        since=1000.0,
        ending=False,
        summary="Records are spread unevenly: one subtask gets 1.9 times the mean",
        tasks=("t1",),
        because=(),
        evidence=(
            Evidence(
                metric="flink_health_task_skew_ratio",
                labels={"task_id": "t1", "task_name": "Count[3] -> Sink", "signal": "records"},
                value=1.9,
                threshold=1.8,
            ),
            Evidence(
                metric="flink_health_task_skew_hottest_subtask",
                labels={"task_id": "t1", "task_name": "Count[3] -> Sink", "signal": "records"},
                value=1,
            ),
        ),
        action="Find the hot key; aggregate in two steps, or salt it.",
        runbook=f"https://wiki/{symptom.replace('_', '-')}.md",
        deduction=0.1,
    )
    return replace(told, **different)


def line(name: str, severity: Severity | None = None, score: float | None = 1.0, **different: Any) -> JobLine:
    told = JobLine(
        cluster="prod", id=f"id of {name}", name=name, state="RUNNING", score=score, severity=severity, symptoms=()
    )
    return replace(told, **different)


def job(
    told: JobLine, *findings: ToldFinding, stories: tuple[str, ...] = (), downfall: Downfall | None = None
) -> JobHealth:
    return JobHealth(
        job=told,
        taken_at=1010.0,
        web_ui="http://prod:8081/#/job",
        coverage=1.0,
        deductions={},
        stories=stories,
        downfall=downfall,
        findings=findings,
        tasks=(),
        trends=(),
    )


def diagnosis(*jobs: JobHealth, named: bool = False, faults: tuple[str, ...] = (), **cluster: Any) -> Diagnosis:
    up = ClusterHealth(
        name="prod",
        url="http://prod:8081",
        state="up",
        version="2.3.0",
        taken_at=1010.0,
        taskmanagers=2,
        slots=16,
        slots_free=3,
        severity=None,
        error=None,
        findings=(),
        jobs=tuple(each.job for each in jobs),
    )
    return Diagnosis(cluster=replace(up, **cluster), jobs=jobs, named=named, faults=faults)


OUT_OF_SLOTS = finding(
    "slots_exhausted",
    about="cluster",
    labels={"cluster": "prod"},
    summary="No slot is free, and tasks wait for one",
    evidence=(Evidence(metric="flink_health_cluster_slots_free", labels={}, value=0.0, threshold=1.0),),
    action="Start TaskManagers, or lower the parallelism of the job that waits.",
)
GC = finding(
    "gc_pressure",
    CRITICAL,
    about="taskmanager",
    labels={"cluster": "prod", "tm_id": "tm-1", "host": "node-1"},
    since=830.0,
    summary="Garbage collection takes 85% of the time",
    evidence=(
        Evidence(
            metric="flink_health_taskmanager_gc_time_ratio",
            labels={"tm_id": "tm-1", "host": "node-1"},
            value=0.85,
            threshold=0.8,
        ),
    ),
    action="More heap, fewer objects (object reuse, no boxing), or state off the heap.",
)
SLOW = finding(
    "checkpoint_slow",
    summary="Checkpoints take 3.0 times as long as is normal for this job",
    evidence=(
        Evidence(metric="flink_health_job_checkpoint_duration_ratio", labels={}, value=3.0, threshold=2.0),
        Evidence(metric="flink_health_job_checkpoint_duration_seconds", labels={}, value=0.75, normal=0.25),
    ),
    action="Which phase is slow?",
)
PROD = diagnosis(
    job(line("payments", CRITICAL, 0.6), GC, SLOW, stories=("Checkpoints are slow because of garbage collection.",)),
    job(line("orders", WARNING, 0.9), finding(), stories=("Subtask 1 of Count[3] takes 95% of the records.",)),
    job(line("new", None, None, state="CREATED")),
    job(line("clicks")),
    job(line("visits")),
    job(line("old", None, None, state="FINISHED")),
    severity=CRITICAL,
    findings=(GC, OUT_OF_SLOTS),
    error="http://prod:8081/jobs/x: no answer within 10 s",
)
DOWN = diagnosis(name="test", url="http://test:8081", state="unreachable", version=None, taskmanagers=None, slots=None,
                 error="http://test:8081/overview: connection refused")  # fmt: skip
