"""The cases: what is seen of a job, a cluster or a TaskManager, and what must be said of it, look after look.

One row a case, a sentence each. `test_cases` judges them, `test_agreement` lets Prometheus judge them as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from exporter.symptoms.base import Symptom
from tests.symptoms.build import BY_NAME, Scene

SILENT = ""
# Whose a verdict is, by the kind of thing, unless a case says so.
USUAL = {"cluster": "prod", "job": "job-1", "taskmanager": "tm-1"}


class Case(NamedTuple):
    """A symptom, the series that there are, and what must be said of whom when."""

    id: str
    symptom: Symptom
    scene: Scene
    says: Mapping[str, str]


def case(id: str, symptom: str, scene: Scene, says: str | Mapping[str, str]) -> Case:
    """says: of the usual cluster, job or TaskManager, or by the name of each."""
    declared = BY_NAME[symptom]
    return Case(id, declared, scene, {USUAL[declared.entity]: says} if isinstance(says, str) else says)


_CLUSTER = (
    case(
        "a cluster that does not answer: a warning after 30 s, critical after 3 min, over 2 min after it answers",
        "cluster_unreachable",
        {"cluster_up": "1, 1m 0, 5m 1"},
        "1m30s warning, 4m critical, 7m over",
    ),
    case(
        "two looks without an answer are a blip, four times in a row",
        "cluster_unreachable",
        {"cluster_up": "1, 1m 0, 1m30s 1, 1m45s 0, 2m15s 1, 2m30s 0, 3m 1, 3m15s 0, 3m45s 1"},
        SILENT,
    ),
    case(
        "a cluster that never answered is told of like one that stopped",
        "cluster_unreachable",
        {"cluster_up": "0"},
        "30s warning, 3m critical",
    ),
    case(
        "metrics that are older than 2 min for 2 min",
        "metrics_stale",
        {"cluster_rest_metrics_age_seconds": "10, 1m 121, 6m 10"},
        "3m warning, 8m over",
    ),
    case("metrics that are just 2 min old", "metrics_stale", {"cluster_rest_metrics_age_seconds": "120"}, SILENT),
    case(
        "metrics that are refreshed before they have been old for 2 min, again and again",
        "metrics_stale",
        {"cluster_rest_metrics_age_seconds": "10, 1m 180, 3m 5, 4m 180, 6m 5"},
        SILENT,
    ),
    case(
        "a lost TaskManager is told of at once, while it is recent and 2 min more",
        "taskmanager_lost",
        {"cluster_taskmanager_losses_recent": "0, 1m 1, 11m 0"},
        "1m warning, 13m over",
    ),
    case(
        "two lost TaskManagers are a warning, a third one makes it critical",
        "taskmanager_lost",
        {"cluster_taskmanager_losses_recent": "0, 1m 2, 3m 3, 8m 1, 12m 0"},
        "1m warning, 3m critical, 10m warning, 14m over",
    ),
    case("no TaskManager was lost", "taskmanager_lost", {"cluster_taskmanager_losses_recent": "0"}, SILENT),
    case(
        "tasks that wait for a slot where none is free",
        "slots_exhausted",
        {"cluster_slots_free": "2, 1m 0, 15m 2", "job_tasks_waiting": "0, 1m 1, 15m 0"},
        "3m warning, 11m critical, 17m over",
    ),
    case(
        "one job of two waits, which is enough",
        "slots_exhausted",
        {
            "cluster_slots_free": "0",
            "job_tasks_waiting": "0",
            "job_tasks_waiting{job_id=job-2,job_name=late}": "3",
        },
        "2m warning, 10m critical",
    ),
    case(
        "all slots are taken, by jobs that all run: a cluster that is just large enough",
        "slots_exhausted",
        {"cluster_slots_free": "0", "job_tasks_waiting": "0"},
        SILENT,
    ),
    case(
        "tasks wait though a slot is free: they will have it",
        "slots_exhausted",
        {"cluster_slots_free": "1", "job_tasks_waiting": "1"},
        SILENT,
    ),
    case(
        "a redeployment that takes every slot for 1 min 45 s until its tasks run",
        "slots_exhausted",
        {"cluster_slots_free": "0", "job_tasks_waiting": "0, 1m 2, 3m 0"},
        SILENT,
    ),
    case(
        "no slot free and no job there",
        "slots_exhausted",
        {"cluster_slots_free": "0", "cluster_slots": "4"},
        SILENT,
    ),
    case(
        "a cluster that may lose no TaskManager for a quarter of an hour",
        "no_loss_tolerance",
        {"cluster_taskmanager_loss_tolerance": "1, 1m 0, 20m 1", "cluster_taskmanagers": "2"},
        "16m warning, 22m over",
    ),
    case(
        "a cluster that may lose one TaskManager",
        "no_loss_tolerance",
        {"cluster_taskmanager_loss_tolerance": "1", "cluster_taskmanagers": "2"},
        SILENT,
    ),
    case(
        "a cluster of one TaskManager, which is somebody's choice",
        "no_loss_tolerance",
        {"cluster_taskmanager_loss_tolerance": "0", "cluster_taskmanagers": "1"},
        SILENT,
    ),
    case(
        "a cluster that is fuller for a little less than a quarter of an hour",
        "no_loss_tolerance",
        {"cluster_taskmanager_loss_tolerance": "1, 1m 0, 16m 1", "cluster_taskmanagers": "2"},
        SILENT,
    ),
)

_LIFE = (
    case(
        "a job that fails for good is told of at once",
        "job_failed",
        {"job_state{state=RUNNING}": "1, 5m -", "job_state{state=FAILED}": "-, 5m 1"},
        "5m critical",
    ),
    case(
        "a failed job is over at the look that sees another one of its name, however it fares",
        "job_failed",
        {
            "job_state{state=RUNNING}": "1, 5m -",
            "job_state{state=FAILED}": "-, 5m 1",
            "job_state{state=CREATED,job_id=job-2}": "-, 20m 1, 21m -",
            "job_state{state=RESTARTING,job_id=job-2}": "-, 21m 1",
        },
        "5m critical, 20m over",
    ),
    *(
        case(
            f"a failed job whose successor was there first, {state}",
            "job_failed",
            {
                "job_state{state=RUNNING}": "1, 5m -",
                "job_state{state=FAILED}": "-, 5m 1",
                f"job_state{{state={state},job_id=job-2}}": "-, 4m 1",
            },
            SILENT,
        )
        for state in ("INITIALIZING", "CREATED", "RUNNING", "FAILING", "CANCELLING", "RESTARTING", "RECONCILING")
    ),
    case(
        "that another job runs is no comfort",
        "job_failed",
        {"job_state{state=FAILED}": "1", "job_state{state=RUNNING,job_id=job-2,job_name=payments}": "1"},
        "0s critical",
    ),
    case(
        "that a job of this name runs elsewhere is no comfort either",
        "job_failed",
        {"job_state{state=FAILED}": "1", "job_state{state=RUNNING,job_id=job-2,cluster=test}": "1"},
        "0s critical",
    ),
    case(
        "that the one before it was canceled is no comfort either",
        "job_failed",
        {"job_state{state=FAILED}": "1", "job_state{state=CANCELED,job_id=job-0}": "1"},
        "0s critical",
    ),
    case(
        "two that failed one after the other are both told of, until the next one runs",
        "job_failed",
        {
            "job_state{state=FAILED}": "1",
            "job_state{state=FAILED,job_id=job-2}": "-, 2m 1",
            "job_state{state=RUNNING,job_id=job-3}": "-, 4m 1",
        },
        {"job-1": "0s critical, 4m over", "job-2": "2m critical, 4m over"},
    ),
    case(
        "a job that was canceled",
        "job_failed",
        {"job_state{state=RUNNING}": "1, 5m -", "job_state{state=CANCELED}": "-, 5m 1"},
        SILENT,
    ),
    case(
        "a job that finished",
        "job_failed",
        {"job_state{state=RUNNING}": "1, 5m -", "job_state{state=FINISHED}": "-, 5m 1"},
        SILENT,
    ),
    case(
        "a job that is restarted has not failed for good",
        "job_failed",
        {
            "job_state{state=RUNNING}": "1, 2m -, 3m 1",
            "job_state{state=FAILING}": "-, 2m 1, 2m15s -",
            "job_state{state=RESTARTING}": "-, 2m15s 1, 3m -",
        },
        SILENT,
    ),
    case(
        "more than 4 restarts in 10 min are a loop, and critical when that goes on for 5 min",
        "restart_loop",
        {"job_restarts_recent": "0, 1m 5, 8m 2"},
        "1m warning, 6m critical, 10m over",
    ),
    case(
        "a job that fails a minute after each start, with Flink's default backoff: 5 restarts in any 10 min",
        "restart_loop",
        {"job_restarts_recent": "0, 2m 1, 4m 2, 6m 3, 8m 4, 10m 5"},
        "10m warning, 15m critical",
    ),
    case(
        "a loop that ends: the job runs for 5 min again, long before its restarts have aged",
        "restart_loop",
        {"job_restarts_recent": "0, 1m 7", "job_uptime_seconds": "20, 8m -, 8m15s 10, 10m 120, 13m30s 315"},
        "1m warning, 6m critical, 15m30s over",
    ),
    case(
        "the restarts of a loop that has ended are not told of once more as frequent ones when their number falls",
        "restarts_frequent",
        {"job_restarts_recent": "9, 10m 4, 12m 3, 14m 0", "job_uptime_seconds": "20, 5m 301, 14m 841"},
        SILENT,
    ),
    case("just 4 restarts in 10 min", "restart_loop", {"job_restarts_recent": "0, 1m 4"}, SILENT),
    case(
        "5 restarts in 10 min, but the first has aged after 4 min 45 s: never critical",
        "restart_loop",
        {"job_restarts_recent": "0, 1m 5, 5m45s 4"},
        "1m warning, 7m45s over",
    ),
    case(
        "3 or 4 restarts in 10 min",
        "restarts_frequent",
        {"job_restarts_recent": "0, 1m 3, 2m 4, 8m 2"},
        "1m warning, 10m over",
    ),
    case(
        "frequent restarts that become a loop hand over to it, and end 2 min later",
        "restarts_frequent",
        {"job_restarts_recent": "0, 1m 4, 5m 9"},
        "1m warning, 7m over",
    ),
    case(
        "the loop that frequent restarts hand over to",
        "restart_loop",
        {"job_restarts_recent": "0, 1m 4, 5m 9"},
        "5m warning, 10m critical",
    ),
    case("just 2 restarts in 10 min", "restarts_frequent", {"job_restarts_recent": "0, 1m 2"}, SILENT),
    case(
        "a loop from the first look on is not told of twice",
        "restarts_frequent",
        {"job_restarts_recent": "9"},
        SILENT,
    ),
    case(
        "a job that waits for its next try for 5 min, and for 15",
        "job_not_running",
        {"job_state{state=RUNNING}": "1, 1m -, 20m 1", "job_state{state=RESTARTING}": "-, 1m 1, 20m -"},
        "6m warning, 16m critical, 22m over",
    ),
    case(
        "a job that is cancelled, and does not come to an end",
        "job_not_running",
        {"job_state{state=RUNNING}": "1, 1m -", "job_state{state=CANCELLING}": "-, 1m 1"},
        "6m warning, 16m critical",
    ),
    case(
        "a job whose start takes 4 min 45 s: it waits for slots, and then runs",
        "job_not_running",
        {"job_state{state=CREATED}": "1, 4m45s -", "job_state{state=RUNNING}": "-, 4m45s 1"},
        SILENT,
    ),
    case(
        "a job that is restarted again and again, but runs in between",
        "job_not_running",
        {
            "job_state{state=RESTARTING}": "1, 1m -, 2m 1, 3m -, 4m 1, 5m -, 6m 1, 7m -",
            "job_state{state=RUNNING}": "-, 1m 1, 2m -, 3m 1, 4m -, 5m 1, 6m -, 7m 1",
        },
        SILENT,
    ),
    case(
        "a job that has failed for good does not come to run either, and that is told by another name",
        "job_not_running",
        {"job_state{state=FAILED}": "1"},
        SILENT,
    ),
    case(
        "restarts that are used up",
        "restart_budget_low",
        {"job_restart_budget_remaining": "3, 1m 2, 3m 1, 4m 0, 9m 3", "job_restarts_total": "0, 1m 1, 4m 3"},
        "3m warning, 4m critical, 11m over",
    ),
    case(
        "a job that may restart once and never had to",
        "restart_budget_low",
        {"job_restart_budget_remaining": "1", "job_restarts_total": "0"},
        SILENT,
    ),
    case(
        "2 restarts that are left",
        "restart_budget_low",
        {"job_restart_budget_remaining": "2", "job_restarts_total": "7"},
        SILENT,
    ),
    case(
        "no restart left, and it is not known whether any was used",
        "restart_budget_low",
        {"job_restart_budget_remaining": "0"},
        SILENT,
    ),
    *(
        each
        for scenario, symptom in (
            ("out_of_memory", "out_of_memory"),
            ("serialization", "serialization_errors"),
            ("kafka_unavailable", "kafka_unavailable"),
        )
        for each in (
            case(
                f"one failure of {scenario} is a warning while it is recent, a third one critical",
                symptom,
                {f"job_failures_recent{{scenario={scenario}}}": "0, 1m 1, 4m 3, 11m 2, 14m 0"},
                "1m warning, 4m critical, 13m warning, 16m over",
            ),
            case(
                f"failures that are not of {scenario}",
                symptom,
                {f"job_failures_recent{{scenario={scenario}}}": "0", "job_failures_recent{scenario=user_code}": "5"},
                SILENT,
            ),
        )
    ),
    *(
        each
        for check, other in (
            ("no_restart_strategy", "few_restart_attempts"),
            ("checkpointing_disabled", "checkpoints_not_retained"),
        )
        for each in (
            case(
                f"{check} for 5 min",
                check,
                {f"job_config_issue{{check={check}}}": "1, 9m -"},
                "5m warning, 11m over",
            ),
            case(
                f"{other} is not {check}",
                check,
                {f"job_config_issue{{check={other}}}": "1"},
                SILENT,
            ),
            case(
                f"{check}, of a job that finishes within 5 min",
                check,
                {
                    f"job_config_issue{{check={check}}}": "1, 4m45s -",
                    "job_state{state=RUNNING}": "1, 4m45s -",
                    "job_state{state=FINISHED}": "-, 4m45s 1",
                },
                SILENT,
            ),
        )
    ),
    case(
        "a tenth of the subtasks and a little more is not read for 2 min",
        "data_stale",
        {"job_coverage_ratio": "1, 1m 0.89, 5m 1"},
        "3m warning, 7m over",
    ),
    case("a tenth of the subtasks is not read", "data_stale", {"job_coverage_ratio": "0.9"}, SILENT),
    case(
        "a job whose subtasks are not read until 2 min after its start",
        "data_stale",
        {"job_coverage_ratio": "0, 1m 0.5, 2m 1"},
        SILENT,
    ),
)

_CHECKPOINTS = (
    case(
        "two checkpoints in a row fail",
        "checkpoint_failing",
        {"job_checkpoint_consecutive_failures": "0, 1m 2, 6m 0"},
        "2m warning, 8m over",
    ),
    case(
        "one after the other fails: critical 5 min after the fourth",
        "checkpoint_failing",
        {"job_checkpoint_consecutive_failures": "0, 1m 1, 2m 2, 3m 3, 4m 4, 5m 5"},
        "3m warning, 9m critical",
    ),
    case(
        "one checkpoint fails, and the next does not, again and again",
        "checkpoint_failing",
        {"job_checkpoint_consecutive_failures": "0, 1m 1, 2m 0, 3m 1, 4m 0, 5m 1"},
        SILENT,
    ),
    case(
        "two fail, and the third one completes within the minute",
        "checkpoint_failing",
        {"job_checkpoint_consecutive_failures": "0, 1m 2, 2m 0"},
        SILENT,
    ),
    case(
        "no checkpoint for most, then for all of the time that is thought healthy",
        "checkpoint_overdue",
        {"job_checkpoint_overdue_ratio": "0.5, 1m 0.751, 3m 1, 5m 1.001, 8m 0.01"},
        "1m warning, 5m critical, 10m over",
    ),
    case(
        "no checkpoint for three quarters of the time that is thought healthy",
        "checkpoint_overdue",
        {"job_checkpoint_overdue_ratio": "0, 5m 0.75"},
        SILENT,
    ),
    case(
        "checkpoints take more than half of the time they may for 5 min",
        "checkpoint_near_timeout",
        {"job_checkpoint_timeout_ratio": "0.1, 1m 0.501, 10m 0.1"},
        "6m warning, 12m over",
    ),
    case(
        "checkpoints take nearly all of the time they may: critical at once, a warning when it is no more than half",
        "checkpoint_near_timeout",
        {"job_checkpoint_timeout_ratio": "0.1, 1m 0.801, 10m 0.8, 20m 0.5"},
        "2m critical, 12m warning, 22m over",
    ),
    case(
        "checkpoints take just half of the time they may",
        "checkpoint_near_timeout",
        {"job_checkpoint_timeout_ratio": "0.5"},
        SILENT,
    ),
    case(
        "one long checkpoint, and the next is as short as ever within 5 min",
        "checkpoint_near_timeout",
        {"job_checkpoint_timeout_ratio": "0.1, 1m 0.6, 6m 0.1"},
        SILENT,
    ),
    case(
        "checkpoints take more than twice, then more than 5 times their normal time",
        "checkpoint_slow",
        {
            "job_checkpoint_duration_ratio": "1, 1m 2.01, 5m 5, 20m 5.01, 35m 1",
            "job_checkpoint_timeout_ratio": "0.0101",
        },
        "6m warning, 30m critical, 37m over",
    ),
    case(
        "just twice their normal time",
        "checkpoint_slow",
        {"job_checkpoint_duration_ratio": "2", "job_checkpoint_timeout_ratio": "0.02"},
        SILENT,
    ),
    case(
        "ten times a few milliseconds, which is 1 % of what they may take",
        "checkpoint_slow",
        {"job_checkpoint_duration_ratio": "10", "job_checkpoint_timeout_ratio": "0.01"},
        SILENT,
    ),
    case(
        "one slow checkpoint among others, 4 min 45 s long",
        "checkpoint_slow",
        {"job_checkpoint_duration_ratio": "1, 1m 8, 6m 1", "job_checkpoint_timeout_ratio": "0.02, 1m 0.4, 6m 0.02"},
        SILENT,
    ),
    case(
        "state that grows by more than a quarter an hour, for an hour",
        "state_growing",
        {
            "job_checkpoint_state_hourly_growth_ratio": "0.1, 1m 0.251, 65m 0.1",
            "job_checkpoint_state_size_bytes": "5242881",  # 5 MiB and 1 byte
        },
        "61m warning, 67m over",
    ),
    case(
        "state that grows for less than an hour, until its windows close",
        "state_growing",
        {
            "job_checkpoint_state_hourly_growth_ratio": "0.1, 1m 2, 61m -2",
            "job_checkpoint_state_size_bytes": "1e9",
        },
        SILENT,
    ),
    case(
        "state that grows by a quarter an hour",
        "state_growing",
        {"job_checkpoint_state_hourly_growth_ratio": "0.25", "job_checkpoint_state_size_bytes": "1e9"},
        SILENT,
    ),
    case(
        "state of 5 MiB, however fast it grows",
        "state_growing",
        {"job_checkpoint_state_hourly_growth_ratio": "3", "job_checkpoint_state_size_bytes": "5242880"},
        SILENT,
    ),
)

_WORK = (
    case(
        "a bottleneck for 5 min, whatever its reason is thought to be meanwhile",
        "bottleneck",
        {"task_bottleneck{reason=sink}": "-, 1m 1, 3m -, 9m 1, 10m -", "task_bottleneck{reason=gc}": "-, 3m 1, 9m -"},
        "6m warning, 12m over",
    ),
    case(
        "a bottleneck that moves from task to task",
        "bottleneck",
        {
            "task_bottleneck{reason=sink,task_id=a}": "-, 1m 1, 3m -",
            "task_bottleneck{reason=sink,task_id=b}": "-, 3m 1",
        },
        "6m warning",
    ),
    case(
        "bottlenecks of 4 min 45 s, a look without one between them",
        "bottleneck",
        {"task_bottleneck{reason=sink}": "-, 1m 1, 6m -, 6m15s 1, 11m15s -"},
        SILENT,
    ),
    case(
        "a bottleneck of another job",
        "bottleneck",
        {"task_bottleneck{reason=sink,job_id=job-2}": "1", "task_busy_max_ratio": "0.1"},
        {"job-1": SILENT, "job-2": "5m warning"},
    ),
    case(
        "a task that works all the time, for 10 min; however long, that alone wakes nobody",
        "task_saturated",
        {"task_busy_max_ratio": "0.5, 1m 0.981, 63m 0.5"},
        "11m warning, 65m over",
    ),
    case(
        "two tasks that work all the time, in turns",
        "task_saturated",
        {"task_busy_max_ratio{task_id=a}": "0.901, 5m 0.3", "task_busy_max_ratio{task_id=b}": "0.3, 5m 0.901"},
        "10m warning",
    ),
    case("a task that works just nine tenths of its time", "task_saturated", {"task_busy_max_ratio": "0.9"}, SILENT),
    case(
        "a task that catches up after a restart, 9 min 45 s long",
        "task_saturated",
        {"task_busy_max_ratio": "-, 1m 1, 11m 0.6"},
        SILENT,
    ),
    case(
        "one subtask gets twice the mean of the records for 10 min",
        "skew",
        {"task_skew_ratio{signal=records}": "1, 1m 1.81, 15m 1.2", "task_skew_ratio{task_id=even,signal=records}": "1"},
        "11m warning, 17m over",
    ),
    case("just 1.8 times the mean", "skew", {"task_skew_ratio{signal=records}": "1.8"}, SILENT),
    case(
        "skew of busy time alone: some records are more work than others",
        "skew",
        {"task_skew_ratio{signal=records}": "1.1", "task_skew_ratio{signal=busy}": "3"},
        SILENT,
    ),
    case(
        "skew that is gone for one look in 10 min",
        "skew",
        {"task_skew_ratio{signal=records}": "2, 9m45s 1.5, 10m 2, 19m45s 1.5"},
        SILENT,
    ),
    case(
        "all tasks do less than half of what is normal",
        "throughput_drop",
        {"task_throughput_ratio{task_id=a}": "1, 1m 0.3", "task_throughput_ratio{task_id=b}": "1, 1m 0.499, 30m 0.8"},
        "21m warning, 32m over",
    ),
    case(
        "one task does less than half of what is normal, another does not",
        "throughput_drop",
        {"task_throughput_ratio{task_id=a}": "0.1", "task_throughput_ratio{task_id=b}": "0.5"},
        SILENT,
    ),
    case(
        "throughput that comes back before it was down for 20 min",
        "throughput_drop",
        {"task_throughput_ratio": "1, 1m 0, 21m 2"},
        SILENT,
    ),
    case(
        "a job that has not run for long enough to know what is normal",
        "throughput_drop",
        {"task_records_in_per_second": "0"},
        SILENT,
    ),
    case(
        "event time that stands still: 2 min until it counts, 8 and 28 min from then on",
        "watermark_stalled",
        {"task_watermark_stalled_seconds": "0, 2m 121, 40m 0", "task_records_out_per_second": "0.1"},
        "10m warning, 30m critical, 42m over",
    ),
    case(
        "event time of one task of two stands still, and the sink sends nothing on",
        "watermark_stalled",
        {
            "task_watermark_stalled_seconds{task_id=a}": "0",
            "task_watermark_stalled_seconds{task_id=b}": "500",
            "task_records_out_per_second{task_id=a}": "100",
            "task_records_out_per_second{task_id=sink}": "0",
        },
        "8m warning, 28m critical",
    ),
    case(
        "event time that stands still for just 2 min each time",
        "watermark_stalled",
        {"task_watermark_stalled_seconds": "120", "task_records_out_per_second": "100"},
        SILENT,
    ),
    case(
        "event time that stands still at night, for next to nothing flows",
        "watermark_stalled",
        {"task_watermark_stalled_seconds": "9000", "task_records_out_per_second": "0.099"},
        SILENT,
    ),
    case(
        "event time stands still and it is not known whether anything flows",
        "watermark_stalled",
        {"task_watermark_stalled_seconds": "9000"},
        "8m warning, 28m critical",
    ),
    case(
        "event time of one task that moves at half of the clock's pace",
        "watermark_lag_growing",
        {
            "task_watermark_lag_growth_ratio": "0, 1m 0.101, 5m 0.5, 40m -1",
            "task_watermark_lag_growth_ratio{task_id=sink}": "0",
            "task_watermark_stalled_seconds": "60",
        },
        "16m warning, 42m over",
    ),
    case(
        "event time that moves at less than half of the clock's pace",
        "watermark_lag_growing",
        {"task_watermark_lag_growth_ratio": "0.501", "task_watermark_stalled_seconds": "10"},
        "15m warning, 30m critical",
    ),
    case(
        "event time that loses a tenth of a second a second",
        "watermark_lag_growing",
        {"task_watermark_lag_growth_ratio": "0.1", "task_watermark_stalled_seconds": "10"},
        SILENT,
    ),
    case(
        "event time that stands still does not also fall behind",
        "watermark_lag_growing",
        {
            "task_watermark_lag_growth_ratio": "1",
            "task_watermark_stalled_seconds": "60.1",
            "task_watermark_stalled_seconds{task_id=sink}": "0",
        },
        SILENT,
    ),
    case(
        "a source that falls behind for a quarter, then for half an hour",
        "source_lag_growing",
        {"source_lag_status{status=growing}": "-, 1m 1, 35m -", "source_lag_status{status=ok}": "1, 1m -, 35m 1"},
        "16m warning, 31m critical, 37m over",
    ),
    case(
        "a source that catches up",
        "source_lag_growing",
        {"source_lag_status{status=catching_up}": "1"},
        SILENT,
    ),
    case(
        "a lag that grows in a rush of 14 min 45 s",
        "source_lag_growing",
        {
            "source_lag_status{status=growing}": "-, 1m 1, 16m -",
            "source_lag_status{status=catching_up}": "-, 16m 1",
        },
        SILENT,
    ),
    case(
        "two sources, and the one that falls behind is enough",
        "source_lag_growing",
        {
            "source_lag_status{status=ok,task_id=a}": "1",
            "source_lag_status{status=growing,task_id=b}": "1",
        },
        "15m warning, 30m critical",
    ),
    case(
        "a source that reads nothing, though there is something to read",
        "source_stalled",
        {"source_lag_status{status=stalled}": "-, 1m 1, 10m -", "source_lag_status{status=ok}": "1, 1m -, 10m 1"},
        "3m warning, 6m critical, 12m over",
    ),
    case(
        "a source that reads nothing for 1 min 45 s, held back by a large window",
        "source_stalled",
        {"source_lag_status{status=stalled}": "-, 1m 1, 3m -", "source_lag_status{status=growing}": "-, 3m 1"},
        SILENT,
    ),
    case(
        "a source that has nothing to read",
        "source_stalled",
        {"source_lag_status{status=ok}": "1", "source_lag_records": "0"},
        SILENT,
    ),
)

_TASKMANAGERS = (
    case(
        "a heap that stays fuller than 0.85",
        "heap_high",
        {"taskmanager_heap_floor_ratio": "0.5, 1m 0.851, 2m 0.95, 15m 0.8"},
        "3m warning, 17m over",
    ),
    case(
        "a heap that fills up: the graver, the sooner",
        "heap_high",
        {"taskmanager_heap_floor_ratio": "0.5, 1m 0.9, 4m 0.951, 20m 0.9"},
        "3m warning, 6m critical, 22m warning",
    ),
    case("a heap that stays 0.85 full", "heap_high", {"taskmanager_heap_floor_ratio": "0.85"}, SILENT),
    case(
        "a heap that is full between collections, and empty after them",
        "heap_high",
        {"taskmanager_heap_used_ratio": "0.99", "taskmanager_heap_floor_ratio": "0.4"},
        SILENT,
    ),
    case(
        "a floor above 0.85 for 1 min 45 s",
        "heap_high",
        {"taskmanager_heap_floor_ratio": "0.5, 1m 0.99, 3m 0.5"},
        SILENT,
    ),
    case(
        "the heap of one TaskManager of two",
        "heap_high",
        {"taskmanager_heap_floor_ratio": "0.5", "taskmanager_heap_floor_ratio{tm_id=tm-2}": "0.9"},
        {"tm-1": SILENT, "tm-2": "2m warning"},
    ),
    case(
        "a heap that leaks until its TaskManager is lost; the next one begins with an empty heap",
        "heap_high",
        {"taskmanager_heap_floor_ratio": "0.9, 12m -", "taskmanager_heap_floor_ratio{tm_id=tm-2}": "-, 13m 0.3"},
        {"tm-1": "2m warning, 12m over", "tm-2": SILENT},
    ),
    case(
        "garbage is collected for more than 0.3 of the time, then for more than half of it",
        "gc_pressure",
        {"taskmanager_gc_time_ratio": "0.1, 1m 0.301, 4m 0.5, 10m 0.501, 20m 0.2"},
        "6m warning, 15m critical, 22m over",
    ),
    case("garbage is collected for 0.3 of the time", "gc_pressure", {"taskmanager_gc_time_ratio": "0.3"}, SILENT),
    case(
        "garbage is collected for 4 min 45 s, while a job starts",
        "gc_pressure",
        {"taskmanager_gc_time_ratio": "-, 1m 0.9, 6m 0.1"},
        SILENT,
    ),
    case(
        "a metaspace that fills up",
        "metaspace_high",
        {"taskmanager_metaspace_used_ratio": "0.8, 1m 0.901, 2m 0.97, 15m 0.971, 30m 0.5"},
        "11m warning, 25m critical, 32m over",
    ),
    case("a metaspace that is 0.9 full", "metaspace_high", {"taskmanager_metaspace_used_ratio": "0.9"}, SILENT),
    case(
        "a metaspace that is full for 9 min 45 s, until the classes of the old job are let go",
        "metaspace_high",
        {"taskmanager_metaspace_used_ratio": "0.8, 1m 0.99, 11m 0.6"},
        SILENT,
    ),
)

# What holds for all of them, each shown with one.
_ANY = (
    case(
        "a value that flickers around its threshold never lasts",
        "metaspace_high",
        {"taskmanager_metaspace_used_ratio": ", ".join(f"{m}m 0.95, {m}m45s 0.8" for m in range(25))},
        SILENT,
    ),
    case(
        "a symptom that holds goes on while it flickers, for it is never over for its 2 min",
        "metaspace_high",
        {"taskmanager_metaspace_used_ratio": "0.95, 11m 0.8, 12m45s 0.95, 13m 0.8, 14m45s 0.95, 15m 0.8"},
        "10m warning, 17m over",
    ),
    case(
        "a symptom that was over must last as long again",
        "metaspace_high",
        {"taskmanager_metaspace_used_ratio": "0.95, 11m 0.8, 13m15s 0.95"},
        "10m warning, 13m over, 23m15s warning",
    ),
    case(
        "one look without a value makes what is pending begin anew",
        "metaspace_high",
        {"taskmanager_heap_used_ratio": "0.95", "taskmanager_metaspace_used_ratio": "0.95, 9m45s -, 10m 0.95"},
        "20m warning",
    ),
    case(
        "a symptom that holds goes on when the value is back at the look at which it would have ended",
        "metaspace_high",
        {"taskmanager_heap_used_ratio": "0.95", "taskmanager_metaspace_used_ratio": "0.95, 12m -, 14m 0.95"},
        "10m warning",
    ),
    case(
        "a symptom ends when there is no value for 2 min, and then begins anew",
        "metaspace_high",
        {"taskmanager_heap_used_ratio": "0.95", "taskmanager_metaspace_used_ratio": "0.95, 12m -, 14m15s 0.95"},
        "10m warning, 14m over, 24m15s warning",
    ),
    case(
        "a condition that is not met for one look makes what is pending begin anew",
        "checkpoint_slow",
        {"job_checkpoint_duration_ratio": "3", "job_checkpoint_timeout_ratio": "0.02, 4m 0.01, 4m15s 0.02"},
        "9m15s warning",
    ),
    case(
        "a condition that is no longer met ends a symptom like a better value",
        "checkpoint_slow",
        {"job_checkpoint_duration_ratio": "3", "job_checkpoint_timeout_ratio": "0.02, 7m -"},
        "5m warning, 9m over",
    ),
    case(
        "what ends something begins to silence it at once, and lets it begin anew",
        "watermark_lag_growing",
        {"task_watermark_lag_growth_ratio": "0.3", "task_watermark_stalled_seconds": "0, 20m 61, 25m 0"},
        "15m warning, 22m over, 40m warning",
    ),
    case(
        "a job that finishes is not ill any more, at that look",
        "bottleneck",
        {
            "task_bottleneck{reason=sink}": "1, 7m -",
            "job_state{state=RUNNING}": "1, 7m -",
            "job_state{state=FINISHED}": "-, 7m 1",
        },
        "5m warning, 7m over",
    ),
    case(
        "a job that is canceled is not ill any more, at that look",
        "source_lag_growing",
        {
            "source_lag_status{status=growing}": "1, 32m -",
            "job_state{state=RUNNING}": "1, 32m -",
            "job_state{state=CANCELED}": "-, 32m 1",
        },
        "15m warning, 30m critical, 32m over",
    ),
    case(
        "what is gone from Flink is not ill",
        "bottleneck",
        {"task_bottleneck{reason=sink}": "1, 7m -", "job_state{state=RUNNING}": "1, 7m -"},
        "5m warning, 7m over",
    ),
    case(
        "a job redeployed under the same name has a new id, and begins without a symptom",
        "bottleneck",
        {
            "task_bottleneck{reason=sink}": "1, 7m -",
            "job_state{state=RUNNING}": "1, 7m -",
            "job_state{state=CANCELED}": "-, 7m 1",
            "task_bottleneck{reason=sink,job_id=job-2}": "-, 8m 1",
            "job_state{state=RUNNING,job_id=job-2}": "-, 7m 1",
        },
        {"job-1": "5m warning, 7m over", "job-2": "13m warning"},
    ),
    case(
        "a job that is redeployed just before something has lasted begins anew",
        "bottleneck",
        {
            "task_bottleneck{reason=sink}": "1, 4m45s -",
            "job_state{state=RUNNING}": "1, 4m45s -",
            "task_bottleneck{reason=sink,job_id=job-2}": "-, 4m45s 1, 9m30s -",
        },
        {"job-1": SILENT, "job-2": SILENT},
    ),
    case(
        "a cluster that does not answer for a minute: its jobs' symptoms are not known, then are what they were",
        "source_stalled",
        {
            "cluster_up": "1, 7m 0, 8m 1",
            "job_state{state=RUNNING}": "1, 7m -, 8m 1",
            "source_lag_status{status=stalled}": "1, 7m -, 8m 1",
        },
        "2m warning, 5m critical, 7m over, 8m critical",
    ),
    case(
        "a cluster that does not answer for more than 2 min: its jobs' symptoms begin anew",
        "source_stalled",
        {
            "cluster_up": "1, 7m 0, 9m15s 1",
            "job_state{state=RUNNING}": "1, 7m -, 9m15s 1",
            "source_lag_status{status=stalled}": "1, 7m -, 9m15s 1",
        },
        "2m warning, 5m critical, 7m over, 11m15s warning, 14m15s critical",
    ),
)

CASES = (*_CLUSTER, *_LIFE, *_CHECKPOINTS, *_WORK, *_TASKMANAGERS, *_ANY)
