"""Watermark: how far is event time behind, does it fall further behind, and does it move at all?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, isnan, nan

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Raw, Scope, Vertex
from exporter.signals._stats import observed, present, rates, slope, up_to
from exporter.signals.base import Note, Rollup, Signal

INPUT = Raw(Scope.TASK, "currentInputWatermark")
OUTPUT = Raw(Scope.OPERATOR, "currentOutputWatermark")
SENT = Raw(Scope.TASK, "numRecordsOut")

_LOWEST = "the lowest watermark of the subtasks that have one and whose input has not ended (of a source: its output's)"

LAG = Family(
    name="flink_health_task_watermark_lag_seconds",
    help="How far the task's event time is behind the clock.",
    formula=f"when it was read, less {_LOWEST}; by the exporter's clock",
)
GROWTH = Family(
    name="flink_health_task_watermark_lag_growth_ratio",
    help="Seconds of watermark lag gained a second: 0 keeps up, 1 stands still, below 0 catches up.",
    formula="slope (Theil-Sen) of the lag over 5 min; absent until 1 min was seen",
)
STALLED = Family(
    name="flink_health_task_watermark_stalled_seconds",
    help="How long the task's watermark has not advanced.",
    formula=f"since {_LOWEST} last advanced, as far as was seen; absent at first sight, and for a source whose "
    "`numRecordsOut` did not grow in the last 60 s: its event time has nothing to go by",
)
SPREAD = Family(
    name="flink_health_task_watermark_spread_seconds",
    help="How far the subtasks' watermarks are apart.",
    formula="highest less lowest watermark of the subtasks; absent below 2 of them",
)
MISSING = Family(
    name="flink_health_task_watermark_missing_subtasks",
    help="Subtasks that have no watermark yet while others have.",
    formula="subtasks at Flink's initial watermark; absent where no subtask has one",
)
JOB_LAG = Family(
    name="flink_health_job_watermark_lag_seconds",
    help="How far the job's event time is behind the clock.",
    formula="the greatest lag of its tasks",
)
JOB_STALLED = Family(
    name="flink_health_job_watermark_stalled_seconds",
    help="How long a watermark of the job has not advanced.",
    formula="the greatest stall of its tasks",
)

_POSITION = Track("watermark_position", most=2)
_LAG = Track("watermark_lag", most=64, span=300.0, least=2)
_SENT = Track("watermark_sent", most=64, span=60.0, least=2)

# A trend is not told from less.
_LEAST_OBSERVED = 60.0


def _watermarks(vertex: Vertex) -> Sequence[float]:
    """One a subtask: -inf is none yet, +inf is an input that has ended, NaN was not read."""
    if vertex.inputs:
        return vertex.readings.get(INPUT, ())
    # A source has no input watermark, and of its chain the operators ahead of the one that assigns them have none.
    columns = [readings[OUTPUT] for readings in vertex.operators.values() if OUTPUT in readings]
    return [_of_chain(subtask) for subtask in zip(*columns, strict=True)]


def _of_chain(watermarks: Sequence[float]) -> float:
    known = [value for value in watermarks if value > -inf]
    if known:
        return min(known)
    return nan if any(isnan(value) for value in watermarks) else -inf


def _lowest(vertex: Vertex) -> float | None:
    return min(present(_watermarks(vertex)), default=None) if vertex.running else None


def _idle(vertex: Vertex, past: Past) -> bool:
    """Whether it is a source that is known to have sent nothing of late: nothing is there to move its event time."""
    sent = present(rates(up_to(vertex.read_at, past[_SENT])) or ())
    return bool(sent) and not any(sent)


def remember(vertex: Vertex, past: Past, now: float) -> Iterator[Note]:
    sent = vertex.readings.get(SENT) if vertex.running and vertex.works_by_sending else None
    if sent is not None:
        yield Note(_SENT, Point(vertex.read_at, sent, tick=vertex.read_at, epoch=vertex.epoch))
    lowest = _lowest(vertex)
    if lowest is not None:
        last = past.last(_POSITION)
        if last is None or last.epoch != vertex.epoch or lowest > last.value:
            yield Note(_POSITION, Point(vertex.read_at, lowest, tick=lowest, epoch=vertex.epoch))
        yield Note(_LAG, Point(vertex.read_at, vertex.read_at - lowest, tick=vertex.read_at, epoch=vertex.epoch))


def derive(vertex: Vertex, past: Past, now: float) -> Iterator[Sample]:
    lowest = _lowest(vertex)
    if lowest is None:
        return
    watermarks = _watermarks(vertex)
    yield LAG.sample(vertex.read_at - lowest)
    position = past.last(_POSITION)
    if position is not None and len(past[_LAG]) > 1 and not _idle(vertex, past):
        yield STALLED.sample(max(0.0, vertex.read_at - position.at))
    growth = slope(past[_LAG])
    if growth is not None and observed(past[_LAG]) >= _LEAST_OBSERVED:
        yield GROWTH.sample(growth)
    moving = present(watermarks)
    if len(moving) > 1:
        yield SPREAD.sample(max(moving) - lowest)
    yield MISSING.sample(sum(value == -inf for value in watermarks))


SIGNAL = Signal(
    name="watermark",
    each=(Vertex,),
    families=(LAG, GROWTH, STALLED, SPREAD, MISSING, JOB_LAG, JOB_STALLED),
    needs=(INPUT, OUTPUT, SENT),
    remember=remember,
    derive=derive,
    rollups=(Rollup(JOB_LAG, of=LAG, by=max), Rollup(JOB_STALLED, of=STALLED, by=max)),
)
