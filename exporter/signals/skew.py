"""Skew: how unevenly is the work of a task spread over its subtasks, and which one has most of it?"""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Column, Raw, Scope, Vertex
from exporter.signals._counters import shares
from exporter.signals._stats import observed, present, rates
from exporter.signals.base import Note, Signal

RECORDS_IN = Raw(Scope.TASK, "numRecordsIn")
RECORDS_OUT = Raw(Scope.TASK, "numRecordsOut")
BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")

_FORMS = "`signal` is `records` (input; output for a source) or `busy`; from counters over 60 s"

RATIO = Family(
    name="flink_health_task_skew_ratio",
    help="Work of the busiest subtask over the mean of all: 1 is even, the parallelism is all on one.",
    formula=f"max / mean of the subtasks; {_FORMS}; absent below 2 subtasks, 1 record/s, 30 records for each "
    "subtask in the mean, or 10 % busy",
    labels=("signal",),
)
DEVIATION = Family(
    name="flink_health_task_skew_deviation_ratio",
    help="How far subtasks are from their mean on average: 0 is even, as in Flink's own web UI.",
    formula=f"min(1, mean(abs(x - mean)) / mean); {_FORMS}",
    labels=("signal",),
)
HOTTEST = Family(
    name="flink_health_task_skew_hottest_subtask",
    help="Index of the subtask with most of the work.",
    formula=f"argmax of the subtasks; {_FORMS}",
    labels=("signal",),
)

WINDOW = 60.0
_TRACKS = {signal: Track(f"skew_{signal}", most=64, span=WINDOW, least=2) for signal in ("records", "busy")}

# Below these a task hardly works, and its unevenness is chance: records a second of all subtasks; records for each of
# them, as the busiest of many that share few has a multiple of its share; share of its time that the busiest works,
# which Flink counts no better than to a few hundredths.
_LEAST_RECORDS = 1.0
_LEAST_EACH = 30.0
_LEAST_BUSY = 0.1


def remember(vertex: Vertex, past: Past, now: float) -> Iterator[Note]:
    for signal, counter in _counters(vertex).items():
        yield Note(_TRACKS[signal], Point(vertex.read_at, counter, tick=vertex.read_at, epoch=vertex.epoch))


def _counters(vertex: Vertex) -> dict[str, Column]:
    """The work done so far, by signal: what was read of a task that runs. Without it no rate of before holds."""
    if not vertex.running or vertex.epoch is None:
        return {}
    records = RECORDS_OUT if vertex.works_by_sending else RECORDS_IN
    found = {"records": vertex.readings.get(records), "busy": vertex.readings.get(BUSY)}
    return {signal: counter for signal, counter in found.items() if counter is not None}


def derive(vertex: Vertex, past: Past, now: float) -> Iterator[Sample]:
    for signal in _counters(vertex):
        points = past[_TRACKS[signal]]
        column = (shares if signal == "busy" else rates)(points)
        values = present(column) if column else []
        if column is None or len(values) < 2 or not _works(signal, values, observed(points)):
            continue
        mean = sum(values) / len(values)
        yield RATIO.sample(max(values) / mean, signal=signal)
        deviation = sum(abs(value - mean) for value in values) / len(values) / mean
        yield DEVIATION.sample(min(1.0, deviation), signal=signal)
        hottest = max(range(len(column)), key=lambda index: -1.0 if isnan(column[index]) else column[index])
        yield HOTTEST.sample(hottest, signal=signal)


def _works(signal: str, values: list[float], seconds: float) -> bool:
    if signal == "records":
        return sum(values) >= max(_LEAST_RECORDS, _LEAST_EACH * len(values) / seconds)
    return max(values) >= _LEAST_BUSY


SIGNAL = Signal(
    name="skew",
    each=(Vertex,),
    families=(RATIO, DEVIATION, HOTTEST),
    needs=(RECORDS_IN, RECORDS_OUT, BUSY),
    remember=remember,
    derive=derive,
)
