"""Checkpoints and state: do they complete, in what time, and how much is there to write?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.signals import checkpoint
from grafana import frame, shared
from grafana.panels import About, Column, Each, Panel, rows
from grafana.queries import Scope

SCOPE = Scope(frame.matchers(frame.CLUSTERS, frame.JOBS))
_BY = ("cluster", "job_name")
_JOBS = Each(SCOPE, _BY, "{{job_name}}")
_NO_CHECKPOINT = "no job takes checkpoints, or none has completed"


def build() -> Dashboard:
    """The dashboard."""
    return frame.build(
        frame.CHECKPOINTS,
        "Do checkpoints complete, how long do they take against what is normal, and how fast does the state grow?",
        [frame.CLUSTERS, frame.JOBS],
        {"": [_table()], "Duration": _duration(), "Failures": _failures(), "State": _state()},
    )


def _table() -> Panel:
    # A job's age is known from its start on, so it has a row before its first checkpoint.
    families = (
        checkpoint.AGE,
        checkpoint.DURATION,
        checkpoint.BASELINE,
        checkpoint.DURATION_RATIO,
        checkpoint.TIMEOUT_RATIO,
        checkpoint.OVERDUE_RATIO,
        checkpoint.CONSECUTIVE,
        checkpoint.STATE_SIZE,
        checkpoint.GROWTH_RATIO,
    )
    return rows(
        About(
            title="Jobs",
            families=(checkpoint.AGE,),
            note="The last checkpoint of each job. What is not known stays empty.",
            empty="no job runs that takes checkpoints",
        ),
        [_JOBS.worst(family) for family in families],
        [
            Column(of="job_name", title="Job", links={"Why?": frame.job_link()}),
            Column(of="cluster", title="Cluster", width=120),
            Column(of="A", title="Age", unit="s", width=80),
            Column(of="B", title="Took", unit="s", width=80),
            Column(of="C", title="Normally", unit="s", width=80),
            Column(
                of="D",
                title="Times normal",
                unit="none",
                family=checkpoint.DURATION_RATIO,
                symptoms=("checkpoint_slow",),
                width=110,
            ),
            Column(
                of="E",
                title="Of the timeout",
                unit="percentunit",
                family=checkpoint.TIMEOUT_RATIO,
                symptoms=("checkpoint_near_timeout",),
                width=110,
            ),
            Column(
                of="F",
                title="Of the allowed age",
                unit="percentunit",
                family=checkpoint.OVERDUE_RATIO,
                symptoms=("checkpoint_overdue",),
                width=130,
            ),
            Column(
                of="G",
                title="Failed in a row",
                family=checkpoint.CONSECUTIVE,
                symptoms=("checkpoint_failing",),
                width=110,
            ),
            Column(of="H", title="State", unit="bytes", width=90),
            Column(
                of="I",
                title="Growth an hour",
                unit="percentunit",
                family=checkpoint.GROWTH_RATIO,
                symptoms=("state_growing",),
                width=120,
            ),
        ],
        sort=(("Of the allowed age", True),),
    )


def _duration() -> list[Panel]:
    return [
        shared.duration(_JOBS),
        shared.duration_ratio(_JOBS),
        _JOBS.lines(
            "Checkpoint duration over the timeout",
            checkpoint.TIMEOUT_RATIO,
            "checkpoint_near_timeout",
            unit="percentunit",
            empty=_NO_CHECKPOINT,
        ),
        rows(
            About(
                title="Slowest phase",
                families=(checkpoint.SLOWEST_PHASE,),
                empty="no job's checkpoints take long against what is normal, or the slow one has yet to complete",
            ),
            [SCOPE.worst(checkpoint.SLOWEST_PHASE, *_BY, "task_name", "phase")],
            [
                Column(of="job_name", title="Job", links={"Why?": frame.job_link()}),
                Column(of="task_name", title="Task"),
                Column(of="phase", title="Phase", width=140),
                Column(of="cluster", hidden=True),
                Column(of="A", hidden=True),
            ],
            height=5,
        ),
    ]


def _failures() -> list[Panel]:
    return [
        shared.overdue(_JOBS),
        _JOBS.lines(
            "Checkpoints that failed in a row",
            checkpoint.CONSECUTIVE,
            "checkpoint_failing",
            empty="no job takes checkpoints",
        ),
        shared.checkpoint_failures(Each(SCOPE, (*_BY, "reason"), "{{job_name}}: {{reason}}")),
    ]


def _state() -> list[Panel]:
    return [
        shared.state_size(_JOBS),
        _JOBS.lines(
            "Growth of the state",
            checkpoint.GROWTH,
            unit="Bps",
            empty="no job has completed 3 checkpoints",
            signed=True,
        ),
        _JOBS.lines(
            "Growth an hour over the present size",
            checkpoint.GROWTH_RATIO,
            "state_growing",
            note="What share of its present size the state gains an hour. Of little state it is no symptom.",
            unit="percentunit",
            empty="no job has completed 3 checkpoints, or none has state",
            signed=True,
        ),
    ]
