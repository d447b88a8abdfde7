"""Sources and event time: how far behind are the jobs, and do they catch up?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.signals import source_lag, throughput, watermark
from grafana import frame, shared
from grafana.panels import About, Column, Each, Panel, lines, rows
from grafana.queries import Scope

SCOPE = Scope(frame.matchers(frame.CLUSTERS, frame.JOBS))
_SOURCE = ("cluster", "job_name", "operator_name")
_SOURCES = Each(SCOPE, _SOURCE, "{{job_name}}: {{operator_name}}")
_TASKS = Each(SCOPE, ("cluster", "job_name", "task_name"), "{{job_name}}: {{task_name}}")
_UNTOLD = "no job runs, or no source tells its lag"
_TIMELESS = f"{_UNTOLD}, or records have no time"
_NO_EVENT_TIME = "no job runs that has watermarks"


def build() -> Dashboard:
    """The dashboard."""
    return frame.build(
        frame.SOURCES,
        "How far are jobs behind what there is to read, and behind the clock in event time; do they catch up?",
        [frame.CLUSTERS, frame.JOBS],
        {
            "": [shared.source_status(_SOURCES, height=6), _table()],
            "Lag": _lag(),
            "Reading": _reading(),
            "Event time": _event_time(),
        },
    )


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
            " or ".join(f"0 * {_SOURCES.worst(family)}" for family in families),
            *(_SOURCES.worst(family) for family in families),
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
        _SOURCES.lines("Records behind", source_lag.RECORDS, empty=_UNTOLD),
        _SOURCES.lines("Behind, in time", source_lag.SECONDS, unit="s", empty=f"{_UNTOLD}, or nothing is read"),
        _SOURCES.lines("Growth of the lag", source_lag.GROWTH, unit="cps", empty=_UNTOLD, signed=True),
        _SOURCES.lines(
            "Time until caught up",
            source_lag.CATCH_UP,
            unit="s",
            empty="no source catches up: none is behind, or none becomes less so",
        ),
        _SOURCES.lines("Age of records when sent on", source_lag.EMIT, unit="s", empty=_TIMELESS, signed=True),
        _SOURCES.lines("Age of records when fetched", source_lag.FETCH, unit="s", empty=_TIMELESS, signed=True),
    ]


def _reading() -> list[Panel]:
    return [
        _SOURCES.lines(
            "Nothing to read",
            source_lag.IDLE_SECONDS,
            unit="s",
            empty="no job runs, or no source tells for how long it is idle",
        ),
        _SOURCES.lines(
            "Read since the committed offsets",
            source_lag.UNCOMMITTED,
            empty="no source commits offsets, or none has yet",
        ),
        _SOURCES.lines("Errors", source_lag.ERRORS, unit="cps", empty="no job runs, or no source counts its errors"),
    ]


def _event_time() -> list[Panel]:
    return [
        _TASKS.lines("Watermark lag", watermark.LAG, unit="s", empty=_NO_EVENT_TIME, signed=True),
        _TASKS.lines(
            "Growth of the watermark lag",
            watermark.GROWTH,
            "watermark_lag_growing",
            unit="none",
            empty=_NO_EVENT_TIME,
            signed=True,
        ),
        _TASKS.lines("Watermark stands still", watermark.STALLED, "watermark_stalled", unit="s", empty=_NO_EVENT_TIME),
        _TASKS.lines(
            "How far subtasks are apart",
            watermark.SPREAD,
            unit="s",
            empty=f"{_NO_EVENT_TIME}, or no task has two subtasks with one",
        ),
        _TASKS.lines("Subtasks without a watermark", watermark.MISSING, empty=_NO_EVENT_TIME),
        _TASKS.lines("Late records dropped", throughput.LATE_DROPPED, unit="cps", empty="no job runs that has windows"),
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
        shared.latencies(_TASKS, width=12),
    ]
