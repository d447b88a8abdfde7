"""Throughput: how much does a task get through, against what is normal for it and what it could?"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Raw, Scope, Vertex
from exporter.signals._stats import present, rates, up_to
from exporter.signals.base import Note, Signal

RECORDS_IN = Raw(Scope.TASK, "numRecordsIn")
RECORDS_OUT = Raw(Scope.TASK, "numRecordsOut")
BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")
LATE = Raw(Scope.OPERATOR, "numLateRecordsDropped")

IN = Family(
    name="flink_health_task_records_in_per_second",
    help="Records that the task takes in.",
    formula="increase of `numRecordsIn` over 60 s, all subtasks",
)
OUT = Family(
    name="flink_health_task_records_out_per_second",
    help="Records that the task sends on.",
    formula="increase of `numRecordsOut` over 60 s, all subtasks",
)
SELECTIVITY = Family(
    name="flink_health_task_selectivity_ratio",
    help="Records sent on for each record taken in.",
    formula="records out / records in; absent for the last task of a job and below 1 record/s",
)
BASELINE = Family(
    name="flink_health_task_throughput_baseline_per_second",
    help="Records a second that are normal for the task.",
    formula="median over 1 h of records in (out for a source), since the job last started; absent below 10 looks",
)
RATIO = Family(
    name="flink_health_task_throughput_ratio",
    help="Throughput over what is normal for the task.",
    formula="records in (out for a source) / baseline",
)
CAPACITY = Family(
    name="flink_health_task_capacity_records_per_second",
    help="Records a second that the task could take in if it were busy all the time.",
    formula="sum over the subtasks of records in / busy share; absent for subtasks less than 5 % busy, and for sources",
)
LATE_DROPPED = Family(
    name="flink_health_task_late_records_dropped_per_second",
    help="Records dropped because they came after their window had closed.",
    formula="increase of the operators' `numLateRecordsDropped` over 60 s",
)

_WINDOW = 60.0
_TRACKS = {
    raw: Track(f"throughput_{raw.name}", most=64, span=_WINDOW, least=2) for raw in (RECORDS_IN, RECORDS_OUT, BUSY)
}
_LATE = Track("throughput_late", most=64, span=_WINDOW, least=2)
_PACE = Track("throughput_pace", most=256, span=3600.0, least=2)

_LEAST_LOOKS = 10
_LEAST_RATE = 1.0
_LEAST_BUSY = 0.05


def remember(vertex: Vertex, past: Past, now: float) -> Iterator[Note]:
    if vertex.epoch is None or not vertex.running:
        return
    for raw, track in _TRACKS.items():
        column = vertex.readings.get(raw)
        if column is not None:
            yield Note(track, Point(vertex.read_at, column, tick=vertex.read_at, epoch=vertex.epoch))
    late = [readings[LATE] for readings in vertex.operators.values() if LATE in readings]
    if late:
        yield Note(_LATE, Point(vertex.read_at, late, tick=vertex.read_at, epoch=vertex.epoch))
    # The rate of the look before this one: what is noted now is not in the past yet.
    last = past.last(_TRACKS[_work(vertex)])
    pace = _rate(last.at, past, _work(vertex)) if last is not None and last.epoch == vertex.epoch else None
    if last is not None and pace is not None:
        yield Note(_PACE, Point(last.at, pace, tick=last.at, epoch=vertex.epoch))


def _work(vertex: Vertex) -> Raw:
    return RECORDS_OUT if not vertex.inputs and vertex.outputs else RECORDS_IN


def _rate(at: float, past: Past, raw: Raw) -> float | None:
    values = present(rates(up_to(at, past[_TRACKS[raw]])) or ())
    return sum(values) if values else None


def derive(vertex: Vertex, past: Past, now: float) -> Iterator[Sample]:
    if not vertex.running:
        return
    taken, sent = _rate(vertex.read_at, past, RECORDS_IN), _rate(vertex.read_at, past, RECORDS_OUT)
    if taken is not None:
        yield IN.sample(taken)
    if sent is not None:
        yield OUT.sample(sent)
    if taken is not None and sent is not None and taken >= _LEAST_RATE and vertex.outputs:
        yield SELECTIVITY.sample(sent / taken)
    yield from _against_normal(past, sent if _work(vertex) is RECORDS_OUT else taken)
    if vertex.inputs:
        yield from _capacity(vertex.read_at, past)
    late = up_to(vertex.read_at, past[_LATE])
    if len(late) > 1 and late[-1].at > late[0].at:
        before, after = (sum(sum(present(column)) for column in point.value) for point in (late[0], late[-1]))
        yield LATE_DROPPED.sample(max(0.0, after - before) / (late[-1].at - late[0].at))


def _against_normal(past: Past, pace: float | None) -> Iterator[Sample]:
    paces = [point.value for point in past[_PACE]]
    if len(paces) < _LEAST_LOOKS:
        return
    baseline = median(paces)
    yield BASELINE.sample(baseline)
    if pace is not None and baseline > 0:
        yield RATIO.sample(pace / baseline)


def _capacity(at: float, past: Past) -> Iterator[Sample]:
    taken, busy = (rates(up_to(at, past[_TRACKS[raw]])) for raw in (RECORDS_IN, BUSY))
    true_rates = [
        records / (milliseconds / 1000)
        for records, milliseconds in zip(taken or (), busy or (), strict=False)
        if records == records and milliseconds / 1000 >= _LEAST_BUSY
    ]
    if true_rates:
        yield CAPACITY.sample(sum(true_rates))


SIGNAL = Signal(
    name="throughput",
    each=(Vertex,),
    families=(IN, OUT, SELECTIVITY, BASELINE, RATIO, CAPACITY, LATE_DROPPED),
    needs=(RECORDS_IN, RECORDS_OUT, BUSY, LATE),
    remember=remember,
    derive=derive,
)
