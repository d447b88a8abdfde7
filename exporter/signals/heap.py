"""Heap: how full is the heap of each process, and how much of it can the garbage collector not free?"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import JobManager, Raw, Scope, TaskManager
from exporter.signals._stats import observed
from exporter.signals.base import Note, Signal

_SCOPES = {TaskManager: Scope.TASKMANAGER, JobManager: Scope.JOBMANAGER}
USED = {process: Raw(scope, "Status.JVM.Memory.Heap.Used") for process, scope in _SCOPES.items()}
MAX = {process: Raw(scope, "Status.JVM.Memory.Heap.Max") for process, scope in _SCOPES.items()}

RATIO = {
    process: Family(
        name=f"flink_health_{scope}_heap_used_ratio",
        help="Heap in use over the most that the JVM may use.",
        formula="Heap.Used / Heap.Max; absent where the JVM gives no maximum",
    )
    for process, scope in _SCOPES.items()
}
FLOOR = {
    process: Family(
        name=f"flink_health_{scope}_heap_floor_ratio",
        help="Heap that garbage collection does not free, over the most that the JVM may use.",
        formula="the lowest used ratio of the last 5 min; absent until 1 min was seen",
    )
    for process, scope in _SCOPES.items()
}

_USED_RATIO = Track("heap_used_ratio", most=256, span=300.0)

# Less than this may not have seen a single collection.
_LEAST_OBSERVED = 60.0

Process = TaskManager | JobManager


def _used_ratio(process: Process) -> float | None:
    used, most = process.readings.get(USED[type(process)]), process.readings.get(MAX[type(process)])
    return used / most if used is not None and most else None


def remember(process: Process, past: Past, now: float) -> Iterator[Note]:
    ratio = _used_ratio(process)
    if ratio is not None:
        yield Note(_USED_RATIO, Point(now, ratio, tick=now))


def derive(process: Process, past: Past, now: float) -> Iterator[Sample]:
    ratio = _used_ratio(process)
    if ratio is None:
        return
    yield RATIO[type(process)].sample(ratio)
    if observed(past[_USED_RATIO]) >= _LEAST_OBSERVED:
        yield FLOOR[type(process)].sample(min(point.value for point in past[_USED_RATIO]))


SIGNAL = Signal(
    name="heap",
    each=(TaskManager, JobManager),
    families=(*RATIO.values(), *FLOOR.values()),
    needs=(*USED.values(), *MAX.values()),
    remember=remember,
    derive=derive,
)
