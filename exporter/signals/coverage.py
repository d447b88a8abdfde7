"""Coverage: how much of a task or job could be read, and so how far what is said of it can be trusted?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.families import Family, Sample
from exporter.history import Past
from exporter.model import Job, Raw, Scope, Vertex
from exporter.signals._stats import present
from exporter.signals.base import Signal

# A counter that every subtask has from its first moment.
RECORDS_IN = Raw(Scope.TASK, "numRecordsIn")

COVERAGE = Family(
    name="flink_health_task_coverage_ratio",
    help="Subtasks that were read over subtasks that run.",
    formula="subtasks whose `numRecordsIn` was read / parallelism less the subtasks that have finished, at most 1; "
    "absent unless the task is running",
)
JOB_COVERAGE = Family(
    name="flink_health_job_coverage_ratio",
    help="Subtasks of the job that were read over subtasks that run.",
    formula="the same over all running tasks of the job; 0 where the job is RUNNING and its tasks are not known; "
    "absent while no task runs",
)


def _read(vertices: Sequence[Vertex]) -> float | None:
    """The share of the running subtasks that was read; None while none runs."""
    running = [vertex for vertex in vertices if vertex.running]
    there_are = [vertex.parallelism - vertex.finished for vertex in running]
    # REST may still have what one that has finished said last.
    read = [
        min(run, len(present(vertex.readings.get(RECORDS_IN, ()))))
        for vertex, run in zip(running, there_are, strict=True)
    ]
    return sum(read) / sum(there_are) if any(there_are) else None


def derive(entity: Vertex | Job, past: Past, now: float) -> Iterator[Sample]:
    if isinstance(entity, Vertex):
        read, family = _read([entity]), COVERAGE
    else:
        # A job that runs has tasks: where none is known, reading it failed.
        unread = entity.state == "RUNNING" and not entity.vertices
        read, family = 0.0 if unread else _read(entity.vertices), JOB_COVERAGE
    if read is not None:
        yield family.sample(read)


SIGNAL = Signal(
    name="coverage", each=(Vertex, Job), families=(COVERAGE, JOB_COVERAGE), needs=(RECORDS_IN,), derive=derive
)
