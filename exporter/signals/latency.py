"""Latency: how long do records take to a task from the source that they came from?

Told by Flink's latency markers, which are off by default and pass operators by: they wait where records wait, but are
not worked on. Read with granularity `single` and `operator`; `subtask` has a histogram for each pair of subtasks, and
asking for all of them costs more than the answer is worth. Up to Flink 1.18 the histograms stand still after a restart
(FLINK-35750), and have another place, where they are left.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.families import Family, Sample
from exporter.history import Past
from exporter.model import Raw, Scope, Vertex
from exporter.signals._stats import present
from exporter.signals.base import Signal

BY_OPERATOR = Raw(Scope.LATENCY, "source_id.operator_id.operator_subtask_index.latency_p99")
SINGLE = Raw(Scope.LATENCY, "operator_id.operator_subtask_index.latency_p99")

P99 = Family(
    name="flink_health_task_latency_p99_seconds",
    help="How long latency markers take from their source to the task, waiting where records wait: 99 in 100 less.",
    formula="greatest p99 of Flink's last 128 latency markers a source, over the operators of the task, its subtasks "
    "and the sources; absent unless `metrics.latency.interval` is set, with granularity `subtask`, before Flink 1.19, "
    "and for a source by itself",
)


def derive(vertex: Vertex, past: Past, now: float) -> Iterator[Sample]:
    if not vertex.running:
        return
    milliseconds = [value for raw in (BY_OPERATOR, SINGLE) for value in present(vertex.readings.get(raw, ()))]
    if milliseconds:
        yield P99.sample(max(milliseconds) / 1000)


SIGNAL = Signal(name="latency", each=(Vertex,), families=(P99,), needs=(BY_OPERATOR, SINGLE), derive=derive)
