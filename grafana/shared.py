"""Panels that stand on a job's dashboard, and on one that compares jobs."""

from __future__ import annotations

from exporter.families import Family
from exporter.signals import checkpoint, latency, source_lag
from grafana.bounds import GREEN, ORANGE, RED
from grafana.panels import About, Each, Panel, lines, states

_NO_CHECKPOINT = "no checkpoint has completed, or the job has ended"
# What a source's lag does, and as what number a timeline shows it.
STATUSES = {
    "ok": ("ok", GREEN),
    "catching_up": ("catching up", "blue"),
    "growing": ("growing", ORANGE),
    "stalled": ("stalled", RED),
}


def source_status(sources: Each, *, height: int) -> Panel:
    """What the lag of each source does."""
    coded = [
        f"{code} * " + sources.scope.gauge(source_lag.STATUS, status=f'="{status}"')
        for code, status in enumerate(STATUSES)
    ]
    return states(
        About(
            title="What the lag does",
            families=(source_lag.STATUS,),
            empty="no job runs, it began within the last minute, or no source of it tells its lag",
        ),
        f"max by ({', '.join(sources.by)}) ({' or '.join(coded)})",
        sources.legend,
        words={str(code): word for code, word in enumerate(STATUSES.values())},
        height=height,
    )


def latencies(tasks: Each, *, width: int = 8) -> Panel:
    """How long records take to each task."""
    return tasks.lines(
        "Latency, 99th percentile",
        latency.P99,
        unit="s",
        empty="Flink's latency tracking is off, which it is unless asked for",
        width=width,
    )


def _both(jobs: Each, title: str, first: Family, second: Family, called: str, unit: str) -> Panel:
    """Two families in one panel. called: what the legend of the second adds."""
    return lines(
        About(title=title, families=(first, second), unit=unit, empty=_NO_CHECKPOINT),
        {jobs.legend: jobs.worst(first), f"{jobs.legend}, {called}": jobs.worst(second)},
    )


def duration(jobs: Each) -> Panel:
    """How long checkpoints take, and how long they normally do."""
    return _both(jobs, "Checkpoint duration", checkpoint.DURATION, checkpoint.BASELINE, "normally", "s")


def duration_ratio(jobs: Each) -> Panel:
    """Checkpoints against what is normal for the job."""
    return jobs.lines(
        "Checkpoint duration over what is normal",
        checkpoint.DURATION_RATIO,
        "checkpoint_slow",
        note="How many times as long as is normal for the job the last or the present checkpoint takes. Of a few "
        "milliseconds many times as much is no symptom.",
        unit="none",
        empty="fewer than 5 checkpoints have completed, or the job has ended",
    )


def overdue(jobs: Each) -> Panel:
    """Whether checkpoints complete at all."""
    return jobs.lines(
        "Age of the last checkpoint over what is allowed",
        checkpoint.OVERDUE_RATIO,
        "checkpoint_overdue",
        unit="percentunit",
        empty="the job takes no checkpoints by itself, or does not run",
    )


def checkpoint_failures(reasons: Each) -> Panel:
    """Checkpoints that failed, and why."""
    return lines(
        About(
            title="Checkpoints that failed, by reason",
            families=(checkpoint.FAILURES,),
            empty="no checkpoint has failed as far as Flink remembers, or the job has ended",
        ),
        {reasons.legend: reasons.scope.increase(checkpoint.FAILURES, *reasons.by)},
        bars=True,
    )


def state_size(jobs: Each) -> Panel:
    """How much state there is, and how much of it is written."""
    return _both(jobs, "Size of the state", checkpoint.STATE_SIZE, checkpoint.SIZE, "written", "bytes")
