"""Job: why is it ill? In the order of an expert's look."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard, FieldColorModeId

from exporter.model import TaskManager
from exporter.signals import (
    bottleneck,
    busy,
    checkpoint,
    config_lint,
    coverage,
    failures,
    gc,
    heap,
    latency,
    lifecycle,
    restarts,
    skew,
    source_lag,
    throughput,
    watermark,
)
from exporter.symptoms import verdict
from grafana import frame, shared
from grafana.panels import About, Column, Panel, gauges, lines, number, rows, states, symptom_rows
from grafana.queries import Scope, runbook

SCOPE = Scope(frame.matchers(frame.ONE_CLUSTER, frame.ONE_JOB))
_TASK = "{{task_name}}"
_NOT_RUNNING = "the job does not run"
_NEW = "the job does not run, or began less than two cycles ago"


def build() -> Dashboard:
    """The dashboard."""
    return frame.build(
        frame.JOB,
        "Why is this job ill? Its verdict, then what an expert would look at: what holds it back, what gets through, "
        "how far it is behind, checkpoints, restarts, and the TaskManagers of its cluster.",
        [frame.ONE_CLUSTER, frame.ONE_JOB],
        {
            "": _verdict(),
            "What holds it back": _work(),
            "What gets through": _throughput(),
            "Sources and event time": _sources(),
            "Checkpoints and state": _checkpoints(),
            "Restarts and failures": _restarts(),
            "TaskManagers of the cluster": _taskmanagers(),
        },
        {"Restarts": f"{SCOPE.increase(restarts.TOTAL, 'cluster', 'job_name')} > 0"},
    )


def _verdict() -> list[Panel]:
    score = About(
        title="Score",
        families=(verdict.SCORE,),
        unit="percentunit",
        empty="the job has ended, or nothing of it could be read",
    )
    deductions = About(
        title="What is wrong",
        families=(verdict.DEDUCTION,),
        note="What takes how much from the score, the worst first: symptoms of the job, and of the TaskManagers that "
        "it runs on. Each leads to its runbook.",
        empty="the job is well",
    )
    lost = About(
        title="What took how much from the score",
        families=(verdict.DEDUCTION,),
        unit="percentunit",
        empty="the job was well over the whole time",
    )
    own = About(
        title="Symptoms of the job itself",
        families=(verdict.SYMPTOM["job"],),
        empty="the job has no symptom of its own",
    )
    return [
        number(
            score,
            f"min({SCOPE.gauge(verdict.SCORE)})",
            scale=FieldColorModeId.CONTINUOUS_RD_YL_GR,
        ),
        number(
            About(
                title="State",
                families=(lifecycle.STATE,),
                note="The state that the job is in, and that of others of its name that Flink still lists.",
                empty="Flink has forgotten the job, or its cluster does not answer",
            ),
            SCOPE.worst(lifecycle.STATE, "state"),
            legend="{{state}}",
        ),
        number(
            About(title="Runs for", families=(lifecycle.UPTIME,), unit="s", empty=_NOT_RUNNING),
            f"max({SCOPE.gauge(lifecycle.UPTIME)})",
        ),
        number(
            About(
                title="Available",
                families=(restarts.AVAILABILITY,),
                unit="percentunit",
                empty="the job has ended",
            ),
            f"min({SCOPE.gauge(restarts.AVAILABILITY)})",
        ),
        number(
            About(
                title="Tasks that run",
                families=(lifecycle.TASKS_RUNNING,),
                unit="percentunit",
                empty="the job has ended, or its tasks are not known",
            ),
            f"min({SCOPE.gauge(lifecycle.TASKS_RUNNING)})",
        ),
        number(
            About(
                title="Subtasks that were read",
                families=(coverage.JOB_COVERAGE,),
                symptoms=("data_stale",),
                unit="percentunit",
                empty="no task of the job runs",
            ),
            f"min({SCOPE.gauge(coverage.JOB_COVERAGE)})",
        ),
        rows(
            deductions,
            [runbook(SCOPE.worst(verdict.DEDUCTION, "symptom"))],
            [
                Column(of="symptom", title="Symptom", links=frame.runbook_link()),
                Column(of="A", title="It takes", unit="percentunit", width=100),
                Column(of="runbook", hidden=True),
            ],
            sort=(("It takes", True),),
            width=6,
        ),
        symptom_rows(own, SCOPE.worst(verdict.SYMPTOM["job"], "symptom", "severity"), [], width=6),
        lines(lost, {"{{symptom}}": SCOPE.worst(verdict.DEDUCTION, "symptom")}, width=12, most=1, stacked=True),
    ]


def _work() -> list[Panel]:
    def share(about: About, query: str) -> Panel:
        return lines(about, {_TASK: query}, most=1)

    return [
        states(
            About(
                title="Bottleneck",
                families=(bottleneck.BOTTLENECK,),
                note="The task that holds the job back, and why. Its victims, which wait for it, are not shown.",
                empty="no task holds the job back",
            ),
            SCOPE.worst(bottleneck.BOTTLENECK, "task_name", "reason"),
            "{{task_name}} ({{reason}})",
            words={"1": ("bottleneck", "red")},
            height=5,
        ),
        share(
            About(
                title="Busy: the busiest subtask",
                families=(busy.BUSY_MAX,),
                symptoms=("task_saturated",),
                unit="percentunit",
                empty=f"{_NEW}, or its sources are of the old kind and it has nothing else",
            ),
            SCOPE.worst(busy.BUSY_MAX, "task_name"),
        ),
        share(
            About(
                title="Backpressured: the most held-back subtask",
                families=(busy.BACKPRESSURED_MAX,),
                unit="percentunit",
                empty=_NEW,
            ),
            SCOPE.worst(busy.BACKPRESSURED_MAX, "task_name"),
        ),
        share(
            About(title="Idle: the mean", families=(busy.IDLE_MEAN,), unit="percentunit", empty=_NEW),
            SCOPE.worst(busy.IDLE_MEAN, "task_name"),
        ),
        lines(
            About(
                title="Skew of records",
                families=(skew.RATIO,),
                symptoms=("skew",),
                unit="none",
                empty=f"{_NEW}, no task has two subtasks, or hardly a record flows",
            ),
            {_TASK: SCOPE.worst(skew.RATIO, "task_name", signal='="records"')},
        ),
        lines(
            About(
                title="Skew of work",
                families=(skew.RATIO,),
                note="How much more the busiest subtask works than the mean of all. With even records, single ones "
                "cost more than others.",
                unit="none",
                empty=f"{_NEW}, no task has two subtasks, or they hardly work",
            ),
            {_TASK: SCOPE.worst(skew.RATIO, "task_name", signal='="busy"')},
        ),
        rows(
            About(
                title="Hottest subtasks",
                families=(skew.RATIO, skew.HOTTEST, skew.DEVIATION),
                empty=f"{_NEW}, or no task has two subtasks",
                unit="none",
            ),
            [
                SCOPE.worst(skew.RATIO, "task_name", "signal"),
                SCOPE.worst(skew.HOTTEST, "task_name", "signal"),
                SCOPE.worst(skew.DEVIATION, "task_name", "signal"),
            ],
            [
                Column(of="task_name", title="Task"),
                Column(of="signal", title="By", width=80),
                Column(of="B", title="Subtask", unit="none", width=80),
                Column(of="A", title="Over the mean", unit="none", width=110),
                Column(of="C", title="Deviation", unit="percentunit", width=90),
            ],
            sort=(("Over the mean", True),),
            width=8,
        ),
    ]


def _throughput() -> list[Panel]:
    return [
        lines(
            About(title="Records in", families=(throughput.IN,), unit="cps", empty=_NEW),
            {_TASK: SCOPE.worst(throughput.IN, "task_name")},
        ),
        lines(
            About(title="Records out", families=(throughput.OUT,), unit="cps", empty=_NEW),
            {_TASK: SCOPE.worst(throughput.OUT, "task_name")},
        ),
        lines(
            About(
                title="Throughput against what is normal",
                families=(throughput.RATIO,),
                symptoms=("throughput_drop",),
                note="1 is normal for the task. It is a symptom only when all tasks are below.",
                unit="percentunit",
                empty="the job has run for less than 10 looks of 15 s, or nothing flows as a rule",
            ),
            {_TASK: SCOPE.worst(throughput.RATIO, "task_name")},
        ),
        lines(
            About(
                title="What is normal",
                families=(throughput.BASELINE,),
                unit="cps",
                empty="the job has run for less than 10 looks of 15 s",
            ),
            {_TASK: SCOPE.worst(throughput.BASELINE, "task_name")},
        ),
        lines(
            About(
                title="What each task could take in",
                families=(throughput.CAPACITY,),
                unit="cps",
                empty=f"{_NEW}, or every task is less than 5 % busy",
            ),
            {_TASK: SCOPE.worst(throughput.CAPACITY, "task_name")},
        ),
        lines(
            About(
                title="Records out for each record in",
                families=(throughput.SELECTIVITY,),
                unit="none",
                empty=f"{_NEW}, has no task between the first and the last, or hardly a record flows",
            ),
            {_TASK: SCOPE.worst(throughput.SELECTIVITY, "task_name")},
        ),
    ]


def _sources() -> list[Panel]:
    source = "{{operator_name}}"
    return [
        shared.source_status(SCOPE, source, "operator_name", width=24, height=5),
        lines(
            About(
                title="Source lag",
                families=(source_lag.RECORDS,),
                empty=f"{_NOT_RUNNING}, or no source of it tells its lag",
            ),
            {source: SCOPE.worst(source_lag.RECORDS, "operator_name")},
        ),
        lines(
            About(
                title="Source lag in time",
                families=(source_lag.SECONDS,),
                unit="s",
                empty=f"{_NOT_RUNNING}, reads nothing, or no source of it tells its lag",
            ),
            {source: SCOPE.worst(source_lag.SECONDS, "operator_name")},
        ),
        lines(
            About(
                title="Growth of the lag",
                families=(source_lag.GROWTH,),
                unit="cps",
                empty=f"{_NOT_RUNNING}, began within the last minute, or no source of it tells its lag",
            ),
            {source: SCOPE.worst(source_lag.GROWTH, "operator_name")},
            signed=True,
        ),
        lines(
            About(
                title="Watermark lag",
                families=(watermark.LAG,),
                unit="s",
                empty=f"{_NOT_RUNNING}, or has no watermarks",
            ),
            {_TASK: SCOPE.worst(watermark.LAG, "task_name")},
            signed=True,
        ),
        lines(
            About(
                title="Watermark stands still",
                families=(watermark.STALLED,),
                symptoms=("watermark_stalled",),
                unit="s",
                empty=f"{_NOT_RUNNING}, or has no watermarks",
            ),
            {_TASK: SCOPE.worst(watermark.STALLED, "task_name")},
        ),
        lines(
            About(
                title="Latency, 99th percentile",
                families=(latency.P99,),
                unit="s",
                empty="Flink's latency tracking is off, which it is unless asked for",
            ),
            {_TASK: SCOPE.worst(latency.P99, "task_name")},
        ),
    ]


def _checkpoints() -> list[Panel]:
    return [
        shared.duration(SCOPE, "job_name", legend="checkpoints"),
        shared.duration_ratio(SCOPE, "job_name", legend="times"),
        shared.overdue(SCOPE, "job_name", legend="of what is allowed"),
        shared.checkpoint_failures(SCOPE, legend="{{reason}}"),
        shared.state_size(SCOPE, "job_name", legend="state"),
        rows(
            About(
                title="Slowest phase",
                families=(checkpoint.SLOWEST_PHASE,),
                empty="checkpoints do not take long against what is normal, or the slow one has yet to complete",
            ),
            [SCOPE.worst(checkpoint.SLOWEST_PHASE, "task_name", "phase")],
            [
                Column(of="task_name", title="Task"),
                Column(of="phase", title="Phase", width=120),
                Column(of="A", hidden=True),
            ],
            width=8,
        ),
    ]


def _restarts() -> list[Panel]:
    unread = "the job has ended, or its failures could not be read"
    return [
        lines(
            About(
                title="Restarts in 10 minutes",
                families=(restarts.RECENT,),
                symptoms=("restarts_frequent", "restart_loop"),
                empty="the job has ended, or its restarts could not be read",
            ),
            {"restarts": f"max({SCOPE.gauge(restarts.RECENT)})"},
        ),
        lines(
            About(
                title="Failures in 10 minutes, by what they were",
                families=(failures.RECENT,),
                empty=f"the job has not failed as far as Flink remembers, {unread}",
            ),
            {"{{scenario}}": SCOPE.worst(failures.RECENT, "scenario")},
            bars=True,
        ),
        gauges(
            About(
                title="Failures over the whole time",
                families=(failures.TOTAL,),
                note="Root failures of the job within the time shown, by what brought it down.",
                empty=f"the job has not failed as far as Flink remembers, {unread}",
            ),
            SCOPE.increase(failures.TOTAL, "scenario", over="$__range"),
            "{{scenario}}",
        ),
        number(
            About(
                title="Restarts",
                families=(restarts.TOTAL,),
                note="Restarts after failures within the time shown.",
                empty="the job has ended, or its restarts could not be read",
            ),
            f"sum({SCOPE.increase(restarts.TOTAL, 'job_id', over='$__range')})",
            width=3,
            height=6,
        ),
        number(
            About(
                title="Restarts left",
                families=(restarts.BUDGET,),
                symptoms=("restart_budget_low",),
                note="Restarts left before the job fails for good. Few are a symptom only after the first restart.",
                empty="the job may restart without limit, or has ended",
            ),
            f"min({SCOPE.gauge(restarts.BUDGET)})",
            width=3,
            height=6,
        ),
        number(
            About(
                title="Wait before the next restart",
                families=(restarts.BACKOFF,),
                unit="s",
                empty="the job is not restarted after failures, or has ended",
            ),
            f"max({SCOPE.gauge(restarts.BACKOFF)})",
            width=3,
            height=6,
        ),
        number(
            About(
                title="Restart strategy",
                families=(restarts.STRATEGY,),
                empty="the job has ended, or its configuration could not be read",
            ),
            SCOPE.worst(restarts.STRATEGY, "strategy"),
            legend="{{strategy}}",
            width=3,
            height=6,
        ),
        rows(
            About(
                title="Last failures",
                families=(failures.LAST,),
                empty=f"the job has not failed as far as Flink remembers, {unread}",
            ),
            # Grafana counts in milliseconds.
            [f"1000 * {SCOPE.worst(failures.LAST, 'scenario')}"],
            [
                Column(of="scenario", title="What it was"),
                Column(of="A", title="When", unit="dateTimeFromNow"),
            ],
            sort=(("When", True),),
            width=6,
            height=6,
        ),
        rows(
            About(
                title="Configuration that will hurt",
                families=(config_lint.ISSUE,),
                empty="nothing in the configuration is found wanting",
            ),
            [SCOPE.worst(config_lint.ISSUE, "check")],
            [Column(of="check", title="What is wrong"), Column(of="A", hidden=True)],
            width=6,
            height=6,
        ),
    ]


def _taskmanagers() -> list[Panel]:
    note = "All TaskManagers of the cluster: which of them the job runs on is not among the labels."
    missing = "no TaskManager could be read"
    return [
        lines(
            About(
                title="Heap that collection cannot free",
                families=(heap.FLOOR[TaskManager],),
                symptoms=("heap_high",),
                note=note,
                unit="percentunit",
                empty=f"{missing} for a minute",
            ),
            {"{{host}} {{tm_id}}": SCOPE.worst(heap.FLOOR[TaskManager], "host", "tm_id")},
            width=12,
            most=1,
        ),
        lines(
            About(
                title="Garbage collection",
                families=(gc.RATIO[TaskManager],),
                symptoms=("gc_pressure",),
                note=note,
                unit="percentunit",
                empty=f"{missing} twice",
            ),
            {"{{host}} {{tm_id}}": SCOPE.worst(gc.RATIO[TaskManager], "host", "tm_id")},
            width=12,
            most=1,
        ),
    ]
