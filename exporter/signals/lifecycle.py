"""Lifecycle: what state is the job in, and for how long has it run?"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.families import Family, Sample
from exporter.history import Past
from exporter.model import Job
from exporter.signals.base import Signal

STATE = Family(
    name="flink_health_job_state",
    help="The state that the job is in; all that is left of a job that has ended.",
    formula="1 for the present state, as Flink names it",
    labels=("state",),
)
UPTIME = Family(
    name="flink_health_job_uptime_seconds",
    help="How long the job has run since it last started or restarted.",
    formula="now less the last entry into RUNNING, both by the JobManager's clock; absent unless RUNNING",
)


def derive(job: Job, past: Past, now: float) -> Iterator[Sample]:
    yield STATE.sample(1, state=job.state)
    if job.epoch is not None:
        yield UPTIME.sample(max(0.0, job.now - job.epoch))


SIGNAL = Signal(name="lifecycle", each=(Job,), families=(STATE, UPTIME), needs=(), derive=derive)
