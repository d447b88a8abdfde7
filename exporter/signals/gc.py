"""GC: how much of its time does each process collect garbage?"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import JobManager, Raw, Scope, TaskManager
from exporter.signals._stats import up_to
from exporter.signals.base import Note, Signal

_SCOPES = {TaskManager: Scope.TASKMANAGER, JobManager: Scope.JOBMANAGER}

# Flink adds up all collectors from about 1.19 on; before that each has a name of its own, by collector and Java.
ALL = {process: Raw(scope, "Status.JVM.GarbageCollector.All.Time") for process, scope in _SCOPES.items()}
EACH = {process: Raw(scope, "Status.JVM.GarbageCollector.*.Time") for process, scope in _SCOPES.items()}

RATIO = {
    process: Family(
        name=f"flink_health_{scope}_gc_time_ratio",
        help="Seconds of garbage collection a second.",
        formula="increase of the collectors' `Time` over 60 s, all of them, whatever their names, 1 at most; absent at "
        "first sight of the process",
    )
    for process, scope in _SCOPES.items()
}

_TIME = Track("gc_time", most=64, span=60.0, least=2)

Process = TaskManager | JobManager


def remember(process: Process, past: Past, now: float) -> Iterator[Note]:
    time = process.readings.get(ALL[type(process)], process.readings.get(EACH[type(process)]))
    if time is None:
        return
    # The time of a process only grows: less than before is that of another one, begun since.
    last = past.last(_TIME)
    epoch = last.epoch if last is not None and last.value <= time else now
    yield Note(_TIME, Point(now, time, tick=now, epoch=epoch))


def derive(process: Process, past: Past, now: float) -> Iterator[Sample]:
    points = up_to(now, past[_TIME])
    if len(points) > 1:
        spent = (points[-1].value - points[0].value) / 1000
        yield RATIO[type(process)].sample(min(1.0, spent / (points[-1].at - points[0].at)))


SIGNAL = Signal(
    name="gc",
    each=(TaskManager, JobManager),
    families=tuple(RATIO.values()),
    needs=(*ALL.values(), *EACH.values()),
    remember=remember,
    derive=derive,
)
