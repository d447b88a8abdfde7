"""Sources and event time: how far behind are the jobs, and do they catch up?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.families import Family
from exporter.signals import latency, source_lag, throughput, watermark
from grafana import frame, shared
from grafana.panels import About, Column, Panel, lines, rows
from grafana.queries import Scope

SCOPE = Scope(frame.matchers(frame.CLUSTERS, frame.JOBS))
_SOURCE = ("cluster", "job_name", "operator_name")
_TASK = ("cluster", "job_name", "task_name")
_UNTOLD = "no job runs, or no source tells its lag"
_NO_EVENT_TIME = "no job runs that has watermarks"


def build() -> Dashboard:
    """The dashboard."""
    return frame.build(
        frame.SOURCES,
        "How far are jobs behind what there is to read, and behind the clock in event time; do they catch up?",
        [frame.CLUSTERS, frame.JOBS],
        {"": [_status(), _table()], "Lag": _lag(), "Reading": _reading(), "Event time": _event_time()},
    )


def _source(about: About, family: Family, *, signed: bool = False) -> Panel:
    return lines(about, {"{{job_name}}: {{operator_name}}": SCOPE.worst(family, *_SOURCE)}, signed=signed)


def _task(about: About, family: Family, *, signed: bool = False) -> Panel:
    return lines(about, {"{{job_name}}: {{task_name}}": SCOPE.worst(family, *_TASK)}, signed=signed)


def _status() -> Panel:
    return shared.source_status(SCOPE, "{{job_name}}: {{operator_name}}", *_SOURCE, width=24, height=6)


def _table() -> Panel:
    families = (
        source_lag.RECORDS,
        source_lag.SECONDS,
        source_lag.GROWTH,
        source_lag.CATCH_UP,
        source_lag.EMIT,
        source_lag.IDLE_SECONDS,
        source_lag.ERRORS,
    )
    return rows(
        About(
            title="Sources",
            families=(source_lag.RECORDS, source_lag.CATCH_UP),
            note="How far each source is behind, and whether it catches up. What it does not tell stays empty.",
            empty="no job runs, or no source tells anything of its lag",
        ),
        [
            # Every source of which anything is known. Grafana would call the value of the only query that has one by
            # the name of the first's.
            " or ".join(f"0 * {SCOPE.worst(family, *_SOURCE)}" for family in families),
            *(SCOPE.worst(family, *_SOURCE) for family in families),
            SCOPE.worst(source_lag.STATUS, *_SOURCE, "status"),
        ],
        [
            Column(of="job_name", title="Job", links={"Why?": frame.job_link()}),
            Column(of="operator_name", title="Source"),
            Column(of="cluster", title="Cluster", width=120),
            Column(of="status", title="Lag is", words=shared.STATUSES, width=110),
            Column(of="B", title="Records behind", width=120),
            Column(of="C", title="Behind", unit="s", width=90),
            Column(of="D", title="Growth", unit="cps", width=90),
            Column(of="E", title="Caught up in", unit="s", width=110),
            Column(of="F", title="Age of records", unit="s", width=120),
            Column(of="G", title="Idle for", unit="s", width=90),
            Column(of="H", title="Errors", unit="cps", width=80),
            Column(of="A", hidden=True),
            Column(of="I", hidden=True),
        ],
        sort=(("Records behind", True),),
    )


def _lag() -> list[Panel]:
    return [
        _source(About(title="Records behind", families=(source_lag.RECORDS,), empty=_UNTOLD), source_lag.RECORDS),
        _source(
            About(
                title="Behind, in time",
                families=(source_lag.SECONDS,),
                unit="s",
                empty=f"{_UNTOLD}, or nothing is read",
            ),
            source_lag.SECONDS,
        ),
        _source(
            About(title="Growth of the lag", families=(source_lag.GROWTH,), unit="cps", empty=_UNTOLD),
            source_lag.GROWTH,
            signed=True,
        ),
        _source(
            About(
                title="Time until caught up",
                families=(source_lag.CATCH_UP,),
                unit="s",
                empty="no source catches up: none is behind, or none becomes less so",
            ),
            source_lag.CATCH_UP,
        ),
        _source(
            About(
                title="Age of records when sent on",
                families=(source_lag.EMIT,),
                unit="s",
                empty=f"{_UNTOLD}, or records have no time",
            ),
            source_lag.EMIT,
            signed=True,
        ),
        _source(
            About(
                title="Age of records when fetched",
                families=(source_lag.FETCH,),
                unit="s",
                empty=f"{_UNTOLD}, or records have no time",
            ),
            source_lag.FETCH,
            signed=True,
        ),
    ]


def _reading() -> list[Panel]:
    return [
        _source(
            About(
                title="Nothing to read",
                families=(source_lag.IDLE_SECONDS,),
                unit="s",
                empty="no job runs, or no source tells for how long it is idle",
            ),
            source_lag.IDLE_SECONDS,
        ),
        _source(
            About(
                title="Read since the committed offsets",
                families=(source_lag.UNCOMMITTED,),
                empty="no source commits offsets, or none has yet",
            ),
            source_lag.UNCOMMITTED,
        ),
        _source(
            About(
                title="Errors",
                families=(source_lag.ERRORS,),
                unit="cps",
                empty="no job runs, or no source counts its errors",
            ),
            source_lag.ERRORS,
        ),
    ]


def _event_time() -> list[Panel]:
    return [
        _task(
            About(title="Watermark lag", families=(watermark.LAG,), unit="s", empty=_NO_EVENT_TIME),
            watermark.LAG,
            signed=True,
        ),
        _task(
            About(
                title="Growth of the watermark lag",
                families=(watermark.GROWTH,),
                symptoms=("watermark_lag_growing",),
                unit="none",
                empty=_NO_EVENT_TIME,
            ),
            watermark.GROWTH,
            signed=True,
        ),
        _task(
            About(
                title="Watermark stands still",
                families=(watermark.STALLED,),
                symptoms=("watermark_stalled",),
                unit="s",
                empty=_NO_EVENT_TIME,
            ),
            watermark.STALLED,
        ),
        _task(
            About(
                title="How far subtasks are apart",
                families=(watermark.SPREAD,),
                unit="s",
                empty=f"{_NO_EVENT_TIME}, or no task has two subtasks with one",
            ),
            watermark.SPREAD,
        ),
        _task(
            About(title="Subtasks without a watermark", families=(watermark.MISSING,), empty=_NO_EVENT_TIME),
            watermark.MISSING,
        ),
        _task(
            About(
                title="Late records dropped",
                families=(throughput.LATE_DROPPED,),
                unit="cps",
                empty="no job runs that has windows",
            ),
            throughput.LATE_DROPPED,
        ),
        lines(
            About(
                title="Lag of whole jobs",
                families=(watermark.JOB_LAG, watermark.JOB_STALLED),
                unit="s",
                empty=_NO_EVENT_TIME,
            ),
            {
                "{{job_name}}": SCOPE.worst(watermark.JOB_LAG, "cluster", "job_name"),
                "{{job_name}}, stands still for": SCOPE.worst(watermark.JOB_STALLED, "cluster", "job_name"),
            },
            width=12,
            signed=True,
        ),
        lines(
            About(
                title="Latency, 99th percentile",
                families=(latency.P99,),
                unit="s",
                empty="Flink's latency tracking is off, which it is unless asked for",
            ),
            {"{{job_name}}: {{task_name}}": SCOPE.worst(latency.P99, *_TASK)},
            width=12,
        ),
    ]
