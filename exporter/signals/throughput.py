"""Throughput: how much does a task get through, against what is normal for it and what it could?"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Raw, Scope, Vertex
from exporter.signals._counters import frequency, shares
from exporter.signals._stats import present, rates, up_to
from exporter.signals.base import Note, Signal

RECORDS_IN = Raw(Scope.TASK, "numRecordsIn")
RECORDS_OUT = Raw(Scope.TASK, "numRecordsOut")
BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")
LATE = Raw(Scope.OPERATOR, "numLateRecordsDropped")

IN = Family(
    name="flink_health_task_records_in_per_second",
    help="Records that the task takes in.",
    formula="increase of `numRecordsIn` over 60 s, all subtasks that were read",
)
OUT = Family(
    name="flink_health_task_records_out_per_second",
    help="Records that the task sends on.",
    formula="increase of `numRecordsOut` over 60 s, all subtasks that were read",
)
SELECTIVITY = Family(
    name="flink_health_task_selectivity_ratio",
    help="Records sent on for each record taken in.",
    formula="records out / records in; absent for the last task of a job and below 1 record/s",
)
BASELINE = Family(
    name="flink_health_task_throughput_baseline_per_second",
    help="Records a second that are normal for the task.",
    formula="median over 1 h, the present left out, of records in (out for a source), a look in 15 s, of this "
    "attempt; absent below 10 looks",
)
RATIO = Family(
    name="flink_health_task_throughput_ratio",
    help="Throughput over what is normal for the task.",
    formula="records in (out for a source) / baseline; absent where 0 is normal",
)
CAPACITY = Family(
    name="flink_health_task_capacity_records_per_second",
    help="Records a second that the task could take in if it were busy all the time.",
    formula="sum over the subtasks of records in / busy share, over 60 s; without the subtasks less than 5 % busy, of "
    "which nobody can tell; absent for sources",
)
LATE_DROPPED = Family(
    name="flink_health_task_late_records_dropped_per_second",
    help="Records dropped because they came after their window had closed.",
    formula="increase of the operators' `numLateRecordsDropped` over 60 s; absent for a task without windows",
)

_WINDOW = 60.0
_TRACKS = {
    raw: Track(f"throughput_{raw.name}", most=64, span=_WINDOW, least=2) for raw in (RECORDS_IN, RECORDS_OUT, BUSY)
}
_LATE = Track("throughput_late", most=64, span=_WINDOW, least=2)  # by operator
_PACE = Track("throughput_pace", most=256, span=3600.0, least=2)

# One in so many seconds, so that an hour of them is remembered at any interval.
_PACE_EVERY = 15.0
_LEAST_LOOKS = 10
_LEAST_RATE = 1.0
_LEAST_BUSY = 0.05


def remember(vertex: Vertex, past: Past, now: float) -> Iterator[Note]:
    def point(value: object) -> Point:
        return Point(vertex.read_at, value, tick=vertex.read_at, epoch=vertex.epoch)

    # The rate of the look before this one, which nothing of this one is in yet.
    before = past.last(_TRACKS[_work(vertex)])
    pace = _rate(before.at, past, _work(vertex)) if before is not None and before.epoch == vertex.epoch else None
    if before is not None and pace is not None and before.at < vertex.read_at:
        yield Note(_PACE, Point(before.at, pace, tick=before.at // _PACE_EVERY, epoch=vertex.epoch))
    for raw, track in _TRACKS.items():
        column = vertex.readings.get(raw)
        if column is not None:
            yield Note(track, point(column))
    late = {name: readings[LATE] for name, readings in vertex.operators.items() if LATE in readings}
    if late:
        yield Note(_LATE, point(late))


def _work(vertex: Vertex) -> Raw:
    return RECORDS_OUT if vertex.works_by_sending else RECORDS_IN


def _rate(at: float, past: Past, raw: Raw) -> float | None:
    values = present(rates(up_to(at, past[_TRACKS[raw]])) or ())
    return sum(values) if values else None


def derive(vertex: Vertex, past: Past, now: float) -> Iterator[Sample]:
    if not vertex.running or vertex.epoch is None:
        return
    taken, sent = (_rate(vertex.read_at, past, raw) for raw in (RECORDS_IN, RECORDS_OUT))
    if taken is not None:
        yield IN.sample(taken)
    if sent is not None:
        yield OUT.sample(sent)
    if taken is not None and sent is not None and taken >= _LEAST_RATE and vertex.outputs:
        yield SELECTIVITY.sample(sent / taken)
    pace = sent if _work(vertex) is RECORDS_OUT else taken
    if pace is not None:
        yield from _against_normal(pace, vertex.epoch, past)
    if vertex.inputs:
        yield from _capacity(vertex.read_at, past)
    late = frequency(up_to(vertex.read_at, past[_LATE]))
    if late is not None:
        yield LATE_DROPPED.sample(late)


def _against_normal(pace: float, epoch: float, past: Past) -> Iterator[Sample]:
    # Points of the attempt before stay until this one has one of its own.
    paces = [point.value for point in past[_PACE] if point.epoch == epoch]
    if len(paces) < _LEAST_LOOKS:
        return
    baseline = median(paces)
    yield BASELINE.sample(baseline)
    if baseline > 0:
        yield RATIO.sample(pace / baseline)


def _capacity(at: float, past: Past) -> Iterator[Sample]:
    taken = rates(up_to(at, past[_TRACKS[RECORDS_IN]])) or ()
    busy = shares(up_to(at, past[_TRACKS[BUSY]])) or ()
    pairs = zip(taken, busy, strict=False)
    true_rates = present([records / share for records, share in pairs if share >= _LEAST_BUSY])
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
