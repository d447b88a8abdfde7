"""Panels that stand on a job's dashboard, and on one that compares jobs."""

from __future__ import annotations

from exporter.signals import checkpoint, source_lag
from grafana.bounds import GREEN, ORANGE, RED
from grafana.panels import About, Panel, lines, states
from grafana.queries import Scope

_NO_CHECKPOINT = "no checkpoint has completed, or the job has ended"
# What a source's lag does, and as what number a timeline shows it.
STATUSES = {
    "ok": ("ok", GREEN),
    "catching_up": ("catching up", "blue"),
    "growing": ("growing", ORANGE),
    "stalled": ("stalled", RED),
}


def source_status(scope: Scope, legend: str, *by: str, width: int, height: int) -> Panel:
    """What the lag of each source does. by: the labels of its legend."""
    coded = [
        f"{code} * " + scope.gauge(source_lag.STATUS, status=f'="{status}"') for code, status in enumerate(STATUSES)
    ]
    return states(
        About(
            title="What the lag does",
            families=(source_lag.STATUS,),
            empty="no job runs, it began within the last minute, or no source of it tells its lag",
        ),
        f"max by ({', '.join(by)}) ({' or '.join(coded)})",
        legend,
        words={str(code): word for code, word in enumerate(STATUSES.values())},
        width=width,
        height=height,
    )


def duration(scope: Scope, *by: str, legend: str) -> Panel:
    """How long checkpoints take, and how long they normally do."""
    return lines(
        About(
            title="Checkpoint duration",
            families=(checkpoint.DURATION, checkpoint.BASELINE),
            unit="s",
            empty=_NO_CHECKPOINT,
        ),
        {
            legend: scope.worst(checkpoint.DURATION, *by),
            f"{legend}, normally": scope.worst(checkpoint.BASELINE, *by),
        },
    )


def duration_ratio(scope: Scope, *by: str, legend: str) -> Panel:
    """Checkpoints against what is normal for the job."""
    return lines(
        About(
            title="Checkpoint duration over what is normal",
            families=(checkpoint.DURATION_RATIO,),
            symptoms=("checkpoint_slow",),
            note="How many times as long as is normal for the job the last or the present checkpoint takes. Of a few "
            "milliseconds many times as much is no symptom.",
            unit="none",
            empty="fewer than 5 checkpoints have completed, or the job has ended",
        ),
        {legend: scope.worst(checkpoint.DURATION_RATIO, *by)},
    )


def overdue(scope: Scope, *by: str, legend: str) -> Panel:
    """Whether checkpoints complete at all."""
    return lines(
        About(
            title="Age of the last checkpoint over what is allowed",
            families=(checkpoint.OVERDUE_RATIO,),
            symptoms=("checkpoint_overdue",),
            unit="percentunit",
            empty="the job takes no checkpoints by itself, or does not run",
        ),
        {legend: scope.worst(checkpoint.OVERDUE_RATIO, *by)},
    )


def checkpoint_failures(scope: Scope, *by: str, legend: str) -> Panel:
    """Checkpoints that failed, and why."""
    return lines(
        About(
            title="Checkpoints that failed, by reason",
            families=(checkpoint.FAILURES,),
            empty="no checkpoint has failed as far as Flink remembers, or the job has ended",
        ),
        {legend: scope.increase(checkpoint.FAILURES, *by, "reason")},
        bars=True,
    )


def state_size(scope: Scope, *by: str, legend: str) -> Panel:
    """How much state there is, and how much of it is written."""
    return lines(
        About(
            title="Size of the state",
            families=(checkpoint.STATE_SIZE, checkpoint.SIZE),
            unit="bytes",
            empty=_NO_CHECKPOINT,
        ),
        {
            legend: scope.worst(checkpoint.STATE_SIZE, *by),
            f"{legend}, written": scope.worst(checkpoint.SIZE, *by),
        },
    )
