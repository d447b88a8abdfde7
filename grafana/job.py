"""Job: why is it ill? In the order of an expert's look."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard, FieldColorModeId

from exporter.families import Family
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
    lifecycle,
    restarts,
    skew,
    source_lag,
    throughput,
    watermark,
)
from exporter.symptoms import verdict
from grafana import frame, shared
from grafana.panels import About, Column, Each, Panel, gauges, lines, number, rows, states, symptom_rows
from grafana.queries import Scope, runbook

SCOPE = Scope(frame.matchers(frame.ONE_CLUSTER, frame.ONE_JOB))
_TASKS = Each(SCOPE, ("task_name",), "{{task_name}}")
_NOT_RUNNING = "the job does not run"
_NEW = f"{_NOT_RUNNING}, or began less than two cycles ago"


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


def _now(
    title: str,
    family: Family,
    *symptoms: str,
    how: str = "min",
    empty: str,
    unit: str = "short",
    note: str = "",
    width: int = 4,
    height: int = 4,
) -> Panel:
    """A gauge that the job has one of, now. how: which of them, if two jobs have its name."""
    about = About(title=title, families=(family,), symptoms=symptoms, unit=unit, note=note, empty=empty)
    return number(about, f"{how}({SCOPE.gauge(family)})", width=width, height=height)


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
        number(score, f"min({SCOPE.gauge(verdict.SCORE)})", scale=FieldColorModeId.CONTINUOUS_RD_YL_GR),
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
        _now("Runs for", lifecycle.UPTIME, how="max", unit="s", empty=_NOT_RUNNING),
        _now("Available", restarts.AVAILABILITY, unit="percentunit", empty="the job has ended"),
        _now(
            "Tasks that run",
            lifecycle.TASKS_RUNNING,
            unit="percentunit",
            empty="the job has ended, or its tasks are not known",
        ),
        _now(
            "Subtasks that were read",
            coverage.JOB_COVERAGE,
            "data_stale",
            unit="percentunit",
            empty="no task of the job runs",
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
    hottest = (skew.RATIO, skew.HOTTEST, skew.DEVIATION)
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
        _TASKS.shares(
            "Busy: the busiest subtask",
            busy.BUSY_MAX,
            "task_saturated",
            empty=f"{_NEW}, or its sources are of the old kind and it has nothing else",
        ),
        _TASKS.shares("Backpressured: the most held-back subtask", busy.BACKPRESSURED_MAX, empty=_NEW),
        _TASKS.shares("Idle: the mean", busy.IDLE_MEAN, empty=_NEW),
        _TASKS.lines(
            "Skew of records",
            skew.RATIO,
            "skew",
            unit="none",
            empty=f"{_NEW}, no task has two subtasks, or hardly a record flows",
            signal='="records"',
        ),
        _TASKS.lines(
            "Skew of work",
            skew.RATIO,
            note="How much more the busiest subtask works than the mean of all. With even records, single ones cost "
            "more than others.",
            unit="none",
            empty=f"{_NEW}, no task has two subtasks, or they hardly work",
            signal='="busy"',
        ),
        rows(
            About(
                title="Hottest subtasks", families=hottest, empty=f"{_NEW}, or no task has two subtasks", unit="none"
            ),
            [SCOPE.worst(family, "task_name", "signal") for family in hottest],
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
        _TASKS.lines("Records in", throughput.IN, unit="cps", empty=_NEW),
        _TASKS.lines("Records out", throughput.OUT, unit="cps", empty=_NEW),
        _TASKS.lines(
            "Throughput against what is normal",
            throughput.RATIO,
            "throughput_drop",
            note="1 is normal for the task. It is a symptom only when all tasks are below.",
            unit="percentunit",
            empty="the job has run for less than 10 looks of 15 s, or nothing flows as a rule",
        ),
        _TASKS.lines(
            "What is normal", throughput.BASELINE, unit="cps", empty="the job has run for less than 10 looks of 15 s"
        ),
        _TASKS.lines(
            "What each task could take in",
            throughput.CAPACITY,
            unit="cps",
            empty=f"{_NEW}, or every task is less than 5 % busy",
        ),
        _TASKS.lines(
            "Records out for each record in",
            throughput.SELECTIVITY,
            unit="none",
            empty=f"{_NEW}, has no task between the first and the last, or hardly a record flows",
        ),
    ]


def _sources() -> list[Panel]:
    sources = Each(SCOPE, ("operator_name",), "{{operator_name}}")
    no_watermarks = f"{_NOT_RUNNING}, or has no watermarks"
    return [
        shared.source_status(sources, height=5),
        sources.lines("Source lag", source_lag.RECORDS, empty=f"{_NOT_RUNNING}, or no source of it tells its lag"),
        sources.lines(
            "Source lag in time",
            source_lag.SECONDS,
            unit="s",
            empty=f"{_NOT_RUNNING}, reads nothing, or no source of it tells its lag",
        ),
        sources.lines(
            "Growth of the lag",
            source_lag.GROWTH,
            unit="cps",
            empty=f"{_NOT_RUNNING}, began within the last minute, or no source of it tells its lag",
            signed=True,
        ),
        _TASKS.lines("Watermark lag", watermark.LAG, unit="s", empty=no_watermarks, signed=True),
        _TASKS.lines("Watermark stands still", watermark.STALLED, "watermark_stalled", unit="s", empty=no_watermarks),
        shared.latencies(_TASKS),
    ]


def _checkpoints() -> list[Panel]:
    def called(legend: str) -> Each:
        return Each(SCOPE, ("job_name",), legend)

    return [
        shared.duration(called("checkpoints")),
        shared.duration_ratio(called("times")),
        shared.overdue(called("of what is allowed")),
        shared.checkpoint_failures(Each(SCOPE, ("reason",), "{{reason}}")),
        shared.state_size(called("state")),
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
    unread = "the job has ended, or its restarts could not be read"
    never = "Flink remembers no failure of the job, the job has ended, or its failures could not be read"
    return [
        lines(
            About(
                title="Restarts in 10 minutes",
                families=(restarts.RECENT,),
                symptoms=("restarts_frequent", "restart_loop"),
                empty=unread,
            ),
            {"restarts": f"max({SCOPE.gauge(restarts.RECENT)})"},
        ),
        lines(
            About(title="Failures in 10 minutes, by what they were", families=(failures.RECENT,), empty=never),
            {"{{scenario}}": SCOPE.worst(failures.RECENT, "scenario")},
            bars=True,
        ),
        gauges(
            About(
                title="Failures over the whole time",
                families=(failures.TOTAL,),
                note="Root failures of the job within the time shown, by what brought it down.",
                empty=never,
            ),
            SCOPE.increase(failures.TOTAL, "scenario", over="$__range"),
            "{{scenario}}",
        ),
        number(
            About(
                title="Restarts",
                families=(restarts.TOTAL,),
                note="Restarts after failures within the time shown.",
                empty=unread,
            ),
            f"sum({SCOPE.increase(restarts.TOTAL, 'job_id', over='$__range')})",
            width=3,
            height=6,
        ),
        _now(
            "Restarts left",
            restarts.BUDGET,
            "restart_budget_low",
            note="Restarts left before the job fails for good. Few are a symptom only after the first restart.",
            empty="the job may restart without limit, or has ended",
            width=3,
            height=6,
        ),
        _now(
            "Wait before the next restart",
            restarts.BACKOFF,
            how="max",
            unit="s",
            empty="the job is not restarted after failures, or has ended",
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
            About(title="Last failures", families=(failures.LAST,), empty=never),
            # Grafana counts in milliseconds.
            [f"1000 * {SCOPE.worst(failures.LAST, 'scenario')}"],
            [Column(of="scenario", title="What it was"), Column(of="A", title="When", unit="dateTimeFromNow")],
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
    hosts = Each(SCOPE, ("host", "tm_id"), "{{host}} {{tm_id}}")
    note = "All TaskManagers of the cluster: which of them the job runs on is not among the labels."
    missing = "no TaskManager could be read"
    return [
        hosts.shares(
            "Heap that collection cannot free",
            heap.FLOOR[TaskManager],
            "heap_high",
            note=note,
            empty=f"{missing} for a minute",
            width=12,
        ),
        hosts.shares(
            "Garbage collection", gc.RATIO[TaskManager], "gc_pressure", note=note, empty=f"{missing} twice", width=12
        ),
    ]
