"""Coverage: how much of a task could be read, and so how far what is said of it can be trusted?"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.families import Family, Sample
from exporter.history import Past
from exporter.model import Raw, Scope, Vertex
from exporter.signals._stats import present
from exporter.signals.base import Signal

# A counter that every subtask has from its first moment.
RECORDS_IN = Raw(Scope.TASK, "numRecordsIn")

COVERAGE = Family(
    name="flink_health_task_coverage_ratio",
    help="Subtasks that were read over subtasks there are.",
    formula="subtasks whose `numRecordsIn` was read / parallelism; absent unless the task is running",
)


def derive(vertex: Vertex, past: Past, now: float) -> Iterator[Sample]:
    if vertex.running and vertex.parallelism:
        yield COVERAGE.sample(len(present(vertex.readings.get(RECORDS_IN, ()))) / vertex.parallelism)


SIGNAL = Signal(name="coverage", each=(Vertex,), families=(COVERAGE,), needs=(RECORDS_IN,), derive=derive)
