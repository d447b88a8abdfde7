"""Lifecycle: what state is the job in, for how long has it run, and how much of it runs or waits?"""

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
TASKS_RUNNING = Family(
    name="flink_health_job_tasks_running_ratio",
    help="Tasks of the job that run with all their subtasks, or have finished, over the tasks it has.",
    formula="tasks whose subtasks are all RUNNING or FINISHED / tasks; absent where the job's tasks are not known",
)
TASKS_WAITING = Family(
    name="flink_health_job_tasks_waiting",
    help="Tasks of the job that wait for a slot.",
    formula="tasks with a SCHEDULED subtask; all of them while the job is CREATED, as the adaptive scheduler leaves it "
    "until there are slots, or RESTARTING, as it is between two tries without; absent where its tasks are not known",
)


def derive(job: Job, past: Past, now: float) -> Iterator[Sample]:
    yield STATE.sample(1, state=job.state)
    if job.epoch is not None:
        yield UPTIME.sample(max(0.0, job.now - job.epoch))
    if job.vertices:
        yield TASKS_RUNNING.sample(sum(vertex.complete for vertex in job.vertices) / len(job.vertices))
        none_has_slots = job.state in ("CREATED", "RESTARTING")
        yield TASKS_WAITING.sample(sum(none_has_slots or vertex.waiting for vertex in job.vertices))


SIGNAL = Signal(
    name="lifecycle", each=(Job,), families=(STATE, UPTIME, TASKS_RUNNING, TASKS_WAITING), needs=(), derive=derive
)
